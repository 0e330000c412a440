//! The cases: where they lie, and what it means to pass one.

use crate::derivative::{self, Derivative, Trial};
use crate::networks;
use crate::page::{Found, Verdict};
use crate::reasons;
use chainrule::Tensor;
use chainrule_onnx::{Error, ErrorKind, Model, Value, parse_value};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The folders of the suite.
pub const SUITES: [&str; 5] = ["node", "simple", "pytorch-operator", "pytorch-converted", "light"];
/// What may at most lie between a value and the wanted one, relative and absolute: those of ONNX's runner.
const RTOL: f64 = 1e-3;
const ATOL: f64 = 1e-7;

/// A case: a model with inputs and the outputs it must have.
pub struct Case {
    pub suite: &'static str,
    pub name: String,
    folder: PathBuf,
    model: PathBuf,
}

/// All cases, those whose name holds `only`.
pub fn list(data: &Path, only: Option<&str>) -> Vec<Case> {
    let mut all = Vec::new();
    for suite in SUITES {
        let Ok(entries) = std::fs::read_dir(data.join(suite)) else { continue };
        let mut folders: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.join("model.onnx").is_file()).collect();
        folders.sort();
        for folder in folders {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if only.is_none_or(|only| name.contains(only)) {
                all.push(Case { suite, name, model: folder.join("model.onnx"), folder });
            }
        }
    }
    all.extend(networks(data).into_iter().filter(|case| only.is_none_or(|only| case.name.contains(only))));
    all
}

/// Whole networks, with weights that are as short as can be: the last suite is files, not folders.
fn networks(data: &Path) -> Vec<Case> {
    let Ok(entries) = std::fs::read_dir(data.join("light")) else { return Vec::new() };
    let mut models: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|kind| kind == "onnx")).collect();
    models.sort();
    let case = |model: PathBuf| {
        let name = model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Case { suite: "light", name, folder: data.join("light"), model }
    };
    models.into_iter().map(case).collect()
}

impl Case {
    /// The model's file.
    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.model).unwrap_or_default()
    }
}

/// The inputs of each set as far as they can be read, for a model that may be damaged.
pub fn inputs(case: &Case, model: &Model) -> Vec<Vec<(String, Value)>> {
    sets(case, model).map(|sets| sets.into_iter().map(|set| set.inputs).collect()).unwrap_or_default()
}

/// Inputs by name, and the outputs that are wanted, in order.
pub struct Set {
    pub inputs: Vec<(String, Value)>,
    pub wanted: Vec<Value>,
}

fn files(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    (0..).map(|number| folder.join(format!("{prefix}_{number}.pb"))).take_while(|path| path.is_file()).collect()
}

/// What a network is given: the runner of ONNX makes it the same way.
fn made_up(model: &Model) -> Vec<(String, Value)> {
    let one = |declared: &chainrule_onnx::Declared| {
        let shape = declared.shape().unwrap_or_default();
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|at| (at as f64 / count as f64) as f32).collect();
        (declared.name.clone(), Value::Tensor(Tensor::from_slice(&values, shape)))
    };
    model.inputs().iter().map(one).collect()
}

fn sets(case: &Case, model: &Model) -> Result<Vec<Set>, Error> {
    if case.suite == "light" {
        let wanted = std::fs::read(case.folder.join(format!("{}_output_0.pb", case.name))).unwrap_or_default();
        return Ok(vec![Set { inputs: made_up(model), wanted: vec![parse_value(&wanted, &model.outputs()[0])?] }]);
    }
    let mut sets = Vec::new();
    for folder in (0..).map(|number| case.folder.join(format!("test_data_set_{number}"))).take_while(|path| path.is_dir()) {
        let read = |path: &PathBuf| std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut set = Set { inputs: Vec::new(), wanted: Vec::new() };
        for (path, declared) in files(&folder, "input").iter().zip(model.inputs()) {
            set.inputs.push((declared.name.clone(), parse_value(&read(path), declared)?));
        }
        for (path, declared) in files(&folder, "output").iter().zip(model.outputs()) {
            set.wanted.push(parse_value(&read(path), declared)?);
        }
        sets.push(set);
    }
    Ok(sets)
}

/// The operators of a model: the one it has, or several.
fn operators(case: &Case, model: &Model) -> String {
    let names: BTreeSet<String> =
        model.nodes().map(|(name, domain)| if domain.is_empty() { name.to_string() } else { format!("{domain}:{name}") }).collect();
    match names.len() {
        1 => names.into_iter().next().unwrap_or_default(),
        _ if case.suite == "light" => "whole networks".into(),
        _ => "several operators".into(),
    }
}

