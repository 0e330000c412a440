//! Steps of a plan as code for a function: which operation of which lane becomes which instructions.
//!
//! Floats of 32 and of 64 bits, also such as are rounded to 16, truths made of them, conversions between
//! these, and what becomes one number for a row; of integers of 32 bits which is less, and the float nearest to one, which is what
//! random numbers need. Refuses other integers, powers, and to choose which steps come together.

use super::super::machine::code::{Code, Comparison, Id, Op, Size};
use super::super::machine::trace::{Float, Traced};
use super::super::math::{formula, formula_double, real::Real};
use super::plan::{Class, Home, Meaning, Plan, Step, Work};
use crate::compile::kernel::{Binary, Lane, Reduction, Unary};
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};

/// An operand of a function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Port {
    /// The value.
    pub value: u32,
    /// Bytes of an element; 0 if it has one element per row.
    pub width: usize,
    /// Whether it is written.
    pub stored: bool,
}

/// Writes steps as code.
#[derive(Default)]
pub struct Writer {
    code: RefCell<Code>,
    ports: RefCell<Vec<Port>>,
    /// Whether the function may report elements.
    reports: Cell<bool>,
    /// What becomes one number for a row, and is not known before its end.
    reduced: Vec<(u32, Reduction)>,
    /// What is known of values: floats and truths are kept apart, and truths by the lanes they are for.
    floats: FxHashMap<u32, Id>,
    truths: FxHashMap<(u32, Size), Id>,
}

/// A formula written down.
type Formula<'a, F> = fn(Traced<'a, F>) -> Traced<'a, F>;

/// A function of f32, of near arguments if there are others; `None` if it is no formula.
fn single<'a>(operation: Unary) -> Option<Formula<'a, f32>> {
    Some(match operation {
        Unary::Exp => formula::exp,
        Unary::Log => formula::log,
        Unary::Log1p => formula::log1p,
        Unary::Expm1 => formula::expm1,
        Unary::Tanh => formula::tanh,
        Unary::Sech => formula::sech,
        Unary::Sigmoid => formula::sigmoid,
        Unary::Softplus => formula::softplus,
        Unary::Erf => formula::erf,
        Unary::Atan => formula::atan,
        Unary::Sin => formula::sin_near,
        Unary::Cos => formula::cos_near,
        Unary::RoundBf16 => formula::round_bf16,
        Unary::RoundF16 => formula::round_f16,
        _ => return None,
    })
}

/// The same of f64.
fn double<'a>(operation: Unary) -> Option<Formula<'a, f64>> {
    Some(match operation {
        Unary::Exp => formula_double::exp,
        Unary::Log => formula_double::log,
        Unary::Log1p => formula_double::log1p,
        Unary::Expm1 => formula_double::expm1,
        Unary::Tanh => formula_double::tanh,
        Unary::Sech => formula_double::sech,
        Unary::Sigmoid => formula_double::sigmoid,
        Unary::Softplus => formula_double::softplus,
        Unary::Erf => formula_double::erf,
        Unary::Atan => formula_double::atan,
        Unary::Sin => formula_double::sin_near,
        Unary::Cos => formula_double::cos_near,
        _ => return None,
    })
}

/// The size of a float lane.
fn size_of(lane: Lane) -> Option<Size> {
    match lane {
        Lane::F32 => Some(Size::Four),
        Lane::F64 => Some(Size::Eight),
        _ => None,
    }
}

impl Writer {
    /// How many operands there are so far.
    pub fn ports(&self) -> usize {
        self.ports.borrow().len()
    }

    /// How many instructions there are so far.
    pub fn instructions(&self) -> usize {
        self.code.borrow().list.len()
    }

    /// Whether the function may report elements that its formulas are not for.
    pub fn reports(&self) -> bool {
        self.reports.get()
    }

    /// The values that become one number for a row.
    pub fn reduced(&self) -> &[(u32, Reduction)] {
        &self.reduced
    }

