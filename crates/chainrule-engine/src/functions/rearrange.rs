//! Whole tensors moved about: axes turned, joined, cut and made, parts laid side by side, cut apart and repeated.
//!
//! NumPy's names where it has one, PyTorch's otherwise; what is a single operation is a method in `tensor/methods.rs`
//! or `tensor/indexing`. All of it is movement: derivatives move back.

use super::attempt::{Attempt, allowed, attempt, attempt_list, axes_of, axis_of, fits, listed, sound};
use crate::ops::movement::Axes;
use crate::ops::{Permute, Window};
use crate::tensor::creation::IntoShape;
use crate::tensor::shape::{checked_product, resolve_axis};
use crate::tensor::{Shape, Tensor};

/// In which order the depth of [`Tensor::depth_to_space`] holds a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DepthOrder {
    /// Rows and columns of the block first, then the depth that stays: TensorFlow's, and ONNX's `DCR`.
    #[default]
    BlockFirst,
    /// The depth that stays first, then rows and columns of the block: PyTorch's `pixel_shuffle`, and ONNX's `CRD`.
    DepthFirst,
}

impl Tensor {
    /// Axes moved to other places, the others staying in their order. NumPy's `moveaxis`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::zeros([2, 3, 4]);
    /// assert_eq!(x.moveaxis(&[0], &[-1]).shape(), [3, 4, 2]);
    /// assert_eq!(x.moveaxis(&[0, 1], &[1, 0]).shape(), [3, 2, 4]);
    /// ```
    #[track_caller]
    pub fn moveaxis(&self, from: &[isize], to: &[isize]) -> Tensor {
        attempt(|| {
            let name = "moveaxis";
            fits(name, from.len() == to.len(), || format!("{} axes to {} places", from.len(), to.len()))?;
            let (from, to) = (axes_of(name, self, from)?, axes_of(name, self, to)?);
            let mut others = (0..self.rank()).filter(|axis| !from.contains(axis));
            let source = |place| to.iter().position(|&to| to == place).map(|i| from[i]);
            let order: Axes = (0..self.rank()).filter_map(|place| source(place).or_else(|| others.next())).collect();
            Ok(self.permute(order))
        })
    }

    /// Two axes exchanged: [`Tensor::transpose`] by NumPy's name.
    #[track_caller]
    pub fn swapaxes(&self, a: isize, b: isize) -> Tensor {
        self.transpose(a, b)
    }

