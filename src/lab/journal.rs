//! What was shown to whom asked, as a file: the lab's own word on what a client must have stored.

use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A file to which a line is added for each config that was shown to its end: the time in
/// milliseconds since 1970 (UTC), the device's name, and the SHA-256 of the bytes to store of it.
#[derive(Clone)]
pub(super) struct Journal(Arc<File>);

impl Journal {
    /// Adds to the file at `path`; several processes may.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self(Arc::new(file)))
    }

    /// What is noted of the device of this name and config.
    pub(super) fn of(&self, device: &str, expected: &[u8]) -> Showing {
        let mut words = format!(" {device} ");
        for byte in Sha256::digest(expected) {
            // Writing to a String cannot fail.
            let _ = write!(words, "{byte:02x}");
        }
        words.push('\n');
        Showing {
            journal: self.clone(),
            words,
        }
    }
}

/// A device's line.
pub(super) struct Showing {
    journal: Journal,
    words: String,
}

impl Showing {
    /// The device has shown its config now.
    pub(super) fn note(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let line = format!("{}{}", now.unwrap_or_default().as_millis(), self.words);
        // Whole lines, whoever else adds to it. A full disk is seen by whoever reads the journal.
        let _ = (&*self.journal.0).write_all(line.as_bytes());
    }
}

impl fmt::Debug for Showing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words.trim())
    }
}
