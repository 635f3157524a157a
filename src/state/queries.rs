//! What is read: by the writer when it begins, and by whoever asks while it is at work.

use super::database::open_for_reading;
use super::rows::{Columns, HEALTH, key, length, outcome, time};
use super::{StateError, rows};
use crate::model::device::DeviceName;
use crate::model::health::{CredentialHealth, Health};
use crate::model::history::{
    DeviceState, Due, Incident, LastFailure, LastOutcome, PastOutcome, PastRun, RunEnd, RunNumber,
};
use crate::model::report::Counts;
use rusqlite::{Connection, Params, Row};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The database, opened for reading beside its writer.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

impl Reader {
    /// Opens the database in the state folder `dir`. Needs no lock and changes nothing.
    ///
    /// # Errors
    /// When there is none, it is of another version, or it cannot be read.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        let (connection, path) = open_for_reading(dir)?;
        Ok(Self { connection, path })
    }

    /// What can be asked.
    #[must_use]
    pub fn queries(&self) -> Queries<'_> {
        Queries::new(&self.connection, &self.path)
    }
}

/// The questions that the database answers.
#[derive(Debug, Clone, Copy)]
pub struct Queries<'a> {
    connection: &'a Connection,
    path: &'a Path,
}

const DEVICE: &str = "name, last_run, last_ms, last_outcome, good_ms, took_ms, failures, due_ms, \
     due_decided_ms, failed_ms, failed_stage, failed_kind, failed_message";

const OUTCOME: &str = "SELECT o.run, d.name, o.ended_ms, o.outcome, o.stage, o.kind, o.message, \
     o.stored, o.bytes, o.sha256, o.added, o.removed, o.took_ms, o.attempts
     FROM outcomes o JOIN devices d ON d.id = o.device";

const RUN: &str = "SELECT id, started_ms, wall_ms, broken_off, mode, trigger, total, succeeded, \
     not_saved, failed, cancelled, new, changed, unchanged FROM runs";

const INCIDENT: &str = "SELECT i.at_ms, d.name, i.kind, i.message
     FROM incidents i LEFT JOIN devices d ON d.id = i.device";

impl<'a> Queries<'a> {
    pub(super) const fn new(connection: &'a Connection, path: &'a Path) -> Self {
        Self { connection, path }
    }

    /// How every device stands that ever took part, in the order of their names.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn devices(&self) -> Result<Vec<DeviceState>, StateError> {
        let sql = format!("SELECT {DEVICE}, {HEALTH} FROM devices ORDER BY key");
        self.all(&sql, [], device_state)
    }

    /// The names of all devices that ever took part, in their order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn names(&self) -> Result<Vec<DeviceName>, StateError> {
        self.all("SELECT name FROM devices ORDER BY key", [], |row| {
            Columns::of(row).name()
        })
    }

    /// How one device stands; upper and lower case make no difference.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn device(&self, name: &str) -> Result<Option<DeviceState>, StateError> {
        let sql = format!("SELECT {DEVICE}, {HEALTH} FROM devices WHERE key = ?1");
        Ok(self.all(&sql, [key(name)], device_state)?.pop())
    }

    /// The outcomes of one device, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn history(&self, name: &str, most: usize) -> Result<Vec<PastOutcome>, StateError> {
        let sql = format!("{OUTCOME} WHERE d.key = ?1 ORDER BY o.run DESC LIMIT ?2");
        self.all(&sql, (key(name), most), past_outcome)
    }

    /// What else happened to one device, newest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn incidents_of(&self, name: &str, most: usize) -> Result<Vec<Incident>, StateError> {
        let sql = format!("{INCIDENT} WHERE d.key = ?1 ORDER BY i.id DESC LIMIT ?2");
        self.all(&sql, (key(name), most), incident)
    }

    /// What happened besides outcomes, newest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn incidents(&self, most: usize) -> Result<Vec<Incident>, StateError> {
        self.all(
            &format!("{INCIDENT} ORDER BY i.id DESC LIMIT ?1"),
            [most],
            incident,
        )
    }

    /// The runs, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn runs(&self, most: usize) -> Result<Vec<PastRun>, StateError> {
        let sql = format!("{RUN} ORDER BY id DESC LIMIT ?1");
        self.all(&sql, [most], past_run)
    }

    /// One run.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn run(&self, number: RunNumber) -> Result<Option<PastRun>, StateError> {
        let sql = format!("{RUN} WHERE id = ?1");
        Ok(self.all(&sql, [number.0], past_run)?.pop())
    }

    /// The outcomes of one run in the order in which they came.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn outcomes(&self, number: RunNumber) -> Result<Vec<PastOutcome>, StateError> {
        let sql = format!("{OUTCOME} WHERE o.run = ?1 ORDER BY o.ended_ms, d.key");
        self.all(&sql, [number.0], past_outcome)
    }

    /// How long the last good backup of each device took.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn device_times(&self) -> Result<Vec<(DeviceName, Duration)>, StateError> {
        let sql = "SELECT name, took_ms FROM devices WHERE took_ms IS NOT NULL";
        self.all(sql, [], |row| {
            let mut columns = Columns::of(row);
            Ok((columns.name()?, length(columns.take()?)))
        })
    }

    /// When each device was last tried: its last outcome, cancelled runs left out.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn tried(&self) -> Result<Vec<(DeviceName, SystemTime)>, StateError> {
        let sql = "SELECT name, last_ms FROM devices WHERE last_ms IS NOT NULL";
        self.all(sql, [], |row| {
            let mut columns = Columns::of(row);
            Ok((columns.name()?, time(columns.take()?)))
        })
    }

    /// When each device is due.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn dues(&self) -> Result<Vec<(DeviceName, Due)>, StateError> {
        let sql = "SELECT name, due_ms, due_decided_ms FROM devices \
             WHERE due_ms IS NOT NULL AND due_decided_ms IS NOT NULL";
        self.all(sql, [], |row| {
            let mut columns = Columns::of(row);
            let name = columns.name()?;
            let due = Due {
                at: time(columns.take()?),
                decided: time(columns.take()?),
            };
            Ok((name, due))
        })
    }

    /// The devices with any trouble on record.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn troubled(&self) -> Result<Vec<(DeviceName, Health)>, StateError> {
        let sql = format!(
            "SELECT name, {HEALTH} FROM devices WHERE unreachable > 0 OR crashes > 0
             OR rest_cause IS NOT NULL OR quarantine_since_ms IS NOT NULL"
        );
        self.all(&sql, [], |row| {
            let mut columns = Columns::of(row);
            Ok((columns.name()?, columns.health()?))
        })
    }

    /// The devices that did not end ok in their last run; and those that the last run did not come to,
    /// being interrupted.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn not_ok(&self) -> Result<Vec<DeviceName>, StateError> {
        let sql = "SELECT name FROM devices WHERE last_outcome <> 'ok' OR id IN (\
             SELECT device FROM outcomes WHERE outcome = 'cancelled' \
             AND run = (SELECT max(id) FROM runs)) ORDER BY key";
        self.all(sql, [], |row| Columns::of(row).name())
    }

    /// The credentials with any trouble on record.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn credentials(&self) -> Result<Vec<(String, CredentialHealth)>, StateError> {
        let sql = "SELECT name, refused, rest_since_ms, rest_until_ms FROM credentials";
        self.all(sql, [], |row| {
            let mut columns = Columns::of(row);
            let name = columns.take()?;
            let health = CredentialHealth {
                refused: columns.take()?,
                rest: columns.period()?,
            };
            Ok((name, health))
        })
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StateError> {
        let rows = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map(params, read)?;
            rows.collect::<rusqlite::Result<Vec<T>>>()
        };
        rows().map_err(|error| StateError::sql(self.path, "reading it", error))
    }
}

