//! What is computed on the host: each decomposition as a function of plain arrays, row-major, in f64.
//!
//! Numbers of type f32 are widened, and the result is rounded once. Where a matrix has no such decomposition, or a number
//! in it is not finite, the whole result is NaN: the other matrices of a batch have theirs. Refuses to use more than the
//! calling thread, so that results have the same bits however many there are; to know gradients; and to check shapes,
//! which is done where a call is recorded.

mod dense;
mod exponential;
mod factors;

use chainrule_engine::Tensor;
use chainrule_engine::functions::host_call;
use chainrule_engine::ops::{HostArray, HostFunction};
use chainrule_engine::tensor::Shape;

/// A function of matrices. A result of several parts has them one behind the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Host {
    /// Of a symmetric matrix `[n, n]`, the lower triangle `[n, n]`.
    Cholesky,
    /// Of a matrix `[m, n]`: the rows of the matrix in the order of the pivots `[m]`, and `[m, n]` with L below the diagonal
    /// and U from it on.
    Lu,
    /// Of what [`Host::Lu`] gives for a square matrix and right-hand sides `[n, k]`, the solutions `[n, k]`.
    LuSolve { transposed: bool },
    /// Of what [`Host::Lu`] gives for a square matrix of `n` rows: sign, logarithm of the size, and value of its determinant.
    Determinant { n: usize },
    /// Of a square matrix `[n, n]`, the matrix of its cofactors.
    Cofactors,
    /// Of a triangular matrix `[n, n]` and right-hand sides `[n, k]`, the solutions `[n, k]`.
    Triangular { lower: bool, transposed: bool, unit: bool },
    /// Of a matrix `[m, n]`, m at least n: `Q [m, n]`, `R [n, n]` with a diagonal that is not negative.
    Qr,
    /// Of orthonormal columns `[m, n]`, columns that make them a basis, `[m, m - n]`.
    Complement,
    /// Of a symmetric matrix `[n, n]`: ascending eigenvalues `[n]`, and eigenvectors as columns `[n, n]`.
    Eigh,
    /// Those eigenvalues alone.
    Eigenvalues,
    /// Of a matrix `[m, n]`, k the smaller: descending singular values `[k]`, `U [m, k]`, the transpose of `V [k, n]`.
    Svd,
    /// Those singular values alone.
    SingularValues,
    /// Of a matrix `[m, n]`, the pseudoinverse `[n, m]`, made of the singular values above a part of the largest.
    Pinv { cutoff: f64 },
    /// Of a square matrix `[n, n]`, its exponential.
    Exponential,
    /// Of two square matrices `[n, n]`, the derivative of the exponential of the first along the second.
    ExponentialAlong,
}

impl Host {
    /// The function of each matrix of a batch with so many leading axes.
    #[track_caller]
    pub(super) fn of(self, inputs: &[&Tensor], batch: usize) -> Tensor {
        host_call(self, inputs, batch)
    }
}

impl HostFunction for Host {
    fn name(&self) -> &str {
        match self {
            Host::Cholesky => "cholesky",
            Host::Lu => "lu",
            Host::LuSolve { .. } => "solve",
            Host::Determinant { .. } => "det",
            Host::Cofactors => "cofactors",
            Host::Triangular { .. } => "solve_triangular",
            Host::Qr => "qr",
            Host::Complement => "complement",
            Host::Eigh => "eigh",
            Host::Eigenvalues => "eigvalsh",
            Host::Svd => "svd",
            Host::SingularValues => "svdvals",
            Host::Pinv { .. } => "pinv",
            Host::Exponential => "expm",
            Host::ExponentialAlong => "expm_along",
        }
    }

    fn parameters(&self) -> String {
        match self {
            Host::LuSolve { transposed } => format!("transposed-{transposed}"),
            Host::Determinant { n } => format!("n-{n}"),
            Host::Triangular { lower, transposed, unit } => format!("lower-{lower}-transposed-{transposed}-unit-{unit}"),
            Host::Pinv { cutoff } => format!("cutoff-{cutoff:e}"),
            _ => String::new(),
        }
    }

    fn infer(&self, shapes: &[&[usize]]) -> Result<Shape, String> {
        let shape: &[usize] = match (self, shapes) {
            (Host::Cholesky | Host::Cofactors | Host::Exponential, [[n, columns]]) if n == columns => &[*n, *n],
            (Host::Lu, [[m, n]]) => &[m + m * n],
            (Host::LuSolve { .. }, [[flat], [n, k]]) if *flat == n + n * n => &[*n, *k],
            (Host::Determinant { n }, [[flat]]) if *flat == n + n * n => &[3],
            (Host::Triangular { .. }, [[n, columns], [rows, k]]) if n == columns && n == rows => &[*n, *k],
            (Host::Qr, [[m, n]]) if m >= n => &[m * n + n * n],
            (Host::Complement, [[m, n]]) if m >= n => &[*m, m - n],
            (Host::Eigh, [[n, columns]]) if n == columns => &[n + n * n],
            (Host::Eigenvalues, [[n, columns]]) if n == columns => &[*n],
            (Host::SingularValues, [[m, n]]) => &[*m.min(n)],
            (Host::ExponentialAlong, [[n, columns], [rows, k]]) if n == columns && n == rows && n == k => &[*n, *n],
            (Host::Svd, [[m, n]]) => {
                let k = m.min(n);
                &[k + k * (m + n)]
            }
            (Host::Pinv { .. }, [[m, n]]) => &[*n, *m],
            _ => return Err(format!("takes no matrices of {shapes:?}")),
        };
        Ok(shape.into())
    }

    fn evaluate(&self, inputs: &[HostArray<'_, f64>], output: &mut [f64]) -> Result<(), String> {
        let [a, rest @ ..] = inputs else { return Err("takes a matrix".into()) };
        let sides = |input: &HostArray<'_, f64>| (input.shape[0], input.shape.get(1).copied().unwrap_or(1));
        let ((m, n), values) = (sides(a), a.values);
        let done = match (*self, rest) {
            (Host::Determinant { n }, _) => factors::determinant(values, n, output),
            (Host::LuSolve { transposed }, [b]) => factors::lu_solve(values, b.values, sides(b), transposed, output),
            (Host::Triangular { lower, transposed, unit }, [b]) => {
                factors::triangular(values, b.values, sides(b), (lower, transposed, unit), output)
            }
            _ if !inputs.iter().all(|input| input.values.iter().all(|v| v.is_finite())) => None,
            (Host::Cholesky, _) => factors::cholesky(values, n, output),
            (Host::Lu, _) => factors::lu(values, (m, n), output),
            (Host::Cofactors, _) => factors::cofactors(values, n, output),
            (Host::Qr, _) => factors::qr(values, (m, n), output),
            (Host::Complement, _) => factors::complement(values, (m, n), output),
            (Host::Eigh, _) => factors::eigh(values, n, output),
            (Host::Eigenvalues, _) => factors::eigenvalues(values, n, output),
            (Host::Svd, _) => factors::svd(values, (m, n), output),
            (Host::SingularValues, _) => factors::singular_values(values, (m, n), output),
            (Host::Pinv { cutoff }, _) => factors::pinv(values, (m, n), cutoff, output),
            (Host::Exponential, _) => exponential::expm(values, n, output),
            (Host::ExponentialAlong, [e]) => exponential::derivative(values, e.values, n, output),
            (Host::LuSolve { .. } | Host::Triangular { .. } | Host::ExponentialAlong, _) => {
                return Err("takes a second matrix".into());
            }
        };
        if done.is_none() {
            output.fill(f64::NAN);
        }
        Ok(())
    }
}
