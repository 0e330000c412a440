//! Losses that are 0 once what is right is ahead by a margin.

use super::Takes::Weight;
use super::{LossOptions, alike, class_weights, classified, last_axis, means, pairwise, pick, refuse_unclassified, rowwise};
use crate::functions::{disallowed, mean, misfit, recorded, spread, sum, wide};
use crate::ops::movement::Axes;
use crate::tensor::{DType, Tensor};

/// What may be different about [`multi_margin`].
#[derive(Clone, Debug)]
pub struct MarginOptions {
    /// By how much the right class must be ahead.
    pub margin: f64,
    /// The power of what is missing: 1 or 2.
    pub p: u32,
    /// What the loss is multiplied by for each right class, `[classes]`.
    pub weight: Option<Tensor>,
}

impl Default for MarginOptions {
    fn default() -> Self {
        MarginOptions { margin: 1.0, p: 1, weight: None }
    }
}

means! {
    /// The mean of [`hinge_each`].
    hinge of hinge_each(scores: &Tensor, target: &Tensor);
    /// The mean of [`squared_hinge_each`].
    squared_hinge of squared_hinge_each(scores: &Tensor, target: &Tensor);
    /// The mean of [`margin_ranking_each`].
    margin_ranking of margin_ranking_each(first: &Tensor, second: &Tensor, target: &Tensor, margin: f64);
    /// The mean of [`hinge_embedding_each`].
    hinge_embedding of hinge_embedding_each(distance: &Tensor, target: &Tensor, margin: f64);
    /// The mean of [`multi_margin_each`].
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::loss};
    /// let (scores, target) = (Tensor::from([[0.5, 2.0, 0.0]]), Tensor::from_slice(&[0i64], [1]));
    /// assert_eq!(loss::multi_margin(&scores, &target, &Default::default()).item()?, (2.5 + 0.5f32) as f64 / 3.0);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    multi_margin of multi_margin_each(scores: &Tensor, target: &Tensor, options: &MarginOptions);
    /// The mean of [`multilabel_margin_each`].
    multilabel_margin of multilabel_margin_each(scores: &Tensor, target: &Tensor);
    /// The mean of [`multilabel_soft_margin_each`].
    multilabel_soft_margin of multilabel_soft_margin_each(scores: &Tensor, target: &Tensor);
}

/// `max(0, 1 - y x)` of a score and a target of 1 or -1; the derivative where `y x` is 1 is 0.
#[track_caller]
pub fn hinge_each(scores: &Tensor, target: &Tensor) -> Tensor {
    pairwise("hinge", scores, target, |x, y| (1.0 - x * y).relu())
}

/// [`hinge_each`] squared.
#[track_caller]
pub fn squared_hinge_each(scores: &Tensor, target: &Tensor) -> Tensor {
    pairwise("squared_hinge", scores, target, |x, y| (1.0 - x * y).relu().square())
}

/// `max(0, margin - y (first - second))`: a target of 1 wants the first above the second, -1 below.
#[track_caller]
pub fn margin_ranking_each(first: &Tensor, second: &Tensor, target: &Tensor, margin: f64) -> Tensor {
    if let Some(mistake) = refuse_margin("margin_ranking", &[first, second, target], margin) {
        return mistake;
    }
    alike("margin_ranking", &[first, second, target], |t| (margin - (&t[0] - &t[1]) * &t[2]).relu())
}

/// The distance itself where the target is 1, `max(0, margin - distance)` where it is -1. Of another target, both.
#[track_caller]
pub fn hinge_embedding_each(distance: &Tensor, target: &Tensor, margin: f64) -> Tensor {
    if let Some(mistake) = refuse_margin("hinge_embedding", &[distance, target], margin) {
        return mistake;
    }
    pairwise("hinge_embedding", distance, target, |x, y| {
        let (one, zero) = (y.ones_like(), y.zeros_like());
        y.equal(&one).select(&zero, &(margin - x).relu()) + y.equal(&-&one).select(&zero, x)
    })
}

/// `sum over the other classes c of w[target] max(0, margin - x[target] + x[c])^p / classes`: scores `[.., classes]`
/// and the numbers of the right classes `[..]`. Crammer and Singer, "On the Algorithmic Implementation of Multiclass
/// Kernel-based Vector Machines" (2001).
#[track_caller]
pub fn multi_margin_each(scores: &Tensor, target: &Tensor, options: &MarginOptions) -> Tensor {
    let (name, margin) = ("multi_margin", options.margin);
    if let Some(mistake) = refuse_margin(name, &[scores, target], margin) {
        return mistake;
    }
    if !matches!(options.p, 1 | 2) {
        return disallowed(name, &[scores, target], format!("the power is {}, and must be 1 or 2", options.p));
    }
    let weight = match class_weights(name, scores, &options.weight) {
        Ok(weight) => weight,
        Err(mistake) => return mistake,
    };
    classified(name, scores, target, |x| {
        let last = last_axis(x);
        let right = spread(&pick(x, target, target.rank()), &last, x.shape());
        let missing = (x - right + margin).relu();
        let missing = if options.p == 2 { missing.square() } else { missing };
        let own = one_hot(target, &last, x.shape());
        let loss = mean(&own.select(&x.zeros_like(), &missing), &last);
        weight.map_or_else(|| loss.clone(), |weight| weight.gather(target) * &loss)
    })
}

