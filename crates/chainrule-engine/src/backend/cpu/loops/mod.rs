//! The element loops of the processor backend, and the table that finds one.
//!
//! [`table`] gives, for a [`Level`] of vector instructions, functions that look up the loop for an
//! operation and a lane type. A loop runs over rows of a [`Call`]. Every level gives the same
//! bits where the machine fuses multiply-add; [`Level::Portable`] on x86-64 does not, so there
//! the vector functions may differ in the last place.
//!
//! Refuses to know about kernels, tiles, or where operands come from.

pub mod blocks;
pub mod drive;
pub mod elements;
pub mod sequence;
#[cfg(test)]
mod tests;

use super::level::Level;
use crate::compile::kernel::{Binary, Lane, Reduction, Unary};
use crate::tensor::DType;
pub use sequence::{Sequence, SequenceLoop};

/// The operands of one run of a loop: `rows` rows of `cols` elements.
///
/// For every loop, `to` and each operand it uses must be valid for all rows and columns, each
/// row `stride` bytes after the last. `to` may be the same memory as an operand of one element
/// per point with the same stride and element size; otherwise it overlaps no operand.
#[derive(Clone, Copy)]
pub struct Call {
    /// How many rows.
    pub rows: usize,
    /// Elements of each row.
    pub cols: usize,
    /// Where the result goes.
    pub to: *mut u8,
    /// Bytes from one row of the result to the next.
    pub to_stride: isize,
    /// Bytes from one element of the result to the next; only for strided loops.
    pub to_step: isize,
    /// First operand.
    pub a: *const u8,
    /// Bytes from one row of `a` to the next.
    pub a_stride: isize,
    /// Bytes from one element of `a` to the next; only for strided loops.
    pub a_step: isize,
    /// Second operand.
    pub b: *const u8,
    /// Bytes from one row of `b` to the next.
    pub b_stride: isize,
    /// Third operand.
    pub c: *const u8,
    /// Bytes from one row of `c` to the next.
    pub c_stride: isize,
}

/// A loop over the rows of a [`Call`], whose contract is the loop's safety contract.
pub type Loop = unsafe fn(&Call);

/// Whether an operand has an element for each point or one for each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An element for each point.
    Points,
    /// One element for each row.
    Rows,
}

/// The loops of one level; each function is `None` for what no operation asks for.
pub struct Table {
    /// `to = op(a)`.
    pub unary: fn(Unary, Lane) -> Option<Loop>,
    /// `to = op(a, b)` for two shapes of which at most one is `Rows`.
    pub binary: fn(Binary, Lane, Shape, Shape) -> Option<Loop>,
    /// `to = if a { b } else { c }` for the shapes of `b` and `c`.
    pub select: fn(Lane, Shape, Shape) -> Loop,
    /// Another lane type, from the first to the second.
    pub cast: fn(Lane, Lane) -> Loop,
    /// One element per row, repeated.
    pub repeat: fn(Lane) -> Loop,
    /// From memory to the lane type of its elements, strided.
    pub load: fn(DType) -> Loop,
    /// From the lane type to memory, strided.
    pub store: fn(DType) -> Loop,
    /// Rows to one element each.
    pub reduce: fn(Reduction, Lane) -> Loop,
    /// Rows onto a row of accumulators.
    pub accumulate: fn(Reduction, Lane) -> Loop,
    /// A column of neighbours onto one accumulator.
    pub accumulate_one: fn(Reduction, Lane) -> Loop,
    /// Running sums, from the last column if the flag is set.
    pub cumulative: fn(Lane, bool) -> Loop,
    /// Consecutive numbers.
    pub numbers: fn(Lane) -> SequenceLoop,
    /// Random words.
    pub random: fn(Lane) -> SequenceLoop,
}

/// The loops of a level. A level that this machine lacks gives those of the best it has below.
pub fn table(level: Level) -> &'static Table {
    #[cfg(target_arch = "x86_64")]
    match level.min(Level::detect()) {
        Level::Avx512 => return &avx512::TABLE,
        Level::Avx2 => return &avx2::TABLE,
        Level::Portable => {}
    }
    let _ = level;
    &portable::TABLE
}

