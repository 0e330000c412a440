//! Operands whose memory is split in parts first: the bits of panels that split each number for themselves.

use super::super::matrix::{LooseBlock, SIDE, Size, Unit, emulated};
use super::precision::oracle;
use super::*;

/// The units that can run here.
fn units() -> impl Iterator<Item = &'static Unit> {
    [&emulated::TILES, &emulated::DOTS].into_iter().chain(Unit::available())
}

/// Windows of three by three over images so wide that rows have `inner` windows, as a product or the gradient of the kernel.
fn windows((images, inner): (usize, usize), channels: usize, filters: usize, gradient: bool) -> (Contract, [usize; 3]) {
    let side = [5, inner + 2];
    let (row, image) = (side[1] * channels, side[0] * side[1] * channels);
    let places: Axes<usize> = [images, side[0] - 2, inner].into_iter().collect();
    let window: Axes<usize> = [3, 3, channels].into_iter().collect();
    let (at_place, in_window) = ([image, row, channels], [row, channels, 1]);
    let (m, k, strides) =
        if gradient { (window, places, [in_window, at_place].concat()) } else { (places, window, [at_place, in_window].concat()) };
    let strides = strides.into_iter().map(|stride| stride as isize).collect();
    let (k_len, m_len): (usize, usize) = (k.iter().product(), m.iter().product());
    let c = Contract {
        batch: Axes::new(),
        a: Access { buffer: 0, dtype: DType::F32, offset: 0, strides },
        b: dense(1, DType::F32, &[&k[..], &[filters]].concat()),
        out: dense(2, DType::F32, &[&m[..], &[filters]].concat()),
        m,
        n: [filters].into_iter().collect(),
        k,
        k_chunks: 1,
        accumulate: false,
        precision: Precision::Full,
        epilogue: None,
    };
    (c, [images * image, k_len * filters, m_len * filters])
}

/// Puts a number in the middle of the images.
fn with(memories: &[Memory], number: f32) -> Vec<Memory> {
    let mut memories = memories.to_vec();
    let middle = memories[0].bytes.len() / 8 * 4;
    memories[0].bytes[middle..middle + 4].copy_from_slice(&number.to_ne_bytes());
    memories
}

#[test]
fn parts_that_lie_loose_give_the_bits_of_panels() {
    let mut as_tiles = 0;
    for ((inner, channels), gradient) in
        [(14, 32), (16, 32), (9, 64), (33, 32), (7, 32)].into_iter().flat_map(|case| [(case, false), (case, true)])
    {
        let (mut c, lengths) = windows((4, inner), channels, 56, gradient);
        let ordinary = filled(&c, lengths, &mut Draw(inner as u64));
        // What parts cannot hold is found out for whole pieces first; a row that they can hold may be among them.
        let special = [1.0, f32::INFINITY, 1e-20, 1e-42].map(|number| (Precision::Full, number));
        // Where a sum of one or two parts takes two passes, blocks that are whole go on with it and others are added to it;
        // which are whole differs.
        let fewer_parts = [(Precision::High, 1.0), (Precision::Mixed, 1.0)].into_iter().filter(|_| channels == 32);
        for (precision, number) in special.into_iter().chain(fewer_parts) {
            c.precision = precision;
            let memories = with(&ordinary, number);
            let parts = if precision == Precision::Full { 3 } else { 1 + usize::from(precision == Precision::High) };
            for unit in units().filter(|unit| parts <= unit.blocks.len()) {
                let compile = || placed(|written| CompiledContract::at(&c, Level::detect(), Some(unit), written));
                let loose = Made { room: Packed::new(Default::default()).unwrap(), compiled: compile() };
                let made = made(|written| CompiledContract::at(&c, Level::detect(), Some(unit), written));
                assert!(made.compiled.plan.loose_at.iter().any(Option::is_some), "{c:?} is split first");
                as_tiles += usize::from(made.compiled.plan.reads_loose());
                let [found, wanted] = [&made, &loose].map(|made| {
                    let mut memories = memories.clone();
                    run(made, &mut memories, 0..made.compiled.units());
                    memories.swap_remove(2)
                });
                let number_at = |memory: &Memory, at: isize| memory.get(at).to_bits();
                for at in 0..lengths[2] as isize {
                    let same = number_at(&found, at) == number_at(&wanted, at) || found.get(at).is_nan() && wanted.get(at).is_nan();
                    assert!(same, "{precision:?}, {number}, {inner} windows of {channels}: {} is not {}", found.get(at), wanted.get(at));
                }
                if number == 1.0 && precision == Precision::Full {
                    check(&c, &memories, &found);
                }
            }
        }
    }
    assert!(as_tiles > 0, "some are read as tiles where they lie");
}

