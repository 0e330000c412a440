//! Loops that run once instead of twice: a loop whose carries are kept for its derivative gives what the loop without gives, too.
//!
//! Refuses to change a loop: of two that differ in the results alone, it takes the one with more of them.

use super::graph::{Graph, GraphNode, NodeId};
use super::simplify::Builder;
use crate::ops::control::places;
use crate::ops::movement::Axes;
use crate::ops::{Op, Scan, Slice};
use crate::tensor::Type;
use rustc_hash::FxHashMap;

/// The graph with the results of some loops as parts of the results of others.
pub fn share_loops(graph: Graph) -> Graph {
    let loops: Vec<(NodeId, &GraphNode, &Scan)> = (0..)
        .zip(&graph.nodes)
        .filter_map(|(id, node)| if let Op::Scan(scan) = &node.op { Some((id, node, &**scan)) } else { None })
        .collect();
    let mut longer: FxHashMap<NodeId, NodeId> = FxHashMap::default();
    for &(id, node, scan) in &loops {
        let more = |other: &Scan| {
            let Scan { body, carries, sequences, length, reverse, dtype: _ } = other;
            (*carries, *sequences, *length, *reverse) == (scan.carries, scan.sequences, scan.length, scan.reverse)
                && body.outputs().len() > scan.body.outputs().len()
                && body.extends(&scan.body)
        };
        let candidates = loops.iter().filter(|(_, other, wide)| other.inputs == node.inputs && more(wide));
        if let Some(&(best, ..)) = candidates.max_by_key(|(other, _, wide)| (wide.body.outputs().len(), std::cmp::Reverse(*other))) {
            longer.insert(id, best);
        }
    }
    if longer.is_empty() {
        return graph;
    }
    Builder::rebuilt(&graph, |builder, new_of, id| {
        let (own, wide) = (graph.node(id), graph.node(*longer.get(&id)?));
        let Op::Scan(scan) = &wide.op else { return None };
        // Of the type of results that this one gives.
        let scan = Scan { dtype: own.ty.dtype, ..Scan::clone(scan) };
        let ty = Type::new([places(&scan.results(), scan.dtype).1].as_slice(), scan.dtype);
        let inputs: Vec<NodeId> = own.inputs.iter().map(|&input| new_of[input as usize]).collect();
        // What it has more stands at the end of the flat vector.
        let whole = builder.add(scan, &inputs, ty);
        let stop = Axes::from_slice(&own.ty.shape);
        let slice = Slice { start: Axes::from_slice(&[0]), stop, step: Axes::from_slice(&[1]) };
        Some(builder.add(slice, &[whole], own.ty.clone()))
    })
}
