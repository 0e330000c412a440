//! Gradients of a case, in f64, held against central differences along random directions.
//!
//! The loss is the sum of all float outputs, each element times a random number. The point is the case's own; where it
//! lies on a kink or a jump, a point beside it. What is evaluated while recording has no derivative: such inputs are
//! held, and listed by name in `reasons`.

use crate::cases::Set;
use crate::reasons;
use chainrule::{DType, Rng, Tensor};
use chainrule_onnx::{Error, Model, Value};
use std::path::Path;

/// The worst that is let pass, as a part of the derivative.
pub const LIMIT: f64 = 1e-5;
/// Half the distance between the points of a difference.
const STEP: f64 = 1e-5;
/// Directions in which a gradient is tried.
const DIRECTIONS: usize = 3;

/// How the derivatives of a case are.
#[derive(Clone, Debug, PartialEq)]
pub enum Derivative {
    /// No input or no output is of floats.
    Nothing,
    /// No output depends on an input but by steps: its derivative is zero or declared zero.
    Constant,
    /// Not compared, for a reason.
    Held(&'static str),
    /// The largest error, as a part of the derivative.
    Measured(f64),
}

impl Derivative {
    /// The worse of two.
    pub fn or(self, other: Derivative) -> Derivative {
        match (self, other) {
            (Derivative::Measured(a), Derivative::Measured(b)) => Derivative::Measured(a.max(b)),
            (a @ Derivative::Measured(_), _) | (_, a @ Derivative::Measured(_)) => a,
            (Derivative::Nothing, b) => b,
            (a, _) => a,
        }
    }
}

/// A model at a point: its float inputs and initializers, one after the other.
struct Point<'a> {
    model: Model,
    set: &'a Set,
    names: Vec<String>,
}

fn wide(tensor: &Tensor) -> Tensor {
    if tensor.dtype().is_float() { tensor.cast(DType::F64) } else { tensor.clone() }
}

impl<'a> Point<'a> {
    fn new(path: &Path, set: &'a Set) -> Result<(Point<'a>, Vec<Tensor>), Error> {
        let mut model = Model::read(path)?;
        model.cast(DType::F64);
        let mut tensors: Vec<Tensor> = Vec::new();
        let mut names = Vec::new();
        for (name, value) in &set.inputs {
            for tensor in value.tensors().iter().filter(|tensor| tensor.dtype().is_float()) {
                tensors.push(wide(tensor).to_leaf()?);
                names.push(name.clone());
            }
        }
        for (name, tensor) in model.parameters() {
            tensors.push(tensor.to_leaf()?);
            names.push(name);
        }
        Ok((Point { model, set, names }, tensors))
    }

    /// The loss at a point: outputs weighted by random numbers, those left out that `mask` says.
    fn loss(&self, at: &[Tensor], mask: &mut Option<Vec<Tensor>>) -> Result<Option<Tensor>, Error> {
        let mut next = at.iter();
        let mut take = |tensor: &Tensor| if tensor.dtype().is_float() { next.next().unwrap_or(tensor).clone() } else { tensor.clone() };
        let mut inputs: Vec<(&str, Value)> = self.set.inputs.iter().map(|(name, value)| (name.as_str(), value.map(&mut take))).collect();
        let parameters = self.model.parameters();
        inputs.extend(parameters.iter().map(|(name, tensor)| (name.as_str(), Value::Tensor(take(tensor)))));
        let made = self.model.record_values(&inputs)?;
        let outputs: Vec<&Tensor> =
            made.iter().flat_map(|(_, value)| value.tensors()).filter(|y| y.dtype().is_float() && !y.is_empty()).collect();
        if outputs.is_empty() {
            return Ok(None);
        }
        // Where an output is infinite or no number there is nothing to differentiate.
        let finite = match mask {
            Some(mask) => mask.clone(),
            None => {
                let finite = |y: &&Tensor| y.is_finite().to_leaf();
                mask.insert(outputs.iter().map(finite).collect::<Result<_, _>>()?).clone()
            }
        };
        let mut rng = Rng::new(7);
        let mut sum = Tensor::scalar(0.0, DType::F64);
        for (y, finite) in outputs.iter().zip(&finite) {
            let weight = Tensor::rand_of(y.shape(), DType::F64, &mut rng) * 2.0 - 1.0;
            sum = sum + finite.select(&(weight * y.cast(DType::F64)), &Tensor::full(y.shape(), 0.0, DType::F64)).sum();
        }
        Ok(Some(sum))
    }
}

