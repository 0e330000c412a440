//! The f64 formulas of exp, log, tanh and their kin, for whatever is a [`Double`]; see the parent
//! module for how errors were measured.
//!
//! The polynomials are weighted minimax fits (Remez exchange, 60 digits), made by
//! `tests/data/math_coefficients.py`. Refuses powers, and sines of far arguments, which need another
//! way.

use super::real::{Double, Real, Whole};
use core::f64::consts::{FRAC_2_PI, FRAC_PI_2, FRAC_PI_4, LOG2_E};

/// Adding 1.5 * 2^52 rounds to an integer and leaves it in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// The upper 42 bits of ln 2, so that a multiple by an exponent is exact.
pub const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fefa_3800);
/// ln 2 - LN_2_HIGH.
pub const LN_2_LOW: f64 = 5.497923018708371e-14;
/// The bits of sqrt(1/2): mantissas are taken from [sqrt(1/2), sqrt(2)).
const SQRT_HALF_BITS: i64 = 0x3fe6_a09e_667f_3bcd;

/// The largest `|x|` that [`sin_near`] and [`cos_near`] accept.
pub const NEAR: f64 = 1.0e6;

/// `a + b` and what rounding took from it, for any order of sizes.
#[inline(always)]
fn sum_with_error<R: Double>(a: R, b: R) -> (R, R) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// 2^(n - 1023) for an integer whose lowest twelve bits are `n`, 1 <= n <= 2046; 0 for 0.
#[inline(always)]
fn power_of_lowest<W: Whole<Integer = i64>>(n: W) -> W::Real {
    n.up(52).as_bits()
}

/// `value * 2^(n - 2046)` for an integer whose lowest twelve bits are `n`, in two steps because the
/// power alone may be out of range; 0 for 0.
#[inline(always)]
fn scale<R: Double>(value: R, raised: R::Whole) -> R {
    let half = raised.down(1);
    value * power_of_lowest(half) * power_of_lowest(raised.minus(half))
}

/// An argument split as `n ln 2 + r + rest`, `|r| <= ln 2 / 2`.
struct Reduced<R: Real> {
    /// Its lowest twelve bits are `n` plus what was added.
    raised: R::Whole,
    n: R,
    r: R,
    rest: R,
}

/// Splits `x + extra`, which must be within -2860 and 1419 or NaN, `extra` tiny. What is added to `n` saves
/// adding it to an exponent; it is even, so that ties go to the same integer with and without it.
#[inline(always)]
fn reduce<R: Double>(x: R, extra: R, added: i16) -> Reduced<R> {
    debug_assert!(added % 2 == 0, "ties go elsewhere");
    let round = x.of(ROUND + f64::from(added));
    let shifted = x.fma(x.of(LOG2_E), round);
    let n = shifted - round;
    let high = (-n).fma(x.of(LN_2_HIGH), x);
    let low = (-n).fma(x.of(LN_2_LOW), extra);
    let r = high + low;
    Reduced { raised: shifted.bits(), n, r, rest: (high - r) + low }
}

/// `x`, but `most` where it is more.
#[inline(always)]
fn at_most<R: Double>(x: R, most: f64) -> R {
    let most = x.of(most);
    R::choose(most.less(x), most, x)
}

/// `x`, but `least` where it is less.
#[inline(always)]
fn at_least<R: Double>(x: R, least: f64) -> R {
    let least = x.of(least);
    R::choose(x.less(least), least, x)
}

/// `(e^r - 1 - r) / r^2` for `|r| <= ln 2 / 2`.
#[inline(always)]
fn exp_rest<R: Double>(r: R) -> R {
    polynomial!(r;
        0.5, 0.16666666666666677, 0.041666666666666505, 0.008333333333321515,
        0.0013888888888963509, 0.00019841269886476285, 2.4801587171068113e-05,
        2.75572438051239e-06, 2.7557403257570266e-07, 2.5109194795002727e-08,
        2.0875333217077723e-09)
}

