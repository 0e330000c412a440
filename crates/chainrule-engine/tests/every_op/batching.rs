//! vmap against a loop, alone and with gradients on either side of it.

use crate::support::{agree, backends_agree, eval, like, oracle};
use crate::{Kind, applied, for_each_sample, loss, text};
use chainrule_engine::ops::samples::Sample;
use chainrule_engine::ops::{Gather, Op};
use chainrule_engine::transform::walk::Walk;
use chainrule_engine::transform::{jvp, vjp, vmap};
use chainrule_engine::{DType, Tensor};

const EXAMPLES: usize = 3;

/// One way to batch the inputs of a sample: the axis of each that counts the examples.
struct Batched {
    axes: Vec<Option<usize>>,
    /// Inputs of each example.
    examples: Vec<Vec<Tensor>>,
    /// Inputs with the examples along their axis.
    wide: Vec<Tensor>,
}

/// Every choice of inputs to batch, each along an axis of another position.
fn ways(sample: &Sample, dtype: DType) -> Vec<Batched> {
    let n = sample.inputs.len();
    let own: Vec<Vec<Tensor>> = (0..EXAMPLES as u64).map(|e| sample.tensors(dtype, 60 + e)).collect();
    let choice = |mask: usize| {
        let batched = |k: usize| mask & 1 << k != 0;
        let axes: Vec<Option<usize>> = (0..n).map(|k| batched(k).then(|| (mask + 2 * k) % (sample.inputs[k].shape.len() + 1))).collect();
        let examples: Vec<Vec<Tensor>> =
            (0..EXAMPLES).map(|e| (0..n).map(|k| own[if batched(k) { e } else { 0 }][k].clone()).collect()).collect();
        let wide = (0..n).map(|k| match axes[k] {
            Some(axis) => stacked(&examples.iter().map(|x| x[k].clone()).collect::<Vec<_>>(), axis),
            None => own[0][k].clone(),
        });
        Batched { wide: wide.collect(), examples, axes }
    };
    (1..1 << n).map(choice).collect()
}

/// A leaf with tensors laid along a new axis.
fn stacked(parts: &[Tensor], axis: usize) -> Tensor {
    let wide = Tensor::stack(&parts.iter().collect::<Vec<_>>(), axis as isize);
    let values: Vec<f64> = oracle(&wide);
    if wide.dtype() == DType::I64 {
        // Keys need all their 64 bits.
        let whole: Vec<i64> = wide.to_vec().unwrap_or_default();
        return Tensor::from_slice(&whole, wide.shape());
    }
    crate::support::with_values(&wide, &values)
}

fn refs(tensors: &[Tensor]) -> Vec<&Tensor> {
    tensors.iter().collect()
}

#[test]
fn vmap_equals_a_loop() {
    for_each_sample(|sample| {
        for dtype in sample.dtypes().into_iter().filter(|dtype| matches!(dtype, DType::F64 | DType::I32 | DType::Bool)) {
            for way in ways(sample, dtype) {
                let what = format!("{dtype} along {:?}", way.axes);
                let wide = vmap(|x| Ok(vec![sample.record(x)]), &refs(&way.wide), &way.axes).map_err(text)?.remove(0);
                let looped: Vec<Tensor> = way.examples.iter().map(|x| sample.record(x)).collect();
                if wide.shape()[0] != EXAMPLES || wide.shape()[1..] != *looped[0].shape() {
                    return Err(format!("{what}: shape {:?}, of one example {:?}", wide.shape(), looped[0].shape()));
                }
                agree(&what, &eval(&wide), &looped.iter().map(oracle).collect::<Vec<_>>().concat(), 1e-13)?;
                backends_agree(&what, &wide, 500.0)?;
            }
        }
        Ok(())
    });
}

