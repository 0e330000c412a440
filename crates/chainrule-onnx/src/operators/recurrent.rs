//! Recurrent cells: RNN, GRU and LSTM, forwards, backwards and both, as a loop in the graph over time.
//!
//! The layouts are ONNX's: inputs `[time, n, features]`, or `[n, time, features]` where `layout` is 1; weights with an
//! axis of directions in front and gates side by side. Hochreiter, Schmidhuber (1997) with the peepholes of Gers,
//! Schraudolph, Schmidhuber (2002); Cho et al. (2014).

use super::activation::{Activation, by_name};
use super::shape::reversed;
use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::Call;
use chainrule::functions::{ScanOptions, scan};
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// What a step of a cell needs of its direction.
struct Direction {
    /// `[features, gates * hidden]`.
    w: Tensor,
    /// `[hidden, gates * hidden]`.
    r: Tensor,
    /// Biases of the inputs and of the states, `[gates * hidden]` each.
    bias: Option<(Tensor, Tensor)>,
    /// `[3 * hidden]`: input, output, forget.
    peepholes: Option<Tensor>,
    activations: Vec<Activation>,
    hidden: usize,
    clip: Option<f64>,
    /// Of a GRU: the product with the state comes before the reset.
    linear_before_reset: bool,
    /// Of an LSTM: what is not let in is kept.
    input_forget: bool,
}

impl Direction {
    fn activate(&self, at: usize, x: &Tensor) -> Tensor {
        match self.clip {
            Some(clip) => (self.activations[at])(&x.clamp(-clip, clip)),
            None => (self.activations[at])(x),
        }
    }

    /// Gate number `at` of several that lie side by side.
    fn gate(&self, x: &Tensor, at: usize) -> Tensor {
        x.slice(-1, at * self.hidden..(at + 1) * self.hidden)
    }

    fn both_biases(&self, x: Tensor) -> Tensor {
        match &self.bias {
            Some((w, r)) => x + (w + r),
            None => x,
        }
    }
}

/// One step: the states after it, from what the input contributes and the states before.
type Step = fn(&Direction, &Tensor, &[Tensor]) -> Vec<Tensor>;

/// A kind of cell.
struct Cell {
    gates: usize,
    states: usize,
    activations: &'static [&'static str],
    step: Step,
}

pub fn rnn(call: &Call) -> Outcome {
    run(call, &Cell { gates: 1, states: 1, activations: &["Tanh"], step: rnn_step })
}

pub fn gru(call: &Call) -> Outcome {
    run(call, &Cell { gates: 3, states: 1, activations: &["Sigmoid", "Tanh"], step: gru_step })
}

pub fn lstm(call: &Call) -> Outcome {
    run(call, &Cell { gates: 4, states: 2, activations: &["Sigmoid", "Tanh", "Tanh"], step: lstm_step })
}

fn rnn_step(d: &Direction, x: &Tensor, states: &[Tensor]) -> Vec<Tensor> {
    vec![d.activate(0, &d.both_biases(x + states[0].matmul(&d.r)))]
}

fn gru_step(d: &Direction, x: &Tensor, states: &[Tensor]) -> Vec<Tensor> {
    let h = &states[0];
    let two = 2 * d.hidden;
    let open = x.slice(-1, ..two) + h.matmul(&d.r.slice(-1, ..two));
    let open = match &d.bias {
        Some((w, r)) => open + (w + r).slice(-1, ..two),
        None => open,
    };
    let (update, reset) = (d.activate(0, &d.gate(&open, 0)), d.activate(0, &d.gate(&open, 1)));
    let (x, r) = (d.gate(x, 2), d.gate(&d.r, 2));
    let bias = d.bias.as_ref().map(|(w, r)| (d.gate(w, 2), d.gate(r, 2)));
    let candidate = if d.linear_before_reset {
        let past = h.matmul(&r);
        match bias {
            Some((w, r)) => x + w + reset * (past + r),
            None => x + reset * past,
        }
    } else {
        let sum = x + (reset * h).matmul(&r);
        bias.map_or_else(|| sum.clone(), |(w, r)| &sum + (w + r))
    };
    let candidate = d.activate(1, &candidate);
    vec![(1.0 - &update) * candidate + update * h]
}

fn lstm_step(d: &Direction, x: &Tensor, states: &[Tensor]) -> Vec<Tensor> {
    let (h, c) = (&states[0], &states[1]);
    let gates = d.both_biases(x + h.matmul(&d.r));
    // Gates lie as input, output, forget, cell.
    let open = |gate: usize, c: &Tensor| match &d.peepholes {
        Some(p) => d.activate(0, &(d.gate(&gates, gate) + d.gate(p, gate) * c)),
        None => d.activate(0, &d.gate(&gates, gate)),
    };
    let input = open(0, c);
    let forget = if d.input_forget { 1.0 - &input } else { open(2, c) };
    let new = forget * c + input * d.activate(1, &d.gate(&gates, 3));
    let h = open(1, &new) * (d.activations[2])(&new);
    vec![h, new]
}

/// The number of directions, whether the first runs backwards.
fn directions(call: &Call) -> Result<(usize, bool)> {
    match call.text_or("direction", "forward")?.as_str() {
        "forward" => Ok((1, false)),
        "reverse" => Ok((1, true)),
        "bidirectional" => Ok((2, false)),
        other => Err(Error::operator(format!("there is no direction '{other}'"))),
    }
}

