//! Dense linear algebra on the host, for the small systems that solvers meet at each iteration.
//!
//! It knows no tensors, blocks nothing for caches and is slow beyond a few hundred unknowns. The
//! algorithms are those of Golub and Van Loan, *Matrix Computations* (4th edition, 2013): Cholesky
//! in §4.2, LU with partial pivoting in §3.4, QR by Householder's reflections in §5.2.

use super::error::SolveError;

/// A matrix, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f64>,
}

impl Matrix {
    pub fn zeros(rows: usize, columns: usize) -> Matrix {
        Matrix { rows, columns, values: vec![0.0; rows * columns] }
    }

    /// Numbers that fill the matrix; what is missing is zero.
    pub fn new(rows: usize, columns: usize, mut values: Vec<f64>) -> Matrix {
        values.resize(rows * columns, 0.0);
        Matrix { rows, columns, values }
    }

    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    pub fn at_mut(&mut self, row: usize, column: usize) -> &mut f64 {
        &mut self.values[row * self.columns + column]
    }

    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    pub fn column_norms(&self) -> Vec<f64> {
        (0..self.columns).map(|j| norm((0..self.rows).map(|i| self.at(i, j)))).collect()
    }

    pub fn is_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    /// The product with a vector.
    pub fn times(&self, x: &[f64]) -> Vec<f64> {
        (0..self.rows).map(|i| dot(self.row(i), x)).collect()
    }
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Euclid's length, without overflow on the way.
pub(crate) fn norm(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(0.0, |largest: f64, value| if value.is_nan() { f64::NAN } else { largest.max(value.abs()) });
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * values.map(|value| (value / largest).powi(2)).sum::<f64>().sqrt()
}

/// The lower triangle L of a symmetric positive definite matrix `L L^T`, of which the lower
/// triangle is read.
pub(crate) struct Cholesky(Matrix);

impl Cholesky {
    pub fn new(a: &Matrix) -> Result<Cholesky, SolveError> {
        let n = a.rows;
        let mut l = Matrix::zeros(n, n);
        for j in 0..n {
            let pivot = a.at(j, j) - l.row(j)[..j].iter().map(|x| x * x).sum::<f64>();
            // A pivot that is lost in the rounding of what it was made from says nothing of its sign.
            if pivot.is_nan() || pivot <= a.at(j, j).abs() * f64::EPSILON * n as f64 {
                return Err(SolveError::NotPositiveDefinite { row: j });
            }
            let pivot = pivot.sqrt();
            *l.at_mut(j, j) = pivot;
            for i in j + 1..n {
                *l.at_mut(i, j) = (a.at(i, j) - dot(&l.row(i)[..j], &l.row(j)[..j])) / pivot;
            }
        }
        Ok(Cholesky(l))
    }

    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let (l, n) = (&self.0, self.0.rows);
        let mut x = b.to_vec();
        for i in 0..n {
            x[i] = (x[i] - dot(&l.row(i)[..i], &x[..i])) / l.at(i, i);
        }
        for i in (0..n).rev() {
            let rest: f64 = (i + 1..n).map(|k| l.at(k, i) * x[k]).sum();
            x[i] = (x[i] - rest) / l.at(i, i);
        }
        x
    }
}

/// `P A = L U` with partial pivoting.
pub(crate) struct Lu {
    factors: Matrix,
    /// Which row of the matrix each row of the factors comes from.
    order: Vec<usize>,
}

