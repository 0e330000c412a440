//! A graph recorded again with other tensors in place of some of its own.
//!
//! Refuses to change a type: what follows was recorded for it.

use super::walk::Walk;
use crate::tensor::node::Inputs;
use crate::tensor::origin::recorded_as;
use crate::tensor::{Error, ErrorKind, Result, Tensor};
use rustc_hash::FxHashMap;

/// The outputs as they would be if `new[i]` had stood wherever `old[i]` does. What does not depend on `old` is shared, random
/// draws too; the new nodes belong to the lines of those they stand for.
///
/// ```
/// use chainrule_engine::{Tensor, transform::substitute};
/// let (x, w) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
/// let y = (&x * &w).sum();
/// let moved = substitute(&[&y], &[&w], &[&(&w + 1.0)])?;
/// assert_eq!((y.item()?, moved[0].item()?), (11.0, 14.0));
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
///
/// # Errors
/// If there are not as many new tensors as old ones, one has another shape or element type, or any stands for a mistake.
#[track_caller]
pub fn substitute(outputs: &[&Tensor], old: &[&Tensor], new: &[&Tensor]) -> Result<Vec<Tensor>> {
    outputs.iter().chain(old).chain(new).try_for_each(|tensor| tensor.check())?;
    if old.len() != new.len() {
        let message = format!("{} tensors for {}; give one for each", new.len(), old.len());
        return Err(Error::new(ErrorKind::Argument, "substitute", message));
    }
    if let Some((old, new)) = old.iter().zip(new).find(|(old, new)| old.ty() != new.ty()) {
        let message = format!(
            "{} {:?} cannot stand for {} {:?}; both must have one shape and element type",
            new.dtype(),
            new.shape(),
            old.dtype(),
            old.shape()
        );
        return Err(Error::new(ErrorKind::Argument, "substitute", message));
    }
    let walk = Walk::new(outputs.iter().copied(), |_| true);
    let depends = walk.depending_on(old);
    let mut copies: FxHashMap<u64, Tensor> = old.iter().map(|old| old.id()).zip(new.iter().copied().cloned()).collect();
    let again = walk.nodes.iter().zip(depends).filter(|&(_, depends)| depends).map(|(node, _)| node);
    record_again(again, &mut copies);
    Ok(outputs.iter().map(|&output| copies.get(&output.id()).unwrap_or(output).clone()).collect())
}

/// Records nodes again, in order, with what `copies` has in place of their inputs; each becomes one of the copies. Those that
/// have one already are passed over.
pub(super) fn record_again<'a>(nodes: impl IntoIterator<Item = &'a Tensor>, copies: &mut FxHashMap<u64, Tensor>) {
    for node in nodes {
        if copies.contains_key(&node.id()) {
            continue;
        }
        let inputs: Inputs = node.inputs().iter().map(|input| copies.get(&input.id()).unwrap_or(input).clone()).collect();
        let copy = recorded_as(node.origin().clone(), || Tensor::record(node.op().clone(), inputs));
        copies.insert(node.id(), copy);
    }
}