    /// Whether truths are read or written as bytes.
    pub fn has_bytes(&self) -> bool {
        self.ports.borrow().iter().any(|port| port.width == 1)
    }

    /// The code and its operands.
    pub fn finish(self) -> (Code, Vec<Port>) {
        (self.code.into_inner(), self.ports.into_inner())
    }

    /// Writes a step, or says that it cannot be.
    pub fn add(&mut self, plan: &Plan, step: &Step) -> bool {
        let meaning = match step.work {
            Work::Points(_, meaning) => meaning,
            Work::Rows(_, Some(reduction)) => return self.reduce(plan, step, reduction).is_some(),
            _ => return false,
        };
        let lane = plan.values[step.to as usize].lane;
        match (meaning, size_of(lane)) {
            (Meaning::Unary(Unary::Not) | Meaning::Binary(Binary::Less | Binary::Equal | Binary::And | Binary::Or), _) => {
                self.new_truth(plan, step, meaning).map(|(id, size)| self.truths.insert((step.to, size), id)).is_some()
            }
            (_, Some(size)) => self.new_float(plan, step, meaning, size).map(|id| self.floats.insert(step.to, id)).is_some(),
            _ => false,
        }
    }

    fn new_truth(&mut self, plan: &Plan, step: &Step, meaning: Meaning) -> Option<(Id, Size)> {
        let [a, b, _] = step.operands;
        match meaning {
            Meaning::Unary(Unary::Not) => {
                let (id, size) = self.any_truth(plan, a, step.class)?;
                Some((self.push(Op::Not, size, &[id]), size))
            }
            Meaning::Binary(Binary::Less) if plan.values[a as usize].lane == Lane::I32 => {
                let (a, b) = (self.whole(plan, a, step.class), self.whole(plan, b, step.class));
                Some((self.push(Op::Greater, Size::Four, &[b, a]), Size::Four))
            }
            Meaning::Binary(operation @ (Binary::Less | Binary::Equal)) => {
                let size = size_of(plan.values[a as usize].lane)?;
                let (a, b) = (self.float(plan, a, step.class)?, self.float(plan, b, step.class)?);
                let comparison = if operation == Binary::Less { Comparison::Less } else { Comparison::Equal };
                Some((self.push(Op::Compare(comparison), size, &[a, b]), size))
            }
            Meaning::Binary(operation) => {
                // Bytes from memory may be any number, whose bits count; those made here are truths.
                let (a, size) = self.made_truth(a)?;
                self.made_truth(b)?;
                let b = self.truth(plan, b, step.class, size)?;
                Some((self.push(if operation == Binary::And { Op::Both } else { Op::Either }, size, &[a, b]), size))
            }
            _ => None,
        }
    }

    fn new_float(&mut self, plan: &Plan, step: &Step, meaning: Meaning, size: Size) -> Option<Id> {
        let ([a, b, c], class) = (step.operands, step.class);
        match meaning {
            Meaning::Same => self.float(plan, a, class),
            Meaning::Cast => self.cast(plan, a, class, size),
            Meaning::Unary(operation) => {
                let a = self.float(plan, a, class)?;
                match size {
                    Size::Four => self.unary(operation, a, single(operation), |x| formula::is_far(x).0),
                    Size::Eight => self.unary(operation, a, double(operation), |x| formula_double::is_far(x).0),
                }
            }
            Meaning::Binary(operation) => {
                let (a, b) = (self.float(plan, a, class)?, self.float(plan, b, class)?);
                match size {
                    Size::Four => self.binary::<f32>(operation, a, b, 0.0),
                    Size::Eight => self.binary::<f64>(operation, a, b, 0.0),
                }
            }
            Meaning::Select => {
                let test = self.truth(plan, a, class, size)?;
                let (yes, no) = (self.float(plan, b, class)?, self.float(plan, c, class)?);
                Some(self.push(Op::Choose, size, &[test, yes, no]))
            }
        }
    }

