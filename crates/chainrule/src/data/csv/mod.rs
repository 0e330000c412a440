//! Reads a CSV file of numbers with one target column into a [`Table`].
//!
//! The first line names the columns. Cells are separated by commas, semicolons or tabs, whichever
//! the first line has most of, and may be quoted. Feature cells are finite numbers with a decimal
//! point. This file refuses to guess: text among the features, a gap, a ragged row or a cell that
//! is not a finite number is an error that names file, line and column, never a row dropped or a
//! value filled in.

mod error;
mod target;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::rc::Rc;

use ::csv::ByteRecord;

use crate::spelling::nearest;
pub use error::{CellProblem, Column, DataError, DataProblem};
use target::TargetColumn;

/// A longer cell is refused: no number needs it, and an unclosed quote swallows lines.
pub const LONGEST_CELL: usize = 4096;
/// Bytes that one row may take before reading stops, whatever the file's size.
pub const LONGEST_ROW: u64 = 16 << 20;
/// A wider table is refused.
pub const MOST_COLUMNS: usize = 100_000;
/// A target of whole numbers with more distinct values than this is read as numbers.
pub const MOST_INTEGER_CLASSES: usize = 50;
/// A target with more distinct classes than this is refused.
pub const MOST_CLASSES: usize = 1000;

/// What some programs write before the text of a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A file of numbers, its target column taken out.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The names of the feature columns, in the order of the file.
    pub columns: Vec<String>,
    /// All feature values, row after row: `rows * width` numbers, all finite.
    pub features: Vec<f32>,
    /// How many rows there are; at least one.
    pub rows: usize,
    /// How many feature columns there are; at least one.
    pub width: usize,
    /// The name of the column that is to be predicted.
    pub target_name: String,
    /// What that column holds.
    pub target: Target,
}

/// The column that is to be predicted.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Each row belongs to one class.
    Classes {
        /// For each row, an index into `names`.
        labels: Vec<usize>,
        /// The classes: numbers in ascending order, then text in the order of its characters.
        names: Vec<String>,
    },
    /// Each row has a finite number.
    Numbers(Vec<f32>),
}

/// How the target column is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetKind {
    /// Text, or whole numbers with at most [`MOST_INTEGER_CLASSES`] distinct values, are classes;
    /// anything else is numbers. Text among numbers with a fraction is an error.
    #[default]
    Detect,
    /// Each distinct value is a class.
    Classes,
    /// Each cell is a finite number.
    Numbers,
}

/// Reads the file at `path`, taking the column named `target` as what is to be predicted.
///
/// # Errors
/// A [`DataError`] says which file, line and column, what is wrong and what to do about it.
///
/// ```
/// use chainrule::data::csv::{read_table, Target};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("flowers.csv");
/// std::fs::write(&path, "length,width,species\n5.1,3.5,setosa\n6.3,3.3,virginica\n")?;
/// let table = read_table(&path, "species")?;
/// assert_eq!((table.rows, table.width), (2, 2));
/// assert_eq!(table.features, [5.1, 3.5, 6.3, 3.3]);
/// let names = vec!["setosa".to_string(), "virginica".to_string()];
/// assert_eq!(table.target, Target::Classes { labels: vec![0, 1], names });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_table(path: impl AsRef<Path>, target: &str) -> Result<Table, DataError> {
    read_table_as(path, target, TargetKind::Detect)
}

/// As [`read_table`], with the kind of the target given instead of detected.
///
/// # Errors
/// As [`read_table`].
pub fn read_table_as(path: impl AsRef<Path>, target: &str, kind: TargetKind) -> Result<Table, DataError> {
    let path = path.as_ref();
    read_from(path, target, kind).map_err(|mut failure| {
        if let Some(byte) = failure.byte {
            failure.error.line = line_of(path, byte);
        }
        failure.error.file = path.to_path_buf();
        failure.error
    })
}

/// An error with the byte at which its row starts: the line number is counted only when needed,
/// and then exactly, also past blank lines and line breaks inside quotes.
struct Failure {
    error: DataError,
    byte: Option<u64>,
}

impl Failure {
    fn new(problem: DataProblem) -> Failure {
        Failure::at(None, None, problem)
    }

    fn at(byte: Option<u64>, column: Option<Column>, problem: DataProblem) -> Failure {
        Failure { error: DataError::new(column, problem), byte }
    }
}

