//! Every operation, by its samples: values, derivatives to second order, batching, layouts.
//!
//! The list of operations is `ops::samples`; `coverage` refuses to build when an operation is
//! missing from it. Nothing here knows what an operation computes: the reference, differences and
//! loops say.

#[path = "../support/mod.rs"]
mod support;

mod batching;
mod coverage;
mod derivatives;
mod equality;
mod lanes;
mod layouts;
mod lengths;
mod malformed;
mod pairs;
mod table;
mod values;
mod whole;

use chainrule_engine::ops::samples::{Sample, samples};
use chainrule_engine::ops::{Derivative, Op, Operation};
use chainrule_engine::{DType, Tensor};
use support::loss;

/// Runs a check on every sample and reports all that fail.
fn for_each_sample(mut check: impl FnMut(&Sample) -> Result<(), String>) {
    let failures: Vec<String> =
        samples().iter().filter_map(|sample| check(sample).err().map(|why| format!("{}: {why}", sample.name))).collect();
    assert!(failures.is_empty(), "{} samples fail:\n{}", failures.len(), failures.join("\n"));
}

/// What a node says of its derivative by an input, without the map itself.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Linear,
    Zero,
    Cut,
    Custom,
    /// In forward mode only.
    Forward,
}

/// What an application says of its derivative by each input. A leaf is its own.
fn kinds(sample: &Sample, node: &Tensor) -> Vec<Kind> {
    let kind = |k: usize| match (&sample.op, node.op().derivative(node, k)) {
        (Op::Input(_), _) | (_, Derivative::Linear(_)) => Kind::Linear,
        (_, Derivative::Zero) => Kind::Zero,
        (_, Derivative::Cut(_)) => Kind::Cut,
        (_, Derivative::Custom) => Kind::Custom,
        (Op::While(_), Derivative::Inner) => Kind::Forward,
        (_, Derivative::Inner) => Kind::Linear,
    };
    (0..sample.inputs.len()).map(kind).collect()
}

/// Samples whose result is of type f64 when their inputs are, with an application of each.
fn applied(sample: &Sample, seed: u64) -> Option<(Vec<Tensor>, Tensor, Vec<Kind>)> {
    if !sample.dtypes().contains(&DType::F64) || sample.inputs.is_empty() {
        return None;
    }
    let inputs = sample.tensors(DType::F64, seed);
    let y = sample.record(&inputs);
    let kinds = kinds(sample, &y);
    y.dtype().is_float().then_some((inputs, y, kinds))
}

fn text(error: chainrule_engine::Error) -> String {
    error.to_string()
}
