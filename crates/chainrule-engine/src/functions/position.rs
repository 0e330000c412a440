//! How attention learns places: rotary embeddings of queries and keys, and biases that grow with distance.

use super::{disallowed, misfit, part, recorded, refuse_unless_float, wide};
use crate::ops::dtype_error;
use crate::tensor::shape::broadcast_shapes;
use crate::tensor::{DType, Tensor};

/// How [`rotary_embedding`] turns vectors.
#[derive(Clone, Debug)]
pub struct RotaryOptions {
    /// Pair `i` of `n` turns by `base^(-i / n)` radians from each place to the next.
    pub base: f64,
    /// Whether a pair is two neighbours, and not one number of the first half and one of the second.
    pub interleaved: bool,
    /// How many of the first numbers turn, an even number; all if not given.
    pub width: Option<usize>,
    /// The place of each vector, of a shape that broadcasts to all axes but the last; `0, 1, ..` if not given.
    pub positions: Option<Tensor>,
}

impl Default for RotaryOptions {
    fn default() -> Self {
        RotaryOptions { base: 10_000.0, interleaved: false, width: None, positions: None }
    }
}

/// Vectors `[.., time, width]` whose pairs of numbers are turned by an angle that grows with their place, so that the
/// product of two depends on their distance alone. Su et al., "RoFormer" (2021), equation 34.
///
/// ```
/// use chainrule_engine::{Tensor, functions::rotary_embedding};
/// let x = Tensor::from_slice(&[1.0f64, 0.0, 1.0, 0.0], [2, 2]);
/// let y = rotary_embedding(&x, &Default::default()).to_vec::<f64>()?;
/// assert_eq!(y[..2], [1.0, 0.0]);
/// assert!((y[2] - 1f64.cos()).abs() < 1e-15 && (y[3] - 1f64.sin()).abs() < 1e-15);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn rotary_embedding(x: &Tensor, options: &RotaryOptions) -> Tensor {
    let name = "rotary_embedding";
    if let Some(mistake) = refuse_unless_float(name, x) {
        return mistake;
    }
    let Some((&own, places)) = x.shape().split_last().filter(|(_, places)| !places.is_empty()) else {
        return misfit(name, format!("takes [.., time, width], not {:?}", x.shape()));
    };
    let width = options.width.unwrap_or(own);
    if width > own || !width.is_multiple_of(2) {
        return misfit(name, format!("{width} of {own} numbers are no pairs"));
    }
    let positive = options.base > 0.0 && options.base.is_finite();
    if !positive {
        return disallowed(name, &[x], format!("the base is {}, and must be positive", options.base));
    }
    if let Some(positions) = &options.positions {
        if positions.error().is_some() {
            return positions.clone();
        }
        if positions.dtype() == DType::Bool {
            return Tensor::poison(dtype_error(name, "positions are numbers, not bool".into()));
        }
        if !broadcast_shapes(positions.shape(), places).is_ok_and(|joint| joint[..] == *places) {
            return misfit(name, format!("positions {:?} do not broadcast to {places:?}", positions.shape()));
        }
    }
    recorded(|| turned(x, width, options))
}

fn turned(x: &Tensor, width: usize, options: &RotaryOptions) -> Tensor {
    let (pairs, rank) = (width / 2, x.rank());
    let positions = match &options.positions {
        Some(positions) => positions.cast(DType::F64),
        None => Tensor::arange(x.shape()[rank - 2], DType::F64),
    };
    // Angles in double precision: a large place times a small step leaves a single float few digits of the turn.
    let steps: Vec<f64> = (0..pairs).map(|i| options.base.powf(-(i as f64) / pairs as f64)).collect();
    let angles = positions.unsqueeze(-1) * Tensor::from_vec(steps, pairs);
    let w = wide(x);
    let (cos, sin) = (angles.cos().cast(w.dtype()), angles.sin().cast(w.dtype()));
    let still = part(&w, rank - 1, width, x.shape()[rank - 1]);
    let moving = part(&w, rank - 1, 0, width);
    let turn = |a: &Tensor, b: &Tensor| [a * &cos - b * &sin, b * &cos + a * &sin];
    let moved = if options.interleaved {
        let pairs = moving.reshape([&x.shape()[..rank - 1], &[pairs, 2]].concat());
        let [a, b] = turn(&pairs.index(-1, 0), &pairs.index(-1, 1));
        Tensor::stack(&[&a, &b], -1).reshape(moving.shape())
    } else {
        let [a, b] = turn(&part(&moving, rank - 1, 0, pairs), &part(&moving, rank - 1, pairs, width));
        Tensor::concat(&[&a, &b], -1)
    };
    Tensor::concat(&[&moved, &still], -1).cast(x.dtype())
}

/// By how much the scores of each head fall for each place of distance: `2^(-8 i / heads)` for `i` from 1, where
/// `heads` is a power of two; else those of the power below, and of twice as many every other one. Press, Smith,
/// Lewis, "Train Short, Test Long" (2022).
pub fn alibi_slopes(heads: usize) -> Vec<f64> {
    let slopes = |n: usize| (1..=n).map(move |i| 2f64.powf(-8.0 * i as f64 / n as f64));
    match heads {
        0 => Vec::new(),
        _ if heads.is_power_of_two() => slopes(heads).collect(),
        _ => {
            let below = heads.next_power_of_two() / 2;
            slopes(below).chain(slopes(2 * below).step_by(2).take(heads - below)).collect()
        }
    }
}

/// `[heads, queries, keys]`: the distance between the places of query and key times minus the slope of the head
/// ([`alibi_slopes`]), to be added to scores as a mask. The last query is at the place of the last key.
///
/// ```
/// use chainrule_engine::{DType, functions::alibi_bias};
/// let bias = alibi_bias(1, 2, 2, DType::F64).to_vec::<f64>()?;
/// assert_eq!(bias, [0.0, -0.00390625, -0.00390625, 0.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn alibi_bias(heads: usize, queries: usize, keys: usize, dtype: DType) -> Tensor {
    if !dtype.is_float() {
        return Tensor::poison(dtype_error("alibi_bias", format!("gives floats, not {dtype}")));
    }
    recorded(|| {
        let place = |n: usize, first: f64| Tensor::arange(n, DType::F64) + first;
        let query = place(queries, keys as f64 - queries as f64).unsqueeze(-1);
        let distance = (query - place(keys, 0.0)).abs();
        let slopes = Tensor::from_vec(alibi_slopes(heads), [heads, 1, 1]);
        (-(slopes * distance)).cast(dtype)
    })
}
