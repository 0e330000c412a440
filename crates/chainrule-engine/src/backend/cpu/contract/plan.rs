//! How a contraction is carried out: axes merged, roles, tiles, units and scratch.
//!
//! Everything here depends on the contraction alone and on the machine's vector level, never on
//! threads. Refuses to touch memory.

use super::super::level::Level;
use super::super::loops::{Table, table};
use super::super::region::path::{Line, Path, line};
use super::block::{Kernels, Multiply};
use super::cut::Cut;
use crate::compile::kernel::{Access, Axes, Code, Contract, Extent, Lane, Region};
use crate::tensor::DType;

/// The most of the sum that is computed at once: a panel of B four vectors wide then takes some
/// 32 kibibytes, which the nearest cache holds next to some rows of A.
const DEPTH: usize = 144;
/// Elements of A that are packed at once.
const PACKED_A: usize = 16 * 1024;
/// The most columns of B that are packed at once.
const PACKED_COLUMNS: usize = 1024;
/// Elements of a tile in scratch.
const TILE: usize = 64 * 1024;
/// Nanoseconds of work that make a unit worth an own claim.
const UNIT: f64 = 20_000.0;
/// Multiply-adds up to which nothing is packed that need not be.
const SMALL: usize = 1 << 17;
/// Bytes between neighbours along the sum from which rows of A that are side by side are packed:
/// further apart they fall into few sets of the cache and into as many pages.
const APART: usize = 4096;
/// Bytes from which an operand is fetched from beyond the near caches.
const FAR: usize = 1 << 20;
/// Columns from which packing a far A in longer pieces pays.
const WIDE: usize = 256;

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

impl Operand {
    /// Whether all of it holds numbers of so many bytes, evenly spaced along rows and columns.
    fn evenly_spaced(&self, bytes: usize) -> bool {
        self.dtype.bytes() == bytes && self.path.rows.len() <= 1 && self.path.cols.len() <= 1
    }
}

