//! The table of derivatives of functions in `docs/derivatives.md`, measured on every run; written by
//! `WRITE_DERIVATIVES=1 cargo test -p chainrule-engine --test every_function table`.

use crate::catalogue::{none, samples};
use crate::support::measure::{Measured, Subject};
use crate::support::page;

/// How often the numbers of each are drawn.
const DRAWS: i64 = 3;
const TEXT: &str = "Every public function of the catalogue (`functions`, and methods of tensors that do arithmetic or move elements) with its \
    worst error over all samples (`tests/support/catalogue`), away from kinks.\n\n\
    - value: against a formula, where the list has one; other values are held to figures of NumPy, PyTorch and mpmath by tests of their own;\n\
    - first order: the gradient of a loss that is not linear in the result, by each input, against central differences of the reference \
    backend, extrapolated;\n\
    - forward mode: the tangent along a direction, against differences;\n\
    - adjoint: the product of a tangent with a cotangent, by forward mode and by reverse mode;\n\
    - second order: how the gradient moves along a direction, by forward over reverse and by reverse over reverse, against differences of the \
    gradient;\n\
    - vmap: values and gradients of two examples at once, against those of one after the other;\n\
    - f32, bf16, f16, and the gradient of each: values and gradients in that type, against those in f64 of the same numbers, which both \
    types have; a dash where the function refuses the type, or gives another, or what the type does not hold.";

#[test]
fn the_table_of_derivatives_of_functions_is_true() {
    let mut measured = Measured::default();
    for sample in (0..DRAWS).flat_map(samples) {
        let name = format!("{} {}", sample.function, sample.setting);
        measured.add(&sample.function, &Subject { name, call: &*sample.call, inputs: &sample.inputs, value: sample.value.as_deref() });
    }
    let [functions, samples, steps] = measured.counts();
    let totals = format!(
        "{functions} functions in {samples} samples, each with its derivatives to second order, in both modes, in batches and in the float \
         types that it takes; {steps} of them are steps, whose derivative is zero"
    );
    measured.hold("Functions", TEXT, totals.clone(), none::WITHOUT);
    let readme = page::read("README.md").replace('\n', " ");
    assert!(readme.contains(&totals), "README.md should say: {totals}");
}
