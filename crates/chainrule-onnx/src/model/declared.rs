//! What a model says about an input or output: a name, a type, sizes as far as they are known.

use crate::error::{Error, ErrorKind, Result};
use crate::proto::{Kind, Named, Size};
use crate::record::Value;
use chainrule::{DType, Tensor};
use std::fmt;

/// An input or output of a model.
///
/// Its text reads like `float [batch, 3, 224, 224]`: names stand for sizes that are chosen by whoever runs the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The name it is given or found under.
    pub name: String,
    pub(crate) kind: Kind,
}

impl Declared {
    pub(crate) fn of(named: &Named) -> Declared {
        Declared { name: named.name.clone(), kind: named.kind.clone() }
    }

    /// The element type, if it is a tensor, or holds tensors, of a type that the engine has.
    pub fn dtype(&self) -> Option<DType> {
        let mut kind = &self.kind;
        loop {
            match kind {
                Kind::Tensor(element, _) => return element.dtype().ok(),
                Kind::Sequence(inner) | Kind::Optional(inner) => kind = inner,
                Kind::Unknown | Kind::Other(_) => return None,
            }
        }
    }

    /// The sizes, where the model says of every one which number it is.
    pub fn shape(&self) -> Option<Vec<usize>> {
        let Kind::Tensor(_, Some(sizes)) = &self.kind else { return None };
        let size = |size: &Size| match size {
            Size::Is(size) => usize::try_from(*size).ok(),
            _ => None,
        };
        sizes.iter().map(size).collect()
    }

    pub(crate) fn may_be_absent(&self) -> bool {
        matches!(self.kind, Kind::Optional(_))
    }

    /// Whether a value is of this type.
    pub(crate) fn check(&self, value: &Value) -> Result<()> {
        let fits = match (&self.kind, value) {
            (Kind::Unknown, _) | (Kind::Sequence(_), Value::Sequence(_)) | (Kind::Optional(_), _) => true,
            (Kind::Tensor(..), Value::Tensor(tensor)) => return self.check_tensor(tensor),
            (Kind::Tensor(element, sizes), Value::Texts(texts)) => element.is_text() && fit(sizes.as_deref(), texts.shape()),
            _ => false,
        };
        if fits { Ok(()) } else { Err(Error::new(ErrorKind::Input, format!("input '{}' is {self}, not {}", self.name, value.kind()))) }
    }

    fn check_tensor(&self, tensor: &Tensor) -> Result<()> {
        let Kind::Tensor(element, sizes) = &self.kind else { return Ok(()) };
        let refused = |why: &str| {
            let given = format!("{} {:?}", tensor.dtype(), tensor.shape());
            Err(Error::new(ErrorKind::Input, format!("input '{}' is {self}, and given is {given}; {why}", self.name)))
        };
        // Floats of another precision are let through: a model is checked in f64, or run in bf16.
        if element.is_text() {
            return refused("it takes strings: `Value::Texts`");
        }
        if element.0 != 0 {
            let wanted = element.dtype()?;
            if wanted != tensor.dtype() && !(wanted.is_float() && tensor.dtype().is_float()) {
                return refused("convert it with `cast`");
            }
        }
        if fit(sizes.as_deref(), tensor.shape()) { Ok(()) } else { refused("give it the sizes that are declared") }
    }
}

/// Whether a shape has the sizes that are declared, as far as they are.
fn fit(sizes: Option<&[Size]>, shape: &[usize]) -> bool {
    let unlike = |(size, &given): (&Size, &usize)| matches!(size, Size::Is(size) if *size >= 0 && *size != given as i64);
    sizes.is_none_or(|sizes| sizes.len() == shape.len() && !sizes.iter().zip(shape).any(unlike))
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Unknown => f.write_str("of any type"),
            Kind::Tensor(element, None) => write!(f, "{}", element.name()),
            Kind::Tensor(element, Some(sizes)) => {
                let sizes: Vec<String> = sizes.iter().map(Size::to_string).collect();
                write!(f, "{} [{}]", element.name(), sizes.join(", "))
            }
            Kind::Sequence(inner) => write!(f, "sequence of {inner}"),
            Kind::Optional(inner) => write!(f, "optional {inner}"),
            Kind::Other(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Size::Any => f.write_str("?"),
            Size::Is(size) => write!(f, "{size}"),
            Size::Named(name) => f.write_str(name),
        }
    }
}
