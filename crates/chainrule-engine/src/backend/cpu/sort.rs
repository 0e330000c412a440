//! The order of rows ([`Sort`]).
//!
//! Each element becomes one unsigned number: a key that is ordered as the elements are, above the element's position.
//! The numbers are all different, so that any way to sort them is stable, and the order is the same on every machine.
//! A unit is a number of whole rows; of the stages in which a few long rows are sorted (`sort/runs.rs`), a run, or a piece of two that are
//! merged. Refuses to share one row among threads in any other way.

mod runs;

use super::region::Scratch;
use crate::compile::kernel::{Access, Sort, SortStage};
use crate::tensor::DType;
use half::{bf16, f16};

/// Elements of one unit, about.
const UNIT: usize = 16 * 1024;

/// A sort made ready to run.
pub struct CompiledSort {
    sort: Sort,
    /// Rows of one unit.
    together: usize,
    /// Whether key and position fit into 64 bits.
    narrow: bool,
}

impl CompiledSort {
    /// Chooses units.
    pub fn new(sort: &Sort) -> CompiledSort {
        let narrow = match sort.stage {
            SortStage::Whole => sort.input.dtype.bytes() <= 4 && u32::try_from(sort.len).is_ok(),
            stage => stage.words() == 1,
        };
        CompiledSort { sort: sort.clone(), together: (UNIT / sort.len.max(1)).max(1), narrow }
    }

    /// How many units there are.
    pub fn units(&self) -> usize {
        match runs::length(self.sort.stage) {
            Some(length) => self.sort.rows * self.sort.len.div_ceil(length),
            None if self.sort.keep == 0 => 0,
            None => self.sort.rows.div_ceil(self.together),
        }
    }

    /// Bytes of scratch that a unit needs: those of one row, if it is sorted as a whole.
    pub fn aside(&self) -> usize {
        if self.sort.stage != SortStage::Whole {
            return 0;
        }
        self.sort.len.saturating_mul(if self.narrow { size_of::<u64>() } else { size_of::<u128>() })
    }

    /// Estimated nanoseconds of all units on one thread.
    pub fn cost(&self) -> f64 {
        let (len, keep) = (self.sort.len as f64, self.sort.keep as f64);
        match self.sort.stage {
            SortStage::Whole => (),
            SortStage::Runs { run, .. } => return self.sort.rows as f64 * len * (5.0 + (run as f64).log2()),
            _ => return self.sort.rows as f64 * len * 3.0,
        }
        self.sort.rows as f64 * (20.0 + len * 5.0 + keep * (keep + 1.0).log2())
    }

    /// Runs one unit.
    ///
    /// # Safety
    /// `buffers[id]` is valid for the two dense accesses, which do not overlap.
    pub unsafe fn run(&self, unit: usize, buffers: &[*mut u8], scratch: &mut Scratch) {
        if self.sort.stage != SortStage::Whole {
            // SAFETY: the caller's; both hold as many numbers as the stage's words say.
            return unsafe {
                if self.narrow { runs::run::<u64>(&self.sort, unit, buffers) } else { runs::run::<u128>(&self.sort, unit, buffers) }
            };
        }
        let Sort { rows, len, keep, descending, input, out, .. } = &self.sort;
        let room = scratch.aside(self.aside());
        for row in unit * self.together..((unit + 1) * self.together).min(*rows) {
            let from = first(input, buffers).wrapping_add(row * len * input.dtype.bytes());
            let to = first(out, buffers).wrapping_add(row * keep * size_of::<i64>()).cast::<i64>();
            // SAFETY: the caller's; the scratch has room for one number of the type for each element of a row, is
            // aligned to a cache line, and was set to zero when it grew.
            unsafe {
                if self.narrow {
                    let room = std::slice::from_raw_parts_mut(room.cast::<u64>(), *len);
                    order(room, *keep, *descending, |at| u64::key(input.dtype, from, at), to);
                } else {
                    let room = std::slice::from_raw_parts_mut(room.cast::<u128>(), *len);
                    order(room, *keep, *descending, |at| u128::key(input.dtype, from, at), to);
                }
            }
        }
    }
}

/// A key in the upper half, a position in the lower one.
trait Keyed: Ord + Copy {
    type Key;
    fn new(key: Self::Key, descending: bool, position: usize) -> Self;
    fn position(self) -> i64;
    /// # Safety
    /// There is an element of the type at `at`.
    unsafe fn key(dtype: DType, from: *const u8, at: usize) -> Self::Key;
}

impl Keyed for u64 {
    type Key = u32;
    fn new(key: u32, descending: bool, position: usize) -> u64 {
        u64::from(if descending { !key } else { key }) << 32 | position as u64
    }
    fn position(self) -> i64 {
        i64::from(self as u32)
    }
    unsafe fn key(dtype: DType, from: *const u8, at: usize) -> u32 {
        // SAFETY: the caller's.
        unsafe { narrow_key(dtype, from, at) }
    }
}

impl Keyed for u128 {
    type Key = u64;
    fn new(key: u64, descending: bool, position: usize) -> u128 {
        u128::from(if descending { !key } else { key }) << 64 | position as u128
    }
    fn position(self) -> i64 {
        self as i64
    }
    unsafe fn key(dtype: DType, from: *const u8, at: usize) -> u64 {
        // SAFETY: the caller's.
        unsafe { wide_key(dtype, from, at) }
    }
}

