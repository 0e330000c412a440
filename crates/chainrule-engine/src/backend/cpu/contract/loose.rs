//! bf16 parts of an operand as it lies in memory, for one that reads each of its numbers several times: the windows of a
//! convolution.
//!
//! Splitting and laying out a number costs more than multiplying it some tens of times. So the memory that such an operand
//! reaches is split once, the parts of each 32 numbers one after the other; rows of A are then read from there as they
//! are, if some of them are evenly spaced, and other panels are put together from these.
//! Refuses operands whose numbers do not lie in whole thirty-twos, those that read little more than once, and very large ones.

use super::super::level::Level;
use super::super::region::path::{Line, offset_at};
use super::block::Multiply;
use super::layout::Operand;
use super::matrix::{RowsOfA, SIDE, STEPS, TILE};
use super::method::Method;
use super::pack::{Part, walk};
use super::plan::Plan;
use super::side::{LONGEST, Side, side_by_side};
#[cfg(target_arch = "x86_64")]
use super::split::wide::Wide;
use super::split::{Numbers, Portable, Some32, Way, fits, magnitude, write_halves};
use smallvec::SmallVec;
use std::ops::Range;

/// Numbers that are split at once.
const PIECE: usize = 8 * 1024;

/// How often each number must be read.
const OFTEN: usize = 2;

/// The most numbers: in three parts, 60 MB next to a program's other memory.
const MOST: usize = 10 << 20;

/// The least rows of a tile that are worth it: each takes the time of a row, but loads of B are for all.
const LEAST_HEIGHT: usize = 8;

const NUMBER: isize = size_of::<f32>() as isize;

/// Of the numbers of a piece, the largest magnitude and the least that is not 0, as bits; both 0 if all are.
#[derive(Clone, Copy)]
struct Extremes {
    largest: u32,
    least: u32,
}

/// The memory that an operand reaches, and more in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loose {
    /// Bytes from the operand's first element to the first number.
    pub first: isize,
    /// How many numbers; a multiple of 32.
    pub numbers: usize,
}

impl Loose {
    /// The memory of an operand of f32, if splitting it first pays.
    pub fn of(operand: &Operand) -> Option<Loose> {
        let (rows, cols) = (&operand.path.rows, &operand.path.cols);
        let whole = |&(size, stride): &(usize, isize)| stride == NUMBER && size.is_multiple_of(STEPS);
        let inner = [rows, cols].into_iter().filter_map(|line| line.last()).filter(|axis| whole(axis)).count();
        let apart = |&(_, stride): &(usize, isize)| stride % (STEPS as isize * NUMBER) == 0;
        if inner != 1 || !rows.iter().chain(cols).all(|axis| whole(axis) || apart(axis)) {
            return None;
        }
        let (rows, cols) = (all(rows), all(cols));
        let (one, other) = (reach(rows), reach(cols));
        let loose =
            Loose { first: one.start + other.start, numbers: ((one.end + other.end - one.start - other.start) / NUMBER) as usize + 1 };
        let read = rows.len.saturating_mul(cols.len);
        (loose.numbers <= MOST && read >= loose.numbers.saturating_mul(OFTEN)).then_some(loose)
    }

    /// Bytes of all parts, and of what is known of each piece.
    pub fn bytes(&self, parts: usize) -> usize {
        self.numbers * parts * size_of::<u16>() + self.pieces() * size_of::<Extremes>()
    }

    /// How many rows of A at a time are evenly spaced, if they can be read as tiles where they lie: a whole fraction of the
    /// innermost axis of rows, up to sixteen and not much less.
    pub fn height(&self, a: &Operand) -> Option<usize> {
        let along_sum = a.path.cols.last().is_some_and(|&(_, stride)| stride == NUMBER);
        let &(size, _) = a.path.rows.last().filter(|_| along_sum)?;
        let height = size.div_ceil(size.div_ceil(SIDE / 2));
        (size.is_multiple_of(height) && height >= LEAST_HEIGHT).then_some(height)
    }

    /// Where the bytes of a place begin that is so many numbers from the operand's first element, seen from there.
    pub fn bytes_to(numbers: isize, parts: usize) -> isize {
        numbers * (parts * size_of::<u16>()) as isize
    }

    /// Whether parts can hold every number of some pieces, which is more than is asked of a row.
    ///
    /// # Safety
    /// They were split.
    pub unsafe fn all_fit(&self, parts: usize, room: *const u8, pieces: Range<usize>) -> bool {
        let first = self.extremes(parts, room.cast_mut());
        pieces.into_iter().all(|piece| {
            // SAFETY: the caller's.
            let Extremes { largest, least } = unsafe { first.add(piece).read() };
            largest == 0 || fits(largest) && fits(least)
        })
    }

