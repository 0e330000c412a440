//! What can be wrong with an expression, and a picture that points at the place.

use std::fmt;
use std::ops::Range;

use super::functions::{CONSTANTS, Function, function_names, suggest_function};
use super::{DEEPEST_NESTING, LONGEST_SOURCE};
use crate::terminal::columns::columns;

/// How many characters of the source stand on each side of the place in a picture.
const SHOWN_AROUND: usize = 48;

/// An expression, or a list beside one, that cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpressionError {
    /// What is wrong.
    pub problem: ExpressionProblem,
    /// The bytes of the source that it is about; empty for a place between two characters.
    pub span: Range<usize>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ExpressionProblem {
    /// Nothing but blanks.
    Empty,
    /// More than [`LONGEST_SOURCE`] bytes.
    TooLong,
    /// Nested more than [`DEEPEST_NESTING`] deep.
    TooDeep,
    /// A character that means nothing here.
    UnknownCharacter {
        /// The character.
        character: char,
        /// What to write in its place, where that is known.
        instead: Option<&'static str>,
    },
    /// A number with two decimal points.
    TwoPoints,
    /// A number beyond the range of a 64-bit float.
    NumberTooLarge,
    /// Something else stands where a number, a name or a group must.
    OperandExpected,
    /// Two operands side by side.
    OperatorExpected,
    /// An `=` in an expression.
    Equals,
    /// A comma outside a function's parentheses.
    StrayComma,
    /// `()` where a value must be.
    EmptyGroup,
    /// The parenthesis at the span has no partner.
    NeverClosed,
    /// The closing parenthesis at the span has no partner.
    NeverOpened,
    /// A name before a parenthesis that is no function.
    UnknownFunction {
        /// The name.
        name: String,
        /// Whether it is a variable or a constant, so that `*` may have been forgotten.
        known: bool,
    },
    /// A function's name without its parentheses.
    FunctionWithoutCall(&'static Function),
    /// A function with another number of operands than it takes.
    WrongArity {
        /// Its name.
        function: &'static str,
        /// How many it takes.
        arity: usize,
        /// How many there are.
        found: usize,
    },
    /// A name is expected in a list.
    NameExpected,
    /// A name in a list that the expression lacks.
    UnknownVariable {
        /// The name.
        name: String,
        /// The variable that was probably meant.
        nearest: Option<String>,
        /// Whether it names a constant.
        constant: bool,
        /// The expression's variables.
        variables: Vec<String>,
    },
    /// An `=` is expected after a name.
    EqualsExpected,
    /// A number is expected after `=`.
    ValueExpected,
    /// A comma is expected between two entries.
    CommaExpected,
    /// A name stands twice in a list.
    RepeatedName(String),
    /// These variables have no value.
    MissingValues(Vec<String>),
    /// A list of names without a name.
    NoNames,
}

impl ExpressionError {
    pub(super) fn new(problem: ExpressionProblem, span: Range<usize>) -> ExpressionError {
        ExpressionError { problem, span }
    }

    /// The message, the source with the place marked under it, and what to do.
    ///
    /// `source` is the text that was being read: the expression or the list beside it. Only the
    /// line of the place is shown, and of a long line only the part around it.
    pub fn render(&self, source: &str) -> String {
        point_at(source, self.span.clone(), &self.to_string(), &self.problem.advice())
    }
}

/// A message, the part of `source` that it is about marked under it, and what to do.
///
/// As [`ExpressionError::render`], for what is found only when a readable expression is used.
pub fn point_at(source: &str, span: Range<usize>, message: &str, advice: &str) -> String {
    let (line, indent, marks, column) = {
        let start = character_start(source, span.start);
        let end = character_start(source, span.end).max(start);
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let before: Vec<char> = source[line_start..start].chars().collect();
        let marked = source[start..end.min(line_end)].chars().count();
        let after: Vec<char> = source[start..line_end].chars().collect();

        let cut_before = before.len().saturating_sub(SHOWN_AROUND);
        let shown_after = after.len().min(marked.min(SHOWN_AROUND) + SHOWN_AROUND);
        let mut line: String = if cut_before > 0 { "..." } else { "" }.to_string();
        line.extend(before[cut_before..].iter().map(|&c| printable(c)));
        let indent = columns(&line);
        line.extend(after[..shown_after].iter().map(|&c| printable(c)));
        line.push_str(if shown_after < after.len() { "..." } else { "" });

        let under: String = after.iter().take(marked.min(SHOWN_AROUND)).collect();
        let marks = "^".repeat(columns(&under).max(1));
        (line, " ".repeat(indent), marks, before.len() + 1)
    };
    format!("error: {message} (character {column})\n  |\n  | {line}\n  | {indent}{marks}\n  = {advice}\n")
}

/// The start of the character that the byte `at` lies in, or the end of a shorter text.
pub(super) fn character_start(source: &str, at: usize) -> usize {
    let mut start = at.min(source.len());
    while !source.is_char_boundary(start) {
        start -= 1;
    }
    start
}

/// Harmless on a terminal.
fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        control if control.is_control() => '?',
        other => other,
    }
}

impl std::error::Error for ExpressionError {}

