//! Products of windows that overlap.

use super::super::CompiledContract;
use super::reading::last_of;
use super::{Draw, check, dense, filled, made, placed, run, with_bias};
use crate::backend::cpu::contract::MANY;
use crate::backend::cpu::level::Level;
use crate::compile::kernel::{Access, Axes, Contract};
use crate::tensor::{DType, Precision};
use std::collections::BTreeMap;

/// Windows of three by three over images, as a product and as the gradient of their kernel.
pub(super) fn windows(gradient: bool) -> (Contract, [usize; 3]) {
    windows_of([5, 11, 5, 20], 1, if gradient { Kind::Gradient } else { Kind::Product })
}

/// What is multiplied.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Windows by filters.
    Product,
    /// Windows by the gradient of their product, for that of the filters.
    Gradient,
    /// The same of images whose channels come before their rows: the windows are columns.
    GradientOfColumns,
}

/// The same of so many images of a height and width, with so many channels, for so many filters, at every so manieth place.
fn windows_of([images, side, channels, filters]: [usize; 4], apart: usize, kind: Kind) -> (Contract, [usize; 3]) {
    let inner = (side - 3) / apart + 1;
    let image = (side * side * channels) as isize;
    let first = kind == Kind::GradientOfColumns;
    let (channel, col) = if first { ((side * side) as isize, 1) } else { (1, channels as isize) };
    let (row, step) = (side as isize * col, apart as isize);
    let list = |sizes: &[usize]| sizes.iter().copied().collect::<Axes<usize>>();
    let (places, place_strides) = (list(&[images, inner, inner]), [image, row * step, col * step]);
    let (window, window_strides) = match first {
        true => (list(&[channels, 3, 3]), [channel, row, col]),
        false => (list(&[3, 3, channels]), [row, col, channel]),
    };
    let strides = |parts: &[[isize; 3]]| parts.concat().into_iter().collect();
    let access = |buffer, strides| Access { buffer, dtype: DType::F32, offset: 0, strides };
    let filters_of = |axes: &Axes<usize>| [&axes[..], &[filters]].concat();
    let (m, n, k, a, b) = match kind {
        Kind::Product => {
            let b = dense(1, DType::F32, &filters_of(&window));
            (places, list(&[filters]), window, access(0, strides(&[place_strides, window_strides])), b)
        }
        Kind::Gradient => {
            let b = dense(1, DType::F32, &filters_of(&places));
            (window, list(&[filters]), places, access(0, strides(&[window_strides, place_strides])), b)
        }
        // The gradient has channels before rows, too: filters, images, rows, columns.
        Kind::GradientOfColumns => {
            let plane = (inner * inner) as isize;
            let a = access(0, [plane, plane * filters as isize, inner as isize, 1].into_iter().collect());
            (list(&[filters]), window, places, a, access(1, strides(&[place_strides, window_strides])))
        }
    };
    let out = dense(2, DType::F32, &[&m[..], &n[..]].concat());
    let length = |axes: &[&Axes<usize>]| axes.iter().flat_map(|axes| axes.iter()).product::<usize>();
    let operands = [images * side * side * channels, length(&[&k]) * filters];
    let lengths = [operands[usize::from(first)], operands[usize::from(!first)], length(&[&m, &n])];
    let batch = Axes::new();
    let c = Contract { batch, m, n, k, a, b, out, k_chunks: 1, accumulate: false, precision: Precision::Full, epilogue: None };
    (c, lengths)
}

/// The gradient of the kernel of a convolution of images with channels first.
pub(super) fn columns_of_windows(sizes: [usize; 4]) -> (Contract, [usize; 3]) {
    windows_of(sizes, 1, Kind::GradientOfColumns)
}

/// Changes the type of operands and result.
pub(super) fn retyped(c: &mut Contract, dtype: DType) {
    for access in [&mut c.a, &mut c.b, &mut c.out] {
        access.dtype = dtype;
    }
}

/// Cuts the sum in so many chunks, whose results follow each other.
pub(super) fn in_chunks(c: &mut Contract, lengths: &mut [usize; 3], k_chunks: usize) {
    if k_chunks > 1 {
        c.out.strides.insert(0, lengths[2] as isize);
        lengths[2] *= k_chunks;
        c.k_chunks = k_chunks;
    }
}