/// Sorts one row in `room` and writes the first positions.
///
/// # Safety
/// `to` is valid for as many elements as are kept.
unsafe fn order<K: Keyed>(mut room: &mut [K], keep: usize, descending: bool, key: impl Fn(usize) -> K::Key, to: *mut i64) {
    for (at, place) in room.iter_mut().enumerate() {
        *place = K::new(key(at), descending, at);
    }
    // Neither allocates. Few of many are first parted from the rest, in a time that grows with the row's length alone.
    if keep < room.len() {
        if keep > 0 {
            room.select_nth_unstable(keep - 1);
        }
        room = &mut room[..keep];
    }
    room.sort_unstable();
    for (at, one) in room.iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { to.add(at).write_unaligned(one.position()) }
    }
}

/// The key of a type of at most four bytes.
unsafe fn narrow_key(dtype: DType, from: *const u8, at: usize) -> u32 {
    // SAFETY: the caller's: there is an element of the type at `at`.
    unsafe {
        match dtype {
            DType::F32 => key_of_f32(from.cast::<f32>().add(at).read_unaligned()),
            DType::BF16 => key_of_f32(from.cast::<bf16>().add(at).read_unaligned().to_f32()),
            DType::F16 => key_of_f32(from.cast::<f16>().add(at).read_unaligned().to_f32()),
            DType::I32 => from.cast::<u32>().add(at).read_unaligned() ^ (1 << 31),
            _ => u32::from(*from.add(at)),
        }
    }
}

/// The key of any type.
unsafe fn wide_key(dtype: DType, from: *const u8, at: usize) -> u64 {
    // SAFETY: the caller's: there is an element of the type at `at`.
    unsafe {
        match dtype {
            DType::F64 => key_of_f64(from.cast::<f64>().add(at).read_unaligned()),
            DType::I64 => from.cast::<u64>().add(at).read_unaligned() ^ (1 << 63),
            _ => u64::from(narrow_key(dtype, from, at)),
        }
    }
}

/// Unsigned integers in the order of floats: the bits, with the sign turned round, and all of them where it is set. The
/// two zeros are one, and so are all NaN, above infinity.
macro_rules! float_key {
    ($name:ident, $float:ty, $bits:ty) => {
        fn $name(value: $float) -> $bits {
            const SIGN: $bits = 1 << (<$bits>::BITS - 1);
            let bits = (value + 0.0).to_bits();
            match value {
                _ if value.is_nan() => <$bits>::MAX,
                _ if bits & SIGN == 0 => bits | SIGN,
                _ => !bits,
            }
        }
    };
}
float_key!(key_of_f32, f32, u32);
float_key!(key_of_f64, f64, u64);

fn first(access: &Access, buffers: &[*mut u8]) -> *mut u8 {
    buffers[access.buffer as usize].wrapping_offset(access.offset * access.dtype.bytes() as isize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_as_the_numbers_are() {
        let ascending =
            [f64::NEG_INFINITY, f64::MIN, -1.5, -1e-310, 0.0, 5e-324, 1.0, 1.0 + f64::EPSILON, f64::MAX, f64::INFINITY, f64::NAN];
        assert!(ascending.windows(2).all(|pair| key_of_f64(pair[0]) < key_of_f64(pair[1])));
        let ascending = [f32::NEG_INFINITY, -2.0, -1e-40, 0.0, 1e-45, 3.0, f32::MAX, f32::INFINITY, f32::NAN];
        assert!(ascending.windows(2).all(|pair| key_of_f32(pair[0]) < key_of_f32(pair[1])));
        assert_eq!((key_of_f32(-0.0), key_of_f64(-0.0)), (key_of_f32(0.0), key_of_f64(0.0)));
        assert_eq!(key_of_f32(-f32::NAN), key_of_f32(f32::NAN));
    }

    /// Rows of many lengths in any order of the units, against a stable sort of the library.
    #[test]
    fn units_in_any_order_give_the_stable_order_and_write_nothing_else() {
        let access = |buffer, dtype| Access { buffer, dtype, offset: 0, strides: Default::default() };
        for (rows, len) in [(1, 1), (5, 2), (700, 50), (3, 20_000), (1, 0), (40, 33)] {
            let mut values: Vec<i64> = (0..rows * len).map(|i| (i * 7919 % 1013 % 97) as i64 - 40).collect();
            for (descending, keep) in [(false, len), (true, len), (false, len / 3), (true, len.min(1))] {
                let (stage, input, out) = (SortStage::Whole, access(0, DType::I64), access(1, DType::I64));
                let sort = Sort { rows, len, keep, descending, stage, input, out };
                let compiled = CompiledSort::new(&sort);
                let mut out = vec![-1_i64; rows * keep + 1];
                let buffers = [values.as_mut_ptr().cast(), out.as_mut_ptr().cast()];
                let mut scratch = Scratch::new();
                for unit in (0..compiled.units()).rev() {
                    // SAFETY: both hold as many elements as the rows have.
                    unsafe { compiled.run(unit, &buffers, &mut scratch) }
                }
                for row in 0..rows {
                    let own = &values[row * len..][..len];
                    let mut want: Vec<i64> = (0..len as i64).collect();
                    want.sort_by_key(|&at| if descending { -own[at as usize] } else { own[at as usize] });
                    let found = &out[row * keep..][..keep];
                    assert_eq!(*found, want[..keep], "row {row} of {rows} x {len}, {keep} kept, descending: {descending}");
                }
                assert_eq!(out[rows * keep], -1);
            }
        }
    }
}
