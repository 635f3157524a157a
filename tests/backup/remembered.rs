//! What is remembered between runs: status, history, runs, breakers; and trouble with the state.

use crate::disks::SmallDisk;
use crate::world::World;
use rusqlite::Connection;
use rustix::process::Signal;
use std::fs;
use std::time::{Duration, SystemTime};
use wrmem::lab::{FaultRule, LabSpec, Think};

fn with_fault(rule: &str) -> World {
    let world = World::new(&LabSpec {
        faults: vec![rule.parse::<FaultRule>().unwrap()],
        ..LabSpec::default()
    });
    world.append("wrmem.toml", "[run]\nattempts = 1");
    world
}

impl World {
    /// A command that answers in JSON.
    fn json(&self, args: &[&str], code: i32) -> serde_json::Value {
        let finished = self.run(args);
        finished.assert_code(code);
        serde_json::from_str(&finished.out).unwrap()
    }

    fn database(&self) -> Connection {
        Connection::open(self.path("state").join("wrmem.db")).unwrap()
    }

    fn logins(&self, name: &str) -> u64 {
        self.lab.device(name).unwrap().counts().connections
    }
}

/// The names in a list of devices, in its order.
fn names(devices: &serde_json::Value) -> Vec<&str> {
    let devices = devices.as_array().unwrap().iter();
    devices
        .map(|device| device["name"].as_str().unwrap())
        .collect()
}

#[test]
fn how_devices_stand_is_known_before_and_after_the_first_run() {
    let world = with_fault("close-mid-output@csr2");
    let never = world.json(&["status", "--json", "--older-than", "24h"], 1);
    assert_eq!(names(&never["devices"]), ["csr1", "csr2", "csr3"]);
    assert!(!world.path("state").exists(), "asking makes nothing");
    for unknown in ["csr77", "x*"] {
        let refused = world.run(&["history", unknown]);
        refused.assert_code(2);
        assert!(
            refused.err.contains("there is no device") || refused.err.contains("no device matches"),
            "{}",
            refused.err
        );
    }
    let nothing = world.run(&["history", "csr1"]);
    nothing.assert_code(2);
    assert!(
        nothing.err.contains("nothing is recorded"),
        "{}",
        nothing.err
    );

    world.run(&["backup"]).assert_code(1);
    let old = world.json(&["status", "--json", "--older-than", "24h"], 1);
    assert_eq!(names(&old["devices"]), ["csr2"]);
    let fine = world.run(&["status", "csr[13]", "--older-than", "24h"]);
    fine.assert_code(0);
    fine.assert_says("0 of 2 devices without a good backup within 1 d");
    let all = world.json(&["status", "--json"], 0);
    assert_eq!(names(&all["devices"])[0], "csr2", "the worst first");
    assert_eq!(
        all["devices"][0]["last_result"]["failure"]["kind"],
        "truncated"
    );
    let shown = world.run(&["status"]);
    assert!(shown.out.contains("never"), "{}", shown.out);
    assert!(shown.out.contains("backup failed"), "{}", shown.out);

    let history = world.json(&["history", "CSR1", "csr2", "--json"], 0);
    assert_eq!(names(&history["devices"]), ["csr1", "csr2"]);
    let outcome = &history["devices"][0]["outcomes"][0];
    assert_eq!(
        (&outcome["outcome"], &outcome["stored"]),
        (&"ok".into(), &"new".into())
    );
    let runs = world.json(&["runs", "--json"], 0);
    assert_eq!(runs["runs"][0]["counts"]["failed"], 1);
    assert_eq!(runs["runs"][0]["trigger"], "command");
    let one = world.json(&["runs", "1", "--json"], 0);
    assert_eq!(one["devices"].as_array().unwrap().len(), 3);
    let none = world.run(&["runs", "77"]);
    none.assert_code(2);
    assert!(none.err.contains("`wrmem runs` lists them"), "{}", none.err);
    let unknown = world.run(&["history", "csr77"]);
    unknown.assert_code(2);
    assert!(
        unknown.err.contains("? `wrmem devices` lists them all"),
        "{}",
        unknown.err
    );
    let none = world.run(&["runs", "last"]);
    none.assert_code(2);
    assert!(none.err.contains("`wrmem runs` shows them"), "{}", none.err);
}

