//! The exponential of a matrix.

use super::dense::{lu, matrix, product, solve_triangle, write};
use faer::Mat;

/// Norms up to which the approximant of each degree is exact to f64 (Higham 2005, table 2.3).
const DEGREES: [(usize, f64); 5] =
    [(3, 1.495585217958292e-2), (5, 2.53939833006323e-1), (7, 9.504178996162932e-1), (9, 2.097847961257068e0), (13, 5.371920351148152e0)];

/// By a Padé approximant of a matrix halved until its norm is small, and squared as often: N. J. Higham, "The scaling and
/// squaring method for the matrix exponential revisited", SIAM J. Matrix Anal. Appl. 26 (2005).
pub fn expm(values: &[f64], n: usize, output: &mut [f64]) -> Option<()> {
    let mut a = matrix(values, n, n);
    let norm = (0..n).map(|j| (0..n).map(|i| a[(i, j)].abs()).sum::<f64>()).fold(0.0, f64::max);
    let largest = DEGREES[DEGREES.len() - 1];
    let (degree, _) = *DEGREES.iter().find(|(_, most)| norm <= *most).unwrap_or(&largest);
    let halvings = if norm > largest.1 { (norm / largest.1).log2().ceil() } else { 0.0 };
    if !halvings.is_finite() {
        return None;
    }
    let scale = (-halvings).exp2();
    a = Mat::from_fn(n, n, |i, j| a[(i, j)] * scale);
    let mut result = pade(&a, degree)?;
    for _ in 0..halvings as usize {
        result = product(result.as_ref(), result.as_ref());
    }
    write(result.as_ref(), output);
    finite(&result).then_some(())
}

/// `q(a)^-1 p(a)` of the approximant of a degree, where `q(a) = p(-a)`.
fn pade(a: &Mat<f64>, degree: usize) -> Option<Mat<f64>> {
    let n = a.nrows();
    // p's coefficients, each from the one before: c_j+1 = c_j (m - j) / ((2m - j) (j + 1)), Higham 2005, (2.2).
    let mut coefficients = vec![1.0];
    for j in 0..degree {
        let (j, m) = (j as f64, degree as f64);
        coefficients.push(coefficients[j as usize] * (m - j) / ((2.0 * m - j) * (j + 1.0)));
    }
    let square = product(a.as_ref(), a.as_ref());
    let mut power = Mat::<f64>::identity(n, n);
    let (mut even, mut odd) = (Mat::<f64>::zeros(n, n), Mat::<f64>::zeros(n, n));
    for pair in coefficients.chunks(2) {
        even = Mat::from_fn(n, n, |i, j| even[(i, j)] + pair[0] * power[(i, j)]);
        odd = Mat::from_fn(n, n, |i, j| odd[(i, j)] + pair.get(1).copied().unwrap_or(0.0) * power[(i, j)]);
        power = product(power.as_ref(), square.as_ref());
    }
    let odd = product(a.as_ref(), odd.as_ref());
    let (packed, order) = lu(&Mat::from_fn(n, n, |i, j| even[(i, j)] - odd[(i, j)]));
    let mut result = Mat::from_fn(n, n, |i, j| even[(order[i], j)] + odd[(order[i], j)]);
    solve_triangle(packed.as_ref(), result.as_mut(), true, true);
    solve_triangle(packed.as_ref(), result.as_mut(), false, false);
    finite(&result).then_some(result)
}

fn finite(a: &Mat<f64>) -> bool {
    (0..a.ncols()).all(|j| (0..a.nrows()).all(|i| a[(i, j)].is_finite()))
}
