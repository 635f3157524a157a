//! One set of devices: who is in flight, how closely they follow each other, who waits for room.

use super::Standing;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// So much later than its moment a device may begin without the next one being put off: timers
/// are coarse, and a rate that is asked for should be reached.
const CATCH_UP: Duration = Duration::from_millis(100);

/// How closely members may follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As closely as there is room.
    Free,
    /// One in each interval.
    Every {
        /// The interval.
        interval: Duration,
        /// When the next one is due; `None` before the first.
        next: Option<Instant>,
    },
    /// So that those that wait are spread evenly until a moment.
    Spread {
        /// The moment.
        until: Instant,
        /// When the last one began; `None` before the first.
        last: Option<Instant>,
    },
}

impl Pace {
    /// One in each `interval`.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self::Every {
            interval,
            next: None,
        }
    }

    /// Spread evenly until `until`.
    #[must_use]
    pub const fn spread(until: Instant) -> Self {
        Self::Spread { until, last: None }
    }

    /// The pace `new`, going on from where this one is.
    pub(super) const fn becoming(self, new: Self) -> Self {
        match (self, new) {
            (Self::Every { next, .. }, Self::Every { interval, .. }) => {
                Self::Every { interval, next }
            }
            _ => new,
        }
    }

    /// When the next of `waiting` members may begin; `None` is at once.
    fn due(self, waiting: usize) -> Option<Instant> {
        match self {
            Self::Free => None,
            Self::Every { next, .. } => next,
            Self::Spread { until, last } => last.map(|last| {
                let shares = u32::try_from(waiting).unwrap_or(u32::MAX).saturating_add(1);
                last + until.saturating_duration_since(last) / shares
            }),
        }
    }

    fn take(&mut self, now: Instant) {
        match self {
            Self::Free => {}
            Self::Every { interval, next } => {
                let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
                *next = Some(next.map_or(now, |due| due.max(earliest)) + *interval);
            }
            Self::Spread { last, .. } => *last = Some(now),
        }
    }

    /// `times` logins were made where one had been counted.
    pub(super) fn correct(&mut self, times: u32) {
        let Self::Every {
            interval,
            next: Some(next),
        } = self
        else {
            return;
        };
        match times.checked_sub(1) {
            Some(more) => *next += *interval * more,
            None => *next = next.checked_sub(*interval).unwrap_or(*next),
        }
    }
}

/// Whether one more member may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// When one that is in flight has ended.
    Full,
    /// From this moment on.
    Later(Instant),
}

pub(super) struct Set {
    pub(super) most: Option<usize>,
    pub(super) in_flight: usize,
    pub(super) pace: Pace,
    /// Members that wait, here or anywhere.
    pub(super) waiting: usize,
    /// Classes that wait for room in this set.
    pub(super) parked: BTreeSet<Standing>,
    /// When this set is looked at again.
    pub(super) timer: Option<Instant>,
}

impl Set {
    pub(super) const fn new(most: Option<usize>, pace: Pace) -> Self {
        Self {
            most,
            in_flight: 0,
            pace,
            waiting: 0,
            parked: BTreeSet::new(),
            timer: None,
        }
    }

    pub(super) fn room(&self, now: Instant) -> Room {
        if self.most.is_some_and(|most| self.in_flight >= most) {
            return Room::Full;
        }
        match self.pace.due(self.waiting) {
            Some(due) if due > now => Room::Later(due),
            _ => Room::Free,
        }
    }

    pub(super) fn take(&mut self, now: Instant) {
        self.in_flight += 1;
        self.waiting = self.waiting.saturating_sub(1);
        self.pace.take(now);
    }
}