    fn reduce(&mut self, plan: &Plan, step: &Step, reduction: Reduction) -> Option<()> {
        let a = step.operands[0];
        let (size, known) = (size_of(plan.values[a as usize].lane)?, plan.values[a as usize]);
        let id = self.float(plan, a, known.class)?;
        self.push(Op::Reduce(reduction, self.port(step.to, 0, true)), size, &[id]);
        self.reduced.push((step.to, reduction));
        Some(())
    }

    fn push(&self, op: Op, size: Size, args: &[Id]) -> Id {
        self.code.borrow_mut().push(op, size, args)
    }

    fn port(&self, value: u32, width: usize, stored: bool) -> u32 {
        let port = Port { value, width, stored };
        let mut ports = self.ports.borrow_mut();
        let known = ports.iter().position(|known| *known == port);
        known.unwrap_or_else(|| {
            ports.push(port);
            ports.len() - 1
        }) as u32
    }

    /// A value as floats in a loop over `class`.
    fn float(&mut self, plan: &Plan, value: u32, class: Class) -> Option<Id> {
        let known = plan.values[value as usize];
        let size = size_of(known.lane)?;
        if let Some(&id) = self.floats.get(&value) {
            return Some(id);
        }
        if self.reduced.iter().any(|&(reduced, _)| reduced == value) {
            return None;
        }
        let id = self.fetched(plan, value, class, size);
        self.floats.insert(value, id);
        Some(id)
    }

    /// A value that was not made here as integers of 32 bits in a loop over `class`.
    fn whole(&self, plan: &Plan, value: u32, class: Class) -> Id {
        self.fetched(plan, value, class, Size::Four)
    }

    /// The bits of a value that was not made here.
    fn fetched(&self, plan: &Plan, value: u32, class: Class, size: Size) -> Id {
        let known = plan.values[value as usize];
        match known.home {
            Home::Constant(index) => {
                let [a, b, c, d, ..] = plan.constants[index];
                let bits = match size {
                    Size::Four => u32::from_ne_bytes([a, b, c, d]).into(),
                    Size::Eight => u64::from_ne_bytes(plan.constants[index]),
                };
                self.push(Op::Constant(bits), size, &[])
            }
            _ if known.class.has_points_of(class) => self.push(Op::Load(self.port(value, size as usize, false)), size, &[]),
            _ => self.push(Op::LoadSingle(self.port(value, 0, false)), size, &[]),
        }
    }

    /// A truth that was made here, of lanes of some size.
    fn made_truth(&self, value: u32) -> Option<(Id, Size)> {
        [Size::Four, Size::Eight].into_iter().find_map(|size| self.truths.get(&(value, size)).map(|&id| (id, size)))
    }

    /// A value as truths of lanes of any size.
    fn any_truth(&mut self, plan: &Plan, value: u32, class: Class) -> Option<(Id, Size)> {
        self.made_truth(value).or_else(|| self.truth(plan, value, class, Size::Four).map(|id| (id, Size::Four)))
    }

    /// A value as truths of lanes of a size, in a loop over `class`.
    fn truth(&mut self, plan: &Plan, value: u32, class: Class, size: Size) -> Option<Id> {
        if let Some(&id) = self.truths.get(&(value, size)) {
            return Some(id);
        }
        let known = plan.values[value as usize];
        let id = match self.made_truth(value) {
            Some((id, _)) => self.push(Op::Resize, size, &[id]),
            None if known.lane != Lane::U8 || matches!(known.home, Home::Constant(_)) || !known.class.has_points_of(class) => {
                return None;
            }
            None => self.push(Op::LoadTruth(self.port(value, 1, false)), size, &[]),
        };
        self.truths.insert((value, size), id);
        Some(id)
    }

