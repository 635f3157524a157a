//! The steps by which a change becomes durable, as a seam: tests end the process after each.

/// A step that is done. After any of them the process may end, and the next start mends what is
/// half done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// What is about to be stored is in the journal.
    Noted,
    /// The files of the other archive are in their places.
    FilesPut,
    /// The contents are written, but perhaps not on the disk.
    ContentsWritten,
    /// The contents are on the disk.
    ContentsSynced,
    /// Trees and commits are written, but perhaps not on the disk.
    CommitsWritten,
    /// Trees and commits are on the disk; nothing refers to them.
    CommitsSynced,
    /// The commits are in the journal.
    CommitsNoted,
    /// The branch is locked, its new value is written beside it.
    BranchLocked,
    /// The branch refers to the new commit, but perhaps not on the disk.
    BranchMoved,
    /// The branch is on the disk.
    BranchSynced,
    /// The index lists the new versions.
    Indexed,
    /// The journal is empty again.
    Settled,
}

impl Step {
    /// All steps in their order.
    pub const ALL: [Self; 12] = [
        Self::Noted,
        Self::FilesPut,
        Self::ContentsWritten,
        Self::ContentsSynced,
        Self::CommitsWritten,
        Self::CommitsSynced,
        Self::CommitsNoted,
        Self::BranchLocked,
        Self::BranchMoved,
        Self::BranchSynced,
        Self::Indexed,
        Self::Settled,
    ];
}

/// Is told of every step.
pub trait Watch: Send {
    /// A step is done.
    fn passed(&mut self, step: Step);
}

/// Nobody watches.
pub struct Unwatched;

impl Watch for Unwatched {
    fn passed(&mut self, _: Step) {}
}
