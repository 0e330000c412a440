//! Rules of a user's, and the zeros that derivatives declare, under every transform.

use crate::support::{assert_agree, eval, leaf, oracle, random};
use chainrule_engine::ops::CustomRule;
use chainrule_engine::transform::{checkpoint, custom_derivative, hvp, jvp, vmap};
use chainrule_engine::{Error, ErrorKind, Result, Tensor};

/// A rule that is a function.
struct Rule<F>(F);

impl<F: Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync> CustomRule for Rule<F> {
    fn name(&self) -> &str {
        "rule"
    }
    fn vjp(&self, inputs: &[Tensor], _: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        inputs.iter().map(|input| (self.0)(input, cotangent).map(Some)).collect()
    }
}

#[track_caller]
fn error<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("a mistake was taken"),
        Err(error) => error,
    }
}

#[test]
fn a_rule_that_fails_inside_a_checkpoint_is_not_a_gradient_less() {
    let x = random(&[2], 1);
    let refuse = |_: &Tensor, _: &Tensor| Err(Error::new(ErrorKind::Argument, "rule", "refuses"));
    let (inner, line) = (|x: &Tensor| custom_derivative(&x.sin(), &[x], Rule(refuse)), line!());
    // The sum of squares has a gradient of its own, which must not pass for the whole.
    let y = checkpoint(|x| inner(x[0]), &[&x]).sum() + x.square().sum();
    for result in [y.grad(&[&x]).map(drop), y.grad_or_zeros(&[&x]).map(drop), jvp(&[&y], &[&x], &[&x]).map(drop), hvp(&y, &x, &x).map(drop)]
    {
        let error = error(result);
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert!(error.to_string().starts_with(&format!("rule at {}:{line}: refuses", file!())), "{error}");
    }
}

#[test]
fn a_poisoned_answer_of_a_rule_is_an_error_in_both_modes() {
    let x = random(&[2], 1);
    let y = custom_derivative(&x.sin(), &[&x], Rule(|_: &Tensor, c: &Tensor| Ok(c.matmul(&Tensor::zeros([9, 9]))))).sum();
    for result in [y.grad(&[&x]).map(drop), y.grad_or_zeros(&[&x]).map(drop), jvp(&[&y], &[&x], &[&x]).map(drop)] {
        assert_eq!(error(result).operation(), "matmul");
    }
}

#[test]
fn a_rule_that_answers_zeros_has_tangent_zero() {
    let x = random(&[2], 1);
    let body = |x: &Tensor| custom_derivative(&x.sin(), &[x], Rule(|x: &Tensor, _: &Tensor| Ok(x.zeros_like())));
    let y = body(&x);
    assert_eq!(y.sum().grad(&[&x]).map(|g| eval(&g[0])).ok(), Some(vec![0.0; 2]));
    assert_eq!(jvp(&[&y], &[&x], &[&x]).map(|t| eval(&t[0])).ok(), Some(vec![0.0; 2]));
    let wide = vmap(|x| jvp(&[&body(&x[0])], &[&x[0]], &[&x[0]]), &[&x], &[Some(0)]);
    assert_eq!(wide.map(|t| eval(&t[0])).ok(), Some(vec![0.0; 2]));
}

#[test]
fn declared_zeros_pass_through_everything_in_both_modes() {
    let (x, w) = (random(&[2], 1), random(&[2], 2));
    let steps = x.floor();
    for y in [
        checkpoint(|x| x[0].floor() * &w, &[&x]),
        // The step lies before the region.
        checkpoint(|x| x[0].tanh() * &w, &[&steps]),
        // No region at all, and the step among other operands.
        &steps * &w,
        &w * &steps,
        Tensor::concat(&[&w, &steps, &w], 0).exp(),
    ] {
        assert_eq!(y.sum().grad(&[&x]).map(|g| eval(&g[0])).ok(), Some(vec![0.0; 2]));
        assert_eq!(jvp(&[&y], &[&x], &[&x]).map(|t| eval(&t[0])).ok(), Some(vec![0.0; y.len()]));
    }
}

#[test]
fn powers_with_exponent_zero_have_gradient_zero() {
    let x = leaf(&[0.0, -1.0, 2.0], &[3]);
    assert_eq!(eval(&x.powf(0.0)), [1.0; 3]);
    assert_eq!(x.powf(0.0).sum().grad(&[&x]).map(|g| eval(&g[0])).ok(), Some(vec![0.0; 3]));
    assert_eq!(Tensor::from([0, 3]).powf(0.0).to_vec::<i32>().ok(), Some(vec![1, 1]));
}

#[test]
fn gradients_of_tangents_batched_twice_equal_loops() {
    let f = |x: &Tensor| (x.sin() * x.square() + x.exp()).sum();
    let (outer, inner) = (random(&[4, 3], 1), random(&[2, 3], 2));
    let both = |o: &Tensor, v: &Tensor| -> Result<Vec<Tensor>> {
        let y = checkpoint(|t| f(&(t[0] * o)), &[v]);
        jvp(&[&y], &[v], &[v])?.remove(0).grad(&[v, o])
    };
    // The inner function captures the outer one's example.
    let wide = vmap(|o| vmap(|v| both(&o[0], &v[0]), &[&inner], &[Some(0)]), &[&outer], &[Some(0)]);
    let wide = match wide {
        Ok(wide) => wide,
        Err(error) => panic!("{error}"),
    };
    let mut want = [Vec::new(), Vec::new()];
    for i in 0..4 {
        for j in 0..2 {
            let one = |t: &Tensor, at: i32| t.at(at).to_leaf().unwrap_or_else(|error| panic!("{error}"));
            let g = both(&one(&outer, i), &one(&inner, j)).unwrap_or_default();
            want.iter_mut().zip(&g).for_each(|(want, g)| want.extend(oracle(g)));
        }
    }
    for (wide, want) in wide.iter().zip(&want) {
        assert_eq!(wide.shape(), [4, 2, 3]);
        assert_agree("batched twice", &eval(wide), want, 1e-12);
    }
}
