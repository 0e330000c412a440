//! One step as a graph: loss, gradients, and what parameters and buffers become.

use super::Trainer;
use crate::check::Audit;
use crate::nn::{Mode, Module, Training};
use crate::optim::clip_by_global_norm;
use chainrule_engine::{Error, ErrorKind, Result, Rng, Tensor};
use std::collections::HashSet;

/// What a step computes.
pub(super) struct Recorded {
    /// The loss, what else the objective tells, and the gradients' length if they are shortened.
    pub outputs: Vec<Tensor>,
    /// For each distinct parameter.
    pub gradients: Vec<Tensor>,
    /// Each parameter with what the optimizer keeps for it, then buffers, and what they become.
    pub updates: Vec<(Tensor, Tensor)>,
    /// Which of the distinct buffers change.
    pub buffers: Vec<usize>,
}

impl<M: Module> Trainer<M> {
    /// Records a step on a batch. Scalars: the key of its random numbers, the learning rate, and the step's number from 1.
    pub(super) fn record(&self, batch: &[Tensor], [key, rate, count]: &[Tensor; 3]) -> Result<Recorded> {
        let mut training = Training::new(Rng::from_key(key));
        let mut outputs = self.outputs(batch, &mut training)?;
        let (named, buffers) = (distinct(&self.model), distinct_buffers(&self.model));
        let renewed = training.of_buffers(&buffers)?;
        let mut gradients = self.gradients(&outputs[0], &named, &mut training.rng)?;
        if self.loss_scale != 1.0 {
            gradients.iter_mut().for_each(|gradient| *gradient = &*gradient / self.loss_scale);
        }
        if let Some(longest) = self.longest_gradient {
            let (short, length) = clip_by_global_norm(&gradients, longest);
            gradients = short;
            outputs.push(length);
        }
        let shared = self.optimizer.shared(rate, count);
        let mut updates: Vec<(Tensor, Tensor)> = Vec::new();
        for (((_, parameter), gradient), state) in named.into_iter().zip(&gradients).zip(&self.states) {
            let updated = self.optimizer.update(&parameter, gradient, state, &shared);
            updates.push((parameter, updated.parameter));
            updates.extend(state.iter().cloned().zip(updated.state));
        }
        let changed = renewed.iter().map(|(at, _)| *at).collect();
        updates.extend(renewed.into_iter().map(|(at, new)| (buffers[at].1.clone(), new)));
        Ok(Recorded { outputs, gradients, updates, buffers: changed })
    }

    /// The loss, first, and what else the objective tells of a batch.
    fn outputs(&self, batch: &[Tensor], training: &mut Training) -> Result<Vec<Tensor>> {
        let outputs = (self.objective)(&self.model, batch, &mut Mode::Train(training));
        outputs.iter().try_for_each(Tensor::check)?;
        if outputs.is_empty() {
            let message = "the objective gave no loss; return it first";
            return Err(Error::new(ErrorKind::Argument, "train", message));
        }
        match outputs[1..].iter().find(|output| output.rank() > 0) {
            Some(wide) => {
                let shape = wide.shape();
                let message = format!("a metric of shape {shape:?} is no scalar; reduce it with `sum` or `mean`");
                Err(Error::new(ErrorKind::Shape, "train", message).at(wide.origin()))
            }
            None => Ok(outputs),
        }
    }

    /// The gradient by each parameter, or which parameters have none and why.
    fn gradients(&self, loss: &Tensor, named: &[(String, Tensor)], rng: &mut Rng) -> Result<Vec<Tensor>> {
        let parameters: Vec<&Tensor> = named.iter().map(|(_, tensor)| tensor).collect();
        let loss = &if self.loss_scale == 1.0 { loss.clone() } else { loss * self.loss_scale };
        let found = self.rule.gradients(loss, &parameters, rng)?;
        let missing: Vec<usize> = (0..found.len()).filter(|&at| found[at].is_none()).collect();
        if !self.zeros_where_disconnected && !missing.is_empty() {
            return Err(disconnected(loss, &Audit::of(loss, named)?, &missing));
        }
        Ok(found.into_iter().zip(parameters).map(|(found, x)| found.unwrap_or_else(|| x.zeros_like())).collect())
    }
}

/// The parameters, each once under its first name.
pub(crate) fn distinct<M: Module>(model: &M) -> Vec<(String, Tensor)> {
    once(model.parameters(), HashSet::new())
}

/// The buffers, each once under its first name, without those that are parameters, too.
pub(super) fn distinct_buffers<M: Module>(model: &M) -> Vec<(String, Tensor)> {
    once(model.buffers(), model.parameters().iter().map(|(_, tensor)| tensor.id()).collect())
}

fn once(mut all: Vec<(String, Tensor)>, mut seen: HashSet<u64>) -> Vec<(String, Tensor)> {
    all.retain(|(_, tensor)| seen.insert(tensor.id()));
    all
}

/// The error of parameters that would never change: all their names, and of the first why.
fn disconnected(loss: &Tensor, audit: &Audit, missing: &[usize]) -> Error {
    let rows = || missing.iter().filter_map(|&at| audit.parameters().get(at));
    let names: Vec<String> = rows().map(|row| format!("`{}`", row.name)).collect();
    let (what, them) = if names.len() == 1 { ("parameter", "it") } else { ("parameters", "them") };
    let first = rows().next().map(|row| format!("`{}` {}", row.name, row.reach)).unwrap_or_default();
    let message = format!(
        "no gradient reaches the {what} {}: use {them}, remove {them} from the model, or call `allow_disconnected` ({first})",
        names.join(", "),
    );
    Error::new(ErrorKind::Disconnected, "train", message).at(loss.origin())
}
