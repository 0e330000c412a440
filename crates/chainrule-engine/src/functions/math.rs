//! Elementary functions of one and two floats: inverse and hyperbolic functions, powers and logarithms, remainders,
//! and what is done to bounds, signs and numbers that are none. The names and meanings are NumPy's.
//!
//! Composed so that value and derivatives keep their digits at 0, near the ends of a domain and far out. An infinite derivative
//! (of `asin` at 1, of `cbrt` at 0) is infinite. Functions of two take operands of one float type that broadcast; f16 and
//! bf16 are computed in f32.

use super::{
    common_shape, first_mistake, halves, of_two, of_two_floats, of_wide_floats, polynomial, recorded, refuse_mixed, refuse_unless_float,
    sign_of, sin_pi, with_slope, with_slopes,
};
use crate::ops::dtype_error;
use crate::tensor::{DType, Tensor};
use std::f64::consts::{FRAC_PI_2, LN_2, PI};

/// From here on a square is all there is of a sum of it and 1, in f64 and f32.
const LARGE: f64 = 1e9;

impl Tensor {
    /// Inverse sine, between -pi/2 and pi/2; NaN beyond -1 and 1, where its derivative becomes infinite.
    #[track_caller]
    pub fn asin(&self) -> Tensor {
        // The tangent of half the angle.
        of_wide_floats("asin", self, |x| {
            let value = (x / (other_leg(x) + 1.0)).atan() * 2.0;
            with_slope("asin", x, &value, |x, _| other_leg(x).recip())
        })
    }

    /// Inverse cosine, between 0 and pi; NaN beyond -1 and 1, where its derivative becomes infinite.
    #[track_caller]
    pub fn acos(&self) -> Tensor {
        of_wide_floats("acos", self, |x| {
            let below = x.less(&x.zeros_like());
            let half = (other_leg(x) / (below.select(&-x, x) + 1.0)).atan() * 2.0;
            with_slope("acos", x, &below.select(&(PI - &half), &half), |x, _| -other_leg(x).recip())
        })
    }

