//! Losses: one number for how far predictions are from targets.
//!
//! Each loss is the mean; the function with `_each` in its name gives the losses one by one, to be
//! weighed, masked or summed. Those whose mean is weighed, or which have options of their own, end in
//! `_with` and take [`LossOptions`]. Predictions and targets must have the same shape: a loss never
//! broadcasts, as `[n, 1]` against `[n]` would silently be `n * n` losses. Classes are along the last
//! axis. f16 and bf16 are computed in f32.

mod binary;
mod classes;
mod ctc;
mod distance;
mod margin;
mod regression;

pub use binary::{
    bce, bce_each, bce_with, bce_with_logits, bce_with_logits_each, bce_with_logits_with, focal, focal_each, soft_margin, soft_margin_each,
};
pub use classes::{
    cross_entropy, cross_entropy_each, cross_entropy_of_distributions, cross_entropy_of_distributions_each,
    cross_entropy_of_distributions_with, cross_entropy_with, cross_entropy_with_each, kl_div, kl_div_each, kl_div_of_logs,
    kl_div_of_logs_each, nll, nll_each, nll_with,
};
pub use ctc::{CtcOptions, ctc, ctc_each};
pub use distance::{TripletOptions, cosine_embedding, cosine_embedding_each, triplet_margin, triplet_margin_each};
pub use margin::{
    MarginOptions, hinge, hinge_each, hinge_embedding, hinge_embedding_each, margin_ranking, margin_ranking_each, multi_margin,
    multi_margin_each, multilabel_margin, multilabel_margin_each, multilabel_soft_margin, multilabel_soft_margin_each,
    multilabel_soft_margin_with, squared_hinge, squared_hinge_each,
};
pub use regression::{
    GaussianNllOptions, PoissonNllOptions, gaussian_nll, gaussian_nll_each, huber, huber_each, l1, l1_each, mse, mse_each, poisson_nll,
    poisson_nll_each, smooth_l1, smooth_l1_each,
};

use super::{disallowed, first_mistake, misfit, recorded, refuse_mixed, refuse_unless_float, wide};
use crate::ops::movement::Axes;
use crate::ops::{Gather, dtype_error};
use crate::tensor::{DType, Tensor};

/// What becomes of the losses of single examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// They stay one by one.
    None,
    /// Their mean; of classes that are weighed, divided by the sum of the weights.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// What may be different about a loss whose name ends in `_with`. Each says which it takes, and refuses the others.
#[derive(Clone, Debug, Default)]
pub struct LossOptions {
    /// What becomes of the losses of single examples.
    pub reduction: Reduction,
    /// The weight of each class `[classes]`, or of each element (anything that broadcasts to the losses) where
    /// the loss is binary.
    pub weight: Option<Tensor>,
    /// What a positive target counts for beside a negative one: broadcasts to the targets.
    pub pos_weight: Option<Tensor>,
    /// Targets with this number have loss 0 and are not counted by the mean.
    pub ignore: Option<i64>,
    /// This much of the target's weight is shared equally among all classes: 0 to 1.
    /// Szegedy et al., "Rethinking the Inception Architecture" (2016).
    pub label_smoothing: f64,
}

/// The options of which a loss takes some.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Weight,
    PosWeight,
    Ignore,
    Smoothing,
}

impl Reduction {
    /// The losses reduced: themselves, their mean, their sum.
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::loss::{Reduction, l1_each}};
    /// let (x, y) = (Tensor::from([1.0, 5.0]), Tensor::from([0.0, 2.0]));
    /// assert_eq!(Reduction::Sum.of(&l1_each(&x, &y)).item()?, 4.0);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn of(self, losses: &Tensor) -> Tensor {
        match self {
            _ if losses.error().is_some() => losses.clone(),
            Reduction::None => losses.clone(),
            Reduction::Mean => losses.mean(),
            Reduction::Sum => recorded(|| wide(losses).sum().cast(losses.dtype())),
        }
    }

    /// As [`Reduction::of`], the mean being the sum divided by `total`, which is in a wide type.
    #[track_caller]
    fn of_weighed(self, losses: &Tensor, total: impl FnOnce() -> Tensor) -> Tensor {
        match self {
            Reduction::Mean if losses.error().is_none() => recorded(|| (wide(losses).sum() / total()).cast(losses.dtype())),
            other => other.of(losses),
        }
    }
}

impl LossOptions {
    /// The poisoned tensor to return where an option is none that the loss takes, or out of range.
    #[track_caller]
    fn refuse(&self, name: &str, inputs: &[&Tensor], takes: &[Takes]) -> Option<Tensor> {
        let given = [
            (Takes::Weight, self.weight.is_some(), "weight"),
            (Takes::PosWeight, self.pos_weight.is_some(), "pos_weight"),
            (Takes::Ignore, self.ignore.is_some(), "ignore"),
            (Takes::Smoothing, self.label_smoothing != 0.0, "label_smoothing"),
        ];
        if let Some((.., option)) = given.iter().find(|(kind, given, _)| *given && !takes.contains(kind)) {
            return Some(disallowed(name, inputs, format!("takes no {option}; leave it as it is by default")));
        }
        let smoothing = self.label_smoothing;
        if !(0.0..=1.0).contains(&smoothing) {
            return Some(disallowed(name, inputs, format!("a label smoothing of {smoothing} is not from 0 to 1")));
        }
        None
    }
}

