//! Running sums, products, extremes and logarithms of sums against loops, from both ends, along every axis; extremes with places.

use crate::catalogue::reductions::{SCANS, along};
use crate::check::{check_gradients, close, random, slope, values, vector};
use chainrule_engine::{DType, Tensor};

const NONE: f64 = f64::NEG_INFINITY;
const NAN: f64 = f64::NAN;

#[test]
fn scans_equal_loops_along_every_axis() {
    // From 33 on in blocks, from 513 on in blocks of blocks.
    for shape in [&[2, 5, 3][..], &[7], &[1, 4], &[8, 2], &[17], &[32], &[33], &[3, 70, 2], &[48, 2], &[600]] {
        let x = random(shape, 5);
        for (name, forward, backward, prefix) in SCANS {
            for axis in 0..shape.len() {
                for (reverse, scan) in [(false, forward), (true, backward)] {
                    let expected = along(shape, &values(&x), axis, reverse, prefix);
                    let what = format!("{name} of {shape:?} along {axis}, reverse: {reverse}");
                    close(&what, &values(&scan(&x, axis as isize)), &expected, 1e-15);
                    close(&what, &values(&scan(&x, axis as isize - shape.len() as isize)), &expected, 1e-15);
                    let single = scan(&x.cast(DType::F32), axis as isize);
                    assert_eq!(single.dtype(), DType::F32);
                    close(&what, &values(&single), &expected, 1e-6);
                }
            }
        }
    }
}

#[test]
fn scans_have_their_derivatives() {
    for (name, forward, backward, _) in SCANS {
        check_gradients(name, |x| forward(&x[0], 1), &[random(&[2, 5], 8)]);
        check_gradients(name, |x| backward(&x[0], -2), &[random(&[3, 2], 9)]);
        check_gradients(name, |x| forward(&x[0], 0), &[random(&[1], 10)]);
    }
    for (name, forward, backward, _) in SCANS {
        check_gradients(name, |x| forward(&x[0], 0), &[random(&[40], 11)]);
        check_gradients(name, |x| backward(&x[0], 0), &[random(&[35], 12)]);
    }
    let mut long = crate::check::numbers(36, 13);
    (long[7], long[20]) = (0.0, 0.0);
    for x in [vec![2.0, 0.0, 3.0, 0.0, 1.5], vec![0.0, 4.0], vec![0.0; 4], long] {
        check_gradients("cumprod at zeros", |x| x[0].cumprod(0), &[vector(&x)]);
        check_gradients("reverse_cumprod at zeros", |x| x[0].reverse_cumprod(0), &[vector(&x)]);
    }
}

#[test]
fn empty_axes_stay_empty() {
    let x = Tensor::zeros([2, 0]).to_leaf().unwrap();
    for (name, forward, backward, _) in SCANS {
        for scan in [forward, backward] {
            assert_eq!(scan(&x, 1).shape(), [2, 0], "{name}");
            assert_eq!(scan(&x, 0).shape(), [2, 0], "{name}");
            assert!(scan(&x, 1).eval().is_ok(), "{name}");
        }
    }
    assert_eq!(x.cummax(1).1.dtype(), DType::I64);
}

/// Far out nothing overflows, and what is masked stays so without NaN.
#[test]
fn logcumsumexp_far_out_and_masked() {
    let x = vector(&[NONE, NONE, 1000.0, 1000.0, NONE, -1000.0]);
    let expected = [NONE, NONE, 1000.0, 1000.0 + 2f64.ln(), 1000.0 + 2f64.ln(), 1000.0 + 2f64.ln()];
    close("logcumsumexp", &values(&x.logcumsumexp(0)), &expected, 1e-15);
    // Of the last sum alone: the softmax.
    let last = x.logcumsumexp(0).gather(&Tensor::from_slice(&[5i64], [1]));
    close("gradient", &slope(&last, &x), &[0.0, 0.0, 0.5, 0.5, 0.0, 0.0], 1e-15);
    assert!(slope(&x.logcumsumexp(0), &x).iter().all(|v| v.is_finite()));
    assert_eq!(values(&vector(&[0.0, f64::INFINITY, 1.0]).logcumsumexp(0)), [0.0, f64::INFINITY, f64::INFINITY]);
    assert!(values(&vector(&[0.0, NAN, 1.0]).logcumsumexp(0))[1..].iter().all(|v| v.is_nan()));
}

