//! Every instruction that functions are made of, with registers from all quarters and every kind of place,
//! against the bytes that the compiler's own assembler gives for its text. Nothing of it is run.

use super::code::Size::{Eight, Four};
use super::encode::{Assembler, Encoding, Lanes, Place};
use super::opcodes as x86;
use Place::{Aside, Mask, Pool, PoolSingle, Register, Round, Single, Stack};
use std::arch::asm;

/// Some blocks on from the pointer that was fetched.
fn element(bytes: u8, block: u8) -> Place {
    Place::Element { bytes, block }
}

/// The bytes of a text.
macro_rules! assembled {
    ($text:literal) => {{
        let (start, end): (*const u8, *const u8);
        // SAFETY: the text is jumped over; two registers are set.
        unsafe {
            asm!(
                "lea {start}, [rip + 2f]", "lea {end}, [rip + 3f]", "jmp 3f", "2:", $text, "3:",
                start = out(reg) start, end = out(reg) end,
            );
            std::slice::from_raw_parts(start, end.offset_from(start) as usize)
        }
    }};
}

/// Compares what an assembler for blocks of so many positions writes with the texts.
macro_rules! same {
    ($encoding:ident $positions:literal: $($text:literal => $method:ident($($argument:expr),*);)*) => {$(
        let mut ours = Assembler::new(Encoding::$encoding, $positions, 0);
        ours.$method($($argument),*);
        assert_eq!(format!("{:02x?}", ours.bytes), format!("{:02x?}", assembled!($text)), "{}", $text);
    )*};
}

