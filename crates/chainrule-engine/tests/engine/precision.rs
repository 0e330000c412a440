//! Precision as a value: who decides it, and that everything derived from a product keeps it.

use crate::support::assert_agree;
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::transform::{checkpoint, jvp, vmap};
use chainrule_engine::{ErrorKind, Options, Precision, Rng, Runtime, Tensor};

/// To eight bits, as bf16 has them.
fn coarse(numbers: &[f32]) -> Vec<f32> {
    numbers.iter().map(|&x| half::bf16::from_f32(x).to_f32()).collect()
}

fn matrix(rows: usize, cols: usize, seed: u64) -> Tensor {
    Tensor::randn([rows, cols], &mut Rng::new(seed)).to_leaf().unwrap()
}

/// A product by definition, in f64.
fn product(a: &[f32], b: &[f32], [m, k, n]: [usize; 3]) -> Vec<f64> {
    let sum = |i: usize, j: usize| (0..k).map(|p| f64::from(a[i * k + p]) * f64::from(b[p * n + j])).sum();
    (0..m * n).map(|at| sum(at / n, at % n)).collect()
}

fn on(precision: Precision) -> Runtime {
    Runtime::shared().with_precision(precision)
}

fn close(got: &[f32], want: &[f64], relative: f64) {
    let got: Vec<f64> = got.iter().map(|&x| x.into()).collect();
    assert_agree("a product", &got, want, relative);
}

fn values(runtime: &Runtime, tensor: &Tensor) -> Vec<f32> {
    Tensor::eval_all_on(runtime, &[tensor]).unwrap();
    tensor.to_vec().unwrap()
}

#[test]
fn the_runtime_decides_where_no_scope_does() {
    let (a, b) = (matrix(40, 70, 1), matrix(70, 50, 2));
    let (x, y) = (a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());
    let (fine, rough) = (product(&x, &y, [40, 70, 50]), product(&coarse(&x), &coarse(&y), [40, 70, 50]));
    for precision in Precision::ALL {
        let want = if precision == Precision::Mixed { &rough } else { &fine };
        let near = if precision == Precision::High { 1e-3 } else { 2e-5 };
        close(&values(&on(precision), &a.matmul(&b)), want, near);
        // A scope is stronger than the runtime.
        let chosen = precision.scope(|| a.matmul(&b));
        close(&values(&on(Precision::Mixed), &chosen), want, near);
        close(&values(&on(Precision::Exact), &precision.scope(|| a.einsum("ik,kj->ij", &b))), want, near);
    }
}

#[test]
fn scopes_nest_and_end_even_by_unwinding() {
    let (a, b) = (matrix(3, 4, 1), matrix(4, 5, 2));
    let text = |tensor: &Tensor| Graph::of(&[tensor]).0.print();
    let (outer, inner, after) = Precision::Mixed.scope(|| {
        let inner = Precision::Exact.scope(|| a.matmul(&b));
        let unwound = std::panic::catch_unwind(|| Precision::High.scope(|| panic!("on purpose")));
        assert!(unwound.is_err());
        (a.matmul(&b), inner, a.matmul(&b))
    });
    assert!(text(&outer).contains("precision mixed") && text(&after).contains("precision mixed"));
    assert!(text(&inner).contains("precision exact"));
    assert!(!text(&a.matmul(&b)).contains("precision"));
}

/// Recorded inside, differentiated outside, and the other way round.
#[test]
fn derivatives_have_the_precision_of_what_they_differentiate() {
    let (a, b) = (matrix(20, 30, 1), matrix(30, 10, 2));
    let (x, y) = (a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());
    let ones = vec![1.0_f32; 200];
    let turned: Vec<f32> = (0..300).map(|at| y[at % 30 * 10 + at / 30]).collect();
    let want = product(&ones, &coarse(&turned), [20, 10, 30]);
    let y = Precision::Mixed.scope(|| a.matmul(&b));
    let gradient = y.sum().grad(&[&a]).unwrap().remove(0);
    close(&values(&on(Precision::Exact), &gradient), &want, 1e-5);
    let plain = a.matmul(&b);
    let gradient = Precision::Mixed.scope(|| plain.sum().grad(&[&a]).unwrap().remove(0));
    let want = product(&ones, &turned, [20, 10, 30]);
    close(&values(&on(Precision::Exact), &gradient), &want, 1e-5);
    let tangent = jvp(&[&y], &[&a], &[&a]).unwrap().remove(0);
    let want = product(&coarse(&x), &coarse(&b.to_vec::<f32>().unwrap()), [20, 30, 10]);
    close(&values(&on(Precision::Exact), &tangent), &want, 1e-4);
}

