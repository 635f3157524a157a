//! What an interrupted run leaves behind: how it is named, and how it is swept away.

use super::disk::Disk;
use super::{Layout, held};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".wrmem-tmp";

/// The temporary file's name for the file `name`; device names never begin with a dot.
pub(super) fn name(name: &OsStr, random: u64) -> String {
    format!(".{}.{random:016x}{SUFFIX}", name.to_string_lossy())
}

/// Whether `file` is one that [`name`] made.
fn is_ours(file: &OsStr) -> bool {
    let random = file
        .to_str()
        .and_then(|file| file.strip_prefix('.'))
        .and_then(|file| file.strip_suffix(SUFFIX))
        .and_then(|file| file.rsplit_once('.'));
    random.is_some_and(|(name, random)| {
        (name.ends_with(".cfg") || name.ends_with(".info.txt"))
            && random.len() == 16
            && random.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Sweeps if no other archive is open here, and marks the folder as in use for as long as the
/// returned file is open. Where the file system knows no locks nothing is swept.
pub(super) fn sweep(disk: &mut dyn Disk, dir: &Path, layout: Layout) -> Option<File> {
    let lock = File::open(dir).ok()?;
    if lock.try_lock().is_ok() {
        let mut swept = sweep_folder(disk, dir);
        swept += sweep_folder(disk, &dir.join(held::FOLDER));
        for group in group_folders(dir, layout) {
            swept += sweep_folder(disk, &group);
        }
        if swept > 0 {
            log::info!(
                "{}: removed {swept} unfinished files of an interrupted run",
                dir.display()
            );
        }
    }
    lock.try_lock_shared().ok()?;
    Some(lock)
}

/// The folders that may be groups'.
pub(super) fn group_folders(dir: &Path, layout: Layout) -> Vec<PathBuf> {
    match layout {
        Layout::Flat => Vec::new(),
        Layout::ByGroup => entries(dir)
            .filter(|path| !is_hidden(path) && path.is_dir())
            .collect(),
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn sweep_folder(disk: &mut dyn Disk, folder: &Path) -> usize {
    entries(folder)
        .filter(|path| path.file_name().is_some_and(is_ours))
        .filter(|path| disk.remove(path).is_ok())
        .count()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_swept() {
        assert!(is_ours(OsStr::new(&name(OsStr::new("csr1.cfg"), 7))));
        assert!(is_ours(OsStr::new(&name(
            OsStr::new("a.cfg.cfg"),
            u64::MAX
        ))));
        assert!(is_ours(OsStr::new(&name(OsStr::new("csr1.info.txt"), 7))));
        for other in [
            "csr1.cfg",
            ".csr1.cfg",
            ".csr1.txt.0123456789abcdef.wrmem-tmp",
            ".csr1.cfg.wrmem-tmp",
            ".csr1.cfg.0123456789abcdeg.wrmem-tmp",
            "csr1.cfg.0123456789abcdef.wrmem-tmp",
            ".gitignore",
        ] {
            assert!(!is_ours(OsStr::new(other)), "{other}");
        }
    }

    #[test]
    fn the_longest_name_still_fits_a_file_name() {
        let longest = format!("{}.cfg", "x".repeat(crate::model::device::NAME_MAX));
        assert!(name(OsStr::new(&longest), u64::MAX).len() <= 255);
    }
}
