//! Operations that move elements and compute nothing: the compiler turns them into views.

use super::linear::Application;
use super::{Array, Derivative, Lift, LinearMap, Op, Operation, Values, dtype_error, shape_error};
use crate::tensor::shape::{flat_index, for_each_index};
use crate::tensor::{Error, Shape, Tensor, Type};
use smallvec::SmallVec;

/// One number per axis, or a list of axes.
pub type Axes = SmallVec<[usize; 4]>;

/// The same elements in the same (row-major) order, under another shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reshape(pub Shape);

/// Axis `i` of the result is axis `order[i]` of the input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permute(pub Axes);

/// Inserts new axes, along which elements repeat. Adjoint: [`super::Sum`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broadcast {
    /// Positions of the new axes in the result, ascending.
    pub axes: Axes,
    /// Their sizes.
    pub sizes: Axes,
}

/// Every `step`-th element from `start` up to `stop`, for each axis. Adjoint: [`Pad`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// First index, one per axis.
    pub start: Axes,
    /// The index to stop before, one per axis.
    pub stop: Axes,
    /// At least 1, one per axis.
    pub step: Axes,
}

/// Zeros: `low` before, `high` after, `interior` between any two neighbours, for each axis. Adjoint: [`Slice`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pad {
    /// Zeros before, one number per axis.
    pub low: Axes,
    /// Zeros after.
    pub high: Axes,
    /// Zeros between neighbours.
    pub interior: Axes,
}

/// The axes listed run backwards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reverse(pub Axes);

/// All inputs laid end to end along one axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    /// Along which axis.
    pub axis: usize,
}

impl Pad {
    /// The size of a padded axis.
    fn size(&self, axis: usize, size: usize) -> usize {
        self.low[axis] + self.high[axis] + size + size.saturating_sub(1) * self.interior[axis]
    }
}

impl Slice {
    /// The size of a sliced axis.
    fn size(&self, axis: usize) -> usize {
        (self.stop[axis] - self.start[axis]).div_ceil(self.step[axis])
    }

    /// The padding that puts a slice of `shape` back where it was, zeros elsewhere.
    fn undone(&self, shape: &[usize]) -> Pad {
        let rank = shape.len();
        let end = |i: usize| match self.size(i) {
            0 => self.start[i],
            size => self.start[i] + (size - 1) * self.step[i] + 1,
        };
        Pad {
            low: self.start.clone(),
            high: (0..rank).map(|i| shape[i] - end(i)).collect(),
            interior: (0..rank).map(|i| self.step[i] - 1).collect(),
        }
    }
}

/// The order that undoes an order.
pub fn inverse_order(order: &[usize]) -> Axes {
    let mut inverse: Axes = SmallVec::from_elem(0, order.len());
    order.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
    inverse
}

fn shifted(axes: &[usize]) -> Axes {
    axes.iter().map(|axis| axis + 1).collect()
}

fn prefixed(first: usize, rest: &[usize]) -> Axes {
    std::iter::once(first).chain(rest.iter().copied()).collect()
}

/// Evaluates a movement: `source` says where the element at an index comes from, if anywhere.
fn moved(input: &Array, ty: &Type, source: impl Fn(&[usize]) -> Option<Axes>) -> Values {
    let mut positions = Vec::with_capacity(ty.len());
    for_each_index(&ty.shape, |index| positions.push(source(index).map(|from| flat_index(&input.ty.shape, &from))));
    input.pick(positions.into_iter())
}

impl Operation for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        let ty = Type::new(self.0.clone(), inputs[0].dtype);
        match ty.checked_len() {
            Some(len) if len == inputs[0].len() => Ok(ty),
            _ => Err(shape_error(
                "reshape",
                format!("{:?} has {} elements, which do not fill {:?}", inputs[0].shape, inputs[0].len(), self.0),
            )),
        }
    }
    fn derivative(&self, node: &Tensor, _: usize) -> Derivative {
        let back = Reshape(node.inputs()[0].shape().into());
        LinearMap::pair(Application::of(self.clone()), Application::of(back)).into()
    }
    fn lift(&self, _: &[bool], size: usize) -> Lift {
        Lift::Uniform(Reshape(prefixed(size, &self.0)).into())
    }
    fn evaluate(&self, inputs: &[&Array], _: &Type) -> Values {
        inputs[0].values.clone()
    }
}

