//! What the f32 formulas are written in: a number that can be computed with, or written down.
//!
//! [`Scalar`] computes; the machine code writer (`machine::trace`) notes the same operations as
//! instructions. A formula that both read cannot differ between them. Refuses branches: a choice
//! picks one of two numbers that are both there.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// A float and what the formulas do with it.
pub trait Real: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self> {
    /// Its bits as an integer.
    type Whole: Whole<Real = Self>;
    /// Whether something holds.
    type Truth: Copy;

    /// The constant `value`; `self` says only where it is needed.
    fn of(self, value: f32) -> Self;
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
}

/// A 32-bit integer; it wraps.
pub trait Whole: Copy {
    /// The float with such bits.
    type Real: Real<Whole = Self>;

    /// The constant `value`.
    fn of(self, value: i32) -> Self;
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
    /// Bits moved down, the sign repeated.
    fn down(self, by: u8) -> Self;
    /// Whether it is greater, with sign.
    fn greater(self, other: Self) -> <Self::Real as Real>::Truth;
    /// `yes` where the test holds, else `no`.
    fn choose(test: <Self::Real as Real>::Truth, yes: Self, no: Self) -> Self;
    /// The float with these bits.
    fn as_bits(self) -> Self::Real;
    /// The nearest float.
    fn nearest(self) -> Self::Real;
}

/// A number that is computed with; `FMA` as in the functions.
#[derive(Clone, Copy)]
pub struct Scalar<const FMA: bool>(pub f32);

macro_rules! operator {
    ($($trait:ident $function:ident $operator:tt)*) => {$(
        impl<const FMA: bool> $trait for Scalar<FMA> {
            type Output = Self;
            #[inline(always)]
            fn $function(self, other: Self) -> Self {
                Scalar(self.0 $operator other.0)
            }
        }
    )*};
}
operator!(Add add + Sub sub - Mul mul * Div div /);

impl<const FMA: bool> Neg for Scalar<FMA> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Scalar(-self.0)
    }
}

impl<const FMA: bool> Real for Scalar<FMA> {
    type Whole = ScalarBits<FMA>;
    type Truth = bool;

    #[inline(always)]
    fn of(self, value: f32) -> Self {
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
    fn bits(self) -> ScalarBits<FMA> {
        ScalarBits(self.0.to_bits() as i32)
    }
}

/// The bits of a [`Scalar`].
#[derive(Clone, Copy)]
pub struct ScalarBits<const FMA: bool>(i32);

impl<const FMA: bool> Whole for ScalarBits<FMA> {
    type Real = Scalar<FMA>;

    #[inline(always)]
    fn of(self, value: i32) -> Self {
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
        ScalarBits(self.0 >> by)
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
    fn as_bits(self) -> Scalar<FMA> {
        Scalar(f32::from_bits(self.0 as u32))
    }
    #[inline(always)]
    fn nearest(self) -> Scalar<FMA> {
        Scalar(self.0 as f32)
    }
}
