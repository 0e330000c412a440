//! Instructions as bytes, in the encoding VEX of 256-bit vectors and sixteen registers or EVEX of 512-bit
//! vectors, thirty-two registers and masks.
//!
//! Refuses to know values and registers' contents; a caller names registers and addresses.
//! Encodings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, sections 2.3
//! (VEX prefixes) and 2.7 (EVEX prefixes).

use super::code::Size;
use super::opcodes::{self as x86, MaskOpcode, Opcode, Pair, Wide};

/// How instructions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Vectors of 256 bits: AVX2, FMA, F16C.
    Vex,
    /// Vectors of 512 bits and masks: AVX-512 F, BW, DQ, VL.
    Evex,
}

impl Encoding {
    /// Bytes of the longest vector.
    pub fn bytes(self) -> u8 {
        match self {
            Encoding::Vex => 32,
            Encoding::Evex => 64,
        }
    }

    /// How many vector registers there are.
    pub fn registers(self) -> u8 {
        match self {
            Encoding::Vex => 16,
            Encoding::Evex => 32,
        }
    }

    /// From one constant of the pool to the next: EVEX repeats one as it is read.
    fn pool_bytes(self) -> usize {
        match self {
            Encoding::Vex => 32,
            Encoding::Evex => 8,
        }
    }
}

/// A vector register, 0 to 15 or 31; or a mask, 0 to 7.
pub type Register = u8;

/// Where the last operand of an instruction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a register.
    Register(Register),
    /// A constant of the pool, by its number, in all lanes.
    Pool(u32),
    /// A lane of it, for an instruction that repeats one.
    PoolSingle(u32),
    /// On the stack, by the number of its slot.
    Stack(u32),
    /// On the stack below all slots, so many bytes from its end.
    Aside(u32),
    /// The same, and as many elements further as [`Assembler::count_round`] says.
    Round {
        /// Bytes of an element.
        bytes: u8,
        /// Bytes from the end of the stack.
        at: u32,
    },
    /// At the pointer last fetched by [`Assembler::pointer`], plus the position times `bytes`, so
    /// many blocks of positions further on.
    Element {
        /// Bytes of an element: 1, 4 or 8.
        bytes: u8,
        /// How many blocks further.
        block: u8,
    },
    /// At that pointer itself.
    Single,
    /// Where the fourth argument points to.
    Mask,
}

/// Which lanes an EVEX instruction writes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lanes {
    /// The mask; 0 stands for all.
    mask: Register,
    /// Whether the others become zero; otherwise they stay.
    zero: bool,
}

impl Lanes {
    /// Those of a mask, the others stay as they are, or choose another operand.
    pub fn of(mask: Register) -> Lanes {
        Lanes { mask, zero: false }
    }

    /// Those of a mask, the others become zero.
    pub fn or_zero(mask: Register) -> Lanes {
        Lanes { mask, zero: true }
    }
}

/// Writes code for a function `(table, many, whole, mask, rows)` in the registers of the System V
/// calling convention: rdi, rsi, rdx, rcx, r8. The position is kept in rsi, `many` in r9, what is
/// reported in r10, the stack as it was in rbp; the first pointers are in [`HELD`], rax serves for others, and for the answer.
pub struct Assembler {
    /// The bytes so far.
    pub bytes: Vec<u8>,
    encoding: Encoding,
    /// Positions of a block.
    positions: u8,
    /// Bytes of the stack below the slots.
    aside: u32,
    /// Where four bytes wait for the distance to a constant of the pool.
    pool_uses: Vec<(usize, u32)>,
    /// How many pointers are held in registers.
    held: usize,
    /// The general register of the pointer at hand.
    base: Register,
    /// Which pointer is in rax.
    in_rax: Option<u32>,
}

/// General registers that hold the first pointers of the table while rows are walked: r11, and then those that a function gives back
/// as they were, rbx and r12 to r15.
const HELD: [Register; 6] = [11, 3, 12, 13, 14, 15];
const RAX: Register = 0;

/// A jump whose aim is not known yet.
pub struct Jump(usize);

impl Assembler {
    /// No code yet; `aside` bytes of the stack, whole vectors, are not for slots.
    pub fn new(encoding: Encoding, positions: u8, aside: u32) -> Assembler {
        Assembler { bytes: Vec::new(), encoding, positions, aside, pool_uses: Vec::new(), held: 0, base: RAX, in_rax: None }
    }

