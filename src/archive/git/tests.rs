//! The repository as this code sees it, and as git itself does.

use super::super::LastGood as _;
use super::super::both::FilesAndGit;
use super::super::files::FileArchive;
use super::*;
use crate::model::config::{Config, Info, Proof};
use crate::model::device::{DeviceName, GroupName};
use crate::model::durable::Unwatched;
use crate::model::platform::{LastChange, Platform};
use crate::model::report::{Lines, StoredKind};
use crate::model::version::Version;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// An index in memory, which outlives the archive.
#[derive(Clone, Default)]
struct Listed(Arc<Mutex<(Option<ObjectId>, Vec<Version>)>>);

impl VersionIndex for Listed {
    fn head(&mut self) -> Result<Option<ObjectId>, ArchiveError> {
        Ok(self.0.lock().unwrap().0)
    }

    fn extend(&mut self, versions: &[Version], head: ObjectId) -> Result<(), ArchiveError> {
        let mut listed = self.0.lock().unwrap();
        listed.1.extend_from_slice(versions);
        listed.0 = Some(head);
        Ok(())
    }

    fn clear(&mut self) -> Result<(), ArchiveError> {
        *self.0.lock().unwrap() = (None, Vec::new());
        Ok(())
    }
}

impl Listed {
    /// Newest first.
    fn versions(&self, name: &str) -> Vec<Version> {
        let all = self.all().into_iter().rev();
        all.filter(|version| version.device.as_str() == name)
            .collect()
    }

    fn all(&self) -> Vec<Version> {
        self.0.lock().unwrap().1.clone()
    }
}

struct World {
    dir: tempfile::TempDir,
    index: Listed,
    layout: Layout,
}

impl World {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            index: Listed::default(),
            layout: Layout::Flat,
        }
    }

    fn git_dir(&self) -> PathBuf {
        self.dir.path().join("configs.git")
    }

    fn options(&self) -> GitOptions {
        GitOptions {
            dir: self.git_dir(),
            layout: self.layout,
            aside: Places::new(&self.dir.path().join("configs"), self.layout),
            mode: 0o600,
        }
    }

    fn index(&self) -> impl FnOnce(&Path) -> Box<dyn VersionIndex> + use<> {
        let index = self.index.clone();
        move |_| Box::new(index)
    }

    fn open(&self) -> GitArchive {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<GitArchive, ArchiveError> {
        GitArchive::open(&self.options(), self.index(), Arc::new(Unwatched), None)
    }

    fn both(&self) -> FilesAndGit {
        let dir = self.dir.path().join("configs");
        let files = FileArchive::open(&dir, self.layout, 0o600).unwrap();
        let places = Places::new(&dir, self.layout);
        let watch = Arc::new(Unwatched);
        let git = GitArchive::open(&self.options(), self.index(), watch, Some(&places));
        FilesAndGit::new(files, places, git.unwrap())
    }

    fn reader(&self) -> GitReader {
        GitReader::new(self.git_dir(), self.layout)
    }

    fn last_good(&self, name: &str) -> Option<Vec<u8>> {
        self.reader().last_good(&device(name), None).unwrap()
    }

    /// Runs git in the repository; `None` where git is not installed.
    fn git(&self, args: &[&str]) -> Option<String> {
        git(&self.git_dir(), args)
    }

    /// git finds nothing wrong, and the index lists what it would list if it were built anew.
    fn assert_sound(&self) {
        if let Some(said) = self.git(&["fsck", "--strict", "--no-dangling"]) {
            assert_eq!(said, "");
        }
        let anew = match self.reader().since(None).unwrap() {
            reader::Since::More(versions) | reader::Since::Everything(versions) => versions,
        };
        let listed = self.index.all();
        assert_eq!(listed.len(), anew.len());
        let other = listed
            .iter()
            .zip(&anew)
            .find(|(listed, anew)| listed != anew);
        assert_eq!(other, None);
        let head = self.index.clone().head().unwrap();
        assert_eq!(head, self.reader().tip().unwrap());
    }
}

fn git(dir: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| name == "PATH"))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("LC_ALL", "C")
        .arg("-C")
        .arg(dir)
        .args(["-c", "safe.directory=*"])
        .args(args)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(_) => {
            eprintln!("SKIPPED: git is not installed, so its view of the repository is not tested");
            return None;
        }
    };
    let said = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {said}{err}");
    Some(format!("{said}{err}"))
}