/// What came of a case.
pub fn judge(case: &Case) -> Found {
    let mut operator = String::from("unread");
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let model = Model::read(&case.model)?;
        operator = operators(case, &model);
        run(case, &model)
    }));
    let verdict = match outcome {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(error)) => refused(case, &error),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned().or(panic.downcast_ref::<&str>().map(|text| text.to_string()));
            Verdict::Failed(format!("a panic: {}", text.unwrap_or_default()))
        }
    };
    Found { suite: case.suite, name: case.name.clone(), operator, verdict }
}

/// An error is a failure, unless what the case needs is left out on purpose.
fn refused(case: &Case, error: &Error) -> Verdict {
    let unsupported = error.kind() == ErrorKind::Unsupported;
    match reasons::not_applicable(&case.name, error.message()) {
        Some(reason) if unsupported => Verdict::NotApplicable(reason),
        _ => Verdict::Failed(error.to_string()),
    }
}

fn run(case: &Case, model: &Model) -> Result<Verdict, Error> {
    let sets = sets(case, model)?;
    let mut worst = Derivative::Nothing("there are no data");
    for set in &sets {
        let inputs: Vec<(&str, Value)> = set.inputs.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let made = model.record_values(&inputs)?;
        // Where the suite allows more, it says so.
        let rtol = if case.name == "light_densenet121" { 2.0 * RTOL } else { RTOL };
        let wrong = if reasons::is_random(&case.name) { compare_shapes(&made, &set.wanted) } else { compare(&made, &set.wanted, rtol) };
        if let Some(wrong) = wrong {
            return Ok(match reasons::expected(&case.name) {
                Some(reason) => Verdict::Expected(reason),
                None => Verdict::Failed(wrong),
            });
        }
        let trial = Trial::of(case.suite);
        worst = worst.or(match case.suite {
            "light" => derivative::measure(networks::drawn(&case.model)?, &networks::pictures(set), &made, trial)?,
            _ => derivative::measure(Model::read(&case.model)?, set, &made, trial)?,
        });
    }
    if let Some(reason) = reasons::expected(&case.name) {
        return Ok(Verdict::Failed(format!("passes, and is expected to fail: {reason}")));
    }
    Ok(if sets.is_empty() { Verdict::Failed("has no data".into()) } else { Verdict::Passed(worst) })
}

fn compare_shapes(made: &[(String, Value)], wanted: &[Value]) -> Option<String> {
    made.iter().zip(wanted).find_map(|((name, made), wanted)| {
        let types = |value: &Value| value.tensors().iter().map(|t| (t.dtype(), t.shape().to_vec())).collect::<Vec<_>>();
        (types(made) != types(wanted)).then(|| format!("output '{name}' is {made:?}, not {wanted:?}"))
    })
}

/// What is wrong with the outputs, if something is.
fn compare(made: &[(String, Value)], wanted: &[Value], rtol: f64) -> Option<String> {
    if made.len() < wanted.len() {
        return Some(format!("{} outputs, not {}", made.len(), wanted.len()));
    }
    let all: Vec<&Tensor> = made.iter().flat_map(|(_, value)| value.tensors()).collect();
    if let Err(error) = Tensor::eval_all(&all) {
        return Some(format!("evaluation: {error}"));
    }
    made.iter().zip(wanted).find_map(|((name, made), wanted)| {
        let kinds = |value: &Value| (matches!(value, Value::Sequence(_)), value.tensors().len(), value.as_texts().cloned());
        if kinds(made) != kinds(wanted) {
            return Some(format!("output '{name}' is {made:?}, not {wanted:?}"));
        }
        made.tensors()
            .iter()
            .zip(wanted.tensors())
            .find_map(|(made, wanted)| apart(made, wanted, rtol).map(|wrong| format!("output '{name}' {wrong}")))
    })
}

fn apart(made: &Tensor, wanted: &Tensor, rtol: f64) -> Option<String> {
    if (made.dtype(), made.shape()) != (wanted.dtype(), wanted.shape()) {
        return Some(format!("is {} {:?}, not {} {:?}", made.dtype(), made.shape(), wanted.dtype(), wanted.shape()));
    }
    let read = |tensor: &Tensor| tensor.to_data().map(|data| data.to_f64()).unwrap_or_default();
    let (made, wanted) = (read(made), read(wanted));
    let close = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= ATOL + rtol * b.abs();
    let at = (0..wanted.len()).find(|&at| !close(made[at], wanted[at]))?;
    let count = (0..wanted.len()).filter(|&at| !close(made[at], wanted[at])).count();
    Some(format!("is {} at element {at}, not {}; {count} of {} differ", made[at], wanted[at], wanted.len()))
}
