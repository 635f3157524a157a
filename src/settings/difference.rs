//! What is different between two readings of the settings, and from when on it counts.

use super::values::{ArchiveSettings, Run, Settings, Ssh, State};
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

impl Settings {
    /// The overall settings that are different in `new`.
    #[must_use]
    pub fn changes_to(&self, new: &Self) -> Vec<Changed> {
        use Counts::{AfterRestart, Now};
        // Taken apart, so that no new setting can be forgotten here.
        let Self {
            run,
            ssh,
            archive,
            state: State { dir },
            deadlines,
        } = self;
        let Run {
            in_flight,
            save,
            save_written: _,
            schedule,
            grace,
            attempts,
            backoff_base,
            backoff_cap,
        } = run;
        let Ssh {
            algorithms,
            host_keys,
            known_hosts,
        } = ssh;
        let ArchiveSettings {
            kinds,
            dir: archive_dir,
            layout,
            mode,
        } = archive;
        [
            ("run.in_flight", Now, *in_flight != new.run.in_flight),
            ("run.save", Now, *save != new.run.save),
            (
                "run.every or cron",
                Now,
                schedule.cadence != new.run.schedule.cadence,
            ),
            (
                "run.between",
                Now,
                schedule.window != new.run.schedule.window,
            ),
            ("run.time_zone", Now, schedule.zone != new.run.schedule.zone),
            (
                "run.finish_within",
                Now,
                schedule.finish_within != new.run.schedule.finish_within,
            ),
            ("run.grace", Now, *grace != new.run.grace),
            ("run.attempts", Now, *attempts != new.run.attempts),
            (
                "run.backoff_base",
                AfterRestart,
                *backoff_base != new.run.backoff_base,
            ),
            (
                "run.backoff_cap",
                AfterRestart,
                *backoff_cap != new.run.backoff_cap,
            ),
            ("ssh.algorithms", Now, *algorithms != new.ssh.algorithms),
            (
                "ssh.host_keys",
                AfterRestart,
                *host_keys != new.ssh.host_keys,
            ),
            (
                "ssh.known_hosts",
                AfterRestart,
                *known_hosts != new.ssh.known_hosts,
            ),
            ("archive.kinds", AfterRestart, *kinds != new.archive.kinds),
            ("archive.dir", AfterRestart, *archive_dir != new.archive.dir),
            (
                "archive.layout",
                AfterRestart,
                *layout != new.archive.layout,
            ),
            ("archive.mode", AfterRestart, *mode != new.archive.mode),
            ("state.dir", AfterRestart, *dir != new.state.dir),
            ("deadlines", Now, *deadlines != new.deadlines),
        ]
        .into_iter()
        .filter(|(.., is_different)| *is_different)
        .map(|(key, counts, _)| Changed { key, counts })
        .collect()
    }
}
