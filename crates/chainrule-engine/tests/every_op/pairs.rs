//! The same tensor as several inputs: its gradient is the sum over all its uses.

use crate::support::{agree, backends_agree, eval, like, numeric_along, numeric_gradient};
use crate::{Kind, applied, for_each_sample, loss, text};
use chainrule_engine::Tensor;
use chainrule_engine::ops::Op;
use chainrule_engine::transform::jvp;

/// Inputs that can be one tensor: differentiable, of one shape.
fn twins(sample: &chainrule_engine::ops::samples::Sample, kinds: &[Kind]) -> Vec<usize> {
    let first = kinds.iter().position(|kind| *kind == Kind::Linear);
    let same = |&k: &usize| kinds[k] == Kind::Linear && first.is_some_and(|f| sample.inputs[k].shape == sample.inputs[f].shape);
    let all: Vec<usize> = (0..kinds.len()).filter(same).collect();
    if all.len() > 1 { all } else { Vec::new() }
}

#[test]
fn one_tensor_in_several_places() {
    let mut met = 0;
    for_each_sample(|sample| {
        let Some((inputs, _, kinds)) = applied(sample, 21) else { return Ok(()) };
        let places = twins(sample, &kinds);
        // Of a minimum, a maximum or a remainder of a tensor with itself every element is a kink.
        let kinked = matches!(
            sample.op,
            Op::Binary(
                chainrule_engine::ops::Binary::Minimum | chainrule_engine::ops::Binary::Maximum | chainrule_engine::ops::Binary::Remainder
            )
        );
        if places.is_empty() || kinked {
            return Ok(());
        }
        met += 1;
        // The domain of the last one is the narrowest.
        let narrow =
            if matches!(sample.op, Op::Binary(chainrule_engine::ops::Binary::Power)) { places[0] } else { *places.last().unwrap_or(&0) };
        let x = inputs[narrow].clone();
        let whole = |x: &Tensor| {
            let mut inputs = inputs.clone();
            places.iter().for_each(|&k| inputs[k] = x.clone());
            sample.record(&inputs)
        };
        backends_agree("value", &whole(&x), 500.0)?;
        let at = [x.clone()];
        let gradient = |x: &[Tensor]| loss(&whole(&x[0]), 3).grad(&[&x[0]]).map(|mut g| g.remove(0));
        let first = gradient(&at).map_err(text)?;
        agree("gradient", &eval(&first), &numeric_gradient(&at, 0, &|x| loss(&whole(&x[0]), 3)), 1e-7)?;
        let u = like(&x, 4);
        let second = jvp(&[&first], &[&x], &[&u]).map_err(text)?.remove(0);
        agree("second", &eval(&second), &numeric_along(&at, &[Some(u)], &|x| gradient(x).into_iter().collect()), 1e-7)
    });
    assert!(met >= 12, "only {met} operations take one tensor twice");
}

#[test]
fn used_k_times_a_tensor_gets_k_contributions() {
    for_each_sample(|sample| {
        let Some((inputs, y, kinds)) = applied(sample, 22) else { return Ok(()) };
        for (k, _) in kinds.iter().enumerate().filter(|(_, kind)| **kind == Kind::Linear) {
            let once = loss(&y, 9).grad(&[&inputs[k]]).map_err(text)?.remove(0);
            for times in [2usize, 3, 7] {
                let sum = (0..times).map(|_| loss(&sample.record(&inputs), 9)).reduce(|a, b| a + b).ok_or("empty")?;
                let many = sum.grad(&[&inputs[k]]).map_err(text)?.remove(0);
                let want: Vec<f64> = eval(&once).iter().map(|g| g * times as f64).collect();
                agree(&format!("{times} uses, input {k}"), &eval(&many), &want, 1e-13)?;
            }
        }
        Ok(())
    });
}
