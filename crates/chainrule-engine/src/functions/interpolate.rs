//! Resizing: each axis after the other is read at places between its elements.
//!
//! Places and weights are PyTorch's, worked out once on the host: a resize is a few gathers for each axis.

use super::conv::Layout;
use super::pool::{MOST_PLACES, average_along};
use super::{disallowed, misfit, recorded, refuse_unless_float, spread, wide};
use crate::ops::movement::Axes;
use crate::tensor::Tensor;
use std::ops::Range;

/// How what lies between elements is made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// The element at or before `i * scale`, as PyTorch's `nearest`.
    #[default]
    Nearest,
    /// The nearest element, as PyTorch's `nearest-exact`.
    NearestExact,
    /// Between two neighbours on a line: over two axes `bilinear`, over three `trilinear`.
    Linear,
    /// Between four neighbours by the cubic of Keys, "Cubic Convolution Interpolation for Digital Image Processing"
    /// (1981), with -0.75 for its `a`: over two axes `bicubic`.
    Cubic,
    /// The mean of all that is covered, as adaptive pooling.
    Area,
}

/// To what size [`interpolate`] resizes, and how.
#[derive(Clone, Debug, Default)]
pub struct InterpolateOptions {
    /// How what lies between elements is made of them.
    pub mode: Interpolation,
    /// The sizes of all axes but those of examples and channels.
    pub size: Option<Vec<usize>>,
    /// Instead of sizes: what each is multiplied by, and rounded down. One number stands for all axes.
    pub scale: Option<Vec<f64>>,
    /// Whether the first and last elements are at the first and last places, and not the ends of the elements at the
    /// ends. For `Linear` and `Cubic`.
    pub align_corners: bool,
    /// Whether an axis that gets shorter is read with neighbours as far apart as its new elements are, so that none is
    /// passed over. For `Linear` and `Cubic`, whose `a` then is -0.5.
    pub antialias: bool,
    /// Where the channels are.
    pub layout: Layout,
}

/// `[n, c, ..]`, or, channels last, `[n, .., c]`, resized along its one to three other axes.
///
/// ```
/// use chainrule_engine::{Tensor, functions::{InterpolateOptions, Interpolation, interpolate}};
/// let x = Tensor::from_slice(&[0.0f32, 4.0], [1, 1, 2]);
/// let options = InterpolateOptions { mode: Interpolation::Linear, scale: Some(vec![2.0]), ..Default::default() };
/// assert_eq!(interpolate(&x, &options).to_vec::<f32>()?, [0.0, 1.0, 3.0, 4.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn interpolate(x: &Tensor, options: &InterpolateOptions) -> Tensor {
    let axes = match plan(x, options) {
        Ok(axes) => axes,
        Err(mistake) => return mistake,
    };
    recorded(|| {
        let resized = axes.iter().fold(wide(x), |y, axis| axis.resize(&y, options));
        resized.cast(x.dtype())
    })
}

/// One axis and how it is resized.
struct Resized {
    axis: usize,
    length: usize,
    size: usize,
    /// Elements from one place to the next, without aligned corners.
    scale: f64,
}

#[track_caller]
fn plan(x: &Tensor, options: &InterpolateOptions) -> Result<Vec<Resized>, Tensor> {
    let name = "interpolate";
    if let Some(mistake) = refuse_unless_float(name, x) {
        return Err(mistake);
    }
    let count = x.rank().saturating_sub(2);
    let first = if options.layout == Layout::ChannelsLast { 1 } else { 2 };
    if !(1..=3).contains(&count) || x.shape()[first..first + count].contains(&0) {
        return Err(misfit(name, format!("takes examples, channels and one to three axes with elements, not {:?}", x.shape())));
    }
    if (options.align_corners || options.antialias) && !matches!(options.mode, Interpolation::Linear | Interpolation::Cubic) {
        return Err(disallowed(name, &[x], format!("{:?} has no corners to align, and no aliases", options.mode)));
    }
    let scales: Vec<f64> = match (&options.size, &options.scale) {
        (Some(size), None) if size.len() == count => Vec::new(),
        (None, Some(scale)) if scale.len() == count => scale.clone(),
        (None, Some(scale)) if scale.len() == 1 => vec![scale[0]; count],
        _ => return Err(disallowed(name, &[x], format!("wants either the sizes or the scales of {count} axes"))),
    };
    let mut plans = Vec::with_capacity(count);
    for d in 0..count {
        let length = x.shape()[first + d];
        let factor = scales.get(d).copied();
        let size = match (&options.size, factor) {
            (Some(size), _) => size[d] as f64,
            (None, factor) => (length as f64 * factor.unwrap_or(0.0)).floor(),
        };
        if !(1.0..=MOST_PLACES as f64).contains(&size) {
            return Err(disallowed(name, &[x], format!("a size of {size} for {length} elements; it must be from 1 to {MOST_PLACES}")));
        }
        let scale = factor.map_or(length as f64 / size, |factor| 1.0 / factor);
        plans.push(Resized { axis: first + d, length, size: size as usize, scale });
    }
    Ok(plans)
}

