//! Element functions for f32; see the parent module for what `FMA` means and
//! how errors were measured. Most are a [`formula`] computed with f32; sines, cosines and powers,
//! which no other machine computes, are written here. [`sin_near`] and [`cos_near`] refuse arguments
//! beyond [`NEAR`]; [`sin`], [`cos`] and the slice forms take any.
//!
//! The polynomials are weighted minimax fits (Remez exchange, 60 digits), made
//! by `tests/data/math_coefficients.py`.

use super::formula;
use super::real::{Real, Scalar};

/// Adding 1.5 * 2^52 rounds to an integer and leaves it in the low bits.
const ROUND_64: f64 = 6_755_399_441_055_744.0;
pub use super::formula::NEAR;

/// `a * b + c` in f64, rounded once if `FMA`, else twice.
#[inline(always)]
fn fma_64<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

macro_rules! of_f32 {
    ($($name:ident)*) => {$(
        #[doc = concat!("[`formula::", stringify!($name), "`] of an f32.")]
        #[inline(always)]
        pub fn $name<const FMA: bool>(x: f32) -> f32 {
            formula::$name(Scalar::<f32, FMA>(x)).0
        }
    )*};
}
of_f32!(exp expm1 log log1p tanh sech sigmoid softplus erf atan round_bf16 round_f16);

/// Cody-Waite reduction of `x`, at most [`NEAR`] in size, by pi / 2, without fused steps: f64 holds n
/// times the upper 33 bits of pi / 2 exactly. Gives the quarter turns and what is left.
#[inline(always)]
fn reduce_angle(x: f32) -> (u32, f32) {
    let x = f64::from(x);
    let shifted = x * core::f64::consts::FRAC_2_PI + ROUND_64;
    let n = shifted - ROUND_64;
    let r = (x - n * f64::from_bits(0x3ff9_21fb_5440_0000)) - n * 6.077_100_506_506_192e-11;
    (shifted.to_bits() as u32, r as f32)
}

/// sin(r) and cos(r) for `|r|` up to pi / 4, without fused steps.
#[inline(always)]
fn sin_cos(r: f32) -> (f32, f32) {
    let (sine, cosine) = formula::sin_cos(Scalar::<f32, false>(r));
    (sine.0, cosine.0)
}

/// sin(x) for `|x|` up to [`NEAR`] (beyond it the result is worthless). Error up
/// to 1.6 ULP.
#[inline(always)]
pub fn sin_near<const FMA: bool>(x: f32) -> f32 {
    if FMA {
        return formula::sin_near(Scalar::<f32, true>(x)).0;
    }
    let (quarter, r) = reduce_angle(x);
    let (sine, cosine) = sin_cos(r);
    let value = if quarter & 1 == 0 { sine } else { cosine };
    let value = f32::from_bits(value.to_bits() ^ ((quarter & 2) << 30));
    // The polynomial turns -0 into 0.
    if x == 0.0 { x } else { value }
}

/// cos(x) for `|x|` up to [`NEAR`] (beyond it the result is worthless). Error up
/// to 1.6 ULP.
#[inline(always)]
pub fn cos_near<const FMA: bool>(x: f32) -> f32 {
    if FMA {
        return formula::cos_near(Scalar::<f32, true>(x)).0;
    }
    let (quarter, r) = reduce_angle(x);
    let (sine, cosine) = sin_cos(r);
    let value = if quarter & 1 == 0 { cosine } else { sine };
    f32::from_bits(value.to_bits() ^ ((quarter.wrapping_add(1) & 2) << 30))
}

/// sin(x) for any `x`; NaN at infinity. It branches, so a loop over it does
/// not vectorise: use [`sin_slice`].
#[inline(always)]
pub fn sin<const FMA: bool>(x: f32) -> f32 {
    if x.abs() <= NEAR { sin_near::<FMA>(x) } else { sin_far(x) }
}

/// cos(x) for any `x`; NaN at infinity. It branches, so a loop over it does
/// not vectorise: use [`cos_slice`].
#[inline(always)]
pub fn cos<const FMA: bool>(x: f32) -> f32 {
    if x.abs() <= NEAR { cos_near::<FMA>(x) } else { cos_far(x) }
}

/// sin(x) beyond [`NEAR`], through the f64 function of the standard library.
#[cold]
pub fn sin_far(x: f32) -> f32 {
    f64::from(x).sin() as f32
}

/// cos(x) beyond [`NEAR`], through the f64 function of the standard library.
#[cold]
pub fn cos_far(x: f32) -> f32 {
    f64::from(x).cos() as f32
}

/// [`sin`] of every element, as a vector loop and, only if some element lies
/// beyond [`NEAR`], a second pass over those. The shorter slice decides.
#[inline(always)]
pub fn sin_slice<const FMA: bool>(x: &[f32], out: &mut [f32]) {
    if near_pass(x, out, sin_near::<FMA>) {
        far_pass(x, out, sin_far);
    }
}

