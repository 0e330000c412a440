//! The axes of a contraction as matrices in memory.
//!
//! Refuses to choose how they are read.

use super::super::region::path::{Line, Path, line};
use crate::compile::kernel::{Access, Axes, Contract};
use crate::tensor::DType;

/// An operand or the result: where it lies over batch, rows and columns. Strides in bytes.
#[derive(Clone, Debug, PartialEq)]
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
    pub fn evenly_spaced(&self, bytes: usize) -> bool {
        self.dtype.bytes() == bytes && self.path.rows.len() <= 1 && self.path.cols.len() <= 1
    }
}

/// Where the operands and the result lie, and how many matrices and rows there are.
pub struct Layout {
    /// Rows by depth.
    pub a: Operand,
    /// Depth by columns.
    pub b: Operand,
    /// Rows by columns.
    pub out: Operand,
    /// How many matrices.
    pub batch: usize,
    /// Rows of a matrix.
    pub m: usize,
}

impl Layout {
    /// Where B is the same for a whole axis of the batch, that axis becomes one of A's rows: the
    /// last ones of the batch, so that rows keep their order, or any if no code counts rows.
    pub fn new(contract: &Contract) -> Layout {
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
        let order = order_of_sum(contract);
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
        let sum: Axes<usize> = order.iter().map(|&axis| k[axis]).collect();
        let sorted = |strides: Vec<isize>| -> Vec<isize> { order.iter().map(|&axis| strides[axis]).collect() };
        let [a_batch, a_rows, a_cols] = own(&contract.a, 0, [m.len(), k.len()]);
        let [b_batch, b_rows, b_cols] = own(&contract.b, 0, [k.len(), n.len()]);
        let skip = usize::from(contract.k_chunks > 1);
        let size = |axes: &[usize]| axes.iter().map(|&axis| contract.batch[axis]).product::<usize>();
        Layout {
            a: operand(&contract.a, [a_batch, a_rows, sorted(a_cols)], m, &sum, true),
            b: operand(&contract.b, [b_batch, sorted(b_rows), b_cols], &sum, n, false),
            out: operand(&contract.out, own(&contract.out, skip, [m.len(), n.len()]), m, n, true),
            batch: size(&batch),
            m: size(&moved) * m.iter().product::<usize>(),
        }
    }
}

/// Columns from which those of one image are a matrix of their own.
const OWN_MATRIX: usize = 512;

/// The same product one image after the other, where columns go through images, the result does not go on evenly from one to the
/// next, and A need not be packed for each: results are then written where they lie. Code that counts columns needs them all.
pub fn image_by_image(contract: &Contract) -> Option<Contract> {
    let (&images, others) = contract.n.split_first()?;
    // Of one or two rows each result could be a product of a row and a column, which is summed up otherwise.
    let own = others.iter().product::<usize>() >= OWN_MATRIX && contract.m.iter().product::<usize>() > 2;
    if !own || images == 1 || contract.epilogue.is_some() || contract.k_chunks > 1 {
        return None;
    }
    let batch = contract.batch.len();
    let columns_of = |access: &Access, skip: usize| access.strides[batch + skip..].to_vec();
    let even = |sizes: &[usize], strides: &[isize]| line(sizes.iter().copied().zip(strides.iter().copied())).len() <= 1;
    let (rows, sum) = contract.a.strides[batch..].split_at(contract.m.len());
    if !even(&contract.m, rows) || !even(&contract.k, sum) {
        return None;
    }
    let goes_on = |strides: &[isize]| strides[0] == strides[1] * others[0] as isize;
    if goes_on(&columns_of(&contract.out, contract.m.len())) {
        return None;
    }
    let mut own = contract.clone();
    own.batch.push(own.n.remove(0));
    own.a.strides.insert(batch, 0);
    for (access, skip) in [(&mut own.b, contract.k.len()), (&mut own.out, contract.m.len())] {
        let stride = access.strides.remove(batch + skip);
        access.strides.insert(batch, stride);
    }
    Some(own)
}

/// The axes of the sum in the order in which they are walked: nearest neighbours in A last, as a packed
/// window is then copied in long pieces. Chunks of the sum keep the order they were cut in.
fn order_of_sum(contract: &Contract) -> Vec<usize> {
    let mut order: Vec<usize> = (0..contract.k.len()).collect();
    if contract.k_chunks == 1 {
        let strides = &contract.a.strides[contract.batch.len() + contract.m.len()..];
        order.sort_by_key(|&axis| std::cmp::Reverse(strides[axis].unsigned_abs()));
    }
    order
}

/// Bytes from one element to the next along the innermost axis; 0 if nothing moves.
pub fn step(line: &Line) -> isize {
    line.last().map_or(0, |&(_, stride)| stride)
}

/// How many elements lie side by side along the innermost axis; 0 if they do not.
pub fn run(line: &Line, dtype: DType) -> usize {
    match line.last() {
        Some(&(size, stride)) if stride == dtype.bytes() as isize => size,
        _ => 0,
    }
}
