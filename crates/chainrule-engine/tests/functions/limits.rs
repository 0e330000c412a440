//! The stability set: values next to zero, at infinity and under masks, each with its derivative.
//! References come from 60-digit arithmetic.

use crate::check::{close, random, slope, values, vector};
use chainrule_engine::functions::{layer_norm, loss, rms_norm};
use chainrule_engine::transform::jvp;
use chainrule_engine::{DType, Tensor};

const TINY: f64 = 4.248354255291589e-18;
const NONE: f64 = f64::NEG_INFINITY;

#[track_caller]
fn relatively(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() <= 4e-16 * expected.abs(), "{what}: {found:e} is not {expected:e}");
}

fn one(x: f64) -> Tensor {
    Tensor::from_slice(&[x], ())
}

fn finite_to_second_order(what: &str, y: &Tensor, x: &Tensor) {
    let first = y.sum().grad(&[x]).unwrap().remove(0);
    let second = jvp(&[&first], &[x], &[&random(x.shape(), 3).cast(x.dtype())]).unwrap().remove(0);
    let third = first.square().sum().grad(&[x]).unwrap().remove(0);
    for (order, t) in [("first", first), ("forward over reverse", second), ("reverse over reverse", third)] {
        assert!(values(&t).iter().all(|v| v.is_finite()), "{what}: {order} {:?}", values(&t));
    }
}

#[test]
fn values_next_to_zero_keep_their_digits() {
    relatively("softplus", one(-40.0).softplus().item().unwrap(), TINY);
    relatively("sigmoid", one(-40.0).sigmoid().item().unwrap(), TINY);
    relatively("logsumexp", vector(&[0.0, -40.0]).logsumexp().item().unwrap(), TINY);
    relatively("log_sigmoid", one(40.0).log_sigmoid().item().unwrap(), -TINY);
    let x = one(-40.0);
    relatively("softplus'", slope(&x.softplus(), &x)[0], TINY);
    relatively("sigmoid'", slope(&x.sigmoid(), &x)[0], TINY);
    let x = vector(&[0.0, -40.0]);
    relatively("logsumexp'", slope(&x.logsumexp(), &x)[1], TINY);
    relatively("logsumexp'", slope(&x.logsumexp(), &x)[0], 1.0);
    let x = one(20.0);
    relatively("tanh'", slope(&x.tanh(), &x)[0], 1.6993417021166355e-17);
    relatively("expm1", one(1e-10).expm1().item().unwrap(), 1.00000000005e-10);
    relatively("log1p", one(1e-10).log1p().item().unwrap(), 9.9999999995e-11);
    relatively("sinh", one(1e-10).sinh().item().unwrap(), 1e-10);
}

#[test]
fn binary_cross_entropy_with_logits_at_40_and_minus_200() {
    let (x, y) = (one(40.0), one(1.0));
    relatively("loss", loss::bce_with_logits(&x, &y).item().unwrap(), TINY);
    relatively("gradient", slope(&loss::bce_with_logits(&x, &y), &x)[0], -TINY);
    for dtype in [DType::F64, DType::F32] {
        for (x, target, expected, gradient) in
            [(-200.0, 1.0, 200.0, -1.0), (200.0, 0.0, 200.0, 1.0), (200.0, 1.0, 0.0, 0.0), (-200.0, 0.0, 0.0, 0.0)]
        {
            let (x, target) = (one(x).cast(dtype), one(target).cast(dtype));
            let l = loss::bce_with_logits(&x, &target);
            close("loss", &values(&l), &[expected], 1e-7);
            close("gradient", &slope(&l, &x), &[gradient], 1e-7);
            finite_to_second_order("bce_with_logits", &l, &x);
        }
    }
    // An infinite logit on the right side costs nothing.
    assert_eq!(values(&loss::bce_with_logits_each(&vector(&[f64::INFINITY, NONE]), &vector(&[1.0, 0.0]))), [0.0, 0.0]);
}

#[test]
fn binary_cross_entropy_on_probabilities_of_exactly_0_and_1() {
    for dtype in [DType::F64, DType::F32] {
        let p = vector(&[0.0, 1.0, 0.0, 1.0]).cast(dtype);
        let y = vector(&[0.0, 1.0, 1.0, 0.0]).cast(dtype);
        close("loss", &values(&loss::bce_each(&p, &y)), &[0.0, 0.0, 100.0, 100.0], 0.0);
        close("gradient", &slope(&loss::bce_each(&p, &y), &p), &[1.0, -1.0, 0.0, 0.0], 0.0);
        finite_to_second_order("bce", &loss::bce_each(&p, &y), &p);
        finite_to_second_order("bce by its target", &loss::bce_each(&p, &y).square(), &y);
    }
}

