//! What is measured of a function: value, derivatives of two orders in both modes, batches, and narrower types.
//!
//! Refuses to know any function.

use super::page::Part;
use super::{all, apart, dot, eval, like, loss, numeric_along, numeric_gradient, with_values};
use chainrule_engine::transform::{jvp, vjp, vmap};
use chainrule_engine::{DType, ErrorKind, Result, Tensor};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

/// What is measured.
const COLUMNS: [&str; COUNT] = [
    "value",
    "first order",
    "forward mode",
    "adjoint",
    "second order",
    "vmap",
    "f32",
    "f32 gradient",
    "bf16",
    "bf16 gradient",
    "f16",
    "f16 gradient",
];
const COUNT: usize = 12;
/// What may at most be measured, by column. In narrow types that is a few roundings of a value, by a part of 2^-9 each in
/// bf16 and 2^-12 in f16, and some more of what a gradient is made of.
/// The most in bf16 is 9.6e-3, of `ifftn` over several axes; one rounding, 2^-9, may fall otherwise on another machine.
const LIMITS: [f64; COUNT] = [1e-14, 1e-7, 1e-7, 1e-12, 1e-7, 1e-11, 1e-5, 1e-5, 1.2e-2, 1e-1, 1e-2, 1e-2];
/// What may be rounded on one machine and not on another.
const LEAST: [f64; COUNT] = [1e-14, 1e-14, 1e-14, 1e-14, 1e-14, 1e-14, 2e-7, 2e-7, 1e-2, 1e-2, 1e-3, 1e-3];
/// The types beside f64, and the column of each; that of its gradients follows.
const NARROW: [(DType, usize); 3] = [(DType::F32, 6), (DType::BF16, 8), (DType::F16, 10)];

pub type Call<'a> = &'a dyn Fn(&[Tensor]) -> Tensor;

/// A function of f64 tensors at some place, whose numbers are the same in f32, and its value there, if it is known.
pub struct Subject<'a> {
    pub name: String,
    pub call: Call<'a>,
    pub inputs: &'a [Tensor],
    pub value: Option<&'a [f64]>,
}

