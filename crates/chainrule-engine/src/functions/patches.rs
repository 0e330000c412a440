//! Elements put elsewhere: channels into places and back, images into patches and back.

use super::conv::pad;
use super::{disallowed, misfit, recorded, refuse_unless_float};
use crate::ops::movement::Axes;
use crate::ops::{Fold, Slice, Window};
use crate::tensor::Tensor;

/// `[.., c r^2, h, w]` to `[.., c, h r, w r]`: each group of `r^2` channels becomes a square.
/// Shi et al., "Real-Time Single Image and Video Super-Resolution" (2016).
///
/// ```
/// use chainrule_engine::{Tensor, functions::pixel_shuffle};
/// let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0], [4, 1, 1]);
/// let y = pixel_shuffle(&x, 2);
/// assert_eq!((y.shape(), y.to_vec::<f32>()?), (&[1, 2, 2][..], vec![1.0, 2.0, 3.0, 4.0]));
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn pixel_shuffle(x: &Tensor, factor: usize) -> Tensor {
    let name = "pixel_shuffle";
    if x.error().is_some() {
        return x.clone();
    }
    let square = factor.saturating_mul(factor);
    let Some((rest, &[c, h, w])) = x.shape().split_last_chunk::<3>().filter(|(_, last)| square > 0 && last[0].is_multiple_of(square))
    else {
        return misfit(name, format!("channels of {:?} do not part into squares of {factor}", x.shape()));
    };
    recorded(|| {
        let n = rest.len();
        let order: Axes = (0..n + 1).chain([n + 3, n + 1, n + 4, n + 2]).collect();
        let parted = x.reshape([rest, &[c / square, factor, factor, h, w]].concat());
        parted.permute(order).reshape([rest, &[c / square, h * factor, w * factor]].concat())
    })
}

/// The inverse of [`pixel_shuffle`]: `[.., c, h r, w r]` to `[.., c r^2, h, w]`.
#[track_caller]
pub fn pixel_unshuffle(x: &Tensor, factor: usize) -> Tensor {
    if x.error().is_some() {
        return x.clone();
    }
    let parts = |size: usize| factor > 0 && size.is_multiple_of(factor);
    let Some((rest, &[c, h, w])) = x.shape().split_last_chunk::<3>().filter(|(_, last)| parts(last[1]) && parts(last[2])) else {
        return misfit("pixel_unshuffle", format!("{:?} does not part into squares of {factor}", x.shape()));
    };
    recorded(|| {
        let n = rest.len();
        let order: Axes = (0..n + 1).chain([n + 2, n + 4, n + 1, n + 3]).collect();
        let parted = x.reshape([rest, &[c, h / factor, factor, w / factor, factor]].concat());
        parted.permute(order).reshape([rest, &[c * factor * factor, h / factor, w / factor]].concat())
    })
}

/// Which patches [`unfold`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfoldOptions {
    /// Elements of a patch.
    pub kernel: [usize; 2],
    /// Distance between the elements of a patch.
    pub dilation: [usize; 2],
    /// Zeros around the image, on both sides of each axis.
    pub padding: [usize; 2],
    /// Distance between patches.
    pub stride: [usize; 2],
}

impl UnfoldOptions {
    /// All patches of `kernel`.
    pub fn new(kernel: [usize; 2]) -> UnfoldOptions {
        UnfoldOptions { kernel, dilation: [1; 2], padding: [0; 2], stride: [1; 2] }
    }

