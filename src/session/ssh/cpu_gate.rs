//! Keeps as many key exchanges computing at once as there are CPUs.
//!
//! A turn is held for one step of computation, never while a device is waited for. Exchanges that
//! have begun go first, because the device on the other side counts the seconds.

use crate::session::{CancelHandle, Clock};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A yield that takes no longer found nobody else who wants the CPU.
const UNDISTURBED: Duration = Duration::from_micros(20);

/// Others on this machine may never rest: whoever gave way for so long goes on all the same.
const PATIENCE: Duration = Duration::from_millis(2);

/// No device thread computes for so long at a stretch: a yield that takes longer went to somebody else
/// on this machine, who would not give way to us.
const FOREIGN: Duration = Duration::from_millis(6);

/// For so long nobody gives way after that.
const CROWDED: Duration = Duration::from_millis(250);

/// How far a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It was not called yet.
    First,
    /// It was called and its key exchange is under way: it goes before those that were not.
    Begun,
}

/// Why no turn came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoTurn {
    Cancelled,
    TimedOut,
}

/// The gate: one for all connections.
pub(super) struct CpuGate {
    queue: Mutex<Queue>,
    // Until when nobody gives way.
    crowded: Mutex<Option<Instant>>,
}

struct Queue {
    free: usize,
    begun: VecDeque<Arc<Waiter>>,
    first: VecDeque<Arc<Waiter>>,
}

/// One connection's place in the queue. It has a condition variable of its own, so that a freed
/// turn wakes one thread and not a thousand.
#[derive(Default)]
pub(super) struct Waiter {
    granted: Mutex<bool>,
    changed: Condvar,
}

impl Waiter {
    /// Makes a waiting thread look again whether it was cancelled.
    pub(super) fn wake(&self) {
        let _granted = lock(&self.granted);
        self.changed.notify_all();
    }

    fn grant(&self) {
        *lock(&self.granted) = true;
        self.changed.notify_all();
    }
}

/// A turn; dropping it gives it to the next.
pub(super) struct Turn<'a>(&'a CpuGate);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CpuGate {
    /// A gate for `cpus` at once, at least one.
    pub(super) fn new(cpus: usize) -> Self {
        Self {
            queue: Mutex::new(Queue {
                free: cpus.max(1),
                begun: VecDeque::new(),
                first: VecDeque::new(),
            }),
            crowded: Mutex::new(None),
        }
    }

    /// Lets everybody run first who wants the CPU: threads of devices that were called already, and
    /// those who work for them. A yield comes back at once where nobody does.
    pub(super) fn give_way(&self, clock: &dyn Clock) {
        let began = clock.now();
        if lock(&self.crowded).is_some_and(|until| began < until) {
            return;
        }
        let mut last = began;
        loop {
            std::thread::yield_now();
            let now = clock.now();
            let took = now.saturating_duration_since(last);
            if took >= FOREIGN {
                *lock(&self.crowded) = Some(now + CROWDED);
            }
            if took < UNDISTURBED || now.saturating_duration_since(began) >= PATIENCE {
                return;
            }
            last = now;
        }
    }

