//! vmap: a function of one example applied to a batch of them, as one graph.

use super::walk::Walk;
use crate::ops::{Broadcast, Lift, Op, Operation};
use crate::tensor::node::Inputs;
use crate::tensor::origin::recorded_as;
use crate::tensor::{Error, ErrorKind, Origin, Result, Tensor};
use rustc_hash::FxHashMap;
use std::panic::Location;

/// Applies `function`, written for one example, along an axis of its arguments: `axes[i]` is the
/// axis of `arguments[i]` that counts the examples, or `None` where all share it. The results
/// carry the examples in axis 0.
///
/// # Errors
/// If no argument has such an axis, if their sizes differ, or if the function fails.
///
/// ```
/// use chainrule_engine::{Tensor, transform::vmap};
/// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// // The gradient of each example's own loss.
/// let g = vmap(|x| x[0].square().sum().grad(&[&x[0]]), &[&x], &[Some(0)])?;
/// assert_eq!(g[0].to_vec::<f32>()?, [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn vmap(function: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>, arguments: &[&Tensor], axes: &[Option<usize>]) -> Result<Vec<Tensor>> {
    let batch = Batch::new(arguments, axes)?;
    lift(&function(&batch.examples)?, &batch.pairs, batch.size)
}

/// The arguments of a function of one example: what of `vmap` is the same for every function.
struct Batch {
    /// What the function gets.
    examples: Vec<Tensor>,
    /// Each placeholder among them with its batch, examples in axis 0.
    pairs: Vec<(Tensor, Tensor)>,
    /// How many examples.
    size: usize,
}

impl Batch {
    #[track_caller]
    fn new(arguments: &[&Tensor], axes: &[Option<usize>]) -> Result<Batch> {
        let origin = Origin::here(Location::caller());
        let mistake = |message: String| Err(Error::new(ErrorKind::Shape, "vmap", message).at(&origin));
        arguments.iter().try_for_each(|t| t.check())?;
        if axes.len() != arguments.len() {
            return mistake(format!("{} axes for {} arguments", axes.len(), arguments.len()));
        }
        let mut size = None;
        let mut examples = Vec::new();
        let mut pairs = Vec::new();
        for (argument, axis) in arguments.iter().zip(axes) {
            let Some(axis) = *axis else {
                examples.push((*argument).clone());
                continue;
            };
            let Some(&n) = argument.shape().get(axis) else {
                return mistake(format!("axis {axis} of an argument of shape {:?}", argument.shape()));
            };
            if *size.get_or_insert(n) != n {
                return mistake(format!("{n} examples in one argument, {} in another", size.unwrap_or(n)));
            }
            let mut order: Vec<usize> = (0..argument.rank()).filter(|&i| i != axis).collect();
            let shape: Vec<usize> = order.iter().map(|&i| argument.shape()[i]).collect();
            order.insert(0, axis);
            let example = Tensor::placeholder(shape, argument.dtype());
            pairs.push((example.clone(), argument.permute(order)));
            examples.push(example);
        }
        match size {
            Some(size) => Ok(Batch { examples, pairs, size }),
            None => mistake("no argument has an axis of examples".into()),
        }
    }
}

/// Records `outputs` again with each placeholder replaced by its batch, examples in axis 0.
pub(crate) fn lift(outputs: &[Tensor], batches: &[(Tensor, Tensor)], size: usize) -> Result<Vec<Tensor>> {
    outputs.iter().try_for_each(Tensor::check)?;
    let oldest = batches.iter().map(|(example, _)| example.id()).min().unwrap_or(u64::MAX);
    let walk = Walk::new(outputs, |node| node.id() >= oldest);
    let sources: Vec<&Tensor> = batches.iter().map(|(example, _)| example).collect();
    let depends = walk.depending_on(&sources);
    let mut lifted: FxHashMap<u64, Tensor> = batches.iter().map(|(example, batch)| (example.id(), batch.clone())).collect();
    for (at, node) in walk.nodes.iter().enumerate() {
        if depends[at] && !lifted.contains_key(&node.id()) {
            let wide = recorded_as(node.origin().clone(), || lift_node(node, &lifted, size))?;
            lifted.insert(node.id(), wide);
        }
    }
    let result = |output: &Tensor| match lifted.get(&output.id()) {
        Some(batch) => batch.clone(),
        None => repeat(output, size),
    };
    outputs.iter().map(result).map(|t| t.check().map(|()| t)).collect()
}

fn lift_node(node: &Tensor, lifted: &FxHashMap<u64, Tensor>, size: usize) -> Result<Tensor> {
    let batched: Vec<bool> = node.inputs().iter().map(|input| lifted.contains_key(&input.id())).collect();
    let wide = |input: &Tensor| lifted.get(&input.id()).cloned();
    let (op, inputs): (Op, Inputs) = match node.op().lift(&batched, size) {
        Lift::Mixed(op) => (op, node.inputs().iter().map(|input| wide(input).unwrap_or_else(|| input.clone())).collect()),
        Lift::Uniform(op) => (op, node.inputs().iter().map(|input| wide(input).unwrap_or_else(|| repeat(input, size))).collect()),
        Lift::Inner => return super::control::lifted(node, &node.inputs().iter().map(wide).collect::<Vec<_>>(), size),
    };
    Ok(Tensor::record(op, inputs))
}

pub(super) fn repeat(tensor: &Tensor, size: usize) -> Tensor {
    Tensor::record(Broadcast { axes: [0].as_slice().into(), sizes: [size].as_slice().into() }, [tensor.clone()])
}
