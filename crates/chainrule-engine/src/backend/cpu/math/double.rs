//! Element functions for f64; see the parent module for what `FMA` means and
//! how errors were measured. [`sin_near`] and [`cos_near`] refuse arguments
//! beyond [`NEAR`]; [`sin`], [`cos`] and the slice forms take any.
//!
//! The polynomials are weighted minimax fits (Remez exchange, 60 digits), made
//! by `tests/data/math_coefficients.py`.

use core::f64::consts::{FRAC_2_PI, LOG2_E};

/// Adding 1.5 * 2^52 rounds to an integer and leaves it in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// The upper 42 bits of ln 2, so that a multiple by an exponent is exact.
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fefa_3800);
/// ln 2 - LN_2_HIGH.
const LN_2_LOW: f64 = 5.497923018708371e-14;
/// The bits of sqrt(1/2): mantissas are taken from [sqrt(1/2), sqrt(2)).
const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;

/// The largest `|x|` that [`sin_near`] and [`cos_near`] accept.
pub const NEAR: f64 = 1.0e6;

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

/// `a + b` and what rounding took from it, for any order of sizes.
#[inline(always)]
fn sum_with_error(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// 2^n for -1022 <= n <= 1023.
#[inline(always)]
fn power_of_two(n: i64) -> f64 {
    f64::from_bits((n.wrapping_add(1023) as u64) << 52)
}

/// `value * 2^n`, in two steps because 2^n alone may be out of range.
#[inline(always)]
fn scale(value: f64, n: i64) -> f64 {
    let half = n >> 1;
    value * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// An argument split as `n ln 2 + r + rest`, `|r| <= ln 2 / 2`.
struct Reduced {
    n: i64,
    n_float: f64,
    r: f64,
    rest: f64,
}

/// Splits `x + extra`, which must be within +-1100 or NaN, `extra` tiny.
#[inline(always)]
fn reduce<const FMA: bool>(x: f64, extra: f64) -> Reduced {
    let shifted = fma::<FMA>(x, LOG2_E, ROUND);
    let n_float = shifted - ROUND;
    let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i64;
    let high = fma::<FMA>(-n_float, LN_2_HIGH, x);
    let low = fma::<FMA>(-n_float, LN_2_LOW, extra);
    let r = high + low;
    Reduced { n, n_float, r, rest: (high - r) + low }
}

/// `(e^r - 1 - r) / r^2` for `|r| <= ln 2 / 2`.
#[inline(always)]
fn exp_rest<const FMA: bool>(r: f64) -> f64 {
    polynomial!(FMA, r;
        0.5, 0.16666666666666677, 0.041666666666666505, 0.008333333333321515,
        0.0013888888888963509, 0.00019841269886476285, 2.4801587171068113e-05,
        2.75572438051239e-06, 2.7557403257570266e-07, 2.5109194795002727e-08,
        2.0875333217077723e-09)
}

/// e^x where the result is known to be a normal number (`|x| < 708`) or NaN.
#[inline(always)]
fn exp_normal<const FMA: bool>(x: f64) -> f64 {
    let Reduced { n, r, .. } = reduce::<FMA>(x, 0.0);
    (fma::<FMA>(r * r, exp_rest::<FMA>(r), r) + 1.0) * power_of_two(n)
}

/// e^x. Error up to 1.1 ULP. Underflows gradually, overflows to infinity.
#[inline(always)]
pub fn exp<const FMA: bool>(x: f64) -> f64 {
    exp_sum::<FMA>(x, 0.0)
}

/// e^(x + extra), where `extra` is tiny beside `x`.
#[inline(always)]
fn exp_sum<const FMA: bool>(x: f64, extra: f64) -> f64 {
    let inner = if x > 710.0 { 710.0 } else { x };
    let inner = if inner < -746.0 { -746.0 } else { inner };
    let extra = if inner == x { extra } else { 0.0 };
    let Reduced { n, r, .. } = reduce::<FMA>(inner, extra);
    scale(fma::<FMA>(r * r, exp_rest::<FMA>(r), r) + 1.0, n)
}

/// e^x - 1, exact in sign at zero. Error up to 1.6 ULP.
#[inline(always)]
pub fn expm1<const FMA: bool>(x: f64) -> f64 {
    let inner = if x > 710.0 { 710.0 } else { x };
    let inner = if inner < -40.0 { -40.0 } else { inner };
    let Reduced { n, n_float, r, rest } = reduce::<FMA>(inner, 0.0);
    let value = r + fma::<FMA>(r * r, exp_rest::<FMA>(r), rest);
    // 2^n (value + 1) - 1, halved on the way because 2^1024 is no f64.
    let scale = power_of_two(n.wrapping_sub(1));
    let scaled = 2.0 * fma::<FMA>(value, scale, scale - 0.5);
    let result = if n_float == 0.0 { value } else { scaled };
    result.copysign(x)
}

/// `log(1 + f) - f` for `1 + f` in [sqrt(1/2), sqrt(2)).
#[inline(always)]
fn log_rest<const FMA: bool>(f: f64) -> f64 {
    let square = f * f;
    let cubic = polynomial!(FMA, f;
        0.3333333333333314, -0.24999999999987976, 0.20000000000066612, -0.16666666669826033,
        0.1428571428009424, -0.12499999691430001, 0.11111111147368999, -0.10000015206731953,
        0.09090923935748375, -0.08332913532705788, 0.07691529735435639, -0.07149439551359092,
        0.06684590119436379, -0.06196679017697448, 0.056683715300492286, -0.05677775246851389,
        0.0650350365427955, -0.05981737551607811, 0.026151133433272175);
    fma::<FMA>(square * f, cubic, -0.5 * square)
}

/// Splits a positive normal number into an exponent, raised by 1024 so that it
/// is not negative, and a mantissa in [sqrt(1/2), sqrt(2)).
#[inline(always)]
fn split(x: f64) -> (u64, f64) {
    let bits = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF_BITS));
    (bits.wrapping_add(1024 << 52) >> 52, mantissa)
}

