//! What outlives the process: breakers decide whom to leave alone, the recorder is told what happened.

use super::Supervisor;
use super::job::Job;
use super::run::{Run, RunId, commit};
use crate::actors::messages::{NotRecorded, Release, Remember, Settle, Tell};
use crate::flow::breaker::{Breakers, Change, Ending, Verdict};
use crate::model::device::Device;
use crate::model::event::Event;
use crate::model::failure::{Failure, FailureKind};
use crate::model::health::Health;
use crate::model::history::Incident;
use crate::model::report::{DeviceReport, Outcome, RunReport};
use crate::state::journal::{DeviceEnded, Entry, RunBegan, RunEnded, RunKey, Weight};
use actix::{Handler, MailboxError, Recipient};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long the end of a run waits until it is recorded; a disk that hangs must not hide the report.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// What the supervisor knows from before, and whom it tells what is to be known later.
pub struct Memory {
    /// Takes what is to be remembered.
    pub remember: Recipient<Remember>,
    /// Answers when all that is durable.
    pub settle: Recipient<Settle>,
    /// Whom to leave alone.
    pub breakers: Breakers,
    /// What the clock on the wall shows.
    pub wall: fn() -> SystemTime,
}

/// What is remembered of a device's end besides its report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace {
    pub(super) weight: Weight,
    pub(super) health: Option<Health>,
}

impl Trace {
    /// Of a device whose end changes nothing about its health.
    pub(super) const PLAIN: Self = Self {
        weight: Weight::Counts,
        health: None,
    };
}

impl Supervisor {
    fn remember(&self, entry: Entry) {
        self.parts.memory.remember.do_send(Remember(entry));
    }

    /// Whether the run that a device belongs to is remembered: a mere look at logins is not.
    fn is_remembered(&self, run: RunId) -> bool {
        self.runs.get(&run).is_some_and(Run::is_remembered)
    }

    pub(super) fn remember_begin(&self, id: RunId, run: &Run) {
        if run.is_remembered() {
            self.remember(Entry::RunBegan(RunBegan {
                run: RunKey(id.0),
                started: run.listeners.run,
                mode: run.mode,
                trigger: run.asked.trigger,
                devices: run.left,
            }));
        }
    }

    /// What the breakers say about a device of a run that begins.
    pub(super) fn verdict(&self, id: RunId, device: &Device) -> Verdict {
        let memory = &self.parts.memory;
        match self.runs.get(&id) {
            Some(run) if run.is_remembered() => memory.breakers.verdict(
                &device.name,
                &device.credentials.name,
                &run.asked,
                (memory.wall)(),
            ),
            _ => Verdict::Try,
        }
    }

    /// The device without those of its several credentials that rest; all of them where none is left.
    pub(super) fn without_resting(&self, id: RunId, device: Arc<Device>) -> Arc<Device> {
        let memory = &self.parts.memory;
        let Some(run) = self.runs.get(&id).filter(|run| run.is_remembered()) else {
            return device;
        };
        if device.fallbacks.is_empty() || run.asked.named.contains(&device.name) {
            return device;
        }
        let now = (memory.wall)();
        let rests = |name: &str| memory.breakers.credentials_rest(name, &run.asked, now);
        if device.all_credentials().all(|it| rests(&it.name).is_none()) {
            return device;
        }
        let fewer = device.with_credentials(|it| rests(&it.name).is_none());
        fewer.map_or(device, Arc::new)
    }

    /// Takes note where an attempt ended in a crash.
    pub(super) fn count_crash(&mut self, job: &Job, failure: &Failure) {
        if failure.kind == FailureKind::Crashed && self.is_remembered(job.run) {
            let memory = &mut self.parts.memory;
            let now = (memory.wall)();
            let change = memory.breakers.crashed(&job.device.name, now);
            self.tell_change(job, change, now);
        }
    }

    /// Whether a device came into quarantine while it was tried.
    pub(super) fn is_in_quarantine(&self, job: &Job) -> bool {
        let health = self.parts.memory.breakers.health(&job.device.name);
        health.quarantine.is_some() && self.is_remembered(job.run)
    }

