//! Reverse mode: the gradient of one number by any number of tensors, as more graph.
//!
//! Loud by default: a gradient that would be missing is an error that names the line that cut the
//! path. Zeros must be asked for.

use super::cut::{misuse, no_gradient};
use super::walk::Walk;
use crate::ops::{Custom, Derivative, Op, Operation};
use crate::tensor::origin::on_behalf_of;
use crate::tensor::{Error, ErrorKind, Result, Tensor};

impl Tensor {
    /// The gradient of this scalar by each tensor in `wrt`, each of that tensor's shape.
    ///
    /// The gradients are recorded, not computed: they can be differentiated again, and are
    /// evaluated together with whatever else is.
    ///
    /// # Errors
    /// If this tensor is not a scalar, or does not depend on one of `wrt`, or only through a cut
    /// (`detach`, a comparison, an integer cast): the message names the line of the cut.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([1.0, 2.0, 3.0]);
    /// let loss = (&x * &x * &x).sum();
    /// let first = &loss.grad(&[&x])?[0];
    /// let second = &first.sum().grad(&[&x])?[0];
    /// assert_eq!(first.to_vec::<f32>()?, [3.0, 12.0, 27.0]);
    /// assert_eq!(second.to_vec::<f32>()?, [6.0, 12.0, 18.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn grad(&self, wrt: &[&Tensor]) -> Result<Vec<Tensor>> {
        scalar("grad", self)?;
        vjp(&[self], &[&self.ones_like()], wrt)
    }

    /// As [`Tensor::grad`], but zeros for what this scalar does not depend on.
    #[track_caller]
    pub fn grad_or_zeros(&self, wrt: &[&Tensor]) -> Result<Vec<Tensor>> {
        let found = self.grad_or_none(wrt)?;
        Ok(found.into_iter().zip(wrt).map(|(found, x)| found.unwrap_or_else(|| x.zeros_like())).collect())
    }

    /// As [`Tensor::grad`], but `None` for what no gradient reaches: this scalar does not depend on it, or only
    /// through a cut, or only through derivatives that are zero by declaration (where [`Tensor::grad`] gives zeros).
    /// [`audit`](super::audit()) tells these apart.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let (a, b) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
    /// let found = (&a * b.floor()).sum().grad_or_none(&[&a, &b])?;
    /// assert_eq!((found[0].is_some(), found[1].is_some()), (true, false));
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn grad_or_none(&self, wrt: &[&Tensor]) -> Result<Vec<Option<Tensor>>> {
        scalar("grad", self)?;
        let gradient = |arrived| match arrived {
            Arrived::Cotangent(sum) => Some(sum),
            Arrived::Zero | Arrived::Nothing => None,
        };
        Ok(arrivals(&[self], &[&self.ones_like()], wrt)?.into_iter().map(gradient).collect())
    }
}

/// A function's value and its gradient by each of its arguments.
///
/// ```
/// use chainrule_engine::{Tensor, transform::value_and_grad};
/// let (y, dy) = value_and_grad(|x| x[0].square().sum(), &[&Tensor::from([3.0, 4.0])])?;
/// assert_eq!(y.item()?, 25.0);
/// assert_eq!(dy[0].to_vec::<f32>()?, [6.0, 8.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn value_and_grad(function: impl FnOnce(&[&Tensor]) -> Tensor, arguments: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
    let value = function(arguments);
    let gradient = value.grad(arguments)?;
    Ok((value, gradient))
}

/// The product of cotangents (one per output, of its shape) with the Jacobian of the outputs by
/// `wrt`: one tensor per `wrt`, of its shape.
///
/// # Errors
/// As [`Tensor::grad`]; also if there is not one cotangent for each output, or one is not of its
/// output's shape and type, or an output is not of a float type.
#[track_caller]
pub fn vjp(outputs: &[&Tensor], cotangents_of_outputs: &[&Tensor], wrt: &[&Tensor]) -> Result<Vec<Tensor>> {
    let found = cotangents(outputs, cotangents_of_outputs, wrt)?;
    found.into_iter().zip(wrt).map(|(found, x)| found.ok_or_else(|| no_gradient(outputs, x))).collect()
}

/// Refuses what is not one number that has a derivative.
#[track_caller]
pub(super) fn scalar(operation: &str, tensor: &Tensor) -> Result<()> {
    tensor.check()?;
    if tensor.rank() != 0 {
        let message = format!(
            "the gradient of a tensor of shape {:?} needs one number: reduce it with `sum` or `mean`, or use `vjp`",
            tensor.shape()
        );
        return Err(Error::new(ErrorKind::Shape, operation, message).at(tensor.origin()));
    }
    if !tensor.dtype().is_float() {
        return Err(Error::new(ErrorKind::DType, operation, format!("{} has no derivative", tensor.dtype())).at(tensor.origin()));
    }
    Ok(())
}

/// Cotangents as they gather at each node while the graph is walked from its end.
struct Backward<'a> {
    walk: &'a Walk,
    depends: Vec<bool>,
    /// For each node the one at which its contributions gather, if that is not itself.
    gather: Option<Vec<usize>>,
    /// The sum of the contributions so far.
    sums: Vec<Option<Tensor>>,
    /// Reached, if only through a derivative that is declared zero.
    reached: Vec<bool>,
}

/// What arrives at a tensor.
pub(super) enum Arrived {
    /// A cotangent.
    Cotangent(Tensor),
    /// Only what is declared zero.
    Zero,
    Nothing,
}

