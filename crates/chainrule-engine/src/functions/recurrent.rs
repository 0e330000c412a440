//! Recurrent cells, step by step and over a sequence, with PyTorch's layout of weights.
//!
//! A sequence is a loop in the graph ([`scan`]), recorded and compiled once whatever its length; one of a few steps is
//! unrolled. f16 and bf16 are computed in f32. Refuses to know layers: several of them are several calls.

use super::control::{ScanOptions, scan};
use super::{first_mistake, misfit, part, recorded, refuse_mixed, spread, wide};
use crate::ops::dtype_error;
use crate::ops::movement::Axes;
use crate::tensor::{DType, Result, Tensor};

/// Which cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// `h' = tanh(W x + U h + b)`. Elman, "Finding Structure in Time" (1990).
    RnnTanh,
    /// `h' = relu(W x + U h + b)`.
    RnnRelu,
    /// The long short-term memory of Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000).
    Lstm,
    /// The gated recurrent unit of Cho et al. (2014), as PyTorch and cuDNN have it: the reset gate is applied after the
    /// product with the state (`linear_before_reset` of ONNX).
    Gru,
    /// The gated recurrent unit as in its paper: the reset gate is applied to the state, before the product.
    GruResetFirst,
}

impl Cell {
    /// How many products with rows of its own each unit has.
    pub fn gates(self) -> usize {
        match self {
            Cell::RnnTanh | Cell::RnnRelu => 1,
            Cell::Gru | Cell::GruResetFirst => 3,
            Cell::Lstm => 4,
        }
    }
}

/// The weights of a cell of `hidden` units, which has 1 (RNN), 3 (GRU: reset, update, new) or 4 (LSTM: input, forget,
/// cell, output) `gates`, in this order.
#[derive(Clone, Debug)]
pub struct CellWeights {
    /// By the input: `[gates * hidden, inputs]`.
    pub input: Tensor,
    /// By the state: `[gates * hidden, hidden]`, or, with a projection, `[gates * hidden, outputs]`.
    pub hidden: Tensor,
    /// `[gates * hidden]`.
    pub input_bias: Option<Tensor>,
    /// `[gates * hidden]`. Not the same as the other where a gate is applied to it.
    pub hidden_bias: Option<Tensor>,
    /// How an LSTM's input, forget and output gate see its cell: `[3, hidden]`. Gers and Schmidhuber (2000).
    pub peepholes: Option<Tensor>,
    /// What an LSTM's output is multiplied by: `[outputs, hidden]`. Sak, Senior, Beaufays (2014).
    pub projection: Option<Tensor>,
}

impl CellWeights {
    /// Weights without biases, peepholes and projection.
    pub fn new(input: Tensor, hidden: Tensor) -> CellWeights {
        CellWeights { input, hidden, input_bias: None, hidden_bias: None, peepholes: None, projection: None }
    }

    fn all(&self) -> impl Iterator<Item = &Tensor> {
        let optional = [&self.input_bias, &self.hidden_bias, &self.peepholes, &self.projection];
        [&self.input, &self.hidden].into_iter().chain(optional.into_iter().flatten())
    }

    fn wide(&self) -> CellWeights {
        let optional = |t: &Option<Tensor>| t.as_ref().map(wide);
        CellWeights {
            input: wide(&self.input),
            hidden: wide(&self.hidden),
            input_bias: optional(&self.input_bias),
            hidden_bias: optional(&self.hidden_bias),
            peepholes: optional(&self.peepholes),
            projection: optional(&self.projection),
        }
    }
}

/// What a cell remembers.
#[derive(Clone, Debug)]
pub struct CellState {
    /// The state that is also the output: `[n, hidden]`, or `[n, outputs]` with a projection.
    pub hidden: Tensor,
    /// The inner state of an LSTM, `[n, hidden]`.
    pub cell: Option<Tensor>,
}

/// What is run through a cell by [`recurrent`].
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    /// Whether the sequence is `[n, time, ..]` and not `[time, n, ..]`.
    pub batch_first: bool,
    /// Whether it is run from its end to its beginning. Outputs stay at the places of their inputs.
    pub reverse: bool,
    /// How many steps each example has, `[n]`, i64 or i32; all if not given. Beyond them the state stays as it is and
    /// the output is 0.
    pub lengths: Option<Tensor>,
}

