//! Contractions against a loop in f64, over generated groups of axes, strides, types and sizes.

use super::super::fault::FaultCell;
use super::super::level::Level;
use super::super::machine::{Written, placed};
use super::super::region::Scratch;
use super::panels::Packed;
use super::{CompiledContract, share};
use crate::compile::kernel::{Access, Axes, Binary, Code, Contract, Extent, Instruction, Lane, Region};
use crate::tensor::{DType, Precision};

mod along;
mod loose;
mod plus;
mod precision;
mod reading;
mod windows;

/// Small numbers from a seed, the same on every machine.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// A multiple of 1/8 between -2 and 2, exact in every type.
    fn number(&mut self) -> f64 {
        self.below(33) as f64 / 8.0 - 2.0
    }
}

/// Elements of one type, as bytes.
#[derive(Clone, PartialEq, Debug)]
struct Memory {
    dtype: DType,
    bytes: Vec<u8>,
}

impl Memory {
    fn new(dtype: DType, values: impl Iterator<Item = f64>) -> Memory {
        let mut bytes = Vec::new();
        for value in values {
            match dtype {
                DType::F64 => bytes.extend(value.to_ne_bytes()),
                DType::BF16 => bytes.extend(half::bf16::from_f64(value).to_ne_bytes()),
                DType::F16 => bytes.extend(half::f16::from_f64(value).to_ne_bytes()),
                _ => bytes.extend((value as f32).to_ne_bytes()),
            }
        }
        Memory { dtype, bytes }
    }

    fn get(&self, at: isize) -> f64 {
        let at = at as usize * self.dtype.bytes();
        let part = &self.bytes[at..at + self.dtype.bytes()];
        match self.dtype {
            DType::F64 => f64::from_ne_bytes(part.try_into().unwrap()),
            DType::BF16 => half::bf16::from_ne_bytes(part.try_into().unwrap()).to_f64(),
            DType::F16 => half::f16::from_ne_bytes(part.try_into().unwrap()).to_f64(),
            _ => f32::from_ne_bytes(part.try_into().unwrap()).into(),
        }
    }
}

/// Offsets of all elements of some axes, last axis fastest.
fn offsets(sizes: &[usize], strides: &[isize]) -> Vec<isize> {
    let mut all = vec![0];
    for (&size, &stride) in sizes.iter().zip(strides) {
        all = all.iter().flat_map(|&offset| (0..size as isize).map(move |i| offset + i * stride)).collect();
    }
    all
}

/// Offsets of batch, rows and columns of an access.
fn all_offsets(access: &Access, skip: usize, groups: [&Axes<usize>; 3]) -> [Vec<isize>; 3] {
    let mut at = skip;
    groups.map(|sizes| {
        let strides = &access.strides[at..at + sizes.len()];
        at += sizes.len();
        offsets(sizes, strides)
    })
}

/// The result by definition, in f64, and the sums of absolute values, by offset in `out`.
fn naive(c: &Contract, memories: &[Memory]) -> Vec<(isize, f64, f64)> {
    let [ab, am, ak] = all_offsets(&c.a, 0, [&c.batch, &c.m, &c.k]);
    let [bb, bk, bn] = all_offsets(&c.b, 0, [&c.batch, &c.k, &c.n]);
    let lead = usize::from(c.k_chunks > 1);
    let [ob, om, on] = all_offsets(&c.out, lead, [&c.batch, &c.m, &c.n]);
    let (a, b, out) = (&memories[0], &memories[1], &memories[2]);
    let length = ak.len().div_ceil(c.k_chunks);
    let mut results = Vec::new();
    for chunk in 0..c.k_chunks {
        let part = (chunk * length).min(ak.len())..((chunk + 1) * length).min(ak.len());
        let first = c.out.offset + if lead == 1 { chunk as isize * c.out.strides[0] } else { 0 };
        for batch in 0..ob.len() {
            for (m, row) in om.iter().enumerate() {
                for (n, col) in on.iter().enumerate() {
                    let at = first + ob[batch] + row + col;
                    let start = if c.accumulate { out.get(at) } else { 0.0 };
                    let (mut sum, mut size) = (start, start.abs());
                    for p in part.clone() {
                        let x = a.get(c.a.offset + ab[batch] + am[m] + ak[p]);
                        let product = x * b.get(c.b.offset + bb[batch] + bk[p] + bn[n]);
                        sum += product;
                        size += product.abs();
                    }
                    results.push((at, sum, size));
                }
            }
        }
    }
    results
}

