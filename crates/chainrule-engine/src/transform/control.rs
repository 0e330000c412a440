//! Derivatives of what runs bodies: loops and branches; batches of them are in `lift`.
//!
//! Each is one node of the same kind again, with bodies that do more: those of a loop's derivative compute a step anew and move
//! along, or back, what is asked for. So a derivative takes as many nodes as the body does, however many steps there are,
//! and has derivatives of its own. Refuses to know what the bodies compute.

use super::forward::{Moved, moved};
use super::reverse;
use crate::ops::control::{piece, places, record};
use crate::ops::{Body, Concat, Op, Scan, Switch, While};
use crate::tensor::{Error, ErrorKind, Result, Tensor, Type};

mod lift;

pub(super) use lift::lifted;

/// The contributions of a node to the cotangents of the `wanted` ones of its inputs; `None` where it has none.
pub(super) fn cotangents(node: &Tensor, cotangent: &Tensor, wanted: &[bool]) -> Result<Vec<Option<Tensor>>> {
    let given = match node.op() {
        Op::Scan(scan) => scan_cotangents(scan, node, cotangent, wanted),
        Op::Switch(switch) => switch_cotangents(switch, node, cotangent, wanted),
        Op::While(_) => Err(Error::new(
            ErrorKind::Argument,
            "while_loop",
            "has no gradient, as nobody knows how many steps there will be to go back: state a `bound` on their number",
        )),
        _ => Ok(vec![None; wanted.len()]),
    };
    given.map_err(|error| error.at(node.origin()))
}

/// How a node moves with its inputs.
pub(super) fn tangent(node: &Tensor, given: &[Option<Tensor>]) -> Result<Moved> {
    match node.op() {
        Op::Scan(scan) => scan_tangent(scan, node, given),
        Op::Switch(switch) => switch_tangent(switch, node, given),
        Op::While(repeat) => while_tangent(repeat, node, given),
        _ => Ok(Moved::Nothing),
    }
}

/// The bodies of a node recorded on placeholders: one of these for each input of the node, and all results.
pub(super) fn opened(node: &Tensor) -> (Vec<Tensor>, Vec<Tensor>) {
    let types: Vec<&Type> = match node.op() {
        Op::Scan(scan) => scan.body.input_types().collect(),
        _ => node.inputs().iter().map(Tensor::ty).collect(),
    };
    let inputs: Vec<Tensor> = types.into_iter().map(placeholder).collect();
    let skipped = usize::from(matches!(node.op(), Op::Switch(_)));
    let results = node.op().bodies().iter().flat_map(|body| body.record(&inputs[skipped..])).collect();
    (inputs, results)
}

fn placeholder(ty: &Type) -> Tensor {
    Tensor::placeholder(&ty.shape[..], ty.dtype)
}

fn zeros(ty: &Type) -> Tensor {
    Tensor::full(&ty.shape[..], 0.0, ty.dtype)
}

fn refs(tensors: &[Tensor]) -> Vec<&Tensor> {
    tensors.iter().collect()
}

/// Those of a list that are marked.
fn chosen<T: Clone>(list: &[T], marked: &[bool]) -> Vec<T> {
    list.iter().zip(marked).filter(|(_, marked)| **marked).map(|(item, _)| item.clone()).collect()
}

/// Marks the carries that depend on an input that is marked, by way of any number of steps, if `may` says that they can.
fn spread(body: &Body, carries: usize, marked: &mut [bool], may: impl Fn(&Type) -> bool) {
    let can: Vec<bool> = body.output_types().take(carries).map(may).collect();
    loop {
        let depends = body.depending(marked);
        let new: Vec<usize> = (0..carries).filter(|&at| depends[at] && can[at] && !marked[at]).collect();
        if new.is_empty() {
            return;
        }
        new.into_iter().for_each(|at| marked[at] = true);
    }
}

/// A flat vector of parts, one after the other; of two axes if the parts have an axis of examples before.
fn joined(parts: Vec<Tensor>, examples: Option<usize>) -> Tensor {
    let axis = usize::from(examples.is_some());
    let flat = |part: Tensor| match examples {
        Some(size) => part.reshape([size, part.shape()[1..].iter().product()]),
        None => part.reshape([part.len()]),
    };
    match parts.len() {
        1 => parts.into_iter().map(flat).next().unwrap_or_else(|| unreachable!("there is one")),
        _ => Tensor::record(Concat { axis }, parts.into_iter().map(flat)),
    }
}

