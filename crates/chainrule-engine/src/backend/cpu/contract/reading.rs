//! How the operands of a product come to the kernels: where they lie, or packed.
//!
//! Depends on shapes, strides and the machine's vector level. Refuses to pack anything itself, and to know tiles: it is
//! decided before a product is cut.

use super::super::region::path::Line;
use super::block::Kernels;
use super::layout::{Operand, step};
use super::method::Method;
use super::panels::Place;
use super::plan::{FAR, FEW, Plan, even};

/// Bytes of rows from which a result is a product of two: the longest vector's, whatever this machine's are, so that the order of
/// short sums does not depend on it.
const DOT: usize = 64;
/// Multiply-adds up to which nothing is packed that need not be.
const SMALL: usize = 1 << 17;
/// Rows of A so many bytes apart, or a multiple of it, fall into few sets of the first cache.
pub(super) const CROWDED: usize = 2048;
/// Columns from which packing A pays: each of its numbers is then read often enough.
const WIDE: usize = 64;
/// Multiply-adds of vectors in a step of the sum from which they take as long as the second cache takes to bring what the step
/// reads (`docs/performance.md`).
const HIDING: usize = 24;
/// Bytes of a way of the second cache: 128 KB in 1 MB of eight ways as in 2 MB of sixteen.
const WAY: usize = 128 * 1024;
/// The most ways that rows of one operand may take up: half of eight.
const MOST_WAYS: usize = 4;
/// How often a number is read from which packing it costs less than reading it from afar.
const OFTEN: usize = 1024;
/// Rows of A that are read again for each panel of B, about.
const ROWS_AGAIN: usize = 256;

/// The longest pass through a sum whose numbers lie in runs: three rows of windows over 32 channels are one.
pub(super) const LONGEST: usize = 320;
/// And the shortest that pays: results are read and written again after each.
const SHORTEST: usize = 64;

/// Bytes of rows of both operands that stay in the nearest cache.
const LINES: usize = 28 * 1024;

/// Bytes of a page of memory.
const PAGE: usize = 4096;
/// Rows of B, each a long piece of memory, that a single row of A is multiplied by at a time.
const AT_ONCE: usize = 8;

/// The fewest sums of a block that keep vector units busy, however long each addition takes.
const LEAST_SUMS: usize = 6;

/// How A is read where it lies, if its rows or the numbers of a row are not evenly spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bands {
    /// Rows that are evenly spaced.
    pub rows: usize,
    /// The length of a pass, which is whole runs of evenly spaced numbers.
    pub depth: usize,
    /// Whether two of them make a block.
    pub paired: bool,
}

impl Bands {
    /// Rows of a block of so many vectors.
    pub fn height<T>(&self, kernels: &Kernels<T>, vectors: usize) -> usize {
        if self.paired { 2 * self.rows } else { kernels.height(self.rows, vectors) }
    }
}

/// How the rows of A come to the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Read where they are.
    Direct,
    /// Packed in panels as high as a block: the numbers of one column of a panel side by side.
    Packed,
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

impl Plan {
    /// Chooses how both operands are read, and whether results are stored apart.
    pub(super) fn choose_reading<T>(&mut self, kernels: &Kernels<T>) {
        let bytes = self.lane.bytes();
        if let Method::Rounded = self.method {
            // Numbers are rounded when they are packed.
            (self.rows_of_a, self.columns_of_b, self.dense) = (Rows::Packed, Columns::Packed, self.dense || self.stores_apart());
            return;
        }
        if self.along.is_some() {
            (self.columns_of_b, self.dense) = (Columns::Dot, self.dense || self.stores_apart());
            return;
        }
        let small = self.m * self.n * self.chunk <= SMALL;
        let even = |operand: &Operand| operand.evenly_spaced(bytes);
        let (a, b) = (&self.a, &self.b);
        let (down, along) = (step(&a.path.rows), step(&a.path.cols));
        let far = self.m * self.chunk * bytes > FAR;
        let good = along == bytes as isize && !down.unsigned_abs().is_multiple_of(CROWDED) && !far;
        let pays = !small && self.m > 2 && self.n >= WIDE;
        self.rows_of_a = if even(a) && (good || !pays) { Rows::Direct } else { Rows::Packed };
        let (below, across) = (step(&b.path.rows), step(&b.path.cols));
        let near = below.unsigned_abs() * self.depth <= 32 * 1024 && !below.unsigned_abs().is_multiple_of(CROWDED);
        let short = self.m <= 2 * kernels.tallest[0];
        let side_by_side = even(b) && (across == bytes as isize || self.n == 1);
        self.columns_of_b = if side_by_side && (small || near || short) {
            Columns::Direct
        } else if self.m <= 2 && even(b) && below == bytes as isize && self.chunk * bytes >= DOT {
            Columns::Dot
        } else {
            Columns::Packed
        };
        if self.columns_of_b == Columns::Dot && along != bytes as isize {
            self.rows_of_a = Rows::Packed;
        }
        if pays && kernels.most * kernels.tallest[kernels.most - 1] >= HIDING {
            let rows = along == bytes as isize && fits(down, self.m.min(ROWS_AGAIN)) || down == bytes as isize && fits(along, self.depth);
            self.in_place = [
                self.batch == 1
                    && self.rows_of_a == Rows::Packed
                    && self.columns_of_b != Columns::Dot
                    && self.n <= OFTEN
                    && even(a)
                    && rows,
                self.columns_of_b == Columns::Packed && self.m <= OFTEN && side_by_side && fits(below, self.depth),
            ];
        }
        self.in_place[0] |= self.bands.is_some() && self.columns_of_b != Columns::Dot;
        self.dense = self.dense || self.stores_apart();
    }

