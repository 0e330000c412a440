//! Bits of integers and truths, short of what is an operation or an operator: `& | ! << >>`.

use super::{first_mistake, of_two};
use crate::ops::dtype_error;
use crate::tensor::{DType, Tensor};

impl Tensor {
    /// One of the two but not both, of bool tensors; of integers bit by bit. Also written `a ^ b`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let (a, b) = (Tensor::from_slice(&[0b1100i64, -1], [2]), Tensor::from_slice(&[0b1010i64, 5], [2]));
    /// assert_eq!(a.xor(&b).to_vec::<i64>()?, [0b0110, -6]);
    /// assert_eq!((&a & &b).to_vec::<i64>()?, [0b1000, 5]);
    /// assert_eq!((!&a << 1).to_vec::<i64>()?, [-26, 0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn xor(&self, other: &Tensor) -> Tensor {
        if let Some(mistake) = first_mistake(&[self, other]) {
            return mistake;
        }
        if self.dtype().is_float() || other.dtype() != self.dtype() {
            let message = format!("takes integers or bool of one type, not {} with {}; convert with `cast`", self.dtype(), other.dtype());
            return Tensor::poison(dtype_error("xor", message));
        }
        of_two("xor", self, other, |a, b| match a.dtype() {
            DType::Bool => a.not_equal(b),
            // The bits of both are among those of either, so that nothing is borrowed.
            _ => (a | b) - (a & b),
        })
    }
}
