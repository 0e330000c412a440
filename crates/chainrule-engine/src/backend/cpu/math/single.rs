//! Element functions for f32; see the parent module for what `FMA` means and
//! how errors were measured. [`sin_near`] and [`cos_near`] refuse arguments
//! beyond [`NEAR`]; [`sin`], [`cos`] and the slice forms take any.
//!
//! The polynomials are weighted minimax fits (Remez exchange, 60 digits), made
//! by `tests/data/math_coefficients.py`.

use core::f32::consts::{FRAC_2_PI, LOG2_E};

/// Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
const ROUND: f32 = 12_582_912.0;
/// Same for f64: 1.5 * 2^52.
const ROUND_64: f64 = 6_755_399_441_055_744.0;
/// The upper 15 bits of ln 2, so that a multiple by an exponent is exact.
const LN_2_HIGH: f32 = f32::from_bits(0x3f31_7200);
/// ln 2 - LN_2_HIGH.
const LN_2_LOW: f32 = 1.428_606_8e-6;
/// The bits of sqrt(1/2): mantissas are taken from [sqrt(1/2), sqrt(2)).
const SQRT_HALF_BITS: u32 = 0x3f35_04f3;

/// The largest `|x|` that [`sin_near`] and [`cos_near`] accept.
pub const NEAR: f32 = 1.0e5;

/// `a * b + c`, rounded once if `FMA`, else twice.
#[inline(always)]
pub fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// The same in f64, for the functions that pass through it.
#[inline(always)]
fn fma_64<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// 2^n for -126 <= n <= 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// An argument split as `n ln 2 + r + rest`, `|r| <= ln 2 / 2`.
struct Reduced {
    n: i32,
    n_float: f32,
    r: f32,
    rest: f32,
}

/// Splits `x`, which must be within +-150 or NaN.
#[inline(always)]
fn reduce<const FMA: bool>(x: f32) -> Reduced {
    let shifted = fma::<FMA>(x, LOG2_E, ROUND);
    let n_float = shifted - ROUND;
    let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let high = fma::<FMA>(-n_float, LN_2_HIGH, x);
    let r = fma::<FMA>(-n_float, LN_2_LOW, high);
    let rest = fma::<FMA>(-n_float, LN_2_LOW, high - r);
    Reduced { n, n_float, r, rest }
}

/// `(e^r - 1 - r) / r^2` for `|r| <= ln 2 / 2`.
#[inline(always)]
fn exp_rest<const FMA: bool>(r: f32) -> f32 {
    polynomial!(FMA, r; 0.499_999_97, 0.166_665_42, 0.041_667_204, 0.008_366_645, 0.001_388_251_4)
}

/// e^x where the result is known to be a normal number (`|x| < 87`) or NaN.
#[inline(always)]
fn exp_normal<const FMA: bool>(x: f32) -> f32 {
    let Reduced { n, r, .. } = reduce::<FMA>(x);
    (fma::<FMA>(r * r, exp_rest::<FMA>(r), r) + 1.0) * power_of_two(n)
}

