//! The parts of the process, put together and watched.

use super::reload::Reading;
use super::standing::Standing;
use super::{Daemon, service};
use crate::actors::alive::{Duties, Loss, Pace, Silence, Watchdog, Watched};
use crate::actors::messages::StartRun;
use crate::actors::scheduler::{Scheduler, SchedulerParts, SystemClock};
use crate::app::{AppError, Orchestrator};
use crate::flow::escalation::Escalation;
use crate::settings::Source;
use actix::Actor;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How often actors are asked whether they are alive, and how long they may take to answer.
pub const WATCHDOG: Pace = Pace {
    every: Duration::from_secs(10),
    bound: Duration::from_secs(30),
};

/// What a process works with.
pub struct Setup {
    /// Where its settings come from.
    pub source: Source,
    /// What they say.
    pub reading: Reading,
    /// Where the report of each run goes, over that of the run before.
    pub report: Option<PathBuf>,
    /// How often actors are asked whether they are alive.
    pub watchdog: Pace,
    /// Ends the process because an actor is lost; called on the watchdog's thread.
    pub on_loss: Box<dyn FnOnce(Loss) + Send>,
}

/// Starts the scheduler and the watchdog.
pub(super) async fn begin(orchestrator: Orchestrator, setup: Setup) -> Result<Daemon, AppError> {
    let (sender, over) = mpsc::unbounded_channel();
    let scheduler = Scheduler::new(SchedulerParts {
        supervisor: orchestrator.supervisor().clone().recipient::<StartRun>(),
        over: sender.clone(),
        remember: orchestrator.recorder(),
        clock: Box::new(SystemClock),
    })
    .start();
    let mut watched = orchestrator.watched();
    watched.push(Watched {
        name: "scheduler",
        actor: scheduler.clone().recipient(),
        silence: Silence::IsLoss,
    });
    let watchdog = Watchdog::start(
        watched,
        pace(setup.watchdog),
        Duties {
            all_well: Box::new(service::alive),
            on_loss: setup.on_loss,
        },
    )
    .map_err(AppError::Watchdog)?;
    let daemon = Daemon {
        orchestrator: Rc::new(orchestrator),
        scheduler,
        over,
        tell_over: sender,
        serving: JoinSet::new(),
        watchdog,
        source: setup.source,
        began_with: setup.reading.settings.clone(),
        reading: setup.reading,
        report: setup.report,
        standing: Standing::new(Instant::now()),
        escalation: Escalation::default(),
    };
    daemon.schedule().await?;
    Ok(daemon)
}

/// At least three signs of life in the time that the service manager allows.
fn pace(pace: Pace) -> Pace {
    match service::watchdog() {
        Some(limit) => Pace {
            every: pace.every.min(limit / 3),
            bound: pace.bound.min(limit),
        },
        None => pace,
    }
}
