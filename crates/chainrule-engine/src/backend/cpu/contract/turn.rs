//! Matrices whose rows become columns: four by four numbers at a time, or eight by eight or sixteen by sixteen where vectors are
//! that long.
//!
//! Refuses memory that is not side by side along one side of either matrix.

/// Turns a matrix: bytes of an element, rows and columns of the result, where it goes and from row to row there, where it
/// comes from and there.
///
/// # Safety
/// Both are valid for the matrix and do not overlap.
pub type Turn = unsafe fn(isize, usize, usize, *mut u8, isize, *const u8, isize);

/// `to[i, j] = from[j, i]` for elements of 4 or 8 bytes that lie side by side along `j` in `to`
/// and along `i` in `from`. Strides are in bytes.
///
/// # Safety
/// Both are valid for the matrix and do not overlap.
#[inline(always)]
pub unsafe fn turn(width: isize, rows: usize, cols: usize, to: *mut u8, to_row: isize, from: *const u8, from_row: isize) {
    // SAFETY: the caller's.
    unsafe {
        match width {
            4 => turn_of::<u32>(rows, cols, to, to_row, from, from_row),
            _ => turn_of::<u64>(rows, cols, to, to_row, from, from_row),
        }
    }
}

/// Rows of `to` that are written in one go: a cache line of `from`.
const BAND: usize = 16;

/// # Safety
/// As [`turn`].
#[inline(always)]
unsafe fn turn_of<T: Copy>(rows: usize, cols: usize, to: *mut u8, to_row: isize, from: *const u8, from_row: isize) {
    let target = |i: usize, j: usize| to.wrapping_offset(i as isize * to_row).cast::<T>().wrapping_add(j);
    let source = |i: usize, j: usize| from.wrapping_offset(j as isize * from_row).cast::<T>().wrapping_add(i);
    let mut band = 0;
    while band < rows {
        let end = (band + BAND).min(rows);
        let mut j = 0;
        while j < cols {
            let mut i = band;
            if j + 4 <= cols {
                while i + 4 <= end {
                    // SAFETY: the caller's; four rows and four columns are left.
                    unsafe { turn_four(target(i, j), to_row, source(i, j), from_row) };
                    i += 4;
                }
            }
            let right = (j + 4).min(cols);
            for i in i..end {
                for j in j..right {
                    // SAFETY: the caller's.
                    unsafe { target(i, j).write_unaligned(source(i, j).read_unaligned()) };
                }
            }
            j = right;
        }
        band = end;
    }
}

/// Four by four elements.
///
/// # Safety
/// As [`turn`].
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "positions are used as addresses too")]
unsafe fn turn_four<T: Copy>(to: *mut T, to_row: isize, from: *const T, from_row: isize) {
    // SAFETY: the caller's; vectors of four 32-bit numbers exist on every x86-64.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if size_of::<T>() == 4 {
            use std::arch::x86_64::*;
            let read = |j: isize| _mm_loadu_ps(from.wrapping_byte_offset(j * from_row).cast());
            let (mut a, mut b, mut c, mut d) = (read(0), read(1), read(2), read(3));
            _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
            for (i, row) in [a, b, c, d].into_iter().enumerate() {
                _mm_storeu_ps(to.wrapping_byte_offset(i as isize * to_row).cast(), row);
            }
            return;
        }
        let read = |j: isize| from.wrapping_byte_offset(j * from_row).cast::<[T; 4]>().read_unaligned();
        let block = [read(0), read(1), read(2), read(3)];
        for i in 0..4 {
            let row: [T; 4] = std::array::from_fn(|j| block[j][i]);
            to.wrapping_byte_offset(i as isize * to_row).cast::<[T; 4]>().write_unaligned(row);
        }
    }
}

/// As [`turn`], sixteen by sixteen elements of 4 bytes at a time.
///
/// # Safety
/// As [`turn`], and the machine has AVX-512.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub unsafe fn turn_sixteens(width: isize, rows: usize, cols: usize, to: *mut u8, to_row: isize, from: *const u8, from_row: isize) {
    // SAFETY: the caller's.
    unsafe { turn_squares::<16>(width, rows, cols, to, to_row, from, from_row) }
}

/// As [`turn`], eight by eight elements of 4 bytes at a time.
///
/// # Safety
/// As [`turn`], and the machine has AVX2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub unsafe fn turn_eights(width: isize, rows: usize, cols: usize, to: *mut u8, to_row: isize, from: *const u8, from_row: isize) {
    // SAFETY: the caller's.
    unsafe { turn_squares::<8>(width, rows, cols, to, to_row, from, from_row) }
}

/// As [`turn`], `N` by `N` elements of 4 bytes at a time, 8 or 16. Rows of `from` are read to their end, `N` side by side, as the
/// machine then sees where they go on.
///
/// # Safety
/// As [`turn`], and the machine has AVX2 for 8, AVX-512 for 16.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn turn_squares<const N: usize>(
    width: isize,
    rows: usize,
    cols: usize,
    to: *mut u8,
    to_row: isize,
    from: *const u8,
    from_row: isize,
) {
    let target = |i: usize, j: usize| to.wrapping_offset(i as isize * to_row + j as isize * width);
    let source = |i: usize, j: usize| from.wrapping_offset(j as isize * from_row + i as isize * width);
    let whole = |length: usize| if width == 4 { length / N * N } else { 0 };
    let (down, across) = (whole(rows), whole(cols));
    // SAFETY: the caller's; the three parts are those of the matrix.
    unsafe {
        for j in (0..across).step_by(N) {
            for i in (0..down).step_by(N) {
                match N {
                    8 => turn_eight(target(i, j).cast(), to_row, source(i, j).cast(), from_row),
                    _ => turn_sixteen(target(i, j).cast(), to_row, source(i, j).cast(), from_row),
                }
            }
        }
        turn(width, down, cols - across, target(0, across), to_row, source(0, across), from_row);
        turn(width, rows - down, cols, target(down, 0), to_row, source(down, 0), from_row);
    }
}

