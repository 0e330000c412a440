//! Losses of one class among many, and of distributions over classes, which lie along the last axis.

use super::Takes::{Ignore, Smoothing, Weight};
use super::{LossOptions, class_weights, classified, last_axis, means, pick, rowwise};
use crate::functions::softmax::Shifted;
use crate::functions::{mean, sum, wide};
use crate::tensor::{DType, Tensor};

means! {
    /// The mean of [`cross_entropy_each`].
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::loss};
    /// let logits = Tensor::from_slice(&[1.0f64, 1.0, 5.0, 5.0], [2, 2]);
    /// let target = Tensor::from_slice(&[0i64, 1], [2]);
    /// assert!((loss::cross_entropy(&logits, &target).item()? - 2f64.ln()).abs() < 1e-15);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    cross_entropy of cross_entropy_each(logits: &Tensor, target: &Tensor);
    /// The mean of [`cross_entropy_of_distributions_each`].
    cross_entropy_of_distributions of cross_entropy_of_distributions_each(logits: &Tensor, target: &Tensor);
    /// The mean of [`nll_each`].
    nll of nll_each(log_probabilities: &Tensor, target: &Tensor);
    /// The mean over distributions of [`kl_div_each`].
    kl_div of kl_div_each(log_probabilities: &Tensor, target: &Tensor);
    /// The mean over distributions of [`kl_div_of_logs_each`].
    kl_div_of_logs of kl_div_of_logs_each(log_probabilities: &Tensor, log_target: &Tensor);
}

/// Cross-entropy of logits `[.., classes]` with the number of the right class, i64 or i32, of
/// shape `[..]`: `logsumexp(logits) - logits[target]`, one loss for each target.
///
/// A logit of -inf is a class that cannot be.
#[track_caller]
pub fn cross_entropy_each(logits: &Tensor, target: &Tensor) -> Tensor {
    classified("cross_entropy", logits, target, |x| entropy_of_class(x, target, 0.0, None))
}

/// As [`cross_entropy_each`], with smoothed labels, with targets that are ignored, and with weights of classes: the
/// loss is `w[target]` times what it was, and what is smoothed `w[c]` times the share of each class `c`.
///
/// Smoothing counts every class, so with it a logit of -inf makes the loss infinite.
#[track_caller]
pub fn cross_entropy_with_each(logits: &Tensor, target: &Tensor, options: &LossOptions) -> Tensor {
    classes_each("cross_entropy", logits, target, options, entropy_of_class)
}

/// [`cross_entropy_with_each`], reduced. The mean is over the targets that are not ignored (NaN if all are); with
/// weights, the sum is divided by the weights of the targets. Takes `weight`, `ignore` and `label_smoothing`.
///
/// ```
/// use chainrule_engine::{Tensor, functions::loss::{LossOptions, cross_entropy_with}};
/// let logits = Tensor::from([[0.0, 0.0], [0.0, 0.0]]);
/// let target = Tensor::from_slice(&[0i64, -100], [2]);
/// let options = LossOptions { ignore: Some(-100), weight: Some(Tensor::from([1.0, 5.0])), ..Default::default() };
/// assert_eq!(cross_entropy_with(&logits, &target, &options).item()?, 2f32.ln() as f64);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn cross_entropy_with(logits: &Tensor, target: &Tensor, options: &LossOptions) -> Tensor {
    reduced_classes(&cross_entropy_with_each(logits, target, options), target, options)
}

/// `-log_probabilities[target]`: log-probabilities `[.., classes]` and the numbers of the right
/// classes, i64 or i32, of shape `[..]`.
#[track_caller]
pub fn nll_each(log_probabilities: &Tensor, target: &Tensor) -> Tensor {
    classified("nll", log_probabilities, target, |x| -pick(x, target, target.rank()))
}

/// [`nll_each`] times the weight of the target's class, reduced as [`cross_entropy_with`] is. Takes `weight` and
/// `ignore`.
#[track_caller]
pub fn nll_with(log_probabilities: &Tensor, target: &Tensor, options: &LossOptions) -> Tensor {
    let losses = match options.refuse("nll", &[log_probabilities, target], &[Weight, Ignore]) {
        Some(mistake) => mistake,
        None => classes_each("nll", log_probabilities, target, options, |x, target, _, weight| {
            let losses = -pick(x, target, target.rank());
            weight.map_or_else(|| losses.clone(), |weight| weight.gather(target) * &losses)
        }),
    };
    reduced_classes(&losses, target, options)
}

/// Losses of the targets that are not ignored, 0 of the others. The loss takes logits, targets, smoothing and weights.
#[track_caller]
fn classes_each(
    name: &str,
    x: &Tensor,
    target: &Tensor,
    options: &LossOptions,
    loss: fn(&Tensor, &Tensor, f64, Option<&Tensor>) -> Tensor,
) -> Tensor {
    if let Some(mistake) = options.refuse(name, &[x, target], &[Weight, Ignore, Smoothing]) {
        return mistake;
    }
    let weight = match class_weights(name, x, &options.weight) {
        Ok(weight) => weight,
        Err(mistake) => return mistake,
    };
    classified(name, x, target, |x| {
        let losses = |target: &Tensor| loss(x, target, options.label_smoothing, weight.as_ref());
        let Some(ignore) = options.ignore else { return losses(target) };
        // What is ignored still needs a class that there is.
        let (ignored, zero) = (ignored(target, ignore), target.zeros_like());
        let losses = losses(&ignored.select(&zero, target));
        ignored.select(&losses.zeros_like(), &losses)
    })
}

