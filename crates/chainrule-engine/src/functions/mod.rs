//! What models are written with: functions over the operations, which inherit every derivative.
//!
//! What NumPy and PyTorch have as a method of an array is a method of [`Tensor`] here; layers,
//! convolutions and losses are functions. None of them computes anything. None has a derivative rule
//! of its own but a few whose derivative would lose digits as that of its parts, special functions above all
//! (`with_slopes` says when). Sums, means and exponentials of f16 and bf16 are taken in f32 and rounded once.

pub mod activation;
mod attempt;
pub mod attention;
pub mod bits;
pub mod compare;
pub mod contraction;
pub mod control;
pub mod conv;
pub mod counting;
pub mod diagonals;
pub mod differences;
pub mod embedding;
pub mod extreme;
pub mod fft;
pub mod grid;
pub mod host;
pub mod interpolate;
pub mod loss;
pub mod math;
pub mod norm;
pub mod padding;
pub mod patches;
pub mod pick;
pub mod pool;
pub mod position;
pub mod products;
pub mod quantile;
pub mod ranges;
pub mod rearrange;
pub mod recurrent;
pub mod reduction;
pub mod scan;
pub mod scatter;
pub mod segments;
pub mod softmax;
pub mod sort;
pub mod special;
pub mod take;

pub use attention::{AttentionOptions, attention, attention_weights};
pub use contraction::{ContractionOrder, ContractionPath, einsum, einsum_in, einsum_path};
pub use control::{Branch, ScanOptions, cond, fori_loop, map, scan, switch, while_loop};
pub use conv::{
    Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvOptions, ConvTranspose1dOptions, ConvTranspose2dOptions, ConvTranspose3dOptions,
    ConvTransposeOptions, Layout, Padding, conv_transpose1d, conv_transpose2d, conv_transpose3d, conv1d, conv2d, conv3d,
};
pub use counting::{Histogram, Unique};
pub use differences::Samples;
pub use embedding::embedding;
pub use fft::{Complex, Norm};
pub use grid::{GridMode, GridOptions, GridPadding, affine_grid, grid_sample};
pub use host::host_call;
pub use interpolate::{InterpolateOptions, Interpolation, interpolate};
pub use norm::{
    BatchNormalized, RunningStatistics, batch_norm, batch_norm_with, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm,
};
pub use padding::PadMode;
pub use patches::{UnfoldOptions, fold, pixel_shuffle, pixel_unshuffle, unfold};
pub use pick::{IntoPicks, Pick};
pub use pool::{
    Pool1dOptions, Pool2dOptions, Pool3dOptions, PoolOptions, adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d,
    adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d, avg_pool1d, avg_pool2d, avg_pool3d, global_avg_pool, global_max_pool,
    lp_pool1d, lp_pool2d, lp_pool3d, max_pool1d, max_pool1d_with_indices, max_pool2d, max_pool2d_with_indices, max_pool3d,
    max_pool3d_with_indices, max_unpool1d, max_unpool2d, max_unpool3d,
};
pub use position::{RotaryOptions, alibi_bias, alibi_slopes, rotary_embedding};
pub use quantile::Between;
pub use rearrange::{DepthOrder, block_diag, cartesian_prod, meshgrid};
pub use recurrent::{
    Cell, CellState, CellWeights, Sequence, bidirectional, gru_cell, gru_cell_reset_first, lstm_cell, recurrent, rnn_relu_cell,
    rnn_tanh_cell,
};
pub use scatter::{Bag, embedding_bag};
pub use segments::Reduce;
pub use take::Outside;

use crate::ops::movement::Axes;
use crate::ops::{Broadcast, CustomRule, Max, Sum, dtype_error, shape_error};
use crate::tensor::origin::recorded_as;
use crate::tensor::shape::{broadcast_shapes, resolve_axis};
use crate::tensor::{DType, Error, ErrorKind, Origin, Result, Shape, Tensor};
use crate::transform::custom_derivative;
use std::panic::Location;

