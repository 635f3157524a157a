//! One device on its way through a run: waiting as a [`Job`], in flight as a [`Slot`].

use super::run::RunId;
use crate::actors::messages::RunStage;
use crate::flow::Flow;
use crate::flow::breaker::Login;
use crate::flow::pacing::Permit;
use crate::model::config::{Config, Info, Proof};
use crate::model::device::{Device, DeviceName};
use crate::model::failure::{Failure, FailureKind};
use crate::model::report::{AttemptReport, DeviceReport, Outcome, StageTime, Stored};
use crate::model::save::SaveReport;
use crate::model::stage::{Algorithms, Stage, StepName, Trail};
use crate::session::CancelHandle;
use crate::state::journal::Weight;
use actix::Recipient;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A device and what is known of it so far in this run.
pub(super) struct Job {
    pub(super) run: RunId,
    pub(super) device: Arc<Device>,
    pub(super) flow: Flow,
    /// Whether its end says anything about the device.
    pub(super) weight: Weight,
    /// It is not begun after this moment: its window closes.
    pub(super) not_after: Option<Instant>,
    /// Whether it waits for a device that another run still has.
    pub(super) parked: bool,
    /// Since when it waits for a slot.
    pub(super) waiting_since: Instant,
    waited: Duration,
    attempts: Vec<AttemptReport>,
    notes: Vec<String>,
    algorithms: Option<Algorithms>,
    /// The names of the credentials that let us in, and of those that were refused.
    pub(super) credentials: Option<String>,
    pub(super) refused: Vec<String>,
    /// What proved the config that was read last.
    pub(super) proof: Option<Proof>,
    stored: Option<Stored>,
    save: Option<SaveReport>,
    unsaved: Option<bool>,
}

impl Job {
    pub(super) fn new(run: RunId, device: Arc<Device>, flow: Flow, now: Instant) -> Self {
        Self {
            run,
            flow,
            device,
            weight: Weight::Counts,
            not_after: None,
            parked: false,
            waiting_since: now,
            waited: Duration::ZERO,
            attempts: Vec::new(),
            notes: Vec::new(),
            algorithms: None,
            credentials: None,
            refused: Vec::new(),
            proof: None,
            stored: None,
            save: None,
            unsaved: None,
        }
    }

    /// The wait for a slot is over; a new attempt is on the record.
    pub(super) fn begin_attempt(&mut self, now: Instant, run_started: Instant) {
        self.end_wait(now);
        self.proof = None;
        self.save = None;
        self.unsaved = None;
        let began = now.saturating_duration_since(run_started);
        self.attempts.push(AttemptReport {
            began,
            ended: began,
            stages: Vec::new(),
            failure: None,
        });
    }

    /// The time since it began to wait counts as waited.
    pub(super) fn end_wait(&mut self, now: Instant) {
        self.waited += now.saturating_duration_since(self.waiting_since);
    }

    pub(super) fn end_attempt(&mut self, now: Instant, run_started: Instant) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ended = now.saturating_duration_since(run_started);
        }
    }

    pub(super) fn attempt_failed(&mut self, failure: &Failure) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.failure.get_or_insert_with(|| failure.clone());
        }
    }

    pub(super) fn stage_took(
        &mut self,
        stage: Stage,
        began: Duration,
        took: Duration,
        trail: Trail,
    ) {
        let Trail {
            steps,
            notes,
            algorithms,
            credentials,
            refused,
            save,
            unsaved,
            facts: _,
        } = trail;
        self.save = save.or(self.save.take());
        self.unsaved = unsaved.or(self.unsaved);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.stages.push(StageTime {
                stage,
                began,
                took,
                steps,
            });
        }
        for note in notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        self.credentials = credentials.or(self.credentials.take());
        for name in refused {
            if !self.refused.contains(&name) {
                self.refused.push(name);
            }
        }
        if algorithms.is_some() {
            self.algorithms = algorithms;
        }
    }

    /// The archive has it.
    pub(super) fn stored(&mut self, mut stored: Stored) {
        self.notes.append(&mut stored.notes);
        self.stored = Some(stored);
    }

    /// Whether a login was tried in the last attempt.
    pub(super) fn login(&self) -> Login {
        let stages = self.attempts.last().map_or(&[][..], |last| &last.stages);
        let mut steps = stages.iter().flat_map(|stage| &stage.steps);
        match steps.any(|step| step.step == StepName::Auth) {
            true => Login::Tried,
            false => Login::Untried,
        }
    }

    /// Why its last attempt failed, if there was one.
    pub(super) fn last_failure(&self) -> Option<&Failure> {
        self.attempts.last()?.failure.as_ref()
    }

    /// Whether an attempt was made.
    pub(super) fn is_tried(&self) -> bool {
        !self.attempts.is_empty()
    }

    pub(super) fn into_report(mut self, outcome: Outcome, finished: Duration) -> DeviceReport {
        self.attempts.shrink_to_fit();
        DeviceReport {
            name: self.device.name.clone(),
            host: self.device.host.clone(),
            platform: self.device.platform.name.clone(),
            outcome,
            stored: self.stored,
            proof: self.proof,
            save: self.save,
            unsaved: self.unsaved,
            attempts: self.attempts,
            waited: self.waited,
            finished,
            algorithms: self.algorithms,
            credentials: self.credentials,
            notes: self.notes,
        }
    }
}

/// Why an attempt was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The stage did not end in time.
    Overdue,
    /// The run was interrupted.
    Interrupted,
}

/// A device in flight.
pub(super) struct Slot {
    pub(super) job: Job,
    pub(super) permit: Permit,
    pub(super) actor: Recipient<RunStage>,
    pub(super) cancel: CancelHandle,
    pub(super) stage: Stage,
    pub(super) stage_began: Instant,
    pub(super) stage_deadline: Instant,
    pub(super) attempt_deadline: Instant,
    pub(super) cancelled: Option<(Cause, Instant)>,
    /// What was read and waits to be written.
    pub(super) config: Option<(Config, Option<Info>)>,
}

impl Slot {
    /// What a failure was really about: a cancelled attempt failed for the reason of the cancelling.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        let Some((cause, _)) = self.cancelled else {
            return failure;
        };
        match (failure.kind, cause) {
            (FailureKind::Cancelled, Cause::Overdue) => self.overdue(),
            (FailureKind::Cancelled, Cause::Interrupted) => interrupted(self.stage),
            _ => failure,
        }
    }

    /// The failure of a stage that did not end in time.
    pub(super) fn overdue(&self) -> Failure {
        let budget = self
            .stage_deadline
            .saturating_duration_since(self.stage_began);
        Failure::new(
            self.stage,
            FailureKind::Timeout,
            format!(
                "did not end within {} s, and the device did not notice by itself; look whether it \
                 hangs, or raise its deadlines",
                budget.as_secs()
            ),
        )
    }
}

/// The failure of a device that an interrupted run did not finish.
pub(super) fn interrupted(stage: Stage) -> Failure {
    Failure::new(
        stage,
        FailureKind::Cancelled,
        "interrupted before it was done; run wrmem again to back it up",
    )
}

/// The report of a device that was never tried.
pub(super) fn untried(
    name: DeviceName,
    host: String,
    platform: String,
    failure: Failure,
) -> DeviceReport {
    DeviceReport {
        name,
        host,
        platform,
        outcome: Outcome::Failed(failure),
        stored: None,
        proof: None,
        save: None,
        unsaved: None,
        attempts: Vec::new(),
        waited: Duration::ZERO,
        finished: Duration::ZERO,
        algorithms: None,
        credentials: None,
        notes: Vec::new(),
    }
}
