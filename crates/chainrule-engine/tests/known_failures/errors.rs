//! Mistakes are values: they name the operation, the shapes, the line and the scope, spread, and
//! come out as the first cause at the next call that returns a result. Nothing panics.

use crate::support::{eval, random};
use chainrule_engine::backend::reference;
use chainrule_engine::ops::{Binary, CustomRule};
use chainrule_engine::transform::walk::Walk;
use chainrule_engine::transform::{custom_derivative, hessian, hvp, jacobian, jvp, value_and_grad, vjp, vmap};
use chainrule_engine::{DType, Error, ErrorKind, Result, Tensor, scope};

#[track_caller]
fn error<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("a mistake was taken"),
        Err(error) => error,
    }
}

#[test]
fn a_shape_mistake_names_operation_shapes_line_and_scope() {
    let (a, b) = (Tensor::zeros([32, 784]), Tensor::zeros([512, 10]));
    let (y, line) = scope("encoder", || scope("fc1", || (a.matmul(&b), line!())));
    let error = error(y.eval());
    assert_eq!(
        error.to_string(),
        format!("matmul at {}:{line}: inner dimensions differ: [32, 784] x [512, 10] (784 != 512), in scope encoder.fc1", file!())
    );
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Shape, "matmul"));
    assert_eq!(error.origin().map(|origin| (origin.line(), origin.scope())), Some((line, Some("encoder.fc1"))));
}

#[test]
fn poison_spreads_and_the_first_cause_comes_out() {
    let (a, b) = (Tensor::zeros([2, 3]), Tensor::zeros([4]));
    let (wrong, line) = (&a + &b, line!());
    let later = (wrong.exp().matmul(&Tensor::zeros([9, 9])) * 2.0)
        .sum_over(&[7])
        .reshape([5])
        .permute([3, 1])
        .select(&a, &b)
        .powf(0.0)
        .zeros_like();
    for result in [
        later.eval().map(drop),
        later.item().map(drop),
        later.to_vec::<f32>().map(drop),
        later.grad(&[&a]).map(drop),
        later.check(),
        later.to_leaf().map(drop),
    ] {
        let text = error(result).to_string();
        assert!(text.starts_with(&format!("add at {}:{line}: shapes [2, 3] and [4] do not broadcast", file!())), "{text}");
    }
    for result in [
        jvp(&[&later], &[&a], &[&a]).map(drop),
        vjp(&[&a], &[&a], &[&later]).map(drop),
        vmap(|x| Ok(vec![&x[0] + &later]), &[&a], &[Some(0)]).map(drop),
        vmap(|x| Ok(x.to_vec()), &[&later], &[Some(0)]).map(drop),
        hessian(&later, &a).map(drop),
        jacobian(&later, &a).map(drop),
        hvp(&later, &a, &a).map(drop),
        value_and_grad(|_| later.clone(), &[&a]).map(drop),
        Tensor::eval_all(&[&a, &later]),
    ] {
        assert_eq!(error(result).operation(), "add");
    }
}

#[test]
fn every_node_belongs_to_a_line_of_the_user() {
    let (x, index) = (random(&[3, 4], 1), Tensor::from_slice(&[0i64, 2], 2));
    let first = line!();
    let y = [
        x.powf(5.0) + x.recip() - x.square() % 2.0,
        x.greater_equal(&x).not_equal(&x.less_equal(&x)).select(&x, &(1.0 / &x)),
        x.matmul(&x.t()).matmul(&x).einsum("ab,ba->ab", &x.transpose(0, -1)),
        Tensor::stack(&[&x, &x], 1).flip(&[0, 2]).max_over(&[1]).cumsum(0),
        x.unsqueeze(0).squeeze(0).flatten().reshape([3, 4]).permute([1, 0]).t().broadcast_to([2, 3, 4]).sum_over(&[0]),
        x.gather(&index).scatter_add(&index, 3).cast(DType::F32).cast(DType::F64),
        x.einsum("ij,kl->kl", &x) * x.max() * Tensor::eye(4, DType::F64).sum() * x.detach(),
    ];
    let whole = y.iter().fold(x.clone(), |sum, y| sum + y).sum();
    let last = line!();
    let g = whole.grad(&[&x]).unwrap_or_default();
    let mut met = 0;
    for (roots, backward) in [(vec![&whole], false), (g.iter().collect(), true)] {
        for node in Walk::new(roots, |_| true).nodes.iter().filter(|node| node.id() > index.id() && node.origin().is_backward() == backward)
        {
            let (origin, op) = (node.origin(), node.op());
            assert!(origin.file() == file!() && (first..=last).contains(&origin.line()), "{op:?} is said to be from {}", origin.place());
            met += 1;
        }
    }
    assert!(met > 80, "only {met} nodes");
}

