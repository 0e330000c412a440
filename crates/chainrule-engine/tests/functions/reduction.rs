//! Means, variances, norms, products, counts, softmax.

use crate::check::{check_gradients, close, random, slope, values, vector};
use chainrule_engine::{DType, Tensor};

type Function = (&'static str, fn(&Tensor, &[isize]) -> Tensor, fn(&Tensor, &[isize]) -> Tensor, fn(&Tensor) -> Tensor, fn(&[f64]) -> f64);

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn variance(x: &[f64], correction: f64) -> f64 {
    x.iter().map(|v| (v - mean(x)).powi(2)).sum::<f64>() / (x.len() as f64 - correction)
}

const FUNCTIONS: &[Function] = &[
    ("mean", |x, a| x.mean_over(a), |x, a| x.mean_keep(a), |x| x.mean(), mean),
    ("min", |x, a| x.min_over(a), |x, a| x.min_keep(a), |x| x.min(), |x| x.iter().copied().fold(f64::INFINITY, f64::min)),
    ("max", |x, a| x.max_over(a), |x, a| x.max_keep(a), |x| x.max(), |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
    ("sum", |x, a| x.sum_over(a), |x, a| x.sum_keep(a), |x| x.sum(), |x| x.iter().sum()),
    ("prod", |x, a| x.prod_over(a), |x, a| x.prod_keep(a), |x| x.prod(), |x| x.iter().product()),
    ("norm", |x, a| x.norm_over(a), |x, a| x.norm_keep(a), |x| x.norm(), |x| x.iter().map(|v| v * v).sum::<f64>().sqrt()),
    ("l1_norm", |x, a| x.l1_norm_over(a), |x, a| x.l1_norm_keep(a), |x| x.l1_norm(), |x| x.iter().map(|v| v.abs()).sum()),
    ("max_norm", |x, a| x.max_norm_over(a), |x, a| x.max_norm_keep(a), |x| x.max_norm(), |x| x.iter().fold(0.0, |m, v| m.max(v.abs()))),
    (
        "logsumexp",
        |x, a| x.logsumexp_over(a),
        |x, a| x.logsumexp_keep(a),
        |x| x.logsumexp(),
        |x| x.iter().map(|v| v.exp()).sum::<f64>().ln(),
    ),
    ("var", |x, a| x.var_over(a, 1), |x, a| x.var_keep(a, 1), |x| x.var(1), |x| variance(x, 1.0)),
    ("biased var", |x, a| x.var_over(a, 0), |x, a| x.var_keep(a, 0), |x| x.var(0), |x| variance(x, 0.0)),
    ("std", |x, a| x.std_over(a, 1), |x, a| x.std_keep(a, 1), |x| x.std(1), |x| variance(x, 1.0).sqrt()),
];

/// Groups the elements of a [2, 3, 4] tensor by what they are reduced to.
fn groups(data: &[f64], axes: &[usize]) -> Vec<Vec<f64>> {
    let mut found: Vec<Vec<f64>> = Vec::new();
    let mut keys: Vec<Vec<usize>> = Vec::new();
    for (flat, &value) in data.iter().enumerate() {
        let index = [flat / 12, flat / 4 % 3, flat % 4];
        let key: Vec<usize> = (0..3).filter(|axis| !axes.contains(axis)).map(|axis| index[axis]).collect();
        match keys.iter().position(|known| *known == key) {
            Some(at) => found[at].push(value),
            None => {
                keys.push(key);
                found.push(vec![value]);
            }
        }
    }
    found
}

#[test]
fn reductions_equal_their_formulas_over_any_axes() {
    let x = random(&[2, 3, 4], 3);
    for (name, over, keep, all, formula) in FUNCTIONS {
        for axes in [vec![0], vec![1], vec![2], vec![0, 2], vec![1, 2], vec![0, 1, 2]] {
            let expected: Vec<f64> = groups(&values(&x), &axes).iter().map(|group| formula(group)).collect();
            let asked: Vec<isize> = axes.iter().rev().map(|&axis| axis as isize - 3).collect();
            close(&format!("{name} {axes:?}"), &values(&over(&x, &asked)), &expected, 1e-14);
            let kept = keep(&x, &asked);
            let shape: Vec<usize> = [2, 3, 4].into_iter().enumerate().map(|(axis, n)| if axes.contains(&axis) { 1 } else { n }).collect();
            assert_eq!(kept.shape(), shape, "{name}");
            close(name, &values(&kept), &expected, 1e-14);
        }
        close(name, &values(&all(&x)), &[formula(&values(&x))], 1e-14);
    }
}

#[test]
fn reductions_have_their_derivatives() {
    for (name, over, keep, all, _) in FUNCTIONS {
        check_gradients(name, |x| over(&x[0], &[1]), &[random(&[2, 3], 8)]);
        check_gradients(name, |x| keep(&x[0], &[0, -1]), &[random(&[2, 2, 2], 9)]);
        check_gradients(name, |x| all(&x[0]), &[random(&[5], 10)]);
    }
}

#[test]
fn scalars_reduce_to_themselves() {
    let x = Tensor::from_slice(&[2.5f64], ());
    for (name, _, _, all, formula) in FUNCTIONS {
        close(name, &values(&all(&x)), &[formula(&[2.5])], 1e-15);
    }
    close("softmax of one", &values(&vector(&[3.0]).softmax(0)), &[1.0], 0.0);
}

/// prod with zeros: [0, 2] has gradient [2, 0], and two zeros give zeros, never NaN.
#[test]
fn prod_with_one_zero_and_with_two() {
    for (x, expected) in [
        (vec![0.0, 2.0], vec![2.0, 0.0]),
        (vec![0.0, 3.0, 0.0], vec![0.0; 3]),
        (vec![4.0, 0.0, 3.0, 2.0, 5.0], vec![0.0, 120.0, 0.0, 0.0, 0.0]),
    ] {
        let tensor = vector(&x);
        assert_eq!(slope(&tensor.prod(), &tensor), expected);
        let first = tensor.prod().grad(&[&tensor]).unwrap().remove(0);
        assert!(slope(&first, &tensor).iter().all(|v| v.is_finite()));
    }
    // Second derivatives at zeros: of x y z by x and y it is z.
    check_gradients("prod at zeros", |x| x[0].prod(), &[vector(&[0.0, 3.0, 0.0, 2.0, 1.5])]);
    check_gradients("cumprod at zeros", |x| x[0].cumprod(0), &[vector(&[2.0, 0.0, 3.0, 0.0, 1.5])]);
}

#[test]
fn cumprod_multiplies_up() {
    let x = random(&[2, 5, 2], 4);
    let data = values(&x);
    let mut expected = data.clone();
    for at in 0..20 {
        if at / 2 % 5 > 0 {
            expected[at] *= expected[at - 2];
        }
    }
    close("cumprod", &values(&x.cumprod(1)), &expected, 1e-15);
    check_gradients("cumprod", |x| x[0].cumprod(-1), &[random(&[2, 3], 4)]);
    assert_eq!(Tensor::from_slice(&[2i64, 3, 4], [3]).cumprod(0).to_vec::<i64>().unwrap(), [2, 6, 24]);
}

/// norm of the zero vector: value and derivatives 0, by convention, also of second order.
#[test]
fn norm_of_the_zero_vector() {
    let x = vector(&[0.0, 0.0]);
    for y in [x.norm(), x.std(0), x.l1_norm(), x.max_norm()] {
        assert_eq!(values(&y), [0.0]);
        let first = y.grad(&[&x]).unwrap().remove(0);
        assert_eq!(values(&first), [0.0; 2]);
        assert_eq!(values(&first.sum().grad_or_zeros(&[&x]).unwrap()[0]), [0.0; 2]);
    }
}

#[test]
fn ties_share_the_derivative() {
    let x = vector(&[1.0, -1.0, 1.0, -1.0]);
    assert_eq!(slope(&x.min(), &x), [0.0, 0.5, 0.0, 0.5]);
    assert_eq!(slope(&x.max_norm(), &x), [0.25, -0.25, 0.25, -0.25]);
}

#[test]
fn nothing_has_a_mean_that_is_nan_a_product_of_one_and_no_minimum() {
    let x = Tensor::zeros([0, 2]);
    assert!(x.mean().item().unwrap().is_nan());
    assert!(vector(&[1.0]).var(1).item().unwrap().is_nan());
    assert_eq!(values(&x.prod_over(&[0])), [1.0, 1.0]);
    assert_eq!(x.any().to_vec::<bool>().unwrap(), [false]);
    assert_eq!(x.all().to_vec::<bool>().unwrap(), [true]);
    assert!(x.min_over(&[0]).eval().unwrap_err().to_string().starts_with("min at"));
    assert_eq!(x.softmax(0).shape(), [0, 2]);
}

#[test]
fn integers_and_bools_are_counted_and_compared() {
    let x = Tensor::from_slice(&[0u8, 7, 255, 0], [2, 2]);
    assert_eq!(x.min_over(&[1]).to_vec::<u8>().unwrap(), [0, 0]);
    assert_eq!(Tensor::from_slice(&[i64::MIN, 3, i64::MAX], [3]).min().to_vec::<i64>().unwrap(), [i64::MIN]);
    assert_eq!(x.count_nonzero_over(&[0]).to_vec::<i64>().unwrap(), [1, 1]);
    assert_eq!(x.any_over(&[1]).to_vec::<bool>().unwrap(), [true, true]);
    assert_eq!(x.all_keep(&[0]).to_vec::<bool>().unwrap(), [false, false]);
    let flags = vector(&[f64::NAN, 0.0, -1.0]).not_equal(&vector(&[0.0; 3]));
    assert_eq!(flags.count_nonzero().to_vec::<i64>().unwrap(), [2]);
    // More than an 8-bit count can hold.
    assert_eq!(Tensor::full([256], 1.0, DType::Bool).any().to_vec::<bool>().unwrap(), [true]);
}

#[test]
fn half_precision_sums_in_single() {
    for dtype in [DType::F16, DType::BF16] {
        // The sum is beyond the range of f16 and the precision of bf16.
        let x = Tensor::full([70_000], 1.0, dtype);
        assert_eq!(x.mean().item().unwrap(), 1.0);
        assert_eq!(x.mean().dtype(), dtype);
        let rows = Tensor::from_slice(&[300.0f64, 400.0], [2]).cast(dtype);
        close("norm", &values(&rows.norm()), &[500.0], 0.01);
        close("softmax", &values(&rows.softmax(0)), &[0.0, 1.0], 1e-6);
        assert_eq!(rows.log_softmax(0).dtype(), dtype);
    }
}

#[test]
fn softmax_and_its_relatives_have_their_derivatives() {
    let x = random(&[2, 3], 12);
    let rows = values(&x);
    let expected: Vec<f64> =
        rows.chunks(3).flat_map(|row| row.iter().map(|v| v.exp() / row.iter().map(|w| w.exp()).sum::<f64>())).collect();
    close("softmax", &values(&x.softmax(1)), &expected, 1e-15);
    close("softmax along axis 0", &values(&x.t().softmax(0).t()), &expected, 1e-15);
    close("log_softmax", &values(&x.log_softmax(-1)), &expected.iter().map(|v| v.ln()).collect::<Vec<_>>(), 1e-15);
    close("softmin", &values(&(-&x).softmin(-1)), &expected, 1e-15);
    check_gradients("softmax", |x| x[0].softmax(-1), std::slice::from_ref(&x));
    check_gradients("softmax along axis 0", |x| x[0].softmax(0), std::slice::from_ref(&x));
    check_gradients("softmin", |x| x[0].softmin(1), std::slice::from_ref(&x));
    check_gradients("log_softmax", |x| x[0].log_softmax(-1), std::slice::from_ref(&x));
    // The shift by the maximum is a constant: derivatives hold at ties as well.
    let ties = Tensor::from_slice(&[1.0f64, 1.0, 0.5, 2.0, 2.0, 2.0], [2, 3]);
    check_gradients("softmax at ties", |x| x[0].softmax(-1), std::slice::from_ref(&ties));
    check_gradients("log_softmax at ties", |x| x[0].log_softmax(-1), std::slice::from_ref(&ties));
    check_gradients("logsumexp at ties", |x| x[0].logsumexp_over(&[-1]), &[ties]);
}
