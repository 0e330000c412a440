//! Random programs of 5 to 60 operations over random shapes, layouts and element types: the backend against the reference,
//! gradients and second derivatives against differences, batches against loops, narrow types against wide ones.
//!
//! What fails is shrunk and printed with its seed. `FIRST` and `COUNT` in the environment choose other seeds than those of
//! every run; `FIRST=seed COUNT=1` runs one again.

#[path = "programs/differences.rs"]
mod differences;
#[path = "programs/program.rs"]
mod program;
#[path = "programs/steps.rs"]
mod steps;
#[path = "programs/views.rs"]
mod views;
#[path = "programs/whole.rs"]
mod whole;

use self::differences::Differences;
use self::program::{Computed, Program};
use crate::support::{agree, dot, epsilon, eval, largest, like, oracle, oracle_all, with_values};
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::compile::view::{View, views};
use chainrule_engine::ops::Op;
use chainrule_engine::transform::{jvp, vjp, vmap};
use chainrule_engine::{DType, Result, Tensor};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// Programs that are put through everything.
const PROGRAMS: u64 = 100;
/// Programs whose value, gradient and second derivative are checked along one direction.
const MANY: u64 = 2000;
/// Programs in narrow types.
const NARROW: u64 = 500;
/// What programs are made of, functions of single elements apart; each in many of them.
const OPERATIONS: [&str; 22] = [
    "less",
    "equal",
    "and",
    "or",
    "not",
    "remainder",
    "select",
    "cast",
    "reshape",
    "permute",
    "broadcast",
    "slice",
    "pad",
    "reverse",
    "concat",
    "window",
    "sum",
    "max",
    "cumulative_sum",
    "einsum",
    "gather",
    "scatter_add",
];
/// Failing programs that are shrunk; of others only the seed is told.
const SHRUNK: usize = 5;

/// Which seeds: so many from 0, or what the environment says.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number("FIRST").unwrap_or(0);
    first..first + number("COUNT").unwrap_or(count)
}

fn refs(tensors: &[Tensor]) -> Vec<&Tensor> {
    tensors.iter().collect()
}

/// Runs a check on many programs. The first ones that fail are shrunk, and printed.
fn for_each_program(count: u64, check: impl Fn(&Program) -> Result<Result<(), String>>) {
    let seeds = seeds(count);
    let failing: Vec<(u64, String)> = seeds.clone().filter_map(|seed| Some((seed, outcome(&check, &Program::new(seed)).err()?))).collect();
    let shrunk = |(seed, why): &(u64, String)| {
        // Another mistake met on the way would hide this one.
        let same = |why: &str, other: &str| why.split(':').next() == other.split(':').next();
        let program = Program::new(*seed).shrunk(|program| outcome(&check, program).is_err_and(|found| same(why, &found)));
        let why = outcome(&check, &program).err().unwrap_or_default();
        format!("{program}: {why}\n{}", graph(&program).print())
    };
    let told: Vec<String> = failing.iter().take(SHRUNK).map(shrunk).collect();
    let rest: Vec<u64> = failing.iter().skip(SHRUNK).map(|(seed, _)| *seed).collect();
    assert!(failing.is_empty(), "{} of {seeds:?} fail:\n{}\nand {rest:?}", failing.len(), told.join("\n"));
}

/// What a program records.
fn graph(program: &Program) -> Graph {
    let computed = program.computed(&program.inputs());
    let roots: Vec<&Tensor> = std::iter::once(&computed.value).chain(&computed.whole).collect();
    Graph::of(&roots).0
}

/// A check's outcome; a panic is a failure like another.
fn outcome(check: impl Fn(&Program) -> Result<Result<(), String>>, program: &Program) -> Result<(), String> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(program))) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("panicked".into()),
    }
}

/// Directions of sixteenths, one for each input.
fn directions(x: &[Tensor], seed: u64) -> Vec<Tensor> {
    x.iter().zip(seed..).map(|(x, n)| like(x, n)).collect()
}

/// Inputs moved by `h` along directions.
fn moved(x: &[Tensor], along: &[Vec<f64>], h: f64) -> Vec<Tensor> {
    x.iter().zip(along).map(|(x, u)| with_values(x, &oracle(x).iter().zip(u).map(|(x, u)| x + h * u).collect::<Vec<_>>())).collect()
}

/// The largest difference that one of several inputs makes alone; no less than a tenth.
fn size(gradients: &[Vec<f64>], along: &[Vec<f64>]) -> f64 {
    gradients.iter().zip(along).map(|(g, u)| largest(g) * largest(u)).fold(0.1, f64::max)
}

