//! Steps into messages, replies into inputs.

use super::Supervisor;
use super::job::{Cause, Job, Slot};
use crate::actors::device::AttemptSpec;
use crate::actors::messages::{
    DeviceCalled, RunStage, SlotId, StageReply, WriteConfig, WriteReply,
};
use crate::archive::Put;
use crate::flow::pacing::Permit;
use crate::flow::{Input, Step};
use crate::model::event::Event;
use crate::model::failure::{Failure, FailureKind};
use crate::model::stage::Stage;
use crate::session::CancelHandle;
use actix::{AsyncContext, Context, Handler};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

impl Supervisor {
    /// A device has room under all limits: its attempt begins.
    pub(super) fn begin_attempt(&mut self, mut job: Job, permit: Permit, ctx: &mut Context<Self>) {
        let now = Self::now();
        let Some(run) = self.runs.get_mut(&job.run) else {
            return self.queue.give_back(permit, now);
        };
        job.begin_attempt(now, run.started);
        run.slot_taken();
        let gate = Arc::clone(&run.gate);
        let cancel = CancelHandle::new();
        let id = self.next_slot_id();
        let supervisor = ctx.address();
        let started = self.parts.devices.start(AttemptSpec {
            device: Arc::clone(&job.device),
            cancel: cancel.clone(),
            gate,
            called: Arc::new(move || supervisor.do_send(DeviceCalled(id))),
        });
        let step = job.flow.on(Input::Admitted, &mut self.rng);
        match started {
            Ok(actor) => {
                let attempt_deadline = now + job.device.deadlines.attempt;
                self.slots.insert(
                    id,
                    Slot {
                        job,
                        permit,
                        actor,
                        cancel,
                        stage: Stage::Connect,
                        stage_began: now,
                        stage_deadline: attempt_deadline,
                        attempt_deadline,
                        cancelled: None,
                        config: None,
                    },
                );
                self.uncalled.insert(id);
                self.keep_watch(ctx);
                self.perform(id, step, ctx);
            }
            Err(message) => {
                let failure = Failure::new(Stage::Connect, FailureKind::Crashed, message);
                job.attempt_failed(&failure);
                let step = job.flow.on(Input::Lost(failure), &mut self.rng);
                // The queue goes on by itself: it is what began this attempt.
                self.after_attempt((job, permit), step);
            }
        }
    }

    /// Gives a slot an input and performs the step that follows.
    pub(super) fn input(&mut self, id: SlotId, input: Input, ctx: &mut Context<Self>) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if let Input::Failed(failure) | Input::Lost(failure) = &input
            && slot.stage != Stage::Disconnect
        {
            slot.job.attempt_failed(failure);
        }
        let step = slot.job.flow.on(input, &mut self.rng);
        self.perform(id, step, ctx);
    }

    /// A device is not on its way to being called any more: the next one may set out.
    pub(super) fn called(&mut self, id: SlotId, ctx: &mut Context<Self>) {
        if self.uncalled.remove(&id) {
            self.admit(ctx);
        }
    }

    fn perform(&mut self, id: SlotId, step: Step, ctx: &mut Context<Self>) {
        match step {
            Step::Run(stage) => self.run_stage(id, stage, ctx),
            Step::Retry { .. } | Step::Finish(_) => {
                // Dropping the slot drops the last address of the device's actor: its thread ends.
                self.uncalled.remove(&id);
                if let Some(slot) = self.slots.remove(&id) {
                    self.after_attempt((slot.job, slot.permit), step);
                    self.admit(ctx);
                }
            }
        }
    }

    fn run_stage(&mut self, id: SlotId, stage: Stage, ctx: &mut Context<Self>) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let now = Self::now();
        let run = slot.job.run;
        slot.stage = stage;
        slot.stage_began = now;
        let budget = stage_budget(slot, stage);
        slot.stage_deadline = (now + budget).min(slot.attempt_deadline.max(now));
        let event = Event::StageStarted {
            device: slot.job.device.name.clone(),
            stage,
            attempt: slot.job.flow.attempt(),
        };
        if stage == Stage::Write {
            self.send_to_archivist(id, ctx);
        } else {
            let deadline = match stage {
                // Each step of connecting has its own limit; waiting for a turn has none but this.
                Stage::Connect => slot.attempt_deadline,
                _ => slot.stage_deadline,
            };
            let reply = slot.actor.send(RunStage { stage, deadline });
            let supervisor = ctx.address();
            // A task and not a future of this context: a context polls all of its futures on every wake.
            actix_rt::spawn(async move {
                let result = reply.await;
                supervisor.do_send(StageReply { slot: id, result });
            });
        }
        self.tell(run, event);
    }

    fn send_to_archivist(&mut self, id: SlotId, ctx: &mut Context<Self>) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let Some((config, info)) = slot.config.take() else {
            let failure = Failure::new(Stage::Write, FailureKind::Protocol, "no config was read");
            return self.input(id, Input::Failed(failure), ctx);
        };
        let device = &slot.job.device;
        let taken = SystemTime::now();
        let run = self.runs.get(&slot.job.run);
        let run = run.map_or(taken, |run| run.listeners.run);
        let reply = self.parts.archivist.send(WriteConfig(Put {
            device: device.name.clone(),
            group: device.group.clone(),
            platform: Arc::clone(&device.platform),
            config,
            info,
            taken,
            run,
        }));
        let supervisor = ctx.address();
        actix_rt::spawn(async move {
            let result = reply.await;
            supervisor.do_send(WriteReply { slot: id, result });
        });
    }
}

impl Handler<DeviceCalled> for Supervisor {
    type Result = ();

    fn handle(&mut self, DeviceCalled(id): DeviceCalled, ctx: &mut Self::Context) {
        self.called(id, ctx);
    }
}

/// How long a stage may take.
fn stage_budget(slot: &Slot, stage: Stage) -> Duration {
    let deadlines = &slot.job.device.deadlines;
    match stage {
        Stage::Connect => deadlines.tcp + deadlines.kex + deadlines.login + deadlines.prompt,
        Stage::Save => deadlines.save,
        Stage::Backup => deadlines.backup,
        Stage::Write => deadlines.write,
        Stage::Disconnect => super::watch::DISCONNECT_BUDGET,
    }
}

impl Slot {
    /// Closes the device's connection for good.
    pub(super) fn cut(&mut self, cause: Cause, now: Instant) {
        self.cancelled.get_or_insert((cause, now));
        self.cancel.cancel();
    }
}
