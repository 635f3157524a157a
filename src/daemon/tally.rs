//! What happened within the last hour, in one line: runs are many and small when devices are spread
//! over their period.

use crate::model::report::{Counts, RunReport};
use std::time::Duration;
use tokio::time::Instant;

/// How often it is told.
const EVERY: Duration = Duration::from_secs(3600);

/// Adds runs up until they are told.
pub(super) struct Tally {
    since: Instant,
    counts: Counts,
    runs: u64,
    overruns: usize,
}

impl Tally {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            counts: Counts::default(),
            runs: 0,
            overruns: 0,
        }
    }

    /// When it is to be told.
    pub(super) fn due(&self) -> Instant {
        self.since + EVERY
    }

    pub(super) fn add(&mut self, report: &RunReport) {
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

    /// Tells the hour and begins another one.
    pub(super) fn tell(&mut self, now: Instant) {
        log::info!("{}", self.line());
        *self = Self::new(now);
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
