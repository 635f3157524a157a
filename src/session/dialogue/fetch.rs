//! Reading the config and proving it whole.

use super::capture::{Capture, Ending};
use super::wire::Heard;
use super::{Dialogue, Standing};
use crate::model::config::{Config, Proof};
use crate::model::failure::FailureKind;
use crate::model::stage::Trail;
use crate::session::SessionError;
use std::sync::Arc;
use std::time::Duration;

/// The largest config, in bytes with everything around it.
pub(super) const CONFIG_MAX: usize = 64 << 20;

/// How long nothing may follow the end line and the prompt where no byte count agrees.
const PROOF_QUIET: Duration = Duration::from_millis(50);

/// How long nothing may come after the end line before a hidden prompt is asked for, and after a
/// prompt without any config before the answer counts as empty.
const HIDDEN_QUIET: Duration = Duration::from_secs(1);

/// How long a prompt in the midst of a config must stand still before it is tested by a return.
const DOUBT_QUIET: Duration = Duration::from_secs(5);

/// Whether the prompt was tested by a return, and how long the screen was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    None,
    SentAt(usize),
}

/// What a prompt at the end of the buffer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The config is whole.
    Proven(Proof),
    /// It was not the end of the buffer after all.
    MoreCame,
    /// What came before it does not end a config.
    NotYet,
}

impl Dialogue {
    pub(super) fn fetch_now(&mut self, trail: &mut Trail) -> Result<Config, SessionError> {
        self.come_back()?;
        self.standing = Standing::Adrift;
        let platform = Arc::clone(&self.device.platform);
        let prompt = self.prompt.clone();
        let pages = self.wire.pages;
        let mut capture = Capture::new(&platform, &prompt, self.echo);
        let proof = self.read_config(&platform.config.send, &mut capture);
        let proof = proof.map_err(|error| self.cut_short(error))?;
        self.standing = Standing::AtPrompt;
        let text = self.wire.screen.take();
        let config = capture.config(text);
        if capture.lifted() > 0 {
            trail.note(format!(
                "log messages lifted out from between the lines of the config: {}",
                capture.lifted()
            ));
        }
        if self.wire.pages > pages {
            trail.note(format!("pages turned: {}", self.wire.pages - pages));
        }
        if proof == Proof::Marker {
            note_shortfall(capture.announced(), config.len(), trail);
        }
        Ok(Config::proven(config, proof))
    }

    fn read_config(
        &mut self,
        command: &str,
        capture: &mut Capture<'_>,
    ) -> Result<Proof, SessionError> {
        self.wire.command(command)?;
        let mut probe = Probe::None;
        loop {
            let screen = &self.wire.screen;
            capture.scan(screen.text(), screen.tail_start());
            if capture.is_refusing(screen.tail()) && self.wire.settle(PROOF_QUIET)? == Heard::Data {
                continue;
            }
            if !capture.has_begun()
                && let Some(error) = self.refused(capture)
            {
                return Err(error);
            }
            let at_prompt = self.is_prompt(self.wire.screen.tail());
            if at_prompt {
                match self.prove(capture, probe)? {
                    Verdict::Proven(proof) => return Ok(proof),
                    Verdict::MoreCame => continue,
                    Verdict::NotYet => {}
                }
            }
            if !at_prompt && self.wire.turn_page()? {
                continue;
            }
            match self.wire.wait(self.patience(capture, at_prompt))? {
                Heard::Data => {}
                Heard::Closed => return Err(super::learn::closed(&self.wire)),
                Heard::Quiet => probe = self.doubt(capture, at_prompt, probe)?,
            }
        }
    }

    /// How long to wait before silence means something.
    fn patience(&self, capture: &Capture<'_>, at_prompt: bool) -> Duration {
        let ended = capture.ending(&[]) != Ending::Open;
        match (at_prompt, ended || !capture.has_begun()) {
            (true, true) => HIDDEN_QUIET,
            (true, false) => DOUBT_QUIET,
            (false, true) if ended => HIDDEN_QUIET,
            (false, _) => Duration::MAX,
        }
    }

