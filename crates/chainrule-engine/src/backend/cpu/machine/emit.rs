//! From fused code to bytes: each value in a register, on the stack or in the pool of constants.
//!
//! One pass in the order of the code. A register that is wanted while none is free is taken from
//! the value whose next use is furthest; a constant is then simply forgotten, another value is kept
//! on the stack. Refuses to reorder.

use super::code::{Id, Instruction, Op};
use super::encode::{self as x86, Assembler, Opcode, Place, Register};

/// The bytes of a function, from its entry on.
pub struct Emitted {
    /// Code and constants.
    pub bytes: Vec<u8>,
    /// How many blocks of eight positions are computed side by side.
    pub blocks: u8,
}

/// The most blocks side by side. The processor looks only so far ahead for work that does not wait:
/// a formula is a chain, and what it can do meanwhile has to stand next to it.
const MOST_BLOCKS: u8 = 4;
/// Values of all blocks together that may wait on the stack.
const MOST_SLOTS: u32 = 2;

/// Writes the function of a code: rows, and in each row some blocks at a time, one at a time, and
/// what is left by a mask. The table has `ports` operands.
pub fn emit(list: &[Instruction], ports: u32) -> Emitted {
    let mut pool = Vec::new();
    let mut slots = 0;
    let mut body = |blocks: u8, part: bool, most: u32| {
        let (body, needed) = Emitter::new(list, blocks, &mut pool, part).body(most)?;
        slots = slots.max(needed);
        Some(body)
    };
    let one = body(1, false, u32::MAX).unwrap_or_default();
    let part = body(1, true, u32::MAX).unwrap_or_default();
    let (mut many, mut blocks) = (None, 1);
    while let Some(more) = (blocks < MOST_BLOCKS).then(|| body(blocks + 1, false, MOST_SLOTS)).flatten() {
        (many, blocks) = (Some(more), blocks + 1);
    }
    let mut assembler = Assembler::default();
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
        (0..blocks).map(move |block| Instruction { op: instruction.op, args: instruction.args.map(|arg| number(arg, block)) })
    };
    list.iter().flat_map(each).collect()
}

/// The register that holds the mask of lanes, if there is one.
const MASK: Register = 15;

struct Emitter<'a> {
    list: Vec<Instruction>,
    blocks: u8,
    pool: &'a mut Vec<u32>,
    /// Whether only the lanes of a mask are read and written.
    part: bool,
    /// Which value each register holds.
    holds: [Option<Id>; 16],
    /// Which register holds each value.
    register: Vec<Option<Register>>,
    /// Which slot of the stack holds each value.
    slot: Vec<Option<u32>>,
    slots: u32,
    free_slots: Vec<u32>,
    /// Slots that are free once the instruction at hand has read them.
    emptied: Vec<u32>,
    /// Where each value is used, the last first.
    uses: Vec<Vec<usize>>,
    /// Registers that the instruction at hand needs.
    locked: u16,
}