/// Runs `body` so that every node it records belongs to the line of the user's call: for functions written with
/// those of this crate, whose own lines say nothing to their users.
///
/// ```
/// use chainrule_engine::{Tensor, functions::recorded};
/// #[track_caller]
/// fn distance(a: &Tensor, b: &Tensor) -> Tensor {
///     recorded(|| (a - b).square().sum().sqrt())
/// }
/// let error = distance(&Tensor::zeros([2]), &Tensor::zeros([3])).eval().unwrap_err();
/// let line = format!(":{}:", line!() - 1);
/// assert!(error.to_string().contains(&line), "{error}");
/// ```
#[track_caller]
pub fn recorded<R>(body: impl FnOnce() -> R) -> R {
    recorded_as(Origin::here(Location::caller()), body)
}

/// Records `body` of a float tensor; poisons with the function's own name otherwise.
#[track_caller]
fn of_floats(name: &str, x: &Tensor, body: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    match refuse_unless_float(name, x) {
        Some(mistake) => mistake,
        None => recorded(|| body(x)),
    }
}

/// As [`of_floats`], computed in f32 where the elements are f16 or bf16.
#[track_caller]
fn of_wide_floats(name: &str, x: &Tensor, body: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    of_floats(name, x, |x| body(&wide(x)).cast(x.dtype()))
}

/// The tensor in a type that sums can be taken in.
fn wide(x: &Tensor) -> Tensor {
    match x.dtype() {
        DType::F16 | DType::BF16 => x.cast(DType::F32),
        _ => x.clone(),
    }
}

/// The poisoned tensor to return instead of a function of something that is not float.
// Here and below, no closure makes a mistake: its line would be the closure's, not the user's.
#[track_caller]
fn refuse_unless_float(name: &str, x: &Tensor) -> Option<Tensor> {
    if x.error().is_some() {
        return Some(x.clone());
    }
    if x.dtype().is_float() {
        return None;
    }
    Some(Tensor::poison(dtype_error(name, format!("takes floats, not {}; convert with `cast`", x.dtype()))))
}

/// The first mistake among the inputs.
fn first_mistake(inputs: &[&Tensor]) -> Option<Tensor> {
    inputs.iter().find(|t| t.error().is_some()).map(|&t| t.clone())
}

/// The poisoned tensor to return instead of a function of inputs that are not floats of one type.
#[track_caller]
fn refuse_mixed(name: &str, inputs: &[&Tensor]) -> Option<Tensor> {
    if let Some(mistake) = first_mistake(inputs) {
        return Some(mistake);
    }
    let first = inputs.first()?;
    if let Some(mistake) = refuse_unless_float(name, first) {
        return Some(mistake);
    }
    let other = inputs.iter().find(|t| t.dtype() != first.dtype())?;
    let message = format!("{} with {}; convert one of them with `cast`", first.dtype(), other.dtype());
    Some(Tensor::poison(dtype_error(name, message)))
}

/// A tensor that stands for shapes that do not fit.
#[track_caller]
fn misfit(name: &str, message: String) -> Tensor {
    Tensor::poison(shape_error(name, message))
}

/// A tensor that stands for an argument outside what is allowed, unless an input is a mistake already.
#[track_caller]
fn disallowed(name: &str, inputs: &[&Tensor], message: String) -> Tensor {
    match first_mistake(inputs) {
        Some(mistake) => mistake,
        None => Tensor::poison(Error::new(ErrorKind::Argument, name, message)),
    }
}

/// Axes as people write them, resolved and ascending, or the poisoned tensor to return.
#[track_caller]
fn resolve_axes(name: &str, x: &Tensor, axes: &[isize]) -> std::result::Result<Axes, Tensor> {
    if x.error().is_some() {
        return Err(x.clone());
    }
    let mut resolved = Axes::new();
    for &axis in axes {
        match resolve_axis(axis, x.rank()) {
            Some(at) if !resolved.contains(&at) => resolved.push(at),
            Some(at) => return Err(misfit(name, format!("axis {at} of {:?} is listed twice", x.shape()))),
            None => return Err(misfit(name, format!("axis {axis} of {:?}", x.shape()))),
        }
    }
    resolved.sort_unstable();
    Ok(resolved)
}