fn device(name: &str) -> DeviceName {
    DeviceName::new(name).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_428_000 + seconds)
}

fn put(name: &str, text: &str) -> Put {
    Put {
        device: device(name),
        group: None,
        platform: Arc::new(Platform {
            volatile: vec![b"! Last".to_vec()],
            last_change: vec![LastChange {
                line: b"! Last".to_vec(),
                by: b" by ".to_vec(),
            }],
            ..Platform::default()
        }),
        config: Config::proven(text.as_bytes().to_vec(), Proof::Marker),
        info: None,
        taken: at(7),
        run: at(0),
    }
}

fn by(name: &str, user: &str, text: &str) -> Put {
    put(name, &format!("! Last change at noon by {user}\n{text}"))
}

fn kinds(results: &[Result<Stored, NotStored>]) -> Vec<StoredKind> {
    results
        .iter()
        .map(|result| result.as_ref().unwrap().kind)
        .collect()
}

#[test]
fn every_version_is_kept_and_git_reads_them() {
    let world = World::new();
    let mut archive = world.open();
    assert_eq!(
        kinds(&archive.put(&[put("csr1", "a\nend\n"), put("csr2", "b\nend\n")])),
        [StoredKind::New, StoredKind::New]
    );
    assert_eq!(archive.commit().unwrap().len(), 1);
    let changed = archive.put(&[put("csr1", "a\nc\nend\n")]);
    assert_eq!(kinds(&changed), [StoredKind::Changed]);
    let lines = Lines {
        added: 1,
        removed: 0,
    };
    assert_eq!(changed[0].as_ref().unwrap().lines, Some(lines));
    let commits = archive.commit().unwrap();
    world.assert_sound();
    let versions = world.index.versions("csr1");
    assert_eq!(versions.len(), 2);
    assert_eq!(versions[0].commit, commits[0]);
    assert_eq!(versions[0].lines, lines);
    assert_eq!(versions[0].at, at(7));
    assert_eq!(versions[0].run, Some(at(0)));
    let content = |version: &Version| world.reader().content(&version.blob).unwrap();
    assert_eq!(content(&versions[0]), b"a\nc\nend\n");
    assert_eq!(content(&versions[1]), b"a\nend\n");
    let Some(log) = world.git(&["log", "--format=%an <%ae> %cn %s", "--", "csr1.cfg"]) else {
        return;
    };
    assert_eq!(
        log,
        "wrmem <wrmem@localhost> wrmem csr1 +1 -0\nwrmem <wrmem@localhost> wrmem 2 devices: csr1, csr2\n"
    );
    assert_eq!(world.git(&["show", "main~1:csr1.cfg"]).unwrap(), "a\nend\n");
    let clone = world.dir.path().join("clone");
    world.git(&["clone", "-q", ".", clone.to_str().unwrap()]);
    assert_eq!(
        std::fs::read(clone.join("csr1.cfg")).unwrap(),
        b"a\nc\nend\n"
    );
}

#[test]
fn unchanged_means_no_object_and_no_commit() {
    let world = World::new();
    let mut archive = world.open();
    archive.put(&[by("csr1", "admin", "a\nend\n")]);
    archive.commit().unwrap();
    let files = || all_files(&world.git_dir());
    let before = files();
    let results = archive.put(&[
        by("csr1", "admin", "a\nend\n"),
        by("csr1", "eve", "a\nend\n"),
    ]);
    assert_eq!(kinds(&results), [StoredKind::Unchanged; 2]);
    assert_eq!(results[0], results[1], "what is told is what is stored");
    assert!(archive.commit().unwrap().is_empty());
    assert_eq!(files(), before);
    let mut again = {
        drop(archive);
        world.open()
    };
    assert_eq!(
        kinds(&again.put(&[by("csr1", "x", "a\nend\n")])),
        [StoredKind::Unchanged]
    );
}

fn all_files(dir: &Path) -> Vec<(PathBuf, u64)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else {
            let len = std::fs::metadata(&path).unwrap().len();
            files.push((path, len));
        }
    }
    files.sort();
    files
}

