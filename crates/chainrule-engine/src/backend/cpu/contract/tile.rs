//! Running a unit of a contraction: its tiles, pass by pass along the sum, block by block.
//!
//! Refuses to allocate and to decide anything that depends on more than the plan.

use super::super::fault::FaultCell;
use super::super::region::path::{offset_at, runs, span};
use super::super::region::{CompiledRegion, Product, Rectangle, Scratch};
use super::along::{Along, Task};
use super::block::{Addends, Kernels, Multiply};
use super::layout::Operand;
use super::loose::LooseTiles;
use super::matrix::{RowsOfA, SIDE, STEPS, Strip};
use super::method::Method;
use super::pack::{Copying, Part};
use super::panels::{Packed, Panels, Place};
use super::pass::ColumnsOfPass;
use super::plan::Plan;
use super::reading::Columns;
use super::side::Side;
use super::split::{is_fit, near, panel_bytes};
use super::stretch::{ColumnsOfB, Lying, Stretch};

/// One run of a plan on one thread.
pub struct Run<'a, T: 'static> {
    /// The plan.
    pub plan: &'a Plan,
    /// The kernels of its level.
    pub kernels: &'static Kernels<T>,
    epilogue: Option<&'a CompiledRegion>,
    buffers: &'a [*mut u8],
    packed: &'a Packed,
    faults: &'a FaultCell,
}

/// A tile: rows and columns of one matrix, and the part of the sum.
#[derive(Clone, Copy)]
pub struct Tile {
    batch: usize,
    row: usize,
    rows: usize,
    /// The first column.
    pub col: usize,
    /// How many there are.
    pub cols: usize,
    from: usize,
    to: usize,
}

/// Where packed parts and tiles go.
#[derive(Clone, Copy)]
pub struct Room {
    a: *mut u8,
    b: *mut u8,
    tile: *mut u8,
    /// Numbers of a panel on their way into parts; when both sides are packed, sums of blocks.
    numbers: *mut u8,
}

/// Evenly spaced numbers: the first, from row to row, from column to column.
#[derive(Clone, Copy)]
pub struct Matrix<T> {
    /// The first.
    pub first: *mut T,
    /// In elements.
    pub row: isize,
    /// In elements.
    pub col: isize,
}

impl<T: Multiply> Matrix<T> {
    /// Puts a number in its place, or adds it to what is there.
    ///
    /// # Safety
    /// The place is valid for writing.
    #[inline]
    unsafe fn put(&self, row: usize, col: usize, number: T, add: bool) {
        let to = self.first.wrapping_offset(row as isize * self.row + col as isize * self.col);
        // SAFETY: the caller's.
        unsafe { *to = if add { to.read().plus(number) } else { number } };
    }
}

/// Part of the sum of one pass, and what is added with it.
#[derive(Clone, Copy)]
pub struct Pass<T> {
    /// The first step.
    pub from: usize,
    /// How many there are.
    pub len: usize,
    /// Whether results are added to.
    pub add: bool,
    /// What is added besides.
    pub plus: Addends<T>,
}

