//! Pooling: the largest, the mean or the norm of each window, over any number of axes; and back.

use super::shape::{sizes, volume};
use super::windows::{Windows, listed, spatial};
use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, one};
use chainrule::ops::Fold;
use chainrule::ops::movement::Axes;
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

fn windows(call: &Call, x: &Tensor) -> Result<Windows> {
    let lengths = spatial(x)?;
    let kernel = call.integers("kernel_shape")?.ok_or_else(|| Error::operator("attribute 'kernel_shape' is missing"))?;
    Windows::new(call, lengths, sizes(&kernel)?)
}

/// Also where each largest element stood, if that is asked for.
pub fn max_pool(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let windows = windows(call, x)?;
    let widths = windows.widths(spatial(x)?);
    let patches = windows.of(&x.pad_with(&widths, x.dtype().lowest()));
    let y = patches.max_over(&windows.within());
    if !call.wants(1) || y.error().is_some() {
        return one(y);
    }
    let flat = [y.shape(), &[volume(&windows.kernel)]].concat();
    let places = Tensor::arange(x.len(), DType::I64).reshape(order(call, x.shape())?);
    let places = if call.flag("storage_order")? { turned(&places) } else { places };
    let places = windows.of(&places.pad_with(&widths, -1.0)).reshape(flat.clone());
    // A place in the padding is never the largest.
    let patches =
        places.less(&places.zeros_like()).select(&Tensor::full(flat.clone(), x.dtype().lowest(), x.dtype()), &patches.reshape(flat));
    let found = places.take_along_axis(&patches.argmax(-1).unsqueeze(-1), -1).reshape(y.shape());
    Ok(vec![y.into(), found.into()])
}

/// The sizes in which elements are numbered: the last axes the other way round where columns come first.
fn order(call: &Call, shape: &[usize]) -> Result<Vec<usize>> {
    let mut sizes = shape.to_vec();
    if call.flag("storage_order")? {
        sizes[2..].reverse();
    }
    Ok(sizes)
}

fn turned(x: &Tensor) -> Tensor {
    let order: Vec<usize> = [0, 1].into_iter().chain((2..x.rank()).rev()).collect();
    x.permute(order)
}

pub fn average_pool(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let windows = windows(call, x)?;
    let lengths = spatial(x)?;
    let wide = if matches!(x.dtype(), DType::F16 | DType::BF16) { x.cast(DType::F32) } else { x.clone() };
    let sum = |x: &Tensor| windows.of(x).sum_over(&windows.within());
    let total = sum(&wide.pad(&windows.widths(lengths)));
    // How many elements of each window count: those inside, or also those of the padding that was asked for.
    let mut ones = Tensor::full([&[1, 1][..], lengths].concat(), 1.0, wide.dtype());
    if call.flag("count_include_pad")? {
        let asked: Vec<(usize, usize)> = [(0, 0); 2].into_iter().chain(windows.pads.iter().copied()).collect();
        ones = ones.pad_with(&asked, 1.0);
        let total_widths = windows.widths(lengths);
        let beyond: Vec<(usize, usize)> = total_widths.iter().zip(&asked).map(|(all, asked)| (0, all.1 - asked.1)).collect();
        ones = ones.pad(&beyond);
    } else {
        ones = ones.pad(&windows.widths(lengths));
    }
    one((total / sum(&ones)).cast(x.dtype()))
}

pub fn lp_pool(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let p = if call.version == 1 { call.float_or("p", 2.0)? } else { call.integer_or("p", 2)? as f64 };
    let windows = windows(call, x)?;
    let powers = windows.of(&x.pad(&windows.widths(spatial(x)?)).abs().powf(p));
    one(root(&powers.sum_over(&windows.within()), p))
}

/// The root of what is not negative, with derivative 0 at 0.
pub fn root(x: &Tensor, p: f64) -> Tensor {
    let zero = x.zeros_like();
    let safe = x.equal(&zero).select(&x.ones_like(), x);
    x.equal(&zero).select(&zero, &safe.powf(1.0 / p))
}

