//! Signals: Fourier transforms of whole axes and of frames, windows, filters on the mel scale.
//!
//! Complex numbers lie in a last axis of two: the engine's element types are real.

use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, entries, limit, one, size};
use chainrule::functions::{Complex, Norm};
use chainrule::{DType, Tensor};
use std::f64::consts::PI;

type Outcome = Result<Vec<Value>>;

/// The parts of numbers whose last axis holds one (real) or two.
fn parts(x: &Tensor) -> Result<Complex> {
    match x.shape().last() {
        Some(1) => {
            let re = x.index(-1, 0);
            Ok(Complex { im: re.zeros_like(), re })
        }
        Some(2) => Ok(Complex { re: x.index(-1, 0), im: x.index(-1, 1) }),
        _ => Err(Error::operator(format!("the last axis holds a real number or a complex one, 1 or 2 elements, not {:?}", x.shape()))),
    }
}

fn joined(x: &Complex) -> Tensor {
    Tensor::stack(&[&x.re, &x.im], -1)
}

/// An axis cut, or filled up with zeros, to a length.
fn of_length(x: &Tensor, axis: usize, length: usize) -> Tensor {
    let now = x.shape()[axis];
    let mut widths = vec![(0, 0); x.rank()];
    widths[axis].1 = length.saturating_sub(now);
    x.slice(axis as isize, 0..length.min(now)).pad(&widths)
}

fn both(x: &Complex, change: impl Fn(&Tensor) -> Tensor) -> Complex {
    Complex { re: change(&x.re), im: change(&x.im) }
}

/// The axis is an attribute until operator set 20, then an input.
pub fn dft(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let axis = if call.version >= 20 { call.number(2)?.map_or(-2, |axis| axis as i64) } else { call.integer_or("axis", 1)? };
    let axis = call.axis(axis, x.rank())?;
    if axis + 1 == x.rank() {
        return Err(Error::operator(format!("axis {axis} of {:?} holds the parts of complex numbers", x.shape())));
    }
    let (inverse, onesided) = (call.flag("inverse")?, call.flag("onesided")?);
    let now = x.shape()[axis];
    let length = match call.number(1)? {
        Some(length) => size(length as i64, "dft_length")?,
        None if inverse && onesided => 2 * now.max(1) - 2,
        None => now,
    };
    entries(length, "elements to transform")?;
    let x = parts(x)?;
    if inverse && onesided {
        let half = both(&x, |x| of_length(x, axis, length / 2 + 1));
        return one(half.irfft(length, axis as isize, Norm::Backward).unsqueeze(-1));
    }
    let x = both(&x, |x| of_length(x, axis, length));
    one(joined(&if inverse {
        x.ifft(axis as isize, Norm::Backward)
    } else if onesided {
        both(&x.fft(axis as isize, Norm::Backward), |x| x.slice(axis as isize, 0..length / 2 + 1))
    } else {
        x.fft(axis as isize, Norm::Backward)
    }))
}

/// Of frames of a signal `[n, length, 1 or 2]`, each weighted by a window: `[n, frames, frequencies, 2]`.
pub fn stft(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let step = size(call.number(1)?.unwrap_or(0.0) as i64, "frame_step")?;
    let window = call.optional(2)?;
    let length = match (call.number(3)?, window) {
        (Some(length), _) => size(length as i64, "frame_length")?,
        (None, Some(window)) => window.len(),
        (None, None) => return Err(Error::operator("neither a window nor the length of a frame is given")),
    };
    let signal = x.shape().get(1).copied().unwrap_or(0);
    if x.rank() != 3 || step == 0 || length == 0 || length > signal {
        return Err(Error::operator(format!("frames of {length}, {step} apart, of {:?}", x.shape())));
    }
    let frames = entries((signal - length) / step + 1, "frames")?;
    let index = (Tensor::arange(frames, DType::I64) * step as f64).unsqueeze(1) + Tensor::arange(length, DType::I64);
    let framed = both(&parts(x)?, |x| x.index_select(1, &index));
    let weighted = match window {
        Some(window) => both(&framed, |x| x * window),
        None => framed,
    };
    let all = weighted.fft(2, Norm::Backward);
    let kept = if call.integer_or("onesided", 1)? != 0 { length / 2 + 1 } else { length };
    one(joined(&both(&all, |x| x.slice(2, 0..kept))))
}

