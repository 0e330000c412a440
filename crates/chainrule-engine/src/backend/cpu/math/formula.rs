//! The f32 formulas of exp, log, tanh and their kin, for whatever is a [`Single`]; see the parent
//! module for how errors were measured.
//!
//! The polynomials are weighted minimax fits (Remez exchange, 60 digits), made by
//! `tests/data/math_coefficients.py`. Refuses powers, and sines of far arguments, which need another
//! way.

use super::real::{Single, Whole, Whole32};
use core::f32::consts::{FRAC_2_PI, FRAC_PI_2, FRAC_PI_4, LN_2, LOG2_E};

/// Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
const ROUND: f32 = 12_582_912.0;
/// The upper 15 bits of ln 2, so that a multiple by an exponent is exact.
const LN_2_HIGH: f32 = f32::from_bits(0x3f31_7200);
/// ln 2 - LN_2_HIGH.
const LN_2_LOW: f32 = 1.428_606_8e-6;
/// 2^-64.
const DOWN_64: f32 = 1.0 / (1_u128 << 64) as f32;
/// The bits of sqrt(1/2): mantissas are taken from [sqrt(1/2), sqrt(2)).
const SQRT_HALF_BITS: i32 = 0x3f35_04f3;

/// 2^n for -126 <= n <= 127.
#[inline(always)]
fn power_of_two<W: Whole32>(n: W) -> W::Real {
    n.plus(n.of(127)).up(23).as_bits()
}

/// 2^(n - 127) for an integer whose lowest nine bits are `n`, 1 <= n <= 254; 0 for 0.
#[inline(always)]
fn power_of_lowest<W: Whole32>(n: W) -> W::Real {
    n.up(23).as_bits()
}

/// An argument split as `n ln 2 + r + rest`, `|r| <= ln 2 / 2`.
struct Reduced<R: Single> {
    /// Its lowest nine bits are `n` plus what was added.
    raised: R::Whole,
    n: R,
    r: R,
    rest: R,
}

/// Splits `x`, which must be within -704 and 150 or NaN. What is added to `n` saves adding it to an
/// exponent: the sum with [`ROUND`] holds it for nothing.
#[inline(always)]
fn reduce<R: Single>(x: R, added: i16) -> Reduced<R> {
    let round = x.of(ROUND + f32::from(added));
    let shifted = x.fma(x.of(LOG2_E), round);
    let n = shifted - round;
    let high = (-n).fma(x.of(LN_2_HIGH), x);
    let r = (-n).fma(x.of(LN_2_LOW), high);
    let rest = (-n).fma(x.of(LN_2_LOW), high - r);
    Reduced { raised: shifted.bits(), n, r, rest }
}

/// `(e^r - 1 - r) / r^2` for `|r| <= ln 2 / 2`.
#[inline(always)]
fn exp_rest<R: Single>(r: R) -> R {
    polynomial!(r; 0.499_999_97, 0.166_665_42, 0.041_667_204, 0.008_366_645, 0.001_388_251_4)
}

/// `x`, but `most` where it is more.
#[inline(always)]
fn at_most<R: Single>(x: R, most: f32) -> R {
    let most = x.of(most);
    R::choose(most.less(x), most, x)
}

/// `x`, but `least` where it is less.
#[inline(always)]
fn at_least<R: Single>(x: R, least: f32) -> R {
    let least = x.of(least);
    R::choose(x.less(least), least, x)
}

/// `x`, but held where e^x is 0: at `steps` where powers are taken in steps.
#[inline(always)]
fn held<R: Single>(x: R, steps: f32) -> R {
    let least = x.of(steps).or_at_once(-704.0);
    R::choose(x.less(least), least, x)
}

/// e^r for `|r| <= ln 2 / 2`.
#[inline(always)]
fn exp_near<R: Single>(r: R) -> R {
    (r * r).fma(exp_rest(r), r) + r.of(1.0)
}

/// e^x where the result is known to be a normal number (`|x| < 87`) or NaN.
#[inline(always)]
fn exp_normal<R: Single>(x: R) -> R {
    let Reduced { raised, n, r, .. } = reduce(x, 127);
    exp_near(r).times_power(n, |near| near * power_of_lowest(raised))
}

/// e^x. Error up to 1.1 ULP. Underflows gradually, overflows to infinity.
#[inline(always)]
pub fn exp<R: Single>(x: R) -> R {
    // From -104 on e^x is 0. A product that comes out so small costs some processors a hundred cycles, and what a mask
    // hides is often half of all; so what is far below is held where the powers themselves are 0, or where an instruction
    // for them does not look closer any more, as from 2^-512 on.
    let x = held(at_most(x, 89.0), -176.0);
    let Reduced { raised, n, r, .. } = reduce(x, 254);
    exp_near(r).times_power(n, |near| {
        // Two steps, because 2^n alone may be out of range at either end.
        let half = raised.down(1);
        near * power_of_lowest(half) * power_of_lowest(raised.minus(half))
    })
}

