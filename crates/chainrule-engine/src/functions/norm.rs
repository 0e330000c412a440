//! Normalisation: rows, groups or channels brought to mean 0 and variance 1.
//!
//! Keeps no running statistics: that is a layer's business. A constant row gives zeros (to
//! the rounding of its mean), with finite derivatives, as long as `eps` is positive. f16 and bf16 are computed in f32.

use super::{disallowed, mean, misfit, recorded, refuse_mixed, spread, spread_channel, wide};
use crate::ops::movement::Axes;
use crate::tensor::shape::resolve_axis;
use crate::tensor::{Shape, Tensor};

/// What [`batch_norm`] gives.
#[derive(Clone)]
pub struct BatchNormalized {
    /// The normalised tensor, of the shape of the input.
    pub output: Tensor,
    /// The mean of each channel.
    pub mean: Tensor,
    /// The variance of each channel, without correction; times `n / (n - 1)` it is unbiased.
    pub variance: Tensor,
}

/// `(x - mean) / sqrt(variance + eps) * gamma + beta`, with the mean and variance (without
/// correction) over the last `axes` axes. `gamma` and `beta` have the shape of those axes.
/// Ba, Kiros, Hinton, "Layer Normalization" (2016).
///
/// ```
/// use chainrule_engine::{Tensor, functions::layer_norm};
/// let x = Tensor::from_slice(&[1.0f64, 3.0, 5.0, 5.0], [2, 2]);
/// let y = layer_norm(&x, 1, None, None, 0.0).to_vec::<f64>()?;
/// assert_eq!(y[..2], [-1.0, 1.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn layer_norm(x: &Tensor, axes: usize, gamma: Option<&Tensor>, beta: Option<&Tensor>, eps: f64) -> Tensor {
    match trailing("layer_norm", x, axes, &[gamma, beta], eps) {
        Err(mistake) => mistake,
        Ok(axes) => recorded(|| {
            let normal = standardize(&wide(x), &axes, eps).0;
            affine(&normal, gamma, beta, |parameter| spread(parameter, &others(x, &axes), x.shape())).cast(x.dtype())
        }),
    }
}

/// `x / sqrt(mean(x^2) + eps) * gamma`, with the mean over the last `axes` axes, whose shape
/// `gamma` has. Zhang, Sennrich, "Root Mean Square Layer Normalization" (2019).
#[track_caller]
pub fn rms_norm(x: &Tensor, axes: usize, gamma: Option<&Tensor>, eps: f64) -> Tensor {
    match trailing("rms_norm", x, axes, &[gamma], eps) {
        Err(mistake) => mistake,
        Ok(axes) => recorded(|| {
            let w = wide(x);
            let factor = (mean(&w.square(), &axes) + eps).rsqrt();
            let normal = &w * spread(&factor, &axes, x.shape());
            affine(&normal, gamma, None, |parameter| spread(parameter, &others(x, &axes), x.shape())).cast(x.dtype())
        }),
    }
}

/// Each channel (each index of `channel_axis`) brought to mean 0 and variance 1 over all other
/// axes, then times `gamma` plus `beta`, which hold one number per channel. For training.
/// Ioffe, Szegedy, "Batch Normalization" (2015).
///
/// A mistake poisons all three results.
#[track_caller]
pub fn batch_norm(x: &Tensor, channel_axis: isize, gamma: Option<&Tensor>, beta: Option<&Tensor>, eps: f64) -> BatchNormalized {
    match channelwise("batch_norm", x, channel_axis, &[gamma, beta], eps) {
        Err(mistake) => BatchNormalized { output: mistake.clone(), mean: mistake.clone(), variance: mistake },
        Ok(channel) => recorded(|| {
            let axes: Axes = (0..x.rank()).filter(|&axis| axis != channel).collect();
            let (normal, mean, variance) = standardize(&wide(x), &axes, eps);
            let output = affine(&normal, gamma, beta, |parameter| spread_channel(parameter, channel, x.shape())).cast(x.dtype());
            BatchNormalized { output, mean: mean.cast(x.dtype()), variance: variance.cast(x.dtype()) }
        }),
    }
}

/// As [`batch_norm`], with the mean and variance given: `(x - mean) / sqrt(variance + eps) * gamma + beta`.
#[track_caller]
pub fn batch_norm_with(
    x: &Tensor,
    channel_axis: isize,
    mean: &Tensor,
    variance: &Tensor,
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
    eps: f64,
) -> Tensor {
    match channelwise("batch_norm_with", x, channel_axis, &[Some(mean), Some(variance), gamma, beta], eps) {
        Err(mistake) => mistake,
        Ok(channel) => recorded(|| {
            // All that is done per channel is done before it is spread.
            let per_element = |vector: &Tensor| spread_channel(vector, channel, x.shape());
            let inverse = (wide(variance) + eps).rsqrt();
            let factor = match gamma {
                Some(gamma) => inverse * wide(gamma),
                None => inverse,
            };
            let scaled = (wide(x) - per_element(&wide(mean))) * per_element(&factor);
            affine(&scaled, None, beta, per_element).cast(x.dtype())
        }),
    }
}

