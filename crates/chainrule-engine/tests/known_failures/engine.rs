//! Failures of engines: depth, sharing, threads, merging, recomputing.

use crate::support::{Numbers, assert_agree, eval, leaf, oracle, random};
use chainrule_engine::ops::CustomRule;
use chainrule_engine::transform::{checkpoint, custom_derivative, hvp, jvp, vmap};
use chainrule_engine::{DType, Result, Rng, Tensor};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Runs a body on a thread with a stack of 64 KiB: anything recursive over a graph dies there.
fn on_a_small_stack<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::Builder::new().stack_size(64 << 10).spawn(body);
    match thread.map(thread::JoinHandle::join) {
        Ok(Ok(value)) => value,
        _ => panic!("the thread failed"),
    }
}

fn chain(x: &Tensor, length: usize) -> Tensor {
    (0..length).fold(x.clone(), |y, i| if i % 2 == 0 { y.sin() } else { -y })
}

#[test]
fn a_million_operations_are_recorded_and_dropped_without_recursion() {
    on_a_small_stack(|| {
        let x = leaf(&[0.5], &[]);
        let y = chain(&x, 1_000_000);
        assert_eq!(y.shape(), [0; 0]);
        drop(y);
        // Dropped from the other side: the leaf goes last.
        let y = chain(&x, 1_000_000);
        drop(x);
        drop(y);
    });
}

#[test]
fn a_million_operations_are_differentiated_without_recursion() {
    on_a_small_stack(|| {
        let x = leaf(&[0.5], &[]);
        let y = chain(&x, 1_000_000);
        let gradient = y.grad(&[&x]).map(|mut g| g.remove(0));
        assert!(gradient.is_ok());
        drop(y);
        drop(gradient);
    });
}

#[test]
fn a_million_operations_are_evaluated_without_recursion() {
    on_a_small_stack(|| {
        let x = leaf(&[0.5], &[]);
        let y = chain(&x, 1_000_000);
        let want = (0..1_000_000).fold(0.5f64, |y, i| if i % 2 == 0 { y.sin() } else { -y });
        assert_agree("value", &eval(&y), &[want], 1e-9);
    });
}

#[test]
fn the_gradient_of_a_million_operations_is_right() {
    on_a_small_stack(|| {
        let (x, n) = (leaf(&[0.5], &[]), 1_000_000);
        let y = chain(&x, n);
        let (mut value, mut slope) = (0.5f64, 1.0);
        for i in 0..n {
            (value, slope) = if i % 2 == 0 { (value.sin(), slope * value.cos()) } else { (-value, -slope) };
        }
        let got = y.grad(&[&x]).map(|g| eval(&g[0])).unwrap_or_default();
        assert!((got[0] - slope).abs() < 1e-9 * slope.abs(), "{got:?}, not {slope}");
    });
}

#[test]
fn deep_chains_of_regions_and_batches_are_dropped_without_recursion() {
    on_a_small_stack(|| {
        let x = leaf(&[0.5, 0.25], &[2]);
        let y = (0..20_000).fold(x.clone(), |y, _| checkpoint(|y| y[0].sin(), &[&y]));
        let gradient = y.sum().grad(&[&x]);
        assert!(gradient.is_ok());
        drop((gradient, y));
        let wide = vmap(|x| Ok(vec![chain(&x[0], 50_000)]), &[&x], &[Some(0)]);
        drop(x);
        assert!(wide.is_ok());
    });
}

#[test]
fn sixty_doublings_share_their_nodes() {
    let x = leaf(&[1.5], &[]);
    let y = (0..60).fold(x.clone(), |y, _| &y + &y);
    let two = 2f64.powi(60);
    assert_eq!(eval(&y), [1.5 * two]);
    assert_eq!(y.grad(&[&x]).map(|g| eval(&g[0])).unwrap_or_default(), [two]);
    assert_eq!(jvp(&[&y], &[&x], &[&x.ones_like()]).map(|t| eval(&t[0])).unwrap_or_default(), [two]);
    let wide = vmap(|x| Ok(vec![(0..60).fold(x[0].clone(), |y, _| &y + &y)]), &[&leaf(&[1.0, 2.0], &[2])], &[Some(0)]);
    assert_eq!(wide.map(|y| eval(&y[0])).unwrap_or_default(), [two, 2.0 * two]);
    // Products: the derivative of x^(2^n) at 1, along every path at once.
    let one = leaf(&[1.0], &[]);
    let power = (0..20).fold(one.clone(), |y, _| &y * &y);
    assert_eq!(power.grad(&[&one]).map(|g| eval(&g[0])).unwrap_or_default(), [2f64.powi(20)]);
}

