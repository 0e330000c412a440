//! f32 numbers as sums of bf16 parts, laid out for matrix tiles.
//!
//! A number of 24 bits is exactly the sum of three parts of 8: the nearest bf16 number, the first bits of what is left,
//! and the rest. A panel of 32 rows of A or columns of B holds, step after step of 32 along the sum, for each part two
//! tiles: rows of A as they are, columns of B in pairs of neighbours along the sum (Intel 64 and IA-32 Architectures
//! Software Developer's Manual, volume 1, chapter on AMX).
//!
//! Refuses to fetch numbers from where they lie, and to lay out what parts cannot hold: such a panel is marked.

use super::super::level::{Level, prefetch};
use super::loose;
use super::matrix::{SIDE, STEPS, TILE};

#[cfg(target_arch = "x86_64")]
pub mod wide;

/// Largest magnitudes of a row or column, as bits, that parts can hold: from 2^-45, so that products a rounding
/// smaller than the largest are still far above 2^-126, up to 2^60, so that no sum overflows that would not in f32.
const FIT: std::ops::Range<u32> = (127 - 45) << 23..(127 + 60) << 23;

/// Whether parts can hold a row or column whose largest magnitude has these bits.
#[inline(always)]
pub fn fits(largest: u32) -> bool {
    largest == 0 || FIT.contains(&largest)
}

/// Bytes of one panel that stay in the nearest cache, of which a processor with tiles has 48 KB.
const NEAR: usize = 24 * 1024;

/// How far ahead memory is asked for that lies line after line. A line is long: the processor finds its pieces itself.
const LINES_AHEAD: usize = 2;
/// The same for memory step after step, of which each is in another page, perhaps.
const STEPS_AHEAD: usize = 16;

/// The first element of a panel that parts cannot hold: no number, hence in no other panel.
const UNFIT: u16 = 0x7fff;

/// Where numbers are; places are counted from there.
#[derive(Clone, Copy)]
pub enum From {
    /// As they are. What the operand lacks is zero.
    Whole(*const f32),
    /// In parts already, as [`super::loose`] has them, which can hold them all.
    Parts(*const u16),
}

/// Numbers of one panel, where they lie or where they were fetched to: 32 lines, which are rows of A or columns of B.
pub struct Numbers<'a> {
    /// From where places are counted.
    pub from: From,
    /// Whether numbers lie side by side along the sum, line after line; otherwise along lines, step after step.
    pub along_sum: bool,
    /// Where each line begins, or each step.
    pub rows: &'a [isize],
    /// How much farther in a row each 32 numbers begin that lie side by side: as many as there are along the sum, or one.
    pub pieces: &'a [isize],
    /// The panel.
    pub to: *mut u8,
    /// How many times 32 along the sum.
    pub steps: usize,
    /// How many lines there are, and how long they are. Up to 32, and to the end of the last step, parts are zero.
    pub size: [usize; 2],
    /// Parts of each number, 1 to 3.
    pub parts: usize,
    /// Whether these are rows of A.
    pub of_a: bool,
}

/// Bytes of a panel.
pub const fn panel_bytes(steps: usize, parts: usize) -> usize {
    steps * parts * 2 * TILE
}

/// How many steps of a panel of A and of one of B the nearest cache holds next to each other, with room for a result.
pub const fn near(parts: usize) -> usize {
    NEAR / panel_bytes(1, parts)
}

/// Whether a panel holds numbers, and not the mark that it cannot.
///
/// # Safety
/// `panel` was laid out by [`split`].
pub unsafe fn is_fit(panel: *const u8) -> bool {
    // SAFETY: the caller's; a panel has at least one tile.
    unsafe { panel.cast::<u16>().read() != UNFIT }
}

/// Lays out a panel. One part is the number rounded, whatever it is; several must add up to it, and where that cannot
/// be, the panel is marked instead.
///
/// # Safety
/// What `from` points to and `to` are valid for what the fields say, and do not overlap; the machine has the level's instructions.
pub unsafe fn split(numbers: &Numbers<'_>, level: Level) {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if level == Level::Avx512 {
            return with_wide(numbers);
        }
        let _ = level;
        any::<Portable>(numbers);
    }
}

