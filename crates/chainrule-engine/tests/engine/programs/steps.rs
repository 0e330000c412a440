//! What a step of a program may do, by its own numbers alone.
//!
//! Refuses jumps: a value may have kinks where elements are compared, but is continuous, and so is worth differences
//! wherever no two elements that are compared are equal.

use super::{views, whole};
use crate::support::Numbers;
use chainrule_engine::ops::{Gather, Pad, Window};
use chainrule_engine::transform::checkpoint;
use chainrule_engine::{DType, Tensor};

/// What a program has computed, and what it may do.
pub struct Values {
    /// Floats: what depends on the inputs, and whole numbers made floats.
    pub floats: Vec<Tensor>,
    /// Whole numbers and truths.
    pub whole: Vec<Tensor>,
    /// The types that floats may be cast to.
    pub types: Vec<DType>,
    /// Whether steps may compare floats. In narrow types, elements that are apart may round to the same number.
    pub kinks: bool,
}

impl Values {
    /// Adds what a step makes; left out, it passes on what it would have read.
    pub fn step(&mut self, seed: u64, left_out: bool) {
        let mut numbers = Numbers::new(seed);
        let kind = numbers.below(12);
        let x = self.pick(&mut numbers);
        if kind == 0 {
            if !left_out {
                let y = whole::step(&self.whole, &mut numbers);
                self.whole.push(if y.len() > 200 { y.flatten().index(0, 0) } else { y });
            }
            return;
        }
        let y = match kind {
            _ if left_out => x,
            1..=3 => single(&x, &mut numbers),
            4 => pair(&x, &self.pick(&mut numbers), self.kinks, &mut numbers),
            5 | 6 => views::view(&x, &mut numbers),
            7 | 8 => along_an_axis(&x, self.kinks, &mut numbers),
            9 => pieces(&x, &mut numbers),
            10 => self.indexed(&x, &mut numbers),
            _ => self.chosen(&x, &mut numbers),
        };
        // Bounded, and never so large that the reference takes long.
        let y = if y.len() > 200 { y.flatten().sum() * 0.01 } else { y };
        let y = if numbers.below(8) == 0 { y.cast(self.types[numbers.below(self.types.len())]) } else { y };
        self.floats.push(if !left_out && numbers.below(4) == 0 { y.sin() } else { y });
    }

    /// A float computed before, later ones more often, so that programs grow deep.
    fn pick(&self, numbers: &mut Numbers) -> Tensor {
        let reach = if numbers.below(3) == 0 { self.floats.len() } else { self.floats.len().min(3) };
        self.floats[self.floats.len() - 1 - numbers.below(reach)].clone()
    }

    /// What whole numbers choose by place: gathered, scattered, scaled.
    fn indexed(&self, x: &Tensor, numbers: &mut Numbers) -> Tensor {
        let n = x.shape().first().copied().unwrap_or(0);
        let kind = numbers.below(6);
        match kind {
            // Whole numbers of their own shape, which may be none of the inputs' business.
            0 => (whole::like(&self.whole, &[], numbers).cast(x.dtype()) * 0.3).sin() * x,
            1 if n > 0 => {
                let shape = views::shape(numbers, 6);
                x.gather(&whole::index(&self.whole, &shape, n, numbers))
            }
            2 if n > 0 && x.rank() > 1 && x.shape()[1] > 0 => {
                let index = whole::index(&self.whole, &[n, 2], x.shape()[1], numbers);
                Tensor::record(Gather { batch: 1 }, [x.clone(), index])
            }
            3 if n > 0 => {
                let axes = 1 + numbers.below(x.rank());
                x.scatter_add(&whole::index(&self.whole, &x.shape()[..axes], 3, numbers), 3)
            }
            4 if n > 0 && !x.is_empty() => {
                let axis = numbers.below(x.rank());
                x.take_along_axis(&whole::index(&self.whole, x.shape(), x.shape()[axis], numbers), axis as isize)
            }
            _ => x * ((whole::like(&self.whole, x.shape(), numbers).cast(DType::I32) % 5 - 2).cast(x.dtype()) * 0.4),
        }
    }

