//! Products in every precision, on every unit that multiplies tiles (emulated, and the machine's if it has any) and without.

use super::super::matrix::{Unit, emulated};
use super::super::split::rounded;
use super::windows::windows;
use super::*;

/// Without tiles, and with every unit that can run here.
fn units() -> impl Iterator<Item = Option<&'static Unit>> {
    [None, Some(&emulated::TILES), Some(&emulated::DOTS)].into_iter().chain(Unit::available().into_iter().map(Some))
}

/// Those that compute numbers in so many parts.
fn units_of(parts: usize) -> impl Iterator<Item = &'static Unit> {
    units().flatten().filter(move |unit| parts <= unit.blocks.len())
}

/// What a unit should compute, bit for bit.
pub fn oracle(unit: &Unit) -> &'static Unit {
    if unit.blocks.len() == 1 { &emulated::DOTS } else { &emulated::TILES }
}

/// A standard normal number, nearly: a sum of twelve uniform ones.
fn normal(draw: &mut Draw) -> f64 {
    (0..12).map(|_| draw.below(1 << 20) as f64 / (1 << 20) as f64).sum::<f64>() - 6.0
}

fn result(c: &Contract, memories: &[Memory], unit: Option<&'static Unit>) -> Memory {
    let compiled = made(|written| CompiledContract::at(c, Level::detect(), unit, written));
    let mut memories = memories.to_vec();
    run(&compiled, &mut memories, 0..compiled.compiled.units());
    memories.swap_remove(2)
}

/// The error of a result whose elements should be these, relative to all of it (Frobenius norm).
fn error(exact: &[(isize, f64, f64)], got: &Memory) -> f64 {
    let (mut off, mut all) = (0.0_f64, 0.0_f64);
    for &(at, value, _) in exact {
        off += (got.get(at) - value).powi(2);
        all += value * value;
    }
    (off / all.max(f64::MIN_POSITIVE)).sqrt()
}

/// The largest relative error of one rounding to bf16, and of what two parts leave out.
const OF_ONE_PART: f64 = 1.0 / 256.0;
const OF_TWO_PARTS: f64 = 1.0 / 32_768.0;

#[test]
fn every_precision_keeps_its_promise_for_generated_products() {
    let mut draw = Draw(21);
    let mut on_tiles = 0;
    for case in 0..60 {
        let [m, n, k] = [0; 3].map(|_| draw.of(&[16, 31, 32, 33, 64, 65, 96, 130]));
        let long = if case % 5 == 0 { 1024 + draw.below(100) } else { k * 4 };
        let mut c = matrices(DType::F32, m, n, long, draw.below(4));
        c.accumulate = draw.below(3) == 0;
        if case % 7 == 3 {
            c.k_chunks = 3;
            c.accumulate = false;
            c.out.strides.insert(0, (m * n) as isize);
        }
        let memories = [m * long, long * n, m * n * c.k_chunks].map(|len| Memory::new(DType::F32, (0..len).map(|_| normal(&mut draw))));
        let results = naive(&c, &memories);
        for precision in Precision::ALL {
            c.precision = precision;
            for unit in units() {
                let compiled = made(|written| CompiledContract::at(&c, Level::detect(), unit, written));
                let mut forwards = memories.to_vec();
                run(&compiled, &mut forwards, 0..compiled.compiled.units());
                let mut backwards = memories.to_vec();
                run(&compiled, &mut backwards, (0..compiled.compiled.units()).rev());
                assert!(forwards == backwards, "{c:?}: the order of units changes bits");
                on_tiles += usize::from(matches!(compiled.compiled.plan.method, super::super::method::Method::Tiles(..)));
                let unit = match precision {
                    Precision::Exact | Precision::Full => 1e-6,
                    Precision::High => 2.0 * OF_TWO_PARTS,
                    Precision::Mixed => 2.0 * OF_ONE_PART,
                };
                for &(at, value, size) in &results {
                    let off = (forwards[2].get(at) - value).abs();
                    assert!(off <= unit * (size + 1.0), "{c:?}: {} is not {value}", forwards[2].get(at));
                }
            }
        }
    }
    assert!(on_tiles > 40, "{on_tiles} products ran on tiles");
}

