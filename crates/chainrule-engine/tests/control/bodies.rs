//! What the bodies of loops and branches hold, which of them are the same, and what the reference says of them.

use crate::scans::{Loop, Make, refs, scanned, unrolled};
use crate::support::{agree, eval, like, random};
use chainrule_engine::backend::reference;
use chainrule_engine::functions::{ScanOptions, cond, scan, while_loop};
use chainrule_engine::ops::body::BodyNode;
use chainrule_engine::ops::{Binary, Body, Custom, CustomRule, Input, Op, Scan, Unary};
use chainrule_engine::tensor::Type;
use chainrule_engine::transform::jvp;
use chainrule_engine::transform::walk::Walk;
use chainrule_engine::{DType, ErrorKind, Result, Tensor};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

struct Silent;

impl CustomRule for Silent {
    fn name(&self) -> &str {
        "silent"
    }
    fn vjp(&self, inputs: &[Tensor], _: &Tensor, _: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; inputs.len()])
    }
}

/// A body that differs from the others in one thing: operations after two inputs, how many nodes are inputs, results.
fn body(dtype: DType, ops: &[(Op, &[u32])], inputs: usize, outputs: &[u32]) -> Body {
    let node = |(op, inputs): (&Op, &[u32])| BodyNode { op: op.clone(), inputs: inputs.into(), ty: Type::new([2].as_slice(), dtype) };
    let input = Op::from(Input);
    let leaves = [(&input, [].as_slice()); 2];
    let nodes: Vec<BodyNode> = leaves.into_iter().chain(ops.iter().map(|(op, inputs)| (op, *inputs))).map(node).collect();
    let origins = vec![Tensor::zeros([1]).origin().clone(); nodes.len()];
    Body::new(nodes, inputs, outputs.to_vec(), origins)
}

/// The bodies of a test, and for each the number of what it computes.
fn bodies() -> Vec<(Body, usize)> {
    let rules: [Arc<dyn CustomRule>; 2] = [Arc::new(Silent), Arc::new(Silent)];
    let custom = |rule: usize| -> Op { Custom { rule: rules[rule].clone(), levels: 0 }.into() };
    let (add, exp): (Op, Op) = (Binary::Add.into(), Unary::Exp.into());
    let two = |op: Op, inputs: &'static [u32]| -> Vec<(Op, &'static [u32])> { vec![(op, inputs), (Unary::Sin.into(), &[2])] };
    let plain = |ops: &[(Op, &[u32])], outputs: &[u32]| body(DType::F32, ops, 2, outputs);
    let sum = two(add.clone(), &[0, 1]);
    vec![
        (plain(&sum, &[3]), 0),
        (plain(&sum, &[3]), 0),
        (plain(&sum, &[2]), 1),
        (plain(&sum, &[3, 2]), 2),
        (plain(&sum[..1], &[2]), 3),
        (body(DType::F64, &sum, 2, &[3]), 4),
        (body(DType::F32, &sum, 1, &[3]), 5),
        (plain(&two(Binary::Multiply.into(), &[0, 1]), &[3]), 6),
        (plain(&two(add, &[0, 0]), &[3]), 7),
        (plain(&two(exp, &[0]), &[3]), 8),
        (plain(&two(custom(0), &[0, 1]), &[3]), 9),
        // A rule says nothing of the value.
        (plain(&two(custom(1), &[0, 1]), &[3]), 9),
    ]
}

/// By operations, their inputs and types, how many inputs there are, and results: programs are cached by that.
#[test]
fn bodies_are_equal_if_they_compute_the_same() {
    let hash = |body: &Body| BuildHasherDefault::<DefaultHasher>::default().hash_one(body);
    let all = bodies();
    for (a, value) in &all {
        for (b, other) in &all {
            assert_eq!(a == b, value == other, "{a:?} with {b:?}");
            assert!(value != other || hash(a) == hash(b), "{a:?} is {b:?}, and has another hash");
        }
    }
    assert_eq!(format!("{:?}", all[3].0), "Body(2 inputs, 2 operations, results [3, 2])");
}

