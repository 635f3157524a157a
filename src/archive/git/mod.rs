//! Configs in a bare git repository: every version is kept, and any git client reads them.
//!
//! How a version becomes durable, and what a crash in between leaves to mend at the next start:
//!
//! 1. what is about to be stored is noted in the journal, and synced;
//! 2. the contents are written and synced; now [`Archive::put`] answers;
//! 3. at the end of the run ([`Archive::commit`]) trees and commits are written and synced, with no
//!    reference to them yet;
//! 4. the last commit is noted in the journal, and the branch is moved from the value it is known to have, and synced;
//! 5. the index lists the new versions;
//! 6. the journal is emptied.
//!
//! - `repo`: opening, making and reading a repository.
//! - `objects`: writing objects durably. `branch`: moving the branch durably.
//! - `judge`: what of a config is new. `paths`: where it is.
//! - `journal`, `pending`: what is stored and not yet committed. `commit`: how it is committed.
//! - `listing`: the files of a commit. `message`: what a commit says.
//! - `recover`: mending after a crash. `history`: from commits to versions.
//! - `upkeep`: packing by `git gc`.
//!
//! Each step is told to a [`Watch`], the seam at which tests end the process.

mod branch;
mod commit;
mod history;
mod journal;
mod judge;
mod listing;
mod lock;
mod message;
mod objects;
mod paths;
mod pending;
mod reader;
mod recover;
mod repo;
#[cfg(test)]
mod tests;
mod upkeep;

use super::disk::{Disk, WatchedDisk};
use super::places::Places;
use super::versions::VersionIndex;
use super::{Archive, ArchiveError, Layout, NotStored, Put, held, unfinished};
use crate::model::durable::{Step, Watch};
use crate::model::report::Stored;
use crate::model::version::ObjectId;
use gix::objs::Kind;
use journal::Journal;
pub(super) use judge::Judged;
use listing::Listing;
use objects::Object;
use pending::Pending;
pub use reader::{GitReader, Since};
use repo::{Repo, native};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use upkeep::Upkeep;

/// The author of changes whose author nobody knows, and the committer of all.
pub const WRMEM: &str = "wrmem";

/// How often a commit is made anew because somebody else moved the branch meanwhile.
const TRIES: usize = 5;

/// Where the repository is and how it is laid out.
#[derive(Debug, Clone)]
pub struct GitOptions {
    /// The bare repository's folder; made if need be.
    pub dir: PathBuf,
    /// Where in it a device's file is.
    pub layout: Layout,
    /// Where a config is kept aside that is not to be trusted: beside the files, if there are any.
    pub aside: Places,
    /// The permission bits that a file would have; the folder gets search where there is read.
    pub mode: u32,
}

/// An archive that keeps every version of each config in a bare git repository.
pub struct GitArchive {
    repo: Repo,
    layout: Layout,
    aside: Places,
    index: Box<dyn VersionIndex>,
    watch: Arc<dyn Watch>,
    disk: Box<dyn Disk>,
    journal: Journal,
    pending: Vec<Pending>,
    tip: Tip,
    upkeep: Upkeep,
    // Held as long as this is open: one writer at a time.
    _lock: File,
    // The same for what is kept aside, where no archive of files sees to it.
    _aside: Option<File>,
}

/// The newest commit and its files.
struct Tip {
    commit: Option<gix::ObjectId>,
    listing: Listing,
}

impl Tip {
    fn read(repo: &Repo) -> Result<Self, ArchiveError> {
        let commit = repo.tip()?;
        Ok(Self {
            commit,
            listing: Listing::of(repo, commit)?,
        })
    }
}

/// A file that the repository has not, or not like this.
pub(super) struct Change {
    version: Pending,
    bytes: Vec<u8>,
}