    /// How many patches there are along both axes, or the poisoned tensor to return.
    #[track_caller]
    fn counts(&self, name: &str, x: &Tensor, lengths: [usize; 2]) -> Result<[usize; 2], Tensor> {
        let UnfoldOptions { kernel, dilation, stride, .. } = self;
        if [kernel, dilation, stride].iter().any(|list| list.contains(&0)) {
            let message = format!("kernel {kernel:?}, dilation {dilation:?} and stride {stride:?} must be at least 1");
            return Err(disallowed(name, &[x], message));
        }
        let mut counts = [0; 2];
        for d in 0..2 {
            let padded = lengths[d].saturating_add(self.padding[d].saturating_mul(2));
            let Some(count) = self.window(0).count(d, padded) else {
                return Err(misfit(
                    name,
                    format!("a patch of {kernel:?} (dilation {dilation:?}) does not fit {lengths:?} padded by {:?}", self.padding),
                ));
            };
            counts[d] = count;
        }
        Ok(counts)
    }

    fn window(&self, first: usize) -> Window {
        let [sizes, strides, dilations] = [self.kernel, self.stride, self.dilation].map(|list| Axes::from_slice(&list));
        Window { axes: (first..first + 2).collect(), sizes, strides, dilations }
    }

    fn sides(&self) -> [[usize; 2]; 2] {
        self.padding.map(|zeros| [zeros; 2])
    }
}

/// Patches of `[n, c, h, w]` as columns: `[n, c kh kw, patches]`, the patches row by row.
///
/// ```
/// use chainrule_engine::{Tensor, functions::{UnfoldOptions, unfold}};
/// let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0], [1, 1, 1, 3]);
/// let y = unfold(&x, &UnfoldOptions::new([1, 2]));
/// assert_eq!((y.shape(), y.to_vec::<f32>()?), (&[1, 2, 2][..], vec![1.0, 2.0, 2.0, 3.0]));
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn unfold(x: &Tensor, options: &UnfoldOptions) -> Tensor {
    if let Some(mistake) = refuse_unless_float("unfold", x) {
        return mistake;
    }
    let &[n, c, h, w] = x.shape() else {
        return misfit("unfold", format!("takes [n, c, h, w], not {:?}", x.shape()));
    };
    let [rows, columns] = match options.counts("unfold", x, [h, w]) {
        Ok(counts) => counts,
        Err(mistake) => return mistake,
    };
    recorded(|| {
        let patches = Tensor::record(options.window(2), [pad(x, 2, &options.sides())]);
        let [kh, kw] = options.kernel;
        patches.permute([0, 1, 4, 5, 2, 3]).reshape([n, c * kh * kw, rows * columns])
    })
}

/// The adjoint of [`unfold`]: columns `[n, c kh kw, patches]` added up where patches overlap, in an image of `size`:
/// `[n, c, h, w]`.
#[track_caller]
pub fn fold(x: &Tensor, size: [usize; 2], options: &UnfoldOptions) -> Tensor {
    if let Some(mistake) = refuse_unless_float("fold", x) {
        return mistake;
    }
    let counts = match options.counts("fold", x, size) {
        Ok(counts) => counts,
        Err(mistake) => return mistake,
    };
    let [kh, kw] = options.kernel;
    let &[n, width, patches] = x.shape() else {
        return misfit("fold", format!("takes [n, c kh kw, patches], not {:?}", x.shape()));
    };
    if !width.is_multiple_of(kh * kw) || patches != counts[0] * counts[1] {
        return misfit("fold", format!("{:?} are not {counts:?} patches of {:?}", x.shape(), options.kernel));
    }
    recorded(|| {
        let c = width / (kh * kw);
        let parts = x.reshape([n, c, kh, kw, counts[0], counts[1]]).permute([0, 1, 4, 5, 2, 3]);
        let lengths: Axes = (0..2).map(|d| size[d] + 2 * options.padding[d]).collect();
        let whole = Tensor::record(Fold { window: options.window(2), lengths }, [parts]);
        if options.padding == [0; 2] {
            return whole;
        }
        let [top, left] = options.padding;
        let stop = [n, c, top + size[0], left + size[1]];
        Tensor::record(
            Slice { start: Axes::from_slice(&[0, 0, top, left]), stop: Axes::from_slice(&stop), step: Axes::from_elem(1, 4) },
            [whole],
        )
    })
}
