//! Writing objects so that they are on the disk when it is answered.
//!
//! gix syncs nothing. A few objects become loose ones, each synced; many become one pack, which is
//! synced in a folder of its own before it is put beside the others. Medians for contents of 8 KB on
//! ext4, 10 / 100 / 1,000 of them: loose and synced one by one 4.2 / 40 / 630 ms, loose and `syncfs`
//! 1.4 / 15 / 196 ms, one pack 1.4 / 4.5 / 38 ms (docs/adr/0012).

use super::super::ArchiveError;
use super::repo::{Repo, failed, told};
use crate::model::durable::{Step, Watch};
use gix::objs::{Kind, Write as _};
use gix_pack::data::output;
use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// From so many new objects on they become a pack.
const PACK_FROM: usize = 8;

/// Where packs are made, in our own folder of the repository.
const INCOMING: &str = "incoming";

/// An object to be written.
pub(super) struct Object {
    pub(super) kind: Kind,
    pub(super) id: gix::ObjectId,
    pub(super) bytes: Vec<u8>,
}

impl Object {
    pub(super) fn new(repo: &Repo, kind: Kind, bytes: Vec<u8>) -> Result<Self, ArchiveError> {
        let id = id_of(repo, kind, &bytes)?;
        Ok(Self { kind, id, bytes })
    }
}

/// The id that an object with this content has.
pub(super) fn id_of(repo: &Repo, kind: Kind, bytes: &[u8]) -> Result<gix::ObjectId, ArchiveError> {
    gix::objs::compute_hash(repo.git.object_hash(), kind, bytes)
        .map_err(|error| repo.told("name an object", &error))
}

/// Makes `objects` durable and tells of the two steps.
pub(super) fn write(
    repo: &Repo,
    objects: &[Object],
    watch: &dyn Watch,
    steps: [Step; 2],
) -> Result<(), ArchiveError> {
    let [written, synced] = steps;
    let mut loose = Loose::default();
    let mut fresh = Vec::new();
    for object in objects {
        match repo.read(object.id, object.kind) {
            // A crash may have kept an earlier writer from syncing it.
            Ok(Some(bytes)) if bytes == object.bytes => loose.touch(repo, object.id),
            // What is there and cannot be read is replaced.
            Ok(_) | Err(_) => fresh.push(object),
        }
    }
    if fresh.len() >= PACK_FROM {
        let pack = Pack::make(repo, &fresh, watch)?;
        pack.put_in_place(watch)?;
        watch.passed(written);
        pack.sync_folder()?;
    } else {
        for object in fresh {
            write_loose(repo, object)?;
            watch.passed(Step::ObjectWritten);
            loose.touch(repo, object.id);
        }
        watch.passed(written);
    }
    loose.sync()?;
    watch.passed(synced);
    Ok(())
}

/// Writes a loose object. `git gc` removes a folder of them that it has just emptied, maybe in the
/// moment in which one is to be put there.
fn write_loose(repo: &Repo, object: &Object) -> Result<(), ArchiveError> {
    let write = || repo.git.objects.write_buf(object.kind, &object.bytes);
    let written = write().or_else(|_| write()).or_else(|_| write());
    written
        .map(|_| ())
        .map_err(|error| repo.told("write an object", &error))
}

