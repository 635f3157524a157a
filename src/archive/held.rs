//! Configs that are kept aside: whole by a weak proof only, and suspiciously short.

use super::disk::Disk;
use super::places::{Places, failed, folder_mode};
use super::{ArchiveError, Put, unfinished};
use crate::model::config::{Config, Proof};
use crate::model::device::DeviceName;
use std::io;
use std::path::PathBuf;

/// The folder within the archive's. Hidden: nothing that reads the archive takes it for a part of it.
pub(super) const FOLDER: &str = ".held";

/// Whatever the settings say: nobody needs it but who accepts it.
pub(super) const MODE: u32 = 0o600;

/// A config that was kept aside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the config has {bytes} bytes, less than half of the {last} stored last, and nothing on this \
     platform proves it whole: it was not stored but kept aside as {path}; compare the two, and if it \
     is right, `wrmem accept {device}`",
    path = path.display()
)]
pub struct Held {
    /// Whose it is.
    pub device: DeviceName,
    /// Where it is.
    pub path: PathBuf,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// How long the last good one is, in bytes.
    pub last: u64,
}

/// Whether a config is to be kept aside, `last` being the length of the last good one.
pub(super) fn is_suspect(config: &Config, last: u64) -> bool {
    !config.proof().is_strong() && (config.bytes().len() as u64) < last.div_ceil(2)
}

/// Whether a config of this device may have been kept aside before.
pub(super) fn may_be_held(config: &Config) -> bool {
    !config.proof().is_strong() || config.proof() == Proof::Accepted
}

/// Keeps a config aside; it is on the disk when this answers.
pub(super) fn keep(
    disk: &mut dyn Disk,
    places: &Places,
    put: &Put,
    last: u64,
) -> Result<Held, ArchiveError> {
    let place = places.held(&put.device)?;
    let io_failed = |error: io::Error| failed(&place.file, "keep a config aside", &error);
    let bytes = put.config.bytes();
    if !place.folder.is_dir() {
        disk.create_folder(&place.folder, folder_mode(MODE))
            .and_then(|()| disk.sync_folder(&places.dir))
            .map_err(io_failed)?;
    }
    let name = place.file.file_name().unwrap_or_default();
    let temp = place.folder.join(unfinished::name(name, fastrand::u64(..)));
    let placed = disk.create(&temp, MODE).and_then(|mut file| {
        disk.write(&mut file, bytes)?;
        disk.sync(&file)?;
        disk.rename(&temp, &place.file)
    });
    if let Err(error) = placed {
        // What stays is swept away when the archive is opened next.
        let _ = disk.remove(&temp);
        return Err(io_failed(error));
    }
    disk.sync_folder(&place.folder).map_err(io_failed)?;
    Ok(Held {
        device: put.device.clone(),
        path: place.file,
        bytes: bytes.len() as u64,
        last,
    })
}

/// Removes what was kept aside of a device whose config is stored now.
pub(super) fn drop_kept(disk: &mut dyn Disk, places: &Places, put: &Put) {
    if !may_be_held(&put.config) {
        return;
    }
    let removed = places
        .held(&put.device)
        .map(|place| disk.remove(&place.file));
    if let Ok(Err(error)) = removed
        && error.kind() != io::ErrorKind::NotFound
    {
        log::warn!("{}: remove what was kept aside: {error}", put.device);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_enough_and_less_is_not() {
        let config = |proof| Config::proven(vec![b'x'; 50], proof);
        for (last, suspect) in [(0, false), (49, false), (100, false), (101, true)] {
            assert_eq!(is_suspect(&config(Proof::Weak), last), suspect, "{last}");
            assert_eq!(is_suspect(&config(Proof::Braces), last), suspect, "{last}");
            assert!(!is_suspect(&config(Proof::Marker), last));
            assert!(!is_suspect(&config(Proof::Accepted), last));
        }
    }
}