impl Operation for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        let rank = inputs[0].shape.len();
        let mut seen: Axes = self.0.clone();
        seen.sort_unstable();
        if !seen.iter().copied().eq(0..rank) {
            return Err(shape_error("permute", format!("{:?} is not an order of the {rank} axes of {:?}", self.0, inputs[0].shape)));
        }
        Ok(Type::new(self.0.iter().map(|&axis| inputs[0].shape[axis]).collect::<Shape>(), inputs[0].dtype))
    }
    fn derivative(&self, _: &Tensor, _: usize) -> Derivative {
        LinearMap::pair(Application::of(self.clone()), Application::of(Permute(inverse_order(&self.0)))).into()
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Permute(prefixed(0, &shifted(&self.0))).into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        let inverse = inverse_order(&self.0);
        moved(inputs[0], ty, |index| Some(inverse.iter().map(|&to| index[to]).collect()))
    }
}

impl Operation for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        let rank = inputs[0].shape.len() + self.axes.len();
        let ascending = self.axes.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || self.axes.len() != self.sizes.len() || self.axes.last().is_some_and(|&axis| axis >= rank) {
            return Err(shape_error(
                "broadcast",
                format!("new axes {:?} of sizes {:?} do not fit {:?}", self.axes, self.sizes, inputs[0].shape),
            ));
        }
        let mut shape = inputs[0].shape.clone();
        self.axes.iter().zip(&self.sizes).for_each(|(&axis, &size)| shape.insert(axis, size));
        Ok(Type::new(shape, inputs[0].dtype))
    }
    fn derivative(&self, _: &Tensor, _: usize) -> Derivative {
        LinearMap::pair(Application::of(self.clone()), Application::of(super::Sum(self.axes.clone()))).into()
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Broadcast { axes: shifted(&self.axes), sizes: self.sizes.clone() }.into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        moved(inputs[0], ty, |index| Some((0..index.len()).filter(|axis| !self.axes.contains(axis)).map(|axis| index[axis]).collect()))
    }
}

impl Operation for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        let shape = &inputs[0].shape;
        let whole = [&self.start, &self.stop, &self.step].iter().all(|list| list.len() == shape.len());
        let fits = |i: usize| self.start[i] <= self.stop[i] && self.stop[i] <= shape[i] && self.step[i] > 0;
        if !whole || !(0..shape.len()).all(fits) {
            return Err(shape_error("slice", format!("{:?}..{:?} by {:?} does not fit {shape:?}", self.start, self.stop, self.step)));
        }
        Ok(Type::new((0..shape.len()).map(|i| self.size(i)).collect::<Shape>(), inputs[0].dtype))
    }
    fn derivative(&self, node: &Tensor, _: usize) -> Derivative {
        let back = self.undone(node.inputs()[0].shape());
        LinearMap::pair(Application::of(self.clone()), Application::of(back)).into()
    }
    fn lift(&self, _: &[bool], size: usize) -> Lift {
        Lift::Uniform(Slice { start: prefixed(0, &self.start), stop: prefixed(size, &self.stop), step: prefixed(1, &self.step) }.into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        moved(inputs[0], ty, |index| Some((0..index.len()).map(|i| self.start[i] + index[i] * self.step[i]).collect()))
    }
}

impl Operation for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        let shape = &inputs[0].shape;
        let sane = |list: &Axes| list.len() == shape.len() && list.iter().all(|&n| n < isize::MAX as usize / 8);
        let grown = |i: usize| shape[i].saturating_mul(self.interior[i]) < isize::MAX as usize / 8;
        if ![&self.low, &self.high, &self.interior].into_iter().all(sane) || !(0..shape.len()).all(grown) {
            return Err(shape_error("pad", format!("{self:?} does not fit {shape:?}")));
        }
        Ok(Type::new((0..shape.len()).map(|i| self.size(i, shape[i])).collect::<Shape>(), inputs[0].dtype))
    }
    fn derivative(&self, node: &Tensor, _: usize) -> Derivative {
        let shape = node.inputs()[0].shape();
        let step = |i: usize| self.interior[i] + 1;
        let back = Slice {
            start: self.low.clone(),
            stop: (0..shape.len()).map(|i| self.low[i] + if shape[i] == 0 { 0 } else { (shape[i] - 1) * step(i) + 1 }).collect(),
            step: (0..shape.len()).map(step).collect(),
        };
        LinearMap::pair(Application::of(self.clone()), Application::of(back)).into()
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Pad { low: prefixed(0, &self.low), high: prefixed(0, &self.high), interior: prefixed(0, &self.interior) }.into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        moved(inputs[0], ty, |index| {
            let source = |i: usize| {
                let from_start = index[i].checked_sub(self.low[i])?;
                let (at, between) = (from_start / (self.interior[i] + 1), from_start % (self.interior[i] + 1));
                (between == 0 && at < inputs[0].ty.shape[i]).then_some(at)
            };
            (0..index.len()).map(source).collect()
        })
    }
}

