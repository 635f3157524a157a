//! Login: each secret is sent once, by one method.

use super::agent::{self, AgentTrouble, Signed};
use super::link::Link;
use super::peer::Trouble;
use super::questions::{Answers, Halt, Sent};
use crate::model::credentials::{AuthMethod, Credentials, Secret};
use crate::model::failure::FailureKind;
use crate::session::{LoginOutcome, SessionError};
use std::time::Instant;

/// A login that failed, and what that says about the credentials.
#[derive(Debug)]
pub(super) struct LoginFailure {
    pub(super) error: SessionError,
    pub(super) outcome: LoginOutcome,
    pub(super) further: Further,
}

/// Whether the device would still listen to other credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Further {
    /// It refused these and waits.
    Possible,
    /// The connection is over, or something else is wrong.
    Impossible,
}

/// What one method brought.
enum Attempted {
    In,
    /// The device said no; another method over another secret may be tried.
    Refused(String),
}

/// Logs in by the methods of `credentials`, in order.
pub(super) fn log_in(
    link: &Link,
    credentials: &Credentials,
    deadline: Instant,
) -> Result<(), LoginFailure> {
    let login = Login {
        link,
        credentials,
        deadline,
    };
    let mut refusals = Vec::new();
    let mut password_used = false;
    for method in &credentials.auth {
        let over_password = !matches!(method, AuthMethod::PublicKey | AuthMethod::Agent);
        if over_password && password_used {
            continue;
        }
        password_used |= over_password;
        match login.attempt(*method)? {
            Attempted::In => return Ok(()),
            Attempted::Refused(why) => refusals.push(why),
        }
    }
    Err(LoginFailure {
        error: SessionError::new(
            FailureKind::AuthRefused,
            format!(
                "{} refused the login of user {:?} with credentials {:?}: {}. It is not tried \
                 again in this run, because repeated refusals lock accounts",
                link.peer,
                credentials.username,
                credentials.name,
                refusals.join("; ")
            ),
        ),
        outcome: LoginOutcome::Refused,
        further: Further::Possible,
    })
}

struct Login<'a> {
    link: &'a Link,
    credentials: &'a Credentials,
    deadline: Instant,
}

