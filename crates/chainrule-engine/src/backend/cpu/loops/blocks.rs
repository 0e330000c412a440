//! The shape every element loop shares: blocks of 16 elements, of which the last may be a part.
//!
//! A block is read whole into local arrays before any of it is written, so a loop may write
//! over its own operands at the same position, and the compiler needs no check that they are
//! apart. What is computed stands in a loop once, for whole blocks and for the last, for operands of
//! a row's length and for those of one element: there are hundreds of loops, and copies of what they
//! compute were 44 % of the crate's machine code. Refuses to know what is computed.

use super::super::level::one_by_one;
use super::philox;
use std::ops::Range;

/// Elements of a block.
pub const SMALL: usize = 16;

/// What differs between the levels of vector instructions.
pub trait Isa {
    /// Whether `mul_add` is one instruction.
    const FMA: bool;

    /// Reads `n <= 16` elements; the others are zero.
    ///
    /// # Safety
    /// `source` is valid for reading `n` elements, and zero bits are a value of `T`.
    unsafe fn read_part<T: Copy>(source: *const T, n: usize) -> [T; SMALL];

    /// Reads `n <= 16` elements; the others are `fill`.
    ///
    /// # Safety
    /// `source` is valid for reading `n` elements.
    unsafe fn read_part_or<T: Copy>(source: *const T, n: usize, fill: T) -> [T; SMALL];

    /// Reads elements `lanes`, of those that would be 0 to 15, to where they stand among these; the others are zero.
    ///
    /// # Safety
    /// `source` is that of element 0 and valid for reading `lanes`, and zero bits are a value of `T`.
    #[inline(always)]
    unsafe fn read_lanes<T: Copy>(source: *const T, lanes: Range<usize>) -> [T; SMALL] {
        // SAFETY: the caller's.
        unsafe { copy_lanes(source, lanes) }
    }

    /// Writes the first `n <= 16` elements.
    ///
    /// # Safety
    /// `target` is valid for writing `n` elements.
    unsafe fn write_part<T: Copy>(target: *mut T, n: usize, block: &[T; SMALL]);

    /// As [`philox::words`].
    ///
    /// # Safety
    /// As there, and the machine has the level's instructions.
    #[inline(always)]
    unsafe fn random_words(key: i64, first: u64, down: u32, to: *mut u32) {
        // SAFETY: the caller's.
        unsafe { philox::words(key, first, down, to) }
    }
}

/// Copies `n < 32` elements by halves, so that no call is made.
#[inline(always)]
unsafe fn copy_part<T: Copy>(mut from: *const T, mut to: *mut T, n: usize) {
    // SAFETY: both are valid for `n` elements, and the steps add up to `n`.
    unsafe {
        macro_rules! step {
            ($($size:literal)*) => {$(
                if n & $size != 0 {
                    to.cast::<[T; $size]>().write_unaligned(from.cast::<[T; $size]>().read_unaligned());
                    from = from.add($size);
                    to = to.add($size);
                }
            )*};
        }
        step!(16 8 4 2);
        if n & 1 != 0 {
            to.write_unaligned(from.read_unaligned());
        }
    }
}

/// As [`Isa::read_lanes`].
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn copy_lanes<T: Copy>(source: *const T, lanes: Range<usize>) -> [T; SMALL] {
    if lanes == (0..SMALL) {
        // SAFETY: the caller's.
        return unsafe { source.cast::<[T; SMALL]>().read_unaligned() };
    }
    let mut block = std::mem::MaybeUninit::<[T; SMALL]>::zeroed();
    // SAFETY: the caller's; the block is zero where nothing is copied.
    unsafe {
        copy_part(source.wrapping_add(lanes.start), block.as_mut_ptr().cast::<T>().wrapping_add(lanes.start), lanes.len());
        block.assume_init()
    }
}

