//! The values of a tensor on the host: dense, row-major, aligned for vector loads.
//!
//! Refuses to know shapes or strides: a `Data` is a flat run of elements of one type.

use super::dtype::{DType, Element};
use super::error::{Error, ErrorKind, Result};
use super::memory::Memory;

/// A run of elements of one type.
#[derive(Clone)]
pub struct Data {
    dtype: DType,
    len: usize,
    memory: Memory,
}

impl Data {
    /// `len` elements of zero bytes: 0, 0.0 or false. Ends the process where there is no such memory.
    pub fn zeros(dtype: DType, len: usize) -> Data {
        Data { dtype, len, memory: Memory::zeroed(len * dtype.bytes()) }
    }

    /// As [`Data::zeros`], or an error where the system has not so much memory.
    pub fn try_zeros(dtype: DType, len: usize) -> Result<Data> {
        let bytes = len.checked_mul(dtype.bytes());
        let memory = bytes.and_then(Memory::try_zeroed).ok_or_else(|| {
            let message = format!("there is no memory for {len} elements of type {dtype}; make the tensors smaller");
            Error::new(ErrorKind::Machine, "memory", message)
        })?;
        Ok(Data { dtype, len, memory })
    }

    /// A copy of the values.
    pub fn of<T: Element>(values: &[T]) -> Data {
        let mut data = Data::zeros(T::DTYPE, values.len());
        T::write(values, data.bytes_mut());
        data
    }

    /// A copy of raw bytes; their number must be a multiple of the element's. Of a bool, any byte
    /// but 0 is true.
    pub fn from_bytes(dtype: DType, bytes: &[u8]) -> Data {
        let mut data = Data::zeros(dtype, bytes.len() / dtype.bytes());
        let len = data.len * dtype.bytes();
        data.bytes_mut().copy_from_slice(&bytes[..len]);
        if dtype == DType::Bool {
            // Kernels compute with the byte, and rely on its being 0 or 1.
            data.bytes_mut().iter_mut().for_each(|byte| *byte = (*byte != 0) as u8);
        }
        data
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements as they lie in memory.
    pub fn bytes(&self) -> &[u8] {
        self.memory.bytes()
    }

    /// The elements as they lie in memory, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.bytes_mut()
    }

    /// The first byte, to be written through for as long as the data lives and is not moved out of.
    pub(crate) fn first_mut(&mut self) -> *mut u8 {
        self.memory.first_mut()
    }

    /// Whether all bytes are known to be zero, without a look at them.
    pub(crate) fn is_untouched(&self) -> bool {
        self.memory.is_untouched()
    }

    /// The values, if `T` is the element type.
    pub fn to_vec<T: Element>(&self) -> Option<Vec<T>> {
        (T::DTYPE == self.dtype).then(|| T::read(self.bytes()))
    }

    /// The values as floats, whatever the type. i64 beyond 2^53 are rounded.
    pub fn to_f64(&self) -> Vec<f64> {
        let bytes = self.bytes();
        match self.dtype {
            DType::F32 => f32::read(bytes).into_iter().map(f64::from).collect(),
            DType::F64 => f64::read(bytes),
            DType::BF16 => half::bf16::read(bytes).into_iter().map(f64::from).collect(),
            DType::F16 => half::f16::read(bytes).into_iter().map(f64::from).collect(),
            _ => self.to_i64().into_iter().map(|v| v as f64).collect(),
        }
    }

    /// The values as integers; floats are truncated.
    pub fn to_i64(&self) -> Vec<i64> {
        let bytes = self.bytes();
        match self.dtype {
            DType::I64 => i64::read(bytes),
            DType::I32 => i32::read(bytes).into_iter().map(i64::from).collect(),
            DType::U8 | DType::Bool => bytes.iter().map(|&v| v as i64).collect(),
            _ => self.to_f64().into_iter().map(|v| v as i64).collect(),
        }
    }

    /// Numbers written as elements of `dtype`, each rounded to the nearest.
    pub fn from_f64(dtype: DType, values: &[f64]) -> Data {
        match dtype {
            DType::F32 => Data::of(&values.iter().map(|&v| v as f32).collect::<Vec<_>>()),
            DType::F64 => Data::of(values),
            DType::BF16 => Data::of(&values.iter().map(|&v| half::bf16::from_f64(v)).collect::<Vec<_>>()),
            DType::F16 => Data::of(&values.iter().map(|&v| half::f16::from_f64(v)).collect::<Vec<_>>()),
            DType::I64 => Data::of(&values.iter().map(|&v| v as i64).collect::<Vec<_>>()),
            DType::I32 => Data::of(&values.iter().map(|&v| v as i32).collect::<Vec<_>>()),
            DType::U8 => Data::of(&values.iter().map(|&v| v as u8).collect::<Vec<_>>()),
            DType::Bool => Data::of(&values.iter().map(|&v| v != 0.0).collect::<Vec<_>>()),
        }
    }

    /// Integers written as elements of `dtype`.
    pub fn from_i64(dtype: DType, values: &[i64]) -> Data {
        match dtype {
            DType::I64 => Data::of(values),
            DType::I32 => Data::of(&values.iter().map(|&v| v as i32).collect::<Vec<_>>()),
            DType::U8 => Data::of(&values.iter().map(|&v| v as u8).collect::<Vec<_>>()),
            DType::Bool => Data::of(&values.iter().map(|&v| v != 0).collect::<Vec<_>>()),
            _ => Data::from_f64(dtype, &values.iter().map(|&v| v as f64).collect::<Vec<_>>()),
        }
    }
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Data({} x {})", self.len, self.dtype)
    }
}