#[test]
fn one_commit_for_each_author_of_a_run() {
    let world = World::new();
    let mut archive = world.open();
    archive.put(&[
        by("a", "admin", "1\nend\n"),
        put("b", "1\nend\n"),
        by("c", "CORP\\eve", "1\nend\n"),
        by("d", "admin", "1\nend\n"),
    ]);
    let commits = archive.commit().unwrap();
    assert_eq!(commits.len(), 3);
    world.assert_sound();
    let authors: Vec<_> = world
        .index
        .all()
        .into_iter()
        .map(|v| (v.device, v.author))
        .collect();
    assert_eq!(
        authors,
        [
            (device("a"), "admin".to_owned()),
            (device("d"), "admin".to_owned()),
            (device("b"), "wrmem".to_owned()),
            (device("c"), "CORP\\eve".to_owned()),
        ]
    );
    if let Some(log) = world.git(&["log", "--format=%an|%cn|%s"]) {
        assert_eq!(
            log,
            "CORP\\eve|wrmem|c +3 -0\nwrmem|wrmem|b +2 -0\nadmin|wrmem|2 devices: a, d\n"
        );
    }
}

#[test]
fn no_version_between_two_commits_is_lost() {
    let world = World::new();
    let mut archive = world.open();
    for text in ["1\nend\n", "2\nend\n", "1\nend\n"] {
        let results = archive.put(&[put("csr1", text)]);
        assert_ne!(kinds(&results), [StoredKind::Unchanged]);
        assert_eq!(world.last_good("csr1").unwrap(), text.as_bytes());
    }
    assert_eq!(archive.commit().unwrap().len(), 3);
    world.assert_sound();
    assert_eq!(world.index.all().len(), 3);
}

#[test]
fn what_goes_with_a_config_is_in_its_commit_and_is_no_version_of_it() {
    let world = World::new();
    let mut archive = world.open();
    let with = |text: &str, info: &str| Put {
        info: Some(Info::new(info.as_bytes().to_vec())),
        ..by("csr1", "admin", text)
    };
    archive.put(&[with("a\nend\n", "serial 1\n")]);
    assert_eq!(archive.commit().unwrap().len(), 1);
    let results = archive.put(&[with("a\nend\n", "serial 2\nline card\n")]);
    assert_eq!(kinds(&results), [StoredKind::Unchanged]);
    assert_eq!(archive.commit().unwrap().len(), 1);
    archive.put(&[with("a\nend\n", "serial 2\nline card\n")]);
    assert!(archive.commit().unwrap().is_empty());
    world.assert_sound();
    assert_eq!(world.index.all().len(), 1);
    if let Some(log) = world.git(&["log", "--format=%an|%s", "--name-only"]) {
        assert_eq!(
            log,
            "wrmem|csr1 +2 -1\n\ncsr1.info.txt\nadmin|csr1 +3 -0\n\ncsr1.cfg\ncsr1.info.txt\n"
        );
    }
}

#[test]
fn a_weakly_proven_config_that_shrank_is_kept_aside_without_files_too() {
    let world = World::new();
    let mut archive = world.open();
    let weak = |text: &str, proof| Put {
        config: Config::proven(text.as_bytes().to_vec(), proof),
        ..put("nx1", "")
    };
    let long = "interface Ethernet1/1\n".repeat(20);
    assert_eq!(
        kinds(&archive.put(&[weak(&long, Proof::Weak)])),
        [StoredKind::New]
    );
    let held = archive
        .put(&[weak("short\n", Proof::Weak)])
        .remove(0)
        .unwrap_err();
    assert!(held.to_string().contains("wrmem accept nx1"), "{held}");
    assert_eq!(world.last_good("nx1").unwrap(), long.as_bytes());
    let aside = Places::new(&world.dir.path().join("configs"), Layout::Flat);
    assert_eq!(
        aside.held_config(&device("nx1")).unwrap().unwrap(),
        b"short\n"
    );
    let accepted = archive.put(&[weak("short\n", Proof::Accepted)]);
    assert_eq!(kinds(&accepted), [StoredKind::Changed]);
    assert_eq!(aside.held_config(&device("nx1")).unwrap(), None);
    archive.commit().unwrap();
    world.assert_sound();
}

