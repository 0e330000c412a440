//! The catalogue of functions: of each, what it is given and how it is called. Tests of values, of types and the table
//! of derivatives go through the same lists; a public function that is in none of them fails
//! (`every_function/complete.rs`).
//!
//! The first word of a name is that of the function, the rest a setting. Numbers are drawn from where the function is
//! smooth; at kinks it is tested by itself. Refuses to know what is checked.

#![allow(dead_code, reason = "each test program uses its part")]

pub mod arrays;
pub mod control;
pub mod elements;
pub mod losses;
pub mod methods;
pub mod networks;
pub mod none;
pub mod reductions;

use chainrule_engine::tensor::random::word;
use chainrule_engine::{DType, Tensor};

/// Stands for the number of examples in the shape of an input.
pub const N: usize = usize::MAX;

/// The shape of an input and the range of its numbers.
#[derive(Clone, Copy)]
pub struct Input(pub &'static [usize], pub f64, pub f64);

/// Numbers between -2 and 2.
pub const fn any(shape: &'static [usize]) -> Input {
    Input(shape, -2.0, 2.0)
}

/// Numbers between 0.5 and 2.
pub const fn positive(shape: &'static [usize]) -> Input {
    Input(shape, 0.5, 2.0)
}

/// Numbers between 0.1 and 0.9.
pub const fn fractions(shape: &'static [usize]) -> Input {
    Input(shape, 0.1, 0.9)
}

pub type Function = fn(&[Tensor]) -> Tensor;

/// A function and its inputs.
#[derive(Clone, Copy)]
pub struct Row(pub &'static str, pub &'static [Input], pub Function);

impl Row {
    /// Leaves, of `n` examples.
    pub fn inputs(&self, n: usize, dtype: DType) -> Vec<Tensor> {
        self.drawn(0, n, dtype)
    }

    fn drawn(&self, draw: i64, n: usize, dtype: DType) -> Vec<Tensor> {
        self.1.iter().zip(1..).map(|(input, seed)| input.leaf(n, seed + 100 * draw, dtype)).collect()
    }
}

impl Input {
    /// A leaf of numbers that depend on the seed and are the same in f32.
    pub fn leaf(&self, n: usize, seed: i64, dtype: DType) -> Tensor {
        let Input(shape, low, high) = *self;
        let shape: Vec<usize> = shape.iter().map(|&size| if size == N { n } else { size }).collect();
        let drawn = |at: u64| low + (high - low) * (word(seed, at) >> 11) as f64 / (1u64 << 53) as f64;
        // Not next to 0, where sizes have a kink.
        let apart = |v: f64| if v.abs() < 0.05 { v + 0.1 } else { v };
        let one = |at: u64| f64::from(apart(drawn(at)) as f32);
        let values: Vec<f64> = (1..=shape.iter().product::<usize>() as u64).map(one).collect();
        Tensor::from_vec(values, shape).cast(dtype).to_leaf().expect("numbers")
    }
}

/// Whole numbers in a vector.
pub fn index(positions: &[i64]) -> Tensor {
    Tensor::from_slice(positions, [positions.len()])
}

/// A function that may hold others.
pub type Call = Box<dyn Fn(&[Tensor]) -> Tensor>;

/// A function at a place, with its value there by a formula, if it has one.
pub struct Sample {
    pub function: String,
    pub setting: String,
    pub inputs: Vec<Tensor>,
    pub call: Call,
    pub value: Option<Vec<f64>>,
}

impl Sample {
    pub fn new(name: &str, inputs: Vec<Tensor>, call: impl Fn(&[Tensor]) -> Tensor + 'static, value: Option<Vec<f64>>) -> Sample {
        let (function, setting) = name.split_once(' ').unwrap_or((name, ""));
        Sample { function: function.into(), setting: setting.into(), inputs, call: Box::new(call), value }
    }

    fn of(row: &Row, draw: i64) -> Sample {
        Sample::new(row.0, row.drawn(draw, 2, DType::F64), row.2, None)
    }
}

/// All of them, drawn once.
pub fn samples(draw: i64) -> Vec<Sample> {
    let lists = [elements::TWO, arrays::FUNCTIONS, networks::FUNCTIONS, losses::FUNCTIONS, methods::FUNCTIONS, control::FUNCTIONS];
    let mut all: Vec<Sample> = lists.into_iter().flatten().map(|row| Sample::of(row, draw)).collect();
    all.extend(elements::samples(draw));
    all.extend(reductions::samples(draw));
    all.extend(losses::samples(draw));
    all
}