#[test]
fn a_scope_ends_even_when_its_body_panics() {
    let caught = std::panic::catch_unwind(|| scope("lost", || std::panic::panic_any(())));
    assert!(caught.is_err());
    let y = scope("after", || Tensor::zeros([2]).matmul(&Tensor::zeros([3])));
    assert!(error(y.eval()).to_string().ends_with("in scope after"));
    assert!(Tensor::zeros([2]).origin().scope().is_none());
}

#[test]
fn a_missing_gradient_names_the_line_of_the_cut() {
    let x = random(&[3], 1);
    let (cut, line) = (x.detach(), line!());
    let y = (cut * 2.0).sum();
    let reverse = error(y.grad(&[&x]));
    assert_eq!(reverse.kind(), ErrorKind::Disconnected);
    let place = format!("the path is cut by `detach` at {}:{line}", file!());
    assert!(reverse.to_string().contains(&place), "{reverse}");
    let forward = error(jvp(&[&y], &[&x], &[&x]));
    assert!(forward.to_string().contains(&place), "{forward}");

    let (whole, line) = (x.cast(DType::I64).cast(DType::F64), line!());
    let text = error(whole.sum().grad(&[&x])).to_string();
    assert!(text.contains(&format!("cut by `cast` at {}:{line}", file!())), "{text}");
}

#[test]
fn a_gradient_of_what_is_not_there_is_an_error_and_zeros_must_be_asked_for() {
    let (x, z) = (random(&[3], 1), random(&[2], 2));
    let y = x.square().sum();
    let text = error(y.grad(&[&x, &z])).to_string();
    assert!(text.contains("does not depend on the input made at") && text.contains("support/mod.rs"), "{text}");
    let zeros = y.grad_or_zeros(&[&z, &x]).map(|g| (eval(&g[0]), g[1].shape().to_vec()));
    assert_eq!(zeros.ok(), Some((vec![0.0; 2], vec![3])));
    assert_eq!(error(jvp(&[&y], &[&z], &[&z])).kind(), ErrorKind::Disconnected);
}

#[test]
fn a_cut_beside_a_path_is_no_error() {
    let x = random(&[3], 1);
    let y = (&x * x.detach()).sum();
    assert_eq!(y.grad(&[&x]).map(|g| eval(&g[0])).ok(), Some(eval(&x)));
}

#[test]
fn gradients_need_one_number_of_a_float_type() {
    let x = random(&[3], 1);
    let text = error(x.square().grad(&[&x])).to_string();
    assert!(text.contains("[3]") && text.contains("sum"), "{text}");
    let whole = Tensor::from_slice(&[1i64, 2], 2);
    assert_eq!(error((&whole * &whole).sum().grad(&[&whole])).kind(), ErrorKind::DType);
}

#[test]
fn lists_of_different_length_are_errors() {
    let (x, z) = (random(&[3], 1), random(&[3], 2));
    let y = &x * &z;
    for result in [jvp(&[&y], &[&x, &z], &[&x]), jvp(&[&y], &[&x], &[&x, &z]), vjp(&[&y], &[], &[&x]), vjp(&[&y], &[&y, &y], &[&x])] {
        let error = error(result);
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert!(error.to_string().contains(file!()), "{error}");
    }
    for result in [jvp(&[&y], &[&x], &[&x.sum()]), vjp(&[&y], &[&y.cast(DType::F32)], &[&x])] {
        assert_eq!(error(result).kind(), ErrorKind::Shape);
    }
}

