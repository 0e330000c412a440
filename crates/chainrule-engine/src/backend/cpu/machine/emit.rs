//! From fused code to bytes: each value in a register, on the stack or in the pool of constants.
//!
//! One pass in the order of the code. What an operation becomes is said once for both encodings, but
//! for truths, which are lanes of ones with VEX and masks with EVEX. Refuses to choose registers
//! ([`super::registers`]) and to reorder.

use super::code::{Id, Instruction, Op, Size, without};
use super::encode::{Assembler, Encoding, Lanes, Place, Register};
use super::opcodes::{self as x86, Opcode, Pair};
use super::reduce::{self, Reduced};
use super::registers::{MASKS, Registers, VECTORS};

/// How a function is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// With which instructions.
    pub encoding: Encoding,
    /// How many positions make a block: as many lanes of the widest values as fill a vector.
    pub positions: u8,
}

impl Form {
    /// The form of a code.
    pub fn of(list: &[Instruction], encoding: Encoding) -> Form {
        let widest = if list.iter().any(|i| i.size == Size::Eight) { Size::Eight } else { Size::Four };
        Form { encoding, positions: encoding.bytes() / widest as u8 }
    }
}

/// The bytes of a function, from its entry on.
pub struct Emitted {
    /// Code and constants.
    pub bytes: Vec<u8>,
    /// How many positions are walked together where a row is long enough; 0 if none are.
    pub many: u8,
}

/// Values of all blocks together that may wait on the stack.
const MOST_SLOTS: u32 = 2;

/// Writes the function of a code: rows, and in each row some blocks at a time, one at a time, and
/// what is left by a mask. The table has `ports` operands.
pub fn emit(list: &[Instruction], ports: u32, form: Form) -> Emitted {
    // With lanes, a sign is a truth as it stands; masks have no lanes, and so no size.
    let list = &without(list, if form.encoding == Encoding::Vex { Op::Sign } else { Op::Resize });
    let (reduced, aside) = reduce::reductions(list, form);
    let mut pool = Vec::new();
    let mut slots = 0;
    let empty = || Assembler::new(form.encoding, form.positions, aside).holding(ports);
    let mut written = |body: Body, (first, blocks): (u8, u8), most: u32| {
        let emitter = Emitter::new(list, form, (body, first, blocks), &mut pool, (&reduced, empty()));
        let (body, needed) = emitter.written(most)?;
        slots = slots.max(needed);
        Some(body)
    };
    let one = written(Body::One, (0, 1), u32::MAX).unwrap_or_else(empty);
    let rest = written(Body::Rest, (0, 1), u32::MAX).unwrap_or_else(empty);
    // The processor looks only so far ahead for work that does not wait: a formula is a chain, and what it can do
    // meanwhile has to stand next to it. Partial results go round evenly.
    let (mut many, more): (_, &[u8]) = match reduced.is_empty() {
        true => (None, &[2, 3, 4]),
        false => (written(Body::Many, (0, 1), u32::MAX).map(|body| (body, 1)), &[2, 4]),
    };
    for &blocks in more {
        let Some(body) = written(Body::Many, (0, blocks), MOST_SLOTS) else { break };
        many = Some((body, blocks));
    }
    // Partial results in registers are named by the code, which therefore goes all the way round.
    if let Some((body, blocks)) = many.as_mut().filter(|_| reduce::in_registers(&reduced)) {
        for first in (*blocks..reduce::ROUND).step_by((*blocks).into()) {
            if let Some(next) = written(Body::Many, (first, *blocks), u32::MAX) {
                body.append(next);
            }
        }
        *blocks = reduce::ROUND;
    }
    let at_once = many.as_ref().map_or(0, |(_, blocks)| if reduced.is_empty() { form.positions * blocks } else { reduce::MANY });
    let mut constant = |bits, size| constant(&mut pool, bits, size);
    let mut assembler = empty();
    assembler.enter(slots);
    let row = assembler.start_row();
    reduce::start_partials(&mut assembler, &reduced, reduce::FIRST, &mut constant);
    if let Some((many, blocks)) = many {
        let skip = assembler.unless_many();
        reduce::start_partials(&mut assembler, &reduced, reduce::OTHERS, &mut constant);
        let start = assembler.bytes.len();
        assembler.append(many);
        assembler.repeat_many(start, blocks);
        reduce::join_many(&mut assembler, &reduced);
        assembler.land(skip);
    }
    let skip = assembler.unless_one();
    let start = assembler.bytes.len();
    assembler.append(one);
    assembler.repeat_one(start);
    assembler.land(skip);
    let skip = assembler.unless_part();
    assembler.append(rest);
    assembler.land(skip);
    reduce::join_few(&mut assembler, &reduced);
    assembler.next_row(row, ports);
    assembler.leave(slots);
    Emitted { bytes: assembler.finish(&pool), many: at_once }
}

