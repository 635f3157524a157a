//! Which device is due when, over the whole inventory. Pure: the time is an argument.
//!
//! Each device has one next turn. A turn that passed while nobody looked (wrmem was down, the
//! machine slept, the clock was set) is caught up once: a few devices at once, a large fleet at
//! [`CATCH_UP_RATE`], a device by its next regular turn where that comes about as soon, and none
//! outside its window.

#[cfg(test)]
mod tests;

use super::schedule::{Schedule, Seat};
use crate::model::device::DeviceName;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How many devices per second are caught up, where they are more than a minute's worth.
pub const CATCH_UP_RATE: u32 = 5;

/// So many seconds of catching up are done in one go.
const AT_ONCE: Duration = Duration::from_secs(60);

/// A device whose regular turn comes within this (or a quarter of its period, if that is less) is not
/// caught up before it.
const SOON: SignedDuration = SignedDuration::from_secs(60);

/// A regular turn that is found later than this has been missed.
const LATE: SignedDuration = SignedDuration::from_secs(120);

/// A device's entry in the inventory, as far as the agenda cares.
#[derive(Debug, Clone)]
pub struct Appointment {
    /// The device.
    pub name: DeviceName,
    /// When it is due.
    pub schedule: Arc<Schedule>,
    /// Up to when its turns are done with: when it was last tried; `None` where it never was.
    pub done_until: Option<Timestamp>,
}

/// What was found to be missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missed {
    /// How many devices missed a turn.
    pub devices: usize,
    /// Within which time the last of them is caught up, regular turns aside.
    pub within: Duration,
}

/// The devices whose turn has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Turns {
    /// Those to be begun now, in the order in which they were due.
    pub devices: Vec<DeviceName>,
    /// Those found too late, which follow.
    pub missed: Missed,
}

/// Whether a turn is one of the schedule's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Regular,
    CatchUp,
}

struct Entry {
    schedule: Arc<Schedule>,
    seat: Seat,
    done_until: Option<Timestamp>,
    next: Option<(Timestamp, Kind)>,
}

impl Entry {
    /// How much later its regular turn may come than catching up would, to be good enough.
    fn about_as_soon(&self, regular: Option<Timestamp>) -> SignedDuration {
        let after = regular.and_then(|next| self.schedule.next_after(self.seat, next));
        let period = regular
            .zip(after)
            .map(|(one, next)| next.duration_since(one));
        period.map_or(SOON, |period| SOON.min(period / 4))
    }
}

/// The next turn of every device.
#[derive(Default)]
pub struct Agenda {
    entries: BTreeMap<DeviceName, Entry>,
    queue: BTreeSet<(Timestamp, DeviceName)>,
    moved: BTreeSet<DeviceName>,
}

impl Agenda {
    /// Takes the inventory as it is now. A device whose schedule is the same keeps its next turn;
    /// for one that is known already, what the agenda knows counts rather than `done_until`.
    pub fn set(&mut self, appointments: Vec<Appointment>, now: Timestamp) -> Missed {
        let mut before = std::mem::take(&mut self.entries);
        self.queue.clear();
        let mut to_plan = Vec::new();
        for appointment in appointments {
            let Appointment {
                name,
                schedule,
                done_until,
            } = appointment;
            let entry = match before.remove(&name) {
                Some(entry) if entry.schedule == schedule => entry,
                known => {
                    to_plan.push(name.clone());
                    Entry {
                        seat: Seat::of(&name),
                        // A time still to come is a clock that was set; it counts as now.
                        done_until: known
                            .map_or(done_until, |entry| entry.done_until)
                            .map(|done| done.min(now)),
                        schedule,
                        next: None,
                    }
                }
            };
            if let Some((at, _)) = entry.next {
                self.queue.insert((at, name.clone()));
            }
            self.entries.insert(name, entry);
        }
        self.plan(to_plan, now)
    }

    /// Takes out the devices that are due; each has its next turn after that.
    pub fn take_due(&mut self, now: Timestamp) -> Turns {
        let mut turns = Turns::default();
        let mut late = Vec::new();
        while let Some((at, name)) = self.queue.pop_first() {
            if at > now {
                self.queue.insert((at, name));
                break;
            }
            let Some(entry) = self.entries.get_mut(&name) else {
                continue;
            };
            let kind = entry.next.take().map(|(_, kind)| kind);
            if kind == Some(Kind::Regular) && now.duration_since(at) > LATE {
                late.push(name);
                continue;
            }
            entry.done_until = Some(now);
            let next = entry.schedule.next_after(entry.seat, now);
            self.put(&name, next, Kind::Regular);
            turns.devices.push(name);
        }
        turns.missed = self.plan(late, now);
        turns
    }

