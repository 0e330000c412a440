//! Training as part of a model: optimizers' steps, and gradients of what stands before.
//!
//! The steps are those of ONNX's definitions, whose Adam corrects the rate rather than the moments: Kingma and Ba, "Adam"
//! (2015), end of section 2.

use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, several};
use chainrule::transform::vjp;
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// Inputs 2 and following: as many values, then gradients, then states, each a list of the same length.
fn lists<'c>(call: &'c Call, kinds: usize) -> Result<Vec<Vec<&'c Tensor>>> {
    let all = call.tensors(2)?;
    if all.is_empty() || all.len() % kinds != 0 {
        return Err(Error::operator(format!("{} tensors are no {kinds} lists of one length", all.len())));
    }
    Ok(all.chunks(all.len() / kinds).map(<[&Tensor]>::to_vec).collect())
}

/// The gradient with the decay of weights added.
fn decayed(call: &Call, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    Ok(gradient + x * call.float_or("norm_coefficient", 0.0)?)
}

/// Duchi, Hazan, Singer (2011), with a rate that falls with the step.
pub fn adagrad(call: &Call) -> Outcome {
    let (rate, step) = (call.tensor(0)?, call.tensor(1)?);
    let rate = rate / (step.cast(rate.dtype()) * call.float_or("decay_factor", 0.0)? + 1.0);
    let lists = lists(call, 3)?;
    let (mut values, mut states) = (Vec::new(), Vec::new());
    for ((x, gradient), squares) in lists[0].iter().zip(&lists[1]).zip(&lists[2]) {
        let gradient = decayed(call, x, gradient)?;
        let squares = *squares + gradient.square();
        values.push(*x - &rate * gradient / (squares.sqrt() + call.float_or("epsilon", 1e-6)?));
        states.push(squares);
    }
    several(values.into_iter().chain(states))
}

pub fn adam(call: &Call) -> Outcome {
    let (rate, step) = (call.tensor(0)?, call.tensor(1)?);
    let (alpha, beta, eps) = (call.float_or("alpha", 0.9)?, call.float_or("beta", 0.999)?, call.float_or("epsilon", 1e-6)?);
    // The first step has not moved the moments from 0; its rate is not corrected.
    let step = step.cast(DType::F64);
    let left = |base: f64| 1.0 - Tensor::scalar(base, DType::F64).broadcast_to(step.shape()).pow(&step);
    let corrected = rate.cast(DType::F64) * left(beta).sqrt() / left(alpha);
    let rate = step.greater(&step.zeros_like()).select(&corrected, &rate.cast(DType::F64)).cast(rate.dtype());
    let post = 1.0 - call.float_or("norm_coefficient_post", 0.0)?;
    let lists = lists(call, 4)?;
    let (mut values, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
    for (at, x) in lists[0].iter().enumerate() {
        let gradient = decayed(call, x, lists[1][at])?;
        let v = lists[2][at] * alpha + &gradient * (1.0 - alpha);
        let h = lists[3][at] * beta + gradient.square() * (1.0 - beta);
        values.push((*x - &rate * &v / (h.sqrt() + eps)) * post);
        first.push(v);
        second.push(h);
    }
    several(values.into_iter().chain(first).chain(second))
}

pub fn momentum(call: &Call) -> Outcome {
    let (rate, step) = (call.tensor(0)?, call.tensor(1)?);
    let (alpha, beta) = (call.float_or("alpha", 0.9)?, call.float_or("beta", 1.0)?);
    let nesterov = call.text_or("mode", "standard")? == "nesterov";
    // The first step takes the gradient whole.
    let first = step.equal(&step.zeros_like());
    let lists = lists(call, 3)?;
    let (mut values, mut states) = (Vec::new(), Vec::new());
    for ((x, gradient), v) in lists[0].iter().zip(&lists[1]).zip(&lists[2]) {
        let gradient = decayed(call, x, gradient)?;
        let v = *v * alpha + first.select(&gradient, &(&gradient * beta));
        let way = if nesterov { &gradient + &v * alpha } else { v.clone() };
        values.push(*x - &rate.reshape(()) * way);
        states.push(v);
    }
    several(values.into_iter().chain(states))
}

/// The gradient of a tensor of this graph by others, at the values that they have here.
pub fn gradient(call: &Call) -> Outcome {
    let xs = call.texts("xs")?.ok_or_else(|| Error::operator("attribute 'xs' is missing"))?;
    let y = call.text("y")?.ok_or_else(|| Error::operator("attribute 'y' is missing"))?;
    let held = call.texts("zs")?.unwrap_or_default();
    let named = |name: &str| -> Result<Tensor> {
        let found = call.named(name).and_then(Value::as_tensor).cloned();
        found.ok_or_else(|| Error::operator(format!("there is no tensor '{name}' before this node")))
    };
    for (index, name) in xs.iter().chain(&held).enumerate() {
        if !call.tensor(index)?.is(&named(name)?) {
            return Err(Error::unsupported(format!("a gradient at other values of '{name}' than those it has here")));
        }
    }
    let wrt: Vec<Tensor> = xs.iter().map(|name| named(name)).collect::<Result<_>>()?;
    let y = named(&y)?;
    several(vjp(&[&y], &[&y.ones_like()], &wrt.iter().collect::<Vec<_>>())?)
}
