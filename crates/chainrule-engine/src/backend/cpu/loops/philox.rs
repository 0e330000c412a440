//! Blocks of the generator (`tensor::random`), many at a time, in the order in which their words are used.
//!
//! A block's four words are two lanes of 64 bits, side by side. A round multiplies the lower half of each; the two products
//! change places and halves, which is one instruction that turns four words round; and words and keys are mixed in. So what
//! comes out lies as it is read, where vectors of one word of many blocks each would have to be woven together.
//! Refuses to know distributions, and to be the definition: that is [`philox4x32_10`].

use crate::tensor::random::philox4x32_10;
#[cfg(target_arch = "x86_64")]
use crate::tensor::random::{MULTIPLIERS, WEYL};

/// Blocks made at once.
pub const BLOCKS: usize = 64;

/// Their words.
pub const WORDS: usize = 4 * BLOCKS;

/// Writes the words of blocks from `first` on in order, each moved down by so many bits.
///
/// # Safety
/// `to` is valid for writing [`WORDS`] words.
#[inline(always)]
pub unsafe fn words(key: i64, first: u64, down: u32, to: *mut u32) {
    for at in 0..BLOCKS {
        let block = first.wrapping_add(at as u64);
        let made = philox4x32_10([block as u32, (block >> 32) as u32, 0, 0], [key as u32, (key >> 32) as u32]);
        // SAFETY: the caller's.
        unsafe { to.add(4 * at).cast::<[u32; 4]>().write_unaligned(made.map(|word| word >> down)) };
    }
}

/// The same with the instructions of a level, so many vectors side by side: a round is a chain.
#[cfg(target_arch = "x86_64")]
macro_rules! by_vectors {
    (
        $name:ident $features:literal $together:literal of $vector:ident, $count:ident $pair:ident $add:ident $add_words:ident $multiply:ident $turn:ident
        $down:ident $down_words:ident $store:ident, $mix:expr
    ) => {
        /// # Safety
        /// As [`words`], and the machine has the instructions.
        #[target_feature(enable = $features)]
        pub unsafe fn $name(key: i64, first: u64, down: u32, to: *mut u32) {
            use std::arch::x86_64::*;
            const LANES: usize = size_of::<$vector>() / 8;
            const TOGETHER: usize = $together;
            let (low, high) = (i64::from(key as u32), i64::from((key >> 32) as u32));
            let factors = $pair!(i64::from(MULTIPLIERS[0]), i64::from(MULTIPLIERS[1]));
            let weyl = $pair!(i64::from(WEYL[0]), i64::from(WEYL[1]));
            let down = _mm_cvtsi32_si128(down as i32);
            for group in (0..2 * BLOCKS / LANES).step_by(TOGETHER) {
                let number = |i: usize| first.wrapping_add(((group + i) * LANES / 2) as u64) as i64;
                let mut states: [$vector; TOGETHER] = std::array::from_fn(|i| $add($pair!(number(i), 0), $count!()));
                let mut keys = $pair!(low, high);
                for _ in 0..10 {
                    for state in &mut states {
                        let products = $turn::<0b00_01_10_11>($multiply(*state, factors));
                        *state = $mix(products, $down::<32>(*state), keys);
                    }
                    keys = $add_words(keys, weyl);
                }
                for (i, state) in states.into_iter().enumerate() {
                    // SAFETY: the caller's; all vectors together are the words.
                    unsafe { $store(to.add((group + i) * 2 * LANES).cast(), $down_words(state, down)) };
                }
            }
        }
    };
}

/// A pair of lanes repeated; and below, the numbers of blocks from 0 on in every other lane.
#[cfg(target_arch = "x86_64")]
macro_rules! pair_512 {
    ($a:expr, $b:expr) => {
        _mm512_set_epi64($b, $a, $b, $a, $b, $a, $b, $a)
    };
}
#[cfg(target_arch = "x86_64")]
macro_rules! count_512 {
    () => {
        _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0)
    };
}
#[cfg(target_arch = "x86_64")]
macro_rules! pair_256 {
    ($a:expr, $b:expr) => {
        _mm256_set_epi64x($b, $a, $b, $a)
    };
}
#[cfg(target_arch = "x86_64")]
macro_rules! count_256 {
    () => {
        _mm256_set_epi64x(0, 1, 0, 0)
    };
}

#[cfg(target_arch = "x86_64")]
by_vectors!(
    words_512 "avx512f" 8 of __m512i, count_512 pair_512 _mm512_add_epi64 _mm512_add_epi32 _mm512_mul_epu32 _mm512_shuffle_epi32
    _mm512_srli_epi64 _mm512_srl_epi32 _mm512_storeu_si512, |a, b, c| _mm512_ternarylogic_epi64::<0x96>(a, b, c)
);
#[cfg(target_arch = "x86_64")]
by_vectors!(
    words_256 "avx2" 4 of __m256i, count_256 pair_256 _mm256_add_epi64 _mm256_add_epi32 _mm256_mul_epu32 _mm256_shuffle_epi32
    _mm256_srli_epi64 _mm256_srl_epi32 _mm256_storeu_si256, |a, b, c| _mm256_xor_si256(_mm256_xor_si256(a, b), c)
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::level::Level;
    use crate::tensor::random::draw;

    #[test]
    fn all_ways_give_the_words_of_the_definition() {
        for (key, first) in [(0, 0), (0x0123_4567_89ab_cdef, 7), (-1, u64::from(u32::MAX) - 20), (5, (1 << 60) + 3), (1 << 40, 1 << 33)] {
            for down in [0, 8, 31] {
                let made = |level: Level| {
                    let mut to = [1; WORDS];
                    // SAFETY: room for all; the machine has the level's instructions.
                    unsafe {
                        match level {
                            #[cfg(target_arch = "x86_64")]
                            Level::Avx512 => words_512(key, first, down, to.as_mut_ptr()),
                            #[cfg(target_arch = "x86_64")]
                            Level::Avx2 => words_256(key, first, down, to.as_mut_ptr()),
                            _ => words(key, first, down, to.as_mut_ptr()),
                        }
                    }
                    to
                };
                let word = |n: usize| draw(key, first.wrapping_mul(4).wrapping_add(n as u64), 32) as u32 >> down;
                let want: [u32; WORDS] = std::array::from_fn(word);
                for level in Level::available() {
                    assert!(made(level) == want, "{level:?}: key {key}, from block {first}, down {down}");
                }
            }
        }
    }
}
