//! Products of any number of tensors by labels, as NumPy's `einsum`, and the order in which they are taken.
//!
//! A formula is read once (`formula`), and every error in it points at a character. Labels that stand twice in an operand
//! take its diagonal, labels that stand nowhere else are summed first, and what is left is a chain of products of two, each
//! the library's one product, in an order found by the sizes alone (`path`).

mod formula;
mod path;

use super::attempt::{Attempt, alike, attempt, sound};
use crate::ops::Einsum;
use crate::ops::contract::Labels;
use crate::tensor::{Error, Result, Shape, Tensor};
use formula::Formula;
pub use path::{ContractionOrder, ContractionPath};

/// The product of tensors by labels, summed over those that are not in the result: `einsum("ij,jk,kl->il", &[..])`.
///
/// A label that stands twice in one operand is its diagonal. `...` stands for any number of leading axes, which broadcast.
/// Without `->` the result has the labels that stand once, in alphabetical order. An axis of size 1 goes with any size. The
/// order of the products is chosen by their cost, see [`ContractionOrder::Auto`].
///
/// ```
/// use chainrule_engine::{Tensor, functions::einsum};
/// let (a, b, c) = (Tensor::ones([2, 3]), Tensor::ones([3, 4]), Tensor::ones([4, 2]));
/// assert_eq!(einsum("ij,jk,kl->il", &[&a, &b, &c]).shape(), [2, 2]);
/// assert_eq!(einsum("ii", &[&Tensor::ones([3, 3])]).item()?, 3.0);
/// let mistake = einsum("ij,j?->i", &[&a, &b]).eval().unwrap_err().to_string();
/// assert!(mistake.contains("character 5"), "{mistake}");
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn einsum(labels: &str, operands: &[&Tensor]) -> Tensor {
    attempt(|| contracted(labels, operands, ContractionOrder::Auto))
}

/// As [`einsum`], in an order of the caller's choice.
#[track_caller]
pub fn einsum_in(labels: &str, operands: &[&Tensor], order: ContractionOrder) -> Tensor {
    attempt(|| contracted(labels, operands, order))
}

/// The order in which [`einsum`] would take the products of tensors of these shapes, and what it would cost.
///
/// ```
/// use chainrule_engine::functions::{ContractionOrder, einsum_path};
/// let shapes: [&[usize]; 3] = [&[10, 100], &[100, 5], &[5, 50]];
/// let path = einsum_path("ij,jk,kl->il", &shapes, ContractionOrder::Optimal)?;
/// assert_eq!(path.pairs, [(0, 1), (0, 1)]);
/// assert_eq!(path.flops, 2.0 * (10.0 * 100.0 * 5.0 + 10.0 * 5.0 * 50.0));
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
///
/// # Errors
/// If the formula makes no sense, or does not fit the shapes.
pub fn einsum_path(labels: &str, shapes: &[&[usize]], order: ContractionOrder) -> Result<ContractionPath> {
    let formula = Formula::read(labels, shapes)?;
    Ok(path::find(&formula, order))
}

fn contracted(labels: &str, operands: &[&Tensor], order: ContractionOrder) -> Attempt {
    sound(operands)?;
    let shapes: Vec<&[usize]> = operands.iter().map(|operand| operand.shape()).collect();
    let formula = Formula::read(labels, &shapes).map_err(Tensor::poison)?;
    operands.iter().skip(1).try_for_each(|other| alike("einsum", operands[0], other))?;
    let mut list: Vec<Term> = operands.iter().zip(&formula.operands).map(|(x, labels)| Term::new(x, labels, &formula.sizes)).collect();
    for (i, j) in path::find(&formula, order).pairs {
        let (b, a) = (list.remove(i.max(j)), list.remove(i.min(j)));
        let needed = |label: u8| formula.out.contains(&label) || list.iter().any(|term| term.labels.contains(&label));
        // The last product has its axes in the order of the result.
        let out = list.is_empty().then_some(&formula.out[..]);
        let product = a.times(b, &needed, out);
        list.push(product);
    }
    // A formula has a term, however empty.
    Ok(list.remove(0).finished(&formula.out))
}

/// An operand whose axes have different labels.
struct Term {
    x: Tensor,
    labels: Labels,
}

impl Term {
    /// Takes diagonals, and drops axes of size 1 that go with a larger size.
    fn new(x: &Tensor, labels: &[u8], sizes: &[usize]) -> Term {
        let mut term = Term { x: x.clone(), labels: labels.into() };
        let wide = |term: &Term, axis: usize| term.x.shape()[axis] == 1 && sizes[term.labels[axis] as usize] != 1;
        while let Some(axis) = (0..term.labels.len()).find(|&axis| wide(&term, axis)) {
            term.x = term.x.squeeze(axis as isize);
            term.labels.remove(axis);
        }
        while let Some((first, second)) = twice(&term.labels) {
            let label = term.labels[first];
            term.x = term.x.diagonal(0, first as isize, second as isize);
            term.labels.remove(second);
            term.labels.remove(first);
            term.labels.push(label);
        }
        term
    }

    /// Sums the axes whose labels are not wanted any more.
    fn without(mut self, wanted: impl Fn(u8) -> bool) -> Term {
        let lonely: Vec<isize> = (0..self.labels.len()).filter(|&axis| !wanted(self.labels[axis])).map(|axis| axis as isize).collect();
        if !lonely.is_empty() {
            self.x = self.x.sum_over(&lonely);
            self.labels.retain(|label| wanted(*label));
        }
        self
    }

    fn times(self, other: Term, needed: &impl Fn(u8) -> bool, out: Option<&[u8]>) -> Term {
        let (own, others) = (self.labels.clone(), other.labels.clone());
        let a = self.without(|label| needed(label) || others.contains(&label));
        let b = other.without(|label| needed(label) || own.contains(&label));
        let mut labels: Labels = a.labels.iter().copied().filter(|&label| needed(label)).collect();
        labels.extend(b.labels.iter().copied().filter(|&label| needed(label) && !a.labels.contains(&label)));
        if let Some(out) = out.filter(|out| out.len() == labels.len()) {
            labels = out.into();
        }
        let product = Einsum::of(a.labels, b.labels, labels.clone()).in_scope();
        Term { x: Tensor::record(product, [a.x, b.x]), labels }
    }

    /// The axes of the result, in its order.
    fn finished(self, out: &[u8]) -> Tensor {
        let term = self.without(|label| out.contains(&label));
        if term.x.error().is_some() {
            return term.x;
        }
        let order: Shape = out.iter().filter_map(|label| term.labels.iter().position(|own| own == label)).collect();
        term.x.permute(&order[..])
    }
}

/// The first two axes with the same label.
fn twice(labels: &[u8]) -> Option<(usize, usize)> {
    (0..labels.len())
        .find_map(|first| (first + 1..labels.len()).find(|&second| labels[first] == labels[second]).map(|second| (first, second)))
}

/// An error of a formula, at a character of it.
fn at_character(text: &str, at: usize, message: impl std::fmt::Display) -> Error {
    let shown = text.chars().nth(at).map_or("the end".to_string(), |c| format!("'{c}'"));
    Error::new(crate::tensor::ErrorKind::Argument, "einsum", format!("\"{text}\", character {} ({shown}): {message}", at + 1))
}
