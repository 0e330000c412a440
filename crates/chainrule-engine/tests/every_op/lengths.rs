//! Operations on whole tensors at every length: one axis after the other is 0, 1, 7 .. 130 long, so
//! that the bodies of vector loops, their tails, and nothing at all are met in every direction.
//!
//! Functions of single elements have a test of their own, in `lanes`.

use crate::support::{agree, backends_agree, eval, near, oracle};
use crate::{Kind, kinds, loss, text};
use chainrule_engine::ops::samples::{Domain, Sample, SampleInput, host_sample};
use chainrule_engine::ops::source::Scalar;
use chainrule_engine::ops::{
    ArgSort, Barrier, Body, Broadcast, Combine, Concat, Constant, CumulativeSum, Einsum, Fold, Gather, Iota, Max, Op, Operation, Pad,
    Permute, Random, Reshape, Reverse, Scan, ScatterAdd, ScatterReduce, Slice, StopGradient, Sum, Switch, While, Window,
};
use chainrule_engine::tensor::Type;
use chainrule_engine::{DType, Data, Tensor};
use std::collections::BTreeSet;

const LENGTHS: [usize; 11] = [0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 130];
const SPECIAL: [f32; 9] = [f32::INFINITY, 1.0, -0.75, f32::NAN, 0.0, -0.0, 2.5, f32::NEG_INFINITY, -3.25];

const PLAIN: Domain = Domain::Between(-2.0, 2.0);

