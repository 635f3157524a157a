//! A host's public key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};

/// A host's public key in SSH's wire form (RFC 4253 6.6), which begins with its type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostKey {
    blob: Vec<u8>,
    kind: String,
}

/// The longest type name that is believed.
const LONGEST_KIND: usize = 64;

impl HostKey {
    /// Takes over a key; `None` if it does not begin with a type.
    #[must_use]
    pub fn new(blob: Vec<u8>) -> Option<Self> {
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (kind, rest) = rest.split_at_checked(length)?;
        let printable = kind.iter().all(u8::is_ascii_graphic);
        if kind.is_empty() || length > LONGEST_KIND || !printable || rest.is_empty() {
            return None;
        }
        let kind = String::from_utf8(kind.to_vec()).ok()?;
        Some(Self { blob, kind })
    }

    /// Its type as in `known_hosts`, for example `ssh-ed25519`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The key as it came over the wire.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Its fingerprint as `ssh-keygen -l` shows it: `SHA256:` and base64.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.blob);
        format!("SHA256:{}", STANDARD_NO_PAD.encode(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_do_not_begin_with_a_type_are_none() {
        assert!(HostKey::new(b"\0\0\0\x07ssh-rsa\0".to_vec()).is_some());
        for broken in [
            &b""[..],
            b"\0\0\0",
            b"\0\0\0\0x",
            b"\0\0\0\x07ssh-rs",
            b"\0\0\0\x07ssh-rsa",
            b"\xff\xff\xff\xffssh-rsa",
            b"\0\0\0\x07ssh\nrsa\0",
        ] {
            assert_eq!(HostKey::new(broken.to_vec()), None, "{broken:?}");
        }
    }
}
