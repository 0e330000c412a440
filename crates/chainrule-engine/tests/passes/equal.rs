//! The same bits however a program is compiled and run: fused or not, memory reused or not, on any
//! number of threads.
//!
//! Refuses tolerances, except where rewrites change the order of a sum and say so.

use crate::programs::ways;
use crate::shared::{assert_agree, eval};
use chainrule_engine::tensor::random::word;
use chainrule_engine::{DType, Options, Runtime, Step, Tensor};

type Outcome = Result<(), chainrule_engine::Error>;

/// Normal-looking numbers that depend on a seed alone.
fn numbers(shape: &[usize], seed: i64, size: f64) -> Tensor {
    let unit = |i: u64| word(seed, i) as f64 / u64::MAX as f64;
    let values: Vec<f32> = (0..shape.iter().product::<usize>() as u64)
        .map(|i| ((0..4).map(|k| unit(4 * i + k)).sum::<f64>() - 2.0) as f32 * size as f32)
        .collect();
    Tensor::from_slice(&values, shape)
}

fn softmax(x: &Tensor) -> Tensor {
    let e = (x - x.max_over(&[-1]).unsqueeze(-1).detach()).exp();
    &e / e.sum_over(&[-1]).unsqueeze(-1)
}

fn layer_norm(x: &Tensor) -> Tensor {
    let n = *x.shape().last().unwrap_or(&1) as f64;
    let centred = x - x.sum_over(&[-1]).unsqueeze(-1) / n;
    let variance = centred.square().sum_over(&[-1]).unsqueeze(-1) / n;
    centred / (variance + 1e-5).sqrt()
}

/// Patches of 3 x 3 of images `[n, c, h, w]` times filters `[o, c, 3, 3]`.
fn convolution(x: &Tensor, filters: &Tensor) -> Tensor {
    patches(x, [2, 3]).einsum("nchwij,ocij->nohw", filters)
}

/// All 3 x 3 along two axes.
fn patches(x: &Tensor, axes: [usize; 2]) -> Tensor {
    let pair = |value: usize| [value; 2].as_slice().into();
    let window = chainrule_engine::ops::Window { axes: axes.as_slice().into(), sizes: pair(3), strides: pair(1), dilations: pair(1) };
    Tensor::record(window, [x.clone()])
}

const BATCH: usize = 48;

/// A convolution, attention over its rows, and a perceptron on the result: the mean log-loss.
fn loss(x: &Tensor, labels: &Tensor, w: &[Tensor]) -> Tensor {
    let h = (convolution(x, &w[0]) + w[1].reshape([8, 1, 1])).maximum(&Tensor::zeros([BATCH, 8, 10, 10]));
    let rows = layer_norm(&h.permute([0, 2, 1, 3]).reshape([BATCH, 10, 80]));
    let (q, k, v) = (rows.matmul(&w[2]), rows.matmul(&w[3]), rows.matmul(&w[4]));
    let attended = softmax(&(q.einsum("bth,bsh->bts", &k) * 0.2)).einsum("bts,bsh->bth", &v);
    let flat = (attended + rows.matmul(&w[5])).tanh().reshape([BATCH, 240]);
    let hidden = flat.matmul(&w[6]) + &w[7];
    let scores = (&hidden * (hidden.erf() + 1.0)).matmul(&w[8]);
    let chosen = Tensor::record(chainrule_engine::ops::Gather { batch: 1 }, [softmax(&scores).log(), labels.clone()]);
    -(chosen.sum() / BATCH as f64)
}

fn parameters() -> Vec<Tensor> {
    let shapes: [&[usize]; 9] = [&[8, 1, 3, 3], &[8], &[80, 24], &[80, 24], &[80, 24], &[80, 24], &[240, 64], &[64], &[64, 10]];
    shapes.iter().zip(1..).map(|(shape, seed)| numbers(shape, seed, 0.2)).collect()
}