/// As [`Isa::read_lanes`], of four bytes by masks.
///
/// # Safety
/// As there, and the machine has AVX2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn read_lanes_256<T: Copy>(source: *const T, lanes: Range<usize>) -> [T; SMALL] {
    use std::arch::x86_64::*;
    if size_of::<T>() != 4 || lanes == (0..SMALL) {
        // SAFETY: the caller's.
        return unsafe { copy_lanes(source, lanes) };
    }
    let mut block = std::mem::MaybeUninit::<[T; SMALL]>::zeroed();
    // SAFETY: masked reads touch `lanes` alone; the instructions exist where this is called.
    unsafe {
        let (start, end) = (_mm256_set1_epi32(lanes.start as i32 - 1), _mm256_set1_epi32(lanes.end as i32));
        for half in 0..2 {
            let lane = _mm256_add_epi32(_mm256_set1_epi32(8 * half), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
            let mask = _mm256_and_si256(_mm256_cmpgt_epi32(lane, start), _mm256_cmpgt_epi32(end, lane));
            let read = _mm256_maskload_epi32(source.wrapping_add(8 * half as usize).cast(), mask);
            _mm256_storeu_si256(block.as_mut_ptr().cast::<__m256i>().add(half as usize), read);
        }
        block.assume_init()
    }
}

/// What every machine of the architecture has.
pub struct Portable;
/// 256-bit vectors.
pub struct Avx2;
/// 512-bit vectors.
pub struct Avx512;

macro_rules! by_halves {
    ($name:ident, $fma:expr $(, $words:path, $lanes:path)?) => {
        impl Isa for $name {
            const FMA: bool = $fma;

            $(
                #[inline(always)]
                unsafe fn random_words(key: i64, first: u64, down: u32, to: *mut u32) {
                    // SAFETY: the caller's.
                    unsafe { $words(key, first, down, to) }
                }

                #[inline(always)]
                unsafe fn read_lanes<T: Copy>(source: *const T, lanes: Range<usize>) -> [T; SMALL] {
                    // SAFETY: the caller's.
                    unsafe { $lanes(source, lanes) }
                }
            )?

            #[inline(always)]
            unsafe fn read_part<T: Copy>(source: *const T, n: usize) -> [T; SMALL] {
                let mut block = std::mem::MaybeUninit::<[T; SMALL]>::zeroed();
                // SAFETY: the caller's; the block is zero where nothing is copied.
                unsafe {
                    copy_part(source, block.as_mut_ptr().cast::<T>(), n);
                    block.assume_init()
                }
            }

            #[inline(always)]
            unsafe fn read_part_or<T: Copy>(source: *const T, n: usize, fill: T) -> [T; SMALL] {
                let mut block = [fill; SMALL];
                // SAFETY: the caller's; `n` is at most the block's length.
                unsafe { copy_part(source, block.as_mut_ptr(), n) };
                block
            }

            #[inline(always)]
            unsafe fn write_part<T: Copy>(target: *mut T, n: usize, block: &[T; SMALL]) {
                // SAFETY: the caller's; `n` is at most the block's length.
                unsafe { copy_part(block.as_ptr(), target, n) }
            }
        }
    };
}
by_halves!(Portable, cfg!(target_arch = "aarch64"));
#[cfg(target_arch = "x86_64")]
by_halves!(Avx2, true, philox::words_256, read_lanes_256);

#[cfg(target_arch = "x86_64")]
impl Isa for Avx512 {
    const FMA: bool = true;

    #[inline(always)]
    unsafe fn random_words(key: i64, first: u64, down: u32, to: *mut u32) {
        // SAFETY: the caller's.
        unsafe { philox::words_512(key, first, down, to) }
    }

    #[inline(always)]
    unsafe fn read_part<T: Copy>(source: *const T, n: usize) -> [T; SMALL] {
        // SAFETY: the caller's: zero bits are a value of `T`.
        unsafe { Self::read_part_or(source, n, std::mem::MaybeUninit::<T>::zeroed().assume_init()) }
    }

