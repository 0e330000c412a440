//! Writes a file so that a reader sees the old contents or the new, never a part.
//!
//! Every writer of the library goes through here. It refuses to replace directories and devices,
//! and to create directories.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::{FileError, FileProblem};

/// Replaces the file at `path` by what `write` writes, or leaves everything as it was.
///
/// The contents go to a new file beside `path`, reach the disk, and then take the name in one step;
/// the directory is brought to the disk as well. On any error, and on a panic in `write`, the new
/// file is removed. A symbolic link is followed: the file that it names is replaced, the link
/// stays. Permissions of a replaced file are kept.
///
/// # Errors
/// Where `path` is a directory, a device or has no directory to lie in, where `write` returns an
/// error, or where the operating system refuses. One exception to "as it was": if only the last
/// step, bringing the directory to the disk, fails, the new contents are in place, though a power
/// failure could still undo them.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("metrics.txt");
/// chainrule::io::atomic::atomic_write(&path, |out| writeln!(out, "loss 0.25"))?;
/// assert_eq!(std::fs::read_to_string(&path)?, "loss 0.25\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn atomic_write(path: impl AsRef<Path>, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), FileError> {
    let path = path.as_ref();
    let failed = |action| move |reason| FileError::system(path, action, reason);
    let target = Target::find(path)?;
    let (partial, file) = Partial::create(path, &target)?;
    let mut buffered = BufWriter::with_capacity(1 << 16, file);
    write(&mut buffered).map_err(failed("writing"))?;
    let file = buffered.into_inner().map_err(|error| failed("writing")(error.into_error()))?;
    if let Some(permissions) = target.permissions {
        file.set_permissions(permissions).map_err(failed("keeping the permissions"))?;
    }
    file.sync_all().map_err(failed("writing to the disk"))?;
    // Some systems do not rename a file that is open.
    drop(file);
    partial.take_the_name(&target.path).map_err(failed("renaming"))?;
    sync_directory(&target.directory).map_err(failed("writing the directory to the disk"))
}

/// Refuses a path that [`atomic_write`] could not write to now, and changes nothing: better told
/// before a long computation than after it.
///
/// # Errors
/// As [`atomic_write`], but for what only shows while contents are written, such as a full disk.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// assert!(chainrule::io::atomic::check_writable(folder.path().join("model")).is_ok());
/// assert!(chainrule::io::atomic::check_writable(folder.path().join("nowhere/model")).is_err());
/// assert!(chainrule::io::atomic::check_writable(folder.path()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_writable(path: impl AsRef<Path>) -> Result<(), FileError> {
    let path = path.as_ref();
    // Dropped, the new file is removed.
    Partial::create(path, &Target::find(path)?).map(drop)
}

/// Removes what processes that were killed while they wrote left in `directory`; what cannot be
/// removed stays. Only for a directory to which nobody else writes now.
pub fn remove_leftovers(directory: impl AsRef<Path>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PARTIAL_START) && name.ends_with(PARTIAL_END) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// How the name of a file that is being written begins and ends.
const PARTIAL_START: &str = ".chainrule-";
const PARTIAL_END: &str = ".partial";

/// Where the contents will lie in the end.
struct Target {
    path: PathBuf,
    directory: PathBuf,
    /// Those of the file that is replaced, if there is one.
    permissions: Option<fs::Permissions>,
}

impl Target {
    fn find(path: &Path) -> Result<Target, FileError> {
        let failed = |problem| FileError::new(path, problem);
        let permissions = match fs::metadata(path) {
            Ok(about) if about.is_dir() => return Err(failed(FileProblem::Directory)),
            Ok(about) if !about.is_file() => return Err(failed(FileProblem::NotRegular)),
            Ok(about) => Some(about.permissions()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(FileError::system(path, "looking at the file", error)),
        };
        // Only a file that exists can be reached through links.
        let path = match permissions {
            Some(_) => fs::canonicalize(path).map_err(|error| FileError::system(path, "following links", error))?,
            None => path.to_path_buf(),
        };
        let ends_in_separator = path.to_string_lossy().ends_with(std::path::is_separator);
        let directory = match (path.parent(), path.file_name()) {
            (Some(directory), Some(_)) if !ends_in_separator => directory,
            _ => return Err(failed(FileProblem::NoName)),
        };
        let directory = match directory.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => directory.to_path_buf(),
        };
        if !directory.is_dir() {
            return Err(failed(FileProblem::NoDirectory(directory)));
        }
        Ok(Target { path, directory, permissions })
    }
}

/// The new file while it has a name of its own; dropped before its time, it is removed.
struct Partial {
    path: PathBuf,
    kept: bool,
}

