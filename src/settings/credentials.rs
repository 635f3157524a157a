//! `credentials.toml`: what lets wrmem into devices, by name. No message shows a value of it.

use super::decode::decode;
use super::entries::unknown;
use super::fault::Fault;
use super::raw::{Key, Located, Place, Raw, Table};
use super::words::{AuthWord, CONTROL, Line, PathWord};
use crate::model::credentials::{AuthMethod, Secret};
use std::collections::BTreeMap;
use std::path::PathBuf;

const KEYS: [&str; 7] = [
    "username",
    "password",
    "enable",
    "key",
    "passphrase",
    "agent_key",
    "auth",
];

const FORMS: &str = "expected text in quotes, { env = \"NAME\" }, { file = \"PATH\" } or \
     { command = [\"PROGRAM\", \"ARGUMENT\"] }";

/// The credentials by name.
#[derive(Default)]
pub(crate) struct CredentialFile {
    pub(crate) entries: BTreeMap<String, CredentialEntry>,
}

impl CredentialFile {
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
}

/// One set of credentials; its secrets are not fetched yet.
pub(crate) struct CredentialEntry {
    pub(crate) username: String,
    pub(crate) password: Option<SecretSource>,
    pub(crate) enable: Option<SecretSource>,
    pub(crate) key: Option<KeySource>,
    /// Which of the agent's keys is meant.
    pub(crate) agent_key: Option<String>,
    pub(crate) auth: Vec<AuthMethod>,
    pub(crate) place: Place,
}

/// Where a private key is.
pub(crate) struct KeySource {
    pub(crate) path: PathBuf,
    pub(crate) place: Place,
    pub(crate) dotted: String,
    pub(crate) passphrase: Option<SecretSource>,
}

/// Where a secret comes from.
pub(crate) struct SecretSource {
    pub(crate) place: Place,
    pub(crate) dotted: String,
    pub(crate) kind: SecretKind,
}

/// The forms of a secret.
pub(crate) enum SecretKind {
    Plain(Secret),
    Env(String),
    File(PathBuf),
    Command {
        program: String,
        arguments: Vec<String>,
    },
}

/// Reads the parsed file.
pub(crate) fn read(table: &Table, faults: &mut Vec<Fault>) -> CredentialFile {
    let mut file = CredentialFile::default();
    for (key, value) in &table.0 {
        match (key.name.as_str(), &value.value) {
            ("credentials", Raw::Table(table)) => {
                for (key, value) in &table.0 {
                    if let Some(entry) = one(key, value, faults) {
                        file.entries.insert(key.name.clone(), entry);
                    }
                }
            }
            ("credentials", _) => {
                let message = "expected tables [credentials.NAME]";
                faults.push(Fault::error(&key.place, "credentials", message));
            }
            (name, _) => faults.push(unknown(key, name, &["credentials"])),
        }
    }
    file
}

/// What was written about one set of credentials.
#[derive(Default)]
struct Draft {
    username: Option<String>,
    password: Option<SecretSource>,
    enable: Option<SecretSource>,
    key: Option<(PathBuf, Place)>,
    passphrase: Option<SecretSource>,
    agent_key: Option<String>,
    auth: Option<(Vec<AuthMethod>, Place)>,
}

fn one(key: &Key, value: &Located, faults: &mut Vec<Fault>) -> Option<CredentialEntry> {
    let prefix = format!("credentials.{}", key.name);
    let Raw::Table(table) = &value.value else {
        let message = "expected a table with username and password";
        faults.push(Fault::error(&key.place, &prefix, message));
        return None;
    };
    if key.name.trim().is_empty() || key.name.chars().any(char::is_control) {
        faults.push(Fault::error(
            &key.place,
            "credentials",
            "a name must not be empty",
        ));
        return None;
    }
    let before = faults.len();
    let mut draft = Draft::default();
    for (key, value) in &table.0 {
        let path = format!("{prefix}.{}", key.name);
        if let Err(fault) = draft.take(key, value, &path) {
            faults.push(fault);
        }
    }
    if faults.len() > before {
        return None;
    }
    draft
        .finish(&key.place, &prefix)
        .map_err(|fault| faults.push(fault))
        .ok()
}

impl Draft {
    fn take(&mut self, key: &Key, value: &Located, path: &str) -> Result<(), Fault> {
        match key.name.as_str() {
            "username" => self.username = Some(decode::<Line>(value, path)?.0),
            "password" => self.password = Some(secret(value, path)?),
            "enable" => self.enable = Some(secret(value, path)?),
            "passphrase" => self.passphrase = Some(secret(value, path)?),
            "key" => self.key = Some((decode::<PathWord>(value, path)?.0, value.place.clone())),
            "agent_key" => self.agent_key = Some(decode::<Line>(value, path)?.0),
            "auth" => self.auth = Some((auth(value, path)?, value.place.clone())),
            _ => return Err(unknown(key, path, &KEYS)),
        }
        Ok(())
    }

