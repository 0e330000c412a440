//! Transforms of transforms, in any order, give what the plain composition gives.

use crate::functions::FUNCTIONS;
use crate::support::{agree, assert_agree, dot, eval, like, oracle, random};
use chainrule_engine::transform::walk::Walk;
use chainrule_engine::transform::{checkpoint, hessian, jacobian, jvp, vjp, vmap};
use chainrule_engine::{ErrorKind, Result, Tensor};

fn run(check: impl Fn(&str, crate::functions::Function, &[Tensor]) -> Result<Result<(), String>>) {
    let mut failures = Vec::new();
    for (case, (name, f)) in crate::cases().iter().zip(FUNCTIONS) {
        let inputs: Vec<Tensor> = case.all("input").into_iter().cloned().collect();
        match check(name, f, &inputs) {
            Ok(outcome) => failures.extend(outcome.err()),
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_checkpoint_changes_no_derivative() {
    run(|name, f, x| {
        let region = checkpoint(|x| f(&x.iter().map(|x| (*x).clone()).collect::<Vec<_>>()), &x.iter().collect::<Vec<_>>());
        let plain = f(x);
        let (a, b) = (region.grad(&[&x[0]])?.remove(0), plain.grad(&[&x[0]])?.remove(0));
        let (ha, hb) = (hessian(&region, &x[0])?, hessian(&plain, &x[0])?);
        Ok(agree(&format!("{name}: gradient"), &eval(&a), &oracle(&b), 1e-13)
            .and_then(|()| agree(&format!("{name}: hessian"), &eval(&ha), &oracle(&hb), 1e-12)))
    });
}

#[test]
fn vmap_of_hessian_is_the_hessian_of_each() {
    run(|name, f, x| {
        let examples: Vec<Tensor> = [1.0, 0.5].iter().map(|scale| (&x[0] * *scale).to_leaf()).collect::<Result<_>>()?;
        let wide = Tensor::stack(&examples.iter().collect::<Vec<_>>(), 0);
        let rest = &x[1..];
        let whole = |x: &Tensor| f(&[std::slice::from_ref(x), rest].concat());
        let got = vmap(|x| Ok(vec![hessian(&whole(&x[0]), &x[0])?]), &[&wide], &[Some(0)])?.remove(0);
        let each: Vec<f64> = examples.iter().map(|x| hessian(&whole(x), x).map(|h| oracle(&h))).collect::<Result<Vec<_>>>()?.concat();
        Ok(agree(name, &eval(&got), &each, 1e-11))
    });
}

#[test]
fn grad_of_vmap_of_grad_is_a_sum_of_second_derivatives() {
    run(|name, f, x| {
        let wide = Tensor::stack(&[&x[0], &(&x[0] * 0.7)], 0).to_leaf()?;
        let rest = &x[1..];
        let whole = |x: &Tensor| f(&[std::slice::from_ref(x), rest].concat());
        let each = vmap(|x| whole(&x[0]).grad(&[&x[0]]), &[&wide], &[Some(0)])?.remove(0);
        let u = like(&each, 5);
        let got = (&each * &u).sum().grad_or_zeros(&[&wide])?.remove(0);
        let (n, both) = (x[0].len(), oracle(&u));
        let mut want = Vec::new();
        for (e, scale) in [1.0, 0.7].into_iter().enumerate() {
            let x = (&x[0] * scale).to_leaf()?;
            let u = crate::support::with_values(&x, &both[e * n..(e + 1) * n]);
            let g = whole(&x).grad(&[&x])?.remove(0);
            want.extend(oracle(&(g * u).sum().grad_or_zeros(&[&x])?[0]));
        }
        Ok(agree(name, &eval(&got), &want, 1e-11))
    });
}

#[test]
fn a_jacobian_is_the_same_by_rows_and_by_columns() {
    // Wide: reverse mode; tall: forward mode. Each against single products.
    for (rows, columns) in [(2usize, 5usize), (5, 2), (3, 3), (1, 4), (4, 1)] {
        let (x, w) = (random(&[columns], 1), random(&[rows, columns], 2));
        let y = w.matmul(&x).sin() * 2.0;
        let Ok(whole) = jacobian(&y, &x) else { panic!("no jacobian") };
        assert_eq!(whole.shape(), [rows, columns]);
        // The mode that needs fewer products: a basis of the smaller space is no larger than the matrix, that of the other is.
        assert!(Walk::new([&whole], |_| true).nodes.iter().all(|node| node.len() <= rows * columns), "{rows} by {columns}");
        let slopes: Vec<f64> = oracle(&w.matmul(&x).cos());
        let want: Vec<f64> = oracle(&w).iter().enumerate().map(|(i, w)| 2.0 * w * slopes[i / columns]).collect();
        assert_agree("jacobian", &eval(&whole), &want, 1e-13);
    }
}

#[test]
fn an_intermediate_tensor_among_those_asked_for_keeps_the_modes_adjoint() {
    let (x, z) = (random(&[3], 1), random(&[3], 2));
    let middle = x.sin() * &z;
    let y = (&middle * &middle * &x).exp() * 0.1;
    let wrt = [&x, &middle, &z, &x];
    let tangents: Vec<Tensor> = wrt.iter().zip(3..).map(|(t, seed)| like(t, seed)).collect();
    let c = like(&y, 9);
    let forward = jvp(&[&y], &wrt, &tangents.iter().collect::<Vec<_>>()).map(|t| eval(&t[0])).unwrap_or_default();
    let reverse = vjp(&[&y], &[&c], &wrt).unwrap_or_default();
    let right: f64 = reverse.iter().zip(&tangents).map(|(g, t)| dot(&eval(g), &eval(t))).sum();
    let left = dot(&forward, &eval(&c));
    assert!((left - right).abs() < 1e-12 * left.abs().max(1.0), "{left:e} against {right:e}");
}

#[test]
fn derivatives_of_any_order_of_a_power() {
    // x^7 at 1.5, by nesting reverse mode seven times and once more.
    let x = crate::support::leaf(&[1.5], &[]);
    let mut y = x.powf(4.0) * x.powf(3.0);
    let mut factor = 1.0;
    for order in 0..=7 {
        let want = factor * 1.5f64.powi(7 - order);
        assert_agree(&format!("order {order}"), &eval(&y), &[want], 1e-12);
        factor *= (7 - order) as f64;
        y = match if order % 2 == 0 {
            y.grad(&[&x]).map(|mut g| g.remove(0))
        } else {
            jvp(&[&y], &[&x], &[&x.ones_like()]).map(|mut t| t.remove(0))
        } {
            Ok(next) => next,
            // What does not depend on x any more has no derivative by it, unless zeros are asked for.
            Err(error) if order == 7 && error.kind() == ErrorKind::Disconnected => return,
            Err(error) => panic!("order {order}: {error}"),
        };
    }
    panic!("the eighth derivative is there");
}
