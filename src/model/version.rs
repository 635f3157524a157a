//! A version of a config: one of those that an archive with a history keeps.

use super::device::DeviceName;
use super::report::Lines;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

/// How many digits of an id are shown.
pub const SHORT: usize = 10;

/// The id of an object in a repository: a commit, or the content of a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 20]);

impl ObjectId {
    /// Takes over the bytes of an id.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Its first digits, enough to tell it from others.
    #[must_use]
    pub fn short(&self) -> String {
        let mut digits = self.to_string();
        digits.truncate(SHORT);
        digits
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// A text that is no object id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an object id has 40 hexadecimal digits")]
pub struct NoObjectId;

impl FromStr for ObjectId {
    type Err = NoObjectId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 20];
        let digits = text.as_bytes().chunks_exact(2);
        if text.len() != 40 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NoObjectId);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits) {
            let pair = std::str::from_utf8(pair).map_err(|_| NoObjectId)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NoObjectId)?;
        }
        Ok(Self(bytes))
    }
}

/// One version of a device's config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Whose config it is.
    pub device: DeviceName,
    /// Its file in the repository.
    pub path: String,
    /// The commit that brought it.
    pub commit: ObjectId,
    /// Its content.
    pub blob: ObjectId,
    /// When the last config of its commit was read from its device, to the second.
    pub at: SystemTime,
    /// Who changed the config, as far as the device tells; else `wrmem`.
    pub author: String,
    /// How much it differs from the version before; for the first one, its lines.
    pub lines: Lines,
    /// When the run began that brought it, to the millisecond; `None` where the repository does not
    /// tell.
    pub run: Option<SystemTime>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_and_read_as_hexadecimal() {
        let text = "00ff3fa2b9c0d1e2f30415263748596a7b8c9dae";
        let id: ObjectId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id.short(), "00ff3fa2b9");
        assert_eq!(format!("{id:?}"), "00ff3fa2b9");
        for bad in [
            "",
            "00ff",
            "00ff3fa2b9c0d1e2f30415263748596a7b8c9dag",
            "+0ff3fa2b9c0d1e2f30415263748596a7b8c9dae",
            "00ff3fa2b9c0d1e2f30415263748596a7b8c9dae00",
        ] {
            assert_eq!(bad.parse::<ObjectId>(), Err(NoObjectId), "{bad}");
        }
    }
}
