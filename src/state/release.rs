//! `wrmem release`: an operator says that a device is to be tried again at once.
//!
//! It is written beside the one writer, which may be at work: the device's row is changed for a wrmem
//! that begins later, and a note is left for the one that is running.

use super::StateError;
use super::database::{Database, open_beside};
use super::rows::{Columns, HEALTH, key};
use super::write::{add_incident, device_id, set_health};
use crate::model::durable::Step;
use crate::model::health::{CredentialHealth, Health, Released};
use crate::model::history::Incident;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::path::Path;
use std::time::SystemTime;

/// What was on record of a released device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// Its breaker, crashes and quarantine.
    pub health: Health,
    /// Its credentials, where they rested.
    pub credentials: CredentialHealth,
}

/// Forgets the breaker, crashes and quarantine of devices, and the rest of their credentials, in the
/// database of the state folder `dir`. Returns what was on record, in the same order.
///
/// # Errors
/// When there is no database, or it cannot be written.
pub fn release(
    dir: &Path,
    released: &[Released],
    now: SystemTime,
) -> Result<Vec<Held>, StateError> {
    let mut database = open_beside(dir)?;
    let path = database.path.clone();
    let failed = |error| StateError::sql(&path, "releasing devices", error);
    let transaction = database
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    // All are looked up before any is changed: several may share their credentials.
    let found: Vec<_> = released
        .iter()
        .map(|one| held(&transaction, one))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    for (one, held) in released.iter().zip(&found) {
        if *held != Held::default() {
            release_one(&transaction, one, now).map_err(failed)?;
        }
    }
    transaction.commit().map_err(failed)?;
    Ok(found)
}

fn held(connection: &Connection, released: &Released) -> rusqlite::Result<Held> {
    let health = connection
        .query_row(
            &format!("SELECT {HEALTH} FROM devices WHERE key = ?1"),
            [key(released.device.as_str())],
            |row| Columns::of(row).health(),
        )
        .optional()?;
    let credentials = connection
        .query_row(
            "SELECT refused, rest_since_ms, rest_until_ms FROM credentials WHERE name = ?1",
            [&released.credentials],
            |row| {
                let mut columns = Columns::of(row);
                Ok(CredentialHealth {
                    refused: columns.take()?,
                    rest: columns.period()?,
                })
            },
        )
        .optional()?;
    Ok(Held {
        health: health.unwrap_or_default(),
        credentials: credentials.unwrap_or_default(),
    })
}

fn release_one(
    connection: &Connection,
    released: &Released,
    now: SystemTime,
) -> rusqlite::Result<()> {
    let device = device_id(connection, &released.device)?;
    set_health(connection, device, &Health::default())?;
    connection.execute(
        "DELETE FROM credentials WHERE name = ?1",
        [&released.credentials],
    )?;
    connection.execute(
        "INSERT INTO releases (device, credentials) VALUES (?1, ?2)",
        (device, &released.credentials),
    )?;
    add_incident(
        connection,
        &Incident {
            at: now,
            device: Some(released.device.clone()),
            kind: "released".to_owned(),
            message: "released by hand".to_owned(),
        },
    )
}

/// The devices released since this was last asked.
pub(super) fn take(database: &mut Database) -> Result<Vec<Released>, StateError> {
    let path = database.path.clone();
    let failed = |error| StateError::sql(&path, "reading releases", error);
    let pending: bool = database
        .connection
        .query_row("SELECT EXISTS (SELECT 1 FROM releases)", [], |row| {
            row.get(0)
        })
        .map_err(failed)?;
    if !pending {
        return Ok(Vec::new());
    }
    let transaction = database
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let released = taken(&transaction).map_err(failed)?;
    database.watch.passed(Step::ReleasesRead);
    transaction.commit().map_err(failed)?;
    database.watch.passed(Step::ReleasesTaken);
    Ok(released)
}

fn taken(connection: &Connection) -> rusqlite::Result<Vec<Released>> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT d.name, r.credentials FROM releases r JOIN devices d ON d.id = r.device",
    )?;
    let rows = statement.query_map([], |row| {
        let mut columns = Columns::of(row);
        Ok(Released {
            device: columns.name()?,
            credentials: columns.take()?,
        })
    })?;
    let released = rows.collect::<Result<_, _>>()?;
    connection.execute("DELETE FROM releases", [])?;
    Ok(released)
}
