//! Configs whose secrets are masked: in the archive, and to be shared.

use crate::world::World;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;
use wrmem::lab::{LabDevice, LabSpec};

/// The secrets in a device's config: what stands behind the words that the lab's configs have.
pub(crate) fn secrets_of(device: &LabDevice) -> Vec<String> {
    let text = String::from_utf8(device.expected().to_vec()).unwrap();
    let words = [
        " secret 9 ",
        "-key 7 ",
        " password 7 ",
        "-server community ",
    ];
    let behind = |line: &str| {
        let found = words.iter().find_map(|word| line.split_once(word))?;
        Some(found.1.split(' ').next()?.to_owned())
    };
    let secrets: Vec<String> = text.lines().filter_map(behind).collect();
    assert!(secrets.len() >= 8, "{secrets:?}");
    secrets
}

fn masked(world: &World, name: &str) -> String {
    String::from_utf8(world.stored(name).unwrap()).unwrap()
}

#[test]
fn an_archive_that_redacts_holds_no_secret_and_is_not_touched_again() {
    let world = World::new(&LabSpec::default());
    world.replace("wrmem.toml", "[archive]", "[archive]\nredact = true");
    world
        .run(&["backup", "--report", "report.json"])
        .assert_code(0);
    let place = |name: &str| fs::metadata(world.path("configs").join(format!("{name}.cfg")));
    let mut before = Vec::new();
    for device in world.lab.devices() {
        let stored = masked(&world, device.name());
        let secrets = secrets_of(device);
        for secret in &secrets {
            assert!(!stored.contains(secret), "{secret} in\n{stored}");
        }
        let expected = String::from_utf8(device.expected().to_vec()).unwrap();
        assert_eq!(stored.matches("<secret:").count(), secrets.len());
        let differing = stored.lines().zip(expected.lines()).filter(|(a, b)| a != b);
        assert_eq!(
            differing.count(),
            secrets.len(),
            "other lines are as they were"
        );
        before.push(place(device.name()).unwrap().ino());
    }
    let key = world.path("state").join("mask.key");
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    world
        .run(&["backup", "--report", "report.json"])
        .assert_code(0);
    let report = world.report();
    for (device, inode) in world.lab.devices().iter().zip(before) {
        let stored = &report.device(device.name())["stored"];
        assert_eq!(stored, "unchanged", "{}", device.name());
        assert_eq!(place(device.name()).unwrap().ino(), inode);
    }
    // Another key, another mask: every config changes once.
    fs::remove_file(&key).unwrap();
    let old = masked(&world, "csr1");
    world
        .run(&["backup", "--report", "report.json"])
        .assert_code(0);
    assert_eq!(world.report().device("csr1")["stored"], "changed");
    assert_ne!(masked(&world, "csr1"), old);
}

#[test]
fn a_key_that_is_none_stops_before_anything_is_asked() {
    let world = World::new(&LabSpec::default());
    world.replace("wrmem.toml", "[archive]", "[archive]\nredact = true");
    fs::create_dir_all(world.path("state")).unwrap();
    fs::write(world.path("state").join("mask.key"), "no key").unwrap();
    let refused = world.run(&["backup"]);
    refused.assert_code(2);
    assert!(refused.err.contains("mask.key"), "{}", refused.err);
    assert_eq!(world.lab.counts().connections, 0);
}

#[test]
fn a_config_to_share_has_the_masks_of_the_archive() {
    let world = World::new(&LabSpec {
        devices: 1,
        ..LabSpec::default()
    });
    world.run(&["backup"]).assert_code(0);
    let device = world.lab.device("csr1").unwrap();
    let by_name = world.run(&["redact", "--platform", "cisco_ios", "configs/csr1.cfg"]);
    by_name.assert_code(0);
    for secret in secrets_of(device) {
        assert!(!by_name.out.contains(&secret), "{secret}");
    }
    let lines = |text: &str| text.lines().count();
    let stored = masked(&world, "csr1");
    assert_eq!(lines(&by_name.out), lines(&stored));
    let own = world.run(&["redact", "configs/csr1.cfg"]);
    assert_eq!(own.out, by_name.out, "the platform is that of the device");
    // Of another file it is not known, and no less is masked. What is masked already stays.
    for text in [&stored, &own.out] {
        fs::write(world.path("some.cfg"), text).unwrap();
        let any = world.run(&["redact", "some.cfg"]).out;
        for secret in secrets_of(device) {
            assert!(!any.contains(&secret), "{secret}");
        }
        fs::write(world.path("some.cfg"), &any).unwrap();
        assert_eq!(world.run(&["redact", "some.cfg"]).out, any);
    }
    fs::write(world.path("csr1.cfg"), &own.out).unwrap();
    assert_eq!(world.run(&["redact", "csr1.cfg"]).out, own.out);
    world.replace("wrmem.toml", "[archive]", "[archive]\nredact = true");
    world.run(&["backup"]).assert_code(0);
    assert_eq!(
        masked(&world, "csr1"),
        own.out,
        "the same key masks the archive"
    );
    let unknown = world.run(&["redact", "--platform", "acme", "configs/csr1.cfg"]);
    unknown.assert_code(2);
    assert!(unknown.err.contains("acme") && unknown.err.contains("cisco_ios"));
    world.run(&["redact", "nothing.cfg"]).assert_code(2);
}

#[test]
fn standard_input_is_redacted_without_any_settings_and_own_patterns_count_with_them() {
    let world = World::new(&LabSpec {
        devices: 1,
        ..LabSpec::default()
    });
    let pipe = |settings: &str, text: &str| {
        let mut command = world.command(&["redact"]);
        command.arg("--settings").arg(world.path(settings));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        (
            String::from_utf8(output.stdout).unwrap(),
            err,
            output.status.code(),
        )
    };
    let text = "enable secret 9 hush\nbadge hush2\n";
    let (out, _, code) = pipe("nowhere", text);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("enable secret 9 <secret:"), "{out}");
    assert!(out.ends_with(">\nbadge hush2\n"), "{out}");
    assert!(!world.path("nowhere").exists());
    world.append("wrmem.toml", "[redact]\nextra = ['^badge (\\S+)']");
    let (out, _, code) = pipe("settings", text);
    assert_eq!(code, Some(0));
    assert!(!out.contains("hush"), "{out}");
    let (out, _, _) = pipe(
        "settings",
        "--- a\n+++ b\n@@ -1 +1 @@ badge x\n-badge hush\n+ key 7 00\n",
    );
    assert_eq!(out.matches("<secret:").count(), 3, "{out}");
    world.replace("wrmem.toml", "'^badge (\\S+)'", "'(', 'badge'");
    let (out, err, code) = pipe("settings", text);
    assert_eq!((out.as_str(), code), ("", Some(2)));
    assert!(
        err.contains("wrmem.toml") && err.contains("redact.extra"),
        "{err}"
    );
    assert!(err.contains("unclosed group"), "{err}");
}
