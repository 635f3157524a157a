//! The report as JSON, version 1: a contract with scripts.

use super::file::{ReportFileError, write_whole};
use crate::model::config::Proof;
use crate::model::failure::Failure;
use crate::model::forecast::{Bound, Forecast};
use crate::model::limit::section;
use crate::model::report::{Counts, DeviceReport, RunReport, StageTime};
use crate::model::stage::StepTime;
use serde::{Serialize, Serializer};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Writes `report` as indented JSON with a line end.
///
/// # Errors
/// When `out` fails.
pub fn write(report: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &wire_run(report)?)?;
    out.write_all(b"\n")
}

/// Writes `report` to `path`, whole or not at all.
///
/// # Errors
/// When the file cannot be written; names it.
pub fn to_file(path: &Path, report: &RunReport) -> Result<(), ReportFileError> {
    write_whole(path, |out| write(report, out))
}

/// Field names and their order are promised; new fields are added at the end.
#[derive(Serialize)]
struct WireRun<'a> {
    version: u32,
    started_at: String,
    mode: &'static str,
    in_flight_limit: usize,
    in_flight_max: usize,
    wall_seconds: f64,
    device_seconds: f64,
    overlap: f64,
    counts: WireCounts,
    completion_order: Vec<&'a str>,
    devices: WireDevices<'a>,
    busy: Vec<&'a str>,
    abandoned_threads: usize,
    forecast: WireForecast,
    commits: Vec<String>,
    archive_trouble: Option<&'a str>,
}

/// What was expected of the run before it began.
#[derive(Serialize)]
struct WireForecast {
    seconds: f64,
    /// `device`, `in_flight`, `logins_per_second` or `finish_within`.
    bound: &'static str,
    /// The section of the settings that holds the bound: `run` or `limits.NAME`.
    limit: Option<String>,
    known_devices: usize,
    assumed_seconds: Option<f64>,
    finish_within_seconds: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct WireCounts {
    total: usize,
    succeeded: usize,
    not_saved: usize,
    failed: usize,
    cancelled: usize,
    new: usize,
    changed: usize,
    unchanged: usize,
}

impl From<&Counts> for WireCounts {
    fn from(counts: &Counts) -> Self {
        Self {
            total: counts.total,
            succeeded: counts.succeeded,
            not_saved: counts.not_saved,
            failed: counts.failed,
            cancelled: counts.cancelled,
            new: counts.new,
            changed: counts.changed,
            unchanged: counts.unchanged,
        }
    }
}

/// Written one by one, so that a large fleet's report is never twice in memory.
struct WireDevices<'a>(&'a [DeviceReport]);

impl Serialize for WireDevices<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(wire_device))
    }
}

#[derive(Serialize)]
struct WireDevice<'a> {
    name: &'a str,
    host: &'a str,
    platform: &'a str,
    outcome: &'static str,
    stored: Option<&'static str>,
    bytes: Option<u64>,
    sha256: Option<String>,
    attempts: usize,
    waited_seconds: f64,
    seconds: f64,
    stages: Vec<WireStage<'a>>,
    algorithms: Option<WireAlgorithms<'a>>,
    notes: &'a [String],
    failure: Option<WireFailure<'a>>,
    lines_added: Option<u64>,
    lines_removed: Option<u64>,
    proof: Option<&'static str>,
    save: Option<WireSave<'a>>,
    unsaved_changes: Option<bool>,
    credentials: Option<&'a str>,
}

#[derive(Serialize)]
struct WireSave<'a> {
    result: &'static str,
    said: &'a str,
}

#[derive(Serialize)]
struct WireStage<'a> {
    stage: &'static str,
    seconds: f64,
    steps: WireSteps<'a>,
}

/// An object of step names and seconds, in the order in which the steps first ended.
struct WireSteps<'a>(&'a [StepTime]);

impl Serialize for WireSteps<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sums: Vec<StepTime> = Vec::new();
        // A step may come more than once, such as the two gates of a connection.
        for time in self.0 {
            match sums.iter_mut().find(|sum| sum.step == time.step) {
                Some(sum) => sum.took += time.took,
                None => sums.push(*time),
            }
        }
        serializer.collect_map(sums.iter().map(|sum| (sum.step.name(), seconds(sum.took))))
    }
}

