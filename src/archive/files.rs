//! Configs as plain files, each replaced at once or not at all.
//!
//! A config is written to a temporary file beside its place, synced, and renamed into it; then the
//! folder is synced. A crash at any point leaves the old file or the new one. What an earlier crash
//! left behind is swept away when the archive is opened.

use super::disk::{Disk, WatchedDisk};
use super::existing::{Existing, existing};
use super::held::{self, Held};
use super::places::{Place, Places, failed, folder_mode, read};
use super::unfinished;
use super::{Archive, ArchiveError, Layout, NotStored, Put};
use crate::model::durable::{Unwatched, Watch};
use crate::model::report::{Stored, StoredKind};
use crate::model::version::ObjectId;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files written before the first is synced. Each holds a file descriptor, and devices in flight
/// leave 64 of them to everything else.
const CHUNK: usize = 32;

/// From so many files on, the disk as a whole is synced before each of them. Each file's own sync
/// then finds little to do, but tells that file's own error, which `syncfs` does not (and before
/// Linux 5.8 it tells none). Fewer files do not wait for what others are writing to that disk.
///
/// Medians for 10 / 100 files of 5 KB on ext4: synced one by one 2.4 / 26 ms, by `syncfs` and then
/// one by one 1.8 / 14 ms, by `syncfs` alone 1.2 / 9 ms (docs/adr/0004).
const MANY: usize = 8;

/// How often a free temporary name is looked for.
const NAME_TRIES: usize = 16;

/// An archive of plain files in one folder. A file whose config did not change is not touched at
/// all, not even its mode. A link in a file's place is replaced, not followed.
pub struct FileArchive {
    places: Places,
    mode: u32,
    disk: Box<dyn Disk>,
    /// Held shared while this archive is open, so that another one does not sweep our files away.
    _lock: Option<File>,
}

/// A file that stands ready beside its place.
struct Written {
    file: File,
    temp: PathBuf,
    place: Place,
}

/// What is to become of a config, and the file it needs for that.
struct Going {
    outcome: Outcome,
    file: Option<Written>,
}

/// What became of a config.
enum Outcome {
    Stored(Stored),
    Held(Held),
}

/// A config and what is kept beside it, on their way.
struct Pair {
    config: Result<Going, ArchiveError>,
    info: Option<Result<Written, ArchiveError>>,
}

/// A config that is in its place once its folder is synced.
struct Placed {
    config: Result<(Outcome, Option<PathBuf>), ArchiveError>,
    info: Option<Result<PathBuf, ArchiveError>>,
}

impl FileArchive {
    /// Opens the archive in the folder `dir`, made if need be. Files get exactly the permission
    /// bits of `mode` (such as 0o600), folders the same with search where there is read.
    ///
    /// # Errors
    /// The folder cannot be made or no file can be made in it; the message says what to do.
    pub fn open(dir: &Path, layout: Layout, mode: u32) -> Result<Self, ArchiveError> {
        Self::open_watched(dir, layout, mode, Arc::new(Unwatched))
    }

