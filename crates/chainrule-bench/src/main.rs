//! One harness for all speed figures: `chainrule-bench steps [workload ...]` times full training
//! steps (forward, backward, AdamW) on the shared workloads and prints a line for each:
//! workload, name, median milliseconds of a step, milliseconds of the first step, loss, GFLOP of the
//! step's products. `chainrule-bench compare` times them in turn with the peers, several rounds, and
//! prints tables of times, ratios and shares of the machine's peak.
//!
//! `chainrule-bench graph` times recording, differentiating and replaying; `chainrule-bench passes` each
//! part of the way from parameters to a program; `chainrule-bench elements` elementwise functions in
//! cache; `chainrule-bench by-hand` kernels beside loops written by hand for them; `chainrule-bench products` matrix products of the shapes met in the workloads, with the
//! feature `gemm` beside those of that crate; `chainrule-bench convolutions` convolutions and their gradients;
//! `chainrule-bench functions` single functions beside PyTorch's;
//! `chainrule-bench bandwidth` elements and rows out of cache, beside a copy;
//! `chainrule-bench loops` training steps of recurrent networks, in loops of the graph and unrolled.

/// `println!` for results; see [`say`].
macro_rules! say {
    ($($text:tt)*) => { crate::say(&format!($($text)*)) };
}

mod bandwidth;
mod by_hand;
mod compare;
mod convolutions;
mod elements;
mod functions;
mod graph;
mod loops;
mod models;
mod peak;
mod products;
mod steps;

use chainrule::Precision;
use chainrule::io::output::Output;
use std::process::{ExitCode, exit};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((command, which)) if command == "steps" => steps::run(which),
        Some((command, arguments)) if command == "compare" => compare::run(arguments),
        Some((command, [])) if command == "graph" => graph::run(),
        Some((command, which)) if command == "passes" => steps::passes(which),
        Some((command, [])) if command == "elements" => elements::run(),
        Some((command, which)) if command == "by-hand" => by_hand::run(which),
        Some((command, which)) if command == "bandwidth" => bandwidth::run(which),
        Some((command, which)) if command == "products" => products::run(which),
        Some((command, which)) if command == "convolutions" => convolutions::run(which),
        Some((command, arguments)) if command == "functions" => functions::run(arguments),
        Some((command, which)) if command == "loops" => loops::run(which),
        _ => Err(usage()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

/// Writes a line of results. Where nobody reads them any more the program ends, quietly: there is nothing left to measure for.
fn say(text: &str) {
    let mut out = Output::new();
    if let Err(error) = out.line(text) {
        eprintln!("{error}");
        exit(1);
    }
    if out.is_closed() {
        exit(0);
    }
}

fn usage() -> String {
    let workloads = steps::names().join(", ");
    format!(
        "usage: chainrule-bench steps [workload ...]
       chainrule-bench compare [--peers DIR] [--rounds N] [--threads N] [--precision NAME] [workload ...]
       chainrule-bench products [workload ...]
       chainrule-bench convolutions [part of a row's name ...]
       chainrule-bench graph
       chainrule-bench passes [workload ...]
       chainrule-bench elements
       chainrule-bench by-hand [part of a row's name ...]
       chainrule-bench bandwidth [part of a row's name ...]
       chainrule-bench functions [--peers DIR] [part of a row's name ...]
       chainrule-bench loops [number ...]
workloads: {workloads}; of steps: THREADS=n, PRECISION={}",
        Precision::ALL.map(Precision::name).join("|")
    )
}
