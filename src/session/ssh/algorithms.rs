//! Which algorithms are offered to a device, and what became of the offer.

use crate::model::device::AlgorithmPolicy;
use crate::model::failure::FailureKind;
use crate::model::stage::Algorithms;
use crate::session::SessionError;
use ssh2::{MethodType, Session};

/// Names in the order in which they are preferred, one list per policy; each policy has all of the
/// one before it, and appends. Old ones stand last, so a device that knows better never uses them.
struct Preference {
    modern: &'static [&'static str],
    compatible: &'static [&'static str],
    legacy: &'static [&'static str],
}

// gex-sha256 stands last: libssh2 asks for 4096 bits, which costs 30 ms of CPU and a round trip.
const KEX: Preference = Preference {
    modern: &[
        "mlkem768x25519-sha256",
        "mlkem768nistp256-sha256",
        "mlkem1024nistp384-sha384",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group14-sha256",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
        "diffie-hellman-group-exchange-sha256",
    ],
    // Before gex-sha1 for the same reason; IOS-XE 16 offers both.
    compatible: &[
        "diffie-hellman-group14-sha1",
        "diffie-hellman-group-exchange-sha1",
    ],
    legacy: &["diffie-hellman-group1-sha1"],
};

// Never `*-cert-v01`: libssh2 does not read the authority's part of a certificate.
const HOST_KEY: Preference = Preference {
    modern: &[
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "rsa-sha2-512",
        "rsa-sha2-256",
    ],
    compatible: &["ssh-rsa"],
    legacy: &["ssh-dss"],
};

// The cheapest on a CPU with AES instructions first.
const CIPHER: Preference = Preference {
    modern: &[
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
        "chacha20-poly1305@openssh.com",
    ],
    compatible: &[],
    legacy: &["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"],
};

const MAC: Preference = Preference {
    modern: &[
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
    ],
    compatible: &["hmac-sha1-etm@openssh.com", "hmac-sha1"],
    legacy: &["hmac-sha1-96", "hmac-md5", "hmac-md5-96"],
};

impl Preference {
    fn names(&self, policy: AlgorithmPolicy) -> impl Iterator<Item = &'static str> {
        let (compatible, legacy): (&[_], &[_]) = match policy {
            AlgorithmPolicy::Modern => (&[], &[]),
            AlgorithmPolicy::Compatible => (self.compatible, &[]),
            AlgorithmPolicy::Legacy => (self.compatible, self.legacy),
        };
        self.modern.iter().chain(compatible).chain(legacy).copied()
    }

    fn is_old(&self, name: &str) -> bool {
        self.compatible.contains(&name) || self.legacy.contains(&name)
    }
}

/// What is offered to a device, best first: the preference of the policy as far as this binary's
/// libssh2 has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Key exchange.
    pub kex: Vec<&'static str>,
    /// Host key.
    pub host_key: Vec<&'static str>,
    /// Cipher, both directions.
    pub cipher: Vec<&'static str>,
    /// Message authentication code, both directions.
    pub mac: Vec<&'static str>,
}

impl Offer {
    /// What this binary offers under `policy`.
    ///
    /// # Errors
    /// When libssh2 does not start, or has nothing of what the policy asks for.
    pub fn of(policy: AlgorithmPolicy) -> Result<Self, SessionError> {
        let session = Session::new().map_err(|error| broken(&error))?;
        let pick = |method: MethodType, preference: &Preference| {
            let supported = session
                .supported_algs(method)
                .map_err(|error| broken(&error))?;
            let names: Vec<_> = preference
                .names(policy)
                .filter(|name| supported.contains(name))
                .collect();
            // libssh2 would silently keep its own default list.
            if names.is_empty() {
                return Err(SessionError::new(
                    FailureKind::Algorithms,
                    format!(
                        "this binary's libssh2 has no algorithm for algorithms = \"{}\"; \
                         use a released binary",
                        policy.name()
                    ),
                ));
            }
            Ok(names)
        };
        Ok(Self {
            kex: pick(MethodType::Kex, &KEX)?,
            host_key: pick(MethodType::HostKey, &HOST_KEY)?,
            cipher: pick(MethodType::CryptCs, &CIPHER)?,
            mac: pick(MethodType::MacCs, &MAC)?,
        })
    }

    /// The same offer with the host key types that are `known` of the device first, so that it
    /// shows the key that can be checked. `known` holds types as in `known_hosts`.
    #[must_use]
    pub(super) fn preferring(&self, known: &[String]) -> Self {
        let is_known = |name: &str| known.iter().any(|kind| kind == key_type(name));
        let mut offer = self.clone();
        offer.host_key.sort_by_key(|name| !is_known(name));
        offer
    }

    /// Makes `session` offer this and nothing else.
    pub(super) fn apply(&self, session: &Session) -> Result<(), ssh2::Error> {
        let cipher = self.cipher.join(",");
        let mac = self.mac.join(",");
        session.method_pref(MethodType::Kex, &self.kex.join(","))?;
        session.method_pref(MethodType::HostKey, &self.host_key.join(","))?;
        session.method_pref(MethodType::CryptCs, &cipher)?;
        session.method_pref(MethodType::CryptSc, &cipher)?;
        session.method_pref(MethodType::MacCs, &mac)?;
        session.method_pref(MethodType::MacSc, &mac)
    }
}

/// The offers of every policy, made once.
pub(super) struct Offers([(AlgorithmPolicy, Offer); 3]);

