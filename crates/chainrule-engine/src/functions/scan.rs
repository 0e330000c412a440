//! Running products, extremes and logarithms of sums along an axis, from either end; [`Tensor::cumsum`] is an operation.
//!
//! Each round of a scan doubles how many elements have been taken in, within blocks whose totals are scanned in turn: five
//! operations over the whole tensor, none of which divides, so that derivatives are right beside zeros.

use super::extreme::{pick, turned};
use super::{of_wide_floats, part, recorded, refuse_unless_float, resolve_axes};
use crate::ops::{CumulativeSum, Iota, dtype_error};
use crate::tensor::{DType, Tensor, Type};

macro_rules! scans {
    ($($what:literal $forward:ident $backward:ident => $scan:expr;)*) => {
        impl Tensor {$(
            #[doc = $what]
            #[track_caller]
            pub fn $forward(&self, axis: isize) -> Tensor {
                scan(stringify!($forward), self, axis, false, &$scan)
            }
            #[doc = concat!("As [`Tensor::", stringify!($forward), "`], from the last element to the first.")]
            #[track_caller]
            pub fn $backward(&self, axis: isize) -> Tensor {
                scan(stringify!($backward), self, axis, true, &$scan)
            }
        )*}
    };
}

scans! {
    "Running product along an axis, with exact derivatives also at zeros." cumprod reverse_cumprod => |name, x, axis| match x.dtype() {
        DType::Bool => Tensor::poison(dtype_error(name, "takes numbers, not bool; convert with `cast`".into())),
        DType::F16 | DType::BF16 => scanned(&x.cast(DType::F32), axis, 1.0, &|a, b| a * b).cast(x.dtype()),
        _ => scanned(x, axis, 1.0, &|a, b| a * b),
    };
    "Running `log(sum(exp(x)))` along an axis, without overflow. Of -inf alone it is -inf, with derivative 0.\n\n\
     ```\nuse chainrule_engine::Tensor;\nlet x = Tensor::from_slice(&[0.0f64, 0.0], [2]);\n\
     assert_eq!(x.logcumsumexp(0).to_vec::<f64>()?, [0.0, std::f64::consts::LN_2]);\n\
     # Ok::<(), chainrule_engine::Error>(())\n```" logcumsumexp reverse_logcumsumexp =>
        |name, x, axis| match refuse_unless_float(name, x) {
            Some(mistake) => mistake,
            None => of_wide_floats(name, x, |x| scanned(x, axis, f64::NEG_INFINITY, &Tensor::logaddexp)),
        };
}

impl Tensor {
    /// Running sum along an axis, from the last element to the first.
    #[track_caller]
    pub fn reverse_cumsum(&self, axis: isize) -> Tensor {
        match resolve_axes("reverse_cumsum", self, &[axis]) {
            Ok(axes) => Tensor::record(CumulativeSum { axis: axes[0], reverse: true }, [self.clone()]),
            Err(mistake) => mistake,
        }
    }

    /// The running maximum along an axis and where it stands (i64): of equal ones the first. NaN counts as the largest. The
    /// derivative of the maximum goes to where it stands.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let (values, indices) = Tensor::from([1.0, 3.0, 2.0, 3.0, 5.0]).cummax(0);
    /// assert_eq!(values.to_vec::<f32>()?, [1.0, 3.0, 3.0, 3.0, 5.0]);
    /// assert_eq!(indices.to_vec::<i64>()?, [0, 1, 1, 1, 4]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn cummax(&self, axis: isize) -> (Tensor, Tensor) {
        running("cummax", self, axis, false, &Tensor::clone)
    }

    /// As [`Tensor::cummax`], from the last element to the first: of equal ones the last.
    #[track_caller]
    pub fn reverse_cummax(&self, axis: isize) -> (Tensor, Tensor) {
        running("reverse_cummax", self, axis, true, &Tensor::clone)
    }

    /// The running minimum along an axis and where it stands; see [`Tensor::cummax`]. NaN counts as the smallest.
    #[track_caller]
    pub fn cummin(&self, axis: isize) -> (Tensor, Tensor) {
        running("cummin", self, axis, false, &turned)
    }

    /// As [`Tensor::cummin`], from the last element to the first: of equal ones the last.
    #[track_caller]
    pub fn reverse_cummin(&self, axis: isize) -> (Tensor, Tensor) {
        running("reverse_cummin", self, axis, true, &turned)
    }
}

