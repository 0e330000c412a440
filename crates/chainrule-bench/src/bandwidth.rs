//! How near work on memory comes to what memory gives: elementwise functions and rows, out of cache, beside a copy.
//!
//! What a row moves is counted as what it must read and write at least, each number once; a copy as twice its length. Refuses
//! to know what a machine promises: the copy is measured beside each row, on as many threads.

use chainrule::functions::layer_norm;
use chainrule::loss::cross_entropy;
use chainrule::nn::{Dropout, Mode, Training};
use chainrule::{DType, Rng, Runtime, Step, Tensor};
use std::time::Instant;

/// Numbers of an array: 64 MiB of f32, more than caches hold.
const NUMBERS: usize = 16 << 20;
/// Numbers of a row.
const ROW: usize = 512;
/// Runs of a row, with a copy before each; medians count.
const RUNS: usize = 15;

/// One kind of work: bytes that each number moves at least, and the step.
struct Case {
    name: &'static str,
    bytes: usize,
    make: fn(&Runtime, &Tensor) -> chainrule::Result<Step>,
}

static CASES: &[Case] = &[
    Case { name: "add", bytes: 8, make: |runtime, x| alone(runtime, x, &(x + 1.5)) },
    Case { name: "gelu_tanh", bytes: 8, make: |runtime, x| alone(runtime, x, &x.gelu_tanh()) },
    Case { name: "layer norm", bytes: 8, make: |runtime, x| alone(runtime, x, &layer_norm(&rows(x), 1, None, None, 1e-5)) },
    Case { name: "softmax", bytes: 8, make: |runtime, x| alone(runtime, x, &rows(x).softmax(-1)) },
    Case { name: "cross-entropy, with gradient", bytes: 8, make: entropy },
    Case { name: "dropout", bytes: 8, make: dropout },
    Case { name: "AdamW", bytes: 28, make: adam_w },
];

/// Prints a line for each row, or for those whose names contain what is asked for. `THREADS` says on how many.
pub fn run(which: &[String]) -> Result<(), String> {
    let threads = std::env::var("THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let wanted = |case: &&Case| which.is_empty() || which.iter().any(|part| case.name.contains(part.as_str()));
    CASES.iter().filter(wanted).try_for_each(|case| measure(case, threads)).map_err(|error| error.to_string())
}

fn measure(case: &Case, threads: usize) -> chainrule::Result<()> {
    let runtime = Runtime::new(threads)?;
    let x = Tensor::placeholder([NUMBERS].as_slice(), DType::F32);
    let values = Tensor::randn([NUMBERS], &mut Rng::new(1)).to_leaf()?;
    let mut step = (case.make)(&runtime, &x)?;
    if std::env::var_os("KERNELS").is_some() {
        say!("{}", step.program().kernels.print());
    }
    let (from, mut to) = (vec![1.0f32; NUMBERS], vec![0.0f32; NUMBERS]);
    let (mut copies, mut runs) = (Vec::new(), Vec::new());
    step.run(&[&values])?;
    for _ in 0..RUNS {
        copies.push(8e-9 * NUMBERS as f64 / seconds(|| copy(&from, &mut to, threads)));
        let start = Instant::now();
        step.run(&[&values])?;
        runs.push(case.bytes as f64 * 1e-9 * NUMBERS as f64 / start.elapsed().as_secs_f64());
    }
    let (copies, runs) = (median(&mut copies), median(&mut runs));
    say!("{:30} {threads} threads {runs:6.1} GB/s, copy {copies:6.1} GB/s: {:4.0} %", case.name, 100.0 * runs / copies);
    Ok(())
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Each thread copies a part.
fn copy(from: &[f32], to: &mut [f32], threads: usize) {
    let part = from.len().div_ceil(threads.max(1));
    std::thread::scope(|scope| {
        for (from, to) in from.chunks(part).zip(to.chunks_mut(part)) {
            scope.spawn(|| to.copy_from_slice(from));
        }
    });
}

fn rows(x: &Tensor) -> Tensor {
    x.reshape([NUMBERS / ROW, ROW])
}

/// A step that computes `y` of `x` and nothing else.
pub fn alone(runtime: &Runtime, x: &Tensor, y: &Tensor) -> chainrule::Result<Step> {
    Step::capture_on(runtime, &[x], &[y], &[])
}

fn entropy(runtime: &Runtime, x: &Tensor) -> chainrule::Result<Step> {
    let labels: Vec<i64> = (0..NUMBERS / ROW).map(|row| (row * 37 % ROW) as i64).collect();
    let loss = cross_entropy(&rows(x), &Tensor::from_slice(&labels, [labels.len()]));
    let gradient = loss.grad(&[x])?.remove(0);
    Step::capture_on(runtime, &[x], &[&loss, &gradient], &[])
}

/// A fifth of all numbers dropped, each time others.
pub fn dropout(runtime: &Runtime, x: &Tensor) -> chainrule::Result<Step> {
    let mut training = Training::new(Rng::new(2));
    alone(runtime, x, &Dropout::new(0.2).forward(x, &mut Mode::Train(&mut training)))
}

/// The update of parameters, all 0.1 at first, whose gradient is given.
pub fn adam_w(runtime: &Runtime, g: &Tensor) -> chainrule::Result<Step> {
    let p = Tensor::full([g.len()], 0.1, DType::F32).to_leaf()?;
    let (m, v) = (p.zeros_like().to_leaf()?, p.zeros_like().to_leaf()?);
    let new_m = &m * 0.9 + g * 0.1;
    let new_v = &v * 0.999 + g * g * 0.001;
    let step = &new_m / (new_v.sqrt() + 1e-8) * 1e-3;
    Step::capture_on(runtime, &[g], &[], &[(&p, &(&p * (1.0 - 1e-5) - step)), (&m, &new_m), (&v, &new_v)])
}
