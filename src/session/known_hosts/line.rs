//! One line of a `known_hosts` file, in OpenSSH's format (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

use super::HostKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

/// How a host stands in the file: its name in lower case, with the port where it is not 22.
pub(super) fn host_label(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

/// Which hosts a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hosts {
    /// Names without any wildcard.
    Names(Vec<String>),
    /// Names with `*`, `?` or `!`.
    Patterns(Vec<String>),
    /// A name that the file hides.
    Hashed { salt: Vec<u8>, digest: Vec<u8> },
}

impl Hosts {
    pub(super) fn matches(&self, label: &str) -> bool {
        match self {
            Self::Names(names) => names.iter().any(|name| name == label),
            Self::Patterns(patterns) => match_patterns(patterns, label),
            Self::Hashed { salt, digest } => Hmac::<Sha1>::new_from_slice(salt)
                .is_ok_and(|mac| mac.chain_update(label).verify_slice(digest).is_ok()),
        }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(hidden) = text.strip_prefix("|1|") {
            let decode = |part: &str| STANDARD.decode(part).ok();
            let parts = hidden.split_once('|');
            let hashed = parts.and_then(|(salt, digest)| {
                Some(Self::Hashed {
                    salt: decode(salt)?,
                    digest: decode(digest)?,
                })
            });
            return hashed.ok_or("its hashed host name is broken");
        }
        if text.starts_with('|') {
            return Err("its kind of hashed host name is not supported");
        }
        let names: Vec<_> = text
            .to_lowercase()
            .split(',')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        if names.is_empty() {
            return Err("it names no host");
        }
        Ok(if text.contains(['*', '?', '!']) {
            Self::Patterns(names)
        } else {
            Self::Names(names)
        })
    }
}

/// A `!` pattern that matches rules the line out, whatever else matches.
fn match_patterns(patterns: &[String], label: &str) -> bool {
    let mut matched = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if wildcard(negated.as_bytes(), label.as_bytes()) => return false,
            Some(_) => {}
            None => matched |= wildcard(pattern.as_bytes(), label.as_bytes()),
        }
    }
    matched
}

/// Matches `*` and `?` in linear space and at most quadratic time, whatever the pattern.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    // Where the last star stands, and from where in the text it is tried next.
    let mut star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                star = Some((at_pattern, at_text));
                at_pattern += 1;
            }
            Some(symbol) if *symbol == b'?' || text.get(at_text) == Some(symbol) => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => match star {
                Some((star_at, from)) => {
                    star = Some((star_at, from + 1));
                    at_pattern = star_at + 1;
                    at_text = from + 1;
                }
                None => return false,
            },
        }
    }
    let rest = pattern.get(at_pattern..).unwrap_or_default();
    rest.iter().all(|symbol| *symbol == b'*')
}

/// What a line says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Trusted,
    Revoked,
}

/// A line about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) standing: Standing,
    pub(super) hosts: Hosts,
    pub(super) key: HostKey,
}

impl Line {
    /// Reads a line. `Ok(None)`: an empty line or a comment.
    ///
    /// # Errors
    /// Says why the line counts for nothing.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, &'static str> {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(None);
        }
        let mut words = text.split_ascii_whitespace();
        let mut first = words.next();
        let standing = match first.filter(|word| word.starts_with('@')) {
            None => Standing::Trusted,
            Some("@revoked") => {
                first = words.next();
                Standing::Revoked
            }
            Some("@cert-authority") => {
                return Err("@cert-authority is not supported: list the devices' own keys");
            }
            Some(_) => return Err("its marker is not known"),
        };
        let (Some(hosts), Some(kind), Some(blob)) = (first, words.next(), words.next()) else {
            return Err("it is not `hosts type key`");
        };
        let hosts = Hosts::parse(hosts)?;
        let blob = STANDARD.decode(blob).map_err(|_| "its key is not base64")?;
        let key = HostKey::new(blob).ok_or("its key is broken")?;
        // A right key under a wrong type would match where OpenSSH does not.
        if key.kind() != kind {
            return Err("its key is of another type than it says");
        }
        Ok(Some(Self {
            standing,
            hosts,
            key,
        }))
    }

    /// The line for a key that was accepted.
    pub(super) fn text(label: &str, key: &HostKey) -> String {
        format!("{label} {} {}\n", key.kind(), STANDARD.encode(key.blob()))
    }
}

