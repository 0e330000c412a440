//! Derivatives by central differences, with an estimate of how far they may be off.
//!
//! Differences of one width are off by the width's square times a higher derivative, and by rounding over the width.
//! Neither is known beforehand of a random program, and a kink between two places spoils every width that reaches it. So
//! widths are halved and extrapolated, and each number is the entry of its table that its neighbours confirm best, as in
//! C. J. F. Ridders, Accurate computation of F'(x) and F'(x) F''(x), Advances in Engineering Software 4 (1982), 75-76.

/// The widest step; each of the following is half as wide as the one before.
const WIDEST: f64 = 1e-3;
/// As many widths at most: the last is 1.2e-7, with rounding of 1e-9 of the function.
const WIDTHS: usize = 14;
/// How many estimated errors a number may be off: the least of the ninety of a table is often small by luck.
const ERRORS: f64 = 10.0;
/// What errors may excuse at most, as a part of what derivatives are compared by.
const CAP: f64 = 1e-3;

/// Differences of a function at 0.
pub struct Differences<'a> {
    function: &'a dyn Fn(f64) -> Vec<f64>,
    /// Of each width, the differences, then what they give with one, two, .. wider ones.
    rows: Vec<Vec<Vec<f64>>>,
}

/// A derivative: for each number, the estimate and its error.
type Estimate = Vec<(f64, f64)>;

impl<'a> Differences<'a> {
    pub fn new(function: &'a dyn Fn(f64) -> Vec<f64>) -> Differences<'a> {
        let mut differences = Differences { function, rows: Vec::new() };
        (0..2).for_each(|_| differences.refine());
        differences
    }

    /// Adds a width, half as wide as the last.
    fn refine(&mut self) {
        let h = WIDEST / 2f64.powi(self.rows.len() as i32);
        let (up, down) = ((self.function)(h), (self.function)(-h));
        let mut row = vec![up.iter().zip(&down).map(|(up, down)| (up - down) / (2.0 * h)).collect::<Vec<f64>>()];
        for (order, wider) in self.rows.last().into_iter().flatten().enumerate() {
            let factor = 4f64.powi(order as i32 + 1);
            let better = row[order].iter().zip(wider).map(|(fine, coarse)| (factor * fine - coarse) / (factor - 1.0)).collect();
            row.push(better);
        }
        self.rows.push(row);
    }

    /// The best estimates so far.
    fn estimates(&self, numbers: std::ops::Range<usize>) -> Estimate {
        let entries =
            self.rows.windows(2).flat_map(|pair| (1..pair[1].len()).map(move |k| (&pair[1][k], &pair[1][k - 1], &pair[0][k - 1])));
        let entries: Vec<_> = entries.collect();
        numbers
            .map(|i| {
                let all = entries.iter().map(|(here, finer, wider)| (here[i], (here[i] - finer[i]).abs().max((here[i] - wider[i]).abs())));
                all.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((f64::NAN, f64::INFINITY))
            })
            .collect()
    }

    /// Whether some numbers of the function have the derivatives `found`, to `relative` of `scale` (or of the largest
    /// derivative, if that is larger). Returns how many are not, but are within what the estimates may be off.
    pub fn judge(&mut self, what: &str, at: usize, found: &[f64], scale: f64, relative: f64) -> Result<usize, String> {
        loop {
            let want = self.estimates(at..at + found.len());
            let scale = want.iter().map(|(want, _)| want.abs()).filter(|w| w.is_finite()).fold(scale, f64::max);
            let off: Vec<f64> = found.iter().zip(&want).map(|(found, (want, _))| (found - want).abs()).collect();
            if off.iter().all(|&off| off <= relative * scale) {
                return Ok(0);
            }
            if self.rows.len() < WIDTHS {
                self.refine();
                continue;
            }
            let allowed = |error: f64| (ERRORS * error).min(CAP * scale).max(relative * scale);
            return match (0..off.len()).find(|&i| off[i].is_nan() || off[i] > allowed(want[i].1)) {
                None => Ok(off.iter().filter(|&&off| off > relative * scale).count()),
                Some(i) => {
                    let (want, error) = want[i];
                    Err(format!(
                        "{what}: number {i} is {:e}, {want:e} wanted, known to {error:e} (scale {scale:e})\n  got {found:?}",
                        found[i]
                    ))
                }
            };
        }
    }

    /// How many widths were needed.
    pub fn widths(&self) -> usize {
        self.rows.len()
    }
}

/// The outcome for one number of a function.
fn judged(function: &dyn Fn(f64) -> f64, found: f64) -> Result<usize, String> {
    let function = |h: f64| vec![function(h)];
    Differences::new(&function).judge("it", 0, &[found], 0.1, 1e-6)
}

#[test]
fn what_bends_much_is_known_as_well() {
    let bent = |h: f64| (900.0 * h).sin() / 900.0;
    assert_eq!(judged(&bent, 1.0), Ok(0));
    assert!(judged(&bent, 1.0 + 2e-6).is_err());
}

#[test]
fn a_kink_beside_the_place_does_not_matter() {
    let kinked = |h: f64| (h - 3e-5).abs() + 0.5 * h;
    assert_eq!(judged(&kinked, -0.5), Ok(0));
    assert!(judged(&kinked, -0.5 + 2e-6).is_err());
    assert!(judged(&kinked, 0.0).is_err());
}

#[test]
fn what_is_known_too_little_counts_and_is_no_excuse() {
    // Differences of the widest step are off by a thousand times the noise, those of others by more.
    let noisy = |size: f64| move |h: f64| h.sin() + size * (3.7e15 * h * (1.0 + h) + 1.0).sin();
    assert_eq!(judged(&noisy(1e-7), 1.0), Ok(1));
    assert!(judged(&noisy(1e-7), 1.0 + 2e-3).is_err());
    assert!(judged(&noisy(1e-2), 1.0 + 2e-3).is_err());
    assert!(judged(&noisy(0.0), f64::NAN).is_err());
    assert!(judged(&|_| f64::NAN, 1.0).is_err());
}
