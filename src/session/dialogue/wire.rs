//! Hearing and saying: bytes of a transport through the cleaner, within limits.

use super::pager::Paging;
use crate::model::credentials::{Credentials, Secret};
use crate::model::failure::FailureKind;
use crate::model::platform::Platform;
use crate::session::{Clock, Exit, ReadOutcome, SessionError, Transport};
use crate::text::clean::Cleaner;
use crate::text::redact;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The size of the first reads, in bytes: prompts and answers are small, and thousands of sessions
/// wait with such a buffer each.
const READ_MIN: usize = 2 * 1024;

/// The size of one read at most, in bytes: libssh2 hands out no more at once.
const READ_MAX: usize = 32 * 1024;

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
    buffer: Vec<u8>,
    pub(super) screen: Cleaner,
    pub(super) platform: Arc<Platform>,
    pub(super) paging: Paging,
    secrets: Vec<Secret>,
    limits: Limits,
    received: usize,
    /// How many pages were turned in this session.
    pub(super) pages: u32,
    /// Blanks typed at what may not have been a pager after all.
    pub(super) strays: usize,
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
        Self {
            transport,
            clock,
            buffer: vec![0; READ_MIN],
            screen: Cleaner::new(),
            platform,
            paging: Paging::Off,
            secrets: credentials.secrets(),
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

    /// Clears the screen and runs a command on a channel of its own.
    pub(super) fn run(&mut self, command: &str) -> Result<(), SessionError> {
        self.screen.clear();
        self.received = 0;
        self.transport.run(command, self.limits.deadline)?;
        self.last_heard = self.now();
        self.quiet_since = self.last_heard;
        Ok(())
    }

    /// How the command that was run ended, once nothing more of it comes.
    pub(super) fn ended(&mut self) -> Result<Exit, SessionError> {
        self.transport.ended(self.limits.deadline)
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
                if count == self.buffer.len() && count < READ_MAX {
                    self.buffer.resize((count * 4).min(READ_MAX), 0);
                }
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

    /// A line of the device, safe to quote.
    pub(super) fn quote(&self, line: &[u8]) -> String {
        redact::quote(line, &self.platform.secrets, &self.secrets)
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

    /// Ends the session without a word: what is typed now might answer a question.
    pub(super) fn hang_up(&mut self) {
        self.transport.close();
    }

    /// Types the platform's goodbye at the prompt, waits for nothing, and ends the session.
    pub(super) fn close(&mut self) {
        let goodbye = format!("{}\r", self.platform.exit);
        // Whether it arrives or not, the session ends here.
        let _ = self
            .transport
            .write(goodbye.as_bytes(), self.clock.now() + GOODBYE);
        self.transport.close();
    }
}
