//! The clock of the machine jumps: through libfaketime, which lies to the real binary about the
//! clock on the wall and leaves the one alone that only goes on.

use crate::world::{Finished, World};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::process::Command;
use wrmem::lab::LabSpec;

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

fn faketime_is_there() -> bool {
    let there = Path::new(LIBRARY).exists();
    if !there {
        eprintln!("SKIPPED: libfaketime is not installed, so no clock jumps");
    }
    there
}

/// A command whose clock is put forward or back by what stands in the world's file.
fn with_clock(world: &World, args: &[&str]) -> Command {
    let mut command = world.command(args);
    command
        .env("LD_PRELOAD", LIBRARY)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_TIMESTAMP_FILE", world.path("clock"));
    command
}

fn set_clock(world: &World, offset: &str) {
    // Replaced at once: it may be read at any moment.
    let fresh = world.path("clock.new");
    fs::write(&fresh, offset).unwrap();
    fs::rename(fresh, world.path("clock")).unwrap();
}

fn at(world: &World, offset: &str, args: &[&str]) -> Finished {
    set_clock(world, offset);
    Finished::of(with_clock(world, args).output().unwrap())
}

#[test]
fn a_clock_that_was_wrong_for_a_while_neither_hides_an_old_backup_nor_loses_one() {
    if !faketime_is_there() {
        return;
    }
    let world = World::new(&LabSpec::default());
    let fine = ["status", "--older-than", "24h"];
    at(&world, "+0d", &["backup"]).assert_code(0);
    at(&world, "+0d", &fine).assert_code(0);
    // Forward by a month.
    let old = at(&world, "+30d", &fine);
    old.assert_code(1);
    assert!(old.out.contains("30 d"), "{}", old.out);
    at(&world, "+30d", &["backup"]).assert_code(0);
    at(&world, "+30d", &fine).assert_code(0);
    // And back: what was backed up in the month to come is of no known age.
    let ahead = at(&world, "+0d", &fine);
    ahead.assert_code(1);
    assert!(
        ahead.out.contains("ahead of this machine's clock"),
        "{}",
        ahead.out
    );
    at(&world, "+0d", &["backup"]).assert_code(0);
    at(&world, "+0d", &fine).assert_code(0);
    // Back by a day.
    at(&world, "-1d", &fine).assert_code(1);
    at(&world, "-1d", &["backup"]).assert_code(0);
    at(&world, "-1d", &fine).assert_code(0);
    let runs = at(&world, "+0d", &["runs", "--json"]);
    let runs: serde_json::Value = serde_json::from_str(&runs.out).unwrap();
    let ends: Vec<_> = runs["runs"].as_array().unwrap().iter().collect();
    assert_eq!(ends.len(), 4, "none is forgotten: {runs}");
    assert_eq!(world.assert_only_whole_files(), 3);
}

#[test]
fn the_orchestrator_goes_on_whatever_the_clock_does() {
    if !faketime_is_there() {
        return;
    }
    let world = World::new(&LabSpec::default());
    world.append("wrmem.toml", "[run]\nevery = \"1s\"");
    set_clock(&world, "+0d");
    let mut run = world.spawn_command(with_clock(&world, &["run"]));
    let all = |run: &mut crate::world::Running| {
        for name in ["csr1", "csr2", "csr3"] {
            run.wait_for_line(&format!("Device {name} finished successfully."));
        }
    };
    all(&mut run);
    for offset in ["+30d", "+29d", "-1d", "+0d"] {
        set_clock(&world, offset);
        run.wait_for_log("the clock of this machine went from");
        all(&mut run);
        all(&mut run);
    }
    run.signal(Signal::TERM);
    run.finish().assert_code(0);
    world.run(&["status", "--older-than", "1h"]).assert_code(0);
    assert_eq!(world.assert_only_whole_files(), 3);
}

#[test]
fn a_rest_lasts_no_longer_when_the_clock_is_set_back() {
    if !faketime_is_there() {
        return;
    }
    let world = World::new(&LabSpec {
        faults: vec!["silent@csr2".parse().unwrap()],
        ..LabSpec::default()
    });
    world.append(
        "wrmem.toml",
        "[run]\nattempts = 1\n[breaker]\nunreachable_runs = 1\nrest = \"1h\"\n[deadlines]\nkex = \"1s\"",
    );
    at(&world, "+0d", &["backup"]).assert_code(1);
    let left = |offset: &str| {
        let status = at(&world, offset, &["status", "csr2"]);
        status.assert_code(0);
        status.out
    };
    assert!(left("+0d").contains("unreachable, "), "{}", left("+0d"));
    assert!(left("+30d").contains("then tried once"), "{}", left("+30d"));
    let back = left("-1d");
    let sane = [
        "unreachable, 1 h left",
        "unreachable, 59 min left",
        "then tried once",
    ];
    assert!(sane.iter().any(|words| back.contains(words)), "{back}");
}
