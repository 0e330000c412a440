//! Truths in code: lanes of ones with VEX, masks with EVEX, bytes in memory; and what is chosen by them.
//!
//! Refuses to know how other values are written ([`super::emit`]).

use super::code::{Id, Instruction, Op, Size};
use super::emit::{Body, Emitter, Single};
use super::encode::{Encoding, Lanes, Place, Register};
use super::opcodes as x86;
use super::registers::VECTORS;

impl Emitter<'_> {
    /// Bytes as a truth.
    pub(super) fn load_truth(&mut self, at: usize, n: u32, block: u8) {
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
        match (self.body == Body::Rest, self.form.positions) {
            (true, _) => self.assembler.lanes(Lanes::or_zero(self.which[0]), x86::LOAD_BYTES, 16, flags, 0, from),
            (false, 8) => self.assembler.vector(x86::LOAD_8, 16, flags, 0, from),
            (false, _) => self.assembler.vector(x86::LOAD_BYTES, 16, flags, 0, from),
        }
        self.assembler.vector(x86::TEST_BYTES, 16, to, flags, Place::Register(flags));
    }

    /// A truth as bytes of 1 and 0.
    pub(super) fn store_truth(&mut self, at: usize, n: u32, block: u8) {
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
            (Encoding::Evex, _) if self.body == Body::Rest => {
                self.assembler.lanes(Lanes::of(self.which[0]), x86::STORE_BYTES, 16, flags, 0, to)
            }
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
    pub(super) fn truths(&mut self, at: usize) {
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
    pub(super) fn truth_again(&mut self, at: usize) {
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

    pub(super) fn choose(&mut self, at: usize) {
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

    /// With EVEX.
    pub(super) fn keep_product(&mut self, at: usize) {
        let Instruction { size, args, .. } = self.registers.list[at];
        let test = self.fetch(args[0]);
        let (a, b) = self.pair(args[1], args[2], true);
        let (to, bytes) = (self.result(at), self.bytes(size));
        self.assembler.lanes(Lanes::or_zero(test), x86::MULTIPLY.of(size), bytes, to, a, b);
    }

    pub(super) fn keep(&mut self, at: usize) {
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
}
