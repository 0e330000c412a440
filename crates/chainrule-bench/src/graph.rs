//! Times recording, differentiating, and replaying a step of scalar operations, and compiling a large step.

use crate::steps;
use chainrule::{Runtime, Step, Tensor};
use std::time::Instant;

/// Prints nanoseconds per node of recording plus differentiating, and microseconds of replaying a
/// captured step of 1,000 scalar operations, and milliseconds of recording, differentiating and compiling steps.
pub fn run() -> Result<(), String> {
    measure().map_err(|error| error.to_string())
}

fn measure() -> chainrule::Result<()> {
    let mut per_node = Vec::new();
    for _ in 0..60 {
        let x = Tensor::from_slice(&[0.5f32], ());
        let before = Tensor::from_slice(&[0.0f32], ()).id();
        let start = Instant::now();
        let y = chain(&x, 2000);
        let gradient = y.grad(&[&x])?;
        let time = start.elapsed();
        let nodes = Tensor::from_slice(&[0.0f32], ()).id() - before;
        per_node.push(time.as_nanos() as f64 / nodes as f64);
        drop(gradient);
    }
    per_node.sort_by(f64::total_cmp);
    say!(
        "record and differentiate: {:.0} ns per node (median of {}, least {:.0})",
        per_node[per_node.len() / 2],
        per_node.len(),
        per_node[0]
    );

    let w = Tensor::from_slice(&[0.5f32], ());
    let y = chain(&w, 1000);
    let mut step = Step::capture_on(&Runtime::new(1)?, &[], &[&y], &[])?;
    let mut times = Vec::new();
    for _ in 0..2000 {
        let start = Instant::now();
        step.run(&[])?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    say!("replay of 1,000 scalar operations: {:.1} us (median of {}, least {:.1})", times[times.len() / 2], times.len(), times[0]);
    for name in ["gpt_nano", "lstm"] {
        let mut times = steps::time_captures(name, 40)?;
        times.sort_by(f64::total_cmp);
        say!("recording and compiling a step of {name}: {:.1} ms (median of {})", times[times.len() / 2], times.len());
    }
    Ok(())
}

/// `count` operations on scalars, one after the other.
fn chain(x: &Tensor, count: usize) -> Tensor {
    let mut y = x.clone();
    for i in 0..count {
        y = match i % 4 {
            0 => y.sin(),
            1 => &y * x,
            2 => y.tanh(),
            _ => &y + x,
        };
    }
    y
}
