//! Tiles and units of a region: which axes are rows and which are columns, and how they are cut.
//!
//! Everything here depends on the region alone, so that results do not depend on threads.

use super::path::{Line, Path, line};
use crate::compile::kernel::{Access, Code, Extent, Region};
use smallvec::SmallVec;

/// Elements of a tile where the shape leaves a choice.
const TILE: usize = 4096;
/// Elements from which evenly spaced rows are a tile of their own; shorter pieces are copied together.
const PIECE: usize = 256;
/// Elements from which what goes on side by side is not the better for going on for longer.
const LONG: usize = 16;
/// Instructions times elements of one unit.
const UNIT: usize = 64 * 1024;
/// Units below which it counts how many more one thread has than another.
const FEW: usize = 8;

/// Some of a region's axes, outermost first.
type Axes = SmallVec<[usize; 6]>;

/// How the space of a region is walked.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// The region's axes that are rows, outermost first.
    pub row_axes: Axes,
    /// The region's axes that are columns, outermost first.
    pub col_axes: Axes,
    /// How many rows.
    pub rows: usize,
    /// How many columns.
    pub cols: usize,
    /// Most rows of a tile.
    pub tile_rows: usize,
    /// Most columns of a tile.
    pub tile_cols: usize,
    /// No tile crosses a multiple of this many rows.
    pub row_block: usize,
    /// No tile crosses a multiple of this many columns.
    pub col_block: usize,
    /// Rows of a unit where the code accumulates over rows.
    pub unit_rows: Option<usize>,
    /// How many of these one unit of work takes.
    pub bundle: usize,
    /// Tiles of a unit, or column chunks of a unit where the code accumulates over rows.
    pub unit_tiles: usize,
    /// How many units.
    pub units: usize,
}

/// What the code asks of its tiles.
struct Wants {
    /// Tiles hold whole rows.
    whole_rows: bool,
    /// Code accumulates over rows.
    accumulates: bool,
}

impl Shape {
    /// Which axes are rows and which are columns. `fixed`: as the region says.
    pub fn new(region: &Region, fixed: bool) -> Shape {
        let wants = wants(region);
        let mut shape = Shape::default();
        let split = region.row_axes;
        if fixed || wants.whole_rows || wants.accumulates {
            shape.row_axes = (0..split).collect();
            shape.col_axes = (split..region.axes.len()).collect();
            if wants.accumulates && !fixed && !wants.whole_rows {
                let inner: Axes = shape.row_axes.drain(within_units(region)..).collect();
                shape.row_axes.extend(in_long_runs(region, &inner, &shape.col_axes));
            }
        } else {
            shape.choose_axes(region);
        }
        let size = |axes: &[usize]| axes.iter().map(|&axis| region.axes[axis]).product();
        shape.rows = size(&shape.row_axes);
        shape.cols = size(&shape.col_axes);
        shape
    }

    /// Pure element code may be walked in any order: the columns are the axis along which most
    /// accesses are side by side, with its neighbours where all accesses go on evenly.
    fn choose_axes(&mut self, region: &Region) {
        let mut axes: Axes = (0..region.axes.len()).filter(|&axis| region.axes[axis] != 1).collect();
        let accesses = || region.stores.iter().chain(&region.loads);
        // A store counts twice: writing apart costs more than reading apart. So does going on for longer, up to a vector.
        let together = |axis: usize| {
            let stored = region.stores.iter().filter(|access| access.strides[axis] == 1).count();
            let accesses = 2 * stored + region.loads.iter().filter(|access| access.strides[axis] == 1).count();
            accesses * region.axes[axis].min(LONG)
        };
        let best = axes.iter().copied().max_by_key(|&axis| (together(axis), axis));
        let Some(best) = best else { return };
        if axes.last() != Some(&best) && together(best) > axes.last().map_or(0, |&axis| together(axis)) {
            axes.retain(|axis| *axis != best);
            axes.push(best);
        }
        let merges = |outer: usize, inner: usize| {
            let size = region.axes[inner] as isize;
            let even = |strides: &[isize]| strides[outer] == strides[inner] * size;
            let named = |axis| region.code.iter().any(|i| i.code == Code::Coordinate(axis));
            accesses().all(|access| even(&access.strides))
                && !named(outer)
                && !named(inner)
                && region.code.iter().all(|i| match &i.code {
                    Code::Random { strides, .. } => strides[outer] == strides[inner] * size as i64,
                    _ => true,
                })
        };
        let mut start = axes.len() - 1;
        while start > 0 && merges(axes[start - 1], axes[start]) {
            start -= 1;
        }
        self.col_axes = axes[start..].into();
        let (rows, cols) = (&axes[..start], &self.col_axes);
        // Another access that is side by side along a row axis wants that axis innermost.
        let by_rows = rows.iter().copied().filter(|&axis| together(axis) > 0).max_by_key(|&axis| (together(axis), axis));
        self.row_axes = match by_rows {
            Some(axis) => ending_in(rows, axis),
            None => in_long_runs(region, rows, cols),
        };
    }

