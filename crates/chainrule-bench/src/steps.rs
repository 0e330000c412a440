//! Times full training steps.

use crate::models::{self, Gpt, Recording, Workload};
use chainrule::backend::cpu::executor::Executor;
use chainrule::compile::graph::Graph;
use chainrule::compile::kernel::Kernel;
use chainrule::compile::pipeline::compile;
use chainrule::{DType, Options, Precision, Runtime, Step, Tensor};
use std::time::Instant;

/// A workload by name, with the number of timed steps.
struct Row {
    name: &'static str,
    build: fn() -> Recording,
    steps: usize,
    /// Whether AdamW follows the gradient.
    optimise: bool,
}

static ROWS: &[Row] = &[
    Row { name: "mlp_digits", build: || models::mlp(&[64, 32, 10], 32), steps: 300, optimise: true },
    Row { name: "mlp_mnist", build: || models::mlp(&[784, 512, 256, 10], 128), steps: 60, optimise: true },
    Row { name: "cnn_mnist", build: models::cnn, steps: 20, optimise: true },
    Row {
        name: "gpt_nano",
        build: || models::gpt(Gpt { vocabulary: 65, layers: 4, heads: 4, width: 128, length: 64, batch: 12 }),
        steps: 20,
        optimise: true,
    },
    Row {
        name: "gpt_mid",
        build: || models::gpt(Gpt { vocabulary: 65, layers: 6, heads: 6, width: 384, length: 256, batch: 8 }),
        steps: 4,
        optimise: true,
    },
    Row { name: "lstm", build: models::lstm, steps: 10, optimise: true },
    Row { name: "pinn", build: models::pinn, steps: 30, optimise: false },
];

/// The names of the workloads.
pub fn names() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.name).collect()
}

/// Times the workloads named, or all.
pub fn run(which: &[String]) -> Result<(), String> {
    if let Some(unknown) = which.iter().find(|name| !names().contains(&name.as_str())) {
        return Err(format!("no workload '{unknown}'; there are {}", names().join(", ")));
    }
    let threads = std::env::var("THREADS").ok().map_or(Ok(2), |text| text.parse()).map_err(|_| "THREADS is a whole number".to_string())?;
    let runtime = Runtime::new(threads).map_err(|error| error.to_string())?.with_precision(precision()?);
    for row in ROWS.iter().filter(|row| which.is_empty() || which.iter().any(|name| name == row.name)) {
        time(row, &runtime).map_err(|error| format!("{}: {error}", row.name))?;
    }
    Ok(())
}

/// The precision that `PRECISION` names.
pub fn precision() -> Result<Precision, String> {
    std::env::var("PRECISION").ok().map_or(Ok(Precision::default()), |name| name.parse())
}

/// Milliseconds from the parameters of a workload to its captured step, several times.
pub fn time_captures(name: &str, count: usize) -> chainrule::Result<Vec<f64>> {
    let Some(row) = ROWS.iter().find(|row| row.name == name) else { return Ok(Vec::new()) };
    let runtime = Runtime::new(1)?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let record = (row.build)();
        chainrule::compile::program::clear_cache()?;
        let start = Instant::now();
        let workload = record()?;
        let step = capture(row, &runtime, &workload)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        drop(step);
    }
    Ok(times)
}