    /// The same with as many of the first pointers in registers as there are, of a table of so many.
    pub fn holding(self, ports: u32) -> Assembler {
        Assembler { held: HELD.len().min(ports as usize), ..self }
    }

    /// How instructions are written.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Positions of a block.
    pub fn positions(&self) -> u8 {
        self.positions
    }

    /// A vector from anywhere.
    pub fn copy(&mut self, size: Size, bytes: u8, to: Register, from: Place) {
        match (from, self.encoding) {
            (Place::Pool(n), Encoding::Evex) => self.vector(x86::BROADCAST.of(size), bytes, to, 0, Place::PoolSingle(n)),
            _ => self.vector(x86::LOAD.of(size), bytes, to, 0, from),
        }
    }

    /// An instruction on vectors of so many bytes: result, first operand, last operand.
    pub fn vector(&mut self, opcode: Opcode, bytes: u8, to: Register, a: Register, b: Place) {
        self.instruction(opcode, bytes, to, a, b, Lanes::default(), 0);
    }

    /// The same with a byte after it.
    pub fn vector_with(&mut self, opcode: Opcode, bytes: u8, to: Register, a: Register, b: Place, byte: u8) {
        self.instruction(opcode, bytes, to, a, b, Lanes::default(), 1);
        self.bytes.push(byte);
    }

    /// The same for some lanes.
    pub fn lanes(&mut self, lanes: Lanes, opcode: Opcode, bytes: u8, to: Register, a: Register, b: Place) {
        self.instruction(opcode, bytes, to, a, b, lanes, 0);
    }

    /// The same with a byte after it.
    #[allow(clippy::too_many_arguments, reason = "the fields of an instruction")]
    pub fn lanes_with(&mut self, lanes: Lanes, opcode: Opcode, bytes: u8, to: Register, a: Register, b: Place, byte: u8) {
        self.instruction(opcode, bytes, to, a, b, lanes, 1);
        self.bytes.push(byte);
    }

    /// Moves the bits of lanes.
    pub fn shift(&mut self, digit: u8, size: Size, bytes: u8, to: Register, a: Register, by: u8) {
        let opcode = x86::SHIFT.of(size);
        // The result stands where other instructions have their first operand.
        self.instruction(opcode, bytes, digit, to, Place::Register(a), Lanes::default(), 1);
        self.bytes.push(by);
    }

    /// An instruction on masks of as many bits as there are positions in a block.
    pub fn mask(&mut self, opcode: MaskOpcode, to: Register, a: Register, b: Place) {
        let prefix = if self.positions == 8 { x86::Prefix::P66 } else { x86::Prefix::None };
        let MaskOpcode { byte, two } = opcode;
        self.vex(Opcode { prefix, map: x86::Map::M0F, byte, wide: Wide::No }, u8::from(two), to, a, b, 0);
    }

    /// A mask of the bits that are the fourth argument.
    pub fn mask_of_argument(&mut self, to: Register) {
        self.mask(x86::MASK_FROM_BITS, to, 0, Place::Register(1)); // ecx
    }

    /// Says which pointer of the table [`Place::Element`] and [`Place::Single`] are seen from, and fetches it if it is not
    /// in a register.
    pub fn pointer(&mut self, n: u32) {
        self.base = HELD[..self.held].get(n as usize).copied().unwrap_or(RAX);
        if self.base == RAX && self.in_rax != Some(n) {
            self.of_table(0x8b, RAX, n); // mov rax, [rdi + 8 n]
            self.in_rax = Some(n);
        }
    }

    /// An instruction on a general register and a number of the table: register, [rdi + 8 n].
    fn of_table(&mut self, opcode: u8, register: Register, n: u32) {
        self.bytes.extend([0x48 | (register >> 3) << 2, opcode, 0x87 | (register & 7) << 3]);
        self.bytes.extend((8 * n).to_le_bytes());
    }

    /// Says how far [`Place::Round`] is: the position, counted from 0 again after `last`, which is one less than a power of two
    /// up to 128.
    pub fn count_round(&mut self, last: u8) {
        self.bytes.extend([0x89, 0xf0, 0x83, 0xe0, last]); // mov eax, esi; and eax, last
        self.in_rax = None;
    }

