//! What convolutions and pools have in common: how windows lie over the axes that they slide along.
//!
//! ONNX says it with `kernel_shape`, `strides`, `dilations`, `pads` and `auto_pad`.

use crate::error::{Error, Result};
use crate::record::call::{Call, size};
use chainrule::Tensor;
use chainrule::ops::Window;
use chainrule::ops::movement::Axes;

/// Windows over the axes after the first two.
#[derive(Clone)]
pub struct Windows {
    pub kernel: Vec<usize>,
    pub stride: Vec<usize>,
    pub dilation: Vec<usize>,
    /// What lies around, before and after.
    pub pads: Vec<(usize, usize)>,
    /// How many windows there are along each axis.
    pub count: Vec<usize>,
}

/// The largest kernel, stride, dilation or padding: products of two are far from overflow.
const WIDEST: usize = 1 << 31;

/// A list with an entry for each of `axes` axes, or what stands for it.
pub fn listed(call: &Call, name: &str, axes: usize, default: i64) -> Result<Vec<usize>> {
    let values = call.integers(name)?.unwrap_or_else(|| vec![default; axes]);
    if values.len() != axes {
        return Err(Error::operator(format!("attribute '{name}' has {} entries for {axes} axes", values.len())));
    }
    let fits = |value: usize| {
        if value <= WIDEST { Ok(value) } else { Err(Error::operator(format!("attribute '{name}' has an entry of {value}"))) }
    };
    values.iter().map(|&value| size(value, name).and_then(fits)).collect()
}

impl Windows {
    /// The windows of a node over axes of these lengths.
    pub fn new(call: &Call, lengths: &[usize], kernel: Vec<usize>) -> Result<Windows> {
        let axes = lengths.len();
        let (stride, dilation) = (listed(call, "strides", axes, 1)?, listed(call, "dilations", axes, 1)?);
        if kernel.len() != axes
            || kernel.iter().any(|&size| size > WIDEST)
            || [&kernel, &stride, &dilation].iter().any(|list| list.contains(&0))
        {
            return Err(Error::operator(format!("kernel {kernel:?}, strides {stride:?} and dilations {dilation:?} over {axes} axes")));
        }
        let ceil = call.flag("ceil_mode")?;
        let mode = call.text_or("auto_pad", "NOTSET")?;
        let mut windows = Windows { kernel, stride, dilation, pads: Vec::new(), count: Vec::new() };
        let listed = listed(call, "pads", 2 * axes, 0)?;
        for axis in 0..axes {
            let (pads, count) = windows.along(axis, lengths[axis], (listed[axis], listed[axis + axes]), &mode, ceil)?;
            windows.pads.push(pads);
            windows.count.push(count);
        }
        Ok(windows)
    }

    /// How many elements a window spans.
    pub fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1).saturating_mul(self.dilation[axis]).saturating_add(1)
    }

    /// What lies around an axis, and how many windows lie along it.
    fn along(&self, axis: usize, length: usize, listed: (usize, usize), mode: &str, ceil: bool) -> Result<((usize, usize), usize)> {
        let (reach, stride) = (self.reach(axis), self.stride[axis]);
        let fitting = |pads: (usize, usize)| -> Result<usize> {
            let whole = length.saturating_add(pads.0).saturating_add(pads.1);
            let Some(room) = whole.checked_sub(reach) else {
                let message = format!("a window of {reach} does not fit {length} elements padded by {pads:?}, axis {}", axis + 2);
                return Err(Error::operator(message));
            };
            if !ceil {
                return Ok(room / stride + 1);
            }
            let count = room.div_ceil(stride) + 1;
            // A window that would start in the padding behind is left out.
            Ok(if (count - 1) * stride >= length + pads.0 { count - 1 } else { count })
        };
        match mode {
            "VALID" => Ok(((0, 0), fitting((0, 0))?)),
            "SAME_UPPER" | "SAME_LOWER" => {
                let count = length.div_ceil(stride);
                let span = count.saturating_sub(1).saturating_mul(stride).saturating_add(reach);
                let pad = span.saturating_sub(length);
                let small = pad / 2;
                Ok((if mode == "SAME_UPPER" { (small, pad - small) } else { (pad - small, small) }, count))
            }
            "NOTSET" | "" => Ok((listed, fitting(listed)?)),
            other => Err(Error::operator(format!("there is no auto_pad '{other}'"))),
        }
    }

    /// Pairs of widths for every axis of a tensor, the first two without; enough for the last window to end within.
    pub fn widths(&self, lengths: &[usize]) -> Vec<(usize, usize)> {
        let wide = |axis: usize| {
            let (low, high) = self.pads[axis];
            let needed = (self.count[axis].max(1) - 1) * self.stride[axis] + self.reach(axis);
            (low, high.max(needed.saturating_sub(low + lengths[axis])))
        };
        [(0, 0); 2].into_iter().chain((0..lengths.len()).map(wide)).collect()
    }

    /// The windows of a padded tensor `[n, c, ..]`: `[n, c, windows.., kernel..]`.
    pub fn of(&self, padded: &Tensor) -> Tensor {
        let axes = self.kernel.len();
        let axes_of = |list: &[usize]| Axes::from_slice(list);
        // Padding may leave room for more windows than there are.
        let mut exact = padded.clone();
        for axis in 0..axes {
            let needed = (self.count[axis].max(1) - 1) * self.stride[axis] + self.reach(axis);
            exact = exact.slice(axis as isize + 2, 0..needed);
        }
        let window = Window {
            axes: (2..2 + axes).collect(),
            sizes: axes_of(&self.kernel),
            strides: axes_of(&self.stride),
            dilations: axes_of(&self.dilation),
        };
        Tensor::record(window, [exact])
    }

    /// The axes within a window, once windows are taken.
    pub fn within(&self) -> Vec<isize> {
        let axes = self.kernel.len() as isize;
        (2 + axes..2 + 2 * axes).collect()
    }
}

/// The sizes of the axes that windows slide along.
pub fn spatial(x: &Tensor) -> Result<&[usize]> {
    match x.shape() {
        [_, _, lengths @ ..] if !lengths.is_empty() => Ok(lengths),
        shape => Err(Error::operator(format!("takes [n, c, ..] with axes to slide along, not {shape:?}"))),
    }
}
