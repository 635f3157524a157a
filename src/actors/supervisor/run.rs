//! One run and its results.

use crate::actors::messages::{EndRun, StartRun, Tell};
use crate::flow::Work;
use crate::flow::breaker::Asked;
use crate::flow::pacing::{RunSets, Turn};
use crate::model::device::{Device, DeviceName, Saving};
use crate::model::event::Event;
use crate::model::forecast::Forecast;
use crate::model::report::{DeviceReport, Mode, RunReport};
use crate::session::LoginGate;
use actix::Recipient;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long the archive may take for the commit at a run's end; a disk that hangs must not keep the
/// report back.
const COMMIT_WITHIN: Duration = Duration::from_secs(120);

/// Tells runs apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RunId(pub(super) u64);

/// A run under way.
pub(super) struct Run {
    pub(super) started: Instant,
    pub(super) work: Work,
    pub(super) mode: Mode,
    pub(super) asked: Asked,
    limit: usize,
    pub(super) sets: RunSets,
    forecast: Forecast,
    pub(super) gate: Arc<dyn LoginGate>,
    pub(super) in_flight: usize,
    in_flight_max: usize,
    /// Devices that are not finished.
    pub(super) left: usize,
    pub(super) busy: Vec<DeviceName>,
    pub(super) abandoned: usize,
    pub(super) listeners: Listeners,
    pub(super) turn: Turn,
    finished: Vec<DeviceReport>,
    reply: oneshot::Sender<RunReport>,
}

/// Who is told of a run besides the collector, and when it began.
#[derive(Clone)]
pub(super) struct Listeners {
    pub(super) run: SystemTime,
    pub(super) told: Option<Recipient<Tell>>,
}

/// How a run began.
pub(super) struct Begun {
    pub(super) now: Instant,
    pub(super) at: SystemTime,
    pub(super) sets: RunSets,
    pub(super) forecast: Forecast,
    pub(super) gate: Arc<dyn LoginGate>,
    pub(super) told: Option<Recipient<Tell>>,
    pub(super) turn: Turn,
    pub(super) reply: oneshot::Sender<RunReport>,
}

impl Run {
    pub(super) fn new(start: &StartRun, begun: Begun) -> Self {
        Self {
            started: begun.now,
            work: start.work,
            mode: start.mode,
            asked: start.asked.clone(),
            limit: match start.mode {
                Mode::Sequential => 1,
                Mode::Concurrent => start.in_flight.max(1),
            },
            sets: begun.sets,
            forecast: begun.forecast,
            gate: begun.gate,
            in_flight: 0,
            in_flight_max: 0,
            left: 0,
            busy: Vec::new(),
            abandoned: 0,
            listeners: Listeners {
                run: begun.at,
                told: begun.told,
            },
            turn: begun.turn,
            finished: Vec::new(),
            reply: begun.reply,
        }
    }

    /// So many devices are to come to an end in it.
    pub(super) fn expects(&mut self, devices: usize) {
        self.left = devices;
        self.finished.reserve_exact(devices);
    }

    pub(super) fn started_event(&self, devices: &[Arc<Device>]) -> Event {
        let count = |wanted: &[Saving]| match self.work {
            Work::Login => 0,
            Work::Backup => devices
                .iter()
                .filter(|device| wanted.contains(&device.saving()))
                .count(),
        };
        Event::RunStarted {
            devices: self.left,
            saves: count(&[Saving::Before, Saving::After]),
            may_save: count(&[Saving::IfNeeded]),
            in_flight_limit: self.limit,
            mode: self.mode,
            forecast: self.forecast.clone(),
        }
    }

    /// Whether what comes of it is remembered: a run without devices and a mere look at logins is not.
    pub(super) fn is_remembered(&self) -> bool {
        self.work == Work::Backup && self.left + self.finished.len() > 0
    }

    pub(super) fn slot_taken(&mut self) {
        self.in_flight += 1;
        self.in_flight_max = self.in_flight_max.max(self.in_flight);
    }

    pub(super) fn slot_given_back(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn finished(&mut self, report: DeviceReport) {
        self.left = self.left.saturating_sub(1);
        self.finished.push(report);
    }

    /// Whether there may be something to commit.
    pub(super) fn stores(&self) -> bool {
        self.work == Work::Backup
    }

    /// Ends the run: the report, without what it became in the archive, and where it is awaited.
    pub(super) fn into_report(self, now: Instant) -> (RunReport, oneshot::Sender<RunReport>) {
        let report = RunReport {
            started_at: self.listeners.run,
            mode: self.mode,
            in_flight_limit: self.limit,
            in_flight_max: self.in_flight_max,
            wall: now.saturating_duration_since(self.started),
            devices: self.finished,
            busy: self.busy,
            abandoned_threads: self.abandoned,
            forecast: self.forecast,
            commits: Vec::new(),
            archive_trouble: None,
        };
        (report, self.reply)
    }
}

/// Has the archive make versions of what the run brought, and puts into its report what became of it.
pub(super) async fn commit(archivist: Recipient<EndRun>, report: &mut RunReport) {
    let trouble = match timeout(COMMIT_WITHIN, archivist.send(EndRun)).await {
        Ok(Ok(Ok(commits))) => {
            report.commits = commits;
            return;
        }
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(lost)) => format!("the archivist was lost ({lost}); please report this as a bug"),
        Err(_) => format!(
            "no commit within {} s; look at the disk of the archive. What was stored is kept and \
             becomes a version with the next run",
            COMMIT_WITHIN.as_secs()
        ),
    };
    report.archive_trouble = Some(trouble);
}
