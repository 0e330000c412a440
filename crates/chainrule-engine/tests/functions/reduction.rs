//! Means, variances, norms, products, counts, softmax.

use crate::catalogue::reductions::FUNCTIONS;
use crate::check::{check_gradients, close, random, slope, values, vector};
use chainrule_engine::{DType, Tensor};

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

/// Numbers that are none are left out, and get no gradient; where all are, there is no mean and no extreme.
#[test]
fn what_is_not_nan_is_reduced() {
    const NAN: f64 = f64::NAN;
    let x = Tensor::from_slice(&[1.0, NAN, 4.0, NAN, NAN, NAN, -2.0, f64::NEG_INFINITY, NAN], [3, 3]);
    type Row = (&'static str, fn(&Tensor, &[isize]) -> Tensor, [f64; 3], [f64; 9]);
    let rows: [Row; 4] = [
        ("nansum", |x, a| x.nansum_over(a), [5.0, 0.0, f64::NEG_INFINITY], [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0]),
        ("nanmean", |x, a| x.nanmean_over(a), [2.5, NAN, f64::NEG_INFINITY], [0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0]),
        ("nanmax", |x, a| x.nanmax_over(a), [4.0, NAN, -2.0], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        ("nanmin", |x, a| x.nanmin_over(a), [1.0, NAN, f64::NEG_INFINITY], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
    ];
    for dtype in [DType::F64, DType::F32, DType::BF16] {
        for (name, function, expected, gradient) in rows {
            let x = x.cast(dtype).to_leaf().unwrap();
            close(name, &values(&function(&x, &[1])), &expected, 0.0);
            assert_eq!(slope(&function(&x, &[1]), &x), gradient, "{name}, {dtype}");
        }
    }
    let ints = Tensor::from_slice(&[3i64, -1], [2]);
    for (found, expected) in [(ints.nansum(), 2), (ints.nanmax(), 3), (ints.nanmin(), -1)] {
        assert_eq!(found.to_vec::<i64>().unwrap(), [expected]);
    }
    assert!(Tensor::zeros([0]).nanmax().eval().unwrap_err().to_string().starts_with("nanmax at"));
    assert_eq!(Tensor::zeros([0]).nansum().item().unwrap(), 0.0);
}

/// Of any order: 0 for the zero vector and derivative 0 at elements that are 0, to second order, and no overflow.
#[test]
fn norms_of_any_order_at_zeros_and_far_out() {
    for p in [1.0, 1.5, 2.0, 3.0, 0.5, f64::INFINITY] {
        let x = vector(&[0.0, 0.0]);
        let first = x.norm_p(p).grad(&[&x]).unwrap().remove(0);
        assert_eq!((values(&x.norm_p(p)), values(&first)), (vec![0.0], vec![0.0; 2]), "order {p}");
        assert_eq!(values(&first.sum().grad_or_zeros(&[&x]).unwrap()[0]), [0.0; 2], "order {p}");
        let x = vector(&[0.0, -3.0]);
        assert_eq!(values(&x.norm_p(p)), [3.0], "order {p}");
        assert_eq!(slope(&x.norm_p(p), &x), [0.0, -1.0], "order {p}");
        let first = x.norm_p(p).grad(&[&x]).unwrap().remove(0);
        assert!(values(&first.sum().grad_or_zeros(&[&x]).unwrap()[0]).iter().all(|v| v.is_finite()), "order {p}");
    }
    let x = vector(&[2.0, 0.0, -1.0]);
    assert_eq!(values(&x.norm_p(0.0)), [2.0]);
    // A size of 0 has all of the sum of negative powers.
    assert_eq!(values(&x.norm_p(-1.0)), [0.0]);
    assert_eq!(slope(&x.norm_p(-1.0), &x), [0.0; 3]);
    for (scale, dtype) in [(1e-200, DType::F64), (1e200, DType::F64), (2f64.powi(-1070), DType::F64), (2f64.powi(-146), DType::F32)] {
        for p in [3.0, 0.5, -3.0] {
            let [near, far] = [1.0, scale].map(|scale| vector(&[20.0 * scale, 30.0 * scale]).cast(dtype).to_leaf().unwrap());
            // Multiples of the smallest number are rounded to one of them.
            let rounded = if scale < 1e-300 || dtype == DType::F32 { 0.5 / 20.0 } else { 1e-15 };
            close("scaled", &[far.norm_p(p).item().unwrap() / scale], &values(&near.norm_p(p)), rounded);
            close("slope", &slope(&far.norm_p(p), &far), &slope(&near.norm_p(p), &near), rounded.max(1e-15));
        }
    }
    let far = vector(&[1.0, f64::INFINITY]);
    assert_eq!((values(&far.norm_p(3.0)), values(&far.norm_p(-3.0))), (vec![f64::INFINITY], vec![1.0]));
    assert!(vector(&[1.0, f64::NAN]).norm_p(3.0).item().unwrap().is_nan());
    let none = Tensor::zeros([2, 0]);
    assert_eq!(values(&none.norm_p_over(&[1], 3.0)), [0.0, 0.0]);
    assert!(none.norm_p(f64::INFINITY).eval().unwrap_err().to_string().starts_with("norm_p at"));
}

/// The derivative of a product of reals, and of its derivative, is polynomial in them also at several zeros: exact.
#[test]
fn products_at_zeros_have_exact_derivatives_of_two_orders() {
    for x in [vec![0.0, 2.0, 3.0], vec![0.0, 0.0, 5.0], vec![0.0, 0.0, 0.0], vec![1.0, 0.0, -2.0, 4.0]] {
        let tensor = vector(&x);
        let without = |skipped: &[usize]| -> f64 { (0..x.len()).filter(|i| !skipped.contains(i)).map(|i| x[i]).product() };
        let first = tensor.prod().grad(&[&tensor]).unwrap().remove(0);
        assert_eq!(values(&first), (0..x.len()).map(|i| without(&[i])).collect::<Vec<_>>(), "{x:?}");
        for i in 0..x.len() {
            let second = first.gather(&Tensor::from_slice(&[i as i64], [1])).sum().grad_or_zeros(&[&tensor]).unwrap().remove(0);
            let expected: Vec<f64> = (0..x.len()).map(|j| if i == j { 0.0 } else { without(&[i, j]) }).collect();
            assert_eq!(values(&second), expected, "{x:?}, {i}");
        }
    }
}
