//! Hearing and saying: bytes of a transport through the cleaner, within limits.

use crate::model::credentials::{Credentials, Secret};
use crate::model::failure::FailureKind;
use crate::model::platform::Platform;
use crate::session::{Clock, ReadOutcome, SessionError, Transport};
use crate::text::clean::Cleaner;
use crate::text::{phrase, redact};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The size of one read, in bytes: libssh2 hands out no more at once.
const READ_SIZE: usize = 32 * 1024;

/// How many pages of one session are turned at most.
const PAGES_MAX: u32 = 200_000;

/// How long a pager's text must stand still before it is answered, where paging should be off: it
/// may as well be a line of the config that was cut there.
const PAGER_QUIET: Duration = Duration::from_millis(50);

/// How long a device that takes nothing holds up the goodbye.
const GOODBYE: Duration = Duration::from_millis(100);

/// What waiting brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// More bytes are on the screen.
    Data,
    /// Nothing came for the time that was asked for.
    Quiet,
    /// The device ended the session.
    Closed,
}

/// Whether the device's output is paged, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paging {
    /// It should not be.
    Off,
    /// The device did not turn it off.
    On,
}

/// The limits of one stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The moment by which the stage must be done.
    pub(super) deadline: Instant,
    /// The longest silence.
    pub(super) silence: Duration,
    /// The most bytes that one command may bring.
    pub(super) bytes: usize,
}

/// One end of the conversation.
pub(super) struct Wire {
    transport: Box<dyn Transport>,
    clock: Arc<dyn Clock>,
    buffer: Box<[u8]>,
    pub(super) screen: Cleaner,
    pub(super) platform: Arc<Platform>,
    pub(super) paging: Paging,
    secrets: Vec<Secret>,
    limits: Limits,
    received: usize,
    pages: u32,
    /// Blanks typed at what may not have been a pager after all.
    strays: usize,
    last_heard: Instant,
    quiet_since: Instant,
}

