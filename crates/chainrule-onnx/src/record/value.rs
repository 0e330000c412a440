//! What flows along the edges of a model: tensors, sequences of them, optional ones.

use crate::error::{Error, Result};
use chainrule::Tensor;
use chainrule::tensor::shape::checked_product;
use std::sync::Arc;

/// A value of a model.
#[derive(Clone)]
pub enum Value {
    /// A tensor, the common case.
    Tensor(Tensor),
    /// Tensors of one element type in an order; their sizes may differ.
    Sequence(Vec<Tensor>),
    /// A tensor or a sequence, or nothing.
    Optional(Option<Box<Value>>),
    /// A tensor of strings, which the engine has not: it is there while a model is recorded.
    Texts(Arc<Texts>),
}

/// A tensor of strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    texts: Vec<String>,
    shape: Vec<usize>,
}

impl Texts {
    /// Strings that fill a shape, the last axis fastest.
    ///
    /// # Errors
    /// If they do not fill it.
    pub fn new(texts: Vec<String>, shape: Vec<usize>) -> Result<Texts> {
        if checked_product(&shape) != Some(texts.len()) {
            return Err(Error::operator(format!("{} strings do not fill the shape {shape:?}", texts.len())));
        }
        Ok(Texts { texts, shape })
    }

    /// The strings, the last axis fastest.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Their shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// String number `at` of the larger `shape` that these are repeated to.
    pub(crate) fn repeated(&self, shape: &[usize], at: usize) -> &str {
        let (mut own, mut stride, mut rest) = (0, 1, at);
        let before = shape.len() - self.shape.len();
        for axis in (0..shape.len()).rev() {
            let place = rest % shape[axis];
            rest /= shape[axis];
            if axis >= before {
                let size = self.shape[axis - before];
                own += if size == 1 { 0 } else { place * stride };
                stride *= size;
            }
        }
        &self.texts[own]
    }
}

impl From<Texts> for Value {
    fn from(texts: Texts) -> Value {
        Value::Texts(Arc::new(texts))
    }
}

impl Value {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Tensor(_) => "a tensor",
            Value::Sequence(_) => "a sequence",
            Value::Optional(None) => "an empty optional",
            Value::Optional(Some(_)) => "an optional",
            Value::Texts(_) => "a tensor of strings",
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
            Value::Optional(None) | Value::Texts(_) => &[],
        }
    }

    /// The strings, if it is a tensor of them.
    pub fn as_texts(&self) -> Option<&Texts> {
        match self {
            Value::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    /// The same value with every tensor replaced.
    pub fn map(&self, change: &mut dyn FnMut(&Tensor) -> Tensor) -> Value {
        match self {
            Value::Tensor(tensor) => Value::Tensor(change(tensor)),
            Value::Sequence(tensors) => Value::Sequence(tensors.iter().map(change).collect()),
            Value::Optional(held) => Value::Optional(held.as_ref().map(|held| Box::new(held.map(change)))),
            Value::Texts(texts) => Value::Texts(texts.clone()),
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
        if let Value::Texts(texts) = self {
            return write!(f, "{} ({:?})", self.kind(), texts.shape());
        }
        let types: Vec<String> = self.tensors().iter().map(|t| format!("{} {:?}", t.dtype(), t.shape())).collect();
        write!(f, "{} ({})", self.kind(), types.join(", "))
    }
}
