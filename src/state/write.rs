//! Entries into rows. All of it runs within a transaction of the caller.

use super::journal::{DeviceEnded, Entry, RunBegan, RunEnded, Runs, Weight};
use super::rows::{key, length_ms, ms};
use crate::model::device::DeviceName;
use crate::model::health::{CredentialHealth, Health};
use crate::model::history::{Due, Incident, RunNumber};
use crate::model::report::Outcome;
use rusqlite::{Connection, named_params, params};

/// Writes one entry; `runs` are those under way.
pub(super) fn entry(
    connection: &Connection,
    runs: &mut Runs,
    entry: &Entry,
) -> rusqlite::Result<()> {
    match entry {
        Entry::RunBegan(began) => {
            let number = begin_run(connection, began)?;
            runs.insert(began.run, (number, began.clone()));
        }
        Entry::DeviceEnded(ended) => {
            // A run that could not be recorded is missing; its devices are not.
            let run = runs.get(&ended.run).map(|(number, _)| *number);
            end_device(connection, run, ended)?;
        }
        Entry::RunEnded(ended) => {
            if let Some((number, _)) = runs.remove(&ended.run) {
                end_run(connection, number, ended)?;
            }
        }
        Entry::Due(dues) => {
            for (device, due) in dues {
                set_due(connection, device, due)?;
            }
        }
        Entry::Credentials(name, health) => set_credentials(connection, name, health)?,
        Entry::Incident(incident) => add_incident(connection, incident)?,
    }
    Ok(())
}

fn begin_run(connection: &Connection, began: &RunBegan) -> rusqlite::Result<RunNumber> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO runs (started_ms, mode, trigger, total) VALUES (?1, ?2, ?3, ?4) RETURNING id",
    )?;
    let columns = params![
        ms(began.started),
        began.mode.name(),
        began.trigger.name(),
        began.devices
    ];
    statement
        .query_row(columns, |row| row.get(0))
        .map(RunNumber)
}

/// The number of a device, which is entered where it is new.
pub(super) fn device_id(connection: &Connection, device: &DeviceName) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO devices (key, name) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET name = excluded.name RETURNING id",
    )?;
    statement.query_row(params![key(device.as_str()), device.as_str()], |row| {
        row.get(0)
    })
}

fn end_device(
    connection: &Connection,
    run: Option<RunNumber>,
    ended: &DeviceEnded,
) -> rusqlite::Result<()> {
    let device = device_id(connection, &ended.device)?;
    if let Some(run) = run {
        add_outcome(connection, run, device, ended)?;
    }
    if ended.weight == Weight::Counts {
        set_last(connection, run, device, ended)?;
    }
    if let Some(health) = &ended.health {
        set_health(connection, device, health)?;
    }
    Ok(())
}

fn add_outcome(
    connection: &Connection,
    run: RunNumber,
    device: i64,
    ended: &DeviceEnded,
) -> rusqlite::Result<()> {
    let failure = ended.outcome.failure();
    let stored = ended.stored.as_ref();
    let lines = stored.and_then(|stored| stored.lines);
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO outcomes (run, device, ended_ms, outcome, stage, kind, message, \
         stored, bytes, sha256, added, removed, took_ms, attempts)
         VALUES (:run, :device, :ended, :outcome, :stage, :kind, :message, \
         :stored, :bytes, :sha256, :added, :removed, :took, :attempts)",
    )?;
    statement.execute(named_params! {
        ":run": run.0,
        ":device": device,
        ":ended": ms(ended.ended),
        ":outcome": ended.outcome.name(),
        ":stage": failure.map(|failure| failure.stage.name()),
        ":kind": failure.map(|failure| failure.kind.name()),
        ":message": failure.map(|failure| failure.message.as_str()),
        ":stored": stored.map(|stored| stored.kind.name()),
        ":bytes": stored.map(|stored| stored.bytes),
        ":sha256": stored.map(|stored| stored.sha256),
        ":added": lines.map(|lines| lines.added),
        ":removed": lines.map(|lines| lines.removed),
        ":took": length_ms(ended.took),
        ":attempts": ended.attempts,
    })?;
    Ok(())
}

