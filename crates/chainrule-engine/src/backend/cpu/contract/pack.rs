//! Copies between memory that any strides reach and dense rows, for products.
//!
//! A group of axes is walked in evenly spaced pieces; two groups make evenly spaced rectangles,
//! each copied by one loop. Windows that overlap in memory are thereby laid out as a matrix.
//! Refuses to choose what is copied, and when.

use super::super::loops::{Call, Table};
use super::super::region::path::Line;
use crate::compile::kernel::Lane;
use crate::tensor::DType;
use smallvec::SmallVec;

/// Elements `start .. start + len` of a flattened group of axes.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The axes, strides in bytes.
    pub line: &'a Line,
    /// The first element.
    pub start: usize,
    /// How many.
    pub len: usize,
}

/// Calls `each(position, len, offset, step)` for the evenly spaced pieces of a part, in order.
#[inline]
pub fn walk(part: Part<'_>, mut each: impl FnMut(usize, usize, isize, isize)) {
    let Part { line, start, len } = part;
    let (outer, size, step) = match line.as_slice() {
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
    /// The copy of the level.
    pub copy: CopyRows,
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
                    return turn(lane, r.rows, r.cols, dense, self.stride, memory, r.across);
                }
                if lane == width && r.across == width {
                    return (self.copy)(r.rows, r.cols * width as usize, dense, self.stride, memory, r.down);
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
                    return turn(lane, r.cols, r.rows, memory, r.across, dense, self.stride);
                }
                if lane == width && r.across == width {
                    return (self.copy)(r.rows, r.cols * width as usize, memory, r.down, dense, self.stride);
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
        let (to, from) = (to.wrapping_offset(i * to_row), from.wrapping_offset(i * from_row));
        // SAFETY: the caller's; pieces lie within the row.
        unsafe {
            if bytes >= 64 {
                copy_pieces::<64>(bytes, to, from);
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

/// Reads step by step, so that every line of the cache is used up while it is there.
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

/// Panels of `N` bytes a step, or of any number where `N` is 0.
///
/// # Safety
/// As [`Deal`].
#[inline(always)]
unsafe fn deal_panels<const N: usize>(dealing: &Dealing) {
    let Dealing { steps, bytes: [all, head, one], to, panel, from, step } = *dealing;
    for i in 0..steps {
        let mut from = from.wrapping_offset(i as isize * step);
        let mut to = to.wrapping_add(i * one);
        let mut left = all;
        // SAFETY: the caller's; a step's bytes are read once, in order.
        unsafe {
            if head < one {
                std::ptr::copy_nonoverlapping(from, to, head);
                (from, to, left) = (from.add(head), to.wrapping_add(panel + head - one), left - head);
            }
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

/// `to[i, j] = from[j, i]` for elements of 4 or 8 bytes that lie side by side along `j` in `to`
/// and along `i` in `from`. Strides are in bytes.
///
/// # Safety
/// Both are valid for the matrix and do not overlap.
unsafe fn turn(width: isize, rows: usize, cols: usize, to: *mut u8, to_row: isize, from: *const u8, from_row: isize) {
    // SAFETY: the caller's.
    unsafe {
        match width {
            4 => turn_of::<u32>(rows, cols, to, to_row, from, from_row),
            _ => turn_of::<u64>(rows, cols, to, to_row, from, from_row),
        }
    }
}

/// Rows of `to` that are written in one go: a cache line of `from`.
const BAND: usize = 16;

/// # Safety
/// As [`turn`].
unsafe fn turn_of<T: Copy>(rows: usize, cols: usize, to: *mut u8, to_row: isize, from: *const u8, from_row: isize) {
    let target = |i: usize, j: usize| to.wrapping_offset(i as isize * to_row).cast::<T>().wrapping_add(j);
    let source = |i: usize, j: usize| from.wrapping_offset(j as isize * from_row).cast::<T>().wrapping_add(i);
    let mut band = 0;
    while band < rows {
        let end = (band + BAND).min(rows);
        let mut j = 0;
        while j < cols {
            let mut i = band;
            if j + 4 <= cols {
                while i + 4 <= end {
                    // SAFETY: the caller's; four rows and four columns are left.
                    unsafe { turn_four(target(i, j), to_row, source(i, j), from_row) };
                    i += 4;
                }
            }
            let right = (j + 4).min(cols);
            for i in i..end {
                for j in j..right {
                    // SAFETY: the caller's.
                    unsafe { target(i, j).write_unaligned(source(i, j).read_unaligned()) };
                }
            }
            j = right;
        }
        band = end;
    }
}

/// Four by four elements.
///
/// # Safety
/// As [`turn`].
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "positions are used as addresses too")]
unsafe fn turn_four<T: Copy>(to: *mut T, to_row: isize, from: *const T, from_row: isize) {
    // SAFETY: the caller's; vectors of four 32-bit numbers exist on every x86-64.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if size_of::<T>() == 4 {
            use std::arch::x86_64::*;
            let read = |j: isize| _mm_loadu_ps(from.wrapping_byte_offset(j * from_row).cast());
            let (mut a, mut b, mut c, mut d) = (read(0), read(1), read(2), read(3));
            _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
            for (i, row) in [a, b, c, d].into_iter().enumerate() {
                _mm_storeu_ps(to.wrapping_byte_offset(i as isize * to_row).cast(), row);
            }
            return;
        }
        let read = |j: isize| from.wrapping_byte_offset(j * from_row).cast::<[T; 4]>().read_unaligned();
        let block = [read(0), read(1), read(2), read(3)];
        for i in 0..4 {
            let row: [T; 4] = std::array::from_fn(|j| block[j][i]);
            to.wrapping_byte_offset(i as isize * to_row).cast::<[T; 4]>().write_unaligned(row);
        }
    }
}
