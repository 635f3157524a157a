//! Commands beside a `wrmem run`: they hand over what only one process can do.

use crate::world::{Running, World};
use rustix::process::Signal;
use std::fs;
use wrmem::lab::{FaultRule, LabSpec};

/// A world in which `wrmem run` has backed every device up once and has nothing more to do.
fn with_a_service(spec: &LabSpec, settings: &str) -> (World, Running) {
    let world = World::new(spec);
    world.append(
        "wrmem.toml",
        &format!("[run]\nevery = \"300d\"\n{settings}"),
    );
    let mut service = world.spawn(&["run"]);
    let mut left: Vec<String> = world
        .lab
        .devices()
        .iter()
        .map(|it| it.name().to_owned())
        .collect();
    while !left.is_empty() {
        let line = service.next_line();
        left.retain(|name| !line.starts_with(&format!("Device {name} ")));
    }
    (world, service)
}

fn stop(service: Running) {
    service.signal(Signal::TERM);
    service.finish().assert_code(0);
}

#[test]
fn a_backup_beside_the_service_is_made_by_it_and_shown_as_ones_own() {
    let (world, service) = with_a_service(&LabSpec::default(), "");
    let saves = world.lab.device("csr2").unwrap().counts().saves;
    let done = world.run(&[
        "backup",
        "csr2",
        "--report",
        "report.json",
        "--timeline",
        "run.html",
    ]);
    done.assert_code(0)
        .assert_says("Backing up 1 device, saving on 1, all at once")
        .assert_says("Connecting to device | csr2")
        .assert_says("Writing config to file | csr2")
        .assert_says("Device csr2 finished successfully.")
        .assert_says("1 device: 1 ok.");
    assert!(
        done.err
            .contains("handed over to the wrmem that is running"),
        "{}",
        done.err
    );
    let last = done.out.lines().last().unwrap();
    assert!(last.starts_with("Execution time: "), "{last}");
    assert_eq!(world.lab.device("csr2").unwrap().counts().saves, saves + 1);
    let report = world.report();
    assert_eq!(report.outcome("csr2"), "ok");
    assert_eq!(report.0["counts"]["total"], 1);
    let page = fs::read_to_string(world.path("run.html")).unwrap();
    assert!(
        page.contains("csr2") && page.ends_with("</html>\n"),
        "{page}"
    );

    let quiet = world.run(&["backup", "--no-save", "csr[13]"]);
    quiet
        .assert_code(0)
        .assert_says("Backing up 2 devices, saving on none, all at once");
    let one_by_one = world.run(&["backup", "--sequential"]);
    one_by_one
        .assert_code(0)
        .assert_says("Backing up 3 devices, saving on 3, one by one");
    let narrow = world.run(&["backup", "--in-flight", "2", "--report", "report.json"]);
    narrow.assert_code(0);
    assert_eq!(world.report().0["in_flight_max"], 2);
    let check = world.run(&["check", "--connect"]);
    check.assert_code(0).assert_says("3 devices: 3 ok.");
    stop(service);
}

#[test]
fn exit_codes_are_those_of_a_run_of_ones_own() {
    let spec = LabSpec {
        faults: vec!["close-mid-output@csr2".parse::<FaultRule>().unwrap()],
        ..LabSpec::default()
    };
    let (world, service) = with_a_service(&spec, "attempts = 1");
    let failed = world.run(&["backup"]);
    failed.assert_code(1);
    assert!(
        failed.out.contains("Device csr2 failed: backup: "),
        "{}",
        failed.out
    );
    let unknown = world.run(&["backup", "csr9"]);
    unknown.assert_code(2);
    assert!(
        unknown.err.contains("there is no device \"csr9\""),
        "{}",
        unknown.err
    );
    let folder = world.run(&["backup", "--report", "nowhere/report.json"]);
    folder.assert_code(2);
    stop(service);
}

#[test]
fn what_cannot_be_handed_over_is_told() {
    let (world, service) = with_a_service(&LabSpec::default(), "");
    let other = world.path("other");
    fs::create_dir(&other).unwrap();
    for file in ["wrmem.toml", "devices.toml", "credentials.toml"] {
        fs::copy(world.settings().join(file), other.join(file)).unwrap();
    }
    let connections = world.lab.counts().connections;
    let elsewhere = world.run_with(&other, &["backup"]);
    elsewhere.assert_code(2);
    let own = world.settings();
    for told in [
        "has its settings in",
        own.to_str().unwrap(),
        other.to_str().unwrap(),
    ] {
        assert!(elsewhere.err.contains(told), "{told}\n{}", elsewhere.err);
    }
    let recorded = world.run(&["backup", "--record", "traces"]);
    recorded.assert_code(2);
    assert!(
        recorded.err.contains("--record cannot be handed over"),
        "{}",
        recorded.err
    );
    let archive = world.run(&["backup", "--archive", "elsewhere"]);
    archive.assert_code(2);
    assert!(
        archive.err.contains("--archive cannot be handed over"),
        "{}",
        archive.err
    );
    let mut with_env = world.command(&["backup"]);
    with_env.env("WRMEM__RUN__ATTEMPTS", "1");
    let with_env = world.spawn_command(with_env).finish();
    with_env.assert_code(2);
    assert!(
        with_env
            .err
            .contains("not started with the same WRMEM__RUN__ATTEMPTS"),
        "{}",
        with_env.err
    );
    assert_eq!(world.lab.counts().connections, connections);
    stop(service);
}

