//! The suite's models with bytes changed: whatever they say then, nobody panics.

use crate::cases::{self, Case};
use chainrule_onnx::Model;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Copies of each model.
const COPIES: usize = 12;

/// What panicked, with the copy's number.
pub fn panics(case: &Case) -> Vec<String> {
    let bytes = case.bytes();
    let mut state = case.name.bytes().fold(0x9e37_79b9_7f4a_7c15u64, |state, byte| (state ^ byte as u64).wrapping_mul(0x100_0000_01b3));
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit.max(1) as u64) as usize
    };
    let mut found = Vec::new();
    for copy in 0..COPIES {
        let mut bent = bytes.clone();
        for _ in 0..=below(2) {
            let at = below(bent.len());
            bent[at] = [below(256) as u8, 0, 0xff, 0x7f, bent[at].wrapping_add(1), bent[at] ^ 1][below(6)];
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if let Ok(model) = Model::parse(&bent) {
                for inputs in cases::inputs(case, &model) {
                    let _ = model.record_values(&inputs.iter().map(|(name, value)| (name.as_str(), value.clone())).collect::<Vec<_>>());
                }
            }
        }));
        if outcome.is_err() {
            found.push(format!("{} (copy {copy})", case.name));
        }
    }
    found
}