impl Offers {
    pub(super) fn load() -> Result<Self, SessionError> {
        let with = |policy| Ok((policy, Offer::of(policy)?));
        Ok(Self([
            with(AlgorithmPolicy::Modern)?,
            with(AlgorithmPolicy::Compatible)?,
            with(AlgorithmPolicy::Legacy)?,
        ]))
    }

    pub(super) fn under(&self, policy: AlgorithmPolicy) -> &Offer {
        let [(_, modern), (_, compatible), (_, legacy)] = &self.0;
        match policy {
            AlgorithmPolicy::Modern => modern,
            AlgorithmPolicy::Compatible => compatible,
            AlgorithmPolicy::Legacy => legacy,
        }
    }

    /// Every policy with its offer, the smallest first.
    pub(super) fn all(&self) -> &[(AlgorithmPolicy, Offer); 3] {
        &self.0
    }
}

fn broken(error: &ssh2::Error) -> SessionError {
    SessionError::new(
        FailureKind::Protocol,
        format!("libssh2 does not start: {}", error.message()),
    )
}

/// The type under which a key that signs by `algorithm` stands in `known_hosts`.
fn key_type(algorithm: &str) -> &str {
    match algorithm {
        "rsa-sha2-512" | "rsa-sha2-256" => "ssh-rsa",
        other => other,
    }
}

/// What the key exchange settled on.
pub(super) fn negotiated(session: &Session) -> Algorithms {
    let name = |method| session.methods(method).unwrap_or_default().to_owned();
    let cipher = name(MethodType::CryptCs);
    let mac = if is_aead(&cipher) {
        // libssh2 names one all the same.
        String::new()
    } else {
        name(MethodType::MacCs)
    };
    Algorithms {
        kex: name(MethodType::Kex),
        host_key: name(MethodType::HostKey),
        cipher,
        mac,
    }
}

/// Whether a cipher brings its own message authentication code.
pub(super) fn is_aead(cipher: &str) -> bool {
    cipher.contains("gcm") || cipher.contains("poly1305")
}

/// The note on old algorithms in use, if any are.
pub(super) fn note_on_old(used: &Algorithms) -> Option<String> {
    let parts = [
        (&KEX, &used.kex),
        (&HOST_KEY, &used.host_key),
        (&CIPHER, &used.cipher),
        (&MAC, &used.mac),
    ];
    let old: Vec<_> = parts
        .iter()
        .filter(|(preference, name)| preference.is_old(name))
        .map(|(_, name)| name.as_str())
        .collect();
    (!old.is_empty()).then(|| format!("old SSH algorithms in use: {}", old.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_binary_offers_what_old_devices_need() {
        let offer = Offer::of(AlgorithmPolicy::Legacy).unwrap();
        let all: Vec<_> = [&offer.kex, &offer.host_key, &offer.cipher, &offer.mac]
            .into_iter()
            .flatten()
            .copied()
            .collect();
        for needed in [
            "diffie-hellman-group14-sha1",
            "diffie-hellman-group-exchange-sha1",
            "diffie-hellman-group1-sha1",
            "ssh-rsa",
            "ssh-dss",
            "hmac-sha1",
            "3des-cbc",
            "aes128-cbc",
        ] {
            assert!(
                all.contains(&needed),
                "libssh2 was built without {needed}: old IOS cannot be reached. The macros stand \
                 in .cargo/config.toml; the likely cause is a CFLAGS exported in your shell, \
                 which hides them. Unset it and run `cargo clean -p libssh2-sys`"
            );
        }
    }

    #[test]
    fn policies_append_and_modern_holds_nothing_old() {
        let [modern, compatible, legacy] = [
            AlgorithmPolicy::Modern,
            AlgorithmPolicy::Compatible,
            AlgorithmPolicy::Legacy,
        ]
        .map(|policy| Offer::of(policy).unwrap());
        assert!(compatible.kex.starts_with(&modern.kex));
        assert!(legacy.kex.starts_with(&compatible.kex));
        let tail: Vec<_> = compatible.kex.iter().skip(modern.kex.len()).collect();
        assert_eq!(
            tail,
            [
                &"diffie-hellman-group14-sha1",
                &"diffie-hellman-group-exchange-sha1"
            ]
        );
        for name in [&modern.kex, &modern.host_key, &modern.cipher, &modern.mac]
            .into_iter()
            .flatten()
        {
            let old = name.ends_with("sha1") || name.contains("cbc") || name.contains("md5");
            assert!(!old && *name != "ssh-rsa", "{name}");
        }
        assert!(!legacy.host_key.iter().any(|name| name.contains("cert")));
    }

    #[test]
    fn known_key_types_come_first_in_their_order() {
        let offer = Offer::of(AlgorithmPolicy::Compatible).unwrap();
        let preferred = offer.preferring(&["ssh-rsa".to_owned()]);
        assert_eq!(
            preferred.host_key.get(..4),
            Some(&["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa", "ssh-ed25519"][..])
        );
        assert_eq!(offer.preferring(&[]), offer);
    }

    #[test]
    fn old_algorithms_are_named() {
        let mut used = Algorithms {
            kex: "diffie-hellman-group14-sha1".into(),
            host_key: "ssh-rsa".into(),
            cipher: "aes128-ctr".into(),
            mac: "hmac-sha1".into(),
        };
        assert_eq!(
            note_on_old(&used).as_deref(),
            Some("old SSH algorithms in use: diffie-hellman-group14-sha1, ssh-rsa, hmac-sha1")
        );
        used.kex = "curve25519-sha256".into();
        used.host_key = "rsa-sha2-512".into();
        used.mac = String::new();
        assert_eq!(note_on_old(&used), None);
    }
}