/// One body does what another does if it has its results first.
#[test]
fn a_body_extends_those_whose_results_it_has_first() {
    let all = bodies();
    for (a, value) in &all {
        for (b, other) in &all {
            assert_eq!(a.extends(b), value == other || (*value, *other) == (2, 0), "{a:?} with {b:?}");
        }
    }
}

/// Loops of the same inputs: what one of them computes is not taken for what another does.
#[test]
fn loops_that_differ_in_the_body_alone_stay_apart() {
    let x = random(&[2], 1);
    let times = |factor: f64| {
        let step = |c: &[Tensor], _: &[Tensor]| Ok((vec![&c[0] * factor], vec![]));
        scan(&[&x], &[], ScanOptions { length: Some(3), reverse: false }, step).unwrap().0.remove(0)
    };
    let both = Tensor::stack(&[&times(2.0), &times(3.0)], 0);
    let want: Vec<f64> = [8.0, 27.0].iter().flat_map(|factor| eval(&x).into_iter().map(move |x| x * factor)).collect();
    agree("loops", &eval(&both), &want, 1e-14).unwrap();
}

/// The loops behind tensors, in the order of their recording.
fn found(tensors: &[Tensor]) -> Vec<(Tensor, Arc<Scan>)> {
    let scan_of = |node: &Tensor| if let Op::Scan(scan) = node.op() { Some((node.clone(), scan.clone())) } else { None };
    Walk::new(tensors, |_| true).nodes.iter().filter_map(scan_of).collect()
}

/// What depends on no carry is computed once, outside; views of it cost nothing, and are read inside as they are.
#[test]
fn a_body_holds_what_changes_and_views() {
    let (w, x) = (random(&[3], 1), random(&[4, 2, 3], 2));
    let step = |_: &[Tensor], x: &[Tensor]| Ok((vec![], vec![&x[0] * w.exp().broadcast_to([2, 3])]));
    let (_, results) = scan(&[], &[&x], ScanOptions::default(), step).unwrap();
    let loops = found(&results);
    let (node, one) = &loops[0];
    let names: Vec<&str> = one.body.nodes().iter().map(|node| node.op.rules().name()).collect();
    assert_eq!(names, ["input", "input", "broadcast", "mul"]);
    assert_eq!((node.inputs().len(), node.inputs()[1].shape()), (2, &[3][..]), "the exponential is read, not what repeats it");
}

/// A step whose derivative needs no carry keeps none, and reads no sequence again.
#[test]
fn the_way_back_keeps_what_it_reads() {
    let (c, x, w) = (random(&[3], 1), random(&[5, 3], 2), random(&[3], 3));
    let gradients = |step: &dyn Fn(&[Tensor], &[Tensor]) -> Tensor| {
        let (last, _) = scan(&[&c], &[&x], ScanOptions::default(), |c, x| Ok((vec![step(c, x)], vec![]))).unwrap();
        let gradients = last[0].sum().grad(&[&c, &x]).unwrap();
        found(&gradients)
            .into_iter()
            .map(|(node, scan)| (scan.sequences, scan.body.outputs().len(), node.inputs().len()))
            .collect::<Vec<_>>()
    };
    // Linear in carry and part: back along the carry alone; the part's cotangent is what comes back, the weight is read.
    assert_eq!(gradients(&|c, x| &c[0] * &w + &x[0]), [(0, 2, 2)]);
    // The sines are computed again from carry and part, and the loop runs once more to keep its carries.
    let kept = gradients(&|c, x| c[0].sin() * &x[0]);
    assert_eq!(kept, [(1, 2, 2), (2, 2, 3)]);
}

