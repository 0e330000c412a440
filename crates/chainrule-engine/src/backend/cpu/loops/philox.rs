//! Blocks of the generator (`tensor::random`), many at a time, in the order in which their words are used.
//!
//! A lane of 64 bits holds two words of a block, and two vectors of lanes hold all four. A round multiplies one word of each lane
//! and mixes the other and a key into the upper half of the other vector's product. The word to be multiplied is the upper one,
//! so that products are in place as they come and only these upper halves are written over: what is multiplied, and where
//! the other word must be to be mixed in, is the same lane turned round. Three instructions a round, with masks.
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

/// The same with the instructions of a level, so many pairs of vectors side by side: a round is a chain.
#[cfg(target_arch = "x86_64")]
macro_rules! by_vectors {
    (
        $name:ident $features:literal $together:literal pairs of $vector:ident, $blocks:expr, $repeat:ident $repeat_word:ident $add:ident
        $add_words:ident $multiply:ident $turn:ident $even:ident $odd:ident $down:ident $store:ident, $mix:expr
    ) => {
        /// # Safety
        /// As [`words`], and the machine has the instructions.
        #[target_feature(enable = $features)]
        pub unsafe fn $name(key: i64, first: u64, down: u32, to: *mut u32) {
            use std::arch::x86_64::*;
            const LANES: usize = size_of::<$vector>() / 8;
            const TOGETHER: usize = $together;
            // Pairs of words change places.
            const ROUND: i32 = 0b10_11_00_01;
            let factors = MULTIPLIERS.map(|factor| $repeat(i64::from(factor)));
            let weyl = WEYL.map(|weyl| $repeat_word(weyl as i32));
            let down = _mm_cvtsi32_si128(down as i32);
            for group in (0..BLOCKS / LANES).step_by(TOGETHER) {
                let number = |i: usize| $repeat(first.wrapping_add(((group + i) * LANES) as u64) as i64);
                let mut states: [[$vector; 2]; TOGETHER] = std::array::from_fn(|i| [$turn::<ROUND>($add(number(i), $blocks)), $repeat(0)]);
                let mut keys = [$repeat_word(key as i32), $repeat_word((key >> 32) as i32)];
                for _ in 0..10 {
                    for [a, b] in &mut states {
                        let (around_a, around_b) = ($turn::<ROUND>(*a), $turn::<ROUND>(*b));
                        let (of_a, of_b) = ($multiply(around_a, factors[0]), $multiply(around_b, factors[1]));
                        (*a, *b) = ($mix(of_b, around_a, keys[0]), $mix(of_a, around_b, keys[1]));
                    }
                    keys = [$add_words(keys[0], weyl[0]), $add_words(keys[1], weyl[1])];
                }
                for (i, [a, b]) in states.into_iter().enumerate() {
                    let (a, b) = ($turn::<ROUND>($down(a, down)), $turn::<ROUND>($down(b, down)));
                    let to = to.wrapping_add((group + i) * 4 * LANES);
                    // SAFETY: the caller's; all vectors together are the words.
                    unsafe {
                        $store(to.cast(), $even(a, b));
                        $store(to.wrapping_add(2 * LANES).cast(), $odd(a, b));
                    }
                }
            }
        }
    };
}

// Lanes with even numbers are woven together first, then those with odd ones: hence the order of blocks.
#[cfg(target_arch = "x86_64")]
by_vectors!(
    words_512 "avx512f" 8 pairs of __m512i, _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0), _mm512_set1_epi64 _mm512_set1_epi32 _mm512_add_epi64
    _mm512_add_epi32 _mm512_mul_epu32 _mm512_shuffle_epi32 _mm512_unpacklo_epi64 _mm512_unpackhi_epi64 _mm512_srl_epi32 _mm512_storeu_si512,
    |product, around, key| _mm512_mask_ternarylogic_epi32::<0x96>(product, 0xaaaa, around, key)
);
#[cfg(target_arch = "x86_64")]
by_vectors!(
    words_256 "avx2" 2 pairs of __m256i, _mm256_set_epi64x(3, 1, 2, 0), _mm256_set1_epi64x _mm256_set1_epi32 _mm256_add_epi64
    _mm256_add_epi32 _mm256_mul_epu32 _mm256_shuffle_epi32 _mm256_unpacklo_epi64 _mm256_unpackhi_epi64 _mm256_srl_epi32 _mm256_storeu_si256,
    |product, around, key| _mm256_blend_epi32::<0xaa>(product, _mm256_xor_si256(_mm256_xor_si256(product, around), key))
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
