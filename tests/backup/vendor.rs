//! A vendor that wrmem does not know, added by a platform file alone, as `docs/platforms.md` says.
//! The lab plays it; nothing of the built-in platform is used.

use crate::world::{Finished, World};
use std::fs;
use wrmem::lab::LabSpec;

/// Without an end line, so that the proof is weak: the prompt is tested by a command whose answer is
/// known.
const ACME: &str = r#"exit = "exit"
comment = "!"
volatile = ["! Last configuration change at"]
also = ["show version"]
info_volatile = ["*uptime is"]

[prompt]
user = ["{host}>"]
privileged = ["{host}#"]

[[prepare]]
send = "terminal length 0"

[save]
send = "write memory"
ok = ["[OK]"]

[config]
send = "show running-config"
header = ["Building configuration"]
begin = "Current configuration"
holds = ["hostname "]
sentinel = { send = "show privilege", answer = "Current privilege level is 15" }

[[refusals]]
text = "% Invalid input"
kind = "command_rejected"
"#;

fn spec(config_bytes: usize) -> LabSpec {
    LabSpec {
        devices: 2,
        config_bytes,
        ..LabSpec::default()
    }
}

/// The devices of the lab are Acme's from now on.
fn are_of_acme(world: &World, file: &str) {
    let folder = world.settings().join("platforms");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("acme.toml"), file).unwrap();
    let from = "platform = \"cisco_ios\"";
    world.replace("devices.toml", from, "platform = \"acme\"");
}

fn backup(world: &World) -> Finished {
    world.run(&["backup", "--report", "report.json"])
}

#[test]
fn a_vendor_is_added_by_a_file_alone() {
    let world = World::new(&spec(4000));
    are_of_acme(&world, ACME);
    let of_csr2 = "[devices.\"csr2\"]";
    world.replace("devices.toml", of_csr2, &format!("{of_csr2}\nalso = []"));
    world.run(&["check"]).assert_code(0);
    backup(&world).assert_code(0);
    let report = world.report();
    for name in ["csr1", "csr2"] {
        world.assert_stored_exactly(name);
        let device = report.device(name);
        assert_eq!(device["platform"], "acme");
        assert_eq!(device["proof"], "weak");
        assert_eq!(device["save"]["result"], "saved");
    }
    let info = fs::read_to_string(world.path("configs/csr1.info.txt")).unwrap();
    assert!(info.contains("show version"), "{info}");
    assert!(info.contains("Version"), "{info}");
    assert!(!info.contains("uptime"), "{info}");
    assert!(!world.path("configs/csr2.info.txt").exists());
}

#[test]
fn a_config_that_shrank_by_half_is_kept_aside_until_a_person_accepts_it() {
    let mut world = World::new(&spec(20_000));
    are_of_acme(&world, ACME);
    backup(&world).assert_code(0);
    let long = world.stored("csr1").unwrap();
    world.change_configs(&spec(4000));
    are_of_acme(&world, ACME);
    let finished = backup(&world);
    finished.assert_code(1);
    assert!(finished.out.contains("wrmem accept csr1"), "{finished:?}");
    assert_eq!(world.report().outcome("csr1"), "failed");
    assert_eq!(world.report().kind("csr1"), "unproven");
    assert_eq!(world.stored("csr1").unwrap(), long);

    let listed = world.run(&["accept"]);
    assert!(
        listed.assert_code(0).out.contains("kept aside: csr1"),
        "{listed:?}"
    );
    world.run(&["accept", "csr1"]).assert_code(0);
    world.assert_stored_exactly("csr1");
    let finished = backup(&world);
    finished.assert_code(1);
    assert_eq!(world.report().outcome("csr1"), "ok");
    assert_eq!(world.report().device("csr1")["stored"], "unchanged");
    assert_eq!(world.report().outcome("csr2"), "failed");
}

#[test]
fn a_fault_of_a_platform_file_is_told_with_file_line_and_key() {
    let world = World::new(&spec(4000));
    let wrong = ACME
        .replace("ok = [\"[OK]\"]", "ok = [\"[OK]\"]\nfailed = [\"OK\"]")
        .replace("header", "heading");
    are_of_acme(&world, &wrong);
    let finished = world.run(&["check"]);
    finished.assert_code(2);
    let said = format!("{}{}", finished.out, finished.err);
    for wanted in [
        "platforms/acme.toml:17: save.failed[0]: stands within `[OK]` of save.ok",
        "platforms/acme.toml:21: config.heading: unknown key",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    assert!(!said.contains("unknown platform"), "{said}");
}

#[test]
fn a_prompt_that_does_not_fit_is_told_with_the_line_that_stands_there() {
    let world = World::new(&spec(4000));
    are_of_acme(&world, &ACME.replace("{host}#", "{host}$"));
    world.append(
        "wrmem.toml",
        "[run]\nattempts = 1\n[deadlines]\nprompt = \"2s\"",
    );
    backup(&world).assert_code(1);
    let report = world.report();
    let message = report.device("csr1")["failure"]["message"]
        .as_str()
        .unwrap();
    assert!(message.contains("no prompt of platform acme"), "{message}");
    assert!(message.contains("`csr1#`"), "{message}");
}
