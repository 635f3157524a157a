//! Whether and when a device is tried again.

use crate::model::failure::FailureKind;
use std::time::Duration;

/// How often a device is tried in a run and how long is waited in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts at most, the first one included.
    pub attempts: u32,
    /// The longest wait before the second attempt; it doubles with each further one.
    pub base: Duration,
    /// The longest wait of all.
    pub cap: Duration,
}

impl RetryPolicy {
    /// How long to wait after attempt number `attempt` (from 1) failed with `kind`; `None` where
    /// there is no further attempt. The wait is between half of the backoff and all of it, so
    /// that devices that failed together do not come back together.
    #[must_use]
    pub fn next(
        &self,
        attempt: u32,
        kind: FailureKind,
        rng: &mut fastrand::Rng,
    ) -> Option<Duration> {
        if !kind.is_transient() || attempt >= self.attempts {
            return None;
        }
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let backoff = self.base.saturating_mul(doubled).min(self.cap);
        Some(backoff.mul_f64(rng.f64().mul_add(0.5, 0.5)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_cap_and_is_jittered_downwards_by_half_at_most() {
        let policy = RetryPolicy {
            attempts: 100,
            base: Duration::from_secs(2),
            cap: Duration::from_secs(60),
        };
        let mut rng = fastrand::Rng::with_seed(1);
        for attempt in 1..100 {
            let backoff = (2.0 * 2_f64.powi(attempt - 1)).min(60.0);
            let wait = policy
                .next(attempt.unsigned_abs(), FailureKind::Timeout, &mut rng)
                .unwrap()
                .as_secs_f64();
            assert!(
                wait >= backoff * 0.5 - 1e-6 && wait <= backoff + 1e-6,
                "{attempt}: {wait}"
            );
        }
    }

    #[test]
    fn the_last_attempt_is_the_last() {
        let policy = RetryPolicy {
            attempts: 1,
            base: Duration::from_secs(2),
            cap: Duration::from_secs(60),
        };
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(policy.next(1, FailureKind::Timeout, &mut rng), None);
    }
}
