//! Either way of talking to a device, behind one door.

use super::Dialogue;
use super::commands::Commands;
use crate::model::config::{Config, Info};
use crate::model::device::Device;
use crate::model::platform::Channel;
use crate::model::save::SaveNeed;
use crate::model::stage::Trail;
use crate::session::{Clock, SessionError, Transport};
use std::sync::Arc;
use std::time::Instant;

/// The conversation with one device, on the channel that its platform names.
pub enum Conversation {
    /// Typed at a prompt.
    Shell(Box<Dialogue>),
    /// Commands on channels of their own.
    Exec(Box<Commands>),
}

impl Conversation {
    /// Makes `transport` ready for the work; see [`Dialogue::open`].
    ///
    /// # Errors
    /// Says what the device did instead. The transport is closed then.
    pub fn open(
        transport: Box<dyn Transport>,
        device: &Arc<Device>,
        clock: Arc<dyn Clock>,
        deadline: Instant,
        trail: &mut Trail,
    ) -> Result<Self, SessionError> {
        Ok(match device.platform.channel {
            Channel::Shell => {
                let dialogue = Dialogue::open(transport, device, clock, deadline, trail)?;
                Self::Shell(Box::new(dialogue))
            }
            Channel::Exec => {
                Self::Exec(Box::new(Commands::new(transport, device, clock, deadline)))
            }
        })
    }

    /// Saves the running-config on the device; see [`Dialogue::save`].
    ///
    /// # Errors
    /// Says what the device said instead.
    pub fn save(&mut self, deadline: Instant, trail: &mut Trail) -> Result<(), SessionError> {
        match self {
            Self::Shell(dialogue) => dialogue.save(deadline, trail),
            Self::Exec(commands) => commands.save(deadline, trail),
        }
    }

    /// Reads the config and proves it whole.
    ///
    /// # Errors
    /// Says why what was read is not provably the config.
    pub fn fetch(&mut self, deadline: Instant, trail: &mut Trail) -> Result<Config, SessionError> {
        match self {
            Self::Shell(dialogue) => dialogue.fetch(deadline, trail),
            Self::Exec(commands) => commands.fetch(deadline, trail),
        }
    }

    /// Whether the device has to be saved, now that its config was read; see
    /// [`Dialogue::need_to_save`]. Where there is no prompt nothing tells of unsaved changes.
    pub fn need_to_save(&self, config: &Config, trail: &mut Trail) -> SaveNeed {
        match self {
            Self::Shell(dialogue) => dialogue.need_to_save(config, trail),
            Self::Exec(_) => SaveNeed::Needed,
        }
    }

    /// Asks what is to be kept beside the config, once that is read; cannot fail.
    pub fn info(&mut self, deadline: Instant, trail: &mut Trail) -> Option<Info> {
        match self {
            Self::Shell(dialogue) => dialogue.info(deadline, trail),
            Self::Exec(commands) => commands.info(deadline, trail),
        }
    }

    /// Checks that what `last_good` needs is alive; see [`Dialogue::check_presence`].
    ///
    /// # Errors
    /// Of kind `Unproven`, naming the dead parts.
    pub fn check_presence(&self, last_good: &[u8]) -> Result<(), SessionError> {
        match self {
            Self::Shell(dialogue) => dialogue.check_presence(last_good),
            Self::Exec(_) => Ok(()),
        }
    }

    /// Ends the session; waits for nothing, cannot fail, may be called again.
    pub fn close(&mut self) {
        match self {
            Self::Shell(dialogue) => dialogue.close(),
            Self::Exec(commands) => commands.close(),
        }
    }
}
