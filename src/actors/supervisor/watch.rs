//! Deadlines, draining, threads that do not come back.
//!
//! The session keeps its own deadlines. These are the lines behind it: an overdue stage has its
//! connection closed; a thread that does not come back even then is left behind and counted.

use super::job::{self, Cause};
use super::{Supervisor, job::Slot};
use crate::actors::messages::{Drain, SlotId};
use crate::flow::Input;
use crate::model::failure::{Failure, FailureKind};
use crate::model::limit::LimitSet;
use crate::model::report::Outcome;
use crate::model::stage::Stage;
use actix::{AsyncContext, Context, Handler};
use std::time::{Duration, Instant};

/// How often the devices in flight are looked through.
const SWEEP_EVERY: Duration = Duration::from_millis(250);

/// The goodbye waits for nothing, so this is generous.
pub(super) const DISCONNECT_BUDGET: Duration = Duration::from_secs(5);

/// How long past its deadline a stage may notice that by itself.
const CUT_AFTER: Duration = Duration::from_secs(2);

/// How long after its connection was closed a thread is waited for.
const ABANDON_AFTER: Duration = Duration::from_secs(8);

/// How many threads may be left behind: this, or a fiftieth of the limit if that is more.
const ABANDONED_MIN: usize = 8;

enum Overdue {
    No,
    Cut,
    Abandon,
}

fn judge(slot: &Slot, now: Instant) -> Overdue {
    match slot.cancelled {
        Some((_, cut_at)) if now >= cut_at + ABANDON_AFTER => Overdue::Abandon,
        Some(_) => Overdue::No,
        None if now >= slot.stage_deadline + CUT_AFTER => Overdue::Cut,
        None => Overdue::No,
    }
}

impl Supervisor {
    /// Looks through the devices in flight again and again, until there are none.
    pub(super) fn keep_watch(&mut self, ctx: &mut Context<Self>) {
        if self.watching || self.slots.is_empty() {
            return;
        }
        self.watching = true;
        ctx.run_later(SWEEP_EVERY, |actor, ctx| {
            actor.watching = false;
            actor.sweep(ctx);
            actor.keep_watch(ctx);
        });
    }

    /// Looks through the devices in flight for overdue stages.
    fn sweep(&mut self, ctx: &mut Context<Self>) {
        let now = Self::now();
        let mut abandoned = Vec::new();
        for (id, slot) in &mut self.slots {
            if slot.cancel.is_waiting() {
                slot.stage_deadline += SWEEP_EVERY;
                slot.attempt_deadline += SWEEP_EVERY;
            }
            match judge(slot, now) {
                Overdue::No => {}
                // There is no connection to close, and what is being written may still arrive.
                Overdue::Cut if slot.stage == Stage::Write => abandoned.push(*id),
                Overdue::Cut => slot.cut(Cause::Overdue, now),
                Overdue::Abandon => abandoned.push(*id),
            }
        }
        for id in abandoned {
            self.abandon(id, ctx);
        }
    }

    fn abandon(&mut self, id: SlotId, ctx: &mut Context<Self>) {
        let Some(slot) = self.slots.get(&id) else {
            return;
        };
        if slot.stage == Stage::Write {
            let failure = Failure::new(
                Stage::Write,
                FailureKind::Archive,
                "the config was not durable within the write deadline; look at the disk of the archive",
            );
            return self.input(id, Input::Failed(failure), ctx);
        }
        let failure = match slot.cancelled {
            Some((Cause::Interrupted, _)) => job::interrupted(slot.stage),
            Some((Cause::Overdue, _)) | None => slot.overdue(),
        };
        log::error!(
            "{}: its thread does not come back from {}; it is left behind",
            slot.job.device.name,
            slot.stage
        );
        let run = slot.job.run;
        if let Some(run) = self.runs.get_mut(&run) {
            run.abandoned += 1;
        }
        self.abandoned.insert(id);
        self.bound_queue();
        self.input(id, Input::Lost(failure), ctx);
        self.give_up_if_no_slot_is_left();
    }

    /// A thread that was left behind came back after all.
    pub(super) fn came_back(&mut self, ctx: &mut Context<Self>) {
        self.bound_queue();
        self.admit(ctx);
    }

    /// Takes from the limit the slots that are not given back because too many threads were left
    /// behind already.
    pub(super) fn bound_queue(&mut self) {
        let in_flight = self.all.in_flight.map(|limit| {
            let spared = ABANDONED_MIN.max(limit / 50);
            limit.saturating_sub(self.abandoned.len().saturating_sub(spared))
        });
        let all = LimitSet {
            in_flight,
            ..self.all.clone()
        };
        self.queue.bound(&all, Self::now());
        self.slots_left = in_flight.unwrap_or(usize::MAX);
    }

    fn give_up_if_no_slot_is_left(&mut self) {
        if self.slots_left > 0 {
            return;
        }
        let now = Self::now();
        for job in self.queue.take_queued() {
            let failure = Failure::new(
                Stage::Connect,
                FailureKind::Crashed,
                "not tried: every slot is held by a thread that does not come back; restart wrmem",
            );
            self.conclude(job, Outcome::Failed(failure), now);
        }
    }

    fn cut_all(&mut self) {
        let now = Self::now();
        for slot in self.slots.values_mut() {
            // What is being written is whole and will be durable in a moment.
            if slot.stage != Stage::Write {
                slot.cut(Cause::Interrupted, now);
            }
        }
        for run in self.runs.values() {
            run.gate.wake();
        }
    }
}

impl Handler<Drain> for Supervisor {
    type Result = ();

    fn handle(&mut self, drain: Drain, ctx: &mut Self::Context) {
        self.draining = true;
        let now = Self::now();
        let parked = std::mem::take(&mut self.parked).into_values().flatten();
        let waiting: Vec<_> = self.queue.take_all().into_iter().chain(parked).collect();
        for mut job in waiting {
            job.end_wait(now);
            self.conclude(
                job,
                Outcome::Cancelled(job::interrupted(Stage::Connect)),
                now,
            );
        }
        ctx.run_later(drain.grace, |actor, _| actor.cut_all());
    }
}
