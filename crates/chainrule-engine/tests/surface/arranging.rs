//! Picking by an integer tensor, padding, rolling, repeating, triangles and positions of extremes,
//! each against nested loops.

use crate::host::{Dice, Host, SHAPES};
use crate::mistake;
use chainrule_engine::{DType, ErrorKind, Tensor};

/// Every axis of every shape, also counted from the end.
fn each_axis(mut test: impl FnMut(&[usize], usize, isize)) {
    for shape in SHAPES {
        for axis in 0..shape.len() {
            test(shape, axis, axis as isize);
            test(shape, axis, axis as isize - shape.len() as isize);
        }
    }
}

fn replaced(list: &[usize], at: usize, value: usize) -> Vec<usize> {
    let mut list = list.to_vec();
    list[at] = value;
    list
}

#[test]
fn index_select_puts_the_index_where_the_axis_was() {
    let mut dice = Dice::new(11);
    each_axis(|shape, axis, written| {
        let host = Host::counting(shape);
        for picked in [&[][..], &[3], &[2, 2], &[0]] {
            if shape[axis] == 0 && picked.iter().product::<usize>() > 0 {
                continue;
            }
            let count: usize = picked.iter().product();
            let rolls = (0..count).map(|_| dice.roll(0, shape[axis] as i64)).collect();
            let index = Host { shape: picked.to_vec(), values: rolls };
            let out = [&shape[..axis], picked, &shape[axis + 1..]].concat();
            let expected = Host::from_fn(&out, |at| {
                let position = index.at(&at[axis..axis + picked.len()]) as usize;
                host.at(&[&at[..axis], &[position], &at[axis + picked.len()..]].concat())
            });
            assert_eq!(Host::of(&host.tensor().index_select(written, &index.tensor())), expected);
            let narrow = index.tensor().cast(DType::I32);
            assert_eq!(Host::of(&host.tensor().index_select(written, &narrow)), expected);
        }
    });
}

#[test]
fn take_along_axis_shares_the_other_axes() {
    let mut dice = Dice::new(12);
    each_axis(|shape, axis, written| {
        let host = Host::counting(shape);
        // The index as long as the axis or not, its other axes whole or of size 1.
        for (count, whole) in [(shape[axis], true), (2, true), (3, false), (0, true)] {
            if shape[axis] == 0 && count > 0 {
                continue;
            }
            let other = |size: &usize| if whole { *size } else { 1 };
            let sizes = replaced(&shape.iter().map(other).collect::<Vec<_>>(), axis, count);
            let rolls = (0..sizes.iter().product()).map(|_| dice.roll(0, shape[axis].max(1) as i64)).collect();
            let index = Host { shape: sizes.clone(), values: rolls };
            let expected = Host::from_fn(&replaced(shape, axis, count), |at| {
                let own: Vec<usize> = at.iter().zip(&sizes).map(|(&i, &size)| i.min(size.saturating_sub(1))).collect();
                host.at(&replaced(at, axis, index.at(&own) as usize))
            });
            assert_eq!(Host::of(&host.tensor().take_along_axis(&index.tensor(), written)), expected, "{shape:?} {sizes:?} {axis}");
        }
    });
}

#[test]
fn a_table_of_size_one_is_shared_too() {
    let x = Tensor::from([[1, 2, 3]]);
    let index = Tensor::from([[2], [0]]);
    assert_eq!(x.take_along_axis(&index, 1).to_vec2::<i32>().unwrap(), [[3], [1]]);
}

#[test]
fn gather_last_picks_per_row() {
    let host = Host::counting(&[2, 3, 4]);
    let index = Host::from_fn(&[2, 3], |at| ((at[0] * 3 + at[1] * 2) % 4) as i64);
    let expected = Host::from_fn(&[2, 3], |at| host.at(&[at[0], at[1], index.at(at) as usize]));
    assert_eq!(Host::of(&host.tensor().gather_last(&index.tensor())), expected);
}

#[test]
fn padding_surrounds() {
    let mut dice = Dice::new(13);
    for shape in SHAPES {
        let widths: Vec<(usize, usize)> = shape.iter().map(|_| (dice.roll(0, 3) as usize, dice.roll(0, 4) as usize)).collect();
        let out: Vec<usize> = shape.iter().zip(&widths).map(|(size, width)| size + width.0 + width.1).collect();
        let host = Host::counting(shape);
        let expected = |value: i64| {
            Host::from_fn(&out, |at| {
                let from: Option<Vec<usize>> = at.iter().zip(&widths).map(|(&i, width)| i.checked_sub(width.0)).collect();
                let inside = from.filter(|from| from.iter().zip(shape).all(|(i, size)| i < size));
                inside.map_or(value, |from| host.at(&from))
            })
        };
        assert_eq!(Host::of(&host.tensor().pad(&widths)), expected(0));
        assert_eq!(Host::of(&host.tensor().pad_with(&widths, -7.0)), expected(-7));
    }
    let edge = Tensor::from([f64::NAN]).pad_with(&[(1, 0)], f64::NEG_INFINITY).to_vec::<f32>().unwrap();
    assert!(edge[0] == f32::NEG_INFINITY && edge[1].is_nan());
    assert_eq!(Tensor::from([true]).pad(&[(1, 1)]).to_vec::<bool>().unwrap(), [false, true, false]);
    assert_eq!(Tensor::from([true]).pad_with(&[(1, 0)], 1.0).to_vec::<bool>().unwrap(), [true, true]);
}