#[test]
fn many_values_gradients_and_second_derivatives_agree_along_a_direction() {
    let (refined, weak, numbers) = (Cell::new(0), Cell::new(0), Cell::new(0));
    for_each_program(MANY, |program| {
        let x = program.inputs();
        let along = directions(&x, 7);
        let computed = program.computed(&x);
        let g = computed.value.grad(&refs(&x))?;
        let twice = jvp(&refs(&g), &refs(&x), &refs(&along))?;
        let all: Vec<&Tensor> = std::iter::once(&computed.value).chain(&g).chain(&twice).chain(&computed.whole).collect();
        Tensor::eval_all(&all)?;
        let found: Vec<Vec<f64>> = all.iter().map(|t| eval(t)).collect();
        let checked = all.iter().zip(&found).zip(oracle_all(&all)).try_for_each(|((t, found), want)| {
            // Of many programs a few make much of the order of a sum: large products that go through sines.
            let relative = match t.dtype().is_float() {
                true if program.seed < PROGRAMS => 1e-11,
                true => 1e-10,
                false => 0.0,
            };
            let finite = found.iter().all(|v| v.is_finite());
            agree("by the backend", found, &want, relative).and(if finite { Ok(()) } else { Err(format!("not finite: {found:?}")) })
        });
        if checked.is_err() {
            return Ok(checked);
        }
        let u: Vec<Vec<f64>> = along.iter().map(eval).collect();
        let at = |h: f64| {
            let x = moved(&x, &u, h);
            let value = program.value(&x);
            let mut all = value.grad(&refs(&x)).unwrap_or_default();
            all.insert(0, value);
            oracle_all(&refs(&all)).concat()
        };
        let mut differences = Differences::new(&at);
        let (first, second) = (&found[1..1 + g.len()], found[1 + g.len()..1 + 2 * g.len()].concat());
        let slope: f64 = first.iter().zip(&u).map(|(g, u)| dot(g, u)).sum();
        // A sum of parts that cancel is not held to more digits than its parts have.
        let judged = differences
            .judge("gradient along a direction", 0, &[slope], size(first, &u), 1e-6)
            .and_then(|a| Ok(a + differences.judge("second derivative along a direction", 1, &second, 0.1, 1e-6)?));
        refined.set(refined.get() + usize::from(differences.widths() > 2));
        numbers.set(numbers.get() + 1 + second.len());
        Ok(judged.map(|few| weak.set(weak.get() + few)))
    });
    let (weak, numbers) = (weak.get(), numbers.get());
    println!("{} programs took more than two widths; {weak} of {numbers} numbers are known no better than differences are", refined.get());
    assert!(1000 * weak <= numbers, "differences say too little of {weak} numbers of {numbers}");
}

/// The backend may round in another order than the reference, but must not be much further from the same program in f64.
#[test]
fn many_values_and_derivatives_in_narrow_types_are_as_near_to_wide_ones_as_the_reference() {
    for_each_program(NARROW, |program| {
        let types = [[DType::F32, DType::F32], [DType::F32, DType::F64], [DType::BF16, DType::F32], [DType::F16, DType::BF16]];
        let types = types[program.seed as usize % 4];
        let epsilon = types.iter().map(|&dtype| epsilon(dtype)).fold(0.0, f64::max);
        let x: Vec<Tensor> = program.inputs().iter().enumerate().map(|(i, x)| x.cast(types[i % 2]).to_leaf()).collect::<Result<_>>()?;
        let computed = all_of(program, &x, epsilon < 1e-6)?;
        Tensor::eval_all(&refs(&computed))?;
        let found: Vec<Vec<f64>> = computed.iter().map(eval).collect();
        let exact = exactly(program, &x, epsilon < 1e-6)?;
        let reference = oracle_all(&refs(&computed));
        // What the reference's rounding does, and what the last digits of the inputs do without any rounding.
        let mut errors: Vec<[f64; 2]> = reference.iter().zip(&exact).map(|(reference, exact)| [apart(reference, exact), 0.0]).collect();
        let judge = |errors: &[[f64; 2]]| {
            computed.iter().zip(&found).zip(exact.iter().zip(&reference)).zip(errors).try_for_each(
                |(((t, found), (exact, reference)), &[error, moved])| {
                    if !t.dtype().is_float() {
                        return agree("whole numbers", found, reference, 0.0);
                    }
                    // A result near zero is a difference of larger numbers, whose rounding it keeps.
                    let scale = largest(exact).max(if epsilon < 1e-6 { 1.0 } else { 0.1 });
                    // With sixteen bits a sum may lose every digit, in both; with more, nothing excuses that but a result that
                    // hangs on the last digits of its inputs.
                    let most = if epsilon < 1e-6 { (8192.0 * epsilon * scale).max(16.0 * moved) } else { f64::INFINITY };
                    let allowed = (16.0 * error + 64.0 * epsilon * scale).min(most);
                    let same = found.iter().zip(exact).all(|(a, b)| a.is_finite() == b.is_finite());
                    match apart(found, exact) {
                        off if off <= allowed && same => Ok(()),
                        off => Err(format!("{types:?}: off by {off:e}, {allowed:e} allowed\n   got {found:?}\n  want {exact:?}")),
                    }
                },
            )
        };
        // The reference may be lucky in one place. What rounding does there is what it does at the worst of some neighbours.
        for seed in 0..8 {
            if judge(&errors).is_ok() {
                break;
            }
            let along: Vec<Vec<f64>> = directions(&x, seed).iter().map(eval).collect();
            let beside = moved(&x, &along, 2.0 * epsilon);
            let there = oracle_all(&refs(&all_of(program, &beside, epsilon < 1e-6)?));
            let exact_there = exactly(program, &beside, epsilon < 1e-6)?;
            for (([error, moved], there), (exact, exact_there)) in errors.iter_mut().zip(&there).zip(exact.iter().zip(&exact_there)) {
                *error = error.max(apart(there, exact_there));
                *moved = moved.max(apart(exact, exact_there));
            }
        }
        Ok(judge(&errors))
    });
}

