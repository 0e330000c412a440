//! The second form of the compiler: kernels, each an iteration space, strided accesses to
//! buffers and scalar code. A backend receives nothing else.
//!
//! Refuses to know operations by name, gradients, or where a buffer lies in memory.

pub use crate::ops::HostArray;
use crate::ops::host::Hosted;
use crate::tensor::{DType, Precision, Shape};
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};

/// Which buffer of the program an access touches: an index into `Kernels::buffers`.
pub type BufferId = u32;
/// Strides or sizes, one per axis of a kernel.
pub type Axes<T> = SmallVec<[T; 6]>;

/// One step of a program.
#[derive(Clone, Debug, PartialEq)]
pub enum Kernel {
    /// Scalar code over a row/column space, with reductions along rows and columns.
    Region(Region),
    /// A tiled product of two operands, with scalar code on each finished tile.
    Contract(Box<Contract>),
    /// `out[index] += update`, in the order of the updates.
    Scatter(Box<Scatter>),
    /// Overlap-add of windows: the adjoint of reading windows.
    Fold(Box<Fold>),
    /// The order of the elements of each row.
    Sort(Box<Sort>),
    /// A function of the host, called for each example of a batch.
    Host(Box<Host>),
    /// Every element of a buffer set to one value.
    Fill(Fill),
    /// Other programs, run once for each step or instead of each other.
    Control(Box<Control>),
}

/// How a kernel reaches the elements of a buffer: element `offset + sum(index[i] * strides[i])`.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// The buffer.
    pub buffer: BufferId,
    /// The element type in memory.
    pub dtype: DType,
    /// Offset of the first element, in elements.
    pub offset: isize,
    /// One stride per axis of the kernel's space, in elements; 0 repeats.
    pub strides: Axes<isize>,
}

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

/// How many elements a value has within a tile of `r` rows and `c` columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// `r x c`, one element per point.
    Full,
    /// `r`, one element per row.
    Row,
}

/// Scalar code over the space `axes`, whose first `row_axes` axes, flattened, are the rows and
/// whose other axes, flattened, are the columns.
///
/// The code is in static single assignment form: instruction `i` defines value `i`, and is run
/// for one tile of rows x columns after the other. Where the code reduces along rows, a tile
/// always holds whole rows. Tiles and units depend on shapes alone, never on the thread count.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// Sizes of the space's axes, rows first.
    pub axes: Axes<usize>,
    /// How many of `axes` are row axes.
    pub row_axes: usize,
    /// What the code reads. Strides are over all `axes`; a `Row` load ignores those of the columns.
    pub loads: Vec<Access>,
    /// What the code writes. For [`Code::Accumulate`] see there.
    pub stores: Vec<Access>,
    /// The instructions, in order.
    pub code: Vec<Instruction>,
    /// Rows one unit of work covers when the code accumulates over rows: unit `u` covers rows
    /// `u * unit_rows ..`. `None`: the backend chooses.
    pub unit_rows: Option<usize>,
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

/// `out[batch, m, n] = sum over k of a[batch, m, k] * b[batch, k, n]`, where each of the four is
/// a group of axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// Sizes of the batch axes.
    pub batch: Axes<usize>,
    /// Sizes of the axes only `a` has.
    pub m: Axes<usize>,
    /// Sizes of the axes only `b` has.
    pub n: Axes<usize>,
    /// Sizes of the axes that are summed over.
    pub k: Axes<usize>,
    /// Strides over batch, m, k in this order.
    pub a: Access,
    /// Strides over batch, k, n in this order.
    pub b: Access,
    /// Strides over (chunk,) batch, m, n in this order (`chunk` only when `k_chunks > 1`).
    /// The type may be the lane's where that of the operands is narrower.
    pub out: Access,
    /// The sum over k is cut in this many chunks, each a result of its own; a later kernel adds them.
    pub k_chunks: usize,
    /// Adds to what `out` holds instead of overwriting it.
    pub accumulate: bool,
    /// How exact it has to be, if the operands are f32.
    pub precision: Precision,
    /// Scalar code run on each finished tile while it is in cache, over the space batch, m (rows),
    /// n (columns). Load 0 is the product itself (its access is ignored); the product is then not
    /// written to `out` (but for what the code's stores write).
    pub epilogue: Option<Region>,
}

/// `out` is set to one number, then for each batch, for `i` in order: `out[batch, index[batch, i], rest]` becomes the function of
/// itself and `updates[batch, i, rest]`. bf16 and f16 are combined in f32 and rounded once.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// How elements are combined: `Add`, `Multiply`, `Maximum` or `Minimum`.
    pub how: Binary,
    /// What stands where nothing comes to.
    pub none: f64,
    /// Product of the batch axes.
    pub batch: usize,
    /// Updates per batch.
    pub count: usize,
    /// Destinations per batch.
    pub limit: usize,
    /// Elements of each update.
    pub rest: usize,
    /// Dense, `[batch, count]`, i64 or i32.
    pub index: Access,
    /// Dense, `[batch, count, rest]`.
    pub updates: Access,
    /// Dense, `[batch, limit, rest]`.
    pub out: Access,
    /// Reported with a fault: the number of the node that asked.
    pub site: u32,
}

