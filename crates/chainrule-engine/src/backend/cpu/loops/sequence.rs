//! Loops whose elements come from their position alone: coordinates and random numbers.
//!
//! Refuses to know about keys' storage or axes: a row is a first number and a step.

use super::blocks::{Isa, SMALL};
use crate::tensor::random::{draw, in_a_block, philox4x32_10};

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
    /// For random numbers: the key.
    pub key: i64,
    /// For random numbers: how many bits are kept, 1 to 64.
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

/// Generator blocks made at once where numbers are neighbours.
const BLOCKS: usize = 64;

/// Random numbers of so many bits.
///
/// # Safety
/// `to` is valid for writing `len` elements of `T`.
#[inline(always)]
pub unsafe fn random<I: Isa, T: FromInteger>(call: &Sequence) {
    let (to, mut i) = (call.to.cast::<T>(), 0);
    let number = |i: usize| call.first.wrapping_add(call.step.wrapping_mul(i as i64)) as u64;
    let per = in_a_block(call.bits);
    let one = |i: usize| T::from_integer(draw(call.key, number(i), call.bits));
    // SAFETY: the caller's; `i` stays below `len` by what is written.
    unsafe {
        if call.step == 1 && call.len >= 16 {
            while !number(i).is_multiple_of(per as u64) {
                to.add(i).write_unaligned(one(i));
                i += 1;
            }
            while call.len - i >= per {
                let words = many(call.key, number(i) / per as u64);
                let part = (call.len - i).min(per * BLOCKS) / per * per;
                if per == 4 {
                    let halves = halves(&words);
                    (0..part).for_each(|j| to.add(i + j).write_unaligned(T::from_integer((halves[j] >> (32 - call.bits)).into())));
                } else {
                    (0..part).for_each(|j| to.add(i + j).write_unaligned(T::from_integer((words[j] >> (64 - call.bits)) as i64)));
                }
                i += part;
            }
        }
        while i < call.len {
            to.add(i).write_unaligned(one(i));
            i += 1;
        }
    }
}

/// The words of 64 generator blocks from `first`, in order.
#[inline(always)]
fn many(key: i64, first: u64) -> [u64; 2 * BLOCKS] {
    let (mut even, mut odd) = ([0; BLOCKS], [0; BLOCKS]);
    for j in 0..BLOCKS {
        let block = first.wrapping_add(j as u64);
        let [a, b, c, d] = philox4x32_10([block as u32, (block >> 32) as u32, 0, 0], [key as u32, (key >> 32) as u32]);
        even[j] = a as u64 | (b as u64) << 32;
        odd[j] = c as u64 | (d as u64) << 32;
    }
    let mut words = [0; 2 * BLOCKS];
    for j in 0..BLOCKS {
        (words[2 * j], words[2 * j + 1]) = (even[j], odd[j]);
    }
    words
}

/// The lower and the upper half of each word.
#[inline(always)]
fn halves(words: &[u64; 2 * BLOCKS]) -> [u32; 4 * BLOCKS] {
    let mut halves = [0; 4 * BLOCKS];
    for (j, &word) in words.iter().enumerate() {
        (halves[2 * j], halves[2 * j + 1]) = (word as u32, (word >> 32) as u32);
    }
    halves
}
