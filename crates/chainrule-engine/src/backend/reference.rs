//! The oracle: walks the graph and evaluates each node by its operation's own definition, floats
//! in f64, rounded to the element type after every operation.
//!
//! Refuses to be fast, to fuse, or to reuse memory.

use crate::ops::{Array, Op, Operation};
use crate::tensor::{Data, Error, ErrorKind, Result, Tensor};
use crate::transform::walk::Walk;

/// The values of tensors, computed from the leaves up. Values that were computed before are not used.
pub fn evaluate(roots: &[&Tensor]) -> Result<Vec<Data>> {
    roots.iter().try_for_each(|root| root.check())?;
    let walk = Walk::new(roots.iter().copied(), |_| true);
    let mut arrays: Vec<Array> = Vec::with_capacity(walk.nodes.len());
    for node in &walk.nodes {
        let array = match (node.op(), node.value()) {
            (Op::Input(_), Some(data)) => Array::from_data(node.ty().clone(), data),
            (Op::Input(_), None) => return Err(unbound(node)),
            (op, _) => {
                let inputs: Vec<&Array> = node.inputs().iter().filter_map(|input| walk.find(input)).map(|at| &arrays[at]).collect();
                if let Some(error) = op.refuse(&inputs) {
                    return Err(error.at(node.origin()));
                }
                Array::new(node.ty().clone(), op.evaluate(&inputs, node.ty()))
            }
        };
        arrays.push(array);
    }
    Ok(roots.iter().filter_map(|root| walk.find(root)).map(|at| arrays[at].to_data()).collect())
}

/// The error of evaluating a placeholder.
pub(crate) fn unbound(node: &Tensor) -> Error {
    let message = format!("a placeholder of shape {:?} has no value here; it gets one when a captured step runs", node.shape());
    Error::new(ErrorKind::Unbound, "input", message).at(node.origin())
}