/// How the device stands after this outcome.
fn set_last(
    connection: &Connection,
    run: Option<RunNumber>,
    device: i64,
    ended: &DeviceEnded,
) -> rusqlite::Result<()> {
    let good = match ended.outcome {
        // It is not known what it would have come to.
        Outcome::Cancelled(_) => return Ok(()),
        Outcome::Ok | Outcome::NotSaved(_) => true,
        Outcome::Failed(_) => false,
    };
    let at = ms(ended.ended);
    connection
        .prepare_cached(
            "UPDATE devices SET last_run = ?2, last_ms = ?3, last_outcome = ?4 WHERE id = ?1",
        )?
        .execute(params![
            device,
            run.map(|run| run.0),
            at,
            ended.outcome.name()
        ])?;
    let sql = if good {
        "UPDATE devices SET good_ms = ?2, took_ms = ?3, failures = 0 WHERE id = ?1"
    } else {
        "UPDATE devices SET failures = failures + 1 WHERE id = ?1"
    };
    let mut statement = connection.prepare_cached(sql)?;
    if good {
        statement.execute(params![device, at, length_ms(ended.took)])?;
    } else {
        statement.execute([device])?;
    }
    if let Some(failure) = ended.outcome.failure() {
        connection
            .prepare_cached(
                "UPDATE devices SET failed_ms = ?2, failed_stage = ?3, failed_kind = ?4, \
                 failed_message = ?5 WHERE id = ?1",
            )?
            .execute(params![
                device,
                at,
                failure.stage.name(),
                failure.kind.name(),
                failure.message
            ])?;
    }
    Ok(())
}

pub(super) fn set_health(
    connection: &Connection,
    device: i64,
    health: &Health,
) -> rusqlite::Result<()> {
    let rest = health.rest.as_ref();
    let quarantine = health.quarantine.as_ref();
    let mut statement = connection.prepare_cached(
        "UPDATE devices SET unreachable = :unreachable, rest_cause = :cause, \
         rest_since_ms = :since, rest_until_ms = :until, rest_number = :number, \
         crashes = :crashes, crashed_ms = :crashed, \
         quarantine_since_ms = :quarantined, quarantine_until_ms = :released WHERE id = :device",
    )?;
    statement.execute(named_params! {
        ":device": device,
        ":unreachable": health.unreachable,
        ":cause": rest.map(|rest| rest.cause.name()),
        ":since": rest.map(|rest| ms(rest.period.since)),
        ":until": rest.map(|rest| ms(rest.period.until)),
        ":number": rest.map(|rest| rest.number),
        ":crashes": health.crashes,
        ":crashed": health.crashed.map(ms),
        ":quarantined": quarantine.map(|period| ms(period.since)),
        ":released": quarantine.map(|period| ms(period.until)),
    })?;
    Ok(())
}

fn end_run(connection: &Connection, number: RunNumber, ended: &RunEnded) -> rusqlite::Result<()> {
    let counts = &ended.counts;
    let mut statement = connection.prepare_cached(
        "UPDATE runs SET ended_ms = :ended, wall_ms = :wall, total = :total, \
         succeeded = :succeeded, not_saved = :not_saved, failed = :failed, \
         cancelled = :cancelled, new = :new, changed = :changed, unchanged = :unchanged \
         WHERE id = :run",
    )?;
    statement.execute(named_params! {
        ":run": number.0,
        ":ended": ms(ended.ended),
        ":wall": length_ms(ended.wall),
        ":total": counts.total,
        ":succeeded": counts.succeeded,
        ":not_saved": counts.not_saved,
        ":failed": counts.failed,
        ":cancelled": counts.cancelled,
        ":new": counts.new,
        ":changed": counts.changed,
        ":unchanged": counts.unchanged,
    })?;
    Ok(())
}

fn set_due(connection: &Connection, device: &DeviceName, due: &Due) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO devices (key, name, due_ms, due_decided_ms) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (key) DO UPDATE SET due_ms = excluded.due_ms, \
         due_decided_ms = excluded.due_decided_ms",
    )?;
    statement.execute(params![
        key(device.as_str()),
        device.as_str(),
        ms(due.at),
        ms(due.decided)
    ])?;
    Ok(())
}

fn set_credentials(
    connection: &Connection,
    name: &str,
    health: &CredentialHealth,
) -> rusqlite::Result<()> {
    if *health == CredentialHealth::default() {
        connection
            .prepare_cached("DELETE FROM credentials WHERE name = ?1")?
            .execute([name])?;
        return Ok(());
    }
    let rest = health.rest.as_ref();
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO credentials (name, refused, rest_since_ms, rest_until_ms)
         VALUES (?1, ?2, ?3, ?4)",
    )?;
    statement.execute(params![
        name,
        health.refused,
        rest.map(|period| ms(period.since)),
        rest.map(|period| ms(period.until))
    ])?;
    Ok(())
}

pub(super) fn add_incident(connection: &Connection, incident: &Incident) -> rusqlite::Result<()> {
    let device = incident.device.as_ref();
    let device = device
        .map(|device| device_id(connection, device))
        .transpose()?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO incidents (at_ms, device, kind, message) VALUES (?1, ?2, ?3, ?4)",
    )?;
    statement.execute(params![
        ms(incident.at),
        device,
        incident.kind,
        incident.message
    ])?;
    Ok(())
}