    #[inline(always)]
    unsafe fn read_part_or<T: Copy>(source: *const T, n: usize, fill: T) -> [T; SMALL] {
        use std::arch::x86_64::*;
        let mut block = [fill; SMALL];
        let to = block.as_mut_ptr().cast::<u8>();
        // SAFETY: only the bytes of the first `n` elements are touched by the masked reads, and
        // the instructions exist where this level is chosen. The others stay in the block.
        unsafe {
            match size_of::<T>() {
                1 => {
                    let old = _mm_loadu_si128(to.cast());
                    let new = _mm_mask_loadu_epi8(old, mask(n) as u16, source.cast());
                    _mm_storeu_si128(to.cast(), new);
                }
                2 => {
                    let old = _mm256_loadu_si256(to.cast());
                    let new = _mm256_mask_loadu_epi8(old, mask(2 * n) as u32, source.cast());
                    _mm256_storeu_si256(to.cast(), new);
                }
                4 => {
                    let old = _mm512_loadu_si512(to.cast());
                    let new = _mm512_mask_loadu_epi32(old, mask(n) as u16, source.cast());
                    _mm512_storeu_si512(to.cast(), new);
                }
                _ => {
                    let low = n.min(8);
                    let (first, second) = (_mm512_loadu_si512(to.cast()), _mm512_loadu_si512(to.add(64).cast()));
                    let new = _mm512_mask_loadu_epi64(first, mask(low) as u8, source.cast());
                    _mm512_storeu_si512(to.cast(), new);
                    let beyond = source.wrapping_add(8).cast();
                    let new = _mm512_mask_loadu_epi64(second, mask(n - low) as u8, beyond);
                    _mm512_storeu_si512(to.add(64).cast(), new);
                }
            }
        }
        block
    }

    #[inline(always)]
    unsafe fn read_lanes<T: Copy>(source: *const T, lanes: Range<usize>) -> [T; SMALL] {
        use std::arch::x86_64::*;
        let mut block = std::mem::MaybeUninit::<[T; SMALL]>::zeroed();
        let to = block.as_mut_ptr().cast::<u8>();
        let mask = mask(lanes.end) & !mask(lanes.start);
        // SAFETY: masked reads touch the bytes of `lanes` alone; the instructions exist where this level is chosen. The block is
        // zero where nothing is written.
        unsafe {
            match size_of::<T>() {
                4 => _mm512_storeu_si512(to.cast(), _mm512_maskz_loadu_epi32(mask as u16, source.cast())),
                8 => {
                    _mm512_storeu_si512(to.cast(), _mm512_maskz_loadu_epi64(mask as u8, source.cast()));
                    let beyond = _mm512_maskz_loadu_epi64((mask >> 8) as u8, source.wrapping_add(8).cast());
                    _mm512_storeu_si512(to.add(64).cast(), beyond);
                }
                _ => return copy_lanes(source, lanes),
            }
            block.assume_init()
        }
    }

    #[inline(always)]
    unsafe fn write_part<T: Copy>(target: *mut T, n: usize, block: &[T; SMALL]) {
        use std::arch::x86_64::*;
        let from = block.as_ptr().cast::<u8>();
        // SAFETY: only the bytes of the first `n` elements are touched by the masked writes, and
        // the instructions exist where this level is chosen. The reads stay in the block.
        unsafe {
            match size_of::<T>() {
                1 => _mm_mask_storeu_epi8(target.cast(), mask(n) as u16, _mm_loadu_si128(from.cast())),
                2 => _mm256_mask_storeu_epi8(target.cast(), mask(n * 2) as u32, _mm256_loadu_si256(from.cast())),
                4 => _mm512_mask_storeu_epi32(target.cast(), mask(n) as u16, _mm512_loadu_si512(from.cast())),
                _ => {
                    let low = n.min(8);
                    let (first, second) = (_mm512_loadu_si512(from.cast()), _mm512_loadu_si512(from.add(64).cast()));
                    _mm512_mask_storeu_epi64(target.cast(), mask(low) as u8, first);
                    _mm512_mask_storeu_epi64(target.wrapping_add(8).cast(), mask(n - low) as u8, second);
                }
            }
        }
    }
}

/// The lowest `n < 64` bits.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn mask(n: usize) -> u64 {
    (1u64 << n) - 1
}