impl fmt::Display for ExpressionError {
    /// The message alone, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ExpressionProblem::*;
        match &self.problem {
            Empty => f.write_str("the expression is empty"),
            TooLong => write!(f, "the text is longer than {LONGEST_SOURCE} bytes"),
            TooDeep => write!(f, "the expression is nested more than {DEEPEST_NESTING} deep"),
            UnknownCharacter { character, .. } => {
                write!(f, "the character {character:?} means nothing here")
            }
            TwoPoints => f.write_str("this number has two decimal points"),
            NumberTooLarge => f.write_str("this number is too large for a 64-bit float"),
            OperandExpected => f.write_str("a number, a name or a parenthesis is expected here"),
            OperatorExpected => f.write_str("an operator is expected here"),
            Equals => f.write_str("an expression has no ="),
            StrayComma => f.write_str("this comma is not between the operands of a function"),
            EmptyGroup => f.write_str("these parentheses are empty"),
            NeverClosed => f.write_str("this parenthesis is never closed"),
            NeverOpened => f.write_str("this parenthesis closes one that was never opened"),
            UnknownFunction { name, known: false } => write!(f, "there is no function {name:?}"),
            UnknownFunction { name, known: true } => write!(f, "{name:?} is not a function"),
            FunctionWithoutCall(function) => {
                write!(f, "{:?} is a function and needs parentheses", function.name)
            }
            WrongArity { function, arity, found } => {
                write!(f, "{function:?} takes {arity} {}, not {found}", if *arity == 1 { "operand" } else { "operands" })
            }
            NameExpected => f.write_str("the name of a variable is expected here"),
            UnknownVariable { name, .. } => write!(f, "the expression has no variable {name:?}"),
            EqualsExpected => f.write_str("an = is expected after the name"),
            ValueExpected => f.write_str("a number is expected here"),
            CommaExpected => f.write_str("a comma is expected here"),
            RepeatedName(name) => write!(f, "{name:?} is given twice"),
            MissingValues(names) => write!(f, "there is no value for {}", names.join(", ")),
            NoNames => f.write_str("the list of variables is empty"),
        }
    }
}

impl ExpressionProblem {
    /// What to do about it.
    fn advice(&self) -> String {
        use ExpressionProblem::*;
        match self {
            Empty => "write one, such as: (w*x + b - y)^2".into(),
            TooLong => "derive it in parts".into(),
            TooDeep => "remove parentheses that change nothing, or derive it in parts".into(),
            UnknownCharacter { instead, .. } => {
                let general = "an expression has numbers, names, + - * / ^ ( ) and commas";
                instead.unwrap_or(general).into()
            }
            TwoPoints => "remove one; groups of digits are written without points".into(),
            NumberTooLarge => "the largest is about 1.8e308".into(),
            OperandExpected => "write a value, or remove the operator before this place".into(),
            OperatorExpected => "write * to multiply: 2*x, not 2x or 2 x".into(),
            Equals => "write only the right side; values are given with --at name=number".into(),
            StrayComma => "write a decimal point as in 1.5, or remove the comma".into(),
            EmptyGroup => "write a value between them, or remove them".into(),
            NeverClosed => "add a ) where the group ends".into(),
            NeverOpened => "remove it, or add a ( where the group begins".into(),
            UnknownFunction { name, known: true } => {
                format!("to multiply, write {name}*(...); functions are {}", function_names())
            }
            UnknownFunction { name, .. } => match suggest_function(name) {
                Some(meant) => format!("did you mean {meant}? Functions are {}", function_names()),
                None => format!("functions are {}", function_names()),
            },
            FunctionWithoutCall(function) => {
                format!("write {} for the {}", function.usage(), function.doc)
            }
            WrongArity { function, .. } => match super::functions::find_function(function) {
                Some(function) => format!("write {}: {}", function.usage(), function.doc),
                None => String::new(),
            },
            NameExpected => "entries are separated by single commas, as in w=1,x=2 or w,b".into(),
            UnknownVariable { constant: true, name, .. } => {
                format!("{name} is a constant and keeps its value; rename your variable")
            }
            UnknownVariable { nearest, variables, .. } => unknown_variable(nearest, variables),
            EqualsExpected => "write name=number, as in w=1".into(),
            ValueExpected => {
                let names: Vec<&str> = CONSTANTS.iter().map(|constant| constant.name).collect();
                format!("write a number such as -0.5 or 1e-3, or {}", names.join(" or "))
            }
            CommaExpected => "separate entries by commas, as in w=1,x=2".into(),
            RepeatedName(_) => "remove one of the two".into(),
            MissingValues(names) => {
                let pairs: Vec<String> = names.iter().map(|name| format!("{name}=1")).collect();
                format!("add it, as in {}", pairs.join(","))
            }
            NoNames => "name the variables to derive by, as in w,b".into(),
        }
    }
}

fn unknown_variable(nearest: &Option<String>, variables: &[String]) -> String {
    let has = match variables {
        [] => "it has no variables".to_string(),
        names => format!("its variables are {}", names.join(", ")),
    };
    match nearest {
        Some(nearest) => format!("did you mean {nearest}? {has}"),
        None => has,
    }
}
