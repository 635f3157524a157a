//! A run begins: what is expected of it is told, its devices are queued.

use super::Supervisor;
use super::job::{self, Job};
use super::memory::Trace;
use super::run::{Begun, Run, RunId};
use super::withdraw::await_break_off;
use crate::actors::messages::{Lane, StartRun, Tell};
use crate::flow::breaker::Verdict;
use crate::flow::forecast::{self, Outlook};
use crate::flow::pacing::{OfSchedule, RunPace, Turn};
use crate::flow::retry::RetryPolicy;
use crate::flow::{Flow, Work};
use crate::model::device::{BrokenDevice, Device, DeviceName};
use crate::model::failure::{Failure, FailureKind};
use crate::model::forecast::{Bound, Forecast};
use crate::model::limit::{LimitSet, section};
use crate::model::report::{Outcome, RunReport};
use crate::model::stage::Stage;
use crate::session::LoginGate;
use crate::session::gate::RunGate;
use crate::state::journal::Weight;
use actix::{Context, Recipient};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

impl Supervisor {
    pub(super) fn begin(
        &mut self,
        mut start: StartRun,
        reply: oneshot::Sender<RunReport>,
        ctx: &mut Context<Self>,
    ) {
        let now = Self::now();
        self.next_id += 1;
        let id = RunId(self.next_id);
        let lane = std::mem::replace(&mut start.lane, Lane::alone());
        let wishes = Wishes::of(lane);
        let devices = std::mem::take(&mut start.devices);
        let [devices, parked, busy] = self.split(devices, wishes.turn, now);
        self.all = LimitSet::of_all(Some(start.in_flight.max(1)), start.logins);
        self.logins.bound_all(start.logins);
        let outlook = self.look_ahead(&start, &devices, now);
        let pace = RunPace {
            mode: start.mode,
            at_most: wishes.at_most,
            spread: outlook.spread.map(|spread| now + spread),
            of_schedule: wishes.of_schedule,
        };
        let sets = self.queue.open_run(&self.all, pace, now);
        self.bound_queue();
        let begun = Begun {
            now,
            at: (self.parts.memory.wall)(),
            sets,
            forecast: outlook.forecast,
            gate: self.login_gate(),
            told: wishes.told,
            turn: wishes.turn,
            reply,
        };
        let mut run = Run::new(&start, begun);
        run.busy = busy.iter().map(|device| device.name.clone()).collect();
        run.expects(devices.len() + parked.len() + start.broken.len());
        let all: Vec<_> = devices.iter().chain(&parked).cloned().collect();
        self.tell_surely(&run.listeners, run.started_event(&all));
        self.remember_begin(id, &run);
        self.runs.insert(id, run);
        if let Some(break_off) = wishes.break_off {
            await_break_off(id, break_off, ctx);
        }
        for broken in start.broken {
            self.record(id, unfit(broken), Trace::PLAIN);
        }
        for device in forecast::first_tries(devices, start.mode, |device| device) {
            let mut job = self.job(id, device, start.work, now);
            job.not_after = wishes.not_after.get(&job.device.name).copied();
            self.take_on(job, now);
        }
        for device in parked {
            let job = self.job(id, device, start.work, now);
            self.park(job);
        }
        self.close_if_done(id);
    }

    /// Splits devices into those that nobody has, those that are waited for, and those left out.
    fn split(
        &mut self,
        devices: Vec<Arc<Device>>,
        turn: Turn,
        now: Instant,
    ) -> [Vec<Arc<Device>>; 3] {
        if turn == Turn::Asked {
            self.let_go_for(&devices, now);
        }
        let (free, taken) = devices
            .into_iter()
            .partition(|device| !self.taken.contains(&device.name));
        match turn {
            Turn::Asked => [free, taken, Vec::new()],
            Turn::First | Turn::Again => [free, Vec::new(), taken],
        }
    }

    fn login_gate(&self) -> Arc<dyn LoginGate> {
        let (clock, logins) = (Arc::clone(&self.parts.clock), Arc::clone(&self.logins));
        Arc::new(RunGate::new(clock, logins))
    }

    fn look_ahead(&self, start: &StartRun, devices: &[Arc<Device>], now: Instant) -> Outlook {
        let outlook = forecast::outlook(
            &forecast::Plan {
                devices,
                times: &start.times,
                work: start.work,
                mode: start.mode,
                all: &self.all,
                window: start.finish_within,
            },
            now,
        );
        if !outlook.forecast.fits() {
            warn_late(&outlook.forecast);
        }
        outlook
    }

    fn job(&self, id: RunId, device: Arc<Device>, work: Work, now: Instant) -> Job {
        let flow = self.flow(&device, work, device.attempts);
        Job::new(id, device, flow, now)
    }

    fn flow(&self, device: &Device, work: Work, attempts: u32) -> Flow {
        let retry = RetryPolicy {
            attempts,
            base: self.parts.backoff_base,
            cap: self.parts.backoff_cap,
        };
        Flow::new(work, device.saving(), retry)
    }

    /// Queues a device that nobody has, unless it is to be left alone.
    pub(super) fn take_on(&mut self, mut job: Job, now: Instant) {
        let Some(run) = self.runs.get(&job.run) else {
            return;
        };
        let (sets, turn, work) = (run.sets, run.turn, run.work);
        self.taken.insert(job.device.name.clone());
        job.device = self.without_resting(job.run, Arc::clone(&job.device));
        match self.verdict(job.run, &job.device) {
            Verdict::Try => self.queue.enqueue(job, sets, turn, now),
            Verdict::TryOnce => {
                job.flow = self.flow(&job.device, work, 1);
                self.queue.enqueue(job, sets, Turn::Again, now);
            }
            Verdict::Leave(failure) => {
                job.weight = Weight::LeftAlone;
                self.conclude(job, Outcome::Failed(failure), now);
            }
        }
    }
}

/// What a lane means for a run.
struct Wishes {
    turn: Turn,
    of_schedule: OfSchedule,
    at_most: Option<usize>,
    told: Option<Recipient<Tell>>,
    break_off: Option<oneshot::Receiver<Duration>>,
    not_after: HashMap<DeviceName, Instant>,
}

impl Wishes {
    fn of(lane: Lane) -> Self {
        match lane {
            Lane::Scheduled { not_after } => Self {
                turn: Turn::First,
                of_schedule: OfSchedule::Yes,
                at_most: None,
                told: None,
                break_off: None,
                not_after,
            },
            Lane::Asked {
                at_most,
                told,
                break_off,
            } => Self {
                turn: Turn::Asked,
                of_schedule: OfSchedule::No,
                at_most,
                told,
                break_off,
                not_after: HashMap::new(),
            },
        }
    }
}

fn unfit(broken: BrokenDevice) -> crate::model::report::DeviceReport {
    let failure = Failure::new(Stage::Connect, FailureKind::Settings, broken.message);
    job::untried(broken.name, broken.host, broken.platform, failure)
}

/// The limits leave no room in the window; the run is made all the same.
fn warn_late(forecast: &Forecast) {
    let held_by = match &forecast.bound {
        Bound::Device | Bound::Window => "its slowest device takes that long".to_owned(),
        Bound::InFlight { set, most } => {
            format!("{}.in_flight allows {most} devices at once", section(set))
        }
        Bound::Logins { set, rate } => {
            format!("{}.logins_per_second allows {rate}", section(set))
        }
    };
    log::warn!(
        "this run is expected to take about {} s, longer than run.finish_within ({} s): {held_by}; it \
         goes as fast as that allows",
        forecast.expected.as_secs(),
        forecast.window.unwrap_or_default().as_secs(),
    );
}