#[track_caller]
fn scan(name: &str, x: &Tensor, axis: isize, reverse: bool, body: &dyn Fn(&str, &Tensor, usize) -> Tensor) -> Tensor {
    let axis = match resolve_axes(name, x, &[axis]) {
        Ok(axes) => axes[0],
        Err(mistake) => return mistake,
    };
    recorded(|| match reverse {
        true => body(name, &x.flip(&[axis as isize]), axis).flip(&[axis as isize]),
        false => body(name, x, axis),
    })
}

/// How many elements are scanned by themselves, if there are twice as many.
const BLOCK: usize = 16;

/// Element `i` joined with all before it; `neutral` changes nothing in a join.
fn scanned(x: &Tensor, axis: usize, neutral: f64, join: &dyn Fn(&Tensor, &Tensor) -> Tensor) -> Tensor {
    let n = x.shape()[axis];
    if n <= 2 * BLOCK {
        return doubling(x, axis, neutral, join);
    }
    let blocks = n.div_ceil(BLOCK);
    let filled = match blocks * BLOCK - n {
        0 => x.clone(),
        missing => Tensor::concat(&[x, &neutral_of(x, axis, missing, neutral)], axis as isize),
    };
    let mut shape = x.ty().shape.clone();
    shape[axis] = blocks;
    shape.insert(axis + 1, BLOCK);
    let within = doubling(&filled.reshape(&shape), axis + 1, neutral, join);
    let totals = scanned(&part(&within, axis + 1, BLOCK - 1, BLOCK).squeeze(axis as isize + 1), axis, neutral, join);
    let first = neutral_of(&totals, axis, 1, neutral);
    let before = Tensor::concat(&[&first, &part(&totals, axis, 0, blocks - 1)], axis as isize);
    let joined = join(&before.unsqueeze(axis as isize + 1).broadcast_to(&shape), &within);
    part(&joined.reshape(filled.shape()), axis, 0, n)
}

/// A tensor like another, but for its size along an axis, of what changes nothing.
fn neutral_of(x: &Tensor, axis: usize, size: usize, neutral: f64) -> Tensor {
    let mut shape = x.ty().shape.clone();
    shape[axis] = size;
    Tensor::full(shape, neutral, x.dtype())
}

/// As [`scanned`], in one piece.
fn doubling(x: &Tensor, axis: usize, neutral: f64, join: &dyn Fn(&Tensor, &Tensor) -> Tensor) -> Tensor {
    let n = x.shape()[axis];
    let mut joined = x.clone();
    let mut taken = 1;
    while taken < n {
        let none = neutral_of(x, axis, taken, neutral);
        let before = Tensor::concat(&[&none, &part(&joined, axis, 0, n - taken)], axis as isize);
        joined = join(&before, &joined);
        taken *= 2;
    }
    joined
}

#[track_caller]
fn running(name: &str, x: &Tensor, axis: isize, reverse: bool, upwards: &dyn Fn(&Tensor) -> Tensor) -> (Tensor, Tensor) {
    let axis = match resolve_axes(name, x, &[axis]) {
        Ok(axes) => axes[0],
        Err(mistake) => return (mistake.clone(), mistake),
    };
    if x.dtype() == DType::Bool {
        let mistake = Tensor::poison(dtype_error(name, "takes numbers, not bool; convert with `cast`".into()));
        return (mistake.clone(), mistake);
    }
    recorded(|| {
        let along = |x: &Tensor| if reverse { x.flip(&[axis as isize]) } else { x.clone() };
        let n = x.shape()[axis];
        let place = Tensor::record(Iota { axis, ty: Type::new(x.ty().shape.clone(), DType::I64) }, []);
        if x.is_empty() {
            return (x.clone(), place);
        }
        // Where something larger than all before comes, the place moves there.
        let ascending = upwards(&along(&x.detach()));
        let highest = if x.dtype().is_float() { f64::NEG_INFINITY } else { least(x.dtype()) };
        let best = scanned(&ascending, axis, highest, &Tensor::maximum);
        let before = Tensor::concat(&[&part(&best, axis, 0, 1), &part(&best, axis, 0, n - 1)], axis as isize);
        let news = before.less(&ascending) | (ascending.is_nan() & !before.is_nan());
        let index = scanned(&news.select(&place, &place.zeros_like()), axis, 0.0, &Tensor::maximum);
        let index = if reverse { (n - 1) as f64 - along(&index) } else { index };
        (pick(x, &index, axis), index)
    })
}

/// The least number of an integer type.
fn least(dtype: DType) -> f64 {
    match dtype {
        DType::I64 => i64::MIN as f64,
        DType::I32 => f64::from(i32::MIN),
        _ => 0.0,
    }
}
