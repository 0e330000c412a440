//! Decompositions, and what is solved with them. Each writes its parts one behind the other, or gives `None` where there
//! is no such decomposition.

use super::dense::{lu as pivoted, matrix, parity, product, sign, solve_triangle, write};
use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::{cholesky::llt, evd, householder, qr::no_pivoting, svd as singular};
use faer::{Conj, Mat, Par};

/// See [`super::Host::Cholesky`].
pub fn cholesky(values: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    let mut l = Mat::from_fn(n, n, |i, j| if j <= i { values[i * n + j] } else { 0.0 });
    let mut memory = MemBuffer::new(llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut memory);
    llt::factor::cholesky_in_place(l.as_mut(), Default::default(), Par::Seq, stack, Default::default()).ok()?;
    let lower = Mat::from_fn(n, n, |i, j| if j <= i { l[(i, j)] } else { 0.0 });
    write(lower.as_ref(), output);
    Some(())
}

/// See [`super::Host::Lu`].
pub fn lu(values: &[f64], (m, n): (usize, usize), output: &mut [f64]) -> Option<()> {
    let (packed, order) = pivoted(&matrix(values, m, n));
    let (rows, triangles) = output.split_at_mut(m);
    let (lower, upper) = triangles.split_at_mut(m * n);
    rows.iter_mut().zip(order).for_each(|(to, row)| *to = row as f64);
    let below = |i: usize, j: usize| if i == j { 1.0 } else { packed[(i, j)] };
    write(Mat::from_fn(m, n, |i, j| if j <= i { below(i, j) } else { 0.0 }).as_ref(), lower);
    write(Mat::from_fn(n, n, |i, j| if j >= i { packed[(i, j)] } else { 0.0 }).as_ref(), upper);
    Some(())
}

/// What [`lu`] wrote of a square matrix: the order of the rows, L, U.
fn parts(flat: &[f64], n: usize) -> Option<(Vec<usize>, Mat<f64>, Mat<f64>)> {
    if flat.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let (rows, triangles) = flat.split_at(n);
    let order = rows.iter().map(|&row| row as usize).collect();
    Some((order, matrix(&triangles[..n * n], n, n), matrix(&triangles[n * n..], n, n)))
}

/// See [`super::Host::LuSolve`].
pub fn lu_solve(flat: &[f64], b: &[f64], (n, k): (usize, usize), transposed: bool, output: &mut [f64]) -> Option<()> {
    let (order, l, u) = parts(flat, n)?;
    if (0..n).any(|i| u[(i, i)] == 0.0) {
        return None;
    }
    if transposed {
        let mut x = matrix(b, n, k);
        solve_triangle(u.as_ref().transpose(), x.as_mut(), true, false);
        solve_triangle(l.as_ref().transpose(), x.as_mut(), false, true);
        for (i, row) in order.into_iter().enumerate() {
            (0..k).for_each(|j| output[row * k + j] = x[(i, j)]);
        }
    } else {
        let mut x = Mat::from_fn(n, k, |i, j| b[order[i] * k + j]);
        solve_triangle(l.as_ref(), x.as_mut(), true, true);
        solve_triangle(u.as_ref(), x.as_mut(), false, false);
        write(x.as_ref(), output);
    }
    Some(())
}

/// See [`super::Host::Determinant`].
pub fn determinant(flat: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    let (order, _, u) = parts(flat, n)?;
    let sign = parity(order.into_iter());
    let diagonal = || (0..n).map(|i| u[(i, i)]);
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
    let own = |i: usize, j: usize| if lower { j <= i } else { j >= i };
    let a = Mat::from_fn(n, n, |i, j| if own(i, j) { values[i * n + j] } else { 0.0 });
    let mut x = matrix(b, n, k);
    let a = if transposed { a.as_ref().transpose() } else { a.as_ref() };
    solve_triangle(a, x.as_mut(), lower != transposed, unit);
    write(x.as_ref(), output);
    Some(())
}

