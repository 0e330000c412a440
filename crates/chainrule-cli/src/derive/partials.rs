//! Partial derivatives of any order, and their checks.
//!
//! A derivative of order n is the gradient of one of order n - 1, recorded by the same reverse
//! mode, and is checked against differences of that one. All places that the differences need are
//! elements of one tensor, so an order takes one evaluation however many variables there are.

use chainrule::{Result, Tensor};

use super::differences::{self, Check, PLACES};
use super::graph::Graph;
use super::passes::list;

/// A partial derivative with its check.
#[derive(Clone, Debug)]
pub struct Partial {
    /// The variables that it is taken by, in order.
    pub by: Vec<usize>,
    /// Its value and what the differences say.
    pub check: Check,
}

/// How many partial derivatives there are of orders 1 to `order`; nothing beyond all counting.
pub fn count(variables: usize, order: usize) -> Option<usize> {
    // As many as ways to choose n of m with repetition: (m + n - 1)! / (n! (m - 1)!).
    let mut of_order = 1usize;
    let mut all = 0usize;
    for n in 1..=order {
        of_order = of_order.checked_mul(variables.checked_add(n - 1)?)? / n;
        all = all.checked_add(of_order)?;
    }
    Some(all)
}

/// All partial derivatives by `wrt` of orders 1 to `order`, at the values `at` of the variables.
///
/// Orders of differentiation that differ only in their sequence are taken once. `magnitude` is the
/// largest number of the forward pass.
///
/// # Errors
/// A mistake that the engine finds.
pub fn compute(graph: &Graph, at: &[f64], wrt: &[usize], order: usize, magnitude: f64) -> Result<Vec<Vec<Partial>>> {
    let variables = at_all_places(at, wrt);
    let mut quantities = vec![(Vec::new(), graph.record(&variables).output().clone())];
    let mut orders = Vec::with_capacity(order);
    for _ in 0..order {
        let (partials, next) = one_order(&quantities, &variables, at, wrt, magnitude)?;
        orders.push(partials);
        quantities = next;
    }
    Ok(orders)
}

/// Each variable at every place: the places around the first of `wrt`, then the second, and so on,
/// with all others held.
fn at_all_places(at: &[f64], wrt: &[usize]) -> Vec<Tensor> {
    let mut columns = vec![Vec::with_capacity(wrt.len() * PLACES); at.len()];
    for &moved in wrt {
        let places = differences::places(at[moved]);
        for (variable, column) in columns.iter_mut().enumerate() {
            match variable == moved {
                true => column.extend(&places),
                false => column.extend(std::iter::repeat_n(at[variable], places.len())),
            }
        }
    }
    columns.iter().map(|column| list(column)).collect()
}

type Quantity = (Vec<usize>, Tensor);

fn one_order(
    quantities: &[Quantity],
    variables: &[Tensor],
    at: &[f64],
    wrt: &[usize],
    magnitude: f64,
) -> Result<(Vec<Partial>, Vec<Quantity>)> {
    let mut next: Vec<Quantity> = Vec::new();
    let mut sources: Vec<usize> = Vec::new();
    for (source, (by, quantity)) in quantities.iter().enumerate() {
        // Only later variables, or the last one again: d/dx d/dw is d/dw d/dx.
        let from = by.last().map_or(0, |last| wrt.iter().position(|x| x == last).unwrap_or(0));
        let further = &wrt[from..];
        let moved: Vec<&Tensor> = further.iter().map(|&variable| &variables[variable]).collect();
        // Elements do not depend on one another, so the gradient of their sum holds the
        // derivative of each. What no longer depends on a variable has derivative zero.
        let gradients = quantity.sum().grad_or_zeros(&moved)?;
        for (&variable, gradient) in further.iter().zip(gradients) {
            next.push((by.iter().copied().chain([variable]).collect(), gradient));
            sources.push(source);
        }
    }
    let all: Vec<&Tensor> = quantities.iter().chain(&next).map(|(_, tensor)| tensor).collect();
    Tensor::eval_all(&all)?;
    let values = |(_, tensor): &Quantity| tensor.to_vec::<f64>();
    let known = quantities.iter().map(values).collect::<Result<Vec<_>>>()?;
    let mut partials = Vec::with_capacity(next.len());
    for (quantity, source) in next.iter().zip(sources) {
        let by = quantity.0.clone();
        let Some(&variable) = by.last() else { continue };
        let block = wrt.iter().position(|&x| x == variable).unwrap_or(0) * PLACES;
        // The last place of each block is the point itself.
        let derivative = values(quantity)?[block + PLACES - 1];
        let around = &known[source][block..block + PLACES];
        let magnitude = magnitude.max(around[PLACES - 1].abs());
        let check = differences::check(derivative, at[variable], around, magnitude);
        partials.push(Partial { by, check });
    }
    Ok((partials, next))
}

/// The largest number of the forward pass.
pub fn magnitude(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::parse;

    /// x^3 y^2 has the derivative 3!/(3-a)! x^(3-a) 2!/(2-b)! y^(2-b), taken a times by x and b by y.
    #[test]
    fn a_monomials_derivatives_are_known() {
        let graph = Graph::new(parse("x^3*y^2").unwrap());
        let (x, y) = (1.5f64, -0.5f64);
        let orders = compute(&graph, &[x, y], &[0, 1], 4, 1.0).unwrap();
        let falling = |n: usize, k: usize| (0..k).map(|i| n as f64 - i as f64).product::<f64>();
        let power = |base: f64, n: usize, k: usize| {
            if k > n { 0.0 } else { base.powi((n - k) as i32) }
        };
        for (order, partials) in orders.iter().enumerate() {
            assert_eq!(partials.len(), order + 2);
            for partial in partials {
                let a = partial.by.iter().filter(|&&variable| variable == 0).count();
                let b = partial.by.len() - a;
                let known = falling(3, a) * power(x, 3, a) * falling(2, b) * power(y, 2, b);
                let found = partial.check.derivative;
                assert!((found - known).abs() < 1e-12, "{:?}: {found}, not {known}", partial.by);
                assert!(partial.check.verdict.is_good(), "{partial:?}");
            }
        }
    }

    #[test]
    fn the_count_is_what_is_computed() {
        let graph = Graph::new(parse("sin(a*b)*exp(c)").unwrap());
        for order in 1..=3 {
            for wrt in [&[2][..], &[1, 0], &[0, 1, 2]] {
                let orders = compute(&graph, &[0.3, 0.4, 0.5], wrt, order, 1.0).unwrap();
                let all: usize = orders.iter().map(Vec::len).sum();
                assert_eq!(count(wrt.len(), order), Some(all));
                let checked = |partial: &Partial| partial.check.verdict.is_good();
                assert!(orders.iter().flatten().all(checked), "{orders:?}");
            }
        }
        assert_eq!(count(usize::MAX, 4), None);
    }
}
