//! How every device stands: the oldest good backup first.

use super::{Column, Layout, Side, long, name, reason, wire, write_columns};
use crate::model::device::DeviceName;
use crate::model::health::{CredentialHealth, Health, RestCause};
use crate::model::history::{DeviceState, GoodAge};
use crate::model::report::Outcome;
use crate::report::format::counted;
use std::cmp::Reverse;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

/// One device of the inventory and how it stands.
#[derive(Debug, Clone)]
pub struct DeviceStatus {
    /// How it stands.
    pub state: DeviceState,
    /// Its group.
    pub group: Option<String>,
}

/// How devices stand.
#[derive(Debug, Clone)]
pub struct Status {
    devices: Vec<DeviceStatus>,
    asked: usize,
    older_than: Option<Duration>,
    now: SystemTime,
}

impl Status {
    /// Of these devices those whose last good backup is older than `older_than`, or all; those
    /// without any first, then those whose clock was wrong, then the oldest. What is of no known age
    /// is too old.
    #[must_use]
    pub fn of(
        mut devices: Vec<DeviceStatus>,
        older_than: Option<Duration>,
        now: SystemTime,
    ) -> Self {
        let asked = devices.len();
        let age = |device: &DeviceStatus| device.state.good_age(now);
        if let Some(limit) = older_than {
            devices.retain(|device| age(device).known().is_none_or(|age| age > limit));
        }
        devices.sort_by(|a, b| {
            let by_age = rank(age(a)).cmp(&rank(age(b)));
            by_age.then_with(|| a.state.name.cmp(&b.state.name))
        });
        Self {
            devices,
            asked,
            older_than,
            now,
        }
    }

    /// Whether there is no device whose backup is too old.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Writes a line for each device, and one about all of them.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write(&self, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
        if !self.devices.is_empty() {
            let rows: Vec<_> = self.devices.iter().map(|d| row(d, layout)).collect();
            write_columns(&COLUMNS, &rows, layout, out)?;
            writeln!(out)?;
        }
        writeln!(out, "{}", self.summary(layout))?;
        out.flush()
    }

    fn summary(&self, layout: &Layout) -> String {
        if let Some(limit) = self.older_than {
            let limit = long(limit);
            return format!(
                "{} of {} without a good backup within {limit}{}",
                self.devices.len(),
                counted(self.asked, "device"),
                self.ahead(layout)
            );
        }
        let ages = || {
            self.devices
                .iter()
                .map(|one| one.state.good_age(layout.now))
        };
        let oldest = ages().filter_map(GoodAge::known).max();
        let oldest = oldest.map_or_else(String::new, |oldest| {
            format!("; the oldest good backup is {} old", long(oldest))
        });
        let never = match ages().filter(|age| *age == GoodAge::Never).count() {
            0 => String::new(),
            never => format!(", {never} never backed up"),
        };
        let ahead = self.ahead(layout);
        format!("{}{never}{ahead}{oldest}", counted(self.asked, "device"))
    }

    /// What is said of backups whose age nobody knows.
    fn ahead(&self, layout: &Layout) -> String {
        let ages = self
            .devices
            .iter()
            .map(|one| one.state.good_age(layout.now));
        match ages.filter(|age| matches!(age, GoodAge::Ahead(_))).count() {
            0 => String::new(),
            ahead => format!(
                ", {ahead} backed up ahead of this machine's clock (it was wrong then, or is now; \
                 the next good backup puts that right)"
            ),
        }
    }

    /// Writes it as JSON, version 1.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        wire::status(&self.devices, self.older_than, self.now, out)
    }
}

/// What is worse comes first.
fn rank(age: GoodAge) -> (u8, Reverse<Duration>) {
    match age {
        GoodAge::Never => (0, Reverse(Duration::ZERO)),
        GoodAge::Ahead(ahead) => (1, Reverse(ahead)),
        GoodAge::Known(age) => (2, Reverse(age)),
    }
}

const COLUMNS: [Column; 6] = [
    ("Device", Side::Left),
    ("Last good", Side::Right),
    ("Last result", Side::Left),
    ("Due", Side::Left),
    ("Left alone", Side::Left),
    ("Why", Side::Left),
];

fn row(device: &DeviceStatus, layout: &Layout) -> Vec<String> {
    let state = &device.state;
    let last = state.last.as_ref();
    vec![
        name(state.name.as_str()),
        match state.good_age(layout.now) {
            GoodAge::Never => "never".to_owned(),
            GoodAge::Ahead(ahead) => format!("{} ahead", long(ahead)),
            GoodAge::Known(age) => long(age),
        },
        last.map_or_else(
            || "never tried".to_owned(),
            |last| {
                let ago = long(layout.age(last.ended));
                format!("{} {ago} ago", word(&last.outcome))
            },
        ),
        state
            .due
            .map_or_else(String::new, |due| due_in(due.seen_from(layout.now), layout)),
        held(&state.health, layout),
        last.map_or_else(String::new, |last| reason(&last.outcome)),
    ]
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(failure) => format!("{} failed", failure.stage),
        Outcome::NotSaved(_) => "not saved".to_owned(),
        Outcome::Ok | Outcome::Cancelled(_) => outcome.name().to_owned(),
    }
}

/// What is said of a device that was released: what had been on record, and of its credentials.
#[must_use]
pub fn released(
    device: &DeviceName,
    health: &Health,
    credentials: &CredentialHealth,
    layout: &Layout,
) -> String {
    let mut reasons = vec![held(health, layout)];
    if health.quarantine.is_none() && health.crashes > 0 {
        reasons.push(format!("crashes: {}", health.crashes));
    }
    reasons.extend(
        credentials
            .rest
            .map(|_| "its credentials rested".to_owned()),
    );
    reasons.retain(|reason| !reason.is_empty());
    if reasons.is_empty() {
        return format!("{device}: nothing held it back");
    }
    format!("{device}: released ({})", reasons.join("; "))
}

/// When it is due.
pub(super) fn due_in(due: SystemTime, layout: &Layout) -> String {
    match due.duration_since(layout.now) {
        Ok(wait) if !wait.is_zero() => format!("in {}", long(wait)),
        Ok(_) => "now".to_owned(),
        Err(late) => format!("{} ago", long(late.duration())),
    }
}

/// Why it is left alone, and for how long.
pub(super) fn held(health: &Health, layout: &Layout) -> String {
    let left = |end: Option<SystemTime>| match end {
        Some(end) => {
            let left = end.duration_since(layout.now).unwrap_or_default();
            format!("{} left", long(left))
        }
        None => "then tried once".to_owned(),
    };
    if let Some(period) = &health.quarantine {
        return format!("quarantine, {}", left(period.ends(layout.now)));
    }
    health.rest.map_or_else(String::new, |rest| {
        let cause = match rest.cause {
            RestCause::Unreachable => "unreachable",
            RestCause::Refused => "login refused",
        };
        format!("{cause}, {}", left(rest.period.ends(layout.now)))
    })
}
