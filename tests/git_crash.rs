//! The archive of files and git under `kill -9`, after each of its steps: what the next start finds
//! and makes of it.
//!
//! Each test runs this binary again as a child, which kills itself at the wanted step. That shows
//! what an ended process leaves behind; it does not show what a power cut does to a disk.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use wrmem::archive::both::FilesAndGit;
use wrmem::archive::files::FileArchive;
use wrmem::archive::git::watch::{Step, Unwatched, Watch};
use wrmem::archive::git::{GitArchive, GitOptions, GitReader, Since};
use wrmem::archive::places::Places;
use wrmem::archive::versions::VersionIndex;
use wrmem::archive::{Archive, ArchiveError, LastGood, Put};
use wrmem::model::config::{Config, Info, Layout, Proof};
use wrmem::model::device::DeviceName;
use wrmem::model::platform::Platform;
use wrmem::model::version::{ObjectId, Version};
use wrmem::state::versions::VersionStore;

/// Tells the child where to work, at which step to die, and with which kinds of archive.
const DIR: &str = "WRMEM_CRASH_DIR";
const STEP: &str = "WRMEM_CRASH_STEP";
const KIND: &str = "WRMEM_CRASH_KIND";

/// Enough for a pack; the last one has two versions in a row.
const FLEET: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Both,
    Git,
}

/// Kills the process the `count`th time that a step is done.
struct Dies {
    at: Step,
    count: usize,
}

impl Watch for Dies {
    fn passed(&mut self, step: Step) {
        if step != self.at {
            return;
        }
        self.count -= 1;
        if self.count == 0 {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
            // A signal to the own process is there before the call returns.
            panic!("not killed");
        }
    }
}

struct Index(VersionStore);

fn told<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, ArchiveError> {
    result.map_err(|error| panic!("{error}"))
}

impl VersionIndex for Index {
    fn head(&mut self) -> Result<Option<ObjectId>, ArchiveError> {
        told(self.0.head())
    }
    fn extend(&mut self, versions: &[Version], head: ObjectId) -> Result<(), ArchiveError> {
        told(self.0.extend(versions, head))
    }
    fn clear(&mut self) -> Result<(), ArchiveError> {
        told(self.0.clear())
    }
}

struct World {
    dir: PathBuf,
    kind: Kind,
}

impl World {
    fn new(dir: &Path, kind: Kind) -> Self {
        Self {
            dir: dir.to_owned(),
            kind,
        }
    }

    fn git_dir(&self) -> PathBuf {
        self.dir.join("configs.git")
    }

    fn places(&self) -> Places {
        Places::new(&self.dir.join("configs"), Layout::Flat)
    }

    fn reader(&self) -> GitReader {
        GitReader::new(self.git_dir(), Layout::Flat)
    }

    fn open(&self, watch: Box<dyn Watch>) -> Box<dyn Archive> {
        let options = GitOptions {
            dir: self.git_dir(),
            layout: Layout::Flat,
            aside: self.places(),
            mode: 0o600,
        };
        let index = |path: &Path| -> Box<dyn VersionIndex> {
            Box::new(Index(VersionStore::open(path).unwrap()))
        };
        if self.kind == Kind::Git {
            return Box::new(GitArchive::open(&options, index, watch, None).unwrap());
        }
        let (dir, places) = (self.dir.join("configs"), self.places());
        let files = FileArchive::open(&dir, Layout::Flat, 0o600).unwrap();
        let git = GitArchive::open(&options, index, watch, Some(&places)).unwrap();
        Box::new(FilesAndGit::new(files, places, git))
    }

    /// The last good config of a device, as a run would read it.
    fn last_good(&self, name: &str) -> Option<Vec<u8>> {
        let device = DeviceName::new(name).unwrap();
        match self.kind {
            Kind::Both => self.places().last_good(&device, None).unwrap(),
            Kind::Git => self.reader().last_good(&device, None).unwrap(),
        }
    }