#[derive(Serialize)]
struct WireAlgorithms<'a> {
    kex: &'a str,
    host_key: &'a str,
    cipher: &'a str,
    mac: &'a str,
}

#[derive(Serialize)]
pub(super) struct WireFailure<'a> {
    stage: &'static str,
    kind: &'static str,
    message: &'a str,
}

impl<'a> From<&'a Failure> for WireFailure<'a> {
    fn from(failure: &'a Failure) -> Self {
        Self {
            stage: failure.stage.name(),
            kind: failure.kind.name(),
            message: &failure.message,
        }
    }
}

fn wire_run(report: &RunReport) -> io::Result<WireRun<'_>> {
    let counts = report.counts();
    let names = report.devices.iter().map(|device| device.name.as_str());
    Ok(WireRun {
        version: 1,
        started_at: started_at(report)?,
        mode: report.mode.name(),
        in_flight_limit: report.in_flight_limit,
        in_flight_max: report.in_flight_max,
        wall_seconds: seconds(report.wall),
        device_seconds: seconds(report.device_time()),
        overlap: micro(report.overlap()),
        counts: (&counts).into(),
        completion_order: names.collect(),
        devices: WireDevices(&report.devices),
        busy: report.busy.iter().map(|name| name.as_str()).collect(),
        abandoned_threads: report.abandoned_threads,
        forecast: wire_forecast(&report.forecast),
        commits: report.commits.iter().map(ToString::to_string).collect(),
        archive_trouble: report.archive_trouble.as_deref(),
    })
}

fn wire_forecast(forecast: &Forecast) -> WireForecast {
    let (bound, limit) = match &forecast.bound {
        Bound::Device => ("device", None),
        Bound::InFlight { set, .. } => ("in_flight", Some(section(set))),
        Bound::Logins { set, .. } => ("logins_per_second", Some(section(set))),
        Bound::Window => ("finish_within", Some(section(""))),
    };
    WireForecast {
        seconds: seconds(forecast.expected),
        bound,
        limit,
        known_devices: forecast.known,
        assumed_seconds: forecast.assumed.map(seconds),
        finish_within_seconds: forecast.window.map(seconds),
    }
}

fn wire_device(device: &DeviceReport) -> WireDevice<'_> {
    let stored = device.stored.as_ref();
    let lines = stored.and_then(|stored| stored.lines);
    WireDevice {
        name: device.name.as_str(),
        host: &device.host,
        platform: &device.platform,
        outcome: device.outcome.name(),
        stored: stored.map(|stored| stored.kind.name()),
        bytes: stored.map(|stored| stored.bytes),
        sha256: stored.map(|stored| hex(&stored.sha256)),
        attempts: device.attempts.len(),
        waited_seconds: seconds(device.waited),
        seconds: seconds(device.busy()),
        stages: device.last_stages().iter().map(wire_stage).collect(),
        algorithms: device.algorithms.as_ref().map(|names| WireAlgorithms {
            kex: &names.kex,
            host_key: &names.host_key,
            cipher: &names.cipher,
            mac: &names.mac,
        }),
        notes: &device.notes,
        failure: device.outcome.failure().map(WireFailure::from),
        lines_added: lines.map(|lines| lines.added),
        lines_removed: lines.map(|lines| lines.removed),
        proof: device.proof.map(Proof::name),
        save: device.save.as_ref().map(|save| WireSave {
            result: save.result.name(),
            said: &save.said,
        }),
        unsaved_changes: device.unsaved,
        credentials: device.credentials.as_deref(),
    }
}

fn wire_stage(time: &StageTime) -> WireStage<'_> {
    WireStage {
        stage: time.stage.name(),
        seconds: seconds(time.took),
        steps: WireSteps(&time.steps),
    }
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn started_at(report: &RunReport) -> io::Result<String> {
    let started = moment(report.started_at);
    started.ok_or_else(|| io::Error::other("the clock is far from any date"))
}

/// RFC 3339 in UTC, to the millisecond; `None` for what is no date.
pub(super) fn moment(at: SystemTime) -> Option<String> {
    let at = jiff::Timestamp::try_from(at).ok()?;
    Some(format!("{at:.3}"))
}

/// Whole microseconds: finer digits are noise.
pub(super) fn seconds(time: Duration) -> f64 {
    micro(time.as_secs_f64())
}

fn micro(figure: f64) -> f64 {
    (figure * 1e6).round() / 1e6
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
