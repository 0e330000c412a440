//! What can go wrong in the engine, as a value that says what, where and what to do.

use super::origin::Origin;
use std::fmt;

/// The result of anything that evaluates or differentiates.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of mistake an [`Error`] reports, for programs that want to tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Shapes or axes do not fit.
    Shape,
    /// Element types do not fit.
    DType,
    /// An index, found while running, points outside.
    Index,
    /// An argument is outside what is allowed.
    Argument,
    /// The output does not depend on what its derivative was asked for, or only through a cut.
    Disconnected,
    /// A number is NaN or infinite where that was asked to be told.
    NotFinite,
    /// A placeholder was evaluated without a value.
    Unbound,
    /// The machine refused: memory, or a panic in a kernel.
    Machine,
}

/// A mistake, with the source line that made it.
///
/// Its text reads `operation at file:line: what is wrong, in scope a.b`.
#[derive(Clone)]
pub struct Error(Box<Parts>);

#[derive(Clone)]
struct Parts {
    kind: ErrorKind,
    operation: String,
    origin: Option<Origin>,
    message: String,
}

impl Error {
    /// An error of an operation; the origin is added by whoever records it.
    pub fn new(kind: ErrorKind, operation: impl Into<String>, message: impl Into<String>) -> Error {
        Error(Box::new(Parts { kind, operation: operation.into(), origin: None, message: message.into() }))
    }

    /// The same error, made at `origin` (kept if it has one already: the first cause counts).
    pub fn at(mut self, origin: &Origin) -> Error {
        self.0.origin.get_or_insert_with(|| origin.clone());
        self
    }

    /// What kind of mistake it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that found it, such as `matmul`.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The source line and scope that made the mistake, where known.
    pub fn origin(&self) -> Option<&Origin> {
        self.0.origin.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.operation)?;
        if let Some(origin) = &self.0.origin {
            write!(f, " at {}", origin.place())?;
        }
        write!(f, ": {}", self.0.message)?;
        match self.0.origin.as_ref().and_then(Origin::scope) {
            Some(scope) => write!(f, ", in scope {scope}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
