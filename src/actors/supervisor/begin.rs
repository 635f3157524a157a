//! A run begins: what is expected of it is told, its devices are queued.

use super::Supervisor;
use super::job::{self, Job};
use super::memory::Trace;
use super::run::{Begun, Run, RunId};
use crate::actors::messages::StartRun;
use crate::flow::breaker::Verdict;
use crate::flow::forecast::{self, Outlook};
use crate::flow::pacing::Turn;
use crate::flow::retry::RetryPolicy;
use crate::flow::{Flow, Work};
use crate::model::device::{BrokenDevice, Device};
use crate::model::failure::{Failure, FailureKind};
use crate::model::forecast::{Bound, Forecast};
use crate::model::limit::{LimitSet, section};
use crate::model::report::{Outcome, RunReport};
use crate::model::stage::Stage;
use crate::session::LoginGate;
use crate::session::gate::RunGate;
use crate::state::journal::Weight;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

impl Supervisor {
    pub(super) fn begin(&mut self, mut start: StartRun, reply: oneshot::Sender<RunReport>) {
        let now = Self::now();
        self.next_id += 1;
        let id = RunId(self.next_id);
        let devices = std::mem::take(&mut start.devices);
        let (devices, busy): (Vec<_>, Vec<_>) = devices
            .into_iter()
            .partition(|device| !self.taken.contains(&device.name));
        self.all = LimitSet::of_all(Some(start.in_flight.max(1)), start.logins);
        self.logins.bound_all(start.logins);
        let outlook = self.look_ahead(&start, &devices, now);
        let spread = outlook.spread.map(|spread| now + spread);
        let sets = self.queue.open_run(&self.all, (start.mode, spread), now);
        self.bound_queue();
        let begun = Begun {
            now,
            at: (self.parts.memory.wall)(),
            sets,
            forecast: outlook.forecast,
            gate: self.login_gate(),
            reply,
        };
        let mut run = Run::new(&start, begun);
        run.busy = busy.iter().map(|device| device.name.clone()).collect();
        run.left = devices.len() + start.broken.len();
        self.tell_surely(run.started_event(&devices));
        self.remember_begin(id, &run);
        self.runs.insert(id, run);
        for broken in start.broken {
            self.record(id, unfit(broken), Trace::PLAIN);
        }
        for device in forecast::first_tries(devices, start.mode, |device| device) {
            self.take_on(id, device, start.work, now);
        }
        self.close_if_done(id);
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

    fn take_on(&mut self, id: RunId, device: Arc<Device>, work: Work, now: Instant) {
        let Some(sets) = self.runs.get(&id).map(|run| run.sets) else {
            return;
        };
        self.taken.insert(device.name.clone());
        let verdict = self.verdict(id, &device);
        let retry = RetryPolicy {
            attempts: match verdict {
                Verdict::TryOnce => 1,
                Verdict::Try | Verdict::Leave(_) => device.attempts,
            },
            base: self.parts.backoff_base,
            cap: self.parts.backoff_cap,
        };
        let flow = Flow::new(work, device.saving(), retry);
        let mut job = Job::new(id, device, flow, now);
        match verdict {
            Verdict::Try => self.queue.enqueue(job, sets, Turn::First, now),
            Verdict::TryOnce => self.queue.enqueue(job, sets, Turn::Again, now),
            Verdict::Leave(failure) => {
                job.weight = Weight::LeftAlone;
                self.conclude(job, Outcome::Failed(failure), now);
            }
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
