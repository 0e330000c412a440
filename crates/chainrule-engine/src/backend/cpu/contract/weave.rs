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

/// One vector of a panel, step by step.
#[derive(Clone, Copy)]
pub struct Weaving<'a> {
    /// Where each step begins, in bytes from `from` on.
    pub steps: &'a [isize],
    /// What the vector consists of, each byte at most once; what is in none of them is not said.
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
/// `from` is valid for every piece of every step, `to` for a whole vector of every step; they do not overlap. Pieces are whole
/// numbers of four bytes or eight.
pub type Weave = unsafe fn(&Weaving<'_>);

/// Piece by piece.
///
/// # Safety
/// As [`Weave`].
#[inline(always)]
pub unsafe fn by_pieces(weaving: &Weaving<'_>) {
    for (i, &step) in weaving.steps.iter().enumerate() {
        let to = weaving.to.wrapping_add(i * weaving.to_row);
        for piece in weaving.pieces {
            let from = weaving.from.wrapping_offset(step + piece.offset);
            // SAFETY: the caller's.
            unsafe { std::ptr::copy_nonoverlapping(from, to.wrapping_add(piece.at), piece.len) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{by_masks_256, by_masks_512};

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

    macro_rules! by_masks {
        ($(#[$doc:meta])* $name:ident, $features:literal, $vector:ty, $mask:ty, $of_lanes:expr, $zero:ident, $load:expr, $store:ident) => {
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
                    for &step in weaving.steps {
                        let from = weaving.from.wrapping_offset(step);
                        // SAFETY: the caller's.
                        unsafe {
                            let mut whole = $zero();
                            for p in 0..N {
                                whole = $load(whole, masks[p], from.wrapping_offset(starts[p]).cast());
                            }
                            $store(to.cast(), whole);
                        }
                        to = to.wrapping_add(weaving.to_row);
                    }
                }
                // SAFETY: the caller's.
                unsafe {
                    match weaving.pieces.len() {
                        1 => of::<1>(weaving),
                        2 => of::<2>(weaving),
                        3 => of::<3>(weaving),
                        _ => super::by_pieces(weaving),
                    }
                }
            }
        };
    }
    by_masks!(
        /// Vectors of 512 bits.
        by_masks_512, "avx512f", __m512i, __mmask16, |bits: u32| bits as __mmask16, _mm512_setzero_si512,
        |whole, mask, from| _mm512_mask_loadu_epi32(whole, mask, from), _mm512_storeu_si512
    );
    by_masks!(
        /// Vectors of 256 bits.
        by_masks_256, "avx2", __m256i, __m256i,
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
    use super::{Piece, Weaving};
    use crate::backend::cpu::level::Level;

    /// Lines of every length up to two vectors, from every column on, at every level; nothing beside the vectors changes.
    fn woven<T: Multiply + PartialEq + std::fmt::Debug>(number: impl Fn(usize) -> T, outside: T) {
        let bytes = size_of::<T>();
        for level in Level::available() {
            let kernels = T::kernels(level);
            let lanes = kernels.lanes;
            for (line, first) in (1..2 * lanes).flat_map(|line| (0..line).map(move |first| (line, first))) {
                // Lines three numbers apart; steps that go back as well.
                let place = |column: usize| (first + column) / line * (line + 3) + (first + column) % line;
                let steps: Vec<usize> = [4, 0, 1, 9].to_vec();
                let numbers: Vec<T> = (0..=place(lanes - 1) + 9).map(&number).collect();
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
                let offsets: Vec<isize> = steps.iter().map(|step| (step * bytes) as isize).collect();
                let (to, from) = (found[lanes..].as_mut_ptr().cast(), numbers.as_ptr().cast());
                // SAFETY: the numbers go up to the last place of the last step, and rows are three vectors long.
                unsafe { (kernels.moves.weave)(&Weaving { steps: &offsets, pieces: &pieces, to, to_row: row * bytes, from }) };
                for (at, &found) in found.iter().enumerate() {
                    let (step, column) = (at / row, (at % row).wrapping_sub(lanes));
                    let expected = if column < lanes { numbers[steps[step] + place(column)] } else { outside };
                    assert_eq!(found, expected, "{level:?}, lines of {line} from {first}, step {step}, column {column}");
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
