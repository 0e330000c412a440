//! Vectors of numbers for the product kernels: reading, writing and multiply-add.
//!
//! Refuses to know where matrices come from. The functions of a vector type may only run where its
//! instructions exist; they are inlined into functions compiled for those instructions.

use super::super::level::prefetch;
use super::block::Block;

/// A number that products are computed in.
pub trait Float: Copy + Default + Send + Sync + 'static {
    /// Sum.
    fn plus(self, other: Self) -> Self;
    /// `self * b + c`, rounded once where the machine has an instruction for it.
    fn times_plus(self, b: Self, c: Self) -> Self;
}

macro_rules! float {
    ($type:ty) => {
        impl Float for $type {
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self + other
            }

            #[inline(always)]
            fn times_plus(self, b: Self, c: Self) -> Self {
                if cfg!(target_arch = "aarch64") { self.mul_add(b, c) } else { self * b + c }
            }
        }
    };
}
float!(f32);
float!(f64);

/// A few numbers side by side.
///
/// # Safety
/// All functions: the instructions of the type exist on this machine, and pointers are valid
/// for the elements that are named.
pub trait Vector: Copy {
    /// What it holds.
    type Element: Float;
    /// How many.
    const LANES: usize;
    /// All zero.
    unsafe fn zero() -> Self;
    /// One element repeated.
    unsafe fn repeat(from: *const Self::Element) -> Self;
    /// Reads `LANES` elements.
    unsafe fn read(from: *const Self::Element) -> Self;
    /// Reads the first `1 <= n <= LANES` elements; the others are zero.
    unsafe fn read_part(from: *const Self::Element, n: usize) -> Self;
    /// Writes `LANES` elements.
    unsafe fn write(self, to: *mut Self::Element);
    /// Writes the first `1 <= n <= LANES` elements.
    unsafe fn write_part(self, to: *mut Self::Element, n: usize);
    /// `self * b + c`.
    unsafe fn times_plus(self, b: Self, c: Self) -> Self;
    /// Whether [`Vector::times_plus_half`] is faster.
    const HALVES: bool = false;
    /// `self * b + c` of the first half; what the other half is then is not said.
    #[inline(always)]
    unsafe fn times_plus_half(self, b: Self, c: Self) -> Self {
        // SAFETY: the caller's.
        unsafe { self.times_plus(b, c) }
    }
    /// `self + b`.
    unsafe fn plus(self, b: Self) -> Self;
    /// Adds the products of a block of `R` rows and `C` vectors to its sums.
    ///
    /// # Safety
    /// A and B of the block are valid for the rows, columns and runs, of which there are some, and which are not empty.
    #[inline(always)]
    unsafe fn accumulate<const R: usize, const C: usize>(block: &Block<Self::Element>, sums: &mut [[Self; C]; R]) {
        // SAFETY: the caller's.
        unsafe { accumulate(block, sums) }
    }
}

/// What [`Vector::accumulate`] does, in the compiler's hands. Of a last vector that is half empty only half is multiplied,
/// where the machine does two halves in the time of one vector: 50 columns cost what 56 do instead of 64.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn accumulate<V: Vector, const R: usize, const C: usize>(block: &Block<V::Element>, sums: &mut [[V; C]; R]) {
    let mut run = *block;
    for _ in 0..block.runs {
        // SAFETY: the caller's.
        unsafe {
            match V::HALVES && 2 * block.last <= V::LANES {
                true => steps::<V, R, C, true>(&run, sums),
                false => steps::<V, R, C, false>(&run, sums),
            }
        }
        run.a = run.a.wrapping_offset(block.a_jump);
        run.b = run.b.wrapping_offset(block.depth as isize * block.b_row);
    }
}