/// e^-|x|. Error up to 1.1 ULP. Underflows gradually.
///
/// The functions that level off far from zero are all made of it, so that what computes several of
/// them of one argument, or of `x` and `-x`, computes it once. The rest of the split would take a
/// tenth of an ULP from its error, and next to nothing from theirs.
#[inline(always)]
fn decay<R: Single>(x: R) -> R {
    // Held where the power is 0, as in `exp`.
    let x = held(-x.abs(), -132.4);
    // As n is not positive, one factor 2^64 on the way keeps its power a normal number.
    let Reduced { raised, n, r, .. } = reduce(x, 127 + 64);
    exp_near(r).times_power(n, |near| near * power_of_lowest(raised) * near.of(DOWN_64))
}

/// e^x - 1, exact in sign at zero. Error up to 1.7 ULP.
#[inline(always)]
pub fn expm1<R: Single>(x: R) -> R {
    let Reduced { raised, n, r, rest } = reduce(at_least(at_most(x, 89.0), -18.0), 126);
    let value = r + (r * r).fma(exp_rest(r), rest);
    // 2^n (value + 1) - 1, halved on the way because 2^128 is no f32.
    let scale = power_of_lowest(raised);
    let scaled = x.of(2.0) * value.fma(scale, scale - x.of(0.5));
    R::choose(n.equal(x.of(0.0)), value, scaled).copysign(x)
}

/// `log(1 + f) - f` for `1 + f` in [sqrt(1/2), sqrt(2)).
#[inline(always)]
fn log_rest<R: Single>(f: R) -> R {
    let square = f * f;
    let cubic = polynomial!(f;
        0.333_333_3, -0.250_008_2, 0.200_012_27, -0.166_233_6,
        0.142_017_8, -0.131_601_88, 0.127_614_29, -0.076_342_89);
    (square * f).fma(cubic, f.of(-0.5) * square)
}

/// Splits a positive normal number into an exponent and a mantissa in [sqrt(1/2), sqrt(2)).
#[inline(always)]
fn split<R: Single>(x: R) -> (R::Whole, R) {
    let bits = x.bits();
    let bits = bits.minus(bits.of(SQRT_HALF_BITS));
    let mantissa = bits.and(bits.of(0x007f_ffff)).plus(bits.of(SQRT_HALF_BITS)).as_bits();
    (bits.down_signed(23), mantissa)
}

/// Natural logarithm: -inf at zero, NaN below. Error up to 0.9 ULP.
#[inline(always)]
pub fn log<R: Single>(x: R) -> R {
    let small = x.less(x.of(f32::MIN_POSITIVE));
    let (exponent, mantissa) = split(R::choose(small, x * x.of(8_388_608.0), x));
    let k = exponent.nearest() - R::choose(small, x.of(23.0), x.of(0.0));
    let f = mantissa - x.of(1.0);
    let low = k.fma(x.of(LN_2_LOW), log_rest(f));
    log_ends(x, k.fma(x.of(LN_2_HIGH), f + low))
}

/// Puts the results outside (0, inf) in place of `value`.
#[inline(always)]
fn log_ends<R: Single>(x: R, value: R) -> R {
    let value = R::choose(x.less(x.of(f32::INFINITY)), value, x);
    let value = R::choose(x.equal(x.of(0.0)), x.of(f32::NEG_INFINITY), value);
    R::choose(x.less(x.of(0.0)), x.of(f32::NAN), value)
}

/// log(high + low), where `high` is positive, normal and finite and `low` is what rounding took
/// from it.
#[inline(always)]
fn log_pair<R: Single>(high: R, low: R) -> R {
    let (exponent, mantissa) = split(high);
    // Far out the low part has no say, and 2^-exponent must stay in range.
    let most = exponent.of(64);
    let held = R::Whole::choose(exponent.greater(most), most, exponent);
    let scale = power_of_two(held.of(0).minus(held));
    let f = low.fma(scale, mantissa - high.of(1.0));
    let k = exponent.nearest();
    let rest = k.fma(high.of(LN_2_LOW), log_rest(f));
    k.fma(high.of(LN_2_HIGH), f + rest)
}

/// log(1 + x): -inf at -1, NaN below, -0 at -0. Error up to 1.5 ULP.
#[inline(always)]
pub fn log1p<R: Single>(x: R) -> R {
    let one = x.of(1.0);
    let sum = one + x;
    let part = sum - one;
    let low = (one - (sum - part)) + (x - part);
    log_ends(sum, log_pair(sum, low)).copysign(x)
}