/// Where the pool has a constant.
fn constant(pool: &mut Vec<u64>, bits: u64, size: Size) -> Place {
    let bits = if size == Size::Four { bits << 32 | bits & 0xffff_ffff } else { bits };
    let known = pool.iter().position(|&known| known == bits);
    Place::Pool(known.unwrap_or_else(|| {
        pool.push(bits);
        pool.len() - 1
    }) as u32)
}

/// The code of several blocks side by side: instruction `i` of block `k` is number `i * blocks + k`.
/// Constants of all blocks are those of the first.
fn side_by_side(list: &[Instruction], blocks: u8) -> Vec<Instruction> {
    let number = |id: Id, block: u8| match list[id as usize].op {
        Op::Constant(_) | Op::LoadSingle(_) => id * Id::from(blocks),
        _ => id * Id::from(blocks) + Id::from(block),
    };
    let each = |instruction: &Instruction| {
        let instruction = *instruction;
        (0..blocks).map(move |block| Instruction { args: instruction.args.map(|arg| number(arg, block)), ..instruction })
    };
    list.iter().flat_map(each).collect()
}

/// An operation that is one instruction.
pub(super) enum Single {
    /// Of one operand.
    One(Opcode),
    /// Of one operand and a byte.
    OneWith(Opcode, u8),
    /// Of two operands.
    Two(Pair),
    /// Of two operands in any order.
    Either(Pair),
    /// Of two operands and a byte.
    TwoWith(Pair, u8),
    /// A shift, by a digit.
    Shift(u8, u8),
    /// A product and a sum, over a factor or over the summand.
    Fused(Pair, Pair),
}

impl Single {
    /// What an operation is in either encoding, if it is one instruction there.
    fn of(op: Op, size: Size) -> Option<Single> {
        use Single::*;
        Some(match op {
            Op::Add => Either(x86::ADD),
            Op::Subtract => Two(x86::SUBTRACT),
            Op::Multiply => Either(x86::MULTIPLY),
            Op::Divide => Two(x86::DIVIDE),
            Op::TimesPower => Two(x86::TIMES_POWER),
            Op::MultiplyAdd => Fused(x86::FMADD213, x86::FMADD231),
            Op::NegativeMultiplyAdd => Fused(x86::FNMADD213, x86::FNMADD231),
            Op::Smaller => Two(x86::SMALLER),
            Op::Larger => Two(x86::LARGER),
            Op::And => Either(x86::AND),
            Op::Or => Either(x86::OR),
            Op::Xor => Either(x86::XOR),
            Op::Plus => Either(x86::PLUS),
            Op::Minus => Two(x86::MINUS),
            Op::Compare(comparison) => TwoWith(x86::COMPARE, comparison as u8),
            Op::Greater => Two(x86::GREATER),
            Op::Up(by) => Shift(x86::LEFT, by),
            Op::Down(by) => Shift(x86::RIGHT, by),
            Op::DownSigned(by) => Shift(x86::RIGHT_SIGNED, by),
            Op::Sqrt => One(x86::SQRT.of(size)),
            Op::Nearest => One(x86::NEAREST),
            Op::Widen => One(x86::WIDEN),
            Op::Narrow => One(x86::NARROW),
            // Down, and without a report of inexactness.
            Op::Floor => OneWith(x86::ROUND.of(size), 0b1001),
            _ => return None,
        })
    }
}

