//! What was read ended; is it a config, and the whole of it?

use super::capture::Capture;
use super::exchange::Turn;
use super::wire::Wire;
use super::{Dialogue, Echo, Standing};
use crate::model::failure::FailureKind;
use crate::model::platform::{ConfigDialogue, ProofRule, Sentinel};
use crate::session::SessionError;
use crate::text::phrase;

/// The config ended well; does it also hold what it must, and nothing that says it is a part?
pub(super) fn check_content(wire: &Wire, capture: &Capture<'_>) -> Result<(), SessionError> {
    if let Some((kind, place)) = capture.fault() {
        let line = wire.screen.text().get(place).unwrap_or_default();
        return Err(SessionError::new(
            kind,
            format!(
                "the device said `{}` within its config: nothing was stored; check the login's \
                 rights",
                wire.quote(line)
            ),
        ));
    }
    match capture.lacks() {
        None => Ok(()),
        Some(wanted) => Err(SessionError::new(
            FailureKind::Unproven,
            format!(
                "no line of what was read begins with `{}`, as in every config of platform {}: \
                 nothing was stored",
                String::from_utf8_lossy(wanted),
                wire.platform.name
            ),
        )),
    }
}

/// What the device refused with instead of a config, if it did.
pub(super) fn refused(wire: &Wire, capture: &Capture<'_>) -> Option<SessionError> {
    let screen = &wire.screen;
    let (kind, place) = capture.refusal(screen.text(), screen.tail_start())?;
    let said = wire.quote(screen.text().get(place).unwrap_or_default());
    Some(SessionError::new(
        kind,
        format!(
            "the device refused `{}`: `{said}`; check the login's rights",
            capture.command()
        ),
    ))
}

impl Dialogue {
    /// Asks something whose answer is known: was the prompt after the config one?
    pub(super) fn ask_sentinel(&mut self, sentinel: &Sentinel) -> Result<(), SessionError> {
        self.wire.command(&sentinel.send)?;
        let turn = self.turn(&[], 0)?;
        let echoed = match (self.echo, self.first_line()) {
            (Echo::Hidden, _) => true,
            (Echo::Shown, line) => phrase::ends(line, sentinel.send.as_bytes()),
        };
        let prompt = &self.device.platform.prompt;
        let header = &self.device.platform.config.header;
        let mut answers = phrase::lines(self.answer())
            .filter(|line| !line.trim_ascii().is_empty() && !self.is_message(line))
            .filter(|line| !phrase::is_any(line, &prompt.above))
            .filter(|line| !phrase::begins_any(line, header))
            .peekable();
        let answered = answers.peek().is_some();
        if matches!(turn, Turn::Prompt)
            && echoed
            && answered
            && answers.all(|line| phrase::holds(line, &sentinel.answer))
        {
            return Ok(());
        }
        Err(SessionError::new(
            FailureKind::Unproven,
            format!(
                "`{}` after the config was not answered by `{}` alone, so what looked like its end \
                 may not be it: the last line was `{}`; nothing was stored",
                sentinel.send,
                String::from_utf8_lossy(&sentinel.answer),
                self.wire.last_line()
            ),
        ))
    }

    pub(super) fn refused(&mut self, capture: &Capture<'_>) -> Option<SessionError> {
        let error = refused(&self.wire, capture)?;
        if self.is_prompt(self.wire.screen.tail()) {
            self.standing = Standing::AtPrompt;
        }
        Some(error)
    }

    pub(super) fn unproven(&mut self, capture: &Capture<'_>) -> SessionError {
        self.standing = Standing::AtPrompt;
        if let Some(error) = self.refused(capture) {
            return error;
        }
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
                "the prompt came back after {} bytes without {}: the last line was `{}`; nothing \
                 was stored, see what `{}` shows by hand",
                self.wire.received(),
                lacking(capture, &self.device.platform.config),
                self.wire.quote(last.unwrap_or_default()),
                capture.command()
            ),
        )
    }
}

/// What is not there, in words.
fn lacking(capture: &Capture<'_>, dialogue: &ConfigDialogue) -> String {
    match &dialogue.begin {
        Some(begin) if !capture.has_begun() => format!(
            "a line that begins with `{}`",
            String::from_utf8_lossy(begin)
        ),
        _ => end_of(&dialogue.proof),
    }
}

/// What a config must end with, in words.
pub(super) fn end_of(proof: &ProofRule) -> String {
    match proof {
        ProofRule::Marker(end) => format!("the line `{}`", String::from_utf8_lossy(end)),
        ProofRule::Braces(_) => "the closing brace of every block".to_owned(),
        ProofRule::Weak(_) | ProofRule::Exit => "a config".to_owned(),
    }
}
