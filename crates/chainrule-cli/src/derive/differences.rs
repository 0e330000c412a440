//! Derivatives from values alone, to hold those of reverse mode against.
//!
//! Central differences at a falling row of distances, extrapolated to distance zero: the scheme of
//! C. Ridders, "Accurate computation of F'(x) and F'(x) F''(x)" (Advances in Engineering Software,
//! 1982). This file knows neither expressions nor tensors: it says where values are needed and
//! judges a derivative by them.

/// How many distances are tried in one row.
const DISTANCES: usize = 24;
/// How many rows there are: a coarse one, and a finer one for functions that change within the
/// smallest distance of the coarse one.
const ROWS: usize = 2;
/// Each distance is the one before it, divided by this.
const SHRINKING: f64 = 1.6;
/// Agreement to this relative difference is agreement.
const TOLERANCE: f64 = 1e-6;

/// How many values one derivative takes.
pub const PLACES: usize = ROWS * 2 * DISTANCES + 1;

/// A derivative beside the differences of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check {
    /// The derivative that is checked.
    pub derivative: f64,
    /// The one from differences; NaN where the values give none.
    pub differences: f64,
    /// How far they are apart, relative to the larger.
    pub relative: f64,
    /// The judgement.
    pub verdict: Verdict,
}

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The two agree.
    Agrees,
    /// The function bends sharply here; the derivative lies between the slopes on both sides.
    Kink {
        /// The slope on the left.
        left: f64,
        /// The slope on the right.
        right: f64,
    },
    /// What is derived jumps here, so it has no derivative.
    Jump,
    /// The two do not agree.
    Differs,
    /// The derivative is infinite or not a number.
    NotFinite,
    /// The values around the place give no derivative.
    NoDifferences,
    /// The values change so fast that even the nearest differences contradict one another.
    Unsettled,
}

impl Verdict {
    /// Whether nothing speaks against the derivative.
    pub fn is_good(self) -> bool {
        matches!(self, Verdict::Agrees | Verdict::Kink { .. })
    }
}

/// The size of changes of `x` that matter.
fn scale(x: f64) -> f64 {
    x.abs().max(0.1)
}

/// Where the values are needed for a derivative at `x`: below and above it at each distance of each
/// row, from the largest, and last `x` itself.
pub fn places(x: f64) -> Vec<f64> {
    let mut places = Vec::with_capacity(PLACES);
    let mut distance = 0.5 * scale(x);
    for row in 0..ROWS {
        if row > 0 && x != 0.0 {
            // A small number is likely to be the scale on which the function changes: log(x) is not
            // even defined further away.
            distance = distance.min(0.5 * x.abs());
        }
        for _ in 0..DISTANCES {
            places.extend([x - distance, x + distance]);
            distance /= SHRINKING;
        }
    }
    places.push(x);
    places
}

/// Judges a derivative at `x` by the values at [`places`] of `x`.
///
/// `magnitude` is the largest number met on the way to the values: its rounding is seen in them.
pub fn check(derivative: f64, x: f64, values: &[f64], magnitude: f64) -> Check {
    let coarse = check_by(0, derivative, x, values, magnitude);
    if coarse.verdict == Verdict::Agrees || !derivative.is_finite() {
        return coarse;
    }
    let fine = check_by(1, derivative, x, values, magnitude);
    match (coarse.verdict, fine.verdict) {
        (_, Verdict::Agrees) | (Verdict::NoDifferences, _) => fine,
        // No reproach can be made of differences that are of no use.
        (Verdict::Differs, _) if unsettled(x, values) => Check { verdict: Verdict::Unsettled, ..coarse },
        _ => coarse,
    }
}

/// Whether the nearest plain differences contradict one another by more than rounding does.
fn unsettled(x: f64, values: &[f64]) -> bool {
    const NEAREST: usize = 6;
    // The values' own rounding: that of numbers on the way to them is one of the reasons to look for.
    let around = &values[values.len().saturating_sub(2 * NEAREST + 1)..];
    let magnitude = around.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let estimates = estimates(ROWS - 1, x, values);
    let plain: Vec<&Estimate> = estimates.iter().rev().filter(|estimate| estimate.change.is_nan()).take(NEAREST).collect();
    let Some(nearest) = plain.first() else { return false };
    let slopes = || plain.iter().map(|estimate| estimate.slope);
    let (lowest, highest) = (slopes().fold(f64::INFINITY, f64::min), slopes().fold(f64::NEG_INFINITY, f64::max));
    let size = lowest.abs().max(highest.abs());
    highest - lowest > 0.5 * size && size > 1e3 * f64::EPSILON * magnitude / nearest.distance
}

