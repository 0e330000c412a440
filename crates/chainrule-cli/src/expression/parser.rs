//! Builds the list of nodes from the tokens by operator precedence.
//!
//! From loose to tight: `+ -`, `* /`, the sign `-`, `^`. Powers group to the right, everything else
//! to the left: `-x^2` is `-(x^2)`, `2^3^2` is `2^9`, `2^-x` is allowed. The parser calls itself
//! only for parentheses, signs, powers and calls, at most [`DEEPEST_NESTING`] deep.

use std::collections::HashMap;
use std::ops::Range;

use super::error::{ExpressionError, ExpressionProblem as Problem, character_start};
use super::functions::{find_constant, find_function};
use super::lexer::{Token, TokenKind, tokens};
use super::{BinaryOperator, DEEPEST_NESTING, Expression, LONGEST_SOURCE, Node, NodeIndex, NodeKind};

/// Reads one expression.
///
/// # Errors
/// The error knows the place; [`ExpressionError::render`] shows it under the source.
pub fn parse(source: &str) -> Result<Expression, ExpressionError> {
    if source.len() > LONGEST_SOURCE {
        let end = character_start(source, LONGEST_SOURCE);
        return Err(ExpressionError::new(Problem::TooLong, end..end));
    }
    let mut parser = Parser {
        source,
        tokens: tokens(source)?,
        at: 0,
        depth: 0,
        open: Vec::new(),
        nodes: Vec::new(),
        variables: Vec::new(),
        known: HashMap::new(),
    };
    if parser.peek().kind == TokenKind::End {
        return Err(ExpressionError::new(Problem::Empty, 0..0));
    }
    let whole = parser.expression(0)?;
    let next = parser.peek().clone();
    match next.kind {
        TokenKind::End => Ok(Expression { source: source.to_string(), root: whole.node, nodes: parser.nodes, variables: parser.variables }),
        TokenKind::Close => Err(ExpressionError::new(Problem::NeverOpened, next.span)),
        TokenKind::Comma => Err(ExpressionError::new(Problem::StrayComma, next.span)),
        _ => Err(parser.operator_expected()),
    }
}

/// A node with the bytes that it takes, parentheses around it included.
struct Operand {
    node: NodeIndex,
    outer: Range<usize>,
}

struct Parser<'a> {
    source: &'a str,
    /// Ends in [`TokenKind::End`], which is never stepped over.
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// The parentheses that are open here.
    open: Vec<Range<usize>>,
    nodes: Vec<Node>,
    variables: Vec<String>,
    known: HashMap<&'a str, usize>,
}

/// How tightly the sign binds its operand.
const SIGN_STRENGTH: u8 = 3;

/// An operator, how tightly it binds, and how tightly what stands right of it must.
fn binary_operator(kind: TokenKind) -> Option<(BinaryOperator, u8, u8)> {
    Some(match kind {
        TokenKind::Plus => (BinaryOperator::Add, 1, 2),
        TokenKind::Minus => (BinaryOperator::Subtract, 1, 2),
        TokenKind::Star => (BinaryOperator::Multiply, 2, 3),
        TokenKind::Slash => (BinaryOperator::Divide, 2, 3),
        TokenKind::Power => (BinaryOperator::Power, 4, 4),
        _ => return None,
    })
}

impl<'a> Parser<'a> {
    /// Reads operands joined by operators that bind at least as tightly as `least`.
    fn expression(&mut self, least: u8) -> Result<Operand, ExpressionError> {
        if self.depth == DEEPEST_NESTING {
            let span = self.peek().span.clone();
            return Err(ExpressionError::new(Problem::TooDeep, span));
        }
        self.depth += 1;
        let mut left = self.operand()?;
        while let Some((operator, strength, right)) = binary_operator(self.peek().kind) {
            if strength < least {
                break;
            }
            self.step();
            let right = self.expression(right)?;
            let kind = NodeKind::Binary(operator, left.node, right.node);
            left = self.add(kind, left.outer.start..right.outer.end);
        }
        self.depth -= 1;
        Ok(left)
    }

