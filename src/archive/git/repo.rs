//! A bare repository: opened or made, and read.

use super::super::ArchiveError;
use super::super::places::{failed_in, folder_mode};
use crate::model::durable::{Step, Watch};
use crate::model::version::ObjectId;
use gix::odb::store::init::Slots;
use gix::refs::FullName;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Our own folder within the repository; git does not look into it.
const OWN_FOLDER: &str = "wrmem";

/// So many packs may come before the repository has to be opened anew: gix has room for so many as
/// it is told when it opens one, and fails to read anything once there are more.
const SPARE: usize = 4_096;

/// gix cannot do with more.
const PACKS_MAX: usize = (1 << 15) - 1;

/// A bare repository and the branch that its HEAD names.
pub(super) struct Repo {
    pub(super) git: gix::Repository,
    pub(super) branch: FullName,
    pub(super) dir: PathBuf,
    /// How many packs there is room for.
    pub(super) room: usize,
}

impl Repo {
    /// Opens the repository in `dir`, or makes it where there is none, with the folder's permission
    /// bits from `mode`.
    pub(super) fn open_or_make(
        dir: &Path,
        mode: u32,
        watch: &dyn Watch,
    ) -> Result<Self, ArchiveError> {
        if is_free(dir)? {
            sweep(dir);
            make(dir, mode, watch)?;
        }
        let repo = Self::open(dir)?;
        let own = repo.own_folder();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&own)
            .map_err(|error| failed(&own, "make wrmem's folder in the repository", &error))?;
        Ok(repo)
    }

    /// Opens the repository in `dir`.
    pub(super) fn open(dir: &Path) -> Result<Self, ArchiveError> {
        let action = "open the git repository";
        let room = (packs(dir) + SPARE).min(PACKS_MAX);
        let options = gix::open::Options::isolated()
            .with(gix::sec::Trust::Full)
            .object_store_slots(Slots::Given(u16::try_from(room).unwrap_or(u16::MAX)))
            .open_path_as_is(true);
        let git = gix::open_opts(dir, options).map_err(|error| told(dir, action, &error))?;
        let refused = |reason: &str| ArchiveError {
            path: dir.to_owned(),
            action,
            reason: reason.to_owned(),
        };
        if !git.is_bare() {
            return Err(refused(
                "it is not a bare one; set archive.git_dir to a folder that does not exist yet",
            ));
        }
        let branch = git
            .head_name()
            .map_err(|error| told(dir, "read HEAD of the git repository", &error))?
            .ok_or_else(|| {
                refused("its HEAD names no branch; mend it with `git symbolic-ref HEAD refs/heads/main`")
            })?;
        Ok(Self {
            git,
            branch,
            dir: dir.to_owned(),
            room,
        })
    }

    /// Opens it anew where there may soon be more packs than it has room for.
    pub(super) fn make_room(&mut self) -> Result<(), ArchiveError> {
        if packs(&self.dir) + SPARE / 2 > self.room && self.room < PACKS_MAX {
            let fresh = Self::open(&self.dir)?;
            self.git = fresh.git;
            self.room = fresh.room;
        }
        Ok(())
    }

    pub(super) fn own_folder(&self) -> PathBuf {
        self.dir.join(OWN_FOLDER)
    }

    pub(super) fn index_file(&self) -> PathBuf {
        index_file(&self.dir)
    }

    pub(super) fn objects_folder(&self) -> PathBuf {
        self.dir.join("objects")
    }

    /// The newest commit; `None` in an empty repository.
    pub(super) fn tip(&self) -> Result<Option<gix::ObjectId>, ArchiveError> {
        let found = self.git.try_find_reference(self.branch.as_ref());
        let found = found.map_err(|error| self.told("read the branch", &error))?;
        Ok(found.and_then(|branch| branch.target().try_id().map(ToOwned::to_owned)))
    }

    /// The content of an object of `kind`; `None` where it is not there.
    pub(super) fn read(
        &self,
        id: gix::ObjectId,
        kind: gix::objs::Kind,
    ) -> Result<Option<Vec<u8>>, ArchiveError> {
        let found = self.git.try_find_object(id);
        let found = found.map_err(|error| self.told("read an object", &error))?;
        match found {
            Some(mut object) if object.kind == kind => Ok(Some(std::mem::take(&mut object.data))),
            Some(_) => Err(self.damaged(format!("{id} is not a {kind}"))),
            None => Ok(None),
        }
    }

    /// The content of an object of `kind`.
    pub(super) fn need(
        &self,
        id: gix::ObjectId,
        kind: gix::objs::Kind,
    ) -> Result<Vec<u8>, ArchiveError> {
        self.read(id, kind)?
            .ok_or_else(|| self.damaged(format!("the {kind} {id} is missing")))
    }

    /// What git said, with our own action.
    pub(super) fn told(&self, action: &'static str, error: &gix::Error) -> ArchiveError {
        told(&self.dir, action, error)
    }

    pub(super) fn damaged(&self, what: String) -> ArchiveError {
        ArchiveError {
            path: self.dir.clone(),
            action: "read the git repository",
            reason: format!("{what}; look with `git fsck`"),
        }
    }
}

