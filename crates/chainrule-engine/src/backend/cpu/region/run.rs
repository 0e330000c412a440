//! Running a plan: pointers for each tile, then the steps in order.
//!
//! Refuses to allocate and to decide anything that depends on more than the plan.

use super::super::fault::FaultCell;
use super::super::level::prefetch_for_later;
use super::super::loops::Call;
use super::fused::Table;
use super::path::{Path, offset_at, pieces};
use super::plan::{Class, MOST_ASKED, NO_VALUE, Placed, Plan, Step, View, Work};
use super::{Product, Rectangle, Scratch, Start};

/// Where a value lies during a tile: its first element and the bytes from row to row (0 for what
/// does not vary with rows).
#[derive(Clone, Copy)]
pub struct Operand {
    /// Its first element.
    pub first: *mut u8,
    /// Bytes from row to row.
    pub stride: isize,
}

impl Operand {
    /// Nothing yet.
    pub const NONE: Operand = Operand { first: std::ptr::null_mut(), stride: 0 };
}

/// One run of a plan on one thread.
pub struct Run<'a> {
    pub(super) plan: &'a Plan,
    starts: &'a [Start],
    buffers: &'a [*mut u8],
    /// The first byte of the scratch's slots.
    slots: *mut u8,
    operands: &'a mut [Operand],
    table: &'a mut Table,
    pub(super) faults: &'a FaultCell,
    product: Option<(Product, Rectangle)>,
    /// Whether what is the same for all tiles is there.
    started: bool,
}

/// Rows and columns of a tile: first and how many.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub row: usize,
    pub rows: usize,
    pub col: usize,
    pub cols: usize,
}

