//! The part of `docs/derivatives.md` on linear algebra, measured on every run; written by
//! `WRITE_DERIVATIVES=1 cargo test -p chainrule --features linalg --test library table`.

use super::cases::CASES;
use super::support::measure::{Measured, Subject};
use super::support::sources::{none_is_missing, public};
use super::{apart, leaf, numbers};
use chainrule::linalg::multi_dot;
use chainrule::{DType, Tensor};
use std::collections::BTreeSet;

const TEXT: &str = "The functions of `chainrule::linalg` (feature `linalg`), measured as those above are, over the cases of their tests \
    (`tests/library/linalg/cases.rs`): matrices whose eigenvalues and singular values are apart. Decompositions run on the host, in \
    f64; their derivatives are recorded.";

/// Functions without a row, and why.
const WITHOUT: &[(&str, &[&str])] = &[("a rank is a whole number", &["matrix_rank"])];

fn function(case: &str) -> &str {
    case.split([' ', ',']).next().unwrap_or(case)
}

/// Leaves of the same numbers in f32.
fn rounded(inputs: &[Tensor]) -> Vec<Tensor> {
    inputs.iter().map(|x| leaf(&x.cast(DType::F32).cast(DType::F64))).collect()
}

fn product(x: &[Tensor]) -> Tensor {
    multi_dot(&x.iter().collect::<Vec<_>>())
}

#[test]
fn the_table_of_derivatives_of_linear_algebra_is_true() {
    let mut measured = Measured::default();
    for case in CASES {
        let inputs = rounded(&case.inputs(&[], 1));
        let subject = Subject { name: case.name.into(), call: &case.function, inputs: &inputs, value: None };
        measured.add(function(case.name), &subject);
    }
    let inputs = rounded(&[apart(&[3, 3], 1), numbers(&[3, 2], 2), numbers(&[2, 4], 3)]);
    measured.add("multi_dot", &Subject { name: "multi_dot".into(), call: &product, inputs: &inputs, value: None });
    let [functions, samples, _] = measured.counts();
    let totals = format!(
        "{functions} functions of linear algebra in {samples} samples, each with its derivatives to second order, in both modes, in batches and in \
         the float types that it takes"
    );
    measured.hold("Linear algebra", TEXT, totals, WITHOUT);
}

#[test]
fn every_public_function_of_linear_algebra_is_in_the_table() {
    let mut rows: BTreeSet<String> = CASES.iter().map(|case| function(case.name).to_string()).collect();
    rows.insert("multi_dot".into());
    // What decompositions are computed by, in a folder of its own, is not public.
    let files = ["determinant", "eigen", "functions", "norm", "solve", "svd", "triangles"].map(|name| format!("src/linalg/{name}.rs"));
    none_is_missing(&rows, WITHOUT, &public(&files.each_ref().map(|file| file.as_str())), 15);
    let uses = include_str!("../../../src/linalg/mod.rs").lines().filter(|line| line.starts_with("pub use")).count();
    assert_eq!(uses, files.len(), "modules of linear algebra whose functions are public");
}