/// A contraction made ready, and a room for what its tiles share.
struct Made {
    compiled: CompiledContract,
    room: Packed,
}

/// As a program makes it: with shared operands.
fn made(compile: impl Fn(&mut Written) -> CompiledContract) -> Made {
    let mut compiled = placed(compile);
    let sizes = share(&mut [(0, &mut compiled)], |_, _, _| false, |_| false);
    Made { compiled, room: Packed::new(sizes).unwrap() }
}

fn run(made: &Made, memories: &mut [Memory], order: impl Iterator<Item = usize>) {
    let buffers: Vec<*mut u8> = memories.iter_mut().map(|memory| memory.bytes.as_mut_ptr()).collect();
    let (mut scratch, faults) = (Scratch::new(), FaultCell::new());
    made.room.start();
    for unit in order {
        // SAFETY: the accesses of the tests stay inside their memories.
        unsafe { made.compiled.run(unit, &buffers, &made.room, &mut scratch, &faults) };
    }
}

/// Strides that put groups of axes in a drawn order, some reversed, some repeated, some apart.
/// Returns the access and how many elements it spans.
fn access(draw: &mut Draw, buffer: u32, dtype: DType, sizes: &[usize], write: bool) -> (Access, usize) {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    if draw.below(2) == 0 {
        for i in (1..order.len()).rev() {
            order.swap(i, draw.below(i + 1));
        }
    }
    let mut strides: Axes<isize> = sizes.iter().map(|_| 0).collect();
    let (mut span, mut offset) = (draw.of(&[1, 1, 1, 2]), draw.below(3) as isize);
    let plain = draw.below(2) == 0;
    for &axis in order.iter().rev() {
        let size = sizes[axis];
        if !write && !plain && draw.below(6) == 0 {
            continue;
        }
        strides[axis] = span as isize;
        // Reading may overlap, as windows do.
        span = match draw.below(5) {
            0 if !plain => span * size + 1,
            1 if !plain && !write => span,
            _ => span * size.max(1),
        };
        if !plain && draw.below(5) == 0 {
            offset += strides[axis] * (size.max(1) as isize - 1);
            strides[axis] = -strides[axis];
        }
    }
    let reach: usize = sizes.iter().zip(&strides).map(|(&n, s)| n.saturating_sub(1) * s.unsigned_abs()).sum();
    (Access { buffer, dtype, offset, strides }, offset as usize + reach + 1)
}

fn group(draw: &mut Draw, sizes: &[usize], most_axes: usize) -> Axes<usize> {
    let mut axes: Axes<usize> = (0..draw.below(most_axes)).map(|_| draw.of(&[1, 2, 3])).collect();
    if draw.below(8) != 0 {
        axes.push(draw.of(sizes));
    }
    axes
}

/// A contraction and the memories of its operands and its result.
fn generated(draw: &mut Draw) -> (Contract, Vec<Memory>) {
    let sizes = [0, 1, 1, 7, 8, 9, 15, 16, 17, 31, 33, 130];
    let dtype = draw.of(&[DType::F32, DType::F32, DType::F64, DType::BF16, DType::F16]);
    let long = draw.below(6) == 0;
    let (batch, mut m, n) = (group(draw, &[1, 2, 5], 2), group(draw, &sizes, 3), group(draw, &sizes, 3));
    let k = if long { [3, 411].into_iter().collect() } else { group(draw, &sizes, 3) };
    if long {
        m.truncate(1);
    }
    let k_chunks = draw.of(&[1, 1, 3]);
    let joined = |groups: &[&Axes<usize>]| -> Vec<usize> { groups.iter().flat_map(|g| g.iter().copied()).collect() };
    let (a, a_len) = access(draw, 0, dtype, &joined(&[&batch, &m, &k]), false);
    let (b, b_len) = access(draw, 1, dtype, &joined(&[&batch, &k, &n]), false);
    let mut all = joined(&[&batch, &m, &n]);
    if k_chunks > 1 {
        all.insert(0, k_chunks);
    }
    let (out, out_len) = access(draw, 2, dtype, &all, true);
    let memories = [(a_len, dtype), (b_len, dtype), (out_len, dtype)];
    let memories = memories.map(|(len, dtype)| Memory::new(dtype, (0..len).map(|_| draw.number()))).to_vec();
    let accumulate = draw.below(3) == 0;
    (Contract { batch, m, n, k, a, b, out, k_chunks, accumulate, precision: Precision::Full, epilogue: None }, memories)
}