fn read_from(path: &Path, target: &str, kind: TargetKind) -> Result<Table, Failure> {
    let (file, delimiter) = open(path)?;
    let consumed = Rc::new(Cell::new(0));
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(Meter { inner: file, consumed: Rc::clone(&consumed) });
    let mut record = ByteRecord::new();
    let mut next = |record: &mut ByteRecord| {
        let byte = reader.position().byte();
        consumed.set(0);
        match reader.read_byte_record(record) {
            Ok(found) => Ok(found.then_some(byte)),
            Err(error) => Err(reading_failed(error, byte, consumed.get())),
        }
    };
    let Some(byte) = next(&mut record)? else {
        return Err(Failure::new(DataProblem::Empty));
    };
    // A quote that is never closed makes one cell of the rest of the file. Only a cell with a line
    // break in it can be that, so nothing else is looked at twice.
    let mut broken = has_line_break(&record).then_some(byte);
    let refuse_open_quote = |broken: Option<u64>| match broken {
        Some(byte) if ends_in_quotes(path, byte, delimiter) => Err(Failure::at(Some(byte), None, DataProblem::OpenQuote)),
        _ => Ok(()),
    };
    let table = Building::from_header(&record, byte, target, kind);
    let mut table = match table {
        Ok(table) => table,
        Err(failure) => return refuse_open_quote(broken).and(Err(failure)),
    };
    while let Some(byte) = next(&mut record)? {
        broken = has_line_break(&record).then_some(byte);
        if let Err(failure) = table.add_row(&record, byte) {
            return refuse_open_quote(broken).and(Err(failure));
        }
    }
    refuse_open_quote(broken)?;
    table.finish()
}

/// Opens a regular file and finds its separator by looking at the first line.
fn open(path: &Path) -> Result<(File, u8), Failure> {
    let unreadable = |error: io::Error| Failure::new(DataProblem::Unreadable(error.to_string()));
    let about = std::fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::new(DataProblem::Missing),
        _ => unreadable(error),
    })?;
    if about.is_dir() {
        return Err(Failure::new(DataProblem::Directory));
    }
    if !about.is_file() {
        return Err(Failure::new(DataProblem::NotRegular));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let mut start = Vec::new();
    (&mut file).take(64 << 10).read_to_end(&mut start).and_then(|_| file.rewind()).map_err(unreadable)?;
    Ok((file, delimiter_of(&start)))
}

/// The separator that the first line has most of outside quotes; a comma where they tie.
fn delimiter_of(start: &[u8]) -> u8 {
    let (mut best, mut most) = (b',', 0);
    for candidate in [b',', b';', b'\t'] {
        let mut quoted = false;
        let mut count = 0;
        for &byte in start {
            match byte {
                b'"' => quoted = !quoted,
                b'\n' | b'\r' if !quoted => break,
                _ if byte == candidate && !quoted => count += 1,
                _ => {}
            }
        }
        if count > most {
            (best, most) = (candidate, count);
        }
    }
    best
}

fn has_line_break(record: &ByteRecord) -> bool {
    record.as_slice().iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

/// Whether the file, read from the start of a row at `byte`, ends within quotes.
fn ends_in_quotes(path: &Path, byte: u64, delimiter: u8) -> bool {
    let Ok(mut file) = File::open(path) else { return false };
    if file.seek(io::SeekFrom::Start(byte)).is_err() {
        return false;
    }
    // A quote opens a cell only at its start; within one, two stand for one: they close and open it.
    let (mut quoted, mut may_open) = (false, true);
    for (at, next) in io::BufReader::new(file).bytes().enumerate() {
        let Ok(next) = next else { return false };
        let quote = next == b'"' && (quoted || may_open);
        let byte_order_mark = byte == 0 && BYTE_ORDER_MARK.get(at) == Some(&next);
        quoted ^= quote;
        may_open = !quoted && (quote || byte_order_mark || [delimiter, b'\n', b'\r'].contains(&next));
    }
    quoted
}

/// The line, counted from 1, of the first byte at or after `byte` that is not a line break.
fn line_of(path: &Path, byte: u64) -> Option<u64> {
    let (mut line, mut at, mut after_return) = (1, 0u64, false);
    for next in io::BufReader::new(File::open(path).ok()?).bytes() {
        let next = next.ok()?;
        if at >= byte && next != b'\n' && next != b'\r' {
            break;
        }
        // `\r\n` is one break, counted at the `\r`.
        line += u64::from(next == b'\r' || (next == b'\n' && !after_return));
        after_return = next == b'\r';
        at += 1;
    }
    Some(line)
}

fn reading_failed(error: ::csv::Error, byte: u64, consumed: u64) -> Failure {
    if consumed > LONGEST_ROW {
        return Failure::at(Some(byte), None, DataProblem::RowTooLong);
    }
    Failure::at(Some(byte), None, DataProblem::Unreadable(error.to_string()))
}

/// Counts the bytes that are read for one row and stops a row without an end.
struct Meter<R> {
    inner: R,
    consumed: Rc<Cell<u64>>,
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.consumed.get() > LONGEST_ROW {
            return Err(io::Error::other("a row without an end"));
        }
        let count = self.inner.read(buffer)?;
        self.consumed.set(self.consumed.get() + count as u64);
        Ok(count)
    }
}

