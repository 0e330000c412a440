//! Normalisation over the last axis, and over groups of channels.

use super::Module;
use chainrule_engine::Tensor;
use chainrule_engine::functions::{group_norm, layer_norm, rms_norm};

/// Brings the last axis to mean 0 and variance 1, then scales and shifts it (Ba, Kiros and
/// Hinton, 2016): `[.., width]` to the same shape.
///
/// ```
/// use chainrule::prelude::*;
/// let y = LayerNorm::new(4).forward(&Tensor::from([[1.0, 2.0, 3.0, 4.0]]));
/// assert!(y.sum().item()?.abs() < 1e-6);
/// assert!((y.square().mean().item()? - 1.0).abs() < 1e-4);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct LayerNorm {
    /// The scale, `[width]`, ones at first.
    pub weight: Tensor,
    /// The shift, `[width]`, zeros at first.
    pub bias: Tensor,
    /// Added to the variance.
    pub epsilon: f64,
}

impl LayerNorm {
    /// Over an axis of `width`, with 1e-5 added to the variance, f32.
    #[track_caller]
    pub fn new(width: usize) -> LayerNorm {
        LayerNorm { weight: Tensor::ones([width]), bias: Tensor::zeros([width]), epsilon: 1e-5 }
    }

    /// `x`, whose last axis is `width`, normalised.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        layer_norm(x, 1, Some(&self.weight), Some(&self.bias), self.epsilon)
    }
}

/// Divides the last axis by the root of its mean square, then scales it (Zhang and Sennrich, 2019): `[.., width]` to
/// the same shape.
///
/// ```
/// use chainrule::prelude::*;
/// let y = RmsNorm::new(2).forward(&Tensor::from([[3.0, -3.0]]));
/// assert!((y.square().mean().item()? - 1.0).abs() < 1e-4);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct RmsNorm {
    /// The scale, `[width]`, ones at first.
    pub weight: Tensor,
    /// Added to the mean square.
    pub epsilon: f64,
}

impl RmsNorm {
    /// Over an axis of `width`, with 1e-5 added to the mean square, f32.
    #[track_caller]
    pub fn new(width: usize) -> RmsNorm {
        RmsNorm { weight: Tensor::ones([width]), epsilon: 1e-5 }
    }

    /// `x`, whose last axis is `width`, normalised.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        rms_norm(x, 1, Some(&self.weight), self.epsilon)
    }
}

/// Brings groups of neighbouring channels to mean 0 and variance 1, then scales and shifts each channel (Wu and He,
/// 2018): `[batch, channels, ..]` to the same shape.
///
/// ```
/// use chainrule::prelude::*;
/// let y = GroupNorm::new(2, 4).forward(&Tensor::randn([3, 4, 5, 5], &mut Rng::new(0)));
/// assert_eq!(y.shape(), [3, 4, 5, 5]);
/// assert!(y.mean().item()?.abs() < 1e-6);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct GroupNorm {
    /// The scale, `[channels]`, ones at first.
    pub weight: Tensor,
    /// The shift, `[channels]`, zeros at first.
    pub bias: Tensor,
    /// Into how many groups channels are parted.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

impl GroupNorm {
    /// Of `channels` in `groups`, which must divide them, with 1e-5 added to the variance, f32.
    #[track_caller]
    pub fn new(groups: usize, channels: usize) -> GroupNorm {
        GroupNorm { weight: Tensor::ones([channels]), bias: Tensor::zeros([channels]), groups, epsilon: 1e-5 }
    }

    /// `x`, whose axis 1 is the channels, normalised.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        group_norm(x, 1, self.groups, Some(&self.weight), Some(&self.bias), self.epsilon)
    }
}
