//! Whole runs: the real binary against simulated CSRs over real SSH.
#![cfg(test)]
#![cfg(feature = "lab")]

mod clock;
mod disks;
mod faults;
mod git;
mod handover;
mod interrupted;
mod killed;
mod pacing;
mod recorded;
mod redacted;
mod remembered;
mod saving;
mod secrets;
mod service;
mod vendor;
mod ways;
mod world;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use world::World;
use wrmem::lab::{Algorithms, LabSpec, Login};

#[test]
fn three_devices_are_saved_backed_up_and_reported_in_the_words_of_the_exercise() {
    let world = World::new(&LabSpec::default());
    let finished = world.run(&[
        "backup",
        "--report",
        "report.json",
        "--timeline",
        "run.html",
    ]);
    finished.assert_code(0);
    for name in ["csr1", "csr2", "csr3"] {
        world.assert_stored_exactly(name);
        let file = world.path("configs").join(format!("{name}.cfg"));
        assert_eq!(
            fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(world.lab.device(name).unwrap().counts().saves, 1);
        finished
            .assert_says(&format!("Connecting to device | {name}"))
            .assert_says(&format!("Saving configuration | {name}"))
            .assert_says(&format!("Backing up configuration | {name}"))
            .assert_says(&format!("Writing config to file | {name}"))
            .assert_says(&format!("Device {name} finished successfully."));
    }
    let last = finished.out.lines().last().unwrap();
    assert!(last.starts_with("Execution time: "), "{last}");
    let report = world.report();
    assert_eq!(report.0["version"], 1);
    assert_eq!(report.0["counts"]["total"], 3);
    assert_eq!(report.0["counts"]["succeeded"], 3);
    assert_eq!(report.0["counts"]["new"], 3);
    assert_eq!(report.0["completion_order"].as_array().unwrap().len(), 3);
    assert!(
        fs::read_to_string(world.path("run.html"))
            .unwrap()
            .contains("csr2")
    );
    assert_eq!(
        world.lab.counts().none_requests,
        0,
        "no `none` login is tried"
    );
}

#[test]
fn what_did_not_change_is_not_touched() {
    let world = World::new(&LabSpec::default());
    world.run(&["backup"]).assert_code(0);
    let inode = |name: &str| {
        let file = world.path("configs").join(format!("{name}.cfg"));
        let metadata = fs::metadata(file).unwrap();
        (metadata.ino(), metadata.mtime_nsec())
    };
    let before = [inode("csr1"), inode("csr2"), inode("csr3")];
    world
        .run(&["backup", "--report", "report.json"])
        .assert_code(0);
    assert_eq!([inode("csr1"), inode("csr2"), inode("csr3")], before);
    assert_eq!(world.report().0["counts"]["unchanged"], 3);
}

#[test]
fn names_groups_and_flags_choose_what_is_done() {
    let world = World::new(&LabSpec::default());
    let archive = world.path("elsewhere");
    let args = [
        "backup",
        "csr2",
        "--no-save",
        "--sequential",
        "--archive",
        "elsewhere",
    ];
    world.run(&args).assert_code(0);
    assert_eq!(
        fs::read(archive.join("csr2.cfg")).unwrap(),
        world.lab.device("csr2").unwrap().expected()
    );
    assert!(!archive.join("csr1.cfg").exists());
    assert_eq!(
        world.lab.counts().saves,
        0,
        "--no-save types no `write memory`"
    );
    let typed = world.lab.device("csr2").unwrap().typed();
    assert!(!String::from_utf8_lossy(&typed).contains("wr"), "{typed:?}");
}

#[test]
fn a_device_that_starts_in_user_mode_is_enabled() {
    let spec = LabSpec {
        devices: 1,
        login: Login {
            level: 1,
            ..Login::default()
        },
        ..LabSpec::default()
    };
    let world = World::new(&spec);
    world.run(&["backup"]).assert_code(0);
    world.assert_stored_exactly("csr1");
}

#[test]
fn the_exercises_own_routers_are_reached_with_default_settings_and_the_report_notes_it() {
    let spec = LabSpec {
        devices: 1,
        algorithms: Algorithms::IosXe16,
        ..LabSpec::default()
    };
    let world = World::new(&spec);
    world
        .run(&["backup", "--report", "report.json"])
        .assert_code(0);
    world.assert_stored_exactly("csr1");
    let report = world.report();
    let notes = report.device("csr1")["notes"].to_string();
    assert!(notes.contains("ssh-rsa"), "{notes}");
    world.append("wrmem.toml", "[run]\nattempts = 1");
    world.replace("wrmem.toml", "[ssh]", "[ssh]\nalgorithms = \"modern\"");
    let refused = world.run(&["backup", "--report", "report.json"]);
    refused.assert_code(1);
    let report = world.report();
    assert_eq!(report.kind("csr1"), "algorithms");
    let message = report.device("csr1")["failure"]["message"].to_string();
    assert!(
        message.contains("diffie-hellman-group14-sha1"),
        "both offers: {message}"
    );
    assert!(
        message.contains("compatible"),
        "the setting that helps: {message}"
    );
}

#[test]
fn one_device_needs_no_settings_folder() {
    use std::io::Write;
    use std::process::Stdio;
    let world = World::new(&LabSpec {
        devices: 1,
        ..LabSpec::default()
    });
    let device = world.lab.device("csr1").unwrap();
    let port = device.addr().port().to_string();
    let args = [
        "backup",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--platform",
        "cisco_ios",
        "--user",
        "ntc",
        "--ask-pass",
    ];
    let mut command = world.command(&args);
    command.arg("--settings").arg(world.path("nowhere"));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"ntc123\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let stored = fs::read(world.path("configs").join("127.0.0.1.cfg")).unwrap();
    assert_eq!(stored, device.expected());
}

#[test]
fn wrong_input_ends_with_2_and_says_what_to_do() {
    let world = World::new(&LabSpec {
        devices: 1,
        ..LabSpec::default()
    });
    let unknown = world.run(&["backup", "csr9"]);
    unknown.assert_code(2);
    assert!(unknown.err.contains("csr9"), "{}", unknown.err);
    assert!(
        unknown.err.contains("csr1"),
        "names what there is: {}",
        unknown.err
    );
    world.run(&["backup", "--in-flight", "0"]).assert_code(2);
    let nowhere = world.run(&["backup", "--report", "nowhere/report.json"]);
    nowhere.assert_code(2);
    assert!(nowhere.err.contains("nowhere"), "{}", nowhere.err);
    assert_eq!(world.lab.counts().connections, 0, "known before the run");
    world.run(&["backup", "--nonsense"]).assert_code(2);
    world.run(&["nonsense"]).assert_code(2);
    world.append("wrmem.toml", "[nonsense]\nx = 1");
    let faulty = world.run(&["check"]);
    faulty.assert_code(2);
    assert!(
        format!("{}{}", faulty.out, faulty.err).contains("nonsense"),
        "{faulty:?}"
    );
}

#[test]
fn an_archive_that_cannot_be_written_ends_with_3() {
    let world = World::new(&LabSpec {
        devices: 1,
        ..LabSpec::default()
    });
    fs::write(world.path("file"), "").unwrap();
    let finished = world.run(&["backup", "--archive", "file/below"]);
    finished.assert_code(3);
    assert!(finished.err.contains("file/below"), "{}", finished.err);
    assert_eq!(
        world.lab.counts().connections,
        0,
        "nothing is asked before that is known"
    );
}

#[test]
fn a_device_with_faulty_settings_fails_and_the_others_go_on() {
    let world = World::new(&LabSpec::default());
    world.replace(
        "devices.toml",
        "[devices.\"csr2\"]",
        "[devices.\"csr2\"]\nplatform = \"nonsense\"",
    );
    world
        .run(&["backup", "--report", "report.json"])
        .assert_code(1);
    let report = world.report();
    assert_eq!(report.outcome("csr1"), "ok");
    assert_eq!(report.kind("csr2"), "settings");
    assert_eq!(report.outcome("csr3"), "ok");
    world.run(&["check"]).assert_code(2);
}

#[test]
fn check_logs_in_and_changes_nothing() {
    let world = World::new(&LabSpec::default());
    world.run(&["check"]).assert_code(0);
    assert_eq!(world.lab.counts().connections, 0);
    world.run(&["check", "--connect"]).assert_code(0);
    let counts = world.lab.counts();
    assert_eq!((counts.logins, counts.saves, counts.show_runs), (3, 0, 0));
    assert_eq!(world.assert_only_whole_files(), 0);
}

#[test]
fn a_reader_that_goes_away_does_not_harm_the_run() {
    use std::io::Read;
    use std::process::Stdio;
    let world = World::new(&LabSpec::default());
    let mut command = world.command(&["backup"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut err = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert!(status.success(), "{err}");
    assert_eq!(world.assert_only_whole_files(), 3);
}

#[test]
fn a45_every_step_of_a_connection_is_timed_by_itself() {
    let world = World::new(&LabSpec {
        devices: 1,
        ..LabSpec::default()
    });
    world
        .run(&["backup", "--report", "report.json"])
        .assert_code(0);
    let report = world.report();
    let stages = report.device("csr1")["stages"].as_array().unwrap();
    assert_eq!(stages[0]["stage"], "connect");
    let steps = stages[0]["steps"].as_object().unwrap();
    for step in ["tcp", "kex", "gate", "auth", "shell", "prompt", "prepare"] {
        assert!(steps[step].is_number(), "{step} in {steps:?}");
    }
    for stage in ["save", "backup", "write", "disconnect"] {
        assert!(
            stages.iter().any(|entry| entry["stage"] == stage),
            "{stage}"
        );
    }
}
