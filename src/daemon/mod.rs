//! The long-running orchestrator: backs devices up on their schedules until it is asked to stop.
//!
//! - `begin`: the parts, put together and watched.
//! - [`reload`]: new settings for a process that goes on; `reloading`: reading them meanwhile.
//! - `watch`: notices that the settings files have changed.
//! - `standing`: how it goes, for the log and the service manager.
//! - `service`: what the service manager is told.

mod begin;
pub mod reload;
mod reloading;
mod service;
mod standing;
mod watch;

pub use begin::{Setup, WATCHDOG};

use crate::actors::alive::Watchdog;
use crate::actors::messages::{
    AskSchedule, RunOver, RunStatus, Scheduled, SetInventory, StopScheduling,
};
use crate::actors::scheduler::{Scheduler, follow};
use crate::app::{AppError, Orchestrator};
use crate::flow::escalation::Escalation;
use crate::model::failure::FailureKind;
use crate::model::report::{Outcome, RunReport};
use crate::report::json;
use crate::settings::{Counts, Settings, Source, credentials_changed};
use actix::Addr;
use jiff::Timestamp;
use reload::{BadSettings, Changes, Reading, Shrinking, merge};
use reloading::{Reloading, Wish};
use standing::Standing;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
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
    orchestrator: Orchestrator,
    scheduler: Addr<Scheduler>,
    over: mpsc::UnboundedReceiver<RunOver>,
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
            watchdog,
            mut standing,
            report,
            ..
        } = self;
        scheduler.do_send(StopScheduling);
        orchestrator.drain(grace);
        drop(watchdog);
        // Once the scheduler is gone and its runs have ended, nothing is left that could tell of one.
        drop(scheduler);
        while let Some(over) = over.recv().await {
            if let RunOver::Report(run) = over {
                keep(&run, report.as_ref(), &orchestrator);
                standing.run_over(&run);
            }
        }
        orchestrator.close().await;
    }

    /// Hands the present inventory to the scheduler.
    async fn schedule(&self) -> Result<(), AppError> {
        let devices = with_last_tries(&self.reading.devices, &self.orchestrator);
        let count = devices.len();
        let set = SetInventory {
            in_flight: self.orchestrator.in_flight_for(count),
            logins: self.reading.settings.run.logins,
            devices,
            credentials_changed: credentials_changed(&self.source.dir),
        };
        let missed = self.scheduler.send(set).await;
        let missed = missed.map_err(|_| AppError::ActorLost("scheduler"))?;
        if missed.devices == 0 {
            log::info!("{count} devices on schedule");
        } else {
            log::info!(
                "{count} devices on schedule; {} missed their turn or were never tried: {}",
                missed.devices,
                follow(missed.within)
            );
        }
        Ok(())
    }

    /// Takes new settings in, if they are good. Nothing in them ends the process.
    async fn reloaded(
        &mut self,
        wish: Wish,
        read: Result<Reading, BadSettings>,
    ) -> Result<(), AppError> {
        let taken = match read {
            Err(bad) => Err(bad.to_string()),
            Ok(reading) => self.take_in(reading, wish.shrinking),
        };
        match &taken {
            Err(why) => {
                log::error!("the settings stay as they were: {why}");
                self.standing.settings_are_bad(why);
            }
            Ok(changes) if changes.is_empty() => {
                log::info!("settings read: {changes}");
                self.standing.settings_are_good();
            }
            Ok(changes) => {
                let level = match changes.kept.is_empty() {
                    true => log::Level::Info,
                    false => log::Level::Error,
                };
                log::log!(
                    level,
                    "settings read: {}",
                    changes.to_string().replace('\n', "; ")
                );
                self.standing.settings_are_good();
                self.schedule().await?;
            }
        }
        wish.answer(&taken);
        service::ready();
        self.tell_standing().await
    }

    fn take_in(&mut self, reading: Reading, shrinking: Shrinking) -> Result<Changes, String> {
        let Reading {
            settings,
            devices,
            warnings,
        } = reading;
        let (devices, mut changes) =
            merge(&self.reading.devices, devices, shrinking).map_err(|error| error.to_string())?;
        for warning in &warnings {
            log::warn!("{warning}");
        }
        changes.settings = self.reading.settings.changes_to(&settings);
        self.orchestrator.set_in_flight(settings.run.in_flight);
        let waiting = self.began_with.changes_to(&settings);
        self.standing.wait_for_restart(
            waiting
                .into_iter()
                .filter(|changed| changed.counts == Counts::AfterRestart)
                .map(|changed| changed.key)
                .collect(),
        );
        self.standing
            .keep_only(devices.iter().map(|scheduled| scheduled.who.name()));
        self.reading = Reading {
            settings,
            devices,
            warnings,
        };
        Ok(changes)
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
    if let Err(error) = orchestrator.keep_host_keys() {
        log::error!("{error}");
    }
}
/// The devices, with what was known when the process began of when they were last tried.
fn with_last_tries(devices: &[Scheduled], orchestrator: &Orchestrator) -> Vec<Scheduled> {
    let tried: HashMap<_, _> = orchestrator
        .remembered()
        .tried
        .iter()
        .filter_map(|(name, at)| Some((name, Timestamp::try_from(*at).ok()?)))
        .collect();
    let mut devices = devices.to_vec();
    for device in &mut devices {
        device.last_tried = tried.get(device.who.name()).copied();
    }
    devices
}
