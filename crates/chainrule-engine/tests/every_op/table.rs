//! The table of derivatives, `docs/derivatives.md`: of every operation, how far each kind of derivative is from what
//! it is held against. Measured here, on every run; written by
//! `WRITE_DERIVATIVES=1 cargo test -p chainrule-engine --test every_op table`.
//!
//! Refuses to be edited by hand: a row that is missing, or better than what is measured, fails.

use crate::support::{dot, eval, largest, like, numeric_along, numeric_gradient, oracle};
use crate::{Kind, applied, kinds, loss};
use chainrule_engine::ops::samples::{Sample, samples};
use chainrule_engine::ops::{Derivative, Op, Operation};
use chainrule_engine::transform::{jvp, vjp, vmap};
use chainrule_engine::{DType, Result, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

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

/// The largest distance, as a part of the largest number wanted (or of a tenth, if that is larger).
fn apart(got: &[f64], want: &[f64]) -> f64 {
    if got.len() != want.len() {
        return f64::INFINITY;
    }
    let off = got.iter().zip(want).map(|(g, w)| if g == w { 0.0 } else { (g - w).abs() });
    off.fold(0.0, |worst: f64, off| if off.is_nan() { f64::INFINITY } else { worst.max(off) }) / largest(want).max(0.1)
}

fn all(tensors: &[Tensor]) -> Vec<f64> {
    tensors.iter().map(eval).collect::<Vec<_>>().concat()
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

/// The power of ten at or above an error.
fn bound(error: f64) -> String {
    if error == 0.0 { "exact".into() } else { format!("1e{}", error.log10().ceil() as i32) }
}

fn number(bound: &str) -> Option<f64> {
    if bound == "exact" { Some(0.0) } else { bound.parse().ok() }
}

/// The sentence that README has, too.
fn totals(rows: &BTreeMap<&str, Row>) -> String {
    let samples: usize = rows.values().map(|row| row.samples).sum();
    let derived = rows.values().filter(|row| row.errors[0].is_some()).count();
    format!("{} operations in {samples} samples; {derived} of them have derivatives, each checked to second order", rows.len())
}

fn page(rows: &BTreeMap<&str, Row>) -> String {
    let mut page = String::from(
        "# Derivatives, and how they were checked\n\n\
         Every operation of the engine with its worst error over all samples (`ops/samples.rs`), in f64, as the power of ten above it, \
         relative to the largest number of its tensor. Written by `WRITE_DERIVATIVES=1 cargo test -p chainrule-engine --test every_op table`; \
         the same test fails if a row is missing, or no longer true.\n\n\
         - first order: the gradient of a loss that is not linear in the result, against central differences of the reference backend, extrapolated;\n\
         - forward mode: the tangent along a direction, against differences;\n\
         - adjoint: the product of a tangent with a cotangent, by forward mode and by reverse mode;\n\
         - second order: how the gradient moves along a direction, by forward over reverse and by reverse over reverse, against differences of the gradient;\n\
         - vmap: the gradients of two examples at once, against those of one after the other.\n\n\
         Differences have some ten digits themselves. A dash: nothing to be measured.\n\n",
    );
    let _ = writeln!(page, "In all: {}.\n", totals(rows));
    let _ = writeln!(page, "| operation | {} | element types | no derivative |", COLUMNS.join(" | "));
    let _ = writeln!(page, "|---|{}---|---|", "---:|".repeat(COLUMNS.len()));
    for (name, row) in rows {
        let errors: Vec<String> = row.errors.iter().map(|error| error.map_or("-".into(), bound)).collect();
        let dtypes: Vec<&str> = row.dtypes.iter().copied().collect();
        let notes: Vec<String> = row.notes.iter().cloned().collect();
        let _ = writeln!(page, "| `{name}` | {} | {} | {} |", errors.join(" | "), dtypes.join(", "), notes.join("; "));
    }
    page
}

/// A page in the repository.
fn file(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

#[test]
fn the_table_of_derivatives_is_true() {
    let rows = rows();
    let mut failures = Vec::new();
    for (name, row) in &rows {
        for ((column, error), limit) in COLUMNS.iter().zip(row.errors).zip(LIMITS) {
            if error.is_some_and(|error| error > limit) {
                failures.push(format!("{name}, {column}: {error:?}, at most {limit:e} allowed"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    if std::env::var_os("WRITE_DERIVATIVES").is_some() {
        std::fs::write(file("docs/derivatives.md"), page(&rows)).unwrap();
    }
    let [written, readme] = ["docs/derivatives.md", "README.md"].map(|name| std::fs::read_to_string(file(name)).unwrap());
    let cells = |line: &str| -> Vec<String> { line.split('|').map(|cell| cell.trim().to_string()).collect() };
    let found: BTreeMap<String, Vec<String>> =
        written.lines().filter(|line| line.starts_with("| `")).map(|line| (cells(line)[1].clone(), cells(line))).collect();
    let again = "; write the page again, as its first lines say";
    assert_eq!(found.len(), rows.len(), "rows of docs/derivatives.md{again}");
    for (line, (name, row)) in page(&rows).lines().filter(|line| line.starts_with("| `")).zip(&rows) {
        let (now, then) = (cells(line), &found[&format!("`{name}`")]);
        // What is measured may differ by a power of ten where a processor rounds otherwise; names, types and reasons may not.
        assert_eq!(now[7..], then[7..], "`{name}`{again}");
        for (at, error) in row.errors.iter().enumerate() {
            let said = number(&then[2 + at]);
            let holds = match (error, said) {
                (Some(error), Some(said)) => *error <= (10.0 * said).max(1e-14),
                (None, None) => true,
                _ => false,
            };
            assert!(holds, "`{name}`, {}: {error:?} measured, {said:?} written{again}", COLUMNS[at]);
        }
    }
    let totals = totals(&rows);
    assert!(written.contains(&totals) && readme.replace('\n', " ").contains(&totals), "README.md and the page should say: {totals}");
}
