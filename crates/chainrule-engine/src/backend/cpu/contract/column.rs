//! Blocks below each other: all rows of a pass by the columns of one panel.
//!
//! Refuses to know how a block is computed, and where its operands come from.

use super::block::{Block, Kernels};

/// Steps of a sum from which one more block takes less time than few rows in a block lose.
const LONG: usize = 64;

impl<T: Copy> Kernels<T> {
    /// Computes `rows` rows of so many vectors, from the first row of a block on; `high` rows of A make a panel, or a block where A is read
    /// where it lies. The block is as before afterwards.
    ///
    /// # Safety
    /// As [`Kernel`](super::block::Kernel), of all the rows.
    #[inline]
    pub unsafe fn column(&self, block: &mut Block<T>, rows: usize, vectors: usize, high: usize) {
        // Narrow blocks are twice as high where the registers allow it, and read two panels of A.
        let times = if high == 6 && self.tallest[vectors - 1] >= 12 { 2 } else { 1 };
        let height = times * high;
        let (first, next) = (block.a, block.a_next);
        block.a_next *= times as isize;
        let (whole, rest) = (rows / height, rows % height);
        // A few rows alone would take as long as more of them do: they and the block above become two blocks that are nearly as high
        // as each other.
        let balanced = whole > 0 && rest > 0 && rest * vectors < self.fewest_sums() && block.any_height(height);
        let alike = if balanced { whole - 1 } else { whole };
        // SAFETY: the caller's; rows of the blocks are among those of A and C.
        unsafe {
            if alike > 0 {
                self.blocks_below(height, vectors, block, alike);
            }
            if rest > 0 {
                block.move_down(height, alike);
                if balanced {
                    let upper = (height + rest).div_ceil(2);
                    block.a_next = upper as isize * block.a_row;
                    self.blocks_below(upper, vectors, block, 1);
                    block.move_down(upper, 1);
                    self.blocks_below(height + rest - upper, vectors, block, 1);
                    block.move_results(-((alike * height + upper) as isize), 0);
                } else {
                    self.blocks_below(rest, vectors, block, 1);
                    block.move_results(-((alike * height) as isize), 0);
                }
            }
        }
        (block.a, block.a_next) = (first, next);
    }

    /// Computes so many blocks of a height below each other, in each band. A height is at most the tallest of a block of so many vectors.
    ///
    /// # Safety
    /// As [`Kernel`](super::block::Kernel), of all the blocks.
    #[inline(always)]
    unsafe fn blocks_below(&self, height: usize, vectors: usize, block: &Block<T>, count: usize) {
        // SAFETY: the caller's.
        unsafe {
            if let (Some(columns), true) = (&self.columns, block.is_plain()) {
                return columns[vectors - 1][height - 1](block, count);
            }
            for band in 0..block.bands {
                let mut block = block.in_band(band);
                for _ in 0..count {
                    self.blocks[vectors - 1][height - 1](&block);
                    block.move_down(height, 1);
                }
            }
        }
    }

    /// The fewest sums of a block that keep the machine busy: two additions begin in a cycle, each takes four. With 512 bits it was
    /// not measured.
    #[inline]
    fn fewest_sums(&self) -> usize {
        if self.columns.is_some() { 8 } else { 0 }
    }
}

impl<T: Copy> Block<T> {
    /// Whether results are sums of products and nothing else.
    #[inline(always)]
    fn is_plain(&self) -> bool {
        self.runs > 0 && self.depth > 0 && !self.add && self.plus.iter().all(Option::is_none)
    }

    /// Whether blocks of so many rows could as well be higher or lower: all rows of A are evenly spaced, and sums are long enough for
    /// one more block to pay.
    #[inline(always)]
    fn any_height(&self, height: usize) -> bool {
        let even = |rows: usize, distance: isize| distance == rows as isize * self.a_row;
        even(3, self.a_three) && even(6, self.a_six) && even(height, self.a_next) && self.depth * self.runs >= LONG
    }

    /// The same in one of the bands.
    #[inline(always)]
    pub(super) fn in_band(&self, band: usize) -> Block<T> {
        let mut block = *self;
        block.a = self.a.wrapping_offset(band as isize * self.a_band);
        block.move_results((band * self.band) as isize, 0);
        block
    }

    /// Goes on so many blocks further down, of so many rows each.
    #[inline(always)]
    fn move_down(&mut self, rows: usize, blocks: usize) {
        self.a = self.a.wrapping_offset(blocks as isize * self.a_next);
        self.move_results((rows * blocks) as isize, 0);
    }

    /// Goes to results so many rows further down and columns to the right, or back, and to what is added to them.
    #[inline(always)]
    pub(super) fn move_results(&mut self, down: isize, right: isize) {
        self.c = self.c.wrapping_offset(down * self.c_row + right);
        self.plus.iter_mut().flatten().for_each(|plus| plus.first = plus.first.wrapping_offset(down * plus.row + right));
    }
}
