//! Batch normalisation: channels brought to mean 0 and variance 1 by the statistics of a batch, later by running ones.
//!
//! Running statistics are buffers. The layer does not change them: while training, it tells the pass what they become.

use super::{Mode, Module, Training, mistake};
use chainrule_engine::functions::{BatchNormalized, RunningStatistics, batch_norm, batch_norm_with};
use chainrule_engine::{DType, ErrorKind, Tensor};

/// Brings each channel to mean 0 and variance 1, then scales and shifts it (Ioffe and Szegedy, "Batch Normalization",
/// 2015): `[batch, channels]`, `[batch, channels, length]`, `[batch, channels, height, width]`, or any number of axes
/// after the channels, to the same shape.
///
/// While training, mean and variance are those of the batch, and gradients flow through them; the running mean and the
/// running variance (of which PyTorch takes the unbiased one, and so does this layer) move towards them. When evaluating,
/// the running ones stand for both. A [`crate::train::Trainer`] keeps them; who trains otherwise calls
/// [`Training::apply`].
///
/// ```
/// use chainrule::prelude::*;
/// let mut norm = BatchNorm::new(2);
/// let x = Tensor::from([[1.0, 10.0], [3.0, 30.0]]);
/// let mut training = Training::new(Rng::new(0));
/// let y = norm.forward(&x, &mut Mode::Train(&mut training));
/// assert!((y - Tensor::from([[-1.0, -1.0], [1.0, 1.0]])).abs().max().item()? < 1e-5);
/// training.apply(&mut norm)?;
/// // A tenth of the way from 0 and 1 to the batch's means 2 and 20, and to its unbiased variances 2 and 200.
/// assert!((&norm.running_mean - Tensor::from([0.2, 2.0])).abs().max().item()? < 1e-6);
/// assert!((&norm.running_var - Tensor::from([1.1, 20.9])).abs().max().item()? < 1e-5);
/// // One example will do now.
/// let y = norm.forward(&Tensor::from([[0.2, 2.0]]), &mut Mode::Evaluate);
/// assert!(y.abs().max().item()? < 1e-6);
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// Fields are called as in PyTorch's saved models. Running statistics may be of another float type than `x`; of f16 and
/// bf16 they are f32.
#[derive(Clone, Debug, Module)]
pub struct BatchNorm {
    /// The scale, `[channels]`, ones at first.
    pub weight: Option<Tensor>,
    /// The shift, `[channels]`, zeros at first.
    pub bias: Option<Tensor>,
    /// The means so far, `[channels]`, zeros at first.
    #[module(buffer)]
    pub running_mean: Tensor,
    /// The unbiased variances so far, `[channels]`, ones at first.
    #[module(buffer)]
    pub running_var: Tensor,
    /// How many batches there were, an i64 scalar.
    #[module(buffer)]
    pub num_batches_tracked: Tensor,
    /// How far, from 0 to 1, running statistics move towards those of each batch. `None` makes them the mean over all
    /// batches.
    pub momentum: Option<f64>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl BatchNorm {
    /// Of `channels`, with scale and shift, a momentum of 0.1 and 1e-5 added to the variance, f32.
    #[track_caller]
    pub fn new(channels: usize) -> BatchNorm {
        BatchNorm { weight: Some(Tensor::ones([channels])), bias: Some(Tensor::zeros([channels])), ..BatchNorm::without_affine(channels) }
    }

    /// As [`BatchNorm::new`], without scale and shift.
    #[track_caller]
    pub fn without_affine(channels: usize) -> BatchNorm {
        let RunningStatistics { mean, variance } = RunningStatistics::new(channels, DType::F32);
        let num_batches_tracked = Tensor::scalar(0.0, DType::I64);
        BatchNorm {
            weight: None,
            bias: None,
            running_mean: mean,
            running_var: variance,
            num_batches_tracked,
            momentum: Some(0.1),
            epsilon: 1e-5,
        }
    }

    /// `x`, whose axis 1 is the channels, normalised.
    ///
    /// While training, each channel must have two numbers at least: one alone has no variance, and would always
    /// become 0.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, mode: &mut Mode<'_>) -> Tensor {
        if x.error().is_none() && x.rank() < 2 {
            let message = format!("an input of {:?} has no channels; give [batch, channels, ..]", x.shape());
            return mistake(ErrorKind::Shape, "batch_norm", message);
        }
        let (weight, bias) = (self.weight.as_ref(), self.bias.as_ref());
        match mode {
            Mode::Evaluate => batch_norm_with(x, 1, &self.running_mean, &self.running_var, weight, bias, self.epsilon),
            Mode::Train(training) => {
                let batch = batch_norm(x, 1, weight, bias, self.epsilon);
                self.follow(&batch, training).unwrap_or(batch.output)
            }
        }
    }

    /// Tells the pass what running statistics become after a batch, or gives the mistake that stands for them.
    #[track_caller]
    fn follow(&self, batch: &BatchNormalized, training: &mut Training) -> Option<Tensor> {
        let [mean, variance, count] =
            [&self.running_mean, &self.running_var, &self.num_batches_tracked].map(|buffer| training.current(buffer));
        let (running, count) = (RunningStatistics { mean, variance }, count + 1);
        let next = match self.momentum {
            Some(momentum) => running.after(batch, momentum),
            None => running.after_by(batch, &(1.0 / count.cast(DType::F64))),
        };
        if next.mean.error().is_some() {
            return Some(next.mean);
        }
        training.update(&self.running_mean, next.mean);
        training.update(&self.running_var, next.variance);
        training.update(&self.num_batches_tracked, count);
        None
    }
}