    /// What is known of the first piece.
    fn extremes(&self, parts: usize, room: *mut u8) -> *mut Extremes {
        room.wrapping_add(self.numbers * parts * size_of::<u16>()).cast()
    }

    /// How many pieces are split on their own.
    pub fn pieces(&self) -> usize {
        self.numbers.div_ceil(PIECE)
    }

    /// The pieces that some lines and some of the sum reach.
    pub fn pieces_of(&self, line: Part<'_>, sum: Part<'_>) -> Range<usize> {
        let (one, other) = (reach(line), reach(sum));
        let piece = |bytes: isize| ((bytes - self.first) / NUMBER) as usize / PIECE;
        piece(one.start + other.start)..piece(one.end + other.end) + 1
    }

    /// Splits a piece. `memory` is the operand's first element, `room` the first byte for parts.
    ///
    /// # Safety
    /// Both are valid for all of the numbers, nobody else writes to either, and the machine has the level's instructions.
    pub unsafe fn split(&self, piece: usize, parts: usize, memory: *const u8, room: *mut u8, level: Level) {
        let (start, end) = (piece * PIECE, ((piece + 1) * PIECE).min(self.numbers));
        let from = memory.wrapping_offset(self.first).cast::<f32>().wrapping_add(start);
        let to = room.cast::<u16>().wrapping_add(start * parts);
        // SAFETY: the caller's.
        unsafe { self.extremes(parts, room).add(piece).write(in_parts_at(from, to, end - start, parts, level)) };
    }

    /// From where places are counted that are numbers from the operand's first element.
    pub fn from(&self, parts: usize, room: *const u8) -> *const u16 {
        room.cast::<u16>().wrapping_offset(-(self.first / NUMBER) * parts as isize)
    }
}

fn all(line: &Line) -> Part<'_> {
    Part { line, start: 0, len: line.iter().map(|axis| axis.0).product() }
}

/// Rows of A that are read where their parts lie.
#[derive(Default)]
pub struct LooseTiles {
    tiles: SmallVec<[*const u8; 64]>,
    along: SmallVec<[isize; 16]>,
}

impl LooseTiles {
    /// Those of a tile of the result, or nothing if parts cannot hold them.
    ///
    /// # Safety
    /// As [`Side::packed`]; the plan says that they can be read so.
    pub unsafe fn find<T: Multiply>(
        &mut self,
        side: &Side<'_, T>,
        plan: &Plan,
        (from, len): (usize, usize),
        (row, rows): (usize, usize),
    ) -> Option<RowsOfA<'_>> {
        let Method::Tiles(_, parts) = plan.method else { return None };
        let sum = Part { line: side.sum, start: from, len };
        let mut places = [0; LONGEST / STEPS];
        let found = side_by_side(sum, &mut places);
        debug_assert!(found && len.is_multiple_of(STEPS), "the plan saw to it that each 32 of the sum are side by side");
        let (places, height) = (&places[..len / STEPS], plan.height_of_tiles());
        // SAFETY: the caller's.
        let (first, all_fit) = unsafe { side.in_parts(sum, Part { line: side.line, start: row, len: rows }, parts) }?;
        let first: *const u8 = first.cast();
        let number = |row: usize| offset_at(side.line, row) / size_of::<f32>() as isize;
        // SAFETY: the caller's.
        if !all_fit && !unsafe { rows_fit(side.memory.cast_const().cast(), (row..row + rows).map(number), places) } {
            return None;
        }
        self.tiles = (row..row + rows).step_by(height).map(|row| first.wrapping_offset(Loose::bytes_to(number(row), parts))).collect();
        self.along = places.iter().map(|&place| Loose::bytes_to(place, parts)).collect();
        let step = side.line.last().map_or(0, |&(_, step)| step / size_of::<f32>() as isize);
        Some(RowsOfA::Loose { tiles: &self.tiles, height, row: Loose::bytes_to(step, parts) as usize, along: &self.along })
    }
}

/// The least and the most of what some elements of a line add to an address.
fn reach(part: Part<'_>) -> Range<isize> {
    let (mut least, mut most) = (isize::MAX, isize::MIN);
    walk(part, |_, len, offset, step| {
        let last = offset + (len as isize - 1) * step;
        (least, most) = (least.min(offset).min(last), most.max(offset).max(last));
    });
    least..most
}

/// Whether parts can hold the numbers of rows: whether the largest of each, in this part of the sum, is 0 or fits. `along` is
/// where each 32 of the sum are, `rows` where rows begin, as numbers from the first element of an operand.
///
/// # Safety
/// The operand's memory is valid for them.
pub unsafe fn rows_fit(first: *const f32, mut rows: impl Iterator<Item = isize>, along: &[isize]) -> bool {
    rows.all(|row| {
        let mut most = [0_u32; STEPS];
        for at in along {
            // SAFETY: the caller's.
            let numbers = unsafe { first.wrapping_offset(row + at).cast::<[f32; STEPS]>().read_unaligned() };
            for (most, number) in most.iter_mut().zip(numbers) {
                *most = (*most).max(magnitude(number));
            }
        }
        fits(most.into_iter().fold(0, u32::max))
    })
}