/// The bytes of all states, and the losses, after training steps with momentum.
fn trained(runtime: &Runtime, steps: usize) -> Result<(Vec<Vec<f32>>, Vec<f64>), chainrule_engine::Error> {
    let x = Tensor::placeholder([BATCH, 1, 12, 12].as_slice(), DType::F32);
    let labels = Tensor::placeholder([BATCH].as_slice(), DType::I64);
    let weights = parameters();
    let speeds: Vec<Tensor> = weights.iter().map(|w| Tensor::from_slice(&vec![0.0f32; w.len()], w.shape())).collect();
    let loss = loss(&x, &labels, &weights);
    let gradients = loss.grad(&weights.iter().collect::<Vec<_>>())?;
    let new_speeds: Vec<Tensor> = speeds.iter().zip(&gradients).map(|(speed, gradient)| speed * 0.9 + gradient).collect();
    let new_weights: Vec<Tensor> = weights.iter().zip(&new_speeds).map(|(w, speed)| w - speed * 0.01).collect();
    let updates: Vec<(&Tensor, &Tensor)> = weights.iter().chain(&speeds).zip(new_weights.iter().chain(&new_speeds)).collect();
    let mut step = Step::capture_on(runtime, &[&x, &labels], &[&loss], &updates)?;
    let mut losses = Vec::new();
    for i in 0..steps {
        let batch = numbers(&[BATCH, 1, 12, 12], 100 + i as i64 % 4, 1.0);
        let answers: Vec<i64> = (0..BATCH as u64).map(|n| (word(i as i64 % 4, n) % 10) as i64).collect();
        step.run(&[&batch, &Tensor::from_slice(&answers, [BATCH])])?;
        losses.push(step.item(0));
    }
    let states = (0..updates.len()).map(|i| step.state(i).to_vec::<f32>()).collect::<Result<_, _>>()?;
    Ok((states, losses))
}

/// Where two lists of states differ in a bit.
fn first_difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> Option<(usize, usize)> {
    a.iter().zip(b).enumerate().find_map(|(i, (a, b))| Some((i, a.iter().zip(b).position(|(a, b)| a.to_bits() != b.to_bits())?)))
}

#[test]
fn training_gives_the_same_bits_on_1_2_3_and_7_threads() -> Outcome {
    let (alone, losses) = trained(&Runtime::new(1)?, 100)?;
    assert!(
        losses.iter().all(|loss| loss.is_finite()) && losses[96..].iter().sum::<f64>() < 0.8 * losses[..4].iter().sum::<f64>(),
        "it does not learn: {losses:?}"
    );
    for threads in [2, 3, 7] {
        let (states, _) = trained(&Runtime::new(threads)?, 100)?;
        assert_eq!(first_difference(&alone, &states), None, "{threads} threads: the first state and element that differ");
    }
    Ok(())
}

#[test]
fn training_gives_the_same_bits_without_fusion_and_without_reuse_of_memory() -> Outcome {
    let runtime = Runtime::new(2)?.with_options(Options::default());
    let (all, losses) = trained(&runtime, 5)?;
    for (name, options) in ways() {
        let (states, others) = trained(&runtime.with_options(options), 5)?;
        if options.simplify && options.windows {
            assert_eq!(first_difference(&all, &states), None, "{name}: the first state and element that differ");
        } else {
            // Rewrites may order a sum differently.
            assert_agree(name, &others, &losses, 1e-4);
        }
    }
    Ok(())
}

/// The value and the gradients of a network of thirty layers.
fn deep(options: Options) -> Result<Vec<Vec<f32>>, chainrule_engine::Error> {
    let runtime = Runtime::shared().with_options(options);
    let weights: Vec<Tensor> = (0..30).map(|layer| numbers(&[40, 40], 500 + layer, 0.25)).collect();
    let biases: Vec<Tensor> = (0..30).map(|layer| numbers(&[40], 600 + layer, 0.1)).collect();
    let mut x = numbers(&[33, 40], 7, 1.0);
    for (w, b) in weights.iter().zip(&biases) {
        x = layer_norm(&((x.matmul(w) + b).tanh() + &x));
    }
    let value = x.square().sum() * 0.01 + x.sin().sum();
    let gradients = value.grad(&weights.iter().chain(&biases).collect::<Vec<_>>())?;
    let roots: Vec<&Tensor> = std::iter::once(&value).chain(&gradients).collect();
    Tensor::eval_all_on(&runtime, &roots)?;
    roots.iter().map(|root| root.to_vec::<f32>()).collect()
}

