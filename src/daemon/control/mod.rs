//! The socket in the state folder, through which other wrmem commands ask this process for what they
//! cannot do beside it.
//!
//! A client connects, sends one request as a line of JSON, and gets lines of JSON back until the
//! answer is over. Both sides bound the length of a line. The socket is the owner's alone, and who is
//! at the other end is checked besides.
//!
//! - [`wire`]: what is said.
//! - [`client`]: the side of the commands.
//! - [`server`]: the side of the process that runs.
//! - `lines`: lines with a bound.

pub mod client;
mod lines;
pub mod server;
pub mod wire;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The settings folder as both sides compare it.
#[must_use]
pub fn comparable(dir: &Path) -> PathBuf {
    std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned())
}

/// The variables of an environment that are settings.
#[must_use]
pub fn settings_in(env: &[(String, String)]) -> BTreeMap<String, String> {
    env.iter()
        .filter(|(name, _)| name.starts_with("WRMEM__"))
        .cloned()
        .collect()
}

/// The socket's name in the state folder.
const NAME: &str = "control.sock";

/// The longest path that fits into a socket's address, with its end.
const PATH_MAX: usize = 107;

/// The socket of a state folder under a name short enough for a socket's address.
struct Place {
    path: PathBuf,
    // Named by its number in the path.
    _folder: Option<File>,
}

impl Place {
    fn of(dir: &Path, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        if path.as_os_str().len() <= PATH_MAX {
            return Ok(Self {
                path,
                _folder: None,
            });
        }
        let folder = File::open(dir)?;
        Ok(Self {
            path: PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd())),
            _folder: Some(folder),
        })
    }
}
