//! Attempts and runs that are over.

use super::Supervisor;
use super::job::{self, Job};
use super::memory::Trace;
use super::run::RunId;
use crate::flow::Step;
use crate::flow::pacing::Permit;
use crate::model::event::Event;
use crate::model::failure::Failure;
use crate::model::report::{DeviceReport, Outcome};
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Supervisor {
    /// An attempt is over: the slot is free, the device waits again or is done.
    pub(super) fn after_attempt(&mut self, (mut job, permit): (Job, Permit), step: Step) {
        let now = Self::now();
        self.queue.give_back(permit, now);
        if let Some(run) = self.runs.get_mut(&job.run) {
            run.slot_given_back();
            job.end_attempt(now, run.started);
        }
        if let Step::Retry { failure, .. } | Step::Finish(Outcome::Failed(failure)) = &step {
            self.count_crash(&job, failure);
        }
        match step {
            Step::Finish(outcome) => self.conclude(job, outcome, now),
            Step::Retry { failure, .. } if self.draining || self.is_in_quarantine(&job) => {
                self.conclude(job, Outcome::Failed(failure), now);
            }
            Step::Retry { failure, delay } => self.wait_for_retry(job, failure, delay),
            // A flow never asks for a stage when an attempt is over.
            Step::Run(stage) => self.conclude(job, Outcome::Failed(job::interrupted(stage)), now),
        }
    }

    fn wait_for_retry(&mut self, mut job: Job, failure: Failure, delay: Duration) {
        log::info!(
            device = job.device.name.as_str(), stage = failure.stage.name(),
            kind = failure.kind.name(), attempt = job.flow.attempt();
            "{}: attempt {} failed: {failure}; the next one in {:.1} s",
            job.device.name,
            job.flow.attempt(),
            delay.as_secs_f64()
        );
        let event = Event::RetryScheduled {
            device: job.device.name.clone(),
            attempt: job.flow.attempt(),
            failure,
            delay,
        };
        self.tell(job.run, event);
        job.waiting_since = Self::now();
        let ticket = self.next_slot_id();
        let moment = job.waiting_since + delay;
        self.queue.enqueue_at(moment, ticket, job);
    }

    /// A device is done.
    pub(super) fn conclude(&mut self, job: Job, outcome: Outcome, now: Instant) {
        if !job.parked {
            self.pass_on(&job.device.name, now);
        }
        let trace = self.settle_health(&job, &outcome);
        let id = job.run;
        let finished = self.runs.get(&id).map_or(Duration::ZERO, |run| {
            now.saturating_duration_since(run.started)
        });
        self.record(id, job.into_report(outcome, finished), trace);
        self.close_if_done(id);
    }

    /// Puts a device's report into its run.
    pub(super) fn record(&mut self, id: RunId, report: DeviceReport, trace: Trace) {
        self.remember_device(id, &report, trace);
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        run.finished(report.clone());
        let listeners = run.listeners.clone();
        self.tell_surely(&listeners, Event::DeviceFinished(Arc::new(report)));
    }

    /// Ends the run and replies when no device is left.
    pub(super) fn close_if_done(&mut self, id: RunId) {
        if self.runs.get(&id).is_none_or(|run| run.left > 0) {
            return;
        }
        if let Some(run) = self.runs.remove(&id) {
            self.queue.close_run(run.sets);
            self.reply(id, run);
        }
    }
}