/// Applications of every operation on whole tensors, with axes of length `n`.
fn cases(n: usize) -> Vec<Sample> {
    let mut list: Vec<Sample> = Vec::new();
    let mut add = |op: Op, inputs: &[(&[usize], Domain)]| {
        let inputs: Vec<SampleInput> = inputs.iter().map(|&(shape, domain)| SampleInput { shape: shape.into(), domain }).collect();
        let name = format!("{op:?} of {:?}", inputs.iter().map(|input| &input.shape).collect::<Vec<_>>());
        list.push(Sample { name, op, inputs });
    };
    let ty = |shape: &[usize]| Type::new(shape, DType::F32);
    let axes = |list: &[usize]| list.into();
    add(Constant { value: Scalar::new(0.1, DType::F32), ty: ty(&[n]) }.into(), &[]);
    add(Iota { axis: 0, ty: ty(&[n, 3]) }.into(), &[]);
    add(Iota { axis: 1, ty: ty(&[2, n]) }.into(), &[]);
    add(Random { bits: 24, shape: axes(&[n]), offset: 1 }.into(), &[(&[], Domain::Keys)]);
    add(Random { bits: 53, shape: axes(&[3]), offset: 0 }.into(), &[(&[n], Domain::Keys)]);
    add(Reshape(axes(&[2 * n])).into(), &[(&[n, 2], PLAIN)]);
    add(Permute(axes(&[1, 0])).into(), &[(&[n, 3], PLAIN)]);
    add(Permute(axes(&[2, 0, 1])).into(), &[(&[2, n, 3], PLAIN)]);
    add(Broadcast { axes: axes(&[0]), sizes: axes(&[n]) }.into(), &[(&[3], PLAIN)]);
    add(Broadcast { axes: axes(&[1]), sizes: axes(&[n]) }.into(), &[(&[3], PLAIN)]);
    add(Slice { start: axes(&[n / 3, 1]), stop: axes(&[n, 3]), step: axes(&[2, 1]) }.into(), &[(&[n, 3], PLAIN)]);
    add(Slice { start: axes(&[0, n / 4]), stop: axes(&[3, n]), step: axes(&[2, 1]) }.into(), &[(&[3, n], PLAIN)]);
    add(Pad { low: axes(&[1, 0]), high: axes(&[2, 1]), interior: axes(&[1, 0]) }.into(), &[(&[n, 2], PLAIN)]);
    add(Pad { low: axes(&[0, 2]), high: axes(&[1, 0]), interior: axes(&[0, 2]) }.into(), &[(&[2, n], PLAIN)]);
    add(Reverse(axes(&[0])).into(), &[(&[n, 3], PLAIN)]);
    add(Reverse(axes(&[1])).into(), &[(&[3, n], PLAIN)]);
    add(Concat { axis: 0 }.into(), &[(&[n, 2], PLAIN), (&[3, 2], PLAIN)]);
    add(Concat { axis: 1 }.into(), &[(&[2, n], PLAIN), (&[2, 1], PLAIN), (&[2, n], PLAIN)]);
    for (axis, shape) in [(0, [n, 2]), (1, [2, n])] {
        let window = Window { axes: axes(&[axis]), sizes: axes(&[3]), strides: axes(&[2]), dilations: axes(&[1]) };
        if let Ok(patches) = window.infer(&[&ty(&shape)]) {
            add(Fold { window: window.clone(), lengths: axes(&[n]) }.into(), &[(&patches.shape, PLAIN)]);
            add(window.into(), &[(&shape, PLAIN)]);
        }
    }
    for (axis, shape) in [(0, &[n][..]), (0, &[n, 3]), (1, &[3, n]), (1, &[2, n, 3]), (0, &[3, n])] {
        add(Sum(axes(&[axis])).into(), &[(shape, PLAIN)]);
        if shape[axis] > 0 {
            add(Max(axes(&[axis])).into(), &[(shape, Domain::Apart(0.5))]);
        }
        add(CumulativeSum { axis, reverse: n.is_multiple_of(2) }.into(), &[(shape, PLAIN)]);
    }
    for (i, k, j) in [(n, 3, 2), (3, n, 2), (2, 3, n), (n, n, 1)] {
        add(Einsum::new("ik", "kj", "ij").into(), &[(&[i, k], PLAIN), (&[k, j], PLAIN)]);
        add(Einsum::new("ki", "jk", "ij").into(), &[(&[k, i], PLAIN), (&[j, k], PLAIN)]);
    }
    add(Einsum::new("bik", "bkj", "bij").into(), &[(&[n, 2, 3], PLAIN), (&[n, 3, 2], PLAIN)]);
    add(Einsum::new("i", "i", "").into(), &[(&[n], PLAIN), (&[n], PLAIN)]);
    add(Einsum::new("i", "j", "ij").into(), &[(&[n], PLAIN), (&[3], PLAIN)]);
    let below = |limit| Domain::Indices(limit, DType::I64);
    if n > 0 {
        add(Gather { batch: 0 }.into(), &[(&[n, 3], PLAIN), (&[5], below(n))]);
        add(Gather { batch: 1 }.into(), &[(&[2, n], PLAIN), (&[2, 4], below(n))]);
    }
    add(Gather { batch: 0 }.into(), &[(&[4, n], PLAIN), (&[3], below(4))]);
    add(Gather { batch: 0 }.into(), &[(&[4, 2], PLAIN), (&[n], below(4))]);
    add(ScatterAdd { batch: 0, size: 3 }.into(), &[(&[n, 2], PLAIN), (&[n], below(3))]);
    add(ScatterAdd { batch: 0, size: 4 }.into(), &[(&[3, n], PLAIN), (&[3], below(4))]);
    for how in Combine::ALL {
        add(ScatterReduce { batch: 0, size: 3, how }.into(), &[(&[n], Domain::Apart(0.5)), (&[n], below(3))]);
        add(ScatterReduce { batch: 0, size: 4, how }.into(), &[(&[3, n], Domain::Apart(0.5)), (&[3], below(4))]);
    }
    add(ArgSort { descending: n.is_multiple_of(2), first: None }.into(), &[(&[3, n], Domain::Cells(1.0))]);
    add(ArgSort { descending: !n.is_multiple_of(2), first: Some(2) }.into(), &[(&[n, 5], PLAIN)]);
    let body = |types: &[&[usize]], record: &dyn Fn(&[Tensor]) -> Vec<Tensor>| {
        let own: Vec<Tensor> = types.iter().map(|&shape| Tensor::placeholder(shape, DType::F64)).collect();
        Body::trace(own[0].id(), &own, &record(&own), true).map_or_else(|error| panic!("{error}"), |(body, _)| body)
    };
    let scan = |body, carries, length| Scan { body, carries, sequences: 1, length, reverse: length % 2 == 0, dtype: DType::F64 };
    let along = body(&[&[2], &[2]], &|x| vec![&x[0] * 0.5 + &x[1], &x[0] * &x[1]]);
    add(scan(along, 1, n).into(), &[(&[2], PLAIN), (&[n, 2], PLAIN)]);
    let across = body(&[&[n], &[n]], &|x| vec![&x[0] * 0.5 + &x[1], &x[0] * &x[1]]);
    add(scan(across.clone(), 1, 3).into(), &[(&[n], PLAIN), (&[3, n], PLAIN)]);
    let other = body(&[&[n], &[n]], &|x| vec![x[1].sin(), &x[0] - &x[1]]);
    let switch = Switch { branches: vec![across, other], dtype: DType::F64 };
    add(switch.into(), &[(&[], Domain::Indices(2, DType::I64)), (&[n], PLAIN), (&[n], PLAIN)]);
    let repeat = [
        body(&[&[n], &[]], &|x| vec![x[1].less(&Tensor::full([], 9.0, DType::F64))]),
        body(&[&[n], &[]], &|x| vec![x[0].sin(), &x[1] + 1.5]),
    ];
    add(While { bodies: repeat, dtype: DType::F64 }.into(), &[(&[n], PLAIN), (&[], PLAIN)]);
    add(host_sample(0).into(), &[(&[3, n], PLAIN), (&[n], PLAIN)]);
    add(host_sample(1).into(), &[(&[n, 2, 3], PLAIN), (&[n, 3], PLAIN)]);
    add(StopGradient.into(), &[(&[n], PLAIN)]);
    add(Barrier.into(), &[(&[n], PLAIN), (&[2], PLAIN)]);
    list
}

