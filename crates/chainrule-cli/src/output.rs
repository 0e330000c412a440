//! Standard error, where progress and mistakes go. Results go to standard output, by [`chainrule::io::output`].

use std::io::{self, Write};

/// Writes to standard error; a reader that has gone away is no reason to stop.
pub fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
