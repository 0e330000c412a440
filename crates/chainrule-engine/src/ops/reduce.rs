//! Operations that combine the elements along axes.

use super::linear::Application;
use super::movement::Axes;
use super::{Array, Broadcast, Derivative, Lift, LinearMap, Operation, Values, dtype_error, shape_error};
use crate::tensor::shape::{flat_index, for_each_index};
use crate::tensor::{DType, Error, Shape, Tensor, Type};

/// Sums axes (listed ascending) away. Adjoint: [`Broadcast`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sum(pub Axes);

/// Reduces axes (listed ascending) to their maximum; NaN if there is one. Ties share the derivative equally.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Max(pub Axes);

/// Running sum along an axis, from the last element to the first if `reverse`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CumulativeSum {
    /// Along which axis.
    pub axis: usize,
    /// From the last to the first: the adjoint of from the first to the last.
    pub reverse: bool,
}

fn reduced(name: &str, axes: &Axes, ty: &Type) -> Result<Type, Error> {
    if !axes.windows(2).all(|pair| pair[0] < pair[1]) || axes.last().is_some_and(|&axis| axis >= ty.shape.len()) {
        return Err(shape_error(name, format!("axes {axes:?} of {:?}: each must be there, and listed once, ascending", ty.shape)));
    }
    if ty.dtype == DType::Bool {
        return Err(dtype_error(name, "takes numbers, not bool; convert with `cast`".into()));
    }
    let shape: Shape = (0..ty.shape.len()).filter(|axis| !axes.contains(axis)).map(|axis| ty.shape[axis]).collect();
    Ok(Type::new(shape, ty.dtype))
}

/// For each element of the input, the position of the result it goes to.
fn destinations(axes: &Axes, input: &Array, ty: &Type) -> Vec<usize> {
    let mut positions = Vec::with_capacity(input.ty.len());
    for_each_index(&input.ty.shape, |index| {
        let kept: Axes = (0..index.len()).filter(|axis| !axes.contains(axis)).map(|axis| index[axis]).collect();
        positions.push(flat_index(&ty.shape, &kept));
    });
    positions
}

fn shifted(axes: &Axes) -> Axes {
    axes.iter().map(|axis| axis + 1).collect()
}

/// The broadcast that repeats a reduced tensor along the axes it lost.
fn spread(axes: &Axes, shape: &[usize]) -> Broadcast {
    Broadcast { axes: axes.clone(), sizes: axes.iter().map(|&axis| shape[axis]).collect() }
}

impl Operation for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        reduced("sum", &self.0, inputs[0])
    }
    fn derivative(&self, node: &Tensor, _: usize) -> Derivative {
        let back = spread(&self.0, node.inputs()[0].shape());
        LinearMap::pair(Application::of(self.clone()), Application::of(back)).into()
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Sum(shifted(&self.0)).into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        inputs[0].add_up(ty.len(), destinations(&self.0, inputs[0], ty).into_iter().map(Some))
    }
}

impl Operation for Max {
    fn name(&self) -> &'static str {
        "max"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        if self.0.iter().any(|&axis| inputs[0].shape.get(axis) == Some(&0)) {
            return Err(shape_error("max", format!("the maximum of no elements: axes {:?} of {:?}", self.0, inputs[0].shape)));
        }
        reduced("max", &self.0, inputs[0])
    }
    fn derivative(&self, node: &Tensor, _: usize) -> Derivative {
        let x = &node.inputs()[0];
        let back = || spread(&self.0, x.shape());
        let repeat = |t: &Tensor| Tensor::record(back(), [t.clone()]);
        let hit = x.equal(&repeat(node)).cast(x.dtype());
        let count = Tensor::record(self.sum(), [hit.clone()]);
        let sum = LinearMap::pair(Application::of(self.sum()), Application::of(back()));
        LinearMap::scale(hit / repeat(&count)).then(sum).into()
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Max(shifted(&self.0)).into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        let positions = destinations(&self.0, inputs[0], ty);
        match &inputs[0].values {
            Values::Float(values) => {
                let mut best = vec![f64::NEG_INFINITY; ty.len()];
                positions
                    .iter()
                    .zip(values)
                    .for_each(|(&p, &v)| best[p] = if best[p].is_nan() || v.is_nan() { f64::NAN } else { best[p].max(v) });
                Values::Float(best)
            }
            Values::Integer(values) => {
                let mut best = vec![i64::MIN; ty.len()];
                positions.iter().zip(values).for_each(|(&p, &v)| best[p] = best[p].max(v));
                Values::Integer(best)
            }
        }
    }
}

impl Max {
    fn sum(&self) -> Sum {
        Sum(self.0.clone())
    }
}

impl Operation for CumulativeSum {
    fn name(&self) -> &'static str {
        "cumulative_sum"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        if self.axis >= inputs[0].shape.len() {
            return Err(shape_error("cumulative_sum", format!("axis {} of {:?}", self.axis, inputs[0].shape)));
        }
        if inputs[0].dtype == DType::Bool {
            return Err(dtype_error("cumulative_sum", "takes numbers, not bool; convert with `cast`".into()));
        }
        Ok(inputs[0].clone())
    }
    fn derivative(&self, _: &Tensor, _: usize) -> Derivative {
        let back = CumulativeSum { axis: self.axis, reverse: !self.reverse };
        LinearMap::pair(Application::of(self.clone()), Application::of(back)).into()
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(CumulativeSum { axis: self.axis + 1, reverse: self.reverse }.into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        let size = ty.shape[self.axis];
        let stride: usize = ty.shape[self.axis + 1..].iter().product();
        // Element `flat` adds the one before it along the axis, in the direction of the sum.
        let order = |len: usize| (0..len).map(move |n| if self.reverse { len - 1 - n } else { n });
        let before = |flat: usize| {
            let at = flat / stride % size;
            if self.reverse { (at + 1 < size).then(|| flat + stride) } else { (at > 0).then(|| flat - stride) }
        };
        match &inputs[0].values {
            Values::Float(values) => {
                let mut sums = values.clone();
                order(sums.len()).for_each(|flat| {
                    if let Some(b) = before(flat) {
                        sums[flat] += sums[b]
                    }
                });
                Values::Float(sums)
            }
            Values::Integer(values) => {
                let mut sums = values.clone();
                order(sums.len()).for_each(|flat| {
                    if let Some(b) = before(flat) {
                        sums[flat] = sums[flat].wrapping_add(sums[b])
                    }
                });
                Values::Integer(sums)
            }
        }
    }
}
