//! Whole runs with the git archive, looked at with git itself.

use crate::world::World;
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::process::Command;
use wrmem::lab::LabSpec;

pub(crate) fn world(kinds: &str) -> World {
    let world = World::new(&LabSpec::default());
    world.replace(
        "wrmem.toml",
        "[archive]",
        &format!("[archive]\nkinds = {kinds}"),
    );
    world
}

pub(crate) const BOTH: &str = "[\"files\", \"git\"]";
const GIT: &str = "[\"git\"]";

/// What git says; `None` where it is not installed.
fn git(world: &World, args: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.envs(std::env::vars().filter(|(name, _)| name == "PATH"));
    command.arg("-C").arg(world.path("configs.git"));
    command.args(["-c", "safe.directory=*"]).args(args);
    let Ok(output) = command.output() else {
        eprintln!("SKIPPED: git is not installed, so its view of the repository is not tested");
        return None;
    };
    let said = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {said}{err}");
    Some(said)
}

fn assert_sound(world: &World) {
    if let Some(said) = git(world, &["fsck", "--strict", "--no-dangling"]) {
        assert_eq!(said, "");
    }
}

/// The newest version of every device is what the device has.
pub(crate) fn assert_committed_exactly(world: &World) {
    assert_sound(world);
    for device in world.lab.devices() {
        let name = device.name();
        let Some(held) = git(world, &["show", &format!("main:{name}.cfg")]) else {
            return;
        };
        assert!(held.as_bytes() == device.expected(), "{name}");
    }
}

pub(crate) fn other() -> LabSpec {
    LabSpec {
        seed: LabSpec::default().seed + 1,
        ..LabSpec::default()
    }
}

#[test]
fn each_run_that_changes_something_becomes_a_commit_by_who_changed_it() {
    for kinds in [BOTH, GIT] {
        let mut world = world(kinds);
        let first = world.run(&["backup", "--report", "report.json"]);
        first.assert_code(0);
        let commits = world.report().0["commits"].clone();
        assert_eq!(commits.as_array().unwrap().len(), 1);
        let short = commits[0].as_str().unwrap()[..10].to_owned();
        first.assert_says(&format!("Committed: {short}."));
        assert_committed_exactly(&world);
        world
            .run(&["backup", "--report", "report.json"])
            .assert_code(0);
        let report = world.report();
        assert_eq!(report.0["commits"].as_array().unwrap().len(), 0);
        assert_eq!(report.0["counts"]["unchanged"], 3);
        world.change_configs(&other());
        world
            .run(&["backup", "csr2", "--report", "report.json"])
            .assert_code(0);
        let report = world.report();
        assert!(report.device("csr2")["lines_added"].as_u64().unwrap() > 0);
        world.run(&["backup"]).assert_code(0);
        assert_committed_exactly(&world);
        assert_eq!(world.path("configs").exists(), kinds == BOTH);
        let Some(log) = git(&world, &["log", "--format=%an|%cn|%s"]) else {
            return;
        };
        let added = report.device("csr2")["lines_added"].as_u64().unwrap();
        let removed = report.device("csr2")["lines_removed"].as_u64().unwrap();
        assert_eq!(
            log,
            format!(
                "ntc|wrmem|2 devices: csr1, csr3\nntc|wrmem|csr2 +{added} -{removed}\n\
                 ntc|wrmem|3 devices: csr1, csr2, csr3\n"
            )
        );
        let run = report.0["started_at"].as_str().unwrap();
        let body = git(&world, &["log", "-1", "--format=%b", "main~1"]).unwrap();
        assert!(
            body.starts_with(&format!("Run: {run}\ncsr2.cfg +")),
            "{body}"
        );
    }
}

