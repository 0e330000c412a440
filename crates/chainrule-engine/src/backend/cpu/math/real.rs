//! What the formulas are written in: a number that can be computed with, or written down.
//!
//! [`Scalar`] computes; the machine code writer (`machine::trace`) notes the same operations as
//! instructions. A formula that both read cannot differ between them. Those of f32 ask for a
//! [`Single`], those of f64 for a [`Double`], which lacks what 256-bit vectors of 64-bit integers do.
//! Refuses branches: a choice picks one of two numbers that are both there.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// A float and what the formulas do with it.
pub trait Real: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self> {
    /// What it is made of: f32 or f64.
    type Number: Copy;
    /// Its bits as an integer.
    type Whole: Whole<Real = Self>;
    /// Whether something holds.
    type Truth: Copy;

    /// The constant `value`; `self` says only where it is needed.
    fn of(self, value: Self::Number) -> Self;
    /// `self * b + c`, rounded once or twice as the machine does.
    fn fma(self, b: Self, c: Self) -> Self;
    /// The size.
    fn abs(self) -> Self;
    /// The size of `self`, the sign of `other`.
    fn copysign(self, other: Self) -> Self;
    /// Whether it is less; not if either is NaN.
    fn less(self, other: Self) -> Self::Truth;
    /// Whether they are equal; not if either is NaN.
    fn equal(self, other: Self) -> Self::Truth;
    /// Whether its sign is set: not by size, as -0 has it too, and either if it is NaN.
    fn is_negative(self) -> Self::Truth;
    /// `yes` where the test holds, else `no`.
    fn choose(test: Self::Truth, yes: Self, no: Self) -> Self;
    /// Its bits.
    fn bits(self) -> Self::Whole;
    /// `self * 2^n`, rounded once, for a whole `n`, or NaN: what `in_steps` computes. Some machines have an instruction for it.
    #[inline(always)]
    fn times_power(self, n: Self, in_steps: impl FnOnce(Self) -> Self) -> Self {
        let _ = n;
        in_steps(self)
    }
    /// `self`, or `at_once` where [`Real::times_power`] is an instruction.
    #[inline(always)]
    fn or_at_once(self, at_once: Self::Number) -> Self {
        let _ = at_once;
        self
    }
}

/// An integer as wide as the float; it wraps.
pub trait Whole: Copy {
    /// The float with such bits.
    type Real: Real<Whole = Self>;
    /// i32 or i64.
    type Integer: Copy;

    /// The constant `value`.
    fn of(self, value: Self::Integer) -> Self;
    /// Sum.
    fn plus(self, other: Self) -> Self;
    /// Difference.
    fn minus(self, other: Self) -> Self;
    /// Bits in both.
    fn and(self, other: Self) -> Self;
    /// Bits in one of them.
    fn xor(self, other: Self) -> Self;
    /// Bits moved up.
    fn up(self, by: u8) -> Self;
    /// Bits moved down, zeros following.
    fn down(self, by: u8) -> Self;
    /// Whether it is greater, with sign.
    fn greater(self, other: Self) -> <Self::Real as Real>::Truth;
    /// `yes` where the test holds, else `no`.
    fn choose(test: <Self::Real as Real>::Truth, yes: Self, no: Self) -> Self;
    /// The float with these bits.
    fn as_bits(self) -> Self::Real;
}

/// A 32-bit integer.
pub trait Whole32: Whole<Integer = i32> {
    /// Bits moved down, the sign repeated.
    fn down_signed(self, by: u8) -> Self;
    /// The nearest float.
    fn nearest(self) -> Self::Real;
}

/// What the formulas of f32 are written in.
pub trait Single: Real<Number = f32, Whole: Whole32> {}
impl<R: Real<Number = f32, Whole: Whole32>> Single for R {}

/// What the formulas of f64 are written in.
pub trait Double: Real<Number = f64, Whole: Whole<Integer = i64>> {}
impl<R: Real<Number = f64, Whole: Whole<Integer = i64>>> Double for R {}

