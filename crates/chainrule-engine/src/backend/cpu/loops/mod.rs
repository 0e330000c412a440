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
pub mod narrow;
pub mod overlap;
mod philox;
pub mod sequence;
#[cfg(test)]
mod tests;

use super::level::Level;
use crate::compile::kernel::{Binary, Lane, Reduction, Unary};
use crate::tensor::DType;
pub use overlap::{Overlap, OverlapLoop};
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
    /// Bytes from one element of `a` to the next. Only strided loops take any number; loops over several
    /// operands tell operands of one element for each row by a 0, others do not look at it.
    pub a_step: isize,
    /// Second operand.
    pub b: *const u8,
    /// Bytes from one row of `b` to the next.
    pub b_stride: isize,
    /// As `a_step`.
    pub b_step: isize,
    /// Third operand.
    pub c: *const u8,
    /// Bytes from one row of `c` to the next.
    pub c_stride: isize,
    /// As `a_step`.
    pub c_step: isize,
}

impl Call {
    /// No rows of nothing.
    pub const EMPTY: Call = Call {
        rows: 0,
        cols: 0,
        to: std::ptr::null_mut(),
        to_stride: 0,
        to_step: 0,
        a: std::ptr::null(),
        a_stride: 0,
        a_step: 0,
        b: std::ptr::null(),
        b_stride: 0,
        b_step: 0,
        c: std::ptr::null(),
        c_stride: 0,
        c_step: 0,
    };

    /// One row `to = op(to, from)` of elements of so many bytes.
    pub fn onto(cols: usize, bytes: usize, to: *mut u8, from: *const u8) -> Call {
        let step = bytes as isize;
        Call { rows: 1, cols, to, to_step: step, a: to, a_step: step, b: from, b_step: step, ..Call::EMPTY }
    }
}

/// A loop over the rows of a [`Call`], whose contract is the loop's safety contract.
pub type Loop = unsafe fn(&Call);

