//! Derivatives of the functions of whole arrays: both modes, first and second order, batches, against differences; and
//! what they are at ties and beside zeros.

use crate::check::{check_gradients, close, random, slope, values, vector};
use chainrule_engine::functions::*;
use chainrule_engine::{DType, Steps, Tensor};

type Function = fn(&[Tensor]) -> Tensor;

/// Functions, and the shapes of what they are given.
const FUNCTIONS: &[(&str, Function, &[&[usize]])] = &[
    ("sort", |x| x[0].sort(1), &[&[2, 5]]),
    ("sort_descending", |x| x[0].sort_descending(0).square(), &[&[4, 2]]),
    ("top_k", |x| x[0].top_k(2, -1).0, &[&[3, 4]]),
    ("kthvalue", |x| x[0].kthvalue(2, 0).0.sin(), &[&[3, 2]]),
    ("median", |x| x[0].median_over(&[1]).square(), &[&[2, 4]]),
    ("quantile", |x| x[0].quantiles_over(&[0.1, 0.66], &[0, 1], Between::Linear), &[&[2, 3, 2]]),
    ("lower_median", |x| x[0].lower_median(1).0, &[&[2, 4]]),
    ("pick", |x| x[0].pick((&index(&[1, 0, 1]), .., &index(&[0, -1, -1]))).square(), &[&[2, 3, 2]]),
    ("put_at", |x| x[0].put_at((&index(&[1, 0, 1]), 1..), &x[1]).square(), &[&[2, 3], &[3, 2]]),
    ("add_at", |x| x[0].add_at((&index(&[1, 0, 1]), (..).by(2)), &x[1]).square(), &[&[2, 3], &[3, 2]]),
    ("take", |x| x[0].take(&index(&[-1, 5, 1]), 1, Outside::Wrap).square(), &[&[2, 3]]),
    ("gather_nd", |x| x[0].gather_nd(&index(&[1, 0, 1]).reshape([1, 3])).square(), &[&[2, 2, 2]]),
    ("put_along_axis", |x| x[0].put_along_axis(&index(&[1, 1]).reshape([2, 1]), &x[1], 1).square(), &[&[2, 3], &[2, 1]]),
    ("scatter sum", |x| reduced(x, Reduce::Sum, true), &[&[2, 3], &[2, 4]]),
    ("scatter prod", |x| reduced(x, Reduce::Prod, true), &[&[2, 3], &[2, 4]]),
    ("scatter mean", |x| reduced(x, Reduce::Mean, false), &[&[2, 3], &[2, 4]]),
    ("scatter max", |x| reduced(x, Reduce::Max, true), &[&[2, 3], &[2, 4]]),
    ("scatter min", |x| reduced(x, Reduce::Min, false), &[&[2, 3], &[2, 4]]),
    ("index_add", |x| x[0].index_add(1, &index(&[2, 0, 2]), &x[1]).square(), &[&[2, 3], &[2, 3]]),
    ("index_copy", |x| x[0].index_copy(0, &index(&[1]), &x[1]).square(), &[&[2, 3], &[1, 3]]),
    ("index_fill", |x| x[0].index_fill(1, &index(&[0]), 2.0).square(), &[&[2, 3]]),
    ("segment_sum", |x| x[0].segment_sum(&index(&[2, 0, 2]), 4).square(), &[&[3, 2]]),
    ("segment_prod", |x| x[0].segment_prod(&index(&[1, 0, 1, 1, 0]), 3).sin(), &[&[5, 2]]),
    ("segment_mean", |x| x[0].segment_mean(&index(&[1, 0, 1]), 2).square(), &[&[3]]),
    ("segment_max", |x| x[0].segment_max(&index(&[1, 0, 1]), 2).square(), &[&[3, 2]]),
    ("embedding_bag", |x| embedding_bag(&x[0], &index(&[0, 2, 2]), Some(&index(&[0, 1])), Some(&x[1]), Bag::Sum), &[&[3, 2], &[3]]),
    ("embedding_bag max", |x| embedding_bag(&x[0], &index(&[0, 2, 2]), Some(&index(&[0, 1])), None, Bag::Max).square(), &[&[3, 2]]),
    ("moveaxis", |x| x[0].moveaxis(&[0], &[-1]).square(), &[&[2, 3, 2]]),
    ("rot90", |x| x[0].rot90(1, (0, 1)).square(), &[&[2, 3]]),
    ("repeat_each", |x| x[0].repeat_each(&[2, 0, 1], 1).square(), &[&[2, 3]]),
    ("stacks", |x| Tensor::hstack(&[&Tensor::vstack(&[&x[0], &x[1]]), &Tensor::vstack(&[&x[1], &x[1]])]).square(), &[&[2], &[2]]),
    ("unfold", |x| x[0].unfold(0, 3, 1).square(), &[&[5, 2]]),
    ("sliding_windows", |x| x[0].sliding_windows(&[2, 2], &[1, 0]).square(), &[&[3, 3]]),
    ("diagonal", |x| x[0].diagonal(-1, 0, 1).square(), &[&[3, 2, 2]]),
    ("trace", |x| x[0].trace().square(), &[&[2, 3, 2]]),
    ("diag", |x| x[0].diag(1).square(), &[&[3]]),
    ("diag_embed", |x| x[0].diag_embed(-1, 0, 2).square(), &[&[2, 2]]),
    ("meshgrid", |x| (&meshgrid(&[&x[0], &x[1]], false)[0] * x[1].unsqueeze(1)).square(), &[&[2], &[3]]),
    ("pad reflect", |x| x[0].pad_mode(&[(2, 3), (1, 0)], PadMode::Reflect).square(), &[&[3, 2]]),
    ("pad wrap", |x| x[0].pad_mode(&[(4, 1)], PadMode::Wrap).square(), &[&[3]]),
    ("block_diag", |x| block_diag(&[&x[0], &x[1]]).square(), &[&[1, 2], &[2, 1]]),
    ("kron", |x| x[0].kron(&x[1]), &[&[2, 2], &[3]]),
    ("outer", |x| x[0].outer(&x[1]), &[&[2], &[3]]),
    ("cross", |x| x[0].cross(&x[1], 0), &[&[3, 2], &[3, 1]]),
    ("tensordot", |x| x[0].tensordot(&x[1], &[1], &[0]), &[&[2, 3], &[3, 2]]),
    ("vander", |x| x[0].vander(4, false), &[&[3]]),
    ("cov", |x| x[0].cov(1), &[&[2, 4]]),
    ("corrcoef", |x| x[0].corrcoef(), &[&[2, 4]]),
    ("diff", |x| x[0].diff(2, 0).square(), &[&[4, 2]]),
    ("slopes", |x| x[0].slopes(Samples::At(&x[1]), 0), &[&[4], &[4]]),
    ("trapezoid", |x| x[0].trapezoid(Samples::At(&x[1]), 1), &[&[2, 4], &[4]]),
    ("cumulative_trapezoid", |x| x[0].cumulative_trapezoid(Samples::Every(0.5), 0).square(), &[&[4, 2]]),
    ("einsum", |x| einsum("iij,jk...,k->i...", &[&x[0], &x[1], &x[2]]), &[&[2, 2, 3], &[3, 2, 2], &[2]]),
    ("fft", |x| parts(&Complex::new(&x[0], &x[1]).fft(1, Norm::Ortho)), &[&[2, 6], &[2, 6]]),
    ("ifft of a prime", |x| parts(&Complex::new(&x[0], &x[1]).ifft(0, Norm::Backward)), &[&[5], &[5]]),
    ("rfft", |x| parts(&x[0].rfft(0, Norm::Forward)), &[&[6, 2]]),
    ("irfft", |x| Complex::new(&x[0], &x[1]).irfft(6, 0, Norm::Backward).square(), &[&[4], &[4]]),
    ("fftn", |x| parts(&Complex::new(&x[0], &x[1]).fftn(&[0, 1], Norm::Backward)), &[&[2, 3], &[2, 3]]),
    ("fft_convolve", |x| x[0].fft_convolve(&x[1], 0), &[&[4], &[3]]),
    ("depth_to_space", |x| x[0].depth_to_space(2, DepthOrder::BlockFirst).square(), &[&[4, 1, 2]]),
    ("space_to_depth", |x| x[0].space_to_depth(2, DepthOrder::BlockFirst).square(), &[&[1, 2, 4]]),
];

