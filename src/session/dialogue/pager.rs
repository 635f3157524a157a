//! Turning pages.

use super::wire::{Heard, Wire};
use crate::model::failure::FailureKind;
use crate::session::SessionError;
use crate::text::{phrase, prompt};
use std::time::Duration;

/// How many pages of one session are turned at most.
const PAGES_MAX: u32 = 200_000;

/// How long a pager's text must stand still before it is answered, where paging should be off: it
/// may as well be a line of the config that was cut there.
const PAGER_QUIET: Duration = Duration::from_millis(50);

/// Whether the device's output is paged, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paging {
    /// It should not be.
    Off,
    /// The device did not turn it off.
    On,
}

impl Wire {
    /// Answers a pager that waits alone on the last line. Says whether it did, or whether more came
    /// instead: whether to look again before waiting.
    pub(super) fn turn_page(&mut self) -> Result<bool, SessionError> {
        if !self.at_pager() {
            return Ok(false);
        }
        let quiet = match self.paging {
            Paging::Off => PAGER_QUIET,
            Paging::On => Duration::ZERO,
        };
        match self.settle(quiet)? {
            Heard::Quiet => {}
            Heard::Data => return Ok(true),
            Heard::Closed => return Ok(false),
        }
        self.pages += 1;
        self.strays += 1;
        if self.pages > PAGES_MAX {
            return Err(SessionError::new(
                FailureKind::TooMuch,
                format!("more than {PAGES_MAX} pages: check the pager texts of the platform"),
            ));
        }
        self.screen.answer_pager();
        let answer = self.platform.pager.answer.clone();
        self.say(&answer)?;
        Ok(true)
    }

    /// Whether a pager waits alone on the last line.
    pub(super) fn at_pager(&self) -> bool {
        let tail = self.screen.tail();
        if tail.len() > prompt::PROMPT_MAX || self.screen.pager_answered() {
            return false;
        }
        !tail.trim_ascii().is_empty() && phrase::is_any(tail, &self.platform.pager.prompts)
    }
}
