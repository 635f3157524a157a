//! What is shown, byte by byte.

use super::*;
use crate::model::device::DeviceName;
use crate::model::failure::{Failure, FailureKind};
use crate::model::health::{CredentialHealth, Health, Period, Rest, RestCause};
use crate::model::history::{
    DeviceState, Due, Incident, LastFailure, LastOutcome, PastOutcome, PastRun, RunEnd, RunNumber,
    Trigger,
};
use crate::model::report::{Counts, Lines, Mode, StoredKind};
use crate::model::stage::Stage;

/// 2026-11-27 12:00:00 UTC.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_780_800)
}

fn ago(seconds: u64) -> SystemTime {
    now() - Duration::from_secs(seconds)
}

fn layout(width: Option<u16>) -> Layout {
    Layout {
        width,
        zone: TimeZone::UTC,
        now: now(),
    }
}

fn failure() -> Failure {
    let message = "no TCP connection to 192.0.2.7:22: connection refused\x1b[2J";
    Failure::new(Stage::Connect, FailureKind::Connect, message)
}

fn device(name: &str) -> DeviceState {
    DeviceState::unknown(DeviceName::new(name).unwrap())
}

fn last(seconds: u64, outcome: Outcome) -> Option<LastOutcome> {
    Some(LastOutcome {
        run: Some(RunNumber(41)),
        ended: ago(seconds),
        outcome,
    })
}

fn fleet() -> Vec<DeviceStatus> {
    let fine = DeviceState {
        good: Some(ago(720)),
        last: last(720, Outcome::Ok),
        due: Some(Due {
            at: now() + Duration::from_secs(2880),
            decided: ago(720),
        }),
        ..device("csr1")
    };
    let dead = DeviceState {
        good: Some(ago(2 * 86_400 + 4 * 3600)),
        last: last(90, Outcome::Failed(failure())),
        failed: Some(LastFailure {
            ended: ago(90),
            failure: failure(),
        }),
        failures: 7,
        due: Some(Due {
            at: ago(30),
            decided: ago(3630),
        }),
        health: Health {
            unreachable: 7,
            rest: Some(Rest {
                cause: RestCause::Unreachable,
                period: Period::new(ago(90), Duration::from_secs(600)),
                number: 2,
            }),
            ..Health::default()
        },
        ..device("csr2")
    };
    let crashing = DeviceState {
        last: last(86_000, Outcome::Failed(failure())),
        health: Health {
            crashes: 3,
            crashed: Some(ago(86_000)),
            quarantine: Some(Period::new(ago(86_000), Duration::from_secs(86_400))),
            ..Health::default()
        },
        ..device("csr3")
    };
    let states = [fine, dead, crashing, device("csr4")];
    let group = |name: &str| (name == "csr1").then(|| "core".to_owned());
    states
        .into_iter()
        .map(|state| DeviceStatus {
            group: group(state.name.as_str()),
            state,
        })
        .collect()
}

