//! Matrix tiles: what Intel's AMX unit does with sixteen rows of 64 bytes, and nothing else.
//!
//! A unit multiplies blocks of 32 rows by 32 columns: four accumulators, two tiles of A, two of B. Operands
//! come in steps of 32 along the sum, each number in one to three bf16 parts (`split.rs` lays them out).
//!
//! Refuses to pack, to choose, and to run where the processor or the kernel does not allow it. The instructions'
//! numbers (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS): products are exact,
//! each is added in f32, rounded to nearest even; numbers below 2^-126 count as zero, in and out.

use super::super::level::Level;
use std::ops::Range;

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
    /// The first of 32 by 32 numbers that the sum begins with; null if with zeros.
    pub before: *const f32,
    /// Bytes from row to row of `before`.
    pub before_row: isize,
    /// The first of 32 by 32 numbers of the result.
    pub c: *mut f32,
    /// Bytes from row to row of `c`.
    pub c_row: isize,
}

/// Computes a block.
///
/// # Safety
/// The pointers are valid for what the fields say, and [`Unit::start`] was called on this thread.
pub type Kernel = unsafe fn(&Block);

/// Panels of A below each other, by one of B.
pub struct Strip {
    /// Bytes from a panel of A to the next.
    pub panel: usize,
    /// How many times [`STEPS`] along the sum; at least one.
    pub steps: usize,
    /// How many steps of two panels the nearest cache holds.
    pub near: usize,
    /// The first panel of A.
    pub a: *const u8,
    /// The panel of B.
    pub b: *const u8,
    /// Bytes of a step of either.
    pub step: usize,
    /// The first number of the result.
    pub c: *mut f32,
    /// Bytes from row to row of the result.
    pub c_row: isize,
    /// Rows of the result, and columns, of which there are at most [`SIDE`].
    pub size: [usize; 2],
    /// Whether the result is added to.
    pub add: bool,
    /// Whether what is near is a sum of its own before it is added: long sums of many parts lose less so, as an
    /// accumulator that has grown rounds away more of each part.
    pub apart: bool,
    /// Room for the sums of [`BLOCKS_OF_STRIP`] blocks, or of as many as the strip has, and of one more.
    pub sums: *mut f32,
}

/// How many blocks share the steps of a panel of B that are in the nearest cache.
pub const BLOCKS_OF_STRIP: usize = 8;

/// Numbers of a block.
pub const NUMBERS: usize = SIDE * SIDE;

/// Bytes from row to row of the sums of a block.
const ROW: isize = (SIDE * size_of::<f32>()) as isize;

/// A block of a strip on its way: its first row, and where its sums are until they are complete.
#[derive(Clone, Copy)]
struct Stop {
    down: usize,
    sums: *mut f32,
    spare: *mut f32,
}

impl Strip {
    /// Computes it, some blocks and the steps that are near at a time.
    ///
    /// # Safety
    /// The pointers are valid for what the fields say, `c` for rows and columns of the result alone; [`Unit::start`]
    /// was called on this thread; the machine has the level's instructions.
    pub unsafe fn multiply(&self, kernel: Kernel, level: Level) {
        let pieces = self.steps.div_ceil(self.near);
        let piece = self.steps.div_ceil(pieces);
        for first in (0..self.size[0]).step_by(BLOCKS_OF_STRIP * SIDE) {
            let rows = (self.size[0] - first).min(BLOCKS_OF_STRIP * SIDE);
            for from in (0..self.steps).step_by(piece) {
                let steps = from..(from + piece).min(self.steps);
                for (at, down) in (first..first + rows).step_by(SIDE).enumerate() {
                    // What needs no second visit needs no place of its own.
                    let at = if pieces > 1 { 1 + at } else { 1 };
                    let stop = Stop { down, sums: self.sums.wrapping_add(at * NUMBERS), spare: self.sums };
                    // SAFETY: the caller's.
                    unsafe { self.block(kernel, level, stop, steps.clone()) };
                }
            }
        }
    }