    fn index(&self) -> VersionStore {
        let path = self.reader().index_file();
        VersionStore::open_for_reading(&path).unwrap().unwrap()
    }

    /// Files, repository and index tell the same.
    fn assert_agree(&self) {
        let said = git(&self.git_dir(), &["fsck", "--strict", "--no-dangling"]);
        assert_eq!(said.unwrap_or_default(), "");
        let tip = self.reader().tip().unwrap();
        let index = self.index();
        assert_eq!(index.head().unwrap(), tip, "the index is up to date");
        let Since::More(anew) = self.reader().since(None).unwrap() else {
            panic!("there is nothing to forget");
        };
        for name in names() {
            let listed = index.versions(&name).unwrap();
            let mut of_device: Vec<_> = anew
                .iter()
                .filter(|version| version.device.as_str() == name)
                .cloned()
                .collect();
            of_device.reverse();
            assert_eq!(listed, of_device, "{name}: what is listed is what is there");
            let newest = listed
                .first()
                .map(|v| self.reader().content(&v.blob).unwrap());
            assert_eq!(
                newest,
                self.last_good(&name),
                "{name}: the newest version is the last good"
            );
        }
        let own = self.git_dir().join("wrmem");
        assert_eq!(
            std::fs::read(own.join("journal")).unwrap(),
            b"",
            "nothing is left to do"
        );
        let branch = self.git_dir().join("refs/heads/main.lock");
        assert!(!branch.exists(), "no lock is left");
    }
}

fn git(dir: &Path, args: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.envs(std::env::vars().filter(|(name, _)| name == "PATH"));
    command
        .arg("-C")
        .arg(dir)
        .args(["-c", "safe.directory=*"])
        .args(args);
    let Ok(output) = command.output() else {
        eprintln!("SKIPPED: git is not installed, so its view of the repository is not tested");
        return None;
    };
    let said = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {said}{err}");
    Some(format!("{said}{err}"))
}

fn names() -> Vec<String> {
    (0..FLEET).map(|n| format!("csr{n}")).collect()
}

fn config(name: &str, edition: usize) -> Vec<u8> {
    format!("hostname {name}\nsnmp-server location {edition}\nend\n").into_bytes()
}

fn put(name: &str, edition: usize) -> Put {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_428_000 + edition as u64);
    Put {
        device: DeviceName::new(name).unwrap(),
        group: None,
        platform: Arc::new(Platform::default()),
        config: Config::proven(config(name, edition), Proof::Marker),
        info: Some(Info::new(
            format!("software {}\n", edition / 10).into_bytes(),
        )),
        taken: now,
        run: now,
    }
}

/// One run: the whole fleet in one batch, then one device once more by itself, then the commit.
fn run(archive: &mut dyn Archive, edition: usize) {
    let fleet: Vec<Put> = names().iter().map(|name| put(name, edition)).collect();
    for result in archive.put(&fleet) {
        result.unwrap();
    }
    archive.put(&[put("csr0", edition + 1)]).remove(0).unwrap();
    archive.commit().unwrap();
}

#[test]
#[ignore = "the child of the other tests"]
fn child() {
    let (Ok(dir), Ok(step), Ok(kind)) =
        (std::env::var(DIR), std::env::var(STEP), std::env::var(KIND))
    else {
        return;
    };
    let (at, count) = step.split_once(' ').unwrap();
    let at = Step::ALL
        .into_iter()
        .find(|step| format!("{step:?}") == at)
        .unwrap();
    let kind = if kind == "Git" { Kind::Git } else { Kind::Both };
    let dies = Dies {
        at,
        count: count.parse().unwrap(),
    };
    let mut archive = World::new(Path::new(&dir), kind).open(Box::new(dies));
    run(archive.as_mut(), 10);
    std::fs::write(Path::new(&dir).join("survived"), "").unwrap();
}

