//! Cuts an expression into tokens with the bytes that they span.

use std::ops::Range;

use super::error::{ExpressionError, ExpressionProblem};

/// A piece of the source.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A finite number.
    Number(f64),
    /// A name; its text is the span's.
    Name,
    Plus,
    Minus,
    Star,
    Slash,
    Power,
    Open,
    Close,
    Comma,
    Equals,
    /// The end of the source; the span is empty.
    End,
}

/// What to write instead of a character that people try.
const INSTEAD: &[(&[char], &str)] = &[
    (&['×', '·', '⋅', '∙', '∗', '•'], "write * to multiply"),
    (&['÷', '∕', '⁄'], "write / to divide"),
    (&['−', '–', '—'], "write the minus sign of the keyboard, -"),
    (&['²', '³', '¹', '⁰', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'], "write ^2 for a square, ^3 for a cube"),
    (&['√'], "write sqrt(x)"),
    (&['π'], "write pi"),
    (&['[', ']', '{', '}', '（', '）'], "group with parentheses, ( and )"),
    (&['|'], "write abs(x) for the absolute value"),
    (&['%'], "write x/100 for a percentage"),
    (&['!'], "there is no factorial; write the product out"),
    (&['<', '>', '?', ':', '&'], "there are no conditions; use max, min, abs or relu"),
    (&['.'], "write a digit beside the point, as in 0.5"),
    (&[';'], "write one expression only; operands are separated by commas"),
    (&['"', '\'', '`', '“', '”', '‘', '’'], "leave the quote out"),
    (&['$', '#', '@', '\\', '~'], "names consist of letters, digits and _"),
];

/// Cuts the whole source; the last token is [`TokenKind::End`].
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, ExpressionError> {
    let mut tokens = Vec::new();
    let mut rest = source;
    loop {
        rest = rest.trim_start();
        let start = source.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            let span = start..start;
            tokens.push(Token { kind: TokenKind::End, span });
            return Ok(tokens);
        };
        let (kind, length) = match first {
            '0'..='9' => number(rest, start)?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest, start)?,
            _ if first.is_alphabetic() && first != 'π' || first == '_' => (TokenKind::Name, name_length(rest)),
            _ => symbol(rest, first, start)?,
        };
        let span = start..start + length;
        tokens.push(Token { kind, span });
        rest = &rest[length..];
    }
}

fn symbol(rest: &str, first: char, start: usize) -> Result<(TokenKind, usize), ExpressionError> {
    Ok(match first {
        '+' => (TokenKind::Plus, 1),
        '-' => (TokenKind::Minus, 1),
        '*' if rest.starts_with("**") => (TokenKind::Power, 2),
        '*' => (TokenKind::Star, 1),
        '/' => (TokenKind::Slash, 1),
        '^' => (TokenKind::Power, 1),
        '(' => (TokenKind::Open, 1),
        ')' => (TokenKind::Close, 1),
        ',' => (TokenKind::Comma, 1),
        '=' => (TokenKind::Equals, 1),
        _ => {
            let instead = INSTEAD.iter().find(|(characters, _)| characters.contains(&first));
            let problem = ExpressionProblem::UnknownCharacter { character: first, instead: instead.map(|(_, advice)| *advice) };
            return Err(ExpressionError::new(problem, start..start + first.len_utf8()));
        }
    })
}

fn name_length(rest: &str) -> usize {
    // Superscripts are numeric for Unicode, but mean a power here.
    let ends = |c: char| !(c == '_' || c.is_alphabetic() || c.is_ascii_digit()) || c == 'π';
    rest.find(ends).unwrap_or(rest.len())
}

/// Reads `1`, `1.`, `.5`, `1.5`, each with or without an exponent such as `e-3`.
fn number(rest: &str, start: usize) -> Result<(TokenKind, usize), ExpressionError> {
    let digits = |from: usize| {
        let digits = rest.as_bytes()[from..].iter().take_while(|byte| byte.is_ascii_digit());
        from + digits.count()
    };
    let mut length = digits(0);
    if rest[length..].starts_with('.') {
        length = digits(length + 1);
    }
    if rest[length..].starts_with(['e', 'E']) {
        let signed = usize::from(rest[length + 1..].starts_with(['+', '-']));
        let end = digits(length + 1 + signed);
        // Without digits the letter is the start of a name.
        if end > length + 1 + signed {
            length = end;
        }
    }
    let span = start..start + length;
    if rest[length..].starts_with('.') {
        let end = digits(length + 1);
        return Err(ExpressionError::new(ExpressionProblem::TwoPoints, start..start + end));
    }
    match rest[..length].parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((TokenKind::Number(value), length)),
        _ => Err(ExpressionError::new(ExpressionProblem::NumberTooLarge, span)),
    }
}
