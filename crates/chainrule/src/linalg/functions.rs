//! Functions of a matrix as a whole: its exponential, its powers, and products of many.

use super::host::Host;
use super::solve::inverse;
use super::{attempt, batch, fits, identity_like, numbers, square, with_rule};
use chainrule_engine::Tensor;

/// The exponential `1 + A + A^2 / 2 + ..` of square matrices `[.., n, n]`, by scaling and squaring (N. Higham, 2005); NaN where it
/// is too large for f64.
///
/// The derivative is computed beside the exponential, step by step (A. Al-Mohy and N. Higham, 2009); along `E` it is the upper right part of
/// `exp([[A, E], [0, A]])` (R. Mathias, "A chain rule for matrix functions and applications", 1996), and so are those of higher order.
///
/// ```
/// use chainrule::{Tensor, linalg::expm};
/// let a = Tensor::f64([[0.0, 1.0], [0.0, 0.0]]);
/// assert_eq!(expm(&a).to_vec2::<f64>()?, [[1.0, 1.0], [0.0, 1.0]]);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn expm(a: &Tensor) -> Tensor {
    attempt(|| {
        square("expm", a)?;
        Ok(exponential(a))
    })
}

fn exponential(a: &Tensor) -> Tensor {
    let value = Host::Exponential.of(&[a], batch(a));
    with_rule("expm", &value, &[a], |inputs, _, cotangent| vec![along(&inputs[0].t(), cotangent)])
}

/// The derivative of the exponential of `a` along `e`.
fn along(a: &Tensor, e: &Tensor) -> Tensor {
    let value = Host::ExponentialAlong.of(&[a, e], batch(a));
    with_rule("expm", &value, &[a, e], |inputs, _, cotangent| {
        let (a, e, zero) = (inputs[0].t(), inputs[1].t(), cotangent.zeros_like());
        let n = a.shape()[a.rank() - 1] as isize;
        let joined = |corners: [&Tensor; 4]| {
            let [above, below] = [0, 2].map(|at| Tensor::concat(&corners[at..at + 2], -1));
            Tensor::concat(&[&above, &below], -2)
        };
        // Of the matrix of four blocks, whose exponential has the derivative above its diagonal.
        let of_both = along(&joined([&a, &zero, &e, &a]), &joined([&zero, cotangent, &zero, &zero]));
        let (above, below) = (of_both.slice(-2, ..n), of_both.slice(-2, n..));
        vec![above.slice(-1, ..n) + below.slice(-1, n..), above.slice(-1, n..)]
    })
}

/// An integer power of square matrices `[.., n, n]`, by repeated squaring; of the [inverse](super::inv) where it is negative. The
/// power of 0 is the identity.
///
/// ```
/// use chainrule::{Tensor, linalg::matrix_power};
/// let a = Tensor::f64([[1.0, 1.0], [1.0, 0.0]]);
/// assert_eq!(matrix_power(&a, 10).to_vec2::<f64>()?, [[89.0, 55.0], [55.0, 34.0]]);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn matrix_power(a: &Tensor, exponent: i64) -> Tensor {
    attempt(|| {
        square("matrix_power", a)?;
        let mut power = if exponent < 0 { inverse(a) } else { a.clone() };
        let (mut left, mut result) = (exponent.unsigned_abs(), None::<Tensor>);
        while left > 0 {
            if left % 2 == 1 {
                result = Some(result.map_or_else(|| power.clone(), |result| result.matmul(&power)));
            }
            left /= 2;
            if left > 0 {
                power = power.matmul(&power);
            }
        }
        Ok(result.unwrap_or_else(|| identity_like(a)))
    })
}

/// The product of matrices, in the order that takes the fewest multiplications; the first may be a row `[n]`, the last a
/// column. Found by dynamic programming over all ways to set parentheses (Cormen et al., "Introduction to Algorithms").
///
/// ```
/// use chainrule::{Tensor, linalg::multi_dot};
/// let (a, b, c) = (Tensor::ones([10, 100]), Tensor::ones([100, 5]), Tensor::ones([5, 50]));
/// let product = multi_dot(&[&a, &b, &c]);
/// assert_eq!(product.shape(), [10, 50]);
/// assert_eq!(product.to_vec::<f32>()?[0], 500.0);
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// # Errors
/// No matrix at all; inner dimensions that differ; a tensor with more axes than a matrix has; one that is neither f32 nor f64.
#[track_caller]
pub fn multi_dot(matrices: &[&Tensor]) -> Tensor {
    attempt(|| {
        let name = "multi_dot";
        let count = matrices.len();
        fits(name, count > 0, || "takes at least one matrix".into())?;
        // Sides: matrix i is sides[i] by sides[i + 1].
        let mut sides = vec![0usize; count + 1];
        for (i, matrix) in matrices.iter().enumerate() {
            numbers(name, matrix)?;
            let (rows, columns) = match matrix.shape() {
                [m, n] => (*m, *n),
                [n] if i == 0 && count > 1 => (1, *n),
                [n] if i + 1 == count && count > 1 => (*n, 1),
                shape => {
                    fits(name, false, || format!("matrix {i} is {shape:?}; only the first and the last may be vectors"))?;
                    continue;
                }
            };
            let fitting = i == 0 || sides[i] == rows;
            fits(name, fitting, || format!("matrix {i} has {rows} rows, the one before {} columns", sides[i]))?;
            (sides[i], sides[i + 1]) = (rows, columns);
        }
        Ok(product(matrices, &cuts(&sides), 0, count - 1))
    })
}

/// For each run of matrices `i..=j`, after which one the first cut is made.
fn cuts(sides: &[usize]) -> Vec<Vec<usize>> {
    let count = sides.len() - 1;
    let (mut costs, mut cuts) = (vec![vec![0.0f64; count]; count], vec![vec![0; count]; count]);
    for length in 1..count {
        for i in 0..count - length {
            let j = i + length;
            let cost = |k: usize| costs[i][k] + costs[k + 1][j] + sides[i] as f64 * sides[k + 1] as f64 * sides[j + 1] as f64;
            let best = (i..j).fold(i, |best, k| if cost(k) < cost(best) { k } else { best });
            (cuts[i][j], costs[i][j]) = (best, cost(best));
        }
    }
    cuts
}

/// The product of matrices `i..=j`. As deep as there are matrices, at most.
fn product(matrices: &[&Tensor], cuts: &[Vec<usize>], i: usize, j: usize) -> Tensor {
    if i == j {
        return matrices[i].clone();
    }
    let cut = cuts[i][j];
    product(matrices, cuts, i, cut).matmul(&product(matrices, cuts, cut + 1, j))
}
