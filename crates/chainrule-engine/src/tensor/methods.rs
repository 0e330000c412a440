//! What can be done with a tensor, short of what has a file of its own: functions of single
//! elements, comparisons, shapes, sums, products, gathers.
//!
//! Each method records one operation or a few. The names are NumPy's where it has one.

use super::creation::IntoShape;
use super::shape::{Shape, broadcast_shapes, resolve_axis};
use super::{DType, Error, ErrorKind, Tensor};
use crate::ops::movement::Axes;
use crate::ops::{
    Binary, Broadcast, Cast, Concat, CumulativeSum, Einsum, Gather, Max, Permute, Reshape, Reverse, ScatterAdd, Select, StopGradient, Sum,
    Unary, shape_error,
};

macro_rules! unary_methods {
    ($($(#[$doc:meta])* $method:ident => $op:ident),* $(,)?) => {
        impl Tensor {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $method(&self) -> Tensor {
                Tensor::record(Unary::$op, [self.clone()])
            }
        )*}
    };
}

unary_methods! {
    /// `e^x`, element by element.
    exp => Exp,
    /// Natural logarithm. `log(0)` is `-inf`, of a negative number NaN.
    log => Log,
    /// `log(1 + x)`, accurate near 0.
    log1p => Log1p,
    /// `e^x - 1`, accurate near 0.
    expm1 => Expm1,
    /// Square root; its derivative at 0 is infinite.
    sqrt => Sqrt,
    /// Sine of radians.
    sin => Sin,
    /// Cosine of radians.
    cos => Cos,
    /// Hyperbolic tangent.
    tanh => Tanh,
    /// Hyperbolic secant `1 / cosh(x) = 2 / (e^x + e^-x)`, without overflow; the derivative of
    /// `tanh` is its square.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([0.0, -1.0e3]);
    /// assert_eq!(x.sech().to_vec::<f32>()?, [1.0, 0.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    sech => Sech,
    /// `1 / (1 + e^-x)`.
    sigmoid => Sigmoid,
    /// `log(1 + e^x)`, without overflow.
    softplus => Softplus,
    /// The error function.
    erf => Erf,
    /// Inverse tangent, between -pi/2 and pi/2. Of a quotient, by the quadrant: [`Tensor::atan2`].
    atan => Atan,
    /// The integer at or below; its derivative is declared zero.
    floor => Floor,
}

macro_rules! binary_methods {
    ($($(#[$doc:meta])* $method:ident => $op:ident),* $(,)?) => {
        impl Tensor {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $method(&self, other: &Tensor) -> Tensor {
                Tensor::binary(Binary::$op, self.clone(), other.clone())
            }
        )*}
    };
}

binary_methods! {
    /// `self ^ other`, as IEEE 754 defines it.
    pow => Power,
    /// The smaller of the two, NaN if either is; a tie shares the derivative equally.
    minimum => Minimum,
    /// The larger of the two, NaN if either is; a tie shares the derivative equally.
    maximum => Maximum,
    /// `self * other`, but exactly 0 where `self` is 0: derivative rules scale with it.
    scale => Scale,
    /// `self < other`, bool.
    less => Less,
    /// `self == other`, bool.
    equal => Equal,
    /// Both, of bool tensors; of integers bit by bit.
    and => And,
    /// Either, of bool tensors; of integers bit by bit.
    or => Or,
    /// The integers' bits moved up by `other`, NumPy's `left_shift`: `self * 2^other`, without what leaves the type. By all
    /// bits or more, or by less than none, 0 is left.
    left_shift => ShiftLeft,
    /// The integers' bits moved down by `other`: `self / 2^other`, rounded down. By all bits or more, or by less than
    /// none, the sign is left: 0 or -1.
    right_shift => ShiftRight,
}

impl Tensor {
    /// `self > other`, bool.
    #[track_caller]
    pub fn greater(&self, other: &Tensor) -> Tensor {
        other.less(self)
    }

    /// `self <= other`, bool; false where either is NaN.
    #[track_caller]
    pub fn less_equal(&self, other: &Tensor) -> Tensor {
        self.less(other) | self.equal(other)
    }

    /// `self >= other`, bool; false where either is NaN.
    #[track_caller]
    pub fn greater_equal(&self, other: &Tensor) -> Tensor {
        other.less_equal(self)
    }

    /// `self != other`, bool.
    #[track_caller]
    pub fn not_equal(&self, other: &Tensor) -> Tensor {
        !self.equal(other)
    }

    /// `1 / x`.
    #[track_caller]
    pub fn recip(&self) -> Tensor {
        1.0 / self
    }

    /// `x * x`.
    #[track_caller]
    pub fn square(&self) -> Tensor {
        self * self
    }

    /// `x ^ exponent`. Small whole exponents are products; others use [`Tensor::pow`].
    #[track_caller]
    pub fn powf(&self, exponent: f64) -> Tensor {
        match exponent {
            // A power of floats, though always 1, has a derivative (0), which `ones_like` has not.
            0.0 if !self.dtype().is_float() => self.ones_like(),
            1.0 => self.clone(),
            2.0 => self.square(),
            3.0 => self.square() * self,
            4.0 => self.square().square(),
            0.5 => self.sqrt(),
            -1.0 => self.recip(),
            _ => Tensor::with_number(Binary::Power, self, exponent, false),
        }
    }

    /// Of a bool tensor: `a` where true, `b` elsewhere, all three broadcast to one shape. The
    /// branch not taken contributes nothing to the gradient, whatever its value.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([-1.0, 4.0]);
    /// let zero = x.zeros_like();
    /// let y = x.greater(&zero).select(&x.sqrt(), &zero);
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 2.0]);
    /// assert_eq!(y.sum().grad(&[&x])?[0].to_vec::<f32>()?, [0.0, 0.25]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn select(&self, a: &Tensor, b: &Tensor) -> Tensor {
        if let Some(poisoned) = [self, a, b].into_iter().find(|t| t.error().is_some()) {
            return poisoned.clone();
        }
        let shape = broadcast_shapes(a.shape(), b.shape()).and_then(|shape| broadcast_shapes(&shape, self.shape()));
        match shape {
            Ok(shape) => Tensor::record(Select, [self.broadcast_to(&shape), a.broadcast_to(&shape), b.broadcast_to(&shape)]),
            Err(_) => {
                let message = format!("condition {:?} and branches {:?}, {:?} do not broadcast", self.shape(), a.shape(), b.shape());
                Tensor::poison(shape_error("select", message))
            }
        }
    }

    /// The same numbers as another element type: floats truncate toward zero, and saturate.
    #[track_caller]
    pub fn cast(&self, dtype: DType) -> Tensor {
        if self.dtype() == dtype { self.clone() } else { Tensor::record(Cast(dtype), [self.clone()]) }
    }

    /// The value without its history: gradients do not pass.
    #[track_caller]
    pub fn detach(&self) -> Tensor {
        Tensor::record(StopGradient, [self.clone()])
    }

    /// The same elements, row by row, under another shape.
    #[track_caller]
    pub fn reshape(&self, shape: impl IntoShape) -> Tensor {
        let shape = shape.into_shape();
        if self.shape() == &shape[..] { self.clone() } else { Tensor::record(Reshape(shape), [self.clone()]) }
    }

    /// All elements in one axis.
    #[track_caller]
    pub fn flatten(&self) -> Tensor {
        self.reshape([self.len()])
    }

    /// Axis `i` of the result is axis `order[i]`.
    #[track_caller]
    pub fn permute(&self, order: impl AsRef<[usize]>) -> Tensor {
        let order = order.as_ref();
        if order.iter().copied().eq(0..self.rank()) {
            return self.clone();
        }
        Tensor::record(Permute(Axes::from_slice(order)), [self.clone()])
    }

    /// Two axes exchanged; negative axes count from the end.
    #[track_caller]
    pub fn transpose(&self, a: isize, b: isize) -> Tensor {
        let (Some(a), Some(b)) = (self.axis("transpose", a), self.axis("transpose", b)) else {
            return self.no_axis("transpose", if self.axis("transpose", a).is_none() { a } else { b });
        };
        let mut order: Axes = (0..self.rank()).collect();
        order.swap(a, b);
        self.permute(order)
    }

    /// The matrix transposed: the last two axes exchanged.
    #[track_caller]
    pub fn t(&self) -> Tensor {
        self.transpose(-2, -1)
    }

    /// Elements repeated to fill a larger shape, by NumPy's rule.
    #[track_caller]
    pub fn broadcast_to(&self, shape: impl IntoShape) -> Tensor {
        let shape = shape.into_shape();
        if self.shape() == &shape[..] || self.error().is_some() {
            return self.clone();
        }
        let fits = broadcast_shapes(self.shape(), &shape).is_ok_and(|joint| joint == shape);
        if !fits {
            return Tensor::poison(shape_error("broadcast_to", format!("{:?} does not broadcast to {shape:?}", self.shape())));
        }
        let new = shape.len() - self.rank();
        let repeated = |axis: &usize| *axis < new || (self.shape()[axis - new] == 1 && shape[*axis] != 1);
        let axes: Axes = (0..shape.len()).filter(repeated).collect();
        let kept: Shape = (0..shape.len()).filter(|axis| !repeated(axis)).map(|axis| shape[axis]).collect();
        let sizes = axes.iter().map(|&axis| shape[axis]).collect();
        Tensor::record(Broadcast { axes, sizes }, [self.reshape(kept)])
    }

    /// A new axis of size 1 at `axis` (negative: counted from the end of the result).
    #[track_caller]
    pub fn unsqueeze(&self, axis: isize) -> Tensor {
        match resolve_axis(axis, self.rank() + 1) {
            Some(axis) => {
                let mut shape = self.ty().shape.clone();
                shape.insert(axis, 1);
                self.reshape(shape)
            }
            None => self.no_axis("unsqueeze", axis),
        }
    }

    /// The axis, of size 1, removed.
    #[track_caller]
    pub fn squeeze(&self, axis: isize) -> Tensor {
        match self.axis("squeeze", axis) {
            Some(at) if self.shape()[at] == 1 => {
                let mut shape = self.ty().shape.clone();
                shape.remove(at);
                self.reshape(shape)
            }
            Some(at) => Tensor::poison(shape_error("squeeze", format!("axis {at} of {:?} is not 1", self.shape()))),
            None => self.no_axis("squeeze", axis),
        }
    }

    /// The axes run backwards.
    #[track_caller]
    pub fn flip(&self, axes: &[isize]) -> Tensor {
        match self.resolved("flip", axes) {
            Ok(axes) if axes.is_empty() => self.clone(),
            Ok(axes) => Tensor::record(Reverse(axes), [self.clone()]),
            Err(error) => self.mistaken(error),
        }
    }

    /// Tensors laid end to end along an axis.
    #[track_caller]
    pub fn concat(tensors: &[&Tensor], axis: isize) -> Tensor {
        let Some(first) = tensors.first() else {
            return Tensor::poison(shape_error("concat", "there is nothing to join".into()));
        };
        match first.axis("concat", axis) {
            Some(axis) => Tensor::record(Concat { axis }, tensors.iter().map(|&t| t.clone()).collect::<super::node::Inputs>()),
            None => first.no_axis("concat", axis),
        }
    }

    /// Tensors of one shape laid along a new axis.
    #[track_caller]
    pub fn stack(tensors: &[&Tensor], axis: isize) -> Tensor {
        let mut wide = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            wide.push(tensor.unsqueeze(axis));
        }
        Tensor::concat(&wide.iter().collect::<Vec<_>>(), axis)
    }

    /// The sum of all elements, a scalar.
    #[track_caller]
    pub fn sum(&self) -> Tensor {
        let all: Vec<isize> = (0..self.rank() as isize).collect();
        self.sum_over(&all)
    }

    /// Sums over the axes, which are removed.
    #[track_caller]
    pub fn sum_over(&self, axes: &[isize]) -> Tensor {
        match self.resolved("sum", axes) {
            Ok(axes) if axes.is_empty() => self.clone(),
            Ok(axes) => Tensor::record(Sum(axes), [self.clone()]),
            Err(error) => self.mistaken(error),
        }
    }

    /// The largest element, a scalar; NaN if there is one. Ties share the derivative.
    #[track_caller]
    pub fn max(&self) -> Tensor {
        let all: Vec<isize> = (0..self.rank() as isize).collect();
        self.max_over(&all)
    }

    /// The largest elements along the axes, which are removed.
    #[track_caller]
    pub fn max_over(&self, axes: &[isize]) -> Tensor {
        match self.resolved("max", axes) {
            Ok(axes) if axes.is_empty() => self.clone(),
            Ok(axes) => Tensor::record(Max(axes), [self.clone()]),
            Err(error) => self.mistaken(error),
        }
    }

    /// Running sum along an axis.
    #[track_caller]
    pub fn cumsum(&self, axis: isize) -> Tensor {
        match self.axis("cumsum", axis) {
            Some(axis) => Tensor::record(CumulativeSum { axis, reverse: false }, [self.clone()]),
            None => self.no_axis("cumsum", axis),
        }
    }

    /// The product of two operands by labels, such as `a.einsum("bij,bjk->bik", &b)`. A label that
    /// stands in one operand only and not in the result is summed.
    #[track_caller]
    pub fn einsum(&self, labels: &str, other: &Tensor) -> Tensor {
        let parts =
            labels.split_once("->").and_then(|(operands, out)| operands.split_once(',').map(|(a, b)| (a.trim(), b.trim(), out.trim())));
        let Some((a, b, out)) = parts else {
            let message = format!("'{labels}' is not of the form 'ij,jk->ik'");
            return Tensor::poison(Error::new(ErrorKind::Argument, "einsum", message));
        };
        // Both axes of a label that stands twice would be summed, each by itself: no diagonal.
        let twice = |own: &str| own.char_indices().find(|&(at, label)| own[..at].contains(label)).map(|(_, label)| label);
        if let Some(label) = twice(a).or_else(|| twice(b)) {
            let message = format!("label '{label}' twice in one operand of '{labels}'; pick the diagonal first");
            return self.mistaken(Error::new(ErrorKind::Argument, "einsum", message));
        }
        let (left, a) = self.without_lonely(a, b, out);
        let (right, b) = other.without_lonely(b, &a, out);
        Tensor::record(Einsum::new(&a, &b, out).in_scope(), [left, right])
    }

    /// Sums the axes whose label stands nowhere else.
    #[track_caller]
    fn without_lonely(&self, own: &str, other: &str, out: &str) -> (Tensor, String) {
        let lonely = |label: char| !other.contains(label) && !out.contains(label);
        let axes: Vec<isize> = own.chars().enumerate().filter(|&(_, label)| lonely(label)).map(|(axis, _)| axis as isize).collect();
        if axes.is_empty() || own.len() != self.rank() {
            return (self.clone(), own.into());
        }
        (self.sum_over(&axes), own.chars().filter(|&label| !lonely(label)).collect())
    }

    /// The matrix product over the last two axes; leading axes broadcast. A vector on either side
    /// is a row on the left, a column on the right, and leaves no axis.
    #[track_caller]
    pub fn matmul(&self, other: &Tensor) -> Tensor {
        if let Some(poisoned) = [self, other].into_iter().find(|t| t.error().is_some()) {
            return poisoned.clone();
        }
        let (a, b) = (self.shape(), other.shape());
        let mismatch = |why: &str| shape_error("matmul", format!("{why}: {a:?} x {b:?}"));
        if a.is_empty() || b.is_empty() {
            return Tensor::poison(mismatch("a scalar is no matrix"));
        }
        let (inner_a, inner_b) = (a[a.len() - 1], b[b.len().saturating_sub(2).min(b.len() - 1)]);
        if inner_a != inner_b {
            let why = format!("inner dimensions differ: {a:?} x {b:?} ({inner_a} != {inner_b})");
            return Tensor::poison(shape_error("matmul", why));
        }
        let (batch_a, batch_b) = (&a[..a.len().saturating_sub(2)], &b[..b.len().saturating_sub(2)]);
        let Ok(batch) = broadcast_shapes(batch_a, batch_b) else {
            return Tensor::poison(mismatch("leading dimensions do not broadcast"));
        };
        // A batch axis that an operand lacks, or has once while the other has it more often, is
        // not labelled there: the product repeats it by itself. One of size 1 in both stays in the first.
        let name = |axis: usize| 4 + axis as u8;
        let size_in = |own: &[usize], axis: usize| (axis + own.len()).checked_sub(batch.len()).map(|i| own[i]);
        let in_a = |axis: &usize| size_in(batch_a, *axis) == Some(batch[*axis]);
        let in_b = |axis: &usize| size_in(batch_b, *axis) == Some(batch[*axis]) && (batch[*axis] != 1 || !in_a(axis));
        let (kept_a, kept_b): (Axes, Axes) = ((0..batch.len()).filter(in_a).collect(), (0..batch.len()).filter(in_b).collect());
        let left: Shape = kept_a.iter().map(|&axis| batch[axis]).chain(a[batch_a.len()..].iter().copied()).collect();
        let right: Shape = kept_b.iter().map(|&axis| batch[axis]).chain(b[batch_b.len()..].iter().copied()).collect();
        let mut spec = Einsum::new("", "", "").in_scope();
        spec.a.extend(kept_a.into_iter().map(name));
        spec.b.extend(kept_b.into_iter().map(name));
        spec.out.extend((0..batch.len()).map(name));
        if a.len() > 1 {
            spec.a.push(1);
            spec.out.push(1);
        }
        spec.a.push(2);
        spec.b.push(2);
        if b.len() > 1 {
            spec.b.push(3);
            spec.out.push(3);
        }
        Tensor::record(spec, [self.reshape(left), other.reshape(right)])
    }

    /// The parts of axis 0 that an integer tensor names: `out[i.., ..] = self[index[i..], ..]`.
    #[track_caller]
    pub fn gather(&self, index: &Tensor) -> Tensor {
        Tensor::record(Gather { batch: 0 }, [self.clone(), index.clone()])
    }

    /// Adds the parts of this tensor up by index: `out[index[i..], ..] += self[i.., ..]`, in an axis of `size`.
    #[track_caller]
    pub fn scatter_add(&self, index: &Tensor, size: usize) -> Tensor {
        Tensor::record(ScatterAdd { batch: 0, size }, [self.clone(), index.clone()])
    }

    /// An axis as people write it, negative from the end.
    pub(crate) fn axis(&self, _operation: &str, axis: isize) -> Option<usize> {
        resolve_axis(axis, self.rank())
    }

    #[track_caller]
    pub(crate) fn no_axis(&self, operation: &str, axis: isize) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        Tensor::poison(shape_error(operation, format!("axis {axis} of {:?}", self.shape())))
    }

    /// Axes as people write them, as ascending indices.
    fn resolved(&self, operation: &str, axes: &[isize]) -> Result<Axes, Error> {
        let mut resolved = Axes::new();
        for &axis in axes {
            let known = resolve_axis(axis, self.rank()).filter(|axis| !resolved.contains(axis));
            let mistake = || shape_error(operation, format!("axis {axis} of {:?} is not there, or listed twice", self.shape()));
            resolved.push(known.ok_or_else(mistake)?);
        }
        resolved.sort_unstable();
        Ok(resolved)
    }

    /// The first mistake: this tensor's own, or a new one.
    #[track_caller]
    fn mistaken(&self, error: Error) -> Tensor {
        if self.error().is_some() { self.clone() } else { Tensor::poison(error) }
    }
}