/// e^-|x| and half of sech(x), which [`tanh`] and [`sech`] share.
#[inline(always)]
fn decay_and_half<R: Single>(x: R) -> (R, R) {
    let t = decay(x);
    (t, t / t.fma(t, x.of(1.0)))
}

/// Hyperbolic tangent. Error up to 1.6 ULP (1.9 without fused steps).
#[inline(always)]
pub fn tanh<R: Single>(x: R) -> R {
    let size = x.abs();
    let z = size * size;
    let rest = polynomial!(z; -0.333_332_45, 0.133_304_43, -0.053_657_13, 0.020_373_82, -0.005_414_359_7);
    let near = (size * z).fma(rest, size);
    let (t, half) = decay_and_half(x);
    let far = (-(t + t)).fma(half, x.of(1.0));
    let sign = x.bits().and(x.of(-0.0).bits());
    R::choose(z.less(x.of(0.44)), near, far).bits().xor(sign).as_bits()
}

/// Hyperbolic secant 2 / (e^x + e^-x), down to subnormal results. With [`tanh`] it makes the
/// derivatives of both. Error up to 1.6 ULP (2.0 without fused steps).
#[inline(always)]
pub fn sech<R: Single>(x: R) -> R {
    let (t, half) = decay_and_half(x);
    // `half + half` would carry the rounding of a sum and a quotient; here they count only where
    // t^2 does.
    let twice = t + t;
    (-twice).fma(t * half, twice)
}

/// Logistic function 1 / (1 + e^-x), down to subnormal results. Error up to 1.6 ULP (1.8 without
/// fused steps).
#[inline(always)]
pub fn sigmoid<R: Single>(x: R) -> R {
    let t = decay(x);
    // t / (1 + t) in a way that makes its rounding count less where t is small. The other side of
    // zero is what is left to 1, and shares the division.
    let small = (-t).fma(t / (t + x.of(1.0)), t);
    R::choose(x.is_negative(), small, x.of(1.0) - small)
}

/// log(1 + e^x), near `x` for large `x` and near e^x for very negative `x`. Its derivative is
/// [`sigmoid`]. Error up to 1.7 ULP.
#[inline(always)]
pub fn softplus<R: Single>(x: R) -> R {
    let t = decay(x);
    let (zero, half) = (x.of(0.0), x.of(0.5));
    // 1 + t is 1 + f or 2 (1 + f), f exact in both.
    let near_one = t.less(half);
    let f = R::choose(near_one, t, t.fma(half, -half));
    let series = polynomial!(f;
        -0.5, 0.333_334_5, -0.250_000_98, 0.199_908_45, -0.166_472_43,
        0.144_785_05, -0.131_620_91, 0.104_643_53, -0.045_080_017);
    // No f^2 by itself: for tiny t it would be a subnormal number, which costs the processor a
    // hundred cycles.
    let bend = R::choose(near_one, zero, x.of(LN_2)) + (f * series).fma(f, f);
    at_least(x, 0.0) + bend
}

/// Error function (2 / sqrt(pi)) * integral of e^(-t^2) from 0 to x. Error up to 1.4 ULP.
#[inline(always)]
pub fn erf<R: Single>(x: R) -> R {
    let size = x.abs();
    let z = size * size;
    let rest = polynomial!(z;
        0.128_379_17, -0.376_126_35, 0.112_836_97, -0.026_859_498,
        0.005_201_278_7, -0.000_814_551_55, 0.000_083_820_41);
    let near = size.fma(rest, size);
    // Beyond: 1 - e^(log erfc), whose exponent is itself a polynomial.
    let clamped = at_most(size, 3.93);
    let exponent = polynomial!(clamped;
        0.000_175_614_67, -1.129_519_6, -0.633_337_14, -0.108_291_19,
        0.025_126_847, -0.004_173_969_4, 0.000_435_080_2, -0.000_021_149_943);
    let far = x.of(1.0) - exp_normal(exponent);
    R::choose(size.less(x.of(0.92)), near, far).copysign(x)
}

/// Inverse tangent. Error up to 1.4 ULP.
#[inline(always)]
pub fn atan<R: Single>(x: R) -> R {
    let (size, zero, one) = (x.abs(), x.of(0.0), x.of(1.0));
    // Beyond a half, an eighth or a quarter turn is taken off, and one division does either.
    let (middle, far) = (x.of(0.5).less(size), x.of(2.5).less(size));
    let above = R::choose(far, -one, R::choose(middle, size - one, size));
    let below = R::choose(far, size, R::choose(middle, size + one, one));
    let turn = R::choose(far, x.of(FRAC_PI_2), R::choose(middle, x.of(FRAC_PI_4), zero));
    let rest = R::choose(far, x.of(-4.371_139e-8), R::choose(middle, x.of(-2.185_569_5e-8), zero));
    let r = above / below;
    let z = r * r;
    let series = polynomial!(z;
        -0.333_333_28, 0.199_994_89, -0.142_720_61, 0.109_408_19, -0.079_834_06, 0.038_713_5);
    (turn + (r + (r * z).fma(series, rest))).copysign(x)
}