#[test]
fn products_that_reach_the_same_memory_split_it_once() {
    let [forward, gradient] = [false, true].map(|gradient| windows((4, 14), 32, 56, gradient).0);
    for (written, same) in [(false, true), (true, false)] {
        let mut two = [&forward, &gradient].map(|c| placed(|code| CompiledContract::at(c, Level::detect(), Some(&emulated::TILES), code)));
        let [one, other] = &mut two;
        let sizes = share(&mut [(0, one), (2, other)], |buffer, first, last| written && (buffer, first, last) == (0, 0, 2), |_| false);
        let found = two.each_ref().map(|product| product.plan.loose_at.into_iter().flatten().next().expect("a place"));
        assert_eq!(found[0] == found[1], same, "written: {written}");
        assert!(sizes.bytes > 0);
    }
}

/// A unit of this machine gives what the manual says for rows that lie loose, bit for bit, and writes no other rows.
#[test]
fn the_matrix_unit_reads_loose_rows() {
    let mut draw = Draw(52);
    let along = [256_isize, 0, 3264];
    for (parts, height) in (1..=3).flat_map(|parts| [1, 7, 8, 11, 14, 16].map(|height| (parts, height))) {
        let mut numbers = |count: usize| -> Vec<u16> { (0..count).map(|_| half::bf16::from_f64(draw.number()).to_bits()).collect() };
        // Rows 200 bytes apart, both tiles within the same memory, one of them further on.
        let (a, b) = (numbers(8192), numbers(3 * parts * 2 * 512));
        let first: Vec<f32> = (0..SIDE * 36).map(|at| at as f32 / 64.0).collect();
        for (add, rows) in [(false, 2 * height), (true, 2 * height), (true, height + height / 2)] {
            let size = Size { rows, cols: 32, pairs: 48 };
            let of = |unit: &Unit| {
                let mut c = vec![0.5_f32; SIDE * 40];
                let tiles = [a.as_ptr().cast(), a[1000..].as_ptr().cast()];
                let before = if add { first.as_ptr() } else { std::ptr::null() };
                let (along, b, c_first) = (along.as_ptr(), b.as_ptr().cast(), c.as_mut_ptr());
                let block =
                    LooseBlock { size, steps: 3, tiles, height, row: 200, along, b, before, before_row: 144, c: c_first, c_row: 160 };
                // SAFETY: rows and steps end before the numbers do; three steps of a panel; rows of 36 numbers and of 40.
                unsafe {
                    (unit.start)(height);
                    (unit.loose[parts - 1])(&block);
                    (unit.end)();
                }
                let written = |row: usize, col: usize| row < 2 * height && col < 32;
                let other = c.chunks(40).enumerate().flat_map(|(row, line)| line.iter().enumerate().map(move |(col, &x)| (row, col, x)));
                assert!(
                    other.filter(|&(row, col, _)| !written(row, col)).all(|(_, _, x)| x == 0.5),
                    "other rows and columns are left alone"
                );
                c.truncate(rows * 40);
                c
            };
            for unit in units().filter(|unit| parts <= unit.blocks.len()) {
                let want = of(oracle(unit));
                assert!(want[..32].iter().any(|&x| x.abs() > 1.0), "something is computed");
                assert_eq!(of(unit), want, "{parts} parts, {height} rows, added: {add}");
            }
        }
    }
}
