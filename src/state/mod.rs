//! What is remembered between runs, in one SQLite database in the state folder: runs, how each
//! device ended in them, how each device stands, breakers and quarantines.
//!
//! - [`database`]: opening, and what is done about a database that is not sound.
//! - [`schema`]: the tables, and how older ones are brought up to date.
//! - [`journal`]: what the one writer writes, a batch at a time.
//! - [`queries`]: what others read, while it is being written or not.
//! - [`versions`]: the index of a git archive, in a database of its own.
//!
//! The database of a state folder has one writer, the process that holds the folder's lock; `wrmem
//! release` alone writes beside it, in one short transaction. Readers need no lock.

pub mod database;
pub mod journal;
pub mod keep;
pub mod queries;
pub mod release;
mod rows;
pub mod schema;
#[cfg(test)]
mod tests;
pub mod versions;
mod write;

use std::io;
use std::path::{Path, PathBuf};

/// The database's name in the state folder.
const FILE: &str = "wrmem.db";

/// Where the database of a state folder is.
#[must_use]
pub fn file_in(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There is no database yet.
    #[error("nothing is recorded in {} yet: no run has been made with this state folder", dir.display())]
    Missing {
        /// The state folder.
        dir: PathBuf,
    },
    /// A later version of wrmem wrote it.
    #[error(
        "{}: written by a newer wrmem (schema {found}; this one knows up to {known}); use that \
         version, or give this one a state folder of its own (state.dir)",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest one known here.
        known: i64,
    },
    /// An earlier version of wrmem wrote it, and a reader brings nothing up to date.
    #[error(
        "{}: written by an older wrmem (schema {found}, now {known}); the next `wrmem backup` \
         brings it up to date, or a restart of `wrmem run`",
        path.display()
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The one wanted.
        known: i64,
    },
    /// It is a database of another program.
    #[error(
        "{}: this is not wrmem's database; move it away, or set state.dir to another folder",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Its content is damaged.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A file or folder could not be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite could not do what it was asked for.
    #[error("{}: {action}: {source}", path.display())]
    Sql {
        /// The database.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl StateError {
    /// Whether the content of the database is damaged, so that only a fresh one helps.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    /// What SQLite said while it did `action` on the database at `path`.
    fn sql(path: &Path, action: &'static str, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match source.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged {
                path: path.to_owned(),
                detail: source.to_string(),
            },
            _ => Self::Sql {
                path: path.to_owned(),
                action,
                source,
            },
        }
    }
}
