//! Scalar code: instructions on values, each computed for every point or row of a kernel's space.
//!
//! The names of scalar functions are listed here, once, and used by operations too. Refuses to know buffers: what is read and written is
//! named by its place in a kernel's lists.

use super::Axes;
#[cfg(doc)]
use super::{Fault, Region};
use crate::tensor::DType;
use std::hash::{Hash, Hasher};

/// The types a value has while it is computed. bf16 and f16 are widened to `F32`
/// (and rounded after every operation), bool and u8 are `U8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// A byte; booleans are 0 or 1.
    U8,
}

impl Lane {
    /// The lane type in which elements of `dtype` are computed.
    pub fn of(dtype: DType) -> Lane {
        match dtype {
            DType::F32 | DType::BF16 | DType::F16 => Lane::F32,
            DType::F64 => Lane::F64,
            DType::I32 => Lane::I32,
            DType::I64 => Lane::I64,
            DType::U8 | DType::Bool => Lane::U8,
        }
    }

    /// The element type in which parts of a sum wait for each other: that of the lane. Parts kept in
    /// bf16 or f16 would each be rounded, and a sum of them off by more than its own rounding.
    pub fn of_parts(dtype: DType) -> DType {
        match dtype {
            DType::BF16 | DType::F16 => DType::F32,
            dtype => dtype,
        }
    }

    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Lane::F32 | Lane::I32 => 4,
            Lane::F64 | Lane::I64 => 8,
            Lane::U8 => 1,
        }
    }
}

/// How many elements a value has within a tile of `r` rows and `c` columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// `r x c`, one element per point.
    Full,
    /// `r`, one element per row.
    Row,
}

/// One instruction; it defines the value of its own position in the code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// What it computes.
    pub code: Code,
    /// The lane type of its result (for stores: of what is stored).
    pub lane: Lane,
    /// The extent of its result (for stores: of what is stored).
    pub extent: Extent,
}

/// Position of the instruction that defined a value.
pub type Value = u32;

/// What an instruction computes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Reads `loads[i]` at every point (`Full`) or row (`Row`), widening to the lane type.
    Load(usize),
    /// As `Load`, but the element offset is moved by `index * stride` with an integer value
    /// `index` (an I64 or I32 lane; of `Row` extent it serves the whole row; a `Full` result may take a `Row`
    /// or a `Full` index). An index outside `0..limit` is a fault (see [`Fault`]), and reads index 0.
    LoadAt {
        /// Which of `loads`.
        load: usize,
        /// The value that indexes.
        index: Value,
        /// Elements that one step of the index moves.
        stride: isize,
        /// How many indices there are.
        limit: usize,
        /// Reported with a fault: the number of the node that asked.
        site: u32,
    },
    /// The same number everywhere. Uses `f64` for float lanes and `i64` for integer lanes.
    Constant(Number),
    /// The coordinate along one axis of the space, as a number of the lane type.
    Coordinate(usize),
    /// Random integers in `0..2^bits`: number `n` of the Philox stream of the key that `loads[key]`
    /// reads (an i64), where `n = offset + sum(index[i] * strides[i])`.
    /// See [`crate::tensor::random::draw`] for the definition. The lane is I32 for `bits <= 31`, else I64.
    Random {
        /// Which of `loads` is the key.
        key: usize,
        /// How many bits, 1 to 64 (64: the whole i64, sign included).
        bits: u32,
        /// First number.
        offset: i64,
        /// Numbers per step along each axis. Boxed, as a program holds thousands of instructions and few of these.
        strides: Box<Axes<i64>>,
    },
    /// One operand.
    Unary(Unary, Value),
    /// Two operands of the same lane type; comparisons give `U8`.
    Binary(Binary, Value, Value),
    /// `if condition { a } else { b }`, the condition of lane `U8`.
    Select(Value, Value, Value),
    /// A number of another lane type. Float to integer truncates toward zero and saturates, NaN gives 0;
    /// anything to bool (`Cast` is emitted as `NotEqual` 0 there) never reaches here.
    Cast(Value),
    /// A `Row` value repeated along the columns.
    Expand(Value),
    /// A `Full` value reduced along the columns of each row: `Row`.
    Reduce(Reduction, Value),
    /// Running sum along the columns, from the last one if `reverse`. `Full`.
    Cumulative {
        /// What is summed.
        value: Value,
        /// From the last column to the first.
        reverse: bool,
    },
    /// Writes a value to `stores[i]`, narrowing from the lane type to the memory type.
    Store(usize, Value),
    /// Reduces a `Full` value over the rows of the unit and writes one row of columns to
    /// `stores[i]`, whose strides are: one for the unit's number, then one per column axis.
    Accumulate(usize, Reduction, Value),
}

/// A literal number in scalar code.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// For float lanes. Compared by bits.
    Float(f64),
    /// For integer lanes.
    Integer(i64),
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Number::Float(a), Number::Float(b)) => a.to_bits() == b.to_bits(),
            (Number::Integer(a), Number::Integer(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Number::Float(x) => (0_u8, x.to_bits()).hash(state),
            Number::Integer(n) => (1_u8, *n).hash(state),
        }
    }
}

/// Scalar functions of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each variant is the function of its name")]
pub enum Unary {
    Negate,
    Exp,
    Log,
    Log1p,
    Expm1,
    Sqrt,
    Sin,
    Cos,
    Tanh,
    Sech,
    Sigmoid,
    Softplus,
    Erf,
    Atan,
    Floor,
    /// 1 where the operand is zero, else 0 (`U8` lanes): logical not.
    Not,
    /// Rounds an f32 to the nearest bf16 and widens it again.
    RoundBf16,
    /// Rounds an f32 to the nearest f16 and widens it again.
    RoundF16,
}

/// Scalar functions of two operands. Integer arithmetic wraps; integer division truncates toward
/// zero, and by zero gives 0. `Min` and `Max` give NaN if either operand is NaN. `And` and `Or` go bit by
/// bit, of truths 0 and 1 too. Bits shifted out are lost; a shift by all bits, by more or by less than none leaves what
/// one bit after the other would: 0, or the sign repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each variant is the function of its name")]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Minimum,
    Maximum,
    /// `a - b * floor(a / b)` for floats, the matching rule for integers (sign of the divisor; by zero: 0).
    Remainder,
    /// `a * b`, but exactly 0 wherever `a` is 0, even against an infinite or NaN `b`. Derivative
    /// rules scale with it, so that what has no influence contributes nothing.
    Scale,
    Less,
    Equal,
    And,
    Or,
    ShiftLeft,
    ShiftRight,
}

/// How elements are combined by a reduction; always in a fixed order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the reduction of its name")]
pub enum Reduction {
    Sum,
    Maximum,
}
