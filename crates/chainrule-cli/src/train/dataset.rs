//! The data of a training: what is learned from, what is kept for the test, and how both were
//! brought to one scale.
//!
//! Everything a file says has been checked when a [`Dataset`] is there. It knows no model.

use std::path::Path;

use chainrule::Rng;
use chainrule::data::csv::{DataError, DataProblem, Table, Target, read_table};
use chainrule::data::digits;
use chainrule::spelling::nearest;

use super::toys;
use crate::failure::Failure;

/// The data sets that have a name of their own.
pub const NAMED: [&str; 3] = ["digits", "xor", "spiral"];
/// One row of this many is kept for the test.
const TEST_SHARE: usize = 5;

/// Rows to learn from and rows to be tested on.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// A short name, fit for a folder.
    pub name: String,
    /// One line on what it is.
    pub about: String,
    /// Features per row.
    pub width: usize,
    /// What is learned from.
    pub train: Part,
    /// What it is tested on.
    pub test: Part,
    /// What is to be predicted.
    pub task: Task,
    /// For a table: its columns and how they were scaled.
    pub scaling: Option<Scaling>,
}

/// Some of the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Row after row.
    pub features: Vec<f32>,
    /// One for each row.
    pub targets: Targets,
}

/// What the rows are known to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Indices of classes.
    Classes(Vec<usize>),
    /// Numbers, scaled as [`Task::Numbers`] says.
    Numbers(Vec<f32>),
}

/// What is to be predicted.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// One of these classes.
    Classes(Vec<String>),
    /// A number.
    Numbers {
        /// Its column.
        name: String,
        /// The mean of the rows that are learned from.
        mean: f64,
        /// Their standard deviation; 1 where they are all equal.
        deviation: f64,
    },
}

/// How features were brought to mean 0 and deviation 1, by the rows that are learned from.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The mean of each.
    pub means: Vec<f32>,
    /// The deviation of each; 1 where all values are equal.
    pub deviations: Vec<f32>,
}

impl Targets {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Targets::Classes(labels) => labels.len(),
            Targets::Numbers(numbers) => numbers.len(),
        }
    }
}

impl Task {
    /// How many numbers a model gives for each row.
    pub fn outputs(&self) -> usize {
        match self {
            Task::Classes(names) => names.len(),
            Task::Numbers { .. } => 1,
        }
    }
}

impl Dataset {
    /// The data set that `source` names, or the table in the file `source`.
    ///
    /// # Errors
    /// Where there is no such data set, where the file or its target column cannot be used, or
    /// where it leaves nothing to learn or to be tested on.
    pub fn open(source: &str, target: Option<&str>, seed: u64) -> Result<Dataset, Failure> {
        if NAMED.contains(&source) {
            if let Some(target) = target {
                return Err(Failure::bad_input(format_args!(
                    "--target {target} chooses a column of a CSV file, and {source} is not one; \
                     leave --target out"
                )));
            }
            return Ok(match source {
                "digits" => handwritten_digits(),
                "xor" => toys::xor(seed),
                _ => toys::spiral(seed),
            });
        }
        table(source, target, seed)
    }

    /// A number that any change of the data changes (FNV-1a).
    pub fn fingerprint(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |value: u64| hash = (hash ^ value).wrapping_mul(0x0100_0000_01b3);
        for part in [&self.train, &self.test] {
            part.features.iter().for_each(|value| add(u64::from(value.to_bits())));
            match &part.targets {
                Targets::Classes(labels) => labels.iter().for_each(|label| add(*label as u64)),
                Targets::Numbers(numbers) => {
                    numbers.iter().for_each(|value| add(u64::from(value.to_bits())));
                }
            }
            add(part.targets.len() as u64);
        }
        hash
    }
}

fn handwritten_digits() -> Dataset {
    let split = digits::digits().split();
    let part = |digits: digits::Digits| Part {
        features: digits.images,
        targets: Targets::Classes(digits.labels.iter().map(|&label| usize::from(label)).collect()),
    };
    Dataset {
        name: "digits".into(),
        about: format!("{} handwritten digits of 8x8 pixels (UCI, E. Alpaydin and C. Kaynak, CC BY 4.0)", digits::COUNT),
        width: digits::PIXELS,
        train: part(split.train),
        test: part(split.test),
        task: Task::Classes((0..digits::CLASSES).map(|class| class.to_string()).collect()),
        scaling: None,
    }
}

fn table(source: &str, target: Option<&str>, seed: u64) -> Result<Dataset, Failure> {
    if source.is_empty() {
        return Err(Failure::bad_input("the name of the data is empty; name digits, xor, spiral or a CSV file"));
    }
    let path = Path::new(source);
    // A bare word that is no file is meant as a name.
    let is_word = path.extension().is_none() && path.components().count() == 1;
    if is_word && !path.exists() {
        let meant = nearest(source, NAMED).map_or(String::new(), |name| format!("did you mean {name}? "));
        return Err(Failure::bad_input(format_args!(
            "there is no data set {source:?}; {meant}data sets are {}, and a table is named by its \
             file, as in table.csv",
            NAMED.join(", ")
        )));
    }
    let Some(target) = target else {
        return Err(no_target(source));
    };
    let table = read_table(path, target).map_err(Failure::bad_input)?;
    split(source, table, seed)
}

