//! Graphs that a rewrite nearly fits: it must leave them alone, or see the difference. Values are those of the reference.

use crate::shared::{backends_agree, eval, leaf, oracle_all};
use crate::support::graph;
use chainrule_engine::ops::{Barrier, Pad, Slice, Window};
use chainrule_engine::{DType, Step, Tensor};

fn numbers(shape: &[usize]) -> Tensor {
    leaf(&(0..shape.iter().product()).map(|i: usize| (i * 37 % 101) as f64 / 8.0 - 5.0).collect::<Vec<_>>(), shape)
}

#[track_caller]
fn same(what: &str, tensor: &Tensor) {
    // A gradient may be added up in another order.
    if let Err(difference) = backends_agree(what, tensor, if tensor.dtype() == DType::F64 { 2.0 } else { 0.0 }) {
        panic!("{difference}");
    }
}

/// A slice of the rows from `from` to `to`, one of `step`.
fn rows(x: &Tensor, from: usize, to: usize, step: usize) -> Tensor {
    let (mut start, mut stop, mut steps) = (vec![0; x.rank()], x.shape().to_vec(), vec![1; x.rank()]);
    (start[0], stop[0], steps[0]) = (from, to, step);
    let list = |numbers: Vec<usize>| numbers.into_iter().collect();
    Tensor::record(Slice { start: list(start), stop: list(stop), step: list(steps) }, [x.clone()])
}

#[test]
fn parts_side_by_side_that_are_not_neighbours() {
    let (x, y) = (numbers(&[8, 3]), numbers(&[9, 3]) * 3.0);
    for (what, parts) in [
        ("neighbours", vec![rows(&x, 0, 2, 1), rows(&x, 2, 5, 1)]),
        ("of two tensors", vec![rows(&x, 0, 2, 1), rows(&y, 2, 5, 1)]),
        ("of two tensors of one shape", vec![rows(&x, 0, 2, 1), rows(&(&x * 2.0), 2, 5, 1)]),
        ("every other one, aligned", vec![rows(&x, 0, 4, 2), rows(&x, 4, 8, 2)]),
        ("every other one, not aligned", vec![rows(&x, 0, 3, 2), rows(&x, 3, 6, 2)]),
        ("a gap", vec![rows(&x, 0, 2, 1), rows(&x, 3, 5, 1)]),
        ("an overlap", vec![rows(&x, 0, 3, 1), rows(&x, 2, 5, 1)]),
        ("exchanged", vec![rows(&x, 4, 8, 1), rows(&x, 0, 4, 1)]),
        ("three, of which the last is apart", vec![rows(&x, 0, 2, 1), rows(&x, 2, 4, 1), rows(&x, 5, 6, 1)]),
    ] {
        for axis in [0, 1] {
            let fits = parts.iter().all(|part| part.shape()[1 - axis] == parts[0].shape()[1 - axis]);
            if fits {
                same(&format!("{what}, along axis {axis}"), &Tensor::concat(&parts.iter().collect::<Vec<_>>(), axis as isize));
            }
        }
    }
    // The same rows, other columns of them.
    let columns = |from: usize| rows(&x.transpose(0, 1), from, from + 1, 1).transpose(0, 1);
    let apart = [rows(&columns(0), 0, 2, 1), rows(&columns(1), 2, 4, 1)];
    same("rows of other columns", &Tensor::concat(&[&apart[0], &apart[1]], 0));
}

/// A sum of tensors with zeros around them: along one axis, along two, of zeros alone.
#[test]
fn sums_of_padded_tensors_along_any_axes() {
    let pad = |x: &Tensor, low: [usize; 2], high: [usize; 2]| {
        let list = |numbers: [usize; 2]| numbers.as_slice().iter().copied().collect();
        Tensor::record(Pad { low: list(low), high: list(high), interior: list([0, 0]) }, [x.clone()])
    };
    let (rows_of_four, columns_of_four, whole) = (numbers(&[2, 4]), numbers(&[4, 2]) * 3.0, numbers(&[4, 4]) * 7.0);
    let padded = [
        ("above", pad(&rows_of_four, [0, 0], [2, 0])),
        ("below", pad(&(&rows_of_four * 2.0), [2, 0], [0, 0])),
        ("between", pad(&(&rows_of_four * 5.0), [1, 0], [1, 0])),
        ("left", pad(&columns_of_four, [0, 0], [0, 2])),
        ("right", pad(&(&columns_of_four * 2.0), [0, 2], [0, 0])),
        ("in the middle", pad(&(numbers(&[2, 2]) * 11.0), [1, 1], [1, 1])),
        ("all around nothing", pad(&Tensor::zeros([0, 4]).cast(DType::F64), [2, 0], [2, 0])),
        ("whole", whole),
    ];
    for (one, a) in &padded {
        for (other, b) in &padded {
            same(&format!("{one} and {other}"), &(a + b));
            same(&format!("{one}, {other} and {one}"), &(a + b + a * 2.0));
        }
    }
}

