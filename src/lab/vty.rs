//! The conversation of one vty, as a pure machine: what was typed goes in, what to send and how
//! long to wait comes out.
//!
//! The texts and habits are those of IOS: a line is echoed when it is read, that is after the
//! prompt; what is typed ahead waits; the pager stops before the last line of the screen.

use super::counters::Tally;
use super::csr;
use super::fault::Fault;
use super::grammar::{self, Command, Parsed};
use super::spec::Think;
use crate::model::credentials::Secret;
use std::sync::Arc;
use std::time::Duration;

/// What a device is to those who log in.
#[derive(Debug)]
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
#[derive(Debug)]
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

/// What the pager writes, and how it wipes it.
const MORE: &[u8] = b" --More-- ";
const MORE_WIPE: &[u8] =
    b"\x08\x08\x08\x08\x08\x08\x08\x08\x08        \x08\x08\x08\x08\x08\x08\x08\x08\x08";
/// IOS's own screen length, whatever rows the pty has.
const SCREEN: usize = 24;
/// The longest command line in bytes; IOS rings the bell beyond it.
const LINE_MAX: usize = 254;
const SECRET_TRIES: u8 = 3;
const BUILDING: &[u8] = b"Building configuration...\r\n";
const SYSLOG: &[u8] =
    b"*Nov 22 21:00:00.123: %SYS-5-CONFIG_I: Configured from console by admin on \
    vty1 (192.0.2.7)\r\n";
const SYSLOG_LINK: &[u8] =
    b"*Nov 22 21:00:01.456: %LINK-3-UPDOWN: Interface GigabitEthernet4, changed state to up\r\n";
/// In how many pieces, and with which pause between them, a slow device shows its config.
const DRIP_PIECES: usize = 30;
const DRIP_PAUSE: Duration = Duration::from_millis(50);
/// How long a device rests after a line that looks like its prompt.
const TRAP_PAUSE: Duration = Duration::from_millis(60);

/// One vty.
#[derive(Debug)]
pub(super) struct Vty {
    persona: Arc<Persona>,
    state: State,
    level: u8,
    /// Lines of the screen; 0 means no pager.
    length: usize,
    line: Vec<u8>,
    after_cr: bool,
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
            length: SCREEN,
            line: Vec::new(),
            after_cr: false,
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

    fn run(&mut self, command: Command) {
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

    fn take_secret(&mut self, typed: &[u8], wrong: u8) {
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
    fn save(&mut self) {
        match self.persona.fault {
            Some(Fault::SaveRefused) => {
                self.wait(self.persona.think.save);
                self.answer(b"startup-config file open failed (Device or resource busy)\r\n");
            }
            Some(Fault::NvramFull) => {
                self.building();
                self.answer(
                    b"% Configuration buffer full, can't add command: end\r\n%Error opening \
                      nvram:/startup-config (No space left on device)\r\n[FAILED]\r\n",
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

    fn building(&mut self) {
        self.say(BUILDING);
        self.wait(self.persona.think.save);
    }

    fn saved(&mut self) {
        if self.persona.fault == Some(Fault::Syslog) {
            self.say(SYSLOG);
        }
        self.step(Step::Count(Tally::Save));
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
        self.step(Step::Count(Tally::ShowRun));
        if self.persona.fault == Some(Fault::AuthzRefused) {
            return self.answer(b"% Authorization failed.\r\n\r\n");
        }
        self.say(BUILDING);
        self.wait(self.persona.think.show_run);
        let text = self.shown_config();
        match self.persona.fault {
            Some(Fault::CloseMidOutput) => {
                self.say(text.get(..text.len() / 2).unwrap_or_default());
                // The half shown leaves before the connection breaks.
                self.wait(Duration::from_millis(5));
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

    /// Shows `rest` from byte `from` on; the screen holds `used` lines already. Without a pager
    /// all of it goes out.
    fn page(&mut self, rest: Vec<u8>, used: usize) {
        self.show_lines(rest, 0, self.length.saturating_sub(1 + used));
    }

    fn show_lines(&mut self, rest: Vec<u8>, from: usize, lines: usize) {
        let tail = rest.get(from..).unwrap_or_default();
        let cut = if self.length == 0 {
            tail.len()
        } else {
            end_of_line(tail, lines.max(1))
        };
        self.out.extend_from_slice(tail.get(..cut).unwrap_or(tail));
        if cut >= tail.len() {
            return self.prompt();
        }
        self.say(MORE);
        self.state = State::More {
            rest,
            from: from + cut,
        };
    }

    fn more_key(&mut self, byte: u8, rest: Vec<u8>, from: usize) {
        self.say(MORE_WIPE);
        match byte {
            b' ' => self.show_lines(rest, from, self.length.saturating_sub(1)),
            b'\r' => self.show_lines(rest, from, 1),
            _ => self.prompt(),
        }
    }
}

/// The length of the first `lines` lines, or of all there is.
fn end_of_line(text: &[u8], lines: usize) -> usize {
    text.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .nth(lines.saturating_sub(1))
        .map_or(text.len(), |(at, _)| at + 1)
}

/// The text with CR LF line ends.
fn crlf(text: &[u8]) -> Vec<u8> {
    let mut wide = Vec::with_capacity(text.len() + text.len() / 16 + 16);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                wide.extend_from_slice(line);
                wide.extend_from_slice(b"\r\n");
            }
            None => wide.extend_from_slice(line),
        }
    }
    wide
}

/// Three syslog lines, spread over the text.
fn with_syslog(text: &[u8]) -> Vec<u8> {
    let total = text.iter().filter(|byte| **byte == b'\n').count();
    let step = (total / 4).max(1);
    let mut mixed = Vec::with_capacity(text.len() + 4 * SYSLOG.len());
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if number > 0 && number.is_multiple_of(step) {
            mixed.extend_from_slice(SYSLOG);
        }
        mixed.extend_from_slice(line);
    }
    mixed
}

fn version(name: &str) -> String {
    format!(
        "Cisco IOS XE Software, Version 16.09.05\n\
         Cisco IOS Software [Fuji], Virtual XE Software (X86_64_LINUX_IOSD-UNIVERSALK9-M), \
         Version 16.9.5, RELEASE SOFTWARE (fc1)\n\
         Technical Support: http://www.cisco.com/techsupport\n\n\
         ROM: IOS-XE ROMMON\n\n\
         {name} uptime is 3 weeks, 2 days, 4 hours, 11 minutes\n\
         Uptime for this control processor is 3 weeks, 2 days, 4 hours, 13 minutes\n\
         System returned to ROM by reload\n\
         System image file is \"bootflash:packages.conf\"\n\
         Last reload reason: reload\n\n\
         cisco CSR1000V (VXE) processor (revision VXE) with 2190795K/3075K bytes of memory.\n\
         Processor board ID 9XKQ7M2HLZ1\n\
         4 Gigabit Ethernet interfaces\n\
         32768K bytes of non-volatile configuration memory.\n\
         3984860K bytes of physical memory.\n\
         7774207K bytes of virtual hard disk at bootflash:.\n\n\
         Configuration register is 0x2102\n\n"
    )
}

#[cfg(test)]
mod tests;