/// The steps of a run, with a half empty last vector or not.
///
/// # Safety
/// As [`accumulate`].
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "positions are used as addresses too")]
unsafe fn steps<V: Vector, const R: usize, const C: usize, const HALF: bool>(block: &Block<V::Element>, sums: &mut [[V; C]; R]) {
    let (mut a, mut b) = (block.a, block.b);
    // Shorter vectors have no time to spare for it, and their operands are packed.
    let asks = size_of::<V>() == 64;
    // SAFETY: the caller's.
    unsafe {
        for _ in 0..block.depth {
            if asks {
                let [a_ahead, b_ahead] = block.ahead;
                prefetch(a.wrapping_offset(a_ahead));
                (0..C).for_each(|j| prefetch(b.wrapping_offset(b_ahead + (j * V::LANES) as isize)));
            }
            let mut row = [V::zero(); C];
            for j in 0..C - 1 {
                row[j] = V::read(b.add(j * V::LANES));
            }
            let last = b.add((C - 1) * V::LANES);
            row[C - 1] = if block.last == V::LANES { V::read(last) } else { V::read_part(last, block.last) };
            for r in 0..R {
                // Bands of three rows take more pointers, of which 512 bits have none to spare.
                let down = match asks {
                    true => (r % 6) as isize * block.a_row,
                    false => (r % 6 / 3) as isize * block.a_three + (r % 3) as isize * block.a_row,
                };
                let down = (r / 6) as isize * block.a_six + down;
                let factor = V::repeat(a.wrapping_offset(down));
                for j in 0..C {
                    sums[r][j] = match HALF && j + 1 == C {
                        true => factor.times_plus_half(row[j], sums[r][j]),
                        false => factor.times_plus(row[j], sums[r][j]),
                    };
                }
            }
            a = a.wrapping_offset(block.a_step);
            b = b.wrapping_offset(block.b_row);
        }
    }
}

/// Sixteen bytes: what every machine of an architecture has.
#[derive(Clone, Copy)]
pub struct Few<T, const N: usize>([T; N]);

