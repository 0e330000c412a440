//! Finds the known word that a misspelt one was probably meant to be, for error messages.
//!
//! It suggests nothing rather than something far-fetched.

/// The candidate nearest to `word`, if one is near enough to be what was meant.
///
/// Nearness is the number of letters to insert, delete, replace or swap with their neighbour
/// (the optimal string alignment distance), upper and lower case being the same letter. Up to a
/// third of the longer word's letters may differ, and always one. Of equally near candidates the
/// first wins.
///
/// ```
/// use chainrule::spelling::nearest;
/// assert_eq!(nearest("specie", ["height", "species"]), Some("species"));
/// assert_eq!(nearest("price", ["height", "species"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = letters(word);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let known = letters(candidate);
        let allowed = (wanted.len().max(known.len()) / 3).max(1);
        // Two different one-letter names are not misspellings of each other.
        if wanted.len().max(known.len()) < 2 && wanted != known {
            continue;
        }
        // A difference in length is a lower bound, and keeps long hostile words cheap.
        if wanted.len().abs_diff(known.len()) > allowed {
            continue;
        }
        let distance = edits(&wanted, &known);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The letters that are compared; nobody's column name needs more than the first 64.
fn letters(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).take(64).collect()
}

/// The edit distance by dynamic programming, keeping the three rows that are looked at.
fn edits(from: &[char], to: &[char]) -> usize {
    let mut two_above = vec![0; to.len() + 1];
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1; to.len() + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = above[j] + usize::from(a != b);
            row[j + 1] = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                row[j + 1] = row[j + 1].min(two_above[j - 1] + 1);
            }
        }
        two_above = std::mem::replace(&mut above, row);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_insertions_deletions_replacements_and_swaps() {
        let count = |a: &str, b: &str| edits(&letters(a), &letters(b));
        assert_eq!(count("", ""), 0);
        assert_eq!(count("", "abc"), 3);
        assert_eq!(count("abc", ""), 3);
        assert_eq!(count("abc", "ABC"), 0);
        assert_eq!(count("exp", "epx"), 1);
        assert_eq!(count("sigmoid", "sigmod"), 1);
        assert_eq!(count("kitten", "sitting"), 3);
        assert_eq!(count("flaw", "lawn"), 2);
    }

    #[test]
    fn takes_the_nearest_and_refuses_the_far() {
        let known = ["exp", "expm1", "log", "log1p", "sigmoid", "softplus"];
        assert_eq!(nearest("lgo", known), Some("log"));
        assert_eq!(nearest("Exp1m", known), Some("expm1"));
        assert_eq!(nearest("sigmod", known), Some("sigmoid"));
        assert_eq!(nearest("gelu", known), None);
        assert_eq!(nearest("x", ["y", "w"]), None);
        assert_eq!(nearest("anything", []), None);
    }
}
