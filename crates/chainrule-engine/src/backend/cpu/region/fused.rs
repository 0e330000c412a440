//! Runs of elementwise steps as one loop of machine code: what lies between is kept in registers.
//!
//! The steps themselves stay the definition, and what other machines run: [`Fused`] gives the bits
//! that they give. Refuses everything but f32 and truths, loops over whole rows, and long lists of
//! operands.

use super::super::level::Level;
use super::super::machine::code::{Code, Comparison, Id, Op};
use super::super::machine::trace::Traced;
use super::super::machine::{Function, Written};
use super::super::math::formula;
use super::super::math::real::Real;
use super::plan::{Class, Home, Meaning, NO_VALUE, Plan, Step, Work};
use super::run::Operand;
use crate::compile::kernel::{Binary, Lane, Unary};
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};
use std::ops::Range;

/// The most operands of a function.
const MOST: usize = 32;
/// Instructions after which a function takes no more steps: code beyond the near cache is slow.
const LONGEST: usize = 3000;
/// Elements that are computed side by side.
const LANES: usize = 8;

/// A run of steps as a function.
#[derive(Clone, Debug)]
pub struct Fused {
    function: Function,
    ports: Vec<Port>,
    /// The steps themselves, for elements that the function reports because its formulas are not
    /// for them; empty if it takes any.
    pub steps: Box<[Step]>,
    /// Whether some operands are bytes.
    bytes: bool,
}

/// An operand of a function.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Port {
    value: u32,
    /// Bytes of an element; 0 if it has one element per row.
    width: usize,
    stored: bool,
}

/// Steps that will be one function, as code but for what it stores.
pub struct Run {
    /// Which steps.
    pub steps: Range<usize>,
    writer: Writer,
}

impl Run {
    /// As many of the steps as can be one function.
    fn of(plan: &Plan, steps: Range<usize>) -> Run {
        let (mut writer, mut at) = (Writer::default(), steps.start);
        let class = plan.steps.get(at).map(|step| step.class);
        while at < steps.end
            && Some(plan.steps[at].class) == class
            && writer.ports.borrow().len() + 3 <= MOST
            && writer.code.borrow().list.len() < LONGEST
            && writer.add(plan, &plan.steps[at])
        {
            at += 1;
        }
        Run { steps: steps.start..at, writer }
    }

    fn loads(&self) -> usize {
        self.writer.ports.borrow().len()
    }

    /// The values that somebody reads elsewhere.
    fn stored<'a>(&'a self, plan: &'a Plan, last_use: &'a [usize]) -> impl Iterator<Item = u32> + 'a {
        let values = plan.steps[self.steps.clone()].iter().map(|step| step.to);
        values.filter(|&to| plan.values[to as usize].home == Home::View || last_use[to as usize] >= self.steps.end)
    }

    /// Whether the steps may have to be run after all, one by one: their values then need places.
    pub fn may_fail(&self) -> bool {
        self.writer.reports.get()
    }
}

/// The longest runs of steps that can be one function; `last_use[value]` is the last step that reads it.
pub fn runs(plan: &Plan, last_use: &[usize], level: Level) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut start = 0;
    while start < plan.steps.len() {
        let mut run = Run::of(plan, start..plan.steps.len());
        // The values that are read later are operands as well.
        while run.loads() + run.stored(plan, last_use).count() > MOST {
            run = Run::of(plan, start..run.steps.end - 1);
        }
        let end = run.steps.end;
        // A single step is a loop already: a good one if it is cheap, or if its vectors are wider.
        let alone = level < Level::Avx512 && plan.steps[start].cost >= 120;
        if end - start >= 2 || (end > start && alone) {
            runs.push(run);
        }
        start = end.max(start + 1);
    }
    runs
}

/// Puts a function in the place of each run.
pub fn replace(plan: &mut Plan, runs: Vec<Run>, last_use: &[usize], written: &mut Written) {
    for run in runs.into_iter().rev() {
        run.stored(plan, last_use).for_each(|value| run.writer.store(value));
        let Run { steps, writer } = run;
        let Writer { code, ports, reports, .. } = writer;
        let ports = ports.into_inner();
        let Some(function) = written.add(&code.into_inner(), ports.len()) else { return };
        let bytes = ports.iter().any(|port| port.width == 1);
        let (class, widths) = (plan.steps[steps.start].class, plan.steps[steps.end - 1].widths);
        let cost = plan.steps[steps.clone()].iter().fold(50, |sum: u16, step| sum.saturating_add(step.cost / 4));
        let kept: Box<[Step]> = if reports.get() { plan.steps[steps.clone()].into() } else { Box::default() };
        let work = Work::Fused(Box::new(Fused { function, ports, steps: kept, bytes }));
        plan.steps.splice(steps, [Step { work, class, to: NO_VALUE, operands: [NO_VALUE; 3], widths, cost }]);
    }
}

