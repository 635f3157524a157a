//! Making a line of device output safe to quote.

use super::mask::{HIDDEN as MASK, Mask};
use crate::model::credentials::Secret;
use crate::model::secrets::Secrets;

/// How many characters of a line are quoted at most.
const QUOTE_MAX: usize = 160;

/// Words after which a line goes on with something secret.
const KEYWORDS: [&str; 22] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "key",
    "keys",
    "key-string",
    "pre-shared-key",
    "shared-secret",
    "psk",
    "community",
    "authentication",
    "authentication-key",
    "auth",
    "priv",
    "md5",
    "sha",
    "token",
    "ciphertext",
    "wpa-psk",
    "hex-key",
    "plain-text-password",
];

/// One line of a device, safe to show: control characters gone, at most 160 characters, and masked
/// what the platform calls secret, what follows a word such as `password`, `secret`, `key` or
/// `community` to the end of the line, user and password in a URL and every one of `known`. A
/// device's own message (`% ...`) holds no config, so in it only URLs and the known secrets are.
#[must_use]
pub fn quote(line: &[u8], secrets: &Secrets, known: &[Secret]) -> String {
    let text: String = String::from_utf8_lossy(line)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let text = hide_known(&text, known);
    let text = if text.trim_start().starts_with('%') {
        text
    } else {
        let text = super::line(text.as_bytes(), secrets, Mask::Hidden);
        hide_after_keywords(&String::from_utf8_lossy(&text))
    };
    let text = hide_in_urls(&text);
    let text = text.trim();
    match text.char_indices().nth(QUOTE_MAX) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Masks every occurrence of the `known` secrets in `text`.
#[must_use]
pub fn hide_known(text: &str, known: &[Secret]) -> String {
    let mut text = text.to_owned();
    for secret in known {
        let secret = secret.expose();
        if !secret.is_empty() && text.contains(secret) {
            text = text.replace(secret, MASK);
        }
    }
    text
}

fn hide_after_keywords(text: &str) -> String {
    let mut end = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        end += word.len();
        let bare = word
            .trim()
            .trim_end_matches([':', '='])
            .to_ascii_lowercase();
        let rest = text.get(end..).unwrap_or_default();
        if KEYWORDS.contains(&bare.as_str()) && !rest.trim().is_empty() && rest.trim() != MASK {
            return format!("{}{MASK}", text.get(..end).unwrap_or_default());
        }
    }
    text.to_owned()
}

fn hide_in_urls(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after.find([' ', '/', '"']).unwrap_or(after.len());
        let authority = after.get(..end).unwrap_or_default();
        rest = after;
        if let Some(at) = authority.rfind('@') {
            shown.push_str(MASK);
            rest = after.get(at..).unwrap_or_default();
        }
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_config_lines_are_masked() {
        for (line, wanted) in [
            ("enable secret 9 $9$abc", "enable secret <hidden>"),
            (
                "username a privilege 15 password 7 0822",
                "username a privilege 15 password <hidden>",
            ),
            (
                "snmp-server community hush RO",
                "snmp-server community <hidden>",
            ),
            (" key 7 0011", "key <hidden>"),
            (
                " neighbor 192.0.2.1 password x",
                "neighbor 192.0.2.1 password <hidden>",
            ),
            ("Password: typed", "Password: <hidden>"),
            ("copy ftp://a:b@h/x", "copy ftp://<hidden>@h/x"),
            ("Password:", "Password:"),
            ("interface Gi1", "interface Gi1"),
            ("% Bad secrets", "% Bad secrets"),
            (
                "% Authentication key missing",
                "% Authentication key missing",
            ),
        ] {
            assert_eq!(quote(line.as_bytes(), &Secrets::default(), &[]), wanted);
        }
    }

    #[test]
    fn known_secrets_are_masked_wherever_they_stand() {
        let known = [Secret::new("hunter2".into()), Secret::new(String::new())];
        assert_eq!(
            quote(b"% echo hunter2 hunter2", &Secrets::default(), &known),
            "% echo <hidden> <hidden>"
        );
    }

    #[test]
    fn quotes_are_short_and_plain() {
        let quote = |line: &[u8]| quote(line, &Secrets::default(), &[]);
        let shown = quote(&b"x-".repeat(500));
        assert_eq!(shown.len(), QUOTE_MAX + 3);
        assert_eq!(quote(b"a\x1b[1mb\r\n"), "a [1mb");
        assert_eq!(quote(b"caf\xe9"), "caf\u{fffd}");
    }

    #[test]
    fn a_quote_of_a_quote_changes_nothing() {
        for line in ["enable secret 9 abc", "ftp://a:b@h/x y://c:d@e", "plain"] {
            let once = quote(line.as_bytes(), &Secrets::default(), &[]);
            assert_eq!(quote(once.as_bytes(), &Secrets::default(), &[]), once);
        }
    }
}
