//! The innermost loops of products: a few rows by a few vectors, held in registers.
//!
//! Refuses to pack, to cut and to choose: the caller names rows, columns and addresses.

use super::super::level::{Level, one_by_one, prefetch};
use super::along;
use super::pack::{self, Dealing, Moves};
use super::turn;
use super::vector::{Few, Float, Vector};
use super::weave::{self, Weaving};

/// `C[r, j] (+)= sum over p of A[r, p] B[p, j]`. Strides are in elements.
#[derive(Clone, Copy)]
pub struct Block<T> {
    /// Length of a run of the sum, whose numbers are evenly spaced.
    pub depth: usize,
    /// How many runs there are.
    pub runs: usize,
    /// From the start of a run to the start of the next in A; in B they follow each other.
    pub a_jump: isize,
    /// The first element of A.
    pub a: *const T,
    /// From row to row of A, among three rows.
    pub a_row: isize,
    /// From a row of A to the third after it, among its first six rows and among its others: three times as far, but where two bands
    /// of three rows make a block, which blocks of 512 bits do not know.
    pub a_three: isize,
    /// From a row of A to the sixth after it. Packed rows lie in panels, and a tall block reads two.
    pub a_six: isize,
    /// From one `p` to the next in A.
    pub a_step: isize,
    /// From a block of A to the one below it.
    pub a_next: isize,
    /// How many bands of rows there are, evenly spaced in A.
    pub bands: usize,
    /// Rows of a band, behind which those of the next follow in C.
    pub band: usize,
    /// From band to band of A.
    pub a_band: isize,
    /// The first element of B, whose columns are side by side.
    pub b: *const T,
    /// From one `p` to the next in B.
    pub b_row: isize,
    /// How far ahead A and B are asked for; 0 if they need not be.
    pub ahead: [isize; 2],
    /// The first element of C, whose columns are side by side.
    pub c: *mut T,
    /// From row to row of C.
    pub c_row: isize,
    /// Columns of the last vector.
    pub last: usize,
    /// Adds to C instead of overwriting it.
    pub add: bool,
    /// What is added to the results besides, in this order.
    pub plus: Addends<T>,
}

/// Up to two matrices that are added to results.
pub type Addends<T> = [Option<Addend<T>>; 2];

/// Rows of numbers side by side.
#[derive(Clone, Copy)]
pub struct Addend<T> {
    /// The first number.
    pub first: *const T,
    /// From row to row, in elements.
    pub row: isize,
}

/// Computes a block of fixed rows and vectors.
///
/// # Safety
/// The pointers are valid for all elements of the block, C's for writing, and C overlaps neither
/// A nor B; what is added overlaps it only where it is the same elements.
pub type Kernel<T> = unsafe fn(&Block<T>);

/// Computes so many blocks of every band, one below the other, of sums that are not empty and to which nothing is added: short ones take less time
/// than the other cases do before they begin.
///
/// # Safety
/// As [`Kernel`], of all the blocks.
pub type Column<T> = unsafe fn(&Block<T>, usize);

/// The sum of the products of two rows of numbers that lie side by side: length, A, B.
///
/// # Safety
/// The pointers are valid for that many elements.
pub type Dot<T> = unsafe fn(usize, *const T, *const T) -> T;

/// The most vectors of a block.
pub const MOST_VECTORS: usize = 4;

/// The most rows of a block.
const MOST_ROWS: usize = 12;

/// The kernels of one level and type of number.
pub struct Kernels<T: 'static> {
    /// Numbers of a vector.
    pub lanes: usize,
    /// The most vectors of a block.
    pub most: usize,
    /// Rows of the tallest block of 1, 2, .. vectors.
    pub tallest: [usize; MOST_VECTORS],
    /// By vectors, then by rows, both less one.
    pub(super) blocks: [[Kernel<T>; MOST_ROWS]; MOST_VECTORS],
    /// The same of what computes plain blocks; with 512 bits it was not measured.
    pub(super) columns: Option<[[Column<T>; MOST_ROWS]; MOST_VECTORS]>,
    /// The product of two rows.
    pub dot: Dot<T>,
    /// What sums along vectors, where there are registers for it.
    pub along: Option<along::Kernel<T>>,
    /// What packs.
    pub moves: Moves,
}

