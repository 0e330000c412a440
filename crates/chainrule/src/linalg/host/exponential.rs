//! The exponential of a matrix, and its derivative along another one.
//!
//! Both are computed of the transposed matrices, which is what arrays are to faer, and are transposed themselves by being written.

use super::dense::{lu, product, rows_of, solve_triangle, turned};
use faer::{Mat, MatRef};

/// Norms up to which the approximant of each degree is exact to f64 (Higham 2005, table 2.3).
const DEGREES: [(usize, f64); 5] =
    [(3, 1.495585217958292e-2), (5, 2.53939833006323e-1), (7, 9.504178996162932e-1), (9, 2.097847961257068e0), (13, 5.371920351148152e0)];

/// By a Padé approximant of a matrix halved until its norm is small, and squared as often: N. J. Higham, "The scaling and
/// squaring method for the matrix exponential revisited", SIAM J. Matrix Anal. Appl. 26 (2005).
pub fn expm(values: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    let (scale, degree, halvings) = scaling(values, n)?;
    let a = Scaled::new(values, n, scale, degree);
    let (mut result, _) = a.approximant(None)?;
    for _ in 0..halvings {
        result = product(result.as_ref(), result.as_ref());
    }
    written(&result, output)
}

/// The derivative of the exponential along `along`, by differentiating each step of it: A. H. Al-Mohy and N. J. Higham,
/// "Computing the Fréchet derivative of the matrix exponential, with an application to condition number estimation", SIAM J.
/// Matrix Anal. Appl. 30 (2009).
pub fn derivative(values: &[f64], along: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    let (scale, degree, halvings) = scaling(values, n)?;
    let a = Scaled::new(values, n, scale, degree);
    let e = Mat::from_fn(n, n, |i, j| along[j * n + i] * scale);
    let (mut result, slope) = a.approximant(Some(&e))?;
    let mut slope = slope?;
    for _ in 0..halvings {
        slope = sum(&product(result.as_ref(), slope.as_ref()), &product(slope.as_ref(), result.as_ref()));
        result = product(result.as_ref(), result.as_ref());
    }
    written(&slope, output)
}

/// By what the matrix is multiplied, the degree of the approximant, and how often it is squared.
fn scaling(values: &[f64], n: usize) -> Option<(f64, usize, usize)> {
    // The norm of the transposed matrix: sums of rows.
    let norm = values.chunks(n.max(1)).map(|row| row.iter().map(|v| v.abs()).sum::<f64>()).fold(0.0, f64::max);
    let largest = DEGREES[DEGREES.len() - 1];
    let (degree, _) = *DEGREES.iter().find(|(_, most)| norm <= *most).unwrap_or(&largest);
    let halvings = if norm > largest.1 { (norm / largest.1).log2().ceil() } else { 0.0 };
    halvings.is_finite().then(|| ((-halvings).exp2(), degree, halvings as usize))
}

fn sum(a: &Mat<f64>, b: &Mat<f64>) -> Mat<f64> {
    Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] + b[(i, j)])
}

fn written(result: &Mat<f64>, output: &mut [f64]) -> Option<()> {
    let n = result.nrows();
    for j in 0..n {
        output[j * n..][..n].copy_from_slice(result.col_as_slice(j));
    }
    output.iter().all(|v| v.is_finite()).then_some(())
}

/// A matrix and its even powers, as the approximant of a degree needs them.
struct Scaled {
    a: Mat<f64>,
    /// The powers 0, 2, 4 ..
    powers: Vec<Mat<f64>>,
    /// Of `p` in `q(a)^-1 p(a)`, where `q(a) = p(-a)`.
    coefficients: Vec<f64>,
}

impl Scaled {
    fn new(values: &[f64], n: usize, scale: f64, degree: usize) -> Scaled {
        let a = turned(values, n, n);
        let a = Mat::from_fn(n, n, |i, j| a[(i, j)] * scale);
        // Each from the one before: c_j+1 = c_j (m - j) / ((2m - j) (j + 1)), Higham 2005, (2.2).
        let mut coefficients = vec![1.0];
        for j in 0..degree {
            let (j, m) = (j as f64, degree as f64);
            coefficients.push(coefficients[j as usize] * (m - j) / ((2.0 * m - j) * (j + 1.0)));
        }
        let mut powers = vec![Mat::identity(n, n), product(a.as_ref(), a.as_ref())];
        // Of degree 13, powers beyond the sixth are made of products with it.
        let last = if degree == 13 { 3 } else { degree / 2 };
        while powers.len() <= last {
            powers.push(product(powers[powers.len() - 1].as_ref(), powers[1].as_ref()));
        }
        Scaled { a, powers, coefficients }
    }

