//! Reading a repository beside whoever writes to it.

use super::super::{ArchiveError, LastGood, Layout};
use super::history::{self, Path};
use super::journal::Noted;
use super::listing::tree_of;
use super::repo::{Repo, index_file, native, plain};
use super::{journal, paths};
use crate::model::device::{DeviceName, GroupName};
use crate::model::version::{ObjectId, Version};
use gix::objs::Kind;
use std::path::PathBuf;

/// Reads a repository; opened anew for each question, so that it is never out of date.
#[derive(Debug, Clone)]
pub struct GitReader {
    dir: PathBuf,
    layout: Layout,
}

impl GitReader {
    /// Reads the repository in `dir`, laid out by `layout`.
    #[must_use]
    pub fn new(dir: PathBuf, layout: Layout) -> Self {
        Self { dir, layout }
    }

    /// Whether there is a repository at all.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.dir.join("HEAD").exists()
    }

    /// Where its index of versions is.
    #[must_use]
    pub fn index_file(&self) -> PathBuf {
        index_file(&self.dir)
    }

    /// The newest commit; `None` in an empty repository.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn tip(&self) -> Result<Option<ObjectId>, ArchiveError> {
        Ok(Repo::open(&self.dir)?.tip()?.map(plain))
    }

    /// The content of a version.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn content(&self, blob: &ObjectId) -> Result<Vec<u8>, ArchiveError> {
        Repo::open(&self.dir)?.need(native(blob), Kind::Blob)
    }

    /// The content of a device's config that is noted last in the journal, where it is stored whole.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn waiting(
        &self,
        device: &DeviceName,
        group: Option<&GroupName>,
    ) -> Result<Option<ObjectId>, ArchiveError> {
        let repo = Repo::open(&self.dir)?;
        Ok(self.noted_last(&repo, device, group)?.map(|(blob, _)| blob))
    }

    fn noted_last(
        &self,
        repo: &Repo,
        device: &DeviceName,
        group: Option<&GroupName>,
    ) -> Result<Option<(ObjectId, Vec<u8>)>, ArchiveError> {
        let path = paths::config(self.layout, device, group);
        let noted = journal::read(&repo.own_folder().join("journal"))?;
        let stored = noted.into_iter().rev().filter_map(|noted| match noted {
            Noted::Stored(version) if version.path == path => Some(version.blob),
            Noted::Stored(_) | Noted::Committing(_) => None,
        });
        for blob in stored {
            if let Ok(Some(bytes)) = repo.read(native(&blob), Kind::Blob) {
                return Ok(Some((blob, bytes)));
            }
        }
        Ok(None)
    }

    /// The versions that an index up to `head` does not list yet, oldest first, and whether what it
    /// lists is to be forgotten.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn since(&self, head: Option<&ObjectId>) -> Result<Since, ArchiveError> {
        let repo = Repo::open(&self.dir)?;
        let Some(tip) = repo.tip()? else {
            return Ok(Since::Everything(Vec::new()));
        };
        let list = |commits: Vec<gix::ObjectId>| -> Result<Vec<Version>, ArchiveError> {
            let mut versions = Vec::new();
            for commit in commits {
                versions.extend(history::versions(&repo, commit)?);
            }
            Ok(versions)
        };
        Ok(match history::path(&repo, head.map(native), tip)? {
            Path::After(commits) => Since::More(list(commits)?),
            Path::FromTheStart(commits) => Since::Everything(list(commits)?),
        })
    }
}

/// What an index lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// These come on top of what it lists.
    More(Vec<Version>),
    /// The history was written anew: these are all.
    Everything(Vec<Version>),
}

impl LastGood for GitReader {
    fn last_good(
        &self,
        device: &DeviceName,
        group: Option<&GroupName>,
    ) -> Result<Option<Vec<u8>>, ArchiveError> {
        let repo = Repo::open(&self.dir)?;
        if let Some((_, bytes)) = self.noted_last(&repo, device, group)? {
            return Ok(Some(bytes));
        }
        let path = paths::config(self.layout, device, group);
        let Some(tip) = repo.tip()? else {
            return Ok(None);
        };
        let tree = repo.git.find_tree(tree_of(&repo, tip)?);
        let found = tree.and_then(|tree| tree.lookup_entry_by_path(&path));
        match found.map_err(|error| repo.told("read a tree", &error))? {
            Some(entry) => repo.need(entry.object_id(), Kind::Blob).map(Some),
            None => Ok(None),
        }
    }
}
