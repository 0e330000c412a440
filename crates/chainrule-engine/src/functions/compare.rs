//! Questions about single elements: what kind of number it is, and whether two are close.
//!
//! The answers are bool and have no derivative. Integers and bool are finite.

use super::{common_shape, disallowed, first_mistake, recorded};
use crate::ops::dtype_error;
use crate::tensor::{DType, Tensor};

impl Tensor {
    /// Whether elements are infinite, of either sign.
    #[track_caller]
    pub fn is_inf(&self) -> Tensor {
        self.sized(|size, infinite| size.equal(infinite), false)
    }

    /// Whether elements are neither infinite nor NaN.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([1.0, f64::NAN, f64::NEG_INFINITY]);
    /// assert_eq!(x.is_finite().to_vec::<bool>()?, [true, false, false]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn is_finite(&self) -> Tensor {
        self.sized(|size, infinite| size.less(infinite), true)
    }

    /// A question about the size of floats, and the answer for all others.
    #[track_caller]
    fn sized(&self, ask: impl FnOnce(&Tensor, &Tensor) -> Tensor, of_others: bool) -> Tensor {
        if let Some(mistake) = first_mistake(&[self]) {
            return mistake;
        }
        recorded(|| match self.dtype().is_float() {
            true => ask(&self.abs(), &Tensor::full(self.shape(), f64::INFINITY, self.dtype())),
            false => Tensor::full(self.shape(), f64::from(u8::from(of_others)), DType::Bool),
        })
    }

    /// Whether the sign is set, NumPy's `signbit`: also of -0, but of no NaN.
    #[track_caller]
    pub fn is_negative(&self) -> Tensor {
        if let Some(mistake) = first_mistake(&[self]) {
            return mistake;
        }
        recorded(|| {
            let zero = self.zeros_like();
            let less = self.less(&zero);
            // The reciprocal of -0 is -inf.
            if self.dtype().is_float() { less | (self.equal(&zero) & self.recip().less(&zero)) } else { less }
        })
    }

    /// Whether `|a - b| <= absolute + relative |b|`, NumPy's `isclose` (whose tolerances are 1e-8 and 1e-5 if none are given).
    /// Infinities are close to themselves, NaN to nothing. Of two types of one shape after broadcasting.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let (a, b) = (Tensor::from([1.0, 2.0]), Tensor::from([1.000_001, 2.1]));
    /// assert_eq!(a.is_close(&b, 1e-5, 1e-8).to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn is_close(&self, other: &Tensor, relative: f64, absolute: f64) -> Tensor {
        close("is_close", self, other, relative, absolute)
    }

    /// Whether all elements are close, a scalar; see [`Tensor::is_close`].
    #[track_caller]
    pub fn all_close(&self, other: &Tensor, relative: f64, absolute: f64) -> Tensor {
        let each = close("all_close", self, other, relative, absolute);
        if each.error().is_some() { each } else { each.all() }
    }
}

#[track_caller]
fn close(name: &str, a: &Tensor, b: &Tensor, relative: f64, absolute: f64) -> Tensor {
    // Also refuses NaN.
    let sizes = relative >= 0.0 && absolute >= 0.0;
    if !sizes {
        return disallowed(name, &[a, b], format!("the tolerances {relative} and {absolute} are not both 0 or more"));
    }
    if let Some(mistake) = first_mistake(&[a, b]) {
        return mistake;
    }
    if a.dtype() != b.dtype() {
        return Tensor::poison(dtype_error(name, format!("{} with {}; convert one of them with `cast`", a.dtype(), b.dtype())));
    }
    let shape = match common_shape(name, &[a, b]) {
        Ok(shape) => shape,
        Err(mistake) => return mistake,
    };
    recorded(|| {
        // A distance of integers may leave their type.
        let wide = if a.dtype() == DType::F32 { DType::F32 } else { DType::F64 };
        let (a, b) = (a.cast(wide).broadcast_to(&shape), b.cast(wide).broadcast_to(&shape));
        let tolerance = b.abs() * relative + absolute;
        a.equal(&b) | (b.is_finite() & (&a - &b).abs().less_equal(&tolerance))
    })
}
