//! Numbers at regular distances: ranges, and scales of powers.

use super::attempt::{allowed, attempt};
use crate::tensor::{DType, Error, ErrorKind, Tensor};

impl Tensor {
    /// The numbers from `start` to before `stop`, `step` apart: `start + i * step`. NumPy's `arange` with three numbers.
    ///
    /// ```
    /// use chainrule_engine::{DType, Tensor};
    /// assert_eq!(Tensor::range(1.0, 2.0, 0.25, DType::F64).to_vec::<f64>()?, [1.0, 1.25, 1.5, 1.75]);
    /// assert_eq!(Tensor::range(3.0, 0.0, -1.0, DType::I64).to_vec::<i64>()?, [3, 2, 1]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn range(start: f64, stop: f64, step: f64, dtype: DType) -> Tensor {
        attempt(|| {
            let count = ((stop - start) / step).ceil();
            let message = || format!("from {start} to {stop} by {step}: the numbers must be finite, and the step not 0");
            allowed("range", step != 0.0 && [start, stop, step, count].iter().all(|number| number.is_finite()), message)?;
            spaced("range", count.max(0.0), dtype, |i| start + i * step)
        })
    }

    /// `count` numbers from `base^start` to `base^stop`, whose exponents are at equal distances. NumPy's `logspace`.
    ///
    /// ```
    /// use chainrule_engine::{DType, Tensor};
    /// assert_eq!(Tensor::logspace(0.0, 3.0, 4, 10.0, DType::F64).to_vec::<f64>()?, [1.0, 10.0, 100.0, 1000.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn logspace(start: f64, stop: f64, count: usize, base: f64, dtype: DType) -> Tensor {
        attempt(|| spaced("logspace", count as f64, dtype, |i| base.powf(between(start, stop, i, count))))
    }

    /// `count` numbers from `start` to `stop`, both included, of one sign, each the same multiple of the one before. NumPy's
    /// `geomspace`.
    #[track_caller]
    pub fn geomspace(start: f64, stop: f64, count: usize, dtype: DType) -> Tensor {
        attempt(|| {
            let message = || format!("from {start} to {stop}: both must be finite, of one sign, and not 0");
            allowed("geomspace", start * stop > 0.0 && start.is_finite() && stop.is_finite(), message)?;
            let (low, high) = (start.abs().ln(), stop.abs().ln());
            spaced("geomspace", count as f64, dtype, |i| match i {
                0.0 => start,
                i if i + 1.0 == count as f64 => stop,
                i => start.signum() * between(low, high, i, count).exp(),
            })
        })
    }
}

fn between(start: f64, stop: f64, i: f64, count: usize) -> f64 {
    let last = count.saturating_sub(1) as f64;
    if i > 0.0 && i == last { stop } else { start + (stop - start) * (i / last.max(1.0)) }
}

fn spaced(name: &str, count: f64, dtype: DType, number: impl Fn(f64) -> f64) -> super::attempt::Attempt {
    let mut numbers: Vec<f64> = Vec::new();
    if count >= usize::MAX as f64 || numbers.try_reserve_exact(count as usize).is_err() {
        return Err(Tensor::poison(Error::new(ErrorKind::Machine, name, format!("{count} numbers do not fit in memory"))));
    }
    numbers.extend((0..count as usize).map(|i| number(i as f64)));
    Ok(Tensor::from_data(crate::tensor::Data::from_f64(dtype, &numbers), [numbers.len()]))
}
