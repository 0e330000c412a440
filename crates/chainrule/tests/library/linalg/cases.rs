//! Every function that has a derivative, with inputs for which it is smooth: from this table come the tests of derivatives,
//! batches, layouts and element types. Functions take any number of leading axes.

use super::{apart, numbers};
use chainrule::Tensor;
use chainrule::linalg::*;

/// A function, and the shapes of the last axes of its inputs. Of a square matrix the diagonal is made heavy.
pub struct Case {
    pub name: &'static str,
    pub function: fn(&[Tensor]) -> Tensor,
    pub shapes: &'static [[usize; 2]],
}

impl Case {
    /// Inputs with more axes before.
    pub fn inputs(&self, batch: &[usize], seed: u64) -> Vec<Tensor> {
        let one = |(i, shape): (usize, &[usize; 2])| {
            let shape = [batch, shape].concat();
            let seed = seed * 8 + i as u64;
            super::leaf(&if i == 0 { apart(&shape, seed) } else { numbers(&shape, seed) })
        };
        self.shapes.iter().enumerate().map(one).collect()
    }
}

/// Positive definite, of any matrix.
fn positive(x: &Tensor) -> Tensor {
    x.matmul(&x.t()) + Tensor::eye(x.shape()[x.rank() - 1], x.dtype()).broadcast_to(x.shape())
}

/// Numbers by which the parts of a matrix of three rows can be told apart.
fn weights(x: &Tensor, seed: u64) -> Tensor {
    numbers(&[3, 3], seed).cast(x.dtype())
}

/// Both parts of something, in numbers that are 1 and 2 times as heavy.
fn both(a: &Tensor, b: &Tensor) -> Tensor {
    a.square().sum_over(&[-2, -1]) + (b * 2.0).sin().sum_over(&[-2, -1])
}

fn triangular(x: &[Tensor], lower: bool, transposed: bool, unit_diagonal: bool) -> Tensor {
    solve_triangular(&x[0], &x[1], TriangularOptions { lower, transposed, unit_diagonal })
}

