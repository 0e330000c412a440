//! Single numbers as text: the fewest digits that tell a value from its neighbours, in columns.

use super::{DType, Data, Element};
use half::{bf16, f16};
use std::fmt;

/// The most decimals shown unless another number is asked for.
const DECIMALS: usize = 8;

/// One element.
#[derive(Clone, Copy)]
pub enum Number {
    /// Of a float type.
    Float(f64, DType),
    /// Of an integer type.
    Integer(i64),
    /// Of type bool.
    Bool(bool),
}

impl Number {
    /// Element number `position`.
    pub fn at(data: &Data, position: usize) -> Number {
        let (dtype, width) = (data.dtype(), data.dtype().bytes());
        let bytes = &data.bytes()[position * width..(position + 1) * width];
        match dtype {
            DType::F32 => Number::Float(f32::read(bytes)[0] as f64, dtype),
            DType::F64 => Number::Float(f64::read(bytes)[0], dtype),
            DType::BF16 => Number::Float(bf16::read(bytes)[0].to_f64(), dtype),
            DType::F16 => Number::Float(f16::read(bytes)[0].to_f64(), dtype),
            DType::I64 => Number::Integer(i64::read(bytes)[0]),
            DType::I32 => Number::Integer(i32::read(bytes)[0] as i64),
            DType::U8 => Number::Integer(bytes[0] as i64),
            DType::Bool => Number::Bool(bytes[0] != 0),
        }
    }

    /// As a scalar is shown: `2.5`, `1.0`, `1e-05`, with the flags of the format, such as `{:8.3}`.
    pub fn fmt_alone(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, dtype) = match self {
            Number::Integer(value) => return fmt::Display::fmt(&value, f),
            Number::Bool(value) => return write!(f, "{value:>width$}", width = f.width().unwrap_or(0)),
            Number::Float(value, dtype) => (value, dtype),
        };
        if value.is_finite() && f.precision().is_some() {
            return fmt::Display::fmt(&value, f);
        }
        let digits = Digits::of(value, dtype);
        let text = match &digits {
            None => not_finite(value),
            Some(digits) if value != 0.0 && !(-4..16).contains(&digits.exponent) => {
                format!("{}{}", digits.mantissa(value).trim_end_matches('.'), digits.power(2))
            }
            Some(digits) => {
                let text = digits.positional(value, usize::MAX);
                if text.ends_with('.') { text + "0" } else { text }
            }
        };
        write!(f, "{text:>width$}", width = f.width().unwrap_or(0))
    }
}

/// The elements of a tensor as texts of one width, at least `least`.
pub fn column(numbers: &[Number], decimals: Option<usize>, least: usize) -> Vec<String> {
    let mut texts: Vec<String> = match (decimals, scientific(numbers)) {
        (Some(decimals), _) => numbers.iter().map(|number| number.with(|value, _| format!("{value:.decimals$}"))).collect(),
        (None, true) => aligned_powers(numbers),
        (None, false) => {
            let texts: Vec<String> = numbers.iter().map(|number| number.with(|value, digits| digits.positional(value, DECIMALS))).collect();
            let after_point = |text: &String| text.find('.').map_or(0, |point| text.len() - point);
            let most = texts.iter().map(after_point).max().unwrap_or(0);
            let pad = |text: String| match after_point(&text) {
                0 => text,
                own => text + &" ".repeat(most - own),
            };
            texts.into_iter().map(pad).collect()
        }
    };
    let width = texts.iter().map(String::len).max().unwrap_or(0).max(least);
    texts.iter_mut().for_each(|text| *text = " ".repeat(width - text.len()) + text);
    texts
}

/// Whether floats are so far apart, or so extreme, that positions mislead.
fn scientific(numbers: &[Number]) -> bool {
    let (mut largest, mut smallest, mut element) = (0.0f64, f64::INFINITY, DType::F64);
    for number in numbers {
        if let Number::Float(value, dtype) = *number
            && value.is_finite()
            && value != 0.0
        {
            largest = largest.max(value.abs());
            smallest = smallest.min(value.abs());
            element = dtype;
        }
    }
    let limit = match element {
        DType::F64 => 1e8,
        DType::F32 => 1e6,
        _ => 1e3,
    };
    // Compared as elements, so that an f32 written as 0.0001 is not below 0.0001.
    let apart = || smallest < element.round(1e-4) || element.round(largest / smallest) > 1000.0;
    largest != 0.0 && (largest >= limit || apart())
}