    /// The sum of powers from `from` on, of the coefficients of `2 power + odd`: at most as many as there are powers.
    fn combined(&self, powers: &[Mat<f64>], from: usize, odd: usize) -> Mat<f64> {
        let n = self.a.nrows();
        let mut out = Mat::zeros(n, n);
        for (power, &factor) in powers.iter().zip(self.coefficients[odd..].iter().step_by(2).skip(from)) {
            out = Mat::from_fn(n, n, |i, j| out[(i, j)] + factor * power[(i, j)]);
        }
        out
    }

    /// The even part of `p(a)` (`odd` 0), or the odd one divided by `a` (1); and the derivative of that, given those of the powers.
    fn half(&self, odd: usize, slopes: Option<&[Mat<f64>]>) -> (Mat<f64>, Option<Mat<f64>>) {
        let low = self.combined(&self.powers, 0, odd);
        let known = self.powers.len();
        if self.coefficients.len() <= 2 * known {
            return (low, slopes.map(|slopes| self.combined(slopes, 0, odd)));
        }
        // a^6 times what is left: powers 8, 10, 12.
        let (sixth, rest) = (&self.powers[3], self.combined(&self.powers[1..], known, odd));
        let value = sum(&low, &product(sixth.as_ref(), rest.as_ref()));
        let slope = slopes.map(|slopes| {
            let of_rest = self.combined(&slopes[1..], known, odd);
            let of_product = sum(&product(slopes[3].as_ref(), rest.as_ref()), &product(sixth.as_ref(), of_rest.as_ref()));
            sum(&self.combined(slopes, 0, odd), &of_product)
        });
        (value, slope)
    }

    /// `q(a)^-1 p(a)`, and its derivative along `e`.
    fn approximant(&self, e: Option<&Mat<f64>>) -> Option<(Mat<f64>, Option<Mat<f64>>)> {
        let (a, n) = (&self.a, self.a.nrows());
        let slopes = e.map(|e| {
            let both = |x: &Mat<f64>, of_x: &Mat<f64>, y: &Mat<f64>, of_y: &Mat<f64>| {
                sum(&product(x.as_ref(), of_y.as_ref()), &product(of_x.as_ref(), y.as_ref()))
            };
            let mut slopes = vec![Mat::zeros(n, n), both(a, e, a, e)];
            while slopes.len() < self.powers.len() {
                let last = slopes.len() - 1;
                slopes.push(both(&self.powers[last], &slopes[last], &self.powers[1], &slopes[1]));
            }
            slopes
        });
        let (even, of_even) = self.half(0, slopes.as_deref());
        let (inner, of_inner) = self.half(1, slopes.as_deref());
        let odd = product(a.as_ref(), inner.as_ref());
        // Row by row, as the decomposition takes it.
        let below: Vec<f64> = (0..n * n).map(|at| even[(at / n, at % n)] - odd[(at / n, at % n)]).collect();
        let (mut order, mut packed) = (vec![0.0; n], vec![0.0; n * n]);
        lu(&below, (n, n), &mut order, &mut packed);
        let solved = |side: &Mat<f64>| {
            let mut x = Mat::from_fn(n, n, |i, j| side[(order[i] as usize, j)]);
            let packed: MatRef<'_, f64> = rows_of(&packed, n, n);
            solve_triangle(packed, x.as_mut(), true, true);
            solve_triangle(packed, x.as_mut(), false, false);
            x
        };
        let result = solved(&sum(&even, &odd));
        let finite = (0..n).all(|j| result.col_as_slice(j).iter().all(|v| v.is_finite()));
        let slope = e.zip(of_even).zip(of_inner).map(|((e, of_even), of_inner)| {
            // q r = p: q dr = dp - dq r.
            let of_odd = sum(&product(e.as_ref(), inner.as_ref()), &product(a.as_ref(), of_inner.as_ref()));
            let of_q = Mat::from_fn(n, n, |i, j| of_odd[(i, j)] - of_even[(i, j)]);
            solved(&sum(&sum(&of_even, &of_odd), &product(of_q.as_ref(), result.as_ref())))
        });
        finite.then_some((result, slope))
    }
}
