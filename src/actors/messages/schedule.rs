//! What is said to the scheduler, and what it says of its runs.

use super::RunRefused;
use crate::flow::agenda::Missed;
use crate::flow::schedule::Schedule;
use crate::model::device::{BrokenDevice, Device, DeviceName};
use crate::model::limit::LoginRate;
use crate::model::report::RunReport;
use actix::{Message, MessageResponse};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::SystemTime;

/// How a scheduled run ended.
#[derive(Debug)]
pub enum RunOver {
    /// With its report.
    Report(Box<RunReport>),
    /// It was refused because wrmem is being stopped; its devices are still due.
    Refused(RunRefused),
    /// The supervisor is gone: nothing will ever be backed up again by this process.
    SupervisorLost,
}

/// A device as the scheduler gets it.
#[derive(Debug, Clone)]
pub enum Who {
    /// One to work on.
    Sound(Arc<Device>),
    /// One whose settings are faulty: it fails whenever it is due.
    Broken(BrokenDevice),
}

impl Who {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &DeviceName {
        match self {
            Self::Sound(device) => &device.name,
            Self::Broken(device) => &device.name,
        }
    }
}

/// A device with its schedule.
#[derive(Debug, Clone)]
pub struct Scheduled {
    /// The device.
    pub who: Who,
    /// When it is due.
    pub schedule: Arc<Schedule>,
    /// When it was last tried, as far as is known; later facts of the scheduler's own count more.
    pub last_tried: Option<Timestamp>,
}

/// Replaces the inventory. Answered with what was found to be missed.
#[derive(Debug, Message)]
#[rtype(result = "Missed")]
pub struct SetInventory {
    /// All devices; those left out are not begun any more.
    pub devices: Vec<Scheduled>,
    /// How many devices a run may have in flight.
    pub in_flight: usize,
    /// How often devices may be logged in to, all together.
    pub logins: Option<LoginRate>,
    /// When the credentials were last changed, where that is known.
    pub credentials_changed: Option<SystemTime>,
}

/// Begins no more runs; those under way go on.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopScheduling;

/// Asks how things stand. Whatever was sent before it has been taken in when it is answered.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "ScheduleStatus")]
pub struct AskSchedule;

/// How things stand at the scheduler.
#[derive(Debug, Clone, PartialEq, Eq, MessageResponse)]
pub struct ScheduleStatus {
    /// How many devices it has.
    pub devices: usize,
    /// When the next one is due.
    pub next: Option<Timestamp>,
    /// Runs begun so far.
    pub runs: u64,
    /// Turns skipped so far because the device was still busy.
    pub overruns: u64,
}
