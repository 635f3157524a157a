//! The long-running orchestrator: backs devices up on their schedules until it is asked to stop.
//!
//! - `tally`: what happened within the last hour.

mod tally;

use crate::actors::messages::{RunOver, Scheduled, SetInventory, StartRun, StopScheduling, Who};
use crate::actors::scheduler::{Scheduler, SchedulerParts, SystemClock, follow};
use crate::app::{AppError, Orchestrator};
use crate::model::report::RunReport;
use crate::report::json;
use crate::settings::{Inventory, Selected, Settings};
use actix::{Actor, Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tally::Tally;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// What is kept up, and how.
pub struct Plan {
    /// All devices with their schedules.
    pub devices: Vec<Scheduled>,
    /// How long devices in flight may go on when it is stopped.
    pub grace: Duration,
    /// Where the report of each run goes, over that of the run before.
    pub report: Option<PathBuf>,
}

/// The devices of an inventory with their schedules. One whose settings are faulty is due like any
/// other, and fails each time, so that it is not forgotten.
#[must_use]
pub fn scheduled(selected: Selected, inventory: &Inventory, settings: &Settings) -> Vec<Scheduled> {
    let overall = Arc::new(settings.run.schedule.clone());
    let mut schedules = inventory.schedules();
    let sound = selected.devices.into_iter().map(Arc::new).map(Who::Sound);
    let broken = selected.broken.into_iter().map(Who::Broken);
    sound
        .chain(broken)
        .map(|who| Scheduled {
            schedule: schedules
                .remove(who.name())
                .unwrap_or_else(|| Arc::clone(&overall)),
            who,
            last_tried: None,
        })
        .collect()
}

/// Keeps the devices backed up until `stop` is ready, then lets those in flight end.
///
/// # Errors
/// When the supervisor is gone: the process must end, so that it is started again.
pub async fn run(
    orchestrator: Orchestrator,
    plan: Plan,
    stop: impl Future<Output = ()>,
) -> Result<(), AppError> {
    let (over, mut ended) = mpsc::unbounded_channel();
    let scheduler = start_scheduler(&orchestrator, over, &plan).await?;
    let mut stop = std::pin::pin!(stop);
    let mut tally = Tally::new(Instant::now());
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = sleep_until(tally.due()) => tally.tell(Instant::now()),
            Some(over) = ended.recv() => run_over(over, &orchestrator, &plan, &mut tally)?,
        }
    }
    log::info!(
        "stopping: devices in flight may go on for {} s",
        plan.grace.as_secs()
    );
    scheduler.do_send(StopScheduling);
    orchestrator.drain(plan.grace);
    // Once the scheduler is gone and its runs have ended, nothing is left that could tell of one.
    drop(scheduler);
    while let Some(over) = ended.recv().await {
        run_over(over, &orchestrator, &plan, &mut tally)?;
    }
    orchestrator.close().await;
    Ok(())
}

async fn start_scheduler(
    orchestrator: &Orchestrator,
    over: mpsc::UnboundedSender<RunOver>,
    plan: &Plan,
) -> Result<Addr<Scheduler>, AppError> {
    let scheduler = Scheduler::new(SchedulerParts {
        supervisor: orchestrator.supervisor().clone().recipient::<StartRun>(),
        over,
        clock: Box::new(SystemClock),
    })
    .start();
    let set = SetInventory {
        devices: plan.devices.clone(),
        in_flight: orchestrator.in_flight_for(plan.devices.len()),
    };
    let missed = scheduler.send(set).await;
    let missed = missed.map_err(|_| AppError::ActorLost("scheduler"))?;
    let devices = plan.devices.len();
    if missed.devices == 0 {
        log::info!("{devices} devices on schedule");
    } else {
        log::info!(
            "{devices} devices on schedule; {} missed their turn or were never tried: {}",
            missed.devices,
            follow(missed.within)
        );
    }
    Ok(scheduler)
}

/// Tells how a run ended. Nothing that a device or a disk does ends the process.
fn run_over(
    over: RunOver,
    orchestrator: &Orchestrator,
    plan: &Plan,
    tally: &mut Tally,
) -> Result<(), AppError> {
    let report = match over {
        RunOver::Report(report) => report,
        // Said already by whoever stops it.
        RunOver::Refused(_) => return Ok(()),
        RunOver::SupervisorLost => return Err(AppError::ActorLost("supervisor")),
    };
    tell(&report);
    tally.add(&report);
    if let Some(path) = plan.report.as_ref().filter(|_| !report.devices.is_empty())
        && let Err(error) = json::to_file(path, &report)
    {
        log::error!("{error}");
    }
    if let Err(error) = orchestrator.keep_host_keys() {
        log::error!("{error}");
    }
    Ok(())
}

/// How many devices that were skipped are named.
const NAMED: usize = 10;

fn tell(report: &RunReport) {
    let counts = report.counts();
    if counts.total > 0 {
        log::info!(
            "run over in {:.3} s: {} ok, {} not saved, {} failed, {} cancelled; {} new, {} changed",
            report.wall.as_secs_f64(),
            counts.succeeded,
            counts.not_saved,
            counts.failed,
            counts.cancelled,
            counts.new,
            counts.changed
        );
    }
    if !report.busy.is_empty() {
        let named: Vec<_> = report
            .busy
            .iter()
            .take(NAMED)
            .map(ToString::to_string)
            .collect();
        let more = report.busy.len().saturating_sub(NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        log::warn!(
            "{} devices skipped their turn, being still busy with the one before: {}{more}; give \
             them more time from turn to turn (every, cron), or look why they are slow",
            report.busy.len(),
            named.join(", ")
        );
    }
}
