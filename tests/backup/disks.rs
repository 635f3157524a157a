//! Full and read-only disks, real ones: what was good stays, what to do is told, and nothing but
//! room or a writable mount is needed to go on.

use crate::git::{BOTH, assert_committed_exactly, other, world};
use crate::world::{World, all_files};
use rustix::process::Signal;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use wrmem::lab::LabSpec;

/// A small file system of its own, where that can be had.
pub(crate) struct SmallDisk(PathBuf);

fn mount(args: &[&str], path: &Path) -> bool {
    let output = Command::new("mount").args(args).arg(path).output();
    output.is_ok_and(|output| output.status.success())
}

impl SmallDisk {
    pub(crate) fn mount(at: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        if mount(
            &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"],
            &at,
        ) {
            return Some(Self(at));
        }
        eprintln!("SKIPPED: no tmpfs can be mounted here (that takes root)");
        None
    }

    /// To the last byte.
    pub(crate) fn fill(&self) {
        for size in [65_536, 4096, 512, 1] {
            let path = self.0.join(format!("filler-{size}"));
            let mut file = fs::File::create(path).unwrap();
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// All but so many bytes.
    fn fill_but(&self, free: usize) {
        let reserve = self.0.join("reserve");
        fs::write(&reserve, vec![0; free]).unwrap();
        self.fill();
        fs::remove_file(reserve).unwrap();
    }

    pub(crate) fn make_room(&self) {
        for path in all_files(&self.0) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with("filler-") {
                fs::remove_file(path).unwrap();
            }
        }
    }

    pub(crate) fn read_only(&self) {
        assert!(mount(&["-o", "remount,ro"], &self.0));
    }

    fn writable(&self) {
        assert!(mount(&["-o", "remount,rw"], &self.0));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Archive, repository, state and host keys on one small disk, with a good run behind them and
/// other configs on the devices since.
fn all_on_one_disk(spec: &LabSpec, kinds: &str) -> Option<(World, SmallDisk)> {
    let mut world = world(kinds);
    let disk = SmallDisk::mount(world.path("disk"), "2m")?;
    for kept in ["configs", "configs.git", "state"] {
        let (from, to) = (world.path(kept), world.path("disk").join(kept));
        let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
        world.replace("wrmem.toml", &format!("{from}\""), &format!("{to}\""));
    }
    let hosts = (world.path("state/known_hosts"), world.path("disk/hosts"));
    let (from, to) = (hosts.0.to_str().unwrap(), hosts.1.to_str().unwrap());
    world.replace("wrmem.toml", from, to);
    for kept in ["configs", "configs.git", "state"] {
        std::os::unix::fs::symlink(world.path("disk").join(kept), world.path(kept)).unwrap();
    }
    world.run(&["backup"]).assert_code(0);
    world.change_configs(spec);
    Some((world, disk))
}

const FILES: &str = "[\"files\"]";

fn files(world: &World) -> Vec<Option<Vec<u8>>> {
    ["csr1", "csr2", "csr3"]
        .iter()
        .map(|name| world.stored(name))
        .collect()
}

fn assert_no_temporary_files(world: &World) {
    for path in all_files(&world.path("disk")) {
        let name = path.to_str().unwrap();
        // The lock of the known host keys stays where it is.
        let locked = name.ends_with(".lock") && !name.ends_with("hosts.lock");
        let unfinished = name.contains("wrmem-tmp") || locked;
        assert!(!unfinished, "{name} is left");
    }
}

#[test]
fn a_full_disk_under_everything_keeps_what_is_good_and_room_is_all_it_takes() {
    for kinds in [FILES, BOTH] {
        let Some((world, disk)) = all_on_one_disk(&other(), kinds) else {
            return;
        };
        let good = files(&world);
        disk.fill();
        for _ in 0..2 {
            let finished = world.run(&["backup"]);
            let told = format!("{kinds}\n{}\n{}", finished.out, finished.err);
            assert_eq!(finished.code, Some(3), "{told}");
            assert!(told.contains("make room on that disk"), "{told}");
            assert!(files(&world) == good, "what is good stays: {told}");
        }
        // It can still be asked how things stand.
        let old = world.run(&["status", "--older-than", "1h"]);
        old.assert_code(0);
        world.run(&["runs"]).assert_code(0);
        disk.make_room();
        world.run(&["backup"]).assert_code(0);
        assert_eq!(world.assert_only_whole_files(), 3);
        if kinds == BOTH {
            assert_committed_exactly(&world);
        }
        world.run(&["status", "--older-than", "1h"]).assert_code(0);
        assert_no_temporary_files(&world);
    }
}

#[test]
fn a_disk_that_fills_up_in_a_run_takes_what_fits_and_nothing_half() {
    let large = LabSpec {
        config_bytes: 100_000,
        ..other()
    };
    let Some((world, disk)) = all_on_one_disk(&large, FILES) else {
        return;
    };
    let good = files(&world);
    disk.fill_but(150_000);
    let finished = world.run(&["backup", "--sequential", "--report", "report.json"]);
    finished.assert_code(3);
    let report = world.report();
    let mut stored = 0;
    for (name, good) in ["csr1", "csr2", "csr3"].iter().zip(good) {
        if report.outcome(name) == "ok" {
            stored += 1;
            world.assert_stored_exactly(name);
        } else {
            assert_eq!(report.kind(name), "archive");
            let message = report.device(name)["failure"]["message"].to_string();
            assert!(message.contains("make room on that disk"), "{message}");
            assert!(world.stored(name) == good, "{name}");
        }
    }
    assert!(stored < 3, "not all of them fit");
    assert_no_temporary_files(&world);
    disk.make_room();
    // Not `--failed`: the state was on that disk too and could not take note of what failed.
    world.run(&["backup"]).assert_code(0);
    assert_eq!(world.assert_only_whole_files(), 3);
}

fn logins(world: &World, name: &str) -> u64 {
    world.lab.device(name).unwrap().counts().connections
}

#[test]
fn the_orchestrator_outlives_a_full_disk_under_everything() {
    let Some((world, disk)) = all_on_one_disk(&other(), BOTH) else {
        return;
    };
    world.append("wrmem.toml", "[run]\nevery = \"1s\"\nattempts = 1");
    let mut run = world.spawn(&["run"]);
    run.wait_for_line("finished successfully");
    disk.fill();
    run.wait_for_log("the state cannot be written");
    // Its configs are stored: what does not change needs no room.
    run.wait_for_line("finished successfully");
    disk.make_room();
    run.wait_for_log("the state can be written again");
    // A device's session that began after that is over when its next one begins.
    let sessions = || ["csr1", "csr2", "csr3"].map(|name| logins(&world, name));
    let before = sessions();
    let had_its_turn = |(now, before): (u64, u64)| now > before + 1;
    while !std::iter::zip(sessions(), before).all(had_its_turn) {
        run.wait_for_line("finished successfully");
    }
    run.signal(Signal::TERM);
    run.finish().assert_code(0);
    assert_committed_exactly(&world);
    assert_eq!(world.assert_only_whole_files(), 3);
    world.run(&["status", "--older-than", "1h"]).assert_code(0);
}

#[test]
fn a_read_only_disk_under_everything_is_told_before_a_device_is_asked() {
    for kinds in [FILES, BOTH] {
        let Some((world, disk)) = all_on_one_disk(&other(), kinds) else {
            return;
        };
        let good = files(&world);
        disk.read_only();
        let finished = world.run(&["backup"]);
        finished.assert_code(3);
        assert!(
            finished.err.contains("mount it writable"),
            "{}",
            finished.err
        );
        assert_eq!(world.lab.counts().connections, 0);
        assert!(files(&world) == good);
        for question in [vec!["status", "--older-than", "1h"], vec!["runs"]] {
            world.run(&question).assert_code(0);
        }
        disk.writable();
        world.run(&["backup"]).assert_code(0);
        assert_eq!(world.assert_only_whole_files(), 3);
    }
}

#[test]
fn an_archive_under_a_read_only_bind_mount_is_told_and_the_state_goes_on() {
    let mut world = world(FILES);
    world.run(&["backup"]).assert_code(0);
    world.change_configs(&other());
    let configs = world.path("configs");
    let bound = mount(&["--bind", configs.to_str().unwrap()], &configs);
    if !bound {
        eprintln!("SKIPPED: nothing can be mounted here (that takes root)");
        return;
    }
    let disk = SmallDisk(configs.clone());
    assert!(mount(&["-o", "remount,bind,ro"], &configs));
    let good = files(&world);
    let finished = world.run(&["backup"]);
    finished.assert_code(3);
    let told = format!("{}: make a file", configs.display());
    assert!(finished.err.contains(&told), "{}", finished.err);
    assert!(
        finished.err.contains("mount it writable"),
        "{}",
        finished.err
    );
    assert_eq!(world.lab.counts().connections, 0);
    assert!(files(&world) == good);
    drop(disk);
    world.run(&["backup"]).assert_code(0);
    assert_eq!(world.assert_only_whole_files(), 3);
}
