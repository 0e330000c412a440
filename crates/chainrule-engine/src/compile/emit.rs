//! Scalar code for a group of operations: the body of a region, or what follows a contraction.

use super::chunks::Chunks;
use super::fuse::{Cover, Group, Kind, is_elementwise, is_movement, reduction};
use super::graph::NodeId;
use super::kernel::{Access, Axes, Binary, BufferId, Code, Extent, Instruction, Lane, Number, Reduction, Region, Unary, Value};
use super::lower::{Lowering, Place, number};
use super::view::{View, copied, refined};
use crate::ops::{Op, Scalar};
use crate::tensor::shape::dense_strides;
use crate::tensor::{DType, Shape};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// A region under construction.
pub struct Emitter<'l, 'a> {
    lowering: &'l mut Lowering<'a>,
    group: Option<u32>,
    sizes: Vec<usize>,
    rows: usize,
    code: Vec<Instruction>,
    loads: Vec<Access>,
    stores: Vec<Access>,
    /// The values of members.
    values: FxHashMap<NodeId, Value>,
    /// The values of nodes of other groups that are computed again here.
    again: FxHashMap<NodeId, Value>,
    /// Values by what they read, so that nothing is read twice.
    read: Vec<(Access, Extent, Value)>,
    expanded: FxHashMap<Value, Value>,
    /// What each accumulated column sum must be combined from.
    columns: Vec<(NodeId, Reduction)>,
}

/// Work that reduces over rows is cut in at most this many parts, of at least so many points.
const MOST_PARTS: usize = 16;
const LEAST_POINTS: usize = 16 * 1024;

/// Rows of one part, from shapes alone.
fn part_rows(rows: usize, columns: usize) -> usize {
    let parts = (rows.saturating_mul(columns) / LEAST_POINTS).clamp(1, MOST_PARTS);
    rows.div_ceil(parts).max(1)
}

impl<'l, 'a> Emitter<'l, 'a> {
    fn new(lowering: &'l mut Lowering<'a>, group: Option<u32>, sizes: Vec<usize>, rows: usize) -> Emitter<'l, 'a> {
        Emitter {
            lowering,
            group,
            sizes,
            rows,
            code: Vec::new(),
            loads: Vec::new(),
            stores: Vec::new(),
            values: FxHashMap::default(),
            again: FxHashMap::default(),
            read: Vec::new(),
            expanded: FxHashMap::default(),
            columns: Vec::new(),
        }
    }

    /// The code of a group, and the kernels that must follow it to combine column sums.
    pub fn region(lowering: &'l mut Lowering<'a>, group: u32) -> (Region, Vec<(Region, NodeId)>) {
        let found: &'a Group = &lowering.fusion.groups[group as usize];
        let (sizes, rows) = found.axes();
        let mut emitter = Emitter::new(lowering, Some(group), sizes, rows);
        for (i, &id) in found.members.iter().enumerate() {
            if found.kind == Kind::Contract && i == 0 {
                emitter.product(id);
            } else {
                emitter.member(id);
            }
        }
        emitter.finish(found)
    }

    /// A copy of a view to memory.
    pub fn copy(lowering: &'l mut Lowering<'a>, view: &View, shape: &Shape, buffer: BufferId, offset: isize, strides: &[isize]) -> Region {
        let dtype = lowering.graph.node(view.base).ty.dtype;
        let sizes: Vec<usize> = shape.iter().copied().filter(|&size| size != 1).collect();
        let rows = sizes.len().saturating_sub(1);
        let store = Access { buffer, dtype, offset, strides: refined(shape, strides, &sizes) };
        let mut emitter = Emitter::new(lowering, None, sizes, rows);
        let value = emitter.outside(view, shape, Extent::Full);
        emitter.stores.push(store);
        emitter.push(Code::Store(0, value), Lane::of(dtype), Extent::Full);
        emitter.into_region(None)
    }

    /// Zeros in some places of a node's memory, all of the same sizes.
    pub fn zeros(
        lowering: &'l mut Lowering<'a>,
        (buffer, dtype): (BufferId, DType),
        sizes: &[usize],
        offsets: &[isize],
        strides: &[isize],
    ) -> Region {
        let axes: Vec<usize> = (0..sizes.len()).filter(|&axis| sizes[axis] != 1).collect();
        let rows = axes.len().saturating_sub(1);
        let mut emitter = Emitter::new(lowering, None, axes.iter().map(|&axis| sizes[axis]).collect(), rows);
        let value = emitter.push(Code::Constant(number(Scalar::new(0.0, dtype))), Lane::of(dtype), Extent::Full);
        for (store, &offset) in offsets.iter().enumerate() {
            emitter.stores.push(Access { buffer, dtype, offset, strides: axes.iter().map(|&axis| strides[axis]).collect() });
            emitter.push(Code::Store(store, value), Lane::of(dtype), Extent::Full);
        }
        emitter.into_region(None)
    }

