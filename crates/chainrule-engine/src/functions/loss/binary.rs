//! Losses of one yes or no: cross-entropy of probabilities and of logits, and relatives.

use super::Takes::{PosWeight, Weight};
use super::{LossOptions, element_weights, means, pairwise};
use crate::functions::disallowed;
use crate::tensor::Tensor;

means! {
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
    /// The mean of [`soft_margin_each`].
    soft_margin of soft_margin_each(scores: &Tensor, target: &Tensor);
    /// The mean of [`focal_each`].
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::loss};
    /// let (x, y) = (Tensor::from([2.0]), Tensor::from([1.0]));
    /// assert!(loss::focal(&x, &y, 2.0, None).item()? < 0.1 * loss::bce_with_logits(&x, &y).item()?);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    focal of focal_each(logits: &Tensor, target: &Tensor, gamma: f64, alpha: Option<f64>);
}

/// Binary cross-entropy `-y log(s) - (1 - y) log(1 - s)` of the probability `s = sigmoid(logit)`,
/// for targets from 0 to 1. Exact where the loss is tiny, finite for every finite logit.
#[track_caller]
pub fn bce_with_logits_each(logits: &Tensor, target: &Tensor) -> Tensor {
    pairwise("bce_with_logits", logits, target, |x, y| entropy(x, y, None))
}

/// As [`bce_with_logits_each`], reduced. Takes `weight`, what each element counts for, and `pos_weight`, what
/// the side of `y` is multiplied by: `weight (-pos_weight y log(s) - (1 - y) log(1 - s))`. The mean divides by
/// the number of elements.
#[track_caller]
pub fn bce_with_logits_with(logits: &Tensor, target: &Tensor, options: &LossOptions) -> Tensor {
    weighed("bce_with_logits", logits, target, options, true, entropy)
}

fn entropy(x: &Tensor, y: &Tensor, positive: Option<&Tensor>) -> Tensor {
    // What both sides have in common, and what the one that is wrong has besides, each without a difference: the loss has all
    // digits where it is tiny, and its derivative by the target where the logit is. At 0 both branches have the same
    // derivatives. `scale` makes an infinite logit on the right side cost nothing.
    let below = x.less(&x.zeros_like());
    let against = below.select(x, &-x);
    let rest = 1.0 - y;
    match positive {
        None => against.softplus() - below.select(y, &rest).scale(&against),
        Some(positive) => {
            let counted = y * positive;
            (&counted + &rest) * against.softplus() - below.select(&counted, &rest).scale(&against)
        }
    }
}

/// Binary cross-entropy `-y log(p) - (1 - y) log(1 - p)` of probabilities, for targets from 0 to 1.
///
/// Logarithms below -100 count as -100, and have derivative 0 there: at a `p` of exactly 0 or 1
/// the loss is finite and no gradient comes from the side that is wrong for sure. Prefer
/// [`bce_with_logits_each`].
#[track_caller]
pub fn bce_each(probabilities: &Tensor, target: &Tensor) -> Tensor {
    pairwise("bce", probabilities, target, |p, y| entropy_of_probability(p, y, None))
}

/// As [`bce_each`], reduced. Takes `weight`, what each element counts for; the mean divides by the number of
/// elements.
#[track_caller]
pub fn bce_with(probabilities: &Tensor, target: &Tensor, options: &LossOptions) -> Tensor {
    weighed("bce", probabilities, target, options, false, entropy_of_probability)
}

fn entropy_of_probability(p: &Tensor, y: &Tensor, _: Option<&Tensor>) -> Tensor {
    let rest = 1.0 - p;
    -(y * bounded_log(p, &p.log()) + (1.0 - y) * bounded_log(&rest, &(-p).log1p()))
}

/// `log`, the logarithm of `p`, but -100 where `p` is below `e^-100`.
fn bounded_log(p: &Tensor, log: &Tensor) -> Tensor {
    let low = p.less(&Tensor::full(p.shape(), (-100f64).exp(), p.dtype()));
    low.select(&Tensor::full(p.shape(), -100.0, p.dtype()), log)
}

#[track_caller]
fn weighed(
    name: &str,
    x: &Tensor,
    y: &Tensor,
    options: &LossOptions,
    positive: bool,
    loss: fn(&Tensor, &Tensor, Option<&Tensor>) -> Tensor,
) -> Tensor {
    if let Some(mistake) = options.refuse(name, &[x, y], if positive { &[Weight, PosWeight] } else { &[Weight] }) {
        return mistake;
    }
    let (weight, positive) = match (element_weights(name, x, &options.weight), element_weights(name, x, &options.pos_weight)) {
        (Ok(weight), Ok(positive)) => (weight, positive),
        (Err(mistake), _) | (_, Err(mistake)) => return mistake,
    };
    options.reduction.of(&pairwise(name, x, y, |x, y| {
        let losses = loss(x, y, positive.as_ref());
        weight.map_or_else(|| losses.clone(), |weight| weight * &losses)
    }))
}

/// `log(1 + exp(-y x))` of a score and a target of 1 or -1.
#[track_caller]
pub fn soft_margin_each(scores: &Tensor, target: &Tensor) -> Tensor {
    pairwise("soft_margin", scores, target, |x, y| (-(x * y)).softplus())
}

/// [`bce_with_logits_each`] times `(1 - p)^gamma`, where `p` is the probability of what is right: what is
/// nearly right counts for little. With `alpha`, positive targets count `alpha`, negative ones `1 - alpha`.
/// Lin et al., "Focal Loss for Dense Object Detection" (2017).
#[track_caller]
pub fn focal_each(logits: &Tensor, target: &Tensor, gamma: f64, alpha: Option<f64>) -> Tensor {
    let allowed = gamma >= 0.0 && gamma.is_finite();
    if !allowed {
        return disallowed("focal", &[logits, target], format!("gamma is {gamma}, and must be 0 or a positive number"));
    }
    if let Some(alpha) = alpha.filter(|alpha| !(0.0..=1.0).contains(alpha)) {
        return disallowed("focal", &[logits, target], format!("alpha is {alpha}, and must be from 0 to 1"));
    }
    pairwise("focal", logits, target, |x, y| {
        let mut loss = entropy(x, y, None);
        if gamma > 0.0 {
            let wrong = y * (-x).sigmoid() + (1.0 - y) * x.sigmoid();
            // A power of what underflowed has an infinite derivative, the loss there none.
            let none = wrong.equal(&wrong.zeros_like());
            let power = none.select(&wrong.ones_like(), &wrong).powf(gamma);
            loss = none.select(&loss.zeros_like(), &(loss * power));
        }
        match alpha {
            Some(alpha) => loss * (y * alpha + (1.0 - y) * (1.0 - alpha)),
            None => loss,
        }
    })
}
