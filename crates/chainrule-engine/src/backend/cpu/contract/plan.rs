//! How a contraction is carried out: axes merged, roles, tiles, units and scratch.
//!
//! Everything here depends on the contraction alone and on the machine's vector level, never on
//! threads. Refuses to touch memory.

use super::super::level::Level;
use super::super::loops::{Table, table};
use super::super::region::path::Line;
use super::along::{Along, room};
use super::block::{Kernels, Multiply};
use super::cut::Cut;

use super::layout::{Layout, Operand, image_by_image, run, step};
use super::loose::Loose;
use super::matrix::{BLOCKS_OF_STRIP, NUMBERS, SIDE, STEPS, Unit};
use super::method::Method;
use super::panels::{Form, Panels, Place};
use super::plus::Additions;
use super::reading::{Bands, CROWDED, Columns, Rows};
use super::split::{near, panel_bytes};
use crate::compile::kernel::{Access, Code, Contract, Extent, Lane, Region};

/// The least and the most of a long sum that is computed at once.
const DEPTH: std::ops::RangeInclusive<usize> = 144..=256;
/// The least run of a sum that is walked in memory rather than turned.
const LEAST_RUN: usize = 4;
/// Columns below which A and B may change sides, if no code follows.
pub(super) const FEW: usize = 8;
/// Bytes of a panel of B for a pass: the nearest cache holds it next to some rows of A.
const PANEL: usize = 36 * 1024;
/// Elements of a piece of packed panels.
const PIECE: usize = 16 * 1024;
/// What fits the second cache.
struct Near {
    /// Elements of A that are worked on at once.
    rows: usize,
    /// The most columns of B that are packed at once.
    columns: usize,
}

/// Where machines have 512 bits, it holds a megabyte or more.
const OF_512_BITS: Near = Near { rows: 48 * 1024, columns: 1024 };
const OF_LESS: Near = Near { rows: 32 * 1024, columns: 512 };
/// Elements of a tile in scratch, and of one that matrix tiles compute: every tile reads all of B's panels again, from beyond
/// the second cache where they are large.
const TILE: usize = 64 * 1024;
const TILE_OF_PARTS: usize = 128 * 1024;
/// Nanoseconds of work that make a unit worth an own claim.
const UNIT: f64 = 20_000.0;
/// Bytes from which an operand is fetched from beyond the near caches.
pub(super) const FAR: usize = 1 << 20;

/// A contraction ready to run. Its A and B are those of the contraction unless `swapped`.
#[derive(Clone)]
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
    /// What code after the product adds, if it does nothing else and blocks can.
    pub additions: Option<Additions>,
    /// How A is read.
    pub rows_of_a: Rows,
    /// How B is read.
    pub columns_of_b: Columns,
    /// Whether A and B, if they are to be packed, are read where they are all the same unless many products share panels.
    pub in_place: [bool; 2],
    /// How the sum lies, if vectors go along it.
    pub along: Option<Along>,
    /// How A is read where it lies although it is not evenly spaced, if it is.
    pub bands: Option<Bands>,
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
    /// Rows of A that are worked on at once, so that they stay in a near cache.
    pub stretch: usize,
    /// How A is packed, if it is.
    pub panels_of_a: Panels,
    /// How B is packed, if it is, and how wide its blocks are.
    pub panels_of_b: Panels,
    /// How numbers are multiplied.
    pub method: Method,
    /// How A and B are laid out for matrix tiles, if they are multiplied so.
    pub panels_of_parts: [Panels; 2],
    /// Where A and B are packed for all tiles, if they are.
    pub shared: [Option<Place>; 2],
    /// The memory of A and B that is split in parts before panels are made of it, if one is.
    pub loose: [Option<Loose>; 2],
    /// Where those parts are, if there is room for them.
    pub loose_at: [Option<Place>; 2],
    /// Rows of a tile of A, if they can be read where those parts lie.
    height: Option<usize>,
    /// Matrices of one unit.
    pub group: usize,
    /// How many units.
    pub units: usize,
    /// Estimated nanoseconds.
    pub cost: f64,
    /// Bytes of packed A, packed B, a tile, and numbers of one panel on their way into parts or sums of blocks.
    pub scratch: [usize; 4],
}