/// Chooses by lane: the type's name stands for the lane's type in the expression.
macro_rules! lanes {
    ($lane:expr, $type:ident => $loop:expr) => {
        match $lane {
            Lane::F32 => lanes!(@ $type f32 $loop),
            Lane::F64 => lanes!(@ $type f64 $loop),
            Lane::I32 => lanes!(@ $type i32 $loop),
            Lane::I64 => lanes!(@ $type i64 $loop),
            Lane::U8 => lanes!(@ $type u8 $loop),
        }
    };
    ($lane:expr, floats $type:ident => $loop:expr) => {
        match $lane {
            Lane::F32 => Some(lanes!(@ $type f32 $loop)),
            Lane::F64 => Some(lanes!(@ $type f64 $loop)),
            _ => None,
        }
    };
    ($lane:expr, integers $type:ident => $loop:expr) => {
        match $lane {
            Lane::I32 => Some(lanes!(@ $type i32 $loop)),
            Lane::I64 => Some(lanes!(@ $type i64 $loop)),
            Lane::U8 => Some(lanes!(@ $type u8 $loop)),
            _ => None,
        }
    };
    (@ $type:ident $actual:ident $loop:expr) => {{
        type $type = $actual;
        ($loop) as _
    }};
}

/// The loop of a binary operation for the shapes of its operands.
macro_rules! shapes {
    ($a:expr, $b:expr, $operation:ty) => {
        match ($a, $b) {
            (_, Shape::Rows) => binary_left::<$operation> as Loop,
            (Shape::Rows, _) => binary_right::<$operation> as Loop,
            _ => binary_both::<$operation> as Loop,
        }
    };
}