#[test]
fn groups_are_folders_where_the_layout_says_so_and_files_of_others_stay() {
    let world = World {
        layout: Layout::ByGroup,
        ..World::new()
    };
    let mut archive = world.open();
    let in_group = |name: &str, group: &str, text: &str| Put {
        group: Some(GroupName::new(group).unwrap()),
        ..put(name, text)
    };
    // git sorts `core` behind `core-1.cfg` and before `core.cfg`... as if it were `core/`.
    archive.put(&[
        in_group("csr1", "core", "a\nend\n"),
        in_group("csr2", "core", "a\nend\n"),
        in_group("csr3", "edge", "a\nend\n"),
        put("core", "a\nend\n"),
        put("core-1", "a\nend\n"),
    ]);
    archive.commit().unwrap();
    archive.put(&[in_group("csr1", "core", "b\nend\n")]);
    archive.commit().unwrap();
    drop(archive);
    world.assert_sound();
    let group = GroupName::new("core").unwrap();
    let held = world
        .reader()
        .last_good(&device("csr1"), Some(&group))
        .unwrap();
    assert_eq!(held.unwrap(), b"b\nend\n");
    let Some(list) = world.git(&["ls-tree", "-r", "--name-only", "main"]) else {
        return;
    };
    assert_eq!(
        list,
        "core-1.cfg\ncore.cfg\ncore/csr1.cfg\ncore/csr2.cfg\nedge/csr3.cfg\n"
    );
    // A file that somebody pushed.
    let work = world.dir.path().join("work");
    world.git(&["clone", "-q", ".", work.to_str().unwrap()]);
    std::fs::create_dir_all(work.join("docs/deep")).unwrap();
    std::fs::write(work.join("docs/deep/README"), "ours\n").unwrap();
    git(&work, &["add", "docs"]);
    let identity = ["-c", "user.name=n", "-c", "user.email=e@localhost"];
    git(
        &work,
        &[&identity[..], &["commit", "-qm", "notes"]].concat(),
    );
    git(&work, &["push", "-q", "origin", "main"]);
    let mut archive = world.open();
    archive.put(&[
        in_group("csr1", "core", "c\nend\n"),
        in_group("csr9", "docs", "a\nend\n"),
    ]);
    archive.commit().unwrap();
    world.assert_sound();
    assert_eq!(
        world.git(&["show", "main:docs/deep/README"]).unwrap(),
        "ours\n"
    );
    assert_eq!(
        world.git(&["show", "main:docs/csr9.cfg"]).unwrap(),
        "a\nend\n"
    );
}

#[test]
fn a_branch_moved_by_others_is_followed() {
    let world = World::new();
    let mut archive = world.open();
    archive.put(&[put("csr1", "a\nend\n")]);
    archive.commit().unwrap();
    let work = world.dir.path().join("work");
    if world
        .git(&["clone", "-q", ".", work.to_str().unwrap()])
        .is_none()
    {
        return;
    }
    std::fs::write(work.join("csr2.cfg"), "theirs\nend\n").unwrap();
    git(&work, &["add", "."]);
    let identity = ["-c", "user.name=ann", "-c", "user.email=e@localhost"];
    git(
        &work,
        &[&identity[..], &["commit", "-qm", "by hand"]].concat(),
    );
    archive.put(&[put("csr1", "b\nend\n")]);
    git(&work, &["push", "-q", "origin", "main"]);
    archive.commit().unwrap();
    world.assert_sound();
    let all = world.index.all();
    let told: Vec<_> = all
        .iter()
        .map(|v| (v.device.as_str(), v.author.as_str(), v.run))
        .collect();
    assert_eq!(
        told,
        [
            ("csr1", "wrmem", Some(at(0))),
            ("csr2", "ann", None),
            ("csr1", "wrmem", Some(at(0)))
        ]
    );
    assert_eq!(
        kinds(&archive.put(&[put("csr2", "theirs\nend\n")])),
        [StoredKind::Unchanged]
    );
}

#[test]
fn many_objects_become_one_pack_and_few_stay_loose() {
    let world = World::new();
    let mut archive = world.open();
    let fleet: Vec<Put> = (0..300)
        .map(|n| put(&format!("r{n}"), &format!("{n}\nend\n")))
        .collect();
    assert!(archive.put(&fleet).iter().all(Result::is_ok));
    archive.commit().unwrap();
    world.assert_sound();
    let counts = world.git(&["count-objects", "-v"]);
    archive.put(&[put("r7", "changed\nend\n")]);
    archive.commit().unwrap();
    world.assert_sound();
    for n in 0..300 {
        let wanted = if n == 7 {
            "changed\nend\n".to_owned()
        } else {
            format!("{n}\nend\n")
        };
        assert_eq!(
            world.last_good(&format!("r{n}")).unwrap(),
            wanted.as_bytes()
        );
    }
    if let Some(counts) = counts {
        assert!(counts.contains("packs: 1\n"), "{counts}");
        assert!(
            counts.contains("count: 2\n"),
            "a tree and a commit: {counts}"
        );
        assert!(counts.contains("garbage: 0\n"), "{counts}");
    }
}

