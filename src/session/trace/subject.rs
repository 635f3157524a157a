//! The device of a trace: what of its settings the dialogue depends on, as words and back.

use super::Trace;
use crate::model::credentials::{Credentials, Secret};
use crate::model::device::{Deadlines, Device, DeviceName, Identity, View};
use crate::model::platform::Platform;
use crate::model::save::{SaveConfirm, SaveOrder, SavePolicy};
use crate::text::phrase;
use std::sync::Arc;
use std::time::Duration;

const SAVE: [(&str, SavePolicy); 3] = [
    ("always", SavePolicy::Always),
    ("if_changed", SavePolicy::IfChanged),
    ("never", SavePolicy::Never),
];
const ORDER: [(&str, SaveOrder); 2] = [("before", SaveOrder::Before), ("after", SaveOrder::After)];
const CONFIRM: [(&str, SaveConfirm); 3] = [
    ("ask", SaveConfirm::Ask),
    ("yes", SaveConfirm::Yes),
    ("no", SaveConfirm::No),
];
const VIEW: [(&str, View); 2] = [("privileged", View::Privileged), ("full", View::Full)];
const STRICT: [(&str, Identity); 2] = [("no", Identity::Noted), ("yes", Identity::Strict)];

/// What of `device` the dialogue depends on; of its secrets only their lengths.
pub(super) fn settings(device: &Device, last_good: &[u8]) -> Vec<(String, String)> {
    let deadlines = &device.deadlines;
    let seconds = |time: Duration| time.as_secs_f64().to_string();
    let mut settings = vec![
        ("platform", device.platform.name.clone()),
        ("name", device.name.to_string()),
        ("host", device.host.clone()),
        ("save", word(device.save, &SAVE)),
        ("order", word(device.save_order, &ORDER)),
        ("confirm", word(device.save_confirm, &CONFIRM)),
        ("view", word(device.view, &VIEW)),
        ("strict", word(device.identity, &STRICT)),
        ("prompt_deadline", seconds(deadlines.prompt)),
        ("save_deadline", seconds(deadlines.save)),
        ("backup_deadline", seconds(deadlines.backup)),
        ("silence", seconds(deadlines.silence)),
    ];
    if let Some(secret) = &device.credentials.enable {
        settings.push(("enable", "*".repeat(secret.expose().len())));
    }
    if !last_good.is_empty() {
        let lines = String::from_utf8_lossy(last_good).into_owned();
        settings.push(("last_good", lines));
    }
    let owned = |(key, value): (&str, String)| (key.to_owned(), value);
    settings.into_iter().map(owned).collect()
}

/// The device that a trace was recorded with.
pub(super) fn device(trace: &Trace, platform: Arc<Platform>) -> Result<Device, String> {
    let name = trace.setting("name").unwrap_or("unnamed");
    let name = DeviceName::new(name).map_err(|error| error.to_string())?;
    let host = trace.setting("host").unwrap_or(name.as_str()).to_owned();
    let enable = trace.setting("enable").filter(|stars| !stars.is_empty());
    let credentials = Credentials {
        enable: enable.map(|stars| Secret::new(stars.to_owned())),
        ..Credentials::new("trace", "trace")
    };
    let mut device = Device::new(name, &host, platform, Arc::new(credentials));
    device.save = value(trace, "save", &SAVE)?.unwrap_or(device.save);
    device.save_order = value(trace, "order", &ORDER)?.unwrap_or(device.save_order);
    device.save_confirm = value(trace, "confirm", &CONFIRM)?.unwrap_or(device.save_confirm);
    device.view = value(trace, "view", &VIEW)?.unwrap_or(device.view);
    device.identity = value(trace, "strict", &STRICT)?.unwrap_or(device.identity);
    device.deadlines = deadlines(trace)?;
    Ok(device)
}

fn deadlines(trace: &Trace) -> Result<Deadlines, String> {
    let mut deadlines = Deadlines::default();
    let places = [
        ("prompt_deadline", &mut deadlines.prompt),
        ("save_deadline", &mut deadlines.save),
        ("backup_deadline", &mut deadlines.backup),
        ("silence", &mut deadlines.silence),
    ];
    for (key, place) in places {
        if let Some(text) = trace.setting(key) {
            let time = text.parse().ok().map(Duration::try_from_secs_f64);
            let time = time.and_then(Result::ok);
            *place = time.ok_or_else(|| format!("set {key}: is no time in seconds"))?;
        }
    }
    Ok(deadlines)
}

fn word<T: PartialEq>(value: T, words: &[(&str, T)]) -> String {
    let found = words.iter().find(|(_, known)| *known == value);
    found.map_or_else(String::new, |(word, _)| (*word).to_owned())
}

fn value<T: Copy>(trace: &Trace, key: &str, words: &[(&str, T)]) -> Result<Option<T>, String> {
    let Some(text) = trace.setting(key) else {
        return Ok(None);
    };
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(Some(*value)),
        None => {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            Err(format!("set {key}: must be one of {}", known.join(", ")))
        }
    }
}

/// The lines of the last good config by which a part of the device is known to be needed: no
/// others are looked at, and no others may leave the archive.
pub(super) fn marks(device: &Device, config: &[u8]) -> Vec<u8> {
    let Some(presence) = &device.platform.presence else {
        return Vec::new();
    };
    let mut found: Vec<&[u8]> = Vec::new();
    for mark in presence.parts.iter().flat_map(|part| &part.marks) {
        let has = phrase::lines(config).any(|line| {
            let rest = line.strip_prefix(mark.as_slice());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b" "))
        });
        if has {
            found.push(mark);
        }
    }
    let mut lines = found.join(&b'\n');
    if !lines.is_empty() {
        lines.push(b'\n');
    }
    lines
}
