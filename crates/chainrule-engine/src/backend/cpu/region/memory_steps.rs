//! The part of building a plan that concerns memory: loads, stores, positions, accumulators.
//!
//! Refuses to run anything, and to choose places for values that are not in memory.

use super::super::loops::SequenceLoop;
use super::build::{Builder, bytes_of};
use super::path::{Line, Path, fits, line};
use super::plan::{Accumulator, Class, Home, Indexed, Numbered, Pending, View, Work};
use crate::compile::kernel::{Extent, Lane, Number, Reduction};
use crate::tensor::DType;

impl Builder<'_> {
    /// A load: a view where the elements already lie as a value would, else a copy.
    pub(super) fn load(&mut self, load: usize, lane: Lane) -> u32 {
        let dtype = self.region.loads[load].dtype;
        let shape = &self.plan.shape;
        let product = self.epilogue && load == 0;
        let path = &self.plan.paths[load];
        let class = match product {
            true => Class { rows: shape.rows != 1, cols: shape.cols != 1 },
            false => self.class_of(path),
        };
        let memory = if product { lane } else { Lane::of(dtype) };
        let bytes = memory.bytes() as isize;
        let beside = |line: &Line| matches!(line.last(), Some(&(_, stride)) if stride == bytes);
        let dense = match (class.rows, class.cols) {
            (_, true) => beside(&path.cols) && fits(&path.cols, shape.col_block) && fits(&path.rows, shape.row_block),
            (true, false) => beside(&path.rows) && fits(&path.rows, shape.row_block),
            (false, false) => true,
        };
        let exact = !matches!(dtype, DType::BF16 | DType::F16);
        let value = if product || (dense && exact) {
            let once = !product && self.steady(class);
            let value = self.value(class, memory, once);
            self.plan.values[value as usize].home = Home::View;
            let view = View { value, path: load, product };
            if once {
                self.plan.views_once.push(view)
            } else {
                self.plan.views.push(view)
            }
            value
        } else {
            self.define(Work::Load(load, (self.table.load)(dtype)), class, memory, &[])
        };
        self.cast(value, lane)
    }

    /// A load that is moved by an index.
    pub(super) fn load_at(&mut self, load: usize, index: u32, stride: isize, (limit, site): (usize, u32), lane: Lane) -> u32 {
        let dtype = self.region.loads[load].dtype;
        let known = self.known(index);
        let class = known.class.join(self.class_of(&self.plan.paths[load]));
        let stride = stride * dtype.bytes() as isize;
        let work = Work::LoadAt(Box::new(Indexed { path: load, dtype, index: known.lane, stride, limit, site }));
        let value = self.define(work, class, Lane::of(dtype), &[index]);
        self.cast(value, lane)
    }

    /// Coordinates or random words, numbered along `strides`.
    pub(super) fn sequence(
        &mut self,
        offset: isize,
        strides: &[isize],
        key: Option<usize>,
        bits: u32,
        run: SequenceLoop,
        lane: Lane,
    ) -> u32 {
        let shape = &self.plan.shape;
        let (rows, cols) = (self.axes(&shape.row_axes, strides), self.axes(&shape.col_axes, strides));
        let path = Path { buffer: 0, offset, rows: line(rows.into_iter()), cols: line(cols.into_iter()) };
        let mut class = self.class_of(&path);
        if let Some(key) = key {
            class = class.join(self.class_of(&self.plan.paths[key]));
        }
        self.plan.paths.push(path);
        let path = self.plan.paths.len() - 1;
        self.define(Work::Sequence(Box::new(Numbered { path, run, key, bits })), class, lane, &[])
    }

    /// A loop over whole rows; where there is one column, reducing it changes nothing.
    pub(super) fn along_rows(&mut self, work: Work, a: u32) -> u32 {
        if self.plan.shape.cols == 1 {
            return a;
        }
        let known = self.known(a);
        let a = self.spread(a, Class { rows: known.class.rows, cols: true });
        let class = Class { rows: known.class.rows, cols: matches!(work, Work::Rows(_, None)) };
        self.define(work, class, known.lane, &[a])
    }

    /// A store, whose place is chosen when all steps are known.
    pub(super) fn store(&mut self, store: usize, a: u32, extent: Extent) -> u32 {
        let shape = &self.plan.shape;
        let class = Class { rows: shape.rows != 1, cols: shape.cols != 1 && extent == Extent::Full };
        let dtype = self.region.stores[store].dtype;
        let a = self.cast(a, Lane::of(dtype));
        let value = self.spread(a, class);
        let path = self.region.loads.len() + store;
        self.stores.push(Pending { value, path, dtype, class, copy: (self.table.store)(dtype) });
        a
    }

    /// A reduction over the rows of a unit.
    pub(super) fn accumulate(&mut self, store: usize, reduction: Reduction, a: u32) -> u32 {
        let shape = &self.plan.shape;
        let (rows, cols) = (shape.rows != 1, shape.cols != 1);
        let known = self.known(a);
        let lane = known.lane;
        let run = match cols {
            true => (self.table.accumulate)(reduction, lane),
            false => (self.table.accumulate_one)(reduction, lane),
        };
        let a = match cols {
            true if known.class.cols => a,
            true => self.spread(a, Class { rows, cols }),
            false => self.spread(a, Class { rows, cols: false }),
        };
        // Once-per-unit values are added at every row all the same.
        let value = self.value(Class { rows: false, cols }, lane, true);
        let dtype = self.region.stores[store].dtype;
        let step = self.step(Work::Accumulate(run), Class { rows, cols }, value, lane.bytes(), &[a]);
        self.plan.steps.push(step);
        let identity = match (reduction, lane) {
            (Reduction::Sum, _) => Number::Integer(0),
            (_, Lane::F32 | Lane::F64) => Number::Float(f64::NEG_INFINITY),
            (_, Lane::I32) => Number::Integer(i32::MIN as i64),
            (_, Lane::I64) => Number::Integer(i64::MIN),
            (_, Lane::U8) => Number::Integer(0),
        };
        let access = &self.region.stores[store];
        self.plan.accumulators.push(Accumulator {
            value,
            identity: bytes_of(identity, lane),
            repeat: (self.table.repeat)(lane),
            store: (self.table.store)(dtype),
            path: self.region.loads.len() + store,
            unit_stride: access.strides.first().copied().unwrap_or(0) * dtype.bytes() as isize,
        });
        value
    }
}
