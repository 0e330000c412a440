//! The bodies of the element loops: rows outside, blocks of columns inside.
//!
//! Refuses to choose vector instructions: every function here is inlined into one that does.

use super::super::level::one_by_one;
use super::Call;
use super::blocks::{Isa, SMALL, Source, map1, map2, map3, splat};
use super::elements::{Near, Number, Op1, Op2};

/// Pointer to the elements of row `row`.
macro_rules! row {
    ($pointer:expr, $stride:expr, $row:expr, $type:ty) => {
        $pointer.wrapping_offset($stride * $row as isize).cast::<$type>()
    };
    ($pointer:expr, $stride:expr, $row:expr) => {
        $pointer.wrapping_offset($stride * $row as isize).cast()
    };
}

/// `to = op(a)`.
///
/// # Safety
/// As [`Call`] says, with the operation's types.
#[inline(always)]
pub unsafe fn unary<I: Isa, O: Op1>(call: &Call) {
    for r in 0..call.rows {
        let a = Source::side_by_side(row!(call.a, call.a_stride, r));
        // SAFETY: the caller's.
        unsafe { map1::<I, O::A, O::D>(call.cols, row!(call.to, call.to_stride, r), &a, |x| O::apply::<I>(x)) }
    }
}

/// `to = op(a)`, with a second look at blocks that hold elements for which the vector formula
/// fails.
///
/// # Safety
/// As [`Call`] says, with the operation's types.
#[inline(always)]
pub unsafe fn unary_near<I: Isa, O: Near>(call: &Call) {
    for r in 0..call.rows {
        let to: *mut O::D = row!(call.to, call.to_stride, r);
        let a: *const O::A = row!(call.a, call.a_stride, r);
        let mut i = 0;
        while i < call.cols {
            let part = (call.cols - i).min(SMALL);
            // SAFETY: the caller's; `i` stays below `cols` by the size of the block.
            unsafe {
                let source = I::read_part(a.add(i), part);
                let mut result = [O::D::default(); SMALL];
                let mut far = 0;
                for j in 0..SMALL {
                    result[j] = O::apply::<I>(source[j]);
                    far |= O::is_far(source[j]) as u32;
                }
                if far != 0 {
                    for j in 0..SMALL {
                        if O::is_far(source[j]) {
                            result[j] = O::far(source[j]);
                        }
                    }
                }
                I::write_part(to.add(i), part, &result);
            }
            i += part;
        }
    }
}

/// `to = op(a, b)`.
///
/// # Safety
/// As [`Call`] says, with the operation's types.
#[inline(always)]
pub unsafe fn binary<I: Isa, O: Op2>(call: &Call) {
    if call.cols == 0 {
        return;
    }
    let (mut a, mut b) = (Source::nowhere(call.a_step), Source::nowhere(call.b_step));
    for r in 0..call.rows {
        // SAFETY: the caller's.
        unsafe {
            a.go_to(row!(call.a, call.a_stride, r));
            b.go_to(row!(call.b, call.b_stride, r));
            map2::<I, O::A, O::A, O::D>(call.cols, row!(call.to, call.to_stride, r), &a, &b, |x, y| O::apply::<I>(x, y))
        }
    }
}

/// `to = if a { b } else { c }`.
///
/// # Safety
/// As [`Call`] says: `a` is of bytes, the others of `T`.
#[inline(always)]
pub unsafe fn select<I: Isa, T: Copy + Default>(call: &Call) {
    if call.cols == 0 {
        return;
    }
    let (mut b, mut c) = (Source::nowhere(call.b_step), Source::nowhere(call.c_step));
    for r in 0..call.rows {
        // SAFETY: the caller's.
        unsafe {
            let a = Source::side_by_side(row!(call.a, call.a_stride, r));
            b.go_to(row!(call.b, call.b_stride, r));
            c.go_to(row!(call.c, call.c_stride, r));
            let to = row!(call.to, call.to_stride, r);
            map3::<I, u8, T, T, T>(call.cols, to, &a, &b, &c, |x, y, z| if x != 0 { y } else { z })
        }
    }
}

/// `to = a`, `a` one element per row.
///
/// # Safety
/// As [`Call`] says.
#[inline(always)]
pub unsafe fn repeat<I: Isa, T: Copy>(call: &Call) {
    for r in 0..call.rows {
        one_by_one();
        let a: *const T = row!(call.a, call.a_stride, r);
        // SAFETY: the caller's.
        unsafe { splat::<I, T>(call.cols, row!(call.to, call.to_stride, r), a.read_unaligned()) }
    }
}

