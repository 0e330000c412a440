//! Tensors as text: `{}` evaluates and shows the values, `{:?}` shows the node and evaluates nothing.
//!
//! The layout is NumPy's: nested brackets, columns aligned at the point, at most 8 decimals, no
//! more digits than tell a value from its neighbours in its element type, zeros at the end
//! dropped; scientific notation where the largest magnitude is 1000 times the smallest or either
//! is extreme; lines of at most 75 characters; above 1000 elements only the first and last three
//! along each axis. `{:.3}` gives exactly 3 decimals, never scientific. Not NumPy's: `true` and
//! `false`, and the shape after the brackets of an empty tensor.

use super::dtype::{DType, Element};
use super::shape::{flat_index, for_each_index};
use super::{Data, Tensor};
use crate::ops::Operation;
use std::fmt;

mod number;

/// How much of a tensor is shown, and on how many lines.
struct Layout {
    /// Above so many elements, the middle of long axes is left out.
    threshold: usize,
    /// The longest line; without one, everything stays on a single line.
    width: Option<usize>,
    /// Decimals of floats, if asked for.
    decimals: Option<usize>,
    /// The least width of a column.
    column: usize,
}

/// How many elements are shown at either end of an axis whose middle is left out.
const EDGE: usize = 3;

/// The values, evaluated if they are not yet; a mistake as `Tensor(error: ...)`.
///
/// ```
/// use chainrule_engine::Tensor;
/// let x = Tensor::from([[1.0, 2.5], [-0.25, 100.0]]);
/// assert_eq!(x.to_string(), "[[  1.     2.5 ]\n [ -0.25 100.  ]]");
/// assert_eq!(format!("{:.1}", x), "[[  1.0   2.5]\n [ -0.2 100.0]]");
/// assert_eq!(format!("loss {:.3}", x.sum()), "loss 103.250");
/// ```
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = match self.to_data() {
            Ok(data) => data,
            Err(error) => return write!(f, "Tensor(error: {error})"),
        };
        if self.rank() == 0 {
            return number::Number::at(&data, 0).fmt_alone(f);
        }
        let (decimals, column) = (f.precision(), f.width().unwrap_or(0));
        f.write_str(&Layout { threshold: 1000, width: Some(75), decimals, column }.text(self.shape(), &data))
    }
}

/// The node: element type, shape, operation, source line, scope, and the values if they are known.
///
/// ```
/// use chainrule_engine::Tensor;
/// let x = Tensor::from([1.0, 2.0]);
/// let y = (&x).exp();
/// assert!(format!("{y:?}").starts_with("Tensor(f32 [2] = exp at "));
/// assert!(format!("{y:?}").ends_with(", not evaluated)"));
/// assert!(format!("{x:?}").ends_with(": [1. 2.])"));
/// ```
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = self.error() {
            return write!(f, "Tensor(error: {error})");
        }
        write!(f, "Tensor({} {:?} = {} at {}", self.dtype(), self.shape(), self.op().name(), self.origin().place())?;
        if let Some(scope) = self.origin().scope() {
            write!(f, " in {scope}")?;
        }
        match self.value() {
            Some(data) => {
                let layout = Layout { threshold: 60, width: None, decimals: f.precision(), column: 0 };
                write!(f, ": {})", layout.text(self.shape(), data))
            }
            None => f.write_str(", not evaluated)"),
        }
    }
}

/// The part of an axis that is shown.
#[derive(Clone, Copy)]
struct Shown {
    /// The size of the axis.
    size: usize,
    /// How many of its items are shown.
    count: usize,
}

impl Shown {
    /// Whether the middle is left out.
    fn cut(self) -> bool {
        self.count < self.size
    }

    /// The index of a shown item.
    fn index(self, item: usize) -> usize {
        if item < EDGE { item } else { item + self.size - self.count }
    }
}

impl Layout {
    fn text(&self, shape: &[usize], data: &Data) -> String {
        if data.is_empty() {
            return if shape.len() == 1 { "[]".into() } else { format!("[] (shape {shape:?})") };
        }
        let summarise = data.len() > self.threshold;
        let show = |&size: &usize| Shown { size, count: if summarise { size.min(2 * EDGE) } else { size } };
        let axes: Vec<Shown> = shape.iter().map(show).collect();
        let counts: Vec<usize> = axes.iter().map(|axis| axis.count).collect();
        let mut numbers = Vec::new();
        for_each_index(&counts, |items| {
            let index: Vec<usize> = items.iter().zip(&axes).map(|(&item, axis)| axis.index(item)).collect();
            numbers.push(number::Number::at(data, flat_index(shape, &index)));
        });
        let cells = number::column(&numbers, self.decimals, self.column);
        match axes.split_last() {
            Some((last, outer)) => self.rows(outer, *last, &cells),
            None => cells.concat(),
        }
    }

    /// All rows with their brackets. Walks the rows in order instead of recursing over the axes,
    /// of which there may be any number.
    fn rows(&self, outer: &[Shown], last: Shown, cells: &[String]) -> String {
        let counts: Vec<usize> = outer.iter().map(|axis| axis.count).collect();
        let mut text = String::new();
        let mut rows = cells.chunks(last.count);
        for_each_index(&counts, |items| {
            // How many of the axes, from the innermost, begin and end with this row.
            let opened = items.iter().rev().take_while(|&&item| item == 0).count();
            let closed = items.iter().zip(&counts).rev().take_while(|&(&item, &count)| item + 1 == count).count();
            if self.width.is_some() && opened < outer.len() {
                text.push_str(&" ".repeat(outer.len() - opened));
            }
            text.push_str(&"[".repeat(opened + 1));
            self.row(&mut text, last, outer.len() + 1, rows.next().unwrap_or_default());
            text.push_str(&"]".repeat(closed + 1));
            let Some(next) = outer.len().checked_sub(closed + 1) else { return };
            let line_end = if self.width.is_some() { "\n".repeat(closed + 1) } else { " ".into() };
            text.push_str(&line_end);
            if outer[next].cut() && items[next] + 1 == EDGE {
                let indent = if self.width.is_some() { next + 1 } else { 0 };
                text.extend([&" ".repeat(indent), "...", &line_end]);
            }
        });
        text
    }

    /// The cells of one row, broken into lines where they exceed the width.
    fn row(&self, text: &mut String, last: Shown, indent: usize, cells: &[String]) {
        let widest = self.width.map_or(usize::MAX, |width| width.saturating_sub(indent));
        let mut used = indent;
        let mut add = |word: &str, first: bool| {
            let break_here = !first && used + 1 + word.len() > widest;
            if break_here {
                text.truncate(text.trim_end_matches(' ').len());
                text.push('\n');
                text.push_str(&" ".repeat(indent));
                used = indent;
            } else if !first {
                text.push(' ');
                used += 1;
            }
            text.push_str(word);
            used += word.len();
        };
        for (item, cell) in cells.iter().enumerate() {
            if last.cut() && item == EDGE {
                add("...", false);
            }
            add(cell, item == 0);
        }
    }
}
