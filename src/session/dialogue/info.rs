//! What a device is asked besides its config, to be kept beside it.

use super::Dialogue;
use super::commands::Commands;
use super::exchange::Turn;
use super::login::refusal_in;
use crate::model::config::Info;
use crate::model::device::Device;
use crate::model::stage::Trail;
use crate::session::SessionError;
use crate::text::{phrase, volatile};
use std::time::Instant;

/// The most bytes that one answer may have.
const ANSWER_MAX: usize = 8 << 20;

/// What came of a question.
pub(super) enum Answer {
    /// These lines.
    Said(Vec<u8>),
    /// The device turned it down, as it said itself.
    Refused(String),
}

/// Asks all that the device's settings name and puts the answers together, each headed by its
/// command, without lines that change by themselves. Trouble is noted and costs only this; then
/// what was kept before stays.
fn gather(
    device: &Device,
    trail: &mut Trail,
    mut ask: impl FnMut(&str) -> Result<Answer, SessionError>,
) -> Option<Info> {
    if device.also.is_empty() {
        return None;
    }
    let comment = String::from_utf8_lossy(&device.platform.comment).into_owned();
    let mut info = Vec::new();
    for command in &device.also {
        if !info.is_empty() {
            info.push(b'\n');
        }
        info.extend_from_slice(format!("{comment} {command}\n").as_bytes());
        match ask(command) {
            Ok(Answer::Said(text)) => keep(&text, device, &mut info),
            Ok(Answer::Refused(said)) => {
                info.extend_from_slice(format!("{comment} refused: {said}\n").as_bytes());
                trail.note(format!("the device refused `{command}`: `{said}`"));
            }
            Err(error) => {
                trail.note(format!(
                    "`{command}` was not answered, so what goes with the config was not kept: \
                     {error}"
                ));
                return None;
            }
        }
    }
    Some(Info::new(info))
}

/// Keeps the lines of an answer, without blanks at their ends and blank lines around them.
fn keep(text: &[u8], device: &Device, info: &mut Vec<u8>) {
    let mut blank = 0;
    let mut any = false;
    for line in phrase::lines(text) {
        let line = line.trim_ascii_end();
        if volatile::is_volatile(line, &device.platform.info_volatile) {
            continue;
        }
        if line.is_empty() {
            blank += 1;
            continue;
        }
        if any {
            info.resize(info.len() + blank, b'\n');
        }
        any = true;
        blank = 0;
        info.extend_from_slice(line);
        info.push(b'\n');
    }
}

impl Dialogue {
    /// Asks what is to be kept beside the config, once that is read; cannot fail.
    pub fn info(&mut self, deadline: Instant, trail: &mut Trail) -> Option<Info> {
        let device = std::sync::Arc::clone(&self.device);
        self.set_limits(deadline, device.deadlines.backup, ANSWER_MAX);
        gather(&device, trail, |command| self.ask(command))
    }

    fn ask(&mut self, command: &str) -> Result<Answer, SessionError> {
        self.come_back()?;
        self.wire.command(command)?;
        match self.turn(&[], 0)? {
            Turn::Prompt => {}
            Turn::Asked | Turn::Unknown => return Ok(Answer::Refused(self.wire.last_line())),
        }
        let answer = self.answer();
        if let Some((_, line)) = refusal_in(answer, &self.device.platform.refusals) {
            return Ok(Answer::Refused(self.wire.quote(line)));
        }
        let above = &self.device.platform.prompt.above;
        let lines = phrase::lines(answer)
            .filter(|line| !self.is_message(line) && !phrase::is_any(line, above));
        let said = lines.flat_map(|line| [line, b"\n"].concat()).collect();
        Ok(Answer::Said(said))
    }
}

impl Commands {
    /// Asks what is to be kept beside the config, once that is read; cannot fail.
    pub fn info(&mut self, deadline: Instant, trail: &mut Trail) -> Option<Info> {
        let device = std::sync::Arc::clone(&self.device);
        self.set_limits(deadline, device.deadlines.backup, ANSWER_MAX);
        gather(&device, trail, |command| self.ask(command))
    }
}
