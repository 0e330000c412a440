//! chainrule learns by backpropagation over a computational graph that you can see.
//!
//! You write ordinary Rust with [`Tensor`]s. The engine (re-exported here in full) records the
//! graph, derives the backward pass as more of the same graph, compiles both into one program and
//! runs it. This crate adds what learning needs around that: [`nn`] holds layers and names their
//! parameters, [`optim`] steps down a gradient, [`data`] brings examples, [`train`] joins them in
//! one captured step, [`io`] keeps the result. [`rule`] has ways to learn besides backpropagation. [`solve`] fits curves and finds minima and roots of
//! small problems.
//!
//! ```
//! use chainrule::prelude::*;
//!
//! let mut rng = Rng::new(0);
//! let x = Tensor::from_slice(&[0.0f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [4, 2]);
//! let y = Tensor::from_slice(&[0.0f32, 1.0, 1.0, 0.0], [4, 1]);
//! let model = Mlp::new(&[2, 8, 1], Activation::Tanh, &mut rng);
//! let mut trainer = Trainer::new(model, AdamW::new(0.05), |model, batch, _| {
//!     loss::mse(&model.forward(&batch[0]), &batch[1])
//! })?;
//! for _ in 0..200 {
//!     trainer.step(&[x.clone(), y.clone()])?;
//! }
//! let said = trainer.model()?.forward(&x).to_vec::<f32>()?;
//! assert!(said.iter().zip([0.0, 1.0, 1.0, 0.0]).all(|(said, meant)| (said - meant).abs() < 0.2));
//! # Ok::<(), chainrule::Error>(())
//! ```

// The derive macro names this crate by its name, also from within.
extern crate self as chainrule;

pub use chainrule_engine::*;

pub mod check;
pub mod data;
pub mod io;
#[cfg(feature = "linalg")]
pub mod linalg;
pub mod loss;
pub mod nn;
pub mod optim;
#[cfg(doctest)]
mod readme;
pub mod rule;
pub mod solve;
pub mod spelling;
pub mod train;

/// What most programs use.
pub mod prelude {
    pub use crate::data::batches::{Batches, LastBatch};
    pub use crate::loss;
    pub use crate::nn::{
        Activation, BatchNorm, Conv2d, Dropout, Embedding, Gpt, GroupNorm, LayerNorm, Linear, Mlp, Mode, Module, MultiHeadAttention,
        Recurrent, RmsNorm, Training, TransformerBlock,
    };
    pub use crate::optim::{Adam, AdamW, Optimizer, Schedule, Sgd};
    pub use crate::train::Trainer;
    pub use chainrule_engine::{DType, Rng, Tensor, scope};
}