#[test]
fn one_writer_at_a_time_and_only_bare_repositories() {
    let world = World::new();
    let archive = world.open();
    let refused = world.try_open().err().unwrap().to_string();
    assert!(refused.contains("another wrmem writes to it"), "{refused}");
    drop(archive);
    drop(world.open());
    let other = World::new();
    std::fs::create_dir(other.git_dir()).unwrap();
    std::fs::write(other.git_dir().join("notes"), "mine").unwrap();
    let refused = other.try_open().err().unwrap().to_string();
    assert!(
        refused.contains("configs.git: open the git repository"),
        "{refused}"
    );
    let file = World::new();
    std::fs::write(file.git_dir(), "mine").unwrap();
    let refused = file.try_open().err().unwrap().to_string();
    assert!(
        refused.contains("a file is where a folder is needed"),
        "{refused}"
    );
}

#[test]
fn only_the_owner_can_enter_the_repository() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    drop(world.open());
    let mode = std::fs::metadata(world.git_dir())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    let names: Vec<_> = std::fs::read_dir(world.dir.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing is left beside it");
}

#[test]
fn the_repository_follows_the_files() {
    let world = World::new();
    let dir = world.dir.path().join("configs");
    // The files were there before the repository, with an older time in them.
    FileArchive::open(&dir, Layout::Flat, 0o600)
        .unwrap()
        .put(&[by("csr1", "ann", "a\nend\n"), by("csr2", "ann", "a\nend\n")]);
    let mut both = world.both();
    let results = both.put(&[by("csr1", "eve", "a\nend\n"), by("csr2", "eve", "b\nend\n")]);
    assert_eq!(
        kinds(&results),
        [StoredKind::Unchanged, StoredKind::Changed]
    );
    both.commit().unwrap();
    world.assert_sound();
    for name in ["csr1", "csr2"] {
        let file = std::fs::read(dir.join(format!("{name}.cfg"))).unwrap();
        assert_eq!(world.last_good(name).unwrap(), file, "{name}");
    }
    let results = both.put(&[by("csr1", "x", "a\nend\n"), by("csr2", "x", "b\nend\n")]);
    assert_eq!(kinds(&results), [StoredKind::Unchanged; 2]);
    assert!(both.commit().unwrap().is_empty());
}

#[test]
fn an_index_that_is_lost_or_behind_is_made_up() {
    let mut world = World::new();
    let mut archive = world.open();
    for text in ["1\nend\n", "1\n2\nend\n", "3\nend\n"] {
        archive.put(&[by("csr1", "admin", text), put("csr2", text)]);
        archive.commit().unwrap();
    }
    drop(archive);
    let all = world.index.all();
    assert_eq!(all.len(), 6);
    // Lost.
    world.index = Listed::default();
    drop(world.open());
    assert_eq!(world.index.all(), all);
    // Behind by two commits, as after a crash.
    let head = all[1].commit;
    world.index = Listed::default();
    world.index.extend(&all[..2], head).unwrap();
    drop(world.open());
    assert_eq!(world.index.all(), all);
    world.assert_sound();
    // Of another history.
    world
        .index
        .extend(&all[..1], ObjectId::from_bytes([9; 20]))
        .unwrap();
    drop(world.open());
    assert_eq!(world.index.all(), all);
}

#[test]
fn a_damaged_object_is_written_anew() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let mut archive = world.open();
    archive.put(&[put("csr1", "a\nend\n")]);
    archive.commit().unwrap();
    drop(archive);
    let blob = world.index.all()[0].blob.to_string();
    let file = world
        .git_dir()
        .join("objects")
        .join(&blob[..2])
        .join(&blob[2..]);
    // As a power cut leaves a file that was renamed before it was on the disk.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&file, "").unwrap();
    let mut archive = world.open();
    assert_eq!(
        kinds(&archive.put(&[put("csr1", "b\nend\n")])),
        [StoredKind::Changed]
    );
    assert_eq!(
        kinds(&archive.put(&[put("csr1", "a\nend\n")])),
        [StoredKind::Changed]
    );
    archive.commit().unwrap();
    world.assert_sound();
}

