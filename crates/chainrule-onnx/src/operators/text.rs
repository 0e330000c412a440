//! Tensors of strings: what is done to them happens while recording, and has no derivative.
//!
//! Refuses locales and regular expressions: case is changed as Unicode has it.

use crate::error::{Error, Result};
use crate::record::call::{Call, entries, size};
use crate::record::{Texts, Value};
use chainrule::Tensor;
use chainrule::tensor::shape::{broadcast_shapes, checked_product};

type Outcome = Result<Vec<Value>>;

/// Words that are stopped are left out, and the case of the others is changed.
pub fn normalize(call: &Call) -> Outcome {
    let x = call.texts_of(0)?;
    let (rows, count) = match x.shape() {
        [count] => (None, *count),
        [1, count] => (Some(1), *count),
        shape => return Err(Error::operator(format!("strings of shape {shape:?}; takes [c] or [1, c]"))),
    };
    let change: fn(&str) -> String = match call.text_or("case_change_action", "NONE")?.as_str() {
        "LOWER" => str::to_lowercase,
        "UPPER" => str::to_uppercase,
        "NONE" => str::to_string,
        other => return Err(Error::operator(format!("attribute 'case_change_action' is '{other}'; it may be LOWER, UPPER or NONE"))),
    };
    let same_case = call.integer_or("is_case_sensitive", 0)? != 0;
    let seen = |text: &str| if same_case { text.to_string() } else { text.to_lowercase() };
    let stopped: Vec<String> = call.texts("stopwords")?.unwrap_or_default().iter().map(|text| seen(text)).collect();
    let mut kept: Vec<String> = x.texts()[..count].iter().filter(|text| !stopped.contains(&seen(text))).map(|text| change(text)).collect();
    if kept.is_empty() {
        kept.push(String::new());
    }
    let shape = rows.into_iter().chain([kept.len()]).collect();
    Ok(vec![Texts::new(kept, shape)?.into()])
}

/// Which strings are the same, with NumPy's broadcasting.
pub fn equal(call: &Call) -> Outcome {
    let (pairs, shape) = pairs(call)?;
    let same: Vec<bool> = pairs.iter().map(|[a, b]| a == b).collect();
    Ok(vec![Tensor::from_slice(&same, shape).into()])
}

/// Each string of one followed by that of the other, with NumPy's broadcasting.
pub fn concat(call: &Call) -> Outcome {
    let (pairs, shape) = pairs(call)?;
    Ok(vec![Texts::new(pairs.iter().map(|pair| pair.concat()).collect(), shape)?.into()])
}

/// The strings of both inputs, side by side, and their common shape.
fn pairs<'c>(call: &'c Call) -> Result<(Vec<[&'c str; 2]>, Vec<usize>)> {
    let (a, b) = (call.texts_of(0)?, call.texts_of(1)?);
    let unlike = |_| Error::operator(format!("strings of shapes {:?} and {:?} do not broadcast", a.shape(), b.shape()));
    let shape = broadcast_shapes(a.shape(), b.shape()).map_err(unlike)?.to_vec();
    let count = entries(checked_product(&shape).unwrap_or(usize::MAX), "strings")?;
    Ok(((0..count).map(|at| [a, b].map(|one| one.repeated(&shape, at))).collect(), shape))
}

/// Each string in parts along a new last axis, as many as the string with most has; and how many there are.
pub fn split(call: &Call) -> Outcome {
    let x = call.texts_of(0)?;
    let most = call.integer("maxsplit")?.map(|most| size(most, "maxsplit")).transpose()?;
    let delimiter = call.text_or("delimiter", "")?;
    let all: Vec<Vec<&str>> = x.texts().iter().map(|text| parts(text, &delimiter, most)).collect();
    let width = all.iter().map(Vec::len).max().unwrap_or(0);
    entries(all.len().saturating_mul(width), "strings")?;
    let padded = all.iter().flat_map(|parts| (0..width).map(|at| parts.get(at).copied().unwrap_or("").to_string())).collect();
    let counts: Vec<i64> = all.iter().map(|parts| parts.len() as i64).collect();
    Ok(vec![Texts::new(padded, [x.shape(), &[width]].concat())?.into(), Tensor::from_slice(&counts, x.shape()).into()])
}

/// As Python's `split`: between delimiters, or without one between runs of white space, none of which is left at the ends.
fn parts<'t>(text: &'t str, delimiter: &str, most: Option<usize>) -> Vec<&'t str> {
    let limit = most.map_or(usize::MAX, |most| most.saturating_add(1));
    match (delimiter, text) {
        ("", _) => {
            let (mut rest, mut found) = (text.trim_start(), Vec::new());
            while !rest.is_empty() {
                let end = if found.len() + 1 == limit { rest.len() } else { rest.find(char::is_whitespace).unwrap_or(rest.len()) };
                found.push(&rest[..end]);
                rest = rest[end..].trim_start();
            }
            found
        }
        (_, "") => Vec::new(),
        _ => text.splitn(limit, delimiter).collect(),
    }
}