/// The worst of all samples of a function.
#[derive(Default)]
pub struct Row {
    samples: usize,
    errors: [Option<f64>; COUNT],
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

/// The gradients of a loss of the result.
fn gradients(subject: &Subject, x: &[Tensor]) -> Result<Vec<Tensor>> {
    loss(&(subject.call)(x), 5).grad(&references(x))
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

fn measure(subject: &Subject, row: &mut Row) -> Result<()> {
    row.samples += 1;
    let x = subject.inputs;
    let wrt = references(x);
    let y = (subject.call)(x);
    y.check()?;
    if let Some(value) = subject.value {
        row.worse(0, apart(&eval(&y), value));
    }

    let first = gradients(subject, x)?;
    row.moves |= all(&first).iter().any(|slope| *slope != 0.0);
    for (k, first) in first.iter().enumerate() {
        row.worse(1, apart(&eval(first), &numeric_gradient(x, k, &|x| loss(&(subject.call)(x), 5))));
    }

    let directions: Vec<Tensor> = x.iter().zip(40..).map(|(x, seed)| like(x, seed)).collect();
    let along = references(&directions);
    let cotangent = like(&y, 30);
    let tangent = eval(&forward(std::slice::from_ref(&y), &wrt, &along)?[0]);
    let back = vjp(&[&y], &[&cotangent], &wrt)?;
    let (left, right) = (dot(&tangent, &eval(&cotangent)), dot(&all(&back), &all(&directions)));
    let size: f64 = tangent.iter().zip(eval(&cotangent)).map(|(a, b)| (a * b).abs()).sum();
    row.worse(3, (left - right).abs() / size.max(1e-3));

    let some = directions.iter().cloned().map(Some).collect::<Vec<_>>();
    row.worse(2, apart(&tangent, &numeric_along(x, &some, &|x| vec![(subject.call)(x)])));
    let bend = numeric_along(x, &some, &|x| gradients(subject, x).unwrap_or_default());
    row.worse(4, apart(&all(&forward(&first, &wrt, &along)?), &bend));
    let inner = first.iter().zip(&along).map(|(g, &u)| (g * u).sum()).reduce(|a, b| a + b);
    let twice = inner.map_or(Ok(Vec::new()), |inner| inner.grad_or_zeros(&wrt))?;
    row.worse(4, apart(&all(&twice), &bend));

    batched(subject, row)?;
    for (dtype, column) in NARROW {
        narrow(subject, row, dtype, column)?;
    }
    origins(subject, &[&[y], &first[..], &back[..], &twice[..]].concat());
    Ok(())
}

/// The inputs, and one of the same numbers in the opposite order: all inputs in batches, along the first axis and along the
/// last, and each of them alone.
fn batched(subject: &Subject, row: &mut Row) -> Result<()> {
    let x = subject.inputs;
    let turned = |x: &Tensor| with_values(x, &eval(x).into_iter().rev().collect::<Vec<_>>());
    let other: Vec<Tensor> = x.iter().map(turned).collect();
    let everything = |x: &[Tensor]| -> Result<Vec<Tensor>> { Ok([vec![(subject.call)(x)], gradients(subject, x)?].concat()) };
    let first = vec![Some(0); x.len()];
    let last = x.iter().map(|x| Some(x.rank())).collect();
    let alone = |k| (0..x.len()).map(|at| (at == k).then_some(0)).collect();
    let axes: Vec<Vec<Option<usize>>> = [first, last].into_iter().chain((0..x.len()).map(alone)).collect();
    for axes in axes {
        let wide = |k: usize| match axes[k] {
            Some(axis) => Tensor::stack(&[&x[k], &other[k]], axis as isize),
            None => x[k].clone(),
        };
        let second: Vec<Tensor> = (0..x.len()).map(|k| if axes[k].is_some() { other[k].clone() } else { x[k].clone() }).collect();
        let both = vmap(everything, &references(&(0..x.len()).map(wide).collect::<Vec<_>>()), &axes)?;
        for ((both, one), two) in both.iter().zip(everything(x)?).zip(everything(&second)?) {
            row.worse(5, apart(&eval(both), &[eval(&one), eval(&two)].concat()));
        }
    }
    Ok(())
}

/// The function in a narrower type against f64, at numbers that both have. What is left out: a type that
/// the function refuses, and numbers that the type does not hold.
fn narrow(subject: &Subject, row: &mut Row, dtype: DType, column: usize) -> Result<()> {
    let x: Vec<Tensor> = subject.inputs.iter().map(|x| x.cast(dtype).to_leaf()).collect::<Result<_>>()?;
    let wide: Vec<Tensor> = x.iter().map(|x| x.cast(DType::F64).to_leaf()).collect::<Result<_>>()?;
    let narrow = (subject.call)(&x);
    let refused = narrow.error().is_some_and(|error| error.kind() == ErrorKind::DType);
    if refused || narrow.dtype() != dtype {
        return Ok(());
    }
    let (value, slopes) = ((subject.call)(&wide), gradients(subject, &wide)?);
    let held = |wide: &Tensor| eval(&wide.cast(dtype)).iter().all(|v| v.is_finite());
    if !held(&value) || !slopes.iter().all(held) {
        return Ok(());
    }
    row.worse(column, apart(&eval(&narrow), &eval(&value)));
    for (narrow, wide) in gradients(subject, &x)?.iter().zip(&slopes) {
        row.worse(column + 1, apart(&eval(narrow), &eval(wide)));
    }
    Ok(())
}

/// Every node belongs to a line outside the library, but for zeros that a transform fills in.
fn origins(subject: &Subject, roots: &[Tensor]) {
    let mut open = roots.to_vec();
    let mut seen = HashSet::new();
    while let Some(node) = open.pop() {
        if seen.insert(node.id()) {
            let place = node.origin().place().to_string();
            let known = place.contains("tests") || place.contains("transform/reverse.rs");
            assert!(known, "{}: {:?} has its origin at {place}", subject.name, node.op());
            open.extend(node.inputs().iter().cloned());
        }
    }
}

/// A row for each function, in which every sample has been measured.
#[derive(Default)]
pub struct Measured {
    rows: BTreeMap<String, Row>,
    failures: Vec<String>,
}

impl Measured {
    /// Measures a function at a place for the row of the given name.
    pub fn add(&mut self, row: &str, subject: &Subject) {
        let row = self.rows.entry(row.to_string()).or_default();
        if let Err(error) = measure(subject, row) {
            self.failures.push(format!("{}: {error}", subject.name));
        }
    }

    /// How many functions and samples there are, and how many have a derivative of zero.
    #[track_caller]
    pub fn counts(&self) -> [usize; 3] {
        assert!(self.failures.is_empty(), "{}", self.failures.join("\n"));
        let samples = self.rows.values().map(|row| row.samples).sum();
        [self.rows.len(), samples, self.rows.values().filter(|row| !row.moves).count()]
    }

    /// Holds every row to what is allowed, and to what the page says.
    #[track_caller]
    pub fn hold(&self, title: &'static str, text: &'static str, totals: String, without: &[(&str, &[&str])]) {
        let said = |row: &Row| {
            let narrow = NARROW.iter().filter(|(_, column)| row.errors[*column].is_some()).map(|(dtype, _)| dtype.name());
            let dtypes: Vec<&str> = [DType::F64.name()].into_iter().chain(narrow).collect();
            vec![
                row.samples.to_string(),
                dtypes.join(", "),
                if row.moves { String::new() } else { "zero: a function made of steps".into() },
            ]
        };
        let part = Part {
            title,
            text,
            totals,
            subject: "function",
            measured: &COLUMNS,
            least: &LEAST,
            said: &["samples", "float types", "derivative"],
            rows: self.rows.iter().map(|(name, row)| (name.clone(), (row.errors.to_vec(), said(row)))).collect(),
            below: listed(without),
        };
        part.keep_within(&LIMITS);
        part.hold();
    }
}

/// Functions without a row, by the reason.
fn listed(without: &[(&str, &[&str])]) -> String {
    let mut text = String::from("No derivative, by definition:\n\n");
    for (reason, functions) in without {
        let names: Vec<String> = functions.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "- {reason}: {}.", names.join(", "));
    }
    text
}
