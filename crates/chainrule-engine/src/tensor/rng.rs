//! Random tensors from an explicit source of keys.
//!
//! Refuses to keep a global generator: the same seed and the same calls give the same numbers,
//! on any number of threads.

use super::creation::IntoShape;
use super::{DType, Data, Error, ErrorKind, Shape, Tensor};
use crate::ops::{Random, dtype_error};
use crate::tensor::random::word;
use std::sync::Arc;

/// A source of keys: each draw takes a key of its own, so no two draws share numbers.
///
/// Keys come from a seed, or from a tensor: then every draw is recorded as a function of that
/// tensor, and a captured step draws new numbers whenever it is given a new one.
#[derive(Clone, Debug)]
pub struct Rng {
    source: Source,
    count: u64,
}

#[derive(Clone, Debug)]
enum Source {
    Seed(i64),
    Key(Tensor),
}

impl Rng {
    /// The source with this seed.
    pub fn new(seed: u64) -> Rng {
        Rng { source: Source::Seed(seed as i64), count: 0 }
    }

    /// A source whose numbers depend on `key`, an i64 scalar, that may be a placeholder.
    pub fn from_key(key: &Tensor) -> Rng {
        Rng { source: Source::Key(key.clone()), count: 0 }
    }

    /// How many keys have been taken; with the seed, the whole state.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The source with this seed after `count` keys, to resume where one was left.
    pub fn resume(seed: u64, count: u64) -> Rng {
        Rng { source: Source::Seed(seed as i64), count }
    }

    /// The next key, an i64 scalar.
    #[track_caller]
    pub fn key(&mut self) -> Tensor {
        let at = self.count;
        self.count = at.wrapping_add(1);
        match &self.source {
            Source::Seed(seed) => Tensor::leaf(Shape::new(), Arc::new(Data::of(&[word(*seed, at) as i64]))),
            Source::Key(key) => Tensor::record(Random { bits: 64, shape: Shape::new(), offset: at }, [key.clone()]),
        }
    }

    /// One number from the stream, on the host. A key that has no value yet, or is a mistake,
    /// counts as 0: what is drawn here is drawn once, whatever a captured step is given later.
    pub fn next_u64(&mut self) -> u64 {
        let at = self.count;
        self.count = at.wrapping_add(1);
        match &self.source {
            Source::Seed(seed) => word(*seed, at),
            // Not the number of the node, which is another one in every run.
            Source::Key(key) => word(key.to_vec::<i64>().ok().and_then(|key| key.first().copied()).unwrap_or(0), at),
        }
    }
}

impl Tensor {
    /// Numbers uniform in `[0, 1)`, f32: multiples of 2^-24.
    #[track_caller]
    pub fn rand(shape: impl IntoShape, rng: &mut Rng) -> Tensor {
        Tensor::rand_of(shape, DType::F32, rng)
    }

    /// Numbers uniform in `[0, 1)`: multiples of 2^-53 for f64, 2^-24 for f32, 2^-11 for f16, 2^-8 for bf16.
    #[track_caller]
    pub fn rand_of(shape: impl IntoShape, dtype: DType, rng: &mut Rng) -> Tensor {
        let bits = match dtype {
            DType::F64 => 53,
            DType::F32 => 24,
            DType::F16 => 11,
            DType::BF16 => 8,
            _ => return Tensor::poison(dtype_error("rand", format!("gives floats, not {dtype}; see `randint`"))),
        };
        let draw = Tensor::record(Random { bits, shape: shape.into_shape(), offset: 0 }, [rng.key()]);
        draw.cast(dtype) * 0.5f64.powi(bits as i32)
    }

    /// Standard normal numbers, f32, by the transform of Box and Muller (1958).
    #[track_caller]
    pub fn randn(shape: impl IntoShape, rng: &mut Rng) -> Tensor {
        Tensor::randn_of(shape, DType::F32, rng)
    }

    /// Standard normal numbers of a float type.
    #[track_caller]
    pub fn randn_of(shape: impl IntoShape, dtype: DType, rng: &mut Rng) -> Tensor {
        if !dtype.is_float() {
            return Tensor::poison(dtype_error("randn", format!("gives floats, not {dtype}; convert with `cast`")));
        }
        let shape = shape.into_shape();
        let wide = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
        // 1 - u is in (0, 1], so its logarithm is finite.
        let radius = ((1.0 - Tensor::rand_of(shape.clone(), wide, rng)).log() * -2.0).sqrt();
        let angle = Tensor::rand_of(shape, wide, rng) * std::f64::consts::TAU;
        (radius * angle.cos()).cast(dtype)
    }

    /// Whole numbers uniform in `0..limit`, i64. The bias is below `limit` / 2^53.
    #[track_caller]
    pub fn randint(shape: impl IntoShape, limit: usize, rng: &mut Rng) -> Tensor {
        // Beyond 2^53 a float has not the digits for every number below the limit.
        if limit == 0 || limit > 1 << 53 {
            let message = format!("the limit is {limit}, and must be from 1 to 2^53");
            return Tensor::poison(Error::new(ErrorKind::Argument, "randint", message));
        }
        (Tensor::rand_of(shape, DType::F64, rng) * limit as f64).floor().cast(DType::I64)
    }

    /// True with probability `p`, from 0 to 1.
    #[track_caller]
    pub fn bernoulli(shape: impl IntoShape, p: f64, rng: &mut Rng) -> Tensor {
        if !(0.0..=1.0).contains(&p) {
            let message = format!("the probability is {p}, and must be from 0 to 1");
            return Tensor::poison(Error::new(ErrorKind::Argument, "bernoulli", message));
        }
        let shape = shape.into_shape();
        let draw = Tensor::record(Random { bits: 24, shape: shape.clone(), offset: 0 }, [rng.key()]);
        let threshold = (p * (1u32 << 24) as f64).round();
        draw.less(&Tensor::full(shape, threshold, DType::I32))
    }
}