    /// The plane of two axes turned by a quarter, `times` times, from the first axis towards the second. NumPy's `rot90`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.rot90(1, (0, 1)).to_vec2::<i32>()?, [[2, 4], [1, 3]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn rot90(&self, times: isize, plane: (isize, isize)) -> Tensor {
        attempt(|| {
            axes_of("rot90", self, &[plane.0, plane.1])?;
            Ok(match times.rem_euclid(4) {
                0 => self.clone(),
                1 => self.flip(&[plane.1]).transpose(plane.0, plane.1),
                2 => self.flip(&[plane.0, plane.1]),
                _ => self.flip(&[plane.0]).transpose(plane.0, plane.1),
            })
        })
    }

    /// Each part along an axis as often as `counts` says. PyTorch's `repeat_interleave`; for one count see
    /// [`Tensor::repeat`].
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// assert_eq!(Tensor::from([7, 8, 9]).repeat_each(&[2, 0, 1], 0).to_vec::<i32>()?, [7, 7, 9]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn repeat_each(&self, counts: &[usize], axis: isize) -> Tensor {
        attempt(|| {
            let at = axis_of("repeat_each", self, axis)?;
            let size = self.shape()[at];
            fits("repeat_each", counts.len() == size, || format!("{} counts for the {size} parts of axis {at}", counts.len()))?;
            let total = counts.iter().try_fold(0_usize, |sum, &count| sum.checked_add(count));
            let places = counts.iter().zip(0..).flat_map(|(&count, place)| std::iter::repeat_n(place, count));
            Ok(self.index_select(axis, &listed("repeat_each", total, places)?))
        })
    }

    /// Tensors joined along the first axis; vectors are rows. NumPy's `vstack`.
    #[track_caller]
    pub fn vstack(tensors: &[&Tensor]) -> Tensor {
        attempt(|| Ok(joined(tensors, 0, Tensor::atleast_2d)))
    }

    /// Tensors joined along the second axis, vectors along their only one. NumPy's `hstack`.
    #[track_caller]
    pub fn hstack(tensors: &[&Tensor]) -> Tensor {
        let flat = tensors.first().is_some_and(|first| first.rank() <= 1);
        attempt(|| Ok(joined(tensors, if flat { 0 } else { 1 }, Tensor::atleast_1d)))
    }

    /// Tensors joined along the third axis, as [`Tensor::atleast_3d`] sees them. NumPy's `dstack`.
    #[track_caller]
    pub fn dstack(tensors: &[&Tensor]) -> Tensor {
        attempt(|| Ok(joined(tensors, 2, Tensor::atleast_3d)))
    }

    /// Vectors as the columns of a matrix, beside matrices as they are. NumPy's `column_stack`.
    #[track_caller]
    pub fn column_stack(tensors: &[&Tensor]) -> Tensor {
        let column = |x: &Tensor| if x.rank() < 2 { x.reshape([x.len(), 1]) } else { x.clone() };
        attempt(|| Ok(joined(tensors, 1, column)))
    }

    /// Parts along an axis, cut before the places given, ascending. NumPy's `split` with a list. After a mistake one part
    /// is poisoned.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let parts = Tensor::from([0, 1, 2, 3, 4]).split_at(&[1, 3], 0);
    /// assert_eq!(parts[1].to_vec::<i32>()?, [1, 2]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn split_at(&self, places: &[usize], axis: isize) -> Vec<Tensor> {
        attempt_list(|| {
            let at = axis_of("split_at", self, axis)?;
            let size = self.shape()[at];
            let ascending = places.is_sorted() && places.last().is_none_or(|&last| last <= size);
            allowed("split_at", ascending, || format!("places {places:?} do not ascend within axis {at} of {:?}", self.shape()))?;
            let (starts, ends) = (std::iter::once(&0).chain(places), places.iter().chain([&size]));
            Ok(starts.zip(ends).map(|(&start, &end)| self.slice(axis, start..end)).collect())
        })
    }

    /// As many parts of equal size along an axis, which must divide. NumPy's `split` with a number; see
    /// [`Tensor::chunk`] for parts that are not equal.
    #[track_caller]
    pub fn split_evenly(&self, parts: usize, axis: isize) -> Vec<Tensor> {
        attempt_list(|| {
            let at = axis_of("split_evenly", self, axis)?;
            let size = self.shape()[at];
            let even = parts > 0 && size.is_multiple_of(parts) && parts <= size.max(1);
            fits("split_evenly", even, || format!("axis {at} of {:?} does not divide into {parts} parts", self.shape()))?;
            Ok((0..parts).map(|part| self.slice(axis, part * (size / parts)..(part + 1) * (size / parts))).collect())
        })
    }

    /// The parts along an axis, which they lack. PyTorch's `unbind`.
    #[track_caller]
    pub fn unbind(&self, axis: isize) -> Vec<Tensor> {
        attempt_list(|| {
            let at = axis_of("unbind", self, axis)?;
            Ok((0..self.shape()[at] as isize).map(|place| self.index(axis, place)).collect())
        })
    }

    /// Windows of `size` elements along an axis, `step` apart: the axis counts the windows, a new last one their
    /// elements. PyTorch's `unfold`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// assert_eq!(Tensor::from([1, 2, 3, 4, 5]).unfold(0, 3, 2).to_vec2::<i32>()?, [[1, 2, 3], [3, 4, 5]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn unfold(&self, axis: isize, size: usize, step: usize) -> Tensor {
        attempt(|| {
            let at = axis_of("unfold", self, axis)?;
            windows("unfold", self, &[at], &[size], step)
        })
    }

    /// All windows over some axes, a new last axis for the elements along each. NumPy's `sliding_window_view`.
    #[track_caller]
    pub fn sliding_windows(&self, sizes: &[usize], axes: &[isize]) -> Tensor {
        attempt(|| {
            let name = "sliding_windows";
            let axes = axes_of(name, self, axes)?;
            fits(name, axes.len() == sizes.len(), || format!("{} sizes for {} axes", sizes.len(), axes.len()))?;
            // The operation lists axes ascending; the elements' axes are put in the order asked for.
            let mut order: Vec<usize> = (0..axes.len()).collect();
            order.sort_by_key(|&i| axes[i]);
            let (sorted, lengths): (Axes, Axes) = order.iter().map(|&i| (axes[i], sizes[i])).unzip();
            let found = windows(name, self, &sorted, &lengths, 1)?;
            let place = |i: usize| self.rank() + order.iter().position(|&at| at == i).unwrap_or(i);
            let turned: Axes = (0..self.rank()).chain((0..axes.len()).map(place)).collect();
            Ok(Tensor::record(Permute(turned), [found]))
        })
    }

    /// The shape with -1 for axes that stay, and sizes for those of size 1 that repeat; new axes come first. PyTorch's
    /// `expand`.
    #[track_caller]
    pub fn expand(&self, sizes: &[isize]) -> Tensor {
        attempt(|| {
            sound(&[self])?;
            let new = sizes.len().checked_sub(self.rank());
            let size = |(at, &size): (usize, &isize)| match usize::try_from(size) {
                Ok(size) => Some(size),
                Err(_) if size == -1 => at.checked_sub(new.unwrap_or(0)).and_then(|at| self.shape().get(at).copied()),
                Err(_) => None,
            };
            let shape: Option<Shape> = new.and_then(|_| sizes.iter().enumerate().map(size).collect());
            let joint =
                shape.and_then(|shape| crate::tensor::shape::broadcast_shapes(self.shape(), &shape).ok().filter(|joint| *joint == shape));
            fits("expand", joint.is_some(), || format!("{:?} does not expand to {sizes:?}", self.shape()))?;
            Ok(self.broadcast_to(joint.unwrap_or_default()))
        })
    }

    /// Axes of size 1 removed.
    #[track_caller]
    pub fn squeeze_over(&self, axes: &[isize]) -> Tensor {
        attempt(|| {
            let axes = axes_of("squeeze", self, axes)?;
            let ones = axes.iter().all(|&axis| self.shape()[axis] == 1);
            fits("squeeze", ones, || format!("axes {axes:?} of {:?} are not all of size 1", self.shape()))?;
            Ok(self.reshape((0..self.rank()).filter(|axis| !axes.contains(axis)).map(|axis| self.shape()[axis]).collect::<Shape>()))
        })
    }

    /// All axes of size 1 removed.
    #[track_caller]
    pub fn squeeze_all(&self) -> Tensor {
        attempt(|| {
            sound(&[self])?;
            Ok(self.reshape(self.shape().iter().copied().filter(|&size| size != 1).collect::<Shape>()))
        })
    }

    /// New axes of size 1, at places counted in the result. NumPy's `expand_dims`.
    #[track_caller]
    pub fn unsqueeze_over(&self, axes: &[isize]) -> Tensor {
        attempt(|| {
            sound(&[self])?;
            let rank = self.rank() + axes.len();
            let mut places: Vec<usize> = axes.iter().filter_map(|&axis| resolve_axis(axis, rank)).collect();
            places.sort_unstable();
            places.dedup();
            fits("unsqueeze", places.len() == axes.len(), || {
                format!("axes {axes:?} of a result of {rank} axes are not there, or listed twice")
            })?;
            let mut own = self.shape().iter().copied();
            let shape: Shape = (0..rank).filter_map(|at| if places.contains(&at) { Some(1) } else { own.next() }).collect();
            Ok(self.reshape(shape))
        })
    }

    /// The axes from `first` to `last`, both included, as one. PyTorch's `flatten(start, end)`.
    #[track_caller]
    pub fn flatten_axes(&self, first: isize, last: isize) -> Tensor {
        attempt(|| {
            let (start, end) = (axis_of("flatten_axes", self, first)?, axis_of("flatten_axes", self, last)?);
            fits("flatten_axes", start <= end, || format!("axis {first} comes after axis {last} of {:?}", self.shape()))?;
            let shape = self.shape();
            let size: usize = shape[start..=end].iter().product();
            Ok(self.reshape([&shape[..start], &[size], &shape[end + 1..]].concat()))
        })
    }

    /// One axis as several, which multiply to its size. PyTorch's `unflatten`.
    #[track_caller]
    pub fn unflatten(&self, axis: isize, sizes: impl IntoShape) -> Tensor {
        let sizes = sizes.into_shape();
        attempt(|| {
            let at = axis_of("unflatten", self, axis)?;
            let size = self.shape()[at];
            fits("unflatten", checked_product(&sizes) == Some(size), || {
                format!("sizes {sizes:?} do not make up axis {at} of {:?}", self.shape())
            })?;
            Ok(self.reshape([&self.shape()[..at], &sizes, &self.shape()[at + 1..]].concat()))
        })
    }

    /// A scalar as a vector, others as they are.
    #[track_caller]
    pub fn atleast_1d(&self) -> Tensor {
        if self.rank() > 0 || self.error().is_some() { self.clone() } else { self.reshape([1]) }
    }

    /// A scalar or a vector as a matrix of one row, others as they are.
    #[track_caller]
    pub fn atleast_2d(&self) -> Tensor {
        if self.rank() > 1 || self.error().is_some() { self.clone() } else { self.reshape([1, self.len()]) }
    }

    /// A vector of `n` as `[1, n, 1]`, a matrix with one more axis, others as they are: NumPy's rule.
    #[track_caller]
    pub fn atleast_3d(&self) -> Tensor {
        match *self.shape() {
            _ if self.error().is_some() => self.clone(),
            [] | [_] => self.reshape([1, self.len(), 1]),
            [rows, columns] => self.reshape([rows, columns, 1]),
            _ => self.clone(),
        }
    }

    /// Blocks of `[.., depth, rows, columns]` taken out of the depth: `[.., depth / b^2, rows * b, columns * b]`.
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::DepthOrder};
    /// let x = Tensor::from([[[1]], [[2]], [[3]], [[4]]]);
    /// let y = x.depth_to_space(2, DepthOrder::BlockFirst);
    /// assert_eq!(y.squeeze(0).to_vec2::<i32>()?, [[1, 2], [3, 4]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn depth_to_space(&self, block: usize, order: DepthOrder) -> Tensor {
        attempt(|| {
            let (outer, [depth, rows, columns]) = image("depth_to_space", self)?;
            let fit = block > 0 && block.checked_mul(block).is_some_and(|square| depth % square == 0);
            fits("depth_to_space", fit, || format!("a depth of {depth} has no blocks of {block} x {block}: {:?}", self.shape()))?;
            let kept = depth / (block * block);
            let n = outer.len();
            let (cut, turned): ([usize; 3], [usize; 5]) = match order {
                DepthOrder::BlockFirst => ([block, block, kept], [2, 3, 0, 4, 1]),
                DepthOrder::DepthFirst => ([kept, block, block], [0, 3, 1, 4, 2]),
            };
            let parts = self.reshape([outer, &cut, &[rows, columns]].concat());
            let order: Axes = (0..n).chain(turned.into_iter().map(|axis| n + axis)).collect();
            Ok(parts.permute(order).reshape([outer, &[kept, rows * block, columns * block]].concat()))
        })
    }

    /// Blocks of `[.., depth, rows, columns]` put into the depth: the inverse of [`Tensor::depth_to_space`].
    #[track_caller]
    pub fn space_to_depth(&self, block: usize, order: DepthOrder) -> Tensor {
        attempt(|| {
            let (outer, [depth, rows, columns]) = image("space_to_depth", self)?;
            let fit = block > 0 && rows % block == 0 && columns % block == 0 && checked_product(&[depth, block, block]).is_some();
            fits("space_to_depth", fit, || format!("{rows} x {columns} has no blocks of {block} x {block}: {:?}", self.shape()))?;
            let n = outer.len();
            let parts = self.reshape([outer, &[depth, rows / block, block, columns / block, block]].concat());
            let turned: [usize; 5] = match order {
                DepthOrder::BlockFirst => [2, 4, 0, 1, 3],
                DepthOrder::DepthFirst => [0, 2, 4, 1, 3],
            };
            let order: Axes = (0..n).chain(turned.into_iter().map(|axis| n + axis)).collect();
            Ok(parts.permute(order).reshape([outer, &[depth * block * block, rows / block, columns / block]].concat()))
        })
    }
}