/// The exponent that [`split`] raised, as a float.
#[inline(always)]
fn exponent_float(raised: u64) -> f64 {
    f64::from_bits(raised | ROUND.to_bits()) - (ROUND + 1024.0)
}

/// Splits a positive number, subnormal or not, into exponent and mantissa.
#[inline(always)]
fn split_any(x: f64) -> (f64, f64) {
    let small = x < f64::MIN_POSITIVE;
    let (raised, mantissa) = split(if small { x * 18_014_398_509_481_984.0 } else { x });
    (exponent_float(raised) - if small { 54.0 } else { 0.0 }, mantissa)
}

/// Natural logarithm: -inf at zero, NaN below. Error up to 0.9 ULP.
#[inline(always)]
pub fn log<const FMA: bool>(x: f64) -> f64 {
    let (k, mantissa) = split_any(x);
    let f = mantissa - 1.0;
    let low = fma::<FMA>(k, LN_2_LOW, log_rest::<FMA>(f));
    let value = fma::<FMA>(k, LN_2_HIGH, f + low);
    log_ends(x, value)
}

/// Puts the results outside (0, inf) in place of `value`.
#[inline(always)]
fn log_ends(x: f64, value: f64) -> f64 {
    let value = if x < f64::INFINITY { value } else { x };
    let value = if x == 0.0 { f64::NEG_INFINITY } else { value };
    if x < 0.0 { f64::NAN } else { value }
}

/// log(high + low), where `high` is positive, normal and finite and `low` is
/// what rounding took from it.
#[inline(always)]
fn log_pair<const FMA: bool>(high: f64, low: f64) -> f64 {
    let (raised, mantissa) = split(high);
    // Far out the low part has no say, and 2^-exponent must stay in range.
    let power = f64::from_bits(2047u64.wrapping_sub(raised) << 52);
    let power = if high > 1.0e30 { 0.0 } else { power };
    let f = fma::<FMA>(low, power, mantissa - 1.0);
    let k = exponent_float(raised);
    let rest = fma::<FMA>(k, LN_2_LOW, log_rest::<FMA>(f));
    fma::<FMA>(k, LN_2_HIGH, f + rest)
}

/// log(1 + x): -inf at -1, NaN below, -0 at -0. Error up to 1.3 ULP.
#[inline(always)]
pub fn log1p<const FMA: bool>(x: f64) -> f64 {
    let (sum, low) = sum_with_error(1.0, x);
    let value = log_pair::<FMA>(sum, low);
    log_ends(sum, value).copysign(x)
}

