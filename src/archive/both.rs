//! Files, and a git repository that follows them.

use super::files::FileArchive;
use super::git::{Change, GitArchive, Judged};
use super::places::Places;
use super::{Archive, ArchiveError, LastGood as _, NotStored, Put};
use crate::model::durable::Step;
use crate::model::report::{Stored, StoredKind};
use crate::model::version::ObjectId;

/// Two archives, of which the files are right: what they hold is what a device's last good config
/// is, and the repository gets every version that they had.
///
/// Trouble with the repository fails no device, since its config is kept; it is told when the run is
/// committed, and what is missing is made up for with the device's next backup.
pub struct FilesAndGit {
    files: FileArchive,
    places: Places,
    git: GitArchive,
    trouble: Option<ArchiveError>,
}

impl FilesAndGit {
    /// Puts the two together; `places` are where the files are.
    #[must_use]
    pub fn new(files: FileArchive, places: Places, git: GitArchive) -> Self {
        Self {
            files,
            places,
            git,
            trouble: None,
        }
    }

    fn troubled<T>(&mut self, result: Result<T, ArchiveError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                log::warn!("{error}");
                self.trouble.get_or_insert(error);
                None
            }
        }
    }

    /// What the repository lacks of what the files now hold.
    fn lacking(
        &mut self,
        judged: Judged,
        put: &Put,
        stored: &Result<Stored, NotStored>,
    ) -> impl Iterator<Item = Change> + use<> {
        let kind = match stored {
            Ok(stored) => stored.kind,
            // Nothing came of it.
            Err(NotStored::Archive(_)) => return [None, None].into_iter().flatten(),
            // The config was kept aside; what goes with it is in its place.
            Err(NotStored::Held(_)) => return [None, judged.info].into_iter().flatten(),
        };
        let config = match judged.config {
            // The file was left as it was, so that is what the repository gets.
            Some(change) if kind == StoredKind::Unchanged => self.as_in_file(change, put),
            config => config,
        };
        [config, judged.info].into_iter().flatten()
    }

    fn as_in_file(&mut self, change: Change, put: &Put) -> Option<Change> {
        let held = self.places.last_good(&put.device, put.group.as_ref());
        let bytes = self.troubled(held)??;
        let change = self.git.instead(change, bytes);
        self.troubled(change)?
    }
}

impl Archive for FilesAndGit {
    fn put(&mut self, batch: &[Put]) -> Vec<Result<Stored, NotStored>> {
        let mut judged: Vec<_> = batch
            .iter()
            .map(|put| {
                let judged = self.git.judge(put);
                self.troubled(judged)
            })
            .collect();
        let noted = self
            .git
            .note(judged.iter().flatten().flat_map(Judged::changes));
        if self.troubled(noted).is_none() {
            // What is not in the journal must not be half stored.
            judged.iter_mut().for_each(|judged| *judged = None);
        }
        let stored = self.files.put(batch);
        self.git.passed(Step::FilesPut);
        let mut changes = Vec::new();
        for ((judged, put), stored) in judged.into_iter().zip(batch).zip(&stored) {
            if let Some(judged) = judged {
                changes.extend(self.lacking(judged, put, stored));
            }
        }
        let kept = self.git.keep(changes);
        self.troubled(kept);
        stored
    }

    fn commit(&mut self) -> Result<Vec<ObjectId>, ArchiveError> {
        let committed = self.git.commit();
        match self.trouble.take() {
            Some(trouble) => Err(trouble),
            None => committed,
        }
    }
}
