//! The conversation on a vty.

use super::{Clock, SessionError, Transport};
use crate::model::config::Config;
use crate::model::device::Device;
use crate::model::failure::FailureKind;
use crate::model::stage::Trail;
use std::sync::Arc;
use std::time::Instant;

/// The conversation with one device, from its first prompt to its last.
pub struct Dialogue {
    transport: Box<dyn Transport>,
}

/// What the device said to `wr mem` when it saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The line that proves it, as text.
    pub said: String,
}

impl Dialogue {
    /// Learns the prompt, enters privileged mode where needed, turns paging off and checks the
    /// privilege. The deadline is `device.deadlines.prompt` from now, or `deadline` if that is sooner.
    ///
    /// # Errors
    /// Says what the device did instead. The transport is closed then.
    pub fn open(
        transport: Box<dyn Transport>,
        device: &Device,
        clock: Arc<dyn Clock>,
        deadline: Instant,
        trail: &mut Trail,
    ) -> Result<Self, SessionError> {
        let _ = (device, clock, deadline, trail);
        Ok(Self { transport })
    }

    /// Saves the running-config on the device and checks its word for it.
    ///
    /// # Errors
    /// Says what the device said instead.
    pub fn save(&mut self, deadline: Instant, trail: &mut Trail) -> Result<Saved, SessionError> {
        let _ = (deadline, trail);
        Err(SessionError::new(FailureKind::Protocol, "not built"))
    }

    /// Reads the config and proves it whole.
    ///
    /// # Errors
    /// Says why what was read is not provably the config.
    pub fn fetch(&mut self, deadline: Instant, trail: &mut Trail) -> Result<Config, SessionError> {
        let _ = (deadline, trail);
        Err(SessionError::new(FailureKind::Protocol, "not built"))
    }

    /// Says goodbye and ends the session; waits for nothing, cannot fail, may be called again.
    pub fn close(&mut self) {
        self.transport.close();
    }
}
