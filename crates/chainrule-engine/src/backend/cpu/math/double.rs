//! Element functions for f64; see the parent module for what `FMA` means and
//! how errors were measured. Most are a [`formula_double`] computed with f64; powers, which nothing else
//! computes, are written here. [`sin_near`] and [`cos_near`] refuse arguments
//! beyond [`NEAR`]; [`sin`], [`cos`] and the slice forms take any.
//!
//! The polynomials are weighted minimax fits (Remez exchange, 60 digits), made
//! by `tests/data/math_coefficients.py`.

pub use super::formula_double::NEAR;
use super::formula_double::{self, LN_2_HIGH, LN_2_LOW};
use super::real::{Real, Scalar};

macro_rules! of_f64 {
    ($($name:ident)*) => {$(
        #[doc = concat!("[`formula_double::", stringify!($name), "`] of an f64.")]
        #[inline(always)]
        pub fn $name<const FMA: bool>(x: f64) -> f64 {
            formula_double::$name(Scalar::<f64, FMA>(x)).0
        }
    )*};
}
of_f64!(exp expm1 log log1p tanh sech sigmoid softplus erf atan sin_near cos_near);

/// `a * b + c`, rounded once if `FMA`, else twice.
#[inline(always)]
pub fn fma<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// What rounding took from `product = a * b`. Without a fused step the factors
/// are cut in halves of 26 bits (Dekker), so they must stay below 2^996.
#[inline(always)]
fn product_error<const FMA: bool>(a: f64, b: f64, product: f64) -> f64 {
    if FMA {
        a.mul_add(b, -product)
    } else {
        let cut = |v: f64| {
            let wide = 134_217_729.0 * v;
            wide - (wide - v)
        };
        let (a_high, b_high) = (cut(a), cut(b));
        let (a_low, b_low) = (a - a_high, b - b_high);
        ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    }
}

/// sin(x) for any `x`; NaN at infinity. It branches, so a loop over it does
/// not vectorise: use [`sin_slice`].
#[inline(always)]
pub fn sin<const FMA: bool>(x: f64) -> f64 {
    if x.abs() <= NEAR { sin_near::<FMA>(x) } else { sin_far(x) }
}

/// cos(x) for any `x`; NaN at infinity. It branches, so a loop over it does
/// not vectorise: use [`cos_slice`].
#[inline(always)]
pub fn cos<const FMA: bool>(x: f64) -> f64 {
    if x.abs() <= NEAR { cos_near::<FMA>(x) } else { cos_far(x) }
}

/// sin(x) beyond [`NEAR`], by the standard library.
#[cold]
pub fn sin_far(x: f64) -> f64 {
    x.sin()
}

/// cos(x) beyond [`NEAR`], by the standard library.
#[cold]
pub fn cos_far(x: f64) -> f64 {
    x.cos()
}

/// [`sin`] of every element, as a vector loop and, only if some element lies
/// beyond [`NEAR`], a second pass over those. The shorter slice decides.
#[inline(always)]
pub fn sin_slice<const FMA: bool>(x: &[f64], out: &mut [f64]) {
    if near_pass(x, out, sin_near::<FMA>) {
        far_pass(x, out, sin_far);
    }
}

/// [`cos`] of every element; see [`sin_slice`].
#[inline(always)]
pub fn cos_slice<const FMA: bool>(x: &[f64], out: &mut [f64]) {
    if near_pass(x, out, cos_near::<FMA>) {
        far_pass(x, out, cos_far);
    }
}

/// Applies `function` to all and says whether any element lay too far out.
#[inline(always)]
fn near_pass(x: &[f64], out: &mut [f64], function: impl Fn(f64) -> f64) -> bool {
    let mut far = 0u64;
    for (to, &from) in out.iter_mut().zip(x) {
        *to = function(from);
        far |= u64::from(from.abs() > NEAR);
    }
    far != 0
}

/// Applies `function` to the elements beyond [`NEAR`].
#[cold]
fn far_pass(x: &[f64], out: &mut [f64], function: fn(f64) -> f64) {
    for (to, &from) in out.iter_mut().zip(x) {
        if from.abs() > NEAR {
            *to = function(from);
        }
    }
}

