//! The interpreter of [`Region`]: scalar code run tile by tile, each instruction one vector loop.
//!
//! ```text
//! let compiled = placed(|written| CompiledRegion::new(&region, written));   // once
//! scratch.reserve(&compiled.needs());                    // once per thread (shared by kernels)
//! for unit in 0..compiled.units() {                      // any order, any thread, any number together
//!     unsafe { compiled.run(unit..unit + 1, &buffers, &mut scratch, &faults) };
//! }
//! ```
//! `buffers[id]` is the first byte of buffer `id`. [`CompiledRegion::cost`] estimates the
//! nanoseconds of all units. For the code that follows a contraction:
//! [`CompiledRegion::epilogue`] and [`CompiledRegion::run_tile`].
//!
//! A value that is the same for all rows or all columns is computed once per column or row
//! only; loads that already lie side by side are not copied; results are computed straight into
//! memory where that is safe. Stores of a tile behave as if they came after all of its loads, so
//! a store may go to the very elements that a load reads.
//!
//! Refuses to know operations by name, threads, or where buffers come from.

mod build;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod draft;
#[cfg(test)]
mod function_tests;
mod fused;
mod gather;
mod memory;
mod memory_steps;
#[cfg(test)]
mod oracle;
pub(super) mod path;
pub(super) mod plan;
mod remake;
mod run;
mod shape;
mod slots;
#[cfg(test)]
mod tests;
mod writer;

use super::fault::FaultCell;
use super::level::Level;
use super::machine::Written;
use crate::compile::kernel::{Access, BufferId, Region};
use crate::tensor::{Error, ErrorKind, Result};
use plan::Plan;
use std::ops::Range;
use std::sync::Arc;

/// A region made ready to run.
pub struct CompiledRegion {
    /// Shared by all regions that are [`alike`](super::alike).
    plan: Arc<Plan>,
    starts: Box<[Start]>,
}

/// Where an access starts.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Start {
    buffer: BufferId,
    /// In bytes.
    offset: isize,
}

/// Where the loads of a region start, and then its stores.
fn starts(region: &Region) -> Box<[Start]> {
    let start = |access: &Access| Start { buffer: access.buffer, offset: access.offset * access.dtype.bytes() as isize };
    region.loads.iter().chain(&region.stores).map(start).collect()
}

/// What a [`Scratch`] must hold for a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bytes of values.
    pub bytes: usize,
    /// How many values have a place.
    pub operands: usize,
    /// Bytes of [`Scratch::aside`].
    pub aside: usize,
}

impl Needs {
    /// So many bytes of [`Scratch::aside`], and nothing else.
    pub fn aside(aside: usize) -> Needs {
        Needs { aside, ..Needs::default() }
    }

    /// What is enough for both.
    pub fn or(self, other: Needs) -> Needs {
        Needs { bytes: self.bytes.max(other.bytes), operands: self.operands.max(other.operands), aside: self.aside.max(other.aside) }
    }
}

/// Memory of one thread for the values of a tile.
#[derive(Default)]
pub struct Scratch {
    lines: Vec<CacheLine>,
    operands: Vec<run::Operand>,
    table: fused::Table,
    aside: Vec<CacheLine>,
}

// SAFETY: the pointers among the operands and in the table are written anew by every run before they are read.
unsafe impl Send for Scratch {}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct CacheLine([u8; 64]);

impl Scratch {
    /// No memory yet.
    pub fn new() -> Scratch {
        Scratch::default()
    }

    /// Makes room for a kernel's values; keeps what is there if it is enough.
    pub fn reserve(&mut self, needs: &Needs) {
        let lines = needs.bytes.div_ceil(64);
        if self.lines.len() < lines {
            self.lines.resize(lines, CacheLine([0; 64]));
        }
        if self.operands.len() < needs.operands {
            self.operands.resize(needs.operands, run::Operand::NONE);
        }
    }

    /// Makes room for all that kernels need, so that none of them grows it.
    ///
    /// # Errors
    /// If the system has not so much memory.
    pub fn try_reserve(&mut self, needs: &Needs) -> Result<()> {
        let lines = |bytes: usize, there: &Vec<CacheLine>| bytes.div_ceil(64).saturating_sub(there.len());
        let (values, aside) = (lines(needs.bytes, &self.lines), lines(needs.aside, &self.aside));
        let values = self.lines.try_reserve_exact(values).and_then(|()| self.aside.try_reserve_exact(aside));
        let operands = needs.operands.saturating_sub(self.operands.len());
        values.and_then(|()| self.operands.try_reserve_exact(operands)).map_err(|_| {
            let bytes = needs.bytes.saturating_add(needs.aside);
            Error::new(ErrorKind::Machine, "memory", format!("there is no memory for {bytes} bytes of scratch; make the tensors smaller"))
        })?;
        self.reserve(needs);
        self.aside(needs.aside);
        Ok(())
    }