/// Vectors spread over the axes of a grid. In matrix order (`ij`) the first vector runs along the first axis; otherwise
/// (`xy`, as NumPy has it by default) the first runs along the second axis, and the second along the first.
///
/// ```
/// use chainrule_engine::{Tensor, functions::meshgrid};
/// let grid = meshgrid(&[&Tensor::from([1, 2]), &Tensor::from([5, 6, 7])], true);
/// assert_eq!(grid[0].to_vec2::<i32>()?, [[1, 1, 1], [2, 2, 2]]);
/// assert_eq!(grid[1].to_vec2::<i32>()?, [[5, 6, 7], [5, 6, 7]]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn meshgrid(vectors: &[&Tensor], matrix_order: bool) -> Vec<Tensor> {
    attempt_list(|| {
        sound(vectors)?;
        let flat = vectors.iter().all(|vector| vector.rank() <= 1);
        fits("meshgrid", flat, || format!("takes vectors, not {:?}", vectors.iter().map(|v| v.shape()).collect::<Vec<_>>()))?;
        let axis = |at: usize| if !matrix_order && at < 2 && vectors.len() > 1 { 1 - at } else { at };
        let mut shape = vec![1; vectors.len()];
        (0..vectors.len()).for_each(|at| shape[axis(at)] = vectors[at].len());
        let spread = |(at, vector): (usize, &&Tensor)| {
            let mut own = vec![1; vectors.len()];
            own[axis(at)] = vector.len();
            vector.reshape(own).broadcast_to(&shape)
        };
        Ok(vectors.iter().enumerate().map(spread).collect())
    })
}

