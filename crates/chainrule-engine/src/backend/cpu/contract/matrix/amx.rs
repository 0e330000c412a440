//! The instructions of AMX, by inline assembly: this machine's unit.
//!
//! Refuses to run where [`is_there`] or [`permitted`] says no; whoever takes the unit has asked.

use super::{Block, LooseBlock, Unit, fills_blocks};
use std::arch::asm;

/// Its speeds are those of probes of one core, operands in the nearest cache; of three parts, of the loop over blocks.
pub static UNIT: Unit = Unit {
    start,
    blocks: &[one, two, three],
    loose: &[loose_one, loose_two, loose_three],
    speeds: &[1400.0, 500.0, 220.0],
    worth: fills_blocks,
    end,
};

/// Whether processor and system know tiles and bf16 products of them (CPUID leaf 7, EDX bits 22 and 24; XCR0
/// bits 17 and 18).
pub fn is_there() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    // SAFETY: every x86-64 has the instruction.
    #[allow(unused_unsafe, reason = "newer standard libraries call it safe")]
    let (saves, leaves, features) = unsafe { (__cpuid(1).ecx >> 27 & 1, __cpuid(0).eax, __cpuid_count(7, 0).edx) };
    if saves == 0 || leaves < 7 || features >> 22 & 1 == 0 || features >> 24 & 1 == 0 {
        return false;
    }
    let enabled: u32;
    // SAFETY: the system has set OSXSAVE, which is what the instruction needs.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") enabled, out("edx") _, options(nomem, nostack)) };
    enabled >> 17 & 3 == 3
}

/// Asks the kernel for the permission to use tile registers, which all threads of the process then have
/// (Documentation/arch/x86/xstate.rst of the Linux kernel).
pub fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;
    // SAFETY: the call reads and writes no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 }
}

/// Eight tiles of sixteen rows of 64 bytes (the layout of LDTILECFG's operand, palette 1).
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_of_row: [u16; 16],
    rows: [u8; 16],
}

/// For each height of tiles of A and the result; those of B, the last two, have sixteen rows.
static SHAPES: [Shapes; 17] = {
    let mut all = [const { Shapes { palette: 1, start_row: 0, reserved: [0; 14], bytes_of_row: [0; 16], rows: [0; 16] } }; 17];
    let mut height = 1;
    while height <= 16 {
        let mut tile = 0;
        while tile < 8 {
            (all[height].bytes_of_row[tile], all[height].rows[tile]) = (64, if tile < 6 { height as u8 } else { 16 });
            tile += 1;
        }
        height += 1;
    }
    all
};

unsafe fn start(height: usize) {
    // SAFETY: the caller has asked whether there are tiles; the operand has the 64 bytes that are read.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &SHAPES[height], options(nostack, readonly)) };
}

unsafe fn end() {
    // SAFETY: as above.
    unsafe { asm!("tilerelease", options(nomem, nostack)) };
}

/// Sets the result, tiles 0 to 3, to zero.
macro_rules! zero {
    () => {
        "tilezero tmm0\ntilezero tmm1\ntilezero tmm2\ntilezero tmm3"
    };
}

/// Adds the products of tiles 4 and 5 with 6 and 7 to the result.
macro_rules! multiply {
    () => {
        "tdpbf16ps tmm0, tmm4, tmm6\ntdpbf16ps tmm1, tmm4, tmm7\ntdpbf16ps tmm2, tmm5, tmm6\ntdpbf16ps tmm3, tmm5, tmm7"
    };
}

/// Loads the two tiles of a part of a step: of A into tiles 4 and 5, of B into 6 and 7.
macro_rules! load {
    (a $part:literal) => {
        concat!("tileloadd tmm4, [{a} + {w}*1 + 2048*", $part, "]\ntileloadd tmm5, [{a} + {w}*1 + 2048*", $part, " + 1024]")
    };
    (b $part:literal) => {
        concat!("tileloadd tmm6, [{b} + {w}*1 + 2048*", $part, "]\ntileloadd tmm7, [{b} + {w}*1 + 2048*", $part, " + 1024]")
    };
}