impl<'a> Emitter<'a> {
    fn new(list: &[Instruction], blocks: u8, pool: &'a mut Vec<u32>, part: bool) -> Emitter<'a> {
        let list = side_by_side(list, blocks);
        let mut uses = vec![Vec::new(); list.len()];
        for (at, instruction) in list.iter().enumerate().rev() {
            instruction.args().iter().for_each(|&arg| uses[arg as usize].push(at));
        }
        Emitter {
            blocks,
            pool,
            part,
            holds: [None; 16],
            register: vec![None; list.len()],
            slot: vec![None; list.len()],
            list,
            slots: 0,
            free_slots: Vec::new(),
            emptied: Vec::new(),
            uses,
            locked: if part { 1 << MASK } else { 0 },
        }
    }

    /// Writes the code once, and says how many slots of the stack it needs; `None` if more than `most`.
    fn body(mut self, most: u32) -> Option<(Assembler, u32)> {
        let mut assembler = Assembler::default();
        if self.part {
            assembler.vector(x86::MOVUPS_LOAD, MASK, 0, Place::Mask);
        }
        for at in 0..self.list.len() {
            self.instruction(&mut assembler, at);
            if self.slots > most {
                return None;
            }
        }
        Some((assembler, self.slots))
    }

    fn instruction(&mut self, assembler: &mut Assembler, at: usize) {
        let Instruction { op, args } = self.list[at];
        let id = at as Id;
        let block = (at % self.blocks as usize) as u8;
        let element = |bytes: u8| Place::Element { bytes, block };
        match op {
            // Constants are fetched where they are used.
            Op::Constant(_) => {}
            Op::LoadSingle(_) if block > 0 => {}
            Op::Load(n) => {
                let to = self.take(assembler, id);
                assembler.pointer(n);
                match self.part {
                    true => assembler.vector(x86::MASKMOVPS_LOAD, to, MASK, element(4)),
                    false => assembler.vector(x86::MOVUPS_LOAD, to, 0, element(4)),
                }
            }
            Op::LoadSingle(n) => {
                let to = self.take(assembler, id);
                assembler.pointer(n);
                assembler.vector(x86::BROADCASTSS, to, 0, Place::Single);
            }
            Op::LoadTruth(n) => {
                let to = self.take(assembler, id);
                assembler.pointer(n);
                assembler.vector(x86::PMOVZXBD, to, 0, element(1));
                let zero = self.constant(0);
                assembler.vector(x86::PCMPGTD, to, to, zero);
            }
            Op::Store(n) => {
                let from = self.fetch(assembler, args[0]);
                assembler.pointer(n);
                match self.part {
                    true => assembler.vector(x86::MASKMOVPS_STORE, from, MASK, element(4)),
                    false => assembler.vector(x86::MOVUPS_STORE, from, 0, element(4)),
                }
                self.done(at);
            }
            Op::StoreTruth(n) => self.store_truth(assembler, at, n),
            Op::Report => {
                let from = self.fetch(assembler, args[0]);
                assembler.report(from);
                self.done(at);
            }
            Op::MultiplyAdd => self.multiply_add(assembler, at, x86::FMADD213PS, x86::FMADD231PS),
            Op::NegativeMultiplyAdd => self.multiply_add(assembler, at, x86::FNMADD213PS, x86::FNMADD231PS),
            Op::Choose => {
                let test = self.fetch(assembler, args[0]);
                let no = self.fetch(assembler, args[2]);
                let yes = self.place(args[1]);
                let to = self.result(assembler, at);
                assembler.vector_with(x86::BLENDVPS, to, no, yes, test << 4);
            }
            Op::Sqrt | Op::Nearest => {
                let opcode = if op == Op::Sqrt { x86::SQRTPS } else { x86::CVTDQ2PS };
                let from = self.place(args[0]);
                let to = self.result(assembler, at);
                assembler.vector(opcode, to, 0, from);
            }
            Op::Floor => {
                let from = self.place(args[0]);
                let to = self.result(assembler, at);
                // Down, and without a report of inexactness.
                assembler.vector_with(x86::ROUNDPS, to, 0, from, 0b1001);
            }
            Op::Up(by) | Op::Down(by) => {
                let from = self.fetch(assembler, args[0]);
                let to = self.result(assembler, at);
                let digit = if op == Op::Up(by) { x86::LEFT } else { x86::RIGHT_SIGNED };
                assembler.shift(digit, to, from, by);
            }
            Op::Compare(comparison) => {
                let (a, b) = self.pair(assembler, args[0], args[1], false);
                let to = self.result(assembler, at);
                assembler.vector_with(x86::CMPPS, to, a, b, comparison as u8);
            }
            Op::Add => self.binary(assembler, at, x86::ADDPS, true),
            Op::Multiply => self.binary(assembler, at, x86::MULPS, true),
            Op::Subtract => self.binary(assembler, at, x86::SUBPS, false),
            Op::Divide => self.binary(assembler, at, x86::DIVPS, false),
            Op::Smaller => self.binary(assembler, at, x86::MINPS, false),
            Op::Larger => self.binary(assembler, at, x86::MAXPS, false),
            Op::And => self.binary(assembler, at, x86::ANDPS, true),
            Op::Or => self.binary(assembler, at, x86::ORPS, true),
            Op::Xor => self.binary(assembler, at, x86::XORPS, true),
            Op::Plus => self.binary(assembler, at, x86::PADDD, true),
            Op::Minus => self.binary(assembler, at, x86::PSUBD, false),
            Op::Greater => self.binary(assembler, at, x86::PCMPGTD, false),
        }
        self.locked = if self.part { 1 << MASK } else { 0 };
        self.free_slots.append(&mut self.emptied);
    }

    fn binary(&mut self, assembler: &mut Assembler, at: usize, opcode: Opcode, commutes: bool) {
        let args = self.list[at].args;
        let (a, b) = self.pair(assembler, args[0], args[1], commutes);
        let to = self.result(assembler, at);
        assembler.vector(opcode, to, a, b);
    }

    /// Two arguments, the first in a register, the other wherever it is.
    fn pair(&mut self, assembler: &mut Assembler, a: Id, b: Id, commutes: bool) -> (Register, Place) {
        let there = |id: Id| self.register[id as usize].is_some();
        let (a, b) = if commutes && !there(a) && there(b) { (b, a) } else { (a, b) };
        (self.fetch(assembler, a), self.place(b))
    }

    /// `a b + c`: the result takes the place of a factor or of the summand, whichever is not needed
    /// any more.
    fn multiply_add(&mut self, assembler: &mut Assembler, at: usize, over_factor: Opcode, over_summand: Opcode) {
        let [a, b, c] = self.list[at].args;
        let dies = |own: &Self, id: Id| own.register[id as usize].is_some() && own.uses[id as usize].iter().all(|&later| later <= at);
        let (a, b) = if !dies(self, a) && dies(self, b) { (b, a) } else { (a, b) };
        if dies(self, a) && a != b && a != c {
            let factor = self.fetch(assembler, a);
            let other = self.fetch(assembler, b);
            let summand = self.place(c);
            self.done(at);
            self.put(factor, at as Id);
            assembler.vector(over_factor, factor, other, summand);
            return;
        }
        let summand = self.fetch(assembler, c);
        let first = self.fetch(assembler, a);
        let second = self.place(b);
        let dying = dies(self, c) && c != a && c != b;
        if dying {
            self.done(at);
            self.put(summand, at as Id);
            assembler.vector(over_summand, summand, first, second);
        } else {
            let to = self.take(assembler, at as Id);
            assembler.vector(x86::MOVUPS_LOAD, to, 0, Place::Register(summand));
            assembler.vector(over_summand, to, first, second);
            self.done(at);
        }
    }

    /// A truth as eight bytes of 1 and 0.
    fn store_truth(&mut self, assembler: &mut Assembler, at: usize, n: u32) {
        let from = self.fetch(assembler, self.list[at].args[0]);
        let (low, high) = (self.spare(assembler), self.spare(assembler));
        assembler.shift(x86::RIGHT, low, from, 31);
        assembler.vector_with(x86::EXTRACTI128, low, 0, Place::Register(high), 1);
        assembler.half(x86::PACKSSDW, low, low, Place::Register(high));
        assembler.half(x86::PACKUSWB, low, low, Place::Register(low));
        assembler.pointer(n);
        let block = (at % self.blocks as usize) as u8;
        assembler.half(x86::MOVQ_STORE, low, 0, Place::Element { bytes: 1, block });
        self.done(at);
    }

    /// Where a value is, its register locked if it is in one.
    fn place(&mut self, id: Id) -> Place {
        if let Some(register) = self.register[id as usize] {
            self.locked |= 1 << register;
            return Place::Register(register);
        }
        match (self.list[id as usize].op, self.slot[id as usize]) {
            (Op::Constant(bits), _) => self.constant(bits),
            (_, Some(slot)) => Place::Stack(slot),
            _ => unreachable!("a value is in a register, on the stack, or a constant"),
        }
    }

    fn constant(&mut self, bits: u32) -> Place {
        let known = self.pool.iter().position(|&known| known == bits);
        Place::Pool(known.unwrap_or_else(|| {
            self.pool.push(bits);
            self.pool.len() - 1
        }) as u32)
    }

    /// A register that holds the value, locked.
    fn fetch(&mut self, assembler: &mut Assembler, id: Id) -> Register {
        match self.place(id) {
            Place::Register(register) => register,
            elsewhere => {
                let register = self.take(assembler, id);
                assembler.vector(x86::MOVUPS_LOAD, register, 0, elsewhere);
                register
            }
        }
    }

    /// The register of the result of the instruction at hand, whose arguments may give theirs.
    fn result(&mut self, assembler: &mut Assembler, at: usize) -> Register {
        self.done(at);
        self.take(assembler, at as Id)
    }

    /// Forgets values that the instruction at `at` was the last to use.
    fn done(&mut self, at: usize) {
        let made = self.list[at];
        for &arg in made.args() {
            let uses = &mut self.uses[arg as usize];
            while uses.last().is_some_and(|&next| next <= at) {
                uses.pop();
            }
            if !uses.is_empty() {
                continue;
            }
            if let Some(register) = self.register[arg as usize].take() {
                self.holds[register as usize] = None;
                self.locked &= !(1 << register);
            }
            self.emptied.extend(self.slot[arg as usize].take());
        }
    }

    /// A locked register for a value.
    fn take(&mut self, assembler: &mut Assembler, id: Id) -> Register {
        let register = self.spare(assembler);
        self.put(register, id);
        register
    }

    fn put(&mut self, register: Register, id: Id) {
        self.holds[register as usize] = Some(id);
        self.register[id as usize] = Some(register);
        self.locked |= 1 << register;
    }

    /// A locked register that holds nothing of use.
    fn spare(&mut self, assembler: &mut Assembler) -> Register {
        let open = |own: &Self, r: &Register| own.locked >> r & 1 == 0;
        let free = (0..16).find(|r| open(self, r) && self.holds[*r as usize].is_none());
        let register = free.unwrap_or_else(|| {
            let next = |r: &Register| self.holds[*r as usize].and_then(|id| self.uses[id as usize].last().copied()).unwrap_or(usize::MAX);
            (0..16).filter(|r| open(self, r)).max_by_key(next).unwrap_or(0)
        });
        self.locked |= 1 << register;
        if let Some(old) = self.holds[register as usize].take() {
            self.register[old as usize] = None;
            if !matches!(self.list[old as usize].op, Op::Constant(_)) && self.slot[old as usize].is_none() {
                let slot = self.free_slots.pop().unwrap_or_else(|| {
                    self.slots += 1;
                    self.slots - 1
                });
                self.slot[old as usize] = Some(slot);
                assembler.vector(x86::MOVUPS_STORE, register, 0, Place::Stack(slot));
            }
        }
        register
    }
}
