//! Decompositions, and what is solved with them. Each writes its parts one behind the other, or gives `None` where there
//! is no such decomposition.

use super::dense::{SMALL, lu as pivoted, matrix, parity, product, rows_of, solve_triangle, turned, write};
use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::{cholesky::llt, evd, householder, qr::no_pivoting, svd as singular};
use faer::{Conj, Mat, MatMut, MatRef, Par};

/// How much a matrix may enlarge errors (the product of its norm and that of its inverse), if it is to be inverted where
/// singular values would do it more safely.
const WELL: f64 = 1e6;

/// See [`super::Host::Cholesky`].
pub fn cholesky(values: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    if n <= SMALL {
        return plain_cholesky(values, n, output);
    }
    // Of a symmetric matrix, rows are columns.
    let mut l = turned(values, n, n).to_owned();
    let mut memory = MemBuffer::new(llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut memory);
    llt::factor::cholesky_in_place(l.as_mut(), Default::default(), Par::Seq, stack, Default::default()).ok()?;
    write(l.as_ref(), output);
    for (i, row) in output.chunks_exact_mut(n).enumerate() {
        row[i + 1..].fill(0.0);
    }
    Some(())
}

fn plain_cholesky(values: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    for i in 0..n {
        let (above, row) = output.split_at_mut(i * n);
        for j in 0..=i {
            let other = if j < i { &above[j * n..][..n] } else { &row[..n] };
            let rest = values[i * n + j] - (0..j).map(|k| row[k] * other[k]).sum::<f64>();
            row[j] = if j < i { rest / other[j] } else { (rest > 0.0).then(|| rest.sqrt())? };
        }
    }
    Some(())
}

/// See [`super::Host::Lu`].
pub fn lu(values: &[f64], sides: (usize, usize), output: &mut [f64]) -> Option<()> {
    let (order, packed) = output.split_at_mut(sides.0);
    pivoted(values, sides, order, packed);
    Some(())
}

/// What [`lu`] wrote of a square matrix: the order of the rows, and L with U.
fn parts(flat: &[f64], n: usize) -> Option<(&[f64], &[f64])> {
    flat.iter().all(|v| v.is_finite()).then(|| flat.split_at(n))
}

/// See [`super::Host::LuSolve`].
pub fn lu_solve(flat: &[f64], b: &[f64], (n, k): (usize, usize), transposed: bool, output: &mut [f64]) -> Option<()> {
    let (order, packed) = parts(flat, n)?;
    if (0..n).any(|i| packed[i * n + i] == 0.0) {
        return None;
    }
    let row = |i: usize| order[i] as usize * k;
    let triangles = rows_of(packed, n, n);
    if transposed {
        let mut x = b.to_vec();
        let mut side = MatMut::from_row_major_slice_mut(&mut x, n, k);
        solve_triangle(triangles.transpose(), side.as_mut(), true, false);
        solve_triangle(triangles.transpose(), side.as_mut(), false, true);
        (0..n).for_each(|i| output[row(i)..][..k].copy_from_slice(&x[i * k..][..k]));
    } else {
        (0..n).for_each(|i| output[i * k..][..k].copy_from_slice(&b[row(i)..][..k]));
        let mut side = MatMut::from_row_major_slice_mut(output, n, k);
        solve_triangle(triangles, side.as_mut(), true, true);
        solve_triangle(triangles, side.as_mut(), false, false);
    }
    Some(())
}

/// See [`super::Host::Determinant`].
pub fn determinant(flat: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    let (order, packed) = parts(flat, n)?;
    let sign = parity(order);
    let diagonal = || (0..n).map(|i| packed[i * n + i]);
    output[0] = sign * diagonal().map(|v| if v == 0.0 { 0.0 } else { v.signum() }).product::<f64>();
    output[1] = diagonal().map(|v| v.abs().ln()).sum();
    output[2] = sign * diagonal().product::<f64>();
    Some(())
}

/// See [`super::Host::Triangular`]: numbers outside the triangle are not read.
pub fn triangular(
    values: &[f64],
    b: &[f64],
    (n, k): (usize, usize),
    (lower, transposed, unit): (bool, bool, bool),
    output: &mut [f64],
) -> Option<()> {
    output.copy_from_slice(b);
    let a = if transposed { turned(values, n, n) } else { rows_of(values, n, n) };
    solve_triangle(a, MatMut::from_row_major_slice_mut(output, n, k), lower != transposed, unit);
    Some(())
}