/// How many elements go into one result of a reduction.
fn count(x: &Tensor, axes: &Axes) -> usize {
    axes.iter().map(|&axis| x.shape()[axis]).product()
}

/// The sum over axes, which are removed.
fn sum(x: &Tensor, axes: &Axes) -> Tensor {
    if axes.is_empty() { x.clone() } else { Tensor::record(Sum(axes.clone()), [x.clone()]) }
}

/// The maximum over axes, which are removed.
fn max(x: &Tensor, axes: &Axes) -> Tensor {
    if axes.is_empty() { x.clone() } else { Tensor::record(Max(axes.clone()), [x.clone()]) }
}

/// The mean over axes, which are removed.
fn mean(x: &Tensor, axes: &Axes) -> Tensor {
    if axes.is_empty() { x.clone() } else { sum(x, axes) / count(x, axes) as f64 }
}

/// A reduced tensor repeated along the axes it lost: one node, the adjoint of a sum.
fn spread(reduced: &Tensor, axes: &Axes, shape: &[usize]) -> Tensor {
    if axes.is_empty() {
        return reduced.clone();
    }
    let sizes = axes.iter().map(|&axis| shape[axis]).collect();
    Tensor::record(Broadcast { axes: axes.clone(), sizes }, [reduced.clone()])
}

/// A vector with one number per index of `axis`, repeated along all other axes of `shape`.
fn spread_channel(vector: &Tensor, axis: usize, shape: &[usize]) -> Tensor {
    spread(vector, &(0..shape.len()).filter(|&i| i != axis).collect(), shape)
}

/// The shape with the axes reduced to size 1.
fn kept_shape(shape: &[usize], axes: &Axes) -> Shape {
    (0..shape.len()).map(|axis| if axes.contains(&axis) { 1 } else { shape[axis] }).collect()
}

/// The indices `start..stop` of one axis.
fn part(x: &Tensor, axis: usize, start: usize, stop: usize) -> Tensor {
    let mut slice = crate::ops::Slice { start: Axes::from_elem(0, x.rank()), stop: x.shape().into(), step: Axes::from_elem(1, x.rank()) };
    slice.start[axis] = start;
    slice.stop[axis] = stop;
    Tensor::record(slice, [x.clone()])
}

/// The square root of something that is not negative, with derivative 0 at 0 instead of infinity.
fn safe_sqrt(x: &Tensor) -> Tensor {
    let zero = x.zeros_like();
    x.equal(&zero).select(&zero, &x.sqrt())
}

/// The shape that all broadcast to, or the poisoned tensor to return.
#[track_caller]
fn common_shape(name: &str, inputs: &[&Tensor]) -> std::result::Result<Shape, Tensor> {
    if let Some(mistake) = first_mistake(inputs) {
        return Err(mistake);
    }
    let mut shape = Shape::new();
    for input in inputs {
        match broadcast_shapes(&shape, input.shape()) {
            Ok(joint) => shape = joint,
            Err((a, b)) => {
                return Err(misfit(name, format!("shapes {shape:?} and {:?} do not broadcast ({a} against {b})", input.shape())));
            }
        }
    }
    Ok(shape)
}

/// Records `body` of two tensors broadcast to one shape.
#[track_caller]
fn of_two(name: &str, a: &Tensor, b: &Tensor, body: impl FnOnce(&Tensor, &Tensor) -> Tensor) -> Tensor {
    match common_shape(name, &[a, b]) {
        Err(mistake) => mistake,
        Ok(shape) => recorded(|| body(&a.broadcast_to(&shape), &b.broadcast_to(&shape))),
    }
}

