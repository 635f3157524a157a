//! No secret is shown anywhere, whatever the log level.

use crate::redacted::secrets_of;
use crate::world::{World, all_files};
use std::fs;
use wrmem::lab::{FaultRule, LabSpec, Login};
use wrmem::model::credentials::Secret;

#[test]
fn no_log_report_or_file_holds_a_password_or_an_enable_secret() {
    let (password, enable) = ("planted-Passw0rd", "planted-En4ble");
    let spec = LabSpec {
        devices: 6,
        login: Login {
            password: Secret::new(password.into()),
            enable: Some(Secret::new(enable.into())),
            level: 1,
            ..Login::default()
        },
        faults: [
            "wrong-password@csr2",
            "close-mid-output@csr3",
            "banner-trap@csr4",
        ]
        .iter()
        .map(|rule| rule.parse::<FaultRule>().unwrap())
        .collect(),
        ..LabSpec::default()
    };
    let world = World::new(&spec);
    let mut command = world.command(&[
        "-vvv",
        "backup",
        "--report",
        "report.json",
        "--timeline",
        "run.html",
        "--record",
        "traces",
    ]);
    let output = command.env("RUST_LOG", "trace").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(
        said[1].len() > 200,
        "the log must be there to be looked through: {}",
        said[1]
    );
    let (all, shown) = said_and_left(&said.join("\n"), &world);
    for device in world.lab.devices() {
        for secret in secrets_of(device) {
            assert!(!shown.contains(&secret), "a config's secret is shown");
        }
    }
    assert!(shown.contains("# wrmem trace 1"));
    assert!(all.contains("csr6"));
    for secret in [password, enable] {
        assert!(!all.contains(secret), "a secret is shown");
    }
    assert_eq!(
        world.lab.device("csr1").unwrap().counts().saves,
        1,
        "enable worked"
    );
}

/// All that was said and left behind, and of it what people are shown: the archive keeps configs as
/// they are.
fn said_and_left(said: &str, world: &World) -> (String, String) {
    let (mut all, mut shown) = (said.to_owned(), said.to_owned());
    for path in all_files(&world.path(".")) {
        if path.ends_with("settings/credentials.toml") {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        all += &text;
        if path.extension().is_none_or(|extension| extension != "cfg") {
            shown += &text;
        }
    }
    (all, shown)
}