/// e^r for `|r| <= ln 2 / 2`.
#[inline(always)]
fn exp_near<R: Double>(r: R) -> R {
    (r * r).fma(exp_rest(r), r) + r.of(1.0)
}

/// e^x where the result is known to be a normal number (`|x| < 708`) or NaN.
#[inline(always)]
fn exp_normal<R: Double>(x: R) -> R {
    let Reduced { raised, n, r, .. } = reduce(x, x.of(0.0), 0);
    exp_near(r).times_power(n, |near| near * power_of_lowest(raised.plus(raised.of(1023))))
}

/// `x` within what [`exp_held`] takes; beyond, e^x is 0 or infinite all the same. From -746 on it is 0, but what is far
/// below is held where the powers themselves are: a product that comes out as small costs some processors a hundred cycles. So
/// does an instruction for powers, but not from 2^-4096 on.
#[inline(always)]
fn held<R: Double>(x: R) -> R {
    let least = x.of(-1418.0).or_at_once(-2860.0);
    let x = at_most(x, 710.0);
    R::choose(x.less(least), least, x)
}

/// e^(x + extra) for `x` within -2860 and 710, `extra` tiny beside it.
#[inline(always)]
fn exp_held<R: Double>(x: R, extra: R) -> R {
    let Reduced { raised, n, r, .. } = reduce(x, extra, 2046);
    exp_near(r).times_power(n, |near| scale(near, raised))
}

/// e^x. Error up to 1.1 ULP. Underflows gradually, overflows to infinity.
#[inline(always)]
pub fn exp<R: Double>(x: R) -> R {
    exp_held(held(x), x.of(0.0))
}

/// e^(x + extra), where `extra` is tiny beside `x`.
#[inline(always)]
pub fn exp_sum<R: Double>(x: R, extra: R) -> R {
    let inner = held(x);
    exp_held(inner, R::choose(inner.equal(x), extra, x.of(0.0)))
}

/// e^x - 1, exact in sign at zero. Error up to 1.6 ULP.
#[inline(always)]
pub fn expm1<R: Double>(x: R) -> R {
    let inner = at_least(at_most(x, 710.0), -40.0);
    let Reduced { raised, n, r, rest } = reduce(inner, x.of(0.0), 1022);
    let value = r + (r * r).fma(exp_rest(r), rest);
    // 2^n (value + 1) - 1, halved on the way because 2^1024 is no f64.
    let scale = power_of_lowest(raised);
    let scaled = x.of(2.0) * value.fma(scale, scale - x.of(0.5));
    R::choose(n.equal(x.of(0.0)), value, scaled).copysign(x)
}

/// `log(1 + f) - f` for `1 + f` in [sqrt(1/2), sqrt(2)).
#[inline(always)]
fn log_rest<R: Double>(f: R) -> R {
    let square = f * f;
    let cubic = polynomial!(f;
        0.3333333333333314, -0.24999999999987976, 0.20000000000066612, -0.16666666669826033,
        0.1428571428009424, -0.12499999691430001, 0.11111111147368999, -0.10000015206731953,
        0.09090923935748375, -0.08332913532705788, 0.07691529735435639, -0.07149439551359092,
        0.06684590119436379, -0.06196679017697448, 0.056683715300492286, -0.05677775246851389,
        0.0650350365427955, -0.05981737551607811, 0.026151133433272175);
    (square * f).fma(cubic, f.of(-0.5) * square)
}

/// Splits a positive normal number into an exponent, raised by 1024 so that it
/// is not negative, and a mantissa in [sqrt(1/2), sqrt(2)).
#[inline(always)]
fn split<R: Double>(x: R) -> (R::Whole, R) {
    let bits = x.bits();
    let bits = bits.minus(bits.of(SQRT_HALF_BITS));
    let mantissa = bits.and(bits.of(0x000f_ffff_ffff_ffff)).plus(bits.of(SQRT_HALF_BITS)).as_bits();
    (bits.plus(bits.of(1024 << 52)).down(52), mantissa)
}

