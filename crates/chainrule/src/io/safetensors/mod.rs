//! Reads and writes safetensors files: a JSON header that places every tensor, then plain bytes.
//!
//! A file is trusted in nothing: the header's length, its JSON, every shape, type and offset are
//! checked against the file's true size before memory is asked for. Files with overlaps, gaps or
//! repeated names are refused even where they could be read. This file knows no `Tensor`; it hands
//! out names, types, shapes and little-endian bytes.

mod header;
mod problem;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::atomic::atomic_write;
use super::error::{FileError, FileProblem};
use header::{Header, Place};
pub use problem::TensorProblem;

/// The longest header that is read or written, in bytes; the format's own limit.
pub const LONGEST_HEADER: u64 = 100_000_000;
/// The most axes that a tensor of a file may have.
pub const MOST_AXES: usize = 32;
/// The name under which the header keeps metadata; no tensor can have it.
const METADATA: &str = "__metadata__";

/// The values of one tensor as they lie in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawTensor<'a> {
    /// The type of each value.
    pub dtype: RawDtype,
    /// The length of each axis; empty for a single number.
    pub shape: Vec<usize>,
    /// The values, last axis fastest, each in little-endian order.
    pub bytes: Cow<'a, [u8]>,
}

macro_rules! raw_dtypes {
    ($($(#[doc = $doc:literal])* $variant:ident $name:literal $bytes:literal,)*) => {
        /// The types of values that a file can hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RawDtype { $($(#[doc = $doc])* $variant,)* }

        impl RawDtype {
            /// Every type.
            pub const ALL: &[RawDtype] = &[$(RawDtype::$variant),*];

            /// The type's name in a file.
            pub fn name(self) -> &'static str {
                match self { $(RawDtype::$variant => $name,)* }
            }

            /// How many bytes one value takes.
            pub fn bytes(self) -> usize {
                match self { $(RawDtype::$variant => $bytes,)* }
            }
        }
    };
}

raw_dtypes! {
    /// 64-bit float.
    F64 "F64" 8,
    /// 32-bit float.
    F32 "F32" 4,
    /// 16-bit float with 11 significant bits.
    F16 "F16" 2,
    /// 16-bit float with the exponents of a 32-bit float.
    BF16 "BF16" 2,
    /// 8-bit float with 5 bits of exponent.
    F8E5M2 "F8_E5M2" 1,
    /// 8-bit float with 4 bits of exponent.
    F8E4M3 "F8_E4M3" 1,
    /// Signed 64-bit integer.
    I64 "I64" 8,
    /// Signed 32-bit integer.
    I32 "I32" 4,
    /// Signed 16-bit integer.
    I16 "I16" 2,
    /// Signed 8-bit integer.
    I8 "I8" 1,
    /// Unsigned 64-bit integer.
    U64 "U64" 8,
    /// Unsigned 32-bit integer.
    U32 "U32" 4,
    /// Unsigned 16-bit integer.
    U16 "U16" 2,
    /// Unsigned 8-bit integer.
    U8 "U8" 1,
    /// A truth value: the byte 0 or 1.
    Bool "BOOL" 1,
}

/// A file's tensors and what is said about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Names and tensors in the order of the header.
    pub tensors: Vec<(String, RawTensor<'static>)>,
    /// Keys and texts in the order of the header.
    pub metadata: Vec<(String, String)>,
}

/// Reads all tensors of the file at `path`, in the order of its header.
///
/// # Errors
/// A [`FileError`] names the file, the tensor, what is wrong and what to do about it.
///
/// ```
/// use chainrule::io::safetensors::{read, write, RawDtype, RawTensor};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("model.safetensors");
/// let bytes = 1.5f32.to_le_bytes().to_vec();
/// let bias = RawTensor { dtype: RawDtype::F32, shape: vec![1], bytes: bytes.into() };
/// write(&path, &[("bias", bias.clone())], &[])?;
/// assert_eq!(read(&path)?, [("bias".to_string(), bias)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: impl AsRef<Path>) -> Result<Vec<(String, RawTensor<'static>)>, FileError> {
    Ok(read_contents(path)?.tensors)
}

/// Reads tensors and metadata of the file at `path`.
///
/// # Errors
/// As [`read`].
pub fn read_contents(path: impl AsRef<Path>) -> Result<Contents, FileError> {
    let path = path.as_ref();
    let failed = |reason| FileError::system(path, "reading", reason);
    let about = std::fs::metadata(path).map_err(failed)?;
    let problem = match () {
        () if about.is_dir() => Some(FileProblem::Directory),
        () if !about.is_file() => Some(FileProblem::NotRegular),
        () => None,
    };
    if let Some(problem) = problem {
        return Err(FileError::new(path, problem));
    }
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    read_from(&mut file, length).map_err(|failure| match failure {
        Failure::System(reason) => failed(reason),
        Failure::OutOfMemory(bytes) => FileError::new(path, FileProblem::OutOfMemory(bytes)),
        Failure::Tensors(problem) => FileError::new(path, FileProblem::Tensors(problem)),
    })
}

