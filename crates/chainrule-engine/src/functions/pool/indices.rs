//! Where the largest elements of windows are, and how they are put back there.

use super::{Layout, Pool1dOptions, Pool2dOptions, Pool3dOptions, PoolOptions, Windows};
use crate::functions::{disallowed, max, misfit, recorded, refuse_unless_float};
use crate::ops::{ScatterAdd, dtype_error};
use crate::tensor::{DType, Shape, Tensor};

macro_rules! with_indices {
    ($($options:ident $axes:literal $pool:ident $plain:ident $unpool:ident;)*) => {$(
        #[doc = concat!("[`", stringify!($plain), "`](super::", stringify!($plain), ") and, as i64, the place of each maximum:")]
        /// its number in row-major order among the elements of its example and channel. Of equal ones the first. A mistake
        /// poisons both results.
        #[track_caller]
        pub fn $pool(x: &Tensor, options: &$options) -> (Tensor, Tensor) {
            pool(stringify!($pool), x, options)
        }

        #[doc = concat!("The inverse of [`", stringify!($pool), "`], as far as there is one: elements at the places `indices`, zeros elsewhere.")]
        /// The size, if not given, is the smallest that the pooling would have made this of: an axis of `n` becomes
        /// `(n - 1) stride - 2 padding + kernel`. Where windows overlapped and found the same element, the mean of what
        /// is put there. An index that points outside is an error when it is evaluated.
        #[track_caller]
        pub fn $unpool(x: &Tensor, indices: &Tensor, options: &$options, size: Option<[usize; $axes]>) -> Tensor {
            unpool(stringify!($unpool), x, indices, options, size)
        }
    )*};
}

with_indices! {
    Pool1dOptions 1 max_pool1d_with_indices max_pool1d max_unpool1d;
    Pool2dOptions 2 max_pool2d_with_indices max_pool2d max_unpool2d;
    Pool3dOptions 3 max_pool3d_with_indices max_pool3d max_unpool3d;
}

#[track_caller]
fn pool<const D: usize>(name: &str, x: &Tensor, options: &PoolOptions<D>) -> (Tensor, Tensor) {
    let windows = match Windows::new(name, x, options) {
        Ok(windows) => windows,
        Err(mistake) => return (mistake.clone(), mistake),
    };
    recorded(|| {
        let (patches, axes) = windows.patches(&windows.around_filled(x, f64::NEG_INFINITY));
        let largest = max(&patches, &axes);
        let count: usize = windows.lengths.iter().product();
        let places = Tensor::arange(count, DType::I64).reshape(windows.plane());
        // What lies beyond the ends comes after every place, and is never the first.
        let (places, _) = windows.patches(&windows.around_filled(&places, count as f64));
        let places = places.broadcast_to(patches.shape());
        let found = patches.equal(&crate::functions::spread(&largest, &axes, patches.shape())) | patches.is_nan();
        let none = Tensor::full(patches.shape(), count as f64, DType::I64);
        let axes: Vec<isize> = axes.iter().map(|&axis| axis as isize).collect();
        (largest, found.select(&places, &none).min_over(&axes))
    })
}

#[track_caller]
fn unpool<const D: usize>(name: &str, x: &Tensor, indices: &Tensor, options: &PoolOptions<D>, size: Option<[usize; D]>) -> Tensor {
    if let Some(mistake) = refuse_unless_float(name, x) {
        return mistake;
    }
    if indices.error().is_some() {
        return indices.clone();
    }
    if !matches!(indices.dtype(), DType::I64 | DType::I32) {
        return Tensor::poison(dtype_error(name, format!("indices are i64 or i32, not {}; convert with `cast`", indices.dtype())));
    }
    if x.rank() != D + 2 || x.shape() != indices.shape() {
        return misfit(name, format!("{:?} with indices {:?}: both are of {} axes, and alike", x.shape(), indices.shape(), D + 2));
    }
    let first = super::first_axis(options.layout);
    let mut lengths = size.unwrap_or([0; D]);
    if size.is_none() {
        for (d, length) in lengths.iter_mut().enumerate() {
            let whole = x.shape()[first + d].saturating_sub(1).saturating_mul(options.stride[d]).saturating_add(options.kernel[d]);
            let Some(rest) = whole.checked_sub(options.padding[d].saturating_mul(2)) else {
                return disallowed(name, &[x], format!("a padding of {:?} leaves nothing of {whole} elements", options.padding));
            };
            *length = rest;
        }
    }
    recorded(|| put_back(x, indices, lengths, options.layout))
}

fn put_back<const D: usize>(x: &Tensor, indices: &Tensor, lengths: [usize; D], layout: Layout) -> Tensor {
    let last = layout == Layout::ChannelsLast;
    let (x, indices) = (channels_second(x, last), channels_second(indices, last));
    let (n, c) = (x.shape()[0], x.shape()[1]);
    let each: usize = x.shape()[2..].iter().product();
    let size: usize = lengths.iter().product();
    let (flat, at) = (x.reshape([n, c, each]), indices.reshape([n, c, each]));
    let put = |values: &Tensor| Tensor::record(ScatterAdd { batch: 2, size }, [values.clone(), at.clone()]);
    let hits = put(&flat.ones_like()).clamp_min(1.0);
    let mut whole: Shape = [n, c].as_slice().into();
    whole.extend(lengths);
    let y = (put(&flat) / hits).reshape(whole);
    if last { y.permute([0].into_iter().chain(2..D + 2).chain([1]).collect::<Vec<_>>()) } else { y }
}

fn channels_second(t: &Tensor, last: bool) -> Tensor {
    let rank = t.rank();
    if last { t.permute([0, rank - 1].into_iter().chain(1..rank - 1).collect::<Vec<_>>()) } else { t.clone() }
}