/// Judges by one row of distances.
fn check_by(row: usize, derivative: f64, x: f64, values: &[f64], magnitude: f64) -> Check {
    let differences = extrapolated(row, x, values, magnitude).unwrap_or(f64::NAN);
    let size = derivative.abs().max(differences.abs()).max(1e-3 * magnitude / scale(x));
    let gap = (derivative - differences).abs();
    let relative = if gap == 0.0 { 0.0 } else { gap / size };
    let verdict = if !derivative.is_finite() {
        Verdict::NotFinite
    } else if differences.is_nan() {
        Verdict::NoDifferences
    } else {
        match kink(row, derivative, x, values, magnitude) {
            // Differences on both sides can meet in the middle: those of |x| at 0 do.
            Some(verdict @ Verdict::Kink { .. }) => verdict,
            _ if relative <= TOLERANCE => Verdict::Agrees,
            other => other.unwrap_or(Verdict::Differs),
        }
    };
    Check { derivative, differences, relative, verdict }
}

/// The central differences, extrapolated; of all estimates the one that changed least on the way.
///
/// Far from the place a function may be flat, and estimates from there agree with each other on a
/// slope that is not the one here: those are left out that the nearest difference contradicts.
fn extrapolated(row: usize, x: f64, values: &[f64], magnitude: f64) -> Option<f64> {
    let estimates = estimates(row, x, values);
    let nearest = estimates.iter().rev().find(|estimate| estimate.change.is_nan())?;
    let rounding = 1e3 * f64::EPSILON * magnitude / nearest.distance;
    let contradicted = |slope: f64| {
        let size = slope.abs().max(nearest.slope.abs());
        (slope - nearest.slope).abs() > 1e-3 * size + rounding
    };
    let fitting = estimates.iter().filter(|estimate| !contradicted(estimate.slope));
    let known = fitting.filter(|estimate| !estimate.change.is_nan());
    let best = known.min_by(|a, b| a.change.total_cmp(&b.change));
    Some(best.unwrap_or(nearest).slope)
}

/// A slope by differences.
struct Estimate {
    slope: f64,
    /// How far it is from those it was extrapolated from; NaN for a plain difference.
    change: f64,
    /// The smallest distance it was computed from.
    distance: f64,
}

/// The plain differences of a row and all that is extrapolated from them, from the largest distance
/// on.
fn estimates(row: usize, x: f64, values: &[f64]) -> Vec<Estimate> {
    let places = places(x);
    let of_row = 2 * DISTANCES * row..2 * DISTANCES * (row + 1);
    let mut all = Vec::new();
    let mut above: Vec<f64> = Vec::new();
    for (pair, at) in values[of_row.clone()].chunks_exact(2).zip(places[of_row].chunks_exact(2)) {
        let distance = (at[1] - at[0]) / 2.0;
        let slope = (pair[1] - pair[0]) / (2.0 * distance);
        if !slope.is_finite() {
            // The place lies outside what the function is defined for, or the distance is lost.
            above.clear();
            continue;
        }
        all.push(Estimate { slope, change: f64::NAN, distance });
        let mut row = vec![slope];
        let mut factor = SHRINKING * SHRINKING;
        for k in 0..above.len() {
            let slope = row[k] + (row[k] - above[k]) / (factor - 1.0);
            let change = (slope - row[k]).abs().max((slope - above[k]).abs());
            all.push(Estimate { slope, change, distance });
            row.push(slope);
            factor *= SHRINKING * SHRINKING;
        }
        above = row;
    }
    all
}