/// Around a large tensor the zeros are written in pieces, for each axis before and after: nothing is left out, nothing is
/// written over. A state that becomes such a tensor lies in memory that held other numbers.
#[test]
fn zeros_around_large_tensors_are_complete() {
    let pads = (1..64_usize).flat_map(|axes| [0, 2].map(|more| (axes, more))).map(|(axes, more)| {
        // For each axis and side, whether there are zeros, as many on both sides or more on one.
        let wide = |side: usize| (0..3).map(|axis| if axes >> (2 * axis + side) & 1 == 1 { 1 + axis + more * side } else { 0 }).collect();
        (vec![20, 30, 40], Pad { low: wide(0), high: wide(1), interior: [0; 3].into_iter().collect() })
    });
    let one = |number: usize| [number].into_iter().collect();
    // Half of it zeros, between the numbers.
    let between = (vec![9000], Pad { low: one(0), high: one(0), interior: one(1) });
    for (shape, pad) in pads.chain([between]) {
        let padded = Tensor::record(pad.clone(), [numbers(&shape)]);
        let want = oracle_all(&[&padded]).remove(0);
        let state = Tensor::full(padded.shape(), 7.0, DType::F64).to_leaf().unwrap();
        let mut step = Step::capture(&[], &[], &[(&state, &padded)]).unwrap();
        for run in 0..2 {
            step.run(&[]).unwrap();
            assert_eq!(eval(&step.state(0)), want, "{pad:?}, run {run}");
        }
    }
}

/// Constants of every type as every other: numbers beyond the other's range, halves, and more digits than a float has.
#[test]
fn constants_are_cast_as_tensors_are() {
    let numbers = [0.0, 1.0, 2.5, -2.5, 100.0, -100.0, 1e5 + 0.5, 1e5, 9.0e9 + 5.0, 1e-9];
    // A type has the constants that it can hold.
    let constants = DType::ALL.map(|from| numbers.map(|number| Tensor::full([3], number, from)));
    let held: Vec<&Tensor> = constants.iter().flatten().filter(|constant| constant.error().is_none()).collect();
    assert!(held.len() > 50, "{} constants", held.len());
    for constant in held {
        for to in DType::ALL {
            same(&format!("{constant:?} as {to}"), &constant.cast(to));
        }
    }
}

#[test]
fn constants_of_every_float_type_are_computed_as_tensors_are() {
    for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
        let [a, b] = [1.1, 0.3].map(|number| Tensor::full([3], number, dtype));
        for (what, y) in [("sum", &a + &b), ("difference", &a - &b), ("product", &a * &b), ("quotient", &a / &b), ("root", a.sqrt())] {
            same(&format!("{what} of {dtype}"), &y);
        }
    }
}

/// What is picked is added up along the axes of the index, of the parts, or of both: an index serves a row, some columns, or one.
#[test]
fn parts_that_are_picked_and_added_up_along_any_axes() {
    for (table, index) in
        [(vec![10, 3], vec![4, 5]), (vec![10], vec![4, 5]), (vec![10, 3, 2], vec![4]), (vec![10, 1], vec![4, 5]), (vec![10, 4], vec![])]
    {
        let count: usize = index.iter().product();
        let at = Tensor::from_slice(&(0..count).map(|i| (i * 7 % 10) as i64).collect::<Vec<_>>(), index.clone());
        let picked = numbers(&table).gather(&at);
        for axes in 0..1_usize << picked.rank() {
            let along: Vec<isize> = (0..picked.rank()).filter(|axis| axes >> axis & 1 == 1).map(|axis| axis as isize).collect();
            let scaled = &picked * &numbers(picked.shape());
            same(&format!("{table:?} at {index:?} along {along:?}"), &(scaled.sum_over(&along) * 2.0));
            same(&format!("the largest of {table:?} at {index:?} along {along:?}"), &scaled.max_over(&along));
        }
    }
}

