//! Holds the element functions to their stated errors and special values: f32
//! against f64 over a sample of all bit patterns, f64 against stored figures
//! of many digits (`tests/data/math_reference.py`), both with and without
//! fused steps. Refuses to depend on the system's f32 functions.

use super::{double, single};

/// Both choices of `FMA` for a function of one argument.
macro_rules! both {
    ($module:ident :: $name:ident) => {
        [$module::$name::<true>, $module::$name::<false>]
    };
}

/// |got - want| in units of the f32 spacing at `want`.
fn ulps_single(got: f32, want: f64) -> f64 {
    let nearest = want as f32;
    if nearest.is_nan() || got.is_nan() || nearest.is_infinite() || got.is_infinite() {
        let same = nearest.is_nan() == got.is_nan() && (got.is_nan() || got == nearest);
        // Close to the largest f32 either side of the border is one step away.
        let border = want.abs() > 3.402_823_3e38 && want.abs() < 3.402_824e38;
        return if same || border { 0.0 } else { f64::INFINITY };
    }
    let exponent = ((nearest.abs().to_bits() >> 23) as i32).max(1) - 127 - 23;
    (f64::from(got) - want).abs() / 2f64.powi(exponent)
}

/// |got - (high + low)| in units of the f64 spacing at `high`.
fn ulps_double(got: f64, high: f64, low: f64) -> f64 {
    let exponent = ((high.abs().to_bits() >> 52) as i32).max(1) - 1023 - 52;
    let (one, two) = (2f64.powi(exponent / 2), 2f64.powi(exponent - exponent / 2));
    let difference = if got == high { 0.0 } else { (got - high) / one / two };
    let error = (difference - low / one / two).abs();
    if error.is_nan() { f64::INFINITY } else { error }
}

/// Every 4093rd bit pattern, and the neighbours of the points where the code
/// changes its ways or the function its nature.
fn sample() -> Vec<f32> {
    let mut points: Vec<f32> = (0..=u32::MAX).step_by(4093).map(f32::from_bits).collect();
    let marks = [
        0.0,
        f32::MIN_POSITIVE,
        1e-8,
        2.4e-4,
        0.292_893_2,
        0.346_573_6,
        0.414_213_57,
        2.5,
        0.5,
        0.55,
        0.663_324_95,
        std::f32::consts::LN_2,
        std::f32::consts::FRAC_1_SQRT_2,
        0.92,
        1.0,
        1.039_720_8,
        std::f32::consts::SQRT_2,
        std::f32::consts::FRAC_PI_2,
        std::f32::consts::PI,
        355.0,
        3.93,
        9.01,
        16.635,
        17.33,
        18.0,
        22.0,
        30.0,
        41.6,
        87.336,
        88.722_84,
        89.0,
        90.0,
        103.28,
        103.97,
        104.0,
        132.4,
        175.4,
        176.0,
        single::NEAR,
        8_388_608.0,
        f32::MAX,
    ];
    for mark in marks {
        for step in -200i32..=200 {
            let near = f32::from_bits(mark.to_bits().saturating_add_signed(step));
            points.extend([near, -near]);
        }
    }
    points
}

/// erf by the series of positive terms, good to 1e-15.
fn erf_series(x: f64) -> f64 {
    let size = x.abs();
    if size > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut odd) = (size, size, 3.0);
    while term > sum * 1e-17 {
        term *= 2.0 * size * size / odd;
        sum += term;
        odd += 2.0;
    }
    (sum * (-size * size).exp() * std::f64::consts::FRAC_2_SQRT_PI).copysign(x)
}

fn softplus_wide(x: f64) -> f64 {
    if x > 40.0 { x } else { x.exp().ln_1p() }
}

