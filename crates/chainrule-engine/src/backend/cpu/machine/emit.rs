//! From fused code to bytes: each value in a register, on the stack or in the pool of constants.
//!
//! One pass in the order of the code. What an operation becomes is said once for both encodings, but
//! for truths, which are lanes of ones with VEX and masks with EVEX. Refuses to choose registers
//! ([`super::registers`]) and to reorder.

use super::code::{Id, Instruction, Op, Size, without};
use super::encode::{Assembler, Encoding, Lanes, Place, Register};
use super::opcodes::{self as x86, Opcode, Pair};
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
    /// How many blocks of positions are computed side by side.
    pub blocks: u8,
}

/// The most blocks side by side. The processor looks only so far ahead for work that does not wait:
/// a formula is a chain, and what it can do meanwhile has to stand next to it.
const MOST_BLOCKS: u8 = 4;
/// Values of all blocks together that may wait on the stack.
const MOST_SLOTS: u32 = 2;

/// Writes the function of a code: rows, and in each row some blocks at a time, one at a time, and
/// what is left by a mask. The table has `ports` operands.
pub fn emit(list: &[Instruction], ports: u32, form: Form) -> Emitted {
    // With lanes, a sign is a truth as it stands; masks have no lanes, and so no size.
    let list = &without(list, if form.encoding == Encoding::Vex { Op::Sign } else { Op::Resize });
    let mut pool = Vec::new();
    let mut slots = 0;
    let mut body = |blocks: u8, part: bool, most: u32| {
        let (body, needed) = Emitter::new(list, form, blocks, &mut pool, part).body(most)?;
        slots = slots.max(needed);
        Some(body)
    };
    let empty = || Assembler::new(form.encoding, form.positions);
    let one = body(1, false, u32::MAX).unwrap_or_else(empty);
    let part = body(1, true, u32::MAX).unwrap_or_else(empty);
    let (mut many, mut blocks) = (None, 1);
    while let Some(more) = (blocks < MOST_BLOCKS).then(|| body(blocks + 1, false, MOST_SLOTS)).flatten() {
        (many, blocks) = (Some(more), blocks + 1);
    }
    let mut assembler = empty();
    assembler.enter(slots);
    let row = assembler.start_row();
    if let Some(many) = many {
        let skip = assembler.unless_many();
        let start = assembler.bytes.len();
        assembler.append(many);
        assembler.repeat_many(start, blocks);
        assembler.land(skip);
    }
    let skip = assembler.unless_one();
    let start = assembler.bytes.len();
    assembler.append(one);
    assembler.repeat_one(start);
    assembler.land(skip);
    let skip = assembler.unless_part();
    assembler.append(part);
    assembler.land(skip);
    assembler.next_row(row, ports);
    assembler.leave(slots);
    Emitted { bytes: assembler.finish(&pool), blocks }
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
enum Single {
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

struct Emitter<'a> {
    assembler: Assembler,
    form: Form,
    blocks: u8,
    pool: &'a mut Vec<u64>,
    /// Whether only some of the positions are read and written.
    part: bool,
    /// The register that says which, for lanes of four bytes and of eight.
    which: [Register; 2],
    registers: Registers,
}

impl<'a> Emitter<'a> {
    fn new(list: &[Instruction], form: Form, blocks: u8, pool: &'a mut Vec<u64>, part: bool) -> Emitter<'a> {
        let mut registers = Registers::new(side_by_side(list, blocks), form.encoding);
        let mut assembler = Assembler::new(form.encoding, form.positions);
        let mut which = [0; 2];
        match form.encoding {
            _ if !part => {}
            Encoding::Evex => {
                which = [registers.reserve(MASKS); 2];
                assembler.mask_of_argument(which[0]);
            }
            Encoding::Vex => {
                for (at, size) in [Size::Four, Size::Eight].into_iter().enumerate() {
                    if list.iter().any(|i| i.size == size && matches!(i.op, Op::Load(_) | Op::Store(_))) {
                        which[at] = registers.reserve(VECTORS);
                        let opcode = if size == Size::Four { x86::LOAD.of(size) } else { x86::LENGTHEN };
                        assembler.vector(opcode, form.positions * size as u8, which[at], 0, Place::Mask);
                    }
                }
            }
        }
        Emitter { assembler, form, blocks, pool, part, which, registers }
    }

    /// Writes the code once, and says how many slots of the stack it needs; `None` if more than `most`.
    fn body(mut self, most: u32) -> Option<(Assembler, u32)> {
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
    fn bytes(&self, size: Size) -> u8 {
        self.form.positions * size as u8
    }

    fn which(&self, size: Size) -> Register {
        self.which[usize::from(size == Size::Eight)]
    }

    fn instruction(&mut self, at: usize) {
        let Instruction { op, size, args } = self.registers.list[at];
        let block = (at % self.blocks as usize) as u8;
        match op {
            // Constants are fetched where they are used.
            Op::Constant(_) => {}
            Op::LoadSingle(_) if block > 0 => {}
            Op::Load(n) => self.load(at, n, block),
            Op::LoadSingle(n) => {
                let to = self.take(at as Id);
                self.assembler.pointer(n);
                self.assembler.vector(x86::BROADCAST.of(size), self.bytes(size), to, 0, Place::Single);
            }
            Op::Store(n) => self.store(at, n, block),
            Op::LoadTruth(n) => self.load_truth(at, n, block),
            Op::StoreTruth(n) => self.store_truth(at, n, block),
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
            _ => match Single::of(op, size) {
                Some(single) => self.single(at, single),
                None => unreachable!("an operation is one instruction or has a case above"),
            },
        }
    }

    fn single(&mut self, at: usize, single: Single) {
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
    fn pair(&mut self, a: Id, b: Id, commutes: bool) -> (Register, Place) {
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
        match (self.part, self.form.encoding) {
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
        match (self.part, self.form.encoding) {
            (false, _) => self.assembler.vector(x86::STORE.of(size), bytes, from, 0, to),
            (true, Encoding::Vex) => self.assembler.vector(x86::MASKED_STORE.of(size), bytes, from, which, to),
            (true, Encoding::Evex) => self.assembler.lanes(Lanes::of(which), x86::STORE.of(size), bytes, from, 0, to),
        }
        self.registers.done(at);
    }

    /// Bytes as a truth.
    fn load_truth(&mut self, at: usize, n: u32, block: u8) {
        let size = self.registers.list[at].size;
        let (bytes, from) = (self.bytes(size), Place::Element { bytes: 1, block });
        let to = self.take(at as Id);
        if self.form.encoding == Encoding::Vex {
            self.assembler.pointer(n);
            self.assembler.vector(x86::BYTES.of(size), bytes, to, 0, from);
            let zero = self.constant(0, size);
            self.assembler.vector(x86::GREATER.of(size), bytes, to, to, zero);
            return;
        }
        let flags = self.spare(VECTORS);
        self.assembler.pointer(n);
        match (self.part, self.form.positions) {
            (true, _) => self.assembler.lanes(Lanes::or_zero(self.which[0]), x86::LOAD_BYTES, 16, flags, 0, from),
            (false, 8) => self.assembler.vector(x86::LOAD_8, 16, flags, 0, from),
            (false, _) => self.assembler.vector(x86::LOAD_BYTES, 16, flags, 0, from),
        }
        self.assembler.vector(x86::TEST_BYTES, 16, to, flags, Place::Register(flags));
    }

    /// A truth as bytes of 1 and 0.
    fn store_truth(&mut self, at: usize, n: u32, block: u8) {
        let Instruction { size, args, .. } = self.registers.list[at];
        let from = self.fetch(args[0]);
        let to = Place::Element { bytes: 1, block };
        let flags = self.spare(VECTORS);
        match self.form.encoding {
            Encoding::Vex => self.bytes_of_lanes(size, from, flags),
            Encoding::Evex => {
                self.assembler.vector(x86::MASK_TO_BYTES, 16, flags, 0, Place::Register(from));
                self.assembler.vector(x86::BYTE_SIZES, 16, flags, 0, Place::Register(flags));
            }
        }
        self.assembler.pointer(n);
        match (self.form.encoding, self.form.positions) {
            (Encoding::Evex, _) if self.part => self.assembler.lanes(Lanes::of(self.which[0]), x86::STORE_BYTES, 16, flags, 0, to),
            (_, 4) => self.assembler.vector(x86::STORE_4, 16, flags, 0, to),
            (_, 8) => self.assembler.vector(x86::STORE_8, 16, flags, 0, to),
            _ => self.assembler.vector(x86::STORE_BYTES, 16, flags, 0, to),
        }
        self.registers.done(at);
    }

    /// The highest bit of each lane as a byte, all bytes beside each other.
    fn bytes_of_lanes(&mut self, size: Size, from: Register, to: Register) {
        let (bytes, mut bits) = (self.bytes(size), 8 * size as u8);
        self.assembler.shift(x86::RIGHT, size, bytes, to, from, bits - 1);
        let own = Place::Register(to);
        if bytes == 32 {
            let upper = self.spare(VECTORS);
            self.assembler.vector_with(x86::UPPER_HALF, 32, to, 0, Place::Register(upper), 1);
            self.assembler.vector(x86::PACK_WORDS, 16, to, to, Place::Register(upper));
            bits /= 2;
        }
        if bits == 32 {
            self.assembler.vector(x86::PACK_WORDS, 16, to, to, own);
        }
        self.assembler.vector(x86::PACK_BYTES, 16, to, to, own);
    }

    /// A truth made of truths.
    fn truths(&mut self, at: usize) {
        let Instruction { op, size, args } = self.registers.list[at];
        if self.form.encoding == Encoding::Evex {
            let (first, to_combine) = (self.fetch(args[0]), if op == Op::Not { None } else { Some(self.fetch(args[1])) });
            let opcode = match op {
                Op::Both => x86::MASK_AND,
                Op::Either => x86::MASK_OR,
                _ => x86::MASK_NOT,
            };
            let to = self.result(at);
            match to_combine {
                Some(second) => self.assembler.mask(opcode, to, first, Place::Register(second)),
                None => self.assembler.mask(opcode, to, 0, Place::Register(first)),
            }
            return;
        }
        let (opcode, (a, b)) = match op {
            Op::Both => (x86::AND, self.pair(args[0], args[1], true)),
            Op::Either => (x86::OR, self.pair(args[0], args[1], true)),
            _ => (x86::XOR, (self.fetch(args[0]), self.constant(u64::MAX, size))),
        };
        let to = self.result(at);
        self.assembler.vector(opcode.of(size), self.bytes(size), to, a, b);
    }

    /// A sign as a mask; lanes of a truth as lanes of another size.
    fn truth_again(&mut self, at: usize) {
        let Instruction { op, size, args } = self.registers.list[at];
        if op == Op::Resize && size == Size::Eight {
            let from = self.place(args[0]);
            let to = self.result(at);
            return self.assembler.vector(x86::LENGTHEN, self.bytes(size), to, 0, from);
        }
        let from = self.fetch(args[0]);
        if op == Op::Sign {
            let to = self.result(at);
            return self.assembler.vector(x86::SIGNS_TO_MASK.of(size), self.bytes(size), to, 0, Place::Register(from));
        }
        // The upper half of each lane, where a sign is.
        let upper = self.spare(VECTORS);
        self.assembler.vector_with(x86::UPPER_HALF, 32, from, 0, Place::Register(upper), 1);
        let to = self.result(at);
        self.assembler.vector_with(x86::SHUFFLE, 16, to, from, Place::Register(upper), 0b11_01_11_01);
    }

    fn choose(&mut self, at: usize) {
        let Instruction { size, args, .. } = self.registers.list[at];
        let test = self.fetch(args[0]);
        let no = self.fetch(args[2]);
        let yes = self.place(args[1]);
        let (to, bytes) = (self.result(at), self.bytes(size));
        match self.form.encoding {
            Encoding::Vex => self.assembler.vector_with(x86::BLEND_SIGNS.of(size), bytes, to, no, yes, test << 4),
            Encoding::Evex => self.assembler.lanes(Lanes::of(test), x86::BLEND.of(size), bytes, to, no, yes),
        }
    }

    fn keep(&mut self, at: usize) {
        let Instruction { size, args, .. } = self.registers.list[at];
        if self.form.encoding == Encoding::Vex {
            return self.single(at, Single::Either(x86::AND));
        }
        let test = self.fetch(args[0]);
        let from = self.place(args[1]);
        let (to, bytes) = (self.result(at), self.bytes(size));
        match from {
            Place::Pool(n) => self.assembler.lanes(Lanes::or_zero(test), x86::BROADCAST.of(size), bytes, to, 0, Place::PoolSingle(n)),
            from => self.assembler.lanes(Lanes::or_zero(test), x86::LOAD.of(size), bytes, to, 0, from),
        }
    }

    /// Where a value is, its register locked if it is in one.
    fn place(&mut self, id: Id) -> Place {
        let Instruction { op, size, .. } = self.registers.list[id as usize];
        match (self.registers.place(id), op) {
            (Some(place), _) => place,
            (None, Op::Constant(bits)) => self.constant(bits, size),
            _ => unreachable!("a value is in a register, on the stack, or a constant"),
        }
    }

    fn constant(&mut self, bits: u64, size: Size) -> Place {
        let bits = if size == Size::Four { bits << 32 | bits & 0xffff_ffff } else { bits };
        let known = self.pool.iter().position(|&known| known == bits);
        Place::Pool(known.unwrap_or_else(|| {
            self.pool.push(bits);
            self.pool.len() - 1
        }) as u32)
    }

    /// A register that holds the value, locked.
    fn fetch(&mut self, id: Id) -> Register {
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
        let bytes = self.bytes(size);
        match (from, self.form.encoding) {
            (Place::Pool(n), Encoding::Evex) => self.assembler.vector(x86::BROADCAST.of(size), bytes, to, 0, Place::PoolSingle(n)),
            _ => self.assembler.vector(x86::LOAD.of(size), bytes, to, 0, from),
        }
    }

    /// The register of the result of the instruction at hand, whose arguments may give theirs.
    fn result(&mut self, at: usize) -> Register {
        self.registers.done(at);
        self.take(at as Id)
    }

    /// A locked register for a value.
    fn take(&mut self, id: Id) -> Register {
        let register = self.spare(self.registers.bank(id));
        self.registers.put(register, id);
        register
    }

    /// A locked register that holds nothing of use; what it held and is needed later goes to the stack.
    fn spare(&mut self, bank: usize) -> Register {
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
