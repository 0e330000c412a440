//! An operand on its way to the blocks: packed in panels, in the form the method needs.
//!
//! Refuses to choose forms and to know tiles.

use super::super::region::path::Line;
use super::block::{Kernels, Multiply};
use super::layout::Operand;
use super::loose::Loose;
use super::matrix::{SIDE, STEPS};
use super::pack::{Copying, Dealing, Part, rectangles, walk};
use super::panels::{Form, Packed, Panels, Place};
use super::plan::Plan;
use super::reading::LONGEST as LONGEST_PASS;
use super::split::{From, Numbers, near, panel_bytes, round, split};
use super::weave::{Piece, Steps, Weaving};
use smallvec::SmallVec;
use std::ops::Range;

/// Bytes of a number that is split.
const NUMBER: isize = size_of::<f32>() as isize;

/// The most steps of a pass.
pub const LONGEST: usize = 2 * near(1) * STEPS;

/// The most numbers of a vector.
const MOST_LANES: usize = 16;

/// Where the rows of a panel begin, and the pieces of a row.
struct Places {
    rows: [isize; LONGEST],
    pieces: [isize; LONGEST / STEPS],
}

impl Places {
    /// Rows one after the other, of so many numbers.
    fn evenly(&mut self, stride: usize) {
        self.rows.iter_mut().enumerate().for_each(|(row, place)| *place = (row * stride) as isize);
        self.pieces.iter_mut().enumerate().for_each(|(piece, place)| *place = (piece * STEPS) as isize);
    }
}