#[test]
fn what_failed_is_backed_up_again_until_nothing_fails() {
    let world = with_fault("close-mid-output@csr2");
    world.run(&["backup", "--failed"]).assert_code(2);
    world.run(&["backup"]).assert_code(1);
    let before = world.logins("csr1");
    world
        .run(&["backup", "--failed", "--report", "report.json"])
        .assert_code(1);
    let report = world.report();
    assert_eq!(names(&report.0["devices"]), ["csr2"]);
    assert_eq!(world.logins("csr1"), before);
    let none = world.run(&["backup", "--failed", "csr1"]);
    none.assert_code(0);
    none.assert_says("none of these devices failed in its last run");
}

#[test]
fn questions_are_answered_beside_a_running_orchestrator() {
    let world = World::new(&LabSpec::default());
    world.append("wrmem.toml", "[run]\nevery = \"1s\"");
    let mut run = world.spawn(&["run"]);
    for name in ["csr1", "csr2", "csr3"] {
        run.wait_for_line(&format!("Device {name} finished successfully."));
    }
    // What is gathered is written soon; a whole turn later it is there for certain.
    for name in ["csr1", "csr2", "csr3"] {
        run.wait_for_line(&format!("Device {name} finished successfully."));
    }
    world.run(&["status", "--older-than", "1h"]).assert_code(0);
    world.run(&["history", "csr*"]).assert_code(0);
    let runs = world.json(&["runs", "--json"], 0);
    assert_eq!(runs["runs"][0]["trigger"], "schedule");
    world
        .run(&["release", "csr1"])
        .assert_says("csr1: nothing held it back");
    run.signal(Signal::TERM);
    run.finish().assert_code(0);
    let log = fs::metadata(world.path("state").join("wrmem.db-wal"));
    assert!(log.is_err(), "closed in order");
    let runs = world.json(&["runs", "--json", "-n", "999"], 0);
    let ends: Vec<_> = runs["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["end"])
        .collect();
    assert!(ends.iter().all(|end| **end == "done"), "{ends:?}");
}

#[test]
fn kill_9_at_any_moment_loses_no_more_than_a_moment_and_never_the_database() {
    let world = World::new(&LabSpec {
        devices: 12,
        config_bytes: 100_000,
        think: Think {
            show_run: Duration::from_millis(30),
            ..Think::default()
        },
        jitter: 1.0,
        ..LabSpec::default()
    });
    for device in world.lab.devices() {
        let mut run = world.spawn(&["backup", "--in-flight", "3"]);
        run.wait_for_line(&format!("Writing config to file | {}", device.name()));
        run.signal(Signal::KILL);
        assert_eq!(run.finish().code, None, "it was killed");
        let runs = world.run(&["runs"]);
        if runs.code == Some(0) {
            assert!(runs.out.contains("broken off") || runs.out.lines().count() == 1);
            let check: String = world
                .database()
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                .unwrap();
            assert_eq!(check, "ok");
        }
    }
    world.run(&["backup"]).assert_code(0);
    world.run(&["status", "--older-than", "1h"]).assert_code(0);
    let runs = world.json(&["runs", "--json", "-n", "99"], 0);
    let runs = runs["runs"].as_array().unwrap();
    assert_eq!(runs[0]["end"], "done");
    assert!(runs[1..].iter().all(|run| run["end"] == "broken_off"));
    // Nothing that is said to be backed up is missing.
    for device in world.lab.devices() {
        world.assert_stored_exactly(device.name());
    }
}

#[test]
fn outcomes_of_a_run_that_was_killed_count() {
    let world = with_fault("hang-mid-output@csr3");
    let mut run = world.spawn(&["backup", "--sequential"]);
    run.wait_for_line("Backing up configuration | csr3");
    // The others are done; what is gathered is written within a quarter of a second, whatever hangs.
    let both = "SELECT count(*) FROM devices WHERE good_ms IS NOT NULL";
    loop {
        let database = world.database();
        let good = database.query_row(both, [], |row| row.get::<_, i64>(0));
        if good == Ok(2) {
            break;
        }
        std::thread::yield_now();
    }
    run.signal(Signal::KILL);
    assert_eq!(run.finish().code, None);
    let old = world.json(&["status", "--json", "--older-than", "1h"], 1);
    assert_eq!(names(&old["devices"]), ["csr3"]);
    let runs = world.json(&["runs", "--json"], 0);
    assert_eq!(runs["runs"][0]["end"], "broken_off");
}

/// A backup that goes well though its state does not.
fn goes_well_without_state(world: &World, told: &str) {
    let finished = world.run(&["backup"]);
    finished.assert_code(0);
    assert!(finished.err.contains(told), "{told}\n{}", finished.err);
    assert_eq!(world.assert_only_whole_files(), 3);
}

#[test]
fn a_state_that_cannot_be_used_stops_no_backup_and_is_told() {
    let world = World::new(&LabSpec::default());
    let file = world.path("state").join("wrmem.db");
    fs::create_dir_all(&file).unwrap();
    goes_well_without_state(&world, "backups go on without what is known");
    let finished = world.run(&["backup"]);
    assert!(
        finished.err.contains("this run is not recorded"),
        "{}",
        finished.err
    );
    fs::remove_dir(&file).unwrap();

    let newer = world.database();
    newer
        .execute_batch(
            "CREATE TABLE x (y); PRAGMA application_id = 0x77726d6d; PRAGMA user_version = 99",
        )
        .unwrap();
    drop(newer);
    let before = fs::read(&file).unwrap();
    goes_well_without_state(&world, "written by a newer wrmem");
    assert_eq!(fs::read(&file).unwrap(), before, "left as it is");
    let refused = world.run(&["status"]);
    refused.assert_code(2);
    assert!(refused.err.contains("newer wrmem"), "{}", refused.err);
    fs::remove_file(&file).unwrap();

    fs::write(
        &file,
        "no database at all, but something else of some length",
    )
    .unwrap();
    goes_well_without_state(&world, "is damaged");
    world.run(&["status", "--older-than", "1h"]).assert_code(0);
    assert_eq!(set_aside(&world), 1, "the damaged one is kept");
}

/// How many damaged databases were put aside.
fn set_aside(world: &World) -> usize {
    let entries = fs::read_dir(world.path("state")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let aside = names.filter(|name| name.starts_with("wrmem.db.damaged-"));
    aside.filter(|name| !name.ends_with("-wal")).count()
}

#[test]
fn a_state_that_was_cut_short_is_told_and_put_aside() {
    let world = World::new(&LabSpec::default());
    let file = world.path("state").join("wrmem.db");
    world.run(&["backup"]).assert_code(0);
    let whole = fs::read(&file).unwrap();
    for (cuts, kept) in [whole.len() / 2, 4096 + 100, 20].into_iter().enumerate() {
        fs::write(&file, &whole[..kept]).unwrap();
        let told = world.run(&["status"]);
        told.assert_code(2);
        for part in ["is damaged", "configs are not in it", "`wrmem backup`"] {
            assert!(told.err.contains(part), "{kept}: {part}\n{}", told.err);
        }
        goes_well_without_state(&world, "is damaged");
        assert_eq!(set_aside(&world), cuts + 1);
        world.run(&["status", "--older-than", "1h"]).assert_code(0);
        let runs = world.json(&["runs", "--json"], 0);
        assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "a fresh one");
    }
    // An empty file is no damage: that is how a database begins.
    fs::write(&file, "").unwrap();
    world.run(&["runs"]).assert_code(2);
    world.run(&["backup"]).assert_code(0);
    assert_eq!(set_aside(&world), 3);
}

#[test]
fn a_full_or_read_only_disk_under_the_state_stops_no_backup() {
    let world = World::new(&LabSpec::default());
    let Some(disk) = SmallDisk::mount(world.path("state"), "1m") else {
        return;
    };
    world.run(&["backup"]).assert_code(0);
    disk.fill();
    for device in ["csr1", "csr2", "csr3"] {
        fs::remove_file(world.path("configs").join(format!("{device}.cfg"))).unwrap();
    }
    goes_well_without_state(&world, "this run is not recorded");
    let runs = world.json(&["runs", "--json"], 0);
    assert_eq!(
        runs["runs"].as_array().unwrap().len(),
        1,
        "the first one is still there"
    );
    disk.make_room();
    world.run(&["backup"]).assert_code(0);
    let runs = world.json(&["runs", "--json"], 0);
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2);
    disk.read_only();
    goes_well_without_state(&world, "this run is not recorded");
    world.run(&["status", "--older-than", "1h"]).assert_code(0);
}

