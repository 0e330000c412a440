//! Gradients of a case, in f64, held against central differences along random directions.
//!
//! The loss is the sum of all float outputs, each element times a random number. The point is the case's own; where it
//! lies on a kink or a jump, a point beside it. What is evaluated while recording has no derivative: such inputs are
//! held, and listed by name in `reasons`. What is drawn at random is drawn from the same seed whenever the model is
//! recorded, so that the derivative is that of the function which the draw has left.

use crate::cases::Set;
use crate::reasons;
use chainrule::{DType, Rng, Tensor};
use chainrule_onnx::{Error, Model, Value};

/// The most numbers of an initializer that is differentiated by.
const MOST: usize = 1 << 22;

/// How a gradient is held against differences.
#[derive(Clone, Copy)]
pub struct Trial {
    /// The worst that is let pass, as a part of the derivative.
    pub limit: f64,
    /// Half the distance between the points of a difference; where one is not enough, the next: what is wrong with a derivative
    /// is wrong with all of them.
    steps: &'static [f64],
    /// Directions in which the gradient is tried. The last of several moves what no gradient reaches.
    directions: usize,
    /// Whether a direction moves every number by a part of itself, and the derivative must be there to be seen: errors are
    /// parts of it, however small it is.
    relative: bool,
}

/// A case: three directions.
const CASE: Trial = Trial { limit: 1e-5, steps: &[1e-5], directions: 3, relative: false };
/// A whole network: one direction. The shorter the step, the fewer of its millions of rectifiers and maxima bend between the
/// two points, each of which is a part of the error; with the first, eight of the sixteen digits of a loss are left to a
/// difference, which are too few where little depends on anything.
const NETWORK: Trial = Trial { limit: 1e-5, steps: &[1e-8, 1e-7, 1e-6], directions: 1, relative: true };

impl Trial {
    /// That of a suite.
    pub fn of(suite: &str) -> Trial {
        if suite == "light" { NETWORK } else { CASE }
    }
}

