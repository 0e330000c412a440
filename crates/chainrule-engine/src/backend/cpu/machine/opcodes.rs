//! The instructions that fused code needs, each described once for both encodings.
//!
//! Refuses to know operands. Prefixes, maps and opcodes: Intel 64 and IA-32 Architectures Software
//! Developer's Manual, volume 2, the pages of the instructions.

use super::code::Size;

/// The bytes before the opcode, as the manual writes them.
#[derive(Clone, Copy, Debug)]
pub enum Prefix {
    /// None.
    None = 0,
    /// 66.
    P66 = 1,
    /// F3.
    F3 = 2,
    /// F2.
    F2 = 3,
}
use Prefix::{F2, F3, None, P66};

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
use Map::{M0F, M0F3A, M0F38};

/// The bit W.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wide {
    /// 0.
    No,
    /// 1 with EVEX; with VEX 0, where it is asked for or ignored.
    WithEvex,
    /// 1.
    Yes,
}
use Wide::{No, WithEvex, Yes};

/// An operation.
#[derive(Clone, Copy, Debug)]
pub struct Opcode {
    /// Prefix.
    pub prefix: Prefix,
    /// Map.
    pub map: Map,
    /// Opcode.
    pub byte: u8,
    /// The bit W.
    pub wide: Wide,
}

const fn opcode(prefix: Prefix, map: Map, byte: u8, wide: Wide) -> Opcode {
    Opcode { prefix, map, byte, wide }
}

/// An operation on lanes of four bytes and its like on lanes of eight.
#[derive(Clone, Copy, Debug)]
pub struct Pair(pub Opcode, pub Opcode);

impl Pair {
    /// The one for a size.
    pub const fn of(self, size: Size) -> Opcode {
        match size {
            Size::Four => self.0,
            Size::Eight => self.1,
        }
    }
}

/// A float operation, as most are: no prefix for f32, 66 for f64.
const fn float(byte: u8) -> Pair {
    Pair(opcode(None, M0F, byte, No), opcode(P66, M0F, byte, WithEvex))
}
/// A fused operation: W says which floats.
const fn fused(byte: u8) -> Pair {
    Pair(opcode(P66, M0F38, byte, No), opcode(P66, M0F38, byte, Yes))
}
/// An operation on integers, or floats, with an opcode for each size.
const fn each(map: Map, four: u8, eight: u8) -> Pair {
    Pair(opcode(P66, map, four, No), opcode(P66, map, eight, WithEvex))
}
/// As [`each`], in an encoding that takes no W.
const fn narrow(map: Map, four: u8, eight: u8) -> Pair {
    Pair(opcode(P66, map, four, No), opcode(P66, map, eight, No))
}

/// vaddps, vaddpd.
pub const ADD: Pair = float(0x58);
/// vmulps, vmulpd.
pub const MULTIPLY: Pair = float(0x59);
/// vsubps, vsubpd.
pub const SUBTRACT: Pair = float(0x5c);
/// vdivps, vdivpd.
pub const DIVIDE: Pair = float(0x5e);
/// vminps, vminpd.
pub const SMALLER: Pair = float(0x5d);
/// vmaxps, vmaxpd.
pub const LARGER: Pair = float(0x5f);
/// vsqrtps, vsqrtpd.
pub const SQRT: Pair = float(0x51);
/// vandps, vandpd.
pub const AND: Pair = float(0x54);
/// vorps, vorpd.
pub const OR: Pair = float(0x56);
/// vxorps, vxorpd.
pub const XOR: Pair = float(0x57);
/// vcmpps, vcmppd, with a comparison: to lanes of ones with VEX, to a mask with EVEX.
pub const COMPARE: Pair = float(0xc2);
/// vmovups, vmovupd from anywhere.
pub const LOAD: Pair = float(0x10);
/// vmovups, vmovupd to anywhere.
pub const STORE: Pair = float(0x11);
/// vmovmskps, vmovmskpd; VEX.
pub const SIGNS: Pair = float(0x50);
/// vfmadd213ps, vfmadd213pd.
pub const FMADD213: Pair = fused(0xa8);
/// vfmadd231ps, vfmadd231pd.
pub const FMADD231: Pair = fused(0xb8);
/// vfnmadd213ps, vfnmadd213pd.
pub const FNMADD213: Pair = fused(0xac);
/// vfnmadd231ps, vfnmadd231pd.
pub const FNMADD231: Pair = fused(0xbc);
/// vpaddd, vpaddq.
pub const PLUS: Pair = each(M0F, 0xfe, 0xd4);
/// vpsubd, vpsubq.
pub const MINUS: Pair = each(M0F, 0xfa, 0xfb);
/// vpcmpgtd, vpcmpgtq: as [`COMPARE`].
pub const GREATER: Pair = Pair(opcode(P66, M0F, 0x66, No), opcode(P66, M0F38, 0x37, WithEvex));
/// vpslld, vpsllq and their kin, by a byte; which of them, a digit says.
pub const SHIFT: Pair = each(M0F, 0x72, 0x73);
/// vroundps, vroundpd with VEX, vrndscaleps, vrndscalepd with EVEX, with a mode.
pub const ROUND: Pair = each(M0F3A, 0x08, 0x09);
/// vbroadcastss, vbroadcastsd.
pub const BROADCAST: Pair = each(M0F38, 0x18, 0x19);
/// vcvtdq2ps.
pub const NEAREST: Opcode = opcode(None, M0F, 0x5b, No);
/// vcvtps2pd.
pub const WIDEN: Opcode = opcode(None, M0F, 0x5a, No);
/// vcvtpd2ps.
pub const NARROW: Opcode = opcode(P66, M0F, 0x5a, WithEvex);