    /// Chooses tiles and units for the paths of all accesses.
    pub fn cut(&mut self, region: &Region, paths: &[&Path]) {
        let wants = wants(region);
        let whole = wants.whole_rows;
        let cols = match run(paths.iter().map(|path| &path.cols)) {
            n if n >= 64 && !whole => n,
            _ => self.cols,
        };
        self.col_block = cols.max(1);
        let apart = |line: &Line| line.last().is_some_and(|&(_, stride)| stride.unsigned_abs() > 8);
        let permuted = paths.iter().any(|path| apart(&path.cols) && !path.rows.is_empty() && !apart(&path.rows));
        let most = match (whole, wants.accumulates, permuted) {
            (true, _, _) => self.cols.max(1),
            (_, true, _) => 128,
            (_, _, true) => 32,
            _ => TILE,
        };
        self.tile_cols = even(self.col_block, most, 64).max(1);
        let rows = match run(paths.iter().map(|path| &path.rows)) {
            n if n * self.tile_cols >= PIECE => n,
            _ => self.rows,
        };
        self.row_block = rows.max(1);
        let fit = TILE.div_ceil(self.tile_cols);
        let fit = if permuted && whole { fit.max((16 * TILE / self.tile_cols).min(16)) } else { fit };
        self.tile_rows = even(self.row_block, fit.max(1), 1).max(1);
        self.unit_rows = wants.accumulates.then(|| region.unit_rows.unwrap_or(self.rows).max(1));
        let work = region.code.len().max(1);
        if self.rows == 0 || self.cols == 0 {
            self.units = 0;
        } else if let Some(rows) = self.unit_rows {
            let points = |cols: usize| cols.saturating_mul(rows.min(self.rows)).saturating_mul(work);
            let chunk = points(self.tile_cols);
            self.unit_tiles = (UNIT / chunk).clamp(1, self.col_chunks());
            let all = self.rows.div_ceil(rows);
            self.bundle = (UNIT / points(self.cols)).clamp(1, all);
            self.units = all.div_ceil(self.bundle) * self.col_chunks().div_ceil(self.unit_tiles);
        } else {
            let tiles = self.row_chunks() * self.col_chunks();
            self.unit_tiles = (UNIT / self.tile_rows.saturating_mul(self.tile_cols).saturating_mul(work)).clamp(1, tiles);
            // Of a few units two and four threads should have as many each.
            let units = tiles.div_ceil(self.unit_tiles);
            let units = if units < FEW { units.next_power_of_two() } else { units };
            self.unit_tiles = tiles.div_ceil(units);
            self.units = tiles.div_ceil(self.unit_tiles);
        }
    }

    /// How many row chunks tiles make.
    pub fn row_chunks(&self) -> usize {
        chunks(self.rows, self.row_block, self.tile_rows)
    }

    /// How many column chunks tiles make.
    pub fn col_chunks(&self) -> usize {
        chunks(self.cols, self.col_block, self.tile_cols)
    }

    /// First and last row of row chunk `i`.
    pub fn row_chunk(&self, i: usize) -> (usize, usize) {
        chunk(self.rows, self.row_block, self.tile_rows, i)
    }

    /// First and last column of column chunk `j`.
    pub fn col_chunk(&self, j: usize) -> (usize, usize) {
        chunk(self.cols, self.col_block, self.tile_cols, j)
    }

    /// End of the row chunk that starts at `row`, when rows end at `end`.
    pub fn row_end(&self, row: usize, end: usize) -> usize {
        (row + self.tile_rows).min((row / self.row_block + 1) * self.row_block).min(end)
    }

    /// End of the column chunk that starts at `col`, when columns end at `end`.
    pub fn col_end(&self, col: usize, end: usize) -> usize {
        (col + self.tile_cols).min((col / self.col_block + 1) * self.col_block).min(end)
    }
}

/// The first of the row axes that go all the way round within a unit: in another order they are the same rows of it.
fn within_units(region: &Region) -> usize {
    let sizes = &region.axes[..region.row_axes];
    let unit = region.unit_rows.unwrap_or_else(|| sizes.iter().product());
    let (mut first, mut rows) = (sizes.len(), 1);
    while first > 0 && unit.is_multiple_of(rows * sizes[first - 1]) {
        (first, rows) = (first - 1, rows * sizes[first - 1]);
    }
    first
}

