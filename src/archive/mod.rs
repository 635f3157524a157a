//! Where configs are kept.

pub mod both;
mod disk;
mod existing;
pub mod files;
pub mod git;
pub mod held;
pub mod masked;
pub mod places;
mod unfinished;
pub mod versions;

pub use crate::model::config::Layout;
use crate::model::config::{Config, Info};
use crate::model::device::{DeviceName, GroupName};
use crate::model::failure::FailureKind;
use crate::model::platform::Platform;
use crate::model::report::Stored;
use crate::model::version::ObjectId;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// A config to be kept.
#[derive(Debug, Clone)]
pub struct Put {
    /// Whose config it is.
    pub device: DeviceName,
    /// The group of the device.
    pub group: Option<GroupName>,
    /// The platform, which says which lines are volatile.
    pub platform: Arc<Platform>,
    /// The config, proven whole.
    pub config: Config,
    /// What is kept beside it, where the device is asked for more than its config.
    pub info: Option<Info>,
    /// When it was read from the device.
    pub taken: SystemTime,
    /// When the run began that brought it.
    pub run: SystemTime,
}

/// Why a config was not stored. What was there before is still there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The config is suspiciously short and was kept aside instead.
    #[error(transparent)]
    Held(#[from] held::Held),
}

impl NotStored {
    /// What kind of failure it is for the device.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::Archive(_) => FailureKind::Archive,
            Self::Held(_) => FailureKind::Unproven,
        }
    }
}

/// Why a config could not be kept. What was there before is still there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {action}: {reason}", path = path.display())]
pub struct ArchiveError {
    /// The file or folder in question.
    pub path: PathBuf,
    /// What was being done.
    pub action: &'static str,
    /// What the system said.
    pub reason: String,
}

/// Reads what an archive holds, from any thread.
pub trait LastGood: Send + Sync {
    /// The last good config of a device; `None` where there is none.
    ///
    /// # Errors
    /// When there is one and it cannot be read.
    fn last_good(
        &self,
        device: &DeviceName,
        group: Option<&GroupName>,
    ) -> Result<Option<Vec<u8>>, ArchiveError>;
}

/// A place where configs are kept.
pub trait Archive: Send {
    /// Makes every config of the batch durable and only then answers, in the order of the batch.
    fn put(&mut self, batch: &[Put]) -> Vec<Result<Stored, NotStored>>;

    /// Makes versions of what was put since the last time, where the archive keeps versions, and
    /// answers when they are durable: the ids of the commits, in their order.
    ///
    /// # Errors
    /// When something that was put has not become a version. It is kept all the same, and becomes
    /// one with the next commit or, at the latest, with the device's next backup.
    fn commit(&mut self) -> Result<Vec<ObjectId>, ArchiveError>;
}
