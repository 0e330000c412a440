//! A fully connected layer that learns by feedback alignment.

use super::{Linear, Module, bound, uniform};
use chainrule_engine::ops::CustomRule;
use chainrule_engine::transform::custom_derivative;
use chainrule_engine::{Result, Rng, Tensor};

/// A [`Linear`] layer whose error goes backward through weights of its own, which are random and never learn (Lillicrap,
/// Cownden, Tweed, Akerman, "Random synaptic feedback weights support error backpropagation for deep learning", 2016).
/// The layer's own gradients are those of [`Linear`]; what is passed on to the layers before it is not a gradient, and
/// learning works as far as their weights come to agree with it.
///
/// ```
/// use chainrule::prelude::*;
/// use chainrule::nn::FeedbackLinear;
/// let layer = FeedbackLinear::new(3, 2, &mut Rng::new(1));
/// let x = Tensor::ones([5, 3]);
/// let y = layer.forward(&x);
/// assert_eq!(y.shape(), [5, 2]);
/// let passed_on = y.sum().grad(&[&x])?.remove(0);
/// assert_eq!(passed_on.to_vec::<f32>()?, Tensor::ones([5, 2]).matmul(&layer.feedback).to_vec::<f32>()?);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct FeedbackLinear {
    /// What is computed forward.
    pub linear: Linear,
    /// `[outputs, inputs]`, in the place of the weight on the way back.
    #[module(buffer)]
    pub feedback: Tensor,
}

impl FeedbackLinear {
    /// Weight, bias and feedback uniform in `-1/sqrt(inputs) .. 1/sqrt(inputs)`, f32.
    #[track_caller]
    pub fn new(inputs: usize, outputs: usize, rng: &mut Rng) -> FeedbackLinear {
        let linear = Linear::new(inputs, outputs, rng);
        FeedbackLinear { linear, feedback: uniform([outputs, inputs], bound(inputs), rng) }
    }

    /// `[.., inputs]` to `[.., outputs]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let y = self.linear.forward(&x.detach());
        if y.error().is_some() {
            return y;
        }
        // Nothing is added but a way back.
        let way_back = custom_derivative(&y.zeros_like(), &[x, &self.feedback], Feedback);
        y + way_back
    }
}

/// Products with the feedback weights.
struct Feedback;

impl CustomRule for Feedback {
    fn name(&self) -> &str {
        "feedback_alignment"
    }

    fn vjp(&self, inputs: &[Tensor], _: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(cotangent.matmul(&inputs[1])), None])
    }
}
