//! The conversation of one vty, as a pure machine: what was typed goes in, what to send and how
//! long to wait comes out.
//!
//! The texts and habits are those of IOS: a line is echoed when it is read, that is after the
//! prompt; what is typed ahead waits; the pager stops before the last line of the screen.

mod commands;
mod pager;
mod texts;

use super::counters::Tally;
use super::csr;
use super::fault::Fault;
use super::grammar::{self, Parsed};
use super::spec::Think;
use crate::model::credentials::Secret;
use std::sync::Arc;
use std::time::Duration;

/// What a device is to those who log in.
pub(super) struct Persona {
    pub(super) name: String,
    /// The running-config with LF line ends.
    pub(super) config: Arc<[u8]>,
    pub(super) enable: Option<Secret>,
    /// The privilege level after login.
    pub(super) level: u8,
    pub(super) think: Think,
    pub(super) fault: Option<Fault>,
}

/// One thing to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    Count(Tally),
    /// The device ends the session as it should.
    Close,
    /// The connection breaks.
    Cut,
}

/// What the next byte typed is for.
enum State {
    /// A command line.
    Line,
    /// The enable secret; how often it was wrong.
    Secret(u8),
    /// `Destination filename [startup-config]?`
    Destination,
    /// `[confirm]` before a save.
    Confirm,
    /// ` --More-- `, with what is still to be shown.
    More { rest: Vec<u8>, from: usize },
    /// Nothing any more.
    Dead,
}

/// The longest command line in bytes; IOS rings the bell beyond it.
const LINE_MAX: usize = 254;
/// How long a device rests after a line that looks like its prompt.
const TRAP_PAUSE: Duration = Duration::from_millis(60);

/// One vty. No `Debug`: the line may be a secret.
pub(super) struct Vty {
    persona: Arc<Persona>,
    state: State,
    level: u8,
    /// Lines of the screen; 0 means no pager.
    length: usize,
    line: Vec<u8>,
    after_cr: bool,
    /// The whole config is on its way; the next prompt ends it.
    showing: bool,
    /// What of the steps has not been closed by a wait yet.
    out: Vec<u8>,
    steps: Vec<Step>,
}

impl Vty {
    /// A fresh vty, with what it says before anything is typed.
    pub(super) fn open(persona: Arc<Persona>) -> (Self, Vec<Step>) {
        let level = match persona.fault {
            Some(Fault::Privilege5) => 5,
            Some(Fault::UserMode) => 1,
            _ => persona.level,
        };
        let mut vty = Self {
            persona,
            state: State::Line,
            level,
            length: pager::SCREEN,
            line: Vec::new(),
            after_cr: false,
            showing: false,
            out: Vec::new(),
            steps: Vec::new(),
        };
        vty.greet();
        let steps = vty.take_steps();
        (vty, steps)
    }

    /// What a vty answers to `typed`.
    pub(super) fn input(&mut self, typed: &[u8]) -> Vec<Step> {
        for byte in typed {
            self.key(*byte);
        }
        self.take_steps()
    }

    fn take_steps(&mut self) -> Vec<Step> {
        self.settle();
        std::mem::take(&mut self.steps)
    }

