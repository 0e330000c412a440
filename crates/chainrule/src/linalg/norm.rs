//! The size of a matrix, and how near to singular it is.

use super::solve::inverse;
use super::svd::{cutoff_of, singular_values};
use super::{Attempt, attempt, fits, matrix, square};
use chainrule_engine::{DType, Tensor};

/// Which norm of a matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatrixNorm {
    /// The root of the sum of all squares; NumPy's `"fro"`.
    #[default]
    Frobenius,
    /// The sum of the singular values; NumPy's `"nuc"`.
    Nuclear,
    /// The largest singular value; NumPy's 2.
    Two,
    /// The largest sum of the sizes in a column; NumPy's 1.
    One,
    /// The largest sum of the sizes in a row; NumPy's `inf`.
    Infinity,
}

/// The norms of matrices `[.., m, n]`.
///
/// Where a norm has a kink, the gradient is one choice: 0 for the Frobenius norm of zeros, that of the singular vectors at hand
/// for equal singular values and for those that are 0, equal shares for equal sums.
///
/// ```
/// use chainrule::{Tensor, linalg::{MatrixNorm, norm}};
/// let a = Tensor::f64([[3.0, 0.0], [0.0, -4.0]]);
/// assert_eq!(norm(&a, MatrixNorm::Frobenius).item()?, 5.0);
/// assert_eq!(norm(&a, MatrixNorm::Nuclear).item()?, 7.0);
/// assert_eq!(norm(&a, MatrixNorm::Two).item()?, 4.0);
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// # Errors
/// The largest of nothing: of an empty matrix there are the Frobenius and the nuclear norm only.
#[track_caller]
pub fn norm(a: &Tensor, norm: MatrixNorm) -> Tensor {
    attempt(|| of_order("norm", a, norm))
}

fn of_order(name: &str, a: &Tensor, norm: MatrixNorm) -> Attempt {
    let (m, n) = matrix(name, a)?;
    let some = matches!(norm, MatrixNorm::Frobenius | MatrixNorm::Nuclear) || m * n > 0;
    fits(name, some, || format!("{norm:?} of an empty matrix {:?}", a.shape()))?;
    Ok(match norm {
        MatrixNorm::Frobenius => a.norm_p_over(&[-2, -1], 2.0),
        MatrixNorm::Nuclear => singular_values(name, a)?.sum_over(&[-1]),
        MatrixNorm::Two => singular_values(name, a)?.index(-1, 0),
        MatrixNorm::One => a.abs().sum_over(&[-2]).max_over(&[-1]),
        MatrixNorm::Infinity => a.abs().sum_over(&[-1]).max_over(&[-1]),
    })
}

/// The condition number: how many times larger a part of the solution of a system may be wrong than a part of the matrix is. The
/// largest singular value divided by the smallest, or the norm of the (square) matrix times that of its inverse. Infinite, or NaN, of a singular matrix.
///
/// ```
/// use chainrule::{Tensor, linalg::{MatrixNorm, cond}};
/// let a = Tensor::f64([[1.0, 0.0], [0.0, -4.0]]);
/// assert_eq!(cond(&a, MatrixNorm::Two).item()?, 4.0);
/// assert_eq!(cond(&a, MatrixNorm::One).item()?, 4.0);
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// # Errors
/// An empty matrix; one that is not square, but with [`MatrixNorm::Two`].
#[track_caller]
pub fn cond(a: &Tensor, norm: MatrixNorm) -> Tensor {
    attempt(|| {
        let (m, n) = matrix("cond", a)?;
        fits("cond", m * n > 0, || format!("of an empty matrix {:?}", a.shape()))?;
        if norm == MatrixNorm::Two {
            let s = singular_values("cond", a)?;
            return Ok(s.index(-1, 0) / s.index(-1, -1));
        }
        square("cond", a)?;
        Ok(of_order("cond", a, norm)? * of_order("cond", &inverse(a), norm)?)
    })
}

/// The ranks (i64) of matrices `[.., m, n]`: how many singular values are above `cutoff` times the largest; without one, it is
/// the machine's epsilon times the larger of m and n. A count has no derivative. Of a matrix with NaN, it is 0.
///
/// ```
/// use chainrule::{Tensor, linalg::matrix_rank};
/// let a = Tensor::f64([[1.0, 2.0], [2.0, 4.0]]);
/// assert_eq!(matrix_rank(&a, None).to_vec::<i64>()?, [1]);
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// # Errors
/// A cutoff that is negative or NaN.
#[track_caller]
pub fn matrix_rank(a: &Tensor, cutoff: Option<f64>) -> Tensor {
    attempt(|| {
        let cutoff = cutoff_of("matrix_rank", a, cutoff)?;
        Ok(rank_of(&singular_values("matrix_rank", a)?, cutoff))
    })
}

/// How many singular values are above a part of the largest.
pub(super) fn rank_of(s: &Tensor, cutoff: f64) -> Tensor {
    let shape = &s.shape()[..s.rank() - 1];
    if s.shape()[s.rank() - 1] == 0 {
        return Tensor::full(shape, 0.0, DType::I64);
    }
    let least = s.index(-1, 0).unsqueeze(-1) * cutoff;
    s.greater(&least.broadcast_to(s.shape())).cast(DType::I64).sum_over(&[-1])
}
