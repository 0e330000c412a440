//! Reductions along axes: means, variances, norms, products, counts.
//!
//! Each comes three times: over all elements, `_over` some axes (which are removed), and `_keep`,
//! which leaves those axes with size 1.

use super::extreme::turned;
use super::softmax::logsumexp;
use super::{
    count, kept_shape, max, mean, misfit, part, recorded, refuse_unless_float, resolve_axes, safe_sqrt, sign_of, spread, sum, wide,
};
use crate::ops::movement::Axes;
use crate::ops::{CustomRule, dtype_error};
use crate::tensor::{DType, Result, Tensor};
use crate::transform::custom_derivative;

/// Which element types a reduction takes.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    /// Floats; f16 and bf16 are computed in f32.
    Floats,
    /// All but bool.
    Numbers,
    /// Anything.
    Any,
}

#[track_caller]
fn reduce(name: &str, x: &Tensor, axes: Option<&[isize]>, keep: bool, of: Of, body: &dyn Fn(&Tensor, &Axes) -> Tensor) -> Tensor {
    let resolved = match axes {
        Some(axes) => resolve_axes(name, x, axes),
        None => Ok((0..x.rank()).collect()),
    };
    let axes = match resolved {
        Ok(axes) => axes,
        Err(mistake) => return mistake,
    };
    if let Some(mistake) = if of == Of::Floats { refuse_unless_float(name, x) } else { super::first_mistake(&[x]) } {
        return mistake;
    }
    if of == Of::Numbers && x.dtype() == DType::Bool {
        return Tensor::poison(dtype_error(name, "takes numbers, not bool; convert with `cast`".into()));
    }
    recorded(|| {
        let reduced = if of == Of::Floats { body(&wide(x), &axes).cast(x.dtype()) } else { body(x, &axes) };
        if keep && reduced.error().is_none() { reduced.reshape(kept_shape(x.shape(), &axes)) } else { reduced }
    })
}

macro_rules! reductions {
    ($($what:literal $of:ident $all:ident $over:ident $keep:ident => $body:expr;)*) => {
        impl Tensor {$(
            #[doc = concat!($what, " of all elements, a scalar.")]
            #[track_caller]
            pub fn $all(&self) -> Tensor {
                reduce(stringify!($all), self, None, false, Of::$of, &$body)
            }
            #[doc = concat!($what, " along the axes, which are removed.")]
            #[track_caller]
            pub fn $over(&self, axes: &[isize]) -> Tensor {
                reduce(stringify!($all), self, Some(axes), false, Of::$of, &$body)
            }
            #[doc = concat!($what, " along the axes, which are kept with size 1.")]
            #[track_caller]
            pub fn $keep(&self, axes: &[isize]) -> Tensor {
                reduce(stringify!($all), self, Some(axes), true, Of::$of, &$body)
            }
        )*}
    };
}

reductions! {
    "The mean (NaN of no elements)" Floats mean mean_over mean_keep => mean;
    "The smallest (NaN if there is one; ties share the derivative)" Numbers min min_over min_keep => minimum;
    "The product, with exact derivatives also at zeros," Numbers prod prod_over prod_keep => product;
    "The sum of what is not NaN" Numbers nansum nansum_over nansum_keep => |x, axes| sum(&instead_of_nan(x, 0.0), axes);
    "The mean of what is not NaN (NaN of no such elements)" Floats nanmean nanmean_over nanmean_keep => |x, axes| {
        sum(&instead_of_nan(x, 0.0), axes) / sum(&(!x.is_nan()).cast(x.dtype()), axes)
    };
    "The largest that is not NaN (NaN of no such elements; ties share the derivative)" Numbers nanmax nanmax_over nanmax_keep => |x, axes| {
        extreme_of_numbers("nanmax", x, axes, f64::NEG_INFINITY, max)
    };
    "The smallest that is not NaN (NaN of no such elements; ties share the derivative)" Numbers nanmin nanmin_over nanmin_keep => |x, axes| {
        extreme_of_numbers("nanmin", x, axes, f64::INFINITY, minimum)
    };
    "The Euclidean norm, with derivative 0 at the zero vector," Floats norm norm_over norm_keep => |x, axes| safe_sqrt(&sum(&x.square(), axes));
    "The sum of absolute values" Floats l1_norm l1_norm_over l1_norm_keep => |x, axes| sum(&x.abs(), axes);
    "The largest absolute value (ties share the derivative)" Floats max_norm max_norm_over max_norm_keep => |x, axes| max(&x.abs(), axes);
    "`log(sum(exp(x)))`, without overflow and exact near 0 (of -inf alone: -inf, with derivative 0)," Floats logsumexp logsumexp_over logsumexp_keep => logsumexp;
    "Whether any is true (or not 0)" Any any any_over any_keep => |x, axes| some(&nonzero(x), axes);
    "Whether every one is true (or not 0)" Any all all_over all_keep => |x, axes| !some(&!nonzero(x), axes);
    "How many are true (or not 0), as i64," Any count_nonzero count_nonzero_over count_nonzero_keep => |x, axes| sum(&nonzero(x).cast(DType::I64), axes);
}

