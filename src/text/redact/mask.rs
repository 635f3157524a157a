//! What stands in place of a secret.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use std::ops::Range;
use zeroize::Zeroizing;

/// What stands in place of a secret that is quoted.
pub(super) const HIDDEN: &str = "<hidden>";

const BEGIN: &[u8] = b"<secret:";
const DIGITS: usize = 8;

/// Tells what the key is for, should it ever be used for more than this.
const PURPOSE: &[u8] = b"wrmem secret 1\0";

/// The key of the hashes that stand in place of secrets. Whoever has it can find short secrets by
/// trying them.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Zeroizing<[u8; Self::BYTES]>);

impl Key {
    /// Its size.
    pub const BYTES: usize = 32;

    /// Takes over random bytes as a key.
    #[must_use]
    pub fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key itself, for the file that keeps it and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The first eight digits of the keyed hash of a secret.
    fn digits(&self, secret: &[u8]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else {
            // HMAC takes a key of any size.
            return "0".repeat(DIGITS);
        };
        mac.update(PURPOSE);
        mac.update(secret);
        let hash = mac.finalize().into_bytes();
        let shown = hash.iter().take(DIGITS / 2);
        shown.map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// How a secret is masked.
#[derive(Debug, Clone, Copy)]
pub enum Mask<'a> {
    /// `<secret:ab12cd34>`: equal secrets have equal masks, others do not.
    Keyed(&'a Key),
    /// `<hidden>`.
    Hidden,
    /// As many stars as the secret has bytes.
    Stars,
}

impl Mask<'_> {
    /// The mask of one secret.
    pub(super) fn of(self, secret: &[u8]) -> Vec<u8> {
        match self {
            Self::Keyed(key) => {
                let mut mask = BEGIN.to_vec();
                mask.extend_from_slice(key.digits(secret).as_bytes());
                mask.push(b'>');
                mask
            }
            Self::Hidden => HIDDEN.as_bytes().to_vec(),
            Self::Stars => vec![b'*'; secret.len()],
        }
    }
}

/// Where `text` holds masks already, in order.
pub(super) fn masks_in(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(|rest| memchr(b'<', rest)) {
        at += next;
        let len = mask_len(text.get(at..).unwrap_or_default());
        if len > 0 {
            found.push(at..at + len);
        }
        at += len.max(1);
    }
    found
}

fn memchr(byte: u8, text: &[u8]) -> Option<usize> {
    text.iter().position(|b| *b == byte)
}

/// The length of the mask that `text` begins with, or 0.
fn mask_len(text: &[u8]) -> usize {
    if text.starts_with(HIDDEN.as_bytes()) {
        return HIDDEN.len();
    }
    let Some(rest) = text.strip_prefix(BEGIN) else {
        return 0;
    };
    let digit = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let digits = rest.iter().take_while(|b| digit(b)).count();
    if digits == DIGITS && rest.get(DIGITS) == Some(&b'>') {
        BEGIN.len() + DIGITS + 1
    } else {
        0
    }
}

/// Whether nothing is left to mask in a piece: blanks, or stars, which a device may show by itself.
pub(super) fn is_masked(piece: &[u8]) -> bool {
    piece.iter().all(|b| b.is_ascii_whitespace() || *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_secrets_look_equal_and_others_do_not() {
        let (one, two) = (Key::new([1; 32]), Key::new([2; 32]));
        let mask = |key: &Key, secret: &str| {
            String::from_utf8(Mask::Keyed(key).of(secret.as_bytes())).unwrap()
        };
        assert_eq!(mask(&one, "hush"), mask(&one, "hush"));
        assert_ne!(mask(&one, "hush"), mask(&one, "hushh"));
        assert_ne!(mask(&one, "hush"), mask(&two, "hush"));
        // HMAC-SHA256 over the purpose and the secret, computed by Python's hmac.
        assert_eq!(mask(&one, "hush"), "<secret:b7189f98>");
        assert_eq!(format!("{one:?}"), "Key(***)");
    }

    #[test]
    fn masks_are_known_again() {
        let text = b"a <secret:0123abcd> <secret:0123ABCD> <hidden>b <secret:01> <";
        assert_eq!(masks_in(text), [2..19, 38..46]);
    }
}
