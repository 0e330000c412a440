//! Derivatives: against differences, forward against reverse, and once more for the second order.

use crate::support::{agree, dot, eval, like, numeric_along, numeric_gradient, oracle};
use crate::{Kind, applied, for_each_sample, loss, text};
use chainrule_engine::ops::Op;
use chainrule_engine::ops::samples::Sample;
use chainrule_engine::transform::{jvp, vjp};
use chainrule_engine::{DType, ErrorKind, Result, Tensor};

fn chosen<'a>(inputs: &'a [Tensor], kinds: &[Kind], wanted: &[Kind]) -> Vec<&'a Tensor> {
    inputs.iter().zip(kinds).filter(|(_, kind)| wanted.contains(kind)).map(|(x, _)| x).collect()
}

/// Whether every step of the application is f64, so that differences are worth something.
fn precise(y: &Tensor) -> bool {
    y.dtype() == DType::F64
}

#[test]
fn gradients_equal_differences() {
    for_each_sample(|sample| {
        let Some((inputs, y, kinds)) = applied(sample, 11) else { return Ok(()) };
        // The value and the rule of a custom derivative are two inputs: differences of the bare
        // operation contradict it by design. A test below has the whole.
        if !precise(&y) || matches!(sample.op, Op::Custom(_)) {
            return Ok(());
        }
        for (k, kind) in kinds.iter().enumerate().filter(|(_, kind)| matches!(kind, Kind::Linear | Kind::Zero)) {
            let gradient = loss(&y, 3).grad(&[&inputs[k]]).map_err(text)?.remove(0);
            if gradient.ty() != inputs[k].ty() {
                return Err(format!("gradient of {:?} for an input of {:?}", gradient.ty(), inputs[k].ty()));
            }
            let want = numeric_gradient(&inputs, k, &|x| loss(&sample.record(x), 3));
            agree(&format!("input {k} ({kind:?})"), &eval(&gradient), &want, 1e-7)?;
        }
        Ok(())
    });
}

#[test]
fn what_is_cut_is_an_error_that_names_the_line() {
    let mut cuts = 0;
    for_each_sample(|sample| {
        let inputs = sample.tensors(DType::F64, 11);
        let y = sample.record(&inputs);
        for (k, kind) in crate::kinds(sample, &y).into_iter().enumerate() {
            if kind != Kind::Cut || !sample.dtypes().contains(&DType::F64) {
                continue;
            }
            cuts += 1;
            let after = y.cast(DType::F64).sum();
            let Err(error) = after.grad(&[&inputs[k]]) else { return Err(format!("input {k} is cut, and has a gradient")) };
            let Err(forward) = jvp(&[&y], &[&inputs[k]], &[&inputs[k].ones_like()]) else {
                return Err(format!("input {k} is cut, and has a tangent"));
            };
            if error.kind() != ErrorKind::Disconnected || forward.kind() != ErrorKind::Disconnected {
                return Err(format!("wrong kind of error: {error}; {forward}"));
            }
            if !error.to_string().contains("samples.rs") || !error.to_string().contains("cut by") {
                return Err(format!("no line in: {error}"));
            }
        }
        Ok(())
    });
    assert!(cuts > 10, "only {cuts} cuts met");
}

#[test]
fn forward_and_reverse_are_each_others_adjoints() {
    for_each_sample(|sample| {
        let Some((inputs, y, kinds)) = applied(sample, 12) else { return Ok(()) };
        let wrt = chosen(&inputs, &kinds, &[Kind::Linear, Kind::Custom]);
        if wrt.is_empty() {
            return Ok(());
        }
        let tangents: Vec<Tensor> = wrt.iter().zip(20..).map(|(x, seed)| like(x, seed)).collect();
        let cotangent = like(&y, 30);
        let forward = jvp(&[&y], &wrt, &tangents.iter().collect::<Vec<_>>()).map_err(text)?.remove(0);
        let reverse = vjp(&[&y], &[&cotangent], &wrt).map_err(text)?;
        let left = dot(&eval(&forward), &eval(&cotangent));
        let right: f64 = reverse.iter().zip(&tangents).map(|(g, t)| dot(&eval(g), &eval(t))).sum();
        let magnitude: f64 = eval(&forward).iter().zip(eval(&cotangent)).map(|(a, b)| (a * b).abs()).sum();
        if (left - right).abs() > 1e-12 * magnitude.max(1e-3) {
            return Err(format!("<J t, c> = {left:e}, <t, J* c> = {right:e}"));
        }
        Ok(())
    });
}

#[test]
fn tangents_equal_differences() {
    for_each_sample(|sample| {
        let Some((inputs, y, kinds)) = applied(sample, 13) else { return Ok(()) };
        let wrt = chosen(&inputs, &kinds, &[Kind::Linear]);
        if wrt.is_empty() || !precise(&y) {
            return Ok(());
        }
        let directions = directions(&inputs, &kinds);
        let tangents: Vec<&Tensor> = directions.iter().flatten().collect();
        let got = jvp(&[&y], &wrt, &tangents).map_err(text)?.remove(0);
        agree("tangent", &eval(&got), &numeric_along(&inputs, &directions, &|x| vec![sample.record(x)]), 1e-7)
    });
}

/// A direction for each input with a linear derivative.
fn directions(inputs: &[Tensor], kinds: &[Kind]) -> Vec<Option<Tensor>> {
    inputs.iter().zip(kinds).zip(40..).map(|((x, kind), seed)| (*kind == Kind::Linear).then(|| like(x, seed))).collect()
}

