//! What a source makes public, read from its text: the language has no list of it.
//!
//! Refuses to be a parser: it knows functions at the left, methods one step to the right, and macros that write them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Public functions of files and folders, from the folder of the package: methods of tensors by their name alone, those of
/// another public type with it.
pub fn public(sources: &[&str]) -> BTreeSet<String> {
    let mut paths = Vec::new();
    for source in sources {
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(source), &mut paths);
    }
    let read = |path: &PathBuf| bare(&fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    let texts: Vec<String> = paths.iter().map(read).collect();
    let macros: Vec<Macro> = texts.iter().flat_map(|text| macros(text)).collect();
    let mut found = BTreeSet::new();
    for text in &texts {
        of_file(text, &mut found);
        macros.iter().for_each(|one| of_macro(one, text, &mut found));
    }
    found
}

/// Panics unless every public function has a row or a reason, one of them, and the other way round; and there are more than
/// a number of them, so that some were found.
#[track_caller]
pub fn none_is_missing(rows: &BTreeSet<String>, without: &[(&str, &[&str])], public: &BTreeSet<String>, least: usize) {
    let none: BTreeSet<String> = without.iter().flat_map(|(_, names)| names.iter().map(|name| name.to_string())).collect();
    let both: Vec<&String> = rows.intersection(&none).collect();
    assert!(both.is_empty(), "a row, and a reason for none: {both:?}");
    let known: BTreeSet<String> = rows.union(&none).cloned().collect();
    assert!(public.len() > least, "only {} public functions found", public.len());
    let missing: Vec<&String> = public.difference(&known).collect();
    assert!(missing.is_empty(), "no row in the table of derivatives, and no reason for that: {missing:?}");
    let unknown: Vec<&String> = known.difference(public).collect();
    assert!(unknown.is_empty(), "no public function: {unknown:?}");
}

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        entries.for_each(|entry| files(&entry.expect("an entry").path(), found));
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_path_buf());
    }
}

/// The source without comments, attributes and literals of strings.
fn bare(source: &str) -> String {
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_string();
    let lines: Vec<String> = source.lines().map(code).collect();
    let text = lines.join("\n").replace("\\\"", "");
    text.split('"').step_by(2).collect::<Vec<_>>().join("")
}

/// The words of a text: names, and what is between them left out.
fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).filter(|word| !word.is_empty()).collect()
}

/// What is between the bracket that opens at `at` and its counterpart, and where that is.
fn bracketed(text: &str, at: usize) -> (&str, usize) {
    let mut depth = 0;
    for (offset, c) in text[at..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' if depth == 1 => return (&text[at + 1..at + offset], at + offset),
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
    }
    panic!("a bracket that is not closed: {}", &text[at..][..40.min(text.len() - at)]);
}

/// The rows of a list in brackets that `;` or `,` ends, without what is in brackets itself.
fn listed(body: &str, end: char) -> Vec<String> {
    let (mut rows, mut row, mut depth) = (Vec::new(), String::new(), 0);
    for c in body.chars() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ if depth > 0 => {}
            c if c == end => rows.push(std::mem::take(&mut row)),
            c => row.push(c),
        }
    }
    rows.push(row);
    rows
}

/// A macro that writes public functions: the names in a row of its pattern, which of them are those of functions, and
/// what a row ends with.
struct Macro {
    name: String,
    names: Vec<String>,
    public: Vec<String>,
    end: char,
}

fn macros(text: &str) -> Vec<Macro> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("macro_rules! ") {
        let name = words(&text[at + 13..])[0].to_string();
        let (body, _) = bracketed(text, at + text[at..].find('{').expect("a body"));
        let public: Vec<String> = body.match_indices("pub fn $").map(|(at, _)| words(&body[at + 7..])[0].to_string()).collect();
        if public.is_empty() {
            continue;
        }
        let (pattern, _) = bracketed(body, body.find('(').expect("a pattern"));
        let (row, _) = bracketed(pattern, pattern.find('(').expect("a repetition"));
        let end = if row.trim_end().ends_with(';') { ';' } else { ',' };
        let row = row.replace("$(#[$doc:meta])*", "");
        let row = words(row.split(['=', '(']).next().unwrap_or_default());
        let literals: Vec<&str> = row.windows(2).filter(|pair| pair[1] == "literal").map(|pair| pair[0]).collect();
        let is_name = |word: &&str| !["ident", "literal"].contains(word) && !literals.contains(word);
        found.push(Macro { name, names: row.into_iter().filter(is_name).map(str::to_string).collect(), public, end });
    }
    found
}

/// Functions that the macro writes where a text calls it: the words of a row that stand where its pattern has their names.
fn of_macro(one: &Macro, text: &str, found: &mut BTreeSet<String>) {
    for (at, _) in text.match_indices(&format!("\n{}! {{", one.name)) {
        let (body, _) = bracketed(text, at + one.name.len() + 3);
        for row in listed(body, one.end) {
            let row = words(row.split('=').next().unwrap_or_default());
            let row = row.into_iter().filter(|word| word.parse::<u64>().is_err());
            let named = one.names.iter().zip(row).filter(|(name, _)| one.public.contains(name));
            found.extend(named.map(|(_, word)| word.to_string()));
        }
    }
}

/// Functions that a file makes public, methods of tensors by their name alone, those of another type with it.
fn of_file(text: &str, found: &mut BTreeSet<String>) {
    let mut owner = String::new();
    for line in text.lines() {
        if !line.starts_with([' ', '}', '\n']) && !line.is_empty() {
            owner.clear();
        }
        if line.starts_with("impl") {
            let named = line.trim_start_matches("impl").trim_start_matches('<').trim_end_matches(" {");
            let named = named.rsplit("> ").find(|part| !part.is_empty()).unwrap_or(named);
            owner = words(named)[0].to_string();
        }
        let Some(name) = line.trim_start().strip_prefix("pub fn ").map(|rest| words(rest)[0]) else { continue };
        if name.starts_with('$') || line.starts_with("        ") {
            continue;
        }
        match (line.starts_with("    "), owner.as_str()) {
            (false, _) | (true, "Tensor") => found.insert(name.into()),
            (true, other) if ["struct", "enum"].iter().any(|kind| text.contains(&format!("\npub {kind} {other}"))) => {
                found.insert(format!("{other}::{name}"))
            }
            _ => false,
        };
    }
}
