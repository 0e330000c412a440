//! Being asked to stop: by Ctrl-C, or by the SIGTERM of `kill`, a batch system or a shutdown.
//!
//! Both finish the step and save. A second one ends the program at once. A terminal that is closed
//! (SIGHUP) is left to the system, so that `nohup` keeps its meaning.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::output::complain;

/// Who asks a training to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Ctrl-C.
    CtrlC,
    /// SIGTERM.
    Terminate,
}

impl Request {
    const ALL: [Request; 2] = [Request::CtrlC, Request::Terminate];

    fn signal(self) -> i32 {
        match self {
            Request::CtrlC => SIGINT,
            Request::Terminate => SIGTERM,
        }
    }

    /// The exit code that shells know for it: 128 and the signal's number.
    pub fn exit_code(self) -> u8 {
        match self {
            Request::CtrlC => 130,
            Request::Terminate => 143,
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Request::CtrlC => "Ctrl-C",
            Request::Terminate => "SIGTERM",
        }
    }
}

/// Remembers that the program was asked to stop.
#[derive(Debug, Default)]
pub struct Stop {
    /// The signal's number; 0 before there was one.
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Listens from now on.
    pub fn listen() -> Stop {
        let stop = Stop::default();
        let again = Arc::new(AtomicBool::new(false));
        for request in Request::ALL {
            if let Err(error) = stop.listen_for(request, &again) {
                complain(&format!("{} will stop the training without saving it: {error}\n", request.name()));
            }
        }
        stop
    }

    fn listen_for(&self, request: Request, again: &Arc<AtomicBool>) -> std::io::Result<()> {
        let signal = request.signal();
        // In this order: the first signal finds the flag unset, and sets it for the second.
        flag::register_conditional_shutdown(signal, i32::from(request.exit_code()), Arc::clone(again))?;
        flag::register(signal, Arc::clone(again))?;
        flag::register_usize(signal, Arc::clone(&self.signal), signal as usize)?;
        Ok(())
    }

    /// Who has asked, if somebody has.
    pub fn asked(&self) -> Option<Request> {
        let signal = self.signal.load(Ordering::Relaxed);
        Request::ALL.into_iter().find(|request| request.signal() as usize == signal)
    }
}
