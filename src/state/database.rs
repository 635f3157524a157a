//! Opening the database, and what is done about one that is not sound.

use super::journal::Entry;
use super::queries::Queries;
use super::{StateError, file_in, schema};
use crate::model::durable::{Step, Unwatched, Watch};
use crate::model::history::Incident;
use rusqlite::{Connection, OpenFlags};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long another process may hold the database before that is an error: `wrmem release` and a
/// reader's checkpoint take milliseconds.
const BUSY: Duration = Duration::from_secs(10);

/// To how many bytes the write-ahead log is cut back once its content is in the database.
const LOG_KEPT: i64 = 16 << 20;

/// The database as its one writer has it.
#[derive(Debug)]
pub struct Database {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) watch: Arc<dyn Watch>,
}

/// A database that was opened for writing.
#[derive(Debug)]
pub struct Opened {
    /// The database, up to date.
    pub database: Database,
    /// Where a damaged one was put, which this fresh one stands in for.
    pub set_aside: Option<SetAside>,
}

/// A damaged database that was moved out of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub path: PathBuf,
    /// What was wrong with it.
    pub reason: String,
}

impl Database {
    /// Opens the database in the state folder `dir` for writing; makes it where there is none, brings it
    /// up to date, and puts a damaged one aside; tells `watch` of each step. The caller holds the
    /// folder's lock.
    ///
    /// # Errors
    /// When it is of a newer wrmem or another program, or cannot be read or written.
    pub fn open(dir: &Path, now: SystemTime, watch: &Arc<dyn Watch>) -> Result<Opened, StateError> {
        let path = file_in(dir);
        match Self::open_sound(&path, watch) {
            Ok(database) => Ok(Opened {
                database,
                set_aside: None,
            }),
            Err(error) if error.is_damage() => {
                let set_aside = set_aside(&path, &error, now, watch.as_ref())?;
                Ok(Opened {
                    database: Self::open_sound(&path, watch)?,
                    set_aside: Some(set_aside),
                })
            }
            Err(error) => Err(error),
        }
    }

    fn open_sound(path: &Path, watch: &Arc<dyn Watch>) -> Result<Self, StateError> {
        let doubtful = has_content(&beside(path, "-wal"));
        make_private(path, watch.as_ref())?;
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Before anything is changed: what is not ours stays as it is.
        schema::version(&connection, path)?;
        if doubtful {
            check(&connection, path)?;
        }
        prepare(&connection).map_err(|error| StateError::sql(path, "opening it", error))?;
        schema::migrate(&mut connection, path, watch.as_ref())?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            watch: Arc::clone(watch),
        })
    }

    /// Moves the database aside because of `error`; the next one to open it gets a fresh one.
    pub(super) fn put_aside(self, error: &StateError, now: SystemTime) -> Result<(), StateError> {
        let path = self.path;
        // It cannot be closed in order; what it held open goes with it.
        drop(self.connection);
        set_aside(&path, error, now, self.watch.as_ref()).map(drop)
    }

    /// What can be asked.
    pub(super) fn queries(&self) -> Queries<'_> {
        Queries::new(&self.connection, &self.path)
    }

    /// What SQLite said while it did `action`.
    pub(super) fn failed(&self, action: &'static str, error: rusqlite::Error) -> StateError {
        StateError::sql(&self.path, action, error)
    }
}

impl SetAside {
    /// As it is remembered in the fresh database.
    pub(super) fn incident(&self, now: SystemTime) -> Entry {
        Entry::Incident(Incident {
            at: now,
            device: None,
            kind: "damaged".to_owned(),
            message: format!(
                "the state database was damaged ({}) and moved to {}",
                self.reason,
                self.path.display()
            ),
        })
    }
}