/// One step of [`Cell::RnnTanh`]: inputs `[n, inputs]` and states `[n, hidden]` to the next states.
///
/// ```
/// use chainrule_engine::{Tensor, functions::{CellWeights, rnn_tanh_cell}};
/// let weights = CellWeights::new(Tensor::from([[1.0, 0.0]]), Tensor::from([[2.0]]));
/// let next = rnn_tanh_cell(&Tensor::from([[0.5, 9.0]]), &Tensor::from([[0.25]]), &weights);
/// assert_eq!(next.item()?, 1f32.tanh() as f64);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn rnn_tanh_cell(x: &Tensor, hidden: &Tensor, weights: &CellWeights) -> Tensor {
    one_step("rnn_tanh_cell", Cell::RnnTanh, x, hidden, None, weights).hidden
}

/// As [`rnn_tanh_cell`], of [`Cell::RnnRelu`].
#[track_caller]
pub fn rnn_relu_cell(x: &Tensor, hidden: &Tensor, weights: &CellWeights) -> Tensor {
    one_step("rnn_relu_cell", Cell::RnnRelu, x, hidden, None, weights).hidden
}

/// As [`rnn_tanh_cell`], of [`Cell::Gru`].
#[track_caller]
pub fn gru_cell(x: &Tensor, hidden: &Tensor, weights: &CellWeights) -> Tensor {
    one_step("gru_cell", Cell::Gru, x, hidden, None, weights).hidden
}

/// As [`rnn_tanh_cell`], of [`Cell::GruResetFirst`].
#[track_caller]
pub fn gru_cell_reset_first(x: &Tensor, hidden: &Tensor, weights: &CellWeights) -> Tensor {
    one_step("gru_cell_reset_first", Cell::GruResetFirst, x, hidden, None, weights).hidden
}

/// One step of [`Cell::Lstm`]: the next state and inner state. A mistake poisons both.
#[track_caller]
pub fn lstm_cell(x: &Tensor, hidden: &Tensor, cell: &Tensor, weights: &CellWeights) -> (Tensor, Tensor) {
    let CellState { hidden, cell } = one_step("lstm_cell", Cell::Lstm, x, hidden, Some(cell), weights);
    let cell = cell.unwrap_or_else(|| hidden.clone());
    (hidden, cell)
}

#[track_caller]
fn one_step(name: &str, cell: Cell, x: &Tensor, hidden: &Tensor, inner: Option<&Tensor>, weights: &CellWeights) -> CellState {
    let state = CellState { hidden: hidden.clone(), cell: inner.cloned() };
    let units = match refuse(name, cell, x, 2, weights, Some(&state)) {
        Ok(units) => units,
        Err(mistake) => return CellState { hidden: mistake.clone(), cell: Some(mistake) },
    };
    recorded(|| {
        let w = weights.wide();
        let wide_state = CellState { hidden: wide(hidden), cell: inner.map(wide) };
        let next = step(cell, &by_input(&wide(x), &w), &wide_state, &w, units);
        CellState { hidden: next.hidden.cast(x.dtype()), cell: next.cell.map(|c| c.cast(x.dtype())) }
    })
}

/// A sequence `[time, n, inputs]` run through a cell: the outputs of all steps, `[time, n, hidden]`, and the last state.
/// The first state, if not given, is 0. A mistake poisons both results.
///
/// ```
/// use chainrule_engine::{Tensor, functions::{Cell, CellWeights, recurrent}};
/// let weights = CellWeights::new(Tensor::from([[1.0]]), Tensor::from([[1.0]]));
/// let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0], [3, 1, 1]);
/// let (sums, last) = recurrent(Cell::RnnRelu, &x, None, &weights, &Default::default());
/// assert_eq!(sums.to_vec::<f32>()?, [1.0, 3.0, 6.0]);
/// assert_eq!(last.hidden.to_vec::<f32>()?, [6.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn recurrent(cell: Cell, x: &Tensor, first: Option<&CellState>, weights: &CellWeights, sequence: &Sequence) -> (Tensor, CellState) {
    let (units, outputs, n) = match refuse_sequence(cell, x, first, weights, sequence) {
        Ok(sizes) => sizes,
        Err(mistake) => return (mistake.clone(), CellState { hidden: mistake.clone(), cell: (cell == Cell::Lstm).then_some(mistake) }),
    };
    recorded(|| {
        let w = weights.wide();
        let wide_x = wide(x);
        let zeros = |width: usize| Tensor::full([n, width], 0.0, wide_x.dtype());
        let state = match first {
            Some(state) => CellState { hidden: wide(&state.hidden), cell: state.cell.as_ref().map(wide) },
            None => CellState { hidden: zeros(outputs), cell: (cell == Cell::Lstm).then(|| zeros(units)) },
        };
        let time = wide_x.shape()[sequence.batch_first as usize];
        let (y, last) = match time <= UNROLLED {
            true => unrolled(cell, &by_input(&wide_x, &w), state, &w, units, sequence),
            false => looped(cell, &wide_x, state, &w, units, sequence).unwrap_or_else(|error| {
                let mistake = Tensor::poison(error);
                (mistake.clone(), CellState { hidden: mistake.clone(), cell: (cell == Cell::Lstm).then_some(mistake) })
            }),
        };
        (y.cast(x.dtype()), CellState { hidden: last.hidden.cast(x.dtype()), cell: last.cell.map(|c| c.cast(x.dtype())) })
    })
}

