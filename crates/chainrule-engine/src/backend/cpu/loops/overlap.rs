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

    /// A vector of results from a column on. Where a place has no window there, zero is added, which changes no sum.
    ///
    /// # Safety
    /// As [`overlap`].
    #[inline(always)]
    unsafe fn many<I: Isa, T: Number>(&self, row: usize, col: usize) -> [T; SMALL] {
        let mut sums = [T::ZERO; SMALL];
        for from in self.windows_at(row) {
            for place in 0..self.places[1] {
                let shift = place * self.dilations[1];
                let lanes = shift.saturating_sub(col).min(SMALL)..(self.counts[1] + shift).saturating_sub(col).min(SMALL);
                let from = from.wrapping_offset(place as isize * self.from_place[1]).cast::<T>().wrapping_add(col).wrapping_sub(shift);
                // SAFETY: the caller's; there is a window for each of these lanes.
                let block = unsafe { I::read_lanes(from, lanes) };
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
    for row in 0..rows {
        let to = call.to.wrapping_offset(row as isize * call.to_row).cast::<T>();
        // SAFETY: the caller's; columns are among the results.
        unsafe {
            for col in (0..cols).step_by(SMALL) {
                I::write_part(to.add(col), (cols - col).min(SMALL), &call.many::<I, T>(row, col));
            }
        }
    }
}
