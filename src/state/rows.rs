//! Values as they stand in the tables, and back.

use crate::model::device::DeviceName;
use crate::model::failure::{Failure, FailureKind};
use crate::model::health::{Health, Period, Rest, RestCause};
use crate::model::history::Trigger;
use crate::model::report::{Lines, Mode, Outcome, Stored, StoredKind};
use crate::model::stage::Stage;
use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type};
use std::time::{Duration, SystemTime};

/// Milliseconds since 1970; before and far beyond that it stops at what fits.
pub(super) fn ms(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => length_ms(since),
        Err(before) => -length_ms(before.duration()),
    }
}

/// The time of [`ms`].
pub(super) fn time(ms: i64) -> SystemTime {
    let length = Duration::from_millis(ms.unsigned_abs());
    let time = if ms < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(length)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(length)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Whole milliseconds.
pub(super) fn length_ms(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

/// The length of [`length_ms`].
pub(super) fn length(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// What a name is looked up by: names are unique ignoring case.
pub(super) fn key(name: &str) -> String {
    name.to_lowercase()
}

/// Reads the columns of a row one after the other.
pub(super) struct Columns<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(super) const fn of(row: &'a Row<'a>) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn take<T: rusqlite::types::FromSql>(&mut self) -> rusqlite::Result<T> {
        let at = self.next;
        self.next += 1;
        self.row.get(at)
    }

    pub(super) fn time(&mut self) -> rusqlite::Result<Option<SystemTime>> {
        Ok(self.take::<Option<i64>>()?.map(time))
    }

    pub(super) fn name(&mut self) -> rusqlite::Result<DeviceName> {
        let name: String = self.take()?;
        DeviceName::new(&name).map_err(|error| self.unfit(error))
    }

    /// Stage, kind and message.
    pub(super) fn failure(&mut self) -> rusqlite::Result<Option<Failure>> {
        let stage: Option<String> = self.take()?;
        let kind: Option<String> = self.take()?;
        let message: Option<String> = self.take()?;
        Ok(stage.map(|stage| Failure {
            stage: Stage::ALL
                .into_iter()
                .find(|known| known.name() == stage)
                .unwrap_or(Stage::Connect),
            // A kind that a later version added; its message tells what it was.
            kind: FailureKind::ALL
                .into_iter()
                .find(|known| Some(known.name()) == kind.as_deref())
                .unwrap_or(FailureKind::Unexpected),
            message: message.unwrap_or_default(),
        }))
    }

    /// Kind, bytes, SHA-256, lines added and removed.
    pub(super) fn stored(&mut self) -> rusqlite::Result<Option<Stored>> {
        let kind: Option<String> = self.take()?;
        let bytes: Option<u64> = self.take()?;
        let sha256: Option<[u8; 32]> = self.take()?;
        let added: Option<u64> = self.take()?;
        let removed: Option<u64> = self.take()?;
        let lines = added.zip(removed);
        let kinds = [StoredKind::New, StoredKind::Changed, StoredKind::Unchanged];
        let kind = kind.and_then(|word| kinds.into_iter().find(|known| known.name() == word));
        Ok(kind.map(|kind| Stored {
            kind,
            lines: lines.map(|(added, removed)| Lines { added, removed }),
            bytes: bytes.unwrap_or(0),
            sha256: sha256.unwrap_or_default(),
            notes: Vec::new(),
        }))
    }

    pub(super) fn mode(&mut self) -> rusqlite::Result<Mode> {
        let word: String = self.take()?;
        Ok(if word == Mode::Sequential.name() {
            Mode::Sequential
        } else {
            Mode::Concurrent
        })
    }

    /// The columns of [`HEALTH`].
    pub(super) fn health(&mut self) -> rusqlite::Result<Health> {
        Ok(Health {
            unreachable: self.take()?,
            rest: self.rest()?,
            crashes: self.take()?,
            crashed: self.time()?,
            quarantine: self.period()?,
        })
    }

    fn rest(&mut self) -> rusqlite::Result<Option<Rest>> {
        let cause: Option<String> = self.take()?;
        let period = self.period()?;
        let number: Option<u32> = self.take()?;
        let cause = cause.and_then(|word| {
            let mut known = RestCause::ALL.into_iter();
            known.find(|known| known.name() == word)
        });
        Ok(cause.zip(period).map(|(cause, period)| Rest {
            cause,
            period,
            number: number.unwrap_or(1),
        }))
    }

    pub(super) fn period(&mut self) -> rusqlite::Result<Option<Period>> {
        let (since, until) = (self.time()?, self.time()?);
        Ok(since
            .zip(until)
            .map(|(since, until)| Period { since, until }))
    }

    fn unfit(&self, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
        let cause = Box::new(FromSqlError::Other(Box::new(error)));
        rusqlite::Error::FromSqlConversionFailure(self.next, Type::Text, cause)
    }
}

/// The columns of a device's health.
pub(super) const HEALTH: &str = "unreachable, rest_cause, rest_since_ms, rest_until_ms, \
     rest_number, crashes, crashed_ms, quarantine_since_ms, quarantine_until_ms";

/// An outcome out of its word and its failure.
pub(super) fn outcome(word: &str, failure: Option<Failure>) -> Outcome {
    match failure {
        Some(failure) if word == "not_saved" => Outcome::NotSaved(failure),
        Some(failure) if word == "cancelled" => Outcome::Cancelled(failure),
        Some(failure) if word != "ok" => Outcome::Failed(failure),
        _ => Outcome::Ok,
    }
}

/// A trigger out of its word.
pub(super) fn trigger(word: &str) -> Trigger {
    let mut known = Trigger::ALL.into_iter();
    known
        .find(|known| known.name() == word)
        .unwrap_or(Trigger::Command)
}
