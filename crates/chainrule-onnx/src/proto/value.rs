//! Values in files of their own, as the conformance suite has them: tensors, sequences, optionals.

use super::tensor::TensorMessage;
use super::wire::Reader;
use super::{Kind, Result};
use crate::Error;
use crate::record::Value;

/// Reads a `TensorProto`, `SequenceProto` or `OptionalProto`, whichever `kind` says it is.
pub fn parse(bytes: &[u8], kind: &Kind) -> Result<Value> {
    of_kind(Reader::new(bytes), kind)
}

fn of_kind(reader: Reader<'_>, kind: &Kind) -> Result<Value> {
    match kind {
        Kind::Sequence(_) => sequence(reader),
        Kind::Optional(_) => optional(reader),
        Kind::Other(what) => Err(Error::unsupported(format!("{what} is no value that can be recorded"))),
        Kind::Tensor(..) | Kind::Unknown => TensorMessage::parse(reader, 0)?.value(),
    }
}

fn sequence(mut reader: Reader<'_>) -> Result<Value> {
    let mut tensors = Vec::new();
    while let Some(field) = reader.field()? {
        match field.number {
            3 => tensors.push(TensorMessage::parse(field.message()?, field.offset)?.tensor()?),
            4..=7 => return Err(Error::unsupported("a sequence of something other than tensors")),
            _ => {}
        }
    }
    Ok(Value::Sequence(tensors))
}

fn optional(mut reader: Reader<'_>) -> Result<Value> {
    let mut held = None;
    while let Some(field) = reader.field()? {
        match field.number {
            3 => held = Some(Box::new(Value::Tensor(TensorMessage::parse(field.message()?, field.offset)?.tensor()?))),
            5 => held = Some(Box::new(sequence(field.message()?)?)),
            4 | 6 | 7 => return Err(Error::unsupported("an optional of something other than a tensor or a sequence")),
            _ => {}
        }
    }
    Ok(Value::Optional(held))
}
