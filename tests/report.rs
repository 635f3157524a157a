//! The faces of a run's report: what people and scripts see.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail this way"
)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};
use wrmem::model::config::Proof;
use wrmem::model::device::DeviceName;
use wrmem::model::event::{Event, EventSink};
use wrmem::model::failure::{Failure, FailureKind};
use wrmem::model::forecast::{Bound, Forecast};
use wrmem::model::report::{
    AttemptReport, DeviceReport, Lines, Mode, Outcome, RunReport, StageTime, Stored, StoredKind,
};
use wrmem::model::stage::{Algorithms, Stage, StepName, StepTime};
use wrmem::model::version::ObjectId;
use wrmem::report::color::Color;
use wrmem::report::console::Console;
use wrmem::report::{json, table, timeline};

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
        lines: (kind == StoredKind::Changed).then_some(Lines {
            added: 3,
            removed: 1,
        }),
        bytes,
        sha256: [0xa5; 32],
        notes: Vec::new(),
    })
}

fn device(text: &str, attempts: Vec<AttemptReport>) -> DeviceReport {
    DeviceReport {
        name: name(text),
        host: text.to_owned(),
        platform: "cisco_ios".to_owned(),
        outcome: Outcome::Ok,
        stored: None,
        proof: None,
        save: None,
        unsaved: None,
        waited: attempts.first().map_or(Duration::ZERO, |first| first.began),
        finished: attempts.last().map_or(Duration::ZERO, |last| last.ended),
        attempts,
        algorithms: None,
        credentials: None,
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
        forecast: Forecast {
            expected: millis(50_000),
            bound: Bound::InFlight {
                set: "site-7".to_owned(),
                most: 3,
            },
            known: 2,
            assumed: Some(millis(1_500)),
            window: None,
        },
        commits: Vec::new(),
        archive_trouble: None,
    }
}

/// Three devices: one well, one not saved after a retry, one that was never let in.
fn three() -> RunReport {
    let mut csr1 = device("csr1", vec![attempt(10, &[412, 1_204, 310, 4, 1], None)]);
    csr1.stored = stored(StoredKind::Changed, 3_412);
    csr1.proof = Some(Proof::ByteCount);
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
    csr2.proof = Some(Proof::Marker);
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
    report.commits = vec![
        ObjectId::from_bytes([0x3f; 20]),
        ObjectId::from_bytes([0xa2; 20]),
    ];
    report.archive_trouble = Some("configs.git: write an object: no space left".to_owned());
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

#[test]
fn the_counts_of_the_json_add_up() {
    let report: serde_json::Value = serde_json::from_str(&as_json(&three())).expect("JSON");
    let counts = &report["counts"];
    let sum = |words: &[&str]| -> u64 {
        let counts = words.iter().map(|word| counts[word].as_u64());
        counts.map(|count| count.expect("a number")).sum()
    };
    let total = sum(&["total"]);
    let devices = report["devices"].as_array().expect("a list");
    assert_eq!(total, 3);
    assert_eq!(
        total,
        sum(&["succeeded", "not_saved", "failed", "cancelled"])
    );
    assert_eq!(devices.len(), 3);
    let stored = devices
        .iter()
        .filter(|one| !one["stored"].is_null())
        .count();
    assert_eq!(stored as u64, sum(&["new", "changed", "unchanged"]));
    let seconds: f64 = devices
        .iter()
        .filter_map(|one| one["seconds"].as_f64())
        .sum();
    let total = report["device_seconds"].as_f64().expect("a number");
    assert!((seconds - total).abs() < 1e-6, "{seconds} {total}");
}

#[test]
fn a_report_file_is_the_report() {
    let folder = tempfile::tempdir().expect("made");
    let path = folder.path().join("report.json");
    json::to_file(&path, &three()).expect("written");
    let text = std::fs::read_to_string(&path).expect("read");
    assert_eq!(text, as_json(&three()));
}

/// Fifty devices of which five fail for two reasons.
fn fifty() -> RunReport {
    let devices = (1..=50).map(|number| {
        let took = 1_000 + number * 10;
        let mut good = device(
            &format!("edge-{number:03}"),
            vec![attempt(5, &[300, took, 200, 4, 1], None)],
        );
        good.stored = stored(StoredKind::Changed, 3_000);
        good.notes = vec!["SHA-1 algorithms in use: ssh-rsa".to_owned()];
        match number {
            10 | 20 | 30 => failed(
                good,
                Failure::new(
                    Stage::Connect,
                    FailureKind::AuthRefused,
                    format!("login refused by edge-{number:03}, credentials corp"),
                ),
            ),
            40 | 50 => failed(
                good,
                Failure::new(
                    Stage::Backup,
                    FailureKind::Truncated,
                    format!("the session ended after {} bytes", number * 7),
                ),
            ),
            _ => good,
        }
    });
    run(devices.collect())
}

#[test]
fn many_devices_are_grouped_and_only_the_slowest_have_a_row() {
    let text = shown(&fifty(), 80);
    let expected = "\
Not ok
3 x  connect: login refused by <device>, credentials corp
     edge-010, edge-020, edge-030
2 x  for example backup: the session ended after 280 bytes
     edge-040, edge-050

50 devices: 45 ok, 5 failed.
Configs: 45 changed.
";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("The 10 slowest of 50 devices"), "{text}");
    assert!(text.contains("\nedge-041"), "{text}");
    assert!(!text.contains("\nedge-009"), "{text}");
    assert!(
        text.contains("\n50 x  SHA-1 algorithms in use: ssh-rsa\n"),
        "{text}"
    );
}

#[test]
fn the_table_keeps_to_the_width_it_is_given() {
    let mut report = fifty();
    for device in &mut report.devices {
        let long = format!(
            "{}.a-long-building-name.{}.example.net",
            device.name, device.name
        );
        device.name = name(&long);
    }
    for width in [80, 100, 140] {
        let text = shown(&report, width);
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(usize::from(width)), "{width}: {text}");
    }
}

