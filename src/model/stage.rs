//! The five stages of one device, and the timed steps within them.

use super::save::{SaveReport, SaveResult};
use std::fmt;
use std::time::Duration;

/// One of the five things done with a device, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Name lookup, TCP, key exchange, host key, login, shell, prompt, privilege.
    Connect,
    /// `wr mem`: the running-config becomes the startup-config.
    Save,
    /// The config is read and proven whole.
    Backup,
    /// The archive makes the config durable.
    Write,
    /// The session is ended.
    Disconnect,
}

impl Stage {
    /// All stages in the order in which a device goes through them.
    pub const ALL: [Self; 5] = [
        Self::Connect,
        Self::Save,
        Self::Backup,
        Self::Write,
        Self::Disconnect,
    ];

    /// The word for this stage in logs, reports and settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Save => "save",
            Self::Backup => "backup",
            Self::Write => "write",
            Self::Disconnect => "disconnect",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A timed part of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepName {
    /// Name lookup.
    Dns,
    /// TCP connection.
    Tcp,
    /// SSH identification and key exchange.
    Kex,
    /// Waiting for a turn: CPU for a key exchange, or the login gate.
    Gate,
    /// Login.
    Auth,
    /// Channel, pty and shell.
    Shell,
    /// Waiting for the first prompt.
    Prompt,
    /// From user mode to privileged mode.
    Enable,
    /// Paging off, privilege, and what else is asked before the work.
    Prepare,
}

impl StepName {
    /// The word for this step in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Kex => "kex",
            Self::Gate => "gate",
            Self::Auth => "auth",
            Self::Shell => "shell",
            Self::Prompt => "prompt",
            Self::Enable => "enable",
            Self::Prepare => "prepare",
        }
    }
}

/// How long one step took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepTime {
    /// Which step.
    pub step: StepName,
    /// How long.
    pub took: Duration,
}

/// The algorithms a connection settled on, in SSH's names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Algorithms {
    /// Key exchange.
    pub kex: String,
    /// Host key.
    pub host_key: String,
    /// Cipher, client to server.
    pub cipher: String,
    /// Message authentication code, client to server; empty for an AEAD cipher.
    pub mac: String,
}

/// What a stage leaves behind besides its result, also when it fails: step times, notes, facts,
/// algorithms.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trail {
    /// Step times in the order in which the steps ended.
    pub steps: Vec<StepTime>,
    /// What the operator should know though nothing failed. Never holds a secret.
    pub notes: Vec<String>,
    /// Set once a key exchange has succeeded.
    pub algorithms: Option<Algorithms>,
    /// What the device told about itself, by name: `hostname`, `privilege`, and what the platform
    /// asks for besides (`daemons`). Never holds a secret.
    pub facts: Vec<(String, String)>,
    /// The name of the credentials that let us in.
    pub credentials: Option<String>,
    /// The names of credentials that the device refused.
    pub refused: Vec<String>,
    /// How saving ended, once that is known.
    pub save: Option<SaveReport>,
    /// Whether the device had unsaved changes when its config was read, where it tells.
    pub unsaved: Option<bool>,
}

impl Trail {
    /// Records a fact; a later one of the same name takes its place.
    pub fn fact(&mut self, name: &str, value: impl Into<String>) {
        self.facts.retain(|(known, _)| known != name);
        self.facts.push((name.to_owned(), value.into()));
    }

    /// Records how saving ended and the device's word for it.
    pub fn saving_ended(&mut self, result: SaveResult, said: String) {
        self.save = Some(SaveReport { result, said });
    }

    /// Records that `step` took `took`.
    pub fn step(&mut self, step: StepName, took: Duration) {
        self.steps.push(StepTime { step, took });
    }

    /// Adds a note, once.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}