/// Whether each 32 numbers of a part lie side by side, and the rest of it, and where they do: as numbers, in `places`.
pub fn side_by_side(part: Part<'_>, places: &mut [isize]) -> bool {
    let mut all = true;
    walk(part, |at, len, offset, step| {
        // Where each piece before is a multiple of 32 long, each begins at one.
        all &= (step == NUMBER || len == 1) && (len.is_multiple_of(STEPS) || at + len == part.len);
        if all {
            (0..len.div_ceil(STEPS)).for_each(|i| places[at / STEPS + i] = offset / NUMBER + (i * STEPS) as isize);
        }
    });
    all
}

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
    /// Where the parts of all its memory are, if that is split first.
    pub loose: Option<(&'a Packed, Place, Loose)>,
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
                    round(to.cast(), span.1.next_multiple_of(self.panels.width) * pass.1, self.plan.level);
                }
                Form::Parts(parts) => self.pack_parts(pass, span, to, parts),
            }
        }
    }

    /// Packs panels in bf16 parts.
    unsafe fn pack_parts(&self, pass: (usize, usize), (start, len): (usize, usize), to: *mut u8, parts: usize) {
        let (of_a, numbers) = (self.panels.by_row, self.numbers.cast::<f32>());
        let steps = pass.1.div_ceil(STEPS);
        let sum = Part { line: self.sum, start: pass.0, len: pass.1 };
        let stride = if of_a { steps * STEPS } else { SIDE };
        let mut places = Places { rows: [0; LONGEST], pieces: [0; LONGEST / STEPS] };
        // SAFETY: the caller's.
        let loose = unsafe { self.in_parts(sum, Part { line: self.line, start, len }, parts) };
        let in_parts = loose.filter(|(_, all_fit)| *all_fit).map(|(from, _)| from);
        for done in (0..len).step_by(SIDE) {
            let part = Part { line: self.line, start: start + done, len: SIDE.min(len - done) };
            let (down, across) = if of_a { (part, sum) } else { (sum, part) };
            let copying = Copying {
                table: self.plan.table,
                moves: &self.kernels.moves,
                memory: self.memory,
                dtype: self.operand.dtype,
                rows: down,
                cols: across,
                dense: self.numbers,
                stride: (stride * size_of::<f32>()) as isize,
            };
            let to = to.wrapping_add(done / SIDE * panel_bytes(steps, parts));
            let whole = part.len == SIDE && pass.1 == steps * STEPS;
            // SAFETY: the caller's; the room holds the numbers of a whole panel.
            unsafe {
                let lying = self.lying(part, sum, &mut places);
                let (from, along_sum) = lying.unwrap_or_else(|| {
                    copying.gather();
                    places.evenly(stride);
                    (From::Whole(numbers), of_a)
                });
                let from = match in_parts {
                    Some(parts) if lying.is_some() && whole => From::Parts(parts),
                    _ => from,
                };
                let (count, pieces) = if along_sum { (part.len, steps) } else { (pass.1, 1) };
                let (rows, pieces) = (&places.rows[..count], &places.pieces[..pieces]);
                split(&Numbers { from, along_sum, rows, pieces, to, steps, size: [part.len, pass.1], parts, of_a }, self.plan.level);
            }
        }
    }

    /// From where the places of numbers are counted that are in parts already, as far as some lines and some of the sum reach;
    /// and whether parts can hold every one of them.
    ///
    /// # Safety
    /// As [`Side::packed`].
    pub unsafe fn in_parts(&self, sum: Part<'_>, line: Part<'_>, parts: usize) -> Option<(*const u16, bool)> {
        let (room, place, loose) = self.loose?;
        let to = room.at(place);
        let pieces = loose.pieces_of(line, sum);
        room.prepare(place.flag + pieces.start, pieces.len(), |i| {
            // SAFETY: the caller's; the piece is split by nobody else and read by nobody yet.
            unsafe { loose.split(pieces.start + i, parts, self.memory, to, self.plan.level) };
        });
        // SAFETY: they were split just now.
        let all_fit = parts == 1 || unsafe { loose.all_fit(parts, to, pieces) };
        Some((loose.from(parts, to), all_fit))
    }

    /// Finds the places of numbers that need not be fetched, as each 32 of them are side by side along the sum or along
    /// lines; from where these are counted, and which it is.
    fn lying(&self, line: Part<'_>, sum: Part<'_>, places: &mut Places) -> Option<(From, bool)> {
        if !self.plan.holds_numbers(self.operand) {
            return None;
        }
        let along_sum = side_by_side(sum, &mut places.pieces);
        let (rows, pieces) = if along_sum { (line, sum) } else { (sum, line) };
        if !along_sum && !side_by_side(pieces, &mut places.pieces) {
            return None;
        }
        walk(rows, |at, len, offset, step| {
            (0..len).for_each(|i| places.rows[at + i] = (offset + i as isize * step) / NUMBER);
        });
        Some((From::Whole(self.memory.cast_const().cast()), along_sum))
    }

    /// Packs numbers as they are.
    unsafe fn pack_numbers(&self, pass: (usize, usize), (start, len): (usize, usize), to: *mut T) {
        let Panels { width, by_row, .. } = *self.panels;
        let bytes = size_of::<T>();
        let sum = Part { line: self.sum, start: pass.0, len: pass.1 };
        let side_by_side = self.line.last().is_some_and(|&(_, across)| across == bytes as isize);
        if !by_row && side_by_side && self.plan.holds_numbers(self.operand) {
            if self.line.len() > 1 && width.is_multiple_of(self.kernels.lanes) {
                // SAFETY: the caller's; panels are whole vectors.
                return unsafe { self.weave(pass, (start, len), to) };
            }
            rectangles(sum, Part { line: self.line, start, len }, |r| {
                let (panel, at) = (r.col / width, r.col % width);
                let to = to.wrapping_add(width * (panel * pass.1 + r.row) + at).cast();
                let from = self.memory.wrapping_offset(r.offset);
                if at + r.cols <= width {
                    // Part of a panel alone: a line of an image, say.
                    // SAFETY: the caller's.
                    unsafe { (self.kernels.moves.copy)(r.rows, r.cols * bytes, to, (width * bytes) as isize, from, r.down) };
                    return;
                }
                let head = (width - at).min(r.cols);
                let dealing = Dealing {
                    steps: r.rows,
                    bytes: [r.cols * bytes, head * bytes, width * bytes],
                    to,
                    panel: width * pass.1 * bytes,
                    from,
                    step: r.down,
                };
                // SAFETY: the caller's.
                unsafe { (self.kernels.moves.deal)(&dealing) };
            });
            return;
        }
        let mut done = 0;
        while done < len {
            let part = Part { line: self.line, start: start + done, len: width.min(len - done) };
            let (rows, cols, stride) = if by_row { (part, sum, pass.1) } else { (sum, part, width) };
            let copying = Copying {
                table: self.plan.table,
                moves: &self.kernels.moves,
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

    /// Packs columns that go along lines, vector by vector: where a line ends is then found once for all steps. Panels are
    /// whole vectors.
    unsafe fn weave(&self, pass: (usize, usize), (start, len): (usize, usize), to: *mut T) {
        let (width, lanes, bytes) = (self.panels.width, self.kernels.lanes, size_of::<T>());
        let (mut steps, mut runs) = ([Steps::default(); LONGEST_PASS], 0);
        walk(Part { line: self.sum, start: pass.0, len: pass.1 }, |_, len, offset, step| {
            let together = if step == bytes as isize { len } else { 1 };
            for i in (0..len).step_by(together) {
                steps[runs] = Steps { offset: offset + i as isize * step, count: together };
                runs += 1;
            }
        });
        let steps = &steps[..runs];
        let most = steps.iter().map(|steps| steps.count).max().unwrap_or(0);
        let (mut pieces, mut count) = ([Piece::default(); MOST_LANES], 0);
        // The lane at hand of a vector, and the vector's place: in a panel, and in memory.
        let (mut lane, mut across, mut to) = (0, 0, to);
        walk(Part { line: self.line, start, len }, |first, run, offset, _| {
            let mut done = 0;
            while done < run {
                let next = (lanes - lane).min(run - done);
                pieces[count] = Piece { at: lane * bytes, len: next * bytes, offset: offset + (done * bytes) as isize };
                (done, lane, count) = (done + next, lane + next, count + 1);
                if lane < lanes && first + done < len {
                    continue;
                }
                let weaving =
                    Weaving { steps, most, bytes, pieces: &pieces[..count], to: to.cast(), to_row: width * bytes, from: self.memory };
                // SAFETY: the caller's; the panel has room for whole vectors.
                unsafe { (self.kernels.moves.weave)(&weaving) };
                (lane, count, across) = (0, 0, across + lanes);
                to = to.wrapping_add(lanes);
                if across == width {
                    (across, to) = (0, to.wrapping_add(width * (pass.1 - 1)));
                }
            }
        });
    }
}
