//! Standard output for results, whose reader may go away.
//!
//! A reader that has gone away (`program | head -1`) is no mistake: what follows is dropped without a word. `println!` would
//! end the program with a panic there.

use std::fmt;
use std::io::{self, ErrorKind, Write};

/// Writes results to standard output as they come.
///
/// ```
/// use chainrule::io::output::Output;
/// let mut out = Output::new();
/// out.line("epoch 1, loss 0.5")?;
/// if out.is_closed() {
///     // Nobody reads any more: a program that only prints may end here.
/// }
/// # Ok::<(), chainrule::io::output::NotWritten>(())
/// ```
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
    pub fn write(&mut self, text: &str) -> Result<(), NotWritten> {
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
            Err(error) => Err(NotWritten(error)),
        }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn line(&mut self, text: &str) -> Result<(), NotWritten> {
        self.write(&format!("{text}\n"))
    }

    /// Whether the reader is known to be gone.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Standard output cannot be written to: a disk is full, say.
#[derive(Debug)]
pub struct NotWritten(pub io::Error);

impl std::error::Error for NotWritten {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl fmt::Display for NotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "writing to standard output failed: {}; check where it is redirected to", self.0)
    }
}
