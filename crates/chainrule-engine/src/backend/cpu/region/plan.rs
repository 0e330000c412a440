//! The form in which a region is run: values with their classes and homes, and steps.
//!
//! Refuses to make itself ([`super::build`], [`super::slots`]) and to run ([`super::run`]).

use super::super::loops::{Loop, SequenceLoop, Table};
use super::Needs;
use super::fused::Fused;
use super::path::Path;
use super::shape::Shape;
use crate::compile::kernel::{Binary, Lane, Reduction, Unary};
use crate::tensor::DType;

/// Along which directions of a tile a value varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Class {
    /// From row to row.
    pub rows: bool,
    /// From column to column.
    pub cols: bool,
}

impl Class {
    /// Varies where either does.
    pub fn join(self, other: Class) -> Class {
        Class { rows: self.rows || other.rows, cols: self.cols || other.cols }
    }

    /// Whether an operand of this class has an element for each point of a loop over values of class
    /// `result`, not one for each row.
    pub fn has_points_of(self, result: Class) -> bool {
        if result.cols {
            self.cols
        } else if result.rows {
            self.rows
        } else {
            true
        }
    }
}

/// What is known of a value.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Where it varies.
    pub class: Class,
    /// Its type.
    pub lane: Lane,
    /// Whether it is computed once per unit.
    pub once: bool,
    /// Where it lives.
    pub home: Home,
}

/// Where a value lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// Not placed.
    Nowhere,
    /// In the table of constants.
    Constant(usize),
    /// At an offset of the scratch.
    Slot(usize),
    /// In the memory that a path reaches; the number says which of the plan's views it is.
    View,
}

/// A value that stays at one place.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// Which.
    pub value: u32,
    /// Whether it is a slot of the scratch, or else a constant.
    pub in_slot: bool,
    /// Bytes from the first slot, or the first constant.
    pub offset: usize,
    /// Bytes from row to row.
    pub stride: isize,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Work {
    /// One loop over all points, and what it computes; operands and result may be merged into one row.
    Points(Loop, Meaning),
    /// A run of such steps as machine code.
    Fused(Box<Fused>),
    /// One loop over the rows of operand `a`, and which reduction it is if it is one.
    Rows(Loop, Option<Reduction>),
    /// Copies from memory.
    Load(usize, Loop),
    /// Copies to memory.
    Store(usize, Loop),
    /// Copies from memory, moved by an index.
    LoadAt(Box<Indexed>),
    /// Coordinates or random words.
    Sequence(Box<Numbered>),
    /// Onto accumulators.
    Accumulate(Loop),
}

/// What a loop over points computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A function of one operand.
    Unary(Unary),
    /// A function of two.
    Binary(Binary),
    /// The second operand where the first is true, else the third.
    Select,
    /// The operand itself, of the same or of a smaller class.
    Same,
    /// The operand as another type.
    Cast,
}

/// A load that is moved by an index.
#[derive(Clone, Debug)]
pub struct Indexed {
    /// The path of index 0.
    pub path: usize,
    /// The type in memory.
    pub dtype: DType,
    /// The type of the index.
    pub index: Lane,
    /// Bytes that one step of the index moves.
    pub stride: isize,
    /// How many indices there are.
    pub limit: usize,
    /// Reported with a fault.
    pub site: u32,
}

/// Elements made from their position.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// The path whose offsets are the numbers.
    pub path: usize,
    /// The loop that turns numbers into elements.
    pub run: SequenceLoop,
    /// The path of the key of random words.
    pub key: Option<usize>,
    /// How many bits of each word.
    pub bits: u32,
}

/// One step. `to`, `a`, `b` and `c` are numbers of values.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it does.
    pub work: Work,
    /// Class of the result, or of what is stored.
    pub class: Class,
    /// The result.
    pub to: u32,
    /// Operands, `NO_VALUE` where there is none.
    pub operands: [u32; 3],
    /// Bytes of an element of the result and of each operand that has one element per point, else 0.
    pub widths: [u8; 4],
    /// Estimated picoseconds for each element of four bytes.
    pub cost: u16,
}

/// Stands for an operand that is not there.
pub const NO_VALUE: u32 = u32::MAX;

/// A value that lies in a buffer.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The value.
    pub value: u32,
    /// Which path.
    pub path: usize,
    /// Whether it is the product of a contraction.
    pub product: bool,
}

/// Sums or maxima over the rows of a unit.
#[derive(Clone, Debug)]
pub struct Accumulator {
    /// The value that stands for the accumulators.
    pub value: u32,
    /// What it starts from.
    pub identity: [u8; 8],
    /// Repeats the identity.
    pub repeat: Loop,
    /// Writes the result.
    pub store: Loop,
    /// Where to; its rows are empty.
    pub path: usize,
    /// Bytes from the result of one unit to that of the next.
    pub unit_stride: isize,
}

/// A region ready to run.
pub struct Plan {
    /// The loops of the chosen level.
    pub table: &'static Table,
    /// Rows, columns, tiles, units.
    pub shape: Shape,
    /// Where accesses lie.
    pub paths: Vec<Path>,
    /// Every value.
    pub values: Vec<Known>,
    /// Bytes of constants.
    pub constants: Vec<[u8; 8]>,
    /// The values that stay at one place and are pointed there at the start of a unit. What lies inside machine code is not
    /// among them, so the list is short where the code is long.
    pub placed: Vec<Placed>,
    /// Values in memory, set once per unit.
    pub views_once: Vec<View>,
    /// Values in memory, set for each tile.
    pub views: Vec<View>,
    /// Those of the views whose memory is asked for a tile ahead, and by code after a product before the product is computed.
    pub far: Vec<View>,
    /// Those of the views that are far, and asked for bit by bit while the random numbers are made that meet them: the machine looks
    /// no further ahead than what it is reading.
    pub awaited: Vec<View>,
    /// Steps run once per unit.
    pub once: Vec<Step>,
    /// Steps run for each tile.
    pub steps: Vec<Step>,
    /// Accumulators over rows.
    pub accumulators: Vec<Accumulator>,
    /// Estimated nanoseconds.
    pub cost: f64,
    /// What the scratch must hold.
    pub needs: Needs,
}

