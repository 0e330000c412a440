//! The operations a graph is made of: each with its shape rule, derivative, lifting rule and
//! obvious evaluation.
//!
//! Operations know no backend and no transform. What users call (softmax, convolution, ...) are
//! functions over these, in [`crate::functions`], and inherit every derivative.

pub mod array;
pub mod body;
pub mod contract;
pub mod control;
pub mod elementwise;
pub mod host;
pub mod index;
pub mod linear;
pub mod movement;
pub mod reduce;
pub mod samples;
pub mod select;
pub mod sort;
pub mod source;
pub mod structure;
pub mod window;

use crate::tensor::{Error, ErrorKind, Tensor, Type};
pub use array::{Array, Values};
pub use body::Body;
pub use contract::Einsum;
pub use control::{Scan, Switch, While};
pub use elementwise::{Binary, Unary};
pub use host::{HostArray, HostCall, HostFunction};
pub use index::{Combine, Gather, ScatterAdd, ScatterReduce};
pub use linear::{Derivative, LinearMap};
pub use movement::{Broadcast, Concat, Pad, Permute, Reshape, Reverse, Slice};
pub use reduce::{CumulativeSum, Max, Sum};
pub use select::{Cast, Select};
pub use sort::ArgSort;
pub use source::{Constant, Input, Iota, Random, Scalar};
use std::borrow::Borrow;
use std::sync::Arc;
pub use structure::{Barrier, Custom, CustomRule, StopGradient};
pub use window::{Fold, Window};

/// The contract of an operation. It has no default methods: an operation without a rule does not
/// compile.
pub trait Operation {
    /// Its name in messages and pictures.
    fn name(&self) -> &'static str;

    /// The type of the result, or what does not fit.
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error>;

    /// The derivative of `node`, an application of this operation, by its input number `input`.
    fn derivative(&self, node: &Tensor, input: usize) -> Derivative;

    /// This operation over one more, leading axis of `size`, carried by the inputs that are
    /// `batched` (at least one is) and by the result.
    fn lift(&self, batched: &[bool], size: usize) -> Lift;

    /// The result, computed in the most obvious way, floats in f64. The caller rounds, and has asked [`Op::refuse`] before.
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values;
}

/// How an operation is applied to batched inputs.
pub enum Lift {
    /// After inputs without the leading axis have been repeated along it.
    Uniform(Op),
    /// To the inputs as they are, batched or not.
    Mixed(Op),
    /// By recording its bodies anew, as the transformation does.
    Inner,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident($held:ty)),* $(,)?) => {
        /// Any operation. What is larger than most is held by reference: nodes, of which there are thousands,
        /// stay small, and copies of one share it.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Op {
            $($(#[$doc])* $variant($held),)*
            /// A mistake; see [`Tensor::error`].
            Poison(PoisonedBy),
        }

        impl Op {
            /// The names of all kinds of operations, elementwise functions as `Unary`, `Binary`.
            pub const KINDS: &[&str] = &[$(stringify!($variant)),*];

            /// The operation's contract.
            pub fn rules(&self) -> &dyn Operation {
                match self {
                    $(Op::$variant(op) => Borrow::<$variant>::borrow(op),)*
                    Op::Poison(op) => op,
                }
            }
        }

        $(impl From<$variant> for Op {
            fn from(op: $variant) -> Op { Op::$variant(op.into()) }
        })*
    };
}

operations! {
    /// A leaf: data, or a placeholder for it.
    Input(Input),
    /// The same number everywhere.
    Constant(Constant),
    /// Coordinates along an axis.
    Iota(Iota),
    /// Random integers from a key.
    Random(Random),
    /// A function of one operand, element by element.
    Unary(Unary),
    /// A function of two operands, element by element.
    Binary(Binary),
    /// One of two operands, element by element.
    Select(Select),
    /// Another element type.
    Cast(Cast),
    /// The same elements in the same order, other axes.
    Reshape(Reshape),
    /// Axes in another order.
    Permute(Permute),
    /// New axes along which elements repeat.
    Broadcast(Arc<Broadcast>),
    /// A regular part.
    Slice(Arc<Slice>),
    /// Zeros around and between.
    Pad(Arc<Pad>),
    /// Axes run backwards.
    Reverse(Reverse),
    /// Tensors laid end to end.
    Concat(Concat),
    /// Patches.
    Window(Arc<Window>),
    /// Patches added up where they overlap.
    Fold(Arc<Fold>),
    /// Axes summed away.
    Sum(Sum),
    /// Axes reduced to their maximum.
    Max(Max),
    /// Running sum.
    CumulativeSum(CumulativeSum),
    /// Products summed over shared labels.
    Einsum(Arc<Einsum>),
    /// Parts picked by index.
    Gather(Gather),
    /// Parts added up by index.
    ScatterAdd(ScatterAdd),
    /// Parts multiplied, or the extreme ones kept, by index.
    ScatterReduce(ScatterReduce),
    /// The order of elements.
    ArgSort(ArgSort),
    /// A body for every step.
    Scan(Arc<Scan>),
    /// One of several branches.
    Switch(Arc<Switch>),
    /// A body as long as a condition holds.
    While(Arc<While>),
    /// A function of the host.
    HostCall(HostCall),
    /// The value without its history.
    StopGradient(StopGradient),
    /// A value that waits for another.
    Barrier(Barrier),
    /// A value with a derivative of its own.
    Custom(Custom),
}