/// An index that waits for something is read where that is made, in rows that need be none of the table's: for each row of a sum as
/// many elements as the table has in one, and for each row of a running sum more.
#[test]
fn parts_that_are_picked_once_something_is_there() {
    let (table, at) = (numbers(&[10, 3]), Tensor::from_slice(&[7i64, 2, 9, 4], [4]));
    let sums = (1..5).map(|length| ("sums", numbers(&[4, 3, length]).sum_over(&[2])));
    let running = [[1, 12], [2, 6], [4, 3], [6, 2]].map(|shape| ("running sums", numbers(&shape).cumsum(1).reshape([4, 3])));
    for (what, first) in sums.chain(running) {
        let picked = table.gather(&Tensor::record(Barrier, [at.clone(), first.clone()]));
        same(what, &(picked * first));
    }
}

/// Coordinates and casts are rounded to the narrow type where they are made, though what reads them computes in a wider one.
#[test]
fn what_is_narrow_is_rounded_before_it_is_used() {
    let digits = numbers(&[7, 5]) / 3.0;
    for narrow in [DType::BF16, DType::F16] {
        let count = Tensor::arange(5000, narrow);
        same(&format!("numbers in {narrow}"), &(&count * 3.0 + &count));
        same(&format!("rows of them in {narrow}"), &(count.broadcast_to([2, 5000]) * 3.0));
        same(&format!("numbers backwards in {narrow}"), &(count.flip(&[0]) * 3.0));
        for wide in [DType::F32, DType::F64, DType::BF16, DType::F16] {
            let there = digits.cast(wide);
            same(&format!("{wide} as {narrow} and back"), &(there.cast(narrow).cast(wide) * 3.0));
        }
    }
}

/// Programs are cached by it: what differs in one thing is another structure.
#[test]
fn graphs_that_differ_in_one_thing_are_not_the_same() {
    let first = "%0 = leaf 0 : f32 [2]; %1 = leaf 1 : f32 [2]; ";
    let rest = [
        "%2 = add %0, %1; return %2",
        "%2 = mul %0, %1; return %2",
        "%2 = add %0, %0; return %2",
        "%2 = add %1, %0; return %2",
        "%2 = add %0, %1; return %1",
        "%2 = add %0, %1; return %2, %1",
        "%2 = add %0, %1; %3 = exp %2; return %2",
        "%2 = add %0, %1; %3 = exp %2; return %3",
        "%2 = constant 1.0 : f32 [2]; return %2",
        "%2 = constant 2.0 : f32 [2]; return %2",
    ];
    let mut texts: Vec<String> = rest.iter().map(|rest| format!("{first}{rest}")).collect();
    texts.push(texts[0].replace("f32", "f64"));
    texts.push(texts[0].replace("[2]", "[3]"));
    texts.push("%0 = leaf 1 : f32 [2]; %1 = leaf 0 : f32 [2]; %2 = add %0, %1; return %2".into());
    let graphs: Vec<_> = texts.iter().map(|text| graph(&text.replace("; ", "\n"))).collect();
    for (i, a) in graphs.iter().enumerate() {
        for (j, b) in graphs.iter().enumerate() {
            assert_eq!(a.same_structure(b), i == j, "{} with {}", texts[i], texts[j]);
            assert_eq!(a.fingerprint() == b.fingerprint(), i == j, "{} with {}", texts[i], texts[j]);
        }
    }
}

/// Windows that would tile their axis but for the distance of their elements, or their number.
#[test]
fn windows_that_nearly_tile() {
    let x = numbers(&[2, 12]);
    let list = |number: usize| [number].into_iter().collect();
    for (size, stride, dilation) in [(3, 3, 1), (2, 2, 2), (2, 2, 3), (1, 1, 2), (1, 1, 1), (4, 3, 1), (3, 4, 1), (5, 5, 1), (2, 2, 11)] {
        let window = Window { axes: list(1), sizes: list(size), strides: list(stride), dilations: list(dilation) };
        let patches = Tensor::record(window.clone(), [x.clone()]);
        same(&format!("{window:?}"), &patches);
        same(&format!("the adjoint of {window:?}"), &(&patches * &patches).sum().grad(&[&x]).unwrap()[0]);
    }
}
