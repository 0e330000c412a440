//! Determinants.

use super::host::Host;
use super::solve::inverse;
use super::{Attempt, attempt, attempt_parts, batch, square, with_rule};
use chainrule_engine::Tensor;

/// The determinants of square matrices `[.., n, n]`; 1 of an empty one.
///
/// The gradient is the matrix of cofactors (Jacobi's formula), computed from singular values without a division: it is right where the matrix is
/// singular, too. The second derivative divides by the matrix, and is not finite there.
///
/// ```
/// use chainrule::{Tensor, linalg::det};
/// let a = Tensor::f64([[1.0, 2.0], [2.0, 4.0]]);
/// assert_eq!(det(&a).item()?, 0.0);
/// let slope = det(&a).grad(&[&a])?.remove(0);
/// assert!((slope - Tensor::f64([[4.0, -2.0], [-2.0, 1.0]])).abs().max().item()? < 1e-14);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn det(a: &Tensor) -> Tensor {
    attempt(|| {
        let numbers = numbers_of("det", a)?;
        Ok(with_rule("det", &numbers.index(-1, 2), &[a], |inputs, _, cotangent| vec![each(cotangent) * cofactors(&inputs[0])]))
    })
}

/// What [`slogdet`] gives.
#[derive(Clone, Debug)]
pub struct Slogdet {
    /// 1, -1, or 0 of a singular matrix. It does not vary smoothly: its derivative is 0.
    pub sign: Tensor,
    /// The logarithm of the determinant's absolute value; minus infinity of a singular matrix.
    pub logabsdet: Tensor,
}

/// Sign and logarithm of the determinants of square matrices `[.., n, n]`, where the determinant itself may be too large or
/// too small for its type. The gradient of the logarithm is the inverse, transposed (Giles 2008, 2.2.4); it is NaN where the matrix is singular.
///
/// ```
/// use chainrule::{Tensor, linalg::slogdet};
/// let found = slogdet(&(Tensor::eye(400, chainrule::DType::F64) * -1e-3));
/// assert_eq!(found.sign.item()?, 1.0);
/// assert!((found.logabsdet.item()? - 400.0 * 1e-3f64.ln()).abs() < 1e-9);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn slogdet(a: &Tensor) -> Slogdet {
    let [sign, logabsdet] = attempt_parts(|| {
        let numbers = numbers_of("slogdet", a)?;
        let sign = with_rule("slogdet", &numbers.index(-1, 0), &[a], |inputs, _, _| vec![inputs[0].zeros_like()]);
        let logabsdet =
            with_rule("slogdet", &numbers.index(-1, 1), &[a], |inputs, _, cotangent| vec![each(cotangent) * inverse(&inputs[0]).t()]);
        Ok([sign, logabsdet])
    });
    Slogdet { sign, logabsdet }
}

/// Sign, logarithm and determinant, `[.., 3]`.
fn numbers_of(name: &str, a: &Tensor) -> Attempt {
    let n = square(name, a)?;
    let factors = Host::Lu.of(&[a], batch(a));
    Ok(Host::Determinant { n }.of(&[&factors], batch(a)))
}

/// A number for each matrix, to be multiplied with all of it.
fn each(number: &Tensor) -> Tensor {
    number.unsqueeze(-1).unsqueeze(-1)
}

/// The matrix of cofactors `C = det(A) A^-T`. With `B = A^-T`, `dC = C <B, dA> - C dA^T B`.
fn cofactors(a: &Tensor) -> Tensor {
    let value = Host::Cofactors.of(&[a], batch(a));
    with_rule("det", &value, &[a], |inputs, value, cotangent| {
        if value.shape()[value.rank() - 1] == 1 {
            // The determinant of one number is that number.
            return vec![value.zeros_like()];
        }
        let b = inverse(&inputs[0]).t();
        let along = each(&(cotangent * value).sum_over(&[-2, -1]));
        vec![along * &b - b.matmul(&cotangent.t()).matmul(value)]
    })
}