/// # Safety
/// As [`Loose::split`].
unsafe fn in_parts_at(from: *const f32, to: *mut u16, count: usize, parts: usize, level: Level) -> Extremes {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if level == Level::Avx512 {
            return with_wide(from, to, count, parts);
        }
        let _ = level;
        any::<Portable>(from, to, count, parts)
    }
}

/// # Safety
/// As [`Loose::split`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn with_wide(from: *const f32, to: *mut u16, count: usize, parts: usize) -> Extremes {
    // SAFETY: the caller's.
    unsafe { any::<Wide>(from, to, count, parts) }
}

/// # Safety
/// As [`Loose::split`].
#[inline(always)]
unsafe fn any<W: Way>(from: *const f32, to: *mut u16, count: usize, parts: usize) -> Extremes {
    // SAFETY: the caller's.
    unsafe {
        match parts {
            1 => in_parts::<W, 1>(from, to, count),
            2 => in_parts::<W, 2>(from, to, count),
            _ => in_parts::<W, 3>(from, to, count),
        }
    }
}

/// # Safety
/// As [`Loose::split`].
#[inline(always)]
unsafe fn in_parts<W: Way, const P: usize>(from: *const f32, to: *mut u16, count: usize) -> Extremes {
    let (mut largest, mut least) = ([0_u32; STEPS], [u32::MAX; STEPS]);
    for done in (0..count).step_by(STEPS) {
        // SAFETY: the caller's; whole thirty-twos.
        let numbers = unsafe { from.add(done).cast::<[f32; STEPS]>().read_unaligned() };
        for ((largest, least), number) in largest.iter_mut().zip(&mut least).zip(numbers) {
            let bits = magnitude(number);
            *largest = (*largest).max(bits);
            // 0 less one is more than anything.
            *least = (*least).min(bits.wrapping_sub(1));
        }
        // SAFETY: as above.
        unsafe { W::parts::<P>(Some32::all(from.add(done)), std::array::from_fn(|part| to.add(done * P + part * STEPS).cast())) };
    }
    let least = least.into_iter().fold(u32::MAX, u32::min);
    Extremes { largest: largest.into_iter().fold(0, u32::max), least: least.wrapping_add(1) }
}

/// The parts of 32 numbers at a place.
///
/// # Safety
/// They are there.
#[inline(always)]
unsafe fn parts_at<const P: usize>(from: *const u16, place: isize) -> [[u16; STEPS]; P] {
    // SAFETY: the caller's.
    unsafe { from.wrapping_offset(place * P as isize).cast::<[[u16; STEPS]; P]>().read_unaligned() }
}

/// Lays out parts line by line, as tiles of A.
///
/// # Safety
/// As [`super::split::split`], for parts.
#[inline(always)]
pub unsafe fn lines<const P: usize>(numbers: &Numbers<'_>, from: *const u16) {
    for line in 0..SIDE {
        for step in 0..numbers.steps {
            // SAFETY: the caller's.
            let all = unsafe { parts_at::<P>(from, numbers.rows[line] + numbers.pieces[step]) };
            for (part, bits) in all.iter().enumerate() {
                let tile = (step * P + part) * 2 + line / 16;
                // SAFETY: the caller's.
                unsafe { numbers.to.add(tile * TILE + line % 16 * 64).cast::<[u16; STEPS]>().write(*bits) };
            }
        }
    }
}

/// Lays out parts two steps at a time, as tiles of B.
///
/// # Safety
/// As [`super::split::split`], for parts.
#[inline(always)]
pub unsafe fn steps<const P: usize>(numbers: &Numbers<'_>, from: *const u16) {
    for pair in 0..numbers.steps * STEPS / 2 {
        let row = |step: usize| numbers.rows[step] + numbers.pieces[0];
        // SAFETY: the caller's.
        let (one, two) = unsafe { (parts_at::<P>(from, row(2 * pair)), parts_at::<P>(from, row(2 * pair + 1))) };
        for part in 0..P {
            let mut both = [0_u32; SIDE];
            for (both, (a, b)) in both.iter_mut().zip(one[part].iter().zip(&two[part])) {
                *both = u32::from(*a) | u32::from(*b) << 16;
            }
            let tile = (pair / 16 * P + part) * 2;
            // SAFETY: the caller's; the halves are rows of two tiles.
            unsafe { write_halves(numbers.to.add(tile * TILE + pair % 16 * 64), &both) };
        }
    }
}
