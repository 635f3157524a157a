//! Groups what many devices have in common: why they failed, what was noted.

use super::format::plain;
use crate::model::failure::Failure;
use crate::model::report::{DeviceReport, Outcome, RunReport};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// Stands in a text for the device's own name or address.
const DEVICE: &str = "<device>";

/// One reason and the devices that share it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reason<'a> {
    /// The reason in words; without the name of a device where several share it.
    pub(super) text: String,
    /// Whether the devices said exactly this.
    pub(super) wording: Wording,
    /// The devices, in order of completion; never empty.
    pub(super) devices: Vec<&'a DeviceReport>,
}

/// How the texts of a group relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wording {
    /// All the same.
    Shared,
    /// They differ in figures or addresses; the first one is shown.
    Example,
}

impl Reason<'_> {
    /// The names of its devices.
    pub(super) fn names(&self) -> Vec<&str> {
        let devices = self.devices.iter();
        devices.map(|device| device.name.as_str()).collect()
    }
}

/// Why devices did not simply end ok, the most frequent reason first.
pub(super) fn failures(report: &RunReport) -> Vec<Reason<'_>> {
    let devices = report.devices.iter();
    grouped(devices.filter_map(|device| {
        let failure = device.outcome.failure()?;
        let kind = format!("{} {}", device.outcome.name(), failure.kind);
        Some((device, kind, plain(&fate(&device.outcome, failure))))
    }))
}

/// How and where it ended, and why.
fn fate(outcome: &Outcome, failure: &Failure) -> String {
    match outcome {
        Outcome::Ok | Outcome::Failed(_) => failure.to_string(),
        Outcome::NotSaved(_) => format!("not saved: {}", failure.message),
        Outcome::Cancelled(_) => format!("cancelled: {failure}"),
    }
}

/// What was noted about devices, the most frequent note first.
pub(super) fn notes(report: &RunReport) -> Vec<Reason<'_>> {
    grouped(report.devices.iter().flat_map(|device| {
        let notes = device.notes.iter();
        notes.map(move |note| (device, String::new(), plain(note)))
    }))
}

fn grouped<'a>(facts: impl Iterator<Item = (&'a DeviceReport, String, String)>) -> Vec<Reason<'a>> {
    let mut reasons: Vec<Reason<'a>> = Vec::new();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    for (device, kind, text) in facts {
        let shared = without_device(&text, device);
        let place = *places
            .entry((kind, pattern(&shared)))
            .or_insert(reasons.len());
        match reasons.get_mut(place) {
            Some(reason) => {
                let first = reason.devices.first();
                let first_text = first.map(|first| without_device(&reason.text, first));
                if first_text.as_deref() != Some(shared.as_str()) {
                    reason.wording = Wording::Example;
                }
                reason.devices.push(device);
            }
            None => reasons.push(Reason {
                text,
                wording: Wording::Shared,
                devices: vec![device],
            }),
        }
    }
    for reason in &mut reasons {
        if let [first, _, ..] = reason.devices.as_slice()
            && reason.wording == Wording::Shared
        {
            reason.text = without_device(&reason.text, first);
        }
    }
    // Stable: among equals the one that came up first stays first.
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.devices.len()));
    reasons
}

/// `text` with the name and host of `device`, and a port after it, replaced.
fn without_device(text: &str, device: &DeviceReport) -> String {
    let (host, name) = (device.host.as_str(), device.name.as_str());
    // The longer one first, since it may contain the other.
    let (long, short) = if name.len() > host.len() {
        (name, host)
    } else {
        (host, name)
    };
    replaced(&replaced(text, long), short)
}

fn replaced(text: &str, word: &str) -> String {
    if word.is_empty() {
        return text.to_owned();
    }
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(word) {
        let whole = !before.ends_with(is_name_char) && !starts_with_more(after);
        let bracketed = before.ends_with('[') && after.starts_with(']');
        result.push_str(if whole && bracketed {
            before.strip_suffix('[').unwrap_or(before)
        } else {
            before
        });
        rest = after;
        if whole {
            let after = if bracketed {
                after.strip_prefix(']')
            } else {
                None
            };
            rest = without_port(after.unwrap_or(rest));
            result.push_str(DEVICE);
        } else {
            result.push_str(word);
        }
    }
    result.push_str(rest);
    result
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || "._-@+=".contains(c)
}

/// Whether a name goes on at the start of `after`; a dot may also end the sentence.
fn starts_with_more(after: &str) -> bool {
    let mut chars = after.chars();
    match chars.next() {
        Some('.') => chars.next().is_some_and(char::is_alphanumeric),
        Some(c) => is_name_char(c),
        None => false,
    }
}

