//! Who may begin when: the queue of a run under its limits.
//!
//! Devices wait in a [`Pacer`]. Each is in some sets (all devices, `limits.aaa1`, one by one), and
//! each set bounds how many are in flight and how closely they may follow each other. A device
//! whose sets all have room begins, however many wait before it for sets that have none. Time is
//! an argument.
//!
//! - `set`: one set and its room.
//! - [`bookings`]: the moments of logins, kept to the letter.
//! - [`order`]: devices of different sets take turns.
//! - `run`: the sets that a device of a run is in.

pub mod bookings;
pub mod order;
mod run;
mod set;

pub use run::{OfSchedule, RunPace, RunSets, reserved};
pub use set::Pace;

use crate::model::limit::LimitSet;
use set::{Room, Set};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// Tells sets apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetId(u64);

/// Whether a device was tried before in its run, and whether somebody waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Turn {
    /// Not tried yet, and somebody waits for it.
    Asked,
    /// Not tried yet.
    First,
    /// Tried at least once.
    Again,
}

/// The room that a device in flight takes up in its sets, until [`Pacer::release`].
#[derive(Debug)]
#[must_use]
pub struct Permit(Arc<[SetId]>);

/// Items of the same sets and turn: they wait for the same room, so only their first one counts.
struct Class<T> {
    turn: Turn,
    members: Arc<[SetId]>,
    queue: VecDeque<(u64, T)>,
}

type ClassId = u64;

/// A class by its first item: first tries before others, then in the order of arrival.
type Standing = (Turn, u64, ClassId);

/// The queue. Every class that has items either stands in `ready` or is parked at a set that has
/// no room; a set that gets room wakes one class at a time. So what happens in one set costs
/// nothing in the others, whatever waits there.
pub struct Pacer<T> {
    sets: HashMap<SetId, Set>,
    named: HashMap<String, SetId>,
    classes: HashMap<ClassId, Class<T>>,
    by_members: HashMap<(Turn, Arc<[SetId]>), ClassId>,
    ready: BTreeSet<Standing>,
    // The sets whose parked classes only wait for a moment.
    timed: BTreeSet<(Instant, SetId)>,
    next_id: u64,
    len: usize,
}

impl<T> Default for Pacer<T> {
    fn default() -> Self {
        Self {
            sets: HashMap::new(),
            named: HashMap::new(),
            classes: HashMap::new(),
            by_members: HashMap::new(),
            ready: BTreeSet::new(),
            timed: BTreeSet::new(),
            next_id: 0,
            len: 0,
        }
    }
}

impl<T> Pacer<T> {
    /// The set of this name, with these bounds from now on.
    pub fn named(&mut self, limit: &LimitSet, now: Instant) -> SetId {
        let pace = limit
            .logins
            .map_or(Pace::Free, |rate| Pace::every(rate.interval()));
        match self.named.get(&limit.name).copied() {
            Some(id) => {
                if let Some(set) = self.sets.get_mut(&id) {
                    set.most = limit.in_flight;
                    set.pace = set.pace.becoming(pace);
                }
                self.settle(id, now);
                id
            }
            None => {
                let id = self.open(limit.in_flight, pace);
                self.named.insert(limit.name.clone(), id);
                id
            }
        }
    }

    /// A new set without a name, until [`Self::close`].
    pub fn open(&mut self, most: Option<usize>, pace: Pace) -> SetId {
        let id = SetId(self.fresh());
        self.sets.insert(id, Set::new(most, pace));
        id
    }

    /// Forgets a set that nobody is in any more.
    pub fn close(&mut self, id: SetId) {
        if let Some(at) = self.sets.remove(&id).and_then(|set| set.timer) {
            self.timed.remove(&(at, id));
        }
    }

    /// Queues an item that is in these sets.
    pub fn push(&mut self, item: T, turn: Turn, sets: &[SetId], now: Instant) {
        let mut members = sets.to_vec();
        members.sort_unstable();
        members.dedup();
        let members: Arc<[SetId]> = members.into();
        let ticket = self.fresh();
        self.len += 1;
        let key = (turn, Arc::clone(&members));
        let id = *self.by_members.entry(key).or_insert(ticket);
        let class = self.classes.entry(id).or_insert_with(|| Class {
            turn,
            members: Arc::clone(&members),
            queue: VecDeque::new(),
        });
        if class.queue.is_empty() {
            self.ready.insert((turn, ticket, id));
        }
        class.queue.push_back((ticket, item));
        for set in members.iter() {
            if let Some(set) = self.sets.get_mut(set) {
                set.waiting += 1;
            }
        }
        // The more are waiting, the closer a spread run lets them follow each other.
        self.settle_all(&members, now);
    }

    /// The next item that may begin now.
    pub fn next(&mut self, now: Instant) -> Option<(T, Permit)> {
        self.wake_due(now);
        while let Some(standing) = self.ready.pop_first() {
            let members = Arc::clone(&self.classes.get(&standing.2)?.members);
            let begun = match self.blocker(&members, now) {
                Some(set) => {
                    if let Some(set) = self.sets.get_mut(&set) {
                        set.parked.insert(standing);
                    }
                    None
                }
                None => self.take(standing.2, &members, now),
            };
            self.settle_all(&members, now);
            if let Some(item) = begun {
                return Some((item, Permit(members)));
            }
        }
        None
    }

