//! Loops whose number of steps is found while they run.

use crate::support::{agree, eval, like, numeric_along, numeric_gradient, oracle, random};
use chainrule_engine::functions::while_loop;
use chainrule_engine::transform::{jvp, vmap};
use chainrule_engine::{ErrorKind, Result, Tensor};

/// Numbers grow by a factor until their sum of squares is large; beside them the steps are counted.
fn grown(x: &Tensor, factor: &Tensor, limit: f64, bound: Option<usize>) -> Result<Vec<Tensor>> {
    while_loop(
        |c| Ok(c[0].square().sum().less(&Tensor::from_slice(&[limit], []))),
        |c| Ok(vec![&c[0] * factor + c[0].sin(), &c[1] + &Tensor::from_slice(&[1i64], [])]),
        &[x, &Tensor::from_slice(&[0i64], [])],
        bound,
    )
}

/// The same by a loop of the host's.
fn by_hand(x: &Tensor, factor: &Tensor, limit: f64, most: usize) -> (Tensor, f64) {
    let (mut x, mut count) = (x.clone(), 0);
    while count < most && eval(&x).iter().map(|x| x * x).sum::<f64>() < limit {
        x = &x * factor + x.sin();
        count += 1;
    }
    (x, count as f64)
}

fn start() -> (Tensor, Tensor) {
    (random(&[3], 1), Tensor::from_slice(&[1.25f64, -1.5, 1.125], [3]))
}

/// A limit that is reached after seven steps, and not by little: a difference does not change their number.
fn limit() -> f64 {
    let (x, factor) = start();
    let after = |most: usize| eval(&by_hand(&x, &factor, f64::INFINITY, most).0).iter().map(|x| x * x).sum::<f64>();
    (after(6) * after(7)).sqrt()
}

#[test]
fn it_runs_as_long_as_the_condition_holds() {
    let (x, factor) = start();
    for limit in [0.0, 5.0, 1e3, 1e6] {
        let (want, count) = by_hand(&x, &factor, limit, usize::MAX);
        for (bound, most) in [(None, usize::MAX), (Some(60), 60), (Some(2), 2), (Some(0), 0)] {
            let (want, count) = if most > 60 { (want.clone(), count) } else { by_hand(&x, &factor, limit, most) };
            let got = grown(&x, &factor, limit, bound).unwrap();
            for values in [eval, oracle] {
                agree("value", &values(&got[0]), &eval(&want), 1e-13).unwrap();
                assert_eq!(values(&got[1]), [count], "{limit}, {bound:?}");
            }
        }
    }
    assert!(by_hand(&x, &factor, 1e6, usize::MAX).1 > 5.0, "there are some steps");
}

#[test]
fn forward_mode_needs_no_bound() {
    let (x, factor) = start();
    let along = [like(&x, 2), like(&x, 3)];
    let value = |x: &[Tensor]| vec![grown(&x[0], &x[1], limit(), None).unwrap().remove(0)];
    let got = jvp(&[&value(&[x.clone(), factor.clone()])[0]], &[&x, &factor], &[&along[0], &along[1]]).unwrap().remove(0);
    let directions = [Some(along[0].clone()), Some(along[1].clone())];
    agree("tangent", &eval(&got), &numeric_along(&[x.clone(), factor.clone()], &directions, &value), 1e-7).unwrap();
    // Twice.
    let again = jvp(&[&got], &[&x, &factor], &[&along[1], &along[0]]).unwrap().remove(0);
    let tangent = |x: &[Tensor]| jvp(&[&value(x)[0]], &[&x[0], &x[1]], &[&along[0], &along[1]]).unwrap();
    let directions = [Some(along[1].clone()), Some(along[0].clone())];
    agree("second order", &eval(&again), &numeric_along(&[x, factor], &directions, &tangent), 1e-7).unwrap();
}

#[test]
fn with_a_bound_there_are_gradients_of_any_order() {
    let (x, factor) = start();
    let both = [x.clone(), factor.clone()];
    let value = |x: &[Tensor]| {
        let y = grown(&x[0], &x[1], limit(), Some(40)).unwrap().remove(0);
        (like(&y, 5) * &y * &y).sum()
    };
    let by_hand = {
        let y = by_hand(&x, &factor, limit(), 40).0;
        (like(&y, 5) * &y * &y).sum()
    };
    let (got, want) = (value(&both).grad(&[&x, &factor]).unwrap(), by_hand.grad(&[&x, &factor]).unwrap());
    for k in 0..2 {
        agree("gradient", &eval(&got[k]), &eval(&want[k]), 1e-12).unwrap();
        agree("differences", &eval(&got[k]), &numeric_gradient(&both, k, &value), 1e-6).unwrap();
    }
    let second = |g: &[Tensor]| (&g[0] * &g[1]).sum().grad(&[&x, &factor]).unwrap();
    for (got, want) in second(&got).iter().zip(second(&want)) {
        agree("second order", &eval(got), &eval(&want), 1e-11).unwrap();
    }
}

#[test]
fn without_a_bound_a_gradient_is_a_mistake_that_says_so() {
    let (x, factor) = start();
    let error = grown(&x, &factor, 1e3, None).unwrap()[0].sum().grad(&[&x]).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Argument, "while_loop"));
    assert!(error.to_string().contains("bound") && error.to_string().contains("whiles.rs"), "{error}");
}

/// Each example takes as many steps as it would alone.
#[test]
fn examples_of_a_batch_end_each_at_its_own_time() {
    let (_, factor) = start();
    let x = random(&[4, 3], 9) * Tensor::from_slice(&[0.01f64, 1.0, 0.1, 3.0], [4, 1]);
    for bound in [None, Some(80)] {
        let got = vmap(|x| grown(&x[0], &factor, 1e3, bound), &[&x], &[Some(0)]).unwrap();
        let alone: Vec<Vec<Tensor>> = (0..4).map(|at| grown(&x.index(0, at), &factor, 1e3, None).unwrap()).collect();
        let mut counts: Vec<f64> = alone.iter().map(|one| eval(&one[1])[0]).collect();
        for values in [eval, oracle] {
            agree("values", &values(&got[0]), &alone.iter().map(|one| eval(&one[0])).collect::<Vec<_>>().concat(), 1e-12).unwrap();
            assert_eq!(values(&got[1]), counts);
        }
        counts.dedup();
        assert!(counts.len() > 2, "they take different times");
    }
}
