//! Whether a model is being trained, and what one forward pass of training needs and leaves behind.
//!
//! No module remembers a mode, and none changes while it computes: the new values of its buffers are handed to whoever
//! asked for the pass, as the results are.

use super::Module;
use super::module::replace;
use chainrule_engine::{Error, ErrorKind, Result, Rng, Tensor};
use std::collections::HashMap;

/// Whether a model is being trained; if so, with what that needs.
///
/// Layers that behave differently take it as an argument: no module remembers a mode.
#[derive(Debug)]
pub enum Mode<'a> {
    /// Parameters are being learned.
    Train(&'a mut Training),
    /// The model is being used: no randomness, and nothing of it changes.
    Evaluate,
}

impl Mode<'_> {
    /// Whether parameters are being learned.
    pub fn is_training(&self) -> bool {
        matches!(self, Mode::Train(_))
    }
}

/// One forward pass of training: where its random numbers come from, and the new values of buffers, such as the running
/// statistics of a [`super::BatchNorm`].
///
/// A [`crate::train::Trainer`] makes one for each step it captures and keeps the new values between steps, as it keeps
/// parameters. Who trains otherwise calls [`Training::apply`] after each pass, or gives [`Training::updates`] to a
/// [`chainrule_engine::Step`] along with the parameters'.
///
/// ```
/// use chainrule::prelude::*;
/// /// Rewards less their running mean.
/// #[derive(Module)]
/// struct Baseline {
///     #[module(buffer)]
///     mean: Tensor,
/// }
///
/// impl Baseline {
///     fn forward(&self, rewards: &Tensor, mode: &mut Mode<'_>) -> Tensor {
///         if let Mode::Train(training) = mode {
///             let mean = training.current(&self.mean) * 0.5 + rewards.mean() * 0.5;
///             training.update(&self.mean, mean);
///         }
///         rewards - &self.mean
///     }
/// }
///
/// let mut model = Baseline { mean: Tensor::zeros(()) };
/// let mut training = Training::new(Rng::new(0));
/// model.forward(&Tensor::from([3.0, 5.0]), &mut Mode::Train(&mut training));
/// assert_eq!(model.mean.item()?, 0.0);
/// training.apply(&mut model)?;
/// assert_eq!(model.mean.item()?, 2.0);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Training {
    /// The source of random numbers.
    pub rng: Rng,
    updates: Vec<(Tensor, Tensor)>,
}

impl Training {
    /// A pass that draws its random numbers from here.
    pub fn new(rng: Rng) -> Training {
        Training { rng, updates: Vec::new() }
    }

    /// What a buffer holds by now: the last value that this pass gave it, or else its own. A layer that is used twice in
    /// a pass goes on from where its first use ended.
    pub fn current(&self, buffer: &Tensor) -> Tensor {
        let given = self.updates.iter().find(|(old, _)| old.is(buffer));
        given.map_or(buffer, |(_, new)| new).clone()
    }

    /// Says what a buffer holds after this pass, of the same shape and element type. It must be a value of the whole pass, not of
    /// one example in `vmap` or one step of a loop: a step that is captured refuses those.
    pub fn update(&mut self, buffer: &Tensor, new: Tensor) {
        match self.updates.iter_mut().find(|(old, _)| old.is(buffer)) {
            Some((_, last)) => *last = new,
            None => self.updates.push((buffer.clone(), new)),
        }
    }

    /// Each buffer that this pass changes, and what it holds afterwards, in the order of their first changes.
    pub fn updates(&self) -> &[(Tensor, Tensor)] {
        &self.updates
    }

    /// Computes the new values, and gives them to the model as leaves.
    ///
    /// # Errors
    /// The first mistake in a new value; one that is of another shape or element type than its buffer, or belongs to
    /// none of the model's. Then the model is as it was.
    pub fn apply(self, model: &mut (impl Module + ?Sized)) -> Result<()> {
        let buffers = model.buffers();
        let new = self.of_buffers(&buffers)?;
        Tensor::eval_all(&new.iter().map(|(_, new)| new).collect::<Vec<_>>())?;
        let leaf = |(at, new): (usize, Tensor)| Ok((buffers[at].1.id(), new.to_leaf()?));
        replace(model, &new.into_iter().map(leaf).collect::<Result<HashMap<_, _>>>()?);
        Ok(())
    }

    /// For each buffer that changes its place among the model's, and the new value, in their order.
    pub(crate) fn of_buffers(&self, buffers: &[(String, Tensor)]) -> Result<Vec<(usize, Tensor)>> {
        let mut found = Vec::with_capacity(self.updates.len());
        for (old, new) in &self.updates {
            new.check()?;
            let mistake = |kind, message: String| Err(Error::new(kind, "update", message).at(new.origin()));
            let Some(at) = buffers.iter().position(|(_, buffer)| buffer.is(old)) else {
                let message = format!(
                    "a tensor {:?} {} gets a new value and is no buffer of the model; mark the field that holds it `#[module(buffer)]`",
                    old.shape(),
                    old.dtype()
                );
                return mistake(ErrorKind::Argument, message);
            };
            if old.ty() != new.ty() {
                let name = &buffers[at].0;
                let message = format!("buffer `{name}` {:?} {} cannot become {:?} {}", old.shape(), old.dtype(), new.shape(), new.dtype());
                return mistake(ErrorKind::Shape, message);
            }
            found.push((at, new.clone()));
        }
        found.sort_by_key(|(at, _)| *at);
        Ok(found)
    }
}
