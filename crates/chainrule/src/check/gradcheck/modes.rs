//! The modes of differentiation, each with what it is held against.
//!
//! Differences are central ones of two steps, extrapolated (Richardson, 1911): their error is of the fourth order.

use super::report::{GradReport, Mode, Subject};
use super::{GradCheck, mistake, refuse_other};
use chainrule_engine::transform::{jvp, vmap};
use chainrule_engine::{DType, ErrorKind, Result, Rng, Tensor};

type Function<'a> = &'a dyn Fn(&[Tensor]) -> Tensor;

/// A function at a point, and the direction in which it is followed.
pub struct Checked<'a> {
    settings: &'a GradCheck,
    function: Function<'a>,
    inputs: Vec<Tensor>,
    /// Which of the inputs are floats.
    moving: Vec<usize>,
    /// One for each of `moving`.
    directions: Vec<Tensor>,
    /// Of the shape of the result: the scalar that is differentiated is the sum of its products with the result.
    weights: Tensor,
}

impl<'a> Checked<'a> {
    #[track_caller]
    pub fn new(settings: &'a GradCheck, function: Function<'a>, inputs: &[&Tensor]) -> Result<Checked<'a>> {
        let inputs = inputs.iter().map(|input| input.to_leaf()).collect::<Result<Vec<Tensor>>>()?;
        let moving: Vec<usize> = (0..inputs.len()).filter(|&i| inputs[i].dtype().is_float()).collect();
        moving.iter().try_for_each(|&i| refuse_other(&format!("input {i}"), &inputs[i]))?;
        if moving.iter().all(|&i| inputs[i].is_empty()) {
            return Err(mistake(ErrorKind::Argument, "there is no float input with an element to differentiate by".into()));
        }
        let result = function(&inputs);
        result.check()?;
        refuse_other("the result", &result)?;
        let mut rng = Rng::new(0x6772_6164);
        let weights = Tensor::rand_of(result.shape(), DType::F64, &mut rng);
        // Neither too small to be seen nor all alike.
        let weights = (weights + 0.5).to_leaf()?;
        let mut direction = |&i: &usize| {
            let size = inputs[i].abs().clamp_min(1.0);
            ((Tensor::rand_of(size.shape(), DType::F64, &mut rng) + 0.5) * size).to_leaf()
        };
        let directions = moving.iter().map(&mut direction).collect::<Result<_>>()?;
        Ok(Checked { settings, function, inputs, moving, directions, weights })
    }

    /// The gradient by each element.
    pub fn reverse(&self, report: &mut GradReport) -> Result<()> {
        let gradients = evaluated(&self.gradients(&self.inputs)?)?;
        for (at, &i) in self.moving.iter().enumerate() {
            let values = numbers(&self.inputs[i])?;
            let apart = values.len().div_ceil(self.settings.most).max(1);
            let (mut found, mut size) = (Vec::new(), 0.0_f64);
            for element in (0..values.len()).step_by(apart) {
                let step = self.settings.step * values[element].abs().max(1.0);
                let measured = difference(step, |by| {
                    let mut moved = values.clone();
                    moved[element] += by;
                    let value = numbers(&self.loss(&self.with(i, &moved)))?;
                    size = size.max(value[0].abs() / step);
                    Ok(value)
                })?;
                found.push((element, gradients[at][element], measured[0]));
            }
            report.add(Mode::Reverse, Subject::Input(i), self.inputs[i].shape(), &found, noise(size));
        }
        Ok(())
    }

    /// How the result moves along the direction.
    pub fn forward(&self, report: &mut GradReport) -> Result<()> {
        let result = (self.function)(&self.inputs);
        let tangent = jvp(&[&result], &self.moving(&self.inputs), &self.directions.iter().collect::<Vec<_>>())?.swap_remove(0);
        let (measured, noise) = self.along(|inputs| Ok(vec![(self.function)(inputs)]))?;
        report.add(Mode::Forward, Subject::Result, result.shape(), &paired(&numbers(&tangent)?, &measured[0]), noise);
        Ok(())
    }

    /// How the gradient moves along the direction.
    pub fn over_reverse(&self, report: &mut GradReport) -> Result<()> {
        let gradients = self.gradients(&self.inputs)?;
        let moving = self.moving(&self.inputs);
        let (measured, noise) = self.along(|inputs| self.gradients(inputs))?;
        // The second derivatives are symmetric: the gradient of the gradient's part along the direction is the product wanted.
        let along = gradients.iter().zip(&self.directions).map(|(g, u)| (g * u).sum()).reduce(|a, b| a + b);
        let Some(along) = along else { return Ok(()) };
        let twice = evaluated(&along.grad_or_zeros(&moving)?)?;
        let directions: Vec<&Tensor> = self.directions.iter().collect();
        for (at, &i) in self.moving.iter().enumerate() {
            let (shape, subject) = (self.inputs[i].shape(), Subject::Input(i));
            report.add(Mode::ReverseOverReverse, subject, shape, &paired(&twice[at], &measured[at]), noise);
            let tangent = match jvp(&[&gradients[at]], &moving, &directions) {
                Ok(mut tangent) => numbers(&tangent.swap_remove(0))?,
                // A gradient that is constant has no second derivative: zeros, which the differences must be, too.
                Err(error) if error.kind() == ErrorKind::Disconnected => vec![0.0; self.inputs[i].len()],
                Err(error) => return Err(error),
            };
            report.add(Mode::ForwardOverReverse, subject, shape, &paired(&tangent, &measured[at]), noise);
        }
        Ok(())
    }

    /// Two examples at once and one by one.
    pub fn batched(&self, report: &mut GradReport) -> Result<()> {
        let other = self.moved(self.settings.step);
        let stacked: Vec<Tensor> = self.moving.iter().map(|&i| Tensor::stack(&[&self.inputs[i], &other[i]], 0)).collect();
        let arguments: Vec<&Tensor> = stacked.iter().collect();
        let one = |given: &[Tensor]| {
            let mut inputs = self.inputs.clone();
            self.moving.iter().zip(given).for_each(|(&i, x)| inputs[i] = x.clone());
            self.gradients(&inputs)
        };
        let both = evaluated(&vmap(one, &arguments, &vec![Some(0); arguments.len()])?)?;
        let (first, second) = (evaluated(&self.gradients(&self.inputs)?)?, evaluated(&self.gradients(&other)?)?);
        for (at, &i) in self.moving.iter().enumerate() {
            let alone = [&first[at][..], &second[at][..]].concat();
            report.add(Mode::Batched, Subject::Input(i), stacked[at].shape(), &paired(&both[at], &alone), 0.0);
        }
        Ok(())
    }

    fn loss(&self, inputs: &[Tensor]) -> Tensor {
        ((self.function)(inputs) * &self.weights).sum()
    }

    fn gradients(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        self.loss(inputs).grad(&self.moving(inputs))
    }

    fn moving<'t>(&self, inputs: &'t [Tensor]) -> Vec<&'t Tensor> {
        self.moving.iter().map(|&i| &inputs[i]).collect()
    }

    /// The inputs with other values of one.
    fn with(&self, input: usize, values: &[f64]) -> Vec<Tensor> {
        let mut inputs = self.inputs.clone();
        inputs[input] = Tensor::from_slice(values, inputs[input].shape());
        inputs
    }

    /// The inputs, so far along the direction.
    fn moved(&self, by: f64) -> Vec<Tensor> {
        let mut inputs = self.inputs.clone();
        self.moving.iter().zip(&self.directions).for_each(|(&i, direction)| inputs[i] = &inputs[i] + direction * by);
        inputs
    }

    /// How tensors move along the direction, by differences, and what rounding may do to these.
    fn along(&self, f: impl Fn(&[Tensor]) -> Result<Vec<Tensor>>) -> Result<(Vec<Vec<f64>>, f64)> {
        let step = self.settings.step;
        let mut size = 0.0_f64;
        let mut lengths = Vec::new();
        let flat = difference(step, |by| {
            let inputs = self.moved(by).iter().map(Tensor::to_leaf).collect::<Result<Vec<_>>>()?;
            let values = evaluated(&f(&inputs)?)?;
            lengths = values.iter().map(Vec::len).collect();
            let values = values.concat();
            size = values.iter().fold(size, |size, value| size.max(value.abs() / step));
            Ok(values)
        })?;
        let mut rest = &flat[..];
        let mut all = Vec::new();
        for length in lengths {
            let (own, others) = rest.split_at(length);
            all.push(own.to_vec());
            rest = others;
        }
        Ok((all, noise(size)))
    }
}

/// What rounding values of this size, divided by the step, may do to a difference.
fn noise(size: f64) -> f64 {
    if size.is_finite() { 64.0 * f64::EPSILON * size } else { 0.0 }
}

fn difference(step: f64, mut f: impl FnMut(f64) -> Result<Vec<f64>>) -> Result<Vec<f64>> {
    let mut central = |h: f64| -> Result<Vec<f64>> {
        let (above, below) = (f(h)?, f(-h)?);
        Ok(above.iter().zip(below).map(|(above, below)| (above - below) / (2.0 * h)).collect())
    };
    let (coarse, fine) = (central(step)?, central(step / 2.0)?);
    Ok(coarse.iter().zip(fine).map(|(coarse, fine)| (4.0 * fine - coarse) / 3.0).collect())
}

fn paired(derived: &[f64], measured: &[f64]) -> Vec<(usize, f64, f64)> {
    derived.iter().zip(measured).enumerate().map(|(at, (&derived, &measured))| (at, derived, measured)).collect()
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.to_vec::<f64>()
}

fn evaluated(tensors: &[Tensor]) -> Result<Vec<Vec<f64>>> {
    Tensor::eval_all(&tensors.iter().collect::<Vec<_>>())?;
    tensors.iter().map(numbers).collect()
}