/// Writes steps as code.
#[derive(Default)]
struct Writer {
    code: RefCell<Code>,
    ports: RefCell<Vec<Port>>,
    /// Whether the function may report elements.
    reports: Cell<bool>,
    /// What is known of values: floats and truths are kept apart.
    floats: FxHashMap<u32, Id>,
    truths: FxHashMap<u32, Id>,
}

impl Writer {
    /// Writes a step, or says that it cannot be.
    fn add(&mut self, plan: &Plan, step: &Step) -> bool {
        let Work::Points(_, meaning) = step.work else { return false };
        let lane = plan.values[step.to as usize].lane;
        let [a, b, c] = step.operands;
        let class = step.class;
        match (meaning, lane) {
            (Meaning::Same, Lane::F32) => self.float(plan, a, class).map(|id| self.floats.insert(step.to, id)).is_some(),
            (Meaning::Unary(Unary::Not), _) => self
                .truth(plan, a, class)
                .map(|id| {
                    let all = self.push(Op::Constant(u32::MAX), &[]);
                    let id = self.push(Op::Xor, &[id, all]);
                    self.truths.insert(step.to, id)
                })
                .is_some(),
            (Meaning::Unary(operation), Lane::F32) => {
                let id = self.float(plan, a, class).and_then(|a| self.unary(operation, a));
                id.map(|id| self.floats.insert(step.to, id)).is_some()
            }
            (Meaning::Binary(operation @ (Binary::Less | Binary::Equal)), _) => {
                let (Some(a), Some(b)) = (self.float(plan, a, class), self.float(plan, b, class)) else { return false };
                let comparison = if operation == Binary::Less { Comparison::Less } else { Comparison::Equal };
                let id = self.push(Op::Compare(comparison), &[a, b]);
                self.truths.insert(step.to, id);
                true
            }
            (Meaning::Binary(operation @ (Binary::And | Binary::Or)), Lane::U8) => {
                // Bytes from memory may be any number, whose bits count; those made here are truths.
                let (Some(&a), Some(&b)) = (self.truths.get(&a), self.truths.get(&b)) else { return false };
                let id = self.push(if operation == Binary::And { Op::And } else { Op::Or }, &[a, b]);
                self.truths.insert(step.to, id);
                true
            }
            (Meaning::Binary(operation), Lane::F32) => {
                let (Some(a), Some(b)) = (self.float(plan, a, class), self.float(plan, b, class)) else { return false };
                self.binary(operation, a, b).map(|id| self.floats.insert(step.to, id)).is_some()
            }
            (Meaning::Select, Lane::F32) => {
                let (Some(a), Some(b), Some(c)) = (self.truth(plan, a, class), self.float(plan, b, class), self.float(plan, c, class))
                else {
                    return false;
                };
                let id = self.push(Op::Choose, &[a, b, c]);
                self.floats.insert(step.to, id);
                true
            }
            _ => false,
        }
    }

    fn push(&self, op: Op, args: &[Id]) -> Id {
        self.code.borrow_mut().push(op, args)
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
        if known.lane != Lane::F32 {
            return None;
        }
        if let Some(&id) = self.floats.get(&value) {
            return Some(id);
        }
        let points = known.class.within(class) == super::super::loops::Shape::Points;
        let id = match known.home {
            Home::Constant(index) => {
                let bytes = plan.constants[index];
                self.push(Op::Constant(u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])), &[])
            }
            _ if points => self.push(Op::Load(self.port(value, 4, false)), &[]),
            _ => self.push(Op::LoadSingle(self.port(value, 0, false)), &[]),
        };
        self.floats.insert(value, id);
        Some(id)
    }

    /// A value as truths in a loop over `class`.
    fn truth(&mut self, plan: &Plan, value: u32, class: Class) -> Option<Id> {
        let known = plan.values[value as usize];
        if let Some(&id) = self.truths.get(&value) {
            return Some(id);
        }
        if known.lane != Lane::U8
            || matches!(known.home, Home::Constant(_))
            || known.class.within(class) != super::super::loops::Shape::Points
        {
            return None;
        }
        let id = self.push(Op::LoadTruth(self.port(value, 1, false)), &[]);
        self.truths.insert(value, id);
        Some(id)
    }

    fn unary(&self, operation: Unary, a: Id) -> Option<Id> {
        let x = Traced::new(&self.code, a);
        let made = match operation {
            Unary::Negate => -x,
            Unary::Exp => formula::exp(x),
            Unary::Log => formula::log(x),
            Unary::Log1p => formula::log1p(x),
            Unary::Expm1 => formula::expm1(x),
            Unary::Tanh => formula::tanh(x),
            Unary::Sech => formula::sech(x),
            Unary::Sigmoid => formula::sigmoid(x),
            Unary::Softplus => formula::softplus(x),
            Unary::Erf => formula::erf(x),
            Unary::Sqrt => return Some(self.push(Op::Sqrt, &[a])),
            Unary::Floor => return Some(self.push(Op::Floor, &[a])),
            Unary::Sin | Unary::Cos => {
                self.push(Op::Report, &[formula::is_far(x).0]);
                self.reports.set(true);
                if operation == Unary::Sin { formula::sin_near(x) } else { formula::cos_near(x) }
            }
            Unary::Not | Unary::RoundBf16 | Unary::RoundF16 => return None,
        };
        Some(made.id)
    }

    fn binary(&self, operation: Binary, a: Id, b: Id) -> Option<Id> {
        let (x, y) = (Traced::new(&self.code, a), Traced::new(&self.code, b));
        let nan_first = |chosen: Traced<'_>| {
            let differs = self.push(Op::Compare(Comparison::NotEqual), &[a, a]);
            self.push(Op::Choose, &[differs, a, chosen.id])
        };
        let made = match operation {
            Binary::Add => x + y,
            Binary::Subtract => x - y,
            Binary::Multiply => x * y,
            Binary::Divide => x / y,
            Binary::Minimum => return Some(nan_first(Real::choose(x.less(y), x, y))),
            Binary::Maximum => return Some(nan_first(Real::choose(y.less(x), x, y))),
            Binary::Remainder => {
                let whole = self.push(Op::Floor, &[(x / y).id]);
                x - y * Traced::new(&self.code, whole)
            }
            Binary::Scale => {
                // The product where the first is not 0, and no bit of it where it is.
                let zero = x.of(0.0).id;
                let some = self.push(Op::Compare(Comparison::NotEqual), &[a, zero]);
                return Some(self.push(Op::And, &[(x * y).id, some]));
            }
            Binary::Power | Binary::Less | Binary::Equal | Binary::And | Binary::Or => return None,
        };
        Some(made.id)
    }

    /// Writes a value to its home.
    fn store(&self, value: u32) {
        if let Some(&id) = self.floats.get(&value) {
            self.push(Op::Store(self.port(value, 4, true)), &[id]);
        } else if let Some(&id) = self.truths.get(&value) {
            self.push(Op::StoreTruth(self.port(value, 1, true)), &[id]);
        }
    }
}