    /// Adds up (or takes the maximum of) `parts` runs of `len` elements; the two buffers have one lane.
    pub fn combine(from: (BufferId, DType), to: (BufferId, DType), parts: usize, len: usize, reduction: Reduction) -> Region {
        let access = |(buffer, dtype), strides: [isize; 2]| Access { buffer, dtype, offset: 0, strides: Axes::from_slice(&strides) };
        let lane = Lane::of(to.1);
        let instruction = |code| Instruction { code, lane, extent: Extent::Full };
        Region {
            axes: Axes::from_slice(&[parts, len]),
            row_axes: 1,
            loads: vec![access(from, [len as isize, 1])],
            stores: vec![access(to, [0, 1])],
            code: vec![instruction(Code::Load(0)), instruction(Code::Accumulate(0, reduction, 0))],
            unit_rows: Some(parts),
        }
    }

    fn push(&mut self, code: Code, lane: Lane, extent: Extent) -> Value {
        self.code.push(Instruction { code, lane, extent });
        self.code.len() as Value - 1
    }

    /// An operation's result, rounded where the element type is narrower than its lane.
    fn computed(&mut self, code: Code, dtype: DType, extent: Extent) -> Value {
        let value = self.push(code, Lane::of(dtype), extent);
        match dtype {
            DType::BF16 => self.push(Code::Unary(Unary::RoundBf16, value), Lane::F32, extent),
            DType::F16 => self.push(Code::Unary(Unary::RoundF16, value), Lane::F32, extent),
            _ => value,
        }
    }

    /// The result of the contraction: load 0.
    fn product(&mut self, id: NodeId) {
        let dtype = self.lowering.graph.node(id).ty.dtype;
        self.loads.push(Access { buffer: 0, dtype, offset: 0, strides: Axes::from_elem(0, self.sizes.len()) });
        let value = self.computed(Code::Load(0), dtype, Extent::Full);
        self.keep(id, value, Cover::Full);
    }

    fn member(&mut self, id: NodeId) {
        let graph = self.lowering.graph;
        let node = graph.node(id);
        let cover = self.lowering.fusion.place[id as usize].map_or(Cover::Full, |(_, cover)| cover);
        let extent = if cover == Cover::Row { Extent::Row } else { Extent::Full };
        let dtype = node.ty.dtype;
        let value = match &node.op {
            op if is_elementwise(op) => self.elementwise(id, extent),
            Op::Sum(_) | Op::Max(_) => {
                let how = if matches!(node.op, Op::Sum(_)) { Reduction::Sum } else { Reduction::Maximum };
                let full = self.operand(node.inputs[0], Extent::Full);
                match reduction(graph, id) {
                    Some((_, true)) => self.computed(Code::Reduce(how, full), dtype, Extent::Row),
                    _ => return self.accumulate(id, how, full),
                }
            }
            Op::CumulativeSum(sum) => {
                let value = self.operand(node.inputs[0], Extent::Full);
                self.computed(Code::Cumulative { value, reverse: sum.reverse }, dtype, Extent::Full)
            }
            Op::Gather(gather) => self.gather(id, gather.batch, extent),
            Op::Random(random) => {
                let key = &self.lowering.views[node.inputs[0] as usize];
                let rank = key.strides.len();
                let words = dense_strides(&random.shape);
                let key_strides: Axes<isize> = key.strides.iter().copied().chain(words.iter().map(|_| 0)).collect();
                let word_strides: Axes<isize> = (0..rank).map(|_| 0).chain(words.iter().copied()).collect();
                let mut access = self.lowering.access(node.inputs[0]);
                access.strides = if access.strides.iter().all(|&s| s == 0) {
                    Axes::from_elem(0, self.sizes.len())
                } else {
                    refined(&node.ty.shape, &key_strides, &self.sizes)
                };
                self.loads.push(access);
                let strides = refined(&node.ty.shape, &word_strides, &self.sizes).iter().map(|&s| s as i64).collect();
                let (bits, offset) = (random.bits, random.offset as i64);
                let code = Code::Random { key: self.loads.len() - 1, bits, offset, strides: Box::new(strides) };
                self.push(code, Lane::of(dtype), Extent::Full)
            }
            Op::Constant(constant) => self.constant(number(constant.value), dtype, extent),
            Op::Iota(_) => {
                let view = View { base: id, offset: 0, strides: dense_strides(&node.ty.shape) };
                self.coordinate(&view, &node.ty.shape, dtype, extent)
            }
            op if is_movement(op) => {
                let (shape, view) = copied(graph, self.lowering.views, id);
                match self.values.get(&view.base) {
                    Some(&value) => self.expand(value, extent),
                    None => self.outside(&view, &shape, extent),
                }
            }
            _ => return,
        };
        self.keep(id, value, cover);
    }