#[test]
fn twelve_threads_differentiate_over_shared_leaves() {
    let (w, b) = (random(&[3, 4], 1), random(&[4], 2));
    let shared = w.matmul(&w.t());
    let step = |round: usize| -> Result<Vec<f64>> {
        let x = leaf(&Numbers::new(round as u64).many(6, -1.0, 1.0), &[2, 3]);
        let loss = (x.matmul(&shared).matmul(&w) + &b).tanh().square().sum();
        let g = loss.grad(&[&w, &b])?;
        Tensor::eval_all(&[&g[0], &g[1], &loss])?;
        Ok([eval(&loss), eval(&g[0]), eval(&g[1])].concat())
    };
    let alone: Vec<Vec<f64>> = (0..300).map(|round| step(round).unwrap_or_default()).collect();
    thread::scope(|scope| {
        for offset in 0..12 {
            let (step, alone) = (&step, &alone);
            scope.spawn(move || {
                for i in 0..300 {
                    let round = (i + 25 * offset) % 300;
                    assert_eq!(step(round).unwrap_or_default(), alone[round], "round {round}");
                }
            });
        }
    });
}

#[test]
fn threads_that_evaluate_the_same_node_agree() {
    for round in 0..50 {
        let x = random(&[16, 16], round);
        let y = x.matmul(&x).sin().sum_over(&[0]);
        let all: Vec<Vec<f64>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| eval(&y))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
        });
        assert!(all.iter().all(|one| *one == all[0]));
        assert_agree("value", &all[0], &oracle(&y), 1e-13);
    }
}

/// The derivative of x^3, found by differentiating x^3 inside the rule, evaluated there too.
struct Nested;

impl CustomRule for Nested {
    fn name(&self) -> &str {
        "nested"
    }
    fn vjp(&self, inputs: &[Tensor], _: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let own = Tensor::linspace(1.0, 2.0, 3, DType::F64);
        assert_eq!(eval(&own.square().sum().grad(&[&own])?[0]), [2.0, 3.0, 4.0]);
        let x = &inputs[0];
        Ok(vec![Some((x * x * x).sum().grad(&[x])?.remove(0) * cotangent)])
    }
}

#[test]
fn a_gradient_inside_a_custom_rule_does_not_deadlock() {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let x = leaf(&[1.0, -2.0, 3.0], &[3]);
        let y = custom_derivative(&(&x * &x * &x), &[&x], Nested);
        let first = y.sum().grad(&[&x]).map(|mut g| g.remove(0));
        let second = first.as_ref().map(|g| g.sum().grad(&[&x]).map(|g| eval(&g[0])).unwrap_or_default());
        let forward = jvp(&[&y], &[&x], &[&x.ones_like()]).map(|t| eval(&t[0])).unwrap_or_default();
        let _ = done.send((first.as_ref().map(eval).unwrap_or_default(), second.unwrap_or_default(), forward));
    });
    let Ok((first, second, forward)) = wait.recv_timeout(Duration::from_secs(30)) else { panic!("it hangs, or failed") };
    assert_eq!(first, [3.0, 12.0, 27.0]);
    assert_eq!(second, [6.0, -12.0, 18.0]);
    assert_eq!(forward, first);
}

#[test]
fn two_equal_leaves_are_two() {
    let (a, b) = (leaf(&[3.0], &[]), leaf(&[3.0], &[]));
    let y = &a * &a + &b * &b * &b;
    let g = y.grad(&[&a, &b]).unwrap_or_default();
    assert_eq!((eval(&g[0]), eval(&g[1])), (vec![6.0], vec![27.0]));
    let both = jvp(&[&y], &[&a, &b], &[&a.ones_like(), &b.zeros_like()]).map(|t| eval(&t[0])).unwrap_or_default();
    assert_eq!(both, [6.0]);
    // Placeholders of one type, too, as vmap uses them.
    let wide = vmap(|x| Ok(vec![&x[0] - &x[1]]), &[&leaf(&[1.0, 2.0], &[2]), &leaf(&[10.0, 20.0], &[2])], &[Some(0), Some(0)]);
    assert_eq!(wide.map(|y| eval(&y[0])).unwrap_or_default(), [-9.0, -18.0]);
}

#[test]
fn two_draws_are_two_and_one_draw_is_one() {
    let draw = |seed| {
        let mut rng = Rng::new(seed);
        let (a, b) = (Tensor::rand([8], &mut rng), Tensor::rand([8], &mut rng));
        let same = &a - &a;
        (eval(&a), eval(&b), eval(&same))
    };
    let (a, b, same) = draw(1);
    assert_ne!(a, b);
    assert_eq!(same, [0.0; 8]);
    assert_eq!(draw(1).1, b);
    assert_ne!(draw(2).0, a);
}

