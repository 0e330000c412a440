//! Functions of single elements give the same bits wherever an element lies: in the body of a
//! vector loop, in its tail, beside infinities and NaN.

use crate::support::{near, oracle};
use chainrule_engine::ops::elementwise::{BINARY, UNARY};
use chainrule_engine::ops::{Binary, Cast, Op, Select, Unary};
use chainrule_engine::{DType, Data, Tensor};
use std::collections::HashMap;

const LENGTHS: [usize; 11] = [0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 130];
const FLOATS: [f64; 14] = [f64::INFINITY, 1.0, f64::NEG_INFINITY, -0.75, f64::NAN, 0.0, -0.0, 2.5, -3.25, 1e-40, 1e-7, 80.0, -90.0, 0.3];
const INTEGERS: [f64; 10] = [0.0, 1.0, -1.0, 2.0, -7.0, 100.0, 3.0, -128.0, 2147483647.0, -2147483648.0];

fn pool(dtype: DType) -> Vec<f64> {
    match dtype {
        _ if dtype.is_float() => FLOATS.to_vec(),
        DType::Bool => vec![1.0, 0.0, 1.0],
        DType::U8 => vec![0.0, 1.0, 255.0, 2.0, 7.0, 128.0],
        _ => INTEGERS.to_vec(),
    }
}

fn leaf(dtype: DType, values: &[f64]) -> Tensor {
    Tensor::from_data(Data::from_f64(dtype, values), values.len())
}

/// The bits of an element; all NaN alike.
fn bits(data: &Data, i: usize) -> Vec<u8> {
    let size = data.dtype().bytes();
    if data.to_f64()[i].is_nan() { vec![] } else { data.bytes()[i * size..][..size].to_vec() }
}

/// How far backend and reference may be apart at a value, relative to it.
fn relative(op: &Op, dtype: DType) -> f64 {
    let ulps = match op {
        Op::Binary(Binary::Power) => 16.0,
        _ => 4.0,
    };
    match dtype {
        DType::F64 => 1e-13,
        DType::BF16 | DType::F16 => crate::support::epsilon(dtype),
        _ => ulps * crate::support::epsilon(dtype),
    }
}

/// Applies `op` to vectors in which every tuple of `operands` wanders through every place, and
/// compares each result with the reference and with the same tuple elsewhere.
fn wander(op: &Op, name: &str, operands: &[(DType, Vec<f64>)], stride: usize, failures: &mut Vec<String>) {
    let tuples: usize = operands.iter().map(|(_, pool)| pool.len()).product();
    let part = |tuple: usize, operand: usize| {
        let below: usize = operands[..operand].iter().map(|(_, pool)| pool.len()).product();
        operands[operand].1[tuple / below % operands[operand].1.len()]
    };
    let mut seen: HashMap<usize, (Vec<u8>, usize, usize)> = HashMap::new();
    for length in LENGTHS {
        for shift in (0..tuples).step_by(stride) {
            let tuple = |i: usize| (i + shift) % tuples;
            let inputs: Vec<Tensor> =
                (0..operands.len()).map(|k| leaf(operands[k].0, &(0..length).map(|i| part(tuple(i), k)).collect::<Vec<_>>())).collect();
            let y = Tensor::record(op.clone(), inputs);
            let (Ok(data), want) = (y.to_data(), oracle(&y)) else {
                return failures.push(format!("{name}: {:?}", y.error()));
            };
            let got = data.to_f64();
            for i in 0..length {
                let operands: Vec<f64> = (0..operands.len()).map(|k| part(tuple(i), k)).collect();
                let tolerance =
                    relative(op, y.dtype()) * want[i].abs() + if y.dtype().is_float() { f32::MIN_POSITIVE as f64 * 1e-6 } else { 0.0 };
                if !near(got[i], want[i], tolerance) {
                    failures.push(format!("{name}{operands:?} at {i} of {length}: {:e}, the reference has {:e}", got[i], want[i]));
                }
                let own = bits(&data, i);
                let (first, at, of) = seen.entry(tuple(i)).or_insert_with(|| (own.clone(), i, length));
                if *first != own {
                    failures.push(format!("{name}{operands:?}: bits {own:?} at {i} of {length}, {first:?} at {at} of {of}"));
                }
            }
            if failures.len() > 20 {
                return;
            }
        }
    }
    assert_eq!(seen.len(), tuples, "{name}: not every value was met");
}

