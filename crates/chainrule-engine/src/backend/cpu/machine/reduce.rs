//! What becomes one number for a row: partial results beside the slots of the stack while the row is walked, and what
//! joins them at its end.
//!
//! The order is that of the loops (`loops::drive`), so that both give the same bits: position `p` of the whole 64s of a row
//! goes to partial result `p % 64`; these are joined to 16 by fours, `p` with `p + 16` and `p + 32` with `p + 48` first;
//! positions after the last whole 64 go to `p % 16`; and 16 are halved until one is left. Refuses rows so long that
//! a sum needs more digits than its elements have: whoever runs the function cuts them.

use super::code::{Comparison, Id, Instruction, Op, Size};
use super::emit::{Body, Emitter, Form};
use super::encode::{Assembler, Encoding, Lanes, Place, Register};
use super::opcodes as x86;
use super::registers::{MASKS, VECTORS};
use crate::compile::kernel::Reduction;

/// Partial results while whole blocks of so many positions are walked.
pub const MANY: u8 = 64;
/// Partial results after that.
const FEW: u8 = 16;

/// Blocks after which partial results in registers begin again: four vectors hold those of [`MANY`] positions.
pub const ROUND: u8 = 4;
/// The most registers that hold partial results: the code needs the others.
const MOST_HELD: usize = 12;

/// A reduction of a code.
#[derive(Clone, Copy)]
pub struct Reduced {
    reduction: Reduction,
    size: Size,
    /// The operand that is written.
    port: u32,
    home: Home,
}

/// Where partial results are.
#[derive(Clone, Copy)]
enum Home {
    /// On the stack, from so many bytes on.
    Stack(u32),
    /// In four registers down from this one.
    Registers(Register),
}

/// The reductions of a code, and how many bytes of the stack they take. Where a block is as long as what is left at the end
/// of a row, and there are registers enough, they take none.
pub fn reductions(list: &[Instruction], form: Form) -> (Vec<Reduced>, u32) {
    let (mut all, mut at) = (Vec::new(), 0);
    let count = list.iter().filter(|i| matches!(i.op, Op::Reduce(..))).count();
    let held = form.encoding == Encoding::Evex && form.positions == FEW && count * usize::from(ROUND) <= MOST_HELD;
    for &Instruction { op, size, .. } in list {
        if let Op::Reduce(reduction, port) = op {
            let last = form.encoding.registers() - 1;
            let home = if held { Home::Registers(last - ROUND * all.len() as u8) } else { Home::Stack(at) };
            all.push(Reduced { reduction, size, port, home });
            at += if held { 0 } else { u32::from(MANY) * size as u32 };
        }
    }
    (all, at)
}

/// Whether partial results are in registers.
pub fn in_registers(all: &[Reduced]) -> bool {
    all.iter().any(|reduced| matches!(reduced.home, Home::Registers(_)))
}

/// The registers that hold partial results.
pub fn held(all: &[Reduced]) -> impl Iterator<Item = Register> {
    let first = |reduced: &Reduced| if let Home::Registers(first) = reduced.home { Some(first) } else { None };
    all.iter().filter_map(first).flat_map(|first| first + 1 - ROUND..=first)
}

impl Reduced {
    /// The bits of what a reduction starts from.
    fn start(&self) -> u64 {
        match (self.reduction, self.size) {
            (Reduction::Sum, _) => 0,
            (Reduction::Maximum, Size::Four) => f32::NEG_INFINITY.to_bits().into(),
            (Reduction::Maximum, Size::Eight) => f64::NEG_INFINITY.to_bits(),
        }
    }

    /// Partial results from `lane` on, which begins a vector.
    fn partial(&self, lane: u8) -> Place {
        match self.home {
            Home::Stack(at) => Place::Aside(at + u32::from(lane) * self.size as u32),
            Home::Registers(first) => Place::Register(first - lane / FEW),
        }
    }
}