/// See [`super::Host::Qr`].
pub fn qr(values: &[f64], (m, n): (usize, usize), output: &mut [f64]) -> Option<()> {
    if n == 0 {
        return Some(());
    }
    let mut packed = matrix(values, m, n);
    let block = no_pivoting::factor::recommended_block_size::<f64>(m, n);
    let mut coefficients = Mat::zeros(block, n);
    let request = no_pivoting::factor::qr_in_place_scratch::<f64>(m, n, block, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(request);
    let stack = MemStack::new(&mut memory);
    no_pivoting::factor::qr_in_place(packed.as_mut(), coefficients.as_mut(), Par::Seq, stack, Default::default());
    let basis = Mat::from_fn(m, n, |i, j| if i > j { packed[(i, j)] } else { f64::from(u8::from(i == j)) });
    let mut q = Mat::<f64>::identity(m, n);
    let request = householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<f64>(m, block, n);
    let mut memory = MemBuffer::new(request);
    householder::apply_block_householder_sequence_on_the_left_in_place_with_conj(
        basis.as_ref(),
        coefficients.as_ref(),
        Conj::No,
        q.as_mut(),
        Par::Seq,
        MemStack::new(&mut memory),
    );
    let turn = |i: usize| if packed[(i, i)] < 0.0 { -1.0 } else { 1.0 };
    let (orthogonal, upper) = output.split_at_mut(m * n);
    write(Mat::from_fn(m, n, |i, j| q[(i, j)] * turn(j)).as_ref(), orthogonal);
    write(Mat::from_fn(n, n, |i, j| if j >= i { packed[(i, j)] * turn(i) } else { 0.0 }).as_ref(), upper);
    Some(())
}

/// See [`super::Host::Eigh`].
pub fn eigh(values: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    let a = matrix(values, n, n);
    let (mut vectors, mut w) = (Mat::zeros(n, n), Diag::zeros(n));
    let compute = evd::ComputeEigenvectors::Yes;
    let mut memory = MemBuffer::new(evd::self_adjoint_evd_scratch::<f64>(n, compute, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut memory);
    evd::self_adjoint_evd(a.as_ref(), w.as_mut(), Some(vectors.as_mut()), Par::Seq, stack, Default::default()).ok()?;
    let (ascending, columns) = output.split_at_mut(n);
    ascending.iter_mut().enumerate().for_each(|(i, to)| *to = w[i]);
    write(vectors.as_ref(), columns);
    Some(())
}

/// U, the singular values, V.
fn decomposed(values: &[f64], (m, n): (usize, usize)) -> Option<(Mat<f64>, Vec<f64>, Mat<f64>)> {
    let k = m.min(n);
    let (mut u, mut s, mut v) = (Mat::zeros(m, k), Diag::zeros(k), Mat::zeros(n, k));
    if k > 0 {
        let a = matrix(values, m, n);
        let thin = singular::ComputeSvdVectors::Thin;
        let mut memory = MemBuffer::new(singular::svd_scratch::<f64>(m, n, thin, thin, Par::Seq, Default::default()));
        let stack = MemStack::new(&mut memory);
        singular::svd(a.as_ref(), s.as_mut(), Some(u.as_mut()), Some(v.as_mut()), Par::Seq, stack, Default::default()).ok()?;
    }
    let s = (0..k).map(|i| s[i]).collect();
    Some((u, s, v))
}

/// See [`super::Host::Svd`].
pub fn svd(values: &[f64], (m, n): (usize, usize), output: &mut [f64]) -> Option<()> {
    let (u, s, v) = decomposed(values, (m, n))?;
    let (descending, rest) = output.split_at_mut(s.len());
    let (left, right) = rest.split_at_mut(m * s.len());
    descending.copy_from_slice(&s);
    write(u.as_ref(), left);
    write(v.as_ref().transpose(), right);
    Some(())
}

/// See [`super::Host::Pinv`].
pub fn pinv(values: &[f64], (m, n): (usize, usize), cutoff: f64, output: &mut [f64]) -> Option<()> {
    let (u, s, v) = decomposed(values, (m, n))?;
    let least = cutoff * s.first().copied().unwrap_or(0.0);
    let scaled = Mat::from_fn(n, s.len(), |i, j| if s[j] > least { v[(i, j)] / s[j] } else { 0.0 });
    write(product(scaled.as_ref(), u.as_ref().transpose()).as_ref(), output);
    Some(())
}

/// See [`super::Host::Cofactors`]: those of a product are the product of the cofactors, those of an orthogonal matrix the
/// matrix times its determinant, and those of a diagonal one products of all other numbers. Nothing is divided by.
pub fn cofactors(values: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    let (u, s, v) = decomposed(values, (n, n))?;
    let sign = if n == 0 { 1.0 } else { sign(&u) * sign(&v) };
    let others = |i: usize| s.iter().enumerate().filter(|&(j, _)| j != i).map(|(_, s)| s).product::<f64>();
    let others: Vec<f64> = (0..n).map(others).collect();
    let scaled = Mat::from_fn(n, n, |i, j| u[(i, j)] * others[j] * sign);
    write(product(scaled.as_ref(), v.as_ref().transpose()).as_ref(), output);
    Some(())
}