fn check(c: &Contract, memories: &[Memory], got: &Memory) {
    check_with(c, memories, &naive(c, memories), got);
}

fn check_with(c: &Contract, memories: &[Memory], results: &[(isize, f64, f64)], got: &Memory) {
    let mut expected = memories[2].clone();
    let unit = match c.out.dtype {
        DType::F64 => 1e-14,
        DType::F32 => 1e-5,
        DType::F16 => 1e-3,
        _ => 8e-3,
    };
    let bytes = c.out.dtype.bytes();
    for &(at, value, size) in results {
        let result = got.get(at);
        // An f16 result beyond its range is infinite by definition.
        let beyond = c.out.dtype == DType::F16 && value.abs() > 65_000.0;
        assert!((result - value).abs() <= unit * (size + 1.0) || beyond, "{c:?}: {result} is not {value} at {at}");
        let place = at as usize * bytes..(at as usize + 1) * bytes;
        expected.bytes[place.clone()].copy_from_slice(&got.bytes[place]);
    }
    assert!(expected == *got, "{c:?}: wrote beyond the result");
}

#[test]
fn results_are_those_of_the_definition_at_every_level_in_any_order() {
    let mut draw = Draw(1);
    let mut tried = 0;
    while tried < 500 {
        let (c, memories) = generated(&mut draw);
        let work = |sizes: &Axes<usize>| sizes.iter().product::<usize>();
        if work(&c.batch) * work(&c.m) * work(&c.n) * work(&c.k) > 200_000 {
            continue;
        }
        tried += 1;
        let results = naive(&c, &memories);
        for level in Level::available() {
            let compiled = made(|written| CompiledContract::at(&c, level, None, written));
            let mut forwards = memories.clone();
            run(&compiled, &mut forwards, 0..compiled.compiled.units());
            check_with(&c, &memories, &results, &forwards[2]);
            let mut backwards = memories.clone();
            run(&compiled, &mut backwards, (0..compiled.compiled.units()).rev());
            assert!(forwards == backwards, "{c:?}: the order of units changes bits");
        }
    }
}

/// Plain strides of a dense array.
fn dense(buffer: u32, dtype: DType, sizes: &[usize]) -> Access {
    let mut strides: Axes<isize> = sizes.iter().map(|_| 1).collect();
    for axis in (1..sizes.len()).rev() {
        strides[axis - 1] = strides[axis] * sizes[axis] as isize;
    }
    Access { buffer, dtype, offset: 0, strides }
}

fn matrices(dtype: DType, m: usize, n: usize, k: usize, layout: usize) -> Contract {
    let turned = |access: Access| Access { strides: access.strides.iter().rev().copied().collect(), ..access };
    let (a, b) = (dense(0, dtype, &[m, k]), dense(1, dtype, &[k, n]));
    let one = |size: usize| -> Axes<usize> { [size].into_iter().collect() };
    Contract {
        batch: Axes::new(),
        m: one(m),
        n: one(n),
        k: one(k),
        a: if layout & 1 != 0 { turned(dense(0, dtype, &[k, m])) } else { a },
        b: if layout & 2 != 0 { turned(dense(1, dtype, &[n, k])) } else { b },
        out: dense(2, dtype, &[m, n]),
        k_chunks: 1,
        accumulate: false,
        precision: Precision::Full,
        epilogue: None,
    }
}

fn filled(c: &Contract, lengths: [usize; 3], draw: &mut Draw) -> Vec<Memory> {
    lengths.map(|len| Memory::new(c.a.dtype, (0..len).map(|_| draw.number()))).to_vec()
}

