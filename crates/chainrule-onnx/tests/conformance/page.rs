//! The scoreboard, `docs/onnx.md`: written from what was found, and held against it.

use crate::cases::SUITES;
use crate::derivative::{Derivative, Trial};
use crate::reasons;
use chainrule_onnx::OPERATORS;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::path::PathBuf;

/// What came of a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Passed(Derivative),
    /// Fails, for a reason that is known.
    Expected(&'static str),
    /// Needs what is left out on purpose.
    NotApplicable(String),
    Failed(String),
}

/// A case and what came of it.
pub struct Found {
    pub suite: &'static str,
    pub name: String,
    pub operator: String,
    pub verdict: Verdict,
}

impl Found {
    /// What is wrong, if the case is not as it should be.
    pub fn complaint(&self) -> Option<String> {
        match &self.verdict {
            Verdict::Failed(why) => Some(format!("{} [{}]: {why}", self.name, self.operator)),
            Verdict::Passed(Derivative::Measured(error)) if error.is_nan() || *error > Trial::of(self.suite).limit => {
                Some(format!("{} [{}]: derivative off by {error:e}", self.name, self.operator))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]: {:?}", self.name, self.operator, self.verdict)
    }
}

/// Counts of a group of cases.
#[derive(Default)]
struct Row {
    cases: usize,
    passed: usize,
    expected: usize,
    not_applicable: usize,
    measured: usize,
    constant: usize,
    worst: f64,
}

impl Row {
    fn add(&mut self, verdict: &Verdict) {
        self.cases += 1;
        match verdict {
            Verdict::Passed(derivative) => {
                self.passed += 1;
                match derivative {
                    Derivative::Measured(error) => {
                        self.measured += 1;
                        self.worst = self.worst.max(*error);
                    }
                    Derivative::Constant => self.constant += 1,
                    Derivative::Nothing(_) => {}
                }
            }
            Verdict::Expected(_) => self.expected += 1,
            Verdict::NotApplicable(_) => self.not_applicable += 1,
            Verdict::Failed(_) => {}
        }
    }

    /// The counts, which must be as they are written.
    fn counts(&self) -> String {
        format!("{} | {} | {} | {} | {} | {}", self.cases, self.passed, self.expected, self.not_applicable, self.measured, self.constant)
    }