impl<T: Float, const N: usize> Vector for Few<T, N> {
    type Element = T;
    const LANES: usize = N;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Few([T::default(); N])
    }

    #[inline(always)]
    unsafe fn repeat(from: *const T) -> Self {
        // SAFETY: the caller's.
        Few([unsafe { *from }; N])
    }

    #[inline(always)]
    unsafe fn read(from: *const T) -> Self {
        // SAFETY: the caller's.
        Few(unsafe { from.cast::<[T; N]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn read_part(from: *const T, n: usize) -> Self {
        let mut all = [T::default(); N];
        for (i, element) in all.iter_mut().enumerate() {
            if i < n {
                // SAFETY: the caller's, as `i < n`.
                *element = unsafe { *from.add(i) };
            }
        }
        Few(all)
    }

    #[inline(always)]
    unsafe fn write(self, to: *mut T) {
        // SAFETY: the caller's.
        unsafe { to.cast::<[T; N]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn write_part(self, to: *mut T, n: usize) {
        for (i, &element) in self.0.iter().enumerate() {
            if i < n {
                // SAFETY: the caller's, as `i < n`.
                unsafe { *to.add(i) = element }
            }
        }
    }

    #[inline(always)]
    unsafe fn times_plus(self, b: Self, c: Self) -> Self {
        Few(std::array::from_fn(|i| self.0[i].times_plus(b.0[i], c.0[i])))
    }

    #[inline(always)]
    unsafe fn plus(self, b: Self) -> Self {
        Few(std::array::from_fn(|i| self.0[i].plus(b.0[i])))
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Eight32, Eight64, Four64, Sixteen32};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::block::Block;
    use super::super::inner;
    use super::Vector;
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($(#[$doc:meta])* $name:ident, $register:ty, $element:ty, $lanes:literal,
         $zero:ident, $repeat:ident, $read:ident, $write:ident, $fma:ident, $add:ident,
         |$from:ident, $n:ident| $read_part:expr, |$to:ident, $m:ident, $value:ident| $write_part:expr
         $(, [$half:ident $whole:ident $half_fma:ident])? $(, $one:ident $two:ident $mask:ident)?) => {
            $(#[$doc])*
            #[derive(Clone, Copy)]
            #[repr(transparent)]
            pub struct $name($register);

            // SAFETY of every block: the caller's promise that the instructions exist and that
            // the elements named are valid; masked reads and writes touch no others.
            impl Vector for $name {
                type Element = $element;
                const LANES: usize = $lanes;

                #[inline(always)]
                unsafe fn zero() -> Self {
                    // SAFETY: above.
                    unsafe { $name($zero()) }
                }

                #[inline(always)]
                unsafe fn repeat(from: *const $element) -> Self {
                    // SAFETY: above.
                    unsafe { $name($repeat(*from)) }
                }

                #[inline(always)]
                unsafe fn read(from: *const $element) -> Self {
                    // SAFETY: above.
                    unsafe { $name($read(from)) }
                }

                #[inline(always)]
                unsafe fn read_part($from: *const $element, $n: usize) -> Self {
                    // SAFETY: above.
                    unsafe { $name($read_part) }
                }

                #[inline(always)]
                unsafe fn write(self, to: *mut $element) {
                    // SAFETY: above.
                    unsafe { $write(to, self.0) }
                }

                #[inline(always)]
                unsafe fn write_part(self, $to: *mut $element, $m: usize) {
                    let $value = self.0;
                    // SAFETY: above.
                    unsafe { $write_part }
                }

                #[inline(always)]
                unsafe fn times_plus(self, b: Self, c: Self) -> Self {
                    // SAFETY: above.
                    unsafe { $name($fma(self.0, b.0, c.0)) }
                }

                #[inline(always)]
                unsafe fn plus(self, b: Self) -> Self {
                    // SAFETY: above.
                    unsafe { $name($add(self.0, b.0)) }
                }

                $(
                    const HALVES: bool = true;

                    #[inline(always)]
                    unsafe fn times_plus_half(self, b: Self, c: Self) -> Self {
                        // SAFETY: above.
                        unsafe { $name($whole($half_fma($half(self.0), $half(b.0), $half(c.0)))) }
                    }
                )?

                $(
                    #[inline(always)]
                    unsafe fn accumulate<const R: usize, const C: usize>(block: &Block<$element>, sums: &mut [[Self; C]; R]) {
                        // SAFETY: above. A vector is laid out as its register, and the casts are
                        // to arrays of the very size that is known where they are made.
                        unsafe {
                            match C {
                                1 => inner::$one(block, $mask(block.last), &mut *(&raw mut *sums).cast::<[[$register; 1]; R]>()),
                                2 => inner::$two(block, $mask(block.last), &mut *(&raw mut *sums).cast::<[[$register; 2]; R]>()),
                                _ => super::accumulate(block, sums),
                            }
                        }
                    }
                )?
            }
        };
    }

    /// All ones in the first `n` lanes of a 256-bit vector of 32-bit lanes.
    #[inline(always)]
    unsafe fn mask32(n: usize) -> __m256i {
        // SAFETY: the caller's.
        unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
    }

    /// All ones in the first `n` lanes of a 256-bit vector of 64-bit lanes.
    #[inline(always)]
    unsafe fn mask64(n: usize) -> __m256i {
        // SAFETY: the caller's.
        unsafe { _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3)) }
    }

    vector!(
        /// A 512-bit vector of f32.
        Sixteen32, __m512, f32, 16, _mm512_setzero_ps, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps,
        _mm512_fmadd_ps, _mm512_add_ps,
        |from, n| _mm512_maskz_loadu_ps(((1_u32 << n) - 1) as u16, from),
        |to, n, value| _mm512_mask_storeu_ps(to, ((1_u32 << n) - 1) as u16, value),
        [_mm512_castps512_ps256 _mm512_castps256_ps512 _mm256_fmadd_ps]
    );
    vector!(
        /// A 512-bit vector of f64.
        Eight64, __m512d, f64, 8, _mm512_setzero_pd, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd,
        _mm512_fmadd_pd, _mm512_add_pd,
        |from, n| _mm512_maskz_loadu_pd(((1_u32 << n) - 1) as u8, from),
        |to, n, value| _mm512_mask_storeu_pd(to, ((1_u32 << n) - 1) as u8, value),
        [_mm512_castpd512_pd256 _mm512_castpd256_pd512 _mm256_fmadd_pd]
    );
    vector!(
        /// A 256-bit vector of f32.
        Eight32, __m256, f32, 8, _mm256_setzero_ps, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps,
        _mm256_fmadd_ps, _mm256_add_ps,
        |from, n| _mm256_maskload_ps(from, mask32(n)),
        |to, n, value| _mm256_maskstore_ps(to, mask32(n), value),
        one32 two32 mask32
    );
    vector!(
        /// A 256-bit vector of f64.
        Four64, __m256d, f64, 4, _mm256_setzero_pd, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd,
        _mm256_fmadd_pd, _mm256_add_pd,
        |from, n| _mm256_maskload_pd(from, mask64(n)),
        |to, n, value| _mm256_maskstore_pd(to, mask64(n), value),
        one64 two64 mask64
    );
}
