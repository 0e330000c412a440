//! Standard output, where results go.
//!
//! A reader that has gone away (`chainrule derive ... | head -1`) is no mistake: what follows is
//! dropped without a word, and the work goes on to its end.

use std::io::{self, ErrorKind, Write};

use crate::failure::Failure;

/// Writes results as they come.
#[derive(Debug, Default)]
pub struct Output {
    closed: bool,
}

impl Output {
    /// Standard output.
    pub fn new() -> Output {
        Output::default()
    }

    /// Writes text and hands it on at once.
    ///
    /// # Errors
    /// Where the text cannot be written, other than for want of a reader.
    pub fn write(&mut self, text: &str) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => {
                Err(Failure::went_wrong(format_args!("writing to standard output failed: {error}; check where it is redirected to")))
            }
        }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.write(&format!("{text}\n"))
    }
}

/// Writes to standard error; a reader that has gone away is no reason to stop.
pub fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