/// The largest difference.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    largest(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// What is no float, the second derivative along a direction if it is wanted, the value, and the gradient.
fn all_of(program: &Program, x: &[Tensor], twice: bool) -> Result<Vec<Tensor>> {
    let Computed { value, whole: mut all } = program.computed(x);
    let g = value.grad(&refs(x))?;
    if twice {
        all.extend(jvp(&refs(&g), &refs(x), &refs(&directions(x, 7)))?);
    }
    all.push(value);
    all.extend(g);
    Ok(all)
}

/// As [`all_of`], with every float in f64, by the reference.
fn exactly(program: &Program, x: &[Tensor], twice: bool) -> Result<Vec<Vec<f64>>> {
    let wide: Vec<Tensor> = x.iter().map(|x| x.cast(DType::F64).to_leaf()).collect::<Result<_>>()?;
    Ok(oracle_all(&refs(&all_of(program, &wide, twice)?)))
}

/// How a node of a graph is read.
fn layouts(shape: &[usize], view: &View) -> Vec<&'static str> {
    let axes: Vec<(usize, isize)> = shape.iter().copied().zip(view.strides.iter().copied()).filter(|&(n, _)| n > 1).collect();
    let strides = || axes.iter().map(|&(_, stride)| stride);
    let found = [
        ("from an offset", view.offset > 0),
        ("backwards", strides().any(|stride| stride < 0)),
        ("repeated", strides().any(|stride| stride == 0)),
        ("by steps", strides().all(|stride| stride.abs() > 1) && !axes.is_empty()),
        ("in another order", axes.windows(2).any(|pair| pair[0].1.abs() < pair[1].1.abs() && pair[0].1 != 0)),
    ];
    found.iter().filter(|(_, is)| *is).map(|(what, _)| *what).collect()
}

/// A generator that no longer makes what it should would fail nothing else.
#[test]
fn programs_reach_every_layout_type_and_operation() {
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for program in (0..300).map(Program::new) {
        let graph = graph(&program);
        let mut found: BTreeSet<String> = BTreeSet::new();
        for (node, view) in graph.nodes.iter().zip(views(&graph)) {
            let base = graph.node(view.base);
            let of = if matches!(base.op, Op::Input(_)) { "a leaf" } else { "a result" };
            found.insert(format!("{:?}", node.ty.dtype));
            found.insert(format!("rank {}", node.ty.shape.len()));
            found.extend([0, 1].into_iter().filter(|n| node.ty.shape.contains(n)).map(|n| format!("size {n}")));
            found.insert(node.op.rules().name().to_owned());
            found.extend(layouts(&node.ty.shape, &view).into_iter().map(|what| format!("{of} {what}")));
        }
        found.into_iter().for_each(|what| *met.entry(what).or_default() += 1);
    }
    let layouts = ["from an offset", "backwards", "repeated", "by steps", "in another order"];
    let wanted = ["a leaf", "a result"].into_iter().flat_map(|of| layouts.map(|what| format!("{of} {what}")));
    let wanted = wanted.chain((0..5).map(|rank| format!("rank {rank}"))).chain([0, 1].map(|n| format!("size {n}")));
    let wanted = wanted.chain([DType::F64, DType::I64, DType::I32, DType::U8, DType::Bool].map(|dtype| format!("{dtype:?}")));
    let wanted = wanted.chain(OPERATIONS.map(str::to_owned));
    let rare: Vec<_> = wanted.map(|what| (met.get(&what).copied().unwrap_or(0), what)).filter(|&(count, _)| count < 12).collect();
    assert!(rare.is_empty(), "fewer than 12 of 300 programs have {rare:?}; all: {met:?}");
}