impl Resized {
    fn resize(&self, x: &Tensor, options: &InterpolateOptions) -> Tensor {
        let by_size = options.scale.is_none();
        let last = self.length - 1;
        match options.mode {
            Interpolation::Area => average_along(x, self.axis, self.size),
            Interpolation::Nearest => {
                // Whole numbers where there are, which do not round.
                let at =
                    |i: usize| if by_size { i as u128 * self.length as u128 / self.size as u128 } else { (i as f64 * self.scale) as u128 };
                self.picked(x, |i| (at(i) as usize).min(last))
            }
            Interpolation::NearestExact => {
                let whole = |i: usize| (2 * i as u128 + 1) * self.length as u128 / (2 * self.size as u128);
                self.picked(x, |i| (if by_size { whole(i) as usize } else { ((i as f64 + 0.5) * self.scale) as usize }).min(last))
            }
            Interpolation::Linear if options.antialias => self.weighed(x, &self.spread_taps(options.align_corners, 1.0, triangle)),
            Interpolation::Cubic if options.antialias => self.weighed(x, &self.spread_taps(options.align_corners, 2.0, |t| cubic(t, -0.5))),
            Interpolation::Linear => {
                let places = self.places(options.align_corners).into_iter();
                self.weighed(x, &self.taps(places, 0..2, triangle))
            }
            Interpolation::Cubic => {
                let places = self.places(options.align_corners).into_iter();
                self.weighed(x, &self.taps(places, -1..3, |t| cubic(t, -0.75)))
            }
        }
    }

    /// Where each place of the result lies among the elements.
    fn places(&self, align_corners: bool) -> Vec<f64> {
        let at = |i: usize| if align_corners { i as f64 * self.step() } else { (i as f64 + 0.5) * self.scale - 0.5 };
        (0..self.size).map(at).collect()
    }

    /// Elements from one place to the next, with aligned corners.
    fn step(&self) -> f64 {
        if self.size > 1 { (self.length - 1) as f64 / (self.size - 1) as f64 } else { 0.0 }
    }

    fn picked(&self, x: &Tensor, at: impl Fn(usize) -> usize) -> Tensor {
        let index: Vec<i64> = (0..self.size).map(|i| at(i) as i64).collect();
        if index.iter().copied().eq(0..self.length as i64) {
            return x.clone();
        }
        // Each element as often as the others: no positions are needed for that.
        let times = self.size / self.length;
        if self.size.is_multiple_of(self.length) && index.iter().enumerate().all(|(i, &at)| at == (i / times) as i64) {
            return x.repeat(times, self.axis as isize);
        }
        x.index_select(self.axis as isize, &Tensor::from_vec(index, self.size))
    }

    /// Neighbours of each place, so many from the one before it on, with their weights by distance. Beyond the ends the
    /// last element stands.
    fn taps(&self, places: impl Iterator<Item = f64>, near: Range<i64>, weight: impl Fn(f64) -> f64) -> Vec<Vec<(usize, f64)>> {
        let last = self.length as i64 - 1;
        let tap = |at: f64, k: i64| ((at.floor() as i64 + k).clamp(0, last) as usize, weight(at - at.floor() - k as f64));
        places.map(|at| near.clone().map(|k| tap(at, k)).collect()).collect()
    }

    /// All neighbours within `support` new elements of each place, with weights by distance that add up to 1.
    fn spread_taps(&self, align_corners: bool, support: f64, weight: impl Fn(f64) -> f64) -> Vec<Vec<(usize, f64)>> {
        let scale = if align_corners { self.step() } else { self.scale };
        let wide = scale.max(1.0);
        let taps = |i: usize| {
            let middle = scale * (i as f64 + 0.5);
            let first = (middle - support * wide + 0.5).max(0.0) as usize;
            let stop = ((middle + support * wide + 0.5) as usize).min(self.length);
            let taps: Vec<(usize, f64)> = (first..stop).map(|at| (at, weight((at as f64 - middle + 0.5) / wide))).collect();
            let total: f64 = taps.iter().map(|(_, weight)| weight).sum();
            taps.into_iter().map(|(at, weight)| (at, weight / total)).collect()
        };
        (0..self.size).map(taps).collect()
    }

    /// Neighbours times their weights. Who has fewer than others repeats one, for nothing.
    fn weighed(&self, x: &Tensor, taps: &[Vec<(usize, f64)>]) -> Tensor {
        let most = taps.iter().map(Vec::len).max().unwrap_or(0);
        let tap = |i: usize, k: usize| taps[i].get(k).copied().unwrap_or((taps[i].first().map_or(0, |tap| tap.0), 0.0));
        let others: Axes = (0..x.rank()).filter(|&axis| axis != self.axis).collect();
        let parts = (0..most).map(|k| {
            let part = self.picked(x, |i| tap(i, k).0);
            let weights: Vec<f64> = (0..self.size).map(|i| tap(i, k).1).collect();
            let weights = spread(&Tensor::from_vec(weights, self.size).cast(x.dtype()), &others, part.shape());
            part * weights
        });
        parts.reduce(|a, b| a + b).unwrap_or_else(|| x.clone())
    }
}

/// The weight of a neighbour at a distance, on a line.
fn triangle(distance: f64) -> f64 {
    (1.0 - distance.abs()).max(0.0)
}

/// The weight of a neighbour at a distance, by Keys' cubic.
fn cubic(distance: f64, a: f64) -> f64 {
    let t = distance.abs();
    match t {
        _ if t <= 1.0 => ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0,
        _ if t < 2.0 => ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a,
        _ => 0.0,
    }
}
