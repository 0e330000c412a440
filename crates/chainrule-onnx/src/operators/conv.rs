//! Convolutions and their transposes, over one, two or three axes.

use super::windows::{Windows, listed, spatial};
use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, one, size};
use chainrule::Tensor;
use chainrule::functions::{
    ConvOptions, ConvTransposeOptions, Layout, Padding, conv_transpose1d, conv_transpose2d, conv_transpose3d, conv1d, conv2d, conv3d,
};

type Outcome = Result<Vec<Value>>;

fn options<const D: usize>(windows: &Windows, groups: usize) -> ConvOptions<D> {
    ConvOptions {
        stride: std::array::from_fn(|d| windows.stride[d]),
        padding: Padding::Sides(std::array::from_fn(|d| [windows.pads[d].0, windows.pads[d].1])),
        dilation: std::array::from_fn(|d| windows.dilation[d]),
        groups,
        layout: Layout::ChannelsFirst,
    }
}

/// One number for each channel added.
fn with_bias(y: Tensor, bias: Option<&Tensor>) -> Tensor {
    match bias {
        Some(bias) if y.error().is_none() => {
            let spread = [&[bias.len()][..], &vec![1; y.rank().saturating_sub(2)]].concat();
            y + bias.reshape(spread)
        }
        _ => y,
    }
}

pub fn conv(call: &Call) -> Outcome {
    let (x, w) = (call.tensor(0)?, call.tensor(1)?);
    one(with_bias(convolved(call, x, w)?, call.optional(2)?))
}

/// `x` convolved with `w` as the node's attributes say.
pub fn convolved(call: &Call, x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let lengths = spatial(x)?;
    let kernel = spatial(w)?.to_vec();
    let groups = size(call.integer_or("group", 1)?, "group")?;
    let windows = Windows::new(call, lengths, kernel)?;
    match lengths.len() {
        1 => Ok(conv1d(x, w, &options(&windows, groups))),
        2 => Ok(conv2d(x, w, &options(&windows, groups))),
        3 => Ok(conv3d(x, w, &options(&windows, groups))),
        axes => Err(Error::unsupported(format!("a convolution over {axes} axes; one to three are known"))),
    }
}

/// How much of a transposed convolution's whole output is cut off, or missing, at both ends of an axis.
fn cuts(call: &Call, lengths: &[usize], whole: &[usize], stride: &[usize]) -> Result<Vec<(i64, i64)>> {
    let axes = lengths.len();
    let pads = listed(call, "pads", 2 * axes, 0)?;
    let extra = listed(call, "output_padding", axes, 0)?;
    let mode = call.text_or("auto_pad", "NOTSET")?;
    let wanted = match call.integers("output_shape")? {
        // It may list the first two axes, too.
        Some(shape) => Some(super::shape::sizes(&shape[shape.len().saturating_sub(axes)..])?),
        None if mode.starts_with("SAME") => Some((0..axes).map(|d| lengths[d].saturating_mul(stride[d])).collect()),
        None => None,
    };
    (0..axes)
        .map(|d| {
            let whole = whole[d].saturating_add(extra[d]).min(i64::MAX as usize) as i64;
            let Some(wanted) = &wanted else {
                let (low, high) = if mode == "VALID" { (0, 0) } else { (pads[d] as i64, pads[d + axes] as i64) };
                return Ok((low, high - extra[d] as i64));
            };
            let wanted = wanted.get(d).copied().ok_or_else(|| Error::operator("attribute 'output_shape' is too short"))?;
            let total = whole.saturating_sub(wanted.min(i64::MAX as usize) as i64);
            let small = total / 2;
            let (low, high) = if mode == "SAME_LOWER" { (total - small, small) } else { (small, total - small) };
            Ok((low, high - extra[d] as i64))
        })
        .collect()
}

pub fn conv_transpose(call: &Call) -> Outcome {
    let (x, w) = (call.tensor(0)?, call.tensor(1)?);
    let lengths = spatial(x)?;
    let axes = lengths.len();
    let (stride, dilation) = (listed(call, "strides", axes, 1)?, listed(call, "dilations", axes, 1)?);
    let groups = size(call.integer_or("group", 1)?, "group")?;
    let whole = match axes {
        1 => conv_transpose1d(x, w, &transposed(&stride, &dilation, groups)),
        2 => conv_transpose2d(x, w, &transposed(&stride, &dilation, groups)),
        3 => conv_transpose3d(x, w, &transposed(&stride, &dilation, groups)),
        axes => return Err(Error::unsupported(format!("a transposed convolution over {axes} axes; one to three are known"))),
    };
    if whole.error().is_some() {
        return one(whole);
    }
    let mut y = whole.clone();
    let mut widths = vec![(0, 0); y.rank()];
    for (d, (low, high)) in cuts(call, lengths, &whole.shape()[2..], &stride)?.into_iter().enumerate() {
        let length = y.shape()[d + 2] as i64;
        let (start, stop) = (low.max(0), length - high.max(0));
        if stop < start {
            return Err(Error::operator(format!("pads leave nothing of {length} elements along axis {}", d + 2)));
        }
        y = y.slice(d as isize + 2, start..stop);
        widths[d + 2] = ((-low).max(0) as usize, (-high).max(0) as usize);
    }
    one(with_bias(y.pad(&widths), call.optional(2)?))
}

fn transposed<const D: usize>(stride: &[usize], dilation: &[usize], groups: usize) -> ConvTransposeOptions<D> {
    ConvTransposeOptions {
        stride: std::array::from_fn(|d| stride[d]),
        dilation: std::array::from_fn(|d| dilation[d]),
        groups,
        ..ConvTransposeOptions::default()
    }
}

/// Every channel convolved along time with the past in front, which is given and given back.
pub fn causal_conv_with_state(call: &Call) -> Outcome {
    let (x, w) = (call.tensor(0)?, call.tensor(1)?);
    let (&[n, channels, length], Some(&kernel)) = (x.shape(), w.shape().last()) else {
        return Err(Error::operator(format!("takes [n, c, length], not {:?}", x.shape())));
    };
    let before = kernel.saturating_sub(1);
    let past = match call.optional(3)? {
        Some(past) => past.clone(),
        None => Tensor::full([n, channels, before], 0.0, x.dtype()),
    };
    let whole = Tensor::concat(&[&past, x], 2);
    let options = ConvOptions { groups: channels, ..ConvOptions::<1>::default() };
    let mut y = with_bias(conv1d(&whole, w, &options), call.optional(2)?);
    match call.text_or("activation", "none")?.as_str() {
        "none" | "" => {}
        "silu" | "swish" => y = y.silu(),
        other => return Err(Error::operator(format!("there is no activation '{other}'"))),
    }
    Ok(vec![y.into(), whole.slice(2, length..length + before).into()])
}
