//! Copies between memory that any strides reach and dense rows, for products.
//!
//! A group of axes is walked in evenly spaced pieces; two groups make evenly spaced rectangles,
//! each copied by one loop. Windows that overlap in memory are thereby laid out as a matrix.
//! Refuses to choose what is copied, and when.

use super::super::level::{one_by_one, prefetch};
use super::super::loops::{Call, Table};
use super::turn::Turn;
use super::weave::Weave;
use crate::compile::kernel::Lane;
use crate::tensor::DType;
use smallvec::SmallVec;

/// Elements `start .. start + len` of a flattened group of axes.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The axes, strides in bytes.
    pub line: &'a [(usize, isize)],
    /// The first element.
    pub start: usize,
    /// How many.
    pub len: usize,
}

/// Calls `each(position, len, offset, step)` for the evenly spaced pieces of a part, in order.
#[inline]
pub fn walk(part: Part<'_>, mut each: impl FnMut(usize, usize, isize, isize)) {
    let Part { line, start, len } = part;
    let (outer, size, step) = match line {
        [] => return each(0, len, 0, 0),
        [(_, step)] => return each(0, len, start as isize * step, *step),
        [outer @ .., (size, step)] => (outer, *size, *step),
    };
    let mut rest = start / size;
    let mut offset = 0;
    let mut digits: SmallVec<[usize; 6]> = SmallVec::from_elem(0, outer.len());
    for (digit, &(size, stride)) in digits.iter_mut().zip(outer).rev() {
        *digit = rest % size;
        rest /= size;
        offset += *digit as isize * stride;
    }
    let mut inner = start % size;
    let mut done = 0;
    while done < len {
        let piece = (size - inner).min(len - done);
        each(done, piece, offset + inner as isize * step, step);
        done += piece;
        inner = 0;
        for (digit, &(size, stride)) in digits.iter_mut().zip(outer).rev() {
            *digit += 1;
            offset += stride;
            if *digit < size {
                break;
            }
            offset -= size as isize * stride;
            *digit = 0;
        }
    }
}

/// One evenly spaced rectangle: where it starts, how large it is, where it lies.
pub struct Rectangle {
    /// The first row.
    pub row: usize,
    /// How many.
    pub rows: usize,
    /// The first column.
    pub col: usize,
    /// How many.
    pub cols: usize,
    /// Bytes to the first element.
    pub offset: isize,
    /// Bytes from row to row.
    pub down: isize,
    /// Bytes from column to column.
    pub across: isize,
}

/// Calls `each` for the evenly spaced rectangles of some rows and columns.
#[inline]
pub fn rectangles(rows: Part<'_>, cols: Part<'_>, mut each: impl FnMut(&Rectangle)) {
    walk(cols, |col, cols, right, across| {
        walk(rows, |row, rows, below, down| {
            each(&Rectangle { row, rows, col, cols, offset: right + below, down, across });
        });
    });
}

/// A matrix in memory and the same matrix in dense rows of lane elements.
pub struct Copying<'a> {
    /// The loops.
    pub table: &'a Table,
    /// The moves of the level.
    pub moves: &'a Moves,
    /// The element at position 0 of both groups of axes.
    pub memory: *mut u8,
    /// The type in memory.
    pub dtype: DType,
    /// The rows.
    pub rows: Part<'a>,
    /// The columns.
    pub cols: Part<'a>,
    /// The first dense element.
    pub dense: *mut u8,
    /// Bytes from one dense row to the next.
    pub stride: isize,
}

