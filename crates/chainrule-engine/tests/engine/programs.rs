//! Random programs of 5 to 60 operations: the backend against the reference, gradients and second derivatives against
//! differences, batches against loops, narrow types against wide ones.
//!
//! Every operation here is smooth where it is applied, so that differences are worth something. `FIRST` and `COUNT` in the
//! environment choose other seeds than those of every run.

use crate::support::{Numbers, agree, dot, epsilon, eval, largest, like, numeric_along, numeric_gradient, oracle, random};
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::ops::{Pad, Slice, Window};
use chainrule_engine::transform::{checkpoint, jvp, vjp, vmap};
use chainrule_engine::{DType, Index, Result, Tensor};

/// Programs that are put through everything.
const PROGRAMS: u64 = 100;
/// Programs whose value, gradient and second derivative are checked along one direction.
const MANY: u64 = 2000;
/// Programs in narrow types.
const NARROW: u64 = 500;

/// How many things a step can do.
const KINDS: usize = 40;

/// What a step of a program does, chosen by a number.
fn step(choice: usize, values: &[Tensor], numbers: &mut Numbers) -> Tensor {
    // Later values more often, so that programs grow deep.
    let pick = |numbers: &mut Numbers| {
        let reach = if numbers.below(3) == 0 { 99 } else { 3 };
        values[values.len() - 1 - numbers.below(values.len().min(reach))].clone()
    };
    let x = pick(numbers);
    let rank = x.rank();
    let axis = |numbers: &mut Numbers| numbers.below(rank) as isize;
    match choice {
        0 => x.sin(),
        1 => x.tanh(),
        2 => (x * 0.5).sigmoid() - 0.5,
        3 => x.square().softplus().log(),
        4 => (x.square() + 0.7).sqrt(),
        5 => (-x.square()).exp(),
        6 => x.erf() + numbers.between(-1.0, 1.0),
        7 => (x.square() + 1.2).recip() * 2.0,
        8 | 9 => fitting(&x, &pick(numbers)).map_or_else(|| x.cos(), |y| if choice == 8 { &x * y } else { &x - y }),
        10 => fitting(&x, &pick(numbers)).map_or_else(|| -&x, |y| &x / (y.square() + 0.8)),
        11 if rank > 1 => x.t(),
        12 if rank > 1 => {
            let order: Vec<usize> = (1..rank).chain([0]).collect();
            x.permute(order)
        }
        13 if rank < 4 => x.broadcast_to([&[2], x.shape()].concat()) * 0.5,
        14 if rank > 0 => {
            let axis = axis(numbers);
            x.sum_over(&[axis]) * 0.5
        }
        15 if rank > 0 => {
            let axis = axis(numbers);
            x.cumsum(axis) * 0.5
        }
        16 if rank > 0 => {
            let axis = axis(numbers);
            x.flip(&[axis])
        }
        17 if rank > 0 => Tensor::concat(&[&x, &x.sin()], axis(numbers)),
        18 if rank == 2 => x.matmul(&x.t()).tanh(),
        19 if rank > 0 => {
            let n = x.len();
            x.reshape([n])
        }
        20 if rank > 0 => every_second(&x, numbers),
        21 if rank > 0 => padded(&x, numbers),
        22 if rank > 0 => {
            let n = x.shape()[0];
            let index: Vec<i64> = (0..3).map(|_| numbers.below(n) as i64).collect();
            x.gather(&Tensor::from_slice(&index, 3))
        }
        23 if rank > 0 => {
            let n = x.shape()[0];
            let index: Vec<i64> = (0..n).map(|_| numbers.below(2) as i64).collect();
            x.scatter_add(&Tensor::from_slice(&index, n), 2)
        }
        24 if rank > 0 => {
            let (e, axis) = (x.tanh().exp(), axis(numbers));
            &e / e.sum_over(&[axis]).unsqueeze(axis)
        }
        25 => checkpoint(|x| (x[0].sin() + 1.3).log1p(), &[&x]),
        26 => x.expm1().tanh(),
        27 => x.square().powf(1.5) * 0.3,
        28 if rank > 0 => {
            let axis = axis(numbers);
            x.logsumexp_over(&[axis])
        }
        29 if rank > 0 => x.softmax(axis(numbers)),
        30 if rank > 0 => {
            let shift = numbers.below(3) as isize - 1;
            x.roll(shift, axis(numbers))
        }
        31 if rank > 0 && rank < 4 => x.unsqueeze(axis(numbers)),
        32 if rank > 0 => by_position(&x),
        33 if rank > 0 => {
            let axis = axis(numbers);
            x.slice(axis, Index::range(-1, isize::MIN, -2))
        }
        34 if rank == 2 => x.einsum("ab,ab->b", &x.cos()),
        35 if rank > 0 => smoothed(&x),
        36 => x.silu() * 0.7,
        37 if rank > 0 => {
            let axis = axis(numbers);
            (&x - x.mean_keep(&[axis])) / (x.var_keep(&[axis], 0) + 0.3).sqrt()
        }
        38 if rank > 1 => x.transpose(0, -1).flatten(),
        _ => (x * 0.8).cos(),
    }
}

