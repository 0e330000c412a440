//! Tensors as a file holds them: sizes, an element type by number, and the elements in one of seven fields.
//!
//! Whether the elements fill the sizes is checked before anything is made of them.

use super::wire::{Field, Reader};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Texts, Value};
use chainrule::tensor::shape::checked_product;
use chainrule::{DType, Data, Tensor};
use std::path::Path;
use std::sync::OnceLock;

/// The element types of ONNX by number, and those of the engine that are the same.
const ELEMENTS: &[(&str, Option<DType>)] = &[
    ("undefined", None),
    ("float", Some(DType::F32)),
    ("uint8", Some(DType::U8)),
    ("int8", None),
    ("uint16", None),
    ("int16", None),
    ("int32", Some(DType::I32)),
    ("int64", Some(DType::I64)),
    ("string", None),
    ("bool", Some(DType::Bool)),
    ("float16", Some(DType::F16)),
    ("double", Some(DType::F64)),
    ("uint32", None),
    ("uint64", None),
    ("complex64", None),
    ("complex128", None),
    ("bfloat16", Some(DType::BF16)),
    ("float8e4m3fn", None),
    ("float8e4m3fnuz", None),
    ("float8e5m2", None),
    ("float8e5m2fnuz", None),
    ("uint4", None),
    ("int4", None),
    ("float4e2m1", None),
    ("float8e8m0", None),
    ("uint2", None),
    ("int2", None),
];

/// An element type of ONNX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Element(pub i64);

impl Element {
    /// ONNX's name of it, such as `float16`.
    pub fn name(self) -> String {
        usize::try_from(self.0).ok().and_then(|at| ELEMENTS.get(at)).map_or_else(|| format!("type {}", self.0), |row| row.0.to_string())
    }

    /// The element type that the engine has for it.
    ///
    /// # Errors
    /// If it has none.
    pub fn dtype(self) -> Result<DType> {
        usize::try_from(self.0).ok().and_then(|at| ELEMENTS.get(at)).and_then(|row| row.1).ok_or_else(|| {
            let known: Vec<&str> = ELEMENTS.iter().filter(|row| row.1.is_some()).map(|row| row.0).collect();
            Error::unsupported(format!("elements are {}; the engine has {}", self.name(), known.join(", ")))
        })
    }

    /// Whether elements are strings.
    pub fn is_text(self) -> bool {
        usize::try_from(self.0).ok().and_then(|at| ELEMENTS.get(at)).is_some_and(|row| row.0 == "string")
    }

    /// The number of one of the engine's types.
    pub fn of(dtype: DType) -> Element {
        Element(ELEMENTS.iter().position(|row| row.1 == Some(dtype)).unwrap_or(0) as i64)
    }
}

/// Where a file says that elements lie.
#[derive(Clone, Debug, Default)]
struct External {
    location: String,
    offset: Option<u64>,
    length: Option<u64>,
}

/// A tensor of a file.
#[derive(Clone, Default)]
pub struct TensorMessage {
    pub name: String,
    pub dims: Vec<i64>,
    pub element: Element,
    raw: Option<Vec<u8>>,
    floats: Vec<f32>,
    /// Of 32-bit and smaller integers, bool, and the bits of small floats.
    small: Vec<i64>,
    integers: Vec<i64>,
    doubles: Vec<f64>,
    /// The elements of a tensor of strings.
    pub texts: Vec<Vec<u8>>,
    external: Option<External>,
    offset: usize,
    made: OnceLock<Tensor>,
}

impl TensorMessage {
    /// Reads the fields of a `TensorProto`.
    pub fn parse(mut reader: Reader<'_>, offset: usize) -> Result<TensorMessage> {
        let mut tensor = TensorMessage { offset, ..TensorMessage::default() };
        let mut elsewhere = false;
        let mut external = External::default();
        while let Some(field) = reader.field()? {
            match field.number {
                1 => field.integers(&mut tensor.dims)?,
                2 => tensor.element = Element(field.integer()?),
                4 => field.floats(&mut tensor.floats)?,
                5 => field.integers(&mut tensor.small)?,
                6 => tensor.texts.push(field.bytes()?.to_vec()),
                7 | 11 => field.integers(&mut tensor.integers)?,
                8 => tensor.name = field.text()?,
                9 => tensor.raw = Some(field.bytes()?.to_vec()),
                10 => field.doubles(&mut tensor.doubles)?,
                13 => external.entry(&field)?,
                14 => elsewhere = field.integer()? == 1,
                _ => {}
            }
        }
        tensor.external = elsewhere.then_some(external);
        Ok(tensor)
    }

    fn said(&self, kind: ErrorKind, message: String) -> Error {
        let name = if self.name.is_empty() { format!("the tensor at byte {}", self.offset) } else { format!("tensor '{}'", self.name) };
        Error::new(kind, format!("{name}: {message}"))
    }

    fn sizes(&self) -> Result<(Vec<usize>, usize)> {
        let sizes: Option<Vec<usize>> = self.dims.iter().map(|&size| usize::try_from(size).ok()).collect();
        let counted = sizes.and_then(|sizes| checked_product(&sizes).map(|count| (sizes, count)));
        counted.ok_or_else(|| self.said(ErrorKind::Model, format!("the sizes {:?} are negative, or their product is too large", self.dims)))
    }

