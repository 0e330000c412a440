//! Pooling: the maximum, the mean or a norm of each window, over one to three axes.
//!
//! Windows that lie side by side are split off by a reshape, which costs nothing; others by the
//! `window` operation. What a window does not reach at the end of an axis is left out, unless
//! `ceil_mode` has windows reach beyond it.

mod adaptive;
mod indices;

pub(super) use adaptive::average_along;
pub use adaptive::{
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d,
    global_avg_pool, global_max_pool,
};
pub use indices::{max_pool1d_with_indices, max_pool2d_with_indices, max_pool3d_with_indices, max_unpool1d, max_unpool2d, max_unpool3d};

use super::conv::{Layout, pad};
use super::{disallowed, max, mean, misfit, recorded, refuse_unless_float, sum, wide};
use crate::DType;
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
    /// How far windows reach beyond both ends; less than a window spans.
    pub padding: [usize; D],
    /// Distance between the elements of a window.
    pub dilation: [usize; D],
    /// Whether a last window that reaches beyond the padded end counts, as long as it begins before that of the
    /// input and its padding before it.
    pub ceil_mode: bool,
    /// Whether the mean counts what lies in the padding, as zeros. The maximum never does. What `ceil_mode` has
    /// windows reach beyond the padding is never counted.
    pub count_padding: bool,
    /// What the mean divides by, instead of the number of elements.
    pub divisor: Option<usize>,
    /// Where the channels are.
    pub layout: Layout,
}

/// Options of pooling over one axis.
pub type Pool1dOptions = PoolOptions<1>;
/// Options of pooling over two axes.
pub type Pool2dOptions = PoolOptions<2>;
/// Options of pooling over three axes.
pub type Pool3dOptions = PoolOptions<3>;

