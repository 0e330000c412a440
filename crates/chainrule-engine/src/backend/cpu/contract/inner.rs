//! The accumulating loops of 256-bit blocks, in assembly.
//!
//! A block with twelve sums needs all but one or two of the sixteen vector registers. The compiler
//! moves some of them to memory and back at every step, which costs a fifth to half of the speed;
//! here the loop is written out, and the compiler chooses only which register is which.
//!
//! Refuses to know tiles, packing and results: it adds products to the sums it is given.

use super::block::Block;
use std::arch::asm;
use std::arch::x86_64::{__m256, __m256d, __m256i};

/// Two loops, over runs of the sum and over the steps of a run: a step reads a row of B, all its vectors but the last in full, and for each row of A
/// repeats one number and adds its products to the sums. Rows of A are three to a pointer, as
/// addresses reach up to twice a stride. `$read_last` reads B's last vector up to its address; a masked
/// read takes a little longer than a plain one. A run may be three steps long, and what the compiler does between two loops takes as long
/// as they do; so it is one piece of assembly. Only the `$moves` among the pointers into A are moved on: where another
/// thread shares the core, each instruction of a loop that is as short as this one counts.
macro_rules! steps {
    ($block:ident, $mask:ident, $sums:ident, [$load:literal, $broadcast:literal, $fma:literal], $read_last:literal, [$($moves:literal)*], [$($b:ident $at:literal)*],
     $last_at:literal, $([$r:literal $address:literal $($sum:ident $column:ident)*])*) => {{
        let bytes = size_of_val(&*$block.a) as isize;
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
            $(concat!($load, " {", stringify!($b), "}, [{b} + ", $at, "]"),)*
            concat!($read_last, " [{b} + ", $last_at, "]"),
            $(
                concat!($broadcast, " {factor}, ", $address),
                $(concat!($fma, " {", stringify!($sum), "}, {factor}, {", stringify!($column), "}"),)*
            )*
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

/// `steps` for the height of the block: for each row, the loop that ends with it.
macro_rules! heights {
    ($height:expr, [$($fixed:tt)*], [$($done:tt)*],) => { unreachable!("a block of no such height") };
    ($height:expr, [$($fixed:tt)*], [$($done:tt)*], [$r:literal $($row:tt)*] $($rest:tt)*) => {
        if $height == $r + 1 {
            steps!($($fixed)*, $($done)* [$r $($row)*])
        } else {
            heights!($height, [$($fixed)*], [$($done)* [$r $($row)*]], $($rest)*)
        }
    };
}

/// The loop for a whole last vector, and the loop for a part of one.
macro_rules! whole_or_part {
    ($block:ident, $lanes:literal, $height:ident, [$($fixed:tt)*], [$whole:literal, $part:literal], [$($columns:tt)*], $rows:tt) => {
        if $block.last == $lanes {
            whole_or_part!($height, [$($fixed)*, $whole, $($columns)*], $rows)
        } else {
            whole_or_part!($height, [$($fixed)*, $part, $($columns)*], $rows)
        }
    };
    ($height:ident, $fixed:tt, [$($rows:tt)*]) => { heights!($height, $fixed, [], $($rows)*) };
}

macro_rules! kernels {
    ($one:ident, $two:ident, $register:ty, $element:ty, $lanes:literal, $instructions:tt, $reads:tt) => {
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
                whole_or_part!(block, $lanes, R, [block, mask, sums, $instructions], $reads, [["a" "a3" "a6" "a9"], [], "0"], [
                    [0 "[{a}]" s0 last] [1 "[{a} + {row}]" s1 last] [2 "[{a} + 2*{row}]" s2 last]
                    [3 "[{a3}]" s3 last] [4 "[{a3} + {row}]" s4 last] [5 "[{a3} + 2*{row}]" s5 last]
                    [6 "[{a6}]" s6 last] [7 "[{a6} + {row}]" s7 last] [8 "[{a6} + 2*{row}]" s8 last]
                    [9 "[{a9}]" s9 last] [10 "[{a9} + {row}]" s10 last] [11 "[{a9} + 2*{row}]" s11 last]
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
            // SAFETY: the caller's; the loop reads what the contract names and writes registers.
            unsafe {
                whole_or_part!(block, $lanes, R, [block, mask, sums, $instructions], $reads, [["a" "a3"], [first "0"], "32"], [
                    [0 "[{a}]" s0 first t0 last] [1 "[{a} + {row}]" s1 first t1 last]
                    [2 "[{a} + 2*{row}]" s2 first t2 last] [3 "[{a3}]" s3 first t3 last]
                    [4 "[{a3} + {row}]" s4 first t4 last] [5 "[{a3} + 2*{row}]" s5 first t5 last]
                ])
            }
        }
    };
}
kernels!(one32, two32, __m256, f32, 8, ["vmovups", "vbroadcastss", "vfmadd231ps"], ["vmovups {last},", "vmaskmovps {last}, {mask},"]);
kernels!(one64, two64, __m256d, f64, 4, ["vmovupd", "vbroadcastsd", "vfmadd231pd"], ["vmovupd {last},", "vmaskmovpd {last}, {mask},"]);
