//! Images read between their elements: grids, regions, and convolutions whose windows are bent.
//!
//! What is read has a derivative by the image and by the place; a place on an element's edge has that of one side.

use super::shape::{sizes, volume};
use super::windows::listed;
use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, limit, one, size};
use chainrule::functions::{self, GridMode, GridOptions, GridPadding};
use chainrule::ops::Gather;
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// The elements of `image` `[n, c, h * w]` at the places `index` `[n, points]`: `[n, points, c]`.
fn pick(image: &Tensor, index: &Tensor) -> Tensor {
    Tensor::record(Gather { batch: 1 }, [image.transpose(1, 2), index.clone()])
}

/// The four neighbours of places in pixels, `[n, points]` each, of an image `[n, c, h, w]`: of each its values
/// `[n, points, c]` and its weight `[n, points]`. Outside, weights are 0.
fn neighbours(image: &Tensor, y: &Tensor, x: &Tensor) -> Vec<(Tensor, Tensor)> {
    let &[n, c, h, w] = image.shape() else { return Vec::new() };
    let flat = image.reshape([n, c, h * w]);
    let (top, left) = (y.floor(), x.floor());
    let (down, right) = (y - &top, x - &left);
    let mut all = Vec::with_capacity(4);
    for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let (row, column) = (&top + dy, &left + dx);
        let inside = |at: &Tensor, size: usize| {
            let last = Tensor::full(at.shape(), size as f64 - 1.0, at.dtype());
            at.greater_equal(&at.zeros_like()) & at.less_equal(&last)
        };
        let hit = inside(&row, h) & inside(&column, w);
        let index = (row * w as f64 + column).cast(DType::I64);
        let weight = |far: bool, part: &Tensor| if far { part.clone() } else { 1.0 - part };
        let weight = weight(dy == 1, &down) * weight(dx == 1, &right);
        let zero = index.zeros_like();
        all.push((pick(&flat, &hit.select(&index, &zero)), hit.select(&weight, &weight.zeros_like())));
    }
    all
}

/// The image between its elements, `[n, points, c]`.
fn bilinear(image: &Tensor, y: &Tensor, x: &Tensor) -> Tensor {
    let terms = neighbours(image, y, x).into_iter().map(|(value, weight)| value * weight.unsqueeze(-1));
    terms.reduce(|a, b| a + b).unwrap_or_else(|| image.clone())
}

/// The places of an affine transformation of every element of an image, from -1 to 1.
pub fn affine_grid(call: &Call) -> Outcome {
    let size = sizes(&call.whole_numbers(1)?)?;
    let lengths = size.get(2..).ok_or_else(|| Error::operator(format!("{size:?} are not the sizes of images, [n, c, ..]")))?;
    if volume(lengths) > 1 << 31 {
        return Err(limit(format!("a grid of {lengths:?} places")));
    }
    one(functions::affine_grid(call.tensor(0)?, lengths, call.flag("align_corners")?))
}

/// An image read at the places of a grid.
pub fn grid_sample(call: &Call) -> Outcome {
    let mode = match call.text_or("mode", "linear")?.as_str() {
        "linear" | "bilinear" => GridMode::Bilinear,
        "nearest" => GridMode::Nearest,
        "cubic" | "bicubic" => GridMode::Bicubic,
        other => return Err(Error::operator(format!("there is no mode '{other}'"))),
    };
    let padding = match call.text_or("padding_mode", "zeros")?.as_str() {
        "zeros" => GridPadding::Zeros,
        "border" => GridPadding::Border,
        "reflection" => GridPadding::Reflection,
        other => return Err(Error::operator(format!("there is no padding_mode '{other}'"))),
    };
    let options = GridOptions { mode, padding, align_corners: call.flag("align_corners")? };
    one(functions::grid_sample(call.tensor(0)?, &call.tensor(1)?.cast(call.tensor(0)?.dtype()), &options))
}

/// How a region is read: the cells of a result, and how many places are read in each.
struct Cells {
    h: usize,
    w: usize,
    /// Places in a cell, down and across.
    places: (usize, usize),
}

