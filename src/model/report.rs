//! What a run leaves behind: one entry per device and the totals.

use super::config::Proof;
use super::device::DeviceName;
use super::failure::{Failure, FailureKind};
use super::forecast::Forecast;
use super::save::SaveReport;
use super::stage::{Algorithms, Stage, StepTime};
use super::version::ObjectId;
use std::fmt;
use std::time::{Duration, SystemTime};

/// How the devices of a run were taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Up to the admission limit at once.
    Concurrent,
    /// One after the other.
    Sequential,
}

impl Mode {
    /// Its word in the report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Concurrent => "concurrent",
            Self::Sequential => "sequential",
        }
    }
}

/// What the archive did with a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredKind {
    /// There was none before.
    New,
    /// It replaced a different one.
    Changed,
    /// It is the one that is already there; nothing was written.
    Unchanged,
}

impl StoredKind {
    /// Its word in the report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

/// How many lines a config gained and lost; a line that changed counts as both. Volatile lines do
/// not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lines {
    /// Lines that were not there before.
    pub added: u64,
    /// Lines that are not there any more.
    pub removed: u64,
}

impl fmt::Display for Lines {
    /// `+3 -1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{} -{}", self.added, self.removed)
    }
}

/// What the archive holds for a device after a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What was done.
    pub kind: StoredKind,
    /// How much it differs from what it replaced, where it replaced something.
    pub lines: Option<Lines>,
    /// The size of the config in bytes.
    pub bytes: u64,
    /// SHA-256 of the stored config.
    pub sha256: [u8; 32],
    /// What the operator should know though the config is stored.
    pub notes: Vec<String>,
}

/// How a device ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Backed up, and saved where asked.
    Ok,
    /// Backed up, but the device did not save.
    NotSaved(Failure),
    /// Not backed up.
    Failed(Failure),
    /// Not finished because the run was interrupted.
    Cancelled(Failure),
}

impl Outcome {
    /// Its word in the report.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotSaved(_) => "not_saved",
            Self::Failed(_) => "failed",
            Self::Cancelled(_) => "cancelled",
        }
    }

    /// Why it is not simply ok.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Ok => None,
            Self::NotSaved(failure) | Self::Failed(failure) | Self::Cancelled(failure) => {
                Some(failure)
            }
        }
    }
}

/// How one stage of one attempt went. Offsets count from the start of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageTime {
    /// Which stage.
    pub stage: Stage,
    /// When it began.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
    /// The timed steps within it.
    pub steps: Vec<StepTime>,
}

/// One try at one device. Offsets count from the start of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptReport {
    /// When the device got its slot.
    pub began: Duration,
    /// When the slot was given back.
    pub ended: Duration,
    /// Its stages in order.
    pub stages: Vec<StageTime>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// Everything known about one device after a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReport {
    /// Its name.
    pub name: DeviceName,
    /// Its host as configured.
    pub host: String,
    /// Its platform's name.
    pub platform: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What the archive did, where the write stage succeeded.
    pub stored: Option<Stored>,
    /// What proved the config that was read whole; `None` where none was.
    pub proof: Option<Proof>,
    /// How saving ended; `None` where it was not asked for or not come to.
    pub save: Option<SaveReport>,
    /// Whether it had unsaved changes when its config was read; `None` where it does not tell.
    pub unsaved: Option<bool>,
    /// Every attempt in order; empty where none was made.
    pub attempts: Vec<AttemptReport>,
    /// Time spent in the queue and in backoff.
    pub waited: Duration,
    /// When the device was finished, as an offset from the start of the run.
    pub finished: Duration,
    /// The algorithms of its last connection.
    pub algorithms: Option<Algorithms>,
    /// The name of the credentials that let us in last.
    pub credentials: Option<String>,
    /// What the operator should know.
    pub notes: Vec<String>,
}

impl DeviceReport {
    /// The time of all attempts together.
    #[must_use]
    pub fn busy(&self) -> Duration {
        self.attempts
            .iter()
            .map(|attempt| attempt.ended.saturating_sub(attempt.began))
            .sum()
    }

    /// The stages of the last attempt.
    #[must_use]
    pub fn last_stages(&self) -> &[StageTime] {
        self.attempts
            .last()
            .map_or(&[], |attempt| attempt.stages.as_slice())
    }
}

/// How many devices ended in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All devices of the run.
    pub total: usize,
    /// Outcome ok.
    pub succeeded: usize,
    /// Outcome `not_saved`.
    pub not_saved: usize,
    /// Outcome failed.
    pub failed: usize,
    /// Outcome cancelled.
    pub cancelled: usize,
    /// Configs stored for the first time.
    pub new: usize,
    /// Configs that replaced a different one.
    pub changed: usize,
    /// Configs found unchanged.
    pub unchanged: usize,
}

/// The result of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// Wall clock time of the start.
    pub started_at: SystemTime,
    /// One by one or all at once.
    pub mode: Mode,
    /// The admission limit in force.
    pub in_flight_limit: usize,
    /// The most devices that were in flight at one time.
    pub in_flight_max: usize,
    /// From the start of the run to its end.
    pub wall: Duration,
    /// Every device, in order of completion.
    pub devices: Vec<DeviceReport>,
    /// Devices left out because an earlier run still had them.
    pub busy: Vec<DeviceName>,
    /// Device threads that did not come back in time and were left behind.
    pub abandoned_threads: usize,
    /// What was expected of it.
    pub forecast: Forecast,
    /// The commits that the run became, in their order, where the archive keeps versions.
    pub commits: Vec<ObjectId>,
    /// Why something that was stored has not become a version.
    pub archive_trouble: Option<String>,
}

/// How a run went, as far as an exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every device went well.
    Good,
    /// Some device did not.
    Devices,
    /// The archive could not be written, which weighs more.
    Archive,
}

impl RunReport {
    /// How it went.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let failures = || {
            self.devices
                .iter()
                .filter_map(|device| device.outcome.failure())
        };
        let unwritten = |failure: &Failure| failure.kind == FailureKind::Archive;
        if self.archive_trouble.is_some() || failures().any(unwritten) {
            Verdict::Archive
        } else if failures().next().is_some() {
            Verdict::Devices
        } else {
            Verdict::Good
        }
    }

    /// Counts the outcomes.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            total: self.devices.len(),
            ..Counts::default()
        };
        for device in &self.devices {
            match device.outcome {
                Outcome::Ok => counts.succeeded += 1,
                Outcome::NotSaved(_) => counts.not_saved += 1,
                Outcome::Failed(_) => counts.failed += 1,
                Outcome::Cancelled(_) => counts.cancelled += 1,
            }
            match device.stored.as_ref().map(|stored| stored.kind) {
                Some(StoredKind::New) => counts.new += 1,
                Some(StoredKind::Changed) => counts.changed += 1,
                Some(StoredKind::Unchanged) => counts.unchanged += 1,
                None => {}
            }
        }
        counts
    }

    /// The time of all attempts of all devices together.
    #[must_use]
    pub fn device_time(&self) -> Duration {
        self.devices.iter().map(DeviceReport::busy).sum()
    }

    /// Device time over wall time: how many devices were worked on at once on average.
    #[must_use]
    pub fn overlap(&self) -> f64 {
        let wall = self.wall.as_secs_f64();
        if wall > 0.0 {
            self.device_time().as_secs_f64() / wall
        } else {
            0.0
        }
    }
}
