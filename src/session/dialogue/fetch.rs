//! Reading the config and proving it whole.

use super::capture::{Capture, Ending};
use super::learn::is_question;
use super::proof::check_content;
use super::wire::Heard;
use super::{Dialogue, Standing, identity};
use crate::model::config::{Config, Proof};
use crate::model::device::View;
use crate::model::failure::FailureKind;
use crate::model::platform::{Platform, ProofRule};
use crate::model::stage::Trail;
use crate::session::SessionError;
use crate::text::{phrase, prompt};
use std::sync::Arc;
use std::time::Duration;

/// The largest config, in bytes with everything around it.
pub(super) const CONFIG_MAX: usize = 64 << 20;

/// How long nothing may follow the end line and the prompt where no byte count agrees.
const PROOF_QUIET: Duration = Duration::from_millis(50);

/// How long nothing may follow the prompt where nothing within the config shows its end.
const WEAK_QUIET: Duration = Duration::from_millis(500);

/// How long nothing may come after the end line before a hidden prompt is asked for, and after a
/// prompt without any config before the answer counts as empty.
const HIDDEN_QUIET: Duration = Duration::from_secs(1);

/// How long what looks like a question may stand in place of the config before it counts as one.
const ASKED_QUIET: Duration = Duration::from_secs(10);

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
        let platform = Arc::clone(&self.device.platform);
        let dialogue = &platform.config;
        let view: &[String] = match self.device.view {
            View::Full => &dialogue.view_full,
            View::Privileged => &[],
        };
        let mut commands = view.iter().chain(&dialogue.send).peekable();
        while let Some(command) = commands.next() {
            let read = self.fetch_by(&platform, command, trail);
            match read {
                Err(error) if is_refusal(&error) => {
                    let Some(next) = commands.peek() else {
                        return Err(error);
                    };
                    trail.note(format!(
                        "`{command}` was refused, `{next}` was tried instead"
                    ));
                    if self.standing == Standing::Adrift && self.is_settled_at_prompt() {
                        self.standing = Standing::AtPrompt;
                    }
                }
                read => return read,
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
        self.come_back()?;
        self.standing = Standing::Adrift;
        let prompt = self.prompt.clone();
        let pages = self.wire.pages;
        let mut capture = Capture::new(platform, &prompt, command, self.echo);
        let proof = self.read_config(&mut capture);
        let proof = proof.map_err(|error| self.cut_short(error))?;
        self.standing = Standing::AtPrompt;
        check_content(&self.wire, &capture)?;
        self.look_at_mark();
        self.check_name(&capture, trail)?;
        let text = self.wire.screen.take();
        let config = capture.config(text);
        if let ProofRule::Braces(Some(sentinel)) | ProofRule::Weak(sentinel) =
            &platform.config.proof
        {
            self.ask_sentinel(sentinel)?;
        }
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

    /// The config names the device too, and the prompt may be one that somebody made up.
    fn check_name(&self, capture: &Capture<'_>, trail: &mut Trail) -> Result<(), SessionError> {
        let Some(host) = capture.hostname(self.wire.screen.text()) else {
            return Ok(());
        };
        if prompt::is_same_host(&self.prompt.host(), &host) {
            return Ok(());
        }
        identity::check("config", &host, &self.device, trail)
    }

    fn read_config(&mut self, capture: &mut Capture<'_>) -> Result<Proof, SessionError> {
        self.wire.command(capture.command())?;
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
        let ended = capture.has_ended() || self.is_prompt_hidden();
        if self.is_asked(capture, at_prompt) {
            return ASKED_QUIET;
        }
        match (at_prompt, ended || !capture.has_begun()) {
            (true, true) => HIDDEN_QUIET,
            (true, false) => DOUBT_QUIET,
            (false, true) if ended => HIDDEN_QUIET,
            (false, _) => Duration::MAX,
        }
    }

    /// Whether a question stands where the config should begin.
    fn is_asked(&self, capture: &Capture<'_>, at_prompt: bool) -> bool {
        let screen = &self.wire.screen;
        let tail = screen.tail();
        let stands = !at_prompt && !capture.has_begun() && screen.tail_start() > 0;
        stands && is_question(tail) && !capture.is_heading(tail)
    }

    /// The prompt stands at the end of the buffer: is what came before it proven?
    fn prove(&mut self, capture: &Capture<'_>, probe: Probe) -> Result<Verdict, SessionError> {
        let (quiet, proof) = match capture.ending(self.wire.screen.text()) {
            Ending::Counted => (Duration::ZERO, Proof::ByteCount),
            Ending::Marked => (PROOF_QUIET, Proof::Marker),
            Ending::Balanced => (PROOF_QUIET, Proof::Braces),
            Ending::Plain => (WEAK_QUIET, Proof::Weak),
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
        let mut lines = since.rsplit(|b| *b == b'\n');
        let last = lines.next().unwrap_or_default();
        let above = &self.device.platform.prompt.above;
        let mut between = lines.peekable();
        between.peek().is_some()
            && self.is_prompt(last)
            && between.all(|line| {
                line.trim_ascii().is_empty() || phrase::is_any(line, above) || self.is_message(line)
            })
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
        if self.is_asked(capture, at_prompt) {
            return Err(SessionError::new(
                FailureKind::Unexpected,
                format!(
                    "the device answers `{}` with `{}`, which its platform does not know; nothing \
                     was typed",
                    capture.command(),
                    self.wire.last_line()
                ),
            ));
        }
        let ended = capture.has_ended() || (capture.has_begun() && self.is_prompt_hidden());
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

/// Whether the device turned a command down, so that another one may be tried.
pub(super) fn is_refusal(error: &SessionError) -> bool {
    matches!(
        error.kind(),
        FailureKind::CommandRejected | FailureKind::AuthzDenied
    )
}

fn note_shortfall(announced: Option<u64>, bytes: usize, trail: &mut Trail) {
    let bytes = bytes as u64;
    if let Some(announced) = announced.filter(|n| n.abs_diff(bytes) > n / 10 + 64) {
        trail.note(format!(
            "the device announced {announced} bytes of config, and {bytes} are stored"
        ));
    }
}
