//! The parts of `docs/derivatives.md`, each a table that a test measures. Written where `WRITE_DERIVATIVES` is set, and
//! compared with what is there otherwise.
//!
//! Refuses to be edited by hand: a row that is missing, or better than what is measured, fails.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

const PAGE: &str = "docs/derivatives.md";
const AGAIN: &str = "; write the page again, as its first lines say";
const HEAD: &str = "# Derivatives, and how they were checked\n\n\
    Worst errors in f64, as the power of ten above them, relative to the largest number of their tensor. Written by\n\n\
    ```sh\n\
    WRITE_DERIVATIVES=1 cargo test -p chainrule-engine --test every_op --test every_function table\n\
    WRITE_DERIVATIVES=1 cargo test -p chainrule --features linalg --test library table\n\
    ```\n\n\
    The same tests fail if a row is missing, or no longer true. Differences have some ten digits themselves. A dash: nothing to be \
    measured.\n";

/// The parts, as they follow each other.
const ORDER: [&str; 3] = ["Operations", "Functions", "Linear algebra"];

/// A table by name: what was measured, and what else is said.
pub struct Part {
    pub title: &'static str,
    pub text: &'static str,
    /// A sentence that README may have, too.
    pub totals: String,
    pub subject: &'static str,
    pub measured: &'static [&'static str],
    /// By column, what is as good as nothing.
    pub least: &'static [f64],
    pub said: &'static [&'static str],
    pub rows: BTreeMap<String, (Vec<Option<f64>>, Vec<String>)>,
    pub below: String,
}

/// The power of ten at or above an error.
fn bound(error: f64) -> String {
    if error == 0.0 { "exact".into() } else { format!("1e{}", error.log10().ceil() as i32) }
}

fn number(bound: &str) -> Option<f64> {
    if bound == "exact" { Some(0.0) } else { bound.parse().ok() }
}

fn cells(line: &str) -> Vec<String> {
    line.split('|').map(|cell| cell.trim().to_string()).collect()
}

/// Where a file of the repository is.
fn file(name: &str) -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// The text of a file of the repository.
pub fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The parts of the page, without its head.
fn parts(page: &str) -> Vec<(String, String)> {
    let part = |text: &str| (text.lines().next().unwrap_or_default().to_string(), format!("## {}\n", text.trim_end()));
    page.split("\n## ").skip(1).map(part).collect()
}

impl Part {
    fn text(&self) -> String {
        let mut text = format!("## {}\n\n{}\n\nIn all: {}.\n\n", self.title, self.text, self.totals);
        let _ = writeln!(text, "| {} | {} | {} |", self.subject, self.measured.join(" | "), self.said.join(" | "));
        let _ = writeln!(text, "|---|{}{}", "---:|".repeat(self.measured.len()), "---|".repeat(self.said.len()));
        for (name, (errors, said)) in &self.rows {
            let errors: Vec<String> = errors.iter().map(|error| error.map_or("-".into(), bound)).collect();
            let _ = writeln!(text, "| `{name}` | {} | {} |", errors.join(" | "), said.join(" | "));
        }
        if !self.below.is_empty() {
            let _ = writeln!(text, "\n{}", self.below.trim_end());
        }
        text
    }

    /// Panics unless every error is at most what is allowed in its column.
    #[track_caller]
    pub fn keep_within(&self, limits: &[f64]) {
        let mut failures = Vec::new();
        for (name, (errors, _)) in &self.rows {
            for ((column, error), limit) in self.measured.iter().zip(errors).zip(limits) {
                if error.is_some_and(|error| error > *limit) {
                    failures.push(format!("{name}, {column}: {error:?}, at most {limit:e} allowed"));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    /// Writes the part if that is asked for. Panics unless what is written is true.
    #[track_caller]
    pub fn hold(&self) {
        if std::env::var_os("WRITE_DERIVATIVES").is_some() {
            self.write();
        }
        let (_, written) = parts(&read(PAGE)).into_iter().find(|(title, _)| title == self.title).unwrap_or_default();
        let text = self.text();
        let rows = |text: &str| -> Vec<Vec<String>> { text.lines().filter(|line| line.starts_with("| `")).map(cells).collect() };
        let found: BTreeMap<String, Vec<String>> = rows(&written).into_iter().map(|row| (row[1].clone(), row)).collect();
        assert_eq!(found.len(), self.rows.len(), "rows of {PAGE}, {}{AGAIN}", self.title);
        for (now, (name, (errors, _))) in rows(&text).iter().zip(&self.rows) {
            let then = found.get(&now[1]).unwrap_or_else(|| panic!("`{name}` is missing{AGAIN}"));
            // What is measured may differ by a power of ten where a processor rounds otherwise; the rest may not.
            let said = 2 + errors.len();
            assert_eq!(now[said..], then[said..], "`{name}`{AGAIN}");
            for (at, error) in errors.iter().enumerate() {
                let said = number(&then[2 + at]);
                let holds = match (error, said) {
                    (Some(error), Some(said)) => *error <= (10.0 * said).max(self.least[at]),
                    (None, None) => true,
                    _ => false,
                };
                assert!(holds, "`{name}`, {}: {error:?} measured, {said:?} written{AGAIN}", self.measured[at]);
            }
        }
        let prose = |text: &str| text.lines().filter(|line| !line.starts_with("| `")).map(str::to_string).collect::<Vec<_>>();
        assert_eq!(prose(&text), prose(&written), "what {PAGE} says beside rows, {}{AGAIN}", self.title);
    }

    fn write(&self) {
        let mut all = parts(&read(PAGE));
        match all.iter_mut().find(|(title, _)| title == self.title) {
            Some((_, text)) => *text = self.text(),
            None => all.push((self.title.into(), self.text())),
        }
        all.sort_by_key(|(title, _)| ORDER.iter().position(|known| known == title));
        let texts: Vec<String> = all.into_iter().map(|(_, text)| text).collect();
        std::fs::write(file(PAGE), format!("{HEAD}\n{}", texts.join("\n"))).unwrap_or_else(|error| panic!("{PAGE}: {error}"));
    }
}
