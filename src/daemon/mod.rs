//! The long-running orchestrator: backs devices up on their schedules until it is asked to stop.
//!
//! - `begin`: the parts, put together and watched.
//! - [`control`]: the socket for other wrmem commands; `handed`: what is done for them;
//!   `telling`: how a run is told to whoever asked for it.
//! - [`reload`]: new settings for a process that goes on; `reloading`: reading them meanwhile;
//!   `takeover`: what becomes of them.
//! - `watch`: notices that the settings files have changed.
//! - `standing`: how it goes, for the log and the service manager.
//! - `service`: what the service manager is told.

mod begin;
pub mod control;
mod handed;
pub mod reload;
mod reloading;
mod service;
mod standing;
mod takeover;
mod telling;
mod watch;

pub use begin::{Setup, WATCHDOG};

use crate::actors::alive::Watchdog;
use crate::actors::messages::{AskSchedule, RunOver, RunStatus, StopScheduling};
use crate::actors::scheduler::Scheduler;
use crate::app::{AppError, Orchestrator};
use crate::flow::escalation::Escalation;
use crate::model::failure::FailureKind;
use crate::model::report::{Outcome, RunReport};
use crate::report::json;
use crate::settings::{Settings, Source};
use actix::Addr;
use reload::Reading;
use reloading::{Reloading, Wish};
use standing::Standing;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often the service manager is told how it goes.
const STATUS_EVERY: Duration = Duration::from_secs(60);

/// What is asked of the process while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// To stop: devices in flight may end.
    Stop,
    /// To read the settings anew.
    Reload,
}

/// Keeps devices backed up until it is asked to stop, then lets those in flight end.
///
/// # Errors
/// When something is lost without which it cannot go on: the process must end, so that it is
/// started again.
pub async fn run(
    orchestrator: Orchestrator,
    setup: Setup,
    requests: mpsc::Receiver<Request>,
) -> Result<(), AppError> {
    let mut daemon = begin::begin(orchestrator, setup).await?;
    service::ready();
    let result = daemon.work(requests).await;
    service::stopping();
    if let Err(error) = &result {
        log::error!("{error}");
    }
    daemon.stop().await;
    result
}

struct Daemon {
    orchestrator: Rc<Orchestrator>,
    scheduler: Addr<Scheduler>,
    over: mpsc::UnboundedReceiver<RunOver>,
    /// For the runs that are not the scheduler's.
    tell_over: mpsc::UnboundedSender<RunOver>,
    /// What is done for clients.
    serving: JoinSet<()>,
    watchdog: Watchdog,
    source: Source,
    /// The settings that count.
    reading: Reading,
    /// The settings that counted at the beginning.
    began_with: Settings,
    report: Option<PathBuf>,
    standing: Standing,
    escalation: Escalation,
}

impl Daemon {
    async fn work(&mut self, mut requests: mpsc::Receiver<Request>) -> Result<(), AppError> {
        let (changed, mut changes) = mpsc::channel(1);
        actix_rt::spawn(watch::watch(self.source.dir.clone(), changed));
        let mut clients = self.listen();
        let mut reloading = Reloading::default();
        let mut ticks = interval(STATUS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request::Stop) | None => return Ok(()),
                    Some(Request::Reload) => reloading.wish(Wish::default()),
                },
                Some(()) = changes.recv() => {
                    log::info!("the files in {} have changed", self.source.dir.display());
                    reloading.wish(Wish::default());
                }
                Some(client) = clients.recv() => self.serve(client, &mut reloading).await,
                Some(_) = self.serving.join_next(), if !self.serving.is_empty() => {}
                (wish, read) = reloading.ended() => self.reloaded(wish, read).await?,
                Some(over) = self.over.recv() => self.run_over(over)?,
                _ = ticks.tick() => self.tell_standing().await?,
            }
            reloading.begin(&self.source);
        }
    }

    /// Lets devices in flight end.
    async fn stop(self) {
        let grace = self.reading.settings.run.grace;
        log::info!(
            "stopping: devices in flight may go on for {} s; once more ends at once",
            grace.as_secs()
        );
        let Self {
            orchestrator,
            scheduler,
            mut over,
            tell_over,
            mut serving,
            watchdog,
            mut standing,
            report,
            ..
        } = self;
        scheduler.do_send(StopScheduling);
        orchestrator.drain(grace);
        drop(watchdog);
        // Once these are gone and their runs have ended, nothing is left that could tell of one.
        drop((scheduler, tell_over));
        while let Some(over) = over.recv().await {
            if let RunOver::Report(run) = over {
                keep(&run, report.as_ref(), &orchestrator);
                standing.run_over(&run);
            }
        }
        while serving.join_next().await.is_some() {}
        if let Some(orchestrator) = Rc::into_inner(orchestrator) {
            orchestrator.close().await;
        }
    }

    /// Takes note of the end of a run. Nothing that a device or a disk does ends the process, unless
    /// much of the fleet crashes it.
    fn run_over(&mut self, over: RunOver) -> Result<(), AppError> {
        let report = match over {
            RunOver::Report(report) => report,
            // Said already by whoever stops it.
            RunOver::Refused(_) => return Ok(()),
            RunOver::SupervisorLost => return Err(AppError::ActorLost("supervisor")),
        };
        keep(&report, self.report.as_ref(), &self.orchestrator);
        self.standing.run_over(&report);
        let now = Instant::now().into_std();
        for device in &report.devices {
            match &device.outcome {
                Outcome::Failed(failure)
                    if failure.kind == FailureKind::Crashed && !device.attempts.is_empty() =>
                {
                    self.escalation.crashed(&device.name, now);
                }
                Outcome::Ok | Outcome::NotSaved(_) => self.escalation.recovered(&device.name),
                Outcome::Failed(_) | Outcome::Cancelled(_) => {}
            }
        }
        let devices = self.reading.devices.len();
        match self.escalation.verdict(devices, now) {
            Some(crashed) => Err(AppError::FleetCrashed { crashed, devices }),
            None => Ok(()),
        }
    }

    /// Tells how it goes, and ends the process where nothing can go on any more.
    async fn tell_standing(&mut self) -> Result<(), AppError> {
        let schedule = self.scheduler.send(AskSchedule).await;
        let schedule = schedule.map_err(|_| AppError::ActorLost("scheduler"))?;
        let runs = self.orchestrator.supervisor().send(RunStatus).await;
        let runs = runs.map_err(|_| AppError::ActorLost("supervisor"))?;
        self.standing.tell_hour(Instant::now());
        service::status(&self.standing.line(&schedule, &runs));
        Ok(())
    }
}

/// Keeps what a run leaves besides configs.
fn keep(report: &RunReport, path: Option<&PathBuf>, orchestrator: &Orchestrator) {
    // A run of which every device was still busy says nothing.
    if let Some(path) = path.filter(|_| !report.devices.is_empty())
        && let Err(error) = json::to_file(path, report)
    {
        log::error!("{error}");
    }
    orchestrator.learn_times(report);
    if let Err(error) = orchestrator.keep_host_keys() {
        log::error!("{error}");
    }
}
