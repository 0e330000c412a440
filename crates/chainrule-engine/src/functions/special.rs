//! Special functions: the relatives of the error function, and the logarithm of the gamma function with
//! all its derivatives.
//!
//! The values are polynomials, recurrences and asymptotic series. Differentiated term by term they would lose
//! digits and grow with every order, and their true derivatives are functions of the same families: so each
//! names its derivative instead, and has one of any order. Refuses complex results: what has none is NaN.
//!
//! Errors are relative, measured against figures of 50 digits (`tests/data/special_reference.py`), and
//! hold in f64; those of f32 are at most 16 of its spacings (32 for gamma functions below 0). f16 and bf16 are computed in f32.
//! The polynomials are minimax fits, made by `tests/data/special_coefficients.py`.

use super::{cos_pi, disallowed, halves, of_wide_floats, polynomial, recorded, sign_of, sin_pi, with_slope};
use crate::tensor::{DType, Tensor};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

/// `(1 + 2x) e^(x^2) erfc(x)` as a polynomial in `(x - 3) / (x + 3)`, for x from 0 to where erfc is 0 (the form is that of
/// Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x", 1981).
#[rustfmt::skip]
const ERFC_TAIL: [f64; 24] = [
    1.2530080582697296, -0.13562110612458106, -0.04756229435345232, 0.12964515870274526,
    -0.11927366341520815, 0.06830802734455763, -0.023770514921096705, 0.0025293918058374243,
    0.0018886903888631753, -0.0007798321705571577, -0.00010516000151319112, 0.00012509873063418532,
    4.950301103862937e-06, -2.0098105462849174e-05, -7.334915495592087e-07, 3.4659846869478198e-06,
    3.595075891144297e-07, -6.056541483590167e-07, -1.4285130604514385e-07, 9.002286114259471e-08,
    4.0369186426856763e-08, -6.030809789090716e-09, -6.2654058024079745e-09, -9.6882291327588e-10,
];
/// The same for f32.
#[rustfmt::skip]
const ERFC_TAIL_SINGLE: [f64; 11] = [
    1.253008, -0.13562115, -0.047562398, 0.12964642, -0.11927097, 0.06829577,
    -0.02379753, 0.0025673772, 0.0020018115, -0.0007775847, -0.00026812844,
];
/// `erfinv(x) / x` to seven digits, in `w - 2.5` for `w = -log(1 - x^2)` below 5 (the variables are those of Giles,
/// "Approximating the erfinv function", 2010).
#[rustfmt::skip]
const ERFINV_NEAR: [f64; 9] = [
    1.5014094, 0.24664074, -0.00417743, -0.0012537364, 0.0002183789, -4.3875298e-06,
    -3.4715038e-06, 3.428818e-07, 2.3935364e-08,
];
/// The same in `sqrt(w) - 3` beyond.
#[rustfmt::skip]
const ERFINV_FAR: [f64; 13] = [
    2.8329768, 1.0016761, 0.009442578, -0.007652352, 0.0057089664, -0.0035419683,
    0.0014142074, -0.00012722051, -0.0002158564, 0.00013657183, -3.9435323e-05, 5.8562914e-06,
    -3.6059117e-07,
];
/// `log(gamma(2 + z)) / z` for `|z|` up to a half.
#[rustfmt::skip]
const GAMMA_NEAR_TWO: [f64; 19] = [
    0.42278433509846713, 0.32246703342411326, -0.06735230105319831, 0.02058080842778057,
    -0.007385551028649724, 0.0028905103310236544, -0.0011927539127578445, 0.0005096695156781985,
    -0.00022315473517706054, 9.9457670004583e-05, -4.492653099398159e-05, 2.0505617622894547e-05,
    -9.437237695607283e-06, 4.384588711096893e-06, -2.049750373216038e-06, 9.203171491057048e-07,
    -4.2005174723481065e-07, 2.784920640854323e-07, -1.4328713942301774e-07,
];
/// The same for f32.
#[rustfmt::skip]
const GAMMA_NEAR_TWO_SINGLE: [f64; 9] = [
    0.42278433, 0.32246703, -0.06735222, 0.020581601, -0.007387427, 0.0028790575,
    -0.0011778425, 0.0005698197, -0.00026985086,
];
/// The Bernoulli numbers of even order, from the second.
#[rustfmt::skip]
const BERNOULLI: [f64; 10] = [
    1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2730.0,
    7.0 / 6.0, -3617.0 / 510.0, 43867.0 / 798.0, -174611.0 / 330.0,
];
/// The largest order of [`Tensor::polygamma`]: beyond, factorials leave no room in f64.
const MOST_DERIVATIVES: usize = 100;
/// The largest order that is computed in f32; beyond, in f64.
const MOST_IN_SINGLE: usize = 20;

