//! What has as many elements as the data says: the places that are not zero, the elements a mask lets through, the
//! different ones, and how often each is there.
//!
//! A graph knows every shape before it runs, so these functions evaluate what the shape depends on, and return a
//! [`Result`]. What they pick is gathered from the tensor they were given and keeps its derivatives; counts and
//! positions have none. Inside a transform or a captured step, what is not known yet is an error.

use super::attempt::{Attempt, allowed, attempt, fits, nan, sound, typed};
use super::sort::last_order;
use crate::tensor::shape::broadcast_shapes;
use crate::tensor::{DType, Error, ErrorKind, Result, Tensor};

/// The different elements of a tensor, as [`Tensor::unique`] finds them.
#[derive(Clone, Debug)]
pub struct Unique {
    /// The elements in ascending order, each once: gathered from the tensor.
    pub values: Tensor,
    /// How often each is there (i64).
    pub counts: Tensor,
    /// Where each stands first, in the flattened tensor (i64).
    pub first: Tensor,
    /// For each element of the tensor, in its shape, which of `values` it is (i64).
    pub inverse: Tensor,
}

/// How many elements fall into each bin, as [`Tensor::histogram`] counts them.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Elements of each bin (i64).
    pub counts: Tensor,
    /// Where bins begin and, one more, end (f64).
    pub edges: Tensor,
}

impl Tensor {
    /// The places of the flattened tensor that are not 0 (or true), ascending, i64.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[0, 3], [4, 0]]);
    /// assert_eq!(x.flatnonzero()?.to_vec::<i64>()?, [1, 2]);
    /// assert_eq!(x.argwhere()?.to_vec2::<i64>()?, [[0, 1], [1, 0]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of evaluating the tensor.
    #[track_caller]
    pub fn flatnonzero(&self) -> Result<Tensor> {
        let places = self.places()?;
        Ok(Tensor::from_slice(&places, [places.len()]))
    }

    /// The places that are not 0 (or true), in order: `[count, rank]`, i64. NumPy's `argwhere`, PyTorch's `nonzero`.
    ///
    /// # Errors
    /// Those of evaluating the tensor.
    #[track_caller]
    pub fn argwhere(&self) -> Result<Tensor> {
        let (places, rank) = (self.places()?, self.rank());
        let mut table = Vec::with_capacity(places.len() * rank);
        for &place in &places {
            let start = table.len();
            let mut rest = place;
            for &size in self.shape().iter().rev() {
                table.push(rest % size as i64);
                rest /= size as i64;
            }
            table[start..].reverse();
        }
        Ok(Tensor::from_slice(&table, [places.len(), rank]))
    }

    /// The places that are not 0 (or true), in order: for each axis one vector (i64) of positions, as [`Tensor::pick`]
    /// takes them. NumPy's `nonzero`.
    ///
    /// # Errors
    /// Those of evaluating the tensor.
    #[track_caller]
    pub fn nonzero(&self) -> Result<Vec<Tensor>> {
        let table = self.argwhere()?;
        Ok((0..self.rank() as isize).map(|axis| table.index(1, axis)).collect())
    }

    /// The elements where a mask (bool) is true, in order, one axis; tensor and mask are broadcast to one shape.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([1.0, -2.0, 3.0]);
    /// let positive = x.greater(&x.zeros_like());
    /// assert_eq!(x.masked_select(&positive)?.to_vec::<f32>()?, [1.0, 3.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the shapes do not broadcast, the mask is not bool, or its value is not to be had.
    #[track_caller]
    pub fn masked_select(&self, mask: &Tensor) -> Result<Tensor> {
        let picked = attempt(|| {
            sound(&[self])?;
            typed("masked_select", mask, "a mask of type bool", |dtype| dtype == DType::Bool)?;
            let shape = together("masked_select", self, mask)?;
            let places = mask.broadcast_to(&shape).flatnonzero().map_err(Tensor::poison)?;
            Ok(self.broadcast_to(&shape).flatten().gather(&places))
        });
        picked.check()?;
        Ok(picked)
    }

