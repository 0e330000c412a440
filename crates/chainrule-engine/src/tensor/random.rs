//! The generator behind every random number: Philox4x32-10, a function of a key and a counter.
//!
//! It has no state, so a stream can be read at any place, by any number of threads, and gives
//! the same words. Refuses to know distributions. The function is the one of Salmon, Moraes,
//! Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).

pub(crate) const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
pub(crate) const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];

/// Ten rounds of Philox over four 32-bit counter words with two 32-bit key words.
#[inline(always)]
pub fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut a, mut b, mut c, mut d] = counter;
    let [mut low, mut high] = key;
    let mut round = 0;
    while round < 10 {
        let first = MULTIPLIERS[0] as u64 * a as u64;
        let second = MULTIPLIERS[1] as u64 * c as u64;
        a = (second >> 32) as u32 ^ b ^ low;
        b = second as u32;
        c = (first >> 32) as u32 ^ d ^ high;
        d = first as u32;
        low = low.wrapping_add(WEYL[0]);
        high = high.wrapping_add(WEYL[1]);
        round += 1;
    }
    [a, b, c, d]
}

/// Word `n` of the stream of `key`: 64 random bits.
///
/// Block `n / 2` of the generator has the key words (low half of `key`, high half) and the
/// counter words (low half of the block's number, high half, 0, 0). Of its four outputs the
/// first two (low, high) are the word for even `n`, the other two for odd `n`.
///
/// ```
/// # use chainrule_engine::tensor::random::word;
/// assert_eq!(word(0, 0), 0xe169_c58d_6627_e8d5);
/// assert_eq!(word(0, 1), 0x9b00_dbd8_bc57_ac4c);
/// ```
#[inline(always)]
pub fn word(key: i64, n: u64) -> u64 {
    let block = n / 2;
    let [a, b, c, d] = philox4x32_10([block as u32, (block >> 32) as u32, 0, 0], [key as u32, (key >> 32) as u32]);
    if n.is_multiple_of(2) { a as u64 | (b as u64) << 32 } else { c as u64 | (d as u64) << 32 }
}

/// Number `n` of the stream of `key` where each has so many bits, 1 to 64. Up to 32 bits are the top ones of half a word, the lower half
/// of word `n / 2` for even `n` and the upper half for odd `n`; more are the top ones of word `n`.
///
/// ```
/// # use chainrule_engine::tensor::random::draw;
/// assert_eq!([0, 1, 2].map(|n| draw(0, n, 32)), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c]);
/// assert_eq!((draw(0, 1, 8), draw(0, 1, 40)), (0xe1, 0x9b_00db_d8bc));
/// ```
#[inline(always)]
pub fn draw(key: i64, n: u64, bits: u32) -> i64 {
    if in_a_block(bits) == 4 {
        let half = word(key, n / 2) >> (32 * (n % 2)) & u64::from(u32::MAX);
        (half >> (32 - bits)) as i64
    } else {
        (word(key, n) >> (64 - bits)) as i64
    }
}

/// How many numbers of so many bits a block of the generator makes.
#[inline(always)]
pub fn in_a_block(bits: u32) -> usize {
    if bits <= 32 { 4 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that the authors of the generator publish with it.
    #[test]
    fn known_answers() {
        assert_eq!(philox4x32_10([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox4x32_10([u32::MAX; 4], [u32::MAX; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        assert_eq!(
            philox4x32_10([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    #[test]
    fn words_take_key_and_counter_by_halves() {
        let key = 0x0123_4567_89ab_cdef_i64;
        let n = (5_u64 << 33) + 7;
        let [_, _, c, d] = philox4x32_10([3, 5, 0, 0], [0x89ab_cdef, 0x0123_4567]);
        assert_eq!(word(key, n), (d as u64) << 32 | c as u64);
        assert_ne!(word(key, n), word(key, n - 1));
        assert_ne!(word(key, n), word(key + 1, n));
    }
}