/// The default may take any way whose error is no larger than that of plain f32.
#[test]
fn three_parts_are_as_exact_as_f32_on_many_distributions() {
    type Distribution = (&'static str, fn(&mut Draw, usize) -> f64);
    let distributions: [Distribution; 5] = [
        ("normal", |draw, _| normal(draw)),
        ("uniform", |draw, _| draw.below(1 << 24) as f64 / f64::from(1 << 24)),
        ("forty binades", |draw, _| normal(draw) * 2.0_f64.powi(draw.below(40) as i32 - 20)),
        ("cancelling", |draw, at| if at % 2 == 0 { 1000.0 + normal(draw) } else { -1000.0 + normal(draw) }),
        ("tiny rows", |draw, at| normal(draw) * if at / 64 % 3 == 0 { 1e-12 } else { 1.0 }),
    ];
    for (name, number) in distributions {
        for (side, k) in [(64, 128), (64, 512), (64, 1024), (32, 8192)] {
            let mut c = matrices(DType::F32, side, side, k, 0);
            let mut draw = Draw(k as u64);
            let memories = [side * k, k * side, side * side].map(|len| Memory::new(DType::F32, (0..len).map(|at| number(&mut draw, at))));
            let exact = naive(&c, &memories);
            c.precision = Precision::Exact;
            let plain = error(&exact, &result(&c, &memories, None));
            c.precision = Precision::Full;
            for unit in units().flatten() {
                let tiles = error(&exact, &result(&c, &memories, Some(unit)));
                println!("{name} {k} {tiles:e} {plain:e}");
                assert!(tiles <= plain, "{name}, {k}: {tiles:e} is more than {plain:e}");
            }
        }
    }
}

#[test]
fn what_parts_cannot_hold_is_computed_as_in_f32() {
    let (m, n, k) = (70, 90, 200);
    for special in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e30, f64::from(f32::MAX)] {
        for (side, precision) in [(0, Precision::Full), (1, Precision::Full), (0, Precision::High), (1, Precision::High)] {
            let mut c = matrices(DType::F32, m, n, k, 0);
            c.precision = precision;
            let mut draw = Draw(5);
            let mut memories = filled(&c, [m * k, k * n, m * n], &mut draw);
            let at = if side == 0 { 40 * k + 150 } else { 150 * n + 40 };
            memories[side].bytes[at * 4..][..4].copy_from_slice(&(special as f32).to_ne_bytes());
            c.precision = Precision::Exact;
            let plain = result(&c, &memories, None);
            c.precision = precision;
            for unit in units().flatten() {
                let tiles = result(&c, &memories, Some(unit));
                for at in 0..(m * n) as isize {
                    let (one, other) = (plain.get(at), tiles.get(at));
                    let near = (one - other).abs() <= 1e-4 * (1.0 + one.abs());
                    assert!(near || one == other || one.is_nan() && other.is_nan(), "{special} in {side}: {one} or {other} at {at}");
                }
            }
        }
    }
}

/// Subnormal numbers, which tiles take for zero, and products that are small themselves.
#[test]
fn small_numbers_keep_their_digits() {
    for scale in [1e-38, 1e-30, 1e-19] {
        let mut c = matrices(DType::F32, 64, 64, 96, 0);
        let mut draw = Draw(8);
        let small = Memory::new(DType::F32, (0..64 * 96).map(|_| normal(&mut draw) * scale));
        let plain = Memory::new(DType::F32, (0..64 * 96).map(|_| normal(&mut draw)));
        let memories = [small, plain.clone(), Memory::new(DType::F32, (0..64 * 64).map(|_| 0.0))];
        let exact = naive(&c, &memories);
        for precision in [Precision::Full, Precision::High] {
            c.precision = precision;
            for unit in units() {
                let error = error(&exact, &result(&c, &memories, unit));
                assert!(error < 1e-5, "{scale:e}: {error:e}");
            }
        }
    }
}

#[test]
fn mixed_is_the_product_of_rounded_operands() {
    let mut draw = Draw(31);
    for (m, n, k, layout) in [(5, 7, 30, 0), (64, 64, 128, 1), (1, 300, 400, 2), (70, 90, 300, 3), (33, 1, 900, 0)] {
        let mut c = matrices(DType::F32, m, n, k, layout);
        let memories = [m * k, k * n, m * n].map(|len| Memory::new(DType::F32, (0..len).map(|_| normal(&mut draw))));
        let round =
            |memory: &Memory| Memory::new(DType::F32, (0..memory.bytes.len() / 4).map(|at| rounded(memory.get(at as isize) as f32).into()));
        let coarse = [round(&memories[0]), round(&memories[1]), memories[2].clone()];
        for unit in units() {
            c.precision = Precision::Mixed;
            let got = result(&c, &memories, unit);
            c.precision = Precision::Exact;
            for (at, value, size) in naive(&c, &coarse) {
                assert!((got.get(at) - value).abs() <= 1e-6 * (size + 1.0), "{m}x{n}x{k}: {} is not {value}", got.get(at));
            }
        }
    }
}

