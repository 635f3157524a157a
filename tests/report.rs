//! The faces of a run's report: what people and scripts see.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail this way"
)]

use std::time::{Duration, SystemTime};
use wrmem::model::device::DeviceName;
use wrmem::model::failure::{Failure, FailureKind};
use wrmem::model::report::{
    AttemptReport, DeviceReport, Mode, Outcome, RunReport, StageTime, Stored, StoredKind,
};
use wrmem::model::stage::{Algorithms, Stage, StepName, StepTime};
use wrmem::report::color::Color;
use wrmem::report::{json, table};

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn name(text: &str) -> DeviceName {
    DeviceName::new(text).expect("a good name")
}

/// The stages up to `last`, one after the other from `began`, each of so many milliseconds.
fn stages(began: Duration, took: &[u64]) -> Vec<StageTime> {
    let mut at = began;
    let mut stages = Vec::new();
    for (stage, took) in Stage::ALL.into_iter().zip(took) {
        stages.push(StageTime {
            stage,
            began: at,
            took: millis(*took),
            steps: Vec::new(),
        });
        at += millis(*took);
    }
    stages
}

fn attempt(began: u64, took: &[u64], failure: Option<Failure>) -> AttemptReport {
    AttemptReport {
        began: millis(began),
        ended: millis(began + took.iter().sum::<u64>()),
        stages: stages(millis(began), took),
        failure,
    }
}

fn stored(kind: StoredKind, bytes: u64) -> Option<Stored> {
    Some(Stored {
        kind,
        bytes,
        sha256: [0xa5; 32],
    })
}

fn device(text: &str, attempts: Vec<AttemptReport>) -> DeviceReport {
    DeviceReport {
        name: name(text),
        host: text.to_owned(),
        platform: "cisco_ios".to_owned(),
        outcome: Outcome::Ok,
        stored: None,
        waited: attempts.first().map_or(Duration::ZERO, |first| first.began),
        finished: attempts.last().map_or(Duration::ZERO, |last| last.ended),
        attempts,
        algorithms: None,
        notes: Vec::new(),
    }
}

fn failed(mut device: DeviceReport, failure: Failure) -> DeviceReport {
    device.outcome = Outcome::Failed(failure);
    device.stored = None;
    device
}

fn run(devices: Vec<DeviceReport>) -> RunReport {
    RunReport {
        started_at: SystemTime::UNIX_EPOCH + millis(1_785_542_400_250),
        mode: Mode::Concurrent,
        in_flight_limit: 100,
        in_flight_max: devices.len().min(100),
        wall: devices
            .iter()
            .map(|device| device.finished)
            .max()
            .unwrap_or_default(),
        devices,
        busy: Vec::new(),
        abandoned_threads: 0,
    }
}

/// Three devices: one well, one not saved after a retry, one that was never let in.
fn three() -> RunReport {
    let mut csr1 = device("csr1", vec![attempt(10, &[412, 1_204, 310, 4, 1], None)]);
    csr1.stored = stored(StoredKind::New, 3_412);
    csr1.algorithms = Some(Algorithms {
        kex: "diffie-hellman-group14-sha1".to_owned(),
        host_key: "ssh-rsa".to_owned(),
        cipher: "aes128-ctr".to_owned(),
        mac: "hmac-sha1".to_owned(),
    });
    csr1.notes = vec!["SHA-1 algorithms in use: ssh-rsa, hmac-sha1".to_owned()];
    if let Some(connect) = csr1.attempts[0].stages.first_mut() {
        let step = |step, took| StepTime {
            step,
            took: millis(took),
        };
        connect.steps = vec![
            step(StepName::Tcp, 21),
            step(StepName::Gate, 2),
            step(StepName::Kex, 120),
            step(StepName::Gate, 3),
            step(StepName::Auth, 80),
        ];
    }
    let reset = Failure::new(Stage::Connect, FailureKind::Reset, "the connection broke");
    let refusal = "the device said `startup-config file open failed`; look at its NVRAM";
    let mut csr2 = device(
        "csr2",
        vec![
            attempt(10, &[300], Some(reset)),
            attempt(1_310, &[400, 900, 250, 3, 1], None),
        ],
    );
    csr2.host = "192.0.2.12".to_owned();
    csr2.waited = millis(1_010);
    csr2.stored = stored(StoredKind::Unchanged, 2_800);
    let unsaved = Failure::new(Stage::Save, FailureKind::SaveFailed, refusal);
    csr2.outcome = Outcome::NotSaved(unsaved);
    let refused = Failure::new(
        Stage::Connect,
        FailureKind::AuthRefused,
        "login refused, credentials lab; check credentials.toml",
    );
    let tried = attempt(12, &[230], Some(refused.clone()));
    let csr3 = failed(device("csr3", vec![tried]), refused);
    let mut report = run(vec![csr3, csr1, csr2]);
    report.abandoned_threads = 1;
    report.busy = vec![name("csr4")];
    report
}

fn shown(report: &RunReport, width: u16) -> String {
    let mut out = Vec::new();
    let look = table::Look {
        width,
        color: Color::Off,
    };
    table::write(report, &mut out, look).expect("a Vec takes all");
    String::from_utf8(out).expect("text")
}

fn as_json(report: &RunReport) -> String {
    let mut out = Vec::new();
    json::write(report, &mut out).expect("a Vec takes all");
    String::from_utf8(out).expect("text")
}

#[test]
fn json_is_version_1_to_the_letter() {
    let expected = include_str!("fixtures/report/three.json");
    assert_eq!(as_json(&three()), expected);
}

#[test]
fn the_table_of_a_few_devices_fits_80_columns() {
    let expected = include_str!("fixtures/report/three.txt");
    assert_eq!(shown(&three(), 80), expected);
}

#[test]
fn the_last_line_is_the_execution_time() {
    let mut out = Vec::new();
    table::execution_time(millis(1_234), &mut out).expect("a Vec takes all");
    assert_eq!(out, b"Execution time: 1.234\n");
}
