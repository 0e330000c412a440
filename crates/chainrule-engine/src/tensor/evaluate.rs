//! Where recording ends: values.

use super::data::Data;
use super::dtype::Element;
use super::{Error, ErrorKind, Result, Tensor};
use crate::backend::Runtime;
use crate::ops::{Op, shape_error};
use std::sync::Arc;

impl Tensor {
    /// Computes the value, once; later calls and everything recorded from this tensor reuse it.
    ///
    /// # Errors
    /// The first mistake in the graph, an index that points outside, or a placeholder without a value.
    pub fn eval(&self) -> Result<&Tensor> {
        Tensor::eval_all(&[self])?;
        Ok(self)
    }

    /// Computes several values as one program, which shares what they have in common.
    pub fn eval_all(tensors: &[&Tensor]) -> Result<()> {
        Tensor::eval_all_on(Runtime::shared(), tensors)
    }

    /// As [`Tensor::eval_all`], on a team of threads of the caller's. The values have the same bits
    /// on any.
    pub fn eval_all_on(runtime: &Runtime, tensors: &[&Tensor]) -> Result<()> {
        tensors.iter().try_for_each(|tensor| tensor.check())?;
        let mut missing: Vec<&Tensor> = tensors.iter().copied().filter(|tensor| tensor.value().is_none()).collect();
        missing.sort_unstable_by_key(|tensor| tensor.id());
        missing.dedup_by_key(|tensor| tensor.id());
        // Zeros, the state most optimizers start from, come from the system as they are.
        for tensor in missing.extract_if(.., |tensor| matches!(tensor.op(), Op::Constant(constant) if constant.is_all_zero_bits())) {
            tensor.set_value(Arc::new(tensor.room()?));
        }
        if missing.is_empty() {
            return Ok(());
        }
        for (tensor, data) in missing.iter().zip(runtime.evaluate(&missing)?) {
            tensor.set_value(Arc::new(data));
        }
        Ok(())
    }

    /// Memory for the value, zeroed.
    ///
    /// # Errors
    /// If the system has not so much, with the line that asks for it.
    pub(crate) fn room(&self) -> Result<Data> {
        Data::try_zeros(self.dtype(), self.len()).map_err(|error| error.at(self.origin()))
    }

    /// The elements on the host, row by row.
    pub fn to_data(&self) -> Result<Arc<Data>> {
        self.eval()?;
        self.value().cloned().ok_or_else(|| Error::new(ErrorKind::Machine, self.op_name(), "evaluation left no value"))
    }

    /// The elements on the host, row by row. `T` must be the element type; see [`Tensor::cast`].
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        let data = self.to_data()?;
        data.to_vec().ok_or_else(|| {
            let message = format!("the elements are {}, not {}; convert with `cast`", self.dtype(), T::DTYPE);
            Error::new(ErrorKind::DType, "to_vec", message).at(self.origin())
        })
    }

    /// The one element of a scalar (or of any tensor of one element), as a float.
    pub fn item(&self) -> Result<f64> {
        self.check()?;
        if self.len() != 1 {
            return Err(shape_error("item", format!("a tensor of shape {:?} is not one number", self.shape())).at(self.origin()));
        }
        Ok(self.to_data()?.to_f64()[0])
    }

    /// A leaf with this value and no history, evaluated now.
    #[track_caller]
    pub fn to_leaf(&self) -> Result<Tensor> {
        Ok(Tensor::leaf(self.shape(), self.to_data()?))
    }

    fn op_name(&self) -> &'static str {
        use crate::ops::Operation;
        self.op().name()
    }
}
