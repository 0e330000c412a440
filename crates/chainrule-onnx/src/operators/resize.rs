//! Images of other sizes: `Resize` and `Upsample`.
//!
//! Every mode of interpolation is, along each axis, a sum over few neighbours: positions and weights depend on sizes and
//! scales alone, which are known when the node is recorded. So a resize is a few gathers times vectors, for any number of
//! axes, and its derivative that of gathers.

use super::shape::{sizes, vector};
use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, ENTRIES, entries, limit, one};
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// The largest axis that is made.
const LONGEST: f64 = ENTRIES as f64;

/// How an axis is resized.
struct Axis {
    axis: usize,
    scale: f64,
    length: usize,
    new: usize,
    /// The part that is cropped, from 0 to 1.
    roi: (f64, f64),
}

/// What a node says about the way.
struct Way {
    mode: String,
    transform: String,
    nearest: String,
    cubic: f64,
    exclude_outside: bool,
    antialias: bool,
    extrapolation: f64,
}

pub fn upsample(call: &Call) -> Outcome {
    let scales = match call.version {
        9.. => call.numbers(1)?,
        7..9 => call.floats("scales")?.unwrap_or_default(),
        _ => vec![1.0, 1.0, call.float_or("height_scale", 1.0)?, call.float_or("width_scale", 1.0)?],
    };
    let x = call.tensor(0)?;
    let axes = scaled(x, &(0..scales.len()).collect::<Vec<_>>(), &scales)?;
    one(resized(x, &axes, &Way::old(call.text_or("mode", "nearest")?))?)
}

pub fn resize(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    if call.version == 10 {
        let scales = call.numbers(1)?;
        let axes = scaled(x, &(0..scales.len()).collect::<Vec<_>>(), &scales)?;
        return one(resized(x, &axes, &Way::old(call.text_or("mode", "nearest")?))?);
    }
    let listed: Vec<usize> = match call.integers("axes")? {
        Some(axes) => axes.iter().map(|&axis| call.axis(axis, x.rank())).collect::<Result<_>>()?,
        None => (0..x.rank()).collect(),
    };
    let scales = if call.given(2) { call.numbers(2)? } else { Vec::new() };
    let mut axes = if scales.is_empty() { sized(call, x, &listed)? } else { scaled(x, &listed, &scales)? };
    let way = Way::new(call)?;
    if way.transform == "tf_crop_and_resize" {
        let roi = call.numbers(1)?;
        if roi.len() != 2 * axes.len() {
            return Err(Error::operator(format!("a region of {} numbers for {} axes", roi.len(), axes.len())));
        }
        let count = axes.len();
        axes.iter_mut().enumerate().for_each(|(at, axis)| axis.roi = (roi[at], roi[at + count]));
    }
    one(resized(x, &axes, &way)?)
}

fn scaled(x: &Tensor, listed: &[usize], scales: &[f64]) -> Result<Vec<Axis>> {
    if scales.len() != listed.len() || listed.iter().any(|&axis| axis >= x.rank()) {
        return Err(Error::operator(format!("{} scales for {} axes of {:?}", scales.len(), listed.len(), x.shape())));
    }
    let axis = |(&axis, &scale): (&usize, &f64)| {
        let length = x.shape()[axis];
        let new = (length as f64 * scale).floor();
        if scale.is_nan() || scale <= 0.0 || new > LONGEST {
            return Err(limit(format!("a scale of {scale} makes {new} of {length} elements")));
        }
        Ok(Axis { axis, scale, length, new: new as usize, roi: (0.0, 1.0) })
    };
    listed.iter().zip(scales).map(axis).collect()
}