/// e^x. Error up to 1.1 ULP. Underflows gradually, overflows to infinity.
#[inline(always)]
pub fn exp<const FMA: bool>(x: f32) -> f32 {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let Reduced { n, r, .. } = reduce::<FMA>(x);
    let value = fma::<FMA>(r * r, exp_rest::<FMA>(r), r) + 1.0;
    // Two steps, because 2^n alone may be out of range at either end.
    let half = n >> 1;
    value * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// e^x - 1, exact in sign at zero. Error up to 1.7 ULP.
#[inline(always)]
pub fn expm1<const FMA: bool>(x: f32) -> f32 {
    let inner = if x > 89.0 { 89.0 } else { x };
    let inner = if inner < -18.0 { -18.0 } else { inner };
    let Reduced { n, n_float, r, rest } = reduce::<FMA>(inner);
    let value = r + fma::<FMA>(r * r, exp_rest::<FMA>(r), rest);
    // 2^n (value + 1) - 1, halved on the way because 2^128 is no f32.
    let scale = power_of_two(n.wrapping_sub(1));
    let scaled = 2.0 * fma::<FMA>(value, scale, scale - 0.5);
    let result = if n_float == 0.0 { value } else { scaled };
    result.copysign(x)
}

/// `log(1 + f) - f` for `1 + f` in [sqrt(1/2), sqrt(2)).
#[inline(always)]
fn log_rest<const FMA: bool>(f: f32) -> f32 {
    let square = f * f;
    let cubic = polynomial!(FMA, f;
        0.333_333_3, -0.250_008_2, 0.200_012_27, -0.166_233_6,
        0.142_017_8, -0.131_601_88, 0.127_614_29, -0.076_342_89);
    fma::<FMA>(square * f, cubic, -0.5 * square)
}

/// Splits a positive normal number into an exponent and a mantissa in
/// [sqrt(1/2), sqrt(2)).
#[inline(always)]
fn split(x: f32) -> (i32, f32) {
    let bits = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let mantissa = f32::from_bits((bits & 0x007f_ffff) + SQRT_HALF_BITS);
    ((bits as i32) >> 23, mantissa)
}

/// Natural logarithm: -inf at zero, NaN below. Error up to 0.9 ULP.
#[inline(always)]
pub fn log<const FMA: bool>(x: f32) -> f32 {
    let small = x < f32::MIN_POSITIVE;
    let scaled = if small { x * 8_388_608.0 } else { x };
    let (exponent, mantissa) = split(scaled);
    let k = exponent as f32 - if small { 23.0 } else { 0.0 };
    let f = mantissa - 1.0;
    let low = fma::<FMA>(k, LN_2_LOW, log_rest::<FMA>(f));
    let value = fma::<FMA>(k, LN_2_HIGH, f + low);
    log_ends(x, value)
}

/// Puts the results outside (0, inf) in place of `value`.
#[inline(always)]
fn log_ends(x: f32, value: f32) -> f32 {
    let value = if x < f32::INFINITY { value } else { x };
    let value = if x == 0.0 { f32::NEG_INFINITY } else { value };
    if x < 0.0 { f32::NAN } else { value }
}

/// log(high + low), where `high` is positive, normal and finite and `low` is
/// what rounding took from it.
#[inline(always)]
fn log_pair<const FMA: bool>(high: f32, low: f32) -> f32 {
    let (exponent, mantissa) = split(high);
    // Far out the low part has no say, and 2^-exponent must stay in range.
    let scale = power_of_two(-(if exponent > 64 { 64 } else { exponent }));
    let f = fma::<FMA>(low, scale, mantissa - 1.0);
    let k = exponent as f32;
    let rest = fma::<FMA>(k, LN_2_LOW, log_rest::<FMA>(f));
    fma::<FMA>(k, LN_2_HIGH, f + rest)
}

/// log(1 + x): -inf at -1, NaN below, -0 at -0. Error up to 1.5 ULP.
#[inline(always)]
pub fn log1p<const FMA: bool>(x: f32) -> f32 {
    let sum = 1.0 + x;
    let part = sum - 1.0;
    let low = (1.0 - (sum - part)) + (x - part);
    let value = log_pair::<FMA>(sum, low);
    log_ends(sum, value).copysign(x)
}

/// Hyperbolic tangent. Error up to 1.5 ULP.
#[inline(always)]
pub fn tanh<const FMA: bool>(x: f32) -> f32 {
    let size = x.abs();
    let z = size * size;
    let rest = polynomial!(FMA, z;
        -0.333_333_16, 0.133_325_82, -0.053_851_8, 0.021_069_42, -0.006_270_843_6);
    let near = fma::<FMA>(size * z, rest, size);
    let clamped = if size > 10.0 { 10.0 } else { size };
    let far = 1.0 - 2.0 / (exp_normal::<FMA>(2.0 * clamped) + 1.0);
    let value = if size < 0.55 { near } else { far };
    value.copysign(x)
}

/// Logistic function 1 / (1 + e^-x), down to subnormal results. Error up to 1.7 ULP.
#[inline(always)]
pub fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    // Below -30 the sum of 1 and e^-x is 1.
    let inner = if x < -104.0 { 104.0 } else { -x };
    let inner = if inner < -30.0 { -30.0 } else { inner };
    let Reduced { n, r, rest, .. } = reduce::<FMA>(inner);
    let bend = fma::<FMA>(r * r, exp_rest::<FMA>(r), rest) + r;
    // e^-x is (1 + bend) 2^n, so the result is w / (1 + w + bend), w = 2^-n.
    // For a large n, whose w is not normal, w stays at 2^-60 in the sum. What
    // rounding takes from 1 + w joins the bend, and only one rounding counts.
    let held = if n > 60 { 60 } else { n };
    let w = power_of_two(held.wrapping_neg());
    let (small, large) = if w < 1.0 { (w, 1.0) } else { (1.0, w) };
    let sum = large + small;
    let low = small - (sum - large);
    w / (sum + (bend + low)) * power_of_two(held.wrapping_sub(n))
}

/// log(1 + e^x), near `x` for large `x` and near e^x for very negative `x`.
/// Its derivative is [`sigmoid`]. Error up to 1.8 ULP.
#[inline(always)]
pub fn softplus<const FMA: bool>(x: f32) -> f32 {
    let decay = exp::<FMA>(-x.abs());
    // log(1 + t) is t for tiny t. Squaring it would be right as well, but make
    // subnormal numbers, which cost the processor a hundred cycles each. It is
    // added back rather than chosen: a second choice on the same condition lets
    // the compiler see through the first and square after all.
    let tiny = decay < 1.0e-8;
    let inner = if tiny { 0.0 } else { decay };
    let sum = 1.0 + inner;
    let low = inner - (sum - 1.0);
    let bend = log_pair::<FMA>(sum, low) + (decay - inner);
    let linear = if x > 0.0 { x } else { 0.0 };
    linear + bend
}

