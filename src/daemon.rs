//! The long-running orchestrator: repeats the run until it is asked to stop.

use crate::app::{AppError, Orchestrator, RunRequest};
use crate::model::report::RunReport;
use crate::report::json;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// What is repeated, and how often.
pub struct Plan {
    /// The run.
    pub request: RunRequest,
    /// From one start to the next.
    pub every: Duration,
    /// How long devices in flight may go on when it is stopped.
    pub grace: Duration,
    /// Where the report of each run goes, over that of the run before.
    pub report: Option<PathBuf>,
}

/// Repeats the run every `plan.every` until `stop` is ready, then lets devices in flight end. A run
/// that is still under way when the next one is due goes on; the next one leaves its devices out.
///
/// # Errors
/// When the supervisor is gone: the process must end, so that it is started again.
pub async fn run(
    orchestrator: Orchestrator,
    plan: Plan,
    stop: impl Future<Output = ()>,
) -> Result<(), AppError> {
    let orchestrator = Rc::new(orchestrator);
    let mut stop = std::pin::pin!(stop);
    let mut ticks = interval(plan.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut runs = JoinSet::new();
    log::info!("one run every {} s", plan.every.as_secs());
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = ticks.tick() => {
                let orchestrator = Rc::clone(&orchestrator);
                let request = plan.request.clone();
                runs.spawn_local(async move { orchestrator.run(request).await });
            }
            Some(ended) = runs.join_next() => ended_well(ended, &plan)?,
        }
    }
    log::info!(
        "stopping: devices in flight may go on for {} s",
        plan.grace.as_secs()
    );
    orchestrator.drain(plan.grace);
    while let Some(ended) = runs.join_next().await {
        ended_well(ended, &plan)?;
    }
    if let Some(orchestrator) = Rc::into_inner(orchestrator) {
        orchestrator.close().await;
    }
    Ok(())
}

type Ended = Result<(Option<RunReport>, Result<(), AppError>), tokio::task::JoinError>;

/// Tells how a run ended. Nothing that a device or a disk does ends the process.
fn ended_well(ended: Ended, plan: &Plan) -> Result<(), AppError> {
    let Ok((report, result)) = ended else {
        return Err(AppError::SupervisorLost);
    };
    if let Some(report) = &report {
        tell(report);
        if let Some(path) = &plan.report
            && let Err(error) = json::to_file(path, report)
        {
            log::error!("{error}");
        }
    }
    match result {
        Err(AppError::SupervisorLost) => Err(AppError::SupervisorLost),
        Err(error) => {
            log::error!("{error}");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn tell(report: &RunReport) {
    let counts = report.counts();
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
    if !report.busy.is_empty() {
        log::warn!(
            "{} devices were left out because an earlier run still has them; run.every may be too \
             short",
            report.busy.len()
        );
    }
}
