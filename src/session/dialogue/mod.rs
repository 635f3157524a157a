//! The conversation on a vty.
//!
//! [`Dialogue::open`] learns the prompt by an echo test, enters privileged mode and prepares the
//! session in one write; `save` and `fetch` are one command each. Nothing sleeps: every wait is a
//! read that ends with the soonest of the stage's deadline, the silence limit and the quiet time
//! that would mean something.

mod capture;
mod commands;
mod conversation;
mod enable;
mod exchange;
mod fetch;
mod identity;
mod info;
mod learn;
mod login;
mod pager;
mod privilege;
mod proof;
mod save;
mod unsaved;
mod wire;

pub use commands::Commands;
pub use conversation::Conversation;

use super::{Clock, SessionError, Transport};
use crate::model::config::Config;
use crate::model::device::{Device, Saving};
use crate::model::failure::FailureKind;
use crate::model::save::SaveResult;
use crate::model::stage::Trail;
use crate::text::presence;
use crate::text::prompt::Prompt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{Limits, Wire};

/// The most bytes that the login or a short command may bring.
const TALK_MAX: usize = 1 << 20;

/// Whether a typed command comes back on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Echo {
    Shown,
    Hidden,
}

/// Where the conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The prompt came back after the last command.
    AtPrompt,
    /// A command went wrong and the prompt was not seen since.
    Adrift,
}

/// The conversation with one device, from its first prompt to its last.
pub struct Dialogue {
    wire: Wire,
    device: Arc<Device>,
    prompt: Prompt,
    echo: Echo,
    standing: Standing,
    /// The device's answer to the platform's question for its living parts.
    alive: Option<String>,
    /// Why the device must not be saved, as it said itself.
    guarded: Option<String>,
    /// Whether it confirmed in this session that it saved.
    saved: bool,
    /// The last prompt that was seen with the mark of unsaved changes.
    marked: Option<Vec<u8>>,
}

impl Dialogue {
    /// Learns the prompt, enters privileged mode where needed, turns paging off and checks the
    /// privilege. The deadline is `device.deadlines.prompt` from now, or `deadline` if sooner.
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
        let limits = Limits {
            deadline: deadline.min(clock.now() + device.deadlines.prompt),
            silence: Duration::MAX,
            bytes: TALK_MAX,
        };
        let platform = Arc::clone(&device.platform);
        let mut wire = Wire::new(transport, clock, platform, &device.credentials, limits);
        match login::enter(&mut wire, device, trail) {
            Ok(entered) => Ok(Self {
                wire,
                device: Arc::clone(device),
                prompt: entered.prompt,
                echo: entered.echo,
                standing: Standing::AtPrompt,
                alive: entered.alive,
                guarded: entered.guarded,
                saved: false,
                marked: None,
            }),
            Err(error) => {
                wire.hang_up();
                Err(error)
            }
        }
    }

    /// Saves the running-config on the device and checks its word for it. Whatever it ends in, the
    /// dialogue may still be used for [`Self::fetch`]. The trail gets how it ended, also when it fails.
    ///
    /// # Errors
    /// Says what the device said instead.
    pub fn save(&mut self, deadline: Instant, trail: &mut Trail) -> Result<(), SessionError> {
        self.set_limits(deadline, self.device.deadlines.save, TALK_MAX);
        let saved = self.save_now(trail);
        if trail.save.is_none() {
            let result = match saved {
                Ok(()) => SaveResult::Unneeded,
                Err(_) => SaveResult::Failed,
            };
            trail.saving_ended(result, self.wire.last_line());
        }
        saved
    }

    /// Reads the config and proves it whole.
    ///
    /// # Errors
    /// Says why what was read is not provably the config.
    pub fn fetch(&mut self, deadline: Instant, trail: &mut Trail) -> Result<Config, SessionError> {
        self.set_limits(deadline, self.device.deadlines.backup, fetch::CONFIG_MAX);
        self.fetch_now(trail)
    }

    /// Checks that every part of the device that `last_good` needs is alive, where the platform can
    /// tell: with a dead part the config would lack its lines, and yet end well. To be asked before
    /// anything is saved.
    ///
    /// # Errors
    /// Of kind `Unproven`, naming the dead parts.
    pub fn check_presence(&self, last_good: &[u8]) -> Result<(), SessionError> {
        let (Some(presence), Some(alive)) = (&self.device.platform.presence, &self.alive) else {
            return Ok(());
        };
        let missing = presence::missing(last_good, alive, presence);
        if missing.is_empty() {
            return Ok(());
        }
        Err(SessionError::new(
            FailureKind::Unproven,
            format!(
                "{} not running, but the last stored config has lines of it: nothing was saved or \
                 stored; start it again, or remove the stored config if it was retired",
                missing.join(", ")
            ),
        ))
    }

    /// Says goodbye, where the prompt waits for it, and ends the session; waits for nothing, cannot
    /// fail, may be called again.
    pub fn close(&mut self) {
        match self.standing {
            Standing::AtPrompt => self.wire.close(),
            Standing::Adrift => self.wire.hang_up(),
        }
        self.standing = Standing::Adrift;
    }

    fn set_limits(&mut self, deadline: Instant, stage: Duration, bytes: usize) {
        let own = self.wire.now().checked_add(stage).unwrap_or(deadline);
        self.wire.set_limits(Limits {
            deadline: deadline.min(own),
            silence: self.device.deadlines.silence,
            bytes,
        });
    }

    fn may_be_saved(device: &Device) -> bool {
        device.saving() != Saving::Never
    }
}