impl<T> Kernels<T> {
    /// The height of the next block of so many vectors where `rows > 0` are left: all blocks are
    /// about equally high, as a low one takes nearly as long as a higher one.
    #[inline]
    pub fn height(&self, rows: usize, vectors: usize) -> usize {
        rows.div_ceil(rows.div_ceil(self.tallest[vectors - 1]))
    }
}

unsafe fn nothing<T>(_: &Block<T>) {
    unreachable!("no kernel for these rows and vectors")
}

unsafe fn none<T>(_: &Block<T>, _: usize) {
    unreachable!("no kernel for these rows and vectors")
}

/// A type of number that has kernels.
pub trait Multiply: Float {
    /// The kernels of a level, or of the best below that this machine has.
    fn kernels(level: Level) -> &'static Kernels<Self>;
}

macro_rules! kernels {
    ($type:ty, $portable:ident, $avx2:ident, $avx512:ident) => {
        impl Multiply for $type {
            fn kernels(level: Level) -> &'static Kernels<$type> {
                #[cfg(target_arch = "x86_64")]
                match level.min(Level::detect()) {
                    Level::Avx512 => return &$avx512::KERNELS,
                    Level::Avx2 => return &$avx2::KERNELS,
                    Level::Portable => {}
                }
                let _ = level;
                &$portable::KERNELS
            }
        }
    };
}
kernels!(f32, portable32, avx2_32, avx512_32);
kernels!(f64, portable64, avx2_64, avx512_64);

