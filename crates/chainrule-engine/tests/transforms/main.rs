//! Derivatives against numbers another system computed, stored with the script that made them.

#[path = "../support/mod.rs"]
mod support;

mod functions;
mod nesting;
mod reach;
mod regions;
mod substitute;

use chainrule_engine::transform::{hessian, hvp, jacobian, jvp, value_and_grad, vjp, vmap};
use chainrule_engine::{Result, Tensor};
use functions::{FUNCTIONS, Function};
use support::{agree, eval, leaf, oracle};

const STORED: &str = include_str!("../data/transforms.txt");
const TOLERANCE: f64 = 1e-10;

/// The stored inputs and results of one function.
struct Case {
    name: &'static str,
    lines: Vec<(&'static str, Tensor)>,
}

impl Case {
    fn all(&self, word: &str) -> Vec<&Tensor> {
        self.lines.iter().filter(|(own, _)| *own == word).map(|(_, tensor)| tensor).collect()
    }
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in STORED.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("case"), Some(name)) => cases.push(Case { name, lines: Vec::new() }),
            (Some(word), Some(shape)) => {
                let shape: Vec<usize> = shape.split('x').filter_map(|size| size.parse().ok()).collect();
                let numbers: Vec<f64> = words.filter_map(|number| number.parse().ok()).collect();
                let Some(case) = cases.last_mut() else { panic!("numbers before a case") };
                let tensor = leaf(&numbers, &shape);
                assert!(tensor.check().is_ok(), "{}: {line}", case.name);
                case.lines.push((word, tensor));
            }
            _ => panic!("cannot read '{line}'"),
        }
    }
    cases
}

/// Runs a comparison on every function: it gives what it computed and the word of what is stored.
fn against_stored(word: &str, compute: impl Fn(Function, &[Tensor], &Case) -> Result<Vec<Tensor>>) {
    let cases = cases();
    assert_eq!(cases.iter().map(|case| case.name).collect::<Vec<_>>(), FUNCTIONS.map(|(name, _)| name));
    let mut failures = Vec::new();
    for (case, (_, function)) in cases.iter().zip(FUNCTIONS) {
        let inputs: Vec<Tensor> = case.all("input").into_iter().cloned().collect();
        let want = case.all(word);
        assert!(!want.is_empty(), "{}: no {word}", case.name);
        match compute(function, &inputs, case) {
            Ok(got) => {
                assert_eq!(got.len(), want.len(), "{}", case.name);
                for (i, (got, want)) in got.iter().zip(want).enumerate() {
                    assert_eq!(got.shape(), want.shape(), "{}: {word} {i}", case.name);
                    failures.extend(agree(&format!("{}: {word} {i}", case.name), &eval(got), &eval(want), TOLERANCE).err());
                    failures
                        .extend(agree(&format!("{}: {word} {i} by the reference", case.name), &oracle(got), &eval(want), TOLERANCE).err());
                }
            }
            Err(error) => failures.push(format!("{}: {error}", case.name)),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn refs(tensors: &[Tensor]) -> Vec<&Tensor> {
    tensors.iter().collect()
}

#[test]
fn values() {
    against_stored("value", |f, x, _| Ok(vec![f(x)]));
}

#[test]
fn gradients() {
    against_stored("grad", |f, x, _| f(x).grad(&refs(x)));
    against_stored("grad", |f, x, _| value_and_grad(|_| f(x), &refs(x)).map(|(_, g)| g));
}

#[test]
fn tangents() {
    against_stored("jvp", |f, x, case| jvp(&[&f(x)], &refs(x), &case.all("tangent")));
    // The same product in reverse mode: the tangent of the cotangent of zero.
    against_stored("jvp", |f, x, case| {
        let y = f(x);
        let seed = leaf(&[0.0], &[]);
        let g = vjp(&[&y], &[&seed], &refs(x))?;
        vjp(&refs(&g), &case.all("tangent"), &[&seed])
    });
}

#[test]
fn hessians() {
    against_stored("hessian", |f, x, _| Ok(vec![hessian(&f(x), &x[0])?]));
    against_stored("hessian", |f, x, _| Ok(vec![jacobian(&f(x).grad(&[&x[0]])?[0], &x[0])?]));
}

#[test]
fn products_with_the_hessian() {
    against_stored("hvp", |f, x, case| jvp(&refs(&f(x).grad(&refs(x))?), &refs(x), &case.all("tangent")));
    against_stored("hvp", |f, x, case| {
        let g = f(x).grad(&refs(x))?;
        vjp(&refs(&g), &case.all("tangent"), &refs(x))
    });
    against_stored("hvp", |f, x, case| jvp(&[&f(x)], &refs(x), &case.all("tangent"))?[0].grad_or_zeros(&refs(x)));
}

#[test]
fn third_derivatives() {
    against_stored("third", |f, x, case| {
        let t = case.all("tangent")[0];
        (hvp(&f(x), &x[0], t)? * t).sum().grad_or_zeros(&[&x[0]])
    });
    // In forward mode throughout, but for the last.
    against_stored("third", |f, x, case| {
        let t = case.all("tangent")[0];
        let once = jvp(&[&f(x)], &[&x[0]], &[t])?.remove(0);
        jvp(&[&once], &[&x[0]], &[t])?[0].grad_or_zeros(&[&x[0]])
    });
}

#[test]
fn jacobians() {
    let first = |f: Function, x: &[Tensor]| -> Result<Tensor> {
        let g = f(x).grad(&[&x[0]])?.remove(0).flatten();
        Ok(g.gather(&Tensor::arange(3, chainrule_engine::DType::I64)).sin())
    };
    against_stored("jacobian", |f, x, _| Ok(vec![jacobian(&first(f, x)?, &x[0])?]));
}

#[test]
fn gradients_of_each_example() {
    against_stored("batched", |f, x, case| {
        let rest = x[1..].to_vec();
        let one = |x: &[Tensor]| f(&[&x[..1], &rest].concat()).grad(&[&x[0]]);
        vmap(one, &[case.all("batch")[0]], &[Some(0)])
    });
    // The other inputs as arguments that all examples share, the examples along the last axis.
    against_stored("batched", |f, x, case| {
        let last = case.all("batch")[0].permute((1..=x[0].rank()).chain([0]).collect::<Vec<_>>());
        let mut arguments = vec![&last];
        arguments.extend(&x[1..]);
        let axes: Vec<Option<usize>> = std::iter::once(Some(x[0].rank())).chain(x[1..].iter().map(|_| None)).collect();
        vmap(|x| f(x).grad(&[&x[0]]), &arguments, &axes)
    });
}