fn time(row: &Row, runtime: &Runtime) -> chainrule::Result<()> {
    // Parameters and data are there before the first step, as in the peers' scripts.
    let record = (row.build)();
    let start = Instant::now();
    let workload = record()?;
    let setup = start.elapsed();
    let mut step = capture(row, runtime, &workload)?;
    let captured = start.elapsed();
    // The step has parameters of its own; those of the recording, and the graph, are not needed again.
    let Workload { mut batch, .. } = workload;
    if row.optimise {
        batch.push(number(1.0));
    }
    step.run(&batch.iter().collect::<Vec<_>>())?;
    let first = start.elapsed();
    let mut times = Vec::with_capacity(row.steps);
    for i in 0..row.steps + 3 {
        if row.optimise {
            *batch.last_mut().unwrap_or(&mut number(0.0)) = number(i as f64 + 2.0);
        }
        let inputs: Vec<&Tensor> = batch.iter().collect();
        let start = Instant::now();
        step.run(&inputs)?;
        if i >= 3 {
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    say!(
        "{:12} chainrule      {:9.4} ms  least {:9.4} ms  first {:9.1} ms  loss {:.4}  products {:.6} GFLOP",
        row.name,
        times[times.len() / 2],
        times[0],
        first.as_secs_f64() * 1e3,
        step.item(0),
        step.program().kernels.kernels.iter().map(operations).sum::<f64>() / 1e9
    );
    if std::env::var_os("VERBOSE").is_some() {
        let (kernels, waves) = (step.program().kernels.kernels.len(), step.program().schedule.waves.len());
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        say!(
            "  {kernels} kernels, {waves} waves, {} KB; recorded in {:.1} ms, captured in {:.1} ms",
            step.arena_bytes() / 1024,
            ms(setup),
            ms(captured - setup)
        );
        if std::env::var_os("KERNELS").is_some() {
            say!("{}", step.program().kernels.print());
        }
        profile(&mut step, &batch.iter().collect::<Vec<_>>())?;
    }
    Ok(())
}

/// The kernels that take longest, summed by source line, on one thread.
fn profile(step: &mut Step, inputs: &[&Tensor]) -> chainrule::Result<()> {
    let mut lines: Vec<(String, f64, usize, f64)> = Vec::new();
    let mut total = 0.0;
    // The least of several runs: what else the machine does only ever adds.
    let mut rows = step.profile(inputs)?;
    for _ in 0..5 {
        for (known, (.., again)) in rows.iter_mut().zip(step.profile(inputs)?) {
            known.2 = known.2.min(again);
        }
    }
    for (k, origin, nanoseconds) in rows {
        let kernel = &step.program().kernels.kernels[k];
        let kind = format!("{kernel:?}").split(['(', '{', ' ']).next().unwrap_or("").to_string();
        let size = match kernel {
            Kernel::Region(region) => format!("{:?}/{} x {}", region.axes, region.row_axes, region.code.len()),
            Kernel::Contract(c) => format!("{:?} {:?} {:?} {:?}", c.batch, c.m, c.n, c.k),
            _ => String::new(),
        };
        let flops = operations(kernel);
        let name = format!("{kind:9} {:38} {}{}", size, origin.place(), if origin.is_backward() { " backward" } else { "" });
        total += nanoseconds;
        match lines.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, sum, count, work)) => (*sum, *count, *work) = (*sum + nanoseconds, *count + 1, *work + flops),
            None => lines.push((name, nanoseconds, 1, flops)),
        }
    }
    lines.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (name, nanoseconds, count, flops) in lines.iter().take(25) {
        say!("  {:8.1} us {:4.1} % {:5.1} GFLOP/s {count:3} x {name}", nanoseconds / 1e3, nanoseconds / total * 100.0, flops / nanoseconds);
    }
    Ok(())
}

/// Multiplications and additions of a product; what other kernels do is not counted.
fn operations(kernel: &Kernel) -> f64 {
    match kernel {
        Kernel::Contract(c) => 2.0 * [&c.batch, &c.m, &c.n, &c.k].into_iter().flatten().map(|&size| size as f64).product::<f64>(),
        _ => 0.0,
    }
}

fn number(value: f64) -> Tensor {
    Tensor::from_slice(&[value as f32], ())
}

/// A step as a graph: what it is given, what it computes, and which states it replaces.
struct Whole {
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    updates: Vec<(Tensor, Tensor)>,
}