/// The exponent that [`split`] raised, as a float.
#[inline(always)]
fn exponent_float<W: Whole<Integer = i64>>(raised: W) -> W::Real
where
    W::Real: Double,
{
    let float = raised.plus(raised.of(ROUND.to_bits() as i64)).as_bits();
    float - float.of(ROUND + 1024.0)
}

/// Splits a positive number, subnormal or not, into exponent and mantissa.
#[inline(always)]
pub fn split_any<R: Double>(x: R) -> (R, R) {
    let small = x.less(x.of(f64::MIN_POSITIVE));
    let (raised, mantissa) = split(R::choose(small, x * x.of(18_014_398_509_481_984.0), x));
    (exponent_float(raised) - R::choose(small, x.of(54.0), x.of(0.0)), mantissa)
}

/// Natural logarithm: -inf at zero, NaN below. Error up to 0.9 ULP.
#[inline(always)]
pub fn log<R: Double>(x: R) -> R {
    let (k, mantissa) = split_any(x);
    let f = mantissa - x.of(1.0);
    let low = k.fma(x.of(LN_2_LOW), log_rest(f));
    log_ends(x, k.fma(x.of(LN_2_HIGH), f + low))
}

/// Puts the results outside (0, inf) in place of `value`.
#[inline(always)]
fn log_ends<R: Double>(x: R, value: R) -> R {
    let value = R::choose(x.less(x.of(f64::INFINITY)), value, x);
    let value = R::choose(x.equal(x.of(0.0)), x.of(f64::NEG_INFINITY), value);
    R::choose(x.less(x.of(0.0)), x.of(f64::NAN), value)
}

/// log(high + low), where `high` is positive, normal and finite and `low` is
/// what rounding took from it.
#[inline(always)]
fn log_pair<R: Double>(high: R, low: R) -> R {
    let (raised, mantissa) = split(high);
    // Far out the low part has no say, and 2^-exponent must stay in range.
    let power = power_of_lowest(raised.of(2047).minus(raised));
    let power = R::choose(high.of(1.0e30).less(high), high.of(0.0), power);
    let f = low.fma(power, mantissa - high.of(1.0));
    let k = exponent_float(raised);
    let rest = k.fma(high.of(LN_2_LOW), log_rest(f));
    k.fma(high.of(LN_2_HIGH), f + rest)
}

/// log(1 + x): -inf at -1, NaN below, -0 at -0. Error up to 1.3 ULP.
#[inline(always)]
pub fn log1p<R: Double>(x: R) -> R {
    let (sum, low) = sum_with_error(x.of(1.0), x);
    log_ends(sum, log_pair(sum, low)).copysign(x)
}

/// Hyperbolic tangent. Error up to 1.3 ULP.
#[inline(always)]
pub fn tanh<R: Double>(x: R) -> R {
    let size = x.abs();
    let z = size * size;
    let rest = polynomial!(z;
        -0.333333333333323, 0.13333333333166425, -0.053968253874954374, 0.02186948594775421,
        -0.008863194137906621, 0.0035917167162972975, -0.001453201863225627,
        0.0005790923414485265, -0.00021022858837473074, 5.0969866574767876e-05);
    let near = (size * z).fma(rest, size);
    let (one, two) = (x.of(1.0), x.of(2.0));
    let far = one - two / (exp_normal(two * at_most(size, 20.0)) + one);
    R::choose(size.less(x.of(0.55)), near, far).copysign(x)
}

/// Hyperbolic secant 2 / (e^x + e^-x), down to subnormal results. Error up to
/// 1.5 ULP.
#[inline(always)]
pub fn sech<R: Double>(x: R) -> R {
    let t = exp(-x.abs());
    // 2 t / (1 + t^2) in a way that makes its roundings count only where t^2
    // does.
    let half = t / t.fma(t, x.of(1.0));
    let twice = t + t;
    (-twice).fma(t * half, twice)
}

