//! Columns of text, aligned.

use crate::terminal::columns::{blanks, columns, shortened};

/// Which side of a column its cells stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The left.
    Left,
    /// The right: numbers.
    Right,
}

/// Lines are at most this long; longer cells of the column that gives way are cut.
const WIDTH: usize = 100;
const GAP: usize = 2;

/// A table that is printed line by line.
#[derive(Debug)]
pub struct Table {
    sides: Vec<Side>,
    /// The column whose cells are cut where lines would be too long.
    gives_way: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of columns with these headings.
    pub fn new(columns: &[(&str, Side)], gives_way: usize) -> Table {
        Table {
            sides: columns.iter().map(|(_, side)| *side).collect(),
            gives_way,
            rows: vec![columns.iter().map(|(heading, _)| heading.to_string()).collect()],
        }
    }

    /// Adds a row; cells that are left out are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().map(|cell| one_line(&cell)).collect();
        cells.resize(self.sides.len(), String::new());
        self.rows.push(cells);
    }

    /// The table, each line indented by two blanks.
    pub fn draw(&self) -> String {
        let mut widths: Vec<usize> =
            (0..self.sides.len()).map(|column| self.rows.iter().map(|row| columns(&row[column])).max().unwrap_or(0)).collect();
        let taken: usize = widths.iter().map(|width| width + GAP).sum();
        let heading = columns(&self.rows[0][self.gives_way]);
        let over = taken.saturating_sub(WIDTH);
        let width = &mut widths[self.gives_way];
        *width = width.saturating_sub(over).max(heading.max(12)).min(*width);

        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, side), &width) in row.iter().zip(&self.sides).zip(&widths) {
                let cell = shortened(cell, width);
                let blanks = blanks(&cell, width);
                line.push_str(&" ".repeat(GAP));
                match side {
                    Side::Left => line.extend([cell, blanks]),
                    Side::Right => line.extend([blanks, cell]),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A number in at most six significant digits, as short as that allows.
pub fn six_digits(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string().to_lowercase();
    }
    if value == 0.0 {
        return "0".into();
    }
    // Rounding first decides the exponent: 999999.7 is 1e6.
    let text = format!("{value:.5e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let short = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    };
    match exponent {
        -4..=5 => short(&format!("{value:.*}", (5 - exponent) as usize)),
        _ => format!("{}e{exponent}", short(digits)),
    }
}

/// An expression may have been written over several lines.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What C's `%.6g` prints.
    #[test]
    fn numbers_have_six_digits() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.0820849986, "0.082085"),
            (123456.7, "123457"),
            (999999.7, "1e6"),
            (1e-4, "0.0001"),
            (0.000099999999, "0.0001"),
            (0.00009876543, "9.87654e-5"),
            (1.23456789e-7, "1.23457e-7"),
            (-1e300, "-1e300"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (value, text) in cases {
            assert_eq!(six_digits(value), text);
        }
        for exponent in -30..30 {
            let value = 1.23456789 * 10f64.powi(exponent);
            let read: f64 = six_digits(value).parse().unwrap();
            assert!((read / value - 1.0).abs() < 5e-6);
        }
    }

    #[test]
    fn columns_are_aligned_and_lines_kept_short() {
        let columns = [("name", Side::Left), ("value", Side::Right), ("text", Side::Left)];
        let mut table = Table::new(&columns, 2);
        table.row(["a".into(), "1".into(), "x".repeat(300)]);
        table.row(["long name".into(), "-12.5".into(), "a\n  b".into()]);
        table.row(["short".into()]);
        let text = table.draw();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        let expected = ["  name       value  text", "  a              1  xxxxx", "  long name  -12.5  a b", "  short"];
        for (line, start) in text.lines().zip(expected) {
            assert!(line.starts_with(start), "{text}");
        }
    }
}
