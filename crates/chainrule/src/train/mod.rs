//! Training: model, loss and optimizer joined in one captured step.

mod resume;
mod trainer;

pub use trainer::Trainer;
pub(crate) use trainer::distinct;
