//! The archives, killed while they store and commit.

use super::{
    At, Scenario, alone, fresh_folder, kill_after_each, kill_at, scenarios as all_scenarios,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use wrmem::archive::both::FilesAndGit;
use wrmem::archive::files::FileArchive;
use wrmem::archive::git::{GitArchive, GitOptions, GitReader, Since};
use wrmem::archive::places::Places;
use wrmem::archive::versions::VersionIndex;
use wrmem::archive::{Archive, ArchiveError, LastGood, NotStored, Put};
use wrmem::model::config::{Config, Info, Layout, Proof};
use wrmem::model::device::{DeviceName, GroupName};
use wrmem::model::durable::{Step, Unwatched, Watch};
use wrmem::model::platform::Platform;
use wrmem::model::version::{ObjectId, Version};
use wrmem::state::versions::VersionStore;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Files,
    Git,
    Both,
}

/// What there was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    ARun,
}

/// A run of a fleet with an archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stores {
    kind: Kind,
    before: Before,
    layout: Layout,
    /// Enough for a pack, or too few.
    fleet: usize,
}

/// The archives that are killed.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    let large = |kind| Stores {
        kind,
        before: Before::ARun,
        layout: Layout::Flat,
        fleet: 12,
    };
    let small = |kind, before| Stores {
        kind,
        before,
        layout: Layout::ByGroup,
        fleet: 2,
    };
    vec![
        Box::new(large(Kind::Both)),
        Box::new(large(Kind::Git)),
        Box::new(small(Kind::Both, Before::Nothing)),
        Box::new(small(Kind::Git, Before::Nothing)),
        Box::new(small(Kind::Git, Before::ARun)),
        Box::new(small(Kind::Files, Before::Nothing)),
        Box::new(small(Kind::Files, Before::ARun)),
    ]
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

/// An archive in a folder, as its users find it.
pub(super) struct Kept {
    pub(super) dir: PathBuf,
    pub(super) layout: Layout,
}

impl Kept {
    fn git_dir(&self) -> PathBuf {
        self.dir.join("configs.git")
    }

    fn places(&self) -> Places {
        Places::new(&self.dir.join("configs"), self.layout)
    }

    pub(super) fn reader(&self) -> GitReader {
        GitReader::new(self.git_dir(), self.layout)
    }

    pub(super) fn index(&self) -> VersionStore {
        let path = self.reader().index_file();
        VersionStore::open_for_reading(&path).unwrap().unwrap()
    }

    /// The contents of a device's versions, newest first.
    pub(super) fn contents(&self, name: &str) -> Vec<Vec<u8>> {
        let versions = self.index().versions(name).unwrap();
        let content = |version: &Version| self.reader().content(&version.blob).unwrap();
        versions.iter().map(content).collect()
    }

    /// git finds nothing wrong, the index tells what the repository does, and nothing is left to do.
    pub(super) fn assert_sound(&self) {
        let said = git(&self.git_dir(), &["fsck", "--strict", "--no-dangling"]);
        let said = said.unwrap_or_default();
        let mut faults = said.lines().filter(|line| !line.starts_with("notice: "));
        assert_eq!(faults.next(), None);
        let tip = self.reader().tip().unwrap();
        let index = self.index();
        assert_eq!(index.head().unwrap(), tip, "the index is up to date");
        let anew = match self.reader().since(None).unwrap() {
            Since::More(anew) | Since::Everything(anew) => anew,
        };
        for device in index.devices().unwrap() {
            let listed = index.versions(device.as_str()).unwrap();
            let of_device = anew.iter().rev().filter(|one| one.device == device);
            let of_device: Vec<_> = of_device.cloned().collect();
            assert_eq!(listed, of_device, "{device}: what is listed is there");
        }
        let journal = std::fs::read(self.git_dir().join("wrmem/journal")).unwrap();
        assert_eq!(journal, b"", "nothing is left to do");
        let incoming = self.git_dir().join("wrmem/incoming");
        let packs = std::fs::read_dir(incoming).map_or(0, Iterator::count);
        assert_eq!(packs, 0, "no pack is left in the making");
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

/// The device whose short config is kept aside.
const WEAK: &str = "nx1";

fn config(name: &str, edition: usize) -> Vec<u8> {
    let text = format!("hostname {name}\nsnmp-server location {edition}\nend\n");
    let times = if name == WEAK { 10 } else { 1 };
    text.repeat(times).into_bytes()
}

fn put(name: &str, bytes: Vec<u8>, edition: usize) -> Put {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_428_000 + edition as u64);
    let proof = if name == WEAK {
        Proof::Weak
    } else {
        Proof::Marker
    };
    let info = Info::new(format!("software {}\n", edition / 10).into_bytes());
    Put {
        device: DeviceName::new(name).unwrap(),
        group: Some(group()),
        platform: Arc::new(Platform::default()),
        config: Config::proven(bytes, proof),
        info: (name != WEAK).then_some(info),
        taken: now,
        run: now,
    }
}

fn group() -> GroupName {
    GroupName::new("core").unwrap()
}

impl Stores {
    fn kept(self, dir: &Path) -> Kept {
        Kept {
            dir: dir.to_owned(),
            layout: self.layout,
        }
    }

