//! Transforms of transforms, in any order, give what the plain composition gives.

use crate::functions::FUNCTIONS;
use crate::support::{agree, assert_agree, dot, eval, like, oracle, random};
use chainrule_engine::ops::Op;
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

/// The second tangent records the first again; on the way back both are one, so each of the four products by a layer's weights has
/// two adjoints, and nothing more.
#[test]
fn what_a_second_derivative_records_again_is_passed_once_on_the_way_back() -> Result<()> {
    let (x, w, v) = (random(&[7, 3], 1), random(&[3, 5], 2), random(&[5, 2], 3));
    let [along, across] = [4, 5].map(|seed| like(&x, seed));
    let moved = |y: &Tensor, direction: &Tensor| jvp(&[y], &[&x], &[direction]).map(|mut tangents| tangents.swap_remove(0));
    let y = x.matmul(&w).tanh().matmul(&v);
    let (first, other) = (moved(&y, &along)?, moved(&y, &across)?);
    let loss = (moved(&first, &along)? + first * &y - other).square().sum();
    let gradients = loss.grad(&[&w, &v])?;
    let walk = Walk::new(&gradients, |_| true);
    let products =
        |kept: &Tensor| walk.nodes.iter().filter(|node| matches!(node.op(), Op::Einsum(_)) && node.shape() == kept.shape()).count();
    // By the first layer's weights: its value and two tangents, the second of one direction being none. By the second layer's: four.
    assert_eq!((products(&w), products(&v)), (3, 4), "adjoints of the weights");
    let [found, wanted]: [Vec<f64>; 2] = [|t: &Tensor| eval(t), |t: &Tensor| oracle(t)].map(|by| gradients.iter().flat_map(by).collect());
    let step = 1e-5;
    let difference = |t: &Tensor, of: &dyn Fn(&Tensor) -> f64| -> Vec<f64> {
        let values = oracle(t);
        let at = |i: usize, by: f64| {
            let mut moved = values.clone();
            moved[i] += by;
            of(&crate::support::with_values(t, &moved))
        };
        (0..values.len()).map(|i| (at(i, step) - at(i, -step)) / (2.0 * step)).collect()
    };
    let value = |w: &Tensor, v: &Tensor| -> f64 {
        let y = x.matmul(w).tanh().matmul(v);
        let (first, other) = (moved(&y, &along).expect("a tangent"), moved(&y, &across).expect("a tangent"));
        let second = moved(&first, &along).expect("a tangent");
        oracle(&(second + first * &y - other).square().sum())[0]
    };
    let differences = [difference(&w, &|w| value(w, &v)), difference(&v, &|v| value(&w, v))].concat();
    agree("the compiled program", &found, &wanted, 1e-12).expect("the same");
    agree("central differences", &found, &differences, 1e-6).expect("the same");
    Ok(())
}

/// Equal nodes are only one to what is behind them: the gradient by one of them is not that by the other. And only those that derivatives
/// recorded are, as others, and what has a value, may be given another one.
#[test]
fn a_tensor_asked_for_keeps_what_arrives_at_it_from_what_arrives_at_its_equals() -> Result<()> {
    let x = random(&[3], 1);
    let direction = like(&x, 2);
    let tangent = || jvp(&[&x.sin()], &[&x], &[&direction]).map(|mut tangents| tangents.swap_remove(0));
    let y = x.sin();
    let again = || jvp(&[&y], &[&x], &[&direction]).map(|mut tangents| tangents.swap_remove(0));
    let (one, two) = (again()?, again()?);
    let loss = (&one * 2.0 + &two * 3.0 + tangent()?).sum();
    let found = loss.grad(&[&one, &two, &x])?;
    assert_eq!((eval(&found[0]), eval(&found[1])), (vec![2.0; 3], vec![3.0; 3]));
    assert_eq!(eval(&loss.grad(&[&two])?[0]), vec![3.0; 3]);
    // Of nodes that the program made itself, and of those with a value, each keeps its own way back.
    let (three, four) = (x.cos(), x.cos());
    let (five, six) = (again()?, again()?);
    Tensor::eval_all(&[&five, &six])?;
    let ways: Vec<Tensor> = [&three, &four, &five, &six, &one, &two].iter().map(|from| from.exp()).collect();
    let roots: Vec<&Tensor> = ways.iter().chain([&one]).collect();
    let walk = Walk::new(roots, |_| true);
    let first = walk.first_equal(&[]);
    let at = |tensor: &Tensor| walk.find(tensor).map(|at| first[at]);
    assert!(at(&three) != at(&four) && at(&five) != at(&six), "each stands for itself");
    assert_eq!(at(&one), at(&two), "what derivatives recorded twice is one");
    Ok(())
}
