//! Random programs of 5 to 60 operations on inputs of random shapes and layouts: the backend against the reference, gradients
//! and second derivatives against differences, batches against loops, narrow types against wide ones.
//!
//! Every operation here is smooth where it is applied, so that differences are worth something. `FIRST` and `COUNT` in the
//! environment choose other seeds than those of every run.

use crate::support::{Numbers, agree, dot, epsilon, eval, largest, like, numeric_along, numeric_gradient, oracle, random};
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::ops::{Operation, Pad, Slice, Window};
use chainrule_engine::transform::{checkpoint, jvp, vjp, vmap};
use chainrule_engine::{DType, Index, Result, Tensor};

/// Programs that are put through everything.
const PROGRAMS: u64 = 100;
/// Programs whose value, gradient and second derivative are checked along one direction.
const MANY: u64 = 2000;
/// Programs in narrow types.
const NARROW: u64 = 500;

/// Elements of a value, above which it is summed.
const LARGEST: usize = 200;

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
            x.sum_over(&[axis]) * weight(&x, axis)
        }
        15 if rank > 0 => {
            let axis = axis(numbers);
            x.cumsum(axis) * weight(&x, axis)
        }
        16 if rank > 0 => {
            let axis = axis(numbers);
            x.flip(&[axis])
        }
        17 if rank > 0 => Tensor::concat(&[&x, &x.sin()], axis(numbers)),
        18 if rank == 2 => (x.matmul(&x.t()) * weight(&x, 1)).tanh(),
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

