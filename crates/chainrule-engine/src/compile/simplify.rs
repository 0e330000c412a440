//! The graph made smaller without changing what it computes: rules, common subexpressions, dead code.
//!
//! Refuses every rewrite that could change a float by more than the sign of a zero. Two leaves are
//! never one, however equal.

use super::graph::{Graph, GraphNode, NodeId};
use super::rules::{self, NamedRule};
use crate::ops::{Op, Reshape};
use crate::tensor::Type;
use rustc_hash::{FxBuildHasher, FxHashMap};
use smallvec::SmallVec;
use std::hash::BuildHasher;

/// One sweep: every node is rewritten by the rules, merged with an equal one, or kept.
/// Without `all`, only the rewrites that later passes rely on are applied.
pub fn simplify(graph: &Graph, all: bool) -> Graph {
    swept(graph, Builder { all, ..Builder::default() })
}

/// One rule alone, wherever it applies: to look at what it does.
pub fn rewrite(graph: &Graph, rule: &'static NamedRule) -> Graph {
    swept(graph, Builder { only: Some(rule), ..Builder::default() })
}

fn swept(graph: &Graph, builder: Builder) -> Graph {
    swept_with(graph, builder, false, &mut |_, _, _| None)
}

/// What stands in the place of a node, given what became of those before it; `None` to go on as ever.
type Instead<'a> = dyn FnMut(&mut Builder, &[NodeId], NodeId) -> Option<NodeId> + 'a;

/// Where rules have been `tried` on all nodes, they are tried again on those alone that depend on what stands in another's place.
fn swept_with(graph: &Graph, mut builder: Builder, tried: bool, other: &mut Instead<'_>) -> Graph {
    let mut new_of: Vec<NodeId> = Vec::with_capacity(graph.nodes.len());
    let mut as_before: Vec<bool> = Vec::with_capacity(graph.nodes.len());
    builder.graph.nodes.reserve(graph.nodes.len());
    builder.known.reserve(graph.nodes.len());
    for (id, node) in graph.nodes.iter().enumerate() {
        builder.site = node.site;
        if let Some(other) = other(&mut builder, &new_of, id as NodeId) {
            new_of.push(other);
            as_before.push(false);
            continue;
        }
        let inputs: SmallVec<[NodeId; 3]> = node.inputs.iter().map(|&id| new_of[id as usize]).collect();
        as_before.push(tried && node.inputs.iter().all(|&id| as_before[id as usize]));
        new_of.push(match node.leaf {
            Some(_) => builder.push(node.clone()),
            None if as_before[id] => builder.merged(node.op.clone(), &inputs, node.ty.clone()),
            None => builder.add(node.op.clone(), &inputs, node.ty.clone()),
        });
    }
    builder.graph.roots = graph.roots.iter().map(|&id| new_of[id as usize]).collect();
    builder.graph.leaves = graph.leaves;
    without_dead(builder.graph)
}

/// A graph under construction. Rules use it to record what a node is replaced by.
#[derive(Default)]
pub struct Builder {
    /// So far.
    pub graph: Graph,
    all: bool,
    only: Option<&'static NamedRule>,
    site: u32,
    /// The first node of each hash. Another one with the same hash is not found again, and so never merged.
    known: FxHashMap<u64, NodeId>,
}

impl Builder {
    /// A simplified graph again, with another node in the place of each for which `other` makes one, and what depends on those simplified
    /// as ever. `other` is given what became of the nodes before.
    pub fn rebuilt(graph: &Graph, mut other: impl FnMut(&mut Builder, &[NodeId], NodeId) -> Option<NodeId>) -> Graph {
        swept_with(graph, Builder { all: true, ..Builder::default() }, true, &mut other)
    }

    /// The node that computes `op`: what a rule makes of it, an equal one that is there, or a new one.
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId], ty: Type) -> NodeId {
        let op = op.into();
        let replacement = match self.only {
            Some(rule) => rule.apply(self, &op, inputs, &ty),
            None => rules::apply(self, &op, inputs, &ty, self.all),
        };
        replacement.unwrap_or_else(|| self.merged(op, inputs, ty))
    }

    /// The node that computes `op`: an equal one that is there, or a new one.
    fn merged(&mut self, op: Op, inputs: &[NodeId], ty: Type) -> NodeId {
        let hash = FxBuildHasher.hash_one((&op, inputs, &ty));
        let same = |&&id: &&NodeId| {
            self.all && {
                let node = self.graph.node(id);
                node.op == op && node.inputs[..] == *inputs && node.ty == ty
            }
        };
        if let Some(&equal) = self.known.get(&hash).filter(same) {
            return equal;
        }
        let node = GraphNode { op, inputs: inputs.into(), ty, leaf: None, site: self.site };
        let id = self.push(node);
        self.known.entry(hash).or_insert(id);
        id
    }

    /// What is added from now on stands for the recorded node of a site, if it is known.
    pub fn stand_for(&mut self, site: Option<u32>) {
        self.site = site.unwrap_or(self.site);
    }

    fn push(&mut self, node: GraphNode) -> NodeId {
        let site = self.site;
        self.graph.nodes.push(GraphNode { site, ..node });
        self.graph.nodes.len() as NodeId - 1
    }

    /// The node at a position.
    pub fn node(&self, id: NodeId) -> &GraphNode {
        self.graph.node(id)
    }

    /// The same elements under another shape.
    pub fn reshape(&mut self, id: NodeId, shape: &[usize]) -> NodeId {
        let ty = Type::new(crate::tensor::Shape::from_slice(shape), self.node(id).ty.dtype);
        self.add(Reshape(ty.shape.clone()), &[id], ty)
    }
}

/// The graph without what no root needs.
fn without_dead(mut graph: Graph) -> Graph {
    let mut live = vec![false; graph.nodes.len()];
    graph.roots.iter().for_each(|&id| live[id as usize] = true);
    for id in (0..graph.nodes.len()).rev() {
        if live[id] {
            graph.nodes[id].inputs.iter().for_each(|&input| live[input as usize] = true);
        }
    }
    let mut new_of: Vec<NodeId> = vec![0; graph.nodes.len()];
    let (mut id, mut kept) = (0, 0);
    graph.nodes.retain_mut(|node| {
        if live[id] {
            node.inputs.iter_mut().for_each(|input| *input = new_of[*input as usize]);
            new_of[id] = kept;
            kept += 1;
        }
        id += 1;
        live[id - 1]
    });
    graph.roots.iter_mut().for_each(|root| *root = new_of[*root as usize]);
    graph
}
