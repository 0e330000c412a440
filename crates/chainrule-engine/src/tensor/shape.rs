//! Shapes, and the arithmetic on shapes that several operations share.

use super::dtype::DType;
use smallvec::SmallVec;

/// The sizes of a tensor's axes, outermost first.
pub type Shape = SmallVec<[usize; 4]>;

/// What is known of a tensor before it is evaluated.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Type {
    /// Sizes of the axes.
    pub shape: Shape,
    /// Type of the elements.
    pub dtype: DType,
}

impl Clone for Type {
    /// Copies the sizes at once; the list's own copy goes from one to the next.
    fn clone(&self) -> Type {
        Type { shape: Shape::from_slice(&self.shape), dtype: self.dtype }
    }
}

impl Type {
    /// A type.
    pub fn new(shape: impl Into<Shape>, dtype: DType) -> Type {
        Type { shape: shape.into(), dtype }
    }

    /// The most axes a tensor has: enough for anyone, and few enough that each has a label of one
    /// byte in a product.
    pub const MOST_AXES: usize = 64;

    /// The number of elements, or `None` if it or the number of bytes exceeds `isize::MAX`.
    ///
    /// A size of 0 does not excuse the others: strides, and the shapes of what is computed from
    /// the tensor, are products of sizes too.
    pub fn checked_len(&self) -> Option<usize> {
        let product = self.shape.iter().filter(|&&size| size != 0).try_fold(1usize, |product, &size| product.checked_mul(size))?;
        let bytes = product.checked_mul(self.dtype.bytes())?;
        (bytes <= isize::MAX as usize).then_some(if self.is_empty() { 0 } else { product })
    }

    /// Why there is no tensor of this type, if there is none.
    pub fn refusal(&self) -> Option<String> {
        if self.shape.len() > Type::MOST_AXES {
            return Some(format!("{} axes are more than the {} that a tensor may have", self.shape.len(), Type::MOST_AXES));
        }
        let fits = self.checked_len().is_some();
        (!fits).then(|| format!("a {} tensor of shape {:?} is too large for any memory", self.dtype, self.shape))
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }
}

/// The product of sizes, unless it overflows. A zero anywhere gives zero.
pub fn checked_product(sizes: &[usize]) -> Option<usize> {
    if sizes.contains(&0) {
        return Some(0);
    }
    sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size))
}

/// The shape that NumPy's rule gives for two operands, or the first pair of sizes that do not fit.
pub fn broadcast_shapes(a: &[usize], b: &[usize]) -> Result<Shape, (usize, usize)> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| match (axis + shape.len()).checked_sub(rank) {
        Some(own) => shape[own],
        None => 1,
    };
    (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            (x, y) => Err((x, y)),
        })
        .collect()
}

/// Row-major strides of a dense tensor, in elements.
pub fn dense_strides(shape: &[usize]) -> SmallVec<[isize; 6]> {
    let mut strides: SmallVec<[isize; 6]> = SmallVec::from_elem(0, shape.len());
    let mut step = 1isize;
    for axis in (0..shape.len()).rev() {
        strides[axis] = step;
        step = step.saturating_mul(shape[axis].max(1) as isize);
    }
    strides
}

/// An axis as people write it, negative from the end, as an index; `None` if there is none.
pub fn resolve_axis(axis: isize, rank: usize) -> Option<usize> {
    let resolved = if axis < 0 { axis + rank as isize } else { axis };
    (0..rank as isize).contains(&resolved).then_some(resolved as usize)
}

/// Calls `visit` with the coordinates of every element, last axis fastest.
pub fn for_each_index(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    if shape.contains(&0) {
        return;
    }
    let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, shape.len());
    loop {
        visit(&index);
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// The position of coordinates in a dense tensor.
pub fn flat_index(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |flat, (&size, &i)| flat * size + i)
}