fn parts(z: &Complex) -> Tensor {
    Tensor::stack(&[&z.norm_squared(), &(&z.re * &z.im), &z.re, &z.im], 0)
}

fn index(positions: &[i64]) -> Tensor {
    Tensor::from_slice(positions, [positions.len()])
}

fn reduced(x: &[Tensor], how: Reduce, with_self: bool) -> Tensor {
    let index = Tensor::from_slice(&[0i64, 2, 0, 2, 1, 1, 1, 0], [2, 4]);
    x[0].scatter_reduce(&index, &x[1], 1, how, with_self).square()
}

#[test]
fn derivatives_equal_differences() {
    for (name, function, shapes) in FUNCTIONS {
        let inputs: Vec<Tensor> = shapes.iter().zip(1..).map(|(shape, seed)| random(shape, seed * 7)).collect();
        check_gradients(name, function, &inputs);
    }
}

/// In f32, and in bf16 where values are concerned, functions give what they give in f64 of the same numbers.
#[test]
fn narrower_types_give_the_same_to_their_precision() {
    for (name, function, shapes) in FUNCTIONS {
        for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F16, 4e-3), (DType::BF16, 3e-2)] {
            let narrow: Vec<Tensor> =
                shapes.iter().zip(1..).map(|(shape, seed)| random(shape, seed * 7).cast(dtype).to_leaf().unwrap()).collect();
            let exact: Vec<Tensor> = narrow.iter().map(|x| x.cast(DType::F64).to_leaf().unwrap()).collect();
            let (y, want) = (function(&narrow), function(&exact));
            assert_eq!(y.dtype(), dtype, "{name}");
            close(&format!("{name}, {dtype}"), &values(&y), &values(&want), tolerance);
            if dtype == DType::F32 {
                for (x, exact) in narrow.iter().zip(&exact) {
                    close(&format!("{name}, gradient, {dtype}"), &slope(&y, x), &slope(&want, exact), 1e-5);
                }
            }
        }
    }
}

