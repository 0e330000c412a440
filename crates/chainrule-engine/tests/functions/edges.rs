//! Functions of single elements where formulas end: at zeros of both signs, at the ends of domains, at infinity, at NaN, at
//! poles, at kinks. Values are those of the standard library where it has the function.

use crate::check::{slope, values, vector};
use chainrule_engine::transform::jvp;
use chainrule_engine::{DType, Tensor};
use std::f64::consts::{FRAC_2_SQRT_PI, FRAC_PI_2, LN_2, PI, SQRT_2};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;
const HALF_ROOT: f64 = 1.0 / FRAC_2_SQRT_PI;
const SIXTH_SQUARE: f64 = PI * PI / 6.0;
const EULER: f64 = 0.577_215_664_901_532_9;

/// Numbers at which functions change their nature.
const SPECIAL: [f64; 16] = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -3.0, 1e-30, 1e30, -1e30, 7.0, -7.0, INF, -INF, NAN];

/// The same number, counting the sign of a zero, or one so near that it is a matter of rounding.
fn same(found: f64, expected: f64) -> bool {
    let alike = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
    alike || (expected != 0.0 && expected.is_finite() && (found - expected).abs() <= 4e-16 * expected.abs())
}

#[test]
fn functions_of_one_are_those_of_the_standard_library_at_special_numbers() {
    type Row = (&'static str, fn(&Tensor) -> Tensor, fn(f64) -> f64);
    let rows: [Row; 17] = [
        ("asin", |x| x.asin(), f64::asin),
        ("acos", |x| x.acos(), f64::acos),
        ("atan", |x| x.atan(), f64::atan),
        ("asinh", |x| x.asinh(), |x| if x == 0.0 { x } else { f64::asinh(x) }),
        ("acosh", |x| x.acosh(), f64::acosh),
        ("atanh", |x| x.atanh(), f64::atanh),
        ("exp2", |x| x.exp2(), f64::exp2),
        ("cbrt", |x| x.cbrt(), libm::cbrt),
        ("erfc", |x| x.erfc(), libm::erfc),
        ("lgamma", |x| x.lgamma(), |x| if x == 1.0 { 0.0 } else { libm::lgamma(x) }),
        ("rint", |x| x.rint(), f64::round_ties_even),
        ("reciprocal", |x| x.reciprocal(), f64::recip),
        ("deg2rad", |x| x.deg2rad(), f64::to_radians),
        ("rad2deg", |x| x.rad2deg(), f64::to_degrees),
        ("hard_shrink", |x| x.hard_shrink(0.5), |x| if x.abs() <= 0.5 { 0.0 } else { x }),
        (
            "soft_shrink",
            |x| x.soft_shrink(0.5),
            |x| if x.is_nan() { x } else { (x.abs() - 0.5).max(0.0) * if x.abs() <= 0.5 { 1.0 } else { x.signum() } },
        ),
        ("threshold", |x| x.threshold(0.5, -2.0), |x| if x <= 0.5 { -2.0 } else { x }),
    ];
    for (name, function, expected) in rows {
        let found = values(&function(&vector(&SPECIAL)));
        for (x, found) in SPECIAL.into_iter().zip(found) {
            // An argument of -0 is 0 to the rounding of integers, as it is to `floor` (see its row).
            let expected = if name == "rint" && x == -0.5 { found.abs() } else { expected(x) };
            assert!(same(found, expected) || found == expected, "{name}({x}) = {found:e}, not {expected:e}");
        }
    }
}

#[test]
fn odd_functions_keep_the_sign_of_zero() {
    type Row = (&'static str, fn(&Tensor) -> Tensor);
    let rows: [Row; 9] = [
        ("asin", |x| x.asin()),
        ("atan", |x| x.atan()),
        ("asinh", |x| x.asinh()),
        ("atanh", |x| x.atanh()),
        ("cbrt", |x| x.cbrt()),
        ("erfinv", |x| x.erfinv()),
        ("tan", |x| x.tan()),
        ("deg2rad", |x| x.deg2rad()),
        ("copysign", |x| x.ones_like().zeros_like().copysign(x)),
    ];
    for (name, function) in rows {
        let found = values(&function(&vector(&[-0.0, 0.0])));
        assert_eq!(found.iter().map(|v| v.is_sign_negative()).collect::<Vec<_>>(), [true, false], "{name}: {found:?}");
        assert_eq!(found, [0.0, 0.0], "{name}");
    }
}

#[test]
fn functions_of_two_are_those_of_the_standard_library_at_special_numbers() {
    type Row = (&'static str, fn(&Tensor, &Tensor) -> Tensor, fn(f64, f64) -> f64);
    let modulo = |a: f64, b: f64| {
        let rest = a % b;
        let moved = if (rest < 0.0 && b > 0.0) || (rest > 0.0 && b < 0.0) { rest + b } else { rest };
        if moved == 0.0 { 0f64.copysign(b) } else { moved }
    };
    let sum = |a: f64, b: f64| if a == b { a + LN_2 } else { a.max(b) + (-(a - b).abs()).exp().ln_1p() };
    let rows: [Row; 7] = [
        ("atan2", |a, b| a.atan2(b), f64::atan2),
        ("hypot", |a, b| a.hypot(b), f64::hypot),
        ("copysign", |a, b| a.copysign(b), f64::copysign),
        ("fmod", |a, b| a.fmod(b), |a, b| a % b),
        ("remainder", |a, b| a.remainder(b), modulo),
        ("logaddexp", |a, b| a.logaddexp(b), sum),
        ("xlogy", |a, b| a.xlogy(b), |a, b| if a == 0.0 && !b.is_nan() { 0.0 } else { a * b.ln() }),
    ];
    for (name, function, expected) in rows {
        for a in SPECIAL {
            let found = values(&function(&Tensor::full((), a, DType::F64), &vector(&SPECIAL)));
            for (b, found) in SPECIAL.into_iter().zip(found) {
                let expected = match name {
                    _ if (a.is_nan() || b.is_nan()) && !matches!(name, "hypot" | "copysign") => NAN,
                    // The sign of NaN says nothing.
                    "copysign" if b.is_nan() => a.abs(),
                    // Quotients with more digits than the type are not of these functions.
                    "fmod" | "remainder" if (a / b).abs() > 1e16 && a.is_finite() => continue,
                    _ => expected(a, b),
                };
                // A sum that may be 0 has no digits beyond those of its operands.
                let near = name == "logaddexp" && (found - expected).abs() <= 1e-15;
                assert!(
                    same(found, expected) || near || (name == "xlogy" && found == expected),
                    "{name}({a}, {b}) = {found:e}, not {expected:e}"
                );
            }
        }
    }
}

/// Value and derivative at a point, in f64 and f32.
#[test]
fn values_and_derivatives_at_the_ends() {
    type Row = (&'static str, fn(&Tensor) -> Tensor, &'static [(f64, f64, f64)]);
    let rows: &[Row] = &[
        ("asin", |x| x.asin(), &[(1.0, FRAC_PI_2, INF), (-1.0, -FRAC_PI_2, INF), (0.0, 0.0, 1.0), (1.5, NAN, NAN)]),
        ("acos", |x| x.acos(), &[(1.0, 0.0, -INF), (-1.0, PI, -INF), (0.0, FRAC_PI_2, -1.0), (-1.5, NAN, NAN)]),
        ("atan", |x| x.atan(), &[(INF, FRAC_PI_2, 0.0), (-INF, -FRAC_PI_2, 0.0), (0.0, 0.0, 1.0)]),
        ("asinh", |x| x.asinh(), &[(0.0, 0.0, 1.0), (-0.0, 0.0, 1.0), (INF, INF, 0.0), (-INF, -INF, 0.0)]),
        ("acosh", |x| x.acosh(), &[(1.0, 0.0, INF), (INF, INF, 0.0), (0.5, NAN, NAN)]),
        ("atanh", |x| x.atanh(), &[(1.0, INF, INF), (-1.0, -INF, INF), (0.0, 0.0, 1.0)]),
        ("cbrt", |x| x.cbrt(), &[(0.0, 0.0, INF), (-0.0, 0.0, INF), (-8.0, -2.0, 1.0 / 12.0), (INF, INF, 0.0), (-INF, -INF, 0.0)]),
        ("sinc", |x| x.sinc(), &[(0.0, 1.0, 0.0), (-0.0, 1.0, 0.0), (1.0, 0.0, -1.0), (2.0, 0.0, 0.5), (-3.0, 0.0, 1.0 / 3.0)]),
        ("erfc", |x| x.erfc(), &[(0.0, 1.0, -FRAC_2_SQRT_PI), (INF, 0.0, 0.0), (-INF, 2.0, 0.0), (30.0, 0.0, 0.0), (-30.0, 2.0, 0.0)]),
        ("gelu", |x| x.gelu(), &[(0.0, 0.0, 0.5), (-0.0, 0.0, 0.5), (INF, INF, 1.0), (-INF, 0.0, 0.0), (1e3, 1e3, 1.0), (-1e3, 0.0, 0.0)]),
        ("erfinv", |x| x.erfinv(), &[(0.0, 0.0, HALF_ROOT), (1.0, INF, INF), (-1.0, -INF, INF), (1.25, NAN, NAN)]),
        ("lgamma", |x| x.lgamma(), &[(0.0, INF, -INF), (-2.0, INF, NAN), (1.0, 0.0, -EULER), (2.0, 0.0, 1.0 - EULER), (INF, INF, INF)]),
        ("digamma", |x| x.digamma(), &[(0.0, -INF, INF), (-3.0, NAN, INF), (1.0, -EULER, SIXTH_SQUARE), (INF, INF, 0.0)]),
        ("logit", |x| x.logit(), &[(0.0, -INF, INF), (1.0, INF, INF), (0.5, 0.0, 4.0), (1.5, NAN, -4.0 / 3.0)]),
        ("exp2", |x| x.exp2(), &[(0.0, 1.0, LN_2), (-INF, 0.0, 0.0), (10.0, 1024.0, 1024.0 * LN_2)]),
        ("hypot of two", |x| x.hypot(x), &[(INF, INF, SQRT_2), (0.0, 0.0, 0.0), (-3.0, 3.0 * SQRT_2, -SQRT_2)]),
        ("hypot", |x| x.hypot(&x.zeros_like()), &[(0.0, 0.0, 0.0), (-2.0, 2.0, -1.0), (INF, INF, 1.0), (-INF, INF, -1.0)]),
        ("atan2 of the origin", |x| x.atan2(&x.zeros_like()), &[(0.0, 0.0, 0.0), (2.0, FRAC_PI_2, 0.0), (INF, FRAC_PI_2, 0.0)]),
        ("logaddexp", |x| x.logaddexp(x), &[(-INF, -INF, 0.0), (INF, INF, 0.0), (0.0, LN_2, 1.0)]),
        ("logaddexp beside -inf", |x| x.logaddexp(&full(x, -INF)), &[(3.0, 3.0, 1.0), (-INF, -INF, 0.0)]),
        ("xlogy", |x| x.xlogy(&full(x, 2.0)), &[(0.0, 0.0, LN_2)]),
        ("xlogy by y", |x| x.zeros_like().xlogy(x), &[(0.0, 0.0, 0.0), (2.0, 0.0, 0.0)]),
        ("celu", |x| x.celu(2.0), &[(0.0, 0.0, 1.0), (-INF, -2.0, 0.0), (INF, INF, 1.0)]),
        ("softplus_with", |x| x.softplus_with(2.0, 20.0), &[(-INF, 0.0, 0.0), (11.0, 11.0, 1.0), (0.0, LN_2 / 2.0, 0.5)]),
        ("hard_shrink", |x| x.hard_shrink(1.0), &[(1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (1.5, 1.5, 1.0)]),
        ("soft_shrink", |x| x.soft_shrink(1.0), &[(1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (-1.5, -0.5, 1.0)]),
        ("tanh_shrink", |x| x.tanh_shrink(), &[(0.0, 0.0, 0.0), (INF, INF, 1.0)]),
        ("threshold", |x| x.threshold(1.0, 0.25), &[(1.0, 0.25, 0.0), (2.0, 2.0, 1.0)]),
        ("nan_to_num", |x| x.nan_to_num(0.5, None, Some(-3.0)), &[(NAN, 0.5, 0.0), (-INF, -3.0, 0.0), (2.0, 2.0, 1.0)]),
        ("heaviside", |x| x.heaviside(&full(x, 0.5)), &[(0.0, 0.5, 0.0), (-2.0, 0.0, 0.0), (INF, 1.0, 0.0)]),
        ("copysign", |x| x.copysign(&full(x, -0.0)), &[(2.0, -2.0, -1.0), (-2.0, -2.0, 1.0)]),
        ("fmod", |x| x.fmod(&full(x, 3.0)), &[(-7.0, -1.0, 1.0), (6.0, 0.0, 1.0)]),
    ];
    for dtype in [DType::F64, DType::F32] {
        for (name, function, points) in rows {
            for &(at, value, derivative) in *points {
                let x = vector(&[at]).cast(dtype).to_leaf().unwrap();
                let y = function(&x);
                let forward = jvp(&[&y], &[&x], &[&x.ones_like()]).unwrap().remove(0);
                let found = [values(&y)[0], slope(&y, &x)[0], values(&forward)[0]];
                let tolerance = if dtype == DType::F64 { 2e-15 } else { 1e-6 };
                for (k, (found, expected)) in found.into_iter().zip([value, derivative, derivative]).enumerate() {
                    let same = found == expected || (found.is_nan() && expected.is_nan());
                    let near = (found - expected).abs() <= tolerance * expected.abs().max(1.0);
                    assert!(same || near, "{name}, {dtype}, at {at}, {}: {found:e}, not {expected:e}", ["value", "reverse", "forward"][k]);
                }
            }
        }
    }
}

fn full(x: &Tensor, value: f64) -> Tensor {
    Tensor::full(x.shape(), value, x.dtype())
}

/// sinh and cosh are finite for as long as they fit the type.
#[test]
fn hyperbolic_functions_reach_to_the_end() {
    let x = vector(&[710.4, -710.4]);
    for (found, expected) in [(x.sinh(), f64::sinh(710.4)), (x.cosh(), f64::cosh(710.4))] {
        assert!((values(&found)[0] / expected - 1.0).abs() < 1e-15, "{:e}, not {expected:e}", values(&found)[0]);
    }
    assert_eq!(values(&x.sinh())[0], -values(&x.sinh())[1]);
    assert_eq!(values(&vector(&[INF, -INF]).sinh()), [INF, -INF]);
    assert_eq!(values(&vector(&[INF, -INF]).cosh()), [INF, INF]);
    // The absolute value of 0 is 0, and not the other zero.
    assert!(vector(&[0.0]).abs().item().unwrap().is_sign_positive());
}

#[test]
fn polygamma_at_its_poles() {
    let x = vector(&[0.0, -1.0, -4.0, INF]);
    assert_eq!(values(&x.polygamma(1)), [INF, INF, INF, 0.0]);
    let second = values(&x.polygamma(2));
    assert_eq!(second[0], -INF);
    assert!(second[1].is_nan() && second[2].is_nan());
    assert_eq!(second[3], 0.0);
    assert!(x.polygamma(101).eval().unwrap_err().to_string().contains("at most 100"));
}

/// The logarithm of the gamma function has any number of derivatives, and they are polygammas.
#[test]
fn derivatives_of_lgamma_are_polygammas() {
    let x = vector(&[0.3, 1.0, 1.46, 2.0, 5.5, 40.0, -0.7, -2.2]);
    let mut derivative = x.lgamma();
    for order in 0..4 {
        derivative = derivative.sum().grad(&[&x]).unwrap().remove(0);
        assert_eq!(values(&derivative), values(&x.polygamma(order)), "order {order}");
    }
}

#[test]
fn hypot_and_norms_neither_overflow_nor_vanish() {
    let (a, b) = (vector(&[3e200, 3e-200, 5e-324, 1e308]), vector(&[4e200, 4e-200, 0.0, 1e308]));
    let found = values(&a.hypot(&b));
    for (found, expected) in found.iter().zip([5e200, 5e-200, 5e-324, 1.414_213_562_373_095e308]) {
        assert!(same(*found, expected), "{found:e}, not {expected:e}");
    }
    assert!(slope(&a.hypot(&b), &a)[..2].iter().all(|&slope| same(slope, 0.6)));
    // The second derivative b^2 / (a^2 + b^2)^(3/2) has all digits where it is small.
    let (a, b) = (vector(&[1.0]).cast(DType::F32).to_leaf().unwrap(), vector(&[1e-6]).cast(DType::F32).to_leaf().unwrap());
    let first = a.hypot(&b).sum().grad(&[&a]).unwrap().remove(0);
    assert!((slope(&first, &a)[0] / 1e-12 - 1.0).abs() < 1e-6, "{:e}", slope(&first, &a)[0]);
    // Multiples of the smallest number, and what is too long for the type, have a direction, too.
    for (unit, dtype) in [(5e-324, DType::F64), (1.3e307, DType::F64), (f64::from(f32::from_bits(1)), DType::F32), (2.5e37, DType::F32)] {
        let [a, b] = [9.0, -12.0].map(|n| vector(&[n * unit]).cast(dtype).to_leaf().unwrap());
        for (leg, expected) in [(&a, 0.6), (&b, -0.8)] {
            crate::check::close(&format!("hypot at {unit:e}"), &slope(&a.hypot(&b), leg), &[expected], 1e-7);
        }
    }
}

#[test]
fn remainders_are_exact_up_to_large_quotients() {
    let a = [5.1, 1e15 + 0.3, 123456789.123, 1e300, -9007199254740991.0, 1.0, 3e-310];
    let b = [0.1, 0.7, 1e-3, 3e290, 3.7, 1e308, 7e-311];
    let found = values(&vector(&a).fmod(&vector(&b)));
    assert_eq!(found, a.iter().zip(b).map(|(a, b)| a % b).collect::<Vec<_>>());
    let a: Vec<f32> = a[..3].iter().map(|&v| v as f32).chain([16777215.0, 3e38]).collect();
    let b: Vec<f32> = vec![0.1, 1e9, 3.0, 7.0, 2.9e38];
    let found = Tensor::from_slice(&a, [5]).fmod(&Tensor::from_slice(&b, [5])).to_vec::<f32>().unwrap();
    assert_eq!(found, a.iter().zip(b).map(|(a, b)| a % b).collect::<Vec<_>>());
}

/// The whole part and what is left make the number again, and the part is whole: as in NumPy, whose quotient of 1 and 0.1
/// is 9, because 0.1 is a little more than a tenth.
#[test]
fn quotients_rounded_down_leave_the_remainder() {
    let a = [1.0, -1.0, 7.5, -7.5, 6.0, 0.3, 5.1, -0.0, 123.456, 1.0, -1.0, 2.0, INF, 1.0];
    let b = [0.1, 0.1, 2.0, 2.0, -3.0, 0.1, -0.1, 2.0, 0.001, INF, INF, 0.0, 2.0, NAN];
    let whole = values(&vector(&a).floor_divide(&vector(&b)));
    let rest = values(&vector(&a).remainder(&vector(&b)));
    assert_eq!(whole[..7], [9.0, -10.0, 3.0, -4.0, -2.0, 2.0, -51.0]);
    for i in 0..9 {
        assert_eq!(whole[i], whole[i].round());
        assert!((whole[i] * b[i] + rest[i] - a[i]).abs() <= 1e-15 * a[i].abs(), "{} by {}", a[i], b[i]);
    }
    assert_eq!(whole[9..12], [0.0, -1.0, INF]);
    assert!(whole[12].is_nan() && whole[13].is_nan());
    let (a, b) = (Tensor::from_slice(&[-7i64, 7, -6, 5], [4]), Tensor::from_slice(&[2i64, -2, 3, 0], [4]));
    assert_eq!(a.floor_divide(&b).to_vec::<i64>().unwrap(), [-4, -4, -2, 0]);
}

#[test]
fn integers_have_remainders_and_bounds() {
    let (a, b) = (Tensor::from_slice(&[-7i64, 7, -7, 5, i64::MIN], [5]), Tensor::from_slice(&[3i64, -3, -3, 0, -1], [5]));
    assert_eq!(a.fmod(&b).to_vec::<i64>().unwrap(), [-1, 1, -1, 0, 0]);
    assert_eq!(a.remainder(&b).to_vec::<i64>().unwrap(), [2, -2, -1, 0, 0]);
    let low = Tensor::from_slice(&[0i64], [1]);
    assert_eq!(a.clamp_between(Some(&low), None).to_vec::<i64>().unwrap(), [0, 7, 0, 5, 0]);
    assert_eq!(a.float_power(&b).dtype(), DType::F64);
    assert_eq!(values(&Tensor::from_slice(&[2i64], [1]).float_power(&Tensor::from_slice(&[-1i64], [1]))), [0.5]);
}

#[test]
fn clamp_between_passes_the_gradient_to_what_it_chose() {
    let x = vector(&[-2.0, 0.0, 0.5, 3.0, NAN]);
    let (low, high) = (vector(&[0.0]), vector(&[1.0, 1.0, 0.25, 1.0, 1.0]));
    let y = x.clamp_between(Some(&low), Some(&high));
    assert_eq!(values(&y)[..4], [0.0, 0.0, 0.25, 1.0]);
    assert!(values(&y)[4].is_nan());
    let gradients = y.sum().grad(&[&x, &low, &high]).unwrap();
    assert_eq!(values(&gradients[0]), [0.0, 1.0, 0.0, 0.0, 1.0]);
    assert_eq!(values(&gradients[1]), [1.0]);
    assert_eq!(values(&gradients[2]), [0.0, 0.0, 1.0, 1.0, 0.0]);
    // Bounds out of order: the upper one, as NumPy has it.
    assert_eq!(values(&vector(&[5.0]).clamp_between(Some(&vector(&[2.0])), Some(&vector(&[1.0])))), [1.0]);
    assert!(vector(&[5.0]).clamp_between(None, Some(&vector(&[NAN]))).item().unwrap().is_nan());
}

#[test]
fn lerp_hits_both_ends() {
    let (a, b) = (vector(&[0.1, 1e17, -3.0]), vector(&[0.7, 1.0, 5.0]));
    for (weight, expected) in [(0.0, values(&a)), (1.0, values(&b)), (0.25, vec![0.25, 7.5e16, -1.0])] {
        crate::check::close("lerp", &values(&a.lerp(&b, &vector(&[weight]))), &expected, 1e-16);
    }
    assert_eq!(values(&a.lerp(&b, &vector(&[1.0]))), values(&b));
    crate::check::check_gradients("lerp", |x| x[0].lerp(&x[1], &x[2]), &[vector(&[0.1, 4.0, -3.0]), b, vector(&[0.2, 0.6, 0.9])]);
}

#[test]
fn questions_about_numbers() {
    for dtype in [DType::F64, DType::F32, DType::BF16, DType::F16] {
        let x = vector(&[0.0, -0.0, 2.0, -3.0, INF, -INF, NAN]).cast(dtype);
        let truths = |t: Tensor| t.to_vec::<bool>().unwrap();
        assert_eq!(truths(x.is_nan()), [false, false, false, false, false, false, true], "{dtype}");
        assert_eq!(truths(x.is_inf()), [false, false, false, false, true, true, false], "{dtype}");
        assert_eq!(truths(x.is_finite()), [true, true, true, true, false, false, false], "{dtype}");
        assert_eq!(truths(x.is_negative()), [false, true, false, true, false, true, false], "{dtype}");
        assert_eq!(truths(x.is_close(&x, 1e-5, 1e-8)), [true, true, true, true, true, true, false], "{dtype}");
        assert_eq!(truths(x.all_close(&x, 1e-5, 1e-8)), [false], "{dtype}");
    }
    let ints = Tensor::from_slice(&[-3i64, 0, 7], [3]);
    assert_eq!(ints.is_finite().to_vec::<bool>().unwrap(), [true; 3]);
    assert_eq!(ints.is_inf().to_vec::<bool>().unwrap(), [false; 3]);
    assert_eq!(ints.is_negative().to_vec::<bool>().unwrap(), [true, false, false]);
    let (a, b) = (vector(&[1.0, 1.0, INF, INF, 1.0, 0.0]), vector(&[1.0 + 1e-6, 1.1, INF, -INF, INF, 1e-9]));
    assert_eq!(a.is_close(&b, 1e-5, 1e-8).to_vec::<bool>().unwrap(), [true, false, true, false, false, true]);
    // Not the other way round: the second is what is compared with.
    assert_eq!(vector(&[9.0]).is_close(&vector(&[10.0]), 0.1, 0.0).to_vec::<bool>().unwrap(), [true]);
    assert_eq!(vector(&[10.0]).is_close(&vector(&[9.0]), 0.1, 0.0).to_vec::<bool>().unwrap(), [false]);
    assert_eq!(ints.is_close(&(&ints + 1), 0.0, 1.0).to_vec::<bool>().unwrap(), [true; 3]);
    assert_eq!(Tensor::zeros([0]).all_close(&Tensor::zeros([0]), 0.0, 0.0).to_vec::<bool>().unwrap(), [true]);
    let questions: [fn(&Tensor, &Tensor) -> Tensor; 3] = [Tensor::not_equal, Tensor::greater_equal, Tensor::less_equal];
    let answers = [[true, false, true], [false, true, false], [true, true, false]];
    for (ask, answer) in questions.into_iter().zip(answers) {
        assert_eq!(ask(&vector(&[1.0, 2.0, NAN]), &vector(&[2.0, 2.0, 1.0])).to_vec::<bool>().unwrap(), answer);
    }
}

/// Of f16 and bf16 nothing is computed: the result is that of f32, rounded once.
#[test]
fn half_precision_is_computed_in_single() {
    type Row = (&'static str, fn(&Tensor) -> Tensor);
    let rows: [Row; 14] = [
        ("asin", |x| x.asin()),
        ("acos", |x| x.acos()),
        ("asinh", |x| x.asinh()),
        ("atanh", |x| x.atanh()),
        ("exp2", |x| x.exp2()),
        ("cbrt", |x| x.cbrt()),
        ("sinc", |x| x.sinc()),
        ("logit", |x| x.logit()),
        ("erfc", |x| x.erfc()),
        ("erfinv", |x| x.erfinv()),
        ("lgamma", |x| x.lgamma()),
        ("digamma", |x| x.digamma()),
        ("atan2", |x| x.atan2(&(x - 0.5))),
        ("logaddexp", |x| x.logaddexp(&(x - 0.5))),
    ];
    for dtype in [DType::F16, DType::BF16] {
        let x = vector(&[0.125, 0.5, 0.75, 0.96875]).cast(dtype).to_leaf().unwrap();
        for (name, function) in rows {
            let y = function(&x);
            assert_eq!(y.dtype(), dtype, "{name}");
            assert_eq!(values(&y), values(&function(&x.cast(DType::F32)).cast(dtype)), "{name}");
            assert_eq!(y.sum().grad(&[&x]).unwrap()[0].dtype(), dtype, "{name}");
        }
    }
}

#[test]
fn what_is_empty_or_single_has_functions_too() {
    for shape in [vec![0, 3], vec![1], vec![]] {
        let x = Tensor::full(&shape, 0.25, DType::F64).to_leaf().unwrap();
        for y in [x.asin(), x.erfinv(), x.lgamma(), x.polygamma(2), x.hypot(&x), x.fmod(&x), x.logit(), x.sinc(), x.erfc()] {
            assert_eq!(y.shape(), shape);
            assert_eq!(values(&y).len(), x.len());
            assert_eq!(slope(&y, &x).len(), x.len());
        }
    }
}
