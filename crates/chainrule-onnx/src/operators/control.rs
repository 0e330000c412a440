//! Graphs in nodes: a choice, loops, and what is mapped over sequences.
//!
//! Conditions and numbers of iterations are evaluated while recording, and loops unrolled: the graph that is recorded is
//! that of one course of the model. An iteration is recorded as often as it runs, so its number is bounded.

use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, entries, limit, size};
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// How often a loop may run.
const ITERATIONS: i64 = 16_384;

/// The branch that the condition picks; the other is not recorded.
pub fn choice(call: &Call) -> Outcome {
    let taken = call.number(0)?.ok_or_else(|| Error::operator("the condition is missing"))? != 0.0;
    call.run(call.graph(if taken { "then_branch" } else { "else_branch" })?, Vec::new())
}

/// Whether a condition that a loop's body made lets it go on.
fn goes_on(condition: &Value) -> Result<bool> {
    let tensor = condition.as_tensor().ok_or_else(|| Error::operator("the condition of a loop is no tensor"))?;
    let said = |error| Error::operator(format!("the condition of a loop: {error}; it must be known while recording"));
    Ok(tensor.item().map_err(said)? != 0.0)
}

pub fn repeat(call: &Call) -> Outcome {
    let body = call.graph("body")?;
    let trips = match call.optional_whole_numbers(0)? {
        Some(trips) => trips.first().copied(),
        None => None,
    };
    let mut go = call.number(1)?.is_none_or(|condition| condition != 0.0);
    let mut carried: Vec<Value> = (2..call.count()).map(|index| call.value(index).cloned()).collect::<Result<_>>()?;
    let scanned = (body.outputs.len()).checked_sub(carried.len() + 1).ok_or_else(|| Error::operator("the body has too few outputs"))?;
    let mut scans: Vec<Vec<Tensor>> = vec![Vec::new(); scanned];
    let mut iteration = 0;
    while go && trips.is_none_or(|trips| iteration < trips) {
        if iteration >= ITERATIONS {
            return Err(limit(format!("a loop of more than {ITERATIONS} iterations; each is recorded")));
        }
        // A condition that is always true is the body's to use.
        let mut inputs = vec![Tensor::from_slice(&[iteration], ()).into(), Tensor::scalar(1.0, DType::Bool).into()];
        inputs.append(&mut carried);
        inputs.truncate(body.inputs.len());
        let mut made = call.run(body, inputs)?.into_iter();
        go = made.next().map_or(Ok(true), |condition| goes_on(&condition))?;
        let rest: Vec<Value> = made.collect();
        let (states, outputs) = rest.split_at(rest.len() - scanned);
        carried = states.to_vec();
        for (scan, output) in scans.iter_mut().zip(outputs) {
            scan.push(output.as_tensor().cloned().ok_or_else(|| Error::operator("an output of each iteration is no tensor"))?);
        }
        iteration += 1;
    }
    for (number, scan) in scans.into_iter().enumerate() {
        let declared = body.outputs.get(1 + carried_len(call) + number);
        carried.push(stacked(scan, 0, declared)?.into());
    }
    Ok(carried)
}

fn carried_len(call: &Call) -> usize {
    call.count().saturating_sub(2)
}

/// Tensors of iterations along a new axis; of none, what the body declares.
fn stacked(tensors: Vec<Tensor>, axis: isize, declared: Option<&crate::proto::Named>) -> Result<Tensor> {
    if !tensors.is_empty() {
        return Ok(Tensor::stack(&tensors.iter().collect::<Vec<_>>(), axis));
    }
    let declared = declared.map(crate::model::Declared::of);
    let dtype = declared.as_ref().and_then(|declared| declared.dtype()).unwrap_or(DType::F32);
    let mut shape = declared.and_then(|declared| declared.shape()).unwrap_or_default();
    shape.insert(0, 0);
    Ok(Tensor::full(shape, 0.0, dtype))
}

/// The body over the parts of its inputs along an axis, with states handed on.
pub fn scan(call: &Call) -> Outcome {
    let body = call.graph("body")?;
    let scanned = size(call.integer_or("num_scan_inputs", 1)?, "num_scan_inputs")?;
    if call.version < 9 {
        return scan_of_batches(call, scanned);
    }
    let inputs = call.tensors(0)?;
    let states = inputs.len().checked_sub(scanned).ok_or_else(|| Error::operator("fewer inputs than are scanned"))?;
    let outputs = body.outputs.len().checked_sub(states).ok_or_else(|| Error::operator("the body has too few outputs"))?;
    let listed = |name: &str, count: usize| -> Result<Vec<i64>> {
        let values = call.integers(name)?.unwrap_or_else(|| vec![0; count]);
        if values.len() == count {
            Ok(values)
        } else {
            Err(Error::operator(format!("attribute '{name}' has {} entries for {count}", values.len())))
        }
    };
    let (in_axes, in_turned) = (listed("scan_input_axes", scanned)?, listed("scan_input_directions", scanned)?);
    let (out_axes, out_turned) = (listed("scan_output_axes", outputs)?, listed("scan_output_directions", outputs)?);
    let mut parts = Vec::with_capacity(scanned);
    for (at, x) in inputs[states..].iter().enumerate() {
        let axis = call.axis(in_axes[at], x.rank())? as isize;
        parts.push((if in_turned[at] != 0 { x.flip(&[axis]) } else { (*x).clone() }, axis));
    }
    let first: Vec<Tensor> = inputs[..states].iter().map(|&state| state.clone()).collect();
    let (mut states, scans) = scan_over(call, first, &parts, outputs)?;
    for (at, scan) in scans.into_iter().enumerate() {
        let rank = scan.first().map_or(1, |part| part.rank() + 1);
        let axis = call.axis(out_axes[at], rank)? as isize;
        let y = stacked(scan, axis, body.outputs.get(states.len()))?;
        states.push(if out_turned[at] != 0 { y.flip(&[axis]) } else { y });
    }
    Ok(states.into_iter().map(Value::Tensor).collect())
}