#[test]
fn every_mistake_is_an_error_with_its_line() {
    use ErrorKind::{Argument, DType as Type, Shape};
    let (a, whole, flag) = (Tensor::zeros([2, 3]), Tensor::from_slice(&[1i64, 2], 2), Tensor::from_slice(&[true, false], 2));
    let (empty, huge) = (Tensor::zeros([0, 3]), usize::MAX / 2);
    let f64s = Tensor::full([2, 3], 1.0, DType::F64);
    let table: [(&str, Tensor, ErrorKind); 34] = [
        ("binary shapes", &a * &Tensor::zeros([3, 2]), Shape),
        ("binary dtypes", &a + &f64s, Type),
        ("exp of integers", whole.exp(), Type),
        ("negated bool", -&flag, Type),
        ("sum of bool", flag.sum(), Type),
        ("and of numbers", &a & &a, Type),
        ("not of numbers", !&a, Type),
        ("fraction with integers", &whole * 0.5, Type),
        ("a condition that is none", a.select(&a, &a), Type),
        ("branches of two types", flag.select(&whole, &Tensor::zeros([2])), Type),
        ("branches of two shapes", flag.select(&Tensor::zeros([3]), &Tensor::zeros([2])), Shape),
        ("reshape", a.reshape([4]), Shape),
        ("reshape overflow", a.reshape([huge, huge]), Shape),
        ("permute twice", a.permute([0, 0]), Shape),
        ("permute short", a.permute([1]), Shape),
        ("transpose", a.transpose(0, 2), Shape),
        ("transpose below", a.transpose(-3, 0), Shape),
        ("vector transposed", whole.t(), Shape),
        ("broadcast", a.broadcast_to([3, 2]), Shape),
        ("broadcast down", a.broadcast_to([3]), Shape),
        ("unsqueeze", a.unsqueeze(4), Shape),
        ("squeeze", a.squeeze(0), Shape),
        ("flip", a.flip(&[2]), Shape),
        ("concat nothing", Tensor::concat(&[], 0), Shape),
        ("concat shapes", Tensor::concat(&[&a, &Tensor::zeros([2, 2])], 0), Shape),
        ("concat dtypes", Tensor::concat(&[&a, &f64s], 0), Type),
        ("sum axis", a.sum_over(&[-3]), Shape),
        ("sum twice", a.sum_over(&[1, -1]), Shape),
        ("max of nothing", empty.max_over(&[0]), Shape),
        ("cumsum", a.cumsum(2), Shape),
        ("einsum text", a.einsum("ij", &a), Argument),
        ("einsum sizes", a.einsum("ij,jk->ik", &a), Shape),
        ("gather by floats", a.gather(&a), Type),
        ("gather from a scalar", Tensor::scalar(1.0, DType::F32).gather(&whole), Shape),
    ];
    for (name, tensor, kind) in table {
        let error = error(tensor.eval());
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(file!()), "{name}: {error}");
        assert!(error.to_string().len() > 25, "{name}: {error}");
    }
    for (name, tensor) in [
        ("too large", Tensor::zeros([huge, 8])),
        ("scatter", a.scatter_add(&Tensor::from_slice(&[0i64; 3], 3), 4)),
        ("matmul of a scalar", a.matmul(&Tensor::scalar(1.0, DType::F32))),
        ("matmul batches", Tensor::zeros([2, 2, 3]).matmul(&Tensor::zeros([4, 3, 2]))),
        ("values that do not fill", Tensor::from_slice(&[1.0f32, 2.0], [3])),
        ("operands of two shapes and types", Tensor::record(Binary::Add, [a.clone(), whole.clone()])),
    ] {
        assert!(error(tensor.eval()).to_string().contains(file!()), "{name}");
    }
}

#[test]
fn reading_another_type_or_more_than_one_number_is_an_error() {
    let x = Tensor::zeros([2]);
    assert_eq!(error(x.to_vec::<f64>()).kind(), ErrorKind::DType);
    assert_eq!(error(x.item()).kind(), ErrorKind::Shape);
    assert_eq!(error(Tensor::placeholder(&[2][..], DType::F32).exp().eval().map(drop)).kind(), ErrorKind::Unbound);
}