/// Eight by eight elements: rows four apart share a vector, so that none has to cross its halves.
///
/// # Safety
/// As [`turn_eights`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn turn_eight(to: *mut f32, to_row: isize, from: *const f32, from_row: isize) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's.
    unsafe {
        for half in [0, 4] {
            let from = from.wrapping_offset(half);
            let mut rows = [_mm256_setzero_ps(); 4];
            for (j, row) in (0..).zip(&mut rows) {
                let [low, high] = [from.wrapping_byte_offset(j * from_row), from.wrapping_byte_offset((j + 4) * from_row)];
                *row = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high));
            }
            let [a, b, c, d] = rows;
            let (ab, cd) = (_mm256_castps_pd(_mm256_unpacklo_ps(a, b)), _mm256_castps_pd(_mm256_unpacklo_ps(c, d)));
            let (ab_high, cd_high) = (_mm256_castps_pd(_mm256_unpackhi_ps(a, b)), _mm256_castps_pd(_mm256_unpackhi_ps(c, d)));
            let columns = [
                _mm256_unpacklo_pd(ab, cd),
                _mm256_unpackhi_pd(ab, cd),
                _mm256_unpacklo_pd(ab_high, cd_high),
                _mm256_unpackhi_pd(ab_high, cd_high),
            ];
            for (i, column) in (half..).zip(columns) {
                _mm256_storeu_ps(to.wrapping_byte_offset(i * to_row), _mm256_castpd_ps(column));
            }
        }
    }
}

/// Sixteen by sixteen elements: pairs of rows, then fours, then the quarters of vectors.
///
/// # Safety
/// As [`turn_sixteens`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn turn_sixteen(to: *mut f32, to_row: isize, from: *const f32, from_row: isize) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's.
    unsafe {
        let rows: [__m512; 16] = std::array::from_fn(|j| _mm512_loadu_ps(from.wrapping_byte_offset(j as isize * from_row)));
        let pairs: [__m512d; 16] = std::array::from_fn(|i| {
            let (a, b) = (rows[i & !1], rows[i | 1]);
            _mm512_castps_pd(if i & 1 == 0 { _mm512_unpacklo_ps(a, b) } else { _mm512_unpackhi_ps(a, b) })
        });
        // In each quarter `q` of vector `4 g + c`: column `4 q + c` of rows `4 g` to `4 g + 3`.
        let fours: [__m512; 16] = std::array::from_fn(|i| {
            let first = i & !3 | i >> 1 & 1;
            let (a, b) = (pairs[first], pairs[first + 2]);
            _mm512_castpd_ps(if i & 1 == 0 { _mm512_unpacklo_pd(a, b) } else { _mm512_unpackhi_pd(a, b) })
        });
        for c in 0..4 {
            let [a, b, d, e] = [0, 4, 8, 12].map(|group| fours[group + c]);
            let (even, odd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
            let (even_below, odd_below) = (_mm512_shuffle_f32x4::<0x88>(d, e), _mm512_shuffle_f32x4::<0xdd>(d, e));
            let quarters = [
                _mm512_shuffle_f32x4::<0x88>(even, even_below),
                _mm512_shuffle_f32x4::<0x88>(odd, odd_below),
                _mm512_shuffle_f32x4::<0xdd>(even, even_below),
                _mm512_shuffle_f32x4::<0xdd>(odd, odd_below),
            ];
            for (quarter, column) in quarters.into_iter().enumerate() {
                _mm512_storeu_ps(to.wrapping_byte_offset((4 * quarter + c) as isize * to_row), column);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::Multiply;
    use crate::backend::cpu::level::Level;

    /// Every size up to a few blocks, with rows apart, at every level, for both widths; nothing beside the result changes.
    fn turned<T: Multiply + PartialEq + std::fmt::Debug>(numbers: impl Fn(usize) -> T, outside: T) {
        for level in Level::available() {
            for (rows, cols) in [(1, 1), (3, 5), (16, 16), (17, 16), (16, 33), (40, 50), (64, 128), (5, 47)] {
                let (down, across) = (cols + 3, rows + 2);
                let from: Vec<T> = (0..cols * across).map(&numbers).collect();
                let mut to = vec![outside; rows * down];
                let bytes = size_of::<T>() as isize;
                let (target, source) = (to.as_mut_ptr().cast(), from.as_ptr().cast());
                // SAFETY: both vectors hold the rows.
                unsafe {
                    (T::kernels(level).moves.turn)(bytes, rows, cols, target, down as isize * bytes, source, across as isize * bytes)
                };
                for (at, &found) in to.iter().enumerate() {
                    let (i, j) = (at / down, at % down);
                    let expected = if j < cols { from[j * across + i] } else { outside };
                    assert_eq!(found, expected, "{level:?}, {rows} x {cols}, row {i}, column {j}");
                }
            }
        }
    }

    #[test]
    fn rows_become_columns() {
        turned(|i| i as f32, -1.0);
        turned(|i| i as f64, -1.0);
    }
}
