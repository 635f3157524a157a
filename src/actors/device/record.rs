//! A device's session on tape.

use super::DeviceActor;
use crate::actors::crash::fenced;
use crate::actors::messages::{Product, RunStage, Served};
use crate::model::stage::{Stage, Trail};
use crate::session::trace::{FlightRecorder, Recording, Tape};
use std::sync::Arc;
use std::time::SystemTime;

/// How a stage ended, as a trace tells it: `ok` and what it brought, or the kind of the failure and
/// its message.
#[must_use]
pub fn told(result: &Served) -> String {
    match result {
        Ok(done) => match &done.product {
            Product::Nothing => "ok".to_owned(),
            Product::Config { config, .. } => {
                format!(
                    "ok {} {} bytes",
                    config.proof().name(),
                    config.bytes().len()
                )
            }
        },
        Err(failed) => format!("{} {}", failed.failure.kind, failed.failure.message),
    }
}

impl DeviceActor {
    pub(super) fn begin_recording(&mut self, request: RunStage) {
        if request.stage == Stage::Connect && self.recording.is_none() {
            let clock = self.edges.connector.clock();
            let start = |recorder: &Arc<FlightRecorder>| {
                recorder.start(&self.spec.device, clock, SystemTime::now())
            };
            self.recording = self.edges.recorder.as_ref().map(start);
        }
        if let Some(recording) = &self.recording {
            recording.tape().stage(request.stage, request.deadline);
        }
    }

    pub(super) fn record_end(&self, stage: Stage, result: &Served) {
        if let Some(recording) = &self.recording {
            let trail = match result {
                Ok(done) => &done.trail,
                Err(failed) => &failed.trail,
            };
            note_trail(recording.tape(), trail);
            recording.tape().ended(stage, told(result));
        }
    }

    /// Keeps the trace, where it is to be kept, and says what the operator should know of it.
    pub(super) fn end_recording(&mut self) -> Option<String> {
        let recording = self.recording.take()?;
        fenced(|| Recording::finish(recording)).unwrap_or_else(|place| {
            Some(format!(
                "no trace of the session was kept: wrmem itself crashed at {place}; please report \
                 this as a bug"
            ))
        })
    }
}

fn note_trail(tape: &Tape, trail: &Trail) {
    for step in &trail.steps {
        tape.note(format!(
            "{} took {:.4} s",
            step.step.name(),
            step.took.as_secs_f64()
        ));
    }
    if let Some(algorithms) = &trail.algorithms {
        tape.note(format!(
            "algorithms: {}, {}, {} {}",
            algorithms.kex, algorithms.host_key, algorithms.cipher, algorithms.mac
        ));
    }
    for (name, value) in &trail.facts {
        tape.note(format!("fact: {name} = {value}"));
    }
    for note in &trail.notes {
        tape.note(format!("note: {note}"));
    }
}

impl Drop for DeviceActor {
    /// An attempt that was given up is worth a trace more than others.
    fn drop(&mut self) {
        if let Some(note) = self.end_recording() {
            log::info!("{}: {note}", self.spec.device.name);
        }
    }
}