macro_rules! level {
    ($name:ident, $element:ty, $vector:ty, $turn:ident, $weave:ident, $most:literal, $tallest:expr,
     [$(($vectors:literal: $($height:literal)*))*] $(, $feature:literal)?) => {
        mod $name {
            use super::*;

            $(#[target_feature(enable = $feature)])?
            unsafe fn run<const R: usize, const C: usize>(block: &Block<$element>) {
                // SAFETY: the caller's; the instructions are those of this function.
                unsafe { run_block::<$vector, R, C>(block) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn run_all<const R: usize, const C: usize>(block: &Block<$element>, count: usize) {
                // SAFETY: the caller's; the instructions are those of this function.
                unsafe { run_column::<$vector, R, C>(block, count) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn dot(depth: usize, a: *const $element, b: *const $element) -> $element {
                // SAFETY: the caller's; the instructions are those of this function.
                unsafe { run_dot::<$vector>(depth, a, b) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn add(sums: &along::Sums<$element>) {
                // SAFETY: the caller's; the instructions are those of this function.
                unsafe {
                    match size_of::<$vector>() {
                        64 => along::add::<$vector, { along::COLS }>(sums),
                        _ => along::add::<$vector, 3>(sums),
                    }
                }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn totals(sums: *const $element, to: &mut [[$element; along::COLS]; along::ROWS]) {
                for (i, to) in to.as_flattened_mut().iter_mut().enumerate() {
                    one_by_one();
                    // SAFETY: the caller's; the instructions are those of this function.
                    *to = unsafe { total_of::<$vector>(sums.add(i * <$vector as Vector>::LANES)) };
                }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn copy(rows: usize, bytes: usize, to: *mut u8, to_row: isize, from: *const u8, from_row: isize) {
                // SAFETY: the caller's.
                unsafe { pack::copy(rows, bytes, to, to_row, from, from_row) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn turn(width: isize, rows: usize, cols: usize, to: *mut u8, to_row: isize, from: *const u8, from_row: isize) {
                // SAFETY: the caller's; the instructions are those of this function.
                unsafe { turn::$turn(width, rows, cols, to, to_row, from, from_row) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn deal(dealing: &Dealing) {
                // SAFETY: the caller's.
                unsafe { pack::deal(dealing) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn weave(weaving: &Weaving<'_>) {
                // SAFETY: the caller's; the instructions are those of this function.
                unsafe { weave::$weave(weaving) }
            }

            pub static KERNELS: Kernels<$element> = Kernels {
                lanes: <$vector as Vector>::LANES,
                most: $most,
                tallest: $tallest,
                blocks: {
                    let mut blocks = [[nothing as Kernel<$element>; MOST_ROWS]; MOST_VECTORS];
                    $($(blocks[$vectors - 1][$height - 1] = run::<$height, $vectors>;)*)*
                    blocks
                },
                columns: if size_of::<$vector>() < 64 {
                    let mut columns = [[none as Column<$element>; MOST_ROWS]; MOST_VECTORS];
                    $($(columns[$vectors - 1][$height - 1] = run_all::<$height, $vectors>;)*)*
                    Some(columns)
                } else {
                    None
                },
                dot,
                along: if size_of::<$vector>() >= 32 { Some(along::Kernel { add, totals }) } else { None },
                moves: Moves { copy, turn, deal, weave },
            };
        }
    };
}

// Heights are such that accumulators, one row of B and one number of A fit the registers: 32 of
// them with 512 bits or on 64-bit Arm, else 16.
const FEW: [usize; MOST_VECTORS] = if cfg!(target_arch = "aarch64") { [12, 8, 0, 0] } else { [8, 4, 0, 0] };

macro_rules! levels {
    ($element:ty, $portable:ident $few:literal, $avx2:ident $four:ident, $avx512:ident $eight:ident) => {
        level!($portable, $element, Few<$element, $few>, turn, by_pieces, 2, FEW,
            [(1: 1 2 3 4 5 6 7 8 9 10 11 12) (2: 1 2 3 4 5 6 7 8)]);
        #[cfg(target_arch = "x86_64")]
        level!($avx2, $element, super::super::vector::$four, turn_eights, by_masks_256, 2, [12, 6, 0, 0],
            [(1: 1 2 3 4 5 6 7 8 9 10 11 12) (2: 1 2 3 4 5 6)], "avx2,fma,f16c");
        #[cfg(target_arch = "x86_64")]
        level!($avx512, $element, super::super::vector::$eight, turn_sixteens, by_choice_512, 4, [12, 12, 8, 6],
            [(1: 1 2 3 4 5 6 7 8 9 10 11 12) (2: 1 2 3 4 5 6 7 8 9 10 11 12) (3: 1 2 3 4 5 6 7 8) (4: 1 2 3 4 5 6)],
            "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c");
    };
}
levels!(f32, portable32 4, avx2_32 Eight32, avx512_32 Sixteen32);
levels!(f64, portable64 2, avx2_64 Four64, avx512_64 Eight64);

/// # Safety
/// As [`Column`], and the vector's instructions exist.
#[inline(always)]
unsafe fn run_column<V: Vector, const R: usize, const C: usize>(block: &Block<V::Element>, count: usize) {
    for band in 0..block.bands {
        let Block { mut a, mut c, .. } = block.in_band(band);
        for _ in 0..count {
            // SAFETY: the caller's; only elements of the blocks are read and written.
            unsafe {
                let mut sums = [[V::zero(); C]; R];
                V::accumulate(&Block { a, ..*block }, &mut sums);
                put(&sums, c, block.c_row, block.last);
            }
            a = a.wrapping_offset(block.a_next);
            c = c.wrapping_offset(R as isize * block.c_row);
        }
    }
}

/// # Safety
/// As [`Kernel`], and the vector's instructions exist.
#[inline(always)]
unsafe fn run_block<V: Vector, const R: usize, const C: usize>(block: &Block<V::Element>) {
    // SAFETY: the caller's; only elements of the block are read and written.
    unsafe {
        let mut sums = [[V::zero(); C]; R];
        ask::<V, R, C>(block.c, block.c_row);
        if let Some(first) = block.plus[0].filter(|first| first.row != 0) {
            ask::<V, R, C>(first.first, first.row);
        }
        if let Some(second) = block.plus[1].filter(|second| second.row != 0) {
            ask::<V, R, C>(second.first, second.row);
        }
        if block.depth > 0 && block.runs > 0 {
            V::accumulate(block, &mut sums);
        }
        // What is needed from here on takes no registers before. No loop over what is added: sums would lie in memory for it.
        let Block { c, c_row, last, add, plus: [first, second], .. } = *std::hint::black_box(block);
        if add {
            more(&mut sums, Addend { first: c, row: c_row }, last);
        }
        if let Some(first) = first {
            more(&mut sums, first, last);
        }
        if let Some(second) = second {
            more(&mut sums, second, last);
        }
        put(&sums, c, c_row, last);
    }
}

/// Writes sums. Masked writes take their time: hence not for whole vectors.
///
/// # Safety
/// As [`run_block`].
#[inline(always)]
unsafe fn put<V: Vector, const R: usize, const C: usize>(sums: &[[V; C]; R], c: *mut V::Element, c_row: isize, last: usize) {
    for (r, sums) in sums.iter().enumerate() {
        // SAFETY: the caller's; only elements of the block are written.
        unsafe {
            let to = c.offset(r as isize * c_row);
            for (j, &sum) in sums.iter().enumerate() {
                let to = to.add(j * V::LANES);
                if j + 1 < C || last == V::LANES {
                    sum.write(to);
                } else {
                    sum.write_part(to, last);
                }
            }
        }
    }
}

/// Asks for rows of a block.
#[inline(always)]
unsafe fn ask<V: Vector, const R: usize, const C: usize>(first: *const V::Element, row: isize) {
    for r in 0..R {
        for j in 0..C {
            prefetch(first.wrapping_offset(r as isize * row).wrapping_add(j * V::LANES));
        }
    }
}

/// Adds rows in memory to sums.
///
/// # Safety
/// As [`run_block`].
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "positions are used as addresses too")]
unsafe fn more<V: Vector, const R: usize, const C: usize>(sums: &mut [[V; C]; R], from: Addend<V::Element>, last: usize) {
    for r in 0..R {
        for j in 0..C {
            // SAFETY: the caller's; only elements of the block are read.
            sums[r][j] = unsafe {
                let from = from.first.offset(r as isize * from.row).add(j * V::LANES);
                let read = if j + 1 < C || last == V::LANES { V::read(from) } else { V::read_part(from, last) };
                read.plus(sums[r][j])
            };
        }
    }
}

/// # Safety
/// As [`Dot`], and the vector's instructions exist.
#[inline(always)]
unsafe fn run_dot<V: Vector>(depth: usize, a: *const V::Element, b: *const V::Element) -> V::Element {
    const CHAINS: usize = 4;
    // SAFETY: the caller's; positions stay below `depth`.
    unsafe {
        let mut sums = [V::zero(); CHAINS];
        let mut p = 0;
        while p + CHAINS * V::LANES <= depth {
            for (chain, sum) in sums.iter_mut().enumerate() {
                let at = p + chain * V::LANES;
                *sum = V::read(a.add(at)).times_plus(V::read(b.add(at)), *sum);
            }
            p += CHAINS * V::LANES;
        }
        while p < depth {
            let part = V::LANES.min(depth - p);
            sums[0] = V::read_part(a.add(p), part).times_plus(V::read_part(b.add(p), part), sums[0]);
            p += part;
        }
        let mut lanes = [V::Element::default(); 16];
        sums[0].plus(sums[1]).plus(sums[2].plus(sums[3])).write(lanes.as_mut_ptr());
        total_of::<V>(lanes.as_ptr())
    }
}

/// The sum of the numbers of a vector in memory.
///
/// # Safety
/// They can be read.
#[inline(always)]
unsafe fn total_of<V: Vector>(vector: *const V::Element) -> V::Element {
    let mut lanes = [V::Element::default(); 8];
    let mut width = V::LANES / 2;
    for (i, lane) in lanes[..width].iter_mut().enumerate() {
        // SAFETY: the caller's.
        *lane = unsafe { vector.add(i).read().plus(vector.add(i + width).read()) };
    }
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] = lanes[i].plus(lanes[i + width]);
        }
    }
    lanes[0]
}
