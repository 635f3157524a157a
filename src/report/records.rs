//! What happens as log records with fields, for those who read the log by a program.

use super::format::plain;
use crate::model::event::{Event, EventSink};
use crate::model::report::{DeviceReport, Outcome};
use std::time::SystemTime;

/// Logs each fact of a run: how devices end, what is tried again, and at debug level each stage.
#[derive(Debug, Default)]
pub struct Records;

impl EventSink for Records {
    fn on(&mut self, event: &Event) {
        self.on_in(SystemTime::UNIX_EPOCH, event);
    }

    fn on_in(&mut self, run: SystemTime, event: &Event) {
        let run = moment(run);
        let run = run.as_str();
        match event {
            Event::StageStarted {
                device,
                stage,
                attempt,
            } => log::debug!(
                run, device = device.as_str(), stage = stage.name(), attempt = *attempt;
                "{device}: {stage} began"
            ),
            Event::StageFinished {
                device,
                stage,
                took,
            } => log::debug!(
                run, device = device.as_str(), stage = stage.name(), seconds = took.as_secs_f64();
                "{device}: {stage} done"
            ),
            Event::DeviceFinished(report) => finished(run, report),
            Event::RunStarted { devices, saves, .. } => log::info!(
                run, devices = *devices, saves = *saves;
                "a run of {devices} devices began, saving on {saves}"
            ),
            // Told by whoever makes it.
            Event::RetryScheduled { .. } | Event::RunFinished(_) => {}
        }
    }
}

/// The moment at which a run began, by which it is told from others.
#[must_use]
pub fn moment(run: SystemTime) -> String {
    let moment = jiff::Timestamp::try_from(run).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{moment:.3}")
}

fn finished(run: &str, report: &DeviceReport) {
    let device = report.name.as_str();
    let outcome = report.outcome.name();
    let attempts = report.attempts.len();
    let seconds = report.busy().as_secs_f64();
    let stored = report
        .stored
        .as_ref()
        .map_or("none", |stored| stored.kind.name());
    match &report.outcome {
        Outcome::Ok => log::info!(
            run, device, outcome, stored, attempts, seconds;
            "{device} finished successfully"
        ),
        Outcome::NotSaved(failure) | Outcome::Failed(failure) | Outcome::Cancelled(failure) => {
            log::warn!(
                run, device, outcome, stored, attempts, seconds,
                stage = failure.stage.name(), kind = failure.kind.name();
                "{device} {outcome}: {}", plain(&failure.to_string())
            );
        }
    }
}
