//! Matrix tiles: what Intel's AMX unit does with sixteen rows of 64 bytes, and nothing else. Processors that have no such
//! unit, but vector instructions for bf16, multiply the same tiles by these (`matrix/dots.rs`).
//!
//! A unit multiplies blocks of 32 rows by 32 columns: four accumulators, two tiles of A, two of B. Operands
//! come in steps of 32 along the sum, each number in one to three bf16 parts (`split.rs` lays them out).
//!
//! Refuses to pack, to choose, and to run where the processor or the kernel does not allow it. The instructions'
//! numbers (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS): products are exact,
//! each is added in f32, rounded to nearest even; numbers below 2^-126 count as zero, in and out.

use super::super::level::Level;
use std::ops::Range;

/// Rows, and columns, of a block.
pub const SIDE: usize = 32;
/// Steps of the sum that one tile of an operand holds.
pub const STEPS: usize = 32;
/// Bytes of a tile.
pub const TILE: usize = 1024;

/// How much of a block is wanted; a unit may compute all of it. What it lacks of the sum is zero in both operands.
#[derive(Clone, Copy)]
pub struct Size {
    /// The first rows.
    pub rows: usize,
    /// The first columns.
    pub cols: usize,
    /// Pairs of steps along the sum; at least one.
    pub pairs: usize,
}

/// A block of the result and what it is the product of.
#[derive(Clone, Copy)]
pub struct Block {
    /// What is wanted of it.
    pub size: Size,
    /// How many times [`STEPS`] along the sum; at least one.
    pub steps: usize,
    /// The rows: for each `steps`, for each part, two tiles.
    pub a: *const u8,
    /// The columns, likewise.
    pub b: *const u8,
    /// The first of 32 by 32 numbers that the sum begins with; null if with zeros.
    pub before: *const f32,
    /// Bytes from row to row of `before`.
    pub before_row: isize,
    /// The first of 32 by 32 numbers of the result.
    pub c: *mut f32,
    /// Bytes from row to row of `c`.
    pub c_row: isize,
}

/// Computes a block.
///
/// # Safety
/// The pointers are valid for what the fields say, and [`Unit::start`] was called on this thread.
pub type Kernel = unsafe fn(&Block);

/// A block whose rows of A are two tiles that lie in memory as [`super::loose`] has it.
#[derive(Clone, Copy)]
pub struct LooseBlock {
    /// What is wanted of it.
    pub size: Size,
    /// How many times [`STEPS`] along the sum; at least one.
    pub steps: usize,
    /// The first row of each tile, for each part 64 bytes.
    pub tiles: [*const u8; 2],
    /// How many rows a tile has: what [`Unit::start`] was told.
    pub height: usize,
    /// Bytes from row to row of a tile.
    pub row: usize,
    /// For each step, how many bytes further all rows are.
    pub along: *const isize,
    /// The columns, as of a [`Block`].
    pub b: *const u8,
    /// The first of twice the height by 32 numbers that the sum begins with; null if with zeros.
    pub before: *const f32,
    /// Bytes from row to row of `before`.
    pub before_row: isize,
    /// The first of as many numbers of the result.
    pub c: *mut f32,
    /// Bytes from row to row of `c`.
    pub c_row: isize,
}

/// Computes such a block.
///
/// # Safety
/// The pointers are valid for what the fields say, and [`Unit::start`] was called on this thread with the height.
pub type LooseKernel = unsafe fn(&LooseBlock);

/// The rows of A of a strip.
#[derive(Clone, Copy)]
pub enum RowsOfA<'a> {
    /// Panels of 32 rows below each other.
    Panels {
        /// The first one.
        first: *const u8,
        /// Bytes from one to the next.
        panel: usize,
    },
    /// Tiles as [`LooseBlock`] has them.
    Loose {
        /// Below each other, the first row of each.
        tiles: &'a [*const u8],
        /// Rows of each.
        height: usize,
        /// Bytes from row to row.
        row: usize,
        /// Bytes to each step.
        along: &'a [isize],
    },
}

/// Rows of A, by a panel of B.
pub struct Strip<'a> {
    /// Length of the sum; at least one.
    pub depth: usize,
    /// How many times [`STEPS`] that is.
    pub steps: usize,
    /// How many steps of two panels the nearest cache holds.
    pub near: usize,
    /// The rows.
    pub a: RowsOfA<'a>,
    /// The panel of B.
    pub b: *const u8,
    /// Bytes of a step of a panel.
    pub step: usize,
    /// The first number of the result.
    pub c: *mut f32,
    /// Bytes from row to row of the result.
    pub c_row: isize,
    /// Rows of the result, and columns, of which there are at most [`SIDE`].
    pub size: [usize; 2],
    /// Whether the result is added to.
    pub add: bool,
    /// Whether what is near is a sum of its own before it is added: long sums of many parts lose less so, as an
    /// accumulator that has grown rounds away more of each part.
    pub apart: bool,
    /// Room for the sums of [`BLOCKS_OF_STRIP`] blocks, or of as many as the strip has, and of one more.
    pub sums: *mut f32,
}

