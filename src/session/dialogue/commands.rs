//! Commands that each have a channel of their own: no prompt, no echo, no pager, nothing to learn.
//! A command's end and its exit status are the device's word.

use super::capture::{Capture, Ending};
use super::info::Answer;
use super::login::refusal_in;
use super::proof::{check_content, end_of, refused};
use super::wire::{Heard, Limits, Wire};
use super::{TALK_MAX, fetch, identity};
use crate::model::config::{Config, Proof};
use crate::model::device::{Device, View};
use crate::model::failure::FailureKind;
use crate::model::platform::{Platform, ProofRule, SaveDialogue};
use crate::model::save::SaveResult;
use crate::model::stage::Trail;
use crate::session::{Clock, Exit, SessionError, Transport};
use crate::text::phrase;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The session with a device that runs commands.
pub struct Commands {
    pub(super) wire: Wire,
    pub(super) device: Arc<Device>,
}

impl Commands {
    /// Takes over a connection that is logged in. Nothing is run yet.
    pub fn new(
        transport: Box<dyn Transport>,
        device: &Arc<Device>,
        clock: Arc<dyn Clock>,
        deadline: Instant,
    ) -> Self {
        let limits = Limits {
            deadline,
            silence: device.deadlines.silence,
            bytes: TALK_MAX,
        };
        let platform = Arc::clone(&device.platform);
        Self {
            wire: Wire::new(transport, clock, platform, &device.credentials, limits),
            device: Arc::clone(device),
        }
    }

    /// Saves the running-config on the device and checks its word for it. The trail gets how it
    /// ended, also when it fails.
    ///
    /// # Errors
    /// Says what the device said instead.
    pub fn save(&mut self, deadline: Instant, trail: &mut Trail) -> Result<(), SessionError> {
        let platform = Arc::clone(&self.device.platform);
        let Some(save) = &platform.save else {
            let said = "nothing to save on this platform".to_owned();
            trail.saving_ended(SaveResult::Unneeded, said);
            return Ok(());
        };
        self.set_limits(deadline, self.device.deadlines.save, TALK_MAX);
        let exit = self.listen(&save.send).inspect_err(|_| {
            trail.saving_ended(SaveResult::Failed, self.wire.last_line());
        })?;
        match self.word(save, &exit) {
            Ok(said) => {
                trail.saving_ended(SaveResult::Saved, said);
                Ok(())
            }
            Err(error) => {
                let said = trouble(&self.wire, &exit);
                let said = said.unwrap_or_else(|| self.wire.last_line());
                trail.saving_ended(SaveResult::Failed, said);
                Err(error)
            }
        }
    }

    /// The line that proves that it was saved.
    fn word(&self, save: &SaveDialogue, exit: &Exit) -> Result<String, SessionError> {
        let text = [self.wire.screen.text(), &exit.aside].concat();
        let line_with = |phrases: &[Vec<u8>]| {
            let mut lines = phrase::lines(&text).filter(|line| phrase::holds_any(line, phrases));
            lines.next().map(|line| self.wire.quote(line))
        };
        let failed = |kind, said: &str| {
            Err(SessionError::new(
                kind,
                format!("{said}: running and startup-config may differ"),
            ))
        };
        if let Some(said) = line_with(&save.busy) {
            return failed(FailureKind::SaveBusy, &format!("the device said `{said}`"));
        }
        if let Some(said) = line_with(&save.failed) {
            return failed(
                FailureKind::SaveFailed,
                &format!("the device said `{said}`"),
            );
        }
        if let Some((kind, line)) = refusal_in(&text, &self.device.platform.refusals) {
            let said = self.wire.quote(line);
            return failed(kind, &format!("the device refused to save: `{said}`"));
        }
        if let Some(told) = trouble(&self.wire, exit) {
            return failed(FailureKind::SaveFailed, &format!("saving {told}"));
        }
        if save.ok.is_empty() {
            return Ok("exit status 0".to_owned());
        }
        match line_with(&save.ok) {
            Some(said) => Ok(said),
            None => failed(
                FailureKind::SaveFailed,
                "the device did not confirm that it saved",
            ),
        }
    }

    /// Reads the config and proves it whole.
    ///
    /// # Errors
    /// Says why what was read is not provably the config.
    pub fn fetch(&mut self, deadline: Instant, trail: &mut Trail) -> Result<Config, SessionError> {
        self.set_limits(deadline, self.device.deadlines.backup, fetch::CONFIG_MAX);
        let platform = Arc::clone(&self.device.platform);
        let dialogue = &platform.config;
        let view: &[String] = match self.device.view {
            View::Full => &dialogue.view_full,
            View::Privileged => &[],
        };
        let mut commands = view.iter().chain(&dialogue.send).peekable();
        while let Some(command) = commands.next() {
            match (self.fetch_by(&platform, command, trail), commands.peek()) {
                (Err(error), Some(next)) if fetch::is_refusal(&error) => {
                    trail.note(format!(
                        "`{command}` was refused, `{next}` was tried instead"
                    ));
                }
                (read, _) => return read,
            }
        }
        Err(SessionError::new(
            FailureKind::Protocol,
            format!("platform {} names no config command", platform.name),
        ))
    }

