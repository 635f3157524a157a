//! Devices with trouble, each kind in turn, beside healthy ones.

use crate::world::World;
use std::fs;
use wrmem::lab::{Fault, FaultClass, FaultRule, LabSpec, Select};

/// One device for each fault, and a healthy one in front and behind.
pub(crate) fn one_of_each() -> LabSpec {
    let faults = Fault::ALL
        .iter()
        .enumerate()
        .map(|(index, fault)| FaultRule {
            select: Select::Name(format!("csr{}", index + 2)),
            faults: vec![*fault],
        })
        .collect();
    LabSpec {
        devices: Fault::ALL.len() + 2,
        faults,
        ..LabSpec::default()
    }
}

/// Devices that hang are given up soon, and level 5 is met without an enable secret that would lead
/// on; the healthy ones keep the usual settings.
pub(crate) fn with_settings_of_their_own(world: &World) {
    for device in world.lab.devices() {
        let extra = match device.fault() {
            Some(Fault::Silent | Fault::HangInKex | Fault::HangMidOutput) => {
                "attempts = 1\ndeadlines = { kex = \"2s\", silence = \"2s\" }"
            }
            Some(Fault::Privilege5) => "credentials = \"plain\"",
            _ => continue,
        };
        let header = format!("[devices.\"{}\"]", device.name());
        world.replace("devices.toml", &header, &format!("{header}\n{extra}"));
    }
    let plain = "[credentials.plain]\nusername = \"ntc\"\npassword = \"ntc123\"";
    world.append("credentials.toml", plain);
}

pub(crate) fn expected_kinds(fault: Fault) -> &'static [&'static str] {
    match fault {
        Fault::Refused => &["busy", "connect"],
        Fault::Silent | Fault::HangInKex | Fault::HangMidOutput => &["timeout"],
        Fault::CloseBeforeBanner => &["busy", "reset"],
        Fault::Garbage => &["protocol", "algorithms", "reset", "busy"],
        Fault::WrongPassword => &["auth_refused"],
        Fault::AuthzRefused => &["authz_denied"],
        Fault::CloseMidOutput => &["truncated"],
        Fault::Privilege5 => &["privilege"],
        Fault::SaveRefused => &["save_busy"],
        Fault::NvramFull => &["save_failed"],
        Fault::SaveConfirm => &["save_needs_confirm"],
        Fault::PagerStuck
        | Fault::PagerRefused
        | Fault::Syslog
        | Fault::Drip
        | Fault::BannerTrap
        | Fault::UserMode => &[""],
    }
}

#[test]
fn each_kind_of_trouble_is_told_for_what_it_is_and_harms_no_other_device() {
    let world = World::new(&one_of_each());
    with_settings_of_their_own(&world);
    world.append(
        "wrmem.toml",
        "[run]\nbackoff_base = \"10ms\"\n[deadlines]\nsave = \"15s\"",
    );
    let finished = world.run(&["backup", "--report", "report.json"]);
    finished.assert_code(1);
    let report = world.report();
    assert_eq!(report.0["abandoned_threads"], 0);
    for device in world.lab.devices() {
        let name = device.name();
        let outcome = report.outcome(name);
        let Some(fault) = device.fault() else {
            assert_eq!(outcome, "ok", "{name}");
            world.assert_stored_exactly(name);
            continue;
        };
        let kind = report.kind(name);
        assert!(
            expected_kinds(fault).contains(&kind),
            "{name} ({fault}): {kind}"
        );
        match fault.class() {
            FaultClass::Fatal => {
                assert_eq!(outcome, "failed", "{name} ({fault})");
                assert_eq!(world.stored(name), None, "{name} ({fault})");
                let failure = &report.device(name)["failure"];
                assert!(failure["stage"].is_string(), "{name} ({fault})");
                assert!(
                    finished.out.contains(&format!("Device {name} failed: ")),
                    "{name}"
                );
            }
            FaultClass::SaveRefused => {
                assert_eq!(outcome, "not_saved", "{name} ({fault})");
                world.assert_stored_exactly(name);
                let line = format!("Device {name} backed up, not saved: ");
                assert!(finished.out.contains(&line), "{name}");
            }
            FaultClass::Bearable => {
                assert_eq!(outcome, "ok", "{name} ({fault})");
                world.assert_stored_exactly(name);
            }
        }
    }
    assert_eq!(world.lab.counts().open, 0, "no session is left open");
}