fn status(older_than: Option<u64>, width: Option<u16>) -> String {
    let mut out = Vec::new();
    let older_than = older_than.map(Duration::from_secs);
    let status = Status::of(fleet(), older_than, now());
    status.write(&layout(width), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn status_tells_the_oldest_good_backup_first() {
    let expected = "\
Device   Last good  Last result                Due        Left alone               Why
csr3         never  connect failed 23 h 53 min ago             quarantine, 6 min left   no TCP connection to 192.0.2.7:22: connection refused [2J
csr4         never  never tried
csr2     2 d 04 h  connect failed 90 s ago  30 s ago   unreachable, 8 min left  no TCP connection to 192.0.2.7:22: connection refused [2J
csr1       12 min  ok 12 min ago            in 48 min

4 devices, 2 never backed up; the oldest good backup is 2 d 04 h old
";
    let words = |text: &str| -> Vec<Vec<String>> {
        text.lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect()
    };
    let shown = status(None, None);
    assert_eq!(words(&shown), words(expected), "{shown}");
    assert!(!shown.contains('\x1b'), "{shown}");
    // Columns begin at the same place in every line.
    let at = |line: usize, word: &str| shown.lines().nth(line).unwrap().find(word).unwrap();
    assert_eq!(at(0, "Last result"), at(1, "connect failed"));
    assert_eq!(at(0, "Why"), at(3, "no TCP"));
}

#[test]
fn a_backup_ahead_of_the_clock_is_no_young_one() {
    let mut fleet = fleet();
    for one in fleet.iter_mut().filter(|one| one.state.good.is_some()) {
        one.state.good = one
            .state
            .good
            .map(|good| good + Duration::from_secs(30 * 86_400));
    }
    let mut out = Vec::new();
    let status = Status::of(fleet, Some(Duration::from_secs(86_400)), now());
    status.write(&layout(None), &mut out).unwrap();
    let shown = String::from_utf8(out).unwrap();
    for wanted in ["csr1    29 d 23 h ahead", "csr2    27 d 20 h ahead"] {
        assert!(shown.contains(wanted), "{shown}");
    }
    let told = "4 of 4 devices without a good backup within 1 d, 2 backed up ahead of";
    assert!(shown.contains(told), "{shown}");
}

#[test]
fn on_a_terminal_lines_are_cut_at_its_width() {
    let shown = status(None, Some(60));
    assert!(
        shown
            .lines()
            .all(|line| line.chars().count() <= 60 || line.starts_with("4 dev"))
    );
    assert!(shown.contains('…'), "{shown}");
}

#[test]
fn a_monitor_is_told_only_of_devices_without_a_good_backup_in_time() {
    let day = status(Some(86_400), None);
    assert!(day.contains("csr2") && day.contains("csr4"), "{day}");
    assert!(!day.contains("csr1"), "{day}");
    assert!(
        day.ends_with("3 of 4 devices without a good backup within 1 d\n"),
        "{day}"
    );
    let none = Status::of(fleet()[..1].to_vec(), Some(Duration::from_secs(720)), now());
    assert!(none.is_empty(), "exactly as old as allowed");
    let mut out = Vec::new();
    none.write(&layout(None), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text, "0 of 1 device without a good backup within 12 min\n");
}

#[test]
fn a_good_backup_a_little_ahead_of_the_clock_is_one_of_now() {
    let ahead = DeviceState {
        good: Some(now() + Duration::from_secs(240)),
        ..device("csr1")
    };
    let devices = vec![DeviceStatus {
        state: ahead,
        group: None,
    }];
    let status = Status::of(devices, Some(Duration::from_secs(60)), now());
    assert!(status.is_empty());
}

fn json(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> serde_json::Value {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn status_as_json_has_every_fact() {
    let status = Status::of(fleet(), Some(Duration::from_secs(3600)), now());
    let value = json(|out| status.write_json(out));
    assert_eq!(value["version"], 1);
    assert_eq!(value["now"], "2026-11-27T12:00:00.000Z");
    assert_eq!(value["older_than_seconds"], 3600.0);
    let dead = &value["devices"][2];
    assert_eq!(dead["name"], "csr2");
    assert_eq!(dead["age_seconds"], 187_200.0);
    assert_eq!(dead["last_result"]["outcome"], "failed");
    assert_eq!(dead["last_result"]["run"], 41);
    assert_eq!(dead["last_result"]["failure"]["kind"], "connect");
    assert_eq!(dead["failures"], 7);
    assert_eq!(dead["rest"]["cause"], "unreachable");
    assert_eq!(dead["rest"]["until"], "2026-11-27T12:08:30.000Z");
    assert_eq!(
        value["devices"][0]["quarantine"]["since"],
        "2026-11-26T12:06:40.000Z"
    );
    assert!(value["devices"][1]["last_good"].is_null());
}

fn outcomes() -> Vec<PastOutcome> {
    let stored = Stored {
        kind: StoredKind::Changed,
        lines: Some(Lines {
            added: 3,
            removed: 1,
        }),
        bytes: 4096,
        sha256: [7; 32],
        ..stored_default()
    };
    let past = |run, name: &str, seconds, outcome| PastOutcome {
        run: RunNumber(run),
        device: DeviceName::new(name).unwrap(),
        ended: ago(seconds),
        outcome,
        stored: None,
        took: Duration::from_millis(1250),
        attempts: 1,
    };
    vec![
        PastOutcome {
            stored: Some(stored),
            ..past(41, "csr1", 720, Outcome::Ok)
        },
        PastOutcome {
            attempts: 0,
            ..past(40, "csr1", 4320, Outcome::Failed(failure()))
        },
        PastOutcome {
            attempts: 3,
            ..past(39, "csr1", 7920, Outcome::Failed(failure()))
        },
    ]
}

fn stored_default() -> Stored {
    Stored {
        kind: StoredKind::New,
        lines: None,
        bytes: 0,
        sha256: [0; 32],
        notes: Vec::new(),
    }
}

fn incidents() -> Vec<Incident> {
    vec![Incident {
        at: ago(7920),
        device: Some(DeviceName::new("csr1").unwrap()),
        kind: "breaker_opened".to_owned(),
        message: "it cannot be reached: it rests for 5 min".to_owned(),
    }]
}

#[test]
fn a_history_tells_outcomes_and_incidents_newest_first() {
    let history = History {
        name: "csr1".to_owned(),
        state: Some(fleet()[0].state.clone()),
        outcomes: outcomes(),
        incidents: incidents(),
    };
    let mut out = Vec::new();
    history.write(&layout(None), &mut out).unwrap();
    let expected = "\
csr1: last good backup 12 min ago; due in 48 min
When                 Run  Result             Bytes    Took  Tries  Why
2026-11-27 11:48:00   41  ok, changed +3 -1   4096  1.25 s      1
2026-11-27 10:48:00   40  not tried                                no TCP connection to 192.0.2.7:22: connection refused [2J
2026-11-27 09:48:00   39  connect failed            1.25 s      3  no TCP connection to 192.0.2.7:22: connection refused [2J
2026-11-27 09:48:00       breaker opened                           it cannot be reached: it rests for 5 min
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let value = json(|out| write_histories_json(&[history], now(), out));
    let device = &value["devices"][0];
    assert_eq!(device["name"], "csr1");
    assert_eq!(device["outcomes"][0]["lines_added"], 3);
    assert_eq!(device["outcomes"][2]["failure"]["stage"], "connect");
    assert_eq!(device["incidents"][0]["kind"], "breaker_opened");
}

#[test]
fn a_device_without_history_says_so() {
    let history = History {
        name: "csr9".to_owned(),
        state: None,
        outcomes: Vec::new(),
        incidents: Vec::new(),
    };
    let mut out = Vec::new();
    history.write(&layout(None), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text, "csr9: nothing is recorded yet\n");
}

fn run(number: i64, end: RunEnd) -> PastRun {
    PastRun {
        number: RunNumber(number),
        started: ago(3600),
        end,
        mode: Mode::Concurrent,
        trigger: Trigger::Schedule,
        counts: Counts {
            total: 300,
            succeeded: 298,
            failed: 2,
            changed: 3,
            unchanged: 295,
            ..Counts::default()
        },
    }
}

#[test]
fn runs_are_told_one_a_line() {
    let runs = Runs(vec![
        run(42, RunEnd::UnderWay),
        run(41, RunEnd::After(Duration::from_millis(12_100))),
        run(40, RunEnd::BrokenOff),
    ]);
    let mut out = Vec::new();
    runs.write(&layout(None), &mut out).unwrap();
    let expected = "\
Run  Started              By        Devices   Ok  Failed  Changed         Took
 42  2026-11-27 11:00:00  schedule      300  298       2        3    under way
 41  2026-11-27 11:00:00  schedule      300  298       2        3       12.1 s
 40  2026-11-27 11:00:00  schedule      300  298       2        3   broken off
";
    let text = String::from_utf8(out).unwrap();
    let words = |text: &str| -> Vec<Vec<String>> {
        text.lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect()
    };
    assert_eq!(words(&text), words(expected), "{text}");
    let value = json(|out| runs.write_json(out));
    assert_eq!(value["runs"][0]["end"], "under_way");
    assert_eq!(value["runs"][1]["wall_seconds"], 12.1);
    assert_eq!(value["runs"][2]["counts"]["unchanged"], 295);
}

#[test]
fn a_run_tells_devices_that_are_not_ok_first() {
    let details = RunDetails {
        run: run(41, RunEnd::After(Duration::from_secs(9))),
        outcomes: outcomes(),
    };
    let mut out = Vec::new();
    details.write(&layout(None), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let results: Vec<_> = text
        .lines()
        .skip(4)
        .map(|line| line.split_whitespace().nth(1))
        .collect();
    assert_eq!(
        results,
        [Some("not"), Some("connect"), Some("ok,")],
        "{text}"
    );
    let value = json(|out| details.write_json(out));
    assert_eq!(value["run"]["run"], 41);
    assert_eq!(value["devices"][0]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn a_release_tells_what_held_the_device_back() {
    let name = DeviceName::new("csr1").unwrap();
    let told = |health: &Health, credentials| released(&name, health, &credentials, &layout(None));
    let none = CredentialHealth::default();
    assert_eq!(told(&Health::default(), none), "csr1: nothing held it back");
    let dead = fleet()[1].state.health;
    assert_eq!(
        told(&dead, none),
        "csr1: released (unreachable, 8 min left)"
    );
    let resting = CredentialHealth {
        refused: 3,
        rest: Some(Period::new(ago(60), Duration::from_secs(1800))),
    };
    let crashing = Health {
        crashes: 2,
        ..Health::default()
    };
    assert_eq!(
        told(&crashing, resting),
        "csr1: released (crashes: 2; its credentials rested)"
    );
}

#[test]
fn long_times_are_said_shortly() {
    let said = |seconds| long(Duration::from_secs(seconds));
    assert_eq!(said(0), "0 s");
    assert_eq!(said(119), "119 s");
    assert_eq!(said(120), "2 min");
    assert_eq!(said(3600 + 300), "1 h 05 min");
    assert_eq!(said(7200), "2 h");
    assert_eq!(said(86_400), "1 d");
    assert_eq!(said(86_400 + 3600), "1 d 01 h");
    assert_eq!(said(400 * 86_400), "400 d");
}