/// Opens the database in the state folder `dir` for reading, beside its writer.
pub(super) fn open_for_reading(dir: &Path) -> Result<(Connection, PathBuf), StateError> {
    let path = file_in(dir);
    if !path.try_exists().unwrap_or(true) {
        return Err(StateError::Missing {
            dir: dir.to_owned(),
        });
    }
    let (connection, version) = match look_at(&path) {
        Err(StateError::Sql { .. }) if !has_content(&beside(&path, "-wal")) => at_rest(&path)?,
        result => result?,
    };
    match version {
        // Its writer is just about to make it.
        0 => Err(StateError::Missing {
            dir: dir.to_owned(),
        }),
        found if found < schema::current() => Err(StateError::Older {
            path,
            found,
            known: schema::current(),
        }),
        _ => Ok((connection, path)),
    }
}

fn look_at(path: &Path) -> Result<(Connection, i64), StateError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let version = schema::version(&connection, path)?;
    Ok((connection, version))
}

/// Opens a database that nobody writes to without the files beside it: on a full disk and on one that
/// is read-only they cannot be made.
fn at_rest(path: &Path) -> Result<(Connection, i64), StateError> {
    let failed = |error| StateError::sql(path, "opening it", error);
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                uri.push(char::from(*byte));
            }
            // Writing to a String cannot fail.
            other => drop(write!(uri, "%{other:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags).map_err(failed)?;
    let version = schema::version(&connection, path)?;
    Ok((connection, version))
}

/// Opens the database in the state folder `dir` to change a few rows beside its writer.
pub(super) fn open_beside(dir: &Path) -> Result<Database, StateError> {
    let (reader, path) = open_for_reading(dir)?;
    drop(reader);
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    prepare(&connection).map_err(|error| StateError::sql(&path, "opening it", error))?;
    Ok(Database {
        connection,
        path,
        watch: Arc::new(Unwatched),
    })
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, StateError> {
    // One thread at a time has it, so SQLite's own locks are not needed.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|error| StateError::sql(path, "opening it", error))?;
    connection
        .busy_timeout(BUSY)
        .map_err(|error| StateError::sql(path, "opening it", error))?;
    Ok(connection)
}

/// The file is made before SQLite makes it, so that nobody else can read it; SQLite gives the files
/// beside it the same mode.
fn make_private(path: &Path, watch: &dyn Watch) -> Result<(), StateError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => {
            watch.passed(Step::StateMade);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(StateError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    // A file system without shared memory keeps another mode, which is slower and as safe.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_KEPT, |_| Ok(()))
}

/// Looks through the whole database; done where its last writer did not close it.
fn check(connection: &Connection, path: &Path) -> Result<(), StateError> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| StateError::sql(path, "checking it", error))?;
    if found == "ok" {
        return Ok(());
    }
    Err(StateError::Damaged {
        path: path.to_owned(),
        detail: found,
    })
}

/// Moves the database and the files beside it out of the way. The log goes first: left behind, it
/// would be taken for that of the fresh database.
fn set_aside(
    path: &Path,
    error: &StateError,
    now: SystemTime,
    watch: &dyn Watch,
) -> Result<SetAside, StateError> {
    let moved = |source| StateError::Io {
        path: path.to_owned(),
        source,
    };
    let place = free_place(path, now);
    for suffix in ["-wal", "-shm"] {
        match fs::rename(beside(path, suffix), beside(&place, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(moved(error)),
            _ => {}
        }
    }
    watch.passed(Step::LogMovedAside);
    fs::rename(path, &place).map_err(moved)?;
    watch.passed(Step::StateMovedAside);
    let reason = match error {
        StateError::Damaged { detail, .. } => detail.clone(),
        other => other.to_string(),
    };
    let set_aside = SetAside {
        path: place,
        reason,
    };
    log::error!(
        "{} is damaged ({}): it was moved to {} and a fresh one begun; history, schedules, breakers \
         and quarantines so far are lost to wrmem, configs are not; look at the disk",
        path.display(),
        set_aside.reason,
        set_aside.path.display()
    );
    Ok(set_aside)
}

/// A name beside `path` that is not taken.
fn free_place(path: &Path, now: SystemTime) -> PathBuf {
    let seconds = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    (0..)
        .map(|more: u64| beside(path, &format!(".damaged-{}", seconds + more)))
        .find(|place| !place.exists())
        .unwrap_or_else(|| beside(path, ".damaged"))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    name.into()
}

fn has_content(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() > 0)
}