/// vblendvps, vblendvpd, with a register in a byte; VEX.
pub const BLEND_SIGNS: Pair = narrow(M0F3A, 0x4a, 0x4b);
/// vmaskmovps, vmaskmovpd from memory; VEX.
pub const MASKED_LOAD: Pair = narrow(M0F38, 0x2c, 0x2d);
/// vmaskmovps, vmaskmovpd to memory; VEX.
pub const MASKED_STORE: Pair = narrow(M0F38, 0x2e, 0x2f);
/// vpmovzxbd, vpmovzxbq; VEX.
pub const BYTES: Pair = narrow(M0F38, 0x31, 0x32);
/// vpmovsxdq; VEX.
pub const LENGTHEN: Opcode = opcode(P66, M0F38, 0x25, No);
/// vextracti128 with VEX, vextracti32x4 with EVEX.
pub const UPPER_HALF: Opcode = opcode(P66, M0F3A, 0x39, No);
/// vextracti64x4; EVEX.
pub const UPPER_HALF_OF_ALL: Opcode = opcode(P66, M0F3A, 0x3b, Yes);
/// vshufps, with a choice of lanes; VEX.
pub const SHUFFLE: Opcode = opcode(None, M0F, 0xc6, No);
/// vpackssdw; VEX.
pub const PACK_WORDS: Opcode = opcode(P66, M0F, 0x6b, No);
/// vpackuswb; VEX.
pub const PACK_BYTES: Opcode = opcode(P66, M0F, 0x67, No);
/// vpermilps, vpermilpd, with a choice of lanes.
pub const PERMUTE: Pair = Pair(opcode(P66, M0F3A, 0x04, No), opcode(P66, M0F3A, 0x05, WithEvex));
/// vmovss, vmovsd to memory.
pub const STORE_SINGLE: Pair = Pair(opcode(F3, M0F, 0x11, No), opcode(F2, M0F, 0x11, WithEvex));
/// vmovd to memory; VEX.
pub const STORE_4: Opcode = opcode(P66, M0F, 0x7e, No);
/// vmovq to memory.
pub const STORE_8: Opcode = opcode(P66, M0F, 0xd6, WithEvex);

/// vscalefps, vscalefpd; EVEX.
pub const TIMES_POWER: Pair = fused(0x2c);
/// vblendmps, vblendmpd; EVEX.
pub const BLEND: Pair = fused(0x65);
/// vpmovd2m, vpmovq2m; EVEX.
pub const SIGNS_TO_MASK: Pair = Pair(opcode(F3, M0F38, 0x39, No), opcode(F3, M0F38, 0x39, Yes));
/// vmovq from memory.
pub const LOAD_8: Opcode = opcode(F3, M0F, 0x7e, WithEvex);
/// vmovdqu8 from anywhere; EVEX.
pub const LOAD_BYTES: Opcode = opcode(F2, M0F, 0x6f, No);
/// vmovdqu8 to anywhere; EVEX.
pub const STORE_BYTES: Opcode = opcode(F2, M0F, 0x7f, No);
/// vptestmb; EVEX.
pub const TEST_BYTES: Opcode = opcode(P66, M0F38, 0x26, No);
/// vpmovm2b; EVEX.
pub const MASK_TO_BYTES: Opcode = opcode(F3, M0F38, 0x28, No);
/// vpabsb.
pub const BYTE_SIZES: Opcode = opcode(P66, M0F38, 0x1c, No);

/// An operation on masks; these are VEX instructions. The prefix says of how many bits.
#[derive(Clone, Copy, Debug)]
pub struct MaskOpcode {
    /// Opcode.
    pub byte: u8,
    /// Whether it takes two operands, which the bit L says.
    pub two: bool,
}

const fn mask(byte: u8, two: bool) -> MaskOpcode {
    MaskOpcode { byte, two }
}

/// kandw.
pub const MASK_AND: MaskOpcode = mask(0x41, true);
/// korw.
pub const MASK_OR: MaskOpcode = mask(0x45, true);
/// knotw.
pub const MASK_NOT: MaskOpcode = mask(0x44, false);
/// kmovw from a mask or memory.
pub const MASK_LOAD: MaskOpcode = mask(0x90, false);
/// kmovw to memory.
pub const MASK_STORE: MaskOpcode = mask(0x91, false);
/// kmovw from a general register.
pub const MASK_FROM_BITS: MaskOpcode = mask(0x92, false);
/// kmovw to a general register.
pub const MASK_TO_BITS: MaskOpcode = mask(0x93, false);

/// `/digit` of [`SHIFT`] to the left.
pub const LEFT: u8 = 6;
/// To the right, zeros following.
pub const RIGHT: u8 = 2;
/// To the right, the sign following; of 32-bit lanes.
pub const RIGHT_SIGNED: u8 = 4;
