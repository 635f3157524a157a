//! A host that devices are reached through.

use super::device::Device;

/// A jump host: it passes connections on to devices that cannot be reached from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JumpHost {
    /// How it is reached and logged in to, maybe through another one in front of it. No command is
    /// run on it, so its platform plays no part.
    pub endpoint: Device,
    /// How many devices one connection to it carries at once; at least 1.
    pub channels: usize,
    /// How many connections to it there are at most; at least 1.
    pub sessions: usize,
}

impl JumpHost {
    /// How many devices one connection carries where nothing is said.
    pub const CHANNELS: usize = 32;
    /// How many connections there are where nothing is said.
    pub const SESSIONS: usize = 4;

    /// Its name in the settings.
    #[must_use]
    pub fn name(&self) -> &str {
        self.endpoint.name.as_str()
    }
}