fn activations(call: &Call, cell: &Cell, directions: usize) -> Result<Vec<Vec<Activation>>> {
    let each = cell.activations.len();
    let names = match call.texts("activations")? {
        Some(names) => names,
        None => (0..directions).flat_map(|_| cell.activations.iter().map(|name| name.to_string())).collect(),
    };
    if names.len() != each * directions {
        return Err(Error::operator(format!("{} activations for {directions} directions of {each}", names.len())));
    }
    // Numbers are listed for those activations that take some, in order.
    let (alphas, betas) = (call.floats("activation_alpha")?.unwrap_or_default(), call.floats("activation_beta")?.unwrap_or_default());
    let (mut alphas, mut betas) = (alphas.into_iter(), betas.into_iter());
    let mut all = Vec::with_capacity(names.len());
    for name in &names {
        let takes = |list: &[&str]| list.contains(&name.as_str());
        let alpha =
            if takes(&["Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu"]) { alphas.next() } else { None };
        let beta = if takes(&["Affine", "ScaledTanh", "HardSigmoid"]) { betas.next() } else { None };
        all.push(by_name(name, alpha, beta)?);
    }
    let mut parts = Vec::with_capacity(directions);
    while !all.is_empty() {
        let rest = all.split_off(each);
        parts.push(std::mem::replace(&mut all, rest));
    }
    Ok(parts)
}

fn run(call: &Call, cell: &Cell) -> Outcome {
    let batch_first = call.flag("layout")?;
    let turned = |x: &Tensor| if batch_first { x.transpose(0, 1) } else { x.clone() };
    let x = turned(call.tensor(0)?);
    let (w, r) = (call.tensor(1)?, call.tensor(2)?);
    let (&[_, n, _], Some(&hidden)) = (x.shape(), r.shape().last()) else {
        return Err(Error::operator(format!("takes [time, n, features], not {:?}", x.shape())));
    };
    let (count, first_backwards) = directions(call)?;
    if r.rank() != 3 || w.rank() != 3 || w.shape()[0] != count || r.shape()[1] != cell.gates * hidden {
        return Err(Error::operator(format!("weights {:?} and {:?} for {count} directions of {} gates", w.shape(), r.shape(), cell.gates)));
    }
    let lengths = call.optional(4)?.map(|lengths| lengths.cast(DType::I64));
    let (mut outputs, mut last) = (Vec::new(), vec![Vec::new(); cell.states]);
    for (number, activations) in activations(call, cell, count)?.into_iter().enumerate() {
        let of = |tensor: &Tensor| tensor.index(0, number as isize);
        let bias = call.optional(3)?.map(|bias| {
            let half = cell.gates * hidden;
            (of(bias).slice(0, ..half), of(bias).slice(0, half..))
        });
        let peepholes = if cell.states == 2 { call.optional(7)?.map(of) } else { None };
        let direction = Direction {
            w: of(w).t(),
            r: of(r).t(),
            bias,
            peepholes,
            activations,
            hidden,
            clip: call.float("clip")?,
            linear_before_reset: cell.gates == 3 && call.flag("linear_before_reset")?,
            input_forget: cell.gates == 4 && call.flag("input_forget")?,
        };
        let first = |at: usize| -> Result<Tensor> {
            Ok(match call.optional(5 + at)? {
                Some(state) => of(&turned(state)),
                None => Tensor::full([n, hidden], 0.0, x.dtype()),
            })
        };
        let states = (0..cell.states).map(first).collect::<Result<Vec<_>>>()?;
        let backwards = first_backwards || number == 1;
        let (all, states) = looped(&direction, cell.step, &x, states, lengths.as_ref(), backwards)?;
        outputs.push(all);
        states.into_iter().zip(&mut last).for_each(|(state, last)| last.push(state));
    }
    let stacked = |parts: &[Tensor], axis: isize| Tensor::stack(&parts.iter().collect::<Vec<_>>(), axis);
    // [time, directions, n, hidden], or with n first.
    let all = stacked(&outputs, 1);
    let all = if batch_first { all.permute([2, 0, 1, 3]) } else { all };
    let states = last.iter().map(|parts| Value::Tensor(turned(&stacked(parts, 0))));
    Ok(std::iter::once(Value::Tensor(all)).chain(states).collect())
}

/// The outputs of all steps, `[time, n, hidden]`, and the states after the last of each example.
fn looped(
    d: &Direction,
    step: Step,
    x: &Tensor,
    states: Vec<Tensor>,
    lengths: Option<&Tensor>,
    backwards: bool,
) -> Result<(Tensor, Vec<Tensor>)> {
    // With lengths, each example is turned by itself.
    let turn = |x: &Tensor| match lengths {
        Some(lengths) if backwards => reversed(x, lengths, 1, 0),
        _ => x.clone(),
    };
    let x = turn(x);
    let numbers = lengths.map(|_| Tensor::arange(x.shape()[0], DType::I64));
    let sequences: Vec<&Tensor> = std::iter::once(&x).chain(&numbers).collect();
    let options = ScanOptions { length: None, reverse: backwards && lengths.is_none() };
    let body = |states: &[Tensor], parts: &[Tensor]| {
        let new = step(d, &parts[0].matmul(&d.w), states);
        let Some(lengths) = lengths else { return Ok((new.clone(), vec![new[0].clone()])) };
        // Beyond the end of an example its states stay, and its output is 0.
        let inside = parts[1].broadcast_to(lengths.shape()).less(lengths).unsqueeze(1);
        let kept = new.iter().zip(states).map(|(new, old)| inside.select(new, old)).collect();
        Ok((kept, vec![inside.select(&new[0], &new[0].zeros_like())]))
    };
    let (states, outputs) = scan(&states.iter().collect::<Vec<_>>(), &sequences, options, body)?;
    Ok((turn(&outputs[0]), states))
}
