//! The index of the versions in a git archive, so that listing a device's versions reads a few rows
//! and walks no history.
//!
//! It stands in a database of its own, within the repository that it lists, and holds nothing that
//! the repository does not: what is damaged or of another form is thrown away and built anew.

use super::StateError;
use super::rows::{Columns, key, ms, time};
use crate::model::device::DeviceName;
use crate::model::durable::{Step, Unwatched, Watch};
use crate::model::report::Lines;
use crate::model::version::{ObjectId, Version};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, params};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The form of the tables. Another one is not migrated but built anew.
const FORM: i64 = 1;

/// How long another process may hold the database before that is an error.
const BUSY: Duration = Duration::from_secs(10);

const TABLES: &str = "
-- The commit up to which everything is listed.
CREATE TABLE head (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), id BLOB NOT NULL) STRICT;
CREATE TABLE commits (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    at_s INTEGER NOT NULL,
    author TEXT NOT NULL
) STRICT;
-- The files of devices; a device that changes its group has more than one.
CREATE TABLE files (
    number INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    key TEXT NOT NULL
) STRICT;
CREATE INDEX files_of_device ON files (key);
CREATE TABLE versions (
    file INTEGER NOT NULL,
    made_by INTEGER NOT NULL,
    blob BLOB NOT NULL,
    added INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    run_ms INTEGER,
    PRIMARY KEY (file, made_by)
) STRICT, WITHOUT ROWID;
";

/// The index of versions.
#[derive(Debug)]
pub struct VersionStore {
    connection: Connection,
    path: PathBuf,
    watch: Arc<dyn Watch>,
}

impl VersionStore {
    /// Opens the index at `path` for its one writer; an empty one where there is none that can be
    /// used.
    ///
    /// # Errors
    /// When no database can be made there.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        match Self::open_once(path) {
            Ok(Some(store)) => return Ok(store),
            Ok(None) => log::info!("{}: the index is of another form", path.display()),
            Err(error) if error.is_damage() => log::warn!("{error}; it is built anew"),
            Err(error) => return Err(error),
        }
        remove(path)?;
        Self::open_once(path)?.ok_or_else(|| StateError::Damaged {
            path: path.to_owned(),
            detail: "a fresh index has not the form that it was given".to_owned(),
        })
    }

    /// The same, and `watch` is told of each step.
    #[must_use]
    pub fn watched(self, watch: Arc<dyn Watch>) -> Self {
        Self { watch, ..self }
    }

    /// `None` where it is of another form.
    fn open_once(path: &Path) -> Result<Option<Self>, StateError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut store = Self::connect(path, flags)?;
        let failed = |error| StateError::sql(path, "opening it", error);
        let connection = &mut store.connection;
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .map_err(failed)?;
        connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(failed)?;
        let form = form(connection).map_err(failed)?;
        if form == 0 {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(failed)?;
            transaction.execute_batch(TABLES).map_err(failed)?;
            transaction
                .pragma_update(None, "user_version", FORM)
                .map_err(failed)?;
            transaction.commit().map_err(failed)?;
        }
        Ok((form == 0 || form == FORM).then_some(store))
    }

    /// Opens the index at `path` for reading beside its writer; `None` where there is none that can
    /// be used.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn open_for_reading(path: &Path) -> Result<Option<Self>, StateError> {
        if !path.try_exists().unwrap_or(true) {
            return Ok(None);
        }
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let found = form(&store.connection);
        let found = found.map_err(|error| StateError::sql(path, "reading its form", error))?;
        Ok((found == FORM).then_some(store))
    }

    fn connect(path: &Path, access: OpenFlags) -> Result<Self, StateError> {
        let failed = |error| StateError::sql(path, "opening it", error);
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            watch: Arc::new(Unwatched),
        })
    }

    /// The commit up to which it lists everything; `None` where it lists nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn head(&self) -> Result<Option<ObjectId>, StateError> {
        let sql = "SELECT id FROM head";
        let found = self.connection.query_row(sql, [], |row| row.get(0));
        let found = found
            .optional()
            .map_err(|error| self.failed("reading its head", error))?;
        Ok(found.map(ObjectId::from_bytes))
    }

    /// Adds versions, oldest first, and makes `head` the commit up to which it lists everything:
    /// both or nothing, and durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn extend(&mut self, versions: &[Version], head: ObjectId) -> Result<(), StateError> {
        let path = self.path.clone();
        let failed = |error| StateError::sql(&path, "listing versions", error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        add(&transaction, versions, head).map_err(failed)?;
        self.watch.passed(Step::VersionsWritten);
        transaction.commit().map_err(failed)
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn clear(&mut self) -> Result<(), StateError> {
        let sql = "BEGIN IMMEDIATE; DELETE FROM head; DELETE FROM versions; DELETE FROM files; \
                   DELETE FROM commits; COMMIT";
        let cleared = self.connection.execute_batch(sql);
        cleared.map_err(|error| self.failed("forgetting what it lists", error))
    }

    /// All versions of a device, newest first. Upper and lower case make no difference.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn versions(&self, device: &str) -> Result<Vec<Version>, StateError> {
        let sql = "SELECT name, path, commits.id, blob, at_s, author, added, removed, run_ms \
                   FROM files JOIN versions ON file = files.number \
                   JOIN commits ON made_by = commits.number \
                   WHERE key = ?1 ORDER BY made_by DESC";
        let failed = |error| self.failed("listing versions", error);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let rows = statement
            .query_map([key(device)], version)
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// All devices that have a version, by name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn devices(&self) -> Result<Vec<DeviceName>, StateError> {
        let sql = "SELECT DISTINCT name FROM files ORDER BY key";
        let failed = |error| self.failed("listing devices", error);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let rows = statement
            .query_map([], |row| Columns::of(row).name())
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    fn failed(&self, action: &'static str, error: rusqlite::Error) -> StateError {
        StateError::sql(&self.path, action, error)
    }
}

