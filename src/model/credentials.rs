//! Secrets and the credentials that hold them.

use std::fmt;
use zeroize::Zeroizing;

/// A secret: a password, an enable secret, a private key. It has no `Display`, its `Debug` is a
/// mask, and its memory is wiped when it is dropped. libssh2 keeps copies of its own that it does
/// not all wipe.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over `text` as a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself, for the call that sends it and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// How a device is asked to let us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// SSH `password`.
    Password,
    /// SSH `keyboard-interactive`, answered with the password.
    KeyboardInteractive,
    /// SSH `publickey`.
    PublicKey,
    /// SSH `publickey` with a key that the SSH agent holds.
    Agent,
}

impl AuthMethod {
    /// Its word in the settings; SSH's own name of the method, but for `agent`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::KeyboardInteractive => "keyboard-interactive",
            Self::PublicKey => "publickey",
            Self::Agent => "agent",
        }
    }
}

/// A private key, read once at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateKey {
    /// The path it was read from, for messages.
    pub origin: String,
    /// The key's text. Encrypted OpenSSH keys are decrypted at start, because each decryption
    /// costs a fifth of a second.
    pub text: Secret,
    /// The passphrase of a key in an older format that libssh2 decrypts by itself.
    pub passphrase: Option<Secret>,
}

/// An SSH agent and which of its keys is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The path of its socket, as `SSH_AUTH_SOCK` has it.
    pub socket: String,
    /// The fingerprint (`SHA256:...`) or the comment of the key; all keys in the agent's order where
    /// nothing is said.
    pub key: Option<String>,
}

/// What lets wrmem into a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name by which the settings refer to them.
    pub name: String,
    /// The user name; holds no control characters.
    pub username: String,
    /// The password, where one is needed.
    pub password: Option<Secret>,
    /// The enable secret, where one is set.
    pub enable: Option<Secret>,
    /// The private key, where one is set.
    pub key: Option<PrivateKey>,
    /// Where the SSH agent is asked, for [`AuthMethod::Agent`].
    pub agent: Option<Agent>,
    /// The methods to use, in order, each over a different secret; never empty.
    pub auth: Vec<AuthMethod>,
}

impl Credentials {
    /// Every secret that may be typed to a device.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let key = self.key.as_ref();
        let passphrase = key.and_then(|key| key.passphrase.as_ref());
        [self.password.as_ref(), self.enable.as_ref(), passphrase]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Credentials called `name` that know no secret yet.
    #[must_use]
    pub fn new(name: &str, username: &str) -> Self {
        Self {
            name: name.to_owned(),
            username: username.to_owned(),
            password: None,
            enable: None,
            key: None,
            agent: None,
            auth: vec![AuthMethod::Password],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let credentials = Credentials {
            name: "lab".into(),
            username: "ntc".into(),
            password: Some(Secret::new("planted-password".into())),
            enable: Some(Secret::new("planted-enable".into())),
            key: Some(PrivateKey {
                origin: "id".into(),
                text: Secret::new("planted-key".into()),
                passphrase: Some(Secret::new("planted-passphrase".into())),
            }),
            agent: None,
            auth: vec![AuthMethod::Password],
        };
        let shown = format!("{credentials:?} {credentials:#?}");
        assert!(!shown.contains("planted"), "{shown}");
    }
}