    fn say(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// What was said so far goes before what comes next.
    fn settle(&mut self) {
        if !self.out.is_empty() {
            let out = std::mem::take(&mut self.out);
            self.steps.push(Step::Send(out));
        }
    }

    fn step(&mut self, step: Step) {
        self.settle();
        self.steps.push(step);
    }

    /// Counts at once; what was said since the last wait may still follow.
    fn count(&mut self, tally: Tally) {
        self.steps.push(Step::Count(tally));
    }

    fn wait(&mut self, time: Duration) {
        if !time.is_zero() {
            self.step(Step::Wait(time));
        }
    }

    fn greet(&mut self) {
        self.say(b"\r\n");
        for line in csr::BANNER {
            self.say(line.as_bytes());
            self.say(b"\r\n");
        }
        if self.persona.fault == Some(Fault::BannerTrap) {
            let trap = format!(
                "# is the prompt of those with rights, > of those without\r\nPassword: is never \
                 asked for here\r\n --More-- \r\nrouter>\r\n{0}#show running-config\r\nend\r\n\r\n\
                 {0}#",
                self.persona.name
            );
            self.say(trap.as_bytes());
            self.wait(TRAP_PAUSE);
            self.say(b"\r\nthat was the banner\r\n");
        }
        self.say(b"\r\n");
        self.prompt();
    }

    fn prompt(&mut self) {
        self.state = State::Line;
        self.out.extend_from_slice(self.persona.name.as_bytes());
        self.out.push(if self.level > 1 { b'#' } else { b'>' });
        if std::mem::take(&mut self.showing) {
            self.step(Step::Count(Tally::Shown));
        }
    }

    fn key(&mut self, byte: u8) {
        // A line ends with CR, LF or CR LF.
        let second_half = self.after_cr && byte == b'\n';
        self.after_cr = byte == b'\r';
        if second_half {
            return;
        }
        let byte = if byte == b'\n' { b'\r' } else { byte };
        match &mut self.state {
            State::Line => self.line_key(byte),
            State::Secret(_) | State::Destination => self.answer_key(byte),
            State::Confirm => self.confirm_key(byte),
            State::More { rest, from } => {
                let (rest, from) = (std::mem::take(rest), *from);
                self.more_key(byte, rest, from);
            }
            State::Dead => {}
        }
    }

    fn line_key(&mut self, byte: u8) {
        match byte {
            b'\r' => {
                self.say(b"\r\n");
                let line = std::mem::take(&mut self.line);
                self.run_line(&line);
            }
            0x08 | 0x7f => self.rub_out(1),
            0x15 => self.rub_out(self.line.len()),
            0x03 | 0x1a => {
                self.line.clear();
                self.say(b"\r\n");
                self.prompt();
            }
            0x20..=0x7e | 0x80.. if self.line.len() < LINE_MAX => {
                self.line.push(byte);
                self.out.push(byte);
            }
            0x20.. => self.out.push(0x07),
            _ => {}
        }
    }

    fn rub_out(&mut self, count: usize) {
        for _ in 0..count.min(self.line.len()) {
            self.line.pop();
            self.say(b"\x08 \x08");
        }
    }

    /// A key at a question whose answer ends with CR; the secret is not echoed.
    fn answer_key(&mut self, byte: u8) {
        match byte {
            b'\r' => {
                self.say(b"\r\n");
                let answer = std::mem::take(&mut self.line);
                if let State::Secret(wrong) = self.state {
                    self.take_secret(&answer, wrong);
                } else {
                    self.save();
                }
            }
            0x03 => {
                self.line.clear();
                self.say(b"\r\n");
                self.prompt();
            }
            0x20..=0x7e | 0x80.. if self.line.len() < LINE_MAX => {
                self.line.push(byte);
                if matches!(self.state, State::Destination) {
                    self.out.push(byte);
                }
            }
            _ => {}
        }
    }

    /// IOS goes on at CR or `y`, and drops the save at any other key.
    fn confirm_key(&mut self, byte: u8) {
        if matches!(byte, b'\r' | b'y' | b'Y') {
            self.say(b"\r\n");
            self.building();
            self.saved();
        } else {
            self.say(b"\r\n");
            self.prompt();
        }
    }

    fn run_line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        match grammar::parse(&text, self.level) {
            Parsed::Empty => self.prompt(),
            Parsed::Command(command) => self.run(command),
            Parsed::Invalid(column) => self.invalid(column),
            Parsed::Incomplete => {
                self.say(b"% Incomplete command.\r\n\r\n");
                self.prompt();
            }
            Parsed::Ambiguous => {
                self.say(b"% Ambiguous command:  \"");
                self.say(line);
                self.say(b"\"\r\n");
                self.prompt();
            }
        }
    }

    fn invalid(&mut self, column: usize) {
        let indent = self.persona.name.len() + 1 + column;
        self.out.resize(self.out.len() + indent, b' ');
        self.say(b"^\r\n% Invalid input detected at '^' marker.\r\n\r\n");
        self.prompt();
    }
}

#[cfg(test)]
mod tests;