    /// Reads a number, a name, a call, a sign with its operand, or a group.
    fn operand(&mut self) -> Result<Operand, ExpressionError> {
        let token = self.peek().clone();
        match token.kind {
            TokenKind::Number(value) => {
                self.step();
                Ok(self.add(NodeKind::Number(value), token.span))
            }
            TokenKind::Name => {
                self.step();
                self.name(token.span)
            }
            TokenKind::Minus => {
                self.step();
                let operand = self.expression(SIGN_STRENGTH)?;
                let span = token.span.start..operand.outer.end;
                Ok(self.add(NodeKind::Negate(operand.node), span))
            }
            TokenKind::Plus => {
                // A plus sign changes nothing and makes no node.
                self.step();
                let operand = self.expression(SIGN_STRENGTH)?;
                let outer = token.span.start..operand.outer.end;
                Ok(Operand { outer, ..operand })
            }
            TokenKind::Open => {
                self.step();
                self.open.push(token.span.clone());
                let inside = self.expression(0)?;
                let end = self.close(token.span.clone())?;
                Ok(Operand { outer: token.span.start..end, ..inside })
            }
            TokenKind::Close => Err(self.unexpected_close(token.span)),
            TokenKind::End => Err(match self.open.last() {
                Some(open) => ExpressionError::new(Problem::NeverClosed, open.clone()),
                None => ExpressionError::new(Problem::OperandExpected, token.span),
            }),
            _ => Err(ExpressionError::new(Problem::OperandExpected, token.span)),
        }
    }

    /// Reads what a name stands for; the name itself has been stepped over.
    fn name(&mut self, span: Range<usize>) -> Result<Operand, ExpressionError> {
        let name = &self.source[span.clone()];
        let called = self.peek().kind == TokenKind::Open;
        match (find_function(name), find_constant(name)) {
            (Some(function), _) if called => {
                let operands = self.call_operands(function.arity, function.name, &span)?;
                let end = self.tokens[self.at - 1].span.end;
                Ok(self.add(NodeKind::Call(function, operands), span.start..end))
            }
            (Some(function), _) => Err(ExpressionError::new(Problem::FunctionWithoutCall(function), span)),
            (None, constant) if called => {
                let known = constant.is_some() || self.known.contains_key(name);
                let name = name.to_string();
                Err(ExpressionError::new(Problem::UnknownFunction { name, known }, span))
            }
            (None, Some(constant)) => Ok(self.add(NodeKind::Constant(constant), span)),
            (None, None) => {
                let variable = self.variable(name);
                Ok(self.add(NodeKind::Variable(variable), span))
            }
        }
    }

    /// Reads `(a, b)` with exactly `arity` operands.
    fn call_operands(&mut self, arity: usize, function: &'static str, name: &Range<usize>) -> Result<Vec<NodeIndex>, ExpressionError> {
        let open = self.step().span;
        self.open.push(open.clone());
        let mut operands = Vec::new();
        if self.peek().kind != TokenKind::Close {
            operands.push(self.expression(0)?.node);
            while self.peek().kind == TokenKind::Comma {
                self.step();
                operands.push(self.expression(0)?.node);
            }
        }
        let end = self.close(open)?;
        match operands.len() {
            found if found == arity => Ok(operands),
            found => {
                let problem = Problem::WrongArity { function, arity, found };
                Err(ExpressionError::new(problem, name.start..end))
            }
        }
    }

    /// Steps over the parenthesis that closes the one at `open`, and returns where it ends.
    fn close(&mut self, open: Range<usize>) -> Result<usize, ExpressionError> {
        let token = self.peek().clone();
        match token.kind {
            TokenKind::Close => {
                self.open.pop();
                Ok(self.step().span.end)
            }
            TokenKind::End => Err(ExpressionError::new(Problem::NeverClosed, open)),
            // A call takes commas itself, so this is a group such as `(a, b)`.
            TokenKind::Comma => Err(ExpressionError::new(Problem::StrayComma, token.span)),
            _ => Err(self.operator_expected()),
        }
    }

    fn unexpected_close(&self, span: Range<usize>) -> ExpressionError {
        match self.open.last() {
            None => ExpressionError::new(Problem::NeverOpened, span),
            Some(open) if open.end == self.tokens[self.at - 1].span.end => ExpressionError::new(Problem::EmptyGroup, open.start..span.end),
            Some(_) => ExpressionError::new(Problem::OperandExpected, span),
        }
    }

    /// Two operands stand side by side, or a `=` follows one.
    fn operator_expected(&self) -> ExpressionError {
        let token = self.peek();
        let problem = match token.kind {
            TokenKind::Equals => Problem::Equals,
            _ => Problem::OperatorExpected,
        };
        ExpressionError::new(problem, token.span.clone())
    }

    /// The index of a variable, which is a new one at its first appearance.
    fn variable(&mut self, name: &'a str) -> usize {
        *self.known.entry(name).or_insert_with(|| {
            self.variables.push(name.to_string());
            self.variables.len() - 1
        })
    }

    fn add(&mut self, kind: NodeKind, span: Range<usize>) -> Operand {
        self.nodes.push(Node { kind, span: span.clone() });
        Operand { node: self.nodes.len() - 1, outer: span }
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.at]
    }

    /// Returns the token and steps over it, but never over the end.
    fn step(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }
}