#[test]
fn refused_credentials_rest_from_run_to_run_until_they_change_or_the_device_is_named() {
    let world = with_fault("wrong-password");
    world
        .run(&["backup", "--report", "report.json"])
        .assert_code(1);
    let sent = world.lab.counts().connections;
    let again = world.run(&["backup", "--report", "report.json"]);
    again.assert_code(1);
    assert_eq!(
        world.lab.counts().connections,
        sent,
        "nobody was even called"
    );
    let report = world.report();
    assert_eq!(report.kind("csr1"), "auth_refused");
    let message = report.device("csr1")["failure"]["message"].to_string();
    assert!(
        message.contains("credentials.toml"),
        "what to do: {message}"
    );
    let standing = world.json(&["status", "--json", "csr1"], 0);
    assert_eq!(standing["devices"][0]["rest"]["cause"], "refused");
    assert_eq!(standing["devices"][0]["failures"], 1, "only what was tried");

    world.run(&["backup", "csr1"]).assert_code(1);
    assert_eq!(world.lab.counts().connections, sent + 1);
    let file = fs::File::options()
        .write(true)
        .open(world.settings().join("credentials.toml"))
        .unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(1))
        .unwrap();
    world.run(&["backup"]).assert_code(1);
    assert!(
        world.lab.counts().connections > sent + 1,
        "new credentials are tried"
    );
    let released = world.run(&["release", "csr*"]);
    assert!(
        released.out.contains("csr2: released (login refused"),
        "{}",
        released.out
    );
}

