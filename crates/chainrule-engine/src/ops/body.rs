//! A part of a graph as a value: the body of a loop, a branch, a condition.
//!
//! It is recorded once with placeholders, and kept as a list of operations without any data, so that two bodies are
//! equal if they compute the same. Refuses to hold tensors: what it reads from outside is an input of its own.

use super::{Array, Op, Operation};
use crate::compile::kernel::Binary;
use crate::tensor::node::Inputs;
use crate::tensor::origin::recorded_as;
use crate::tensor::{Error, Origin, Result, Tensor, Type};
use crate::transform::walk::Walk;
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Terms of a sum from which a product is dear.
const DEAR_TERMS: usize = 8;

/// Operations on some inputs, and which of them are results.
#[derive(Clone)]
pub struct Body {
    nodes: Vec<BodyNode>,
    inputs: usize,
    outputs: Vec<u32>,
    /// Where each node was recorded: for messages, and no part of what the body is.
    origins: Vec<Origin>,
    fingerprint: u64,
}

/// An operation on earlier nodes of a body; the first nodes are its inputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BodyNode {
    /// The operation; [`Op::Input`] of an input.
    pub op: Op,
    /// Positions of what it is applied to.
    pub inputs: SmallVec<[u32; 3]>,
    /// Shape and element type.
    pub ty: Type,
}

impl Body {
    /// A body of nodes that stand in order, `inputs` of them first.
    pub fn new(nodes: Vec<BodyNode>, inputs: usize, outputs: Vec<u32>, origins: Vec<Origin>) -> Body {
        let mut hasher = FxHasher::default();
        nodes.iter().for_each(|node| (&node.op, &node.inputs, &node.ty).hash(&mut hasher));
        (inputs, &outputs).hash(&mut hasher);
        Body { nodes, inputs, outputs, origins, fingerprint: hasher.finish() }
    }

    /// The body that makes `outputs` from `placeholders`, and the tensors from outside that it reads: they are its
    /// inputs after the placeholders. What was recorded from number `start` on belongs to it; but if it runs at `every` step, what
    /// needs no placeholder is computed outside, once, except constants and views, which cost nothing inside.
    ///
    /// # Errors
    /// The first mistake among the outputs.
    pub fn trace(start: u64, placeholders: &[Tensor], outputs: &[Tensor], every: bool) -> Result<(Body, Vec<Tensor>)> {
        outputs.iter().try_for_each(Tensor::check)?;
        let known: FxHashMap<u64, u32> = placeholders.iter().map(Tensor::id).zip(0..).collect();
        let walk = Walk::new(outputs, |node| node.id() >= start || known.contains_key(&node.id()));
        let depends = walk.depending_on(&placeholders.iter().collect::<Vec<_>>());
        let inside = |at: usize| {
            let node = &walk.nodes[at];
            let light = matches!(node.op(), Op::Broadcast(_) | Op::Permute(_) | Op::Reshape(_)) && node.id() >= start;
            let own = light || (!every && node.id() >= start && !node.inputs().is_empty());
            !known.contains_key(&node.id()) && (depends[at] || own || matches!(node.op(), Op::Constant(_) | Op::Iota(_)))
        };
        let mut needed = vec![false; walk.nodes.len()];
        outputs.iter().filter_map(|output| walk.find(output)).for_each(|at| needed[at] = true);
        let mut outside: Vec<Tensor> = Vec::new();
        for at in (0..walk.nodes.len()).rev().filter(|&at| inside(at)) {
            if needed[at] {
                walk.nodes[at].inputs().iter().filter_map(|input| walk.find(input)).for_each(|i| needed[i] = true);
            }
        }
        let inner: Vec<usize> = (0..walk.nodes.len()).filter(|&at| needed[at] && inside(at)).collect();
        let read = inner.iter().flat_map(|&at| walk.nodes[at].inputs()).chain(outputs);
        for input in read.filter(|input| !known.contains_key(&input.id())) {
            if !walk.find(input).is_some_and(inside) && !outside.iter().any(|other| other.is(input)) {
                outside.push(input.clone());
            }
        }
        outside.sort_unstable_by_key(Tensor::id);
        let leaves: Vec<&Tensor> = placeholders.iter().chain(&outside).collect();
        let mut place: FxHashMap<u64, u32> = FxHashMap::default();
        let (mut nodes, mut origins) = (Vec::new(), Vec::new());
        for leaf in &leaves {
            place.insert(leaf.id(), nodes.len() as u32);
            nodes.push(BodyNode { op: super::Input.into(), inputs: SmallVec::new(), ty: leaf.ty().clone() });
            origins.push(leaf.origin().clone());
        }
        for at in inner {
            let node = &walk.nodes[at];
            place.insert(node.id(), nodes.len() as u32);
            let inputs = node.inputs().iter().map(|input| place[&input.id()]).collect();
            nodes.push(BodyNode { op: node.op().clone(), inputs, ty: node.ty().clone() });
            origins.push(node.origin().clone());
        }
        let outputs = outputs.iter().map(|output| place[&output.id()]).collect();
        Ok((Body::new(nodes, leaves.len(), outputs, origins), outside))
    }