impl Fused {
    /// Runs the function over rows and columns. `false` if the steps must be run instead.
    ///
    /// # Safety
    /// The operands of all values of the run are valid for the rows and columns.
    pub unsafe fn run(&self, operands: &[Operand], (mut rows, mut cols): (usize, usize)) -> bool {
        let operand = |port: &Port| operands[port.value as usize];
        let overwrites = |to: &Port| self.ports.iter().any(|from| !from.stored && operand(from).first == operand(to).first);
        // Steps that may be needed after the function must find what it read.
        if !self.steps.is_empty() && self.ports.iter().any(|port| port.stored && overwrites(port)) {
            return false;
        }
        // Rows that follow each other without a gap are one long row.
        if rows > 1 && self.ports.iter().all(|port| operand(port).stride == (port.width * cols) as isize) {
            (rows, cols) = (1, rows * cols);
        }
        let mut table = [std::ptr::null_mut::<u8>(); 2 * MOST];
        let (pointers, distances) = table.split_at_mut(self.ports.len());
        for ((pointer, distance), port) in pointers.iter_mut().zip(distances).zip(&self.ports) {
            let Operand { first, stride } = operand(port);
            (*pointer, *distance) = (first, std::ptr::without_provenance_mut(stride as usize));
        }
        // SAFETY: the caller's.
        let reported = unsafe {
            match self.bytes && !cols.is_multiple_of(LANES) {
                true => self.run_with_bytes(&table, rows, cols),
                false => self.function.run(table.as_mut_ptr(), rows, cols),
            }
        };
        !reported
    }

    /// Truths cannot be read and written lane by lane: the last ones of a row go through a place of
    /// their own.
    #[cold]
    unsafe fn run_with_bytes(&self, table: &[*mut u8; 2 * MOST], rows: usize, cols: usize) -> bool {
        let count = self.ports.len();
        let (whole, rest) = (cols / LANES * LANES, cols % LANES);
        let mut reported = false;
        for row in 0..rows {
            let mut moved = *table;
            for at in 0..count {
                moved[at] = table[at].wrapping_offset(row as isize * table[count + at].addr() as isize);
            }
            let mut last = moved;
            let mut places = [[0_u8; LANES]; MOST];
            for (at, port) in self.ports.iter().enumerate() {
                last[at] = moved[at].wrapping_add(whole * port.width);
                if port.width == 1 {
                    if !port.stored {
                        // SAFETY: the caller's; `rest` bytes are left of the row.
                        unsafe { std::ptr::copy_nonoverlapping(last[at], places[at].as_mut_ptr(), rest) };
                    }
                    last[at] = places[at].as_mut_ptr();
                }
            }
            // SAFETY: the caller's; eight bytes are there for each operand of truths.
            unsafe {
                let start = moved;
                reported |= self.function.run(moved.as_mut_ptr(), 1, whole);
                reported |= self.function.run(last.as_mut_ptr(), 1, rest);
                for (at, _) in self.ports.iter().enumerate().filter(|(_, port)| port.width == 1 && port.stored) {
                    std::ptr::copy_nonoverlapping(places[at].as_ptr(), start[at].add(whole), rest);
                }
            }
        }
        reported
    }
}