/// [`recurrent`] with one set of weights forwards and one backwards (`reverse` of the sequence is not looked at): outputs
/// side by side, `[time, n, 2 hidden]`, and both last states. Schuster and Paliwal, "Bidirectional Recurrent Neural Networks" (1997).
#[track_caller]
pub fn bidirectional(
    cell: Cell,
    x: &Tensor,
    first: Option<[&CellState; 2]>,
    weights: [&CellWeights; 2],
    sequence: &Sequence,
) -> (Tensor, [CellState; 2]) {
    let way = |reverse: bool| Sequence { reverse, ..sequence.clone() };
    let (there, last) = recurrent(cell, x, first.map(|states| states[0]), weights[0], &way(false));
    let (back, begin) = recurrent(cell, x, first.map(|states| states[1]), weights[1], &way(true));
    let output = if let Some(mistake) = first_mistake(&[&there, &back]) { mistake } else { Tensor::concat(&[&there, &back], -1) };
    (output, [last, begin])
}

/// Steps up to which recording each is cheaper than a loop.
const UNROLLED: usize = 3;

/// Whether a step is one of an example's own, `true` where `lengths` are beyond its number.
struct Running<'a> {
    number: Tensor,
    lengths: &'a Tensor,
}

impl Running<'_> {
    fn choose(&self, new: &Tensor, old: &Tensor) -> Tensor {
        let runs = self.number.less(&self.lengths.cast(DType::I64));
        spread(&runs, &Axes::from_slice(&[1]), new.shape()).select(new, old)
    }

    /// The state after a step, and its output.
    fn after(&self, next: CellState, state: &CellState) -> (CellState, Tensor) {
        let output = self.choose(&next.hidden, &next.hidden.zeros_like());
        let cell = next.cell.as_ref().zip(state.cell.as_ref()).map(|(new, old)| self.choose(new, old));
        (CellState { hidden: self.choose(&next.hidden, &state.hidden), cell }, output)
    }
}

fn looped(cell: Cell, x: &Tensor, first: CellState, w: &CellWeights, units: usize, sequence: &Sequence) -> Result<(Tensor, CellState)> {
    let steps_first = |x: &Tensor| if sequence.batch_first { x.swapaxes(0, 1) } else { x.clone() };
    let x = steps_first(x);
    let numbers = sequence.lengths.as_ref().map(|_| Tensor::arange(x.shape()[0], DType::I64));
    let sequences: Vec<&Tensor> = std::iter::once(&x).chain(&numbers).collect();
    let init: Vec<&Tensor> = std::iter::once(&first.hidden).chain(&first.cell).collect();
    let body = |state: &[Tensor], parts: &[Tensor]| {
        let state = CellState { hidden: state[0].clone(), cell: state.get(1).cloned() };
        let next = step(cell, &by_input(&parts[0], w), &state, w, units);
        let (next, output) = match &sequence.lengths {
            Some(lengths) => Running { number: parts[1].clone(), lengths }.after(next, &state),
            None => (next.clone(), next.hidden),
        };
        Ok((std::iter::once(next.hidden).chain(next.cell).collect(), vec![output]))
    };
    let (last, outputs) = scan(&init, &sequences, ScanOptions { length: None, reverse: sequence.reverse }, body)?;
    let mut last = last.into_iter();
    let hidden = last.next().unwrap_or_else(|| first.hidden.clone());
    Ok((steps_first(&outputs[0]), CellState { hidden, cell: last.next() }))
}

