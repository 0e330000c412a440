//! Losses of numbers: differences, and likelihoods of counts and measurements.

use super::{alike, broadcasts, means, pairwise};
use crate::functions::{disallowed, misfit, recorded, refuse_mixed, wide};
use crate::tensor::Tensor;
use std::f64::consts::TAU;

/// What may be different about [`poisson_nll`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoissonNllOptions {
    /// Whether predictions are logarithms of rates, and not rates.
    pub log_input: bool,
    /// Whether `log(target!)` is added, by Stirling's formula, where the target is above 1.
    pub full: bool,
    /// Added to rates before their logarithm is taken.
    pub eps: f64,
}

impl Default for PoissonNllOptions {
    fn default() -> Self {
        PoissonNllOptions { log_input: true, full: false, eps: 1e-8 }
    }
}

/// What may be different about [`gaussian_nll`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianNllOptions {
    /// Whether the constant `log(2 pi) / 2` is added.
    pub full: bool,
    /// What smaller variances count as.
    pub eps: f64,
}

impl Default for GaussianNllOptions {
    fn default() -> Self {
        GaussianNllOptions { full: false, eps: 1e-6 }
    }
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
    /// The mean of [`poisson_nll_each`].
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::loss};
    /// let (log_rate, count) = (Tensor::from([0.0]), Tensor::from([3.0]));
    /// assert_eq!(loss::poisson_nll(&log_rate, &count, &Default::default()).item()?, 1.0);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    poisson_nll of poisson_nll_each(prediction: &Tensor, target: &Tensor, options: &PoissonNllOptions);
    /// The mean of [`gaussian_nll_each`].
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::loss};
    /// let (x, y, variance) = (Tensor::from([1.0]), Tensor::from([3.0]), Tensor::from([1.0]));
    /// assert_eq!(loss::gaussian_nll(&x, &y, &variance, &Default::default()).item()?, 2.0);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    gaussian_nll of gaussian_nll_each(prediction: &Tensor, target: &Tensor, variance: &Tensor, options: &GaussianNllOptions);
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

/// The negative log-likelihood of counts under Poisson distributions, without its constant: `exp(x) - y x` of
/// the logarithm `x` of a rate, or `x - y log(x + eps)` of a rate. Stirling's formula for the constant is
/// `y log(y) - y + log(2 pi y) / 2`.
#[track_caller]
pub fn poisson_nll_each(prediction: &Tensor, target: &Tensor, options: &PoissonNllOptions) -> Tensor {
    let PoissonNllOptions { log_input, full, eps } = *options;
    if eps < 0.0 || !eps.is_finite() {
        return disallowed("poisson_nll", &[prediction, target], format!("eps is {eps}, and must be 0 or a positive number"));
    }
    pairwise("poisson_nll", prediction, target, |x, y| {
        // `scale`: a count of 0 costs the rate alone, also where that is 0.
        let loss = if log_input { x.exp() - y.scale(x) } else { x - y.scale(&(x + eps).log()) };
        if !full {
            return loss;
        }
        let above = y.ones_like().less(y);
        // The logarithm of what is not above 1 must not reach the derivative.
        let safe = above.select(y, &y.ones_like());
        let stirling = &safe * safe.log() - &safe + (&safe * TAU).log() * 0.5;
        loss + above.select(&stirling, &y.zeros_like())
    })
}

/// The negative log-likelihood of a measurement under a normal distribution, without its constant:
/// `(log(v) + (x - y)^2 / v) / 2`. The variance broadcasts to the prediction.
/// Nix and Weigend, "Estimating the mean and variance of the target probability distribution" (1994).
///
/// A variance below `eps` counts as `eps`, and has the derivative there, so that it can grow again. A negative
/// one gives NaN.
#[track_caller]
pub fn gaussian_nll_each(prediction: &Tensor, target: &Tensor, variance: &Tensor, options: &GaussianNllOptions) -> Tensor {
    let GaussianNllOptions { full, eps } = *options;
    let positive = eps > 0.0 && eps.is_finite();
    if !positive {
        return disallowed("gaussian_nll", &[prediction, target, variance], format!("eps is {eps}, and must be positive"));
    }
    if let Some(mistake) = refuse_mixed("gaussian_nll", &[prediction, target, variance]) {
        return mistake;
    }
    if !broadcasts(variance, prediction.shape()) {
        return misfit("gaussian_nll", format!("variances {:?} do not broadcast to {:?}", variance.shape(), prediction.shape()));
    }
    let variance = recorded(|| wide(variance).broadcast_to(prediction.shape()).cast(prediction.dtype()));
    alike("gaussian_nll", &[prediction, target, &variance], |t| {
        let v = &t[2];
        let negative = v.less(&v.zeros_like());
        let floored = negative.select(&Tensor::full(v.shape(), f64::NAN, v.dtype()), &v.clamp_min(eps)).detach();
        let v = floored + (v - v.detach());
        let loss = (v.log() + (&t[0] - &t[1]).square() / v) * 0.5;
        if full { loss + 0.5 * TAU.ln() } else { loss }
    })
}