    /// The angle of the point `(other, self)`, between -pi and pi: the inverse tangent of `self / other` that knows the
    /// quadrant, with the signs of zeros and at infinities as IEEE 754 has it. The derivative at the origin is 0.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let (y, x) = (Tensor::from_slice(&[1.0f64, -1.0, 0.0], [3]), Tensor::from_slice(&[-1.0f64, 0.0, -0.0], [3]));
    /// use std::f64::consts::PI;
    /// assert_eq!(y.atan2(&x).to_vec::<f64>()?, [0.75 * PI, -0.5 * PI, PI]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn atan2(&self, other: &Tensor) -> Tensor {
        of_two_floats("atan2", self, other, |y, x| {
            let zero = y.zeros_like();
            let (up, right) = (sign_of(y), sign_of(x));
            // The quotient of two zeros or infinities is none: (+-0, +-1) and (+-1, +-1) have the angles wanted.
            let infinite = y.is_inf() & x.is_inf();
            let origin = y.equal(&zero) & x.equal(&zero);
            let y = infinite.select(&up, &origin.select(&y.detach(), y));
            let x = (infinite | origin).select(&right, x);
            let steep = x.abs().less(&y.abs());
            let angle = (steep.select(&x, &y) / steep.select(&y, &x)).atan();
            let turned = right.less(&zero).select(&(&angle + &up * PI), &angle);
            steep.select(&(up * FRAC_PI_2 - angle), &turned)
        })
    }

    /// Inverse hyperbolic sine.
    #[track_caller]
    pub fn asinh(&self) -> Tensor {
        of_wide_floats("asinh", self, |x| {
            let sign = sign_of(x);
            let size = x * &sign;
            let square = size.square();
            let near = (&square / ((&square + 1.0).sqrt() + 1.0) + &size).log1p();
            let value = at_least(&size, LARGE).select(&(size.log() + LN_2), &near) * sign;
            with_slope("asinh", x, &value, |x, _| {
                let size = x * sign_of(x);
                at_least(&size, LARGE).select(&size, &(x.square() + 1.0).sqrt()).recip()
            })
        })
    }

    /// Inverse hyperbolic cosine, 0 or more; NaN below 1, where its derivative becomes infinite.
    #[track_caller]
    pub fn acosh(&self) -> Tensor {
        of_wide_floats("acosh", self, |x| {
            let over = x - 1.0;
            let near = (over.sqrt() * (&over + 2.0).sqrt() + &over).log1p();
            at_least(x, LARGE).select(&(x.log() + LN_2), &near)
        })
    }

    /// Inverse hyperbolic tangent: infinite at -1 and 1, NaN beyond.
    #[track_caller]
    pub fn atanh(&self) -> Tensor {
        of_wide_floats("atanh", self, |x| {
            let value = (x.log1p() - (-x).log1p()) * 0.5;
            with_slope("atanh", x, &value, |x, _| other_leg(x).square().recip())
        })
    }

    /// `2^x`.
    #[track_caller]
    pub fn exp2(&self) -> Tensor {
        of_wide_floats("exp2", self, |x| Tensor::full(x.shape(), 2.0, x.dtype()).pow(x))
    }

    /// The cube root, also of negative numbers. Its derivative at 0 is infinite.
    #[track_caller]
    pub fn cbrt(&self) -> Tensor {
        of_wide_floats("cbrt", self, |x| {
            let sign = sign_of(x);
            let size = x * &sign;
            // Far from 1 the logarithm is off by some digits, which a step of Newton's method restores.
            let root = (size.log() / 3.0).exp();
            let off = (&root - &size / root.square()) / 3.0;
            let exact = size.equal(&size.zeros_like()) | size.is_inf();
            let value = exact.select(&root, &(&root - off)) * sign;
            with_slope("cbrt", x, &value, |_, root| (root.square() * 3.0).recip())
        })
    }

    /// `sqrt(a^2 + b^2)` without overflow: infinite if either is, even beside NaN. The derivative at the origin is 0.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let y = Tensor::from_slice(&[3e200f64], [1]).hypot(&Tensor::from_slice(&[4e200f64], [1]));
    /// assert!((y.item()? / 5e200 - 1.0).abs() < 1e-15);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn hypot(&self, other: &Tensor) -> Tensor {
        of_two_floats("hypot", self, other, hypot)
    }

    /// `sin(pi x) / (pi x)`, 1 at 0: the normalised cardinal sine, as NumPy has it.
    #[track_caller]
    pub fn sinc(&self) -> Tensor {
        of_wide_floats("sinc", self, |x| {
            // (-1)^k / (2k + 1)!: near 0 a quotient's derivatives would be differences of large numbers.
            let series: Vec<f64> = (0..12)
                .scan(1.0, |term, k| {
                    let this = *term;
                    *term /= -f64::from((2 * k + 2) * (2 * k + 3));
                    Some(this)
                })
                .collect();
            let angle = x * PI;
            let near = polynomial(&angle.square(), &series);
            at_least(&x.abs(), 0.5).select(&(sin_pi(x) / angle), &near)
        })
    }

    /// `log(e^a + e^b)`, without overflow. Of two equal infinities that infinity, with derivative 0.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let y = Tensor::from_slice(&[1000.0f64], [1]).logaddexp(&Tensor::from_slice(&[1000.0f64], [1]));
    /// assert_eq!(y.item()?, 1000.0 + std::f64::consts::LN_2);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn logaddexp(&self, other: &Tensor) -> Tensor {
        of_two_floats("logaddexp", self, other, |a, b| log_of_sum(a, b, 1.0))
    }

    /// `log2(2^a + 2^b)`, as [`Tensor::logaddexp`].
    #[track_caller]
    pub fn logaddexp2(&self, other: &Tensor) -> Tensor {
        of_two_floats("logaddexp2", self, other, |a, b| log_of_sum(a, b, LN_2))
    }

    /// `x log(y)`, and 0 where `x` is 0, unless `y` is NaN: a term of an entropy.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let p = Tensor::from([0.0, 1.0]);
    /// assert_eq!(p.xlogy(&p).to_vec::<f32>()?, [0.0, 0.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn xlogy(&self, other: &Tensor) -> Tensor {
        of_two_floats("xlogy", self, other, |x, y| y.is_nan().select(y, &x.scale(&y.log())))
    }

    /// `x log(1 + y)`, as [`Tensor::xlogy`].
    #[track_caller]
    pub fn xlog1py(&self, other: &Tensor) -> Tensor {
        of_two_floats("xlog1py", self, other, |x, y| y.is_nan().select(y, &x.scale(&y.log1p())))
    }

    /// `log(x / (1 - x))`, the inverse of [`Tensor::sigmoid`]: infinite at 0 and 1, NaN beyond.
    #[track_caller]
    pub fn logit(&self) -> Tensor {
        of_wide_floats("logit", self, |x| {
            // In the middle both logarithms are alike, and their difference has no digits; what is over a half is exact.
            let over = x * 2.0 - 1.0;
            let middle = over.log1p() - (-&over).log1p();
            at_least(&over.abs(), 0.5).select(&(x.log() - (-x).log1p()), &middle)
        })
    }

    /// `self ^ other` in f64, whatever the types are; see [`Tensor::pow`].
    #[track_caller]
    pub fn float_power(&self, other: &Tensor) -> Tensor {
        match common_shape("float_power", &[self, other]) {
            Err(mistake) => mistake,
            Ok(_) => recorded(|| self.cast(DType::F64).pow(&other.cast(DType::F64))),
        }
    }

    /// What is left of `self / other` with the sign of `self`, C's `fmod`: exact as long as the quotient has no more digits
    /// than the type. NaN by 0 (integers: 0).
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let (a, b) = (Tensor::from([-7.0, 5.5]), Tensor::from([3.0, -2.0]));
    /// assert_eq!(a.fmod(&b).to_vec::<f32>()?, [-1.0, 1.5]);
    /// assert_eq!(a.remainder(&b).to_vec::<f32>()?, [2.0, -0.5]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn fmod(&self, other: &Tensor) -> Tensor {
        if integers(self, other) {
            return of_two("fmod", self, other, |a, b| {
                let zero = b.zeros_like();
                b.equal(&zero).select(&zero, &(a - (a / b) * b))
            });
        }
        of_two_floats("fmod", self, other, |a, b| {
            with_slopes("fmod", &[a, b], &fmod(a, b), |inputs, _| {
                let quotient = (&inputs[0] / &inputs[1]).trunc();
                vec![inputs[0].ones_like(), -quotient]
            })
        })
    }

    /// What is left of `self / other` with the sign of `other`, NumPy's `remainder`, as exact as [`Tensor::fmod`]. The
    /// operator `%` computes the same in one step, of floats with the rounding of `self`.
    #[track_caller]
    pub fn remainder(&self, other: &Tensor) -> Tensor {
        if integers(self, other) {
            return of_two("remainder", self, other, |a, b| a % b);
        }
        of_two_floats("remainder", self, other, |a, b| {
            with_slopes("remainder", &[a, b], &remainder(a, b), |inputs, _| {
                let quotient = (&inputs[0] / &inputs[1]).floor();
                vec![inputs[0].ones_like(), -quotient]
            })
        })
    }

    /// `self / other` rounded down, NumPy's `floor_divide`: what [`Tensor::remainder`] leaves out. By 0 infinite or NaN
    /// (integers: 0), and NaN of an infinity. The derivative is declared zero.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let y = Tensor::from([-7.0, 1.0]).floor_divide(&Tensor::from([2.0, 0.1]));
    /// assert_eq!(y.to_vec::<f32>()?, [-4.0, 9.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn floor_divide(&self, other: &Tensor) -> Tensor {
        if integers(self, other) {
            return of_two("floor_divide", self, other, |a, b| (a - a % b) / b);
        }
        of_two_floats("floor_divide", self, other, |a, b| {
            // Without the remainder the quotient is whole, but for its rounding.
            let whole = ((a - remainder(a, b)) / b).round();
            let zero = a.zeros_like();
            let none = b.equal(&zero);
            // By infinity the quotient is 0, from above or from below.
            let below = (a * sign_of(b)).less(&zero).select(&-a.ones_like(), &zero);
            (b.is_inf() & a.is_finite()).select(&below, &none.select(&(a / b).floor(), &whole))
        })
    }

    /// The size of `self` with the sign of `other`, also that of a zero. The derivative by `other` is declared zero.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let y = Tensor::from([3.0, -3.0]).copysign(&Tensor::from([-0.0, 1.0]));
    /// assert_eq!(y.to_vec::<f32>()?, [-3.0, 3.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn copysign(&self, other: &Tensor) -> Tensor {
        of_two_floats("copysign", self, other, |a, b| {
            let turn = |inputs: &[Tensor]| sign_of(&inputs[0]) * sign_of(&inputs[1]);
            let value = a * turn(&[a.clone(), b.clone()]);
            with_slopes("copysign", &[a, b], &value, move |inputs, _| vec![turn(inputs), inputs[1].zeros_like()])
        })
    }

    /// 0 below 0, 1 above, and `at_zero` at 0. The derivative by `self` is declared zero.
    #[track_caller]
    pub fn heaviside(&self, at_zero: &Tensor) -> Tensor {
        of_two_floats("heaviside", self, at_zero, |x, at_zero| x.equal(&x.zeros_like()).select(at_zero, &((x.sign() + 1.0) * 0.5)))
    }

    /// `self + weight (end - self)`: exactly `self` where `weight` is 0, exactly `end` where it is 1.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let y = Tensor::from([1.0, 2.0]).lerp(&Tensor::from([3.0, 6.0]), &Tensor::from([0.5]));
    /// assert_eq!(y.to_vec::<f32>()?, [2.0, 4.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn lerp(&self, end: &Tensor, weight: &Tensor) -> Tensor {
        let all = [self, end, weight];
        if let Some(mistake) = refuse_mixed("lerp", &all) {
            return mistake;
        }
        match common_shape("lerp", &all) {
            Err(mistake) => mistake,
            Ok(shape) => recorded(|| {
                let [start, end, weight] = all.map(|t| super::wide(&t.broadcast_to(&shape)));
                let way = &end - &start;
                let near = &start + &weight * &way;
                let far = end - (1.0 - &weight) * way;
                at_least(&weight, 0.5).select(&far, &near).cast(self.dtype())
            }),
        }
    }

    /// The value between bounds that broadcast to it, either of which may be missing; the gradient passes at a bound, and
    /// goes to the bound beyond. Where the bounds are not in order it is `high`; NaN in either gives NaN.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let y = Tensor::from([-1.0, 5.0]).clamp_between(None, Some(&Tensor::from([3.0])));
    /// assert_eq!(y.to_vec::<f32>()?, [-1.0, 3.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn clamp_between(&self, low: Option<&Tensor>, high: Option<&Tensor>) -> Tensor {
        let all: Vec<&Tensor> = [Some(self), low, high].into_iter().flatten().collect();
        if let Some(mistake) = first_mistake(&all) {
            return mistake;
        }
        if let Some(other) = all.iter().find(|t| t.dtype() != self.dtype()) {
            let message = format!("a bound of {} for {}; convert it with `cast`", other.dtype(), self.dtype());
            return Tensor::poison(dtype_error("clamp_between", message));
        }
        match common_shape("clamp_between", &all) {
            Err(mistake) => mistake,
            Ok(shape) => recorded(|| {
                let mut held = self.broadcast_to(&shape);
                for (bound, upper) in [(low, false), (high, true)] {
                    let Some(bound) = bound.map(|bound| bound.broadcast_to(&shape)) else { continue };
                    let beyond = if upper { bound.less(&held) } else { held.less(&bound) };
                    held = (beyond | bound.is_nan()).select(&bound, &held);
                }
                held
            }),
        }
    }

    /// Numbers in place of NaN and the infinities: `nan`, and the given ones or else the largest and smallest of the type. The
    /// derivative of what is replaced is 0.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([f64::NAN, f64::INFINITY, 2.0]);
    /// assert_eq!(x.nan_to_num(0.0, Some(9.0), None).to_vec::<f32>()?, [0.0, 9.0, 2.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn nan_to_num(&self, nan: f64, positive: Option<f64>, negative: Option<f64>) -> Tensor {
        // There are none among integers.
        if self.error().is_some() || !self.dtype().is_float() {
            return self.clone();
        }
        recorded(|| {
            let at = |value: f64| Tensor::full(self.shape(), value, self.dtype());
            let most = largest(self.dtype());
            let above = self.equal(&at(f64::INFINITY)).select(&at(positive.unwrap_or(most)), self);
            let held = self.equal(&at(f64::NEG_INFINITY)).select(&at(negative.unwrap_or(-most)), &above);
            self.is_nan().select(&at(nan), &held)
        })
    }

    /// Degrees as radians.
    #[track_caller]
    pub fn deg2rad(&self) -> Tensor {
        of_wide_floats("deg2rad", self, |x| x * (PI / 180.0))
    }

    /// Radians as degrees.
    #[track_caller]
    pub fn rad2deg(&self) -> Tensor {
        of_wide_floats("rad2deg", self, |x| x * (180.0 / PI))
    }

    /// NumPy's name for [`Tensor::round`]: halves to the even integer.
    #[track_caller]
    pub fn rint(&self) -> Tensor {
        match refuse_unless_float("rint", self) {
            Some(mistake) => mistake,
            None => self.round(),
        }
    }

    /// NumPy's name for [`Tensor::recip`].
    #[track_caller]
    pub fn reciprocal(&self) -> Tensor {
        self.recip()
    }
}