macro_rules! case {
    ($name:literal, $shapes:expr, $function:expr) => {
        Case { name: $name, function: $function, shapes: &$shapes }
    };
}

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    case!("cholesky", [[4, 4]], |x| cholesky(&positive(&x[0]))),
    case!("cholesky of one number", [[1, 1]], |x| cholesky(&x[0].square())),
    case!("solve", [[4, 4], [4, 3]], |x| solve(&x[0], &x[1])),
    case!("solve of one number", [[1, 1], [1, 2]], |x| solve(&x[0], &x[1])),
    case!("solve_triangular", [[4, 4], [4, 2]], |x| triangular(x, false, false, false)),
    case!("solve_triangular lower", [[3, 3], [3, 2]], |x| triangular(x, true, false, false)),
    case!("solve_triangular transposed", [[3, 3], [3, 2]], |x| triangular(x, false, true, false)),
    case!("solve_triangular lower transposed unit", [[3, 3], [3, 2]], |x| triangular(x, true, true, true)),
    case!("solve_triangular unit", [[3, 3], [3, 2]], |x| triangular(x, false, false, true)),
    case!("inv", [[3, 3]], |x| inv(&x[0])),
    case!("det", [[4, 4]], |x| det(&x[0])),
    case!("det of one number", [[1, 1]], |x| det(&x[0].square())),
    case!("slogdet", [[4, 4]], |x| slogdet(&x[0]).logabsdet),
    case!("qr", [[3, 3]], |x| both(&qr(&x[0]).q.cumsum(-1), &qr(&x[0]).r)),
    case!("qr of a tall matrix", [[4, 2]], |x| both(&qr(&x[0]).q.cumsum(-1), &qr(&x[0]).r)),
    case!("qr of a wide matrix", [[2, 4]], |x| both(&qr(&x[0]).q.cumsum(-1), &qr(&x[0]).r)),
    case!("qr_complete of a wide matrix", [[2, 4]], |x| both(&qr_complete(&x[0]).q.cumsum(-1), &qr_complete(&x[0]).r)),
    case!("qr_complete, its triangle", [[4, 2]], |x| qr_complete(&x[0]).r.sin()),
    case!("lu", [[3, 3]], |x| both(&lu(&x[0].flip(&[-2])).l, &lu(&x[0].flip(&[-2])).u)),
    case!("lu of a tall matrix", [[5, 3]], |x| both(&lu(&x[0].flip(&[-2])).l, &lu(&x[0].flip(&[-2])).u)),
    case!("lu of a wide matrix", [[2, 4]], |x| both(&lu(&x[0].flip(&[-2])).l, &lu(&x[0].flip(&[-2])).u)),
    case!("eigvalsh", [[4, 4]], |x| eigvalsh(&x[0])),
    case!("eigh vectors", [[3, 3]], |x| (eigh(&x[0]).eigenvectors.square() * weights(&x[0], 5)).sum_over(&[-1]).sin()),
    case!("eigh, a function of a symmetric matrix", [[3, 3]], |x| {
        let Eigh { eigenvalues, eigenvectors } = eigh(&x[0]);
        (&eigenvectors * eigenvalues.sin().unsqueeze(-2)).matmul(&eigenvectors.t())
    }),
    case!("svdvals", [[3, 5]], |x| svdvals(&x[0])),
    case!("svd vectors", [[3, 3]], |x| {
        let found = svd(&x[0]);
        both(&(found.u.square() * weights(&x[0], 6)), &(found.vh.square() * weights(&x[0], 7)))
    }),
    case!("svd of a tall matrix", [[4, 2]], |x| {
        let found = svd(&x[0]);
        (&found.u * found.s.square().unsqueeze(-2)).matmul(&found.vh)
    }),
    case!("svd of a wide matrix", [[2, 4]], |x| {
        let found = svd(&x[0]);
        (&found.u * found.s.sin().unsqueeze(-2)).matmul(&found.vh)
    }),
    case!("svd_full, what has a derivative", [[4, 2]], |x| {
        let found = svd_full(&x[0]);
        (found.vh.t() * found.s.sin().unsqueeze(-2)).matmul(&found.vh)
    }),
    case!("svd_full of a wide matrix", [[2, 4]], |x| {
        let found = svd_full(&x[0]);
        (&found.u * found.s.sin().unsqueeze(-2)).matmul(&found.u.t())
    }),
    case!("pinv", [[3, 3]], |x| pinv(&x[0], None)),
    case!("pinv of a tall matrix", [[4, 2]], |x| pinv(&x[0], None)),
    case!("pinv of a wide matrix", [[2, 4]], |x| pinv(&x[0], None)),
    case!("pinv of constant rank", [[4, 2], [2, 3]], |x| pinv(&x[0].matmul(&x[1]), Some(1e-8))),
    case!("lstsq", [[4, 2], [4, 3]], |x| lstsq(&x[0], &x[1], None).solution),
    case!("lstsq of a wide matrix", [[2, 3], [2, 2]], |x| lstsq(&x[0], &x[1], None).solution),
    case!("lstsq residuals", [[4, 2], [4, 3]], |x| lstsq(&x[0], &x[1], None).residuals),
    case!("expm", [[3, 3]], |x| expm(&(&x[0] * 0.3))),
    case!("expm, scaled", [[2, 2]], |x| expm(&(&x[0] * 2.5)).log_of_squares()),
    case!("matrix_power", [[3, 3]], |x| matrix_power(&x[0], 5) * 1e-3),
    case!("matrix_power, negative", [[3, 3]], |x| matrix_power(&x[0], -3)),
    case!("norm frobenius", [[3, 4]], |x| norm(&x[0], MatrixNorm::Frobenius)),
    case!("norm nuclear", [[3, 4]], |x| norm(&x[0], MatrixNorm::Nuclear)),
    case!("norm two", [[3, 4]], |x| norm(&x[0], MatrixNorm::Two)),
    case!("norm one", [[3, 4]], |x| norm(&x[0], MatrixNorm::One).square()),
    case!("norm infinity", [[3, 4]], |x| norm(&x[0], MatrixNorm::Infinity).square()),
    case!("cond", [[3, 3]], |x| cond(&x[0], MatrixNorm::Two)),
    case!("cond by the frobenius norm", [[3, 3]], |x| cond(&x[0], MatrixNorm::Frobenius)),
];

/// What grows too fast for differences, made slower.
trait Slower {
    fn log_of_squares(&self) -> Tensor;
}

impl Slower for Tensor {
    fn log_of_squares(&self) -> Tensor {
        (self.square() + 1.0).log()
    }
}
