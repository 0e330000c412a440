//! Reads ONNX models into a graph of chainrule tensors: evaluated, differentiated, trained like any other.
//!
//! ONNX (<https://onnx.ai>) is how networks travel between frameworks: a file of operators, sizes and weights. A
//! [`Model`] reads such a file and, given tensors for its inputs, *records* it: every operator becomes nodes of chainrule's
//! graph. What comes out has all that a chainrule tensor has: gradients by inputs and weights, second derivatives, batches
//! by `vmap`, compiled programs.
//!
//! ```
//! use chainrule::prelude::*;
//! use chainrule_onnx::Model;
//! # let bytes = chainrule_onnx::write::example();
//! // y = relu(x w + b), written by some other framework.
//! let model = Model::parse(&bytes)?;
//! assert_eq!(format!("{model:?}"), "Model(x: float [n, 2]) -> (y: float [n, 1]), 2 nodes, 2 initializers");
//!
//! let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
//! let y = &model.record(&[("x", x)])?[0].1;
//! assert_eq!(y.to_vec::<f32>()?, [0.0, 1.5]);
//!
//! // Its initializers are parameters: they have gradients, and can be trained.
//! let (name, w) = &model.parameters()[0];
//! assert_eq!(name, "w");
//! assert_eq!(y.sum().grad(&[w])?[0].to_vec::<f32>()?, [3.0, 4.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A model is a [`Module`](chainrule::nn::Module): a trainer trains it further, and its state is saved like that of a model
//! written in Rust.
//!
//! ```
//! use chainrule::prelude::*;
//! use chainrule_onnx::Model;
//! # let bytes = chainrule_onnx::write::example();
//! let model = Model::parse(&bytes)?;
//! let mut trainer = Trainer::new(model, Sgd::new(0.01), |model: &Model, batch, _| {
//!     let made = model.record(&[("x", batch[0].clone())]).expect("an input of two columns");
//!     loss::mse(&made[0].1, &batch[1])
//! })?;
//! let (x, y) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([[0.0], [3.0]]));
//! let first = trainer.step(&[x.clone(), y.clone()])?;
//! let mut last = first;
//! for _ in 0..100 {
//!     last = trainer.step(&[x.clone(), y.clone()])?;
//! }
//! assert!(last < 0.01 * first);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is read, and what is not:
//!
//! - **Operators**: the table [`OPERATORS`], with the versions of each since which it is known; `docs/onnx.md` says how
//!   every one does in ONNX's own conformance suite. Functions that a model brings along are recorded in place of their calls.
//! - **Versions**: an operator is recorded as the model's operator set defines it, from version 1 on where the table says so.
//! - **Shapes are fixed when a model is recorded.** Inputs that decide about sizes (the shape of a `Reshape`, the bounds of
//!   a `Slice`, the number of iterations of a `Loop`, the condition of an `If`) are evaluated while recording. A model is
//!   recorded again for inputs of other sizes; the compiled program is found again if the graph is the same.
//! - **Element types**: float, double, float16, bfloat16, int64, int32, uint8 and bool are the engine's. Tensors of others
//!   (small and unsigned integers, strings, complex numbers, 8-bit floats) are refused by name.
//! - **Hostile files**: sizes, lengths, depths and iterations are checked before anything is allocated or done; files of
//!   external data must lie in the model's folder. An [`Error`] says what, where (byte, node, operator, operator set) and
//!   what to do.

mod error;
mod model;
mod operators;
mod proto;
mod record;
#[doc(hidden)]
pub mod write;

pub use error::{Error, ErrorKind, Place, Result};
pub use model::{Declared, Model};
pub use operators::{OPERATORS, Operator};
pub use record::{Texts, Value};

/// Reads a value that lies in a file of its own, a `TensorProto`, `SequenceProto` or `OptionalProto`, as the type of an
/// input or output says.
///
/// # Errors
/// If the bytes are none, or elements are of a type that the engine has not.
pub fn parse_value(bytes: &[u8], declared: &Declared) -> Result<Value> {
    proto::value::parse(bytes, model::kind_of(declared))
}