/// [`cos`] of every element; see [`sin_slice`].
#[inline(always)]
pub fn cos_slice<const FMA: bool>(x: &[f32], out: &mut [f32]) {
    if near_pass(x, out, cos_near::<FMA>) {
        far_pass(x, out, cos_far);
    }
}

/// Applies `function` to all and says whether any element lay too far out.
#[inline(always)]
fn near_pass(x: &[f32], out: &mut [f32], function: impl Fn(f32) -> f32) -> bool {
    let mut far = 0u32;
    for (to, &from) in out.iter_mut().zip(x) {
        *to = function(from);
        far |= u32::from(from.abs() > NEAR);
    }
    far != 0
}

/// Applies `function` to the elements beyond [`NEAR`].
#[cold]
fn far_pass(x: &[f32], out: &mut [f32], function: fn(f32) -> f32) {
    for (to, &from) in out.iter_mut().zip(x) {
        if from.abs() > NEAR {
            *to = function(from);
        }
    }
}

/// Whether `size`, not negative, is an integer: above 2^23 every f32 is, and
/// below, adding 2^23 would round the fraction away.
#[inline(always)]
fn is_integer(size: f32) -> bool {
    (size >= 8_388_608.0) | ((size + 8_388_608.0) - 8_388_608.0 == size)
}

/// x^y with the special cases of IEEE 754 (`pow`): x^0 = 1^y = 1 even for NaN,
/// NaN for a negative base and a fractional power, signed zeros and infinities
/// for odd integer powers. Computed in f64; error up to 0.6 ULP.
#[inline(always)]
pub fn pow<const FMA: bool>(x: f32, y: f32) -> f32 {
    let size = x.abs();
    let power = f64::from(y) * log2_64::<FMA>(size);
    // 1^infinity is one, though its logarithm times infinity is not.
    let power = if (size == 1.0) & !y.is_nan() { 0.0 } else { power };
    let value = exp2_64::<FMA>(power) as f32;

    let y_size = y.abs();
    let whole = is_integer(y_size);
    let odd = whole & !is_integer(0.5 * y_size);
    let sign = if odd { x.to_bits() & 0x8000_0000 } else { 0 };
    let value = f32::from_bits(value.to_bits() | sign);
    let undefined = (x < 0.0) & (x > f32::NEG_INFINITY) & !whole;
    let value = if undefined { f32::NAN } else { value };
    if (y == 0.0) | (x == 1.0) { 1.0 } else { value }
}

/// log2 of an f32 that is not negative, in f64 to about 35 bits.
#[inline(always)]
fn log2_64<const FMA: bool>(x: f32) -> f64 {
    let wide = f64::from(x);
    // Every f32 is a normal f64. The upper half of the bits has the exponent
    // and enough of the mantissa to tell on which side of sqrt(2) it lies.
    let bits = wide.to_bits().wrapping_sub(0x3fe6_a09e_0000_0000);
    let mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + 0x3fe6_a09e_0000_0000);
    // Raised by 1024 the exponent is not negative, and an unsigned shift reads it.
    let exponent = (bits.wrapping_add(1024 << 52) >> 52) | ROUND_64.to_bits();
    let k = f64::from_bits(exponent) - (ROUND_64 + 1024.0);
    let f = mantissa - 1.0;
    let series = log2_rest::<FMA>(f);
    let value = fma_64::<FMA>(f, series, k);
    let value = if x < f32::INFINITY { value } else { wide };
    if x == 0.0 { f64::NEG_INFINITY } else { value }
}

/// `log2(1 + f) / f` for `1 + f` in [sqrt(1/2), sqrt(2)).
#[inline(always)]
fn log2_rest<const FMA: bool>(f: f64) -> f64 {
    let f = Scalar::<f64, FMA>(f);
    let series = polynomial!(f;
        1.442695040868708, -0.7213475208686777, 0.4808983613940681,
        -0.36067367484017004, 0.2885372935883425, -0.24045316521636628,
        0.20617535592566488, -0.18030060353944205, 0.15876984463810934,
        -0.1431564907059008, 0.14474827139213925, -0.14283905950944753,
        0.07737032990751151);
    series.0
}

/// 2^x in f64 to about 29 bits, held within 2^-200 and 2^200.
#[inline(always)]
fn exp2_64<const FMA: bool>(x: f64) -> f64 {
    let x = if x > 200.0 { 200.0 } else { x };
    let x = if x < -200.0 { -200.0 } else { x };
    let shifted = x + ROUND_64;
    let r = x - (shifted - ROUND_64);
    let r = Scalar::<f64, FMA>(r);
    let value = polynomial!(r;
        1.0000000005623582, 0.6931472060343802, 0.24022646847524567,
        0.055503281253844274, 0.00961849160441811, 0.0013400195172834112,
        0.00015345636691069335);
    value.0 * f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0f64.to_bits()))
}
