//! Steps that make NaN or infinities: taken back, and explained by the operation that made the first.

use super::{Captured, Recorded, Trainer};
use crate::check::anomaly;
use crate::nn::Module;
use chainrule_engine::{Error, ErrorKind, Result, Tensor};

impl Captured {
    /// What the step changes, as it is now.
    pub(super) fn states(&self) -> Vec<Tensor> {
        (0..self.states).map(|at| self.step.state(at)).collect()
    }

    /// Whether the loss of the last step is finite, and all that was finite before it.
    pub(super) fn is_finite(&self, before: &[Tensor]) -> Result<bool> {
        let mut all = self.step.item(0).is_finite();
        for (old, new) in before.iter().zip(self.states()) {
            all = all && (finite(&new)? || !finite(old)?);
        }
        Ok(all)
    }
}

fn finite(x: &Tensor) -> Result<bool> {
    Ok(!x.dtype().is_float() || x.to_data()?.to_f64().iter().all(|number| number.is_finite()))
}

impl<M: Module> Trainer<M> {
    /// Brings back what was before a step, and records it again to find what went wrong in it.
    pub(super) fn explain(&mut self, batch: &[Tensor], scalars: &[Tensor; 3], before: &[Tensor]) -> Result<Error> {
        if let Some(captured) = &mut self.captured {
            before.iter().enumerate().try_for_each(|(at, old)| captured.step.set_state(at, old))?;
        }
        self.take_values()?;
        let Recorded { outputs, gradients, updates, .. } = self.record(batch, scalars)?;
        let roots: Vec<&Tensor> = outputs[..1].iter().chain(&gradients).chain(updates.iter().map(|(_, new)| new)).collect();
        let unknown = || {
            let message = "the step makes NaN or an infinity, though no operation does by itself: fused, sums are taken in another order";
            Error::new(ErrorKind::NotFinite, "train", message).at(outputs[0].origin())
        };
        Ok(anomaly(&roots)?.map_or_else(unknown, Error::from))
    }
}