#[test]
fn logsumexp_and_log_softmax_far_out() {
    relatively("large", vector(&[1000.0, 1000.0]).logsumexp().item().unwrap(), 1000.6931471805599);
    relatively("small", vector(&[-1000.0, -1000.5]).logsumexp().item().unwrap(), -999.5259230158199);
    assert_eq!(vector(&[NONE, NONE]).logsumexp().item().unwrap(), NONE);
    assert_eq!(vector(&[1.0, f64::INFINITY]).logsumexp().item().unwrap(), f64::INFINITY);
    assert!(vector(&[1.0, f64::NAN]).logsumexp().item().unwrap().is_nan());
    let x = vector(&[1000.0, 1000.0]);
    close("gradient", &slope(&x.logsumexp(), &x), &[0.5, 0.5], 1e-15);
    // 1 / (1 + exp(-1/2)), and what is left of 1.
    let x = vector(&[-1000.0, -1000.5]);
    let gradient = slope(&x.logsumexp(), &x);
    relatively("gradient of the larger", gradient[0], 0.6224593312018546);
    relatively("gradient of the smaller", gradient[1], 0.3775406687981454);
    finite_to_second_order("logsumexp", &x.logsumexp(), &x);
    // f32 keeps what the subtraction of a large maximum leaves.
    let x = vector(&[1e4, 1e4 - 1.0]).cast(DType::F32);
    close("log_softmax", &values(&x.log_softmax(0)), &[-0.31326168751822286, -1.3132616875182228], 2e-7);
}

/// Rows of -inf: partly masked rows never give NaN; a row masked as a whole gives softmax 0,
/// log-sum-exp -inf and a gradient of 0.
#[test]
fn rows_of_minus_infinity() {
    for dtype in [DType::F64, DType::F32, DType::BF16] {
        let data = [0.5, NONE, 0.5, NONE, NONE, NONE, NONE, 2.0, NONE];
        let x = Tensor::from_slice(&data, [3, 3]).cast(dtype);
        close("softmax", &values(&x.softmax(1)), &[0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0], 1e-3);
        close("logsumexp", &values(&x.logsumexp_over(&[1])), &[0.5 + 2f64.ln(), NONE, 2.0], 1e-2);
        let log = values(&x.log_softmax(1));
        close("log_softmax", &log, &[-(2f64.ln()), NONE, -(2f64.ln()), NONE, NONE, NONE, NONE, 0.0, NONE], 1e-2);
        close("logsumexp'", &slope(&x.logsumexp_over(&[1]), &x), &[0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0], 1e-3);
        let weights = random(&[3, 3], 4).cast(dtype);
        finite_to_second_order("softmax", &(x.softmax(1) * &weights), &x);
        finite_to_second_order("logsumexp", &x.logsumexp_over(&[1]).exp(), &x);
        // What is masked does not enter the loss, and so the gradient is that of the rest.
        let open = log_softmax_where_open(&x, &weights);
        finite_to_second_order("log_softmax", &open, &x);
    }
}

fn log_softmax_where_open(x: &Tensor, weights: &Tensor) -> Tensor {
    let open = Tensor::full(x.shape(), NONE, x.dtype()).less(x);
    open.select(&(x.log_softmax(1) * weights), &x.zeros_like())
}

#[test]
fn cross_entropy_with_classes_that_cannot_be() {
    let x = Tensor::from_slice(&[1.0f64, NONE, 1.0], [1, 3]);
    let target = Tensor::from_slice(&[2i64], [1]);
    close("loss", &values(&loss::cross_entropy(&x, &target)), &[2f64.ln()], 1e-15);
    close("gradient", &slope(&loss::cross_entropy(&x, &target), &x), &[0.5, 0.0, -0.5], 1e-15);
    finite_to_second_order("cross_entropy", &loss::cross_entropy(&x, &target), &x);
    let distribution = Tensor::from_slice(&[0.5f64, 0.0, 0.5], [1, 3]);
    let l = loss::cross_entropy_of_distributions(&x, &distribution);
    close("distribution", &values(&l), &[2f64.ln()], 1e-15);
    finite_to_second_order("cross_entropy_of_distributions", &l, &x);
    let far = Tensor::from_slice(&[1e4f64, -1e4], [1, 2]);
    let l = loss::cross_entropy(&far, &Tensor::from_slice(&[1i64], [1]));
    close("far", &values(&l), &[2e4], 0.0);
    close("far, gradient", &slope(&l, &far), &[1.0, -1.0], 0.0);
}

