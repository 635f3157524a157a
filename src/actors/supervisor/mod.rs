//! The supervisor: the queue, the admission limit, the devices in flight, the results of the runs.
//!
//! For each device it holds a [`crate::flow::Flow`], asks it for the next step and performs it. It
//! decides nothing itself. The report of a run is the reply to [`StartRun`], built from its own
//! table: no sink can lose it.
//!
//! - `job`: one device on its way through a run.
//! - `run`: one run and its results.
//! - `perform`: steps into messages.
//! - `replies`: answers into inputs.
//! - `conclude`: attempts and runs that are over.
//! - `watch`: deadlines, draining, threads that do not come back.

mod conclude;
mod job;
mod perform;
mod replies;
mod run;
#[cfg(test)]
mod tests;
mod watch;

use super::device::StartDevice;
use super::messages::{RunRefused, RunStatus, SlotId, StartRun, Status, Tell, WriteConfig};
use crate::flow::Flow;
use crate::flow::retry::RetryPolicy;
use crate::model::device::DeviceName;
use crate::model::event::Event;
use crate::model::failure::{Failure, FailureKind};
use crate::model::report::{Outcome, RunReport};
use crate::model::stage::Stage;
use crate::session::gate::RunGate;
use crate::session::{Clock, LoginGate};
use actix::{Actor, AsyncContext, Context, Handler, Recipient, ResponseFuture};
use job::{Job, Slot};
use run::{Run, RunId};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::oneshot;

/// How many attempts are begun before other messages get their turn.
const ADMITTED_AT_ONCE: usize = 64;

/// A device that crashed wrmem this often in a row is not touched any more.
const CRASHES_MAX: u32 = 3;

/// How the supervisor paces attempts, and whom it talks to.
pub struct Parts {
    /// Starts device actors.
    pub devices: Box<dyn StartDevice>,
    /// Makes configs durable.
    pub archivist: Recipient<WriteConfig>,
    /// Is told what happens.
    pub collector: Recipient<Tell>,
    /// The clock of the login gate.
    pub clock: Arc<dyn Clock>,
    /// The longest wait before a second attempt.
    pub backoff_base: Duration,
    /// The longest wait before any attempt.
    pub backoff_cap: Duration,
    /// The seed of the jitter.
    pub seed: u64,
}

/// The supervisor of all devices.
pub struct Supervisor {
    parts: Parts,
    rng: fastrand::Rng,
    runs: BTreeMap<RunId, Run>,
    queue: VecDeque<Job>,
    backoff: HashMap<SlotId, Job>,
    slots: BTreeMap<SlotId, Slot>,
    // Every device that is queued, in flight or in backoff in any run.
    taken: HashSet<DeviceName>,
    crashes: HashMap<DeviceName, u32>,
    abandoned: HashSet<SlotId>,
    draining: bool,
    next_id: u64,
    events_dropped: u64,
}

impl Supervisor {
    /// A supervisor with nothing to do yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(parts.seed),
            parts,
            runs: BTreeMap::new(),
            queue: VecDeque::new(),
            backoff: HashMap::new(),
            slots: BTreeMap::new(),
            taken: HashSet::new(),
            crashes: HashMap::new(),
            abandoned: HashSet::new(),
            draining: false,
            next_id: 0,
            events_dropped: 0,
        }
    }

    fn next_slot_id(&mut self) -> SlotId {
        self.next_id += 1;
        SlotId(self.next_id)
    }

    /// tokio's clock, because tests stop it.
    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn tell(&mut self, event: Event) {
        if self.parts.collector.try_send(Tell(event)).is_err() {
            self.events_dropped += 1;
            if self.events_dropped == 1 {
                log::warn!("the output is slower than the run: progress lines are being left out");
            }
        }
    }

    /// For the facts that are bounded by the number of devices: not dropped under load.
    fn tell_surely(&self, event: Event) {
        self.parts.collector.do_send(Tell(event));
    }

    fn begin(&mut self, start: StartRun, reply: oneshot::Sender<RunReport>) -> RunId {
        self.next_id += 1;
        let id = RunId(self.next_id);
        let gate: Arc<dyn LoginGate> = Arc::new(RunGate::new(Arc::clone(&self.parts.clock)));
        let now = Self::now();
        let mut run = Run::new(&start, now, SystemTime::now(), gate, reply);
        let (devices, busy): (Vec<_>, Vec<_>) = start
            .devices
            .into_iter()
            .partition(|device| !self.taken.contains(&device.name));
        run.busy = busy.iter().map(|device| device.name.clone()).collect();
        run.left = devices.len() + start.broken.len();
        self.tell_surely(run.started_event(&devices));
        self.runs.insert(id, run);
        for broken in start.broken {
            let failure = Failure::new(
                Stage::Connect,
                FailureKind::Settings,
                broken.message.clone(),
            );
            let report = job::untried(broken.name, broken.host, broken.platform, failure);
            self.record(id, report);
        }
        for device in devices {
            self.taken.insert(device.name.clone());
            let retry = RetryPolicy {
                attempts: device.attempts,
                base: self.parts.backoff_base,
                cap: self.parts.backoff_cap,
            };
            let flow = Flow::new(start.work, device.save, retry);
            let job = Job::new(id, device, flow, now);
            if self
                .crashes
                .get(&job.device.name)
                .is_some_and(|n| *n >= CRASHES_MAX)
            {
                self.conclude(job, Outcome::Failed(job::in_quarantine(CRASHES_MAX)), now);
            } else {
                self.queue.push_back(job);
            }
        }
        self.close_if_done(id);
        id
    }

    fn status(&self) -> Status {
        Status {
            in_flight: self.slots.len(),
            queued: self.queue.len(),
            in_backoff: self.backoff.len(),
            runs: self.runs.len(),
            abandoned: self.abandoned.len(),
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Bounded by the devices in flight: each has one reply outstanding.
        ctx.set_mailbox_capacity(0);
        ctx.run_interval(watch::SWEEP_EVERY, |actor, ctx| actor.sweep(ctx));
    }
}

impl Handler<StartRun> for Supervisor {
    type Result = ResponseFuture<Result<RunReport, RunRefused>>;

    fn handle(&mut self, start: StartRun, ctx: &mut Self::Context) -> Self::Result {
        if self.draining {
            return Box::pin(async { Err(RunRefused::Draining) });
        }
        let (reply, report) = oneshot::channel();
        self.begin(start, reply);
        self.admit(ctx);
        Box::pin(async move { report.await.map_err(|_| RunRefused::Draining) })
    }
}

impl Handler<RunStatus> for Supervisor {
    type Result = Status;

    fn handle(&mut self, _: RunStatus, _: &mut Self::Context) -> Self::Result {
        self.status()
    }
}