    fn names(self) -> Vec<String> {
        let fleet = (0..self.fleet).map(|n| format!("csr{n}"));
        fleet.chain([WEAK.to_owned()]).collect()
    }

    fn open(self, dir: &Path, watch: &Arc<dyn Watch>) -> Box<dyn Archive> {
        let kept = self.kept(dir);
        let (configs, places) = (dir.join("configs"), kept.places());
        let watch = || Arc::clone(watch);
        let git = |places: Option<&Places>| {
            let options = GitOptions {
                dir: kept.git_dir(),
                layout: self.layout,
                aside: kept.places(),
                mode: 0o600,
            };
            let index = |path: &Path| -> Box<dyn VersionIndex> {
                let store = VersionStore::open(path).unwrap();
                Box::new(Index(store.watched(watch())))
            };
            GitArchive::open(&options, index, watch(), places).unwrap()
        };
        let files = || FileArchive::open_watched(&configs, self.layout, 0o600, watch()).unwrap();
        match self.kind {
            Kind::Files => Box::new(files()),
            Kind::Git => Box::new(git(None)),
            Kind::Both => {
                let files = files();
                let git = git(Some(&places));
                Box::new(FilesAndGit::new(files, places, git))
            }
        }
    }

    fn unwatched(self, dir: &Path) -> Box<dyn Archive> {
        self.open(dir, &(Arc::new(Unwatched) as Arc<dyn Watch>))
    }

    /// One run: the whole fleet in one batch, then one device once more by itself, then the commit.
    /// The config of one device comes short first.
    fn run(self, archive: &mut dyn Archive, edition: usize) {
        if edition > 1 {
            let short = archive.put(&[put(WEAK, b"end\n".to_vec(), edition)]);
            let was_there = self.before == Before::ARun;
            let held = matches!(short[0], Err(NotStored::Held(_)));
            assert!(held || !was_there, "{short:?}");
        }
        let names = self.names();
        let one = |name: &String| put(name, config(name, edition), edition);
        let fleet: Vec<Put> = names.iter().map(one).collect();
        for result in archive.put(&fleet) {
            result.unwrap();
        }
        let again = put("csr0", config("csr0", edition + 1), edition + 1);
        archive.put(&[again]).remove(0).unwrap();
        archive.commit().unwrap();
    }

    /// The last good config of a device, as a run would read it.
    fn last_good(self, dir: &Path, name: &str) -> Option<Vec<u8>> {
        let device = DeviceName::new(name).unwrap();
        let (kept, group) = (self.kept(dir), group());
        let repository_is_there = kept.git_dir().exists();
        match self.kind {
            Kind::Files | Kind::Both => kept.places().last_good(&device, Some(&group)).unwrap(),
            Kind::Git if !repository_is_there => None,
            Kind::Git => kept.reader().last_good(&device, Some(&group)).unwrap(),
        }
    }

    /// Files, repository and index tell the same.
    fn assert_agree(self, dir: &Path) {
        if self.kind == Kind::Files {
            return;
        }
        let kept = self.kept(dir);
        kept.assert_sound();
        for name in self.names() {
            let newest = kept.contents(&name).first().cloned();
            let good = self.last_good(dir, &name);
            assert_eq!(newest, good, "{name}: the newest version is the last good");
        }
    }

    /// What each device holds is whole, and no older than what was there before.
    fn assert_good(self, dir: &Path, at: At) {
        for name in self.names() {
            let Some(held) = self.last_good(dir, &name) else {
                assert_eq!(self.before, Before::Nothing, "{at:?}: {name} is lost");
                continue;
            };
            let mut whole = [1, 2, 10, 11].map(|n| config(&name, n)).to_vec();
            if self.before == Before::Nothing {
                whole.push(b"end\n".to_vec());
            }
            assert!(whole.contains(&held), "{at:?}: {name}");
        }
    }

