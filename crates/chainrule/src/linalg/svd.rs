//! Singular values, and what is made of them.

use super::host::Host;
use super::norm::rank_of;
use super::{
    Attempt, attempt, attempt_parts, batch, columns_times, completed, epsilon, fits, inverse_gaps, inverse_unless, matrix, numbers, part,
    rounding, rows_times, with_rule,
};
use crate::nn::mistake;
use chainrule_engine::{ErrorKind, Tensor};

/// What [`svd`] gives: `u diag(s) vh` is the matrix.
#[derive(Clone, Debug)]
pub struct Svd {
    /// Left singular vectors `[.., m, k]`, orthonormal columns.
    pub u: Tensor,
    /// Singular values `[.., k]`, descending.
    pub s: Tensor,
    /// Right singular vectors `[.., k, n]`, orthonormal rows. Each is as good with the other sign, if its left one has that, too.
    pub vh: Tensor,
}

/// The singular value decomposition of matrices `[.., m, n]`, k the smaller of m and n; NumPy's with `full_matrices=False`.
///
/// The gradient is that of J. Townsend, "Differentiating the singular value decomposition" (2016), which is Giles' (2008, 3.2)
/// for any shape. Vectors of equal singular values have none, nor those of a singular value of 0 unless the matrix is square: see
/// [the module](super) for what is NaN. A singular value of 0 has a kink, as an absolute value has.
///
/// ```
/// use chainrule::{Tensor, linalg::svd};
/// let a = Tensor::f64([[0.0, 3.0], [-2.0, 0.0], [0.0, 0.0]]);
/// let found = svd(&a);
/// assert_eq!(found.s.to_vec::<f64>()?, [3.0, 2.0]);
/// let again = (&found.u * &found.s.unsqueeze(0)).matmul(&found.vh);
/// assert!((again - a).abs().max().item()? < 1e-15);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn svd(a: &Tensor) -> Svd {
    let [u, s, vh] = attempt_parts(|| {
        matrix("svd", a)?;
        let (u, s, vh) = parts(a);
        Ok([u, s, vh])
    });
    Svd { u, s, vh }
}

/// The singular value decomposition of matrices `[.., m, n]` with whole orthonormal bases, `u [.., m, m]` and `vh [.., n, n]`;
/// NumPy's with `full_matrices=True`. The first vectors, and the values, are those of [`svd`].
///
/// Of a matrix that is not square, the other vectors of the larger basis are one choice of many, and to differentiate that
/// basis is an error. What does not depend on the choice is made of the vectors of [`svd`]: the projection onto the null space is
/// `1 - transpose(vh) vh` of those. The smaller basis has the derivative of [`svd`], and so have the values.
///
/// ```
/// use chainrule::{Tensor, linalg::svd_full};
/// let found = svd_full(&Tensor::f64([[0.0, 3.0, 0.0], [-2.0, 0.0, 0.0]]));
/// assert_eq!((found.u.shape(), found.vh.shape()), (&[2, 2][..], &[3, 3][..]));
/// let null = found.vh.index(0, 2).abs().to_vec::<f64>()?;
/// assert_eq!(null, [0.0, 0.0, 1.0]);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn svd_full(a: &Tensor) -> Svd {
    let [u, s, vh] = attempt_parts(|| {
        let name = "svd_full";
        let (m, n) = matrix(name, a)?;
        let (u, s, vh) = parts(a);
        let u = if m > n { completed(name, &u) } else { u };
        let vh = if n > m { completed(name, &vh.t()).t() } else { vh };
        Ok([u, s, vh])
    });
    Svd { u, s, vh }
}

/// The singular values of matrices, descending; as those of [`svd`], up to rounding.
#[track_caller]
pub fn svdvals(a: &Tensor) -> Tensor {
    attempt(|| singular_values("svdvals", a))
}

/// The singular values, for a function called `name`.
pub(super) fn singular_values(name: &str, a: &Tensor) -> Attempt {
    matrix(name, a)?;
    let value = Host::SingularValues.of(&[a], batch(a));
    Ok(with_rule("svdvals", &value, &[a], |inputs, _, cotangent| vec![of_values(&parts(&inputs[0]), cotangent)]))
}