/// A kernel for so many parts: what is loaded before each of the products of a step. Tiles 0 to 3 are the result.
macro_rules! kernel {
    ($name:ident, $parts:literal, $([$($side:ident $part:literal)*])*) => {
        unsafe fn $name(block: &Block) {
            // SAFETY: the caller's; the loop reads `steps` steps of both operands, and the code around it reads
            // 32 rows of 128 bytes of what was before and writes as many of the result.
            unsafe {
                asm!(
                    "test {p}, {p}",
                    "jz 2f",
                    "tileloadd tmm0, [{p} + {before}*1]",
                    "tileloadd tmm1, [{p} + {before}*1 + 64]",
                    "tileloadd tmm2, [{q} + {before}*1]",
                    "tileloadd tmm3, [{q} + {before}*1 + 64]",
                    "jmp 3f",
                    "2:",
                    zero!(),
                    "3:",
                    $(
                        $(load!($side $part),)*
                        multiply!(),
                    )*
                    concat!("add {a}, 2048*", $parts),
                    concat!("add {b}, 2048*", $parts),
                    "dec {n}",
                    "jnz 3b",
                    "tilestored [{c} + {row}*1], tmm0",
                    "tilestored [{c} + {row}*1 + 64], tmm1",
                    "tilestored [{d} + {row}*1], tmm2",
                    "tilestored [{d} + {row}*1 + 64], tmm3",
                    p = in(reg) block.before,
                    q = in(reg) block.before.wrapping_byte_offset(16 * block.before_row),
                    before = in(reg) block.before_row,
                    a = inout(reg) block.a => _,
                    b = inout(reg) block.b => _,
                    c = in(reg) block.c,
                    d = in(reg) block.c.wrapping_byte_offset(16 * block.c_row),
                    row = in(reg) block.c_row,
                    w = in(reg) 64_usize,
                    n = inout(reg) block.steps => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack)
                );
            }
        }
    };
}

/// Loads the two tiles of a part of a step: of A from two places, of B as above.
macro_rules! load_loose {
    (a $part:literal) => {
        concat!("tileloadd tmm4, [{s} + {r}*1 + 64*", $part, "]\ntileloadd tmm5, [{t} + {r}*1 + 64*", $part, "]")
    };
    (b $part:literal) => {
        load!(b $part)
    };
}

/// Where the sums of a block are: first row, first row of the second tile, bytes from row to row; before, and then.
#[repr(C)]
struct Sums {
    before: *const f32,
    before_second: *const f32,
    before_row: isize,
    c: *mut f32,
    c_second: *mut f32,
    c_row: isize,
}

/// The same for loose rows of A. What is needed before and after the loop alone waits in memory, as there are not
/// registers for all.
macro_rules! loose_kernel {
    ($name:ident, $parts:literal, $([$($side:ident $part:literal)*])*) => {
        unsafe fn $name(block: &LooseBlock) {
            let below = |row: isize| block.height as isize * row;
            let sums = Sums {
                before: block.before,
                before_second: block.before.wrapping_byte_offset(below(block.before_row)),
                before_row: block.before_row,
                c: block.c,
                c_second: block.c.wrapping_byte_offset(below(block.c_row)),
                c_row: block.c_row,
            };
            // SAFETY: the caller's; the loop reads `steps` steps of both operands, and the code around it reads
            // twice the height of rows of 128 bytes of what was before and writes as many of the result.
            unsafe {
                asm!(
                    "mov {s}, [{sums}]",
                    "test {s}, {s}",
                    "jz 2f",
                    "mov {t}, [{sums} + 8]",
                    "mov {r}, [{sums} + 16]",
                    "tileloadd tmm0, [{s} + {r}*1]",
                    "tileloadd tmm1, [{s} + {r}*1 + 64]",
                    "tileloadd tmm2, [{t} + {r}*1]",
                    "tileloadd tmm3, [{t} + {r}*1 + 64]",
                    "jmp 3f",
                    "2:",
                    zero!(),
                    "3:",
                    "mov {r}, {row}",
                    "4:",
                    "mov {t}, [{along}]",
                    "lea {s}, [{first} + {t}]",
                    "add {t}, {second}",
                    $(
                        $(load_loose!($side $part),)*
                        multiply!(),
                    )*
                    "add {along}, 8",
                    concat!("add {b}, 2048*", $parts),
                    "dec {n}",
                    "jnz 4b",
                    "mov {s}, [{sums} + 24]",
                    "mov {t}, [{sums} + 32]",
                    "mov {r}, [{sums} + 40]",
                    "tilestored [{s} + {r}*1], tmm0",
                    "tilestored [{s} + {r}*1 + 64], tmm1",
                    "tilestored [{t} + {r}*1], tmm2",
                    "tilestored [{t} + {r}*1 + 64], tmm3",
                    sums = in(reg) &raw const sums,
                    first = in(reg) block.tiles[0],
                    second = in(reg) block.tiles[1],
                    row = in(reg) block.row,
                    along = inout(reg) block.along => _,
                    b = inout(reg) block.b => _,
                    w = in(reg) 64_usize,
                    n = inout(reg) block.steps => _,
                    s = out(reg) _,
                    t = out(reg) _,
                    r = out(reg) _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack)
                );
            }
        }
    };
}

// Parts are numbered from the largest. One side changes at a time, so that 14 loads of tiles serve 24 products;
// what is left out is smaller than the rounding of what is there.
kernel!(one, 1, [a 0 b 0]);
kernel!(two, 2, [a 1 b 0] [a 0] [b 1]);
kernel!(three, 3, [a 2 b 0] [a 1] [b 1] [a 0] [b 0] [b 2]);
loose_kernel!(loose_one, 1, [a 0 b 0]);
loose_kernel!(loose_two, 2, [a 1 b 0] [a 0] [b 1]);
loose_kernel!(loose_three, 3, [a 2 b 0] [a 1] [b 1] [a 0] [b 0] [b 2]);
