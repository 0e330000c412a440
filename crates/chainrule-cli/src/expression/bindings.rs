//! Reads what stands beside an expression: values for its variables (`w=1,x=-0.5,y=pi`) and lists
//! of them (`w,b`).

use std::ops::Range;

use chainrule::spelling::nearest;

use super::error::{ExpressionError, ExpressionProblem as Problem, character_start};
use super::functions::find_constant;
use super::lexer::{Token, TokenKind, tokens};
use super::{Expression, LONGEST_SOURCE};

/// Reads `name=number` pairs, separated by commas, into one value for each variable of the
/// expression, in the order of [`Expression::variables`].
///
/// A value is a number or a constant such as `pi`, with or without a sign.
///
/// # Errors
/// A name that the expression lacks, a name without a value or with two, a variable without a
/// name here: the error points into `source`.
pub fn parse_bindings(source: &str, expression: &Expression) -> Result<Vec<f64>, ExpressionError> {
    let mut list = List::new(source)?;
    let mut values: Vec<Option<f64>> = vec![None; expression.variables().len()];
    while let Some((variable, span)) = list.variable(expression)? {
        let value = list.value()?;
        if values[variable].replace(value).is_some() {
            return Err(repeated(expression, variable, span));
        }
        list.separator()?;
    }
    let missing: Vec<String> =
        (0..values.len()).filter(|&variable| values[variable].is_none()).map(|variable| expression.variables()[variable].clone()).collect();
    if !missing.is_empty() {
        let end = source.trim_end().len();
        return Err(ExpressionError::new(Problem::MissingValues(missing), end..end));
    }
    Ok(values.into_iter().flatten().collect())
}

/// Reads names of variables, separated by commas, into indices of [`Expression::variables`].
///
/// # Errors
/// A name that the expression lacks, or one given twice: the error points into `source`.
pub fn parse_names(source: &str, expression: &Expression) -> Result<Vec<usize>, ExpressionError> {
    let mut list = List::new(source)?;
    let mut names = Vec::new();
    while let Some((variable, span)) = list.variable(expression)? {
        if names.contains(&variable) {
            return Err(repeated(expression, variable, span));
        }
        names.push(variable);
        list.separator()?;
    }
    match names.is_empty() {
        true => Err(ExpressionError::new(Problem::NoNames, 0..0)),
        false => Ok(names),
    }
}

fn repeated(expression: &Expression, variable: usize, span: Range<usize>) -> ExpressionError {
    let name = expression.variables()[variable].clone();
    ExpressionError::new(Problem::RepeatedName(name), span)
}

struct List<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

impl<'a> List<'a> {
    fn new(source: &'a str) -> Result<List<'a>, ExpressionError> {
        if source.len() > LONGEST_SOURCE {
            let end = character_start(source, LONGEST_SOURCE);
            return Err(ExpressionError::new(Problem::TooLong, end..end));
        }
        let tokens = tokens(source)?;
        Ok(List { source, tokens, at: 0 })
    }

    /// The next name as a variable of the expression, or nothing at the end.
    fn variable(&mut self, expression: &Expression) -> Result<Option<(usize, Range<usize>)>, ExpressionError> {
        let token = self.step();
        if token.kind == TokenKind::End {
            return Ok(None);
        }
        if token.kind != TokenKind::Name {
            return Err(ExpressionError::new(Problem::NameExpected, token.span));
        }
        let name = &self.source[token.span.clone()];
        let variables = expression.variables();
        match variables.iter().position(|variable| variable == name) {
            Some(variable) => Ok(Some((variable, token.span))),
            None => {
                let problem = Problem::UnknownVariable {
                    name: name.to_string(),
                    nearest: nearest(name, variables.iter().map(String::as_str)).map(str::to_string),
                    constant: find_constant(name).is_some(),
                    variables: variables.to_vec(),
                };
                Err(ExpressionError::new(problem, token.span))
            }
        }
    }

    /// Reads `=` and the value after it.
    fn value(&mut self) -> Result<f64, ExpressionError> {
        let equals = self.step();
        if equals.kind != TokenKind::Equals {
            return Err(ExpressionError::new(Problem::EqualsExpected, equals.span));
        }
        let first = self.step();
        let (sign, token) = match first.kind {
            TokenKind::Minus => (-1.0, self.step()),
            TokenKind::Plus => (1.0, self.step()),
            _ => (1.0, first),
        };
        let constant = find_constant(&self.source[token.span.clone()]);
        match (token.kind, constant) {
            (TokenKind::Number(value), _) => Ok(sign * value),
            (TokenKind::Name, Some(constant)) => Ok(sign * constant.value),
            _ => Err(ExpressionError::new(Problem::ValueExpected, token.span)),
        }
    }

    /// Reads the comma before a further entry, or nothing at the end.
    fn separator(&mut self) -> Result<(), ExpressionError> {
        let token = self.step();
        match token.kind {
            TokenKind::End => Ok(()),
            TokenKind::Comma if self.tokens[self.at].kind != TokenKind::End => Ok(()),
            TokenKind::Comma => {
                let end = self.tokens[self.at].span.clone();
                Err(ExpressionError::new(Problem::NameExpected, end))
            }
            _ => Err(ExpressionError::new(Problem::CommaExpected, token.span)),
        }
    }

    /// Returns the token and steps over it, but never over the end.
    fn step(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }
}
