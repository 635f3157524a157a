//! The lines of a run on stdout, one per fact, in the words of the exercise.

use super::color::{Color, Tint};
use super::forecast;
use super::format::{counted, plain};
use crate::model::device::DeviceName;
use crate::model::event::{Event, EventSink};
use crate::model::report::{DeviceReport, Mode, Outcome, RunReport};
use crate::model::stage::Stage;
use std::collections::HashSet;
use std::io::{BufWriter, Write};

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The beginning of a run, each stage, and how each device ended.
    Stages,
    /// How each device ended.
    Devices,
}

/// Prints a line for each fact of a run. Each line is let out at once, so that a person sees it
/// live. When the other end goes away (`wrmem backup | head`) it falls silent.
pub struct Console<W: Write + Send> {
    out: Option<BufWriter<W>>,
    color: Color,
    detail: Detail,
    told: HashSet<DeviceName>,
}

impl<W: Write + Send> Console<W> {
    /// Prints to `out`.
    pub fn new(out: W, color: Color) -> Self {
        Self {
            out: Some(BufWriter::new(out)),
            color,
            detail: Detail::Stages,
            told: HashSet::new(),
        }
    }

    /// The same, telling more or less.
    #[must_use]
    pub fn with_detail(self, detail: Detail) -> Self {
        Self { detail, ..self }
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

    /// Events may be dropped under load, the fate of a device may not. Afterwards the run is
    /// forgotten; others may be under way.
    fn tell_missing(&mut self, report: &RunReport) {
        for device in &report.devices {
            self.device_finished(device);
            self.told.remove(&device.name);
        }
    }
}

impl<W: Write + Send> EventSink for Console<W> {
    fn on(&mut self, event: &Event) {
        match event {
            Event::RunStarted {
                devices,
                saves,
                may_save,
                in_flight_limit,
                mode,
                forecast,
            } => {
                if self.detail == Detail::Devices {
                    return;
                }
                let pace = pace(*devices, *in_flight_limit, *mode);
                let line = opening(*devices, *saves, *may_save, &pace);
                self.line(&line, None);
                if *devices > 0 {
                    self.line(&forecast::line(forecast), None);
                }
            }
            Event::StageStarted { device, stage, .. } => {
                if let Some(words) = stage_words(*stage).filter(|_| self.detail == Detail::Stages) {
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

fn opening(devices: usize, saves: usize, may_save: usize, pace: &str) -> String {
    let saving = match (saves, may_save) {
        (0, 0) => "saving on none".to_owned(),
        (_, 0) => format!("saving on {saves}"),
        (0, _) => format!("saving on up to {may_save} where there is need"),
        _ => format!("saving on {saves} and on up to {may_save} more where there is need"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::forecast::{Bound, Forecast};
    use std::io;
    use std::time::Duration;

    #[test]
    fn the_first_line_says_on_how_many_devices_it_will_save() {
        for (devices, (saves, may_save), limit, mode, line) in [
            (
                300,
                (300, 0),
                100,
                Mode::Concurrent,
                "Backing up 300 devices, saving on 300, at most 100 at once\n",
            ),
            (
                3,
                (2, 0),
                100,
                Mode::Concurrent,
                "Backing up 3 devices, saving on 2, all at once\n",
            ),
            (
                3,
                (2, 1),
                100,
                Mode::Concurrent,
                "Backing up 3 devices, saving on 2 and on up to 1 more where there is need, all at \
                 once\n",
            ),
            (
                3,
                (0, 3),
                100,
                Mode::Concurrent,
                "Backing up 3 devices, saving on up to 3 where there is need, all at once\n",
            ),
            (
                1,
                (0, 0),
                1,
                Mode::Sequential,
                "Backing up 1 device, saving on none, one by one\n",
            ),
        ] {
            let mut out = Vec::new();
            Console::new(&mut out, Color::Off).on(&Event::RunStarted {
                devices,
                saves,
                may_save,
                in_flight_limit: limit,
                mode,
                forecast: Forecast {
                    expected: Duration::from_secs(30),
                    bound: Bound::Device,
                    known: devices,
                    assumed: None,
                    window: None,
                },
            });
            let told = String::from_utf8_lossy(&out);
            assert!(told.starts_with(line), "{told}");
            assert!(told.contains("\nExpected to take about 30 s: "), "{told}");
        }
    }

    /// The other end of a pipe that nobody reads any more; counts what is still tried.
    struct Closed<'a>(&'a mut usize);

    impl Write for Closed<'_> {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            *self.0 += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn it_falls_silent_when_nobody_reads() {
        let mut tried = 0;
        let mut console = Console::new(Closed(&mut tried), Color::Off);
        for attempt in 1..=3 {
            console.on(&Event::StageStarted {
                device: DeviceName::new("csr1").expect("good"),
                stage: Stage::Connect,
                attempt,
            });
        }
        console.finish();
        drop(console);
        assert_eq!(tried, 1);
    }
}