/// `sum over right classes j and wrong classes i of max(0, 1 - (x[j] - x[i])) / classes`. The target, of the shape
/// of the scores `[.., classes]`, lists the numbers of the right classes; the first -1 ends the list.
#[track_caller]
pub fn multilabel_margin_each(scores: &Tensor, target: &Tensor) -> Tensor {
    let name = "multilabel_margin";
    if let Some(mistake) = refuse_unclassified(name, scores, target) {
        return mistake;
    }
    if scores.rank() == 0 || scores.shape() != target.shape() || scores.shape().ends_with(&[0]) {
        return misfit(name, format!("scores {:?} and lists of classes {:?} are not both [.., classes]", scores.shape(), target.shape()));
    }
    recorded(|| {
        let (x, at) = (wide(scores), target.cast(DType::I64));
        let (last, rank) = (last_axis(&x), x.rank());
        let classes = x.shape()[rank - 1];
        let zero = at.zeros_like();
        let ended = zero.less(&at.less(&zero).cast(DType::I64).cumsum(-1));
        let at = ended.select(&zero, &at);
        // [.., listed, class]: what each listed class misses beside each class that is not listed.
        let pairs: Vec<usize> = [x.shape(), &[classes]].concat();
        let (within, across) = (Axes::from_slice(&[rank]), Axes::from_slice(&[rank - 1]));
        let right = spread(&pick(&x, &at, rank - 1), &within, &pairs);
        let missing = (1.0 - right + spread(&x, &across, &pairs)).relu();
        let counts = spread(&!&ended, &within, &pairs);
        let listed = (one_hot(&at, &within, &pairs) & &counts).cast(DType::I64);
        let wrong = spread(&sum(&listed, &across).equal(&zero), &across, &pairs);
        let missing = (counts & wrong).select(&missing, &missing.zeros_like());
        (sum(&sum(&missing, &within), &last) / classes as f64).cast(scores.dtype())
    })
}

/// The mean over the classes of the binary cross-entropy of each, `-y log(s) - (1 - y) log(1 - s)` with
/// `s = sigmoid(x)`: scores and targets `[.., classes]` give `[..]`.
#[track_caller]
pub fn multilabel_soft_margin_each(scores: &Tensor, target: &Tensor) -> Tensor {
    soft_margin_of_labels(scores, target, None)
}

/// As [`multilabel_soft_margin_each`], reduced. Takes `weight`, what each class is multiplied by.
#[track_caller]
pub fn multilabel_soft_margin_with(scores: &Tensor, target: &Tensor, options: &LossOptions) -> Tensor {
    let name = "multilabel_soft_margin";
    if let Some(mistake) = options.refuse(name, &[scores, target], &[Weight]) {
        return mistake;
    }
    match class_weights(name, scores, &options.weight) {
        Ok(weight) => options.reduction.of(&soft_margin_of_labels(scores, target, weight)),
        Err(mistake) => mistake,
    }
}

#[track_caller]
fn soft_margin_of_labels(scores: &Tensor, target: &Tensor, weight: Option<Tensor>) -> Tensor {
    rowwise("multilabel_soft_margin", scores, target, |x, y| {
        let each = super::bce_with_logits_each(x, y);
        mean(&weight.map_or_else(|| each.clone(), |weight| weight * &each), &last_axis(x))
    })
}

/// Where the index along `axis` of the shape is the number that stands in `target`, which lacks that axis.
fn one_hot(target: &Tensor, axis: &Axes, shape: &[usize]) -> Tensor {
    let place = crate::ops::Iota { axis: axis[0], ty: crate::tensor::Type::new(shape, DType::I64) };
    Tensor::record(place, []).equal(&spread(&target.cast(DType::I64), axis, shape))
}

#[track_caller]
pub(super) fn refuse_margin(name: &str, inputs: &[&Tensor], margin: f64) -> Option<Tensor> {
    if margin.is_finite() { None } else { Some(disallowed(name, inputs, format!("the margin is {margin}, and must be a number"))) }
}
