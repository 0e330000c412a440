//! The accumulating loops of 256-bit blocks, in assembly.
//!
//! A block with twelve sums needs all but one or two of the sixteen vector registers. The compiler
//! moves some of them to memory and back at every step, which costs a fifth to half of the speed;
//! here the loop is written out, and the compiler chooses only which register is which.
//!
//! Where another thread shares the core, each instruction of a loop this short counts: so most go four steps at a time.
//!
//! Refuses to know tiles, packing and results: it adds products to the sums it is given.

use super::block::Block;
use std::arch::asm;
use std::arch::x86_64::{__m256, __m256d, __m256i};

/// A step of the sum: reads a row of B, all its vectors but the last in full, and for each row of A repeats one number and adds its
/// products to the sums. `$of_a` and `$of_b` say how far behind the pointers its numbers lie. `$read_last` reads B's last vector up to
/// its address; a masked read takes a little longer than a plain one.
macro_rules! step {
    ([$of_a:literal, $of_b:literal], [$load:literal, $broadcast:literal, $fma:literal], $read_last:literal, [$($b:ident $at:literal)*],
     $last_at:literal, $([$r:literal $address:literal $($sum:ident $column:ident)*])*) => {
        concat!(
            $($load, " {", stringify!($b), "}, [{b} + ", $at, $of_b, "]\n",)*
            $read_last, " [{b} + ", $last_at, $of_b, "]\n",
            $(
                $broadcast, " {factor}, [", $address, $of_a, "]\n",
                $($fma, " {", stringify!($sum), "}, {factor}, {", stringify!($column), "}\n",)*
            )*
        )
    };
}

/// Two loops, over runs of the sum and over the steps of a run. Rows of A are three to a pointer, as
/// addresses reach up to twice a stride. A run may be three steps long, and what the compiler does between two loops takes as long
/// as they do; so it is one piece of assembly. Only the `$moves` among the pointers into A are moved on: where another
/// thread shares the core, each instruction of a loop that is as short as this one counts.
macro_rules! steps {
    ($element:ty, $block:ident, $mask:ident, $sums:ident, $instructions:tt, $read_last:literal, [$($moves:literal)*], [$($b:ident $at:literal)*],
     $last_at:literal, $([$r:literal $address:literal $($sum:ident $column:ident)*])*) => {{
        let bytes = size_of::<$element>() as isize;
        let (row, step, down) = ($block.a_row * bytes, $block.a_step * bytes, $block.b_row * bytes);
        // From where a run has ended to where the next begins.
        let skip = $block.a_jump * bytes - $block.depth as isize * step;
        let a = $block.a;
        let (three, six) = ($block.a_three * bytes, $block.a_six * bytes);
        let a6 = a.wrapping_byte_offset(six);
        $(let [$(mut $sum),*] = $sums[$r];)*
        asm!(
            "2: /* not every loop needs {row}, {mask}, {a6} and {a9} */",
            "mov {n}, {depth}",
            "3:",
            step!(["", ""], $instructions, $read_last, [$($b $at)*], $last_at, $([$r $address $($sum $column)*])*),
            $(concat!("add {", $moves, "}, {step}"),)*
            "add {b}, {down}",
            "dec {n}",
            "jnz 3b",
            $(concat!("add {", $moves, "}, {skip}"),)*
            "dec {runs}",
            "jnz 2b",
            a = inout(reg) a => _,
            a3 = inout(reg) a.wrapping_byte_offset(three) => _,
            a6 = inout(reg) a6 => _,
            a9 = inout(reg) a6.wrapping_byte_offset(three) => _,
            b = inout(reg) $block.b => _,
            n = out(reg) _,
            depth = in(reg) $block.depth,
            skip = in(reg) skip,
            runs = inout(reg) $block.runs => _,
            row = in(reg) row,
            step = in(reg) step,
            down = in(reg) down,
            mask = in(ymm_reg) $mask,
            factor = out(ymm_reg) _,
            last = out(ymm_reg) _,
            $($b = out(ymm_reg) _,)*
            $($($sum = inout(ymm_reg) $sum,)*)*
            options(nostack, readonly)
        );
        $($sums[$r] = [$($sum),*];)*
    }};
}

