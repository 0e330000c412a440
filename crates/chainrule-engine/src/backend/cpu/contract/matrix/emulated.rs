//! The units as the manual defines them, in plain code: the oracle of the instructions, and what tests of everything above
//! them run on where there is no such unit.

use super::{Block, LooseBlock, SIDE, TILE, Unit, fills_blocks, fills_some};

/// Matrix tiles that any machine has.
pub static TILES: Unit = Unit {
    start: |_| (),
    blocks: &[block::<1, false>, block::<2, false>, block::<3, false>],
    loose: &[loose::<1, false>, loose::<2, false>, loose::<3, false>],
    speeds: &[1400.0, 500.0, 220.0],
    worth: fills_blocks,
    end: || (),
};

/// Dot products of pairs that any machine has.
pub static DOTS: Unit =
    Unit { start: |_| (), blocks: &[block::<1, true>], loose: &[loose::<1, true>], speeds: &[150.0], worth: fills_some, end: || () };

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

unsafe fn block<const P: usize, const DOTS: bool>(block: &Block) {
    let tile = |step: usize, part: usize, half: usize| ((step * P + part) * 2 + half) * TILE;
    // SAFETY: the contract of `Kernel`.
    unsafe {
        let a = |row: usize, step: usize, part: usize| block.a.add(tile(step, part, row / 16) + row % 16 * 64);
        let b = |col: usize, step: usize, part: usize| block.b.add(tile(step, part, col / 16) + col % 16 * 4);
        let before = (block.before, block.before_row);
        multiplied_parts::<P, DOTS>((SIDE, block.steps), a, b, before, (block.c, block.c_row));
    }
}

unsafe fn loose<const P: usize, const DOTS: bool>(block: &LooseBlock) {
    let tile = |step: usize, part: usize, half: usize| ((step * P + part) * 2 + half) * TILE;
    // SAFETY: the contract of `LooseKernel`.
    unsafe {
        let a = |row: usize, step: usize, part: usize| {
            let first = block.tiles[row / block.height].offset(*block.along.add(step));
            first.add(row % block.height * block.row + 64 * part)
        };
        let b = |col: usize, step: usize, part: usize| block.b.add(tile(step, part, col / 16) + col % 16 * 4);
        let before = (block.before, block.before_row);
        multiplied_parts::<P, DOTS>((2 * block.height, block.steps), a, b, before, (block.c, block.c_row));
    }
}

/// Some rows by 32 columns; `a` and `b` say where the 32 numbers of a part of a row or column are in a step.
unsafe fn multiplied_parts<const P: usize, const DOTS: bool>(
    (rows, steps): (usize, usize),
    a: impl Fn(usize, usize, usize) -> *const u8,
    b: impl Fn(usize, usize, usize) -> *const u8,
    (before, before_row): (*const f32, isize),
    (c, c_row): (*mut f32, isize),
) {
    let mut sums = [[0.0_f32; SIDE]; SIDE];
    let sums = &mut sums[..rows];
    // SAFETY: the contracts of the kernels.
    unsafe {
        for (row, sums) in sums.iter_mut().enumerate().filter(|_| !before.is_null()) {
            let before = before.wrapping_byte_offset(row as isize * before_row);
            sums.iter_mut().enumerate().for_each(|(col, sum)| *sum = before.add(col).read());
        }
        for step in 0..steps {
            for &(part_a, part_b) in ORDERS[P - 1] {
                for (row, sums) in sums.iter_mut().enumerate() {
                    for (col, sum) in sums.iter_mut().enumerate() {
                        let (a, b) = (a(row, step, part_a), b(col, step, part_b));
                        *sum = if DOTS { dotted(*sum, a, b) } else { multiplied(*sum, a, b) };
                    }
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            let c = c.wrapping_byte_offset(row as isize * c_row);
            sums.iter().enumerate().for_each(|(col, &sum)| c.add(col).write(sum));
        }
    }
}

/// TDPBF16PS for one element: even and odd neighbours along the sum apart, then together.
fn multiplied(sum: f32, a: *const u8, b: *const u8) -> f32 {
    let (mut even, mut odd) = (0.0_f32, 0.0_f32);
    for pair in 0..16 {
        even = flushed(fused(number(a, pair * 4), number(b, pair * 64), even));
        odd = flushed(fused(number(a, pair * 4 + 2), number(b, pair * 64 + 2), odd));
    }
    flushed(flushed(sum) + flushed(even + odd))
}

/// Sixteen times VDPBF16PS for one element: of each pair the second product is added first.
fn dotted(mut sum: f32, a: *const u8, b: *const u8) -> f32 {
    for at in (0..16).flat_map(|pair| [[pair * 4 + 2, pair * 64 + 2], [pair * 4, pair * 64]]) {
        sum = flushed(fused(number(a, at[0]), number(b, at[1]), sum));
    }
    sum
}

fn number(of: *const u8, bytes: usize) -> f32 {
    bf16(of.wrapping_add(bytes))
}

/// `a * b + c`, rounded once. Two bf16 numbers have a product of 16 bits, which f32 holds if it is a normal number: a call
/// of the standard library's function, ten times slower where no instruction is known at compile time, is for the others.
fn fused(a: f32, b: f32, c: f32) -> f32 {
    let product = a * b;
    if product.is_normal() { product + c } else { a.mul_add(b, c) }
}
