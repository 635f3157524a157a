//! The flight recorder: what was heard and said in one session, kept as text, and held again
//! without the device.
//!
//! A [`Tape`] listens at the transport's seam. What it heard becomes a [`Trace`] when the session is
//! over: secrets are stars then, as many as they had bytes, so that nothing moves and a proof by
//! byte count still holds. A trace is written in the words of the scripts under `tests/fixtures/`,
//! so a user's trace becomes a test by being copied there; `docs/traces.md` tells the words.

mod keep;
mod replay;
mod script;
mod subject;
mod tape;

pub use keep::{FlightRecorder, KeptSessions, Recording};
pub use replay::{Recorded, Replay, ReplayConnector};
pub use script::{escape, unescape};
pub use tape::Tape;

use super::scripted::Step;
use crate::model::failure::FailureKind;
use crate::model::stage::Stage;
use std::time::Duration;

/// One thing that was heard, said or told in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A stage began, to be done within this time.
    Stage(Stage, Duration),
    /// This came in one read.
    Heard(Vec<u8>),
    /// Before what came next, this much time was spent waiting for it.
    Pause(Duration),
    /// Nothing came for as long as we cared to wait, which was this long.
    Quiet(Duration),
    /// This was typed.
    Said(Vec<u8>),
    /// The command that was run ended with this status, having said this on its error stream.
    Exit(i32, Vec<u8>),
    /// The device ended the session, or a command's output.
    Eof,
    /// The connection broke, or we broke it.
    Broken(FailureKind),
    /// A stage ended: `ok` and what it brought, or the kind of the failure and its message.
    Ended(Stage, String),
    /// Something worth knowing that changes nothing: a step's time, an algorithm, a note.
    Noted(String),
    /// The trace had grown to its limit: so many more bytes came.
    Cut(u64),
}

/// A session as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// Who recorded it and when.
    pub comments: Vec<String>,
    /// The device, as far as the dialogue depends on it; secrets are stars.
    pub settings: Vec<(String, String)>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// Why a text is no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TraceError {
    /// The line, from 1; 0 where a line is missing.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl Trace {
    /// Reads a trace.
    ///
    /// # Errors
    /// The first line that is none.
    pub fn read(text: &str) -> Result<Self, TraceError> {
        script::read(text)
    }

    /// The trace as text.
    #[must_use]
    pub fn write(&self) -> String {
        script::write(self)
    }

    /// The value of a setting.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        let mut settings = self.settings.iter().rev();
        let found = settings.find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }

    /// What the device did, for a scripted transport.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let step = |event: &Event| match event {
            Event::Heard(bytes) => Some(Step::Send(bytes.clone())),
            Event::Pause(time) => Some(Step::Pause(*time)),
            Event::Quiet(time) => Some(Step::Quiet(*time)),
            Event::Said(bytes) => Some(Step::Expect(bytes.clone())),
            Event::Exit(code, aside) => Some(Step::Exit(*code, aside.clone())),
            Event::Eof => Some(Step::Eof),
            Event::Broken(FailureKind::Reset) => Some(Step::Reset),
            Event::Broken(kind) => Some(Step::Fail(*kind)),
            Event::Stage(..) | Event::Ended(..) | Event::Noted(_) | Event::Cut(_) => None,
        };
        self.events.iter().filter_map(step).collect()
    }
}

#[cfg(test)]
mod tests;