    /// Computes some steps of a block. All but the last ones leave their sums for the next.
    unsafe fn block(&self, kernel: Kernel, level: Level, stop: Stop, steps: Range<usize>) {
        let (rows, cols) = ((self.size[0] - stop.down).min(SIDE), self.size[1]);
        let c = self.c.wrapping_byte_offset(stop.down as isize * self.c_row);
        let (first, last) = (steps.start == 0, steps.end == self.steps);
        let direct = [rows, cols] == [SIDE; 2] && (!self.apart || first && !self.add);
        let (before, before_row) = match (first, self.apart) {
            (false, false) => (stop.sums.cast_const(), ROW),
            (true, false) if direct && self.add => (c.cast_const(), self.c_row),
            _ => (std::ptr::null(), 0),
        };
        let own = if first || !self.apart { stop.sums } else { stop.spare };
        let (to, to_row) = if last && direct { (c, self.c_row) } else { (own, ROW) };
        // SAFETY: the caller's.
        unsafe {
            kernel(&Block {
                steps: steps.len(),
                a: self.a.add(stop.down / SIDE * self.panel + steps.start * self.step),
                b: self.b.add(steps.start * self.step),
                before,
                before_row,
                c: to,
                c_row: to_row,
            });
            let more = if first || !self.apart { std::ptr::null() } else { stop.spare.cast_const() };
            if !last && !more.is_null() {
                put(&Sums { sums: more, more: std::ptr::null(), c: stop.sums, c_row: ROW, rows: SIDE, cols: SIDE, add: true }, level);
            } else if last && !direct {
                put(&Sums { sums: stop.sums, more, c, c_row: self.c_row, rows, cols, add: self.add }, level);
            }
        }
    }
}

/// Sums of a block on their way to the result.
struct Sums {
    sums: *const f32,
    /// Others to be added to these; null if there are none.
    more: *const f32,
    c: *mut f32,
    c_row: isize,
    rows: usize,
    cols: usize,
    add: bool,
}

/// Writes or adds the first rows and columns of a block to the result.
///
/// # Safety
/// The sums are valid for a block, `c` for those rows and columns; the machine has the level's instructions.
unsafe fn put(block: &Sums, level: Level) {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if level == Level::Avx512 {
            return put_wide(block);
        }
        let _ = level;
        put_any(block);
    }
}

/// # Safety
/// As [`put`], and the machine has the instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn put_wide(block: &Sums) {
    // SAFETY: the caller's.
    unsafe { put_any(block) }
}

/// # Safety
/// As [`put`].
#[inline(always)]
unsafe fn put_any(block: &Sums) {
    // SAFETY: the caller's.
    unsafe {
        match (block.more.is_null(), block.add) {
            (true, false) => put_rows::<false, false>(block),
            (true, true) => put_rows::<false, true>(block),
            (false, false) => put_rows::<true, false>(block),
            (false, true) => put_rows::<true, true>(block),
        }
    }
}

/// # Safety
/// As [`put`].
#[inline(always)]
unsafe fn put_rows<const MORE: bool, const ADD: bool>(block: &Sums) {
    const HALF: usize = SIDE / 2;
    type Half = [f32; HALF];
    let plus = |one: Half, other: Half| -> Half { std::array::from_fn(|i| one[i] + other[i]) };
    for row in 0..block.rows {
        let to = block.c.wrapping_byte_offset(row as isize * block.c_row);
        for first in [0, HALF] {
            let at = row * SIDE + first;
            let to = to.wrapping_add(first);
            // SAFETY: the caller's; columns stay below those of the block.
            unsafe {
                let mut sum = block.sums.add(at).cast::<Half>().read();
                if MORE {
                    sum = plus(sum, block.more.add(at).cast::<Half>().read());
                }
                if block.cols >= first + HALF {
                    let before = if ADD { to.cast::<Half>().read() } else { [0.0; HALF] };
                    to.cast::<Half>().write(if ADD { plus(before, sum) } else { sum });
                } else {
                    for (i, sum) in sum.iter().enumerate().take(block.cols.saturating_sub(first)) {
                        *to.add(i) = if ADD { to.add(i).read() + sum } else { *sum };
                    }
                }
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

    // Parts are numbered from the largest. One side changes at a time, so that 14 loads of tiles serve 24 products;
    // what is left out is smaller than the rounding of what is there.
    kernel!(one, 1, [a 0 b 0]);
    kernel!(two, 2, [a 1 b 0] [a 0] [b 1]);
    kernel!(three, 3, [a 2 b 0] [a 1] [b 1] [a 0] [b 0] [b 2]);
}

#[cfg(test)]
pub mod emulated;