/// How many blocks share the steps of a panel of B that are in the nearest cache.
pub const BLOCKS_OF_STRIP: usize = 8;

/// Numbers of a block.
pub const NUMBERS: usize = SIDE * SIDE;

/// Bytes from row to row of the sums of a block.
const ROW: isize = (SIDE * size_of::<f32>()) as isize;

/// A block of a strip on its way: its first row, and where its sums are until they are complete.
#[derive(Clone, Copy)]
struct Stop {
    down: usize,
    sums: *mut f32,
    spare: *mut f32,
}

impl Strip<'_> {
    /// Computes it, some blocks and the steps that are near at a time.
    ///
    /// # Safety
    /// The pointers are valid for what the fields say, `c` for rows and columns of the result alone; [`Unit::start`]
    /// was called on this thread with the height of tiles; the machine has the level's instructions.
    pub unsafe fn multiply(&self, kernels: (Kernel, LooseKernel), level: Level) {
        let height = self.block_rows();
        let pieces = self.steps.div_ceil(self.near);
        let piece = self.steps.div_ceil(pieces);
        for first in (0..self.size[0]).step_by(BLOCKS_OF_STRIP * height) {
            let rows = (self.size[0] - first).min(BLOCKS_OF_STRIP * height);
            for from in (0..self.steps).step_by(piece) {
                let steps = from..(from + piece).min(self.steps);
                for (at, down) in (first..first + rows).step_by(height).enumerate() {
                    // What needs no second visit needs no place of its own.
                    let at = if pieces > 1 { 1 + at } else { 1 };
                    let stop = Stop { down, sums: self.sums.wrapping_add(at * NUMBERS), spare: self.sums };
                    // SAFETY: the caller's.
                    unsafe { self.block(kernels, level, stop, steps.clone()) };
                }
            }
        }
    }

    /// Rows of a block.
    fn block_rows(&self) -> usize {
        match self.a {
            RowsOfA::Panels { .. } => SIDE,
            RowsOfA::Loose { height, .. } => 2 * height,
        }
    }

    /// Computes some steps of a block. All but the last ones leave their sums for the next.
    unsafe fn block(&self, kernels: (Kernel, LooseKernel), level: Level, stop: Stop, steps: Range<usize>) {
        let whole = self.block_rows();
        let (rows, cols) = ((self.size[0] - stop.down).min(whole), self.size[1]);
        let c = self.c.wrapping_byte_offset(stop.down as isize * self.c_row);
        let (first, last) = (steps.start == 0, steps.end == self.steps);
        let direct = [rows, cols] == [whole, SIDE] && (!self.apart || first && !self.add);
        let (before, before_row) = match (first, self.apart) {
            (false, false) => (stop.sums.cast_const(), ROW),
            (true, false) if direct && self.add => (c.cast_const(), self.c_row),
            _ => (std::ptr::null(), 0),
        };
        let own = if first || !self.apart { stop.sums } else { stop.spare };
        let (to, to_row) = if last && direct { (c, self.c_row) } else { (own, ROW) };
        // SAFETY: the caller's.
        unsafe {
            let (count, b) = (steps.len(), self.b.add(steps.start * self.step));
            let size = Size { rows, cols, pairs: (self.depth.min(steps.end * STEPS) - steps.start * STEPS).div_ceil(2) };
            match self.a {
                RowsOfA::Panels { first, panel } => {
                    let a = first.add(stop.down / SIDE * panel + steps.start * self.step);
                    (kernels.0)(&Block { size, steps: count, a, b, before, before_row, c: to, c_row: to_row });
                }
                RowsOfA::Loose { tiles, height, row, along } => {
                    // Where there is but one tile left, it stands for the other, too, whose rows nobody takes.
                    let at = stop.down / height;
                    let tiles = [tiles[at], tiles[(at + 1).min(tiles.len() - 1)]];
                    let along = along[steps.start..].as_ptr();
                    (kernels.1)(&LooseBlock { size, steps: count, tiles, height, row, along, b, before, before_row, c: to, c_row: to_row });
                }
            }
            let more = if first || !self.apart { std::ptr::null() } else { stop.spare.cast_const() };
            if !last && !more.is_null() {
                put(&Sums { sums: more, more: std::ptr::null(), c: stop.sums, c_row: ROW, rows: whole, cols: SIDE, add: true }, level);
            } else if last && !direct {
                put(&Sums { sums: stop.sums, more, c, c_row: self.c_row, rows, cols, add: self.add }, level);
            }
        }
    }
}

/// Sums of a block on their way to the result.
struct Sums {
    sums: *const f32,
    /// Others to be added to these; null if there are none.
    more: *const f32,
    c: *mut f32,
    c_row: isize,
    rows: usize,
    cols: usize,
    add: bool,
}