/// Whether `size`, not negative, is an integer: above 2^52 every f64 is, and
/// below, adding 2^52 would round the fraction away.
#[inline(always)]
fn is_integer(size: f64) -> bool {
    const WHOLE: f64 = 4_503_599_627_370_496.0;
    (size >= WHOLE) | ((size + WHOLE) - WHOLE == size)
}

/// x^y with the special cases of IEEE 754 (`pow`): x^0 = 1^y = 1 even for NaN,
/// NaN for a negative base and a fractional power, signed zeros and infinities
/// for odd integer powers. Error up to 1.2 ULP.
#[inline(always)]
pub fn pow<const FMA: bool>(x: f64, y: f64) -> f64 {
    let size = x.abs();
    let (high, low) = log_wide::<FMA>(size);
    // Beyond 2^70 any base but one is at 0 or infinity already.
    let y_size = y.abs();
    let power = (if y_size > 1.0e21 { 1.0e21 } else { y_size }).copysign(y);
    let product = power * high;
    let error = fma::<FMA>(power, low, product_error::<FMA>(power, high, product));
    let value = formula_double::exp_sum(Scalar::<f64, FMA>(product), Scalar(error)).0;

    let end = if (size == 0.0) == (y < 0.0) { f64::INFINITY } else { 0.0 };
    let value = if (size == 0.0) | (size == f64::INFINITY) { end } else { value };
    let whole = is_integer(y_size);
    let odd = whole & !is_integer(0.5 * y_size);
    let sign = if odd { x.to_bits() & (1 << 63) } else { 0 };
    let value = f64::from_bits(value.to_bits() | sign);
    let undefined = (x < 0.0) & (x > f64::NEG_INFINITY) & !whole;
    let value = if undefined | x.is_nan() | y.is_nan() { f64::NAN } else { value };
    if (y == 0.0) | (x == 1.0) { 1.0 } else { value }
}

/// log(x) of a positive finite number as a sum of two, to about 68 bits:
/// 2 atanh(s) with s = f / (2 + f), its first two terms in twice the precision.
#[inline(always)]
fn log_wide<const FMA: bool>(x: f64) -> (f64, f64) {
    const THIRD: f64 = 1.0 / 3.0;
    const THIRD_LOW: f64 = 1.850371707708594e-17;
    let (Scalar(k), Scalar(mantissa)) = formula_double::split_any(Scalar::<f64, FMA>(x));
    let f = mantissa - 1.0;
    let below = 2.0 + f;
    let below_low = f - (below - 2.0);
    let inverse = 1.0 / below;
    let s = f * inverse;
    let back = s * below;
    let missing = (f - back) - product_error::<FMA>(s, below, back);
    let s_low = fma::<FMA>(-s, below_low, missing) * inverse;

    let z = s * s;
    let z_low = fma::<FMA>(2.0 * s, s_low, product_error::<FMA>(s, s, z));
    let wide = Scalar::<f64, FMA>(z);
    let series = polynomial!(wide;
        0.1999999999999999, 0.14285714285722576, 0.11111111108763676, 0.090909094357197,
        0.0769227839691314, 0.06668160202059759, 0.05837378802473006, 0.05994761379738947);
    let tail = z * z * series.0;
    let third = z * THIRD;
    let third_low = product_error::<FMA>(z, THIRD, third) + (z * THIRD_LOW + z_low * THIRD);
    let series = third + tail;
    let series_low = (tail - (series - third)) + third_low;

    let twice = 2.0 * s;
    let bend = twice * series;
    let bend_low = product_error::<FMA>(twice, series, bend) + fma::<FMA>(twice, series_low, 2.0 * s_low * series);
    let high = twice + bend;
    let low = (bend - (high - twice)) + (2.0 * s_low + bend_low);

    // k ln 2, when not zero, is the larger part.
    let whole = k * LN_2_HIGH;
    let total = whole + high;
    let rest = (high - (total - whole)) + fma::<FMA>(k, LN_2_LOW, low);
    let sum = total + rest;
    (sum, rest - (sum - total))
}
