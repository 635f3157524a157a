//! Sessions recorded against the lab and held again without it.

use crate::faults::{expected_kinds, one_of_each, with_settings_of_their_own};
use crate::redacted::secrets_of;
use crate::world::{World, all_files};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use wrmem::lab::{Fault, FaultClass, LabSpec};

fn traces(world: &World, folder: &str) -> Vec<PathBuf> {
    let mut traces = all_files(&world.path(folder));
    traces.sort();
    traces
}

#[test]
fn a_session_with_every_kind_of_trouble_is_recorded_and_replayed_to_the_same_end() {
    let world = World::new(&one_of_each());
    with_settings_of_their_own(&world);
    world.append(
        "wrmem.toml",
        "[run]\nbackoff_base = \"10ms\"\n[deadlines]\nsave = \"15s\"",
    );
    world
        .run(&["backup", "--record", "traces", "--report", "report.json"])
        .assert_code(1);
    let report = world.report();
    let traces = traces(&world, "traces");
    let mut told = 0;
    for device in world.lab.devices() {
        let name = device.name();
        let attempts = report.device(name)["attempts"].as_u64().unwrap();
        let own: Vec<_> = traces
            .iter()
            .filter(|path| {
                let file = path.file_name().unwrap().to_str().unwrap();
                file.starts_with(&format!("{name}."))
            })
            .collect();
        assert_eq!(
            own.len() as u64,
            attempts,
            "{name}: a trace for each attempt"
        );
        for path in own {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let text = fs::read_to_string(path).unwrap();
            for secret in secrets_of(device) {
                assert!(!text.contains(&secret), "{name}: {secret}");
            }
            assert!(!text.contains("ntc123"), "{name}");
            let replayed = world.run(&["replay", path.to_str().unwrap()]);
            let whole = format!("{:?}\n{}\n{}", device.fault(), replayed.out, text);
            assert_eq!(replayed.code, Some(0), "{whole}");
            assert!(replayed.out.contains("  as it was recorded"), "{whole}");
            let Some(fault) = device.fault() else {
                continue;
            };
            let kinds = expected_kinds(fault);
            if fault.class() == FaultClass::Bearable {
                assert!(replayed.out.contains("backup      ok, "), "{whole}");
            } else {
                let has = |kind: &&str| text.contains(&format!(" {kind} "));
                assert!(kinds.iter().any(has), "{kinds:?}\n{whole}");
                told += 1;
            }
        }
    }
    let failing = Fault::ALL
        .iter()
        .filter(|fault| fault.class() != FaultClass::Bearable);
    assert!(told >= failing.count());
}

#[test]
fn where_it_is_set_only_failed_sessions_leave_a_trace_and_the_report_says_where() {
    let spec = LabSpec {
        devices: 3,
        faults: vec!["close-mid-output@csr2".parse().unwrap()],
        ..LabSpec::default()
    };
    let world = World::new(&spec);
    world.append(
        "wrmem.toml",
        "[run]\nbackoff_base = \"10ms\"\n[record]\nsessions = \"failed\"\nnewest = 2\ndir = \"kept\"",
    );
    world
        .run(&["backup", "--report", "report.json"])
        .assert_code(1);
    let kept = traces(&world, "kept");
    assert_eq!(
        kept.len(),
        2,
        "three attempts, the newest two of them: {kept:?}"
    );
    let notes = world.report().device("csr2")["notes"].to_string();
    let last = kept.last().unwrap().file_name().unwrap().to_str().unwrap();
    assert!(notes.contains(last), "{notes}");
    let replayed = world.run(&[
        "replay",
        kept[0].to_str().unwrap(),
        kept[1].to_str().unwrap(),
    ]);
    replayed.assert_code(0);
    assert!(replayed.out.contains("truncated: "), "{}", replayed.out);
}

#[test]
fn a_folder_that_takes_no_traces_harms_no_backup() {
    let world = World::new(&LabSpec::default());
    fs::write(world.path("file"), "").unwrap();
    world
        .run(&["backup", "--record", "file", "--report", "report.json"])
        .assert_code(0);
    for name in ["csr1", "csr2", "csr3"] {
        world.assert_stored_exactly(name);
        let notes = world.report().device(name)["notes"].to_string();
        assert!(
            notes.contains("no trace of the session was kept"),
            "{notes}"
        );
    }
}

#[test]
fn a_replay_says_what_is_different_and_what_is_no_trace() {
    let world = World::new(&LabSpec {
        devices: 1,
        ..LabSpec::default()
    });
    world.run(&["backup", "--record", "traces"]).assert_code(0);
    let path = &traces(&world, "traces")[0];
    let text = fs::read_to_string(path).unwrap();
    let change = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}\n{text}");
        fs::write(world.path("changed"), text.replace(from, to)).unwrap();
        world.run(&["replay", "changed"])
    };
    let typed = change("> write memory\\r", "> copy run start\\r");
    typed.assert_code(1);
    assert!(
        typed
            .out
            .contains("typed in save: then `copy run start\\r`, now `write memory\\r`"),
        "{}",
        typed.out
    );
    let ends = change("<< end\n", "");
    ends.assert_code(1);
    assert!(ends.out.contains("then: ok, byte_count"), "{}", ends.out);
    assert!(ends.out.contains("now:  timeout: "), "{}", ends.out);
    assert!(
        ends.out.contains("then `exit\\r`, now `\\r`"),
        "{}",
        ends.out
    );
    for (from, to, word) in [
        ("# wrmem trace 1", "# nothing", "line 1: is no trace"),
        (
            "set platform=cisco_ios",
            "set platform=acme",
            "platform `acme` is not known",
        ),
        ("ended connect ok", "ended lunch ok", "`lunch` is no stage"),
    ] {
        let refused = change(from, to);
        refused.assert_code(2);
        assert!(refused.err.contains(word), "{}", refused.err);
        assert!(refused.err.contains("changed"), "{}", refused.err);
    }
}