/// What gathers at each of `wrt`, zeros written out; `None` where nothing does.
#[track_caller]
pub(super) fn cotangents(outputs: &[&Tensor], seeds: &[&Tensor], wrt: &[&Tensor]) -> Result<Vec<Option<Tensor>>> {
    let written = |(arrived, x): (Arrived, &&Tensor)| match arrived {
        Arrived::Cotangent(sum) => Some(sum),
        Arrived::Zero => Some(x.zeros_like()),
        Arrived::Nothing => None,
    };
    Ok(arrivals(outputs, seeds, wrt)?.into_iter().zip(wrt).map(written).collect())
}

/// What gathers at each of `wrt`.
#[track_caller]
pub(super) fn arrivals(outputs: &[&Tensor], seeds: &[&Tensor], wrt: &[&Tensor]) -> Result<Vec<Arrived>> {
    outputs.iter().chain(seeds).chain(wrt).try_for_each(|t| t.check())?;
    if outputs.len() != seeds.len() {
        let message = format!("{} cotangents for {} outputs", seeds.len(), outputs.len());
        return Err(misuse(ErrorKind::Argument, "vjp", message));
    }
    if let Some(whole) = outputs.iter().find(|output| !output.dtype().is_float()) {
        return Err(Error::new(ErrorKind::DType, "vjp", format!("{} has no derivative", whole.dtype())).at(whole.origin()));
    }
    let oldest = wrt.iter().map(|x| x.id()).min().unwrap_or(u64::MAX);
    // What was recorded before every x cannot depend on one.
    let walk = Walk::new(outputs.iter().copied(), |node| node.id() >= oldest);
    let n = walk.nodes.len();
    let depends = walk.depending_on(wrt);
    // Only derivatives record what was recorded before; others need not be looked through.
    let again = walk.nodes.iter().any(|node| node.origin().is_backward());
    let gather = again.then(|| walk.first_equal(wrt));
    let mut backward = Backward { walk: &walk, depends, gather, sums: vec![None; n], reached: vec![false; n] };
    for (output, seed) in outputs.iter().zip(seeds) {
        if output.ty() != seed.ty() {
            let message =
                format!("a cotangent of {:?} {} for an output of {:?} {}", seed.shape(), seed.dtype(), output.shape(), output.dtype());
            return Err(Error::new(ErrorKind::Shape, "vjp", message).at(output.origin()));
        }
        if let Some(at) = walk.find(output) {
            backward.add(at, (*seed).clone());
        }
    }
    for at in (0..n).rev() {
        if backward.depends[at] && backward.reached[at] {
            backward.step(at)?;
        }
    }
    wrt.iter().map(|x| backward.result(x)).collect()
}

impl Backward<'_> {
    fn add(&mut self, at: usize, contribution: Tensor) {
        let at = self.gather.as_ref().map_or(at, |gather| gather[at]);
        self.reached[at] = true;
        self.sums[at] = Some(match self.sums[at].take() {
            Some(sum) => sum + contribution,
            None => contribution,
        });
    }

    /// Passes a node's cotangent on to its inputs.
    fn step(&mut self, at: usize) -> Result<()> {
        let node = &self.walk.nodes[at];
        let cotangent = self.sums[at].clone();
        if let (Op::Custom(custom), Some(cotangent)) = (node.op(), &cotangent) {
            return self.custom(custom, node, cotangent);
        }
        if let (Some(cotangent), false) = (&cotangent, node.op().bodies().is_empty()) {
            return self.inner(node, cotangent);
        }
        let walk = self.walk;
        on_behalf_of(node.origin(), || {
            for (k, input) in node.inputs().iter().enumerate() {
                let Some(to) = walk.find(input).filter(|&to| self.depends[to]) else { continue };
                let Some(cotangent) = &cotangent else {
                    self.reached[to] = true;
                    continue;
                };
                match node.op().derivative(node, k) {
                    Derivative::Linear(map) => self.add(to, map.adjoint(cotangent.clone())),
                    Derivative::Zero | Derivative::Custom | Derivative::Inner => self.reached[to] = true,
                    Derivative::Cut(_) => (),
                }
            }
        });
        Ok(())
    }

    fn custom(&mut self, custom: &Custom, node: &Tensor, cotangent: &Tensor) -> Result<()> {
        let inputs = &node.inputs()[1..];
        let contributions = on_behalf_of(node.origin(), || super::custom::apply_rule(custom, inputs, node, cotangent))?;
        for (input, contribution) in inputs.iter().zip(contributions) {
            let Some(to) = self.walk.find(input).filter(|&to| self.depends[to]) else { continue };
            if let Some(contribution) = contribution {
                contribution.check()?;
                on_behalf_of(node.origin(), || self.add(to, contribution));
            }
        }
        Ok(())
    }

    /// A node that runs bodies gives to all its inputs at once.
    fn inner(&mut self, node: &Tensor, cotangent: &Tensor) -> Result<()> {
        let to: Vec<Option<usize>> =
            node.inputs().iter().map(|input| self.walk.find(input).filter(|&to| self.depends[to] && input.dtype().is_float())).collect();
        let wanted: Vec<bool> = to.iter().map(Option::is_some).collect();
        let given = on_behalf_of(node.origin(), || super::control::cotangents(node, cotangent, &wanted))?;
        for (to, contribution) in to.into_iter().zip(given) {
            if let (Some(to), Some(contribution)) = (to, contribution) {
                contribution.check()?;
                on_behalf_of(node.origin(), || self.add(to, contribution));
            }
        }
        Ok(())
    }

    fn result(&self, x: &Tensor) -> Result<Arrived> {
        let Some(at) = self.walk.find(x) else { return Ok(Arrived::Nothing) };
        match &self.sums[at] {
            Some(sum) => sum.check().map(|()| Arrived::Cotangent(sum.clone())),
            None if self.reached[at] => Ok(Arrived::Zero),
            None => Ok(Arrived::Nothing),
        }
    }
}
