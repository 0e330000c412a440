//! Loops against themselves: every position, level and shape of operand gives the same bits; and
//! conversions and sums against what is known of them.

use super::super::math::single;
use super::narrow::{narrow_bf16, narrow_f16, widen_bf16, widen_f16};
use super::*;

const UNARY: [Unary; 17] = [
    Unary::Negate,
    Unary::Exp,
    Unary::Log,
    Unary::Log1p,
    Unary::Expm1,
    Unary::Sqrt,
    Unary::Sin,
    Unary::Cos,
    Unary::Tanh,
    Unary::Sech,
    Unary::Sigmoid,
    Unary::Softplus,
    Unary::Erf,
    Unary::Atan,
    Unary::Floor,
    Unary::RoundBf16,
    Unary::RoundF16,
];
const BINARY: [Binary; 11] = [
    Binary::Add,
    Binary::Subtract,
    Binary::Multiply,
    Binary::Divide,
    Binary::Power,
    Binary::Minimum,
    Binary::Maximum,
    Binary::Remainder,
    Binary::Scale,
    Binary::Less,
    Binary::Equal,
];
const SPECIAL: [f32; 14] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, 1e-42, -1e-42, 88.9, -104.0, 1e6, -3e5, 0.7, -1.0, 3e38];

fn call(len: usize, to: &mut [f32], a: &[f32], b: &[f32]) -> Call {
    Call {
        rows: 1,
        cols: len,
        to: to.as_mut_ptr().cast(),
        to_stride: 0,
        to_step: 4,
        a: a.as_ptr().cast(),
        a_stride: 0,
        a_step: 4,
        b: b.as_ptr().cast(),
        b_stride: 0,
        b_step: 4,
        ..Call::EMPTY
    }
}

/// Bits, with one NaN for all.
fn bits(x: f32) -> u32 {
    if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }
}

/// Results of a loop on one value at each of 150 positions among others, and in place.
fn check_unary(run: Loop, x: f32, name: &str) -> u32 {
    let mut alone = [0.0];
    unsafe { run(&call(1, &mut alone, &[x], &[x])) };
    for at in [0, 1, 15, 16, 17, 63, 64, 65, 100, 127, 128, 149] {
        for len in [at + 1, 150] {
            let mut a: Vec<f32> = (0..len).map(|i| i as f32 * 0.01).collect();
            a[at] = x;
            let mut to = vec![0.0; len + 1];
            unsafe { run(&call(len, &mut to, &a, &a)) };
            assert_eq!(bits(to[at]), bits(alone[0]), "{name} of {x} at {at} of {len}");
            assert_eq!(to[len], 0.0, "{name} writes beyond {len}");
            let from = a.clone();
            let pointer = a.as_mut_ptr();
            let own = Call { to: pointer.cast(), a: pointer.cast(), ..call(len, &mut to, &from, &from) };
            unsafe { run(&own) };
            assert!(a.iter().zip(&to).all(|(x, y)| bits(*x) == bits(*y)), "{name} in place");
        }
    }
    bits(alone[0])
}

#[test]
fn unary_loops_give_the_same_bits_everywhere() {
    for operation in UNARY {
        for x in SPECIAL {
            let mut fused = Vec::new();
            for level in Level::available() {
                let run = (table(level).unary)(operation, Lane::F32).unwrap();
                let result = check_unary(run, x, &format!("{operation:?} at {level:?}"));
                if level.fuses() {
                    fused.push(result);
                }
            }
            assert!(fused.windows(2).all(|pair| pair[0] == pair[1]), "{operation:?} of {x}: {fused:x?}");
        }
    }
}

