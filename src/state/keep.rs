//! How long what happened is kept.

use super::StateError;
use super::database::Database;
use super::journal::More;
use super::rows::ms;
use crate::model::durable::Step;
use rusqlite::{Connection, params};
use std::time::{Duration, SystemTime};

/// How long runs, outcomes and incidents are kept. How each device stands is kept for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// What is older is removed.
    pub age: Duration,
    /// Outcomes kept at most; the oldest runs go first.
    pub outcomes: u64,
    /// Incidents kept at most; the oldest go first.
    pub incidents: u64,
}

/// Runs and incidents that stay whatever their age: a clock that is years ahead for a moment must
/// not remove everything.
const KEPT_ALWAYS: u64 = 100;

/// Outcomes removed in one transaction, so that nobody waits long.
const REMOVED_AT_ONCE: u64 = 20_000;

/// Removes some of what is older than it is kept: whole runs, oldest first.
pub(super) fn prune(
    database: &mut Database,
    keep: Keep,
    now: SystemTime,
) -> Result<More, StateError> {
    let path = &database.path;
    let failed = |error| StateError::sql(path, "removing what is old", error);
    let oldest = now.checked_sub(keep.age).unwrap_or(SystemTime::UNIX_EPOCH);
    let transaction = database.connection.transaction().map_err(failed)?;
    let more = prune_runs(&transaction, keep.outcomes, oldest).map_err(failed)?;
    prune_incidents(&transaction, keep.incidents, oldest).map_err(failed)?;
    database.watch.passed(Step::OldRemoved);
    transaction.commit().map_err(failed)?;
    database.watch.passed(Step::Pruned);
    Ok(more)
}

fn prune_runs(
    connection: &Connection,
    outcomes: u64,
    oldest: SystemTime,
) -> rusqlite::Result<More> {
    let recorded: u64 =
        connection.query_row("SELECT coalesce(sum(total), 0) FROM runs", [], |row| {
            row.get(0)
        })?;
    let kept_always = first_kept_always(connection, "runs")?;
    let mut excess = recorded.saturating_sub(outcomes);
    let mut statement = connection.prepare_cached(
        "SELECT id, started_ms, total FROM runs
         WHERE ended_ms IS NOT NULL AND id < (SELECT max(id) FROM runs) ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut removed = 0;
    while let Some(row) = rows.next()? {
        let (id, started, devices): (i64, i64, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let old = started < ms(oldest) && id < kept_always;
        if !old && excess == 0 {
            continue;
        }
        if removed > 0 && removed + devices > REMOVED_AT_ONCE {
            return Ok(More::Yes);
        }
        for sql in [
            "DELETE FROM outcomes WHERE run = ?1",
            "DELETE FROM runs WHERE id = ?1",
        ] {
            connection.prepare_cached(sql)?.execute([id])?;
        }
        removed += devices;
        excess = excess.saturating_sub(devices);
    }
    Ok(More::No)
}

fn prune_incidents(
    connection: &Connection,
    incidents: u64,
    oldest: SystemTime,
) -> rusqlite::Result<()> {
    let kept_always = first_kept_always(connection, "incidents")?;
    connection.execute(
        "DELETE FROM incidents WHERE at_ms < ?1 AND id < ?2",
        params![ms(oldest), kept_always],
    )?;
    connection.execute(
        "DELETE FROM incidents WHERE id <= (SELECT max(id) FROM incidents) - ?1",
        [incidents],
    )?;
    Ok(())
}

/// The lowest of the highest numbers, which stay whatever their age.
fn first_kept_always(connection: &Connection, table: &str) -> rusqlite::Result<i64> {
    let sql = format!("SELECT min(id) FROM (SELECT id FROM {table} ORDER BY id DESC LIMIT ?1)");
    let first: Option<i64> = connection.query_row(&sql, [KEPT_ALWAYS], |row| row.get(0))?;
    Ok(first.unwrap_or(0))
}
