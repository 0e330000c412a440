//! Derivatives as linear maps: forward mode applies them, reverse mode applies their adjoints.

use super::{Binary, Op};
use crate::tensor::Tensor;
use crate::tensor::node::Inputs;
use smallvec::SmallVec;

/// The derivative of a node by one of its inputs.
pub enum Derivative {
    /// A linear map from the input's tangent to the node's.
    Linear(LinearMap),
    /// Zero everywhere, by declaration (floor, say): the gradient is zero, and that is its value.
    Zero,
    /// There is none, and the reason why.
    Cut(&'static str),
    /// A rule of the user's; it gives the products with vectors itself.
    Custom,
    /// That of the bodies inside, which the transformations differentiate as a whole.
    Inner,
}

/// A chain of simple linear maps, applied in order.
#[derive(Default)]
pub struct LinearMap(SmallVec<[LinearStep; 2]>);

/// One link of the chain. Links are handed on by value, so they are small.
enum LinearStep {
    /// `-v`.
    Negate,
    /// `v * factor`, exactly zero where `v` is: a diagonal map is its own adjoint.
    Scale(Tensor),
    /// An operation and its adjoint.
    Apply(Box<Pair>),
}

struct Pair {
    forward: Application,
    adjoint: Application,
}

/// An operation with all operands but one.
pub struct Application {
    op: Op,
    operands: SmallVec<[Option<Tensor>; 2]>,
}

impl Application {
    /// `op(v)`.
    pub fn of(op: impl Into<Op>) -> Application {
        Application { op: op.into(), operands: SmallVec::from_iter([None]) }
    }

    /// `op` of the operands given, `v` taking the place of `None`.
    pub fn with(op: impl Into<Op>, operands: impl IntoIterator<Item = Option<Tensor>>) -> Application {
        Application { op: op.into(), operands: operands.into_iter().collect() }
    }

    #[track_caller]
    fn to(self, v: &Tensor) -> Tensor {
        let inputs: Inputs = self.operands.into_iter().map(|operand| operand.unwrap_or_else(|| v.clone())).collect();
        Tensor::record(self.op, inputs)
    }
}

impl LinearMap {
    /// `v`.
    pub fn identity() -> LinearMap {
        LinearMap::default()
    }

    /// `-v`.
    pub fn negate() -> LinearMap {
        LinearMap(SmallVec::from_iter([LinearStep::Negate]))
    }

    /// `v * factor`, where `factor` has the shape of `v`.
    pub fn scale(factor: Tensor) -> LinearMap {
        LinearMap(SmallVec::from_iter([LinearStep::Scale(factor)]))
    }

    /// An operation that is linear in `v`, and its adjoint.
    pub fn pair(forward: Application, adjoint: Application) -> LinearMap {
        LinearMap(SmallVec::from_iter([LinearStep::Apply(Box::new(Pair { forward, adjoint }))]))
    }

    /// This map, then another.
    pub fn then(mut self, next: LinearMap) -> LinearMap {
        self.0.extend(next.0);
        self
    }

    /// The map applied to a tangent of the input: the tangent of the output.
    pub fn apply(self, tangent: Tensor) -> Tensor {
        self.0.into_iter().fold(tangent, |v, step| match step {
            LinearStep::Negate => -v,
            LinearStep::Scale(factor) => Tensor::binary(Binary::Scale, v, factor),
            LinearStep::Apply(pair) => pair.forward.to(&v),
        })
    }

    /// The adjoint map applied to a cotangent of the output: its contribution to the input's.
    pub fn adjoint(self, cotangent: Tensor) -> Tensor {
        self.0.into_iter().rev().fold(cotangent, |v, step| match step {
            LinearStep::Negate => -v,
            LinearStep::Scale(factor) => Tensor::binary(Binary::Scale, v, factor),
            LinearStep::Apply(pair) => pair.adjoint.to(&v),
        })
    }
}

impl From<LinearMap> for Derivative {
    fn from(map: LinearMap) -> Derivative {
        Derivative::Linear(map)
    }
}