impl Tensor {
    /// Sums over the axes, which are kept with size 1.
    #[track_caller]
    pub fn sum_keep(&self, axes: &[isize]) -> Tensor {
        reduce("sum", self, Some(axes), true, Of::Numbers, &sum)
    }

    /// The largest elements along the axes, which are kept with size 1. Ties share the derivative.
    #[track_caller]
    pub fn max_keep(&self, axes: &[isize]) -> Tensor {
        reduce("max", self, Some(axes), true, Of::Numbers, &max)
    }

    /// The variance of all elements: squared distances from the mean, summed and divided by
    /// `n - correction`. 0 gives the variance of these numbers, 1 the unbiased estimate of the
    /// variance of what they were drawn from. NaN if `n` is no more than `correction`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from_slice(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0], [3]);
    /// assert_eq!(x.var(0).item()?, 2.0 / 3.0);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn var(&self, correction: usize) -> Tensor {
        reduce("var", self, None, false, Of::Floats, &|x, axes| variance(x, axes, correction))
    }

    /// As [`Tensor::var`], along the axes, which are removed.
    #[track_caller]
    pub fn var_over(&self, axes: &[isize], correction: usize) -> Tensor {
        reduce("var", self, Some(axes), false, Of::Floats, &|x, axes| variance(x, axes, correction))
    }

    /// As [`Tensor::var`], along the axes, which are kept with size 1.
    #[track_caller]
    pub fn var_keep(&self, axes: &[isize], correction: usize) -> Tensor {
        reduce("var", self, Some(axes), true, Of::Floats, &|x, axes| variance(x, axes, correction))
    }

    /// The square root of [`Tensor::var`]. Its derivative where all elements are equal is 0.
    #[track_caller]
    pub fn std(&self, correction: usize) -> Tensor {
        reduce("std", self, None, false, Of::Floats, &|x, axes| safe_sqrt(&variance(x, axes, correction)))
    }

    /// As [`Tensor::std`], along the axes, which are removed.
    #[track_caller]
    pub fn std_over(&self, axes: &[isize], correction: usize) -> Tensor {
        reduce("std", self, Some(axes), false, Of::Floats, &|x, axes| safe_sqrt(&variance(x, axes, correction)))
    }

    /// As [`Tensor::std`], along the axes, which are kept with size 1.
    #[track_caller]
    pub fn std_keep(&self, axes: &[isize], correction: usize) -> Tensor {
        reduce("std", self, Some(axes), true, Of::Floats, &|x, axes| safe_sqrt(&variance(x, axes, correction)))
    }

    /// The norm of order `p` of all elements, `(sum of |x|^p)^(1/p)`: of order 0 how many are not 0, of infinite orders the
    /// largest and the smallest size. Without overflow on the way, but for order 2, which is what training takes and reads every
    /// number once: it is infinite, with derivatives of 0, where a square is, from 1.4e154 on (of f32 from 1.9e19 on). Divide by
    /// the largest size before, if there are such numbers. The derivative is 0 at elements that are 0, and where all are.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from_slice(&[3e200f64, -4e200, 5e200], [3]);
    /// assert!((x.norm_p(3.0).item()? / 6e200 - 1.0).abs() < 1e-15);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// An order that is NaN.
    #[track_caller]
    pub fn norm_p(&self, p: f64) -> Tensor {
        norm_p(self, None, false, p)
    }

    /// As [`Tensor::norm_p`], along the axes, which are removed.
    #[track_caller]
    pub fn norm_p_over(&self, axes: &[isize], p: f64) -> Tensor {
        norm_p(self, Some(axes), false, p)
    }

    /// As [`Tensor::norm_p`], along the axes, which are kept with size 1.
    #[track_caller]
    pub fn norm_p_keep(&self, axes: &[isize], p: f64) -> Tensor {
        norm_p(self, Some(axes), true, p)
    }
}

#[track_caller]
fn norm_p(x: &Tensor, axes: Option<&[isize]>, keep: bool, p: f64) -> Tensor {
    if p.is_nan() {
        return super::disallowed("norm_p", &[x], "the order is NaN".into());
    }
    reduce("norm_p", x, axes, keep, Of::Floats, &|x, axes| norm_of_order(x, axes, p))
}

