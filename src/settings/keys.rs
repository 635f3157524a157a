//! Private keys. An encrypted OpenSSH key is decrypted here once, because that costs a fifth of a
//! second each time; other formats go to libssh2 as they are.

use crate::model::credentials::{PrivateKey, Secret};
use ssh_key::LineEnding;
use std::path::Path;

const OPENSSH: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

/// A private key out of the text of its file.
pub(crate) fn read(
    path: &Path,
    text: &str,
    passphrase: Option<Secret>,
) -> Result<PrivateKey, String> {
    let shown = path.display();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with(OPENSSH) {
        return Ok(PrivateKey {
            origin: shown.to_string(),
            text: openssh(path, text, passphrase)?,
            passphrase: None,
        });
    }
    if !(text.starts_with("-----BEGIN ") && text.contains(" PRIVATE KEY-----")) {
        return Err(format!(
            "`{shown}` is no private key; the public one ends in .pub"
        ));
    }
    if passphrase.is_none() && text.contains("ENCRYPTED") {
        return Err(format!("`{shown}` is encrypted: set `passphrase`"));
    }
    Ok(PrivateKey {
        origin: shown.to_string(),
        text: Secret::new(text.to_owned()),
        passphrase,
    })
}

fn openssh(path: &Path, text: &str, passphrase: Option<Secret>) -> Result<Secret, String> {
    let shown = path.display();
    let key = ssh_key::PrivateKey::from_openssh(text)
        .map_err(|error| format!("`{shown}` is no OpenSSH private key: {error}"))?;
    if !key.is_encrypted() {
        return Ok(Secret::new(text.to_owned()));
    }
    let passphrase =
        passphrase.ok_or_else(|| format!("`{shown}` is encrypted: set `passphrase`"))?;
    let plain = key
        .decrypt(passphrase.expose())
        .map_err(|_| format!("`{shown}` cannot be decrypted: the passphrase is wrong"))?;
    plain
        .to_openssh(LineEnding::LF)
        .map(|text| Secret::new(text.to_string()))
        .map_err(|error| format!("`{shown}` cannot be used: {error}"))
}

/// A key whose passphrase was not asked for.
pub(crate) fn unread(path: &Path) -> PrivateKey {
    PrivateKey {
        origin: path.display().to_string(),
        text: Secret::new(String::new()),
        passphrase: None,
    }
}