fn unrolled(cell: Cell, inputs: &Tensor, first: CellState, w: &CellWeights, units: usize, sequence: &Sequence) -> (Tensor, CellState) {
    let axis = sequence.batch_first as usize;
    let time = inputs.shape()[axis];
    let mut state = first;
    let mut outputs = Vec::with_capacity(time);
    for i in 0..time {
        let t = if sequence.reverse { time - 1 - i } else { i };
        let next = step(cell, &part(inputs, axis, t, t + 1).squeeze(axis as isize), &state, w, units);
        let (next, output) = match &sequence.lengths {
            Some(lengths) => Running { number: Tensor::from_slice(&[t as i64], ()), lengths }.after(next, &state),
            None => (next.clone(), next.hidden),
        };
        outputs.push(output);
        state = next;
    }
    if sequence.reverse {
        outputs.reverse();
    }
    (Tensor::stack(&outputs.iter().collect::<Vec<_>>(), axis as isize), state)
}

/// What the inputs contribute to all gates.
fn by_input(x: &Tensor, w: &CellWeights) -> Tensor {
    with_bias(x.matmul(&w.input.t()), &w.input_bias)
}

fn with_bias(x: Tensor, bias: &Option<Tensor>) -> Tensor {
    match bias {
        Some(bias) => x + bias,
        None => x,
    }
}

fn step(cell: Cell, inputs: &Tensor, state: &CellState, w: &CellWeights, units: usize) -> CellState {
    let h = &state.hidden;
    let gate = |all: &Tensor, i: usize| part(all, all.rank() - 1, i * units, (i + 1) * units);
    let rows = |i: usize, count: usize| part(&w.hidden, 0, i * units, (i + count) * units);
    let bias = |i: usize, count: usize| w.hidden_bias.as_ref().map(|bias| part(bias, 0, i * units, (i + count) * units));
    let by_state = |h: &Tensor, i: usize, count: usize| with_bias(h.matmul(&rows(i, count).t()), &bias(i, count));
    let only = |hidden: Tensor| CellState { hidden, cell: None };
    match cell {
        Cell::RnnTanh => only((inputs + by_state(h, 0, 1)).tanh()),
        Cell::RnnRelu => only((inputs + by_state(h, 0, 1)).relu()),
        Cell::Gru => {
            let all = by_state(h, 0, 3);
            let [reset, update] = [0, 1].map(|i| (gate(inputs, i) + gate(&all, i)).sigmoid());
            let new = (gate(inputs, 2) + reset * gate(&all, 2)).tanh();
            only(&new + update * (h - &new))
        }
        Cell::GruResetFirst => {
            let gates = by_state(h, 0, 2);
            let [reset, update] = [0, 1].map(|i| (gate(inputs, i) + gate(&gates, i)).sigmoid());
            let new = (gate(inputs, 2) + by_state(&(reset * h), 2, 1)).tanh();
            only(&new + update * (h - &new))
        }
        Cell::Lstm => {
            let all = inputs + by_state(h, 0, 4);
            let Some(c) = &state.cell else { return only(all) };
            let opened = |i: usize, hole: usize, seen: &Tensor| match &w.peepholes {
                Some(peepholes) => (gate(&all, i) + part(peepholes, 0, hole, hole + 1) * seen).sigmoid(),
                None => gate(&all, i).sigmoid(),
            };
            let next = opened(1, 1, c) * c + opened(0, 0, c) * gate(&all, 2).tanh();
            let output = opened(3, 2, &next) * next.tanh();
            let hidden = w.projection.as_ref().map_or_else(|| output.clone(), |projection| output.matmul(&projection.t()));
            CellState { hidden, cell: Some(next) }
        }
    }
}