/// Regions of images, each divided in cells that are read at a few places: He et al., "Mask R-CNN" (2017).
pub fn roi_align(call: &Call) -> Outcome {
    let (image, rois, batch) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let &[_, channels, _, _] = image.shape() else { return Err(Error::operator(format!("takes [n, c, h, w], not {:?}", image.shape()))) };
    let (h, w) = (size(call.integer_or("output_height", 1)?, "output_height")?, size(call.integer_or("output_width", 1)?, "output_width")?);
    let ratio = size(call.integer_or("sampling_ratio", 0)?, "sampling_ratio")?;
    // Until operator set 16, regions were not moved by half an element.
    let half =
        call.text_or("coordinate_transformation_mode", if call.version < 16 { "output_half_pixel" } else { "half_pixel" })? == "half_pixel";
    let scale = call.float_or("spatial_scale", 1.0)?;
    let corners = rois * scale - if half { 0.5 } else { 0.0 };
    let at = |k: isize| corners.index(1, k);
    let (left, top) = (at(0), at(1));
    let extent = |low: &Tensor, high: &Tensor| if half { high - low } else { (high - low).clamp_min(1.0) };
    let (wide, high) = (extent(&left, &at(2)), extent(&top, &at(3)));
    // Without a ratio, a cell is read as often as it has elements: known now, and regions of one number together.
    let counts = |size: &Tensor, cells: usize| -> Result<Vec<usize>> {
        let sizes = size.to_data()?.to_f64();
        Ok(sizes.iter().map(|size| if ratio > 0 { ratio } else { (size / cells as f64).ceil().clamp(0.0, 4096.0) as usize }).collect())
    };
    let (down, across) = (counts(&high, h.max(1))?, counts(&wide, w.max(1))?);
    let mut parts: Vec<Option<Tensor>> = vec![None; down.len()];
    for first in 0..parts.len() {
        if parts[first].is_some() {
            continue;
        }
        let alike: Vec<usize> = (first..parts.len()).filter(|&k| (down[k], across[k]) == (down[first], across[first])).collect();
        let index = super::shape::vector(&alike.iter().map(|&k| k as i64).collect::<Vec<_>>());
        let of = |x: &Tensor| x.gather(&index);
        let cells = Cells { h, w, places: (down[first], across[first]) };
        let images = image.gather(&of(&batch.cast(DType::I64)));
        let read = cells.read(&images, [&of(&top), &of(&high)], [&of(&left), &of(&wide)], &call.text_or("mode", "avg")?)?;
        alike.iter().enumerate().for_each(|(at, &k)| parts[k] = Some(read.index(0, at as isize)));
    }
    let parts: Vec<&Tensor> = parts.iter().flatten().collect();
    one(if parts.is_empty() { Tensor::full([0, channels, h, w], 0.0, image.dtype()) } else { Tensor::stack(&parts, 0) })
}

impl Cells {
    /// Of each image a region, `[n, c, h, w]`; `rows` and `columns` are where regions start and how far they reach.
    fn read(&self, images: &Tensor, rows: [&Tensor; 2], columns: [&Tensor; 2], mode: &str) -> Result<Tensor> {
        let (n, channels, dtype) = (images.shape()[0], images.shape()[1], images.dtype());
        let (down, across) = self.places;
        if down * across == 0 {
            return Ok(Tensor::full([n, channels, self.h, self.w], 0.0, dtype));
        }
        // Places along one axis, [n, cells * places].
        let along = |[start, extent]: [&Tensor; 2], cells: usize, places: usize| {
            let steps = (Tensor::arange(cells * places, dtype) + 0.5) / (cells * places) as f64;
            start.unsqueeze(1) + extent.unsqueeze(1) * steps
        };
        let (y, x) = (along(rows, self.h, down), along(columns, self.w, across));
        let shape = [n, self.h * down, self.w * across];
        let flat = |x: Tensor| x.broadcast_to(shape).reshape([n, shape[1] * shape[2]]);
        let (y, x) = (flat(y.unsqueeze(2)), flat(x.unsqueeze(1)));
        let limits = [images.shape()[2] as f64, images.shape()[3] as f64];
        let bound = |at: &Tensor, value: f64| Tensor::full(at.shape(), value, dtype);
        let outside = |at: &Tensor, size: f64| at.less(&bound(at, -1.0)) | bound(at, size).less(at);
        let out = outside(&y, limits[0]) | outside(&x, limits[1]);
        let inner = neighbours(images, &y.clamp(0.0, limits[0] - 1.0), &x.clamp(0.0, limits[1] - 1.0));
        let terms = inner.into_iter().map(|(value, weight)| value * weight.unsqueeze(-1));
        let joined = if mode == "max" { terms.reduce(|a, b| a.maximum(&b)) } else { terms.reduce(|a, b| a + b) };
        let values = joined.ok_or_else(|| Error::operator("there is no image"))?;
        let values = out.unsqueeze(-1).select(&values.zeros_like(), &values);
        let cells = values.reshape([n, self.h, down, self.w, across, channels]);
        let y = match mode {
            "max" => cells.max_over(&[2, 4]),
            "avg" => cells.mean_over(&[2, 4]),
            other => return Err(Error::operator(format!("there is no mode '{other}'"))),
        };
        Ok(y.permute([0, 3, 1, 2]))
    }
}