/// All choices of one element of each vector, one a row, the last vector changing fastest. PyTorch's `cartesian_prod`,
/// but that one vector gives one column.
#[track_caller]
pub fn cartesian_prod(vectors: &[&Tensor]) -> Tensor {
    attempt(|| {
        allowed("cartesian_prod", !vectors.is_empty(), || "there is nothing to choose from".into())?;
        let columns: Vec<Tensor> = meshgrid(vectors, true).iter().map(Tensor::flatten).collect();
        let columns: Vec<&Tensor> = columns.iter().collect();
        sound(&columns)?;
        Ok(Tensor::stack(&columns, 1))
    })
}

/// Matrices along a diagonal, zeros beside them; vectors are rows. SciPy's and PyTorch's `block_diag`.
///
/// ```
/// use chainrule_engine::{Tensor, functions::block_diag};
/// let y = block_diag(&[&Tensor::from([[1, 2]]), &Tensor::from([[3], [4]])]);
/// assert_eq!(y.to_vec2::<i32>()?, [[1, 2, 0], [0, 0, 3], [0, 0, 4]]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn block_diag(blocks: &[&Tensor]) -> Tensor {
    attempt(|| {
        sound(blocks)?;
        let flat = !blocks.is_empty() && blocks.iter().all(|block| block.rank() <= 2);
        fits("block_diag", flat, || format!("takes matrices, not {:?}", blocks.iter().map(|b| b.shape()).collect::<Vec<_>>()))?;
        let blocks: Vec<Tensor> = blocks.iter().map(|block| block.atleast_2d()).collect();
        let width: usize = blocks.iter().map(|block| block.shape()[1]).sum();
        let mut before = 0;
        let mut rows = Vec::with_capacity(blocks.len());
        for block in &blocks {
            let own = block.shape()[1];
            rows.push(block.pad(&[(0, 0), (before, width - before - own)]));
            before += own;
        }
        Ok(Tensor::concat(&rows.iter().collect::<Vec<_>>(), 0))
    })
}