/// Removes what a crash left where packs are made, and gix's unfinished loose objects.
pub(super) fn sweep(repo: &Repo) {
    let incoming = repo.own_folder().join(INCOMING);
    let objects = repo.objects_folder();
    let unfinished = entries(&objects).filter(|path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.starts_with(b".tmp") && path.is_file()
    });
    let swept = entries(&incoming)
        .chain(unfinished)
        .filter(|path| fs::remove_file(path).is_ok())
        .count();
    if swept > 0 {
        log::info!(
            "{}: removed {swept} unfinished files of an interrupted run",
            repo.dir.display()
        );
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

/// Loose objects that are to be synced.
#[derive(Default)]
struct Loose {
    files: Vec<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

impl Loose {
    fn touch(&mut self, repo: &Repo, id: gix::ObjectId) {
        let digits = id.to_hex().to_string();
        let (folder, name) = digits.split_at(2);
        let folder = repo.objects_folder().join(folder);
        let file = folder.join(name);
        // One that is in a pack only was synced with the pack.
        if file.exists() {
            self.files.push(file);
            self.folders.insert(folder);
            self.folders.insert(repo.objects_folder());
        }
    }

    fn sync(&self) -> Result<(), ArchiveError> {
        for path in self.files.iter().chain(&self.folders) {
            match File::open(path).and_then(|file| file.sync_all()) {
                // `git gc` has moved it into a pack, which it synced.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(path, "sync it to the disk", &error)),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

/// Waits until a file or a folder is on the disk.
pub(super) fn sync(path: &Path) -> Result<(), ArchiveError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| failed(path, "sync it to the disk", &error))
}

/// A pack with its index, synced, not yet beside the others.
struct Pack {
    files: [PathBuf; 2],
    folder: PathBuf,
}

impl Pack {
    fn make(repo: &Repo, objects: &[&Object], watch: &dyn Watch) -> Result<Self, ArchiveError> {
        let incoming = repo.own_folder().join(INCOMING);
        let io_failed = |error: io::Error| failed(&incoming, "make a pack", &error);
        let git_failed = |error: gix::Error| told(&incoming, "make a pack", &error);
        fs::create_dir_all(&incoming).map_err(io_failed)?;
        let bytes = pack_of(repo, objects).map_err(git_failed)?;
        let made = gix_pack::Bundle::write_to_directory(
            &mut bytes.as_slice(),
            Some(&incoming),
            &mut gix::progress::Discard,
            &AtomicBool::new(false),
            None::<gix::objs::find::Never>,
            repo.git.object_hash(),
            gix_pack::bundle::write::Options {
                thread_limit: Some(1),
                ..Default::default()
            },
        )
        .map_err(git_failed)?;
        if let Some(keep) = made.keep_path {
            fs::remove_file(keep).map_err(io_failed)?;
        }
        let (Some(data), Some(index)) = (made.data_path, made.index_path) else {
            return Err(repo.damaged("a pack without objects was made".to_owned()));
        };
        watch.passed(Step::PackMade);
        for file in [&data, &index] {
            fs::set_permissions(file, Permissions::from_mode(0o444)).map_err(io_failed)?;
            sync(file)?;
        }
        Ok(Self {
            files: [data, index],
            folder: repo.objects_folder().join("pack"),
        })
    }

    /// The data first: a pack is there once its index is.
    fn put_in_place(&self, watch: &dyn Watch) -> Result<(), ArchiveError> {
        for file in &self.files {
            let place = self.folder.join(file.file_name().unwrap_or_default());
            fs::rename(file, &place)
                .map_err(|error| failed(&place, "put the new pack in its place", &error))?;
            watch.passed(Step::PackPlaced);
        }
        Ok(())
    }

    fn sync_folder(&self) -> Result<(), ArchiveError> {
        sync(&self.folder)
    }
}

/// The bytes of a pack with all of `objects`.
fn pack_of(repo: &Repo, objects: &[&Object]) -> Result<Vec<u8>, gix::Error> {
    let hash = repo.git.object_hash();
    let entries = objects.iter().map(|object| {
        let data = gix::objs::Data {
            kind: object.kind,
            object_hash: hash,
            data: &object.bytes,
        };
        let count = output::Count::from_data(object.id, None);
        let compression = gix::zlib::Compression::BEST_SPEED;
        output::Entry::from_data(&count, &data, compression).map(|entry| vec![entry])
    });
    let count = u32::try_from(objects.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::new();
    let version = gix_pack::data::Version::V2;
    for written in output::bytes::FromEntriesIter::new(entries, &mut bytes, count, version, hash) {
        written?;
    }
    Ok(bytes)
}
