//! The sets that a device of a run is in.

use super::{Pace, Pacer, SetId, Turn};
use crate::model::device::Device;
use crate::model::limit::LimitSet;
use crate::model::report::Mode;
use std::time::Instant;

/// The sets of one run, besides those that outlive it.
#[derive(Debug, Clone, Copy)]
pub struct RunSets {
    all: SetId,
    // How many of its devices are in flight at once, where that is less than is allowed in all.
    own: Option<SetId>,
    // What all runs of the schedule share.
    scheduled: Option<SetId>,
    // Only first tries are spread: further ones come after their backoff.
    spread: Option<SetId>,
}

/// How a run is paced besides by the limits of its devices.
#[derive(Debug, Clone, Copy)]
pub struct RunPace {
    /// One by one or all at once.
    pub mode: Mode,
    /// At most so many of its devices are in flight at once.
    pub at_most: Option<usize>,
    /// Until when its first tries are spread.
    pub spread: Option<Instant>,
    /// Whether it is one of the schedule's.
    pub of_schedule: OfSchedule,
}

/// Whether a run is one of the schedule's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfSchedule {
    /// It is: some slots are not for it.
    Yes,
    /// Somebody waits for it.
    No,
}

/// The name of the set of all devices that the schedule has in flight. No set of the settings can
/// have it.
const SCHEDULED: &str = "\0scheduled";

/// How many of so many slots the schedule cannot take, so that whoever asks for a device does not
/// wait behind it.
#[must_use]
pub fn reserved(slots: usize) -> usize {
    match slots {
        0 | 1 => 0,
        _ => (slots / 10).clamp(1, 16),
    }
}

impl<T> Pacer<T> {
    /// The sets of a run. `all` bounds all devices of all runs from now on.
    pub fn open_run(&mut self, all: &LimitSet, pace: RunPace, now: Instant) -> RunSets {
        let own = match pace.mode {
            Mode::Sequential => Some(1),
            Mode::Concurrent => pace.at_most,
        };
        let all_id = self.bound_all(all, now);
        RunSets {
            all: all_id,
            own: own.map(|most| self.open(Some(most), Pace::Free)),
            scheduled: match pace.of_schedule {
                OfSchedule::Yes => Some(self.named(&of_schedule(all), now)),
                OfSchedule::No => None,
            },
            spread: pace
                .spread
                .map(|until| self.open(None, Pace::spread(until))),
        }
    }

    /// Bounds all devices of all runs from now on.
    pub fn bound_all(&mut self, all: &LimitSet, now: Instant) -> SetId {
        self.named(&of_schedule(all), now);
        self.named(all, now)
    }

    /// Queues a device of a run.
    pub fn enqueue(&mut self, item: T, device: &Device, place: (RunSets, Turn), now: Instant) {
        let (run, turn) = place;
        let mut sets = vec![run.all];
        sets.extend(run.own);
        sets.extend(run.scheduled);
        sets.extend(run.spread.filter(|_| turn != Turn::Again));
        for limit in &device.limits {
            sets.push(self.named(limit, now));
        }
        self.push(item, turn, &sets, now);
    }

    /// Forgets the sets of a run that is over.
    pub fn close_run(&mut self, run: RunSets) {
        for set in [run.own, run.spread].into_iter().flatten() {
            self.close(set);
        }
    }
}

/// What is left of the bound of all devices for those of the schedule.
fn of_schedule(all: &LimitSet) -> LimitSet {
    LimitSet {
        name: SCHEDULED.to_owned(),
        in_flight: all.in_flight.map(|slots| slots - reserved(slots)),
        logins: None,
    }
}
