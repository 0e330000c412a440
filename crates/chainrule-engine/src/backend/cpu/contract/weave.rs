//! Vectors pieced together from lines: columns of a panel that are windows of images with channels first go along a line of the
//! image and on with the next, and each step of the sum takes the same pieces from somewhere else.
//!
//! Refuses to choose what is packed so, and to write beyond a vector.

/// A piece of a vector that lies side by side in memory, in bytes.
#[derive(Clone, Copy, Default)]
pub struct Piece {
    /// Where it is in the vector.
    pub at: usize,
    /// How long it is.
    pub len: usize,
    /// Where it lies in a step.
    pub offset: isize,
}

/// Steps of a sum that begin one number after the other, as those along a line of an image do.
#[derive(Clone, Copy, Default)]
pub struct Steps {
    /// Where the first begins, in bytes.
    pub offset: isize,
    /// How many.
    pub count: usize,
}

/// One vector of a panel, step by step.
#[derive(Clone, Copy)]
pub struct Weaving<'a> {
    /// The steps, seen from `from`.
    pub steps: &'a [Steps],
    /// The most of them that begin one number after the other.
    pub most: usize,
    /// Bytes of a number.
    pub bytes: usize,
    /// What the vector consists of, in the order of the vector, each byte at most once; what is in none of them is not said.
    pub pieces: &'a [Piece],
    /// Where the vector of the first step goes.
    pub to: *mut u8,
    /// From there to that of the next, in bytes.
    pub to_row: usize,
    /// From where steps are counted.
    pub from: *const u8,
}

