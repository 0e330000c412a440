//! Times functions beside PyTorch's of the same name: linear algebra (with the feature `linalg`), segments, Fourier
//! transforms, sorting and what networks are made of. `peers/torch_functions.py` has the same table; `KERNELS=1` prints ours.
//!
//! Refuses to compare what is not the same: a row that only one side has is shown without a ratio.

mod layers;
mod table;

use chainrule::{DType, Rng, Runtime, Step, Tensor};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use table::{Row, rows};

/// Seconds for which a row is repeated.
const PATIENCE: f64 = 0.3;

/// Milliseconds of a function's value, and of value and gradient together, if it has one.
#[derive(Clone, Copy)]
struct Times {
    value: f64,
    gradient: Option<f64>,
}

/// Prints a line for each row whose name contains one of the words (all, if there are none): milliseconds of the value, and of
/// value and gradient; with `--peers DIR` those of PyTorch, and how many times as long ours take.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let (mut peers, mut words) = (None, Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--peers" => peers = Some(PathBuf::from(arguments.next().ok_or("--peers needs a value")?)),
            option if option.starts_with('-') => return Err(format!("no option '{option}'; there is --peers DIR")),
            word => words.push(word.to_string()),
        }
    }
    let rows: Vec<Row> = rows().into_iter().filter(|row| words.is_empty() || words.iter().any(|word| row.name.contains(word))).collect();
    if rows.is_empty() {
        return Err(format!("no function's row contains {}", words.join(" or ")));
    }
    let threads = std::env::var("THREADS").ok().map_or(Ok(2), |text| text.parse()).map_err(|_| "THREADS is a whole number".to_string())?;
    let runtime = Runtime::new(threads).map_err(|error| error.to_string())?;
    let theirs = peers.map_or(Ok(HashMap::new()), |environment| peer(environment, &rows))?;
    say!("{:32} {:>10} {:>10}   value and gradient, ms; PyTorch's; ours by theirs", "", "value", "gradient");
    for row in &rows {
        let ours = measure(row, &runtime).map_err(|error| format!("{}: {error}", row.name))?;
        say!("{}", line(&row.name, ours, theirs.get(&row.name).copied()));
    }
    Ok(())
}

fn line(name: &str, ours: Times, theirs: Option<Times>) -> String {
    let of = |number: Option<f64>| number.map_or_else(|| format!("{:>10}", "-"), |ms| format!("{ms:10.3}"));
    let mut line = format!("{name:32} {} {}", of(Some(ours.value)), of(ours.gradient));
    if let Some(theirs) = theirs {
        let gradient = ours.gradient.zip(theirs.gradient).map(|(own, other)| own / other);
        line +=
            &format!("   {} {}   x {} {}", of(Some(theirs.value)), of(theirs.gradient), of(Some(ours.value / theirs.value)), of(gradient));
    }
    line
}

fn measure(row: &Row, runtime: &Runtime) -> chainrule::Result<Times> {
    let mut rng = Rng::new(7);
    let leaves = (row.inputs)(&mut rng).iter().map(Tensor::to_leaf).collect::<chainrule::Result<Vec<_>>>()?;
    let places: Vec<Tensor> = leaves.iter().map(|leaf| Tensor::placeholder(leaf.shape(), leaf.dtype())).collect();
    let results = (row.function)(&places);
    let value = time(runtime, &places, &results, &leaves)?;
    let smooth: Vec<&Tensor> = results.iter().filter(|result| matches!(result.dtype(), DType::F32 | DType::F64)).collect();
    let variables: Vec<&Tensor> = places.iter().filter(|place| place.dtype().is_float()).collect();
    if smooth.is_empty() {
        return Ok(Times { value, gradient: None });
    }
    let mut sum = Tensor::scalar(0.0, smooth[0].dtype());
    for result in smooth {
        let weights = (Tensor::rand(result.shape(), &mut rng) - 0.5).cast(result.dtype()).to_leaf()?;
        sum = sum + (result * weights).sum();
    }
    let gradients = sum.grad(&variables)?;
    Ok(Times { value, gradient: Some(time(runtime, &places, &gradients, &leaves)?) })
}

/// The median of as many runs as there is patience for, in milliseconds.
fn time(runtime: &Runtime, places: &[Tensor], results: &[Tensor], leaves: &[Tensor]) -> chainrule::Result<f64> {
    let (places, results): (Vec<&Tensor>, Vec<&Tensor>) = (places.iter().collect(), results.iter().collect());
    let leaves: Vec<&Tensor> = leaves.iter().collect();
    let mut step = Step::capture_on(runtime, &places, &results, &[])?;
    if std::env::var_os("KERNELS").is_some() {
        say!("{}", step.program().kernels.print());
    }
    step.run(&leaves)?;
    let (mut times, begin) = (Vec::new(), Instant::now());
    while times.len() < 3 || (begin.elapsed().as_secs_f64() < PATIENCE && times.len() < 1000) {
        let start = Instant::now();
        step.run(&leaves)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// What the peer's script says of the rows.
fn peer(environment: PathBuf, rows: &[Row]) -> Result<HashMap<String, Times>, String> {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/torch_functions.py");
    let python = environment.join("bin/python");
    let output = Command::new(&python).arg(script).args(rows.iter().map(|row| &row.name)).output();
    let output = output.map_err(|error| format!("{} does not run: {error}", python.display()))?;
    if !output.status.success() {
        return Err(format!("the peer's script failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let number = |text: &str| text.parse::<f64>().ok().filter(|ms| *ms > 0.0);
    let mut found = HashMap::new();
    for text in String::from_utf8_lossy(&output.stdout).lines() {
        let [name, value, gradient] = text.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(format!("not of the form 'NAME VALUE GRADIENT': '{text}'"));
        };
        let value = number(value).ok_or_else(|| format!("no time of a value in '{text}'"))?;
        found.insert(name.to_string(), Times { value, gradient: number(gradient) });
    }
    Ok(found)
}
