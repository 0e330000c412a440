//! The table of derivatives of operations in `docs/derivatives.md`: of each, how far each kind of derivative is from what
//! it is held against. Measured here, on every run; written by
//! `WRITE_DERIVATIVES=1 cargo test -p chainrule-engine --test every_op table`.
//!
//! Refuses to be edited by hand: a row that is missing, or better than what is measured, fails.

use crate::support::page::{self, Part};
use crate::support::{all, apart, dot, eval, like, numeric_along, numeric_gradient, oracle};
use crate::{Kind, applied, kinds, loss};
use chainrule_engine::ops::samples::{Sample, samples};
use chainrule_engine::ops::{Derivative, Op, Operation};
use chainrule_engine::transform::{jvp, vjp, vmap};
use chainrule_engine::{DType, Result, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// What is measured of an operation.
const COLUMNS: [&str; 5] = ["first order", "forward mode", "adjoint", "second order", "vmap"];
/// What may at most be measured, by column.
const LIMITS: [f64; 5] = [1e-7, 1e-7, 1e-12, 1e-7, 1e-11];

/// The worst of all samples of an operation.
#[derive(Default)]
struct Row {
    samples: usize,
    dtypes: BTreeSet<&'static str>,
    errors: [Option<f64>; 5],
    notes: BTreeSet<String>,
}

impl Row {
    fn worse(&mut self, column: usize, error: f64) {
        let so_far = self.errors[column].unwrap_or(0.0);
        // What is no number is worse than any.
        self.errors[column] = Some(if error.is_nan() { f64::INFINITY } else { so_far.max(error) });
    }
}

/// The program of a sample whose derivative is asked for. The value and the rule of a custom derivative are two inputs, which
/// belong together.
fn record(sample: &Sample, x: &[Tensor]) -> Tensor {
    match sample.op {
        Op::Custom(_) => sample.record(&[x[1].sin() * (Tensor::arange(x[1].len(), DType::F64) + 1.0), x[1].clone()]),
        _ => sample.record(x),
    }
}

fn measure(sample: &Sample, row: &mut Row) -> Result<()> {
    row.samples += 1;
    row.dtypes.extend(sample.dtypes().iter().map(|dtype| dtype.name()));
    note(sample, row);
    let Some((inputs, _, kinds)) = applied(sample, 11) else { return Ok(()) };
    let y = record(sample, &inputs);
    let differentiable = |k: &usize| matches!(kinds[*k], Kind::Linear | Kind::Custom);
    let linear: Vec<usize> = (0..inputs.len()).filter(differentiable).collect();
    if linear.is_empty() {
        return Ok(());
    }
    let wrt = |x: &[Tensor]| -> Vec<Tensor> { linear.iter().map(|&k| x[k].clone()).collect() };
    let gradients = |x: &[Tensor]| -> Result<Vec<Tensor>> {
        let wrt = wrt(x);
        loss(&record(sample, x), 5).grad(&wrt.iter().collect::<Vec<_>>())
    };
    let own = wrt(&inputs);
    let own: Vec<&Tensor> = own.iter().collect();
    let directions: Vec<Option<Tensor>> = (0..inputs.len()).map(|k| differentiable(&k).then(|| like(&inputs[k], 40 + k as u64))).collect();
    let along: Vec<&Tensor> = directions.iter().flatten().collect();

    // A map that is linear in the tangent is the adjoint of its adjoint, whatever is rounded on the way.
    let cotangent = like(&y, 30);
    let tangent = jvp(&[&y], &own, &along)?.remove(0);
    let back = vjp(&[&y], &[&cotangent], &own)?;
    let (left, right) =
        (dot(&eval(&tangent), &eval(&cotangent)), back.iter().zip(&along).map(|(g, t)| dot(&eval(g), &eval(t))).sum::<f64>());
    let size: f64 = eval(&tangent).iter().zip(eval(&cotangent)).map(|(a, b)| (a * b).abs()).sum();
    row.worse(2, (left - right).abs() / size.max(1e-3));

    // Differences of what is rounded to a narrower type in between say nothing.
    if y.dtype() == DType::F64 {
        let first = gradients(&inputs)?;
        for (at, &k) in linear.iter().enumerate() {
            row.worse(0, apart(&eval(&first[at]), &numeric_gradient(&inputs, k, &|x| loss(&record(sample, x), 5))));
        }
        row.worse(1, apart(&eval(&tangent), &numeric_along(&inputs, &directions, &|x| vec![record(sample, x)])));
        let bend = numeric_along(&inputs, &directions, &|x| gradients(x).unwrap_or_default());
        let forward = jvp(&first.iter().collect::<Vec<_>>(), &own, &along)?;
        row.worse(3, apart(&all(&forward), &bend));
        let inner = first.iter().zip(&along).map(|(g, &u)| (g * u).sum()).reduce(|a, b| a + b);
        if let Some(inner) = inner {
            row.worse(3, apart(&all(&inner.grad(&own)?), &bend));
        }
    }

    let other = sample.tensors(DType::F64, 61);
    let wide: Vec<Tensor> = inputs.iter().zip(&other).map(|(a, b)| Tensor::stack(&[a, b], 0)).collect();
    let both = vmap(gradients, &wide.iter().collect::<Vec<_>>(), &vec![Some(0); wide.len()])?;
    let (one, two) = (gradients(&inputs)?, gradients(&other)?);
    for (i, both) in both.iter().enumerate() {
        row.worse(4, apart(&eval(both), &[oracle(&one[i]), oracle(&two[i])].concat()));
    }
    Ok(())
}

/// What is said of inputs by which there is no derivative, or one that is zero.
fn note(sample: &Sample, row: &mut Row) {
    let dtype = sample.dtypes().into_iter().find(|&dtype| dtype == DType::F64).or(sample.dtypes().first().copied());
    let Some(dtype) = dtype.filter(|_| !sample.inputs.is_empty()) else { return };
    let node = sample.record(&sample.tensors(dtype, 11));
    let say = |(k, kind): (usize, Kind)| match (kind, node.op().derivative(&node, k)) {
        (Kind::Zero, _) if !matches!(sample.op, Op::Custom(_)) => "zero by declaration".to_string(),
        (Kind::Forward, _) => "forward mode only, or both as a `scan` with a bound".to_string(),
        (Kind::Cut, Derivative::Cut(reason)) => format!("none, {reason}"),
        _ => String::new(),
    };
    let said: Vec<String> = kinds(sample, &node).into_iter().enumerate().map(say).collect();
    if said.iter().all(|other| *other == said[0]) {
        row.notes.extend(said.into_iter().take(1).filter(|text| !text.is_empty()));
        return;
    }
    let of_input = |(k, text): (usize, String)| (!text.is_empty()).then(|| format!("input {k}: {text}"));
    row.notes.extend(said.into_iter().enumerate().filter_map(of_input));
}

fn rows() -> BTreeMap<&'static str, Row> {
    let mut rows: BTreeMap<&'static str, Row> = BTreeMap::new();
    for sample in samples() {
        let row = rows.entry(sample.op.name()).or_default();
        if let Err(error) = measure(&sample, row) {
            panic!("{}: {error}", sample.name);
        }
    }
    rows
}