/// Which part of a row some code walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Blocks while many are left.
    Many,
    /// Blocks, one at a time.
    One,
    /// The positions after the last whole block.
    Rest,
}

/// Code of one part under construction.
pub struct Emitter<'a> {
    pub(super) assembler: Assembler,
    pub(super) form: Form,
    /// Which part.
    pub(super) body: Body,
    /// Blocks of the row before the first one, and how many are side by side.
    first: u8,
    blocks: u8,
    pool: &'a mut Vec<u64>,
    /// What becomes one number for a row.
    pub(super) reduced: &'a [Reduced],
    /// The register that says which positions are left, for lanes of four bytes and of eight.
    pub(super) which: [Register; 2],
    pub(super) registers: Registers,
}

impl<'a> Emitter<'a> {
    fn new(
        list: &[Instruction],
        form: Form,
        (body, first, blocks): (Body, u8, u8),
        pool: &'a mut Vec<u64>,
        (reduced, mut assembler): (&'a [Reduced], Assembler),
    ) -> Emitter<'a> {
        let mut registers = Registers::new(side_by_side(list, blocks), form.encoding);
        reduce::held(reduced).for_each(|register| registers.keep(VECTORS, register));
        let mut which = [0; 2];
        match form.encoding {
            _ if body != Body::Rest => {}
            Encoding::Evex => {
                which = [registers.reserve(MASKS); 2];
                assembler.mask_of_argument(which[0]);
            }
            Encoding::Vex => {
                for (at, size) in [Size::Four, Size::Eight].into_iter().enumerate() {
                    if list.iter().any(|i| i.size == size && matches!(i.op, Op::Load(_) | Op::Store(_) | Op::Reduce(..))) {
                        which[at] = registers.reserve(VECTORS);
                        let opcode = if size == Size::Four { x86::LOAD.of(size) } else { x86::LENGTHEN };
                        assembler.vector(opcode, form.positions * size as u8, which[at], 0, Place::Mask);
                    }
                }
            }
        }
        Emitter { assembler, form, body, first, blocks, pool, reduced, which, registers }
    }

    /// Writes the code once, and says how many slots of the stack it needs; `None` if more than `most`.
    fn written(mut self, most: u32) -> Option<(Assembler, u32)> {
        for at in 0..self.registers.list.len() {
            self.instruction(at);
            self.registers.next();
            if self.registers.slots > most {
                return None;
            }
        }
        Some((self.assembler, self.registers.slots))
    }

    /// Bytes of a vector of lanes, one for each position of a block.
    pub(super) fn bytes(&self, size: Size) -> u8 {
        self.form.positions * size as u8
    }

    /// The register that says which positions are left, for lanes of a size.
    pub(super) fn which(&self, size: Size) -> Register {
        self.which[usize::from(size == Size::Eight)]
    }

