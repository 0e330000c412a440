//! Lengths of nothing and of one, every element type, NaN and the two zeros, huge extents: against loops on the host.

use crate::check::{random, values};
use crate::figures::ints;
use chainrule_engine::functions::*;
use chainrule_engine::{DType, Runtime, Step, Tensor};
use std::cmp::Ordering;

/// NaN last, zeros equal.
fn compare(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

#[test]
fn every_type_and_length_is_sorted_as_a_stable_sort_does() {
    let special = [0.0, f64::NAN, -0.0, f64::INFINITY, -1.0, 2.5, f64::NEG_INFINITY, -0.0, 1.0, 0.0, 2.5];
    for dtype in DType::ALL {
        for length in [0, 1, 2, 3, 20, 21, 64, 1000] {
            let row = |r: usize| (0..length).map(move |i| special[(i * 7 + r * 3 + i * i) % special.len()]);
            let x = Tensor::from_slice(&(0..3).flat_map(row).collect::<Vec<f64>>(), [3, length]).cast(dtype);
            let (held, order, back) = (values(&x), values(&x.argsort(1)), values(&x.argsort_descending(1)));
            for r in 0..3 {
                let row = &held[r * length..][..length];
                let mut want: Vec<usize> = (0..length).collect();
                want.sort_by(|&i, &j| compare(&row[i], &row[j]));
                let as_floats = |list: &[usize]| list.iter().map(|&i| i as f64).collect::<Vec<_>>();
                assert_eq!(order[r * length..][..length], as_floats(&want), "{dtype} {length}");
                want.sort_by(|&i, &j| compare(&row[j], &row[i]).then(i.cmp(&j)));
                assert_eq!(back[r * length..][..length], as_floats(&want), "{dtype} {length} descending");
            }
        }
    }
}

#[test]
fn sorts_have_the_same_bits_on_any_number_of_threads() {
    let x = random(&[40, 3000], 5).cast(DType::F32).to_leaf().unwrap();
    let (y, gradient) = (x.sort(1), (x.sort(1) * random(&[40, 3000], 6).cast(DType::F32)).sum().grad(&[&x]).unwrap().remove(0));
    let run = |threads: usize| {
        let mut step = Step::capture_on(&Runtime::new(threads).unwrap(), &[], &[&y, &gradient], &[]).unwrap();
        step.run(&[]).unwrap();
        [step.output(0), step.output(1)].map(|output| output.to_vec::<f32>().unwrap())
    };
    let one = run(1);
    assert!(one[0].chunks(3000).all(|row| row.is_sorted()));
    assert_eq!(run(2), one);
    assert_eq!(run(5), one);
}

/// Found without sorting the rest, the first few are those of a whole sort, ties included.
#[test]
fn the_first_few_of_long_rows_are_those_of_a_sort() {
    for dtype in [DType::F32, DType::F64, DType::F16] {
        let x = (random(&[3, 5000], 9) * 300.0).round().cast(dtype).to_leaf().unwrap();
        for k in [0, 1, 7, 2500, 4999, 5000] {
            let (found, positions) = x.top_k(k, 1);
            assert_eq!(values(&positions), values(&x.argsort_descending(1).slice(1, ..k)), "{k} {dtype}");
            assert_eq!(values(&found), values(&x.sort_descending(1).slice(1, ..k)), "{k} {dtype}");
            assert_eq!(values(&x.bottom_k(k, 1).1), values(&x.argsort(1).slice(1, ..k)), "{k} {dtype}");
        }
    }
}

/// Beyond the whole numbers that a float holds.
#[test]
fn large_integers_are_told_apart() {
    let x = Tensor::from_slice(&[i64::MAX, i64::MIN, i64::MAX - 1, 0, -1, i64::MIN + 1], [6]);
    assert_eq!(x.argsort(0).to_vec::<i64>().unwrap(), [1, 5, 4, 3, 2, 0]);
    assert_eq!(x.top_k(2, 0).0.to_vec::<i64>().unwrap(), [i64::MAX, i64::MAX - 1]);
    assert_eq!(Tensor::from_slice(&[i32::MIN, i32::MAX, 0], [3]).sort(0).to_vec::<i32>().unwrap(), [i32::MIN, 0, i32::MAX]);
}

#[test]
fn nothing_and_scalars() {
    let none = Tensor::zeros([0, 3]);
    assert_eq!(none.sort(0).shape(), [0, 3]);
    assert_eq!(none.top_k(0, 0).0.shape(), [0, 3]);
    assert_eq!(none.sort(1).sum().grad(&[&none]).unwrap()[0].shape(), [0, 3]);
    assert_eq!(Tensor::zeros([0]).searchsorted(&Tensor::zeros([2]), true).to_vec::<i64>().unwrap(), [0, 0]);
    assert_eq!(none.unique().unwrap().values.shape(), [0]);
    assert_eq!(none.argwhere().unwrap().shape(), [0, 2]);
    assert_eq!(Tensor::scalar(2.0, DType::F32).argwhere().unwrap().shape(), [1, 0]);
    assert_eq!(Tensor::scalar(2.0, DType::F32).median().item().unwrap(), 2.0);
    let index = Tensor::full([0], 0.0, DType::I64);
    let x = random(&[2, 3], 1);
    assert_eq!(x.pick(&index).shape(), [0, 3]);
    assert_eq!(values(&x.index_copy(0, &index, &Tensor::full([0, 3], 0.0, DType::F64))), values(&x));
    assert_eq!(values(&x.put_at(&index, &Tensor::full([0, 3], 0.0, DType::F64))), values(&x));
    for how in [Reduce::Sum, Reduce::Prod, Reduce::Mean, Reduce::Max, Reduce::Min] {
        let found =
            values(&x.scatter_reduce(&Tensor::full([2, 0], 0.0, DType::I64), &Tensor::full([2, 0], 0.0, DType::F64), 1, how, false));
        assert_eq!(found, values(&x), "{how:?}");
    }
    let none = |how| match how {
        Reduce::Sum => Tensor::full([0], 0.0, DType::I32).segment_sum(&index, 2),
        Reduce::Max => Tensor::full([0], 0.0, DType::I32).segment_max(&index, 2),
        _ => Tensor::full([0], 0.0, DType::I32).segment_min(&index, 2),
    };
    assert_eq!(none(Reduce::Sum).to_vec::<i32>().unwrap(), [0, 0]);
    assert_eq!(none(Reduce::Max).to_vec::<i32>().unwrap(), [i32::MIN, i32::MIN]);
    assert_eq!(none(Reduce::Min).to_vec::<i32>().unwrap(), [i32::MAX, i32::MAX]);
    assert_eq!(Tensor::zeros([0]).diag(0).shape(), [0, 0]);
    assert_eq!(Tensor::zeros([2, 0]).diag_embed(1, 1, 2).shape(), [2, 1, 1]);
    assert_eq!(Tensor::zeros([0, 2]).diagonal(0, 0, 1).shape(), [0]);
    assert_eq!(Tensor::zeros([3]).diff(5, 0).shape(), [0]);
}

/// Writing in every type, with -0 and NaN among what is written, against a loop.
#[test]
fn what_is_written_arrives_as_it_is() {
    for dtype in DType::ALL {
        let (x, index) = (ints(&[7, 2], 2, 1).cast(dtype), Tensor::from_slice(&[3i64, 0, 3, 6, -7, -1, 3], [7]));
        let y =
            Tensor::from_slice(&[0.5, -0.0, f64::NAN, 1.0, 2.0, 0.0, -0.0, -3.0, 7.0, 5.0, 1.0, 1.0, -0.0, f64::NAN], [7, 2]).cast(dtype);
        let (mut want, new) = (values(&x), values(&y));
        for (from, to) in [3usize, 0, 3, 6, 0, 6, 3].into_iter().enumerate() {
            want[to * 2..to * 2 + 2].copy_from_slice(&new[from * 2..from * 2 + 2]);
        }
        let bits = |list: Vec<f64>| list.into_iter().map(|v| if v.is_nan() { 1 } else { v.to_bits() }).collect::<Vec<_>>();
        assert_eq!(bits(values(&x.index_copy(0, &index, &y))), bits(want.clone()), "{dtype}");
        let along = index.unsqueeze(1).broadcast_to([7, 2]);
        assert_eq!(bits(values(&x.put_along_axis(&along, &y, 0))), bits(want), "{dtype}");
    }
}

/// Random segments of many sizes against loops: products and extremes of runs of every length.
#[test]
fn segments_of_every_length_against_loops() {
    for (n, count) in [(1, 1), (2, 3), (17, 4), (64, 5), (65, 2), (130, 90)] {
        let (x, segment) = (random(&[n, 2], n as u64), ints(&[n], count, n));
        let (data, numbers) = (values(&x), segment.to_vec::<i64>().unwrap());
        let fold = |none: f64, f: fn(f64, f64) -> f64| {
            let mut out = vec![none; count * 2];
            (0..n * 2).for_each(|i| {
                let place = numbers[i / 2] as usize * 2 + i % 2;
                out[place] = f(out[place], data[i]);
            });
            out
        };
        let close = |found: Tensor, want: Vec<f64>| crate::check::close(&format!("{n} in {count}"), &values(&found), &want, 1e-13);
        close(x.segment_sum(&segment, count), fold(0.0, |a, b| a + b));
        close(x.segment_prod(&segment, count), fold(1.0, |a, b| a * b));
        close(x.segment_max(&segment, count), fold(f64::NEG_INFINITY, f64::max));
        close(x.segment_min(&segment, count), fold(f64::INFINITY, f64::min));
        let narrow = segment.cast(DType::I32);
        assert_eq!(values(&x.segment_max(&narrow, count)), values(&x.segment_max(&segment, count)));
        close(x.segment_prod(&narrow, count), fold(1.0, |a, b| a * b));
    }
}

#[test]
fn quantiles_of_infinities() {
    let inf = f64::INFINITY;
    let x = Tensor::f64([-inf, 1.0, inf, inf]);
    assert_eq!(values(&x.quantiles_over(&[0.0, 0.5, 0.9, 1.0], &[0], Between::Linear)), [-inf, inf, inf, inf]);
    assert!(Tensor::f64([-inf, inf]).median().item().unwrap().is_nan());
    assert_eq!(x.cast(DType::BF16).quantile(0.25, Between::Higher).item().unwrap(), 1.0);
}

#[test]
fn space_and_depth_are_each_others_inverses() {
    let x = ints(&[2, 12, 2, 3], 97, 1);
    for order in [DepthOrder::BlockFirst, DepthOrder::DepthFirst] {
        let there = x.depth_to_space(2, order);
        assert_eq!(there.shape(), [2, 3, 4, 6]);
        assert_eq!(values(&there.space_to_depth(2, order)), values(&x), "{order:?}");
        // Where an element of a block comes from.
        let (from, to) = (values(&x), values(&there));
        for (b, d, row, column) in [(0, 0, 0, 0), (1, 2, 3, 5), (0, 1, 2, 3), (1, 0, 1, 4)] {
            let place = row % 2 * 2 + column % 2;
            let depth = if order == DepthOrder::BlockFirst { place * 3 + d } else { d * 4 + place };
            assert_eq!(to[((b * 3 + d) * 4 + row) * 6 + column], from[((b * 12 + depth) * 2 + row / 2) * 3 + column / 2]);
        }
    }
}

#[test]
fn names_of_shapes() {
    let x = Tensor::zeros([2, 1, 3, 1]);
    assert_eq!(x.squeeze_all().shape(), [2, 3]);
    assert_eq!(x.squeeze_over(&[1, -1]).shape(), [2, 3]);
    assert_eq!(x.unsqueeze_over(&[0, -1, 3]).shape(), [1, 2, 1, 1, 3, 1, 1]);
    assert_eq!(x.flatten_axes(1, -1).shape(), [2, 3]);
    assert_eq!(x.unflatten(0, [2, 1]).shape(), [2, 1, 1, 3, 1]);
    assert_eq!(x.swapaxes(0, 2).shape(), [3, 1, 2, 1]);
    assert_eq!(Tensor::zeros([3]).atleast_3d().shape(), [1, 3, 1]);
    assert_eq!(Tensor::zeros([3, 2]).atleast_3d().shape(), [3, 2, 1]);
    assert_eq!(Tensor::zeros(()).atleast_2d().shape(), [1, 1]);
    assert_eq!(Tensor::zeros(()).atleast_1d().shape(), [1]);
    assert_eq!(x.expand(&[4, -1, 5, -1, -1]).shape(), [4, 2, 5, 3, 1]);
}
