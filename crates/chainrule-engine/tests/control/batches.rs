//! A batch of loops is a loop of batches.

use crate::scans::{loops, scanned};
use crate::support::{agree, eval, like, oracle};
use chainrule_engine::functions::{ScanOptions, cond, scan};
use chainrule_engine::transform::{hessian, jacobian, vmap};
use chainrule_engine::{Result, Tensor};

const EXAMPLES: u64 = 3;

/// Inputs of each example: those with an axis in `axes` are each example's own.
fn examples(x: &[Tensor], axes: &[Option<usize>]) -> Vec<Vec<Tensor>> {
    let own = |at: u64, x: &Tensor, axis: &Option<usize>, k: u64| match axis {
        Some(_) if x.dtype().is_float() => like(x, 100 * at + k),
        _ => x.clone(),
    };
    (0..EXAMPLES).map(|at| x.iter().zip(axes).zip(0..).map(|((x, axis), k)| own(at, x, axis, k)).collect()).collect()
}

fn stacked(examples: &[Vec<Tensor>], axes: &[Option<usize>]) -> Vec<Tensor> {
    let wide = |(k, axis): (usize, &Option<usize>)| match axis {
        Some(axis) => Tensor::stack(&examples.iter().map(|x| &x[k]).collect::<Vec<_>>(), *axis as isize),
        None => examples[0][k].clone(),
    };
    axes.iter().enumerate().map(wide).collect()
}

fn gradients(results: &[Tensor], wrt: &[&Tensor]) -> Result<Vec<Tensor>> {
    let loss = results.iter().filter(|y| y.dtype().is_float()).map(|y| (y * y).sum()).reduce(|a, b| a + b);
    loss.unwrap_or_else(|| Tensor::from_slice(&[0.0f64], [])).grad_or_zeros(wrt)
}

#[test]
fn a_batch_of_scans_equals_one_after_the_other() {
    for one in loops() {
        let x = (one.inputs)(4);
        for mask in 1_usize..1 << x.len() {
            let axes: Vec<Option<usize>> =
                x.iter().enumerate().map(|(k, x)| (mask >> k & 1 == 1).then_some((mask + k) % (x.rank() + 1))).collect();
            // All choices for the small ones, some of the others.
            if x.len() > 4 && !mask.is_multiple_of(5) {
                continue;
            }
            let all = |x: &[Tensor]| -> Result<Vec<Tensor>> {
                let results = scanned(&one, 4, x)?;
                let wrt: Vec<&Tensor> = x.iter().filter(|x| x.dtype().is_float()).collect();
                let gradients = gradients(&results, &wrt)?;
                Ok([results, gradients].concat())
            };
            let each = examples(&x, &axes);
            let wide = stacked(&each, &axes);
            let got = vmap(|x| all(x), &wide.iter().collect::<Vec<_>>(), &axes).unwrap();
            let want: Vec<Vec<Tensor>> = each.iter().map(|x| all(x).unwrap()).collect();
            for (k, got) in got.iter().enumerate() {
                let want: Vec<f64> = want.iter().flat_map(|all| eval(&all[k])).collect();
                let what = format!("{}, {axes:?}, result {k}", one.name);
                agree(&what, &eval(got), &want, 1e-12).unwrap();
                agree(&what, &oracle(got), &want, 1e-12).unwrap();
            }
        }
    }
}

/// The gradient of a batch of scans is the batch of gradients; a scan over batches is the same again.
#[test]
fn a_scan_over_batches_is_a_batch_of_scans() {
    let (w, x) = (
        like(&Tensor::zeros([2, 2]).cast(chainrule_engine::DType::F64), 1),
        like(&Tensor::zeros([5, 3, 2]).cast(chainrule_engine::DType::F64), 2),
    );
    let step = |c: &[Tensor], x: &[Tensor]| Ok((vec![(c[0].matmul(&w) + &x[0]).tanh()], vec![c[0].sin()]));
    let init = Tensor::zeros([3, 2]).cast(chainrule_engine::DType::F64);
    let (last, states) = scan(&[&init], &[&x], ScanOptions::default(), step).unwrap();
    let one = |x: &[Tensor]| {
        let (last, states) = scan(&[&x[0]], &[&x[1]], ScanOptions::default(), step)?;
        Ok([last, states].concat())
    };
    let batch = vmap(one, &[&init, &x], &[Some(0), Some(1)]).unwrap();
    agree("last", &eval(&batch[0]), &eval(&last[0]), 1e-13).unwrap();
    agree("states", &eval(&batch[1].swapaxes(0, 1)), &eval(&states[0]), 1e-13).unwrap();
    let by = |last: &Tensor, states: &Tensor| (last.square().sum() + states.sum()).grad(&[&w, &x]).unwrap();
    for (got, want) in by(&batch[0], &batch[1]).iter().zip(by(&last[0], &states[0])) {
        agree("gradient", &eval(got), &eval(&want), 1e-12).unwrap();
    }
}

/// Matrices of derivatives are batches of products with the basis.
#[test]
fn jacobians_and_hessians_pass_through_loops() {
    let loops = loops();
    let one = loops.iter().find(|one| one.name == "exchanged").expect("a loop of that name");
    let x = (one.inputs)(3);
    let both = |results: Vec<Tensor>| &results[0] + results[1].sin();
    let y = &both(scanned(one, 3, &x).unwrap());
    let plain = &both(crate::scans::unrolled(one, 3, &x).unwrap());
    for x in x.iter().take(3) {
        agree("jacobian", &eval(&jacobian(y, x).unwrap()), &eval(&jacobian(plain, x).unwrap()), 1e-12).unwrap();
        let second = |y: &Tensor| eval(&hessian(&y.square().sum(), x).unwrap());
        agree("hessian", &second(y), &second(plain), 1e-12).unwrap();
    }
}

/// Examples that differ in the predicate: the value and the gradient of each is that of its own branch.
#[test]
fn a_branch_of_a_batch_is_each_examples_own() {
    let x = Tensor::from_slice(&[1.0f64, -4.0, 9.0], [3]);
    let one = |x: &[Tensor]| {
        let y = cond(&x[0].greater(&Tensor::from_slice(&[0.0], [])), &[&x[0]], |x| Ok(vec![x[0].square()]), |x| Ok(vec![&x[0] * 3.0]))?
            .remove(0);
        Ok(vec![y.grad(&[&x[0]])?.remove(0), y])
    };
    let got = vmap(one, &[&x], &[Some(0)]).unwrap();
    for values in [eval, oracle] {
        assert_eq!((values(&got[0]), values(&got[1])), (vec![2.0, 3.0, 18.0], vec![1.0, -12.0, 81.0]));
    }
}
