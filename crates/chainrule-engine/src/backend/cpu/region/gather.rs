//! Reading elements through indices that are themselves data, with a check on each.
//!
//! Refuses to report: it says where the first index outside was found.

use super::super::loops::narrow::{widen_bf16, widen_f16};
use crate::compile::kernel::Lane;
use crate::tensor::DType;

/// One run of a gather.
pub struct Gather {
    /// Where elements go, side by side.
    pub to: *mut u8,
    /// How many.
    pub len: usize,
    /// The element of index 0 at the run's first position.
    pub memory: *mut u8,
    /// Bytes from one position to the next.
    pub step: isize,
    /// The first index.
    pub index: *mut u8,
    /// Bytes from one index to the next; 0 if one index serves the run.
    pub index_step: isize,
    /// Bytes that one step of the index moves.
    pub stride: isize,
    /// How many indices there are.
    pub limit: usize,
}

/// Copies the elements; gives the position and value of the first index outside.
///
/// # Safety
/// `to` is valid for the run, the indices for reading, and memory for every index below the
/// limit (and for index 0).
pub unsafe fn gather(call: &Gather, dtype: DType, index: Lane) -> Option<(usize, i64)> {
    // SAFETY: the caller's.
    unsafe {
        match dtype {
            DType::F32 | DType::I32 => indexed(call, index, |x: u32| x),
            DType::F64 | DType::I64 => indexed(call, index, |x: u64| x),
            DType::U8 | DType::Bool => indexed(call, index, |x: u8| x),
            DType::BF16 => indexed(call, index, widen_bf16),
            DType::F16 => indexed(call, index, widen_f16),
        }
    }
}

unsafe fn indexed<A: Copy, D>(call: &Gather, index: Lane, widen: impl Fn(A) -> D) -> Option<(usize, i64)> {
    // SAFETY: the caller's.
    unsafe {
        match index {
            Lane::I32 => copy(call, |p| p.cast::<i32>().read_unaligned() as i64, widen),
            Lane::U8 => copy(call, |p| p.read() as i64, widen),
            _ => copy(call, |p| p.cast::<i64>().read_unaligned(), widen),
        }
    }
}

#[inline(always)]
unsafe fn copy<A: Copy, D>(call: &Gather, read: impl Fn(*mut u8) -> i64, widen: impl Fn(A) -> D) -> Option<(usize, i64)> {
    let to = call.to.cast::<D>();
    if call.limit == 0 {
        // There is no element to read in place of the one outside.
        // SAFETY: the caller's; zero bits are a number of every type.
        unsafe {
            std::ptr::write_bytes(to, 0, call.len);
            return (call.len > 0).then(|| (0, read(call.index)));
        }
    }
    let checked = |index: i64| {
        if index >= 0 && (index as u64) < call.limit as u64 { index } else { 0 }
    };
    // SAFETY: the caller's: a checked index is below the limit or 0.
    unsafe {
        if call.index_step == 0 {
            let index = read(call.index);
            let memory = call.memory.wrapping_offset(checked(index) as isize * call.stride);
            if size_of::<A>() == size_of::<D>() && call.step == size_of::<A>() as isize {
                std::ptr::copy_nonoverlapping(memory, call.to, call.len * size_of::<A>());
            } else {
                for i in 0..call.len {
                    let element = memory.wrapping_offset(i as isize * call.step).cast::<A>();
                    to.add(i).write_unaligned(widen(element.read_unaligned()));
                }
            }
            return (checked(index) != index).then_some((0, index));
        }
        let mut fault = None;
        for i in 0..call.len {
            let index = read(call.index.wrapping_offset(i as isize * call.index_step));
            if fault.is_none() && checked(index) != index {
                fault = Some((i, index));
            }
            let moved = i as isize * call.step + checked(index) as isize * call.stride;
            let element = call.memory.wrapping_offset(moved).cast::<A>();
            to.add(i).write_unaligned(widen(element.read_unaligned()));
        }
        fault
    }
}