    fn instruction(&mut self, at: usize) {
        let Instruction { op, size, args } = self.registers.list[at];
        let block = self.first + (at % self.blocks as usize) as u8;
        match op {
            // Constants are fetched where they are used.
            Op::Constant(_) => {}
            Op::LoadSingle(_) if block > self.first => {}
            Op::Load(n) => self.load(at, n, block),
            Op::LoadSingle(n) => {
                let to = self.take(at as Id);
                self.assembler.pointer(n);
                self.assembler.vector(x86::BROADCAST.of(size), self.bytes(size), to, 0, Place::Single);
            }
            Op::Store(n) => self.store(at, n, block),
            // What is left of a row is not worth it.
            Op::Ask(n, beyond) => {
                if self.body != Body::Rest {
                    self.assembler.pointer(n);
                    self.assembler.ask(size as u8, block, beyond);
                }
            }
            Op::LoadTruth(n) => self.load_truth(at, n, block),
            Op::StoreTruth(n) => self.store_truth(at, n, block),
            Op::Reduce(..) => self.reduce(at, block),
            Op::Report => {
                let from = self.fetch(args[0]);
                let bytes = self.bytes(size);
                self.assembler.report(x86::SIGNS, size, bytes, from);
                self.registers.done(at);
            }
            Op::Both | Op::Either | Op::Not => self.truths(at),
            Op::Sign | Op::Resize => self.truth_again(at),
            Op::Choose => self.choose(at),
            Op::Keep => self.keep(at),
            Op::KeepProduct => self.keep_product(at),
            _ => match Single::of(op, size) {
                Some(single) => self.single(at, single),
                None => unreachable!("an operation is one instruction or has a case above"),
            },
        }
    }

    pub(super) fn single(&mut self, at: usize, single: Single) {
        let Instruction { op, size, args } = self.registers.list[at];
        // What changes the size works on the longer of its vectors.
        let bytes = self.bytes(if op == Op::Narrow { Size::Eight } else { size });
        match single {
            Single::One(opcode) => {
                let from = self.place(args[0]);
                let to = self.result(at);
                self.assembler.vector(opcode, bytes, to, 0, from);
            }
            Single::OneWith(opcode, byte) => {
                let from = self.place(args[0]);
                let to = self.result(at);
                self.assembler.vector_with(opcode, bytes, to, 0, from, byte);
            }
            Single::Two(pair) | Single::Either(pair) => {
                let (a, b) = self.pair(args[0], args[1], matches!(single, Single::Either(_)));
                let to = self.result(at);
                self.assembler.vector(pair.of(size), bytes, to, a, b);
            }
            Single::TwoWith(pair, byte) => {
                let (a, b) = self.pair(args[0], args[1], false);
                let to = self.result(at);
                self.assembler.vector_with(pair.of(size), bytes, to, a, b, byte);
            }
            Single::Shift(digit, by) => {
                let from = self.fetch(args[0]);
                let to = self.result(at);
                self.assembler.shift(digit, size, bytes, to, from, by);
            }
            Single::Fused(over_factor, over_summand) => self.multiply_add(at, over_factor.of(size), over_summand.of(size)),
        }
    }

    /// Two arguments, the first in a register, the other wherever it is.
    pub(super) fn pair(&mut self, a: Id, b: Id, commutes: bool) -> (Register, Place) {
        let there = |id: Id| self.registers.of(id).is_some();
        let (a, b) = if commutes && !there(a) && there(b) { (b, a) } else { (a, b) };
        (self.fetch(a), self.place(b))
    }

    /// `a b + c`: the result takes the place of a factor or of the summand, whichever is not needed
    /// any more.
    fn multiply_add(&mut self, at: usize, over_factor: Opcode, over_summand: Opcode) {
        let Instruction { args: [a, b, c], size, .. } = self.registers.list[at];
        let bytes = self.bytes(size);
        let dies = |own: &Self, id: Id| own.registers.of(id).is_some() && own.registers.dies(id, at);
        let (a, b) = if !dies(self, a) && dies(self, b) { (b, a) } else { (a, b) };
        if dies(self, a) && a != b && a != c {
            let factor = self.fetch(a);
            let other = self.fetch(b);
            let summand = self.place(c);
            self.registers.done(at);
            self.registers.put(factor, at as Id);
            self.assembler.vector(over_factor, bytes, factor, other, summand);
            return;
        }
        let summand = self.fetch(c);
        let first = self.fetch(a);
        let second = self.place(b);
        if dies(self, c) && c != a && c != b {
            self.registers.done(at);
            self.registers.put(summand, at as Id);
            self.assembler.vector(over_summand, bytes, summand, first, second);
        } else {
            let to = self.take(at as Id);
            self.copy(size, to, Place::Register(summand));
            self.assembler.vector(over_summand, bytes, to, first, second);
            self.registers.done(at);
        }
    }

