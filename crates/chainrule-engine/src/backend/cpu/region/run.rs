//! Running a plan: pointers for each tile, then the steps in order.
//!
//! Refuses to allocate and to decide anything that depends on more than the plan.

use super::super::fault::FaultCell;
use super::super::loops::{Call, Loop, Sequence};
use super::gather::{Gather, gather};
use super::path::{Path, offset_at, pieces, span};
use super::plan::{Class, Home, Indexed, NO_VALUE, Numbered, Plan, Step, View, Work};
use super::{Product, Rectangle, Scratch};

/// Where a value lies during a tile: its first element and the bytes from row to row (0 for what
/// does not vary with rows).
#[derive(Clone, Copy)]
pub struct Operand {
    first: *mut u8,
    stride: isize,
}

impl Operand {
    /// Nothing yet.
    pub const NONE: Operand = Operand { first: std::ptr::null_mut(), stride: 0 };
}

/// One run of a plan on one thread.
pub struct Run<'a> {
    plan: &'a Plan,
    buffers: &'a [*mut u8],
    operands: &'a mut [Operand],
    faults: &'a FaultCell,
    product: Option<(Product, Rectangle)>,
}

/// Rows and columns of a tile: first and how many.
#[derive(Clone, Copy)]
struct Tile {
    row: usize,
    rows: usize,
    col: usize,
    cols: usize,
}

impl<'a> Run<'a> {
    /// Gives every slot its place in the scratch.
    pub fn new(
        plan: &'a Plan,
        buffers: &'a [*mut u8],
        scratch: &'a mut Scratch,
        faults: &'a FaultCell,
        product: Option<(Product, Rectangle)>,
    ) -> Run<'a> {
        let base = scratch.lines.as_mut_ptr().cast::<u8>();
        let operands = &mut scratch.operands[..plan.values.len()];
        for (operand, known) in operands.iter_mut().zip(&plan.values) {
            let bytes = known.lane.bytes();
            let stride = match (known.class.rows, known.class.cols) {
                (true, true) => plan.shape.tile_cols * bytes,
                (true, false) => bytes,
                _ => 0,
            };
            let first = match known.home {
                Home::Slot(offset) => base.wrapping_add(offset),
                Home::Constant(index) => plan.constants[index].as_ptr().cast_mut(),
                Home::View | Home::Nowhere => std::ptr::null_mut(),
            };
            *operand = Operand { first, stride: stride as isize };
        }
        Run { plan, buffers, operands, faults, product }
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
                if tile == first {
                    self.once(tile_of);
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
        let mut started = false;
        while col < all.col1 {
            let col_end = shape.col_end(col, all.col1);
            // SAFETY: the caller's, for the tiles of the rectangle.
            unsafe {
                self.start_accumulators(col_end - col);
                let mut row = all.row0;
                while row < all.row1 {
                    let row_end = shape.row_end(row, all.row1);
                    let tile = Tile { row, rows: row_end - row, col, cols: col_end - col };
                    if !started {
                        self.once(tile);
                        started = true;
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
            let call = Call {
                rows: 1,
                cols,
                to: to.first,
                a: accumulator.identity.as_ptr(),
                ..EMPTY
            };
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
                    ..EMPTY
                };
                // SAFETY: the caller's, for the store of the accumulators.
                unsafe { (accumulator.store)(&call) }
            });
        }
    }

    fn base(&self, path: &Path) -> *mut u8 {
        self.buffers[path.buffer].wrapping_offset(path.offset)
    }

    /// What is the same for all tiles of a unit, found at its first tile.
    unsafe fn once(&mut self, tile: Tile) {
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
        let path = &self.plan.paths[view.path];
        let offset = offset_at(&path.rows, tile.row) + offset_at(&path.cols, tile.col);
        let stride = match (known.class.rows, path.rows.last()) {
            (true, Some(&(_, stride))) => stride,
            _ => 0,
        };
        self.operands[view.value as usize] =
            Operand { first: self.base(path).wrapping_offset(offset), stride };
    }

    #[inline(always)]
    fn operand(&self, value: u32) -> Operand {
        if value == NO_VALUE { Operand::NONE } else { self.operands[value as usize] }
    }

    #[inline(always)]
    unsafe fn step(&mut self, step: &Step, tile: Tile) {
        match &step.work {
            Work::Points(run) => {
                let (rows, cols) = extent(step.class, tile);
                let mut call = self.call(step, rows, cols);
                let [to, a, b, c] = step.widths.map(|width| width as isize * cols as isize);
                // Rows that follow each other without a gap are one long row.
                if rows > 1
                    && call.to_stride == to
                    && call.a_stride == a
                    && call.b_stride == b
                    && call.c_stride == c
                {
                    call.cols = rows * cols;
                    call.rows = 1;
                }
                // SAFETY: all operands have homes of the step's class.
                unsafe { run(&call) }
            }
            Work::Rows(run) => {
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
        Call {
            rows,
            cols,
            to: to.first,
            to_stride: to.stride,
            a: a.first,
            a_stride: a.stride,
            b: b.first,
            b_stride: b.stride,
            c: c.first,
            c_stride: c.stride,
            ..EMPTY
        }
    }

    /// Copies between memory and a value whose elements of a row are side by side.
    #[allow(clippy::too_many_arguments, reason = "the parts of one copy")]
    unsafe fn copy(
        &self,
        path: usize,
        run: Loop,
        class: Class,
        value: Operand,
        width: isize,
        tile: Tile,
        store: bool,
    ) {
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
                    ..EMPTY
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
                    ..EMPTY
                },
            };
            // SAFETY: the caller's, for the part of the access that this tile reaches.
            unsafe { run(&call) }
        };
        let none = super::path::Line::new();
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
                for i in 0..rows {
                    let first = start + if class.rows { offset_at(outer, row + i) } else { 0 };
                    pieces(inner, col, cols, |at, len, across, step| {
                        let place = (i as isize * value.stride + at as isize * width, 0, width);
                        go(1, len, first + across, 0, step, place);
                    });
                }
            }
        }
    }

    fn load_at(&self, step: &Step, indexed: &Indexed, tile: Tile) {
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
                    self.faults.report(position, crate::compile::kernel::Fault { site, index: fault, limit });
                }
            });
        }
    }

    unsafe fn sequence(&self, step: &Step, numbered: &Numbered, tile: Tile) {
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
                // SAFETY: the value's slot has room for the row.
                unsafe { run(&call) }
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
}

/// Rows and columns of a loop over values of a class; what varies with rows alone is one row.
#[inline(always)]
fn extent(class: Class, tile: Tile) -> (usize, usize) {
    match (class.rows, class.cols) {
        (true, true) => (tile.rows, tile.cols),
        (true, false) => (1, tile.rows),
        (false, true) => (1, tile.cols),
        (false, false) => (1, 1),
    }
}

const EMPTY: Call = Call {
    rows: 0,
    cols: 0,
    to: std::ptr::null_mut(),
    to_stride: 0,
    to_step: 0,
    a: std::ptr::null(),
    a_stride: 0,
    a_step: 0,
    b: std::ptr::null(),
    b_stride: 0,
    c: std::ptr::null(),
    c_stride: 0,
};
