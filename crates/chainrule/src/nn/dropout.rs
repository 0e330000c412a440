//! Dropout: some elements are zero while a model is trained.

use super::{Mode, Module, mistake};
use chainrule_engine::{ErrorKind, Tensor};

/// Sets elements to zero with probability `p` while training, and scales the others by
/// `1 / (1 - p)`, so that the expected value stays (Srivastava et al., 2014).
///
/// ```
/// use chainrule::prelude::*;
/// let (dropout, x) = (Dropout::new(0.25), Tensor::ones([1000]));
/// let y = dropout.forward(&x, &mut Mode::Train(&mut Training::new(Rng::new(3)))).to_vec::<f32>()?;
/// assert!(y.iter().all(|&y| y == 0.0 || (y - 4.0 / 3.0).abs() < 1e-6));
/// assert!((700..800).contains(&y.iter().filter(|&&y| y > 0.0).count()));
/// assert!(dropout.forward(&x, &mut Mode::Evaluate).is(&x));
/// # Ok::<(), chainrule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Module, PartialEq)]
pub struct Dropout {
    /// The probability of zero, from 0 up to, but not, 1.
    pub p: f64,
}

impl Dropout {
    /// Zero with probability `p`. One outside of `0 <= p < 1` is an error of what is computed.
    pub fn new(p: f64) -> Dropout {
        Dropout { p }
    }

    /// `x` itself unless training; of the same shape in any case.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, mode: &mut Mode<'_>) -> Tensor {
        if !(0.0..1.0).contains(&self.p) {
            let message = format!("a probability of {} is not in 0 <= p < 1", self.p);
            return mistake(ErrorKind::Argument, "dropout", message);
        }
        match mode {
            Mode::Train(training) if self.p > 0.0 && x.error().is_none() => {
                let kept = Tensor::bernoulli(x.shape(), 1.0 - self.p, &mut training.rng);
                kept.select(&(x * (1.0 / (1.0 - self.p))), &x.zeros_like())
            }
            _ => x.clone(),
        }
    }
}
