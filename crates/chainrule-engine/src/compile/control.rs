//! Loops and branches lowered: their bodies are compiled as programs of their own.
//!
//! Refuses to look across the border of a body: what is outside is computed once, what is inside for every step.

use super::fuse::is_inline;
use super::graph::{Graph, GraphNode, NodeId};
use super::kernel::{Access, Control, Flow, Inner};
use super::lower::{Lowering, Place};
use super::pipeline::{Options, compile};
use super::view::is_dense;
use crate::ops::control::places;
use crate::ops::{Body, Input, Op};
use crate::tensor::shape::dense_strides;
use crate::tensor::{DType, Type};

/// Bytes that a carry starts at a multiple of.
const ALIGNMENT: usize = 64;

/// The kernel of a loop or a branch.
pub fn kernel(lowering: &mut Lowering<'_>, id: NodeId) -> Control {
    let node = lowering.graph.node(id);
    let (flow, carries, types) = match &node.op {
        Op::Scan(scan) => {
            let flow = Flow::Scan { sequences: scan.sequences, length: scan.length, reverse: scan.reverse };
            (flow, scan.carries, scan.results())
        }
        Op::While(repeat) => (Flow::While, repeat.carries(), repeat.body().output_types().cloned().collect()),
        op => (Flow::Switch, 0, op.bodies()[0].output_types().cloned().collect::<Vec<Type>>()),
    };
    let (found, _) = places(&types, node.ty.dtype);
    // Carries of any type are needed for the next step; of the other results those of the type that is asked for.
    let wanted: Vec<usize> = (0..types.len()).filter(|&k| k < carries || found[k].is_some()).collect();
    let compiled = |(at, body): (usize, &Body)| match (flow, at) {
        (Flow::While, 0) => program(body, &[0], node.site, lowering.options),
        _ => program(body, &wanted, node.site, lowering.options),
    };
    let bodies: Vec<Inner> = node.op.bodies().iter().enumerate().map(compiled).collect();
    // What comes first is of a condition.
    let mut bytes = ALIGNMENT;
    let mut place = |ty: &Type| {
        let start = bytes;
        bytes = bytes.saturating_add(ty.len().saturating_mul(ty.dtype.bytes())).checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX);
        start
    };
    let carried = types[..carries].iter().map(|ty| [place(ty), place(ty)]).collect();
    let room = lowering.buffer(bytes, DType::U8, Place::Temporary);
    Control {
        flow,
        bodies,
        inputs: node.inputs.iter().map(|&input| run(lowering, input)).collect(),
        out: lowering.whole(id),
        places: wanted.iter().map(|&k| found[k]).collect(),
        room: Access { buffer: room, dtype: DType::U8, offset: 0, strides: dense_strides(&[bytes]) },
        carried,
    }
}

/// How an input is read as one run, wherever that starts; copied first if it is none.
fn run(lowering: &mut Lowering<'_>, id: NodeId) -> Access {
    let view = &lowering.views[id as usize];
    let shape = &lowering.graph.node(id).ty.shape;
    let reads = is_dense(shape, &view.strides) && !is_inline(&lowering.graph.node(view.base).op);
    if reads { lowering.access(id) } else { lowering.dense(id) }
}

/// A body as a graph, with some of its results as roots, all for one site.
pub fn graph(body: &Body, outputs: impl Iterator<Item = usize>, site: u32) -> Graph {
    let count = body.input_types().len();
    let node = |(at, node): (usize, &crate::ops::body::BodyNode)| match at < count {
        true => GraphNode { op: Input.into(), inputs: Default::default(), ty: node.ty.clone(), leaf: Some(at as u32), site },
        false => GraphNode { op: node.op.clone(), inputs: node.inputs.clone(), ty: node.ty.clone(), leaf: None, site },
    };
    Graph {
        nodes: body.nodes().iter().enumerate().map(node).collect(),
        roots: outputs.map(|k| body.outputs()[k]).collect(),
        leaves: count as u32,
    }
}

/// A body compiled, with some of its results as roots. Whatever goes wrong there is the whole's fault.
fn program(body: &Body, outputs: &[usize], site: u32, options: Options) -> Inner {
    let graph = graph(body, outputs.iter().copied(), site);
    let compilation = compile(graph, &vec![None; outputs.len()], options, |_, _, _| ());
    Inner { kernels: compilation.kernels, schedule: compilation.schedule }
}