/// A convolution whose windows are bent by offsets, and weighted by a mask: Dai et al. (2017), Zhu et al. (2019).
pub fn deform_conv(call: &Call) -> Outcome {
    let (image, w, offset) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (&[n, channels, _, _], &[outer, inner, kh, kw], &[_, bends, oh, ow]) = (image.shape(), w.shape(), offset.shape()) else {
        return Err(Error::unsupported(format!("takes [n, c, h, w], not {:?}", image.shape())));
    };
    let (stride, dilation, pads) = (listed(call, "strides", 2, 1)?, listed(call, "dilations", 2, 1)?, listed(call, "pads", 4, 0)?);
    let groups = size(call.integer_or("group", 1)?, "group")?;
    let parts = size(call.integer_or("offset_group", 1)?, "offset_group")?;
    if groups == 0
        || parts == 0
        || inner * groups != channels
        || outer % groups != 0
        || channels % parts != 0
        || bends != parts * kh * kw * 2
    {
        let message =
            format!("{:?} with kernels {:?} in {groups} groups and offsets {:?} in {parts}", image.shape(), w.shape(), offset.shape());
        return Err(Error::operator(message));
    }
    let bends = offset.reshape([n, parts, kh * kw, 2, oh, ow]);
    // Where an element of a window lies without its offset, [window, oh, ow].
    let plain = |axis: usize, windows: usize, k: Tensor| {
        let step = Tensor::arange(windows, image.dtype()) * stride[axis] as f64 - pads[axis] as f64;
        k * dilation[axis] as f64 + step.reshape(if axis == 0 { [1, windows, 1] } else { [1, 1, windows] })
    };
    let window = |count: usize, each: usize, repeat: usize| {
        Tensor::arange(count, image.dtype()).repeat(each, 0).tile(&[repeat]).reshape([kh * kw, 1, 1])
    };
    let (rows, columns) = (plain(0, oh, window(kh, kw, 1)), plain(1, ow, window(kw, 1, kh)));
    let mask = call.optional(4)?.map(|mask| mask.reshape([n, parts, kh * kw * oh * ow, 1]));
    let each = channels / parts;
    let mut read = Vec::new();
    for part in 0..parts {
        let bend = bends.index(1, part as isize);
        let place = |k: isize, plain: &Tensor| (bend.index(2, k) + plain).reshape([n, kh * kw * oh * ow]);
        let image = image.slice(1, part * each..(part + 1) * each);
        let values = bilinear(&image, &place(0, &rows), &place(1, &columns));
        read.push(match &mask {
            Some(mask) => values * mask.index(1, part as isize),
            None => values,
        });
    }
    // [n, window * oh * ow, c] to [n, groups, inner, window, oh * ow].
    let all = Tensor::concat(&read.iter().collect::<Vec<_>>(), 2);
    let all = all.permute([0, 2, 1]).reshape([n, groups, inner, kh * kw, oh * ow]);
    let y = all.einsum("ngckp,gock->ngop", &w.reshape([groups, outer / groups, inner, kh * kw])).reshape([n, outer, oh, ow]);
    one(match call.optional(3)? {
        Some(bias) => y + bias.reshape([outer, 1, 1]),
        None => y,
    })
}
