//! The steps by which what is kept becomes durable, as a seam: tests end the process after each.

use std::fmt::Debug;

macro_rules! steps {
    ($($(#[$doc:meta])+ $step:ident,)+) => {
        /// A step that is done. After any of them the process may end, and the next start mends what
        /// is half done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Step {
            $($(#[$doc])+ $step,)+
        }

        impl Step {
            /// All steps. `tests/crash` kills a process after each of them, and fails for one that it
            /// does not come to.
            pub const ALL: &[Self] = &[$(Self::$step,)+];
        }
    };
}

steps! {
    // Files, those that are kept aside among them.
    /// A folder is made.
    FolderMade,
    /// A temporary file is made.
    TempMade,
    /// A temporary file has its content, but perhaps not on the disk.
    TempWritten,
    /// Everything that waited for the disk was carried to it.
    DiskSynced,
    /// A temporary file is on the disk.
    TempSynced,
    /// A file is in its place.
    FilePlaced,
    /// The names in a folder are on the disk.
    FolderSynced,
    /// A file is removed.
    FileRemoved,

    // The git archive.
    /// A repository is made beside its place, and on the disk.
    RepositoryMade,
    /// A repository is in its place.
    RepositoryPlaced,
    /// A line is in the journal, but perhaps not on the disk.
    JournalWritten,
    /// What is about to be stored is in the journal.
    Noted,
    /// The files of the archive beside are in their places.
    FilesPut,
    /// An object is written as a file of its own.
    ObjectWritten,
    /// A pack and its index are made aside, but perhaps not on the disk.
    PackMade,
    /// A pack is in its place; it is none before its index is there too.
    PackPlaced,
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
    /// The index has the new versions, not yet for good.
    VersionsWritten,
    /// The index lists the new versions.
    Indexed,
    /// The journal is empty again.
    Settled,

    // The state database.
    /// The database's file is made, and empty.
    StateMade,
    /// The tables are brought up to date, not yet for good.
    TablesWritten,
    /// The tables are up to date.
    TablesMade,
    /// The log of a damaged database is moved aside; the database itself is not.
    LogMovedAside,
    /// A damaged database is moved aside.
    StateMovedAside,
    /// Runs that a process did not end are closed.
    BrokenOffClosed,
    /// What happened is in the database, not yet for good.
    RowsWritten,
    /// What happened is in the database.
    RowsCommitted,
    /// Releases are taken note of, not yet for good.
    ReleasesRead,
    /// Releases are taken note of.
    ReleasesTaken,
    /// What is old is removed, not yet for good.
    OldRemoved,
    /// What is old is removed.
    Pruned,
}

/// Is told of every step.
pub trait Watch: Debug + Send + Sync {
    /// A step is done.
    fn passed(&self, step: Step);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn passed(&self, _: Step) {}
}
