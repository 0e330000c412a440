//! bf16 and f16: whatever the order and the parts of a sum, it is added up in f32 and rounded once, so
//! it is the neighbour of the exact sum at worst.
//!
//! The reference adds in f64. Numbers are positive, so that no digit is lost to cancellation, which no
//! order of additions could help.

use crate::support::{Numbers, eval, oracle};
use chainrule_engine::functions::{Conv2dOptions, conv2d};
use chainrule_engine::transform::vjp;
use chainrule_engine::{DType, Data, Tensor};

const NARROW: [DType; 2] = [DType::BF16, DType::F16];

/// Positive numbers, small enough that f16 holds the sum of a hundred thousand.
fn positive(shape: &[usize], dtype: DType, seed: u64) -> Tensor {
    let values = Numbers::new(seed).many(shape.iter().product(), 0.05, 0.6);
    Tensor::from_data(Data::from_f64(dtype, &values), shape)
}

/// The distance from a number to the next of its type.
fn ulp(value: f64, dtype: DType) -> f64 {
    let (digits, least) = if dtype == DType::BF16 { (7, -126) } else { (10, -14) };
    2f64.powi((value.abs().log2().floor() as i32).max(least) - digits)
}

#[track_caller]
fn neighbours(name: &str, tensor: &Tensor) {
    let (dtype, got, want) = (tensor.dtype(), eval(tensor), oracle(tensor));
    assert!(NARROW.contains(&dtype) && got.len() == want.len(), "{name}: {dtype}");
    let far = |(g, w): (&f64, &f64)| (g - w).abs() > ulp(*w, dtype) || g.is_nan() != w.is_nan();
    if let Some(at) = got.iter().zip(&want).position(far) {
        panic!("{name} in {dtype}: number {at} is {}, {} wanted", got[at], want[at]);
    }
    // A sum in f32 is on the other side of a tie now and then; a sum of rounded parts is so often.
    let unequal = got.iter().zip(&want).filter(|(g, w)| g != w).count();
    assert!(unequal <= 1 + got.len() / 20, "{name} in {dtype}: {unequal} of {} are not the nearest", got.len());
}

#[test]
fn five_thousand_ones_at_one_place_are_five_thousand() {
    for dtype in NARROW {
        let sum = Tensor::full([5000], 1.0, dtype).scatter_add(&Tensor::full([5000], 0.0, DType::I64), 1);
        neighbours("ones", &sum);
    }
    let sum = Tensor::full([5000], 1.0, DType::F16).scatter_add(&Tensor::full([5000], 0.0, DType::I64), 1);
    assert_eq!(eval(&sum), [5000.0]);
}

#[test]
fn updates_of_one_place_are_added_in_f32() {
    for dtype in NARROW {
        // Batches, ranges of columns, ranges of destinations, rows too short to cut.
        for (count, limit, rest) in [(5000, 3, 1), (3000, 7, 33), (2000, 5, 700), (9000, 300, 20), (40_000, 9, 2), (10, 4, 3)] {
            let index: Vec<i64> = (0..count).map(|i| (i * 7919 % 101 % limit) as i64).collect();
            let index = Tensor::from_slice(&index, [count]);
            neighbours("scatter", &positive(&[count, rest], dtype, 1).scatter_add(&index, limit));
            let table = positive(&[limit, rest], dtype, 2);
            let picked = table.gather(&index) * positive(&[count, rest], dtype, 3);
            match picked.sum().grad(&[&table]) {
                Ok(gradients) => neighbours("gradient of gather", &gradients[0]),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn parts_of_a_long_sum_are_kept_in_f32() {
    for dtype in NARROW {
        for shape in
            [&[100_000][..], &[400, 250], &[250, 400], &[2, 50_000], &[50_000, 2], &[10, 100, 100], &[4, 25_000, 1], &[16, 25, 10, 25]]
        {
            let x = positive(shape, dtype, 4);
            for axes in 1..1usize << shape.len() {
                let axes: Vec<isize> = (0..shape.len() as isize).filter(|axis| axes >> axis & 1 == 1).collect();
                let name = format!("{axes:?} of {shape:?}");
                neighbours(&format!("sum over {name}"), &x.sum_over(&axes));
                neighbours(&format!("mean over {name}"), &x.mean_over(&axes));
                neighbours(&format!("sum of what was computed over {name}"), &(&x + 0.25).sum_over(&axes));
                let order: Vec<usize> = (0..shape.len()).rev().collect();
                neighbours(&format!("permuted sum over {name}"), &x.permute(&order).sum_over(&axes));
            }
        }
    }
}

#[test]
fn products_are_summed_in_f32() {
    for dtype in NARROW {
        for n in [130, 5000, 20_000] {
            let (x, y) = (positive(&[n], dtype, 5), positive(&[n], dtype, 6));
            neighbours(&format!("dot of {n}"), &x.einsum("i,i->", &y));
        }
        for (m, n, k) in [(1, 1, 5000), (3, 5, 5000), (64, 40, 5000), (17, 1, 5000), (1, 33, 9000), (2, 2, 700)] {
            let name = format!("{m} x {k} x {n}");
            neighbours(&name, &positive(&[m, k], dtype, 7).matmul(&positive(&[k, n], dtype, 8)));
            neighbours(&name, &positive(&[k, m], dtype, 9).einsum("km,nk->mn", &positive(&[n, k], dtype, 10)));
            neighbours(&name, &positive(&[2, k, m], dtype, 9).einsum("bkm,bkn->nbm", &positive(&[2, k, n], dtype, 10)));
        }
    }
}

#[test]
fn gradients_of_convolutions_are_summed_in_f32() {
    for dtype in NARROW {
        let (x, w, b) = (positive(&[6, 3, 30, 28], dtype, 11), positive(&[4, 3, 3, 3], dtype, 12), positive(&[4, 1, 1], dtype, 13));
        let y = conv2d(&x, &w, &Conv2dOptions::default()) + &b;
        match vjp(&[&y], &[&positive(y.shape(), dtype, 14)], &[&w, &b]) {
            Ok(gradients) => gradients.iter().for_each(|gradient| neighbours("gradient", gradient)),
            Err(error) => panic!("{error}"),
        }
    }
}
