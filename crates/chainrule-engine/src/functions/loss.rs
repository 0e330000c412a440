//! Losses: one number for how far predictions are from targets.
//!
//! Each loss is the mean; the function with `_each` in its name gives the losses one by one, to be
//! weighed, masked or summed. Predictions and targets must have the same shape: a loss never
//! broadcasts, as `[n, 1]` against `[n]` would silently be `n * n` losses. f16 and bf16 are
//! computed in f32.

use super::softmax::Shifted;
use super::{disallowed, first_mistake, mean, misfit, recorded, refuse_mixed, refuse_unless_float, sum, wide};
use crate::ops::movement::Axes;
use crate::ops::{Gather, dtype_error};
use crate::tensor::{DType, Tensor};

/// What may be different about [`cross_entropy_with`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CrossEntropyOptions {
    /// This much of the target's weight is shared equally among all classes: 0 to 1.
    /// Szegedy et al., "Rethinking the Inception Architecture" (2016).
    pub label_smoothing: f64,
    /// Targets with this number have loss 0 and are not counted by the mean.
    pub ignore: Option<i64>,
}

macro_rules! means {
    ($($(#[$doc:meta])* $mean:ident of $each:ident ( $($argument:ident: $type:ty),* );)*) => {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $mean($($argument: $type),*) -> Tensor {
            average($each($($argument),*))
        }
    )*};
}

means! {
    /// The mean of squared differences.
    mse of mse_each(prediction: &Tensor, target: &Tensor);
    /// The mean of absolute differences; the derivative at 0 is 0.
    l1 of l1_each(prediction: &Tensor, target: &Tensor);
    /// The mean of [`huber_each`].
    huber of huber_each(prediction: &Tensor, target: &Tensor, delta: f64);
    /// The mean of [`smooth_l1_each`].
    smooth_l1 of smooth_l1_each(prediction: &Tensor, target: &Tensor, beta: f64);
    /// The mean of [`bce_with_logits_each`].
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::loss};
    /// let (x, y) = (Tensor::from_slice(&[40.0f64], [1]), Tensor::from_slice(&[1.0f64], [1]));
    /// assert_eq!(loss::bce_with_logits(&x, &y).item()?, (-40f64).exp());
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    bce_with_logits of bce_with_logits_each(logits: &Tensor, target: &Tensor);
    /// The mean of [`bce_each`].
    bce of bce_each(probabilities: &Tensor, target: &Tensor);
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
}

/// `(prediction - target)^2`.
#[track_caller]
pub fn mse_each(prediction: &Tensor, target: &Tensor) -> Tensor {
    pairwise("mse", prediction, target, |a, b| (a - b).square())
}

/// `|prediction - target|`.
#[track_caller]
pub fn l1_each(prediction: &Tensor, target: &Tensor) -> Tensor {
    pairwise("l1", prediction, target, |a, b| (a - b).abs())
}

/// `d^2 / 2` for a difference of `|d| <= delta`, beyond it the tangent `delta (|d| - delta / 2)`.
/// Huber, "Robust Estimation of a Location Parameter" (1964).
#[track_caller]
pub fn huber_each(prediction: &Tensor, target: &Tensor, delta: f64) -> Tensor {
    let positive = delta > 0.0;
    if !positive {
        return disallowed("huber", &[prediction, target], format!("delta is {delta}, and must be positive"));
    }
    pairwise("huber", prediction, target, |a, b| near_square(&(a - b), delta))
}

/// [`huber_each`] divided by `beta`: slope 1 beyond `beta`. With `beta` 0, the absolute difference.
#[track_caller]
pub fn smooth_l1_each(prediction: &Tensor, target: &Tensor, beta: f64) -> Tensor {
    let allowed = beta >= 0.0;
    if !allowed {
        return disallowed("smooth_l1", &[prediction, target], format!("beta is {beta}, and must not be negative"));
    }
    pairwise("smooth_l1", prediction, target, |a, b| if beta == 0.0 { (a - b).abs() } else { near_square(&(a - b), beta) / beta })
}

