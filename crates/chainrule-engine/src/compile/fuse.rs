//! Which operations run together: each group becomes one kernel, its inner values never leave the
//! cache.
//!
//! A group of elementwise operations and reductions shares a space of rows x columns; a contraction
//! takes the elementwise operations on its result along. Refuses to compute anything twice.

mod needs;
mod order;
mod readers;

use super::control::are_twins;
use super::graph::{Graph, NodeId};
use super::kernel::Binary;
use super::product::Product;
use super::view::{View, copied, is_dense, refined};
use crate::ops::{Max, Op, Sum};
use smallvec::SmallVec;

/// What kind of kernel a group becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Scalar code over rows and columns.
    Region,
    /// The product of its first member, then scalar code on each tile.
    Contract,
    /// A kernel of its own: scatter, fold, sort, host, pad, concat, loops and branches.
    Single,
}

/// How much of its group's space a member covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// One element per point.
    Full,
    /// One element per row.
    Row,
    /// One element per column, known only when all rows have been seen.
    Column,
}

/// Operations that run as one kernel.
#[derive(Clone, Debug)]
pub struct Group {
    /// What it becomes.
    pub kind: Kind,
    /// In topological order.
    pub members: Vec<NodeId>,
    /// Whether each member makes each element at its own point, so that all can move to another group.
    pub plain: bool,
    /// Points of the space.
    pub total: usize,
    /// Columns, once a reduction or a contraction has fixed them.
    pub columns: Option<usize>,
    /// Where axes end.
    pub cuts: Cuts,
}

/// Numbers of elements, ascending; each divides the next. The sizes of a space's axes are their ratios.
pub type Cuts = SmallVec<[usize; 6]>;

/// The groups of a graph, and where each node is.
#[derive(Clone, Debug, Default)]
pub struct Fusion {
    /// In the order of creation.
    pub groups: Vec<Group>,
    /// Of each node: its group and what it covers there; `None` for leaves, views and constants.
    pub place: Vec<Option<(u32, Cover)>>,
    /// Of each node, whether readers in other groups compute it again instead of reading it from
    /// memory; filled by [`super::recompute`].
    pub again: Vec<bool>,
    /// `before[g]`: a set of the groups that `g` needs, directly or not.
    before: Vec<Vec<u64>>,
    /// Whether another group needs this one, as far as is known.
    needed: Vec<bool>,
    /// Members a group may have.
    most: usize,
}

/// Beyond this many members a group is left alone: scratch grows with what is alive at once, and groups of a long chain
/// that are cut alike are compiled once.
const MOST_MEMBERS: usize = 512;

/// Values of other groups that a sum may read before it is cut.
const MOST_READ: usize = 6;

/// Groups the nodes of a simplified graph.
pub fn fuse(graph: &Graph, views: &[View]) -> Fusion {
    grouped(graph, views, MOST_MEMBERS)
}

/// Every node in a group of its own.
pub fn separate(graph: &Graph, views: &[View]) -> Fusion {
    grouped(graph, views, 1)
}

fn grouped(graph: &Graph, views: &[View], most: usize) -> Fusion {
    let mut fusion = Fusion { place: vec![None; graph.nodes.len()], again: vec![false; graph.nodes.len()], most, ..Fusion::default() };
    for id in 0..graph.nodes.len() as NodeId {
        if is_computed(graph, views, id) {
            fusion.put(graph, views, id);
        }
    }
    fusion.join_readers(graph, views);
    fusion
}

/// Whether a node needs a kernel by itself: not a leaf, not a view, and no constant that whoever
/// reads it can make.
fn is_computed(graph: &Graph, views: &[View], id: NodeId) -> bool {
    let node = graph.node(id);
    let inline = is_inline(&node.op) && !graph.roots.contains(&id);
    node.leaf.is_none() && views[id as usize].base == id && !inline && !node.ty.is_empty()
}

/// Whether a kernel makes these values itself instead of reading them.
pub fn is_inline(op: &Op) -> bool {
    matches!(op, Op::Constant(_) | Op::Iota(_))
}

/// Whether each element of the result depends on the same element of the inputs only.
pub fn is_elementwise(op: &Op) -> bool {
    matches!(op, Op::Unary(_) | Op::Binary(_) | Op::Select(_) | Op::Cast(_))
}

/// Whether each element is made at its own point. Random numbers are, too: dropout's mask, recorded before what it hides.
fn is_made_in_place(op: &Op) -> bool {
    is_elementwise(op) || matches!(op, Op::Random(_))
}

/// Whether an operation moves elements and computes nothing, and has one input that matters.
pub fn is_movement(op: &Op) -> bool {
    matches!(
        op,
        Op::Reshape(_)
            | Op::Permute(_)
            | Op::Broadcast(_)
            | Op::Slice(_)
            | Op::Reverse(_)
            | Op::Window(_)
            | Op::Barrier(_)
            | Op::StopGradient(_)
            | Op::Custom(_)
    )
}