#[test]
fn rolling_repeating_tiling() {
    each_axis(|shape, axis, written| {
        let (host, size) = (Host::counting(shape), shape[axis]);
        for shift in [0, 1, -1, 2, 7, -13] {
            let from = |at: &[usize]| replaced(at, axis, (at[axis] as isize - shift).rem_euclid(size as isize) as usize);
            let expected = Host::from_fn(shape, |at| host.at(&from(at)));
            assert_eq!(Host::of(&host.tensor().roll(shift, written)), expected, "{shape:?} by {shift}");
        }
        for count in 0..4 {
            let expected = Host::from_fn(&replaced(shape, axis, size * count), |at| host.at(&replaced(at, axis, at[axis] / count)));
            assert_eq!(Host::of(&host.tensor().repeat(count, written)), expected, "{shape:?} by {count}");
        }
    });
    for shape in SHAPES {
        for counts in [&[][..], &[2], &[1, 3], &[3, 1, 2], &[0], &[1], &[2, 1, 1, 2, 1]] {
            let rank = shape.len().max(counts.len());
            let wide = |list: &[usize]| [vec![1; rank - list.len()], list.to_vec()].concat();
            let out: Vec<usize> = wide(shape).iter().zip(wide(counts)).map(|(size, count)| size * count).collect();
            let host = Host::counting(shape);
            let expected = Host::from_fn(&out, |at| {
                let own: Vec<usize> = at[rank - shape.len()..].iter().zip(shape).map(|(i, size)| i % size).collect();
                host.at(&own)
            });
            assert_eq!(Host::of(&host.tensor().tile(counts)), expected, "{shape:?} by {counts:?}");
        }
    }
}

#[test]
fn triangles() {
    for shape in [&[3, 4][..], &[4, 3], &[1, 1], &[2, 3, 3], &[0, 2], &[2, 0, 3]] {
        let counted = Host::counting(shape);
        let host = Host { values: counted.values.iter().map(|value| value + 1).collect(), ..counted };
        for diagonal in [0, 1, -1, 2, -3, isize::MAX, isize::MIN] {
            let above = |at: &[usize]| (at[at.len() - 1] as i128 - at[at.len() - 2] as i128) - diagonal as i128;
            let lower = Host::from_fn(shape, |at| if above(at) <= 0 { host.at(at) } else { 0 });
            let upper = Host::from_fn(shape, |at| if above(at) >= 0 { host.at(at) } else { 0 });
            assert_eq!(Host::of(&host.tensor().tril(diagonal)), lower);
            assert_eq!(Host::of(&host.tensor().triu(diagonal)), upper);
        }
    }
    let not_numbers = Tensor::from([[f64::NAN, f64::NAN], [1.0, 2.0]]).triu(2).to_vec::<f32>().unwrap();
    assert_eq!(not_numbers, [0.0; 4]);
}

#[test]
fn one_hot_rows() {
    let numbers = Host { shape: vec![2, 3], values: vec![0i64, 3, 1, -1, 2, 4] };
    let expected = Host::from_fn(&[2, 3, 4], |at| (numbers.at(&at[..2]) == at[2] as i64) as i64);
    for dtype in [DType::I64, DType::I32] {
        assert_eq!(Host::of(&numbers.tensor().cast(dtype).one_hot(4, DType::I64)), expected);
    }
    // More classes than the type of the numbers can count.
    let wide = Tensor::from([255u8]).one_hot(300, DType::F32).to_vec::<f32>().unwrap();
    assert_eq!(wide.iter().position(|&one| one == 1.0), Some(255));
    assert_eq!(wide.iter().sum::<f32>(), 1.0);
    assert!(mistake(&Tensor::from([1.0]).one_hot(2, DType::F32)).ends_with("class numbers are integers, these are f32"));
}

