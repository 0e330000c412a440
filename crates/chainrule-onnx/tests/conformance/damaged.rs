//! The suite's models with bytes changed: whatever they say then, nobody panics.

use crate::cases::{self, Case};
use chainrule::{DType, Data, Tensor};
use chainrule_onnx::Model;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Copies of each model.
const COPIES: usize = 20;

/// What panicked, with the copy's number; and how many copies were recorded for inputs, to be sure that something was tried.
pub fn panics(case: &Case) -> (Vec<String>, usize) {
    let bytes = case.bytes();
    let mut state = case.name.bytes().fold(0x9e37_79b9_7f4a_7c15u64, |state, byte| (state ^ byte as u64).wrapping_mul(0x100_0000_01b3));
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit.max(1) as u64) as usize
    };
    let (mut found, mut tried) = (Vec::new(), 0);
    for copy in 0..COPIES {
        let mut bent = bytes.clone();
        for _ in 0..=below(2) {
            let at = below(bent.len());
            bent[at] = [below(256) as u8, 0, 0xff, 0x7f, bent[at].wrapping_add(1), bent[at] ^ 1][below(6)];
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if let Ok(model) = Model::parse(&bent) {
                for inputs in cases::inputs(case, &model) {
                    tried += 1;
                    let _ = model.record_values(&inputs.iter().map(|(name, value)| (name.as_str(), value.clone())).collect::<Vec<_>>());
                }
            }
        }));
        if outcome.is_err() {
            found.push(format!("{} (copy {copy})", case.name));
        }
    }
    (found, tried)
}

/// Whole numbers that nobody meant as sizes, positions or axes.
const EXTREMES: [i64; 5] = [-1, i64::MIN, i64::MAX, 1 << 40, i64::MAX / 2];

/// What panics when the whole numbers of an input are extreme.
pub fn extremes(case: &Case) -> Vec<String> {
    let Ok(model) = Model::parse(&case.bytes()) else { return Vec::new() };
    let mut found = Vec::new();
    for inputs in cases::inputs(case, &model) {
        for (at, extreme) in (0..inputs.len()).flat_map(|at| EXTREMES.map(|extreme| (at, extreme))) {
            let mut bent = inputs.clone();
            bent[at].1 = bent[at].1.map(&mut |tensor| match tensor.dtype() {
                DType::I64 | DType::I32 => Tensor::from_data(Data::from_i64(tensor.dtype(), &vec![extreme; tensor.len()]), tensor.shape()),
                DType::F32 | DType::F64 => Tensor::full(tensor.shape(), extreme as f64, tensor.dtype()),
                _ => tensor.clone(),
            });
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let made = model.record_values(&bent.iter().map(|(name, value)| (name.as_str(), value.clone())).collect::<Vec<_>>());
                // What is small is evaluated, too: positions are found to lie outside then.
                for tensor in made.iter().flatten().flat_map(|(_, value)| value.tensors()).filter(|tensor| tensor.len() < 1 << 20) {
                    let _ = tensor.eval();
                }
            }));
            if outcome.is_err() {
                found.push(format!("{} (input {at}: {extreme})", case.name));
            }
        }
    }
    found
}