/// # Safety
/// As [`split`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn with_wide(numbers: &Numbers<'_>) {
    // SAFETY: the caller's.
    unsafe { any::<wide::Wide>(numbers) }
}

/// # Safety
/// As [`split`].
#[inline(always)]
unsafe fn any<W: Way>(numbers: &Numbers<'_>) {
    let mut largest = [0_u32; SIDE];
    // SAFETY: the caller's.
    unsafe {
        match numbers.parts {
            1 => lay_out::<W, 1>(numbers, &mut largest),
            2 => lay_out::<W, 2>(numbers, &mut largest),
            _ => lay_out::<W, 3>(numbers, &mut largest),
        }
        // Tiles of A have the lines below each other, those of B side by side: one is the other turned.
        if numbers.along_sum != numbers.of_a {
            (0..numbers.steps * numbers.parts * 2).for_each(|tile| W::turn(numbers.to.add(tile * TILE)));
        }
    }
    if numbers.parts > 1 && !largest.iter().all(|&largest| fits(largest)) {
        // SAFETY: the caller's; a panel has at least one tile.
        unsafe { numbers.to.cast::<u16>().write(UNFIT) };
    }
}

/// # Safety
/// As [`split`].
#[inline(always)]
unsafe fn lay_out<W: Way, const P: usize>(numbers: &Numbers<'_>, largest: &mut [u32; SIDE]) {
    // SAFETY: the caller's.
    unsafe {
        // Masks of what is there cost a panel that lacks nothing as much as its numbers do.
        let all = numbers.size == [SIDE, numbers.steps * STEPS];
        match (numbers.from, numbers.along_sum) {
            (From::Whole(from), true) if all => lines::<W, P, true>(numbers, from, largest),
            (From::Whole(from), true) => lines::<W, P, false>(numbers, from, largest),
            (From::Whole(from), false) if all => steps::<W, P, true>(numbers, from, largest),
            (From::Whole(from), false) => steps::<W, P, false>(numbers, from, largest),
            (From::Parts(from), true) => loose::lines::<P>(numbers, from),
            (From::Parts(from), false) => loose::steps::<P>(numbers, from),
        }
    }
}

/// Lays out numbers line by line, as tiles of A; the largest magnitude of each line, as bits, if there are several parts.
#[inline(always)]
unsafe fn lines<W: Way, const P: usize, const ALL: bool>(numbers: &Numbers<'_>, start: *const f32, largest: &mut [u32; SIDE]) {
    let [lines, depth] = numbers.size;
    for (line, largest) in largest.iter_mut().enumerate() {
        let tile = |step: usize, part: usize| numbers.to.wrapping_add(((step * P + part) * 2 + line / 16) * TILE + line % 16 * 64);
        if !ALL && line >= lines {
            // SAFETY: the caller's.
            (0..numbers.steps * P).for_each(|at| unsafe { tile(at / P, at % P).write_bytes(0, 64) });
            continue;
        }
        let (first, later) = (numbers.rows[line], numbers.rows[(line + LINES_AHEAD).min(lines - 1)]);
        let mut most = [0_u32; STEPS];
        for step in 0..numbers.steps {
            let from = Some32 { first: start.wrapping_offset(first + numbers.pieces[step]), there: there::<ALL>(depth - step * STEPS) };
            fetch(from.first.wrapping_offset(later - first));
            // SAFETY: the caller's.
            unsafe {
                if P > 1 {
                    farther(&mut most, from);
                }
                W::parts::<P>(from, std::array::from_fn(|part| tile(step, part)));
            }
        }
        *largest = most.iter().fold(0, |one, other| one.max(*other));
    }
}

