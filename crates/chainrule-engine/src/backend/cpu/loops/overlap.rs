//! Windows of which one place lies side by side, added up where they overlap: each result in a register until it is whole.
//!
//! The order is that of places, the first axis outside. Refuses more than two axes, and windows of which neighbours lie
//! further apart than one.

use super::blocks::{Isa, SMALL};
use super::elements::Number;

/// Windows over rows and columns, and where they are added up.
pub struct Overlap {
    /// The first result.
    pub to: *mut u8,
    /// Bytes from one row of results to the next.
    pub to_row: isize,
    /// Place 0 of window 0.
    pub from: *const u8,
    /// Bytes from one row of windows to the next; the windows of a row are neighbours.
    pub from_row: isize,
    /// Bytes from a place to the next, by rows and by columns.
    pub from_place: [isize; 2],
    /// Rows and columns of results.
    pub sizes: [usize; 2],
    /// Rows and columns of windows.
    pub counts: [usize; 2],
    /// Rows and columns of places.
    pub places: [usize; 2],
    /// How many rows of results a window is below the one before; columns: one.
    pub stride: usize,
    /// Rows and columns of results from a place to the next.
    pub dilations: [usize; 2],
}

/// A loop over an [`Overlap`].
pub type OverlapLoop = unsafe fn(&Overlap);

impl Overlap {
    /// Where the windows are of which some row of places is at a row of results, by rows of places.
    #[inline(always)]
    fn windows_at(&self, row: usize) -> impl Iterator<Item = *const u8> {
        (0..self.places[0]).filter_map(move |place| {
            let below = row.checked_sub(place * self.dilations[0])?;
            let at = if self.stride == 1 { below } else { below / self.stride };
            let from = self.from.wrapping_offset(at as isize * self.from_row + place as isize * self.from_place[0]);
            (at < self.counts[0] && at * self.stride == below).then_some(from)
        })
    }

    /// One result.
    ///
    /// # Safety
    /// As [`overlap`].
    #[inline(always)]
    unsafe fn one<T: Number>(&self, row: usize, col: usize) -> T {
        let mut sum = T::ZERO;
        for from in self.windows_at(row) {
            for place in (0..self.places[1]).take_while(|place| place * self.dilations[1] <= col) {
                let at = col - place * self.dilations[1];
                if at < self.counts[1] {
                    let from = from.wrapping_offset(place as isize * self.from_place[1]).cast::<T>();
                    // SAFETY: the caller's; there is such a window.
                    sum = T::add(sum, unsafe { from.add(at).read_unaligned() });
                }
            }
        }
        sum
    }

    /// A vector of results, from a column on that all places reach.
    ///
    /// # Safety
    /// As [`overlap`].
    #[inline(always)]
    unsafe fn many<I: Isa, T: Number>(&self, row: usize, col: usize) -> [T; SMALL] {
        let mut sums = [T::ZERO; SMALL];
        for from in self.windows_at(row) {
            for place in 0..self.places[1] {
                let at = col - place * self.dilations[1];
                let left = self.counts[1].saturating_sub(at);
                let from = from.wrapping_offset(place as isize * self.from_place[1]).cast::<T>().wrapping_add(at);
                // SAFETY: the caller's; so many windows are left.
                let block = unsafe { if left >= SMALL { from.cast::<[T; SMALL]>().read_unaligned() } else { I::read_part(from, left) } };
                for (sum, number) in sums.iter_mut().zip(block) {
                    *sum = T::add(*sum, number);
                }
            }
        }
        sums
    }
}

/// All results.
///
/// # Safety
/// `from` is valid for reading every place of every window, `to` for writing every result, and they do not overlap.
#[inline(always)]
pub unsafe fn overlap<I: Isa, T: Number>(call: &Overlap) {
    let [rows, cols] = call.sizes;
    // Before this column not all places reach; after it, windows may have ended, which only shortens what is read.
    let edge = ((call.places[1] - 1) * call.dilations[1]).min(cols);
    for row in 0..rows {
        let to = call.to.wrapping_offset(row as isize * call.to_row).cast::<T>();
        // SAFETY: the caller's; columns are among the results.
        unsafe {
            (0..edge).for_each(|col| to.add(col).write_unaligned(call.one(row, col)));
            for col in (edge..cols).step_by(SMALL) {
                I::write_part(to.add(col), (cols - col).min(SMALL), &call.many::<I, T>(row, col));
            }
        }
    }
}
