//! f32 numbers as sums of bf16 parts, laid out for matrix tiles.
//!
//! A number of 24 bits is exactly the sum of three parts of 8: the nearest bf16 number, the nearest to what is left,
//! and the rest. A panel of 32 rows of A or columns of B holds, step after step of 32 along the sum, for each part two
//! tiles: rows of A as they are, columns of B in pairs of neighbours along the sum (Intel 64 and IA-32 Architectures
//! Software Developer's Manual, volume 1, chapter on AMX).
//!
//! Refuses to fetch numbers from where they lie, and to lay out what parts cannot hold: such a panel is marked.

use super::super::level::Level;
use super::matrix::{SIDE, STEPS, TILE};

/// Largest magnitudes of a row or column, as bits, that parts can hold: from 2^-45, so that products a rounding
/// smaller than the largest are still far above 2^-126, up to 2^60, so that no sum overflows that would not in f32.
const FIT: std::ops::Range<u32> = (127 - 45) << 23..(127 + 60) << 23;

/// The first element of a panel that parts cannot hold: no number, hence in no other panel.
const UNFIT: u16 = 0x7fff;

/// Numbers of one panel, where they are fetched to: rows of A row after row, columns of B step after step.
pub struct Numbers {
    /// Rows of `steps * 32` numbers, or as many rows of 32 numbers. What the operand lacks is zero.
    pub from: *const f32,
    /// The panel.
    pub to: *mut u8,
    /// How many times 32 along the sum.
    pub steps: usize,
    /// Parts of each number, 1 to 3.
    pub parts: usize,
    /// Whether these are rows of A.
    pub rows: bool,
}

/// Bytes of a panel.
pub fn panel_bytes(steps: usize, parts: usize) -> usize {
    steps * parts * 2 * TILE
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
/// `from` and `to` are valid for what the fields say, and do not overlap; the machine has the level's instructions.
pub unsafe fn split(numbers: &Numbers, level: Level) {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if level == Level::Avx512 {
            return wide(numbers);
        }
        let _ = level;
        any(numbers);
    }
}

/// # Safety
/// As [`split`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn wide(numbers: &Numbers) {
    // SAFETY: the caller's.
    unsafe { any(numbers) }
}

/// # Safety
/// As [`split`].
#[inline(always)]
unsafe fn any(numbers: &Numbers) {
    let largest = match (numbers.rows, numbers.parts) {
        // SAFETY: the caller's.
        (true, 1) => unsafe { rows::<1>(numbers) },
        (true, 2) => unsafe { rows::<2>(numbers) },
        (true, _) => unsafe { rows::<3>(numbers) },
        (false, 1) => unsafe { columns::<1>(numbers) },
        (false, 2) => unsafe { columns::<2>(numbers) },
        (false, _) => unsafe { columns::<3>(numbers) },
    };
    let fits = |bits: &u32| *bits == 0 || FIT.contains(bits);
    if numbers.parts > 1 && !largest.iter().all(fits) {
        // SAFETY: the caller's; a panel has at least one tile.
        unsafe { numbers.to.cast::<u16>().write(UNFIT) };
    }
}

/// Lays out rows; the largest magnitude of each, as bits.
#[inline(always)]
unsafe fn rows<const P: usize>(numbers: &Numbers) -> [u32; SIDE] {
    let length = numbers.steps * STEPS;
    let mut largest = [0_u32; SIDE];
    for step in 0..numbers.steps {
        for (row, largest) in largest.iter_mut().enumerate() {
            // SAFETY: the caller's.
            let line = unsafe { numbers.from.add(row * length + step * STEPS).cast::<[f32; STEPS]>().read() };
            *largest = line.iter().fold(*largest, |most, number| most.max(magnitude(*number)));
            let mut rest = line;
            for part in 0..P {
                let mut bits = [0_u16; STEPS];
                for (bits, rest) in bits.iter_mut().zip(&mut rest) {
                    let nearest = rounded(*rest);
                    (*bits, *rest) = ((nearest.to_bits() >> 16) as u16, *rest - nearest);
                }
                let tile = (step * P + part) * 2 + row / 16;
                // SAFETY: the caller's.
                unsafe { numbers.to.add(tile * TILE + row % 16 * 64).cast::<[u16; STEPS]>().write(bits) };
            }
        }
    }
    largest
}

