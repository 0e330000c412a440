//! Reads an expression such as `log(1 + exp(-y*(w*x + b)))` into a flat list of nodes.
//!
//! The list holds children before parents, so everything that follows walks it in a loop. Numbers,
//! names, `+ - * / ^` (also `**`), parentheses and the functions of `FUNCTIONS` are read; there
//! is no implied multiplication and no assignment. This folder evaluates nothing and differentiates
//! nothing: that is the engine's work.

mod bindings;
mod error;
mod functions;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use bindings::{parse_bindings, parse_names};
pub use error::{ExpressionError, ExpressionProblem, point_at};
#[cfg(test)]
pub use functions::{CONSTANTS, FUNCTIONS};
pub use functions::{Constant, Function, help};
pub use parser::parse;

/// The longest text that is read, in bytes.
pub const LONGEST_SOURCE: usize = 4096;
/// How deep parentheses, signs, powers and calls may be nested.
pub const DEEPEST_NESTING: usize = 200;

/// An index into [`Expression::nodes`].
pub type NodeIndex = usize;

/// An expression as a flat list of nodes, children before parents.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// The text that was read; every span points into it.
    pub source: String,
    /// All nodes; a node's operands come before it.
    pub nodes: Vec<Node>,
    /// The node of the whole expression: the last one.
    pub root: NodeIndex,
    variables: Vec<String>,
}

/// One number, name, operation or call.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What the node is.
    pub kind: NodeKind,
    /// The bytes of the source that it spans, without parentheses around it.
    pub span: Range<usize>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// A number written out; finite.
    Number(f64),
    /// A named number.
    Constant(&'static Constant),
    /// A variable: an index into [`Expression::variables`].
    Variable(usize),
    /// The operand with its sign turned.
    Negate(NodeIndex),
    /// Two operands, left and right.
    Binary(BinaryOperator, NodeIndex, NodeIndex),
    /// A function and its operands, as many as its arity.
    Call(&'static Function, Vec<NodeIndex>),
}

/// The operators between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOperator {
    /// `a + b`
    Add,
    /// `a - b`
    Subtract,
    /// `a * b`
    Multiply,
    /// `a / b`
    Divide,
    /// `a ^ b` or `a ** b`
    Power,
}

impl Expression {
    /// The names of the variables in order of first appearance.
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// The source text of a node: its name for people. Empty where there is no such node.
    pub fn text(&self, node: NodeIndex) -> &str {
        let span = self.nodes.get(node).map(|node| node.span.clone());
        span.and_then(|span| self.source.get(span)).unwrap_or("")
    }
}

impl NodeKind {
    /// The nodes that this one is computed from, in order.
    pub fn operands(&self) -> Vec<NodeIndex> {
        match self {
            NodeKind::Number(_) | NodeKind::Constant(_) | NodeKind::Variable(_) => Vec::new(),
            NodeKind::Negate(operand) => vec![*operand],
            NodeKind::Binary(_, left, right) => vec![*left, *right],
            NodeKind::Call(_, operands) => operands.clone(),
        }
    }
}
