//! What one element of a result is: each scalar operation as a type with one function.
//!
//! Refuses to know about vectors; the loops turn these functions into vector code.

use super::blocks::Isa;
use std::marker::PhantomData;

/// A scalar function of one operand.
pub trait Op1 {
    /// The operand's type.
    type A: Copy + Default;
    /// The result's type.
    type D: Copy + Default;
    /// The function.
    fn apply<I: Isa>(a: Self::A) -> Self::D;
}

/// A scalar function of two operands of one type.
pub trait Op2 {
    /// The operands' type.
    type A: Copy + Default;
    /// The result's type.
    type D: Copy + Default;
    /// The function.
    fn apply<I: Isa>(a: Self::A, b: Self::A) -> Self::D;
}

/// A type values have while they are computed.
pub trait Number: Copy + Default + PartialOrd + 'static {
    /// What a sum starts from.
    const ZERO: Self;
    /// What a maximum starts from.
    const LOWEST: Self;
    /// Sum; integers wrap.
    fn add(a: Self, b: Self) -> Self;
    /// Difference; integers wrap.
    fn subtract(a: Self, b: Self) -> Self;
    /// Product; integers wrap.
    fn multiply(a: Self, b: Self) -> Self;
    /// Quotient; of integers truncated, and 0 where `b` is 0.
    fn divide(a: Self, b: Self) -> Self;
    /// Remainder with the sign of the divisor; of integers 0 where `b` is 0.
    fn remainder(a: Self, b: Self) -> Self;
    /// Power.
    fn power<I: Isa>(a: Self, b: Self) -> Self;
    /// Opposite; integers wrap.
    fn negate(a: Self) -> Self;

    /// The greater, or NaN if either is NaN.
    #[inline(always)]
    #[allow(clippy::eq_op, reason = "only NaN differs from itself")]
    fn maximum(a: Self, b: Self) -> Self {
        let greater = if a > b { a } else { b };
        if a != a { a } else { greater }
    }

    /// The smaller, or NaN if either is NaN.
    #[inline(always)]
    #[allow(clippy::eq_op, reason = "only NaN differs from itself")]
    fn minimum(a: Self, b: Self) -> Self {
        let smaller = if a < b { a } else { b };
        if a != a { a } else { smaller }
    }
}

macro_rules! float_number {
    ($type:ident, $math:ident) => {
        impl Number for $type {
            const ZERO: Self = 0.0;
            const LOWEST: Self = $type::NEG_INFINITY;
            #[inline(always)]
            fn add(a: Self, b: Self) -> Self {
                a + b
            }
            #[inline(always)]
            fn subtract(a: Self, b: Self) -> Self {
                a - b
            }
            #[inline(always)]
            fn multiply(a: Self, b: Self) -> Self {
                a * b
            }
            #[inline(always)]
            fn divide(a: Self, b: Self) -> Self {
                a / b
            }
            #[inline(always)]
            fn remainder(a: Self, b: Self) -> Self {
                a - b * (a / b).floor()
            }
            #[inline(always)]
            fn power<I: Isa>(a: Self, b: Self) -> Self {
                if I::FMA { $math::pow::<true>(a, b) } else { $math::pow::<false>(a, b) }
            }
            #[inline(always)]
            fn negate(a: Self) -> Self {
                -a
            }
        }
    };
}
use super::super::math::{double, single};
float_number!(f32, single);
float_number!(f64, double);

macro_rules! integer_number {
    ($type:ident) => {
        impl Number for $type {
            const ZERO: Self = 0;
            const LOWEST: Self = $type::MIN;
            #[inline(always)]
            fn add(a: Self, b: Self) -> Self {
                a.wrapping_add(b)
            }
            #[inline(always)]
            fn subtract(a: Self, b: Self) -> Self {
                a.wrapping_sub(b)
            }
            #[inline(always)]
            fn multiply(a: Self, b: Self) -> Self {
                a.wrapping_mul(b)
            }
            #[inline(always)]
            fn divide(a: Self, b: Self) -> Self {
                if b == 0 { 0 } else { a.wrapping_div(b) }
            }
            #[inline(always)]
            #[allow(unused_comparisons, reason = "one text for signed and unsigned integers")]
            fn remainder(a: Self, b: Self) -> Self {
                if b == 0 {
                    return 0;
                }
                let rest = a.wrapping_rem(b);
                if rest != 0 && ((rest < 0) != (b < 0)) { rest.wrapping_add(b) } else { rest }
            }
            /// By repeated squaring; a negative exponent gives the truncated reciprocal.
            #[inline(always)]
            #[allow(unused_comparisons, reason = "one text for signed and unsigned integers")]
            fn power<I: Isa>(a: Self, b: Self) -> Self {
                if b < 0 {
                    let odd = b & 1 == 1;
                    return if a == 1 || (a.wrapping_add(1) == 0 && !odd) {
                        1
                    } else if a.wrapping_add(1) == 0 {
                        a
                    } else {
                        0
                    };
                }
                let (mut result, mut base, mut rest) = (1 as Self, a, b);
                while rest > 0 {
                    if rest & 1 == 1 {
                        result = result.wrapping_mul(base);
                    }
                    base = base.wrapping_mul(base);
                    rest >>= 1;
                }
                result
            }
            #[inline(always)]
            fn negate(a: Self) -> Self {
                a.wrapping_neg()
            }
        }
    };
}
integer_number!(i32);
integer_number!(i64);
integer_number!(u8);

