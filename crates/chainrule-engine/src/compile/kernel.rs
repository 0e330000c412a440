//! The second form of the compiler: kernels, each an iteration space, strided accesses to
//! buffers and scalar code. A backend receives nothing else.
//!
//! Refuses to know operations by name, gradients, or where a buffer lies in memory.

pub use crate::ops::HostArray;
use crate::ops::host::Hosted;
use crate::tensor::{DType, Precision, Shape};
use smallvec::SmallVec;

mod code;

pub use code::{Binary, Code, Extent, Instruction, Lane, Number, Reduction, Unary, Value};

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