impl Tensor {
    /// `1 - erf(x)`, with all its digits where that is next to 0: error up to 2e-15 for as long as it is a normal number.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let y = Tensor::from_slice(&[10.0f64], [1]).erfc();
    /// assert!((y.item()? / 2.088487583762545e-45 - 1.0).abs() < 1e-14);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn erfc(&self) -> Tensor {
        of_wide_floats("erfc", self, |x| with_slope("erfc", x, &erfc(x), |x, _| -bell(x)))
    }

    /// The inverse of [`Tensor::erf`]: infinite at -1 and 1, NaN beyond. Error up to 2e-15.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from_slice(&[-0.9f64, 0.1, 0.999999], [3]);
    /// let back = x.erfinv().erf().to_vec::<f64>()?;
    /// assert!(back.iter().zip([-0.9, 0.1, 0.999999]).all(|(a, b)| (a - b).abs() < 1e-15));
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn erfinv(&self) -> Tensor {
        of_wide_floats("erfinv", self, |x| with_slope("erfinv", x, &erfinv(x), |_, y| y.square().exp() / FRAC_2_SQRT_PI))
    }

    /// The logarithm of the size of the gamma function: infinite at 0 and at whole numbers below. Error up to 2e-15, or as much of
    /// 1 where a negative argument makes it nearly 0. Its derivative is [`Tensor::digamma`].
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from_slice(&[5.0f64], [1]);
    /// assert!((x.lgamma().item()? - 24f64.ln()).abs() < 1e-14);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn lgamma(&self) -> Tensor {
        of_wide_floats("lgamma", self, |x| with_slope("lgamma", x, &lgamma(x), |x, _| x.digamma()))
    }

    /// The derivative of [`Tensor::lgamma`]. At 0 it is infinite, with the sign that 0 has not; at negative whole
    /// numbers it is NaN. Error up to 2e-15, or as much of 1 next to its zeros.
    #[track_caller]
    pub fn digamma(&self) -> Tensor {
        of_wide_floats("digamma", self, |x| with_slope("digamma", x, &digamma(x), |x, _| x.polygamma(1)))
    }

    /// Derivative number `order` of [`Tensor::digamma`], which is order 0. At negative whole numbers infinite for odd
    /// orders, and NaN for even ones. Error up to 1e-14, or as much of the larger part for a negative argument.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let trigamma = Tensor::from_slice(&[1.0f64], [1]).polygamma(1);
    /// assert!((trigamma.item()? - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-14);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// An order above 100.
    #[track_caller]
    pub fn polygamma(&self, order: usize) -> Tensor {
        if order == 0 {
            return self.digamma();
        }
        if order > MOST_DERIVATIVES {
            return disallowed("polygamma", &[self], format!("the order is {order}; at most {MOST_DERIVATIVES} is computed"));
        }
        if order > MOST_IN_SINGLE && self.dtype().is_float() && self.dtype() != DType::F64 {
            return recorded(|| self.cast(DType::F64).polygamma(order).cast(self.dtype()));
        }
        of_wide_floats("polygamma", self, |x| with_slope("polygamma", x, &polygamma(x, order), move |x, _| x.polygamma(order + 1)))
    }
}

/// The list of the precision that `x` is computed in.
fn of_precision<'a>(x: &Tensor, double: &'a [f64], single: &'a [f64]) -> &'a [f64] {
    if x.dtype() == DType::F64 { double } else { single }
}

/// The derivative of erf.
fn bell(x: &Tensor) -> Tensor {
    gaussian(x, 1.0) * FRAC_2_SQRT_PI
}

fn erfc(x: &Tensor) -> Tensor {
    let size = held(x, 1.0).abs();
    let tail = tail(&size) * gaussian_of(&size, 1.0);
    x.less(&x.zeros_like()).select(&(2.0 - &tail), &tail)
}

/// `erfc(x) e^(x^2)` of what is not negative, with one division.
fn tail(x: &Tensor) -> Tensor {
    let (above, twice) = (x + 3.0, x * 2.0 + 1.0);
    let inverse = (&above * &twice).recip();
    let u = (x - 3.0) * twice * &inverse;
    polynomial(&u, of_precision(x, &ERFC_TAIL, &ERFC_TAIL_SINGLE)) * (above * inverse)
}

