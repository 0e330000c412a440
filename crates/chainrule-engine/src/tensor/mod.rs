//! What a user holds: tensors, which record the graph as they are combined.

pub mod convert;
pub mod creation;
pub mod data;
pub mod display;
pub mod dtype;
pub mod error;
pub mod evaluate;
pub mod indexing;
pub mod memory;
pub mod methods;
pub mod node;
pub mod operators;
pub mod origin;
pub mod precision;
pub mod random;
pub mod rng;
pub mod shape;

pub use data::Data;
pub use dtype::{DType, Element};
pub use error::{Error, ErrorKind, Result};
pub use node::Tensor;
pub use origin::{Origin, scope};
pub use precision::Precision;
pub use rng::Rng;
pub use shape::{Shape, Type};
