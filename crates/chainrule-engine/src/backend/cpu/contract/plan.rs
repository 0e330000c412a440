//! How a contraction is carried out: axes merged, roles, tiles, units and scratch.
//!
//! Everything here depends on the contraction alone and on the machine's vector level, never on
//! threads. Refuses to touch memory.

use super::super::loops::{Table, table};
use super::super::level::Level;
use super::super::region::path::{Line, Path, line};
use super::super::tiling::{self, Product};
use super::block::{Kernels, Multiply};
use crate::compile::kernel::{Access, Axes, Code, Contract, Extent, Lane, Region};
use crate::tensor::DType;

/// Length of the part of the sum that is computed at once: what of A and B it needs stays near.
const DEPTH: usize = 256;
/// Elements of A that are packed at once.
const PACKED_A: usize = 32 * 1024;
/// The most columns of B that are packed at once.
const PACKED_COLUMNS: usize = 512;
/// Elements of a tile in scratch.
const TILE: usize = 64 * 1024;
/// Nanoseconds of work that make a unit worth an own claim.
const UNIT: f64 = 20_000.0;
/// Multiply-adds up to which nothing is packed that need not be.
const SMALL: usize = 1 << 17;

/// An operand or the result: where it lies over batch, rows and columns. Strides in bytes.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Over the rows and columns of its matrix.
    pub path: Path,
    /// Over the batch.
    pub batch: Line,
    /// The type in memory.
    pub dtype: DType,
}

/// How the rows of A come to the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Read where they are.
    Direct,
    /// Packed, the numbers of one row side by side.
    AlongDepth,
    /// Packed, the numbers of one column side by side.
    AlongRows,
}

/// How the columns of B come to the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// Read where they are.
    Direct,
    /// Packed in panels as wide as a block.
    Packed,
    /// Each result is the product of a row of A and a column of B, both side by side.
    Dot,
}

/// A contraction ready to run. Its A and B are those of the contraction unless `swapped`.
pub struct Plan {
    /// The type products are computed in.
    pub lane: Lane,
    /// The element loops.
    pub table: &'static Table,
    /// The level of vector instructions.
    pub level: Level,
    /// Rows by depth.
    pub a: Operand,
    /// Depth by columns.
    pub b: Operand,
    /// Rows by columns.
    pub out: Operand,
    /// Bytes from the result of one chunk to the next.
    pub chunk_stride: isize,
    /// Whether A and B have changed sides, and the result's rows are the contraction's columns.
    pub swapped: bool,
    /// Whether the result is added to.
    pub accumulate: bool,
    /// How A is read.
    pub rows_of_a: Rows,
    /// How B is read.
    pub columns_of_b: Columns,
    /// Sizes.
    pub batch: usize,
    /// Rows of A.
    pub m: usize,
    /// Columns of B.
    pub n: usize,
    /// Length of the whole sum.
    pub k: usize,
    /// How many chunks of the sum.
    pub chunks: usize,
    /// Length of a chunk; the last ones may be shorter.
    pub chunk: usize,
    /// Length of the sum of one pass.
    pub depth: usize,
    /// Rows of a tile.
    pub tile_rows: usize,
    /// Columns of a tile.
    pub tile_cols: usize,
    /// Rows of A that are packed at once.
    pub pack_rows: usize,
    /// Matrices of one unit.
    pub group: usize,
    /// How many units.
    pub units: usize,
    /// Estimated nanoseconds.
    pub cost: f64,
    /// Bytes of packed A, packed B and a tile.
    pub scratch: [usize; 3],
}

impl Plan {
    /// Plans a contraction for a level.
    pub fn new(contract: &Contract, level: Level) -> Plan {
        let lane = Lane::of(contract.a.dtype);
        let bytes = contract.out.dtype.bytes() as isize;
        let chunk_stride = if contract.k_chunks > 1 { contract.out.strides[0] * bytes } else { 0 };
        let Layout { mut a, mut b, mut out, batch, mut m } = Layout::new(contract);
        let (mut n, k) = (contract.n.iter().product(), contract.k.iter().product::<usize>());
        let swapped = swaps(&a, m, n, contract.epilogue.is_some());
        if swapped {
            std::mem::swap(&mut a, &mut b);
            for operand in [&mut a, &mut b, &mut out] {
                std::mem::swap(&mut operand.path.rows, &mut operand.path.cols);
            }
            std::mem::swap(&mut m, &mut n);
        }
        let chunks = contract.k_chunks.max(1);
        let chunk = k.div_ceil(chunks);
        let mut plan = Plan {
            lane,
            table: table(level),
            level,
            a,
            b,
            out,
            chunk_stride,
            swapped,
            accumulate: contract.accumulate && contract.epilogue.is_none(),
            rows_of_a: Rows::Direct,
            columns_of_b: Columns::Direct,
            batch,
            m,
            n,
            k,
            chunks,
            chunk,
            depth: even(chunk, DEPTH + DEPTH / 2, 8),
            tile_rows: m,
            tile_cols: n,
            pack_rows: 0,
            group: 1,
            units: 0,
            cost: 0.0,
            scratch: [0; 3],
        };
        if plan.batch == 0 || plan.m == 0 || plan.n == 0 {
            return plan;
        }
        match lane {
            Lane::F64 => plan.cut(contract, f64::kernels(level)),
            _ => plan.cut(contract, f32::kernels(level)),
        }
        plan
    }

