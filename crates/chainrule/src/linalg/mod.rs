//! Linear algebra with derivatives: decompositions, systems of equations, norms, and functions of matrices, with the
//! names of NumPy and JAX.
//!
//! A matrix is the last two axes of a tensor of f32 or f64, and leading axes are a batch, of which every function takes
//! any number, as it takes empty matrices. What a decomposition is computed by (the crate `faer`, on one thread for each matrix)
//! is no part of a graph; its derivative is, of every order and in every mode, as a rule recorded beside it.
//!
//! ```
//! use chainrule::{Tensor, linalg};
//! let a = Tensor::f64([[4.0, 1.0], [1.0, 3.0]]);
//! let b = Tensor::f64([1.0, 2.0]);
//! let x = linalg::solve(&a, &b);
//! assert!((a.matmul(&x) - &b).abs().max().item()? < 1e-15);
//! // The logarithm of a determinant has the inverse for its gradient.
//! let slope = linalg::slogdet(&a).logabsdet.grad(&[&a])?.remove(0);
//! assert!((slope - linalg::inv(&a)).abs().max().item()? < 1e-15);
//! # Ok::<(), chainrule::Error>(())
//! ```
//!
//! # What cannot be computed
//!
//! Shapes and types that do not fit are errors of the call. What is wrong with the numbers is a value, as in JAX, since
//! the other matrices of a batch have theirs: a result is NaN throughout where the matrix has a number that is not finite, is
//! singular ([`solve`], [`inv`]), or not positive definite ([`cholesky`]).
//!
//! # Where there is no derivative
//!
//! Eigenvectors of equal eigenvalues, and singular vectors of equal singular values, are not functions of the matrix, and
//! cannot be differentiated, though what is made of them may be: the gradient of anything that uses such vectors is NaN as soon as two
//! of the values are equal up to their rounding: ten times the size of the matrix times the largest of them times the machine's epsilon. That
//! includes what would be smooth, as the rule sees the vectors' part alone. [`eigvalsh`], [`svdvals`] and the values of [`eigh`] and [`svd`]
//! have gradients there: those of simple values, one choice of several where the function has a kink. What has
//! a rule of its own ([`pinv`], [`expm`], [`det`]) does not mind.
//!
//! Refuses to pivot on its own account, to choose signs of eigenvectors, and to use sparse or complex matrices.

mod determinant;
mod eigen;
mod functions;
mod host;
mod norm;
mod solve;
mod svd;
mod triangles;

pub use determinant::{Slogdet, det, slogdet};
pub use eigen::{Eigh, eigh, eigvalsh};
pub use functions::{expm, matrix_power, multi_dot};
pub use norm::{MatrixNorm, cond, matrix_rank, norm};
pub use solve::{TriangularOptions, inv, solve, solve_triangular};
pub use svd::{LeastSquares, Svd, lstsq, pinv, svd, svd_full, svdvals};
pub use triangles::{Lu, Qr, cholesky, lu, qr, qr_complete};

use crate::nn::mistake;
use chainrule_engine::functions::recorded;
use chainrule_engine::ops::CustomRule;
use chainrule_engine::transform::custom_derivative;
use chainrule_engine::{DType, Error, ErrorKind, Result, Tensor};

/// A result, or the poisoned tensor to return instead.
type Attempt<T = Tensor> = std::result::Result<T, Tensor>;

/// Runs `body` on behalf of the user's line.
#[track_caller]
fn attempt(body: impl FnOnce() -> Attempt) -> Tensor {
    recorded(|| body().unwrap_or_else(|mistake| mistake))
}

/// As [`attempt`], of several results: after a mistake each is poisoned.
#[track_caller]
fn attempt_parts<const N: usize>(body: impl FnOnce() -> Attempt<[Tensor; N]>) -> [Tensor; N] {
    recorded(|| body().unwrap_or_else(|mistake| std::array::from_fn(|_| mistake.clone())))
}

/// Fails unless `true`, with an error of shapes.
fn fits(name: &str, condition: bool, message: impl FnOnce() -> String) -> Attempt<()> {
    if condition { Ok(()) } else { Err(mistake(ErrorKind::Shape, name, message())) }
}

/// Fails unless the tensor is of f32 or f64.
fn numbers(name: &str, x: &Tensor) -> Attempt<()> {
    if x.error().is_some() {
        return Err(x.clone());
    }
    match x.dtype() {
        DType::F32 | DType::F64 => Ok(()),
        other => Err(mistake(ErrorKind::DType, name, format!("takes f32 or f64, not {other}; convert with `cast`"))),
    }
}

/// Rows and columns of a matrix, or of each of a batch.
fn matrix(name: &str, a: &Tensor) -> Attempt<(usize, usize)> {
    numbers(name, a)?;
    match a.shape() {
        [.., m, n] => Ok((*m, *n)),
        shape => Err(mistake(ErrorKind::Shape, name, format!("takes a matrix [.., rows, columns], not {shape:?}"))),
    }
}

