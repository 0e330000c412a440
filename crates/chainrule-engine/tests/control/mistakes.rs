//! What does not fit is an error that names what and where, and never a panic.

use chainrule_engine::functions::{Branch, ScanOptions, cond, fori_loop, map, scan, switch, while_loop};
use chainrule_engine::transform::audit;
use chainrule_engine::{DType, Error, ErrorKind, Tensor};

#[track_caller]
fn refused<T>(what: &str, result: Result<T, Error>, operation: &str, kind: ErrorKind, words: &[&str]) {
    let Err(error) = result else { panic!("{what} is no mistake") };
    let text = error.to_string();
    assert_eq!((error.kind(), error.operation()), (kind, operation), "{what}: {text}");
    assert!(words.iter().chain(&["mistakes.rs"]).all(|word| text.contains(word)), "{what}: {text}");
}

fn of(shape: &[usize]) -> Tensor {
    Tensor::ones(shape)
}

#[test]
fn loops_that_do_not_fit_are_refused_by_name() {
    use ErrorKind::{Argument, DType as Types, Shape};
    let (carry, sequence) = (of(&[2]), of(&[3, 2]));
    let (c, x) = ([&carry], [&sequence]);
    let all = ScanOptions::default;
    let none = |c: &[Tensor]| (c.to_vec(), Vec::<Tensor>::new());
    refused("another shape", scan(&c, &x, all(), |_, x| Ok((vec![x[0].sum()], vec![]))), "scan", Shape, &["carry 0", "f32 [2]", "f32 []"]);
    let wide = scan(&c, &x, all(), |c, _| Ok((vec![c[0].cast(DType::F64)], vec![])));
    refused("another type", wide, "scan", Types, &["carry 0", "f64 [2]"]);
    refused("a carry lost", scan(&c, &x, all(), |_, _| Ok((vec![], vec![]))), "scan", Argument, &["1 carries", "gives 0"]);
    refused("no length", scan(&c, &[], all(), |c, _| Ok(none(c))), "scan", Argument, &["length"]);
    let said = ScanOptions { length: Some(4), reverse: false };
    refused("another length", scan(&c, &x, said, |c, _| Ok(none(c))), "scan", Shape, &["sequence 0", "3 parts", "not 4"]);
    let two = scan(&c, &[x[0], &of(&[2])], all(), |c, _| Ok(none(c)));
    refused("two lengths", two, "scan", Shape, &["sequence 1", "2 parts"]);
    refused("a scalar", scan(&c, &[&of(&[])], all(), |c, _| Ok(none(c))), "scan", Shape, &["no parts"]);
    refused("inside", scan(&c, &x, all(), |c, x| Ok((vec![c[0].matmul(&x[0].reshape([1, 2]))], vec![]))), "matmul", Shape, &[]);
    refused("a mistake before", scan(&[&(of(&[2]) + of(&[3]))], &x, all(), |c, _| Ok(none(c))), "add", Shape, &[]);
    refused("a map of a scalar", map(&[&of(&[])], |x| Ok(x.to_vec())), "map", Shape, &["no parts"]);
    refused("numbers", fori_loop(0, 3, &c, |_, _| Ok(vec![])), "fori_loop", Argument, &["gives 0"]);
    let loops = |on: Tensor| while_loop(|_| Ok(on), |c| Ok(c.to_vec()), &c, None);
    refused("no truth", loops(of(&[])), "while_loop", Types, &["one bool", "f32 []"]);
    refused("many truths", loops(of(&[2]).greater(&Tensor::from(0.0))), "while_loop", Types, &["any", "[2]"]);
    let grows = while_loop(|c| Ok(c[0].sum().less(&Tensor::from(3.0))), |c| Ok(vec![c[0].sum()]), &c, None);
    refused("it shrinks", grows, "while_loop", Shape, &["carry 0"]);
    let bounded = while_loop(|c| Ok(c[0].sum().less(&Tensor::from(3.0))), |c| Ok(vec![c[0].sum()]), &c, Some(3));
    refused("it shrinks, bounded", bounded, "while_loop", Shape, &["carry 0"]);
}

