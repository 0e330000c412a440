//! What can be wrong with a table of data: where it is, what it is and what to do about it.

use std::fmt;
use std::path::PathBuf;

use super::{LONGEST_CELL, LONGEST_ROW, MOST_CLASSES, MOST_COLUMNS};

/// A file that cannot be used as a table, and the place in it.
#[derive(Clone, Debug, PartialEq)]
pub struct DataError {
    /// The file, as it was named.
    pub file: PathBuf,
    /// The line, counted from 1, on which the row starts.
    pub line: Option<u64>,
    /// The column.
    pub column: Option<Column>,
    /// What is wrong.
    pub problem: Box<DataProblem>,
}

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its place, counted from 1.
    pub number: usize,
    /// Its name; empty where the header has none.
    pub name: String,
}

impl Column {
    pub(super) fn new(index: usize, name: &str) -> Column {
        Column { number: index + 1, name: name.to_string() }
    }
}

/// What is wrong with a file of data.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DataProblem {
    /// There is no such file.
    Missing,
    /// The path names a directory.
    Directory,
    /// The path names a device, pipe or socket.
    NotRegular,
    /// The operating system refused; its reason.
    Unreadable(String),
    /// The file has no line.
    Empty,
    /// The file names columns but has no row.
    HeaderOnly,
    /// The header has this many columns, more than [`MOST_COLUMNS`].
    TooManyColumns(usize),
    /// No column has the target's name.
    NoTarget {
        /// The name that was looked for.
        target: String,
        /// The names that there are.
        columns: Vec<String>,
        /// The name that was probably meant.
        nearest: Option<String>,
        /// Whether the header holds numbers, as if its line were missing.
        looks_like_data: bool,
    },
    /// Two columns have the target's name.
    RepeatedTarget {
        /// The name.
        target: String,
        /// The places of the first two columns, counted from 1.
        columns: [usize; 2],
    },
    /// The target, named here, is the only column.
    NoFeatures(String),
    /// A row has another number of cells than the header.
    Ragged {
        /// Cells in the header.
        expected: usize,
        /// Cells in the row.
        found: usize,
    },
    /// A row takes more than [`LONGEST_ROW`] bytes.
    RowTooLong,
    /// A quoted cell goes on until the end of the file.
    OpenQuote,
    /// A cell takes this many bytes, more than [`LONGEST_CELL`].
    CellTooLong(usize),
    /// A cell holds this byte, which is not text in UTF-8.
    NotUtf8(u8),
    /// A cell is not a finite number.
    Cell {
        /// What it is instead.
        problem: CellProblem,
        /// Its text, shortened.
        text: String,
    },
    /// A target of numbers with fractions also holds text.
    MixedTarget {
        /// The first text, shortened.
        text: String,
        /// The first number with a fraction, shortened.
        number: String,
    },
    /// The target has more than [`MOST_CLASSES`] distinct classes.
    TooManyClasses,
    /// The table does not fit into memory.
    OutOfMemory,
}

/// Why a cell is not a finite number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellProblem {
    /// It is empty.
    Missing,
    /// It holds text.
    Text,
    /// It holds NaN or an infinity.
    NotFinite,
    /// It holds a number beyond the range of a 32-bit float.
    TooLarge,
}

impl DataError {
    pub(super) fn new(column: Option<Column>, problem: DataProblem) -> DataError {
        DataError { file: PathBuf::new(), line: None, column, problem: Box::new(problem) }
    }
}

impl DataProblem {
    pub(super) fn cell(problem: CellProblem, text: &str) -> DataProblem {
        DataProblem::Cell { problem, text: shortened(text) }
    }
}

/// At most 40 characters of `text`.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}

impl std::error::Error for DataError {}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "line {line}")?;
            f.write_str(if self.column.is_some() { ", " } else { ": " })?;
        }
        if let Some(column) = &self.column {
            write!(f, "column {}", column.number)?;
            if !column.name.is_empty() {
                write!(f, " {:?}", shortened(&column.name))?;
            }
            f.write_str(": ")?;
        }
        self.problem.fmt(f)
    }
}