/// What a sum along an axis is scaled by: sums of sums would grow until differences say nothing.
fn weight(x: &Tensor, axis: isize) -> f64 {
    (2.0 / x.shape()[axis as usize] as f64).min(0.5)
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

/// All steps of a program. A set of steps is a number, whose bit `i` is the step `i`; no program has more than 60.
const WHOLE: u64 = u64::MAX;

/// The program of a seed, applied to its inputs: a scalar, bounded so that differences stay exact.
fn program(seed: u64, inputs: &[Tensor]) -> Tensor {
    program_of(seed, WHOLE, inputs)
}

/// As [`program`], of some of its steps. In place of a step that is left out stands the value before it, and what
/// the other steps draw does not depend on it: so they stay what they are, and steps may be left out one by one.
fn program_of(seed: u64, kept: u64, inputs: &[Tensor]) -> Tensor {
    let mut seeds = Numbers::new(seed);
    let length = length(&mut seeds).min(64 - kept.leading_zeros() as usize);
    let mut views = Numbers::new(seeds.word());
    let mut values: Vec<Tensor> = inputs.iter().map(|x| seen(&seen(x, &mut views), &mut views)).collect();
    for at in 0..length {
        let mut numbers = Numbers::new(seeds.word());
        let last = values[values.len() - 1].clone();
        values.push(if kept >> at & 1 == 0 { last } else { bounded(step(numbers.below(KINDS), &values, &mut numbers), &mut numbers) });
    }
    // Every input and the last values count; a large one not for more than a small one, whose differences are exact.
    let parts = inputs.iter().chain(&values[values.len().saturating_sub(3)..]);
    let sum = parts.map(|t| (t.sin() * 0.7 + t.tanh()).sum() * (12.0 / t.len() as f64).min(1.0)).reduce(|sum, t| sum + t);
    sum.unwrap_or_else(|| Tensor::scalar(0.0, DType::F64)).sin() * 2.0
}

fn length(numbers: &mut Numbers) -> usize {
    5 + numbers.below(56)
}

/// Never so large that the reference takes long, and now and then in -1..1.
fn bounded(y: Tensor, numbers: &mut Numbers) -> Tensor {
    let y = if y.len() > LARGEST { y.reshape([y.len()]).sum() * 0.01 } else { y };
    if numbers.below(4) == 0 { y.sin() } else { y }
}

/// An input as a program reads it. A leaf is dense; another layout is a movement of one, which the compiler makes a view:
/// axes in another order, a part with steps, backwards, or repeated.
fn seen(x: &Tensor, numbers: &mut Numbers) -> Tensor {
    let rank = x.rank();
    match numbers.below(7) {
        0 if rank > 1 => {
            let mut order: Vec<usize> = (0..rank).collect();
            (1..rank).for_each(|i| order.swap(i, numbers.below(i + 1)));
            x.permute(order)
        }
        1 | 2 if rank > 0 => {
            let start: Vec<usize> = x.shape().iter().map(|&n| numbers.below(n.min(3))).collect();
            let stop: Vec<usize> = x.shape().iter().zip(&start).map(|(&n, &start)| n - numbers.below((n - start).min(3))).collect();
            let step: Vec<usize> = (0..rank).map(|_| 1 + numbers.below(3)).collect();
            Tensor::record(
                Slice { start: start.as_slice().into(), stop: stop.as_slice().into(), step: step.as_slice().into() },
                [x.clone()],
            )
        }
        3 if rank > 0 => x.flip(&[numbers.below(rank) as isize]),
        4 if rank < 4 => {
            let (axis, times) = (numbers.below(rank + 1), 2 + numbers.below(2));
            let mut shape = x.shape().to_vec();
            shape.insert(axis, times);
            if x.len() * times > LARGEST { x.clone() } else { x.unsqueeze(axis as isize).broadcast_to(shape) }
        }
        _ => x.clone(),
    }
}

/// One to three leaves of 0 to 4 axes of 1 to 7, and now and then of a length that no vector of a machine divides.
fn inputs(seed: u64) -> Vec<Tensor> {
    let mut numbers = Numbers::new(!seed);
    (0..1 + numbers.below(3)).map(|_| random(&shape(&mut numbers), numbers.word())).collect()
}

fn shape(numbers: &mut Numbers) -> Vec<usize> {
    let mut shape = Vec::new();
    for _ in 0..[0, 1, 1, 2, 2, 2, 3, 3, 4][numbers.below(9)] {
        let size = if numbers.below(12) == 0 { [17, 33][numbers.below(2)] } else { 1 + numbers.below(7) };
        // Differences take as many evaluations as there are elements.
        shape.push(size.min(40 / shape.iter().product::<usize>()));
    }
    shape
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

/// As [`for_each_program`], for many: of what fails, the fewest steps found that do are printed.
fn for_many_programs(count: u64, check: impl Fn(u64, u64, &[Tensor]) -> Result<Result<(), String>>) {
    let mut failures = Vec::new();
    let seeds = seeds(count);
    for seed in seeds.clone() {
        let x = inputs(seed);
        let run = |kept: u64| outcome(|| check(seed, kept, &x));
        let Err(why) = run(WHOLE) else { continue };
        let (kept, why) = fewest(length(&mut Numbers::new(seed)), why, run);
        let steps: Vec<usize> = (0..64).filter(|at| kept >> at & 1 == 1).collect();
        let (graph, ..) = Graph::of(&[&program_of(seed, kept, &x)]);
        failures.push(format!("program {seed}, its steps {steps:?}: {why}\n{}", graph.print()));
    }
    assert!(failures.is_empty(), "{} of {seeds:?} fail:\n{}", failures.len(), failures.join("\n"));
}

/// The steps that a failure needs, and what it says then: the shortest beginning that fails, without every step but the
/// last without which it still does. `why` is what all `length` steps say.
fn fewest(length: usize, why: String, run: impl Fn(u64) -> Result<(), String>) -> (u64, String) {
    let first = |count: usize| (1 << count) - 1;
    let shortest = (0..length).find_map(|count| Some((first(count), run(first(count)).err()?)));
    let mut found = shortest.unwrap_or((first(length), why));
    // Leaving one out may make another needless.
    loop {
        let fewer = (0..length).map(|at| found.0 & !(1 << at)).filter(|&kept| kept != found.0);
        let Some(next) = fewer.filter_map(|kept| Some((kept, run(kept).err()?))).next() else { return found };
        found = next;
    }
}

/// A failure that needs two steps is found with these two, whatever stands between and after them.
#[test]
fn what_fails_is_cut_to_the_steps_it_needs() {
    let needs = 1 << 3 | 1 << 17;
    let run = |kept: u64| if kept & needs == needs { Err(format!("{} steps", kept.count_ones())) } else { Ok(()) };
    assert_eq!(fewest(40, "40 steps".into(), run), (needs, "2 steps".into()));
    // Programs of fewer steps are programs: nothing that is left out takes another step's operand away.
    for seed in 0..50 {
        let kept = Numbers::new(seed).word();
        let y = program_of(seed, kept, &inputs(seed));
        assert!(y.error().is_none() && y.shape().is_empty(), "program {seed} of {kept:b}: {y:?}");
    }
}

/// The draws reach what they are there for: every rank, long axes, every kind of layout.
#[test]
fn inputs_have_many_shapes_and_layouts() {
    let (mut shapes, mut layouts) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for seed in 0..MANY {
        for x in inputs(seed) {
            let y = seen(&x, &mut Numbers::new(seed));
            assert!(y.error().is_none() && !y.is_empty() && y.len() <= LARGEST, "input of {seed}: {y:?}");
            shapes.insert(x.shape().to_vec());
            layouts.insert(if y.id() == x.id() { "dense" } else { y.op().name() });
        }
    }
    assert!((0..=4).all(|rank| shapes.iter().any(|shape| shape.len() == rank)), "{shapes:?}");
    assert!([17, 33].iter().all(|size| shapes.iter().any(|shape| shape.contains(size))), "{shapes:?}");
    assert!(shapes.len() > 200, "{} shapes", shapes.len());
    assert!(["dense", "permute", "slice", "reverse", "broadcast"].iter().all(|name| layouts.contains(name)), "{layouts:?}");
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
    for_many_programs(MANY, |seed, kept, x| {
        let gradients = |x: &[Tensor]| program_of(seed, kept, x).grad(&refs(x));
        let (y, along) = (program_of(seed, kept, x), directions(x, 7));
        let g = y.grad(&refs(x))?;
        let twice = jvp(&refs(&g), &refs(x), &refs(&along))?;
        let all: Vec<&Tensor> = std::iter::once(&y).chain(&g).chain(&twice).collect();
        Tensor::eval_all(&all)?;
        let found: Vec<Vec<f64>> = all.iter().map(|t| eval(t)).collect();
        let want = crate::support::oracle_all(&all);
        let moving: Vec<Option<Tensor>> = along.iter().cloned().map(Some).collect();
        let slope = numeric_along(x, &moving, &|x| vec![program_of(seed, kept, x)]);
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
    for_many_programs(NARROW, |seed, kept, x| {
        let dtype = [DType::F32, DType::F32, DType::BF16, DType::F16][seed as usize % 4];
        let narrow: Vec<Tensor> = x.iter().map(|x| x.cast(dtype).to_leaf()).collect::<Result<_>>()?;
        let wide: Vec<Tensor> = narrow.iter().map(|x| x.cast(DType::F64).to_leaf()).collect::<Result<_>>()?;
        let all = |x: &[Tensor]| -> Result<Vec<Tensor>> {
            let y = program_of(seed, kept, x);
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