#[test]
fn an_index_outside_is_an_error_that_names_the_line() {
    let table = Tensor::from_slice(&[1.0f32, 2.0, 3.0], 3);
    for index in [3i64, -1, i64::MAX, i64::MIN] {
        let at = Tensor::from_slice(&[0, index, 1], 3);
        let (picked, line) = (table.gather(&at), line!());
        let reported = error(picked.eval());
        assert_eq!(reported.kind(), ErrorKind::Index);
        assert!(reported.to_string().contains(&format!("gather at {}:{line}", file!())), "{reported}");
        assert!(reported.to_string().contains(&index.to_string()) && reported.to_string().contains('3'), "{reported}");
        assert_eq!(error(reference::evaluate(&[&picked])).to_string(), reported.to_string());
        let (sums, line) = (table.scatter_add(&at, 3), line!());
        let reported = error(sums.eval());
        assert!(reported.to_string().contains(&format!("scatter_add at {}:{line}", file!())), "{reported}");
        assert_eq!(error(reference::evaluate(&[&sums.exp()])).to_string(), reported.to_string());
        let (most, line) = (table.segment_max(&at, 3), line!());
        let reported = error(most.eval());
        assert!(reported.to_string().contains(&format!("at {}:{line}", file!())), "{reported}");
        assert_eq!(error(reference::evaluate(&[&most])).to_string(), reported.to_string());
        // A failed run leaves nothing behind: the same table serves the next one.
        assert_eq!(eval(&table.gather(&Tensor::from_slice(&[2i64], 1))), [3.0]);
    }
}

#[test]
fn batches_that_do_not_fit_are_errors() {
    let (a, b) = (random(&[3, 2], 1), random(&[4, 2], 2));
    for result in [
        vmap(|x| Ok(vec![&x[0] + &x[1]]), &[&a, &b], &[Some(0), Some(0)]),
        vmap(|x| Ok(vec![x[0].sum()]), &[&a], &[Some(2)]),
        vmap(|x| Ok(vec![x[0].sum()]), &[&a], &[None]),
        vmap(|x| Ok(vec![x[0].sum()]), &[&a], &[]),
        vmap(|x| Ok(vec![x[0].matmul(&b)]), &[&a], &[Some(1)]),
    ] {
        let error = error(result);
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(error.to_string().contains(file!()), "{error}");
    }
}

/// Gives a cotangent of the wrong shape, or too many.
struct Wrong(usize);

impl CustomRule for Wrong {
    fn name(&self) -> &str {
        "wrong"
    }
    fn vjp(&self, _: &[Tensor], _: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(cotangent.sum()); self.0])
    }
}

#[test]
fn a_custom_rule_of_the_wrong_shape_is_an_error() {
    let x = random(&[3], 1);
    for count in [0, 1, 2] {
        let y = custom_derivative(&x.sin(), &[&x], Wrong(count)).sum();
        for result in [y.grad(&[&x]).map(drop), jvp(&[&y], &[&x], &[&x]).map(drop)] {
            assert_eq!(error(result).operation(), "wrong");
        }
    }
}

/// The line is named whose index points outside; of several that do, the first, though another points outside nearer to its start.
#[test]
fn of_several_picks_the_first_that_points_outside_is_named_by_its_line() {
    let table = Tensor::ones([4]);
    for (wrong, also) in (0..4).flat_map(|wrong| (wrong..4).map(move |also| (wrong, also))) {
        let index = |pick: u32| {
            let numbers = if pick == wrong { [0i64, 9] } else { [if pick == also { 9 } else { 0 }, 3] };
            Tensor::from_slice(&numbers, [2])
        };
        let first = line!() + 1;
        let a = table.gather(&index(0)).exp().cumsum(0);
        let b = table.gather(&index(1)).sin();
        let c = table.gather(&index(2)).reshape([1, 2]).matmul(&Tensor::ones([2, 2])).sum_over(&[0]);
        let d = Tensor::ones([2]).scatter_add(&index(3), 4);
        let sum = (a + b * c).sum() + d.sum();
        let text = sum.eval().unwrap_err().to_string();
        assert!(text.contains(&format!("{}:{}", file!(), first + wrong)), "picks {wrong} and {also}, from line {first} on: {text}");
    }
}
