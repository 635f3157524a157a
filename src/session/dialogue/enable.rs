//! From user mode to privileged mode.

use super::Echo;
use super::learn::{self, Lesson};
use super::wire::{Heard, Wire};
use crate::model::device::Device;
use crate::model::failure::FailureKind;
use crate::model::platform::EnableDialogue;
use crate::session::SessionError;
use crate::text::phrase;
use crate::text::prompt::{self, Mode};
use std::time::Duration;

/// How long a question must stand still before a secret is typed into it.
const QUESTION_QUIET: Duration = Duration::from_millis(50);

/// How long an unknown last line must stand still before it counts as a question.
const UNKNOWN_QUIET: Duration = Duration::from_secs(5);

/// Types `enable` and, at most once each, the user name and the enable secret.
pub(super) fn enable(
    wire: &mut Wire,
    dialogue: &EnableDialogue,
    lesson: &Lesson,
    device: &Device,
) -> Result<(), SessionError> {
    let prompt = &lesson.prompt;
    wire.command(&dialogue.send)?;
    let mut named = false;
    let mut typed = false;
    loop {
        let tail = wire.screen.tail();
        let answered =
            typed || named || lesson.echo == Echo::Hidden || is_echoed(wire, &dialogue.send);
        if answered && wire.screen.tail_start() > 0 && prompt.is_kin(tail, &wire.platform.prompt) {
            return match prompt::shape_of(tail, &wire.platform.prompt) {
                Some(Mode::Privileged) => Ok(()),
                _ => Err(refused(wire, dialogue)),
            };
        }
        if let Some(question) = asked(tail, dialogue) {
            match wire.settle(QUESTION_QUIET)? {
                Heard::Quiet => {}
                Heard::Data => continue,
                Heard::Closed => return Err(learn::closed(wire)),
            }
            let secret = device.credentials.enable.as_ref();
            let secret = secret.ok_or_else(|| unset(device))?;
            let (answer, given) = match question {
                Question::Name => (device.credentials.username.as_str(), named || typed),
                Question::Secret => (secret.expose(), typed),
            };
            if given {
                return Err(refused(wire, dialogue));
            }
            named |= question == Question::Name;
            typed |= question == Question::Secret;
            // The answer is read on an empty screen: nothing before it may count.
            wire.screen.clear();
            let line = zeroize::Zeroizing::new(format!("{answer}\r"));
            wire.say(line.as_bytes())?;
        }
        match wire.wait(UNKNOWN_QUIET)? {
            Heard::Data => {}
            Heard::Closed => return Err(learn::closed(wire)),
            Heard::Quiet if learn::is_question(wire.screen.tail()) => {
                return Err(refused(wire, dialogue));
            }
            Heard::Quiet => {}
        }
    }
}

/// What the device wants to know before it lets us into privileged mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// Who we are: AAA decides.
    Name,
    /// The enable secret.
    Secret,
}

fn asked(tail: &[u8], dialogue: &EnableDialogue) -> Option<Question> {
    if phrase::ends_any(tail, &dialogue.password_prompts) {
        Some(Question::Secret)
    } else if phrase::ends_any(tail, &dialogue.username_prompts) {
        Some(Question::Name)
    } else {
        None
    }
}

fn is_echoed(wire: &Wire, command: &str) -> bool {
    let screen = &wire.screen;
    let whole = screen.text().get(..screen.tail_start()).unwrap_or_default();
    phrase::lines(whole).any(|line| line.trim_ascii_end().ends_with(command.as_bytes()))
}

fn unset(device: &Device) -> SessionError {
    SessionError::new(
        FailureKind::EnableRefused,
        format!(
            "the device asks for an enable secret: set `enable` in credentials.{}",
            device.credentials.name
        ),
    )
}

fn refused(wire: &Wire, dialogue: &EnableDialogue) -> SessionError {
    let line = phrase::lines(wire.screen.text())
        .find(|line| phrase::holds_any(line, &dialogue.refused))
        .map_or_else(|| wire.last_line(), |line| wire.quote(line));
    SessionError::new(
        FailureKind::EnableRefused,
        format!("privileged mode was refused: `{line}`; check `enable` in the credentials"),
    )
}
