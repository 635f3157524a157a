//! `wr mem`: earned, typed, and checked by the device's own word.

use super::exchange::Turn;
use super::login::refusal_in;
use super::wire::Heard;
use super::{Dialogue, Standing};
use crate::model::failure::FailureKind;
use crate::model::platform::{Confirm, SaveDialogue};
use crate::model::save::{SaveConfirm, SaveResult};
use crate::model::stage::Trail;
use crate::session::SessionError;
use crate::text::phrase;
use crate::text::prompt::Mode;
use std::time::Duration;

/// How many questions one save may ask.
const QUESTIONS_MAX: u32 = 5;

/// How long to wait before a busy device is asked again, in milliseconds.
const BUSY_WAIT_MS: std::ops::Range<u64> = 2_000..10_000;

/// What one try at saving ended in, and one line of what the device said.
enum Word {
    Saved(String),
    Declined(String),
    Busy(String),
    Failed(Trouble, String),
}

/// Why a try at saving failed.
struct Trouble {
    kind: FailureKind,
    message: String,
}

impl Dialogue {
    pub(super) fn save_now(&mut self, trail: &mut Trail) -> Result<(), SessionError> {
        let Some(save) = self.device.platform.save.clone() else {
            return Ok(());
        };
        if let Some(said) = &self.guarded {
            trail.saving_ended(SaveResult::Failed, said.clone());
            return Err(SessionError::new(
                FailureKind::SaveFailed,
                format!(
                    "a reload is pending and saving would make what it guards \
                     against permanent: `{said}`; save once it is over or cancelled"
                ),
            ));
        }
        self.come_back()?;
        let Some(mode) = &save.mode else {
            return self.save_until_free(&save, trail);
        };
        let before = self.change_mode(&mode.enter, Mode::Config)?;
        let saved = self.save_until_free(&save, trail);
        let back = self.come_back();
        let back = back.and_then(|()| self.change_mode(&mode.leave, before.mode()));
        self.prompt = before;
        saved.and_then(|()| back.map(|_| ()))
    }

    /// Saves, and waits where another session is saving.
    fn save_until_free(
        &mut self,
        save: &SaveDialogue,
        trail: &mut Trail,
    ) -> Result<(), SessionError> {
        // Seeded by the name: devices are out of step with each other, and a run repeats itself.
        let name = self.device.name.as_str().bytes();
        let seed = name.fold(0_u64, |seed, b| {
            seed.wrapping_mul(131).wrapping_add(b.into())
        });
        let mut jitter = fastrand::Rng::with_seed(seed);
        let mut tries = 0_u32;
        loop {
            tries += 1;
            let began = self.wire.now();
            match self.save_once(save)? {
                Word::Saved(said) => {
                    if tries > 1 {
                        trail.note(format!(
                            "saved at try {tries}: the startup-config was in use"
                        ));
                    }
                    self.saved = true;
                    trail.saving_ended(SaveResult::Saved, said);
                    return Ok(());
                }
                Word::Declined(said) => {
                    trail.note(format!(
                        "not saved, as `save_confirm = \"no\"` says: the device asked `{said}`"
                    ));
                    trail.saving_ended(SaveResult::Declined, said);
                    return Ok(());
                }
                Word::Failed(trouble, said) => {
                    trail.saving_ended(SaveResult::Failed, said);
                    return Err(SessionError::new(trouble.kind, trouble.message));
                }
                Word::Busy(said) => {
                    let pause = Duration::from_millis(jitter.u64(BUSY_WAIT_MS));
                    // A try that the deadline cuts off would cost the backup its session.
                    let next_try = 2 * (self.wire.now() - began);
                    if self.wire.now() + pause + next_try >= self.wire.deadline() {
                        let error = still_busy(tries, &said);
                        trail.saving_ended(SaveResult::Failed, said);
                        return Err(error);
                    }
                    if self.wire.pause(pause)? == Heard::Closed {
                        return Err(super::learn::closed(&self.wire));
                    }
                }
            }
        }
    }

