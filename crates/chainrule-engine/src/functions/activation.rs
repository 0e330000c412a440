//! Functions of single elements: activations, rounding, and what is left of elementary functions.
//!
//! Conventions where a derivative does not exist: relu'(0) = 0, abs'(0) = 0; a clamped value lets
//! the gradient pass at the bound itself; sign, round, ceil and trunc have derivative zero, by
//! declaration. NaN stays NaN.

use super::special::gelu;
use super::{disallowed, first_mistake, of_floats, of_wide_floats, recorded, with_slope};
use crate::ops::{Constant, Scalar};
use crate::tensor::{DType, Tensor};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LN_2, LN_10};

/// The slope and scale of the self-normalising linear unit: the fixed point of Klambauer et al.,
/// "Self-Normalizing Neural Networks" (2017), equation 14.
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
/// Where a sigmoid is 0 or 1 in all digits of every type. The derivative of `x sigmoid(x)` has a term of `x` times what is 0
/// there, which at infinity would be no number: it takes `x` no further than this.
const SATURATED: f64 = 1024.0;
/// The same of a sigmoid of `2 sqrt(2/pi) (x + 0.044715 x^3)`.
const SATURATED_CUBE: f64 = 32.0;

impl Tensor {
    /// `max(x, 0)`, with derivative 0 at 0.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from_slice(&[-2.0f32, 0.0, 3.0], [3]);
    /// let y = x.relu();
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 0.0, 3.0]);
    /// assert_eq!(y.sum().grad(&[&x])?[0].to_vec::<f32>()?, [0.0, 0.0, 1.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn relu(&self) -> Tensor {
        // Not `0 < x` the other way round: that would turn NaN into 0.
        let zero = self.zeros_like();
        self.less_equal(&zero).select(&zero, self)
    }

    /// [`Tensor::relu`] cut off above 6.
    #[track_caller]
    pub fn relu6(&self) -> Tensor {
        self.relu().clamp_max(6.0)
    }

    /// `x` where positive, `slope * x` elsewhere.
    #[track_caller]
    pub fn leaky_relu(&self, slope: f64) -> Tensor {
        of_floats("leaky_relu", self, |x| x.zeros_like().less(x).select(x, &(x * slope)))
    }

    /// `x` where positive, `slope * x` elsewhere, with a tensor of slopes that broadcasts to `x`.
    #[track_caller]
    pub fn prelu(&self, slope: &Tensor) -> Tensor {
        of_floats("prelu", self, |x| x.zeros_like().less(x).select(x, &(x * slope)))
    }

    /// `x` where positive, `alpha * (e^x - 1)` elsewhere.
    #[track_caller]
    pub fn elu(&self, alpha: f64) -> Tensor {
        of_floats("elu", self, |x| x.zeros_like().less(x).select(x, &(x.expm1() * alpha)))
    }

    /// The self-normalising exponential linear unit.
    #[track_caller]
    pub fn selu(&self) -> Tensor {
        of_floats("selu", self, |x| x.elu(SELU_ALPHA) * SELU_SCALE)
    }

    /// `x` where positive, `alpha * (e^(x / alpha) - 1)` elsewhere: [`Tensor::elu`] with a slope of 1 at 0 for any `alpha`
    /// (Barron, "Continuously Differentiable Exponential Linear Units", 2017).
    ///
    /// # Errors
    /// An `alpha` of 0 or NaN.
    #[track_caller]
    pub fn celu(&self, alpha: f64) -> Tensor {
        if alpha == 0.0 || alpha.is_nan() {
            return disallowed("celu", &[self], format!("alpha is {alpha}"));
        }
        of_floats("celu", self, |x| x.zeros_like().less(x).select(x, &((x / alpha).expm1() * alpha)))
    }

    /// `x` times the normal distribution function of `x`, with all digits also where that is next to 0.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let y = Tensor::from_slice(&[1.0f64, -10.0], [2]).gelu().to_vec::<f64>()?;
    /// assert!((y[0] - 0.8413447460685429).abs() < 1e-15);
    /// assert!((y[1] / -7.619853024160526e-23 - 1.0).abs() < 1e-14);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn gelu(&self) -> Tensor {
        of_wide_floats("gelu", self, gelu)
    }

    /// The approximation `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))` of [`Tensor::gelu`], with its limits at infinity.
    #[track_caller]
    pub fn gelu_tanh(&self) -> Tensor {
        // (1 + tanh u) / 2 is sigmoid(2u), which keeps its digits where tanh is near -1. 2u is x times a polynomial of x^2.
        const SLOPE: f64 = 2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
        const BEND: f64 = 0.044715 * SLOPE;
        let twice = |x: &Tensor| x * (x.square() * BEND + SLOPE);
        // The value takes the same sigmoid as the slope, so that both are computed at once: a graph keeps the slope for its way
        // back, not what it is made from.
        let held = |x: &Tensor| x.clamp(-SATURATED_CUBE, SATURATED_CUBE);
        of_floats("gelu_tanh", self, |x| {
            with_slope("gelu_tanh", x, &twice(&held(x)).sigmoid().scale(x), move |x, _| {
                let held = held(x);
                let u = twice(&held);
                let bend = held.square() * (3.0 * BEND) + SLOPE;
                u.sigmoid() * ((-&u).sigmoid() * held * bend + 1.0)
            })
        })
    }

    /// `x * sigmoid(x)`, also known as swish, with its limits at infinity.
    #[track_caller]
    pub fn silu(&self) -> Tensor {
        of_floats("silu", self, |x| {
            with_slope("silu", x, &x.sigmoid().scale(x), |x, _| x.sigmoid() * ((-x).sigmoid() * x.clamp(-SATURATED, SATURATED) + 1.0))
        })
    }

    /// `x * tanh(softplus(x))`, with its limits at infinity.
    #[track_caller]
    pub fn mish(&self) -> Tensor {
        of_floats("mish", self, |x| {
            with_slope("mish", x, &x.softplus().tanh().scale(x), |x, _| {
                let bend = x.softplus();
                bend.tanh() + bend.sech().square() * x.sigmoid() * x.clamp(-SATURATED, SATURATED)
            })
        })
    }

    /// `log(sigmoid(x))`, without underflow.
    #[track_caller]
    pub fn log_sigmoid(&self) -> Tensor {
        of_floats("log_sigmoid", self, |x| -((-x).softplus()))
    }

    /// `x/6 + 1/2`, between 0 and 1.
    #[track_caller]
    pub fn hard_sigmoid(&self) -> Tensor {
        of_floats("hard_sigmoid", self, |x| (x / 6.0 + 0.5).clamp(0.0, 1.0))
    }

    /// `x * hard_sigmoid(x)`.
    #[track_caller]
    pub fn hard_swish(&self) -> Tensor {
        of_floats("hard_swish", self, |x| x * x.hard_sigmoid())
    }

    /// `x` between -1 and 1.
    #[track_caller]
    pub fn hard_tanh(&self) -> Tensor {
        of_floats("hard_tanh", self, |x| x.clamp(-1.0, 1.0))
    }

    /// `x` where its size is more than `bound`, 0 elsewhere.
    ///
    /// # Errors
    /// A bound that is negative or NaN.
    #[track_caller]
    pub fn hard_shrink(&self, bound: f64) -> Tensor {
        shrunk("hard_shrink", self, bound, |x, within| within.select(&x.zeros_like(), x))
    }

    /// `x` moved towards 0 by `bound`, and no further than that.
    ///
    /// # Errors
    /// A bound that is negative or NaN.
    #[track_caller]
    pub fn soft_shrink(&self, bound: f64) -> Tensor {
        shrunk("soft_shrink", self, bound, |x, within| {
            let zero = x.zeros_like();
            within.select(&zero, &x.less(&zero).select(&(x + bound), &(x - bound)))
        })
    }

    /// `x - tanh(x)`.
    #[track_caller]
    pub fn tanh_shrink(&self) -> Tensor {
        of_wide_floats("tanh_shrink", self, |x| {
            // Next to 0 by Lambert's continued fraction: x / (1 + x^2 / (3 + x^2 / (5 + ..))) is tanh(x).
            let square = x.square();
            let rest = (2..9).rev().fold(x.zeros_like(), |rest, k| &square / (rest + f64::from(2 * k + 1)));
            let near = x * &square / (rest + 3.0 + &square);
            let far = x.ones_like().less(&x.abs());
            with_slope("tanh_shrink", x, &far.select(&(x - x.tanh()), &near), |x, _| x.tanh().square())
        })
    }

    /// `x` where it is more than `bound`, `value` elsewhere.
    ///
    /// # Errors
    /// A bound that is NaN.
    #[track_caller]
    pub fn threshold(&self, bound: f64, value: f64) -> Tensor {
        if bound.is_nan() {
            return disallowed("threshold", &[self], "the bound is NaN".into());
        }
        of_floats("threshold", self, |x| {
            let at = |value: f64| Tensor::full(x.shape(), value, x.dtype());
            x.less_equal(&at(bound)).select(&at(value), x)
        })
    }

    /// `log(1 + e^(beta x)) / beta`: [`Tensor::softplus`] with a bend as sharp as `beta` says. Where `beta x` is more than
    /// `threshold` it is `x` itself, as PyTorch has it.
    ///
    /// # Errors
    /// A `beta` of 0 or NaN, or a threshold that is NaN.
    #[track_caller]
    pub fn softplus_with(&self, beta: f64, threshold: f64) -> Tensor {
        if beta == 0.0 || beta.is_nan() || threshold.is_nan() {
            return disallowed("softplus_with", &[self], format!("beta is {beta}, the threshold {threshold}"));
        }
        of_floats("softplus_with", self, |x| {
            let steep = x * beta;
            let beyond = Tensor::full(x.shape(), threshold, x.dtype()).less(&steep);
            beyond.select(x, &(steep.softplus() / beta))
        })
    }

    /// `x / (1 + |x|)`.
    #[track_caller]
    pub fn softsign(&self) -> Tensor {
        of_floats("softsign", self, |x| {
            // Far out, the derivative of the quotient is a difference of nearly equal numbers.
            with_slope("softsign", x, &(x / (x.abs() + 1.0)), |x, _| (x.abs() + 1.0).recip().square())
        })
    }

    /// The first half of an axis times the sigmoid of the second half.
    #[track_caller]
    pub fn glu(&self, axis: isize) -> Tensor {
        of_halves("glu", self, axis, |a, b| a * b.sigmoid())
    }

    /// The first half of an axis, through [`Tensor::silu`], times the second half (Shazeer, "GLU Variants Improve
    /// Transformer", 2020, with both products in one matrix).
    #[track_caller]
    pub fn swiglu(&self, axis: isize) -> Tensor {
        of_halves("swiglu", self, axis, |a, b| a.silu() * b)
    }

    /// The absolute value, with derivative 0 at 0.
    #[track_caller]
    pub fn abs(&self) -> Tensor {
        // Without a sign there is nothing to take away; the negative would wrap to a larger number.
        if self.dtype() == DType::U8 {
            return self.clone();
        }
        // At 0 both are the maximum and share the derivative: 1/2 - 1/2. Of equal ones the second is taken, and so 0 stays 0.
        (-self).maximum(self)
    }

    /// -1, 0 or 1; its derivative is declared zero.
    #[track_caller]
    pub fn sign(&self) -> Tensor {
        if let Some(mistake) = first_mistake(&[self]) {
            return mistake;
        }
        recorded(|| {
            let zero = self.zeros_like();
            // What is left is 0 or NaN, and is its own sign. The floor of it changes nothing but
            // the derivative.
            let rest = if self.dtype().is_float() { self.floor() } else { zero.clone() };
            let minus_one = -self.ones_like();
            zero.less(self).select(&self.ones_like(), &self.less(&zero).select(&minus_one, &rest))
        })
    }

    /// The value between `low` and `high`; a bound itself lets the gradient pass.
    #[track_caller]
    pub fn clamp(&self, low: f64, high: f64) -> Tensor {
        // Also refuses NaN.
        let ordered = low <= high;
        if !ordered {
            return disallowed("clamp", &[self], format!("the bounds {low} and {high} are not in order"));
        }
        self.clamp_min(low).clamp_max(high)
    }

    /// The larger of the value and `low`; the gradient passes where they are equal.
    #[track_caller]
    pub fn clamp_min(&self, low: f64) -> Tensor {
        self.clamped("clamp_min", low, f64::NEG_INFINITY, |x, bound| x.less(bound))
    }

    /// The smaller of the value and `high`; the gradient passes where they are equal.
    #[track_caller]
    pub fn clamp_max(&self, high: f64) -> Tensor {
        self.clamped("clamp_max", high, f64::INFINITY, |x, bound| bound.less(x))
    }

    #[track_caller]
    fn clamped(&self, name: &str, bound: f64, none: f64, beyond: impl FnOnce(&Tensor, &Tensor) -> Tensor) -> Tensor {
        if self.error().is_some() || bound == none {
            return self.clone();
        }
        if bound.is_nan() {
            return disallowed(name, &[self], "the bound is NaN".into());
        }
        recorded(|| {
            let bound = if bound.fract() == 0.0 {
                // A bound that no integer of the type reaches is as good as its last one.
                Tensor::record(Constant { value: Scalar::new(bound, self.dtype()), ty: self.ty().clone() }, [])
            } else {
                Tensor::full(self.shape(), bound, self.dtype())
            };
            beyond(self, &bound).select(&bound, self)
        })
    }

    /// The integer at or above; its derivative is declared zero.
    #[track_caller]
    pub fn ceil(&self) -> Tensor {
        of_floats("ceil", self, |x| -((-x).floor()))
    }

    /// The integer next toward zero; its derivative is declared zero.
    #[track_caller]
    pub fn trunc(&self) -> Tensor {
        of_floats("trunc", self, |x| x.less(&x.zeros_like()).select(&x.ceil(), &x.floor()))
    }

    /// The nearest integer, halves to the even one; its derivative is declared zero.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from_slice(&[0.5f32, 1.5, 2.5, -0.5, -1.2], [5]);
    /// assert_eq!(x.round().to_vec::<f32>()?, [0.0, 2.0, 2.0, 0.0, -1.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn round(&self) -> Tensor {
        of_floats("round", self, |x| {
            // `floor(x + 1/2)` would be wrong just below 1/2 and above 2^52, where the sum rounds.
            let below = x.floor();
            let rest = x - &below;
            let half = Tensor::full(x.shape(), 0.5, x.dtype());
            let halved = &below * 0.5;
            let odd = halved.floor().less(&halved);
            let up = half.less(&rest) | (rest.equal(&half) & odd);
            up.select(&(&below + 1.0), &below)
        })
    }

    /// Tangent of radians.
    #[track_caller]
    pub fn tan(&self) -> Tensor {
        of_floats("tan", self, |x| x.sin() / x.cos())
    }

    /// Hyperbolic sine, accurate near 0.
    #[track_caller]
    pub fn sinh(&self) -> Tensor {
        of_floats("sinh", self, sinh)
    }

    /// Hyperbolic cosine.
    #[track_caller]
    pub fn cosh(&self) -> Tensor {
        of_floats("cosh", self, cosh)
    }

    /// Logarithm to base 2.
    #[track_caller]
    pub fn log2(&self) -> Tensor {
        of_floats("log2", self, |x| x.log() / LN_2)
    }

    /// Logarithm to base 10.
    #[track_caller]
    pub fn log10(&self) -> Tensor {
        of_floats("log10", self, |x| x.log() / LN_10)
    }

    /// `1 / sqrt(x)`.
    #[track_caller]
    pub fn rsqrt(&self) -> Tensor {
        of_floats("rsqrt", self, |x| x.sqrt().recip())
    }

    /// Whether elements are NaN, bool.
    #[track_caller]
    pub fn is_nan(&self) -> Tensor {
        self.not_equal(self)
    }
}