/// Hyperbolic tangent. Error up to 1.3 ULP.
#[inline(always)]
pub fn tanh<const FMA: bool>(x: f64) -> f64 {
    let size = x.abs();
    let z = size * size;
    let rest = polynomial!(FMA, z;
        -0.333333333333323, 0.13333333333166425, -0.053968253874954374, 0.02186948594775421,
        -0.008863194137906621, 0.0035917167162972975, -0.001453201863225627,
        0.0005790923414485265, -0.00021022858837473074, 5.0969866574767876e-05);
    let near = fma::<FMA>(size * z, rest, size);
    let clamped = if size > 20.0 { 20.0 } else { size };
    let far = 1.0 - 2.0 / (exp_normal::<FMA>(2.0 * clamped) + 1.0);
    let value = if size < 0.55 { near } else { far };
    value.copysign(x)
}

/// Hyperbolic secant 2 / (e^x + e^-x), down to subnormal results. Error up to
/// 1.5 ULP.
#[inline(always)]
pub fn sech<const FMA: bool>(x: f64) -> f64 {
    let t = exp::<FMA>(-x.abs());
    // 2 t / (1 + t^2) in a way that makes its roundings count only where t^2
    // does.
    let half = t / fma::<FMA>(t, t, 1.0);
    let twice = t + t;
    fma::<FMA>(-twice, t * half, twice)
}

/// Logistic function 1 / (1 + e^-x), down to subnormal results. Error up to
/// 1.8 ULP.
#[inline(always)]
pub fn sigmoid<const FMA: bool>(x: f64) -> f64 {
    // Both parts of the fraction carry a factor 2^-60, so that e^-x overflows
    // only where the result is below every subnormal number.
    const SCALE: f64 = 1.0 / (1u64 << 60) as f64;
    let inner = if x < -746.0 { 746.0 } else { -x };
    // Below -50 the sum is SCALE; going on would make subnormal numbers.
    let inner = if inner < -50.0 { -50.0 } else { inner };
    let Reduced { n, r, rest, .. } = reduce::<FMA>(inner, 0.0);
    let value = (fma::<FMA>(r * r, exp_rest::<FMA>(r), rest) + r) + 1.0;
    SCALE / (SCALE + scale(value, n.wrapping_sub(60)))
}

/// log(1 + e^x), near `x` for large `x` and near e^x for very negative `x`.
/// Its derivative is [`sigmoid`]. Error up to 1.6 ULP.
#[inline(always)]
pub fn softplus<const FMA: bool>(x: f64) -> f64 {
    let decay = exp::<FMA>(-x.abs());
    // log(1 + t) is t for tiny t. Squaring it would be right as well, but make
    // subnormal numbers, which cost the processor a hundred cycles each. It is
    // added back rather than chosen: a second choice on the same condition lets
    // the compiler see through the first and square after all.
    let tiny = decay < 1.0e-17;
    let inner = if tiny { 0.0 } else { decay };
    let sum = 1.0 + inner;
    let low = inner - (sum - 1.0);
    let bend = log_pair::<FMA>(sum, low) + (decay - inner);
    let linear = if x > 0.0 { x } else { 0.0 };
    linear + bend
}

/// Error function (2 / sqrt(pi)) * integral of e^(-t^2) from 0 to x. Error up
/// to 1.2 ULP.
#[inline(always)]
pub fn erf<const FMA: bool>(x: f64) -> f64 {
    let size = x.abs();
    let z = size * size;
    let rest = polynomial!(FMA, z;
        0.1283791670955126, -0.37612638903183715, 0.11283791670952945, -0.02686617064465488,
        0.00522397762005281, -0.0008548326662773312, 0.00012055317636708529,
        -1.4925219100013252e-05, 1.6453989892012815e-06, -1.6263961221939967e-07,
        1.3984938778787456e-08, -8.34203227947929e-10);
    let near = fma::<FMA>(size, rest, size);
    // Beyond: 1 - e^(log erfc), whose exponent is itself a polynomial.
    let clamped = if size > 5.95 { 5.95 } else { size };
    let exponent = polynomial!(FMA, clamped;
        -8.673230842244065e-08, -1.1283782518004035, -0.6366242196068063, -0.10275948194114458,
        0.01910245095854901, 0.00024494986566590577, -0.0017293374076479523,
        0.0006066444192407055, -2.1057475193808878e-05, -8.339433965465314e-05,
        5.07385286914305e-05, -1.850080618235025e-05, 4.874357708244931e-06,
        -9.6812790269083e-07, 1.449584182859279e-07, -1.594708017983274e-08,
        1.2194803117769588e-09, -5.7967947036244126e-11, 1.290179062899946e-12);
    let far = 1.0 - exp_normal::<FMA>(exponent);
    let value = if size < 0.92 { near } else { far };
    value.copysign(x)
}

