//! Normalisation: rows, groups or channels brought to mean 0 and variance 1.
//!
//! Keeps no running statistics, but says what they are after a batch ([`RunningStatistics::after`]). A constant row gives zeros (to
//! the rounding of its mean), with finite derivatives, as long as `eps` is positive. f16 and bf16 are computed in f32. Squares
//! are taken of numbers as they are: where one overflows, from 1.4e154 on (of f32 from 1.9e19 on), the variance is infinite,
//! and what is normalised by it is 0, with derivatives of 0.

use super::pool::MOST_PLACES;
use super::{disallowed, mean, misfit, recorded, refuse_mixed, spread, spread_channel, wide};
use crate::ops::Window;
use crate::ops::movement::Axes;
use crate::tensor::shape::resolve_axis;
use crate::tensor::{DType, Shape, Tensor};

/// What [`batch_norm`] gives.
#[derive(Clone)]
pub struct BatchNormalized {
    /// The normalised tensor, of the shape of the input.
    pub output: Tensor,
    /// The mean of each channel; of f16 and bf16 it is f32.
    pub mean: Tensor,
    /// The variance of each channel, without correction; times `n / (n - 1)` it is unbiased. Of f16 and bf16 it is f32.
    pub variance: Tensor,
    /// How many numbers each channel had.
    pub count: usize,
}

/// Means and variances of channels over all batches so far, for use after training with [`batch_norm_with`].
///
/// ```
/// use chainrule_engine::{DType, Tensor, functions::{RunningStatistics, batch_norm}};
/// let x = Tensor::from([[1.0], [3.0]]);
/// let batch = batch_norm(&x, -1, None, None, 1e-5);
/// let running = RunningStatistics::new(1, DType::F32).after(&batch, 0.5);
/// assert_eq!(running.mean.to_vec::<f32>()?, [1.0]); // Half of 0 and half of 2.
/// assert_eq!(running.variance.to_vec::<f32>()?, [1.5]); // Half of 1 and half of 2, which is unbiased.
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct RunningStatistics {
    /// The mean of each channel.
    pub mean: Tensor,
    /// The variance of each channel, unbiased.
    pub variance: Tensor,
}

impl RunningStatistics {
    /// Before any batch: means 0 and variances 1.
    #[track_caller]
    pub fn new(channels: usize, dtype: DType) -> RunningStatistics {
        RunningStatistics { mean: Tensor::full([channels], 0.0, dtype), variance: Tensor::full([channels], 1.0, dtype) }
    }

    /// After one more batch: `(1 - momentum) old + momentum new`, without a gradient, in the element type of the old. A
    /// batch of less than two numbers per channel has no variance, and is a mistake, which poisons both.
    #[track_caller]
    pub fn after(&self, batch: &BatchNormalized, momentum: f64) -> RunningStatistics {
        if !(0.0..=1.0).contains(&momentum) {
            let message = format!("a momentum of {momentum} is not from 0 to 1");
            return RunningStatistics::poisoned(disallowed("batch_norm", &[&self.mean, &self.variance, &batch.output], message));
        }
        self.after_by(batch, &Tensor::scalar(momentum, DType::F64))
    }

