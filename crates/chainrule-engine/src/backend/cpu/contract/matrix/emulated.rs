//! The matrix unit as the manual defines it, in plain code: the oracle of the instructions, and what tests of
//! everything above them run on where there is no such unit.

use super::{Block, SIDE, TILE, Unit};

/// A unit that any machine has.
pub static EMULATED: Unit = Unit { start: || (), blocks: [block::<1>, block::<2>, block::<3>], end: || () };

/// The order in which parts of A and of B are multiplied, for one, two and three parts.
const ORDERS: [&[(usize, usize)]; 3] = [&[(0, 0)], &[(1, 0), (0, 0), (0, 1)], &[(2, 0), (1, 0), (1, 1), (0, 1), (0, 0), (0, 2)]];

/// Numbers below 2^-126 count as zero.
fn flushed(number: f32) -> f32 {
    if number.is_subnormal() { 0.0_f32.copysign(number) } else { number }
}

fn bf16(at: *const u8) -> f32 {
    // SAFETY: the caller's, below.
    flushed(f32::from_bits(u32::from(unsafe { at.cast::<u16>().read() }) << 16))
}

unsafe fn block<const P: usize>(block: &Block) {
    let mut sums = [[0.0_f32; SIDE]; SIDE];
    let at = |row: usize, col: usize| block.c.wrapping_byte_offset(row as isize * block.c_row).wrapping_add(col);
    let before = |row: usize, col: usize| block.before.wrapping_byte_offset(row as isize * block.before_row).wrapping_add(col);
    // SAFETY: the contract of `Kernel`.
    unsafe {
        if !block.before.is_null() {
            (0..SIDE * SIDE).for_each(|i| sums[i / SIDE][i % SIDE] = before(i / SIDE, i % SIDE).read());
        }
        for step in 0..block.steps {
            for &(part_a, part_b) in ORDERS[P - 1] {
                let tile = |first: *const u8, part: usize, half: usize| first.add(((step * P + part) * 2 + half) * TILE);
                for (row, sums) in sums.iter_mut().enumerate() {
                    for (col, sum) in sums.iter_mut().enumerate() {
                        let (a, b) = (tile(block.a, part_a, row / 16), tile(block.b, part_b, col / 16));
                        *sum = multiplied(*sum, a.add(row % 16 * 64), b.add(col % 16 * 4));
                    }
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            sums.iter().enumerate().for_each(|(col, &sum)| at(row, col).write(sum));
        }
    }
}

/// TDPBF16PS for one element: even and odd neighbours along the sum apart, then together.
fn multiplied(sum: f32, a: *const u8, b: *const u8) -> f32 {
    let (mut even, mut odd) = (0.0_f32, 0.0_f32);
    for pair in 0..16 {
        let number = |of: *const u8, bytes: usize| bf16(of.wrapping_add(bytes));
        even = flushed(fused(number(a, pair * 4), number(b, pair * 64), even));
        odd = flushed(fused(number(a, pair * 4 + 2), number(b, pair * 64 + 2), odd));
    }
    flushed(flushed(sum) + flushed(even + odd))
}

/// `a * b + c`, rounded once. Two bf16 numbers have a product of 16 bits, which f32 holds if it is a normal number: a call
/// of the standard library's function, ten times slower where no instruction is known at compile time, is for the others.
fn fused(a: f32, b: f32, c: f32) -> f32 {
    let product = a * b;
    if product.is_normal() { product + c } else { a.mul_add(b, c) }
}
