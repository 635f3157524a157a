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

#[cfg(test)]
mod tests {
    use super::*;
    use ssh_key::private::Ed25519Keypair;
    use ssh_key::{Cipher, Kdf};

    fn encrypted(passphrase: &str) -> String {
        let key = ssh_key::PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
        let kdf = Kdf::Bcrypt {
            salt: vec![1; 16],
            rounds: 1,
        };
        let key = key
            .encrypt_with(Cipher::Aes256Ctr, kdf, 42, passphrase)
            .unwrap();
        key.to_openssh(LineEnding::LF).unwrap().to_string()
    }

    fn secret(text: &str) -> Option<Secret> {
        Some(Secret::new(text.to_owned()))
    }

    #[test]
    fn an_encrypted_openssh_key_is_decrypted_once() {
        let text = encrypted("planted");
        let key = read(Path::new("id"), &text, secret("planted")).unwrap();
        assert!(key.passphrase.is_none());
        let plain = ssh_key::PrivateKey::from_openssh(key.text.expose()).unwrap();
        assert!(!plain.is_encrypted());
        // What is not encrypted goes through as it is.
        let again = read(Path::new("id"), key.text.expose(), None).unwrap();
        assert_eq!(again.text.expose(), key.text.expose());
    }

    #[test]
    fn faults_of_keys_show_no_key_and_no_passphrase() {
        let text = encrypted("right");
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nplanted\n";
        let broken = format!("{OPENSSH}\nplanted\n-----END OPENSSH PRIVATE KEY-----\n");
        for (text, passphrase, told) in [
            (text.as_str(), secret("planted"), "the passphrase is wrong"),
            (text.as_str(), None, "is encrypted: set `passphrase`"),
            (pem, None, "is encrypted: set `passphrase`"),
            (broken.as_str(), None, "no OpenSSH private key"),
            ("ssh-ed25519 planted", None, "is no private key"),
        ] {
            let message = read(Path::new("id"), text, passphrase).unwrap_err();
            assert!(message.contains(told), "{message}");
            assert!(!message.contains("planted"), "{message}");
        }
        let key = read(Path::new("id"), pem, secret("old")).unwrap();
        assert_eq!(key.passphrase, secret("old"), "libssh2 decrypts it");
    }
}
