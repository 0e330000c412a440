//! Loops whose elements come from their position alone: coordinates and random numbers.
//!
//! Refuses to know about keys' storage or axes: a row is a first number and a step.

use super::blocks::{Isa, SMALL};
use super::philox::{BLOCKS, WORDS};
use crate::tensor::random::{draw, in_a_block};

/// One run of `len` numbers `first, first + step, ...` that are turned into elements.
#[derive(Clone, Copy)]
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
    /// Whether the low 32 bits of an integer are all of it.
    const IS_WORD: bool;
    /// The nearest number, or the low bits.
    fn from_integer(n: i64) -> Self;
}
macro_rules! from_integer {
    ($($type:ident $is_word:literal)*) => {$(
        impl FromInteger for $type {
            const IS_WORD: bool = $is_word;

            #[inline(always)]
            fn from_integer(n: i64) -> $type {
                n as $type
            }
        }
    )*};
}
from_integer!(f32 false f64 false i32 true i64 false u8 false);

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
    // SAFETY: the caller's; `i` stays below `len` by what is written, and the machine has the level's instructions.
    unsafe {
        if call.step == 1 && call.len >= 16 {
            while !number(i).is_multiple_of(per as u64) {
                to.add(i).write_unaligned(one(i));
                i += 1;
            }
            let down = if per == 4 { 32 - call.bits } else { 0 };
            while T::IS_WORD && per == 4 && call.len - i >= WORDS {
                I::random_words(call.key, number(i) / per as u64, down, to.add(i).cast());
                i += WORDS;
            }
            let mut words = [0; WORDS];
            while call.len - i >= per {
                I::random_words(call.key, number(i) / per as u64, down, words.as_mut_ptr());
                let part = (call.len - i).min(per * BLOCKS) / per * per;
                if per == 4 {
                    (0..part).for_each(|j| to.add(i + j).write_unaligned(T::from_integer(words[j].into())));
                } else {
                    let word = |j: usize| u64::from(words[2 * j]) | u64::from(words[2 * j + 1]) << 32;
                    (0..part).for_each(|j| to.add(i + j).write_unaligned(T::from_integer((word(j) >> (64 - call.bits)) as i64)));
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