impl Lu {
    /// `name` is what the matrix is called in the error, `epsilon` how far apart its numbers are.
    pub fn new(a: &Matrix, name: &'static str, epsilon: f64) -> Result<Lu, SolveError> {
        let n = a.rows;
        let mut factors = a.clone();
        let mut order: Vec<usize> = (0..n).collect();
        for (k, size) in a.column_norms().into_iter().enumerate() {
            let best = (k..n).fold(k, |best, i| if factors.at(i, k).abs() > factors.at(best, k).abs() { i } else { best });
            let pivot = factors.at(best, k);
            if pivot.is_nan() || pivot.abs() <= size * epsilon * n as f64 {
                return Err(SolveError::Singular { matrix: name, column: k });
            }
            order.swap(k, best);
            for j in 0..n {
                factors.values.swap(k * n + j, best * n + j);
            }
            for i in k + 1..n {
                let factor = factors.at(i, k) / pivot;
                *factors.at_mut(i, k) = factor;
                for j in k + 1..n {
                    *factors.at_mut(i, j) -= factor * factors.at(k, j);
                }
            }
        }
        Ok(Lu { factors, order })
    }

    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let (lu, n) = (&self.factors, self.factors.rows);
        let mut x: Vec<f64> = self.order.iter().map(|&row| b[row]).collect();
        for i in 0..n {
            x[i] -= dot(&lu.row(i)[..i], &x[..i]);
        }
        for i in (0..n).rev() {
            x[i] = (x[i] - dot(&lu.row(i)[i + 1..], &x[i + 1..])) / lu.at(i, i);
        }
        x
    }

    pub fn inverse(&self) -> Matrix {
        let n = self.factors.rows;
        let mut inverse = Matrix::zeros(n, n);
        for j in 0..n {
            let unit: Vec<f64> = (0..n).map(|i| f64::from(i == j)).collect();
            self.solve(&unit).into_iter().enumerate().for_each(|(i, x)| *inverse.at_mut(i, j) = x);
        }
        inverse
    }
}

/// `A = Q R` of a matrix with at least as many rows as columns, by reflections.
pub(crate) struct Qr {
    /// R above and on the diagonal; below it the tails of the reflections' vectors, whose heads are 1.
    factors: Matrix,
    /// The factors of the reflections `I - beta v v^T`.
    betas: Vec<f64>,
    /// The lengths of the matrix's columns.
    sizes: Vec<f64>,
}

impl Qr {
    pub fn new(a: Matrix) -> Qr {
        let sizes = a.column_norms();
        let mut qr = Qr { betas: vec![0.0; a.columns], factors: a, sizes };
        for k in 0..qr.factors.columns.min(qr.factors.rows) {
            qr.reflect(k);
        }
        qr
    }

    /// Makes zeros of column `k` below the diagonal.
    fn reflect(&mut self, k: usize) {
        let a = &mut self.factors;
        let length = norm((k..a.rows).map(|i| a.at(i, k)));
        if length == 0.0 {
            return;
        }
        let top = a.at(k, k);
        let diagonal = if top > 0.0 { -length } else { length };
        let head = top - diagonal;
        (k + 1..a.rows).for_each(|i| *a.at_mut(i, k) /= head);
        *a.at_mut(k, k) = diagonal;
        // With the head 1, beta is 2 / v^T v = -head / diagonal.
        let beta = -head / diagonal;
        self.betas[k] = beta;
        for j in k + 1..a.columns {
            let along: f64 = a.at(k, j) + (k + 1..a.rows).map(|i| a.at(i, k) * a.at(i, j)).sum::<f64>();
            *a.at_mut(k, j) -= beta * along;
            (k + 1..a.rows).for_each(|i| *a.at_mut(i, j) -= beta * along * a.at(i, k));
        }
    }

    /// `Q^T b`.
    pub fn project(&self, b: &[f64]) -> Vec<f64> {
        let a = &self.factors;
        let mut b = b.to_vec();
        for k in 0..a.columns.min(a.rows) {
            let along = self.betas[k] * (b[k] + (k + 1..a.rows).map(|i| a.at(i, k) * b[i]).sum::<f64>());
            b[k] -= along;
            (k + 1..a.rows).for_each(|i| b[i] -= along * a.at(i, k));
        }
        b
    }

    /// R as a square matrix.
    pub fn triangle(&self) -> Matrix {
        let n = self.factors.columns;
        let mut r = Matrix::zeros(n, n);
        for i in 0..n {
            (i..n).for_each(|j| *r.at_mut(i, j) = self.factors.at(i, j));
        }
        r
    }

    /// The first column, if there is one, that the columns before it span to the precision of
    /// numbers with this epsilon.
    pub fn dependent(&self, epsilon: f64) -> Option<usize> {
        let lost = epsilon * self.factors.rows as f64;
        (0..self.factors.columns).find(|&k| {
            let own = self.factors.at(k, k).abs();
            // Of NaN nothing is known: it counts as dependent.
            own.is_nan() || own <= self.sizes[k] * lost
        })
    }