/// The loops of one level; each function is `None` for what no operation asks for.
pub struct Table {
    /// `to = op(a)`.
    pub unary: fn(Unary, Lane) -> Option<Loop>,
    /// `to = op(a, b)`.
    pub binary: fn(Binary, Lane) -> Option<Loop>,
    /// `to = if a { b } else { c }`.
    pub select: fn(Lane) -> Loop,
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
    /// Windows added up.
    pub overlap: fn(Lane) -> OverlapLoop,
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

/// Chooses by lane: the type's name stands for the lane's type in the expression, whose loops of
/// integers are those of the level named `integers`.
macro_rules! lanes {
    ($lane:expr, $type:ident => $loop:expr) => {
        match $lane {
            Lane::F32 => lanes!(@ $type f32 $loop),
            Lane::F64 => lanes!(@ $type f64 $loop),
            Lane::I32 => lanes!(@ integers $type i32 $loop),
            Lane::I64 => lanes!(@ integers $type i64 $loop),
            Lane::U8 => lanes!(@ integers $type u8 $loop),
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
            Lane::I32 => Some(lanes!(@ integers $type i32 $loop)),
            Lane::I64 => Some(lanes!(@ integers $type i64 $loop)),
            Lane::U8 => Some(lanes!(@ integers $type u8 $loop)),
            _ => None,
        }
    };
    (@ integers $type:ident $actual:ident $loop:expr) => {{
        #[allow(unused_imports, reason = "not every expression names each loop")]
        use integers::*;
        lanes!(@ $type $actual $loop)
    }};
    (@ $type:ident $actual:ident $loop:expr) => {{
        type $type = $actual;
        ($loop) as _
    }};
}

/// The bodies of [`drive`] and [`sequence`] compiled for one level, and their table, which takes loops of
/// integers from the level that is named.
macro_rules! level {
    ($name:ident, $isa:ident, $integers:ident $(, $features:literal)?) => {
        mod $name {
            use super::$integers as integers;
            use super::blocks::$isa as Isa;
            use super::drive::{self, Sums};
            use super::elements::*;
            use super::narrow::*;
            use super::overlap::{self, Overlap};
            use super::sequence::{self, FromInteger, Sequence};
            use super::{Binary, Call, DType, Lane, Loop, Reduction, Table, Unary};

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn unary<O: Op1>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::unary::<Isa, O>(call) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn unary_near<O: Near>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::unary_near::<Isa, O>(call) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn binary<O: Op2>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::binary::<Isa, O>(call) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn select<T: Copy + Default>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::select::<Isa, T>(call) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn repeat<T: Copy>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::repeat::<Isa, T>(call) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn strided<O: Op1>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::strided::<Isa, O>(call) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn reduce<T: Sums, const SUM: bool>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::reduce::<Isa, T, SUM>(call) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn accumulate<T: Number, const SUM: bool>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::accumulate::<Isa, T, SUM>(call) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn accumulate_one<T: Sums, const SUM: bool>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::accumulate_one::<Isa, T, SUM>(call) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn cumulative<T: Sums, const REVERSE: bool>(call: &Call) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { drive::cumulative::<Isa, T, REVERSE>(call) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn numbers<T: FromInteger>(call: &Sequence) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { sequence::numbers::<Isa, T>(call) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn random<T: FromInteger>(call: &Sequence) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { sequence::random::<Isa, T>(call) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn overlap<T: Number>(call: &Overlap) {
                // SAFETY: the caller's; the machine has the level.
                unsafe { overlap::overlap::<Isa, T>(call) }
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
                    Unary::Atan => lanes!(lane, floats T => unary::<Atan<T>>),
                    Unary::Floor => match lanes!(lane, floats T => unary::<Floor<T>>) {
                        None => Some(lanes!(lane, T => unary::<Same<T>>)),
                        found => found,
                    },
                    Unary::Not if lane == Lane::U8 => Some(integers::unary::<Not>),
                    Unary::RoundBf16 if lane == Lane::F32 => Some(unary::<RoundBf16>),
                    Unary::RoundF16 if lane == Lane::F32 => Some(unary::<RoundF16>),
                    Unary::Not | Unary::RoundBf16 | Unary::RoundF16 => None,
                }
            }

            fn find_binary(operation: Binary, lane: Lane) -> Option<Loop> {
                match operation {
                    Binary::Add => Some(lanes!(lane, T => binary::<Add<T>>)),
                    Binary::Subtract => Some(lanes!(lane, T => binary::<Subtract<T>>)),
                    Binary::Multiply => Some(lanes!(lane, T => binary::<Multiply<T>>)),
                    Binary::Divide => Some(lanes!(lane, T => binary::<Divide<T>>)),
                    Binary::Power => Some(lanes!(lane, T => binary::<Power<T>>)),
                    Binary::Minimum => Some(lanes!(lane, T => binary::<Minimum<T>>)),
                    Binary::Maximum => Some(lanes!(lane, T => binary::<Maximum<T>>)),
                    Binary::Remainder => Some(lanes!(lane, T => binary::<Remainder<T>>)),
                    Binary::Scale => Some(lanes!(lane, T => binary::<Scale<T>>)),
                    Binary::Less => Some(lanes!(lane, T => binary::<Less<T>>)),
                    Binary::Equal => Some(lanes!(lane, T => binary::<Equal<T>>)),
                    Binary::And => lanes!(lane, integers T => binary::<And<T>>),
                    Binary::Or => lanes!(lane, integers T => binary::<Or<T>>),
                    Binary::ShiftLeft => lanes!(lane, integers T => binary::<ShiftLeft<T>>),
                    Binary::ShiftRight => lanes!(lane, integers T => binary::<ShiftRight<T>>),
                }
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
                select: |lane| lanes!(lane, T => select::<T>),
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
                // Two multiplications for each number and round: these are worth all bits of a vector.
                random: |lane| match lane {
                    Lane::I32 => random::<i32>,
                    Lane::I64 => random::<i64>,
                    _ => lanes!(lane, T => random::<T>),
                },
                overlap: |lane| lanes!(lane, T => overlap::<T>),
            };
        }
    };
}

level!(portable, Portable, portable);
#[cfg(target_arch = "x86_64")]
level!(avx2, Avx2, avx2, "avx2,fma,f16c");
// Integers are few where time goes; they are as well off with 256 bits.
#[cfg(target_arch = "x86_64")]
level!(avx512, Avx512, avx2, "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl");
