//! The numbers of both passes: values forward, gradients backward, and the check of each step.
//!
//! Every number comes from the engine. The gradient that reaches a node is reverse mode through
//! the whole graph; what the node hands on is reverse mode through that node alone, recorded anew
//! on the values of its operands, so that nothing but the one operation lies between.

use chainrule::transform::vjp;
use chainrule::{Result, Tensor};

use super::differences::{self, Check};
use super::graph::Graph;
use super::rules;

/// The numbers of one expression at one place.
#[derive(Debug)]
pub struct Passes {
    /// The value of each node of the expression.
    pub values: Vec<f64>,
    /// The gradient that reaches each row.
    pub incoming: Vec<f64>,
    /// What each row hands on to each of its operands; nothing to a constant.
    pub edges: Vec<Vec<Option<Edge>>>,
}

/// What a row hands on to one of its operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The derivative of the operation by this operand.
    pub local: f64,
    /// The incoming gradient times the local derivative.
    pub outgoing: f64,
    /// The local derivative beside the differences of the operation's values.
    pub check: Check,
}

impl Passes {
    /// Computes the values alone, in the order of the expression's nodes.
    ///
    /// # Errors
    /// A mistake that the engine finds.
    pub fn forward(graph: &Graph, at: &[f64]) -> Result<Vec<f64>> {
        numbers(&graph.record(&leaves(at)).nodes)
    }

    /// Computes all numbers at the values `at` of the variables.
    ///
    /// # Errors
    /// A mistake that the engine finds.
    pub fn compute(graph: &Graph, at: &[f64]) -> Result<Passes> {
        let recorded = graph.record(&leaves(at));
        let values = numbers(&recorded.nodes)?;
        let nodes: Vec<&Tensor> = graph.rows.iter().map(|row| &recorded.nodes[row.node]).collect();
        // A variable's tensor is one leaf, wherever it is written.
        let incoming = numbers(&recorded.output().grad(&nodes)?)?;
        let mut edges = Vec::with_capacity(graph.rows.len());
        for (row, &incoming) in graph.rows.iter().zip(&incoming) {
            let operands: Vec<f64> = row.operands.iter().map(|operand| values[operand.node]).collect();
            let wanted: Vec<bool> = row.operands.iter().map(|operand| operand.row.is_some()).collect();
            edges.push(handed_on(rules::name(graph.kind(row)), &operands, &wanted, incoming)?);
        }
        Ok(Passes { values, incoming, edges })
    }
}

/// The local derivative of one operation by each wanted operand, and its product with `incoming`.
fn handed_on(name: &str, operands: &[f64], wanted: &[bool], incoming: f64) -> Result<Vec<Option<Edge>>> {
    let alone = leaves(operands);
    let Some(output) = rules::record(name, &alone) else {
        return Ok(Vec::new());
    };
    let by: Vec<&Tensor> = alone.iter().zip(wanted).filter(|(_, wanted)| **wanted).map(|(x, _)| x).collect();
    let incoming = leaves(&[incoming]).swap_remove(0);
    let local = vjp(&[&output], &[&output.ones_like()], &by)?;
    let outgoing = vjp(&[&output], &[&incoming], &by)?;
    let moved: Vec<usize> = (0..operands.len()).filter(|&place| wanted[place]).collect();
    let around: Vec<Tensor> = moved.iter().filter_map(|&place| around(name, operands, place)).collect();
    Tensor::eval_all(&local.iter().chain(&outgoing).chain(&around).chain([&output]).collect::<Vec<_>>())?;
    let magnitude = operands.iter().copied().chain([output.item()?]).fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let mut edges = vec![None; operands.len()];
    for (at, place) in moved.into_iter().enumerate() {
        let local = local[at].item()?;
        let check = differences::check(local, operands[place], &around[at].to_vec::<f64>()?, magnitude);
        edges[place] = Some(Edge { local, outgoing: outgoing[at].item()?, check });
    }
    Ok(edges)
}

/// The operation at the places around one of its operands, all others held.
fn around(name: &str, operands: &[f64], moved: usize) -> Option<Tensor> {
    let places = differences::places(operands[moved]);
    let held = |value: f64| rules::constant(value, &[places.len()]);
    let all: Vec<Tensor> =
        operands.iter().enumerate().map(|(place, &value)| if place == moved { list(&places) } else { held(value) }).collect();
    rules::record(name, &all)
}

/// One scalar for each number.
pub fn leaves(values: &[f64]) -> Vec<Tensor> {
    values.iter().map(|&value| Tensor::from_slice(&[value], [])).collect()
}

/// The values of scalars, computed as one program.
pub fn numbers(tensors: &[Tensor]) -> Result<Vec<f64>> {
    Tensor::eval_all(&tensors.iter().collect::<Vec<_>>())?;
    tensors.iter().map(Tensor::item).collect()
}

/// A tensor with one element for each number.
pub fn list(values: &[f64]) -> Tensor {
    Tensor::from_slice(values, [values.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::parse;

    /// What is handed on to a node adds up to the gradient that reaches it.
    #[test]
    fn contributions_add_up() {
        let sources = [
            ("log(1 + exp(-y*(w*x + b)))", 4),
            ("x*x*x + x^y - sin(x)/y", 2),
            ("max(x, y)*min(x, y) + abs(x - 2*y)*relu(x)", 2),
            ("pow(tanh(x) + 2, y) - erf(x*y)*sqrt(x) + tan(y)", 2),
        ];
        for (source, count) in sources {
            let graph = Graph::new(parse(source).unwrap());
            let at: Vec<f64> = (0..count).map(|i| 0.4 + 0.3 * i as f64).collect();
            let passes = Passes::compute(&graph, &at).unwrap();
            let mut sums = vec![0.0; graph.rows.len()];
            for (row, edges) in graph.rows.iter().zip(&passes.edges) {
                for (operand, edge) in row.operands.iter().zip(edges) {
                    match (operand.row, edge) {
                        (Some(to), Some(edge)) => sums[to] += edge.outgoing,
                        (None, None) => {}
                        _ => panic!("{source}: an edge too many or too few"),
                    }
                }
            }
            sums[graph.output.unwrap()] = 1.0;
            for (row, (sum, incoming)) in sums.iter().zip(&passes.incoming).enumerate() {
                let name = &graph.rows[row].name;
                assert!((sum - incoming).abs() < 1e-14, "{source} {name}: {sum} {incoming}");
            }
        }
    }
}