/// Backwards through the steps: the carries are the cotangents of the loop's carries, and what has gathered for what every
/// step reads; each step is computed again from the carries before it and its products, which a run of the same loop keeps.
fn scan_cotangents(scan: &Scan, node: &Tensor, cotangent: &Tensor, wanted: &[bool]) -> Result<Vec<Option<Tensor>>> {
    let start = Tensor::next_id();
    let (carries, first_rest) = (scan.carries, scan.carries + scan.sequences);
    let own = scan.body.placeholders();
    let all = scan.body.record_all(&own);
    let results: Vec<Tensor> = scan.body.outputs().iter().map(|&at| all[at as usize].clone()).collect();
    let mut moving = wanted.to_vec();
    spread(&scan.body, carries, &mut moving, |ty| ty.dtype.is_float());
    let depends = scan.body.depending(&moving);
    let (at_result, _) = places(&scan.results(), scan.dtype);
    let types = scan.results();

    // What comes back along the carries, and with each part of the results.
    let active: Vec<usize> = (0..carries).filter(|&i| moving[i] && own[i].dtype().is_float()).collect();
    let given: Vec<usize> = (carries..results.len()).filter(|&k| at_result[k].is_some() && depends[k]).collect();
    let back: Vec<Tensor> = active.iter().map(|&i| placeholder(own[i].ty())).collect();
    let back_parts: Vec<Tensor> = given.iter().map(|&k| placeholder(results[k].ty())).collect();
    let sources: Vec<usize> = active.iter().copied().chain((carries..own.len()).filter(|&k| wanted[k])).collect();
    let ends: Vec<&Tensor> = active.iter().chain(&given).map(|&k| &results[k]).collect();
    let seeds: Vec<&Tensor> = back.iter().chain(&back_parts).collect();
    let found = reverse::cotangents(&ends, &seeds, &sources.iter().map(|&k| &own[k]).collect::<Vec<_>>())?;
    let found_of = |k: usize| sources.iter().position(|&source| source == k).and_then(|at| found[at].clone());

    let gathered: Vec<usize> = (first_rest..own.len()).filter(|&k| found_of(k).is_some()).collect();
    let parts: Vec<usize> = (carries..first_rest).filter(|&k| found_of(k).is_some()).collect();
    let sums: Vec<Tensor> = gathered.iter().map(|&k| placeholder(own[k].ty())).collect();
    let mut outputs: Vec<Tensor> = active.iter().map(|&i| found_of(i).unwrap_or_else(|| zeros(own[i].ty()))).collect();
    outputs.extend(gathered.iter().zip(&sums).filter_map(|(&k, sum)| Some(sum + found_of(k)?)));
    outputs.extend(parts.iter().filter_map(|&k| found_of(k)));

    // Only what the way back needs is kept and read.
    let carried: Vec<Tensor> = back.iter().chain(&sums).cloned().collect();
    let products = scan.body.dear();
    let values: Vec<usize> = (0..own.len()).chain(products.iter().copied()).collect();
    let everything: Vec<Tensor> =
        carried.iter().cloned().chain(values.iter().map(|&at| all[at].clone())).chain(back_parts.clone()).collect();
    let (draft, _) = Body::trace(start, &everything, &outputs, true)?;
    let read: Vec<bool> = (0..values.len()).map(|k| draft.reads(carried.len() + k)).collect();
    let kept = (0..values.len()).filter(|k| !(carries..own.len()).contains(k));
    let saved: Vec<usize> = kept.filter(|&k| read[k]).map(|k| values[k]).collect();
    let sequences: Vec<usize> = (carries..first_rest).filter(|&k| read[k]).collect();
    let rest: Vec<usize> = (first_rest..own.len()).filter(|&k| read[k]).collect();
    let pick = |list: &[usize]| list.iter().map(|&k| all[k].clone()).collect::<Vec<_>>();
    let placeholders = [carried.clone(), pick(&saved), pick(&sequences), back_parts.clone(), pick(&rest)].concat();
    let (body, outside) = Body::trace(start, &placeholders, &outputs, true)?;

    let mut inputs: Vec<Tensor> = active
        .iter()
        .map(|&i| at_result[i].map_or_else(|| zeros(&types[i]), |from| piece(cotangent, from, &types[i])))
        .chain(sums.iter().map(|sum| zeros(sum.ty())))
        .collect();
    if !saved.is_empty() {
        inputs.extend(kept_values(scan, node, &saved));
    }
    inputs.extend(sequences.iter().map(|&k| node.inputs()[k].clone()));
    inputs.extend(given.iter().filter_map(|&k| Some(piece(cotangent, at_result[k]?, &types[k]))));
    inputs.extend(rest.iter().map(|&k| node.inputs()[k].clone()));
    inputs.extend(outside);
    let adjoint = Scan {
        body,
        carries: carried.len(),
        sequences: saved.len() + sequences.len() + given.len(),
        length: scan.length,
        reverse: !scan.reverse,
        dtype: scan.dtype,
    };
    let types = adjoint.results();
    let all = record(|dtype| Scan { dtype, ..adjoint.clone() }.into(), &types, &inputs);
    let mut contributions: Vec<Option<Tensor>> = vec![None; own.len()];
    for (&k, result) in active.iter().chain(&gathered).chain(&parts).zip(all) {
        let reached = found_of(k).is_some() || scan.length == 0;
        contributions[k] = reached.then_some(result);
    }
    Ok(contributions)
}

