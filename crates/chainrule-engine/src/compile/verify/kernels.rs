//! Kernels: values before uses, lanes and extents that fit, accesses inside their buffers, nothing
//! read before it is written.

use super::{Verdict, ensure, within};
use crate::compile::kernel::{
    Access, Binary, Code, Contract, Control, Extent, Flow, Fold, Host, Instruction, Kernel, Lane, Number, Region, Scatter, Sort, SortStage,
    Unary, Value,
};
use crate::compile::lower::{Buffer, Kernels, Place};
use crate::compile::reach::{Reach, reaches};
use crate::tensor::DType;

/// Checks all kernels, in order.
pub fn kernels(kernels: &Kernels) -> Verdict {
    ensure(kernels.sites.len() == kernels.kernels.len(), || "not one site for each kernel".into())?;
    let mut written: Vec<bool> = kernels.buffers.iter().map(|buffer| matches!(buffer.place, Place::Leaf(_))).collect();
    for (k, kernel) in kernels.kernels.iter().enumerate() {
        let named = |message: String| format!("kernel {k}: {message}");
        one(kernel, &kernels.buffers).map_err(named)?;
        let (reads, writes) = touched(kernel);
        for buffer in reads {
            // What is empty is copied by no kernel.
            ensure(written[buffer as usize] || kernels.buffers[buffer as usize].len == 0, || {
                named(format!("buffer {buffer} is read before it is written"))
            })?;
        }
        for buffer in writes {
            let leaf = matches!(kernels.buffers[buffer as usize].place, Place::Leaf(_));
            ensure(!leaf, || named(format!("buffer {buffer} is a leaf, and written")))?;
            written[buffer as usize] = true;
        }
    }
    for (id, buffer) in kernels.buffers.iter().enumerate() {
        let missing = matches!(buffer.place, Place::Root(_)) && buffer.len > 0 && !written[id];
        ensure(!missing, || format!("buffer {id}, a root, is never written"))?;
    }
    Ok(())
}

/// The buffers a kernel reads, and those it writes.
pub fn touched(kernel: &Kernel) -> (Vec<u32>, Vec<u32>) {
    let (writes, reads): (Vec<Reach>, Vec<Reach>) = reaches(kernel).into_iter().partition(|reach| reach.writes);
    let buffers = |list: Vec<Reach>| list.into_iter().map(|reach| reach.buffer).collect();
    (buffers(reads), buffers(writes))
}

fn one(kernel: &Kernel, buffers: &[Buffer]) -> Verdict {
    match kernel {
        Kernel::Region(region) => scalar_code(region, buffers, false),
        Kernel::Contract(contract) => product(contract, buffers),
        Kernel::Scatter(scatter) => scattered(scatter, buffers),
        Kernel::Fold(fold) => overlap_add(fold, buffers),
        Kernel::Sort(sort) => order(sort, buffers),
        Kernel::Control(control) => programs(control, buffers),
        Kernel::Host(host) => call(host, buffers),
        Kernel::Fill(fill) => {
            access("out", &fill.out, &[], buffers)?;
            run("out", &fill.out, fill.len, buffers)?;
            literal(fill.value, fill.out.dtype.is_float())
        }
    }
}

/// An access over axes of `sizes`: the buffer is there, of its type, and large enough.
fn access(name: &str, access: &Access, sizes: &[usize], buffers: &[Buffer]) -> Verdict {
    let buffer = buffers.get(access.buffer as usize).ok_or_else(|| format!("{name}: there is no buffer {}", access.buffer))?;
    ensure(buffer.dtype == access.dtype, || format!("{name}: buffer {} holds {}, not {}", access.buffer, buffer.dtype, access.dtype))?;
    let inside = within(access.offset, &access.strides, sizes, buffer.len);
    ensure(inside, || format!("{name}: {access:?} over {sizes:?} reaches outside the {} elements", buffer.len))
}