/// The bodies of [`drive`] and [`sequence`] compiled for one level, and their table.
macro_rules! level {
    ($name:ident, $isa:ident $(, $features:literal)?) => {
        mod $name {
            use super::blocks::$isa as Isa;
            use super::drive::{self, Sums};
            use super::elements::*;
            use super::sequence::{self, FromInteger, Sequence};
            use super::{Binary, Call, DType, Lane, Loop, Reduction, Shape, Table, Unary};

            $(#[target_feature(enable = $features)])?
            unsafe fn unary<O: Op1>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::unary::<Isa, O>(call) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn unary_near<O: Near>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::unary_near::<Isa, O>(call) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn binary_both<O: Op2>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::binary_both::<Isa, O>(call) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn binary_left<O: Op2>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::binary_left::<Isa, O>(call) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn binary_right<O: Op2>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::binary_right::<Isa, O>(call) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn select<T: Copy + Default, const B: bool, const C: bool>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::select::<Isa, T, B, C>(call) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn repeat<T: Copy>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::repeat::<Isa, T>(call) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn strided<O: Op1>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::strided::<Isa, O>(call) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn reduce<T: Sums, const SUM: bool>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::reduce::<Isa, T, SUM>(call) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn accumulate<T: Number, const SUM: bool>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::accumulate::<Isa, T, SUM>(call) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn accumulate_one<T: Sums, const SUM: bool>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::accumulate_one::<Isa, T, SUM>(call) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn cumulative<T: Sums, const REVERSE: bool>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::cumulative::<Isa, T, REVERSE>(call) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn numbers<T: FromInteger>(call: &Sequence) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { sequence::numbers::<Isa, T>(call) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn random<T: FromInteger>(call: &Sequence) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { sequence::random::<Isa, T>(call) }
            }

            fn find_unary(operation: Unary, lane: Lane) -> Option<Loop> {
                match operation {
                    Unary::Negate => Some(lanes!(lane, T => unary::<Negate<T>>)),
                    Unary::Exp => lanes!(lane, floats T => unary::<Exp<T>>),
                    Unary::Log => lanes!(lane, floats T => unary::<Log<T>>),
                    Unary::Log1p => lanes!(lane, floats T => unary::<Log1p<T>>),
                    Unary::Expm1 => lanes!(lane, floats T => unary::<Expm1<T>>),
                    Unary::Sqrt => lanes!(lane, floats T => unary::<Sqrt<T>>),
                    Unary::Sin => lanes!(lane, floats T => unary_near::<Sin<T>>),
                    Unary::Cos => lanes!(lane, floats T => unary_near::<Cos<T>>),
                    Unary::Tanh => lanes!(lane, floats T => unary::<Tanh<T>>),
                    Unary::Sech => lanes!(lane, floats T => unary::<Sech<T>>),
                    Unary::Sigmoid => lanes!(lane, floats T => unary::<Sigmoid<T>>),
                    Unary::Softplus => lanes!(lane, floats T => unary::<Softplus<T>>),
                    Unary::Erf => lanes!(lane, floats T => unary::<Erf<T>>),
                    Unary::Floor => match lanes!(lane, floats T => unary::<Floor<T>>) {
                        None => Some(lanes!(lane, T => unary::<Same<T>>)),
                        found => found,
                    },
                    Unary::Not if lane == Lane::U8 => Some(unary::<Not>),
                    Unary::RoundBf16 if lane == Lane::F32 => Some(unary::<RoundBf16>),
                    Unary::RoundF16 if lane == Lane::F32 => Some(unary::<RoundF16>),
                    Unary::Not | Unary::RoundBf16 | Unary::RoundF16 => None,
                }
            }

            fn find_binary(operation: Binary, lane: Lane, a: Shape, b: Shape) -> Option<Loop> {
                match operation {
                    Binary::Add => Some(lanes!(lane, T => shapes!(a, b, Add<T>))),
                    Binary::Subtract => Some(lanes!(lane, T => shapes!(a, b, Subtract<T>))),
                    Binary::Multiply => Some(lanes!(lane, T => shapes!(a, b, Multiply<T>))),
                    Binary::Divide => Some(lanes!(lane, T => shapes!(a, b, Divide<T>))),
                    Binary::Power => Some(lanes!(lane, T => shapes!(a, b, Power<T>))),
                    Binary::Minimum => Some(lanes!(lane, T => shapes!(a, b, Minimum<T>))),
                    Binary::Maximum => Some(lanes!(lane, T => shapes!(a, b, Maximum<T>))),
                    Binary::Remainder => Some(lanes!(lane, T => shapes!(a, b, Remainder<T>))),
                    Binary::Scale => Some(lanes!(lane, T => shapes!(a, b, Scale<T>))),
                    Binary::Less => Some(lanes!(lane, T => shapes!(a, b, Less<T>))),
                    Binary::Equal => Some(lanes!(lane, T => shapes!(a, b, Equal<T>))),
                    Binary::And => lanes!(lane, integers T => shapes!(a, b, And<T>)),
                    Binary::Or => lanes!(lane, integers T => shapes!(a, b, Or<T>)),
                }
            }

            fn find_select(lane: Lane, b: Shape, c: Shape) -> Loop {
                lanes!(lane, T => match (b, c) {
                    (Shape::Points, Shape::Points) => select::<T, false, false> as Loop,
                    (Shape::Points, Shape::Rows) => select::<T, false, true> as Loop,
                    (Shape::Rows, Shape::Points) => select::<T, true, false> as Loop,
                    (Shape::Rows, Shape::Rows) => select::<T, true, true> as Loop,
                })
            }

            fn find_cast(from: Lane, to: Lane) -> Loop {
                match from {
                    Lane::F32 => lanes!(to, T => unary::<Cast<f32, T>>),
                    Lane::F64 => lanes!(to, T => unary::<Cast<f64, T>>),
                    Lane::I32 => lanes!(to, T => unary::<Cast<i32, T>>),
                    Lane::I64 => lanes!(to, T => unary::<Cast<i64, T>>),
                    Lane::U8 => lanes!(to, T => unary::<Cast<u8, T>>),
                }
            }

            fn find_load(dtype: DType) -> Loop {
                match dtype {
                    DType::BF16 => strided::<WidenBf16>,
                    DType::F16 => strided::<WidenF16>,
                    _ => lanes!(Lane::of(dtype), T => strided::<Same<T>>),
                }
            }

            fn find_store(dtype: DType) -> Loop {
                match dtype {
                    DType::BF16 => strided::<NarrowBf16>,
                    DType::F16 => strided::<NarrowF16>,
                    _ => lanes!(Lane::of(dtype), T => strided::<Same<T>>),
                }
            }

            /// The loops of this level.
            pub static TABLE: Table = Table {
                unary: find_unary,
                binary: find_binary,
                select: find_select,
                cast: find_cast,
                repeat: |lane| lanes!(lane, T => repeat::<T>),
                load: find_load,
                store: find_store,
                reduce: |reduction, lane| match reduction {
                    Reduction::Sum => lanes!(lane, T => reduce::<T, true>),
                    Reduction::Maximum => lanes!(lane, T => reduce::<T, false>),
                },
                accumulate: |reduction, lane| match reduction {
                    Reduction::Sum => lanes!(lane, T => accumulate::<T, true>),
                    Reduction::Maximum => lanes!(lane, T => accumulate::<T, false>),
                },
                accumulate_one: |reduction, lane| match reduction {
                    Reduction::Sum => lanes!(lane, T => accumulate_one::<T, true>),
                    Reduction::Maximum => lanes!(lane, T => accumulate_one::<T, false>),
                },
                cumulative: |lane, reverse| match reverse {
                    false => lanes!(lane, T => cumulative::<T, false>),
                    true => lanes!(lane, T => cumulative::<T, true>),
                },
                numbers: |lane| lanes!(lane, T => numbers::<T>),
                random: |lane| lanes!(lane, T => random::<T>),
            };
        }
    };
}

level!(portable, Portable);
#[cfg(target_arch = "x86_64")]
level!(avx2, Avx2, "avx2,fma,f16c");
#[cfg(target_arch = "x86_64")]
level!(avx512, Avx512, "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl");