    /// The clock was set back to `now`: turns that the old time had put off come by the new one.
    pub fn clock_set_back(&mut self, now: Timestamp) {
        let names: Vec<DeviceName> = self.entries.keys().cloned().collect();
        for name in names {
            let Some(entry) = self.entries.get_mut(&name) else {
                continue;
            };
            entry.done_until = entry.done_until.map(|done| done.min(now));
            let next = entry.schedule.next_after(entry.seat, now);
            if entry.next.map(|(at, _)| at) > next {
                self.put(&name, next, Kind::Regular);
            }
        }
    }

    /// These devices have not had the turn that they were begun for.
    pub fn not_had(&mut self, names: Vec<DeviceName>, now: Timestamp) -> Missed {
        let mut known = Vec::new();
        for name in names {
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.done_until = None;
                if let Some((at, _)) = entry.next.take() {
                    self.queue.remove(&(at, name.clone()));
                }
                known.push(name);
            }
        }
        self.plan(known, now)
    }

    /// When the window closes in which a device may be begun now; `None` where nothing closes.
    #[must_use]
    pub fn closes_after(&self, name: &DeviceName, now: Timestamp) -> Option<Timestamp> {
        self.entries.get(name)?.schedule.closes_after(now)
    }

    /// When the next device is due.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Timestamp> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// When a device is due next.
    #[must_use]
    pub fn next_of(&self, name: &DeviceName) -> Option<Timestamp> {
        self.entries.get(name)?.next.map(|(at, _)| at)
    }

    /// The devices whose next turn has moved since this was last asked, with that turn.
    pub fn moved(&mut self) -> Vec<(DeviceName, Option<Timestamp>)> {
        std::mem::take(&mut self.moved)
            .into_iter()
            .filter(|name| self.entries.contains_key(name))
            .map(|name| {
                let next = self.next_of(&name);
                (name, next)
            })
            .collect()
    }

    /// How many devices there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no device at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How long devices that become due are gathered for one run: the sixtieth part of the shortest
    /// period, from a second to a minute.
    #[must_use]
    pub fn slice(&self) -> Duration {
        let mut seen: Option<&Arc<Schedule>> = None;
        let mut shortest = Duration::from_secs(3600);
        for entry in self.entries.values() {
            // Most devices share their schedule.
            if seen.is_none_or(|seen| !Arc::ptr_eq(seen, &entry.schedule)) {
                shortest = shortest.min(entry.schedule.period());
                seen = Some(&entry.schedule);
            }
        }
        (shortest / 60).clamp(Duration::from_secs(1), Duration::from_secs(60))
    }

    /// Gives these devices, none of which has a turn, their next one.
    fn plan(&mut self, names: Vec<DeviceName>, now: Timestamp) -> Missed {
        let mut missed = Vec::new();
        for name in names {
            let Some(entry) = self.entries.get(&name) else {
                continue;
            };
            let next = entry.schedule.next_after(entry.seat, now);
            let due = |done| entry.schedule.next_after(entry.seat, done);
            if entry.done_until.map(due) == Some(next) {
                self.put(&name, next, Kind::Regular);
            } else {
                missed.push((name, next));
            }
        }
        let count = u32::try_from(missed.len()).unwrap_or(u32::MAX);
        let mut span = Duration::from_secs(1) * count / CATCH_UP_RATE;
        if span <= AT_ONCE {
            span = Duration::ZERO;
        }
        let found = Missed {
            devices: missed.len(),
            within: span,
        };
        for (name, next) in missed {
            self.catch_up(&name, next, now, span);
        }
        found
    }

    fn catch_up(
        &mut self,
        name: &DeviceName,
        regular: Option<Timestamp>,
        now: Timestamp,
        span: Duration,
    ) {
        let Some(entry) = self.entries.get(name) else {
            return;
        };
        let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        let soon = span.max(entry.about_as_soon(regular));
        let turn = now.checked_add(entry.seat.within(span)).ok();
        let turn = turn.filter(|turn| entry.schedule.is_open(*turn));
        let regular_is_soon =
            |turn: Timestamp| regular.is_some_and(|next| next.duration_since(turn) <= soon);
        match turn {
            Some(turn) if !regular_is_soon(turn) => self.put(name, Some(turn), Kind::CatchUp),
            _ => self.put(name, regular, Kind::Regular),
        }
    }

    fn put(&mut self, name: &DeviceName, at: Option<Timestamp>, kind: Kind) {
        let Some(entry) = self.entries.get_mut(name) else {
            return;
        };
        if let Some((before, _)) = entry.next.take() {
            self.queue.remove(&(before, name.clone()));
        }
        entry.next = at.map(|at| (at, kind));
        if let Some(at) = at {
            self.queue.insert((at, name.clone()));
        }
        self.moved.insert(name.clone());
    }
}
