//! The questions of keyboard-interactive, and what we answer.

use super::peer::quoted;
use crate::model::credentials::Secret;
use socket2::Socket;
use ssh2::{KeyboardInteractivePrompt, Prompt};
use std::net::Shutdown;

/// More rounds of questions than this are no login. (ssh2 answers rounds without a question by
/// itself; the deadline bounds those.)
const MAX_ROUNDS: u32 = 8;

/// Whether the secret is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Nothing,
    Secret,
}

/// Why the questions are not answered any further.
pub(super) enum Halt {
    /// The device wants a new password.
    Expired,
    /// The password was asked for again.
    AskedAgain,
    /// A question that we do not know, quoted.
    Unknown(String),
}

/// Answers the questions of keyboard-interactive.
pub(super) struct Answers<'a> {
    username: &'a str,
    password: &'a Secret,
    socket: &'a Socket,
    rounds: u32,
    sent: Sent,
    halt: Option<Halt>,
}

impl<'a> Answers<'a> {
    pub(super) fn new(username: &'a str, password: &'a Secret, socket: &'a Socket) -> Self {
        Self {
            username,
            password,
            socket,
            rounds: 0,
            sent: Sent::Nothing,
            halt: None,
        }
    }

    /// Why it was given up, if it was, and whether the password went out.
    pub(super) fn into_parts(self) -> (Option<Halt>, Sent) {
        (self.halt, self.sent)
    }

    fn answer(&mut self, prompt: &Prompt<'_>, instructions: &str) -> Result<String, Halt> {
        let asked = prompt.text.to_lowercase();
        if !prompt.echo && asked.contains("password") {
            let wants_new = ["new", "current", "retype", "again", "old password"];
            let told = instructions.to_lowercase();
            if wants_new.iter().any(|word| asked.contains(word)) || told.contains("expired") {
                return Err(Halt::Expired);
            }
            if self.sent == Sent::Secret {
                return Err(Halt::AskedAgain);
            }
            self.sent = Sent::Secret;
            return Ok(self.password.expose().to_owned());
        }
        let names = ["username", "user name", "login", "user"];
        let asked = asked.trim().trim_end_matches([':', ' ']);
        if prompt.echo && names.iter().any(|name| asked.ends_with(name)) {
            return Ok(self.username.to_owned());
        }
        Err(Halt::Unknown(quoted(&prompt.text)))
    }
}

impl KeyboardInteractivePrompt for Answers<'_> {
    fn prompt<'p>(
        &mut self,
        _username: &str,
        instructions: &str,
        prompts: &[Prompt<'p>],
    ) -> Vec<String> {
        self.rounds += 1;
        let answers: Result<Vec<_>, _> = if self.rounds > MAX_ROUNDS {
            Err(Halt::Unknown("without end".to_owned()))
        } else {
            let answer = |prompt| self.answer(prompt, instructions);
            prompts.iter().map(answer).collect()
        };
        answers.unwrap_or_else(|halt| {
            self.halt = Some(halt);
            // libssh2 sends whatever is returned here, so nothing may go out any more.
            let _ = self.socket.shutdown(Shutdown::Both);
            Vec::new()
        })
    }
}