    /// When to ask [`Self::next`] again though nothing else happens.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.timed.first().map(|(at, _)| *at)
    }

    /// Gives back the room of a device that is not in flight any more.
    pub fn release(&mut self, permit: Permit, now: Instant) {
        let Permit(members) = permit;
        for id in members.iter() {
            if let Some(set) = self.sets.get_mut(id) {
                set.in_flight = set.in_flight.saturating_sub(1);
            }
        }
        self.settle_all(&members, now);
    }

    /// Corrects the paces by how many logins a device in flight really made: one is taken for
    /// granted; a device that was not reached made none.
    pub fn logged_in(&mut self, permit: &Permit, times: u32, now: Instant) {
        if times == 1 {
            return;
        }
        for id in permit.0.iter() {
            if let Some(set) = self.sets.get_mut(id) {
                set.pace.correct(times);
            }
        }
        self.settle_all(&permit.0, now);
    }

    /// How many items wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no item waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes out every item that waits, in the order of arrival.
    pub fn take_all(&mut self) -> Vec<T> {
        let classes = std::mem::take(&mut self.classes);
        let mut items: Vec<_> = classes.into_values().flat_map(|c| c.queue).collect();
        items.sort_unstable_by_key(|(ticket, _)| *ticket);
        self.by_members.clear();
        self.ready.clear();
        self.timed.clear();
        self.len = 0;
        for set in self.sets.values_mut() {
            set.parked.clear();
            set.timer = None;
            set.waiting = 0;
        }
        items.into_iter().map(|(_, item)| item).collect()
    }

    /// Takes out those items that are `wanted`, in the order of arrival.
    pub fn take_where(&mut self, wanted: impl Fn(&T) -> bool, now: Instant) -> Vec<T> {
        let mut taken = Vec::new();
        let ids: Vec<ClassId> = self.classes.keys().copied().collect();
        for id in ids {
            let Some(class) = self.classes.get_mut(&id) else {
                continue;
            };
            let first = class.queue.front().map(|(ticket, _)| *ticket);
            let (out, stay): (Vec<_>, VecDeque<_>) =
                std::mem::take(&mut class.queue).into_iter().fold(
                    (Vec::new(), VecDeque::new()),
                    |(mut out, mut stay), entry| {
                        if wanted(&entry.1) {
                            out.push(entry);
                        } else {
                            stay.push_back(entry);
                        }
                        (out, stay)
                    },
                );
            class.queue = stay;
            if !out.is_empty() {
                self.came_out(id, first, out.len(), now);
                taken.extend(out);
            }
        }
        taken.sort_unstable_by_key(|(ticket, _)| *ticket);
        taken.into_iter().map(|(_, item)| item).collect()
    }

    /// So many items of a class, whose first one was this one, are not waiting any more.
    fn came_out(&mut self, id: ClassId, first: Option<u64>, count: usize, now: Instant) {
        let Some(class) = self.classes.get(&id) else {
            return;
        };
        let (turn, members) = (class.turn, Arc::clone(&class.members));
        let next = class.queue.front().map(|(ticket, _)| (turn, *ticket, id));
        let stood = first.map(|ticket| (turn, ticket, id));
        if let Some(stood) = &stood {
            self.ready.remove(stood);
        }
        for set in members.iter() {
            if let Some(set) = self.sets.get_mut(set) {
                if let Some(stood) = &stood {
                    set.parked.remove(stood);
                }
                set.waiting = set.waiting.saturating_sub(count);
            }
        }
        self.len = self.len.saturating_sub(count);
        match next {
            Some(standing) => {
                self.ready.insert(standing);
            }
            None => {
                self.classes.remove(&id);
                self.by_members.remove(&(turn, Arc::clone(&members)));
            }
        }
        self.settle_all(&members, now);
    }

    fn fresh(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The set for whose room these members have to wait. Sets made later are told first: those of
    /// all devices come first and have room soonest.
    fn blocker(&self, members: &[SetId], now: Instant) -> Option<SetId> {
        let has_none = |id: &&SetId| {
            self.sets
                .get(id)
                .is_some_and(|set| set.room(now) != Room::Free)
        };
        members.iter().rev().find(has_none).copied()
    }

    fn take(&mut self, id: ClassId, members: &Arc<[SetId]>, now: Instant) -> Option<T> {
        let class = self.classes.get_mut(&id)?;
        let (_, item) = class.queue.pop_front()?;
        self.len = self.len.saturating_sub(1);
        let turn = class.turn;
        match class.queue.front() {
            Some((ticket, _)) => {
                self.ready.insert((turn, *ticket, id));
            }
            None => {
                self.classes.remove(&id);
                self.by_members.remove(&(turn, Arc::clone(members)));
            }
        }
        for set in members.iter() {
            if let Some(set) = self.sets.get_mut(set) {
                set.take(now);
            }
        }
        Some(item)
    }

    fn wake_due(&mut self, now: Instant) {
        while let Some((at, id)) = self.timed.first().copied() {
            if at > now {
                return;
            }
            self.settle(id, now);
        }
    }

    fn settle_all(&mut self, members: &[SetId], now: Instant) {
        for id in members {
            self.settle(*id, now);
        }
    }

    /// Wakes a class parked at a set that has room, or sees to it that it is woken in time. The
    /// class that is woken wakes the next one: it begins or parks elsewhere, and then its sets are
    /// settled again.
    fn settle(&mut self, id: SetId, now: Instant) {
        let Some(set) = self.sets.get_mut(&id) else {
            return;
        };
        let timer = match set.room(now) {
            Room::Later(at) if !set.parked.is_empty() => Some(at),
            Room::Free => {
                self.ready.extend(set.parked.pop_first());
                None
            }
            Room::Later(_) | Room::Full => None,
        };
        if set.timer != timer {
            if let Some(at) = set.timer {
                self.timed.remove(&(at, id));
            }
            self.timed.extend(timer.map(|at| (at, id)));
            set.timer = timer;
        }
    }
}

#[cfg(test)]
mod tests;
