//! Systems of linear equations, and inverses.

use super::host::Host;
use super::{Attempt, attempt, batch, fits, identity_like, matrix, numbers, square, with_rule};
use crate::nn::mistake;
use chainrule_engine::tensor::shape::broadcast_shapes;
use chainrule_engine::{ErrorKind, Tensor};

/// The solution `x` of `a x = b`, for a square matrix `a [.., n, n]` and right-hand sides `b [.., n, k]`, or one of them, `b [n]`.
/// Leading axes broadcast. By an LU decomposition with pivots; NaN where the matrix is singular.
///
/// The cotangent of `b` solves the transposed system, with the same decomposition, and that of `a` is minus its product
/// with `x` (M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation",
/// 2008, 2.3.1).
///
/// ```
/// use chainrule::{Tensor, linalg::solve};
/// let (a, b) = (Tensor::f64([[2.0, 0.0], [1.0, 4.0]]), Tensor::f64([2.0, 9.0]));
/// assert_eq!(solve(&a, &b).to_vec::<f64>()?, [1.0, 2.0]);
/// let slope = solve(&a, &b).sum().grad(&[&b])?.remove(0);
/// assert_eq!(slope.to_vec::<f64>()?, [0.375, 0.25]);
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// # Errors
/// Matrices that are not square, of other rows than the right-hand sides, of two types, or neither f32 nor f64.
#[track_caller]
pub fn solve(a: &Tensor, b: &Tensor) -> Tensor {
    attempt(|| with_sides("solve", a, b, |a, b| solved(a, b, false)))
}

/// The inverse of each square matrix `[.., n, n]`; NaN of a singular one. What is multiplied by it is better
/// [solved](solve) for: that is faster, and more exact.
///
/// ```
/// use chainrule::{Tensor, linalg::inv};
/// let a = Tensor::f64([[2.0, 0.0], [1.0, 4.0]]);
/// assert_eq!(inv(&a).to_vec2::<f64>()?, [[0.5, 0.0], [-0.125, 0.25]]);
/// assert!(inv(&Tensor::f64([[1.0, 2.0], [2.0, 4.0]])).to_vec::<f64>()?.iter().all(|v| v.is_nan()));
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn inv(a: &Tensor) -> Tensor {
    attempt(|| {
        square("inv", a)?;
        Ok(inverse(a))
    })
}

/// [`inv`] of what has been checked.
pub(super) fn inverse(a: &Tensor) -> Tensor {
    solved(a, &identity_like(a), false)
}

/// The solution of `a x = b`, or of `transpose(a) x = b`, of what has one batch.
fn solved(a: &Tensor, b: &Tensor, transposed: bool) -> Tensor {
    let factors = Host::Lu.of(&[a], batch(a));
    let x = Host::LuSolve { transposed }.of(&[&factors, b], batch(a));
    with_rule("solve", &x, &[a, b], move |inputs, x, cotangent| {
        let of_b = solved(&inputs[0], cotangent, !transposed);
        let of_a = if transposed { x.matmul(&of_b.t()) } else { of_b.matmul(&x.t()) };
        vec![-of_a, of_b]
    })
}

/// Which triangle a system has, and how it is read. The default is an upper triangle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TriangularOptions {
    /// The triangle is the lower one; what stands above the diagonal is not read.
    pub lower: bool,
    /// The system is that of the transposed matrix.
    pub transposed: bool,
    /// The numbers on the diagonal are taken for 1, and not read.
    pub unit_diagonal: bool,
}

/// The solution of a triangular system, shaped as that of [`solve`]. What is not finite where the diagonal has a 0 is not
/// finite here.
///
/// ```
/// use chainrule::{Tensor, linalg::{TriangularOptions, solve_triangular}};
/// let (a, b) = (Tensor::f64([[2.0, 7.0], [1.0, 4.0]]), Tensor::f64([2.0, 9.0]));
/// let lower = TriangularOptions { lower: true, ..Default::default() };
/// assert_eq!(solve_triangular(&a, &b, lower).to_vec::<f64>()?, [1.0, 2.0]);
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// # Errors
/// As [`solve`].
#[track_caller]
pub fn solve_triangular(a: &Tensor, b: &Tensor, options: TriangularOptions) -> Tensor {
    attempt(|| with_sides("solve_triangular", a, b, |a, b| triangular(a, b, options)))
}

/// The solution with a lower triangle, or with its transpose.
pub(super) fn lower(a: &Tensor, b: &Tensor, transposed: bool) -> Tensor {
    triangular(a, b, TriangularOptions { lower: true, transposed, unit_diagonal: false })
}

/// The solution with an upper triangle, or with its transpose.
pub(super) fn upper(a: &Tensor, b: &Tensor, transposed: bool) -> Tensor {
    triangular(a, b, TriangularOptions { lower: false, transposed, unit_diagonal: false })
}

/// The solution of what has one batch. The rule is that of [`solved`], within the triangle that was read.
pub(super) fn triangular(a: &Tensor, b: &Tensor, options: TriangularOptions) -> Tensor {
    let TriangularOptions { lower, transposed, unit_diagonal } = options;
    let x = Host::Triangular { lower, transposed, unit: unit_diagonal }.of(&[a, b], batch(a));
    with_rule("solve_triangular", &x, &[a, b], move |inputs, x, cotangent| {
        let of_b = triangular(&inputs[0], cotangent, TriangularOptions { transposed: !transposed, ..options });
        let of_a = -if transposed { x.matmul(&of_b.t()) } else { of_b.matmul(&x.t()) };
        let beside = isize::from(unit_diagonal);
        vec![if lower { of_a.tril(-beside) } else { of_a.triu(beside) }, of_b]
    })
}

/// Runs `body` with a square matrix and right-hand sides as a matrix, of one batch.
fn with_sides(name: &str, a: &Tensor, b: &Tensor, body: impl FnOnce(&Tensor, &Tensor) -> Tensor) -> Attempt {
    let n = square(name, a)?;
    numbers(name, b)?;
    if a.dtype() != b.dtype() {
        let message = format!("{} with {}; convert one of them with `cast`", a.dtype(), b.dtype());
        return Err(mistake(ErrorKind::DType, name, message));
    }
    if b.rank() == 1 {
        let one = with_sides(name, a, &b.unsqueeze(-1), body)?;
        return Ok(one.squeeze(-1));
    }
    let (rows, k) = matrix(name, b)?;
    fits(name, rows == n, || format!("right-hand sides of {rows} rows for a matrix of {n}: {:?} and {:?}", a.shape(), b.shape()))?;
    let common = broadcast_shapes(&a.shape()[..batch(a)], &b.shape()[..batch(b)]);
    let common = common
        .map_err(|_| mistake(ErrorKind::Shape, name, format!("leading axes do not broadcast: {:?} and {:?}", a.shape(), b.shape())))?;
    let wide = |last: [usize; 2]| [&common[..], &last].concat();
    Ok(body(&a.broadcast_to(wide([n, n])), &b.broadcast_to(wide([n, k]))))
}