/// A dense run of elements.
fn run(name: &str, access: &Access, len: usize, buffers: &[Buffer]) -> Verdict {
    let have = buffers[access.buffer as usize].len;
    let fits = access.offset >= 0 && access.offset as usize + len <= have;
    ensure(fits, || format!("{name}: {len} elements from {} of {have}", access.offset))
}

fn literal(number: Number, float: bool) -> Verdict {
    ensure(matches!(number, Number::Float(_)) == float, || format!("the literal {number:?} is of the wrong kind"))
}

fn product(contract: &Contract, buffers: &[Buffer]) -> Verdict {
    let (batch, m, n, k) = (&contract.batch[..], &contract.m[..], &contract.n[..], &contract.k[..]);
    let chunks = if contract.k_chunks > 1 { vec![contract.k_chunks] } else { Vec::new() };
    let list = [("a", &contract.a, [batch, m, k].concat()), ("b", &contract.b, [batch, k, n].concat())];
    for (name, operand, sizes) in &list {
        ensure(operand.strides.len() == sizes.len(), || format!("{name} has {} strides for {sizes:?}", operand.strides.len()))?;
        access(name, operand, sizes, buffers)?;
    }
    ensure(contract.a.dtype == contract.b.dtype && contract.a.dtype.is_float(), || "a product is of floats of one type".into())?;
    let sizes = [&chunks[..], batch, m, n].concat();
    ensure(contract.out.strides.len() == sizes.len(), || format!("out has {} strides for {sizes:?}", contract.out.strides.len()))?;
    let Some(region) = &contract.epilogue else {
        return access("out", &contract.out, &sizes, buffers);
    };
    ensure(chunks.is_empty(), || "parts of a sum are no product yet".into())?;
    let count = |sizes: &[usize]| sizes.iter().product::<usize>();
    let (rows, columns) = region.axes.split_at(region.row_axes.min(region.axes.len()));
    let fits = count(columns) == count(n) && count(rows) == count(batch) * count(m);
    ensure(fits, || format!("scalar code over {rows:?} x {columns:?} after a product of {batch:?} {m:?} x {n:?}"))?;
    scalar_code(region, buffers, true)
}

fn scattered(scatter: &Scatter, buffers: &[Buffer]) -> Verdict {
    let Scatter { how, batch, count, limit, rest, index, updates, out, .. } = scatter;
    let known = matches!(how, Binary::Add | Binary::Multiply | Binary::Maximum | Binary::Minimum);
    ensure(known, || format!("nothing is scattered by {how:?}"))?;
    for (name, one, len) in
        [("index", index, batch * count), ("updates", updates, batch * count * rest), ("out", out, batch * limit * rest)]
    {
        access(name, one, &[], buffers).or_else(|why| if len == 0 { Ok(()) } else { Err(why) })?;
        run(name, one, len, buffers)?;
    }
    ensure(matches!(index.dtype, DType::I64 | DType::I32), || "an index is an integer".into())?;
    ensure(updates.dtype == out.dtype, || "updates are of another type than their sum".into())
}

fn order(sort: &Sort, buffers: &[Buffer]) -> Verdict {
    let Sort { rows, len, keep, stage, input, out, .. } = sort;
    let words = len.saturating_mul(stage.words());
    let (from, to, whole) = match *stage {
        SortStage::Whole => (*len, *keep, true),
        SortStage::Runs { run, .. } => (*len, words, run > 0 && run < *len),
        SortStage::Merge { run, .. } => (words, words, 0 < run && run.saturating_mul(2) < *len),
        SortStage::Last { run, .. } => (words, *keep, run < *len && run.saturating_mul(2) >= *len),
    };
    for (name, one, row) in [("input", input, from), ("out", out, to)] {
        access(name, one, &[], buffers)?;
        run(name, one, rows * row, buffers)?;
    }
    ensure(whole && (*stage == SortStage::Whole || keep == len), || format!("{stage:?} of {keep} of {len}"))?;
    ensure(keep <= len, || format!("{keep} positions of {len}"))?;
    ensure(out.dtype == DType::I64, || "positions are i64".into())
}