fn joined(tensors: &[&Tensor], axis: isize, shaped: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let shaped: Vec<Tensor> = tensors.iter().map(|tensor| shaped(tensor)).collect();
    Tensor::concat(&shaped.iter().collect::<Vec<_>>(), axis)
}

fn windows(name: &str, x: &Tensor, axes: &[usize], sizes: &[usize], step: usize) -> Attempt {
    let fit = step > 0 && axes.iter().zip(sizes).all(|(&axis, &size)| (1..=x.shape()[axis]).contains(&size));
    fits(name, fit, || format!("windows of {sizes:?}, {step} apart, over axes {axes:?} of {:?}", x.shape()))?;
    if axes.is_empty() {
        return Ok(x.clone());
    }
    let every = |value: usize| Axes::from_elem(value, axes.len());
    Ok(Tensor::record(Window { axes: axes.into(), sizes: sizes.into(), strides: every(step), dilations: every(1) }, [x.clone()]))
}

/// The axes before the last three, and those.
fn image<'a>(name: &str, x: &'a Tensor) -> Attempt<(&'a [usize], [usize; 3])> {
    sound(&[x])?;
    fits(name, x.rank() >= 3, || format!("takes depth, rows and columns, not {:?}", x.shape()))?;
    let (outer, last) = x.shape().split_at(x.rank() - 3);
    Ok((outer, [last[0], last[1], last[2]]))
}