/// `out[outer, p, rest]` = sum of `input[outer, i, k, rest]` over all `i`, `k` with `i * stride + k * dilation == p`,
/// for one or more windowed axes `p` at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// Sizes of the axes before the windowed ones.
    pub outer: Axes<usize>,
    /// Sizes of the windowed axes in the output.
    pub sizes: Axes<usize>,
    /// How many windows there are along each windowed axis.
    pub counts: Axes<usize>,
    /// Elements of a window along each windowed axis.
    pub windows: Axes<usize>,
    /// Distance between windows.
    pub strides: Axes<usize>,
    /// Distance between the elements of a window.
    pub dilations: Axes<usize>,
    /// Sizes of the axes after the windowed ones.
    pub rest: Axes<usize>,
    /// Strides over outer, counts, windows, rest in this order.
    pub input: Access,
    /// Strides over outer, sizes, rest in this order.
    pub out: Access,
}

/// `out[row]` holds the first `keep` of the positions `0..len` in the order of `input[row]`: of equal elements the first comes first, NaN is
/// larger than any number, -0 is equal to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    /// How many rows.
    pub rows: usize,
    /// Elements of a row.
    pub len: usize,
    /// How many positions of a row are wanted, at most all.
    pub keep: usize,
    /// From the largest to the smallest.
    pub descending: bool,
    /// What part of it this kernel does.
    pub stage: SortStage,
    /// Dense, `[rows, len]`, of any type; numbers made by another stage.
    pub input: Access,
    /// Dense, `[rows, keep]`, i64; numbers for another stage.
    pub out: Access,
}

/// A part of the way to the order of rows. Between stages, each element is one number (i64, or two of them where it is wide) that
/// is ordered as the elements are, and ends in its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortStage {
    /// All of it.
    Whole,
    /// From elements to numbers, runs of which are sorted.
    Runs {
        /// Numbers of a run.
        run: usize,
        /// Whether a number takes two i64.
        wide: bool,
    },
    /// Two sorted runs become one, over and over.
    Merge {
        /// Numbers of a run before.
        run: usize,
        /// As in [`SortStage::Runs`].
        wide: bool,
    },
    /// As [`SortStage::Merge`], of the last two runs, to positions.
    Last {
        /// Numbers of a run before.
        run: usize,
        /// As in [`SortStage::Runs`].
        wide: bool,
    },
}

impl SortStage {
    /// Numbers that are merged at a time. The length of a run is a multiple of it.
    pub const PIECE: usize = 16 * 1024;

    /// How many i64 stand for an element between stages.
    pub fn words(self) -> usize {
        match self {
            SortStage::Runs { wide: true, .. } | SortStage::Merge { wide: true, .. } | SortStage::Last { wide: true, .. } => 2,
            _ => 1,
        }
    }
}

/// `out[example] = function(inputs[0][example], inputs[1][example], ..)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// The function.
    pub function: Hosted,
    /// How many examples.
    pub batch: usize,
    /// Of each input, the shape of one example.
    pub shapes: Vec<Shape>,
    /// Dense, `[batch, shape]`, of one type, f32 or f64.
    pub inputs: Vec<Access>,
    /// Elements of the result of one example.
    pub len: usize,
    /// Dense, `[batch, len]`, of the same type.
    pub out: Access,
    /// Reported with a refusal: the number of the node that asked.
    pub site: u32,
}

/// Every element set to one number.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// Dense; the first `len` elements from `offset`.
    pub out: Access,
    /// How many elements.
    pub len: usize,
    /// The number.
    pub value: Number,
}

/// Programs in a program. Each takes some of `inputs` as its leaves, and gives its roots, which are carries first.
///
/// All accesses are dense. What the programs share with the whole (team, scratch) is the backend's affair.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// When which program runs.
    pub flow: Flow,
    /// Compiled by themselves.
    pub bodies: Vec<Inner>,
    /// Leaf `i` of a program is input `i`; of one of several branches, input `i + 1`: the first says which.
    pub inputs: Vec<Access>,
    /// Where each root of a program goes, or its parts one after the other; `None` of a carry that is no result.
    pub outs: Vec<Option<Access>>,
    /// Room, in bytes, for what a condition gives, at its start, for carries between steps, and for what is made within one.
    /// Nothing is in it before or after.
    pub room: Access,
    /// For each carry two places in the room, which are one if a step may write it over what it was.
    pub carried: Vec<[usize; 2]>,
    /// Where in the room the memory of the programs begins, of which one runs at a time.
    pub arena: usize,
}

/// How programs in a program follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The one program, once for each step. Leaves after the carries are parts of sequences, then what every step reads.
    Scan {
        /// How many sequences are read.
        sequences: usize,
        /// How many steps there are.
        length: usize,
        /// From the last part to the first.
        reverse: bool,
    },
    /// The program that input 0 names, an i64 or i32: below 0 the first, beyond the last one the last.
    Switch,
    /// The second program as long as the first gives a byte other than 0.
    While,
}

/// A program in a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Inner {
    /// Its kernels, and the buffers they touch.
    pub kernels: super::lower::Kernels,
    /// Their waves, and where temporary buffers lie.
    pub schedule: super::schedule::Schedule,
}

/// What a kernel may report instead of a result: an index that points outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The number of the node that asked.
    pub site: u32,
    /// The index found.
    pub index: i64,
    /// How many there are.
    pub limit: usize,
}

/// What a function of the host may report instead of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The number of the node that asked.
    pub site: u32,
    /// What is wrong with the values.
    pub message: String,
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