    /// A float of the other size, or a truth as 1 and 0.
    fn cast(&mut self, plan: &Plan, value: u32, class: Class, size: Size) -> Option<Id> {
        match plan.values[value as usize].lane {
            Lane::F32 | Lane::F64 => {
                let id = self.float(plan, value, class)?;
                Some(self.push(if size == Size::Eight { Op::Widen } else { Op::Narrow }, size, &[id]))
            }
            Lane::I32 if size == Size::Four => Some(self.push(Op::Nearest, size, &[self.whole(plan, value, class)])),
            Lane::U8 => {
                // Bytes from memory may be any number.
                self.made_truth(value)?;
                let test = self.truth(plan, value, class, size)?;
                let one = if size == Size::Four { Float::bits(1.0_f32) } else { Float::bits(1.0_f64) };
                let one = self.push(Op::Constant(one), size, &[]);
                Some(self.push(Op::Keep, size, &[test, one]))
            }
            _ => None,
        }
    }

    fn unary<'a, F: Float>(
        &'a self,
        operation: Unary,
        a: Id,
        formula: Option<Formula<'a, F>>,
        is_far: fn(Traced<'a, F>) -> Id,
    ) -> Option<Id> {
        let x = Traced::new(&self.code, a);
        match operation {
            Unary::Negate => Some((-x).id),
            Unary::Sqrt => Some(self.push(Op::Sqrt, F::SIZE, &[a])),
            Unary::Floor => Some(self.push(Op::Floor, F::SIZE, &[a])),
            Unary::Sin | Unary::Cos => {
                self.push(Op::Report, F::SIZE, &[is_far(x)]);
                self.reports.set(true);
                Some(formula?(x).id)
            }
            _ => Some(formula?(x).id),
        }
    }

    fn binary<F: Float>(&self, operation: Binary, a: Id, b: Id, zero: F) -> Option<Id> {
        let (x, y) = (Traced::<F>::new(&self.code, a), Traced::<F>::new(&self.code, b));
        let push = |op: Op, args: &[Id]| self.push(op, F::SIZE, args);
        let nan_first = |chosen: Traced<'_, F>| {
            let differs = push(Op::Compare(Comparison::NotEqual), &[a, a]);
            push(Op::Choose, &[differs, a, chosen.id])
        };
        Some(match operation {
            Binary::Add => (x + y).id,
            Binary::Subtract => (x - y).id,
            Binary::Multiply => (x * y).id,
            Binary::Divide => (x / y).id,
            Binary::Minimum => nan_first(Real::choose(x.less(y), x, y)),
            Binary::Maximum => nan_first(Real::choose(y.less(x), x, y)),
            Binary::Remainder => {
                let whole = push(Op::Floor, &[(x / y).id]);
                (x - y * Traced::new(&self.code, whole)).id
            }
            Binary::Scale => {
                // The product where the first is not 0, and no bit of it where it is.
                let some = push(Op::Compare(Comparison::NotEqual), &[a, x.of(zero).id]);
                push(Op::Keep, &[some, (x * y).id])
            }
            Binary::Power | Binary::Less | Binary::Equal | Binary::And | Binary::Or | Binary::ShiftLeft | Binary::ShiftRight => {
                return None;
            }
        })
    }

    /// Asks for what lies so many bytes beyond a value that is read as floats, if it is.
    pub fn ask(&self, value: u32, beyond: u32) {
        let read = self.ports.borrow().iter().position(|port| port.value == value && !port.stored && port.width > 1);
        if let Some(port) = read {
            let size = if self.ports.borrow()[port].width == 4 { Size::Four } else { Size::Eight };
            self.push(Op::Ask(port as u32, beyond), size, &[]);
        }
    }

    /// Writes a value to its home.
    pub fn store(&self, value: u32) {
        if let Some(&id) = self.floats.get(&value) {
            let size = self.code.borrow().list[id as usize].size;
            self.push(Op::Store(self.port(value, size as usize, true)), size, &[id]);
        } else if let Some((id, size)) = self.made_truth(value) {
            self.push(Op::StoreTruth(self.port(value, 1, true)), size, &[id]);
        }
    }
}
