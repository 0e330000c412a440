//! From groups of operations to kernels over buffers.

use super::chunks::{self, Chunks};
use super::control;
use super::early::moved_up;
use super::emit::Emitter;
use super::fuse::{Fusion, Kind, is_inline};
use super::graph::{Graph, GraphNode, NodeId};
use super::kernel::{Access, Axes, BufferId, Fill, Fold, Host, Kernel, Number, Scatter, Sort, SortStage};
use super::pipeline::Options;
use super::sort;
use super::view::{View, is_dense};
use crate::ops::{Binary, Op, Pad, Reshape, Scalar, ScatterAdd};
use crate::tensor::shape::dense_strides;
use crate::tensor::{DType, Shape};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::ops::Range;

/// Elements of a padded tensor from which several small kernels are better than one that sets everything.
const LEAST_PADDED: usize = 16 * 1024;

/// Kernels in an order in which they may run, and the buffers they use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kernels {
    /// In order.
    pub kernels: Vec<Kernel>,
    /// What accesses refer to.
    pub buffers: Vec<Buffer>,
    /// For each kernel, the site (recorded node) it is for.
    pub sites: Vec<u32>,
}

/// A run of elements that kernels read and write.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// How many elements.
    pub len: usize,
    /// Their type.
    pub dtype: DType,
    /// Whose they are.
    pub place: Place,
}

/// Where a buffer's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The data of a leaf.
    Leaf(u32),
    /// The value of a root.
    Root(u32),
    /// The program's own memory.
    Temporary,
}

/// Lowers a simplified graph whose roots are distinct nodes and no leaves (see [`own_roots`]). Products that name no
/// precision have that of the options, by which bodies of loops and branches are compiled.
pub fn lower(graph: &Graph, views: &[View], fusion: &Fusion, options: Options) -> Kernels {
    let mut lowering = Lowering::new(graph, views, fusion, options);
    for group in fusion.order() {
        lowering.group(group);
    }
    let Lowering { kernels, early, .. } = lowering;
    moved_up(kernels, &early)
}

/// The same graph with a node of its own for every root: a copy where a root is a leaf, a
/// constant, or asked for twice.
pub fn own_roots(mut graph: Graph) -> Graph {
    for i in 0..graph.roots.len() {
        let root = graph.roots[i];
        if graph.node(root).leaf.is_some() || is_inline(&graph.node(root).op) || graph.roots[..i].contains(&root) {
            let ty = graph.node(root).ty.clone();
            let site = graph.node(root).site;
            let copy = GraphNode { op: Reshape(ty.shape.clone()).into(), inputs: SmallVec::from_slice(&[root]), ty, leaf: None, site };
            graph.nodes.push(copy);
            graph.roots[i] = graph.nodes.len() as NodeId - 1;
        }
    }
    graph
}

/// The state of lowering: which nodes have buffers by now, and the kernels so far.
pub struct Lowering<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Where each node's elements are.
    pub views: &'a [View],
    /// The groups.
    pub fusion: &'a Fusion,
    /// What is made.
    pub kernels: Kernels,
    buffer_of: Vec<Option<BufferId>>,
    outside: Vec<bool>,
    /// Of loops and branches the results that have buffers of their own: of each its part of the flat vector, and where it is.
    parts: FxHashMap<NodeId, Vec<(Range<usize>, BufferId, usize)>>,
    /// Products that stay in chunks, which their readers add up; once these have buffers, where they are.
    chunks: FxHashMap<NodeId, Option<Chunks>>,
    /// Concatenations whose last part is written where it belongs.
    joined: Vec<NodeId>,
    /// Kernels that should run as soon as a buffer has been written.
    early: Vec<(usize, BufferId)>,
    /// For products that name no precision, and for bodies.
    pub options: Options,
}