fn call(host: &Host, buffers: &[Buffer]) -> Verdict {
    let Host { batch, shapes, inputs, len, out, .. } = host;
    ensure(shapes.len() == inputs.len(), || format!("{} inputs of {} shapes", inputs.len(), shapes.len()))?;
    let examples = inputs.iter().zip(shapes.iter().map(|shape| shape.iter().product::<usize>()));
    for (one, own) in examples.chain([(out, *len)]) {
        access("host", one, &[], buffers).or_else(|why| if batch * own == 0 { Ok(()) } else { Err(why) })?;
        run("host", one, batch * own, buffers)?;
        ensure(one.dtype == out.dtype, || "inputs are of another type than the result".into())?;
    }
    ensure(matches!(out.dtype, DType::F32 | DType::F64), || "a function of the host is of f32 or f64".into())
}

fn overlap_add(fold: &Fold, buffers: &[Buffer]) -> Verdict {
    let listed = fold.sizes.len();
    let equal = [&fold.counts, &fold.windows, &fold.strides, &fold.dilations].iter().all(|list| list.len() == listed);
    ensure(equal, || format!("{fold:?}: lists of unequal length"))?;
    for i in 0..listed {
        let last = (fold.counts[i].max(1) - 1) * fold.strides[i] + (fold.windows[i].max(1) - 1) * fold.dilations[i];
        ensure(fold.counts[i] == 0 || last < fold.sizes[i], || format!("windows reach {last} of {}", fold.sizes[i]))?;
    }
    let input = [&fold.outer[..], &fold.counts, &fold.windows, &fold.rest].concat();
    let out = [&fold.outer[..], &fold.sizes, &fold.rest].concat();
    for (name, one, sizes) in [("input", &fold.input, input), ("out", &fold.out, out)] {
        ensure(one.strides.len() == sizes.len(), || format!("{name} has {} strides for {sizes:?}", one.strides.len()))?;
        access(name, one, &sizes, buffers)?;
    }
    Ok(())
}

/// Scalar code; after a product, load 0 is the product itself.
fn scalar_code(region: &Region, buffers: &[Buffer], after_product: bool) -> Verdict {
    ensure(region.row_axes <= region.axes.len(), || format!("{} row axes of {:?}", region.row_axes, region.axes))?;
    let mut stored = vec![0; region.stores.len()];
    for (i, instruction) in region.code.iter().enumerate() {
        let place = |message: String| format!("value {i}: {message}");
        let code = Known { region, before: &region.code[..i] };
        code.instruction(instruction, buffers, after_product).map_err(place)?;
        if let Code::Store(store, _) | Code::Accumulate(store, ..) = instruction.code {
            stored[store] += 1;
        }
    }
    ensure(stored.iter().all(|&times| times == 1), || format!("stores are written {stored:?} times, not once each"))?;
    ensure(!stored.is_empty(), || "nothing is stored".into())
}

/// Scalar code up to an instruction.
struct Known<'a> {
    region: &'a Region,
    before: &'a [Instruction],
}

