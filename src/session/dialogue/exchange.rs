//! One command and its answer.

use super::learn::{closed, is_question};
use super::wire::Heard;
use super::{Dialogue, Echo, Standing};
use crate::model::failure::FailureKind;
use crate::session::SessionError;
use crate::text::prompt::{self, Mode, Prompt};
use crate::text::{phrase, syslog};
use std::sync::Arc;
use std::time::Duration;

/// How long a known question must stand still before it counts as one.
const QUESTION_QUIET: Duration = Duration::from_millis(50);

/// How long the prompt of another mode must stand still before it is believed.
const MODE_QUIET: Duration = Duration::from_millis(50);

/// How long nothing may come before another mode counts as not entered.
const MODE_WAIT: Duration = Duration::from_secs(10);

/// How long nothing may come before a hidden prompt is asked for, or a question counts as unknown.
const DOUBT_QUIET: Duration = Duration::from_secs(2);

/// How many bytes of log messages may stand behind a prompt that they hide.
const MESSAGES_MAX: usize = 4096;

/// Interrupts whatever the device is doing or asking, and confirms nothing.
const INTERRUPT: &[u8] = b"\x03";

/// How a command's answer paused or ended.
pub(super) enum Turn {
    /// The prompt is back.
    Prompt,
    /// One of the questions asked about stands on the last line.
    Asked,
    /// A question that nobody described stands on the last line.
    Unknown,
}

impl Dialogue {
    /// Whether the learned prompt stands at the end of the buffer on a fresh line, and, if the
    /// device echoes, the echo of the command came before it.
    pub(super) fn is_answered(&self) -> bool {
        let echoed = self.echo == Echo::Hidden || self.echo_end().is_some();
        echoed && self.is_prompt(self.wire.screen.tail())
    }

    /// Whether `tail` is the prompt, up to the blanks that were typed at a supposed pager.
    pub(super) fn is_prompt(&self, tail: &[u8]) -> bool {
        self.prompt.is(tail)
            || self.prompt.after(tail).is_some_and(|rest| {
                let blank = rest.iter().all(|b| *b == b' ');
                blank && rest.len() <= self.wire.strays + 1 && self.wire.strays > 0
            })
    }

    /// Whether a line is a log message, of a form that many know or of the platform's own.
    pub(super) fn is_message(&self, line: &[u8]) -> bool {
        syslog::is_message_of(line, &self.device.platform.log)
    }

    /// The first line on the screen that is not blank: an echo, where the device echoes.
    pub(super) fn first_line(&self) -> &[u8] {
        phrase::lines(self.wire.screen.text())
            .find(|line| !line.trim_ascii().is_empty() && !self.is_message(line))
            .unwrap_or_default()
    }

    /// Types a command that leads to a prompt of `mode`, which becomes the one that is waited for.
    /// Hands out the prompt before it.
    pub(super) fn change_mode(
        &mut self,
        command: &str,
        mode: Mode,
    ) -> Result<Prompt, SessionError> {
        self.wire.command(command)?;
        self.standing = Standing::Adrift;
        let platform = Arc::clone(&self.device.platform);
        let shape = &platform.prompt;
        loop {
            let tail = self.wire.screen.tail();
            let echoed = self.echo == Echo::Hidden || self.echo_end().is_some();
            let there = prompt::shape_of(tail, shape) == Some(mode);
            if echoed && there && self.prompt.is_kin(tail, shape) {
                let new = Prompt::learn(tail, shape);
                if self.wire.settle(MODE_QUIET)? == Heard::Data {
                    continue;
                }
                if let Some(new) = new {
                    self.standing = Standing::AtPrompt;
                    return Ok(std::mem::replace(&mut self.prompt, new));
                }
            }
            match self.wire.wait(MODE_WAIT)? {
                Heard::Data => {}
                Heard::Closed => return Err(closed(&self.wire)),
                Heard::Quiet => {
                    let last = self.wire.last_line();
                    return Err(SessionError::new(
                        FailureKind::Unexpected,
                        format!(
                            "`{command}` did not lead where it should: the last line is `{last}`"
                        ),
                    ));
                }
            }
        }
    }

