//! How it goes: what the log is told of each run and each hour, and the service manager of it all.

use super::reload::listed;
use crate::actors::messages::{ScheduleStatus, Status};
use crate::model::device::DeviceName;
use crate::model::report::{Counts, Outcome, RunReport};
use crate::report::records::moment;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How often what happened is told in one line: runs are many and small when devices are spread over
/// their period.
const HOUR: Duration = Duration::from_secs(3600);

/// What is known of how it goes.
pub(super) struct Standing {
    hour_began: Instant,
    hour: Tally,
    /// Devices whose last backup did not go well.
    failing: BTreeSet<DeviceName>,
    bad_settings: Option<Bad>,
    needs_restart: Vec<&'static str>,
}

/// Settings that were refused.
struct Bad {
    since: SystemTime,
    why: String,
}

/// Runs added up.
#[derive(Default)]
struct Tally {
    counts: Counts,
    runs: u64,
    overruns: usize,
}

impl Standing {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            hour_began: now,
            hour: Tally::default(),
            failing: BTreeSet::new(),
            bad_settings: None,
            needs_restart: Vec::new(),
        }
    }

    /// Tells how a run ended.
    pub(super) fn run_over(&mut self, report: &RunReport) {
        tell(report);
        self.hour.add(report);
        for device in &report.devices {
            match device.outcome {
                Outcome::Ok => {
                    self.failing.remove(&device.name);
                }
                Outcome::NotSaved(_) | Outcome::Failed(_) => {
                    self.failing.insert(device.name.clone());
                }
                Outcome::Cancelled(_) => {}
            }
        }
    }

    /// Forgets devices that are not there any more.
    pub(super) fn keep_only<'a>(&mut self, devices: impl Iterator<Item = &'a DeviceName>) {
        let devices: BTreeSet<_> = devices.collect();
        self.failing.retain(|name| devices.contains(name));
    }

    /// The settings that are there now are not those that count.
    pub(super) fn settings_are_bad(&mut self, why: &str) {
        let since = self
            .bad_settings
            .take()
            .map_or_else(SystemTime::now, |bad| bad.since);
        self.bad_settings = Some(Bad {
            since,
            why: why.to_owned(),
        });
    }

    /// The settings that are there now are those that count.
    pub(super) fn settings_are_good(&mut self) {
        self.bad_settings = None;
    }

    /// Settings that count only after a restart.
    pub(super) fn wait_for_restart(&mut self, keys: Vec<&'static str>) {
        self.needs_restart = keys;
    }

    /// Tells the hour, if it is over.
    pub(super) fn tell_hour(&mut self, now: Instant) {
        if now.duration_since(self.hour_began) < HOUR {
            return;
        }
        log::info!("{}", self.hour.line());
        if let Some(bad) = &self.bad_settings {
            log::error!("{}", bad.line());
        }
        self.hour_began = now;
        self.hour = Tally::default();
    }

    /// It all in one line.
    pub(super) fn line(&self, schedule: &ScheduleStatus, runs: &Status) -> String {
        let mut parts = vec![format!("{} devices", schedule.devices)];
        if !self.failing.is_empty() {
            parts.push(format!("{} failing", self.failing.len()));
        }
        if runs.in_flight + runs.queued + runs.in_backoff > 0 {
            parts.push(format!(
                "{} in flight, {} waiting",
                runs.in_flight,
                runs.queued + runs.in_backoff
            ));
        }
        match schedule.next {
            Some(next) => parts.push(format!("next turn at {next:.0}")),
            None => parts.push("no turn ahead".to_owned()),
        }
        if let Some(bad) = &self.bad_settings {
            parts.push(bad.line());
        }
        if !self.needs_restart.is_empty() {
            parts.push(format!(
                "waits for a restart: {}",
                self.needs_restart.join(", ")
            ));
        }
        parts.join("; ")
    }
}

impl Bad {
    fn line(&self) -> String {
        let since = Timestamp::try_from(self.since).unwrap_or(Timestamp::UNIX_EPOCH);
        let first = self.why.lines().next().unwrap_or_default();
        format!("the settings files are BAD since {since:.0} and do not count: {first}")
    }
}

impl Tally {
    fn add(&mut self, report: &RunReport) {
        let run = report.counts();
        let all = &mut self.counts;
        all.total += run.total;
        all.succeeded += run.succeeded;
        all.not_saved += run.not_saved;
        all.failed += run.failed;
        all.cancelled += run.cancelled;
        all.new += run.new;
        all.changed += run.changed;
        all.unchanged += run.unchanged;
        self.runs += 1;
        self.overruns += report.busy.len();
    }

    fn line(&self) -> String {
        let counts = &self.counts;
        format!(
            "the last hour: {} backups in {} runs: {} ok, {} not saved, {} failed, {} cancelled, {} \
             skipped as still busy; configs: {} new, {} changed, {} unchanged",
            counts.total,
            self.runs,
            counts.succeeded,
            counts.not_saved,
            counts.failed,
            counts.cancelled,
            self.overruns,
            counts.new,
            counts.changed,
            counts.unchanged
        )
    }
}

fn tell(report: &RunReport) {
    let counts = report.counts();
    if counts.total > 0 {
        let run = moment(report.started_at);
        log::info!(
            run = run.as_str(), ok = counts.succeeded, not_saved = counts.not_saved,
            failed = counts.failed, cancelled = counts.cancelled, new = counts.new,
            changed = counts.changed, seconds = report.wall.as_secs_f64();
            "run over in {:.3} s: {} ok, {} not saved, {} failed, {} cancelled; {} new, {} changed",
            report.wall.as_secs_f64(),
            counts.succeeded,
            counts.not_saved,
            counts.failed,
            counts.cancelled,
            counts.new,
            counts.changed
        );
    }
    if !report.busy.is_empty() {
        log::warn!(
            "{} devices skipped their turn, being still busy with the one before: {}; give them more \
             time from turn to turn (every, cron), or look why they are slow",
            report.busy.len(),
            listed(&report.busy)
        );
    }
}
