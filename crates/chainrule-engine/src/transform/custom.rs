//! Derivatives that a user gives.

use super::batch::lift;
use super::vjp;
use super::walk::Walk;
use crate::ops::{Custom, CustomRule};
use crate::tensor::node::Inputs;
use crate::tensor::{Error, ErrorKind, Result, Tensor};
use std::sync::Arc;

/// The value `y`, with a derivative by `inputs` that `rule` gives instead of the one recorded.
///
/// Forward mode, vmap and higher orders follow from the rule.
#[track_caller]
pub fn custom_derivative(y: &Tensor, inputs: &[&Tensor], rule: impl CustomRule + 'static) -> Tensor {
    custom_from(y, inputs, Arc::new(rule))
}

#[track_caller]
pub(crate) fn custom_from(y: &Tensor, inputs: &[&Tensor], rule: Arc<dyn CustomRule>) -> Tensor {
    let all: Inputs = std::iter::once(y).chain(inputs.iter().copied()).cloned().collect();
    Tensor::record(Custom { rule, levels: 0 }, all)
}

/// The rule's contributions for a node that vmap may have lifted.
pub(crate) fn apply_rule(custom: &Custom, inputs: &[Tensor], output: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
    if custom.levels == 0 {
        let given = custom.rule.vjp(inputs, output, cotangent).and_then(|given| check(custom, inputs, given));
        return given.map_err(|error| error.at(output.origin()));
    }
    // Written for one example: ask it for one, and lift the answer.
    let size = output.shape()[0];
    let example = |t: &Tensor| Tensor::placeholder(&t.shape()[1..], t.dtype());
    let (one_inputs, one_output, one_cotangent) = (inputs.iter().map(example).collect::<Vec<_>>(), example(output), example(cotangent));
    let inner = Custom { rule: custom.rule.clone(), levels: custom.levels - 1 };
    let given = apply_rule(&inner, &one_inputs, &one_output, &one_cotangent)?;
    let mut batches: Vec<(Tensor, Tensor)> = one_inputs.into_iter().zip(inputs.iter().cloned()).collect();
    batches.push((one_output, output.clone()));
    batches.push((one_cotangent, cotangent.clone()));
    let some: Vec<Tensor> = given.iter().flatten().cloned().collect();
    let mut wide = lift(&some, &batches, size)?.into_iter();
    Ok(given.into_iter().map(|one| one.and_then(|_| wide.next())).collect())
}

fn check(custom: &Custom, inputs: &[Tensor], given: Vec<Option<Tensor>>) -> Result<Vec<Option<Tensor>>> {
    let mistake = |message: String| Err(Error::new(ErrorKind::Shape, custom.rule.name(), message));
    if given.len() != inputs.len() {
        return mistake(format!("the rule gives {} cotangents for {} inputs", given.len(), inputs.len()));
    }
    for (input, one) in inputs.iter().zip(&given) {
        if let Some(one) = one.as_ref().filter(|one| one.error().is_none() && one.ty() != input.ty()) {
            return mistake(format!("the rule gives a cotangent of {:?} for an input of {:?}", one.shape(), input.shape()));
        }
    }
    Ok(given)
}

/// Forward mode of a rule: `c -> vjp(c)` is linear, and its own adjoint is the product wanted.
pub(crate) fn tangent(custom: &Custom, node: &Tensor, tangents: &[Option<Tensor>]) -> Result<Option<Tensor>> {
    let inputs = &node.inputs()[1..];
    let cotangent = node.zeros_like();
    let given = apply_rule(custom, inputs, node, &cotangent)?;
    let pairs: Vec<(&Tensor, &Tensor)> = given.iter().zip(tangents).filter_map(|(g, t)| Some((g.as_ref()?, t.as_ref()?))).collect();
    if pairs.is_empty() {
        return Ok(None);
    }
    let (outputs, seeds): (Vec<&Tensor>, Vec<&Tensor>) = pairs.into_iter().unzip();
    outputs.iter().try_for_each(|output| output.check())?;
    // A rule may answer zeros, or what declared zeros made of it: a product with no cotangent in it.
    let walk = Walk::new(outputs.iter().copied(), |node| node.id() >= cotangent.id());
    if !walk.depending_on(&[&cotangent]).contains(&true) {
        return Ok(Some(node.zeros_like()));
    }
    Ok(Some(vjp(&outputs, &seeds, &[&cotangent])?.swap_remove(0)))
}
