//! Reading the operator's files.

use super::fault::Fault;
use super::raw::{Lines, Place};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// What lets wrmem into devices.
pub(crate) const CREDENTIALS: &str = "credentials.toml";

/// The most that a settings file may hold.
const FILE_MAX: u64 = 64 * 1024 * 1024;

/// Whether a file is there.
pub(crate) enum Presence {
    Missing,
    There(Zeroizing<String>),
}

/// Reads a text file that may be missing.
pub(crate) fn read(path: &Path) -> Result<Presence, Fault> {
    let fault = |line, message: String| {
        Fault::error(&Place::new(&path.display().to_string(), line), "", message)
    };
    let mut bytes = Zeroizing::new(Vec::new());
    match File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Presence::Missing),
        Err(error) => return Err(fault(None, format!("cannot be read: {error}"))),
    }
    if bytes.len() as u64 > FILE_MAX {
        return Err(fault(None, "has more than 64 MiB".to_owned()));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Presence::There(Zeroizing::new(text.to_owned()))),
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = Lines::of(&String::from_utf8_lossy(good)).at(good.len());
            Err(fault(
                Some(line),
                "is not UTF-8; save it as UTF-8".to_owned(),
            ))
        }
    }
}

/// When `credentials.toml` in the settings folder `dir` was last changed, where that can be told.
#[must_use]
pub fn credentials_changed(dir: &Path) -> Option<SystemTime> {
    fs::metadata(dir.join(CREDENTIALS)).ok()?.modified().ok()
}

/// A warning if others than the owner can read a file that holds secrets.
pub(crate) fn readable_by_others(path: &Path) -> Option<Fault> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    let shown = path.display().to_string();
    (mode & 0o077 != 0).then(|| {
        Fault::warning(
            &Place::new(&shown, None),
            "",
            format!("others than you can read or change this file: chmod 600 {shown}"),
        )
    })
}

/// The value of an environment variable.
pub(crate) fn variable<'e>(env: &'e [(String, String)], name: &str) -> Option<&'e str> {
    let found = env.iter().find(|(known, _)| known == name);
    found.map(|(_, text)| text.as_str())
}

/// The path with `~` at its beginning as the home folder.
pub(crate) fn in_home(path: &Path, env: &[(String, String)]) -> PathBuf {
    match (path.strip_prefix("~"), variable(env, "HOME")) {
        (Ok(rest), Some(home)) => Path::new(home).join(rest),
        _ => path.to_owned(),
    }
}