/// `to = op(a)` where the elements of a row need not be neighbours: they are `to_step` and
/// `a_step` bytes apart.
///
/// # Safety
/// As [`Call`] says, with the operation's types and these steps.
#[inline(always)]
pub unsafe fn strided<I: Isa, O: Op1>(call: &Call) {
    let (to_size, a_size) = (size_of::<O::D>() as isize, size_of::<O::A>() as isize);
    // SAFETY: the caller's; every point is visited once.
    unsafe {
        if call.to_step == to_size && call.a_step == a_size {
            return unary::<I, O>(call);
        }
        if call.to_step == to_size && call.a_step == 0 {
            for r in 0..call.rows {
                let a: *const O::A = row!(call.a, call.a_stride, r);
                let value = O::apply::<I>(a.read_unaligned());
                splat::<I, O::D>(call.cols, row!(call.to, call.to_stride, r), value);
            }
            return;
        }
        // Sixteen columns at a time, so that where neighbouring rows share cache lines, few
        // lines are in use at once.
        let mut start = 0;
        while start < call.cols {
            let end = (start + SMALL).min(call.cols);
            for r in 0..call.rows {
                let to: *mut u8 = row!(call.to, call.to_stride, r);
                let a: *const u8 = row!(call.a, call.a_stride, r);
                for j in start as isize..end as isize {
                    one_by_one();
                    let value = a.wrapping_offset(j * call.a_step).cast::<O::A>().read_unaligned();
                    let target = to.wrapping_offset(j * call.to_step).cast::<O::D>();
                    target.write_unaligned(O::apply::<I>(value));
                }
            }
            start = end;
        }
    }
}

/// `accumulator = accumulator + (sum of the rows of a)`, in the order of the rows, or the maximum.
///
/// # Safety
/// As [`Call`] says; `to` is one row and is read as well.
#[inline(always)]
pub unsafe fn accumulate<I: Isa, T: Number, const SUM: bool>(call: &Call) {
    let join = |a: T, b: T| if SUM { T::add(a, b) } else { T::maximum(a, b) };
    let (to, mut i) = (call.to.cast::<T>(), 0);
    // SAFETY: the caller's; `i` stays below `cols` by the size of the block.
    unsafe {
        while call.cols - i >= 64 {
            let mut part = row!(call.a, call.a_stride, 0usize, T).add(i).cast::<[T; 64]>().read_unaligned();
            for r in 1..call.rows {
                let next = row!(call.a, call.a_stride, r, T).add(i).cast::<[T; 64]>().read_unaligned();
                for j in 0..64 {
                    part[j] = join(part[j], next[j]);
                }
            }
            let mut total = to.add(i).cast::<[T; 64]>().read_unaligned();
            for j in 0..64 {
                total[j] = join(total[j], part[j]);
            }
            to.add(i).cast::<[T; 64]>().write_unaligned(total);
            i += 64;
        }
        while i < call.cols {
            let n = (call.cols - i).min(SMALL);
            let mut part = I::read_part(row!(call.a, call.a_stride, 0usize, T).add(i), n);
            for r in 1..call.rows {
                let next = I::read_part(row!(call.a, call.a_stride, r, T).add(i), n);
                for j in 0..SMALL {
                    part[j] = join(part[j], next[j]);
                }
            }
            let mut total = I::read_part(to.add(i), n);
            for j in 0..SMALL {
                total[j] = join(total[j], part[j]);
            }
            I::write_part(to.add(i), n, &total);
            i += n;
        }
    }
}

/// `accumulator = accumulator + (sum of the column a)`, or the maximum, for one column whose
/// elements are neighbours in memory, so that it can be reduced as a row.
///
/// # Safety
/// As [`Call`] says; `to` is one element and is read as well.
#[inline(always)]
pub unsafe fn accumulate_one<I: Isa, T: Sums, const SUM: bool>(call: &Call) {
    // SAFETY: the caller's.
    unsafe {
        let part = reduce_row::<I, T, SUM>(call.a.cast::<T>(), call.rows);
        let total = call.to.cast::<T>().read_unaligned();
        let joined = if SUM { T::add(total, part) } else { T::maximum(total, part) };
        call.to.cast::<T>().write_unaligned(joined);
    }
}

/// A number together with the type in which the sums of long rows are kept.
pub trait Sums: Number {
    /// Wide enough that adding the sums of 2,048 elements loses nothing that matters.
    type Wide: Copy;
    /// No sum yet.
    const NONE: Self::Wide;
    /// Adds one sum.
    fn widen(total: Self::Wide, part: Self) -> Self::Wide;
    /// The nearest number of this type.
    fn narrow(total: Self::Wide) -> Self;
}
macro_rules! sums {
    ($($type:ident $wide:ident)*) => {$(
        impl Sums for $type {
            type Wide = $wide;
            const NONE: $wide = 0 as $wide;
            #[inline(always)]
            fn widen(total: $wide, part: $type) -> $wide {
                <$wide as Number>::add(total, part as $wide)
            }
            #[inline(always)]
            fn narrow(total: $wide) -> $type {
                total as $type
            }
        }
    )*};
}
sums!(f32 f64 f64 f64 i32 i32 i64 i64 u8 u8);

