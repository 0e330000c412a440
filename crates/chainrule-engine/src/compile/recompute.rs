//! What is cheaper to compute again than to keep: an elementwise value that a group would write to
//! memory for a later group, whose kernel can make it anew from what is in memory anyway.
//!
//! The backward pass asks for most inner values of the forward pass. Of a GELU, say, it reads half
//! a dozen, all of them functions of the one sum that came out of a product: that sum is kept, and
//! the rest is computed again where it is needed. The bits are the same, as each operation is.
//!
//! What there is one of for a whole row (the mean and the deviation of a layer norm, say) costs next to
//! nothing to keep, and is kept where elements can then be made from it. And where several functions of a
//! product would be written, the product is written instead.
//!
//! Refuses to repeat products and reductions, and whatever costs more than writing and reading it.

use super::fuse::{Cover, Cuts, Fusion, Group, Kind, chain, is_elementwise, is_inline, suffix_products};
use super::graph::{Graph, GraphNode, NodeId};
use super::kernel::{Binary, Unary};
use super::remake::LARGE;
use super::view::{View, is_dense};
use crate::ops::Op;
use crate::tensor::DType;
use rustc_hash::FxHashSet;
use smallvec::{SmallVec, smallvec};

/// Elements below which a value stays in the cache between its groups.
const LEAST: usize = 4096;
/// What writing an element of four bytes costs, in additions of fused code: it is fetched, changed and
/// written back.
const WRITE: u32 = 40;
/// What reading it once costs.
const READ: u32 = 20;
/// A value is one per row if there are at least so many elements for each.
const ROW: usize = 8;
/// The longest chain that is computed again: the code that does so calls itself for each link.
const DEEPEST: u32 = 64;

/// Marks the nodes that later groups compute again, and takes them from groups that do not read
/// them themselves.
pub fn recompute(graph: &Graph, views: &[View], fusion: &mut Fusion) {
    let mut pass = Pass {
        graph,
        views,
        readers: readers(graph, views),
        again: vec![false; graph.nodes.len()],
        kept: kept(graph, views, fusion),
        depth: vec![0; graph.nodes.len()],
        done: FxHashSet::default(),
        read: read(graph, views, fusion),
        fusion,
    };
    (0..pass.fusion.groups.len() as u32).for_each(|group| pass.keep_product(group));
    for id in 0..graph.nodes.len() as NodeId {
        pass.consider(id);
    }
    let Pass { again, readers, .. } = pass;
    fusion.again = again;
    leave_groups(fusion, &readers);
}

/// The nodes that read a value, with the input by which they do.
type Readers = SmallVec<[(NodeId, NodeId); 2]>;

/// A list of nodes, most often a short one.
type Nodes = SmallVec<[NodeId; 8]>;

/// The readers of each dense value.
fn readers(graph: &Graph, views: &[View]) -> Vec<Readers> {
    let mut readers = vec![Readers::new(); graph.nodes.len()];
    for (id, node) in graph.nodes.iter().enumerate().filter(|&(id, _)| views[id].base as usize == id) {
        node.inputs.iter().for_each(|&input| readers[views[input as usize].base as usize].push((id as NodeId, input)));
    }
    readers
}

/// Which values are in memory: what another group than its own reads, or nobody makes but the reader.
fn kept(graph: &Graph, views: &[View], fusion: &Fusion) -> Vec<bool> {
    let mut kept: Vec<bool> = fusion.place.iter().map(Option::is_none).collect();
    graph.roots.iter().for_each(|&root| kept[root as usize] = true);
    for (id, node) in graph.nodes.iter().enumerate() {
        let Some((group, _)) = fusion.place[id] else { continue };
        for &input in &node.inputs {
            let base = views[input as usize].base as usize;
            kept[base] |= fusion.place[base].is_some_and(|(home, _)| home != group);
        }
    }
    kept
}

/// The values that each group reads and does not compute.
fn read(graph: &Graph, views: &[View], fusion: &Fusion) -> FxHashSet<(u32, NodeId)> {
    let mut read = FxHashSet::default();
    for (group, found) in fusion.groups.iter().enumerate() {
        let inputs = found.members.iter().flat_map(|&id| &graph.node(id).inputs);
        let bases = inputs.map(|&input| views[input as usize].base);
        read.extend(
            bases.filter(|&base| fusion.place[base as usize].is_none_or(|(home, _)| home != group as u32)).map(|base| (group as u32, base)),
        );
    }
    read
}