    /// The length of passes over two narrow operands whose sum goes from row to row of both, as in the gradient of narrow weights:
    /// as many rows as the nearest cache holds until all blocks have read them. Longer vectors spend too much of it on results
    /// between passes.
    pub(super) fn depth_of_lines<T>(&self, kernels: &Kernels<T>) -> Option<usize> {
        let (a, b, bytes) = (&self.a, &self.b, self.lane.bytes());
        let side_by_side = |operand: &Operand, line: &Line| operand.evenly_spaced(bytes) && step(line) == bytes as isize;
        let across = side_by_side(a, &a.path.rows) && side_by_side(b, &b.path.cols) && self.n < WIDE;
        let plain = matches!(self.method, Method::Plain) && self.along.is_none() && self.bands.is_none();
        let most = LINES / ((self.m + self.n) * bytes).max(1);
        let short = kernels.lanes * bytes == 32 && plain && across && most >= SHORTEST;
        (short && most < self.depth).then(|| even(self.chunk, most, 8))
    }

    /// The length of passes of a single row, by which columns that lie side by side in long rows of B are multiplied: as few rows of B as
    /// the machine brings at once, one piece of memory after the other. Whole columns would be in another page with each step. The sides
    /// of a product with a single row do not depend on what follows.
    pub(super) fn depth_of_one_row(&self) -> Option<usize> {
        let (b, bytes) = (&self.b, self.lane.bytes());
        let plain = self.m == 1 && matches!(self.method, Method::Plain) && self.along.is_none() && self.bands.is_none();
        let far = b.evenly_spaced(bytes) && step(&b.path.cols) == bytes as isize && step(&b.path.rows).unsigned_abs() >= PAGE;
        (plain && far).then(|| self.chunk.min(AT_ONCE))
    }

    /// Whether and how A is read where it lies although it is not evenly spaced, as windows of an image are not. It takes
    /// neighbours that are read soon after each other, and enough rows for a block.
    pub(super) fn find_bands<T>(&self, kernels: &Kernels<T>) -> Option<Bands> {
        let (a, bytes) = (&self.a, self.lane.bytes() as isize);
        let (rows, sum) = (a.path.rows.as_slice(), a.path.cols.as_slice());
        let uneven = matches!(self.method, Method::Plain) && self.holds_numbers(a) && !a.evenly_spaced(self.lane.bytes());
        // Where sides depend on what follows, the length of passes must not depend on sides.
        if !uneven || self.along.is_some() || self.batch > 1 || self.m < FEW || self.n < FEW || self.n > OFTEN {
            return None;
        }
        let (down, along) = (step(&a.path.rows), step(&a.path.cols));
        let band = rows.last().map_or(self.m, |&(size, _)| size);
        let depth = match sum {
            [] | [_] => self.depth,
            &[.., (count, _), (run, _)] => depth_of_runs(run, count, self.chunk)?,
        };
        let vectors = self.n.div_ceil(kernels.lanes).min(kernels.most);
        let bands = Bands { rows: band, depth, paired: band == 3 && kernels.lanes as isize * bytes == 32 };
        let near = along == bytes && fits(down, band.min(ROWS_AGAIN)) || down == bytes && fits(along, depth);
        (near && bands.height(kernels, vectors) * vectors >= LEAST_SUMS).then_some(bands)
    }