    /// What truths choose, and what comparisons of floats do.
    fn chosen(&self, x: &Tensor, numbers: &mut Numbers) -> Tensor {
        let mask = whole::truth(&whole::like(&self.whole, x.shape(), numbers));
        match numbers.below(if self.kinks { 8 } else { 4 }) {
            0 | 1 => mask.select(&x.sin(), &(x * 0.5)),
            // True, which only a value tells.
            2 => (x.tanh().less(&(x.ones_like() * 1.5)) & mask).select(&x.cos(), &(x * x.sigmoid())),
            // What is not chosen may be no number.
            3 => mask.select(&(x.square() + 0.3).log(), &mask.select(&x.log(), &x.atan())),
            // One function, written in two ways: a large argument would overflow in the other.
            4 => x.less(&x.zeros_like()).select(&(x.exp().log1p()), &(x + (-x).exp().log1p())),
            5 => x.maximum(&(x * 0.3)),
            6 => x.abs() * 0.7,
            _ => x.greater(&(x.ones_like() * 0.2)).select(&(x - 0.2), &x.zeros_like()),
        }
    }
}

/// Functions of single elements, smooth everywhere.
fn single(x: &Tensor, numbers: &mut Numbers) -> Tensor {
    match numbers.below(16) {
        0 => x.sin(),
        1 => x.tanh(),
        2 => (x * 0.5).sigmoid() - 0.5,
        3 => x.square().softplus().log(),
        4 => (x.square() + 0.7).sqrt(),
        5 => (-x.square()).exp(),
        6 => x.erf() + numbers.between(-1.0, 1.0),
        7 => (x.square() + 1.2).recip() * 2.0,
        8 => checkpoint(|x| (x[0].sin() + 1.3).log1p(), &[x]),
        9 => x.expm1().tanh(),
        10 => x.square().powf(1.5) * 0.3,
        11 => x.silu() * 0.7,
        12 => x.atan() - 0.1,
        13 => (x * 0.4).sech(),
        14 => -x,
        _ => (x * 0.8).cos(),
    }
}

/// Functions of two values, the second repeated to the shape of the first, if it can be.
fn pair(x: &Tensor, y: &Tensor, kinks: bool, numbers: &mut Numbers) -> Tensor {
    let y = if x.rank() == 2 && x.shape() == y.shape() && numbers.below(2) == 0 { y.t() } else { y.clone() };
    if let (2, [.., k], Some(n)) = (x.rank(), x.shape(), y.shape().first())
        && k == n
        && y.rank() <= 2
        && numbers.below(2) == 0
    {
        return x.matmul(&y.cast(x.dtype())).tanh();
    }
    // Whichever can be repeated to the other's shape.
    let (x, y) = if y.len() > x.len() { (&y, x.clone()) } else { (x, y) };
    let y = y.broadcast_to(x.shape()).cast(x.dtype());
    if y.error().is_some() {
        return x.cos();
    }
    match numbers.below(if kinks { 6 } else { 4 }) {
        0 | 1 => x * y,
        2 => x - y,
        3 => x / (y.square() + 0.8),
        4 => x.maximum(&y),
        _ => x.minimum(&(y + 0.3)),
    }
}

/// Reductions, running sums, and what is made of them.
fn along_an_axis(x: &Tensor, kinks: bool, numbers: &mut Numbers) -> Tensor {
    if x.rank() == 0 || x.is_empty() {
        return x.tanh();
    }
    let axis = numbers.below(x.rank()) as isize;
    match numbers.below(if kinks { 12 } else { 9 }) {
        0 => x.sum_over(&[axis]) * 0.5,
        1 => x.cumsum(axis) * 0.5,
        2 => x.logsumexp_over(&[axis]),
        3 => x.softmax(axis),
        4 => {
            let e = x.tanh().exp();
            &e / e.sum_over(&[axis]).unsqueeze(axis)
        }
        5 => (x - x.mean_keep(&[axis])) / (x.var_keep(&[axis], 0) + 0.3).sqrt(),
        6 if x.rank() == 2 => x.einsum("ab,ab->b", &x.cos()),
        7 if x.rank() == 2 => x.matmul(&x.t()).tanh(),
        6..=8 => x.roll(numbers.below(3) as isize - 1, axis),
        9 => x.max_over(&[axis]),
        10 => x.sort(axis),
        _ => x.max_with_index(axis).0,
    }
}

/// Several pieces made one tensor, or something put around or between the elements.
fn pieces(x: &Tensor, numbers: &mut Numbers) -> Tensor {
    let rank = x.rank();
    if rank == 0 {
        return Tensor::stack(&[x, &x.sin(), &(x * 0.3)], 0);
    }
    let axis = numbers.below(rank);
    match numbers.below(4) {
        0 => Tensor::concat(&[x, &x.sin()], axis as isize),
        1 => Tensor::stack(&[x, &x.cos()], axis as isize),
        2 if x.len() <= 40 => {
            let mut list = || (0..rank).map(|_| numbers.below(2)).collect();
            let pad = Pad { low: list(), high: list(), interior: list() };
            Tensor::record(pad, [x.clone()]) + 0.1
        }
        _ => smoothed(x),
    }
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
