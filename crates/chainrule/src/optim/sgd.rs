//! Gradient descent, plain or with momentum.

use super::{Optimizer, Updated, for_parameter};
use chainrule_engine::Tensor;

/// Stochastic gradient descent with momentum, Nesterov's variant of it, and weight decay.
///
/// With gradient `g`, weight decay `d`, momentum `m` and learning rate `r`, as in PyTorch
/// (Sutskever et al., 2013, with the rate outside of the velocity):
/// `g' = g + d w`, `v' = m v + g'`, `w' = w - r v'`; with Nesterov `w' = w - r (g' + m v')`.
///
/// ```
/// use chainrule::prelude::*;
/// let plain = Sgd::new(0.1);
/// let heavy = Sgd { momentum: 0.9, nesterov: true, ..plain };
/// assert!(plain.state_names().is_empty());
/// assert_eq!(heavy.state_names(), ["velocity"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// The learning rate `r`.
    pub rate: f64,
    /// `m`; 0 keeps no velocity.
    pub momentum: f64,
    /// Whether the step looks ahead by the new velocity.
    pub nesterov: bool,
    /// `d`: how much of each parameter is added to its gradient.
    pub weight_decay: f64,
}

impl Sgd {
    /// Plain descent with this learning rate.
    pub fn new(rate: f64) -> Sgd {
        Sgd { rate, momentum: 0.0, nesterov: false, weight_decay: 0.0 }
    }
}

impl Optimizer for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn learning_rate(&self) -> f64 {
        self.rate
    }

    fn state_names(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["velocity"] }
    }

    fn shared(&self, rate: &Tensor, _: &Tensor) -> Vec<Tensor> {
        vec![rate.clone()]
    }

    fn update(&self, w: &Tensor, g: &Tensor, state: &[Tensor], shared: &[Tensor]) -> Updated {
        let rate = for_parameter(&shared[0], w);
        let gradient = if self.weight_decay == 0.0 { g.clone() } else { g + w * self.weight_decay };
        let velocity: Vec<Tensor> = state.iter().map(|v| v * self.momentum + &gradient).collect();
        let direction = match velocity.first() {
            Some(v) if self.nesterov => gradient + v * self.momentum,
            Some(v) => v.clone(),
            None => gradient,
        };
        Updated { parameter: w - direction * rate, state: velocity }
    }
}