/// A function of the two halves of an axis.
#[track_caller]
fn of_halves(name: &str, x: &Tensor, axis: isize, body: impl FnOnce(&Tensor, &Tensor) -> Tensor) -> Tensor {
    of_floats(name, x, |x| match super::resolve_axes(name, x, &[axis]) {
        Err(mistake) => mistake,
        Ok(axes) if x.shape()[axes[0]] % 2 == 1 => super::misfit(name, format!("axis {axis} of {:?} has no two halves", x.shape())),
        Ok(axes) => {
            let half = x.shape()[axes[0]] / 2;
            body(&super::part(x, axes[0], 0, half), &super::part(x, axes[0], half, 2 * half))
        }
    })
}

/// A function of floats and of whether they are between `-bound` and `bound`.
#[track_caller]
fn shrunk(name: &str, x: &Tensor, bound: f64, body: impl FnOnce(&Tensor, &Tensor) -> Tensor) -> Tensor {
    if bound < 0.0 || bound.is_nan() {
        return disallowed(name, &[x], format!("the bound {bound} is not 0 or more"));
    }
    of_floats(name, x, |x| body(x, &x.abs().less_equal(&Tensor::full(x.shape(), bound, x.dtype()))))
}

/// `2 sinh(x/2) cosh(x/2)`, which overflows no sooner than the result.
fn sinh(x: &Tensor) -> Tensor {
    let (up, down) = ((x * 0.5).expm1(), (x * -0.5).expm1());
    let value = (&up - &down) * ((up + down) * 0.5 + 1.0);
    with_slope("sinh", x, &value, |x, _| cosh(x))
}

/// `1 + 2 sinh(x/2)^2`.
fn cosh(x: &Tensor) -> Tensor {
    let twice = (x * 0.5).expm1() - (x * -0.5).expm1();
    with_slope("cosh", x, &(&twice * (&twice * 0.5) + 1.0), |x, _| sinh(x))
}
