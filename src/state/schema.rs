//! The tables, and how a database of an earlier version is brought up to date.
//!
//! A migration is one SQL file and is never changed after it was released. To add one: first keep a
//! database as the version before writes it (`cargo test --lib -- --ignored write_the_fixture` puts it
//! into `tests/fixtures/state/`), then append the file to [`MIGRATIONS`].

use super::StateError;
use crate::model::durable::{Step, Watch};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// Every step from nothing to the present tables; the version of a database is how many of them
/// were taken. There is no way back.
pub const MIGRATIONS: &[&str] = &[include_str!("migrations/0001-runs.sql")];

/// Marks the file as wrmem's: "wrmm".
pub(super) const APPLICATION_ID: i64 = 0x7772_6d6d;

/// The version of the present tables.
#[must_use]
pub fn current() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The version of the database at `path`; 0 where it is empty.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<i64, StateError> {
    let read = |name: &str| {
        connection
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
            .map_err(|error| StateError::sql(path, "reading its version", error))
    };
    let (id, found) = (read("application_id")?, read("user_version")?);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| StateError::sql(path, "reading its tables", error))?;
    let empty = id == 0 && found == 0 && tables == 0;
    if id != APPLICATION_ID && !empty {
        return Err(StateError::Foreign {
            path: path.to_owned(),
        });
    }
    let known = current();
    if found > known {
        return Err(StateError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(found)
}

/// Brings the tables up to date, all steps or none.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    watch: &dyn Watch,
) -> Result<(), StateError> {
    let failed = |error| StateError::sql(path, "bringing it up to date", error);
    if version(connection, path)? == current() {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    // Again, now that nobody else can change it.
    let found = version(&transaction, path)?;
    let taken = usize::try_from(found).unwrap_or(0);
    for step in MIGRATIONS.iter().skip(taken) {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction
        .pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(failed)?;
    transaction
        .pragma_update(None, "user_version", current())
        .map_err(failed)?;
    watch.passed(Step::TablesWritten);
    transaction.commit().map_err(failed)?;
    watch.passed(Step::TablesMade);
    Ok(())
}
