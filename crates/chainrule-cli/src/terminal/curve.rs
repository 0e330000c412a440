//! Draws a curve, such as the loss over the steps of a training, with axes and labels.
//!
//! It draws one curve; it refuses no value: what is not finite is left out and counted below.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use super::{clipped, format_number};

/// A curve and how it is to be drawn.
#[derive(Clone, Debug)]
pub struct Curve<'a> {
    /// What the values are, such as `loss`.
    pub title: &'a str,
    /// What one value is taken at, such as `step`; the first value is number 1.
    pub unit: &'a str,
    /// The values in order.
    pub values: &'a [f64],
    /// Characters from the left edge of the labels to the right edge; 24 to 400 are used.
    pub width: usize,
    /// Lines of the drawing area, without axis and notes; 3 to 100 are used.
    pub height: usize,
    /// How values are spread over the height.
    pub scale: Scale,
    /// Which characters are used.
    pub style: Style,
}

/// How values are spread over the height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "the program leaves the choice to the values"))]
pub enum Scale {
    /// Logarithmic where all values are positive and the largest is more than 100 times the
    /// smallest, else linear.
    #[default]
    Detect,
    /// Equal steps are equal differences.
    Linear,
    /// Equal steps are equal factors; linear where a value is zero or negative.
    Logarithmic,
}

/// Which characters a curve is drawn with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Braille patterns: two dots across and four down in each character.
    #[default]
    Braille,
    /// Stars and letters only.
    Ascii,
}

impl Style {
    /// Dots across and down in one character.
    fn dots(self) -> (usize, usize) {
        match self {
            Style::Braille => (2, 4),
            Style::Ascii => (1, 1),
        }
    }

    /// The characters of the axes: vertical, labelled vertical, horizontal, corner.
    fn axes(self) -> [char; 4] {
        match self {
            Style::Braille => ['│', '┤', '─', '└'],
            Style::Ascii => ['|', '+', '-', '+'],
        }
    }
}

impl Curve<'_> {
    /// The picture: title, drawing with labels, axis, and notes on what is not shown.
    pub fn draw(&self) -> String {
        let finite = || self.values.iter().copied().filter(|value| value.is_finite());
        let low = finite().fold(f64::INFINITY, f64::min);
        let high = finite().fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return format!("{}: {}\n", self.title, self.nothing_to_draw());
        }
        let height = self.height.clamp(3, 100);
        let axis = Axis::new(self.scale, low, high);
        let labels = axis.labels(height);
        let margin = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        let columns = self.width.clamp(24, 400).saturating_sub(margin + 2).max(8);
        let canvas = self.dots(&axis, columns, height);

        let [vertical, labelled, ..] = self.style.axes();
        let mut text = format!("{}{}\n", self.title, axis.name());
        for (line, label) in labels.iter().enumerate() {
            let mark = if label.is_empty() { vertical } else { labelled };
            let cells = canvas.line(line, self.style);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{label:>margin$} {mark}{}", cells.trim_end());
        }
        text + &self.foot(margin, columns)
    }

    fn nothing_to_draw(&self) -> String {
        match self.values.len() {
            0 => "no value was recorded, so there is nothing to draw".into(),
            1 => "its only value is not finite, so there is nothing to draw".into(),
            count => format!("none of the {count} values is finite, so there is nothing to draw"),
        }
    }

    /// The horizontal axis, its labels, and a note on values that are not finite.
    fn foot(&self, margin: usize, columns: usize) -> String {
        let [.., horizontal, corner] = self.style.axes();
        let line: String = std::iter::repeat_n(horizontal, columns).collect();
        let (first, last) = (format!("{} 1", self.unit), self.values.len().to_string());
        let gap = columns.saturating_sub(first.chars().count() + last.len());
        let numbers = match self.values.len() {
            1 => first,
            _ => format!("{first}{}{last}", " ".repeat(gap.max(1))),
        };
        let indent = " ".repeat(margin + 1);
        let mut text = format!("{indent}{corner}{line}\n{indent} {numbers}\n");
        let faulty = |value: &&f64| !value.is_finite();
        let count = self.values.iter().filter(faulty).count();
        if let Some(place) = self.values.iter().position(|value| !value.is_finite()) {
            let _ = writeln!(
                text,
                "{count} of {} values not finite and not drawn; the first is {} at {} {}",
                self.values.len(),
                format_number(self.values[place]),
                self.unit,
                place + 1
            );
        }
        text
    }

    /// Sets the dots: each column of dots shows the range of the values that fall into it, and
    /// columns without a value of their own the straight line between their neighbours.
    fn dots(&self, axis: &Axis, columns: usize, height: usize) -> Canvas {
        let (across, down) = self.style.dots();
        let mut canvas = Canvas::new(columns * across, height * down);
        let (last_value, last_dot) = (self.values.len() - 1, canvas.width - 1);
        // In 128 bits, the product of a count and a width cannot overflow.
        let column = |index: usize| match last_value {
            0 => last_dot / 2,
            _ => (index as u128 * last_dot as u128 / last_value as u128) as usize,
        };
        let row = |value: f64| {
            let from_top = (1.0 - axis.share(value)) * (canvas_rows(height, down) as f64);
            from_top.round() as usize
        };
        let mut before: Option<(usize, usize)> = None;
        for (index, &value) in self.values.iter().enumerate() {
            if !value.is_finite() {
                before = None;
                continue;
            }
            let here = (column(index), row(value));
            canvas.connect(before.unwrap_or(here), here);
            before = Some(here);
        }
        canvas
    }
}

