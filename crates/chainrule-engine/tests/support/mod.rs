//! What the tests share: seeded numbers, comparison, differences, the two ways to evaluate.
//!
//! Refuses to know any operation.

#![allow(dead_code, reason = "each test program uses its part")]

pub mod measure;
pub mod page;
pub mod sources;

use chainrule_engine::backend::reference;
use chainrule_engine::ops::CustomRule;
use chainrule_engine::tensor::random::word;
use chainrule_engine::{DType, Data, Tensor};

/// A sequence of numbers that depends on a seed alone.
pub struct Numbers {
    seed: u64,
    at: u64,
}

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers { seed, at: 0 }
    }

    pub fn word(&mut self) -> u64 {
        self.at += 1;
        word(self.seed as i64, self.at)
    }

    /// Uniform in `0..limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.word() % limit as u64) as usize
    }

    /// Uniform in `low..high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn many(&mut self, count: usize, low: f64, high: f64) -> Vec<f64> {
        (0..count).map(|_| self.between(low, high)).collect()
    }
}

/// An f64 leaf.
pub fn leaf(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape)
}

/// An f64 leaf of random numbers in -2..2.
pub fn random(shape: &[usize], seed: u64) -> Tensor {
    leaf(&Numbers::new(seed).many(shape.iter().product(), -2.0, 2.0), shape)
}

/// A leaf of the type of `t`, with sixteenths between -2 and 2, which every float type holds exactly.
pub fn like(t: &Tensor, seed: u64) -> Tensor {
    let mut numbers = Numbers::new(seed.wrapping_add(0x5eed << 32));
    let values: Vec<f64> = (0..t.len()).map(|_| numbers.between(-32.0, 32.0).round() / 16.0).collect();
    Tensor::from_data(Data::from_f64(t.dtype(), &values), t.shape())
}

/// A leaf of the type of `t` with the given values.
pub fn with_values(t: &Tensor, values: &[f64]) -> Tensor {
    Tensor::from_data(Data::from_f64(t.dtype(), values), t.shape())
}

/// The values, by the backend.
pub fn eval(t: &Tensor) -> Vec<f64> {
    match t.to_data() {
        Ok(data) => data.to_f64(),
        Err(error) => panic!("{error}"),
    }
}

/// The values, by the reference.
pub fn oracle(t: &Tensor) -> Vec<f64> {
    oracle_all(&[t]).remove(0)
}

/// The values of several tensors, by the reference.
pub fn oracle_all(tensors: &[&Tensor]) -> Vec<Vec<f64>> {
    match reference::evaluate(tensors) {
        Ok(all) => all.iter().map(Data::to_f64).collect(),
        Err(error) => panic!("{error}"),
    }
}

/// The relative distance between neighbours of a float type; 0 for others.
pub fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F32 => f32::EPSILON as f64,
        DType::F16 => 2f64.powi(-10),
        DType::BF16 => 2f64.powi(-7),
        _ => 0.0,
    }
}

/// Whether two numbers differ by at most `tolerance`; NaN is equal to NaN, infinity to itself.
pub fn near(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance
}

/// The largest finite magnitude.
pub fn largest(values: &[f64]) -> f64 {
    values.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max)
}

/// `Err` unless all numbers agree to `relative` times the largest wanted one (or a tenth, if that is larger).
pub fn agree(what: &str, got: &[f64], want: &[f64], relative: f64) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{what}: {} numbers, {} wanted", got.len(), want.len()));
    }
    let tolerance = relative * largest(want).max(0.1);
    match got.iter().zip(want).position(|(&g, &w)| !near(g, w, tolerance)) {
        Some(i) => Err(format!(
            "{what}: number {i} is {:e}, {:e} wanted (tolerance {tolerance:e})\n   got {got:?}\n  want {want:?}",
            got[i], want[i]
        )),
        None => Ok(()),
    }
}