#[test]
fn extremes_come_first_and_nan_is_one() {
    let mut dice = Dice::new(14);
    each_axis(|shape, axis, written| {
        if shape[axis] == 0 {
            return;
        }
        let len: usize = shape.iter().product();
        // Few different values, so that many are equal; 3 stands for NaN.
        let host = Host { shape: shape.to_vec(), values: (0..len).map(|_| dice.roll(0, 4)).collect() };
        let mut rest = shape.to_vec();
        rest.remove(axis);
        let search = |better: &dyn Fn(f64, f64) -> bool, value: &dyn Fn(i64) -> f64| {
            Host::from_fn(&rest, |at| {
                let element = |i: usize| value(host.at(&[&at[..axis], &[i], &at[axis..]].concat()));
                let beats = |a: f64, b: f64| !b.is_nan() && (a.is_nan() || better(a, b));
                let mut best = 0;
                (1..shape[axis]).for_each(|i| {
                    if beats(element(i), element(best)) {
                        best = i
                    }
                });
                best as i64
            })
        };
        let value = |v: i64| if v == 3 { f64::NAN } else { v as f64 };
        let floats = Host { shape: shape.to_vec(), values: host.values.iter().map(|&v| value(v)).collect::<Vec<f64>>() };
        assert_eq!(Host::of(&floats.tensor().argmax(written)), search(&|a, b| a > b, &value));
        assert_eq!(Host::of(&floats.tensor().argmin(written)), search(&|a, b| a < b, &value));
        for dtype in [DType::I64, DType::I32, DType::U8] {
            assert_eq!(Host::of(&host.tensor().cast(dtype).argmax(written)), search(&|a, b| a > b, &|v| v as f64));
            assert_eq!(Host::of(&host.tensor().cast(dtype).argmin(written)), search(&|a, b| a < b, &|v| v as f64));
        }
    });
    let ends = Tensor::from([0, i64::MAX, i64::MIN, i64::MAX, i64::MIN]);
    assert_eq!(i64::try_from(&ends.argmax(0)).unwrap(), 1);
    assert_eq!(i64::try_from(&ends.argmin(0)).unwrap(), 2);
    assert_eq!(i64::try_from(&Tensor::from([0u8, 255]).argmin(0)).unwrap(), 0);
    assert_eq!(i64::try_from(&Tensor::from([false, true, true]).argmax(0)).unwrap(), 1);
    assert_eq!(i64::try_from(&Tensor::from([true, false]).argmin(0)).unwrap(), 1);
    assert_eq!(i64::try_from(&Tensor::from([f64::NEG_INFINITY; 2]).argmax(0)).unwrap(), 0);
}

#[test]
fn mistakes_are_named_with_their_line() {
    let x = Tensor::zeros([2, 3]);
    let check = |tensor: Tensor, line: u32, name: &str, end: &str| {
        assert_eq!(mistake(&tensor), format!("{name} at {}:{line}: {end}", file!()));
        assert_eq!(tensor.error().unwrap().kind(), ErrorKind::Shape);
    };
    check(x.pad(&[(1, 1)]), line!(), "pad", "1 pairs of widths for the 2 axes of [2, 3]; give one per axis");
    check(x.pad_with(&[(1, 1)], 2.0), line!(), "pad", "1 pairs of widths for the 2 axes of [2, 3]; give one per axis");
    check(x.roll(1, 2), line!(), "roll", "axis 2 of [2, 3]");
    check(x.repeat(usize::MAX, 1), line!(), "repeat", "axis 1 of [2, 3], 18446744073709551615 times, is too large");
    check(x.tile(&[usize::MAX, 1]), line!(), "tile", "[2, 3], [18446744073709551615, 1] times, is too large");
    check(x.index(0, 0).tril(0), line!(), "tril", "a matrix has two axes, this tensor is [3]");
    check(x.index(0, 0).triu(0), line!(), "triu", "a matrix has two axes, this tensor is [3]");
    check(Tensor::zeros([2, 0]).argmax(1), line!(), "argmax", "axis 1 of [2, 0] has no element");
    check(x.argmin(-3), line!(), "argmin", "axis -3 of [2, 3]");
    check(x.index_select(5, &Tensor::from([0])), line!(), "index_select", "axis 5 of [2, 3]");
    let index = Tensor::from([0]);
    check(x.take_along_axis(&index, 1), line!(), "take_along_axis", "index [1] and [2, 3] do not share the axes other than 1");
    check(Tensor::from(1.0).gather_last(&index), line!(), "gather_last", "axis -1 of []");
    assert!(x.pad(&[(usize::MAX, 1), (0, 0)]).error().is_some());
    assert!(x.repeat(usize::MAX / 3, 1).error().is_some());
    // What is recorded inside a helper belongs to the user's line, too.
    let (lowest, line) = (x.argmin(0), line!());
    assert_eq!((lowest.origin().file(), lowest.origin().line()), (file!(), line));
    let (lower, line) = (x.tril(0), line!());
    assert_eq!((lower.origin().line(), lower.inputs()[0].origin().line()), (line, line));
}
