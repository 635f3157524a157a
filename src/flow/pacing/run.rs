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
    one_by_one: Option<SetId>,
    // Only first tries are spread: further ones come after their backoff.
    spread: Option<SetId>,
}

impl<T> Pacer<T> {
    /// The sets of a run. `all` bounds all devices of all runs from now on; the first tries of
    /// this one are spread until the moment beside its mode, where there is one.
    pub fn open_run(
        &mut self,
        all: &LimitSet,
        (mode, spread): (Mode, Option<Instant>),
        now: Instant,
    ) -> RunSets {
        RunSets {
            all: self.named(all, now),
            one_by_one: match mode {
                Mode::Sequential => Some(self.open(Some(1), Pace::Free)),
                Mode::Concurrent => None,
            },
            spread: spread.map(|until| self.open(None, Pace::spread(until))),
        }
    }

    /// Queues a device of a run.
    pub fn enqueue(&mut self, item: T, device: &Device, place: (RunSets, Turn), now: Instant) {
        let (run, turn) = place;
        let mut sets = vec![run.all];
        sets.extend(run.one_by_one);
        sets.extend(run.spread.filter(|_| turn == Turn::First));
        for limit in &device.limits {
            sets.push(self.named(limit, now));
        }
        self.push(item, turn, &sets, now);
    }

    /// Forgets the sets of a run that is over.
    pub fn close_run(&mut self, run: RunSets) {
        for set in [run.one_by_one, run.spread].into_iter().flatten() {
            self.close(set);
        }
    }
}
