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

/// A block whose rows of A are two tiles that lie in memory as [`super::loose`] has it.
#[derive(Clone, Copy)]
pub struct LooseBlock {
    /// How many times [`STEPS`] along the sum; at least one.
    pub steps: usize,
    /// The first row of each tile, for each part 64 bytes.
    pub tiles: [*const u8; 2],
    /// How many rows a tile has: what [`Unit::start`] was told.
    pub height: usize,
    /// Bytes from row to row of a tile.
    pub row: usize,
    /// For each step, how many bytes further all rows are.
    pub along: *const isize,
    /// The columns, as of a [`Block`].
    pub b: *const u8,
    /// The first of twice the height by 32 numbers that the sum begins with; null if with zeros.
    pub before: *const f32,
    /// Bytes from row to row of `before`.
    pub before_row: isize,
    /// The first of as many numbers of the result.
    pub c: *mut f32,
    /// Bytes from row to row of `c`.
    pub c_row: isize,
}

/// Computes such a block.
///
/// # Safety
/// The pointers are valid for what the fields say, and [`Unit::start`] was called on this thread with the height.
pub type LooseKernel = unsafe fn(&LooseBlock);

/// The rows of A of a strip.
#[derive(Clone, Copy)]
pub enum RowsOfA<'a> {
    /// Panels of 32 rows below each other.
    Panels {
        /// The first one.
        first: *const u8,
        /// Bytes from one to the next.
        panel: usize,
    },
    /// Tiles as [`LooseBlock`] has them.
    Loose {
        /// Below each other, the first row of each.
        tiles: &'a [*const u8],
        /// Rows of each.
        height: usize,
        /// Bytes from row to row.
        row: usize,
        /// Bytes to each step.
        along: &'a [isize],
    },
}

/// Rows of A, by a panel of B.
pub struct Strip<'a> {
    /// How many times [`STEPS`] along the sum; at least one.
    pub steps: usize,
    /// How many steps of two panels the nearest cache holds.
    pub near: usize,
    /// The rows.
    pub a: RowsOfA<'a>,
    /// The panel of B.
    pub b: *const u8,
    /// Bytes of a step of a panel.
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

impl Strip<'_> {
    /// Computes it, some blocks and the steps that are near at a time.
    ///
    /// # Safety
    /// The pointers are valid for what the fields say, `c` for rows and columns of the result alone; [`Unit::start`]
    /// was called on this thread with the height of tiles; the machine has the level's instructions.
    pub unsafe fn multiply(&self, kernels: (Kernel, LooseKernel), level: Level) {
        let height = self.block_rows();
        let pieces = self.steps.div_ceil(self.near);
        let piece = self.steps.div_ceil(pieces);
        for first in (0..self.size[0]).step_by(BLOCKS_OF_STRIP * height) {
            let rows = (self.size[0] - first).min(BLOCKS_OF_STRIP * height);
            for from in (0..self.steps).step_by(piece) {
                let steps = from..(from + piece).min(self.steps);
                for (at, down) in (first..first + rows).step_by(height).enumerate() {
                    // What needs no second visit needs no place of its own.
                    let at = if pieces > 1 { 1 + at } else { 1 };
                    let stop = Stop { down, sums: self.sums.wrapping_add(at * NUMBERS), spare: self.sums };
                    // SAFETY: the caller's.
                    unsafe { self.block(kernels, level, stop, steps.clone()) };
                }
            }
        }
    }

    /// Rows of a block.
    fn block_rows(&self) -> usize {
        match self.a {
            RowsOfA::Panels { .. } => SIDE,
            RowsOfA::Loose { height, .. } => 2 * height,
        }
    }

    /// Computes some steps of a block. All but the last ones leave their sums for the next.
    unsafe fn block(&self, kernels: (Kernel, LooseKernel), level: Level, stop: Stop, steps: Range<usize>) {
        let whole = self.block_rows();
        let (rows, cols) = ((self.size[0] - stop.down).min(whole), self.size[1]);
        let c = self.c.wrapping_byte_offset(stop.down as isize * self.c_row);
        let (first, last) = (steps.start == 0, steps.end == self.steps);
        let direct = [rows, cols] == [whole, SIDE] && (!self.apart || first && !self.add);
        let (before, before_row) = match (first, self.apart) {
            (false, false) => (stop.sums.cast_const(), ROW),
            (true, false) if direct && self.add => (c.cast_const(), self.c_row),
            _ => (std::ptr::null(), 0),
        };
        let own = if first || !self.apart { stop.sums } else { stop.spare };
        let (to, to_row) = if last && direct { (c, self.c_row) } else { (own, ROW) };
        // SAFETY: the caller's.
        unsafe {
            let (count, b) = (steps.len(), self.b.add(steps.start * self.step));
            match self.a {
                RowsOfA::Panels { first, panel } => {
                    let a = first.add(stop.down / SIDE * panel + steps.start * self.step);
                    (kernels.0)(&Block { steps: count, a, b, before, before_row, c: to, c_row: to_row });
                }
                RowsOfA::Loose { tiles, height, row, along } => {
                    // Where there is but one tile left, it stands for the other, too, whose rows nobody takes.
                    let at = stop.down / height;
                    let tiles = [tiles[at], tiles[(at + 1).min(tiles.len() - 1)]];
                    let along = along[steps.start..].as_ptr();
                    (kernels.1)(&LooseBlock { steps: count, tiles, height, row, along, b, before, before_row, c: to, c_row: to_row });
                }
            }
            let more = if first || !self.apart { std::ptr::null() } else { stop.spare.cast_const() };
            if !last && !more.is_null() {
                put(&Sums { sums: more, more: std::ptr::null(), c: stop.sums, c_row: ROW, rows: whole, cols: SIDE, add: true }, level);
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
    /// Prepares this thread for tiles of A, and of the result, of so many rows, up to sixteen.
    pub start: unsafe fn(usize),
    /// Blocks of numbers in one, two and three parts, of tiles of sixteen rows.
    pub blocks: [Kernel; 3],
    /// The same with loose rows of A.
    pub loose: [LooseKernel; 3],
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
    use super::{Block, LooseBlock, Unit};
    use std::arch::asm;

    pub static UNIT: Unit = Unit { start, blocks: [one, two, three], loose: [loose_one, loose_two, loose_three], end };

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
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "tilezero tmm2",
                        "tilezero tmm3",
                        "3:",
                        "mov {r}, {row}",
                        "4:",
                        "mov {t}, [{along}]",
                        "lea {s}, [{first} + {t}]",
                        "add {t}, {second}",
                        $(
                            $(load_loose!($side $part),)*
                            "tdpbf16ps tmm0, tmm4, tmm6",
                            "tdpbf16ps tmm1, tmm4, tmm7",
                            "tdpbf16ps tmm2, tmm5, tmm6",
                            "tdpbf16ps tmm3, tmm5, tmm7",
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
}

#[cfg(test)]
pub mod emulated;
