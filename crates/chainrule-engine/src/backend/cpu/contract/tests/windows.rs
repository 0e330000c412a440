//! Products of windows that overlap.

use super::super::CompiledContract;
use super::reading::last_of;
use super::{Draw, check, dense, filled, made, run};
use crate::backend::cpu::contract::MANY;
use crate::backend::cpu::level::Level;
use crate::compile::kernel::{Access, Axes, Contract};
use crate::tensor::{DType, Precision};

/// Windows of three by three over images, as a product and as the gradient of their kernel.
pub(super) fn windows(gradient: bool) -> (Contract, [usize; 3]) {
    windows_of([5, 11, 5, 20], 1, gradient)
}

/// The same of so many images of a height and width, with so many channels, for so many filters, at every so manieth place.
fn windows_of([images, side, channels, filters]: [usize; 4], apart: usize, gradient: bool) -> (Contract, [usize; 3]) {
    let inner = (side - 3) / apart + 1;
    let (row, image) = ((side * channels) as isize, (side * side * channels) as isize);
    let places: Axes<usize> = [images, inner, inner].into_iter().collect();
    let window: Axes<usize> = [3, 3, channels].into_iter().collect();
    let place_strides = [image, row * apart as isize, (channels * apart) as isize];
    let window_strides = [row, channels as isize, 1];
    let columns: Axes<usize> = [filters].into_iter().collect();
    let (m, k, strides) = if gradient {
        (window, places, [window_strides, place_strides].concat())
    } else {
        (places, window, [place_strides, window_strides].concat())
    };
    let a = Access { buffer: 0, dtype: DType::F32, offset: 0, strides: strides.into_iter().collect() };
    let b = dense(1, DType::F32, &[&k[..], &[filters]].concat());
    let out = dense(2, DType::F32, &[&m[..], &[filters]].concat());
    let (k_len, m_len): (usize, usize) = (k.iter().product(), m.iter().product());
    let lengths = [images * side * side * channels, k_len * filters, m_len * filters];
    let c = Contract {
        batch: Axes::new(),
        m,
        n: columns,
        k,
        a,
        b,
        out,
        k_chunks: 1,
        accumulate: false,
        precision: Precision::Full,
        epilogue: None,
    };
    (c, lengths)
}

#[test]
fn overlapping_windows_are_products() {
    for gradient in [false, true] {
        for (dtype, k_chunks) in [(DType::F32, 1), (DType::BF16, 1), (DType::F64, 4)] {
            let (mut c, mut lengths) = windows(gradient);
            for access in [&mut c.a, &mut c.b, &mut c.out] {
                access.dtype = dtype;
            }
            if k_chunks > 1 {
                c.out.strides.insert(0, lengths[2] as isize);
                lengths[2] *= k_chunks;
                c.k_chunks = k_chunks;
            }
            let memories = filled(&c, lengths, &mut Draw(4));
            let compiled = made(|written| CompiledContract::new(&c, written));
            let mut got = memories.clone();
            run(&compiled, &mut got, 0..compiled.compiled.units());
            check(&c, &memories, &got[2]);
        }
    }
}

/// With 512 bits windows are read where they lie, in runs along rows and along the sum, and give the bits of panels made of
/// them; so do windows of which some stand far apart, sums cut in chunks, and runs that are cut in passes.
#[test]
fn windows_read_where_they_lie_give_the_bits_of_panels() {
    let mut draw = Draw(22);
    let mut seen = 0;
    let cases = [
        // One channel: runs of three along the sum. Then runs that make up a pass, and a run of 363 that is cut in three.
        ([2, 12, 1, 32], 1),
        ([4, 16, 1, 20], 2),
        ([3, 9, 32, 70], 1),
        ([2, 6, 121, 40], 1),
        ([2, 8, 16, 17], 1),
        ([6, 17, 3, 64], 2),
        // Seven divides neither a chunk nor what a pass may hold: packed.
        ([1, 9, 400, 8], 1),
    ];
    for (sizes, apart) in cases {
        for (gradient, dtype, k_chunks) in [(false, DType::F32, 1), (true, DType::F32, 1), (true, DType::F32, 2), (false, DType::F64, 1)] {
            let (mut c, mut lengths) = windows_of(sizes, apart, gradient);
            for access in [&mut c.a, &mut c.b, &mut c.out] {
                access.dtype = dtype;
            }
            if k_chunks > 1 {
                c.out.strides.insert(0, lengths[2] as isize);
                lengths[2] *= k_chunks;
                c.k_chunks = k_chunks;
            }
            let memories = filled(&c, lengths, &mut draw);
            for level in Level::available() {
                let (alone, in_place) = last_of(&c, level, 1, &memories);
                let (shared, still) = last_of(&c, level, MANY, &memories);
                check(&c, &memories, &alone);
                assert!(alone == shared, "{level:?}, {sizes:?} every {apart}, gradient {gradient}, {k_chunks} chunks: other bits from panels");
                seen += usize::from(in_place[0] && !still[0]);
            }
        }
    }
    let most = Level::detect() == Level::Avx512;
    assert!(if most { seen >= 15 } else { seen == 0 }, "read in place by one product, from panels by {MANY}: {seen}");
}
