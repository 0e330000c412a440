//! Models in safetensors files: their tensors by dotted name, with metadata.
//!
//! A file is refused as a whole where it does not fit the model; a file that could not be written
//! leaves what was there.

use super::error::FileError;
use super::safetensors::{Contents, RawDtype, RawTensor, read_contents, write};
use crate::nn::{Module, StateError};
use chainrule_engine::{DType, Data, Error, Result as EngineResult, Tensor};
use std::fmt;
use std::path::{Path, PathBuf};

/// Named texts beside the tensors of a file.
pub type Metadata = Vec<(String, String)>;

/// Writes all parameters and buffers of `model`, with any metadata, to the file at `path`.
///
/// # Errors
/// If a tensor cannot be computed, or the file cannot be written; then it is as it was.
///
/// ```
/// use chainrule::prelude::*;
/// use chainrule::io::weights;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("model.safetensors");
/// let mut rng = Rng::new(0);
/// let (model, mut other) = (Linear::new(3, 2, &mut rng), Linear::new(3, 2, &mut rng));
/// weights::save(&path, &model, &[("layers".to_string(), "3,2".to_string())])?;
/// let metadata = weights::load(&path, &mut other)?;
/// assert_eq!(other.weight.to_vec::<f32>()?, model.weight.to_vec::<f32>()?);
/// assert_eq!(metadata[0].1, "3,2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save(path: impl AsRef<Path>, model: &(impl Module + ?Sized), metadata: &[(String, String)]) -> Result<(), WeightsError> {
    save_tensors(path, &model.state(), metadata)
}

/// Replaces all parameters and buffers of `model` by those in the file at `path`, and gives its
/// metadata.
///
/// # Errors
/// If the file cannot be read, is no valid safetensors file, or holds other tensors than the model
/// needs: all differences are named, and the model is as it was.
pub fn load(path: impl AsRef<Path>, model: &mut (impl Module + ?Sized)) -> Result<Metadata, WeightsError> {
    let path = path.as_ref();
    let (tensors, metadata) = load_tensors(path)?;
    model.load_state(&tensors).map_err(|problem| WeightsError::State { file: path.into(), problem })?;
    Ok(metadata)
}

/// Writes tensors by name.
///
/// # Errors
/// As [`save`].
pub fn save_tensors(path: impl AsRef<Path>, tensors: &[(String, Tensor)], metadata: &[(String, String)]) -> Result<(), WeightsError> {
    Tensor::eval_all(&tensors.iter().map(|(_, tensor)| tensor).collect::<Vec<_>>())?;
    let data = tensors.iter().map(|(_, tensor)| tensor.to_data()).collect::<EngineResult<Vec<_>>>()?;
    let raw: Vec<(&str, RawTensor<'_>)> = tensors
        .iter()
        .zip(&data)
        .map(|((name, tensor), data)| {
            let bytes = little_endian(data.bytes(), tensor.dtype());
            let raw = RawTensor { dtype: raw_dtype(tensor.dtype()), shape: tensor.shape().into(), bytes };
            (name.as_str(), raw)
        })
        .collect();
    Ok(write(path, &raw, metadata)?)
}

/// Reads all tensors of a file, and its metadata.
///
/// # Errors
/// If the file cannot be read or is no valid safetensors file, or holds values of a type that no
/// tensor has.
pub fn load_tensors(path: impl AsRef<Path>) -> Result<(Vec<(String, Tensor)>, Metadata), WeightsError> {
    let path = path.as_ref();
    let Contents { tensors, metadata } = read_contents(path)?;
    let mut loaded = Vec::with_capacity(tensors.len());
    for (name, raw) in tensors {
        let Some(dtype) = tensor_dtype(raw.dtype) else {
            return Err(WeightsError::Type { file: path.into(), tensor: name, dtype: raw.dtype });
        };
        let data = Data::from_bytes(dtype, &little_endian(&raw.bytes, dtype));
        let tensor = Tensor::from_data(data, raw.shape);
        tensor.check()?;
        loaded.push((name, tensor));
    }
    Ok((loaded, metadata))
}

/// A model that could not be saved or loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file cannot be read or written, or is no valid safetensors file.
    File(FileError),
    /// The file holds other tensors than the model needs.
    State {
        /// The file.
        file: PathBuf,
        /// The differences.
        problem: StateError,
    },
    /// A tensor in the file has a type that no tensor here has.
    Type {
        /// The file.
        file: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Its type.
        dtype: RawDtype,
    },
    /// The file's metadata does not say what is needed to go on.
    Metadata {
        /// The file.
        file: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A tensor could not be computed.
    Engine(Error),
}

impl From<FileError> for WeightsError {
    fn from(error: FileError) -> WeightsError {
        WeightsError::File(error)
    }
}

impl From<Error> for WeightsError {
    fn from(error: Error) -> WeightsError {
        WeightsError::Engine(error)
    }
}

impl std::error::Error for WeightsError {}

impl fmt::Display for WeightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WeightsError::File(error) => error.fmt(f),
            WeightsError::State { file, problem } => write!(f, "{}: {problem}", file.display()),
            WeightsError::Type { file, tensor, dtype } => write!(
                f,
                "{}: tensor {tensor} holds {} values, which no tensor here can; convert it to a type that both know",
                file.display(),
                dtype.name()
            ),
            WeightsError::Metadata { file, problem } => write!(f, "{}: {problem}", file.display()),
            WeightsError::Engine(error) => error.fmt(f),
        }
    }
}

fn raw_dtype(dtype: DType) -> RawDtype {
    match dtype {
        DType::F32 => RawDtype::F32,
        DType::F64 => RawDtype::F64,
        DType::BF16 => RawDtype::BF16,
        DType::F16 => RawDtype::F16,
        DType::I64 => RawDtype::I64,
        DType::I32 => RawDtype::I32,
        DType::U8 => RawDtype::U8,
        DType::Bool => RawDtype::Bool,
    }
}

fn tensor_dtype(dtype: RawDtype) -> Option<DType> {
    DType::ALL.into_iter().find(|&known| raw_dtype(known) == dtype)
}

/// The bytes of values from this machine's order to that of files, or back: the same change.
fn little_endian(bytes: &[u8], dtype: DType) -> std::borrow::Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        return bytes.into();
    }
    let reversed = bytes.chunks(dtype.bytes()).flat_map(|value| value.iter().rev().copied());
    reversed.collect::<Vec<u8>>().into()
}
