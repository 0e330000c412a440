//! Layers, and what makes a struct of them a model.
//!
//! A layer is a plain struct whose tensors are public fields and whose `forward` records the
//! graph; nothing here computes, keeps a mode or a gradient. Layers use only the public API of the
//! engine: any of them could stand in a program of yours.

mod activation;
mod batch_norm;
mod conv;
mod dropout;
mod embedding;
mod feedback;
mod linear;
mod mlp;
mod mode;
pub(crate) mod module;
mod norm;
mod recurrent;
mod state;
pub mod transformer;

pub use activation::Activation;
pub use batch_norm::BatchNorm;
pub use conv::Conv2d;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use feedback::FeedbackLinear;
pub use linear::Linear;
pub use mlp::Mlp;
pub use mode::{Mode, Training};
pub use module::{Module, Role, Visitor, VisitorMut};
pub use norm::{GroupNorm, LayerNorm, RmsNorm};
pub use recurrent::{Recurrent, RecurrentLayer, RecurrentWeights};
pub use state::{Difference, StateError};
pub use transformer::{Gpt, MultiHeadAttention, TransformerBlock};

use chainrule_engine::ops::{Op, PoisonedBy};
use chainrule_engine::tensor::creation::IntoShape;
use chainrule_engine::{Error, ErrorKind, Rng, Tensor};
use std::sync::Arc;

/// Numbers uniform in `-bound..bound`.
#[track_caller]
pub(crate) fn uniform(shape: impl IntoShape, bound: f64, rng: &mut Rng) -> Tensor {
    Tensor::rand(shape, rng) * (2.0 * bound) - bound
}

/// The bound of the first weights of a layer that sums `inputs` products: `1 / sqrt(inputs)`.
pub(crate) fn bound(inputs: usize) -> f64 {
    1.0 / (inputs.max(1) as f64).sqrt()
}

/// A tensor that stands for a mistake found by a layer.
#[track_caller]
pub(crate) fn mistake(kind: ErrorKind, layer: &str, message: String) -> Tensor {
    let error = Arc::new(Error::new(kind, layer, message));
    Tensor::record(Op::Poison(PoisonedBy(error)), [])
}
