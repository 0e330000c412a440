//! Diagonals: taken from matrices, summed, and made into matrices; and the triangle of ones.
//!
//! A diagonal is a part of the elements of a square, every so many apart: its derivative puts it back between zeros.

use super::attempt::{Attempt, attempt, axes_of, fits, sound};
use crate::ops::movement::{Axes, inverse_order};
use crate::ops::{Iota, Pad};
use crate::tensor::creation::IntoShape;
use crate::tensor::indexing::{Index, Steps};
use crate::tensor::{DType, Shape, Tensor, Type};

impl Tensor {
    /// A diagonal of the plane of two axes, which are removed; a new last axis runs along it. `offset` 0 is the main one,
    /// positive ones lie above it. NumPy's `diagonal`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.diagonal(0, 0, 1).to_vec::<i32>()?, [1, 5]);
    /// assert_eq!(x.diagonal(1, 0, 1).to_vec::<i32>()?, [2, 6]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn diagonal(&self, offset: isize, row: isize, column: isize) -> Tensor {
        attempt(|| taken("diagonal", self, offset, row, column))
    }

    /// The sum of a diagonal of the plane of two axes, which are removed. NumPy's `trace`.
    #[track_caller]
    pub fn trace_over(&self, offset: isize, row: isize, column: isize) -> Tensor {
        attempt(|| Ok(taken("trace", self, offset, row, column)?.sum_over(&[-1])))
    }

    /// The sum of the main diagonal of the last two axes.
    #[track_caller]
    pub fn trace(&self) -> Tensor {
        attempt(|| Ok(taken("trace", self, 0, -2, -1)?.sum_over(&[-1])))
    }

    /// Of a matrix a diagonal, of a vector the matrix that has it there and zeros elsewhere. NumPy's `diag`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// assert_eq!(Tensor::from([1, 2]).diag(0).to_vec2::<i32>()?, [[1, 0], [0, 2]]);
    /// assert_eq!(Tensor::from([5]).diag(-1).to_vec2::<i32>()?, [[0, 0], [5, 0]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn diag(&self, offset: isize) -> Tensor {
        attempt(|| {
            sound(&[self])?;
            match self.rank() {
                1 => laid("diag", self, offset),
                2 => taken("diag", self, offset, 0, 1),
                _ => Err(super::misfit("diag", format!("takes a vector or a matrix, not {:?}", self.shape()))),
            }
        })
    }

    /// The last axis laid on a diagonal of a plane of two new axes, whose places are counted in the result, with zeros
    /// elsewhere. PyTorch's `diag_embed`.
    #[track_caller]
    pub fn diag_embed(&self, offset: isize, row: isize, column: isize) -> Tensor {
        attempt(|| {
            sound(&[self])?;
            fits("diag_embed", self.rank() > 0, || "a scalar has no axis to lay on a diagonal".into())?;
            let laid = laid("diag_embed", self, offset)?;
            let plane = axes_of("diag_embed", &laid, &[row, column])?;
            let order: Axes = (0..laid.rank()).filter(|axis| !plane.contains(axis)).chain(plane.iter().copied()).collect();
            Ok(laid.permute(inverse_order(&order)))
        })
    }

    /// A matrix with ones on a diagonal and zeros elsewhere. NumPy's `eye` with a shape.
    #[track_caller]
    pub fn eye_of(rows: usize, columns: usize, offset: isize, dtype: DType) -> Tensor {
        attempt(|| {
            let (row, column) = coordinates(rows, columns);
            Ok((row + clamped(offset, rows, columns)).equal(&column).cast(dtype))
        })
    }

    /// A matrix with ones on and below a diagonal, zeros above. NumPy's `tri`.
    ///
    /// ```
    /// use chainrule_engine::{DType, Tensor};
    /// assert_eq!(Tensor::tri(2, 3, 0, DType::I64).to_vec2::<i64>()?, [[1, 0, 0], [1, 1, 0]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn tri(rows: usize, columns: usize, offset: isize, dtype: DType) -> Tensor {
        attempt(|| {
            let (row, column) = coordinates(rows, columns);
            Ok(column.less_equal(&(row + clamped(offset, rows, columns))).cast(dtype))
        })
    }

    /// The positions of a triangle, rows and columns (i64): those on and below a diagonal, or (`upper`) on and above it.
    /// NumPy's `tril_indices` and `triu_indices`.
    #[track_caller]
    pub fn triangle_positions(rows: usize, columns: usize, offset: isize, upper: bool) -> (Tensor, Tensor) {
        super::attempt::attempt_two(|| {
            let shape: Shape = [rows, columns].into_shape();
            fits("triangle_positions", Type::new(shape, DType::I64).checked_len().is_some(), || {
                format!("{rows} x {columns} is too large")
            })?;
            let offset = clamped(offset, rows, columns) as i64;
            let kept = |row: i64, column: i64| if upper { column >= row + offset } else { column <= row + offset };
            let pairs = || {
                (0..rows as i64)
                    .flat_map(move |row| (0..columns as i64).filter(move |&column| kept(row, column)).map(move |column| (row, column)))
            };
            let count = Some(pairs().count());
            let name = "triangle_positions";
            Ok((
                super::attempt::listed(name, count, pairs().map(|pair| pair.0))?,
                super::attempt::listed(name, count, pairs().map(|pair| pair.1))?,
            ))
        })
    }
}

