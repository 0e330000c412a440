//! Loops and branches lowered: their bodies are compiled as programs of their own.
//!
//! Refuses to look across the border of a body: what is outside is computed once, what is inside for every step.

use super::fuse::is_inline;
use super::graph::{Graph, GraphNode, NodeId};
use super::kernel::{Access, Control, Flow, Inner};
use super::lower::{Lowering, Place};
use super::pipeline::{Options, compile};
use super::view::is_dense;
use crate::ops::body::BodyNode;
use crate::ops::control::places;
use crate::ops::{Body, Input, Op, Scan};
use crate::tensor::shape::dense_strides;
use crate::tensor::{DType, Origin, Type};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Bytes that a carry starts at a multiple of.
const ALIGNMENT: usize = 64;

/// Parts of a flat vector of results that have memory of their own, each with the root that it is, if it is one.
pub type Parts = Vec<(Range<usize>, Option<NodeId>)>;

/// The loops and branches whose results are read one by one, and how: nobody needs the flat vector.
pub fn parts(graph: &Graph) -> FxHashMap<NodeId, Parts> {
    let runs_bodies = |node: &GraphNode| matches!(node.op, Op::Scan(_) | Op::Switch(_) | Op::While(_));
    let mut found: FxHashMap<NodeId, Parts> = FxHashMap::default();
    for (id, node) in (0..).zip(&graph.nodes).filter(|(_, node)| runs_bodies(node)) {
        let types = results(&node.op);
        let starts = places(&types, node.ty.dtype).0;
        let own = starts.iter().zip(&types).filter_map(|(start, ty)| start.map(|start| (start..start + ty.len(), None)));
        found.insert(id, own.filter(|(range, _)| !range.is_empty()).collect());
    }
    if found.is_empty() {
        return found;
    }
    graph.roots.iter().for_each(|root| drop(found.remove(root)));
    for node in &graph.nodes {
        for &input in &node.inputs {
            let within = |parts: &Parts| match &node.op {
                Op::Slice(slice) => parts.iter().any(|(range, _)| range.start <= slice.start[0] && slice.stop[0] <= range.end),
                _ => false,
            };
            if found.get(&input).is_some_and(|parts| !within(parts)) {
                found.remove(&input);
            }
        }
    }
    for &root in &graph.roots {
        let slice = if let Op::Reshape(_) = graph.node(root).op { graph.node(root).inputs[0] } else { root };
        let Op::Slice(own) = &graph.node(slice).op else { continue };
        let whole = |range: &Range<usize>| own.start[..] == [range.start] && own.stop[..] == [range.end] && own.step[..] == [1];
        if let Some(parts) = found.get_mut(&graph.node(slice).inputs[0])
            && let Some((_, free)) = parts.iter_mut().find(|(range, free)| free.is_none() && whole(range))
        {
            *free = Some(root);
        }
    }
    found
}

/// Types of all results of what runs bodies.
fn results(op: &Op) -> Vec<Type> {
    match op {
        Op::Scan(scan) => scan.results(),
        Op::While(repeat) => repeat.body().output_types().cloned().collect(),
        op => op.bodies()[0].output_types().cloned().collect(),
    }
}

/// Whether two nodes are results of two types of one loop or branch.
pub fn are_twins(a: &GraphNode, b: &GraphNode) -> bool {
    let how = |scan: &Scan| (scan.carries, scan.sequences, scan.length, scan.reverse);
    let same = match (&a.op, &b.op) {
        (Op::Scan(a), Op::Scan(b)) => how(a) == how(b),
        (Op::Switch(_), Op::Switch(_)) | (Op::While(_), Op::While(_)) => true,
        _ => false,
    };
    same && a.inputs == b.inputs && a.op.bodies() == b.op.bodies()
}