/// The number of the lowest row of dots, counted from 0 at the top.
fn canvas_rows(height: usize, down: usize) -> usize {
    height * down - 1
}

/// The vertical axis: which value lies at which share of the height.
struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axis {
    fn new(scale: Scale, low: f64, high: f64) -> Axis {
        let logarithmic = match scale {
            Scale::Linear => false,
            Scale::Logarithmic => low > 0.0,
            // Divided, so that nothing overflows.
            Scale::Detect => low > 0.0 && high / 100.0 > low,
        };
        let (low, high) = match low < high {
            true => (low, high),
            // A constant lies in the middle of a range that is wider than rounding.
            false if logarithmic => (low / 2.0, high * 2.0),
            false => {
                let around = if low == 0.0 { 1.0 } else { low.abs() / 2.0 };
                (low - around, high + around)
            }
        };
        Axis { low, high: high.min(f64::MAX), logarithmic }
    }

    fn name(&self) -> &'static str {
        if self.logarithmic { " (logarithmic scale)" } else { "" }
    }

    /// How high a value lies, from 0 at the lowest to 1 at the highest.
    fn share(&self, value: f64) -> f64 {
        let share = match self.logarithmic {
            true => (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln()),
            // Halves, because the difference of two finite numbers can be infinite.
            false => (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0),
        };
        if share.is_nan() { 0.5 } else { share.clamp(0.0, 1.0) }
    }

    /// The value at a share of the height.
    fn value(&self, share: f64) -> f64 {
        match self.logarithmic {
            true => (self.low.ln() + share * (self.high.ln() - self.low.ln())).exp(),
            false => self.low * (1.0 - share) + self.high * share,
        }
    }

    /// A label for each line, most of them empty.
    fn labels(&self, height: usize) -> Vec<String> {
        let marks = if height >= 9 { 4 } else { 2 };
        let mut labels = vec![String::new(); height];
        for mark in 0..=marks {
            let line = mark * (height - 1) / marks;
            let share = 1.0 - line as f64 / (height - 1) as f64;
            let value = match mark {
                0 => self.high,
                _ if mark == marks => self.low,
                _ => self.value(share),
            };
            labels[line] = clipped(&format_number(value), 10);
        }
        labels
    }
}

/// Dots that are set or not, in rows from the top.
struct Canvas {
    width: usize,
    set: Vec<bool>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Canvas {
        Canvas { width, set: vec![false; width * height] }
    }

    /// Draws a straight line between two dots, each given as column and row; `to` is not left of
    /// `from`. Every column in between gets a dot, and steep lines have no gaps.
    fn connect(&mut self, from: (usize, usize), to: (usize, usize)) {
        let across = to.0 - from.0;
        let mut last = from.1;
        for step in 0..=across {
            let row = match across {
                0 => to.1,
                _ => (from.1 * (across - step) + to.1 * step + across / 2) / across,
            };
            // From beside the row of the column before, so that no dot is drawn twice as high.
            let (top, bottom) = match (step, row.cmp(&last)) {
                (0, _) | (_, std::cmp::Ordering::Equal) => (row.min(last), row.max(last)),
                (_, std::cmp::Ordering::Greater) => (last + 1, row),
                (_, std::cmp::Ordering::Less) => (row, last - 1),
            };
            for row in top..=bottom {
                self.set[row * self.width + from.0 + step] = true;
            }
            last = row;
        }
    }

    /// One line of characters.
    fn line(&self, line: usize, style: Style) -> String {
        let (across, down) = style.dots();
        let is_set = |column: usize, row: usize| self.set[row * self.width + column];
        let cell = |cell: usize| match style {
            Style::Ascii if is_set(cell, line) => '*',
            Style::Ascii => ' ',
            Style::Braille => {
                // The bit of each dot in a Braille pattern, by column and row.
                const BITS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
                let mut pattern = 0;
                for (column, bits) in BITS.iter().enumerate() {
                    for (row, bit) in bits.iter().enumerate() {
                        let set = is_set(cell * across + column, line * down + row);
                        pattern |= if set { *bit } else { 0 };
                    }
                }
                match pattern {
                    0 => ' ',
                    _ => char::from_u32(0x2800 + pattern).unwrap_or(' '),
                }
            }
        };
        (0..self.width / across).map(cell).collect()
    }
}