    /// The same, and `watch` is told of each step.
    ///
    /// # Errors
    /// As with [`open`](Self::open).
    pub fn open_watched(
        dir: &Path,
        layout: Layout,
        mode: u32,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, ArchiveError> {
        Self::open_on(Box::new(WatchedDisk(watch)), dir, layout, mode)
    }

    fn open_on(
        mut disk: Box<dyn Disk>,
        dir: &Path,
        layout: Layout,
        mode: u32,
    ) -> Result<Self, ArchiveError> {
        disk.create_folder(dir, folder_mode(mode))
            .map_err(|error| failed(dir, "make the archive's folder", &error))?;
        let lock = unfinished::sweep(disk.as_mut(), dir, layout);
        let mut archive = Self {
            places: Places::new(dir, layout),
            mode,
            disk,
            _lock: lock,
        };
        archive.try_writing()?;
        Ok(archive)
    }

    /// Makes and removes a file, because only the attempt tells whether files can be made.
    fn try_writing(&mut self) -> Result<(), ArchiveError> {
        let action = "make a file in the archive's folder";
        let (_, temp) = self
            .create_temp(&self.places.dir.clone(), OsStr::new("check.cfg"), self.mode)
            .map_err(|error| failed(&self.places.dir, action, &error))?;
        self.disk
            .remove(&temp)
            .map_err(|error| failed(&temp, "remove a file in the archive's folder", &error))?;
        // An earlier run may have been killed between its last rename and this sync.
        for group in unfinished::group_folders(&self.places.dir, self.places.layout) {
            // Should that be a fault that lasts, the first config for that group tells it.
            let _ = self.disk.sync_folder(&group);
        }
        self.disk
            .sync_folder(&self.places.dir)
            .map_err(|error| failed(&self.places.dir, "sync the archive's folder", &error))
    }

    /// Compares with what is there and writes a temporary file where it differs.
    fn prepare(&mut self, put: &Put) -> Result<Going, ArchiveError> {
        let place = self.places.of(&put.device, put.group.as_ref())?;
        let bytes = put.config.bytes();
        let (stored, last) = match existing(&place.file, put)? {
            Existing::Same(bytes) => {
                return Ok(Going {
                    outcome: Outcome::Stored(stored(StoredKind::Unchanged, &bytes)),
                    file: None,
                });
            }
            Existing::Nothing => (stored(StoredKind::New, bytes), 0),
            Existing::Different { lines, len } => {
                let kind = StoredKind::Changed;
                (
                    Stored {
                        lines,
                        ..stored(kind, bytes)
                    },
                    len,
                )
            }
        };
        if held::is_suspect(&put.config, last) {
            let place = self.places.held(&put.device)?;
            let outcome = Outcome::Held(Held {
                device: put.device.clone(),
                path: place.file.clone(),
                bytes: bytes.len() as u64,
                last,
            });
            let file = Some(self.write(place, bytes, held::MODE)?);
            return Ok(Going { outcome, file });
        }
        let file = Some(self.write(place, bytes, self.mode)?);
        Ok(Going {
            outcome: Outcome::Stored(stored),
            file,
        })
    }

    /// Writes what is kept beside the config to a temporary file, where it differs from what is there.
    fn prepare_info(&mut self, put: &Put) -> Option<Result<Written, ArchiveError>> {
        let info = put.info.as_ref()?;
        let place = match self.places.info(&put.device, put.group.as_ref()) {
            Ok(place) => place,
            Err(error) => return Some(Err(error)),
        };
        if read(&place.file).is_ok_and(|bytes| bytes == info.bytes()) {
            return None;
        }
        Some(self.write(place, info.bytes(), self.mode))
    }

    /// Makes a temporary file beside its place and fills it.
    fn write(&mut self, place: Place, bytes: &[u8], mode: u32) -> Result<Written, ArchiveError> {
        self.make_folder(&place.folder, mode)?;
        let name = place.file.file_name().unwrap_or_default();
        let (mut file, temp) = self
            .create_temp(&place.folder, name, mode)
            .map_err(|error| failed(&place.file, "make a temporary file beside it", &error))?;
        if let Err(error) = self.disk.write(&mut file, bytes) {
            self.drop_temp(&temp);
            return Err(failed(&temp, "write the temporary file", &error));
        }
        Ok(Written { file, temp, place })
    }

    fn make_folder(&mut self, folder: &Path, mode: u32) -> Result<(), ArchiveError> {
        if folder.is_dir() {
            return Ok(());
        }
        self.disk
            .create_folder(folder, folder_mode(mode))
            .map_err(|error| failed(folder, "make a folder of the archive", &error))?;
        self.disk
            .sync_folder(&self.places.dir)
            .map_err(|error| failed(&self.places.dir, "sync the archive's folder", &error))
    }

    fn create_temp(
        &mut self,
        folder: &Path,
        name: &OsStr,
        mode: u32,
    ) -> io::Result<(File, PathBuf)> {
        let mut taken = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..NAME_TRIES {
            let path = folder.join(unfinished::name(name, fastrand::u64(..)));
            match self.disk.create(&path, mode) {
                Ok(file) => return Ok((file, path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
                Err(error) => {
                    self.drop_temp(&path);
                    return Err(error);
                }
            }
        }
        Err(taken)
    }

    /// Best effort: what stays is swept away when the archive is opened next.
    fn drop_temp(&mut self, temp: &Path) {
        if let Err(error) = self.disk.remove(temp)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("{}: remove a temporary file: {error}", temp.display());
        }
    }

    fn sync(&mut self, written: Written) -> Result<Written, ArchiveError> {
        match self.disk.sync(&written.file) {
            Ok(()) => Ok(written),
            Err(error) => {
                self.drop_temp(&written.temp);
                Err(failed(&written.temp, "sync the temporary file", &error))
            }
        }
    }

    fn sync_pair(&mut self, pair: Pair) -> Pair {
        Pair {
            config: pair.config.and_then(|going| {
                let file = going.file.map(|file| self.sync(file)).transpose()?;
                Ok(Going { file, ..going })
            }),
            info: pair.info.map(|info| info.and_then(|file| self.sync(file))),
        }
    }

    /// Renames into place; returns the folder that is then to be synced.
    fn rename(&mut self, written: Written) -> Result<PathBuf, ArchiveError> {
        match self.disk.rename(&written.temp, &written.place.file) {
            Ok(()) => Ok(written.place.folder),
            Err(error) => {
                self.drop_temp(&written.temp);
                let action = "put the new file in its place";
                Err(failed(&written.place.file, action, &error))
            }
        }
    }

    fn rename_pair(&mut self, pair: Pair) -> Placed {
        Placed {
            config: pair.config.and_then(|going| {
                let folder = going.file.map(|file| self.rename(file)).transpose()?;
                Ok((going.outcome, folder))
            }),
            info: pair
                .info
                .map(|info| info.and_then(|file| self.rename(file))),
        }
    }

    /// Writes all, then syncs all, then renames all.
    fn put_chunk(&mut self, chunk: &[Put]) -> Vec<Placed> {
        let written: Vec<_> = chunk
            .iter()
            .map(|put| Pair {
                config: self.prepare(put),
                info: self.prepare_info(put),
            })
            .collect();
        let configs = written.iter().filter_map(|pair| pair.config.as_ref().ok());
        let mut files = configs.filter_map(|going| going.file.as_ref());
        if let Some(written) = files.nth(MANY - 1) {
            self.disk.sync_disk_of(&written.file);
        }
        let synced: Vec<_> = written
            .into_iter()
            .map(|pair| self.sync_pair(pair))
            .collect();
        synced
            .into_iter()
            .map(|pair| self.rename_pair(pair))
            .collect()
    }

    /// What was held back is out of date once its device's config is stored.
    fn drop_held(&mut self, put: &Put) {
        if !held::may_be_held(&put.config) {
            return;
        }
        if let Ok(place) = self.places.held(&put.device) {
            self.drop_temp(&place.file);
        }
    }
}

/// The folders that were synced, each once.
type Synced = BTreeMap<PathBuf, Result<(), ArchiveError>>;

impl Archive for FileArchive {
    fn put(&mut self, batch: &[Put]) -> Vec<Result<Stored, NotStored>> {
        let placed: Vec<_> = batch
            .chunks(CHUNK)
            .flat_map(|chunk| self.put_chunk(chunk))
            .collect();
        let mut synced = Synced::new();
        for placed in &placed {
            let config = placed.config.as_ref().ok().and_then(|(_, f)| f.as_ref());
            let info = placed.info.as_ref().and_then(|info| info.as_ref().ok());
            for folder in [config, info].into_iter().flatten() {
                if !synced.contains_key(folder) {
                    let done = self.disk.sync_folder(folder);
                    let done = done.map_err(|error| failed(folder, "sync the folder", &error));
                    synced.insert(folder.clone(), done);
                }
            }
        }
        let answers: Vec<_> = placed.into_iter().map(|one| answer(one, &synced)).collect();
        for (put, answer) in batch.iter().zip(&answers) {
            if answer.is_ok() {
                self.drop_held(put);
            }
        }
        answers
    }

    fn commit(&mut self) -> Result<Vec<ObjectId>, ArchiveError> {
        Ok(Vec::new())
    }
}

fn answer(placed: Placed, synced: &Synced) -> Result<Stored, NotStored> {
    let settled = |folder: Option<&PathBuf>| match folder.and_then(|folder| synced.get(folder)) {
        Some(Err(error)) => Err(error.clone()),
        Some(Ok(())) | None => Ok(()),
    };
    let (outcome, folder) = placed.config?;
    settled(folder.as_ref())?;
    let mut stored = match outcome {
        Outcome::Stored(stored) => stored,
        Outcome::Held(held) => return Err(NotStored::Held(held)),
    };
    if let Some(Err(error)) = placed.info.map(|info| info.and_then(|f| settled(Some(&f)))) {
        stored
            .notes
            .push(format!("what goes with the config was not kept: {error}"));
    }
    Ok(stored)
}

/// What is told of a config that is stored as `bytes`.
pub(super) fn stored(kind: StoredKind, bytes: &[u8]) -> Stored {
    Stored {
        kind,
        lines: None,
        bytes: bytes.len() as u64,
        sha256: Sha256::digest(bytes).into(),
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::RealDisk;
    use super::*;
    use crate::model::config::{Config, Info, Proof};
    use crate::model::device::{DeviceName, GroupName};
    use crate::model::platform::Platform;
    use crate::model::report::Lines;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::sync::Mutex;

    const OLD: &[u8] = b"hostname old\nend\n";
    const NEW: &[u8] = b"hostname new\nend\n";

    fn put(name: &str, bytes: &[u8]) -> Put {
        Put {
            device: DeviceName::new(name).unwrap(),
            group: None,
            platform: Arc::new(Platform {
                volatile: vec![b"! Last".to_vec()],
                ..Platform::default()
            }),
            config: Config::proven(bytes.to_vec(), Proof::Marker),
            info: None,
            taken: std::time::SystemTime::UNIX_EPOCH,
            run: std::time::SystemTime::UNIX_EPOCH,
        }
    }

    fn put_in(group: &str, name: &str, bytes: &[u8]) -> Put {
        Put {
            group: Some(GroupName::new(group).unwrap()),
            ..put(name, bytes)
        }
    }

    fn open(dir: &Path) -> FileArchive {
        FileArchive::open(dir, Layout::Flat, 0o600).unwrap()
    }

    fn put_one(archive: &mut FileArchive, put: Put) -> Result<Stored, NotStored> {
        archive.put(&[put]).pop().unwrap()
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Which of the things done to the disk go wrong, counted from 0.
    #[derive(Clone, Copy)]
    enum Trouble {
        /// That one alone.
        At(usize),
        /// That one and all after it: the process was killed there.
        From(usize),
    }

    type Done = Arc<Mutex<Vec<&'static str>>>;

    struct TroubledDisk {
        trouble: Trouble,
        done: Done,
    }

    impl TroubledDisk {
        fn step(&self, what: &'static str) -> io::Result<()> {
            let mut done = self.done.lock().unwrap();
            let step = done.len();
            done.push(what);
            let fails = match self.trouble {
                Trouble::At(at) => step == at,
                Trouble::From(from) => step >= from,
            };
            if fails {
                Err(io::Error::from(io::ErrorKind::StorageFull))
            } else {
                Ok(())
            }
        }
    }

    impl Disk for TroubledDisk {
        fn create_folder(&mut self, path: &Path, mode: u32) -> io::Result<()> {
            self.step("create_folder")?;
            RealDisk.create_folder(path, mode)
        }
        fn create(&mut self, path: &Path, mode: u32) -> io::Result<File> {
            self.step("create")?;
            RealDisk.create(path, mode)
        }
        fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
            if let Err(error) = self.step("write") {
                RealDisk.write(file, &bytes[..bytes.len() / 2])?;
                return Err(error);
            }
            RealDisk.write(file, bytes)
        }
        fn sync_disk_of(&mut self, file: &File) {
            RealDisk.sync_disk_of(file);
        }
        fn sync(&mut self, file: &File) -> io::Result<()> {
            self.step("sync")?;
            RealDisk.sync(file)
        }
        fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
            self.step("rename")?;
            RealDisk.rename(from, to)
        }
        fn sync_folder(&mut self, path: &Path) -> io::Result<()> {
            self.step("sync_folder")?;
            RealDisk.sync_folder(path)
        }
        fn remove(&mut self, path: &Path) -> io::Result<()> {
            self.step("remove")?;
            RealDisk.remove(path)
        }
    }

    fn open_troubled(dir: &Path, trouble: Trouble) -> (FileArchive, Done) {
        let done = Done::default();
        let disk = TroubledDisk {
            trouble,
            done: Arc::clone(&done),
        };
        let archive = FileArchive {
            places: Places::new(dir, Layout::Flat),
            mode: 0o600,
            disk: Box::new(disk),
            _lock: None,
        };
        (archive, done)
    }

    /// The steps of a batch: make, write, sync and rename for each of four, then the folder's sync.
    const STEPS: usize = 4 * 4 + 1;
    const FLEET: [&str; 4] = ["csr1", "csr2", "csr3", "csr4"];

    fn fleet(bytes: &[u8]) -> Vec<Put> {
        FLEET.iter().map(|name| put(name, bytes)).collect()
    }

    #[test]
    fn new_changed_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = open(&dir.path().join("a/b"));
        let file = dir.path().join("a/b/csr1.cfg");
        let first = put_one(&mut archive, put("csr1", OLD)).unwrap();
        assert_eq!(first.kind, StoredKind::New);
        assert_eq!(fs::read(&file).unwrap(), OLD);
        let second = put_one(&mut archive, put("csr1", NEW)).unwrap();
        assert_eq!(second.kind, StoredKind::Changed);
        let one_line = Lines {
            added: 1,
            removed: 1,
        };
        assert_eq!((first.lines, second.lines), (None, Some(one_line)));
        assert_eq!(fs::read(&file).unwrap(), NEW);
        let inode = fs::metadata(&file).unwrap().ino();
        let third = put_one(&mut archive, put("csr1", NEW)).unwrap();
        assert_eq!(third.kind, StoredKind::Unchanged);
        assert_eq!(fs::metadata(&file).unwrap().ino(), inode);
        assert_eq!(third.sha256, second.sha256);
        assert_eq!(names(&dir.path().join("a/b")), ["csr1.cfg"]);
    }

    #[test]
    fn volatile_lines_are_kept_but_are_no_change() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = open(dir.path());
        let early = b"! Last configuration change at 10:00\nhostname csr1\nend\n";
        let late = b"! Last configuration change at 9:00\nhostname csr1\nend\n";
        put_one(&mut archive, put("csr1", early)).unwrap();
        let stored = put_one(&mut archive, put("csr1", late)).unwrap();
        assert_eq!(stored.kind, StoredKind::Unchanged);
        assert_eq!(fs::read(dir.path().join("csr1.cfg")).unwrap(), early);
        assert_eq!(stored.bytes, early.len() as u64);
        assert_eq!(stored.sha256, <[u8; 32]>::from(Sha256::digest(early)));
    }