/// Where partial results from `from` to `to` start; those of [`FIRST`] before others.
pub fn start_partials(assembler: &mut Assembler, all: &[Reduced], (from, to): (u8, u8), constant: &mut impl FnMut(u64, Size) -> Place) {
    let lanes = assembler.positions();
    for reduced in all {
        let size = reduced.size;
        let bytes = lanes * size as u8;
        let mut in_first = false;
        for lane in (from..to).step_by(lanes.into()) {
            match (reduced.partial(lane), reduced.partial(0)) {
                // The processor makes zeros and copies of registers without reading anything.
                (Place::Register(register), _) if lane == 0 && reduced.start() == 0 => {
                    assembler.vector(x86::XOR.of(size), bytes, register, register, Place::Register(register));
                }
                (Place::Register(register), _) if lane == 0 => assembler.copy(size, bytes, register, constant(reduced.start(), size)),
                (Place::Register(register), started) => assembler.copy(size, bytes, register, started),
                (partial, _) => {
                    if !std::mem::replace(&mut in_first, true) {
                        assembler.copy(size, bytes, 0, constant(reduced.start(), size));
                    }
                    assembler.vector(x86::STORE.of(size), bytes, 0, 0, partial);
                }
            }
        }
    }
}

/// Those of all positions before the first that some blocks do not reach.
pub const FIRST: (u8, u8) = (0, FEW);
/// The others.
pub const OTHERS: (u8, u8) = (FEW, MANY);

/// Joins the partial results of whole 64s.
pub fn join_many(assembler: &mut Assembler, all: &[Reduced]) {
    let lanes = assembler.positions();
    for reduced in all {
        let bytes = lanes * reduced.size as u8;
        if let Home::Registers(first) = reduced.home {
            for (to, next) in [(0, 1), (2, 3), (0, 2)] {
                assembler.join(reduced, bytes, first - to, first - next, SPARE, None);
            }
            continue;
        }
        for lane in (0..FEW).step_by(lanes.into()) {
            for (register, group) in (0..).zip(0..MANY / FEW) {
                assembler.vector(x86::LOAD.of(reduced.size), bytes, register, 0, reduced.partial(lane + group * FEW));
            }
            for (to, next) in [(0, 1), (2, 3), (0, 2)] {
                assembler.join(reduced, bytes, to, next, SPARE, None);
            }
            assembler.vector(x86::STORE.of(reduced.size), bytes, 0, 0, reduced.partial(lane));
        }
    }
}

/// Joins what is left to one number, and writes it.
pub fn join_few(assembler: &mut Assembler, all: &[Reduced]) {
    for reduced in all {
        let size = reduced.size;
        let vectors = FEW * size as u8 / 32;
        match reduced.home {
            Home::Registers(first) => {
                assembler.vector(x86::LOAD.of(size), 32, 0, 0, Place::Register(first));
                // What is extracted stands where other instructions have their last operand.
                assembler.vector_with(x86::UPPER_HALF_OF_ALL, 64, first, 0, Place::Register(1), 1);
            }
            Home::Stack(_) => {
                for register in 0..vectors {
                    assembler.vector(x86::LOAD.of(size), 32, register, 0, reduced.partial(register * (FEW / vectors)));
                }
            }
        }
        let mut half = vectors / 2;
        while half > 0 {
            (0..half).for_each(|to| assembler.join(reduced, 32, to, to + half, SPARE, None));
            half /= 2;
        }
        assembler.vector_with(x86::UPPER_HALF, 32, 0, 0, Place::Register(1), 1);
        assembler.join(reduced, 16, 0, 1, SPARE, None);
        // The upper half of the rest, and then its second lane.
        let steps: &[u8] = if size == Size::Four { &[0b11_10, 0b01] } else { &[0b01] };
        for &lanes in steps {
            assembler.vector_with(x86::PERMUTE.of(size), 16, 1, 0, Place::Register(0), lanes);
            assembler.join(reduced, 16, 0, 1, SPARE, None);
        }
        assembler.pointer(reduced.port);
        assembler.vector(x86::STORE_SINGLE.of(size), 16, 0, 0, Place::Single);
    }
}