impl Partial {
    fn create(path: &Path, target: &Target) -> Result<(Partial, File), FileError> {
        // Process and count keep writers apart; a leftover of a killed process with the same
        // number costs another try.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut tries = 0;
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{PARTIAL_START}{}-{count}{PARTIAL_END}", process::id());
            let partial = target.directory.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&partial) {
                Ok(file) => {
                    let partial = Partial { path: partial, kept: false };
                    return Ok((partial, file));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 1000 => {
                    tries += 1;
                }
                Err(reason) => {
                    // Said as it is: that "there is no such file" would not be news.
                    let action = "creating a file beside it";
                    return Err(FileError::new(path, FileProblem::System { action, reason }));
                }
            }
        }
    }

    fn take_the_name(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing better can be done with a second error; the first one is being reported.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the new name last through a power failure, where the system knows how to.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        // Some file systems cannot do this for directories, and a directory that may be written
        // to but not read cannot be opened: the file itself is safe in both cases.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) =>
        {
            Ok(())
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn writes_and_replaces_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        // Lengths around the size of the buffer, and shrinking.
        for length in [0, 1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 300_000, 5] {
            let contents = vec![b'x'; length];
            atomic_write(&path, |out| out.write_all(&contents)).unwrap();
            assert_eq!(fs::read(&path).unwrap(), contents);
            assert_eq!(names(folder.path()), ["a"]);
        }
    }

    #[test]
    fn an_error_or_a_panic_leaves_the_old_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for before in [&[][..], &["a"]] {
            let error = atomic_write(&path, |out| {
                out.write_all(&[0; 200_000])?;
                Err(io::Error::other("the disk is on fire"))
            });
            let text = error.unwrap_err().to_string();
            assert!(text.contains("writing failed: the disk is on fire"), "{text}");
            let panicked = std::panic::catch_unwind(|| atomic_write(&path, |_| std::panic::resume_unwind(Box::new("stop"))));
            assert!(panicked.is_err());
            assert_eq!(names(folder.path()), before);
            if before.is_empty() {
                fs::write(&path, "old").unwrap();
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        }
    }

    #[test]
    fn leftovers_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".chainrule-7-0.partial", ".chainrule-1", "a.partial", "model"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        fs::create_dir(folder.path().join(".chainrule-8-0.partial")).unwrap();
        remove_leftovers(folder.path());
        assert_eq!(names(folder.path()), [".chainrule-1", ".chainrule-8-0.partial", "a.partial", "model"]);
        // A file that is being written has such a name.
        atomic_write(folder.path().join("b"), |_| {
            remove_leftovers(folder.path());
            Ok(())
        })
        .unwrap_err();
        check_writable(folder.path().join("c")).unwrap();
        assert_eq!(names(folder.path()).len(), 4);
    }

    #[test]
    fn a_reader_never_sees_a_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        atomic_write(&path, |out| {
            out.write_all(&[1; 200_000])?;
            assert_eq!(fs::read_to_string(&path)?, "old");
            out.write_all(b"end")
        })
        .unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 200_003);
    }

    #[test]
    fn places_that_cannot_hold_a_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let problem = |path: &Path| {
            let error = atomic_write(path, |_| panic!("must not be reached")).unwrap_err();
            assert_eq!(error.file, path);
            *error.problem
        };
        assert!(matches!(problem(folder.path()), FileProblem::Directory));
        assert!(matches!(problem(Path::new("/")), FileProblem::Directory));
        assert!(matches!(problem(Path::new("")), FileProblem::NoName));
        let nested = folder.path().join("no/such/file");
        assert!(matches!(problem(&nested), FileProblem::NoDirectory(_)));
        let ends_in_separator = folder.path().join("name/");
        assert!(matches!(problem(&ends_in_separator), FileProblem::NoName));
        fs::write(folder.path().join("f"), "").unwrap();
        let below_a_file = folder.path().join("f/g");
        assert!(matches!(problem(&below_a_file), FileProblem::System { .. }));
        #[cfg(unix)]
        assert!(matches!(problem(Path::new("/dev/null")), FileProblem::NotRegular));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_are_kept() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        atomic_write(&link, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(names(folder.path()), ["file", "link"]);
    }

    #[test]
    fn many_writers_at_once_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::thread::scope(|scope| {
            for writer in 0..4u8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..10 {
                        atomic_write(path, |out| out.write_all(&[writer; 1000])).unwrap();
                    }
                });
            }
        });
        let contents = fs::read(&path).unwrap();
        assert_eq!(contents, [contents[0]; 1000]);
        assert_eq!(names(folder.path()), ["a"]);
    }
}