    fn finish(self, place: &Place, prefix: &str) -> Result<CredentialEntry, Fault> {
        let fault = |key: &str, message: &str| {
            let key = if key.is_empty() {
                prefix.to_owned()
            } else {
                format!("{prefix}.{key}")
            };
            Fault::error(place, &key, message)
        };
        let username = self
            .username
            .ok_or_else(|| fault("username", "is missing"))?;
        if self.passphrase.is_some() && self.key.is_none() {
            return Err(fault("passphrase", "is of no use without `key`"));
        }
        let auth = match self.auth {
            Some((methods, at)) => {
                let key = format!("{prefix}.auth");
                check_methods(&methods, self.password.is_some(), self.key.is_some())
                    .map_err(|message| Fault::error(&at, &key, message))?;
                methods
            }
            None if self.password.is_some() => vec![AuthMethod::Password],
            None if self.key.is_some() => vec![AuthMethod::PublicKey],
            None => {
                let message = "needs `password` or `key`, or auth = \"agent\"";
                return Err(fault("", message));
            }
        };
        if self.agent_key.is_some() && !auth.contains(&AuthMethod::Agent) {
            return Err(fault("agent_key", "is of no use without auth = \"agent\""));
        }
        let passphrase = self.passphrase;
        let key = self.key.map(|(path, place)| KeySource {
            path,
            place,
            dotted: format!("{prefix}.key"),
            passphrase,
        });
        Ok(CredentialEntry {
            username,
            password: self.password,
            enable: self.enable,
            key,
            agent_key: self.agent_key,
            auth,
            place: place.clone(),
        })
    }
}

fn auth(value: &Located, path: &str) -> Result<Vec<AuthMethod>, Fault> {
    let words = match &value.value {
        Raw::List(_) => decode::<Vec<AuthWord>>(value, path)?,
        _ => vec![decode::<AuthWord>(value, path)?],
    };
    Ok(words.into_iter().map(Into::into).collect())
}

/// Each secret is sent once at most, so no two methods may use the same one.
fn check_methods(
    methods: &[AuthMethod],
    has_password: bool,
    has_key: bool,
) -> Result<(), &'static str> {
    let count = |wanted: &[AuthMethod]| methods.iter().filter(|m| wanted.contains(m)).count();
    let passwords = count(&[AuthMethod::Password, AuthMethod::KeyboardInteractive]);
    let keys = count(&[AuthMethod::PublicKey]);
    let agents = count(&[AuthMethod::Agent]);
    match (passwords, keys) {
        _ if agents > 1 => Err("would ask the agent twice"),
        (0, 0) if agents == 0 => Err("must name at least one method"),
        (2.., _) => Err(
            "would send the same password twice, and wrong guesses lock accounts: \
             keep \"password\" or \"keyboard-interactive\"",
        ),
        (_, 2..) => Err("would offer the same key twice"),
        (1, _) if !has_password => Err("needs `password`"),
        (_, 1) if !has_key => Err("\"publickey\" needs `key`, the path of a private key"),
        _ => Ok(()),
    }
}

fn secret(value: &Located, path: &str) -> Result<SecretSource, Fault> {
    let fault = |place: &Place, message: &str| Fault::error(place, path, message);
    let kind = match &value.value {
        Raw::Text(text) => {
            checked(text).map_err(|message| fault(&value.place, message))?;
            SecretKind::Plain(Secret::new(text.to_string()))
        }
        Raw::Table(table) => match table.0.as_slice() {
            [(key, inner)] => form(key, inner, path)?,
            _ => return Err(fault(&value.place, FORMS)),
        },
        _ => return Err(fault(&value.place, FORMS)),
    };
    Ok(SecretSource {
        place: value.place.clone(),
        dotted: path.to_owned(),
        kind,
    })
}

fn form(key: &Key, value: &Located, path: &str) -> Result<SecretKind, Fault> {
    let path = format!("{path}.{}", key.name);
    match key.name.as_str() {
        "env" => Ok(SecretKind::Env(decode::<Line>(value, &path)?.0)),
        "file" => Ok(SecretKind::File(decode::<PathWord>(value, &path)?.0)),
        "command" => {
            let words = decode::<Vec<String>>(value, &path)?;
            match words.split_first() {
                Some((program, arguments)) if !program.trim().is_empty() => {
                    Ok(SecretKind::Command {
                        program: program.clone(),
                        arguments: arguments.to_vec(),
                    })
                }
                _ => Err(Fault::error(
                    &value.place,
                    &path,
                    "expected a list [\"PROGRAM\", \"ARGUMENT\"]; there is no shell",
                )),
            }
        }
        _ => Err(Fault::error(&key.place, &path, FORMS)),
    }
}

/// A secret is one line: whatever else is a slip or would end the answer too early.
pub(crate) fn checked(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Err("must not be empty")
    } else if text.chars().any(char::is_control) {
        Err(CONTROL)
    } else {
        Ok(())
    }
}
