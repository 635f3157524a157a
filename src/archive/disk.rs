//! The few things the archive does to a disk, as a seam: tests make each of them fail.

use crate::model::durable::{Step, Watch};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

/// Everything that changes a disk.
pub(super) trait Disk: Send {
    /// Makes a folder and those above it.
    fn create_folder(&mut self, path: &Path, mode: u32) -> io::Result<()>;

    /// Makes an empty file that nobody but `mode` allows can ever open; fails where one exists.
    fn create(&mut self, path: &Path, mode: u32) -> io::Result<File>;

    /// Fills `file`.
    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()>;

    /// Carries everything that waits for the disk of `file` to it. Saves time and promises nothing:
    /// only `sync` tells whether a file is safe.
    fn sync_disk_of(&mut self, file: &File);

    /// Waits until the bytes of `file` are on the disk.
    fn sync(&mut self, file: &File) -> io::Result<()>;

    /// Puts `from` in the place of `to`, at once.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Waits until the names in the folder are on the disk.
    fn sync_folder(&mut self, path: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
}

/// The disk of this machine.
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn create_folder(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(mode).create(path)
    }

    fn create(&mut self, path: &Path, mode: u32) -> io::Result<File> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        // The umask took its share of the mode above; the settings' word is the one that counts.
        file.set_permissions(Permissions::from_mode(mode))?;
        Ok(file)
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync_disk_of(&mut self, file: &File) {
        let _ = rustix::fs::syncfs(file);
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&mut self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// The disk of this machine, and somebody who is told of each step.
pub(super) struct WatchedDisk(pub(super) Arc<dyn Watch>);

impl WatchedDisk {
    fn passed<T>(&self, step: Step, done: io::Result<T>) -> io::Result<T> {
        if done.is_ok() {
            self.0.passed(step);
        }
        done
    }
}

impl Disk for WatchedDisk {
    fn create_folder(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        self.passed(Step::FolderMade, RealDisk.create_folder(path, mode))
    }

    fn create(&mut self, path: &Path, mode: u32) -> io::Result<File> {
        self.passed(Step::TempMade, RealDisk.create(path, mode))
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.passed(Step::TempWritten, RealDisk.write(file, bytes))
    }

    fn sync_disk_of(&mut self, file: &File) {
        RealDisk.sync_disk_of(file);
        self.0.passed(Step::DiskSynced);
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        self.passed(Step::TempSynced, RealDisk.sync(file))
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.passed(Step::FilePlaced, RealDisk.rename(from, to))
    }

    fn sync_folder(&mut self, path: &Path) -> io::Result<()> {
        self.passed(Step::FolderSynced, RealDisk.sync_folder(path))
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.passed(Step::FileRemoved, RealDisk.remove(path))
    }
}
