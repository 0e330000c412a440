//! Bits of integers and truths against those of Rust's integers, for every type, number and amount that is an edge.

use chainrule_engine::{DType, Data, Tensor};

const NUMBERS: [i64; 12] = [0, 1, -1, 2, 5, -6, 127, 128, 255, i64::MAX, i64::MIN, 0x0123_4567_89ab_cdef];
const AMOUNTS: [i64; 13] = [0, 1, 3, 7, 8, 31, 32, 63, 64, 200, -1, -64, i64::MIN];

fn of(dtype: DType, numbers: &[i64]) -> Tensor {
    Tensor::from_slice(numbers, [numbers.len()]).cast(dtype).to_leaf().unwrap()
}

fn integers(t: &Tensor) -> Vec<i64> {
    t.cast(DType::I64).to_vec::<i64>().unwrap()
}

/// A number as the type holds it.
fn held(dtype: DType, number: i64) -> i64 {
    match dtype {
        DType::I32 => number as i32 as i64,
        DType::U8 => number as u8 as i64,
        DType::Bool => (number != 0) as i64,
        _ => number,
    }
}

/// One bit after the other, as many as asked, or all.
fn moved(dtype: DType, number: i64, amount: i64, up: bool) -> i64 {
    let bits = 8 * dtype.bytes() as i64;
    let steps = if (0..bits).contains(&amount) { amount } else { bits };
    (0..steps).fold(number, |n, _| held(dtype, if up { n.wrapping_mul(2) } else { n.div_euclid(2) }))
}

#[test]
fn operators_go_bit_by_bit() {
    for dtype in [DType::I64, DType::I32, DType::U8, DType::Bool] {
        let pairs: Vec<(i64, i64)> = NUMBERS.iter().flat_map(|&a| NUMBERS.map(|b| (held(dtype, a), held(dtype, b)))).collect();
        let (a, b): (Vec<i64>, Vec<i64>) = pairs.iter().copied().unzip();
        let (x, y) = (of(dtype, &a), of(dtype, &b));
        let expected = |f: fn(i64, i64) -> i64| pairs.iter().map(|&(a, b)| f(a, b)).collect::<Vec<_>>();
        assert_eq!(integers(&(&x & &y)), expected(|a, b| a & b), "{dtype}");
        assert_eq!(integers(&(&x | &y)), expected(|a, b| a | b), "{dtype}");
        assert_eq!(integers(&(&x ^ &y)), expected(|a, b| a ^ b), "{dtype}");
        let inverse: Vec<i64> = a.iter().map(|&a| if dtype == DType::Bool { 1 - a } else { held(dtype, !a) }).collect();
        assert_eq!(integers(&!&x), inverse, "{dtype}");
    }
}

#[test]
fn shifts_take_any_amount() {
    for dtype in [DType::I64, DType::I32, DType::U8] {
        let pairs: Vec<(i64, i64)> = NUMBERS.iter().flat_map(|&a| AMOUNTS.map(|b| (held(dtype, a), held(dtype, b)))).collect();
        let (a, b): (Vec<i64>, Vec<i64>) = pairs.iter().copied().unzip();
        let (x, y) = (of(dtype, &a), of(dtype, &b));
        for (found, up) in [(x.left_shift(&y), true), (x.right_shift(&y), false)] {
            let expected: Vec<i64> = pairs.iter().map(|&(a, b)| moved(dtype, a, b, up)).collect();
            for ((found, expected), pair) in integers(&found).into_iter().zip(expected).zip(&pairs) {
                assert_eq!(found, expected, "{dtype}, {pair:?}, up: {up}");
            }
        }
    }
}

#[test]
fn numbers_and_shapes_broadcast() {
    let x = Tensor::from_data(Data::from_f64(DType::I32, &[1.0, -2.0, 3.0]), [3, 1]);
    assert_eq!(integers(&(&x << 4)), [16, -32, 48]);
    assert_eq!(integers(&(&x >> 1)), [0, -1, 1]);
    assert_eq!(integers(&(1 << &x.clamp(0.0, 3.0))), [2, 1, 8]);
    let y = Tensor::from_data(Data::from_f64(DType::I32, &[1.0, 7.0]), [2]);
    assert_eq!((&x ^ &y).shape(), [3, 2]);
    assert_eq!(integers(&(x ^ y)), [0, 6, -1, -7, 2, 4]);
}

#[test]
fn floats_have_no_bits_and_bits_no_derivative() {
    let (f, i) = (Tensor::zeros([2]), Tensor::from_slice(&[1i64, 2], [2]));
    for (name, mistake) in [
        ("and", &f & &f),
        ("or", &i | &f),
        ("xor", &f ^ &f),
        ("xor", &i ^ &i.cast(DType::I32)),
        ("xor", &i ^ &Tensor::from_slice(&[1i64, 2, 3], [3])),
        ("not", !&f),
        ("shift_left", &f << 1),
        ("shift_right", Tensor::full([2], 1.0, DType::Bool) >> 1),
    ] {
        let error = mistake.check().unwrap_err();
        assert_eq!(error.operation(), name, "{error}");
    }
    let x = Tensor::from_slice(&[1.5f64, 2.5], [2]);
    let cut = (x.cast(DType::I64) & i).cast(DType::F64).sum();
    assert!(cut.grad(&[&x]).is_err());
}
