//! Mending what an interrupted run left half done.

use super::super::ArchiveError;
use super::super::places::{Places, failed, read};
use super::GitArchive;
use super::history::{self, Path};
use super::journal::Noted;
use super::objects::{self, Object};
use super::pending::Pending;
use super::repo::{native, plain};
use crate::model::durable::Step;
use gix::objs::Kind;
use std::collections::BTreeMap;
use std::io;

/// How many commits become one step of the index.
const AT_ONCE: usize = 100;

impl GitArchive {
    /// Commits what the journal holds and brings the index up to date.
    pub(super) fn recover(
        &mut self,
        left: Vec<Noted>,
        files: Option<&Places>,
    ) -> Result<(), ArchiveError> {
        if let Err(error) = self.catch_up() {
            log::warn!("the index of versions is behind: {error}");
        }
        if left.is_empty() {
            return Ok(());
        }
        let left = self.uncommitted(left)?;
        let mut by_path: BTreeMap<String, Vec<Pending>> = BTreeMap::new();
        for version in left {
            by_path
                .entry(version.path.clone())
                .or_default()
                .push(version);
        }
        for (path, mut versions) in by_path {
            // The archive answers for a device before its next config comes: only the last one may
            // be half stored.
            let last = versions.pop();
            for version in versions {
                if self.has(&version) {
                    self.pending.push(version);
                }
            }
            if let Some(last) = last {
                self.recover_last(&path, last, files)?;
            }
        }
        let count = self.pending.len();
        super::super::Archive::commit(self)?;
        if count > 0 {
            log::info!(
                "{}: committed {count} configs that an interrupted run had stored",
                self.repo.dir.display()
            );
        } else {
            self.settle();
        }
        Ok(())
    }

    /// Without what is committed already.
    fn uncommitted(&self, noted: Vec<Noted>) -> Result<Vec<Pending>, ArchiveError> {
        let tip = self.repo.tip()?;
        let mut left = Vec::new();
        for noted in noted {
            match (noted, tip) {
                (Noted::Stored(version), _) => left.push(version),
                (Noted::Committing(commit), Some(tip)) => {
                    let commit = native(&commit);
                    if let Path::After(_) = history::path(&self.repo, Some(commit), tip)? {
                        left.clear();
                    }
                }
                (Noted::Committing(_), None) => {}
            }
        }
        Ok(left)
    }

    /// The config that was being stored last: the file beside is right, else what was written whole.
    fn recover_last(
        &mut self,
        path: &str,
        last: Pending,
        files: Option<&Places>,
    ) -> Result<(), ArchiveError> {
        let Some(files) = files else {
            if self.has(&last) {
                self.pending.push(last);
            }
            return Ok(());
        };
        let file = files.dir.join(path);
        let bytes = match read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(&file, "read the last good config", &error)),
        };
        let object = Object::new(&self.repo, Kind::Blob, bytes)?;
        let current = self.current(path);
        if current == Some(object.id) {
            return Ok(());
        }
        let steps = [Step::ContentsWritten, Step::ContentsSynced];
        let id = object.id;
        objects::write(&self.repo, &[object], self.watch.as_ref(), steps)?;
        let lines = if plain(id) == last.blob {
            last.lines
        } else {
            history::lines_between(&self.repo, current, id)?
        };
        self.pending.push(Pending {
            blob: plain(id),
            lines,
            ..last
        });
        Ok(())
    }

    /// Whether the content of a version is there and whole.
    fn has(&self, version: &Pending) -> bool {
        let id = native(&version.blob);
        let bytes = self.repo.read(id, Kind::Blob).ok().flatten();
        bytes.is_some_and(|bytes| {
            objects::id_of(&self.repo, Kind::Blob, &bytes).is_ok_and(|whole| whole == id)
        })
    }

    /// Brings the index up to the newest commit; where the history was written anew, from its start.
    pub(super) fn catch_up(&mut self) -> Result<(), ArchiveError> {
        let head = self.index.head()?;
        let Some(tip) = self.repo.tip()? else {
            return match head {
                Some(_) => self.index.clear(),
                None => Ok(()),
            };
        };
        if head == Some(plain(tip)) {
            return Ok(());
        }
        let commits = match history::path(&self.repo, head.as_ref().map(native), tip)? {
            Path::After(commits) => commits,
            Path::FromTheStart(commits) => {
                self.index.clear()?;
                commits
            }
        };
        log::info!("listing the versions of {} commits", commits.len());
        for commits in commits.chunks(AT_ONCE) {
            let mut versions = Vec::new();
            for commit in commits {
                versions.extend(history::versions(&self.repo, *commit)?);
            }
            if let Some(last) = commits.last() {
                self.index.extend(&versions, plain(*last))?;
            }
        }
        Ok(())
    }
}
