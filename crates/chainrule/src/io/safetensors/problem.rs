//! Everything that a safetensors file can get wrong, in words.

use std::fmt;

use super::{LONGEST_HEADER, METADATA, MOST_AXES, RawDtype};

/// What is wrong with a safetensors file, or with tensors that were to become one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each field is what the variant's sentence names")]
pub enum TensorProblem {
    /// The file has fewer than the 8 bytes that hold the header's length.
    NoHeader { length: u64 },
    /// The header is said to be, or would be, longer than [`LONGEST_HEADER`].
    HeaderTooLong { claimed: u64 },
    /// The header is said to be longer than the rest of the file.
    HeaderBeyondFile { claimed: u64, available: u64 },
    /// The header's byte `at` is not UTF-8.
    HeaderNotUtf8 { at: usize },
    /// The header is not JSON of the expected form; the tensor it went wrong in, if in one.
    HeaderNotJson { tensor: Option<String>, reason: String },
    /// Two tensors, or two pieces of metadata, have this name.
    RepeatedName(String),
    /// A tensor has the name that the format keeps for metadata.
    ReservedName(String),
    /// The tensor's type is not one of the format's.
    UnknownDtype { tensor: String, dtype: String },
    /// The tensor has more than [`MOST_AXES`] axes.
    TooManyAxes { tensor: String, axes: usize },
    /// The tensor's shape has more bytes than can be addressed.
    ShapeOverflow { tensor: String, shape: Vec<usize> },
    /// The tensor ends before it begins.
    OffsetsReversed { tensor: String, begin: u64, end: u64 },
    /// The tensor ends beyond the file's data.
    BeyondFile { tensor: String, end: u64, available: u64 },
    /// The tensor begins before another one ends.
    Overlap { tensor: String, begin: u64, other: String, other_end: u64 },
    /// These bytes of the data belong to no tensor.
    Gap { from: u64, to: u64 },
    /// The tensor's bytes are not as many as its shape and type need.
    WrongSize { tensor: String, dtype: RawDtype, shape: Vec<usize>, needed: u64, found: u64 },
    /// The byte `at` of a tensor of truth values is neither 0 nor 1.
    NotBool { tensor: String, at: usize, byte: u8 },
}

/// A text from a file, fit to be printed: quoted, escaped and not too long.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(120) {
            Some((end, _)) => write!(f, "\"{}...\"", self.0[..end].escape_debug()),
            None => write!(f, "\"{}\"", self.0.escape_debug()),
        }
    }
}

/// What to do about a file that is not what its header says.
const DAMAGED: &str = "the file is damaged or was cut short; fetch or save it again";
/// What to do about a file that a program wrote wrongly.
const MALFORMED: &str = "the program that wrote the file made a mistake; save it with another one";

impl fmt::Display for TensorProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use TensorProblem::*;
        match self {
            NoHeader { length } => write!(f, "the file has {length} bytes, and a safetensors file has at least 8; {DAMAGED}"),
            HeaderTooLong { claimed } => write!(
                f,
                "the header is said to take {claimed} bytes, and at most {LONGEST_HEADER} are \
                 allowed; this is probably not a safetensors file"
            ),
            HeaderBeyondFile { claimed, available } => write!(
                f,
                "the header is said to take {claimed} bytes, but only {available} follow; \
                 {DAMAGED}, unless it is no safetensors file at all"
            ),
            HeaderNotUtf8 { at } => write!(
                f,
                "byte {at} of the header is not UTF-8 text; {DAMAGED}, unless it is no \
                 safetensors file at all"
            ),
            HeaderNotJson { tensor: None, reason } => {
                write!(f, "the header cannot be read: {}; {DAMAGED}", shortened(reason))
            }
            HeaderNotJson { tensor: Some(tensor), reason } => {
                write!(f, "the header's entry {} cannot be read: {}; {MALFORMED}", Quoted(tensor), shortened(reason))
            }
            RepeatedName(name) => write!(f, "the name {} is used twice; give each tensor and each piece of metadata its own", Quoted(name)),
            ReservedName(_) => write!(f, "no tensor can be named \"{METADATA}\", which the format keeps for itself; rename it"),
            _ => self.describe_tensor(f),
        }
    }
}

impl TensorProblem {
    /// The problems of one tensor or of its place.
    fn describe_tensor(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use TensorProblem::*;
        match self {
            UnknownDtype { tensor, dtype } => {
                let known: Vec<&str> = RawDtype::ALL.iter().map(|dtype| dtype.name()).collect();
                write!(
                    f,
                    "tensor {} has the unknown type {}; known are {}; convert it to one of them",
                    Quoted(tensor),
                    Quoted(dtype),
                    known.join(", ")
                )
            }
            TooManyAxes { tensor, axes } => {
                write!(f, "tensor {} has {axes} axes, and at most {MOST_AXES} are allowed; reshape it", Quoted(tensor))
            }
            ShapeOverflow { tensor, shape } => {
                write!(f, "tensor {} has the shape {shape:?}, more bytes than can be addressed; {MALFORMED}", Quoted(tensor))
            }
            OffsetsReversed { tensor, begin, end } => {
                write!(f, "tensor {} begins at byte {begin} and ends before it, at {end}; {MALFORMED}", Quoted(tensor))
            }
            BeyondFile { tensor, end, available } => write!(
                f,
                "tensor {} ends at byte {end}, but the file holds {available} bytes of data; \
                 {DAMAGED}",
                Quoted(tensor)
            ),
            Overlap { tensor, begin, other, other_end } => write!(
                f,
                "tensor {} begins at byte {begin}, inside tensor {}, which ends at {other_end}; \
                 {MALFORMED}",
                Quoted(tensor),
                Quoted(other)
            ),
            Gap { from, to } => write!(f, "the data bytes {from} to {to} belong to no tensor; {MALFORMED}"),
            WrongSize { tensor, dtype, shape, needed, found } => write!(
                f,
                "tensor {} of shape {shape:?} and type {} needs {needed} bytes, not {found}; \
                 its shape, type and bytes must agree",
                Quoted(tensor),
                dtype.name()
            ),
            NotBool { tensor, at, byte } => write!(
                f,
                "byte {at} of the truth values of tensor {} is {byte}, neither 0 nor 1; \
                 compare with zero before saving",
                Quoted(tensor)
            ),
            // Those that the caller has words for; listed, so that a new one is not forgotten.
            NoHeader { .. } | HeaderTooLong { .. } | HeaderBeyondFile { .. } => Ok(()),
            HeaderNotUtf8 { .. } | HeaderNotJson { .. } => Ok(()),
            RepeatedName(_) | ReservedName(_) => Ok(()),
        }
    }
}

/// A reason of the JSON parser, which can quote the file at any length.
fn shortened(reason: &str) -> String {
    let mut characters = reason.chars().flat_map(char::escape_debug);
    let start: String = characters.by_ref().take(200).collect();
    match characters.next() {
        Some(_) => format!("{start}..."),
        None => start,
    }
}