/// The reference refuses an index that points outside at any step, in loops in loops too, as the compiled program does.
#[test]
fn the_reference_refuses_an_index_in_a_body() {
    let (table, one) = (Tensor::ones([4]), Tensor::from_slice(&[1i64], []));
    let options = ScanOptions { length: Some(3), reverse: false };
    let inner = |c: &[Tensor], _: &[Tensor]| Ok((vec![&c[0] + &one], vec![table.gather(&c[0])]));
    let plain = |start: i64| scan(&[&Tensor::from_slice(&[start], [])], &[], options, inner).unwrap();
    let nested = |start: i64| {
        let outer = |c: &[Tensor], _: &[Tensor]| {
            let (next, parts) = scan(&refs(c), &[], options, inner)?;
            Ok((next, parts))
        };
        let two = ScanOptions { length: Some(2), reverse: false };
        scan(&[&Tensor::from_slice(&[start], [])], &[], two, outer).unwrap()
    };
    for (what, bad, good) in [("a loop", plain(2), plain(1)), ("a loop in a loop", nested(0), nested(-2))] {
        let error = reference::evaluate(&refs(&bad.1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Index, "{what}: {error}");
        assert!(error.to_string().contains("index 4 is outside 0..4"), "{what}: {error}");
        let asked = reference::evaluate(&refs(&good.1));
        assert_eq!(asked.is_ok(), what == "a loop", "{what}");
    }
}

#[test]
fn the_reference_refuses_an_index_in_a_branch_and_in_a_loop_without_end() {
    let (table, start) = (Tensor::ones([4]), Tensor::from_slice(&[2i64], []));
    let outside = |x: &[Tensor]| Ok(vec![table.gather(&(&x[0] + &x[0]))]);
    let inside = |x: &[Tensor]| Ok(vec![table.gather(&x[0])]);
    for (choice, refused) in [(true, true), (false, false)] {
        let branch = cond(&Tensor::from(choice), &[&start], outside, inside).unwrap();
        assert_eq!(reference::evaluate(&refs(&branch)).is_err(), refused);
    }
    for (limit, refused) in [(4.0, false), (5.0, true)] {
        let going = |c: &[Tensor]| Ok(c[1].less(&Tensor::from(limit)));
        let step = |c: &[Tensor]| Ok(vec![&c[0] + &Tensor::from_slice(&[1i64], []), &c[1] + table.gather(&c[0])]);
        let repeated = while_loop(going, step, &[&start, &Tensor::from(2.0)], None).unwrap();
        assert_eq!(reference::evaluate(&refs(&repeated)).is_err(), refused, "up to {limit}");
    }
}

/// Carries and results of two float types: each has its node, forwards and backwards.
#[test]
fn loops_of_two_float_types_have_all_derivatives() {
    let step = |c: &[Tensor], x: &[Tensor], _: &[Tensor]| {
        let next = c[0].sin() * &x[0] + c[1].cast(DType::F64);
        let other = (&c[1] * c[0].cast(DType::F32)).cos();
        (vec![next.clone(), other.clone()], vec![&next * &c[0], &other * &c[1]])
    };
    let inputs = |n: usize| vec![random(&[3], 1), random(&[3], 2).cast(DType::F32).to_leaf().unwrap(), random(&[n, 3], 3)];
    for reverse in [false, true] {
        let one = Loop { name: "mixed", step, carries: 2, sequences: 1, inputs, reverse };
        let x = inputs(4);
        let everything = |make: Make| -> Result<Vec<Tensor>> {
            let results = make(&one, 4, &x)?;
            let loss = |results: &[Tensor]| {
                results.iter().map(|y| (y.cast(DType::F64) * like(&y.cast(DType::F64), 9)).square().sum()).reduce(|a, b| a + b)
            };
            let gradients = loss(&results).unwrap().grad(&refs(&x))?;
            let along: Vec<Tensor> = x.iter().map(|x| like(x, 10)).collect();
            let tangents = jvp(&refs(&results), &refs(&x), &refs(&along))?;
            let second = loss(&gradients).unwrap().grad(&refs(&x))?;
            Ok([results, gradients, tangents, second].concat())
        };
        let (got, want) = (everything(scanned).unwrap(), everything(unrolled).unwrap());
        for (at, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_eq!(got.ty(), want.ty(), "number {at}");
            agree(&format!("number {at}"), &eval(got), &eval(want), 1e-4).unwrap();
        }
    }
}

/// What a carry does not lead to is not carried back, though it may be carried beside it.
#[test]
fn only_the_carries_that_are_led_to_go_back() {
    let (a, b) = (random(&[3], 1), random(&[3], 2));
    let step = |c: &[Tensor], _: &[Tensor]| Ok((vec![c[0].sin(), c[1].cos()], vec![]));
    let (last, _) = scan(&[&a, &b], &[], ScanOptions { length: Some(4), reverse: false }, step).unwrap();
    let gradients = (last[0].sum() + last[1].sum()).grad(&[&a]).unwrap();
    let carries: Vec<usize> = found(&gradients).iter().map(|(_, scan)| scan.carries).collect();
    assert_eq!(carries, [2, 1]);
}

/// A derivative that is declared zero before a loop or a branch is zero behind it, and no mistake.
#[test]
fn what_is_declared_zero_stays_so_through_bodies() {
    let x = random(&[3], 1);
    let still = x.floor();
    let step = |c: &[Tensor], _: &[Tensor]| Ok((vec![c[0].sin()], vec![]));
    let looped = scan(&[&still], &[], ScanOptions { length: Some(2), reverse: false }, step).unwrap().0.remove(0);
    let branch = cond(&Tensor::from(true), &[&still], |x| Ok(vec![x[0].exp()]), |x| Ok(x.to_vec())).unwrap().remove(0);
    for y in [looped, branch] {
        assert_eq!(eval(&jvp(&[&y], &[&x], &[&like(&x, 2)]).unwrap()[0]), [0.0; 3]);
        assert_eq!(eval(&y.sum().grad(&[&x]).unwrap()[0]), [0.0; 3]);
    }
}

/// The start of a carry that no step reads: it is the result of no steps, and of some steps nothing depends on it.
#[test]
fn a_start_that_is_not_read_matters_where_there_are_no_steps() {
    let c = random(&[3], 1);
    let loss = |length: usize| {
        let step = |_: &[Tensor], x: &[Tensor]| Ok((vec![x[0].clone()], vec![]));
        scan(&[&c], &[&random(&[length, 3], 2)], ScanOptions::default(), step).unwrap().0[0].sum()
    };
    assert_eq!(eval(&loss(0).grad(&[&c]).unwrap()[0]), [1.0; 3]);
    assert_eq!(loss(2).grad(&[&c]).unwrap_err().kind(), ErrorKind::Disconnected);
}

/// A node whose inputs do not fit says whether the shape or the type does not.
#[test]
fn what_does_not_fit_a_body_is_a_mistake_of_its_kind() {
    let (sum, _) = {
        let own = [Tensor::placeholder([2], DType::F32)];
        Body::trace(own[0].id(), &own, &[&own[0] * 2.0], true).unwrap()
    };
    let of = |input: Tensor| {
        let op = Scan { body: sum.clone(), carries: 1, sequences: 0, length: 3, reverse: false, dtype: DType::F32 };
        Tensor::record(op, [input]).error().map(|error| error.kind())
    };
    assert_eq!(of(Tensor::placeholder([2], DType::F32)), None);
    assert_eq!(of(Tensor::placeholder([3], DType::F32)), Some(ErrorKind::Shape));
    assert_eq!(of(Tensor::placeholder([2], DType::F64)), Some(ErrorKind::DType));
}

/// More steps than any memory has parts for.
#[test]
fn results_larger_than_any_memory_are_refused() {
    let step = |_: &[Tensor], _: &[Tensor]| Ok((vec![], vec![Tensor::ones([8])]));
    let refused = scan(&[], &[], ScanOptions { length: Some(usize::MAX / 4), reverse: false }, step).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Shape, "{refused}");
}
