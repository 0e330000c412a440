//! A function that is computed on the host, by code that the engine does not know.
//!
//! Refuses to have a derivative: what the code does is nowhere recorded. A derivative is given beside it, by
//! [`custom_derivative`](crate::transform::custom_derivative).

use super::{Array, Derivative, Lift, Op, Operation, Values, dtype_error, shape_error};
use crate::tensor::{DType, Error, ErrorKind, Shape, Type};
use smallvec::SmallVec;
use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What is computed on the host: a pure function of arrays of one float type, with one result of that type.
///
/// It is written for one example. Leading axes of a batch, those of [`host_call`](crate::functions::host_call) and those that
/// [`vmap`](crate::transform::vmap) adds, are no business of its own: it is called once for each example, from several threads at
/// a time. Each call must give the same numbers for the same inputs, whichever thread it is called from, and must not
/// evaluate tensors: the thread that would do so may be the one that waits.
pub trait HostFunction: Any + Send + Sync {
    /// Its name in messages and pictures.
    fn name(&self) -> &str;

    /// Whatever the result depends on beside the inputs, as text. Two functions of one Rust type with equal names and
    /// parameters are one and the same: programs are cached, and equal applications merged, by that.
    fn parameters(&self) -> String {
        String::new()
    }

    /// The shape of the result for inputs of these shapes, or what does not fit.
    ///
    /// # Errors
    /// A sentence that says what does not fit; it becomes the error of the call.
    fn infer(&self, shapes: &[&[usize]]) -> Result<Shape, String>;

    /// Computes one example. The output is all zeros before.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the values, if that is to be an error of the evaluation. What is a value to
    /// the rest of a batch (NaN for a matrix that cannot be inverted, say) is written to the output instead.
    fn evaluate(&self, inputs: &[HostArray<'_, f64>], output: &mut [f64]) -> Result<(), String>;

    /// As [`HostFunction::evaluate`] in f32: unless it is written, what f64 gives, rounded once.
    ///
    /// # Errors
    /// As [`HostFunction::evaluate`].
    fn evaluate_f32(&self, inputs: &[HostArray<'_, f32>], output: &mut [f32]) -> Result<(), String> {
        // Of small examples there are many; they are spared the allocations.
        type Wide = SmallVec<[f64; 64]>;
        let wide: SmallVec<[Wide; 2]> = inputs.iter().map(|input| input.values.iter().map(|&v| f64::from(v)).collect()).collect();
        let inputs: SmallVec<[HostArray<'_, f64>; 2]> =
            inputs.iter().zip(&wide).map(|(input, values)| HostArray { shape: input.shape, values }).collect();
        let mut result: Wide = smallvec::smallvec![0.0; output.len()];
        self.evaluate(&inputs, &mut result)?;
        output.iter_mut().zip(result).for_each(|(to, value)| *to = value as f32);
        Ok(())
    }
}

/// An input of a [`HostFunction`]: the elements of one example, row-major.
#[derive(Clone, Copy, Debug)]
pub struct HostArray<'a, T> {
    /// Sizes of its axes.
    pub shape: &'a [usize],
    /// The elements.
    pub values: &'a [T],
}

/// A [`HostFunction`], equal to another by type, name and parameters.
#[derive(Clone)]
pub struct Hosted(pub Arc<dyn HostFunction>);

impl fmt::Debug for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.0.name(), self.0.parameters())
    }
}

impl PartialEq for Hosted {
    fn eq(&self, other: &Self) -> bool {
        let (a, b): (&dyn Any, &dyn Any) = (&*self.0, &*other.0);
        let alike = a.type_id() == b.type_id() || a.is::<FromText>() || b.is::<FromText>();
        Arc::ptr_eq(&self.0, &other.0) || (alike && self.0.name() == other.0.name() && self.0.parameters() == other.0.parameters())
    }
}
impl Eq for Hosted {}

impl Hash for Hosted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name().hash(state);
        self.0.parameters().hash(state);
    }
}

/// A function of the host, applied to each example of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostCall {
    /// The function.
    pub function: Hosted,
    /// How many leading axes, the same of every input and of the result, count examples.
    pub batch: u32,
}

