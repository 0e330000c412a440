//! Operations that change how a graph is treated, not what it computes.

use super::{Array, Derivative, Lift, LinearMap, Op, Operation, Values, shape_error};
use crate::tensor::{Error, Result, Tensor, Type};
use std::fmt;
use std::sync::Arc;

/// The input's value without its history: a derivative that would pass is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StopGradient;

/// The first input's value, to be computed only once the second is there. Keeps what is
/// recomputed (a checkpoint) from being merged with what was computed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Barrier;

/// The first input's value, with a derivative by the other inputs that a rule gives.
#[derive(Clone)]
pub struct Custom {
    /// The rule.
    pub rule: Arc<dyn CustomRule>,
    /// How many leading axes vmap has added since the rule was attached.
    pub levels: u32,
}

/// A derivative given by a user.
pub trait CustomRule: Send + Sync {
    /// Its name in messages.
    fn name(&self) -> &str;

    /// For inputs `x_1 .. x_n`, the output's value `y` and its cotangent, the contribution to each
    /// input's cotangent (of the input's shape), or `None` where there is none. Must be linear in
    /// the cotangent, and recorded: it is itself differentiated for higher orders.
    fn vjp(&self, inputs: &[Tensor], output: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>>;
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Custom({})", self.rule.name())
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rule, &other.rule) && self.levels == other.levels
    }
}
impl Eq for Custom {}

impl std::hash::Hash for Custom {
    /// All rules alike: a rule says nothing of the value, and programs are cached by value.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.levels.hash(state);
    }
}

impl Operation for StopGradient {
    fn name(&self) -> &'static str {
        "detach"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        Ok(inputs[0].clone())
    }
    fn derivative(&self, _: &Tensor, _: usize) -> Derivative {
        Derivative::Cut("`detach` cuts the history here")
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Op::StopGradient(*self))
    }
    fn evaluate(&self, inputs: &[&Array], _: &Type) -> Values {
        inputs[0].values.clone()
    }
}

impl Operation for Barrier {
    fn name(&self) -> &'static str {
        "barrier"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        Ok(inputs[0].clone())
    }
    fn derivative(&self, _: &Tensor, input: usize) -> Derivative {
        if input == 0 { LinearMap::identity().into() } else { Derivative::Zero }
    }
    fn lift(&self, batched: &[bool], _: usize) -> Lift {
        if batched[0] { Lift::Mixed(Op::Barrier(*self)) } else { Lift::Uniform(Op::Barrier(*self)) }
    }
    fn evaluate(&self, inputs: &[&Array], _: &Type) -> Values {
        inputs[0].values.clone()
    }
}

impl Operation for Custom {
    fn name(&self) -> &'static str {
        "custom"
    }
    fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
        inputs.first().map(|ty| (*ty).clone()).ok_or_else(|| shape_error("custom", "a custom derivative needs a value".into()))
    }
    fn derivative(&self, _: &Tensor, input: usize) -> Derivative {
        if input == 0 { Derivative::Zero } else { Derivative::Custom }
    }
    fn lift(&self, _: &[bool], _: usize) -> Lift {
        Lift::Uniform(Op::Custom(Custom { rule: self.rule.clone(), levels: self.levels + 1 }))
    }
    fn evaluate(&self, inputs: &[&Array], _: &Type) -> Values {
        inputs[0].values.clone()
    }
}