/// Scales from sizes: of each axis its own, or one for all that keeps within or around what is asked for.
fn sized(call: &Call, x: &Tensor, listed: &[usize]) -> Result<Vec<Axis>> {
    let wanted = sizes(&call.whole_numbers(3)?)?;
    if wanted.len() != listed.len() {
        return Err(Error::operator(format!("{} sizes for {} axes", wanted.len(), listed.len())));
    }
    let own: Vec<f64> = listed.iter().zip(&wanted).map(|(&axis, &new)| new as f64 / x.shape()[axis] as f64).collect();
    let joint = match call.text_or("keep_aspect_ratio_policy", "stretch")?.as_str() {
        "stretch" => None,
        "not_larger" => Some(own.iter().copied().fold(f64::INFINITY, f64::min)),
        "not_smaller" => Some(own.iter().copied().fold(0.0, f64::max)),
        other => return Err(Error::operator(format!("there is no keep_aspect_ratio_policy '{other}'"))),
    };
    let axis = |at: usize| {
        let (axis, length) = (listed[at], x.shape()[listed[at]]);
        match joint {
            None => Axis { axis, scale: own[at], length, new: wanted[at], roi: (0.0, 1.0) },
            Some(scale) => Axis { axis, scale, length, new: (scale * length as f64 + 0.5).floor().min(LONGEST) as usize, roi: (0.0, 1.0) },
        }
    };
    Ok((0..listed.len()).map(axis).collect())
}

impl Way {
    fn new(call: &Call) -> Result<Way> {
        Ok(Way {
            mode: call.text_or("mode", "nearest")?,
            transform: call.text_or("coordinate_transformation_mode", "half_pixel")?,
            nearest: call.text_or("nearest_mode", "round_prefer_floor")?,
            cubic: call.float_or("cubic_coeff_a", -0.75)?,
            exclude_outside: call.flag("exclude_outside")?,
            antialias: call.flag("antialias")?,
            extrapolation: call.float_or("extrapolation_value", 0.0)?,
        })
    }

    /// As it was before there was a choice.
    fn old(mode: String) -> Way {
        let (transform, nearest) = ("asymmetric".into(), "floor".into());
        Way { mode, transform, nearest, cubic: -0.75, exclude_outside: false, antialias: false, extrapolation: 0.0 }
    }

    /// Where element `at` of the new axis lies in the old one.
    fn position(&self, axis: &Axis, at: usize) -> Result<f64> {
        let (x, old, new) = (at as f64, axis.length as f64, axis.scale * axis.length as f64);
        Ok(match self.transform.as_str() {
            "align_corners" if new == 1.0 => 0.0,
            "align_corners" => x * (old - 1.0) / (new - 1.0),
            "asymmetric" => x / axis.scale,
            "tf_crop_and_resize" => {
                let (start, end) = axis.roi;
                start * (old - 1.0)
                    + if new == 1.0 { (end - start) * (old - 1.0) / 2.0 } else { x * (end - start) * (old - 1.0) / (new - 1.0) }
            }
            "tf_half_pixel_for_nn" => (x + 0.5) / axis.scale,
            "pytorch_half_pixel" if new == 1.0 => -0.5,
            "half_pixel" | "pytorch_half_pixel" => (x + 0.5) / axis.scale - 0.5,
            "half_pixel_symmetric" => old / 2.0 * (1.0 - axis.new as f64 / new) + (x + 0.5) / axis.scale - 0.5,
            other => return Err(Error::operator(format!("there is no coordinate_transformation_mode '{other}'"))),
        })
    }