impl HostCall {
    fn batch(&self) -> usize {
        self.batch as usize
    }

    /// The result of all examples, or what the function found wrong with the values of the first that it refuses.
    fn examples(&self, inputs: &[&Array], ty: &Type) -> Result<Vec<f64>, String> {
        let lists: Vec<Vec<f64>> = inputs.iter().map(|input| input.floats()).collect();
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| &input.ty.shape[self.batch()..]).collect();
        let count: usize = ty.shape[..self.batch()].iter().product();
        let len: usize = ty.shape[self.batch()..].iter().product();
        let mut results = vec![0.0; count * len];
        for example in 0..if len == 0 { 0 } else { count } {
            let arrays: Vec<HostArray<'_, f64>> = shapes
                .iter()
                .zip(&lists)
                .map(|(shape, list)| {
                    let own: usize = shape.iter().product();
                    HostArray { shape, values: &list[example * own..][..own] }
                })
                .collect();
            self.function.0.evaluate(&arrays, &mut results[example * len..][..len])?;
        }
        Ok(results)
    }

    /// What is wrong with the values, if the function says so.
    pub fn refuse(&self, inputs: &[&Array]) -> Option<Error> {
        let types: Vec<&Type> = inputs.iter().map(|input| &input.ty).collect();
        let ty = self.infer(&types).ok()?;
        self.examples(inputs, &ty).err().map(|message| Error::new(ErrorKind::Argument, self.function.0.name(), message))
    }
}

impl Operation for HostCall {
    fn name(&self) -> &'static str {
        "host_call"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        let name = self.function.0.name();
        let Some(first) = inputs.first() else {
            return Err(shape_error(name, "a function of the host takes at least one input".into()));
        };
        if let Some(other) = inputs.iter().find(|ty| !matches!(ty.dtype, DType::F32 | DType::F64)) {
            return Err(dtype_error(name, format!("takes f32 or f64, not {}; convert with `cast`", other.dtype)));
        }
        if let Some(other) = inputs.iter().find(|ty| ty.dtype != first.dtype) {
            return Err(dtype_error(name, format!("{} with {}; convert one of them with `cast`", first.dtype, other.dtype)));
        }
        let batch = first.shape.get(..self.batch());
        let Some(batch) = batch.filter(|batch| inputs.iter().all(|ty| ty.shape.get(..self.batch()) == Some(batch))) else {
            let shapes: Vec<&[usize]> = inputs.iter().map(|ty| &ty.shape[..]).collect();
            return Err(shape_error(name, format!("shapes {shapes:?} do not share {} leading axes", self.batch)));
        };
        let one: Vec<&[usize]> = inputs.iter().map(|ty| &ty.shape[self.batch()..]).collect();
        let result = self.function.0.infer(&one).map_err(|message| shape_error(name, message))?;
        Ok(Type::new(batch.iter().chain(&result).copied().collect::<Shape>(), first.dtype))
    }
    fn derivative(&self, _: &crate::tensor::Tensor, _: usize) -> Derivative {
        Derivative::Cut("a function of the host has a derivative only if `custom_derivative` gives it one")
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Op::HostCall(HostCall { function: self.function.clone(), batch: self.batch + 1 }))
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        Values::Float(self.examples(inputs, ty).unwrap_or_else(|_| vec![f64::NAN; ty.len()]))
    }
}

/// What stands for a function that a text cannot hold. Equal to any function with its name and parameters: a graph that
/// was read is not run.
pub(crate) struct FromText {
    pub name: String,
    pub parameters: String,
    /// Of the result of one example.
    pub shape: Shape,
}

impl HostFunction for FromText {
    fn name(&self) -> &str {
        &self.name
    }
    fn parameters(&self) -> String {
        self.parameters.clone()
    }
    fn infer(&self, _: &[&[usize]]) -> Result<Shape, String> {
        Ok(self.shape.clone())
    }
    fn evaluate(&self, _: &[HostArray<'_, f64>], _: &mut [f64]) -> Result<(), String> {
        Err("was read from text, which holds no function".into())
    }
}