    /// Several bodies, which need not run, of the same inputs: the placeholders, then what any of them reads from outside.
    ///
    /// # Errors
    /// The first mistake among the outputs.
    pub fn trace_all(start: u64, placeholders: &[Tensor], outputs: &[Vec<Tensor>]) -> Result<(Vec<Body>, Vec<Tensor>)> {
        let mut outside: Vec<Tensor> = Vec::new();
        for outputs in outputs {
            for tensor in Body::trace(start, placeholders, outputs, false)?.1 {
                if !outside.iter().any(|other| other.is(&tensor)) {
                    outside.push(tensor);
                }
            }
        }
        let all: Vec<Tensor> = placeholders.iter().chain(&outside).cloned().collect();
        let bodies = outputs.iter().map(|outputs| Ok(Body::trace(start, &all, outputs, false)?.0)).collect::<Result<_>>()?;
        Ok((bodies, outside))
    }

    /// A placeholder for each input.
    pub fn placeholders(&self) -> Vec<Tensor> {
        self.input_types().map(|ty| Tensor::placeholder(&ty.shape[..], ty.dtype)).collect()
    }

    /// All nodes in order, inputs first.
    pub fn nodes(&self) -> &[BodyNode] {
        &self.nodes
    }

    /// Positions of the results.
    pub fn outputs(&self) -> &[u32] {
        &self.outputs
    }

    /// Types of the inputs.
    pub fn input_types(&self) -> impl ExactSizeIterator<Item = &Type> {
        self.nodes[..self.inputs].iter().map(|node| &node.ty)
    }

    /// Types of the results.
    pub fn output_types(&self) -> impl ExactSizeIterator<Item = &Type> {
        self.outputs.iter().map(|&at| &self.nodes[at as usize].ty)
    }

    /// Where each node was recorded.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// The same body with the values at some positions as further results: inputs, or what it makes of them.
    pub fn with_further_outputs(&self, positions: impl IntoIterator<Item = usize>) -> Body {
        let outputs = self.outputs.iter().copied().chain(positions.into_iter().map(|at| at as u32)).collect();
        Body::new(self.nodes.clone(), self.inputs, outputs, self.origins.clone())
    }

    /// The same body with other origins, and what `inner` makes of operations that run bodies of their own.
    pub fn with_origins(&self, origins: Vec<Origin>, mut inner: impl FnMut(&Op) -> Op) -> Body {
        let mut body = Body { origins, ..self.clone() };
        body.nodes.iter_mut().filter(|node| !node.op.bodies().is_empty()).for_each(|node| node.op = inner(&node.op));
        body
    }

    /// The same body with some of its results, in another order.
    pub fn with_outputs(&self, outputs: impl IntoIterator<Item = usize>) -> Body {
        let outputs = outputs.into_iter().map(|at| self.outputs[at]).collect();
        Body::new(self.nodes.clone(), self.inputs, outputs, self.origins.clone())
    }

    /// Whether it computes what another does, and gives the same results first.
    pub fn extends(&self, other: &Body) -> bool {
        self.inputs == other.inputs && self.outputs.starts_with(&other.outputs) && same_nodes(&self.nodes, &other.nodes)
    }

    /// Whether anything needs an input.
    pub fn reads(&self, input: usize) -> bool {
        let at = input as u32;
        self.outputs.contains(&at) || self.nodes.iter().any(|node| node.inputs.contains(&at))
    }