/// Pieces one vector together for each step.
///
/// # Safety
/// `from` is valid for every piece of every step and for what lies between them, `to` for a whole vector of every step; they do not
/// overlap. Pieces are whole numbers of four bytes or eight.
pub type Weave = unsafe fn(&Weaving<'_>);

/// Piece by piece.
///
/// # Safety
/// As [`Weave`].
#[inline(always)]
pub unsafe fn by_pieces(weaving: &Weaving<'_>) {
    let mut to = weaving.to;
    for step in weaving.each() {
        for piece in weaving.pieces {
            let from = weaving.from.wrapping_offset(step + piece.offset);
            // SAFETY: the caller's.
            unsafe { std::ptr::copy_nonoverlapping(from, to.wrapping_add(piece.at), piece.len) };
        }
        to = to.wrapping_add(weaving.to_row);
    }
}

impl Weaving<'_> {
    /// Where each step begins.
    #[inline(always)]
    fn each(&self) -> impl Iterator<Item = isize> {
        self.steps.iter().flat_map(|steps| (0..steps.count).map(|i| steps.offset + (i * self.bytes) as isize))
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{by_choice_512, by_masks_256};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Piece, Weaving};
    use std::arch::x86_64::*;

    /// Bytes of a lane of masks: numbers of eight bytes are two of these.
    const LANE: usize = 4;

    /// The vector's lanes that a piece fills, as bits.
    fn lanes(piece: &Piece) -> u32 {
        ((1 << (piece.len / LANE)) - 1) << (piece.at / LANE)
    }

    /// Where the vector would begin if all of it lay like this piece.
    fn start(piece: &Piece) -> isize {
        piece.offset - piece.at as isize
    }

    /// Bytes of a vector of 512 bits, and lanes of two.
    const VECTOR: usize = 64;
    const PAIR: isize = 32;

    macro_rules! in_one_piece {
        ($name:ident, $features:literal, $load:ident, $store:ident) => {
            /// A vector that lies in one piece.
            ///
            /// # Safety
            /// As [`Weave`](super::Weave), and the machine has the instructions.
            #[target_feature(enable = $features)]
            unsafe fn $name(weaving: &Weaving<'_>, offset: isize) {
                let mut to = weaving.to;
                for steps in weaving.steps {
                    let mut from = weaving.from.wrapping_offset(steps.offset + offset);
                    for _ in 0..steps.count {
                        // SAFETY: the caller's.
                        unsafe { $store(to.cast(), $load(from.cast())) };
                        from = from.wrapping_add(weaving.bytes);
                        to = to.wrapping_add(weaving.to_row);
                    }
                }
            }
        };
    }
    in_one_piece!(in_one_piece_512, "avx512f", _mm512_loadu_si512, _mm512_storeu_si512);
    in_one_piece!(in_one_piece_256, "avx2", _mm256_loadu_si256, _mm256_storeu_si256);

    /// Two vectors from memory hold the pieces of some steps that begin one number after the other, where lines have few numbers
    /// between them: each step chooses from both, and nothing is read again for it.
    ///
    /// # Safety
    /// As [`Weave`](super::Weave), and the machine has the instructions.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn by_choice_512(weaving: &Weaving<'_>) {
        let lane = |bytes: isize| bytes / LANE as isize;
        let (pieces, number) = (weaving.pieces, lane(weaving.bytes as isize));
        let (first, last) = match pieces {
            // SAFETY: the caller's.
            [whole] if whole.len == VECTOR => return unsafe { in_one_piece_512(weaving, whole.offset) },
            [a, b] if a.offset < b.offset => (a.offset, b),
            [a, b, c] if a.offset < b.offset && b.offset < c.offset => (a.offset, c),
            // SAFETY: the caller's.
            _ => return unsafe { by_masks_512(weaving) },
        };
        let reach = lane(last.offset - first + last.len as isize);
        if weaving.most < 2 || reach + (weaving.most as isize - 1) * number > PAIR {
            // SAFETY: the caller's.
            return unsafe { by_masks_512(weaving) };
        }
        let each = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let mut chosen = each;
        for piece in pieces {
            let moved = _mm512_add_epi32(each, _mm512_set1_epi32(lane(start(piece) - first) as i32));
            chosen = _mm512_mask_mov_epi32(chosen, lanes(piece) as __mmask16, moved);
        }
        let next = _mm512_set1_epi32(number as i32);
        let mut to = weaving.to;
        for steps in weaving.steps {
            let there = u32::MAX >> (PAIR - reach - (steps.count as isize - 1) * number);
            let from = weaving.from.wrapping_offset(steps.offset + first);
            let mut chosen = chosen;
            // SAFETY: the caller's: memory is read from the first number of the first step to the last one of the last.
            unsafe {
                let low = _mm512_maskz_loadu_epi32(there as __mmask16, from.cast());
                let high = _mm512_maskz_loadu_epi32((there >> 16) as __mmask16, from.wrapping_add(64).cast());
                for _ in 0..steps.count {
                    _mm512_storeu_si512(to.cast(), _mm512_permutex2var_epi32(low, chosen, high));
                    chosen = _mm512_add_epi32(chosen, next);
                    to = to.wrapping_add(weaving.to_row);
                }
            }
        }
    }

    macro_rules! by_masks {
        ($(#[$doc:meta])* $name:ident, $one:ident, $features:literal, $vector:ty, $mask:ty, $of_lanes:expr, $zero:ident, $load:expr, $store:ident) => {
            $(#[$doc])*
            ///
            /// # Safety
            /// As [`Weave`](super::Weave), and the machine has the instructions. Lanes that a mask leaves out are not read.
            #[target_feature(enable = $features)]
            pub unsafe fn $name(weaving: &Weaving<'_>) {
                /// The pieces held in registers.
                ///
                /// # Safety
                /// As the function around it.
                #[inline]
                #[target_feature(enable = $features)]
                unsafe fn of<const N: usize>(weaving: &Weaving<'_>) {
                    let of_lanes = $of_lanes;
                    let masks: [$mask; N] = std::array::from_fn(|p| of_lanes(lanes(&weaving.pieces[p])));
                    let starts: [isize; N] = std::array::from_fn(|p| start(&weaving.pieces[p]));
                    let mut to = weaving.to;
                    for steps in weaving.steps {
                        let mut from = weaving.from.wrapping_offset(steps.offset);
                        for _ in 0..steps.count {
                            // SAFETY: the caller's.
                            unsafe {
                                let mut whole = $zero();
                                for p in 0..N {
                                    whole = $load(whole, masks[p], from.wrapping_offset(starts[p]).cast());
                                }
                                $store(to.cast(), whole);
                            }
                            from = from.wrapping_add(weaving.bytes);
                            to = to.wrapping_add(weaving.to_row);
                        }
                    }
                }
                // SAFETY: the caller's.
                unsafe {
                    match weaving.pieces {
                        [whole] if whole.len == size_of::<$vector>() => $one(weaving, whole.offset),
                        [_] => of::<1>(weaving),
                        [_, _] => of::<2>(weaving),
                        [_, _, _] => of::<3>(weaving),
                        _ => super::by_pieces(weaving),
                    }
                }
            }
        };
    }
    by_masks!(
        /// Vectors of 512 bits.
        by_masks_512, in_one_piece_512, "avx512f", __m512i, __mmask16, |bits: u32| bits as __mmask16, _mm512_setzero_si512,
        |whole, mask, from| _mm512_mask_loadu_epi32(whole, mask, from), _mm512_storeu_si512
    );
    by_masks!(
        /// Vectors of 256 bits.
        by_masks_256, in_one_piece_256, "avx2", __m256i, __m256i,
        |bits: u32| {
            let lanes: [i32; 8] = std::array::from_fn(|lane| -((bits >> lane & 1) as i32));
            // SAFETY: both are eight lanes of 32 bits.
            unsafe { std::mem::transmute::<[i32; 8], __m256i>(lanes) }
        },
        _mm256_setzero_si256,
        |whole, mask, from| _mm256_or_si256(whole, _mm256_maskload_epi32(from, mask)), _mm256_storeu_si256
    );
}

#[cfg(test)]
mod tests {
    use super::super::block::Multiply;
    use super::{Piece, Steps, Weaving};
    use crate::backend::cpu::level::Level;

    /// Lines of every length up to two vectors, from every column on, at every level; nothing beside the vectors changes.
    fn woven<T: Multiply + PartialEq + std::fmt::Debug>(number: impl Fn(usize) -> T, outside: T) {
        let bytes = size_of::<T>();
        for level in Level::available() {
            let kernels = T::kernels(level);
            let lanes = kernels.lanes;
            let lines = (1..2 * lanes).flat_map(|line| (0..line).map(move |first| (line, first)));
            for ((line, first), between) in lines.flat_map(|line| [(line, 3), (line, 20)]) {
                // Lines some numbers apart; steps that go back, and such as go on, as well.
                let place = |column: usize| (first + column) / line * (line + between) + (first + column) % line;
                let runs = [(4, 1), (0, 3), (9, 2), (1, 1)];
                let steps: Vec<usize> = runs.iter().flat_map(|&(from, count)| from..from + count).collect();
                let numbers: Vec<T> = (0..=place(lanes - 1) + 10).map(&number).collect();
                let mut pieces: Vec<Piece> = Vec::new();
                for column in 0..lanes {
                    let (at, offset) = (column * bytes, (place(column) * bytes) as isize);
                    match pieces.last_mut() {
                        Some(last) if last.offset + last.len as isize == offset => last.len += bytes,
                        _ => pieces.push(Piece { at, len: bytes, offset }),
                    }
                }
                let row = 3 * lanes;
                let mut found = vec![outside; steps.len() * row];
                let runs = runs.map(|(from, count)| Steps { offset: (from * bytes) as isize, count });
                let (to, from) = (found[lanes..].as_mut_ptr().cast(), numbers.as_ptr().cast());
                // SAFETY: the numbers go up to the last place of the last step, and rows are three vectors long.
                unsafe { (kernels.moves.weave)(&Weaving { steps: &runs, most: 3, bytes, pieces: &pieces, to, to_row: row * bytes, from }) };
                for (at, &found) in found.iter().enumerate() {
                    let (step, column) = (at / row, (at % row).wrapping_sub(lanes));
                    let expected = if column < lanes { numbers[steps[step] + place(column)] } else { outside };
                    assert_eq!(found, expected, "{level:?}, lines of {line} from {first}, {between} between, step {step}, column {column}");
                }
            }
        }
    }

    #[test]
    fn vectors_are_pieced_together_from_lines() {
        woven(|i| i as f32, -1.0);
        woven(|i| i as f64, -1.0);
    }
}