/// The states at the end, and of every scanned output its parts.
fn scan_over(call: &Call, mut states: Vec<Tensor>, parts: &[(Tensor, isize)], outputs: usize) -> Result<(Vec<Tensor>, Vec<Vec<Tensor>>)> {
    let body = call.graph("body")?;
    let lengths: Vec<usize> = parts.iter().map(|(x, axis)| x.shape()[*axis as usize]).collect();
    let length = lengths.first().copied().unwrap_or(0);
    if lengths.iter().any(|&other| other != length) {
        return Err(Error::operator(format!("inputs of lengths {lengths:?} are scanned together")));
    }
    if length as i64 > ITERATIONS {
        return Err(limit(format!("a scan over {length} parts; each is recorded, up to {ITERATIONS}")));
    }
    let mut scans: Vec<Vec<Tensor>> = vec![Vec::new(); outputs];
    for step in 0..length {
        let part = |(x, axis): &(Tensor, isize)| x.index(*axis, step as isize);
        let inputs = states.iter().cloned().chain(parts.iter().map(part)).map(Value::Tensor).collect();
        let made = call.run(body, inputs)?;
        let made: Option<Vec<Tensor>> = made.iter().map(|value| value.as_tensor().cloned()).collect();
        let made = made.ok_or_else(|| Error::operator("the body of a scan makes something other than tensors"))?;
        let (new, out) = made.split_at(made.len() - outputs);
        states = new.to_vec();
        scans.iter_mut().zip(out).for_each(|(scan, out)| scan.push(out.clone()));
    }
    Ok((states, scans))
}

/// The first version of it: everything has an axis of examples in front, and input 0 says how long each is.
fn scan_of_batches(call: &Call, scanned: usize) -> Outcome {
    let body = call.graph("body")?;
    let inputs = call.tensors(1)?;
    let states = inputs.len().checked_sub(scanned).ok_or_else(|| Error::operator("fewer inputs than are scanned"))?;
    let outputs = body.outputs.len().checked_sub(states).ok_or_else(|| Error::operator("the body has too few outputs"))?;
    if call.given(0) {
        return Err(Error::unsupported(
            "a scan of operator set 8 over sequences of different lengths; store the model with operator set 9",
        ));
    }
    if call.integers("directions")?.is_some_and(|directions| directions.iter().any(|&turned| turned != 0)) {
        return Err(Error::unsupported("a scan of operator set 8 that runs backwards; store the model with operator set 9"));
    }
    let batch = inputs.first().and_then(|x| x.shape().first().copied()).unwrap_or(0);
    let mut made: Vec<Vec<Tensor>> = vec![Vec::new(); states + outputs];
    for example in 0..entries(batch, "examples")? as isize {
        let first = inputs[..states].iter().map(|state| state.index(0, example)).collect();
        let parts: Vec<(Tensor, isize)> = inputs[states..].iter().map(|x| (x.index(0, example), 0)).collect();
        let (last, scans) = scan_over(call, first, &parts, outputs)?;
        let scans = scans.into_iter().map(|scan| stacked(scan, 0, None)).collect::<Result<Vec<_>>>()?;
        made.iter_mut().zip(last.into_iter().chain(scans)).for_each(|(all, one)| all.push(one));
    }
    made.into_iter().map(|all| stacked(all, 0, None).map(Value::Tensor)).collect()
}

/// The body over the tensors of sequences; other inputs are the same for all.
pub fn sequence_map(call: &Call) -> Outcome {
    let body = call.graph("body")?;
    let length = call.sequence(0)?.len();
    let mut made: Vec<Vec<Tensor>> = vec![Vec::new(); body.outputs.len()];
    for at in 0..length {
        let part = |index: usize| -> Result<Value> {
            Ok(match call.value(index)? {
                Value::Sequence(tensors) => {
                    tensors.get(at).cloned().ok_or_else(|| Error::operator(format!("sequence {index} is shorter")))?.into()
                }
                value => value.clone(),
            })
        };
        let outputs = call.run(body, (0..call.count()).map(part).collect::<Result<_>>()?)?;
        for (all, value) in made.iter_mut().zip(outputs) {
            all.push(value.as_tensor().cloned().ok_or_else(|| Error::operator("the body makes something other than a tensor"))?);
        }
    }
    Ok(made.into_iter().map(Value::Sequence).collect())
}
