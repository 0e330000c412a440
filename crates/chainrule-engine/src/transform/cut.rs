//! Why no derivative passes from a tensor to an output: the cuts on the way between them.
//!
//! Refuses to differentiate: it is asked once a derivative was found missing. A cut that does not
//! lie between the two, however near, has nothing to do with them.

use super::walk::Walk;
use crate::ops::{Derivative, Op, Operation};
use crate::tensor::{Error, ErrorKind, Origin, Tensor};
use std::fmt;
use std::panic::Location;

/// What ends the paths between two tensors.
#[derive(Clone, Debug)]
pub struct Obstacle {
    /// The operation, such as `detach`; a user's rule by its own name.
    pub operation: String,
    /// The line that recorded it.
    pub origin: Origin,
    /// Why nothing passes.
    pub reason: String,
}

impl fmt::Display for Obstacle {
    /// `detach` at file:line (why).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at {} ({})", self.operation, self.origin.place(), self.reason)
    }
}

/// The error of a gradient by `x` that is missing.
pub(super) fn no_gradient(outputs: &[&Tensor], x: &Tensor) -> Error {
    let what = format!("the {} made at {}", x.op().name(), x.origin().place());
    let message = match outputs.iter().find_map(|output| first(output, x)) {
        Some(cut) => format!("no gradient reaches {what}: the path is cut by {cut}"),
        None => format!("the output does not depend on {what}; use `grad_or_zeros` if that is meant"),
    };
    let at = outputs.first().map_or(x.origin(), |output| output.origin());
    Error::new(ErrorKind::Disconnected, "grad", message).at(at)
}

/// The error of a tangent of `output` that is missing.
pub(super) fn no_tangent(output: &Tensor, wrt: &[&Tensor]) -> Error {
    let message = match wrt.iter().find_map(|x| first(output, x)) {
        Some(cut) => format!("no tangent reaches this output: the path is cut by {cut}"),
        None => "this output does not depend on what moves".to_string(),
    };
    Error::new(ErrorKind::Disconnected, "jvp", message).at(output.origin())
}

/// An error of what a transformation was given, at the line that asked for it.
#[track_caller]
pub(super) fn misuse(kind: ErrorKind, operation: &str, message: String) -> Error {
    Error::new(kind, operation, message).at(&Origin::here(Location::caller()))
}

/// Whether `output` depends on `x` by steps alone, if at all: through bools and integers (a
/// comparison, a rounding, an index). The derivative of a step is zero wherever it has one.
pub(super) fn only_steps(output: &Tensor, x: &Tensor) -> bool {
    cuts(output, x).iter().all(Cut::is_step)
}

/// A place where paths end.
struct Cut {
    node: Tensor,
    /// Which of the node's inputs does not get through; `None` of a rule that leaves some out.
    input: Option<usize>,
    reason: &'static str,
}

impl Cut {
    fn is_step(&self) -> bool {
        self.input.is_some_and(|k| !self.node.dtype().is_float() || !self.node.inputs()[k].dtype().is_float())
    }
}

/// The first cut from the output on.
pub(super) fn first(output: &Tensor, x: &Tensor) -> Option<Obstacle> {
    let cuts = cuts(output, x);
    // What a rule leaves out may be cut inside of what the rule stands for: a better answer.
    let cut = cuts.iter().find(|cut| cut.input.is_some()).or(cuts.first())?;
    Some(obstacle(&cut.node, cut.reason))
}

/// The first operation from the output on whose derivative is zero by declaration.
pub(super) fn first_zero(output: &Tensor, x: &Tensor) -> Option<Obstacle> {
    let walk = Walk::new([output], |node| node.id() >= x.id());
    let depends = walk.depending_on(&[x]);
    let is_zero = |node: &&Tensor| {
        let moves = |k: &usize| walk.find(&node.inputs()[*k]).is_some_and(|at| depends[at]);
        (0..node.inputs().len()).filter(moves).any(|k| matches!(node.op().derivative(node, k), Derivative::Zero))
    };
    let node = walk.nodes.iter().rev().filter(|node| !node.is(x)).find(is_zero)?;
    Some(obstacle(node, "its derivative is zero by declaration"))
}

fn obstacle(node: &Tensor, reason: &str) -> Obstacle {
    let operation = match node.op() {
        // A user knows a rule by its own name.
        Op::Custom(custom) => custom.rule.name(),
        Op::HostCall(call) => call.function.0.name(),
        op => op.name(),
    };
    Obstacle { operation: operation.to_string(), origin: node.origin().clone(), reason: reason.to_string() }
}

/// All cuts of paths from `x` to `output`, from the output on.
fn cuts(output: &Tensor, x: &Tensor) -> Vec<Cut> {
    let walk = Walk::new([output], |node| node.id() >= x.id());
    let depends = walk.depending_on(&[x]);
    let mut reached = vec![false; walk.nodes.len()];
    walk.find(output).into_iter().for_each(|at| reached[at] = true);
    let mut cuts = Vec::new();
    for (at, node) in walk.nodes.iter().enumerate().rev() {
        if !reached[at] || !depends[at] || node.is(x) {
            continue;
        }
        for (k, input) in node.inputs().iter().enumerate() {
            let Some(to) = walk.find(input).filter(|&to| depends[to]) else { continue };
            match node.op().derivative(node, k) {
                Derivative::Cut(reason) => cuts.push(Cut { node: node.clone(), input: Some(k), reason }),
                Derivative::Linear(_) | Derivative::Zero | Derivative::Custom | Derivative::Inner => reached[to] = true,
            }
        }
        if !node.op().bodies().is_empty() {
            let leads = |input: &Tensor| walk.find(input).is_some_and(|at| depends[at]);
            cuts.extend(inner(node, &node.inputs().iter().map(leads).collect::<Vec<_>>()));
        }
        if let Op::Custom(_) = node.op() {
            cuts.push(Cut { node: node.clone(), input: None, reason: "its rule gives no derivative by what leads there" });
        }
    }
    cuts
}

/// The cuts inside of a node's bodies, on the way from the inputs that `lead` to it.
fn inner(node: &Tensor, lead: &[bool]) -> Vec<Cut> {
    let (inputs, results) = super::control::opened(node);
    let ways = inputs.iter().zip(lead).filter(|(_, leads)| **leads).map(|(input, _)| input);
    ways.flat_map(|input| results.iter().filter(|result| result.dtype().is_float()).flat_map(|result| cuts(result, input))).collect()
}