#[test]
fn a_repository_that_cannot_be_used_ends_with_3_before_any_device_is_asked() {
    let world = world(BOTH);
    fs::write(world.path("configs.git"), "").unwrap();
    let finished = world.run(&["backup"]);
    finished.assert_code(3);
    assert!(finished.err.contains("configs.git"), "{}", finished.err);
    assert!(
        finished.err.contains("archive.git_dir"),
        "what to set: {}",
        finished.err
    );
    assert_eq!(world.lab.counts().connections, 0);
}

#[test]
fn the_orchestrator_commits_what_it_has_when_it_is_stopped() {
    let world = world(BOTH);
    world.append("wrmem.toml", "[run]\nevery = \"1h\"");
    let mut run = world.spawn(&["run"]);
    for _ in 0..3 {
        run.wait_for_line("finished successfully");
    }
    assert_eq!(
        git(&world, &["for-each-ref"]).unwrap_or_default(),
        "",
        "gathered for five minutes"
    );
    run.signal(Signal::TERM);
    run.finish().assert_code(0);
    assert_committed_exactly(&world);
}

#[test]
fn the_orchestrator_commits_by_itself_what_came_within_a_slice() {
    let world = world(BOTH);
    world.replace(
        "wrmem.toml",
        "[archive]",
        "[archive]\ncommit_every = \"1s\"",
    );
    world.append("wrmem.toml", "[run]\nevery = \"1s\"");
    let mut run = world.spawn(&["run"]);
    let committed = || {
        let branches = git(&world, &["for-each-ref"]).unwrap();
        let listed = (!branches.is_empty()).then(|| git(&world, &["ls-tree", "main"]).unwrap());
        listed.map_or(0, |listed| listed.lines().count())
    };
    // Before that there may be no repository to ask.
    run.wait_for_line("finished successfully");
    if git(&world, &["--version"]).is_none() {
        return;
    }
    while committed() < 3 {
        run.wait_for_line("finished successfully");
    }
    // Killed, it has no chance to commit anything at its end.
    run.signal(Signal::KILL);
    run.finish();
    assert_committed_exactly(&world);
    let log = git(&world, &["log", "--format=%an|%cn"]).unwrap();
    assert!(log.lines().all(|line| line == "ntc|wrmem"), "{log}");
}

#[test]
fn what_a_killed_orchestrator_had_stored_is_committed_at_the_next_start() {
    for kinds in [BOTH, GIT] {
        let world = world(kinds);
        world.append("wrmem.toml", "[run]\nevery = \"1h\"");
        let mut run = world.spawn(&["run"]);
        for _ in 0..3 {
            run.wait_for_line("finished successfully");
        }
        run.signal(Signal::KILL);
        run.finish();
        world
            .run(&["backup", "--report", "report.json"])
            .assert_code(0);
        assert_eq!(world.report().0["counts"]["unchanged"], 3, "they are there");
        assert_committed_exactly(&world);
        if let Some(log) = git(&world, &["log", "--format=%an|%s"]) {
            assert_eq!(log, "ntc|3 devices: csr1, csr2, csr3\n");
        }
    }
}

