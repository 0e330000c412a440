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
    /// Which row of windows has its places of row `place` at row `row` of results, if any.
    #[inline(always)]
    fn row_of_windows(&self, row: usize, place: usize) -> Option<usize> {
        let below = row.checked_sub(place * self.dilations[0])?;
        let at = if self.stride == 1 { below } else { below / self.stride };
        (at < self.counts[0] && at * self.stride == below).then_some(at)
    }
}

/// All results.
///
/// # Safety
/// `from` is valid for reading every place of every window, `to` for writing every result, and they do not overlap.
#[inline(always)]
pub unsafe fn overlap<I: Isa, T: Number>(call: &Overlap) {
    let [_, cols] = call.sizes;
    let [rows_of_places, places] = call.places;
    let dilation = call.dilations[1];
    // Before this column not all windows reach, after it, those that do not are the last ones.
    let edge = ((places - 1) * dilation).min(cols);
    for row in 0..call.sizes[0] {
        let to = call.to.wrapping_offset(row as isize * call.to_row).cast::<T>();
        // Where the windows are of which a row of places is here.
        let windows = |place: usize| {
            let at = call.row_of_windows(row, place)? as isize;
            Some(call.from.wrapping_offset(at * call.from_row + place as isize * call.from_place[0]))
        };
        // SAFETY: the caller's; windows are counted before they are read.
        unsafe {
            for col in 0..edge {
                let mut sum = T::ZERO;
                for from in (0..rows_of_places).filter_map(windows) {
                    for place in (0..places).take_while(|place| place * dilation <= col) {
                        let at = col - place * dilation;
                        if at < call.counts[1] {
                            let from = from.wrapping_offset(place as isize * call.from_place[1]).cast::<T>();
                            sum = T::add(sum, from.add(at).read_unaligned());
                        }
                    }
                }
                to.add(col).write_unaligned(sum);
            }
            let mut col = edge;
            while col < cols {
                let mut sums = [T::ZERO; SMALL];
                for from in (0..rows_of_places).filter_map(windows) {
                    for place in 0..places {
                        let at = col - place * dilation;
                        let left = call.counts[1].saturating_sub(at);
                        let from = from.wrapping_offset(place as isize * call.from_place[1]).cast::<T>().wrapping_add(at);
                        let block = if left >= SMALL { from.cast::<[T; SMALL]>().read_unaligned() } else { I::read_part(from, left) };
                        for (sum, number) in sums.iter_mut().zip(block) {
                            *sum = T::add(*sum, number);
                        }
                    }
                }
                let part = (cols - col).min(SMALL);
                I::write_part(to.add(col), part, &sums);
                col += part;
            }
        }
    }
}