#[test]
fn what_a_mask_lets_through_has_its_derivative() {
    let x = vector(&[1.0, -2.0, 3.0]);
    let picked = x.masked_select(&x.greater(&x.zeros_like())).unwrap();
    close("masked_select", &slope(&picked.square(), &x), &[2.0, 0.0, 6.0], 0.0);
    let found = vector(&[3.0, 1.0, 3.0]);
    close("unique", &slope(&found.unique().unwrap().values.square(), &found), &[6.0, 2.0, 0.0], 0.0);
}

#[test]
fn equal_extremes_share_and_products_pass_zeros() {
    let (x, segment) = (vector(&[2.0, 2.0, 1.0, 2.0, 5.0]), index(&[0, 0, 0, 0, 1]));
    let third = 1.0 / 3.0;
    close("segment_max", &slope(&x.segment_max(&segment, 2), &x), &[third, third, 0.0, third, 1.0], 1e-7);
    assert_eq!(values(&x.segment_max(&segment, 3)), [2.0, 5.0, f64::NEG_INFINITY]);
    let infinite = vector(&[f64::INFINITY, 1.0, f64::INFINITY, f64::NEG_INFINITY]);
    let all = index(&[0, 0, 0, 0]);
    assert_eq!(values(&infinite.segment_max(&all, 1)), [f64::INFINITY]);
    close("infinite", &slope(&infinite.segment_max(&all, 1), &infinite), &[0.5, 0.0, 0.5, 0.0], 0.0);
    assert_eq!(values(&infinite.segment_min(&all, 1)), [f64::NEG_INFINITY]);
    let x = vector(&[0.0, 3.0, 4.0, 0.0, 0.0, 5.0]);
    let segment = index(&[0, 1, 0, 1, 2, 1]);
    close("segment_prod", &slope(&x.segment_prod(&segment, 3), &x), &[4.0, 0.0, 0.0, 15.0, 1.0, 0.0], 0.0);
    check_gradients(
        "segment_prod at zeros",
        |x| x[0].segment_prod(&index(&[0, 1, 0, 1, 2, 1, 1]), 3),
        &[vector(&[0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 2.0])],
    );
}

#[test]
fn what_is_written_over_has_no_derivative() {
    let (x, y) = (vector(&[1.0, 2.0, 3.0]), vector(&[4.0, 5.0, 6.0]));
    let written = x.put_at(&index(&[1, 1, -2]), &y);
    assert_eq!(values(&written), [1.0, 6.0, 3.0]);
    assert_eq!(slope(&written, &x), [1.0, 0.0, 1.0]);
    assert_eq!(slope(&written, &y), [0.0, 0.0, 1.0]);
}

#[test]
fn positions_have_none() {
    let x = random(&[4], 1);
    let error = x.argsort(0).cast(DType::F64).sum().grad(&[&x]).unwrap_err().to_string();
    assert!(error.contains("the path is cut by") && error.contains("gradients.rs"), "{error}");
}
