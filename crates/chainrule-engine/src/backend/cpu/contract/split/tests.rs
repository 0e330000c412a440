//! Rounding, splitting in parts, and panels that are not whole or cannot be held.

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
fn three_parts_are_the_number_and_two_nearly_whatever_the_level() {
    let all: Vec<f32> = numbers().filter(|number| FIT.contains(&magnitude(*number))).collect();
    let ways = [(true, true), (true, false), (false, true), (false, false)];
    for (level, (rows, along_sum)) in Level::available().into_iter().flat_map(|level| ways.map(|way| (level, way))) {
        for piece in all.chunks_exact(SIDE * 64) {
            for parts in 1..=3 {
                let mut panel = vec![0_u8; panel_bytes(2, parts)];
                let (lines, steps) = ((0..32).map(|line| line * 64).collect(), (0..64).map(|step| step * 32).collect());
                let places: Vec<isize> = if along_sum { lines } else { steps };
                let numbers = Numbers {
                    from: From::Whole(piece.as_ptr()),
                    along_sum,
                    rows: &places,
                    pieces: &[0, 32],
                    to: panel.as_mut_ptr(),
                    steps: 2,
                    size: [SIDE, 64],
                    parts,
                    of_a: rows,
                };
                // SAFETY: 32 rows of 64 numbers, or 64 of 32, and a panel for them.
                unsafe { split(&numbers, level) };
                assert!(unsafe { is_fit(panel.as_ptr()) });
                let mut portable = vec![0_u8; panel_bytes(2, parts)];
                // SAFETY: as above.
                unsafe { split(&Numbers { to: portable.as_mut_ptr(), ..numbers }, Level::Portable) };
                assert!(panel == portable, "{parts} parts, {level:?} and portable, rows {rows}, along {along_sum}");
                for line in 0..SIDE {
                    for along in 0..64 {
                        let number = if along_sum { piece[line * 64 + along] } else { piece[along * SIDE + line] };
                        let sum: f32 = parts_at(&panel, parts, rows, line, along).iter().sum();
                        let off = (sum - number).abs();
                        assert!(off <= number.abs() * [0.0, 1.0 / 256.0, 1.0 / 65_536.0, 0.0][parts], "{number:e}: {sum:e} in {parts}");
                    }
                }
            }
        }
    }
}

/// What an operand lacks of a panel is zero, and memory there is not read.
#[test]
fn a_panel_that_is_not_whole_is_filled_with_zeros() {
    let ways = [(true, true), (true, false), (false, true), (false, false)];
    for (level, (of_a, along_sum)) in Level::available().into_iter().flat_map(|level| ways.map(|way| (level, way))) {
        for [lines, depth] in [[1_usize, 1_usize], [1, 64], [2, 33], [16, 47], [17, 32], [31, 50], [32, 63], [32, 64]] {
            let steps = depth.div_ceil(STEPS);
            let (count, length) = if along_sum { (lines, depth) } else { (depth, lines) };
            // Whatever is read beyond a row is noticed: rows lie behind each other, and the last one ends the memory.
            let own: Vec<f32> = (0..count * length).map(|i| i as f32 * 0.37 - 9.0).collect();
            let wide = if along_sum { steps * STEPS } else { SIDE };
            let mut filled = vec![0.0; SIDE.max(steps * STEPS) * wide];
            (0..count).for_each(|row| filled[row * wide..][..length].copy_from_slice(&own[row * length..][..length]));
            let panel = |from: &[f32], stride: usize, size: [usize; 2], parts: usize| {
                let rows: Vec<isize> = (0..if along_sum { size[0] } else { size[1] }).map(|row| (row * stride) as isize).collect();
                let pieces = [0, STEPS as isize];
                let mut to = vec![7_u8; panel_bytes(steps, parts)];
                let from = From::Whole(from.as_ptr());
                let numbers = Numbers { from, along_sum, rows: &rows, pieces: &pieces, to: to.as_mut_ptr(), steps, size, parts, of_a };
                // SAFETY: so many rows of so many numbers, and a panel for them.
                unsafe { split(&numbers, level) };
                to
            };
            for parts in 1..=3 {
                let want = panel(&filled, wide, [SIDE, steps * STEPS], parts);
                let got = panel(&own, length, [lines, depth], parts);
                assert!(got == want, "{lines} lines of {depth} in {parts} parts, {level:?}, of A {of_a}, along the sum {along_sum}");
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
                let places: Vec<isize> = (0..32).map(|row| row * 32).collect();
                let (from, to) = (From::Whole(from.as_ptr()), panel.as_mut_ptr());
                let numbers =
                    Numbers { from, along_sum: rows, rows: &places, pieces: &[0], to, steps: 1, size: [SIDE, STEPS], parts: 2, of_a: rows };
                // SAFETY: 32 rows of 32 numbers, and a panel for them.
                unsafe { split(&numbers, Level::detect()) };
                assert_eq!(unsafe { is_fit(panel.as_ptr()) }, fits, "{special:e}, alone: {alone}, rows: {rows}");
            }
        }
    }
}
