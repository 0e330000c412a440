//! Code after a product that only adds what lies in memory: a bias, a residual, what a recurrent network is fed.
//!
//! Blocks add it to their sums, and the results need no tile in scratch. Refuses other code, what does not lie in rows, and what the
//! results take the place of: then it runs on tiles as ever. The bits are the same: what is added comes after the whole sum, in the order of the code.

use super::super::region::path::{Path, span};
use super::block::{Addend, Addends};
use super::tile::Matrix;
use crate::compile::kernel::{Access, Binary, Code, Extent, Lane, Region};
use smallvec::SmallVec;
use std::ops::Range;

/// The most values that blocks add.
const MOST: usize = 2;

/// Where sums go, and what is added to them.
#[derive(Clone)]
pub struct Additions {
    store: Path,
    loads: SmallVec<[Path; MOST]>,
}

/// Where a tile of sums goes and what is added there, if all of that is evenly spaced rows.
pub struct Placed<T> {
    /// Where it goes.
    pub to: Matrix<T>,
    /// What is added.
    pub plus: Addends<T>,
}

impl Additions {
    /// What code adds to products of a lane, if it does nothing else.
    pub fn of(region: &Region, lane: Lane) -> Option<Additions> {
        let (first, rest) = region.code.split_first()?;
        let (end, sums) = rest.split_last()?;
        let whole = region.code.iter().all(|instruction| instruction.extent == Extent::Full && instruction.lane == lane);
        if !whole || !matches!(first.code, Code::Load(0)) || region.stores.len() != 1 || !(2..=2 * MOST).contains(&sums.len()) {
            return None;
        }
        let mut sum = 0;
        let mut loads = SmallVec::new();
        for (at, pair) in (1..).step_by(2).zip(sums.chunks(2)) {
            let [load, add] = pair else { return None };
            let Code::Load(load) = load.code else { return None };
            let adds = |a: u32, b: u32| (a, b) == (sum, at) || (a, b) == (at, sum);
            if load == 0 || !matches!(add.code, Code::Binary(Binary::Add, a, b) if adds(a, b)) {
                return None;
            }
            sum = at + 1;
            loads.push(path(region, &region.loads[load], lane)?);
        }
        let ends = matches!(end.code, Code::Store(0, value) if value == sum);
        ends.then_some(Additions { store: path(region, &region.stores[0], lane)?, loads })
    }

    /// The same of a region that differs in buffers and offsets alone.
    pub fn with_accesses_of(&self, region: &Region) -> Option<Additions> {
        let own = |path: &Path, access: &Access| {
            let offset = access.offset * access.dtype.bytes() as isize;
            Path { buffer: access.buffer as usize, offset, ..path.clone() }
        };
        let loads = region.code.iter().filter_map(|instruction| match instruction.code {
            Code::Load(load) if load > 0 => Some(&region.loads[load]),
            _ => None,
        });
        let loads = self.loads.iter().zip(loads).map(|(path, access)| own(path, access)).collect();
        Some(Additions { store: own(&self.store, region.stores.first()?), loads })
    }

    /// Where the rows and columns of a tile lie: starts and lengths.
    pub fn placed<T>(&self, buffers: &[*mut u8], rows: (usize, usize), cols: (usize, usize)) -> Option<Placed<T>> {
        let to = matrix::<T>(&self.store, buffers, rows, cols)?;
        let mut plus = [const { None }; MOST];
        for (plus, load) in plus.iter_mut().zip(&self.loads) {
            let from = matrix::<T>(load, buffers, rows, cols)?;
            // All but the last pass put down there what is not the whole sum yet.
            if meet(reach(&from, rows.1, cols.1), reach(&to, rows.1, cols.1)) {
                return None;
            }
            *plus = Some(Addend { first: from.first, row: from.row });
        }
        Some(Placed { to, plus })
    }
}

/// The addresses from the first to behind the last of a matrix.
fn reach<T>(matrix: &Matrix<T>, rows: usize, cols: usize) -> Range<usize> {
    let (first, end) = (matrix.first.addr(), matrix.first.wrapping_offset((rows as isize - 1) * matrix.row).addr());
    first.min(end)..first.max(end) + cols * size_of::<T>()
}

fn meet(one: Range<usize>, other: Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

/// Where an access lies over rows and columns, if it holds numbers of the lane.
fn path(region: &Region, access: &Access, lane: Lane) -> Option<Path> {
    let axes: Vec<(usize, isize)> = region.axes.iter().copied().zip(access.strides.iter().copied()).collect();
    let (rows, cols) = axes.split_at(region.row_axes);
    let numbers = Lane::of(access.dtype) == lane && access.dtype.bytes() == lane.bytes();
    numbers.then(|| Path::new(access, rows, cols))
}

/// Rows and columns of a path, if the rows are evenly spaced and the columns side by side.
fn matrix<T>(path: &Path, buffers: &[*mut u8], rows: (usize, usize), cols: (usize, usize)) -> Option<Matrix<T>> {
    let bytes = size_of::<T>() as isize;
    let (below, row) = span(&path.rows, rows.0, rows.1)?;
    let (right, col) = span(&path.cols, cols.0, cols.1)?;
    let first = buffers[path.buffer].wrapping_offset(path.offset + below + right).cast();
    (row % bytes == 0 && (col == bytes || cols.1 == 1)).then(|| Matrix { first, row: row / bytes, col: 1 })
}
