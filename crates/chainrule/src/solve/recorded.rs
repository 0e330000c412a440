//! A function of a few unknowns as solvers need it: recorded for all unknowns in one row, compiled
//! once, asked with host numbers.

use super::error::SolveError;
use super::is_finite;
use chainrule_engine::transform::walk::Walk;
use chainrule_engine::{DType, Data, Error, ErrorKind, Step, Tensor};
use std::collections::HashMap;

/// The unknowns of a problem: tensors of any shapes, and one row of all their elements.
pub(super) struct Unknowns {
    /// A placeholder of shape `[n]`.
    pub row: Tensor,
    shapes: Vec<Vec<usize>>,
}

impl Unknowns {
    /// The unknowns that these first guesses are for, and the guesses as one row of numbers.
    pub fn new(guesses: &[&Tensor]) -> Result<(Unknowns, Vec<f64>), SolveError> {
        guesses.iter().try_for_each(|guess| guess.check())?;
        let dtype = guesses.first().map_or(DType::F64, |first| first.dtype());
        if let Some(other) = guesses.iter().find(|guess| !guess.dtype().is_float() || guess.dtype() != dtype) {
            let message =
                format!("first guesses must all be of one float type, not {} and {dtype}; convert them with `cast`", other.dtype());
            return Err(Error::new(ErrorKind::DType, "solve", message).at(other.origin()).into());
        }
        let mut values = Vec::new();
        for (at, guess) in guesses.iter().enumerate() {
            let guessed = guess.to_data()?.to_f64();
            if !is_finite(&guessed) {
                return Err(SolveError::Guess { guess: at });
            }
            values.extend(guessed);
        }
        if values.is_empty() {
            return Err(SolveError::NoParameters);
        }
        let shapes = guesses.iter().map(|guess| guess.shape().to_vec()).collect();
        Ok((Unknowns { row: Tensor::placeholder([values.len()], dtype), shapes }, values))
    }

    /// How many numbers are looked for.
    pub fn count(&self) -> usize {
        self.row.len()
    }

    pub fn dtype(&self) -> DType {
        self.row.dtype()
    }

    /// The distance from 1 to the next number of the element type.
    pub fn epsilon(&self) -> f64 {
        match self.dtype() {
            DType::F64 => f64::EPSILON,
            DType::F32 => f32::EPSILON as f64,
            DType::F16 => 2f64.powi(-10),
            _ => 2f64.powi(-7),
        }
    }

    /// The nearest numbers that the unknowns can be.
    pub fn round(&self, mut x: Vec<f64>) -> Vec<f64> {
        x.iter_mut().for_each(|x| *x = self.dtype().round(*x));
        x
    }

    /// The parts of a row, of the shapes of the first guesses.
    pub fn split(&self, row: &Tensor) -> Vec<Tensor> {
        let sizes: Vec<usize> = self.shapes.iter().map(|shape| shape.iter().product()).collect();
        row.split(&sizes, 0).iter().zip(&self.shapes).map(|(part, shape)| part.reshape(shape)).collect()
    }

    /// A row as a leaf.
    pub fn leaf(&self, x: &[f64]) -> Tensor {
        Tensor::from_data(Data::from_f64(self.dtype(), x), [x.len()])
    }

    /// Numbers, one for each unknown, as leaves of the shapes of the first guesses.
    pub fn leaves(&self, x: &[f64]) -> Vec<Tensor> {
        let mut rest = x;
        let leaf = |shape: &Vec<usize>| {
            let (here, after) = rest.split_at(shape.iter().product());
            rest = after;
            Tensor::from_data(Data::from_f64(self.dtype(), here), shape)
        };
        self.shapes.iter().map(leaf).collect()
    }

    /// What `function` makes of the unknowns, as a graph whose other parts have values.
    pub fn record(&self, function: impl FnOnce(&[Tensor]) -> Tensor) -> Result<Tensor, SolveError> {
        Recorded::new(&self.row, function(&self.split(&self.row)))?.settled()
    }
}

/// A tensor that was recorded from a placeholder and from what was there before it.
pub(super) struct Recorded {
    unknown: Tensor,
    result: Tensor,
    /// What the result is made of that was there before the placeholder.
    pub captured: Vec<Tensor>,
    /// What was recorded since, in order.
    inside: Vec<Tensor>,
}

impl Recorded {
    pub fn new(unknown: &Tensor, result: Tensor) -> Result<Recorded, SolveError> {
        result.check()?;
        if !result.dtype().is_float() {
            let message = format!("the function gives {}; it must give floats", result.dtype());
            return Err(Error::new(ErrorKind::DType, "solve", message).at(result.origin()).into());
        }
        let since = |node: &Tensor| node.id() >= unknown.id();
        let mut inside = Walk::new([&result], since).nodes;
        inside.retain(since);
        let mut captured: Vec<Tensor> = inside.iter().flat_map(Tensor::inputs).filter(|input| !since(input)).cloned().collect();
        captured.sort_unstable_by_key(Tensor::id);
        captured.dedup_by_key(|tensor| tensor.id());
        Ok(Recorded { unknown: unknown.clone(), result, captured, inside })
    }

    /// The same function of another unknown and of other tensors in the places of the captured
    /// ones, recorded again.
    pub fn of(&self, unknown: &Tensor, captured: &[Tensor]) -> Tensor {
        let mut copies: HashMap<u64, Tensor> = self.captured.iter().map(Tensor::id).zip(captured.iter().cloned()).collect();
        copies.insert(self.unknown.id(), unknown.clone());
        for node in &self.inside {
            if !copies.contains_key(&node.id()) && node.inputs().iter().any(|input| copies.contains_key(&input.id())) {
                let inputs = node.inputs().iter().map(|input| copies.get(&input.id()).unwrap_or(input).clone());
                copies.insert(node.id(), Tensor::record(node.op().clone(), inputs));
            }
        }
        copies.get(&self.result.id()).unwrap_or(&self.result).clone()
    }

    /// The result with everything computed that does not depend on the unknown, so that it is not
    /// computed again whenever the function is. The captured tensors themselves get no values: they
    /// would be leaves from then on, and constants of a step that is captured later.
    pub fn settled(&self) -> Result<Tensor, SolveError> {
        if self.captured.iter().all(|tensor| tensor.inputs().is_empty()) {
            return Ok(self.result.clone());
        }
        let values: Vec<Tensor> = self.captured.iter().map(again).collect();
        Tensor::eval_all(&values.iter().collect::<Vec<_>>())?;
        Ok(self.of(&self.unknown, &values))
    }
}

/// The same tensor as a node of its own, recorded now.
pub(super) fn again(tensor: &Tensor) -> Tensor {
    tensor.unsqueeze(0).squeeze(0)
}

/// Tensors that depend on placeholders, compiled.
pub(super) struct Compiled {
    step: Step,
    outputs: usize,
}

impl Compiled {
    pub fn new(inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<Compiled, SolveError> {
        Ok(Compiled { step: Step::capture(inputs, outputs, &[])?, outputs: outputs.len() })
    }

    /// The outputs' elements, row by row.
    pub fn ask<const N: usize>(&mut self, inputs: &[&Tensor]) -> Result<[Vec<f64>; N], SolveError> {
        self.step.run(inputs)?;
        let mut all = [const { Vec::new() }; N];
        for (at, values) in all.iter_mut().enumerate().take(self.outputs) {
            *values = self.step.output(at).to_data()?.to_f64();
        }
        Ok(all)
    }
}
