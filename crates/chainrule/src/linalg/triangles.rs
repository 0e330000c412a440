//! Decompositions into triangles: Cholesky's, LU and QR.

use super::host::Host;
use super::solve::{TriangularOptions, lower, triangular, upper};
use super::{attempt, attempt_parts, batch, behind, completed, inverse_unless, matrix, part, rounding, rows_times, square, with_rule};
use chainrule_engine::{DType, Tensor};

/// The lower triangle `L` with a positive diagonal such that `L transpose(L)` is the matrix, of symmetric positive definite
/// matrices `[.., n, n]`; NaN of one that is not positive definite.
///
/// What is decomposed is the symmetric part of the matrix, half the sum of it and its transpose, so that the gradient is
/// symmetric. It is `L^-T P L^-1` of that, where `P` is the lower triangle of `transpose(L) cotangent(L)` with half its diagonal
/// (I. Murray, "Differentiation of the Cholesky decomposition", 2016).
///
/// ```
/// use chainrule::{Tensor, linalg::cholesky};
/// let a = Tensor::f64([[4.0, 2.0], [2.0, 10.0]]);
/// assert_eq!(cholesky(&a).to_vec2::<f64>()?, [[2.0, 0.0], [1.0, 3.0]]);
/// assert!(cholesky(&-a).to_vec::<f64>()?[0].is_nan());
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn cholesky(a: &Tensor) -> Tensor {
    attempt(|| {
        square("cholesky", a)?;
        let symmetric = (a + a.t()) * 0.5;
        let l = Host::Cholesky.of(&[&symmetric], batch(a));
        Ok(with_rule("cholesky", &l, &[&symmetric], |_, l, cotangent| {
            let product = l.t().matmul(cotangent);
            let half = (product.tril(0) + product.tril(-1)) * 0.5;
            let left = lower(l, &half, true);
            vec![lower(l, &left.t(), true)]
        }))
    })
}

/// What [`lu`] gives: `p l u` is the matrix.
#[derive(Clone, Debug)]
pub struct Lu {
    /// The permutation `[.., m, m]`. It does not vary smoothly: it has no derivative, and to ask for one is an error.
    /// Zeros where the matrix has a number that is not finite.
    pub p: Tensor,
    /// The lower triangle `[.., m, k]` with a diagonal of ones.
    pub l: Tensor,
    /// The upper triangle `[.., k, n]`.
    pub u: Tensor,
}

/// The decomposition into a permutation and two triangles, as SciPy's `lu`, of matrices `[.., m, n]`, k the smaller of m
/// and n. The first k columns need be independent for a derivative; where they are not, it is not finite.
///
/// With `A = P L U` square, the gradient is `P L^-T (tril(L^T cot(L), -1) + triu(cot(U) U^T)) U^-T` (S. Walter and L. Lehmann,
/// "Algorithmic differentiation of linear algebra functions", 2010); rows below the k-th are divided by U, columns beyond it by L.
///
/// ```
/// use chainrule::{Tensor, linalg::lu};
/// let a = Tensor::f64([[1.0, 5.0], [2.0, 4.0]]);
/// let parts = lu(&a);
/// assert_eq!(parts.l.to_vec2::<f64>()?, [[1.0, 0.0], [0.5, 1.0]]);
/// assert_eq!(parts.u.to_vec2::<f64>()?, [[2.0, 4.0], [0.0, 3.0]]);
/// assert_eq!(parts.p.matmul(&parts.l).matmul(&parts.u).to_vec::<f64>()?, a.to_vec::<f64>()?);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn lu(a: &Tensor) -> Lu {
    let [p, l, u] = attempt_parts(|| {
        let (m, n) = matrix("lu", a)?;
        let k = m.min(n) as isize;
        let (p, l, u) = tall_lu(&a.slice(-1, ..k));
        if m >= n {
            return Ok([p, l, u]);
        }
        let options = TriangularOptions { lower: true, transposed: false, unit_diagonal: true };
        let beyond = triangular(&l, &p.t().matmul(&a.slice(-1, k..)), options);
        Ok([p, l, Tensor::concat(&[&u, &beyond], -1)])
    });
    Lu { p, l, u }
}

