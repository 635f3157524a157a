//! Opens the archive that the settings describe.

use super::AppError;
use super::mask_key::mask_key;
use crate::archive::both::FilesAndGit;
use crate::archive::files::FileArchive;
use crate::archive::git::{GitArchive, GitOptions, GitReader};
use crate::archive::masked::MaskedArchive;
use crate::archive::places::Places;
use crate::archive::versions::VersionIndex;
use crate::archive::{Archive, ArchiveError, LastGood};
use crate::model::durable::{Unwatched, Watch};
use crate::model::version::{ObjectId, Version};
use crate::settings::{ArchiveKind, ArchiveSettings, ArchivedSecrets, Settings};
use crate::state::StateError;
use crate::state::versions::VersionStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens the archive for writing.
///
/// # Errors
/// When it cannot be made, read or written, or another wrmem has it open; or when it is to be
/// redacted and there is no key for the masks.
pub fn open(settings: &Settings) -> Result<Box<dyn Archive>, AppError> {
    open_watched(settings, &(Arc::new(Unwatched) as Arc<dyn Watch>))
}

/// The same, and `watch` is told of each step by which something becomes durable.
pub(super) fn open_watched(
    settings: &Settings,
    watch: &Arc<dyn Watch>,
) -> Result<Box<dyn Archive>, AppError> {
    // Without a key nothing may be made: what is stored once has been stored.
    let key = match settings.archive.secrets {
        ArchivedSecrets::Kept => None,
        ArchivedSecrets::Masked => Some(mask_key(&settings.state.dir)?),
    };
    let archive = open_as_it_is(&settings.archive, watch)?;
    Ok(match key {
        Some(key) => Box::new(MaskedArchive::new(archive, key)),
        None => archive,
    })
}

fn open_as_it_is(
    settings: &ArchiveSettings,
    watch: &Arc<dyn Watch>,
) -> Result<Box<dyn Archive>, ArchiveError> {
    let wants = |kind| settings.kinds.contains(&kind);
    let places = places(settings);
    let files = || {
        let watch = Arc::clone(watch);
        FileArchive::open_watched(&settings.dir, settings.layout, settings.mode, watch)
    };
    Ok(match (wants(ArchiveKind::Files), wants(ArchiveKind::Git)) {
        (true, true) => {
            let files = files()?;
            let git = git(settings, watch, Some(&places))?;
            Box::new(FilesAndGit::new(files, places, git))
        }
        (false, true) => Box::new(git(settings, watch, None)?),
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

fn git(
    settings: &ArchiveSettings,
    watch: &Arc<dyn Watch>,
    files: Option<&Places>,
) -> Result<GitArchive, ArchiveError> {
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
            watch: Arc::clone(watch),
        })
    };
    GitArchive::open(&options, index, Arc::clone(watch), files)
}

/// The state's index as the archive wants it. It is opened when it is first needed, and again after
/// it could not be: a full disk may be emptied while a long run goes on.
struct Index {
    path: PathBuf,
    store: Option<VersionStore>,
    watch: Arc<dyn Watch>,
}

impl Index {
    fn with<T>(
        &mut self,
        ask: impl FnOnce(&mut VersionStore) -> Result<T, StateError>,
    ) -> Result<T, ArchiveError> {
        let store = match self.store.take() {
            Some(store) => Ok(store),
            None => {
                VersionStore::open(&self.path).map(|store| store.watched(Arc::clone(&self.watch)))
            }
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
