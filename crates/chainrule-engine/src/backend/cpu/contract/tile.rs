//! Running a unit of a contraction: its tiles, pass by pass along the sum, block by block.
//!
//! Refuses to allocate and to decide anything that depends on more than the plan.

use super::super::fault::FaultCell;
use super::super::region::path::{offset_at, span};
use super::super::region::{CompiledRegion, Product, Rectangle, Scratch};
use super::block::{Block, Kernels, Multiply};
use super::pack::{Copying, Part};
use super::plan::{Columns, Operand, Plan, Rows};
use crate::compile::kernel::Lane;

/// One run of a plan on one thread.
pub struct Run<'a, T: 'static> {
    plan: &'a Plan,
    kernels: &'static Kernels<T>,
    epilogue: Option<&'a CompiledRegion>,
    buffers: &'a [*mut u8],
    faults: &'a FaultCell,
}

/// A tile: rows and columns of one matrix, and the part of the sum.
#[derive(Clone, Copy)]
struct Tile {
    batch: usize,
    row: usize,
    rows: usize,
    col: usize,
    cols: usize,
    from: usize,
    to: usize,
}

/// Where packed parts and tiles go.
#[derive(Clone, Copy)]
struct Room {
    a: *mut u8,
    b: *mut u8,
    tile: *mut u8,
}

/// Evenly spaced numbers: the first, from row to row, from column to column.
#[derive(Clone, Copy)]
struct Matrix<T> {
    first: *mut T,
    row: isize,
    col: isize,
}

/// Part of the sum of one pass.
#[derive(Clone, Copy)]
struct Pass {
    from: usize,
    len: usize,
    add: bool,
}

