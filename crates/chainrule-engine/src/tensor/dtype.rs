//! The element types of tensors, and the Rust types that stand for them on the host.

use half::{bf16, f16};
use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// IEEE 754 single precision, the default.
    F32,
    /// IEEE 754 double precision.
    F64,
    /// The upper half of an `F32`: 8 bits of exponent, 8 of precision.
    BF16,
    /// IEEE 754 half precision.
    F16,
    /// 64-bit signed integer.
    I64,
    /// 32-bit signed integer.
    I32,
    /// 8-bit unsigned integer.
    U8,
    /// True or false, one byte.
    Bool,
}

impl DType {
    /// Every element type, in the order of the declaration.
    pub const ALL: [DType; 8] = [DType::F32, DType::F64, DType::BF16, DType::F16, DType::I64, DType::I32, DType::U8, DType::Bool];

    /// What no element is below: minus infinity of floats.
    pub fn lowest(self) -> f64 {
        match self {
            DType::I64 => i64::MIN as f64,
            DType::I32 => i32::MIN as f64,
            DType::U8 | DType::Bool => 0.0,
            DType::F32 | DType::F64 | DType::BF16 | DType::F16 => f64::NEG_INFINITY,
        }
    }

    /// What no element is above: infinity of floats, and of i64 the largest that an f64 can name.
    ///
    /// ```
    /// use chainrule_engine::DType;
    /// assert_eq!((DType::U8.lowest(), DType::U8.highest()), (0.0, 255.0));
    /// ```
    pub fn highest(self) -> f64 {
        match self {
            DType::I64 => (i64::MAX - 1023) as f64,
            DType::I32 => i32::MAX as f64,
            DType::U8 => 255.0,
            DType::Bool => 1.0,
            DType::F32 | DType::F64 | DType::BF16 | DType::F16 => f64::INFINITY,
        }
    }

    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 | DType::I32 => 4,
            DType::BF16 | DType::F16 => 2,
            DType::U8 | DType::Bool => 1,
        }
    }

    /// Whether it is a floating-point type, the only kind that has derivatives.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64 | DType::BF16 | DType::F16)
    }

    /// The name used in messages and by `Debug` output, such as `f32`.
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::BF16 => "bf16",
            DType::F16 => "f16",
            DType::I64 => "i64",
            DType::I32 => "i32",
            DType::U8 => "u8",
            DType::Bool => "bool",
        }
    }

    /// The nearest value of this type, given and returned as f64 (the evaluation of the reference).
    pub fn round(self, value: f64) -> f64 {
        match self {
            DType::F64 => value,
            DType::F32 => value as f32 as f64,
            DType::BF16 => bf16::from_f64(value).to_f64(),
            DType::F16 => f16::from_f64(value).to_f64(),
            DType::I64 => value as i64 as f64,
            DType::I32 => value as i32 as f64,
            DType::U8 => value as u8 as f64,
            DType::Bool => (value != 0.0) as u8 as f64,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A Rust type whose values can be elements of a tensor.
pub trait Element: Copy + Send + Sync + PartialEq + fmt::Debug + 'static {
    /// The element type of a tensor that holds these values.
    const DTYPE: DType;
    /// Appends the bytes of the values, as they lie in a tensor.
    fn write(values: &[Self], bytes: &mut [u8]);
    /// Reads values from a tensor's bytes.
    fn read(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! plain_elements {
    ($($rust:ty => $dtype:ident),*) => {$(
        impl Element for $rust {
            const DTYPE: DType = DType::$dtype;
            fn write(values: &[Self], bytes: &mut [u8]) {
                bytes.copy_from_slice(bytemuck::cast_slice(values));
            }
            fn read(bytes: &[u8]) -> Vec<Self> {
                bytemuck::pod_collect_to_vec(bytes)
            }
        }
    )*};
}
plain_elements!(f32 => F32, f64 => F64, bf16 => BF16, f16 => F16, i64 => I64, i32 => I32, u8 => U8);

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    fn write(values: &[Self], bytes: &mut [u8]) {
        for (byte, &value) in bytes.iter_mut().zip(values) {
            *byte = value as u8;
        }
    }
    fn read(bytes: &[u8]) -> Vec<Self> {
        bytes.iter().map(|&byte| byte != 0).collect()
    }
}