    /// Chooses tiles, packing and units.
    fn cut<T>(&mut self, contract: &Contract, kernels: &Kernels<T>) {
        self.choose_tiles(contract.epilogue.as_ref());
        self.choose_packing(kernels);
        let work = self.m as f64 * self.n as f64 * self.chunk as f64;
        let rate = kernels.lanes as f64 * 4.4;
        let item = work / rate + 100.0;
        let tiles = self.tiles();
        if tiles == 1 {
            let most = if self.batch as f64 * item > 2.0 * UNIT { self.batch.div_ceil(4) } else { self.batch };
            self.group = ((UNIT / item).ceil() as usize).clamp(1, most);
        }
        self.units = self.batch.div_ceil(self.group) * tiles * self.chunks;
        self.cost = item * (self.batch * self.chunks) as f64 + 200.0 * self.units as f64;
        let bytes = self.lane.bytes();
        let line = |elements: usize| (elements * bytes).next_multiple_of(64);
        let all_cols = self.tile_cols.next_multiple_of(kernels.lanes * super::block::MOST_VECTORS);
        self.scratch = [
            if self.rows_of_a == Rows::Direct { 0 } else { line(self.pack_rows * self.depth_of_pass()) },
            if self.columns_of_b == Columns::Packed { line(all_cols * self.depth) } else { 0 },
            line(self.tile_rows * self.tile_cols),
        ];
    }

    /// Length of the sum of one pass: all of it where results are products of whole rows.
    pub fn depth_of_pass(&self) -> usize {
        if self.columns_of_b == Columns::Dot { self.chunk } else { self.depth }
    }

    fn choose_tiles(&mut self, epilogue: Option<&Region>) {
        let (m, n) = (self.m, self.n);
        if self.swapped {
            let cols = ((1 << 20) / (m * self.chunk.max(1))).max(256).next_multiple_of(64);
            self.tile_cols = even(n, cols, 64).max(1);
            return;
        }
        let product = Product {
            m,
            n,
            k: self.chunk,
            batch: self.batch * self.chunks,
            a_transposed: false,
            b_transposed: false,
        };
        let (mut rows, mut cols) = tiling::tile_shape(&product);
        if whole_rows(epilogue) {
            cols = n;
        } else {
            cols = even(cols, PACKED_COLUMNS, 64);
        }
        if rows * cols > TILE {
            rows = even(rows, (TILE / cols).max(1), 12.min(TILE / cols).max(1));
        }
        // Tiles that end where a run of evenly spaced rows ends are walked in fewer pieces.
        for operand in [&self.a, &self.out] {
            if let [_, .., (run, _)] = operand.path.rows.as_slice()
                && rows > *run
            {
                rows -= rows % run;
            }
        }
        (self.tile_rows, self.tile_cols) = (rows.clamp(1, m), cols.clamp(1, n));
    }

    fn choose_packing<T>(&mut self, kernels: &Kernels<T>) {
        let bytes = self.lane.bytes() as isize;
        let small = self.m * self.n * self.chunk <= SMALL;
        let even = |operand: &Operand| {
            operand.dtype.bytes() as isize == bytes && operand.path.rows.len() <= 1 && operand.path.cols.len() <= 1
        };
        let step = |line: &Line| line.last().map_or(0, |&(_, stride)| stride);
        let run = |line: &Line, dtype: DType| match line.last() {
            Some(&(size, stride)) if stride == dtype.bytes() as isize => size,
            _ => 0,
        };
        let a = &self.a;
        let direct = even(a) && (small || step(&a.path.cols) == bytes || self.m == 1);
        self.rows_of_a = if direct {
            Rows::Direct
        } else if run(&a.path.cols, a.dtype) >= run(&a.path.rows, a.dtype) {
            Rows::AlongDepth
        } else {
            Rows::AlongRows
        };
        let b = &self.b;
        let across = step(&b.path.cols);
        let down = step(&b.path.rows).unsigned_abs();
        let near = down * self.depth.min(self.k) <= 32 * 1024;
        let tall = self.tile_rows > 2 * kernels.tallest[0];
        let side_by_side = even(b) && (across == bytes || self.n == 1);
        self.columns_of_b = if side_by_side && (small || near || !tall) {
            Columns::Direct
        } else if self.m <= 2 && even(b) && step(&b.path.rows) == bytes && self.chunk >= kernels.lanes {
            Columns::Dot
        } else {
            Columns::Packed
        };
        if self.columns_of_b == Columns::Dot && step(&a.path.cols) != bytes {
            self.rows_of_a = Rows::AlongDepth;
        }
        let fit = (PACKED_A / self.depth.max(1)).clamp(12, 384);
        self.pack_rows = match self.columns_of_b {
            Columns::Dot => self.m,
            _ => (fit / 24 * 24).max(12).min(self.tile_rows),
        };
    }

