//! Losses of embeddings: vectors along the last axis that should be near to each other, or far.

use super::margin::refuse_margin;
use super::{alike, last_axis, means};
use crate::functions::{disallowed, max, misfit, recorded, refuse_mixed, safe_sqrt, sum, wide};
use crate::tensor::Tensor;

/// What may be different about [`triplet_margin`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripletOptions {
    /// By how much the negative must be farther away than the positive.
    pub margin: f64,
    /// The norm of distances: 1 or more, or infinity.
    pub p: f64,
    /// Added to differences, so that no distance is 0.
    pub eps: f64,
    /// Whether the negative's distance is the smaller of those from the anchor and from the positive.
    pub swap: bool,
}

impl Default for TripletOptions {
    fn default() -> Self {
        TripletOptions { margin: 1.0, p: 2.0, eps: 1e-6, swap: false }
    }
}

means! {
    /// The mean of [`cosine_embedding_each`].
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::loss};
    /// let (a, b) = (Tensor::from([[1.0, 0.0]]), Tensor::from([[0.0, 2.0]]));
    /// assert_eq!(loss::cosine_embedding(&a, &b, &Tensor::from([1.0]), 0.0).item()?, 1.0);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    cosine_embedding of cosine_embedding_each(first: &Tensor, second: &Tensor, target: &Tensor, margin: f64);
    /// The mean of [`triplet_margin_each`].
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::loss};
    /// let (a, p, n) = (Tensor::from([[0.0f32, 0.0]]), Tensor::from([[3.0, 4.0]]), Tensor::from([[0.0, 1.0]]));
    /// assert!((loss::triplet_margin(&a, &p, &n, &Default::default()).item()? - 5.0).abs() < 1e-5);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    triplet_margin of triplet_margin_each(anchor: &Tensor, positive: &Tensor, negative: &Tensor, options: &TripletOptions);
}

/// With the cosine of the angle between two vectors `[.., width]`: `1 - cos` where the target `[..]` is 1,
/// `max(0, cos - margin)` where it is -1, and 0 where it is anything else. 1e-12 is added to squared lengths.
#[track_caller]
pub fn cosine_embedding_each(first: &Tensor, second: &Tensor, target: &Tensor, margin: f64) -> Tensor {
    let name = "cosine_embedding";
    if let Some(mistake) = refuse_margin(name, &[first, second, target], margin) {
        return mistake;
    }
    if let Some(mistake) = refuse_mixed(name, &[first, second, target]) {
        return mistake;
    }
    if first.shape() != second.shape() || first.shape().split_last().is_none_or(|(_, rows)| rows != target.shape()) {
        let message =
            format!("{:?}, {:?} and targets {:?} are not [.., width] twice and [..]", first.shape(), second.shape(), target.shape());
        return misfit(name, message);
    }
    recorded(|| {
        let (a, b, y) = (wide(first), wide(second), wide(target));
        let along = |x: Tensor| sum(&x, &last_axis(first));
        let lengths = (along(a.square()) + 1e-12) * (along(b.square()) + 1e-12);
        let cosine = along(&a * &b) / lengths.sqrt();
        let (one, zero) = (y.ones_like(), y.zeros_like());
        let apart = y.equal(&-&one).select(&(&cosine - margin).relu(), &zero);
        y.equal(&one).select(&(1.0 - cosine), &apart).cast(first.dtype())
    })
}

/// `max(0, margin + |anchor - positive| - |anchor - negative|)` with the `p` norm of vectors `[.., width]`.
/// Balntas et al., "Learning local feature descriptors with triplets and shallow convolutional neural networks" (2016).
#[track_caller]
pub fn triplet_margin_each(anchor: &Tensor, positive: &Tensor, negative: &Tensor, options: &TripletOptions) -> Tensor {
    let (name, all) = ("triplet_margin", [anchor, positive, negative]);
    let TripletOptions { margin, p, eps, swap } = *options;
    if let Some(mistake) = refuse_margin(name, &all, margin) {
        return mistake;
    }
    let sane = p >= 1.0 && eps >= 0.0 && eps.is_finite();
    if !sane {
        return disallowed(name, &all, format!("the norm is {p} and eps {eps}; they must be at least 1 and 0"));
    }
    if anchor.error().is_none() && (anchor.rank() == 0 || anchor.shape().ends_with(&[0])) {
        return misfit(name, format!("{:?} is not [.., width]", anchor.shape()));
    }
    alike(name, &all, |t| {
        let distance = |a: &Tensor, b: &Tensor| length(&(a - b + eps), p);
        let (near, far) = (distance(&t[0], &t[1]), distance(&t[0], &t[2]));
        let far = if swap { far.minimum(&distance(&t[1], &t[2])) } else { far };
        (near - far + margin).relu()
    })
}

/// The `p` norm along the last axis, with derivative 0 at the zero vector.
fn length(x: &Tensor, p: f64) -> Tensor {
    let last = last_axis(x);
    if p == 1.0 {
        return sum(&x.abs(), &last);
    }
    if p == 2.0 {
        return safe_sqrt(&sum(&x.square(), &last));
    }
    if p.is_infinite() {
        return max(&x.abs(), &last);
    }
    let powers = sum(&x.abs().powf(p), &last);
    let none = powers.equal(&powers.zeros_like());
    none.select(&powers.zeros_like(), &none.select(&powers.ones_like(), &powers).powf(1.0 / p))
}