/// Lays out numbers two steps at a time, as tiles of B; the largest magnitude of each line, as bits, if there are several parts.
#[inline(always)]
unsafe fn steps<W: Way, const P: usize, const ALL: bool>(numbers: &Numbers<'_>, start: *const f32, largest: &mut [u32; SIDE]) {
    let ([lines, depth], mut most) = (numbers.size, [0_u32; SIDE]);
    let (first, last) = (start.wrapping_offset(numbers.pieces[0]), depth - 1);
    for pair in 0..numbers.steps * STEPS / 2 {
        let row = |step: usize| first.wrapping_offset(numbers.rows[step.min(last)]);
        fetch(row(2 * pair + STEPS_AHEAD));
        fetch(row(2 * pair + STEPS_AHEAD + 1));
        let some = |step: usize| Some32 { first: row(step), there: if ALL || step <= last { there::<ALL>(lines) } else { 0 } };
        let (one, two) = (some(2 * pair), some(2 * pair + 1));
        let tile = |part: usize| numbers.to.wrapping_add((pair / 16 * P + part) * 2 * TILE + pair % 16 * 64);
        // SAFETY: the caller's; the halves are rows of two tiles.
        unsafe {
            if P > 1 {
                farther(&mut most, one);
                farther(&mut most, two);
            }
            W::pairs::<P>(one, two, std::array::from_fn(tile));
        }
    }
    *largest = most;
}

/// Up to 32 numbers side by side: those whose bits are set are there, the others are zero and never read.
#[derive(Clone, Copy)]
pub struct Some32 {
    /// Where the first one is.
    pub first: *const f32,
    /// A bit for each.
    pub there: u32,
}

impl Some32 {
    /// All of them.
    #[inline(always)]
    pub fn all(first: *const f32) -> Some32 {
        Some32 { first, there: u32::MAX }
    }

    /// The numbers.
    ///
    /// # Safety
    /// They are there.
    #[inline(always)]
    unsafe fn read(self) -> [f32; SIDE] {
        if self.there == u32::MAX {
            // SAFETY: the caller's.
            return unsafe { self.first.cast::<[f32; SIDE]>().read_unaligned() };
        }
        // SAFETY: the caller's.
        std::array::from_fn(|i| if self.there >> i & 1 != 0 { unsafe { self.first.wrapping_add(i).read_unaligned() } } else { 0.0 })
    }
}

/// Bits for the first so many of 32, or for all.
#[inline(always)]
fn there<const ALL: bool>(count: usize) -> u32 {
    if ALL || count >= SIDE { u32::MAX } else { (1 << count) - 1 }
}

/// Notes the magnitudes of 32 numbers that are larger than those before.
///
/// # Safety
/// They are there.
#[inline(always)]
unsafe fn farther(most: &mut [u32; SIDE], from: Some32) {
    // SAFETY: the caller's.
    let numbers = unsafe { from.read() };
    most.iter_mut().zip(numbers).for_each(|(most, number)| *most = (*most).max(magnitude(number)));
}

/// Both halves of a pair of steps as rows of neighbouring tiles.
///
/// # Safety
/// Both are valid for half a line of a tile.
#[inline(always)]
pub unsafe fn write_halves(to: *mut u8, both: &[u32; SIDE]) {
    let (first, second) = both.split_at(SIDE / 2);
    // SAFETY: the caller's.
    unsafe {
        to.copy_from_nonoverlapping(first.as_ptr().cast(), 64);
        to.add(TILE).copy_from_nonoverlapping(second.as_ptr().cast(), 64);
    }
}

/// How numbers are split. All ways give the same bits of what parts can hold.
pub trait Way {
    /// Writes the parts of 32 numbers.
    ///
    /// # Safety
    /// The numbers are there, and room for each part; the machine has the instructions. So below.
    unsafe fn parts<const P: usize>(from: Some32, to: [*mut u8; P]);

    /// Writes the parts of 32 numbers of one step and of the next, in pairs: half of them, and the others a tile farther.
    ///
    /// # Safety
    /// As above.
    unsafe fn pairs<const P: usize>(one: Some32, two: Some32, to: [*mut u8; P]);

    /// Turns a tile where it is: what was the number of a pair becomes that of its line.
    ///
    /// # Safety
    /// `tile` is valid for a tile.
    unsafe fn turn(tile: *mut u8);
}

/// What the compiler makes of it.
pub struct Portable;

