//! How the learning rate changes over a training.

use std::f64::consts::PI;

/// The learning rate of each step as a part of the optimizer's.
///
/// ```
/// use chainrule::optim::Schedule;
/// let schedule = Schedule::WarmupCosine { warmup: 4, steps: 12, floor: 0.1 };
/// assert_eq!([0, 1, 3].map(|step| schedule.factor(step)), [0.25, 0.5, 1.0]);
/// assert_eq!(schedule.factor(4), 1.0);
/// assert!((schedule.factor(8) - 0.55).abs() < 1e-15);
/// assert_eq!((schedule.factor(12), schedule.factor(99)), (0.1, 0.1));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Schedule {
    /// The same in every step.
    #[default]
    Constant,
    /// Rises in equal steps to the whole rate in the last step of `warmup`, then falls along half
    /// a cosine wave to `floor` in step `steps`, and stays there (Loshchilov and Hutter, 2017).
    WarmupCosine {
        /// Steps in which the rate rises; may be 0.
        warmup: u64,
        /// Steps in all.
        steps: u64,
        /// The part of the rate that is left at the end, from 0 to 1.
        floor: f64,
    },
}

impl Schedule {
    /// The part of the rate in a step, counted from 0.
    pub fn factor(&self, step: u64) -> f64 {
        match *self {
            Schedule::Constant => 1.0,
            Schedule::WarmupCosine { warmup, .. } if step < warmup => (step + 1) as f64 / warmup as f64,
            Schedule::WarmupCosine { steps, floor, .. } if step >= steps => floor,
            Schedule::WarmupCosine { warmup, steps, floor } => {
                let done = (step - warmup) as f64 / (steps - warmup) as f64;
                floor + (1.0 - floor) * 0.5 * (1.0 + (PI * done).cos())
            }
        }
    }
}
