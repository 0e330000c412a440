//! Figures of PyTorch, stored with the scripts that made them in `data/torch`.

use crate::check::{close, numbers, random, values};
use chainrule_engine::Tensor;
use std::collections::{BTreeMap, BTreeSet};

const TOLERANCE: f64 = 1e-11;

type Line = (&'static str, Vec<usize>, Vec<f64>);

/// Cases by name, and which of them were compared.
pub struct Stored {
    cases: BTreeMap<&'static str, Vec<Line>>,
    used: BTreeSet<String>,
}

impl Stored {
    /// The cases of a file whose names begin with `prefix`.
    pub fn new(text: &'static str, prefix: &str) -> Stored {
        let mut cases: BTreeMap<&str, Vec<Line>> = BTreeMap::new();
        let mut name = "";
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(next) = line.strip_prefix("case ") {
                name = next;
                assert!(cases.insert(name, Vec::new()).is_none(), "two cases are called {name}");
                continue;
            }
            let mut words = line.split(' ');
            let word = words.next().unwrap();
            let shape = words.next().unwrap().split('x').filter_map(|size| size.parse().ok()).collect();
            let figures = words.map(|number| number.parse().unwrap_or_else(|_| panic!("{name}: {number}"))).collect();
            cases.get_mut(name).unwrap().push((word, shape, figures));
        }
        cases.retain(|name, _| name.split(' ').next() == Some(prefix));
        Stored { cases, used: BTreeSet::new() }
    }

    /// Holds a value, and the gradients of its weighted sum by the inputs, to what is stored.
    #[track_caller]
    pub fn check(&mut self, name: &str, value: &Tensor, inputs: &[&Tensor]) {
        let lines = self.cases.get(name).unwrap_or_else(|| panic!("nothing is stored for '{name}'"));
        self.used.insert(name.into());
        value.check().unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut found = vec![value.clone()];
        if !inputs.is_empty() {
            let weights = random(value.shape(), 77).cast(value.dtype());
            found.extend((value * weights).sum().grad_or_zeros(inputs).unwrap_or_else(|error| panic!("{name}: {error}")));
        }
        assert_eq!(found.len(), lines.len(), "{name}: how many results");
        for (i, (found, (word, shape, expected))) in found.iter().zip(lines).enumerate() {
            assert_eq!(found.shape(), shape, "{name}: shape of {word} {i}");
            close(&format!("{name}: {word} {i}"), &digest(values(found)), expected, TOLERANCE);
        }
    }

    /// Nothing that is stored was left out.
    #[track_caller]
    pub fn finish(self) {
        let left: Vec<_> = self.cases.keys().filter(|name| !self.used.contains(**name)).collect();
        assert!(left.is_empty() && !self.used.is_empty(), "stored, but not compared: {left:?}");
    }
}

/// A few numbers as they are, of many two sums of products.
fn digest(found: Vec<f64>) -> Vec<f64> {
    if found.len() <= 6 {
        return found;
    }
    (0..2).map(|k| found.iter().zip(numbers(found.len(), 1000 + k)).map(|(a, b)| a * b).sum()).collect()
}
