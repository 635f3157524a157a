//! What the one writer writes, a batch at a time.

use super::database::Database;
use super::keep::{self, Keep};
use super::{StateError, release, write};
use crate::model::device::DeviceName;
use crate::model::durable::{Step, Watch};
use crate::model::health::{CredentialHealth, Health, Released};
use crate::model::history::{Due, Incident, RunNumber, Trigger};
use crate::model::report::{Counts, Mode, Outcome, Stored};
use rusqlite::TransactionBehavior;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Names a run within one process; the database numbers runs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunKey(pub u64);

/// Something to be remembered.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A run began.
    RunBegan(RunBegan),
    /// A device is done in a run.
    DeviceEnded(Box<DeviceEnded>),
    /// A run is over.
    RunEnded(RunEnded),
    /// Devices have a new time at which they are due.
    Due(Vec<(DeviceName, Due)>),
    /// Credentials were refused, or accepted after that.
    Credentials(String, CredentialHealth),
    /// Something else worth remembering.
    Incident(Incident),
}

/// A run that began.
#[derive(Debug, Clone)]
pub struct RunBegan {
    /// Which run.
    pub run: RunKey,
    /// When.
    pub started: SystemTime,
    /// One by one or all at once.
    pub mode: Mode,
    /// What set it off.
    pub trigger: Trigger,
    /// How many devices it has.
    pub devices: usize,
}

/// A device that is done in a run.
#[derive(Debug, Clone)]
pub struct DeviceEnded {
    /// Which run.
    pub run: RunKey,
    /// Which device.
    pub device: DeviceName,
    /// When.
    pub ended: SystemTime,
    /// How.
    pub outcome: Outcome,
    /// Whether that says anything about the device.
    pub weight: Weight,
    /// What the archive did.
    pub stored: Option<Stored>,
    /// The time of all its attempts.
    pub took: Duration,
    /// How many attempts were made.
    pub attempts: usize,
    /// Its health, where that changed.
    pub health: Option<Health>,
}

/// Whether an outcome says anything about the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It does.
    Counts,
    /// The device was left alone because of what was known before; its state stays as it is.
    LeftAlone,
}

/// A run that is over.
#[derive(Debug, Clone)]
pub struct RunEnded {
    /// Which run.
    pub run: RunKey,
    /// When.
    pub ended: SystemTime,
    /// How long it took.
    pub wall: Duration,
    /// How its devices ended.
    pub counts: Counts,
}

/// Where the one writer writes to.
pub trait Journal: Send {
    /// Makes all entries durable, or none of them; the same entries may be handed in again after
    /// an error.
    ///
    /// # Errors
    /// When they could not be written.
    fn write(&mut self, entries: &[Entry], now: SystemTime) -> Result<(), StateError>;

    /// The devices that an operator released since this was last asked.
    ///
    /// # Errors
    /// When they could not be read.
    fn released(&mut self, now: SystemTime) -> Result<Vec<Released>, StateError>;

    /// Removes some of what is older than it is kept; says whether there is more.
    ///
    /// # Errors
    /// When it could not.
    fn prune(&mut self, now: SystemTime) -> Result<More, StateError>;
}

/// Whether there is more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// There is.
    Yes,
    /// There is not.
    No,
}

/// What is remembered from before, as a process needs it when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remembered {
    /// Devices with trouble.
    pub devices: Vec<(DeviceName, Health)>,
    /// Credentials with trouble.
    pub credentials: Vec<(String, CredentialHealth)>,
    /// When each device was last tried: its last outcome, cancelled runs left out.
    pub tried: Vec<(DeviceName, SystemTime)>,
    /// How long the last good backup of each device took.
    pub took: Vec<(DeviceName, Duration)>,
}

/// The journal in the state database. Where the database cannot be opened, that is tried again with
/// every write: a full disk may be emptied while a long run goes on.
#[derive(Debug)]
pub struct StateJournal {
    dir: PathBuf,
    keep: Keep,
    watch: Arc<dyn Watch>,
    database: Option<Database>,
    // Runs under way, to begin them anew in a fresh database.
    runs: Runs,
}

/// The runs under way.
pub(super) type Runs = HashMap<RunKey, (RunNumber, RunBegan)>;

impl StateJournal {
    /// A journal into the database in the state folder `dir`, and what is remembered there. Runs that
    /// their process did not end are closed as broken off. `watch` is told of each step. The caller
    /// holds the folder's lock.
    pub fn begin(
        dir: &Path,
        keep: Keep,
        now: SystemTime,
        watch: Arc<dyn Watch>,
    ) -> (Self, Result<Remembered, StateError>) {
        let mut journal = Self {
            dir: dir.to_owned(),
            keep,
            watch,
            database: None,
            runs: HashMap::new(),
        };
        let remembered = journal.remembered(now);
        (journal, remembered)
    }