/// A sum, or lines, that lie in runs of no whole thirty-twos.
#[test]
fn what_lies_in_pieces_is_the_product_of_all() {
    let list = |sizes: &[usize]| -> Axes<usize> { sizes.iter().copied().collect() };
    let mut draw = Draw(35);
    for (run, precision) in [20, 40, 33].into_iter().flat_map(|run| [Precision::Full, Precision::Mixed].map(|precision| (run, precision))) {
        // Three runs with a gap after each: along the sum in A, along the columns in B.
        let (k, gap) = (3 * run, run as isize + 7);
        let strides = |strides: &[isize]| strides.iter().copied().collect();
        let c = Contract {
            m: list(&[64]),
            n: list(&[3, run]),
            k: list(&[3, run]),
            a: Access { strides: strides(&[3 * gap, gap, 1]), ..dense(0, DType::F32, &[]) },
            b: Access { strides: strides(&[run as isize * 3 * gap, 3 * gap, gap, 1]), ..dense(1, DType::F32, &[]) },
            out: dense(2, DType::F32, &[64, 3, run]),
            precision,
            ..matrices(DType::F32, 64, k, k, 0)
        };
        // Numbers that bf16 holds, so that all precisions give the same.
        let lengths = [64 * 3 * gap as usize, k * 3 * gap as usize, 64 * k];
        let memories = lengths.map(|len| Memory::new(DType::F32, (0..len).map(|_| draw.below(200) as f64 - 100.0))).to_vec();
        for unit in units() {
            check(&c, &memories, &result(&c, &memories, unit));
        }
    }
}

/// Operands that are bf16 already, batches (whose tiles share nothing) and windows go the same ways.
#[test]
fn tiles_serve_bf16_batches_and_windows() {
    let mut draw = Draw(41);
    let one = |size: usize| -> Axes<usize> { [size].into_iter().collect() };
    for dtype in [DType::F32, DType::BF16] {
        let (b, m, n, k) = (3, 48, 80, 130);
        let c = Contract {
            batch: one(b),
            a: dense(0, dtype, &[b, m, k]),
            b: dense(1, dtype, &[b, k, n]),
            out: dense(2, dtype, &[b, m, n]),
            ..matrices(dtype, m, n, k, 0)
        };
        let memories = filled(&c, [b * m * k, b * k * n, b * m * n], &mut draw);
        for unit in units() {
            check(&c, &memories, &result(&c, &memories, unit));
        }
    }
    for gradient in [false, true] {
        let (c, lengths) = windows(gradient);
        let memories = filled(&c, lengths, &mut draw);
        for unit in units() {
            check(&c, &memories, &result(&c, &memories, unit));
        }
    }
}

