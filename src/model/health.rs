//! What is remembered of a device's trouble from run to run, so that it is neither tried without
//! end nor forgotten.
//!
//! The rules that change these are in `flow::breaker`.

use super::device::DeviceName;
use std::time::{Duration, SystemTime};

/// A time during which something is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// When it began.
    pub since: SystemTime,
    /// When it is over.
    pub until: SystemTime,
}

impl Period {
    /// From `since` on for `length`.
    #[must_use]
    pub fn new(since: SystemTime, length: Duration) -> Self {
        Self {
            since,
            until: since.checked_add(length).unwrap_or(since),
        }
    }

    /// How long it is.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.until.duration_since(self.since).unwrap_or_default()
    }

    /// When it is over as seen from `now`, `None` once it is. A clock that was set back does not
    /// make it longer: it then counts from `now`.
    #[must_use]
    pub fn ends(&self, now: SystemTime) -> Option<SystemTime> {
        if now < self.since {
            let length = self.length();
            return now.checked_add(length).filter(|_| !length.is_zero());
        }
        (now < self.until).then_some(self.until)
    }
}

/// Why a device is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestCause {
    /// It could not be reached in several runs in a row.
    Unreachable,
    /// It refused its credentials.
    Refused,
}

impl RestCause {
    /// Both causes.
    pub const ALL: [Self; 2] = [Self::Unreachable, Self::Refused];

    /// Its word in the state and in what is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
        }
    }
}

/// An open breaker: the device is left alone until the period is over, then tried once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Why.
    pub cause: RestCause,
    /// For how long.
    pub period: Period,
    /// The how manieth rest in a row it is, from 1; each failed try after one makes the next.
    pub number: u32,
}

/// What is remembered of one device's trouble. The default is that of a device without any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Runs in a row in which it could not be reached.
    pub unreachable: u32,
    /// Its breaker, where that is open.
    pub rest: Option<Rest>,
    /// Crashes of wrmem's own code while serving it, since it last went well.
    pub crashes: u32,
    /// When the last of them was.
    pub crashed: Option<SystemTime>,
    /// Its quarantine, where it crashed wrmem too often.
    pub quarantine: Option<Period>,
}

/// What is remembered of credentials that devices refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CredentialHealth {
    /// Devices that refused them since the last one that accepted them.
    pub refused: u32,
    /// How long they are not used, where they were refused too often.
    pub rest: Option<Period>,
}

/// A device that an operator wants tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// Which device.
    pub device: DeviceName,
    /// The name of its credentials, where it is known.
    pub credentials: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_period_is_over_when_it_is_over() {
        let period = Period::new(at(1000), Duration::from_secs(60));
        assert_eq!(period.ends(at(1000)), Some(at(1060)));
        assert_eq!(period.ends(at(1059)), Some(at(1060)));
        assert_eq!(period.ends(at(1060)), None);
        assert_eq!(period.ends(at(1_000_000)), None, "a jump ahead ends it");
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_make_it_longer() {
        let period = Period::new(at(100_000), Duration::from_secs(60));
        assert_eq!(period.ends(at(10)), Some(at(70)));
        let none = Period::new(at(100_000), Duration::ZERO);
        assert_eq!(none.ends(at(10)), None);
    }
}