/// The number, or the nearest one whose [`gaussian`] is 0, which is finite.
fn held(x: &Tensor, factor: f64) -> Tensor {
    let end = if x.dtype() == DType::F64 { 27.3 } else { 10.25 };
    let end = end / factor.sqrt();
    x.clamp(-end, end)
}

/// `e^(-factor x^2)` with all digits, also where the exponent is large; the factor is a power of two.
fn gaussian(x: &Tensor, factor: f64) -> Tensor {
    let slope = move |x: &Tensor, value: &Tensor| value * (-2.0 * factor) * held(x, factor);
    with_slope("gaussian", x, &gaussian_of(&held(x, factor).abs(), factor), slope)
}

/// The value alone, of the size of what is [`held`].
fn gaussian_of(size: &Tensor, factor: f64) -> Tensor {
    // What rounding takes from the square: products of halves are exact.
    let (high, low) = halves(size);
    let square = size.square();
    let lost = ((high.square() - &square) + &high * &low * 2.0) + low.square();
    (1.0 - lost * factor) * (square * -factor).exp()
}

/// The standard normal variable's distribution, the part of it below `x`, with all digits where that is next to 0.
fn normal_distribution(x: &Tensor) -> Tensor {
    let size = held(x, 0.5).abs();
    let tail = tail(&(&size * FRAC_1_SQRT_2)) * (gaussian_of(&size, 0.5) * 0.5);
    let value = x.less(&x.zeros_like()).select(&tail, &(1.0 - &tail));
    with_slope("normal_distribution", x, &value, |x, _| normal_density(x))
}

/// The derivative of [`normal_distribution`].
fn normal_density(x: &Tensor) -> Tensor {
    gaussian(x, 0.5) * (0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2)
}

/// `x` times [`normal_distribution`], 0 where that is.
pub(super) fn gelu(x: &Tensor) -> Tensor {
    let slope = |x: &Tensor, _: &Tensor| normal_distribution(x) + normal_density(x) * held(x, 0.5);
    with_slope("gelu", x, &normal_distribution(x).scale(x), slope)
}

/// A start of seven digits, and one step of Halley's method.
fn erfinv(x: &Tensor) -> Tensor {
    let sign = sign_of(x);
    let size = x * &sign;
    let w = -((1.0 - &size) * (&size + 1.0)).log();
    let five = Tensor::full(x.shape(), 5.0, x.dtype());
    let near = polynomial(&(&w - 2.5), &ERFINV_NEAR);
    let far = polynomial(&(w.sqrt() - 3.0), &ERFINV_FAR);
    let start = w.less(&five).select(&near, &far) * &size;
    let half = Tensor::full(x.shape(), 0.5, x.dtype());
    // Of what is left to 1 the difference keeps its digits.
    let off = size.less(&half).select(&(start.erf() - &size), &((1.0 - &size) - erfc(&start)));
    let step = off / bell(&start);
    let found = &start - &step / (&start * &step + 1.0);
    let one = x.ones_like();
    let infinite = Tensor::full(x.shape(), f64::INFINITY, x.dtype());
    size.equal(&one).select(&infinite, &found) * sign
}

/// By reflection below 0: `gamma(x) gamma(1 - x) = pi / sin(pi x)`.
fn lgamma(x: &Tensor) -> Tensor {
    let below = x.less(&x.zeros_like());
    let positive = lgamma_of_positive(&below.select(&(1.0 - x), x));
    let sine = sin_pi(x);
    let reflected = (PI / (&sine * sign_of(&sine))).log() - &positive;
    let infinite = Tensor::full(x.shape(), f64::INFINITY, x.dtype());
    x.is_inf().select(&infinite, &below.select(&reflected, &positive))
}

/// From 8 on by Stirling's series; below, by `gamma(x + 1) = x gamma(x)` from next to 2, where a polynomial has all
/// digits, as the logarithm has next to 1: so the zeros at 1 and 2 keep theirs.
fn lgamma_of_positive(x: &Tensor) -> Tensor {
    let at = |value: f64| Tensor::full(x.shape(), value, x.dtype());
    let whole = (x + 0.5).floor();
    let z = x - &whole;
    let near = polynomial(&z, of_precision(x, &GAMMA_NEAR_TWO, &GAMMA_NEAR_TWO_SINGLE)) * &z;
    let mut factor = x.ones_like();
    for step in 1..=6 {
        factor = at(step as f64 + 1.5).less(&whole).select(&(&factor * (x - step as f64)), &factor);
    }
    let up = (whole.equal(&at(0.0)).select(&(x + x.square()), x)).log();
    let near = whole.less(&at(1.5)).select(&(&near - up), &(&near + factor.log()));

    // B(2k) / (2k (2k - 1) x^(2k - 1)).
    let series: Vec<f64> = BERNOULLI.iter().take(8).zip(1..).map(|(b, k)| b / f64::from(2 * k * (2 * k - 1))).collect();
    let inverse = x.recip();
    let rest = polynomial(&inverse.square(), &series) * &inverse;
    let far = (x - 0.5) * (x.log() - 1.0) + ((0.5 * (2.0 * PI).ln() - 0.5) + rest);
    x.less(&at(8.0)).select(&near, &far)
}