    /// At least so many bytes that no region touches, aligned to a cache line; grows if need be.
    /// They stay where they are until the next call.
    pub fn aside(&mut self, bytes: usize) -> *mut u8 {
        let lines = bytes.div_ceil(64);
        if self.aside.len() < lines {
            self.aside.resize(lines, CacheLine([0; 64]));
        }
        self.aside.as_mut_ptr().cast()
    }
}

/// A finished tile of a contraction, on which its epilogue runs.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// The element at `(row0, col0)`.
    pub first: *mut u8,
    /// Bytes from one row to the next; the columns are side by side.
    pub row_bytes: isize,
}

/// A rectangle of a region's flattened rows and columns; the ends are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle {
    /// First row.
    pub row0: usize,
    /// Row after the last.
    pub row1: usize,
    /// First column.
    pub col0: usize,
    /// Column after the last.
    pub col1: usize,
}

impl CompiledRegion {
    /// Chooses tiles, places and loops for this machine. What becomes machine code is added to
    /// `written` and runs once that is placed.
    ///
    /// # Panics
    /// If the code asks for an operation that its lane type lacks (such as the sine of an
    /// integer) or uses a value before it is defined; the compiler's verifier refuses such code.
    pub fn new(region: &Region, written: &mut Written) -> CompiledRegion {
        CompiledRegion::at(region, Level::detect(), written)
    }

    /// As [`CompiledRegion::new`], for a given level of vector instructions.
    pub fn at(region: &Region, level: Level, written: &mut Written) -> CompiledRegion {
        CompiledRegion { plan: Arc::new(build::plan(region, level, false, written)), starts: starts(region) }
    }

    /// For code that follows a contraction: load 0 is the product, given to
    /// [`CompiledRegion::run_tile`] as elements of its instruction's lane type.
    pub fn epilogue(region: &Region, written: &mut Written) -> CompiledRegion {
        CompiledRegion { plan: Arc::new(build::plan(region, Level::detect(), true, written)), starts: starts(region) }
    }

    /// A region that is alike (`super::alike`) the one this was made from: it shares the plan and has accesses of its
    /// own.
    pub fn with_accesses_of(&self, region: &Region) -> CompiledRegion {
        CompiledRegion { plan: self.plan.clone(), starts: starts(region) }
    }

    /// How many units of work there are; depends on the region alone. 0 if an axis is empty.
    pub fn units(&self) -> usize {
        self.plan.shape.units
    }

    /// Estimated nanoseconds of all units on one thread.
    pub fn cost(&self) -> f64 {
        self.plan.cost
    }

    /// What the scratch must hold.
    pub fn needs(&self) -> Needs {
        self.plan.needs
    }

    /// Runs some units, one after the other. Units write to different memory, so others may run at the same time.
    ///
    /// The scratch is enlarged if [`Scratch::reserve`] was not called for this region.
    ///
    /// # Safety
    /// `buffers[id]` is valid for every element that the accesses reach, for reading or for
    /// writing. A store's memory overlaps that of a load only if both reach the same elements in
    /// the same order.
    pub unsafe fn run(&self, units: Range<usize>, buffers: &[*mut u8], scratch: &mut Scratch, faults: &FaultCell) {
        scratch.reserve(&self.plan.needs);
        let mut run = run::Run::new(&self.plan, (&self.starts, buffers), scratch, faults, None);
        for unit in units {
            // SAFETY: the caller's; the scratch is large enough.
            unsafe { run.unit(unit) }
        }
    }

    /// Asks for what [`CompiledRegion::run_tile`] will read besides the product, so that it comes while that is
    /// computed.
    pub fn ask_for(&self, rectangle: Rectangle, buffers: &[*mut u8], scratch: &mut Scratch, faults: &FaultCell) {
        if !self.plan.far.is_empty() {
            scratch.reserve(&self.plan.needs);
            run::Run::new(&self.plan, (&self.starts, buffers), scratch, faults, None).ask_for_all(rectangle);
        }
    }

    /// Runs the code of an [`CompiledRegion::epilogue`] on a rectangle of rows and columns.
    ///
    /// Code that reduces along rows needs whole rows; code that accumulates over rows needs all
    /// rows of one unit. Load 0 reads `product`, and a store may go to the product's memory.
    ///
    /// # Safety
    /// As [`CompiledRegion::run`]; and `product` is valid for the rectangle.
    pub unsafe fn run_tile(&self, rectangle: Rectangle, product: Product, buffers: &[*mut u8], scratch: &mut Scratch, faults: &FaultCell) {
        scratch.reserve(&self.plan.needs);
        // SAFETY: the caller's; the scratch is large enough.
        unsafe { run::Run::new(&self.plan, (&self.starts, buffers), scratch, faults, Some((product, rectangle))).rectangle(rectangle) }
    }
}
