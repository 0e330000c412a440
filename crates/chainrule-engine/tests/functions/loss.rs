//! Losses against their formulas.

use crate::catalogue::losses::PAIRWISE;
use crate::check::{check_gradients, close, random, slope, values, vector};
use chainrule_engine::functions::loss::{self, LossOptions};
use chainrule_engine::{DType, Tensor};

fn pair() -> [Tensor; 2] {
    [random(&[3, 2], 1), random(&[3, 2], 2).sigmoid().to_leaf().unwrap()]
}

#[test]
fn pairwise_losses_equal_their_formulas() {
    let [x, y] = pair();
    for (name, mean, each, formula) in PAIRWISE {
        let expected: Vec<f64> = values(&x).iter().zip(values(&y)).map(|(&x, y)| formula(x, y)).collect();
        close(name, &values(&each(&x, &y)), &expected, 1e-14);
        close(name, &values(&mean(&x, &y)), &[expected.iter().sum::<f64>() / 6.0], 1e-14);
    }
}

#[test]
fn pairwise_losses_have_their_derivatives_by_both_sides() {
    for (name, mean, each, _) in PAIRWISE {
        check_gradients(name, |t| each(&t[0], &t[1]), &pair());
        check_gradients(name, |t| mean(&t[0], &t[1]), &pair());
    }
}

#[test]
fn huber_is_a_square_near_zero() {
    let (x, zero) = (vector(&[0.0]), vector(&[0.0]));
    let first = loss::huber(&x, &zero, 1.0).grad(&[&x]).unwrap().remove(0);
    assert_eq!(slope(&first, &x), [1.0]);
    assert_eq!(slope(&loss::l1(&x, &zero), &x), [0.0]);
}

fn log_softmax(row: &[f64]) -> Vec<f64> {
    let total = row.iter().map(|v| v.exp()).sum::<f64>().ln();
    row.iter().map(|v| v - total).collect()
}

#[test]
fn cross_entropy_with_classes_and_with_distributions() {
    let x = random(&[2, 2, 3], 1);
    let classes = [2usize, 0, 1, 2];
    let target = Tensor::from_slice(&classes.map(|c| c as i64), [2, 2]);
    let logs: Vec<Vec<f64>> = values(&x).chunks(3).map(log_softmax).collect();
    let expected: Vec<f64> = logs.iter().zip(classes).map(|(row, c)| -row[c]).collect();
    close("each", &values(&loss::cross_entropy_each(&x, &target)), &expected, 1e-14);
    close("mean", &values(&loss::cross_entropy(&x, &target)), &[expected.iter().sum::<f64>() / 4.0], 1e-14);
    close("i32", &values(&loss::cross_entropy(&x, &target.cast(DType::I32))), &[expected.iter().sum::<f64>() / 4.0], 1e-14);
    close("nll", &values(&loss::nll_each(&x.log_softmax(-1), &target)), &expected, 1e-14);

    let p = random(&[2, 2, 3], 7).softmax(-1).to_leaf().unwrap();
    let weighted: Vec<f64> =
        logs.iter().zip(values(&p).chunks(3)).map(|(row, p)| -row.iter().zip(p).map(|(l, p)| l * p).sum::<f64>()).collect();
    close("distributions", &values(&loss::cross_entropy_of_distributions_each(&x, &p)), &weighted, 1e-14);
    let own: Vec<f64> = values(&p).chunks(3).map(|p| p.iter().map(|p| p * p.ln()).sum()).collect();
    let divergence: Vec<f64> = own.iter().zip(&weighted).map(|(own, cross)| own + cross).collect();
    close("kl_div", &values(&loss::kl_div_each(&x.log_softmax(-1), &p)), &divergence, 1e-14);
    close("kl_div of itself", &values(&loss::kl_div(&p.log(), &p)), &[0.0], 1e-15);
}

