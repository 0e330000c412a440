//! Splitting with vectors of 512 bits: what the compiler makes of the portable way takes twice as many instructions, as
//! it does not find the one that picks every second half of two vectors.
//!
//! Refuses to compute anything else than the portable way.

use super::super::matrix::{STEPS, TILE};
use super::{Some32, Way};
use std::arch::x86_64::*;

/// The instructions of AVX-512.
pub struct Wide;

impl Way for Wide {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn parts<const P: usize>(from: Some32, to: [*mut u8; P]) {
        // SAFETY: the caller's.
        unsafe {
            let [mut low, mut high] = [half(from, 0), half(from, 1)];
            for (part, to) in to.into_iter().enumerate() {
                let (one, two) = (part_of::<P>(part, low), part_of::<P>(part, high));
                _mm512_storeu_si512(to.cast(), upper_halves(one, two));
                (low, high) = (_mm512_sub_ps(low, one), _mm512_sub_ps(high, two));
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn pairs<const P: usize>(one: Some32, two: Some32, to: [*mut u8; P]) {
        for at in 0..2 {
            // SAFETY: the caller's.
            unsafe {
                let [mut a, mut b] = [half(one, at), half(two, at)];
                for (part, to) in to.into_iter().enumerate() {
                    let (of_a, of_b) = (part_of::<P>(part, a), part_of::<P>(part, b));
                    let first = _mm512_srli_epi32::<16>(_mm512_castps_si512(of_a));
                    let both = _mm512_mask_mov_epi16(first, 0xaaaa_aaaa, _mm512_castps_si512(of_b));
                    _mm512_storeu_si512(to.wrapping_add(TILE * at).cast(), both);
                    (a, b) = (_mm512_sub_ps(a, of_a), _mm512_sub_ps(b, of_b));
                }
            }
        }
    }

    /// Four times four numbers change places, and then the quarters of vectors.
    #[target_feature(enable = "avx512f")]
    unsafe fn turn(tile: *mut u8) {
        // SAFETY: the caller's; a tile has 16 rows of 64 bytes.
        unsafe {
            let row = |i: usize| tile.add(64 * i).cast::<__m512i>();
            let mut two = [_mm512_setzero_si512(); 16];
            for i in 0..8 {
                let (a, b) = (_mm512_loadu_si512(row(2 * i)), _mm512_loadu_si512(row(2 * i + 1)));
                (two[2 * i], two[2 * i + 1]) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            }
            let mut four = two;
            for i in 0..4 {
                for j in 0..2 {
                    let (a, b) = (two[4 * i + j], two[4 * i + j + 2]);
                    four[4 * i + 2 * j] = _mm512_unpacklo_epi64(a, b);
                    four[4 * i + 2 * j + 1] = _mm512_unpackhi_epi64(a, b);
                }
            }
            // Quarter q of `four[4 i + j]` is column 4 q + j of rows 4 i to 4 i + 3.
            for j in 0..4 {
                let even = |i: usize| _mm512_shuffle_i32x4::<0x88>(four[i + j], four[i + 4 + j]);
                let odd = |i: usize| _mm512_shuffle_i32x4::<0xdd>(four[i + j], four[i + 4 + j]);
                _mm512_storeu_si512(row(j), _mm512_shuffle_i32x4::<0x88>(even(0), even(8)));
                _mm512_storeu_si512(row(4 + j), _mm512_shuffle_i32x4::<0x88>(odd(0), odd(8)));
                _mm512_storeu_si512(row(8 + j), _mm512_shuffle_i32x4::<0xdd>(even(0), even(8)));
                _mm512_storeu_si512(row(12 + j), _mm512_shuffle_i32x4::<0xdd>(odd(0), odd(8)));
            }
        }
    }
}

/// The first or the second sixteen of some numbers.
///
/// # Safety
/// They are there.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn half(from: Some32, which: usize) -> __m512 {
    // SAFETY: the caller's; what is not there is not read.
    unsafe { _mm512_maskz_loadu_ps((from.there >> (16 * which)) as u16, from.first.wrapping_add(16 * which)) }
}

/// [`super::part_of`] of sixteen numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn part_of<const P: usize>(part: usize, left: __m512) -> __m512 {
    let bits = _mm512_castps_si512(left);
    let upper = |bits| _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(0xffff_0000_u32 as i32)));
    if P == 1 {
        let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let nearest = _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff));
        let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
        let no_number = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(left, left);
        upper(_mm512_mask_mov_epi32(nearest, no_number, quiet))
    } else if part == 0 || P == 2 {
        upper(_mm512_add_epi32(bits, _mm512_set1_epi32(0x8000)))
    } else if part == 1 {
        upper(bits)
    } else {
        left
    }
}

/// The upper halves of sixteen numbers and of sixteen more.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn upper_halves(one: __m512, two: __m512) -> __m512i {
    /// Every second of the 64 halves of two vectors.
    const PLACES: [u16; STEPS] = {
        let mut places = [0; STEPS];
        let mut i = 0;
        while i < STEPS {
            places[i] = 2 * i as u16 + 1;
            i += 1;
        }
        places
    };
    // SAFETY: both are 64 bytes of any content.
    let places = unsafe { std::mem::transmute::<[u16; STEPS], __m512i>(PLACES) };
    _mm512_permutex2var_epi16(_mm512_castps_si512(one), places, _mm512_castps_si512(two))
}