/// The cotangent of a matrix from that of its singular values.
fn of_values((u, _, vh): &(Tensor, Tensor, Tensor), cotangent: &Tensor) -> Tensor {
    columns_times(u, cotangent).matmul(vh)
}

/// U, s, the transpose of V. One call for all, a rule for the values, and one for the vectors.
fn parts(a: &Tensor) -> (Tensor, Tensor, Tensor) {
    let (m, n) = (a.shape()[a.rank() - 2], a.shape()[a.rank() - 1]);
    let k = m.min(n);
    let flat = Host::Svd.of(&[a], batch(a));
    let s = with_rule("svd", &part(&flat, 0, &[k]), &[a], |inputs, _, cotangent| vec![of_values(&parts(&inputs[0]), cotangent)]);
    let vectors = with_rule("svd", &flat.slice(-1, k as isize..), &[a], move |inputs, vectors, cotangent| {
        let (_, s, _) = parts(&inputs[0]);
        let both = |flat: &Tensor| (part(flat, 0, &[m, k]), part(flat, m * k, &[k, n]));
        vec![of_vectors(both(vectors), &s, both(cotangent))]
    });
    (part(&vectors, 0, &[m, k]), s, part(&vectors, m * k, &[k, n]))
}

/// The cotangent of a matrix from those of its singular vectors.
fn of_vectors((u, vh): (Tensor, Tensor), s: &Tensor, (of_u, of_vh): (Tensor, Tensor)) -> Tensor {
    let (m, n, k) = (u.shape()[u.rank() - 2], vh.shape()[vh.rank() - 1], s.shape()[s.rank() - 1]);
    if k == 0 {
        return u.matmul(&vh);
    }
    // 1 / (s_j^2 - s_i^2); the sums are not 0 where the gaps are not.
    let sums = s.unsqueeze(-2) + s.unsqueeze(-1);
    let none = sums.detach().equal(&sums.zeros_like());
    let factors = inverse_gaps(s, m.max(n)) * none.select(&sums.zeros_like(), &none.select(&sums.ones_like(), &sums).recip());
    let (left, right) = (u.t().matmul(&of_u), vh.matmul(&of_vh.t()));
    let inner = columns_times(&(&factors * (&left - left.t())), s) + rows_times(s, &(&factors * (&right - right.t())));
    let mut sum = u.matmul(&inner).matmul(&vh);
    if m == n {
        return sum;
    }
    // What lies outside the columns of U, or the rows of V.
    let least = s.max_over(&[-1]).detach().unsqueeze(-1) * rounding(m.max(n), s.dtype());
    let inverse = inverse_unless(&s.detach().less_equal(&least.broadcast_to(s.shape())), s);
    if m > k {
        let outside = &of_u - u.matmul(&left);
        sum = sum + columns_times(&outside, &inverse).matmul(&vh);
    }
    if n > k {
        let outside = &of_vh - right.t().matmul(&vh);
        sum = sum + u.matmul(&rows_times(&inverse, &outside));
    }
    sum
}

/// The pseudoinverse of Moore and Penrose, `[.., n, m]` of matrices `[.., m, n]`. Singular values of at most `cutoff` times the
/// largest count as 0; without one, it is the machine's epsilon times the larger of m and n.
///
/// The gradient is that for matrices of a constant rank (G. Golub and V. Pereyra, "The differentiation of pseudo-inverses and
/// nonlinear least squares problems whose variables separate", 1973). A pseudoinverse jumps where the rank changes: of a
/// matrix of less than full rank, it is the derivative along directions that keep the rank.
///
/// ```
/// use chainrule::{Tensor, linalg::pinv};
/// let a = Tensor::f64([[3.0], [4.0]]);
/// assert!((pinv(&a, None) - Tensor::f64([[0.12, 0.16]])).abs().max().item()? < 1e-15);
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// # Errors
/// A cutoff that is negative or NaN.
#[track_caller]
pub fn pinv(a: &Tensor, cutoff: Option<f64>) -> Tensor {
    attempt(|| inverted("pinv", a, cutoff))
}