#[test]
fn a_bad_backup_never_replaces_a_good_one() {
    let mut spec = LabSpec {
        devices: 2,
        ..LabSpec::default()
    };
    let good = World::new(&spec);
    good.run(&["backup"]).assert_code(0);
    let kept = good.stored("csr1").unwrap();
    for fault in [
        Fault::CloseMidOutput,
        Fault::AuthzRefused,
        Fault::Privilege5,
    ] {
        spec.faults = vec![FaultRule {
            select: Select::Every(1),
            faults: vec![fault],
        }];
        let bad = World::new(&spec);
        let configs = bad.path("configs");
        fs::create_dir_all(&configs).unwrap();
        fs::write(configs.join("csr1.cfg"), &kept).unwrap();
        bad.append("wrmem.toml", "[run]\nattempts = 1");
        bad.replace("credentials.toml", "enable = \"ntc-enable\"", "");
        bad.run(&["backup"]).assert_code(1);
        assert_eq!(bad.stored("csr1"), Some(kept.clone()), "{fault}");
        assert_eq!(bad.stored("csr2"), None, "{fault}");
    }
}

#[test]
fn a_wrong_password_is_sent_three_times_over_a_fleet_and_once_per_device() {
    let world = World::new(&LabSpec {
        devices: 30,
        ..LabSpec::default()
    });
    world.replace("credentials.toml", "ntc123", "not-the-password");
    world
        .run(&["backup", "--report", "report.json"])
        .assert_code(1);
    let counts = world.lab.counts();
    assert_eq!(counts.password_attempts, 3);
    assert!(
        world
            .lab
            .devices()
            .iter()
            .all(|device| device.counts().password_attempts <= 1)
    );
    let report = world.report();
    assert_eq!(report.0["counts"]["failed"], 30);
    let untried = report.0["devices"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|device| {
            device["failure"]["message"]
                .as_str()
                .unwrap()
                .starts_with("not tried:")
        })
        .count();
    assert_eq!(untried, 27);
}

#[test]
fn a_changed_host_key_stops_before_the_password_is_sent() {
    let mut spec = LabSpec {
        devices: 1,
        ..LabSpec::default()
    };
    let before = World::new(&spec);
    before.run(&["backup"]).assert_code(0);
    let known = fs::read_to_string(before.path("state").join("known_hosts")).unwrap();
    let old_port = before.lab.device("csr1").unwrap().addr().port().to_string();
    spec.seed = 2;
    let after = World::new(&spec);
    let new_port = after.lab.device("csr1").unwrap().addr().port().to_string();
    fs::create_dir_all(after.path("state")).unwrap();
    let known = known.replace(&format!("]:{old_port}"), &format!("]:{new_port}"));
    fs::write(after.path("state").join("known_hosts"), known).unwrap();
    after
        .run(&["backup", "--report", "report.json"])
        .assert_code(1);
    assert_eq!(after.report().kind("csr1"), "host_key");
    let message = after.report().device("csr1")["failure"]["message"].to_string();
    assert!(message.contains("wrmem trust"), "{message}");
    assert_eq!(after.lab.counts().password_attempts, 0);
    assert_eq!(after.stored("csr1"), None);
    let trusted = after.run(&["trust", "csr1"]);
    trusted.assert_code(0);
    assert_eq!(
        trusted.out.matches("SHA256:").count(),
        2,
        "old and new: {}",
        trusted.out
    );
    after.run(&["backup"]).assert_code(0);
    after.assert_stored_exactly("csr1");
}