#[test]
fn what_is_evaluated_in_parts_equals_what_is_evaluated_at_once() {
    for_each_program(PROGRAMS, |program| {
        let x = program.inputs();
        let (together, apart) = (program.value(&x), program.value(&x));
        let (g, h) = (together.grad(&refs(&x))?, apart.grad(&refs(&x))?);
        Tensor::eval_all(&refs(&g))?;
        apart.eval()?;
        Ok(g.iter().zip(&h).rev().try_for_each(|(g, h)| agree("gradient", &eval(h), &eval(g), 1e-12)))
    });
}

#[test]
fn gradients_equal_differences() {
    for_each_program(PROGRAMS, |program| {
        let x = program.inputs();
        let g: Vec<Vec<f64>> = program.value(&x).grad(&refs(&x))?.iter().map(eval).collect();
        let scale = g.iter().map(|g| largest(g)).fold(0.1, f64::max);
        let one = |k: usize, i: usize| -> std::result::Result<(), String> {
            let mut along: Vec<Vec<f64>> = g.iter().map(|g| vec![0.0; g.len()]).collect();
            along[k][i] = 1.0;
            let at = |h: f64| oracle(&program.value(&moved(&x, &along, h)));
            Differences::new(&at).judge(&format!("input {k}, number {i}"), 0, &[g[k][i]], scale, 1e-6).map(drop)
        };
        Ok((0..x.len()).try_for_each(|k| (0..g[k].len()).try_for_each(|i| one(k, i))))
    });
}

#[test]
fn second_derivatives_of_both_orders_of_modes_are_the_same() {
    for_each_program(PROGRAMS, |program| {
        let x = program.inputs();
        let along = directions(&x, 7);
        let g = program.value(&x).grad(&refs(&x))?;
        // By symmetry both are the same product.
        let forward: Vec<f64> = jvp(&refs(&g), &refs(&x), &refs(&along))?.iter().map(eval).collect::<Vec<_>>().concat();
        let reverse: Vec<f64> = vjp(&refs(&g), &refs(&along), &refs(&x))?.iter().map(eval).collect::<Vec<_>>().concat();
        Ok(agree("forward over reverse", &forward, &reverse, 1e-10))
    });
}

#[test]
fn forward_mode_is_the_adjoint_of_reverse_mode() {
    for_each_program(PROGRAMS, |program| {
        let x = program.inputs();
        let y = program.value(&x);
        let along = directions(&x, 17);
        let forward = eval(&jvp(&[&y], &refs(&x), &refs(&along))?[0])[0];
        let g: Vec<Vec<f64>> = y.grad(&refs(&x))?.iter().map(eval).collect();
        let u: Vec<Vec<f64>> = along.iter().map(eval).collect();
        let reverse: f64 = g.iter().zip(&u).map(|(g, u)| dot(g, u)).sum();
        Ok(agree("forward against reverse", &[forward / size(&g, &u)], &[reverse / size(&g, &u)], 1e-10))
    });
}

#[test]
fn batches_equal_loops() {
    for_each_program(PROGRAMS, |program| {
        let (x, other) = (program.inputs(), program.other_inputs());
        let wide: Vec<Tensor> = x.iter().zip(&other).map(|(a, b)| Tensor::stack(&[a, b], 0)).collect();
        let run = |x: &[Tensor]| -> Result<Vec<Tensor>> {
            let y = program.value(x);
            let mut all = y.grad(&refs(x))?;
            all.push(y);
            Ok(all)
        };
        let batched = vmap(run, &refs(&wide), &vec![Some(0); x.len()])?;
        let (one, two) = (run(&x)?, run(&other)?);
        Ok(batched
            .iter()
            .enumerate()
            .try_for_each(|(i, t)| agree(&format!("result {i}"), &eval(t), &[oracle(&one[i]), oracle(&two[i])].concat(), 1e-11)))
    });
}