impl Plan {
    /// Plans a contraction for a level, with matrix tiles if there are any.
    pub fn new(contract: &Contract, level: Level, unit: Option<&'static Unit>) -> Plan {
        let lane = Lane::of(contract.a.dtype);
        let bytes = contract.out.dtype.bytes() as isize;
        let chunk_stride = if contract.k_chunks > 1 { contract.out.strides[0] * bytes } else { 0 };
        let Layout { mut a, mut b, mut out, mut batch, mut m } = Layout::new(contract);
        let (mut n, k) = (contract.n.iter().product(), contract.k.iter().product::<usize>());
        let chunks = contract.k_chunks.max(1);
        let chunk = k.div_ceil(chunks);
        let method = if lane == Lane::F64 { Method::Plain } else { Method::of(contract, [m, n, chunk], unit) };
        if let (Method::Plain, Some(own)) = (method, image_by_image(contract)) {
            Layout { a, b, out, batch, m } = Layout::new(&own);
            n = own.n.iter().product();
        }
        let epilogue = contract.epilogue.is_some();
        let along = if let Method::Plain = method { Along::of([&a, &b], lane, level, [m, n, chunk]) } else { None };
        // Parts are multiplied in an order that changes with the sides, and passes are as long as runs are, so the choice must
        // not depend on what follows: sums that are cut in chunks are followed by nothing, however a program is compiled.
        let changes = match method {
            Method::Tiles(..) => turns_less(&a, &b, m, n),
            Method::Plain => batch == 1 && turns_windows(&b, m, k),
            Method::Rounded => false,
        };
        let swapped = along.is_none() && (swaps(&a, m, n, epilogue) || chunks > 1 && changes);
        if swapped {
            std::mem::swap(&mut a, &mut b);
            for operand in [&mut a, &mut b, &mut out] {
                std::mem::swap(&mut operand.path.rows, &mut operand.path.cols);
            }
            std::mem::swap(&mut m, &mut n);
        }
        let panels = Panels { length: 0, width: 1, group: 1, k, chunk, depth: 1, by_row: false, form: Form::Plain(lane.bytes()) };
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
            additions: None,
            rows_of_a: Rows::Direct,
            columns_of_b: Columns::Direct,
            in_place: [false; 2],
            along,
            bands: None,
            batch,
            m,
            n,
            k,
            chunks,
            chunk,
            depth: chunk,
            tile_rows: m,
            tile_cols: n,
            stretch: m,
            panels_of_a: Panels { length: m, ..panels },
            panels_of_b: Panels { length: n, ..panels },
            method,
            panels_of_parts: [panels; 2],
            shared: [None; 2],
            loose: [None; 2],
            loose_at: [None; 2],
            height: None,
            group: 1,
            units: 0,
            cost: 0.0,
            scratch: [0; 4],
        };
        if plan.batch == 0 || plan.m == 0 || plan.n == 0 {
            return plan;
        }
        match lane {
            Lane::F64 => plan.cut(contract, f64::kernels(level)),
            _ => plan.cut(contract, f32::kernels(level)),
        }
        let by_blocks = !swapped && k > 0 && plan.columns_of_b != Columns::Dot && !matches!(method, Method::Tiles(..));
        plan.additions = contract.epilogue.as_ref().filter(|_| by_blocks).and_then(|region| Additions::of(region, lane));
        plan
    }

    /// The plan of a contraction that is [`alike`](super::super::alike): nothing here depends on where operands lie.
    pub fn with_accesses_of(&self, contract: &Contract) -> Plan {
        let mut plan = Plan { shared: [None; 2], loose_at: [None; 2], ..self.clone() };
        let (a, b) = if self.swapped { (&contract.b, &contract.a) } else { (&contract.a, &contract.b) };
        for (operand, access) in [(&mut plan.a, a), (&mut plan.b, b), (&mut plan.out, &contract.out)] {
            operand.path.buffer = access.buffer as usize;
            operand.path.offset = access.offset * access.dtype.bytes() as isize;
        }
        let region = contract.epilogue.as_ref();
        plan.additions = self.additions.as_ref().zip(region).and_then(|(additions, region)| additions.with_accesses_of(region));
        plan
    }

    /// Chooses packing, tiles and units.
    fn cut<T>(&mut self, contract: &Contract, kernels: &Kernels<T>) {
        self.depth = match self.method {
            // Twice what is near: 256 numbers in three parts. Each half is a sum of its own, as sums of 256 are no longer as
            // exact as f32; both are added before they are added to the result, as long sums lose by many additions.
            Method::Tiles(_, parts) => even(self.chunk, 2 * near(parts) * STEPS, STEPS),
            _ => {
                let most = PANEL / (kernels.most * kernels.lanes * self.lane.bytes());
                even(self.chunk, most.clamp(*DEPTH.start(), *DEPTH.end()), 8)
            }
        };
        self.bands = self.find_bands(kernels);
        self.depth = self.bands.map_or(self.depth, |bands| bands.depth);
        self.depth = self.depth_of_lines(kernels).or(self.depth_of_one_row()).unwrap_or(self.depth);
        self.choose_reading(kernels);
        if let (Method::Tiles(..), 1) = (self.method, self.batch) {
            self.loose = [&self.a, &self.b].map(|operand| self.holds_numbers(operand).then(|| Loose::of(operand))?);
            let whole = self.chunk.is_multiple_of(STEPS);
            self.height = self.loose[0].filter(|_| whole).and_then(|loose| loose.height(&self.a));
        }
        self.choose_tiles(contract.epilogue.as_ref(), kernels);
        self.choose_panels(kernels);
        let item = self.nanoseconds(self.method.speed(kernels.lanes));
        let tiles = self.tiles();
        if tiles == 1 {
            let most = if self.batch as f64 * item > 2.0 * UNIT { self.batch.div_ceil(4) } else { self.batch };
            self.group = ((UNIT / item).ceil() as usize).clamp(1, most);
        }
        self.units = self.batch.div_ceil(self.group) * tiles * self.chunks;
        self.cost = item * (self.batch * self.chunks) as f64 + 200.0 * self.units as f64;
        let bytes = self.lane.bytes();
        let line = |elements: usize| (elements * bytes).next_multiple_of(64);
        let pass = self.depth_of_pass();
        let parts = |side: usize, rows: usize| match self.method {
            Method::Tiles(_, parts) => rows.div_ceil(SIDE) * panel_bytes(self.panels_of_parts[side].whole(pass) / STEPS, parts),
            _ => 0,
        };
        let plain = [
            match (self.rows_of_a, self.columns_of_b) {
                (Rows::Direct, _) => 0,
                _ if self.in_place[0] => 0,
                (Rows::Packed, Columns::Dot) => line(self.m * pass),
                (Rows::Packed, _) => line(self.stretch.next_multiple_of(self.panels_of_a.width) * pass),
            },
            if self.columns_of_b == Columns::Packed && !self.in_place[1] {
                line(self.tile_cols.next_multiple_of(self.panels_of_b.width) * pass)
            } else {
                0
            },
        ];
        self.scratch = [
            plain[0].max(parts(0, self.tile_rows)),
            plain[1].max(parts(1, self.tile_cols)),
            if self.dense { line(self.tile_rows * self.tile_cols) } else { 0 },
            if let Method::Tiles(..) = self.method {
                let blocks = self.tile_rows.div_ceil(self.whole_rows_of_blocks()).min(BLOCKS_OF_STRIP);
                line((SIDE * pass.next_multiple_of(STEPS)).max((blocks + 1) * NUMBERS))
            } else if self.along.is_some() {
                line(room(kernels.lanes, self.m, self.n))
            } else {
                0
            },
        ];
    }

    /// Blocks as wide as the registers allow, all about equally wide, and as high; tiles and stretches of whole
    /// blocks.
    fn choose_panels<T>(&mut self, kernels: &Kernels<T>) {
        let vectors = self.n.div_ceil(kernels.lanes);
        let wide = vectors.div_ceil(vectors.div_ceil(kernels.most));
        let width = wide * kernels.lanes;
        if self.tile_cols < self.n {
            let whole = if let Method::Tiles(..) = self.method { SIDE } else { width };
            self.tile_cols = self.tile_cols.next_multiple_of(whole).min(self.n);
        }
        let height = match self.bands {
            Some(bands) => bands.height(kernels, wide),
            None if self.tile_rows < self.m => kernels.tallest[wide - 1],
            None => kernels.height(self.m, wide),
        };
        let fit = (near_of(kernels).rows / self.depth.max(1)).next_multiple_of(24);
        self.stretch = fit.min(self.tile_rows);
        let group = |width: usize| (PIECE / (width * self.depth.max(1))).max(1);
        let panels = |length, width, by_row| {
            let Plan { k, chunk, depth, .. } = *self;
            let form = if let Method::Rounded = self.method { Form::Rounded } else { Form::Plain(self.lane.bytes()) };
            Panels { length, width, group: group(width), k, chunk, depth, by_row, form }
        };
        let path = &self.a.path;
        let longer = run(&path.cols, self.a.dtype) >= run(&path.rows, self.a.dtype).max(2);
        let by_row = longer && !(self.depth * self.lane.bytes()).is_multiple_of(CROWDED);
        (self.panels_of_a, self.panels_of_b) = (panels(self.m, height, by_row), panels(self.n, width, false));
        if let Method::Tiles(_, parts) = self.method {
            let laid_out = |length, by_row| Panels { form: Form::Parts(parts), ..panels(length, SIDE, by_row) };
            self.panels_of_parts = [laid_out(self.m, true), laid_out(self.n, false)];
        }
    }

    /// How each side is packed, if all tiles could share it.
    pub fn shareable(&self) -> [Option<&Panels>; 2] {
        let one = self.batch == 1 && self.k > 0 && self.columns_of_b != Columns::Dot;
        if let Method::Tiles(..) = self.method {
            let whole = |own: usize, all: usize| own.is_multiple_of(SIDE) || own >= all;
            let sides = [whole(self.tile_rows, self.m), whole(self.tile_cols, self.n)];
            let panels = [self.height.is_none(), true];
            return [0, 1].map(|side| (one && panels[side] && sides[side]).then_some(&self.panels_of_parts[side]));
        }
        let whole = self.tile_rows.is_multiple_of(self.panels_of_a.width) || self.tile_rows >= self.m;
        [
            (one && whole && self.rows_of_a == Rows::Packed).then_some(&self.panels_of_a),
            (one && self.columns_of_b == Columns::Packed).then_some(&self.panels_of_b),
        ]
    }

    /// How often each side would be packed if tiles did not share it.
    pub fn readers(&self) -> [usize; 2] {
        [self.n.div_ceil(self.tile_cols), self.m.div_ceil(self.tile_rows)]
    }

    /// Estimated time of one matrix and chunk: multiply-adds, and numbers fetched and packed.
    fn nanoseconds(&self, speed: f64) -> f64 {
        let (m, n, k) = (self.m as f64, self.n as f64, self.chunk as f64);
        let fetch = |packed: bool| if packed { 0.15 } else { 0.05 };
        let a = m * k * fetch(self.rows_of_a != Rows::Direct);
        let b = k * n * fetch(self.columns_of_b == Columns::Packed);
        m * n * k / speed + a + b + m * n * fetch(self.dense) + 60.0
    }

    /// Length of the sum of one pass: all of it where results are products of whole rows.
    pub fn depth_of_pass(&self) -> usize {
        if self.columns_of_b == Columns::Dot { self.chunk } else { self.depth }
    }

    fn choose_tiles<T>(&mut self, epilogue: Option<&Region>, kernels: &Kernels<T>) {
        let (m, n) = (self.m, self.n);
        if self.along.is_some() {
            return;
        }
        if m <= 2 {
            let cols = ((1_usize << 20) / (m * self.chunk.max(1))).clamp(256, TILE).next_multiple_of(64);
            self.tile_cols = if whole_rows(epilogue) && !self.swapped { n } else { even(n, cols, 64) };
            return;
        }
        let far = |length: usize| if length * self.chunk * self.lane.bytes() > FAR { 12.0 } else { 0.0 };
        let turned = step(&self.b.path.rows) == self.b.dtype.bytes() as isize;
        let tiles = matches!(self.method, Method::Tiles(..));
        let cut = Cut {
            m,
            n,
            depth: self.chunk,
            count: self.batch * self.chunks,
            // What all tiles share is packed once, whatever the cut.
            fetch_a: if self.batch == 1 { 2.0 } else { far(m) + if self.rows_of_a == Rows::Direct { 2.0 } else { 9.0 } },
            fetch_b: match self.columns_of_b {
                Columns::Packed if self.batch == 1 => 2.0,
                Columns::Packed if turned => 20.0 + far(n),
                Columns::Packed => 9.0 + far(n),
                _ => 1.0,
            },
            parts: if let Method::Tiles(_, parts) = self.method { Form::Parts(parts).bytes() } else { 0 },
            slack: if tiles { 1.15 } else { 1.08 },
            lanes: kernels.lanes,
            most_columns: if self.columns_of_b == Columns::Packed { near_of(kernels).columns } else { n },
            most_elements: if self.dense { if tiles { TILE_OF_PARTS } else { TILE } } else { usize::MAX },
            whole_rows: whole_rows(epilogue),
            step: self.whole_rows_of_blocks(),
            reads: epilogue.map_or(0, values_read),
        };
        let (mut rows, cols) = cut.shape();
        // Tiles that end where a run of evenly spaced rows ends are walked in fewer pieces.
        for operand in [&self.a, &self.out] {
            if let [_, .., (run, _)] = operand.path.rows.as_slice()
                && rows > *run
                && rows < m
                && (!tiles || (rows - rows % run).is_multiple_of(self.whole_rows_of_blocks()))
            {
                rows -= rows % run;
            }
        }
        (self.tile_rows, self.tile_cols) = (rows, cols);
    }

    /// Rows that consist of whole blocks, whatever these are.
    fn whole_rows_of_blocks(&self) -> usize {
        match (self.method, self.height) {
            (Method::Tiles(..), Some(height)) => 2 * height,
            (Method::Tiles(..), None) => SIDE,
            _ => 24,
        }
    }

    /// Whether rows of A are read as tiles where their parts lie.
    pub fn reads_loose(&self) -> bool {
        self.height.is_some() && self.loose_at[0].is_some()
    }

    /// Rows of a matrix tile of A and of the result.
    pub fn height_of_tiles(&self) -> usize {
        self.height.filter(|_| self.reads_loose()).unwrap_or(SIDE / 2)
    }

    /// Whether an operand holds numbers as they are computed with.
    pub fn holds_numbers(&self, operand: &Operand) -> bool {
        operand.dtype.bytes() == self.lane.bytes() && Lane::of(operand.dtype) == self.lane
    }

    /// How many tiles the result of one chunk and matrix has.
    pub fn tiles(&self) -> usize {
        self.m.div_ceil(self.tile_rows) * self.n.div_ceil(self.tile_cols)
    }
}

