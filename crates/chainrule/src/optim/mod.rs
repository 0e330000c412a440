//! Optimizers: how a parameter moves, given its gradient.
//!
//! An optimizer is a function from graph to graph. Whatever changes between steps, the learning
//! rate and the number of the step, enters as a tensor, never as a constant, so a step that was
//! compiled once serves the whole training; and a new parameter can itself be differentiated, by
//! the learning rate or through many steps.

mod adam;
mod clip;
mod schedule;
mod sgd;

pub use adam::{Adam, AdamW};
pub use clip::clip_by_global_norm;
pub use schedule::Schedule;
pub use sgd::Sgd;

use chainrule_engine::{Data, Tensor};
use std::sync::Arc;

/// How parameters move.
///
/// ```
/// use chainrule::prelude::*;
/// let w = Tensor::from([3.0, -4.0]);
/// let gradient = w.square().sum().grad(&[&w])?.remove(0);
/// let sgd = Sgd::new(0.1);
/// let rate = Tensor::scalar(0.1, DType::F64);
/// let shared = sgd.shared(&rate, &Tensor::scalar(1.0, DType::F64));
/// let moved = sgd.update(&w, &gradient, &sgd.first_state(&w), &shared);
/// // w - 0.1 * 2 w
/// assert_eq!(moved.parameter.to_vec::<f32>()?, [2.4, -3.2]);
/// // And its derivative by the learning rate, through the whole step.
/// let slope = moved.parameter.sum().grad(&[&rate])?.remove(0);
/// assert_eq!(slope.item()?, 2.0);
/// # Ok::<(), chainrule::Error>(())
/// ```
pub trait Optimizer: Send {
    /// Its name in files and messages, such as `adamw`.
    fn name(&self) -> &'static str;

    /// The learning rate that a schedule scales.
    fn learning_rate(&self) -> f64;

    /// What is kept for each parameter between steps, by name.
    fn state_names(&self) -> &'static [&'static str];

    /// What all parameters need in a step, recorded once: from the learning rate and the number of
    /// the step, counted from 1, both f64 scalars.
    fn shared(&self, rate: &Tensor, step: &Tensor) -> Vec<Tensor>;

    /// One step of one parameter. `gradient` is of its shape; `state` is as many tensors of its
    /// shape as there are [`Optimizer::state_names`], `shared` what [`Optimizer::shared`] gave.
    fn update(&self, parameter: &Tensor, gradient: &Tensor, state: &[Tensor], shared: &[Tensor]) -> Updated;

    /// The state before the first step: zeros.
    fn first_state(&self, parameter: &Tensor) -> Vec<Tensor> {
        let zeros = || {
            let data = Arc::new(Data::zeros(parameter.dtype(), parameter.len()));
            Tensor::from_data(data, parameter.shape())
        };
        self.state_names().iter().map(|_| zeros()).collect()
    }
}

impl Optimizer for Box<dyn Optimizer> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn learning_rate(&self) -> f64 {
        (**self).learning_rate()
    }
    fn state_names(&self) -> &'static [&'static str] {
        (**self).state_names()
    }
    fn shared(&self, rate: &Tensor, step: &Tensor) -> Vec<Tensor> {
        (**self).shared(rate, step)
    }
    fn update(&self, w: &Tensor, g: &Tensor, state: &[Tensor], shared: &[Tensor]) -> Updated {
        (**self).update(w, g, state, shared)
    }
    fn first_state(&self, parameter: &Tensor) -> Vec<Tensor> {
        (**self).first_state(parameter)
    }
}

/// What a step makes of a parameter.
#[derive(Clone, Debug)]
pub struct Updated {
    /// Its new value.
    pub parameter: Tensor,
    /// Its new state, in the order of [`Optimizer::state_names`].
    pub state: Vec<Tensor>,
}

/// A shared f64 scalar, rounded once to the element type of the parameter it is used with.
fn for_parameter(scalar: &Tensor, parameter: &Tensor) -> Tensor {
    scalar.cast(parameter.dtype())
}
