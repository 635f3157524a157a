//! Fetches secrets: from the environment, a file or a command.

use super::command::{self, Limits};
use super::credentials::{self, CredentialEntry, KeySource, SecretKind, SecretSource};
use super::fault::Fault;
use super::files::{self, Presence};
use super::keys;
use crate::model::credentials::{Agent, AuthMethod, Credentials, Secret};
use std::path::Path;
use zeroize::Zeroizing;

/// Whether credential commands are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commands {
    /// They are run.
    Run,
    /// They are taken to answer.
    Skip,
}

/// Fetches secrets and collects the warnings on the way.
pub(crate) struct Fetcher<'a> {
    pub(crate) env: &'a [(String, String)],
    pub(crate) commands: Commands,
    pub(crate) limits: Limits,
    pub(crate) warnings: Vec<Fault>,
}

impl Fetcher<'_> {
    /// The credentials with their secrets, or every reason why not.
    pub(crate) fn credentials(
        &mut self,
        name: &str,
        entry: &CredentialEntry,
    ) -> Result<Credentials, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut keep = |result: Result<Option<Secret>, Fault>| {
            result.map_err(|fault| faults.push(fault)).ok().flatten()
        };
        let password = keep(self.optional(entry.password.as_ref()));
        let enable = keep(self.optional(entry.enable.as_ref()));
        let passphrase = entry.key.as_ref().and_then(|key| key.passphrase.as_ref());
        let passphrase = keep(self.optional(passphrase));
        let key = match &entry.key {
            Some(key) if faults.is_empty() => match self.key(key, passphrase) {
                Ok(key) => Some(key),
                Err(fault) => {
                    faults.push(fault);
                    None
                }
            },
            _ => None,
        };
        let agent = self.agent(name, entry).map_err(|fault| faults.push(fault));
        let (Ok(agent), true) = (agent, faults.is_empty()) else {
            return Err(faults);
        };
        Ok(Credentials {
            name: name.to_owned(),
            username: entry.username.clone(),
            password,
            enable,
            key,
            agent,
            auth: entry.auth.clone(),
        })
    }

    fn agent(&self, name: &str, entry: &CredentialEntry) -> Result<Option<Agent>, Fault> {
        if !entry.auth.contains(&AuthMethod::Agent) {
            return Ok(None);
        }
        match self.variable("SSH_AUTH_SOCK") {
            Some(socket) if !socket.is_empty() => Ok(Some(Agent {
                socket: socket.to_owned(),
                key: entry.agent_key.clone(),
            })),
            _ => {
                let message = "environment variable `SSH_AUTH_SOCK` is not set: start wrmem where an \
                               SSH agent runs, or use `key`";
                let key = format!("credentials.{name}.auth");
                Err(Fault::error(&entry.place, &key, message))
            }
        }
    }

    fn optional(&mut self, source: Option<&SecretSource>) -> Result<Option<Secret>, Fault> {
        source.map(|source| self.secret(source)).transpose()
    }

    fn secret(&mut self, source: &SecretSource) -> Result<Secret, Fault> {
        let fault = |message: String| Fault::error(&source.place, &source.dotted, message);
        let text = match &source.kind {
            SecretKind::Plain(secret) => return Ok(secret.clone()),
            SecretKind::Env(name) => self
                .variable(name)
                .map(|text| Zeroizing::new(text.to_owned()))
                .ok_or_else(|| fault(unset(name)))?,
            SecretKind::File(path) => self.file(path).map_err(fault)?,
            SecretKind::Command { program, arguments } => match self.commands {
                Commands::Run => command::output(program, arguments, self.limits).map_err(fault)?,
                Commands::Skip => return Ok(Secret::new(String::new())),
            },
        };
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        credentials::checked(line).map_err(|_| {
            fault("expected one line of text without control characters, and not empty".to_owned())
        })?;
        Ok(Secret::new(line.to_owned()))
    }

    fn file(&mut self, path: &Path) -> Result<Zeroizing<String>, String> {
        let path = files::in_home(path, self.env);
        match files::read(&path) {
            Ok(Presence::There(text)) => {
                self.warn(&path);
                Ok(text)
            }
            Ok(Presence::Missing) => {
                let message =
                    "there is no such file; relative paths count from the working directory";
                Err(message.to_owned())
            }
            // Its message alone: what stands for a path may be a secret put in the wrong place.
            Err(fault) => Err(format!("the file {}", fault.message)),
        }
    }

    fn key(
        &mut self,
        source: &KeySource,
        passphrase: Option<Secret>,
    ) -> Result<crate::model::credentials::PrivateKey, Fault> {
        let fault = |message: String| Fault::error(&source.place, &source.dotted, message);
        let text = self.file(&source.path).map_err(fault)?;
        // A passphrase that a command would give is not there when commands are skipped.
        if self.commands == Commands::Skip
            && passphrase
                .as_ref()
                .is_some_and(|secret| secret.expose().is_empty())
        {
            return Ok(keys::unread(&source.path));
        }
        keys::read(&source.path, &text, passphrase).map_err(fault)
    }

    fn warn(&mut self, path: &Path) {
        let warning = files::readable_by_others(path);
        self.warnings
            .extend(warning.filter(|new| !self.warnings.contains(new)));
    }

    fn variable(&self, name: &str) -> Option<&str> {
        files::variable(self.env, name)
    }
}

/// A variable is named only if it looks like one: a secret may have been put in the wrong place.
fn unset(name: &str) -> String {
    let usual = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if name.chars().all(usual) {
        format!("environment variable `{name}` is not set")
    } else {
        "the environment variable is not set".to_owned()
    }
}
