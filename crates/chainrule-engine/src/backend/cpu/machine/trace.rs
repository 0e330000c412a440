//! Numbers that write down what is done with them: a formula of `math` becomes code.

use super::super::math::real::{Real, Whole, Whole32};
use super::code::{Code, Comparison, Id, Op, Size};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// What lanes hold: f32 or f64.
pub trait Float: Copy {
    /// The integer of as many bits.
    type Integer: Copy;
    /// Bytes of a lane.
    const SIZE: Size;
    /// Only the sign.
    const SIGN: u64;
    /// All bits but the sign.
    const REST: u64 = Self::SIGN - 1;
    /// Its bits.
    fn bits(self) -> u64;
    /// The bits of an integer.
    fn bits_of(integer: Self::Integer) -> u64;
}

impl Float for f32 {
    type Integer = i32;
    const SIZE: Size = Size::Four;
    const SIGN: u64 = 1 << 31;
    fn bits(self) -> u64 {
        u64::from(self.to_bits())
    }
    fn bits_of(integer: i32) -> u64 {
        u64::from(integer as u32)
    }
}

impl Float for f64 {
    type Integer = i64;
    const SIZE: Size = Size::Eight;
    const SIGN: u64 = 1 << 63;
    fn bits(self) -> u64 {
        self.to_bits()
    }
    fn bits_of(integer: i64) -> u64 {
        integer as u64
    }
}

/// A float.
#[derive(Clone, Copy)]
pub struct Traced<'a, F> {
    code: &'a RefCell<Code>,
    /// Its value.
    pub id: Id,
    float: PhantomData<F>,
}

/// The bits of a float as an integer.
#[derive(Clone, Copy)]
pub struct TracedBits<'a, F>(Traced<'a, F>);

/// Whether something holds at each position.
#[derive(Clone, Copy)]
pub struct TracedTruth(pub Id);

impl<'a, F: Float> Traced<'a, F> {
    /// The float that a value is.
    pub fn new(code: &'a RefCell<Code>, id: Id) -> Traced<'a, F> {
        Traced { code, id, float: PhantomData }
    }

    fn push(self, op: Op, args: &[Id]) -> Traced<'a, F> {
        Traced::new(self.code, self.code.borrow_mut().push(op, F::SIZE, args))
    }

    fn constant(self, bits: u64) -> Traced<'a, F> {
        self.push(Op::Constant(bits), &[])
    }

    /// What this is the negative of, if it was written so.
    fn negated(self) -> Option<Id> {
        let code = self.code.borrow();
        let made = code.list[self.id as usize];
        (made.op == Op::Xor && code.list[made.args[1] as usize].op == Op::Constant(F::SIGN)).then_some(made.args[0])
    }

    /// What this is the size of, if it was written so.
    fn sized(self) -> Option<Id> {
        let code = self.code.borrow();
        let made = code.list[self.id as usize];
        (made.op == Op::And && code.list[made.args[1] as usize].op == Op::Constant(F::REST)).then_some(made.args[0])
    }

    /// What has its size, but for the sign: the operand of a negation; or a product with the opposite
    /// constant, if its size is known already.
    fn of_same_size(self) -> Id {
        if let Some(opposite) = self.negated() {
            return opposite;
        }
        let code = self.code.borrow();
        let known = || {
            let made = code.list[self.id as usize];
            let [a, b, _] = made.args;
            let constant = |id: Id| match code.list[id as usize].op {
                Op::Constant(bits) => code.known(Op::Constant(bits ^ F::SIGN), F::SIZE, &[]),
                _ => None,
            };
            let (other, opposite) = constant(b).map(|c| (a, c)).or_else(|| constant(a).map(|c| (b, c)))?;
            let mask = code.known(Op::Constant(F::REST), F::SIZE, &[])?;
            let products = [[other, opposite], [opposite, other]].map(|args| code.known(Op::Multiply, F::SIZE, &args));
            let product = || products.into_iter().flatten().find(|&product| code.known(Op::And, F::SIZE, &[product, mask]).is_some());
            (made.op == Op::Multiply).then(product)?
        };
        known().unwrap_or(self.id)
    }
}

macro_rules! operator {
    ($($trait:ident $function:ident $op:ident)*) => {$(
        impl<F: Float> $trait for Traced<'_, F> {
            type Output = Self;
            fn $function(self, other: Self) -> Self {
                self.push(Op::$op, &[self.id, other.id])
            }
        }
    )*};
}
operator!(Add add Add Sub sub Subtract Mul mul Multiply Div div Divide);