    fn remembered(&mut self, now: SystemTime) -> Result<Remembered, StateError> {
        let queries = self.opened(now)?.queries();
        Ok(Remembered {
            devices: queries.troubled()?,
            credentials: queries.credentials()?,
            tried: queries.tried()?,
            took: queries.device_times()?,
        })
    }

    /// The database, opened and with all runs under way in it.
    fn opened(&mut self, now: SystemTime) -> Result<&mut Database, StateError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => {
                let opened = Database::open(&self.dir, now, &self.watch)?;
                let database = opened.database;
                close_broken_off(&database)?;
                let began = self.runs.values().map(|(_, began)| began.clone());
                let mut entries: Vec<_> = began.map(Entry::RunBegan).collect();
                entries.extend(opened.set_aside.map(|aside| aside.incident(now)));
                let mut database = database;
                self.runs = all_or_none(&mut database, Runs::new(), &entries)?;
                database
            }
        };
        Ok(self.database.insert(database))
    }

    /// Makes the next read look at the file again.
    #[cfg(test)]
    pub(super) fn forget_cache(&self) {
        if let Some(database) = &self.database {
            let sql = "PRAGMA shrink_memory";
            database.connection.execute_batch(sql).unwrap();
        }
    }

    fn write_once(&mut self, entries: &[Entry], now: SystemTime) -> Result<(), StateError> {
        self.opened(now)?;
        let runs = self.runs.clone();
        let database = self.opened(now)?;
        self.runs = all_or_none(database, runs, entries)?;
        Ok(())
    }
}

impl Journal for StateJournal {
    fn write(&mut self, entries: &[Entry], now: SystemTime) -> Result<(), StateError> {
        match self.write_once(entries, now) {
            Err(error) if error.is_damage() => {
                if let Some(database) = self.database.take() {
                    database.put_aside(&error, now)?;
                }
                self.write_once(entries, now)
            }
            result => result,
        }
    }

    fn released(&mut self, now: SystemTime) -> Result<Vec<Released>, StateError> {
        release::take(self.opened(now)?)
    }

    fn prune(&mut self, now: SystemTime) -> Result<More, StateError> {
        let keep = self.keep;
        keep::prune(self.opened(now)?, keep, now)
    }
}

/// Writes all entries or none; returns the runs under way after them.
fn all_or_none(
    database: &mut Database,
    mut runs: Runs,
    entries: &[Entry],
) -> Result<Runs, StateError> {
    let path = &database.path;
    let failed = |error| StateError::sql(path, "recording what happened", error);
    let transaction = database
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    for entry in entries {
        write::entry(&transaction, &mut runs, entry).map_err(failed)?;
    }
    database.watch.passed(Step::RowsWritten);
    transaction.commit().map_err(failed)?;
    database.watch.passed(Step::RowsCommitted);
    Ok(runs)
}

/// Runs that are under way in the database are those of a process that is gone: whoever holds the
/// lock asks before it begins one.
fn close_broken_off(database: &Database) -> Result<(), StateError> {
    let sum = |outcome: &str| {
        format!("(SELECT count(*) FROM outcomes WHERE run = runs.id AND outcome = '{outcome}')")
    };
    let stored = |kind: &str| {
        format!("(SELECT count(*) FROM outcomes WHERE run = runs.id AND stored = '{kind}')")
    };
    let sql = format!(
        "UPDATE runs SET broken_off = 1, succeeded = {}, not_saved = {}, failed = {}, \
         cancelled = {}, new = {}, changed = {}, unchanged = {}, ended_ms = coalesce(\
         (SELECT max(ended_ms) FROM outcomes WHERE run = runs.id), started_ms) \
         WHERE ended_ms IS NULL",
        sum("ok"),
        sum("not_saved"),
        sum("failed"),
        sum("cancelled"),
        stored("new"),
        stored("changed"),
        stored("unchanged"),
    );
    let closed = database.connection.execute(&sql, []);
    let closed = closed.map_err(|error| database.failed("closing runs broken off", error))?;
    database.watch.passed(Step::BrokenOffClosed);
    if closed > 0 {
        log::warn!(
            "{closed} earlier run(s) did not come to an end: the process was killed or the machine \
             went down; what they had done by then counts"
        );
    }
    Ok(())
}