fn without_port(after: &str) -> &str {
    let Some(port) = after.strip_prefix(':') else {
        return after;
    };
    let rest = port.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() < port.len() { rest } else { after }
}

/// What texts have in common that differ only in addresses, fingerprints and figures.
fn pattern(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split(' ') {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric() && c != ':' && c != '[');
        let core = core.trim_end_matches(':');
        if core.parse::<IpAddr>().is_ok() || core.parse::<SocketAddr>().is_ok() {
            words.push("<address>".to_owned());
        } else if core.starts_with("SHA256:") {
            words.push("<fingerprint>".to_owned());
        } else {
            words.push(without_figures(word));
        }
    }
    words.join(" ")
}

fn without_figures(word: &str) -> String {
    let mut result = String::with_capacity(word.len());
    for c in word.chars() {
        let c = if c.is_ascii_digit() { '#' } else { c };
        if c != '#' || !result.ends_with('#') {
            result.push(c);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::DeviceName;
    use crate::model::failure::FailureKind;
    use crate::model::report::Mode;
    use crate::model::stage::Stage;
    use std::time::{Duration, SystemTime};

    fn device(name: &str, host: &str, message: &str) -> DeviceReport {
        let failure = Failure::new(Stage::Connect, FailureKind::Connect, message);
        DeviceReport {
            name: DeviceName::new(name).expect("good"),
            host: host.to_owned(),
            platform: "cisco_ios".to_owned(),
            outcome: Outcome::Failed(failure),
            stored: None,
            proof: None,
            save: None,
            unsaved: None,
            attempts: Vec::new(),
            waited: Duration::ZERO,
            finished: Duration::ZERO,
            algorithms: None,
            credentials: None,
            notes: Vec::new(),
        }
    }

    fn reasons(devices: Vec<DeviceReport>) -> Vec<(String, Wording, Vec<String>)> {
        let report = RunReport {
            started_at: SystemTime::UNIX_EPOCH,
            mode: Mode::Concurrent,
            in_flight_limit: 1,
            in_flight_max: 1,
            wall: Duration::ZERO,
            devices,
            busy: Vec::new(),
            abandoned_threads: 0,
            forecast: crate::model::forecast::Forecast {
                expected: Duration::from_secs(1),
                bound: crate::model::forecast::Bound::Device,
                known: 1,
                assumed: None,
                window: None,
            },
            commits: Vec::new(),
            archive_trouble: None,
        };
        let reasons = failures(&report);
        reasons
            .iter()
            .map(|reason| {
                let names = reason.names().into_iter().map(str::to_owned).collect();
                (reason.text.clone(), reason.wording, names)
            })
            .collect()
    }

    #[test]
    fn the_same_reason_of_two_devices_is_told_once_without_their_names() {
        let found = reasons(vec![
            device("other", "other", "no route"),
            device("csr1", "192.0.2.1", "192.0.2.1:22 refused csr1"),
            device("csr2", "fe80::2", "[fe80::2]:22 refused csr2"),
        ]);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            found,
            vec![
                (
                    "connect: <device> refused <device>".to_owned(),
                    Wording::Shared,
                    names(&["csr1", "csr2"])
                ),
                (
                    "connect: no route".to_owned(),
                    Wording::Shared,
                    names(&["other"])
                ),
            ]
        );
    }

    #[test]
    fn texts_that_differ_in_figures_are_shown_by_an_example() {
        let found = reasons(vec![
            device("csr1", "csr1", "10.0.0.1:22 is silent for 9 s"),
            device("csr2", "csr2", "[2001:db8::2]:22 is silent for 10 s"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "connect: 10.0.0.1:22 is silent for 9 s");
        assert_eq!(found[0].1, Wording::Example);
    }

    #[test]
    fn a_single_device_keeps_its_own_words() {
        let found = reasons(vec![device("csr1", "csr1", "csr1:22 refused")]);
        assert_eq!(found[0].0, "connect: csr1:22 refused");
    }

    #[test]
    fn a_name_within_another_word_is_left_alone() {
        assert_eq!(replaced("r1 r10 xr1 r1.lab r1. (r1)", "r1"), {
            "<device> r10 xr1 r1.lab <device>. (<device>)"
        });
        assert_eq!(replaced("r1: r1:22: r1:x", "r1"), {
            "<device>: <device>: <device>:x"
        });
        assert_eq!(replaced("a b", ""), "a b");
    }
}
