//! Fully connected layers in a row.

use super::{Activation, Linear, Module};
use chainrule_engine::{Rng, Tensor, scope};

/// Linear layers with an activation between any two.
///
/// ```
/// use chainrule::prelude::*;
/// let model = Mlp::new(&[64, 32, 10], Activation::Relu, &mut Rng::new(0));
/// assert_eq!(model.forward(&Tensor::zeros([5, 64])).shape(), [5, 10]);
/// assert_eq!(model.parameter_count(), 64 * 32 + 32 + 32 * 10 + 10);
/// ```
#[derive(Clone, Debug, Module)]
pub struct Mlp {
    /// In the order in which they are applied.
    pub layers: Vec<Linear>,
    /// Between layers, not after the last.
    pub activation: Activation,
}

impl Mlp {
    /// Layers from each of the `sizes` to the next: `[inputs, hidden.., outputs]`.
    #[track_caller]
    pub fn new(sizes: &[usize], activation: Activation, rng: &mut Rng) -> Mlp {
        let layers = sizes.windows(2).map(|pair| Linear::new(pair[0], pair[1], rng)).collect();
        Mlp { layers, activation }
    }

    /// `[.., inputs]` to `[.., outputs]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let mut x = x.clone();
        for (at, layer) in self.layers.iter().enumerate() {
            if at > 0 {
                x = self.activation.forward(&x);
            }
            x = scope(&format!("layers.{at}"), || layer.forward(&x));
        }
        x
    }
}
