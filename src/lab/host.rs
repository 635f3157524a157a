//! The SSH side of a device: host key, algorithms, limits.

use super::csr;
use super::spec::Algorithms;
use russh::keys::ssh_key::private::{Ed25519Keypair, PrivateKey};
use russh::keys::{Algorithm, HashAlg, ssh_key};
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac, server};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// The host key of every device that offers nothing but `ssh-rsa`. Making one takes seconds, so
/// it is fixed. It guards nothing.
const RSA_HOST_KEY: &str = include_str!("rsa_host_key");

/// How many passwords a device takes before it hangs up, as `ip ssh authentication-retries`.
const LOGIN_TRIES: usize = 3;

static MODERN_KEX: [kex::Name; 9] = [
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::DH_G14_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_GEX_SHA256,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];
static MODERN_KEYS: [Algorithm; 3] = [
    Algorithm::Ed25519,
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];
static MODERN_CIPHERS: [cipher::Name; 6] = [
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];
static MODERN_MACS: [mac::Name; 4] = [
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256,
    mac::HMAC_SHA512,
];

static OLD_KEX: [kex::Name; 2] = [kex::DH_GEX_SHA1, kex::DH_G14_SHA1];
static OLD_KEYS: [Algorithm; 1] = [Algorithm::Rsa { hash: None }];
static OLD_CIPHERS: [cipher::Name; 7] = [
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
    cipher::AES_128_CBC,
    cipher::TRIPLE_DES_CBC,
    cipher::AES_192_CBC,
    cipher::AES_256_CBC,
];
static OLD_MACS: [mac::Name; 1] = [mac::HMAC_SHA1];

static NO_COMPRESSION: [compression::Name; 1] = [compression::NONE];

fn preferred(algorithms: Algorithms) -> Preferred {
    let (kex, key, cipher, mac): (&[_], &[_], &[_], &[_]) = match algorithms {
        Algorithms::Modern => (&MODERN_KEX, &MODERN_KEYS, &MODERN_CIPHERS, &MODERN_MACS),
        Algorithms::IosXe16 => (&OLD_KEX, &OLD_KEYS, &OLD_CIPHERS, &OLD_MACS),
    };
    Preferred {
        kex: Cow::Borrowed(kex),
        key: Cow::Borrowed(key),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(cipher),
        mac: Cow::Borrowed(mac),
        compression: Cow::Borrowed(&NO_COMPRESSION),
    }
}

/// The host key of the device of this name; the same for the same seed.
fn host_key(algorithms: Algorithms, seed: u64, name: &str) -> Result<PrivateKey, ssh_key::Error> {
    match algorithms {
        Algorithms::Modern => {
            let seed = csr::derive(seed, name, "host key");
            Ok(PrivateKey::from(Ed25519Keypair::from_seed(&seed)))
        }
        Algorithms::IosXe16 => PrivateKey::from_openssh(RSA_HOST_KEY),
    }
}

/// Makes the SSH settings of devices. Devices that offer only `ssh-rsa` share theirs.
pub(super) struct Hosts {
    algorithms: Algorithms,
    seed: u64,
    shared: Option<Arc<server::Config>>,
}

impl Hosts {
    pub(super) fn new(algorithms: Algorithms, seed: u64) -> Self {
        Self {
            algorithms,
            seed,
            shared: None,
        }
    }

    pub(super) fn config_of(&mut self, name: &str) -> Result<Arc<server::Config>, ssh_key::Error> {
        if let Some(shared) = &self.shared {
            return Ok(Arc::clone(shared));
        }
        let key = host_key(self.algorithms, self.seed, name)?;
        let config = Arc::new(server::Config {
            server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Cisco-1.25")),
            methods: methods(),
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: None,
            keys: vec![key],
            preferred: preferred(self.algorithms),
            max_auth_attempts: LOGIN_TRIES,
            inactivity_timeout: None,
            // Channels are answered through the handler, so their own queues stay empty.
            channel_buffer_size: 1,
            event_buffer_size: 8,
            nodelay: true,
            ..server::Config::default()
        });
        if self.algorithms == Algorithms::IosXe16 {
            self.shared = Some(Arc::clone(&config));
        }
        Ok(config)
    }
}

/// What IOS offers for a login by password.
pub(super) fn methods() -> MethodSet {
    let methods = [
        MethodKind::PublicKey,
        MethodKind::KeyboardInteractive,
        MethodKind::Password,
    ];
    MethodSet::from(&methods[..])
}