#[test]
fn single_stays_within_two_ulp_of_f64() {
    type Row = (&'static str, [fn(f32) -> f32; 2], fn(f64) -> f64);
    let rows: [Row; 12] = [
        ("exp", both!(single::exp), f64::exp),
        ("expm1", both!(single::expm1), f64::exp_m1),
        ("log", both!(single::log), f64::ln),
        ("log1p", both!(single::log1p), f64::ln_1p),
        ("tanh", both!(single::tanh), f64::tanh),
        ("sech", both!(single::sech), |x| 1.0 / x.cosh()),
        ("sigmoid", both!(single::sigmoid), |x| 1.0 / (1.0 + (-x).exp())),
        ("softplus", both!(single::softplus), softplus_wide),
        ("erf", both!(single::erf), erf_series),
        ("atan", both!(single::atan), f64::atan),
        ("sin", both!(single::sin), f64::sin),
        ("cos", both!(single::cos), f64::cos),
    ];
    let points = sample();
    for (name, functions, exact) in rows {
        for &x in &points {
            let want = exact(f64::from(x));
            for (plain, function) in functions.iter().enumerate() {
                let got = function(x);
                let error = ulps_single(got, want);
                assert!(error <= 2.0, "{name}({x:e}) = {got:e}, not {want:e}: {error} ULP, way {plain}");
            }
        }
    }
}

#[test]
fn single_pow_stays_within_one_ulp_of_f64() {
    let bases = (0..0x7f80_0000u32).step_by(2_097_143).map(f32::from_bits);
    let root = std::f32::consts::FRAC_1_SQRT_2;
    for base in bases.chain([0.999_999_94, 1.000_000_1, root.next_down(), root, root.next_up()]) {
        let reach = 150.0 / f64::from(base).log2().abs().max(1e-8);
        for step in -60..=60 {
            let power = (reach * f64::from(step) / 59.0) as f32;
            let want = f64::from(base).powf(f64::from(power));
            for function in both!(single::pow) {
                let got = function(base, power);
                let error = ulps_single(got, want);
                assert!(error <= 1.0, "{base:e}^{power:e} = {got:e}, not {want:e}: {error} ULP");
            }
        }
    }
}

#[test]
fn double_stays_near_figures_of_many_digits() {
    let table = include_str!("../../../../tests/data/math_reference.csv");
    let mut seen = 0;
    for line in table.lines() {
        let mut fields = line.split(',');
        let name = fields.next().expect("a name");
        let numbers: Vec<f64> = fields.map(|field| f64::from_bits(u64::from_str_radix(field, 16).expect("bits"))).collect();
        let [x, y, high, low] = numbers[..] else { panic!("not four numbers: {line}") };
        let got = match name {
            "exp" => both!(double::exp).map(|f| f(x)),
            "expm1" => both!(double::expm1).map(|f| f(x)),
            "log" => both!(double::log).map(|f| f(x)),
            "log1p" => both!(double::log1p).map(|f| f(x)),
            "tanh" => both!(double::tanh).map(|f| f(x)),
            "sech" => both!(double::sech).map(|f| f(x)),
            "sigmoid" => both!(double::sigmoid).map(|f| f(x)),
            "softplus" => both!(double::softplus).map(|f| f(x)),
            "erf" => both!(double::erf).map(|f| f(x)),
            "atan" => both!(double::atan).map(|f| f(x)),
            "sin" => both!(double::sin).map(|f| f(x)),
            "cos" => both!(double::cos).map(|f| f(x)),
            "pow" => both!(double::pow).map(|f| f(x, y)),
            other => panic!("unknown function {other}"),
        };
        for value in got {
            let error = ulps_double(value, high, low);
            assert!(error <= 2.0, "{name}({x:e}, {y:e}) = {value:e}, not {high:e}: {error} ULP");
        }
        seen += 1;
    }
    assert!(seen > 2500, "only {seen} figures");
}

/// Checks one precision's special values; the list is the same for both.
macro_rules! special_values {
    ($test:ident, $module:ident, $float:ident) => {
        #[test]
        fn $test() {
            const INF: $float = $float::INFINITY;
            const NAN: $float = $float::NAN;
            const QUARTER: $float = std::$float::consts::FRAC_PI_2;
            // Same bits, or both NaN.
            let same = |got: $float, want: $float| got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
            type Row = (&'static str, [fn($float) -> $float; 2], Vec<($float, $float)>);
            let tiny = $float::from_bits(1);
            let kept = vec![(0.0, 0.0), (-0.0, -0.0), (NAN, NAN), (tiny, tiny), (-tiny, -tiny)];
            let with = |more: &[($float, $float)]| [&kept[..], more].concat();
            let rows: Vec<Row> = vec![
                ("exp", both!($module::exp), vec![(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (NAN, NAN)]),
                ("expm1", both!($module::expm1), with(&[(INF, INF), (-INF, -1.0)])),
                (
                    "log",
                    both!($module::log),
                    vec![(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (-1.0, NAN), (-tiny, NAN), (INF, INF), (-INF, NAN), (NAN, NAN)],
                ),
                ("log1p", both!($module::log1p), with(&[(-1.0, -INF), (-1.5, NAN), (INF, INF), (-INF, NAN)])),
                ("tanh", both!($module::tanh), with(&[(INF, 1.0), (-INF, -1.0), (1e30, 1.0), (-1e30, -1.0)])),
                (
                    "sech",
                    both!($module::sech),
                    vec![(0.0, 1.0), (-0.0, 1.0), (INF, 0.0), (-INF, 0.0), (NAN, NAN), (1e30, 0.0), (-1e30, 0.0)],
                ),
                ("sigmoid", both!($module::sigmoid), vec![(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0), (NAN, NAN)]),
                ("softplus", both!($module::softplus), vec![(INF, INF), (-INF, 0.0), (NAN, NAN), (1e30, 1e30), (-1e30, 0.0)]),
                ("erf", both!($module::erf), vec![(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN)]),
                ("atan", both!($module::atan), with(&[(1.0, QUARTER / 2.0), (INF, QUARTER), (-INF, -QUARTER), (1e30, QUARTER)])),
                ("sin", both!($module::sin), with(&[(INF, NAN), (-INF, NAN)])),
                ("cos", both!($module::cos), vec![(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (NAN, NAN)]),
            ];
            for (name, functions, pairs) in rows {
                for (x, want) in pairs {
                    for function in functions {
                        let got = function(x);
                        assert!(same(got, want), "{name}({x:e}) = {got:e}, not {want:e}");
                    }
                }
            }
            let values = [
                0.0,
                0.5,
                1.0,
                1.5,
                2.0,
                3.0,
                1e-30,
                1e30,
                tiny,
                $float::MAX,
                INF,
                2.0 / $float::EPSILON,
                1.0 / $float::EPSILON - 1.0,
                1.0 / $float::EPSILON + 1.0,
            ];
            let signed = || values.iter().flat_map(|&v| [v, -v]).chain([NAN]);
            for x in signed() {
                for y in signed() {
                    let want = x.powf(y);
                    for function in both!($module::pow) {
                        let got = function(x, y);
                        let close = (got - want).abs() <= 2.0 * $float::EPSILON * want.abs();
                        assert!(same(got, want) || (want.is_normal() && close), "{x:e}^{y:e} = {got:e}, not {want:e}");
                    }
                }
            }
        }
    };
}

special_values!(single_special_values, single, f32);
special_values!(double_special_values, double, f64);

#[test]
fn far_ends_keep_their_digits() {
    for function in both!(double::softplus) {
        assert_eq!(function(-40.0), 4.248_354_255_291_589e-18);
    }
    for function in both!(single::sigmoid) {
        assert!(ulps_single(function(-90.0), 8.194_012_623_990_515e-40) <= 1.0);
    }
    for function in both!(single::sech) {
        assert!(ulps_single(function(-90.0), 2.0 * 8.194_012_623_990_515e-40) <= 1.0);
        assert!(ulps_single(function(20.0), 4.122_307_244_877_115e-9) <= 1.0);
    }
    // The derivative of softplus is the logistic function.
    for step in -400..400 {
        let x = f64::from(step) * 0.1;
        let h = 1e-4;
        let slope = (double::softplus::<true>(x + h) - double::softplus::<true>(x - h)) / (2.0 * h);
        let want = double::sigmoid::<true>(x);
        assert!((slope - want).abs() <= 1e-7 * want, "at {x}: {slope} and {want}");
    }
}

#[test]
fn slices_agree_with_elements_in_every_lane() {
    let single_points: Vec<f32> = sample().into_iter().step_by(977).take(301).collect();
    let double_points: Vec<f64> = single_points.iter().map(|&x| f64::from(x)).collect();
    for length in [0, 1, 7, 16, 33, single_points.len()] {
        let (x, wide) = (&single_points[..length], &double_points[..length]);
        let (mut out, mut wide_out) = (vec![0f32; length], vec![0f64; length]);
        single::sin_slice::<true>(x, &mut out);
        double::cos_slice::<true>(wide, &mut wide_out);
        for i in 0..length {
            let (a, b) = (single::sin::<true>(x[i]), double::cos::<true>(wide[i]));
            assert!(out[i].to_bits() == a.to_bits() || (a.is_nan() && out[i].is_nan()));
            assert!(wide_out[i].to_bits() == b.to_bits() || (b.is_nan() && wide_out[i].is_nan()));
        }
        single::cos_slice::<false>(x, &mut out);
        double::sin_slice::<false>(wide, &mut wide_out);
        for i in 0..length {
            let (a, b) = (single::cos::<false>(x[i]), double::sin::<false>(wide[i]));
            assert!(out[i].to_bits() == a.to_bits() || (a.is_nan() && out[i].is_nan()));
            assert!(wide_out[i].to_bits() == b.to_bits() || (b.is_nan() && wide_out[i].is_nan()));
        }
    }
}

/// Whether the processor noticed a result too small for a normal number.
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn underflows(work: impl FnOnce()) -> bool {
    let mut state = 0_u32;
    // SAFETY: the flags of past exceptions are cleared and read; no exception is let through.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut state);
        let cleared = state & !0x3f;
        std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const cleared);
        work();
        std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut state);
    }
    state & 0x10 != 0
}

/// A hundred cycles for each vector that holds one, on some processors.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[test]
fn what_a_mask_hides_is_zero_without_underflow() {
    use std::hint::black_box;
    for x in [f32::NEG_INFINITY, f32::MIN, -1000.0, -176.0] {
        for exp in both!(single::exp) {
            let mut result = 1.0;
            let underflow = underflows(|| result = black_box(exp(black_box(x))));
            assert_eq!((result.to_bits(), underflow), (0, false), "e^{x}");
        }
        for function in [single::sigmoid::<true>, single::sech::<true>, single::softplus::<true>] {
            let mut result = 1.0;
            let underflow = underflows(|| result = black_box(function(black_box(x))));
            assert_eq!((result.to_bits(), underflow), (0, false), "at {x}");
        }
    }
    for x in [f64::NEG_INFINITY, f64::MIN, -1418.0] {
        for exp in both!(double::exp) {
            let mut result = 1.0;
            let underflow = underflows(|| result = black_box(exp(black_box(x))));
            assert_eq!((result.to_bits(), underflow), (0, false), "e^{x}");
        }
    }
    let mut result = 0.0;
    let underflow = underflows(|| result = black_box(black_box(f32::MIN_POSITIVE) * black_box(0.3)));
    assert!(result > 0.0 && underflow, "the processor tells");
}
