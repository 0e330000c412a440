//! Pooling: the maximum or the mean of each window.
//!
//! Windows that lie side by side are split off by a reshape, which costs nothing; others by the
//! `window` operation. What a window does not reach at the end of an axis is left out.

use super::conv::{Layout, pad};
use super::{disallowed, max, mean, misfit, recorded, refuse_unless_float, sum};
use crate::ops::movement::Axes;
use crate::ops::{Slice, Window};
use crate::tensor::{Shape, Tensor};

/// How pooling over `D` axes is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolOptions<const D: usize> {
    /// Elements of a window.
    pub kernel: [usize; D],
    /// Distance between windows.
    pub stride: [usize; D],
    /// How far windows reach beyond both ends; less than the kernel.
    pub padding: [usize; D],
    /// Whether the mean counts what lies beyond the ends, as zeros. The maximum never does.
    pub count_padding: bool,
    /// Where the channels are.
    pub layout: Layout,
}

/// Options of pooling over one axis.
pub type Pool1dOptions = PoolOptions<1>;
/// Options of pooling over two axes.
pub type Pool2dOptions = PoolOptions<2>;

impl<const D: usize> PoolOptions<D> {
    /// Windows of `kernel` side by side, without padding, channels first.
    pub fn new(kernel: [usize; D]) -> Self {
        PoolOptions { kernel, stride: kernel, padding: [0; D], count_padding: true, layout: Layout::ChannelsFirst }
    }
}

/// The largest element of each window of `[n, c, h, w]`, or, channels last, `[n, h, w, c]`. Ties
/// share the derivative equally.
///
/// ```
/// use chainrule_engine::{Tensor, functions::{Pool2dOptions, max_pool2d}};
/// let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0], [1, 1, 2, 2]);
/// assert_eq!(max_pool2d(&x, &Pool2dOptions::new([2, 2])).to_vec::<f32>()?, [4.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn max_pool2d(x: &Tensor, options: &Pool2dOptions) -> Tensor {
    max_pool("max_pool2d", x, options)
}

/// As [`max_pool2d`], over one axis: `[n, c, l]` or `[n, l, c]`.
#[track_caller]
pub fn max_pool1d(x: &Tensor, options: &Pool1dOptions) -> Tensor {
    max_pool("max_pool1d", x, options)
}

/// The mean of each window of `[n, c, h, w]`, or, channels last, `[n, h, w, c]`.
#[track_caller]
pub fn avg_pool2d(x: &Tensor, options: &Pool2dOptions) -> Tensor {
    avg_pool("avg_pool2d", x, options)
}

/// As [`avg_pool2d`], over one axis: `[n, c, l]` or `[n, l, c]`.
#[track_caller]
pub fn avg_pool1d(x: &Tensor, options: &Pool1dOptions) -> Tensor {
    avg_pool("avg_pool1d", x, options)
}

#[track_caller]
fn max_pool<const D: usize>(name: &str, x: &Tensor, options: &PoolOptions<D>) -> Tensor {
    if let Some(mistake) = refuse(name, x, options) {
        return mistake;
    }
    recorded(|| {
        let padded = around(x, options);
        let filled = if options.padding == [0; D] {
            padded
        } else {
            // Padding is with zeros, which a maximum must not see.
            let inside = around(&Tensor::full(x.shape(), 1.0, crate::DType::Bool), options);
            inside.select(&padded, &Tensor::full(padded.shape(), f64::NEG_INFINITY, x.dtype()))
        };
        let (patches, axes) = patches(&filled, options);
        max(&patches, &axes)
    })
}

#[track_caller]
fn avg_pool<const D: usize>(name: &str, x: &Tensor, options: &PoolOptions<D>) -> Tensor {
    if let Some(mistake) = refuse(name, x, options) {
        return mistake;
    }
    recorded(|| {
        let wide = super::wide(x);
        let (patches_of_x, axes) = patches(&around(&wide, options), options);
        if options.count_padding || options.padding == [0; D] {
            return mean(&patches_of_x, &axes).cast(x.dtype());
        }
        // How many elements of each window are inside, for one example and channel.
        let one: Shape = (0..D + 2).map(|axis| if sliding(options).contains(&axis) { x.shape()[axis] } else { 1 }).collect();
        let (patches_of_ones, _) = patches(&around(&Tensor::full(one, 1.0, wide.dtype()), options), options);
        (sum(&patches_of_x, &axes) / sum(&patches_of_ones, &axes)).cast(x.dtype())
    })
}

/// The axes along which windows slide.
fn sliding<const D: usize>(options: &PoolOptions<D>) -> std::ops::Range<usize> {
    let first = if options.layout == Layout::ChannelsLast { 1 } else { 2 };
    first..first + D
}

fn around<const D: usize>(x: &Tensor, options: &PoolOptions<D>) -> Tensor {
    pad(x, sliding(options).start, &options.padding.map(|zeros| [zeros; 2]))
}

#[track_caller]
fn refuse<const D: usize>(name: &str, x: &Tensor, options: &PoolOptions<D>) -> Option<Tensor> {
    if let Some(mistake) = refuse_unless_float(name, x) {
        return Some(mistake);
    }
    if x.rank() != D + 2 {
        return Some(misfit(name, format!("takes {} axes, not {:?}", D + 2, x.shape())));
    }
    let PoolOptions { kernel, stride, padding, .. } = options;
    if kernel.contains(&0) || stride.contains(&0) {
        return Some(disallowed(name, &[x], format!("kernel {kernel:?} and stride {stride:?} must be at least 1")));
    }
    if (0..D).any(|d| padding[d] >= kernel[d]) {
        return Some(disallowed(name, &[x], format!("a window of {kernel:?} could lie wholly in the padding of {padding:?}")));
    }
    let length = |d: usize| x.shape()[sliding(options).start + d].saturating_add(padding[d].saturating_mul(2));
    let small = (0..D).find(|&d| length(d) < kernel[d])?;
    Some(misfit(
        name,
        format!("a window of {kernel:?} with padding {padding:?} does not fit axis {} of {:?}", sliding(options).start + small, x.shape()),
    ))
}

/// All windows of a padded tensor, and the axes of their elements.
fn patches<const D: usize>(x: &Tensor, options: &PoolOptions<D>) -> (Tensor, Axes) {
    let slide = sliding(options);
    if x.error().is_some() {
        return (x.clone(), Axes::new());
    }
    if options.kernel != options.stride {
        let sizes = Axes::from_slice(&options.kernel);
        let window = Window { axes: slide.collect(), sizes, strides: Axes::from_slice(&options.stride), dilations: Axes::from_elem(1, D) };
        return (Tensor::record(window, [x.clone()]), (D + 2..2 * D + 2).collect());
    }
    let mut whole: Axes = x.shape().into();
    let mut split = Shape::new();
    let mut within = Axes::new();
    for axis in 0..D + 2 {
        if slide.contains(&axis) {
            let kernel = options.kernel[axis - slide.start];
            whole[axis] -= whole[axis] % kernel;
            within.push(split.len() + 1);
            split.extend([whole[axis] / kernel, kernel]);
        } else {
            split.push(whole[axis]);
        }
    }
    let exact = if whole[..] == *x.shape() {
        x.clone()
    } else {
        Tensor::record(Slice { start: Axes::from_elem(0, D + 2), stop: whole, step: Axes::from_elem(1, D + 2) }, [x.clone()])
    };
    (exact.reshape(split), within)
}