    /// An operation on the same element of each input.
    fn elementwise(&mut self, id: NodeId, extent: Extent) -> Value {
        let graph = self.lowering.graph;
        let node = graph.node(id);
        let dtype = node.ty.dtype;
        let operands: SmallVec<[Value; 3]> = node.inputs.iter().map(|&input| self.operand(input, extent)).collect();
        match (&node.op, &operands[..]) {
            (Op::Unary(unary), &[a]) => self.computed(Code::Unary(*unary, a), dtype, extent),
            (Op::Binary(binary), &[a, b]) => self.computed(Code::Binary(*binary, a, b), dtype, extent),
            (Op::Select(_), &[c, a, b]) => self.push(Code::Select(c, a, b), Lane::of(dtype), extent),
            (_, operands) => self.cast(operands[0], graph.node(node.inputs[0]).ty.dtype, dtype, extent),
        }
    }

    /// A value of another group, made here anew. Chains of these are short, see [`super::recompute`].
    fn again(&mut self, id: NodeId, extent: Extent) -> Value {
        if let Some(&value) = self.again.get(&id) {
            return value;
        }
        let value = self.elementwise(id, extent);
        self.again.insert(id, value);
        value
    }

    /// Remembers a member's value, and stores it if somebody else reads it.
    fn keep(&mut self, id: NodeId, value: Value, cover: Cover) {
        self.values.insert(id, value);
        if !self.lowering.is_outside(id) {
            return;
        }
        let dtype = self.lowering.graph.node(id).ty.dtype;
        let mut strides = match cover {
            Cover::Row => dense_strides(&self.sizes[..self.rows]),
            _ => dense_strides(&self.sizes),
        };
        strides.resize(self.sizes.len(), 0);
        let buffer = self.lowering.own_buffer(id);
        self.stores.push(Access { buffer, dtype, offset: 0, strides });
        let extent = if cover == Cover::Row { Extent::Row } else { Extent::Full };
        self.push(Code::Store(self.stores.len() - 1, value), Lane::of(dtype), extent);
    }

    /// A column sum: into its place if one part covers all rows, else into one row per part.
    fn accumulate(&mut self, id: NodeId, how: Reduction, full: Value) {
        let dtype = self.lowering.graph.node(id).ty.dtype;
        self.stores.push(Access { buffer: 0, dtype, offset: 0, strides: Axes::new() });
        self.push(Code::Accumulate(self.stores.len() - 1, how, full), Lane::of(dtype), Extent::Full);
        self.columns.push((id, how));
    }

    fn cast(&mut self, value: Value, from: DType, to: DType, extent: Extent) -> Value {
        let (lane_from, lane_to) = (Lane::of(from), Lane::of(to));
        if to == DType::Bool && from != DType::Bool {
            let zero = self.constant(number(Scalar::new(0.0, from)), from, extent);
            let is_zero = self.push(Code::Binary(Binary::Equal, value, zero), Lane::U8, extent);
            return self.push(Code::Unary(Unary::Not, is_zero), Lane::U8, extent);
        }
        if lane_from == lane_to {
            let narrows = matches!(to, DType::BF16 | DType::F16) && from != to;
            let round = if to == DType::BF16 { Unary::RoundBf16 } else { Unary::RoundF16 };
            return if narrows { self.push(Code::Unary(round, value), lane_to, extent) } else { value };
        }
        self.computed(Code::Cast(value), to, extent)
    }