/// An operand of a loop over `n` elements: as many elements side by side, or one for all of them.
pub struct Source<T> {
    first: *const T,
    /// Elements from one block to the next.
    step: usize,
    /// One element, repeated: what `first` points to if there is but one.
    repeated: [T; SMALL],
}

impl<T: Copy + Default> Source<T> {
    /// The elements from `first`.
    #[inline(always)]
    pub fn side_by_side(first: *const T) -> Self {
        Source { first, step: SMALL, repeated: [T::default(); SMALL] }
    }

    /// Elements `step > 0` bytes apart, or only one; [`Source::go_to`] says which.
    #[inline(always)]
    pub fn nowhere(step: isize) -> Self {
        Source { first: std::ptr::null(), step: if step == 0 { 0 } else { SMALL }, repeated: [T::default(); SMALL] }
    }

    /// Starts from `first`. Rows may be as short as a block: what is done for each of them counts.
    ///
    /// # Safety
    /// `first` is valid for reading an element if it is the only one.
    #[inline(always)]
    pub unsafe fn go_to(&mut self, first: *const T) {
        self.first = first;
        if self.step == 0 {
            // SAFETY: the caller's.
            self.repeated = [unsafe { first.read_unaligned() }; SMALL];
        }
    }

    /// Where block `i` begins.
    #[inline(always)]
    fn block(&self, i: usize) -> *const T {
        let first = if self.step == 0 { self.repeated.as_ptr() } else { self.first };
        first.wrapping_add(i * self.step)
    }
}

macro_rules! map {
    ($(#[$doc:meta])* $name:ident, $($source:ident: $kind:ident),+) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// Every pointer is valid for `n` elements, and zero bits are a value of their types. `to` may
        /// equal a source, but not overlap one at another distance.
        #[inline(always)]
        pub unsafe fn $name<I: Isa, $($kind: Copy + Default,)+ D: Copy + Default>(
            n: usize,
            to: *mut D,
            $($source: &Source<$kind>,)+
            apply: impl Fn($($kind),+) -> D,
        ) {
            let mut last = [D::default(); SMALL];
            for i in 0..n.div_ceil(SMALL) {
                let part = (n - i * SMALL).min(SMALL);
                let whole = part == SMALL;
                let block = to.wrapping_add(i * SMALL);
                // SAFETY: `part` elements from the block's first are valid; a block is read before it is written.
                unsafe {
                    $(
                        let mut parted = std::mem::MaybeUninit::<[$kind; SMALL]>::uninit();
                        let from = $source.block(i);
                        let from = if whole { from } else { parted.write(I::read_part(from, part)).as_ptr() };
                        let $source = from.cast::<[$kind; SMALL]>().read_unaligned();
                    )+
                    let mut result = [D::default(); SMALL];
                    for j in 0..SMALL {
                        result[j] = apply($($source[j]),+);
                    }
                    let target = if whole { block } else { last.as_mut_ptr() };
                    target.cast::<[D; SMALL]>().write_unaligned(result);
                    if !whole {
                        I::write_part(block, part, &last);
                    }
                }
            }
        }
    };
}

map!(
    /// `to[i] = apply(a[i])`.
    map1, a: A
);
map!(
    /// `to[i] = apply(a[i], b[i])`.
    map2, a: A, b: B
);
map!(
    /// `to[i] = apply(a[i], b[i], c[i])`.
    map3, a: A, b: B, c: C
);

/// `to[i] = value`.
///
/// # Safety
/// `to` is valid for `n` elements.
#[inline(always)]
pub unsafe fn splat<I: Isa, D: Copy>(n: usize, to: *mut D, value: D) {
    let mut i = 0;
    // SAFETY: `i` stays below `n` by the size of the block written.
    unsafe {
        while n - i >= SMALL {
            one_by_one();
            to.add(i).cast::<[D; SMALL]>().write_unaligned([value; SMALL]);
            i += SMALL;
        }
        while i < n {
            let part = (n - i).min(SMALL);
            I::write_part(to.add(i), part, &[value; SMALL]);
            i += part;
        }
    }
}