#[test]
fn colours_are_there_only_when_asked_for() {
    assert!(!shown(&three(), 80).contains('\x1b'));
    let mut out = Vec::new();
    let look = table::Look {
        width: 80,
        color: Color::On,
    };
    table::write(&three(), &mut out, look).expect("a Vec takes all");
    let text = String::from_utf8(out).expect("text");
    assert!(text.contains("\x1b[31mconnect failed\x1b[0m "), "{text:?}");
}

fn told(color: Color, events: &[Event]) -> String {
    let mut out = Vec::new();
    let mut console = Console::new(&mut out, color);
    for event in events {
        console.on(event);
    }
    console.finish();
    drop(console);
    String::from_utf8(out).expect("text")
}

fn stage_started(device: &str, stage: Stage) -> Event {
    Event::StageStarted {
        device: name(device),
        stage,
        attempt: 1,
    }
}

#[test]
fn the_console_speaks_in_the_words_of_the_exercise() {
    let report = Arc::new(three());
    let mut events: Vec<Event> = Stage::ALL
        .into_iter()
        .map(|stage| stage_started("csr1", stage))
        .collect();
    for device in &report.devices {
        events.push(Event::DeviceFinished(Arc::new(device.clone())));
    }
    events.push(Event::RunFinished(report));
    let expected = "\
Connecting to device | csr1
Saving configuration | csr1
Backing up configuration | csr1
Writing config to file | csr1
Device csr3 failed: connect: login refused, credentials lab; check credentials.toml
Device csr1 finished successfully.
Device csr2 backed up, not saved: the device said `startup-config file \
    open failed`; look at its NVRAM
";
    assert_eq!(told(Color::Off, &events), expected);
}

#[test]
fn a_lost_finish_is_told_at_the_end_and_each_one_once() {
    let report = Arc::new(three());
    let known = Event::DeviceFinished(Arc::new(report.devices[1].clone()));
    let text = told(
        Color::Off,
        &[known.clone(), known, Event::RunFinished(report)],
    );
    let first_words: Vec<&str> = text.lines().filter_map(|line| line.get(..11)).collect();
    assert_eq!(first_words, ["Device csr1", "Device csr3", "Device csr2"]);
}

#[test]
fn a_device_cannot_move_the_cursor() {
    let hostile = Failure::new(
        Stage::Backup,
        FailureKind::Unexpected,
        "it said\r\n\x1b[2J\x1b]0;owned\x07 \u{9b}1A\u{202e}",
    );
    let device = failed(device("csr1", Vec::new()), hostile);
    let report = run(vec![device.clone()]);
    let text = told(Color::Off, &[Event::DeviceFinished(Arc::new(device))]);
    assert_eq!(
        text,
        "Device csr1 failed: backup: it said [2J ]0;owned 1A\n"
    );
    let table = shown(&report, 80);
    assert!(
        table.chars().all(|c| c == '\n' || !c.is_control()),
        "{table:?}"
    );
}

#[test]
fn the_timeline_shows_hostile_text_as_text() {
    let attack = "</title><script>alert(1)</script><img src=x onerror='x' \"&";
    let failure = Failure::new(Stage::Backup, FailureKind::Unexpected, attack);
    let tried = attempt(5, &[100, 200], Some(failure.clone()));
    let mut device = failed(device("csr1", vec![tried]), failure);
    device.host = attack.to_owned();
    device.notes = vec![attack.to_owned()];
    let page = page(&run(vec![device]));
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert_eq!(page.matches("</title>").count(), 2, "{page}");
    assert!(!page.contains("<img"), "{page}");
    assert!(
        page.contains("&lt;img src=x onerror=&#39;x&#39; &quot;&amp;"),
        "{page}"
    );
}

#[test]
fn the_timeline_has_a_bar_for_each_stage_and_shows_waiting_and_retries() {
    let page = page(&three());
    assert_eq!(page.matches("<g class=\"row\">").count(), 3);
    // Two devices came to a write, three to a connect, one of them twice.
    assert_eq!(page.matches("<rect class=\"write\"").count(), 2);
    assert_eq!(page.matches("<rect class=\"connect\"").count(), 4);
    // Each one in the queue, one in backoff.
    assert_eq!(page.matches("<rect class=\"wait\"").count(), 4);
    assert_eq!(page.matches("<rect class=\"gate\"").count(), 2);
    assert_eq!(page.matches("<rect class=\"retry\"").count(), 1);
    assert_eq!(page.matches("✕</text>").count(), 1);
    assert_eq!(page.matches("▲</text>").count(), 1);
}

#[test]
fn the_timeline_loads_nothing() {
    let page = page(&three());
    for link in ["http:", "https:", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(link), "{link}");
    }
}

#[test]
fn runs_without_devices_can_be_shown() {
    let nothing = run(Vec::new());
    assert!(shown(&nothing, 80).contains("0 devices: none."));
    assert!(page(&nothing).contains("0 devices"));
    assert!(as_json(&nothing).contains("\"overlap\": 0.0"));
}

fn page(report: &RunReport) -> String {
    let mut out = Vec::new();
    timeline::write(report, &mut out).expect("a Vec takes all");
    String::from_utf8(out).expect("text")
}