impl Known<'_> {
    /// The instruction that defines a value.
    fn value(&self, value: Value) -> Result<&Instruction, String> {
        let found = self.before.get(value as usize).filter(|i| !matches!(i.code, Code::Store(..) | Code::Accumulate(..)));
        found.ok_or_else(|| format!("%{value} is no value that comes before"))
    }

    /// Operands of one lane and the given extent.
    fn operands(&self, values: &[Value], lane: Lane, extent: Extent) -> Verdict {
        values.iter().try_for_each(|&value| {
            let found = self.value(value)?;
            ensure(found.lane == lane && found.extent == extent, || {
                format!("%{value} is {:?} {:?}, not {lane:?} {extent:?}", found.lane, found.extent)
            })
        })
    }

    /// The sizes of the axes a value of an extent has.
    fn sizes(&self, extent: Extent) -> &[usize] {
        match extent {
            Extent::Full => &self.region.axes,
            Extent::Row => &self.region.axes[..self.region.row_axes],
        }
    }

    fn load(&self, at: usize) -> Result<&Access, String> {
        let load = self.region.loads.get(at).ok_or_else(|| format!("there is no load {at}"))?;
        let fits = load.strides.len() == self.region.axes.len();
        ensure(fits, || format!("load {at} has {} strides for {:?}", load.strides.len(), self.region.axes)).map(|()| load)
    }

    fn instruction(&self, instruction: &Instruction, buffers: &[Buffer], after_product: bool) -> Verdict {
        let Instruction { code, lane, extent } = instruction;
        let (lane, extent, sizes) = (*lane, *extent, self.sizes(*extent));
        let of_lane = |dtype: DType| ensure(Lane::of(dtype) == lane, || format!("{dtype} in a lane of {lane:?}"));
        match code {
            Code::Load(0) if after_product => self.load(0).and_then(|load| of_lane(load.dtype)),
            Code::Load(at) => {
                let load = self.load(*at)?;
                of_lane(load.dtype)?;
                access(&format!("load {at}"), load, sizes, buffers)
            }
            Code::LoadAt { load: at, index, stride, limit, .. } => {
                let load = self.load(*at)?;
                of_lane(load.dtype)?;
                let found = self.value(*index)?;
                ensure(matches!(found.lane, Lane::I64 | Lane::I32), || format!("the index %{index} is {:?}", found.lane))?;
                ensure(extent == Extent::Full || found.extent == Extent::Row, || format!("one index of %{index} serves no row"))?;
                // An index that points outside reads index 0.
                let limit = (*limit).max(1);
                let reach = Access { strides: load.strides[..sizes.len()].iter().copied().chain([*stride]).collect(), ..load.clone() };
                access(&format!("load {at}"), &reach, &[sizes, &[limit]].concat(), buffers)
            }
            Code::Constant(number) => literal(*number, matches!(lane, Lane::F32 | Lane::F64)),
            Code::Coordinate(axis) => ensure(*axis < sizes.len(), || format!("coordinate {axis} of {sizes:?}")),
            Code::Random { key, bits, strides, .. } => {
                let load = self.load(*key)?;
                ensure(load.dtype == DType::I64 && lane == if *bits < 32 { Lane::I32 } else { Lane::I64 }, || {
                    format!("{bits} bits in {lane:?}")
                })?;
                ensure(strides.len() == self.region.axes.len(), || "a stride of words for each axis".into())?;
                access("key", load, sizes, buffers)
            }
            Code::Unary(unary, a) => {
                let wanted = match unary {
                    Unary::Not => lane == Lane::U8,
                    Unary::RoundBf16 | Unary::RoundF16 => lane == Lane::F32,
                    Unary::Negate => true,
                    _ => matches!(lane, Lane::F32 | Lane::F64),
                };
                ensure(wanted, || format!("{unary:?} of {lane:?}"))?;
                self.operands(&[*a], lane, extent)
            }
            Code::Binary(Binary::Less | Binary::Equal, a, b) => {
                ensure(lane == Lane::U8, || format!("a comparison gives {lane:?}"))?;
                self.operands(&[*a, *b], self.value(*a)?.lane, extent)
            }
            Code::Binary(_, a, b) => self.operands(&[*a, *b], lane, extent),
            Code::Select(condition, a, b) => {
                self.operands(&[*condition], Lane::U8, extent)?;
                self.operands(&[*a, *b], lane, extent)
            }
            Code::Cast(a) => {
                let from = self.value(*a)?;
                ensure(from.lane != lane && from.extent == extent, || format!("a cast of %{a}, {:?} {:?}", from.lane, from.extent))
            }
            Code::Expand(a) => {
                ensure(extent == Extent::Full, || "a row repeated fills the tile".into())?;
                self.operands(&[*a], lane, Extent::Row)
            }
            Code::Reduce(_, a) => {
                ensure(extent == Extent::Row, || "a reduced row is one element".into())?;
                self.operands(&[*a], lane, Extent::Full)
            }
            Code::Cumulative { value, .. } => {
                ensure(extent == Extent::Full, || "a running sum fills the tile".into())?;
                self.operands(&[*value], lane, Extent::Full)
            }
            Code::Store(at, value) => {
                let store = self.region.stores.get(*at).ok_or_else(|| format!("there is no store {at}"))?;
                ensure(store.strides.len() == self.region.axes.len(), || format!("store {at} has {} strides", store.strides.len()))?;
                of_lane(store.dtype)?;
                self.operands(&[*value], lane, extent)?;
                access(&format!("store {at}"), store, sizes, buffers)
            }
            Code::Accumulate(at, _, value) => {
                let store = self.region.stores.get(*at).ok_or_else(|| format!("there is no store {at}"))?;
                of_lane(store.dtype)?;
                self.operands(&[*value], lane, Extent::Full)?;
                let (rows, columns) = self.region.axes.split_at(self.region.row_axes);
                let unit = self.region.unit_rows.filter(|&unit| unit > 0).ok_or("parts of no rows")?;
                let parts = rows.iter().product::<usize>().div_ceil(unit);
                ensure(store.strides.len() == columns.len() + 1, || format!("store {at} has {} strides", store.strides.len()))?;
                ensure(parts <= 1 || store.strides[0] != 0, || "parts overwrite each other".into())?;
                access(&format!("store {at}"), store, &[&[parts], columns].concat(), buffers)
            }
        }
    }
}