/// `text` without what it says about `label`: `None` if nothing is left of it. A wildcard stays for
/// the hosts it is also about.
pub(super) fn without(text: &str, line: &Line, label: &str) -> Option<String> {
    let hosts = match &line.hosts {
        Hosts::Hashed { .. } => return None,
        Hosts::Names(names) => {
            let others: Vec<_> = names.iter().filter(|name| *name != label).collect();
            if others.is_empty() {
                return None;
            }
            others
                .iter()
                .map(|name| name.as_str())
                .collect::<Vec<_>>()
                .join(",")
        }
        Hosts::Patterns(patterns) => format!("!{label},{}", patterns.join(",")),
    };
    let rest = text
        .trim_start()
        .split_once(|c: char| c.is_ascii_whitespace());
    let rest = rest.map_or("", |(_, rest)| rest);
    Some(format!("{hosts} {rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g";

    fn line(text: &str) -> Line {
        Line::parse(text).unwrap().unwrap()
    }

    #[test]
    fn labels_are_lower_case_and_exact_about_the_port() {
        assert_eq!(host_label("CSR1", 22), "csr1");
        assert_eq!(host_label("::1", 2222), "[::1]:2222");
    }

    #[test]
    fn names_lists_and_ports() {
        let line = line(&format!("csr1,192.0.2.1,[csr1]:2222 {KEY} a comment"));
        assert!(line.hosts.matches("csr1"));
        assert!(line.hosts.matches("192.0.2.1"));
        assert!(line.hosts.matches("[csr1]:2222"));
        assert!(!line.hosts.matches("[csr1]:2223"));
        assert!(!line.hosts.matches("csr11"));
        assert_eq!(line.key.kind(), "ssh-ed25519");
    }

    #[test]
    fn wildcards_and_exceptions() {
        let hosts = line(&format!("*.example.net,r?,!bad.example.net {KEY}")).hosts;
        for (label, matches) in [
            ("a.example.net", true),
            ("a.b.example.net", true),
            ("bad.example.net", false),
            ("r1", true),
            ("r12", false),
            ("example.net", false),
        ] {
            assert_eq!(hosts.matches(label), matches, "{label}");
        }
        let stars = "*a".repeat(30) + "b";
        assert!(!wildcard(stars.as_bytes(), "a".repeat(2000).as_bytes()));
        assert!(wildcard(b"**", b""));
    }

    #[test]
    fn hashed_names() {
        // printf %s csr1 | openssl dgst -sha1 -mac HMAC -macopt key:wrmemsaltwrmemsaltwr -binary
        let mut mac = Hmac::<Sha1>::new_from_slice(b"wrmemsaltwrmemsaltwr").unwrap();
        mac.update(b"csr1");
        let digest = STANDARD.encode(mac.finalize().into_bytes());
        let salt = STANDARD.encode(b"wrmemsaltwrmemsaltwr");
        let hosts = line(&format!("|1|{salt}|{digest} {KEY}")).hosts;
        assert!(hosts.matches("csr1"));
        assert!(!hosts.matches("csr2"));
    }

    #[test]
    fn what_counts_for_nothing() {
        for nothing in ["", "   ", "# csr1", "\t# x"] {
            assert_eq!(Line::parse(nothing), Ok(None), "{nothing:?}");
        }
        for broken in [
            "csr1",
            "csr1 ssh-ed25519",
            "csr1 ssh-ed25519 %%%",
            "csr1 ssh-ed25519 AAAA",
            "csr1 2048 35 1234567890",
            "|1|x|y ssh-ed25519 AAAA",
            "|2|x|y ssh-ed25519 AAAA",
            "@unheard csr1 ssh-ed25519 AAAA",
            ", ssh-ed25519 AAAA",
        ] {
            assert!(Line::parse(broken).is_err(), "{broken}");
        }
        let lying = format!("csr1 {}", KEY.replacen("ssh-ed25519", "ssh-rsa", 1));
        assert!(Line::parse(&lying).is_err());
        let authority = Line::parse(&format!("@cert-authority * {KEY}"));
        assert!(authority.unwrap_err().contains("not supported"));
        assert_eq!(
            line(&format!("@revoked * {KEY}")).standing,
            Standing::Revoked
        );
    }

    #[test]
    fn forgetting_keeps_what_a_line_says_of_others() {
        let forget = |text: &str| without(text, &line(text), "csr1");
        assert_eq!(forget(&format!("csr1 {KEY}")), None);
        assert_eq!(
            forget(&format!("csr1,csr2 {KEY} note")),
            Some(format!("csr2 {KEY} note"))
        );
        let excepted = forget(&format!("csr* {KEY}")).unwrap();
        assert_eq!(excepted, format!("!csr1,csr* {KEY}"));
        assert!(!line(&excepted).hosts.matches("csr1"));
        assert!(line(&excepted).hosts.matches("csr2"));
    }
}
