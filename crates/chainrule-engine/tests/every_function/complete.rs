//! No public function without a row or a reason.

use crate::catalogue::{none, samples};
use crate::support::sources::public;
use std::collections::BTreeSet;

/// Sources whose public functions are the catalogue. Those that make tensors of nothing, or of the host's numbers, are
/// elsewhere (`tensor/creation.rs`, `convert.rs`, `rng.rs`), and have no inputs.
const SOURCES: [&str; 4] = ["src/functions", "src/tensor/methods.rs", "src/tensor/indexing.rs", "src/tensor/indexing"];

#[test]
fn every_public_function_has_a_row_or_a_reason() {
    let rows: BTreeSet<String> = samples(0).into_iter().map(|sample| sample.function).collect();
    crate::support::sources::none_is_missing(&rows, none::WITHOUT, &public(&SOURCES), 400);
}