/// `sqrt(1 - x^2)` without rounding the square: near 1 all digits are in `1 - x`.
fn other_leg(x: &Tensor) -> Tensor {
    let value = (1.0 - x).sqrt() * (x + 1.0).sqrt();
    with_slope("other_leg", x, &value, |x, leg| -x / leg)
}

/// Its derivatives are the cosine and the sine of the angle.
fn hypot(a: &Tensor, b: &Tensor) -> Tensor {
    let [.., root, scale] = unit_legs(a, b);
    let value = a.is_inf().select(&a.abs(), &b.is_inf().select(&b.abs(), &(root * scale)));
    with_slopes("hypot", &[a, b], &value, |x, _| vec![cosine(&x[0], &x[1]), cosine(&x[1], &x[0])])
}

/// `a / hypot(a, b)`, 0 at the origin. Its derivatives are those of an angle: as a quotient's they would be differences of
/// nearly equal numbers.
fn cosine(a: &Tensor, b: &Tensor) -> Tensor {
    let [u, _, root, _] = unit_legs(a, b);
    let value = root.equal(&a.zeros_like()).select(&a.zeros_like(), &(u / root));
    with_slopes("cosine", &[a, b], &value, |x, _| {
        let (a, b) = (&x[0], &x[1]);
        let (cosine, sine, size) = (cosine(a, b), cosine(b, a), hypot(a, b));
        let turn = size.equal(&a.zeros_like()).select(&a.zeros_like(), &(&sine / size));
        vec![&sine * &turn, -cosine * turn]
    })
}