/// Logistic function 1 / (1 + e^-x), down to subnormal results. Error up to
/// 1.8 ULP.
#[inline(always)]
pub fn sigmoid<R: Double>(x: R) -> R {
    // Both parts of the fraction carry a factor 2^-60, so that e^-x overflows
    // only where the result is below every subnormal number.
    let lowered = x.of(1.0 / (1u64 << 60) as f64);
    let inner = R::choose(x.less(x.of(-746.0)), x.of(746.0), -x);
    // Below -50 the sum is 2^-60; going on would make subnormal numbers.
    let Reduced { raised, r, rest, .. } = reduce(at_least(inner, -50.0), x.of(0.0), 2046 - 60);
    let value = ((r * r).fma(exp_rest(r), rest) + r) + x.of(1.0);
    lowered / (lowered + scale(value, raised))
}

/// log(1 + e^x), near `x` for large `x` and near e^x for very negative `x`.
/// Its derivative is [`sigmoid`]. Error up to 1.6 ULP.
#[inline(always)]
pub fn softplus<R: Double>(x: R) -> R {
    let (zero, one) = (x.of(0.0), x.of(1.0));
    let decay = exp(-x.abs());
    // log(1 + t) is t for tiny t. Squaring it would be right as well, but make
    // subnormal numbers, which cost the processor a hundred cycles each. It is
    // added back rather than chosen: a second choice on the same condition lets
    // the compiler see through the first and square after all.
    let inner = R::choose(decay.less(x.of(1.0e-17)), zero, decay);
    let sum = one + inner;
    let low = inner - (sum - one);
    let bend = log_pair(sum, low) + (decay - inner);
    R::choose(zero.less(x), x, zero) + bend
}

/// Error function (2 / sqrt(pi)) * integral of e^(-t^2) from 0 to x. Error up
/// to 1.2 ULP.
#[inline(always)]
pub fn erf<R: Double>(x: R) -> R {
    let size = x.abs();
    let z = size * size;
    let rest = polynomial!(z;
        0.1283791670955126, -0.37612638903183715, 0.11283791670952945, -0.02686617064465488,
        0.00522397762005281, -0.0008548326662773312, 0.00012055317636708529,
        -1.4925219100013252e-05, 1.6453989892012815e-06, -1.6263961221939967e-07,
        1.3984938778787456e-08, -8.34203227947929e-10);
    let near = size.fma(rest, size);
    // Beyond: 1 - e^(log erfc), whose exponent is itself a polynomial.
    let clamped = at_most(size, 5.95);
    let exponent = polynomial!(clamped;
        -8.673230842244065e-08, -1.1283782518004035, -0.6366242196068063, -0.10275948194114458,
        0.01910245095854901, 0.00024494986566590577, -0.0017293374076479523,
        0.0006066444192407055, -2.1057475193808878e-05, -8.339433965465314e-05,
        5.07385286914305e-05, -1.850080618235025e-05, 4.874357708244931e-06,
        -9.6812790269083e-07, 1.449584182859279e-07, -1.594708017983274e-08,
        1.2194803117769588e-09, -5.7967947036244126e-11, 1.290179062899946e-12);
    let far = x.of(1.0) - exp_normal(exponent);
    R::choose(size.less(x.of(0.92)), near, far).copysign(x)
}

/// Inverse tangent. Error up to 1.0 ULP.
#[inline(always)]
pub fn atan<R: Double>(x: R) -> R {
    let (size, zero, one) = (x.abs(), x.of(0.0), x.of(1.0));
    // Beyond a half, an eighth or a quarter turn is taken off, and one division does either.
    let (middle, far) = (x.of(0.5).less(size), x.of(2.5).less(size));
    let above = R::choose(far, -one, R::choose(middle, size - one, size));
    let below = R::choose(far, size, R::choose(middle, size + one, one));
    let turn = R::choose(far, x.of(FRAC_PI_2), R::choose(middle, x.of(FRAC_PI_4), zero));
    let rest = R::choose(far, x.of(6.123233995736766e-17), R::choose(middle, x.of(3.061616997868383e-17), zero));
    let r = above / below;
    let z = r * r;
    let series = polynomial!(z;
        -0.33333333333333315, 0.1999999999999324, -0.14285714284958106, 0.11111111068418326,
        -0.09090907665432144, 0.07692276998826991, -0.06666217992457922, 0.05877762799938924,
        -0.05229770350825915, 0.045885559836279594, -0.037097614764658296, 0.023625927709938408,
        -0.008347968362418457);
    (turn + (r + (r * z).fma(series, rest))).copysign(x)
}