/// With the difference cut off at `delta`, both branches are one formula without a kink at 0.
fn near_square(difference: &Tensor, delta: f64) -> Tensor {
    let cut = difference.clamp(-delta, delta);
    &cut * (difference - &cut * 0.5)
}

/// Binary cross-entropy `-y log(s) - (1 - y) log(1 - s)` of the probability `s = sigmoid(logit)`,
/// for targets from 0 to 1. Exact where the loss is tiny, finite for every finite logit.
#[track_caller]
pub fn bce_with_logits_each(logits: &Tensor, target: &Tensor) -> Tensor {
    // `softplus(x) - x y` would cancel where x is large and y is 1. `scale` makes an infinite
    // logit on the right side cost nothing.
    pairwise("bce_with_logits", logits, target, |x, y| y.scale(&(-x).softplus()) + (1.0 - y).scale(&x.softplus()))
}

/// Binary cross-entropy `-y log(p) - (1 - y) log(1 - p)` of probabilities, for targets from 0 to 1.
///
/// Logarithms below -100 count as -100, and have derivative 0 there: at a `p` of exactly 0 or 1
/// the loss is finite and no gradient comes from the side that is wrong for sure. Prefer
/// [`bce_with_logits_each`].
#[track_caller]
pub fn bce_each(probabilities: &Tensor, target: &Tensor) -> Tensor {
    pairwise("bce", probabilities, target, |p, y| {
        let rest = 1.0 - p;
        -(y * bounded_log(p, &p.log()) + (1.0 - y) * bounded_log(&rest, &(-p).log1p()))
    })
}

/// `log`, the logarithm of `p`, but -100 where `p` is below `e^-100`.
fn bounded_log(p: &Tensor, log: &Tensor) -> Tensor {
    let low = p.less(&Tensor::full(p.shape(), (-100f64).exp(), p.dtype()));
    low.select(&Tensor::full(p.shape(), -100.0, p.dtype()), log)
}

/// Cross-entropy of logits `[.., classes]` with the number of the right class, i64 or i32, of
/// shape `[..]`: `logsumexp(logits) - logits[target]`, one loss for each target.
///
/// A logit of -inf is a class that cannot be.
#[track_caller]
pub fn cross_entropy_each(logits: &Tensor, target: &Tensor) -> Tensor {
    classified("cross_entropy", logits, target, |x| entropy_of_class(x, target, 0.0))
}

/// As [`cross_entropy_each`], with smoothed labels and with targets that are ignored.
///
/// Smoothing counts every class, so with it a logit of -inf makes the loss infinite.
#[track_caller]
pub fn cross_entropy_with_each(logits: &Tensor, target: &Tensor, options: &CrossEntropyOptions) -> Tensor {
    let smoothing = options.label_smoothing;
    if !(0.0..=1.0).contains(&smoothing) {
        return disallowed("cross_entropy", &[logits, target], format!("a label smoothing of {smoothing} is not from 0 to 1"));
    }
    classified("cross_entropy", logits, target, |x| {
        let Some(ignore) = options.ignore else { return entropy_of_class(x, target, smoothing) };
        // What is ignored still needs a class that there is.
        let (ignored, zero) = (ignored(target, ignore), target.zeros_like());
        let losses = entropy_of_class(x, &ignored.select(&zero, target), smoothing);
        ignored.select(&losses.zeros_like(), &losses)
    })
}

/// The mean of [`cross_entropy_with_each`] over the targets that are not ignored (NaN if all are).
#[track_caller]
pub fn cross_entropy_with(logits: &Tensor, target: &Tensor, options: &CrossEntropyOptions) -> Tensor {
    let losses = cross_entropy_with_each(logits, target, options);
    let Some(ignore) = options.ignore.filter(|_| losses.error().is_none()) else { return average(losses) };
    recorded(|| {
        let wide = wide(&losses);
        let counted = (!ignored(target, ignore)).cast(wide.dtype());
        (wide.sum() / counted.sum()).cast(losses.dtype())
    })
}

/// Which targets are to be ignored. The number comes as data: a constant is made from a float,
/// which cannot name every i64.
fn ignored(target: &Tensor, number: i64) -> Tensor {
    target.cast(DType::I64).equal(&Tensor::from_slice(&[number], ()))
}