    /// The tensor, made once.
    ///
    /// # Errors
    /// If the engine has no such elements, if they do not fill the sizes, or lie in a file of their own.
    pub fn tensor(&self) -> Result<Tensor> {
        if let Some(made) = self.made.get() {
            return Ok(made.clone());
        }
        let dtype = self.element.dtype().map_err(|error| self.said(error.kind(), error.message().to_string()))?;
        let (sizes, count) = self.sizes()?;
        if let Some(external) = &self.external {
            let message = format!("its elements lie in the file '{}'; read the model with Model::read(path)", external.location);
            return Err(self.said(ErrorKind::File, message));
        }
        let data = self.data(dtype, count)?;
        if data.len() != count {
            let message = format!("{} elements do not fill the sizes {sizes:?}, which take {count}", data.len());
            return Err(self.said(ErrorKind::Model, message));
        }
        Ok(self.made.get_or_init(|| Tensor::from_data(data, sizes)).clone())
    }

    /// The tensor as a value: of strings, too.
    ///
    /// # Errors
    /// As [`TensorMessage::tensor`]; if strings are not UTF-8.
    pub fn value(&self) -> Result<Value> {
        if !self.element.is_text() {
            return Ok(Value::Tensor(self.tensor()?));
        }
        let text =
            |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).map_err(|_| self.said(ErrorKind::Model, "a string is not UTF-8".into()));
        let texts: Vec<String> = self.texts.iter().map(text).collect::<Result<_>>()?;
        let found = Texts::new(texts, self.sizes()?.0).map_err(|error| self.said(ErrorKind::Model, error.message().to_string()))?;
        Ok(found.into())
    }

    fn data(&self, dtype: DType, count: usize) -> Result<Data> {
        if let Some(raw) = &self.raw {
            if raw.len() != count.saturating_mul(dtype.bytes()) {
                let message = format!("{} bytes are no {count} elements of {dtype}", raw.len());
                return Err(self.said(ErrorKind::Model, message));
            }
            return Ok(Data::from_bytes(dtype, raw));
        }
        Ok(match dtype {
            DType::F32 => Data::of(&self.floats),
            DType::F64 => Data::of(&self.doubles),
            DType::I64 => Data::of(&self.integers),
            DType::F16 | DType::BF16 => {
                let bits: Vec<u8> = self.small.iter().flat_map(|&bits| (bits as u16).to_ne_bytes()).collect();
                Data::from_bytes(dtype, &bits)
            }
            DType::I32 | DType::U8 | DType::Bool => Data::from_i64(dtype, &self.small),
        })
    }

    /// Reads the elements that lie in a file of their own, which must be in `folder`.
    pub fn load_external(&mut self, folder: &Path) -> Result<()> {
        let Some(external) = &self.external else { return Ok(()) };
        let path = Path::new(&external.location);
        let plain = path.components().all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
        let inside = |path: &Path| -> Option<std::path::PathBuf> {
            let (folder, file) = (folder.canonicalize().ok()?, folder.join(path).canonicalize().ok()?);
            file.starts_with(&folder).then_some(file)
        };
        if external.location.is_empty() || !plain {
            let message = format!(
                "its elements are said to lie in '{}', which is not in the model's folder; such files are not read",
                path.display()
            );
            return Err(self.said(ErrorKind::File, message));
        }
        let Some(file) = inside(path) else {
            let message = format!("its elements lie in '{}', which is not there or leads out of the model's folder", path.display());
            return Err(self.said(ErrorKind::File, message));
        };
        let raw = read_part(&file, external.offset.unwrap_or(0), external.length)
            .map_err(|error| self.said(ErrorKind::File, format!("its elements in '{}': {error}", path.display())))?;
        (self.raw, self.external) = (Some(raw), None);
        Ok(())
    }
}

impl External {
    fn entry(&mut self, field: &Field<'_>) -> Result<()> {
        let mut reader = field.message()?;
        let (mut key, mut value) = (String::new(), String::new());
        while let Some(part) = reader.field()? {
            match part.number {
                1 => key = part.text()?,
                2 => value = part.text()?,
                _ => {}
            }
        }
        let number = || value.parse().map_err(|_| Error::malformed(field.offset, format!("'{value}' is no {key} in a file")));
        match key.as_str() {
            "location" => self.location = value,
            "offset" => self.offset = Some(number()?),
            "length" => self.length = Some(number()?),
            _ => {}
        }
        Ok(())
    }
}

/// `length` bytes of a file from `offset` on, or all that follow.
fn read_part(path: &Path, offset: u64, length: Option<u64>) -> std::io::Result<Vec<u8>> {
    use std::io::{Error, ErrorKind, Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    let length = length.unwrap_or(size.saturating_sub(offset));
    if offset.checked_add(length).is_none_or(|end| end > size) {
        let message = format!("{length} bytes from byte {offset} on are beyond its {size} bytes");
        return Err(Error::new(ErrorKind::UnexpectedEof, message));
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
