//! Small words over faer's matrices, each on the calling thread alone: faer's own operators use as many threads as some
//! other part of a program may have asked it to.
//!
//! faer's matrices lie column by column, arrays row by row. What lies row by row is, read column by column, the transposed
//! matrix: where that will do, nothing is copied.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::{lu::partial_pivoting::factor, matmul, triangular_solve};
use faer::{Accum, Mat, MatMut, MatRef, Par};

/// Rows and columns up to which plain loops are faster than the library's blocks.
pub const SMALL: usize = 12;

/// Sides of the tiles in which matrices are transposed: their lines of cache fit beside each other, however far apart they lie.
const TILE: usize = 8;

/// Calls a function for each element, tile by tile.
fn each(rows: usize, columns: usize, mut function: impl FnMut(usize, usize)) {
    for top in (0..rows).step_by(TILE) {
        for left in (0..columns).step_by(TILE) {
            for i in top..(top + TILE).min(rows) {
                (left..(left + TILE).min(columns)).for_each(|j| function(i, j));
            }
        }
    }
}

/// The matrix whose rows lie one behind the other.
pub fn matrix(values: &[f64], rows: usize, columns: usize) -> Mat<f64> {
    let mut to = Mat::zeros(rows, columns);
    each(rows, columns, |i, j| to[(i, j)] = values[i * columns + j]);
    to
}

/// What lies row by row, read where it lies.
pub fn rows_of(values: &[f64], rows: usize, columns: usize) -> MatRef<'_, f64> {
    MatRef::from_row_major_slice(values, rows, columns)
}

/// The transposed of the matrix whose rows, of so many columns, lie one behind the other.
pub fn turned(values: &[f64], rows: usize, columns: usize) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(values, columns, rows)
}

/// Writes a matrix row by row.
pub fn write(from: MatRef<'_, f64>, to: &mut [f64]) {
    let columns = from.ncols();
    each(from.nrows(), columns, |i, j| to[i * columns + j] = from[(i, j)]);
}

/// `a b`.
pub fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(a.nrows(), b.ncols());
    matmul::matmul(out.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    out
}

/// Solves with one triangle of a matrix, in place.
pub fn solve_triangle(a: MatRef<'_, f64>, mut b: MatMut<'_, f64>, lower: bool, unit: bool) {
    let (n, k) = (b.nrows(), b.ncols());
    if n <= SMALL && k <= SMALL {
        for step in 0..n {
            let i = if lower { step } else { n - 1 - step };
            let before = if lower { 0..i } else { i + 1..n };
            for j in 0..k {
                let sum: f64 = before.clone().map(|at| a[(i, at)] * b[(at, j)]).sum();
                b[(i, j)] = if unit { b[(i, j)] - sum } else { (b[(i, j)] - sum) / a[(i, i)] };
            }
        }
        return;
    }
    if n == 0 || k == 0 {
        return;
    }
    match (lower, unit) {
        (true, false) => triangular_solve::solve_lower_triangular_in_place(a, b, Par::Seq),
        (true, true) => triangular_solve::solve_unit_lower_triangular_in_place(a, b, Par::Seq),
        (false, false) => triangular_solve::solve_upper_triangular_in_place(a, b, Par::Seq),
        (false, true) => triangular_solve::solve_unit_upper_triangular_in_place(a, b, Par::Seq),
    }
}

/// L below the diagonal and U from it on, row by row, of the rows of `a` in the order that is written beside: the largest of
/// what is left of each column comes first. A column in which nothing is left is passed over, as LAPACK does.
pub fn lu(a: &[f64], (m, n): (usize, usize), order: &mut [f64], packed: &mut [f64]) {
    if m > SMALL || n > SMALL {
        let (mut forward, mut inverse) = (vec![0_usize; m], vec![0_usize; m]);
        let mut whole = matrix(a, m, n);
        let mut memory = MemBuffer::new(factor::lu_in_place_scratch::<usize, f64>(m, n, Par::Seq, Default::default()));
        factor::lu_in_place(whole.as_mut(), &mut forward, &mut inverse, Par::Seq, MemStack::new(&mut memory), Default::default());
        write(whole.as_ref(), packed);
        if packed.iter().all(|v| v.is_finite()) {
            order.iter_mut().zip(forward).for_each(|(to, row)| *to = row as f64);
            return;
        }
    }
    packed.copy_from_slice(a);
    plain_lu(packed, (m, n), order);
}

/// The same in place, column by column, for small matrices, and for what a pivot of zero would make infinite.
fn plain_lu(a: &mut [f64], (m, n): (usize, usize), order: &mut [f64]) {
    order.iter_mut().enumerate().for_each(|(i, row)| *row = i as f64);
    for k in 0..m.min(n) {
        let pivot = (k + 1..m).fold(k, |best, i| if a[i * n + k].abs() > a[best * n + k].abs() { i } else { best });
        if a[pivot * n + k] == 0.0 {
            continue;
        }
        let (above, below) = a.split_at_mut((k + 1) * n);
        let row = &mut above[k * n..];
        if pivot > k {
            order.swap(k, pivot);
            row.swap_with_slice(&mut below[(pivot - k - 1) * n..][..n]);
        }
        for other in below.chunks_exact_mut(n) {
            other[k] /= row[k];
            let factor = other[k];
            other[k + 1..].iter_mut().zip(&row[k + 1..]).for_each(|(to, from)| *to -= factor * from);
        }
    }
}

/// 1 or -1 as an order of `0..len` is made by an even or odd number of exchanges.
pub fn parity(order: &[f64]) -> f64 {
    let mut order: Vec<usize> = order.iter().map(|&at| at as usize).collect();
    let mut sign = 1.0;
    for at in 0..order.len() {
        while order[at] != at {
            let to = order[at];
            order.swap(at, to);
            sign = -sign;
        }
    }
    sign
}
