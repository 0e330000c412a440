//! The first form of the compiler: the recorded graph, numbered into an arena.
//!
//! Nodes stand in topological order and refer to each other by position. Leaves are numbered in
//! the order they are met; their data is not here.

use crate::ops::{Body, Input, Op};
use crate::tensor::{Data, Origin, Tensor, Type};
use crate::transform::walk::Walk;
use rustc_hash::{FxBuildHasher, FxHashMap};
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hash, Hasher};

/// Position of a node in [`Graph::nodes`].
pub type NodeId = u32;

/// Bytes of a leaf that are looked at before it is compared with others.
const HASHED: usize = 256;

/// A graph without any data.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// In topological order.
    pub nodes: Vec<GraphNode>,
    /// What is asked for.
    pub roots: Vec<NodeId>,
    /// How many leaves there are.
    pub leaves: u32,
}

/// An operation on earlier nodes.
#[derive(Clone, Debug)]
pub struct GraphNode {
    /// The operation; [`Op::Input`] for a leaf.
    pub op: Op,
    /// Positions of its inputs.
    pub inputs: SmallVec<[NodeId; 3]>,
    /// Shape and element type.
    pub ty: Type,
    /// Of a leaf, its number.
    pub leaf: Option<u32>,
    /// Which recorded node it stands for, as an index into the list that [`Graph::of`] returns.
    pub site: u32,
}

/// A body whose operations know where their origins are in a list, to which they are added.
fn with_sites(body: &Body, origins: &mut Vec<Origin>) -> Body {
    let first = origins.len() as u32;
    origins.extend(body.origins().iter().cloned());
    let own = (first..).zip(body.origins()).map(|(site, origin)| origin.with_site(site)).collect();
    body.with_origins(own, |op| op.with_bodies(|body| with_sites(body, origins)))
}

impl Graph {
    /// The graph of what `roots` still need computed, the tensors it takes as leaves, and the
    /// origins its nodes refer to. Evaluated tensors are leaves.
    pub fn of(roots: &[&Tensor]) -> (Graph, Vec<Tensor>, Vec<Origin>) {
        let walk = Walk::stopping_at(roots.iter().copied(), |node| node.value().is_some());
        let mut graph = Graph { nodes: Vec::with_capacity(walk.nodes.len()), ..Graph::default() };
        let mut leaves = Vec::new();
        let mut origins = Vec::with_capacity(walk.nodes.len());
        for (site, node) in walk.nodes.iter().enumerate() {
            origins.push(node.origin().clone());
            let known = node.value().is_some();
            let leaf = (known || matches!(node.op(), Op::Input(_))).then(|| {
                leaves.push(node.clone());
                leaves.len() as u32 - 1
            });
            let (op, inputs) = match leaf {
                Some(_) => (Op::Input(Input), SmallVec::new()),
                None => (node.op().clone(), node.inputs().iter().filter_map(|input| walk.find(input)).map(|at| at as NodeId).collect()),
            };
            graph.nodes.push(GraphNode { op, inputs, ty: node.ty().clone(), leaf, site: site as u32 });
        }
        for node in &mut graph.nodes {
            if !node.op.bodies().is_empty() {
                node.op = node.op.with_bodies(|body| with_sites(body, &mut origins));
            }
        }
        graph.leaves = leaves.len() as u32;
        graph.roots = roots.iter().filter_map(|root| walk.find(root)).map(|at| at as NodeId).collect();
        (graph, leaves, origins)
    }

    /// The graph with one leaf in the place of several that hold the same elements and never change: what is computed from
    /// each of them is then the same, and computed once. Bits count, not values: 0 and -0 stay two.
    pub fn with_constants_shared(mut self, leaves: &[Tensor], changes: impl Fn(&Tensor) -> bool) -> Graph {
        let mut first_of: FxHashMap<(&Type, u64), Vec<(NodeId, &Data)>> = FxHashMap::default();
        let mut stands_for: Vec<NodeId> = (0..self.nodes.len() as NodeId).collect();
        for (id, node) in self.nodes.iter().enumerate() {
            let Some(leaf) = node.leaf.map(|leaf| &leaves[leaf as usize]).filter(|leaf| !changes(leaf)) else { continue };
            let Some(data) = leaf.value() else { continue };
            let start = &data.bytes()[..data.bytes().len().min(HASHED)];
            let alike = first_of.entry((leaf.ty(), FxBuildHasher.hash_one(start))).or_default();
            match alike.iter().find(|(_, other)| other.bytes() == data.bytes()) {
                Some(&(first, _)) => stands_for[id] = first,
                None => alike.push((id as NodeId, data)),
            }
        }
        let used = self.nodes.iter_mut().flat_map(|node| &mut node.inputs);
        used.chain(&mut self.roots).for_each(|id| *id = stands_for[*id as usize]);
        self
    }

    /// The node at a position.
    pub fn node(&self, id: NodeId) -> &GraphNode {
        &self.nodes[id as usize]
    }

    /// A number that equal graphs share: structure, operations and types, not data.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = rustc_hash::FxHasher::default();
        for node in &self.nodes {
            (&node.op, &node.inputs, &node.ty, node.leaf).hash(&mut hasher);
        }
        self.roots.hash(&mut hasher);
        hasher.finish()
    }

    /// Whether two graphs compute the same from the same leaves.
    pub fn same_structure(&self, other: &Graph) -> bool {
        let same = |a: &GraphNode, b: &GraphNode| {
            a.leaf == b.leaf
                && a.inputs == b.inputs
                && a.ty == b.ty
                && (a.op == b.op || matches!((&a.op, &b.op), (Op::Custom(_), Op::Custom(_))))
        };
        self.roots == other.roots && self.nodes.len() == other.nodes.len() && self.nodes.iter().zip(&other.nodes).all(|(a, b)| same(a, b))
    }

    /// How many nodes use each node; roots count as one use more.
    pub fn uses(&self) -> Vec<u32> {
        let mut uses = vec![0; self.nodes.len()];
        self.nodes.iter().flat_map(|node| &node.inputs).chain(&self.roots).for_each(|&id| uses[id as usize] += 1);
        uses
    }
}
