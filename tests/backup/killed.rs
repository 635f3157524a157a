//! `kill -9` at each call by which the real binary changes a disk for good, through strace: what
//! nobody thought of is among them too. `tests/crash` kills after the steps that have names.

use crate::git::{BOTH, assert_committed_exactly, other, world};
use crate::world::{World, all_files};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run keeps.
const KEPT: [&str; 3] = ["configs", "configs.git", "state"];

/// Whether strace is installed and may trace.
fn strace_is_there() -> bool {
    let mut tried = Command::new("strace");
    tried.args(["-qq", "-o", "/dev/null", "true"]);
    let there = tried.output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("SKIPPED: strace is not installed or may not trace, so it kills nothing");
    }
    there
}

/// A run that dies when one of its threads makes the `count`th such call; whether it died.
fn dies_at(world: &World, call: &str, count: usize) -> bool {
    let run = world.command(&["backup", "--report", "report.json"]);
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("trace={call}"))
        .arg("-e")
        .arg(format!("inject={call}:signal=KILL:when={count}"))
        .arg(run.get_program())
        .args(run.get_args())
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| name == "PATH"))
        .current_dir(run.get_current_dir().unwrap())
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    let died = output.status.signal() == Some(9);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(died || output.status.success(), "{call} {count}: {said}");
    died
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_owned();
            (path, to.join(name))
        };
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// Each device's config is whole: what it was, or what it is now.
fn assert_whole(world: &World, before: &Path, call: &str) {
    for device in world.lab.devices() {
        let name = device.name();
        let held = world.stored(name).unwrap();
        let old = fs::read(before.join("configs").join(format!("{name}.cfg"))).unwrap();
        let whole = held == old || held == device.expected();
        assert!(whole, "{call}: {name}");
    }
}

fn assert_no_leftovers(world: &World, call: &str) {
    for path in all_files(&world.path("")) {
        let unfinished = path.components().any(|part| {
            let name = part.as_os_str().to_str().unwrap();
            // The lock of the known host keys stays where it is.
            let locked = name.ends_with(".lock") && name != "known_hosts.lock";
            name.contains("wrmem-tmp") || name.starts_with("tmp_") || locked
        });
        let below = path.strip_prefix(world.path("")).unwrap();
        let unfinished = unfinished || below.to_str().unwrap().contains("/.tmp");
        assert!(!unfinished, "{call}: {} is left", below.display());
    }
}

/// A world with a good run behind it, and other configs on its devices since.
fn kill_at_each(calls: &[&str]) {
    if !strace_is_there() {
        return;
    }
    let mut world = world(BOTH);
    world.run(&["backup"]).assert_code(0);
    world.change_configs(&other());
    let before = tempfile::tempdir().unwrap();
    for kept in KEPT {
        copy(&world.path(kept), &before.path().join(kept));
    }
    let mut kills = 0;
    for call in calls {
        for count in 1.. {
            for kept in KEPT {
                fs::remove_dir_all(world.path(kept)).unwrap();
                copy(&before.path().join(kept), &world.path(kept));
            }
            if !dies_at(&world, call, count) {
                break;
            }
            kills += 1;
            let at = format!("{call} {count}");
            assert_whole(&world, before.path(), &at);
            let mended = world.run(&["backup"]);
            assert_eq!(mended.code, Some(0), "{at}: {}", mended.err);
            assert_committed_exactly(&world);
            assert_no_leftovers(&world, &at);
            let fine = world.run(&["status", "--older-than", "1h"]);
            assert_eq!(fine.code, Some(0), "{at}: {}", fine.out);
        }
    }
    println!("killed {kills} times");
    assert!(kills > 0, "a run makes such calls");
}

#[test]
fn a_run_survives_a_kill_before_any_wait_for_the_disk() {
    kill_at_each(&["fsync", "fdatasync", "syncfs"]);
}

#[test]
fn a_run_survives_a_kill_before_any_change_of_names() {
    kill_at_each(&["rename", "renameat2", "unlink", "mkdir", "link", "linkat"]);
}

#[test]
fn a_run_survives_a_kill_before_any_write_of_the_database_and_any_cut() {
    kill_at_each(&["pwrite64", "ftruncate"]);
}