    /// The x that makes `A x - b` shortest.
    pub fn solve(&self, b: &[f64], name: &'static str) -> Result<Vec<f64>, SolveError> {
        match self.dependent(f64::EPSILON) {
            Some(column) => Err(SolveError::Singular { matrix: name, column }),
            None => Ok(self.solve_triangle(&self.project(b))),
        }
    }

    /// `R^-1 b`, of the first numbers of b.
    pub fn solve_triangle(&self, b: &[f64]) -> Vec<f64> {
        let (a, n) = (&self.factors, self.factors.columns);
        let mut x = b[..n].to_vec();
        for i in (0..n).rev() {
            x[i] = (x[i] - dot(&a.row(i)[i + 1..], &x[i + 1..])) / a.at(i, i);
        }
        x
    }

    /// `(A^T A)^-1 = R^-1 R^-T`.
    pub fn inverse_of_normal(&self) -> Matrix {
        let n = self.factors.columns;
        let columns: Vec<Vec<f64>> = (0..n).map(|j| self.solve_triangle(&(0..n).map(|i| f64::from(i == j)).collect::<Vec<_>>())).collect();
        let mut inverse = Matrix::zeros(n, n);
        for i in 0..n {
            for j in 0..n {
                *inverse.at_mut(i, j) = columns.iter().map(|column| column[i] * column[j]).sum();
            }
        }
        inverse
    }
}