    fn load(&mut self, at: usize, n: u32, block: u8) {
        let size = self.registers.list[at].size;
        let (bytes, which) = (self.bytes(size), self.which(size));
        let to = self.take(at as Id);
        self.assembler.pointer(n);
        let from = Place::Element { bytes: size as u8, block };
        match (self.body == Body::Rest, self.form.encoding) {
            (false, _) => self.assembler.vector(x86::LOAD.of(size), bytes, to, 0, from),
            (true, Encoding::Vex) => self.assembler.vector(x86::MASKED_LOAD.of(size), bytes, to, which, from),
            (true, Encoding::Evex) => self.assembler.lanes(Lanes::or_zero(which), x86::LOAD.of(size), bytes, to, 0, from),
        }
    }

    fn store(&mut self, at: usize, n: u32, block: u8) {
        let Instruction { size, args, .. } = self.registers.list[at];
        let (bytes, which) = (self.bytes(size), self.which(size));
        let from = self.fetch(args[0]);
        self.assembler.pointer(n);
        let to = Place::Element { bytes: size as u8, block };
        match (self.body == Body::Rest, self.form.encoding) {
            (false, _) => self.assembler.vector(x86::STORE.of(size), bytes, from, 0, to),
            (true, Encoding::Vex) => self.assembler.vector(x86::MASKED_STORE.of(size), bytes, from, which, to),
            (true, Encoding::Evex) => self.assembler.lanes(Lanes::of(which), x86::STORE.of(size), bytes, from, 0, to),
        }
        self.registers.done(at);
    }

    /// Where a value is, its register locked if it is in one.
    pub(super) fn place(&mut self, id: Id) -> Place {
        let Instruction { op, size, .. } = self.registers.list[id as usize];
        match (self.registers.place(id), op) {
            (Some(place), _) => place,
            (None, Op::Constant(bits)) => self.constant(bits, size),
            _ => unreachable!("a value is in a register, on the stack, or a constant"),
        }
    }

    pub(super) fn constant(&mut self, bits: u64, size: Size) -> Place {
        constant(self.pool, bits, size)
    }

    /// A register that holds the value, locked.
    pub(super) fn fetch(&mut self, id: Id) -> Register {
        match self.place(id) {
            Place::Register(register) => register,
            from => {
                let to = self.take(id);
                match self.registers.bank(id) {
                    MASKS => self.assembler.mask(x86::MASK_LOAD, to, 0, from),
                    _ => self.copy(self.registers.list[id as usize].size, to, from),
                }
                to
            }
        }
    }

    /// A vector from anywhere.
    fn copy(&mut self, size: Size, to: Register, from: Place) {
        self.assembler.copy(size, self.bytes(size), to, from);
    }

    /// The register of the result of the instruction at hand, whose arguments may give theirs.
    pub(super) fn result(&mut self, at: usize) -> Register {
        self.registers.done(at);
        self.take(at as Id)
    }

    /// A locked register for a value.
    pub(super) fn take(&mut self, id: Id) -> Register {
        let register = self.spare(self.registers.bank(id));
        self.registers.put(register, id);
        register
    }

    /// A locked register that holds nothing of use; what it held and is needed later goes to the stack.
    pub(super) fn spare(&mut self, bank: usize) -> Register {
        let (register, moved) = self.registers.spare(bank);
        if let Some((id, slot)) = moved {
            let (size, to) = (self.registers.list[id as usize].size, Place::Stack(slot));
            match bank {
                MASKS => self.assembler.mask(x86::MASK_STORE, register, 0, to),
                _ => self.assembler.vector(x86::STORE.of(size), self.bytes(size), register, 0, to),
            }
        }
        register
    }
}
