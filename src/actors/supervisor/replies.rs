//! What devices and archivist answered, as inputs for the flows.

use super::{Supervisor, job::Slot};
use crate::actors::messages::{
    Product, SessionState, StageDone, StageFailed, StageReply, WriteReply,
};
use crate::flow::Input;
use crate::model::event::Event;
use crate::model::failure::{Failure, FailureKind};
use crate::model::stage::{Stage, StepName, Trail};
use actix::{Handler, MailboxError};
use std::time::{Duration, Instant};

impl Handler<StageReply> for Supervisor {
    type Result = ();

    fn handle(&mut self, reply: StageReply, ctx: &mut Self::Context) {
        let id = reply.slot;
        if self.abandoned.remove(&id) {
            return self.came_back(ctx);
        }
        self.called(id, ctx);
        self.count_logins(&reply);
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
                } = *done;
                slot.job.stage_took(slot.stage, offset(began), took, trail);
                let input = slot.take_product(product);
                let (device, stage) = (slot.job.device.name.clone(), slot.stage);
                let run = slot.job.run;
                let event = Event::StageFinished {
                    device,
                    stage,
                    took,
                };
                self.tell(run, event);
                input
            }
            Ok(Err(failed)) => {
                let StageFailed {
                    failure,
                    began,
                    took,
                    trail,
                    session,
                } = *failed;
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
                Input::Lost(thread_lost(slot.stage, lost))
            }
        };
        self.input(id, input, ctx);
    }
}

impl Supervisor {
    /// Keeps the paces right: who was not reached made no login, who needed two made two.
    fn count_logins(&mut self, reply: &StageReply) {
        let slot = self.slots.get(&reply.slot);
        let Some(slot) = slot.filter(|slot| slot.stage == Stage::Connect) else {
            return;
        };
        if let Some(times) = logins_made(reply) {
            self.queue.logged_in(&slot.permit, times, Self::now());
        }
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
        let (kind, message) = match reply.result {
            Ok(Ok(stored)) => {
                slot.job.stored(stored);
                let event = Event::StageFinished {
                    device: slot.job.device.name.clone(),
                    stage: Stage::Write,
                    took,
                };
                let run = slot.job.run;
                self.tell(run, event);
                return self.input(reply.slot, Input::Done, ctx);
            }
            Ok(Err(error)) => (error.kind(), error.to_string()),
            Err(lost) => (
                FailureKind::Archive,
                format!("the archivist was lost ({lost}); please report this as a bug"),
            ),
        };
        let failure = Failure::new(Stage::Write, kind, message);
        self.input(reply.slot, Input::Failed(failure), ctx);
    }
}

/// How often a device was logged in to while it was connected to, or while that was tried.
fn logins_made(reply: &StageReply) -> Option<u32> {
    let trail = match &reply.result {
        Ok(Ok(done)) => &done.trail,
        Ok(Err(failed)) => &failed.trail,
        Err(_) => return None,
    };
    let logins = trail
        .steps
        .iter()
        .filter(|step| step.step == StepName::Auth);
    u32::try_from(logins.count()).ok()
}

impl Slot {
    /// Keeps what a stage brought until the archivist gets it.
    fn take_product(&mut self, product: Product) -> Input {
        match product {
            Product::Nothing => Input::Done,
            Product::Config { config, info, need } => {
                self.job.proof = Some(config.proof());
                self.config = Some((config, info));
                Input::Read(need)
            }
        }
    }
}

fn thread_lost(stage: Stage, lost: MailboxError) -> Failure {
    Failure::new(
        stage,
        FailureKind::Crashed,
        format!("the device's thread was lost ({lost}); please report this as a bug"),
    )
}
