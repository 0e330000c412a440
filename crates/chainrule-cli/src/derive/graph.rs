//! An expression as a graph with names: which row of the tables each node is, and the tensors that
//! compute it.
//!
//! A variable is one node however often it is written, so its gradient gathers from all its uses.
//! What holds no variable is a constant and takes no row of its own.

use chainrule::Tensor;

use super::rules;
use crate::expression::{Expression, NodeIndex, NodeKind};

/// The rows of the tables: the variables, then the operations from the innermost to the last.
#[derive(Debug)]
pub struct Graph {
    /// What the graph was made of.
    pub expression: Expression,
    /// Every row; the operands of a row come before it.
    pub rows: Vec<Row>,
    /// The row of the whole expression; nothing where it holds no variable.
    pub output: Option<usize>,
    /// What the output is called in derivatives such as `dL/dw`.
    pub output_name: String,
}

/// A variable or an operation.
#[derive(Debug)]
pub struct Row {
    /// A variable's own name, or `v4` for an operation.
    pub name: String,
    /// Its node in the expression; of a variable, the first.
    pub node: NodeIndex,
    /// What it is computed from; empty for a variable.
    pub operands: Vec<Operand>,
    /// The number of the variable, if it is one.
    pub variable: Option<usize>,
}

/// What a row is computed from.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Its node in the expression.
    pub node: NodeIndex,
    /// Its row; nothing for a constant.
    pub row: Option<usize>,
    /// Its name, or the constant as it is written.
    pub name: String,
}

/// The tensors of a graph for certain inputs.
#[derive(Debug)]
pub struct Recorded {
    /// One for each node of the expression.
    pub nodes: Vec<Tensor>,
}

impl Recorded {
    /// The tensor of the whole expression.
    pub fn output(&self) -> &Tensor {
        &self.nodes[self.nodes.len() - 1]
    }
}

impl Graph {
    /// Names every node.
    pub fn new(expression: Expression) -> Graph {
        let prefix = unused(&expression, &["v", "n", "node", "step"], true);
        let output_name = unused(&expression, &["L", "f", "out", "result"], false);
        let mut rows: Vec<Row> = Vec::new();
        // A variable takes the row of its number.
        for (number, name) in expression.variables().iter().enumerate() {
            let first = |node: &&crate::expression::Node| node.kind == NodeKind::Variable(number);
            rows.push(Row {
                name: name.clone(),
                node: expression.nodes.iter().position(|node| first(&node)).unwrap_or(0),
                operands: Vec::new(),
                variable: Some(number),
            });
        }
        let mut row_of: Vec<Option<usize>> = Vec::with_capacity(expression.nodes.len());
        for (index, node) in expression.nodes.iter().enumerate() {
            if let NodeKind::Variable(number) = node.kind {
                row_of.push(Some(number));
                continue;
            }
            let operands = node.kind.operands();
            if operands.iter().all(|&operand| row_of[operand].is_none()) {
                row_of.push(None);
                continue;
            }
            let named = |&node: &NodeIndex| Operand {
                node,
                row: row_of[node],
                name: match row_of[node] {
                    Some(row) => rows[row].name.clone(),
                    None => constant_name(&expression, node),
                },
            };
            let operands = operands.iter().map(named).collect();
            let number = rows.len() + 1 - expression.variables().len();
            row_of.push(Some(rows.len()));
            rows.push(Row { name: format!("{prefix}{number}"), node: index, operands, variable: None });
        }
        Graph { output: row_of[expression.root], expression, rows, output_name }
    }

    /// Records the whole expression on one tensor for each variable, all of one shape.
    ///
    /// A list of scalars gives one value; tensors of a longer shape give the expression at many
    /// places at once.
    pub fn record(&self, variables: &[Tensor]) -> Recorded {
        let shape = variables.first().map_or(&[][..], |first| first.shape());
        let mut nodes: Vec<Tensor> = Vec::with_capacity(self.expression.nodes.len());
        for node in &self.expression.nodes {
            let tensor = match &node.kind {
                NodeKind::Number(value) => rules::constant(*value, shape),
                NodeKind::Constant(constant) => rules::constant(constant.value, shape),
                NodeKind::Variable(number) => variables[*number].clone(),
                kind => {
                    let operands: Vec<Tensor> = kind.operands().iter().map(|&operand| nodes[operand].clone()).collect();
                    // The parser knows no function that has no rule; a test holds it to that.
                    rules::record(rules::name(kind), &operands).unwrap_or_else(|| rules::constant(f64::NAN, shape))
                }
            };
            nodes.push(tensor);
        }
        Recorded { nodes }
    }

    /// The kind of a row's node.
    pub fn kind(&self, row: &Row) -> &NodeKind {
        &self.expression.nodes[row.node].kind
    }
}

/// A constant as it stands in formulas: in parentheses where it is more than a number or a call.
fn constant_name(expression: &Expression, node: NodeIndex) -> String {
    let text = expression.text(node);
    match expression.nodes[node].kind {
        NodeKind::Negate(_) | NodeKind::Binary(..) => format!("({text})"),
        _ => text.to_string(),
    }
}

/// The first name that no variable has; if it is to be a prefix, that none has before digits.
fn unused(expression: &Expression, names: &[&str], prefix: bool) -> String {
    let taken = |name: &str| {
        expression.variables().iter().any(|variable| match variable.strip_prefix(name) {
            Some("") => !prefix,
            Some(rest) => prefix && rest.bytes().all(|byte| byte.is_ascii_digit()),
            None => false,
        })
    };
    let free = names.iter().find(|name| !taken(name)).map(|name| name.to_string());
    free.unwrap_or_else(|| {
        let mut name = names.last().map_or("_", |name| name).to_string();
        while taken(&name) {
            name.push('_');
        }
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::parse;

    fn graph(source: &str) -> Graph {
        Graph::new(parse(source).unwrap())
    }

    #[test]
    fn a_variable_is_one_row_and_a_constant_none() {
        let graph = graph("x*x + 2*pi");
        let names: Vec<&str> = graph.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["x", "v1", "v2"]);
        assert_eq!(graph.output, Some(2));
        let operands: Vec<&str> = graph.rows[2].operands.iter().map(|operand| operand.name.as_str()).collect();
        assert_eq!(operands, ["v1", "(2*pi)"]);
        assert_eq!(super::Graph::new(parse("1 + 2").unwrap()).output, None);
    }

    #[test]
    fn made_up_names_are_never_a_variables() {
        let names = |source| {
            let graph = graph(source);
            (graph.rows[graph.rows.len() - 1].name.clone(), graph.output_name)
        };
        assert_eq!(names("v + L"), ("v1".into(), "f".into()));
        assert_eq!(names("v1 + f"), ("n1".into(), "L".into()));
        let all = names("v1 + n2 + node3 + step4 + L + f + out + result");
        assert_eq!(all, ("step_7".into(), "result_".into()));
    }
}
