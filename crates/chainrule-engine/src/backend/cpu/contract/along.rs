//! Small results of long sums that lie side by side in both operands: vectors go along the sum, and each result is one vector
//! of partial sums until the end.
//!
//! Elsewhere vectors go along the columns, and one operand has to be turned for it; where few rows read what was turned, as in
//! the gradient of a first layer's kernel by images with channels first, that is a third of the time. Lines of an image
//! are read where they lie. Refuses everything else: large results, and sums in pieces that leave much of vectors empty.

use super::super::level::Level;
use super::super::region::path::offset_at;
use super::block::{Kernels, Multiply};
use super::layout::{Operand, run};
use super::pack::{Part, walk};
use super::vector::Vector;
use crate::compile::kernel::Lane;

/// Rows and columns of a block: with 512 bits its sums, the rows' vectors and one of a column take 31 of 32 registers; those of
/// three columns take 13 of 16.
pub const ROWS: usize = 3;
/// See [`ROWS`].
pub const COLS: usize = 9;

/// Results of a product up to which this is worth it: their vectors stay in the second cache.
const MOST_RESULTS: usize = 2048;
/// The most rows, and the most columns.
const MOST_LINES: usize = 128;
/// The least sum for which a single block was seen to pay.
const LEAST: usize = 512;
/// What it costs to turn a vector of numbers, and to add up the numbers of one, in multiply-adds of vectors
/// (`docs/performance.md`).
const TURN: f64 = 8.0;
/// See [`TURN`].
const TOTAL: f64 = 5.0;
/// Numbers of a row that are worked on at once, about, so that a block's rows and columns stay in the nearest cache.
const NEAR: usize = 2048;

/// How the sum lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Along {
    /// Numbers that lie side by side in both operands.
    run: usize,
    /// Numbers that lie in evenly spaced runs in both.
    group: usize,
}

/// Part of the sum: where it starts, how many runs of how many numbers, and from run to run in both operands, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// The first number, counted along the sum.
    pub from: usize,
    /// How many runs.
    pub runs: usize,
    /// Numbers of each.
    pub run: usize,
    /// From run to run in A and in B.
    pub jumps: [isize; 2],
}

impl Along {
    /// How the sum of an `m` by `n` product lies, if this is how to compute it on a machine of a level. Chunks of the sum are
    /// whole runs.
    pub fn of(operands: [&Operand; 2], lane: Lane, level: Level, sizes: [usize; 3]) -> Option<Along> {
        if operands.iter().any(|operand| Lane::of(operand.dtype) != lane || operand.dtype.bytes() != lane.bytes()) {
            return None;
        }
        match lane {
            Lane::F64 => Along::find(f64::kernels(level), operands, sizes),
            _ => Along::find(f32::kernels(level), operands, sizes),
        }
    }

    fn find<T>(kernels: &Kernels<T>, [a, b]: [&Operand; 2], [m, n, chunk]: [usize; 3]) -> Option<Along> {
        kernels.along.as_ref()?;
        let small = m.min(n) > 2 && m.max(n) <= MOST_LINES && m * n <= MOST_RESULTS && chunk >= LEAST;
        let [in_a, in_b] = [run(&a.path.cols, a.dtype), run(&b.path.rows, b.dtype)];
        // Both are products of the last axes of the sum, so the smaller divides the other. Of a sum that is one run a chunk is one,
        // or several if it is long.
        let least = in_a.min(in_b);
        let mut run = least.min(chunk);
        while run > NEAR && run.is_multiple_of(2 * kernels.lanes) {
            run /= 2;
        }
        let whole = run > 0 && chunk.is_multiple_of(run) && least.is_multiple_of(run);
        if !small || !whole || !pays(kernels.lanes, [m, n, chunk], run) {
            return None;
        }
        let evenly = |line: &[(usize, isize)]| match *line {
            [.., (outer, _), (inner, _)] if inner == run => outer * run,
            [.., (inner, _)] => inner,
            [] => run,
        };
        Some(Along { run, group: evenly(&a.path.cols).min(evenly(&b.path.rows)) })
    }

