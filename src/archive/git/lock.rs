//! One writer at a time.

use super::super::ArchiveError;
use super::repo::{Repo, failed};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// Locks the repository for as long as the file is open, and tells where that file is: its age tells
/// which other locks are older than this start.
pub(super) fn take(repo: &Repo) -> Result<(File, PathBuf), ArchiveError> {
    let path = repo.own_folder().join("lock");
    let action = "lock the git repository";
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    let mut file = opened.map_err(|error| failed(&path, action, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(ArchiveError {
                path,
                action,
                reason: "another wrmem writes to it; wait for it, or set archive.git_dir to \
                         another folder"
                    .to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(&path, action, &error)),
    }
    match file.write_all(b"wrmem\n") {
        Ok(()) => Ok((file, path)),
        Err(error) => Err(failed(&path, "write to the git repository", &error)),
    }
}
