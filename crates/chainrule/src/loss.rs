//! Losses, by the names the field knows: how far predictions are from what was meant.
//!
//! They are the engine's own functions. The mean is what is minimised; the function with `_each`
//! in its name gives the losses one by one.
//!
//! ```
//! use chainrule::prelude::*;
//! let (logits, right) = (Tensor::zeros([4, 10]), Tensor::from_slice(&[3i64, 1, 4, 1], [4]));
//! assert!((loss::cross_entropy(&logits, &right).item()? - 10f64.ln()).abs() < 1e-6);
//! # Ok::<(), chainrule::Error>(())
//! ```

pub use chainrule_engine::functions::loss::*;
