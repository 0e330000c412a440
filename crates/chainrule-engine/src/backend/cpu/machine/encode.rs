//! Instructions as bytes: the few of x86-64 with 256-bit vectors that fused code needs.
//!
//! Refuses to know values and registers' contents; a caller names registers and addresses.
//! Encodings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, section 2.3
//! (VEX prefixes) and the pages of the instructions.

/// A vector register, 0 to 15.
pub type Register = u8;

/// Where the last operand of an instruction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a vector register.
    Register(Register),
    /// A constant of the pool, by its number.
    Pool(u32),
    /// On the stack, by the number of its slot.
    Stack(u32),
    /// At the pointer last fetched by [`Assembler::pointer`], plus the position times `bytes`, so
    /// many blocks of eight further on.
    Element {
        /// Bytes of an element: 1 or 4.
        bytes: u8,
        /// How many blocks further.
        block: u8,
    },
    /// At that pointer itself.
    Single,
    /// Where the fourth argument points to.
    Mask,
}

/// The bytes before the opcode, as the manual writes them.
#[derive(Clone, Copy, Debug)]
pub enum Prefix {
    /// None.
    None = 0,
    /// 66.
    P66 = 1,
}

/// The map of opcodes.
#[derive(Clone, Copy, Debug)]
pub enum Map {
    /// 0F.
    M0F = 1,
    /// 0F 38.
    M0F38 = 2,
    /// 0F 3A.
    M0F3A = 3,
}

/// An operation: prefix, map and opcode.
#[derive(Clone, Copy, Debug)]
pub struct Opcode(pub Prefix, pub Map, pub u8);

macro_rules! opcodes {
    ($($name:ident $prefix:ident $map:ident $code:literal)*) => {
        $(#[doc = concat!("v", stringify!($name), ", in lower case.")]
        pub const $name: Opcode = Opcode(Prefix::$prefix, Map::$map, $code);)*
    };
}
opcodes! {
    ADDPS None M0F 0x58
    MULPS None M0F 0x59
    SUBPS None M0F 0x5c
    DIVPS None M0F 0x5e
    MINPS None M0F 0x5d
    MAXPS None M0F 0x5f
    SQRTPS None M0F 0x51
    ANDPS None M0F 0x54
    ORPS None M0F 0x56
    XORPS None M0F 0x57
    CMPPS None M0F 0xc2
    CVTDQ2PS None M0F 0x5b
    MOVMSKPS None M0F 0x50
    MOVUPS_LOAD None M0F 0x10
    MOVUPS_STORE None M0F 0x11
    PADDD P66 M0F 0xfe
    PSUBD P66 M0F 0xfa
    PCMPGTD P66 M0F 0x66
    SHIFT_DWORDS P66 M0F 0x72
    PACKSSDW P66 M0F 0x6b
    PACKUSWB P66 M0F 0x67
    MOVQ_STORE P66 M0F 0xd6
    BROADCASTSS P66 M0F38 0x18
    MASKMOVPS_LOAD P66 M0F38 0x2c
    MASKMOVPS_STORE P66 M0F38 0x2e
    PMOVZXBD P66 M0F38 0x31
    FMADD213PS P66 M0F38 0xa8
    FMADD231PS P66 M0F38 0xb8
    FNMADD213PS P66 M0F38 0xac
    FNMADD231PS P66 M0F38 0xbc
    ROUNDPS P66 M0F3A 0x08
    EXTRACTI128 P66 M0F3A 0x39
    BLENDVPS P66 M0F3A 0x4a
}

/// `/digit` of [`SHIFT_DWORDS`] to the left.
pub const LEFT: Register = 6;
/// To the right, zeros following.
pub const RIGHT: Register = 2;
/// To the right, the sign following.
pub const RIGHT_SIGNED: Register = 4;

/// Writes code for a function `(table, many, whole, mask, rows)` in the registers of the System V
/// calling convention: rdi, rsi, rdx, rcx, r8. The position is kept in rsi, `many` in r9, what is
/// reported in r10; rax serves for pointers, and for the answer.
#[derive(Default)]
pub struct Assembler {
    /// The bytes so far.
    pub bytes: Vec<u8>,
    /// Where four bytes wait for the distance to a constant of the pool.
    pool_uses: Vec<(usize, u32)>,
}

/// A jump whose aim is not known yet.
pub struct Jump(usize);

impl Assembler {
    /// An instruction on 256-bit registers: result, first operand, last operand.
    pub fn vector(&mut self, opcode: Opcode, to: Register, a: Register, b: Place) {
        self.vex(opcode, true, to, a, b, 0);
    }

    /// The same with a byte after it.
    pub fn vector_with(&mut self, opcode: Opcode, to: Register, a: Register, b: Place, byte: u8) {
        self.vex(opcode, true, to, a, b, 1);
        self.bytes.push(byte);
    }

    /// An instruction on 128-bit registers.
    pub fn half(&mut self, opcode: Opcode, to: Register, a: Register, b: Place) {
        self.vex(opcode, false, to, a, b, 0);
    }

    /// Moves the bits of 32-bit lanes.
    pub fn shift(&mut self, digit: Register, to: Register, a: Register, by: u8) {
        self.vex(SHIFT_DWORDS, true, digit, to, Place::Register(a), 1);
        self.bytes.push(by);
    }

    /// Fetches a pointer of the table, for [`Place::Element`] and [`Place::Single`]: rax = [rdi + 8 n].
    pub fn pointer(&mut self, n: u32) {
        self.bytes.extend([0x48, 0x8b, 0x87]);
        self.bytes.extend((8 * n).to_le_bytes());
    }