impl<'a, T: Multiply> Run<'a, T> {
    /// A run of the plan.
    pub fn new(
        plan: &'a Plan,
        epilogue: Option<&'a CompiledRegion>,
        buffers: &'a [*mut u8],
        packed: &'a Packed,
        faults: &'a FaultCell,
    ) -> Run<'a, T> {
        Run { plan, kernels: T::kernels(plan.level), epilogue, buffers, packed, faults }
    }

    /// Runs one unit.
    ///
    /// # Safety
    /// As [`super::CompiledContract::run`].
    pub unsafe fn unit(&self, unit: usize, scratch: &mut Scratch) {
        let plan = self.plan;
        let [a, b, tile, numbers] = plan.scratch;
        let room = scratch.aside(a + b + tile + numbers);
        let at = |bytes: usize| room.wrapping_add(bytes);
        let room = Room { a: room, b: at(a), tile: at(a + b), numbers: at(a + b + tile) };
        if let Method::Tiles(unit, _) = plan.method {
            // SAFETY: it was found on this machine.
            unsafe { (unit.start)(plan.height_of_tiles()) };
        }
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
        if let Method::Tiles(unit, _) = plan.method {
            // SAFETY: as at the start.
            unsafe { (unit.end)() };
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
                // Rows that changed sides are the columns of a matrix with a single one.
                let (rectangle, row_bytes) = if plan.swapped {
                    let first = batch * plan.n + col;
                    (Rectangle { row0: first, row1: first + cols, col0: 0, col1: 1 }, bytes)
                } else {
                    let first = batch * plan.m + row;
                    (Rectangle { row0: first, row1: first + rows, col0: col, col1: col + cols }, cols as isize * bytes)
                };
                if let Some(additions) = &plan.additions
                    && let Some(placed) = additions.placed(self.buffers, (rectangle.row0, rows), (col, cols))
                {
                    self.multiply(tile, placed.to, false, placed.plus, room);
                    return;
                }
                epilogue.ask_for(rectangle, self.buffers, scratch, self.faults);
                self.multiply(tile, dense, false, [None; 2], room);
                let product = Product { first: room.tile, row_bytes };
                epilogue.run_tile(rectangle, product, self.buffers, scratch, self.faults);
                return;
            }
            if !plan.dense
                && let Some(direct) = self.matrix(&plan.out, out, (row, rows), (col, cols))
            {
                self.multiply(tile, direct, plan.accumulate, [None; 2], room);
                return;
            }
            let copying = Copying {
                table: plan.table,
                moves: &self.kernels.moves,
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
            self.multiply(tile, dense, plan.accumulate, [None; 2], room);
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
        if !self.plan.holds_numbers(operand) {
            return None;
        }
        let (below, row) = span(&operand.path.rows, rows.0, rows.1)?;
        let (right, col) = span(&operand.path.cols, cols.0, cols.1)?;
        let step = |step: isize, len: usize| if len > 1 { step / bytes as isize } else { 1 };
        let first = first.wrapping_offset(below + right).cast();
        Some(Matrix { first, row: step(row, rows.1), col: step(col, cols.1) })
    }

    /// A product of a part of A with a part of B.
    unsafe fn multiply(&self, tile: Tile, c: Matrix<T>, add: bool, plus: Addends<T>, room: Room) {
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
            let last = from + len == tile.to;
            let pass = Pass { from, len, add: add || from > tile.from, plus: if last { plus } else { [None; 2] } };
            // SAFETY: the caller's.
            unsafe {
                match (self.plan.columns_of_b, self.plan.along) {
                    (_, Some(along)) => self.along(along, tile, pass, c, room),
                    (Columns::Dot, _) => self.dots(tile, pass, c, room),
                    _ => self.pass(tile, pass, c, room),
                }
            }
            from += len;
        }
    }

    /// One pass: B's part first, then A's rows, a stretch at a time.
    unsafe fn pass(&self, tile: Tile, pass: Pass<T>, c: Matrix<T>, room: Room) {
        // SAFETY: the caller's; the room for packed parts is as large as the plan's passes need.
        unsafe {
            if self.pass_of_parts(tile, pass, c, room) {
                return;
            }
            let columns = ColumnsOfPass { run: self, tile, pass, b: self.columns(tile, pass, room), c, room };
            let lying = self.lying(tile, pass);
            let mut row = 0;
            while row < tile.rows {
                let stretch = self.plan.stretch.min(tile.rows - row);
                let rows = (tile.row + row, stretch);
                match &lying {
                    None => columns.all(row, stretch, &self.packed_rows(tile, pass, rows, room)),
                    Some(lying) if lying.is_even::<T>(self.plan, rows) => {
                        lying.bands(self.plan, rows, |at, len, a| columns.all(row + at, len, a));
                    }
                    Some(lying) => columns.each(|panel| {
                        lying.bands(self.plan, rows, |at, len, a| {
                            columns.multiply(&mut columns.block(row + at, len, a), len, panel);
                        });
                    }),
                }
                row += stretch;
            }
        }
    }

    /// One pass on matrix tiles, if that is the method and all numbers can be had in parts.
    unsafe fn pass_of_parts(&self, tile: Tile, pass: Pass<T>, c: Matrix<T>, room: Room) -> bool {
        let (plan, Tile { row, rows, col, cols, .. }) = (self.plan, tile);
        let Method::Tiles(unit, parts) = plan.method else { return false };
        let [of_a, of_b] = &plan.panels_of_parts;
        let (a, b) = (self.side(0, tile, of_a, plan.shared[0], room), self.side(1, tile, of_b, plan.shared[1], room));
        let steps = pass.len.div_ceil(STEPS);
        let panel = panel_bytes(steps, parts);
        let fit = |first: *const u8, len: usize| {
            // SAFETY: the caller's; so many panels follow each other.
            parts == 1 || (0..len.div_ceil(SIDE)).all(|i| unsafe { is_fit(first.add(i * panel)) })
        };
        // SAFETY: the caller's; the room for A and for B holds all panels of a tile.
        unsafe {
            let mut loose = LooseTiles::default();
            let a = if plan.reads_loose() {
                match loose.find(&a, plan, (pass.from, pass.len), (row, rows)) {
                    Some(rows) => rows,
                    None => return false,
                }
            } else {
                let first: *const u8 = a.packed((pass.from, pass.len), (row, rows));
                if !fit(first, rows) {
                    return false;
                }
                RowsOfA::Panels { first, panel }
            };
            let b: *const u8 = b.packed((pass.from, pass.len), (col, cols));
            if !fit(b, cols) {
                return false;
            }
            for right in (0..cols).step_by(SIDE) {
                let strip = Strip {
                    depth: pass.len,
                    steps,
                    near: near(parts),
                    a,
                    b: b.add(right / SIDE * panel),
                    step: panel_bytes(1, parts),
                    c: c.first.wrapping_add(right).cast(),
                    c_row: c.row * size_of::<T>() as isize,
                    size: [rows, SIDE.min(cols - right)],
                    add: pass.add,
                    apart: parts == 3,
                    sums: room.numbers.cast(),
                };
                strip.multiply((unit.blocks[parts - 1], unit.loose[parts - 1]), plan.level);
            }
        }
        true
    }

    /// An operand as something to be packed: A is the first, B the second.
    pub fn side<'s>(&'s self, which: usize, tile: Tile, panels: &'s Panels, place: Option<Place>, room: Room) -> Side<'s, T> {
        let plan = self.plan;
        let (operand, own) = [(&plan.a, room.a), (&plan.b, room.b)][which];
        let path = &operand.path;
        let (sum, line) = if which == 0 { (&path.cols, &path.rows) } else { (&path.rows, &path.cols) };
        Side {
            plan,
            kernels: self.kernels,
            memory: self.first(operand, tile.batch),
            operand,
            sum,
            line,
            panels,
            shared: place.map(|place| (self.packed, place)),
            loose: plan.loose[which].zip(plan.loose_at[which]).map(|(loose, place)| (self.packed, place, loose)),
            own,
            numbers: room.numbers,
        }
    }

    /// B's part of a pass: where it lies, in panels, or in one panel after the other.
    unsafe fn columns(&self, tile: Tile, pass: Pass<T>, room: Room) -> ColumnsOfB<T> {
        let (plan, b) = (self.plan, &self.plan.b);
        let (panels, memory) = (&plan.panels_of_b, self.first(b, tile.batch));
        let width = panels.width as isize;
        if plan.reads_in_place(1)
            && let Some(matrix) = self.matrix(b, memory, (pass.from, pass.len), (tile.col, tile.cols))
        {
            return ColumnsOfB { first: matrix.first, row: matrix.row, panel: width, source: None };
        }
        if plan.shared_panels(1).is_none() && plan.turns_as_it_goes(pass.len, tile.rows, self.kernels) {
            let source = memory.wrapping_offset(offset_at(&b.path.cols, tile.col));
            return ColumnsOfB { first: room.b.cast(), row: width, panel: 0, source: Some(source) };
        }
        let side = self.side(1, tile, panels, plan.shared_panels(1), room);
        // SAFETY: the caller's; packed panels fit the room for B.
        let first = unsafe { side.packed((pass.from, pass.len), (tile.col, tile.cols)) }.cast();
        ColumnsOfB { first, row: width, panel: width * pass.len as isize, source: None }
    }

    /// Where A's part of a pass lies, if it is read there.
    fn lying(&self, tile: Tile, pass: Pass<T>) -> Option<Lying> {
        let a = &self.plan.a;
        let reads = self.plan.reads_in_place(0) && self.plan.holds_numbers(a);
        reads.then(|| Lying { memory: self.first(a, tile.batch), sum: runs(&a.path.cols, pass.from, pass.len) })
    }

    /// Some rows of A's part of a pass, packed.
    unsafe fn packed_rows(&self, tile: Tile, pass: Pass<T>, (row, rows): (usize, usize), room: Room) -> Stretch<T> {
        let plan = self.plan;
        let panels = &plan.panels_of_a;
        let height = panels.width;
        let side = self.side(0, tile, panels, plan.shared_panels(0), room);
        // SAFETY: the caller's; packed panels fit the room for A.
        let first = unsafe { side.packed((pass.from, pass.len), (row, rows)) }.cast::<T>();
        let block = (height * pass.len) as isize;
        let (row, step, six) = match panels.by_row {
            true => (pass.len as isize, 1, 6 * pass.len as isize),
            false => (1, height as isize, if height == 6 { block } else { 6 }),
        };
        Stretch { first, row, step, block, three: 3 * row, six, bands: 1, apart: 0, depth: pass.len, runs: 1, jump: 0 }
    }

    /// A's part of a pass with the numbers of each row side by side.
    unsafe fn along_depth(&self, tile: Tile, pass: Pass<T>, room: Room) -> Matrix<T> {
        let a = &self.plan.a;
        let memory = self.first(a, tile.batch);
        if self.plan.reads_in_place(0)
            && let Some(matrix) = self.matrix(a, memory, (tile.row, tile.rows), (pass.from, pass.len))
        {
            return matrix;
        }
        let copying = Copying {
            table: self.plan.table,
            moves: &self.kernels.moves,
            memory,
            dtype: a.dtype,
            rows: Part { line: &a.path.rows, start: tile.row, len: tile.rows },
            cols: Part { line: &a.path.cols, start: pass.from, len: pass.len },
            dense: room.a,
            stride: (pass.len * size_of::<T>()) as isize,
        };
        // SAFETY: the caller's; packed rows fit the room for A.
        unsafe { copying.gather() };
        Matrix { first: room.a.cast(), row: pass.len as isize, col: 1 }
    }

    /// A pass whose vectors go along the sum.
    unsafe fn along(&self, along: Along, tile: Tile, pass: Pass<T>, c: Matrix<T>, room: Room) {
        let operands = [&self.plan.a, &self.plan.b];
        let task = Task {
            kernels: self.kernels,
            along,
            operands,
            first: operands.map(|operand| self.first(operand, tile.batch).cast_const()),
            spans: [(tile.row, tile.rows), (tile.col, tile.cols)],
            part: [pass.from, pass.from + pass.len],
            room: room.numbers.cast(),
        };
        // SAFETY: the caller's; the room for numbers is as large as the plan says.
        unsafe { task.run(|row, col, sum| c.put(row, col, sum, pass.add)) }
    }

    /// A pass of which every result is the product of a row of A and a column of B.
    unsafe fn dots(&self, tile: Tile, pass: Pass<T>, c: Matrix<T>, room: Room) {
        let b = &self.plan.b;
        let memory = self.first(b, tile.batch);
        // SAFETY: the caller's; the plan sees to it that B's columns are evenly spaced.
        unsafe {
            let a = self.along_depth(tile, pass, room);
            let Some(b) = self.matrix(b, memory, (pass.from, pass.len), (tile.col, tile.cols)) else { return };
            for row in 0..tile.rows {
                for col in 0..tile.cols {
                    let a = a.first.wrapping_offset(row as isize * a.row);
                    let b = b.first.wrapping_offset(col as isize * b.col);
                    c.put(row, col, (self.kernels.dot)(pass.len, a, b), pass.add);
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
