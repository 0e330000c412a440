//! Which register holds which value while code is written, and what waits on the stack.
//!
//! A register that is wanted while none is free is taken from the value whose next use is furthest; a
//! constant is then simply forgotten, another value is kept on the stack. Refuses to write code: whoever
//! asks for a register is told what to store.

use super::code::{Id, Instruction, Op};
use super::encode::{Encoding, Place, Register};

/// The bank of vector registers.
pub const VECTORS: usize = 0;
/// The bank of masks, where truths are with EVEX.
pub const MASKS: usize = 1;

/// Registers of one kind.
struct Bank {
    /// Which value each holds.
    holds: Vec<Option<Id>>,
    /// Those that the instruction at hand needs.
    locked: u32,
    /// Those that are taken from the start to the end.
    reserved: u32,
}

/// The places of all values of a code.
pub struct Registers {
    /// The code.
    pub list: Vec<Instruction>,
    /// How many slots of the stack are needed.
    pub slots: u32,
    encoding: Encoding,
    banks: [Bank; 2],
    /// Which register holds each value.
    register: Vec<Option<Register>>,
    /// Which slot of the stack holds each value.
    slot: Vec<Option<u32>>,
    free_slots: Vec<u32>,
    /// Slots that are free once the instruction at hand has read them.
    emptied: Vec<u32>,
    /// Where each value is used, the last first.
    uses: Vec<Vec<usize>>,
}

impl Registers {
    /// All registers free.
    pub fn new(list: Vec<Instruction>, encoding: Encoding) -> Registers {
        let mut uses = vec![Vec::new(); list.len()];
        for (at, instruction) in list.iter().enumerate().rev() {
            instruction.args().iter().for_each(|&arg| uses[arg as usize].push(at));
        }
        let bank = |count: u8, reserved: u32| Bank { holds: vec![None; count.into()], locked: reserved, reserved };
        Registers {
            slots: 0,
            encoding,
            // Mask 0 stands for all lanes.
            banks: [bank(encoding.registers(), 0), bank(8, 1)],
            register: vec![None; list.len()],
            slot: vec![None; list.len()],
            list,
            free_slots: Vec::new(),
            emptied: Vec::new(),
            uses,
        }
    }

    /// The last free register of a bank, for good.
    pub fn reserve(&mut self, bank: usize) -> Register {
        let own = &self.banks[bank];
        let register = (0..own.holds.len()).rev().find(|r| own.reserved >> r & 1 == 0).unwrap_or(0) as Register;
        self.keep(bank, register);
        register
    }

    /// This register of a bank, for good.
    pub fn keep(&mut self, bank: usize, register: Register) {
        let bank = &mut self.banks[bank];
        bank.reserved |= 1 << register;
        bank.locked |= bank.reserved;
    }

    /// Where a value belongs.
    pub fn bank(&self, id: Id) -> usize {
        if self.encoding == Encoding::Evex && self.list[id as usize].is_truth() { MASKS } else { VECTORS }
    }

    /// The register of a value, if it is in one.
    pub fn of(&self, id: Id) -> Option<Register> {
        self.register[id as usize]
    }

    /// Whether nothing after the instruction at `at` uses a value.
    pub fn dies(&self, id: Id, at: usize) -> bool {
        self.uses[id as usize].iter().all(|&later| later <= at)
    }

    /// Where a value is, its register locked if it is in one; `None` if nowhere.
    pub fn place(&mut self, id: Id) -> Option<Place> {
        match (self.of(id), self.list[id as usize].op) {
            (Some(register), _) => {
                let bank = self.bank(id);
                self.banks[bank].locked |= 1 << register;
                Some(Place::Register(register))
            }
            (None, Op::Constant(_)) => None,
            (None, _) => self.slot[id as usize].map(Place::Stack),
        }
    }

    /// Puts a value in a register that holds nothing of use, and locks it.
    pub fn put(&mut self, register: Register, id: Id) {
        let bank = self.bank(id);
        self.banks[bank].holds[register as usize] = Some(id);
        self.banks[bank].locked |= 1 << register;
        self.register[id as usize] = Some(register);
    }

    /// Forgets values that the instruction at `at` was the last to use.
    pub fn done(&mut self, at: usize) {
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
                let bank = self.bank(arg);
                self.banks[bank].holds[register as usize] = None;
                self.banks[bank].locked &= !(1 << register);
            }
            self.emptied.extend(self.slot[arg as usize].take());
        }
    }

    /// A locked register that holds nothing of use; and the value that must be stored before, with its slot.
    pub fn spare(&mut self, bank: usize) -> (Register, Option<(Id, u32)>) {
        let own = &self.banks[bank];
        let open = |r: &usize| own.locked >> r & 1 == 0;
        let free = (0..own.holds.len()).find(|r| open(r) && own.holds[*r].is_none());
        let register = free.unwrap_or_else(|| {
            let next = |r: &usize| own.holds[*r].and_then(|id| self.uses[id as usize].last().copied()).unwrap_or(usize::MAX);
            (0..own.holds.len()).filter(open).max_by_key(next).unwrap_or(0)
        });
        let own = &mut self.banks[bank];
        own.locked |= 1 << register;
        let old = own.holds[register].take();
        (register as Register, old.and_then(|old| self.give_up(old)))
    }

    /// A value loses its register; if it has no other place, it gets a slot.
    fn give_up(&mut self, old: Id) -> Option<(Id, u32)> {
        self.register[old as usize] = None;
        if matches!(self.list[old as usize].op, Op::Constant(_)) || self.slot[old as usize].is_some() {
            return None;
        }
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        self.slot[old as usize] = Some(slot);
        Some((old, slot))
    }

    /// The instruction at hand is written.
    pub fn next(&mut self) {
        self.banks.iter_mut().for_each(|bank| bank.locked = bank.reserved);
        self.free_slots.append(&mut self.emptied);
    }
}
