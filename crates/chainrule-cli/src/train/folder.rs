//! The folder of a run: `model.safetensors`, `training.safetensors`, `metrics.csv`.
//!
//! One run at a time has it: two that write to one folder would leave the weights of one beside the
//! figures of the other.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chainrule::io::atomic;

use crate::failure::Failure;

/// Where runs go if nobody says otherwise.
const RUNS: &str = "runs";
/// What is needed to go on; a folder that holds it holds a run.
const TRAINING: &str = "training.safetensors";

/// The folder of a run.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Whether this run has made it: an empty one is removed again.
    made: bool,
    /// The folder itself, locked until the run ends, where the system can do that.
    _lock: Option<File>,
}

impl Folder {
    /// The folder that `--out` names, made where it is not there, or else the next free one under
    /// `runs`.
    ///
    /// # Errors
    /// Where it is a file, holds a run already, or cannot be made.
    pub fn create(out: Option<&Path>, name: &str) -> Result<Folder, Failure> {
        match out {
            Some(path) => Folder::named(path),
            None => Folder::numbered(name),
        }
    }

    /// The folder of a run that is there.
    ///
    /// # Errors
    /// Where there is none.
    pub fn open(path: &Path) -> Result<Folder, Failure> {
        if path.join(TRAINING).is_file() {
            return Folder::claim(path, false, "--resume");
        }
        let why = match fs::metadata(path) {
            Err(_) => "there is no such folder".to_string(),
            Ok(about) if !about.is_dir() => "this is not a folder".to_string(),
            Ok(_) => "this folder holds no training.safetensors".to_string(),
        };
        Err(Failure::bad_input(format_args!("--resume {}: {why}; name the folder of a run, such as runs/digits-1", path.display())))
    }

    fn named(path: &Path) -> Result<Folder, Failure> {
        let out = path.display();
        if path.as_os_str().is_empty() {
            return Err(Failure::bad_input("--out is empty; name a folder, such as runs/mine"));
        }
        if path.exists() && !path.is_dir() {
            return Err(Failure::bad_input(format_args!("--out {out} is a file, and a folder is needed; name another")));
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(|error| unmakeable(path, &error))?;
        }
        let made = match fs::create_dir(path) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) => return Err(unmakeable(path, &error)),
        };
        let folder = Folder::claim(path, made, "--out")?;
        if folder.training().exists() {
            return Err(Failure::bad_input(format_args!(
                "--out {out} holds a run already; go on with it by --resume {out}, or name another folder"
            )));
        }
        Ok(folder)
    }

    fn numbered(name: &str) -> Result<Folder, Failure> {
        let runs = Path::new(RUNS);
        fs::create_dir_all(runs).map_err(|error| unmakeable(runs, &error))?;
        let mut number = 1u64;
        loop {
            let path = runs.join(format!("{name}-{number}"));
            // Making it is the test whether it is free: two runs that start at once get two folders.
            match fs::create_dir(&path) {
                Ok(()) => return Folder::claim(&path, true, "--out"),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(unmakeable(&path, &error)),
            }
        }
    }

    /// Takes the folder for this run alone, and clears away what a killed run was writing.
    fn claim(path: &Path, made: bool, flag: &str) -> Result<Folder, Failure> {
        // A folder cannot be opened as a file everywhere, and not every file system has locks:
        // then there is none.
        let lock = File::open(path).ok();
        if lock.as_ref().is_some_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock))) {
            return Err(Failure::bad_input(format_args!(
                "{flag} {}: another run is writing to this folder; wait for its end, or choose another folder",
                path.display()
            )));
        }
        if lock.is_some() {
            atomic::remove_leftovers(path);
        }
        Ok(Folder { path: path.to_path_buf(), made, _lock: lock })
    }

    /// Refuses a folder in which the files of a run cannot be put, before there is anything to save.
    ///
    /// # Errors
    /// Names the file and what stands against it.
    pub fn check_writable(&self) -> Result<(), Failure> {
        for file in [self.metrics(), self.model(), self.training()] {
            atomic::check_writable(file)?;
        }
        Ok(())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The weights and what is needed to use them.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// Everything that is needed to go on.
    pub fn training(&self) -> PathBuf {
        self.path.join(TRAINING)
    }

    /// The figures of each epoch.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }
}

impl Drop for Folder {
    /// A run that saved nothing leaves no folder behind.
    fn drop(&mut self) {
        if self.made {
            // Fails where there is something in it, as it should.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

fn unmakeable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::bad_input(format_args!("making the folder {} failed: {error}; choose another place with --out", path.display()))
}