#[test]
fn overlapping_windows_are_products() {
    for gradient in [false, true] {
        for (dtype, k_chunks) in [(DType::F32, 1), (DType::BF16, 1), (DType::F64, 4)] {
            let (mut c, mut lengths) = windows(gradient);
            retyped(&mut c, dtype);
            in_chunks(&mut c, &mut lengths, k_chunks);
            let memories = filled(&c, lengths, &mut Draw(4));
            let compiled = made(|written| CompiledContract::new(&c, written));
            let mut got = memories.clone();
            run(&compiled, &mut got, 0..compiled.compiled.units());
            check(&c, &memories, &got[2]);
        }
    }
}

/// Windows are read where they lie, in runs along rows and along the sum, and give the bits of panels made of
/// them; so do windows of which some stand far apart, sums cut in chunks, and runs that are cut in passes.
#[test]
fn windows_read_where_they_lie_give_the_bits_of_panels() {
    let mut draw = Draw(22);
    let mut seen = BTreeMap::new();
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
        for (kind, dtype, k_chunks) in [
            (Kind::Product, DType::F32, 1),
            (Kind::Product, DType::F64, 1),
            (Kind::Gradient, DType::F32, 1),
            (Kind::Gradient, DType::F32, 2),
            (Kind::GradientOfColumns, DType::F32, 1),
            (Kind::GradientOfColumns, DType::F32, 2),
        ] {
            let (mut c, mut lengths) = windows_of(sizes, apart, kind);
            retyped(&mut c, dtype);
            in_chunks(&mut c, &mut lengths, k_chunks);
            let memories = filled(&c, lengths, &mut draw);
            for level in Level::available() {
                let (alone, in_place) = last_of(&c, level, 1, &memories);
                let (shared, still) = last_of(&c, level, MANY, &memories);
                check(&c, &memories, &alone);
                assert!(alone == shared, "{level:?}, {sizes:?} every {apart}, {kind:?}, {k_chunks} chunks: other bits from panels");
                let of = seen.entry((kind == Kind::GradientOfColumns, level)).or_insert(0);
                *of += usize::from(in_place[0] && !still[0]);
            }
        }
    }
    for ((columns, level), times) in seen {
        assert!(times >= if columns { 3 } else { 15 }, "{level:?}, windows as columns: {columns}: read in place {times} times");
    }
}

/// With 256 bits two bands of three rows make a block; bands of other lengths, and other vectors, have blocks of their own.
#[test]
fn two_bands_of_three_rows_are_a_block() {
    for (sizes, kind, k_chunks, threes) in [
        ([2, 30, 1, 32], Kind::Gradient, 1, true),
        ([4, 16, 8, 32], Kind::GradientOfColumns, 2, true),
        ([2, 30, 3, 32], Kind::Gradient, 1, false),
        ([2, 30, 1, 32], Kind::Product, 1, false),
    ] {
        let (mut c, mut lengths) = windows_of(sizes, 1, kind);
        in_chunks(&mut c, &mut lengths, k_chunks);
        for level in Level::available() {
            let made = placed(|written| CompiledContract::at(&c, level, None, written));
            let paired = made.plan.bands.is_some_and(|bands| bands.paired);
            assert_eq!(paired, threes && level == Level::Avx2, "{level:?}, {sizes:?}, {kind:?}");
            assert!(!paired || made.plan.panels_of_a.width == 6, "{level:?}, {sizes:?}, {kind:?}");
        }
    }
}

/// The gradient of a kernel by images with channels first has windows as columns, whose sums lie along rows of the image: they change
/// sides, if the sum is cut in chunks. Filters before channels last do not, nor does a sum that is shorter than there are filters.
#[test]
fn windows_that_would_be_turned_change_sides() {
    for (sizes, kind, k_chunks, turned) in [
        ([4, 16, 8, 32], Kind::GradientOfColumns, 2, true),
        ([4, 16, 8, 32], Kind::GradientOfColumns, 1, false),
        ([4, 16, 8, 32], Kind::Gradient, 2, false),
        ([1, 12, 8, 128], Kind::GradientOfColumns, 2, false),
        // Runs of three in a sum are too short.
        ([40, 5, 8, 32], Kind::GradientOfColumns, 2, false),
    ] {
        let (mut c, mut lengths) = windows_of(sizes, 1, kind);
        in_chunks(&mut c, &mut lengths, k_chunks);
        for level in Level::available() {
            let made = placed(|written| CompiledContract::at(&c, level, None, written));
            assert_eq!(made.plan.swapped, turned, "{level:?}, {sizes:?}, {kind:?}, {k_chunks} chunks");
        }
    }
}