/// What must be there before a value may be read: the second inputs of the barriers that lie between it and its memory.
fn behind(graph: &Graph, mut id: NodeId) -> impl Iterator<Item = NodeId> {
    std::iter::from_fn(move || {
        while is_movement(&graph.node(id).op) {
            let node = graph.node(id);
            id = node.inputs[0];
            if let Op::Barrier(_) = node.op {
                return Some(node.inputs[1]);
            }
        }
        None
    })
}

/// The number of elements along the axes a reduction removes, and whether they are the last ones.
pub fn reduction(graph: &Graph, id: NodeId) -> Option<(usize, bool)> {
    let node = graph.node(id);
    let (Op::Sum(Sum(axes)) | Op::Max(Max(axes))) = &node.op else { return None };
    let shape = &graph.node(node.inputs[0]).ty.shape;
    let length = axes.iter().map(|&axis| shape[axis]).product();
    Some((length, axes.last() == Some(&(shape.len() - 1)) && axes[0] == shape.len() - axes.len()))
}

impl Fusion {
    fn put(&mut self, graph: &Graph, views: &[View], id: NodeId) {
        if let Some(group) = self.twin(graph, id) {
            self.groups[group as usize].members.push(id);
            self.place[id as usize] = Some((group, Cover::Full));
            return;
        }
        let mut needed: SmallVec<[u32; 8]> = SmallVec::new();
        for input in graph.node(id).inputs.iter().flat_map(|&input| std::iter::once(input).chain(behind(graph, input))) {
            if let Some((group, _)) = self.place[views[input as usize].base as usize]
                && !needed.contains(&group)
            {
                needed.push(group);
            }
        }
        // A product takes what follows along if it can; otherwise the latest group does, but for one that can follow another.
        needed.sort_unstable_by_key(|&number| {
            let group = &self.groups[number as usize];
            (group.kind != Kind::Contract, group.plain, std::cmp::Reverse(number))
        });
        let home = needed.iter().copied().find_map(|group| Some((group, self.fits(graph, views, id, group, &needed)?)));
        match home {
            Some((group, (cover, columns, cuts))) => {
                let found = &mut self.groups[group as usize];
                found.members.push(id);
                found.plain &= is_made_in_place(&graph.node(id).op);
                (found.columns, found.cuts) = (columns, cuts);
                self.place[id as usize] = Some((group, cover));
                self.require(group, &needed);
                needed.iter().filter(|&&other| other != group).for_each(|&other| self.merge(graph, views, other, group));
                self.close_gap();
            }
            None => self.open(graph, views, id, &needed),
        }
    }

    /// The group that runs the loop or branch of which a node is the results of another type.
    fn twin(&self, graph: &Graph, id: NodeId) -> Option<u32> {
        let node = graph.node(id);
        if node.op.bodies().is_empty() || self.most == 1 {
            return None;
        }
        let alike = |group: &Group| group.kind == Kind::Single && are_twins(graph.node(group.members[0]), node);
        self.groups.iter().position(|group| !group.members.is_empty() && alike(group)).map(|group| group as u32)
    }

    /// Moves all members of a group into another that has the same space, if neither needs the
    /// other: operations on leaves alone, which came to stand by themselves, follow their reader.
    fn merge(&mut self, graph: &Graph, views: &[View], from: u32, to: u32) {
        let (a, b) = (&self.groups[from as usize], &self.groups[to as usize]);
        let small = self.most > a.members.len() + b.members.len();
        let plain = a.plain && a.kind == Kind::Region && a.total == b.total;
        // Inside a group, values are read at the reader's own point.
        let in_place = |&reader: &NodeId| {
            graph.node(reader).inputs.iter().all(|&input| {
                let view = &views[input as usize];
                let inside = self.place[view.base as usize].is_some_and(|(group, _)| group == from);
                let dense = view.offset == 0 && is_dense(&graph.node(input).ty.shape, &view.strides);
                // A product, a gather or a movement (a reversal, say) reads elsewhere than at its own point.
                let op = &graph.node(reader).op;
                let own_point = is_elementwise(op) || matches!(op, Op::Sum(_) | Op::Max(_) | Op::CumulativeSum(_) | Op::Reshape(_));
                !inside || (dense && own_point && graph.node(input).ty.len() == a.total)
            })
        };
        if !small
            || !plain
            || !b.members.iter().all(in_place)
            || self.needs(to, from) && self.needed_elsewhere(from, to)
            || self.needs(from, to)
        {
            return;
        }
        let Some(cuts) = chain(a.cuts.iter().chain(&b.cuts).copied().collect()) else { return };
        let moved = std::mem::take(&mut self.groups[from as usize].members);
        moved.iter().for_each(|&id| self.place[id as usize] = Some((to, Cover::Full)));
        let home = &mut self.groups[to as usize];
        home.members.extend(moved);
        // Sources first: a product stays the first member.
        let first = usize::from(home.kind == Kind::Contract);
        home.members[first..].sort_unstable();
        home.cuts = cuts;
        self.inherit(from, to);
    }