/// One run of the sum, four steps at a time, for packed columns: from one number of A to the next it is `STEP` numbers, from one row of B to
/// the next `WIDTH`. How far behind a pointer a step lies is part of an address, and pointers are moved on once. What is left of a run
/// goes step by step.
macro_rules! fours {
    ($element:ty, $block:ident, $a:ident, $from_b:ident, $sums:ident, $instructions:tt, $read_last:literal, [$($moves:literal)*],
     [$($b:ident $at:literal)*], $last_at:literal, $([$r:literal $address:literal $($sum:ident $column:ident)*])*) => {{
        let bytes = size_of::<$element>() as isize;
        $(let [$(mut $sum),*] = $sums[$r];)*
        asm!(
            "3: /* not every loop needs {row} and {a3} */",
            step!(["", ""], $instructions, $read_last, [$($b $at)*], $last_at, $([$r $address $($sum $column)*])*),
            step!([" + {step}", " + {down}"], $instructions, $read_last, [$($b $at)*], $last_at, $([$r $address $($sum $column)*])*),
            step!([" + 2*{step}", " + 2*{down}"], $instructions, $read_last, [$($b $at)*], $last_at, $([$r $address $($sum $column)*])*),
            step!([" + 3*{step}", " + 3*{down}"], $instructions, $read_last, [$($b $at)*], $last_at, $([$r $address $($sum $column)*])*),
            $(concat!("add {", $moves, "}, 4*{step}"),)*
            "add {b}, 4*{down}",
            "dec {n}",
            "jnz 3b",
            "mov {n}, {rest}",
            "test {n}, {n}",
            "jz 5f",
            "4:",
            step!(["", ""], $instructions, $read_last, [$($b $at)*], $last_at, $([$r $address $($sum $column)*])*),
            $(concat!("add {", $moves, "}, {step}"),)*
            "add {b}, {down}",
            "dec {n}",
            "jnz 4b",
            "5:",
            a = inout(reg) $a => _,
            a3 = inout(reg) $a.wrapping_byte_offset($block.a_three * bytes) => _,
            b = inout(reg) $from_b => _,
            n = inout(reg) $block.depth / 4 => _,
            rest = in(reg) $block.depth % 4,
            row = in(reg) $block.a_row * bytes,
            step = const STEP * size_of::<$element>() as isize,
            down = const WIDTH * size_of::<$element>() as isize,
            factor = out(ymm_reg) _,
            last = out(ymm_reg) _,
            $($b = out(ymm_reg) _,)*
            $($($sum = inout(ymm_reg) $sum,)*)*
            options(nostack, readonly)
        );
        $($sums[$r] = [$($sum),*];)*
    }};
}

/// A loop for the height of the block: for each row, the loop that ends with it.
macro_rules! heights {
    ($loop:ident, $height:expr, [$($fixed:tt)*], [$($done:tt)*],) => { unreachable!("a block of no such height") };
    ($loop:ident, $height:expr, [$($fixed:tt)*], [$($done:tt)*], [$r:literal $($row:tt)*] $($rest:tt)*) => {
        if $height == $r + 1 {
            $loop!($($fixed)*, $($done)* [$r $($row)*])
        } else {
            heights!($loop, $height, [$($fixed)*], [$($done)* [$r $($row)*]], $($rest)*)
        }
    };
}

/// The loop for a whole last vector, and the loop for a part of one.
macro_rules! whole_or_part {
    ($block:ident, $lanes:literal, $height:ident, [$($fixed:tt)*], [$whole:literal, $part:literal], [$($columns:tt)*], [$($rows:tt)*]) => {
        if $block.last == $lanes {
            heights!(steps, $height, [$($fixed)*, $whole, $($columns)*], [], $($rows)*)
        } else {
            heights!(steps, $height, [$($fixed)*, $part, $($columns)*], [], $($rows)*)
        }
    };
}

/// Rows of a panel of A that is as high as blocks of two vectors are.
const HIGH: isize = 6;
/// The shortest run that goes by fours.
const FEW: usize = 4;