    /// Adds the signs of a register's lanes to what is reported.
    pub fn report(&mut self, from: Register) {
        self.vector(MOVMSKPS, 0, 0, Place::Register(from)); // eax
        self.bytes.extend([0x41, 0x09, 0xc2]); // or r10d, eax
    }

    /// Makes room for 32-byte slots on the stack, rsp -= 32 n, and keeps `many` where the position
    /// is not.
    pub fn enter(&mut self, slots: u32) {
        self.bytes.extend([0x49, 0x89, 0xf1]); // mov r9, rsi
        self.bytes.extend([0x45, 0x31, 0xd2]); // xor r10d, r10d
        // Page by page, so that a stack that ends ends here and not in somebody else's memory.
        for page in 1..=32 * slots / 4096 {
            self.bytes.extend([0x48, 0x83, 0x8c, 0x24]); // or qword [rsp - 4096 page], 0
            self.bytes.extend((-4096 * page as i32).to_le_bytes());
            self.bytes.push(0);
        }
        if slots > 0 {
            self.bytes.extend([0x48, 0x81, 0xec]);
            self.bytes.extend((32 * slots).to_le_bytes());
        }
    }

    /// Gives the room back, forgets the upper halves of registers, and returns.
    pub fn leave(&mut self, slots: u32) {
        if slots > 0 {
            self.bytes.extend([0x48, 0x81, 0xc4]);
            self.bytes.extend((32 * slots).to_le_bytes());
        }
        self.bytes.extend([0x44, 0x89, 0xd0]); // mov eax, r10d
        self.bytes.extend([0xc5, 0xf8, 0x77, 0xc3]); // vzeroupper, ret
    }

    /// Code written apart.
    pub fn append(&mut self, other: Assembler) {
        let start = self.bytes.len();
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
        self.bytes.extend([0x48, 0x83, 0xc6, 8 * blocks]); // add rsi, 8 blocks
        self.bytes.extend([0x4c, 0x39, 0xce]); // cmp rsi, r9
        self.jump_back(&[0x0f, 0x82], start); // jb
    }

    /// Moves on by a block and goes back to `start` unless none is left.
    pub fn repeat_one(&mut self, start: usize) {
        self.bytes.extend([0x48, 0x83, 0xc6, 0x08]); // add rsi, 8
        self.bytes.extend([0x48, 0x39, 0xd6]); // cmp rsi, rdx
        self.jump_back(&[0x0f, 0x82], start); // jb
    }

    /// Goes on to the next row, if there is one: moves each pointer by its distance, which stands in
    /// the table after all pointers.
    pub fn next_row(&mut self, row: usize, ports: u32) {
        self.bytes.extend([0x49, 0xff, 0xc8]); // dec r8
        let end = self.jump(0x84); // jz
        for port in 0..ports {
            self.pointer(ports + port);
            self.bytes.extend([0x48, 0x01, 0x87]); // add [rdi + 8 port], rax
            self.bytes.extend((8 * port).to_le_bytes());
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

    /// Appends the pool, each constant in eight lanes, and fills in the distances.
    pub fn finish(mut self, pool: &[u32]) -> Vec<u8> {
        self.bytes.resize(self.bytes.len().next_multiple_of(32), 0xcc);
        let start = self.bytes.len();
        for &constant in pool {
            (0..8).for_each(|_| self.bytes.extend(constant.to_le_bytes()));
        }
        for (at, constant) in self.pool_uses {
            let tail = i32::from_le_bytes([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]]);
            // The distance counts from the end of the instruction, `tail` bytes after the field.
            let distance = (start + 32 * constant as usize) as i64 - (at as i64 + 4 + i64::from(tail));
            self.bytes[at..at + 4].copy_from_slice(&(distance as i32).to_le_bytes());
        }
        self.bytes
    }

    /// Prefix, opcode and operands of a VEX instruction; `tail` bytes will follow.
    fn vex(&mut self, Opcode(prefix, map, opcode): Opcode, wide: bool, register: u8, a: Register, b: Place, tail: u8) {
        let base = match b {
            Place::Register(b) => b,
            _ => 0,
        };
        let high = |register: u8, bit: u8| ((!register >> 3) & 1) << bit;
        self.bytes.push(0xc4);
        self.bytes.push(high(register, 7) | 1 << 6 | high(base, 5) | map as u8);
        self.bytes.push((!a & 15) << 3 | u8::from(wide) << 2 | prefix as u8);
        self.bytes.push(opcode);
        let field = (register & 7) << 3;
        match b {
            Place::Register(b) => self.bytes.push(0xc0 | field | (b & 7)),
            Place::Pool(constant) => {
                self.bytes.push(field | 0b101);
                self.pool_uses.push((self.bytes.len(), constant));
                self.bytes.extend(i32::from(tail).to_le_bytes());
            }
            Place::Stack(slot) => {
                self.bytes.extend([0x80 | field | 0b100, 0x24]);
                self.bytes.extend((32 * slot).to_le_bytes());
            }
            // [rax + rsi * bytes + distance]
            Place::Element { bytes, block } => {
                self.bytes.extend([0x40 | field | 0b100, (bytes.trailing_zeros() as u8 * 64) | (6 << 3), 8 * bytes * block]);
            }
            Place::Single => self.bytes.push(field),
            Place::Mask => self.bytes.push(field | 1),
        }
    }
}
