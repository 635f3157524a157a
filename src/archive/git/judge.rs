//! What of what comes is new.

use super::super::files::stored;
use super::super::{ArchiveError, NotStored, Put, held};
use super::pending::Pending;
use super::repo::{native, plain};
use super::{Change, GitArchive, objects, paths};
use crate::model::report::{Lines, Stored, StoredKind};
use crate::text::diff::{Rules, all_lines, changed_lines};
use crate::text::{last_change, volatile};
use gix::objs::Kind;

/// What the repository lacks of a config and of what is kept beside it.
pub(in super::super) struct Judged {
    /// What there is to store of the config; nothing where it is there, volatile lines aside.
    pub(in super::super) config: Option<Change>,
    /// What there is to store of the rest.
    pub(in super::super) info: Option<Change>,
    /// What is told of the config once it is stored.
    stored: Stored,
    /// How long the config was before, in bytes.
    last: u64,
}

impl Judged {
    pub(in super::super) fn changes(&self) -> impl Iterator<Item = &Change> {
        self.config.iter().chain(&self.info)
    }
}

impl GitArchive {
    /// Adds what is to be stored to `changes`, or keeps aside what is not to be trusted. Answers what
    /// is told of the config, and whether there is anything of it to store.
    pub(super) fn take_in(
        &mut self,
        put: &Put,
        changes: &mut Vec<Change>,
    ) -> Result<(Stored, bool), NotStored> {
        let judged = self.judge(put)?;
        changes.extend(judged.info);
        if judged.config.is_some() && held::is_suspect(&put.config, judged.last) {
            let held = held::keep(self.disk.as_mut(), &self.aside, put, judged.last)?;
            return Err(held.into());
        }
        let changed = judged.config.is_some();
        changes.extend(judged.config);
        Ok((judged.stored, changed))
    }

    /// Compares what comes with what there is. Writes nothing.
    pub(in super::super) fn judge(&self, put: &Put) -> Result<Judged, ArchiveError> {
        let path = paths::config(self.layout, &put.device, put.group.as_ref());
        let new = put.config.bytes();
        let blob = objects::id_of(&self.repo, Kind::Blob, new)?;
        let current = self.current(&path);
        // What cannot be read is no reason to refuse what can.
        let old = current.and_then(|id| self.repo.read(id, Kind::Blob).ok().flatten());
        if let Some(old) = &old
            && volatile::same(old, new, &put.platform.volatile)
        {
            return Ok(Judged {
                config: None,
                info: self.judge_info(put, None)?,
                stored: stored(StoredKind::Unchanged, old),
                last: old.len() as u64,
            });
        }
        let kind = match current {
            Some(_) => StoredKind::Changed,
            None => StoredKind::New,
        };
        let rules = Rules::from(&*put.platform);
        let lines = old.as_ref().map(|old| changed_lines(old, new, rules));
        let old = old.unwrap_or_default();
        let author = last_change::user(&old, new, &put.platform.last_change);
        let version = Pending {
            author: author.clone(),
            lines: lines.unwrap_or_else(|| all_lines(new)),
            ..version(put, path, blob)
        };
        Ok(Judged {
            config: Some(Change {
                version,
                bytes: new.to_vec(),
            }),
            info: self.judge_info(put, author)?,
            stored: Stored {
                lines,
                ..stored(kind, new)
            },
            last: old.len() as u64,
        })
    }

    /// The same for what is kept beside the config; whoever changed that is the author of this too.
    fn judge_info(
        &self,
        put: &Put,
        author: Option<String>,
    ) -> Result<Option<Change>, ArchiveError> {
        let Some(info) = &put.info else {
            return Ok(None);
        };
        let path = paths::info(self.layout, &put.device, put.group.as_ref());
        let new = info.bytes();
        let blob = objects::id_of(&self.repo, Kind::Blob, new)?;
        let current = self.current(&path);
        if current == Some(blob) {
            return Ok(None);
        }
        let old = current.and_then(|id| self.repo.read(id, Kind::Blob).ok().flatten());
        let lines = match old {
            Some(old) => changed_lines(&old, new, Rules::default()),
            None => all_lines(new),
        };
        let version = Pending {
            author,
            lines,
            ..version(put, path, blob)
        };
        Ok(Some(Change {
            version,
            bytes: new.to_vec(),
        }))
    }

    /// The same change with other content; nothing where that is there already.
    pub(in super::super) fn instead(
        &self,
        change: Change,
        bytes: Vec<u8>,
    ) -> Result<Option<Change>, ArchiveError> {
        let blob = objects::id_of(&self.repo, Kind::Blob, &bytes)?;
        if self.current(&change.version.path) == Some(blob) {
            return Ok(None);
        }
        let version = Pending {
            blob: plain(blob),
            ..change.version
        };
        Ok(Some(Change { version, bytes }))
    }

    /// The content that the next commit would have at `path`.
    pub(super) fn current(&self, path: &str) -> Option<gix::ObjectId> {
        let mut waiting = self.pending.iter().rev();
        match waiting.find(|version| version.path == path) {
            Some(version) => Some(native(&version.blob)),
            None => self.tip.listing.blob(path),
        }
    }
}

/// A version of a file by an author who is not known.
fn version(put: &Put, path: String, blob: gix::ObjectId) -> Pending {
    Pending {
        device: put.device.clone(),
        path,
        blob: plain(blob),
        author: None,
        lines: Lines::default(),
        at: put.taken,
        run: put.run,
    }
}