impl<const D: usize> PoolOptions<D> {
    /// Windows of `kernel` side by side, without padding, channels first.
    pub fn new(kernel: [usize; D]) -> Self {
        PoolOptions {
            kernel,
            stride: kernel,
            padding: [0; D],
            dilation: [1; D],
            ceil_mode: false,
            count_padding: true,
            divisor: None,
            layout: Layout::ChannelsFirst,
        }
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

/// As [`max_pool2d`], over three axes: `[n, c, d, h, w]` or `[n, d, h, w, c]`.
#[track_caller]
pub fn max_pool3d(x: &Tensor, options: &Pool3dOptions) -> Tensor {
    max_pool("max_pool3d", x, options)
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

/// As [`avg_pool2d`], over three axes: `[n, c, d, h, w]` or `[n, d, h, w, c]`.
#[track_caller]
pub fn avg_pool3d(x: &Tensor, options: &Pool3dOptions) -> Tensor {
    avg_pool("avg_pool3d", x, options)
}

/// The `p` norm of each window, `(sum of x^p)^(1/p)`, with derivative 0 where that sum is 0. The sum is, as PyTorch
/// has it, the mean of [`avg_pool2d`] times the elements of a window: of windows that reach beyond the end, more
/// than that of what they hold. An odd power keeps the sign, and the root of a negative sum is NaN.
///
/// ```
/// use chainrule_engine::{Tensor, functions::{Pool2dOptions, lp_pool2d}};
/// let x = Tensor::from_slice(&[3.0f32, 4.0], [1, 1, 1, 2]);
/// assert_eq!(lp_pool2d(&x, 2.0, &Pool2dOptions::new([1, 2])).to_vec::<f32>()?, [5.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn lp_pool2d(x: &Tensor, p: f64, options: &Pool2dOptions) -> Tensor {
    lp_pool("lp_pool2d", x, p, options)
}

/// As [`lp_pool2d`], over one axis: `[n, c, l]` or `[n, l, c]`.
#[track_caller]
pub fn lp_pool1d(x: &Tensor, p: f64, options: &Pool1dOptions) -> Tensor {
    lp_pool("lp_pool1d", x, p, options)
}

/// As [`lp_pool2d`], over three axes: `[n, c, d, h, w]` or `[n, d, h, w, c]`.
#[track_caller]
pub fn lp_pool3d(x: &Tensor, p: f64, options: &Pool3dOptions) -> Tensor {
    lp_pool("lp_pool3d", x, p, options)
}

#[track_caller]
fn max_pool<const D: usize>(name: &str, x: &Tensor, options: &PoolOptions<D>) -> Tensor {
    match Windows::new(name, x, options) {
        Err(mistake) => mistake,
        Ok(windows) => recorded(|| {
            let (patches, axes) = windows.patches(&windows.around_filled(x, f64::NEG_INFINITY));
            max(&patches, &axes)
        }),
    }
}

#[track_caller]
fn avg_pool<const D: usize>(name: &str, x: &Tensor, options: &PoolOptions<D>) -> Tensor {
    let windows = match Windows::new(name, x, options) {
        Ok(windows) => windows,
        Err(mistake) => return mistake,
    };
    if options.divisor == Some(0) {
        return disallowed(name, &[x], "the divisor is 0, and must be at least 1".into());
    }
    recorded(|| windows.average(&wide(x)).cast(x.dtype()))
}

#[track_caller]
fn lp_pool<const D: usize>(name: &str, x: &Tensor, p: f64, options: &PoolOptions<D>) -> Tensor {
    let windows = match Windows::new(name, x, options) {
        Ok(windows) => windows,
        Err(mistake) => return mistake,
    };
    let positive = p > 0.0 && p.is_finite();
    if !positive || options.divisor.is_some() {
        return disallowed(name, &[x], format!("the power is {p}, and must be positive; a divisor is of no use here"));
    }
    recorded(|| {
        let sum = windows.average(&wide(x).powf(p)) * options.kernel.iter().product::<usize>() as f64;
        let none = sum.equal(&sum.zeros_like());
        let root = none.select(&sum.ones_like(), &sum).powf(1.0 / p);
        none.select(&sum.zeros_like(), &root).cast(x.dtype())
    })
}

/// Windows over a tensor, once it is known that they fit.
struct Windows<'a, const D: usize> {
    options: &'a PoolOptions<D>,
    /// Sizes of the axes along which they slide.
    lengths: [usize; D],
    /// How far they reach beyond the ends of those axes.
    sides: [[usize; 2]; D],
}

impl<'a, const D: usize> Windows<'a, D> {
    #[track_caller]
    fn new(name: &str, x: &Tensor, options: &'a PoolOptions<D>) -> Result<Self, Tensor> {
        if let Some(mistake) = refuse_unless_float(name, x) {
            return Err(mistake);
        }
        if x.rank() != D + 2 {
            return Err(misfit(name, format!("takes {} axes, not {:?}", D + 2, x.shape())));
        }
        let PoolOptions { kernel, stride, padding, dilation, .. } = options;
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            let message = format!("kernel {kernel:?}, stride {stride:?} and dilation {dilation:?} must be at least 1");
            return Err(disallowed(name, &[x], message));
        }
        let reach = |d: usize| (kernel[d] - 1).saturating_mul(dilation[d]).saturating_add(1);
        if (0..D).any(|d| padding[d] >= reach(d)) {
            return Err(disallowed(name, &[x], format!("a window of {kernel:?} could lie wholly in the padding of {padding:?}")));
        }
        let first = first_axis(options.layout);
        let lengths: [usize; D] = std::array::from_fn(|d| x.shape()[first + d]);
        let mut sides = padding.map(|zeros| [zeros; 2]);
        for d in 0..D {
            let padded = lengths[d].saturating_add(padding[d].saturating_mul(2));
            if padded < reach(d) {
                let axis = first + d;
                return Err(misfit(
                    name,
                    format!("a window of {kernel:?} with padding {padding:?} does not fit axis {axis} of {:?}", x.shape()),
                ));
            }
            if options.ceil_mode {
                // The last window begins within the input or the padding before it.
                let most = (padded - reach(d)).div_ceil(stride[d]);
                let last = if most * stride[d] >= lengths[d] + padding[d] { most - 1 } else { most };
                sides[d][1] += (last * stride[d] + reach(d)).saturating_sub(padded);
            }
        }
        Ok(Windows { options, lengths, sides })
    }

