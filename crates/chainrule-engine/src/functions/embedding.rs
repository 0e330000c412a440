//! Rows of a table picked by number.

use super::{first_mistake, misfit};
use crate::ops::dtype_error;
use crate::tensor::{DType, Tensor};

/// `out[i.., ..] = table[index[i..], ..]`: one row of the table for each element of `index` (i64
/// or i32). The gradient of a row is the sum over all places that picked it, 0 for the others.
///
/// An index outside the table is an error when it is evaluated.
///
/// ```
/// use chainrule_engine::{Tensor, functions::embedding};
/// let table = Tensor::from_slice(&[0.0f32, 0.5, 1.0, 1.5, 2.0, 2.5], [3, 2]);
/// let rows = embedding(&table, &Tensor::from_slice(&[2i64, 0, 2], [3]));
/// assert_eq!(rows.to_vec::<f32>()?, [2.0, 2.5, 0.0, 0.5, 2.0, 2.5]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn embedding(table: &Tensor, index: &Tensor) -> Tensor {
    if let Some(mistake) = first_mistake(&[table, index]) {
        return mistake;
    }
    if table.rank() != 2 {
        return misfit("embedding", format!("a table is [rows, width], this one is {:?}", table.shape()));
    }
    if !matches!(index.dtype(), DType::I64 | DType::I32) {
        let message = format!("an index is i64 or i32, this one is {}; convert with `cast`", index.dtype());
        return Tensor::poison(dtype_error("embedding", message));
    }
    table.gather(index)
}
