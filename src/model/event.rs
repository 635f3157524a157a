//! What happens in a run, told to whoever listens.

use super::device::DeviceName;
use super::failure::Failure;
use super::forecast::Forecast;
use super::report::{DeviceReport, Mode, RunReport};
use super::stage::Stage;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A fact about a run, in the past tense.
#[derive(Debug, Clone)]
pub enum Event {
    /// A run began.
    RunStarted {
        /// How many devices it has.
        devices: usize,
        /// On how many of them it will save.
        saves: usize,
        /// On how many more it will save where there is need.
        may_save: usize,
        /// The admission limit.
        in_flight_limit: usize,
        /// One by one or all at once.
        mode: Mode,
        /// What is expected of it.
        forecast: Forecast,
    },
    /// A device entered a stage.
    StageStarted {
        /// Which device.
        device: DeviceName,
        /// Which stage.
        stage: Stage,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// A stage ended well.
    StageFinished {
        /// Which device.
        device: DeviceName,
        /// Which stage.
        stage: Stage,
        /// How long it took.
        took: Duration,
    },
    /// An attempt failed and another one follows.
    RetryScheduled {
        /// Which device.
        device: DeviceName,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// Why.
        failure: Failure,
        /// How long until the next attempt may begin.
        delay: Duration,
    },
    /// A device is done, well or not.
    DeviceFinished(Arc<DeviceReport>),
    /// The run is over.
    RunFinished(Arc<RunReport>),
}

/// Something that listens to events. A sink must not block for long and its failure harms nobody:
/// the report of a run does not depend on any sink.
pub trait EventSink: Send {
    /// Takes notice of `event`.
    fn on(&mut self, event: &Event);

    /// The same of the run that began at `run`, for sinks that tell runs apart.
    fn on_in(&mut self, run: SystemTime, event: &Event) {
        let _ = run;
        self.on(event);
    }

    /// Nothing more will come; lets buffered output out.
    fn finish(&mut self) {}
}
