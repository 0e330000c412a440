//! Eigenvalues and eigenvectors of symmetric matrices.

use super::host::Host;
use super::{attempt, attempt_parts, batch, columns_times, inverse_gaps, part, square, with_rule};
use chainrule_engine::Tensor;

/// What [`eigh`] gives.
#[derive(Clone, Debug)]
pub struct Eigh {
    /// The eigenvalues `[.., n]`, ascending.
    pub eigenvalues: Tensor,
    /// The eigenvectors `[.., n, n]`: column i belongs to eigenvalue i. Orthonormal; each is as good with the other sign.
    pub eigenvectors: Tensor,
}

/// Eigenvalues and eigenvectors of symmetric matrices `[.., n, n]`: of the symmetric part of each, half the sum of it and its
/// transpose, so that the gradient is symmetric.
///
/// The gradient is `V (diag(cot(w)) + F * (V^T cot(V))) V^T` with `F[i, j] = 1 / (w[j] - w[i])` beside the diagonal (Giles 2008, 3.1). Eigenvectors of equal eigenvalues have
/// none: see [the module](super) for what is NaN. Where only eigenvalues are used, they may be equal.
///
/// ```
/// use chainrule::{Tensor, linalg::eigh};
/// let found = eigh(&Tensor::f64([[2.0, 0.0], [0.0, -1.0]]));
/// assert_eq!(found.eigenvalues.to_vec::<f64>()?, [-1.0, 2.0]);
/// assert_eq!(found.eigenvectors.abs().to_vec2::<f64>()?, [[0.0, 1.0], [1.0, 0.0]]);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn eigh(a: &Tensor) -> Eigh {
    let [eigenvalues, eigenvectors] = attempt_parts(|| {
        square("eigh", a)?;
        let (w, v) = parts(&((a + a.t()) * 0.5));
        Ok([w, v])
    });
    Eigh { eigenvalues, eigenvectors }
}

/// The eigenvalues of symmetric matrices, ascending; as those of [`eigh`], up to rounding.
///
/// ```
/// use chainrule::{Tensor, linalg::eigvalsh};
/// let a = Tensor::f64([[2.0, 0.0], [0.0, 2.0]]);
/// let slope = eigvalsh(&a).sum().grad(&[&a])?.remove(0);
/// assert_eq!(slope.to_vec2::<f64>()?, [[1.0, 0.0], [0.0, 1.0]]);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn eigvalsh(a: &Tensor) -> Tensor {
    attempt(|| {
        square("eigvalsh", a)?;
        let symmetric = (a + a.t()) * 0.5;
        let value = Host::Eigenvalues.of(&[&symmetric], batch(a));
        Ok(with_rule("eigvalsh", &value, &[&symmetric], |inputs, _, cotangent| vec![of_values(&inputs[0], cotangent)]))
    })
}

/// The cotangent of a symmetric matrix from that of its eigenvalues.
fn of_values(symmetric: &Tensor, cotangent: &Tensor) -> Tensor {
    let (_, v) = parts(symmetric);
    columns_times(&v, cotangent).matmul(&v.t())
}

/// Of a symmetric matrix. One call for both, and a rule for each, so that values have derivatives where vectors have none.
fn parts(symmetric: &Tensor) -> (Tensor, Tensor) {
    let n = symmetric.shape()[symmetric.rank() - 1];
    let flat = Host::Eigh.of(&[symmetric], batch(symmetric));
    let w = with_rule("eigh", &part(&flat, 0, &[n]), &[symmetric], |inputs, _, cotangent| vec![of_values(&inputs[0], cotangent)]);
    let v = with_rule("eigh", &part(&flat, n, &[n, n]), &[symmetric], move |inputs, v, cotangent| {
        let (w, _) = parts(&inputs[0]);
        let inner = v.t().matmul(cotangent) * inverse_gaps(&w, n);
        vec![v.matmul(&inner).matmul(&v.t())]
    });
    (w, v)
}
