//! What is remembered as JSON, version 1: a contract with scripts. New fields are added at the end.

use super::{DeviceStatus, History, RunDetails};
use crate::model::health::{Health, Period};
use crate::model::history::{DeviceState, Incident, PastOutcome, PastRun, RunEnd};
use crate::model::report::Stored;
use crate::report::json::{WireCounts, WireFailure, hex, moment, seconds};
use serde::Serialize;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

fn write(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

#[derive(Serialize)]
struct WirePeriod {
    since: Option<String>,
    until: Option<String>,
}

fn period(period: &Period) -> WirePeriod {
    WirePeriod {
        since: moment(period.since),
        until: moment(period.until),
    }
}

#[derive(Serialize)]
struct WireRest {
    cause: &'static str,
    since: Option<String>,
    until: Option<String>,
    number: u32,
}

#[derive(Serialize)]
struct WireDevice<'a> {
    name: &'a str,
    last_good: Option<String>,
    age_seconds: Option<f64>,
    last_result: Option<WireLast<'a>>,
    failures: u32,
    due: Option<String>,
    rest: Option<WireRest>,
    quarantine: Option<WirePeriod>,
    crashes: u32,
    group: Option<&'a str>,
}

#[derive(Serialize)]
struct WireLast<'a> {
    ended: Option<String>,
    run: Option<i64>,
    outcome: &'static str,
    failure: Option<WireFailure<'a>>,
}

fn device<'a>(state: &'a DeviceState, group: Option<&'a str>, now: SystemTime) -> WireDevice<'a> {
    let Health {
        rest,
        crashes,
        quarantine,
        ..
    } = &state.health;
    let age = state.good_age(now).known();
    WireDevice {
        name: state.name.as_str(),
        last_good: state.good.and_then(moment),
        age_seconds: age.map(seconds),
        last_result: state.last.as_ref().map(|last| WireLast {
            ended: moment(last.ended),
            run: last.run.map(|run| run.0),
            outcome: last.outcome.name(),
            failure: last.outcome.failure().map(WireFailure::from),
        }),
        failures: state.failures,
        due: state.due.and_then(|due| moment(due.seen_from(now))),
        rest: rest.map(|rest| WireRest {
            cause: rest.cause.name(),
            since: moment(rest.period.since),
            until: moment(rest.period.until),
            number: rest.number,
        }),
        quarantine: quarantine.as_ref().map(period),
        crashes: *crashes,
        group,
    }
}

#[derive(Serialize)]
struct WireStatus<'a> {
    version: u32,
    now: Option<String>,
    older_than_seconds: Option<f64>,
    devices: Vec<WireDevice<'a>>,
}

pub(super) fn status(
    devices: &[DeviceStatus],
    older_than: Option<Duration>,
    now: SystemTime,
    out: &mut dyn Write,
) -> io::Result<()> {
    let devices = devices
        .iter()
        .map(|one| device(&one.state, one.group.as_deref(), now))
        .collect();
    let status = WireStatus {
        version: 1,
        now: moment(now),
        older_than_seconds: older_than.map(seconds),
        devices,
    };
    write(&status, out)
}

#[derive(Serialize)]
struct WireOutcome<'a> {
    run: i64,
    name: &'a str,
    ended: Option<String>,
    outcome: &'static str,
    stored: Option<&'static str>,
    bytes: Option<u64>,
    sha256: Option<String>,
    lines_added: Option<u64>,
    lines_removed: Option<u64>,
    seconds: f64,
    attempts: u32,
    failure: Option<WireFailure<'a>>,
}

fn outcome(past: &PastOutcome) -> WireOutcome<'_> {
    let stored = past.stored.as_ref();
    let lines = stored.and_then(|stored| stored.lines);
    WireOutcome {
        run: past.run.0,
        name: past.device.as_str(),
        ended: moment(past.ended),
        outcome: past.outcome.name(),
        stored: stored.map(|stored| stored.kind.name()),
        bytes: stored.map(|stored| stored.bytes),
        sha256: stored.map(|Stored { sha256, .. }| hex(sha256)),
        lines_added: lines.map(|lines| lines.added),
        lines_removed: lines.map(|lines| lines.removed),
        seconds: seconds(past.took),
        attempts: past.attempts,
        failure: past.outcome.failure().map(WireFailure::from),
    }
}

#[derive(Serialize)]
struct WireIncident<'a> {
    at: Option<String>,
    kind: &'a str,
    message: &'a str,
}

fn incident(past: &Incident) -> WireIncident<'_> {
    WireIncident {
        at: moment(past.at),
        kind: &past.kind,
        message: &past.message,
    }
}

#[derive(Serialize)]
struct WireHistory<'a> {
    name: &'a str,
    device: Option<WireDevice<'a>>,
    outcomes: Vec<WireOutcome<'a>>,
    incidents: Vec<WireIncident<'a>>,
}

#[derive(Serialize)]
struct WireHistories<'a> {
    version: u32,
    now: Option<String>,
    devices: Vec<WireHistory<'a>>,
}

pub(super) fn histories(
    histories: &[History],
    now: SystemTime,
    out: &mut dyn Write,
) -> io::Result<()> {
    let devices = histories.iter().map(|history| WireHistory {
        name: &history.name,
        device: history.state.as_ref().map(|state| device(state, None, now)),
        outcomes: history.outcomes.iter().map(outcome).collect(),
        incidents: history.incidents.iter().map(incident).collect(),
    });
    let all = WireHistories {
        version: 1,
        now: moment(now),
        devices: devices.collect(),
    };
    write(&all, out)
}

#[derive(Serialize)]
struct WireRun {
    run: i64,
    started: Option<String>,
    end: &'static str,
    wall_seconds: Option<f64>,
    mode: &'static str,
    trigger: &'static str,
    counts: WireCounts,
}

fn wire_run(run: &PastRun) -> WireRun {
    let counts = &run.counts;
    let (end, wall) = match run.end {
        RunEnd::UnderWay => ("under_way", None),
        RunEnd::After(wall) => ("done", Some(seconds(wall))),
        RunEnd::BrokenOff => ("broken_off", None),
    };
    WireRun {
        run: run.number.0,
        started: moment(run.started),
        end,
        wall_seconds: wall,
        mode: run.mode.name(),
        trigger: run.trigger.name(),
        counts: counts.into(),
    }
}

#[derive(Serialize)]
struct WireRuns {
    version: u32,
    runs: Vec<WireRun>,
}

pub(super) fn runs(runs: &[PastRun], out: &mut dyn Write) -> io::Result<()> {
    let runs = runs.iter().map(wire_run).collect();
    write(&WireRuns { version: 1, runs }, out)
}

#[derive(Serialize)]
struct WireDetails<'a> {
    version: u32,
    run: WireRun,
    devices: Vec<WireOutcome<'a>>,
}

pub(super) fn run(details: &RunDetails, out: &mut dyn Write) -> io::Result<()> {
    let details = WireDetails {
        version: 1,
        run: wire_run(&details.run),
        devices: details.outcomes.iter().map(outcome).collect(),
    };
    write(&details, out)
}