/// Programs whose leaves and roots are the inputs and results. They were checked when they were made.
fn programs(control: &Control, buffers: &[Buffer]) -> Verdict {
    let skipped = usize::from(control.flow == Flow::Switch);
    let Control { bodies, inputs, outs, room, carried, arena, .. } = control;
    for body in bodies {
        let ends = arena.saturating_add(body.schedule.arena_bytes);
        ensure(ends <= buffers[room.buffer as usize].len, || "the memory of a program does not fit into the room".into())?;
        for buffer in &body.kernels.buffers {
            let Place::Leaf(leaf) = buffer.place else { continue };
            let input = inputs.get(leaf as usize + skipped).ok_or_else(|| format!("there is no input for leaf {leaf}"))?;
            ensure(input.dtype == buffer.dtype, || format!("leaf {leaf} is {}, its input {}", buffer.dtype, input.dtype))?;
            let parts = match control.flow {
                Flow::Scan { sequences, length, .. } if (carried.len()..carried.len() + sequences).contains(&(leaf as usize)) => length,
                _ => 1,
            };
            run("input", input, parts * buffer.len, buffers)?;
        }
    }
    let last = bodies.last().map_or(&[][..], |body| &body.kernels.buffers);
    for buffer in last {
        let Place::Root(root) = buffer.place else { continue };
        let out = outs.get(root as usize).ok_or_else(|| format!("root {root} has no place"))?;
        let parts = match control.flow {
            Flow::Scan { length, .. } if root as usize >= carried.len() => length,
            _ => 1,
        };
        if let Some(out) = out {
            ensure(buffer.dtype == out.dtype, || format!("root {root} is {}, its result {}", buffer.dtype, out.dtype))?;
            run("result", out, parts * buffer.len, buffers)?;
        }
        let ends = carried.get(root as usize).map_or(0, |places| places[0].max(places[1]) + buffer.len * buffer.dtype.bytes());
        ensure(ends <= buffers[room.buffer as usize].len, || format!("carry {root} does not fit into the room"))?;
    }
    Ok(())
}