    /// How the neighbours around a position are weighted: the first one's distance, and the weights. `ratio` lies above 0
    /// and up to 1: how far the position is from the neighbour of distance 0.
    fn weights(&self, ratio: f64, scale: f64) -> Result<(i64, Vec<f64>)> {
        let shrink = if self.antialias { scale.min(1.0) } else { 1.0 };
        let (radius, kernel): (f64, Box<dyn Fn(f64) -> f64>) = match self.mode.as_str() {
            "nearest" => {
                let right = match self.nearest.as_str() {
                    _ if ratio == 1.0 => true,
                    "round_prefer_floor" => ratio > 0.5,
                    "round_prefer_ceil" => ratio >= 0.5,
                    "floor" => false,
                    "ceil" => true,
                    other => return Err(Error::operator(format!("there is no nearest_mode '{other}'"))),
                };
                return Ok((right as i64, vec![1.0]));
            }
            "linear" | "bilinear" | "trilinear" => (1.0, Box::new(|x: f64| (1.0 - x.abs()).max(0.0))),
            // Keys, "Cubic convolution interpolation for digital image processing" (1981).
            "cubic" => (2.0, Box::new(|x: f64| keys(x.abs(), self.cubic))),
            other => return Err(Error::operator(format!("there is no mode '{other}'"))),
        };
        let first = (-radius / shrink).floor() as i64 + 1;
        let weights: Vec<f64> = (first..2 - first).map(|at| kernel(shrink * (at as f64 - ratio))).collect();
        let sum: f64 = if self.antialias { weights.iter().sum() } else { 1.0 };
        Ok((first, weights.iter().map(|weight| weight / sum).collect()))
    }
}

fn keys(x: f64, a: f64) -> f64 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

fn resized(x: &Tensor, axes: &[Axis], way: &Way) -> Result<Tensor> {
    if x.is_empty() {
        return Err(Error::operator(format!("{:?} has no elements to resize", x.shape())));
    }
    axes.iter().try_fold(x.clone(), |x, axis| along(&x, axis, way))
}

/// One axis resized: the sum over neighbours, each gathered for the whole axis.
fn along(x: &Tensor, axis: &Axis, way: &Way) -> Result<Tensor> {
    let crops = way.transform == "tf_crop_and_resize";
    if axis.scale == 1.0 && axis.new == axis.length && !crops {
        return Ok(x.clone());
    }
    let (mut places, mut weights): (Vec<Vec<i64>>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
    let mut outside = Vec::new();
    for at in 0..entries(axis.new, "elements of an axis")? {
        let position = way.position(axis, at)?;
        outside.push(crops && (position < 0.0 || position > axis.length as f64 - 1.0));
        let base = position.ceil() - 1.0;
        let (first, mut row) = way.weights(position - base, axis.scale)?;
        let place = |tap: usize| (base as i64).saturating_add(first + tap as i64);
        if way.exclude_outside {
            let inside = |tap: usize| (0..axis.length as i64).contains(&place(tap));
            (0..row.len()).filter(|&tap| !inside(tap)).for_each(|tap| row[tap] = 0.0);
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|weight| *weight /= sum);
        }
        while places.len() < row.len() {
            places.push(vec![0; at]);
            weights.push(vec![0.0; at]);
        }
        for tap in 0..places.len() {
            places[tap].push(place(tap).clamp(0, axis.length as i64 - 1));
            weights[tap].push(row.get(tap).copied().unwrap_or(0.0));
        }
    }
    if axis.new == 0 {
        return Ok(x.slice(axis.axis as isize, 0..0));
    }
    let spread = |vector: Tensor| vector.reshape([&[axis.new][..], &vec![1; x.rank() - axis.axis - 1]].concat());
    let wide = if x.dtype().is_float() || way.mode == "nearest" { x.clone() } else { x.cast(DType::F32) };
    let picked = |tap: usize| wide.index_select(axis.axis as isize, &vector(&places[tap]));
    let y = if way.mode == "nearest" {
        picked(0)
    } else {
        let term = |tap: usize| picked(tap) * spread(Tensor::f64(weights[tap].clone()).cast(wide.dtype()));
        (0..places.len()).map(term).reduce(|a, b| a + b).unwrap_or_else(|| wide.clone()).cast(x.dtype())
    };
    if !outside.contains(&true) {
        return Ok(y);
    }
    let beyond = spread(Tensor::from_slice(&outside, [axis.new]));
    Ok(beyond.select(&Tensor::scalar(way.extrapolation, x.dtype()), &y))
}