#[test]
fn losses_of_classes_have_their_derivatives() {
    let target = Tensor::from_slice(&[2i64, 0], [2]);
    let x = random(&[2, 3], 1);
    let p = random(&[2, 3], 7).softmax(-1).to_leaf().unwrap();
    check_gradients("cross_entropy", |t| loss::cross_entropy(&t[0], &target), std::slice::from_ref(&x));
    check_gradients("nll", |t| loss::nll(&t[0].square(), &target), std::slice::from_ref(&x));
    check_gradients("distributions", |t| loss::cross_entropy_of_distributions(&t[0], &t[1]), &[x.clone(), p.clone()]);
    check_gradients("kl_div", |t| loss::kl_div(&t[0], &t[1]), &[x.clone(), p]);
    let options = LossOptions { label_smoothing: 0.2, ignore: Some(0), ..Default::default() };
    check_gradients("smoothed", |t| loss::cross_entropy_with(&t[0], &target, &options), &[x]);
}

#[test]
fn cross_entropy_with_smoothed_labels_and_ignored_targets() {
    let x = random(&[3, 4], 1);
    let logs: Vec<Vec<f64>> = values(&x).chunks(4).map(log_softmax).collect();
    let target = Tensor::from_slice(&[3i64, -100, 1], [3]);
    let options = LossOptions { label_smoothing: 0.1, ignore: Some(-100), ..Default::default() };
    let smooth = |row: &[f64], c: usize| -0.9 * row[c] - 0.1 * row.iter().sum::<f64>() / 4.0;
    let expected = [smooth(&logs[0], 3), 0.0, smooth(&logs[2], 1)];
    close("each", &values(&loss::cross_entropy_with_each(&x, &target, &options)), &expected, 1e-14);
    close("mean", &values(&loss::cross_entropy_with(&x, &target, &options)), &[(expected[0] + expected[2]) / 2.0], 1e-14);
    assert_eq!(slope(&loss::cross_entropy_with(&x, &target, &options), &x)[4..8], [0.0; 4]);
    let plain = LossOptions { ignore: Some(-100), ..Default::default() };
    close("plain", &values(&loss::cross_entropy_with(&x, &target, &plain)), &[(-logs[0][3] - logs[2][1]) / 2.0], 1e-14);
    assert!(loss::cross_entropy(&x, &target).eval().is_err());
}

#[test]
fn cross_entropy_costs_few_nodes() {
    let x = Tensor::placeholder(vec![4, 3], DType::F32);
    let target = Tensor::placeholder(vec![4], DType::I64);
    let count = |roots: &[&Tensor]| {
        let (mut open, mut seen): (Vec<Tensor>, std::collections::HashSet<u64>) =
            (roots.iter().map(|&t| t.clone()).collect(), Default::default());
        while let Some(node) = open.pop() {
            if seen.insert(node.id()) {
                open.extend(node.inputs().iter().cloned());
            }
        }
        seen.len()
    };
    let l = loss::cross_entropy(&x, &target);
    assert!(count(&[&l]) <= 20, "{}", count(&[&l]));
    let g = l.grad(&[&x]).unwrap();
    assert!(count(&[&l, &g[0]]) <= 44, "{}", count(&[&l, &g[0]]));
}

#[test]
fn half_precision_losses_are_computed_in_single() {
    for dtype in [DType::F16, DType::BF16] {
        let x = Tensor::from_slice(&[500.0f64, -500.0], [2]).cast(dtype);
        // The square is beyond the range of f16, its mean over many is not needed to be.
        let y = Tensor::from_slice(&[400.0f64, -400.0], [2]).cast(dtype);
        assert_eq!(loss::mse(&x, &y).dtype(), dtype);
        close("mse", &values(&loss::mse(&x, &y)), &[10_000.0], 0.01);
        let logits = Tensor::from_slice(&[1.0f64, 2.0, 3.0], [1, 3]).cast(dtype);
        close("cross_entropy", &values(&loss::cross_entropy(&logits, &Tensor::from_slice(&[2i64], [1]))), &[0.4076], 0.01);
    }
}
