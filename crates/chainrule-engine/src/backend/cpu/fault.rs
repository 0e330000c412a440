//! Where kernels report an index that points outside, from any thread.
//!
//! Refuses to stop anything: a kernel that found a fault goes on with index 0.

use crate::compile::kernel::Fault;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Keeps the fault of the lowest site, and there of the lowest position, whatever the order in
/// which threads report.
#[derive(Default)]
pub struct FaultCell {
    any: AtomicBool,
    first: Mutex<Option<(u64, Fault)>>,
}

impl FaultCell {
    /// No fault yet.
    pub fn new() -> FaultCell {
        FaultCell::default()
    }

    /// Reports a fault found at a position of the kernel's space.
    pub fn report(&self, position: u64, fault: Fault) {
        let mut first = self.first.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let earlier = match &*first {
            Some((p, kept)) => (fault.site, position) < (kept.site, *p),
            None => true,
        };
        if earlier {
            *first = Some((position, fault));
        }
        self.any.store(true, Ordering::Release);
    }

    /// The fault that counts, if there is one; the cell is empty afterwards.
    pub fn take(&self) -> Option<Fault> {
        if !self.any.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut first = self.first.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        first.take().map(|(_, fault)| fault)
    }
}