/// Of a matrix with at least as many rows as columns.
fn tall_lu(a: &Tensor) -> (Tensor, Tensor, Tensor) {
    let (m, n) = (a.shape()[a.rank() - 2], a.shape()[a.rank() - 1]);
    let flat = Host::Lu.of(&[a], batch(a));
    // Column i has its 1 in the row that comes i-th.
    let rows = part(&flat, 0, &[1, m]).detach();
    let places = Tensor::arange(m, a.dtype()).unsqueeze(-1).broadcast_to(behind(a, &[m, m]));
    let p = places.equal(&rows.broadcast_to(places.shape())).cast(a.dtype());
    let (k, order) = (n as isize, p.clone());
    let packed = with_rule("lu", &part(&flat, m, &[m, n]), &[a, &order], move |inputs, packed, cotangent| {
        let (l, u) = unpacked(packed);
        let (of_l, of_u) = (cotangent.tril(-1), cotangent.slice(-2, ..k).triu(0));
        // Rows below: their L is their A divided by U.
        let below = upper(&u, &of_l.slice(-2, k..).t(), false).t();
        let of_u = of_u - l.slice(-2, k..).t().matmul(&below).triu(0);
        let (l, of_l) = (l.slice(-2, ..k), of_l.slice(-2, ..k));
        let inner = l.t().matmul(&of_l).tril(-1) + of_u.matmul(&u.t()).triu(0);
        let options = TriangularOptions { lower: true, transposed: true, unit_diagonal: true };
        let above = upper(&u, &triangular(&l, &inner, options).t(), false).t();
        let of_a = inputs[1].matmul(&Tensor::concat(&[&above, &below], -2));
        vec![of_a, inputs[1].zeros_like()]
    });
    let (l, u) = unpacked(&packed);
    (p, l, u)
}

/// L with its diagonal of ones, and U, of what lies in one matrix of at least as many rows as columns.
fn unpacked(packed: &Tensor) -> (Tensor, Tensor) {
    let (m, n) = (packed.shape()[packed.rank() - 2], packed.shape()[packed.rank() - 1]);
    let ones = Tensor::eye(m, packed.dtype()).slice(-1, ..n as isize).broadcast_to(packed.shape());
    (packed.tril(-1) + ones, packed.slice(-2, ..n as isize).triu(0))
}

/// What [`qr`] gives: `q r` is the matrix.
#[derive(Clone, Debug)]
pub struct Qr {
    /// Orthonormal columns `[.., m, k]`.
    pub q: Tensor,
    /// The upper triangle `[.., k, n]`, whose diagonal is not negative.
    pub r: Tensor,
}

/// The reduced decomposition into orthonormal columns and an upper triangle, of matrices `[.., m, n]`, k the smaller of m
/// and n. The diagonal of the triangle is not negative, by which the decomposition is unique, and smooth; LAPACK leaves the sign
/// open. The first k columns need be independent for a derivative: it is NaN where a number of the diagonal is 0, up to rounding.
///
/// The gradient of a matrix with m at least n is `(cot(Q) + Q sym(R cot(R)^T - cot(Q)^T Q)) R^-T`, where `sym` mirrors the
/// lower triangle (S. Walter and L. Lehmann, "Algorithmic differentiation of linear algebra functions", 2010; M. Seeger et
/// al., "Auto-differentiating linear algebra", 2017). Columns beyond the k-th are Q times those of R.
///
/// ```
/// use chainrule::{Tensor, linalg::qr};
/// let a = Tensor::f64([[0.0, 3.0], [-2.0, 5.0]]);
/// let parts = qr(&a);
/// assert_eq!(parts.q.to_vec2::<f64>()?, [[0.0, 1.0], [-1.0, 0.0]]);
/// assert_eq!(parts.r.to_vec2::<f64>()?, [[2.0, -5.0], [0.0, 3.0]]);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn qr(a: &Tensor) -> Qr {
    let [q, r] = attempt_parts(|| {
        let (m, n) = matrix("qr", a)?;
        let k = m.min(n) as isize;
        let (q, r) = tall_qr(&a.slice(-1, ..k));
        if m >= n {
            return Ok([q, r]);
        }
        let beyond = q.t().matmul(&a.slice(-1, k..));
        Ok([q, Tensor::concat(&[&r, &beyond], -1)])
    });
    Qr { q, r }
}

