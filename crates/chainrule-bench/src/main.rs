//! One harness for all speed figures: `chainrule-bench steps [workload ...]` times full training
//! steps (forward, backward, AdamW) on the shared workloads and prints a line for each:
//! workload, name, median milliseconds of a step, milliseconds of the first step, loss.
//!
//! `chainrule-bench graph` times recording, differentiating and replaying; `chainrule-bench elements`
//! elementwise functions in cache; `chainrule-bench products` matrix products of the shapes met in the
//! workloads, with the feature `gemm` beside those of that crate.

mod elements;
mod graph;
mod models;
mod products;
mod steps;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((command, which)) if command == "steps" => steps::run(which),
        Some((command, [])) if command == "graph" => graph::run(),
        Some((command, [])) if command == "elements" => elements::run(),
        Some((command, which)) if command == "products" => products::run(which),
        _ => Err(format!(
            "usage: chainrule-bench steps [{}] | graph | elements | products [workload ...]     (threads: THREADS=n)",
            steps::names().join("|")
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}