/// A tensor moved along a direction.
fn moved(at: &[Tensor], along: &[Tensor], by: f64) -> Result<Vec<Tensor>, Error> {
    Ok(at.iter().zip(along).map(|(x, d)| (x + d * by).to_leaf()).collect::<Result<_, _>>()?)
}

/// Random directions, of the inputs that `which` says; zero for the others.
fn direction(at: &[Tensor], which: impl Fn(usize) -> bool, rng: &mut Rng) -> Vec<Tensor> {
    let one = |(k, x): (usize, &Tensor)| {
        let draw = Tensor::rand_of(x.shape(), DType::F64, rng) * 2.0 - 1.0;
        if which(k) { draw } else { x.zeros_like() }
    };
    at.iter().enumerate().map(one).collect()
}

/// How far the gradients of a case are from differences.
pub fn measure(path: &Path, set: &Set, made: &[(String, Value)]) -> Result<Derivative, Error> {
    let of_floats = |value: &Value| value.tensors().iter().any(|tensor| tensor.dtype().is_float() && !tensor.is_empty());
    let (point, at) = Point::new(path, set)?;
    if at.is_empty() || !made.iter().any(|(_, value)| of_floats(value)) {
        return Ok(Derivative::Nothing);
    }
    // The point itself, then points beside it.
    let mut worst = f64::INFINITY;
    for (attempt, by) in [0.0, 1e-3, 1e-2, -1e-3, 3e-2, -1e-2, 2e-3, -2e-3].into_iter().enumerate() {
        let mut rng = Rng::new(100 + attempt as u64);
        // A little toward the middle of things, too: the edge of a domain is left by one sign only.
        let aside: Vec<Tensor> = direction(&at, |_| true, &mut rng);
        let here = if by == 0.0 { at.clone() } else { moved(&at, &aside, by)? };
        let found = match near(&point, &here) {
            Err(error) if attempt == 0 => return Err(error),
            // Beside the point lies what the model refuses.
            Err(_) => continue,
            Ok(found) => found,
        };
        match found {
            None => return Ok(Derivative::Nothing),
            Some(Derivative::Measured(error)) if error.is_nan() || error > LIMIT => worst = worst.min(error),
            Some(found) => return Ok(found),
        }
    }
    Ok(Derivative::Measured(worst))
}

fn near(point: &Point, at: &[Tensor]) -> Result<Option<Derivative>, Error> {
    let mut mask = None;
    let Some(loss) = point.loss(at, &mut mask)? else { return Ok(None) };
    let wrt: Vec<&Tensor> = at.iter().collect();
    let gradients = loss.grad_or_none(&wrt)?;
    let reached: Vec<bool> = gradients.iter().map(Option::is_some).collect();
    // An output of another size lies beyond a jump: no number.
    let value = |at: &[Tensor], mask: &mut Option<Vec<Tensor>>| match point.loss(at, mask) {
        Ok(Some(loss)) => loss.item().unwrap_or(f64::NAN),
        _ => f64::NAN,
    };
    let mut rng = Rng::new(11);
    let mut worst: f64 = 0.0;
    for turn in 0..DIRECTIONS {
        // The last direction moves what no gradient reaches: nothing may change.
        let last = turn == DIRECTIONS - 1;
        let held = |k: usize| reasons::is_held(&point.names[k]) && !reached[k];
        let d = direction(at, |k| if last { !reached[k] && !held(k) } else { reached[k] }, &mut rng);
        let mut slope = Tensor::scalar(0.0, DType::F64);
        for (gradient, d) in gradients.iter().zip(&d) {
            if let Some(gradient) = gradient {
                slope = slope + (gradient * d).sum();
            }
        }
        let slope = slope.item()?;
        let (after, before) = (value(&moved(at, &d, STEP)?, &mut mask), value(&moved(at, &d, -STEP)?, &mut mask));
        let difference = (after - before) / (2.0 * STEP);
        let error = (slope - difference).abs() / slope.abs().max(difference.abs()).max(0.01 + 1e-2 * after.abs());
        worst = if error.is_nan() { f64::NAN } else { worst.max(error) };
        if worst.is_nan() {
            break;
        }
    }
    let none = !reached.contains(&true);
    Ok(Some(if none && worst <= LIMIT { Derivative::Constant } else { Derivative::Measured(worst) }))
}