/// The decomposition of matrices `[.., m, n]` into a whole orthonormal basis, `q [.., m, m]`, and an upper triangle with rows of
/// zeros below it, `r [.., m, n]`; NumPy's `mode="complete"`. The first columns of `q`, and the first rows of `r`, are those of [`qr`].
///
/// With more rows than columns, the other columns of `q` are one choice of many, and none that varies with the matrix in a
/// way of its own: to differentiate that `q` is an error. What does not depend on the choice is made of the columns of
/// [`qr`]: the projection onto what the matrix does not reach is `1 - q transpose(q)` of those. `r` has its derivative.
///
/// ```
/// use chainrule::{Tensor, linalg::qr_complete};
/// let parts = qr_complete(&Tensor::f64([[3.0], [4.0]]));
/// assert_eq!((parts.q.shape(), parts.r.shape()), (&[2, 2][..], &[2, 1][..]));
/// let again = parts.q.matmul(&parts.r) - Tensor::f64([[3.0], [4.0]]);
/// assert!(again.abs().max().item()? < 1e-15);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn qr_complete(a: &Tensor) -> Qr {
    let [q, r] = attempt_parts(|| {
        let name = "qr_complete";
        let (m, n) = matrix(name, a)?;
        let Qr { q, r } = qr(a);
        if m <= n {
            return Ok([q, r]);
        }
        let zeros = Tensor::zeros(behind(a, &[m - n, n])).cast(a.dtype());
        Ok([completed(name, &q), Tensor::concat(&[&r, &zeros], -2)])
    });
    Qr { q, r }
}

/// Of a matrix with at least as many rows as columns.
fn tall_qr(a: &Tensor) -> (Tensor, Tensor) {
    let (m, n) = (a.shape()[a.rank() - 2], a.shape()[a.rank() - 1]);
    let flat = Host::Qr.of(&[a], batch(a));
    let flat = with_rule("qr", &flat, &[a], move |_, flat, cotangent| {
        let (q, r) = (part(flat, 0, &[m, n]), part(flat, m * n, &[n, n]));
        let (of_q, of_r) = (part(cotangent, 0, &[m, n]), part(cotangent, m * n, &[n, n]).triu(0));
        let inner = r.matmul(&of_r.t()) - of_q.t().matmul(&q);
        let mirrored = inner.tril(0) + inner.tril(-1).t();
        let sum = of_q + q.matmul(&mirrored);
        vec![divided(&sum, &r, m)]
    });
    (part(&flat, 0, &[m, n]), part(&flat, m * n, &[n, n]))
}

/// `x R^-T`, NaN where R has a diagonal that is 0 up to rounding.
fn divided(x: &Tensor, r: &Tensor, m: usize) -> Tensor {
    let quotient = upper(r, &x.t(), false);
    let diagonal = r.diagonal(0, -2, -1).abs().detach();
    if diagonal.is_empty() {
        return quotient.t();
    }
    let most = diagonal.max_over(&[-1]).unsqueeze(-1) * rounding(m, x.dtype());
    let dependent = diagonal.less_equal(&most.broadcast_to(diagonal.shape()));
    let dependent = dependent.cast(DType::I32).max_over(&[-1]).unsqueeze(-1).cast(DType::Bool).broadcast_to(diagonal.shape());
    rows_times(&inverse_unless(&dependent, &diagonal.ones_like()), &quotient).t()
}
