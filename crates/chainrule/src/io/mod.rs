//! Files: safetensors, and models in them; and standard output.
//!
//! Every file is written beside its place, brought to the disk and renamed, so that no reader ever
//! sees a part; nothing in a file is trusted when it is read.

pub mod atomic;
pub mod error;
pub mod output;
pub mod safetensors;
pub mod weights;

pub use error::{FileError, FileProblem};
