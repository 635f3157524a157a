//! The index of versions, as an archive with a history needs it.

use super::ArchiveError;
use crate::model::version::{ObjectId, Version};

/// Lists versions without walking a history. It can be lost: the repository has all of it.
pub trait VersionIndex: Send {
    /// The commit up to which it lists everything; `None` where it lists nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    fn head(&mut self) -> Result<Option<ObjectId>, ArchiveError>;

    /// Adds versions, oldest first, and makes `head` the commit up to which it lists everything:
    /// both or nothing, and durably.
    ///
    /// # Errors
    /// When it cannot be written; it is as it was before.
    fn extend(&mut self, versions: &[Version], head: ObjectId) -> Result<(), ArchiveError>;

    /// Forgets everything.
    ///
    /// # Errors
    /// When it cannot be written.
    fn clear(&mut self) -> Result<(), ArchiveError>;
}
