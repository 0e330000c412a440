//! The gradient from losses at parameters that were moved a little: nothing is differentiated.

use super::{LearningRule, mean_along, positive, scalar};
use chainrule_engine::transform::{Reach, audit, substitute, vmap};
use chainrule_engine::{Result, Rng, Tensor};

/// An evolution strategy: parameters are moved to and fro by normal noise, and the difference of both losses tells how far to
/// go that way (Salimans, Ho, Chen, Sidor, Sutskever, "Evolution Strategies as a Scalable Alternative to Reinforcement
/// Learning", 2017, with mirrored pairs). The estimate is of the gradient of a loss that is blurred by the noise, so the
/// loss need not be smooth: a count of mistakes will do, which no derivative gets through.
///
/// All pairs are computed side by side: what depends on parameters takes as many times the memory.
#[derive(Clone, Copy, Debug)]
pub struct EvolutionStrategy {
    pairs: usize,
    deviation: f64,
}

impl EvolutionStrategy {
    /// So many mirrored pairs, moved by noise of this standard deviation.
    pub fn new(pairs: usize, deviation: f64) -> EvolutionStrategy {
        EvolutionStrategy { pairs, deviation }
    }
}

impl LearningRule for EvolutionStrategy {
    fn name(&self) -> &'static str {
        "evolution_strategy"
    }

    fn gradients(&self, loss: &Tensor, parameters: &[&Tensor], rng: &mut Rng) -> Result<Vec<Option<Tensor>>> {
        let draw = |one: &Tensor| Tensor::randn_of([&[self.pairs], one.shape()].concat(), one.dtype(), rng);
        Pairs { rule: self.name(), count: self.pairs, size: self.deviation }.gradients(loss, parameters, draw)
    }
}

/// Simultaneous perturbation: as [`EvolutionStrategy`], with every parameter moved by the same distance, up or down (Spall,
/// "Multivariate stochastic approximation using a simultaneous perturbation gradient approximation", 1992): two losses a
/// step, however many parameters there are.
#[derive(Clone, Copy, Debug)]
pub struct Spsa {
    pairs: usize,
    distance: f64,
}

impl Spsa {
    /// One pair a step, moved by this distance.
    pub fn new(distance: f64) -> Spsa {
        Spsa { pairs: 1, distance }
    }

    /// The mean over so many pairs.
    pub fn pairs(self, pairs: usize) -> Spsa {
        Spsa { pairs, ..self }
    }
}

impl LearningRule for Spsa {
    fn name(&self) -> &'static str {
        "spsa"
    }

    fn gradients(&self, loss: &Tensor, parameters: &[&Tensor], rng: &mut Rng) -> Result<Vec<Option<Tensor>>> {
        let draw = |one: &Tensor| {
            let up = Tensor::bernoulli([&[self.pairs], one.shape()].concat(), 0.5, rng);
            up.cast(one.dtype()) * 2.0 - 1.0
        };
        Pairs { rule: self.name(), count: self.pairs, size: self.distance }.gradients(loss, parameters, draw)
    }
}

/// Mirrored pairs of losses.
struct Pairs {
    rule: &'static str,
    count: usize,
    size: f64,
}

impl Pairs {
    fn gradients(&self, loss: &Tensor, parameters: &[&Tensor], draw: impl FnMut(&Tensor) -> Tensor) -> Result<Vec<Option<Tensor>>> {
        scalar(self.rule, loss)?;
        positive(self.rule, "a number of pairs", self.count as f64)?;
        positive(self.rule, "a distance", self.size)?;
        let reached = audit(loss, parameters)?;
        let moves: Vec<Tensor> = parameters.iter().copied().map(draw).collect();
        let (plus, minus) = (self.losses(loss, parameters, &moves, self.size)?, self.losses(loss, parameters, &moves, -self.size)?);
        let slopes = (plus - minus) / (2.0 * self.size);
        let found = parameters.iter().zip(&moves).zip(reached);
        Ok(found.map(|((one, moves), reach)| (!matches!(reach, Reach::Independent)).then(|| mean_along(&slopes, moves, one))).collect())
    }

    /// The loss at the parameters and `far` times each move.
    fn losses(&self, loss: &Tensor, parameters: &[&Tensor], moves: &[Tensor], far: f64) -> Result<Tensor> {
        let moved = |moves: &[Tensor]| {
            let there: Vec<Tensor> = parameters.iter().zip(moves).map(|(&one, by)| one + by * far).collect();
            substitute(&[loss], parameters, &there.iter().collect::<Vec<_>>())
        };
        Ok(vmap(moved, &moves.iter().collect::<Vec<_>>(), &vec![Some(0); moves.len()])?.remove(0))
    }
}
