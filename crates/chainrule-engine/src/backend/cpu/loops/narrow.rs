//! Floats of 16 bits: their values as f32, and the nearest of them.
//!
//! Computes nothing with them; that is done in f32.

use super::super::math::single;
use super::blocks::Isa;
use super::elements::Op1;

macro_rules! narrow {
    ($($(#[$doc:meta])* $name:ident($a:ident $($from:ident)?) -> $d:ident $body:block)*) => {$(
        $(#[$doc])*
        pub struct $name;
        impl Op1 for $name {
            type A = $a;
            type D = $d;
            #[inline(always)]
            fn apply<I: Isa>(a: $a) -> $d {
                $(let $from = a;)?
                $body
            }
        }
    )*};
}

narrow! {
    /// bf16 bits to f32.
    WidenBf16(u16 x) -> f32 { widen_bf16(x) }
    /// f32 to the nearest bf16, ties to even.
    NarrowBf16(f32 x) -> u16 { narrow_bf16(x) }
    /// f16 bits to f32.
    WidenF16(u16 x) -> f32 { widen_f16(x) }
    /// f32 to the nearest f16, ties to even.
    NarrowF16(f32 x) -> u16 { narrow_f16(x) }
    /// f32 rounded to the nearest bf16.
    RoundBf16(f32 x) -> f32 { single::round_bf16::<false>(x) }
    /// f32 rounded to the nearest f16.
    RoundF16(f32 x) -> f32 { single::round_f16::<false>(x) }
}

/// The value of bf16 bits.
#[inline(always)]
pub fn widen_bf16(bits: u16) -> f32 {
    f32::from_bits((bits as u32) << 16)
}

/// The bits of the nearest bf16, ties to even; NaN stays NaN.
#[inline(always)]
pub fn narrow_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    // Adding just under half of the last kept place, and one more if that place is odd, carries
    // exactly where rounding goes up.
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    let quiet = (bits >> 16) | 0x40;
    (if x.is_nan() { quiet } else { rounded }) as u16
}

/// The value of f16 bits.
#[inline(always)]
pub fn widen_f16(bits: u16) -> f32 {
    let bits = bits as u32;
    let sign = (bits & 0x8000) << 16;
    let magnitude = (bits & 0x7fff) << 13;
    // The exponent is moved by an exact product, which also serves the subnormal numbers.
    let finite = (f32::from_bits(magnitude) * f32::from_bits(0x7780_0000)).to_bits();
    let special = magnitude | 0x7f80_0000 | if bits & 0x3ff != 0 { 0x40_0000 } else { 0 };
    f32::from_bits(sign | if bits & 0x7c00 == 0x7c00 { special } else { finite })
}

/// The bits of the nearest f16, ties to even; NaN stays NaN.
#[inline(always)]
pub fn narrow_f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16) & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    // Normal results: move the exponent and round the 13 bits that go.
    let normal = magnitude.wrapping_sub(0x3800_0000).wrapping_add(0xfff + ((magnitude >> 13) & 1)) >> 13;
    // Subnormal results: adding 0.5 puts the last place of an f16 at the last place of the sum.
    let small = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0x3f00_0000);
    let finite = if magnitude < 0x3880_0000 { small } else { normal };
    // 65520 and above round to infinity.
    let large = if magnitude >= 0x477f_f000 { 0x7c00 } else { finite };
    let nan = 0x7e00 | ((magnitude >> 13) & 0x3ff);
    (sign | if magnitude > 0x7f80_0000 { nan } else { large }) as u16
}
