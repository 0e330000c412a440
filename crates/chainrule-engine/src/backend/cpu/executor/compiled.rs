//! Kernels of every kind, made ready for this machine.
//!
//! Refuses to know when they run.

use crate::backend::cpu::contract::CompiledContract;
use crate::backend::cpu::contract::panels::Packed;
use crate::backend::cpu::control::CompiledControl;
use crate::backend::cpu::fault::FaultCell;
use crate::backend::cpu::fold::CompiledFold;
use crate::backend::cpu::host::CompiledHost;
use crate::backend::cpu::machine::Written;
use crate::backend::cpu::region::{CompiledRegion, Needs, Scratch};
use crate::backend::cpu::scatter::{CompiledFill, CompiledScatter};
use crate::backend::cpu::sort::CompiledSort;
use crate::compile::kernel::Kernel;
use crate::tensor::Error;
use std::ops::Range;

/// A kernel made ready for this machine. A program holds hundreds of them, most of them regions.
pub(super) enum Compiled {
    Region(CompiledRegion),
    Contract(Box<CompiledContract>),
    Scatter(Box<CompiledScatter>),
    Fold(Box<CompiledFold>),
    Sort(Box<CompiledSort>),
    Host(Box<CompiledHost>),
    Fill(Box<CompiledFill>),
    Control(Box<CompiledControl>),
    /// There was no memory for it.
    Failed(Error),
}

impl Compiled {
    pub(super) fn new(kernel: &Kernel, written: &mut Written) -> Compiled {
        match kernel {
            Kernel::Region(region) => Compiled::Region(CompiledRegion::new(region, written)),
            Kernel::Contract(contract) => Compiled::Contract(Box::new(CompiledContract::new(contract, written))),
            Kernel::Scatter(scatter) => Compiled::Scatter(Box::new(CompiledScatter::new(scatter))),
            Kernel::Fold(fold) => Compiled::Fold(Box::new(CompiledFold::new(fold))),
            Kernel::Sort(sort) => Compiled::Sort(Box::new(CompiledSort::new(sort))),
            Kernel::Host(host) => Compiled::Host(Box::new(CompiledHost::new(host))),
            Kernel::Fill(fill) => Compiled::Fill(Box::new(CompiledFill::new(fill))),
            Kernel::Control(control) => match CompiledControl::new(control) {
                Ok(made) => Compiled::Control(Box::new(made)),
                Err(error) => Compiled::Failed(error),
            },
        }
    }

    /// A kernel that is alike the one this was made from.
    pub(super) fn with_accesses_of(&self, kernel: &Kernel) -> Compiled {
        match (self, kernel) {
            (Compiled::Region(made), Kernel::Region(region)) => Compiled::Region(made.with_accesses_of(region)),
            (Compiled::Contract(made), Kernel::Contract(contract)) => Compiled::Contract(Box::new(made.with_accesses_of(contract))),
            _ => unreachable!("only these two kinds are ever alike"),
        }
    }

    pub(super) fn units(&self) -> usize {
        match self {
            Compiled::Region(kernel) => kernel.units(),
            Compiled::Contract(kernel) => kernel.units(),
            Compiled::Scatter(kernel) => kernel.units(),
            Compiled::Fold(kernel) => kernel.units(),
            Compiled::Sort(kernel) => kernel.units(),
            Compiled::Host(kernel) => kernel.units(),
            Compiled::Fill(kernel) => kernel.units(),
            // It is a wave of its own, and run by all.
            Compiled::Control(_) => 1,
            Compiled::Failed(_) => 0,
        }
    }

    /// What a scratch holds before the first run, whichever thread will need it.
    pub(super) fn needs(&self) -> Needs {
        match self {
            Compiled::Region(kernel) => kernel.needs(),
            Compiled::Contract(kernel) => kernel.needs(),
            Compiled::Scatter(kernel) => kernel.needs(),
            Compiled::Sort(kernel) => Needs::aside(kernel.aside()),
            Compiled::Control(kernel) => kernel.needs(),
            Compiled::Fold(_) | Compiled::Host(_) | Compiled::Fill(_) | Compiled::Failed(_) => Needs::default(),
        }
    }

    /// Estimated nanoseconds of all units.
    pub(super) fn cost(&self) -> f64 {
        match self {
            Compiled::Region(kernel) => kernel.cost(),
            Compiled::Contract(kernel) => kernel.cost(),
            Compiled::Scatter(kernel) => kernel.cost(),
            Compiled::Fold(kernel) => kernel.cost(),
            Compiled::Sort(kernel) => kernel.cost(),
            Compiled::Host(kernel) => kernel.cost(),
            Compiled::Fill(kernel) => kernel.cost(),
            Compiled::Control(kernel) => kernel.cost(),
            Compiled::Failed(_) => 0.0,
        }
    }

    /// Runs some units, one after the other.
    ///
    /// # Safety
    /// `buffers[id]` is valid for what the kernel's accesses reach, and no other thread writes
    /// what these units read or write.
    pub(super) unsafe fn run(&self, units: Range<usize>, buffers: &[*mut u8], packed: &Packed, scratch: &mut Scratch, faults: &FaultCell) {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Compiled::Region(kernel) => kernel.run(units, buffers, scratch, faults),
                Compiled::Contract(kernel) => units.for_each(|unit| kernel.run(unit, buffers, packed, scratch, faults)),
                Compiled::Scatter(kernel) => units.for_each(|unit| kernel.run(unit, buffers, scratch, faults)),
                Compiled::Fold(kernel) => units.for_each(|unit| kernel.run(unit, buffers)),
                Compiled::Sort(kernel) => units.for_each(|unit| kernel.run(unit, buffers, scratch)),
                Compiled::Host(kernel) => units.for_each(|unit| kernel.run(unit, buffers, faults)),
                Compiled::Fill(kernel) => units.for_each(|unit| kernel.run(unit, buffers)),
                Compiled::Control(_) | Compiled::Failed(_) => unreachable!("has no units"),
            }
        }
    }
}