    fn gather(&mut self, id: NodeId, batch: usize, extent: Extent) -> Value {
        let graph = self.lowering.graph;
        let node = graph.node(id);
        let (table, index) = (node.inputs[0], node.inputs[1]);
        let rest = graph.node(table).ty.shape.len() - batch - 1;
        let picked = graph.node(index).ty.shape.len() - batch;
        let limit = graph.node(table).ty.shape[batch];
        let mut access = match limit {
            // Every index is a fault; what is read meanwhile must be memory all the same.
            0 => self.lowering.zeros(table),
            _ => self.lowering.access(table),
        };
        let stride = access.strides[batch];
        let spread: Axes<isize> = access.strides[..batch]
            .iter()
            .copied()
            .chain((0..picked).map(|_| 0))
            .chain(access.strides[batch + 1..].iter().copied())
            .collect();
        access.strides = self.over_space(&node.ty.shape, &spread, extent);
        self.loads.push(access);
        let load = self.loads.len() - 1;
        let columns: usize = self.sizes[self.rows..].iter().product();
        let per_index: usize = graph.node(table).ty.shape[batch + 1..].iter().product();
        let index_view = &self.lowering.views[index as usize];
        let value = if extent == Extent::Full && per_index > 1 && per_index == columns {
            self.operand(index, Extent::Row)
        } else if self.values.contains_key(&index_view.base) || rest == 0 {
            self.operand(index, extent)
        } else {
            // Each index serves several elements: repeat it along the axes of the rest.
            let repeated = View {
                base: index_view.base,
                offset: index_view.offset,
                strides: index_view.strides.iter().copied().chain((0..rest).map(|_| 0)).collect(),
            };
            self.outside(&repeated, &node.ty.shape, extent)
        };
        self.computed(Code::LoadAt { load, index: value, stride, limit, site: node.site }, node.ty.dtype, extent)
    }

    /// The value of an input as a member reads it.
    fn operand(&mut self, input: NodeId, extent: Extent) -> Value {
        let view = &self.lowering.views[input as usize];
        let inside = self.lowering.fusion.place[view.base as usize].is_some_and(|(group, _)| Some(group) == self.group);
        match self.values.get(&view.base) {
            Some(&value) if inside => self.expand(value, extent),
            _ if self.lowering.fusion.again[view.base as usize] => self.again(view.base, extent),
            _ => {
                let shape = self.lowering.graph.node(input).ty.shape.clone();
                self.outside(view, &shape, extent)
            }
        }
    }

    fn expand(&mut self, value: Value, extent: Extent) -> Value {
        let own = &self.code[value as usize];
        if own.extent == extent || extent == Extent::Row {
            return value;
        }
        if let Some(&wide) = self.expanded.get(&value) {
            return wide;
        }
        let lane = own.lane;
        let wide = self.push(Code::Expand(value), lane, Extent::Full);
        self.expanded.insert(value, wide);
        wide
    }

    /// A value from outside the group: a literal, coordinates, or memory.
    fn outside(&mut self, view: &View, shape: &[usize], extent: Extent) -> Value {
        let node = self.lowering.graph.node(view.base);
        let dtype = node.ty.dtype;
        let computed = self.lowering.fusion.place[view.base as usize].is_some();
        match &node.op {
            Op::Constant(constant) if !computed => self.constant(number(constant.value), dtype, extent),
            Op::Iota(_) if !computed && node.ty.shape.len() == 1 => self.coordinate(view, shape, dtype, extent),
            _ => {
                let strides = self.over_space(shape, &view.strides, extent);
                if let Some(chunks) = self.lowering.chunks(view.base) {
                    return self.sum_of_chunks(chunks, view.offset, &strides, dtype, extent);
                }
                let access = Access { strides, ..self.lowering.access_view(view, view.base) };
                if let Some(&(_, _, value)) = self.read.iter().find(|(known, e, _)| *known == access && *e == extent) {
                    return value;
                }
                let value = self.load(access.clone(), dtype, extent);
                self.read.push((access, extent, value));
                value
            }
        }
    }

    fn load(&mut self, access: Access, dtype: DType, extent: Extent) -> Value {
        self.loads.push(access);
        self.push(Code::Load(self.loads.len() - 1), Lane::of(dtype), extent)
    }

    /// A result that its product left in chunks, added up in their order.
    fn sum_of_chunks(&mut self, chunks: Chunks, offset: isize, strides: &Axes<isize>, dtype: DType, extent: Extent) -> Value {
        let Chunks { buffer, dtype: part, count, len } = chunks;
        let access = |i: usize| Access { buffer, dtype: part, offset: offset + (i * len) as isize, strides: strides.clone() };
        if let Some(&(_, _, value)) = self.read.iter().find(|(known, e, _)| *known == access(0) && *e == extent) {
            return value;
        }
        let mut sum = self.load(access(0), part, extent);
        for i in 1..count {
            let next = self.load(access(i), part, extent);
            sum = self.push(Code::Binary(Binary::Add, sum, next), Lane::of(part), extent);
        }
        let value = self.cast(sum, part, dtype, extent);
        self.read.push((access(0), extent, value));
        value
    }