    /// The next power of ten above the worst error: what another machine rounds otherwise stays the same.
    fn decade(&self) -> String {
        if self.measured == 0 { "".into() } else { format!("1e{}", self.worst.max(1e-15).log10().ceil()) }
    }
}

const HEAD: &str = "cases | passed | expected to fail | not applicable | differentiated | piecewise constant | worst error";

fn table(first: &str, rows: &BTreeMap<String, Row>, versions: bool) -> String {
    let mut text = format!(
        "| {first} | {}{HEAD} |\n|---|{}---|---|---|---|---|---|---|\n",
        if versions { "since | " } else { "" },
        if versions { "---|" } else { "" }
    );
    for (name, row) in rows {
        let since = if versions { format!("{} | ", since(name)) } else { String::new() };
        let _ = writeln!(text, "| {name} | {since}{} | {} |", row.counts(), row.decade());
    }
    text
}

fn since(name: &str) -> String {
    let operator =
        OPERATORS.iter().find(|row| if row.domain.is_empty() { row.name == name } else { name == format!("{}:{}", row.domain, row.name) });
    operator.map_or_else(String::new, |row| row.since.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
}

fn page(found: &[Found]) -> String {
    let mut suites: BTreeMap<String, Row> = BTreeMap::new();
    let mut operators: BTreeMap<String, Row> = BTreeMap::new();
    let mut exceptions: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for one in found {
        let at = SUITES.iter().position(|suite| *suite == one.suite).unwrap_or(0);
        suites.entry(format!("{}. {}", at + 1, one.suite)).or_default().add(&one.verdict);
        suites.entry("all".into()).or_default().add(&one.verdict);
        operators.entry(one.operator.clone()).or_default().add(&one.verdict);
        if reasons::is_random(&one.name) {
            let how = "passed by sizes and element types, as values are drawn at random; differentiated with the draw held";
            exceptions.entry(how.into()).or_default().insert(&one.name);
        }
        match &one.verdict {
            Verdict::Expected(reason) => exceptions.entry(format!("expected to fail: {reason}")).or_default().insert(&one.name),
            Verdict::Passed(Derivative::Nothing(why)) => {
                exceptions.entry(format!("passed, and nothing to differentiate: {why}")).or_default().insert(&one.name)
            }
            Verdict::NotApplicable(reason) => exceptions.entry(format!("not applicable: {reason}")).or_default().insert(&one.name),
            _ => false,
        };
    }
    let mut text = String::from(INTRODUCTION);
    let _ = write!(text, "\n{}\n## By operator\n\n{}\n", table("suite", &suites, false), table("operator", &operators, true));
    let untested: Vec<String> = OPERATORS
        .iter()
        .map(|row| if row.domain.is_empty() { row.name.to_string() } else { format!("{}:{}", row.domain, row.name) })
        .filter(|name| !operators.contains_key(name))
        .collect();
    let _ = write!(text, "Known, and with no node case of their own: {}. {DRAWN}\n\n## Exceptions\n\n", untested.join(", "));
    for (reason, names) in &exceptions {
        let names: Vec<&str> = names.iter().copied().collect();
        let _ = writeln!(text, "- {reason} ({}): {}", names.len(), names.join(", "));
    }
    text
}

/// Held by `tests/library/random.rs`.
const DRAWN: &str = "Of these, RandomNormal and RandomUniform have no input, RandomNormalLike and RandomUniformLike take from \
    theirs nothing but its size and type, and Multinomial draws numbers of classes: none of them has a derivative.";

const INTRODUCTION: &str = "# ONNX: what passes

What `crates/chainrule-onnx` makes of the conformance suite of ONNX 1.22: models with inputs, and the outputs they must have
within a relative error of 1e-3 and an absolute one of 1e-7, which are the suite's own. Every case that passes and has floats at
both ends is also differentiated: the gradient of its outputs, weighted at random, by all float inputs and initializers, in
f64, against central differences along random directions; the worst error is given as a part of the derivative, rounded up
to a power of ten. *Piecewise constant* are cases whose derivative is zero wherever there is one, such as rounding. What is
drawn at random is drawn from the same seed each time. The last suite are nine networks (AlexNet, DenseNet, ResNet, VGG and
their kin) whose weights are one number, so that nothing depends on the picture: they are evaluated as they are, and
differentiated with weights and a picture drawn at random, along one direction in which the picture and all weights move, but
for the matrices of more than four million numbers. Cases that pass and have no derivative because there are no floats at one
end are listed below, with the reason.

Written by `WRITE_ONNX=1 cargo test -p chainrule-onnx --test conformance` and held against what is found by the same command
without the variable; the data are fetched by `crates/chainrule-onnx/conformance/fetch.sh`. Not edited by hand.
";

/// Writes the page, or holds it against what was found: the counts to the letter, the errors to ten times what is written.
pub fn hold(found: &[Found]) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/onnx.md");
    let now = page(found);
    if std::env::var_os("WRITE_ONNX").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap();
    let again = "; write it again with WRITE_ONNX=1";
    assert_eq!(written.lines().count(), now.lines().count(), "lines of docs/onnx.md{again}");
    for (written, now) in written.lines().zip(now.lines()) {
        let parts = |line: &str| -> (String, Option<f64>) {
            let Some((rest, last)) = line.trim_end_matches(" |").rsplit_once(" | ") else { return (line.into(), None) };
            match last.trim().parse() {
                Ok(error) => (rest.into(), Some(error)),
                Err(_) => (line.into(), None),
            }
        };
        let ((old, allowed), (new, measured)) = (parts(written), parts(now));
        assert_eq!(old, new, "a line of docs/onnx.md{again}");
        assert!(measured <= allowed.map(|allowed: f64| allowed * 10.0), "{now} is worse than {written}{again}");
    }
}
