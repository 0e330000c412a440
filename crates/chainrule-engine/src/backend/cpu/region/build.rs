//! From a region to a plan: one instruction after the other, each with the loop that suits the
//! classes of its operands.
//!
//! Refuses to choose places in memory ([`super::slots`]).

use super::super::level::Level;
use super::super::loops::{Table, table};
use super::super::machine::Written;
use super::Needs;
use super::path::Path;
use super::plan::{Class, Home, Known, Meaning, NO_VALUE, Pending, Plan, Step, Work};
use super::shape::Shape;
use super::slots;
use crate::compile::kernel::{Access, Binary, Code, Extent, Instruction, Lane, Number, Region, Unary};

/// Plans a region; `epilogue` if load 0 is the product of a contraction. Runs of steps become
/// functions of `written` if it takes any.
pub fn plan(region: &Region, level: Level, epilogue: bool, written: &mut Written) -> Plan {
    let (region, more_loads) = &normalised(region);
    let shape = Shape::new(region, epilogue);
    let mut builder = Builder {
        region,
        more_loads,
        epilogue,
        table: table(level),
        names: Vec::with_capacity(region.code.len()),
        stores: Vec::new(),
        repeated: Vec::new(),
        plan: Plan {
            table: table(level),
            shape,
            paths: Vec::new(),
            values: Vec::new(),
            constants: Vec::new(),
            placed: Vec::new(),
            views_once: Vec::new(),
            views: Vec::new(),
            far: Vec::new(),
            awaited: Vec::new(),
            once: Vec::new(),
            steps: Vec::new(),
            accumulators: Vec::new(),
            cost: 0.0,
            needs: Needs::default(),
        },
    };
    builder.paths();
    for instruction in &region.code {
        let value = builder.instruction(instruction);
        builder.names.push(value);
    }
    let stores = std::mem::take(&mut builder.stores);
    let mut plan = builder.plan;
    // Machine code rounds a multiplication with an addition once; loops that do not keep to themselves.
    let written = if level.fuses() { written } else { &mut Written::none() };
    slots::place(&mut plan, stores, written, level);
    plan.look_ahead();
    plan.cost = plan.estimate();
    plan
}

/// Gives every load that is read once per row an access of its own that says so; and the loads from which those were
/// made that are new.
fn normalised(region: &Region) -> (Region, Vec<usize>) {
    let (mut region, mut more) = (region.clone(), Vec::new());
    for instruction in region.code.iter_mut().filter(|i| i.extent == Extent::Row) {
        match &mut instruction.code {
            Code::Load(load) | Code::LoadAt { load, .. } => {
                let mut access = region.loads[*load].clone();
                if access.strides.len() > region.row_axes && access.strides[region.row_axes..].iter().any(|&s| s != 0) {
                    access.strides[region.row_axes..].fill(0);
                    more.push(*load);
                    *load = region.loads.len();
                    region.loads.push(access);
                }
            }
            Code::Random { strides, .. } => strides[region.row_axes..].fill(0),
            _ => {}
        }
    }
    (region, more)
}

/// A plan under construction.
pub(super) struct Builder<'a> {
    pub(super) region: &'a Region,
    /// The loads from which the last ones were made.
    more_loads: &'a [usize],
    pub(super) epilogue: bool,
    pub(super) table: &'static Table,
    /// The value of each instruction.
    names: Vec<u32>,
    pub(super) stores: Vec<Pending>,
    /// Rows that were repeated for a tile, and what they became.
    repeated: Vec<(u32, u32)>,
    pub(super) plan: Plan,
}

