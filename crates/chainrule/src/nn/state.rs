//! Putting saved tensors back into a module, all or none, with every difference named.

use super::Module;
use super::module::replace;
use chainrule_engine::Tensor;
use chainrule_engine::tensor::Type;
use std::collections::HashMap;
use std::fmt;

/// How saved tensors differ from those a module holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateError {
    /// Names that the module has and the saved state has not.
    pub missing: Vec<String>,
    /// Names that the saved state has and the module has not.
    pub unexpected: Vec<String>,
    /// Names in both, under which the tensors differ in shape or element type.
    pub different: Vec<Difference>,
}

/// A tensor of another shape or element type than the module needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub name: String,
    /// What the saved state has.
    pub found: Type,
    /// What the module has.
    pub needed: Type,
}

/// As [`Module::load_state`].
pub(super) fn load_state<M: Module + ?Sized>(module: &mut M, state: &[(String, Tensor)]) -> Result<(), StateError> {
    let mut saved: HashMap<&str, &Tensor> = HashMap::with_capacity(state.len());
    let mut wrong = StateError { missing: Vec::new(), unexpected: Vec::new(), different: Vec::new() };
    for (name, tensor) in state {
        // Of two tensors with one name, the second has no place.
        if saved.insert(name, tensor).is_some() {
            wrong.unexpected.push(name.clone());
        }
    }
    // By node: of a tensor with two names, the first name counts.
    let mut found = HashMap::new();
    for (name, tensor) in module.state() {
        match saved.remove(name.as_str()) {
            Some(new) if new.ty() == tensor.ty() => {
                found.entry(tensor.id()).or_insert_with(|| new.clone());
            }
            Some(new) => wrong.different.push(Difference { name, found: new.ty().clone(), needed: tensor.ty().clone() }),
            None => wrong.missing.push(name),
        }
    }
    let left = state.iter().filter(|(name, _)| saved.contains_key(name.as_str()));
    wrong.unexpected.extend(left.map(|(name, _)| name.clone()));
    wrong.unexpected.dedup();
    if wrong.missing.is_empty() && wrong.unexpected.is_empty() && wrong.different.is_empty() {
        replace(module, &found);
        return Ok(());
    }
    Err(wrong)
}

impl std::error::Error for StateError {}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the saved tensors are not those of this model")?;
        write_names(f, "missing", &self.missing)?;
        write_names(f, "not expected", &self.unexpected)?;
        for (at, difference) in self.different.iter().take(MOST_NAMES).enumerate() {
            let Difference { name, found, needed } = difference;
            write!(
                f,
                "{}{name} is {} {:?}, the model needs {} {:?}",
                if at == 0 { "; " } else { ", " },
                found.dtype,
                found.shape,
                needed.dtype,
                needed.shape
            )?;
        }
        write_rest(f, self.different.len())?;
        f.write_str("; build the model with the sizes and element type it was saved with")
    }
}

/// A message names this many tensors of a kind; the lists in the error hold all.
const MOST_NAMES: usize = 8;

fn write_names(f: &mut fmt::Formatter<'_>, what: &str, names: &[String]) -> fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    write!(f, "; {what}: {}", names[..names.len().min(MOST_NAMES)].join(", "))?;
    write_rest(f, names.len())
}

fn write_rest(f: &mut fmt::Formatter<'_>, count: usize) -> fmt::Result {
    match count.checked_sub(MOST_NAMES) {
        Some(rest) if rest > 0 => write!(f, " and {rest} more"),
        _ => Ok(()),
    }
}