#[test]
fn sigmoid_at_minus_90_in_single_precision() {
    let x = one(-90.0).cast(DType::F32);
    finite_to_second_order("sigmoid", &x.sigmoid(), &x);
    finite_to_second_order("softplus", &x.softplus(), &x);
}

/// A hundred million numbers in f32, of which the first are 1 and the rest 0. Compared and cast while they are summed, they
/// take no memory; how many are 1 is data, so that the compiler cannot count them.
fn ones(count: i32, shape: &[usize]) -> Tensor {
    let below = Tensor::from_slice(&[count], ());
    Tensor::arange(100_000_000, DType::I32).reshape(shape).less(&below).cast(DType::F32)
}

#[test]
fn a_hundred_million_ones_in_single_precision() {
    assert_eq!(ones(100_000_000, &[100_000_000]).sum().item().ok(), Some(1e8));
    assert_eq!(ones(99_999_992, &[100_000_000]).sum().item().ok(), Some(1e8 - 8.0));
    assert_eq!(ones(100_000_000, &[10_000, 10_000]).sum_over(&[0]).sum().item().ok(), Some(1e8));
    assert_eq!(ones(100_000_000, &[100_000_000]).mean().item().ok(), Some(1.0));
}

/// By the numbers themselves it is 1 each, and 1e-8 each for their mean; by a factor of all of them it is a sum of them again.
#[test]
fn the_gradient_of_a_hundred_million_ones_in_single_precision() {
    let x = ones(100_000_000, &[100_000_000]);
    for (y, each) in [(x.sum(), 1.0), (x.mean(), f64::from(1e-8f32))] {
        let gradient = y.grad(&[&x]).unwrap().remove(0);
        assert_eq!(gradient.shape(), x.shape());
        assert_eq!((gradient.min().item().ok(), gradient.max().item().ok()), (Some(each), Some(each)));
    }
    let scale = one(3.0).cast(DType::F32);
    for (count, by_scale) in [(100_000_000, 1e8), (99_999_992, 1e8 - 8.0)] {
        assert_eq!(slope(&(ones(count, &[100_000_000]) * &scale).sum(), &scale), [by_scale]);
    }
}

#[test]
fn variance_beside_a_large_mean() {
    let x = vector(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0]);
    assert_eq!(x.var(0).item().unwrap(), 2.0 / 3.0);
    close("var'", &slope(&x.var(0), &x), &[-2.0 / 3.0, 0.0, 2.0 / 3.0], 1e-15);
    close("std", &values(&x.std(0)), &[(2f64 / 3.0).sqrt()], 1e-15);
}

#[test]
fn norms_of_constant_rows() {
    for dtype in [DType::F64, DType::F32, DType::F16] {
        let x = Tensor::from_slice(&[7.3f64; 6], [2, 3]).cast(dtype);
        let gamma = vector(&[1.0, -2.0, 0.5]).cast(dtype);
        let weights = random(&[2, 3], 4).cast(dtype);
        let y = layer_norm(&x, 1, Some(&gamma), None, 1e-5);
        // The mean of equal numbers may be off by its last digit.
        close("layer_norm", &values(&y), &[0.0; 6], 1e-3);
        finite_to_second_order("layer_norm", &(y * &weights), &x);
        let zeros = x.zeros_like();
        finite_to_second_order("rms_norm of zeros", &(rms_norm(&zeros, 1, Some(&gamma), 1e-2) * &weights).square(), &zeros);
    }
}

/// Documented, not wished for: a square that overflows makes a norm infinite, and what is divided by it 0. Never NaN.
#[test]
fn squares_that_overflow() {
    for (size, dtype) in [(1e200, DType::F64), (1e25, DType::F32)] {
        let x = (vector(&[3.0, -4.0, 1.0]) * size).cast(dtype).to_leaf().unwrap();
        assert_eq!((values(&x.norm_p(2.0)), slope(&x.norm_p(2.0), &x)), (vec![f64::INFINITY], vec![0.0; 3]), "norm of {dtype}");
        for (name, y) in [("layer_norm", layer_norm(&x, 1, None, None, 1e-5)), ("rms_norm", rms_norm(&x, 1, None, 1e-5))] {
            assert_eq!((values(&y), slope(&y, &x)), (vec![0.0; 3], vec![0.0; 3]), "{name} of {dtype}");
        }
        // Other orders divide by the largest first.
        assert!((x.norm_p(3.0).item().unwrap() / size / 92f64.cbrt() - 1.0).abs() < 1e-6, "{dtype}");
    }
}