#[test]
fn thirty_layers_on_the_backend_equal_the_reference() {
    let weights: Vec<Tensor> = (0..30).map(|i| random(&[8, 8], 100 + i) * 0.3).map(|w| w.to_leaf().unwrap_or(w)).collect();
    let x = random(&[5, 8], 7);
    let out = weights.iter().fold(x.clone(), |h, w| (h.matmul(w).tanh() + &h) * 0.9);
    let loss = out.square().sum();
    let wrt: Vec<&Tensor> = weights.iter().chain([&x]).collect();
    let gradients = loss.grad(&wrt).unwrap_or_default();
    let all: Vec<&Tensor> = gradients.iter().chain([&loss]).collect();
    let want = crate::support::oracle_all(&all);
    assert!(Tensor::eval_all(&all).is_ok());
    for (i, (got, want)) in all.iter().zip(&want).enumerate() {
        assert_agree(&format!("gradient {i}"), &eval(got), want, 1e-11);
    }
    // One at a time, out of order, from new nodes: the same numbers.
    for i in [17, 3, 29, 0] {
        let again = loss.grad(&[wrt[i]]).unwrap_or_default();
        assert_agree("alone", &eval(&again[0]), &want[i], 1e-11);
    }
}

#[test]
fn a_checkpoint_equals_the_plain_call() {
    let (x, w) = (random(&[2, 3], 1), random(&[3, 3], 2));
    let mut rng = Rng::new(5);
    let mask = Tensor::bernoulli([2, 3], 0.5, &mut rng);
    let noise = Tensor::randn_of([2, 3], DType::F64, &mut rng);
    let index = Tensor::from_slice(&[1i64, 1, 0, 2], 4);
    // Captures a weight, a mask, an index and a draw, and draws inside.
    let body = |x: &Tensor| {
        let mut inside = Rng::new(9);
        let h = x.matmul(&w).tanh() * Tensor::rand_of([2, 3], DType::F64, &mut inside) + &noise;
        mask.select(&h, &(&h * 0.1)).t().gather(&index).square()
    };
    let (plain, region) = (body(&x).sum(), checkpoint(|x| body(x[0]), &[&x]).sum());
    assert_eq!(eval(&region), eval(&plain));
    let (a, b) = (plain.grad(&[&x, &w]).unwrap_or_default(), region.grad(&[&x, &w]).unwrap_or_default());
    for (a, b) in a.iter().zip(&b) {
        assert_agree("gradient", &eval(b), &eval(a), 1e-15);
    }
    assert_eq!(b.len(), 2);
    let u = random(&[2, 3], 3);
    for (a, b) in [
        (hvp(&plain, &x, &u), hvp(&region, &x, &u)),
        (jvp(&[&plain], &[&w], &[&w]).map(|mut t| t.remove(0)), jvp(&[&region], &[&w], &[&w]).map(|mut t| t.remove(0))),
    ] {
        let (Ok(a), Ok(b)) = (a, b) else { panic!("no derivative") };
        assert_agree("second order and forward", &eval(&b), &eval(&a), 1e-13);
    }
}

#[test]
fn a_checkpoint_inside_a_batch_equals_the_plain_call() {
    let (x, w) = (random(&[4, 3], 1), random(&[3, 3], 2));
    let index = Tensor::from_slice(&[1i64, 0, 2, 2], 4);
    let keys = Tensor::from_slice(&[3i64, 1, 4, 1], 4);
    let run = |region: bool| -> Result<Vec<Tensor>> {
        let body = |x: &[Tensor]| {
            let plain = |t: &[&Tensor]| {
                let h = t[0].matmul(&w).tanh();
                let noise = Tensor::rand_of([3], DType::F64, &mut Rng::from_key(&x[2]));
                (h.gather(&x[1]) * noise).square().sum()
            };
            Ok(vec![if region { checkpoint(plain, &[&x[0]]) } else { plain(&[&x[0]]) }])
        };
        let wide = vmap(body, &[&x, &index, &keys], &[Some(0); 3])?.remove(0);
        let mut all = wide.sum().grad(&[&x, &w])?;
        all.push(wide);
        Ok(all)
    };
    let (plain, region) = (run(false).unwrap_or_default(), run(true));
    let region = match region {
        Ok(region) => region,
        Err(error) => panic!("{error}"),
    };
    for (a, b) in plain.iter().zip(&region) {
        assert_agree("batched region", &eval(b), &oracle(a), 1e-14);
    }
}

/// One value per row, copied along its columns to be padded, by the group that computes it.
#[test]
fn a_value_of_a_row_that_is_copied_to_its_columns_is_repeated() {
    let x = leaf(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2]);
    let norms = x.abs().square().sum_over(&[1]).sqrt();
    let padded = norms.unsqueeze(1).broadcast_to([3, 2]).reshape([6]).pad(&[(0, 1)]);
    let got = eval(&(padded * leaf(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], &[7])));
    let want = [5.0f64, 5.0, 25.0, 25.0, 61.0, 61.0].iter().zip(1..).map(|(square, i)| square.sqrt() * i as f64);
    assert_agree("padded", &got, &want.chain([0.0]).collect::<Vec<_>>(), 1e-15);
}