impl Operation for Reverse {
    fn name(&self) -> &'static str {
        "reverse"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        let rank = inputs[0].shape.len();
        match (0..self.0.len()).find(|&i| self.0[i] >= rank || self.0[..i].contains(&self.0[i])) {
            Some(i) => Err(shape_error("reverse", format!("axis {} of {:?} is not there, or listed twice", self.0[i], inputs[0].shape))),
            None => Ok(inputs[0].clone()),
        }
    }
    fn derivative(&self, _: &Tensor, _: usize) -> Derivative {
        LinearMap::pair(Application::of(self.clone()), Application::of(self.clone())).into()
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Reverse(shifted(&self.0)).into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        let at = |axis: usize, i: usize| if self.0.contains(&axis) { ty.shape[axis] - 1 - i } else { i };
        moved(inputs[0], ty, |index| Some(index.iter().enumerate().map(|(axis, &i)| at(axis, i)).collect()))
    }
}

impl Concat {
    /// The part of the result that input number `input` fills.
    fn part(&self, node: &Tensor, input: usize) -> Slice {
        let size = |t: &Tensor| t.shape()[self.axis];
        let start: usize = node.inputs()[..input].iter().map(size).sum();
        let rank = node.rank();
        let mut part = Slice { start: SmallVec::from_elem(0, rank), stop: node.shape().into(), step: SmallVec::from_elem(1, rank) };
        part.start[self.axis] = start;
        part.stop[self.axis] = start + size(&node.inputs()[input]);
        part
    }
}

impl Operation for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        let Some(first) = inputs.first() else {
            return Err(shape_error("concat", "there is nothing to join".into()));
        };
        if self.axis >= first.shape.len() {
            return Err(shape_error("concat", format!("axis {} of {:?}", self.axis, first.shape)));
        }
        let mut total = 0usize;
        for ty in inputs {
            let mut shape = ty.shape.clone();
            if shape.len() == first.shape.len() {
                shape[self.axis] = first.shape[self.axis];
            }
            if shape != first.shape {
                return Err(shape_error("concat", format!("{:?} does not fit {:?} along axis {}", ty.shape, first.shape, self.axis)));
            }
            if ty.dtype != first.dtype {
                return Err(dtype_error("concat", format!("{} with {}; convert one of them with `cast`", first.dtype, ty.dtype)));
            }
            total = total.saturating_add(ty.shape[self.axis]);
        }
        let mut shape = first.shape.clone();
        shape[self.axis] = total;
        Ok(Type::new(shape, first.dtype))
    }
    fn derivative(&self, node: &Tensor, input: usize) -> Derivative {
        let part = self.part(node, input);
        LinearMap::pair(Application::of(part.undone(node.shape())), Application::of(part)).into()
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Op::Concat(Concat { axis: self.axis + 1 }))
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        let outer: usize = ty.shape[..self.axis].iter().product();
        let width = |input: &Array| input.ty.shape[self.axis..].iter().product::<usize>();
        let rows = (0..outer).flat_map(|row| inputs.iter().map(move |input| (row, *input)));
        if ty.dtype.is_float() {
            Values::Float(rows.flat_map(|(row, input)| input.floats()[row * width(input)..][..width(input)].to_vec()).collect())
        } else {
            Values::Integer(rows.flat_map(|(row, input)| input.integers()[row * width(input)..][..width(input)].to_vec()).collect())
        }
    }
}
