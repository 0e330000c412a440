//! Saving a training so that it goes on as if it had never stopped, bit by bit.

use super::Trainer;
use super::trainer::distinct;
use crate::io::weights::{Metadata, WeightsError, load_tensors, save_tensors};
use crate::nn::{Module, StateError};
use chainrule_engine::Tensor;
use std::path::Path;

/// The metadata's keys that belong to the trainer; those of callers must differ.
const KIND: &str = "chainrule.kind";
const STEPS: &str = "chainrule.steps";
const SEED: &str = "chainrule.seed";
const OPTIMIZER: &str = "chainrule.optimizer";

/// What a file of this kind says of itself.
const TRAINING: &str = "training";

impl<M: Module> Trainer<M> {
    /// Writes everything that the next step depends on to the file at `path`: parameters and
    /// buffers (`model.` before their names), what the optimizer keeps (`optimizer.first_moment.`),
    /// the seed and the number of steps. `metadata` is kept for the caller, say for the place in
    /// the data.
    ///
    /// # Errors
    /// If the file cannot be written; then it is as it was.
    ///
    /// ```
    /// use chainrule::prelude::*;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("training.safetensors");
    /// let trainer = || {
    ///     let model = Linear::new(3, 1, &mut Rng::new(0));
    ///     Trainer::new(model, Adam::new(0.1), |model, batch, _| model.forward(&batch[0]).square().mean())
    /// };
    /// let batch = [Tensor::ones([4, 3])];
    /// let mut first = trainer()?;
    /// first.step(&batch)?;
    /// first.save(&path, &[("epoch".to_string(), "0".to_string())])?;
    ///
    /// let mut second = trainer()?;
    /// let metadata = second.load(&path)?;
    /// assert_eq!(metadata, [("epoch".to_string(), "0".to_string())]);
    /// assert_eq!(second.step(&batch)?, first.step(&batch)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&mut self, path: impl AsRef<Path>, metadata: &[(String, String)]) -> Result<(), WeightsError> {
        self.take_values()?;
        let mut tensors: Vec<(String, Tensor)> =
            self.model()?.state().into_iter().map(|(name, tensor)| (format!("model.{name}"), tensor)).collect();
        tensors.extend(self.optimizer_state());
        let own = [
            (KIND, TRAINING.to_string()),
            (OPTIMIZER, self.optimizer.name().to_string()),
            (SEED, self.seed.to_string()),
            (STEPS, self.steps.to_string()),
        ];
        let own = own.map(|(key, text)| (key.to_string(), text));
        let all: Metadata = own.into_iter().chain(metadata.iter().cloned()).collect();
        save_tensors(path, &tensors, &all)
    }

    /// Goes on where [`Trainer::save`] was called, and gives the caller's metadata. The model,
    /// the optimizer and the settings must be made as they were then; the seed comes from the file.
    ///
    /// # Errors
    /// If the file cannot be read, is no saved training or one of another optimizer, or holds other
    /// tensors than are needed: all differences are named, and nothing has changed.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<Metadata, WeightsError> {
        let path = path.as_ref();
        let (tensors, mut metadata) = load_tensors(path)?;
        let (seed, steps) = self.check_metadata(path, &metadata)?;
        let (of_model, of_optimizer): (Vec<_>, Vec<_>) = tensors.into_iter().partition(|(name, _)| name.starts_with("model."));
        let of_model: Vec<(String, Tensor)> =
            of_model.into_iter().map(|(name, tensor)| (name["model.".len()..].to_string(), tensor)).collect();
        let failed = |problem| WeightsError::State { file: path.to_path_buf(), problem };
        self.take_back()?;
        let states = self.matching_states(&of_optimizer).map_err(failed)?;
        self.model_mut().load_state(&of_model).map_err(failed)?;
        self.states = states;
        self.seed = seed;
        self.steps = steps;
        metadata.retain(|(key, _)| ![KIND, OPTIMIZER, SEED, STEPS].contains(&key.as_str()));
        Ok(metadata)
    }

    /// What the optimizer keeps, by the names it has in a file.
    fn optimizer_state(&mut self) -> Vec<(String, Tensor)> {
        let kept = self.optimizer.state_names();
        let parameters = distinct(self.model_mut());
        let named = parameters.iter().zip(&self.states).flat_map(|((parameter, _), state)| {
            let name = move |kept: &&str| format!("optimizer.{kept}.{parameter}");
            kept.iter().map(name).zip(state.iter().cloned())
        });
        named.collect()
    }

    /// The saved tensors in the places of what the optimizer keeps now.
    fn matching_states(&mut self, saved: &[(String, Tensor)]) -> Result<Vec<Vec<Tensor>>, StateError> {
        let per_parameter = self.optimizer.state_names().len();
        let mut holder = Named(self.optimizer_state());
        holder.load_state(saved)?;
        let mut tensors = holder.0.into_iter().map(|(_, tensor)| tensor);
        Ok(self.states.iter().map(|_| tensors.by_ref().take(per_parameter).collect()).collect())
    }

    fn check_metadata(&self, path: &Path, metadata: &[(String, String)]) -> Result<(u64, u64), WeightsError> {
        let get = |key: &str| metadata.iter().find(|(known, _)| known == key).map(|(_, text)| text.as_str());
        let failed = |problem: String| WeightsError::Metadata { file: path.to_path_buf(), problem };
        if get(KIND) != Some(TRAINING) {
            return Err(failed("this file holds no training to go on with; name one that a trainer saved".into()));
        }
        let optimizer = get(OPTIMIZER).unwrap_or("");
        if optimizer != self.optimizer.name() {
            return Err(failed(format!(
                "this training was saved with the optimizer `{optimizer}`, not `{}`; go on with the same",
                self.optimizer.name()
            )));
        }
        let number = |key: &str| {
            get(key)
                .and_then(|text| text.parse::<u64>().ok())
                .ok_or_else(|| failed(format!("the entry `{key}` is missing or no whole number; the file was changed or damaged")))
        };
        Ok((number(SEED)?, number(STEPS)?))
    }
}

/// Tensors whose names are not those of fields.
struct Named(Vec<(String, Tensor)>);

impl Module for Named {
    fn walk(&self, visitor: &mut crate::nn::Visitor<'_>) {
        self.0.iter().for_each(|(name, tensor)| visitor.field(name, tensor));
    }
    fn walk_mut(&mut self, visitor: &mut crate::nn::VisitorMut<'_>) {
        self.0.iter_mut().for_each(|(name, tensor)| visitor.field(name, tensor));
    }
}
