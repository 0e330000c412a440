//! Loops and branches over one more axis: for all examples of a batch at once.
//!
//! A body is lifted as any graph is, and recorded anew for all examples. Refuses to know what it computes.

use super::super::batch::{lift, repeat};
use super::{both, chosen, joined, placeholder, spread};
use crate::ops::control::{record, stacked};
use crate::ops::{Body, Op, Scan, Switch, While};
use crate::tensor::{Result, Tensor, Type};

/// A node over one more, leading axis that some inputs carry: `[size, n]` in the place of `[n]`.
pub(in crate::transform) fn lifted(node: &Tensor, wide: &[Option<Tensor>], size: usize) -> Result<Tensor> {
    match node.op() {
        Op::Scan(scan) => lifted_scan(scan, node, wide, size),
        Op::Switch(switch) => lifted_switch(switch, node, wide, size),
        Op::While(repeat) => lifted_while(repeat, node, wide, size),
        _ => Ok(repeat(node, size)),
    }
}

/// Placeholders for the inputs of a body, for one example and, where `batched`, for all; and the pairs of them.
struct Examples {
    one: Vec<Tensor>,
    all: Vec<Tensor>,
    pairs: Vec<(Tensor, Tensor)>,
}

impl Examples {
    fn of(body: &Body, batched: &[bool], size: usize) -> Examples {
        let one = body.placeholders();
        let wide = |(x, batched): (&Tensor, &bool)| match batched {
            true => placeholder(&stacked(size, x.ty())),
            false => x.clone(),
        };
        let all: Vec<Tensor> = one.iter().zip(batched).map(wide).collect();
        let pairs = one.iter().zip(&all).zip(batched).filter(|(_, batched)| **batched).map(|((a, b), _)| (a.clone(), b.clone())).collect();
        Examples { one, all, pairs }
    }

    /// The results of a body, those that are `batched` for all examples.
    fn lifted(&self, body: &Body, batched: &[bool], size: usize) -> Result<Vec<Tensor>> {
        let results = body.record(&self.one);
        let mut wide = lift(&chosen(&results, batched), &self.pairs, size)?.into_iter();
        Ok(results.into_iter().zip(batched).map(|(one, batched)| if *batched { wide.next().unwrap_or(one) } else { one }).collect())
    }
}

/// The two first axes exchanged.
fn turned(x: &Tensor) -> Tensor {
    let order: Vec<usize> = [1, 0].into_iter().chain(2..x.rank()).collect();
    x.permute(order)
}

/// An input as a body that may be batched there wants it.
fn whole(input: &Tensor, wide: &Option<Tensor>, batched: bool, size: usize) -> Tensor {
    match wide {
        Some(wide) => wide.clone(),
        None if batched => repeat(input, size),
        None => input.clone(),
    }
}

/// Results side by side in `[size, n]`.
fn side_by_side(results: Vec<Tensor>, batched: &[bool], size: usize) -> Tensor {
    joined(
        results.iter().zip(batched).map(|(result, batched)| if *batched { result.clone() } else { repeat(result, size) }).collect(),
        Some(size),
    )
}

fn lifted_scan(scan: &Scan, node: &Tensor, wide: &[Option<Tensor>], size: usize) -> Result<Tensor> {
    let start = Tensor::next_id();
    let (carries, first_rest) = (scan.carries, scan.carries + scan.sequences);
    let mut batched: Vec<bool> = wide.iter().map(Option::is_some).collect();
    spread(&scan.body, carries, &mut batched, |_| true);
    let depends = scan.body.depending(&batched);
    let results: Vec<bool> = depends.iter().enumerate().map(|(k, depends)| if k < carries { batched[k] } else { *depends }).collect();
    let examples = Examples::of(&scan.body, &batched, size);
    let outputs = examples.lifted(&scan.body, &results, size)?;
    let (body, outside) = Body::trace(start, &examples.all, &outputs, true)?;
    let input = |k: usize| match &wide[k] {
        // What counts the steps stays in front.
        Some(wide) if (carries..first_rest).contains(&k) => turned(wide),
        wide => whole(&node.inputs()[k], wide, batched[k], size),
    };
    let inputs: Vec<Tensor> = (0..wide.len()).map(input).chain(outside).collect();
    let loops = Scan { body, ..scan.clone() };
    let types = loops.results();
    let all = record(|dtype| Scan { dtype, ..loops.clone() }.into(), &types, &inputs);
    let own: Vec<usize> = (0..types.len()).filter(|&k| types[k].dtype == scan.dtype).collect();
    let result = |&k: &usize| if k >= carries && results[k] { turned(&all[k]) } else { all[k].clone() };
    Ok(side_by_side(own.iter().map(result).collect(), &own.iter().map(|&k| results[k]).collect::<Vec<_>>(), size))
}