fn taken(name: &str, x: &Tensor, offset: isize, row: isize, column: isize) -> Attempt {
    let plane = axes_of(name, x, &[row, column])?;
    let order: Axes = (0..x.rank()).filter(|axis| !plane.contains(axis)).chain(plane.iter().copied()).collect();
    let matrices = x.permute(order);
    let (rows, columns) = (x.shape()[plane[0]], x.shape()[plane[1]]);
    let (below, right) = (offset.min(0).unsigned_abs().min(rows), offset.max(0).unsigned_abs().min(columns));
    let length = (rows - below).min(columns - right);
    let square = matrices.at([Index::Ellipsis, (below..below + length).into(), (right..right + length).into()]);
    let outer = &square.shape()[..x.rank() - 2];
    // In a square, the elements of the diagonal are one more than a row apart.
    let flat = square.reshape([outer, &[length * length]].concat());
    Ok(flat.at([Index::Ellipsis, (..).by(length as isize + 1)]))
}

/// The last axis as the diagonal of matrices.
fn laid(name: &str, x: &Tensor, offset: isize) -> Attempt {
    let (outer, length) = (&x.shape()[..x.rank() - 1], x.shape()[x.rank() - 1]);
    let shift = offset.unsigned_abs();
    let size = length.checked_add(shift).filter(|&size| Type::new([outer, &[size, size]].concat(), x.dtype()).checked_len().is_some());
    fits(name, size.is_some(), || format!("diagonal {offset} of {length} elements asks for a matrix that is too large"))?;
    let square = if length == 0 {
        x.reshape([outer, &[0, 0]].concat())
    } else {
        let mut gaps = Axes::from_elem(0, x.rank());
        gaps[x.rank() - 1] = length;
        let none = Axes::from_elem(0, x.rank());
        Tensor::record(Pad { low: none.clone(), high: none, interior: gaps }, [x.clone()]).reshape([outer, &[length, length]].concat())
    };
    let (below, right) = if offset < 0 { (shift, 0) } else { (0, shift) };
    let mut widths = vec![(0, 0); outer.len()];
    widths.extend([(below, right), (right, below)]);
    Ok(square.pad(&widths))
}

/// Rows and columns of a matrix, i64.
fn coordinates(rows: usize, columns: usize) -> (Tensor, Tensor) {
    let along = |axis| Tensor::record(Iota { axis, ty: Type::new([rows, columns].into_shape(), DType::I64) }, []);
    (along(0), along(1))
}

/// A diagonal's number as a float without loss: beyond the matrix, all are alike.
fn clamped(offset: isize, rows: usize, columns: usize) -> f64 {
    let most = rows.max(columns).min(1 << 52) as isize + 1;
    offset.clamp(-most, most) as f64
}