    fn fetch_by(
        &mut self,
        platform: &Platform,
        command: &str,
        trail: &mut Trail,
    ) -> Result<Config, SessionError> {
        let exit = self
            .listen(command)
            .map_err(|error| self.cut_short(error))?;
        let mut capture = Capture::of_channel(platform, command);
        let text = self.wire.screen.text();
        capture.scan(text, text.len());
        if let Some(error) = refused(&self.wire, &capture) {
            return Err(error);
        }
        let aside = refusal_in(&exit.aside, &platform.refusals);
        if let Some((kind, line)) = aside.filter(|_| !capture.has_begun()) {
            let said = self.wire.quote(line);
            return Err(SessionError::new(
                kind,
                format!("the device refused `{command}`: `{said}`; check the login's rights"),
            ));
        }
        if let Some(told) = trouble(&self.wire, &exit) {
            let kind = if capture.has_begun() {
                FailureKind::Unproven
            } else {
                FailureKind::CommandRejected
            };
            return Err(SessionError::new(
                kind,
                format!("`{command}` {told}: nothing was stored"),
            ));
        }
        self.prove(&capture)?;
        check_content(&self.wire, &capture)?;
        if let Some(host) = capture.hostname(self.wire.screen.text()) {
            identity::check("config", &host, &self.device, trail)?;
        }
        let proof = match platform.config.proof {
            ProofRule::Weak(_) => Proof::Weak,
            ProofRule::Exit | ProofRule::Marker(_) | ProofRule::Braces(_) => Proof::Exit,
        };
        let text = self.wire.screen.take();
        Ok(Config::proven(capture.config(text), proof))
    }

    /// Status 0 is not enough where the platform knows how a config ends.
    fn prove(&self, capture: &Capture<'_>) -> Result<(), SessionError> {
        match capture.ending(self.wire.screen.text()) {
            Ending::Counted | Ending::Marked | Ending::Balanced | Ending::Plain => Ok(()),
            Ending::Open => Err(SessionError::new(
                FailureKind::Unproven,
                format!(
                    "`{}` ended after {} bytes without {}: the last line was `{}`; nothing was \
                     stored, see what it shows by hand",
                    capture.command(),
                    self.wire.received(),
                    end_of(&self.device.platform.config.proof),
                    self.wire.last_line()
                ),
            )),
        }
    }

    /// Runs a command and waits for its end; what it said stands on the screen, in whole lines.
    fn listen(&mut self, command: &str) -> Result<Exit, SessionError> {
        self.wire.run(command)?;
        while self.wire.wait(Duration::MAX)? != Heard::Closed {}
        if !self.wire.screen.tail().is_empty() {
            self.wire.screen.feed(b"\n");
        }
        self.wire.ended()
    }

    /// What a command answers that is only asked for its answer.
    pub(super) fn ask(&mut self, command: &str) -> Result<Answer, SessionError> {
        let exit = self.listen(command)?;
        let text = self.wire.screen.text();
        let refusals = &self.device.platform.refusals;
        let refusal = refusal_in(text, refusals).or_else(|| refusal_in(&exit.aside, refusals));
        if let Some((_, line)) = refusal {
            return Ok(Answer::Refused(self.wire.quote(line)));
        }
        Ok(match trouble(&self.wire, &exit) {
            Some(told) => Answer::Refused(told),
            None => Answer::Said(text.to_vec()),
        })
    }

    pub(super) fn set_limits(&mut self, deadline: Instant, stage: Duration, bytes: usize) {
        let own = self.wire.now().checked_add(stage).unwrap_or(deadline);
        self.wire.set_limits(Limits {
            deadline: deadline.min(own),
            silence: self.device.deadlines.silence,
            bytes,
        });
    }

    /// A session that ends before its command leaves a truncated config, whatever ended it.
    fn cut_short(&self, error: SessionError) -> SessionError {
        if error.kind() != FailureKind::Reset {
            return error;
        }
        SessionError::new(
            FailureKind::Truncated,
            format!(
                "the session ended after {} bytes, before the command did, at `{}`; nothing was \
                 stored",
                self.wire.received(),
                self.wire.last_line()
            ),
        )
    }

    /// Ends the session; waits for nothing, cannot fail, may be called again.
    pub fn close(&mut self) {
        self.wire.hang_up();
    }
}

/// How a command failed by its own word: `ended with exit status 1: ...`.
fn trouble(wire: &Wire, exit: &Exit) -> Option<String> {
    let how = match (&exit.signal, exit.code) {
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (None, 0) => return None,
        (None, code) => format!("ended with exit status {code}"),
    };
    let mut lines = phrase::lines(&exit.aside).filter(|line| !line.trim_ascii().is_empty());
    let said = lines.next().map(|line| wire.quote(line));
    Some(match said {
        Some(said) => format!("{how}: `{said}`"),
        None => how,
    })
}
