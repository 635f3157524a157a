//! How long whom is left alone.

use crate::model::health::{Period, Rest, RestCause};
use std::time::{Duration, SystemTime};

/// How long devices and credentials are left alone, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// After how many runs in a row that could not reach a device its breaker opens; at least 1.
    pub unreachable_runs: u32,
    /// The first rest of a device that cannot be reached; it doubles with each failed try after one.
    pub rest: Duration,
    /// The longest such rest.
    pub rest_max: Duration,
    /// The rest after a refused login.
    pub refused_rest: Duration,
    /// After how many crashes of wrmem's own code a device is in quarantine; at least 1.
    pub crashes: u32,
    /// Crashes further apart than this do not add up.
    pub crash_window: Duration,
    /// How long a quarantine lasts.
    pub quarantine: Duration,
}

impl BreakerPolicy {
    pub(super) fn next_rest(&self, before: Option<Rest>, now: SystemTime) -> Rest {
        let number = before.map_or(1, |rest| rest.number.saturating_add(1));
        let doubled = 2_u32.saturating_pow(number.saturating_sub(1));
        let length = self.rest.saturating_mul(doubled).min(self.rest_max);
        Rest {
            cause: RestCause::Unreachable,
            period: Period::new(now, length),
            number,
        }
    }

    pub(super) fn refused(&self, before: Option<Rest>, now: SystemTime) -> Rest {
        let number = before
            .filter(|rest| rest.cause == RestCause::Refused)
            .map_or(1, |rest| rest.number.saturating_add(1));
        Rest {
            cause: RestCause::Refused,
            period: Period::new(now, self.refused_rest),
            number,
        }
    }
}
