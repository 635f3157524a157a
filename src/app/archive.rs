//! Opens the archive that the settings describe.

use crate::archive::both::FilesAndGit;
use crate::archive::files::FileArchive;
use crate::archive::git::watch::Unwatched;
use crate::archive::git::{GitArchive, GitOptions, GitReader};
use crate::archive::places::Places;
use crate::archive::versions::VersionIndex;
use crate::archive::{Archive, ArchiveError, LastGood};
use crate::model::version::{ObjectId, Version};
use crate::settings::{ArchiveKind, ArchiveSettings};
use crate::state::StateError;
use crate::state::versions::VersionStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens the archive for writing.
///
/// # Errors
/// When it cannot be made, read or written, or another wrmem has it open.
pub fn open(settings: &ArchiveSettings) -> Result<Box<dyn Archive>, ArchiveError> {
    let wants = |kind| settings.kinds.contains(&kind);
    let places = places(settings);
    let files = || FileArchive::open(&settings.dir, settings.layout, settings.mode);
    Ok(match (wants(ArchiveKind::Files), wants(ArchiveKind::Git)) {
        (true, true) => {
            let files = files()?;
            let git = git(settings, Some(&places))?;
            Box::new(FilesAndGit::new(files, places, git))
        }
        (false, true) => Box::new(git(settings, None)?),
        (_, false) => Box::new(files()?),
    })
}

/// What reads the last good configs: the files, where there are any.
#[must_use]
pub fn last_good(settings: &ArchiveSettings) -> Arc<dyn LastGood> {
    if settings.kinds.contains(&ArchiveKind::Files) {
        Arc::new(places(settings))
    } else {
        Arc::new(reader(settings))
    }
}

/// What reads the repository.
#[must_use]
pub fn reader(settings: &ArchiveSettings) -> GitReader {
    GitReader::new(settings.git_dir.clone(), settings.layout)
}

fn places(settings: &ArchiveSettings) -> Places {
    Places::new(&settings.dir, settings.layout)
}

fn git(settings: &ArchiveSettings, files: Option<&Places>) -> Result<GitArchive, ArchiveError> {
    let options = GitOptions {
        dir: settings.git_dir.clone(),
        layout: settings.layout,
        aside: places(settings),
        mode: settings.mode,
    };
    let index = |path: &Path| -> Box<dyn VersionIndex> {
        Box::new(Index {
            path: path.to_owned(),
            store: None,
        })
    };
    GitArchive::open(&options, index, Box::new(Unwatched), files)
}

/// The state's index as the archive wants it. It is opened when it is first needed, and again after
/// it could not be: a full disk may be emptied while a long run goes on.
struct Index {
    path: PathBuf,
    store: Option<VersionStore>,
}

impl Index {
    fn with<T>(
        &mut self,
        ask: impl FnOnce(&mut VersionStore) -> Result<T, StateError>,
    ) -> Result<T, ArchiveError> {
        let store = match self.store.take() {
            Some(store) => Ok(store),
            None => VersionStore::open(&self.path),
        };
        let answer = store.and_then(|store| ask(self.store.insert(store)));
        answer.map_err(|error| ArchiveError {
            path: self.path.clone(),
            action: "use the index of versions",
            reason: error.to_string(),
        })
    }
}

impl VersionIndex for Index {
    fn head(&mut self) -> Result<Option<ObjectId>, ArchiveError> {
        self.with(|store| store.head())
    }

    fn extend(&mut self, versions: &[Version], head: ObjectId) -> Result<(), ArchiveError> {
        self.with(|store| store.extend(versions, head))
    }

    fn clear(&mut self) -> Result<(), ArchiveError> {
        self.with(VersionStore::clear)
    }
}