    fn save_once(&mut self, save: &SaveDialogue) -> Result<Word, SessionError> {
        self.wire.command(&save.send)?;
        let confirms: Vec<Vec<u8>> = save.confirm.iter().map(|c| c.text.clone()).collect();
        let mut questions = 0;
        let mut answered = 0;
        loop {
            match self.turn(&[&save.proceed, &confirms], answered)? {
                Turn::Prompt => return Ok(self.word(save)),
                // A success word may look like a question, but it is none.
                Turn::Unknown if phrase::holds_any(self.wire.screen.tail(), &save.ok) => {}
                Turn::Unknown => return Ok(self.leave(None, FailureKind::Unexpected)),
                Turn::Asked => {
                    questions += 1;
                    let tail = self.wire.screen.tail();
                    let known = save.confirm.iter().find(|c| phrase::ends(tail, &c.text));
                    let known = known.filter(|_| !phrase::ends_any(tail, &save.proceed));
                    if questions > QUESTIONS_MAX {
                        return Ok(self.leave(known, FailureKind::TooMuch));
                    }
                    let answer = match (known, self.device.save_confirm) {
                        (None, _) => b"\r",
                        (Some(confirm), SaveConfirm::Yes) => confirm.yes.as_slice(),
                        (Some(confirm), SaveConfirm::Ask | SaveConfirm::No) => {
                            return Ok(self.leave(Some(confirm), FailureKind::SaveNeedsConfirm));
                        }
                    };
                    answered = self.wire.screen.text().len();
                    self.wire.say(answer)?;
                }
            }
        }
    }

    /// What the device's answer means. Its last word counts, and a bad word more than a good one.
    fn word(&self, save: &SaveDialogue) -> Word {
        let answer = self.answer();
        let line_with = |phrases: &[Vec<u8>]| {
            phrase::lines(answer)
                .filter(|line| !self.is_message(line))
                .find(|line| phrase::holds_any(line, phrases))
                .map(|line| self.wire.quote(line))
        };
        let failed = |kind, message, said| Word::Failed(Trouble { kind, message }, said);
        if let Some(said) = line_with(&save.busy) {
            return Word::Busy(said);
        }
        if let Some(said) = line_with(&save.partial) {
            let message = format!(
                "the device said `{said}`: its config would lack a part, so nothing was stored; \
                 start what is down"
            );
            return failed(FailureKind::Unproven, message, said);
        }
        if let Some(said) = line_with(&save.failed) {
            let message =
                format!("the device said `{said}`: running and startup-config may differ");
            return failed(FailureKind::SaveFailed, message, said);
        }
        if let Some((kind, line)) = refusal_in(answer, &self.device.platform.refusals) {
            let said = self.wire.quote(line);
            let message = format!("the device refused `{}`: `{said}`", save.send);
            return failed(kind, message, said);
        }
        if let Some(said) = line_with(&save.ok) {
            return Word::Saved(said);
        }
        let said = phrase::lines(answer)
            .filter(|line| !line.trim_ascii().is_empty() && !self.is_message(line))
            .last()
            .map(|line| self.wire.quote(line))
            .unwrap_or_default();
        let told = if said.is_empty() {
            "nothing".to_owned()
        } else {
            format!("`{said}`")
        };
        let message = format!(
            "the device did not confirm that it saved: it said {told}; look at its \
             startup-config by hand"
        );
        failed(FailureKind::SaveFailed, message, said)
    }

    /// Leaves a question without an answer that changes anything, and waits for the prompt as far
    /// as it comes: whether it does is the next command's trouble.
    fn leave(&mut self, known: Option<&Confirm>, kind: FailureKind) -> Word {
        let asked = self.wire.last_line();
        if let Some(confirm) = known {
            let left = self.wire.say(&confirm.no);
            let left = left.and_then(|()| self.wire.settle(Duration::from_secs(1)));
            if left == Ok(Heard::Data) && self.is_settled_at_prompt() {
                self.standing = Standing::AtPrompt;
            }
        }
        if kind == FailureKind::SaveNeedsConfirm && self.device.save_confirm == SaveConfirm::No {
            return Word::Declined(asked);
        }
        let message = match kind {
            FailureKind::TooMuch => {
                format!("more than {QUESTIONS_MAX} questions, the last one `{asked}`")
            }
            FailureKind::SaveNeedsConfirm => format!(
                "the device asks `{asked}`; save it once by hand and answer there, or set \
                 `save_confirm`"
            ),
            _ => format!("the device asks `{asked}`, which its platform does not know"),
        };
        Word::Failed(Trouble { kind, message }, asked)
    }
}

fn still_busy(tries: u32, said: &str) -> SessionError {
    SessionError::new(
        FailureKind::SaveBusy,
        format!(
            "the startup-config is in use, asked {tries}x: `{said}`; see who else \
             is saving (`show configuration lock`)"
        ),
    )
}