/// A unit of this machine gives what the manual says, bit for bit, where a block is wanted; and writes nothing beyond it.
#[test]
fn the_units_do_what_the_manual_says() {
    use super::super::matrix::{Block, SIDE, STEPS, Size};
    let mut draw = Draw(51);
    for (parts, [rows, cols, pairs]) in
        (1..=3).flat_map(|parts| [[32, 32, 32], [32, 16, 32], [5, 32, 31], [17, 9, 19], [25, 17, 17], [1, 1, 24]].map(|size| (parts, size)))
    {
        // Two steps of two tiles of 16 rows of 32, or of 16 pairs by 16 columns.
        let mut panel = |of_a: bool| -> Vec<u16> {
            let pair = |at: usize| at / (parts * 1024) * STEPS / 2 + if of_a { at % 32 / 2 } else { at % 512 / 32 };
            let number = |at: usize| if pair(at) < pairs { half::bf16::from_f64(normal(&mut draw)).to_bits() } else { 0 };
            (0..2 * parts * 2 * 512).map(number).collect()
        };
        let (a, b) = (panel(true), panel(false));
        let first: Vec<f32> = (0..SIDE * 36).map(|_| normal(&mut draw) as f32).collect();
        for add in [false, true] {
            let of = |unit: &Unit| {
                let mut c = vec![0.5_f32; SIDE * 40];
                let before = if add { first.as_ptr() } else { std::ptr::null() };
                let (a, b, size) = (a.as_ptr().cast(), b.as_ptr().cast(), Size { rows, cols, pairs });
                let block = Block { size, steps: 2, a, b, before, before_row: 144, c: c.as_mut_ptr(), c_row: 160 };
                // SAFETY: panels of two steps, 32 rows of 36 numbers and 32 rows of 40.
                unsafe {
                    (unit.start)(SIDE / 2);
                    (unit.blocks[parts - 1])(&block);
                    (unit.end)();
                }
                assert!(c.chunks(40).all(|row| row[32..] == [0.5; 8]), "columns beyond the block are left alone");
                c.chunks(40).take(rows).map(|row| row[..cols].to_vec()).collect::<Vec<_>>().concat()
            };
            for unit in units_of(parts) {
                let want = of(oracle(unit));
                assert!(want.iter().map(|&x| f64::from(x).abs()).sum::<f64>() > 0.5 * want.len() as f64, "something is computed");
                assert_eq!(of(unit), want, "{parts} parts, {rows} rows, {cols} columns, {pairs} pairs, added: {add}");
            }
        }
    }
}

/// More blocks than a strip has room for, more steps than are near, a last block that is not whole.
#[test]
fn a_strip_of_many_blocks_and_pieces_is_the_product() {
    use super::super::matrix::{BLOCKS_OF_STRIP, NUMBERS, RowsOfA, SIDE, STEPS, Strip, TILE};
    const STEPS_OF_STRIP: usize = 9;
    let (rows, k) = (BLOCKS_OF_STRIP * SIDE + 44, STEPS_OF_STRIP * STEPS);
    let blocks = rows.div_ceil(SIDE);
    let mut draw = Draw(61);
    let mut number = || half::bf16::from_f64(normal(&mut draw));
    let a: Vec<half::bf16> = (0..blocks * SIDE * k).map(|_| number()).collect();
    let b: Vec<half::bf16> = (0..SIDE * k).map(|_| number()).collect();
    // Where a line's number lies in panels: rows as they are, columns in pairs along the sum.
    let panel = STEPS_OF_STRIP * 2 * TILE / 2;
    let in_rows = |row: usize, p: usize| row / SIDE * panel + (p / STEPS * 2 + row % SIDE / 16) * 512 + row % 16 * 32 + p % STEPS;
    let in_columns = |col: usize, p: usize| (p / STEPS * 2 + col / 16) * 512 + p % STEPS / 2 * 32 + col % 16 * 2 + p % 2;
    for (unit, cols, add, apart) in units().flatten().flat_map(|unit| {
        [(SIDE, false, false), (SIDE, true, false), (SIDE, false, true), (SIDE, true, true), (20, false, true), (20, true, false)]
            .map(|(cols, add, apart)| (unit, cols, add, apart))
    }) {
        let mut c = vec![0.5_f32; rows * 40];
        let mut sums = vec![f32::NAN; (BLOCKS_OF_STRIP + 1) * NUMBERS];
        let strip = Strip {
            depth: k,
            steps: STEPS_OF_STRIP,
            near: 4,
            a: RowsOfA::Panels { first: a.as_ptr().cast(), panel: panel * 2 },
            b: b.as_ptr().cast(),
            step: 2 * TILE,
            c: c.as_mut_ptr(),
            c_row: 160,
            size: [rows, cols],
            add,
            apart,
            sums: sums.as_mut_ptr(),
        };
        // SAFETY: ten panels of A, one of B, rows of 40 numbers, and the room that is asked for.
        unsafe {
            (unit.start)(SIDE / 2);
            strip.multiply((unit.blocks[0], unit.loose[0]), Level::detect());
            (unit.end)();
        }
        for (row, line) in c.chunks(40).enumerate() {
            for (col, &got) in line.iter().enumerate() {
                let products = (0..k).map(|p| a[in_rows(row, p)].to_f64() * b[in_columns(col.min(SIDE - 1), p)].to_f64());
                let want = if col < cols { products.sum::<f64>() + if add { 0.5 } else { 0.0 } } else { 0.5 };
                assert!((f64::from(got) - want).abs() < 1e-3, "{row}, {col}: {got} is not {want}; added: {add}, apart: {apart}");
            }
        }
    }
}
