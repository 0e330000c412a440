//! The gradient from slopes along random directions, each found by one forward pass.

use super::{LearningRule, mean_along, positive, scalar};
use chainrule_engine::transform::{audit, jvp, vmap};
use chainrule_engine::{Result, Rng, Tensor};

/// The forward gradient: the slope of the loss along a random direction, times that direction, on average over some of
/// them (Baydin, Pearlmutter, Syme, Wood, Torr, "Gradients without Backpropagation", 2022). Slopes are exact, by forward
/// mode; nothing of the forward pass is kept. With normal directions the estimate is right on average; its squared error
/// is about the number of parameters over that of directions, times the gradient's square.
///
/// All directions are computed side by side: what depends on parameters takes as many times the memory.
#[derive(Clone, Copy, Debug)]
pub struct ForwardGradient {
    directions: usize,
}

impl ForwardGradient {
    /// The mean over so many directions.
    pub fn new(directions: usize) -> ForwardGradient {
        ForwardGradient { directions }
    }
}

impl LearningRule for ForwardGradient {
    fn name(&self) -> &'static str {
        "forward_gradient"
    }

    fn gradients(&self, loss: &Tensor, parameters: &[&Tensor], rng: &mut Rng) -> Result<Vec<Option<Tensor>>> {
        scalar(self.name(), loss)?;
        positive(self.name(), "a number of directions", self.directions as f64)?;
        let reached: Vec<bool> = audit(loss, parameters)?.iter().map(|reach| reach.is_gradient()).collect();
        let among: Vec<&Tensor> = parameters.iter().zip(&reached).filter(|&(_, reached)| *reached).map(|(&one, _)| one).collect();
        if among.is_empty() {
            return Ok(vec![None; parameters.len()]);
        }
        let draw = |one: &&Tensor| Tensor::randn_of([&[self.directions], one.shape()].concat(), one.dtype(), rng);
        let drawn: Vec<Tensor> = among.iter().map(draw).collect();
        let drawn_refs: Vec<&Tensor> = drawn.iter().collect();
        let along = |v: &[Tensor]| jvp(&[loss], &among, &v.iter().collect::<Vec<_>>());
        let slopes = vmap(along, &drawn_refs, &vec![Some(0); drawn.len()])?;
        let mut found = among.iter().zip(&drawn).map(|(one, drawn)| mean_along(&slopes[0], drawn, one));
        Ok(reached.iter().map(|reached| if *reached { found.next() } else { None }).collect())
    }
}
