//! Devices that wait and are not wanted any more, or that somebody else waits for.

use super::Supervisor;
use super::job::{self, Cause, Job};
use super::run::RunId;
use crate::actors::messages::Withdraw;
use crate::flow::pacing::Turn;
use crate::model::device::{Device, DeviceName};
use crate::model::failure::{Failure, FailureKind};
use crate::model::report::Outcome;
use crate::model::stage::Stage;
use actix::{AsyncContext, Context, Handler, Message};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Breaks a run off.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct BreakOff {
    run: RunId,
    grace: Duration,
}

/// Breaks the run off when that is asked for.
pub(super) fn await_break_off(
    run: RunId,
    break_off: oneshot::Receiver<Duration>,
    ctx: &Context<Supervisor>,
) {
    let supervisor = ctx.address();
    actix_rt::spawn(async move {
        // Whoever goes without a word leaves the run to its end.
        if let Ok(grace) = break_off.await {
            supervisor.do_send(BreakOff { run, grace });
        }
    });
}

impl Supervisor {
    /// Another run still has the device; the job waits for it.
    pub(super) fn park(&mut self, mut job: Job) {
        job.parked = true;
        let waiting = self.parked.entry(job.device.name.clone());
        waiting.or_default().push_back(job);
    }

    /// A device is free: whoever wants it next has it.
    pub(super) fn pass_on(&mut self, name: &DeviceName, now: Instant) {
        self.taken.remove(name);
        let Some(waiting) = self.parked.get_mut(name) else {
            return;
        };
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.parked.remove(name);
        }
        if let Some(mut job) = next {
            job.parked = false;
            self.take_on(job, now);
        }
    }

    /// Somebody waits for these devices: where the schedule has them only queued, it lets them go, and
    /// its run leaves them out as it does busy ones.
    pub(super) fn let_go_for(&mut self, devices: &[Arc<Device>], now: Instant) {
        let names: HashSet<&DeviceName> = devices.iter().map(|device| &device.name).collect();
        let of_schedule: HashSet<RunId> = self
            .runs
            .iter()
            .filter(|(_, run)| run.turn != Turn::Asked)
            .map(|(id, _)| *id)
            .collect();
        let wanted = |job: &Job| {
            !job.is_tried() && of_schedule.contains(&job.run) && names.contains(&job.device.name)
        };
        for job in self.queue.take_queued_where(wanted, now) {
            self.pass_on(&job.device.name, now);
            if let Some(run) = self.runs.get_mut(&job.run) {
                run.left = run.left.saturating_sub(1);
                run.busy.push(job.device.name.clone());
            }
            self.close_if_done(job.run);
        }
    }

    /// The window of a device closed before it had room.
    pub(super) fn too_late(&mut self, mut job: Job, now: Instant) {
        job.end_wait(now);
        let outcome = match job.last_failure() {
            Some(failure) => Outcome::Failed(failure.clone()),
            None => Outcome::Cancelled(Failure::new(
                Stage::Connect,
                FailureKind::Cancelled,
                "not begun: its window (between) closed before there was room for it under the \
                 limits; it has its next turn when the window is open again",
            )),
        };
        self.conclude(job, outcome, now);
    }

    /// Takes out devices that wait, in this run or for it.
    pub(super) fn cancel_waiting(&mut self, wanted: impl Fn(&Job) -> bool, why: &Failure) {
        let now = Self::now();
        let mut jobs = self.queue.take_where(&wanted, now);
        for waiting in self.parked.values_mut() {
            let (out, stay): (VecDeque<_>, _) =
                std::mem::take(waiting).into_iter().partition(&wanted);
            *waiting = stay;
            jobs.extend(out);
        }
        self.parked.retain(|_, waiting| !waiting.is_empty());
        for mut job in jobs {
            job.end_wait(now);
            let outcome = match job.last_failure() {
                Some(failure) => Outcome::Failed(failure.clone()),
                None => Outcome::Cancelled(why.clone()),
            };
            self.conclude(job, outcome, now);
        }
    }
}

impl Handler<BreakOff> for Supervisor {
    type Result = ();

    fn handle(&mut self, BreakOff { run, grace }: BreakOff, ctx: &mut Self::Context) {
        let why = job::interrupted(Stage::Connect);
        self.cancel_waiting(|job| job.run == run, &why);
        self.admit(ctx);
        ctx.run_later(grace, move |actor, _| {
            let now = Self::now();
            for slot in actor.slots.values_mut() {
                if slot.job.run == run && slot.stage != Stage::Write {
                    slot.cut(Cause::Interrupted, now);
                }
            }
            if let Some(run) = actor.runs.get(&run) {
                run.gate.wake();
            }
        });
    }
}

impl Handler<Withdraw> for Supervisor {
    type Result = ();

    fn handle(&mut self, Withdraw(names): Withdraw, ctx: &mut Self::Context) {
        let why = Failure::new(
            Stage::Connect,
            FailureKind::Cancelled,
            "not begun: its settings have changed, or it is not in the inventory any more",
        );
        let names: HashSet<DeviceName> = names.into_iter().collect();
        self.cancel_waiting(|job| names.contains(&job.device.name), &why);
        self.admit(ctx);
    }
}
