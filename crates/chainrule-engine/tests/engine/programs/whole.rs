//! Whole numbers and truths of a program: leaves, what is computed with them, and the masks and indices that they become.
//!
//! Refuses floats: nothing here has a derivative, and both backends must give the same bits.

use super::views;
use crate::support::Numbers;
use chainrule_engine::{DType, Data, Index, Tensor};

/// The types that are no floats.
pub const DTYPES: [DType; 4] = [DType::I64, DType::I32, DType::U8, DType::Bool];

/// A leaf of whole numbers between -4 and 4, or of truths.
pub fn leaf(shape: &[usize], dtype: DType, seed: u64) -> Tensor {
    let mut numbers = Numbers::new(seed);
    let least = if matches!(dtype, DType::U8 | DType::Bool) { 0 } else { 4 };
    let most = if dtype == DType::Bool { 2 } else { 9 };
    let values: Vec<i64> = (0..shape.iter().product()).map(|_| numbers.below(most) as i64 - least).collect();
    Tensor::from_data(Data::from_i64(dtype, &values), shape)
}

/// What a step makes of the whole numbers that there are.
pub fn step(values: &[Tensor], numbers: &mut Numbers) -> Tensor {
    let x = pick(values, numbers);
    let y = like(values, x.shape(), numbers).cast(x.dtype());
    let truths = x.dtype() == DType::Bool;
    let axis = numbers.below(x.rank().max(1)) as isize;
    match numbers.below(16) {
        0 => x.less(&y),
        1 => x.equal(&y),
        2 => x.greater_equal(&y),
        3 => x & y,
        4 => x.xor(&y),
        5 => !(x | y),
        6 => x.cast(DTYPES[numbers.below(4)]),
        7 if !truths => x + y,
        8 if !truths => x * y,
        9 if !truths => x - y,
        10 if !truths => x % 3,
        11 if !truths => truth(&y).select(&x, &(&x - 2)),
        12 if !truths && x.rank() > 0 => x.cumsum(axis),
        13 if !truths && x.rank() > 0 => x.sum_over(&[axis]),
        14 if !truths && x.rank() > 0 && !x.is_empty() => x.max_over(&[axis]),
        _ => views::view(&x, numbers),
    }
}

/// One of the values, later ones more often.
fn pick(values: &[Tensor], numbers: &mut Numbers) -> Tensor {
    let reach = if numbers.below(3) == 0 { values.len() } else { values.len().min(3) };
    values[values.len() - 1 - numbers.below(reach)].clone()
}

/// Whole numbers of a shape: the latest that can be repeated to it, or the number of each element.
pub fn like(values: &[Tensor], shape: &[usize], numbers: &mut Numbers) -> Tensor {
    let from = numbers.below(values.len().max(1));
    let order = values[..from].iter().rev().chain(values[from..].iter().rev());
    let spread = order.map(|t| t.broadcast_to(shape)).find(|t| t.error().is_none());
    spread.unwrap_or_else(|| Tensor::arange(shape.iter().product(), DType::I64).reshape(shape) % 5)
}

/// Where numbers are odd, and where truths are true.
pub fn truth(x: &Tensor) -> Tensor {
    if x.dtype() == DType::Bool { x.clone() } else { (x % 2).equal(&x.ones_like()) }
}

/// An index into `0..limit` of a shape, of either type that an index may have; half of them lie in a larger tensor.
pub fn index(values: &[Tensor], shape: &[usize], limit: usize, numbers: &mut Numbers) -> Tensor {
    let dtype = [DType::I64, DType::I32][numbers.below(2)];
    let (inside, backwards) = (numbers.below(2) == 0, numbers.below(2) == 0);
    let wide = match shape {
        [outer @ .., n] if inside => [outer, &[2 * n + 1]].concat(),
        _ => shape.to_vec(),
    };
    let index = like(values, &wide, numbers).cast(dtype) % Tensor::full(&wide, limit as f64, dtype);
    if wide == shape {
        return index;
    }
    index.slice(-1, if backwards { Index::range(-2, isize::MIN, -2) } else { Index::range(1, isize::MAX, 2) })
}