/// The number of units, once everything fits: `x` has `rank` axes.
#[track_caller]
fn refuse(
    name: &str,
    cell: Cell,
    x: &Tensor,
    rank: usize,
    weights: &CellWeights,
    state: Option<&CellState>,
) -> std::result::Result<usize, Tensor> {
    let states = state.into_iter().flat_map(|state| std::iter::once(&state.hidden).chain(&state.cell));
    let all: Vec<&Tensor> = std::iter::once(x).chain(weights.all()).chain(states).collect();
    if let Some(mistake) = refuse_mixed(name, &all) {
        return Err(mistake);
    }
    let gates = cell.gates();
    let &[rows, inputs] = weights.input.shape() else {
        return Err(misfit(name, format!("the weights of the input are {:?}, not [gates * hidden, inputs]", weights.input.shape())));
    };
    if x.rank() != rank || x.shape()[rank - 1] != inputs || rows == 0 || !rows.is_multiple_of(gates) {
        let message = format!("{:?} with weights {:?} for {gates} gates: {rank} axes, and the last fits", x.shape(), weights.input.shape());
        return Err(misfit(name, message));
    }
    let units = rows / gates;
    let outputs = weights.projection.as_ref().map_or(units, |projection| projection.shape().first().copied().unwrap_or(0));
    let lstm = cell == Cell::Lstm;
    let expected: [(&str, Option<&Tensor>, Vec<usize>, bool); 5] = [
        ("weights of the state", Some(&weights.hidden), vec![rows, outputs], true),
        ("bias of the input", weights.input_bias.as_ref(), vec![rows], true),
        ("bias of the state", weights.hidden_bias.as_ref(), vec![rows], true),
        ("peepholes", weights.peepholes.as_ref(), vec![3, units], lstm),
        ("projection", weights.projection.as_ref(), vec![outputs, units], lstm),
    ];
    for (what, tensor, shape, has) in expected {
        let Some(tensor) = tensor else { continue };
        if !has || tensor.shape() != shape {
            let message = if has { format!("{shape:?} are wanted") } else { "only an LSTM has them".into() };
            return Err(misfit(name, format!("{what} {:?}: {message}", tensor.shape())));
        }
    }
    let Some(state) = state else { return Ok(units) };
    match refuse_state(name, cell, &x.shape()[..rank - 1], [outputs, units], state) {
        Some(mistake) => Err(mistake),
        None => Ok(units),
    }
}

#[track_caller]
fn refuse_state(name: &str, cell: Cell, n: &[usize], [outputs, units]: [usize; 2], state: &CellState) -> Option<Tensor> {
    let fits = *state.hidden.shape() == [n, &[outputs]].concat();
    let inner = match &state.cell {
        Some(inner) => cell == Cell::Lstm && *inner.shape() == [n, &[units]].concat(),
        None => cell != Cell::Lstm,
    };
    if fits && inner {
        return None;
    }
    let message = format!("states {:?} and {:?}", state.hidden.shape(), state.cell.as_ref().map(|c| c.shape()));
    Some(misfit(name, format!("{message} for {n:?} examples, {outputs} outputs and {units} units; an LSTM alone has an inner state")))
}

/// How many units, outputs and examples, once everything fits.
#[track_caller]
fn refuse_sequence(
    cell: Cell,
    x: &Tensor,
    first: Option<&CellState>,
    weights: &CellWeights,
    sequence: &Sequence,
) -> std::result::Result<(usize, usize, usize), Tensor> {
    let name = "recurrent";
    let units = refuse(name, cell, x, 3, weights, None)?;
    let outputs = weights.projection.as_ref().map_or(units, |projection| projection.shape()[0]);
    let (time, n) = if sequence.batch_first { (x.shape()[1], x.shape()[0]) } else { (x.shape()[0], x.shape()[1]) };
    if time == 0 {
        return Err(misfit(name, format!("{:?} has no step", x.shape())));
    }
    if let Some(state) = first {
        let all: Vec<&Tensor> = [&weights.input, &state.hidden].into_iter().chain(&state.cell).collect();
        if let Some(mistake) = refuse_mixed(name, &all) {
            return Err(mistake);
        }
        if let Some(mistake) = refuse_state(name, cell, &[n], [outputs, units], state) {
            return Err(mistake);
        }
    }
    let Some(lengths) = &sequence.lengths else { return Ok((units, outputs, n)) };
    if let Some(mistake) = first_mistake(&[lengths]) {
        return Err(mistake);
    }
    if !matches!(lengths.dtype(), DType::I64 | DType::I32) {
        return Err(Tensor::poison(dtype_error(name, format!("lengths are i64 or i32, not {}; convert with `cast`", lengths.dtype()))));
    }
    if *lengths.shape() == [n] {
        Ok((units, outputs, n))
    } else {
        Err(misfit(name, format!("lengths {:?} for {n} examples", lengths.shape())))
    }
}