    /// Calls `each` for the parts of a chunk that are worked on at once.
    pub fn parts(&self, a: &Operand, b: &Operand, from: usize, to: usize, mut each: impl FnMut(Lines)) {
        let Along { run, group } = *self;
        let jump = |line: &[(usize, isize)]| match *line {
            [.., (_, outer), (inner, _)] if inner == run => outer,
            [.., (_, step)] => run as isize * step,
            [] => 0,
        };
        let jumps = [jump(&a.path.cols), jump(&b.path.rows)];
        let near = (NEAR / run).max(1) * run;
        let mut at = from;
        while at < to {
            let end = to.min(at - at % group + group).min(at + near);
            each(Lines { from: at, runs: (end - at) / run, run, jumps });
            at = end;
        }
    }
}

/// Whether a product takes less time so than with one operand turned, which the fewer of its rows and columns read. Blocks and
/// vectors that are not full take as long as full ones.
fn pays(lanes: usize, [m, n, chunk]: [usize; 3], run: usize) -> bool {
    let part = |length: usize, of: usize| length.next_multiple_of(of) as f64 / length as f64;
    let along = part(m, ROWS) * part(n, COLS) * part(run, lanes) + TOTAL * lanes as f64 / chunk as f64;
    along < 1.0 + TURN / m.min(n) as f64
}

/// A block of three rows by nine columns over some lines.
pub struct Sums<T> {
    /// Rows of A and columns of B; of those that are not there others are read.
    pub rows: [*const T; ROWS],
    /// See `rows`.
    pub cols: [*const T; COLS],
    /// Which part of the sum.
    pub lines: Lines,
    /// The vectors of the block's results, row by row.
    pub sums: *mut T,
    /// Whether they are zero, whatever is there.
    pub starts: bool,
}

/// A product computed so: operands and the element of each at row 0 and column 0, where results go.
pub struct Task<'a, T: 'static> {
    /// The kernels of a level that has these.
    pub kernels: &'static Kernels<T>,
    /// How the sum lies.
    pub along: Along,
    /// A and B.
    pub operands: [&'a Operand; 2],
    /// Their first elements.
    pub first: [*const u8; 2],
    /// Which rows of A and columns of B, by first and length.
    pub spans: [(usize, usize); 2],
    /// Which part of the sum, from and to.
    pub part: [usize; 2],
    /// Room for the vectors of all results ([`room`]).
    pub room: *mut T,
}

/// Numbers of the room that the vectors of so many rows and columns take.
pub fn room(lanes: usize, rows: usize, cols: usize) -> usize {
    rows.div_ceil(ROWS) * cols.div_ceil(COLS) * ROWS * COLS * lanes
}

impl<T: Multiply> Task<'_, T> {
    /// Calls `each(row, column, sum)` for every result.
    ///
    /// # Safety
    /// Operands are valid for reading what is named, the room for writing.
    pub unsafe fn run(&self, mut each: impl FnMut(usize, usize, T)) {
        let Task { kernels, along, operands: [a, b], spans: [(row, rows), (col, cols)], part: [from, to], room, .. } = *self;
        let Some(Kernel { add, totals }) = &kernels.along else { return };
        let size = ROWS * COLS * kernels.lanes;
        let in_a = offsets(Part { line: &a.path.rows, start: row, len: rows });
        let in_b = offsets(Part { line: &b.path.cols, start: col, len: cols });
        let blocks = || (0..rows).step_by(ROWS).flat_map(|r| (0..cols).step_by(COLS).map(move |c| (r, c))).enumerate();
        along.parts(a, b, from, to, |lines| {
            let first_a = self.first[0].wrapping_offset(offset_at(&a.path.cols, lines.from));
            let first_b = self.first[1].wrapping_offset(offset_at(&b.path.rows, lines.from));
            for (block, (r, c)) in blocks() {
                let sums = Sums {
                    rows: std::array::from_fn(|i| first_a.wrapping_offset(in_a[r + i]).cast()),
                    cols: std::array::from_fn(|i| first_b.wrapping_offset(in_b[c + i]).cast()),
                    lines,
                    sums: room.wrapping_add(block * size),
                    starts: lines.from == from,
                };
                // SAFETY: the caller's; the level is this machine's.
                unsafe { add(&sums) };
            }
        });
        for (block, (r, c)) in blocks() {
            let mut results = [[T::default(); COLS]; ROWS];
            // SAFETY: as above.
            unsafe { totals(room.wrapping_add(block * size), &mut results) };
            for (i, results) in results[..ROWS.min(rows - r)].iter().enumerate() {
                results[..COLS.min(cols - c)].iter().enumerate().for_each(|(j, &sum)| each(r + i, c + j, sum));
            }
        }
    }
}