    /// A new group with one member.
    fn open(&mut self, graph: &Graph, views: &[View], id: NodeId, needed: &[u32]) {
        let node = graph.node(id);
        let len = node.ty.len();
        let copied_shape = if is_movement(&node.op) { copied(graph, views, id).0 } else { Default::default() };
        let (kind, total, columns, cover, shape) = match &node.op {
            Op::Einsum(einsum) => {
                let product = Product::of(graph, id, einsum);
                let kind = if product.ordered && product.chunks == 1 { Kind::Contract } else { Kind::Single };
                (kind, len, Some(product.columns(einsum, &node.ty.shape)), Cover::Full, &node.ty.shape)
            }
            Op::ScatterAdd(_)
            | Op::ScatterReduce(_)
            | Op::Fold(_)
            | Op::ArgSort(_)
            | Op::HostCall(_)
            | Op::Pad(_)
            | Op::Concat(_)
            | Op::Scan(_)
            | Op::Switch(_)
            | Op::While(_) => (Kind::Single, len, None, Cover::Full, &node.ty.shape),
            op if is_movement(op) => (Kind::Region, len, None, Cover::Full, &copied_shape),
            Op::CumulativeSum(_) => (Kind::Region, len, node.ty.shape.last().copied(), Cover::Full, &node.ty.shape),
            Op::Gather(gather) => {
                let rest: usize = graph.node(node.inputs[0]).ty.shape[gather.batch + 1..].iter().product();
                (Kind::Region, len, (rest > 1).then_some(rest), Cover::Full, &node.ty.shape)
            }
            _ => match reduction(graph, id) {
                Some((length, true)) => (Kind::Region, len * length, Some(length), Cover::Row, &graph.node(node.inputs[0]).ty.shape),
                Some((length, false)) => (Kind::Region, len * length, Some(len), Cover::Column, &graph.node(node.inputs[0]).ty.shape),
                None => (Kind::Region, len, None, Cover::Full, &node.ty.shape),
            },
        };
        let cuts = chain(suffix_products(shape, 1).chain(columns).chain([total]).collect());
        let cuts = cuts.unwrap_or_else(|| Cuts::from_slice(&[total]));
        let group = self.groups.len() as u32;
        self.groups.push(Group { kind, members: vec![id], plain: is_made_in_place(&node.op), total, columns, cuts });
        self.before.push(vec![0; group as usize / 64 + 1]);
        self.place[id as usize] = Some((group, cover));
        self.require(group, needed);
    }

    /// Whether a node can run in a group: what it would cover there, and the group's columns and
    /// cuts with it.
    fn fits(&self, graph: &Graph, views: &[View], id: NodeId, group: u32, needed: &[u32]) -> Option<(Cover, Option<usize>, Cuts)> {
        let found = &self.groups[group as usize];
        let later = needed.iter().any(|&other| other != group && self.needs(other, group));
        if later || found.kind == Kind::Single || found.members.len() >= self.most {
            return None;
        }
        let node = graph.node(id);
        if matches!(node.op, Op::Binary(Binary::Add)) && needed.len() > 1 && self.reads_many(graph, views, group) {
            return None;
        }
        let len = node.ty.len();
        let (cover, columns) = match &node.op {
            Op::Unary(_) | Op::Binary(_) | Op::Select(_) | Op::Cast(_) | Op::Gather(_) | Op::Reshape(_) => match found.columns {
                _ if len == found.total => (Cover::Full, found.columns),
                Some(columns) if len * columns == found.total => (Cover::Row, found.columns),
                _ => return None,
            },
            Op::Sum(_) | Op::Max(_) => {
                let (length, last) = reduction(graph, id)?;
                let columns = if last { length } else { len };
                if len * length != found.total || found.columns.is_some_and(|known| known != columns) {
                    return None;
                }
                (if last { Cover::Row } else { Cover::Column }, Some(columns))
            }
            Op::CumulativeSum(_) if len == found.total => {
                let last = node.ty.shape.last().copied();
                if found.columns.is_some() && found.columns != last {
                    return None;
                }
                (Cover::Full, last)
            }
            _ => return None,
        };
        if found.kind == Kind::Contract && (cover != Cover::Full || !is_elementwise(&node.op)) {
            return None;
        }
        let scale = if cover == Cover::Row { columns? } else { 1 };
        let shape = if reduction(graph, id).is_some() { &graph.node(node.inputs[0]).ty.shape } else { &node.ty.shape };
        let mut cuts = found.cuts.clone();
        cuts.extend(suffix_products(shape, if reduction(graph, id).is_some() { 1 } else { scale }));
        cuts.extend(columns);
        let cuts = chain(cuts)?;
        let candidate = Group { kind: found.kind, members: Vec::new(), plain: found.plain, total: found.total, columns, cuts };
        let reads_well =
            node.inputs.iter().enumerate().all(|(k, &input)| self.reads_well(graph, views, id, k, input, group, cover, &candidate));
        reads_well.then_some((cover, candidate.columns, candidate.cuts))
    }