/// Where [`sin_near`] and [`cos_near`] are worthless.
#[inline(always)]
pub fn is_far<R: Double>(x: R) -> R::Truth {
    x.of(NEAR).less(x.abs())
}

/// An angle `r + rest` within half a quarter turn of 0, and the quarters taken.
struct Angle<R: Real> {
    quarter: R::Whole,
    r: R,
    rest: R,
}

/// Cody-Waite reduction of `x`, at most [`NEAR`] in size, by pi / 2, cut into
/// three parts of 33 bits, whose multiples are exact, and a last one.
#[inline(always)]
fn reduce_angle<R: Double>(x: R) -> Angle<R> {
    let round = x.of(ROUND);
    let shifted = x.fma(x.of(FRAC_2_PI), round);
    let n = shifted - round;
    let first = (-n).fma(x.of(f64::from_bits(0x3ff9_21fb_5440_0000)), x);
    let (second, error) = sum_with_error(first, n * x.of(-f64::from_bits(0x3dd0_b461_1a60_0000)));
    let (third, last) = sum_with_error(second, n * x.of(-f64::from_bits(0x3ba3_198a_2e00_0000)));
    let low = (-n).fma(x.of(8.4784276603689e-32), error + last);
    let r = third + low;
    Angle { quarter: shifted.bits(), r, rest: low - (r - third) }
}

/// sin(r + rest) and cos(r + rest) for `|r|` up to pi / 4.
#[inline(always)]
fn sin_cos<R: Double>(r: R, rest: R) -> (R, R) {
    let z = r * r;
    let sine = polynomial!(z;
        -0.16666666666666632, 0.008333333333322316, -0.00019841269829725774,
        2.7557313662248616e-06, -2.505075329319033e-08, 1.5896506543708576e-10);
    let cosine = polynomial!(z;
        0.0416666666666666, -0.0013888888888873992, 2.48015872893959e-05,
        -2.7557314326298985e-07, 2.0875719594204898e-09, -1.135945048625148e-11);
    let sine = r + (r * z).fma(sine, rest);
    let (one, half) = (r.of(1.0), r.of(-0.5));
    let near_one = half.fma(z, one);
    let lost = half.fma(z, one - near_one);
    let cosine = near_one + (z * z).fma(cosine, (-r).fma(rest, lost));
    (sine, cosine)
}

/// The sine or the cosine, by the last bit of `quarter`, with the sign that `turned` says.
#[inline(always)]
fn picked<R: Double>(quarter: R::Whole, even: R, odd: R, turned: R::Whole) -> R {
    // The last bit as a sign is what a choice asks for.
    let value = R::choose(quarter.up(63).as_bits().is_negative(), odd, even);
    value.bits().xor(turned.and(quarter.of(2)).up(62)).as_bits()
}

/// sin(x) for `|x|` up to [`NEAR`] (beyond it the result is worthless). Error up
/// to 0.9 ULP.
#[inline(always)]
pub fn sin_near<R: Double>(x: R) -> R {
    let Angle { quarter, r, rest } = reduce_angle(x);
    let (sine, cosine) = sin_cos(r, rest);
    // The polynomial turns -0 into 0.
    R::choose(x.equal(x.of(0.0)), x, picked(quarter, sine, cosine, quarter))
}

/// cos(x) for `|x|` up to [`NEAR`] (beyond it the result is worthless). Error up
/// to 0.9 ULP.
#[inline(always)]
pub fn cos_near<R: Double>(x: R) -> R {
    let Angle { quarter, r, rest } = reduce_angle(x);
    let (sine, cosine) = sin_cos(r, rest);
    picked(quarter, cosine, sine, quarter.plus(quarter.of(1)))
}