#[test]
fn vmap_of_vmap_equals_two_loops() {
    for_each_sample(|sample| {
        let (Some(dtype), false) = (sample.dtypes().into_iter().find(|dtype| *dtype == DType::F64), sample.inputs.is_empty()) else {
            return Ok(());
        };
        let own: Vec<Vec<Tensor>> = (0..4).map(|e| sample.tensors(dtype, 80 + e)).collect();
        let grid = |k: usize| {
            let rows: Vec<Tensor> = (0..2).map(|i| stacked(&[own[2 * i][k].clone(), own[2 * i + 1][k].clone()], 0)).collect();
            stacked(&rows, 1)
        };
        // The outer examples lie along axis 1, the inner ones along axis 0.
        let wide: Vec<Tensor> = (0..sample.inputs.len()).map(grid).collect();
        let inner = vec![Some(0); wide.len()];
        let both = vmap(|x| vmap(|x| Ok(vec![sample.record(x)]), &refs(x), &inner), &refs(&wide), &vec![Some(1); wide.len()]);
        let want: Vec<f64> = own.iter().map(|x| oracle(&sample.record(x))).collect::<Vec<_>>().concat();
        agree("twice", &eval(&both.map_err(text)?[0]), &want, 1e-13)
    });
}

#[test]
fn vmap_of_grad_equals_a_loop() {
    for_each_sample(|sample| {
        let Some((_, y, kinds)) = applied(sample, 1) else { return Ok(()) };
        let wrt: Vec<usize> = (0..kinds.len()).filter(|&k| matches!(kinds[k], Kind::Linear | Kind::Custom)).collect();
        if wrt.is_empty() {
            return Ok(());
        }
        let (c, d) = (like(&y, 1), like(&y, 2));
        let gradients = |x: &[Tensor]| {
            let y = sample.record(x);
            (&c * &y + &d * &y * &y).sum().grad(&wrt.iter().map(|&k| &x[k]).collect::<Vec<_>>())
        };
        for way in ways(sample, DType::F64) {
            let wide = vmap(|x| gradients(x), &refs(&way.wide), &way.axes).map_err(text)?;
            let looped: Vec<Vec<Tensor>> = way.examples.iter().map(|x| gradients(x)).collect::<Result<_, _>>().map_err(text)?;
            for (i, wide) in wide.iter().enumerate() {
                let want = looped.iter().map(|g| oracle(&g[i])).collect::<Vec<_>>().concat();
                agree(&format!("along {:?}, by input {}", way.axes, wrt[i]), &eval(wide), &want, 1e-12)?;
            }
        }
        Ok(())
    });
}

#[test]
fn grad_of_vmap_equals_the_sum_of_a_loop() {
    for_each_sample(|sample| {
        let Some((_, _, kinds)) = applied(sample, 1) else { return Ok(()) };
        let wrt: Vec<usize> = (0..kinds.len()).filter(|&k| matches!(kinds[k], Kind::Linear | Kind::Custom)).collect();
        for way in ways(sample, DType::F64).into_iter().filter(|_| !wrt.is_empty()) {
            let wide = vmap(|x| Ok(vec![sample.record(x)]), &refs(&way.wide), &way.axes).map_err(text)?.remove(0);
            let cotangent = like(&wide, 3);
            let chosen: Vec<&Tensor> = wrt.iter().map(|&k| &way.wide[k]).collect();
            let got = vjp(&[&wide], &[&cotangent], &chosen).map_err(text)?;
            let tangents: Vec<Tensor> = chosen.iter().zip(70..).map(|(x, seed)| like(x, seed)).collect();
            let forward = jvp(&[&wide], &chosen, &refs(&tangents)).map_err(text)?.remove(0);
            let rows = oracle(&cotangent);
            let row = rows.len() / EXAMPLES;
            for (i, &k) in wrt.iter().enumerate() {
                let mut parts = Vec::new();
                for (e, x) in way.examples.iter().enumerate() {
                    let y = sample.record(x);
                    let seed = crate::support::with_values(&y, &rows[e * row..(e + 1) * row]);
                    parts.push(vjp(&[&y], &[&seed], &[&x[k]]).map_err(text)?.remove(0));
                }
                let want = match way.axes[k] {
                    Some(axis) => Tensor::stack(&refs(&parts), axis as isize),
                    None => parts.iter().skip(1).fold(parts[0].clone(), |sum, part| sum + part),
                };
                agree(&format!("along {:?}, by input {k}", way.axes), &eval(&got[i]), &oracle(&want), 1e-12)?;
            }
            let left: f64 = crate::support::dot(&eval(&forward), &rows);
            let right: f64 = got.iter().zip(&tangents).map(|(g, t)| crate::support::dot(&eval(g), &eval(t))).sum();
            if (left - right).abs() > 1e-10 * left.abs().max(1.0) {
                return Err(format!("forward {left:e}, reverse {right:e} along {:?}", way.axes));
            }
        }
        Ok(())
    });
}