/// A small disk of its own, where the tests run as root on a machine that lets them.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mounted_at(path: &'a Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], path);
        if !mounted {
            eprintln!(
                "SKIPPED: no disk can be mounted here, so full and read-only ones are not tested"
            );
        }
        mounted.then_some(Self(path))
    }

    fn read_only(&self) {
        assert!(mount(&["-o", "remount,ro"], self.0));
    }

    fn writable(&self) {
        assert!(mount(&["-o", "remount,rw"], self.0));
    }

    /// Leaves `free` bytes.
    fn fill(&self, free: u64) {
        let found = rustix::fs::statvfs(self.0).unwrap();
        let available = found.f_bavail * found.f_frsize;
        let bytes = available.saturating_sub(free);
        fs::write(
            self.0.join("filler"),
            vec![0; usize::try_from(bytes).unwrap()],
        )
        .unwrap();
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn mount(args: &[&str], path: &Path) -> bool {
    let output = Command::new("mount").args(args).arg(path).output();
    output.is_ok_and(|output| output.status.success())
}

fn on_disk(kinds: &str, path: &Path) -> World {
    let world = world(kinds);
    let from = world.path("configs.git");
    let to = path.join("configs.git");
    world.replace("wrmem.toml", from.to_str().unwrap(), to.to_str().unwrap());
    std::os::unix::fs::symlink(&to, &from).unwrap();
    world
}

#[test]
fn a_full_disk_below_the_repository_loses_nothing() {
    for kinds in [BOTH, GIT] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let Some(disk) = Disk::mounted_at(&path) else {
            return;
        };
        let mut world = on_disk(kinds, &path);
        world.run(&["backup"]).assert_code(0);
        assert_committed_exactly(&world);
        let good = git(&world, &["rev-parse", "main"]);
        world.change_configs(&other());
        for free in [0, 4096, 8192, 12288, 16384, 24576] {
            disk.fill(free);
            let finished = world.run(&["backup", "--report", "report.json"]);
            let told = format!(
                "{kinds}, {free} bytes free:\n{}\n{}",
                finished.out, finished.err
            );
            assert!(matches!(finished.code, Some(0 | 3)), "{told}");
            if free == 0 {
                assert_eq!(finished.code, Some(3), "{told}");
                assert!(told.contains("make room on that disk"), "{told}");
                assert_eq!(git(&world, &["rev-parse", "main"]), good);
            }
            assert_sound(&world);
            disk.empty();
        }
        world.run(&["backup"]).assert_code(0);
        assert_committed_exactly(&world);
    }
}

#[test]
fn a_read_only_repository_is_told_and_loses_nothing() {
    for kinds in [BOTH, GIT] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let Some(disk) = Disk::mounted_at(&path) else {
            return;
        };
        let mut world = on_disk(kinds, &path);
        world.run(&["backup"]).assert_code(0);
        world.change_configs(&other());
        disk.read_only();
        let finished = world.run(&["backup"]);
        finished.assert_code(3);
        assert!(
            finished.err.contains("mount it writable"),
            "{}",
            finished.err
        );
        assert_eq!(world.lab.counts().connections, 0, "known before the run");
        disk.writable();
        world.run(&["backup"]).assert_code(0);
        assert_committed_exactly(&world);
    }
}

#[test]
fn the_orchestrator_goes_on_while_the_disk_is_full_and_makes_up_for_it() {
    for kinds in [BOTH, GIT] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let Some(disk) = Disk::mounted_at(&path) else {
            return;
        };
        let mut world = on_disk(kinds, &path);
        world.run(&["backup"]).assert_code(0);
        world.change_configs(&other());
        disk.fill(0);
        world.append("wrmem.toml", "[run]\nevery = \"1s\"\nattempts = 1");
        let mut run = world.spawn(&["run"]);
        if kinds == GIT {
            run.wait_for_line("failed: write: ");
        } else {
            run.wait_for_line("finished successfully");
        }
        disk.empty();
        // One run may be under way; the next one finds room.
        for _ in 0..6 {
            run.wait_for_line("finished successfully");
        }
        run.signal(Signal::TERM);
        run.finish().assert_code(0);
        assert_committed_exactly(&world);
    }
}

/// Two versions of each device, and what the report told of csr2's second one.
struct Changed {
    world: World,
    first: Vec<u8>,
    second: Vec<u8>,
    added: u64,
    removed: u64,
}

impl Changed {
    fn new() -> Self {
        let mut world = world(BOTH);
        world.run(&["backup"]).assert_code(0);
        let first = world.lab.device("csr2").unwrap().expected().to_vec();
        world.change_configs(&other());
        world
            .run(&["backup", "--report", "report.json"])
            .assert_code(0);
        let second = world.lab.device("csr2").unwrap().expected().to_vec();
        let report = world.report();
        let lines = |key| report.device("csr2")[key].as_u64().unwrap();
        Self {
            added: lines("lines_added"),
            removed: lines("lines_removed"),
            first,
            second,
            world,
        }
    }