impl Copying<'_> {
    /// From memory to the dense rows.
    ///
    /// # Safety
    /// Both are valid for the matrix, the dense rows for writing, and they do not overlap.
    pub unsafe fn gather(&self) {
        let load = (self.table.load)(self.dtype);
        let (lane, width) = self.widths();
        rectangles(self.rows, self.cols, |r| {
            let memory = self.memory.wrapping_offset(r.offset);
            let dense = self.place(r, lane);
            // SAFETY: the caller's; the rectangle is part of the matrix.
            unsafe {
                if lane == width && self.better_turned(r, width) {
                    return (self.moves.turn)(lane, r.rows, r.cols, dense, self.stride, memory, r.across);
                }
                if lane == width && r.across == width {
                    return (self.moves.copy)(r.rows, r.cols * width as usize, dense, self.stride, memory, r.down);
                }
                load(&Call {
                    rows: r.rows,
                    cols: r.cols,
                    to: dense,
                    to_stride: self.stride,
                    to_step: lane,
                    a: memory,
                    a_stride: r.down,
                    a_step: r.across,
                    ..Call::EMPTY
                });
            }
        });
    }

    /// From the dense rows to memory.
    ///
    /// # Safety
    /// Both are valid for the matrix, memory for writing, and they do not overlap.
    pub unsafe fn scatter(&self) {
        let store = (self.table.store)(self.dtype);
        let (lane, width) = self.widths();
        rectangles(self.rows, self.cols, |r| {
            let memory = self.memory.wrapping_offset(r.offset);
            let dense = self.place(r, lane);
            // SAFETY: the caller's; the rectangle is part of the matrix.
            unsafe {
                if lane == width && self.better_turned(r, width) {
                    return (self.moves.turn)(lane, r.cols, r.rows, memory, r.across, dense, self.stride);
                }
                if lane == width && r.across == width {
                    return (self.moves.copy)(r.rows, r.cols * width as usize, memory, r.down, dense, self.stride);
                }
                store(&Call {
                    rows: r.rows,
                    cols: r.cols,
                    to: memory,
                    to_stride: r.down,
                    to_step: r.across,
                    a: dense,
                    a_stride: self.stride,
                    a_step: lane,
                    ..Call::EMPTY
                });
            }
        });
    }

    /// Bytes of an element in the dense rows and in memory.
    fn widths(&self) -> (isize, isize) {
        (Lane::of(self.dtype).bytes() as isize, self.dtype.bytes() as isize)
    }

    fn place(&self, r: &Rectangle, lane: isize) -> *mut u8 {
        self.dense.wrapping_offset(r.row as isize * self.stride + r.col as isize * lane)
    }

    fn better_turned(&self, r: &Rectangle, width: isize) -> bool {
        r.down == width && r.across != width && r.rows > 1 && r.cols > 1
    }
}

/// What moves numbers at a level of vector instructions.
pub struct Moves {
    /// Copies rows.
    pub copy: CopyRows,
    /// Turns a matrix.
    pub turn: Turn,
    /// Deals elements out to panels.
    pub deal: Deal,
    /// Pieces vectors together.
    pub weave: Weave,
}

/// Copies rows: how many, bytes of each, where to, from row to row there, from where and there.
///
/// # Safety
/// Both are valid for the rows and do not overlap.
pub type CopyRows = unsafe fn(usize, usize, *mut u8, isize, *const u8, isize);

/// Copies rows of bytes that lie side by side, without a call for each; at least four bytes.
///
/// # Safety
/// Both are valid for the rows and do not overlap.
#[inline(always)]
pub unsafe fn copy(rows: usize, bytes: usize, to: *mut u8, to_row: isize, from: *const u8, from_row: isize) {
    for i in 0..rows as isize {
        one_by_one();
        let (to, from) = (to.wrapping_offset(i * to_row), from.wrapping_offset(i * from_row));
        // SAFETY: the caller's; pieces lie within the row.
        unsafe {
            if bytes >= 64 {
                copy_pieces::<64>(bytes, to, from);
            } else if bytes >= 32 {
                copy_pieces::<32>(bytes, to, from);
            } else if bytes >= 16 {
                copy_pieces::<16>(bytes, to, from);
            } else if bytes >= 4 {
                copy_pieces::<4>(bytes, to, from);
            }
        }
    }
}

