//! `wrmem release`: an operator says that a device is to be tried again at once.
//!
//! It is written beside the one writer, which may be at work: the device's row is changed for a wrmem
//! that begins later, and a note is left for the one that is running.

use super::StateError;
use super::database::{Database, open_beside};
use super::rows::{Columns, HEALTH};
use super::write::{add_incident, device_id, set_health};
use crate::model::device::DeviceName;
use crate::model::health::Health;
use crate::model::history::Incident;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;
use std::time::SystemTime;

/// Forgets the breaker, crashes and quarantine of `devices` in the database of the state folder `dir`,
/// and returns what was on record, in the same order. A database that is there may be at work.
///
/// # Errors
/// When there is no database, or it cannot be written.
pub fn release(
    dir: &Path,
    devices: &[DeviceName],
    now: SystemTime,
) -> Result<Vec<Health>, StateError> {
    let mut database = open_beside(dir)?;
    let path = database.path.clone();
    let failed = |error| StateError::sql(&path, "releasing devices", error);
    let transaction = database
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let found = devices
        .iter()
        .map(|device| release_one(&transaction, device, now))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(found)
}

fn release_one(
    connection: &Connection,
    device: &DeviceName,
    now: SystemTime,
) -> rusqlite::Result<Health> {
    let id = device_id(connection, device)?;
    let health = connection.query_row(
        &format!("SELECT {HEALTH} FROM devices WHERE id = ?1"),
        [id],
        |row| Columns::of(row).health(),
    )?;
    if health == Health::default() {
        return Ok(health);
    }
    set_health(connection, id, &Health::default())?;
    connection.execute("INSERT INTO releases (device) VALUES (?1)", [id])?;
    add_incident(
        connection,
        &Incident {
            at: now,
            device: Some(device.clone()),
            kind: "released".to_owned(),
            message: "released by hand".to_owned(),
        },
    )?;
    Ok(health)
}

/// The devices released since this was last asked.
pub(super) fn take(database: &mut Database) -> Result<Vec<DeviceName>, StateError> {
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
    transaction.commit().map_err(failed)?;
    Ok(released)
}

fn taken(connection: &Connection) -> rusqlite::Result<Vec<DeviceName>> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT d.name FROM releases r JOIN devices d ON d.id = r.device",
    )?;
    let rows = statement.query_map([], |row| Columns::of(row).name())?;
    let released = rows.collect::<Result<_, _>>()?;
    connection.execute("DELETE FROM releases", [])?;
    Ok(released)
}