    /// The ids of csr2's versions, newest first.
    fn ids(&self) -> [String; 2] {
        let log = self.world.run(&["log", "csr2"]).out;
        let id = |line: &str| line.split_whitespace().nth(1).unwrap().to_owned();
        let ids: Vec<String> = log.lines().skip(1).map(id).collect();
        ids.try_into().unwrap()
    }
}

#[test]
fn log_lists_the_versions_of_a_device() {
    let changed = Changed::new();
    let log = changed.world.run(&["log", "CSR2"]);
    log.assert_code(0);
    let lines: Vec<&str> = log.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", log.out);
    assert!(lines[1].starts_with("@0 "), "{}", log.out);
    let told = format!(" ntc     +{} -{} ", changed.added, changed.removed);
    assert!(lines[1].contains(&told), "{}", log.out);
    let one = changed.world.run(&["log", "csr2", "-n", "1"]).out;
    assert_eq!(one.lines().count(), 2);
}

#[test]
fn show_prints_any_version_and_masks_its_secrets() {
    let changed = Changed::new();
    let [_, oldest] = changed.ids();
    for (what, config) in [
        ("csr2", &changed.second),
        ("csr2@0", &changed.second),
        ("csr2@1", &changed.first),
        (&*format!("csr2@{oldest}"), &changed.first),
        ("csr2@2999-01-01", &changed.second),
    ] {
        let shown = changed.world.run(&["show", what, "--secrets"]);
        shown.assert_code(0);
        assert!(shown.out.as_bytes() == config.as_slice(), "{what}");
    }
    let masked = changed.world.run(&["show", "csr2@1"]).out;
    let first = String::from_utf8(changed.first).unwrap();
    assert_eq!(masked.lines().count(), first.lines().count());
    assert!(masked.contains("enable secret 9 <secret:"), "{masked}");
}

#[test]
fn diff_names_the_section_and_masks_secrets() {
    let changed = Changed::new();
    let [newest, oldest] = changed.ids();
    let finished = changed.world.run(&["diff", "csr2"]);
    finished.assert_code(0);
    let diff = finished.out;
    assert!(
        diff.starts_with(&format!("--- csr2.cfg {oldest} ")),
        "{diff}"
    );
    assert!(
        diff.contains(&format!("\n+++ csr2.cfg {newest} ")),
        "{diff}"
    );
    assert!(diff.contains("@@ interface "), "{diff}");
    assert!(!diff.contains("$9$"), "no secret is shown: {diff}");
    let count = |sign| diff.lines().filter(|line| line.starts_with(sign)).count() as u64 - 1;
    assert_eq!((count('+'), count('-')), (changed.added, changed.removed));
    let range = format!("{oldest}..@0");
    let secrets = changed.world.run(&["diff", "csr2", &range, "--secrets"]);
    assert!(secrets.out.contains("$9$"), "{}", secrets.out);
    let same = changed.world.run(&["diff", "csr2", "@0..@0"]);
    let told = format!("csr2: no difference between {newest} and {newest}\n");
    assert_eq!(same.out, told);
}

#[test]
fn wrong_names_and_revisions_say_what_there_is() {
    let world = world(BOTH);
    let told = |args: &[&str], what: &str| {
        let finished = world.run(args);
        finished.assert_code(2);
        assert!(finished.err.contains(what), "{args:?}: {}", finished.err);
    };
    told(&["log", "csr1"], "`wrmem backup csr1` makes the first");
    told(&["show", "csr1"], "`wrmem backup csr1` stores one");
    world.run(&["backup"]).assert_code(0);
    told(&["log", "csr11"], "did you mean `csr1`?");
    told(&["show", "csr9@1"], "there is no device \"csr9\"");
    told(
        &["show", "csr1@7"],
        "there is no version @7: there is one only, @0",
    );
    told(&["show", "csr1@beef"], "`wrmem log csr1` lists them");
    told(&["show", "csr1@2001-01-01"], "the oldest one is ");
    told(&["diff", "csr1"], "csr1 has one version only");
    told(&["diff", "csr1", "yesterday"], "a date such as 2026-11-20");
}

