//! The wire format of protocol buffers: fields with a number and one of four kinds of value.
//!
//! Reads borrowed bytes and knows where in the file it stands. Refuses groups, which were never used by ONNX, and
//! whatever is longer than the bytes that are there: nothing is allocated that the file does not hold.
//! The format: <https://protobuf.dev/programming-guides/encoding/>.

use crate::error::{Error, Result};

/// How deep messages may lie in each other: a graph in an attribute in a node in a graph counts three.
pub const DEPTH: usize = 100;

/// A message that is being read.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes` starts in the file.
    base: usize,
    depth: usize,
}

/// A field of a message.
pub struct Field<'a> {
    /// The number that stands for its name.
    pub number: u64,
    /// Where it starts in the file.
    pub offset: usize,
    value: Wire<'a>,
    depth: usize,
}

enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes { bytes: &'a [u8], base: usize },
    Fixed32(u32),
}

impl<'a> Reader<'a> {
    /// A reader of a whole file.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0, base: 0, depth: 0 }
    }

    fn offset(&self) -> usize {
        self.base + self.at
    }

    fn varint(&mut self) -> Result<u64> {
        let start = self.offset();
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(Error::malformed(start, "a number is cut off; the file is cut short or no ONNX model"));
            };
            self.at += 1;
            // The tenth byte holds the one bit that is left of 64.
            if shift == 63 && byte > 1 {
                break;
            }
            value |= ((byte & 0x7f) as u64) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::malformed(start, "a number has more than 64 bits; this is no ONNX model"))
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let left = self.bytes.len() - self.at;
        let count = usize::try_from(count).ok().filter(|&count| count <= left);
        count
            .map(|count| {
                let part = &self.bytes[self.at..self.at + count];
                self.at += count;
                part
            })
            .ok_or_else(|| Error::malformed(self.offset(), "beyond the end"))
    }

    /// The next field, or `None` at the end of the message.
    pub fn field(&mut self) -> Result<Option<Field<'a>>> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let offset = self.offset();
        let tag = self.varint()?;
        let short = |_| Error::malformed(offset, "a number is cut off; the file is cut short or no ONNX model");
        let value = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.take(8).map_err(short)?.try_into().unwrap_or_default())),
            5 => Wire::Fixed32(u32::from_le_bytes(self.take(4).map_err(short)?.try_into().unwrap_or_default())),
            2 => {
                let announced_at = self.offset();
                let announced = self.varint()?;
                let (left, base) = (self.bytes.len() - self.at, self.offset());
                let beyond = |_| {
                    let is = if left == 1 { "is" } else { "are" };
                    let message = format!("{announced} bytes are announced and {left} {is} left; the file is cut short or no ONNX model");
                    Error::malformed(announced_at, message)
                };
                Wire::Bytes { bytes: self.take(announced).map_err(beyond)?, base }
            }
            kind => {
                return Err(Error::malformed(offset, format!("a field of kind {kind}, which ONNX does not use; this is no ONNX model")));
            }
        };
        if tag >> 3 == 0 {
            return Err(Error::malformed(offset, "a field of number 0; this is no ONNX model"));
        }
        Ok(Some(Field { number: tag >> 3, offset, value, depth: self.depth }))
    }
}

impl<'a> Field<'a> {
    fn unlike(&self, wanted: &str) -> Error {
        let found = match self.value {
            Wire::Varint(_) => "a number",
            Wire::Fixed64(_) => "eight bytes",
            Wire::Fixed32(_) => "four bytes",
            Wire::Bytes { .. } => "a run of bytes",
        };
        let message = format!("field {} is {found} where ONNX has {wanted}; this is no ONNX model, or one of a future format", self.number);
        Error::malformed(self.offset, message)
    }

    /// A whole number.
    pub fn integer(&self) -> Result<i64> {
        match self.value {
            Wire::Varint(value) => Ok(value as i64),
            _ => Err(self.unlike("a whole number")),
        }
    }

    /// A float of single precision.
    pub fn float(&self) -> Result<f32> {
        match self.value {
            Wire::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => Err(self.unlike("a float")),
        }
    }

    /// A run of bytes.
    pub fn bytes(&self) -> Result<&'a [u8]> {
        match self.value {
            Wire::Bytes { bytes, .. } => Ok(bytes),
            _ => Err(self.unlike("bytes")),
        }
    }

    /// Text; what is not UTF-8 is an error.
    pub fn text(&self) -> Result<String> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map(str::to_string).map_err(|_| Error::malformed(self.offset, format!("field {} is text and not UTF-8", self.number)))
    }

    /// A message within this one.
    pub fn message(&self) -> Result<Reader<'a>> {
        match self.value {
            Wire::Bytes { .. } if self.depth >= DEPTH => {
                let message = format!("messages lie {DEPTH} deep in each other and go on; a model of graphs in graphs so deep is not read");
                Err(Error::malformed(self.offset, message))
            }
            Wire::Bytes { bytes, base } => Ok(Reader { bytes, at: 0, base, depth: self.depth + 1 }),
            _ => Err(self.unlike("a message")),
        }
    }

    /// Adds whole numbers, which come one by one or many in a run.
    pub fn integers(&self, into: &mut Vec<i64>) -> Result<()> {
        match self.value {
            Wire::Varint(value) => into.push(value as i64),
            Wire::Bytes { bytes, base } => {
                let mut run = Reader { bytes, at: 0, base, depth: self.depth };
                while run.at < bytes.len() {
                    into.push(run.varint()? as i64);
                }
            }
            _ => return Err(self.unlike("whole numbers")),
        }
        Ok(())
    }

    /// Adds floats of single precision.
    pub fn floats(&self, into: &mut Vec<f32>) -> Result<()> {
        match self.value {
            Wire::Fixed32(bits) => into.push(f32::from_bits(bits)),
            Wire::Bytes { bytes, .. } if bytes.len().is_multiple_of(4) => {
                into.extend(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
            }
            _ => return Err(self.unlike("floats of four bytes")),
        }
        Ok(())
    }

    /// Adds floats of double precision.
    pub fn doubles(&self, into: &mut Vec<f64>) -> Result<()> {
        match self.value {
            Wire::Fixed64(bits) => into.push(f64::from_bits(bits)),
            Wire::Bytes { bytes, .. } if bytes.len().is_multiple_of(8) => {
                into.extend(bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)));
            }
            _ => return Err(self.unlike("floats of eight bytes")),
        }
        Ok(())
    }
}
