//! Functions of single elements against figures of 50 digits (`tests/data/special_reference.py`): values and derivatives of
//! two orders, in both modes, in f64 and f32.

use crate::catalogue::elements;
use crate::check::{check_gradients, values};
use chainrule_engine::transform::jvp;
use chainrule_engine::{DType, Tensor};

/// How far a number may be from the figure, in spacings of f64 at it: value, first and second derivative (or both first
/// ones). Where a function has a zero that no argument hits, or is a difference of large parts, the figure counts as at
/// least `least`.
struct Row {
    name: &'static str,
    least: [f64; 3],
    spacings: [f64; 3],
}

const fn row(name: &'static str, least: [f64; 3], spacings: [f64; 3]) -> Row {
    Row { name, least, spacings }
}

#[rustfmt::skip]
const ONE: &[Row] = &[
    row("asin", [0.0, 0.0, 1.0], [2.0, 4.0, 8.0]),
    row("acos", [0.0, 0.0, 1.0], [2.0, 4.0, 8.0]),
    row("atan", [0.0, 0.0, 0.0], [2.0, 2.0, 4.0]),
    row("asinh", [0.0, 0.0, 1.0], [2.0, 4.0, 8.0]),
    row("acosh", [0.0, 0.0, 0.0], [2.0, 4.0, 8.0]),
    row("atanh", [0.0, 0.0, 1.0], [2.0, 2.0, 4.0]),
    row("tan", [0.0, 0.0, 0.0], [4.0, 8.0, 16.0]),
    row("sinh", [0.0, 0.0, 1.0], [2.0, 2.0, 2.0]),
    row("cosh", [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("expm1", [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("log1p", [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("tanh", [0.0, 0.0, 0.0], [2.0, 4.0, 4.0]),
    row("sech", [0.0, 0.0, 1.0], [2.0, 4.0, 8.0]),
    row("sigmoid", [0.0, 0.0, 0.1], [2.0, 4.0, 4.0]),
    row("rsqrt", [0.0, 0.0, 0.0], [2.0, 4.0, 4.0]),
    row("erf", [0.0, 0.0, 0.0], [2.0, 16.0, 16.0]),
    row("exp2", [0.0, 0.0, 0.0], [2.0, 2.0, 3.0]),
    row("log2", [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("log10", [0.0, 0.0, 0.0], [2.0, 2.0, 3.0]),
    row("cbrt", [0.0, 0.0, 0.0], [2.0, 3.0, 5.0]),
    row("sinc", [0.0, 1.0, 1.0], [2.0, 4.0, 8.0]),
    row("logit", [0.0, 0.0, 4.0], [2.0, 2.0, 4.0]),
    row("erfc", [0.0, 0.0, 0.0], [4.0, 4.0, 8.0]),
    row("erfinv", [0.0, 0.0, 0.0], [4.0, 16.0, 32.0]),
    row("lgamma", [0.0, 0.5, 0.0], [8.0, 8.0, 8.0]),
    row("digamma", [0.5, 0.0, 0.0], [8.0, 8.0, 8.0]),
    row("polygamma 1", [0.0, 0.0, 0.0], [8.0, 8.0, 8.0]),
    row("polygamma 2", [0.0, 0.0, 0.0], [8.0, 8.0, 8.0]),
    row("polygamma 7", [0.0, 0.0, 0.0], [8.0, 8.0, 8.0]),
    row("polygamma 30", [0.0, 0.0, 0.0], [32.0, 32.0, 32.0]),
    // Sums of a part with poles and one without: the size of the larger, halfway between poles.
    row("lgamma below 0", [1.0, 3.0, 9.0], [8.0, 8.0, 16.0]),
    row("digamma below 0", [3.0, 9.0, 50.0], [8.0, 8.0, 16.0]),
    row("polygamma 1 below 0", [9.0, 50.0, 200.0], [16.0, 16.0, 16.0]),
    row("polygamma 2 below 0", [50.0, 200.0, 1500.0], [16.0, 16.0, 16.0]),
    row("polygamma 7 below 0", [2.5e6, 4e7, 7e8], [16.0, 16.0, 16.0]),
    row("deg2rad", [0.0, 0.0, 0.0], [2.0, 1.0, 0.0]),
    row("rad2deg", [0.0, 0.0, 0.0], [2.0, 1.0, 0.0]),
    row("celu", [0.0, 0.0, 0.0], [2.0, 2.0, 3.0]),
    row("elu", [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("selu", [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("softplus_with", [0.0, 0.0, 0.0], [4.0, 4.0, 4.0]),
    row("softplus", [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("log_sigmoid", [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("silu", [0.0, 0.5, 0.5], [2.0, 2.0, 4.0]),
    row("mish", [0.0, 0.5, 0.5], [2.0, 4.0, 4.0]),
    row("gelu", [0.0, 0.5, 0.5], [2.0, 2.0, 4.0]),
    row("gelu far out", [0.0, 0.0, 0.0], [4.0, 4.0, 4.0]),
    row("asin near 0", [0.0, 0.0, 0.0], [2.0, 4.0, 8.0]),
    row("acos near 0", [0.0, 0.0, 0.0], [2.0, 4.0, 8.0]),
    row("asinh near 0", [0.0, 0.0, 0.0], [2.0, 4.0, 8.0]),
    row("atanh near 0", [0.0, 0.0, 0.0], [2.0, 4.0, 8.0]),
    row("sinh near 0", [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("softsign far out", [0.0, 0.0, 0.0], [2.0, 4.0, 8.0]),
    row("tanh_shrink near 0", [0.0, 0.0, 0.0], [4.0, 4.0, 8.0]),
    row("gelu_tanh", [1.0, 1.0, 1.0], [2.0, 2.0, 4.0]),
    row("softsign", [0.0, 0.0, 0.0], [2.0, 8.0, 16.0]),
    row("tanh_shrink", [0.0, 0.0, 0.0], [8.0, 4.0, 8.0]),
];

#[rustfmt::skip]
const TWO: &[Row] = &[
    row("atan2", [0.0, 0.0, 0.0], [2.0, 2.0, 3.0]),
    row("hypot", [0.0, 0.0, 0.0], [2.0, 4.0, 4.0]),
    row("logaddexp", [1.0, 0.0, 0.0], [2.0, 4.0, 4.0]),
    row("logaddexp2", [1.0, 0.0, 0.0], [2.0, 4.0, 4.0]),
    row("xlogy", [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("xlog1py", [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("fmod", [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
    row("remainder", [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
    row("copysign", [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
];

/// The figures of a function: x, y, value, two derivatives.
fn figures(name: &str) -> Vec<[f64; 5]> {
    let table = include_str!("../data/special_reference.csv");
    let of_line = |line: &str| -> Option<[f64; 5]> {
        let (found, numbers) = line.split_once(',')?;
        let numbers: Vec<f64> = numbers.split(',').map(|n| n.parse().expect("a number")).collect();
        (found == name).then(|| numbers.try_into().expect("five numbers"))
    };
    let found: Vec<[f64; 5]> = table.lines().filter_map(of_line).collect();
    assert!(found.len() >= 10, "{name}: {} figures", found.len());
    found
}

fn column(figures: &[[f64; 5]], k: usize, dtype: DType) -> Tensor {
    let numbers: Vec<f64> = figures.iter().map(|line| line[k]).collect();
    Tensor::from_vec(numbers, [figures.len()]).cast(dtype).to_leaf().unwrap()
}

/// The largest distance, in spacings of the type, and where it is. What leaves the type, or its normal numbers, is left out.
fn distance(figures: &[[f64; 5]], k: usize, found: &Tensor, least: f64) -> (f64, usize) {
    let (spacing, low, high) = match found.dtype() {
        DType::F64 => (f64::EPSILON, 1e-290, 1e290),
        _ => (f64::from(f32::EPSILON), 1e-25, 1e37),
    };
    let mut worst = (0.0, 0);
    for (at, (line, found)) in figures.iter().zip(values(found)).enumerate() {
        let size = line[k].abs().max(least);
        if size > high || (size < low && size > 0.0) {
            continue;
        }
        let off = if found == line[k] { 0.0 } else { (found - line[k]).abs() / (size * spacing) };
        if off.is_nan() || off > worst.0 {
            worst = (if off.is_nan() { f64::INFINITY } else { off }, at);
        }
    }
    worst
}

fn hold(
    name: &str,
    dtype: DType,
    figures: &[[f64; 5]],
    found: [&Tensor; 3],
    least: [f64; 3],
    spacings: [f64; 3],
    failures: &mut Vec<String>,
) {
    // f32 has a spacing of its own; some of its steps round more often than the formulas of f64 lose.
    let more = if dtype == DType::F64 { 1.0 } else { 2.0 };
    for (k, (found, most)) in found.into_iter().zip(spacings).enumerate() {
        let (off, at) = distance(figures, k + 2, found, least[k]);
        if off > most * more {
            failures.push(format!("{name}, {dtype}, derivative {k}: {off:.1} spacings at {:?}: {:e}", figures[at], values(found)[at]));
        }
    }
}

#[test]
fn functions_of_one_element_equal_figures_of_many_digits() {
    let mut failures = Vec::new();
    for Row { name, least, spacings } in ONE {
        let (figures, function) = (figures(name), elements::one(name));
        for dtype in [DType::F64, DType::F32] {
            let x = column(&figures, 0, dtype);
            let y = function(&x);
            let first = y.sum().grad(&[&x]).unwrap().remove(0);
            let second = first.sum().grad_or_zeros(&[&x]).unwrap().remove(0);
            hold(name, dtype, &figures, [&y, &first, &second], *least, *spacings, &mut failures);
            let forward = jvp(&[&y], &[&x], &[&x.ones_like()]).unwrap().remove(0);
            hold(name, dtype, &figures, [&y, &forward, &second], *least, *spacings, &mut failures);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn functions_of_two_elements_equal_figures_of_many_digits() {
    let mut failures = Vec::new();
    for Row { name, least, spacings } in TWO {
        let (figures, function) = (figures(name), elements::two(name));
        for dtype in [DType::F64, DType::F32] {
            let (x, y) = (column(&figures, 0, dtype), column(&figures, 1, dtype));
            let z = function(&[x.clone(), y.clone()]);
            let first = z.sum().grad(&[&x, &y]).unwrap();
            hold(name, dtype, &figures, [&z, &first[0], &first[1]], *least, *spacings, &mut failures);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Every function at a dozen of its figures, through both modes, both orders and vmap.
#[test]
fn functions_of_elements_have_their_derivatives() {
    let near_one = |line: &&[f64; 5]| line[2..].iter().all(|v| (1e-3..100.0).contains(&v.abs()) || *v == 0.0) && line[0].abs() > 0.01;
    for Row { name, .. } in ONE {
        let some: Vec<[f64; 5]> = figures(name).iter().filter(near_one).take(12).copied().collect();
        check_gradients(name, |x| elements::one(name)(&x[0]), &[column(&some, 0, DType::F64)]);
    }
    for Row { name, .. } in TWO {
        let some: Vec<[f64; 5]> = figures(name).iter().filter(near_one).take(12).copied().collect();
        check_gradients(name, elements::two(name), &[column(&some, 0, DType::F64), column(&some, 1, DType::F64)]);
    }
}
