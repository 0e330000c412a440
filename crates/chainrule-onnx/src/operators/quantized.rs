//! Numbers as bytes: scaled, rounded, and products of them. Of bytes only uint8 is an element type of the engine.
//!
//! Products are of whole numbers and exact. Rounding has derivative zero, so training through these operators stops
//! there: what is read in is for running, not for training.

use super::conv::convolved;
use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, one, several};
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// A scale or zero point of an axis of `x`, or of blocks of it, where it broadcasts.
fn spread(call: &Call, x: &Tensor, each: &Tensor) -> Result<Tensor> {
    if each.len() == 1 {
        return Ok(each.reshape(()));
    }
    let axis = call.axis(call.integer_or("axis", 1)?, x.rank())?;
    if each.rank() == x.rank() {
        let (length, blocks) = (x.shape()[axis], each.shape()[axis].max(1));
        let block = match call.integer_or("block_size", 0)? {
            block @ 1.. => block as usize,
            _ => length.div_ceil(blocks),
        };
        return Ok(each.repeat(block, axis as isize).slice(axis as isize, 0..length));
    }
    Ok(each.reshape([&[each.len()][..], &vec![1; x.rank() - axis - 1]].concat()))
}

fn bytes_only(dtype: DType) -> Result<()> {
    match dtype {
        DType::U8 => Ok(()),
        other => Err(Error::unsupported(format!("numbers quantised as {other}; uint8 is known"))),
    }
}

/// `round(x / scale) + zero`, kept between 0 and 255.
fn quantized(x: &Tensor, scale: &Tensor, zero: Option<&Tensor>) -> Tensor {
    let level = (x / scale.cast(x.dtype())).round();
    let level = match zero {
        Some(zero) => level + zero.cast(x.dtype()),
        None => level,
    };
    level.clamp(0.0, 255.0).cast(DType::U8)
}

pub fn quantize(call: &Call) -> Outcome {
    let (x, scale) = (call.tensor(0)?, call.tensor(1)?);
    let zero = call.optional(2)?;
    bytes_only(zero.map_or(call.dtype("output_dtype")?.unwrap_or(DType::U8), Tensor::dtype))?;
    let zero = zero.map(|zero| spread(call, x, zero)).transpose()?;
    one(quantized(x, &spread(call, x, scale)?, zero.as_ref()))
}

pub fn dequantize(call: &Call) -> Outcome {
    let (x, scale) = (call.tensor(0)?, spread(call, call.tensor(0)?, call.tensor(1)?)?);
    let wide = x.cast(DType::I32);
    let level = match call.optional(2)? {
        Some(zero) => wide - spread(call, x, zero)?.cast(DType::I32),
        None => wide,
    };
    let dtype = call.dtype("output_dtype")?.unwrap_or(scale.dtype());
    one((level.cast(scale.dtype()) * scale).cast(dtype))
}

/// Scale and zero point from the numbers themselves; 0 is always exact.
pub fn quantize_dynamically(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let (low, high) = (x.min().clamp_max(0.0), x.max().clamp_min(0.0));
    let scale = (high - &low) / 255.0;
    let zero = (-low / &scale).round().clamp(0.0, 255.0).cast(DType::U8);
    several([quantized(x, &scale, Some(&zero)), scale, zero])
}

/// Whole numbers less their zero point; of rows or columns where there are several.
fn centered(x: &Tensor, zero: Option<&Tensor>, column: bool) -> Tensor {
    let wide = x.cast(DType::I32);
    match zero.map(|zero| zero.cast(DType::I32)) {
        Some(zero) if column && zero.rank() == 1 && zero.len() > 1 => wide - zero.unsqueeze(1),
        Some(zero) if zero.len() == 1 => wide - zero.reshape(()),
        Some(zero) => wide - zero,
        None => wide,
    }
}

pub fn matmul_integer(call: &Call) -> Outcome {
    let a = centered(call.tensor(0)?, call.optional(2)?, true);
    one(a.matmul(&centered(call.tensor(1)?, call.optional(3)?, false)))
}

/// One number for all, or one for each channel, in front of the other axes.
fn of_channels(each: &Tensor, rank: usize) -> Tensor {
    if each.len() > 1 { each.reshape([&[each.len()][..], &vec![1; rank.saturating_sub(1)]].concat()) } else { each.reshape(()) }
}

/// Sums of products of bytes are whole numbers far below 2^53, which f64 holds.
pub fn conv_integer(call: &Call) -> Outcome {
    let x = centered(call.tensor(0)?, call.optional(2)?, false).cast(DType::F64);
    let w = call.tensor(1)?;
    let zero = call.optional(3)?.map(|zero| of_channels(zero, w.rank()));
    let w = centered(w, zero.as_ref(), false).cast(DType::F64);
    one(convolved(call, &x, &w)?.cast(DType::I32))
}

pub fn qlinear_matmul(call: &Call) -> Outcome {
    let (a, b) = (centered(call.tensor(0)?, Some(call.tensor(2)?), true), centered(call.tensor(3)?, Some(call.tensor(5)?), false));
    let (zero, scale) = (call.tensor(7)?, call.tensor(6)?);
    bytes_only(zero.dtype())?;
    let wide = |scale: &Tensor| scale.cast(DType::F64);
    let factor = wide(call.tensor(1)?) * wide(call.tensor(4)?);
    one(quantized(&(a.matmul(&b).cast(DType::F64) * factor), &wide(scale), Some(zero)))
}

pub fn qlinear_conv(call: &Call) -> Outcome {
    let x = centered(call.tensor(0)?, Some(call.tensor(2)?), false).cast(DType::F64);
    let w = call.tensor(3)?;
    let w = (w.cast(DType::I32) - of_channels(&call.tensor(5)?.cast(DType::I32), w.rank())).cast(DType::F64);
    let zero = call.tensor(7)?;
    bytes_only(zero.dtype())?;
    let mut y = convolved(call, &x, &w)?;
    let spread = |v: &Tensor| of_channels(&v.cast(DType::F64), x.rank().saturating_sub(1).max(1));
    if let Some(bias) = call.optional(8)? {
        y = y + spread(bias);
    }
    let factor = call.tensor(1)?.cast(DType::F64).reshape(()) * spread(call.tensor(4)?);
    one(quantized(&(y * factor), &call.tensor(6)?.cast(DType::F64), Some(zero)))
}
