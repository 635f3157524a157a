//! What the archive holds of a device already.

use super::places::{LARGEST_READ, failed, read};
use super::{ArchiveError, Put};
use crate::model::report::Lines;
use crate::text::diff::{Rules, changed_lines};
use crate::text::volatile;
use std::fs;
use std::io;
use std::path::Path;

/// What is there already.
pub(super) enum Existing {
    Nothing,
    Same(Vec<u8>),
    /// Something else.
    Different {
        /// By how many lines, where it could be read.
        lines: Option<Lines>,
        /// How long it is, in bytes.
        len: u64,
    },
}

/// Compares what is there with what is to be put there.
pub(super) fn existing(path: &Path, put: &Put) -> Result<Existing, ArchiveError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Existing::Nothing),
        Err(error) => return Err(failed(path, "look at the file there", &error)),
    };
    if found.is_dir() {
        return Err(ArchiveError {
            path: path.to_owned(),
            action: "put the new file in its place",
            reason: "a folder of that name is in the way; move it elsewhere".to_owned(),
        });
    }
    let len = found.len();
    let unread = Existing::Different { lines: None, len };
    if !found.is_file() || len > LARGEST_READ {
        return Ok(unread);
    }
    let new = put.config.bytes();
    Ok(match read(path) {
        Ok(bytes) if volatile::same(&bytes, new, &put.platform.volatile) => Existing::Same(bytes),
        Ok(bytes) => {
            let lines = Some(changed_lines(&bytes, new, Rules::from(&*put.platform)));
            Existing::Different { lines, len }
        }
        // A file that cannot be read is no reason to keep a config that can from taking its place.
        Err(_) => unread,
    })
}