    /// Waits for a turn. Cancelling must call [`Waiter::wake`].
    pub(super) fn enter(
        &self,
        waiter: &Arc<Waiter>,
        progress: Progress,
        cancel: &CancelHandle,
        until: (Instant, &dyn Clock),
    ) -> Result<Turn<'_>, NoTurn> {
        let mut queue = lock(&self.queue);
        if queue.free > 0 {
            // Nobody waits while a turn is free.
            queue.free -= 1;
            return Ok(Turn(self));
        }
        match progress {
            Progress::First => queue.first.push_back(Arc::clone(waiter)),
            Progress::Begun => queue.begun.push_back(Arc::clone(waiter)),
        }
        drop(queue);
        let outcome = Self::sleep(waiter, cancel, until);
        if let Err(no_turn) = outcome {
            self.leave(waiter);
            return Err(no_turn);
        }
        *lock(&waiter.granted) = false;
        Ok(Turn(self))
    }

    fn sleep(
        waiter: &Waiter,
        cancel: &CancelHandle,
        (deadline, clock): (Instant, &dyn Clock),
    ) -> Result<(), NoTurn> {
        let mut granted = lock(&waiter.granted);
        while !*granted {
            if cancel.is_cancelled() {
                return Err(NoTurn::Cancelled);
            }
            let left = deadline.saturating_duration_since(clock.now());
            if left.is_zero() {
                return Err(NoTurn::TimedOut);
            }
            (granted, _) = waiter
                .changed
                .wait_timeout(granted, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Leaves the queue; a turn that came too late goes on to the next.
    fn leave(&self, waiter: &Arc<Waiter>) {
        let mut queue = lock(&self.queue);
        queue.first.retain(|other| !Arc::ptr_eq(other, waiter));
        queue.begun.retain(|other| !Arc::ptr_eq(other, waiter));
        drop(queue);
        if std::mem::take(&mut *lock(&waiter.granted)) {
            self.pass_on();
        }
    }

    fn pass_on(&self) {
        let mut queue = lock(&self.queue);
        let next = queue.begun.pop_front();
        match next.or_else(|| queue.first.pop_front()) {
            // Granted under the queue's lock: a waiter is either queued or granted, never neither.
            Some(waiter) => waiter.grant(),
            None => queue.free += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::ssh::RealClock;
    use std::sync::mpsc;
    use std::thread;

    /// A clock that goes on by so much whenever it is asked.
    struct Ticking(Duration, Mutex<Instant>);

    impl Clock for Ticking {
        fn now(&self) -> Instant {
            let mut now = lock(&self.1);
            *now += self.0;
            *now
        }
    }

    #[test]
    fn giving_way_ends_when_nobody_wants_the_cpu_and_when_others_never_rest() {
        let began = Instant::now();
        let gate = CpuGate::new(1);
        let asked = |tick: Duration| {
            let clock = Ticking(tick, Mutex::new(began));
            gate.give_way(&clock);
            let last = *lock(&clock.1);
            last.saturating_duration_since(began)
        };
        let alone = Duration::from_micros(1);
        assert_eq!(asked(alone), alone * 2, "one yield");
        let busy = Duration::from_micros(500);
        assert_eq!(asked(busy), busy + PATIENCE);
        assert_eq!(asked(FOREIGN), FOREIGN * 2, "it went to somebody else");
        assert_eq!(asked(busy), busy, "nobody gives way for a while");
        assert_eq!(asked(CROWDED * 2), CROWDED * 4, "and then again");
    }

    fn far() -> Instant {
        RealClock.now() + Duration::from_secs(600)
    }

    fn queued(gate: &CpuGate) -> usize {
        let queue = lock(&gate.queue);
        queue.first.len() + queue.begun.len()
    }

    /// Starts a thread that queues up, and returns once it stands in the queue. It tells `name` when
    /// it has its turn.
    fn line_up<'scope>(
        scope: &'scope thread::Scope<'scope, '_>,
        gate: &'scope CpuGate,
        (progress, name): (Progress, &'static str),
        done: mpsc::Sender<&'static str>,
    ) {
        let before = queued(gate);
        scope.spawn(move || {
            let waiter = Arc::default();
            let cancel = CancelHandle::new();
            let turn = gate
                .enter(&waiter, progress, &cancel, (far(), &RealClock))
                .ok();
            done.send(name).unwrap();
            drop(turn);
        });
        while queued(gate) == before {
            thread::yield_now();
        }
    }

    /// However many exchange keys at once, one that has begun waits for no more turns than there are
    /// others that have begun, and those that have not wait in the order in which they came: nobody
    /// is passed over for long. 10,000 exchanges of 1 ms each on two CPUs are 5 s, and of 7.7 ms
    /// (group14-sha1) 40 s, while devices give a login 120 s.
    #[test]
    fn those_that_have_begun_go_first_and_each_kind_in_the_order_of_arrival() {
        let gate = CpuGate::new(1);
        let (done, order) = mpsc::channel();
        thread::scope(|scope| {
            let waiter = Arc::default();
            let cancel = CancelHandle::new();
            let turn = gate.enter(&waiter, Progress::First, &cancel, (far(), &RealClock));
            for place in [
                (Progress::First, "first 1"),
                (Progress::Begun, "begun 1"),
                (Progress::First, "first 2"),
                (Progress::First, "first 3"),
                (Progress::Begun, "begun 2"),
                (Progress::Begun, "begun 3"),
            ] {
                line_up(scope, &gate, place, done.clone());
            }
            drop(turn);
        });
        drop(done);
        assert_eq!(
            order.iter().collect::<Vec<_>>(),
            [
                "begun 1", "begun 2", "begun 3", "first 1", "first 2", "first 3"
            ]
        );
        assert_eq!(lock(&gate.queue).free, 1, "the turn came back");
    }

    #[test]
    fn waiting_ends_at_the_deadline_and_when_cancelled() {
        let gate = CpuGate::new(1);
        let holder = Arc::default();
        let cancel = CancelHandle::new();
        let turn = gate.enter(&holder, Progress::First, &cancel, (far(), &RealClock));
        let waiter: Arc<Waiter> = Arc::default();
        let now = (RealClock.now(), &RealClock as &dyn Clock);
        let late = gate.enter(&waiter, Progress::First, &cancel, now);
        assert_eq!(late.err(), Some(NoTurn::TimedOut));
        let closer = Arc::clone(&waiter);
        cancel.on_cancel(move || closer.wake());
        thread::scope(|scope| {
            let blocked = scope.spawn(|| {
                gate.enter(&waiter, Progress::Begun, &cancel, (far(), &RealClock))
                    .err()
            });
            while queued(&gate) == 0 {
                thread::yield_now();
            }
            cancel.cancel();
            assert_eq!(blocked.join().unwrap(), Some(NoTurn::Cancelled));
        });
        assert_eq!(queued(&gate), 0);
        drop(turn);
        assert_eq!(lock(&gate.queue).free, 1);
    }
}
