//! The supervisor: the queue, the admission limit, the devices in flight, the results of the runs.
//!
//! For each device it holds a [`crate::flow::Flow`], asks it for the next step and performs it. It
//! decides nothing itself. The report of a run is the reply to [`StartRun`], built from its own
//! table: no sink can lose it.
//!
//! - `begin`: a run begins.
//! - `memory`: what outlives the process.
//! - `job`: one device on its way through a run.
//! - `queue`: devices that wait.
//! - `run`: one run and its results.
//! - `perform`: steps into messages.
//! - `replies`: answers into inputs.
//! - `conclude`: attempts and runs that are over.
//! - `withdraw`: devices that wait and are not wanted any more, or by somebody else.
//! - `watch`: deadlines, draining, threads that do not come back.

mod begin;
mod conclude;
mod job;
mod memory;
mod perform;
mod queue;
mod replies;
mod run;
#[cfg(test)]
pub(super) mod tests;
mod watch;
mod withdraw;

use super::device::StartDevice;
use super::messages::{EndRun, RunRefused, RunStatus, SlotId, StartRun, Status, Tell, WriteConfig};
use crate::model::device::DeviceName;
use crate::model::event::Event;
use crate::model::limit::LimitSet;
use crate::model::report::RunReport;
use crate::session::Clock;
use crate::session::gate::LoginPace;
use actix::{Actor, Context, Handler, Recipient, ResponseFuture};
use job::{Job, Slot};
pub use memory::Memory;
use queue::Queue;
use run::{Listeners, Run, RunId};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How the supervisor paces attempts, and whom it talks to.
pub struct Parts {
    /// Starts device actors.
    pub devices: Box<dyn StartDevice>,
    /// Makes configs durable.
    pub archivist: Recipient<WriteConfig>,
    /// Is told when a run is over.
    pub run_ends: Recipient<EndRun>,
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
    /// What outlives the process.
    pub memory: Memory,
}

/// The supervisor of all devices.
pub struct Supervisor {
    parts: Parts,
    rng: fastrand::Rng,
    runs: BTreeMap<RunId, Run>,
    queue: Queue,
    // What bounds all devices of all runs, as the last run that began asked for.
    all: LimitSet,
    // What is left of that: 0 where threads that do not come back hold every slot.
    slots_left: usize,
    logins: Arc<LoginPace>,
    slots: BTreeMap<SlotId, Slot>,
    // Those of them that are still to be called.
    uncalled: HashSet<SlotId>,
    // Every device that is queued, in flight or in backoff in any run.
    taken: HashSet<DeviceName>,
    // Devices that are wanted again once their present run is done with them.
    parked: HashMap<DeviceName, VecDeque<Job>>,
    abandoned: HashSet<SlotId>,
    // Whether the devices in flight are to be looked through in a moment.
    watching: bool,
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
            queue: Queue::default(),
            all: LimitSet::of_all(None, None),
            slots_left: usize::MAX,
            logins: Arc::default(),
            slots: BTreeMap::new(),
            uncalled: HashSet::new(),
            taken: HashSet::new(),
            parked: HashMap::new(),
            abandoned: HashSet::new(),
            watching: false,
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

    fn tell(&mut self, id: RunId, event: Event) {
        let Some(run) = self.runs.get(&id) else {
            return;
        };
        let tell = Tell {
            run: run.listeners.run,
            event,
        };
        if let Some(told) = &run.listeners.told {
            // It may be slow or gone; its own answer comes another way.
            let _ = told.try_send(tell.clone());
        }
        if self.parts.collector.try_send(tell).is_err() {
            self.events_dropped += 1;
            if self.events_dropped == 1 {
                log::warn!("the output is slower than the run: progress lines are being left out");
            }
        }
    }

    /// For the facts that are bounded by the number of devices: not dropped under load.
    fn tell_surely(&self, listeners: &Listeners, event: Event) {
        let tell = Tell {
            run: listeners.run,
            event,
        };
        if let Some(told) = &listeners.told {
            told.do_send(tell.clone());
        }
        self.parts.collector.do_send(tell);
    }

    fn status(&self) -> Status {
        Status {
            in_flight: self.slots.len(),
            queued: self.queue.queued(),
            in_backoff: self.queue.in_backoff(),
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
    }
}

impl Handler<StartRun> for Supervisor {
    type Result = ResponseFuture<Result<RunReport, RunRefused>>;

    fn handle(&mut self, start: StartRun, ctx: &mut Self::Context) -> Self::Result {
        if self.draining {
            return Box::pin(async { Err(RunRefused::Draining) });
        }
        let (reply, report) = oneshot::channel();
        self.begin(start, reply, ctx);
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