/// `y`, if it broadcasts to the shape of `x`.
fn fitting(x: &Tensor, y: &Tensor) -> Option<Tensor> {
    let y = y.broadcast_to(x.shape());
    y.error().is_none().then_some(y)
}

/// One function of the elements at even positions, another of the rest: a choice that does not depend on values.
fn by_position(x: &Tensor) -> Tensor {
    let even = Tensor::arange(x.len(), DType::I64).reshape(x.shape()) % 2;
    even.equal(&even.zeros_like()).select(&x.sin(), &(x * 0.5))
}

/// Weighted sums of neighbours along the last axis: a convolution.
fn smoothed(x: &Tensor) -> Tensor {
    let rank = x.rank();
    let n = x.shape()[rank - 1];
    if n < 3 {
        return x.tanh();
    }
    let window = Window {
        axes: [rank - 1].as_slice().into(),
        sizes: [2].as_slice().into(),
        strides: [1].as_slice().into(),
        dilations: [2].as_slice().into(),
    };
    let patches = Tensor::record(window, [x.clone()]);
    let weights = patches.ones_like() * 0.4;
    (patches * weights).sum_over(&[-1])
}

fn every_second(x: &Tensor, numbers: &mut Numbers) -> Tensor {
    let start: Vec<usize> = x.shape().iter().map(|&n| numbers.below(n.min(2))).collect();
    let step = vec![2; x.rank()];
    Tensor::record(Slice { start: start.as_slice().into(), stop: x.shape().into(), step: step.as_slice().into() }, [x.clone()])
}

fn padded(x: &Tensor, numbers: &mut Numbers) -> Tensor {
    let mut list = || (0..x.rank()).map(|_| numbers.below(2)).collect();
    let pad = Pad { low: list(), high: list(), interior: list() };
    if x.len() > 60 { x.clone() } else { Tensor::record(pad, [x.clone()]) + 0.1 }
}

/// The program of a seed, applied to its inputs: a scalar, bounded so that differences stay exact.
fn program(seed: u64, inputs: &[Tensor]) -> Tensor {
    program_of(seed, usize::MAX, inputs)
}

/// As [`program`], of at most so many steps.
fn program_of(seed: u64, most: usize, inputs: &[Tensor]) -> Tensor {
    let mut numbers = Numbers::new(seed);
    let length = 5 + numbers.below(56);
    let mut values = inputs.to_vec();
    for _ in 0..length.min(most) {
        let y = step(numbers.below(KINDS), &values, &mut numbers);
        // Bounded, and never so large that the reference takes long.
        let y = if y.len() > 200 { y.reshape([y.len()]).sum() * 0.01 } else { y };
        values.push(if numbers.below(4) == 0 { y.sin() } else { y });
    }
    // Every input and the last values count.
    let parts = inputs.iter().chain(&values[values.len().saturating_sub(3)..]);
    let sum = parts.map(|t| (t.sin() * 0.7 + t.tanh()).sum()).reduce(|sum, t| sum + t);
    sum.unwrap_or_else(|| Tensor::scalar(0.0, DType::F64)).sin() * 2.0
}

fn inputs(seed: u64) -> Vec<Tensor> {
    let shapes: [&[usize]; 5] = [&[2, 3], &[3], &[], &[3, 2, 2], &[4, 1]];
    let mut numbers = Numbers::new(!seed);
    (0..1 + numbers.below(3)).map(|_| random(shapes[numbers.below(5)], numbers.word())).collect()
}

/// Which seeds: so many from 0, or what the environment says.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number("FIRST").unwrap_or(0);
    first..first + number("COUNT").unwrap_or(count)
}

fn refs(tensors: &[Tensor]) -> Vec<&Tensor> {
    tensors.iter().collect()
}

/// Runs a check on every program, and reports the seeds that fail.
fn for_each_program(check: impl Fn(u64, &[Tensor]) -> Result<Result<(), String>>) {
    let mut failures = Vec::new();
    let seeds = seeds(PROGRAMS);
    for seed in seeds.clone() {
        failures.extend(outcome(|| check(seed, &inputs(seed))).err().map(|why| format!("program {seed}: {why}")));
    }
    assert!(failures.is_empty(), "{} of {seeds:?} fail:\n{}", failures.len(), failures.join("\n"));
}

