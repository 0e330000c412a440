//! Where kernels report an index that points outside, or values that a function of the host refuses, from any thread.
//!
//! Refuses to stop anything: a kernel that found a fault goes on with index 0.

use crate::compile::kernel::{Fault, Refusal};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Keeps the fault of the lowest site, and there of the lowest position, whatever the order in
/// which threads report.
#[derive(Default)]
pub struct FaultCell {
    any: AtomicBool,
    first: Mutex<Option<(u64, Found)>>,
}

/// What was found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An index that points outside.
    Index(Fault),
    /// Values that a function of the host refuses.
    Refusal(Refusal),
}

impl Found {
    /// The index that points outside, if that is what was found.
    #[cfg(test)]
    pub fn index(self) -> Option<Fault> {
        match self {
            Found::Index(fault) => Some(fault),
            Found::Refusal(_) => None,
        }
    }

    fn site(&self) -> u32 {
        match self {
            Found::Index(fault) => fault.site,
            Found::Refusal(refusal) => refusal.site,
        }
    }
}

impl FaultCell {
    /// No fault yet.
    pub fn new() -> FaultCell {
        FaultCell::default()
    }

    /// Reports a fault found at a position of the kernel's space.
    pub fn report(&self, position: u64, fault: Fault) {
        self.keep(position, Found::Index(fault));
    }

    /// Reports what a function of the host refused, with the number of the example.
    pub fn refuse(&self, position: u64, refusal: Refusal) {
        self.keep(position, Found::Refusal(refusal));
    }

    /// Reports what was found wrong at a position.
    pub fn keep(&self, position: u64, found: Found) {
        let mut first = self.first.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let earlier = match &*first {
            Some((p, kept)) => (found.site(), position) < (kept.site(), *p),
            None => true,
        };
        if earlier {
            *first = Some((position, found));
        }
        self.any.store(true, Ordering::Release);
    }

    /// The fault that counts, if there is one; the cell is empty afterwards.
    pub fn take(&self) -> Option<Found> {
        if !self.any.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut first = self.first.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        first.take().map(|(_, found)| found)
    }
}