    #[test]
    fn files_have_the_mode_of_the_settings() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o640, 0o666] {
            let folder = dir.path().join(format!("{mode:o}"));
            let mut archive = FileArchive::open(&folder, Layout::ByGroup, mode).unwrap();
            put_one(&mut archive, put_in("core", "csr1", OLD)).unwrap();
            let file = folder.join("core/csr1.cfg");
            let permissions = fs::metadata(&file).unwrap().permissions();
            assert_eq!(permissions.mode() & 0o7777, mode);
            let group = fs::metadata(folder.join("core")).unwrap().permissions();
            assert_eq!(group.mode() & 0o700, 0o700);
            assert_eq!(group.mode() & 0o7777 & !folder_mode(mode), 0);
        }
    }

    #[test]
    fn by_group_keeps_the_ungrouped_in_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = FileArchive::open(dir.path(), Layout::ByGroup, 0o600).unwrap();
        let batch = vec![put_in("core", "csr1", OLD), put("csr2", NEW)];
        assert!(archive.put(&batch).iter().all(Result::is_ok));
        assert_eq!(fs::read(dir.path().join("core/csr1.cfg")).unwrap(), OLD);
        assert_eq!(fs::read(dir.path().join("csr2.cfg")).unwrap(), NEW);
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        fs::write(&target, NEW).unwrap();
        let configs = dir.path().join("configs");
        let mut archive = open(&configs);
        symlink(&target, configs.join("csr1.cfg")).unwrap();
        let stored = put_one(&mut archive, put("csr1", NEW)).unwrap();
        assert_eq!(stored.kind, StoredKind::Changed);
        let there = fs::symlink_metadata(configs.join("csr1.cfg")).unwrap();
        assert!(there.is_file());
        assert!(target.exists());
    }

    #[test]
    fn a_folder_in_the_way_harms_only_its_own_entry() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = open(dir.path());
        fs::create_dir(dir.path().join("csr2.cfg")).unwrap();
        let results = archive.put(&[put("csr1", OLD), put("csr2", OLD), put("csr3", OLD)]);
        let error = results[1].as_ref().unwrap_err().to_string();
        assert!(
            error.contains("csr2.cfg") && error.contains("in the way"),
            "{error}"
        );
        assert!(results[0].is_ok() && results[2].is_ok());
        assert_eq!(names(dir.path()), ["csr1.cfg", "csr2.cfg", "csr3.cfg"]);
    }

    #[test]
    fn a_folder_that_cannot_be_used_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        let error = FileArchive::open(&file, Layout::Flat, 0o600).err().unwrap();
        assert!(error.to_string().contains("archive.dir"), "{error}");
    }

    #[test]
    fn opening_sweeps_what_a_crash_left_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("core");
        fs::create_dir(&group).unwrap();
        for folder in [dir.path(), &group] {
            let temp = unfinished::name(OsStr::new("csr1.cfg"), 1);
            fs::write(folder.join(temp), b"half").unwrap();
            fs::write(folder.join(".mine"), b"").unwrap();
        }
        let archive = FileArchive::open(dir.path(), Layout::ByGroup, 0o600).unwrap();
        assert_eq!(names(dir.path()), [".mine", "core"]);
        assert_eq!(names(&group), [".mine"]);
        drop(archive);
    }

    #[test]
    fn a_second_archive_leaves_the_files_of_the_first_alone() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path());
        let temp = unfinished::name(OsStr::new("csr1.cfg"), 1);
        fs::write(dir.path().join(&temp), b"in the making").unwrap();
        let second = open(dir.path());
        assert_eq!(names(dir.path()), [temp]);
        drop((first, second));
        drop(open(dir.path()));
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn nothing_is_renamed_before_all_is_synced_and_the_folder_comes_last() {
        let dir = tempfile::tempdir().unwrap();
        let (mut archive, done) = open_troubled(dir.path(), Trouble::From(usize::MAX));
        archive.put(&fleet(NEW));
        let mut wanted = ["create", "write"].repeat(4);
        wanted.extend(["sync"; 4]);
        wanted.extend(["rename"; 4]);
        wanted.push("sync_folder");
        assert_eq!(*done.lock().unwrap(), wanted);
    }

    #[test]
    fn killed_at_any_step_leaves_each_file_old_or_new() {
        for step in 0..=STEPS {
            let dir = tempfile::tempdir().unwrap();
            open(dir.path()).put(&fleet(OLD));
            let (mut archive, done) = open_troubled(dir.path(), Trouble::From(step));
            let results = archive.put(&fleet(NEW));
            if step == STEPS {
                assert_eq!(done.lock().unwrap().len(), STEPS);
                assert!(results.iter().all(Result::is_ok));
            } else {
                assert!(results.iter().any(Result::is_err), "step {step}");
            }
            drop(archive);
            let mut archive = open(dir.path());
            assert_eq!(names(dir.path()), FLEET.map(|name| format!("{name}.cfg")));
            for (name, result) in FLEET.iter().zip(&results) {
                let bytes = fs::read(dir.path().join(format!("{name}.cfg"))).unwrap();
                assert!(
                    bytes == NEW || bytes == OLD && result.is_err(),
                    "{step} {name}"
                );
            }
            assert!(archive.put(&fleet(NEW)).iter().all(Result::is_ok));
        }
    }

    #[test]
    fn one_failing_step_harms_one_entry_and_leaves_no_temporary_file() {
        for step in 0..STEPS - 1 {
            let dir = tempfile::tempdir().unwrap();
            open(dir.path()).put(&fleet(OLD));
            let (mut archive, _) = open_troubled(dir.path(), Trouble::At(step));
            let results = archive.put(&fleet(NEW));
            let failed: Vec<_> = results.iter().filter_map(|r| r.as_ref().err()).collect();
            assert_eq!(failed.len(), 1, "step {step}");
            let told = failed[0].to_string();
            assert!(told.contains("make room"), "{told}");
            assert_eq!(names(dir.path()), FLEET.map(|name| format!("{name}.cfg")));
            for (name, result) in FLEET.iter().zip(&results) {
                let bytes = fs::read(dir.path().join(format!("{name}.cfg"))).unwrap();
                assert_eq!(
                    bytes,
                    if result.is_ok() { NEW } else { OLD },
                    "{step} {name}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_answered_well_when_the_folder_does_not_sync() {
        let dir = tempfile::tempdir().unwrap();
        let (mut archive, _) = open_troubled(dir.path(), Trouble::At(STEPS - 1));
        let results = archive.put(&fleet(NEW));
        assert!(results.iter().all(Result::is_err));
        assert!(names(dir.path()).iter().all(|name| !name.starts_with('.')));
    }

    fn weak(name: &str, bytes: &[u8]) -> Put {
        Put {
            config: Config::proven(bytes.to_vec(), Proof::Weak),
            ..put(name, bytes)
        }
    }

    #[test]
    fn a_weakly_proven_config_that_shrank_is_kept_aside_until_it_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = open(dir.path());
        let (long, short) = ([b'x'; 1000], [b'x'; 499]);
        put_one(&mut archive, weak("nx1", &long)).unwrap();
        for _ in 0..2 {
            let refused = put_one(&mut archive, weak("nx1", &short)).unwrap_err();
            assert_eq!(refused.kind(), crate::model::failure::FailureKind::Unproven);
            let told = refused.to_string();
            for part in ["499", "1000", ".held/nx1.cfg", "wrmem accept nx1"] {
                assert!(told.contains(part), "{told}");
            }
            assert_eq!(fs::read(dir.path().join("nx1.cfg")).unwrap(), long);
        }
        let held = dir.path().join(".held/nx1.cfg");
        assert_eq!(fs::read(&held).unwrap(), short);
        assert_eq!(
            fs::metadata(&held).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(names(&dir.path().join(".held")), ["nx1.cfg"]);
        let places = Places::new(dir.path(), Layout::Flat);
        let name = DeviceName::new("nx1").unwrap();
        assert_eq!(places.all_held().unwrap(), std::slice::from_ref(&name));
        let bytes = places.held_config(&name).unwrap().unwrap();
        let accepted = Put {
            config: Config::proven(bytes, Proof::Accepted),
            ..put("nx1", b"")
        };
        let stored = put_one(&mut archive, accepted).unwrap();
        assert_eq!(stored.kind, StoredKind::Changed);
        assert_eq!(fs::read(dir.path().join("nx1.cfg")).unwrap(), short);
        assert!(places.all_held().unwrap().is_empty());
        put_one(&mut archive, weak("nx1", &short)).unwrap();
    }

    #[test]
    fn what_was_kept_aside_goes_when_a_good_config_comes() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = open(dir.path());
        let long = [b'x'; 1000];
        put_one(&mut archive, weak("nx1", &long)).unwrap();
        assert!(put_one(&mut archive, weak("nx1", b"short\n")).is_err());
        let stored = put_one(&mut archive, weak("nx1", &long)).unwrap();
        assert_eq!(stored.kind, StoredKind::Unchanged);
        assert!(names(&dir.path().join(".held")).is_empty());
    }

    #[test]
    fn a_new_device_and_a_strong_proof_are_not_held_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = open(dir.path());
        assert!(put_one(&mut archive, weak("nx1", b"short\n")).is_ok());
        assert!(put_one(&mut archive, put("nx2", &[b'x'; 1000])).is_ok());
        assert!(put_one(&mut archive, put("nx2", b"short\n")).is_ok());
        assert_eq!(names(dir.path()), ["nx1.cfg", "nx2.cfg"]);
    }

    #[test]
    fn what_a_device_says_besides_is_kept_beside_its_config() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = FileArchive::open(dir.path(), Layout::ByGroup, 0o600).unwrap();
        let with = |info: &str| Put {
            info: Some(Info::new(info.as_bytes().to_vec())),
            ..put_in("core", "csr1", OLD)
        };
        put_one(&mut archive, with("! show version\nXE 17\n")).unwrap();
        let file = dir.path().join("core/csr1.info.txt");
        assert_eq!(fs::read(&file).unwrap(), b"! show version\nXE 17\n");
        let meta = fs::metadata(&file).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        let again = put_one(&mut archive, with("! show version\nXE 17\n")).unwrap();
        assert_eq!(again.kind, StoredKind::Unchanged);
        assert_eq!(fs::metadata(&file).unwrap().ino(), meta.ino(), "untouched");
        put_one(&mut archive, with("! show version\nXE 18\n")).unwrap();
        assert_ne!(fs::metadata(&file).unwrap().ino(), meta.ino());
        put_one(&mut archive, put_in("core", "csr1", NEW)).unwrap();
        assert!(file.exists(), "nothing was asked for: what is there stays");
    }

    #[test]
    fn what_is_kept_beside_a_config_never_costs_the_config() {
        // Make and write the config, then the same for the info, then two syncs and two renames.
        for step in [2, 3, 5, 7] {
            let dir = tempfile::tempdir().unwrap();
            let (mut archive, _) = open_troubled(dir.path(), Trouble::At(step));
            let with_info = Put {
                info: Some(Info::new(b"XE 17\n".to_vec())),
                ..put("csr1", NEW)
            };
            let stored = put_one(&mut archive, with_info).unwrap();
            assert!(stored.notes[0].contains("not kept"), "{:?}", stored.notes);
            assert_eq!(names(dir.path()), ["csr1.cfg"], "step {step}");
        }
    }

    #[test]
    fn a_batch_larger_than_a_chunk_keeps_its_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = open(dir.path());
        let bytes = |at: usize| format!("hostname r{at}\nend\n").into_bytes();
        let batch: Vec<_> = (0..3 * CHUNK + 1)
            .map(|at| put(&format!("r{at}"), &bytes(at)))
            .collect();
        let results = archive.put(&batch);
        assert_eq!(results.len(), 3 * CHUNK + 1);
        for (at, result) in results.iter().enumerate() {
            let wanted = stored(StoredKind::New, &bytes(at));
            assert_eq!(result.as_ref().unwrap(), &wanted);
            let there = fs::read(dir.path().join(format!("r{at}.cfg"))).unwrap();
            assert_eq!(there, bytes(at));
        }
    }
}
