//! Branches: the chosen one's values and derivatives, whichever it is.

use crate::scans::refs;
use crate::support::{agree, eval, like, numeric_gradient, oracle, random};
use chainrule_engine::functions::{Branch, cond, scan, switch};
use chainrule_engine::transform::jvp;
use chainrule_engine::{DType, Result, Tensor};

/// Branches of two operands and a captured tensor; the last one is flat in the second operand.
fn branches<'a>(w: &'a Tensor) -> Vec<Branch<'a>> {
    vec![
        Box::new(move |x: &[Tensor]| Ok(vec![x[0].sin() * &x[1] * w, (&x[0] * &x[1]).sum()])),
        Box::new(move |x: &[Tensor]| Ok(vec![(&x[0] + w).square() / (x[1].square() + 1.0), x[1].exp().sum()])),
        Box::new(move |x: &[Tensor]| Ok(vec![&x[0] * &x[0] * &x[0], x[0].cos().sum()])),
    ]
}

fn loss(results: &[Tensor]) -> Tensor {
    (like(&results[0], 1) * &results[0] * &results[0]).sum() + results[1].square()
}

fn index(i: i64, dtype: DType) -> Tensor {
    Tensor::from_slice(&[i], []).cast(dtype)
}

#[test]
fn the_chosen_branch_gives_values_and_derivatives_to_second_order() {
    let x = [random(&[3], 1), random(&[3], 2), random(&[3], 3)];
    let wrt: Vec<&Tensor> = x.iter().collect();
    let along: Vec<Tensor> = x.iter().zip(30..).map(|(x, seed)| like(x, seed)).collect();
    let along: Vec<&Tensor> = along.iter().collect();
    for dtype in [DType::I64, DType::I32] {
        for (asked, chosen) in [(-7, 0), (0, 0), (1, 1), (2, 2), (3, 2), (i64::from(i32::MAX), 2)] {
            let everything = |results: Vec<Tensor>| -> Result<Vec<Tensor>> {
                let loss = loss(&results);
                let gradients = loss.grad_or_zeros(&wrt)?;
                let inner = gradients.iter().zip(&along).map(|(g, u)| (g * *u).sum()).reduce(|a, b| a + b).unwrap_or(loss.clone());
                let mut all = [results, gradients, inner.grad_or_zeros(&wrt)?].concat();
                all.extend(jvp(&[&loss], &wrt, &along)?);
                all.extend(jvp(&[&inner], &wrt, &along)?);
                Ok(all)
            };
            let got = everything(switch(&index(asked, dtype), &refs(&x[..2]), branches(&x[2])).unwrap()).unwrap();
            let want = everything(branches(&x[2]).remove(chosen)(&x[..2]).unwrap()).unwrap();
            for (at, (got, want)) in got.iter().zip(&want).enumerate() {
                let what = format!("{dtype} {asked}, number {at}");
                agree(&what, &eval(got), &eval(want), 1e-12).unwrap();
                agree(&what, &oracle(got), &eval(want), 1e-12).unwrap();
            }
        }
    }
}

#[test]
fn gradients_of_a_branch_equal_differences() {
    let x = [random(&[3], 4), random(&[3], 5), random(&[3], 6)];
    for chosen in 0..3 {
        let value = |x: &[Tensor]| loss(&switch(&index(chosen, DType::I64), &refs(&x[..2]), branches(&x[2])).unwrap());
        for k in 0..3 {
            let gradient = value(&x).grad_or_zeros(&[&x[k]]).unwrap().remove(0);
            agree(&format!("branch {chosen}, input {k}"), &eval(&gradient), &numeric_gradient(&x, k, &value), 1e-7).unwrap();
        }
    }
}

/// What is not chosen is not computed: neither its values nor its infinite derivatives come through, and an index that
/// points outside there is no mistake.
#[test]
fn the_other_branch_does_not_run() {
    let x = Tensor::from_slice(&[0.0f64, 4.0], [2]);
    let table = Tensor::from_slice(&[1.0f64, 2.0], [2]);
    let outside = Tensor::from_slice(&[7i64, 9], [2]);
    let picked = |choice: bool| {
        let root = |x: &[Tensor]| Ok(vec![x[0].sqrt() * table.gather(&outside)]);
        cond(&Tensor::from(choice), &[&x], root, |x| Ok(vec![&x[0] * 3.0])).unwrap().remove(0)
    };
    assert_eq!(eval(&picked(false)), [0.0, 12.0]);
    assert_eq!(oracle(&picked(false)), [0.0, 12.0]);
    assert_eq!(eval(&picked(false).sum().grad(&[&x]).unwrap()[0]), [3.0, 3.0]);
    let error = picked(true).eval().unwrap_err().to_string();
    assert!(error.contains("index 7 is outside 0..2"), "{error}");
}

/// A branch in a loop that is taken at some steps only, with results of several types.
#[test]
fn a_branch_in_a_loop_is_chosen_at_every_step() {
    let (x, w) = (random(&[6, 2], 7), random(&[2], 8));
    let step = |c: &[Tensor], x: &Tensor| {
        let large = x.sum().greater(&Tensor::from_slice(&[0.0], []));
        cond(
            &large,
            &[&c[0], &c[1], x],
            |x| Ok(vec![(&x[0] * &w + &x[2]).sin(), &x[1] + &Tensor::from_slice(&[1i64], [])]),
            |x| Ok(vec![&x[0] * 0.5, x[1].clone()]),
        )
    };
    let init = [Tensor::from_slice(&[0.25f64, -0.5], [2]), Tensor::from_slice(&[0i64], [])];
    let (got, _) = scan(&refs(&init), &[&x], Default::default(), |c, x| Ok((step(c, &x[0])?, vec![]))).unwrap();
    let mut want = init.to_vec();
    let (values, mut count) = (eval(&x), 0.0);
    for at in 0..6 {
        let part = x.index(0, at as isize);
        let large = values[2 * at] + values[2 * at + 1] > 0.0;
        want[0] = if large { (&want[0] * &w + &part).sin() } else { &want[0] * 0.5 };
        count += f64::from(large);
    }
    agree("value", &eval(&got[0]), &eval(&want[0]), 1e-13).unwrap();
    assert_eq!((eval(&got[1]), oracle(&got[1])), (vec![count], vec![count]));
    let gradients = |y: &Tensor| (like(y, 3) * y * y).sum().grad(&[&x, &w]).unwrap();
    for (got, want) in gradients(&got[0]).iter().zip(gradients(&want[0])) {
        agree("gradient", &eval(got), &eval(&want), 1e-12).unwrap();
    }
}