#[test]
fn git_packs_it_in_the_background_and_nothing_is_in_its_way() {
    let world = World::new();
    if git(world.dir.path(), &["--version"]).is_none() {
        return;
    }
    let mut archive = world.open();
    let mut editions = 0;
    let mut packed = 0;
    // Many changes at a time make packs, few make loose objects.
    while packed < 2 {
        editions += 1;
        assert!(editions < 2_000, "it is packed some time");
        let count = if editions % 3 == 0 { 2 } else { 12 };
        let fleet: Vec<Put> = (0..count)
            .map(|n| put(&format!("r{n}"), &format!("edition {editions}\nend\n")))
            .collect();
        let answers = archive.put(&fleet);
        assert!(answers.iter().all(Result::is_ok), "edition {editions}");
        archive.commit().unwrap();
        if editions % 40 == 0
            && let Some(ended) = archive.upkeep.wait()
        {
            assert!(ended.success());
            packed += 1;
        }
    }
    assert!(archive.upkeep.is_well());
    archive.upkeep.wait();
    drop(archive);
    world.assert_sound();
    let versions = world.index.versions("r0");
    assert_eq!(versions.len(), editions);
    for (back, version) in versions.iter().enumerate() {
        let wanted = format!("edition {}\nend\n", editions - back);
        let content = world.reader().content(&version.blob).unwrap();
        assert_eq!(content, wanted.as_bytes());
    }
    let counted = world.git(&["count-objects", "-v"]).unwrap();
    let packs = counted
        .lines()
        .find_map(|line| line.strip_prefix("packs: "));
    assert!(packs.unwrap().parse::<usize>().unwrap() < 50, "{counted}");
}

#[test]
fn however_many_packs_come_while_it_is_open_what_is_there_is_known() {
    let world = World::new();
    let mut archive = world.open();
    let fleet = |edition: usize| {
        let put = |n| put(&format!("r{n}"), &format!("{n} in {edition}\nend\n"));
        (0..12).map(put).collect::<Vec<Put>>()
    };
    // gix has room for 32 by itself; `git gc` would come at 41.
    for edition in 0..38 {
        archive.put(&fleet(edition));
        archive.commit().unwrap();
        if edition == 36 {
            // As if there were room for no more.
            archive.repo.room = repo::packs(&world.git_dir());
        }
    }
    assert!(archive.repo.room > 1_000, "it was opened anew");
    assert_eq!(kinds(&archive.put(&fleet(37))), [StoredKind::Unchanged; 12]);
    let changed = archive.put(&fleet(38)).remove(0).unwrap();
    let one_line = Lines {
        added: 1,
        removed: 1,
    };
    assert_eq!(changed.lines, Some(one_line));
    archive.commit().unwrap();
    drop(archive);
    world.assert_sound();
}

#[test]
fn packing_keeps_what_waits_for_its_commit_however_old_it_is() {
    let world = World::new();
    let mut archive = world.open();
    let fleet = |edition: &str| {
        let put = |n| put(&format!("r{n}"), &format!("{n} in {edition}\nend\n"));
        (0..12).map(put).collect::<Vec<Put>>()
    };
    archive.put(&fleet("the first"));
    archive.commit().unwrap();
    archive.put(&fleet("a pack"));
    archive.put(&[put("loose", "loose\nend\n")]);
    for (file, _) in all_files(&world.git_dir().join("objects")) {
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        std::fs::File::open(&file)
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    match upkeep::gc(&world.git_dir()).status() {
        Ok(ended) => assert!(ended.success()),
        Err(_) => return,
    }
    archive.commit().unwrap();
    assert_eq!(world.last_good("loose").unwrap(), b"loose\nend\n");
    assert_eq!(world.last_good("r7").unwrap(), b"7 in a pack\nend\n");
    drop(archive);
    world.assert_sound();
}

#[test]
fn half_made_packs_of_an_ended_gc_are_removed_once_they_are_old() {
    let world = World::new();
    drop(world.open());
    let packs = world.git_dir().join("objects/pack");
    for name in [
        "tmp_pack_old",
        ".tmp-9-pack-old",
        "tmp_pack_new",
        "pack-old.keep",
    ] {
        let file = std::fs::File::create(packs.join(name)).unwrap();
        if name.ends_with("old") || name.ends_with("keep") {
            let day_before = SystemTime::now() - Duration::from_hours(25);
            file.set_modified(day_before).unwrap();
        }
    }
    drop(world.open());
    let left: Vec<_> = all_files(&packs)
        .into_iter()
        .map(|(file, _)| file)
        .collect();
    assert_eq!(
        left,
        ["pack-old.keep", "tmp_pack_new"].map(|name| packs.join(name))
    );
}