    /// How many tiles the result of one chunk and matrix has.
    pub fn tiles(&self) -> usize {
        self.m.div_ceil(self.tile_rows) * self.n.div_ceil(self.tile_cols)
    }
}

/// Where the operands and the result lie, and how many matrices and rows there are.
struct Layout {
    a: Operand,
    b: Operand,
    out: Operand,
    batch: usize,
    m: usize,
}

impl Layout {
    /// Where B is the same for a whole axis of the batch, that axis becomes one of A's rows: the
    /// last ones of the batch, so that rows keep their order, or any if no code counts rows.
    fn new(contract: &Contract) -> Layout {
        let shared = |axis: usize| contract.b.strides[axis] == 0;
        let mut batch: Vec<usize> = (0..contract.batch.len()).collect();
        let mut moved = Vec::new();
        if contract.epilogue.is_none() {
            (moved, batch) = batch.into_iter().partition(|&axis| shared(axis));
        } else {
            while let Some(axis) = batch.pop_if(|axis| shared(*axis)) {
                moved.insert(0, axis);
            }
        }
        let own = |access: &Access, skip: usize, lengths: [usize; 2]| -> [Vec<isize>; 3] {
            let (first, rest) = access.strides[skip..].split_at(contract.batch.len());
            let (second, third) = rest.split_at(lengths[0]);
            debug_assert_eq!(third.len(), lengths[1]);
            [first.to_vec(), second.to_vec(), third.to_vec()]
        };
        let (m, n, k) = (&contract.m, &contract.n, &contract.k);
        let operand = |access: &Access, strides: [Vec<isize>; 3], rows: &Axes<usize>, cols: &Axes<usize>, with: bool| {
            let [first, second, third] = strides;
            let bytes = access.dtype.bytes() as isize;
            let moved = moved.iter().filter(|_| with).map(|&axis| (contract.batch[axis], first[axis]));
            let rows: Vec<_> = moved.chain(rows.iter().copied().zip(second)).collect();
            let cols: Vec<_> = cols.iter().copied().zip(third).collect();
            let batch = batch.iter().map(|&axis| (contract.batch[axis], first[axis] * bytes));
            Operand { path: Path::new(access, &rows, &cols), batch: line(batch), dtype: access.dtype }
        };
        let skip = usize::from(contract.k_chunks > 1);
        let size = |axes: &[usize]| axes.iter().map(|&axis| contract.batch[axis]).product::<usize>();
        Layout {
            a: operand(&contract.a, own(&contract.a, 0, [m.len(), k.len()]), m, k, true),
            b: operand(&contract.b, own(&contract.b, 0, [k.len(), n.len()]), k, n, false),
            out: operand(&contract.out, own(&contract.out, skip, [m.len(), n.len()]), m, n, true),
            batch: size(&batch),
            m: size(&moved) * m.iter().product::<usize>(),
        }
    }
}

/// Whether A and B should change sides: vectors run along the columns, so these must not be few
/// where the rows of A could be walked instead.
fn swaps(a: &Operand, m: usize, n: usize, epilogue: bool) -> bool {
    let bytes = a.dtype.bytes() as isize;
    let rows_side_by_side = matches!(a.path.rows.last(), Some(&(_, stride)) if stride == bytes);
    m > n && (n == 1 || (n < 8 && m >= 4 * n && rows_side_by_side && !epilogue))
}

/// Whether the code needs all columns of a row at once.
fn whole_rows(epilogue: Option<&Region>) -> bool {
    epilogue.is_some_and(|region| {
        region.code.iter().any(|instruction| match instruction.code {
            Code::Reduce(..) | Code::Cumulative { .. } => true,
            Code::Store(..) => instruction.extent == Extent::Row,
            _ => false,
        })
    })
}

/// `length` in nearly even pieces of at most `most`, multiples of `step` but for the last.
fn even(length: usize, most: usize, step: usize) -> usize {
    if length <= most {
        return length;
    }
    let piece = length.div_ceil(length.div_ceil(most));
    piece.next_multiple_of(step).min(most.max(1))
}
