//! Forward mode: how outputs move when inputs do, as more graph.

use super::cut::{misuse, no_tangent};
use super::walk::Walk;
use crate::ops::{Derivative, Op, Operation};
use crate::tensor::origin::on_behalf_of;
use crate::tensor::{Error, ErrorKind, Result, Tensor};

/// The product of the Jacobian of the outputs by `wrt` with tangents (one per `wrt`, of its
/// shape): one tensor per output, of its shape. Where one of `wrt` depends on another, its tangent
/// is added to what reaches it, as in reverse mode its cotangent passes on.
///
/// # Errors
/// If there is not one tangent for each of `wrt`, or one is not of its tensor's shape, or an
/// output is not of a float type, or does not depend on any of `wrt`, or only through a cut.
///
/// ```
/// use chainrule_engine::{Tensor, transform::jvp};
/// let x = Tensor::from([1.0, 2.0]);
/// let y = &x * &x;
/// let dy = jvp(&[&y], &[&x], &[&Tensor::from([1.0, 10.0])])?;
/// assert_eq!(dy[0].to_vec::<f32>()?, [2.0, 40.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn jvp(outputs: &[&Tensor], wrt: &[&Tensor], tangents_of_wrt: &[&Tensor]) -> Result<Vec<Tensor>> {
    outputs.iter().chain(wrt).chain(tangents_of_wrt).try_for_each(|t| t.check())?;
    if wrt.len() != tangents_of_wrt.len() {
        let message = format!("{} tangents for {} tensors", tangents_of_wrt.len(), wrt.len());
        return Err(misuse(ErrorKind::Argument, "jvp", message));
    }
    for (x, tangent) in wrt.iter().zip(tangents_of_wrt) {
        if x.ty() != tangent.ty() {
            let message = format!("a tangent of {:?} {} for a tensor of {:?} {}", tangent.shape(), tangent.dtype(), x.shape(), x.dtype());
            return Err(Error::new(ErrorKind::Shape, "jvp", message).at(x.origin()));
        }
    }
    let result = |(moved, output): (Moved, &&Tensor)| match moved {
        Moved::Tangent(tangent) if tangent.error().is_none() && !tangent.dtype().is_float() => {
            Err(Error::new(ErrorKind::DType, "jvp", format!("{} has no derivative", output.dtype())).at(output.origin()))
        }
        Moved::Tangent(tangent) => tangent.check().map(|()| tangent),
        Moved::Zero => Ok(output.zeros_like()),
        Moved::Nothing => Err(no_tangent(output, wrt)),
    };
    moved(outputs, wrt, tangents_of_wrt)?.into_iter().zip(outputs).map(result).collect()
}

/// How an output moves.
pub(super) enum Moved {
    /// Along a tangent.
    Tangent(Tensor),
    /// Only through what is declared zero.
    Zero,
    /// Not at all.
    Nothing,
}

/// How each of `outputs` moves.
pub(super) fn moved(outputs: &[&Tensor], wrt: &[&Tensor], tangents_of_wrt: &[&Tensor]) -> Result<Vec<Moved>> {
    let oldest = wrt.iter().map(|x| x.id()).min().unwrap_or(u64::MAX);
    let walk = Walk::new(outputs.iter().copied(), |node| node.id() >= oldest);
    let depends = walk.depending_on(wrt);
    let mut tangents: Vec<Option<Tensor>> = vec![None; walk.nodes.len()];
    for (x, given) in wrt.iter().zip(tangents_of_wrt) {
        if let Some(at) = walk.find(x) {
            tangents[at] = Some(plus(tangents[at].take(), (*given).clone()));
        }
    }
    let mut zero = vec![false; walk.nodes.len()];
    for (at, node) in walk.nodes.iter().enumerate().filter(|&(at, _)| depends[at]) {
        let mut sum = tangents[at].take();
        let moving = |k: &usize| walk.find(&node.inputs()[*k]).and_then(|i| tangents[i].clone());
        on_behalf_of(node.origin(), || -> Result<()> {
            if let Op::Custom(custom) = node.op() {
                let given: Vec<Option<Tensor>> = (1..node.inputs().len()).map(|k| moving(&k)).collect();
                zero[at] |= node.inputs()[1..].iter().any(|input| walk.find(input).is_some_and(|i| zero[i]));
                let moved = if given.iter().any(Option::is_some) { super::custom::tangent(custom, node, &given)? } else { None };
                if let Some(moved) = moved {
                    sum = Some(plus(sum.take(), moved));
                }
                return Ok(());
            }
            if !node.op().bodies().is_empty() {
                let given: Vec<Option<Tensor>> =
                    (0..node.inputs().len()).map(|k| moving(&k).filter(|tangent| tangent.dtype().is_float())).collect();
                zero[at] |= node.inputs().iter().any(|input| walk.find(input).is_some_and(|i| zero[i]));
                match super::control::tangent(node, &given)? {
                    Moved::Tangent(moved) => sum = Some(plus(sum.take(), moved)),
                    Moved::Zero => zero[at] = true,
                    Moved::Nothing => (),
                }
                return Ok(());
            }
            for k in 0..node.inputs().len() {
                let from = walk.find(&node.inputs()[k]);
                let Some(tangent) = moving(&k) else {
                    zero[at] |= from.is_some_and(|i| zero[i]);
                    continue;
                };
                match node.op().derivative(node, k) {
                    Derivative::Linear(map) => sum = Some(plus(sum.take(), map.apply(tangent))),
                    Derivative::Zero | Derivative::Custom | Derivative::Inner => zero[at] = true,
                    Derivative::Cut(_) => (),
                }
            }
            Ok(())
        })?;
        tangents[at] = sum;
    }
    let result = |output: &&Tensor| {
        let at = walk.find(output);
        match at.and_then(|at| tangents[at].clone()) {
            Some(tangent) => Moved::Tangent(tangent),
            None if at.is_some_and(|at| zero[at]) => Moved::Zero,
            None => Moved::Nothing,
        }
    };
    Ok(outputs.iter().map(result).collect())
}

fn plus(sum: Option<Tensor>, moved: Tensor) -> Tensor {
    match sum {
        Some(sum) => sum + moved,
        None => moved,
    }
}
