//! Products: of matrices, of tensors by labels; determinants.

use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, limit, one};
use chainrule::Tensor;

type Outcome = Result<Vec<Value>>;

pub fn matmul(call: &Call) -> Outcome {
    one(call.tensor(0)?.matmul(call.tensor(1)?))
}

/// `alpha a b + beta c`, with `a` and `b` turned where asked for. Whole numbers are multiplied by whole factors.
pub fn gemm(call: &Call) -> Outcome {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    let turned = |x: &Tensor, name: &str| -> Result<Tensor> { Ok(if call.flag(name)? { x.t() } else { x.clone() }) };
    let scaled = |x: Tensor, name: &str| -> Result<Tensor> {
        let factor = call.float_or(name, 1.0)?;
        Ok(if factor == 1.0 { x } else { x * factor })
    };
    if a.rank() != 2 || b.rank() != 2 {
        return Err(Error::operator(format!("takes matrices, not {:?} and {:?}", a.shape(), b.shape())));
    }
    let product = scaled(turned(a, "transA")?.matmul(&turned(b, "transB")?), "alpha")?;
    match call.optional(2)? {
        Some(c) => one(product + scaled(c.clone(), "beta")?),
        None => one(product),
    }
}

/// Determinants of the matrices in the last two axes, expanded along rows: a sum of products, which is exact and has
/// every derivative also where the determinant is 0. The work grows as `2^n`: up to 12 rows.
pub fn determinant(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let &[.., rows, columns] = x.shape() else { return Err(Error::operator(format!("takes matrices, not {:?}", x.shape()))) };
    if rows != columns {
        return Err(Error::operator(format!("{rows} by {columns} is not square")));
    }
    if rows > 12 {
        return Err(limit(format!("the determinant of {rows} by {rows} is expanded, which is done up to 12 by 12")));
    }
    if rows == 0 {
        return one(Tensor::full(&x.shape()[..x.rank() - 2], 1.0, x.dtype()));
    }
    // minors[set]: the determinant of the first rows, as many as columns are in the set, and these columns.
    let entry = |row: usize, column: usize| x.index(-2, row as isize).index(-1, column as isize);
    let mut minors: Vec<Option<Tensor>> = vec![None; 1 << rows];
    for set in 1usize..1 << rows {
        let row = set.count_ones() as usize - 1;
        let mut sum: Option<Tensor> = None;
        for column in (0..rows).filter(|column| set >> column & 1 == 1) {
            let term = match &minors[set & !(1 << column)] {
                Some(minor) => entry(row, column) * minor,
                None => entry(row, column),
            };
            // Odd where as many columns of the set lie after this one.
            let odd = (set >> (column + 1)).count_ones() % 2 == 1;
            sum = Some(match sum {
                None if odd => -term,
                None => term,
                Some(sum) if odd => sum - term,
                Some(sum) => sum + term,
            });
        }
        minors[set] = sum;
    }
    one(minors.pop().flatten().unwrap_or_else(|| x.clone()))
}

/// A product by labels, of any number of tensors.
pub fn einsum(call: &Call) -> Outcome {
    one(chainrule::functions::einsum(&call.text_or("equation", "")?, &call.tensors(0)?))
}
