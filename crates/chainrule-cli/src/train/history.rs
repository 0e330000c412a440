//! The figures of each epoch, as they stand in `metrics.csv` and in a saved training.

use std::fmt::Write as _;

use super::dataset::Task;

/// One row of figures for each epoch that is done.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    columns: &'static [&'static str],
    rows: Vec<Vec<f64>>,
}

const OF_CLASSES: &[&str] = &["train_loss", "train_accuracy", "test_loss", "test_accuracy"];
const OF_NUMBERS: &[&str] = &["train_loss", "test_loss", "test_rmse", "test_r2"];

impl History {
    /// No epoch yet.
    pub fn new(task: &Task) -> History {
        let columns = match task {
            Task::Classes(_) => OF_CLASSES,
            Task::Numbers { .. } => OF_NUMBERS,
        };
        History { columns, rows: Vec::new() }
    }

    /// Adds the figures of the next epoch, in the order of the columns.
    pub fn push(&mut self, figures: Vec<f64>) {
        self.rows.push(figures);
    }

    /// The training loss of each epoch.
    pub fn losses(&self) -> Vec<f64> {
        self.rows.iter().filter_map(|row| row.first().copied()).collect()
    }

    /// A line of headings and one line for each epoch. Numbers are read back as they were.
    pub fn to_csv(&self) -> String {
        let mut text = format!("epoch,{}\n", self.columns.join(","));
        for (at, row) in self.rows.iter().enumerate() {
            let _ = write!(text, "{}", at + 1);
            for figure in row {
                let _ = write!(text, ",{figure:?}");
            }
            text.push('\n');
        }
        text
    }

    /// The first `epochs` rows of what [`History::to_csv`] wrote; nothing where it is something else.
    pub fn from_csv(text: &str, task: &Task, epochs: u64) -> Option<History> {
        let mut history = History::new(task);
        let mut lines = text.lines();
        let header = lines.next()?;
        if header.strip_prefix("epoch,")? != history.columns.join(",") {
            return None;
        }
        for line in lines.take(usize::try_from(epochs).ok()?) {
            let figures: Option<Vec<f64>> = line.split(',').skip(1).map(|figure| figure.parse().ok()).collect();
            history.push(figures.filter(|figures| figures.len() == history.columns.len())?);
        }
        (history.rows.len() as u64 == epochs).then_some(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_back_bit_by_bit() {
        let task = Task::Classes(vec!["a".into(), "b".into()]);
        let mut history = History::new(&task);
        for at in 0..20 {
            let figure = (f64::from(at) * 0.37).exp() / 3.0;
            history.push(vec![figure, figure / 7.0, 1e-300 * figure, f64::INFINITY]);
        }
        let text = history.to_csv();
        assert_eq!(History::from_csv(&text, &task, 20).as_ref(), Some(&history));
        assert_eq!(History::from_csv(&text, &task, 5).unwrap().losses(), history.losses()[..5]);
        assert_eq!(History::from_csv(&text, &task, 21), None);
        assert_eq!(History::from_csv("epoch,train_loss\n1,2\n", &task, 1), None);
        assert_eq!(History::from_csv(&text.replace("inf", ""), &task, 20), None);
    }
}