/// A window: a sum of cosines, `a[0] - a[1] cos(x) + a[2] cos(2 x) ..`, over one period or up to its end.
fn cosines(call: &Call, weights: &[f64]) -> Outcome {
    let count = entries(size(call.number(0)?.unwrap_or(0.0) as i64, "the size")?, "elements of a window")?;
    let whole = if call.integer_or("periodic", 1)? != 0 { count as f64 } else { count as f64 - 1.0 };
    let dtype = call.dtype("output_datatype")?.unwrap_or(call.recorder.float_type(DType::F32));
    let at = |n: usize| {
        let term =
            |(k, weight): (usize, &f64)| weight * (2.0 * PI * k as f64 * n as f64 / whole).cos() * if k % 2 == 1 { -1.0 } else { 1.0 };
        weights.iter().enumerate().map(term).sum::<f64>()
    };
    let values: Vec<f64> = (0..count).map(at).collect();
    one(Tensor::f64(values).cast(dtype))
}

pub fn hann_window(call: &Call) -> Outcome {
    cosines(call, &[0.5, 0.5])
}

pub fn hamming_window(call: &Call) -> Outcome {
    cosines(call, &[25.0 / 46.0, 21.0 / 46.0])
}

pub fn blackman_window(call: &Call) -> Outcome {
    cosines(call, &[0.42, 0.5, 0.08])
}

/// Triangles over frequencies, equally wide on the mel scale: `2595 log10(1 + f / 700)`, O'Shaughnessy (1987).
pub fn mel_weight_matrix(call: &Call) -> Outcome {
    let read = |index: usize| -> Result<f64> { call.number(index)?.ok_or_else(|| Error::operator(format!("input {index} is missing"))) };
    let bands = entries(size(read(0)? as i64, "num_mel_bins")?, "bands")?;
    let length = size(read(1)? as i64, "dft_length")?;
    let rows = length / 2 + 1;
    let (rate, low, high) = (read(2)?, read(3)?, read(4)?);
    entries(rows.saturating_mul(bands.max(1)), "weights")?;
    let mel = |f: f64| 2595.0 * (1.0 + f / 700.0).log10();
    let step = (mel(high) - mel(low)) / (bands as f64 + 2.0);
    let edges: Vec<f64> = (0..bands + 2)
        .map(|k| {
            let f = 700.0 * (10f64.powf((k as f64 * step + mel(low)) / 2595.0) - 1.0);
            ((length as f64 + 1.0) * f / rate).floor()
        })
        .collect();
    if edges.iter().any(|&edge| edge.is_nan() || edge < 0.0 || edge >= rows as f64) {
        return Err(limit(format!("edges of {low} and {high} Hz lie beyond the {rows} frequencies of a rate of {rate} Hz")));
    }
    let mut weights = vec![0.0; rows * bands];
    for (band, edge) in edges.windows(3).enumerate() {
        let [left, middle, right] = [edge[0], edge[1], edge[2]];
        for row in left as usize..=(right as usize).min(rows - 1) {
            let f = row as f64;
            let weight =
                if f <= middle { if middle > left { (f - left) / (middle - left) } else { 1.0 } } else { (right - f) / (right - middle) };
            // At the middle, the falling side counts where there is one.
            let weight = if f == middle && right > middle { 1.0 } else { weight };
            weights[row * bands + band] = weight;
        }
    }
    let dtype = call.dtype("output_datatype")?.unwrap_or(call.recorder.float_type(DType::F32));
    one(Tensor::from_slice(&weights, [rows, bands]).cast(dtype))
}