impl<'a, T: Multiply> Run<'a, T> {
    /// A run of the plan.
    pub fn new(plan: &'a Plan, epilogue: Option<&'a CompiledRegion>, buffers: &'a [*mut u8], faults: &'a FaultCell) -> Run<'a, T> {
        Run { plan, kernels: T::kernels(plan.level), epilogue, buffers, faults }
    }

    /// Runs one unit.
    ///
    /// # Safety
    /// As [`super::CompiledContract::run`].
    pub unsafe fn unit(&self, unit: usize, scratch: &mut Scratch) {
        let plan = self.plan;
        let [a, b, tile] = plan.scratch;
        let room = scratch.aside(a + b + tile);
        let room = Room { a: room, b: room.wrapping_add(a), tile: room.wrapping_add(a + b) };
        let tiles = plan.tiles();
        let across = plan.n.div_ceil(plan.tile_cols);
        let (at, rest) = (unit % tiles, unit / tiles);
        let groups = plan.batch.div_ceil(plan.group);
        let (group, chunk) = (rest % groups, rest / groups);
        let (row, col) = (at / across * plan.tile_rows, at % across * plan.tile_cols);
        let from = (chunk * plan.chunk).min(plan.k);
        for batch in group * plan.group..((group + 1) * plan.group).min(plan.batch) {
            let tile = Tile {
                batch,
                row,
                rows: plan.tile_rows.min(plan.m - row),
                col,
                cols: plan.tile_cols.min(plan.n - col),
                from,
                to: (from + plan.chunk).min(plan.k),
            };
            // SAFETY: the caller's; the scratch has room for what the plan says.
            unsafe { self.tile(tile, chunk, room, scratch) };
        }
    }

    unsafe fn tile(&self, tile: Tile, chunk: usize, room: Room, scratch: &mut Scratch) {
        let plan = self.plan;
        let Tile { batch, row, rows, col, cols, .. } = tile;
        let bytes = size_of::<T>() as isize;
        let out = self.first(&plan.out, batch).wrapping_offset(chunk as isize * plan.chunk_stride);
        let dense = Matrix { first: room.tile.cast::<T>(), row: cols as isize, col: 1 };
        // SAFETY: the caller's; a tile in scratch has room for all its rows and columns.
        unsafe {
            if let Some(epilogue) = self.epilogue {
                self.multiply(tile, dense, false, room);
                let product = |first: usize, rows: usize, cols: usize| {
                    let rectangle = Rectangle { row0: first, row1: first + rows, col0: col, col1: col + cols };
                    let row_bytes = cols as isize * bytes;
                    (rectangle, Product { first: room.tile, row_bytes })
                };
                // Rows that changed sides are the columns of a matrix with a single one.
                let (rectangle, product) = if plan.swapped {
                    let (mut rectangle, product) = product(batch * plan.n + col, cols, 1);
                    (rectangle.col0, rectangle.col1) = (0, 1);
                    (rectangle, product)
                } else {
                    product(batch * plan.m + row, rows, cols)
                };
                epilogue.run_tile(rectangle, product, self.buffers, scratch, self.faults);
                return;
            }
            if !plan.dense
                && let Some(direct) = self.matrix(&plan.out, out, (row, rows), (col, cols))
            {
                self.multiply(tile, direct, plan.accumulate, room);
                return;
            }
            let copying = Copying {
                table: plan.table,
                copy: self.kernels.copy,
                memory: out,
                dtype: plan.out.dtype,
                rows: Part { line: &plan.out.path.rows, start: row, len: rows },
                cols: Part { line: &plan.out.path.cols, start: col, len: cols },
                dense: room.tile,
                stride: cols as isize * bytes,
            };
            if plan.accumulate {
                copying.gather();
            }
            self.multiply(tile, dense, plan.accumulate, room);
            copying.scatter();
        }
    }

    /// The element at row 0 and column 0 of a matrix of the batch.
    fn first(&self, operand: &Operand, batch: usize) -> *mut u8 {
        let offset = operand.path.offset + offset_at(&operand.batch, batch);
        self.buffers[operand.path.buffer].wrapping_offset(offset)
    }

    /// Part of an operand as it lies in memory, if it holds numbers of the lane, evenly spaced.
    fn matrix(&self, operand: &Operand, first: *mut u8, rows: (usize, usize), cols: (usize, usize)) -> Option<Matrix<T>> {
        let bytes = size_of::<T>();
        if operand.dtype.bytes() != bytes || Lane::of(operand.dtype) != self.plan.lane {
            return None;
        }
        let (below, row) = span(&operand.path.rows, rows.0, rows.1)?;
        let (right, col) = span(&operand.path.cols, cols.0, cols.1)?;
        let step = |step: isize, len: usize| if len > 1 { step / bytes as isize } else { 1 };
        let first = first.wrapping_offset(below + right).cast();
        Some(Matrix { first, row: step(row, rows.1), col: step(col, cols.1) })
    }

    /// A product of a part of A with a part of B.
    unsafe fn multiply(&self, tile: Tile, c: Matrix<T>, add: bool, room: Room) {
        if tile.from == tile.to {
            if !add {
                // SAFETY: the caller's.
                unsafe { zero(tile, c) };
            }
            return;
        }
        let depth = self.plan.depth_of_pass();
        let mut from = tile.from;
        while from < tile.to {
            let len = depth.min(tile.to - from);
            let pass = Pass { from, len, add: add || from > tile.from };
            // SAFETY: the caller's.
            unsafe {
                match self.plan.columns_of_b {
                    Columns::Dot => self.dots(tile, pass, c, room),
                    _ => self.pass(tile, pass, c, room),
                }
            }
            from += len;
        }
    }

    /// One pass: B's part first, then A's rows, a packed stretch at a time.
    unsafe fn pass(&self, tile: Tile, pass: Pass, c: Matrix<T>, room: Room) {
        let kernels = self.kernels;
        let vectors = tile.cols.div_ceil(kernels.lanes);
        let panels = vectors.div_ceil(kernels.most);
        let wide = vectors.div_ceil(panels);
        let width = wide * kernels.lanes;
        // SAFETY: the caller's; the room for packed parts is as large as the plan's passes need.
        unsafe {
            let (b, panel) = self.columns(tile, pass, width, room);
            let mut row = 0;
            while row < tile.rows {
                let stretch = match self.plan.rows_of_a {
                    Rows::Direct => tile.rows,
                    _ => self.plan.pack_rows.min(tile.rows - row),
                };
                let a = self.rows(tile, pass, (tile.row + row, stretch), room);
                let mut col = 0;
                while col < tile.cols {
                    let cols = width.min(tile.cols - col);
                    let vectors = cols.div_ceil(kernels.lanes);
                    let mut block = Block {
                        depth: pass.len,
                        a: a.first,
                        a_row: a.row,
                        a_step: a.col,
                        b: b.first.wrapping_offset((col / width) as isize * panel),
                        b_row: b.row,
                        c: c.first.wrapping_offset(row as isize * c.row).wrapping_add(col),
                        c_row: c.row,
                        last: cols - (vectors - 1) * kernels.lanes,
                        add: pass.add,
                    };
                    let mut left = stretch;
                    while left > 0 {
                        let height = kernels.height(left, vectors);
                        kernels.block(height, vectors)(&block);
                        block.a = block.a.wrapping_offset(height as isize * a.row);
                        block.c = block.c.wrapping_offset(height as isize * c.row);
                        left -= height;
                    }
                    col += width;
                }
                row += stretch;
            }
        }
    }

    /// B's part of a pass, and the distance between panels of `width` columns.
    unsafe fn columns(&self, tile: Tile, pass: Pass, width: usize, room: Room) -> (Matrix<T>, isize) {
        let b = &self.plan.b;
        let memory = self.first(b, tile.batch);
        if self.plan.columns_of_b == Columns::Direct
            && let Some(matrix) = self.matrix(b, memory, (pass.from, pass.len), (tile.col, tile.cols))
        {
            return (matrix, width as isize);
        }
        let panel = width * pass.len;
        let mut col = 0;
        while col < tile.cols {
            let copying = Copying {
                table: self.plan.table,
                copy: self.kernels.copy,
                memory,
                dtype: b.dtype,
                rows: Part { line: &b.path.rows, start: pass.from, len: pass.len },
                cols: Part { line: &b.path.cols, start: tile.col + col, len: width.min(tile.cols - col) },
                dense: room.b.cast::<T>().wrapping_add(col / width * panel).cast(),
                stride: (width * size_of::<T>()) as isize,
            };
            // SAFETY: the caller's; packed panels fit the room for B.
            unsafe { copying.gather() };
            col += width;
        }
        (Matrix { first: room.b.cast(), row: width as isize, col: 1 }, panel as isize)
    }

    /// Some rows of A's part of a pass.
    unsafe fn rows(&self, tile: Tile, pass: Pass, rows: (usize, usize), room: Room) -> Matrix<T> {
        let a = &self.plan.a;
        let memory = self.first(a, tile.batch);
        let down = Part { line: &a.path.rows, start: rows.0, len: rows.1 };
        let along = Part { line: &a.path.cols, start: pass.from, len: pass.len };
        let first = room.a.cast::<T>();
        let (by, matrix) = match self.plan.rows_of_a {
            Rows::Direct => {
                if let Some(matrix) = self.matrix(a, memory, rows, (pass.from, pass.len)) {
                    return matrix;
                }
                // The plan reads in place only what is evenly spaced.
                debug_assert!(false, "an operand that is not evenly spaced is packed");
                return Matrix { first: memory.cast(), row: 0, col: 0 };
            }
            Rows::AlongDepth => ((down, along), Matrix { first, row: pass.len as isize, col: 1 }),
            Rows::AcrossDepth => ((along, down), Matrix { first, row: 1, col: rows.1 as isize }),
        };
        let copying = Copying {
            table: self.plan.table,
            copy: self.kernels.copy,
            memory,
            dtype: a.dtype,
            rows: by.0,
            cols: by.1,
            dense: room.a,
            stride: (by.1.len * size_of::<T>()) as isize,
        };
        // SAFETY: the caller's; packed rows fit the room for A.
        unsafe { copying.gather() };
        matrix
    }

    /// A pass of which every result is the product of a row of A and a column of B.
    unsafe fn dots(&self, tile: Tile, pass: Pass, c: Matrix<T>, room: Room) {
        let b = &self.plan.b;
        let memory = self.first(b, tile.batch);
        // SAFETY: the caller's; the plan sees to it that B's columns are evenly spaced.
        unsafe {
            let a = self.rows(tile, pass, (tile.row, tile.rows), room);
            let Some(b) = self.matrix(b, memory, (pass.from, pass.len), (tile.col, tile.cols)) else { return };
            for row in 0..tile.rows {
                for col in 0..tile.cols {
                    let a = a.first.wrapping_offset(row as isize * a.row);
                    let b = b.first.wrapping_offset(col as isize * b.col);
                    let to = c.first.wrapping_offset(row as isize * c.row + col as isize * c.col);
                    let sum = (self.kernels.dot)(pass.len, a, b);
                    *to = if pass.add { to.read().plus(sum) } else { sum };
                }
            }
        }
    }
}

/// A sum of nothing.
unsafe fn zero<T: Multiply>(tile: Tile, c: Matrix<T>) {
    for row in 0..tile.rows as isize {
        for col in 0..tile.cols as isize {
            // SAFETY: the caller's.
            unsafe { *c.first.wrapping_offset(row * c.row + col * c.col) = T::default() };
        }
    }
}