impl<'a> Lowering<'a> {
    fn new(graph: &'a Graph, views: &'a [View], fusion: &'a Fusion, options: Options) -> Lowering<'a> {
        let mut outside = vec![false; graph.nodes.len()];
        graph.roots.iter().for_each(|&root| outside[root as usize] = true);
        for (id, node) in graph.nodes.iter().enumerate() {
            // What is computed again is read from memory by none, and reads there what it is made of.
            let (again, home) = (fusion.again[id], fusion.place[id].map(|(group, _)| group));
            for &input in node.inputs.iter().filter(|_| home.is_some() || again) {
                let base = views[input as usize].base as usize;
                let elsewhere = |(group, _)| again || Some(group) != home;
                outside[base] |= !fusion.again[base] && fusion.place[base].is_some_and(elsewhere);
            }
        }
        let (kernels, buffer_of) = (Kernels::default(), vec![None; graph.nodes.len()]);
        let mut lowering = Lowering {
            graph,
            views,
            fusion,
            kernels,
            buffer_of,
            outside,
            parts: Default::default(),
            chunks: chunks::left_to_readers(graph, views, fusion).into_iter().map(|id| (id, None)).collect(),
            joined: Vec::new(),
            early: Vec::new(),
            options,
        };
        for (id, node) in graph.nodes.iter().enumerate() {
            if let Some(leaf) = node.leaf {
                lowering.buffer_of[id] = Some(lowering.buffer(node.ty.len(), node.ty.dtype, Place::Leaf(leaf)));
            }
        }
        for (i, &root) in graph.roots.iter().enumerate() {
            let ty = &graph.node(root).ty;
            lowering.buffer_of[root as usize] = Some(lowering.buffer(ty.len(), ty.dtype, Place::Root(i as u32)));
        }
        lowering.place_parts();
        lowering.join_parts();
        lowering
    }

    /// A buffer for each result of a loop or branch that is read by itself.
    fn place_parts(&mut self) {
        let mut found: Vec<(NodeId, control::Parts)> = control::parts(self.graph).into_iter().collect();
        found.sort_unstable_by_key(|&(id, _)| id);
        for (id, parts) in found {
            let dtype = self.graph.node(id).ty.dtype;
            let read = |range: &Range<usize>, view: &View| view.base == id && range.contains(&(view.offset as usize));
            let read: Vec<_> =
                parts.into_iter().filter(|(range, _)| self.views.iter().skip(id as usize + 1).any(|view| read(range, view))).collect();
            let mut own = |(range, root): (Range<usize>, Option<NodeId>)| {
                let buffer = root.and_then(|root| self.buffer_of[root as usize]);
                (range.clone(), buffer.unwrap_or_else(|| self.buffer(range.len(), dtype, Place::Temporary)), 0)
            };
            let placed = read.into_iter().map(&mut own).collect();
            self.parts.insert(id, placed);
        }
    }

    /// What begins with something else and goes on with the beginning of a loop's result, as the states before each step do
    /// with the first one and the states after, has the result in it.
    fn join_parts(&mut self) {
        for (id, node) in (0..).zip(&self.graph.nodes) {
            let (Op::Concat(concat), Some(&last), None) = (&node.op, node.inputs.last(), self.buffer_of[id as usize]) else { continue };
            let (view, ty) = (&self.views[last as usize], &self.graph.node(last).ty);
            let outermost = node.ty.shape[..concat.axis].iter().all(|&size| size == 1);
            if !outermost || ty.is_empty() || self.fusion.place[id as usize].is_none() || !is_dense(&ty.shape, &view.strides) {
                continue;
            }
            let begins =
                |(range, ..): &&mut (Range<usize>, BufferId, usize)| range.start as isize == view.offset && range.len() >= ty.len();
            if let Some((_, buffer, at)) = self.parts.get_mut(&view.base).and_then(|parts| parts.iter_mut().find(begins))
                && self.kernels.buffers[*buffer as usize].place == Place::Temporary
                && *at == 0
            {
                *at = node.ty.len() - ty.len();
                self.kernels.buffers[*buffer as usize].len += *at;
                self.buffer_of[id as usize] = Some(*buffer);
                self.joined.push(id);
            }
        }
    }

    /// Where a result of a loop or branch goes, from an element of the flat vector on; nowhere if nobody reads it.
    pub fn result(&mut self, id: NodeId, start: usize, len: usize) -> Option<Access> {
        let dtype = self.graph.node(id).ty.dtype;
        let (buffer, offset) = match self.parts.get(&id) {
            Some(parts) => {
                let (_, buffer, at) = parts.iter().find(|(range, ..)| range.start == start && range.len() == len)?;
                (*buffer, *at as isize)
            }
            None => (self.own_buffer(id), start as isize),
        };
        Some(Access { buffer, dtype, offset, strides: dense_strides(&[len]) })
    }

    /// A new buffer.
    pub fn buffer(&mut self, len: usize, dtype: DType, place: Place) -> BufferId {
        self.kernels.buffers.push(Buffer { len, dtype, place });
        self.kernels.buffers.len() as BufferId - 1
    }

    /// Adds a kernel.
    pub fn push(&mut self, kernel: Kernel, id: NodeId) {
        self.kernels.kernels.push(kernel);
        self.kernels.sites.push(self.graph.node(id).site);
    }

    /// Whether somebody outside its group reads a node.
    pub fn is_outside(&self, id: NodeId) -> bool {
        self.outside[id as usize]
    }

    /// Where the chunks of a product are that its readers add up.
    pub fn chunks(&self, id: NodeId) -> Option<Chunks> {
        self.chunks.get(&id).copied().flatten()
    }

    /// Leaves the chunks of a product to its readers, if that was decided.
    pub fn leaves_chunks(&mut self, id: NodeId, chunks: Chunks) -> bool {
        self.chunks.get_mut(&id).map(|place| *place = Some(chunks)).is_some()
    }

    /// The buffer that holds, or will hold, a computed node's elements.
    pub fn own_buffer(&mut self, id: NodeId) -> BufferId {
        match self.buffer_of[id as usize] {
            Some(buffer) => buffer,
            None => {
                let ty = &self.graph.node(id).ty;
                let buffer = self.buffer(ty.len(), ty.dtype, Place::Temporary);
                self.buffer_of[id as usize] = Some(buffer);
                buffer
            }
        }
    }

    /// How a node's elements are read from memory, with strides over the node's axes. What has no
    /// memory (a constant, coordinates) is written out first.
    pub fn access(&mut self, id: NodeId) -> Access {
        let view = &self.views[id as usize];
        self.access_view(view, view.base)
    }

    /// A zero, repeated over the axes of a node.
    pub fn zeros(&mut self, id: NodeId) -> Access {
        let ty = &self.graph.node(id).ty;
        let (dtype, strides) = (ty.dtype, Axes::from_elem(0, ty.shape.len()));
        let buffer = self.buffer(1, dtype, Place::Temporary);
        let out = Access { buffer, dtype, offset: 0, strides: Axes::new() };
        self.push(Kernel::Fill(Fill { out, len: 1, value: number(Scalar::new(0.0, dtype)) }), id);
        Access { buffer, dtype, offset: 0, strides }
    }

    /// How a view is read from memory.
    pub fn access_view(&mut self, view: &View, base: NodeId) -> Access {
        let node = self.graph.node(base);
        let dtype = node.ty.dtype;
        match &node.op {
            Op::Constant(constant) if self.buffer_of[base as usize].is_none() => {
                let buffer = self.buffer(1, dtype, Place::Temporary);
                let out = Access { buffer, dtype, offset: 0, strides: Axes::new() };
                self.push(Kernel::Fill(Fill { out, len: 1, value: number(constant.value) }), base);
                Access { buffer, dtype, offset: 0, strides: view.strides.iter().map(|_| 0).collect() }
            }
            _ if self.parts.contains_key(&base) => {
                let own = self.parts[&base].iter().find(|(range, ..)| range.contains(&(view.offset as usize))).cloned();
                // What is not there is empty.
                let (range, buffer, at) = own.unwrap_or_else(|| (0..0, self.buffer(0, dtype, Place::Temporary), 0));
                let offset = view.offset + at as isize - range.start as isize;
                Access { buffer, dtype, offset, strides: view.strides.clone() }
            }
            op => {
                if is_inline(op) && self.buffer_of[base as usize].is_none() {
                    let buffer = self.own_buffer(base);
                    let whole = View { base, offset: 0, strides: dense_strides(&node.ty.shape) };
                    self.copy(base, &whole, &node.ty.shape.clone(), buffer, 0, &dense_strides(&node.ty.shape));
                }
                Access { buffer: self.own_buffer(base), dtype, offset: view.offset, strides: view.strides.clone() }
            }
        }
    }

    /// How a node is read as one dense run; copied first if it is not.
    pub fn dense(&mut self, id: NodeId) -> Access {
        let view = &self.views[id as usize];
        let shape = self.graph.node(id).ty.shape.clone();
        if view.offset == 0 && is_dense(&shape, &view.strides) && !is_inline(&self.graph.node(view.base).op) {
            return self.access(id);
        }
        let dtype = self.graph.node(id).ty.dtype;
        let buffer = self.buffer(self.graph.node(id).ty.len(), dtype, Place::Temporary);
        self.copy(id, view, &shape, buffer, 0, &dense_strides(&shape));
        Access { buffer, dtype, offset: 0, strides: dense_strides(&shape) }
    }

    /// A kernel that reads a view of `shape` and writes it at an offset with strides.
    fn copy(&mut self, site: NodeId, view: &View, shape: &Shape, buffer: BufferId, offset: isize, strides: &[isize]) {
        if shape.contains(&0) {
            return;
        }
        let region = Emitter::copy(self, view, shape, buffer, offset, strides);
        self.push(Kernel::Region(region), site);
    }

    fn group(&mut self, group: u32) {
        let found = &self.fusion.groups[group as usize];
        let first = found.members[0];
        let node = self.graph.node(first);
        match (found.kind, &node.op) {
            (Kind::Region, _) => {
                let last = *found.members.last().unwrap_or(&first);
                let (region, combines) = Emitter::region(self, group);
                if region.stores.is_empty() {
                    // Nobody reads the results (they stood behind a barrier, say).
                    return;
                }
                self.push(Kernel::Region(region), last);
                combines.into_iter().for_each(|(combine, id)| self.push(Kernel::Region(combine), id));
            }
            (Kind::Contract, _) => self.contract(first, Some(group)),
            (Kind::Single, Op::Einsum(_)) => self.contract(first, None),
            (Kind::Single, Op::ScatterAdd(scatter)) => self.scatter(first, *scatter, Binary::Add, 0.0),
            (Kind::Single, Op::ScatterReduce(scatter)) => {
                let sum = ScatterAdd { batch: scatter.batch, size: scatter.size };
                self.scatter(first, sum, scatter.how.function(), scatter.how.none(node.ty.dtype));
            }
            (Kind::Single, Op::ArgSort(order)) => {
                let keep = node.ty.shape.last().copied().unwrap_or(1);
                let len = self.graph.node(node.inputs[0]).ty.shape.last().copied().unwrap_or(1);
                let (input, out) = (self.dense(node.inputs[0]), self.whole(first));
                let (rows, descending) = (node.ty.len() / keep.max(1), order.descending);
                let whole = Sort { rows, len, keep, descending, stage: SortStage::Whole, input, out };
                sort::stages(self, whole).into_iter().for_each(|kernel| self.push(Kernel::Sort(Box::new(kernel)), first));
            }
            (Kind::Single, Op::Scan(_) | Op::Switch(_) | Op::While(_)) => {
                let members = found.members.clone();
                let kernel = control::kernel(self, &members);
                self.push(Kernel::Control(Box::new(kernel)), first);
            }
            (Kind::Single, Op::HostCall(call)) => {
                let (examples, one) = node.ty.shape.split_at(call.batch as usize);
                let own = |&input: &NodeId| self.graph.node(input).ty.shape[call.batch as usize..].into();
                let shapes = node.inputs.iter().map(own).collect();
                let inputs = node.inputs.iter().map(|&input| self.dense(input)).collect();
                let kernel = Host {
                    function: call.function.clone(),
                    batch: examples.iter().product(),
                    shapes,
                    inputs,
                    len: one.iter().product(),
                    out: self.whole(first),
                    site: node.site,
                };
                self.push(Kernel::Host(Box::new(kernel)), first);
            }
            (Kind::Single, Op::Fold(fold)) => self.fold(first, fold),
            (Kind::Single, Op::Pad(pad)) => {
                let out = dense_strides(&node.ty.shape);
                self.zeros_around(first, pad);
                let offset = pad.low.iter().zip(&out).map(|(&low, &stride)| low as isize * stride).sum();
                let strides: Axes<isize> = pad.interior.iter().zip(&out).map(|(&gap, &stride)| (gap as isize + 1) * stride).collect();
                self.place_input(first, node.inputs[0], offset, &strides);
            }
            (Kind::Single, Op::Concat(concat)) => {
                let out = dense_strides(&node.ty.shape);
                let mut at = 0;
                let there = usize::from(self.joined.contains(&first));
                for &input in &node.inputs[..node.inputs.len() - there] {
                    let before = self.kernels.kernels.len();
                    self.place_input(first, input, at as isize * out[concat.axis], &out);
                    at += self.graph.node(input).ty.shape[concat.axis];
                    // An empty part is copied by no kernel.
                    if self.kernels.kernels.len() == before + 1 {
                        self.hurry(before, input);
                    }
                }
            }
            (Kind::Single, _) => (),
        }
    }

    fn scatter(&mut self, id: NodeId, scatter: ScatterAdd, how: Binary, none: f64) {
        let node = self.graph.node(id);
        let sizes = scatter.sizes(&self.graph.node(node.inputs[0]).ty.shape, &self.graph.node(node.inputs[1]).ty.shape);
        let (updates, index) = (self.dense(node.inputs[0]), self.dense(node.inputs[1]));
        let out = self.whole(id);
        let kernel = Scatter {
            how,
            none,
            batch: sizes.batch,
            count: sizes.count,
            limit: scatter.size,
            rest: sizes.rest,
            index,
            updates,
            out,
            site: node.site,
        };
        self.push(Kernel::Scatter(Box::new(kernel)), id);
    }

    /// Copies an input into the memory of `id`.
    fn place_input(&mut self, id: NodeId, input: NodeId, offset: isize, strides: &[isize]) {
        let buffer = self.own_buffer(id);
        let shape = self.graph.node(input).ty.shape.clone();
        self.copy(id, &self.views[input as usize], &shape, buffer, offset, strides);
    }

    /// If a kernel copies a small part of a value, it should not wait: the value would be kept for it.
    fn hurry(&mut self, kernel: usize, input: NodeId) {
        let (part, base) = (self.graph.node(input).ty.len(), self.views[input as usize].base);
        if let Some(buffer) = self.buffer_of[base as usize]
            && 2 * part <= self.graph.node(base).ty.len()
            && self.kernels.buffers[buffer as usize].place == Place::Temporary
        {
            self.early.push((kernel, buffer));
        }
    }

    /// Sets what a padded input does not cover, or everything where that is little more, or little at all.
    fn zeros_around(&mut self, id: NodeId, pad: &Pad) {
        let node = self.graph.node(id);
        let input = &self.graph.node(node.inputs[0]).ty;
        let little = node.ty.len() < LEAST_PADDED || input.len() < node.ty.len() / 2;
        if little || pad.interior.iter().any(|&gap| gap > 0) {
            return self.fill_zero(id);
        }
        let (buffer, dtype, out) = (self.own_buffer(id), node.ty.dtype, dense_strides(&node.ty.shape));
        // Before and after the input along one axis, in one kernel if both are as long, as they lie in the same cache lines; and
        // along those before only where it is: nothing is set twice.
        let mut sizes = node.ty.shape.clone();
        let mut first = 0;
        for axis in 0..sizes.len() {
            let (low, own, high) = (pad.low[axis], input.shape[axis], pad.high[axis]);
            let [before, after] = [0, low + own].map(|from| first + from as isize * out[axis]);
            let sides: &[(usize, &[isize])] = if low == high { &[(low, &[before, after])] } else { &[(low, &[before]), (high, &[after])] };
            for &(length, offsets) in sides.iter().filter(|&&(length, _)| length > 0) {
                sizes[axis] = length;
                let region = Emitter::zeros(self, (buffer, dtype), &sizes, offsets, &out);
                self.push(Kernel::Region(region), id);
            }
            sizes[axis] = own;
            first += low as isize * out[axis];
        }
    }

    fn fill_zero(&mut self, id: NodeId) {
        let out = self.whole(id);
        let ty = &self.graph.node(id).ty;
        self.push(Kernel::Fill(Fill { out, len: ty.len(), value: number(Scalar::new(0.0, ty.dtype)) }), id);
    }

    /// The dense memory of a computed node.
    pub fn whole(&mut self, id: NodeId) -> Access {
        let ty = &self.graph.node(id).ty;
        Access { buffer: self.own_buffer(id), dtype: ty.dtype, offset: 0, strides: dense_strides(&ty.shape) }
    }

    fn fold(&mut self, id: NodeId, fold: &crate::ops::Fold) {
        let node = self.graph.node(id);
        let (window, rank) = (&fold.window, node.ty.shape.len());
        let patches = self.graph.node(node.inputs[0]).ty.shape.clone();
        let (input, out) = (self.access(node.inputs[0]), self.whole(id));
        let last = *window.axes.last().unwrap_or(&0);
        let outer: Vec<usize> = (0..last).filter(|axis| !window.axes.contains(axis)).collect();
        let rest: Vec<usize> = (last + 1..rank).collect();
        let listed: Vec<usize> = window.axes.to_vec();
        let pick = |axes: &[usize], values: &[usize]| -> Axes<usize> { axes.iter().map(|&axis| values[axis]).collect() };
        let windows: Vec<usize> = (0..listed.len()).map(|i| rank + i).collect();
        let strides_in = outer.iter().chain(&listed).chain(&windows).chain(&rest).map(|&axis| input.strides[axis]).collect();
        let strides_out = outer.iter().chain(&listed).chain(&rest).map(|&axis| out.strides[axis]).collect();
        let kernel = Fold {
            outer: pick(&outer, &node.ty.shape),
            sizes: pick(&listed, &node.ty.shape),
            counts: pick(&listed, &patches),
            windows: window.sizes.iter().copied().collect(),
            strides: window.strides.iter().copied().collect(),
            dilations: window.dilations.iter().copied().collect(),
            rest: pick(&rest, &node.ty.shape),
            input: Access { strides: strides_in, ..input },
            out: Access { strides: strides_out, ..out },
        };
        self.push(Kernel::Fold(Box::new(kernel)), id);
    }
}

/// A scalar as a literal of scalar code.
pub fn number(scalar: Scalar) -> Number {
    match scalar {
        Scalar::Float(bits) => Number::Float(f64::from_bits(bits)),
        Scalar::Integer(value) => Number::Integer(value),
    }
}
