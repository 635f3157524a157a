//! Where configs are kept.

mod disk;
pub mod files;
pub mod places;
mod unfinished;

use crate::model::config::Config;
pub use crate::model::config::Layout;
use crate::model::device::{DeviceName, GroupName};
use crate::model::platform::Platform;
use crate::model::report::Stored;
use std::path::PathBuf;
use std::sync::Arc;

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
    fn put(&mut self, batch: Vec<Put>) -> Vec<Result<Stored, ArchiveError>>;
}
