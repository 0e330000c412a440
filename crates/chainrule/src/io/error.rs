//! What can be wrong with a file that is read or written: which file, what, and what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::safetensors::TensorProblem;

/// A file that could not be read or written.
#[derive(Debug)]
pub struct FileError {
    /// The file, as it was named.
    pub file: PathBuf,
    /// What is wrong.
    pub problem: Box<FileProblem>,
}

/// What is wrong with a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileProblem {
    /// There is no such file.
    Missing,
    /// The path names a directory.
    Directory,
    /// The path names a device, pipe or socket.
    NotRegular,
    /// The path does not end in the name of a file.
    NoName,
    /// The directory that should hold the file is not there.
    NoDirectory(PathBuf),
    /// The operating system refused.
    System {
        /// What was being done, such as `reading`.
        action: &'static str,
        /// Its reason.
        reason: io::Error,
    },
    /// So many bytes do not fit into memory.
    OutOfMemory(u64),
    /// The file is no valid safetensors file, or cannot become one.
    Tensors(TensorProblem),
}

impl FileError {
    pub(super) fn new(file: &Path, problem: FileProblem) -> FileError {
        FileError { file: file.to_path_buf(), problem: Box::new(problem) }
    }

    /// Names the common reasons of the operating system in the file's own terms.
    pub(super) fn system(file: &Path, action: &'static str, reason: io::Error) -> FileError {
        let problem = match reason.kind() {
            io::ErrorKind::NotFound => FileProblem::Missing,
            io::ErrorKind::IsADirectory => FileProblem::Directory,
            _ => FileProblem::System { action, reason },
        };
        FileError::new(file, problem)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.problem {
            FileProblem::System { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.problem)
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileProblem::Missing => f.write_str("there is no such file; check the path"),
            FileProblem::Directory => f.write_str("this is a directory; name a file inside it"),
            FileProblem::NotRegular => f.write_str("this is a device or a pipe; name an ordinary file"),
            FileProblem::NoName => f.write_str("this path does not end in the name of a file; add one, as in model.safetensors"),
            FileProblem::NoDirectory(directory) => {
                write!(f, "the directory {} is not there; create it, or write elsewhere", directory.display())
            }
            FileProblem::System { action, reason } => {
                write!(f, "{action} failed: {reason}; ")?;
                f.write_str(match reason.kind() {
                    io::ErrorKind::PermissionDenied => "check who may use the file and its directory",
                    io::ErrorKind::StorageFull => "free some space, or write elsewhere",
                    _ => "check the path and the disk",
                })
            }
            FileProblem::OutOfMemory(bytes) => write!(f, "{bytes} bytes do not fit into memory; use a smaller file or a larger machine"),
            FileProblem::Tensors(problem) => problem.fmt(f),
        }
    }
}
