//! What flows along the edges of a model: tensors, sequences of them, optional ones.

use chainrule::Tensor;

/// A value of a model.
#[derive(Clone)]
pub enum Value {
    /// A tensor, the common case.
    Tensor(Tensor),
    /// Tensors of one element type in an order; their sizes may differ.
    Sequence(Vec<Tensor>),
    /// A tensor or a sequence, or nothing.
    Optional(Option<Box<Value>>),
}

impl Value {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Tensor(_) => "a tensor",
            Value::Sequence(_) => "a sequence",
            Value::Optional(None) => "an empty optional",
            Value::Optional(Some(_)) => "an optional",
        }
    }

    /// The tensor, if it is one.
    pub fn as_tensor(&self) -> Option<&Tensor> {
        match self {
            Value::Tensor(tensor) => Some(tensor),
            Value::Optional(Some(held)) => held.as_tensor(),
            _ => None,
        }
    }

    /// The tensors in it: one, or those of a sequence.
    pub fn tensors(&self) -> &[Tensor] {
        match self {
            Value::Tensor(tensor) => std::slice::from_ref(tensor),
            Value::Sequence(tensors) => tensors,
            Value::Optional(Some(held)) => held.tensors(),
            Value::Optional(None) => &[],
        }
    }

    /// The same value with every tensor replaced.
    pub fn map(&self, change: &mut dyn FnMut(&Tensor) -> Tensor) -> Value {
        match self {
            Value::Tensor(tensor) => Value::Tensor(change(tensor)),
            Value::Sequence(tensors) => Value::Sequence(tensors.iter().map(change).collect()),
            Value::Optional(held) => Value::Optional(held.as_ref().map(|held| Box::new(held.map(change)))),
        }
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Value {
        Value::Tensor(tensor)
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let types: Vec<String> = self.tensors().iter().map(|t| format!("{} {:?}", t.dtype(), t.shape())).collect();
        write!(f, "{} ({})", self.kind(), types.join(", "))
    }
}