fn for_each_case(mut check: impl FnMut(&Sample) -> Result<(), String>) {
    let all: Vec<Sample> = LENGTHS.into_iter().flat_map(cases).collect();
    let failures: Vec<String> = all.iter().filter_map(|case| check(case).err().map(|why| format!("{}: {why}", case.name))).collect();
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_operation_has_lengths() {
    let name = |op: &Op| format!("{op:?}").split([' ', '(']).next().unwrap_or_default().to_string();
    let here: BTreeSet<String> = cases(8).iter().map(|case| name(&case.op)).collect();
    // Of single elements, of none at all, and a rule's value, which is its first input.
    let elsewhere = ["Unary", "Binary", "Select", "Cast", "Input", "Custom"];
    let all: BTreeSet<String> = Op::KINDS.iter().filter(|kind| !elsewhere.contains(kind)).map(|kind| kind.to_string()).collect();
    assert_eq!(here, all);
}

#[test]
fn values_at_every_length() {
    for_each_case(|case| {
        for dtype in case.dtypes() {
            let y = case.record(&case.tensors(dtype, 31));
            // Sums of up to 130 numbers, in another order than the reference's; narrow ones are added in
            // f32 and rounded once.
            let ulps = if dtype == DType::BF16 || dtype == DType::F16 { 1.0 } else { 64.0 };
            backends_agree(dtype.name(), &y, ulps)?;
        }
        Ok(())
    });
}

#[test]
fn infinities_nan_and_minus_zero_at_every_length() {
    for_each_case(|case| {
        if case.inputs.is_empty() || !case.dtypes().contains(&DType::F32) {
            return Ok(());
        }
        let special = |input: &SampleInput, at: usize| match input.domain.fixed() {
            Some(_) => input.tensor(DType::F32, 32),
            None => {
                let count = input.shape.iter().product::<usize>();
                let values: Vec<f32> = (0..count).map(|i| SPECIAL[(i + at) % SPECIAL.len()]).collect();
                Tensor::from_data(Data::of(&values), input.shape.clone())
            }
        };
        let moves = !matches!(
            case.op,
            Op::Sum(_) | Op::CumulativeSum(_) | Op::Einsum(_) | Op::ScatterAdd(_) | Op::ScatterReduce(_) | Op::Fold(_) | Op::Max(_)
        );
        for shift in 0..SPECIAL.len() {
            let y = case.record(&case.inputs.iter().map(|input| special(input, shift)).collect::<Vec<_>>());
            let (got, want) = (eval(&y), oracle(&y));
            // What only moves elements keeps their signs, too.
            let same = |(g, w): (&f64, &f64)| {
                near(*g, *w, 1e-5 * w.abs()) && (!moves || g.is_nan() || g.is_sign_negative() == w.is_sign_negative())
            };
            if let Some(at) = got.iter().zip(&want).position(|pair| !same(pair)) {
                return Err(format!("shifted by {shift}: element {at} is {:e}, the reference has {:e}", got[at], want[at]));
            }
        }
        Ok(())
    });
}

#[test]
fn gradients_at_every_length() {
    for_each_case(|case| {
        if case.inputs.is_empty() || !case.dtypes().contains(&DType::F64) {
            return Ok(());
        }
        let inputs = case.tensors(DType::F64, 33);
        let y = case.record(&inputs);
        let linear = |&k: &usize| kinds(case, &y)[k] == Kind::Linear;
        let wrt: Vec<&Tensor> = (0..inputs.len()).filter(linear).map(|k| &inputs[k]).collect();
        if wrt.is_empty() || !y.dtype().is_float() {
            return Ok(());
        }
        for (gradient, x) in loss(&y, 34).grad(&wrt).map_err(text)?.iter().zip(&wrt) {
            if gradient.ty() != x.ty() {
                return Err(format!("a gradient of {:?} for {:?}", gradient.ty(), x.ty()));
            }
            agree("gradient", &eval(gradient), &oracle(gradient), 1e-12)?;
        }
        Ok(())
    });
}
