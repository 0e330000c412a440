//! Small words over faer's matrices, each on the calling thread alone: faer's own operators use as many threads as some
//! other part of a program may have asked it to.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::{lu::partial_pivoting::factor, matmul, triangular_solve};
use faer::{Accum, Mat, MatMut, MatRef, Par};

/// The matrix whose rows lie one behind the other.
pub fn matrix(values: &[f64], rows: usize, columns: usize) -> Mat<f64> {
    Mat::from_fn(rows, columns, |i, j| values[i * columns + j])
}

/// Writes a matrix row by row.
pub fn write(from: MatRef<'_, f64>, to: &mut [f64]) {
    for (i, row) in to.chunks_mut(from.ncols().max(1)).enumerate().take(from.nrows()) {
        row.iter_mut().enumerate().for_each(|(j, to)| *to = from[(i, j)]);
    }
}

/// `a b`.
pub fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(a.nrows(), b.ncols());
    matmul::matmul(out.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    out
}

/// Solves with one triangle of a matrix, in place.
pub fn solve_triangle(a: MatRef<'_, f64>, b: MatMut<'_, f64>, lower: bool, unit: bool) {
    if b.nrows() == 0 || b.ncols() == 0 {
        return;
    }
    match (lower, unit) {
        (true, false) => triangular_solve::solve_lower_triangular_in_place(a, b, Par::Seq),
        (true, true) => triangular_solve::solve_unit_lower_triangular_in_place(a, b, Par::Seq),
        (false, false) => triangular_solve::solve_upper_triangular_in_place(a, b, Par::Seq),
        (false, true) => triangular_solve::solve_unit_upper_triangular_in_place(a, b, Par::Seq),
    }
}

/// L below the diagonal and U from it on, of the rows of `a` in the order that comes with them: the largest of what is
/// left of each column comes first. A column in which nothing is left is passed over, as LAPACK does.
pub fn lu(a: &Mat<f64>) -> (Mat<f64>, Vec<usize>) {
    let (m, n) = (a.nrows(), a.ncols());
    let (mut packed, mut order, mut inverse) = (a.clone(), vec![0; m], vec![0; m]);
    if m == 0 || n == 0 {
        return (packed, (0..m).collect());
    }
    let mut memory = MemBuffer::new(factor::lu_in_place_scratch::<usize, f64>(m, n, Par::Seq, Default::default()));
    factor::lu_in_place(packed.as_mut(), &mut order, &mut inverse, Par::Seq, MemStack::new(&mut memory), Default::default());
    let whole = (0..n).all(|j| (0..m).all(|i| packed[(i, j)].is_finite()));
    if whole { (packed, order) } else { plain_lu(a.clone()) }
}

/// The same, column by column, for what a pivot of zero would make infinite.
fn plain_lu(mut a: Mat<f64>) -> (Mat<f64>, Vec<usize>) {
    let (m, n) = (a.nrows(), a.ncols());
    let mut order: Vec<usize> = (0..m).collect();
    for k in 0..m.min(n) {
        let pivot = (k..m).fold(k, |best, i| if a[(i, k)].abs() > a[(best, k)].abs() { i } else { best });
        if a[(pivot, k)] == 0.0 {
            continue;
        }
        order.swap(k, pivot);
        for j in 0..n {
            let (upper, lower) = (a[(k, j)], a[(pivot, j)]);
            (a[(k, j)], a[(pivot, j)]) = (lower, upper);
        }
        for i in k + 1..m {
            a[(i, k)] /= a[(k, k)];
            for j in k + 1..n {
                let part = a[(i, k)] * a[(k, j)];
                a[(i, j)] -= part;
            }
        }
    }
    (a, order)
}

/// 1 or -1 as an order of `0..len` is made by an even or odd number of exchanges.
pub fn parity(order: impl Iterator<Item = usize>) -> f64 {
    let mut order: Vec<usize> = order.collect();
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

/// The sign of a determinant that is not zero.
pub fn sign(a: &Mat<f64>) -> f64 {
    let (packed, order) = lu(a);
    (0..a.nrows()).map(|i| packed[(i, i)].signum()).product::<f64>() * parity(order.into_iter())
}