    /// The prompt stands at the end of the buffer: is what came before it proven?
    fn prove(&mut self, capture: &Capture<'_>, probe: Probe) -> Result<Verdict, SessionError> {
        let (quiet, proof) = match capture.ending(self.wire.screen.text()) {
            Ending::Counted => (Duration::ZERO, Proof::ByteCount),
            Ending::Marked => (PROOF_QUIET, Proof::Marker),
            Ending::Open if self.is_confirmed(probe) => return Err(self.unproven(capture)),
            Ending::Open => return Ok(Verdict::NotYet),
        };
        match self.wire.settle(quiet)? {
            Heard::Quiet => Ok(Verdict::Proven(proof)),
            Heard::Data => Ok(Verdict::MoreCame),
            Heard::Closed => Err(super::learn::closed(&self.wire)),
        }
    }

    /// Whether the prompt came again, and nothing else, after a return was typed at it.
    fn is_confirmed(&self, probe: Probe) -> bool {
        let Probe::SentAt(place) = probe else {
            return false;
        };
        let since = self.wire.screen.text().get(place..).unwrap_or_default();
        let Some(rest) = since.strip_prefix(b"\n") else {
            return false;
        };
        self.is_prompt(rest)
    }

    /// Nothing came for a while: types one return where that can do no harm and may help.
    fn doubt(
        &mut self,
        capture: &Capture<'_>,
        at_prompt: bool,
        probe: Probe,
    ) -> Result<Probe, SessionError> {
        if at_prompt && !capture.has_begun() && self.is_answered() {
            self.standing = Standing::AtPrompt;
            return Err(self.unproven(capture));
        }
        let ended = capture.ending(&[]) != Ending::Open;
        let place = self.wire.screen.text().len();
        let new = match probe {
            Probe::None => true,
            Probe::SentAt(before) => at_prompt && place > before && !self.is_confirmed(probe),
        };
        if new && (at_prompt || ended) {
            self.wire.say(b"\r")?;
            return Ok(Probe::SentAt(place));
        }
        Ok(probe)
    }

    fn refused(&mut self, capture: &Capture<'_>) -> Option<SessionError> {
        let screen = &self.wire.screen;
        let (kind, place) = capture.refusal(screen.text(), screen.tail_start())?;
        if self.is_prompt(screen.tail()) {
            self.standing = Standing::AtPrompt;
        }
        let said = self
            .wire
            .quote(screen.text().get(place).unwrap_or_default());
        let command = &self.device.platform.config.send;
        Some(SessionError::new(
            kind,
            format!("the device refused `{command}`: `{said}`; check the login's rights"),
        ))
    }

    fn unproven(&mut self, capture: &Capture<'_>) -> SessionError {
        self.standing = Standing::AtPrompt;
        if let Some(error) = self.refused(capture) {
            return error;
        }
        let dialogue = &self.device.platform.config;
        let text = self.wire.screen.text();
        let text = text
            .get(..self.wire.screen.tail_start())
            .unwrap_or_default();
        let last = text
            .rsplit(|b| *b == b'\n')
            .find(|line| !line.trim_ascii().is_empty() && !self.is_prompt(line));
        SessionError::new(
            FailureKind::Unproven,
            format!(
                "the prompt came back after {} bytes without the line `{}`: the last line was \
                 `{}`; nothing was stored, see what `{}` shows by hand",
                self.wire.received(),
                String::from_utf8_lossy(&dialogue.end),
                self.wire.quote(last.unwrap_or_default()),
                dialogue.send
            ),
        )
    }

    /// A session that ends before the proof leaves a truncated config, whatever ended it.
    fn cut_short(&self, error: SessionError) -> SessionError {
        if error.kind() != FailureKind::Reset {
            return error;
        }
        SessionError::new(
            FailureKind::Truncated,
            format!(
                "the session ended after {} bytes, before the config was whole, at `{}`; nothing \
                 was stored",
                self.wire.received(),
                self.wire.last_line()
            ),
        )
    }
}

fn note_shortfall(announced: Option<u64>, bytes: usize, trail: &mut Trail) {
    let bytes = bytes as u64;
    if let Some(announced) = announced.filter(|n| n.abs_diff(bytes) > n / 10 + 64) {
        trail.note(format!(
            "the device announced {announced} bytes of config, and {bytes} are stored"
        ));
    }
}