/// Where all examples take the same branch, that one; otherwise all branches, of which each example's is picked.
fn lifted_switch(switch: &Switch, node: &Tensor, wide: &[Option<Tensor>], size: usize) -> Result<Tensor> {
    let start = Tensor::next_id();
    let batched: Vec<bool> = wide[1..].iter().map(Option::is_some).collect();
    let types: Vec<Type> = switch.branches[0].output_types().cloned().collect();
    let own: Vec<usize> = (0..types.len()).filter(|&k| types[k].dtype == switch.dtype).collect();
    if let Some(index) = &wide[0] {
        let operands: Vec<Tensor> = node.inputs()[1..].to_vec();
        let one = placeholder(node.inputs()[0].ty());
        let number = |at: usize| Tensor::full([], at as f64, one.dtype());
        // Beyond the last branch nothing is equal, and the last one is what is left.
        let place = one.maximum(&number(0));
        // Recorded for one example, with a choice of values in the place of a choice of branches, and lifted as anything is.
        let examples: Vec<Tensor> =
            operands.iter().zip(&batched).map(|(x, batched)| if *batched { placeholder(x.ty()) } else { x.clone() }).collect();
        let branches: Vec<Vec<Tensor>> = switch.branches.iter().map(|branch| branch.record(&examples)).collect();
        let pick = |k: usize| {
            let choose = |rest: Tensor, (at, branch): (usize, &Vec<Tensor>)| {
                place.equal(&number(at)).broadcast_to(&types[k].shape).select(&branch[k], &rest)
            };
            branches.iter().enumerate().rev().skip(1).fold(branches[branches.len() - 1][k].clone(), choose)
        };
        let results: Vec<Tensor> = own.iter().map(|&k| pick(k)).collect();
        let mut pairs: Vec<(Tensor, Tensor)> =
            examples.into_iter().zip(&wide[1..]).filter_map(|(one, wide)| Some((one, wide.clone()?))).collect();
        pairs.push((one, index.clone()));
        return Ok(joined(lift(&results, &pairs, size)?, Some(size)));
    }
    let examples = Examples::of(&switch.branches[0], &batched, size);
    let outputs: Vec<Vec<Tensor>> =
        switch.branches.iter().map(|branch| examples.lifted(branch, &vec![true; types.len()], size)).collect::<Result<_>>()?;
    let (branches, outside) = Body::trace_all(start, &examples.all, &outputs)?;
    let operands = (1..wide.len()).map(|k| whole(&node.inputs()[k], &wide[k], batched[k - 1], size));
    let inputs: Vec<Tensor> = std::iter::once(node.inputs()[0].clone()).chain(operands).chain(outside).collect();
    let types: Vec<Type> = types.iter().map(|ty| stacked(size, ty)).collect();
    let all = record(|dtype| Switch { branches: branches.clone(), dtype }.into(), &types, &inputs);
    Ok(joined(own.iter().map(|&k| all[k].clone()).collect(), Some(size)))
}

/// As long as any example goes on; those that have ended keep what they have.
fn lifted_while(repeat: &While, node: &Tensor, wide: &[Option<Tensor>], size: usize) -> Result<Tensor> {
    let start = Tensor::next_id();
    let carries = repeat.carries();
    let mut batched: Vec<bool> = wide.iter().map(Option::is_some).collect();
    spread(repeat.body(), carries, &mut batched, |_| true);
    let apart = repeat.condition().depending(&batched)[0];
    if apart {
        batched[..carries].fill(true);
    }
    let examples = Examples::of(repeat.body(), &batched, size);
    let mut condition = examples.lifted(repeat.condition(), &[apart], size)?;
    let mut next = examples.lifted(repeat.body(), &batched[..carries], size)?;
    if apart {
        let on = condition[0].clone();
        let kept = |(next, before): (&Tensor, &Tensor)| {
            let shape: Vec<usize> = std::iter::once(size).chain(std::iter::repeat_n(1, next.rank() - 1)).collect();
            on.reshape(shape).broadcast_to(next.shape()).select(next, before)
        };
        next = next.iter().zip(&examples.all).map(kept).collect();
        condition = vec![on.any()];
    }
    let (bodies, outside) = Body::trace_all(start, &examples.all, &[condition, next])?;
    let inputs: Vec<Tensor> = (0..wide.len()).map(|k| whole(&node.inputs()[k], &wide[k], batched[k], size)).chain(outside).collect();
    let types: Vec<Type> = bodies[1].output_types().cloned().collect();
    let all = record(|dtype| both(&bodies, dtype), &types, &inputs);
    let own: Vec<usize> = (0..carries).filter(|&k| types[k].dtype == repeat.dtype).collect();
    Ok(side_by_side(own.iter().map(|&k| all[k].clone()).collect(), &own.iter().map(|&k| batched[k]).collect::<Vec<_>>(), size))
}