    fn constant(&mut self, value: Number, dtype: DType, extent: Extent) -> Value {
        let instruction = Instruction { code: Code::Constant(value), lane: Lane::of(dtype), extent };
        match self.code.iter().position(|known| *known == instruction) {
            Some(known) => known as Value,
            None => self.push(instruction.code, instruction.lane, extent),
        }
    }

    /// The numbers of a vector `0, 1, ..` that a view shows.
    fn coordinate(&mut self, view: &View, shape: &[usize], dtype: DType, extent: Extent) -> Value {
        let strides = self.over_space(shape, &view.strides, extent);
        let lane = Lane::of(dtype);
        let literal = |value: isize| if dtype.is_float() { Number::Float(value as f64) } else { Number::Integer(value as i64) };
        let mut sum: Option<Value> = None;
        for (axis, &stride) in strides.iter().enumerate().filter(|(_, stride)| **stride != 0) {
            let mut term = self.push(Code::Coordinate(axis), lane, extent);
            if stride != 1 {
                let factor = self.constant(literal(stride), dtype, extent);
                term = self.push(Code::Binary(Binary::Multiply, term, factor), lane, extent);
            }
            sum = Some(match sum {
                Some(sum) => self.push(Code::Binary(Binary::Add, sum, term), lane, extent),
                None => term,
            });
        }
        let offset = (view.offset != 0 || sum.is_none()).then(|| self.constant(literal(view.offset), dtype, extent));
        let value = match (sum, offset) {
            (Some(sum), Some(offset)) => self.push(Code::Binary(Binary::Add, sum, offset), lane, extent),
            (Some(value), None) | (None, Some(value)) => value,
            (None, None) => return self.constant(literal(0), dtype, extent),
        };
        match dtype {
            DType::BF16 => self.push(Code::Unary(Unary::RoundBf16, value), lane, extent),
            DType::F16 => self.push(Code::Unary(Unary::RoundF16, value), lane, extent),
            _ => value,
        }
    }

    /// Strides over the space's axes; those of the columns are zero for a value per row.
    fn over_space(&self, shape: &[usize], strides: &[isize], extent: Extent) -> Axes<isize> {
        match extent {
            Extent::Full => refined(shape, strides, &self.sizes),
            Extent::Row => {
                let mut rows = refined(shape, strides, &self.sizes[..self.rows]);
                rows.resize(self.sizes.len(), 0);
                rows
            }
        }
    }

    fn into_region(self, unit_rows: Option<usize>) -> Region {
        Region {
            axes: self.sizes.iter().copied().collect(),
            row_axes: self.rows,
            loads: self.loads,
            stores: self.stores,
            code: self.code,
            unit_rows,
        }
    }

    /// Places the column sums, now that the space is known.
    fn finish(mut self, group: &Group) -> (Region, Vec<(Region, NodeId)>) {
        if self.columns.is_empty() {
            return (self.into_region(None), Vec::new());
        }
        let columns = group.columns.unwrap_or(1);
        let rows = group.total / columns;
        let unit_rows = part_rows(rows, columns);
        let parts = rows.div_ceil(unit_rows);
        let mut combines = Vec::new();
        let sums: Vec<usize> =
            self.code.iter().filter_map(|i| if let Code::Accumulate(store, ..) = i.code { Some(store) } else { None }).collect();
        for (store, (id, how)) in sums.into_iter().zip(std::mem::take(&mut self.columns)) {
            let dtype = self.lowering.graph.node(id).ty.dtype;
            let out = self.lowering.own_buffer(id);
            let whole = (out, dtype);
            let (buffer, dtype) = match parts {
                1 => whole,
                _ => (self.lowering.buffer(parts * columns, Lane::of_parts(dtype), Place::Temporary), Lane::of_parts(dtype)),
            };
            let inner = dense_strides(&self.sizes[self.rows..]);
            let unit = if parts == 1 { 0 } else { columns as isize };
            self.stores[store] = Access { buffer, dtype, offset: 0, strides: std::iter::once(unit).chain(inner).collect() };
            if parts > 1 {
                combines.push((Emitter::combine((buffer, dtype), whole, parts, columns, how), id));
            }
        }
        (self.into_region(Some(unit_rows)), combines)
    }
}