/// What stood at some positions of the body, at every step, from a run of the same loop that keeps it.
fn kept_values(scan: &Scan, node: &Tensor, positions: &[usize]) -> Vec<Tensor> {
    let outputs = scan.body.outputs();
    // A carry that is a result, too, is kept by it: before a step it is what the result was of the step before.
    let result = |at: usize| {
        let shifted = at < scan.carries && !scan.reverse && scan.length > 0;
        (scan.carries..outputs.len()).find(|&k| shifted && outputs[k] == outputs[at])
    };
    let further: Vec<usize> = positions.iter().copied().filter(|&at| result(at).is_none()).collect();
    let keeping = Scan { body: scan.body.with_further_outputs(further.iter().copied()), ..scan.clone() };
    let all = record(|dtype| Scan { dtype, ..keeping.clone() }.into(), &keeping.results(), node.inputs());
    let mut kept = all[outputs.len()..].iter();
    let value = |&at: &usize| match result(at) {
        Some(k) => Some(Tensor::concat(&[&node.inputs()[at].unsqueeze(0), &all[k].slice(0, ..scan.length - 1)], 0)),
        None => kept.next().cloned(),
    };
    positions.iter().filter_map(value).collect()
}

/// The tangents of a body's results, and the placeholders for those of the inputs that move, once all carries that move
/// by way of any number of steps are among them.
struct Moving {
    own: Vec<Tensor>,
    results: Vec<Tensor>,
    moves: Vec<bool>,
    along: Vec<Tensor>,
    tangents: Vec<Moved>,
}

impl Moving {
    fn of(body: &Body, carries: usize, given: &[Option<Tensor>]) -> Result<Moving> {
        let own = body.placeholders();
        let results = body.record(&own);
        let mut moves: Vec<bool> = given.iter().map(Option::is_some).collect();
        loop {
            let along: Vec<Tensor> = chosen(&own, &moves).iter().map(|x| placeholder(x.ty())).collect();
            let tangents = moved(&refs(&results), &refs(&chosen(&own, &moves)), &refs(&along))?;
            let more: Vec<usize> = (0..carries).filter(|&i| !moves[i] && matches!(tangents[i], Moved::Tangent(_))).collect();
            if more.is_empty() {
                return Ok(Moving { own, results, moves, along, tangents });
            }
            more.into_iter().for_each(|i| moves[i] = true);
        }
    }

    /// The tangent of result `k`, if it has one.
    fn tangent(&self, k: usize) -> Option<Tensor> {
        match &self.tangents[k] {
            Moved::Tangent(tangent) => Some(tangent.clone()),
            _ => None,
        }
    }

    /// The placeholders of tangents of inputs in a range.
    fn along(&self, range: std::ops::Range<usize>) -> Vec<Tensor> {
        let before = self.moves[..range.start].iter().filter(|&&moves| moves).count();
        let count = self.moves[range].iter().filter(|&&moves| moves).count();
        self.along[before..before + count].to_vec()
    }
}

/// What moves of inputs in a range: tangents that were given, or zeros of a carry that starts to move later.
fn starts(node: &Tensor, given: &[Option<Tensor>], moves: &[bool], range: std::ops::Range<usize>) -> Vec<Tensor> {
    let start = |k: usize| given[k].clone().unwrap_or_else(|| node.inputs()[k].zeros_like());
    range.filter(|&k| moves[k]).map(start).collect()
}

/// Whether what moves is nothing but what is declared zero.
fn still(tangents: &[Moved]) -> Moved {
    if tangents.iter().any(|moved| matches!(moved, Moved::Zero)) { Moved::Zero } else { Moved::Nothing }
}