/// Bytes from which an access is no longer in the near caches when its turn comes.
pub const FAR: usize = 512 * 1024;

/// Bytes from which a value is rarely in the near caches still, long after it was made.
const NOT_NEAR: usize = 32 * 1024;

/// The most bytes that are asked for before a product, a part of the second cache.
pub const MOST_ASKED: usize = 128 * 1024;

impl Plan {
    /// Chooses the views of which tiles are short rows of a large matrix: the machine foresees long
    /// runs by itself, but not where a row will go on.
    pub fn look_ahead(&mut self) {
        let points = self.shape.rows * self.shape.cols;
        let full = |view: &View| !view.product && self.values[view.value as usize].class == Class { rows: true, cols: true };
        // What two values share is asked for once.
        let views = || self.views.iter().enumerate().filter(|(at, view)| self.views[..*at].iter().all(|other| other.path != view.path));
        let views = || views().map(|(_, view)| view);
        let bytes = |view: &View| points * self.values[view.value as usize].lane.bytes();
        // Code after a product may be asked for any columns.
        let any_columns = self.views.iter().any(|view| view.product);
        let asked = |view: &&View| full(view) && bytes(view) >= NOT_NEAR && (any_columns || !self.has_no_gaps(view));
        self.far = views().filter(asked).copied().collect();
        let draws = |step: &&Step| matches!(&step.work, Work::Sequence(numbered) if numbered.key.is_some()) && step.class.cols;
        if let Some(step) = self.steps.iter().find(draws) {
            let meets = |view: &&View| !view.product && self.values[view.value as usize].class == step.class;
            self.awaited = views().filter(|view| meets(view) && bytes(view) >= FAR).copied().collect();
        }
    }

    /// The values in memory whose next tile lies right behind the one before, is far, and stays in the second cache until its turn
    /// comes: how many bytes further on.
    pub fn goes_on(&self) -> impl Iterator<Item = (u32, u32)> {
        let shape = &self.shape;
        self.views.iter().filter(|view| !view.product).filter_map(move |view| {
            let row = shape.cols * self.values[view.value as usize].lane.bytes();
            let tile = shape.tile_rows * row;
            let pays = shape.rows * row >= FAR && tile <= MOST_ASKED;
            (pays && self.has_no_gaps(view)).then_some((view.value, tile as u32))
        })
    }

    /// Whether tiles are whole rows that follow each other.
    fn has_no_gaps(&self, view: &View) -> bool {
        let row = self.shape.cols * self.values[view.value as usize].lane.bytes();
        let dense = self.paths[view.path].rows.last().is_some_and(|&(_, stride)| stride == row as isize);
        dense && self.shape.tile_cols == self.shape.cols
    }

    /// Where a value stays, if it does: as a constant or in a slot.
    pub fn placed(&self, value: u32) -> Option<Placed> {
        let known = &self.values[value as usize];
        let (in_slot, offset) = match known.home {
            Home::Slot(offset) => (true, offset),
            Home::Constant(index) => (false, index * size_of::<[u8; 8]>()),
            Home::View | Home::Nowhere => return None,
        };
        let bytes = known.lane.bytes();
        let stride = match (known.class.rows, known.class.cols) {
            (true, true) => self.shape.tile_cols * bytes,
            (true, false) => bytes,
            _ => 0,
        };
        Some(Placed { value, in_slot, offset, stride: stride as isize })
    }

    /// The loop that copies values of a lane.
    pub fn same(&self, lane: Lane) -> Loop {
        (self.table.cast)(lane, lane)
    }

    /// Nanoseconds on one thread: a call for each step and tile, the elements of each step, and
    /// the traffic of values that lie in memory.
    pub fn estimate(&self) -> f64 {
        let shape = &self.shape;
        if shape.units == 0 {
            return 0.0;
        }
        let tiles = (shape.row_chunks() * shape.col_chunks()) as f64;
        let elements = |class: Class| match (class.rows, class.cols) {
            (true, true) => shape.rows as f64 * shape.cols as f64,
            (true, false) => shape.rows as f64,
            (false, true) => tiles * shape.tile_cols as f64,
            (false, false) => tiles,
        };
        let mut total = shape.units as f64 * (20.0 + 10.0 * self.once.len() as f64);
        for step in &self.steps {
            let words = step.widths.into_iter().max().unwrap_or(4) as f64 / 4.0;
            total += tiles * 8.0 + elements(step.class) * words * step.cost as f64 * 1e-3;
        }
        for view in &self.views {
            let known = self.values[view.value as usize];
            total += elements(known.class) * known.lane.bytes() as f64 * 0.03;
        }
        total
    }
}

/// A store whose place is not chosen yet.
pub struct Pending {
    /// The value that is stored, of the class of the store or one that enters it by points.
    pub value: u32,
    /// Where to.
    pub path: usize,
    /// The type in memory.
    pub dtype: DType,
    /// The class of the store.
    pub class: Class,
    /// The loop that copies.
    pub copy: Loop,
}
