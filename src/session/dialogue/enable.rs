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

/// Types `enable` and, at most once, the enable secret.
pub(super) fn enable(
    wire: &mut Wire,
    dialogue: &EnableDialogue,
    lesson: &Lesson,
    device: &Device,
) -> Result<(), SessionError> {
    let prompt = &lesson.prompt;
    wire.command(&dialogue.send)?;
    let mut typed = false;
    loop {
        let tail = wire.screen.tail();
        let answered = typed || lesson.echo == Echo::Hidden || is_echoed(wire, &dialogue.send);
        if answered && wire.screen.tail_start() > 0 && prompt.is_kin(tail, &wire.platform.prompt) {
            return match prompt::shape_of(tail, &wire.platform.prompt) {
                Some(Mode::Privileged) => Ok(()),
                _ => Err(refused(wire, dialogue)),
            };
        }
        if phrase::ends_any(tail, &dialogue.password_prompts) {
            match wire.settle(QUESTION_QUIET)? {
                Heard::Quiet => {}
                Heard::Data => continue,
                Heard::Closed => return Err(learn::closed(wire)),
            }
            let Some(secret) = device.credentials.enable.as_ref().filter(|_| !typed) else {
                return Err(if typed {
                    refused(wire, dialogue)
                } else {
                    unset(device)
                });
            };
            typed = true;
            // The answer to the secret is read on an empty screen: nothing before it may count.
            wire.screen.clear();
            let line = zeroize::Zeroizing::new(format!("{}\r", secret.expose()));
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
