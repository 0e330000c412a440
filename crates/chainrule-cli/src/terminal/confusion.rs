//! Counts which class was taken for which, and shows it as a table.

use std::fmt;

use super::clipped;
use super::columns::{blanks, columns};

/// With more classes than this, the table would not fit a terminal; the worst pairs are listed.
const MOST_IN_TABLE: usize = 20;
/// How many of the worst pairs are listed.
const WORST_PAIRS: usize = 15;
/// Names are cut to this many columns.
const NAME_WIDTH: usize = 12;
/// Above the columns of a table that would be too wide they are cut further, down to this.
const LEAST_NAME_WIDTH: usize = 5;
/// A wider table would wrap and be no table.
const WIDEST: usize = 100;

/// How often each class was predicted for each class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    names: Vec<String>,
    /// Row by row: the true class; column by column: the predicted one.
    counts: Vec<u64>,
}

/// Classes that cannot be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfusionError {
    /// There are not as many predictions as truths.
    LengthsDiffer {
        /// How many truths there are.
        truths: usize,
        /// How many predictions there are.
        predictions: usize,
    },
    /// A class that has no name.
    UnknownClass {
        /// Its place among the truths and predictions.
        place: usize,
        /// The class.
        class: usize,
        /// How many classes have a name.
        classes: usize,
    },
}

impl std::error::Error for ConfusionError {}

impl fmt::Display for ConfusionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfusionError::LengthsDiffer { truths, predictions } => write!(
                f,
                "there are {truths} true classes but {predictions} predicted ones; \
                 give one prediction for each"
            ),
            ConfusionError::UnknownClass { place, class, classes } => write!(
                f,
                "number {place} has the class {class}, but only {classes} classes (from 0) have a \
                 name; name every class"
            ),
        }
    }
}

impl Confusion {
    /// Counts the pairs of true and predicted class, both indices into `names`.
    ///
    /// # Errors
    /// Where the two lists differ in length or hold a class without a name.
    pub fn count(names: &[String], truths: &[usize], predictions: &[usize]) -> Result<Confusion, ConfusionError> {
        if truths.len() != predictions.len() {
            return Err(ConfusionError::LengthsDiffer { truths: truths.len(), predictions: predictions.len() });
        }
        let classes = names.len();
        let mut counts = vec![0; classes * classes];
        for (place, (&truth, &prediction)) in truths.iter().zip(predictions).enumerate() {
            let class = truth.max(prediction);
            if class >= classes {
                return Err(ConfusionError::UnknownClass { place, class, classes });
            }
            counts[truth * classes + prediction] += 1;
        }
        Ok(Confusion { names: names.to_vec(), counts })
    }

    /// How often `truth` was predicted as `prediction`; nothing for a class without a name.
    pub fn get(&self, truth: usize, prediction: usize) -> Option<u64> {
        let classes = self.names.len();
        let inside = truth < classes && prediction < classes;
        inside.then(|| self.counts[truth * classes + prediction])
    }

    /// The share of all that were predicted rightly, 0 to 1; nothing where there are none.
    #[cfg(test)]
    pub fn accuracy(&self) -> Option<f64> {
        let right = (0..self.names.len()).filter_map(|class| self.get(class, class)).sum();
        share(right, self.counts.iter().sum())
    }

    /// The share of a class that was found, 0 to 1; nothing where the class does not occur.
    pub fn recall(&self, class: usize) -> Option<f64> {
        share(self.get(class, class)?, self.total(class))
    }

    /// How often a class truly occurs.
    fn total(&self, class: usize) -> u64 {
        let classes = self.names.len();
        self.counts.iter().skip(class * classes).take(classes).sum()
    }

    /// The table: a row for each true class, a column for each predicted one, then how many there
    /// are and how many of them were found. With more classes than fit beside one another, the pairs
    /// that were taken for each other most often.
    pub fn draw(&self) -> String {
        match self.names.len() {
            0 => "no classes, so there is no table\n".into(),
            classes if classes > MOST_IN_TABLE => self.worst_pairs(),
            _ => {
                let mut tables = (LEAST_NAME_WIDTH..=NAME_WIDTH).rev().map(|width| self.table(width));
                let fits = |table: &String| table.lines().all(|line| columns(line) <= WIDEST);
                tables.find(fits).unwrap_or_else(|| self.worst_pairs())
            }
        }
    }

    /// The table, with headings of at most `width` characters.
    fn table(&self, width: usize) -> String {
        let classes = self.names.len();
        let names: Vec<String> = self.names.iter().map(|n| clipped(n, NAME_WIDTH)).collect();
        let mut rows = vec![self.names.iter().map(|n| clipped(n, width)).collect::<Vec<_>>()];
        rows[0].extend(["total".into(), "recall".into()]);
        rows[0].insert(0, "true".into());
        for (truth, name) in names.iter().enumerate() {
            let mut row = vec![name.clone()];
            for &count in &self.counts[truth * classes..(truth + 1) * classes] {
                // Points for zeros: the mistakes stand out.
                row.push(if count == 0 { ".".into() } else { count.to_string() });
            }
            row.push(self.total(truth).to_string());
            row.push(percent(self.recall(truth)));
            rows.push(row);
        }
        format!("rows: true class, columns: predicted class\n{}", aligned(&rows))
    }