/// An angle `r + rest` within half a quarter turn of 0, and the quarters taken.
struct Angle {
    quarter: u64,
    r: f64,
    rest: f64,
}

/// Cody-Waite reduction of `x`, at most [`NEAR`] in size, by pi / 2, cut into
/// three parts of 33 bits, whose multiples are exact, and a last one.
#[inline(always)]
fn reduce_angle<const FMA: bool>(x: f64) -> Angle {
    let shifted = fma::<FMA>(x, FRAC_2_PI, ROUND);
    let n = shifted - ROUND;
    let first = fma::<FMA>(-n, f64::from_bits(0x3ff9_21fb_5440_0000), x);
    let (second, error) = sum_with_error(first, -n * f64::from_bits(0x3dd0_b461_1a60_0000));
    let (third, last) = sum_with_error(second, -n * f64::from_bits(0x3ba3_198a_2e00_0000));
    let low = fma::<FMA>(-n, 8.4784276603689e-32, error + last);
    let r = third + low;
    Angle { quarter: shifted.to_bits(), r, rest: low - (r - third) }
}

/// sin(r + rest) and cos(r + rest) for `|r|` up to pi / 4.
#[inline(always)]
fn sin_cos<const FMA: bool>(r: f64, rest: f64) -> (f64, f64) {
    let z = r * r;
    let sine = polynomial!(FMA, z;
        -0.16666666666666632, 0.008333333333322316, -0.00019841269829725774,
        2.7557313662248616e-06, -2.505075329319033e-08, 1.5896506543708576e-10);
    let cosine = polynomial!(FMA, z;
        0.0416666666666666, -0.0013888888888873992, 2.48015872893959e-05,
        -2.7557314326298985e-07, 2.0875719594204898e-09, -1.135945048625148e-11);
    let sine = r + fma::<FMA>(r * z, sine, rest);
    let near_one = fma::<FMA>(-0.5, z, 1.0);
    let lost = fma::<FMA>(-0.5, z, 1.0 - near_one);
    let cosine = near_one + fma::<FMA>(z * z, cosine, fma::<FMA>(-r, rest, lost));
    (sine, cosine)
}

/// sin(x) for `|x|` up to [`NEAR`] (beyond it the result is worthless). Error up
/// to 0.9 ULP.
#[inline(always)]
pub fn sin_near<const FMA: bool>(x: f64) -> f64 {
    let Angle { quarter, r, rest } = reduce_angle::<FMA>(x);
    let (sine, cosine) = sin_cos::<FMA>(r, rest);
    let value = if quarter & 1 == 0 { sine } else { cosine };
    let value = f64::from_bits(value.to_bits() ^ ((quarter & 2) << 62));
    // The polynomial turns -0 into 0.
    if x == 0.0 { x } else { value }
}

/// cos(x) for `|x|` up to [`NEAR`] (beyond it the result is worthless). Error up
/// to 0.9 ULP.
#[inline(always)]
pub fn cos_near<const FMA: bool>(x: f64) -> f64 {
    let Angle { quarter, r, rest } = reduce_angle::<FMA>(x);
    let (sine, cosine) = sin_cos::<FMA>(r, rest);
    let value = if quarter & 1 == 0 { cosine } else { sine };
    f64::from_bits(value.to_bits() ^ ((quarter.wrapping_add(1) & 2) << 62))
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
    let value = exp_sum::<FMA>(product, error);

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
    let (k, mantissa) = split_any(x);
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
    let tail = z
        * z
        * polynomial!(FMA, z;
        0.1999999999999999, 0.14285714285722576, 0.11111111108763676, 0.090909094357197,
        0.0769227839691314, 0.06668160202059759, 0.05837378802473006, 0.05994761379738947);
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