#[test]
fn vex_instructions_are_those_of_the_assembler() {
    same! { Vex 8:
        "{{vex3}} vaddps ymm1, ymm2, ymm3" => vector(x86::ADD.of(Four), 32, 1, 2, Register(3));
        "{{vex3}} vaddpd ymm9, ymm2, ymm13" => vector(x86::ADD.of(Eight), 32, 9, 2, Register(13));
        "{{vex3}} vaddps xmm9, xmm12, xmm3" => vector(x86::ADD.of(Four), 16, 9, 12, Register(3));
        "{{vex3}} vsubps ymm1, ymm12, [rip]" => vector(x86::SUBTRACT.of(Four), 32, 1, 12, Pool(0));
        "{{vex3}} vsubpd ymm1, ymm12, [rsp + 9600]" => vector(x86::SUBTRACT.of(Eight), 32, 1, 12, Stack(300));
        "{{vex3}} vmulps ymm11, ymm2, ymm3" => vector(x86::MULTIPLY.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vmulpd ymm11, ymm2, ymm3" => vector(x86::MULTIPLY.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vdivps ymm11, ymm2, ymm3" => vector(x86::DIVIDE.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vdivpd ymm11, ymm2, ymm3" => vector(x86::DIVIDE.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vminps ymm11, ymm2, ymm3" => vector(x86::SMALLER.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vminpd ymm11, ymm2, ymm3" => vector(x86::SMALLER.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vmaxps ymm11, ymm2, ymm3" => vector(x86::LARGER.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vmaxpd ymm11, ymm2, ymm3" => vector(x86::LARGER.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vsqrtps ymm11, ymm3" => vector(x86::SQRT.of(Four), 32, 11, 0, Register(3));
        "{{vex3}} vsqrtpd ymm11, ymm13" => vector(x86::SQRT.of(Eight), 32, 11, 0, Register(13));
        "{{vex3}} vandps ymm11, ymm2, ymm3" => vector(x86::AND.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vandpd ymm11, ymm2, ymm3" => vector(x86::AND.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vorps ymm11, ymm2, ymm3" => vector(x86::OR.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vorpd ymm11, ymm2, ymm3" => vector(x86::OR.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vxorps ymm11, ymm2, ymm3" => vector(x86::XOR.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vxorpd ymm11, ymm2, ymm3" => vector(x86::XOR.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vcmpps ymm11, ymm2, ymm3, 17" => vector_with(x86::COMPARE.of(Four), 32, 11, 2, Register(3), 17);
        "{{vex3}} vcmppd ymm11, ymm2, [rip + 1], 4" => vector_with(x86::COMPARE.of(Eight), 32, 11, 2, Pool(0), 4);
        "{{vex3}} vmovups ymm11, ymm3" => vector(x86::LOAD.of(Four), 32, 11, 0, Register(3));
        "{{vex3}} vmovups ymm11, [rax + 4*rsi + 96]" => vector(x86::LOAD.of(Four), 32, 11, 0, element(4, 3));
        "{{vex3}} vmovupd [rsp + 9600], ymm11" => vector(x86::STORE.of(Eight), 32, 11, 0, Stack(300));
        "{{vex3}} vmovups [rax + 4*rsi + 32], ymm1" => vector(x86::STORE.of(Four), 32, 1, 0, element(4, 1));
        "{{vex3}} vmovmskps eax, ymm9" => vector(x86::SIGNS.of(Four), 32, 0, 0, Register(9));
        "{{vex3}} vmovmskpd eax, ymm9" => vector(x86::SIGNS.of(Eight), 32, 0, 0, Register(9));
        "{{vex3}} vfmadd213ps ymm11, ymm2, ymm3" => vector(x86::FMADD213.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vfmadd213pd ymm11, ymm2, ymm3" => vector(x86::FMADD213.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vfmadd231ps ymm11, ymm2, ymm3" => vector(x86::FMADD231.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vfmadd231pd ymm11, ymm2, ymm3" => vector(x86::FMADD231.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vfnmadd213ps ymm11, ymm2, ymm3" => vector(x86::FNMADD213.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vfnmadd213pd ymm11, ymm2, ymm3" => vector(x86::FNMADD213.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vfnmadd231ps ymm11, ymm2, ymm3" => vector(x86::FNMADD231.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vfnmadd231pd ymm11, ymm2, ymm3" => vector(x86::FNMADD231.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vpaddd ymm11, ymm2, ymm3" => vector(x86::PLUS.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vpaddq ymm11, ymm2, ymm3" => vector(x86::PLUS.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vpsubd ymm11, ymm2, ymm3" => vector(x86::MINUS.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vpsubq ymm11, ymm2, ymm3" => vector(x86::MINUS.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vpcmpgtd ymm11, ymm2, ymm3" => vector(x86::GREATER.of(Four), 32, 11, 2, Register(3));
        "{{vex3}} vpcmpgtq ymm11, ymm2, ymm3" => vector(x86::GREATER.of(Eight), 32, 11, 2, Register(3));
        "{{vex3}} vpslld ymm11, ymm3, 23" => shift(x86::LEFT, Four, 32, 11, 3, 23);
        "{{vex3}} vpsllq ymm3, ymm12, 52" => shift(x86::LEFT, Eight, 32, 3, 12, 52);
        "{{vex3}} vpsrld ymm11, ymm3, 23" => shift(x86::RIGHT, Four, 32, 11, 3, 23);
        "{{vex3}} vpsrlq ymm11, ymm3, 52" => shift(x86::RIGHT, Eight, 32, 11, 3, 52);
        "{{vex3}} vpsrad ymm11, ymm3, 23" => shift(x86::RIGHT_SIGNED, Four, 32, 11, 3, 23);
        "{{vex3}} vroundps ymm11, ymm3, 9" => vector_with(x86::ROUND.of(Four), 32, 11, 0, Register(3), 9);
        "{{vex3}} vroundpd ymm11, ymm3, 9" => vector_with(x86::ROUND.of(Eight), 32, 11, 0, Register(3), 9);
        "{{vex3}} vbroadcastss ymm11, [rax]" => vector(x86::BROADCAST.of(Four), 32, 11, 0, Single);
        "{{vex3}} vbroadcastsd ymm11, [rax]" => vector(x86::BROADCAST.of(Eight), 32, 11, 0, Single);
        "{{vex3}} vcvtdq2ps ymm11, ymm3" => vector(x86::NEAREST, 32, 11, 0, Register(3));
        "{{vex3}} vcvtps2pd ymm11, xmm3" => vector(x86::WIDEN, 32, 11, 0, Register(3));
        "{{vex3}} vcvtpd2ps xmm11, ymm3" => vector(x86::NARROW, 32, 11, 0, Register(3));
        "{{vex3}} vblendvps ymm11, ymm2, ymm3, ymm12" => vector_with(x86::BLEND_SIGNS.of(Four), 32, 11, 2, Register(3), 12 << 4);
        "{{vex3}} vblendvpd ymm11, ymm2, ymm3, ymm12" => vector_with(x86::BLEND_SIGNS.of(Eight), 32, 11, 2, Register(3), 12 << 4);
        "{{vex3}} vmaskmovps ymm1, ymm15, [rax + 4*rsi + 32]" => vector(x86::MASKED_LOAD.of(Four), 32, 1, 15, element(4, 1));
        "{{vex3}} vmaskmovps [rax + 4*rsi + 32], ymm15, ymm1" => vector(x86::MASKED_STORE.of(Four), 32, 1, 15, element(4, 1));
        "{{vex3}} vmovups ymm15, [rcx]" => vector(x86::LOAD.of(Four), 32, 15, 0, Mask);
        "{{vex3}} vpmovzxbd ymm1, qword ptr [rax + rsi + 24]" => vector(x86::BYTES.of(Four), 32, 1, 0, element(1, 3));
        "{{vex3}} vextracti128 xmm9, ymm1, 1" => vector_with(x86::UPPER_HALF, 32, 1, 0, Register(9), 1);
        "{{vex3}} vpermilps xmm9, xmm1, 14" => vector_with(x86::PERMUTE.of(Four), 16, 9, 0, Register(1), 14);
        "{{vex3}} vpermilpd xmm9, xmm11, 1" => vector_with(x86::PERMUTE.of(Eight), 16, 9, 0, Register(11), 1);
        "{{vex3}} vmovss dword ptr [rax], xmm9" => vector(x86::STORE_SINGLE.of(Four), 16, 9, 0, Single);
        "{{vex3}} vmovsd qword ptr [rax], xmm9" => vector(x86::STORE_SINGLE.of(Eight), 16, 9, 0, Single);
        "{{vex3}} vmovups ymm9, [rsp + 4*rax + 512]" => vector(x86::LOAD.of(Four), 32, 9, 0, Round { bytes: 4, at: 512 });
        "{{vex3}} vmovupd [rsp + 8*rax + 512], ymm9" => vector(x86::STORE.of(Eight), 32, 9, 0, Round { bytes: 8, at: 512 });
        "mov eax, esi
         and eax, 63" => count_round(63);
        "{{vex3}} vshufps xmm9, xmm1, xmm11, 221" => vector_with(x86::SHUFFLE, 16, 9, 1, Register(11), 221);
        "{{vex3}} vpackssdw xmm9, xmm1, xmm11" => vector(x86::PACK_WORDS, 16, 9, 1, Register(11));
        "{{vex3}} vpackuswb xmm9, xmm1, xmm11" => vector(x86::PACK_BYTES, 16, 9, 1, Register(11));
        "{{vex3}} vmovq qword ptr [rax + rsi + 8], xmm9" => vector(x86::STORE_8, 16, 9, 0, element(1, 1));
    }
    same! { Vex 4:
        "{{vex3}} vmovupd ymm11, [rax + 8*rsi + 96]" => vector(x86::LOAD.of(Eight), 32, 11, 0, element(8, 3));
        "{{vex3}} vmovups xmm11, [rax + 4*rsi + 16]" => vector(x86::LOAD.of(Four), 16, 11, 0, element(4, 1));
        "{{vex3}} vmaskmovpd ymm1, ymm15, [rax + 8*rsi + 32]" => vector(x86::MASKED_LOAD.of(Eight), 32, 1, 15, element(8, 1));
        "{{vex3}} vmaskmovpd [rax + 8*rsi + 32], ymm15, ymm1" => vector(x86::MASKED_STORE.of(Eight), 32, 1, 15, element(8, 1));
        "{{vex3}} vpmovsxdq ymm14, xmmword ptr [rcx]" => vector(x86::LENGTHEN, 32, 14, 0, Mask);
        "{{vex3}} vpmovzxbq ymm1, dword ptr [rax + rsi + 12]" => vector(x86::BYTES.of(Eight), 32, 1, 0, element(1, 3));
        "{{vex3}} vmovd dword ptr [rax + rsi + 4], xmm9" => vector(x86::STORE_4, 16, 9, 0, element(1, 1));
    }
}

#[test]
fn evex_instructions_are_those_of_the_assembler() {
    same! { Evex 16:
        "vaddps zmm1, zmm2, zmm3" => vector(x86::ADD.of(Four), 64, 1, 2, Register(3));
        "vaddps zmm31, zmm2, zmm3" => vector(x86::ADD.of(Four), 64, 31, 2, Register(3));
        "vaddps zmm1, zmm26, zmm3" => vector(x86::ADD.of(Four), 64, 1, 26, Register(3));
        "vaddps zmm1, zmm2, zmm23" => vector(x86::ADD.of(Four), 64, 1, 2, Register(23));
        "vaddps zmm8, zmm9, zmm10" => vector(x86::ADD.of(Four), 64, 8, 9, Register(10));
        "vaddpd zmm21, zmm2, zmm31" => vector(x86::ADD.of(Eight), 64, 21, 2, Register(31));
        "{{evex}} vaddps ymm1, ymm2, ymm3" => vector(x86::ADD.of(Four), 32, 1, 2, Register(3));
        "vsubps zmm1, zmm12, dword ptr [rip]{{1to16}}" => vector(x86::SUBTRACT.of(Four), 64, 1, 12, Pool(0));
        "vsubpd zmm1, zmm12, qword ptr [rip]{{1to8}}" => vector(x86::SUBTRACT.of(Eight), 64, 1, 12, Pool(0));
        "vsubps zmm17, zmm12, [rsp + 19200]" => vector(x86::SUBTRACT.of(Four), 64, 17, 12, Stack(300));
        "vmulps zmm19, zmm2, zmm3" => vector(x86::MULTIPLY.of(Four), 64, 19, 2, Register(3));
        "vmulpd zmm19, zmm2, zmm3" => vector(x86::MULTIPLY.of(Eight), 64, 19, 2, Register(3));
        "vdivps zmm19, zmm2, zmm3" => vector(x86::DIVIDE.of(Four), 64, 19, 2, Register(3));
        "vdivpd zmm19, zmm2, zmm3" => vector(x86::DIVIDE.of(Eight), 64, 19, 2, Register(3));
        "vminps zmm19, zmm2, zmm3" => vector(x86::SMALLER.of(Four), 64, 19, 2, Register(3));
        "vminpd zmm19, zmm2, zmm3" => vector(x86::SMALLER.of(Eight), 64, 19, 2, Register(3));
        "vmaxps zmm19, zmm2, zmm3" => vector(x86::LARGER.of(Four), 64, 19, 2, Register(3));
        "vmaxpd zmm19, zmm2, zmm3" => vector(x86::LARGER.of(Eight), 64, 19, 2, Register(3));
        "vsqrtps zmm19, zmm3" => vector(x86::SQRT.of(Four), 64, 19, 0, Register(3));
        "vsqrtpd zmm19, zmm3" => vector(x86::SQRT.of(Eight), 64, 19, 0, Register(3));
        "vandps zmm19, zmm2, dword ptr [rip]{{1to16}}" => vector(x86::AND.of(Four), 64, 19, 2, Pool(0));
        "vandpd zmm19, zmm2, qword ptr [rip]{{1to8}}" => vector(x86::AND.of(Eight), 64, 19, 2, Pool(0));
        "vorps zmm19, zmm2, zmm3" => vector(x86::OR.of(Four), 64, 19, 2, Register(3));
        "vorpd zmm19, zmm2, zmm3" => vector(x86::OR.of(Eight), 64, 19, 2, Register(3));
        "vxorps zmm19, zmm2, zmm3" => vector(x86::XOR.of(Four), 64, 19, 2, Register(3));
        "vxorpd zmm19, zmm2, zmm3" => vector(x86::XOR.of(Eight), 64, 19, 2, Register(3));
        "vcmpps k3, zmm2, zmm23, 17" => vector_with(x86::COMPARE.of(Four), 64, 3, 2, Register(23), 17);
        "vcmppd k7, zmm22, qword ptr [rip + 1]{{1to8}}, 4" => vector_with(x86::COMPARE.of(Eight), 64, 7, 22, Pool(0), 4);
        "vcmpps k3 {{k5}}, zmm2, zmm23, 4" => lanes_with(Lanes::of(5), x86::COMPARE.of(Four), 64, 3, 2, Register(23), 4);
        "vmaxps zmm19 {{k5}}, zmm2, zmm3" => lanes(Lanes::of(5), x86::LARGER.of(Four), 64, 19, 2, Register(3));
        "vextracti32x4 xmm9, ymm21, 1" => vector_with(x86::UPPER_HALF, 32, 21, 0, Register(9), 1);
        "{{evex}} vpermilps xmm9, xmm21, 14" => vector_with(x86::PERMUTE.of(Four), 16, 9, 0, Register(21), 14);
        "{{evex}} vpermilpd xmm9, xmm21, 1" => vector_with(x86::PERMUTE.of(Eight), 16, 9, 0, Register(21), 1);
        "{{evex}} vmovss dword ptr [rax], xmm19" => vector(x86::STORE_SINGLE.of(Four), 16, 19, 0, Single);
        "{{evex}} vmovsd qword ptr [rax], xmm19" => vector(x86::STORE_SINGLE.of(Eight), 16, 19, 0, Single);
        "vmovups zmm19, [rsp + 4*rax + 19200]" => vector(x86::LOAD.of(Four), 64, 19, 0, Round { bytes: 4, at: 19200 });
        "vmovupd [rsp + 19200], zmm19" => vector(x86::STORE.of(Eight), 64, 19, 0, Aside(19200));
        "vmovups zmm19, zmm3" => vector(x86::LOAD.of(Four), 64, 19, 0, Register(3));
        "vmovups zmm19, [rax + 4*rsi + 192]" => vector(x86::LOAD.of(Four), 64, 19, 0, element(4, 3));
        "vmovups zmm19 {{k5}} {{z}}, [rax + 4*rsi + 64]" => lanes(Lanes::or_zero(5), x86::LOAD.of(Four), 64, 19, 0, element(4, 1));
        "vmovups [rax + 4*rsi + 64] {{k7}}, zmm19" => lanes(Lanes::of(7), x86::STORE.of(Four), 64, 19, 0, element(4, 1));
        "vmovupd [rsp + 19200], zmm29" => vector(x86::STORE.of(Eight), 64, 29, 0, Stack(300));
        "vfmadd213ps zmm19, zmm2, zmm3" => vector(x86::FMADD213.of(Four), 64, 19, 2, Register(3));
        "vfmadd213pd zmm19, zmm2, zmm3" => vector(x86::FMADD213.of(Eight), 64, 19, 2, Register(3));
        "vfmadd231ps zmm19, zmm2, zmm3" => vector(x86::FMADD231.of(Four), 64, 19, 2, Register(3));
        "vfmadd231pd zmm19, zmm2, qword ptr [rip]{{1to8}}" => vector(x86::FMADD231.of(Eight), 64, 19, 2, Pool(0));
        "vfnmadd213ps zmm19, zmm2, zmm3" => vector(x86::FNMADD213.of(Four), 64, 19, 2, Register(3));
        "vfnmadd213pd zmm19, zmm2, zmm3" => vector(x86::FNMADD213.of(Eight), 64, 19, 2, Register(3));
        "vfnmadd231ps zmm19, zmm2, zmm3" => vector(x86::FNMADD231.of(Four), 64, 19, 2, Register(3));
        "vfnmadd231pd zmm19, zmm2, zmm3" => vector(x86::FNMADD231.of(Eight), 64, 19, 2, Register(3));
        "vpaddd zmm19, zmm2, dword ptr [rip]{{1to16}}" => vector(x86::PLUS.of(Four), 64, 19, 2, Pool(0));
        "vpaddq zmm19, zmm2, zmm3" => vector(x86::PLUS.of(Eight), 64, 19, 2, Register(3));
        "vpsubd zmm19, zmm2, zmm3" => vector(x86::MINUS.of(Four), 64, 19, 2, Register(3));
        "vpsubq zmm19, zmm2, zmm3" => vector(x86::MINUS.of(Eight), 64, 19, 2, Register(3));
        "vpcmpgtd k4, zmm2, zmm3" => vector(x86::GREATER.of(Four), 64, 4, 2, Register(3));
        "vpcmpgtq k4, zmm2, zmm3" => vector(x86::GREATER.of(Eight), 64, 4, 2, Register(3));
        "vpslld zmm19, zmm23, 23" => shift(x86::LEFT, Four, 64, 19, 23, 23);
        "vpsllq zmm3, zmm29, 52" => shift(x86::LEFT, Eight, 64, 3, 29, 52);
        "vpsrld zmm19, zmm3, 23" => shift(x86::RIGHT, Four, 64, 19, 3, 23);
        "vpsrlq zmm19, zmm3, 52" => shift(x86::RIGHT, Eight, 64, 19, 3, 52);
        "vpsrad zmm19, zmm3, 23" => shift(x86::RIGHT_SIGNED, Four, 64, 19, 3, 23);
        "vrndscaleps zmm19, zmm3, 9" => vector_with(x86::ROUND.of(Four), 64, 19, 0, Register(3), 9);
        "vrndscalepd zmm19, zmm3, 9" => vector_with(x86::ROUND.of(Eight), 64, 19, 0, Register(3), 9);
        "vbroadcastss zmm19, dword ptr [rax]" => vector(x86::BROADCAST.of(Four), 64, 19, 0, Single);
        "vbroadcastsd zmm19, qword ptr [rax]" => vector(x86::BROADCAST.of(Eight), 64, 19, 0, Single);
        "vbroadcastss zmm19 {{k2}} {{z}}, dword ptr [rip]" => lanes(Lanes::or_zero(2), x86::BROADCAST.of(Four), 64, 19, 0, PoolSingle(0));
        "vcvtdq2ps zmm19, zmm3" => vector(x86::NEAREST, 64, 19, 0, Register(3));
        "vcvtps2pd zmm19, ymm3" => vector(x86::WIDEN, 64, 19, 0, Register(3));
        "vcvtpd2ps ymm19, zmm3" => vector(x86::NARROW, 64, 19, 0, Register(3));
        "vscalefps zmm19, zmm2, zmm23" => vector(x86::TIMES_POWER.of(Four), 64, 19, 2, Register(23));
        "vscalefpd zmm19, zmm2, zmm23" => vector(x86::TIMES_POWER.of(Eight), 64, 19, 2, Register(23));
        "vextracti64x4 ymm1, zmm28, 1" => vector_with(x86::UPPER_HALF_OF_ALL, 64, 28, 0, Register(1), 1);
        "vblendmps zmm19 {{k3}}, zmm2, zmm23" => lanes(Lanes::of(3), x86::BLEND.of(Four), 64, 19, 2, Register(23));
        "vblendmpd zmm19 {{k3}}, zmm2, qword ptr [rip]{{1to8}}" => lanes(Lanes::of(3), x86::BLEND.of(Eight), 64, 19, 2, Pool(0));
        "vpmovd2m k3, zmm19" => vector(x86::SIGNS_TO_MASK.of(Four), 64, 3, 0, Register(19));
        "vpmovq2m k3, zmm19" => vector(x86::SIGNS_TO_MASK.of(Eight), 64, 3, 0, Register(19));
        "vmovdqu8 xmm19, [rax + rsi + 48]" => vector(x86::LOAD_BYTES, 16, 19, 0, element(1, 3));
        "vmovdqu8 xmm19 {{k7}} {{z}}, [rax + rsi + 16]" => lanes(Lanes::or_zero(7), x86::LOAD_BYTES, 16, 19, 0, element(1, 1));
        "vmovdqu8 [rax + rsi + 16] {{k7}}, xmm19" => lanes(Lanes::of(7), x86::STORE_BYTES, 16, 19, 0, element(1, 1));
        "vptestmb k5, xmm19, xmm19" => vector(x86::TEST_BYTES, 16, 5, 19, Register(19));
        "vpmovm2b xmm19, k6" => vector(x86::MASK_TO_BYTES, 16, 19, 0, Register(6));
        "vpabsb xmm19, xmm29" => vector(x86::BYTE_SIZES, 16, 19, 0, Register(29));
        "{{vex3}} kandw k1, k2, k3" => mask(x86::MASK_AND, 1, 2, Register(3));
        "{{vex3}} korw k1, k2, k3" => mask(x86::MASK_OR, 1, 2, Register(3));
        "{{vex3}} knotw k1, k3" => mask(x86::MASK_NOT, 1, 0, Register(3));
        "{{vex3}} kmovw k1, word ptr [rsp + 19200]" => mask(x86::MASK_LOAD, 1, 0, Stack(300));
        "{{vex3}} kmovw word ptr [rsp + 19200], k1" => mask(x86::MASK_STORE, 1, 0, Stack(300));
    }
    same! { Evex 8:
        "vmovupd zmm19, [rax + 8*rsi + 192]" => vector(x86::LOAD.of(Eight), 64, 19, 0, element(8, 3));
        "vmovupd zmm19 {{k5}} {{z}}, [rax + 8*rsi + 64]" => lanes(Lanes::or_zero(5), x86::LOAD.of(Eight), 64, 19, 0, element(8, 1));
        "vmovups ymm19, [rax + 4*rsi + 96]" => vector(x86::LOAD.of(Four), 32, 19, 0, element(4, 3));
        "vmovq xmm19, qword ptr [rax + rsi + 24]" => vector(x86::LOAD_8, 16, 19, 0, element(1, 3));
        "vmovq qword ptr [rax + rsi + 24], xmm19" => vector(x86::STORE_8, 16, 19, 0, element(1, 3));
        "{{vex3}} kandb k1, k2, k3" => mask(x86::MASK_AND, 1, 2, Register(3));
        "{{vex3}} korb k1, k2, k3" => mask(x86::MASK_OR, 1, 2, Register(3));
        "{{vex3}} knotb k1, k3" => mask(x86::MASK_NOT, 1, 0, Register(3));
        "{{vex3}} kmovb k1, byte ptr [rsp + 19200]" => mask(x86::MASK_LOAD, 1, 0, Stack(300));
        "{{vex3}} kmovb byte ptr [rsp + 19200], k1" => mask(x86::MASK_STORE, 1, 0, Stack(300));
        "{{vex3}} kmovb k1, ecx" => mask_of_argument(1);
        "{{vex3}} kmovb eax, k3
         or r10d, eax" => report(x86::SIGNS, Eight, 64, 3);
    }
    same! { Evex 16:
        "{{vex3}} kmovw k1, ecx" => mask_of_argument(1);
        "{{vex3}} kmovw eax, k3
         or r10d, eax" => report(x86::SIGNS, Four, 64, 3);
    }
}

/// Compares elements and single numbers seen from pointer `n`, whose register the texts name, in both encodings.
macro_rules! seen_from {
    ($($n:literal $vex_element:literal $evex_element:literal $vex_single:literal $evex_single:literal;)*) => {$(
        let written = |encoding: Encoding, positions: u8, opcode: x86::Pair, place: Place| {
            let mut ours = Assembler::new(encoding, positions, 0).holding(9);
            ours.pointer($n);
            assert!(ours.bytes.is_empty(), "nothing is fetched");
            ours.vector(opcode.of(Four), encoding.bytes(), 9, 0, place);
            format!("{:02x?}", ours.bytes)
        };
        let text = |bytes: &[u8]| format!("{bytes:02x?}");
        assert_eq!(written(Encoding::Vex, 8, x86::LOAD, element(4, 1)), text(assembled!($vex_element)), $vex_element);
        assert_eq!(written(Encoding::Evex, 16, x86::STORE, element(4, 2)), text(assembled!($evex_element)), $evex_element);
        assert_eq!(written(Encoding::Vex, 8, x86::BROADCAST, Single), text(assembled!($vex_single)), $vex_single);
        assert_eq!(written(Encoding::Evex, 16, x86::BROADCAST, Single), text(assembled!($evex_single)), $evex_single);
    )*};
}

#[test]
fn pointers_are_seen_from_the_registers_that_hold_them() {
    // The assembler leaves a distance of 0 away where it can; a distance of 1 and the place of its byte are the same for all.
    seen_from! {
        0 "{{vex3}} vmovups ymm9, [r11 + 4*rsi + 32]" "vmovups [r11 + 4*rsi + 128], zmm9" ".byte 0xc4,0x42,0x7d,0x18,0x4b,0" ".byte 0x62,0x52,0x7d,0x48,0x18,0x4b,0";
        2 "{{vex3}} vmovups ymm9, [r12 + 4*rsi + 32]" "vmovups [r12 + 4*rsi + 128], zmm9" ".byte 0xc4,0x42,0x7d,0x18,0x4c,0x24,0" ".byte 0x62,0x52,0x7d,0x48,0x18,0x4c,0x24,0";
        3 "{{vex3}} vmovups ymm9, [r13 + 4*rsi + 32]" "vmovups [r13 + 4*rsi + 128], zmm9" "{{vex3}} vbroadcastss ymm9, [r13]" "vbroadcastss zmm9, [r13]";
        5 "{{vex3}} vmovups ymm9, [r15 + 4*rsi + 32]" "vmovups [r15 + 4*rsi + 128], zmm9" ".byte 0xc4,0x42,0x7d,0x18,0x4f,0" ".byte 0x62,0x52,0x7d,0x48,0x18,0x4f,0";
    }
}

/// Compares how lines are asked for, seen from pointer `n` of those that are held, or of more than those.
macro_rules! asked {
    ($($n:literal $bytes:literal $block:literal $beyond:literal $text:literal;)*) => {$(
        let mut ours = Assembler::new(Encoding::Evex, 64 / $bytes, 0).holding(9);
        ours.pointer($n);
        let fetched = ours.bytes.len();
        ours.ask($bytes, $block, $beyond);
        assert_eq!(format!("{:02x?}", &ours.bytes[fetched..]), format!("{:02x?}", assembled!($text)), "{}", $text);
    )*};
}

#[test]
fn lines_are_asked_for_from_the_registers_that_hold_pointers() {
    asked! {
        0 4 0 16384 "prefetcht1 [r11 + 4*rsi + 16384]";
        1 4 3 16384 "prefetcht1 [rbx + 4*rsi + 16576]";
        2 8 1 4096 "prefetcht1 [r12 + 8*rsi + 4160]";
        3 4 2 2048 "prefetcht1 [r13 + 4*rsi + 2176]";
        8 8 0 8192 "prefetcht1 [rax + 8*rsi + 8192]";
    }
}
