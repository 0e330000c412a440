//! What can go wrong between a file and a recorded graph, as a value that says what, where and what to do.

use std::fmt;

/// The result of reading or recording a model.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of mistake an [`Error`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be read, or lies where none is read from.
    File,
    /// The bytes are no ONNX model; [`Error::offset`] says where they stop being one.
    Malformed,
    /// The model is well formed and contradicts itself: a name that nothing makes, a size that its data do not have.
    Model,
    /// An operator, a version of it, an element type or a form that this crate does not know.
    Unsupported,
    /// An input that was given does not fit what the model declares, or is missing.
    Input,
    /// An operator refused its inputs or attributes; [`Error::place`] says which.
    Operator,
    /// The model asks for more than the reader's limits: depth of nesting, iterations of a loop.
    Limit,
}

/// The node that an error is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The node's name, or `#7` where it has none: its position in its graph.
    pub node: String,
    /// The operator, with its domain in front where that is not ONNX's own: `ai.onnx.ml:Binarizer`.
    pub operator: String,
    /// The version of the operator set that the model asks for.
    pub opset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} ({}, opset {})", self.node, self.operator, self.opset)
    }
}

/// A mistake in a model, in its bytes, or in what it was given.
///
/// ```
/// use chainrule_onnx::{ErrorKind, Model};
/// // Field 7, the graph, claims to be 90 bytes long.
/// let error = Model::parse(&[0x3a, 90, 0]).unwrap_err();
/// assert_eq!((error.kind(), error.offset()), (ErrorKind::Malformed, Some(1)));
/// assert_eq!(error.to_string(), "byte 1: 90 bytes are announced and 1 is left; the file is cut short or no ONNX model");
/// ```
#[derive(Clone)]
pub struct Error(Box<Parts>);

#[derive(Clone)]
struct Parts {
    kind: ErrorKind,
    place: Option<Place>,
    offset: Option<usize>,
    message: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(Box::new(Parts { kind, place: None, offset: None, message: message.into() }))
    }

    pub(crate) fn malformed(offset: usize, message: impl Into<String>) -> Error {
        let mut error = Error::new(ErrorKind::Malformed, message);
        error.0.offset = Some(offset);
        error
    }

    pub(crate) fn operator(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Operator, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unsupported, message)
    }

    /// The same error, of this node (kept if it has one already: the innermost says most).
    pub(crate) fn at(mut self, place: impl FnOnce() -> Place) -> Error {
        self.0.place.get_or_insert_with(place);
        self
    }

    /// What kind of mistake it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The node that made or found the mistake, where one did.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// The byte, counted from the start of what was read, at which it stops making sense.
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    /// What is wrong and what to do, without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl From<chainrule::Error> for Error {
    /// What the engine refuses while a node is recorded is the node's mistake.
    fn from(error: chainrule::Error) -> Error {
        Error::operator(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.0.place {
            write!(f, "{place}: ")?;
        }
        if let Some(offset) = self.0.offset {
            write!(f, "byte {offset}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
