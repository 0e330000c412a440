//! Loops for single kernels, written with the instructions of AVX-512: what an engineer would write who has nothing else to do.
//!
//! Each takes whole vectors of sixteen numbers and refuses other lengths. Functions are as exact as the engine's: two units
//! in the last place.

use std::arch::x86_64::*;

/// Numbers of a vector.
const LANES: usize = 16;

/// The vectors of an array, and of another one as long.
fn vectors<'a>(from: &'a [f32], to: &'a mut [f32]) -> impl Iterator<Item = (*const f32, *mut f32)> {
    assert!(from.len() == to.len() && from.len().is_multiple_of(LANES), "whole vectors, as many to write as to read");
    from.chunks_exact(LANES).zip(to.chunks_exact_mut(LANES)).map(|(from, to)| (from.as_ptr(), to.as_mut_ptr()))
}

/// e to the power of each number: 2^n times a polynomial (S. L. Moshier, Cephes, `expf`); of -inf 0, as rows are masked by it.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn exp(x: __m512) -> __m512 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    let set = |number: f32| _mm512_set1_ps(number);
    // In this order a NaN stays.
    let x = _mm512_max_ps(set(-120.0), _mm512_min_ps(set(120.0), x));
    let n = _mm512_roundscale_ps::<8>(_mm512_mul_ps(x, set(LOG2_E)));
    let r = _mm512_fnmadd_ps(n, set(-2.121_944_4e-4), _mm512_fnmadd_ps(n, set(0.693_359_4), x));
    let mut p = set(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = _mm512_fmadd_ps(p, r, set(coefficient));
    }
    _mm512_scalef_ps(_mm512_add_ps(_mm512_fmadd_ps(_mm512_mul_ps(r, r), p, r), set(1.0)), n)
}

/// x / (1 + e^(-2u)) with u = sqrt(2/pi) (x + 0.044715 x^3), which is x/2 (1 + tanh u).
pub fn gelu_tanh(x: &[f32], y: &mut [f32]) {
    #[target_feature(enable = "avx512f,avx512dq")]
    fn all(x: &[f32], y: &mut [f32]) {
        const SLOPE: f32 = -1.595_769;
        for (from, to) in vectors(x, y) {
            // SAFETY: a vector of each.
            unsafe {
                let x = _mm512_loadu_ps(from);
                let square = _mm512_mul_ps(x, x);
                let u = _mm512_mul_ps(x, _mm512_fmadd_ps(square, _mm512_set1_ps(0.044_715 * SLOPE), _mm512_set1_ps(SLOPE)));
                _mm512_storeu_ps(to, _mm512_div_ps(x, _mm512_add_ps(exp(u), _mm512_set1_ps(1.0))));
            }
        }
    }
    // SAFETY: the command asks first whether the machine has the instructions. So below.
    unsafe { all(x, y) }
}

/// Each row less its mean, divided by its deviation; rows stay in registers.
pub fn layer_norm<const ROW: usize>(x: &[f32], y: &mut [f32]) {
    #[target_feature(enable = "avx512f,avx512dq")]
    fn all<const ROW: usize>(x: &[f32], y: &mut [f32]) {
        for (from, to) in x.chunks_exact(ROW).zip(y.chunks_exact_mut(ROW)) {
            let (mut sum, mut squares) = (_mm512_setzero_ps(), _mm512_setzero_ps());
            // SAFETY: vectors of a row, of each.
            unsafe {
                for i in 0..ROW / LANES {
                    sum = _mm512_add_ps(sum, _mm512_loadu_ps(from.as_ptr().add(i * LANES)));
                }
                let mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / ROW as f32);
                for i in 0..ROW / LANES {
                    let off = _mm512_sub_ps(_mm512_loadu_ps(from.as_ptr().add(i * LANES)), mean);
                    squares = _mm512_fmadd_ps(off, off, squares);
                }
                let scale = _mm512_set1_ps(1.0 / (_mm512_reduce_add_ps(squares) / ROW as f32 + 1e-5).sqrt());
                for i in 0..ROW / LANES {
                    let off = _mm512_sub_ps(_mm512_loadu_ps(from.as_ptr().add(i * LANES)), mean);
                    _mm512_storeu_ps(to.as_mut_ptr().add(i * LANES), _mm512_mul_ps(off, scale));
                }
            }
        }
    }
    // SAFETY: as above.
    unsafe { all::<ROW>(x, y) }
}

/// Writes e to the power of what each number of a row is above the greatest; their sum, and that greatest one.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn powers<const ROW: usize>(from: &[f32], to: &mut [f32]) -> (f32, f32) {
    let (mut most, mut sum) = (_mm512_set1_ps(f32::NEG_INFINITY), _mm512_setzero_ps());
    // SAFETY: vectors of a row, of each.
    unsafe {
        for i in 0..ROW / LANES {
            most = _mm512_max_ps(most, _mm512_loadu_ps(from.as_ptr().add(i * LANES)));
        }
        let greatest = _mm512_reduce_max_ps(most);
        for i in 0..ROW / LANES {
            let power = exp(_mm512_sub_ps(_mm512_loadu_ps(from.as_ptr().add(i * LANES)), _mm512_set1_ps(greatest)));
            sum = _mm512_add_ps(sum, power);
            _mm512_storeu_ps(to.as_mut_ptr().add(i * LANES), power);
        }
        (_mm512_reduce_add_ps(sum), greatest)
    }
}

/// Multiplies a row.
#[inline]
#[target_feature(enable = "avx512f")]
fn scale(row: &mut [f32], by: f32) {
    for vector in row.chunks_exact_mut(LANES) {
        // SAFETY: a vector.
        unsafe { _mm512_storeu_ps(vector.as_mut_ptr(), _mm512_mul_ps(_mm512_loadu_ps(vector.as_ptr()), _mm512_set1_ps(by))) };
    }
}

