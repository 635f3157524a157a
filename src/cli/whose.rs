//! Whose history is meant: a device of the inventory, or one that is in it no more.

use super::exit::Stop;
use super::start::{self, Globals};
use crate::app::history::{History, HistoryError};
use crate::model::device::{DeviceName, GroupName};
use crate::model::platform::Platform;
use crate::model::version::Version;
use crate::settings::{ArchiveSettings, Loaded, platforms};
use crate::text::redact::{self, Key, Mask};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

/// Who is meant.
pub(super) struct Whose {
    pub(super) name: DeviceName,
    pub(super) group: Option<GroupName>,
    pub(super) platform: Arc<Platform>,
    pub(super) listed: Listed,
    key: Key,
}

/// Whether a device is in the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    /// It is.
    Yes,
    /// It was once, and its versions stay.
    NoMore,
}

impl Whose {
    /// A config of theirs with its secrets masked.
    pub(super) fn masked(&self, config: &[u8]) -> Vec<u8> {
        redact::config(config, &self.platform, Mask::Keyed(&self.key))
    }
}

/// A key that is kept nowhere: masks can be compared within one output.
fn passing_key() -> io::Result<Key> {
    let mut bytes = [0; Key::BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(Key::new(bytes))
}

/// All devices that are or were.
pub(super) struct All {
    loaded: Loaded,
    dir: PathBuf,
    history: Result<History, HistoryError>,
}

impl All {
    /// Loads the settings; fetches no secret.
    pub(super) fn load(globals: &Globals) -> Result<Self, Stop> {
        let loaded = start::load(&globals.source(Vec::new()))?;
        Ok(Self {
            history: History::open(&loaded.settings.archive),
            dir: globals.settings.clone(),
            loaded,
        })
    }

    /// The settings of the archive.
    pub(super) const fn archive(&self) -> &ArchiveSettings {
        &self.loaded.settings.archive
    }

    /// The history, where one is kept.
    pub(super) fn history(&self) -> Result<&History, Stop> {
        self.history.as_ref().map_err(Stop::usage)
    }

    /// Whether that is a device's name.
    pub(super) fn is_device(&self, name: &str) -> bool {
        self.loaded.inventory.find(name).is_some() || self.newest(name).is_some()
    }

    fn newest(&self, name: &str) -> Option<Version> {
        let versions = self.history.as_ref().ok()?.versions(name).ok()?;
        versions.into_iter().next()
    }

    /// The device of that name.
    pub(super) fn whose(&self, name: &str) -> Result<Whose, Stop> {
        let key = passing_key().map_err(|error| Stop::usage(format!("/dev/urandom: {error}")))?;
        let inventory = &self.loaded.inventory;
        if let Some(found) = inventory.find(name) {
            return Ok(Whose {
                name: found.name.clone(),
                group: found.group.cloned(),
                platform: match found.platform {
                    Some(platform) => Arc::clone(platform),
                    None => self.any_platform()?,
                },
                listed: Listed::Yes,
                key,
            });
        }
        match self.newest(name) {
            Some(version) => Ok(Whose {
                name: version.device,
                group: None,
                platform: self.any_platform()?,
                listed: Listed::NoMore,
                key,
            }),
            None => Err(Stop::usage(inventory.no_such(name))),
        }
    }

    /// Nobody knows any more which platform it was, so what any of them calls secret counts.
    fn any_platform(&self) -> Result<Arc<Platform>, Stop> {
        let platforms = platforms::load(Some(&self.dir)).map_err(|faults| {
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Stop::usage(told.join("\n"))
        })?;
        Ok(Arc::new(platforms::any(&platforms)))
    }
}