impl Builder<'_> {
    /// The paths of all loads, then of all stores; and the tiles that suit them.
    fn paths(&mut self) {
        let region = self.region;
        let accumulating = |store: usize| region.code.iter().any(|i| matches!(i.code, Code::Accumulate(s, ..) if s == store));
        let by_row =
            |store: usize| region.code.iter().any(|i| matches!(i.code, Code::Store(s, _) if s == store && i.extent == Extent::Row));
        let mut paths: Vec<Path> = region.loads.iter().map(|load| self.path(load, true)).collect();
        for (i, store) in region.stores.iter().enumerate() {
            paths.push(if accumulating(i) { self.unit_path(store) } else { self.path(store, !by_row(i)) });
        }
        let skip = usize::from(self.epilogue);
        let used: Vec<&Path> = paths.iter().skip(skip).collect();
        self.plan.shape.cut(region, &used);
        // Which access it is, in the place of where that lies.
        let own = region.loads.len() - self.more_loads.len();
        let accesses = (0..own).chain(self.more_loads.iter().copied()).chain(own..own + region.stores.len());
        for (path, access) in paths.iter_mut().zip(accesses) {
            (path.buffer, path.offset) = (access, 0);
        }
        self.plan.paths = paths;
    }

    pub(super) fn axes(&self, axes: &[usize], strides: &[isize]) -> Vec<(usize, isize)> {
        axes.iter().map(|&axis| (self.region.axes[axis], strides.get(axis).copied().unwrap_or(0))).collect()
    }

    fn path(&self, access: &Access, full: bool) -> Path {
        let shape = &self.plan.shape;
        let cols: &[usize] = if full { &shape.col_axes } else { &[] };
        Path::new(access, &self.axes(&shape.row_axes, &access.strides), &self.axes(cols, &access.strides))
    }

    /// The path of accumulators: the first stride is that of the unit.
    fn unit_path(&self, access: &Access) -> Path {
        let sizes = &self.region.axes[self.region.row_axes..];
        let strides = access.strides.get(1..).unwrap_or(&[]);
        let cols: Vec<_> = sizes.iter().copied().zip(strides.iter().copied()).collect();
        Path::new(access, &[], &cols)
    }

    pub(super) fn class_of(&self, path: &Path) -> Class {
        let shape = &self.plan.shape;
        Class { rows: shape.rows != 1 && !path.rows.is_empty(), cols: shape.cols != 1 && !path.cols.is_empty() }
    }

    pub(super) fn known(&self, value: u32) -> Known {
        self.plan.values[value as usize]
    }

    pub(super) fn value(&mut self, class: Class, lane: Lane, once: bool) -> u32 {
        self.plan.values.push(Known { class, lane, once, home: Home::Nowhere });
        self.plan.values.len() as u32 - 1
    }

    /// Whether a value of this class is the same for all tiles of a unit.
    pub(super) fn steady(&self, class: Class) -> bool {
        let shape = &self.plan.shape;
        shape.row_chunks() > 1 && !class.rows && (!class.cols || shape.col_chunks() == 1)
    }

    /// Adds a step that defines a value, once per unit if all it needs is known then.
    pub(super) fn define(&mut self, work: Work, class: Class, lane: Lane, operands: &[u32]) -> u32 {
        let once = self.steady(class) && operands.iter().all(|&operand| self.known(operand).once);
        let to = self.value(class, lane, once);
        let step = self.step(work, class, to, lane.bytes(), operands);
        if once {
            self.plan.once.push(step)
        } else {
            self.plan.steps.push(step)
        }
        to
    }

    pub(super) fn step(&self, work: Work, class: Class, to: u32, bytes: usize, operands: &[u32]) -> Step {
        let cost = match work {
            Work::Points(..) | Work::Rows(..) | Work::Accumulate(_) | Work::Fused(_) => 50,
            Work::Load(..) | Work::Store(..) => 200,
            Work::LoadAt(_) => 600,
            Work::Sequence(_) => 1000,
        };
        let widths = [bytes as u8, 0, 0, 0];
        let mut step = Step { work, class, to, operands: [NO_VALUE; 3], widths, cost };
        for (i, &operand) in operands.iter().enumerate() {
            step.operands[i] = operand;
            let known = self.known(operand);
            if known.class.has_points_of(class) {
                step.widths[i + 1] = known.lane.bytes() as u8;
            }
        }
        step
    }

    /// The value with an element for each point of `class`.
    pub(super) fn spread(&mut self, value: u32, class: Class) -> u32 {
        let known = self.known(value);
        if known.class.has_points_of(class) {
            return value;
        }
        self.define(Work::Points((self.table.repeat)(known.lane), Meaning::Same), class, known.lane, &[value])
    }

    /// A row of short length that meets whole tiles is repeated once for a tile's rows, so that
    /// the loop over the tile is one long row.
    fn tiled(&mut self, value: u32, class: Class) -> u32 {
        let (known, shape) = (self.known(value), &self.plan.shape);
        let row = Class { rows: false, cols: true };
        let short = shape.tile_cols < 64 && shape.tile_rows >= 4 && !self.epilogue;
        if !short || !known.once || known.class != row || class != (Class { rows: true, cols: true }) {
            return value;
        }
        if let Some(&(_, tiled)) = self.repeated.iter().find(|(row, _)| *row == value) {
            return tiled;
        }
        let tiled = self.value(class, known.lane, true);
        let same = Work::Points(self.plan.same(known.lane), Meaning::Same);
        let step = self.step(same, class, tiled, known.lane.bytes(), &[value]);
        self.plan.once.push(step);
        self.repeated.push((value, tiled));
        tiled
    }

    /// Sets the cost of the step that was just added for a value.
    fn costs(&mut self, value: u32, cost: u16) -> u32 {
        let steps = if self.known(value).once { &mut self.plan.once } else { &mut self.plan.steps };
        if let Some(step) = steps.last_mut() {
            step.cost = cost;
        }
        value
    }

    fn instruction(&mut self, instruction: &Instruction) -> u32 {
        let lane = instruction.lane;
        let name = |value: &u32| self.names[*value as usize];
        match &instruction.code {
            Code::Load(load) => self.load(*load, lane),
            Code::LoadAt { load, index, stride, limit, site } => {
                let index = name(index);
                self.load_at(*load, index, *stride, (*limit, *site), lane)
            }
            Code::Constant(number) => self.constant(*number, lane),
            Code::Coordinate(axis) => {
                let mut strides = vec![0; self.region.axes.len()];
                strides[*axis] = 1;
                let run = (self.table.numbers)(lane);
                self.sequence(0, &strides, None, 0, run, lane)
            }
            Code::Random { key, bits, offset, strides } => {
                let strides: Vec<isize> = strides.iter().map(|&stride| stride as isize).collect();
                let run = (self.table.random)(lane);
                self.sequence(*offset as isize, &strides, Some(*key), *bits, run, lane)
            }
            Code::Unary(operation, a) => {
                let a = name(a);
                let run = (self.table.unary)(*operation, self.known(a).lane);
                let run = run.unwrap_or_else(|| panic!("no loop for {operation:?} of {lane:?}"));
                let value = self.define(Work::Points(run, Meaning::Unary(*operation)), self.known(a).class, lane, &[a]);
                self.costs(
                    value,
                    match operation {
                        Unary::Negate | Unary::Floor | Unary::Not => 50,
                        Unary::Sqrt | Unary::RoundBf16 | Unary::RoundF16 => 120,
                        _ => 300,
                    },
                )
            }
            Code::Cast(a) => {
                let a = name(a);
                self.cast(a, lane)
            }
            Code::Binary(operation, a, b) => {
                let (a, b) = (name(a), name(b));
                let class = self.known(a).class.join(self.known(b).class);
                let (a, b) = (self.tiled(a, class), self.tiled(b, class));
                let from = self.known(a).lane;
                let run = (self.table.binary)(*operation, from);
                let run = run.unwrap_or_else(|| panic!("no loop for {operation:?} of {from:?}"));
                let value = self.define(Work::Points(run, Meaning::Binary(*operation)), class, lane, &[a, b]);
                self.costs(
                    value,
                    match operation {
                        Binary::Divide | Binary::Remainder => 120,
                        Binary::Power => 900,
                        _ => 50,
                    },
                )
            }
            Code::Select(a, b, c) => {
                let (a, b, c) = (name(a), name(b), name(c));
                let class = self.known(a).class.join(self.known(b).class).join(self.known(c).class);
                let a = self.spread(a, class);
                let (b, c) = (self.tiled(b, class), self.tiled(c, class));
                self.define(Work::Points((self.table.select)(lane), Meaning::Select), class, lane, &[a, b, c])
            }
            Code::Expand(a) => name(a),
            Code::Reduce(reduction, a) => {
                let a = name(a);
                self.along_rows(Work::Rows((self.table.reduce)(*reduction, lane), Some(*reduction)), a)
            }
            Code::Cumulative { value, reverse } => {
                let a = name(value);
                self.along_rows(Work::Rows((self.table.cumulative)(lane, *reverse), None), a)
            }
            Code::Store(store, a) => {
                let a = name(a);
                self.store(*store, a, instruction.extent)
            }
            Code::Accumulate(store, reduction, a) => {
                let a = name(a);
                self.accumulate(*store, *reduction, a)
            }
        }
    }

    pub(super) fn cast(&mut self, a: u32, lane: Lane) -> u32 {
        let known = self.known(a);
        if known.lane == lane {
            return a;
        }
        self.define(Work::Points((self.table.cast)(known.lane, lane), Meaning::Cast), known.class, lane, &[a])
    }

    fn constant(&mut self, number: Number, lane: Lane) -> u32 {
        let bytes = bytes_of(number, lane);
        let index = self.plan.constants.iter().position(|known| *known == bytes).unwrap_or_else(|| {
            self.plan.constants.push(bytes);
            self.plan.constants.len() - 1
        });
        let value = self.value(Class { rows: false, cols: false }, lane, true);
        self.plan.values[value as usize].home = Home::Constant(index);
        value
    }
}

/// A number as the bytes of a lane.
pub(super) fn bytes_of(number: Number, lane: Lane) -> [u8; 8] {
    let (float, integer) = match number {
        Number::Float(x) => (x, x as i64),
        Number::Integer(n) => (n as f64, n),
    };
    let mut bytes = [0; 8];
    match lane {
        Lane::F32 => bytes[..4].copy_from_slice(&(float as f32).to_ne_bytes()),
        Lane::F64 => bytes.copy_from_slice(&float.to_ne_bytes()),
        Lane::I32 => bytes[..4].copy_from_slice(&(integer as i32).to_ne_bytes()),
        Lane::I64 => bytes.copy_from_slice(&integer.to_ne_bytes()),
        Lane::U8 => bytes[0] = integer as u8,
    }
    bytes
}
