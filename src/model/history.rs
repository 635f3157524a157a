//! What is remembered of runs that are over, and of how each device stands.

use super::device::DeviceName;
use super::failure::Failure;
use super::health::Health;
use super::report::{Counts, Mode, Outcome, Stored};
use std::fmt;
use std::time::{Duration, SystemTime};

/// The number of a run in the state; later runs have higher ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunNumber(pub i64);

impl fmt::Display for RunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What set a run off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// `wrmem backup`.
    Command,
    /// The schedule of `wrmem run`.
    Schedule,
}

impl Trigger {
    /// All triggers.
    pub const ALL: [Self; 2] = [Self::Command, Self::Schedule];

    /// Its word in the state and in what is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Schedule => "schedule",
        }
    }
}

/// A run as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// Its number.
    pub number: RunNumber,
    /// When it began.
    pub started: SystemTime,
    /// How it came to its end.
    pub end: RunEnd,
    /// One by one or all at once.
    pub mode: Mode,
    /// What set it off.
    pub trigger: Trigger,
    /// How its devices ended, as far as they did.
    pub counts: Counts,
}

/// How a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// It has not yet.
    UnderWay,
    /// In order, after this time.
    After(Duration),
    /// Its process was gone before.
    BrokenOff,
}

/// How one device ended in one run, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastOutcome {
    /// Which run.
    pub run: RunNumber,
    /// Which device.
    pub device: DeviceName,
    /// When it ended.
    pub ended: SystemTime,
    /// How.
    pub outcome: Outcome,
    /// What the archive did, where the write stage succeeded.
    pub stored: Option<Stored>,
    /// The time of all its attempts.
    pub took: Duration,
    /// How many attempts were made; 0 where it was not tried.
    pub attempts: u32,
}

/// When a device is due, and when that was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When it is due.
    pub at: SystemTime,
    /// When that was decided.
    pub decided: SystemTime,
}

impl Due {
    /// When it is due as seen from `now`: a clock that was set back does not put it off by more
    /// than was decided.
    #[must_use]
    pub fn seen_from(&self, now: SystemTime) -> SystemTime {
        if now >= self.decided {
            return self.at;
        }
        let wait = self.at.duration_since(self.decided).unwrap_or_default();
        now.checked_add(wait).unwrap_or(now)
    }
}

/// How a device stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// Its name.
    pub name: DeviceName,
    /// When and how it last ended, cancelled runs left out.
    pub last: Option<LastOutcome>,
    /// When its config was last read, proven whole and stored or found unchanged.
    pub good: Option<SystemTime>,
    /// Its last failure, which may be older than its last good backup.
    pub failed: Option<LastFailure>,
    /// Failed runs since its last good backup.
    pub failures: u32,
    /// How long its last good backup took.
    pub took: Option<Duration>,
    /// When it is due next.
    pub due: Option<Due>,
    /// Breaker, crashes, quarantine.
    pub health: Health,
}

impl DeviceState {
    /// A device of which nothing is known.
    #[must_use]
    pub fn unknown(name: DeviceName) -> Self {
        Self {
            name,
            last: None,
            good: None,
            failed: None,
            failures: 0,
            took: None,
            due: None,
            health: Health::default(),
        }
    }
}

/// When and how a device last ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastOutcome {
    /// In which run, where that could be recorded.
    pub run: Option<RunNumber>,
    /// When.
    pub ended: SystemTime,
    /// How.
    pub outcome: Outcome,
}

/// A failure and when it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
    /// When.
    pub ended: SystemTime,
    /// Why.
    pub failure: Failure,
}

/// Something worth remembering besides outcomes: a breaker that opened, a quarantine, a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// When.
    pub at: SystemTime,
    /// Which device it concerns.
    pub device: Option<DeviceName>,
    /// What kind, as one word.
    pub kind: String,
    /// What happened; never a secret.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_clock_that_was_set_back_puts_nothing_off() {
        let due = Due {
            at: at(10_000),
            decided: at(6_400),
        };
        assert_eq!(due.seen_from(at(6_400)), at(10_000));
        assert_eq!(due.seen_from(at(99_000)), at(10_000), "overdue stays so");
        assert_eq!(due.seen_from(at(100)), at(3_700), "an hour, as decided");
    }
}
