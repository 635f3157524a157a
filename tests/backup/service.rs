//! `wrmem run`, the real binary.

use crate::world::World;
use rustix::process::Signal;
use wrmem::lab::LabSpec;

#[test]
fn it_starts_only_where_save_is_written() {
    let world = World::new(&LabSpec::default());
    world.replace("devices.toml", "save = \"always\"\n", "");
    let refused = world.run(&["run"]);
    refused.assert_code(2);
    for told in [
        "csr1, csr2, csr3",
        "wrmem.toml",
        "save = \"always\"",
        "--no-save",
    ] {
        assert!(refused.err.contains(told), "{told}\n{}", refused.err);
    }
    assert_eq!(world.lab.counts().connections, 0);

    let mut run = world.spawn(&["run", "--no-save"]);
    run.wait_for_line("Device csr2 finished successfully.");
    run.signal(Signal::TERM);
    run.finish().assert_code(0);
    assert_eq!(world.lab.counts().saves, 0);
}

/// What a service manager hears.
struct Manager {
    socket: std::os::unix::net::UnixDatagram,
    path: std::path::PathBuf,
}

impl Manager {
    fn listen(world: &World) -> Self {
        let path = world.path("notify");
        Self {
            socket: std::os::unix::net::UnixDatagram::bind(&path).unwrap(),
            path,
        }
    }

    /// Waits until a message has a line that begins so, and returns the message.
    fn wait_for(&self, begins: &str) -> String {
        loop {
            let mut buffer = [0; 4096];
            let length = self.socket.recv(&mut buffer).unwrap();
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if message.lines().any(|line| line.starts_with(begins)) {
                return message;
            }
        }
    }
}

#[test]
fn the_service_manager_is_told_of_readiness_life_reloads_and_the_end() {
    let world = World::new(&LabSpec::default());
    let manager = Manager::listen(&world);
    let mut command = world.command(&["run"]);
    command
        .env("NOTIFY_SOCKET", &manager.path)
        .env("WATCHDOG_USEC", "300000");
    let mut run = world.spawn_command(command);
    manager.wait_for("READY=1");
    let status = manager.wait_for("STATUS=3 devices");
    assert!(status.contains("next turn at "), "{status}");
    manager.wait_for("WATCHDOG=1");
    manager.wait_for("WATCHDOG=1");
    run.signal(Signal::HUP);
    let reloading = manager.wait_for("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    manager.wait_for("READY=1");
    run.wait_for_log("nothing has changed: 3 devices");
    run.signal(Signal::TERM);
    manager.wait_for("STOPPING=1");
    run.finish().assert_code(0);
}

#[test]
fn changed_files_take_effect_and_bad_ones_do_not() {
    let world = World::new(&LabSpec {
        devices: 6,
        ..LabSpec::default()
    });
    world.append("wrmem.toml", "[run]\nevery = \"1s\"");
    let manager = Manager::listen(&world);
    let all = std::fs::read_to_string(world.settings().join("devices.toml")).unwrap();
    let without_the_last = &all[..all.find("[devices.\"csr6\"]").unwrap()];
    std::fs::write(world.settings().join("devices.toml"), without_the_last).unwrap();
    let mut command = world.command(&["run"]);
    command.env("NOTIFY_SOCKET", &manager.path);
    let mut run = world.spawn_command(command);
    run.wait_for_line("Device csr5 finished successfully.");

    // As editors do it: another file in its place.
    let change = |text: &str| {
        let new = world.settings().join("devices.toml.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, world.settings().join("devices.toml")).unwrap();
    };
    change(&all);
    run.wait_for_log("added 1: csr6; now 6 devices, saving on 6");
    run.wait_for_line("Device csr6 finished successfully.");

    change("[defaults\n");
    run.wait_for_log("the settings stay as they were");
    let bad = loop {
        let status = manager.wait_for("STATUS=6 devices");
        if status.contains("BAD since") {
            break status;
        }
    };
    assert!(bad.contains("devices.toml:1: "), "{bad}");
    run.wait_for_line("Device csr1 finished successfully.");

    change(&all[..all.find("[devices.\"csr4\"]").unwrap()]);
    run.wait_for_log("3 of 6 devices are not in the inventory any more (csr4, csr5, csr6)");
    change(&all[..all.find("[devices.\"csr6\"]").unwrap()]);
    run.wait_for_log("removed 1: csr6");
    run.signal(Signal::TERM);
    run.finish().assert_code(0);
}

#[test]
fn the_log_as_json_is_one_object_a_line_and_all_there_is() {
    let world = World::new(&LabSpec {
        faults: vec!["close-mid-output@csr2".parse().unwrap()],
        ..LabSpec::default()
    });
    world.append("wrmem.toml", "[run]\nevery = \"300d\"\nattempts = 1");
    let mut run = world.spawn(&["--log-format", "json", "run"]);
    let mut log = String::new();
    while !log.contains("run over") {
        log.push_str(&run.next_log_line());
    }
    run.signal(Signal::TERM);
    let done = run.finish();
    done.assert_code(0);
    assert_eq!(done.out, "");
    let records: Vec<serde_json::Value> = (log + &done.err)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let of = |device: &str| {
        let mut found = records
            .iter()
            .filter(|record| record["device"] == device && !record["outcome"].is_null());
        found.next().unwrap()
    };
    assert_eq!(
        (of("csr1")["level"].as_str(), of("csr1")["stored"].as_str()),
        (Some("info"), Some("new"))
    );
    let failed = of("csr2");
    assert_eq!(failed["level"], "warn");
    assert_eq!(failed["stage"], "backup");
    assert_eq!(failed["kind"], "truncated");
    assert_eq!(failed["run"], of("csr1")["run"]);
    let over = records
        .iter()
        .find(|record| record["message"].as_str().unwrap().starts_with("run over"))
        .unwrap();
    assert_eq!((&over["failed"], &over["ok"]), (&1.into(), &2.into()));
    for record in &records {
        let time = record["time"].as_str().unwrap();
        assert!(
            time.len() == "2026-11-27T21:00:00.123Z".len() && time.ends_with('Z'),
            "{time}"
        );
    }
}
