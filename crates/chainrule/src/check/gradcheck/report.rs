//! What a check of derivatives found: the worst entries, as a table.

use std::fmt;

/// How a derivative was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// [`Tensor::grad`](chainrule_engine::Tensor::grad).
    Reverse,
    /// [`jvp`](chainrule_engine::transform::jvp).
    Forward,
    /// A gradient of a gradient.
    ReverseOverReverse,
    /// A tangent of a gradient, which is what [`hvp`](chainrule_engine::transform::hvp) computes.
    ForwardOverReverse,
    /// A gradient of two examples at once, held against one by one.
    Batched,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Reverse => "reverse",
            Mode::Forward => "forward",
            Mode::ReverseOverReverse => "reverse over reverse",
            Mode::ForwardOverReverse => "forward over reverse",
            Mode::Batched => "batched",
        }
    }
}

/// Which tensor an entry belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The derivative by an input, counted from 0.
    Input(usize),
    /// The derivative of the result.
    Result,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Input(number) => write!(f, "input {number}"),
            Subject::Result => f.write_str("result"),
        }
    }
}

/// One number, as it was derived and as it was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// How it was derived.
    pub mode: Mode,
    /// Of which tensor it is an element.
    pub subject: Subject,
    /// Which element.
    pub index: Vec<usize>,
    /// By the chain rule.
    pub derived: f64,
    /// By differences; of [`Mode::Batched`], one by one.
    pub measured: f64,
    /// Their distance, less what rounding may do to a difference, as a part of the largest of the tensor. Infinite where
    /// one of the two is no number.
    pub error: f64,
}

/// The numbers of one mode and tensor.
#[derive(Clone, Debug, PartialEq)]
struct Count {
    mode: Mode,
    subject: Subject,
    checked: usize,
    elements: usize,
}

/// What a check found. Printed, it is a table of the worst entries.
#[derive(Clone, Debug, PartialEq)]
pub struct GradReport {
    tolerance: f64,
    entries: Vec<Entry>,
    counts: Vec<Count>,
}

/// Entries that are printed.
const SHOWN: usize = 10;

impl GradReport {
    pub(super) fn new(tolerance: f64) -> GradReport {
        GradReport { tolerance, entries: Vec::new(), counts: Vec::new() }
    }

    /// Adds the numbers of one mode and tensor: for each, its flat position, what was derived and measured. `noise` is what rounding
    /// may do to a measured number.
    pub(super) fn add(&mut self, mode: Mode, subject: Subject, shape: &[usize], numbers: &[(usize, f64, f64)], noise: f64) {
        let largest = numbers.iter().fold(0.0, |largest: f64, &(_, _, measured)| largest.max(measured.abs()));
        self.counts.push(Count { mode, subject, checked: numbers.len(), elements: shape.iter().product() });
        let entry = |&(at, derived, measured): &(usize, f64, f64)| {
            let apart = ((derived - measured).abs() - noise).max(0.0);
            let error = if derived == measured || apart == 0.0 { 0.0 } else { apart / largest };
            let error = if derived.is_finite() && measured.is_finite() { error } else { f64::INFINITY };
            Entry { mode, subject, index: index_of(at, shape), derived, measured, error }
        };
        self.entries.extend(numbers.iter().map(entry));
    }

    pub(super) fn sort(&mut self) {
        self.entries.sort_by(|a, b| b.error.total_cmp(&a.error));
    }

    /// Whether every derivative is within the tolerance.
    pub fn passed(&self) -> bool {
        self.worst().is_none_or(|entry| entry.error <= self.tolerance)
    }

    /// The entry that is furthest off.
    pub fn worst(&self) -> Option<&Entry> {
        self.entries.first()
    }

    /// All entries, the worst first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// For tests: nothing if every derivative is within the tolerance.
    ///
    /// # Panics
    /// With the table, if one is not.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert!(self.passed(), "{self}");
    }
}

/// The index of the element at a flat position.
fn index_of(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (place, &size) in index.iter_mut().zip(shape).rev() {
        (*place, at) = (at % size.max(1), at / size.max(1));
    }
    index
}

impl fmt::Display for GradReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "derivatives agree" } else { "DERIVATIVES DO NOT AGREE" };
        let worst = self.worst().map_or(0.0, |entry| entry.error);
        writeln!(
            f,
            "{verdict}: {} numbers, the worst off by {worst:.1e} of the largest of its tensor (tolerance {:.0e})",
            self.entries.len(),
            self.tolerance
        )?;
        for count in self.counts.iter().filter(|count| count.checked < count.elements) {
            writeln!(f, "of {} elements, {} were checked: {}, {}", count.elements, count.checked, count.mode.name(), count.subject)?;
        }
        write!(f, "{:20}  {:8}  {:12}  {:>23}  {:>23}  {:>8}", "mode", "of", "element", "derived", "measured", "error")?;
        for entry in self.entries.iter().take(SHOWN) {
            let (mode, subject, index) = (entry.mode.name(), entry.subject.to_string(), format!("{:?}", entry.index));
            write!(f, "\n{mode:20}  {subject:8}  {index:12}  {:>23e}  {:>23e}  {:>8.1e}", entry.derived, entry.measured, entry.error)?;
        }
        match self.entries.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more, none of them worse"),
        }
    }
}
