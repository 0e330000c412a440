//! Regions made on purpose: stores over loads, faults, epilogues, short rows.

use super::super::fault::FaultCell;
use super::super::level::Level;
use super::super::machine::placed;
use super::draft::{Dice, Draft};
use super::oracle::{evaluate, same};
use super::shape::Shape;
use super::{CompiledRegion, Product, Rectangle, Scratch};
use crate::compile::kernel::{Access, Binary, Code, Extent, Fault, Lane, Number, Reduction, Unary};
use crate::tensor::DType;

/// A short row is repeated once per unit for the rows of a tile; units also start at tiles that
/// have fewer rows than those that follow.
#[test]
fn short_rows_meet_tiles_of_unequal_height() {
    let mut dice = Dice(2, 0);
    let sizes = [20, 130, 20];
    let mut draft = Draft::new(&sizes, 2);
    for strides in [[2600, 20, 1], [20, 0, 1], [0, 0, 1]] {
        let access = draft.access(&mut dice, DType::F32, &strides, &sizes);
        draft.region.loads.push(access);
    }
    let loads: Vec<u32> = (0..3).map(|load| draft.push(Code::Load(load), Lane::F32, Extent::Full)).collect();
    let sum = draft.push(Code::Binary(Binary::Add, loads[0], loads[1]), Lane::F32, Extent::Full);
    let sum = draft.push(Code::Binary(Binary::Multiply, sum, loads[2]), Lane::F32, Extent::Full);
    let out = draft.access(&mut dice, DType::F32, &[2600, 20, 1], &sizes);
    draft.region.stores.push(out);
    // More code makes units shorter; some of these lengths start units at the short tiles.
    for _ in 0..6 {
        let sum = draft.push(Code::Unary(Unary::Negate, sum), Lane::F32, Extent::Full);
        draft.push(Code::Store(0, sum), Lane::F32, Extent::Full);
        draft.check("short rows");
        draft.region.code.pop();
    }
}

/// Squares of two by two share a value: with and without a maximum over the rows of each unit, rows follow each other along the
/// axis of squares, and each unit has the rows it had.
#[test]
fn rows_follow_each_other_where_all_accesses_go_on_evenly() {
    let sizes = [3, 14, 2, 14, 2, 32];
    let image = [28 * 28 * 32, 56 * 32, 28 * 32, 64, 32, 1];
    for unit_rows in [None, Some(784), Some(2 * 784), Some(56), Some(28)] {
        for maxima in [false, true] {
            let mut dice = Dice(3, 0);
            let mut draft = Draft::new(&sizes, 5);
            for strides in [image, [14 * 14 * 32, 14 * 32, 0, 32, 0, 1]] {
                let access = draft.access(&mut dice, DType::F32, &strides, &sizes);
                draft.region.loads.push(access);
            }
            let loads: Vec<u32> = (0..2).map(|load| draft.push(Code::Load(load), Lane::F32, Extent::Full)).collect();
            let sum = draft.push(Code::Binary(Binary::Add, loads[0], loads[1]), Lane::F32, Extent::Full);
            let out = draft.access(&mut dice, DType::F32, &image, &sizes);
            draft.region.stores.push(out);
            draft.push(Code::Store(0, sum), Lane::F32, Extent::Full);
            if maxima {
                let out = draft.access(&mut dice, DType::F32, &[32, 1], &[sizes[..5].iter().product(), 32]);
                draft.region.stores.push(out);
                draft.push(Code::Accumulate(1, Reduction::Maximum, sum), Lane::F32, Extent::Full);
                draft.region.unit_rows = unit_rows;
            }
            draft.check("squares");
            let shape = Shape::new(&draft.region, false);
            assert_eq!(shape.row_axes.last(), Some(&3), "{unit_rows:?}, maxima: {maxima}");
        }
    }
}

/// Two stores that go where two loads read, each to the other's place.
#[test]
fn stores_may_swap_two_buffers() {
    for n in [1, 9, 64, 5000] {
        // As they are, by one function, and by one that may have to be run step by step.
        for first in [None, Some(Unary::Negate), Some(Unary::Sin)] {
            let mut dice = Dice(n as i64, 0);
            let mut draft = Draft::new(&[n], 0);
            for _ in 0..2 {
                let access = draft.access(&mut dice, DType::F32, &[1], &[n]);
                draft.region.loads.push(access);
            }
            let a = draft.push(Code::Load(0), Lane::F32, Extent::Full);
            let b = draft.push(Code::Load(1), Lane::F32, Extent::Full);
            let (a, b) = match first {
                None => (a, b),
                Some(first) => (
                    draft.push(Code::Unary(first, a), Lane::F32, Extent::Full),
                    draft.push(Code::Unary(Unary::Floor, b), Lane::F32, Extent::Full),
                ),
            };
            draft.region.stores = vec![draft.region.loads[1].clone(), draft.region.loads[0].clone()];
            draft.push(Code::Store(0, a), Lane::F32, Extent::Full);
            draft.push(Code::Store(1, b), Lane::F32, Extent::Full);
            draft.check("swap");
        }
    }
}