/// Powers of each row, divided by their sum.
pub fn softmax<const ROW: usize>(x: &[f32], y: &mut [f32]) {
    #[target_feature(enable = "avx512f,avx512dq")]
    fn all<const ROW: usize>(x: &[f32], y: &mut [f32]) {
        for (from, to) in x.chunks_exact(ROW).zip(y.chunks_exact_mut(ROW)) {
            let (sum, _) = powers::<ROW>(from, to);
            scale(to, 1.0 / sum);
        }
    }
    // SAFETY: as above.
    unsafe { all::<ROW>(x, y) }
}

/// The mean over rows of the logarithm of the label's probability, negative; and its gradient by all numbers, in `y`.
pub fn cross_entropy<const ROW: usize>(x: &[f32], labels: &[i64], y: &mut [f32]) -> f32 {
    #[target_feature(enable = "avx512f,avx512dq")]
    fn all<const ROW: usize>(x: &[f32], labels: &[i64], y: &mut [f32]) -> f32 {
        let (mut loss, share) = (0.0, 1.0 / labels.len() as f32);
        for ((from, to), &label) in x.chunks_exact(ROW).zip(y.chunks_exact_mut(ROW)).zip(labels) {
            let (sum, greatest) = powers::<ROW>(from, to);
            scale(to, share / sum);
            to[label as usize] -= share;
            loss += sum.ln() + greatest - from[label as usize];
        }
        loss * share
    }
    // SAFETY: as above.
    unsafe { all::<ROW>(x, labels, y) }
}

/// One update of parameters and both moments, with the numbers of the step beside it.
pub fn adam_w(g: &[f32], p: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    #[target_feature(enable = "avx512f")]
    fn all(g: &[f32], p: &mut [f32], m: &mut [f32], v: &mut [f32]) {
        let set = |number: f32| _mm512_set1_ps(number);
        let arrays = g.chunks_exact(LANES).zip(p.chunks_exact_mut(LANES)).zip(m.chunks_exact_mut(LANES)).zip(v.chunks_exact_mut(LANES));
        for (((g, p), m), v) in arrays {
            // SAFETY: a vector of each.
            unsafe {
                let slope = _mm512_loadu_ps(g.as_ptr());
                let first = _mm512_fmadd_ps(_mm512_loadu_ps(m.as_ptr()), set(0.9), _mm512_mul_ps(slope, set(0.1)));
                let second =
                    _mm512_fmadd_ps(_mm512_loadu_ps(v.as_ptr()), set(0.999), _mm512_mul_ps(_mm512_mul_ps(slope, slope), set(0.001)));
                let step = _mm512_div_ps(first, _mm512_add_ps(_mm512_sqrt_ps(second), set(1e-8)));
                let kept = _mm512_mul_ps(_mm512_loadu_ps(p.as_ptr()), set(1.0 - 1e-5));
                _mm512_storeu_ps(m.as_mut_ptr(), first);
                _mm512_storeu_ps(v.as_mut_ptr(), second);
                _mm512_storeu_ps(p.as_mut_ptr(), _mm512_fnmadd_ps(step, set(1e-3), kept));
            }
        }
    }
    // SAFETY: as above.
    unsafe { all(g, p, m, v) }
}

/// A fifth of all numbers set to zero, the others divided by four fifths, as Philox4x32-10 says (J. Salmon et al., Parallel random
/// numbers: as easy as 1, 2, 3, SC11), eight vectors of words at a time.
pub fn dropout(x: &[f32], y: &mut [f32]) {
    const VECTORS: usize = 8;
    #[target_feature(enable = "avx512f")]
    fn all(x: &[f32], y: &mut [f32]) {
        // Below this of 2^32: a fifth.
        let least = _mm512_set1_epi32(858_993_459);
        let pair = |a: i64, b: i64| _mm512_set_epi64(b, a, b, a, b, a, b, a);
        let (factors, weyl) = (pair(0xd251_1f53, 0xcd9e_8d57), pair(0x9e37_79b9, 0xbb67_ae85));
        for (at, (from, to)) in x.chunks_exact(VECTORS * LANES).zip(y.chunks_exact_mut(VECTORS * LANES)).enumerate() {
            // Lanes of 64 bits hold two words of a block each; the first word of each block is its number.
            let mut words: [__m512i; VECTORS] = std::array::from_fn(|i| {
                let first = ((at * VECTORS + i) * LANES / 4) as i64;
                _mm512_add_epi64(pair(first, 0), _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0))
            });
            let mut keys = pair(2, 0);
            for _ in 0..10 {
                for words in &mut words {
                    let products = _mm512_shuffle_epi32::<0b00_01_10_11>(_mm512_mul_epu32(*words, factors));
                    *words = _mm512_ternarylogic_epi64::<0x96>(products, _mm512_srli_epi64::<32>(*words), keys);
                }
                keys = _mm512_add_epi32(keys, weyl);
            }
            for (i, words) in words.into_iter().enumerate() {
                let kept = _mm512_cmpge_epu32_mask(words, least);
                // SAFETY: a vector of each.
                unsafe {
                    let scaled = _mm512_maskz_mul_ps(kept, _mm512_loadu_ps(from.as_ptr().add(i * LANES)), _mm512_set1_ps(1.25));
                    _mm512_storeu_ps(to.as_mut_ptr().add(i * LANES), scaled);
                }
            }
        }
    }
    // SAFETY: as above.
    unsafe { all(x, y) }
}
