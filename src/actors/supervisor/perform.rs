//! Steps into messages, replies into inputs.

use super::job::{self, Cause, Job, Slot};
use super::run::RunId;
use super::{ADMITTED_AT_ONCE, Supervisor};
use crate::actors::device::AttemptSpec;
use crate::actors::messages::{
    Product, RunStage, SessionState, SlotId, StageDone, StageFailed, StageReply, WriteConfig,
    WriteReply,
};
use crate::archive::Put;
use crate::flow::{Input, Step};
use crate::model::event::Event;
use crate::model::failure::{Failure, FailureKind};
use crate::model::report::{DeviceReport, Outcome};
use crate::model::stage::{Stage, Trail};
use crate::session::CancelHandle;
use actix::{AsyncContext, Context, Handler, Message};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Asks the supervisor to take on more devices, after other messages had their turn.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AdmitMore;

impl Supervisor {
    /// Takes on devices while a slot is free.
    pub(super) fn admit(&mut self, ctx: &mut Context<Self>) {
        for _ in 0..ADMITTED_AT_ONCE {
            let Some(run) = self.queue.front().and_then(|job| self.runs.get(&job.run)) else {
                return;
            };
            if self.slots.len() + self.lost_slots(run.limit) >= run.limit {
                return;
            }
            if let Some(job) = self.queue.pop_front() {
                self.begin_attempt(job, ctx);
            }
        }
        if !self.queue.is_empty() {
            ctx.notify(AdmitMore);
        }
    }