/// The whole step: loss, gradients, AdamW (rate 1e-3, decay 0.01).
fn whole(row: &Row, workload: &Workload) -> chainrule::Result<Whole> {
    let parameters: Vec<&Tensor> = workload.parameters.iter().collect();
    let gradients = workload.loss.grad(&parameters)?;
    let mut inputs = workload.inputs.clone();
    if !row.optimise {
        let outputs = std::iter::once(workload.loss.clone()).chain(gradients).collect();
        return Ok(Whole { inputs, outputs, updates: Vec::new() });
    }
    let t = Tensor::placeholder([0usize; 0].as_slice(), DType::F32);
    let correction = |beta: f64| 1.0 - (&t * beta.ln()).exp();
    // As `optim::AdamW` and PyTorch have it: what is the same for all numbers is computed once.
    let (rate, scale) = (1e-3 / correction(0.9), 1.0 / correction(0.999).sqrt());
    let mut updates = Vec::with_capacity(3 * parameters.len());
    for (p, g) in workload.parameters.iter().zip(&gradients) {
        let (m, v) = (p.zeros_like().to_leaf()?, p.zeros_like().to_leaf()?);
        let new_m = &m * 0.9 + g * 0.1;
        let new_v = &v * 0.999 + g * g * 0.001;
        let step = &new_m / (new_v.sqrt() * &scale + 1e-8) * &rate;
        updates.extend([(p.clone(), p * (1.0 - 1e-5) - step), (m, new_m), (v, new_v)]);
    }
    inputs.push(t);
    Ok(Whole { inputs, outputs: vec![workload.loss.clone()], updates })
}

/// The whole step as one program, states in place.
fn capture(row: &Row, runtime: &Runtime, workload: &Workload) -> chainrule::Result<Step> {
    let Whole { inputs, outputs, updates } = whole(row, workload)?;
    let (inputs, outputs): (Vec<&Tensor>, Vec<&Tensor>) = (inputs.iter().collect(), outputs.iter().collect());
    let updates: Vec<(&Tensor, &Tensor)> = updates.iter().map(|(old, new)| (old, new)).collect();
    Step::capture_on(runtime, &inputs, &outputs, &updates)
}

/// Prints what each part of the way from parameters to a program takes: the first time, when all memory and code is
/// new to the process, and the least of several times.
pub fn passes(which: &[String]) -> Result<(), String> {
    if let Some(unknown) = which.iter().find(|name| !names().contains(&name.as_str())) {
        return Err(format!("no workload '{unknown}'; there are {}", names().join(", ")));
    }
    for row in ROWS.iter().filter(|row| which.is_empty() || which.iter().any(|name| name == row.name)) {
        let mut first: Vec<(&str, f64)> = Vec::new();
        let mut least: Vec<f64> = Vec::new();
        for _ in 0..20 {
            let times = time_passes(row).map_err(|error| format!("{}: {error}", row.name))?;
            least.resize(times.len(), f64::INFINITY);
            least.iter_mut().zip(&times).for_each(|(least, (_, time))| *least = least.min(*time));
            first = if first.is_empty() { times } else { first };
        }
        say!("{}", row.name);
        for ((name, first), least) in first.iter().zip(&least) {
            say!("  {name:10} first {first:7.2} ms, least {least:7.2} ms");
        }
        let (first, least): (f64, f64) = (first.iter().map(|(_, first)| first).sum(), least.iter().sum());
        say!("  {:10} first {first:7.2} ms, least {least:7.2} ms", "all");
    }
    Ok(())
}

/// Milliseconds of each part of the way from parameters to a program.
fn time_passes(row: &Row) -> chainrule::Result<Vec<(&'static str, f64)>> {
    let record = (row.build)();
    let mut times = Vec::new();
    let mut start = Instant::now();
    let mut done = |name, times: &mut Vec<(&'static str, f64)>| {
        times.push((name, start.elapsed().as_secs_f64() * 1e3));
        start = Instant::now();
    };
    let workload = record()?;
    done("record", &mut times);
    let Whole { outputs, updates, .. } = whole(row, &workload)?;
    done("gradients", &mut times);
    let roots: Vec<&Tensor> = updates.iter().map(|(_, new)| new).chain(&outputs).collect();
    let (graph, leaves, _) = Graph::of(&roots);
    let leaf_of = |tensor: &Tensor| leaves.iter().position(|leaf| leaf.is(tensor)).map(|at| at as u32);
    let replaced: Vec<Option<u32>> = updates.iter().map(|(old, _)| leaf_of(old)).chain(outputs.iter().map(|_| None)).collect();
    done("graph", &mut times);
    let compilation = compile(graph, &replaced, Options::default(), |name, _, time| times.push((name, time.as_secs_f64() * 1e3)));
    done("", &mut Vec::new());
    Executor::new(&compilation.kernels, &compilation.schedule)?;
    done("kernels", &mut times);
    Ok(times)
}