impl Wire {
    pub(super) fn new(
        transport: Box<dyn Transport>,
        clock: Arc<dyn Clock>,
        platform: Arc<Platform>,
        credentials: &Credentials,
        limits: Limits,
    ) -> Self {
        let now = clock.now();
        let key = credentials.key.as_ref();
        let passphrase = key.and_then(|key| key.passphrase.as_ref());
        let secrets = [
            credentials.password.as_ref(),
            credentials.enable.as_ref(),
            passphrase,
        ];
        Self {
            transport,
            clock,
            buffer: vec![0; READ_SIZE].into_boxed_slice(),
            screen: Cleaner::new(),
            platform,
            paging: Paging::Off,
            secrets: secrets.into_iter().flatten().cloned().collect(),
            limits,
            received: 0,
            pages: 0,
            strays: 0,
            last_heard: now,
            quiet_since: now,
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub(super) fn deadline(&self) -> Instant {
        self.limits.deadline
    }

    /// How many bytes came since the last command.
    pub(super) fn received(&self) -> usize {
        self.received
    }

    /// How many pages were turned in this session.
    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    /// How many blanks may stand behind the next prompt.
    pub(super) fn strays(&self) -> usize {
        self.strays
    }

    /// Types `bytes`.
    pub(super) fn say(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.transport.write(bytes, self.limits.deadline)?;
        self.last_heard = self.now();
        self.quiet_since = self.last_heard;
        Ok(())
    }

    /// Clears the screen and types a command.
    pub(super) fn command(&mut self, command: &str) -> Result<(), SessionError> {
        self.screen.clear();
        self.received = 0;
        self.strays = 0;
        self.say(format!("{command}\r").as_bytes())
    }

    /// Waits for bytes, at most until nothing came for `quiet`: counted from the last byte, the
    /// last word typed, or the last time that this was answered.
    ///
    /// # Errors
    /// Of kind `Timeout` when the deadline or the silence limit passes, `TooMuch` on a flood.
    pub(super) fn wait(&mut self, quiet: Duration) -> Result<Heard, SessionError> {
        let silent = self.last_heard.checked_add(self.limits.silence);
        let silent = silent.unwrap_or(self.limits.deadline);
        let quiet = self.quiet_since.checked_add(quiet);
        let until = quiet
            .unwrap_or(silent)
            .min(silent)
            .min(self.limits.deadline);
        let heard = self.listen(until)?;
        if heard == Heard::Quiet {
            let now = self.now();
            if now >= silent || now >= self.limits.deadline {
                return Err(self.timeout(now));
            }
            self.quiet_since = now;
        }
        Ok(heard)
    }

    /// Whether nothing more comes for `quiet` from now; zero asks for what is there already.
    pub(super) fn settle(&mut self, quiet: Duration) -> Result<Heard, SessionError> {
        let now = self.now();
        let until = now.checked_add(quiet).unwrap_or(now);
        self.listen(until.min(self.limits.deadline.max(now)))
    }

    /// Lets `pause` pass while taking in what the device says by itself; the silence limit does
    /// not count.
    pub(super) fn pause(&mut self, pause: Duration) -> Result<Heard, SessionError> {
        let until = self.now() + pause;
        while self.now() < until {
            match self.listen(until)? {
                Heard::Closed => return Ok(Heard::Closed),
                Heard::Data | Heard::Quiet => {}
            }
        }
        Ok(Heard::Quiet)
    }

    fn listen(&mut self, until: Instant) -> Result<Heard, SessionError> {
        match self.transport.read(&mut self.buffer, until)? {
            ReadOutcome::Data(count) => {
                let bytes = self.buffer.get(..count).unwrap_or_default();
                self.screen.feed(bytes);
                self.received += count;
                self.last_heard = self.clock.now();
                self.quiet_since = self.last_heard;
                if self.received > self.limits.bytes {
                    return Err(self.flood());
                }
                if self.last_heard >= self.limits.deadline {
                    return Err(self.timeout(self.last_heard));
                }
                Ok(Heard::Data)
            }
            ReadOutcome::Eof => Ok(Heard::Closed),
            ReadOutcome::TimedOut => Ok(Heard::Quiet),
        }
    }

    /// Answers a pager that waits alone on the last line. Says whether it did, or whether more came
    /// instead: whether to look again before waiting.
    pub(super) fn turn_page(&mut self) -> Result<bool, SessionError> {
        if !self.at_pager() {
            return Ok(false);
        }
        let quiet = match self.paging {
            Paging::Off => PAGER_QUIET,
            Paging::On => Duration::ZERO,
        };
        match self.settle(quiet)? {
            Heard::Quiet => {}
            Heard::Data => return Ok(true),
            Heard::Closed => return Ok(false),
        }
        self.pages += 1;
        self.strays += 1;
        if self.pages > PAGES_MAX {
            return Err(SessionError::new(
                FailureKind::TooMuch,
                format!("more than {PAGES_MAX} pages: check the pager texts of the platform"),
            ));
        }
        self.screen.answer_pager();
        let answer = self.platform.pager.answer.clone();
        self.say(&answer)?;
        Ok(true)
    }

    fn at_pager(&self) -> bool {
        let tail = self.screen.tail();
        if tail.len() > crate::text::prompt::PROMPT_MAX || self.screen.pager_answered() {
            return false;
        }
        let tail = tail.trim_ascii();
        let alone = |phrase: &Vec<u8>| {
            let mut pieces = phrase.split(|b| *b == b'*');
            let first = pieces.next().unwrap_or_default();
            let last = pieces.next_back().unwrap_or(first);
            tail.starts_with(first) && tail.ends_with(last) && phrase::holds(tail, phrase)
        };
        !tail.is_empty() && self.platform.pager.prompts.iter().any(alone)
    }

    /// A line of the device, safe to quote.
    pub(super) fn quote(&self, line: &[u8]) -> String {
        redact::quote(line, &self.secrets)
    }

    /// The last line with something on it, safe to quote.
    pub(super) fn last_line(&self) -> String {
        let text = self.screen.text().trim_ascii_end();
        let start = text
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        self.quote(text.get(start..).unwrap_or_default())
    }

    fn timeout(&self, now: Instant) -> SessionError {
        let silent = now.saturating_duration_since(self.last_heard).as_secs_f64();
        let limit = if now >= self.limits.deadline {
            "the deadline passed"
        } else {
            "the device fell silent"
        };
        SessionError::new(
            FailureKind::Timeout,
            format!(
                "{limit}: {} bytes read, nothing for {silent:.1} s, the last line was `{}`; \
                 look at the device's load, or raise the device's deadlines",
                self.received,
                self.last_line()
            ),
        )
    }

    fn flood(&self) -> SessionError {
        SessionError::new(
            FailureKind::TooMuch,
            format!(
                "more than {} bytes for one command, the last line was `{}`; \
                 log in by hand and see what the device sends",
                self.limits.bytes,
                self.last_line()
            ),
        )
    }

    /// Types the platform's goodbye, waits for nothing, and ends the session.
    pub(super) fn close(&mut self) {
        let goodbye = format!("{}\r", self.platform.exit);
        // Whether it arrives or not, the session ends here.
        let _ = self
            .transport
            .write(goodbye.as_bytes(), self.clock.now() + GOODBYE);
        self.transport.close();
    }
}