/// The sentence that README has, too.
fn totals(rows: &BTreeMap<&str, Row>) -> String {
    let samples: usize = rows.values().map(|row| row.samples).sum();
    let derived = rows.values().filter(|row| row.errors[0].is_some()).count();
    format!("{} operations in {samples} samples; {derived} of them have derivatives, each checked to second order", rows.len())
}

const TEXT: &str = "Every operation of the engine with its worst error over all samples (`ops/samples.rs`).\n\n\
    - first order: the gradient of a loss that is not linear in the result, against central differences of the reference backend, extrapolated;\n\
    - forward mode: the tangent along a direction, against differences;\n\
    - adjoint: the product of a tangent with a cotangent, by forward mode and by reverse mode;\n\
    - second order: how the gradient moves along a direction, by forward over reverse and by reverse over reverse, against differences of the gradient;\n\
    - vmap: the gradients of two examples at once, against those of one after the other.";

fn part(rows: &BTreeMap<&str, Row>) -> Part {
    let cells = |row: &Row| {
        let joined = |words: Vec<&str>, between: &str| words.join(between);
        vec![joined(row.dtypes.iter().copied().collect(), ", "), joined(row.notes.iter().map(String::as_str).collect(), "; ")]
    };
    let line = |(name, row): (&&str, &Row)| (name.to_string(), (row.errors.to_vec(), cells(row)));
    Part {
        title: "Operations",
        text: TEXT,
        totals: totals(rows),
        subject: "operation",
        measured: &COLUMNS,
        least: &[1e-14; 5],
        said: &["element types", "no derivative"],
        rows: rows.iter().map(line).collect(),
        below: String::new(),
    }
}

#[test]
fn the_table_of_derivatives_is_true() {
    let rows = rows();
    let part = part(&rows);
    part.keep_within(&LIMITS);
    part.hold();
    let totals = totals(&rows);
    assert!(page::read("README.md").replace('\n', " ").contains(&totals), "README.md should say: {totals}");
}