impl Op {
    /// How many inputs the operation takes; `None` where any number will do.
    pub fn arity(&self) -> Option<usize> {
        match self {
            Op::Input(_) | Op::Constant(_) | Op::Iota(_) | Op::Poison(_) => Some(0),
            Op::Binary(_) | Op::Einsum(_) | Op::Gather(_) | Op::ScatterAdd(_) | Op::ScatterReduce(_) | Op::Barrier(_) => Some(2),
            Op::Select(_) => Some(3),
            Op::Concat(_) | Op::Custom(_) | Op::HostCall(_) | Op::Scan(_) | Op::Switch(_) | Op::While(_) => None,
            _ => Some(1),
        }
    }

    /// The same operation with what `other` makes of each of its bodies.
    pub fn with_bodies(&self, mut other: impl FnMut(&Body) -> Body) -> Op {
        match self {
            Op::Scan(scan) => Scan { body: other(&scan.body), ..Scan::clone(scan) }.into(),
            Op::Switch(switch) => Switch { branches: switch.branches.iter().map(other).collect(), dtype: switch.dtype }.into(),
            Op::While(repeat) => While { bodies: [0, 1].map(|at| other(&repeat.bodies[at])), dtype: repeat.dtype }.into(),
            op => op.clone(),
        }
    }

    /// The bodies that the operation runs.
    pub fn bodies(&self) -> &[Body] {
        match self {
            Op::Scan(scan) => scan.bodies(),
            Op::Switch(switch) => switch.bodies(),
            Op::While(repeat) => repeat.bodies(),
            _ => &[],
        }
    }

    /// What is wrong with the values of the inputs, though their types are right: an index that
    /// points outside, or what a function of the host refuses. Only evaluation can tell.
    pub fn refuse(&self, inputs: &[&Array]) -> Option<Error> {
        let (index, limit) = match (self, inputs) {
            (Op::Gather(op), [table, index]) => (index, table.ty.shape[op.batch]),
            (Op::ScatterAdd(op), [_, index]) => (index, op.size),
            (Op::ScatterReduce(op), [_, index]) => (index, op.size),
            (Op::Scan(op), _) => return op.refuse(inputs),
            (Op::Switch(op), _) => return op.refuse(inputs),
            (Op::While(op), _) => return op.refuse(inputs),
            (Op::HostCall(call), _) => return call.refuse(inputs),
            _ => return None,
        };
        let at = index.integers().into_iter().find(|&at| usize::try_from(at).map_or(true, |at| at >= limit))?;
        Some(Error::new(ErrorKind::Index, self.name(), format!("index {at} is outside 0..{limit}")))
    }
}

impl Operation for Op {
    fn name(&self) -> &'static str {
        self.rules().name()
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        self.rules().infer(inputs)
    }
    fn derivative(&self, node: &Tensor, input: usize) -> Derivative {
        self.rules().derivative(node, input)
    }
    fn lift(&self, batched: &[bool], size: usize) -> Lift {
        self.rules().lift(batched, size)
    }
    fn evaluate(&self, inputs: &[&Array], ty: &Type) -> Values {
        self.rules().evaluate(inputs, ty)
    }
}

/// What a poisoned tensor holds.
#[derive(Clone, Debug)]
pub struct PoisonedBy(pub Arc<Error>);

impl PartialEq for PoisonedBy {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
impl Eq for PoisonedBy {}
impl std::hash::Hash for PoisonedBy {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Operation for PoisonedBy {
    fn name(&self) -> &'static str {
        "poison"
    }
    fn infer(&self, _: &[&Type]) -> Result<Type, Error> {
        Err(Error::clone(&self.0))
    }
    fn derivative(&self, _: &Tensor, _: usize) -> Derivative {
        Derivative::Cut("a mistake has no derivative")
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Mixed(Op::Poison(self.clone()))
    }
    fn evaluate(&self, _: &[&Array], _: &Type) -> Values {
        Values::Float(Vec::new())
    }
}

/// A shape error of the operation called `name`.
pub(crate) fn shape_error(name: &str, message: String) -> Error {
    Error::new(ErrorKind::Shape, name, message)
}

/// A dtype error of the operation called `name`.
pub(crate) fn dtype_error(name: &str, message: String) -> Error {
    Error::new(ErrorKind::DType, name, message)
}

#[cfg(test)]
mod tests {
    use super::{Constant, Derivative, Op};
    use crate::compile::graph::GraphNode;
    use crate::compile::kernel::{Instruction, Kernel};
    use crate::tensor::node::Node;

    /// What there are thousands of stays small: each is copied by several passes, into memory that is new.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn nodes_kernels_and_instructions_are_small() {
        let sizes = [
            ("operation", size_of::<Op>(), size_of::<Constant>()),
            ("derivative", size_of::<Derivative>(), 56),
            ("node", size_of::<Node>(), 192),
            ("node of a graph", size_of::<GraphNode>(), 152),
            ("kernel", size_of::<Kernel>(), 160),
            ("instruction", size_of::<Instruction>(), 48),
        ];
        let large: Vec<_> = sizes.iter().filter(|(_, size, most)| size > most).collect();
        assert!(large.is_empty(), "larger than planned: {large:?}");
    }
}
