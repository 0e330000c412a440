//! chainrule-engine: records a computational graph, differentiates it, compiles it, runs it.
//!
//! The folders are the order in which a value travels: [`tensor`] records, [`ops`] holds each
//! operation's rules, [`transform`] derives graphs from graphs, [`compile`] turns a graph into a
//! program, [`backend`] runs it. The engine reads no files and knows no layers.

pub mod backend;
pub mod compile;
pub mod functions;
pub mod ops;
pub mod tensor;
pub mod transform;

pub use backend::Runtime;
pub use compile::pipeline::Options;
pub use compile::step::Step;
pub use tensor::convert::Nested;
pub use tensor::indexing::{Index, IntoIndices, Steps};
pub use tensor::{DType, Data, Element, Error, ErrorKind, Origin, Precision, Result, Rng, Tensor, scope};