/// Row axes in an order in which more than a few rows are evenly spaced for every access, if there is one: where squares
/// of two by two share a value, say, the axis along which squares follow each other rather than one within a square.
fn in_long_runs(region: &Region, rows: &[usize], cols: &[usize]) -> Axes {
    // Accumulators have one element for all rows.
    let accumulated = |store: usize| region.code.iter().any(|i| matches!(i.code, Code::Accumulate(s, ..) if s == store));
    let stores = || region.stores.iter().enumerate().filter(|&(store, _)| !accumulated(store)).map(|(_, access)| access);
    let accesses = || stores().chain(&region.loads);
    let run_of = |order: &[usize]| {
        let along = |access: &Access| line(order.iter().map(|&axis| (region.axes[axis], access.strides[axis])));
        let lines: SmallVec<[Line; 8]> = accesses().map(along).collect();
        match run(lines.iter()) {
            0 => usize::MAX,
            run => run,
        }
    };
    let cols: usize = cols.iter().map(|&axis| region.axes[axis]).product();
    if run_of(rows).saturating_mul(cols) >= PIECE {
        return rows.into();
    }
    // Of equally good ones the last is the order as it was.
    let orders = rows.iter().map(|&last| ending_in(rows, last));
    orders.max_by_key(|order| run_of(order)).unwrap_or_default()
}

/// The axes in their order, but for one that comes last.
fn ending_in(axes: &[usize], last: usize) -> Axes {
    axes.iter().copied().filter(|&axis| axis != last).chain([last]).collect()
}

/// How many elements are evenly spaced along all lines; 0 if all are.
fn run<'a>(lines: impl Iterator<Item = &'a Line>) -> usize {
    lines.filter(|line| line.len() > 1).filter_map(|line| line.last()).fold(0, |a, b| divisor(a, b.0))
}

/// What the code asks of its tiles.
fn wants(region: &Region) -> Wants {
    let any = |test: fn(&Code) -> bool| region.code.iter().any(|i| test(&i.code));
    let row_store = region.code.iter().any(|i| matches!(i.code, Code::Store(..)) && i.extent == Extent::Row);
    Wants {
        whole_rows: row_store || any(|code| matches!(code, Code::Reduce(..) | Code::Cumulative { .. })),
        accumulates: any(|code| matches!(code, Code::Accumulate(..))),
    }
}

/// Size of a piece of `n` at most `most` long, so that the pieces are about equal and, if there
/// are several, multiples of `multiple`.
fn even(n: usize, most: usize, multiple: usize) -> usize {
    if n <= most {
        return n;
    }
    n.div_ceil(n.div_ceil(most)).next_multiple_of(multiple).min(most)
}

fn chunks(n: usize, block: usize, tile: usize) -> usize {
    (n / block) * block.div_ceil(tile) + (n % block).div_ceil(tile)
}

fn chunk(n: usize, block: usize, tile: usize, i: usize) -> (usize, usize) {
    let per = block.div_ceil(tile);
    let start = i / per * block + i % per * tile;
    (start, (start + tile).min((i / per + 1) * block).min(n))
}

/// Greatest common divisor.
fn divisor(a: usize, b: usize) -> usize {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::Shape;
    use crate::compile::kernel::{Access, Code, Extent, Instruction, Lane, Region};
    use crate::tensor::DType;

    /// A copy of so many channels of 56 pixels, one channel after the other, to channels side by side.
    fn columns_of_copy(channels: usize) -> Vec<usize> {
        let access = |buffer, strides: [isize; 2]| Access { buffer, dtype: DType::F32, offset: 0, strides: strides.into_iter().collect() };
        let instruction = |code| Instruction { code, lane: Lane::F32, extent: Extent::Full };
        let region = Region {
            axes: [56, channels].into_iter().collect(),
            row_axes: 1,
            loads: vec![access(0, [1, 56])],
            stores: vec![access(1, [channels as isize, 1])],
            code: vec![instruction(Code::Load(0)), instruction(Code::Store(0, 0))],
            unit_rows: None,
        };
        Shape::new(&region, false).col_axes.to_vec()
    }

    #[test]
    fn columns_are_what_is_written_side_by_side_unless_that_is_short() {
        assert_eq!(columns_of_copy(3), [0]);
        assert_eq!(columns_of_copy(16), [1]);
    }
}