fn norm_of_order(x: &Tensor, axes: &Axes, p: f64) -> Tensor {
    let size = x.abs();
    let zero = x.zeros_like();
    let some = nonzero(x);
    if p == 0.0 {
        return sum(&some.cast(x.dtype()), axes);
    }
    if p == 1.0 {
        return sum(&size, axes);
    }
    if p == 2.0 {
        return safe_sqrt(&sum(&x.square(), axes));
    }
    if p.is_infinite() && count(x, axes) == 0 {
        return misfit("norm_p", format!("the largest or smallest of no elements: axes {axes:?} of {:?}", x.shape()));
    }
    if p.is_infinite() {
        return if p > 0.0 { max(&size, axes) } else { minimum(&size, axes) };
    }
    if count(x, axes) == 0 {
        return sum(x, axes);
    }
    // Divided by the element that decides, powers neither overflow nor vanish.
    let most = if p > 0.0 { max(&size, axes) } else { minimum(&size, axes) };
    let most = (most.equal(&most.zeros_like()) | most.is_inf()).select(&most.ones_like(), &most);
    let powers = (size / spread(&most, axes, x.shape())).powf(p);
    // A power of 0 has no part in the sum, or all of it.
    let of_zero = if p > 0.0 { zero } else { Tensor::full(x.shape(), f64::INFINITY, x.dtype()) };
    let root = sum(&some.select(&powers, &of_zero), axes).powf(1.0 / p) * most;
    custom_derivative(&root, &[x], OfOrder { axes: axes.clone(), p })
}

/// The derivative `(|x| / norm)^(p - 1)` of a norm, with the sign of `x`: taken of the parts of the norm it would divide by what
/// they were divided by, and overflow where that is no normal number. 0 at 0, where there is none or one that is infinite, and
/// where the norm is 0 or infinite.
struct OfOrder {
    axes: Axes,
    p: f64,
}

impl CustomRule for OfOrder {
    fn name(&self) -> &str {
        "norm_p"
    }

    fn vjp(&self, inputs: &[Tensor], norm: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let x = &inputs[0];
        let (zero, one) = (x.zeros_like(), x.ones_like());
        let ended = norm.equal(&norm.zeros_like()) | norm.is_inf();
        let size = spread(&ended.select(&norm.ones_like(), norm), &self.axes, x.shape());
        let passes = nonzero(x) & !spread(&ended, &self.axes, x.shape());
        let part = passes.select(&(x.abs() / size), &one);
        let slope = passes.select(&(part.powf(self.p - 1.0) * sign_of(x)), &zero);
        Ok(vec![Some(spread(cotangent, &self.axes, x.shape()).scale(&slope))])
    }
}

/// Distances from the mean first, then squares: squares alone would lose a small variance beside
/// a large mean.
pub(super) fn variance(x: &Tensor, axes: &Axes, correction: usize) -> Tensor {
    let n = count(x, axes);
    let distance = x - spread(&mean(x, axes), axes, x.shape());
    // Not 0: that would make a variance that is not known infinite.
    let divisor = if n > correction { (n - correction) as f64 } else { f64::NAN };
    sum(&distance.square(), axes) / divisor
}

/// A maximum of what is turned round.
fn minimum(x: &Tensor, axes: &Axes) -> Tensor {
    if count(x, axes) == 0 {
        return misfit("min", format!("the minimum of no elements: axes {axes:?} of {:?}", x.shape()));
    }
    turned(&max(&turned(x), axes))
}

/// Halves are multiplied with each other until one element is left: `2 log2(n)` products, none of
/// which divides, so that the derivative by a factor beside a zero is the product of the others.
fn product(x: &Tensor, axes: &Axes) -> Tensor {
    let kept: Axes = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
    let mut shape: Axes = kept.iter().map(|&axis| x.shape()[axis]).collect();
    let last = shape.len();
    let mut n = count(x, axes);
    if n == 0 {
        return Tensor::full(shape, 1.0, x.dtype());
    }
    let order: Axes = kept.iter().chain(axes).copied().collect();
    shape.push(n);
    let mut factors = x.permute(order).reshape(&shape);
    let mut odd: Vec<Tensor> = Vec::new();
    while n > 1 {
        if n % 2 == 1 {
            odd.push(part(&factors, last, n - 1, n));
        }
        factors = part(&factors, last, 0, n / 2) * part(&factors, last, n / 2, n / 2 * 2);
        n /= 2;
    }
    let product = odd.iter().fold(factors, |product, factor| product * factor);
    shape.pop();
    product.reshape(shape)
}

/// Another number where NaN is; integers are all numbers.
fn instead_of_nan(x: &Tensor, number: f64) -> Tensor {
    if x.dtype().is_float() { x.is_nan().select(&Tensor::full(x.shape(), number, x.dtype()), x) } else { x.clone() }
}

fn extreme_of_numbers(name: &str, x: &Tensor, axes: &Axes, neutral: f64, find: fn(&Tensor, &Axes) -> Tensor) -> Tensor {
    if count(x, axes) == 0 {
        return misfit(name, format!("the largest or smallest of no elements: axes {axes:?} of {:?}", x.shape()));
    }
    let found = find(&instead_of_nan(x, neutral), axes);
    if !x.dtype().is_float() {
        return found;
    }
    some(&!x.is_nan(), axes).select(&found, &Tensor::full(found.shape(), f64::NAN, x.dtype()))
}

fn nonzero(x: &Tensor) -> Tensor {
    if x.dtype() == DType::Bool { x.clone() } else { x.not_equal(&x.zeros_like()) }
}

/// Whether any of bools is true. A sum, as there is no maximum of no elements.
fn some(x: &Tensor, axes: &Axes) -> Tensor {
    let number = sum(&x.cast(DType::I64), axes);
    number.zeros_like().less(&number)
}
