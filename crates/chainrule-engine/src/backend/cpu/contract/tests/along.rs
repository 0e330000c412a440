//! Products whose vectors go along the sum.

use super::windows::{columns_of_windows, in_chunks, retyped};
use super::{Draw, check, dense, filled, made, matrices, run, with_bias};
use crate::backend::cpu::contract::CompiledContract;
use crate::backend::cpu::level::Level;
use crate::compile::kernel::Contract;
use crate::tensor::{DType, Precision};

/// Whether the vectors of a product go along its sum.
fn goes_along(c: &Contract, level: Level) -> bool {
    made(|written| CompiledContract::at(c, level, None, written)).compiled.plan.along.is_some()
}

/// Whether the level has what it takes.
fn has(level: Level) -> bool {
    level > Level::Portable
}

/// Rows and columns that fill blocks or do not, sums that fill vectors or do not, in one run, in several, in runs of lines, in
/// chunks, added to what is there: the product by its definition, and nothing beside it is written.
#[test]
fn sums_along_vectors_are_products() {
    let mut draw = Draw(31);
    let mut along = 0;
    let sides = [3, 4, 8, 9, 10, 27, 32];
    let pairs = sides.iter().flat_map(|&m| sides.iter().map(move |&n| (m, n)));
    let plain = pairs.map(|(m, n)| {
        let k = [512, 700, 1024, 4096, 5001][(m + n) % 5];
        (matrices(DType::F32, m, n, k, 2), [m * k, k * n, m * n], 1 + (m * n) % 2)
    });
    // Lines of 30, 14 and 18 numbers, images that are worked on in parts, and one channel or several.
    let sizes = [[2, 32, 1, 32], [4, 16, 1, 20], [3, 20, 3, 64], [1, 72, 1, 7], [5, 30, 2, 10]];
    let windows = sizes.iter().flat_map(|&sizes| [1, 2].map(|chunks| (columns_of_windows(sizes), chunks)));
    // The same where one operand lies in one run, and a batch of products.
    let one_run = columns_of_windows([3, 30, 1, 32]);
    let one_run = (Contract { a: dense(0, DType::F32, &[&one_run.0.m[..], &one_run.0.k].concat()), ..one_run.0 }, one_run.1);
    let mut batch = (matrices(DType::F32, 12, 9, 600, 2), [3 * 12 * 600, 3 * 9 * 600, 3 * 12 * 9]);
    batch.0.batch.push(3);
    for (access, stride) in [(&mut batch.0.a, 12 * 600), (&mut batch.0.b, 9 * 600), (&mut batch.0.out, 12 * 9)] {
        access.strides.insert(0, stride);
    }
    // Results that do not lie evenly.
    let mut apart = columns_of_windows([3, 30, 1, 32]);
    (apart.0.out.strides, apart.1[2]) = ([400, 300, 100, 1].into_iter().collect(), 32 * 400);
    let others = [(one_run.clone(), 1), (one_run, 3), (batch, 1), (apart, 1)];
    let cases = plain.chain(windows.chain(others).map(|((c, lengths), chunks)| (c, lengths, chunks)));
    for (i, (mut c, mut lengths, chunks)) in cases.enumerate() {
        if c.k.iter().product::<usize>() % chunks == 0 {
            in_chunks(&mut c, &mut lengths, chunks);
        }
        retyped(&mut c, if i % 4 == 3 { DType::F64 } else { DType::F32 });
        c.accumulate = i % 3 == 2;
        let memories = filled(&c, lengths, &mut draw);
        for level in Level::available() {
            let made = made(|written| CompiledContract::at(&c, level, None, written));
            let (mut got, mut forwards) = (memories.clone(), memories.clone());
            run(&made, &mut got, (0..made.compiled.units()).rev());
            check(&c, &memories, &got[2]);
            run(&made, &mut forwards, 0..made.compiled.units());
            assert!(forwards == got, "{level:?}, {c:?}: the order of units changes bits");
            along += usize::from(made.compiled.plan.along.is_some());
            assert!(has(level) || made.compiled.plan.along.is_none(), "{level:?}");
        }
    }
    let levels = Level::available().into_iter().filter(|&level| has(level)).count();
    assert!(along >= 30 * levels, "{along} products went along their sums");
}

/// 32 by 9 results of four images of 784 numbers, which lie side by side in both operands, in so many chunks.
fn in_images(chunks: usize) -> Contract {
    let (mut c, mut lengths) = (matrices(DType::F32, 32, 9, 4 * 784, 2), [0, 0, 32 * 9]);
    c.k = [4, 784].into_iter().collect();
    c.a.strides = [784, 32 * 784, 1].into_iter().collect();
    c.b.strides = [9 * 784, 1, 784].into_iter().collect();
    in_chunks(&mut c, &mut lengths, chunks);
    c
}

/// Where an operand would be turned for few rows, and only there: both sums lie side by side, are long, and fill vectors and blocks.
#[test]
fn small_results_of_long_sums_go_along_them() {
    let of = |m, n, k, layout| matrices(DType::F32, m, n, k, layout);
    let windows = |sizes| columns_of_windows(sizes).0;
    let followed = {
        let mut c = of(32, 9, 2048, 2);
        with_bias(&mut c, 32, 9, false);
        c
    };
    let mut chunked = columns_of_windows([2, 30, 1, 32]);
    in_chunks(&mut chunked.0, &mut chunked.1, 2);
    let mut crossed = columns_of_windows([4, 30, 1, 32]);
    in_chunks(&mut crossed.0, &mut crossed.1, 5);
    let narrow = {
        let mut c = of(32, 9, 2048, 2);
        retyped(&mut c, DType::BF16);
        c
    };
    let rounded = Contract { precision: Precision::Mixed, ..of(32, 9, 2048, 2) };
    for (c, along, why) in [
        (of(32, 9, 2048, 2), true, "both sums lie side by side"),
        (of(9, 32, 2048, 2), true, "the same with sides changed"),
        (followed, true, "what follows changes nothing"),
        (of(32, 9, 2048, 0), false, "columns do not lie along the sum"),
        (of(32, 9, 2048, 3), false, "rows do not lie along the sum"),
        (of(32, 9, 5001, 2), true, "one long run"),
        (narrow, false, "numbers are widened"),
        (rounded, false, "numbers are rounded"),
        (of(32, 9, 500, 2), false, "the sum is short"),
        (of(2, 9, 2048, 2), false, "two rows are products of rows and columns"),
        (of(128, 27, 2048, 2), false, "the result is large"),
        (in_images(4), true, "an image a chunk, each in one run"),
        (in_images(5), false, "chunks end within images"),
        (of(200, 9, 2048, 2), false, "there are many rows"),
        (of(31, 28, 2048, 2), false, "blocks would be half empty"),
        (windows([2, 30, 1, 32]), true, "lines of 28"),
        (chunked.0, true, "an image a chunk"),
        (crossed.0, false, "chunks end within lines"),
        (windows([8, 11, 1, 32]), false, "lines of nine leave vectors empty"),
    ] {
        for level in Level::available() {
            assert_eq!(goes_along(&c, level), along && has(level), "{level:?}: {why}");
        }
    }
}