/// As [`of_two`], of floats of one type, computed in f32 where they are f16 or bf16.
#[track_caller]
fn of_two_floats(name: &str, a: &Tensor, b: &Tensor, body: impl FnOnce(&Tensor, &Tensor) -> Tensor) -> Tensor {
    match refuse_mixed(name, &[a, b]) {
        Some(mistake) => mistake,
        None => of_two(name, a, b, |a, b| body(&wide(a), &wide(b)).cast(a.dtype())),
    }
}

/// The factor that a function's derivative by each input is, from the inputs and the value.
struct Slopes<F> {
    name: &'static str,
    slopes: F,
}

impl<F: Fn(&[Tensor], &Tensor) -> Vec<Tensor> + Send + Sync> CustomRule for Slopes<F> {
    fn name(&self) -> &str {
        self.name
    }
    fn vjp(&self, inputs: &[Tensor], output: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Ok((self.slopes)(inputs, output).iter().map(|slope| Some(cotangent.scale(slope))).collect())
    }
}

/// A function of single elements with its derivatives written beside it: for a value that is an approximation, or made of steps
/// without a derivative, or whose derivatives, taken of its parts, would be differences of nearly equal numbers, while the
/// derivative is known. The factors are recorded, and themselves differentiated.
fn with_slopes(
    name: &'static str,
    inputs: &[&Tensor],
    value: &Tensor,
    slopes: impl Fn(&[Tensor], &Tensor) -> Vec<Tensor> + Send + Sync + 'static,
) -> Tensor {
    custom_derivative(value, inputs, Slopes { name, slopes })
}

/// As [`with_slopes`], of one input.
fn with_slope(
    name: &'static str,
    x: &Tensor,
    value: &Tensor,
    slope: impl Fn(&Tensor, &Tensor) -> Tensor + Send + Sync + 'static,
) -> Tensor {
    with_slopes(name, &[x], value, move |inputs, value| vec![slope(&inputs[0], value)])
}

/// The polynomial with the given coefficients, lowest power first.
fn polynomial(x: &Tensor, coefficients: &[f64]) -> Tensor {
    let (highest, lower) = coefficients.split_last().unwrap_or((&0.0, &[]));
    let highest = Tensor::full(x.shape(), *highest, x.dtype());
    lower.iter().rev().fold(highest, |sum, &coefficient| sum * x + coefficient)
}

/// 1, or -1 where the sign is set, without a derivative: of what is odd, the rest is a function of `x * sign_of(x)`, which is
/// smooth at 0, where the absolute value is not.
fn sign_of(x: &Tensor) -> Tensor {
    x.is_negative().select(&-x.ones_like(), &x.ones_like())
}

/// The upper and the lower half of the digits of f64 or f32, whose products are exact (Dekker, "A floating-point technique for
/// extending the available precision", 1971).
fn halves(x: &Tensor) -> (Tensor, Tensor) {
    let wide = x * if x.dtype() == DType::F64 { 134_217_729.0 } else { 4097.0 };
    let high = &wide - (&wide - x);
    let low = x - &high;
    (high, low)
}

/// How far `x` is from the nearest integer, and 1 or -1 as that is even or odd.
fn from_nearest(x: &Tensor) -> (Tensor, Tensor) {
    let nearest = x.round();
    let half = &nearest * 0.5;
    let odd = half.floor().less(&half);
    (x - nearest, odd.select(&-x.ones_like(), &x.ones_like()))
}

/// `sin(pi x)`, exactly 0 at integers.
fn sin_pi(x: &Tensor) -> Tensor {
    let (rest, sign) = from_nearest(x);
    (rest * std::f64::consts::PI).sin() * sign
}

/// `cos(pi x)`.
fn cos_pi(x: &Tensor) -> Tensor {
    let (rest, sign) = from_nearest(x);
    (rest * std::f64::consts::PI).cos() * sign
}