    fn worst_pairs(&self) -> String {
        let classes = self.names.len();
        let mut pairs: Vec<(u64, usize, usize)> = (0..self.counts.len())
            .map(|place| (self.counts[place], place / classes, place % classes))
            .filter(|&(count, truth, prediction)| count > 0 && truth != prediction)
            .collect();
        pairs.sort_by_key(|&(count, truth, prediction)| (std::cmp::Reverse(count), truth, prediction));
        if pairs.is_empty() {
            return format!("none of the {classes} classes was taken for another\n");
        }
        let mut rows = vec![["true", "predicted", "count", "recall"].map(String::from).to_vec()];
        for &(count, truth, prediction) in pairs.iter().take(WORST_PAIRS) {
            rows.push(vec![
                clipped(&self.names[truth], 2 * NAME_WIDTH),
                clipped(&self.names[prediction], 2 * NAME_WIDTH),
                count.to_string(),
                percent(self.recall(truth)),
            ]);
        }
        format!("{classes} classes; the {} most frequent confusions of {}\n{}", rows.len() - 1, pairs.len(), aligned(&rows))
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn percent(share: Option<f64>) -> String {
    match share {
        Some(share) => format!("{:.1} %", 100.0 * share),
        None => "-".into(),
    }
}

/// Rows of one length as right-aligned columns with two blanks between them.
fn aligned(rows: &[Vec<String>]) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| columns(&row[column])).max();
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| blanks(cell, width) + cell);
        text += &cells.collect::<Vec<_>>().join("  ");
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class{class}")).collect()
    }

    #[test]
    fn a_small_table() {
        let names = ["cat", "dog", "a very long name"].map(String::from);
        let confusion = Confusion::count(&names, &[0, 0, 0, 1, 1], &[0, 0, 1, 1, 2]).unwrap();
        let wide = ["変数", "b"].map(String::from);
        let text = Confusion::count(&wide, &[0, 1], &[0, 1]).unwrap().draw();
        assert!(text.contains("true  変数  b  total") && text.contains("   b     .  1      1"), "{text}");
        let expected = "\
rows: true class, columns: predicted class
        true  cat  dog  a very lon..  total  recall
         cat    2    1             .      3  66.7 %
         dog    .    1             1      2  50.0 %
a very lon..    .    .             .      0       -
";
        assert_eq!(confusion.draw(), expected);
        assert_eq!(confusion.accuracy(), Some(0.6));
        assert_eq!(confusion.recall(2), None);
        assert_eq!(confusion.recall(3), None);
        assert_eq!(confusion.get(0, 1), Some(1));
        assert_eq!(confusion.get(0, 3), None);
    }

    #[test]
    fn lines_of_every_table_end_together_and_rows_add_up() {
        for classes in 1..=MOST_IN_TABLE {
            let truths: Vec<usize> = (0..500).map(|i| i * i % classes).collect();
            let predictions: Vec<usize> = (0..500).map(|i| i * 7 % classes).collect();
            let short: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
            let confusion = Confusion::count(&short, &truths, &predictions).unwrap();
            let text = confusion.draw();
            let lines: Vec<&str> = text.lines().skip(1).collect();
            assert_eq!(lines.len(), classes + 1);
            assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()));
            for (class, line) in lines[1..].iter().enumerate() {
                let cells: Vec<&str> = line.split_whitespace().collect();
                let counts = cells[1..=classes].iter().map(|cell| cell.parse().unwrap_or(0));
                let total = truths.iter().filter(|&&truth| truth == class).count();
                assert_eq!(counts.sum::<usize>(), total);
                assert_eq!(cells[classes + 1], total.to_string());
            }
            let right = truths.iter().zip(&predictions).filter(|(t, p)| t == p).count();
            assert_eq!(confusion.accuracy(), Some(right as f64 / 500.0));
        }
    }

    #[test]
    fn no_table_is_wider_than_a_terminal() {
        for (classes, is_table) in [(3, true), (7, true), (10, true), (11, false), (20, false)] {
            let long: Vec<String> = (0..classes).map(|class| format!("{class} is a long name")).collect();
            let truths: Vec<usize> = (0..100).map(|i| i % classes).collect();
            let predictions: Vec<usize> = (0..100).map(|i| i / 2 % classes).collect();
            let text = Confusion::count(&long, &truths, &predictions).unwrap().draw();
            assert_eq!(text.starts_with("rows: true class"), is_table, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= WIDEST), "{text}");
        }
    }

    #[test]
    fn many_classes_become_a_list_of_the_worst_pairs() {
        let truths: Vec<usize> = (0..100).collect();
        let confusion = Confusion::count(&names(100), &truths, &truths).unwrap();
        assert_eq!(confusion.draw(), "none of the 100 classes was taken for another\n");
        let mut predictions = truths.clone();
        predictions[3] = 4;
        predictions.extend([9, 9]);
        let truths = [truths, vec![5, 5]].concat();
        let text = Confusion::count(&names(100), &truths, &predictions).unwrap().draw();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "100 classes; the 2 most frequent confusions of 2");
        let cells = |line: &str| line.split_whitespace().map(String::from).collect::<Vec<_>>();
        assert_eq!(cells(lines[2]), ["class5", "class9", "2", "33.3", "%"]);
        assert_eq!(cells(lines[3]), ["class3", "class4", "1", "0.0", "%"]);
    }

    #[test]
    fn what_cannot_be_counted_is_an_error() {
        let error = Confusion::count(&names(2), &[0, 1], &[0]).unwrap_err();
        assert!(error.to_string().contains("2 true classes but 1 predicted"));
        for (truth, prediction) in [(2, 0), (0, 2), (usize::MAX, 0)] {
            let error = Confusion::count(&names(2), &[0, truth], &[0, prediction]).unwrap_err();
            assert!(error.to_string().contains("number 1 has the class"), "{error}");
        }
        let empty = Confusion::count(&[], &[], &[]).unwrap();
        assert_eq!(empty.accuracy(), None);
        assert_eq!(empty.draw(), "no classes, so there is no table\n");
    }
}