impl fmt::Display for DataProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use DataProblem::*;
        match self {
            Missing => f.write_str("there is no such file; check the path"),
            Directory => f.write_str("this is a directory; name one CSV file inside it"),
            NotRegular => f.write_str("this is a device or a pipe; write its contents to a file and name that"),
            Unreadable(reason) => {
                write!(f, "reading failed ({reason}); check the file's permissions and its disk")
            }
            Empty => f.write_str("the file is empty; its first line must name the columns, each further line hold one row"),
            HeaderOnly => f.write_str("the file names columns but has no row of data; add rows below the first line"),
            TooManyColumns(count) => write!(
                f,
                "the first line has {count} columns, and at most {MOST_COLUMNS} are read; \
                 is the file one row per line?"
            ),
            NoTarget { target, columns, nearest, looks_like_data } => no_target(f, target, columns, nearest.as_deref(), *looks_like_data),
            RepeatedTarget { target, columns: [first, second] } => write!(
                f,
                "columns {first} and {second} are both named {target:?}; \
                 rename one so that the target is clear"
            ),
            NoFeatures(target) => write!(
                f,
                "{target:?} is the only column, so nothing is left to predict it from; \
                 add feature columns, separated by commas, semicolons or tabs"
            ),
            Ragged { expected, found } => write!(
                f,
                "this row has {found} {}, the first line has {expected}; {}",
                if *found == 1 { "cell" } else { "cells" },
                if found < expected {
                    "add what is missing (or close a quote that is left open)"
                } else {
                    "remove what is too much, or quote a cell that holds the separator"
                }
            ),
            OpenQuote => f.write_str(
                "a quote (\") that is opened in this row is not closed before the file ends; \
                 close it, or write \"\" for a quote within a cell",
            ),
            RowTooLong => write!(
                f,
                "the row that starts here does not end within {} MiB; \
                 look for a quote (\") that is never closed",
                LONGEST_ROW >> 20
            ),
            CellTooLong(bytes) => write!(
                f,
                "this cell takes {bytes} bytes, and at most {LONGEST_CELL} are read; \
                 look for a quote (\") that is never closed"
            ),
            NotUtf8(byte) => write!(
                f,
                "this cell holds the byte 0x{byte:02X}, which is not UTF-8 text; \
                 save the file with the encoding UTF-8"
            ),
            Cell { problem, text } => problem.describe(f, text),
            MixedTarget { text, number } => write!(
                f,
                "the target holds both text ({text:?}) and numbers with fractions ({number}); \
                 make it numbers throughout, or whole numbers and text for classes"
            ),
            TooManyClasses => write!(
                f,
                "here the target reaches more than {MOST_CLASSES} distinct classes; \
                 is it a name or a number of the row rather than a class?"
            ),
            OutOfMemory => f.write_str("the table does not fit into memory; use fewer rows or columns"),
        }
    }
}

impl CellProblem {
    fn describe(self, f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
        match self {
            CellProblem::Missing => f.write_str(
                "the cell is empty where a number is needed; \
                 fill it in, or remove the row or the column",
            ),
            CellProblem::Text => write!(
                f,
                "the text {text:?} stands where a number is needed (with a point, as in 1.5); \
                 turn the column into numbers or remove it"
            ),
            CellProblem::NotFinite => write!(
                f,
                "{text:?} is not a finite number; \
                 fill in a number, or remove the row or the column"
            ),
            CellProblem::TooLarge => write!(
                f,
                "{text:?} is beyond the range of a 32-bit float (about 3.4e38); \
                 scale the column down"
            ),
        }
    }
}

fn no_target(f: &mut fmt::Formatter<'_>, target: &str, columns: &[String], nearest: Option<&str>, looks_like_data: bool) -> fmt::Result {
    write!(f, "no column is named {target:?}")?;
    if let Some(nearest) = nearest {
        write!(f, "; did you mean {nearest:?}?")?;
    } else {
        f.write_str(".")?;
    }
    f.write_str(if columns.len() == 1 { " The only column is: " } else { " The columns are: " })?;
    for (index, name) in columns.iter().take(40).enumerate() {
        f.write_str(if index == 0 { "" } else { ", " })?;
        f.write_str(&shortened(name).escape_debug().to_string())?;
    }
    if columns.len() > 40 {
        write!(f, " and {} more", columns.len() - 40)?;
    }
    if let [only] = columns
        && only.contains(|c: char| c.is_whitespace() || c == '|')
    {
        f.write_str(". Are they several? Separate cells by commas, semicolons or tabs")?;
    }
    if looks_like_data {
        f.write_str(". They look like data: the first line must hold the names of the columns")?;
    }
    Ok(())
}