macro_rules! op2 {
    ($($name:ident $function:ident)*) => {$(
        #[doc = concat!("`", stringify!($function), "` of two numbers.")]
        pub struct $name<T>(PhantomData<T>);
        impl<T: Number> Op2 for $name<T> {
            type A = T;
            type D = T;
            #[inline(always)]
            fn apply<I: Isa>(a: T, b: T) -> T {
                T::$function(a, b)
            }
        }
    )*};
}
op2!(Add add Subtract subtract Multiply multiply Divide divide Remainder remainder
     Minimum minimum Maximum maximum);

/// The product, but 0 wherever `a` is 0.
pub struct Scale<T>(PhantomData<T>);
impl<T: Number> Op2 for Scale<T> {
    type A = T;
    type D = T;
    #[inline(always)]
    fn apply<I: Isa>(a: T, b: T) -> T {
        if a == T::ZERO { T::ZERO } else { T::multiply(a, b) }
    }
}

/// Power.
pub struct Power<T>(PhantomData<T>);
impl<T: Number> Op2 for Power<T> {
    type A = T;
    type D = T;
    #[inline(always)]
    fn apply<I: Isa>(a: T, b: T) -> T {
        T::power::<I>(a, b)
    }
}

/// 1 where `a < b`.
pub struct Less<T>(PhantomData<T>);
impl<T: Number> Op2 for Less<T> {
    type A = T;
    type D = u8;
    #[inline(always)]
    fn apply<I: Isa>(a: T, b: T) -> u8 {
        (a < b) as u8
    }
}

/// 1 where `a == b`.
pub struct Equal<T>(PhantomData<T>);
impl<T: Number> Op2 for Equal<T> {
    type A = T;
    type D = u8;
    #[inline(always)]
    fn apply<I: Isa>(a: T, b: T) -> u8 {
        (a == b) as u8
    }
}

macro_rules! bitwise {
    ($($name:ident $operator:tt)*) => {$(
        #[doc = concat!("`a ", stringify!($operator), " b`, bit by bit.")]
        pub struct $name<T>(PhantomData<T>);
        impl<T: Number + std::ops::BitAnd<Output = T> + std::ops::BitOr<Output = T>> Op2 for $name<T> {
            type A = T;
            type D = T;
            #[inline(always)]
            fn apply<I: Isa>(a: T, b: T) -> T {
                a $operator b
            }
        }
    )*};
}
bitwise!(And & Or |);

/// An integer whose bits can be moved.
pub trait Shift: Number {
    /// Bits moved up; by all of them or more, or by less than none: 0.
    fn left(a: Self, b: Self) -> Self;
    /// Bits moved down, the sign repeated; by all of them or more, or by less than none: the sign alone.
    fn right(a: Self, b: Self) -> Self;
}

macro_rules! shifts {
    ($($type:ident $unsigned:ident)*) => {$(
        impl Shift for $type {
            #[inline(always)]
            fn left(a: Self, b: Self) -> Self {
                // Less than none is more than all to an unsigned number.
                if (b as $unsigned as u64) < <$type>::BITS as u64 { a.wrapping_shl(b as u32) } else { 0 }
            }
            #[inline(always)]
            fn right(a: Self, b: Self) -> Self {
                let held = if (b as $unsigned as u64) < <$type>::BITS as u64 { b as u32 } else { <$type>::BITS - 1 };
                let moved = a.wrapping_shr(held);
                // Without a sign there is nothing to repeat.
                if <$type>::MIN == 0 && held != b as u32 { 0 } else { moved }
            }
        }
    )*};
}
shifts!(i32 u32 i64 u64 u8 u8);

/// Bits moved up.
pub struct ShiftLeft<T>(PhantomData<T>);
impl<T: Shift> Op2 for ShiftLeft<T> {
    type A = T;
    type D = T;
    #[inline(always)]
    fn apply<I: Isa>(a: T, b: T) -> T {
        T::left(a, b)
    }
}