fn entropy_of_class(x: &Tensor, target: &Tensor, smoothing: f64) -> Tensor {
    let last = last_axis(x);
    let row = Shifted::new(x, &last);
    let picked = pick(x, target);
    let right = if smoothing == 0.0 { picked } else { picked * (1.0 - smoothing) + mean(x, &last) * smoothing };
    // The maximum first: it is near to what was picked, and the logarithm may be tiny.
    row.sum.log() + (row.max - right)
}

/// Cross-entropy of logits with a distribution over the classes, both `[.., classes]`:
/// `-sum(target * log_softmax(logits))`, one loss for each distribution. A class of probability 0
/// contributes nothing, even at a logit of -inf.
#[track_caller]
pub fn cross_entropy_of_distributions_each(logits: &Tensor, target: &Tensor) -> Tensor {
    rowwise("cross_entropy_of_distributions", logits, target, |x, p| -sum(&p.scale(&x.log_softmax(-1)), &last_axis(x)))
}

/// `-log_probabilities[target]`: log-probabilities `[.., classes]` and the numbers of the right
/// classes, i64 or i32, of shape `[..]`.
#[track_caller]
pub fn nll_each(log_probabilities: &Tensor, target: &Tensor) -> Tensor {
    classified("nll", log_probabilities, target, |x| -pick(x, target))
}

/// The divergence of Kullback and Leibler, `sum(target * (log(target) - log_probabilities))` over
/// the last axis: 0 where both are the same distribution. A target of probability 0 contributes nothing.
#[track_caller]
pub fn kl_div_each(log_probabilities: &Tensor, target: &Tensor) -> Tensor {
    rowwise("kl_div", log_probabilities, target, |x, p| sum(&p.scale(&(p.log() - x)), &last_axis(x)))
}

#[track_caller]
fn average(losses: Tensor) -> Tensor {
    match losses.error() {
        Some(_) => losses,
        None => losses.mean(),
    }
}

fn last_axis(x: &Tensor) -> Axes {
    Axes::from_slice(&[x.rank().saturating_sub(1)])
}

/// Of each row, the element that `target` names.
fn pick(x: &Tensor, target: &Tensor) -> Tensor {
    Tensor::record(Gather { batch: target.rank() }, [x.clone(), target.clone()])
}

#[track_caller]
fn pairwise(name: &str, a: &Tensor, b: &Tensor, body: impl FnOnce(&Tensor, &Tensor) -> Tensor) -> Tensor {
    if let Some(mistake) = refuse_mixed(name, &[a, b]) {
        return mistake;
    }
    if a.shape() != b.shape() {
        return misfit(name, format!("predictions {:?} and targets {:?} differ in shape; reshape one of them", a.shape(), b.shape()));
    }
    recorded(|| body(&wide(a), &wide(b)).cast(a.dtype()))
}

#[track_caller]
fn rowwise(name: &str, a: &Tensor, b: &Tensor, body: impl FnOnce(&Tensor, &Tensor) -> Tensor) -> Tensor {
    match first_mistake(&[a, b]) {
        Some(mistake) => mistake,
        None if a.rank() == 0 || a.shape()[a.rank() - 1] == 0 => {
            misfit(name, format!("{:?} has no classes along its last axis", a.shape()))
        }
        None => pairwise(name, a, b, body),
    }
}

#[track_caller]
fn classified(name: &str, x: &Tensor, target: &Tensor, body: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    if let Some(mistake) = first_mistake(&[x, target]) {
        return mistake;
    }
    if let Some(mistake) = refuse_unless_float(name, x) {
        return mistake;
    }
    if !matches!(target.dtype(), DType::I64 | DType::I32) {
        let message = format!("a target is the number of a class, i64 or i32, this one is {}; convert with `cast`", target.dtype());
        return Tensor::poison(dtype_error(name, message));
    }
    if x.shape().split_last().is_none_or(|(&classes, rows)| classes == 0 || rows != target.shape()) {
        return misfit(name, format!("{:?} is not [.., classes] for targets [..] of {:?}", x.shape(), target.shape()));
    }
    recorded(|| body(&wide(x)).cast(x.dtype()))
}