#[test]
fn vmap_of_second_order_equals_a_loop() {
    for_each_sample(|sample| {
        let Some((_, _, kinds)) = applied(sample, 1) else { return Ok(()) };
        let Some(k) = kinds.iter().position(|kind| *kind == Kind::Linear) else { return Ok(()) };
        let second = |x: &[Tensor]| {
            let first = loss(&sample.record(x), 4).grad(&[&x[k]])?.remove(0);
            jvp(&[&first], &[&x[k]], &[&like(&x[k], 5)])
        };
        for way in ways(sample, DType::F64).into_iter().filter(|way| way.axes[k].is_some()) {
            let wide = vmap(|x| second(x), &refs(&way.wide), &way.axes).map_err(text)?.remove(0);
            let looped: Vec<Tensor> = way.examples.iter().map(|x| second(x)).collect::<Result<Vec<_>, _>>().map_err(text)?.concat();
            let want = looped.iter().map(oracle).collect::<Vec<_>>().concat();
            agree(&format!("along {:?}", way.axes), &eval(&wide), &want, 1e-11)?;
        }
        Ok(())
    });
}

#[test]
fn an_empty_batch_gives_an_empty_result() {
    for_each_sample(|sample| {
        if sample.inputs.is_empty() || !sample.dtypes().contains(&DType::F64) {
            return Ok(());
        }
        let one = sample.tensors(DType::F64, 1);
        let empty: Vec<Tensor> = one
            .iter()
            .map(|x| Tensor::full([&[0], x.shape()].concat(), 0.0, x.dtype()).to_leaf())
            .collect::<Result<_, _>>()
            .map_err(text)?;
        let wide = vmap(|x| Ok(vec![sample.record(x)]), &refs(&empty), &vec![Some(0); empty.len()]).map_err(text)?.remove(0);
        let y = sample.record(&one);
        if wide.shape()[0] != 0 || wide.shape()[1..] != *y.shape() || !eval(&wide).is_empty() {
            return Err(format!("shape {:?}, of one example {:?}", wide.shape(), y.shape()));
        }
        Ok(())
    });
}

/// A product with weights that all examples share, and a table that all look into, are what batches are for: a copy for
/// each example would cost more than the work.
#[test]
fn what_all_examples_share_is_not_repeated() {
    let mut met = 0;
    for_each_sample(|sample| {
        for way in ways(sample, DType::F64) {
            let batched: Vec<bool> = way.axes.iter().map(Option::is_some).collect();
            let shares = match sample.op {
                Op::Einsum(_) => true,
                Op::Gather(Gather { batch: 0 }) => batched == [false, true],
                Op::Barrier(_) => batched[0],
                _ => false,
            };
            if !shares || batched.iter().all(|&batched| batched) {
                continue;
            }
            met += 1;
            let wide = vmap(|x| Ok(vec![sample.record(x)]), &refs(&way.wide), &way.axes).map_err(text)?.remove(0);
            if Walk::new([&wide], |_| true).nodes.iter().any(|node| matches!(node.op(), Op::Broadcast(_))) {
                return Err(format!("repeated, batched along {:?}", way.axes));
            }
        }
        Ok(())
    });
    assert!(met > 20, "only {met} ways");
}
