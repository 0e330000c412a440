//! Operations that pick and add parts by index, each the other's adjoint.

use super::linear::Application;
use super::{Array, Derivative, Lift, LinearMap, Operation, Values, dtype_error, shape_error};
use crate::tensor::{DType, Error, Shape, Tensor, Type};

/// `out[batch, m, rest] = table[batch, index[batch, m], rest]`.
///
/// Inputs: `table` of shape `[batch.., n, rest..]` and `index` (i64 or i32) of shape `[batch.., m..]`.
/// An index outside `0..n` is an error when it is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gather {
    /// How many leading axes both inputs share.
    pub batch: usize,
}

/// `out[batch, index[batch, m], rest] += updates[batch, m, rest]`, from zeros.
///
/// Inputs: `updates` of shape `[batch.., m.., rest..]` and `index` of shape `[batch.., m..]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScatterAdd {
    /// How many leading axes both inputs share.
    pub batch: usize,
    /// The size of the axis the index points into.
    pub size: usize,
}

/// The sizes an indexed operation works with.
pub struct IndexSizes {
    /// Product of the batch axes.
    pub batch: usize,
    /// Indices per batch.
    pub count: usize,
    /// Elements per index.
    pub rest: usize,
}

fn check_index(name: &str, batch: usize, values: &Type, index: &Type) -> Result<(), Error> {
    if !matches!(index.dtype, DType::I64 | DType::I32) {
        return Err(dtype_error(name, format!("an index is i64 or i32, this one is {}", index.dtype)));
    }
    if index.shape.len() < batch || values.shape.len() < batch || index.shape[..batch] != values.shape[..batch] {
        return Err(shape_error(name, format!("{:?} and index {:?} do not share {batch} leading axes", values.shape, index.shape)));
    }
    Ok(())
}

const NO_INDEX: Derivative = Derivative::Cut("an index has no derivative");

impl Gather {
    /// The sizes for these inputs.
    pub fn sizes(&self, table: &[usize], index: &[usize]) -> IndexSizes {
        IndexSizes {
            batch: table[..self.batch].iter().product(),
            count: index[self.batch..].iter().product(),
            rest: table[self.batch + 1..].iter().product(),
        }
    }
}

impl ScatterAdd {
    /// The sizes for these inputs.
    pub fn sizes(&self, updates: &[usize], index: &[usize]) -> IndexSizes {
        IndexSizes {
            batch: index[..self.batch].iter().product(),
            count: index[self.batch..].iter().product(),
            rest: updates[index.len()..].iter().product(),
        }
    }
}

/// Positions of the elements an index reaches; none points outside, or evaluation had been refused.
fn reached(sizes: &IndexSizes, limit: usize, index: &Array) -> Vec<usize> {
    let mut positions = Vec::with_capacity(sizes.batch * sizes.count * sizes.rest);
    for (i, at) in index.integers().into_iter().enumerate() {
        let row = (i / sizes.count * limit + at as usize) * sizes.rest;
        positions.extend(row..row + sizes.rest);
    }
    positions
}

impl Operation for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        check_index("gather", self.batch, inputs[0], inputs[1])?;
        if inputs[0].shape.len() <= self.batch {
            return Err(shape_error("gather", format!("{:?} has no axis to index", inputs[0].shape)));
        }
        let shape: Shape = inputs[1].shape.iter().chain(&inputs[0].shape[self.batch + 1..]).copied().collect();
        Ok(Type::new(shape, inputs[0].dtype))
    }
    fn derivative(&self, node: &Tensor, input: usize) -> Derivative {
        let (table, index) = (&node.inputs()[0], || Some(node.inputs()[1].clone()));
        let back = ScatterAdd { batch: self.batch, size: table.shape()[self.batch] };
        match input {
            0 => LinearMap::pair(Application::with(*self, [None, index()]), Application::with(back, [None, index()])).into(),
            _ => NO_INDEX,
        }
    }
    fn lift(&self, batched: &[bool], _: usize) -> Lift {
        match (self.batch, batched) {
            (0, [false, true]) => Lift::Mixed((*self).into()),
            _ => Lift::Uniform(Gather { batch: self.batch + 1 }.into()),
        }
    }
    fn evaluate(&self, inputs: &[&Array], _: &Type) -> Values {
        let sizes = self.sizes(&inputs[0].ty.shape, &inputs[1].ty.shape);
        inputs[0].pick(reached(&sizes, inputs[0].ty.shape[self.batch], inputs[1]).into_iter().map(Some))
    }
}

impl Operation for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        check_index("scatter_add", self.batch, inputs[0], inputs[1])?;
        let (updates, index) = (inputs[0], inputs[1]);
        if updates.shape.len() < index.shape.len() || updates.shape[..index.shape.len()] != index.shape[..] {
            return Err(shape_error(
                "scatter_add",
                format!("updates {:?} do not begin with the axes of the index {:?}", updates.shape, index.shape),
            ));
        }
        if updates.dtype == DType::Bool {
            return Err(dtype_error("scatter_add", "takes numbers, not bool; convert with `cast`".into()));
        }
        let rest = &updates.shape[index.shape.len()..];
        let shape: Shape = index.shape[..self.batch].iter().chain([&self.size]).chain(rest).copied().collect();
        Ok(Type::new(shape, updates.dtype))
    }
    fn derivative(&self, node: &Tensor, input: usize) -> Derivative {
        let index = || Some(node.inputs()[1].clone());
        let back = Gather { batch: self.batch };
        match input {
            0 => LinearMap::pair(Application::with(*self, [None, index()]), Application::with(back, [None, index()])).into(),
            _ => NO_INDEX,
        }
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(ScatterAdd { batch: self.batch + 1, size: self.size }.into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        let sizes = self.sizes(&inputs[0].ty.shape, &inputs[1].ty.shape);
        inputs[0].add_up(ty.len(), reached(&sizes, self.size, inputs[1]).into_iter().map(Some))
    }
}
