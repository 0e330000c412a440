//! Products other than that of matrices: outer, Kronecker, cross, over chosen axes; powers of a vector; covariances.

use super::attempt::{alike, allowed, attempt, axes_of, axis_of, fits, floats, sound, typed};
use crate::ops::Einsum;
use crate::ops::contract::Labels;
use crate::tensor::shape::broadcast_shapes;
use crate::tensor::{DType, Shape, Tensor};

impl Tensor {
    /// Every product of an element of this and one of another tensor, both flattened: `[a, b]`. NumPy's `outer`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let y = Tensor::from([1, 2]).outer(&Tensor::from([3, 4, 5]));
    /// assert_eq!(y.to_vec2::<i32>()?, [[3, 4, 5], [6, 8, 10]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn outer(&self, other: &Tensor) -> Tensor {
        attempt(|| {
            alike("outer", self, other)?;
            Ok(self.reshape([self.len(), 1]) * other.reshape([1, other.len()]))
        })
    }

    /// The Kronecker product: each element of this tensor times all of another, in its place. NumPy's `kron`, of any
    /// numbers of axes.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let y = Tensor::from([[1, 2]]).kron(&Tensor::from([[1], [10]]));
    /// assert_eq!(y.to_vec2::<i32>()?, [[1, 2], [10, 20]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn kron(&self, other: &Tensor) -> Tensor {
        attempt(|| {
            alike("kron", self, other)?;
            let rank = self.rank().max(other.rank());
            let ones =
                |shape: &[usize]| -> Vec<usize> { std::iter::repeat_n(1, rank - shape.len()).chain(shape.iter().copied()).collect() };
            let (a, b) = (ones(self.shape()), ones(other.shape()));
            // Elements of the one and of the other in turn.
            let left: Shape = a.iter().flat_map(|&size| [size, 1]).collect();
            let right: Shape = b.iter().flat_map(|&size| [1, size]).collect();
            let product = self.reshape(left) * other.reshape(right);
            sound(&[&product])?;
            Ok(product.reshape(a.iter().zip(&b).map(|(a, b)| a * b).collect::<Shape>()))
        })
    }

    /// The cross product of vectors of three along an axis; the other axes broadcast. NumPy's `cross`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let y = Tensor::from([1.0, 0.0, 0.0]).cross(&Tensor::from([0.0, 1.0, 0.0]), -1);
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 0.0, 1.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn cross(&self, other: &Tensor, axis: isize) -> Tensor {
        attempt(|| {
            alike("cross", self, other)?;
            let joint = broadcast_shapes(self.shape(), other.shape());
            fits("cross", joint.is_ok(), || format!("{:?} and {:?} do not broadcast", self.shape(), other.shape()))?;
            let joint = joint.unwrap_or_default();
            let (a, b) = (self.broadcast_to(&joint), other.broadcast_to(&joint));
            let at = axis_of("cross", &a, axis)?;
            fits("cross", joint[at] == 3, || format!("axis {at} of {joint:?} is not 3"))?;
            let turned = |x: &Tensor, by: isize| x.roll(-by, at as isize);
            Ok(turned(&a, 1) * turned(&b, 2) - turned(&a, 2) * turned(&b, 1))
        })
    }

    /// The product summed over pairs of axes, `own[i]` of this tensor with `others[i]` of the other; the axes that are left
    /// follow each other. NumPy's `tensordot`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let (a, b) = (Tensor::ones([2, 3, 4]), Tensor::ones([4, 3, 5]));
    /// assert_eq!(a.tensordot(&b, &[1, 2], &[1, 0]).shape(), [2, 5]);
    /// ```
    #[track_caller]
    pub fn tensordot(&self, other: &Tensor, own: &[isize], others: &[isize]) -> Tensor {
        attempt(|| {
            let name = "tensordot";
            alike(name, self, other)?;
            fits(name, own.len() == others.len(), || format!("axes {own:?} with axes {others:?}"))?;
            let (own, others) = (axes_of(name, self, own)?, axes_of(name, other, others)?);
            let equal = own.iter().zip(&others).all(|(&a, &b)| self.shape()[a] == other.shape()[b]);
            fits(name, equal, || {
                format!("axes {own:?} of {:?} and {others:?} of {:?} are not of the same sizes", self.shape(), other.shape())
            })?;
            let a: Labels = (0..self.rank() as u8).collect();
            let label = |axis: usize| match others.iter().position(|&at| at == axis) {
                Some(pair) => own[pair] as u8,
                None => (self.rank() + axis) as u8,
            };
            let b: Labels = (0..other.rank()).map(label).collect();
            let kept = a.iter().filter(|label| !b.contains(label)).chain(b.iter().filter(|label| !a.contains(label)));
            let out: Labels = kept.copied().collect();
            Ok(Tensor::record(Einsum::of(a.clone(), b.clone(), out).in_scope(), [self.clone(), other.clone()]))
        })
    }

    /// Powers of the elements of a vector, one column each, from the highest to 0, or (`increasing`) from 0 on. NumPy's
    /// `vander`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// assert_eq!(Tensor::from([2, 3]).vander(3, true).to_vec2::<i32>()?, [[1, 2, 4], [1, 3, 9]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn vander(&self, columns: usize, increasing: bool) -> Tensor {
        attempt(|| {
            typed("vander", self, "numbers", |dtype| dtype != DType::Bool)?;
            fits("vander", self.rank() == 1, || format!("takes a vector, not {:?}", self.shape()))?;
            allowed("vander", columns <= 1 << 16, || format!("{columns} columns are more than 65536"))?;
            let mut powers = vec![self.ones_like()];
            while powers.len() < columns {
                powers.push(&powers[powers.len() - 1] * self);
            }
            powers.truncate(columns);
            if !increasing {
                powers.reverse();
            }
            if powers.is_empty() {
                return Ok(Tensor::full([self.len(), 0], 0.0, self.dtype()));
            }
            Ok(Tensor::stack(&powers.iter().collect::<Vec<_>>(), 1))
        })
    }

    /// Covariances of variables, one a row, whose columns are observations: `[variables, variables]`, sums of products of
    /// distances from the means divided by `observations - correction` (1: unbiased). NumPy's `cov` with `ddof`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]);
    /// assert_eq!(x.cov(1).to_vec2::<f32>()?, [[1.0, -1.0], [-1.0, 1.0]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn cov(&self, correction: usize) -> Tensor {
        attempt(|| {
            floats("cov", self)?;
            fits("cov", (1..=2).contains(&self.rank()), || format!("takes variables x observations, not {:?}", self.shape()))?;
            let rows = super::wide(&self.atleast_2d());
            let observations = rows.shape()[1];
            // Not 0: that would make a variance that is not known infinite.
            let divisor = if observations > correction { (observations - correction) as f64 } else { f64::NAN };
            let distances = &rows - rows.mean_keep(&[1]);
            let products = distances.matmul(&distances.t()) / divisor;
            let whole = if self.rank() == 1 { products.reshape(()) } else { products };
            Ok(whole.cast(self.dtype()))
        })
    }

    /// Correlations of variables, one a row: [`Tensor::cov`] over the products of standard deviations, NaN of a variable
    /// that does not vary. NumPy's `corrcoef`.
    #[track_caller]
    pub fn corrcoef(&self) -> Tensor {
        attempt(|| {
            floats("corrcoef", self)?;
            fits("corrcoef", (1..=2).contains(&self.rank()), || format!("takes variables x observations, not {:?}", self.shape()))?;
            let rows = super::wide(&self.atleast_2d());
            let distances = &rows - rows.mean_keep(&[1]);
            let lengths = distances.square().sum_keep(&[1]).sqrt();
            let directions = &distances / lengths;
            let whole = directions.matmul(&directions.t());
            let whole = if self.rank() == 1 { whole.reshape(()) } else { whole };
            Ok(whole.cast(self.dtype()))
        })
    }
}
