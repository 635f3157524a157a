//! One wrmem at a time per state folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why the state folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another wrmem holds it.
    #[error(
        "another wrmem works with {}: process {holder}; wait for it, or give this one a state \
         folder of its own (state.dir)",
        dir.display()
    )]
    Held {
        /// The state folder.
        dir: PathBuf,
        /// The holder's process number and command, as it wrote them down.
        holder: String,
    },
    /// The folder or the lock file cannot be used.
    #[error("{}: {source}; the state folder (state.dir) must be writable", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The lock of a state folder. The system gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct StateLock(#[expect(dead_code, reason = "held, not used")] File);

impl StateLock {
    /// Whether a process works with `dir`; where that cannot be told, one may.
    #[must_use]
    pub fn is_held(dir: &Path) -> bool {
        match File::open(dir.join("lock")) {
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => false,
                Err(TryLockError::WouldBlock | TryLockError::Error(_)) => true,
            },
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Locks `dir`, which is made where it is missing. `command` tells others what holds it.
    ///
    /// # Errors
    /// When another process holds it, or the folder cannot be used.
    pub fn acquire(dir: &Path, command: &str) -> Result<Self, LockError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| LockError::Io { path, source }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(failed(dir))?;
        let path = dir.join("lock");
        let mut file = open(&path).map_err(failed(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The holder may be about to write its line; its number is a courtesy.
                let _ = file.read_to_string(&mut holder);
                return Err(LockError::Held {
                    dir: dir.to_owned(),
                    holder: holder.trim().to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(&path)(source)),
        }
        let line = format!("{} ({command})\n", std::process::id());
        // A courtesy to others, which a full or read-only disk does without.
        let _ = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(line.as_bytes()));
        Ok(Self(file))
    }
}

/// A lock file that is there can be locked without being written: trouble with the state stops no
/// backup.
fn open(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    match opened {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
            ) =>
        {
            File::open(path).map_err(|_| error)
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_and_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let first = StateLock::acquire(&state, "wrmem backup").unwrap();
        let refused = StateLock::acquire(&state, "wrmem run")
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains(&std::process::id().to_string()),
            "{refused}"
        );
        assert!(refused.contains("wrmem backup"), "{refused}");
        assert!(StateLock::is_held(&state));
        drop(first);
        assert!(!StateLock::is_held(&state));
        assert!(!StateLock::is_held(dir.path()), "no lock file at all");
        assert!(StateLock::acquire(&state, "wrmem run").is_ok());
    }
}