    /// Whether windows reach beyond the padding.
    fn beyond(&self) -> bool {
        (0..D).any(|d| self.sides[d][1] > self.options.padding[d])
    }

    fn first(&self) -> usize {
        first_axis(self.options.layout)
    }

    /// Zeros where windows reach beyond the ends.
    fn around(&self, x: &Tensor) -> Tensor {
        pad(x, self.first(), &self.sides)
    }

    /// Another number there.
    fn around_filled(&self, x: &Tensor, value: f64) -> Tensor {
        let padded = self.around(x);
        if self.sides == [[0; 2]; D] {
            return padded;
        }
        let inside = self.around(&Tensor::full(x.shape(), 1.0, DType::Bool));
        inside.select(&padded, &Tensor::full(padded.shape(), value, x.dtype()))
    }

    /// The shape of one example and channel.
    fn plane(&self) -> Shape {
        let first = self.first();
        (0..D + 2).map(|axis| if (first..first + D).contains(&axis) { self.lengths[axis - first] } else { 1 }).collect()
    }

    /// The mean of each window of a tensor in a wide type.
    fn average(&self, x: &Tensor) -> Tensor {
        let (patches_of_x, axes) = self.patches(&self.around(x));
        if let Some(divisor) = self.options.divisor {
            return sum(&patches_of_x, &axes) / divisor as f64;
        }
        if self.sides == [[0; 2]; D] || (self.options.count_padding && !self.beyond()) {
            return mean(&patches_of_x, &axes);
        }
        // How many elements of each window count, for one example and channel.
        let counted = if self.options.count_padding {
            let mut whole = self.plane();
            let mut beyond = self.sides;
            for d in 0..D {
                whole[self.first() + d] += 2 * self.options.padding[d];
                beyond[d] = [0, beyond[d][1] - self.options.padding[d]];
            }
            pad(&Tensor::full(whole, 1.0, x.dtype()), self.first(), &beyond)
        } else {
            self.around(&Tensor::full(self.plane(), 1.0, x.dtype()))
        };
        sum(&patches_of_x, &axes) / sum(&self.patches(&counted).0, &axes)
    }

    /// All windows of a padded tensor, and the axes of their elements.
    fn patches(&self, x: &Tensor) -> (Tensor, Axes) {
        let options = self.options;
        if x.error().is_some() {
            return (x.clone(), Axes::new());
        }
        if options.kernel != options.stride || options.dilation != [1; D] {
            let axes = (self.first()..self.first() + D).collect();
            let [sizes, strides, dilations] = [options.kernel, options.stride, options.dilation].map(|list| Axes::from_slice(&list));
            return (Tensor::record(Window { axes, sizes, strides, dilations }, [x.clone()]), (D + 2..2 * D + 2).collect());
        }
        side_by_side(x, self.first(), &options.kernel)
    }
}

/// The first of the axes along which windows slide.
fn first_axis(layout: Layout) -> usize {
    if layout == Layout::ChannelsLast { 1 } else { 2 }
}

/// Windows that lie side by side, and the axes of their elements.
fn side_by_side<const D: usize>(x: &Tensor, first: usize, kernel: &[usize; D]) -> (Tensor, Axes) {
    let mut whole: Axes = x.shape().into();
    let mut split = Shape::new();
    let mut within = Axes::new();
    for axis in 0..D + 2 {
        if (first..first + D).contains(&axis) {
            let kernel = kernel[axis - first];
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