/// Sum or maximum of up to 2,048 elements: element `j` goes to partial result `j % 64`, the
/// rest below 64 in pieces of 16, and the partial results are joined as a fixed tree.
#[inline(always)]
unsafe fn reduce_block<I: Isa, T: Number, const SUM: bool>(a: *const T, n: usize) -> T {
    let start = if SUM { T::ZERO } else { T::LOWEST };
    let join = |a: T, b: T| if SUM { T::add(a, b) } else { T::maximum(a, b) };
    let mut small = [start; SMALL];
    let mut i = 0;
    // SAFETY: the caller's: `a` is valid for reading `n` elements.
    unsafe {
        if n >= 64 {
            let mut large = a.cast::<[T; 64]>().read_unaligned();
            i = 64;
            while n - i >= 64 {
                let next = a.add(i).cast::<[T; 64]>().read_unaligned();
                for j in 0..64 {
                    large[j] = join(large[j], next[j]);
                }
                i += 64;
            }
            for j in 0..SMALL {
                small[j] = join(join(large[j], large[j + 16]), join(large[j + 32], large[j + 48]));
            }
        }
        while i < n {
            let part = (n - i).min(SMALL);
            let next = I::read_part_or(a.add(i), part, start);
            for j in 0..SMALL {
                small[j] = join(small[j], next[j]);
            }
            i += part;
        }
    }
    let mut eight = [start; 8];
    for j in 0..8 {
        eight[j] = join(small[j], small[j + 8]);
    }
    let mut four = [start; 4];
    for j in 0..4 {
        four[j] = join(eight[j], eight[j + 4]);
    }
    join(join(four[0], four[2]), join(four[1], four[3]))
}

/// Sum or maximum of a row of any length.
#[inline(always)]
unsafe fn reduce_row<I: Isa, T: Sums, const SUM: bool>(a: *const T, n: usize) -> T {
    const BLOCK: usize = 2048;
    // SAFETY: the caller's: `a` is valid for reading `n` elements.
    unsafe {
        let (mut i, mut total, mut greatest) = (0, T::NONE, T::LOWEST);
        while i < n {
            let part = (n - i).min(BLOCK);
            let block = reduce_block::<I, T, SUM>(a.add(i), part);
            total = T::widen(total, block);
            greatest = T::maximum(greatest, block);
            i += part;
        }
        if SUM { T::narrow(total) } else { greatest }
    }
}

/// Rows that are reduced side by side.
const ROWS: usize = 8;

/// Sum or maximum of each of some rows of up to [`SMALL`] elements: in the order of [`reduce_row`], with rows as lanes.
#[inline(always)]
unsafe fn reduce_short<T: Sums, const SUM: bool>(a: [*const T; ROWS], n: usize) -> [T; ROWS] {
    let start = if SUM { T::ZERO } else { T::LOWEST };
    let join = |a: [T; ROWS], b: [T; ROWS]| -> [T; ROWS] {
        std::array::from_fn(|r| if SUM { T::add(a[r], b[r]) } else { T::maximum(a[r], b[r]) })
    };
    let mut lanes = [[start; ROWS]; SMALL];
    for (j, lane) in lanes.iter_mut().enumerate().take(n) {
        let mut column = [start; ROWS];
        for (number, a) in column.iter_mut().zip(a) {
            one_by_one();
            // SAFETY: the caller's: each row is valid for reading `n` elements.
            *number = unsafe { a.add(j).read_unaligned() };
        }
        *lane = join(*lane, column);
    }
    // What would be joined with nothing stays as it is.
    let mut width = n.next_power_of_two() / 2;
    while width > 0 {
        for j in 0..width {
            lanes[j] = join(lanes[j], lanes[j + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// `to[row] = reduction of row a`.
///
/// # Safety
/// As [`Call`] says; `to` has one element per row, `to_stride` bytes apart.
#[inline(always)]
pub unsafe fn reduce<I: Isa, T: Sums, const SUM: bool>(call: &Call) {
    let mut first = 0;
    // What it takes to reduce a row at all would be most of what it takes to reduce a short one.
    while call.cols <= SMALL && first + ROWS <= call.rows {
        // SAFETY: the caller's.
        unsafe {
            let rows = std::array::from_fn(|r| row!(call.a, call.a_stride, first + r, T));
            for (r, result) in reduce_short::<T, SUM>(rows, call.cols).into_iter().enumerate() {
                let to: *mut T = row!(call.to, call.to_stride, first + r);
                to.write_unaligned(result);
            }
        }
        first += ROWS;
    }
    for r in first..call.rows {
        one_by_one();
        let to: *mut T = row!(call.to, call.to_stride, r);
        // SAFETY: the caller's.
        unsafe { to.write_unaligned(reduce_row::<I, T, SUM>(row!(call.a, call.a_stride, r), call.cols)) }
    }
}

/// Running sums along each row; those of f32 are kept in f64.
///
/// # Safety
/// As [`Call`] says.
#[inline(always)]
pub unsafe fn cumulative<I: Isa, T: Sums, const REVERSE: bool>(call: &Call) {
    for r in 0..call.rows {
        let to: *mut T = row!(call.to, call.to_stride, r);
        let a: *const T = row!(call.a, call.a_stride, r);
        let mut total = T::NONE;
        for i in 0..call.cols {
            let i = if REVERSE { call.cols - 1 - i } else { i };
            // SAFETY: the caller's.
            unsafe {
                total = T::widen(total, a.add(i).read_unaligned());
                to.add(i).write_unaligned(T::narrow(total));
            }
        }
    }
}