    /// Whether a group of scalar code reads so many values of other groups that a sum should not wait for one more:
    /// they are all kept until it runs.
    fn reads_many(&self, graph: &Graph, views: &[View], group: u32) -> bool {
        let found = &self.groups[group as usize];
        let mut read: Vec<NodeId> = Vec::new();
        for &input in found.members.iter().flat_map(|&id| &graph.node(id).inputs) {
            let base = views[input as usize].base;
            if self.place[base as usize].is_some_and(|(other, _)| other != group) && !read.contains(&base) {
                read.push(base);
            }
            if read.len() > MOST_READ {
                return found.kind == Kind::Region;
            }
        }
        false
    }

    /// Whether a member-to-be can read input `k` while the group runs: from outside always, from
    /// inside at its own point or row only.
    #[allow(clippy::too_many_arguments, reason = "one check, used in one place")]
    fn reads_well(
        &self,
        graph: &Graph,
        views: &[View],
        id: NodeId,
        k: usize,
        input: NodeId,
        group: u32,
        cover: Cover,
        space: &Group,
    ) -> bool {
        let view = &views[input as usize];
        let Some((inside, written)) = self.place[view.base as usize] else { return true };
        if inside != group {
            return true;
        }
        let shape = &graph.node(input).ty.shape;
        let dense = view.offset == 0 && is_dense(shape, &view.strides);
        let reads_full = cover == Cover::Full || reduction(graph, id).is_some();
        match (&graph.node(id).op, written) {
            (Op::Gather(_), _) if k == 0 => false,
            (Op::Gather(gather), Cover::Full) => {
                // A full index serves single elements only.
                let rest: usize = graph.node(graph.node(id).inputs[0]).ty.shape[gather.batch + 1..].iter().product();
                dense && rest == 1 && cover == Cover::Full
            }
            (Op::Gather(gather), Cover::Row) => {
                let rest: usize = graph.node(graph.node(id).inputs[0]).ty.shape[gather.batch + 1..].iter().product();
                dense && ((cover == Cover::Row && rest == 1) || (cover == Cover::Full && space.columns == Some(rest)))
            }
            (_, Cover::Column) => false,
            (_, Cover::Full) => dense && reads_full,
            (_, Cover::Row) if !reads_full => dense,
            // Axes that are cut in other places than the space's, as the operand's of a reshape may be, have none of its rows.
            (_, Cover::Row) if !suffix_products(shape, 1).all(|cut| cut == 1 || space.cuts.contains(&cut)) => false,
            (_, Cover::Row) => {
                let (sizes, rows) = space.axes();
                let strides = refined(shape, &view.strides, &sizes);
                let row_dense = is_dense(&sizes[..rows], &strides[..rows]);
                view.offset == 0 && row_dense && strides[rows..].iter().all(|&stride| stride == 0)
            }
        }
    }
}

impl Group {
    /// The sizes of the space's axes, outermost first, and how many of them are rows. A space of
    /// one point has no axes.
    pub fn axes(&self) -> (Vec<usize>, usize) {
        let mut sizes = Vec::with_capacity(self.cuts.len());
        let mut inner = 1;
        for &cut in &self.cuts {
            if cut > inner {
                sizes.push(cut / inner);
                inner = cut;
            }
        }
        sizes.reverse();
        let columns = self.columns.unwrap_or_else(|| sizes.last().copied().unwrap_or(1));
        let (mut rows, mut product) = (sizes.len(), 1);
        while product < columns && rows > 0 {
            rows -= 1;
            product *= sizes[rows];
        }
        (sizes, rows)
    }
}

/// The numbers of elements of the last axes, the last two, ..., each times `scale`.
pub fn suffix_products(shape: &[usize], scale: usize) -> impl Iterator<Item = usize> + '_ {
    shape.iter().rev().scan(scale, |product, &size| {
        *product *= size;
        Some(*product)
    })
}

/// Sorted and without repetition, if each divides the next; ones are dropped.
pub fn chain(mut cuts: Cuts) -> Option<Cuts> {
    cuts.sort_unstable();
    cuts.dedup();
    cuts.retain(|&mut cut| cut > 1);
    cuts.windows(2).all(|pair| pair[1] % pair[0] == 0).then_some(cuts)
}