/// Runs the child until it is dead; whether it died at that step and not at its end.
fn kill_at(world: &World, step: Step, count: usize) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(DIR, &world.dir)
        .env(STEP, format!("{step:?} {count}"))
        .env(KIND, format!("{:?}", world.kind))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let output = command.output().unwrap();
    let survived = world.dir.join("survived").exists();
    let said = String::from_utf8_lossy(&output.stderr);
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(output.status.signal(), (!survived).then_some(9), "{said}");
    !survived
}

/// Kills a run at the step, lets the next start mend, and looks; then makes the same run again.
fn check(kind: Kind, step: Step, count: usize) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), kind);
    run(world.open(Box::new(Unwatched)).as_mut(), 1);
    let before = world.reader().tip().unwrap();
    if !kill_at(&world, step, count) {
        return false;
    }
    for name in names() {
        let held = world.last_good(&name).unwrap();
        let whole = [1, 2, 10, 11].map(|edition| config(&name, edition));
        assert!(
            whole.contains(&held),
            "{kind:?} {step:?}: {name} has its last good config"
        );
    }
    drop(world.open(Box::new(Unwatched)));
    world.assert_agree();
    if step != Step::Noted && step != Step::FilesPut && !(kind == Kind::Git && count == 1) {
        assert_ne!(
            world.reader().tip().unwrap(),
            before,
            "{step:?}: what was stored is a version"
        );
    }
    run(world.open(Box::new(Unwatched)).as_mut(), 10);
    world.assert_agree();
    for name in names() {
        let editions: Vec<_> = world
            .index()
            .versions(&name)
            .unwrap()
            .iter()
            .map(|version| world.reader().content(&version.blob).unwrap())
            .collect();
        let mut wanted = match name.as_str() {
            "csr0" => vec![1, 2, 10, 11],
            _ => vec![1, 10],
        };
        wanted.reverse();
        let mut wanted: Vec<_> = wanted
            .into_iter()
            .map(|edition| config(&name, edition))
            .collect();
        // The device had its newest config already when the run was made again: there and back.
        if name == "csr0" && editions.len() > wanted.len() {
            wanted = [11, 10, 11, 10, 2, 1]
                .map(|edition| config(&name, edition))
                .to_vec();
        }
        let shown = |all: &[Vec<u8>]| String::from_utf8(all.concat()).unwrap();
        assert_eq!(
            shown(&editions),
            shown(&wanted),
            "{kind:?} {step:?} {count}: {name}: none lost, none doubled"
        );
    }
    true
}

fn check_all(kind: Kind, steps: &[Step]) {
    for step in steps {
        let mut died = 0;
        // The steps of storing come for each batch.
        for count in 1.. {
            if !check(kind, *step, count) {
                break;
            }
            died += 1;
        }
        assert!(died > 0, "{kind:?}: the run has the step {step:?}");
    }
}

#[test]
fn files_and_git_survive_a_kill_while_configs_are_stored() {
    check_all(Kind::Both, &Step::ALL[..4]);
}

#[test]
fn files_and_git_survive_a_kill_while_they_are_committed() {
    check_all(Kind::Both, &Step::ALL[4..]);
}

#[test]
fn git_alone_survives_a_kill_while_configs_are_stored() {
    check_all(
        Kind::Git,
        &[Step::Noted, Step::ContentsWritten, Step::ContentsSynced],
    );
}

#[test]
fn git_alone_survives_a_kill_while_it_is_committed() {
    check_all(Kind::Git, &Step::ALL[4..]);
}

#[test]
fn a_kill_while_the_last_kill_is_mended_is_mended_too() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), Kind::Both);
    run(world.open(Box::new(Unwatched)).as_mut(), 1);
    assert!(kill_at(&world, Step::FilesPut, 2));
    // The child opens the archive first: it dies mending.
    for step in [Step::CommitsWritten, Step::BranchLocked, Step::BranchMoved] {
        assert!(kill_at(&world, step, 1));
    }
    drop(world.open(Box::new(Unwatched)));
    world.assert_agree();
    assert_eq!(world.last_good("csr0").unwrap(), config("csr0", 11));
    assert_eq!(world.last_good("csr5").unwrap(), config("csr5", 10));
}