/// As [`for_each_program`], for many: what fails is cut to its shortest beginning that does, and printed.
fn for_many_programs(count: u64, check: impl Fn(u64, usize, &[Tensor]) -> Result<Result<(), String>>) {
    let mut failures = Vec::new();
    let seeds = seeds(count);
    for seed in seeds.clone() {
        let x = inputs(seed);
        let run = |most: usize| outcome(|| check(seed, most, &x));
        let Err(why) = run(usize::MAX) else { continue };
        let shortest = (0..61).find_map(|most| Some((most, run(most).err()?)));
        let (most, why) = shortest.unwrap_or((usize::MAX, why));
        let (graph, ..) = Graph::of(&[&program_of(seed, most, &x)]);
        failures.push(format!("program {seed}, its first {most} steps: {why}\n{}", graph.print()));
    }
    assert!(failures.is_empty(), "{} of {seeds:?} fail:\n{}", failures.len(), failures.join("\n"));
}

/// A check's outcome; a panic is a failure like another.
fn outcome(check: impl Fn() -> Result<Result<(), String>>) -> Result<(), String> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("panicked".into()),
    }
}

/// Directions of sixteenths, one for each input.
fn directions(x: &[Tensor], seed: u64) -> Vec<Tensor> {
    x.iter().zip(seed..).map(|(x, n)| like(x, n)).collect()
}

#[test]
fn many_values_gradients_and_second_derivatives_agree_along_a_direction() {
    for_many_programs(MANY, |seed, most, x| {
        let gradients = |x: &[Tensor]| program_of(seed, most, x).grad(&refs(x));
        let (y, along) = (program_of(seed, most, x), directions(x, 7));
        let g = y.grad(&refs(x))?;
        let twice = jvp(&refs(&g), &refs(x), &refs(&along))?;
        let all: Vec<&Tensor> = std::iter::once(&y).chain(&g).chain(&twice).collect();
        Tensor::eval_all(&all)?;
        let found: Vec<Vec<f64>> = all.iter().map(|t| eval(t)).collect();
        let want = crate::support::oracle_all(&all);
        let moving: Vec<Option<Tensor>> = along.iter().cloned().map(Some).collect();
        let slope = numeric_along(x, &moving, &|x| vec![program_of(seed, most, x)]);
        let bend = numeric_along(x, &moving, &|x| gradients(x).unwrap_or_default());
        let (first, second) = (&found[1..1 + g.len()], found[1 + g.len()..].concat());
        let product: f64 = first.iter().zip(&along).map(|(g, u)| dot(g, &eval(u))).sum();
        // A sum of parts that cancel is not held to more digits than its parts have.
        let size = first.iter().zip(&along).map(|(g, u)| largest(g) * largest(&eval(u))).fold(0.1, f64::max);
        Ok(all
            .iter()
            .zip(&found)
            .zip(&want)
            .try_for_each(|((t, found), want)| agree(&format!("{:?} by the backend", t.shape()), found, want, 1e-10))
            .and_then(|()| agree("gradient along a direction", &[product / size], &[slope[0] / size], 1e-6))
            .and_then(|()| agree("second derivative along a direction", &second, &bend, 1e-5)))
    });
}

/// The backend may round in another order than the reference, but must not be much further from the same program in f64.
#[test]
fn many_values_and_gradients_in_narrow_types_are_as_near_to_wide_ones_as_the_reference() {
    for_many_programs(NARROW, |seed, most, x| {
        let dtype = [DType::F32, DType::F32, DType::BF16, DType::F16][seed as usize % 4];
        let narrow: Vec<Tensor> = x.iter().map(|x| x.cast(dtype).to_leaf()).collect::<Result<_>>()?;
        let wide: Vec<Tensor> = narrow.iter().map(|x| x.cast(DType::F64).to_leaf()).collect::<Result<_>>()?;
        let all = |x: &[Tensor]| -> Result<Vec<Tensor>> {
            let y = program_of(seed, most, x);
            let g = y.grad(&refs(x))?;
            Ok(std::iter::once(y).chain(g).collect())
        };
        let (few, many) = (all(&narrow)?, all(&wide)?);
        Tensor::eval_all(&refs(&few))?;
        let (reference, exact) = (crate::support::oracle_all(&refs(&few)), crate::support::oracle_all(&refs(&many)));
        let apart = |a: &[f64], b: &[f64]| largest(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>());
        Ok(few.iter().zip(&reference).zip(&exact).try_for_each(|((t, reference), exact)| {
            let found = eval(t);
            // A result near zero is a difference of larger numbers, whose rounding it keeps; the reference may be lucky there.
            let least = if dtype == DType::F32 { 1.0 } else { 0.1 };
            let allowed = 16.0 * apart(reference, exact) + 64.0 * epsilon(dtype) * largest(exact).max(least);
            let off = apart(&found, exact);
            if off <= allowed {
                Ok(())
            } else {
                Err(format!("{dtype} {:?}: off by {off:e}, {allowed:e} allowed\n   got {found:?}\n  want {exact:?}", t.shape()))
            }
        }))
    });
}

