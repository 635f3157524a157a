//! Where a device's file is, and reading it.

use super::{ArchiveError, LastGood, Layout, held};
use crate::model::device::{DeviceName, GroupName};
use rustix::fs::{Mode, OFlags};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// A larger file is no config of ours: it is replaced without being read.
pub(super) const LARGEST_READ: u64 = 256 << 20;

/// Where the files of an archive are.
#[derive(Debug, Clone)]
pub struct Places {
    pub(super) dir: PathBuf,
    pub(super) layout: Layout,
}

/// Where a config belongs.
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) file: PathBuf,
}

impl Places {
    /// The files below `dir`, laid out by `layout`.
    #[must_use]
    pub fn new(dir: &Path, layout: Layout) -> Self {
        Self {
            dir: dir.to_owned(),
            layout,
        }
    }

    pub(super) fn of(
        &self,
        device: &DeviceName,
        group: Option<&GroupName>,
    ) -> Result<Place, ArchiveError> {
        let mut folder = self.dir.clone();
        if let (Layout::ByGroup, Some(group)) = (self.layout, group) {
            folder = only_below(folder, group.as_str())?;
        }
        let file = only_below(folder.clone(), &format!("{device}.cfg"))?;
        Ok(Place { folder, file })
    }

    /// Where what is kept beside the config belongs.
    pub(super) fn info(
        &self,
        device: &DeviceName,
        group: Option<&GroupName>,
    ) -> Result<Place, ArchiveError> {
        let Place { folder, .. } = self.of(device, group)?;
        let file = only_below(folder.clone(), &format!("{device}.info.txt"))?;
        Ok(Place { folder, file })
    }

    /// Where a config that is kept aside belongs.
    pub(super) fn held(&self, device: &DeviceName) -> Result<Place, ArchiveError> {
        let folder = self.dir.join(held::FOLDER);
        let file = only_below(folder.clone(), &format!("{device}.cfg"))?;
        Ok(Place { folder, file })
    }

    /// The names of the devices whose config is kept aside, in order.
    ///
    /// # Errors
    /// When the folder is there and cannot be read.
    pub fn all_held(&self) -> Result<Vec<DeviceName>, ArchiveError> {
        let folder = self.dir.join(held::FOLDER);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&folder, "list what is kept aside", &error)),
        };
        let name = |entry: io::Result<fs::DirEntry>| {
            let file = entry.ok()?.file_name();
            DeviceName::new(file.to_str()?.strip_suffix(".cfg")?).ok()
        };
        let mut names: Vec<_> = entries.filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    /// The config of a device that is kept aside; `None` where there is none.
    ///
    /// # Errors
    /// When there is one and it cannot be read.
    pub fn held_config(&self, device: &DeviceName) -> Result<Option<Vec<u8>>, ArchiveError> {
        let place = self.held(device)?;
        match read(&place.file) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&place.file, "read what is kept aside", &error)),
        }
    }
}

impl LastGood for Places {
    fn last_good(
        &self,
        device: &DeviceName,
        group: Option<&GroupName>,
    ) -> Result<Option<Vec<u8>>, ArchiveError> {
        let place = self.of(device, group)?;
        match read(&place.file) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&place.file, "read the last good config", &error)),
        }
    }
}

/// Names are safe by their type; this holds should that type ever grow laxer.
fn only_below(folder: PathBuf, name: &str) -> Result<PathBuf, ArchiveError> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(part)), None) if part == name => Ok(folder.join(part)),
        _ => Err(ArchiveError {
            path: folder,
            action: "name a file",
            reason: format!("{name:?} leads out of the folder; rename the device or group"),
        }),
    }
}

/// A folder's permission bits where files have `mode`: search where there is read.
pub(super) const fn folder_mode(mode: u32) -> u32 {
    mode | ((mode & 0o444) >> 2)
}

pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let mut bytes = Vec::new();
    file.take(LARGEST_READ).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the system said about the files, and what helps.
pub(super) fn failed(path: &Path, action: &'static str, error: &io::Error) -> ArchiveError {
    failed_in("archive.dir", path, action, error)
}

/// What the system said about the folder that `setting` names, and what helps.
pub(super) fn failed_in(
    setting: &str,
    path: &Path,
    action: &'static str,
    error: &io::Error,
) -> ArchiveError {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "; let the user that runs wrmem write there, or set {setting} to another folder"
        ),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room on that disk".to_owned()
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("; mount it writable, or set {setting} to another folder")
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            format!("; a file is where a folder is needed: move it elsewhere, or set {setting}")
        }
        _ => String::new(),
    };
    ArchiveError {
        path: path.to_owned(),
        action,
        reason: format!("{error}{advice}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_out_is_refused() {
        for name in ["..", ".", "a/b", "/a", "a/", "a/.", ""] {
            assert!(
                only_below(PathBuf::from("configs"), name).is_err(),
                "{name}"
            );
        }
    }
}