/// A sharp bend or a jump, told by how the slopes on both sides change as the distance falls: they
/// stay apart at a bend that encloses the derivative, and grow without end at a jump.
fn kink(row: usize, derivative: f64, x: f64, values: &[f64], magnitude: f64) -> Option<Verdict> {
    let places = places(x);
    let middle = *values.get(PLACES - 1)?;
    let slopes = |k: usize| {
        let k = row * DISTANCES + k;
        let left = (middle - values[2 * k]) / (x - places[2 * k]);
        let right = (values[2 * k + 1] - middle) / (places[2 * k + 1] - x);
        (left, right)
    };
    let (wide, (left, right)) = (slopes(DISTANCES - 8), slopes(DISTANCES - 4));
    let (wide_gap, gap) = ((wide.1 - wide.0).abs(), (right - left).abs());
    let size = left.abs().max(right.abs());
    // The distance fell by a factor of 6.6 in between.
    if size > 4.0 * wide.0.abs().max(wide.1.abs()) {
        return Some(Verdict::Jump);
    }
    // What rounding makes of equal slopes is no bend.
    let distance = places[2 * (row * DISTANCES + DISTANCES - 4) + 1] - x;
    let rounding = 1e3 * f64::EPSILON * magnitude / distance;
    let slack = 1e-3 * size;
    let enclosed = (left.min(right) - slack..=left.max(right) + slack).contains(&derivative);
    (gap > (1e-2 * size).max(rounding) && gap > 0.5 * wide_gap && enclosed).then_some(Verdict::Kink { left, right })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(function: impl Fn(f64) -> f64, x: f64, derivative: f64) -> Check {
        let values: Vec<f64> = places(x).into_iter().map(&function).collect();
        check(derivative, x, &values, function(x).abs())
    }

    type Case = (fn(f64) -> f64, fn(f64) -> f64);

    #[test]
    fn true_derivatives_pass_and_false_ones_do_not() {
        let cases: &[Case] = &[
            (f64::exp, f64::exp),
            (f64::sin, f64::cos),
            (f64::ln, f64::recip),
            (f64::sqrt, |x| 0.5 / x.sqrt()),
            (|x| x.powi(5), |x| 5.0 * x.powi(4)),
            (|x| (50.0 * x).sin(), |x| 50.0 * (50.0 * x).cos()),
            (|x| (20.0 * x).tanh(), |x| 20.0 / (20.0 * x).cosh().powi(2)),
            (|x| 1e6 + x, |_| 1.0),
            (|_| 3.0, |_| 0.0),
        ];
        for (number, (function, derivative)) in cases.iter().enumerate() {
            for x in [1e-3, 0.02, 0.3, 1.0, 1.7, 12.0] {
                let right = derivative(x);
                let good = judge(function, x, right);
                assert_eq!(good.verdict, Verdict::Agrees, "case {number} at {x}: {good:?}");
                let size = right.abs().max(1e-2 * function(x).abs() / x.max(0.1)).max(1e-9);
                for wrong in [right + 1e-3 * size, right - 1e-3 * size, -right - size] {
                    let bad = judge(function, x, wrong);
                    assert_eq!(bad.verdict, Verdict::Differs, "case {number} at {x}: {bad:?}");
                }
            }
        }
    }

    /// Flat far away on both sides, where all differences agree on a slope of zero.
    #[test]
    fn a_narrow_peak_is_judged_where_it_is() {
        let peak = |x: f64| x.sin().powi(500);
        let slope = |x: f64| 500.0 * x.sin().powi(499) * x.cos();
        let bell = |x: f64| (-((x - 1.0) * 1e3).powi(2)).exp();
        let bell_slope = |x: f64| -2e6 * (x - 1.0) * bell(x);
        for x in [1.45, 1.5, 1.6] {
            assert_eq!(judge(peak, x, slope(x)).verdict, Verdict::Agrees);
            assert_eq!(judge(peak, x, 0.0).verdict, Verdict::Differs);
        }
        for x in [0.999, 1.0005] {
            assert_eq!(judge(bell, x, bell_slope(x)).verdict, Verdict::Agrees);
            assert_eq!(judge(bell, x, 0.0).verdict, Verdict::Differs);
        }
    }

    /// Where the coarse row sees nothing: close to the end of what a function is defined for, and
    /// where it changes many times within the smallest distance.
    #[test]
    fn fine_structure_is_judged_by_fine_distances() {
        type Case = (fn(f64) -> f64, fn(f64) -> f64, f64);
        let cases: &[Case] = &[
            (f64::ln, f64::recip, 1e-9),
            (f64::recip, |x| -1.0 / (x * x), 1e-9),
            (f64::sqrt, |x| 0.5 / x.sqrt(), 1e-8),
            (|x| x.max(0.0), |_| 1.0, 1e-12),
            (|x| (1e3 * x).sin(), |x| 1e3 * (1e3 * x).cos(), 100.0),
            (f64::sin, f64::cos, 1e6),
        ];
        for (number, (function, derivative, x)) in cases.iter().enumerate() {
            let right = derivative(*x);
            let good = judge(function, *x, right);
            assert_eq!(good.verdict, Verdict::Agrees, "case {number}: {good:?}");
            for wrong in [1.001 * right, -right, 0.0] {
                let bad = judge(function, *x, wrong);
                assert!(bad.verdict != Verdict::Agrees, "case {number}: {bad:?}");
            }
        }
    }

    #[test]
    fn kinks_are_told_from_mistakes() {
        let relu = |x: f64| x.max(0.0);
        for share in [0.0, 0.3, 0.5, 1.0] {
            assert!(judge(relu, 0.0, share).verdict.is_good(), "{share}");
        }
        for wrong in [-0.1, 1.1, 2.0] {
            assert_eq!(judge(relu, 0.0, wrong).verdict, Verdict::Differs);
        }
        // Agreement by symmetry does not hide it.
        assert!(matches!(judge(f64::abs, 0.0, 0.0).verdict, Verdict::Kink { left: -1.0, right: 1.0 }));
        let verdict = judge(|x| (x - 1.0).abs() + 2.0 * x, 1.0, 1.5).verdict;
        match verdict {
            Verdict::Kink { left, right } => {
                assert!((left - 1.0).abs() < 1e-6 && (right - 3.0).abs() < 1e-6);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_has_no_derivative_is_said() {
        let step = |x: f64| f64::from(u8::from(x > 0.0));
        assert_eq!(judge(step, 0.0, 0.0).verdict, Verdict::Jump);
        assert_eq!(judge(f64::signum, 0.0, 0.0).verdict, Verdict::Jump);
        assert_eq!(judge(f64::sqrt, 0.0, f64::INFINITY).verdict, Verdict::NotFinite);
        assert_eq!(judge(|_| f64::NAN, 1.0, 1.0).verdict, Verdict::NoDifferences);
        assert_eq!(judge(f64::ln, 1.0, f64::NAN).verdict, Verdict::NotFinite);
        // A whole number of waves lies between neighbouring places, whatever the derivative.
        for derivative in [1e15f64.cos(), 0.3] {
            assert_eq!(judge(f64::sin, 1e15, derivative).verdict, Verdict::Unsettled);
        }
    }
}
