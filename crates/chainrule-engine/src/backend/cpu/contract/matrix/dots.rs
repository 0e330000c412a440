//! Tiles multiplied by vectors: what AVX512_BF16 does with pairs of bf16 numbers, sixteen columns at a time.
//!
//! An instruction takes two steps of the sum where a multiply-add of f32 takes one; operands in several parts would need
//! three products and more, so only one part is here.
//!
//! Refuses to run where [`is_there`] says no; whoever takes the unit has asked.

use super::{Block, LooseBlock, SIDE, STEPS, Size, TILE, Unit, fills_some};
use std::arch::x86_64::*;

/// Rows whose sums are in registers at once: chains enough to hide the latency of an instruction, and not more rows than
/// there are registers to find them by.
const ROWS: usize = 8;
/// Columns of a vector.
const LANES: usize = 16;

pub static UNIT: Unit = Unit { start: |_| (), blocks: &[one], loose: &[loose_one], speeds: &[150.0], worth: fills_some, end: || () };

/// Whether the processor has the instructions, and the system saves their registers.
pub fn is_there() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
}

unsafe fn one(block: &Block) {
    let Block { size, steps: _, a, b, before, before_row, c, c_row } = *block;
    for half in 0..2 {
        let at = half * SIDE / 2;
        let rows = Rows { size, a: a.wrapping_add(half * TILE), row: 64, b, before, before_row, c, c_row };
        // SAFETY: the caller's.
        unsafe { rows.of_tile(at, SIDE / 2, |step| (step * 2 * TILE) as isize) };
    }
}

unsafe fn loose_one(block: &LooseBlock) {
    let LooseBlock { size, steps: _, tiles, height, row, along, b, before, before_row, c, c_row } = *block;
    for (half, a) in tiles.into_iter().enumerate() {
        let rows = Rows { size, a, row: row as isize, b, before, before_row, c, c_row };
        // SAFETY: the caller's.
        unsafe { rows.of_tile(half * height, height, |step| *along.add(step)) };
    }
}

/// Rows of a tile of A, and what they are multiplied with; the fields are as those of a [`LooseBlock`].
#[derive(Clone, Copy)]
struct Rows {
    size: Size,
    a: *const u8,
    row: isize,
    b: *const u8,
    before: *const f32,
    before_row: isize,
    c: *mut f32,
    c_row: isize,
}

impl Rows {
    /// Those of a tile that are wanted, its first one being that of the block.
    #[inline(always)]
    unsafe fn of_tile(self, first: usize, height: usize, at: impl Fn(usize) -> isize + Copy) {
        let rows = self.size.rows.saturating_sub(first).min(height);
        let shares = rows.div_ceil(ROWS);
        let mut done = 0;
        for share in 0..shares {
            let count = (rows - done).div_ceil(shares - share);
            let down = (first + done) as isize;
            let own = Rows {
                a: self.a.wrapping_offset(done as isize * self.row),
                before: if self.before.is_null() { self.before } else { self.before.wrapping_byte_offset(down * self.before_row) },
                c: self.c.wrapping_byte_offset(down * self.c_row),
                ..self
            };
            // SAFETY: the caller's.
            unsafe {
                if self.size.cols <= LANES {
                    own.dispatch::<1>(count, at);
                } else {
                    own.dispatch::<2>(count, at);
                }
            }
            done += count;
        }
    }

    /// So many rows, or a few more, by vectors of columns.
    #[inline(always)]
    unsafe fn dispatch<const W: usize>(self, count: usize, at: impl Fn(usize) -> isize) {
        // SAFETY: the caller's.
        unsafe {
            match count {
                1..=2 => self.some::<2, W>(count, at),
                3..=4 => self.some::<4, W>(count, at),
                5..=6 => self.some::<6, W>(count, at),
                7 => self.some::<7, W>(count, at),
                _ => self.some::<ROWS, W>(count, at),
            }
        }
    }

    /// Up to so many rows by so many vectors of columns, all of the sum. Rows beyond their count are computed as the last one,
    /// and not written.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn some<const R: usize, const W: usize>(self, count: usize, at: impl Fn(usize) -> isize) {
        // SAFETY: the caller's.
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); W]; R];
            if !self.before.is_null() {
                for (row, sums) in sums.iter_mut().enumerate().take(count) {
                    let from = self.before.wrapping_byte_offset(row as isize * self.before_row);
                    *sums = std::array::from_fn(|half| _mm512_loadu_ps(from.wrapping_add(LANES * half)));
                }
            }
            let rows: [isize; R] = std::array::from_fn(|row| row.min(count - 1) as isize * self.row);
            let (mut b, mut left, mut step) = (self.b, self.size.pairs, 0);
            while left > 0 {
                let a = self.a.wrapping_offset(at(step));
                let pairs = left.min(STEPS / 2);
                for pair in 0..pairs {
                    let columns: [__m512bh; W] =
                        std::array::from_fn(|half| bf16(_mm512_loadu_si512(b.wrapping_add(half * TILE + 64 * pair).cast())));
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        let number = a.wrapping_offset(row).wrapping_add(4 * pair);
                        let number = bf16(_mm512_set1_epi32(number.cast::<i32>().read_unaligned()));
                        for (sum, columns) in sums.iter_mut().zip(columns) {
                            *sum = _mm512_dpbf16_ps(*sum, number, columns);
                        }
                    }
                }
                (b, left, step) = (b.wrapping_add(2 * TILE), left - pairs, step + 1);
            }
            for (row, sums) in sums.iter().enumerate().take(count) {
                let to = self.c.wrapping_byte_offset(row as isize * self.c_row);
                for (half, &sum) in sums.iter().enumerate() {
                    _mm512_storeu_ps(to.wrapping_add(LANES * half), sum);
                }
            }
        }
    }
}

/// The same bits, as pairs of bf16 numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn bf16(bits: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes of any content.
    unsafe { std::mem::transmute(bits) }
}
