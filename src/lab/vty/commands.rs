//! What the commands of a vty answer.

use super::super::counters::Tally;
use super::super::csr;
use super::super::fault::Fault;
use super::super::grammar::Command;
use super::texts::{SYSLOG, SYSLOG_LINK, crlf, version, with_syslog};
use super::{State, Step, Vty};
use std::sync::Arc;
use std::time::Duration;

const SECRET_TRIES: u8 = 3;
const BUILDING: &[u8] = b"Building configuration...\r\n";
/// In how many pieces, and with which pause between them, a slow device shows its config.
const DRIP_PIECES: usize = 30;
const DRIP_PAUSE: Duration = Duration::from_millis(50);
/// How long the half shown has to leave before the connection breaks.
const CUT_PAUSE: Duration = Duration::from_millis(5);

impl Vty {
    pub(super) fn run(&mut self, command: Command) {
        match command {
            Command::TerminalLength(lines) => self.terminal_length(lines),
            Command::TerminalWidth | Command::TerminalMonitor => self.prompt(),
            Command::ShowRun => self.show_run(),
            Command::ShowStartup => self.show_startup(),
            Command::ShowPrivilege => {
                let text = format!("Current privilege level is {}\r\n", self.level);
                self.answer(text.as_bytes());
            }
            Command::ShowVersion => {
                let text = version(&self.persona.name);
                self.page(crlf(text.as_bytes()), 0);
            }
            Command::ShowReload => self.answer(b"No reload is scheduled.\r\n"),
            Command::ShowClock => self.answer(b"*21:00:00.000 UTC Sun Nov 22 2026\r\n"),
            Command::Write => self.save(),
            Command::CopyRunStart => {
                self.say(b"Destination filename [startup-config]? ");
                self.state = State::Destination;
            }
            Command::Enable => self.enable(),
            Command::Disable => {
                self.level = 1;
                self.prompt();
            }
            Command::Exit => {
                self.step(Step::Close);
                self.state = State::Dead;
            }
        }
    }

    fn answer(&mut self, text: &[u8]) {
        self.say(text);
        self.prompt();
    }

    fn terminal_length(&mut self, lines: usize) {
        match self.persona.fault {
            Some(Fault::PagerRefused) => return self.invalid("terminal ".len()),
            Some(Fault::PagerStuck) => {}
            _ => self.length = lines,
        }
        if self.persona.fault == Some(Fault::Syslog) {
            self.say(SYSLOG);
        }
        self.prompt();
    }

    fn enable(&mut self) {
        if self.level >= 15 {
            return self.prompt();
        }
        if self.persona.enable.is_none() {
            return self.answer(b"% No password set\r\n");
        }
        self.say(b"Password: ");
        self.state = State::Secret(0);
    }

    pub(super) fn take_secret(&mut self, typed: &[u8], wrong: u8) {
        let right = self.persona.enable.as_ref();
        if right.is_some_and(|secret| secret.expose().as_bytes() == typed) {
            self.level = 15;
            return self.prompt();
        }
        let wrong = wrong + 1;
        if wrong >= SECRET_TRIES {
            return self.answer(b"% Bad secrets\r\n\r\n");
        }
        self.say(b"Password: ");
        self.state = State::Secret(wrong);
    }

    /// `write memory`, as far as the device lets it.
    pub(super) fn save(&mut self) {
        match self.persona.fault {
            Some(Fault::SaveRefused) => {
                self.wait(self.persona.think.save);
                self.answer(b"startup-config file open failed (Device or resource busy)\r\n");
            }
            Some(Fault::NvramFull) => {
                self.building();
                self.answer(
                    b"%Error opening nvram:/startup-config (No space left on device)\r\n\
                      [FAILED]\r\n",
                );
            }
            Some(Fault::SaveConfirm) => {
                self.say(
                    b"Warning: Attempting to overwrite an NVRAM configuration previously \
                      written\r\nby a different version of the system image.\r\nOverwrite the \
                      previous NVRAM configuration?[confirm]",
                );
                self.state = State::Confirm;
            }
            _ => {
                self.building();
                self.saved();
            }
        }
    }

    pub(super) fn building(&mut self) {
        self.say(BUILDING);
        self.wait(self.persona.think.save);
    }

    pub(super) fn saved(&mut self) {
        if self.persona.fault == Some(Fault::Syslog) {
            self.say(SYSLOG);
        }
        self.count(Tally::Save);
        self.say(b"[OK]\r\n");
        self.prompt();
    }

    fn show_startup(&mut self) {
        let config = Arc::clone(&self.persona.config);
        let mut text = format!("Using {} out of 33554432 bytes\r\n", config.len()).into_bytes();
        text.append(&mut crlf(&config));
        text.extend_from_slice(b"\r\n");
        self.page(text, 0);
    }

    fn show_run(&mut self) {
        self.count(Tally::ShowRun);
        if self.persona.fault == Some(Fault::AuthzRefused) {
            return self.answer(b"% Authorization failed.\r\n\r\n");
        }
        self.say(BUILDING);
        self.wait(self.persona.think.show_run);
        let text = self.shown_config();
        self.showing = self.level >= 15;
        match self.persona.fault {
            Some(Fault::CloseMidOutput) => {
                self.say(text.get(..text.len() / 2).unwrap_or_default());
                self.wait(CUT_PAUSE);
                self.step(Step::Cut);
                self.state = State::Dead;
            }
            Some(Fault::HangMidOutput) => {
                self.say(text.get(..text.len() / 2).unwrap_or_default());
                self.state = State::Dead;
            }
            Some(Fault::Drip) if self.length == 0 => self.drip(&text),
            Some(Fault::Syslog) => {
                self.page(text, 1);
                if matches!(self.state, State::Line) {
                    self.say(b"\r\n");
                    self.say(SYSLOG_LINK);
                }
            }
            // `Building configuration...` is on the screen already.
            _ => self.page(text, 1),
        }
    }

    /// What follows `Building configuration...`. IOS counts the config with LF line ends and one
    /// more for the blank line after `end`: so do two published outputs, of 68 and 159 bytes.
    fn shown_config(&self) -> Vec<u8> {
        let partial;
        let config: &[u8] = if self.level < 15 {
            partial = csr::partial_config(&self.persona.name);
            &partial
        } else {
            &self.persona.config
        };
        let head = format!("\r\nCurrent configuration : {} bytes\r\n", config.len() + 1);
        let mut text = head.into_bytes();
        let body = crlf(config);
        if self.persona.fault == Some(Fault::Syslog) {
            text.append(&mut with_syslog(&body));
        } else {
            text.extend_from_slice(&body);
        }
        text.extend_from_slice(b"\r\n");
        text
    }

    fn drip(&mut self, text: &[u8]) {
        for piece in text.chunks(text.len().div_ceil(DRIP_PIECES).max(1)) {
            self.say(piece);
            self.wait(DRIP_PAUSE);
        }
        self.prompt();
    }
}