impl<'a> Run<'a> {
    /// Gives every slot its place in the scratch.
    pub fn new(
        plan: &'a Plan,
        (starts, buffers): (&'a [Start], &'a [*mut u8]),
        scratch: &'a mut Scratch,
        faults: &'a FaultCell,
        product: Option<(Product, Rectangle)>,
    ) -> Run<'a> {
        let slots = scratch.lines.as_mut_ptr().cast::<u8>();
        let operands = &mut scratch.operands[..plan.values.len()];
        let mut run = Run { plan, starts, buffers, slots, operands, table: &mut scratch.table, faults, product, started: false };
        plan.placed.iter().for_each(|placed| run.point(placed));
        run
    }

    /// Points a value that stays at one place there.
    #[inline]
    fn point(&mut self, &Placed { value, in_slot, offset, stride }: &Placed) {
        let base = if in_slot { self.slots } else { self.plan.constants.as_ptr().cast_mut().cast() };
        self.operands[value as usize] = Operand { first: base.wrapping_add(offset), stride };
    }

    /// Runs one unit.
    ///
    /// # Safety
    /// As [`super::CompiledRegion::run`].
    pub unsafe fn unit(&mut self, unit: usize) {
        let shape = &self.plan.shape;
        let col_chunks = shape.col_chunks();
        // SAFETY: the caller's, for the tiles of the unit.
        unsafe {
            if let Some(unit_rows) = shape.unit_rows {
                let per_row = col_chunks.div_ceil(shape.unit_tiles);
                let chunk0 = unit % per_row * shape.unit_tiles;
                let chunk1 = (chunk0 + shape.unit_tiles).min(col_chunks);
                let (col0, col1) = (shape.col_chunk(chunk0).0, shape.col_chunk(chunk1 - 1).1);
                let mut row0 = unit / per_row * shape.bundle * unit_rows;
                for _ in 0..shape.bundle {
                    let row1 = (row0 + unit_rows).min(shape.rows);
                    self.rectangle(Rectangle { row0, row1, col0, col1 });
                    row0 = row1;
                }
                return;
            }
            let first = unit * shape.unit_tiles;
            let last = (first + shape.unit_tiles).min(shape.row_chunks() * col_chunks);
            for tile in first..last {
                let (row, row_end) = shape.row_chunk(tile / col_chunks);
                let (col, col_end) = shape.col_chunk(tile % col_chunks);
                let tile_of = Tile { row, rows: row_end - row, col, cols: col_end - col };
                self.start(tile_of);
                if tile + 1 < last {
                    let ((row, row_end), (col, col_end)) =
                        (shape.row_chunk((tile + 1) / col_chunks), shape.col_chunk((tile + 1) % col_chunks));
                    self.ask_for(Tile { row, rows: row_end - row, col, cols: col_end - col });
                }
                self.tile(tile_of);
            }
        }
    }

    /// Runs all tiles of a rectangle.
    ///
    /// # Safety
    /// As [`super::CompiledRegion::run_tile`].
    pub unsafe fn rectangle(&mut self, all: Rectangle) {
        let shape = &self.plan.shape;
        if all.row0 >= all.row1 || all.col0 >= all.col1 {
            return;
        }
        let mut col = all.col0;
        while col < all.col1 {
            let col_end = shape.col_end(col, all.col1);
            // SAFETY: the caller's, for the tiles of the rectangle.
            unsafe {
                self.start_accumulators(col_end - col);
                let mut row = all.row0;
                while row < all.row1 {
                    let row_end = shape.row_end(row, all.row1);
                    let tile = Tile { row, rows: row_end - row, col, cols: col_end - col };
                    self.start(tile);
                    if row_end < all.row1 {
                        self.ask_for(Tile { row: row_end, rows: shape.row_end(row_end, all.row1) - row_end, ..tile });
                    }
                    self.tile(tile);
                    row = row_end;
                }
                self.store_accumulators(all.row0, col, col_end - col);
            }
            col = col_end;
        }
    }

    unsafe fn start_accumulators(&mut self, cols: usize) {
        for accumulator in &self.plan.accumulators {
            let to = self.operands[accumulator.value as usize];
            let call = Call { rows: 1, cols, to: to.first, a: accumulator.identity.as_ptr(), ..Call::EMPTY };
            // SAFETY: the slot has room for a tile's columns.
            unsafe { (accumulator.repeat)(&call) }
        }
    }

    unsafe fn store_accumulators(&mut self, row: usize, col: usize, cols: usize) {
        for accumulator in &self.plan.accumulators {
            let from = self.operands[accumulator.value as usize];
            let path = &self.plan.paths[accumulator.path];
            let bytes = self.plan.values[accumulator.value as usize].lane.bytes() as isize;
            let unit = (row / self.plan.shape.unit_rows.unwrap_or(1)) as isize;
            let to = self.base(path).wrapping_offset(unit * accumulator.unit_stride);
            pieces(&path.cols, col, cols, |at, len, offset, step| {
                let call = Call {
                    rows: 1,
                    cols: len,
                    to: to.wrapping_offset(offset),
                    to_step: step,
                    a: from.first.wrapping_offset(at as isize * bytes),
                    a_step: bytes,
                    ..Call::EMPTY
                };
                // SAFETY: the caller's, for the store of the accumulators.
                unsafe { (accumulator.store)(&call) }
            });
        }
    }

    /// The first element of an access.
    pub(super) fn base(&self, path: &Path) -> *mut u8 {
        let Start { buffer, offset } = self.starts[path.buffer];
        self.buffers[buffer as usize].wrapping_offset(offset)
    }

    /// What is the same for all tiles, found at the first one.
    unsafe fn start(&mut self, tile: Tile) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let plan = self.plan;
        for view in &plan.views_once {
            self.set(view, tile);
        }
        // Rows that are repeated for a tile must serve the longest.
        let tile = Tile { rows: plan.shape.tile_rows, ..tile };
        for step in &plan.once {
            // SAFETY: the caller's.
            unsafe { self.step(step, tile) }
        }
    }

    unsafe fn tile(&mut self, tile: Tile) {
        let plan = self.plan;
        for view in &plan.views {
            self.set(view, tile);
        }
        for step in &plan.steps {
            // SAFETY: the caller's.
            unsafe { self.step(step, tile) }
        }
    }

    /// Asks for all that the tiles of a rectangle will read from afar, unless that is too much to stay near.
    pub fn ask_for_all(&self, all: Rectangle) {
        let shape = &self.plan.shape;
        let width = |view: &View| self.plan.values[view.value as usize].lane.bytes();
        let bytes = (all.row1 - all.row0) * (all.col1 - all.col0) * self.plan.far.iter().map(width).sum::<usize>();
        if bytes > MOST_ASKED {
            return;
        }
        let mut row = all.row0;
        while row < all.row1 {
            let row_end = shape.row_end(row, all.row1);
            let mut col = all.col0;
            while col < all.col1 {
                let col_end = shape.col_end(col, all.col1);
                self.ask_for(Tile { row, rows: row_end - row, col, cols: col_end - col });
                col = col_end;
            }
            row = row_end;
        }
    }

    /// Brings the far memory of a tile closer, but not where its rows go on without a gap: that the machine foresees.
    fn ask_for(&self, tile: Tile) {
        for view in &self.plan.far {
            let Operand { first, stride } = self.place(view, tile);
            let bytes = tile.cols * self.plan.values[view.value as usize].lane.bytes();
            if stride == bytes as isize {
                continue;
            }
            for row in 0..tile.rows as isize {
                let row = first.wrapping_offset(row * stride);
                (0..bytes).step_by(64).for_each(|at| prefetch_for_later(row.wrapping_add(at)));
            }
        }
    }

    /// Points a value at the memory of a tile.
    #[inline]
    fn set(&mut self, view: &View, tile: Tile) {
        let known = &self.plan.values[view.value as usize];
        if view.product
            && let Some((product, all)) = self.product
        {
            let bytes = known.lane.bytes();
            let down = (tile.row - all.row0) as isize * product.row_bytes;
            let first = product.first.wrapping_offset(down).wrapping_add((tile.col - all.col0) * bytes);
            let stride = if known.class.rows { product.row_bytes } else { 0 };
            self.operands[view.value as usize] = Operand { first, stride };
            return;
        }
        self.operands[view.value as usize] = self.place(view, tile);
    }

    /// Where a view lies for a tile.
    #[inline]
    fn place(&self, view: &View, tile: Tile) -> Operand {
        let path = &self.plan.paths[view.path];
        let offset = offset_at(&path.rows, tile.row) + offset_at(&path.cols, tile.col);
        let stride = match (self.plan.values[view.value as usize].class.rows, path.rows.last()) {
            (true, Some(&(_, stride))) => stride,
            _ => 0,
        };
        Operand { first: self.base(path).wrapping_offset(offset), stride }
    }

    #[inline(always)]
    pub(super) fn operand(&self, value: u32) -> Operand {
        if value == NO_VALUE { Operand::NONE } else { self.operands[value as usize] }
    }

    unsafe fn step(&mut self, step: &Step, tile: Tile) {
        match &step.work {
            Work::Points(run, _) => {
                let (rows, cols) = extent(step.class, tile);
                let mut call = self.call(step, rows, cols);
                let [to, a, b, c] = step.widths.map(|width| width as isize * cols as isize);
                // Rows that follow each other without a gap are one long row.
                if rows > 1 && call.to_stride == to && call.a_stride == a && call.b_stride == b && call.c_stride == c {
                    call.cols = rows * cols;
                    call.rows = 1;
                }
                // SAFETY: all operands have homes of the step's class.
                unsafe { run(&call) }
            }
            // SAFETY: all operands have homes of the step's class.
            Work::Fused(fused) => unsafe {
                if !fused.run(self.operands, self.table, extent(step.class, tile)) {
                    fused.steps.iter().filter_map(|step| self.plan.placed(step.to)).for_each(|placed| self.point(&placed));
                    fused.steps.iter().for_each(|step| self.step(step, tile));
                }
            },
            Work::Rows(run, _) => {
                let known = self.plan.values[step.operands[0] as usize].class;
                let rows = if known.rows { tile.rows } else { 1 };
                // SAFETY: as above.
                unsafe { run(&self.call(step, rows, tile.cols)) }
            }
            Work::Accumulate(run) => {
                let rows = if step.class.rows { tile.rows } else { 1 };
                let cols = if step.class.cols { tile.cols } else { 1 };
                // SAFETY: as above.
                unsafe { run(&self.call(step, rows, cols)) }
            }
            Work::Load(path, run) => {
                let to = self.operand(step.to);
                // SAFETY: the caller's, for the load.
                unsafe { self.copy(*path, *run, step.class, to, step.widths[0] as isize, tile, false) }
            }
            Work::Store(path, run) => {
                let from = self.operand(step.operands[0]);
                // SAFETY: the caller's, for the store.
                unsafe { self.copy(*path, *run, step.class, from, step.widths[1] as isize, tile, true) }
            }
            Work::LoadAt(indexed) => self.load_at(step, indexed, tile),
            Work::Sequence(numbered) => {
                // SAFETY: the caller's, for the key's load.
                unsafe { self.sequence(step, numbered, tile) }
            }
        }
    }

    #[inline(always)]
    fn call(&self, step: &Step, rows: usize, cols: usize) -> Call {
        let to = self.operand(step.to);
        let [a, b, c] = step.operands.map(|operand| self.operand(operand));
        let [_, a_step, b_step, c_step] = step.widths;
        Call {
            rows,
            cols,
            to: to.first,
            to_stride: to.stride,
            a: a.first,
            a_stride: a.stride,
            a_step: a_step as isize,
            b: b.first,
            b_stride: b.stride,
            b_step: b_step as isize,
            c: c.first,
            c_stride: c.stride,
            c_step: c_step as isize,
            ..Call::EMPTY
        }
    }
}

/// Rows and columns of a loop over values of a class; what varies with rows alone is one row.
#[inline(always)]
pub(super) fn extent(class: Class, tile: Tile) -> (usize, usize) {
    match (class.rows, class.cols) {
        (true, true) => (tile.rows, tile.cols),
        (true, false) => (1, tile.rows),
        (false, true) => (1, tile.cols),
        (false, false) => (1, 1),
    }
}