/// Lays out columns; the largest magnitude of each, as bits.
#[inline(always)]
unsafe fn columns<const P: usize>(numbers: &Numbers) -> [u32; SIDE] {
    let mut largest = [0_u32; SIDE];
    for pair in 0..numbers.steps * STEPS / 2 {
        // SAFETY: the caller's.
        let [mut one, mut two] = unsafe { numbers.from.add(2 * pair * SIDE).cast::<[[f32; SIDE]; 2]>().read() };
        for (largest, (a, b)) in largest.iter_mut().zip(one.iter().zip(&two)) {
            *largest = (*largest).max(magnitude(*a)).max(magnitude(*b));
        }
        for part in 0..P {
            let mut both = [0_u32; SIDE];
            for (both, (one, two)) in both.iter_mut().zip(one.iter_mut().zip(&mut two)) {
                let (a, b) = (rounded(*one), rounded(*two));
                *both = a.to_bits() >> 16 | b.to_bits();
                (*one, *two) = (*one - a, *two - b);
            }
            let tile = (pair / 16 * P + part) * 2;
            // SAFETY: the caller's; the halves are rows of two tiles.
            unsafe {
                let to = numbers.to.add(tile * TILE + pair % 16 * 64);
                to.cast::<[u32; 16]>().write(std::array::from_fn(|i| both[i]));
                to.add(TILE).cast::<[u32; 16]>().write(std::array::from_fn(|i| both[16 + i]));
            }
        }
    }
    largest
}

#[inline(always)]
fn magnitude(number: f32) -> u32 {
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
/// `first` is valid for `len` numbers.
pub unsafe fn round(first: *mut f32, len: usize) {
    for i in 0..len {
        // SAFETY: the caller's.
        unsafe { *first.add(i) = rounded(first.add(i).read()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All patterns of the upper bits, with a few of the lower.
    fn numbers() -> impl Iterator<Item = f32> {
        (0..=u16::MAX)
            .flat_map(|upper| [0_u16, 1, 0x7fff, 0x8000, 0x8001, 0xffff].map(|lower| (u32::from(upper) << 16) | u32::from(lower)))
            .map(f32::from_bits)
    }

    #[test]
    fn rounding_is_to_nearest_even() {
        for number in numbers() {
            let (got, want) = (rounded(number), half::bf16::from_f32(number).to_f32());
            assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{number:e}: {got:e} is not {want:e}");
        }
    }

    /// The parts of a number at a place of a panel, as f32.
    fn parts_at(panel: &[u8], parts: usize, rows: bool, line: usize, along: usize) -> Vec<f32> {
        (0..parts)
            .map(|part| {
                let tile = ((along / 32 * parts + part) * 2 + line / 16) * TILE;
                let within = if rows { line % 16 * 64 + along % 32 * 2 } else { along % 32 / 2 * 64 + line % 16 * 4 + along % 2 * 2 };
                f32::from_bits(u32::from(u16::from_ne_bytes([panel[tile + within], panel[tile + within + 1]])) << 16)
            })
            .collect()
    }

    #[test]
    fn three_parts_are_the_number_and_two_nearly() {
        let all: Vec<f32> = numbers().filter(|number| FIT.contains(&magnitude(*number))).collect();
        for (level, rows) in Level::available().into_iter().flat_map(|level| [(level, true), (level, false)]) {
            for piece in all.chunks_exact(SIDE * 64) {
                for parts in 1..=3 {
                    let mut panel = vec![0_u8; panel_bytes(2, parts)];
                    let numbers = Numbers { from: piece.as_ptr(), to: panel.as_mut_ptr(), steps: 2, parts, rows };
                    // SAFETY: 32 rows of 64 numbers, or 64 of 32, and a panel for them.
                    unsafe { split(&numbers, level) };
                    assert!(unsafe { is_fit(panel.as_ptr()) });
                    for line in 0..SIDE {
                        for along in 0..64 {
                            let number = if rows { piece[line * 64 + along] } else { piece[along * SIDE + line] };
                            let sum: f32 = parts_at(&panel, parts, rows, line, along).iter().sum();
                            let off = (sum - number).abs();
                            assert!(off <= number.abs() * [0.0, 1.0 / 256.0, 1.0 / 65_536.0, 0.0][parts], "{number:e}: {sum:e} in {parts}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_panel_is_marked_if_one_row_does_not_fit() {
        for (special, fits) in
            [(f32::NAN, false), (f32::INFINITY, false), (1e-20, true), (1e19, false), (0.0, true), (f32::MIN_POSITIVE / 2.0, true)]
        {
            for rows in [true, false] {
                let mut from = vec![1.0_f32; SIDE * STEPS];
                from[SIDE * STEPS - 1] = special;
                for (alone, fits) in [(false, fits), (true, fits && special == 0.0)] {
                    if alone {
                        // Nothing else in its row or column.
                        (0..STEPS - 1).for_each(|i| from[if rows { (SIDE - 1) * STEPS + i } else { i * SIDE + SIDE - 1 }] = 0.0);
                    }
                    let mut panel = vec![0_u8; panel_bytes(1, 2)];
                    // SAFETY: 32 rows of 32 numbers, and a panel for them.
                    unsafe { split(&Numbers { from: from.as_ptr(), to: panel.as_mut_ptr(), steps: 1, parts: 2, rows }, Level::detect()) };
                    assert_eq!(unsafe { is_fit(panel.as_ptr()) }, fits, "{special:e}, alone: {alone}, rows: {rows}");
                }
            }
        }
    }
}
