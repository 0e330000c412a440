//! Matrices of derivatives, from products with basis vectors, all at once.

use super::batch::lift;
use super::cut::only_steps;
use super::{jvp, vjp};
use crate::tensor::{ErrorKind, Result, Tensor};

/// The Jacobian of `y` by `x`: shape `y.shape ++ x.shape`. Computed in forward or reverse mode,
/// whichever needs fewer products.
///
/// ```
/// use chainrule_engine::{Tensor, transform::jacobian};
/// let x = Tensor::from([2.0, 3.0]);
/// let y = &x * &x;
/// assert_eq!(jacobian(&y, &x)?.to_vec::<f32>()?, [4.0, 0.0, 0.0, 6.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn jacobian(y: &Tensor, x: &Tensor) -> Result<Tensor> {
    y.check()?;
    x.check()?;
    let both: Vec<usize> = y.shape().iter().chain(x.shape()).copied().collect();
    if x.len() < y.len() {
        let tangent = Tensor::placeholder(x.shape(), x.dtype());
        let dy = jvp(&[y], &[x], &[&tangent])?;
        // Row i is the column i of the matrix: examples come first.
        let columns = &lift(&dy, &[(tangent, basis(x))], x.len())?[0];
        Ok(columns.reshape([x.len(), y.len()]).t().reshape(both))
    } else {
        let cotangent = Tensor::placeholder(y.shape(), y.dtype());
        let dx = vjp(&[y], &[&cotangent], &[x])?;
        Ok(lift(&dx, &[(cotangent, basis(y))], y.len())?[0].reshape(both))
    }
}

/// The matrix of second derivatives of the scalar `y` by `x`: shape `x.shape ++ x.shape`.
#[track_caller]
pub fn hessian(y: &Tensor, x: &Tensor) -> Result<Tensor> {
    let tangent = Tensor::placeholder(x.shape(), x.dtype());
    let product = hvp(y, x, &tangent)?;
    let both: Vec<usize> = x.shape().iter().chain(x.shape()).copied().collect();
    Ok(lift(&[product], &[(tangent, basis(x))], x.len())?[0].reshape(both))
}

/// The product of the matrix of second derivatives of the scalar `y` by `x` with `v`, in forward
/// over reverse mode: about the cost of two gradients. Where the gradient does not depend on `x`,
/// or only by steps (of a linear function, of `relu`), it is zero.
#[track_caller]
pub fn hvp(y: &Tensor, x: &Tensor, v: &Tensor) -> Result<Tensor> {
    let gradient = y.grad(&[x])?.swap_remove(0);
    match jvp(&[&gradient], &[x], &[v]) {
        Ok(mut product) => Ok(product.swap_remove(0)),
        Err(error) if error.kind() == ErrorKind::Disconnected && only_steps(&gradient, x) => Ok(x.zeros_like()),
        Err(error) => Err(error),
    }
}

/// All basis vectors of the space of `x`, one per row.
fn basis(x: &Tensor) -> Tensor {
    let shape: Vec<usize> = std::iter::once(x.len()).chain(x.shape().iter().copied()).collect();
    Tensor::eye(x.len(), x.dtype()).reshape(shape)
}