/// Writes or adds the first rows and columns of a block to the result.
///
/// # Safety
/// The sums are valid for a block, `c` for those rows and columns; the machine has the level's instructions.
unsafe fn put(block: &Sums, level: Level) {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if level == Level::Avx512 {
            return put_wide(block);
        }
        let _ = level;
        put_any(block);
    }
}

/// # Safety
/// As [`put`], and the machine has the instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn put_wide(block: &Sums) {
    // SAFETY: the caller's.
    unsafe { put_any(block) }
}

/// # Safety
/// As [`put`].
#[inline(always)]
unsafe fn put_any(block: &Sums) {
    // SAFETY: the caller's.
    unsafe {
        match (block.more.is_null(), block.add) {
            (true, false) => put_rows::<false, false>(block),
            (true, true) => put_rows::<false, true>(block),
            (false, false) => put_rows::<true, false>(block),
            (false, true) => put_rows::<true, true>(block),
        }
    }
}

/// # Safety
/// As [`put`].
#[inline(always)]
unsafe fn put_rows<const MORE: bool, const ADD: bool>(block: &Sums) {
    const HALF: usize = SIDE / 2;
    type Half = [f32; HALF];
    let plus = |one: Half, other: Half| -> Half { std::array::from_fn(|i| one[i] + other[i]) };
    for row in 0..block.rows {
        let to = block.c.wrapping_byte_offset(row as isize * block.c_row);
        for first in [0, HALF] {
            let at = row * SIDE + first;
            let to = to.wrapping_add(first);
            // SAFETY: the caller's; columns stay below those of the block.
            unsafe {
                let mut sum = block.sums.add(at).cast::<Half>().read();
                if MORE {
                    sum = plus(sum, block.more.add(at).cast::<Half>().read());
                }
                if block.cols >= first + HALF {
                    let before = if ADD { to.cast::<Half>().read() } else { [0.0; HALF] };
                    to.cast::<Half>().write(if ADD { plus(before, sum) } else { sum });
                } else {
                    for (i, sum) in sum.iter().enumerate().take(block.cols.saturating_sub(first)) {
                        *to.add(i) = if ADD { to.add(i).read() + sum } else { *sum };
                    }
                }
            }
        }
    }
}

/// What multiplies tiles.
pub struct Unit {
    /// Prepares this thread for tiles of A, and of the result, of so many rows, up to sixteen.
    pub start: unsafe fn(usize),
    /// Blocks of numbers in one, two and three parts, as far as they are faster than plain f32, of tiles of sixteen rows.
    pub blocks: &'static [Kernel],
    /// The same with loose rows of A.
    pub loose: &'static [LooseKernel],
    /// Multiply-adds of f32 in a nanosecond on one thread, for each of these.
    pub speeds: &'static [f64],
    /// Whether a product of `[m, k]` by `[k, n]` is worth laying out tiles.
    pub worth: fn([usize; 3]) -> bool,
    /// Gives the registers back, so that they need not be saved when threads change.
    pub end: unsafe fn(),
}

impl Unit {
    /// The fastest of this machine, if it has one.
    pub fn detect() -> Option<&'static Unit> {
        static FOUND: std::sync::OnceLock<Option<&'static Unit>> = std::sync::OnceLock::new();
        *FOUND.get_or_init(|| Unit::available().first().copied())
    }

    /// Those that this machine has and the kernel gives permission to use, the fastest first.
    pub fn available() -> Vec<&'static Unit> {
        #[allow(unused_mut, reason = "not all machines have one")]
        let mut units: Vec<&'static Unit> = Vec::new();
        #[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
        if amx::is_there() && amx::permitted() {
            units.push(&amx::UNIT);
        }
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if dots::is_there() {
            units.push(&dots::UNIT);
        }
        units
    }
}

/// Whether there is much to multiply for a unit that computes whole blocks, and little of it is their filling.
fn fills_blocks([m, n, k]: [usize; 3]) -> bool {
    let volume = |m: usize, n: usize, k: usize| m.saturating_mul(n).saturating_mul(k);
    let filled = volume(m.next_multiple_of(SIDE), n.next_multiple_of(SIDE), k.next_multiple_of(STEPS));
    let own = volume(m, n, k);
    own >= 1 << 18 && filled <= own.saturating_mul(3) / 2
}

/// Whether there is something to multiply for a unit that need not compute all of a block. Where there are fewer rows,
/// columns or steps, laying out tiles costs more than rounding for plain multiply-adds.
fn fills_some([m, n, k]: [usize; 3]) -> bool {
    m > 2 && n >= SIDE / 4 && k >= STEPS / 2 && m.saturating_mul(n).saturating_mul(k) >= 1 << 15
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod amx;
#[cfg(target_arch = "x86_64")]
mod dots;
#[cfg(test)]
pub mod emulated;
