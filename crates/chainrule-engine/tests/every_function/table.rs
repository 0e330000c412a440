//! The table of derivatives of functions in `docs/derivatives.md`, measured on every run; written by
//! `WRITE_DERIVATIVES=1 cargo test -p chainrule-engine --test every_function table`.

use crate::catalogue::{Sample, none, samples};
use crate::support::page::{self, Part};
use crate::support::{all, apart, dot, eval, like, loss, numeric_along, numeric_gradient, with_values};
use chainrule_engine::transform::{jvp, vjp, vmap};
use chainrule_engine::{DType, ErrorKind, Result, Tensor};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

/// What is measured of a function.
const COLUMNS: [&str; 7] = ["value", "first order", "adjoint", "second order", "vmap", "f32", "f32 gradient"];
/// What may at most be measured, by column.
const LIMITS: [f64; 7] = [1e-14, 1e-7, 1e-12, 1e-7, 1e-11, 1e-5, 1e-5];
const TEXT: &str = "Every public function of the catalogue (`functions`, and methods of tensors that do arithmetic or move elements) with its \
    worst error over all samples (`tests/support/catalogue`), away from kinks.\n\n\
    - value: against a formula, where the list has one; other values are held to figures of NumPy, PyTorch and mpmath by tests of their own;\n\
    - first order: the gradient of a loss that is not linear in the result, by each input, against central differences of the reference \
    backend, extrapolated;\n\
    - adjoint: the product of a tangent with a cotangent, by forward mode and by reverse mode;\n\
    - second order: how the gradient moves along a direction, by forward over reverse and by reverse over reverse, against differences of the \
    gradient;\n\
    - vmap: values and gradients of two examples at once, against those of one after the other;\n\
    - f32, and f32 gradient: values and gradients in f32 of the same numbers, against those in f64.";

/// The worst of all samples of a function.
#[derive(Default)]
struct Row {
    samples: usize,
    errors: [Option<f64>; 7],
    /// Whether a sample has a derivative that is not 0.
    moves: bool,
}

impl Row {
    fn worse(&mut self, column: usize, error: f64) {
        let so_far = self.errors[column].unwrap_or(0.0);
        // What is no number is worse than any.
        self.errors[column] = Some(if error.is_nan() { f64::INFINITY } else { so_far.max(error) });
    }
}

fn references(tensors: &[Tensor]) -> Vec<&Tensor> {
    tensors.iter().collect()
}

/// The gradients of a loss of the sample's result.
fn gradients(sample: &Sample, x: &[Tensor]) -> Result<Vec<Tensor>> {
    loss(&(sample.call)(x), 5).grad(&references(x))
}

/// The tangents of what may not depend on the inputs any more.
fn forward(outputs: &[Tensor], x: &[&Tensor], along: &[&Tensor]) -> Result<Vec<Tensor>> {
    let one = |y: &Tensor| match jvp(&[y], x, along) {
        Ok(mut tangents) => Ok(tangents.remove(0)),
        Err(error) if error.kind() == ErrorKind::Disconnected => Ok(y.zeros_like()),
        Err(error) => Err(error),
    };
    outputs.iter().map(one).collect()
}

fn measure(sample: &Sample, row: &mut Row) -> Result<()> {
    row.samples += 1;
    let x = &sample.inputs;
    let wrt = references(x);
    let y = (sample.call)(x);
    y.check()?;
    if let Some(value) = &sample.value {
        row.worse(0, apart(&eval(&y), value));
    }

    let first = gradients(sample, x)?;
    row.moves |= all(&first).iter().any(|slope| *slope != 0.0);
    for (k, first) in first.iter().enumerate() {
        row.worse(1, apart(&eval(first), &numeric_gradient(x, k, &|x| loss(&(sample.call)(x), 5))));
    }

    let directions: Vec<Tensor> = x.iter().zip(40..).map(|(x, seed)| like(x, seed)).collect();
    let along = references(&directions);
    let cotangent = like(&y, 30);
    let tangent = eval(&forward(std::slice::from_ref(&y), &wrt, &along)?[0]);
    let back = vjp(&[&y], &[&cotangent], &wrt)?;
    let (left, right) = (dot(&tangent, &eval(&cotangent)), dot(&all(&back), &all(&directions)));
    let size: f64 = tangent.iter().zip(eval(&cotangent)).map(|(a, b)| (a * b).abs()).sum();
    row.worse(2, (left - right).abs() / size.max(1e-3));

    let some = directions.iter().cloned().map(Some).collect::<Vec<_>>();
    let bend = numeric_along(x, &some, &|x| gradients(sample, x).unwrap_or_default());
    row.worse(3, apart(&all(&forward(&first, &wrt, &along)?), &bend));
    let inner = first.iter().zip(&along).map(|(g, &u)| (g * u).sum()).reduce(|a, b| a + b);
    let twice = inner.map_or(Ok(Vec::new()), |inner| inner.grad_or_zeros(&wrt))?;
    row.worse(3, apart(&all(&twice), &bend));

    batched(sample, row)?;
    narrow(sample, row, &y, &first)?;
    origins(sample, &[&[y], &first[..], &back[..], &twice[..]].concat());
    Ok(())
}