/// The part of the largest singular value that counts as 0.
pub(super) fn cutoff_of(name: &str, a: &Tensor, cutoff: Option<f64>) -> Attempt<f64> {
    let (m, n) = matrix(name, a)?;
    let cutoff = cutoff.unwrap_or(m.max(n) as f64 * epsilon(a.dtype()));
    if cutoff >= 0.0 {
        return Ok(cutoff);
    }
    Err(mistake(ErrorKind::Argument, name, format!("a cutoff is a part of the largest singular value, not {cutoff}")))
}

fn inverted(name: &'static str, a: &Tensor, cutoff: Option<f64>) -> Attempt {
    let cutoff = cutoff_of(name, a, cutoff)?;
    let value = Host::Pinv { cutoff }.of(&[a], batch(a));
    Ok(with_rule("pinv", &value, &[a], |inputs, p, cotangent| {
        let (a, g) = (&inputs[0], cotangent.t());
        let plain = p.t().matmul(cotangent).matmul(&p.t());
        // (1 - A P) G^T P P^T, and P^T P G^T (1 - P A).
        let right = g.matmul(p).matmul(&p.t());
        let left = p.t().matmul(p).matmul(&g);
        let rest = &right - a.matmul(p).matmul(&right) + (&left - left.matmul(p).matmul(a));
        vec![rest - plain]
    }))
}

/// What [`lstsq`] gives.
#[derive(Clone, Debug)]
pub struct LeastSquares {
    /// `[.., n, k]`, or `[n]`.
    pub solution: Tensor,
    /// Of each right-hand side, the sum of the squares of what is left, `[.., k]`, or `[]`.
    pub residuals: Tensor,
    /// The rank of the matrix, i64.
    pub rank: Tensor,
    /// The singular values of the matrix, descending.
    pub singular_values: Tensor,
}

/// The shortest `x` for which `a x` is nearest to `b`, for a matrix `a [.., m, n]` and `b [.., m, k]`, or one right-hand side, `b [m]`.
/// By the [pseudoinverse](pinv), whose `cutoff` it takes, and whose derivative it has.
///
/// ```
/// use chainrule::{Tensor, linalg::lstsq};
/// // A line through three points.
/// let a = Tensor::f64([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]);
/// let found = lstsq(&a, &Tensor::f64([1.0, 3.0, 5.0]), None);
/// assert!((found.solution - Tensor::f64([1.0, 2.0])).abs().max().item()? < 1e-14);
/// assert_eq!(found.rank.to_vec::<i64>()?, [2]);
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// # Errors
/// Right-hand sides of other rows than the matrix, or of another type; a cutoff that is negative or NaN.
#[track_caller]
pub fn lstsq(a: &Tensor, b: &Tensor, cutoff: Option<f64>) -> LeastSquares {
    let [solution, residuals, rank, singular_values] = attempt_parts(|| {
        let name = "lstsq";
        let (m, _) = matrix(name, a)?;
        numbers(name, b)?;
        let one = b.rank() == 1;
        let wide = if one { b.unsqueeze(-1) } else { b.clone() };
        let (rows, _) = matrix(name, &wide)?;
        fits(name, rows == m, || format!("right-hand sides of {rows} rows for a matrix of {m}: {:?} and {:?}", a.shape(), b.shape()))?;
        let solution = inverted(name, a, cutoff)?.matmul(&wide);
        let residuals = (a.matmul(&solution) - wide).square().sum_over(&[-2]);
        let s = singular_values(name, a)?;
        let rank = rank_of(&s, cutoff_of(name, a, cutoff)?);
        let narrow = |x: Tensor| if one { x.squeeze(-1) } else { x };
        Ok([narrow(solution), narrow(residuals), rank, s])
    });
    LeastSquares { solution, residuals, rank, singular_values }
}