impl Login<'_> {
    fn attempt(&self, method: AuthMethod) -> Result<Attempted, LoginFailure> {
        // Before any secret.
        self.link
            .cancel
            .check()
            .map_err(|error| self.unknown(error))?;
        match method {
            AuthMethod::Password => self.password(self.secret(method)?),
            AuthMethod::KeyboardInteractive => self.interactive(self.secret(method)?),
            AuthMethod::PublicKey => self.public_key(),
            AuthMethod::Agent => self.agent(),
        }
    }

    fn secret(&self, method: AuthMethod) -> Result<&Secret, LoginFailure> {
        self.credentials
            .password
            .as_ref()
            .ok_or_else(|| self.missing(method, "password"))
    }

    fn password(&self, password: &Secret) -> Result<Attempted, LoginFailure> {
        let username = &self.credentials.username;
        let result = self.link.drive(self.deadline, |session| {
            session.userauth_password(username, password.expose())
        });
        match result {
            Ok(()) => Ok(Attempted::In),
            Err(trouble) => match trouble.code() {
                Some(libssh2_sys::LIBSSH2_ERROR_AUTHENTICATION_FAILED) => Ok(Attempted::Refused(
                    "password refused (check user and password; if the device only takes \
                         keyboard-interactive, set auth = \"keyboard-interactive\")"
                        .to_owned(),
                )),
                Some(libssh2_sys::LIBSSH2_ERROR_PASSWORD_EXPIRED) => Err(self.expired()),
                _ => Err(self.broken(trouble, Sent::Secret)),
            },
        }
    }

    fn public_key(&self) -> Result<Attempted, LoginFailure> {
        let method = AuthMethod::PublicKey;
        let key = self.credentials.key.as_ref();
        let key = key.ok_or_else(|| self.missing(method, "key"))?;
        let passphrase = key.passphrase.as_ref().map(Secret::expose);
        let result = self.link.drive(self.deadline, |session| {
            session.userauth_pubkey_memory(
                &self.credentials.username,
                None,
                key.text.expose(),
                passphrase,
            )
        });
        match result {
            Ok(()) => Ok(Attempted::In),
            Err(trouble) if trouble.hides_loss() => Err(self.broken(trouble, Sent::Nothing)),
            Err(trouble) => match trouble.code() {
                Some(
                    libssh2_sys::LIBSSH2_ERROR_AUTHENTICATION_FAILED
                    | libssh2_sys::LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED,
                ) => Ok(Attempted::Refused(format!(
                    "public key {:?} refused (is it installed for this user on the device?)",
                    key.origin
                ))),
                Some(libssh2_sys::LIBSSH2_ERROR_FILE) => Err(self.unknown(SessionError::new(
                    FailureKind::Settings,
                    format!(
                        "key {:?} of credentials {:?} cannot be read: wrong passphrase, or a \
                             format that is not supported",
                        key.origin, self.credentials.name
                    ),
                ))),
                _ => Err(self.broken(trouble, Sent::Nothing)),
            },
        }
    }

    fn agent(&self) -> Result<Attempted, LoginFailure> {
        let agent = self.credentials.agent.as_ref();
        let agent = agent.ok_or_else(|| self.missing(AuthMethod::Agent, "agent"))?;
        let username = &self.credentials.username;
        match agent::log_in(self.link, username, agent, self.deadline) {
            Ok(Signed::In) => Ok(Attempted::In),
            Ok(Signed::Refused(why)) => Ok(Attempted::Refused(why)),
            Err(AgentTrouble::Agent(why)) => {
                let name = &self.credentials.name;
                let message = format!("credentials {name:?}: {why}");
                Err(self.unknown(SessionError::new(FailureKind::Settings, message)))
            }
            Err(AgentTrouble::Device(trouble)) => Err(self.broken(trouble, Sent::Nothing)),
        }
    }

    fn interactive(&self, password: &Secret) -> Result<Attempted, LoginFailure> {
        let username = &self.credentials.username;
        let mut answers = Answers::new(username, password, &self.link.socket);
        let result = self.link.drive(self.deadline, |session| {
            session.userauth_keyboard_interactive(username, &mut answers)
        });
        let (halt, sent) = answers.into_parts();
        match (result, halt) {
            (Ok(()), None) => Ok(Attempted::In),
            (_, Some(Halt::Expired)) => Err(self.expired()),
            (_, Some(Halt::AskedAgain)) => Err(self.refused(
                "the device asked for the password a second time, so it refused it".to_owned(),
            )),
            (_, Some(Halt::Unknown(prompt))) => Err(self.refused(format!(
                "the device asked {prompt}, which wrmem does not answer; a second factor cannot \
                 be used for backups"
            ))),
            (Err(trouble), None) if trouble.hides_loss() => Err(self.broken(trouble, sent)),
            (Err(trouble), None) => match trouble.code() {
                Some(libssh2_sys::LIBSSH2_ERROR_AUTHENTICATION_FAILED) => {
                    Ok(Attempted::Refused(match sent {
                        Sent::Secret => "password refused (keyboard-interactive)".to_owned(),
                        Sent::Nothing => "keyboard-interactive refused before a password was \
                             asked for (if the device only takes password, set auth = \"password\")"
                            .to_owned(),
                    }))
                }
                _ => Err(self.broken(trouble, sent)),
            },
        }
    }

    fn missing(&self, method: AuthMethod, key: &str) -> LoginFailure {
        self.unknown(SessionError::new(
            FailureKind::Settings,
            format!(
                "credentials {:?} have auth = {:?} but no `{key}`",
                self.credentials.name,
                method.name()
            ),
        ))
    }

    fn expired(&self) -> LoginFailure {
        self.unknown(SessionError::new(
            FailureKind::PasswordExpired,
            format!(
                "{} wants a new password for user {:?}; log in by hand and change it, then change \
                 credentials {:?}",
                self.link.peer, self.credentials.username, self.credentials.name
            ),
        ))
    }

    fn refused(&self, why: String) -> LoginFailure {
        LoginFailure {
            error: SessionError::new(
                FailureKind::AuthRefused,
                format!(
                    "{} did not let user {:?} in with credentials {:?}: {why}",
                    self.link.peer, self.credentials.username, self.credentials.name
                ),
            ),
            outcome: LoginOutcome::Refused,
            further: Further::Impossible,
        }
    }

    /// A secret that was sent and not answered is not sent again: a device that hangs up instead
    /// of refusing counts its refusals all the same.
    fn broken(&self, trouble: Trouble, sent: Sent) -> LoginFailure {
        let lost = trouble.is_lost() || trouble.hides_loss();
        if sent == Sent::Secret && matches!(trouble, Trouble::TimedOut) {
            let mut failure = self.refused(
                "it did not answer in time; the password is not sent again in this run, because \
                 repeated tries lock accounts; if its login is slow, raise deadlines.login"
                    .to_owned(),
            );
            failure.outcome = LoginOutcome::Unknown;
            return failure;
        }
        if sent == Sent::Nothing || !lost {
            return self.unknown(trouble.to_error(&self.link.peer, "we logged in"));
        }
        let said_goodbye = trouble.code() == Some(libssh2_sys::LIBSSH2_ERROR_SOCKET_DISCONNECT);
        let mut failure = self.refused(
            "it closed the connection instead of answering; the password is not sent again in \
             this run, because repeated refusals lock accounts"
                .to_owned(),
        );
        if !said_goodbye {
            failure.outcome = LoginOutcome::Unknown;
        }
        failure
    }

    fn unknown(&self, error: SessionError) -> LoginFailure {
        LoginFailure {
            error,
            outcome: LoginOutcome::Unknown,
            further: Further::Impossible,
        }
    }
}