impl<F: Float> Neg for Traced<'_, F> {
    type Output = Self;
    fn neg(self) -> Self {
        // The negative of a size is one instruction, not two.
        match self.sized() {
            Some(id) => self.push(Op::Or, &[id, self.constant(F::SIGN).id]),
            None => self.push(Op::Xor, &[self.id, self.constant(F::SIGN).id]),
        }
    }
}

impl<'a, F: Float> Real for Traced<'a, F> {
    type Number = F;
    type Whole = TracedBits<'a, F>;
    type Truth = TracedTruth;

    fn of(self, value: F) -> Self {
        self.constant(value.bits())
    }
    fn fma(self, b: Self, c: Self) -> Self {
        match self.negated() {
            Some(opposite) => self.push(Op::NegativeMultiplyAdd, &[opposite, b.id, c.id]),
            None => self.push(Op::MultiplyAdd, &[self.id, b.id, c.id]),
        }
    }
    fn abs(self) -> Self {
        let same = Traced { id: self.of_same_size(), ..self };
        same.push(Op::And, &[same.id, self.constant(F::REST).id])
    }
    fn copysign(self, other: Self) -> Self {
        let sign = self.push(Op::And, &[other.id, self.constant(F::SIGN).id]);
        self.push(Op::Or, &[self.abs().id, sign.id])
    }
    fn less(self, other: Self) -> TracedTruth {
        TracedTruth(self.push(Op::Compare(Comparison::Less), &[self.id, other.id]).id)
    }
    fn equal(self, other: Self) -> TracedTruth {
        TracedTruth(self.push(Op::Compare(Comparison::Equal), &[self.id, other.id]).id)
    }
    fn is_negative(self) -> TracedTruth {
        TracedTruth(self.push(Op::Sign, &[self.id]).id)
    }
    fn choose(test: TracedTruth, yes: Self, no: Self) -> Self {
        yes.push(Op::Choose, &[test.0, yes.id, no.id])
    }
    fn bits(self) -> TracedBits<'a, F> {
        TracedBits(self)
    }
    fn times_power(self, n: Self, in_steps: impl FnOnce(Self) -> Self) -> Self {
        let steps = in_steps(self);
        steps.push(Op::StepsOrOnce, &[steps.id, self.push(Op::TimesPower, &[self.id, n.id]).id])
    }
    fn or_at_once(self, at_once: F) -> Self {
        self.push(Op::StepsOrOnce, &[self.id, self.constant(at_once.bits()).id])
    }
}

impl<'a, F: Float> Whole for TracedBits<'a, F> {
    type Real = Traced<'a, F>;
    type Integer = F::Integer;

    fn of(self, value: F::Integer) -> Self {
        TracedBits(self.0.constant(F::bits_of(value)))
    }
    fn plus(self, other: Self) -> Self {
        TracedBits(self.0.push(Op::Plus, &[self.0.id, other.0.id]))
    }
    fn minus(self, other: Self) -> Self {
        TracedBits(self.0.push(Op::Minus, &[self.0.id, other.0.id]))
    }
    fn and(self, other: Self) -> Self {
        TracedBits(self.0.push(Op::And, &[self.0.id, other.0.id]))
    }
    fn xor(self, other: Self) -> Self {
        TracedBits(self.0.push(Op::Xor, &[self.0.id, other.0.id]))
    }
    fn up(self, by: u8) -> Self {
        TracedBits(self.0.push(Op::Up(by), &[self.0.id]))
    }
    fn down(self, by: u8) -> Self {
        TracedBits(self.0.push(Op::Down(by), &[self.0.id]))
    }
    fn greater(self, other: Self) -> TracedTruth {
        TracedTruth(self.0.push(Op::Greater, &[self.0.id, other.0.id]).id)
    }
    fn choose(test: TracedTruth, yes: Self, no: Self) -> Self {
        TracedBits(Real::choose(test, yes.0, no.0))
    }
    fn as_bits(self) -> Traced<'a, F> {
        self.0
    }
}

impl Whole32 for TracedBits<'_, f32> {
    fn down_signed(self, by: u8) -> Self {
        TracedBits(self.0.push(Op::DownSigned(by), &[self.0.id]))
    }
    fn nearest(self) -> Self::Real {
        self.0.push(Op::Nearest, &[self.0.id])
    }
}
