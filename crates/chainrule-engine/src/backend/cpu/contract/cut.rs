//! How the result of a product is cut into tiles.
//!
//! Depends on shapes and packing alone and refuses to know how many threads there are: a cut
//! that changed with them would change the bits of a result.

use super::super::region::plan::{FAR, MOST_ASKED};

/// What is known of a product when it is cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// Length of the sum.
    pub depth: usize,
    /// How many such products there are.
    pub count: usize,
    /// What bringing one number of A to the kernels costs, in multiply-adds.
    pub fetch_a: f64,
    /// The same for B.
    pub fetch_b: f64,
    /// Bytes of a number that is packed in parts, 0 if it is not: what several tiles read then lies farther away than
    /// what a tile has packed for itself.
    pub parts: usize,
    /// By how much one thread may be slower than with the best cut, so that several can work.
    pub slack: f64,
    /// Numbers of a vector.
    pub lanes: usize,
    /// The most columns of a tile.
    pub most_columns: usize,
    /// The most elements of a tile.
    pub most_elements: usize,
    /// Tiles must hold whole rows.
    pub whole_rows: bool,
    /// Rows of all kinds of blocks divide it.
    pub step: usize,
    /// Values in memory that code after the product reads for each result, if it is left to the machine to bring what is not
    /// asked for ahead.
    pub reads: usize,
}

/// The most tiles one matrix is cut into, unless tiles would be too large.
const MOST_TILES: usize = 256;
/// Multiply-adds up to which a product is one tile: cutting does not pay.
const SMALL: f64 = 131_072.0;
/// What starting a tile costs, in multiply-adds.
const START: f64 = 15_000.0;
/// Bytes of packed parts that stay in the second cache until all tiles have read them.
const SECOND: usize = 1 << 20;
/// What reading one number in parts costs from there, and from beyond, where writing costs as much, in multiply-adds. By
/// the rates of a machine with tiles: 100 and 28 GB/s, 220 multiply-adds a nanosecond.
const FROM_SECOND: f64 = 13.0;
const FROM_BEYOND: f64 = 48.0;
/// What it costs that a row of a value in memory ends with the tile instead of going on, where its lines are not there when they are
/// read, in multiply-adds: 25 ns, measured with the update of 784 x 512 weights in tiles of 64 columns and of whole rows.
const PIECE: f64 = 1_400.0;
/// Elements of a tile that stays in the near cache from pass to pass.
const NEAR: usize = 256 * 1024;

impl Cut {
    /// Rows and columns of a tile; the last ones are smaller.
    ///
    /// Of all even cuts that cost one thread little more than the best (`slack`), the one whose estimated
    /// time on 2, 4 and 8 threads is least.
    pub fn shape(&self) -> (usize, usize) {
        let all: Vec<(usize, usize)> = self.candidates();
        let fastest = all.iter().map(|&shape| self.total(shape)).fold(f64::INFINITY, f64::min);
        let (mut best, mut least) = ((self.m, self.n), f64::INFINITY);
        for shape in all {
            let time = self.total(shape);
            let single = self.m as f64 * self.n as f64 * self.depth as f64 <= SMALL;
            if time > fastest * self.slack || (single && shape != (self.m, self.n) && self.fits((self.m, self.n))) {
                continue;
            }
            let tiles = self.tiles(shape).saturating_mul(self.count.max(1));
            let waves = |threads: usize| tiles.div_ceil(threads) as f64 * threads as f64;
            let time = (waves(2) + waves(4) + waves(8)) * self.tile(shape);
            // A nearly equal time is not worth more tiles.
            if time < least * 0.99 {
                (best, least) = (shape, time);
            }
        }
        best
    }

    fn candidates(&self) -> Vec<(usize, usize)> {
        // Widths of whole blocks, whatever these are.
        let widths = [1024, 768, 512, 384, 256, 192, 128, 64, 32, 16];
        let mut all = Vec::new();
        for width in std::iter::once(self.n).chain(widths.into_iter().filter(|&width| width < self.n)) {
            if width != self.n && self.whole_rows {
                break;
            }
            for down in 1..=self.m.div_ceil(self.step).min(MOST_TILES) {
                let rows = match down {
                    1 => self.m,
                    _ => self.m.div_ceil(down).next_multiple_of(self.step).min(self.m),
                };
                let shape = (rows, width);
                if self.fits(shape) && self.tiles(shape) <= MOST_TILES {
                    all.push(shape);
                }
            }
        }
        if all.is_empty() {
            let width = if self.whole_rows { self.n } else { self.n.min(self.most_columns) };
            let rows = (self.most_elements / width).max(1).min(self.m);
            all.push((if rows > self.step { rows / self.step * self.step } else { rows }, width));
        }
        all
    }

    fn fits(&self, (rows, cols): (usize, usize)) -> bool {
        (self.whole_rows || cols <= self.most_columns) && rows.saturating_mul(cols) <= self.most_elements
    }

    fn tiles(&self, (rows, cols): (usize, usize)) -> usize {
        self.m.div_ceil(rows).saturating_mul(self.n.div_ceil(cols))
    }

    /// The time of a tile, in multiply-adds at full speed.
    fn tile(&self, (rows, cols): (usize, usize)) -> f64 {
        let full = cols.next_multiple_of(self.lanes) as f64;
        let (r, c) = (rows as f64, cols as f64);
        // Reading and writing the result counts as a few more steps along the sum, every pass.
        let depth = self.depth as f64;
        let near = rows * cols <= NEAR;
        let result = if near { 6.0 } else { 16.0 } * (depth / 128.0).ceil();
        let pieces = if cols < self.n && !self.is_there(rows * cols) { r * self.reads as f64 * PIECE } else { 0.0 };
        START + (depth + result) * r * full + depth * (self.fetch_a * r + self.fetch_b * c) + pieces
    }

    /// Whether what code after a tile reads comes in time: it stayed in a near cache, or is asked for ahead.
    fn is_there(&self, results: usize) -> bool {
        let bytes = size_of::<f32>();
        self.m * self.n * bytes < FAR && results * self.reads * bytes <= MOST_ASKED
    }

    fn total(&self, (rows, cols): (usize, usize)) -> f64 {
        let (down, across) = (self.m / rows, self.n / cols);
        let (low, right) = (self.m % rows, self.n % cols);
        let edge = |shape: (usize, usize)| if shape.0 * shape.1 == 0 { 0.0 } else { self.tile(shape) };
        let inner = (down * across) as f64 * self.tile((rows, cols));
        let shared = self.shared(self.m, self.n.div_ceil(cols)) + self.shared(self.n, self.m.div_ceil(rows));
        inner + down as f64 * edge((rows, right)) + across as f64 * edge((low, cols)) + edge((low, right)) + shared
    }

    /// What it costs that several tiles read the same rows or columns, in multiply-adds.
    fn shared(&self, length: usize, readers: usize) -> f64 {
        let (numbers, readers) = (length as f64 * self.depth as f64, readers as f64);
        if self.parts == 0 || readers <= 1.0 {
            0.0
        } else if length.saturating_mul(self.depth).saturating_mul(self.parts) > SECOND {
            numbers * (readers + 1.0) * FROM_BEYOND
        } else {
            numbers * readers * FROM_SECOND
        }
    }
}
