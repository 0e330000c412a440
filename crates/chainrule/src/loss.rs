//! (until the engine's losses are there)
use crate::shim::Extra;
use crate::Tensor;

/// Mean squared error.
#[track_caller]
pub fn mse(x: &Tensor, y: &Tensor) -> Tensor {
    (x - y).square().mean()
}

/// Cross-entropy.
#[track_caller]
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.cross_entropy(labels)
}