fn form(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn remove(path: &Path) -> Result<(), StateError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(&name) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(StateError::Io {
                    path: name.into(),
                    source,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn add(connection: &Connection, versions: &[Version], head: ObjectId) -> rusqlite::Result<()> {
    let mut made_by = connection.prepare_cached(
        "INSERT INTO commits (id, at_s, author) VALUES (?1, ?2, ?3) RETURNING number",
    )?;
    let mut file = connection.prepare_cached(
        "INSERT INTO files (path, name, key) VALUES (?1, ?2, ?3) \
         ON CONFLICT (path) DO UPDATE SET name = excluded.name RETURNING number",
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO versions (file, made_by, blob, added, removed, run_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut last: Option<(ObjectId, i64)> = None;
    for version in versions {
        let commit = match last {
            Some((id, number)) if id == version.commit => number,
            _ => {
                let bytes = version.commit.as_bytes().as_slice();
                let row = params![bytes, ms(version.at) / 1000, version.author];
                made_by.query_row(row, |row| row.get(0))?
            }
        };
        last = Some((version.commit, commit));
        let name = version.device.as_str();
        let row = params![version.path, name, key(name)];
        let file: i64 = file.query_row(row, |row| row.get(0))?;
        insert.execute(params![
            file,
            commit,
            version.blob.as_bytes().as_slice(),
            version.lines.added,
            version.lines.removed,
            version.run.map(ms)
        ])?;
    }
    let sql = "INSERT OR REPLACE INTO head (only_one, id) VALUES (1, ?1)";
    connection.execute(sql, [head.as_bytes().as_slice()])?;
    Ok(())
}

fn version(row: &rusqlite::Row<'_>) -> rusqlite::Result<Version> {
    let mut columns = Columns::of(row);
    let device = columns.name()?;
    let path = columns.take()?;
    let commit = ObjectId::from_bytes(columns.take()?);
    let blob = ObjectId::from_bytes(columns.take()?);
    let seconds: u64 = columns.take()?;
    let author = columns.take()?;
    let added = columns.take()?;
    let removed = columns.take()?;
    let run: Option<i64> = columns.take()?;
    Ok(Version {
        device,
        path,
        commit,
        blob,
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        author,
        lines: Lines { added, removed },
        run: run.map(time),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_428_000 + seconds)
    }

    fn version(name: &str, commit: u8) -> Version {
        Version {
            device: DeviceName::new(name).unwrap(),
            path: format!("core/{name}.cfg"),
            commit: ObjectId::from_bytes([commit; 20]),
            blob: ObjectId::from_bytes([commit ^ 0xff; 20]),
            at: at(u64::from(commit)),
            author: "admin".to_owned(),
            lines: Lines {
                added: u64::from(commit),
                removed: 1,
            },
            run: (commit != 2).then(|| at(0) + Duration::from_millis(123)),
        }
    }

    fn id(commit: u8) -> ObjectId {
        ObjectId::from_bytes([commit; 20])
    }

    #[test]
    fn versions_come_back_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("versions.db");
        let mut store = VersionStore::open(&path).unwrap();
        assert_eq!(store.head().unwrap(), None);
        let all = [version("csr1", 1), version("csr2", 1), version("csr1", 2)];
        store.extend(&all[..2], id(1)).unwrap();
        store.extend(&all[2..], id(2)).unwrap();
        let reader = VersionStore::open_for_reading(&path).unwrap().unwrap();
        assert_eq!(reader.head().unwrap(), Some(id(2)));
        assert_eq!(
            reader.versions("CSR1").unwrap(),
            [all[2].clone(), all[0].clone()]
        );
        assert_eq!(reader.versions("csr2").unwrap(), all[1..2]);
        assert!(reader.versions("csr9").unwrap().is_empty());
        let names: Vec<_> = reader
            .devices()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["csr1", "csr2"]);
        store.clear().unwrap();
        assert_eq!(reader.head().unwrap(), None);
        assert!(reader.versions("csr1").unwrap().is_empty());
    }

    #[test]
    fn a_device_that_changed_its_group_or_its_case_has_one_history() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = VersionStore::open(&dir.path().join("versions.db")).unwrap();
        let moved = Version {
            path: "edge/CSR1.cfg".to_owned(),
            ..version("CSR1", 2)
        };
        store
            .extend(&[version("csr1", 1), moved.clone()], id(2))
            .unwrap();
        assert_eq!(store.versions("csr1").unwrap(), [moved, version("csr1", 1)]);
    }

    #[test]
    fn what_cannot_be_used_is_built_anew_and_no_reader_trips_over_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("versions.db");
        assert!(VersionStore::open_for_reading(&path).unwrap().is_none());
        fs::write(
            &path,
            "no database, but long enough to look like one".repeat(100),
        )
        .unwrap();
        assert!(VersionStore::open_for_reading(&path).is_err());
        let mut store = VersionStore::open(&path).unwrap();
        store.extend(&[version("csr1", 1)], id(1)).unwrap();
        store
            .connection
            .pragma_update(None, "user_version", 77)
            .unwrap();
        drop(store);
        assert!(VersionStore::open_for_reading(&path).unwrap().is_none());
        let store = VersionStore::open(&path).unwrap();
        assert_eq!(store.head().unwrap(), None);
    }
}