/// Eigenvalues, from the smallest on, and orthonormal eigenvectors, one per row, of a symmetric
/// matrix, by Jacobi's rotations (Golub and Van Loan, §8.5). None if a number is not finite.
pub(crate) fn eigen(symmetric: &Matrix) -> Option<(Vec<f64>, Matrix)> {
    if !symmetric.is_finite() {
        return None;
    }
    let n = symmetric.rows;
    let mut a = symmetric.clone();
    let mut vectors = Matrix::zeros(n, n);
    (0..n).for_each(|i| *vectors.at_mut(i, i) = 1.0);
    let size = norm(a.values.iter().copied());
    // It converges quadratically; more sweeps than this are not known to be needed.
    for _ in 0..30 {
        let off = norm((0..n * n).filter(|at| at % n != at / n).map(|at| a.values[at]));
        if off <= f64::EPSILON * size {
            break;
        }
        for p in 0..n {
            (p + 1..n).for_each(|q| rotate(&mut a, &mut vectors, p, q));
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a.at(i, i).total_cmp(&a.at(j, j)));
    let rows = order.iter().flat_map(|&i| vectors.row(i).to_vec()).collect();
    Some((order.iter().map(|&i| a.at(i, i)).collect(), Matrix::new(n, n, rows)))
}

/// Makes the elements `(p, q)` and `(q, p)` zero.
fn rotate(a: &mut Matrix, vectors: &mut Matrix, p: usize, q: usize) {
    if a.at(p, q) == 0.0 {
        return;
    }
    let half = (a.at(q, q) - a.at(p, p)) / (2.0 * a.at(p, q));
    let tangent = half.signum() / (half.abs() + half.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    let turn = |x: f64, y: f64| (cosine * x - sine * y, sine * x + cosine * y);
    for k in 0..a.rows {
        let (x, y) = turn(a.at(k, p), a.at(k, q));
        (*a.at_mut(k, p), *a.at_mut(k, q)) = (x, y);
    }
    for k in 0..a.rows {
        let (x, y) = turn(a.at(p, k), a.at(q, k));
        (*a.at_mut(p, k), *a.at_mut(q, k)) = (x, y);
        let (x, y) = turn(vectors.at(p, k), vectors.at(q, k));
        (*vectors.at_mut(p, k), *vectors.at_mut(q, k)) = (x, y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern, between -1 and 1.
    fn random(rows: usize, columns: usize, seed: u64) -> Matrix {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        Matrix::new(rows, columns, (0..rows * columns).map(|_| next()).collect())
    }

    fn product(a: &Matrix, b: &Matrix) -> Matrix {
        let mut c = Matrix::zeros(a.rows, b.columns);
        for i in 0..a.rows {
            for j in 0..b.columns {
                *c.at_mut(i, j) = (0..a.columns).map(|k| a.at(i, k) * b.at(k, j)).sum();
            }
        }
        c
    }

    fn transposed(a: &Matrix) -> Matrix {
        Matrix::new(a.columns, a.rows, (0..a.rows * a.columns).map(|at| a.at(at % a.rows, at / a.rows)).collect())
    }

    fn assert_near(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-10), "{a:?}\n{b:?}");
    }

    fn identity(n: usize) -> Vec<f64> {
        (0..n * n).map(|at| f64::from(at / n == at % n)).collect()
    }

    #[test]
    fn factors_solve_what_they_were_made_of() {
        for n in 1..9 {
            let (a, x) = (random(n, n, 7 + n as u64), random(n, 1, 90 + n as u64).values);
            let lu = Lu::new(&a, "a", f64::EPSILON).unwrap();
            assert_near(&lu.solve(&a.times(&x)), &x);
            assert_near(&product(&a, &lu.inverse()).values, &identity(n));
            let mut normal = product(&transposed(&a), &a);
            (0..n).for_each(|i| *normal.at_mut(i, i) += 0.1);
            assert_near(&Cholesky::new(&normal).unwrap().solve(&normal.times(&x)), &x);
        }
    }

    /// The rest of a least-squares solution stands upright on every column.
    #[test]
    fn least_squares_leave_what_no_column_has() {
        for (m, n) in [(1, 1), (4, 4), (9, 4), (30, 7)] {
            let (a, b) = (random(m, n, 3), random(m, 1, 5).values);
            let qr = Qr::new(a.clone());
            let x = qr.solve(&b, "a").unwrap();
            let rest: Vec<f64> = a.times(&x).iter().zip(&b).map(|(fit, b)| fit - b).collect();
            assert_near(&transposed(&a).times(&rest), &vec![0.0; n]);
            assert_near(&product(&qr.inverse_of_normal(), &product(&transposed(&a), &a)).values, &identity(n));
            assert_near(&product(&transposed(&qr.triangle()), &qr.triangle()).values, &product(&transposed(&a), &a).values);
        }
    }

    #[test]
    fn eigenvectors_are_only_stretched() {
        for n in 1..9 {
            let a = random(n, n, n as u64);
            let mut symmetric = a.clone();
            symmetric.values.iter_mut().zip(transposed(&a).values).for_each(|(a, b)| *a += b);
            let (values, vectors) = eigen(&symmetric).unwrap();
            assert!(values.is_sorted());
            assert_near(&product(&vectors, &transposed(&vectors)).values, &identity(n));
            for (i, value) in values.iter().enumerate() {
                let stretched: Vec<f64> = vectors.row(i).iter().map(|v| v * value).collect();
                assert_near(&symmetric.times(vectors.row(i)), &stretched);
            }
        }
    }

    #[test]
    fn what_has_no_inverse_says_where() {
        let mut a = random(5, 5, 1);
        (0..5).for_each(|i| *a.at_mut(i, 3) = 2.0 * a.at(i, 0) - a.at(i, 1));
        assert!(matches!(Lu::new(&a, "a", f64::EPSILON), Err(SolveError::Singular { matrix: "a", column: 3 })));
        assert!(matches!(Qr::new(a).solve(&[1.0; 5], "a"), Err(SolveError::Singular { matrix: "a", column: 3 })));
        let indefinite = Matrix::new(2, 2, vec![1.0, 2.0, 2.0, 1.0]);
        assert!(matches!(Cholesky::new(&indefinite), Err(SolveError::NotPositiveDefinite { row: 1 })));
        let unknown = Matrix::new(1, 1, vec![f64::NAN]);
        assert!(Lu::new(&unknown, "a", f64::EPSILON).is_err() && Cholesky::new(&unknown).is_err());
        assert!(Qr::new(unknown.clone()).solve(&[1.0], "a").is_err() && eigen(&unknown).is_none());
    }

    /// Lengths whose squares are too large or too small for any f64.
    #[test]
    fn lengths_do_not_overflow() {
        assert!((norm([3e200, 4e200].into_iter()) / 5e200 - 1.0).abs() < 1e-15);
        assert!((norm([3e-200, -4e-200].into_iter()) / 5e-200 - 1.0).abs() < 1e-15);
        assert_eq!(norm([0.0, f64::NEG_INFINITY].into_iter()), f64::INFINITY);
        assert!(norm([0.0, f64::NAN].into_iter()).is_nan());
    }
}