#[test]
fn binary_loops_give_the_same_bits_for_points_and_rows() {
    for operation in BINARY {
        let compares = matches!(operation, Binary::Less | Binary::Equal);
        for level in Level::available() {
            let run = (table(level).binary)(operation, Lane::F32).unwrap();
            for x in SPECIAL {
                for y in SPECIAL {
                    let (a, b) = ([x; 83], [y; 83]);
                    let mut results = [[0.0f32; 83]; 3];
                    for ((a_step, b_step), to) in [(4, 4), (4, 0), (0, 4)].into_iter().zip(&mut results) {
                        let (a, b) = (if a_step == 0 { &a[..1] } else { &a }, if b_step == 0 { &b[..1] } else { &b });
                        unsafe { run(&Call { a_step, b_step, ..call(83, to, a, b) }) };
                    }
                    let first = results[0][0];
                    for result in results.iter().map(|result| if compares { &result[..20] } else { result }) {
                        let same = result.iter().all(|z| bits(*z) == bits(first));
                        assert!(same, "{operation:?} of {x} and {y} at {level:?}: {result:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn half_floats_convert_as_the_format_says() {
    for bits in 0..=u16::MAX {
        let (f, b) = (half::f16::from_bits(bits), half::bf16::from_bits(bits));
        let same = |x: f32, y: f32| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
        assert!(same(widen_f16(bits), f.to_f32()) && same(widen_bf16(bits), b.to_f32()), "{bits:x}");
        // Halfway cases and their neighbours.
        for nudge in -1..=1i32 {
            for wide in [f.to_f32().to_bits() as i32 + 0x1000, b.to_f32().to_bits() as i32 + 0x8000] {
                let x = f32::from_bits((wide + nudge) as u32);
                let (to_f, to_b) = (half::f16::from_f32(x), half::bf16::from_f32(x));
                assert!(narrow_f16(x) == to_f.to_bits() || (x.is_nan() && to_f.is_nan()), "{x:e}");
                assert!(narrow_bf16(x) == to_b.to_bits() || (x.is_nan() && to_b.is_nan()), "{x:e}");
                assert_eq!(x.is_nan(), widen_f16(narrow_f16(x)).is_nan(), "{x:e}");
                assert_eq!(x.is_nan(), widen_bf16(narrow_bf16(x)).is_nan(), "{x:e}");
                assert_eq!(single::round_f16::<false>(x).to_bits(), widen_f16(narrow_f16(x)).to_bits(), "{x:e}");
                assert_eq!(single::round_bf16::<false>(x).to_bits(), widen_bf16(narrow_bf16(x)).to_bits(), "{x:e}");
            }
        }
    }
}

#[test]
fn sums_of_long_rows_stay_accurate_and_do_not_depend_on_the_level() {
    for n in [1, 15, 16, 17, 63, 64, 65, 100, 2047, 2049, 100_000, 1_000_000] {
        let a: Vec<f32> = (0..n).map(|i| 0.1 + (i % 7) as f32 * 1e-3).collect();
        let exact: f64 = a.iter().map(|&x| x as f64).sum();
        let mut sums = Vec::new();
        for level in Level::available() {
            let mut to = [0.0];
            unsafe { (table(level).reduce)(Reduction::Sum, Lane::F32)(&call(n, &mut to, &a, &a)) };
            sums.push(to[0]);
            assert!((to[0] as f64 - exact).abs() < 4e-7 * exact, "{n}: {} for {exact}", to[0]);
            let ones = vec![1.0; n];
            unsafe { (table(level).reduce)(Reduction::Sum, Lane::F32)(&call(n, &mut to, &ones, &a)) };
            assert_eq!(to[0], n as f32);
        }
        assert!(sums.iter().all(|sum| sum.to_bits() == sums[0].to_bits()), "{sums:?}");
    }
}

#[test]
fn rows_reduced_side_by_side_are_what_each_is_alone() {
    let numbers: [f32; 11] = [0.1, -0.0, 3.5e7, -2.25, 0.0, 1e-39, f32::INFINITY, -7.1, f32::NAN, 9.0, -3.5e7];
    for level in Level::available() {
        for how in [Reduction::Sum, Reduction::Maximum] {
            let run = (table(level).reduce)(how, Lane::F32);
            for (cols, apart) in (1..=20).flat_map(|cols| [(cols, cols), (cols, cols + 3)]) {
                for rows in [1, 7, 8, 9, 24, 31] {
                    let a: Vec<f32> = (0..rows * apart).map(|i| numbers[(i * i + i / 7) % 11]).collect();
                    let all = |a: &[f32], rows: usize| {
                        let mut to = vec![5.0; 2 * rows];
                        let of = call(cols, &mut to, a, a);
                        unsafe { run(&Call { rows, to_stride: 8, a_stride: 4 * apart as isize, ..of }) };
                        assert!(to.iter().skip(1).step_by(2).all(|&beside| beside == 5.0), "written beside a result");
                        to.iter().step_by(2).map(|x| if x.is_nan() { None } else { Some(x.to_bits()) }).collect::<Vec<_>>()
                    };
                    let each: Vec<_> = (0..rows).flat_map(|row| all(&a[row * apart..], 1)).collect();
                    assert_eq!(all(&a, rows), each, "{how:?} of {rows} rows of {cols}, {level:?}");
                }
            }
        }
    }
}

#[test]
fn maximum_of_a_row_finds_a_nan_at_any_place() {
    for level in Level::available() {
        let run = (table(level).reduce)(Reduction::Maximum, Lane::F32);
        for n in [1, 5, 16, 40, 64, 129, 2060] {
            for at in [0, n / 2, n - 1] {
                let mut a: Vec<f32> = (0..n).map(|i| -(i as f32) - 1.0).collect();
                let mut to = [0.0];
                a[at] = 7.0;
                unsafe { run(&call(n, &mut to, &a, &a)) };
                assert_eq!(to[0], 7.0);
                a[at] = f32::NAN;
                unsafe { run(&call(n, &mut to, &a, &a)) };
                assert!(to[0].is_nan(), "{n} {at} {level:?}");
            }
        }
    }
}