/// Where lines begin. Blocks that are not full read the first one again; nobody asks for those results.
fn offsets(part: Part<'_>) -> [isize; MOST_LINES + COLS] {
    let mut all = [0; MOST_LINES + COLS];
    walk(part, |at, len, offset, step| (0..len).for_each(|i| all[at + i] = offset + i as isize * step));
    all
}

/// What a level has for it.
pub struct Kernel<T> {
    /// Adds products to the vectors of a block.
    pub add: Add<T>,
    /// Adds up the numbers of each vector of a block.
    pub totals: Totals<T>,
}

/// Adds up the numbers of each vector of a block.
///
/// # Safety
/// All vectors can be read.
pub type Totals<T> = unsafe fn(*const T, &mut [[T; COLS]; ROWS]);

/// Adds the products of some lines to the vectors of a block.
///
/// # Safety
/// All rows and columns are valid for the lines, the sums for a vector of each.
pub type Add<T> = unsafe fn(&Sums<T>);

/// As [`Add`], so many columns at a time as there are registers for.
///
/// # Safety
/// As there, and the vector's instructions exist.
#[inline(always)]
pub unsafe fn add<V: Vector, const C: usize>(block: &Sums<V::Element>) {
    const { assert!(COLS.is_multiple_of(C)) };
    for first in (0..COLS).step_by(C) {
        // SAFETY: the caller's.
        unsafe { add_columns::<V, C>(block, first) };
    }
}

/// The columns from one on.
///
/// # Safety
/// As [`add`].
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "positions are used as addresses too")]
unsafe fn add_columns<V: Vector, const C: usize>(block: &Sums<V::Element>, first: usize) {
    let Sums { mut rows, ref cols, lines: Lines { runs, run, jumps, .. }, sums: to, starts } = *block;
    let mut cols: [*const V::Element; C] = std::array::from_fn(|c| cols[first + c]);
    let (whole, rest) = (run / V::LANES * V::LANES, run % V::LANES);
    // SAFETY: the caller's; what is read lies in the lines.
    unsafe {
        let place = |r: usize, c: usize| to.wrapping_add((r * COLS + first + c) * V::LANES);
        let mut sums = [[V::zero(); C]; ROWS];
        if !starts {
            for r in 0..ROWS {
                for c in 0..C {
                    sums[r][c] = V::read(place(r, c));
                }
            }
        }
        for _ in 0..runs {
            let mut at = 0;
            while at < whole {
                let factors = rows.map(|row| V::read(row.wrapping_add(at)));
                for c in 0..C {
                    let column = V::read(cols[c].wrapping_add(at));
                    for r in 0..ROWS {
                        sums[r][c] = factors[r].times_plus(column, sums[r][c]);
                    }
                }
                at += V::LANES;
            }
            if rest > 0 {
                let factors = rows.map(|row| V::read_part(row.wrapping_add(whole), rest));
                for c in 0..C {
                    let column = V::read_part(cols[c].wrapping_add(whole), rest);
                    for r in 0..ROWS {
                        sums[r][c] = factors[r].times_plus(column, sums[r][c]);
                    }
                }
            }
            rows = rows.map(|row| row.wrapping_byte_offset(jumps[0]));
            cols = cols.map(|column| column.wrapping_byte_offset(jumps[1]));
        }
        for r in 0..ROWS {
            for c in 0..C {
                sums[r][c].write(place(r, c));
            }
        }
    }
}