/// The channels (axis `channel_axis`) of each example (axis 0) parted into `groups` of neighbours,
/// each brought to mean 0 and variance 1, then times `gamma` plus `beta`, one number per channel.
/// One group is a layer norm, as many as channels an instance norm. Wu, He, "Group Normalization" (2018).
#[track_caller]
pub fn group_norm(x: &Tensor, channel_axis: isize, groups: usize, gamma: Option<&Tensor>, beta: Option<&Tensor>, eps: f64) -> Tensor {
    match channelwise("group_norm", x, channel_axis, &[gamma, beta], eps) {
        Err(mistake) => mistake,
        Ok(0) => misfit("group_norm", format!("axis 0 of {:?} counts the examples, not the channels", x.shape())),
        Ok(channel) if groups == 0 || !x.shape()[channel].is_multiple_of(groups) => {
            misfit("group_norm", format!("{} channels do not part into {groups} groups", x.shape()[channel]))
        }
        Ok(channel) => recorded(|| {
            let mut parted: Shape = x.shape().into();
            parted[channel] /= groups;
            parted.insert(channel, groups);
            let axes: Axes = (1..parted.len()).filter(|&axis| axis != channel).collect();
            let normal = standardize(&wide(x).reshape(parted), &axes, eps).0.reshape(x.shape());
            affine(&normal, gamma, beta, |parameter| spread_channel(parameter, channel, x.shape())).cast(x.dtype())
        }),
    }
}

/// The tensor at mean 0 and variance 1 over axes, and the mean and variance it had.
fn standardize(x: &Tensor, axes: &Axes, eps: f64) -> (Tensor, Tensor, Tensor) {
    let mean_before = mean(x, axes);
    let distance = x - spread(&mean_before, axes, x.shape());
    let variance = mean(&distance.square(), axes);
    let factor = (&variance + eps).rsqrt();
    let normal = &distance * spread(&factor, axes, x.shape());
    (normal, mean_before, variance)
}

/// Times `gamma` plus `beta`, where given, after they have been spread.
fn affine(x: &Tensor, gamma: Option<&Tensor>, beta: Option<&Tensor>, spread: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let mut y = x.clone();
    if let Some(gamma) = gamma {
        y = y * spread(&wide(gamma));
    }
    if let Some(beta) = beta {
        y = y + spread(&wide(beta));
    }
    y
}

fn others(x: &Tensor, axes: &Axes) -> Axes {
    (0..x.rank()).filter(|axis| !axes.contains(axis)).collect()
}

/// The last axes, after checking parameters of their shape.
#[track_caller]
fn trailing(name: &str, x: &Tensor, axes: usize, parameters: &[Option<&Tensor>], eps: f64) -> Result<Axes, Tensor> {
    check(name, x, parameters, eps)?;
    if axes == 0 || axes > x.rank() {
        return Err(misfit(name, format!("the last {axes} axes of {:?}", x.shape())));
    }
    let first = x.rank() - axes;
    match parameters.iter().flatten().find(|parameter| *parameter.shape() != x.shape()[first..]) {
        Some(parameter) => Err(misfit(
            name,
            format!("a parameter is {:?}, the normalised axes of {:?} are {:?}", parameter.shape(), x.shape(), &x.shape()[first..]),
        )),
        None => Ok((first..x.rank()).collect()),
    }
}

/// The axis of the channels, after checking that parameters have one number for each.
#[track_caller]
fn channelwise(name: &str, x: &Tensor, axis: isize, parameters: &[Option<&Tensor>], eps: f64) -> Result<usize, Tensor> {
    check(name, x, parameters, eps)?;
    let Some(channel) = resolve_axis(axis, x.rank()) else {
        return Err(misfit(name, format!("axis {axis} of {:?}", x.shape())));
    };
    match parameters.iter().flatten().find(|parameter| *parameter.shape() != x.shape()[channel..=channel]) {
        Some(parameter) => {
            Err(misfit(name, format!("a parameter is {:?}, {:?} has {} channels", parameter.shape(), x.shape(), x.shape()[channel])))
        }
        None => Ok(channel),
    }
}

#[track_caller]
fn check(name: &str, x: &Tensor, parameters: &[Option<&Tensor>], eps: f64) -> Result<(), Tensor> {
    let all: Vec<&Tensor> = std::iter::once(x).chain(parameters.iter().copied().flatten()).collect();
    if let Some(mistake) = refuse_mixed(name, &all) {
        return Err(mistake);
    }
    let sane = eps >= 0.0 && eps.is_finite();
    if sane { Ok(()) } else { Err(disallowed(name, &all, format!("eps is {eps}, and must be 0 or a positive number"))) }
}
