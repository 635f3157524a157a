//! The versions of configs, for whoever asks; beside a wrmem that writes, or without one.

use super::archive;
use crate::archive::git::{GitReader, Since};
use crate::archive::{ArchiveError, LastGood};
use crate::model::device::{DeviceName, GroupName};
use crate::model::version::{ObjectId, Version};
use crate::settings::{ArchiveKind, ArchiveSettings};
use crate::state::StateError;
use crate::state::versions::VersionStore;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Why a history cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Only the last good configs are kept.
    #[error(
        "there is no history: archive.kinds does not name \"git\"; with kinds = [\"files\", \"git\"] in \
         wrmem.toml every backup from then on keeps what it finds as a version"
    )]
    NotKept,
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The index of versions cannot be read.
    #[error(transparent)]
    Index(#[from] StateError),
}

/// The versions of all devices.
pub struct History {
    reader: GitReader,
    index: Option<VersionStore>,
    last_good: Arc<dyn LastGood>,
}

impl History {
    /// Opens the history that the settings describe.
    ///
    /// # Errors
    /// When none is kept, or its index cannot be read.
    pub fn open(settings: &ArchiveSettings) -> Result<Self, HistoryError> {
        if !settings.kinds.contains(&ArchiveKind::Git) {
            return Err(HistoryError::NotKept);
        }
        let reader = archive::reader(settings);
        let index = match VersionStore::open_for_reading(&reader.index_file()) {
            Ok(index) => index,
            Err(error) => {
                log::warn!("{error}; the history itself is read, which takes longer");
                None
            }
        };
        Ok(Self {
            reader,
            index,
            last_good: archive::last_good(settings),
        })
    }

    /// All versions of a device, newest first. Upper and lower case make no difference.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn versions(&self, device: &str) -> Result<Vec<Version>, HistoryError> {
        let mut listed = match &self.index {
            Some(index) => index.versions(device)?,
            None => Vec::new(),
        };
        let mut newer = match self.behind()? {
            None => return Ok(listed),
            Some(Since::More(newer)) => newer,
            Some(Since::Everything(all)) => {
                listed.clear();
                all
            }
        };
        let key = device.to_lowercase();
        newer.retain(|version| version.device.as_str().to_lowercase() == key);
        newer.reverse();
        newer.append(&mut listed);
        Ok(newer)
    }

    /// The names of all devices that have a version, in order.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn devices(&self) -> Result<BTreeSet<DeviceName>, HistoryError> {
        let mut names: BTreeSet<DeviceName> = match &self.index {
            Some(index) => index.devices()?.into_iter().collect(),
            None => BTreeSet::new(),
        };
        if let Some(Since::More(newer) | Since::Everything(newer)) = self.behind()? {
            names.extend(newer.into_iter().map(|version| version.device));
        }
        Ok(names)
    }

    /// What the index does not list; nothing in the usual case.
    fn behind(&self) -> Result<Option<Since>, HistoryError> {
        if !self.reader.is_there() {
            return Ok(None);
        }
        let head = self.index.as_ref().map(VersionStore::head).transpose()?;
        let head = head.flatten();
        if head == self.reader.tip()? {
            return Ok(None);
        }
        Ok(Some(self.reader.since(head.as_ref())?))
    }

    /// The content of a version.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn content(&self, version: &Version) -> Result<Vec<u8>, HistoryError> {
        Ok(self.reader.content(&version.blob)?)
    }

    /// Whether a device has a config that is stored and not yet committed.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub fn is_waiting(
        &self,
        device: &DeviceName,
        group: Option<&GroupName>,
        newest: Option<&ObjectId>,
    ) -> Result<bool, HistoryError> {
        if !self.reader.is_there() {
            return Ok(false);
        }
        let waiting = self.reader.waiting(device, group)?;
        Ok(waiting.is_some_and(|blob| Some(&blob) != newest))
    }

    /// The last good config of a device, committed or not.
    ///
    /// # Errors
    /// When there is one and it cannot be read.
    pub fn last_good(
        &self,
        device: &DeviceName,
        group: Option<&GroupName>,
    ) -> Result<Option<Vec<u8>>, HistoryError> {
        Ok(self.last_good.last_good(device, group)?)
    }
}