#[test]
fn thirty_layers_have_the_same_bits_in_any_memory() -> Outcome {
    let all = Options::default();
    let plain = deep(Options { fuse: false, reuse_memory: false, ..all })?;
    assert!(plain.iter().flatten().all(|v| v.is_finite()));
    for options in [all, Options { reuse_memory: false, ..all }, Options { fuse: false, ..all }] {
        assert_eq!(first_difference(&plain, &deep(options)?), None, "{options:?}: the first root and element that differ");
    }
    Ok(())
}

/// Two convolutions of images as large as a side says, with channels first or last: the loss, and what one step makes of the filters.
fn convolved(side: usize, channels_last: bool, options: Options) -> Result<Vec<Vec<f32>>, chainrule_engine::Error> {
    let runtime = Runtime::shared().with_options(options);
    let (shapes, image): ([[usize; 4]; 2], _) = match channels_last {
        true => ([[3, 3, 3, 20], [3, 3, 20, 6]], [4, side, side, 3]),
        false => ([[20, 3, 3, 3], [6, 20, 3, 3]], [4, 3, side, side]),
    };
    let filters = [numbers(&shapes[0], 1, 0.2), numbers(&shapes[1], 2, 0.1)];
    let x = filters.iter().fold(numbers(&image, 3, 1.0), |x, filters| match channels_last {
        true => (patches(&x, [1, 2]).einsum("nhwcij,ijco->nhwo", filters) + 0.1).tanh(),
        false => (convolution(&x, filters) + 0.1).tanh(),
    });
    let loss = x.square().sum() * 0.01;
    let gradients = loss.grad(&[&filters[0], &filters[1]])?;
    let stepped: Vec<Tensor> = filters.iter().zip(&gradients).map(|(filters, gradient)| filters - gradient * 0.1).collect();
    let roots: Vec<&Tensor> = std::iter::once(&loss).chain(&stepped).collect();
    Tensor::eval_all_on(&runtime, &roots)?;
    roots.iter().map(|root| root.to_vec::<f32>()).collect()
}

#[test]
fn convolutions_have_the_same_bits_whatever_follows_them() -> Outcome {
    let all = Options::default();
    for side in [12, 28] {
        for channels_last in [false, true] {
            let plain = convolved(side, channels_last, Options { fuse: false, reuse_memory: false, ..all })?;
            assert!(plain.iter().flatten().all(|v| v.is_finite()));
            let fused = convolved(side, channels_last, all)?;
            assert_eq!(first_difference(&plain, &fused), None, "{side} x {side}, channels last {channels_last}");
        }
    }
    Ok(())
}

#[test]
fn reused_memory_is_less() -> Outcome {
    let peak = |reuse_memory: bool| -> Result<usize, chainrule_engine::Error> {
        let x = Tensor::placeholder([64, 64].as_slice(), DType::F32);
        let w = numbers(&[64, 64], 1, 0.1);
        let y = (0..30).fold(x.clone(), |y, _| y.matmul(&w).tanh());
        let runtime = Runtime::shared().with_options(Options { reuse_memory, ..Options::default() });
        // Without what is packed, which differs between machines.
        Ok(Step::capture_on(&runtime, &[&x], &[&y], &[])?.program().schedule.arena_bytes)
    };
    let (reused, apart) = (peak(true)?, peak(false)?);
    assert!(reused <= 2 * 64 * 64 * 4 && apart >= 29 * 64 * 64 * 4, "{reused} bytes, {apart} without");
    Ok(())
}

#[test]
fn states_may_change_places() -> Outcome {
    let (a, b) = (Tensor::from_slice(&[1.0f32, 2.0], [2]), Tensor::from_slice(&[3.0f32, 4.0], [2]));
    let sum = &a + &b;
    let mut step = Step::capture(&[], &[&sum], &[(&a, &b), (&b, &a)])?;
    for i in 0..3 {
        step.run(&[])?;
        assert_eq!(
            (eval(&step.state(0)), eval(&step.output(0))),
            (if i % 2 == 0 { vec![3.0, 4.0] } else { vec![1.0, 2.0] }, vec![4.0, 6.0])
        );
    }
    Ok(())
}