    /// `value` where a mask (bool) is true, the elements elsewhere; tensor and mask are broadcast to one shape. What is
    /// masked contributes nothing to the gradient. Evaluates nothing.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([1.0, f64::NAN]);
    /// assert_eq!(x.masked_fill(&x.is_nan(), 0.0).to_vec::<f32>()?, [1.0, 0.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor, value: f64) -> Tensor {
        attempt(|| {
            sound(&[self])?;
            typed("masked_fill", mask, "a mask of type bool", |dtype| dtype == DType::Bool)?;
            let shape = together("masked_fill", self, mask)?;
            Ok(mask.select(&Tensor::full(shape, value, self.dtype()), self))
        })
    }

    /// The different elements, ascending, and how often and where each is there. All NaN are one, the two zeros are
    /// one (the first that is met).
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let found = Tensor::from([[3, 1], [1, 2]]).unique()?;
    /// assert_eq!(found.values.to_vec::<i32>()?, [1, 2, 3]);
    /// assert_eq!(found.counts.to_vec::<i64>()?, [2, 1, 1]);
    /// assert_eq!(found.inverse.to_vec2::<i64>()?, [[2, 0], [0, 1]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of evaluating the tensor.
    #[track_caller]
    pub fn unique(&self) -> Result<Unique> {
        self.check()?;
        let flat = self.flatten();
        let order = last_order(&flat, false);
        let sorted = flat.gather(&order);
        let next = |from: usize, to: usize| sorted.at(from..to);
        let size = flat.len();
        // Whether each sorted element but the first is another than the one before.
        let (before, after) = (next(0, size.saturating_sub(1)), next(size.min(1), size));
        let differs = before.not_equal(&after) & !(nan(&before) & nan(&after));
        Tensor::eval_all(&[&order, &differs])?;
        let (order, differs) = (order.to_vec::<i64>()?, differs.to_vec::<bool>()?);
        let (mut first, mut counts, mut inverse) = (Vec::new(), Vec::<i64>::new(), vec![0; size]);
        for (at, &place) in order.iter().enumerate() {
            if at == 0 || differs[at - 1] {
                first.push(place);
                counts.push(0);
            }
            counts[first.len() - 1] += 1;
            inverse[place as usize] = first.len() as i64 - 1;
        }
        let first = Tensor::from_slice(&first, [first.len()]);
        let counts = Tensor::from_slice(&counts, [counts.len()]);
        let values = if size == 0 { flat } else { flat.gather(&first) };
        Ok(Unique { values, counts, first, inverse: Tensor::from_slice(&inverse, self.shape()) })
    }

    /// How often each of `0, 1, ..` is among the elements, which are integers and not negative: as many as the largest
    /// asks for, and at least `least`. With weights, of the tensor's shape, they are added up instead, and have
    /// derivatives.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([1, 3, 1]);
    /// assert_eq!(x.bincount(None, 0)?.to_vec::<i64>()?, [0, 2, 0, 1]);
    /// let weights = Tensor::from([0.5, 0.25, 1.0]);
    /// assert_eq!(x.bincount(Some(&weights), 5)?.to_vec::<f32>()?, [0.0, 1.5, 0.0, 0.25, 0.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// Of elements that are negative or no integers, of weights of another shape, and those of evaluating the tensor.
    #[track_caller]
    pub fn bincount(&self, weights: Option<&Tensor>, least: usize) -> Result<Tensor> {
        let counted = attempt(|| {
            typed("bincount", self, "integers", |dtype| !dtype.is_float() && dtype != DType::Bool)?;
            let numbers = self.cast(DType::I64).flatten();
            let found = numbers.to_vec::<i64>().map_err(Tensor::poison)?;
            let lowest = found.iter().min().copied().unwrap_or(0);
            allowed("bincount", lowest >= 0, || format!("{lowest} is negative, and has no place"))?;
            let size = found.iter().max().map_or(0, |&largest| largest as usize + 1).max(least);
            match weights {
                Some(weights) => {
                    sound(&[weights])?;
                    let message = || format!("weights {:?} for elements {:?}", weights.shape(), self.shape());
                    fits("bincount", weights.shape() == self.shape(), message)?;
                    Ok(weights.flatten().scatter_add(&numbers, size))
                }
                None => Ok(numbers.ones_like().scatter_add(&numbers, size)),
            }
        });
        counted.check()?;
        Ok(counted)
    }

    /// How many elements fall into each of `bins` bins of equal width over a range, by default from the smallest to the
    /// largest element. A bin holds its lower edge, the last one its upper edge, too; what is outside is not counted.
    /// NumPy's `histogram`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let found = Tensor::from([1.0, 2.0, 1.0, 5.0]).histogram(4, None)?;
    /// assert_eq!(found.counts.to_vec::<i64>()?, [2, 1, 0, 1]);
    /// assert_eq!(found.edges.to_vec::<f64>()?, [1.0, 2.0, 3.0, 4.0, 5.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// Of no bins, of a range that is not finite or runs backwards, and those of evaluating the tensor.
    #[track_caller]
    pub fn histogram(&self, bins: usize, range: Option<(f64, f64)>) -> Result<Histogram> {
        let values = self.to_data()?.to_f64();
        let (mut low, mut high) = range.unwrap_or_else(|| extremes(&values));
        if bins == 0 || !low.is_finite() || !high.is_finite() || low > high {
            let message = format!("{bins} bins from {low} to {high}: there must be one, and a finite range that does not run backwards");
            return Err(Error::new(ErrorKind::Argument, "histogram", message));
        }
        if low == high {
            (low, high) = (low - 0.5, high + 0.5);
        }
        let edges = Tensor::linspace(low, high, bins + 1, DType::F64);
        let known = edges.to_vec::<f64>()?;
        let mut counts = vec![0_i64; bins];
        for value in values.into_iter().filter(|value| (low..=high).contains(value)) {
            // The edges decide, not a quotient that is rounded.
            counts[known.partition_point(|&edge| edge <= value).clamp(1, bins) - 1] += 1;
        }
        Ok(Histogram { counts: Tensor::from_slice(&counts, [bins]), edges })
    }

    fn places(&self) -> Result<Vec<i64>> {
        let wanted = if self.dtype() == DType::Bool { self.clone() } else { self.not_equal(&self.zeros_like()) };
        let flags = wanted.to_vec::<bool>()?;
        Ok(flags.iter().zip(0..).filter(|(flag, _)| **flag).map(|(_, at)| at).collect())
    }
}

/// The shape that a tensor and a mask have together.
fn together(name: &str, x: &Tensor, mask: &Tensor) -> Attempt<crate::tensor::Shape> {
    let joint = broadcast_shapes(x.shape(), mask.shape());
    fits(name, joint.is_ok(), || format!("{:?} and the mask {:?} do not broadcast", x.shape(), mask.shape()))?;
    Ok(joint.unwrap_or_default())
}

/// The smallest and the largest; from 0 to 1 of none.
fn extremes(values: &[f64]) -> (f64, f64) {
    match values.is_empty() {
        true => (0.0, 1.0),
        false => values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
            if value.is_nan() { (f64::NAN, f64::NAN) } else { (low.min(value), high.max(value)) }
        }),
    }
}
