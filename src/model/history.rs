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

    /// How long ago its last good backup was, as seen from `now`.
    #[must_use]
    pub fn good_age(&self, now: SystemTime) -> GoodAge {
        let Some(good) = self.good else {
            return GoodAge::Never;
        };
        match now.duration_since(good) {
            Ok(age) => GoodAge::Known(age),
            Err(ahead) if ahead.duration() <= AHEAD_MAX => GoodAge::Known(Duration::ZERO),
            Err(ahead) => GoodAge::Ahead(ahead.duration()),
        }
    }
}

/// How far ahead of the clock something may have happened without anybody wondering: clocks are put
/// right by a little all the time.
const AHEAD_MAX: Duration = Duration::from_secs(300);

/// How long ago the last good backup of a device was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoodAge {
    /// There was none.
    Never,
    /// It is so far ahead of the clock: the clock was wrong then or is now, so its age is not known.
    Ahead(Duration),
    /// So long.
    Known(Duration),
}

impl GoodAge {
    /// The age, where it is known.
    #[must_use]
    pub const fn known(self) -> Option<Duration> {
        match self {
            Self::Known(age) => Some(age),
            Self::Never | Self::Ahead(_) => None,
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

    #[test]
    fn a_good_backup_ahead_of_the_clock_is_of_no_known_age() {
        let state = DeviceState {
            good: Some(at(10_000)),
            ..DeviceState::unknown(DeviceName::new("csr1").unwrap())
        };
        let known = |seconds| GoodAge::Known(Duration::from_secs(seconds));
        assert_eq!(state.good_age(at(10_060)), known(60));
        assert_eq!(state.good_age(at(9_990)), known(0), "put right by a little");
        let ahead = GoodAge::Ahead(Duration::from_secs(9_000));
        assert_eq!(state.good_age(at(1_000)), ahead);
        assert_eq!(ahead.known(), None);
    }
}
