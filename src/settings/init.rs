//! Writes a commented settings folder to begin with.

use super::layers::DEFAULT_TOML;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const DEVICES_TOML: &str = include_str!("../../settings/devices.toml");
const CREDENTIALS_TOML: &str = include_str!("../../settings/credentials.toml");

/// Why no settings folder was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Some of the files are there; nothing was written.
    #[error("`{}` is there already and stays; give another folder by --settings DIR", .0.display())]
    Exists(PathBuf),
    /// A file or folder could not be written.
    #[error("`{}` cannot be written: {reason}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

/// Writes `wrmem.toml`, `devices.toml` and `credentials.toml` (mode 0600) into `dir` and returns
/// their paths. The devices and the credentials are an example to change.
///
/// # Errors
/// When one of the files is there already, or one cannot be written.
pub fn init(dir: &Path) -> Result<Vec<PathBuf>, InitError> {
    let files = [
        ("wrmem.toml", wrmem_toml(), 0o644),
        ("devices.toml", DEVICES_TOML.to_owned(), 0o644),
        ("credentials.toml", CREDENTIALS_TOML.to_owned(), 0o600),
    ];
    for (name, ..) in &files {
        let path = dir.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(InitError::Exists(path));
        }
    }
    fs::create_dir_all(dir).map_err(|reason| InitError::Write {
        path: dir.to_owned(),
        reason,
    })?;
    let mut written = Vec::new();
    for (name, text, mode) in files {
        let path = dir.join(name);
        match write(&path, &text, mode) {
            Ok(()) => written.push(path),
            Err(reason) => return Err(InitError::Write { path, reason }),
        }
    }
    Ok(written)
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Every overall setting with its comment, the values commented out.
fn wrmem_toml() -> String {
    let mut text = String::from(
        "# Your own values over wrmem's defaults, which stand here commented out.\n\
         # Later wins: default.toml < wrmem.toml < environment (WRMEM__RUN__IN_FLIGHT=50) < flags\n\
         # Durations carry their unit: \"500ms\", \"30s\", \"5m\", \"1h30m\", \"2d\".\n\
         # Relative paths count from the working directory.\n",
    );
    // The head of default.toml is about that file.
    let body = DEFAULT_TOML.split_once("\n\n").map_or("", |(_, body)| body);
    for line in body.lines() {
        text.push_str(match line.chars().next() {
            None | Some('#' | '[') => "\n",
            Some(_) => "\n# ",
        });
        text.push_str(line);
    }
    text.push('\n');
    text
}