/// The largest `|x|` that [`sin_near`] and [`cos_near`] accept.
pub const NEAR: f32 = 1.0e5;

/// Where [`sin_near`] and [`cos_near`] are worthless.
#[inline(always)]
pub fn is_far<R: Single>(x: R) -> R::Truth {
    x.of(NEAR).less(x.abs())
}

/// sin(r) and cos(r) for `|r|` up to pi / 4.
#[inline(always)]
pub fn sin_cos<R: Single>(r: R) -> (R, R) {
    let z = r * r;
    let sine = polynomial!(z; -0.166_666_55, 0.008_332_173, -0.000_195_166_74);
    let cosine = polynomial!(z; 0.041_666_646, -0.001_388_736_2, 0.000_024_437_733);
    let sine = (r * z).fma(sine, r);
    let cosine = (z * z).fma(cosine, r.of(-0.5).fma(z, r.of(1.0)));
    (sine, cosine)
}

/// The quarter turns in `x`, at most [`NEAR`] in size, and what is left (Cody and Waite). Each product
/// is exact inside a fused step, so three f32 hold enough of pi / 2; only for such.
#[inline(always)]
fn reduce_angle<R: Single>(x: R) -> (R::Whole, R) {
    let round = x.of(ROUND);
    let shifted = x.fma(x.of(FRAC_2_PI), round);
    let back = -(shifted - round);
    let r = back.fma(x.of(FRAC_PI_2), x);
    let r = back.fma(x.of(-4.371_139e-8), r);
    let r = back.fma(x.of(-1.715_124_5e-15), r);
    (shifted.bits(), r)
}

/// The sine or the cosine, by the last bit of `quarter`, with the sign that `turned` says.
#[inline(always)]
fn picked<R: Single>(quarter: R::Whole, even: R, odd: R, turned: R::Whole) -> R {
    let is_odd = quarter.and(quarter.of(1)).greater(quarter.of(0));
    let value = R::choose(is_odd, odd, even);
    value.bits().xor(turned.and(quarter.of(2)).up(30)).as_bits()
}

/// sin(x) for `|x|` up to [`NEAR`], with fused steps. Error up to 1.6 ULP.
#[inline(always)]
pub fn sin_near<R: Single>(x: R) -> R {
    let (quarter, r) = reduce_angle(x);
    let (sine, cosine) = sin_cos(r);
    // The polynomial turns -0 into 0.
    R::choose(x.equal(x.of(0.0)), x, picked(quarter, sine, cosine, quarter))
}

/// cos(x) for `|x|` up to [`NEAR`], with fused steps. Error up to 1.6 ULP.
#[inline(always)]
pub fn cos_near<R: Single>(x: R) -> R {
    let (quarter, r) = reduce_angle(x);
    let (sine, cosine) = sin_cos(r);
    picked(quarter, cosine, sine, quarter.plus(quarter.of(1)))
}

/// The nearest bf16, ties to even; NaN stays NaN.
#[inline(always)]
pub fn round_bf16<R: Single>(x: R) -> R {
    let bits = x.bits();
    let kept = bits.of(-0x1_0000);
    // Just under half of the last kept place, and one more if that place is odd, carries exactly
    // where rounding goes up.
    let odd = bits.down(16).and(bits.of(1));
    let rounded = bits.plus(bits.of(0x7fff)).plus(odd).and(kept);
    R::choose(x.equal(x), rounded.as_bits(), quiet(bits.and(kept)))
}

/// The nearest f16, ties to even, infinite from 65520 on; NaN stays NaN.
#[inline(always)]
pub fn round_f16<R: Single>(x: R) -> R {
    let size = x.abs();
    let bits = size.bits();
    let kept = bits.of(-0x2000);
    let odd = bits.down(13).and(bits.of(1));
    let normal = bits.plus(bits.of(0xfff)).plus(odd).and(kept).as_bits();
    // The last place of a subnormal f16 is that of 0.5.
    let half = x.of(0.5);
    let small = (size + half) - half;
    let finite = R::choose(size.less(x.of(6.103_515_6e-5)), small, normal);
    let rounded = R::choose(size.less(x.of(65520.0)), finite, x.of(f32::INFINITY));
    R::choose(x.equal(x), rounded, quiet(bits.and(kept))).copysign(x)
}

/// The quiet NaN with the bits of one that may signal.
#[inline(always)]
fn quiet<R: Single>(nan: R::Whole) -> R {
    let flag = nan.of(0x40_0000);
    nan.and(nan.of(!0x40_0000)).xor(flag).as_bits()
}
