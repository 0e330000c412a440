//! How two elements become one, for every type that a scatter combines as it is.
//!
//! Refuses types of two bytes, which are combined in f32.

use crate::compile::kernel::Binary;
use crate::tensor::DType;

/// What elements of a type are combined by.
pub trait Combined: Copy + 'static {
    fn of(number: f64) -> Self;
    fn add(self, other: Self) -> Self;
    fn multiply(self, other: Self) -> Self;
    fn larger(self, other: Self) -> Self;
    fn smaller(self, other: Self) -> Self;
    fn function(how: Binary) -> fn(Self, Self) -> Self {
        match how {
            Binary::Add => Self::add,
            Binary::Multiply => Self::multiply,
            Binary::Maximum => Self::larger,
            _ => Self::smaller,
        }
    }
}

macro_rules! floats {
    ($($type:ty),*) => {$(
        // NaN stays.
        impl Combined for $type {
            fn of(number: f64) -> Self {
                number as $type
            }
            fn add(self, other: Self) -> Self {
                self + other
            }
            fn multiply(self, other: Self) -> Self {
                self * other
            }
            fn larger(self, other: Self) -> Self {
                if self >= other || self.is_nan() { self } else { other }
            }
            fn smaller(self, other: Self) -> Self {
                if self <= other || self.is_nan() { self } else { other }
            }
        }
    )*};
}
floats!(f32, f64);

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Combined for $type {
            fn of(number: f64) -> Self {
                number as $type
            }
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn multiply(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            fn larger(self, other: Self) -> Self {
                self.max(other)
            }
            fn smaller(self, other: Self) -> Self {
                self.min(other)
            }
        }
    )*};
}
integers!(i32, i64, u8);

/// Sets elements to a number.
///
/// # Safety
/// `to` is valid for as many elements of the type.
pub unsafe fn set(dtype: DType, to: *mut u8, len: usize, number: f64) {
    /// # Safety
    /// As [`set`].
    unsafe fn all<T: Combined>(to: *mut u8, len: usize, number: f64) {
        // SAFETY: the caller's.
        (0..len).for_each(|i| unsafe { to.cast::<T>().add(i).write_unaligned(T::of(number)) });
    }
    // SAFETY: the caller's.
    unsafe {
        match dtype {
            DType::F32 => all::<f32>(to, len, number),
            DType::F64 => all::<f64>(to, len, number),
            DType::I32 => all::<i32>(to, len, number),
            DType::I64 => all::<i64>(to, len, number),
            _ => all::<u8>(to, len, number),
        }
    }
}