/// The loop with the tangents of its carries beside them.
fn scan_tangent(scan: &Scan, node: &Tensor, given: &[Option<Tensor>]) -> Result<Moved> {
    let start = Tensor::next_id();
    let (carries, first_rest, count) = (scan.carries, scan.carries + scan.sequences, node.inputs().len());
    let moving = Moving::of(&scan.body, carries, given)?;
    let types = scan.results();
    let carried: Vec<usize> = (0..carries).filter(|&i| moving.moves[i]).collect();
    let parts: Vec<usize> = (carries..types.len()).filter(|&k| types[k].dtype == scan.dtype && moving.tangent(k).is_some()).collect();
    if parts.is_empty() && !carried.iter().any(|&i| types[i].dtype == scan.dtype) {
        return Ok(still(&moving.tangents));
    }
    let next = |&i: &usize| moving.tangent(i).unwrap_or_else(|| zeros(&types[i]));
    let mut outputs: Vec<Tensor> = carried.iter().map(next).chain(moving.results[..carries].iter().cloned()).collect();
    outputs.extend(parts.iter().filter_map(|&k| moving.tangent(k)));
    let own = |range: std::ops::Range<usize>| moving.own[range].to_vec();
    let ranges = [0..carries, carries..first_rest, first_rest..count];
    let placeholders: Vec<Tensor> =
        ranges.clone().into_iter().flat_map(|range| [moving.along(range.clone()), own(range)].concat()).collect();
    let (body, outside) = Body::trace(start, &placeholders, &outputs, true)?;
    let beside =
        |range: std::ops::Range<usize>| [starts(node, given, &moving.moves, range.clone()), node.inputs()[range].to_vec()].concat();
    let inputs: Vec<Tensor> = ranges.into_iter().flat_map(beside).chain(outside).collect();
    let moving_parts = (carries..first_rest).filter(|&k| moving.moves[k]).count();
    let beside = Scan { body, carries: carried.len() + carries, sequences: moving_parts + scan.sequences, ..scan.clone() };
    let all = record(|dtype| Scan { dtype, ..beside.clone() }.into(), &beside.results(), &inputs);
    let find = |k: usize| match carried.iter().position(|&i| i == k) {
        Some(at) => Some(all[at].clone()),
        None => parts.iter().position(|&part| part == k).map(|at| all[carried.len() + carries + at].clone()),
    };
    let own = (0..types.len()).filter(|&k| types[k].dtype == scan.dtype);
    Ok(Moved::Tangent(joined(own.map(|k| find(k).unwrap_or_else(|| zeros(&types[k]))).collect(), None)))
}

/// The same branch, backwards.
fn switch_cotangents(switch: &Switch, node: &Tensor, cotangent: &Tensor, wanted: &[bool]) -> Result<Vec<Option<Tensor>>> {
    let start = Tensor::next_id();
    let types: Vec<Type> = switch.branches[0].output_types().cloned().collect();
    let (at_result, _) = places(&types, switch.dtype);
    let own = switch.branches[0].placeholders();
    let back = placeholder(cotangent.ty());
    let seeds: Vec<Tensor> = types.iter().zip(&at_result).filter_map(|(ty, from)| Some(piece(&back, (*from)?, ty))).collect();
    let sources: Vec<usize> = (0..own.len()).filter(|&k| wanted[k + 1]).collect();
    let wrt: Vec<&Tensor> = sources.iter().map(|&k| &own[k]).collect();
    let mut found = Vec::with_capacity(switch.branches.len());
    for branch in &switch.branches {
        let results = branch.record(&own);
        let ends: Vec<&Tensor> = results.iter().filter(|result| result.dtype() == switch.dtype).collect();
        found.push(reverse::cotangents(&ends, &refs(&seeds), &wrt)?);
    }
    let reached: Vec<usize> = (0..sources.len()).filter(|&at| found.iter().any(|branch| branch[at].is_some())).collect();
    let outputs: Vec<Vec<Tensor>> = found
        .iter()
        .map(|branch| reached.iter().map(|&at| branch[at].clone().unwrap_or_else(|| zeros(own[sources[at]].ty()))).collect())
        .collect();
    let placeholders: Vec<Tensor> = own.iter().chain([&back]).cloned().collect();
    let (branches, outside) = Body::trace_all(start, &placeholders, &outputs)?;
    let inputs: Vec<Tensor> = node.inputs().iter().chain([cotangent]).chain(&outside).cloned().collect();
    let types: Vec<Type> = reached.iter().map(|&at| own[sources[at]].ty().clone()).collect();
    let all = record(|dtype| Switch { branches: branches.clone(), dtype }.into(), &types, &inputs);
    let mut contributions: Vec<Option<Tensor>> = vec![None; wanted.len()];
    reached.iter().zip(all).for_each(|(&at, result)| contributions[sources[at] + 1] = Some(result));
    Ok(contributions)
}