/// Q and R, with a diagonal that is not negative, of a matrix of at least as many rows as columns; so many columns of Q.
fn orthogonal(mut packed: Mat<f64>, columns: usize) -> (Mat<f64>, Mat<f64>) {
    let (m, n) = (packed.nrows(), packed.ncols());
    let mut q = Mat::<f64>::identity(m, columns);
    if n == 0 {
        return (q, Mat::zeros(0, 0));
    }
    let block = no_pivoting::factor::recommended_block_size::<f64>(m, n);
    let mut coefficients = Mat::zeros(block, n);
    let request = no_pivoting::factor::qr_in_place_scratch::<f64>(m, n, block, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(request);
    let stack = MemStack::new(&mut memory);
    no_pivoting::factor::qr_in_place(packed.as_mut(), coefficients.as_mut(), Par::Seq, stack, Default::default());
    let request = householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<f64>(m, block, columns);
    let mut memory = MemBuffer::new(request);
    householder::apply_block_householder_sequence_on_the_left_in_place_with_conj(
        packed.as_ref(),
        coefficients.as_ref(),
        Conj::No,
        q.as_mut(),
        Par::Seq,
        MemStack::new(&mut memory),
    );
    for j in (0..n).filter(|&j| packed[(j, j)] < 0.0) {
        q.col_as_slice_mut(j).iter_mut().for_each(|v| *v = -*v);
    }
    let turn = |i: usize| if packed[(i, i)] < 0.0 { -1.0 } else { 1.0 };
    let r = Mat::from_fn(n, n, |i, j| if j >= i { packed[(i, j)] * turn(i) } else { 0.0 });
    (q, r)
}

/// See [`super::Host::Qr`].
pub fn qr(values: &[f64], (m, n): (usize, usize), output: &mut [f64]) -> Option<()> {
    let (q, r) = orthogonal(matrix(values, m, n), n);
    let (basis, upper) = output.split_at_mut(m * n);
    write(q.as_ref(), basis);
    write(r.as_ref(), upper);
    Some(())
}

/// See [`super::Host::Complement`].
pub fn complement(values: &[f64], (m, n): (usize, usize), output: &mut [f64]) -> Option<()> {
    let (q, _) = orthogonal(matrix(values, m, n), m);
    write(q.as_ref().subcols(n, m - n), output);
    Some(())
}

/// Ascending eigenvalues of a symmetric matrix, and eigenvectors, if there is room for them.
fn spectrum(values: &[f64], n: usize, vectors: Option<MatMut<'_, f64>>) -> Option<Diag<f64>> {
    let mut w = Diag::zeros(n);
    let compute = if vectors.is_some() { evd::ComputeEigenvectors::Yes } else { evd::ComputeEigenvectors::No };
    let mut memory = MemBuffer::new(evd::self_adjoint_evd_scratch::<f64>(n, compute, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut memory);
    evd::self_adjoint_evd(turned(values, n, n), w.as_mut(), vectors, Par::Seq, stack, Default::default()).ok()?;
    Some(w)
}

/// See [`super::Host::Eigh`].
pub fn eigh(values: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    let mut vectors = Mat::zeros(n, n);
    let w = spectrum(values, n, Some(vectors.as_mut()))?;
    let (ascending, columns) = output.split_at_mut(n);
    ascending.iter_mut().enumerate().for_each(|(i, to)| *to = w[i]);
    write(vectors.as_ref(), columns);
    Some(())
}

/// See [`super::Host::Eigenvalues`].
pub fn eigenvalues(values: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    let w = spectrum(values, n, None)?;
    output.iter_mut().enumerate().for_each(|(i, to)| *to = w[i]);
    Some(())
}

/// U, the singular values, V: of the transposed matrix, which an array is to faer, V and U.
fn decomposed(values: &[f64], (m, n): (usize, usize)) -> Option<(Mat<f64>, Vec<f64>, Mat<f64>)> {
    let k = m.min(n);
    let (mut u, mut s, mut v) = (Mat::zeros(m, k), Diag::zeros(k), Mat::zeros(n, k));
    if k > 0 {
        let thin = singular::ComputeSvdVectors::Thin;
        let mut memory = MemBuffer::new(singular::svd_scratch::<f64>(n, m, thin, thin, Par::Seq, Default::default()));
        let (stack, a) = (MemStack::new(&mut memory), turned(values, m, n));
        singular::svd(a, s.as_mut(), Some(v.as_mut()), Some(u.as_mut()), Par::Seq, stack, Default::default()).ok()?;
    }
    Some((u, (0..k).map(|i| s[i]).collect(), v))
}

/// See [`super::Host::Svd`].
pub fn svd(values: &[f64], sides: (usize, usize), output: &mut [f64]) -> Option<()> {
    let (u, s, v) = decomposed(values, sides)?;
    let (descending, rest) = output.split_at_mut(s.len());
    let (left, right) = rest.split_at_mut(sides.0 * s.len());
    descending.copy_from_slice(&s);
    write(u.as_ref(), left);
    write(v.as_ref().transpose(), right);
    Some(())
}

/// See [`super::Host::SingularValues`].
pub fn singular_values(values: &[f64], (m, n): (usize, usize), output: &mut [f64]) -> Option<()> {
    if output.is_empty() {
        return Some(());
    }
    let (none, mut s) = (singular::ComputeSvdVectors::No, Diag::zeros(output.len()));
    let mut memory = MemBuffer::new(singular::svd_scratch::<f64>(n, m, none, none, Par::Seq, Default::default()));
    let (stack, a) = (MemStack::new(&mut memory), turned(values, m, n));
    singular::svd(a, s.as_mut(), None, None, Par::Seq, stack, Default::default()).ok()?;
    output.iter_mut().enumerate().for_each(|(i, to)| *to = s[i]);
    Some(())
}

/// See [`super::Host::Pinv`].
pub fn pinv(values: &[f64], (m, n): (usize, usize), cutoff: f64, output: &mut [f64]) -> Option<()> {
    if pinv_of_full_rank(values, (m, n), cutoff, output).is_some() {
        return Some(());
    }
    let (u, s, v) = decomposed(values, (m, n))?;
    let least = cutoff * s.first().copied().unwrap_or(0.0);
    let scaled = Mat::from_fn(n, s.len(), |i, j| if s[j] > least { v[(i, j)] / s[j] } else { 0.0 });
    write(product(scaled.as_ref(), u.as_ref().transpose()).as_ref(), output);
    Some(())
}

/// `R^-1 Q^T`, a small part of the work that singular values are, where none of them is anywhere near the cutoff.
fn pinv_of_full_rank(values: &[f64], (m, n): (usize, usize), cutoff: f64, output: &mut [f64]) -> Option<()> {
    let tall = m >= n;
    let (q, r) = orthogonal(if tall { matrix(values, m, n) } else { turned(values, m, n).to_owned() }, m.min(n));
    let mut inverse = Mat::<f64>::identity(m.min(n), m.min(n));
    solve_triangle(r.as_ref(), inverse.as_mut(), false, false);
    let size = |a: MatRef<'_, f64>| (0..a.ncols()).map(|j| (0..=j).map(|i| a[(i, j)] * a[(i, j)]).sum::<f64>()).sum::<f64>().sqrt();
    // Not less than the quotient of the largest and the smallest singular value.
    let condition = size(r.as_ref()) * size(inverse.as_ref());
    if !(condition < WELL && condition * cutoff < 0.5) {
        return None;
    }
    let found = product(inverse.as_ref(), q.as_ref().transpose());
    write(if tall { found.as_ref() } else { found.as_ref().transpose() }, output);
    Some(())
}

/// See [`super::Host::Cofactors`]: those of a product are the product of the cofactors, those of an orthogonal matrix the
/// matrix times its determinant, and those of a diagonal one products of all other numbers. Nothing is divided by, unless the
/// matrix is far from singular.
pub fn cofactors(values: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    if cofactors_of_regular(values, n, output).is_some() {
        return Some(());
    }
    let (u, s, v) = decomposed(values, (n, n))?;
    let sign = if n == 0 { 1.0 } else { sign(&u) * sign(&v) };
    let others = |i: usize| s.iter().enumerate().filter(|&(j, _)| j != i).map(|(_, s)| s).product::<f64>();
    let others: Vec<f64> = (0..n).map(others).collect();
    let scaled = Mat::from_fn(n, n, |i, j| u[(i, j)] * others[j] * sign);
    write(product(scaled.as_ref(), v.as_ref().transpose()).as_ref(), output);
    Some(())
}

/// The determinant times the transposed inverse.
fn cofactors_of_regular(values: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    if n < 2 {
        return None;
    }
    let (mut flat, mut inverse) = (vec![0.0; n + n * n], vec![0.0; n * n]);
    lu(values, (n, n), &mut flat)?;
    let mut numbers = [0.0; 3];
    determinant(&flat, n, &mut numbers)?;
    inverse.iter_mut().step_by(n + 1).for_each(|v| *v = 1.0);
    // The transposed system gives the transposed inverse.
    lu_solve(&flat, &inverse, (n, n), true, output)?;
    let size = |a: &[f64]| a.chunks_exact(n).map(|row| row.iter().map(|v| v.abs()).sum::<f64>()).fold(0.0, f64::max);
    let well = size(values) * size(output) < WELL && numbers[2].is_normal();
    well.then(|| output.iter_mut().for_each(|v| *v *= numbers[2]))
}

/// The sign of the determinant of an orthogonal matrix.
fn sign(a: &Mat<f64>) -> f64 {
    let n = a.nrows();
    let values: Vec<f64> = (0..n * n).map(|at| a[(at / n, at % n)]).collect();
    let (mut flat, mut numbers) = (vec![0.0; n + n * n], [0.0; 3]);
    lu(&values, (n, n), &mut flat).and_then(|()| determinant(&flat, n, &mut numbers));
    numbers[0]
}
