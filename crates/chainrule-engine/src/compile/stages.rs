//! Loops in three stages: what needs no carry before the steps, what no carry needs after them, the rest step by step.
//!
//! A product of a part of a sequence and a weight is one product for all steps; what steps only add up, as the gradient of a
//! weight is, is one contraction over steps too, of what they hand out. Small products step by step are the slowest kind, and
//! a sum that is large is read and written at every step. What waits between the stages would grow with the number of steps,
//! so a long loop becomes a loop over blocks of steps.
//! Refuses to move anything but products and what is made of them. Changes the order of sums, nothing else.

mod block;
mod divide;

use super::control::graph as graph_of;
use super::graph::{Graph, NodeId};
use super::simplify::{Builder, simplify};
use crate::ops::body::BodyNode;
use crate::ops::{Body, Op, Scan};
use crate::tensor::Type;
use block::{in_blocks, steps_of_a_block};
use divide::Division;

/// The graph with its loops in stages.
pub fn in_stages(graph: Graph) -> Graph {
    if !graph.nodes.iter().any(|node| matches!(&node.op, Op::Scan(scan) if scan.length > 1)) {
        return graph;
    }
    Builder::rebuilt(&graph, |builder, new_of, id| {
        let node = graph.node(id);
        let Op::Scan(scan) = &node.op else { return None };
        let staged = staged(scan)?;
        let inputs: Vec<NodeId> = node.inputs.iter().map(|&input| new_of[input as usize]).collect();
        Some(inline(builder, &staged, &inputs))
    })
}

/// From the inputs of a loop to its flat vector of results, in stages; `None` if there is nothing to gain.
fn staged(scan: &Scan) -> Option<Body> {
    if scan.length < 2 {
        return None;
    }
    let scan = Scan { body: simplified(&scan.body), ..scan.clone() };
    let division = Division::of(&scan).filter(|division| steps_of_a_block(scan.length, division.bytes) > 1)?;
    let body = in_blocks(&scan, &division);
    debug_assert!(body.is_ok(), "{:?}", body.err());
    body.ok()
}

/// A body simplified, with all its inputs.
pub(super) fn simplified(body: &Body) -> Body {
    let mut graph = graph_of(body, 0..body.outputs().len(), 0);
    // Each for its own position, to find its origin again.
    (0..).zip(&mut graph.nodes).for_each(|(at, node)| node.site = at);
    let graph = simplify(&graph, true);
    let input = |ty: &Type| BodyNode { op: crate::ops::Input.into(), inputs: Default::default(), ty: ty.clone() };
    let mut nodes: Vec<BodyNode> = body.input_types().map(input).collect();
    let count = nodes.len();
    let mut origins = body.origins()[..count].to_vec();
    let mut place: Vec<u32> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        place.push(node.leaf.unwrap_or(nodes.len() as u32));
        if node.leaf.is_none() {
            let inputs = node.inputs.iter().map(|&input| place[input as usize]).collect();
            nodes.push(BodyNode { op: node.op.clone(), inputs, ty: node.ty.clone() });
            origins.push(body.origins()[node.site as usize].clone());
        }
    }
    let outputs = graph.roots.iter().map(|&root| place[root as usize]).collect();
    Body::new(nodes, count, outputs, origins)
}

/// The one result of a body as nodes of a graph.
fn inline(builder: &mut Builder, body: &Body, inputs: &[NodeId]) -> NodeId {
    let mut place: Vec<NodeId> = inputs.to_vec();
    for (node, origin) in body.nodes().iter().zip(body.origins()).skip(inputs.len()) {
        builder.stand_for(origin.site());
        let inputs: Vec<NodeId> = node.inputs.iter().map(|&input| place[input as usize]).collect();
        place.push(builder.add(node.op.clone(), &inputs, node.ty.clone()));
    }
    place[body.outputs()[0] as usize]
}