    /// A device is done: what that means for its breaker.
    pub(super) fn settle_health(&mut self, job: &Job, outcome: &Outcome) -> Trace {
        let weight = job.weight;
        if weight == Weight::LeftAlone || !self.is_remembered(job.run) {
            return Trace {
                weight,
                health: None,
            };
        }
        let memory = &mut self.parts.memory;
        let now = (memory.wall)();
        let health = |breakers: &Breakers| -> Vec<_> {
            let names = job.device.all_credentials().map(|it| it.name.clone());
            names
                .map(|name| (breakers.credential_health(&name), name))
                .collect()
        };
        let before = health(&memory.breakers);
        let ending = Ending {
            device: &job.device.name,
            credentials: job
                .credentials
                .as_ref()
                .unwrap_or(&job.device.credentials.name),
            refused: &job.refused,
            outcome,
            login: job.login(),
        };
        let changes = memory.breakers.ended(&ending, now);
        let after = health(&memory.breakers);
        let health = memory.breakers.health(&job.device.name);
        for change in changes {
            self.tell_change(job, change, now);
        }
        for ((before, _), (after, name)) in before.into_iter().zip(after) {
            if before != after {
                self.remember(Entry::Credentials(name, after));
            }
        }
        Trace {
            weight,
            health: Some(health),
        }
    }

    fn tell_change(&self, job: &Job, change: impl Into<Option<Change>>, now: SystemTime) {
        let Some(change) = change.into() else {
            return;
        };
        let told = change.told();
        let (who, device) = match change {
            Change::CredentialsRest(..) => {
                let refused = match job.refused.as_slice() {
                    [] => job.device.credentials.name.clone(),
                    several => several.join(", "),
                };
                let who = format!("credentials {refused:?}");
                log::warn!("{who}: {told}");
                (Some(who), None)
            }
            Change::Quarantined(..) => {
                log::error!("{}: {told}", job.device.name);
                (None, Some(job.device.name.clone()))
            }
            Change::Opened(_) | Change::Closed => {
                log::info!("{}: {told}", job.device.name);
                (None, Some(job.device.name.clone()))
            }
        };
        self.remember(Entry::Incident(Incident {
            at: now,
            device,
            kind: change.name().to_owned(),
            message: who.map_or(told.clone(), |who| format!("{who}: {told}")),
        }));
    }

    pub(super) fn remember_device(&self, id: RunId, report: &DeviceReport, trace: Trace) {
        if !self.is_remembered(id) {
            return;
        }
        self.remember(Entry::DeviceEnded(Box::new(DeviceEnded {
            run: RunKey(id.0),
            device: report.name.clone(),
            ended: (self.parts.memory.wall)(),
            outcome: report.outcome.clone(),
            weight: trace.weight,
            stored: report.stored.clone(),
            took: report.busy(),
            attempts: report.attempts.len(),
            health: trace.health,
        })));
    }

    /// Gives the report out when the run is committed and recorded.
    pub(super) fn reply(&self, id: RunId, run: Run) {
        let remembered = run.is_remembered();
        let mut listeners = vec![self.parts.collector.clone()];
        listeners.extend(run.listeners.told.clone());
        let archivist = run.stores().then(|| self.parts.run_ends.clone());
        let (mut report, reply) = run.into_report(Self::now());
        let settled = remembered.then(|| {
            self.remember(Entry::RunEnded(RunEnded {
                run: RunKey(id.0),
                ended: (self.parts.memory.wall)(),
                wall: report.wall,
                counts: report.counts(),
            }));
            timeout(SETTLE_MAX, self.parts.memory.settle.send(Settle))
        });
        actix_rt::spawn(async move {
            if let Some(archivist) = archivist {
                commit(archivist, &mut report).await;
            }
            if let Some(settled) = settled {
                tell_unsettled(settled.await.ok());
            }
            give_out(&listeners, report, reply);
        });
    }
}

/// Not dropped under load, as other events are: there is one for each run.
fn give_out(listeners: &[Recipient<Tell>], report: RunReport, reply: oneshot::Sender<RunReport>) {
    let shared = Arc::new(report.clone());
    for listener in listeners {
        listener.do_send(Tell {
            run: report.started_at,
            event: Event::RunFinished(Arc::clone(&shared)),
        });
    }
    // Nobody waits any more when the process is being stopped.
    let _ = reply.send(report);
}

fn tell_unsettled(settled: Option<Result<Result<(), NotRecorded>, MailboxError>>) {
    let reason = match settled {
        Some(Ok(Ok(()))) => return,
        Some(Ok(Err(error))) => error.to_string(),
        Some(Err(lost)) => format!("the recorder was lost ({lost}); please report this as a bug"),
        None => format!("that took longer than {} s", SETTLE_MAX.as_secs()),
    };
    log::error!("this run is not recorded, or not whole: {reason}");
}

impl Handler<Release> for Supervisor {
    type Result = ();

    fn handle(&mut self, Release(devices): Release, _: &mut Self::Context) {
        for released in devices {
            if self.parts.memory.breakers.release(&released) {
                let device = &released.device;
                log::info!("{device}: released by hand; it is tried when it is due");
            }
        }
    }
}

#[cfg(test)]
mod tests;
