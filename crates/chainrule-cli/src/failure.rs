//! How the program ends: its exit codes, and what it says when it cannot do what was asked.
//!
//! Every mistake of the user's becomes a [`Failure`] whose text says what is wrong, where, and what
//! to do. Nothing here prints or exits; `main` does both, once.

use std::fmt::Display;
use std::process::ExitCode;

use crate::expression::{ExpressionError, ExpressionProblem};
use crate::train::Request;

/// How a command that could be carried out has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was done: exit code 0.
    Done,
    /// A result did not stand its check: exit code 1.
    CheckFailed,
    /// Stopped by Ctrl-C or SIGTERM, with everything saved: exit code 130 or 143.
    Stopped(Request),
}

/// Why a command could not be carried out, ready to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The whole message, `error: ...` with a line break at the end.
    pub text: String,
    /// The program's exit code.
    pub code: u8,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(match outcome {
            Outcome::Done => 0,
            Outcome::CheckFailed => 1,
            Outcome::Stopped(request) => request.exit_code(),
        })
    }
}

impl Failure {
    /// Input that cannot be used: exit code 2. `message` says what, where and what to do.
    pub fn bad_input(message: impl Display) -> Failure {
        Failure { text: format!("error: {message}\n"), code: 2 }
    }

    /// Something that was asked for rightly and went wrong on the way: exit code 1.
    pub fn went_wrong(message: impl Display) -> Failure {
        Failure { text: format!("error: {message}\n"), code: 1 }
    }

    /// An expression, or a list beside it, that cannot be read: the picture points at the place.
    pub fn expression(error: &ExpressionError, source: &str) -> Failure {
        let text = match &error.problem {
            // What is not there has no place to point at.
            ExpressionProblem::MissingValues(names) if source.trim().is_empty() => {
                let pairs: Vec<String> = names.iter().map(|name| format!("{name}=1")).collect();
                format!("error: {error}\n  = give it, as in --at {}\n", pairs.join(","))
            }
            _ => error.render(source),
        };
        Failure { text, code: 2 }
    }
}

/// A mistake that the engine found.
impl From<chainrule::Error> for Failure {
    fn from(error: chainrule::Error) -> Failure {
        Failure::bad_input(error)
    }
}

/// Standard output that cannot be written to.
impl From<chainrule::io::output::NotWritten> for Failure {
    fn from(error: chainrule::io::output::NotWritten) -> Failure {
        Failure::went_wrong(error)
    }
}

/// A file that could not be read or written.
impl From<chainrule::io::error::FileError> for Failure {
    fn from(error: chainrule::io::error::FileError) -> Failure {
        Failure::bad_input(error)
    }
}