/// As [`agree`], with a panic.
#[track_caller]
pub fn assert_agree(what: &str, got: &[f64], want: &[f64], relative: f64) {
    if let Err(message) = agree(what, got, want, relative) {
        panic!("{message}");
    }
}

/// `Err` unless the backend and the reference agree on a tensor: floats within `ulps` of the largest value.
pub fn backends_agree(what: &str, t: &Tensor, ulps: f64) -> Result<(), String> {
    let want = oracle(t);
    let got = eval(t);
    if t.dtype().is_float() { agree(what, &got, &want, ulps * epsilon(t.dtype())) } else { agree(what, &got, &want, 0.0) }
}

/// The derivative of `f` at 0 by central differences of two steps, extrapolated: error of order `step^4`.
pub fn difference(step: f64, mut f: impl FnMut(f64) -> Vec<f64>) -> Vec<f64> {
    let mut central = |h: f64| -> Vec<f64> { f(h).iter().zip(f(-h)).map(|(up, down)| (up - down) / (2.0 * h)).collect() };
    let (coarse, fine) = (central(step), central(step / 2.0));
    coarse.iter().zip(fine).map(|(coarse, fine)| (4.0 * fine - coarse) / 3.0).collect()
}

/// The gradient of a scalar function by each argument, by differences evaluated with the reference.
pub fn numeric_gradient(arguments: &[Tensor], k: usize, f: &dyn Fn(&[Tensor]) -> Tensor) -> Vec<f64> {
    let values = oracle(&arguments[k]);
    (0..values.len())
        .map(|i| {
            difference(1e-3, |h| {
                let mut moved = values.clone();
                moved[i] += h;
                let mut arguments = arguments.to_vec();
                arguments[k] = with_values(&arguments[k], &moved);
                oracle(&f(&arguments))
            })[0]
        })
        .collect()
}

/// The derivative of `f` along directions (one per argument), by differences evaluated with the reference.
pub fn numeric_along(arguments: &[Tensor], directions: &[Option<Tensor>], f: &dyn Fn(&[Tensor]) -> Vec<Tensor>) -> Vec<f64> {
    let at = |h: f64| -> Vec<f64> {
        let moved: Vec<Tensor> = arguments
            .iter()
            .zip(directions)
            .map(|(x, direction)| match direction {
                Some(u) => with_values(x, &oracle(x).iter().zip(oracle(u)).map(|(x, u)| x + h * u).collect::<Vec<_>>()),
                None => x.clone(),
            })
            .collect();
        let outputs = f(&moved);
        oracle_all(&outputs.iter().collect::<Vec<_>>()).concat()
    };
    difference(1e-3, at)
}

/// The largest distance, as a part of the largest number wanted (or of a tenth, if that is larger).
pub fn apart(got: &[f64], want: &[f64]) -> f64 {
    if got.len() != want.len() {
        return f64::INFINITY;
    }
    let off = got.iter().zip(want).map(|(g, w)| if g == w { 0.0 } else { (g - w).abs() });
    off.fold(0.0, |worst: f64, off| if off.is_nan() { f64::INFINITY } else { worst.max(off) }) / largest(want).max(0.1)
}

/// The values of several tensors, by the backend.
pub fn all(tensors: &[Tensor]) -> Vec<f64> {
    tensors.iter().map(eval).collect::<Vec<_>>().concat()
}

/// A scalar whose gradient and second derivative by `y` are neither constant nor zero.
pub fn loss(y: &Tensor, seed: u64) -> Tensor {
    let (c, d) = (like(y, seed), like(y, seed + 1));
    (c * y + d * y * y).sum()
}

/// The sum of products of matching elements.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A rule that has no derivative by any input.
pub struct Silent;

impl CustomRule for Silent {
    fn name(&self) -> &str {
        "silent"
    }
    fn vjp(&self, inputs: &[Tensor], _: &Tensor, _: &Tensor) -> chainrule_engine::Result<Vec<Option<Tensor>>> {
        Ok(vec![None; inputs.len()])
    }
}