/// Bits moved down.
pub struct ShiftRight<T>(PhantomData<T>);
impl<T: Shift> Op2 for ShiftRight<T> {
    type A = T;
    type D = T;
    #[inline(always)]
    fn apply<I: Isa>(a: T, b: T) -> T {
        T::right(a, b)
    }
}

/// The opposite.
pub struct Negate<T>(PhantomData<T>);
impl<T: Number> Op1 for Negate<T> {
    type A = T;
    type D = T;
    #[inline(always)]
    fn apply<I: Isa>(a: T) -> T {
        T::negate(a)
    }
}

/// Logical not.
pub struct Not;
impl Op1 for Not {
    type A = u8;
    type D = u8;
    #[inline(always)]
    fn apply<I: Isa>(a: u8) -> u8 {
        (a == 0) as u8
    }
}

macro_rules! float_op1 {
    ($($name:ident $function:ident)*) => {$(
        #[doc = concat!("`", stringify!($function), "` of a float.")]
        pub struct $name<T>(PhantomData<T>);
        impl Op1 for $name<f32> {
            type A = f32;
            type D = f32;
            #[inline(always)]
            fn apply<I: Isa>(a: f32) -> f32 {
                if I::FMA { single::$function::<true>(a) } else { single::$function::<false>(a) }
            }
        }
        impl Op1 for $name<f64> {
            type A = f64;
            type D = f64;
            #[inline(always)]
            fn apply<I: Isa>(a: f64) -> f64 {
                if I::FMA { double::$function::<true>(a) } else { double::$function::<false>(a) }
            }
        }
    )*};
}
float_op1!(Exp exp Log log Log1p log1p Expm1 expm1 Tanh tanh Sech sech Sigmoid sigmoid Softplus softplus Erf erf Atan atan);

/// A function with a vector formula near zero, and another for the few elements far from it.
pub trait Near: Op1 {
    /// Whether the vector formula fails.
    fn is_far(a: Self::A) -> bool;
    /// The function where it does.
    fn far(a: Self::A) -> Self::D;
}

macro_rules! near_op1 {
    ($($name:ident $whole:ident $near:ident $far:ident)*) => {$(
        near_op1!(@ $name $whole $near $far f32 single);
        near_op1!(@ $name $whole $near $far f64 double);
        #[doc = concat!("`", stringify!($whole), "` of a float.")]
        pub struct $name<T>(PhantomData<T>);
    )*};
    (@ $name:ident $whole:ident $near:ident $far:ident $type:ident $math:ident) => {
        impl Op1 for $name<$type> {
            type A = $type;
            type D = $type;
            #[inline(always)]
            fn apply<I: Isa>(a: $type) -> $type {
                if I::FMA { $math::$near::<true>(a) } else { $math::$near::<false>(a) }
            }
        }
        impl Near for $name<$type> {
            #[inline(always)]
            fn is_far(a: $type) -> bool {
                a.abs() > $math::NEAR
            }
            #[inline(always)]
            fn far(a: $type) -> $type {
                $math::$far(a)
            }
        }
    };
}
near_op1!(Sin sin sin_near sin_far Cos cos cos_near cos_far);

macro_rules! exact_op1 {
    ($($name:ident $function:ident)*) => {$(
        #[doc = concat!("`", stringify!($function), "` of a float.")]
        pub struct $name<T>(PhantomData<T>);
        impl Op1 for $name<f32> {
            type A = f32;
            type D = f32;
            #[inline(always)]
            fn apply<I: Isa>(a: f32) -> f32 {
                a.$function()
            }
        }
        impl Op1 for $name<f64> {
            type A = f64;
            type D = f64;
            #[inline(always)]
            fn apply<I: Isa>(a: f64) -> f64 {
                a.$function()
            }
        }
    )*};
}
exact_op1!(Sqrt sqrt Floor floor);

/// Another number type: floats to integers truncate and saturate, integers to integers wrap.
pub struct Cast<A, D>(PhantomData<(A, D)>);
macro_rules! casts {
    ($($a:ident)*) => {$( casts!(@ $a f32 f64 i32 i64 u8); )*};
    (@ $a:ident $($d:ident)*) => {$(
        impl Op1 for Cast<$a, $d> {
            type A = $a;
            type D = $d;
            #[inline(always)]
            fn apply<I: Isa>(a: $a) -> $d {
                a as $d
            }
        }
    )*};
}
casts!(f32 f64 i32 i64 u8);

/// The same bits.
pub struct Same<T>(PhantomData<T>);
impl<T: Copy + Default> Op1 for Same<T> {
    type A = T;
    type D = T;
    #[inline(always)]
    fn apply<I: Isa>(a: T) -> T {
        a
    }
}