    /// Whether A, or B, is packed for no other reason than that many products read it.
    pub fn could_read_in_place(&self, side: usize) -> bool {
        self.in_place[side] && !matches!(self.method, Method::Tiles(..))
    }

    /// Whether A, or B, is read where it lies.
    pub fn reads_in_place(&self, side: usize) -> bool {
        let direct = [self.rows_of_a == Rows::Direct, self.columns_of_b == Columns::Direct];
        direct[side] || self.in_place[side] && self.shared_panels(side).is_none()
    }

    /// Whether panels of B are turned one by one, each asked for while blocks read the one before: what is turned lies in one piece,
    /// and rows of A are few enough to stay near meanwhile.
    pub fn turns_as_it_goes<T>(&self, len: usize, rows: usize, kernels: &Kernels<T>) -> bool {
        let (b, bytes) = (&self.b, self.lane.bytes());
        let turned = b.evenly_spaced(bytes) && step(&b.path.rows) == bytes as isize && step(&b.path.cols) == (len * bytes) as isize;
        turned && matches!(self.method, Method::Plain) && rows <= self.stretch && kernels.lanes * bytes == 64
    }

    /// Where all tiles share a packed side, unless they share its parts.
    pub fn shared_panels(&self, side: usize) -> Option<Place> {
        if let Method::Tiles(..) = self.method { None } else { self.shared[side] }
    }

    /// Whether blocks cannot write to the result where it lies.
    fn stores_apart(&self) -> bool {
        let (out, bytes) = (&self.out, self.lane.bytes());
        let side_by_side = self.n == 1 || step(&out.path.cols) == bytes as isize;
        !out.evenly_spaced(bytes) || !side_by_side
    }
}

/// How long a pass is that consists of whole runs of the sum, or is a part of one: the longest that divides a chunk.
/// There are `count` runs of `run` numbers at even distances, and then a jump.
fn depth_of_runs(run: usize, count: usize, chunk: usize) -> Option<usize> {
    let whole = (1..=count).rev().filter(|&times| count.is_multiple_of(times)).map(|times| run * times);
    let parts = (2..=run).filter(|&parts| run.is_multiple_of(parts)).map(|parts| run / parts);
    whole.chain(parts).find(|&depth| depth <= LONGEST && chunk.is_multiple_of(depth)).filter(|&depth| depth >= SHORTEST.min(chunk))
}

/// Whether so many rows, this far apart, stay in the second cache until they are read again: where the distance has a
/// large power of two in it, they fall into few of its sets.
fn fits(distance: isize, rows: usize) -> bool {
    let apart = (1 << distance.unsigned_abs().trailing_zeros().min(WAY.trailing_zeros())) as usize;
    rows.div_ceil(WAY / apart) <= MOST_WAYS
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, SHORTEST, depth_of_runs, fits};

    /// Whatever pass of a chunk is taken, its numbers are part of a run, or whole runs at even distances; and none is longer.
    #[test]
    fn passes_are_whole_runs_or_parts_of_one() {
        let cases: [(usize, usize, usize); 9] = [
            (96, 3, 288),
            (14, 14, 784),
            (14, 14, 98),
            (28, 28, 784),
            (3, 3, 9),
            (768, 3, 2304),
            (121, 3, 363),
            (14, 14, 42),
            (400, 9, 3600),
        ];
        for (run, count, chunk) in cases {
            let serves = |depth: usize| {
                let whole = depth.is_multiple_of(run) && count.is_multiple_of(depth / run);
                chunk.is_multiple_of(depth) && (whole || run.is_multiple_of(depth))
            };
            let best = (SHORTEST.min(chunk)..=LONGEST).rev().find(|&depth| serves(depth));
            assert_eq!(depth_of_runs(run, count, chunk), best, "runs of {run}, {count} of them, in chunks of {chunk}");
        }
        // Ten divides nothing that fits a chunk of 64, and what does is too short.
        assert_eq!(depth_of_runs(10, 10, 64), None);
    }

    #[test]
    fn rows_a_power_of_two_apart_fall_into_few_sets() {
        assert!(fits(2048, 256) && !fits(2048, 257));
        assert!(fits(4096, 128) && !fits(4096, 129));
        assert!(fits(-16384, 32) && !fits(-16384, 33));
        // Three times as far, they are spread as widely as with a third of the distance.
        assert!(fits(6144, 256) && fits(12288, 128) && !fits(12288, 129));
        // A distance that is no power of two spreads them over all sets; one of whole ways puts them all in one place.
        assert!(fits(4100, 4096) && fits(1 << 20, 4) && !fits(1 << 20, 5));
    }
}
