//! Normalisation over the last axis.

use super::Module;
use chainrule_engine::Tensor;
use chainrule_engine::functions::layer_norm;

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