#[test]
fn every_size_of_block_and_tile_is_right() {
    let sizes = [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 130];
    let mut draw = Draw(2);
    for m in sizes {
        for n in sizes {
            for k in [1, 9, 160] {
                let dtype = draw.of(&[DType::F32, DType::F64]);
                let c = matrices(dtype, m, n, k, draw.below(4));
                let memories = filled(&c, [m * k, k * n, m * n], &mut draw);
                let results = naive(&c, &memories);
                for level in Level::available() {
                    let compiled = made(|written| CompiledContract::at(&c, level, None, written));
                    let mut got = memories.clone();
                    run(&compiled, &mut got, 0..compiled.compiled.units());
                    check_with(&c, &memories, &results, &got[2]);
                }
            }
        }
    }
}

#[test]
fn large_products_of_every_layout_are_right() {
    let mut draw = Draw(3);
    for (m, n, k) in [(300, 700, 520), (1, 700, 900), (2, 300, 1100), (900, 1, 700), (700, 3, 300), (130, 1030, 64)] {
        for layout in 0..4 {
            let c = matrices(DType::F32, m, n, k, layout);
            let memories = filled(&c, [m * k, k * n, m * n], &mut draw);
            let compiled = made(|written| CompiledContract::new(&c, written));
            let mut got = memories.clone();
            run(&compiled, &mut got, (0..compiled.compiled.units()).rev());
            check(&c, &memories, &got[2]);
        }
    }
}

/// `out2 = product + bias[column]`, and the row sums where asked for.
fn with_bias(c: &mut Contract, rows: usize, cols: usize, sums: bool) {
    let lane = Lane::of(c.a.dtype);
    let instruction = |code, extent| Instruction { code, lane, extent };
    let mut code = vec![
        instruction(Code::Load(0), Extent::Full),
        instruction(Code::Load(1), Extent::Full),
        instruction(Code::Binary(Binary::Add, 0, 1), Extent::Full),
        instruction(Code::Store(0, 2), Extent::Full),
    ];
    let mut stores = vec![dense(2, c.out.dtype, &[rows, cols])];
    if sums {
        code.push(instruction(Code::Reduce(crate::compile::kernel::Reduction::Sum, 2), Extent::Row));
        code.push(instruction(Code::Store(1, 4), Extent::Row));
        stores.push(Access { buffer: 4, dtype: c.out.dtype, offset: 0, strides: [1, 0].into_iter().collect() });
    }
    let bias = Access { buffer: 3, dtype: c.a.dtype, offset: 0, strides: [0, 1].into_iter().collect() };
    c.epilogue = Some(Region {
        axes: [rows, cols].into_iter().collect(),
        row_axes: 1,
        loads: vec![dense(2, c.out.dtype, &[rows, cols]), bias],
        stores,
        code,
        unit_rows: None,
    });
}

#[test]
fn code_runs_on_finished_tiles() {
    let mut draw = Draw(5);
    for (m, n, k, batch) in [(33, 17, 20, 1), (300, 200, 300, 1), (40, 1, 70, 3), (9, 130, 8, 5), (500, 1, 600, 1), (8, 9, 0, 2)] {
        for dtype in [DType::F32, DType::F64, DType::BF16] {
            for sums in [false, true] {
                let mut c = matrices(dtype, m, n, k, draw.below(4));
                // Two axes of a batch, along any of which B may be the same.
                c.batch = [batch, 2].into_iter().collect();
                let place = |access: &mut Access, one: usize, moves: [bool; 2]| {
                    let inner = if moves[1] { one as isize } else { 0 };
                    let outer = if moves[0] { one as isize * if moves[1] { 2 } else { 1 } } else { 0 };
                    access.strides.insert(0, inner);
                    access.strides.insert(0, outer);
                };
                place(&mut c.a, m * k, [true, true]);
                place(&mut c.b, k * n, [draw.below(2) == 0, draw.below(2) == 0]);
                place(&mut c.out, m * n, [true, true]);
                let all = batch * 2;
                let (rows, lengths) = (all * m, [all * m * k, all * k * n, all * m * n]);
                let mut memories = filled(&c, lengths, &mut draw);
                memories.push(Memory::new(dtype, (0..n).map(|_| draw.number())));
                memories.push(Memory::new(dtype, (0..rows).map(|_| 0.0)));
                let plain = naive(&c, &memories);
                with_bias(&mut c, rows, n, sums);
                let compiled = made(|written| CompiledContract::new(&c, written));
                let mut got = memories.clone();
                run(&compiled, &mut got, (0..compiled.compiled.units()).rev());
                let unit = match dtype {
                    DType::F64 => 1e-13,
                    DType::F32 => 1e-5,
                    _ => 8e-3,
                };
                let mut row_sums = vec![(0.0, 0.0); rows];
                for &(at, value, size) in &plain {
                    let value = value + memories[3].get(at % n as isize);
                    let result = got[2].get(at);
                    assert!((result - value).abs() <= unit * (size + 3.0), "{c:?}: {result} is not {value} at {at}");
                    let sum = &mut row_sums[at as usize / n];
                    *sum = (sum.0 + value, sum.1 + size + 3.0);
                }
                for (row, (sum, size)) in row_sums.into_iter().enumerate().filter(|_| sums) {
                    assert!((got[4].get(row as isize) - sum).abs() <= unit * size, "{c:?}: sum of row {row}");
                }
            }
        }
    }
}