/// How the derivatives of a case are.
#[derive(Clone, Debug, PartialEq)]
pub enum Derivative {
    /// There is nothing to be differentiated, or nothing to differentiate by: why.
    Nothing(&'static str),
    /// No output depends on an input but by steps: its derivative is zero or declared zero.
    Constant,
    /// The largest error, as a part of the derivative.
    Measured(f64),
}

impl Derivative {
    /// The worse of two.
    pub fn or(self, other: Derivative) -> Derivative {
        match (self, other) {
            (Derivative::Measured(a), Derivative::Measured(b)) => Derivative::Measured(a.max(b)),
            (a @ Derivative::Measured(_), _) | (_, a @ Derivative::Measured(_)) => a,
            (Derivative::Nothing(_), b) => b,
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

impl<'a> Point<'a> {
    fn new(mut model: Model, set: &'a Set) -> Result<(Point<'a>, Vec<Tensor>), Error> {
        model.cast(DType::F64);
        let mut tensors: Vec<Tensor> = Vec::new();
        let mut names = Vec::new();
        for (name, value) in &set.inputs {
            for tensor in value.tensors().iter().filter(|tensor| tensor.dtype().is_float()) {
                tensors.push(tensor.cast(DType::F64).to_leaf()?);
                names.push(name.clone());
            }
        }
        for (name, tensor) in moving(&model) {
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
        let parameters = moving(&self.model);
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

/// The initializers that are differentiated by: all but the few matrices of networks that would fill gigabytes several times.
fn moving(model: &Model) -> Vec<(String, Tensor)> {
    model.parameters().into_iter().filter(|(_, tensor)| tensor.len() <= MOST).collect()
}

/// A tensor moved along a direction.
fn moved(at: &[Tensor], along: &[Tensor], by: f64) -> Result<Vec<Tensor>, Error> {
    Ok(at.iter().zip(along).map(|(x, d)| (x + d * by).to_leaf()).collect::<Result<_, _>>()?)
}

/// Random directions, of the inputs that `which` says; zero for the others.
fn direction(at: &[Tensor], which: impl Fn(usize) -> bool, rng: &mut Rng) -> Vec<Tensor> {
    let one = |(k, x): (usize, &Tensor)| {
        let draw = Tensor::rand_of(x.shape(), x.dtype(), rng) * 2.0 - 1.0;
        if which(k) { draw } else { x.zeros_like() }
    };
    at.iter().enumerate().map(one).collect()
}

/// How far the gradients of a case are from differences.
pub fn measure(model: Model, set: &Set, made: &[(String, Value)], trial: Trial) -> Result<Derivative, Error> {
    let of_floats = |value: &Value| value.tensors().iter().any(|tensor| tensor.dtype().is_float() && !tensor.is_empty());
    let (point, at) = Point::new(model, set)?;
    if !made.iter().any(|(_, value)| of_floats(value)) {
        return Ok(Derivative::Nothing("no output holds floats"));
    }
    if at.iter().all(Tensor::is_empty) {
        return Ok(Derivative::Nothing("no input and no initializer holds floats"));
    }
    // The point itself, then points beside it.
    let mut worst = f64::INFINITY;
    for (attempt, by) in [0.0, 1e-3, 1e-2, -1e-3, 3e-2, -1e-2, 2e-3, -2e-3].into_iter().enumerate() {
        let mut rng = Rng::new(100 + attempt as u64);
        // A little toward the middle of things, too: the edge of a domain is left by one sign only.
        let here = if by == 0.0 { at.clone() } else { moved(&at, &direction(&at, |_| true, &mut rng), by)? };
        match near(&point, &here, trial) {
            Err(error) if attempt == 0 => return Err(error),
            // Beside the point lies what the model refuses.
            Err(_) => continue,
            Ok(Derivative::Measured(error)) if error.is_nan() || error > trial.limit => worst = worst.min(error),
            Ok(found) => return Ok(found),
        }
    }
    Ok(Derivative::Measured(worst))
}

fn near(point: &Point, at: &[Tensor], trial: Trial) -> Result<Derivative, Error> {
    let mut mask = None;
    let Some(loss) = point.loss(at, &mut mask)? else { return Ok(Derivative::Nothing("no output holds floats")) };
    let wrt: Vec<&Tensor> = at.iter().collect();
    let gradients = loss.grad_or_none(&wrt)?;
    drop(loss);
    let reached: Vec<bool> = gradients.iter().map(Option::is_some).collect();
    // An output of another size lies beyond a jump: no number.
    let value = |at: &[Tensor], mask: &mut Option<Vec<Tensor>>| match point.loss(at, mask) {
        Ok(Some(loss)) => loss.item().unwrap_or(f64::NAN),
        _ => f64::NAN,
    };
    let mut rng = Rng::new(11);
    let mut worst: f64 = 0.0;
    for turn in 0..trial.directions {
        // The last direction moves what no gradient reaches: nothing may change.
        let last = turn > 0 && turn == trial.directions - 1;
        let held = |k: usize| reasons::is_held(&point.names[k]) && !reached[k];
        let mut d = direction(at, |k| if last { !reached[k] && !held(k) } else { reached[k] }, &mut rng);
        if trial.relative {
            d = d.iter().zip(at).map(|(d, x)| (d * x).to_leaf()).collect::<Result<_, _>>()?;
        }
        let mut slope = Tensor::scalar(0.0, DType::F64);
        for (gradient, d) in gradients.iter().zip(&d) {
            if let Some(gradient) = gradient {
                slope = slope + (gradient * d).cast(DType::F64).sum();
            }
        }
        let slope = slope.item()?;
        let mut least = f64::NAN;
        for step in trial.steps {
            let (after, before) = (value(&moved(at, &d, *step)?, &mut mask), value(&moved(at, &d, -step)?, &mut mask));
            let difference = (after - before) / (2.0 * step);
            let floor = if trial.relative { 0.0 } else { 0.01 + 1e-2 * after.abs() };
            least = least.min((slope - difference).abs() / slope.abs().max(difference.abs()).max(floor));
            if least <= 0.1 * trial.limit {
                break;
            }
        }
        worst = if least.is_nan() { f64::NAN } else { worst.max(least) };
        if worst.is_nan() {
            break;
        }
    }
    let none = !reached.contains(&true);
    Ok(if none && worst <= trial.limit { Derivative::Constant } else { Derivative::Measured(worst) })
}