    /// Adds a mask, or with VEX the signs of a register's lanes, to what is reported.
    pub fn report(&mut self, signs: Pair, size: Size, bytes: u8, from: Register) {
        match self.encoding {
            Encoding::Vex => self.vector(signs.of(size), bytes, 0, 0, Place::Register(from)), // eax
            Encoding::Evex => self.mask(x86::MASK_TO_BITS, 0, 0, Place::Register(from)),
        }
        self.bytes.extend([0x41, 0x09, 0xc2]); // or r10d, eax
        self.in_rax = None;
    }

    /// Makes room for slots of a vector each on the stack, and keeps `many` where the position is not.
    pub fn enter(&mut self, slots: u32) {
        self.bytes.extend([0x49, 0x89, 0xf1]); // mov r9, rsi
        self.bytes.extend([0x45, 0x31, 0xd2]); // xor r10d, r10d
        for &register in self.given_back() {
            self.bytes.extend_from_slice(if register < 8 { &[0x50] } else { &[0x41, 0x50] }); // push
            self.name_register(register);
        }
        (0..).zip(&HELD[..self.held]).for_each(|(n, &register)| self.of_table(0x8b, register, n)); // mov
        self.frame(slots);
    }

    /// Those of the registers with pointers that the caller wants back.
    fn given_back(&self) -> &'static [Register] {
        HELD[..self.held].get(1..).unwrap_or_default()
    }

    /// Adds the number of a register to the opcode written last.
    fn name_register(&mut self, register: Register) {
        if let Some(opcode) = self.bytes.last_mut() {
            *opcode += register & 7;
        }
    }

    /// Room for slots.
    fn frame(&mut self, slots: u32) {
        let room = self.room(slots);
        if room == 0 {
            return;
        }
        self.bytes.extend([0x55, 0x48, 0x89, 0xe5]); // push rbp; mov rbp, rsp
        // Page by page, so that a stack that ends ends here and not in somebody else's memory.
        for page in 1..=(room + 64) / 4096 {
            self.bytes.extend([0x48, 0x83, 0x8c, 0x24]); // or qword [rsp - 4096 page], 0
            self.bytes.extend((-4096 * page as i32).to_le_bytes());
            self.bytes.push(0);
        }
        self.bytes.extend([0x48, 0x81, 0xec]); // sub rsp, room
        self.bytes.extend(room.to_le_bytes());
        self.bytes.extend([0x48, 0x83, 0xe4, 0xc0]); // and rsp, -64: no vector lies in two cache lines
    }

    /// Bytes of the stack for slots and what lies below.
    fn room(&self, slots: u32) -> u32 {
        slots * u32::from(self.encoding.bytes()) + self.aside
    }

    /// Gives the room back, forgets the upper halves of registers, and returns.
    pub fn leave(&mut self, slots: u32) {
        if self.room(slots) > 0 {
            self.bytes.extend([0x48, 0x89, 0xec, 0x5d]); // mov rsp, rbp; pop rbp
        }
        for &register in self.given_back().iter().rev() {
            self.bytes.extend_from_slice(if register < 8 { &[0x58] } else { &[0x41, 0x58] }); // pop
            self.name_register(register);
        }
        self.bytes.extend([0x44, 0x89, 0xd0]); // mov eax, r10d
        self.bytes.extend([0xc5, 0xf8, 0x77, 0xc3]); // vzeroupper, ret
    }

    /// Code written apart.
    pub fn append(&mut self, other: Assembler) {
        let start = self.bytes.len();
        self.in_rax = None;
        self.bytes.extend(other.bytes);
        self.pool_uses.extend(other.pool_uses.into_iter().map(|(at, constant)| (start + at, constant)));
    }

    /// Begins a row at position 0 and says where that is.
    pub fn start_row(&mut self) -> usize {
        let row = self.bytes.len();
        self.bytes.extend([0x31, 0xf6]); // xor esi, esi
        row
    }

    /// Goes elsewhere unless some blocks fit the row.
    pub fn unless_many(&mut self) -> Jump {
        self.bytes.extend([0x4d, 0x85, 0xc9]); // test r9, r9
        self.jump(0x84) // jz
    }

    /// Goes elsewhere unless a whole block is left.
    pub fn unless_one(&mut self) -> Jump {
        self.bytes.extend([0x48, 0x39, 0xd6]); // cmp rsi, rdx
        self.jump(0x83) // jae
    }

    /// Goes elsewhere unless there is a mask.
    pub fn unless_part(&mut self) -> Jump {
        self.bytes.extend([0x48, 0x85, 0xc9]); // test rcx, rcx
        self.jump(0x84) // jz
    }

    /// Moves on by some blocks and goes back to `start` unless they do not fit any more.
    pub fn repeat_many(&mut self, start: usize, blocks: u8) {
        self.bytes.extend([0x48, 0x83, 0xc6, self.positions * blocks]); // add rsi, positions * blocks
        self.bytes.extend([0x4c, 0x39, 0xce]); // cmp rsi, r9
        self.jump_back(&[0x0f, 0x82], start); // jb
    }

    /// Moves on by a block and goes back to `start` unless none is left.
    pub fn repeat_one(&mut self, start: usize) {
        self.bytes.extend([0x48, 0x83, 0xc6, self.positions]); // add rsi, positions
        self.bytes.extend([0x48, 0x39, 0xd6]); // cmp rsi, rdx
        self.jump_back(&[0x0f, 0x82], start); // jb
    }

    /// Goes on to the next row, if there is one: moves each pointer by its distance, which stands in
    /// the table after all pointers.
    pub fn next_row(&mut self, row: usize, ports: u32) {
        self.bytes.extend([0x49, 0xff, 0xc8]); // dec r8
        let end = self.jump(0x84); // jz
        for port in 0..ports {
            match HELD[..self.held].get(port as usize) {
                Some(&register) => self.of_table(0x03, register, ports + port), // add register, [rdi + 8 ..]
                None => {
                    self.of_table(0x8b, RAX, ports + port); // mov rax, [rdi + 8 ..]
                    self.of_table(0x01, RAX, port); // add [rdi + 8 port], rax
                }
            }
        }
        self.jump_back(&[0xe9], row); // jmp
        self.land(end);
    }

    /// A jump forward on a condition.
    fn jump(&mut self, condition: u8) -> Jump {
        self.bytes.extend([0x0f, condition, 0, 0, 0, 0]);
        Jump(self.bytes.len())
    }

    /// Lets a jump end here.
    pub fn land(&mut self, Jump(from): Jump) {
        let distance = (self.bytes.len() - from) as i32;
        self.bytes[from - 4..from].copy_from_slice(&distance.to_le_bytes());
    }

    fn jump_back(&mut self, opcode: &[u8], to: usize) {
        self.bytes.extend(opcode);
        let distance = to as i64 - (self.bytes.len() as i64 + 4);
        self.bytes.extend((distance as i32).to_le_bytes());
    }

    /// Appends the pool, each constant as often as it is read, and fills in the distances.
    pub fn finish(mut self, pool: &[u64]) -> Vec<u8> {
        let each = self.encoding.pool_bytes();
        self.bytes.resize(self.bytes.len().next_multiple_of(each), 0xcc);
        let start = self.bytes.len();
        for &constant in pool {
            (0..each / 8).for_each(|_| self.bytes.extend(constant.to_le_bytes()));
        }
        for (at, constant) in self.pool_uses {
            let tail = i32::from_le_bytes([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]]);
            // The distance counts from the end of the instruction, `tail` bytes after the field.
            let distance = (start + each * constant as usize) as i64 - (at as i64 + 4 + i64::from(tail));
            self.bytes[at..at + 4].copy_from_slice(&(distance as i32).to_le_bytes());
        }
        self.bytes
    }

    /// Prefix, opcode and operands of an instruction; `tail` bytes will follow.
    #[allow(clippy::too_many_arguments, reason = "the fields of an instruction")]
    fn instruction(&mut self, opcode: Opcode, bytes: u8, to: Register, a: Register, b: Place, lanes: Lanes, tail: u8) {
        let length = bytes.trailing_zeros() as u8 - 4;
        match self.encoding {
            Encoding::Vex => self.vex(opcode, length, to, a, b, tail),
            Encoding::Evex => self.evex(opcode, length, to, a, b, lanes, tail),
        }
    }

    /// A VEX instruction of vectors of `16 << length` bytes.
    fn vex(&mut self, opcode: Opcode, length: u8, register: Register, a: Register, b: Place, tail: u8) {
        let Opcode { prefix, map, byte, wide } = opcode;
        let base = self.base_of(b);
        let high = |register: u8, bit: u8| ((!register >> 3) & 1) << bit;
        self.bytes.push(0xc4);
        self.bytes.push(high(register, 7) | 1 << 6 | high(base, 5) | map as u8);
        self.bytes.push(u8::from(wide == Wide::Yes) << 7 | (!a & 15) << 3 | length << 2 | prefix as u8);
        self.bytes.push(byte);
        // Distances count in bytes.
        self.operand(register, b, |bytes, positions, block| bytes * positions * block, tail);
    }

    /// An EVEX instruction of vectors of `16 << length` bytes. A constant is repeated as it is read.
    #[allow(clippy::too_many_arguments, reason = "the fields of an instruction")]
    fn evex(&mut self, opcode: Opcode, length: u8, register: Register, a: Register, b: Place, lanes: Lanes, tail: u8) {
        let Opcode { prefix, map, byte, wide } = opcode;
        let base = self.base_of(b);
        let inverted = |register: u8, bit: u8, to: u8| ((!register >> bit) & 1) << to;
        self.bytes.push(0x62);
        self.bytes.push(inverted(register, 3, 7) | inverted(base, 4, 6) | inverted(base, 3, 5) | inverted(register, 4, 4) | map as u8);
        self.bytes.push(u8::from(wide != Wide::No) << 7 | (!a & 15) << 3 | 1 << 2 | prefix as u8);
        let repeats = matches!(b, Place::Pool(_));
        self.bytes.push(u8::from(lanes.zero) << 7 | length << 5 | u8::from(repeats) << 4 | inverted(a, 4, 3) | lanes.mask);
        self.bytes.push(byte);
        // Distances count in what an instruction reads or writes: one block.
        self.operand(register, b, |_, _, block| block, tail);
    }

    /// The register of an operand, or that from which its place is seen, if its number may be above 7.
    fn base_of(&self, b: Place) -> Register {
        match b {
            Place::Register(b) => b,
            Place::Element { .. } | Place::Single => self.base,
            _ => 0,
        }
    }

    /// The byte ModR/M and what belongs to it.
    fn operand(&mut self, register: Register, b: Place, near: impl Fn(u8, u8, u8) -> u8, tail: u8) {
        let field = (register & 7) << 3;
        match b {
            Place::Register(b) => self.bytes.push(0xc0 | field | (b & 7)),
            Place::Pool(constant) | Place::PoolSingle(constant) => {
                self.bytes.push(field | 0b101);
                self.pool_uses.push((self.bytes.len(), constant));
                self.bytes.extend(i32::from(tail).to_le_bytes());
            }
            // [rsp + distance]
            Place::Stack(slot) => self.on_stack(field, 0x24, self.room(slot)),
            Place::Aside(at) => self.on_stack(field, 0x24, at),
            // [rsp + rax * bytes + distance]
            Place::Round { bytes, at } => self.on_stack(field, 0b100 | (bytes.trailing_zeros() as u8) << 6, at),
            // [base + rsi * bytes + distance]
            Place::Element { bytes, block } => {
                let scale = bytes.trailing_zeros() as u8 * 64;
                self.bytes.extend([0x40 | field | 0b100, scale | (6 << 3) | self.base & 7, near(bytes, self.positions, block)]);
            }
            Place::Single if self.base == RAX => self.bytes.push(field),
            // [base + 0]; that of r12 stands for a byte of its own.
            Place::Single => {
                self.bytes.push(0x40 | field | self.base & 7);
                if self.base & 7 == 0b100 {
                    self.bytes.push(0x24);
                }
                self.bytes.push(0);
            }
            Place::Mask => self.bytes.push(field | 1),
        }
    }

    /// Asks for the cache line so many bytes beyond a block's elements, as far as the second cache: prefetcht1
    /// [base + rsi * bytes + distance].
    pub fn ask(&mut self, bytes: u8, block: u8, beyond: u32) {
        if self.base & 8 != 0 {
            self.bytes.push(0x41);
        }
        let scale = bytes.trailing_zeros() as u8 * 64;
        self.bytes.extend([0x0f, 0x18, 0x80 | 2 << 3 | 0b100, scale | (6 << 3) | self.base & 7]);
        let distance = u32::from(bytes) * u32::from(self.positions) * u32::from(block) + beyond;
        self.bytes.extend(distance.to_le_bytes());
    }

    fn on_stack(&mut self, field: u8, base: u8, distance: u32) {
        self.bytes.extend([0x80 | field | 0b100, base]);
        self.bytes.extend(distance.to_le_bytes());
    }
}
