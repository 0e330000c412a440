//! Convolution over images.

use super::{Module, bound, mistake, uniform};
use chainrule_engine::functions::{Conv2dOptions, Layout, Padding, conv2d};
use chainrule_engine::{ErrorKind, Rng, Tensor};

/// Windows of an image summed with weights: `[batch, channels, height, width]` to
/// `[batch, outputs, height', width']`.
///
/// ```
/// use chainrule::prelude::*;
/// use chainrule::functions::Padding;
/// let layer = Conv2d { padding: Padding::Both([1, 1]), ..Conv2d::new(1, 8, 3, &mut Rng::new(0)) };
/// assert_eq!(layer.forward(&Tensor::ones([2, 1, 28, 28])).shape(), [2, 8, 28, 28]);
/// assert_eq!(layer.parameter_count(), 8 * 9 + 8);
/// ```
#[derive(Clone, Debug, Module)]
pub struct Conv2d {
    /// `[outputs, channels / groups, rows, columns]`.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Option<Tensor>,
    /// Distance between windows: down, across.
    pub stride: [usize; 2],
    /// Zeros around the image.
    #[module(skip)]
    pub padding: Padding<2>,
    /// Distance between the elements of a window: down, across.
    pub dilation: [usize; 2],
    /// Into how many groups channels are parted, each with weights of its own.
    pub groups: usize,
}

impl Conv2d {
    /// Square windows of `size`, stride 1, no padding. Weight and bias uniform in
    /// `-1/sqrt(n) .. 1/sqrt(n)` for windows of `n` numbers, f32, as in [`super::Linear`].
    #[track_caller]
    pub fn new(channels: usize, outputs: usize, size: usize, rng: &mut Rng) -> Conv2d {
        Conv2d::grouped(channels, outputs, size, 1, rng)
    }

    /// As [`Conv2d::new`], with channels parted into `groups`, which must divide them.
    #[track_caller]
    pub fn grouped(channels: usize, outputs: usize, size: usize, groups: usize, rng: &mut Rng) -> Conv2d {
        let each = channels.checked_div(groups).unwrap_or(0);
        let bound = bound(each.saturating_mul(size).saturating_mul(size));
        let weight = if each * groups == channels && channels > 0 {
            uniform([outputs, each, size, size], bound, rng)
        } else {
            let message = format!("{channels} channels cannot be parted into {groups} groups");
            mistake(ErrorKind::Argument, "conv2d", message)
        };
        Conv2d {
            weight,
            bias: Some(uniform([outputs], bound, rng)),
            stride: [1, 1],
            padding: Padding::Both([0, 0]),
            dilation: [1, 1],
            groups,
        }
    }

    /// `[batch, channels, height, width]` to `[batch, outputs, height', width']`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let options = Conv2dOptions {
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
            layout: Layout::default(),
        };
        let y = conv2d(x, &self.weight, &options);
        match &self.bias {
            Some(bias) => y + bias.reshape([bias.len(), 1, 1]),
            None => y,
        }
    }
}