/// Floats in scientific notation, all with the decimals that the longest of them needs.
fn aligned_powers(numbers: &[Number]) -> Vec<String> {
    let (mut decimals, mut power) = (0, 2);
    for number in numbers {
        number.with(|value, digits| {
            let digits = digits.rounded(value);
            decimals = decimals.max(digits.digits.len() - 1);
            power = power.max(digits.power(2).len() - 2);
            String::new()
        });
    }
    let text = |value: f64, _: &Digits| {
        let text = format!("{value:.decimals$e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let point = if decimals == 0 { "." } else { "" };
        format!("{mantissa}{point}{}", written_power(exponent.parse().unwrap_or(0), power))
    };
    numbers.iter().map(|number| number.with(text)).collect()
}

/// An exponent such as `e-05`, with at least `width` digits.
fn written_power(exponent: i32, width: usize) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("e{sign}{:0width$}", exponent.unsigned_abs())
}

impl Number {
    /// The text of a finite float by `text`, of everything else as it always is.
    fn with(self, text: impl FnOnce(f64, &Digits) -> String) -> String {
        match self {
            Number::Float(value, dtype) => Digits::of(value, dtype).map_or_else(|| not_finite(value), |digits| text(value, &digits)),
            Number::Integer(value) => value.to_string(),
            Number::Bool(value) => value.to_string(),
        }
    }
}

fn not_finite(value: f64) -> String {
    match value {
        f64::INFINITY => "inf".into(),
        f64::NEG_INFINITY => "-inf".into(),
        _ => "nan".into(),
    }
}

/// The fewest decimal digits that name a float among all floats of its type: `d.ddd * 10^exponent`.
struct Digits {
    digits: String,
    exponent: i32,
}

impl Digits {
    /// Of a finite float.
    fn of(value: f64, dtype: DType) -> Option<Digits> {
        if !value.is_finite() {
            return None;
        }
        // Half types have no printing of their own: they need 5 digits at the most.
        let short = |same: &dyn Fn(f64) -> bool| {
            (0..5)
                .map(|decimals| format!("{value:.decimals$e}"))
                .find(|text| text.parse().is_ok_and(same))
                .unwrap_or_else(|| format!("{value:e}"))
        };
        let text = match dtype {
            DType::F32 => format!("{:e}", value as f32),
            DType::BF16 => short(&|read| bf16::from_f64(read).to_f64() == value),
            DType::F16 => short(&|read| f16::from_f64(read).to_f64() == value),
            _ => format!("{value:e}"),
        };
        Digits::read(&text)
    }

    /// From Rust's own scientific notation, such as `-1.25e-3`.
    fn read(text: &str) -> Option<Digits> {
        let (mantissa, exponent) = text.split_once('e')?;
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let kept = digits.trim_end_matches('0').len().max(1);
        Some(Digits { digits: digits[..kept].into(), exponent: exponent.parse().ok()? })
    }

    /// Without an exponent, with a point, and no more than `most` decimals: `12.5`, `3.`, `-0.001`.
    fn positional(&self, value: f64, most: usize) -> String {
        let decimals = (self.digits.len() as i32 - 1 - self.exponent).max(0) as usize;
        let text = if decimals > most {
            // Too many: rounded anew from the value itself, not from digits rounded before.
            format!("{value:.most$}").trim_end_matches('0').to_string()
        } else {
            let (head, zeros) = match self.exponent {
                below @ ..0 => (0, (-1 - below) as usize),
                exponent => (exponent as usize + 1, 0),
            };
            let whole: String = self.digits.chars().chain(std::iter::repeat('0')).take(head).collect();
            let fraction = self.digits.get(head..).unwrap_or_default();
            let sign = if value.is_sign_negative() { "-" } else { "" };
            let fraction = if value == 0.0 { String::new() } else { "0".repeat(zeros) + fraction };
            format!("{sign}{}.{fraction}", if head == 0 { "0" } else { &whole })
        };
        if text.contains('.') { text } else { text + "." }
    }

    /// Those with at most [`DECIMALS`] after the first, rounded from the value itself.
    fn rounded(&self, value: f64) -> Digits {
        let rounded = if self.digits.len() > DECIMALS + 1 { Digits::read(&format!("{value:.DECIMALS$e}")) } else { None };
        rounded.unwrap_or_else(|| Digits { digits: self.digits.clone(), exponent: self.exponent })
    }

    /// One digit, a point, and the others: `1.25`, `-3.`.
    fn mantissa(&self, value: f64) -> String {
        let sign = if value.is_sign_negative() { "-" } else { "" };
        format!("{sign}{}.{}", &self.digits[..1], &self.digits[1..])
    }

    /// The exponent, with at least `width` digits.
    fn power(&self, width: usize) -> String {
        written_power(self.exponent, width)
    }
}