fn all_of(x: &Tensor) -> Result<Vec<isize>> {
    spatial(x)?;
    Ok((2..x.rank() as isize).collect())
}

pub fn global_average_pool(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    one(x.mean_keep(&all_of(x)?))
}

pub fn global_max_pool(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    one(x.max_keep(&all_of(x)?))
}

pub fn global_lp_pool(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let p = if call.version == 1 { call.float_or("p", 2.0)? } else { call.integer_or("p", 2)? as f64 };
    one(root(&x.abs().powf(p).sum_keep(&all_of(x)?), p))
}

/// Elements put back to where a pool found them, zeros elsewhere.
pub fn max_unpool(call: &Call) -> Outcome {
    let (x, places) = (call.tensor(0)?, call.tensor(1)?);
    let lengths = spatial(x)?;
    let axes = lengths.len();
    let (kernel, stride, pads) =
        (listed(call, "kernel_shape", axes, 1)?, listed(call, "strides", axes, 1)?, listed(call, "pads", 2 * axes, 0)?);
    let inferred: Option<Vec<usize>> = (0..axes)
        .map(|d| ((lengths[d].max(1) - 1).saturating_mul(stride[d]).saturating_add(kernel[d])).checked_sub(pads[d] + pads[d + axes]))
        .collect();
    let inferred = inferred.ok_or_else(|| Error::operator(format!("pads {pads:?} leave nothing")))?;
    let found = [&x.shape()[..2], &inferred].concat();
    let wanted = match call.optional_whole_numbers(2)? {
        Some(wanted) => sizes(&wanted)?,
        None => found.clone(),
    };
    let spread = |sizes: &[usize]| x.flatten().scatter_add(&places.cast(DType::I64).flatten(), volume(sizes)).reshape(sizes);
    if wanted == found {
        return one(spread(&found));
    }
    if wanted.len() != found.len() || wanted.iter().zip(&found).any(|(wanted, found)| wanted < found) {
        return Err(Error::operator(format!("an output of {wanted:?} does not hold {found:?}")));
    }
    // Places are counted in the sizes that the pool's input had: the ones inferred.
    let widths: Vec<(usize, usize)> = wanted.iter().zip(&found).map(|(wanted, found)| (0, wanted - found)).collect();
    one(spread(&found).pad(&widths))
}

/// Columns, each the elements of a window, added up where windows overlap.
pub fn col2im(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let (image, block) = (sizes(&call.whole_numbers(1)?)?, sizes(&call.whole_numbers(2)?)?);
    let axes = image.len();
    let &[n, columns, blocks] = x.shape() else {
        return Err(Error::operator(format!("takes [n, c * block, blocks], not {:?}", x.shape())));
    };
    let windows = Windows::new(call, &image, block)?;
    let elements: usize = volume(&windows.kernel);
    if columns % elements != 0 || volume(&windows.count) != blocks {
        return Err(Error::operator(format!("{:?} are not the windows {:?} of {image:?}", x.shape(), windows.kernel)));
    }
    let parted = x.reshape([&[n, columns / elements], &windows.kernel[..], &windows.count].concat());
    let order: Vec<usize> = [0, 1].into_iter().chain(2 + axes..2 + 2 * axes).chain(2..2 + axes).collect();
    let lengths: Vec<usize> = (0..axes).map(|d| image[d] + windows.pads[d].0 + windows.pads[d].1).collect();
    let window = chainrule::ops::Window {
        axes: (2..2 + axes).collect(),
        sizes: Axes::from_slice(&windows.kernel),
        strides: Axes::from_slice(&windows.stride),
        dilations: Axes::from_slice(&windows.dilation),
    };
    let mut whole = Tensor::record(Fold { window, lengths: Axes::from_slice(&lengths) }, [parted.permute(order)]);
    for (d, (&length, &(low, _))) in image.iter().zip(&windows.pads).enumerate() {
        whole = whole.slice(d as isize + 2, low..low + length);
    }
    one(whole)
}
