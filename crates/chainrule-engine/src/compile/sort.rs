//! The stages of a sort: one for many rows; for a few long ones one that sorts runs of them, and some that merge the runs.
//!
//! Refuses to know how many threads there are: runs are cut by the length of a row alone. The order is the same anyhow, as no
//! two elements of a row are equal once their positions count.

use super::kernel::{Access, Sort, SortStage};
use super::lower::{Lowering, Place};
use crate::tensor::DType;
use crate::tensor::shape::dense_strides;

/// Rows from which each is work enough for one thread.
const MANY: usize = 16;
/// Elements of the shortest run.
const SHORTEST: usize = 32 * 1024;
/// Runs of a row, at most.
const RUNS: usize = 16;
/// What no memory holds anyway.
const LONGEST: usize = 1 << 40;

/// The kernels that sort as `whole` does, in order.
pub fn stages(lowering: &mut Lowering<'_>, whole: Sort) -> Vec<Sort> {
    let (rows, len) = (whole.rows, whole.len);
    if rows >= MANY || whole.keep < len || !(2 * SHORTEST..LONGEST).contains(&len) {
        return vec![whole];
    }
    let wide = whole.input.dtype.bytes() > 4 || u32::try_from(len).is_err();
    let mut run = len.div_ceil(RUNS).max(SHORTEST).next_multiple_of(SortStage::PIECE);
    let first = SortStage::Runs { run, wide };
    let mut numbers = || {
        let shape = [rows, len * first.words()];
        let buffer = lowering.buffer(shape[0] * shape[1], DType::I64, Place::Temporary);
        Access { buffer, dtype: DType::I64, offset: 0, strides: dense_strides(&shape) }
    };
    let mut last = numbers();
    let mut list = vec![Sort { stage: first, out: last.clone(), ..whole.clone() }];
    while 2 * run < len {
        let out = numbers();
        list.push(Sort { stage: SortStage::Merge { run, wide }, input: last, out: out.clone(), ..whole.clone() });
        (last, run) = (out, 2 * run);
    }
    list.push(Sort { stage: SortStage::Last { run, wide }, input: last, ..whole });
    list
}
