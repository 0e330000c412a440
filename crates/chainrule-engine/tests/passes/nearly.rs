//! Graphs that a rewrite nearly fits: it must leave them alone, or see the difference. Values are those of the reference.

use crate::shared::{backends_agree, leaf};
use chainrule_engine::ops::{Pad, Slice, Window};
use chainrule_engine::{DType, Tensor};

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