macro_rules! kernels {
    ($one:ident, $two:ident $by_fours:ident, $register:ty, $element:ty, $lanes:literal, $instructions:tt, [$whole:literal, $part:literal]) => {
        /// Blocks one vector wide: adds to up to twelve sums.
        ///
        /// # Safety
        /// The machine has AVX2 and FMA. A is valid for as many rows as there are sums, B for the
        /// lanes of the mask, both for all runs of the block, of which there are some, and which are not empty.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub unsafe fn $one<const R: usize>(block: &Block<$element>, mask: __m256i, sums: &mut [[$register; 1]; R]) {
            // SAFETY: the caller's; the loop reads what the contract names and writes registers.
            unsafe {
                whole_or_part!(block, $lanes, R, [$element, block, mask, sums, $instructions], [$whole, $part], [["a" "a3" "a6" "a9"], [], "0"], [
                    [0 "{a}" s0 last] [1 "{a} + {row}" s1 last] [2 "{a} + 2*{row}" s2 last]
                    [3 "{a3}" s3 last] [4 "{a3} + {row}" s4 last] [5 "{a3} + 2*{row}" s5 last]
                    [6 "{a6}" s6 last] [7 "{a6} + {row}" s7 last] [8 "{a6} + 2*{row}" s8 last]
                    [9 "{a9}" s9 last] [10 "{a9} + {row}" s10 last] [11 "{a9} + 2*{row}" s11 last]
                ])
            }
        }

        /// Blocks two vectors wide: adds to up to six pairs of sums.
        ///
        /// # Safety
        /// As for one vector; B's first vector is whole, the mask is that of the second.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub unsafe fn $two<const R: usize>(block: &Block<$element>, mask: __m256i, sums: &mut [[$register; 2]; R]) {
            let packed = block.b_row == 2 * $lanes && block.last == $lanes && block.depth >= FEW;
            // SAFETY: the caller's; the loop reads what the contract names and writes registers.
            unsafe {
                match block.a_step {
                    1 if packed => $by_fours::<R, 1>(block, sums),
                    HIGH if packed => $by_fours::<R, HIGH>(block, sums),
                    _ => whole_or_part!(block, $lanes, R, [$element, block, mask, sums, $instructions], [$whole, $part], [["a" "a3"], [first "0"], "32"], [
                        [0 "{a}" s0 first t0 last] [1 "{a} + {row}" s1 first t1 last]
                        [2 "{a} + 2*{row}" s2 first t2 last] [3 "{a3}" s3 first t3 last]
                        [4 "{a3} + {row}" s4 first t4 last] [5 "{a3} + 2*{row}" s5 first t5 last]
                    ]),
                }
            }
        }

        /// Whole blocks two vectors wide of packed columns.
        ///
        /// # Safety
        /// As for any block two vectors wide; from number to number of a row of A it is `STEP` numbers.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn $by_fours<const R: usize, const STEP: isize>(block: &Block<$element>, sums: &mut [[$register; 2]; R]) {
            const WIDTH: isize = 2 * $lanes;
            let (mut a, mut b) = (block.a, block.b);
            for _ in 0..block.runs {
                // SAFETY: the caller's; the loop reads what the contract names and writes registers.
                unsafe {
                    heights!(fours, R, [$element, block, a, b, sums, $instructions, $whole, ["a" "a3"], [first "0"], "32"], [],
                        [0 "{a}" s0 first t0 last] [1 "{a} + {row}" s1 first t1 last]
                        [2 "{a} + 2*{row}" s2 first t2 last] [3 "{a3}" s3 first t3 last]
                        [4 "{a3} + {row}" s4 first t4 last] [5 "{a3} + 2*{row}" s5 first t5 last]
                    )
                }
                (a, b) = (a.wrapping_offset(block.a_jump), b.wrapping_offset(block.depth as isize * WIDTH));
            }
        }
    };
}
kernels!(one32, two32 two32_by_fours, __m256, f32, 8, ["vmovups", "vbroadcastss", "vfmadd231ps"],
    ["vmovups {last},", "vmaskmovps {last}, {mask},"]);
kernels!(one64, two64 two64_by_fours, __m256d, f64, 4, ["vmovupd", "vbroadcastsd", "vfmadd231pd"],
    ["vmovupd {last},", "vmaskmovpd {last}, {mask},"]);
