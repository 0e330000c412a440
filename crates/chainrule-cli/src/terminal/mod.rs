//! What the program draws on a terminal: a curve, a table of confusions, a line of progress.
//!
//! Everything here is text without colour, so `NO_COLOR` has nothing to switch off. Each picture is
//! a function from values to a `String`; only [`ProgressDisplay`] writes, and only where it is told.

pub mod columns;
mod confusion;
mod curve;
mod progress;

pub use confusion::Confusion;
pub use curve::{Curve, Scale, Style};
pub use progress::{Progress, ProgressDisplay, time_left};

/// How wide the terminal behind `stream` lets a line be, at most `most`; `most` where it is none.
pub fn width_of(stream: impl TerminalStream, most: usize) -> usize {
    // The last column stays free: some terminals wrap as soon as it is written.
    let width = terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0).saturating_sub(1));
    // No less than anything can be drawn in; a terminal that says 0 does not know.
    width.filter(|&width| width > 0).map_or(most, |width| width.clamp(NARROWEST, most))
}

#[cfg(unix)]
use std::os::fd::AsFd as TerminalStream;
#[cfg(windows)]
use std::os::windows::io::AsHandle as TerminalStream;

/// Narrower than this, lines wrap.
const NARROWEST: usize = 24;

/// A number in at most four significant digits, as short as that allows: `0.1234`, `12.5`, `3e-7`.
pub fn format_number(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string().to_lowercase();
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-3..1e6).contains(&magnitude) {
        let text = format!("{value:.2e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", without_trailing_zeros(digits));
    }
    // Digits before the point; negative where zeros follow it.
    let before_point = match magnitude {
        0.0 => 1,
        _ => magnitude.log10().floor() as i32 + 1,
    };
    let decimals = usize::try_from(4 - before_point).unwrap_or(0);
    let text = without_trailing_zeros(&format!("{value:.decimals$}")).to_string();
    if text == "-0" { "0".into() } else { text }
}

fn without_trailing_zeros(digits: &str) -> &str {
    match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    }
}

/// At most `width` columns, fit to be printed: what is cut is marked by dots.
fn clipped(text: &str, width: usize) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    columns::shortened(&clean, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_true() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (0.1234, "0.1234"),
            (-2.5, "-2.5"),
            (12.345, "12.35"),
            (1234.5, "1234"),
            (999_999.0, "999999"),
            (1e6, "1e6"),
            (0.0001, "1e-4"),
            (0.00123, "0.00123"),
            (0.00001234, "1.23e-5"),
            (3e-7, "3e-7"),
            (-1e300, "-1e300"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (100.0, "100"),
            (1e5, "100000"),
        ];
        for (value, text) in cases {
            assert_eq!(format_number(value), text);
        }
        for exponent in -20..20 {
            for digits in [1.0, 1.5, 9.99, 2.34567] {
                let value = digits * 10f64.powi(exponent);
                let read: f64 = format_number(value).parse().unwrap();
                assert!((read / value - 1.0).abs() < 6e-3, "{value} {read}");
            }
        }
    }

    #[test]
    fn texts_are_clipped_to_their_width() {
        assert_eq!(clipped("abc", 3), "abc");
        assert_eq!(clipped("äöüß", 3), "ä..");
        assert_eq!(clipped("a\nb", 3), "a?b");
        for width in 0..6 {
            assert!(clipped("abcdef", width).chars().count() <= width);
        }
    }
}