    /// As [`RunningStatistics::after`], with a momentum that is computed, a scalar from 0 to 1: of `1 / n` at the `n`-th batch
    /// it gives the mean over all.
    #[track_caller]
    pub fn after_by(&self, batch: &BatchNormalized, momentum: &Tensor) -> RunningStatistics {
        let name = "batch_norm";
        let (old, new) = ([&self.mean, &self.variance], [&batch.mean, &batch.variance]);
        for alike in [&new[..], &old, &[momentum]] {
            if let Some(mistake) = refuse_mixed(name, alike) {
                return RunningStatistics::poisoned(mistake);
            }
        }
        if let Some(other) = old.iter().chain(&new).find(|t| t.shape() != batch.mean.shape()) {
            let message = format!("running statistics {:?} for channels {:?}", other.shape(), batch.mean.shape());
            return RunningStatistics::poisoned(misfit(name, message));
        }
        if batch.count < 2 {
            let message = format!("{} numbers for each channel have no variance; give a larger batch", batch.count);
            return RunningStatistics::poisoned(misfit(name, message));
        }
        if momentum.rank() > 0 {
            return RunningStatistics::poisoned(misfit(name, format!("a momentum of {:?} is no scalar", momentum.shape())));
        }
        let unbiased = batch.count as f64 / (batch.count - 1) as f64;
        recorded(|| {
            let moved = |old: &Tensor, new: Tensor| {
                let start = wide(old);
                let part = |share: &Tensor| share.cast(start.dtype());
                (&start * part(&(1.0 - momentum)) + new.cast(start.dtype()) * part(momentum)).detach().cast(old.dtype())
            };
            RunningStatistics { mean: moved(&self.mean, batch.mean.clone()), variance: moved(&self.variance, &batch.variance * unbiased) }
        })
    }

    fn poisoned(mistake: Tensor) -> RunningStatistics {
        RunningStatistics { mean: mistake.clone(), variance: mistake }
    }
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
        Err(mistake) => BatchNormalized { output: mistake.clone(), mean: mistake.clone(), variance: mistake, count: 0 },
        Ok(channel) => recorded(|| {
            let axes: Axes = (0..x.rank()).filter(|&axis| axis != channel).collect();
            let (normal, mean, variance) = standardize(&wide(x), &axes, eps);
            let output = affine(&normal, gamma, beta, |parameter| spread_channel(parameter, channel, x.shape())).cast(x.dtype());
            BatchNormalized { output, mean, variance, count: super::count(x, &axes) }
        }),
    }
}

/// As [`batch_norm`], with the mean and variance given: `(x - mean) / sqrt(variance + eps) * gamma + beta`. These may be of
/// another float type than `x`.
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
    match with_statistics("batch_norm_with", x, channel_axis, [mean, variance], &[gamma, beta], eps) {
        Err(mistake) => mistake,
        Ok(channel) => recorded(|| {
            let dtype = wide(x).dtype();
            // All that is done per channel is done before it is spread.
            let per_element = |vector: &Tensor| spread_channel(vector, channel, x.shape());
            let inverse = (variance.cast(dtype) + eps).rsqrt();
            let factor = match gamma {
                Some(gamma) => inverse * wide(gamma),
                None => inverse,
            };
            let scaled = (wide(x) - per_element(&mean.cast(dtype))) * per_element(&factor);
            affine(&scaled, None, beta, per_element).cast(x.dtype())
        }),
    }
}

/// The channels (axis `channel_axis`) of each example (axis 0) parted into `groups` of neighbours,
/// each brought to mean 0 and variance 1, then times `gamma` plus `beta`, one number per channel.
/// One group is a layer norm, as many as channels an instance norm. Wu, He, "Group Normalization" (2018).
#[track_caller]
pub fn group_norm(x: &Tensor, channel_axis: isize, groups: usize, gamma: Option<&Tensor>, beta: Option<&Tensor>, eps: f64) -> Tensor {
    grouped("group_norm", x, channel_axis, Some(groups), [gamma, beta], eps)
}

/// Each channel (index of `channel_axis`) of each example (axis 0) brought to mean 0 and variance 1, then times
/// `gamma` plus `beta`, one number per channel. Ulyanov, Vedaldi, Lempitsky, "Instance Normalization" (2016).
///
/// ```
/// use chainrule_engine::{Tensor, functions::instance_norm};
/// let x = Tensor::from_slice(&[1.0f64, 3.0, 50.0, 70.0], [1, 2, 2]);
/// assert_eq!(instance_norm(&x, 1, None, None, 0.0).to_vec::<f64>()?, [-1.0, 1.0, -1.0, 1.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn instance_norm(x: &Tensor, channel_axis: isize, gamma: Option<&Tensor>, beta: Option<&Tensor>, eps: f64) -> Tensor {
    grouped("instance_norm", x, channel_axis, None, [gamma, beta], eps)
}