    fn begin_attempt(&mut self, mut job: Job, ctx: &mut Context<Self>) {
        let now = Self::now();
        let Some(run) = self.runs.get_mut(&job.run) else {
            return;
        };
        job.begin_attempt(now, run.started);
        run.slot_taken();
        let cancel = CancelHandle::new();
        let started = self.parts.devices.start(AttemptSpec {
            device: Arc::clone(&job.device),
            cancel: cancel.clone(),
            gate: Arc::clone(&run.gate),
        });
        let step = job.flow.on(Input::Admitted, &mut self.rng);
        match started {
            Ok(actor) => {
                let id = self.next_slot_id();
                let attempt_deadline = now + job.device.deadlines.attempt;
                self.slots.insert(
                    id,
                    Slot {
                        job,
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
                self.perform(id, step, ctx);
            }
            Err(message) => {
                let failure = Failure::new(Stage::Connect, FailureKind::Crashed, message);
                job.attempt_failed(&failure);
                let step = job.flow.on(Input::Lost(failure), &mut self.rng);
                self.after_attempt(job, step, ctx);
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

    fn perform(&mut self, id: SlotId, step: Step, ctx: &mut Context<Self>) {
        match step {
            Step::Run(stage) => self.run_stage(id, stage, ctx),
            Step::Retry { .. } | Step::Finish(_) => {
                // Dropping the slot drops the last address of the device's actor: its thread ends.
                if let Some(slot) = self.slots.remove(&id) {
                    self.after_attempt(slot.job, step, ctx);
                }
            }
        }
    }

    fn run_stage(&mut self, id: SlotId, stage: Stage, ctx: &mut Context<Self>) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let now = Self::now();
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
        self.tell(event);
    }

    fn send_to_archivist(&mut self, id: SlotId, ctx: &mut Context<Self>) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let Some(config) = slot.config.take() else {
            let failure = Failure::new(Stage::Write, FailureKind::Protocol, "no config was read");
            return self.input(id, Input::Failed(failure), ctx);
        };
        let device = &slot.job.device;
        let reply = self.parts.archivist.send(WriteConfig(Put {
            device: device.name.clone(),
            group: device.group.clone(),
            platform: Arc::clone(&device.platform),
            config,
        }));
        let supervisor = ctx.address();
        actix_rt::spawn(async move {
            let result = reply.await;
            supervisor.do_send(WriteReply { slot: id, result });
        });
    }

    /// An attempt is over: the slot is free, the device waits again or is done.
    pub(super) fn after_attempt(&mut self, mut job: Job, step: Step, ctx: &mut Context<Self>) {
        let now = Self::now();
        if let Some(run) = self.runs.get_mut(&job.run) {
            run.slot_given_back();
            job.end_attempt(now, run.started);
        }
        match step {
            Step::Finish(outcome) => self.conclude(job, outcome, now),
            Step::Retry { failure, .. } if self.draining => {
                self.conclude(job, Outcome::Failed(failure), now);
            }
            Step::Retry { failure, delay } => self.wait_for_retry(job, failure, delay, ctx),
            // A flow never asks for a stage when an attempt is over.
            Step::Run(stage) => self.conclude(job, Outcome::Failed(job::interrupted(stage)), now),
        }
        self.admit(ctx);
    }

    fn wait_for_retry(
        &mut self,
        mut job: Job,
        failure: Failure,
        delay: Duration,
        ctx: &mut Context<Self>,
    ) {
        self.count_crash(&job, &failure);
        self.tell(Event::RetryScheduled {
            device: job.device.name.clone(),
            attempt: job.flow.attempt(),
            failure,
            delay,
        });
        job.waiting_since = Self::now();
        let ticket = self.next_slot_id();
        self.backoff.insert(ticket, job);
        ctx.run_later(delay, move |actor, ctx| {
            // Behind those that have not been tried at all.
            if let Some(job) = actor.backoff.remove(&ticket) {
                actor.queue.push_back(job);
                actor.admit(ctx);
            }
        });
    }

    fn count_crash(&mut self, job: &Job, failure: &Failure) {
        if failure.kind == FailureKind::Crashed {
            *self.crashes.entry(job.device.name.clone()).or_default() += 1;
        }
    }

    /// A device is done.
    pub(super) fn conclude(&mut self, job: Job, outcome: Outcome, now: Instant) {
        self.taken.remove(&job.device.name);
        match &outcome {
            Outcome::Failed(failure) => self.count_crash(&job, failure),
            Outcome::Ok | Outcome::NotSaved(_) => {
                self.crashes.remove(&job.device.name);
            }
            Outcome::Cancelled(_) => {}
        }
        let id = job.run;
        let finished = self.runs.get(&id).map_or(Duration::ZERO, |run| {
            now.saturating_duration_since(run.started)
        });
        self.record(id, job.into_report(outcome, finished));
        self.close_if_done(id);
    }

    /// Puts a device's report into its run.
    pub(super) fn record(&mut self, id: RunId, report: DeviceReport) {
        self.tell_surely(Event::DeviceFinished(Arc::new(report.clone())));
        if let Some(run) = self.runs.get_mut(&id) {
            run.finished(report);
        }
    }

    /// Ends the run and replies when no device is left.
    pub(super) fn close_if_done(&mut self, id: RunId) {
        if self.runs.get(&id).is_none_or(|run| run.left > 0) {
            return;
        }
        if let Some(run) = self.runs.remove(&id) {
            let (report, reply) = run.into_report(Self::now());
            self.tell_surely(Event::RunFinished(Arc::new(report.clone())));
            // Nobody waits any more when the process is being stopped.
            let _ = reply.send(report);
        }
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

impl Handler<AdmitMore> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: AdmitMore, ctx: &mut Self::Context) {
        self.admit(ctx);
    }
}

impl Handler<StageReply> for Supervisor {
    type Result = ();

    fn handle(&mut self, reply: StageReply, ctx: &mut Self::Context) {
        let id = reply.slot;
        if self.abandoned.remove(&id) {
            return self.came_back(ctx);
        }
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let started = self.runs.get(&slot.job.run).map(|run| run.started);
        let offset = |began: Instant| {
            started.map_or(Duration::ZERO, |started| {
                began.saturating_duration_since(started)
            })
        };
        let input = match reply.result {
            Ok(Ok(done)) => {
                let StageDone {
                    began,
                    took,
                    trail,
                    product,
                } = done;
                slot.job.stage_took(slot.stage, offset(began), took, trail);
                if let Product::Config(config) = product {
                    slot.config = Some(config);
                }
                let (device, stage) = (slot.job.device.name.clone(), slot.stage);
                self.tell(Event::StageFinished {
                    device,
                    stage,
                    took,
                });
                Input::Done
            }
            Ok(Err(failed)) => {
                let StageFailed {
                    failure,
                    began,
                    took,
                    trail,
                    session,
                } = failed;
                slot.job.stage_took(slot.stage, offset(began), took, trail);
                let failure = slot.explain(failure);
                match session {
                    SessionState::Orderly => Input::Failed(failure),
                    SessionState::Gone => Input::Lost(failure),
                }
            }
            Err(lost) => {
                let took = Self::now().saturating_duration_since(slot.stage_began);
                let began = offset(slot.stage_began);
                slot.job
                    .stage_took(slot.stage, began, took, Trail::default());
                Input::Lost(Failure::new(
                    slot.stage,
                    FailureKind::Crashed,
                    format!("the device's thread was lost ({lost}); please report this as a bug"),
                ))
            }
        };
        self.input(id, input, ctx);
    }
}

impl Handler<WriteReply> for Supervisor {
    type Result = ();

    fn handle(&mut self, reply: WriteReply, ctx: &mut Self::Context) {
        let Some(slot) = self.slots.get_mut(&reply.slot) else {
            return;
        };
        let now = Self::now();
        let took = now.saturating_duration_since(slot.stage_began);
        let began = self.runs.get(&slot.job.run).map_or(Duration::ZERO, |run| {
            slot.stage_began.saturating_duration_since(run.started)
        });
        slot.job
            .stage_took(Stage::Write, began, took, Trail::default());
        let message = match reply.result {
            Ok(Ok(stored)) => {
                slot.job.stored = Some(stored);
                let device = slot.job.device.name.clone();
                self.tell(Event::StageFinished {
                    device,
                    stage: Stage::Write,
                    took,
                });
                return self.input(reply.slot, Input::Done, ctx);
            }
            Ok(Err(error)) => error.to_string(),
            Err(lost) => format!("the archivist was lost ({lost}); please report this as a bug"),
        };
        let failure = Failure::new(Stage::Write, FailureKind::Archive, message);
        self.input(reply.slot, Input::Failed(failure), ctx);
    }
}

impl Slot {
    /// Closes the device's connection for good.
    pub(super) fn cut(&mut self, cause: Cause, now: Instant) {
        self.cancelled.get_or_insert((cause, now));
        self.cancel.cancel();
    }
}
