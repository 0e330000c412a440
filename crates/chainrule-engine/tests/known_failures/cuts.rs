//! A derivative that is missing names what cut its own path, whatever else is cut nearby.

use crate::support::{Silent, eval, leaf, random};
use chainrule_engine::transform::{checkpoint, custom_derivative, hessian, hvp, jvp, vjp};
use chainrule_engine::{DType, ErrorKind, Result, Tensor};

/// The message of a missing derivative.
#[track_caller]
fn missing<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => panic!("a derivative that is cut is there"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
            error.to_string()
        }
    }
}

#[track_caller]
fn names(text: &str, operation: &str, line: u32) {
    let place = format!("the path is cut by `{operation}` at {}:{line} ", file!());
    assert!(text.contains(&place), "not '{place}' in: {text}");
}

#[test]
fn each_gradient_names_the_cut_of_its_own_path() {
    let (x, y) = (random(&[2], 1), random(&[2], 2));
    let (whole, line) = (x.cast(DType::I32), line!());
    let first = whole.cast(DType::F64).sum();
    // Met first on the way back, and no obstacle for y.
    let second = (y.detach() * &y).sum();
    names(&missing((first + second).grad(&[&y, &x])), "cast", line + 1);
}

#[test]
fn each_tangent_names_the_cut_of_its_own_path() {
    let (x, y) = (random(&[2], 1), random(&[2], 2));
    let open = x.detach() + &x;
    let (cut, line) = (y.detach(), line!());
    let closed = &cut * 2.0;
    names(&missing(jvp(&[&open, &closed], &[&x, &y], &[&x, &y])), "detach", line);
}

#[test]
fn a_cut_inside_a_checkpoint_is_named() {
    let (x, w) = (random(&[2], 1), random(&[2], 2));
    let line = line!() + 1;
    let y = checkpoint(|x| x[0].detach() * &w, &[&x]).sum();
    names(&missing(y.grad(&[&x])), "detach", line);
    names(&missing(jvp(&[&y], &[&x], &[&x])), "detach", line);
    assert_eq!(y.grad(&[&w]).map(|g| eval(&g[0])).ok(), Some(eval(&x)));
}

#[test]
fn a_rule_that_leaves_an_input_out_is_named_in_both_modes() {
    let (x, w) = (random(&[2], 1), random(&[2], 2));
    let (y, line) = (custom_derivative(&(&x * &w), &[&x], Silent), line!());
    // x is among the rule's inputs, w only among those of the value.
    for t in [&x, &w] {
        names(&missing(y.sum().grad(&[t])), "silent", line);
        names(&missing(jvp(&[&y], &[t], &[t])), "silent", line);
    }
}

#[test]
fn whole_numbers_have_no_derivative() {
    let x = Tensor::from([1, 2]);
    let y = &x + &x;
    for result in [vjp(&[&y], &[&y], &[&x]), jvp(&[&y], &[&x], &[&x])] {
        match result {
            Ok(g) => panic!("a derivative of type {}", g[0].dtype()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::DType, "{error}"),
        }
    }
}

#[test]
fn second_derivatives_of_steps_are_zero_and_those_that_are_cut_are_missing() {
    let x = leaf(&[-1.0, 0.5, 2.0], &[3]);
    for y in [x.sum(), x.relu().sum(), x.max(), x.gather(&x.argmax(0)).sum()] {
        assert_eq!(hessian(&y, &x).map(|h| eval(&h)).ok(), Some(vec![0.0; 9]));
        assert_eq!(hvp(&y, &x, &x).map(|h| eval(&h)).ok(), Some(vec![0.0; 3]));
    }
    let (cut, line) = (x.detach(), line!());
    let y = (&x * cut).sum();
    names(&missing(hessian(&y, &x)), "detach", line);
    names(&missing(hvp(&y, &x, &x)), "detach", line);
}

#[test]
fn what_lies_behind_a_step_is_no_cut_of_its_own() {
    let x = leaf(&[-1.0, 0.5, 2.0], &[3]);
    // The gradient reads the step, which is the end of the path; `detach` behind it ends nothing any more.
    let y = (&x * x.detach().cast(DType::I64).cast(DType::F64)).sum();
    assert_eq!(hessian(&y, &x).map(|h| eval(&h)).ok(), Some(vec![0.0; 9]));
    // Nor is the rule of a region that x itself came out of on any path that begins at x.
    let made = checkpoint(|x| x[0].sin(), &[&x]);
    assert_eq!(hessian(&made.relu().sum(), &made).map(|h| eval(&h)).ok(), Some(vec![0.0; 9]));
    // And a rule at the end of no path at all is not what cuts one.
    let apart = checkpoint(|x| x[0].sin(), &[&random(&[3], 1)]);
    let text = missing(apart.sum().grad(&[&x]));
    assert!(text.contains("does not depend on") && missing(vjp(&[&apart], &[&apart], &[&x])).contains("does not depend on"), "{text}");
}
