//! Functions of the host ([`Host`]).
//!
//! A unit is a run of whole examples. Refuses to share one example among threads, and to know what is computed.

use super::fault::FaultCell;
use crate::compile::kernel::{Access, Host, HostArray, Refusal};
use crate::tensor::DType;
use smallvec::SmallVec;

/// Nanoseconds of one unit, about.
const UNIT: f64 = 20_000.0;

/// A function of the host made ready to run.
pub struct CompiledHost {
    host: Host,
    /// Examples of one unit.
    together: usize,
    /// Estimated nanoseconds of one example.
    cost: f64,
}

impl CompiledHost {
    /// Chooses units.
    pub fn new(host: &Host) -> CompiledHost {
        // What a function costs is not known. That of a matrix grows faster than its elements do.
        let elements = host.len + host.shapes.iter().map(|shape| shape.iter().product::<usize>()).sum::<usize>();
        let cost = 200.0 + (elements as f64).powf(1.5);
        CompiledHost { host: host.clone(), together: (UNIT / cost).ceil() as usize, cost }
    }

    /// How many units there are.
    pub fn units(&self) -> usize {
        if self.host.len == 0 { 0 } else { self.host.batch.div_ceil(self.together) }
    }

    /// Estimated nanoseconds of all units on one thread.
    pub fn cost(&self) -> f64 {
        self.host.batch as f64 * self.cost
    }

    /// Runs one unit.
    ///
    /// # Safety
    /// `buffers[id]` is valid for the dense accesses, and the output overlaps none of the others.
    pub unsafe fn run(&self, unit: usize, buffers: &[*mut u8], faults: &FaultCell) {
        let function = &self.host.function.0;
        for example in unit * self.together..((unit + 1) * self.together).min(self.host.batch) {
            // SAFETY: the caller's.
            let outcome = unsafe {
                match self.host.out.dtype {
                    DType::F32 => self.example(example, buffers, |inputs, output| function.evaluate_f32(inputs, output)),
                    _ => self.example(example, buffers, |inputs, output| function.evaluate(inputs, output)),
                }
            };
            if let Err(message) = outcome {
                faults.refuse(example as u64, Refusal { site: self.host.site, message });
            }
        }
    }

    /// Calls the function for one example, whose elements are of type `T`.
    ///
    /// # Safety
    /// As [`CompiledHost::run`]; `T` is the type of all accesses.
    unsafe fn example<T: Copy + Default>(
        &self,
        example: usize,
        buffers: &[*mut u8],
        call: impl FnOnce(&[HostArray<'_, T>], &mut [T]) -> Result<(), String>,
    ) -> Result<(), String> {
        let Host { shapes, inputs, len, out, .. } = &self.host;
        let list = |shape: &[usize], access: &Access| {
            let own: usize = shape.iter().product();
            // SAFETY: the caller's: the access holds so many elements for each example.
            unsafe { elements(first::<T>(access, buffers).wrapping_add(example * own), own) }
        };
        let arrays: SmallVec<[HostArray<'_, T>; 4]> =
            shapes.iter().zip(inputs).map(|(shape, access)| HostArray { shape, values: list(shape, access) }).collect();
        // SAFETY: the caller's; no other unit has this example.
        let output = unsafe { elements_mut(first::<T>(out, buffers).wrapping_add(example * len), *len) };
        output.fill(T::default());
        call(&arrays, output)
    }
}

/// # Safety
/// There are `len` elements at `from`, aligned as all memory of tensors is, and not written meanwhile.
unsafe fn elements<'a, T>(from: *const T, len: usize) -> &'a [T] {
    // SAFETY: the caller's. Nothing need be there where there are none.
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(from, len) } }
}

/// # Safety
/// There are `len` elements at `from`, aligned as all memory of tensors is, and of nobody else meanwhile.
unsafe fn elements_mut<'a, T>(from: *mut T, len: usize) -> &'a mut [T] {
    // SAFETY: the caller's.
    if len == 0 { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(from, len) } }
}

fn first<T>(access: &Access, buffers: &[*mut u8]) -> *mut T {
    buffers[access.buffer as usize].wrapping_offset(access.offset * size_of::<T>() as isize).cast()
}
