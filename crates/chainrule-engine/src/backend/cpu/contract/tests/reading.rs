//! Operands that are read where they lie, and panels of the same operands.

use super::*;
use crate::backend::cpu::contract::MANY;
use crate::backend::cpu::contract::block::Multiply;

/// So many products of the same operands, and the room for what they share.
fn products(c: &Contract, level: Level, count: usize) -> (Vec<CompiledContract>, Packed) {
    let mut all: Vec<_> = (0..count).map(|_| placed(|written| CompiledContract::at(c, level, None, written))).collect();
    let mut with_waves: Vec<_> = all.iter_mut().enumerate().collect();
    let sizes = share(&mut with_waves, |_, _, _| false, |_| false);
    (all, Packed::new(sizes).unwrap())
}

/// The result of the last of so many products, and which sides it reads in place.
pub(super) fn last_of(c: &Contract, level: Level, count: usize, memories: &[Memory]) -> (Memory, [bool; 2]) {
    let (mut all, room) = products(c, level, count);
    let made = Made { compiled: all.pop().unwrap(), room };
    let mut memories = memories.to_vec();
    run(&made, &mut memories, 0..made.compiled.units());
    (memories.remove(2), [0, 1].map(|side| made.compiled.plan.reads_in_place(side)))
}

/// Panels and what they are made of give the same bits, and both the product; with 512 bits each side is read in place
/// in some of these and packed in others.
#[test]
fn operands_read_where_they_lie_give_the_bits_of_panels() {
    let mut draw = Draw(21);
    let mut seen = [0; 2];
    for (m, n, k) in [(90, 70, 512), (65, 200, 300), (40, 1024, 130), (7, 2048, 150)] {
        for (layout, dtype) in [(0, DType::F32), (1, DType::F32), (2, DType::F64), (3, DType::F32), (1, DType::F64)] {
            let c = matrices(dtype, m, n, k, layout);
            let memories = filled(&c, [m * k, k * n, m * n], &mut draw);
            for level in Level::available() {
                let (alone, in_place) = last_of(&c, level, 1, &memories);
                let (shared, still) = last_of(&c, level, MANY, &memories);
                check(&c, &memories, &alone);
                assert!(alone == shared, "{level:?}, {m} x {n} x {k}, layout {layout}: other bits from panels");
                for side in 0..2 {
                    seen[side] += usize::from(in_place[side] && !still[side]);
                }
            }
        }
    }
    let most = Level::detect() == Level::Avx512;
    assert!(
        seen.iter().all(|&times| if most { times >= 5 } else { times == 0 }),
        "read in place by one product, from panels by {MANY}: {seen:?}"
    );
}

/// Where B is turned for a single tile of rows, panel after panel takes the same place, if B lies in one piece: the bits of panels
/// that are all there, and the products of a batch.
#[test]
fn panels_turned_one_by_one_give_the_bits_of_all() {
    let mut draw = Draw(24);
    for (m, n, k) in [(9, 100, 32), (27, 33, 64), (60, 1040, 100), (30, 64, 17)] {
        for (batch, apart) in [(1, 0), (1, 3), (2, 0)] {
            let mut c = matrices(DType::F32, m, n, k, 2);
            c.b.strides[1] += apart;
            let mut lengths = [m * k, n * (k + apart as usize), m * n];
            if batch > 1 {
                c.batch.push(batch);
                [&mut c.a, &mut c.b, &mut c.out].into_iter().zip(lengths).for_each(|(access, len)| access.strides.insert(0, len as isize));
                lengths = lengths.map(|len| len * batch);
            }
            let memories = filled(&c, lengths, &mut draw);
            for level in Level::available() {
                let plan = placed(|written| CompiledContract::at(&c, level, None, written)).plan;
                let one_by_one = plan.turns_as_it_goes(k, m, f32::kernels(level));
                assert_eq!(one_by_one, level == Level::Avx512 && apart == 0, "{level:?}, {m} x {n} x {k}, rows {apart} apart");
                let alone = last_of(&c, level, 1, &memories).0;
                check(&c, &memories, &alone);
                assert!(alone == last_of(&c, level, MANY, &memories).0, "{level:?}, {m} x {n} x {k}, {batch}: other bits from panels");
            }
        }
    }
}

/// A single product packs nothing that it can read where it lies; many pack it once.
#[test]
fn what_many_products_read_is_packed_once() {
    let c = matrices(DType::F32, 40, 300, 300, 0);
    for level in Level::available() {
        let in_place = level == Level::Avx512;
        for (count, shared) in [(1, !in_place), (MANY - 1, !in_place), (MANY, true)] {
            let (all, _) = products(&c, level, count);
            let places: Vec<_> = all.iter().map(|product| product.plan.shared[1]).collect();
            // A few rows are a single tile, whose panels are its own.
            let shared = shared && (count > 1 || all[0].plan.readers()[1] > 1);
            assert!(places.iter().all(|place| place.is_some() == shared && *place == places[0]), "{level:?}, {count} products: {places:?}");
        }
    }
}

/// Where code after a product reads large values for each result, or more than is asked for ahead, tiles are as wide as the
/// result: the machine brings what goes on, but not what begins anew with every row of a tile.
#[test]
fn tiles_are_wide_where_their_code_reads_from_afar() {
    // Rows, columns, sum, elements from row to row of three values that the code reads, and whether whole rows are wanted.
    for (m, n, k, apart, wide) in [(784, 512, 128, 512, true), (784, 512, 128, 0, false), (128, 512, 768, 512, false)] {
        let mut c = matrices(DType::F32, m, n, k, 1);
        with_bias(&mut c, m, n, false);
        if let Some(region) = &mut c.epilogue {
            region.loads[1].strides[0] = apart;
            let read = region.loads[1].clone();
            region.loads.extend([read.clone(), read]);
        }
        let compiled = placed(|written| CompiledContract::new(&c, written));
        let cols = compiled.plan.tile_cols;
        assert_eq!(cols == n, wide, "{m} x {n} x {k}, rows {apart} apart: {cols} columns");
    }
}
