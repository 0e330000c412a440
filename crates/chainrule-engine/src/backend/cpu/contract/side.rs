//! An operand on its way to the blocks: packed in panels, in the form the method needs.
//!
//! Refuses to choose forms and to know tiles.

use super::super::region::path::{Line, span};
use super::block::{Kernels, Multiply};
use super::matrix::{SIDE, STEPS};
use super::pack::{Copying, Dealing, Part, rectangles};
use super::panels::{Form, Packed, Panels, Place};
use super::plan::{Operand, Plan};
use super::split::{Numbers, panel_bytes, round, split};
use smallvec::SmallVec;
use std::ops::Range;

/// A or B, to be packed. A pass is the first step along the sum and how many there are.
pub struct Side<'a, T: 'static> {
    /// Of the contraction.
    pub plan: &'a Plan,
    /// Of its level.
    pub kernels: &'static Kernels<T>,
    /// The element at row 0 and column 0.
    pub memory: *mut u8,
    /// Where the others lie.
    pub operand: &'a Operand,
    /// Along the sum.
    pub sum: &'a Line,
    /// Along rows of A or columns of B.
    pub line: &'a Line,
    /// How they are cut.
    pub panels: &'a Panels,
    /// The room that all tiles share, and the place in it.
    pub shared: Option<(&'a Packed, Place)>,
    /// Otherwise a room of the tile's own.
    pub own: *mut u8,
    /// Room for the numbers of a panel on their way into parts.
    pub numbers: *mut u8,
}

impl<T: Multiply> Side<'_, T> {
    /// The panels of `len` rows or columns from `start` on, where all share them or in a room of the tile's own.
    ///
    /// # Safety
    /// The operand's memory is valid for reading, the rooms for what the plan says.
    pub unsafe fn packed(&self, pass: (usize, usize), (start, len): (usize, usize)) -> *mut u8 {
        let panels = self.panels;
        let Some((room, place)) = self.shared else {
            // SAFETY: the caller's.
            unsafe { self.pack(pass, (start, len), self.own) };
            return self.own;
        };
        let all = room.at(place);
        let (first, pieces) = panels.pieces_of(pass.0, (start, len));
        let pieces: SmallVec<[Range<usize>; 32]> = pieces.collect();
        room.prepare(place.flag + first, pieces.len(), |i| {
            let (from, to) = (pieces[i].start * panels.width, (pieces[i].end * panels.width).min(panels.length));
            // SAFETY: the caller's; the piece is packed by nobody else and read by nobody yet.
            unsafe { self.pack(pass, (from, to - from), all.wrapping_add(panels.start(pass, pieces[i].start))) };
        });
        all.wrapping_add(panels.start(pass, start / panels.width))
    }

    /// Packs `len` rows or columns from `start` on, panel by panel, in the form that is asked for.
    unsafe fn pack(&self, pass: (usize, usize), span: (usize, usize), to: *mut u8) {
        // SAFETY: the caller's; rounded numbers are f32.
        unsafe {
            match self.panels.form {
                Form::Plain(_) => self.pack_numbers(pass, span, to.cast()),
                Form::Rounded => {
                    self.pack_numbers(pass, span, to.cast());
                    round(to.cast(), span.1.next_multiple_of(self.panels.width) * pass.1);
                }
                Form::Parts(parts) => self.pack_parts(pass, span, to, parts),
            }
        }
    }

    /// Packs panels in bf16 parts.
    unsafe fn pack_parts(&self, pass: (usize, usize), (start, len): (usize, usize), to: *mut u8, parts: usize) {
        let (rows, numbers) = (self.panels.by_row, self.numbers.cast::<f32>());
        let steps = pass.1.div_ceil(STEPS);
        let sum = Part { line: self.sum, start: pass.0, len: pass.1 };
        let stride = if rows { steps * STEPS } else { SIDE };
        for done in (0..len).step_by(SIDE) {
            let part = Part { line: self.line, start: start + done, len: SIDE.min(len - done) };
            let (down, across) = if rows { (part, sum) } else { (sum, part) };
            let copying = Copying {
                table: self.plan.table,
                copy: self.kernels.copy,
                memory: self.memory,
                dtype: self.operand.dtype,
                rows: down,
                cols: across,
                dense: self.numbers,
                stride: (stride * size_of::<f32>()) as isize,
            };
            let to = to.wrapping_add(done / SIDE * panel_bytes(steps, parts));
            let whole = part.len == SIDE && pass.1 == steps * STEPS;
            // SAFETY: the caller's; the room holds the numbers of a whole panel, what the operand lacks among them.
            unsafe {
                let (from, row, along_sum) = match self.lying(part, sum).filter(|_| whole) {
                    Some(lying) => lying,
                    None => {
                        if !whole {
                            numbers.write_bytes(0, SIDE * steps * STEPS);
                        }
                        copying.gather();
                        (numbers.cast_const(), stride as isize, rows)
                    }
                };
                split(&Numbers { from, row, along_sum, to, steps, parts, rows }, self.plan.level);
            }
        }
    }

    /// Where numbers lie that need not be fetched, as they are side by side along the sum or along lines: the first, how
    /// far it is to the next row of them, and which it is.
    fn lying(&self, line: Part<'_>, sum: Part<'_>) -> Option<(*const f32, isize, bool)> {
        let bytes = size_of::<f32>() as isize;
        let (below, down) = span(line.line, line.start, line.len)?;
        let (right, across) = span(sum.line, sum.start, sum.len)?;
        let from = self.memory.wrapping_offset(below + right).cast_const().cast();
        match (down == bytes, across == bytes) {
            _ if !self.plan.holds_numbers(self.operand) => None,
            (_, true) => Some((from, down / bytes, true)),
            (true, false) => Some((from, across / bytes, false)),
            (false, false) => None,
        }
    }

    /// Packs numbers as they are.
    unsafe fn pack_numbers(&self, pass: (usize, usize), (start, len): (usize, usize), to: *mut T) {
        let Panels { width, by_row, .. } = *self.panels;
        let bytes = size_of::<T>();
        let sum = Part { line: self.sum, start: pass.0, len: pass.1 };
        let side_by_side = self.line.last().is_some_and(|&(_, across)| across == bytes as isize);
        if !by_row && side_by_side && self.plan.holds_numbers(self.operand) {
            rectangles(sum, Part { line: self.line, start, len }, |r| {
                let (panel, at) = (r.col / width, r.col % width);
                let to = to.wrapping_add(width * (panel * pass.1 + r.row) + at).cast();
                let head = (width - at).min(r.cols);
                let dealing = Dealing {
                    steps: r.rows,
                    bytes: [r.cols * bytes, head * bytes, width * bytes],
                    to,
                    panel: width * pass.1 * bytes,
                    from: self.memory.wrapping_offset(r.offset),
                    step: r.down,
                };
                // SAFETY: the caller's.
                unsafe { (self.kernels.deal)(&dealing) };
            });
            return;
        }
        let mut done = 0;
        while done < len {
            let part = Part { line: self.line, start: start + done, len: width.min(len - done) };
            let (rows, cols, stride) = if by_row { (part, sum, pass.1) } else { (sum, part, width) };
            let copying = Copying {
                table: self.plan.table,
                copy: self.kernels.copy,
                memory: self.memory,
                dtype: self.operand.dtype,
                rows,
                cols,
                dense: to.wrapping_add(done * pass.1).cast(),
                stride: (stride * bytes) as isize,
            };
            // SAFETY: the caller's.
            unsafe { copying.gather() };
            done += width;
        }
    }
}
