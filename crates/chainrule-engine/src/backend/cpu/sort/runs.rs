//! The stages in which a few long rows are sorted: runs by themselves, then two at a time merged, a piece of the result by each
//! unit.
//!
//! Where a piece begins in either run is found by bisection (S. Odeh et al., "Merge path - parallel merging made simple", 2012):
//! numbers are all different, so there is one place. Refuses to cut by anything but the length of a row.

use super::{Keyed, first};
use crate::compile::kernel::{Sort, SortStage};

/// Numbers of a unit, of a stage that is not the whole.
pub fn length(stage: SortStage) -> Option<usize> {
    match stage {
        SortStage::Whole => None,
        SortStage::Runs { run, .. } => Some(run),
        SortStage::Merge { .. } | SortStage::Last { .. } => Some(SortStage::PIECE),
    }
}

/// Runs a unit of a stage.
///
/// # Safety
/// As [`super::CompiledSort::run`]; between stages there are numbers of type `K`.
pub unsafe fn run<K: Keyed>(sort: &Sort, unit: usize, buffers: &[*mut u8]) {
    let (len, size) = (sort.len, length(sort.stage).unwrap_or(sort.len));
    let units = len.div_ceil(size);
    let (row, start) = (unit / units, unit % units * size);
    let end = (start + size).min(len);
    let (from, to) = (first(&sort.input, buffers), first(&sort.out, buffers));
    // SAFETY: the caller's: rows of numbers are so long, aligned as all memory of tensors is, and no other unit writes this part.
    unsafe {
        let numbers = |row: usize| std::slice::from_raw_parts(from.cast::<K>().add(row * len), len);
        let part = || std::slice::from_raw_parts_mut(to.cast::<K>().add(row * len + start), end - start);
        match sort.stage {
            SortStage::Whole => (),
            SortStage::Runs { .. } => {
                let from = from.add(row * len * sort.input.dtype.bytes());
                let own = part();
                for (at, number) in own.iter_mut().enumerate() {
                    *number = K::new(K::key(sort.input.dtype, from, start + at), sort.descending, start + at);
                }
                own.sort_unstable();
            }
            SortStage::Merge { run, .. } => {
                let own = part();
                merged(pair(numbers(row), run, start), start % (2 * run), own.len(), |at, number| own[at] = number);
            }
            SortStage::Last { run, .. } => {
                let own = std::slice::from_raw_parts_mut(to.cast::<i64>().add(row * len + start), end - start);
                merged(pair(numbers(row), run, start), start, own.len(), |at, number| own[at] = number.position());
            }
        }
    }
}

/// The two runs that a place of the result comes from; the second may be empty.
fn pair<K>(row: &[K], run: usize, start: usize) -> (&[K], &[K]) {
    let begin = start / (2 * run) * 2 * run;
    let both = &row[begin..(begin + 2 * run).min(row.len())];
    both.split_at(run.min(both.len()))
}

/// Hands on `count` numbers of what two runs are together, from the one numbered `start` on.
fn merged<K: Ord + Copy>((a, b): (&[K], &[K]), start: usize, count: usize, mut write: impl FnMut(usize, K)) {
    let (mut i, end) = (within(a, b, start), within(a, b, start + count));
    let mut j = start - i;
    let (stop_a, stop_b) = (end, start + count - end);
    let mut at = 0;
    while i < stop_a && j < stop_b {
        let (x, y) = (a[i], b[j]);
        let left = x < y;
        write(at, if left { x } else { y });
        i += usize::from(left);
        j += usize::from(!left);
        at += 1;
    }
    for &rest in a[i..stop_a].iter().chain(&b[j..stop_b]) {
        write(at, rest);
        at += 1;
    }
}

/// How many of the first `count` numbers of two sorted runs together are of the first one.
fn within<K: Ord>(a: &[K], b: &[K], count: usize) -> usize {
    let (mut low, mut high) = (count.saturating_sub(b.len()), count.min(a.len()));
    while low < high {
        let middle = (low + high) / 2;
        if a[middle] < b[count - middle - 1] {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::super::CompiledSort;
    use super::*;
    use crate::backend::cpu::region::Scratch;
    use crate::compile::kernel::Access;
    use crate::tensor::DType;

    #[test]
    fn pieces_of_two_runs_are_those_of_their_union() {
        let a: Vec<u64> = (0..50).map(|i| i * i % 211 * 2).collect();
        let b: Vec<u64> = (0..33).map(|i| i * 7919 % 101 * 2 + 1).collect();
        for (mut a, mut b) in
            [(a.clone(), b.clone()), (a.clone(), vec![]), (vec![], b.clone()), (vec![1, 3], vec![5, 7]), (vec![9], vec![2])]
        {
            a.sort_unstable();
            a.dedup();
            b.sort_unstable();
            let mut want: Vec<u64> = a.iter().chain(&b).copied().collect();
            want.sort_unstable();
            for start in 0..=want.len() {
                for count in 0..=want.len() - start {
                    let mut found = vec![0; count];
                    merged((&a, &b), start, count, |at, number| found[at] = number);
                    assert_eq!(found, want[start..][..count], "{count} from {start} on");
                }
            }
        }
    }

    const PIECE: usize = SortStage::PIECE;

    /// All stages of rows of several lengths, units in any order, against a stable sort of the library.
    #[test]
    fn stages_give_the_stable_order() {
        let access = |buffer, dtype| Access { buffer, dtype, offset: 0, strides: Default::default() };
        for (rows, len) in [(1, 2 * PIECE), (2, 2 * PIECE + 1), (1, 5 * PIECE - 3), (3, 3 * PIECE)] {
            for (wide, descending) in [(false, false), (true, false), (false, true)] {
                let mut values: Vec<i32> = (0..rows * len).map(|i| (i * 7919 % 10_007 % 997) as i32 - 400).collect();
                let mut wide_values: Vec<i64> = values.iter().map(|&v| i64::from(v)).collect();
                let input = if wide { wide_values.as_mut_ptr().cast::<u8>() } else { values.as_mut_ptr().cast() };
                let (mut one, mut other) = (vec![0_u128; rows * len], vec![0_u128; rows * len]);
                let mut out = vec![-1_i64; rows * len];
                let buffers = [input, one.as_mut_ptr().cast(), other.as_mut_ptr().cast(), out.as_mut_ptr().cast()];
                let go = |stage: SortStage, from: u32, to: u32| {
                    let dtype = if from == 0 && !wide { DType::I32 } else { DType::I64 };
                    let sort = Sort { rows, len, keep: len, descending, stage, input: access(from, dtype), out: access(to, DType::I64) };
                    let compiled = CompiledSort::new(&sort);
                    // SAFETY: the buffers have room for numbers of either kind.
                    (0..compiled.units()).rev().for_each(|unit| unsafe { compiled.run(unit, &buffers, &mut Scratch::new()) });
                };
                let mut run = PIECE;
                go(SortStage::Runs { run, wide }, 0, 1);
                let (mut from, mut to) = (1, 2);
                while 2 * run < len {
                    go(SortStage::Merge { run, wide }, from, to);
                    (from, to, run) = (to, from, 2 * run);
                }
                go(SortStage::Last { run, wide }, from, 3);
                for row in 0..rows {
                    let own = &values[row * len..][..len];
                    let mut want: Vec<i64> = (0..len as i64).collect();
                    want.sort_by_key(|&at| if descending { -own[at as usize] } else { own[at as usize] });
                    assert!(out[row * len..][..len] == want, "row {row} of {rows} x {len}, wide {wide}, descending {descending}");
                }
            }
        }
    }
}