/// `log(z) - 1/(2z) - sum of B(2k) / (2k z^2k)` at `z = x + 10`, less what `psi(x + 1) = psi(x) + 1/x` adds on the way
/// (Abramowitz and Stegun, 6.3).
fn digamma(x: &Tensor) -> Tensor {
    let zero = x.zeros_like();
    let below = x.less(&zero);
    let positive = below.select(&(1.0 - x), x);
    let z = &positive + 10.0;
    let inverse = z.recip();
    let series: Vec<f64> = BERNOULLI.iter().take(8).zip(1..).map(|(b, k)| b / f64::from(2 * k)).collect();
    let square = inverse.square();
    let bend = polynomial(&square, &series) * square + inverse * 0.5;
    let steps = (1..10).fold(positive.recip(), |sum, k| sum + (&positive + f64::from(k)).recip());
    let value = (z.log() - bend) - steps;
    let (sine, cosine) = (sin_pi(x), cos_pi(x));
    let reflected = &value - cosine / &sine * PI;
    let nowhere = Tensor::full(x.shape(), f64::NAN, x.dtype());
    below.select(&sine.equal(&zero).select(&nowhere, &reflected), &value)
}

/// As [`digamma`], differentiated `n` times (Abramowitz and Stegun, 6.4).
fn polygamma(x: &Tensor, n: usize) -> Tensor {
    let zero = x.zeros_like();
    let below = x.less(&zero);
    let positive = below.select(&(1.0 - x), x);
    let steps = 10 + n;
    let z = &positive + steps as f64;
    let inverse = z.recip();
    let factorial = |n: usize| (1..=n).fold(1.0, |product, k| product * k as f64);
    // (2k + n - 1)! / (2k)!
    let rising = |k: usize| (2 * k + 1..2 * k + n).fold(1.0, |product, k| product * k as f64);
    let series: Vec<f64> = BERNOULLI.iter().zip(1..).map(|(b, k)| b * rising(k)).collect();
    let bend = polynomial(&inverse.square(), &series) * &inverse + 0.5 * factorial(n);
    let far = (bend * &inverse + factorial(n - 1)) * power(&inverse, n);
    let passed = (1..steps).fold(power(&positive.recip(), n + 1), |sum, k| sum + power(&(&positive + k as f64).recip(), n + 1));
    // The sign of every other derivative is turned, as by the reflection below.
    let odd = n % 2 == 1;
    let turned = |t: Tensor| if odd { t } else { -t };
    let value = turned(far + passed * factorial(n));

    // Of pi cot(pi x) the derivatives are polynomials in the cotangent.
    let sine = sin_pi(x);
    let turn = polynomial(&(cos_pi(x) / &sine), &cotangent_derivative(n)) * PI.powi(n as i32 + 1);
    let reflected = if odd { -(&value + turn) } else { &value - turn };
    let pole = Tensor::full(x.shape(), if odd { f64::INFINITY } else { f64::NAN }, x.dtype());
    below.select(&sine.equal(&zero).select(&pole, &reflected), &value)
}

/// The derivative number `n` of the cotangent as a polynomial in it: that of `c` is `-(1 + c^2)`.
fn cotangent_derivative(n: usize) -> Vec<f64> {
    let mut current = vec![0.0, 1.0];
    for _ in 0..n {
        let slope: Vec<f64> = current.iter().enumerate().skip(1).map(|(power, c)| c * power as f64).collect();
        current = vec![0.0; slope.len() + 2];
        for (power, c) in slope.into_iter().enumerate() {
            current[power] -= c;
            current[power + 2] -= c;
        }
    }
    current
}

/// `x^n` by repeated squaring, for n from 1 on.
fn power(x: &Tensor, n: usize) -> Tensor {
    let mut result = x.clone();
    for bit in (0..n.ilog2()).rev() {
        result = result.square();
        if n >> bit & 1 == 1 {
            result = result * x;
        }
    }
    result
}