impl GitArchive {
    /// Opens the repository, makes it if need be, and mends what an interrupted run left half done.
    /// `index` opens the index at its place within the repository. `files` are those of an archive
    /// beside it, which is right where the two disagree.
    ///
    /// # Errors
    /// The repository cannot be made, read or written, or another wrmem has it open.
    pub fn open(
        options: &GitOptions,
        index: impl FnOnce(&Path) -> Box<dyn VersionIndex>,
        watch: Arc<dyn Watch>,
        files: Option<&Places>,
    ) -> Result<Self, ArchiveError> {
        let repo = Repo::open_or_make(&options.dir, options.mode, watch.as_ref())?;
        let (lock, lock_path) = lock::take(&repo)?;
        objects::sweep(&repo);
        branch::sweep(&repo, &lock_path);
        upkeep::sweep(&repo, &lock_path);
        repo::sweep(&options.dir);
        let mut disk: Box<dyn Disk> = Box::new(WatchedDisk(Arc::clone(&watch)));
        let aside = match files {
            Some(_) => None,
            None => unfinished::sweep(disk.as_mut(), &options.aside.dir, options.layout),
        };
        let journal = repo.own_folder().join("journal");
        let (journal, left) = Journal::open(&journal, Arc::clone(&watch))?;
        let mut archive = Self {
            tip: Tip::read(&repo)?,
            index: index(&repo.index_file()),
            repo,
            layout: options.layout,
            aside: options.aside.clone(),
            watch,
            disk,
            journal,
            pending: Vec::new(),
            upkeep: Upkeep::default(),
            _lock: lock,
            _aside: aside,
        };
        archive.recover(left, files)?;
        Ok(archive)
    }

    /// Notes in the journal what is about to be stored.
    pub(super) fn note<'a>(
        &mut self,
        changes: impl Iterator<Item = &'a Change>,
    ) -> Result<(), ArchiveError> {
        self.journal.note(changes.map(|change| &change.version))?;
        self.passed(Step::Noted);
        Ok(())
    }

    /// Makes the contents durable; they become versions with the next commit.
    pub(super) fn keep(&mut self, changes: Vec<Change>) -> Result<(), ArchiveError> {
        let mut objects = Vec::with_capacity(changes.len());
        let mut versions = Vec::with_capacity(changes.len());
        for change in changes {
            objects.push(Object {
                kind: Kind::Blob,
                id: native(&change.version.blob),
                bytes: change.bytes,
            });
            versions.push(change.version);
        }
        if objects.is_empty() {
            return Ok(());
        }
        let steps = [Step::ContentsWritten, Step::ContentsSynced];
        objects::write(&self.repo, &objects, self.watch.as_ref(), steps)?;
        self.pending.extend(versions);
        Ok(())
    }

    pub(super) fn passed(&self, step: Step) {
        self.watch.passed(step);
    }
}

impl Archive for GitArchive {
    fn put(&mut self, batch: &[Put]) -> Vec<Result<Stored, NotStored>> {
        self.upkeep.reap(&self.repo);
        let mut changes = Vec::new();
        let answers: Vec<_> = batch
            .iter()
            .map(|put| self.take_in(put, &mut changes))
            .collect();
        let kept = self.note(changes.iter()).and_then(|()| self.keep(changes));
        let answers = batch.iter().zip(answers);
        answers
            .map(|(put, answer)| {
                let (stored, changed) = answer?;
                match &kept {
                    Err(error) if changed => return Err(error.clone().into()),
                    _ => held::drop_kept(self.disk.as_mut(), &self.aside, put),
                }
                Ok(stored)
            })
            .collect()
    }

    fn commit(&mut self) -> Result<Vec<ObjectId>, ArchiveError> {
        if self.pending.is_empty() {
            return Ok(Vec::new());
        }
        for _ in 0..TRIES {
            if let Some(ids) = self.try_commit()? {
                return Ok(ids);
            }
        }
        Err(ArchiveError {
            path: self.repo.dir.clone(),
            action: "commit what was stored",
            reason: format!(
                "others moved the branch {TRIES} times meanwhile; it is kept and will be committed \
                 with the next run"
            ),
        })
    }
}
