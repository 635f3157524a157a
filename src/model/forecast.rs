//! What is expected of a run before it begins.

use super::device::DeviceName;
use std::collections::HashMap;
use std::time::Duration;

/// How long devices took when they were last backed up, where that is known.
pub type DeviceTimes = HashMap<DeviceName, Duration>;

/// What a run is expected to take, and what makes it take that long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// From its beginning to its end.
    pub expected: Duration,
    /// What keeps it from being shorter.
    pub bound: Bound,
    /// How many devices have a known time.
    pub known: usize,
    /// What the others are assumed to take; `None` where all are known.
    pub assumed: Option<Duration>,
    /// The time in which it is asked to end (`run.finish_within`).
    pub window: Option<Duration>,
}

impl Forecast {
    /// Whether it is expected to end in its window, where it has one.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.window.is_none_or(|window| self.expected <= window)
    }
}

/// What keeps a run from being shorter. A set is told by its name, empty for all devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// The device that takes the longest.
    Device,
    /// How many devices may be in flight.
    InFlight {
        /// Which set.
        set: String,
        /// How many.
        most: usize,
    },
    /// How often devices may be logged in to.
    Logins {
        /// Which set.
        set: String,
        /// How often.
        rate: super::limit::LoginRate,
    },
    /// It is spread over its window.
    Window,
}
