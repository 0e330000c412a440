//! Numbers that write down what is done with them: a formula of `math::formula` becomes code.

use super::super::math::real::{Real, Whole};
use super::code::{Code, Comparison, Id, Op};
use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Only the sign.
const SIGN: u32 = 0x8000_0000;

/// A float.
#[derive(Clone, Copy)]
pub struct Traced<'a> {
    code: &'a RefCell<Code>,
    /// Its value.
    pub id: Id,
}

/// The bits of a float as an integer.
#[derive(Clone, Copy)]
pub struct TracedBits<'a>(Traced<'a>);

/// Whether something holds, by lane: a value, of which the highest bit says so.
#[derive(Clone, Copy)]
pub struct TracedTruth(pub Id);

impl<'a> Traced<'a> {
    /// The float that a value is.
    pub fn new(code: &'a RefCell<Code>, id: Id) -> Traced<'a> {
        Traced { code, id }
    }

    fn push(self, op: Op, args: &[Id]) -> Traced<'a> {
        Traced { code: self.code, id: self.code.borrow_mut().push(op, args) }
    }

    fn constant(self, bits: u32) -> Traced<'a> {
        self.push(Op::Constant(bits), &[])
    }

    /// What this is the negative of, if it was written so.
    fn negated(self) -> Option<Id> {
        let code = self.code.borrow();
        let made = code.list[self.id as usize];
        (made.op == Op::Xor && code.list[made.args[1] as usize].op == Op::Constant(SIGN)).then_some(made.args[0])
    }

    /// What this is the size of, if it was written so.
    fn sized(self) -> Option<Id> {
        let code = self.code.borrow();
        let made = code.list[self.id as usize];
        (made.op == Op::And && code.list[made.args[1] as usize].op == Op::Constant(!SIGN)).then_some(made.args[0])
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
                Op::Constant(bits) => code.known(Op::Constant(bits ^ SIGN), &[]),
                _ => None,
            };
            let (other, opposite) = constant(b).map(|c| (a, c)).or_else(|| constant(a).map(|c| (b, c)))?;
            let mask = code.known(Op::Constant(!SIGN), &[])?;
            let products = [[other, opposite], [opposite, other]].map(|args| code.known(Op::Multiply, &args));
            let product = || products.into_iter().flatten().find(|&product| code.known(Op::And, &[product, mask]).is_some());
            (made.op == Op::Multiply).then(product)?
        };
        known().unwrap_or(self.id)
    }
}

macro_rules! operator {
    ($($trait:ident $function:ident $op:ident)*) => {$(
        impl $trait for Traced<'_> {
            type Output = Self;
            fn $function(self, other: Self) -> Self {
                self.push(Op::$op, &[self.id, other.id])
            }
        }
    )*};
}
operator!(Add add Add Sub sub Subtract Mul mul Multiply Div div Divide);

impl Neg for Traced<'_> {
    type Output = Self;
    fn neg(self) -> Self {
        // The negative of a size is one instruction, not two.
        match self.sized() {
            Some(id) => self.push(Op::Or, &[id, self.constant(SIGN).id]),
            None => self.push(Op::Xor, &[self.id, self.constant(SIGN).id]),
        }
    }
}

impl<'a> Real for Traced<'a> {
    type Whole = TracedBits<'a>;
    type Truth = TracedTruth;

    fn of(self, value: f32) -> Self {
        self.constant(value.to_bits())
    }
    fn fma(self, b: Self, c: Self) -> Self {
        match self.negated() {
            Some(opposite) => self.push(Op::NegativeMultiplyAdd, &[opposite, b.id, c.id]),
            None => self.push(Op::MultiplyAdd, &[self.id, b.id, c.id]),
        }
    }
    fn abs(self) -> Self {
        let same = Traced { id: self.of_same_size(), ..self };
        same.push(Op::And, &[same.id, self.constant(!SIGN).id])
    }
    fn copysign(self, other: Self) -> Self {
        let sign = self.push(Op::And, &[other.id, self.constant(SIGN).id]);
        self.push(Op::Or, &[self.abs().id, sign.id])
    }
    fn less(self, other: Self) -> TracedTruth {
        TracedTruth(self.push(Op::Compare(Comparison::Less), &[self.id, other.id]).id)
    }
    fn equal(self, other: Self) -> TracedTruth {
        TracedTruth(self.push(Op::Compare(Comparison::Equal), &[self.id, other.id]).id)
    }
    fn is_negative(self) -> TracedTruth {
        // A choice asks for the sign and nothing else.
        TracedTruth(self.id)
    }
    fn choose(test: TracedTruth, yes: Self, no: Self) -> Self {
        yes.push(Op::Choose, &[test.0, yes.id, no.id])
    }
    fn bits(self) -> TracedBits<'a> {
        TracedBits(self)
    }
}

impl<'a> Whole for TracedBits<'a> {
    type Real = Traced<'a>;

    fn of(self, value: i32) -> Self {
        TracedBits(self.0.constant(value as u32))
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
    fn as_bits(self) -> Traced<'a> {
        self.0
    }
    fn nearest(self) -> Traced<'a> {
        self.0.push(Op::Nearest, &[self.0.id])
    }
}