/// A number that is computed with; `FMA` as in the functions.
#[derive(Clone, Copy)]
pub struct Scalar<F, const FMA: bool>(pub F);

/// The bits of a [`Scalar`].
#[derive(Clone, Copy)]
pub struct ScalarBits<I, const FMA: bool>(I);

macro_rules! operator {
    ($float:ident $($trait:ident $function:ident $operator:tt)*) => {$(
        impl<const FMA: bool> $trait for Scalar<$float, FMA> {
            type Output = Self;
            #[inline(always)]
            fn $function(self, other: Self) -> Self {
                Scalar(self.0 $operator other.0)
            }
        }
    )*};
}

macro_rules! scalar {
    ($float:ident $integer:ident $unsigned:ident) => {
        operator!($float Add add + Sub sub - Mul mul * Div div /);

        impl<const FMA: bool> Neg for Scalar<$float, FMA> {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                Scalar(-self.0)
            }
        }

        impl<const FMA: bool> Real for Scalar<$float, FMA> {
            type Number = $float;
            type Whole = ScalarBits<$integer, FMA>;
            type Truth = bool;

            #[inline(always)]
            fn of(self, value: $float) -> Self {
                Scalar(value)
            }
            #[inline(always)]
            fn fma(self, b: Self, c: Self) -> Self {
                Scalar(if FMA { self.0.mul_add(b.0, c.0) } else { self.0 * b.0 + c.0 })
            }
            #[inline(always)]
            fn abs(self) -> Self {
                Scalar(self.0.abs())
            }
            #[inline(always)]
            fn copysign(self, other: Self) -> Self {
                Scalar(self.0.copysign(other.0))
            }
            #[inline(always)]
            fn less(self, other: Self) -> bool {
                self.0 < other.0
            }
            #[inline(always)]
            fn equal(self, other: Self) -> bool {
                self.0 == other.0
            }
            #[inline(always)]
            fn is_negative(self) -> bool {
                self.0.is_sign_negative()
            }
            #[inline(always)]
            fn choose(test: bool, yes: Self, no: Self) -> Self {
                if test { yes } else { no }
            }
            #[inline(always)]
            fn bits(self) -> ScalarBits<$integer, FMA> {
                ScalarBits(self.0.to_bits() as $integer)
            }
        }

        impl<const FMA: bool> Whole for ScalarBits<$integer, FMA> {
            type Real = Scalar<$float, FMA>;
            type Integer = $integer;

            #[inline(always)]
            fn of(self, value: $integer) -> Self {
                ScalarBits(value)
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                ScalarBits(self.0.wrapping_add(other.0))
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                ScalarBits(self.0.wrapping_sub(other.0))
            }
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                ScalarBits(self.0 & other.0)
            }
            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                ScalarBits(self.0 ^ other.0)
            }
            #[inline(always)]
            fn up(self, by: u8) -> Self {
                ScalarBits(self.0 << by)
            }
            #[inline(always)]
            fn down(self, by: u8) -> Self {
                ScalarBits((self.0 as $unsigned >> by) as $integer)
            }
            #[inline(always)]
            fn greater(self, other: Self) -> bool {
                self.0 > other.0
            }
            #[inline(always)]
            fn choose(test: bool, yes: Self, no: Self) -> Self {
                if test { yes } else { no }
            }
            #[inline(always)]
            fn as_bits(self) -> Scalar<$float, FMA> {
                Scalar($float::from_bits(self.0 as $unsigned))
            }
        }
    };
}
scalar!(f32 i32 u32);
scalar!(f64 i64 u64);

impl<const FMA: bool> Whole32 for ScalarBits<i32, FMA> {
    #[inline(always)]
    fn down_signed(self, by: u8) -> Self {
        ScalarBits(self.0 >> by)
    }
    #[inline(always)]
    fn nearest(self) -> Scalar<f32, FMA> {
        Scalar(self.0 as f32)
    }
}