/// Rows of a square matrix.
fn square(name: &str, a: &Tensor) -> Attempt<usize> {
    let (m, n) = matrix(name, a)?;
    fits(name, m == n, || format!("takes a square matrix, not one of {m} rows and {n} columns"))?;
    Ok(n)
}

/// How many leading axes count matrices.
fn batch(a: &Tensor) -> usize {
    a.rank() - 2
}

/// The leading axes, and others behind them.
fn behind(a: &Tensor, axes: &[usize]) -> Vec<usize> {
    [&a.shape()[..batch(a)], axes].concat()
}

/// A part of the last axis, as a matrix or whatever `axes` say, of each of a batch.
fn part(flat: &Tensor, start: usize, axes: &[usize]) -> Tensor {
    let end = start + axes.iter().product::<usize>();
    let shape = [&flat.shape()[..flat.rank() - 1], axes].concat();
    flat.slice(-1, start as isize..end as isize).reshape(shape)
}

/// Orthonormal columns and others that make them a basis, which have no derivative, for a function called `name`.
fn completed(name: &'static str, columns: &Tensor) -> Tensor {
    let others = host::Host::Complement.of(&[columns], batch(columns));
    let whole = Tensor::concat(&[&columns.detach(), &others.detach()], -1);
    custom_derivative(&whole, &[columns], Chosen { name })
}

/// Refuses to differentiate a basis of which a part was chosen.
struct Chosen {
    name: &'static str,
}

impl CustomRule for Chosen {
    fn name(&self) -> &str {
        self.name
    }
    fn vjp(&self, _: &[Tensor], _: &Tensor, _: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let message = "the vectors beyond those of the reduced decomposition are one choice of many, and have no derivative; \
                       differentiate the reduced one, of whose vectors whatever does not depend on the choice can be made";
        Err(Error::new(ErrorKind::Disconnected, self.name, message.to_string()))
    }
}

/// The identity for each matrix of a batch.
fn identity_like(a: &Tensor) -> Tensor {
    let n = a.shape()[a.rank() - 1];
    Tensor::eye(n, a.dtype()).broadcast_to(a.shape())
}

/// The distance from 1 to the next number of the type.
fn epsilon(dtype: DType) -> f64 {
    if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON }
}

/// How far apart, as a part of the largest, values of a matrix may be that are equal but for what was rounded on the way: in
/// the matrix itself, and while it was decomposed. Derivatives that divide by less have no digit left.
fn rounding(size: usize, dtype: DType) -> f64 {
    10.0 * size as f64 * epsilon(dtype)
}

/// The matrix with each column multiplied by a number.
fn columns_times(a: &Tensor, numbers: &Tensor) -> Tensor {
    a * numbers.unsqueeze(-2)
}

/// The matrix with each row multiplied by a number.
fn rows_times(numbers: &Tensor, a: &Tensor) -> Tensor {
    a * numbers.unsqueeze(-1)
}

/// `1 / x`, and NaN, with it in every derivative, where the condition holds.
fn inverse_unless(refused: &Tensor, x: &Tensor) -> Tensor {
    let safe = refused.select(&x.ones_like(), x);
    refused.select(&(x.ones_like() * f64::NAN), &safe.recip())
}

/// `1 / (values[j] - values[i])` at `[i, j]`, 0 on the diagonal, and NaN beside it where two values are equal up to their rounding.
fn inverse_gaps(values: &Tensor, size: usize) -> Tensor {
    let n = values.shape()[values.rank() - 1];
    let gaps = values.unsqueeze(-2) - values.unsqueeze(-1);
    if n == 0 {
        return gaps;
    }
    let rounding = values.abs().max_over(&[-1]).detach() * rounding(size, values.dtype());
    let rounding = rounding.unsqueeze(-1).unsqueeze(-1).broadcast_to(gaps.shape());
    let diagonal = Tensor::eye(n, DType::Bool).broadcast_to(gaps.shape());
    let equal = gaps.abs().detach().less_equal(&rounding);
    diagonal.select(&gaps.zeros_like(), &inverse_unless(&equal, &gaps))
}

/// A value with the derivative that a rule gives: from inputs, value and cotangent, what each input gains.
struct Rule<F> {
    name: &'static str,
    vjp: F,
}

impl<F: Fn(&[Tensor], &Tensor, &Tensor) -> Vec<Tensor> + Send + Sync> CustomRule for Rule<F> {
    fn name(&self) -> &str {
        self.name
    }
    fn vjp(&self, inputs: &[Tensor], output: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Ok((self.vjp)(inputs, output, cotangent).into_iter().map(Some).collect())
    }
}

/// Attaches a rule to a value.
fn with_rule(
    name: &'static str,
    value: &Tensor,
    inputs: &[&Tensor],
    vjp: impl Fn(&[Tensor], &Tensor, &Tensor) -> Vec<Tensor> + Send + Sync + 'static,
) -> Tensor {
    custom_derivative(value, inputs, Rule { name, vjp })
}