#[test]
fn with_files_only_show_works_and_the_others_say_what_they_need() {
    let world = world("[\"files\"]");
    world.run(&["backup"]).assert_code(0);
    let shown = world.run(&["show", "csr1", "--secrets"]);
    assert!(shown.out.as_bytes() == world.lab.device("csr1").unwrap().expected());
    for args in [["log", "csr1"], ["diff", "csr1"], ["show", "csr1@1"]] {
        let finished = world.run(&args);
        finished.assert_code(2);
        let wanted = "with kinds = [\"files\", \"git\"] in wrmem.toml";
        assert!(finished.err.contains(wanted), "{args:?}: {}", finished.err);
    }
}

#[test]
fn a_device_that_left_the_inventory_keeps_its_history() {
    let mut world = world(BOTH);
    world.run(&["backup"]).assert_code(0);
    let config = world.lab.device("csr3").unwrap().expected().to_vec();
    world.change_configs(&LabSpec {
        devices: 2,
        config_bytes: 6_000,
        ..LabSpec::default()
    });
    world.run(&["backup"]).assert_code(0);
    let log = world.run(&["log", "csr3"]);
    log.assert_code(0)
        .assert_says("csr3 is not in the inventory any more; its versions stay.");
    let shown = world.run(&["show", "csr3", "--secrets"]);
    assert!(shown.out.as_bytes() == config.as_slice());
    assert!(fs::read(world.path("configs/csr3.cfg")).unwrap() == config);
    if let Some(held) = git(&world, &["show", "main:csr3.cfg"]) {
        assert!(held.as_bytes() == config.as_slice());
        assert_eq!(
            git(&world, &["rev-list", "--count", "main"]).unwrap(),
            "2\n"
        );
    }
    let masked = world.run(&["show", "csr3@0"]).out;
    assert!(masked.contains("enable secret 9 <secret:"), "{masked}");
}

#[test]
fn a_history_without_its_index_is_read_all_the_same() {
    let mut world = world(BOTH);
    world.run(&["backup"]).assert_code(0);
    world.change_configs(&other());
    world.run(&["backup"]).assert_code(0);
    let with = world.run(&["log", "csr1"]).out;
    fs::remove_file(world.path("configs.git/wrmem/versions.db")).unwrap();
    let _ = fs::remove_file(world.path("configs.git/wrmem/versions.db-wal"));
    assert_eq!(world.run(&["log", "csr1"]).out, with);
    fs::write(
        world.path("configs.git/wrmem/versions.db"),
        "garbage".repeat(1000),
    )
    .unwrap();
    assert_eq!(world.run(&["log", "csr1"]).out, with);
    world.run(&["backup"]).assert_code(0);
    assert_eq!(world.run(&["log", "csr1"]).out, with);
}

#[test]
fn without_git_nothing_is_packed_and_only_the_debug_log_says_so() {
    let mut world = world(BOTH);
    world.run(&["backup"]).assert_code(0);
    let packs = world.path("configs.git/objects/pack");
    for number in 0..41 {
        // Without its index a pack counts for nothing, but it is there.
        fs::write(packs.join(format!("pack-{number}.pack")), "").unwrap();
    }
    let mut said = Vec::new();
    for (seed, verbose) in [(1, "-vv"), (2, "-v")] {
        world.change_configs(&LabSpec {
            seed: LabSpec::default().seed + seed,
            ..LabSpec::default()
        });
        let mut command = world.command(&["backup", verbose]);
        command.env("PATH", "/nonexistent");
        let finished = world.spawn_command(command).finish();
        finished.assert_code(0);
        said.push(finished.err.matches("git is not installed").count());
        assert!(!finished.err.contains("packs it"), "{}", finished.err);
    }
    assert_eq!(said, [1, 0]);
}
