//! `einsum` of two operands: every product of the library, from a dot product to a convolution.

use super::linear::Application;
use super::{Array, Derivative, Lift, LinearMap, Operation, Values, dtype_error, shape_error};
use crate::tensor::shape::{flat_index, for_each_index};
use crate::tensor::{DType, Error, Precision, Shape, Tensor, Type};
use smallvec::SmallVec;

/// A list of axis labels.
pub type Labels = SmallVec<[u8; 6]>;

/// `out[out labels] = sum over the other labels of a[a labels] * b[b labels]`.
///
/// Each label names one axis of at least two of the three; a label in all three is a batch axis.
/// The set is closed under differentiation: the adjoint rotates the three lists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Einsum {
    /// Labels of the first operand's axes.
    pub a: Labels,
    /// Labels of the second operand's axes.
    pub b: Labels,
    /// Labels of the result's axes.
    pub out: Labels,
    /// How exact it has to be; that of the runtime if nothing is said.
    pub precision: Option<Precision>,
}

impl Einsum {
    /// From three strings of one-letter labels, such as `Einsum::new("ik", "kj", "ij")`.
    pub fn new(a: &str, b: &str, out: &str) -> Einsum {
        Einsum::of(a.bytes().collect(), b.bytes().collect(), out.bytes().collect())
    }

    /// From three lists of labels.
    pub fn of(a: Labels, b: Labels, out: Labels) -> Einsum {
        Einsum { a, b, out, precision: None }
    }

    /// With the precision of the scope that is open.
    pub(crate) fn in_scope(self) -> Einsum {
        Einsum { precision: Precision::chosen(), ..self }
    }

    /// The size of each label, in the order they are first met.
    fn sizes(&self, inputs: &[&Type]) -> Result<SmallVec<[(u8, usize); 8]>, Error> {
        let mut sizes: SmallVec<[(u8, usize); 8]> = SmallVec::new();
        for (labels, ty) in [(&self.a, inputs[0]), (&self.b, inputs[1])] {
            if labels.len() != ty.shape.len() {
                return Err(shape_error("einsum", format!("{} labels for the {} axes of {:?}", labels.len(), ty.shape.len(), ty.shape)));
            }
            for (i, (&label, &size)) in labels.iter().zip(&ty.shape).enumerate() {
                if labels[..i].contains(&label) {
                    return Err(shape_error("einsum", format!("label '{}' twice in one operand", label as char)));
                }
                match sizes.iter().find(|(known, _)| *known == label) {
                    Some((_, known)) if *known != size => {
                        let message = format!(
                            "label '{}' is {known} in one operand and {size} in the other: {:?} with {:?}",
                            label as char, inputs[0].shape, inputs[1].shape
                        );
                        return Err(shape_error("einsum", message));
                    }
                    Some(_) => (),
                    None => sizes.push((label, size)),
                }
            }
        }
        Ok(sizes)
    }

    /// The contraction that gives the adjoint by the first (`0`) or second operand, applied to
    /// the result's cotangent and the other operand.
    fn adjoint(&self, input: usize) -> Einsum {
        match input {
            0 => Einsum { a: self.out.clone(), b: self.b.clone(), out: self.a.clone(), precision: self.precision },
            _ => Einsum { a: self.a.clone(), b: self.out.clone(), out: self.b.clone(), precision: self.precision },
        }
    }

    fn unused_label(&self) -> u8 {
        (1..=u8::MAX).find(|label| ![&self.a, &self.b, &self.out].iter().any(|list| list.contains(label))).unwrap_or(0)
    }
}

impl Operation for Einsum {
    fn name(&self) -> &'static str {
        "einsum"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        if inputs[0].dtype != inputs[1].dtype {
            return Err(dtype_error("einsum", format!("{} with {}; convert one of them with `cast`", inputs[0].dtype, inputs[1].dtype)));
        }
        if inputs[0].dtype == DType::Bool {
            return Err(dtype_error("einsum", "takes numbers, not bool; convert with `cast`".into()));
        }
        let sizes = self.sizes(inputs)?;
        for &(label, _) in &sizes {
            let places = [&self.a, &self.b, &self.out].iter().filter(|list| list.contains(&label)).count();
            if places < 2 {
                return Err(shape_error("einsum", format!("label '{}' stands in one place only; sum that axis first", label as char)));
            }
        }
        let size = |&label: &u8| sizes.iter().find(|(known, _)| *known == label).map(|&(_, size)| size);
        let shape: Option<Shape> = self.out.iter().map(size).collect();
        match shape {
            Some(shape) if !(0..self.out.len()).any(|i| self.out[..i].contains(&self.out[i])) => Ok(Type::new(shape, inputs[0].dtype)),
            _ => Err(shape_error("einsum", "each label of the result must be one of an operand's, and stand once".into())),
        }
    }
    fn derivative(&self, node: &Tensor, input: usize) -> Derivative {
        let other = |hole: usize| match hole {
            0 => [None, Some(node.inputs()[1].clone())],
            _ => [Some(node.inputs()[0].clone()), None],
        };
        let forward = Application::with(self.clone(), other(input));
        LinearMap::pair(forward, Application::with(self.adjoint(input), other(input))).into()
    }
    fn lift(&self, batched: &[bool], _: usize) -> Lift {
        let label = self.unused_label();
        let prefix = |labels: &Labels, batched: bool| batched.then_some(label).into_iter().chain(labels.iter().copied()).collect();
        let (a, b, out) = (prefix(&self.a, batched[0]), prefix(&self.b, batched[1]), prefix(&self.out, true));
        Lift::Mixed(Einsum { a, b, out, precision: self.precision }.into())
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        let sizes = self.sizes(&[&inputs[0].ty, &inputs[1].ty]).unwrap_or_default();
        let space: Shape = sizes.iter().map(|&(_, size)| size).collect();
        let place = |labels: &Labels| -> SmallVec<[usize; 6]> {
            labels.iter().filter_map(|label| sizes.iter().position(|(known, _)| known == label)).collect()
        };
        let (a, b, out) = (place(&self.a), place(&self.b), place(&self.out));
        let at =
            |places: &[usize], shape: &[usize], index: &[usize]| flat_index(shape, &places.iter().map(|&p| index[p]).collect::<Shape>());
        let mut visits = Vec::with_capacity(space.iter().product());
        for_each_index(&space, |index| {
            visits.push((at(&a, &inputs[0].ty.shape, index), at(&b, &inputs[1].ty.shape, index), at(&out, &ty.shape, index)));
        });
        match (&inputs[0].values, &inputs[1].values) {
            (Values::Integer(x), Values::Integer(y)) => {
                let mut sums = vec![0i64; ty.len()];
                visits.iter().for_each(|&(a, b, o)| sums[o] = sums[o].wrapping_add(x[a].wrapping_mul(y[b])));
                Values::Integer(sums)
            }
            _ => {
                let (x, y) = (inputs[0].floats(), inputs[1].floats());
                let mut sums = vec![0.0; ty.len()];
                visits.iter().for_each(|&(a, b, o)| sums[o] += x[a] * y[b]);
                Values::Float(sums)
            }
        }
    }
}