/// Ties go to the first, NaN to itself and then to no other; the derivative goes where the place points.
#[test]
fn extremes_and_their_places() {
    let x = vector(&[1.0, 3.0, 3.0, -2.0, NAN, 5.0, NAN]);
    let indices = |pair: (Tensor, Tensor)| pair.1.to_vec::<i64>().unwrap();
    assert_eq!(indices(x.cummax(0)), [0, 1, 1, 1, 4, 4, 4]);
    assert_eq!(indices(x.cummin(0)), [0, 0, 0, 3, 4, 4, 4]);
    assert_eq!(indices(x.reverse_cummax(0)), [6, 6, 6, 6, 6, 6, 6]);
    let y = vector(&[1.0, 3.0, 3.0, -2.0, 3.0, -2.0]);
    assert_eq!(indices(y.reverse_cummax(0)), [4, 4, 4, 4, 4, 5]);
    assert_eq!(indices(y.reverse_cummin(0)), [5, 5, 5, 5, 5, 5]);
    assert_eq!(slope(&y.cummax(0).0, &y), [1.0, 5.0, 0.0, 0.0, 0.0, 0.0]);
    // Infinities are numbers like others.
    assert_eq!(indices(vector(&[NONE, NONE, 0.0]).cummax(0)), [0, 0, 2]);

    let table = Tensor::from_slice(&[1.0, 5.0, 5.0, 0.0, NAN, 9.0, -4.0, -4.0, 2.0], [3, 3]);
    let (largest, at) = table.max_with_index(-1);
    close("max", &values(&largest), &[5.0, NAN, 2.0], 0.0);
    assert_eq!(at.to_vec::<i64>().unwrap(), [1, 1, 2]);
    let (smallest, at) = table.min_with_index(0);
    close("min", &values(&smallest), &[-4.0, NAN, 2.0], 0.0);
    assert_eq!(at.to_vec::<i64>().unwrap(), [2, 1, 2]);
    assert_eq!(slope(&table.max_with_index(1).0, &table), [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    check_gradients("max_with_index", |x| x[0].max_with_index(1).0, &[random(&[2, 4, 3], 3)]);
    check_gradients("min_with_index", |x| x[0].min_with_index(0).0, &[random(&[4, 3], 4)]);
}

#[test]
fn integers_are_scanned() {
    let x = Tensor::from_slice(&[2i64, -3, 4, i64::MIN, i64::MAX], [5]);
    let of = |t: Tensor| t.to_vec::<i64>().unwrap();
    assert_eq!(of(x.cummax(0).0), [2, 2, 4, 4, i64::MAX]);
    assert_eq!(of(x.cummin(0).0), [2, -3, -3, i64::MIN, i64::MIN]);
    assert_eq!(of(x.cummin(0).1), [0, 1, 1, 3, 3]);
    assert_eq!(of(x.reverse_cumsum(0)), [2, 0, 3, -1, i64::MAX]);
    assert_eq!(Tensor::from_slice(&[3u8, 0, 7, 255], [4]).cummin(0).0.to_vec::<u8>().unwrap(), [3, 0, 0, 0]);
    assert_eq!(Tensor::from_slice(&[2i32, 3, 4], [3]).reverse_cumprod(0).to_vec::<i32>().unwrap(), [24, 12, 4]);
    assert_eq!(of(Tensor::from_slice(&[i64::MIN, 1], [2]).max_with_index(0).0), [1]);
}

/// A hundred products of 1.01 in bf16 are off by one rounding, not by a hundred.
#[test]
fn half_precision_is_scanned_in_single() {
    let x = Tensor::full([100], 1.0078125, DType::BF16);
    close("cumprod", &[values(&x.cumprod(0))[99]], &[1.0078125f64.powi(100)], 0.004);
}
