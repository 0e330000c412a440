//! Gathers the target column and decides whether it holds classes or numbers.

use std::collections::HashMap;

use super::error::{CellProblem, shortened};
use super::{Column, DataProblem, Failure, MOST_CLASSES, MOST_INTEGER_CLASSES, Target, TargetKind, number_of};

/// Beyond this, neighbouring whole numbers are no longer told apart by a 64-bit float.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// The target's cells so far. Each row keeps 16 bytes, each distinct text is kept once.
pub(super) struct TargetColumn {
    column: Column,
    kind: TargetKind,
    cells: Vec<Value>,
    texts: HashMap<String, usize>,
    first_text: Option<String>,
    first_fraction: Option<String>,
}

#[derive(Clone, Copy)]
enum Value {
    Number(f64),
    /// An index into `texts`.
    Text(usize),
}

impl TargetColumn {
    pub(super) fn new(column: Column, kind: TargetKind) -> TargetColumn {
        TargetColumn { column, kind, cells: Vec::new(), texts: HashMap::new(), first_text: None, first_fraction: None }
    }

    pub(super) fn push(&mut self, text: &str) -> Result<(), DataProblem> {
        if self.cells.try_reserve(1).is_err() {
            return Err(DataProblem::OutOfMemory);
        }
        match number_of(text) {
            Ok(_) => self.push_number(text),
            Err(DataProblem::Cell { problem: CellProblem::Text, .. }) if self.kind != TargetKind::Numbers => self.push_text(text),
            Err(problem) => Err(problem),
        }
    }

    fn push_number(&mut self, text: &str) -> Result<(), DataProblem> {
        let Ok(number) = text.parse::<f64>() else {
            return Err(DataProblem::cell(CellProblem::Text, text));
        };
        let fraction = number.fract() != 0.0 || number.abs() > LARGEST_EXACT;
        if fraction && self.first_fraction.is_none() {
            self.first_fraction = Some(shortened(text));
            self.refuse_a_mixture()?;
        }
        // Adding zero turns -0 into 0: they are one class.
        self.cells.push(Value::Number(number + 0.0));
        Ok(())
    }

    fn push_text(&mut self, text: &str) -> Result<(), DataProblem> {
        if self.first_text.is_none() {
            self.first_text = Some(shortened(text));
            self.refuse_a_mixture()?;
        }
        let index = match self.texts.get(text) {
            Some(&index) => index,
            None if self.texts.len() >= MOST_CLASSES => return Err(DataProblem::TooManyClasses),
            None => {
                let index = self.texts.len();
                self.texts.insert(text.to_string(), index);
                index
            }
        };
        self.cells.push(Value::Text(index));
        Ok(())
    }

    /// Text and fractions together are a slip of the pen in one of the two, not classes.
    fn refuse_a_mixture(&self) -> Result<(), DataProblem> {
        match (self.kind, &self.first_text, &self.first_fraction) {
            (TargetKind::Detect, Some(text), Some(number)) => Err(DataProblem::MixedTarget { text: text.clone(), number: number.clone() }),
            _ => Ok(()),
        }
    }

    pub(super) fn finish(self) -> Result<Target, Failure> {
        let numbers = self.distinct_numbers();
        let classes = match self.kind {
            TargetKind::Classes => true,
            TargetKind::Numbers => false,
            TargetKind::Detect => self.first_text.is_some() || (self.first_fraction.is_none() && numbers.len() <= MOST_INTEGER_CLASSES),
        };
        if !classes {
            return Ok(Target::Numbers(self.as_numbers()));
        }
        if numbers.len() + self.texts.len() > MOST_CLASSES {
            let problem = DataProblem::TooManyClasses;
            return Err(Failure::at(None, Some(self.column), problem));
        }
        Ok(self.as_classes(&numbers))
    }

    fn as_numbers(&self) -> Vec<f32> {
        let number = |cell: &Value| match *cell {
            Value::Number(number) => Some(number as f32),
            Value::Text(_) => None,
        };
        self.cells.iter().filter_map(number).collect()
    }

    fn as_classes(&self, numbers: &[f64]) -> Target {
        let mut texts: Vec<(&str, usize)> = self.texts.iter().map(|(text, &index)| (text.as_str(), index)).collect();
        texts.sort_unstable();
        let mut place = vec![0; texts.len()];
        for (position, &(_, index)) in texts.iter().enumerate() {
            place[index] = numbers.len() + position;
        }
        let label = |cell: &Value| match *cell {
            Value::Text(index) => place[index],
            Value::Number(number) => numbers.partition_point(|&other| other < number),
        };
        let names = numbers.iter().map(f64::to_string);
        Target::Classes {
            labels: self.cells.iter().map(label).collect(),
            names: names.chain(texts.iter().map(|&(text, _)| text.to_string())).collect(),
        }
    }

    /// The distinct numbers in ascending order.
    fn distinct_numbers(&self) -> Vec<f64> {
        let number = |cell: &Value| match *cell {
            Value::Number(number) => Some(number),
            Value::Text(_) => None,
        };
        let mut numbers: Vec<f64> = self.cells.iter().filter_map(number).collect();
        numbers.sort_unstable_by(f64::total_cmp);
        numbers.dedup();
        numbers
    }
}
