//! The lines of a run on stdout, one per fact, in the words of the exercise.

use super::color::{Color, Tint};
use super::format::{counted, plain};
use crate::model::device::DeviceName;
use crate::model::event::{Event, EventSink};
use crate::model::report::{DeviceReport, Mode, Outcome, RunReport};
use crate::model::stage::Stage;
use std::collections::HashSet;
use std::io::{BufWriter, Write};

/// Prints a line for each fact of a run. Each line is let out at once, so that a person sees it
/// live. When the other end goes away (`wrmem backup | head`) it falls silent.
pub struct Console<W: Write + Send> {
    out: Option<BufWriter<W>>,
    color: Color,
    told: HashSet<DeviceName>,
}

impl<W: Write + Send> Console<W> {
    /// Prints to `out`.
    pub fn new(out: W, color: Color) -> Self {
        Self {
            out: Some(BufWriter::new(out)),
            color,
            told: HashSet::new(),
        }
    }

    fn line(&mut self, text: &str, tint: Option<Tint>) {
        let Some(out) = self.out.as_mut() else {
            return;
        };
        let written = match tint.filter(|_| self.color == Color::On) {
            Some(tint) => writeln!(out, "{}{text}{}", tint.begin(), Tint::END),
            None => writeln!(out, "{text}"),
        };
        if written.and_then(|()| out.flush()).is_err() {
            self.fall_silent();
        }
    }

    fn fall_silent(&mut self) {
        // Taken apart, because dropping a BufWriter would try to write once more.
        if let Some(out) = self.out.take() {
            drop(out.into_parts());
        }
    }

    fn device_finished(&mut self, device: &DeviceReport) {
        if !self.told.insert(device.name.clone()) {
            return;
        }
        let name = &device.name;
        let (line, tint) = match &device.outcome {
            Outcome::Ok => (format!("Device {name} finished successfully."), Tint::Good),
            Outcome::NotSaved(failure) => (
                format!(
                    "Device {name} backed up, not saved: {}",
                    plain(&failure.message)
                ),
                Tint::Warning,
            ),
            Outcome::Failed(failure) => (
                format!("Device {name} failed: {}", plain(&failure.to_string())),
                Tint::Bad,
            ),
            Outcome::Cancelled(failure) => (
                format!("Device {name} cancelled: {}", plain(&failure.to_string())),
                Tint::Warning,
            ),
        };
        self.line(&line, Some(tint));
    }

    /// Events may be dropped under load, the fate of a device may not.
    fn tell_missing(&mut self, report: &RunReport) {
        for device in &report.devices {
            self.device_finished(device);
        }
    }
}

impl<W: Write + Send> EventSink for Console<W> {
    fn on(&mut self, event: &Event) {
        match event {
            Event::RunStarted {
                devices,
                saves,
                in_flight_limit,
                mode,
            } => {
                self.told.clear();
                let pace = pace(*devices, *in_flight_limit, *mode);
                let line = opening(*devices, *saves, &pace);
                self.line(&line, None);
            }
            Event::StageStarted { device, stage, .. } => {
                if let Some(words) = stage_words(*stage) {
                    self.line(&format!("{words} | {device}"), None);
                }
            }
            Event::StageFinished { .. } | Event::RetryScheduled { .. } => {}
            Event::DeviceFinished(device) => self.device_finished(device),
            Event::RunFinished(report) => self.tell_missing(report),
        }
    }

    fn finish(&mut self) {
        if self.out.as_mut().is_some_and(|out| out.flush().is_err()) {
            self.fall_silent();
        }
    }
}

fn opening(devices: usize, saves: usize, pace: &str) -> String {
    let saving = match saves {
        0 => "saving on none".to_owned(),
        _ => format!("saving on {saves} first"),
    };
    format!(
        "Backing up {}, {saving}, {pace}",
        counted(devices, "device")
    )
}

fn pace(devices: usize, in_flight_limit: usize, mode: Mode) -> String {
    match mode {
        Mode::Sequential => "one by one".to_owned(),
        Mode::Concurrent if devices <= in_flight_limit => "all at once".to_owned(),
        Mode::Concurrent => format!("at most {in_flight_limit} at once"),
    }
}

/// The words of the exercise; it says nothing when it disconnects.
const fn stage_words(stage: Stage) -> Option<&'static str> {
    match stage {
        Stage::Connect => Some("Connecting to device"),
        Stage::Save => Some("Saving configuration"),
        Stage::Backup => Some("Backing up configuration"),
        Stage::Write => Some("Writing config to file"),
        Stage::Disconnect => None,
    }
}