/// The sample, and one of the same numbers in the opposite order.
fn batched(sample: &Sample, row: &mut Row) -> Result<()> {
    let x = &sample.inputs;
    let turned = |x: &Tensor| with_values(x, &eval(x).into_iter().rev().collect::<Vec<_>>());
    let other: Vec<Tensor> = x.iter().map(turned).collect();
    let everything = |x: &[Tensor]| -> Result<Vec<Tensor>> { Ok([vec![(sample.call)(x)], gradients(sample, x)?].concat()) };
    let wide: Vec<Tensor> = x.iter().zip(&other).map(|(a, b)| Tensor::stack(&[a, b], 0)).collect();
    let both = vmap(everything, &references(&wide), &vec![Some(0); wide.len()])?;
    for ((both, one), two) in both.iter().zip(everything(x)?).zip(everything(&other)?) {
        row.worse(4, apart(&eval(both), &[eval(&one), eval(&two)].concat()));
    }
    Ok(())
}

/// The sample in f32; its numbers are the same there.
fn narrow(sample: &Sample, row: &mut Row, y: &Tensor, first: &[Tensor]) -> Result<()> {
    let x: Vec<Tensor> = sample.inputs.iter().map(|x| x.cast(DType::F32).to_leaf()).collect::<Result<_>>()?;
    let narrow = (sample.call)(&x);
    if narrow.dtype() != DType::F32 {
        return Ok(());
    }
    row.worse(5, apart(&eval(&narrow), &eval(y)));
    for (narrow, wide) in gradients(sample, &x)?.iter().zip(first) {
        row.worse(6, apart(&eval(narrow), &eval(wide)));
    }
    Ok(())
}

/// Every node belongs to a line outside the library, but for zeros that a transform fills in.
fn origins(sample: &Sample, roots: &[Tensor]) {
    let mut open = roots.to_vec();
    let mut seen = HashSet::new();
    while let Some(node) = open.pop() {
        if seen.insert(node.id()) {
            let place = node.origin().place().to_string();
            let known = place.contains("tests") || place.contains("transform/reverse.rs");
            assert!(known, "{} {}: {:?} has its origin at {place}", sample.function, sample.setting, node.op());
            open.extend(node.inputs().iter().cloned());
        }
    }
}

fn rows() -> BTreeMap<String, Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut failures = Vec::new();
    for sample in samples() {
        let row = rows.entry(sample.function.clone()).or_default();
        if let Err(error) = measure(&sample, row) {
            failures.push(format!("{} {}: {error}", sample.function, sample.setting));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    rows
}

/// The sentence that README may have, too.
fn totals(rows: &BTreeMap<String, Row>) -> String {
    let samples: usize = rows.values().map(|row| row.samples).sum();
    let steps = rows.values().filter(|row| !row.moves).count();
    format!(
        "{} functions in {samples} samples, each with its derivatives to second order, in batches and in f32; {steps} of them are steps, whose \
         derivative is zero",
        rows.len()
    )
}

/// Functions without a row, by the reason.
fn without() -> String {
    let mut text = String::from("No derivative, by definition:\n\n");
    for (reason, functions) in none::WITHOUT {
        let names: Vec<String> = functions.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "- {reason}: {}.", names.join(", "));
    }
    text
}

#[test]
fn the_table_of_derivatives_of_functions_is_true() {
    let rows = rows();
    let said = |row: &Row| vec![row.samples.to_string(), if row.moves { String::new() } else { "zero: a function made of steps".into() }];
    let part = Part {
        title: "Functions",
        text: TEXT,
        totals: totals(&rows),
        subject: "function",
        measured: &COLUMNS,
        said: &["samples", "derivative"],
        rows: rows.iter().map(|(name, row)| (name.clone(), (row.errors.to_vec(), said(row)))).collect(),
        below: without(),
    };
    part.keep_within(&LIMITS);
    part.hold();
    let (totals, readme) = (totals(&rows), page::read("README.md").replace('\n', " "));
    assert!(readme.contains(&totals) || !readme.contains(" functions in "), "README.md should say: {totals}");
}
