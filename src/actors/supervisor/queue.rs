//! Devices that wait: for room under the limits, for their next attempt.

use super::Supervisor;
use super::job::Job;
use crate::actors::messages::SlotId;
use crate::flow::pacing::{Pacer, Permit, RunPace, RunSets, Turn};
use crate::model::limit::LimitSet;
use actix::{AsyncContext, Context, Handler, Message, SpawnHandle};
use std::collections::BTreeMap;
use std::time::Instant;

/// How many attempts are begun before other messages get their turn.
const ADMITTED_AT_ONCE: usize = 64;

/// Asks the supervisor to take on more devices, after other messages had their turn.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AdmitMore;

/// The devices that wait, of all runs.
#[derive(Default)]
pub(super) struct Queue {
    // Boxed, because the queue keeps the room that it had at its longest.
    pacer: Pacer<Box<Job>>,
    // By the moment of their next attempt; one timer for all of them.
    backoff: BTreeMap<(Instant, SlotId), Job>,
    timer: Option<(Instant, SpawnHandle)>,
}

impl Queue {
    /// The sets of a run that begins.
    pub(super) fn open_run(&mut self, all: &LimitSet, pace: RunPace, now: Instant) -> RunSets {
        self.pacer.open_run(all, pace, now)
    }

    pub(super) fn close_run(&mut self, sets: RunSets) {
        self.pacer.close_run(sets);
    }

    /// Bounds how many devices are in flight, all together.
    pub(super) fn bound(&mut self, all: &LimitSet, now: Instant) {
        self.pacer.bound_all(all, now);
    }

    pub(super) fn enqueue(&mut self, job: Job, sets: RunSets, turn: Turn, now: Instant) {
        let device = std::sync::Arc::clone(&job.device);
        self.pacer
            .enqueue(Box::new(job), &device, (sets, turn), now);
    }

    /// Queues a device again at a later moment.
    pub(super) fn enqueue_at(&mut self, moment: Instant, ticket: SlotId, job: Job) {
        self.backoff.insert((moment, ticket), job);
    }

    pub(super) fn give_back(&mut self, permit: Permit, now: Instant) {
        self.pacer.release(permit, now);
    }

    pub(super) fn logged_in(&mut self, permit: &Permit, times: u32, now: Instant) {
        self.pacer.logged_in(permit, times, now);
    }

    pub(super) const fn queued(&self) -> usize {
        self.pacer.len()
    }

    pub(super) fn in_backoff(&self) -> usize {
        self.backoff.len()
    }

    /// Takes out those that wait for room.
    pub(super) fn take_queued(&mut self) -> Vec<Job> {
        unboxed(self.pacer.take_all())
    }

    /// Takes out those that wait for room and are `wanted`.
    pub(super) fn take_queued_where(
        &mut self,
        wanted: impl Fn(&Job) -> bool,
        now: Instant,
    ) -> Vec<Job> {
        unboxed(self.pacer.take_where(|job| wanted(job), now))
    }

    /// Takes out those that wait, for room or for their next attempt, and are `wanted`.
    pub(super) fn take_where(&mut self, wanted: impl Fn(&Job) -> bool, now: Instant) -> Vec<Job> {
        let mut jobs = unboxed(self.pacer.take_where(|job| wanted(job), now));
        let tickets: Vec<_> = self
            .backoff
            .iter()
            .filter(|(_, job)| wanted(job))
            .map(|(ticket, _)| *ticket)
            .collect();
        jobs.extend(
            tickets
                .iter()
                .filter_map(|ticket| self.backoff.remove(ticket)),
        );
        jobs
    }

    /// Takes out everybody.
    pub(super) fn take_all(&mut self) -> Vec<Job> {
        let mut jobs = unboxed(self.pacer.take_all());
        jobs.extend(std::mem::take(&mut self.backoff).into_values());
        jobs
    }

    /// When something is to be done though nothing happens.
    fn due(&self) -> Option<Instant> {
        let retry = self.backoff.keys().next().map(|(moment, _)| *moment);
        retry.into_iter().chain(self.pacer.due()).min()
    }

    fn pop_backoff(&mut self, now: Instant) -> Option<Job> {
        let entry = self.backoff.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

#[expect(clippy::vec_box, reason = "so they come out of the queue")]
fn unboxed(jobs: Vec<Box<Job>>) -> Vec<Job> {
    jobs.into_iter().map(|job| *job).collect()
}

impl Supervisor {
    /// Takes on devices while there is room for them.
    pub(super) fn admit(&mut self, ctx: &mut Context<Self>) {
        let now = Self::now();
        while let Some(job) = self.queue.pop_backoff(now) {
            if let Some(sets) = self.runs.get(&job.run).map(|run| run.sets) {
                self.queue.enqueue(job, sets, Turn::Again, now);
            }
        }
        for _ in 0..ADMITTED_AT_ONCE {
            if self.uncalled.len() >= self.parts.devices.callers() {
                // Each of them comes back here when it is called or gives up.
                return;
            }
            let now = Self::now();
            let Some((job, permit)) = self.queue.pacer.next(now) else {
                return self.set_timer(ctx);
            };
            if job.not_after.is_some_and(|end| now > end) {
                self.queue.give_back(permit, now);
                self.too_late(*job, now);
            } else {
                self.begin_attempt(*job, permit, ctx);
            }
        }
        ctx.notify(AdmitMore);
    }

    /// Comes back when the next device may begin.
    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        let Some(due) = self.queue.due() else {
            return;
        };
        match self.queue.timer {
            // It fires early enough, and then looks again.
            Some((at, _)) if at <= due => return,
            Some((_, timer)) => {
                ctx.cancel_future(timer);
            }
            None => {}
        }
        let wait = due.saturating_duration_since(Self::now());
        let timer = ctx.run_later(wait, |actor, ctx| {
            actor.queue.timer = None;
            actor.admit(ctx);
        });
        self.queue.timer = Some((due, timer));
    }
}

impl Handler<AdmitMore> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: AdmitMore, ctx: &mut Self::Context) {
        self.admit(ctx);
    }
}