/// Replaces the file at `path` by one with these tensors, or leaves it as it was.
///
/// The header lists the tensors in the given order. Their bytes are placed by falling size of a
/// value, so that each tensor starts at a multiple of it and can be used where the file lies in
/// memory.
///
/// # Errors
/// Where two tensors or two pieces of metadata have one name, a tensor's bytes are not as many as
/// its shape and type need, a name is reserved by the format, or the file cannot be written.
pub fn write<Name: AsRef<str>>(
    path: impl AsRef<Path>,
    tensors: &[(Name, RawTensor<'_>)],
    metadata: &[(String, String)],
) -> Result<(), FileError> {
    let path = path.as_ref();
    let in_file = |problem| FileError::new(path, FileProblem::Tensors(problem));
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(tensors[index].1.dtype.bytes()));
    let mut begin = 0;
    let mut places = Vec::new();
    for &index in &order {
        let (name, tensor) = &tensors[index];
        tensor.check(name.as_ref()).map_err(in_file)?;
        let end = begin + tensor.bytes.len() as u64;
        places.push((index, Place { name: name.as_ref().to_string(), dtype: tensor.dtype, shape: tensor.shape.clone(), begin, end }));
        begin = end;
    }
    places.sort_by_key(|(index, _)| *index);
    let header = Header { places: places.into_iter().map(|(_, place)| place).collect(), metadata: metadata.to_vec() };
    let text = header.to_text().map_err(in_file)?;
    atomic_write(path, |out| {
        out.write_all(&(text.len() as u64).to_le_bytes())?;
        out.write_all(text.as_bytes())?;
        order.iter().try_for_each(|&index| out.write_all(&tensors[index].1.bytes))
    })
}

impl RawTensor<'_> {
    /// Whether the bytes are what the shape and the type say.
    fn check(&self, name: &str) -> Result<(), TensorProblem> {
        let needed = header::byte_count(name, self.dtype, &self.shape)?;
        if needed != self.bytes.len() as u64 {
            return Err(TensorProblem::WrongSize {
                tensor: name.to_string(),
                dtype: self.dtype,
                shape: self.shape.clone(),
                needed,
                found: self.bytes.len() as u64,
            });
        }
        match self.bytes.iter().position(|&byte| byte > 1) {
            Some(at) if self.dtype == RawDtype::Bool => Err(TensorProblem::NotBool { tensor: name.to_string(), at, byte: self.bytes[at] }),
            _ => Ok(()),
        }
    }
}

/// What can go wrong while reading, before the file's name is added.
enum Failure {
    System(io::Error),
    OutOfMemory(u64),
    Tensors(TensorProblem),
}

impl From<io::Error> for Failure {
    fn from(reason: io::Error) -> Failure {
        Failure::System(reason)
    }
}

impl From<TensorProblem> for Failure {
    fn from(problem: TensorProblem) -> Failure {
        Failure::Tensors(problem)
    }
}

/// Reads from a file that is `length` bytes long.
fn read_from(file: &mut impl Read, length: u64) -> Result<Contents, Failure> {
    let Some(after_length) = length.checked_sub(8) else {
        return Err(TensorProblem::NoHeader { length }.into());
    };
    let mut claimed = [0; 8];
    file.read_exact(&mut claimed)?;
    let claimed = u64::from_le_bytes(claimed);
    if claimed > LONGEST_HEADER {
        return Err(TensorProblem::HeaderTooLong { claimed }.into());
    }
    let Some(data_length) = after_length.checked_sub(claimed) else {
        let available = after_length;
        return Err(TensorProblem::HeaderBeyondFile { claimed, available }.into());
    };
    let header = Header::parse(&read_bytes(file, claimed)?, data_length)?;
    let mut order: Vec<usize> = (0..header.places.len()).collect();
    order.sort_by_key(|&index| (header.places[index].begin, header.places[index].end));
    let mut tensors = Vec::with_capacity(order.len());
    for index in order {
        let place = &header.places[index];
        let tensor = RawTensor { dtype: place.dtype, shape: place.shape.clone(), bytes: read_bytes(file, place.end - place.begin)?.into() };
        tensor.check(&place.name)?;
        tensors.push((index, (place.name.clone(), tensor)));
    }
    tensors.sort_by_key(|(index, _)| *index);
    Ok(Contents { tensors: tensors.into_iter().map(|(_, tensor)| tensor).collect(), metadata: header.metadata })
}

/// Reads exactly `count` bytes, which the caller knows to lie in the file.
fn read_bytes(file: &mut impl Read, count: u64) -> Result<Vec<u8>, Failure> {
    let size = usize::try_from(count).map_err(|_| Failure::OutOfMemory(count))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Failure::OutOfMemory(count))?;
    if file.take(count).read_to_end(&mut bytes)? < size {
        let reason = "the file became shorter while it was read";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason).into());
    }
    Ok(bytes)
}