/// The kernel of a loop or a branch: one node for each type of results.
pub fn kernel(lowering: &mut Lowering<'_>, ids: &[NodeId]) -> Control {
    let node = lowering.graph.node(ids[0]);
    let (flow, carries) = match &node.op {
        Op::Scan(scan) => (Flow::Scan { sequences: scan.sequences, length: scan.length, reverse: scan.reverse }, scan.carries),
        Op::While(repeat) => (Flow::While, repeat.carries()),
        _ => (Flow::Switch, 0),
    };
    let types = results(&node.op);
    let mut outs: Vec<Option<Access>> = vec![None; types.len()];
    for &id in ids {
        for (k, start) in places(&types, lowering.graph.node(id).ty.dtype).0.into_iter().enumerate() {
            outs[k] = outs[k].take().or_else(|| lowering.result(id, start?, types[k].len()));
        }
    }
    // Carries are needed for the next step, of the other results those that somebody reads.
    let wanted: Vec<usize> = (0..types.len()).filter(|&k| k < carries || outs[k].is_some()).collect();
    let compiled = |(at, body): (usize, &Body)| match (flow, at) {
        (Flow::While, 0) => program(body, &[0], 0, node.site, lowering.options),
        _ => program(body, &wanted, carries, node.site, lowering.options),
    };
    let bodies: Vec<Inner> = node.op.bodies().iter().enumerate().map(compiled).collect();
    // What comes first is of a condition.
    let mut bytes = ALIGNMENT;
    let mut place = |size: usize| {
        let start = bytes;
        bytes = bytes.saturating_add(size).checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX);
        start
    };
    let of = |ty: &Type| ty.len().saturating_mul(ty.dtype.bytes());
    let mut places = |(carry, ty): (usize, &Type)| {
        let first = place(of(ty));
        let over = bodies.last().is_some_and(|body| body.schedule.in_place[carry].is_some());
        [first, if over { first } else { place(of(ty)) }]
    };
    let carried = types[..carries].iter().enumerate().map(&mut places).collect();
    let arena = place(bodies.iter().map(|body| body.schedule.arena_bytes).max().unwrap_or(0));
    let room = lowering.buffer(bytes, DType::U8, Place::Temporary);
    Control {
        flow,
        bodies,
        inputs: node.inputs.iter().map(|&input| run(lowering, input)).collect(),
        outs: wanted.iter().map(|&k| outs[k].clone()).collect(),
        room: Access { buffer: room, dtype: DType::U8, offset: 0, strides: dense_strides(&[bytes]) },
        carried,
        arena,
    }
}

/// How an input is read as one run, wherever that starts; copied first if it is none.
fn run(lowering: &mut Lowering<'_>, id: NodeId) -> Access {
    let view = &lowering.views[id as usize];
    let shape = &lowering.graph.node(id).ty.shape;
    let reads = is_dense(shape, &view.strides) && !is_inline(&lowering.graph.node(view.base).op);
    if reads { lowering.access(id) } else { lowering.dense(id) }
}

/// A body as a graph, with some of its results as roots. What does not know its site is there for the given one.
pub fn graph(body: &Body, outputs: impl Iterator<Item = usize>, site: u32) -> Graph {
    let count = body.input_types().len();
    let node = |(at, (node, origin)): (usize, (&BodyNode, &Origin))| {
        let (ty, site) = (node.ty.clone(), origin.site().unwrap_or(site));
        match at < count {
            true => GraphNode { op: Input.into(), inputs: Default::default(), ty, leaf: Some(at as u32), site },
            false => GraphNode { op: node.op.clone(), inputs: node.inputs.clone(), ty, leaf: None, site },
        }
    };
    Graph {
        nodes: body.nodes().iter().zip(body.origins()).enumerate().map(node).collect(),
        roots: outputs.map(|k| body.outputs()[k]).collect(),
        leaves: count as u32,
    }
}

/// A body compiled, with some of its results as roots, the first of which are carries. Whatever goes wrong there is the whole's fault.
fn program(body: &Body, outputs: &[usize], carries: usize, site: u32, options: Options) -> Inner {
    let graph = graph(body, outputs.iter().copied(), site);
    let updates: Vec<Option<u32>> = (0..outputs.len()).map(|root| (root < carries).then_some(root as u32)).collect();
    let compilation = compile(graph, &updates, options, |_, _, _| ());
    Inner { kernels: compilation.kernels, schedule: compilation.schedule }
}