/// How many packs the repository in `dir` has.
pub(super) fn packs(dir: &Path) -> usize {
    let listed = fs::read_dir(dir.join("objects/pack")).into_iter().flatten();
    let names = listed.filter_map(|entry| Some(PathBuf::from(entry.ok()?.file_name())));
    let packs = names.filter(|name| name.extension().is_some_and(|kind| kind == "pack"));
    packs.count()
}

/// Where the index of versions is in the repository at `dir`.
pub(super) fn index_file(dir: &Path) -> PathBuf {
    dir.join(OWN_FOLDER).join("versions.db")
}

/// From gix's kind of id to ours.
pub(super) fn plain(id: gix::ObjectId) -> ObjectId {
    let mut bytes = [0; 20];
    for (byte, of_id) in bytes.iter_mut().zip(id.as_slice()) {
        *byte = *of_id;
    }
    ObjectId::from_bytes(bytes)
}

/// From our kind of id to gix's.
pub(super) fn native(id: &ObjectId) -> gix::ObjectId {
    gix::ObjectId::Sha1(*id.as_bytes())
}

/// What gix said: the system's own word where there is one, with advice.
pub(super) fn told(path: &Path, action: &'static str, error: &gix::Error) -> ArchiveError {
    match error.downcast_any_ref::<io::Error>() {
        Some(system) => failed(path, action, system),
        None => ArchiveError {
            path: path.to_owned(),
            action,
            reason: format!("{:#}", error.probable_cause()),
        },
    }
}

/// What the system said about the repository, and what helps.
pub(super) fn failed(path: &Path, action: &'static str, error: &io::Error) -> ArchiveError {
    failed_in("archive.git_dir", path, action, error)
}

/// Whether a repository can be made there: nothing is there, or an empty folder.
fn is_free(dir: &Path) -> Result<bool, ArchiveError> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(failed(dir, "look for the git repository", &error)),
    }
}

/// Makes a repository beside its place and puts it there at once, so that none is ever half made.
fn make(dir: &Path, mode: u32, watch: &dyn Watch) -> Result<(), ArchiveError> {
    let action = "make the git repository";
    let io_failed = |error: io::Error| failed(dir, action, &error);
    let above = above(dir);
    fs::create_dir_all(above).map_err(io_failed)?;
    let place = tempfile::Builder::new()
        .prefix(&unfinished(dir))
        .tempdir_in(above)
        .map_err(io_failed)?;
    // Locked as long as it is in the making.
    let lock = File::open(place.path()).map_err(io_failed)?;
    lock.lock().map_err(io_failed)?;
    let fresh = place.path().join("repository");
    DirBuilder::new()
        .mode(folder_mode(mode))
        .create(&fresh)
        .map_err(io_failed)?;
    gix::ThreadSafeRepository::init_opts(
        &fresh,
        gix::create::Kind::Bare,
        gix::create::Options::default(),
        gix::open::Options::isolated(),
    )
    .map_err(|error| told(dir, action, &error))?;
    let folder = File::open(&fresh).map_err(io_failed)?;
    rustix::fs::syncfs(&folder).map_err(|error| io_failed(error.into()))?;
    watch.passed(Step::RepositoryMade);
    fs::rename(&fresh, dir).map_err(io_failed)?;
    watch.passed(Step::RepositoryPlaced);
    File::open(above)
        .and_then(|folder| folder.sync_all())
        .map_err(io_failed)
}

/// Removes what a crash left of a repository in the making, where no living process makes it.
pub(super) fn sweep(dir: &Path) {
    let unfinished = unfinished(dir);
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.starts_with(unfinished.as_encoded_bytes())
    };
    let entries = fs::read_dir(above(dir)).into_iter().flatten();
    let entries = entries.filter_map(|entry| Some(entry.ok()?.path()));
    for path in entries.filter(ours) {
        let free = File::open(&path).is_ok_and(|folder| folder.try_lock().is_ok());
        if free && fs::remove_dir_all(&path).is_ok() {
            log::info!("{}: removed an unfinished repository", path.display());
        }
    }
}

/// How the name begins under which the repository for `dir` is made.
fn unfinished(dir: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(dir.file_name().unwrap_or_default());
    name.push(".wrmem-tmp");
    name
}

fn above(dir: &Path) -> &Path {
    match dir.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    }
}