/// Both divided by the larger size, the hypotenuse of these, and that size (1 if it is 0): without it, quotients of numbers
/// that are not normal overflow. Infinities are 1 beside what is finite, which is 0.
fn unit_legs(a: &Tensor, b: &Tensor) -> [Tensor; 4] {
    let (zero, one) = (a.zeros_like(), a.ones_like());
    let infinite = a.is_inf() | b.is_inf();
    let [a, b] = [a, b].map(|leg| infinite.select(&leg.is_inf().select(&sign_of(leg), &zero), leg));
    let larger = a.abs().maximum(&b.abs());
    let scale = larger.equal(&zero).select(&one, &larger);
    let (a, b) = (a / &scale, b / &scale);
    let root = (a.square() + b.square()).sqrt();
    [a, b, root, scale]
}

/// Whether elements are a number or more; not if they are NaN.
fn at_least(x: &Tensor, least: f64) -> Tensor {
    Tensor::full(x.shape(), least, x.dtype()).less_equal(x)
}

/// `log(e^(r a) + e^(r b)) / r`.
fn log_of_sum(a: &Tensor, b: &Tensor, rate: f64) -> Tensor {
    let swapped = a.less(b);
    let (high, low) = (swapped.select(b, a), swapped.select(a, b));
    // Infinity less infinity would be NaN.
    let alike = high.equal(&low) & high.is_inf();
    let apart = alike.select(&a.zeros_like(), &(low - &high));
    let bend = (apart * rate).softplus() / rate;
    alike.select(&high.detach(), &(high + bend))
}

