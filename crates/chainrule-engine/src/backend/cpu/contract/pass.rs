//! One pass along the sum, with vectors across the columns: panels of B by rows of A.
//!
//! Sums may be nine steps long, and what is found out for each panel then takes as long as a third of its products. So a block knows its
//! rows of A before the first panel, and from panel to panel only what differs is written.
//!
//! Refuses to pack, and to know where operands lie: it is told.

use super::block::{Block, Multiply};
use super::stretch::{ColumnsOfB, Stretch};
use super::tile::{Matrix, Pass, Room, Run, Tile};

/// Steps of the sum that are asked for ahead of the one that is computed, where an operand is read as it lies.
const AHEAD: isize = 16;

/// B's part of a pass of a tile, and where results go.
pub struct ColumnsOfPass<'r, 'a, T: 'static> {
    pub run: &'r Run<'a, T>,
    pub tile: Tile,
    pub pass: Pass<T>,
    pub b: ColumnsOfB<T>,
    pub c: Matrix<T>,
    pub room: Room,
}

/// Columns that are multiplied at a time.
#[derive(Clone, Copy)]
pub struct PanelOfB<T> {
    /// The first number.
    first: *const T,
    /// The first column, counted from that of the tile.
    col: usize,
    /// How many there are.
    cols: usize,
    /// How far ahead numbers are asked for.
    ahead: isize,
}

impl<'r, 'a, T: Multiply> ColumnsOfPass<'r, 'a, T> {
    /// Multiplies `rows` rows of A, which go to those from `row` on, by all columns.
    ///
    /// # Safety
    /// As [`Run::pass`](super::tile::Run), of which this is a part.
    pub unsafe fn all(&self, row: usize, rows: usize, a: &Stretch<T>) {
        let mut block = self.block(row, rows, a);
        // SAFETY: the caller's.
        unsafe { self.each(|panel| self.multiply(&mut block, rows, panel)) };
    }

    /// Calls `each` for one panel after the other.
    ///
    /// # Safety
    /// As [`ColumnsOfPass::all`].
    #[inline(always)]
    pub unsafe fn each(&self, mut each: impl FnMut(&PanelOfB<T>)) {
        let width = self.run.plan.panels_of_b.width;
        for (at, col) in (0..self.tile.cols).step_by(width).enumerate() {
            let first = self.b.first.wrapping_offset(at as isize * self.b.panel);
            let cols = width.min(self.tile.cols - col);
            // SAFETY: the caller's.
            let ahead = unsafe { self.ahead(col, cols) };
            each(&PanelOfB { first, col, cols, ahead });
        }
    }

    /// How far ahead numbers of B are asked for; where panels are packed one by one, this one is packed now, and the next is asked for.
    unsafe fn ahead(&self, col: usize, cols: usize) -> isize {
        let ColumnsOfPass { run, tile, pass, ref b, room, .. } = *self;
        if b.source.is_none() {
            return ahead(run, 1, b.row);
        }
        // SAFETY: the caller's; the room for B holds a panel.
        unsafe { run.side(1, tile, &run.plan.panels_of_b, None, room).packed((pass.from, pass.len), (tile.col + col, cols)) };
        let goes_on = tile.col + col + cols < run.plan.n || run.plan.batch > 1;
        if goes_on { b.to_source((col + run.plan.panels_of_b.width) * pass.len) } else { 0 }
    }

    /// A block of the first of these rows, for any columns.
    #[inline]
    pub fn block(&self, row: usize, rows: usize, a: &Stretch<T>) -> Block<T> {
        let ColumnsOfPass { run, pass, ref b, c, .. } = *self;
        let mut block = Block {
            depth: a.depth,
            runs: a.runs,
            a_jump: a.jump,
            a: a.first,
            a_row: a.row,
            a_three: a.three,
            a_six: a.six,
            a_step: a.step,
            a_next: a.block,
            bands: a.bands,
            band: rows,
            a_band: a.apart,
            b: b.first,
            b_row: b.row,
            ahead: [ahead(run, 0, a.step), 0],
            c: c.first,
            c_row: c.row,
            last: 0,
            add: pass.add,
            plus: pass.plus,
        };
        block.move_results(row as isize, 0);
        block
    }

    /// Multiplies by a panel the rows that a block of any columns has.
    ///
    /// # Safety
    /// As [`ColumnsOfPass::all`].
    #[inline(always)]
    pub unsafe fn multiply(&self, block: &mut Block<T>, rows: usize, panel: &PanelOfB<T>) {
        let kernels = self.run.kernels;
        let vectors = panel.cols.div_ceil(kernels.lanes);
        (block.b, block.ahead[1]) = (panel.first, panel.ahead);
        block.last = panel.cols - (vectors - 1) * kernels.lanes;
        block.move_results(0, panel.col as isize);
        // SAFETY: the caller's.
        unsafe { kernels.column(block, rows, vectors, self.run.plan.panels_of_a.width) };
        block.move_results(0, -(panel.col as isize));
    }
}

/// How far ahead an operand is asked for from which numbers come in steps so long. What lies side by side along the sum the machine brings by
/// itself.
fn ahead<T: Multiply>(run: &Run<'_, T>, side: usize, step: isize) -> isize {
    if step != 1 && run.plan.reads_in_place(side) { AHEAD * step } else { 0 }
}