#[test]
fn a_silent_device_is_left_alone_over_a_restart_until_it_is_released() {
    let world = with_fault("silent@csr2");
    world.append(
        "wrmem.toml",
        "every = \"1s\"\n[breaker]\nunreachable_runs = 2\nrest = \"1h\"\n[deadlines]\nkex = \"1s\"",
    );
    let mut run = world.spawn(&["-v", "run"]);
    run.wait_for_line("Device csr2 failed: connect: not tried");
    run.signal(Signal::KILL);
    run.finish();
    let called = world.logins("csr2");
    assert_eq!(called, 2);
    let mut run = world.spawn(&["-v", "run"]);
    run.wait_for_line("Device csr2 failed: connect: not tried");
    assert_eq!(world.logins("csr2"), called, "a restart forgets nothing");
    let released = world.run(&["release", "csr2"]);
    assert!(
        released.out.contains("csr2: released (unreachable"),
        "{}",
        released.out
    );
    run.wait_for_log("csr2: released by hand");
    run.wait_for_line("Connecting to device | csr2");
    run.signal(Signal::TERM);
    run.finish().assert_code(0);
    assert!(world.logins("csr2") > called);
}

#[test]
fn a_restart_goes_on_where_the_one_before_stopped() {
    let world = World::new(&LabSpec::default());
    world.run(&["backup"]).assert_code(0);
    let called = world.lab.counts().connections;
    world.append("wrmem.toml", "[run]\nevery = \"1d\"");
    let mut run = world.spawn(&["-v", "run"]);
    run.wait_for_log("devices on schedule");
    run.signal(Signal::TERM);
    let finished = run.finish();
    finished.assert_code(0);
    assert!(!finished.err.contains("missed"), "{}", finished.err);
    assert_eq!(world.lab.counts().connections, called, "nothing was due");
}