/// Whether the operands are integers of one type.
fn integers(a: &Tensor, b: &Tensor) -> bool {
    first_mistake(&[a, b]).is_none() && a.dtype() == b.dtype() && !a.dtype().is_float() && a.dtype() != DType::Bool
}

/// Without derivatives. The quotient, rounded down, is right or one off; the product with it is made exact by halves of digits
/// (Dekker), and so are the differences.
fn fmod(a: &Tensor, b: &Tensor) -> Tensor {
    let (size, by) = (a * sign_of(a), b * sign_of(b));
    let at = |value: f64| Tensor::full(a.shape(), value, a.dtype());
    // Halves of the largest numbers would overflow on the way.
    let huge = if a.dtype() == DType::F64 { 2f64.powi(960) } else { 2f64.powi(100) };
    let scale = at(huge).less(&size).select(&at(2f64.powi(-64)), &at(1.0));
    let (scaled, divisor) = (&size * &scale, &by * &scale);
    let quotient = (&scaled / &divisor).floor();
    let ((q, q_low), (d, d_low)) = (halves(&quotient), halves(&divisor));
    let product = &quotient * &divisor;
    let lost = ((&q * &d - &product) + &q * &d_low + &q_low * &d) + q_low * d_low;
    let left = (&scaled - product) - lost;
    let left = left.less(&left.zeros_like()).select(&(&left + &divisor), &left);
    let left = divisor.less_equal(&left).select(&(&left - &divisor), &left) / scale;
    // What is smaller is left as it is, and need not be scaled.
    size.less(&by).select(&size, &left) * sign_of(a)
}

/// Without derivatives: moved by the divisor where the signs differ.
fn remainder(a: &Tensor, b: &Tensor) -> Tensor {
    let zero = a.zeros_like();
    let left = fmod(a, b);
    let apart = (left.less(&zero) & zero.less(b)) | (zero.less(&left) & b.less(&zero));
    // A zero has the sign of the divisor.
    left.equal(&zero).select(&(&zero * sign_of(b)), &apart.select(&(&left + b), &left))
}

/// The largest finite number of a float type.
fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::MAX,
        DType::BF16 => f64::from(half::bf16::MAX),
        DType::F16 => f64::from(half::f16::MAX),
        _ => f64::from(f32::MAX),
    }
}