    /// No version is lost and none is doubled, after the run was made again.
    fn assert_all_versions(self, dir: &Path, at: At) {
        for name in self.names() {
            let mut found = self.kept(dir).contents(&name);
            found.reverse();
            let before: &[usize] = match (self.before, name.as_str()) {
                (Before::Nothing, _) => &[],
                (Before::ARun, "csr0") => &[1, 2],
                (Before::ARun, _) => &[1],
            };
            // A device that had its newest config when the run was made again goes there and back.
            let runs: &[&[usize]] = match name.as_str() {
                "csr0" => &[&[10, 11], &[10, 11, 10, 11]],
                _ => &[&[10]],
            };
            let of_runs = |run: &&[usize]| {
                let editions = before.iter().chain(*run);
                editions.map(|n| config(&name, *n)).collect::<Vec<_>>()
            };
            let mut wanted: Vec<_> = runs.iter().map(of_runs).collect();
            if name == WEAK && self.before == Before::Nothing {
                // The first one is not short: there is none to compare it with.
                wanted = vec![vec![b"end\n".to_vec(), config(WEAK, 10)]];
            }
            let shown = String::from_utf8(found.concat()).unwrap();
            assert!(wanted.contains(&found), "{at:?}: {name} has {shown}");
        }
    }
}

impl Scenario for Stores {
    fn name(&self) -> String {
        format!("{:?}, {:?} before, {}", self.kind, self.before, self.fleet)
    }

    fn before(&self, dir: &Path) {
        if self.before == Before::ARun {
            self.run(self.unwatched(dir).as_mut(), 1);
        }
    }

    fn work(&self, dir: &Path, watch: Arc<dyn Watch>) {
        self.run(self.open(dir, &watch).as_mut(), 10);
    }

    fn check(&self, dir: &Path, at: At) {
        let tip = || self.kept(dir).reader().tip().unwrap();
        let before = (self.kind != Kind::Files && self.kept(dir).git_dir().exists()).then(tip);
        self.assert_good(dir, at);
        drop(self.unwatched(dir));
        self.assert_good(dir, at);
        self.assert_agree(dir);
        if self.kind == Kind::Both && at.step == Step::FilesPut && at.count > 1 {
            assert_ne!(before, Some(tip()), "{at:?}: what is stored is a version");
        }
        self.run(self.unwatched(dir).as_mut(), 10);
        self.assert_agree(dir);
        if self.kind != Kind::Files {
            self.assert_all_versions(dir, at);
        }
        let held = self.kept(dir).places().all_held().unwrap();
        assert!(held.is_empty(), "{at:?}: what is out of date is gone");
    }
}

#[test]
fn files_and_git_survive_a_kill_while_files_are_stored() {
    kill_after_each("Both, ARun before, 12", |step| step < Step::RepositoryMade);
}

#[test]
fn files_and_git_survive_a_kill_while_versions_are_made() {
    kill_after_each("Both, ARun before, 12", |step| {
        step > Step::RepositoryPlaced
    });
}

#[test]
fn git_alone_survives_a_kill() {
    kill_after_each("Git, ARun before, 12", |_| true);
}

#[test]
fn a_first_run_of_files_and_git_survives_a_kill() {
    kill_after_each("Both, Nothing before, 2", |_| true);
}

#[test]
fn a_first_run_of_git_alone_survives_a_kill() {
    kill_after_each("Git, Nothing before, 2", |_| true);
}

#[test]
fn few_devices_in_git_survive_a_kill() {
    kill_after_each("Git, ARun before, 2", |_| true);
}

#[test]
fn files_alone_survive_a_kill() {
    kill_after_each("Files, ARun before, 2", |_| true);
}

#[test]
fn a_first_run_of_files_alone_survives_a_kill() {
    kill_after_each("Files, Nothing before, 2", |_| true);
}

#[test]
fn a_kill_while_the_last_kill_is_mended_is_mended_too() {
    let _alone = alone();
    let all = all_scenarios();
    let both = all.iter().find(|one| one.name() == "Both, ARun before, 12");
    let (both, dir) = (both.unwrap().as_ref(), fresh_folder());
    both.before(dir.path());
    let at = |step, count| At { step, count };
    assert!(kill_at(both, dir.path(), at(Step::FilesPut, 3)));
    // The child opens the archive first: it dies mending.
    for step in [Step::CommitsWritten, Step::BranchLocked, Step::BranchMoved] {
        assert!(kill_at(both, dir.path(), at(step, 1)));
    }
    both.check(dir.path(), at(Step::BranchMoved, 1));
}
