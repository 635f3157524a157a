//! What is different between two readings of the settings, and from when on it counts.

use super::values::{ArchiveSettings, Record, Redact, Run, Settings, Ssh, State};
use crate::flow::schedule::Schedule;
use std::fmt;

/// From when on a changed setting counts in a `wrmem run` that reads it anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// From now on.
    Now,
    /// Only after a restart.
    AfterRestart,
}

/// An overall setting that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// Its key.
    pub key: &'static str,
    /// From when on.
    pub counts: Counts,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key)
    }
}

/// A key, from when on it counts, and whether it is different.
type Compared = (&'static str, Counts, bool);

use Counts::{AfterRestart, Now};

// Each section is taken apart, so that no new setting can be forgotten here.

fn run(old: &Run, new: &Run) -> Vec<Compared> {
    let Run {
        in_flight,
        logins,
        save,
        save_written: _,
        save_order,
        save_confirm,
        schedule,
        grace,
        attempts,
        backoff_base,
        backoff_cap,
    } = old;
    let Schedule {
        cadence,
        window,
        finish_within,
        zone,
    } = schedule;
    let new_schedule = &new.schedule;
    vec![
        ("run.in_flight", Now, *in_flight != new.in_flight),
        ("run.logins_per_second", Now, *logins != new.logins),
        ("run.save", Now, *save != new.save),
        ("run.save_order", Now, *save_order != new.save_order),
        ("run.save_confirm", Now, *save_confirm != new.save_confirm),
        ("run.every or cron", Now, *cadence != new_schedule.cadence),
        ("run.between", Now, *window != new_schedule.window),
        ("run.time_zone", Now, *zone != new_schedule.zone),
        (
            "run.finish_within",
            Now,
            *finish_within != new_schedule.finish_within,
        ),
        ("run.grace", Now, *grace != new.grace),
        ("run.attempts", Now, *attempts != new.attempts),
        (
            "run.backoff_base",
            AfterRestart,
            *backoff_base != new.backoff_base,
        ),
        (
            "run.backoff_cap",
            AfterRestart,
            *backoff_cap != new.backoff_cap,
        ),
    ]
}

fn ssh(old: &Ssh, new: &Ssh) -> Vec<Compared> {
    let Ssh {
        algorithms,
        host_keys,
        known_hosts,
        known_hosts_extra,
        egress,
    } = old;
    vec![
        ("ssh.algorithms", Now, *algorithms != new.algorithms),
        ("ssh.host_keys", AfterRestart, *host_keys != new.host_keys),
        (
            "ssh.known_hosts",
            AfterRestart,
            *known_hosts != new.known_hosts,
        ),
        (
            "ssh.known_hosts_extra",
            AfterRestart,
            *known_hosts_extra != new.known_hosts_extra,
        ),
        ("ssh.source or interface", Now, *egress != new.egress),
    ]
}

fn archive(old: &ArchiveSettings, new: &ArchiveSettings) -> Vec<Compared> {
    let ArchiveSettings {
        kinds,
        dir,
        layout,
        mode,
        git_dir,
        commit_every,
        secrets,
    } = old;
    vec![
        ("archive.kinds", AfterRestart, *kinds != new.kinds),
        ("archive.dir", AfterRestart, *dir != new.dir),
        ("archive.layout", AfterRestart, *layout != new.layout),
        ("archive.mode", AfterRestart, *mode != new.mode),
        ("archive.git_dir", AfterRestart, *git_dir != new.git_dir),
        (
            "archive.commit_every",
            AfterRestart,
            *commit_every != new.commit_every,
        ),
        ("archive.redact", AfterRestart, *secrets != new.secrets),
    ]
}

fn state(old: &State, new: &State) -> Vec<Compared> {
    let State {
        dir,
        keep,
        keep_outcomes,
        keep_incidents,
    } = old;
    vec![
        ("state.dir", AfterRestart, *dir != new.dir),
        ("state.keep", AfterRestart, *keep != new.keep),
        (
            "state.keep_outcomes",
            AfterRestart,
            *keep_outcomes != new.keep_outcomes,
        ),
        (
            "state.keep_incidents",
            AfterRestart,
            *keep_incidents != new.keep_incidents,
        ),
    ]
}

fn record(old: &Record, new: &Record) -> Vec<Compared> {
    let Record {
        sessions,
        dir,
        newest,
        max_bytes,
    } = old;
    vec![
        ("record.sessions", AfterRestart, *sessions != new.sessions),
        ("record.dir", AfterRestart, *dir != new.dir),
        ("record.newest", AfterRestart, *newest != new.newest),
        ("record.max_mb", AfterRestart, *max_bytes != new.max_bytes),
    ]
}

impl Settings {
    /// The overall settings that are different in `new`.
    #[must_use]
    pub fn changes_to(&self, new: &Self) -> Vec<Changed> {
        let Self {
            run: old_run,
            ssh: old_ssh,
            archive: old_archive,
            state: old_state,
            breaker,
            deadlines,
            limits,
            redact: Redact { extra },
            record: old_record,
        } = self;
        let mut compared = run(old_run, &new.run);
        compared.extend(ssh(old_ssh, &new.ssh));
        compared.extend(archive(old_archive, &new.archive));
        compared.extend(state(old_state, &new.state));
        compared.push(("breaker", AfterRestart, *breaker != new.breaker));
        compared.push(("deadlines", Now, *deadlines != new.deadlines));
        compared.push(("limits", Now, *limits != new.limits));
        compared.push(("redact.extra", Now, *extra != new.redact.extra));
        compared.extend(record(old_record, &new.record));
        compared
            .into_iter()
            .filter(|(.., is_different)| *is_different)
            .map(|(key, counts, _)| Changed { key, counts })
            .collect()
    }
}