/// Elements that lie side by side in each of some steps, to be dealt out to panels. Distances in bytes.
#[derive(Clone, Copy)]
pub struct Dealing {
    /// How many steps.
    pub steps: usize,
    /// Bytes of a step, of the part of it that the first panel takes, and of a panel's part.
    pub bytes: [usize; 3],
    /// The first element of the first panel.
    pub to: *mut u8,
    /// From panel to panel, from the start of one to the start of the next.
    pub panel: usize,
    /// The first element.
    pub from: *const u8,
    /// From step to step.
    pub step: isize,
}

/// Deals elements out to panels.
///
/// # Safety
/// Both sides are valid for what the fields say, and do not overlap.
pub type Deal = unsafe fn(&Dealing);

/// Panels that elements are dealt out to at a time (`docs/performance.md`).
const AT_ONCE: usize = 6;
/// Bytes from step to step from which the machine does not see how they go on, and how many steps ahead they are asked for then.
const APART: usize = 1024;
const AHEAD: isize = 8;

/// Reads step by step, for a few panels at a time.
///
/// # Safety
/// As [`Deal`].
#[inline(always)]
pub unsafe fn deal(dealing: &Dealing) {
    // SAFETY: the caller's.
    unsafe {
        match dealing.bytes[2] {
            64 => deal_panels::<64>(dealing),
            24 => deal_panels::<24>(dealing),
            48 => deal_panels::<48>(dealing),
            256 => deal_panels::<256>(dealing),
            _ => deal_panels::<0>(dealing),
        }
    }
}

/// Panels of `N` bytes a step, or of any number where `N` is 0. A few panels at a time: as many lines are written to in turn,
/// and the nearest cache keeps no more where panels are a large power of two apart.
///
/// # Safety
/// As [`Deal`].
#[inline(always)]
unsafe fn deal_panels<const N: usize>(dealing: &Dealing) {
    let Dealing { steps, bytes: [all, head, one], to, panel, from, step } = *dealing;
    // Of the first panel maybe only the end.
    let head = if head < one { head } else { 0 };
    let apart = step.unsigned_abs() >= APART;
    let (mut at, mut to) = (0, to);
    // SAFETY: the caller's; a step's bytes are read once.
    unsafe {
        if head > 0 {
            for i in 0..steps {
                std::ptr::copy_nonoverlapping(from.wrapping_offset(i as isize * step), to.wrapping_add(i * one), head);
            }
            (at, to) = (head, to.wrapping_add(panel + head - one));
        }
        while at < all {
            let panels = (all - at).div_ceil(one).min(AT_ONCE);
            let len = (panels * one).min(all - at);
            for i in 0..steps {
                let mut from = from.wrapping_offset(i as isize * step).wrapping_add(at);
                let mut to = to.wrapping_add(i * one);
                if apart {
                    let later = from.wrapping_offset(AHEAD * step);
                    (0..len).step_by(64).for_each(|at| prefetch(later.wrapping_add(at)));
                }
                let mut left = len;
                while left >= one {
                    if N == 0 {
                        std::ptr::copy_nonoverlapping(from, to, one);
                    } else {
                        to.cast::<[u8; N]>().write_unaligned(from.cast::<[u8; N]>().read_unaligned());
                    }
                    (from, to, left) = (from.add(one), to.wrapping_add(panel), left - one);
                }
                if left > 0 {
                    std::ptr::copy_nonoverlapping(from, to, left);
                }
            }
            (at, to) = (at + len, to.wrapping_add(panels * panel));
        }
    }
}

/// Copies at least `N` bytes in pieces of `N`, the last of which may go over part of the one before.
///
/// # Safety
/// Both are valid for `bytes` and do not overlap.
#[inline(always)]
unsafe fn copy_pieces<const N: usize>(bytes: usize, to: *mut u8, from: *const u8) {
    let last = bytes - N;
    let mut at = 0;
    while at < last {
        // SAFETY: the caller's; `at + N < bytes`.
        unsafe { to.add(at).cast::<[u8; N]>().write_unaligned(from.add(at).cast::<[u8; N]>().read_unaligned()) };
        at += N;
    }
    // SAFETY: the caller's.
    unsafe { to.add(last).cast::<[u8; N]>().write_unaligned(from.add(last).cast::<[u8; N]>().read_unaligned()) };
}
