//! Normalisation: by statistics that are given, of rows, of channels, of neighbours.

use super::pool::root;
use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, entries, one, size};
use chainrule::functions::{batch_norm, batch_norm_with, group_norm, instance_norm};
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// The tensor in a type that sums can be taken in.
pub fn wide(x: &Tensor) -> Tensor {
    match x.dtype() {
        DType::F16 | DType::BF16 => x.cast(DType::F32),
        _ => x.clone(),
    }
}

/// With statistics that are given, or, in training, with those of the batch, which then move the given ones.
pub fn batch_normalization(call: &Call) -> Outcome {
    let (x, gamma, beta) = (call.tensor(0)?, call.tensor(1)?.cast(call.tensor(0)?.dtype()), call.tensor(2)?.cast(call.tensor(0)?.dtype()));
    let (mean, variance) = (call.tensor(3)?, call.tensor(4)?);
    let eps = call.float_or("epsilon", 1e-5)?;
    let training = match call.version {
        14.. => call.flag("training_mode")?,
        // Before, training showed in the outputs that are asked for, and in an attribute before that.
        7..14 => call.wants(1),
        _ => call.integer_or("is_test", 0)? == 0,
    };
    if call.version < 9 && call.integer_or("spatial", 1)? == 0 {
        return Err(Error::unsupported("statistics of every element (spatial = 0); those of channels are known"));
    }
    if !training {
        return one(batch_norm_with(x, 1, mean, variance, Some(&gamma), Some(&beta), eps));
    }
    let momentum = call.float_or("momentum", 0.9)?;
    let normal = batch_norm(x, 1, Some(&gamma), Some(&beta), eps);
    let moved = |old: &Tensor, new: &Tensor| old * momentum + new.cast(old.dtype()) * (1.0 - momentum);
    Ok(vec![
        normal.output.into(),
        moved(mean, &normal.mean).into(),
        moved(variance, &normal.variance).into(),
        normal.mean.cast(x.dtype()).into(),
        normal.variance.cast(x.dtype()).into(),
    ])
}

pub fn instance_normalization(call: &Call) -> Outcome {
    let (x, gamma, beta) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    one(instance_norm(x, 1, Some(gamma), Some(beta), call.float_or("epsilon", 1e-5)?))
}

/// Factors and summands of groups until operator set 21, of channels from then on.
pub fn group_normalization(call: &Call) -> Outcome {
    let (x, gamma, beta) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let groups = size(call.integer_or("num_groups", 1)?, "num_groups")?;
    let channels = *x.shape().get(1).ok_or_else(|| Error::operator(format!("{:?} has no channels", x.shape())))?;
    if groups == 0 || channels % groups != 0 {
        return Err(Error::operator(format!("{channels} channels do not part into {groups} groups")));
    }
    let each = |v: &Tensor| if call.version < 21 { v.repeat(channels / groups, 0) } else { v.clone() };
    one(group_norm(x, 1, groups, Some(&each(gamma)), Some(&each(beta)), call.float_or("epsilon", 1e-5)?))
}

/// The axes from the one that is named on.
fn trailing(call: &Call, x: &Tensor) -> Result<Vec<isize>> {
    Ok((call.axis(call.integer_or("axis", -1)?, x.rank())? as isize..x.rank() as isize).collect())
}

/// The type that statistics are taken in.
fn stash(call: &Call, x: &Tensor) -> Result<DType> {
    Ok(match call.integer_or("stash_type", 1)? {
        1 if x.dtype() == DType::F64 => DType::F64,
        number => call.element(number)?,
    })
}

/// Rows at mean 0 and variance 1; also their means and the reciprocals of their deviations.
pub fn layer_normalization(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let axes = trailing(call, x)?;
    let wide = x.cast(stash(call, x)?);
    let mean = wide.mean_keep(&axes);
    let distance = &wide - &mean;
    let inverse = (distance.square().mean_keep(&axes) + call.float_or("epsilon", 1e-5)?).rsqrt();
    let mut y = (distance * &inverse).cast(x.dtype()) * call.tensor(1)?;
    if let Some(bias) = call.optional(2)? {
        y = y + bias;
    }
    Ok(vec![y.into(), mean.into(), inverse.into()])
}

pub fn rms_normalization(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let axes = trailing(call, x)?;
    let wide = x.cast(stash(call, x)?);
    let inverse = (wide.square().mean_keep(&axes) + call.float_or("epsilon", 1e-5)?).rsqrt();
    one((wide * inverse).cast(x.dtype()) * call.tensor(1)?)
}

/// Divided by its norm along an axis; zeros stay zeros.
pub fn lp_normalization(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let axis = [call.axis(call.integer_or("axis", -1)?, x.rank())? as isize];
    let norm = match call.integer_or("p", 2)? {
        1 => x.l1_norm_keep(&axis),
        2 => x.norm_keep(&axis),
        p => return Err(Error::operator(format!("the norm of order {p}; 1 and 2 are known"))),
    };
    let none = norm.equal(&norm.zeros_like());
    one(x / none.select(&norm.ones_like(), &norm))
}

pub fn mean_variance_normalization(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let axes = call.axes(&call.integers("axes")?.unwrap_or_else(|| vec![0, 2, 3]), x.rank())?;
    let distance = x - x.mean_keep(&axes);
    // The small number beside the deviation is that of ONNX's definition as a function.
    one(&distance / (root(&distance.square().mean_keep(&axes), 2.0) + 1e-9))
}

/// Divided by what the neighbouring channels hold: Krizhevsky et al. (2012), section 3.3.
pub fn local_response(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let size = entries(size(call.integer_or("size", 1)?, "size")?, "neighbours")?.max(1);
    let (alpha, beta, bias) = (call.float_or("alpha", 1e-4)?, call.float_or("beta", 0.75)?, call.float_or("bias", 1.0)?);
    let channels = *x.shape().get(1).ok_or_else(|| Error::operator(format!("{:?} has no channels", x.shape())))?;
    let mut widths = vec![(0, 0); x.rank()];
    widths[1] = ((size - 1) / 2, size - 1 - (size - 1) / 2);
    let squares = x.square().pad(&widths);
    let near = (0..size).map(|at| squares.slice(1, at..at + channels)).reduce(|a, b| a + b).unwrap_or(squares);
    one(x / (near * (alpha / size as f64) + bias).powf(beta))
}