struct Pass<'a> {
    graph: &'a Graph,
    views: &'a [View],
    fusion: &'a mut Fusion,
    readers: Vec<Readers>,
    again: Vec<bool>,
    kept: Vec<bool>,
    /// Links of the longest chain that makes a node from what is kept.
    depth: Vec<u32>,
    /// Which group computes which node again.
    done: FxHashSet<(u32, NodeId)>,
    /// Which group reads which value from memory.
    read: FxHashSet<(u32, NodeId)>,
}

impl Pass<'_> {
    /// Decides about one node; those it is made of have been decided about.
    fn consider(&mut self, id: NodeId) {
        let node = self.graph.node(id);
        let Some((home, Cover::Full)) = self.fusion.place[id as usize] else { return };
        if !is_elementwise(&node.op) || node.ty.len() < LEAST || self.graph.roots.contains(&id) || !self.is_made_of_kept(id) {
            return;
        }
        self.depth[id as usize] = 1 + self.links(id).map(|input| self.depth[input as usize]).max().unwrap_or(0);
        if !self.kept[id as usize] || self.depth[id as usize] > DEEPEST {
            return;
        }
        let Some(groups) = self.groups_that_could(id, home) else { return };
        let (mut cost, mut plans) = (0, SmallVec::<[_; 4]>::new());
        for group in groups {
            let Some((price, cuts, nodes)) = self.plan(id, group) else { return };
            cost += price;
            plans.push((group, cuts, nodes));
        }
        let words = node.ty.dtype.bytes() as u32;
        // Of what is large the memory counts, too: where the slope of an activation is kept, the sum that both are made from may be free.
        let worth = if node.ty.len() >= LARGE { 2 } else { 1 };
        if 4 * cost > worth * words * (WRITE + READ * plans.len() as u32) {
            return;
        }
        self.kept[id as usize] = false;
        for (group, cuts, nodes) in plans {
            self.fusion.groups[group as usize].cuts = cuts;
            for node in nodes {
                self.again[node as usize] = true;
                self.done.insert((group, node));
                for base in self.bases(node).collect::<Nodes>() {
                    self.kept[base as usize] |= self.is_one_per_row(node, base);
                    self.read.insert((group, base));
                }
            }
        }
    }

    /// Keeps the product of a group that would write several elementwise functions of it for others, if each of
    /// them can make those anew: one value is written then, not several.
    fn keep_product(&mut self, group: u32) {
        let Group { kind: Kind::Contract, members, .. } = &self.fusion.groups[group as usize] else { return };
        let product = members[0];
        let written: Nodes = members.iter().copied().filter(|&id| self.kept[id as usize]).collect();
        if self.kept[product as usize] || written.len() < 2 || self.graph.node(product).ty.len() < LEAST {
            return;
        }
        let mut cheap: FxHashSet<NodeId> = FxHashSet::from_iter([product]);
        for &id in &members[1..] {
            let made = |base: &NodeId| cheap.contains(base) || self.kept[*base as usize] || self.is_one_per_row(id, *base);
            let node = self.graph.node(id);
            if is_elementwise(&node.op) && price(node) <= READ && self.bases(id).all(|base| made(&base)) {
                cheap.insert(id);
            }
        }
        let elsewhere = |id: &NodeId| {
            cheap.contains(id)
                && !self.graph.roots.contains(id)
                && self.groups_that_could(*id, group).is_some_and(|groups| !groups.is_empty())
        };
        self.kept[product as usize] = written.iter().all(elsewhere);
    }

    /// Whether every input is in memory, or next to nothing to keep, or is itself made of such, element by element.
    fn is_made_of_kept(&self, id: NodeId) -> bool {
        self.graph.node(id).inputs.iter().all(|&input| {
            let base = self.views[input as usize].base;
            self.kept[base as usize]
                || self.is_one_per_row(id, base)
                || (0 < self.depth[base as usize] && self.depth[base as usize] < DEEPEST && self.at_own_point(input))
        })
    }

    /// The values that a node reads, by whatever view.
    fn bases(&self, id: NodeId) -> impl Iterator<Item = NodeId> + use<'_> {
        self.graph.node(id).inputs.iter().map(|&input| self.views[input as usize].base)
    }

    /// Whether a group computes a value for each of its rows, and a reader has many elements for each.
    fn is_one_per_row(&self, reader: NodeId, base: NodeId) -> bool {
        let many = self.graph.node(reader).ty.len() >= ROW * self.graph.node(base).ty.len();
        many && matches!(self.fusion.place[base as usize], Some((_, Cover::Row)))
    }

    /// Whether a value that is in memory has about as many elements as a node.
    fn is_large(&self, id: NodeId, base: NodeId) -> bool {
        let node = self.graph.node(base);
        !is_inline(&node.op) && node.ty.len() * ROW > self.graph.node(id).ty.len()
    }

    /// The inputs of a node that are not in memory.
    fn links(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.bases(id).filter(move |&base| !self.kept[base as usize] && !self.is_one_per_row(id, base))
    }

    /// Whether an input is all of a value, in its order.
    fn at_own_point(&self, input: NodeId) -> bool {
        let (view, shape) = (&self.views[input as usize], &self.graph.node(input).ty.shape);
        view.offset == 0 && is_dense(shape, &view.strides) && self.graph.node(view.base).ty.len() == self.graph.node(input).ty.len()
    }

    /// The other groups that read a node, if scalar code of each reads all of it point by point.
    fn groups_that_could(&self, id: NodeId, home: u32) -> Option<SmallVec<[u32; 4]>> {
        let mut groups = SmallVec::new();
        for &(reader, input) in &self.readers[id as usize] {
            let (group, _) = self.fusion.place[reader as usize]?;
            if group == home {
                continue;
            }
            let Group { kind, members, total, .. } = &self.fusion.groups[group as usize];
            let scalar = match kind {
                Kind::Region => {
                    is_elementwise(&self.graph.node(reader).op) || matches!(self.graph.node(reader).op, Op::Sum(_) | Op::Max(_))
                }
                Kind::Contract => members.first() != Some(&reader),
                Kind::Single => false,
            };
            if !scalar || !self.at_own_point(input) || self.graph.node(id).ty.len() != *total {
                return None;
            }
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        Some(groups)
    }

    /// What it takes to make a node in a group: the cost of what is new there and of what must be read for it, the
    /// cuts of the group's space with those of the values that are then read, and the nodes.
    fn plan(&self, id: NodeId, group: u32) -> Option<(u32, Cuts, Nodes)> {
        let (mut cost, mut cuts) = (0, self.fusion.groups[group as usize].cuts.clone());
        let (mut nodes, mut newly): (Nodes, Nodes) = (smallvec![id], Nodes::new());
        let mut at = 0;
        while let Some(&node) = nodes.get(at) {
            at += 1;
            cost += price(self.graph.node(node));
            for base in self.bases(node).filter(|&base| self.kept[base as usize] && self.is_large(id, base)) {
                if !newly.contains(&base) && !self.read.contains(&(group, base)) {
                    newly.push(base);
                    cost += READ * self.graph.node(base).ty.dtype.bytes() as u32 / 4;
                }
            }
            cuts.extend(suffix_products(&self.graph.node(node).ty.shape, 1));
            for link in self.links(node) {
                if !nodes.contains(&link) && !self.done.contains(&(group, link)) {
                    nodes.push(link);
                }
            }
        }
        Some((cost, chain(cuts)?, nodes))
    }
}

/// What an operation costs per element, in additions of fused f32 code. Other types are not fused.
fn price(node: &GraphNode) -> u32 {
    let fused = match &node.op {
        Op::Unary(Unary::Sqrt) | Op::Binary(Binary::Divide | Binary::Remainder) => 8,
        Op::Unary(Unary::Negate | Unary::Not | Unary::Floor) => 1,
        Op::Unary(Unary::Sin | Unary::Cos) => 50,
        Op::Unary(_) => 25,
        Op::Binary(Binary::Power) => 150,
        _ => 1,
    };
    if matches!(node.ty.dtype, DType::F32 | DType::Bool) { fused } else { 4 * fused }
}

/// Takes nodes that are computed again from their own groups where nobody reads them there.
fn leave_groups(fusion: &mut Fusion, readers: &[Readers]) {
    for id in (0..fusion.again.len()).rev().filter(|&id| fusion.again[id]).collect::<Vec<_>>() {
        let Some((home, _)) = fusion.place[id] else { continue };
        if !readers[id].iter().any(|&(reader, _)| fusion.place[reader as usize].is_some_and(|(group, _)| group == home)) {
            fusion.place[id] = None;
            fusion.groups[home as usize].members.retain(|&member| member as usize != id);
        }
    }
}