fn device_state(row: &Row<'_>) -> rusqlite::Result<DeviceState> {
    let mut columns = Columns::of(row);
    let name = columns.name()?;
    let run: Option<i64> = columns.take()?;
    let ended = columns.time()?;
    let word: Option<String> = columns.take()?;
    let good = columns.time()?;
    let took: Option<i64> = columns.take()?;
    let failures = columns.take()?;
    let due = columns.time()?.zip(columns.time()?);
    let failed = columns.time()?.zip(columns.failure()?);
    let health = columns.health()?;
    let failure = failed.as_ref().map(|(_, failure)| failure.clone());
    Ok(DeviceState {
        name,
        last: ended.zip(word).map(|(ended, word)| LastOutcome {
            run: run.map(RunNumber),
            ended,
            outcome: outcome(&word, failure),
        }),
        good,
        failed: failed.map(|(ended, failure)| LastFailure { ended, failure }),
        failures,
        took: took.map(length),
        due: due.map(|(at, decided)| Due { at, decided }),
        health,
    })
}

fn past_outcome(row: &Row<'_>) -> rusqlite::Result<PastOutcome> {
    let mut columns = Columns::of(row);
    let run = RunNumber(columns.take()?);
    let device = columns.name()?;
    let ended = time(columns.take()?);
    let word: String = columns.take()?;
    let failure = columns.failure()?;
    Ok(PastOutcome {
        run,
        device,
        ended,
        outcome: outcome(&word, failure),
        stored: columns.stored()?,
        took: length(columns.take()?),
        attempts: columns.take()?,
    })
}

fn past_run(row: &Row<'_>) -> rusqlite::Result<PastRun> {
    let mut columns = Columns::of(row);
    let number = RunNumber(columns.take()?);
    let started = time(columns.take()?);
    let wall: Option<i64> = columns.take()?;
    let broken_off: bool = columns.take()?;
    let mode = columns.mode()?;
    let trigger: String = columns.take()?;
    Ok(PastRun {
        number,
        started,
        end: match wall {
            _ if broken_off => RunEnd::BrokenOff,
            Some(wall) => RunEnd::After(length(wall)),
            None => RunEnd::UnderWay,
        },
        mode,
        trigger: rows::trigger(&trigger),
        counts: Counts {
            total: columns.take()?,
            succeeded: columns.take()?,
            not_saved: columns.take()?,
            failed: columns.take()?,
            cancelled: columns.take()?,
            new: columns.take()?,
            changed: columns.take()?,
            unchanged: columns.take()?,
        },
    })
}

fn incident(row: &Row<'_>) -> rusqlite::Result<Incident> {
    let mut columns = Columns::of(row);
    let at = time(columns.take()?);
    let device: Option<String> = columns.take()?;
    Ok(Incident {
        at,
        device: device.and_then(|name| DeviceName::new(&name).ok()),
        kind: columns.take()?,
        message: columns.take()?,
    })
}