/// Registers of nobody between the blocks; with EVEX the first stands for a mask.
const SPARE: [Register; 2] = [6, 7];

impl Assembler {
    /// Joins a vector to another, in the lanes that a register chooses or in all.
    fn join(&mut self, reduced: &Reduced, bytes: u8, to: Register, next: Register, spare: [Register; 2], which: Option<Register>) {
        let size = reduced.size;
        let [first, second] = spare;
        let lanes = which.map(Lanes::of).unwrap_or_default();
        match (reduced.reduction, self.encoding()) {
            (Reduction::Sum, Encoding::Evex) => self.lanes(lanes, x86::ADD.of(size), bytes, to, to, Place::Register(next)),
            (Reduction::Maximum, Encoding::Evex) => {
                // The processor's maximum is the second operand where either is NaN: right but where the first is.
                let is_number = Comparison::Equal as u8;
                self.lanes_with(lanes, x86::COMPARE.of(size), bytes, first, to, Place::Register(to), is_number);
                self.lanes(Lanes::of(first), x86::LARGER.of(size), bytes, to, to, Place::Register(next));
            }
            (reduction, Encoding::Vex) => {
                let joined = if which.is_some() || reduction == Reduction::Maximum { first } else { to };
                let opcode = if reduction == Reduction::Sum { x86::ADD } else { x86::LARGER };
                self.vector(opcode.of(size), bytes, joined, to, Place::Register(next));
                if reduction == Reduction::Maximum {
                    let is_nan = Comparison::NotEqual as u8;
                    self.vector_with(x86::COMPARE.of(size), bytes, second, to, Place::Register(to), is_nan);
                    self.choose(size, bytes, joined, second, to, joined);
                }
                match which {
                    Some(which) => self.choose(size, bytes, to, which, joined, to),
                    None if joined != to => self.copy(size, bytes, to, Place::Register(joined)),
                    None => {}
                }
            }
        }
    }

    /// The lanes of `yes` where those of `test` are ones, else of `no`; with VEX.
    fn choose(&mut self, size: Size, bytes: u8, to: Register, test: Register, yes: Register, no: Register) {
        self.vector_with(x86::BLEND_SIGNS.of(size), bytes, to, no, Place::Register(yes), test << 4);
    }
}

impl Emitter<'_> {
    /// Joins a block to the partial results.
    pub fn reduce(&mut self, at: usize, block: u8) {
        let Instruction { op: Op::Reduce(_, port), size, args } = self.registers.list[at] else { return };
        let Some(&reduced) = self.reduced.iter().find(|reduced| reduced.port == port) else { return };
        let (bytes, which) = (self.bytes(size), (self.body == Body::Rest).then(|| self.which(size)));
        let from = self.fetch(args[0] as Id);
        let at_stack = match reduced.home {
            Home::Stack(at) => at,
            Home::Registers(first) => {
                let mask = self.spare(MASKS);
                self.assembler.join(&reduced, bytes, first - block, from, [mask; 2], which);
                self.registers.done(at);
                return;
            }
        };
        let to = self.spare(VECTORS);
        let first = self.spare(if self.form.encoding == Encoding::Evex { MASKS } else { VECTORS });
        let second = if self.form.encoding == Encoding::Evex { first } else { self.spare(VECTORS) };
        let partial = Place::Round { bytes: size as u8, at: at_stack + u32::from(block) * u32::from(bytes) };
        self.assembler.count_round(if self.body == Body::Many { MANY } else { FEW } - 1);
        self.assembler.vector(x86::LOAD.of(size), bytes, to, 0, partial);
        self.assembler.join(&reduced, bytes, to, from, [first, second], which);
        self.assembler.vector(x86::STORE.of(size), bytes, to, 0, partial);
        self.registers.done(at);
    }
}