/// Filters by windows of images with channels first: as columns go through images, so do those of the result.
fn filters_by_windows([images, side, channels, filters]: [usize; 4]) -> (Contract, [usize; 3]) {
    let (by_columns, lengths) = windows_of([images, side, channels, filters], 1, Kind::GradientOfColumns);
    let inner = side - 2;
    let Contract { n: window, k: places, b: windows, .. } = by_columns;
    let (of_places, of_window) = windows.strides.split_at(3);
    let b = Access { strides: [of_window, of_places].concat().into_iter().collect(), ..windows };
    let plane = inner * inner;
    let strides = [plane, plane * filters, inner, 1].map(|stride| stride as isize).into_iter().collect();
    let out = Access { buffer: 2, dtype: DType::F32, offset: 0, strides };
    let a = dense(0, DType::F32, &[&[filters], &window[..]].concat());
    let lengths = [filters * channels * 9, lengths[1], images * plane * filters];
    let m = [filters].into_iter().collect();
    let (batch, precision) = (Axes::new(), Precision::Full);
    (Contract { batch, m, n: places, k: window, a, b, out, k_chunks: 1, accumulate: false, precision, epilogue: None }, lengths)
}

/// Each large image is a product of its own, whose results are written where they lie, also where what is read goes on evenly from
/// image to image; small ones are not, nor are images of which the result goes on so, or whose filters would have to be packed for
/// each, sums in chunks, or what code follows.
#[test]
fn large_images_are_products_of_their_own() {
    #[derive(PartialEq, Debug)]
    enum But {
        Plain,
        EvenlyRead,
        EvenlyWritten,
        Turned,
        Chunked,
        Followed,
    }
    let mut draw = Draw(23);
    use But::*;
    for (side, but) in [(26, Plain), (12, Plain), (26, EvenlyRead), (26, EvenlyWritten), (26, Turned), (26, Chunked), (26, Followed)] {
        let (mut c, mut lengths) = filters_by_windows([3, side, 3, 20]);
        match but {
            Plain => {}
            // Numbers of a place side by side, as many as of a window.
            EvenlyRead => {
                let numbers = lengths[0] / 20;
                let [.., rows, cols] = c.n[..] else { unreachable!("images, rows and columns") };
                (c.a, c.k) = (dense(0, DType::F32, &[20, numbers]), [numbers].into_iter().collect());
                c.b.strides = [1, rows * cols * numbers, cols * numbers, numbers].map(|stride| stride as isize).into_iter().collect();
                lengths[1] = lengths[2] / 20 * numbers;
            }
            EvenlyWritten => c.out = dense(2, DType::F32, &[&c.m[..], &c.n].concat()),
            // Filters by place first, as in the gradient of the input.
            Turned => c.a.strides = [9, 180, 3, 1].into_iter().collect(),
            Chunked => in_chunks(&mut c, &mut lengths, 3),
            Followed => with_bias(&mut c, 20, lengths[2] / 20, false),
        }
        let own = side == 26 && (but == Plain || but == EvenlyRead);
        let memories = filled(&c, lengths, &mut draw);
        for level in Level::available() {
            let made = made(|written| CompiledContract::at(&c, level, None, written));
            let plan = &made.compiled.plan;
            assert_eq!((plan.batch > 1, plan.dense), (own, !own && but != EvenlyWritten), "{level:?}, {side} x {side}, {but:?}");
            // What code makes of products has its own test.
            if but != Followed {
                let mut got = memories.clone();
                run(&made, &mut got, 0..made.compiled.units());
                check(&c, &memories, &got[2]);
            }
        }
    }
}