#[test]
fn branches_that_do_not_fit_are_refused_by_name() {
    use ErrorKind::{Argument, DType as Types, Shape};
    let operand = of(&[2]);
    let x = [&operand];
    let same = |x: &[Tensor]| Ok(x.to_vec());
    refused("a number", cond(&of(&[]), &x, same, same), "cond", Types, &["one bool"]);
    refused("many", cond(&of(&[2]).greater(&Tensor::from(0.0)), &x, same, same), "cond", Types, &["any"]);
    let differ = cond(&Tensor::from(true), &x, same, |x| Ok(vec![x[0].sum()]));
    refused("other results", differ, "cond", Shape, &["f32 []", "f32 [2]"]);
    refused("fewer results", cond(&Tensor::from(true), &x, same, |_| Ok(vec![])), "cond", Shape, &["branch"]);
    let one = || -> Vec<Branch<'static>> { vec![Box::new(|x: &[Tensor]| Ok(x.to_vec()))] };
    refused("a float", switch(&of(&[]), &x, one()), "switch", Types, &["i64"]);
    refused("no branch", switch(&Tensor::from_slice(&[0i64], []), &x, vec![]), "switch", Argument, &["no branch"]);
}

/// An index that points outside inside of a body, at some step.
#[test]
fn an_index_that_points_outside_in_a_body_is_found() {
    let table = of(&[4]);
    let found = scan(&[&Tensor::from_slice(&[0i64], [])], &[], ScanOptions { length: Some(6), reverse: false }, |c, _| {
        Ok((vec![&c[0] + &Tensor::from_slice(&[1i64], [])], vec![table.gather(&c[0])]))
    });
    let error = found.unwrap().1[0].eval().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Index);
    assert!(error.to_string().contains("is outside 0..4") && error.to_string().contains("mistakes.rs"), "{error}");
}

/// The error names the line in the body, wherever the compiler has moved it: in a loop of its own, behind a product, in a loop
/// in a loop, in a branch, and in what a gradient computes again.
#[test]
fn an_index_in_a_body_is_named_by_its_line() {
    let (table, far) = (of(&[4, 3]), Tensor::from_slice(&[1i64, 9], [2]));
    let w = of(&[3, 5]);
    let line = line!() + 1;
    let pick = |i: &Tensor| table.gather(&i.reshape([1]));
    let plain = |c: &[Tensor], x: &[Tensor]| Ok((vec![&c[0] + pick(&x[0])], vec![]));
    let product = |c: &[Tensor], x: &[Tensor]| Ok((vec![&c[0] + pick(&x[0]).matmul(&w).sum()], vec![]));
    let inner = |c: &[Tensor], x: &[Tensor]| {
        let both = Tensor::stack(&[&x[0], &x[0]], 0);
        Ok((scan(&[&c[0]], &[&both], ScanOptions::default(), plain)?.0, vec![]))
    };
    let branch = |c: &[Tensor], x: &[Tensor]| {
        let on = c[0].sum().greater(&Tensor::from(-1.0));
        let next = cond(&on, &[&c[0], &x[0]], |x| Ok(vec![&x[0] + pick(&x[1])]), |x| Ok(vec![x[0].clone()]))?;
        Ok((next, vec![]))
    };
    for body in [&plain as &dyn Fn(&[Tensor], &[Tensor]) -> _, &product, &inner, &branch] {
        let (last, _) = scan(&[&of(&[1, 3])], &[&far], ScanOptions::default(), body).unwrap();
        let gradient = last[0].square().sum().grad_or_zeros(&[&table]).unwrap().remove(0);
        for y in [&last[0], &gradient] {
            let error = y.eval().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Index);
            let wanted = format!("{}:{line}", file!());
            assert!(error.to_string().contains("index 9") && error.to_string().contains(&wanted), "{wanted}: {error}");
        }
    }
}

/// A gradient that a body cuts: the error, and the audit, name the body's line.
#[test]
fn a_cut_in_a_body_is_named_by_its_line() {
    let (x, w) = (of(&[3, 2]), of(&[2]));
    let line = line!() + 1;
    let step = |c: &[Tensor], x: &[Tensor]| Ok((vec![&c[0] + w.detach() * &x[0]], vec![]));
    // Captured tensors are cut inside as well: the cut is recorded with an operand of the body.
    let cut = |c: &[Tensor], x: &[Tensor]| Ok((vec![&c[0] * 0.5 + (&x[0] * &w).detach()], vec![]));
    for (step, at) in [(&step as &dyn Fn(&[Tensor], &[Tensor]) -> _, line), (&cut, line + 2)] {
        let (last, _) = scan(&[&of(&[2])], &[&x], ScanOptions::default(), step).unwrap();
        let loss = last[0].sum();
        let error = loss.grad(&[&w]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        let wanted = format!("cut by `detach` at {}:{at}", file!());
        assert!(error.to_string().contains(&wanted), "{wanted}: {error}");
        let found = audit(&loss, &[&w]).unwrap()[0].to_string();
        assert!(found.contains(&wanted), "{found}");
    }
}