/// The same branch, along.
fn switch_tangent(switch: &Switch, node: &Tensor, given: &[Option<Tensor>]) -> Result<Moved> {
    let start = Tensor::next_id();
    let types: Vec<Type> = switch.branches[0].output_types().cloned().collect();
    let moving: Vec<bool> = given[1..].iter().map(Option::is_some).collect();
    let own = switch.branches[0].placeholders();
    let along: Vec<Tensor> = chosen(&own, &moving).iter().map(|x| placeholder(x.ty())).collect();
    let mut all = Vec::with_capacity(switch.branches.len());
    for branch in &switch.branches {
        let results = branch.record(&own);
        all.push(moved(&refs(&results), &refs(&chosen(&own, &moving)), &refs(&along))?);
    }
    let floats: Vec<usize> = (0..types.len()).filter(|&k| types[k].dtype == switch.dtype).collect();
    let moves = |k: usize| all.iter().any(|branch| matches!(branch[k], Moved::Tangent(_)));
    if !floats.iter().any(|&k| moves(k)) {
        let zero = all.iter().any(|branch| matches!(still(branch), Moved::Zero));
        return Ok(if zero { Moved::Zero } else { Moved::Nothing });
    }
    let one = |branch: &Vec<Moved>, k: usize| match &branch[k] {
        Moved::Tangent(tangent) => tangent.clone(),
        _ => zeros(&types[k]),
    };
    let outputs: Vec<Vec<Tensor>> = all.iter().map(|branch| floats.iter().map(|&k| one(branch, k)).collect()).collect();
    let placeholders: Vec<Tensor> = own.iter().chain(&along).cloned().collect();
    let (branches, outside) = Body::trace_all(start, &placeholders, &outputs)?;
    let inputs: Vec<Tensor> = node.inputs().iter().chain(given[1..].iter().flatten()).chain(&outside).cloned().collect();
    Ok(Moved::Tangent(Tensor::record(Switch { branches, dtype: switch.dtype }, inputs)))
}

/// The loop with the tangents of its carries beside them, as long as the loop goes on.
fn while_tangent(repeat: &While, node: &Tensor, given: &[Option<Tensor>]) -> Result<Moved> {
    let start = Tensor::next_id();
    let (carries, count) = (repeat.carries(), node.inputs().len());
    let moving = Moving::of(repeat.body(), carries, given)?;
    let types: Vec<Type> = repeat.body().output_types().cloned().collect();
    let carried: Vec<usize> = (0..carries).filter(|&i| moving.moves[i]).collect();
    if !carried.iter().any(|&i| types[i].dtype == repeat.dtype) {
        return Ok(still(&moving.tangents));
    }
    let next = |&i: &usize| moving.tangent(i).unwrap_or_else(|| zeros(&types[i]));
    let outputs: Vec<Tensor> = carried.iter().map(next).chain(moving.results.iter().cloned()).collect();
    let condition = repeat.condition().record(&moving.own);
    let placeholders =
        [moving.along(0..carries), moving.own[..carries].to_vec(), moving.along(carries..count), moving.own[carries..].to_vec()].concat();
    let (bodies, outside) = Body::trace_all(start, &placeholders, &[condition, outputs])?;
    let beside =
        |range: std::ops::Range<usize>| [starts(node, given, &moving.moves, range.clone()), node.inputs()[range].to_vec()].concat();
    let inputs = [beside(0..carries), beside(carries..count), outside].concat();
    let all_types: Vec<Type> = carried.iter().map(|&i| types[i].clone()).chain(types.iter().cloned()).collect();
    let all = record(|dtype| both(&bodies, dtype), &all_types, &inputs);
    let find = |k: usize| carried.iter().position(|&i| i == k).map_or_else(|| zeros(&types[k]), |at| all[at].clone());
    let own = (0..carries).filter(|&k| types[k].dtype == repeat.dtype);
    Ok(Moved::Tangent(joined(own.map(find).collect(), None)))
}

fn both(bodies: &[Body], dtype: crate::tensor::DType) -> Op {
    While { bodies: [bodies[0].clone(), bodies[1].clone()], dtype }.into()
}
