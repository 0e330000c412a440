//! A table of vectors, one for each of a number of things.

use super::Module;
use chainrule_engine::functions::embedding;
use chainrule_engine::{Rng, Tensor};

/// Row `i` of a table for index `i`: `[..]` of i64 or i32 to `[.., width]`.
///
/// ```
/// use chainrule::prelude::*;
/// let table = Embedding::new(65, 8, &mut Rng::new(1));
/// let tokens = Tensor::from_slice(&[3i64, 0, 64, 3], [2, 2]);
/// assert_eq!(table.forward(&tokens).shape(), [2, 2, 8]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct Embedding {
    /// `[count, width]`.
    pub weight: Tensor,
}

impl Embedding {
    /// A table of standard normal numbers, f32.
    #[track_caller]
    pub fn new(count: usize, width: usize, rng: &mut Rng) -> Embedding {
        Embedding { weight: Tensor::randn([count, width], rng) }
    }

    /// The rows that `index` names. One outside the table is an error when it is evaluated.
    #[track_caller]
    pub fn forward(&self, index: &Tensor) -> Tensor {
        embedding(&self.weight, index)
    }
}
