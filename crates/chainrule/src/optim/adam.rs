//! Adam and AdamW.

use super::{Optimizer, Updated, for_parameter};
use chainrule_engine::Tensor;

macro_rules! adam {
    ($(#[$doc:meta])* $type:ident, $name:literal, decay $decay:literal, decoupled $decoupled:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $type {
            /// The learning rate.
            pub rate: f64,
            /// How much of the running mean of the gradient is kept at each step.
            pub beta1: f64,
            /// How much of the running mean of the squared gradient is kept at each step.
            pub beta2: f64,
            /// Added to the root of the second moment.
            pub epsilon: f64,
            /// How strongly parameters are drawn to 0.
            pub weight_decay: f64,
        }

        impl $type {
            /// With this learning rate and the usual constants.
            pub fn new(rate: f64) -> $type {
                $type { rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: $decay }
            }

            fn moments(&self) -> Moments {
                Moments {
                    beta1: self.beta1,
                    beta2: self.beta2,
                    epsilon: self.epsilon,
                    weight_decay: self.weight_decay,
                    decoupled: $decoupled,
                }
            }
        }

        impl Optimizer for $type {
            fn name(&self) -> &'static str {
                $name
            }
            fn learning_rate(&self) -> f64 {
                self.rate
            }
            fn state_names(&self) -> &'static [&'static str] {
                &["first_moment", "second_moment"]
            }
            fn shared(&self, rate: &Tensor, step: &Tensor) -> Vec<Tensor> {
                self.moments().shared(rate, step)
            }
            fn update(&self, w: &Tensor, g: &Tensor, state: &[Tensor], shared: &[Tensor]) -> Updated {
                self.moments().update(w, g, state, shared)
            }
        }
    };
}

adam! {
    /// Adam (Kingma and Ba, 2015). Weight decay, if any, is added to the gradient, as in PyTorch.
    ///
    /// ```
    /// use chainrule::prelude::*;
    /// let adam = Adam { beta2: 0.99, ..Adam::new(3e-4) };
    /// assert_eq!((adam.rate, adam.weight_decay), (3e-4, 0.0));
    /// ```
    Adam, "adam", decay 0.0, decoupled false
}

adam! {
    /// AdamW (Loshchilov and Hutter, 2019): weight decay shrinks the parameter itself, by the
    /// learning rate times `weight_decay`, 0.01 unless told otherwise.
    ///
    /// ```
    /// use chainrule::prelude::*;
    /// let adamw = AdamW { weight_decay: 0.1, ..AdamW::new(3e-4) };
    /// assert_eq!(adamw.state_names(), ["first_moment", "second_moment"]);
    /// ```
    AdamW, "adamw", decay 0.01, decoupled true
}

/// What the two share.
struct Moments {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
    /// Whether weight decay bypasses the moments.
    decoupled: bool,
}

impl Moments {
    /// The step size and what the second moment's root is multiplied by, both corrected for starting from zero, then
    /// what is kept of a parameter by decoupled weight decay. In f64 whatever the parameters are. A parameter is left
    /// with one division and one root for each of its numbers, which take longer than all the rest.
    fn shared(&self, rate: &Tensor, step: &Tensor) -> Vec<Tensor> {
        let correction = |beta: f64| 1.0 - Tensor::scalar(beta, step.dtype()).pow(step);
        vec![rate / correction(self.beta1), 1.0 / correction(self.beta2).sqrt(), 1.0 - rate * self.weight_decay]
    }

    fn update(&self, w: &Tensor, g: &Tensor, state: &[Tensor], shared: &[Tensor]) -> Updated {
        let [size, scale, kept] = [0, 1, 2].map(|i| for_parameter(&shared[i], w));
        let decays = self.weight_decay != 0.0;
        let gradient = if decays && !self.decoupled { g + w * self.weight_decay } else { g.clone() };
        let w = if decays && self.decoupled { w * kept } else { w.clone() };
        let first = &state[0] + (&gradient - &state[0]) * (1.0 - self.beta1);
        let second = &state[1] * self.beta2 + gradient.square() * (1.0 - self.beta2);
        let root = second.sqrt() * scale + self.epsilon;
        Updated { parameter: w - &first / root * size, state: vec![first, second] }
    }
}