    /// For each result, whether it depends on an input that is `marked`.
    pub fn depending(&self, marked: &[bool]) -> Vec<bool> {
        let mut depends: Vec<bool> = marked.to_vec();
        for node in &self.nodes[self.inputs..] {
            depends.push(node.inputs.iter().any(|&at| depends[at as usize]));
        }
        self.outputs.iter().map(|&at| depends[at as usize]).collect()
    }

    /// Positions of what is dear to compute again: products, each with what is added to it.
    pub fn dear(&self) -> Vec<usize> {
        let nodes = &self.nodes;
        let mut users: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        for (at, node) in nodes.iter().enumerate() {
            node.inputs.iter().for_each(|&input| users[input as usize].push(at));
        }
        let dear = |at: &usize| {
            let Op::Einsum(einsum) = &nodes[*at].op else { return false };
            let shape = &nodes[nodes[*at].inputs[0] as usize].ty.shape;
            let summed = einsum.a.iter().zip(shape).filter(|(label, _)| !einsum.out.contains(label));
            nodes[*at].ty.dtype.is_float() && summed.map(|(_, &size)| size).product::<usize>() >= DEAR_TERMS
        };
        let with_what_is_added = |mut at: usize| {
            while let ([user], false) = (&users[at][..], self.outputs.contains(&(at as u32)))
                && matches!(nodes[*user].op, Op::Binary(Binary::Add))
            {
                at = *user;
            }
            at
        };
        let mut found: Vec<usize> = (0..nodes.len()).filter(dear).map(with_what_is_added).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Records the body again, applied to tensors of the types of its inputs. Each node keeps the line that it had.
    pub fn record(&self, inputs: &[Tensor]) -> Vec<Tensor> {
        let all = self.record_all(inputs);
        self.outputs.iter().map(|&at| all[at as usize].clone()).collect()
    }

    /// As [`Body::record`], and gives what stands at each position instead of the results.
    pub fn record_all(&self, inputs: &[Tensor]) -> Vec<Tensor> {
        let mut copies: Vec<Tensor> = inputs.to_vec();
        for (node, origin) in self.nodes.iter().zip(&self.origins).skip(self.inputs) {
            let inputs: Inputs = node.inputs.iter().map(|&at| copies[at as usize].clone()).collect();
            copies.push(recorded_as(origin.clone(), || Tensor::record(node.op.clone(), inputs)));
        }
        copies
    }

    /// The results, in the most obvious way, or the first index that points outside.
    pub fn evaluate(&self, inputs: &[Array]) -> Result<Vec<Array>, Error> {
        let mut values: Vec<Array> = inputs.to_vec();
        for (node, origin) in self.nodes.iter().zip(&self.origins).skip(self.inputs) {
            let inputs: Vec<&Array> = node.inputs.iter().map(|&at| &values[at as usize]).collect();
            if let Some(error) = node.op.refuse(&inputs) {
                return Err(error.at(origin));
            }
            let array = Array::new(node.ty.clone(), node.op.evaluate(&inputs, &node.ty));
            values.push(array);
        }
        Ok(self.outputs.iter().map(|&at| values[at as usize].clone()).collect())
    }

    /// Whether an index in it may point outside.
    pub fn may_refuse(&self) -> bool {
        self.nodes.iter().any(|node| match &node.op {
            Op::Gather(_) | Op::ScatterAdd(_) | Op::ScatterReduce(_) => true,
            op => op.bodies().iter().any(Body::may_refuse),
        })
    }
}

/// Whether nodes compute the same. A user's rule says nothing of the value.
fn same_nodes(a: &[BodyNode], b: &[BodyNode]) -> bool {
    let rules = |a: &Op, b: &Op| matches!((a, b), (Op::Custom(_), Op::Custom(_)));
    let same = |a: &BodyNode, b: &BodyNode| a.inputs == b.inputs && a.ty == b.ty && (a.op == b.op || rules(&a.op, &b.op));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

impl PartialEq for Body {
    fn eq(&self, other: &Body) -> bool {
        self.fingerprint == other.fingerprint
            && self.inputs == other.inputs
            && self.outputs == other.outputs
            && same_nodes(&self.nodes, &other.nodes)
    }
}

impl Eq for Body {}

impl Hash for Body {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} inputs, {} operations, results {:?})", self.inputs, self.nodes.len() - self.inputs, self.outputs)
    }
}
