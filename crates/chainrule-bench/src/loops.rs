//! Times training steps of recurrent networks, their steps in a loop of the graph and recorded one after the other, in turn.

use chainrule::functions::{Cell, CellState, CellWeights, ScanOptions, gru_cell, lstm_cell, recurrent, scan};
use chainrule::{Rng, Runtime, Step, Tensor};
use std::time::Instant;

/// How the steps are recorded.
#[derive(Clone, Copy, Debug)]
enum Form {
    Unrolled,
    Scan,
    Recurrent,
}

/// A network: cell, inputs, units, examples, steps.
type Case = (Cell, usize, usize, usize, usize);

const CASES: &[Case] = &[
    (Cell::Lstm, 128, 128, 32, 64),
    (Cell::Gru, 128, 128, 32, 64),
    (Cell::Lstm, 16, 16, 4, 200),
    (Cell::Lstm, 64, 256, 64, 32),
    (Cell::RnnTanh, 32, 64, 16, 512),
];

/// Runs in turn, of which the median is printed.
const RUNS: usize = 15;

/// Prints a line for each form of each case whose number is asked for, or of all: milliseconds of recording and capturing, of
/// a step, and bytes of intermediate values. `THREADS` says on how many.
pub fn run(which: &[String]) -> Result<(), String> {
    let threads = std::env::var("THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let wanted = |at: usize| which.is_empty() || which.contains(&at.to_string());
    let mut cases = CASES.iter().enumerate().filter(|(at, _)| wanted(*at));
    cases.try_for_each(|(_, case)| measure(*case, threads)).map_err(|error| error.to_string())
}

fn measure(case: Case, threads: usize) -> chainrule::Result<()> {
    let runtime = Runtime::new(threads)?;
    let mut made = Vec::new();
    for form in [Form::Unrolled, Form::Scan, Form::Recurrent] {
        let start = Instant::now();
        let step = training(case, form, &runtime)?;
        made.push((form, start.elapsed().as_secs_f64() * 1e3, step, Vec::new()));
    }
    for _ in 0..RUNS + 2 {
        for (_, _, step, times) in &mut made {
            let start = Instant::now();
            step.run(&[])?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let (cell, inputs, units, n, length) = case;
    say!("{cell:?}, {inputs} inputs, {units} units, {n} examples, {length} steps, {threads} threads");
    for (form, capture, step, mut times) in made {
        times.drain(..2);
        times.sort_unstable_by(f64::total_cmp);
        let (median, bytes, loss) = (times[RUNS / 2], step.arena_bytes(), step.item(0));
        say!("  {:10} capture {capture:8.2} ms  step {median:8.3} ms  {bytes:10} bytes  loss {loss:.6}", format!("{form:?}"));
    }
    Ok(())
}

/// A step of gradient descent to the running mean of the inputs.
fn training((cell, inputs, units, n, length): Case, form: Form, runtime: &Runtime) -> chainrule::Result<Step> {
    let mut rng = Rng::new(5);
    let gates = cell.gates() * units;
    let mut leaf = |shape: &[usize]| (Tensor::randn(shape, &mut rng) * 0.08).to_leaf();
    let mut weights = CellWeights::new(leaf(&[gates, inputs])?, leaf(&[gates, units])?);
    weights.input_bias = Some(leaf(&[gates])?);
    weights.hidden_bias = Some(leaf(&[gates])?);
    let x = leaf(&[length, n, inputs])?;
    let states = outputs(cell, &x, &weights, units, form)?;
    let target = x.mean_over(&[2]).cumsum(0).unsqueeze(2).broadcast_to([length, n, units]);
    let loss = (states - target).square().mean();
    let leaves: Vec<&Tensor> =
        [&weights.input, &weights.hidden].into_iter().chain(&weights.input_bias).chain(&weights.hidden_bias).collect();
    let next: Vec<Tensor> = loss.grad(&leaves)?.iter().zip(&leaves).map(|(g, &w)| w - g * 0.1).collect();
    let updates: Vec<(&Tensor, &Tensor)> = leaves.iter().copied().zip(&next).collect();
    Step::capture_on(runtime, &[], &[&loss], &updates)
}

/// The hidden states of all steps.
fn outputs(cell: Cell, x: &Tensor, weights: &CellWeights, units: usize, form: Form) -> chainrule::Result<Tensor> {
    let n = x.shape()[1];
    let zeros = Tensor::zeros([n, units]);
    let next = |state: &[Tensor], x: &Tensor| match cell {
        Cell::Lstm => {
            let (hidden, cell) = lstm_cell(x, &state[0], &state[1], weights);
            vec![hidden, cell]
        }
        Cell::Gru => vec![gru_cell(x, &state[0], weights)],
        _ => vec![chainrule::functions::rnn_tanh_cell(x, &state[0], weights)],
    };
    let first = if cell == Cell::Lstm { vec![zeros.clone(), zeros.clone()] } else { vec![zeros.clone()] };
    match form {
        Form::Unrolled => {
            let (mut state, mut states) = (first, Vec::new());
            for at in 0..x.shape()[0] {
                state = next(&state, &x.index(0, at as isize));
                states.push(state[0].clone());
            }
            Ok(Tensor::stack(&states.iter().collect::<Vec<_>>(), 0))
        }
        Form::Scan => {
            let step = |state: &[Tensor], x: &[Tensor]| {
                let state = next(state, &x[0]);
                Ok((state.clone(), vec![state[0].clone()]))
            };
            Ok(scan(&first.iter().collect::<Vec<_>>(), &[x], ScanOptions::default(), step)?.1.remove(0))
        }
        Form::Recurrent => {
            let first = CellState { hidden: zeros.clone(), cell: (cell == Cell::Lstm).then_some(zeros) };
            Ok(recurrent(cell, x, Some(&first), weights, &Default::default()).0)
        }
    }
}
