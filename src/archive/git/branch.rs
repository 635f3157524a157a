//! Moving the branch: only from the value it is known to have, and onto the disk.

use super::super::ArchiveError;
use super::objects::sync;
use super::repo::Repo;
use crate::model::durable::{Step, Watch};
use gix::lock::acquire::Fail;
use gix::refs::Target;
use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long another writer may hold the branch: git itself holds it for milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the branch was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// It was.
    Yes,
    /// Somebody else moved it before.
    ByOthers,
}

/// Moves the branch from `old` to `new`.
pub(super) fn advance(
    repo: &Repo,
    old: Option<gix::ObjectId>,
    new: gix::ObjectId,
    watch: &dyn Watch,
) -> Result<Moved, ArchiveError> {
    let edit = RefEdit::new(
        repo.branch.clone(),
        Change::Update {
            log: LogChange::default(),
            expected: old.map_or(PreviousValue::MustNotExist, |old| {
                PreviousValue::MustExistAndMatch(Target::Object(old))
            }),
            new: Target::Object(new),
        },
    );
    let patience = Fail::AfterDurationWithBackoff(PATIENCE);
    let prepared = repo
        .git
        .refs
        .transaction()
        .prepare([edit], patience, patience);
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(_) if repo.tip()? != old => return Ok(Moved::ByOthers),
        Err(error) => return Err(repo.told("lock the branch", &error)),
    };
    let file = place(repo);
    // Renamed before it is on the disk, it could be empty after a power cut.
    sync(&lock_of(&file))?;
    watch.passed(Step::BranchLocked);
    prepared
        .commit(None)
        .map_err(|error| repo.told("move the branch", &error))?;
    watch.passed(Step::BranchMoved);
    for folder in file.ancestors().skip(1) {
        sync(folder)?;
        if folder == repo.dir {
            break;
        }
    }
    watch.passed(Step::BranchSynced);
    Ok(Moved::Yes)
}

/// Removes the branch's lock where a crash left it: one that is older than `opened`, our own file
/// made a moment ago, and that outlasts everybody's patience. Called under our own lock.
pub(super) fn sweep(repo: &Repo, opened: &Path) {
    let lock = lock_of(&place(repo));
    let age = |path: &Path| fs::metadata(path).and_then(|found| found.modified());
    let (Ok(locked), Ok(now)) = (age(&lock), age(opened)) else {
        return;
    };
    let is_old = now.duration_since(locked).is_ok_and(|age| age > PATIENCE);
    if is_old || outlasts(repo) {
        remove(&lock);
    }
}

/// Whether the branch stays locked for longer than any living process holds it.
fn outlasts(repo: &Repo) -> bool {
    let patience = Fail::AfterDurationWithBackoff(PATIENCE);
    gix::lock::Marker::acquire_to_hold_resource(place(repo), patience, None, 0).is_err()
}

fn remove(lock: &Path) {
    match fs::remove_file(lock) {
        Ok(()) => log::info!("{}: removed the lock of an interrupted run", lock.display()),
        Err(error) => log::warn!("{}: remove a leftover lock: {error}", lock.display()),
    }
}

fn place(repo: &Repo) -> PathBuf {
    // A branch's name is checked: it never leads out of the repository.
    repo.dir.join(repo.branch.as_bstr().to_string())
}

fn lock_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