#[test]
fn the_backend_equals_the_reference() {
    for_each_program(|seed, x| {
        let y = program(seed, x);
        let g = y.grad(&refs(x))?;
        let all: Vec<&Tensor> = std::iter::once(&y).chain(&g).collect();
        Tensor::eval_all(&all)?;
        let want = crate::support::oracle_all(&all);
        Ok(all.iter().zip(&want).try_for_each(|(t, want)| agree("value or gradient", &eval(t), want, 1e-11)))
    });
}

#[test]
fn what_is_evaluated_in_parts_equals_what_is_evaluated_at_once() {
    for_each_program(|seed, x| {
        let (together, apart) = (program(seed, x), program(seed, x));
        let (g, h) = (together.grad(&refs(x))?, apart.grad(&refs(x))?);
        Tensor::eval_all(&refs(&g))?;
        apart.eval()?;
        Ok(g.iter().zip(&h).rev().try_for_each(|(g, h)| agree("gradient", &eval(h), &eval(g), 1e-12)))
    });
}

#[test]
fn gradients_equal_differences() {
    for_each_program(|seed, x| {
        let g = program(seed, x).grad(&refs(x))?;
        Ok((0..x.len()).try_for_each(|k| agree(&format!("input {k}"), &eval(&g[k]), &numeric_gradient(x, k, &|x| program(seed, x)), 1e-6)))
    });
}

#[test]
fn second_derivatives_equal_differences_of_gradients() {
    for_each_program(|seed, x| {
        let gradients = |x: &[Tensor]| program(seed, x).grad(&refs(x));
        let along: Vec<Tensor> = x.iter().zip(7..).map(|(x, n)| like(x, n)).collect();
        let g = gradients(x)?;
        let forward: Vec<f64> = jvp(&refs(&g), &refs(x), &refs(&along))?.iter().map(eval).collect::<Vec<_>>().concat();
        let reverse: Vec<f64> = vjp(&refs(&g), &refs(&along), &refs(x))?.iter().map(eval).collect::<Vec<_>>().concat();
        let directions: Vec<Option<Tensor>> = along.into_iter().map(Some).collect();
        let want = numeric_along(x, &directions, &|x| gradients(x).unwrap_or_default());
        // By symmetry both are the same product. Nested functions make large fourth derivatives.
        Ok(agree("forward over reverse", &forward, &reverse, 1e-10).and_then(|()| agree("against differences", &forward, &want, 1e-5)))
    });
}

#[test]
fn forward_mode_is_the_adjoint_of_reverse_mode() {
    for_each_program(|seed, x| {
        let y = program(seed, x);
        let along: Vec<Tensor> = x.iter().zip(17..).map(|(x, n)| like(x, n)).collect();
        let forward = eval(&jvp(&[&y], &refs(x), &refs(&along))?[0])[0];
        let g = y.grad(&refs(x))?;
        let reverse: f64 = g.iter().zip(&along).map(|(g, u)| dot(&eval(g), &eval(u))).sum();
        let scale = g.iter().zip(&along).map(|(g, u)| largest(&eval(g)) * largest(&eval(u))).fold(1e-3, f64::max);
        Ok(if (forward - reverse).abs() < 1e-11 * scale { Ok(()) } else { Err(format!("{forward:e} against {reverse:e}")) })
    });
}

#[test]
fn batches_equal_loops() {
    for_each_program(|seed, x| {
        let other: Vec<Tensor> = x.iter().zip(27..).map(|(x, n)| random(x.shape(), n)).collect();
        let wide: Vec<Tensor> = x.iter().zip(&other).map(|(a, b)| Tensor::stack(&[a, b], 0)).collect();
        let run = |x: &[Tensor]| -> Result<Vec<Tensor>> {
            let y = program(seed, x);
            let mut all = y.grad(&refs(x))?;
            all.push(y);
            Ok(all)
        };
        let batched = vmap(run, &refs(&wide), &vec![Some(0); x.len()])?;
        let (one, two) = (run(x)?, run(&other)?);
        Ok(batched
            .iter()
            .enumerate()
            .try_for_each(|(i, t)| agree(&format!("result {i}"), &eval(t), &[oracle(&one[i]), oracle(&two[i])].concat(), 1e-11)))
    });
}