/// The error for a table without a target: it lists the columns, if the file can be read so far.
fn no_target(source: &str) -> Failure {
    // No column has this name, as cells are trimmed of blanks: the reader's answer lists them all.
    let columns = match read_table(source, "\u{1}") {
        Err(DataError { problem, .. }) if matches!(*problem, DataProblem::NoTarget { .. }) => match *problem {
            DataProblem::NoTarget { columns, .. } => columns,
            _ => Vec::new(),
        },
        Err(error) => return Failure::bad_input(error),
        Ok(table) => table.columns,
    };
    const SHOWN: usize = 20;
    let more = match columns.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    // A name may hold line breaks and what a terminal would obey.
    let shown = columns.iter().take(SHOWN).map(|name| name.escape_debug().to_string());
    let names = shown.collect::<Vec<_>>().join(", ");
    Failure::bad_input(format_args!("{source}: which column is to be predicted? Name it with --target; the columns are {names}{more}"))
}

/// Shuffles the rows, keeps a fifth for the test and scales all by the others.
fn split(source: &str, table: Table, seed: u64) -> Result<Dataset, Failure> {
    let test_rows = table.rows / TEST_SHARE;
    if test_rows == 0 {
        return Err(Failure::bad_input(format_args!(
            "{source}: one row of {TEST_SHARE} is kept for the test, and {} {} too few for that; \
             add rows until there are at least {TEST_SHARE}",
            table.rows,
            if table.rows == 1 { "row is" } else { "rows are" }
        )));
    }
    if let Target::Classes { names, .. } = &table.target
        && names.len() < 2
    {
        return Err(Failure::bad_input(format_args!(
            "{source}: every row of the target {:?} is {:?}, so there is nothing to tell apart; \
             name another column with --target",
            table.target_name, names[0]
        )));
    }
    if let Target::Numbers(numbers) = &table.target
        && numbers.iter().all(|number| number == &numbers[0])
    {
        return Err(Failure::bad_input(format_args!(
            "{source}: every row of the target {:?} is {}, so there is nothing to predict; \
             name another column with --target",
            table.target_name, numbers[0]
        )));
    }
    let order = toys::shuffled(table.rows, &mut Rng::new(seed));
    let (test, train) = order.split_at(test_rows);
    let scaling = Scaling::of(&table, train);
    let (task, targets) = scaled_target(&table, train);
    let part = |rows: &[usize]| Part {
        features: scaling.apply(&table, rows),
        targets: match &targets {
            Targets::Classes(labels) => Targets::Classes(rows.iter().map(|&row| labels[row]).collect()),
            Targets::Numbers(numbers) => Targets::Numbers(rows.iter().map(|&row| numbers[row]).collect()),
        },
    };
    let stem = Path::new(source).file_stem().map_or("table".into(), |stem| stem.to_string_lossy());
    Ok(Dataset {
        name: stem.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect(),
        about: format!("{} rows of {source}; {} from {} columns", table.rows, table.target_name, table.width),
        width: table.width,
        train: part(train),
        test: part(test),
        task,
        scaling: Some(scaling),
    })
}

/// The mean, and the deviation or 1, of some numbers.
fn moments(values: impl Iterator<Item = f64> + Clone, count: usize) -> (f64, f64) {
    let count = count.max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    // Equal numbers may differ from their mean by rounding: that is no deviation.
    let deviation = variance.sqrt();
    (mean, if deviation > 1e-7 * mean.abs() { deviation } else { 1.0 })
}

impl Scaling {
    fn of(table: &Table, rows: &[usize]) -> Scaling {
        let column =
            |column: usize| moments(rows.iter().map(move |&row| f64::from(table.features[row * table.width + column])), rows.len());
        let all: Vec<(f64, f64)> = (0..table.width).map(column).collect();
        Scaling {
            columns: table.columns.clone(),
            means: all.iter().map(|(mean, _)| *mean as f32).collect(),
            deviations: all.iter().map(|(_, deviation)| *deviation as f32).collect(),
        }
    }

    fn apply(&self, table: &Table, rows: &[usize]) -> Vec<f32> {
        let scaled = |row: usize| {
            let values = &table.features[row * table.width..(row + 1) * table.width];
            let scales = self.means.iter().zip(&self.deviations);
            let one =
                |(value, (mean, deviation)): (&f32, (&f32, &f32))| ((f64::from(*value) - f64::from(*mean)) / f64::from(*deviation)) as f32;
            values.iter().zip(scales).map(one).collect::<Vec<f32>>()
        };
        rows.iter().flat_map(|&row| scaled(row)).collect()
    }
}

fn scaled_target(table: &Table, rows: &[usize]) -> (Task, Targets) {
    match &table.target {
        Target::Classes { labels, names } => (Task::Classes(names.clone()), Targets::Classes(labels.clone())),
        Target::Numbers(numbers) => {
            let known = rows.iter().map(|&row| f64::from(numbers[row]));
            let (mean, deviation) = moments(known, rows.len());
            let scaled = numbers.iter().map(|value| ((f64::from(*value) - mean) / deviation) as f32).collect();
            (Task::Numbers { name: table.target_name.clone(), mean, deviation }, Targets::Numbers(scaled))
        }
    }
}
