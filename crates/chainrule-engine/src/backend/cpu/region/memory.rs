//! The steps of a plan that follow accesses: copies from and to memory, loads through indices,
//! and numbers made from positions.
//!
//! Refuses to know the order of the steps.

use super::super::level::prefetch_for_later;
use super::super::loops::{Call, Loop, Sequence};
use super::gather::{Gather, gather};
use super::path::{Line, offset_at, pieces, span};
use super::plan::{Class, Indexed, Numbered, Step};
use super::run::{Operand, Run, Tile, extent};
use crate::compile::kernel::Fault;

impl Run<'_> {
    /// Copies between memory and a value whose elements of a row are side by side.
    #[allow(clippy::too_many_arguments, reason = "the parts of one copy")]
    pub(super) unsafe fn copy(&self, path: usize, run: Loop, class: Class, value: Operand, width: isize, tile: Tile, store: bool) {
        let path = &self.plan.paths[path];
        let base = self.base(path);
        let go = |rows: usize, cols: usize, memory: isize, down: isize, step: isize, place: (isize, isize, isize)| {
            let memory = base.wrapping_offset(memory);
            let value_first = value.first.wrapping_offset(place.0);
            let call = match store {
                true => Call {
                    rows,
                    cols,
                    to: memory,
                    to_stride: down,
                    to_step: step,
                    a: value_first,
                    a_stride: place.1,
                    a_step: place.2,
                    ..Call::EMPTY
                },
                false => Call {
                    rows,
                    cols,
                    to: value_first,
                    to_stride: place.1,
                    to_step: place.2,
                    a: memory,
                    a_stride: down,
                    a_step: step,
                    ..Call::EMPTY
                },
            };
            // SAFETY: the caller's, for the part of the access that this tile reaches.
            unsafe { run(&call) }
        };
        let none = Line::new();
        // A value of one element per row is a single row here, along the row axes.
        let (rows, cols) = extent(class, tile);
        let (outer, row) = if class.cols { (&path.rows, tile.row) } else { (&none, 0) };
        let (inner, col) = match (class.cols, class.rows) {
            (true, _) => (&path.cols, tile.col),
            (false, true) => (&path.rows, tile.row),
            _ => (&none, 0),
        };
        let start = match class.cols {
            true if !class.rows => offset_at(&path.rows, tile.row),
            true => 0,
            false => offset_at(&path.cols, tile.col) + if class.rows { 0 } else { offset_at(&path.rows, tile.row) },
        };
        match (if rows == 1 { Some((0, 0)) } else { span(outer, row, rows) }, span(inner, col, cols)) {
            (Some((_, down)), Some((across, step))) => {
                let first = if class.rows { offset_at(outer, row) } else { 0 };
                let dense = rows > 1 && value.stride == width * cols as isize && down == step * cols as isize;
                let (rows, cols) = if dense { (1, rows * cols) } else { (rows, cols) };
                go(rows, cols, start + first + across, down, step, (0, value.stride, width));
            }
            // Short pieces along the columns, evenly spaced rows: walk down the rows instead.
            (Some((_, down)), None) if rows > 16 => {
                let first = if class.rows { offset_at(outer, row) } else { 0 };
                for j in 0..cols {
                    let across = offset_at(inner, col + j);
                    let place = (j as isize * width, 0, value.stride);
                    go(1, rows, start + first + across, 0, down, place);
                }
            }
            _ => {
                let evenly = |at: usize, rows: usize, first: isize, down: isize| {
                    pieces(inner, col, cols, |beside, len, across, step| {
                        let place = at as isize * value.stride + beside as isize * width;
                        go(rows, len, start + first + across, down, step, (place, value.stride, width));
                    });
                };
                if class.rows { pieces(outer, row, rows, evenly) } else { evenly(0, rows, 0, 0) }
            }
        }
    }

    /// Copies elements through indices, and reports the first index outside.
    pub(super) fn load_at(&self, step: &Step, indexed: &Indexed, tile: Tile) {
        let Indexed { path, dtype, index, stride, limit, site } = *indexed;
        let path = &self.plan.paths[path];
        let from = self.operand(step.operands[0]);
        let to = self.operand(step.to);
        let (rows, cols) = extent(step.class, tile);
        let by_points = step.widths[1] != 0;
        let across = if step.class.cols { &path.cols } else { &path.rows };
        let first = if step.class.cols { tile.col } else { tile.row };
        for i in 0..rows {
            let row = match (step.class.cols, step.class.rows) {
                (true, _) => offset_at(&path.rows, tile.row + i),
                (false, _) => offset_at(&path.cols, tile.col),
            };
            let base = self.base(path).wrapping_offset(row);
            let index_row = from.first.wrapping_offset(i as isize * from.stride);
            let to_row = to.first.wrapping_offset(i as isize * to.stride);
            let single = if !step.class.cols && !step.class.rows { 1 } else { cols };
            pieces(across, first, single, |at, len, offset, element_step| {
                let index_step = if by_points { index.bytes() as isize } else { 0 };
                let call = Gather {
                    to: to_row.wrapping_offset(at as isize * step.widths[0] as isize),
                    len,
                    memory: base.wrapping_offset(offset),
                    step: element_step,
                    index: index_row.wrapping_offset(at as isize * index_step),
                    index_step,
                    stride,
                    limit,
                };
                // SAFETY: the caller's, for the load moved by indices below the limit.
                if let Some((position, fault)) = unsafe { gather(&call, dtype, index) } {
                    let (row, col) = match (step.class.rows, step.class.cols) {
                        (_, true) => (tile.row + i, tile.col + at + position),
                        _ => (tile.row + at + position, tile.col),
                    };
                    let position = row as u64 * self.plan.shape.cols as u64 + col as u64;
                    self.faults.report(position, Fault { site, index: fault, limit });
                }
            });
        }
    }

    /// Makes elements from their positions.
    pub(super) unsafe fn sequence(&self, step: &Step, numbered: &Numbered, tile: Tile) {
        let Numbered { path, run, key, bits } = *numbered;
        let path = &self.plan.paths[path];
        let to = self.operand(step.to);
        let (rows, cols) = extent(step.class, tile);
        let across = if step.class.cols { &path.cols } else { &path.rows };
        let first = if step.class.cols { tile.col } else { tile.row };
        let key_at = |row: usize, col: usize| match key {
            Some(key) => {
                let key = &self.plan.paths[key];
                let at = offset_at(&key.rows, row) + offset_at(&key.cols, col);
                // SAFETY: the caller's; keys are i64.
                unsafe { self.base(key).wrapping_offset(at).cast::<i64>().read_unaligned() }
            }
            None => 0,
        };
        // Where the key changes along the loop, every element is a run of its own.
        let keyed = key.is_some_and(|key| match step.class.cols {
            true => !self.plan.paths[key].cols.is_empty(),
            false => !self.plan.paths[key].rows.is_empty(),
        });
        for i in 0..rows {
            let row = match step.class.cols {
                true => offset_at(&path.rows, tile.row + i),
                false => offset_at(&path.cols, tile.col),
            };
            let to_row = to.first.wrapping_offset(i as isize * to.stride);
            let mut emit = |at: usize, len: usize, offset: isize, number_step: isize| {
                let (r, c) = match step.class.cols {
                    true => (tile.row + i, tile.col + at),
                    false => (tile.row + at, tile.col),
                };
                let call = Sequence {
                    to: to_row.wrapping_offset(at as isize * step.widths[0] as isize),
                    len,
                    first: (path.offset + row + offset) as i64,
                    step: number_step as i64,
                    key: key_at(r, c),
                    bits,
                };
                let together = if self.plan.awaited.is_empty() { len } else { TOGETHER };
                for done in (0..len).step_by(together.max(1)) {
                    let len = together.min(len - done);
                    self.ask_beside(i, at + done, len);
                    let to = call.to.wrapping_add(done * step.widths[0] as usize);
                    let first = call.first.wrapping_add(call.step.wrapping_mul(done as i64));
                    // SAFETY: the value's slot has room for the row.
                    unsafe { run(&Sequence { to, first, len, ..call }) }
                }
            };
            if keyed {
                for at in 0..cols {
                    emit(at, 1, offset_at(across, first + at), 0);
                }
            } else {
                pieces(across, first, cols, &mut emit);
            }
        }
    }

    /// Asks for some elements of a row of what is read or written next to random numbers.
    fn ask_beside(&self, row: usize, at: usize, len: usize) {
        for view in &self.plan.awaited {
            let Operand { first, stride } = self.operand(view.value);
            let bytes = self.plan.values[view.value as usize].lane.bytes();
            let first = first.wrapping_offset(row as isize * stride).wrapping_add(at * bytes);
            (0..len * bytes).step_by(64).for_each(|at| prefetch_for_later(first.wrapping_add(at)));
        }
    }
}

/// Random numbers that are made between one asking and the next: whole blocks of them (`loops::philox`).
const TOGETHER: usize = 512;
