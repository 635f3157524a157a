//! Signals, and the hardest one.

use crate::world::World;
use rustix::process::Signal;
use std::time::Duration;
use wrmem::lab::{FaultRule, LabSpec, Think};

/// Two good devices and one that hangs in the middle of its config.
fn one_hangs() -> World {
    let world = World::new(&LabSpec {
        faults: vec!["hang-mid-output@csr2".parse::<FaultRule>().unwrap()],
        ..LabSpec::default()
    });
    world.append("wrmem.toml", "[run]\ngrace = \"1s\"\nin_flight = 3");
    world
}

#[test]
fn sigint_lets_devices_end_within_the_grace_reports_and_exits_130() {
    let world = one_hangs();
    let mut run = world.spawn(&["backup", "--report", "report.json"]);
    run.wait_for_line("Backing up configuration | csr2");
    run.signal(Signal::INT);
    run.finish().assert_code(130);
    let report = world.report();
    assert_eq!(report.outcome("csr2"), "cancelled");
    assert_eq!(report.kind("csr2"), "cancelled");
    assert_eq!(world.stored("csr2"), None);
    world.assert_only_whole_files();
    assert_eq!(world.lab.counts().open, 0);
}

#[test]
fn sigterm_exits_143_and_queued_devices_are_cancelled() {
    let world = one_hangs();
    let mut run = world.spawn(&[
        "backup",
        "csr2",
        "csr3",
        "--in-flight",
        "1",
        "--report",
        "report.json",
    ]);
    run.wait_for_line("Backing up configuration | csr2");
    run.signal(Signal::TERM);
    run.finish().assert_code(143);
    let report = world.report();
    assert_eq!(report.outcome("csr3"), "cancelled");
    assert_eq!(report.0["counts"]["cancelled"], 2);
    assert_eq!(world.lab.device("csr3").unwrap().counts().connections, 0);
}

#[test]
fn a_second_signal_ends_at_once() {
    let world = one_hangs();
    world.replace("wrmem.toml", "grace = \"1s\"", "grace = \"1h\"");
    let mut run = world.spawn(&["-v", "backup"]);
    run.wait_for_line("Backing up configuration | csr2");
    run.signal(Signal::INT);
    run.wait_for_log("stopping");
    run.signal(Signal::INT);
    run.finish().assert_code(130);
    world.assert_only_whole_files();
}

#[test]
fn the_orchestrator_drains_within_the_grace_and_a_second_signal_ends_it_at_once() {
    let world = one_hangs();
    let mut run = world.spawn(&["-v", "run"]);
    run.wait_for_line("Backing up configuration | csr2");
    run.signal(Signal::TERM);
    let run = run.finish();
    run.assert_code(0);
    assert!(run.err.contains("may go on for 1 s"), "{}", run.err);
    assert_eq!(world.stored("csr2"), None);
    world.assert_only_whole_files();
    assert_eq!(world.lab.counts().open, 0);

    world.replace("wrmem.toml", "grace = \"1s\"", "grace = \"1h\"");
    let mut run = world.spawn(&["-v", "run"]);
    run.wait_for_line("Backing up configuration | csr2");
    run.signal(Signal::TERM);
    run.wait_for_log("once more ends at once");
    run.signal(Signal::TERM);
    let run = run.finish();
    run.assert_code(143);
    assert!(run.err.contains("ending at once"), "{}", run.err);
    world.assert_only_whole_files();
}

#[test]
fn the_orchestrator_repeats_survives_a_failing_device_and_exits_0_on_sigterm() {
    let world = World::new(&LabSpec {
        faults: vec!["close-mid-output@csr2".parse::<FaultRule>().unwrap()],
        ..LabSpec::default()
    });
    world.append("wrmem.toml", "[run]\nevery = \"1s\"\nattempts = 1");
    let mut run = world.spawn(&["run", "--report", "report.json"]);
    run.wait_for_line("Device csr2 failed: ");
    run.wait_for_line("Device csr2 failed: ");
    run.signal(Signal::TERM);
    let run = run.finish();
    run.assert_code(0);
    assert!(
        !run.out.contains("Connecting"),
        "a line for each device, not for each stage\n{}",
        run.out
    );
    assert!(world.lab.device("csr1").unwrap().counts().saves >= 1);
    world.assert_stored_exactly("csr1");
    assert_eq!(world.stored("csr2"), None);
    assert!(world.path("report.json").exists());
    assert_eq!(world.lab.counts().open, 0);
}

#[test]
fn two_at_a_time_with_one_state_folder_are_refused() {
    let world = one_hangs();
    let mut first = world.spawn(&["backup"]);
    first.wait_for_line("Connecting to device");
    let second = world.run(&["backup"]);
    second.assert_code(2);
    assert!(
        second.err.contains("wrmem backup"),
        "names the holder: {}",
        second.err
    );
}

#[test]
fn kill_9_at_any_moment_leaves_only_whole_files() {
    let world = World::new(&LabSpec {
        devices: 12,
        config_bytes: 200_000,
        think: Think {
            show_run: Duration::from_millis(30),
            ..Think::default()
        },
        jitter: 1.0,
        ..LabSpec::default()
    });
    // Each kill comes at another fact of the run: the n-th config being written.
    let mut whole = 0;
    for device in world.lab.devices() {
        let mut run = world.spawn(&["backup"]);
        run.wait_for_line(&format!("Writing config to file | {}", device.name()));
        run.signal(Signal::KILL);
        assert_eq!(run.finish().code, None, "it was killed");
        whole = whole.max(world.assert_only_whole_files());
    }
    world.run(&["backup"]).assert_code(0);
    assert_eq!(
        world.assert_only_whole_files(),
        12,
        "at most {whole} before"
    );
}
