//! Functions of single elements against figures of 50 digits (`tests/data/special_reference.py`): values and derivatives of
//! two orders, in both modes, in f64 and f32.

use crate::check::{check_gradients, values};
use chainrule_engine::transform::jvp;
use chainrule_engine::{DType, Tensor};

/// How far a number may be from the figure, in spacings of f64 at it: value, first and second derivative (or both first
/// ones). Where a function has a zero that no argument hits, or is a difference of large parts, the figure counts as at
/// least `least`.
struct Row<F> {
    name: &'static str,
    function: F,
    least: [f64; 3],
    spacings: [f64; 3],
}

const fn row<F>(name: &'static str, function: F, least: [f64; 3], spacings: [f64; 3]) -> Row<F> {
    Row { name, function, least, spacings }
}

type One = fn(&Tensor) -> Tensor;
type Two = fn(&Tensor, &Tensor) -> Tensor;

#[rustfmt::skip]
const ONE: &[Row<One>] = &[
    row("asin", |x| x.asin(), [0.0, 0.0, 1.0], [2.0, 4.0, 8.0]),
    row("acos", |x| x.acos(), [0.0, 0.0, 1.0], [2.0, 4.0, 8.0]),
    row("atan", |x| x.atan(), [0.0, 0.0, 0.0], [2.0, 2.0, 4.0]),
    row("asinh", |x| x.asinh(), [0.0, 0.0, 1.0], [2.0, 4.0, 8.0]),
    row("acosh", |x| x.acosh(), [0.0, 0.0, 0.0], [2.0, 4.0, 8.0]),
    row("atanh", |x| x.atanh(), [0.0, 0.0, 1.0], [2.0, 2.0, 4.0]),
    row("tan", |x| x.tan(), [0.0, 0.0, 0.0], [4.0, 8.0, 16.0]),
    row("sinh", |x| x.sinh(), [0.0, 0.0, 1.0], [2.0, 2.0, 2.0]),
    row("cosh", |x| x.cosh(), [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("expm1", |x| x.expm1(), [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("log1p", |x| x.log1p(), [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("tanh", |x| x.tanh(), [0.0, 0.0, 0.0], [2.0, 4.0, 4.0]),
    row("sech", |x| x.sech(), [0.0, 0.0, 1.0], [2.0, 4.0, 8.0]),
    row("sigmoid", |x| x.sigmoid(), [0.0, 0.0, 0.1], [2.0, 4.0, 4.0]),
    row("rsqrt", |x| x.rsqrt(), [0.0, 0.0, 0.0], [2.0, 4.0, 4.0]),
    row("erf", |x| x.erf(), [0.0, 0.0, 0.0], [2.0, 16.0, 16.0]),
    row("exp2", |x| x.exp2(), [0.0, 0.0, 0.0], [2.0, 2.0, 3.0]),
    row("log2", |x| x.log2(), [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("log10", |x| x.log10(), [0.0, 0.0, 0.0], [2.0, 2.0, 3.0]),
    row("cbrt", |x| x.cbrt(), [0.0, 0.0, 0.0], [2.0, 3.0, 5.0]),
    row("sinc", |x| x.sinc(), [0.0, 1.0, 1.0], [2.0, 4.0, 8.0]),
    row("logit", |x| x.logit(), [0.0, 0.0, 4.0], [2.0, 2.0, 4.0]),
    row("erfc", |x| x.erfc(), [0.0, 0.0, 0.0], [4.0, 400.0, 400.0]),
    row("erfinv", |x| x.erfinv(), [0.0, 0.0, 0.0], [4.0, 16.0, 32.0]),
    row("lgamma", |x| x.lgamma(), [0.0, 0.5, 0.0], [8.0, 8.0, 8.0]),
    row("digamma", |x| x.digamma(), [0.5, 0.0, 0.0], [8.0, 8.0, 8.0]),
    row("polygamma 1", |x| x.polygamma(1), [0.0, 0.0, 0.0], [8.0, 8.0, 8.0]),
    row("polygamma 2", |x| x.polygamma(2), [0.0, 0.0, 0.0], [8.0, 8.0, 8.0]),
    row("polygamma 7", |x| x.polygamma(7), [0.0, 0.0, 0.0], [8.0, 8.0, 8.0]),
    row("polygamma 30", |x| x.polygamma(30), [0.0, 0.0, 0.0], [32.0, 32.0, 32.0]),
    // Sums of a part with poles and one without: the size of the larger, halfway between poles.
    row("lgamma below 0", |x| x.lgamma(), [1.0, 3.0, 9.0], [8.0, 8.0, 16.0]),
    row("digamma below 0", |x| x.digamma(), [3.0, 9.0, 50.0], [8.0, 8.0, 16.0]),
    row("polygamma 1 below 0", |x| x.polygamma(1), [9.0, 50.0, 200.0], [16.0, 16.0, 16.0]),
    row("polygamma 2 below 0", |x| x.polygamma(2), [50.0, 200.0, 1500.0], [16.0, 16.0, 16.0]),
    row("polygamma 7 below 0", |x| x.polygamma(7), [2.5e6, 4e7, 7e8], [16.0, 16.0, 16.0]),
    row("deg2rad", |x| x.deg2rad(), [0.0, 0.0, 0.0], [2.0, 1.0, 0.0]),
    row("rad2deg", |x| x.rad2deg(), [0.0, 0.0, 0.0], [2.0, 1.0, 0.0]),
    row("celu", |x| x.celu(1.5), [0.0, 0.0, 0.0], [2.0, 2.0, 3.0]),
    row("elu", |x| x.elu(1.5), [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("selu", |x| x.selu(), [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("softplus_with", |x| x.softplus_with(3.0, 6.0), [0.0, 0.0, 0.0], [4.0, 4.0, 4.0]),
    row("softplus", |x| x.softplus(), [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("log_sigmoid", |x| x.log_sigmoid(), [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("silu", |x| x.silu(), [0.0, 0.5, 0.5], [2.0, 2.0, 4.0]),
    row("mish", |x| x.mish(), [0.0, 0.5, 0.5], [2.0, 4.0, 4.0]),
    row("gelu", |x| x.gelu(), [1.0, 1.0, 1.0], [2.0, 2.0, 4.0]),
    row("gelu_tanh", |x| x.gelu_tanh(), [1.0, 1.0, 1.0], [2.0, 2.0, 4.0]),
    row("softsign", |x| x.softsign(), [0.0, 0.0, 0.0], [2.0, 8.0, 16.0]),
    row("tanh_shrink", |x| x.tanh_shrink(), [1.0, 1.0, 1.0], [2.0, 2.0, 4.0]),
];

#[rustfmt::skip]
const TWO: &[Row<Two>] = &[
    row("atan2", |x, y| x.atan2(y), [0.0, 0.0, 0.0], [2.0, 2.0, 3.0]),
    row("hypot", |x, y| x.hypot(y), [0.0, 0.0, 0.0], [2.0, 4.0, 4.0]),
    row("logaddexp", |x, y| x.logaddexp(y), [1.0, 0.0, 0.0], [2.0, 4.0, 4.0]),
    row("logaddexp2", |x, y| x.logaddexp2(y), [1.0, 0.0, 0.0], [2.0, 4.0, 4.0]),
    row("xlogy", |x, y| x.xlogy(y), [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("xlog1py", |x, y| x.xlog1py(y), [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]),
    row("fmod", |x, y| x.fmod(y), [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
    row("remainder", |x, y| x.remainder(y), [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
    row("copysign", |x, y| x.copysign(y), [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
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
    for Row { name, function, least, spacings } in ONE {
        let figures = figures(name);
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
    for Row { name, function, least, spacings } in TWO {
        let figures = figures(name);
        for dtype in [DType::F64, DType::F32] {
            let (x, y) = (column(&figures, 0, dtype), column(&figures, 1, dtype));
            let z = function(&x, &y);
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
    for Row { name, function, .. } in ONE {
        let some: Vec<[f64; 5]> = figures(name).iter().filter(near_one).take(12).copied().collect();
        check_gradients(name, |x| function(&x[0]), &[column(&some, 0, DType::F64)]);
    }
    for Row { name, function, .. } in TWO {
        let some: Vec<[f64; 5]> = figures(name).iter().filter(near_one).take(12).copied().collect();
        check_gradients(name, |x| function(&x[0], &x[1]), &[column(&some, 0, DType::F64), column(&some, 1, DType::F64)]);
    }
}
