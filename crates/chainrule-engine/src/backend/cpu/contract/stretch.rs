//! Rows of A and columns of B on their way through a pass: packed in panels, or where they lie.
//!
//! Refuses to choose between the two.

use super::super::region::path::Runs;
use super::pack::{Part, walk};
use super::plan::Plan;
use super::reading::Bands;

/// Rows of A for a pass, distances in elements.
#[derive(Clone, Copy)]
pub struct Stretch<T> {
    /// The first number.
    pub first: *const T,
    /// From row to row.
    pub row: isize,
    /// From number to number.
    pub step: isize,
    /// From block to block.
    pub block: isize,
    /// From a row to the third after it.
    pub three: isize,
    /// From a row to the sixth after it.
    pub six: isize,
    /// How many bands of rows there are.
    pub bands: usize,
    /// From band to band.
    pub apart: isize,
    /// Numbers of a run.
    pub depth: usize,
    /// How many runs a row is.
    pub runs: usize,
    /// From run to run.
    pub jump: isize,
}

/// A's part of a pass where it lies.
pub struct Lying {
    /// The number at row 0 and the start of the sum.
    pub memory: *mut u8,
    /// Where the pass lies, from there on.
    pub sum: Runs,
}

impl Lying {
    /// Whether `len` rows from `start` on are one such band, or several that lie evenly.
    pub fn is_even<T>(&self, plan: &Plan, span: (usize, usize)) -> bool {
        let mut count = 0;
        self.bands(plan, span, |_, _, _: &Stretch<T>| count += 1);
        count == 1
    }

    /// Calls `each(row, rows, where)` for the bands of evenly spaced rows that `len` rows from `start` on consist of.
    pub fn bands<T>(&self, plan: &Plan, (start, len): (usize, usize), mut each: impl FnMut(usize, usize, &Stretch<T>)) {
        let line = plan.a.path.rows.as_slice();
        let whole = |size: usize| start.is_multiple_of(size) && len.is_multiple_of(size);
        match (line, plan.bands) {
            (&[ref outer @ .., (size, down)], Some(Bands { paired, .. })) if whole(size) => {
                let part = Part { line: outer, start: start / size, len: len / size };
                let at_distances = |below, apart| self.rows(plan, below, (down, apart));
                if !paired {
                    let bands = |at, bands, below, apart| each(at * size, size, &Stretch { bands, ..at_distances(below, apart) });
                    return walk(part, bands);
                }
                let mut one = None;
                walk(part, |at, bands, below, apart| {
                    for band in 0..bands {
                        let (at, below) = ((at + band) * size, below + band as isize * apart);
                        one = match one {
                            None => Some((at, below)),
                            Some((at, first)) => {
                                let three = (below - first) / size_of::<T>() as isize;
                                each(at, 2 * size, &Stretch { three, ..at_distances(first, 0) });
                                None
                            }
                        };
                    }
                });
                if let Some((at, below)) = one {
                    each(at, size, &at_distances(below, 0));
                }
            }
            _ => walk(Part { line, start, len }, |at, rows, below, down| each(at, rows, &self.rows(plan, below, (down, 0)))),
        }
    }

    /// Rows of one band from some bytes on, so many bytes from row to row and to the next band.
    fn rows<T>(&self, plan: &Plan, below: isize, (down, apart): (isize, isize)) -> Stretch<T> {
        let bytes = size_of::<T>() as isize;
        let Runs { offset, step, len: depth, count: runs, jump } = self.sum;
        let (first, row) = (self.memory.wrapping_offset(offset + below).cast::<T>().cast_const(), down / bytes);
        let block = plan.panels_of_a.width as isize * row;
        let (step, jump, apart) = (step / bytes, jump / bytes, apart / bytes);
        Stretch { first, row, step, block, three: 3 * row, six: 6 * row, bands: 1, apart, depth, runs, jump }
    }
}

/// B's part of a pass, distances in elements.
pub struct ColumnsOfB<T> {
    /// The first number of the first panel.
    pub first: *mut T,
    /// From row to row.
    pub row: isize,
    /// From panel to panel.
    pub panel: isize,
    /// Where all of it lies in one piece, if panels are packed one by one, each into the place of the one before.
    pub source: Option<*mut u8>,
}

impl<T> ColumnsOfB<T> {
    /// From the place of panels to a number of the source, which is asked for while a panel is read.
    pub fn to_source(&self, number: usize) -> isize {
        let bytes = size_of::<T>();
        let to = |source: *mut u8| source.wrapping_add(number * bytes).addr() as isize - self.first.addr() as isize;
        self.source.map_or(0, to) / bytes as isize
    }
}
