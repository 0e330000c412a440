//! The stages recorded: a block of steps, and a loop over blocks.
//!
//! Refuses to decide what belongs where, which [`Division`] does.

use super::divide::{Division, Term};
use crate::ops::control::{record, stacked};
use crate::ops::{Body, Concat, Einsum, Op, Reshape, Scan, Slice, Sum};
use crate::tensor::{Result, Tensor, Type};
use crate::transform::batch::lift;

/// Bytes that wait between the stages of a block.
const MOST_WAITING: usize = 1 << 19;

/// From the inputs of a loop to its flat vector of results.
pub fn in_blocks(scan: &Scan, division: &Division) -> Result<Body> {
    let start = Tensor::next_id();
    let wide = |(at, ty): (usize, &Type)| match (scan.carries..scan.carries + scan.sequences).contains(&at) {
        true => placeholder(&stacked(scan.length, ty)),
        false => placeholder(ty),
    };
    let inputs: Vec<Tensor> = scan.body.input_types().enumerate().map(wide).collect();
    let stages = Stages::new(scan, division, &inputs[scan.carries + scan.sequences..]);
    let (carries, sequences) = (&inputs[..scan.carries], &inputs[scan.carries..scan.carries + scan.sequences]);
    let results = stages.all(carries, sequences)?;
    let own = scan.results().into_iter().zip(results).filter(|(ty, _)| ty.dtype == scan.dtype);
    let flat: Vec<Tensor> = own.map(|(ty, result)| Tensor::record(Reshape([ty.len()].as_slice().into()), [result])).collect();
    let whole = if flat.len() == 1 { flat[0].clone() } else { Tensor::record(Concat { axis: 0 }, flat) };
    let (body, outside) = Body::trace(start, &inputs, &[whole], false)?;
    debug_assert!(outside.is_empty(), "a stage reads what it was not given");
    Ok(body)
}

/// Steps of a block, if each leaves so many bytes waiting.
pub fn steps_of_a_block(length: usize, bytes: usize) -> usize {
    let most = MOST_WAITING / bytes.max(1);
    if most >= length {
        return length;
    }
    // As many as leave no rest, if that is not much less.
    let even = (most / 2 + 1..=most).rev().find(|steps| length.is_multiple_of(*steps));
    even.unwrap_or_else(|| length.div_ceil(length.div_ceil(most.max(1))))
}

fn placeholder(ty: &Type) -> Tensor {
    Tensor::placeholder(&ty.shape[..], ty.dtype)
}

/// The values of a body, once recorded.
struct Stages<'a> {
    scan: &'a Scan,
    division: &'a Division,
    /// What was recorded before is the same at every step.
    start: u64,
    /// Of each position in the body.
    all: Vec<Tensor>,
}

/// Values of a step, and those of all steps side by side.
type Pairs = Vec<(Tensor, Tensor)>;

