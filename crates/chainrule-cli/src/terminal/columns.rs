//! How many columns of a terminal a text takes: a Chinese character takes two, an accent that is
//! written after its letter none.
//!
//! The ranges are those that Unicode Standard Annex 11 calls wide or fullwidth, and the common
//! combining marks; what is not in them counts as one column. Terminals differ on the rest.

/// Both ends of ranges of characters that take two columns.
#[rustfmt::skip]
const WIDE: &[(u32, u32)] = &[
    (0x1100, 0x115F), (0x2E80, 0x303E), (0x3041, 0xA4CF), (0xA960, 0xA97F), (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF), (0xFE30, 0xFE6F), (0xFF01, 0xFF60), (0xFFE0, 0xFFE6), (0x1F300, 0x1F64F),
    (0x1F680, 0x1F6FF), (0x1F900, 0x1F9FF), (0x20000, 0x3FFFD),
];

/// Both ends of ranges of characters that take none.
const MARKS: &[(u32, u32)] = &[(0x0300, 0x036F), (0x200B, 0x200F), (0x20D0, 0x20FF), (0xFE00, 0xFE0F), (0xFE20, 0xFE2F)];

/// The columns of one character.
fn width(character: char) -> usize {
    let code = u32::from(character);
    let is_in = |ranges: &[(u32, u32)]| ranges.iter().any(|&(first, last)| (first..=last).contains(&code));
    match () {
        () if is_in(MARKS) => 0,
        () if is_in(WIDE) => 2,
        () => 1,
    }
}

/// The columns of a text in one line.
pub fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// At most `most` columns of a text: where it has more, it ends in two points.
pub fn shortened(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_string();
    }
    let points = "..".chars().take(most);
    let mut room = most.saturating_sub(2);
    let kept = text.chars().take_while(|&character| {
        let fits = width(character) <= room;
        room = room.saturating_sub(width(character));
        fits
    });
    kept.chain(points).collect()
}

/// Blanks that bring a text to `width` columns.
pub fn blanks(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(columns(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_count_twice_and_marks_not_at_all() {
        for (text, count) in [("", 0), ("abc", 3), ("äß", 2), ("変数", 4), ("e\u{301}", 1), ("한", 2), ("ｘ", 2), ("⢱─┤", 3)] {
            assert_eq!(columns(text), count, "{text}");
        }
    }

    #[test]
    fn texts_are_cut_to_columns() {
        assert_eq!(shortened("変数変数", 8), "変数変数");
        assert_eq!(shortened("変数変数", 7), "変数..");
        assert_eq!(shortened("abcdef", 5), "abc..");
        for width in 0..9 {
            assert!(columns(&shortened("a変b数c変", width)) <= width);
        }
        assert_eq!(blanks("変", 5).len(), 3);
    }
}