    /// Where the answer begins: after the first line that is neither blank nor a bare prompt nor a
    /// log message. The echo is known by its place, because terminals repaint it.
    fn echo_end(&self) -> Option<usize> {
        let screen = &self.wire.screen;
        let text = screen.text().get(..screen.tail_start())?;
        let mut end = 0;
        for line in phrase::lines(text) {
            end += line.len() + 1;
            let idle =
                line.trim_ascii().is_empty() || self.is_prompt(line) || self.is_message(line);
            if !idle {
                return Some(end);
            }
        }
        None
    }

    /// What the device answered to the last command so far, without the echo and the last line.
    pub(super) fn answer(&self) -> &[u8] {
        let begin = match self.echo {
            Echo::Shown => self.echo_end().unwrap_or(0),
            Echo::Hidden => 0,
        };
        let screen = &self.wire.screen;
        screen
            .text()
            .get(begin..screen.tail_start())
            .unwrap_or_default()
    }

    /// Follows the answer to a command up to the prompt or a question. `questions` are endings of
    /// lines; one that began before `answered`, a place on the screen, was answered already.
    pub(super) fn turn(
        &mut self,
        questions: &[&[Vec<u8>]],
        answered: usize,
    ) -> Result<Turn, SessionError> {
        self.standing = Standing::Adrift;
        let mut asked_for_prompt = false;
        loop {
            if self.is_answered() {
                // The prompt counts at the end of the buffer: is anything behind it already?
                if self.wire.settle(Duration::ZERO)? == Heard::Data {
                    continue;
                }
                self.standing = Standing::AtPrompt;
                return Ok(Turn::Prompt);
            }
            let tail = self.wire.screen.tail();
            let new = self.wire.screen.tail_start() >= answered;
            if new && questions.iter().any(|known| phrase::ends_any(tail, known)) {
                match self.wire.settle(QUESTION_QUIET)? {
                    Heard::Quiet => return Ok(Turn::Asked),
                    Heard::Data => continue,
                    Heard::Closed => return Err(closed(&self.wire)),
                }
            }
            if self.wire.turn_page()? {
                continue;
            }
            match self.wire.wait(DOUBT_QUIET)? {
                Heard::Data => {}
                Heard::Closed => return Err(closed(&self.wire)),
                Heard::Quiet if new && is_question(self.wire.screen.tail()) => {
                    return Ok(Turn::Unknown);
                }
                Heard::Quiet if self.is_prompt_hidden() && !asked_for_prompt => {
                    asked_for_prompt = true;
                    self.wire.say(b"\r")?;
                }
                Heard::Quiet => {}
            }
        }
    }

    /// Whether the last thing on the screen is a log message that came after the prompt.
    pub(super) fn is_prompt_hidden(&self) -> bool {
        let text = self.wire.screen.text();
        // Asked at every read: what is longer was none.
        let text = text.get(text.len().saturating_sub(MESSAGES_MAX)..);
        let text = text.unwrap_or_default().trim_ascii_end();
        let mut lines = text.rsplit(|b| *b == b'\n');
        let last = lines.next().unwrap_or_default();
        let glued = |line: &[u8]| self.prompt.after(line).is_some_and(|l| self.is_message(l));
        let before = lines.find(|line| !line.trim_ascii().is_empty() && !self.is_message(line));
        let stands = |line: &[u8]| self.is_prompt(line) || glued(line);
        glued(last) || (self.is_message(last) && before.is_some_and(stands))
    }

    /// Whether the prompt comes back within a moment.
    pub(super) fn is_settled_at_prompt(&mut self) -> bool {
        while self.wire.settle(Duration::from_secs(1)) == Ok(Heard::Data) {
            if self.is_answered() {
                break;
            }
        }
        self.is_answered()
    }

    /// Interrupts what a failed command left behind and waits for the prompt.
    pub(super) fn come_back(&mut self) -> Result<(), SessionError> {
        if self.standing == Standing::AtPrompt {
            return Ok(());
        }
        for _ in 0..2 {
            self.wire.say(INTERRUPT)?;
            loop {
                match self.wire.wait(DOUBT_QUIET)? {
                    Heard::Data => {}
                    Heard::Closed => return Err(closed(&self.wire)),
                    Heard::Quiet => break,
                }
            }
            if self.is_prompt(self.wire.screen.tail()) {
                self.standing = Standing::AtPrompt;
                return Ok(());
            }
        }
        Err(SessionError::new(
            FailureKind::Unexpected,
            format!(
                "the prompt does not come back: the last line is `{}`; log in by hand and see",
                self.wire.last_line()
            ),
        ))
    }
}
