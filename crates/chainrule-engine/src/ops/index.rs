//! Operations that pick and add parts by index, each the other's adjoint; and one that multiplies them, or keeps extremes.

use super::linear::Application;
use super::{Array, Binary, Derivative, Lift, LinearMap, Operation, Values, dtype_error, shape_error};
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

/// How [`ScatterReduce`] puts parts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Combine {
    /// Their product; 1 of none.
    Product,
    /// The largest, NaN if there is one; the lowest number of the type (-inf) of none.
    Maximum,
    /// The smallest, NaN if there is one; the highest number of the type (inf) of none.
    Minimum,
}

impl Combine {
    /// All ways.
    pub const ALL: [Combine; 3] = [Combine::Product, Combine::Maximum, Combine::Minimum];

    /// Its name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Combine::Product => "product",
            Combine::Maximum => "maximum",
            Combine::Minimum => "minimum",
        }
    }

    /// The function of two parts.
    pub fn function(self) -> Binary {
        match self {
            Combine::Product => Binary::Multiply,
            Combine::Maximum => Binary::Maximum,
            Combine::Minimum => Binary::Minimum,
        }
    }

    /// What is made of no parts.
    pub fn none(self, dtype: DType) -> f64 {
        match self {
            Combine::Product => 1.0,
            Combine::Maximum => dtype.lowest(),
            Combine::Minimum => dtype.highest(),
        }
    }
}

/// `out[batch, index[batch, m], rest]` of all `updates[batch, m, rest]`, combined in their order, from [`Combine::none`] on.
///
/// Inputs as those of [`ScatterAdd`]. Extremes that are equal share the derivative. That of a product, which is made of the
/// other factors, has no place in a linear map of the same cost: whoever records one gives it a derivative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScatterReduce {
    /// How many leading axes both inputs share.
    pub batch: usize,
    /// The size of the axis the index points into.
    pub size: usize,
    /// How parts are put together.
    pub how: Combine,
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

/// The type of what becomes of updates.
fn scattered(name: &str, (batch, size): (usize, usize), updates: &Type, index: &Type) -> Result<Type, Error> {
    check_index(name, batch, updates, index)?;
    if updates.shape.len() < index.shape.len() || updates.shape[..index.shape.len()] != index.shape[..] {
        let message = format!("updates {:?} do not begin with the axes of the index {:?}", updates.shape, index.shape);
        return Err(shape_error(name, message));
    }
    if updates.dtype == DType::Bool {
        return Err(dtype_error(name, "takes numbers, not bool; convert with `cast`".into()));
    }
    let rest = &updates.shape[index.shape.len()..];
    let shape: Shape = index.shape[..batch].iter().chain([&size]).chain(rest).copied().collect();
    Ok(Type::new(shape, updates.dtype))
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
        scattered("scatter_add", (self.batch, self.size), inputs[0], inputs[1])
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

impl ScatterReduce {
    fn sum(&self) -> ScatterAdd {
        ScatterAdd { batch: self.batch, size: self.size }
    }

    /// The sizes for these inputs.
    pub fn sizes(&self, updates: &[usize], index: &[usize]) -> IndexSizes {
        self.sum().sizes(updates, index)
    }
}

impl Operation for ScatterReduce {
    fn name(&self) -> &'static str {
        "scatter_reduce"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        scattered("scatter_reduce", (self.batch, self.size), inputs[0], inputs[1])
    }
    fn derivative(&self, node: &Tensor, input: usize) -> Derivative {
        let (x, index) = (&node.inputs()[0], &node.inputs()[1]);
        if input > 0 {
            return NO_INDEX;
        }
        if self.how == Combine::Product {
            return Derivative::Cut("a scattered product has a derivative only if `custom_derivative` gives it one");
        }
        let (sum, back) = (self.sum(), Gather { batch: self.batch });
        let gathered = |t: &Tensor| Tensor::record(back, [t.clone(), index.clone()]);
        let own = gathered(node);
        let hit = (x.equal(&own) | (x.not_equal(x) & own.not_equal(&own))).cast(DType::F32);
        let count = Tensor::record(sum, [hit.clone(), index.clone()]);
        let share = (hit / gathered(&count)).cast(x.dtype());
        let operands = || [None, Some(index.clone())];
        let map = LinearMap::pair(Application::with(sum, operands()), Application::with(back, operands()));
        LinearMap::scale(share).then(map).into()
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(ScatterReduce { batch: self.batch + 1, ..*self }.into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        let sizes = self.sizes(&inputs[0].ty.shape, &inputs[1].ty.shape);
        let (places, none) = (reached(&sizes, self.size, inputs[1]), self.how.none(ty.dtype));
        match &inputs[0].values {
            Values::Float(values) => {
                let mut out = vec![none; ty.len()];
                places.into_iter().zip(values).for_each(|(at, &v)| {
                    out[at] = match self.how {
                        Combine::Product => out[at] * v,
                        _ if out[at].is_nan() || v.is_nan() => f64::NAN,
                        Combine::Maximum => out[at].max(v),
                        Combine::Minimum => out[at].min(v),
                    }
                });
                Values::Float(out)
            }
            Values::Integer(values) => {
                let mut out = vec![none as i64; ty.len()];
                places.into_iter().zip(values).for_each(|(at, &v)| {
                    out[at] = match self.how {
                        Combine::Product => out[at].wrapping_mul(v),
                        Combine::Maximum => out[at].max(v),
                        Combine::Minimum => out[at].min(v),
                    }
                });
                Values::Integer(out)
            }
        }
    }
}