fn report(failures: Vec<String>) {
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn functions_of_one_operand() {
    let mut failures = Vec::new();
    for row in UNARY {
        for dtype in DType::ALL.into_iter().filter(|&dtype| row.takes.accepts(dtype)) {
            wander(&Op::Unary(row.op), &format!("{} {dtype}", row.name), &[(dtype, pool(dtype))], 1, &mut failures);
        }
    }
    report(failures);
}

#[test]
fn functions_of_two_operands() {
    let mut failures = Vec::new();
    for row in BINARY {
        for dtype in DType::ALL.into_iter().filter(|&dtype| row.takes.accepts(dtype)) {
            // 1e-40 and 0.3 add no new case for two operands.
            let pool: Vec<f64> = pool(dtype).into_iter().take(9).collect();
            wander(&Op::Binary(row.op), &format!("{} {dtype}", row.name), &[(dtype, pool.clone()), (dtype, pool)], 11, &mut failures);
        }
    }
    report(failures);
}

#[test]
fn selections_and_casts() {
    let mut failures = Vec::new();
    for dtype in DType::ALL {
        let few: Vec<f64> = pool(dtype).into_iter().take(6).collect();
        wander(
            &Op::Select(Select),
            &format!("select {dtype}"),
            &[(DType::Bool, vec![0.0, 1.0]), (dtype, few.clone()), (dtype, few)],
            13,
            &mut failures,
        );
        for to in DType::ALL {
            wander(&Op::Cast(Cast(to)), &format!("cast {dtype} to {to} "), &[(dtype, pool(dtype))], 3, &mut failures);
        }
    }
    report(failures);
}

#[test]
fn the_extremes_of_integers_wrap() {
    let pairs = [(i64::MIN, -1), (i64::MAX, 1), (i64::MIN, 0), (7, 0), (-7, 3), (7, -3), (i64::MIN, i64::MIN), (-1, i64::MAX)];
    for length in LENGTHS {
        let (a, b): (Vec<i64>, Vec<i64>) = (0..length).map(|i| pairs[i % pairs.len()]).unzip();
        let (x, y) = (Tensor::from_slice(&a, length), Tensor::from_slice(&b, length));
        type Wrapping = fn(i64, i64) -> i64;
        let table: [(Binary, Wrapping); 6] = [
            (Binary::Add, i64::wrapping_add),
            (Binary::Subtract, i64::wrapping_sub),
            (Binary::Multiply, i64::wrapping_mul),
            (Binary::Divide, |a, b| if b == 0 { 0 } else { a.wrapping_div(b) }),
            (Binary::Maximum, i64::max),
            (Binary::Minimum, i64::min),
        ];
        for (op, want) in table {
            let got: Vec<i64> = Tensor::record(op, [x.clone(), y.clone()]).to_vec().unwrap_or_default();
            assert_eq!(got, a.iter().zip(&b).map(|(&a, &b)| want(a, b)).collect::<Vec<_>>(), "{op:?} of length {length}");
        }
        let remainder: Vec<i64> = Tensor::record(Binary::Remainder, [x.clone(), y.clone()]).to_vec().unwrap_or_default();
        for (i, r) in remainder.into_iter().enumerate() {
            let (a, b) = (a[i] as i128, b[i] as i128);
            let want = if b == 0 { 0 } else { ((a % b) + b) % b };
            assert_eq!(r as i128, want, "{a} mod {b}");
        }
        let negated: Vec<i64> = Tensor::record(Unary::Negate, [x]).to_vec().unwrap_or_default();
        assert_eq!(negated, a.iter().map(|a| a.wrapping_neg()).collect::<Vec<_>>());
    }
}