/// Error function (2 / sqrt(pi)) * integral of e^(-t^2) from 0 to x. Error up
/// to 1.4 ULP.
#[inline(always)]
pub fn erf<const FMA: bool>(x: f32) -> f32 {
    let size = x.abs();
    let z = size * size;
    let rest = polynomial!(FMA, z;
        0.128_379_17, -0.376_126_35, 0.112_836_97, -0.026_859_498,
        0.005_201_278_7, -0.000_814_551_55, 0.000_083_820_41);
    let near = fma::<FMA>(size, rest, size);
    // Beyond: 1 - e^(log erfc), whose exponent is itself a polynomial.
    let clamped = if size > 3.93 { 3.93 } else { size };
    let exponent = polynomial!(FMA, clamped;
        0.000_175_614_67, -1.129_519_6, -0.633_337_14, -0.108_291_19,
        0.025_126_847, -0.004_173_969_4, 0.000_435_080_2, -0.000_021_149_943);
    let far = 1.0 - exp_normal::<FMA>(exponent);
    let value = if size < 0.92 { near } else { far };
    value.copysign(x)
}

/// An angle within a quarter turn around a multiple of it.
struct Angle {
    quarter: u32,
    r: f32,
}

/// Cody-Waite reduction of `x`, at most [`NEAR`] in size, by pi / 2.
#[inline(always)]
fn reduce_angle<const FMA: bool>(x: f32) -> Angle {
    if FMA {
        // Each product is exact inside the fused step, so three f32 suffice.
        let shifted = fma::<FMA>(x, FRAC_2_PI, ROUND);
        let n = shifted - ROUND;
        let r = fma::<FMA>(-n, core::f32::consts::FRAC_PI_2, x);
        let r = fma::<FMA>(-n, -4.371_139e-8, r);
        let r = fma::<FMA>(-n, -1.715_124_5e-15, r);
        Angle { quarter: shifted.to_bits(), r }
    } else {
        // Without it, f64 holds n times the upper 33 bits of pi / 2 exactly.
        let x = f64::from(x);
        let shifted = x * core::f64::consts::FRAC_2_PI + ROUND_64;
        let n = shifted - ROUND_64;
        let r = (x - n * f64::from_bits(0x3ff9_21fb_5440_0000)) - n * 6.077_100_506_506_192e-11;
        Angle { quarter: shifted.to_bits() as u32, r: r as f32 }
    }
}

/// sin(r) and cos(r) for `|r|` up to pi / 4.
#[inline(always)]
fn sin_cos<const FMA: bool>(r: f32) -> (f32, f32) {
    let z = r * r;
    let sine = polynomial!(FMA, z; -0.166_666_55, 0.008_332_173, -0.000_195_166_74);
    let cosine = polynomial!(FMA, z; 0.041_666_646, -0.001_388_736_2, 0.000_024_437_733);
    let sine = fma::<FMA>(r * z, sine, r);
    let cosine = fma::<FMA>(z * z, cosine, fma::<FMA>(-0.5, z, 1.0));
    (sine, cosine)
}

/// sin(x) for `|x|` up to [`NEAR`] (beyond it the result is worthless). Error up
/// to 1.6 ULP.
#[inline(always)]
pub fn sin_near<const FMA: bool>(x: f32) -> f32 {
    let Angle { quarter, r } = reduce_angle::<FMA>(x);
    let (sine, cosine) = sin_cos::<FMA>(r);
    let value = if quarter & 1 == 0 { sine } else { cosine };
    let value = f32::from_bits(value.to_bits() ^ ((quarter & 2) << 30));
    // The polynomial turns -0 into 0.
    if x == 0.0 { x } else { value }
}

/// cos(x) for `|x|` up to [`NEAR`] (beyond it the result is worthless). Error up
/// to 1.6 ULP.
#[inline(always)]
pub fn cos_near<const FMA: bool>(x: f32) -> f32 {
    let Angle { quarter, r } = reduce_angle::<FMA>(x);
    let (sine, cosine) = sin_cos::<FMA>(r);
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
    use fma_64 as fma;
    polynomial!(FMA, f;
        1.442695040868708, -0.7213475208686777, 0.4808983613940681,
        -0.36067367484017004, 0.2885372935883425, -0.24045316521636628,
        0.20617535592566488, -0.18030060353944205, 0.15876984463810934,
        -0.1431564907059008, 0.14474827139213925, -0.14283905950944753,
        0.07737032990751151)
}

/// 2^x in f64 to about 29 bits, held within 2^-200 and 2^200.
#[inline(always)]
fn exp2_64<const FMA: bool>(x: f64) -> f64 {
    use fma_64 as fma;
    let x = if x > 200.0 { 200.0 } else { x };
    let x = if x < -200.0 { -200.0 } else { x };
    let shifted = x + ROUND_64;
    let r = x - (shifted - ROUND_64);
    let value = polynomial!(FMA, r;
        1.0000000005623582, 0.6931472060343802, 0.24022646847524567,
        0.055503281253844274, 0.00961849160441811, 0.0013400195172834112,
        0.00015345636691069335);
    value * f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0f64.to_bits()))
}