#[track_caller]
fn reduced_classes(losses: &Tensor, target: &Tensor, options: &LossOptions) -> Tensor {
    if options.ignore.is_none() && options.weight.is_none() {
        return options.reduction.of(losses);
    }
    options.reduction.of_weighed(losses, || {
        let dtype = wide(losses).dtype();
        let ignored = options.ignore.map(|number| ignored(target, number));
        let Some(weight) = &options.weight else {
            return match ignored {
                Some(ignored) => (!ignored).cast(dtype).sum(),
                None => Tensor::scalar(losses.len() as f64, dtype),
            };
        };
        let Some(ignored) = ignored else { return wide(weight).gather(target).sum() };
        let weights = wide(weight).gather(&ignored.select(&target.zeros_like(), target));
        ignored.select(&weights.zeros_like(), &weights).sum()
    })
}

/// Which targets are to be ignored. The number comes as data: a constant is made from a float,
/// which cannot name every i64.
fn ignored(target: &Tensor, number: i64) -> Tensor {
    target.cast(DType::I64).equal(&Tensor::from_slice(&[number], ()))
}

fn entropy_of_class(x: &Tensor, target: &Tensor, smoothing: f64, weight: Option<&Tensor>) -> Tensor {
    let last = last_axis(x);
    let row = Shifted::new(x, &last);
    let picked = pick(x, target, target.rank());
    // The maximum first: it is near to what was picked, and the logarithm may be tiny.
    let Some(weight) = weight else {
        let right = if smoothing == 0.0 { picked } else { picked * (1.0 - smoothing) + mean(x, &last) * smoothing };
        return row.sum.log() + (row.max - right);
    };
    let own = weight.gather(target) * (row.sum.log() + (row.max - picked));
    if smoothing == 0.0 { own } else { own * (1.0 - smoothing) - mean(&weight.scale(&x.log_softmax(-1)), &last) * smoothing }
}

/// Cross-entropy of logits with a distribution over the classes, both `[.., classes]`:
/// `-sum(target * log_softmax(logits))`, one loss for each distribution. A class of probability 0
/// contributes nothing, even at a logit of -inf.
#[track_caller]
pub fn cross_entropy_of_distributions_each(logits: &Tensor, target: &Tensor) -> Tensor {
    rowwise("cross_entropy_of_distributions", logits, target, |x, p| -sum(&p.scale(&x.log_softmax(-1)), &last_axis(x)))
}

/// [`cross_entropy_of_distributions_each`], reduced, with smoothed targets and with weights of classes, which each
/// class's part of the sum is multiplied by. The mean divides by the number of distributions. Takes `weight` and
/// `label_smoothing`.
#[track_caller]
pub fn cross_entropy_of_distributions_with(logits: &Tensor, target: &Tensor, options: &LossOptions) -> Tensor {
    let name = "cross_entropy_of_distributions";
    if let Some(mistake) = options.refuse(name, &[logits, target], &[Weight, Smoothing]) {
        return mistake;
    }
    let weight = match class_weights(name, logits, &options.weight) {
        Ok(weight) => weight,
        Err(mistake) => return mistake,
    };
    options.reduction.of(&rowwise(name, logits, target, |x, p| {
        let (smoothing, classes) = (options.label_smoothing, x.shape().last().copied().unwrap_or(1) as f64);
        let p = if smoothing == 0.0 { p.clone() } else { p * (1.0 - smoothing) + smoothing / classes };
        let p = weight.map_or_else(|| p.clone(), |weight| &p * weight);
        -sum(&p.scale(&x.log_softmax(-1)), &last_axis(x))
    }))
}

/// The divergence of Kullback and Leibler, `sum(target * (log(target) - log_probabilities))` over
/// the last axis: 0 where both are the same distribution. A target of probability 0 contributes nothing.
#[track_caller]
pub fn kl_div_each(log_probabilities: &Tensor, target: &Tensor) -> Tensor {
    rowwise("kl_div", log_probabilities, target, |x, p| sum(&p.scale(&(p.log() - x)), &last_axis(x)))
}

/// As [`kl_div_each`], with the logarithm of the target: `sum(exp(log_target) (log_target - log_probabilities))`. A
/// logarithm of -inf contributes nothing.
#[track_caller]
pub fn kl_div_of_logs_each(log_probabilities: &Tensor, log_target: &Tensor) -> Tensor {
    rowwise("kl_div_of_logs", log_probabilities, log_target, |x, t| {
        // A finite number in place of -inf: its probability is 0 all the same, and its derivative no NaN.
        let none = t.equal(&Tensor::full(t.shape(), f64::NEG_INFINITY, t.dtype()));
        let finite = none.select(&t.zeros_like(), t);
        let part = finite.exp() * (&finite - x);
        sum(&none.select(&t.zeros_like(), &part), &last_axis(x))
    })
}
