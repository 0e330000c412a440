//! The fully connected layer.

use super::{Module, bound, mistake, uniform};
use chainrule_engine::{ErrorKind, Rng, Tensor};

/// `y = x W^T + b` over the last axis: `[.., inputs]` to `[.., outputs]`.
///
/// The weight is laid out `[outputs, inputs]`, one row per output: that is the layout of most
/// published files, and costs nothing, as the product names the axes that it sums.
///
/// ```
/// use chainrule::prelude::*;
/// let layer = Linear::new(3, 2, &mut Rng::new(1));
/// let y = layer.forward(&Tensor::ones([5, 4, 3]));
/// assert_eq!(y.shape(), [5, 4, 2]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct Linear {
    /// `[outputs, inputs]`.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Option<Tensor>,
}

impl Linear {
    /// Weight and bias uniform in `-1/sqrt(inputs) .. 1/sqrt(inputs)`, f32: the variance that He et
    /// al. (2015) give for leaky rectifiers of slope sqrt(5), and PyTorch's default.
    #[track_caller]
    pub fn new(inputs: usize, outputs: usize, rng: &mut Rng) -> Linear {
        let mut layer = Linear::without_bias(inputs, outputs, rng);
        layer.bias = Some(uniform([outputs], bound(inputs), rng));
        layer
    }

    /// As [`Linear::new`], without a bias.
    #[track_caller]
    pub fn without_bias(inputs: usize, outputs: usize, rng: &mut Rng) -> Linear {
        let weight = uniform([outputs, inputs], bound(inputs), rng);
        Linear { weight, bias: None }
    }

    /// `[.., inputs]` to `[.., outputs]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        if let Some(poisoned) = [x, &self.weight].into_iter().find(|t| t.error().is_some()) {
            return poisoned.clone();
        }
        let fits = x.rank() > 0 && self.weight.rank() == 2;
        if !fits || x.shape()[x.rank() - 1] != self.weight.shape()[1] {
            let message = format!(
                "an input of shape {:?} does not end in the axis of the weight {:?} [outputs, inputs]",
                x.shape(),
                self.weight.shape()
            );
            return mistake(ErrorKind::Shape, "linear", message);
        }
        let y = x.einsum(&labels(x.rank() - 1), &self.weight);
        match &self.bias {
            Some(bias) => y + bias,
            None => y,
        }
    }
}

/// `abi,oi->abo` for two leading axes.
fn labels(leading: usize) -> String {
    // Capital letters leave `i` and `o` alone; 26 axes are more than a tensor of memory can use.
    let leading: String = ('A'..='Z').take(leading).collect();
    format!("{leading}i,oi->{leading}o")
}
