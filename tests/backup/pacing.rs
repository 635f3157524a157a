//! Runs under limits, counted at the devices' side. Times are only ever asserted from below: a slow
//! machine makes them longer and never shorter.

use crate::world::World;
use std::time::{Duration, Instant};
use wrmem::lab::{Fault, FaultRule, LabSpec, Select, Tally};

fn lab(devices: usize) -> LabSpec {
    LabSpec {
        devices,
        ..LabSpec::default()
    }
}

/// Everything of one kind that the lab saw, in order.
fn moments(world: &World, wanted: Tally) -> Vec<Instant> {
    let devices = world.lab.devices().iter();
    let all = devices.flat_map(|device| device.moments());
    let mut moments: Vec<_> = all
        .filter(|(_, tally)| *tally == wanted)
        .map(|(at, _)| at)
        .collect();
    moments.sort_unstable();
    moments
}

#[test]
fn logins_come_to_the_devices_no_faster_than_their_rate() {
    let world = World::new(&lab(8));
    world.append("wrmem.toml", "[run]\nlogins_per_second = 10");
    let began = Instant::now();
    let run = world.run(&["backup", "--report", "report.json"]);
    run.assert_code(0);
    let logins = moments(&world, Tally::PasswordAttempt);
    assert_eq!(logins.len(), 8);
    for (before, at) in logins.iter().enumerate() {
        let earliest = began + Duration::from_millis(100) * u32::try_from(before).unwrap();
        assert!(*at >= earliest, "login {} came too early", before + 1);
    }
    let report = world.report();
    assert_eq!(report.0["forecast"]["bound"], "device");
    assert_eq!(report.0["forecast"]["assumed_seconds"], 10.0);
    let said = "Expected to take about 11 s: the time of its slowest device (assuming 10 s a device, \
                as none was timed before)";
    run.assert_says(said);
}

#[test]
fn a_sets_limits_hold_for_its_devices_and_for_nobody_else() {
    let world = World::new(&lab(9));
    world.append(
        "wrmem.toml",
        "[limits.site-7]\nin_flight = 1\n[limits.aaa1]\nlogins_per_second = 20",
    );
    for name in ["csr2", "csr5", "csr7", "csr9"] {
        let entry = format!("[devices.\"{name}\"]");
        let limited = format!("{entry}\nlimits = [\"site-7\", \"aaa1\"]");
        world.replace("devices.toml", &entry, &limited);
    }
    world.run(&["check"]).assert_code(0);
    let began = Instant::now();
    world.run(&["backup"]).assert_code(0);
    assert_eq!(world.assert_only_whole_files(), 9);
    // A device is in work from its connection until it has shown its config: at the site never two.
    let mut site: Vec<_> = ["csr2", "csr5", "csr7", "csr9"]
        .iter()
        .flat_map(|name| world.lab.device(name).unwrap().moments())
        .filter(|(_, tally)| matches!(tally, Tally::Connection | Tally::ShowRun))
        .collect();
    site.sort_unstable_by_key(|(at, _)| *at);
    let order: Vec<_> = site.iter().map(|(_, tally)| *tally).collect();
    assert_eq!(order, [Tally::Connection, Tally::ShowRun].repeat(4));
    let last = site.last().unwrap().0;
    assert!(
        last >= began + Duration::from_millis(150),
        "four logins at 20 a second"
    );
}

#[test]
fn a_wrong_password_is_sent_once_and_the_rate_is_kept_with_dead_devices_among_them() {
    let rule = |name: &str, fault| FaultRule {
        select: Select::Name(name.to_owned()),
        faults: vec![fault],
    };
    let spec = LabSpec {
        faults: vec![
            rule("csr3", Fault::WrongPassword),
            rule("csr5", Fault::Refused),
            rule("csr6", Fault::CloseBeforeBanner),
        ],
        ..lab(8)
    };
    let world = World::new(&spec);
    world.append(
        "wrmem.toml",
        "[run]\nlogins_per_second = 50\nin_flight = 3\nattempts = 3\nbackoff_base = \"50ms\"",
    );
    let began = Instant::now();
    world
        .run(&["backup", "--report", "report.json"])
        .assert_code(1);
    let wrong = world.lab.device("csr3").unwrap().counts();
    assert_eq!((wrong.password_attempts, wrong.logins), (1, 0));
    assert_eq!(world.assert_only_whole_files(), 5);
    let report = world.report();
    assert_eq!(report.kind("csr3"), "auth_refused");
    assert_eq!(report.device("csr3")["attempts"], 1);
    assert_eq!(report.device("csr5")["attempts"], 3);
    assert_eq!(report.device("csr6")["attempts"], 3);
    let passwords = moments(&world, Tally::PasswordAttempt);
    assert_eq!(passwords.len(), 6, "who was not reached sent none");
    assert!(*passwords.last().unwrap() >= began + Duration::from_millis(100));
}

#[test]
fn a_window_that_is_too_short_is_told_beforehand_and_the_run_is_made() {
    let world = World::new(&lab(3));
    let run = world.run(&["backup", "--in-flight", "1", "--finish-within", "25s"]);
    run.assert_code(0);
    for told in [
        "about 30 s",
        "run.finish_within (25 s)",
        "run.in_flight allows 1",
    ] {
        assert!(run.err.contains(told), "{told}: {}", run.err);
    }
    let wrong = world.run(&["backup", "--finish-within", "soon"]);
    wrong.assert_code(2);
    assert!(
        wrong.err.contains("run.finish_within: expected a duration"),
        "{}",
        wrong.err
    );
}

#[test]
fn doctor_tells_the_tightest_limit_and_a_wish_beyond_it_is_clamped_with_a_warning() {
    let world = World::new(&lab(3));
    world.append("wrmem.toml", "[run]\nin_flight = 5");
    let well = world.run(&["doctor"]);
    well.assert_code(0);
    well.assert_says("run.in_flight = 5, 3 devices in the inventory: at most 3 at once");
    assert!(well.out.contains("the tightest limit is "), "{}", well.out);
    // 66 open files: 64 for everything else, 2 for devices.
    let shell = format!(
        "ulimit -n 66; exec {} --settings {} \"$@\"",
        env!("CARGO_BIN_EXE_wrmem"),
        world.settings().display()
    );
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", &shell, "sh"]).args(args);
        let output = command.current_dir(world.path("")).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, out, _) = run(&["doctor"]);
    assert_eq!(code, Some(0));
    for told in [
        "at most 2 devices at once; the tightest limit is open files",
        "run.in_flight = 5, 3 devices in the inventory: at most 2 at once",
        "run.in_flight is 5, but this machine allows 2 devices at once; raise the limit of open files",
    ] {
        assert!(out.contains(told), "{told}\n{out}");
    }
    let (code, out, err) = run(&["backup"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("at most 2 at once"), "{out}");
    assert!(
        err.contains("this machine allows 2 devices at once"),
        "{err}"
    );
    assert_eq!(world.assert_only_whole_files(), 3);
}