#[test]
fn an_index_outside_is_a_fault_and_reads_index_zero() {
    let mut dice = Dice(1, 0);
    let (rows, cols, limit) = (40, 50, 6);
    let mut draft = Draft::new(&[rows, cols], 1);
    let table = draft.access(&mut dice, DType::F32, &[0, 1, cols as isize], &[rows, cols, limit]);
    draft.region.loads.push(Access { strides: table.strides[..2].into(), ..table });
    let index = draft.access(&mut dice, DType::I64, &[1, 0], &[rows, cols]);
    let first = index.offset as usize;
    draft.region.loads.push(index);
    let index = draft.push(Code::Load(1), Lane::I64, Extent::Row);
    let code = Code::LoadAt { load: 0, index, stride: cols as isize, limit, site: 9 };
    let value = draft.push(code, Lane::F32, Extent::Full);
    let out = draft.access(&mut dice, DType::F32, &[cols as isize, 1], &[rows, cols]);
    draft.region.stores.push(out);
    draft.push(Code::Store(0, value), Lane::F32, Extent::Full);
    let set = |draft: &mut Draft, row: usize, n: i64| {
        draft.buffers[1][(first + row) * 8..][..8].copy_from_slice(&n.to_ne_bytes());
    };
    for row in 0..rows {
        set(&mut draft, row, (row % limit) as i64);
    }
    draft.check("gather");
    assert_eq!(draft.run(Level::detect(), false).1, None);
    set(&mut draft, 33, limit as i64);
    set(&mut draft, 20, -1);
    draft.check("gather with faults");
    for backwards in [false, true] {
        let fault = draft.run(Level::detect(), backwards).1;
        assert_eq!(fault, Some(Fault { site: 9, index: -1, limit }));
    }
}

/// A product with a bias, a residual and a nonlinearity, in rectangles of every size.
#[test]
fn an_epilogue_runs_on_any_rectangle() {
    let mut dice = Dice(5, 0);
    let (outer, rows, cols) = (3, 37, 70);
    let mut draft = Draft::new(&[outer, rows, cols], 2);
    let sizes = [outer, rows, cols];
    let (dense, residual) = ([(rows * cols) as isize, cols as isize, 1], [1, (outer * cols) as isize, 3]);
    for strides in [dense, [0, 0, 1], residual] {
        let access = draft.access(&mut dice, DType::F32, &strides, &sizes);
        draft.region.loads.push(access);
    }
    let loads: Vec<u32> = (0..3).map(|load| draft.push(Code::Load(load), Lane::F32, Extent::Full)).collect();
    let sum = draft.push(Code::Binary(Binary::Add, loads[0], loads[1]), Lane::F32, Extent::Full);
    let sum = draft.push(Code::Unary(Unary::Tanh, sum), Lane::F32, Extent::Full);
    let sum = draft.push(Code::Binary(Binary::Multiply, sum, loads[2]), Lane::F32, Extent::Full);
    let out = draft.access(&mut dice, DType::F32, &dense, &sizes);
    draft.region.stores.push(out);
    draft.push(Code::Store(0, sum), Lane::F32, Extent::Full);
    let expected = evaluate(&draft.region, &draft.buffers, Level::detect());
    let compiled = placed(|written| CompiledRegion::epilogue(&draft.region, written));
    let product = draft.region.loads[0].clone();
    for (high, wide) in [(1, 1), (7, 13), (16, 64), (40, 70), (111, 70), (64, 16)] {
        let mut memory = draft.buffers.clone();
        let pointers: Vec<*mut u8> = memory.iter_mut().map(|buffer| buffer.as_mut_ptr()).collect();
        let (mut scratch, faults) = (Scratch::new(), FaultCell::new());
        for row0 in (0..outer * rows).step_by(high) {
            for col0 in (0..cols).step_by(wide) {
                let rectangle = Rectangle { row0, row1: (row0 + high).min(outer * rows), col0, col1: (col0 + wide).min(cols) };
                let at = (product.offset as usize + row0 * cols + col0) * 4;
                let product = Product { first: pointers[product.buffer as usize].wrapping_add(at), row_bytes: cols as isize * 4 };
                unsafe { compiled.run_tile(rectangle, product, &pointers, &mut scratch, &faults) }
            }
        }
        assert!(same(DType::F32, &memory[3], &expected[3]), "{high} x {wide}");
    }
}

/// Sines of numbers far from zero take another way than the formulas of machine code: the steps are
/// run after all, also where the result goes over what was read.
#[test]
fn far_sines_are_found_in_the_midst_of_a_run() {
    for (n, (lane, dtype)) in [1, 7, 8, 33, 1030].into_iter().flat_map(|n| [(n, (Lane::F32, DType::F32)), (n, (Lane::F64, DType::F64))]) {
        for (factor, over) in [(1.0, false), (1.0e7, false), (1.0e7, true), (f64::INFINITY, true)] {
            let mut dice = Dice(n as i64, 0);
            let mut draft = Draft::new(&[n], 0);
            for _ in 0..2 {
                let access = draft.access(&mut dice, dtype, &[1], &[n]);
                draft.region.loads.push(access);
            }
            let (a, b) = (draft.push(Code::Load(0), lane, Extent::Full), draft.push(Code::Load(1), lane, Extent::Full));
            let factor = draft.push(Code::Constant(Number::Float(factor)), lane, Extent::Full);
            let scaled = draft.push(Code::Binary(Binary::Multiply, a, factor), lane, Extent::Full);
            let sine = draft.push(Code::Unary(Unary::Sin, scaled), lane, Extent::Full);
            let sum = draft.push(Code::Binary(Binary::Add, sine, b), lane, Extent::Full);
            let cosine = draft.push(Code::Unary(Unary::Cos, sum), lane, Extent::Full);
            let to = if over { draft.region.loads[1].clone() } else { draft.access(&mut dice, dtype, &[1], &[n]) };
            draft.region.stores = vec![to];
            draft.push(Code::Store(0, cosine), lane, Extent::Full);
            draft.check("far sines");
        }
    }
}