/// A table while rows are still being added.
struct Building {
    /// All column names, the target's among them.
    header: Vec<String>,
    target_at: usize,
    features: Vec<f32>,
    rows: usize,
    target: TargetColumn,
}

impl Building {
    fn from_header(record: &ByteRecord, byte: u64, target: &str, kind: TargetKind) -> Result<Building, Failure> {
        if record.len() > MOST_COLUMNS {
            let problem = DataProblem::TooManyColumns(record.len());
            return Err(Failure::at(Some(byte), None, problem));
        }
        let mut header = Vec::with_capacity(record.len());
        for (index, cell) in record.iter().enumerate() {
            let text = text_of(cell).map_err(|problem| Failure::at(Some(byte), Some(Column::new(index, "")), problem))?;
            header.push(text.to_string());
        }
        let target_at = find_target(&header, target.trim())?;
        if header.len() == 1 {
            let problem = DataProblem::NoFeatures(header.swap_remove(0));
            return Err(Failure::new(problem));
        }
        Ok(Building {
            target: TargetColumn::new(Column::new(target_at, &header[target_at]), kind),
            header,
            target_at,
            features: Vec::new(),
            rows: 0,
        })
    }

    fn add_row(&mut self, record: &ByteRecord, byte: u64) -> Result<(), Failure> {
        if record.len() != self.header.len() {
            let problem = DataProblem::Ragged { expected: self.header.len(), found: record.len() };
            return Err(Failure::at(Some(byte), None, problem));
        }
        if self.features.try_reserve(self.header.len()).is_err() {
            return Err(Failure::at(Some(byte), None, DataProblem::OutOfMemory));
        }
        for (index, cell) in record.iter().enumerate() {
            let added = text_of(cell).and_then(|text| match index == self.target_at {
                true => self.target.push(text),
                false => number_of(text).map(|number| self.features.push(number)),
            });
            added.map_err(|problem| {
                let column = Column::new(index, &self.header[index]);
                Failure::at(Some(byte), Some(column), problem)
            })?;
        }
        self.rows += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<Table, Failure> {
        if self.rows == 0 {
            return Err(Failure::new(DataProblem::HeaderOnly));
        }
        let target_name = self.header.remove(self.target_at);
        Ok(Table {
            width: self.header.len(),
            columns: self.header,
            features: self.features,
            rows: self.rows,
            target_name,
            target: self.target.finish()?,
        })
    }
}

fn find_target(header: &[String], target: &str) -> Result<usize, Failure> {
    let mut places = (0..header.len()).filter(|&index| header[index] == target);
    match (places.next(), places.next()) {
        (Some(only), None) => Ok(only),
        (Some(first), Some(second)) => {
            Err(Failure::new(DataProblem::RepeatedTarget { target: target.to_string(), columns: [first + 1, second + 1] }))
        }
        (None, _) => Err(Failure::new(DataProblem::NoTarget {
            target: target.to_string(),
            nearest: nearest(target, header.iter().map(String::as_str)).map(str::to_string),
            looks_like_data: header.iter().any(|name| name.parse::<f64>().is_ok()),
            columns: header.to_vec(),
        })),
    }
}

/// A cell as trimmed text.
fn text_of(cell: &[u8]) -> Result<&str, DataProblem> {
    if cell.len() > LONGEST_CELL {
        return Err(DataProblem::CellTooLong(cell.len()));
    }
    match std::str::from_utf8(cell) {
        Ok(text) => Ok(text.trim()),
        Err(error) => Err(DataProblem::NotUtf8(cell[error.valid_up_to()])),
    }
}

/// A cell as a finite number.
fn number_of(text: &str) -> Result<f32, DataProblem> {
    let problem = match text.parse::<f32>() {
        Ok(number) if number.is_finite() => return Ok(number),
        // Digits that came out infinite were a number, only too large a one.
        Ok(_) if text.bytes().any(|byte| byte.is_ascii_digit()) => CellProblem::TooLarge,
        Ok(_) => CellProblem::NotFinite,
        Err(_) if text.is_empty() => CellProblem::Missing,
        Err(_) => CellProblem::Text,
    };
    Err(DataProblem::cell(problem, text))
}
