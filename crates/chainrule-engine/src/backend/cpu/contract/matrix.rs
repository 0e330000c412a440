//! Matrix tiles: what Intel's AMX unit does with sixteen rows of 64 bytes, and nothing else.
//!
//! A unit multiplies blocks of 32 rows by 32 columns: four accumulators, two tiles of A, two of B. Operands
//! come in steps of 32 along the sum, each number in one to three bf16 parts (`split.rs` lays them out).
//!
//! Refuses to pack, to choose, and to run where the processor or the kernel does not allow it. The instructions'
//! numbers (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS): products are exact,
//! each is added in f32, rounded to nearest even; numbers below 2^-126 count as zero, in and out.

use super::super::level::Level;

/// Rows, and columns, of a block.
pub const SIDE: usize = 32;
/// Steps of the sum that one tile of an operand holds.
pub const STEPS: usize = 32;
/// Bytes of a tile.
pub const TILE: usize = 1024;

/// A block of the result and what it is the product of.
#[derive(Clone, Copy)]
pub struct Block {
    /// How many times [`STEPS`] along the sum; at least one.
    pub steps: usize,
    /// The rows: for each `steps`, for each part, two tiles.
    pub a: *const u8,
    /// The columns, likewise.
    pub b: *const u8,
    /// The first of 32 by 32 numbers.
    pub c: *mut f32,
    /// Bytes from row to row of `c`.
    pub c_row: isize,
    /// Adds to `c` instead of overwriting it.
    pub add: bool,
}

/// Computes a block.
///
/// # Safety
/// The pointers are valid for what the fields say, and [`Unit::start`] was called on this thread.
pub type Kernel = unsafe fn(&Block);

/// Computes the first rows and columns of a block; if it is added, and `apart`, as a sum of its own that is then added:
/// long sums of many parts lose less so, as an accumulator that has grown rounds away more of each part.
///
/// # Safety
/// As [`Kernel`], but `c` is valid for so many rows and columns; the machine has the level's instructions.
pub unsafe fn part_of_block(kernel: Kernel, block: &Block, [rows, cols]: [usize; 2], apart: bool, level: Level) {
    // SAFETY: the caller's; a sum of its own has room for a whole block.
    unsafe {
        if [rows, cols] == [SIDE; 2] && !(block.add && apart) {
            return kernel(block);
        }
        let mut sums = Sums([[0.0; SIDE]; SIDE]);
        kernel(&Block { c: sums.0.as_mut_ptr().cast(), c_row: (SIDE * size_of::<f32>()) as isize, add: false, ..*block });
        #[cfg(target_arch = "x86_64")]
        if level == Level::Avx512 {
            return put_wide(&sums, block, rows, cols);
        }
        let _ = level;
        put(&sums, block, rows, cols);
    }
}

/// A block in memory of its own.
#[repr(align(64))]
struct Sums([[f32; SIDE]; SIDE]);

/// # Safety
/// As [`put`], and the machine has the instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn put_wide(sums: &Sums, block: &Block, rows: usize, cols: usize) {
    // SAFETY: the caller's.
    unsafe { put(sums, block, rows, cols) }
}

/// Writes or adds the first rows and columns of a block to the result.
///
/// # Safety
/// `c` of the block is valid for them.
#[inline(always)]
unsafe fn put(sums: &Sums, block: &Block, rows: usize, cols: usize) {
    for (row, sums) in sums.0.iter().enumerate().take(rows) {
        let to = block.c.wrapping_byte_offset(row as isize * block.c_row);
        // SAFETY: the caller's.
        unsafe {
            if block.add && cols == SIDE {
                let line = to.cast::<[f32; SIDE]>();
                let before = line.read_unaligned();
                line.write_unaligned(std::array::from_fn(|col| before[col] + sums[col]));
                continue;
            }
            for (col, sum) in sums.iter().enumerate().take(cols) {
                *to.add(col) = if block.add { to.add(col).read() + sum } else { *sum };
            }
        }
    }
}

/// What multiplies tiles.
pub struct Unit {
    /// Prepares this thread.
    pub start: unsafe fn(),
    /// Blocks of numbers in one, two and three parts.
    pub blocks: [Kernel; 3],
    /// Gives the registers back, so that they need not be saved when threads change.
    pub end: unsafe fn(),
}

impl Unit {
    /// That of this machine, if it has one and the kernel gives permission to use it.
    pub fn detect() -> Option<&'static Unit> {
        #[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
        {
            static ALLOWED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
            if *ALLOWED.get_or_init(|| amx::is_there() && amx::permitted()) {
                return Some(&amx::UNIT);
            }
        }
        None
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod amx {
    use super::{Block, Unit};
    use std::arch::asm;

    pub static UNIT: Unit = Unit { start, blocks: [one, two, three], end };

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

    static SHAPES: Shapes = {
        let (mut bytes_of_row, mut rows, mut tile) = ([0; 16], [0; 16], 0);
        while tile < 8 {
            (bytes_of_row[tile], rows[tile]) = (64, 16);
            tile += 1;
        }
        Shapes { palette: 1, start_row: 0, reserved: [0; 14], bytes_of_row, rows }
    };

    unsafe fn start() {
        // SAFETY: the caller has asked whether there are tiles; the operand has the 64 bytes that are read.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &SHAPES, options(nostack, readonly)) };
    }

    unsafe fn end() {
        // SAFETY: as above.
        unsafe { asm!("tilerelease", options(nomem, nostack)) };
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
                // SAFETY: the caller's; the loop reads `steps` steps of both operands, and reads and writes the
                // 32 rows of 128 bytes of the result.
                unsafe {
                    asm!(
                        "test {add:e}, {add:e}",
                        "jz 2f",
                        "tileloadd tmm0, [{c} + {row}*1]",
                        "tileloadd tmm1, [{c} + {row}*1 + 64]",
                        "tileloadd tmm2, [{d} + {row}*1]",
                        "tileloadd tmm3, [{d} + {row}*1 + 64]",
                        "jmp 3f",
                        "2:",
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "tilezero tmm2",
                        "tilezero tmm3",
                        "3:",
                        $(
                            $(load!($side $part),)*
                            "tdpbf16ps tmm0, tmm4, tmm6",
                            "tdpbf16ps tmm1, tmm4, tmm7",
                            "tdpbf16ps tmm2, tmm5, tmm6",
                            "tdpbf16ps tmm3, tmm5, tmm7",
                        )*
                        concat!("add {a}, 2048*", $parts),
                        concat!("add {b}, 2048*", $parts),
                        "dec {n}",
                        "jnz 3b",
                        "tilestored [{c} + {row}*1], tmm0",
                        "tilestored [{c} + {row}*1 + 64], tmm1",
                        "tilestored [{d} + {row}*1], tmm2",
                        "tilestored [{d} + {row}*1 + 64], tmm3",
                        add = in(reg) u32::from(block.add),
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

    // Parts are numbered from the largest. One side changes at a time, so that 14 loads of tiles serve 24 products;
    // what is left out is smaller than the rounding of what is there.
    kernel!(one, 1, [a 0 b 0]);
    kernel!(two, 2, [a 1 b 0] [a 0] [b 1]);
    kernel!(three, 3, [a 2 b 0] [a 1] [b 1] [a 0] [b 0] [b 2]);
}

#[cfg(test)]
pub mod emulated;