#[test]
fn infinity_and_nan_follow_the_formula() {
    for (m, n, k) in [(9, 17, 5), (1, 40, 100), (60, 1, 100), (130, 130, 130)] {
        for layout in 0..4 {
            let c = matrices(DType::F32, m, n, k, layout);
            let mut memories = filled(&c, [m * k, k * n, m * n], &mut Draw(6));
            // A zero of A against an infinity of B is NaN, in the whole column.
            memories[0] = Memory::new(DType::F32, (0..m * k).map(|_| 0.0));
            let at = if layout & 2 != 0 { (n - 1) * k + k - 1 } else { k * n - 1 };
            memories[1].bytes[at * 4..][..4].copy_from_slice(&f32::INFINITY.to_ne_bytes());
            let compiled = made(|written| CompiledContract::new(&c, written));
            run(&compiled, &mut memories, 0..compiled.compiled.units());
            for row in 0..m {
                for col in 0..n {
                    let result = memories[2].get((row * n + col) as isize);
                    assert_eq!(result.is_nan(), col == n - 1, "{m}x{n}x{k}, layout {layout}: {result}");
                }
            }
        }
    }
}

#[test]
fn empty_results_have_no_units_and_empty_sums_are_zero() {
    for (m, n, k) in [(0, 3, 2), (3, 0, 2), (0, 0, 0)] {
        assert_eq!(made(|written| CompiledContract::new(&matrices(DType::F32, m, n, k, 0), written)).compiled.units(), 0);
    }
    for accumulate in [false, true] {
        let mut c = matrices(DType::F32, 4, 5, 0, 0);
        c.accumulate = accumulate;
        let mut memories = filled(&c, [0, 0, 20], &mut Draw(7));
        let before = memories[2].clone();
        let compiled = made(|written| CompiledContract::new(&c, written));
        run(&compiled, &mut memories, 0..compiled.compiled.units());
        let zeros = Memory::new(DType::F32, (0..20).map(|_| 0.0));
        assert!(memories[2] == if accumulate { before } else { zeros });
    }
}

/// Two products of one operand share it; one that is written in between is not shared.
#[test]
fn products_share_what_does_not_change_between_them() {
    let c = matrices(DType::F32, 40, 300, 300, 0);
    for (written, places) in [(false, 1), (true, 0)] {
        // With the longest vectors few products share nothing (`reading.rs`).
        let mut two = [0, 1].map(|_| placed(|code| CompiledContract::at(&c, Level::Portable, None, code)));
        let [one, other] = &mut two;
        share(&mut [(0, one), (2, other)], |buffer, first, last| written && (buffer, first, last) == (1, 0, 2), |_| false);
        let found = two.each_ref().map(|product| product.plan.shared[1]);
        assert_eq!(found[0], found[1]);
        assert_eq!(found.iter().flatten().count(), 2 * places, "written: {written}");
    }
}
