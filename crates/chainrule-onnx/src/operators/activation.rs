//! Activations: functions of single elements with numbers of their own, and the three that look along an axis.
//!
//! Names and defaults are ONNX's. Recurrent cells find theirs by name in [`by_name`].

use super::shape::volume;
use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, one};
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// A function of one float tensor and one number.
fn with(call: &Call, name: &str, default: f64, function: impl Fn(&Tensor, f64) -> Tensor) -> Outcome {
    one(function(call.tensor(0)?, call.float_or(name, default)?))
}

pub fn leaky_relu(call: &Call) -> Outcome {
    with(call, "alpha", 0.01, Tensor::leaky_relu)
}

pub fn elu(call: &Call) -> Outcome {
    with(call, "alpha", 1.0, Tensor::elu)
}

pub fn celu(call: &Call) -> Outcome {
    with(call, "alpha", 1.0, Tensor::celu)
}

pub fn swish(call: &Call) -> Outcome {
    with(call, "alpha", 1.0, |x, alpha| x * (x * alpha).sigmoid())
}

pub fn thresholded_relu(call: &Call) -> Outcome {
    with(call, "alpha", 1.0, thresholded)
}

fn thresholded(x: &Tensor, alpha: f64) -> Tensor {
    Tensor::full(x.shape(), alpha, x.dtype()).less(x).select(x, &x.zeros_like())
}

pub fn selu(call: &Call) -> Outcome {
    let alpha = call.float_or("alpha", 1.673_263_192_176_818_8)?;
    let gamma = call.float_or("gamma", 1.050_700_902_938_842_8)?;
    one(call.tensor(0)?.elu(alpha) * gamma)
}

pub fn hard_sigmoid(call: &Call) -> Outcome {
    one(hard(call.tensor(0)?, call.float_or("alpha", 0.2)?, call.float_or("beta", 0.5)?))
}

fn hard(x: &Tensor, alpha: f64, beta: f64) -> Tensor {
    (x * alpha + beta).clamp(0.0, 1.0)
}

pub fn gelu(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    match call.text_or("approximate", "none")?.as_str() {
        "none" => one(x.gelu()),
        "tanh" => one(x.gelu_tanh()),
        other => Err(Error::operator(format!("attribute 'approximate' is '{other}', and must be none or tanh"))),
    }
}

pub fn shrink(call: &Call) -> Outcome {
    let (x, bias, lambda) = (call.tensor(0)?, call.float_or("bias", 0.0)?, call.float_or("lambd", 0.5)?);
    let bound = |value: f64| Tensor::full(x.shape(), value, x.dtype());
    one(x.less(&bound(-lambda)).select(&(x + bias), &bound(lambda).less(x).select(&(x - bias), &x.zeros_like())))
}

/// One slope for every element, or a tensor that broadcasts; before operator set 7, one for each channel.
pub fn prelu(call: &Call) -> Outcome {
    let (x, slope) = (call.tensor(0)?, call.tensor(1)?);
    if call.version < 7 && slope.rank() == 1 && slope.len() > 1 && x.rank() > 2 {
        return one(x.prelu(&slope.reshape([&[slope.len()][..], &vec![1; x.rank() - 2]].concat())));
    }
    one(x.prelu(slope))
}

/// A function along an axis: from operator set 13 on along one, before along all from that one on together.
fn along(call: &Call, function: impl Fn(&Tensor, isize) -> Tensor) -> Outcome {
    let x = call.tensor(0)?;
    if call.version >= 13 {
        return one(function(x, call.axis(call.integer_or("axis", -1)?, x.rank())? as isize));
    }
    let axis = match call.integer_or("axis", 1)? {
        axis if axis == x.rank() as i64 => x.rank(),
        axis => call.axis(axis, x.rank())?,
    };
    let (rows, columns) = x.shape().split_at(axis);
    one(function(&x.reshape([volume(rows), volume(columns)]), 1).reshape(x.shape()))
}

pub fn softmax(call: &Call) -> Outcome {
    along(call, Tensor::softmax)
}

pub fn log_softmax(call: &Call) -> Outcome {
    along(call, Tensor::log_softmax)
}

/// 1 at the first of the largest, 0 elsewhere.
pub fn hardmax(call: &Call) -> Outcome {
    along(call, |x, axis| {
        let hot = x.argmax(axis).one_hot(x.shape()[axis as usize], x.dtype());
        let order: Vec<usize> = (0..x.rank())
            .map(|at| match at.cmp(&(axis as usize)) {
                std::cmp::Ordering::Less => at,
                std::cmp::Ordering::Equal => x.rank() - 1,
                std::cmp::Ordering::Greater => at - 1,
            })
            .collect();
        hot.permute(order)
    })
}

/// A function of one tensor that is chosen by name.
pub type Activation = Box<dyn Fn(&Tensor) -> Tensor>;

/// The activation of a recurrent cell, with its numbers where it has some.
pub fn by_name(name: &str, alpha: Option<f64>, beta: Option<f64>) -> Result<Activation> {
    let alpha = move |default: f64| alpha.unwrap_or(default);
    let beta = beta.unwrap_or(match name {
        "HardSigmoid" => 0.5,
        _ => 1.0,
    });
    Ok(match name {
        "Relu" => Box::new(Tensor::relu),
        "Tanh" => Box::new(Tensor::tanh),
        "Sigmoid" => Box::new(Tensor::sigmoid),
        "Softsign" => Box::new(Tensor::softsign),
        "Softplus" => Box::new(Tensor::softplus),
        "Affine" => Box::new(move |x| x * alpha(1.0) + if beta == 1.0 { 0.0 } else { beta }),
        "LeakyRelu" => Box::new(move |x| x.leaky_relu(alpha(0.01))),
        "ThresholdedRelu" => Box::new(move |x| thresholded(x, alpha(1.0))),
        "ScaledTanh" => Box::new(move |x| (x * beta).tanh() * alpha(1.0)),
        "HardSigmoid" => Box::new(move |x| hard(x, alpha(0.2), beta)),
        "Elu" => Box::new(move |x| x.elu(alpha(1.0))),
        _ => return Err(Error::unsupported(format!("there is no activation '{name}'"))),
    })
}

/// Zero where dropped and scaled up elsewhere, in training; otherwise everything as it is.
pub fn dropout(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let (ratio, training) = match call.version {
        ..=6 => (call.float_or("ratio", 0.5)?, call.integer_or("is_test", 0)? == 0),
        7..=11 => (call.float_or("ratio", 0.5)?, false),
        _ => (call.number(1)?.unwrap_or(0.5), call.number(2)?.unwrap_or(0.0) != 0.0),
    };
    if !(0.0..1.0).contains(&ratio) {
        return Err(Error::operator(format!("the ratio is {ratio}, and must be at least 0 and less than 1")));
    }
    let mask_type = if call.version >= 10 { DType::Bool } else { x.dtype() };
    if !training || ratio == 0.0 {
        return Ok(vec![x.clone().into(), Tensor::full(x.shape(), 1.0, mask_type).into()]);
    }
    let keep = call.random(|rng| Tensor::bernoulli(x.shape(), 1.0 - ratio, rng))?;
    let y = keep.select(&(x / (1.0 - ratio)), &x.zeros_like());
    Ok(vec![y.into(), keep.cast(mask_type).into()])
}
