//! Recurrent layers over a sequence.

use super::{Module, bound, uniform};
use chainrule_engine::functions::{Cell, CellState, CellWeights, Sequence, recurrent};
use chainrule_engine::{Rng, Tensor};

/// One or more recurrent layers, each run over what the one before gave: `[batch, time, inputs]` to
/// `[batch, time, hidden]`, or, both ways, `[batch, time, 2 hidden]`. See [`Cell`] for what there is.
///
/// ```
/// use chainrule::functions::Cell;
/// use chainrule::prelude::*;
/// let layer = Recurrent::new(Cell::Lstm, 3, 8, &mut Rng::new(0));
/// assert_eq!(layer.forward(&Tensor::ones([2, 5, 3])).shape(), [2, 5, 8]);
/// let deep = Recurrent::stacked(Cell::Gru, 3, 8, 2, true, &mut Rng::new(0));
/// assert_eq!(deep.forward(&Tensor::ones([2, 5, 3])).shape(), [2, 5, 16]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct Recurrent {
    /// From the input on.
    pub layers: Vec<RecurrentLayer>,
    /// Which cell.
    #[module(skip)]
    pub cell: Cell,
}

/// The weights of one layer.
#[derive(Clone, Debug, Module)]
pub struct RecurrentLayer {
    /// From the first step to the last.
    pub forward: RecurrentWeights,
    /// From the last step to the first, if the layer goes both ways.
    pub backward: Option<RecurrentWeights>,
}

/// The weights of one way through one layer, laid out as those of PyTorch ([`CellWeights`]).
#[derive(Clone, Debug, Module)]
pub struct RecurrentWeights {
    /// `[gates * hidden, inputs]`.
    pub input: Tensor,
    /// `[gates * hidden, hidden]`.
    pub hidden: Tensor,
    /// `[gates * hidden]`.
    pub input_bias: Option<Tensor>,
    /// `[gates * hidden]`.
    pub hidden_bias: Option<Tensor>,
}

impl RecurrentWeights {
    #[track_caller]
    fn new(cell: Cell, inputs: usize, hidden: usize, rng: &mut Rng) -> RecurrentWeights {
        let (rows, bound) = (cell.gates().saturating_mul(hidden), bound(hidden));
        RecurrentWeights {
            input: uniform([rows, inputs], bound, rng),
            hidden: uniform([rows, hidden], bound, rng),
            input_bias: Some(uniform([rows], bound, rng)),
            hidden_bias: Some(uniform([rows], bound, rng)),
        }
    }

    fn cell(&self) -> CellWeights {
        CellWeights {
            input_bias: self.input_bias.clone(),
            hidden_bias: self.hidden_bias.clone(),
            ..CellWeights::new(self.input.clone(), self.hidden.clone())
        }
    }
}

impl Recurrent {
    /// One layer, from the first step to the last. All weights and biases uniform in
    /// `-1/sqrt(hidden) .. 1/sqrt(hidden)`, f32, PyTorch's default.
    #[track_caller]
    pub fn new(cell: Cell, inputs: usize, hidden: usize, rng: &mut Rng) -> Recurrent {
        Recurrent::stacked(cell, inputs, hidden, 1, false, rng)
    }

    /// As [`Recurrent::new`], of several layers, each of which goes both ways if asked to.
    #[track_caller]
    pub fn stacked(cell: Cell, inputs: usize, hidden: usize, layers: usize, both_ways: bool, rng: &mut Rng) -> Recurrent {
        let mut all = Vec::with_capacity(layers);
        for i in 0..layers {
            let inputs = match (i, both_ways) {
                (0, _) => inputs,
                (_, true) => hidden.saturating_mul(2),
                (_, false) => hidden,
            };
            let forward = RecurrentWeights::new(cell, inputs, hidden, rng);
            let backward = if both_ways { Some(RecurrentWeights::new(cell, inputs, hidden, rng)) } else { None };
            all.push(RecurrentLayer { forward, backward });
        }
        Recurrent { layers: all, cell }
    }

    /// The outputs of the last layer at all steps.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.run(x, None, None).0
    }

    /// As [`Recurrent::forward`], from first states on, and of examples that have some first `lengths` (`[batch]`,
    /// i64 or i32) of all steps only. Gives the last states as well: one for each layer and way, in the order in
    /// which they are taken.
    #[track_caller]
    pub fn run(&self, x: &Tensor, first: Option<&[CellState]>, lengths: Option<&Tensor>) -> (Tensor, Vec<CellState>) {
        let (mut y, mut last) = (x.clone(), Vec::new());
        for layer in &self.layers {
            let mut outputs = Vec::with_capacity(2);
            for (weights, reverse) in [(Some(&layer.forward), false), (layer.backward.as_ref(), true)] {
                let Some(weights) = weights else { continue };
                let sequence = Sequence { batch_first: true, reverse, lengths: lengths.cloned() };
                let state = first.and_then(|states| states.get(last.len()));
                let (output, state) = recurrent(self.cell, &y, state, &weights.cell(), &sequence);
                outputs.push(output);
                last.push(state);
            }
            y = match &outputs[..] {
                [one] => one.clone(),
                [there, ..] if there.error().is_some() => there.clone(),
                _ => Tensor::concat(&outputs.iter().collect::<Vec<_>>(), -1),
            };
        }
        (y, last)
    }
}
