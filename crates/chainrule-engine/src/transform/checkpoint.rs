//! Recomputing instead of remembering: the backward pass of a region runs its forward pass again.

use super::custom::custom_from;
use super::reverse::cotangents;
use super::substitute::record_again;
use super::walk::Walk;
use crate::ops::{Barrier, CustomRule, Op};
use crate::tensor::{Result, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// `function(arguments)`, whose intermediate values are not kept for the backward pass but
/// computed again there. Value and gradients are those of the plain call, also by tensors that
/// the function captures, and random draws are the same.
///
/// ```
/// use chainrule_engine::{Tensor, transform::checkpoint};
/// let (x, w) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
/// let y = checkpoint(|x| (x[0] * &w).tanh(), &[&x]).sum();
/// assert_eq!(y.grad(&[&x, &w])?.len(), 2);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn checkpoint(function: impl FnOnce(&[&Tensor]) -> Tensor, arguments: &[&Tensor]) -> Tensor {
    let start = Tensor::next_id();
    let y = function(arguments);
    if y.error().is_some() || y.id() < start {
        return y;
    }
    // Whatever the region reaches that was recorded before it is an input of the region, and so is
    // every leaf and draw made inside: recomputing must not draw again.
    let inside = |node: &Tensor| node.id() >= start && !node.inputs().is_empty() && !matches!(node.op(), Op::Random(_));
    let walk = Walk::new([&y], |node| inside(node));
    let mut inputs: Vec<Tensor> = Vec::new();
    let mut known: FxHashSet<u64> = FxHashSet::default();
    for node in &walk.nodes {
        for input in node.inputs() {
            // An index or a mask has no derivative, but vmap must be able to give each example its own.
            if !inside(input) && known.insert(input.id()) {
                inputs.push(input.clone());
            }
        }
    }
    let region = Recompute { nodes: walk.nodes.clone(), inputs: inputs.clone() };
    custom_from(&y, &inputs.iter().collect::<Vec<_>>(), Arc::new(region))
}

/// The rule of a checkpointed region.
struct Recompute {
    /// The region's nodes in order; the last one is its output.
    nodes: Vec<Tensor>,
    /// What the region reads.
    inputs: Vec<Tensor>,
}

impl CustomRule for Recompute {
    fn name(&self) -> &str {
        "checkpoint"
    }

    fn vjp(&self, inputs: &[Tensor], _: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        // The barrier makes the inputs new nodes that wait for the cotangent, so that what is
        // recorded from them is neither merged with the first run nor scheduled before its time.
        let wait = |input: &Tensor| match input.dtype().is_float() {
            true => Tensor::record(Barrier, [input.clone(), cotangent.clone()]),
            false => input.clone(),
        };
        let again: Vec<Tensor> = inputs.iter().map(wait).collect();
        let mut copies: FxHashMap<u64, Tensor> = self.inputs.iter().map(Tensor::id).zip(again.iter().cloned()).collect();
        record_again(&self.nodes, &mut copies);
        let Some(output) = self.nodes.last().and_then(|last| copies.get(&last.id())) else {
            return Ok(vec![None; inputs.len()]);
        };
        let wrt: Vec<&Tensor> = again.iter().filter(|input| input.dtype().is_float()).collect();
        // Some inputs may be reached by no gradient, as in the plain call; a mistake is one there, too.
        let mut given = cotangents(&[output], &[cotangent], &wrt)?.into_iter();
        Ok(again.iter().map(|input| if input.dtype().is_float() { given.next().flatten() } else { None }).collect())
    }
}
