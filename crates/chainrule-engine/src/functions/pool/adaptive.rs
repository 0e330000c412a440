//! Pooling to a size that is given: window `i` of `n` over `length` elements goes from `floor(i length / n)` to
//! `ceil((i + 1) length / n)`, so that windows cover all, and overlap where they must.

use super::{Layout, first_axis};
use crate::functions::{disallowed, max, mean, misfit, recorded, refuse_unless_float, spread, sum, wide};
use crate::ops::movement::Axes;
use crate::tensor::{Shape, Tensor};

macro_rules! adaptive {
    ($($axes:literal $first:literal $last:literal $avg:ident $max:ident;)*) => {$(
        #[doc = concat!("The mean of each of `size` windows of `", $first, "`, or, channels last, `", $last, "`.")]
        ///
        /// ```
        /// use chainrule_engine::{Tensor, functions::{Layout, adaptive_avg_pool1d}};
        /// let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 5.0, 9.0], [1, 1, 5]);
        /// assert_eq!(adaptive_avg_pool1d(&x, [2], Layout::ChannelsFirst).to_vec::<f32>()?, [2.0, 17.0 / 3.0]);
        /// # Ok::<(), chainrule_engine::Error>(())
        /// ```
        #[track_caller]
        pub fn $avg(x: &Tensor, size: [usize; $axes], layout: Layout) -> Tensor {
            adaptive(stringify!($avg), x, size, layout, Kind::Mean)
        }

        #[doc = concat!("The largest element of each of `size` windows of `", $first, "`, or, channels last, `", $last, "`.")]
        /// Ties share the derivative.
        #[track_caller]
        pub fn $max(x: &Tensor, size: [usize; $axes], layout: Layout) -> Tensor {
            adaptive(stringify!($max), x, size, layout, Kind::Max)
        }
    )*};
}

adaptive! {
    1 "[n, c, l]" "[n, l, c]" adaptive_avg_pool1d adaptive_max_pool1d;
    2 "[n, c, h, w]" "[n, h, w, c]" adaptive_avg_pool2d adaptive_max_pool2d;
    3 "[n, c, d, h, w]" "[n, d, h, w, c]" adaptive_avg_pool3d adaptive_max_pool3d;
}

/// The mean over all axes but the first and that of the channels: `[n, c, ..]`, or, channels last, `[n, .., c]`,
/// gives `[n, c]`.
#[track_caller]
pub fn global_avg_pool(x: &Tensor, layout: Layout) -> Tensor {
    global("global_avg_pool", x, layout, Kind::Mean)
}

/// As [`global_avg_pool`], the largest element. Ties share the derivative.
#[track_caller]
pub fn global_max_pool(x: &Tensor, layout: Layout) -> Tensor {
    global("global_max_pool", x, layout, Kind::Max)
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Mean,
    Max,
}

#[track_caller]
fn global(name: &str, x: &Tensor, layout: Layout, kind: Kind) -> Tensor {
    if let Some(mistake) = refuse_unless_float(name, x) {
        return mistake;
    }
    let first = first_axis(layout);
    if x.rank() < 3 || x.shape()[first..first + x.rank() - 2].contains(&0) {
        return misfit(name, format!("takes examples, channels, and axes that have elements, not {:?}", x.shape()));
    }
    let axes: Axes = (first..first + x.rank() - 2).collect();
    recorded(|| if kind == Kind::Mean { mean(&wide(x), &axes).cast(x.dtype()) } else { max(x, &axes) })
}

#[track_caller]
fn adaptive<const D: usize>(name: &str, x: &Tensor, size: [usize; D], layout: Layout, kind: Kind) -> Tensor {
    if let Some(mistake) = refuse_unless_float(name, x) {
        return mistake;
    }
    let first = first_axis(layout);
    if x.rank() != D + 2 || (first..first + D).any(|axis| x.shape()[axis] == 0) {
        return misfit(name, format!("takes {} axes, of which those that are pooled have elements, not {:?}", D + 2, x.shape()));
    }
    if size.contains(&0) {
        return disallowed(name, &[x], format!("a size of {size:?} has no elements"));
    }
    recorded(|| {
        // Windows are a product of ranges, one for each axis, so axes can be pooled one after the other.
        let start = if kind == Kind::Mean { wide(x) } else { x.clone() };
        (0..D).fold(start, |y, d| along(&y, first + d, size[d], kind)).cast(x.dtype())
    })
}

/// One axis pooled to a size. Also what resizing by areas is.
pub(in crate::functions) fn average_along(x: &Tensor, axis: usize, size: usize) -> Tensor {
    along(x, axis, size, Kind::Mean)
}

fn along(x: &Tensor, axis: usize, size: usize, kind: Kind) -> Tensor {
    let length = x.shape()[axis];
    if length == size {
        return x.clone();
    }
    let ranges: Vec<(usize, usize)> = (0..size).map(|i| (i * length / size, ((i + 1) * length).div_ceil(size))).collect();
    let most = ranges.iter().map(|(start, stop)| stop - start).max().unwrap_or(1);
    let mut parted: Shape = x.shape().into();
    parted[axis] = size;
    parted.insert(axis + 1, most);
    let within = Axes::from_slice(&[axis + 1]);
    if length == size * most {
        let parts = x.reshape(parted);
        return if kind == Kind::Mean { mean(&parts, &within) } else { max(&parts, &within) };
    }
    // A range that is shorter repeats its last element: a maximum does not mind, and a mean leaves it out.
    let at = ranges.iter().flat_map(|&(start, stop)| (start..start + most).map(move |at| at.min(stop - 1) as i64));
    let parts = x.index_select(axis as isize, &Tensor::from_vec(at.collect::<Vec<i64>>(), size * most)).reshape(&parted);
    if kind == Kind::Max {
        return max(&parts, &within);
    }
    let others = |first: usize, last: usize| (0..parted.len()).filter(|axis| !(first..=last).contains(axis)).collect::<Axes>();
    let own: Vec<bool> = ranges.iter().flat_map(|(start, stop)| (0..most).map(move |k| k < stop - start)).collect();
    let own = spread(&Tensor::from_vec(own, [size, most]), &others(axis, axis + 1), &parted);
    let total = sum(&own.select(&parts, &parts.zeros_like()), &within);
    let counts: Vec<f64> = ranges.iter().map(|(start, stop)| (stop - start) as f64).collect();
    let counts = Tensor::from_vec(counts, size).cast(x.dtype());
    let rest: Axes = (0..total.rank()).filter(|&other| other != axis).collect();
    &total / spread(&counts, &rest, total.shape())
}