#[test]
fn second_order_equals_differences_of_gradients() {
    for_each_sample(|sample| {
        let Some((inputs, y, kinds)) = applied(sample, 14) else { return Ok(()) };
        let linear: Vec<usize> = (0..kinds.len()).filter(|&k| kinds[k] == Kind::Linear).collect();
        if linear.is_empty() || !precise(&y) {
            return Ok(());
        }
        let gradients =
            |x: &[Tensor]| -> Result<Vec<Tensor>> { loss(&sample.record(x), 5).grad(&linear.iter().map(|&k| &x[k]).collect::<Vec<_>>()) };
        let directions = directions(&inputs, &kinds);
        let along: Vec<&Tensor> = directions.iter().flatten().collect();
        let wrt: Vec<&Tensor> = linear.iter().map(|&k| &inputs[k]).collect();
        let first = gradients(&inputs).map_err(text)?;
        let want = numeric_along(&inputs, &directions, &|x| gradients(x).unwrap_or_default());

        let forward = jvp(&first.iter().collect::<Vec<_>>(), &wrt, &along).map_err(text)?;
        agree("forward over reverse", &forward.iter().map(eval).collect::<Vec<_>>().concat(), &want, 1e-7)?;

        let inner = first.iter().zip(&along).map(|(g, &u)| (g * u).sum()).reduce(|a, b| a + b).ok_or("no gradient")?;
        let reverse = inner.grad(&wrt).map_err(text)?;
        agree("reverse over reverse", &reverse.iter().map(eval).collect::<Vec<_>>().concat(), &want, 1e-7)?;

        let tangent = jvp(&[&loss(&y, 5)], &wrt, &along).map_err(text)?.remove(0);
        let over = tangent.grad(&wrt).map_err(text)?;
        agree("reverse over forward", &over.iter().map(eval).collect::<Vec<_>>().concat(), &want, 1e-7)
    });
}

#[test]
fn third_order_of_smooth_functions_equals_differences_of_the_second() {
    for_each_sample(|sample| {
        let Some((inputs, y, kinds)) = applied(sample, 15) else { return Ok(()) };
        let elementwise = matches!(sample.op, Op::Unary(_) | Op::Binary(_));
        if !elementwise || !precise(&y) || kinds[0] != Kind::Linear {
            return Ok(());
        }
        let ones = inputs[0].ones_like();
        let second = |x: &[Tensor]| -> Result<Tensor> {
            let first = loss(&sample.record(x), 6).grad(&[&x[0]])?.remove(0);
            Ok(jvp(&[&first], &[&x[0]], &[&ones])?.remove(0))
        };
        let mut along: Vec<Option<Tensor>> = vec![None; inputs.len()];
        along[0] = Some(ones.clone());
        let want = numeric_along(&inputs, &along, &|x| second(x).into_iter().collect());
        match second(&inputs).and_then(|second| jvp(&[&second], &[&inputs[0]], &[&ones])) {
            Ok(third) => agree("third order", &eval(&third[0]), &want, 1e-6),
            // The second derivative of a quadratic does not depend on x any more.
            Err(error) if error.kind() == ErrorKind::Disconnected => {
                agree("third order, of what is quadratic", &want, &vec![0.0; want.len()], 1e-6)
            }
            Err(error) => Err(text(error)),
        }
    });
}

#[test]
fn a_custom_rule_with_its_value_equals_differences() {
    let whole = |x: &Tensor, sample: &Sample| {
        let ramp = Tensor::arange(4, DType::F64) + 1.0;
        sample.record(&[x.sin() * ramp, x.clone()])
    };
    let mut met = 0;
    for_each_sample(|sample| {
        let Op::Custom(_) = sample.op else { return Ok(()) };
        met += 1;
        let x = sample.inputs[1].tensor(DType::F64, 17);
        let loss = |x: &Tensor| loss(&whole(x, sample), 8);
        let gradient = |x: &[Tensor]| loss(&x[0]).grad(&[&x[0]]).map(|mut g| g.remove(0));
        let inputs = [x.clone()];
        let first = gradient(&inputs).map_err(text)?;
        agree("gradient", &eval(&first), &numeric_gradient(&inputs, 0, &|x| loss(&x[0])), 1e-7)?;
        let u = like(&x, 9);
        let want = numeric_along(&inputs, &[Some(u.clone())], &|x| gradient(x).into_iter().collect());
        let forward = jvp(&[&first], &[&x], &[&u]).map_err(text)?.remove(0);
        agree("forward over reverse", &eval(&forward), &want, 1e-7)?;
        let reverse = (first * &u).sum().grad(&[&x]).map_err(text)?.remove(0);
        agree("reverse over reverse", &eval(&reverse), &want, 1e-7)
    });
    assert_eq!(met, 1);
}

#[test]
fn an_unused_output_costs_nothing_and_breaks_nothing() {
    for_each_sample(|sample| {
        let Some((inputs, y, kinds)) = applied(sample, 16) else { return Ok(()) };
        for (k, _) in kinds.iter().enumerate().filter(|(_, kind)| **kind == Kind::Linear) {
            let unused = sample.record(&inputs) * 2.0;
            let used = (&inputs[k] * &inputs[k]).sum();
            let gradient = used.grad(&[&inputs[k]]).map_err(text)?.remove(0);
            let want: Vec<f64> = oracle(&inputs[k]).iter().map(|x| 2.0 * x).collect();
            agree("beside an unused output", &eval(&gradient), &want, 1e-15)?;
            let both = vjp(&[&y, &unused], &[&like(&y, 1), &unused.zeros_like()], &[&inputs[k]]).map_err(text)?.remove(0);
            let alone = vjp(&[&y], &[&like(&y, 1)], &[&inputs[k]]).map_err(text)?.remove(0);
            agree("with a zero cotangent", &eval(&both), &eval(&alone), 0.0)?;
        }
        Ok(())
    });
}
