//! Whole numbers keep every one of their bits, and wrap after every operation: beyond what an f64 holds, and beyond
//! what their own type does.

use crate::support::Numbers;
use crate::{for_each_sample, text};
use chainrule_engine::backend::reference;
use chainrule_engine::ops::{Einsum, Sum};
use chainrule_engine::{DType, Tensor};

/// A leaf in which every bit of every element is drawn.
fn words(dtype: DType, shape: &[usize], seed: u64) -> Tensor {
    let mut numbers = Numbers::new(seed);
    let words: Vec<u64> = (0..shape.iter().product()).map(|_| numbers.word()).collect();
    match dtype {
        DType::I32 => Tensor::from_slice(&words.iter().map(|&word| word as i32).collect::<Vec<_>>(), shape),
        DType::U8 => Tensor::from_slice(&words.iter().map(|&word| word as u8).collect::<Vec<_>>(), shape),
        _ => Tensor::from_slice(&words.iter().map(|&word| word as i64).collect::<Vec<_>>(), shape),
    }
}

#[test]
fn both_backends_give_every_bit_of_whole_numbers() {
    let mut met = 0;
    for_each_sample(|sample| {
        for dtype in sample.dtypes().into_iter().filter(|dtype| matches!(dtype, DType::I64 | DType::I32 | DType::U8)) {
            for seed in [1, 100] {
                let leaves = sample.inputs.iter().zip(seed..).map(|(input, seed)| match input.domain.fixed() {
                    Some(_) => input.tensor(dtype, seed),
                    None => words(dtype, &input.shape, seed),
                });
                let y = sample.record(&leaves.collect::<Vec<_>>());
                if y.dtype().is_float() || y.dtype() == DType::Bool {
                    continue;
                }
                // A quotient tells what has wrapped from what will.
                let quotient = &y / Tensor::full(y.shape(), 3.0, y.dtype());
                for (what, y) in [("value", y), ("a third of it", quotient)] {
                    let want = reference::evaluate(&[&y]).map_err(text)?[0].to_i64();
                    let got = y.to_data().map_err(text)?.to_i64();
                    if got != want {
                        return Err(format!("{what} in {dtype}: {got:?}, the reference has {want:?}"));
                    }
                }
                met += 1;
            }
        }
        Ok(())
    });
    assert!(met > 200, "only {met} applications");
}

/// What the two backends agree on is right: against wrapping arithmetic written out.
#[test]
fn sums_and_products_of_i64_wrap() {
    let (a, b) = (words(DType::I64, &[3, 5], 1), words(DType::I64, &[5, 2], 2));
    let (x, y): (Vec<i64>, Vec<i64>) = (a.to_vec().unwrap_or_default(), b.to_vec().unwrap_or_default());
    let product = |i: usize, j: usize| (0..5).fold(0i64, |sum, k| sum.wrapping_add(x[i * 5 + k].wrapping_mul(y[k * 2 + j])));
    let products: Vec<i64> = (0..6).map(|at| product(at / 2, at % 2)).collect();
    let rows: Vec<i64> = x.chunks(5).map(|row| row.iter().fold(0i64, |sum, &v| sum.wrapping_add(v))).collect();
    let einsum = Tensor::record(Einsum::new("ik", "kj", "ij"), [a.clone(), b]);
    let sum = Tensor::record(Sum([1].as_slice().into()), [a]);
    for (t, want) in [(einsum, products), (sum, rows)] {
        assert_eq!(reference::evaluate(&[&t]).map(|all| all[0].to_i64()).ok(), Some(want.clone()));
        assert_eq!(t.to_vec::<i64>().ok(), Some(want));
    }
}