/// How the rows of A come to the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Read where they are.
    Direct,
    /// Packed, the numbers of one row side by side.
    AlongDepth,
    /// Packed, the numbers of one column side by side.
    AcrossDepth,
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
    /// Whether tiles are computed in scratch, to be run through code or stored apart.
    pub dense: bool,
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
            dense: contract.epilogue.is_some(),
            rows_of_a: Rows::Direct,
            columns_of_b: Columns::Direct,
            batch,
            m,
            n,
            k,
            chunks,
            chunk,
            depth: even(chunk, DEPTH, 8),
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

    /// Chooses packing, tiles and units.
    fn cut<T>(&mut self, contract: &Contract, kernels: &Kernels<T>) {
        self.choose_packing(kernels);
        self.choose_tiles(contract.epilogue.as_ref(), kernels);
        let item = self.nanoseconds(kernels.lanes);
        let tiles = self.tiles();
        if tiles == 1 {
            let most = if self.batch as f64 * item > 2.0 * UNIT { self.batch.div_ceil(4) } else { self.batch };
            self.group = ((UNIT / item).ceil() as usize).clamp(1, most);
        }
        self.units = self.batch.div_ceil(self.group) * tiles * self.chunks;
        self.cost = item * (self.batch * self.chunks) as f64 + 200.0 * self.units as f64;
        let fit = (PACKED_A / self.depth.max(1)).next_multiple_of(24).min(384);
        self.pack_rows = if self.columns_of_b == Columns::Dot { self.m } else { fit.min(self.tile_rows) };
        let bytes = self.lane.bytes();
        let line = |elements: usize| (elements * bytes).next_multiple_of(64);
        let all_cols = self.tile_cols.next_multiple_of(kernels.lanes * super::block::MOST_VECTORS);
        self.scratch = [
            if self.rows_of_a == Rows::Direct { 0 } else { line(self.pack_rows * self.depth_of_pass()) },
            if self.columns_of_b == Columns::Packed { line(all_cols * self.depth) } else { 0 },
            if self.dense { line(self.tile_rows * self.tile_cols) } else { 0 },
        ];
    }

    /// Estimated time of one matrix and chunk: multiply-adds, and numbers fetched and packed.
    fn nanoseconds(&self, lanes: usize) -> f64 {
        let (m, n, k) = (self.m as f64, self.n as f64, self.chunk as f64);
        let fetch = |packed: bool| if packed { 0.15 } else { 0.05 };
        let a = m * k * fetch(self.rows_of_a != Rows::Direct);
        let b = k * n * fetch(self.columns_of_b == Columns::Packed);
        m * n * k / (lanes as f64 * 4.8) + a + b + m * n * fetch(self.dense) + 60.0
    }

    /// Length of the sum of one pass: all of it where results are products of whole rows.
    pub fn depth_of_pass(&self) -> usize {
        if self.columns_of_b == Columns::Dot { self.chunk } else { self.depth }
    }

    fn choose_packing<T>(&mut self, kernels: &Kernels<T>) {
        let bytes = self.lane.bytes();
        let small = self.m * self.n * self.chunk <= SMALL;
        let even = |operand: &Operand| operand.evenly_spaced(bytes);
        let (a, b) = (&self.a, &self.b);
        let (down, along) = (step(&a.path.rows), step(&a.path.cols));
        let near = down == bytes as isize && along.unsigned_abs() < APART;
        let far = |length: usize| length * self.chunk * bytes > FAR;
        self.rows_of_a = if even(a)
            && (small || self.m == 1 || near || (along == bytes as isize && !(far(self.m) && self.n >= WIDE && self.chunk > 2 * DEPTH)))
        {
            Rows::Direct
        } else if run(&a.path.cols, a.dtype) >= run(&a.path.rows, a.dtype) {
            Rows::AlongDepth
        } else {
            Rows::AcrossDepth
        };
        let (down, across) = (step(&b.path.rows), step(&b.path.cols));
        let near = down.unsigned_abs() * self.depth <= 32 * 1024;
        let short = self.m <= 2 * kernels.tallest[0];
        self.columns_of_b = if even(b) && (across == bytes as isize || self.n == 1) && (small || near || short) {
            Columns::Direct
        } else if self.m <= 2 && even(b) && down == bytes as isize && self.chunk >= kernels.lanes {
            Columns::Dot
        } else {
            Columns::Packed
        };
        if self.columns_of_b == Columns::Dot && along != bytes as isize {
            self.rows_of_a = Rows::AlongDepth;
        }
        let out = &self.out;
        let side_by_side = self.n == 1 || step(&out.path.cols) == bytes as isize;
        self.dense = self.dense || !out.evenly_spaced(bytes) || !side_by_side;
    }

    fn choose_tiles<T>(&mut self, epilogue: Option<&Region>, kernels: &Kernels<T>) {
        let (m, n) = (self.m, self.n);
        if m <= 2 {
            let cols = ((1_usize << 20) / (m * self.chunk.max(1))).clamp(256, TILE).next_multiple_of(64);
            self.tile_cols = if whole_rows(epilogue) && !self.swapped { n } else { even(n, cols, 64) };
            return;
        }
        let far = |length: usize| if length * self.chunk * self.lane.bytes() > FAR { 12.0 } else { 0.0 };
        let turned = step(&self.b.path.rows) == self.b.dtype.bytes() as isize;
        let cut = Cut {
            m,
            n,
            depth: self.chunk,
            count: self.batch * self.chunks,
            fetch_a: far(m) + if self.rows_of_a == Rows::Direct { 2.0 } else { 9.0 },
            fetch_b: match self.columns_of_b {
                Columns::Packed if turned => 20.0 + far(n),
                Columns::Packed => 9.0 + far(n),
                _ => 1.0,
            },
            lanes: kernels.lanes,
            most_columns: if self.columns_of_b == Columns::Packed { PACKED_COLUMNS } else { n },
            most_elements: if self.dense { TILE } else { usize::MAX },
            whole_rows: whole_rows(epilogue),
        };
        let (mut rows, cols) = cut.shape();
        // Tiles that end where a run of evenly spaced rows ends are walked in fewer pieces.
        for operand in [&self.a, &self.out] {
            if let [_, .., (run, _)] = operand.path.rows.as_slice()
                && rows > *run
                && rows < m
            {
                rows -= rows % run;
            }
        }
        (self.tile_rows, self.tile_cols) = (rows, cols);
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

/// Bytes from one element to the next along the innermost axis; 0 if nothing moves.
fn step(line: &Line) -> isize {
    line.last().map_or(0, |&(_, stride)| stride)
}

/// How many elements lie side by side along the innermost axis; 0 if they do not.
fn run(line: &Line, dtype: DType) -> usize {
    match line.last() {
        Some(&(size, stride)) if stride == dtype.bytes() as isize => size,
        _ => 0,
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