macro_rules! means {
    ($($(#[$doc:meta])* $mean:ident of $each:ident ( $($argument:ident: $type:ty),* );)*) => {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $mean($($argument: $type),*) -> Tensor {
            super::Reduction::Mean.of(&$each($($argument),*))
        }
    )*};
}
use means;

fn last_axis(x: &Tensor) -> Axes {
    Axes::from_slice(&[x.rank().saturating_sub(1)])
}

/// Of each row, the elements that `target` names.
fn pick(x: &Tensor, target: &Tensor, batch: usize) -> Tensor {
    Tensor::record(Gather { batch }, [x.clone(), target.clone()])
}

/// A loss of tensors of one shape and type.
#[track_caller]
fn alike(name: &str, inputs: &[&Tensor], body: impl FnOnce(&[Tensor]) -> Tensor) -> Tensor {
    if let Some(mistake) = refuse_mixed(name, inputs) {
        return mistake;
    }
    if let Some(other) = inputs.iter().find(|t| t.shape() != inputs[0].shape()) {
        return misfit(name, format!("{:?} and {:?} differ in shape; reshape one of them", inputs[0].shape(), other.shape()));
    }
    recorded(|| body(&inputs.iter().map(|t| wide(t)).collect::<Vec<_>>()).cast(inputs[0].dtype()))
}

#[track_caller]
fn pairwise(name: &str, a: &Tensor, b: &Tensor, body: impl FnOnce(&Tensor, &Tensor) -> Tensor) -> Tensor {
    alike(name, &[a, b], |t| body(&t[0], &t[1]))
}

/// A loss of rows, which lie along the last axis.
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

/// A loss of rows and the numbers of their classes.
#[track_caller]
fn classified(name: &str, x: &Tensor, target: &Tensor, body: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    if let Some(mistake) = refuse_unclassified(name, x, target) {
        return mistake;
    }
    if x.shape().split_last().is_none_or(|(&classes, rows)| classes == 0 || rows != target.shape()) {
        return misfit(name, format!("{:?} is not [.., classes] for targets [..] of {:?}", x.shape(), target.shape()));
    }
    recorded(|| body(&wide(x)).cast(x.dtype()))
}

/// The poisoned tensor to return unless `x` is of floats and `target` of numbers of classes.
#[track_caller]
fn refuse_unclassified(name: &str, x: &Tensor, target: &Tensor) -> Option<Tensor> {
    if let Some(mistake) = first_mistake(&[x, target]) {
        return Some(mistake);
    }
    if let Some(mistake) = refuse_unless_float(name, x) {
        return Some(mistake);
    }
    if matches!(target.dtype(), DType::I64 | DType::I32) {
        return None;
    }
    let message = format!("a target is the number of a class, i64 or i32, this one is {}; convert with `cast`", target.dtype());
    Some(Tensor::poison(dtype_error(name, message)))
}

/// The weights of classes in the type the loss is computed in, after checking that they are `[classes]`.
#[track_caller]
fn class_weights(name: &str, x: &Tensor, weight: &Option<Tensor>) -> Result<Option<Tensor>, Tensor> {
    let Some(weight) = weight else { return Ok(None) };
    if let Some(mistake) = refuse_mixed(name, &[x, weight]) {
        return Err(mistake);
    }
    let classes = x.shape().last().copied().unwrap_or(0);
    if *weight.shape() != [classes] {
        return Err(misfit(name, format!("weights {:?} are not one for each of the {classes} classes of {:?}", weight.shape(), x.shape())));
    }
    Ok(Some(wide(weight)))
}

/// Weights of elements in the type the loss is computed in, after checking that they broadcast to `x`.
#[track_caller]
fn element_weights(name: &str, x: &Tensor, weight: &Option<Tensor>) -> Result<Option<Tensor>, Tensor> {
    let Some(weight) = weight else { return Ok(None) };
    if let Some(mistake) = refuse_mixed(name, &[x, weight]) {
        return Err(mistake);
    }
    if !broadcasts(weight, x.shape()) {
        return Err(misfit(name, format!("weights {:?} do not broadcast to {:?}", weight.shape(), x.shape())));
    }
    Ok(Some(wide(weight).broadcast_to(x.shape())))
}

/// Whether a tensor can be repeated to fill the shape.
fn broadcasts(t: &Tensor, shape: &[usize]) -> bool {
    crate::tensor::shape::broadcast_shapes(t.shape(), shape).is_ok_and(|joint| joint[..] == *shape)
}
