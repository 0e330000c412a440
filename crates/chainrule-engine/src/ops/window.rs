//! Patches and their adjoint: what convolution and pooling are made of.

use super::linear::Application;
use super::movement::Axes;
use super::{Array, Derivative, Lift, LinearMap, Operation, Values, dtype_error, shape_error};
use crate::tensor::shape::{flat_index, for_each_index};
use crate::tensor::{DType, Error, Shape, Tensor, Type};

/// Patches: each listed axis of size `n` becomes the number of its windows, and the elements of a
/// window become a new last axis (one per listed axis, in order):
/// `out[.., i, .., k] = input[.., i * stride + k * dilation, ..]`. Adjoint: [`Fold`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Which axes, ascending.
    pub axes: Axes,
    /// Elements of a window, one number per listed axis.
    pub sizes: Axes,
    /// Distance between windows.
    pub strides: Axes,
    /// Distance between elements of a window.
    pub dilations: Axes,
}

/// Patches added up where they overlap: `out[.., i * stride + k * dilation, ..] += input[.., i, .., k]`. Adjoint: [`Window`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fold {
    /// The windows that are added up.
    pub window: Window,
    /// Sizes of the listed axes in the result.
    pub lengths: Axes,
}

impl Window {
    /// How many windows an axis of `length` has, if one fits.
    pub fn count(&self, listed: usize, length: usize) -> Option<usize> {
        let reach = (self.sizes[listed].checked_sub(1)?).checked_mul(self.dilations[listed])?;
        Some((length.checked_sub(reach.checked_add(1)?)?) / self.strides[listed] + 1)
    }

    fn shifted(&self) -> Window {
        Window { axes: self.axes.iter().map(|axis| axis + 1).collect(), ..self.clone() }
    }

    fn check(&self, name: &str, rank: usize) -> Result<(), Error> {
        let n = self.axes.len();
        let whole = [&self.sizes, &self.strides, &self.dilations].iter().all(|list| list.len() == n && !list.contains(&0));
        if !whole || !self.axes.windows(2).all(|pair| pair[0] < pair[1]) || self.axes.last().is_some_and(|&axis| axis >= rank) {
            return Err(shape_error(name, format!("{self:?} does not fit {rank} axes; sizes, strides and dilations are at least 1")));
        }
        Ok(())
    }

    /// Where, in the unfolded tensor, an index of the patches points.
    fn source(&self, rank: usize, index: &[usize]) -> Axes {
        let mut at: Axes = index[..rank].into();
        for (listed, &axis) in self.axes.iter().enumerate() {
            at[axis] = index[axis] * self.strides[listed] + index[rank + listed] * self.dilations[listed];
        }
        at
    }

    /// For each element of the patches, the position of the element it shows.
    fn positions(&self, patches: &[usize], whole: &[usize]) -> Vec<usize> {
        let mut positions = Vec::new();
        for_each_index(patches, |index| positions.push(flat_index(whole, &self.source(whole.len(), index))));
        positions
    }
}

impl Operation for Window {
    fn name(&self) -> &'static str {
        "window"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        self.check("window", inputs[0].shape.len())?;
        let mut shape: Shape = inputs[0].shape.clone();
        for (listed, &axis) in self.axes.iter().enumerate() {
            shape[axis] = self.count(listed, shape[axis]).ok_or_else(|| {
                let (size, dilation) = (self.sizes[listed], self.dilations[listed]);
                shape_error("window", format!("a window of {size} (dilation {dilation}) does not fit axis {axis} of {:?}", inputs[0].shape))
            })?;
        }
        shape.extend(self.sizes.iter().copied());
        Ok(Type::new(shape, inputs[0].dtype))
    }
    fn derivative(&self, node: &Tensor, _: usize) -> Derivative {
        let whole = node.inputs()[0].shape();
        let back = Fold { window: self.clone(), lengths: self.axes.iter().map(|&axis| whole[axis]).collect() };
        LinearMap::pair(Application::of(self.clone()), Application::of(back)).into()
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(self.shifted().into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        inputs[0].pick(self.positions(&ty.shape, &inputs[0].ty.shape).into_iter().map(Some))
    }
}

impl Operation for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        let listed = self.window.axes.len();
        let Some(rank) = inputs[0].shape.len().checked_sub(listed) else {
            return Err(shape_error("fold", format!("{:?} has fewer axes than windows", inputs[0].shape)));
        };
        self.window.check("fold", rank)?;
        if inputs[0].dtype == DType::Bool {
            return Err(dtype_error("fold", "takes numbers, not bool; convert with `cast`".into()));
        }
        let mut shape: Shape = inputs[0].shape[..rank].into();
        for (i, &axis) in self.window.axes.iter().enumerate() {
            let count = self.lengths.get(i).and_then(|&length| self.window.count(i, length));
            if count != Some(shape[axis]) || inputs[0].shape[rank + i] != self.window.sizes[i] {
                return Err(shape_error(
                    "fold",
                    format!("patches {:?} are not those of {:?} with {:?}", inputs[0].shape, self.lengths, self.window),
                ));
            }
            shape[axis] = self.lengths[i];
        }
        Ok(Type::new(shape, inputs[0].dtype))
    }
    fn derivative(&self, _: &Tensor, _: usize) -> Derivative {
        LinearMap::pair(Application::of(self.clone()), Application::of(self.window.clone())).into()
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Fold { window: self.window.shifted(), lengths: self.lengths.clone() }.into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        inputs[0].add_up(ty.len(), self.window.positions(&inputs[0].ty.shape, &ty.shape).into_iter().map(Some))
    }
}
