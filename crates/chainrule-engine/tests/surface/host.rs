//! Arrays of the tests: integers in a shape, and the shapes and numbers that tests are run with.

use chainrule_engine::{Element, Tensor};

/// Shapes with zero, one and many elements, unequal sizes, and axes of size 0 and 1.
pub const SHAPES: [&[usize]; 9] = [&[], &[1], &[5], &[0], &[3, 4], &[2, 3, 4], &[2, 0, 3], &[2, 1, 3, 2], &[1, 1]];

/// A dense array on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Host<T = i64> {
    pub shape: Vec<usize>,
    pub values: Vec<T>,
}

impl<T: Copy + std::fmt::Debug> Host<T> {
    /// The array whose element at each index is what `element` says.
    pub fn from_fn(shape: &[usize], element: impl Fn(&[usize]) -> T) -> Host<T> {
        let len: usize = shape.iter().product();
        let values = (0..len).map(|flat| element(&unravel(shape, flat))).collect();
        Host { shape: shape.to_vec(), values }
    }

    pub fn at(&self, index: &[usize]) -> T {
        assert_eq!(index.len(), self.shape.len());
        let mut flat = 0;
        for (&i, &size) in index.iter().zip(&self.shape) {
            assert!(i < size, "the oracle looked at {index:?} of {:?}", self.shape);
            flat = flat * size + i;
        }
        self.values[flat]
    }
}

impl Host {
    /// `0, 1, 2, ...` in a shape.
    pub fn counting(shape: &[usize]) -> Host {
        Host { shape: shape.to_vec(), values: (0..shape.iter().product::<usize>() as i64).collect() }
    }
}

impl<T: Element> Host<T> {
    pub fn tensor(&self) -> Tensor {
        Tensor::from_slice(&self.values, &self.shape)
    }

    pub fn of(tensor: &Tensor) -> Host<T> {
        let values = tensor.to_vec().unwrap_or_else(|error| panic!("{error}"));
        Host { shape: tensor.shape().to_vec(), values }
    }
}

fn unravel(shape: &[usize], mut flat: usize) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        index[axis] = flat % shape[axis];
        flat /= shape[axis];
    }
    index
}

/// A small generator of numbers for tests: the same ones in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number in `low..high`.
    pub fn roll(&mut self, low: i64, high: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        low + (self.0 % (high - low) as u64) as i64
    }
}