impl Way for Portable {
    #[inline(always)]
    unsafe fn parts<const P: usize>(from: Some32, to: [*mut u8; P]) {
        // SAFETY: the caller's.
        let mut rest = unsafe { from.read() };
        for (part, to) in to.into_iter().enumerate() {
            let mut bits = [0_u16; STEPS];
            for (bits, rest) in bits.iter_mut().zip(&mut rest) {
                let own = part_of::<P>(part, *rest);
                (*bits, *rest) = ((own.to_bits() >> 16) as u16, *rest - own);
            }
            // SAFETY: the caller's.
            unsafe { to.cast::<[u16; STEPS]>().write_unaligned(bits) };
        }
    }

    #[inline(always)]
    unsafe fn pairs<const P: usize>(one: Some32, two: Some32, to: [*mut u8; P]) {
        // SAFETY: the caller's.
        let [mut one, mut two] = unsafe { [one.read(), two.read()] };
        for (part, to) in to.into_iter().enumerate() {
            let mut both = [0_u32; SIDE];
            for (both, (one, two)) in both.iter_mut().zip(one.iter_mut().zip(&mut two)) {
                let (a, b) = (part_of::<P>(part, *one), part_of::<P>(part, *two));
                *both = a.to_bits() >> 16 | b.to_bits() & 0xffff_0000;
                (*one, *two) = (*one - a, *two - b);
            }
            // SAFETY: the caller's.
            unsafe { write_halves(to, &both) };
        }
    }

    unsafe fn turn(tile: *mut u8) {
        let at = |row: usize, col: usize| tile.wrapping_add(row * 64 + col * 4).cast::<u32>();
        for row in 0..16 {
            for col in 0..row {
                // SAFETY: the caller's; a tile has 16 rows of 16 pairs.
                unsafe { at(row, col).swap(at(col, row)) };
            }
        }
    }
}

/// Asks for 32 numbers, wherever they may be.
#[inline(always)]
fn fetch(from: *const f32) {
    prefetch(from);
    prefetch(from.wrapping_add(STEPS / 2));
}

/// A part of what is left of a number. Of three parts the first is the nearest of eight bits, so that what is left is as
/// often above as below it; the second the first eight bits of that; and the third all that is left then.
#[inline(always)]
pub fn part_of<const P: usize>(part: usize, left: f32) -> f32 {
    let upper = |bits: u32| f32::from_bits(bits & 0xffff_0000);
    if P == 1 {
        rounded(left)
    } else if part == 0 || P == 2 {
        // A carry into the exponent is right, too. What parts cannot hold is marked anyway.
        upper(left.to_bits().wrapping_add(0x8000))
    } else if part == 1 {
        upper(left.to_bits())
    } else {
        left
    }
}

/// Its bits without the sign.
#[inline(always)]
pub fn magnitude(number: f32) -> u32 {
    number.to_bits() & 0x7fff_ffff
}

/// The nearest bf16 number, ties to even, as f32. NaN stays NaN.
#[inline(always)]
pub fn rounded(number: f32) -> f32 {
    let bits = number.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    // A NaN keeps its upper bits, the quiet one set: rounding could carry it over to infinity or zero.
    let kept = bits & 0xffff_0000 | 0x0040_0000;
    f32::from_bits(if bits & 0x7fff_ffff > 0x7f80_0000 { kept } else { nearest })
}

/// Rounds numbers to bf16 where they are.
///
/// # Safety
/// `first` is valid for `len` numbers, and the machine has the level's instructions.
pub unsafe fn round(first: *mut f32, len: usize, level: Level) {
    // SAFETY: the caller's.
    let numbers = unsafe { std::slice::from_raw_parts_mut(first, len) };
    // SAFETY: the machine has the level's instructions.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        match level {
            Level::Avx512 => return round_512(numbers),
            Level::Avx2 => return round_256(numbers),
            Level::Portable => {}
        }
        let _ = level;
        round_any(numbers);
    }
}

/// # Safety
/// The machine has the instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn round_512(numbers: &mut [f32]) {
    round_any(numbers);
}

/// # Safety
/// The machine has the instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn round_256(numbers: &mut [f32]) {
    round_any(numbers);
}

#[inline(always)]
fn round_any(numbers: &mut [f32]) {
    numbers.iter_mut().for_each(|number| *number = rounded(*number));
}

#[cfg(test)]
mod tests;