impl<'a> Stages<'a> {
    fn new(scan: &'a Scan, division: &'a Division, rest: &[Tensor]) -> Stages<'a> {
        let start = Tensor::next_id();
        let own: Vec<Tensor> =
            scan.body.input_types().take(scan.carries + scan.sequences).map(placeholder).chain(rest.iter().cloned()).collect();
        Stages { scan, division, start, all: scan.body.record_all(&own) }
    }

    fn own_carries(&self) -> &[Tensor] {
        &self.all[..self.scan.carries]
    }

    fn own_parts(&self) -> &[Tensor] {
        &self.all[self.scan.carries..self.scan.carries + self.scan.sequences]
    }

    fn output(&self, k: usize) -> Tensor {
        self.all[self.scan.body.outputs()[k] as usize].clone()
    }

    /// The last carries and the results of the whole loop.
    fn all(&self, carries: &[Tensor], sequences: &[Tensor]) -> Result<Vec<Tensor>> {
        let (length, steps) = (self.scan.length, steps_of_a_block(self.scan.length, self.division.bytes));
        if steps == length {
            return self.block(carries, sequences, length);
        }
        let (blocks, rest) = (length / steps, length % steps);
        let cut = |from: usize, to: usize| sequences.iter().map(|x| part(x, from, to)).collect::<Vec<_>>();
        let (first, last) = (cut(0, length - rest), cut(length - rest, length));
        let mut ends: Vec<Vec<Tensor>> = Vec::new();
        let mut state = carries.to_vec();
        if rest > 0 && self.scan.reverse {
            ends.push(self.block(&state, &last, rest)?);
            state = ends[0][..carries.len()].to_vec();
        }
        ends.push(self.outer(&state, &first, blocks, steps)?);
        if rest > 0 && !self.scan.reverse {
            let state = ends[0][..carries.len()].to_vec();
            ends.push(self.block(&state, &last, rest)?);
        }
        let mut results = ends[ends.len() - 1][..carries.len()].to_vec();
        if self.scan.reverse {
            ends.reverse();
        }
        results.extend((carries.len()..ends[0].len()).map(|k| match &ends[..] {
            [one] => one[k].clone(),
            _ => Tensor::record(Concat { axis: 0 }, ends.iter().map(|end| end[k].clone())),
        }));
        Ok(results)
    }

    /// A loop over blocks.
    fn outer(&self, carries: &[Tensor], sequences: &[Tensor], blocks: usize, steps: usize) -> Result<Vec<Tensor>> {
        let start = Tensor::next_id();
        let own: Vec<Tensor> = carries.iter().map(|x| placeholder(x.ty())).collect();
        let parts: Vec<Tensor> = self.own_parts().iter().map(|x| placeholder(&stacked(steps, x.ty()))).collect();
        let outputs = self.block(&own, &parts, steps)?;
        let (body, outside) = Body::trace(start, &[own, parts].concat(), &outputs, true)?;
        let blocked = |x: &Tensor| {
            let shape = [&[blocks, steps], &x.shape()[1..]].concat();
            Tensor::record(Reshape(shape[..].into()), [x.clone()])
        };
        let inputs: Vec<Tensor> = carries.iter().cloned().chain(sequences.iter().map(blocked)).chain(outside).collect();
        let outer = Scan { body, length: blocks, ..self.scan.clone() };
        let results = record(|dtype| Scan { dtype, ..outer.clone() }.into(), &outer.results(), &inputs);
        let joined = |(k, x): (usize, Tensor)| match k < self.scan.carries {
            true => x,
            false => Tensor::record(Reshape([&[blocks * steps], &x.shape()[2..]].concat()[..].into()), [x]),
        };
        Ok(results.into_iter().enumerate().map(joined).collect())
    }

    /// Some steps in three stages: the carries after them, and the parts of results side by side.
    fn block(&self, carries: &[Tensor], sequences: &[Tensor], steps: usize) -> Result<Vec<Tensor>> {
        let mut pairs: Pairs = self.own_parts().iter().cloned().zip(sequences.iter().cloned()).collect();
        let before: Vec<Tensor> = self.division.before.iter().map(|&at| self.all[at].clone()).collect();
        let early = self.for_all(&before, &pairs, steps)?;
        pairs.extend(before.into_iter().zip(early));
        let (next, results, handed) = self.core(carries, &pairs, steps)?;
        pairs.extend(self.division.handed.iter().map(|&at| self.all[at].clone()).zip(handed));
        let mut results = results.into_iter();
        let mut outputs = Vec::with_capacity(self.scan.body.outputs().len());
        for (carry, next) in next.into_iter().enumerate() {
            let moves = self.division.sums[carry].iter().flat_map(|sums| &sums.moves);
            let terms: Vec<Tensor> = moves.map(|term| self.contracted(term, &pairs, steps)).collect::<Result<_>>()?;
            outputs.push(terms.into_iter().fold(next, |sum, term| sum + term));
        }
        for (at, later) in self.division.later.iter().enumerate() {
            outputs.push(match later {
                true => self.for_all(&[self.output(self.scan.carries + at)], &pairs, steps)?.remove(0),
                false => results.next().unwrap_or_else(|| unreachable!("the core gives all that are not later")),
            });
        }
        Ok(outputs)
    }

    /// The steps themselves: next carries, the results that are not later ones, and what is handed out.
    fn core(&self, carries: &[Tensor], pairs: &Pairs, steps: usize) -> Result<(Vec<Tensor>, Vec<Tensor>, Vec<Tensor>)> {
        let count = carries.len();
        let stays = |carry: usize| match &self.division.sums[carry] {
            None => Some(self.output(carry)),
            Some(sums) => {
                let terms = sums.stays.iter().map(|&at| self.all[at].clone());
                terms.reduce(|a, b| a + b).map(|sum| &self.own_carries()[carry] + sum)
            }
        };
        let next: Vec<Option<Tensor>> = (0..count).map(stays).collect();
        let kept: Vec<usize> = (0..count).filter(|&carry| next[carry].is_some()).collect();
        let own = (0..self.division.later.len()).filter(|&at| !self.division.later[at]).map(|at| self.output(count + at));
        let handed = self.division.handed.iter().map(|&at| self.all[at].clone());
        let outputs: Vec<Tensor> = next.iter().flatten().cloned().chain(own).chain(handed).collect();
        if outputs.is_empty() {
            return Ok((carries.to_vec(), Vec::new(), Vec::new()));
        }
        let state: Vec<Tensor> = kept.iter().map(|&carry| self.own_carries()[carry].clone()).collect();
        let traced = |read: &[(Tensor, Tensor)]| {
            let all: Vec<Tensor> = state.iter().cloned().chain(read.iter().map(|(one, _)| one.clone())).collect();
            Body::trace(self.start, &all, &outputs, true)
        };
        let (draft, _) = traced(pairs)?;
        let read: Pairs = (0..pairs.len()).filter(|&k| draft.reads(kept.len() + k)).map(|k| pairs[k].clone()).collect();
        let (body, outside) = traced(&read)?;
        let first = kept.iter().map(|&carry| carries[carry].clone());
        let inputs: Vec<Tensor> = first.chain(read.iter().map(|(_, all)| all.clone())).chain(outside).collect();
        let scan = Scan { body, carries: kept.len(), sequences: read.len(), length: steps, ..self.scan.clone() };
        let mut found = record(|dtype| Scan { dtype, ..scan.clone() }.into(), &scan.results(), &inputs);
        let handed = found.split_off(found.len() - self.division.handed.len());
        let results = found.split_off(kept.len());
        let mut last = carries.to_vec();
        kept.iter().zip(found).for_each(|(&carry, end)| last[carry] = end);
        Ok((last, results, handed))
    }

    /// Values for all steps, from others for all steps.
    fn for_all(&self, outputs: &[Tensor], pairs: &Pairs, steps: usize) -> Result<Vec<Tensor>> {
        let known: Vec<Tensor> = pairs.iter().map(|(one, _)| one.clone()).collect();
        let (body, outside) = Body::trace(self.start, &known, outputs, true)?;
        let fresh: Vec<Tensor> = known.iter().map(|x| placeholder(x.ty())).collect();
        let own: Vec<Tensor> = fresh.iter().cloned().chain(outside).collect();
        let batches: Pairs = fresh.into_iter().zip(pairs.iter().map(|(_, all)| all.clone())).collect();
        lift(&body.record(&own), &batches, steps)
    }

    /// The sum over all steps of a contraction.
    fn contracted(&self, term: &Term, pairs: &Pairs, steps: usize) -> Result<Tensor> {
        let node = &self.scan.body.nodes()[term.core];
        let operands: Vec<Tensor> = node.inputs.iter().map(|&at| self.all[at as usize].clone()).collect();
        let moving: Vec<Tensor> = operands.iter().zip(&term.varies).filter(|(_, varies)| **varies).map(|(x, _)| x.clone()).collect();
        let mut wide = self.for_all(&moving, pairs, steps)?;
        let over_steps = |axes: &[usize], x: Tensor| Tensor::record(Sum(axes.into()), [x]);
        let whole = match (&node.op, &term.varies[..]) {
            (Op::Einsum(einsum), [true, true]) => {
                let label = (1..=u8::MAX).find(|label| !einsum.a.contains(label) && !einsum.b.contains(label)).unwrap_or(0);
                let with = |labels: &[u8]| std::iter::once(label).chain(labels.iter().copied()).collect();
                Tensor::record(Einsum { a: with(&einsum.a), b: with(&einsum.b), ..Einsum::clone(einsum) }, wide)
            }
            (Op::Einsum(einsum), [first, _]) => {
                let sum = over_steps(&[0], wide.remove(0));
                let inputs = if *first { [sum, operands[1].clone()] } else { [operands[0].clone(), sum] };
                Tensor::record(Einsum::clone(einsum), inputs)
            }
            (Op::Sum(sum), _) => {
                let axes: Vec<usize> = std::iter::once(0).chain(sum.0.iter().map(|axis| axis + 1)).collect();
                over_steps(&axes, wide.remove(0))
            }
            _ => unreachable!("a term is a product or a sum"),
        };
        let moved = term.moved.iter().fold(whole, |x, &at| Tensor::record(self.scan.body.nodes()[at].op.clone(), [x]));
        Ok(moved)
    }
}

/// Some parts of a sequence.
fn part(x: &Tensor, from: usize, to: usize) -> Tensor {
    let (mut start, mut stop) = (vec![0; x.rank()], x.shape().to_vec());
    (start[0], stop[0]) = (from, to);
    let step = vec![1; x.rank()];
    Tensor::record(Slice { start: start[..].into(), stop: stop[..].into(), step: step[..].into() }, [x.clone()])
}