#[test]
fn an_interrupted_client_breaks_off_its_run_and_no_other() {
    let spec = LabSpec {
        faults: vec!["hang-mid-output@csr2".parse::<FaultRule>().unwrap()],
        ..LabSpec::default()
    };
    let settings = "grace = \"1s\"\nattempts = 1\n[deadlines]\nsilence = \"1s\"";
    let (world, mut service) = with_a_service(&spec, settings);
    world.replace("wrmem.toml", "silence = \"1s\"", "silence = \"10m\"");
    service.wait_for_log("settings that count from now on: deadlines");
    let mut client = world.spawn(&["backup", "--in-flight", "1", "--report", "report.json"]);
    client.wait_for_line("Backing up configuration | csr2");
    client.signal(Signal::INT);
    client.finish().assert_code(130);
    let report = world.report();
    assert_eq!(report.outcome("csr1"), "ok");
    assert_eq!(report.outcome("csr2"), "cancelled");
    assert_eq!(report.outcome("csr3"), "cancelled");
    world.run(&["backup", "csr1"]).assert_code(0);
    stop(service);
    assert_eq!(world.lab.counts().open, 0);
}

#[test]
fn a_socket_left_behind_is_nobody() {
    let (world, service) = with_a_service(&LabSpec::default(), "");
    service.signal(Signal::KILL);
    service.finish();
    assert!(world.path("state/control.sock").exists());
    let alone = world.run(&["backup"]);
    alone.assert_code(0);
    assert!(!alone.err.contains("handed over"), "{}", alone.err);
    let reload = world.run(&["reload"]);
    reload.assert_code(2);
    assert!(reload.err.contains("no wrmem is running"), "{}", reload.err);
}

#[test]
fn reload_tells_what_has_changed_and_takes_a_shrunk_inventory_only_by_force() {
    let spec = LabSpec {
        devices: 6,
        ..LabSpec::default()
    };
    let (world, service) = with_a_service(&spec, "");
    let same = world.run(&["reload"]);
    same.assert_code(0)
        .assert_says("nothing has changed: 6 devices");
    // Kept from the file watch by not being there when it looks.
    let path = world.settings().join("devices.toml");
    let all = fs::read_to_string(&path).unwrap();
    fs::write(&path, &all[..all.find("[devices.\"csr3\"]").unwrap()]).unwrap();
    let shrunk = world.run(&["reload"]);
    shrunk.assert_code(2);
    assert!(
        shrunk
            .err
            .contains("4 of 6 devices are not in the inventory any more"),
        "{}",
        shrunk.err
    );
    assert!(
        shrunk.err.contains("wrmem reload --force"),
        "{}",
        shrunk.err
    );
    let forced = world.run(&["reload", "--force"]);
    forced
        .assert_code(0)
        .assert_says("removed 4: csr3, csr4, csr5, csr6")
        .assert_says("now 2 devices, saving on 2");
    world.append("wrmem.toml", "[archive]\nmode = \"0640\"");
    let bad = world.run(&["reload"]);
    bad.assert_code(2);
    assert!(bad.err.contains("wrmem.toml"), "{}", bad.err);
    stop(service);
}

#[test]
fn a_replaced_device_is_trusted_while_the_service_runs() {
    let (world, service) = with_a_service(&LabSpec::default(), "");
    // The keys are kept when a run is over.
    world.run(&["backup", "csr1"]).assert_code(0);
    let known = world.path("state/known_hosts");
    let port = world.lab.device("csr1").unwrap().addr().port().to_string();
    assert!(fs::read_to_string(&known).unwrap().contains(&port));
    let trust = world.run(&["trust", "csr1"]);
    trust.assert_code(0);
    assert!(
        trust.out.contains("forgotten: ssh-ed25519 SHA256:"),
        "{}",
        trust.out
    );
    assert!(!fs::read_to_string(&known).unwrap().contains(&port));
    world.run(&["backup", "csr1"]).assert_code(0);
    assert!(fs::read_to_string(&known).unwrap().contains(&port));
    stop(service);
}
