//! Loops whose elements come from their position alone: coordinates and random words.
//!
//! Refuses to know about keys' storage or axes: a row is a first number and a step.

use super::blocks::{Isa, SMALL};
use crate::tensor::random::{philox4x32_10, word};

/// One run of `len` numbers `first, first + step, ...` that are turned into elements.
pub struct Sequence {
    /// Where the elements go, side by side.
    pub to: *mut u8,
    /// How many.
    pub len: usize,
    /// The first number.
    pub first: i64,
    /// From one number to the next.
    pub step: i64,
    /// For random words: the key.
    pub key: i64,
    /// For random words: how many bits are kept, 1 to 64.
    pub bits: u32,
}

/// A loop over a [`Sequence`].
pub type SequenceLoop = unsafe fn(&Sequence);

/// An element type made from 64-bit integers.
pub trait FromInteger: Copy + Default {
    /// The nearest number, or the low bits.
    fn from_integer(n: i64) -> Self;
}
macro_rules! from_integer {
    ($($type:ident)*) => {$(
        impl FromInteger for $type {
            #[inline(always)]
            fn from_integer(n: i64) -> $type {
                n as $type
            }
        }
    )*};
}
from_integer!(f32 f64 i32 i64 u8);

/// Numbers themselves.
///
/// # Safety
/// `to` is valid for writing `len` elements of `T`.
#[inline(always)]
pub unsafe fn numbers<I: Isa, T: FromInteger>(call: &Sequence) {
    let (to, mut i) = (call.to.cast::<T>(), 0);
    while i < call.len {
        let mut block = [T::default(); SMALL];
        for (j, element) in block.iter_mut().enumerate() {
            *element = T::from_integer(call.first.wrapping_add(call.step.wrapping_mul((i + j) as i64)));
        }
        let part = (call.len - i).min(SMALL);
        // SAFETY: the caller's.
        unsafe { I::write_part(to.add(i), part, &block) };
        i += part;
    }
}

/// Generator blocks made at once where words are neighbours.
const BLOCKS: usize = 64;

/// The top bits of random words.
///
/// # Safety
/// `to` is valid for writing `len` elements of `T`.
#[inline(always)]
pub unsafe fn random<I: Isa, T: FromInteger>(call: &Sequence) {
    let (to, mut i) = (call.to.cast::<T>(), 0);
    let shift = 64 - call.bits;
    let one = |n: i64| T::from_integer((word(call.key, n as u64) >> shift) as i64);
    // SAFETY: the caller's; `i` stays below `len` by what is written.
    unsafe {
        if call.step == 1 && call.len >= 16 {
            if call.first & 1 == 1 {
                to.write_unaligned(one(call.first));
                i = 1;
            }
            while call.len - i >= 2 {
                let block = (call.first.wrapping_add(i as i64) as u64) / 2;
                let words = many(call.key, block);
                let part = (call.len - i).min(2 * BLOCKS) & !1;
                for j in 0..part / 2 {
                    to.add(i + 2 * j).write_unaligned(T::from_integer((words.0[j] >> shift) as i64));
                    to.add(i + 2 * j + 1).write_unaligned(T::from_integer((words.1[j] >> shift) as i64));
                }
                i += part;
            }
        }
        while i < call.len {
            let n = call.first.wrapping_add(call.step.wrapping_mul(i as i64));
            to.add(i).write_unaligned(one(n));
            i += 1;
        }
    }
}

/// The even and the odd words of 64 generator blocks from `first`.
#[inline(always)]
fn many(key: i64, first: u64) -> ([u64; BLOCKS], [u64; BLOCKS]) {
    let (mut even, mut odd) = ([0; BLOCKS], [0; BLOCKS]);
    for j in 0..BLOCKS {
        let block = first.wrapping_add(j as u64);
        let [a, b, c, d] = philox4x32_10([block as u32, (block >> 32) as u32, 0, 0], [key as u32, (key >> 32) as u32]);
        even[j] = a as u64 | (b as u64) << 32;
        odd[j] = c as u64 | (d as u64) << 32;
    }
    (even, odd)
}