/// Whether A and B should change sides: vectors run along the columns, so these must not be few
/// where the rows of A could be walked instead.
fn swaps(a: &Operand, m: usize, n: usize, epilogue: bool) -> bool {
    let bytes = a.dtype.bytes() as isize;
    let rows_side_by_side = matches!(a.path.rows.last(), Some(&(_, stride)) if stride == bytes);
    m > n && (n == 1 || (n < FEW && m >= 4 * n && rows_side_by_side && !epilogue))
}

/// Whether matrix tiles are laid out sooner with A and B on each other's side: where neither lies along the sum, what is
/// packed as A has to be turned, number by number.
fn turns_less(a: &Operand, b: &Operand, m: usize, n: usize) -> bool {
    let along_sum = |line: &Line, operand: &Operand| step(line) == operand.dtype.bytes() as isize;
    m > n && !along_sum(&a.path.cols, a) && !along_sum(&b.path.rows, b)
}

/// Whether columns of B are windows whose sum is long and lies as they do, as in the gradient of a kernel by images with
/// channels first: as rows of A they can be read as they are, where as columns each number is turned as often as windows overlap.
fn turns_windows(b: &Operand, m: usize, k: usize) -> bool {
    b.path.cols.len() > 1 && run(&b.path.rows, b.dtype) >= LEAST_RUN && k > m
}

/// What fits the second cache of machines whose best kernels these are.
fn near_of<T>(kernels: &Kernels<T>) -> &'static Near {
    if kernels.lanes * size_of::<T>() < 64 { &OF_LESS } else { &OF_512_BITS }
}

/// How many values the code reads for each result, besides the result.
fn values_read(epilogue: &Region) -> usize {
    let full = |access: &&Access| access.strides.iter().zip(&epilogue.axes).all(|(&stride, &size)| stride != 0 || size == 1);
    epilogue.loads.iter().skip(1).filter(full).count()
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
pub(super) fn even(length: usize, most: usize, step: usize) -> usize {
    if length <= most {
        return length;
    }
    let piece = length.div_ceil(length.div_ceil(most));
    piece.next_multiple_of(step).min(most.max(1))
}