#[test]
fn batches_and_checkpoints_keep_the_precision() {
    let (a, b) = (matrix(6, 40, 1), matrix(40, 10, 2));
    let (x, y) = (a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());
    let want = product(&coarse(&x), &coarse(&y), [6, 40, 10]);
    let mixed = |x: &Tensor| Precision::Mixed.scope(|| x.matmul(&b));
    let batched = vmap(|rows| Ok(vec![mixed(&rows[0])]), &[&a], &[Some(0)]).unwrap().remove(0);
    close(&values(&on(Precision::Exact), &batched), &want, 1e-4);
    let again = checkpoint(|x| mixed(x[0]).square(), &[&a]);
    let text = Graph::of(&[&again.sum().grad(&[&a]).unwrap()[0]]).0.print();
    // Forward once again, and backward.
    assert_eq!(text.matches("precision mixed").count(), 2, "{text}");
    assert_eq!(text.matches("einsum").count(), 2, "{text}");
}

#[test]
fn products_of_different_precision_stay_two() {
    let (a, b) = (matrix(20, 30, 1), matrix(30, 10, 2));
    let (fine, rough) = (Precision::Exact.scope(|| a.matmul(&b)), Precision::Mixed.scope(|| a.matmul(&b)));
    let apart = (&fine - &rough).abs().max().item().unwrap();
    assert!((1e-4..0.2).contains(&apart), "{apart}");
}

#[test]
fn every_precision_has_the_same_bits_on_any_number_of_threads() {
    for precision in Precision::ALL {
        let results = [1, 2, 5].map(|threads| {
            let runtime = Runtime::new(threads).unwrap().with_precision(precision);
            let (a, b) = (matrix(150, 400, 1), matrix(400, 170, 2));
            let y = a.matmul(&b);
            let gradient = y.tanh().sum().grad(&[&b]).unwrap().remove(0);
            [values(&runtime, &y), values(&runtime, &gradient)]
        });
        assert!(results[0] == results[1] && results[1] == results[2], "{precision}");
    }
}

/// Other types are computed as ever: f64 in f64, and what is no product in f32.
#[test]
fn only_products_of_f32_are_concerned() {
    let third = Tensor::from_slice(&[1.0 / 3.0, 0.0], [1, 2]);
    let one = Tensor::from_slice(&[1.0, 0.0], [2, 1]);
    Precision::Mixed.scope(|| {
        assert_eq!(third.matmul(&one).to_vec::<f64>().unwrap(), [1.0 / 3.0]);
        let narrow = Tensor::from_slice(&[1.0f32 / 3.0, 1.0], [2]);
        assert_eq!((&narrow * &narrow).to_vec::<f32>().unwrap()[0], 1.0f32 / 3.0 * (1.0 / 3.0));
    });
}

#[test]
fn names_are_read_back_and_others_refused_with_the_list() {
    for precision in Precision::ALL {
        assert_eq!(precision.to_string().parse(), Ok(precision));
        let mut spec = chainrule_engine::ops::Einsum::new("ij", "jk", "ik");
        spec.precision = Some(precision);
        let graph = Graph::of(&[&Tensor::record(spec, [matrix(2, 3, 1), matrix(3, 4, 2)])]).0;
        assert!(Graph::parse(&graph.print()).unwrap().same_structure(&graph));
    }
    assert_eq!("half".parse::<Precision>(), Err("there is no precision 'half'; there are exact, full, high, mixed".into()));
    let text = "%0 = input f32 [2, 3]\n%1 = input f32 [3, 4]\n%2 = einsum ij,jk->ik precision half %0, %1 : f32 [2, 4]\nreturn %2";
    assert_eq!(Graph::parse(text).unwrap_err().kind(), ErrorKind::Argument);
    assert_eq!(Options::default().precision, Precision::Full);
}
