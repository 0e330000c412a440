//! Learning rules: how a parameter's gradient is found, or estimated. Backpropagation is one of them; the others never go
//! backward, and pay for that with noise.
//!
//! A rule is a function from graph to graph, as an optimizer is: whatever it draws is drawn anew in each captured step.
//! Refuses to know models, data and optimizers.

mod forward;
mod perturbed;

pub use forward::ForwardGradient;
pub use perturbed::{EvolutionStrategy, Spsa};

use chainrule_engine::{Error, ErrorKind, Result, Rng, Tensor};

/// How gradients are found.
///
/// ```
/// use chainrule::prelude::*;
/// use chainrule::rule::{Backpropagation, ForwardGradient, LearningRule};
/// let w = Tensor::from([3.0, -4.0]);
/// let loss = w.square().sum();
/// let exact = Backpropagation.gradients(&loss, &[&w], &mut Rng::new(0))?.remove(0).unwrap();
/// assert_eq!(exact.to_vec::<f32>()?, [6.0, -8.0]);
/// // Right on average, and the more directions are tried, the nearer.
/// let estimate = ForwardGradient::new(20_000).gradients(&loss, &[&w], &mut Rng::new(0))?.remove(0).unwrap();
/// assert!((estimate - exact).abs().max().item()? < 0.5);
/// # Ok::<(), chainrule::Error>(())
/// ```
pub trait LearningRule: Send {
    /// Its name in messages, such as `backpropagation`.
    fn name(&self) -> &'static str;

    /// For each parameter, the gradient of the scalar `loss` or an estimate of it, of the parameter's shape; `None` where
    /// the loss gives the rule nothing to go by.
    ///
    /// # Errors
    /// If the loss is no scalar of a float type, or the rule's settings make no sense.
    fn gradients(&self, loss: &Tensor, parameters: &[&Tensor], rng: &mut Rng) -> Result<Vec<Option<Tensor>>>;
}

/// The gradient itself, by the chain rule, from the loss backward: one pass for all parameters, whatever their number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backpropagation;

impl LearningRule for Backpropagation {
    fn name(&self) -> &'static str {
        "backpropagation"
    }

    fn gradients(&self, loss: &Tensor, parameters: &[&Tensor], _: &mut Rng) -> Result<Vec<Option<Tensor>>> {
        loss.grad_or_none(parameters)
    }
}

impl LearningRule for Box<dyn LearningRule> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn gradients(&self, loss: &Tensor, parameters: &[&Tensor], rng: &mut Rng) -> Result<Vec<Option<Tensor>>> {
        (**self).gradients(loss, parameters, rng)
    }
}

/// The mean over draws of a slope times the direction it was found along: `slopes` is `[draws]`, `directions` has one for each
/// draw along its first axis.
fn mean_along(slopes: &Tensor, directions: &Tensor, parameter: &Tensor) -> Tensor {
    let draws = directions.shape()[0];
    let slopes = (slopes / draws as f64).cast(parameter.dtype()).reshape([1, draws]);
    slopes.matmul(&directions.reshape([draws, parameter.len()])).reshape(parameter.shape())
}

/// A number that must be positive.
fn positive(rule: &str, what: &str, number: f64) -> Result<()> {
    if number > 0.0 && number.is_finite() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Argument, rule, format!("{what} of {number}; give a number above 0")))
}

/// A loss is a scalar that can change by little.
fn scalar(rule: &str, loss: &Tensor) -> Result<()> {
    loss.check()?;
    if loss.rank() == 0 && loss.dtype().is_float() {
        return Ok(());
    }
    let message = format!("a loss of type {} {:?}; give a scalar of a float type", loss.dtype(), loss.shape());
    Err(Error::new(ErrorKind::Shape, rule, message).at(loss.origin()))
}