/// `x / (k + alpha * mean)^beta`, with the mean of the squares of `size` neighbouring channels, those before the first
/// and after the last counting as 0: `size / 2` before and `(size - 1) / 2` after each. Krizhevsky, Sutskever, Hinton,
/// "ImageNet Classification with Deep Convolutional Neural Networks" (2012), with their `alpha` times `size`.
#[track_caller]
pub fn local_response_norm(x: &Tensor, channel_axis: isize, size: usize, alpha: f64, beta: f64, k: f64) -> Tensor {
    let name = "local_response_norm";
    let channel = match channelwise(name, x, channel_axis, &[], 0.0) {
        Ok(channel) => channel,
        Err(mistake) => return mistake,
    };
    // Beyond that, neighbours are mostly zeros, of which none need be read.
    if !(1..=MOST_PLACES).contains(&size) || ![alpha, beta, k].iter().all(|number| number.is_finite()) {
        let message = format!("a size of {size}, from 1 to {MOST_PLACES}, with alpha {alpha}, beta {beta} and k {k}, all finite");
        return disallowed(name, &[x], message);
    }
    recorded(|| {
        let w = wide(x);
        let mut widths = vec![(0, 0); x.rank()];
        widths[channel] = (size / 2, (size - 1) / 2);
        let one = |number: usize| Axes::from_slice(&[number]);
        let window = Window { axes: one(channel), sizes: one(size), strides: one(1), dilations: one(1) };
        let squares = mean(&Tensor::record(window, [w.square().pad(&widths)]), &one(x.rank()));
        (w / (squares * alpha + k).powf(beta)).cast(x.dtype())
    })
}

/// Groups of channels of each example brought to mean 0 and variance 1; without a number of groups, each channel.
#[track_caller]
fn grouped(name: &str, x: &Tensor, axis: isize, groups: Option<usize>, [gamma, beta]: [Option<&Tensor>; 2], eps: f64) -> Tensor {
    let channel = match channelwise(name, x, axis, &[gamma, beta], eps) {
        Err(mistake) => return mistake,
        Ok(0) => return misfit(name, format!("axis 0 of {:?} counts the examples, not the channels", x.shape())),
        Ok(channel) => channel,
    };
    let channels = x.shape()[channel];
    let groups = groups.unwrap_or(channels.max(1));
    if groups == 0 || !channels.is_multiple_of(groups) {
        return misfit(name, format!("{channels} channels do not part into {groups} groups"));
    }
    recorded(|| {
        let mut parted: Shape = x.shape().into();
        parted[channel] /= groups;
        parted.insert(channel, groups);
        let axes: Axes = (1..parted.len()).filter(|&axis| axis != channel).collect();
        let normal = standardize(&wide(x).reshape(parted), &axes, eps).0.reshape(x.shape());
        affine(&normal, gamma, beta, |parameter| spread_channel(parameter, channel, x.shape())).cast(x.dtype())
    })
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
    per_channel(name, x, channel, parameters)
}

/// As [`channelwise`], with statistics, which may be of another float type than the rest.
#[track_caller]
fn with_statistics(
    name: &str,
    x: &Tensor,
    axis: isize,
    statistics: [&Tensor; 2],
    parameters: &[Option<&Tensor>],
    eps: f64,
) -> Result<usize, Tensor> {
    let channel = channelwise(name, x, axis, parameters, eps)?;
    match refuse_mixed(name, &statistics) {
        Some(mistake) => Err(mistake),
        None => per_channel(name, x, channel, &statistics.map(Some)),
    }
}

/// The channels' axis again, if parameters have one number for each.
#[track_caller]
fn per_channel(name: &str, x: &Tensor, channel: usize, parameters: &[Option<&Tensor>]) -> Result<usize, Tensor> {
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
