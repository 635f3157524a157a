//! What a commit says: who changed what, by how many lines, and in which run it was read.
//!
//! ```text
//! 2 devices: csr1, csr2
//!
//! Run: 2026-11-27T10:00:00.123Z
//! core/csr2.cfg +120 -0
//! csr1.cfg +3 -1
//! ```

use super::pending::Pending;
use crate::model::report::Lines;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

/// How many devices the first line names.
const NAMED: usize = 3;

/// What a commit of these versions says.
pub(super) fn write(versions: &[&Pending]) -> String {
    let mut runs: BTreeMap<SystemTime, Vec<&Pending>> = BTreeMap::new();
    for version in versions {
        runs.entry(version.run).or_default().push(version);
    }
    let mut text = subject(versions);
    for (run, mut versions) in runs {
        versions.sort_by(|a, b| a.path.cmp(&b.path));
        // Writing to a String cannot fail.
        let _ = write!(text, "\n\nRun: {}", stamp(run));
        for version in versions {
            let _ = write!(text, "\n{} {}", version.path, version.lines);
        }
    }
    text.push('\n');
    text
}

fn subject(versions: &[&Pending]) -> String {
    let mut names: Vec<&str> = versions.iter().map(|v| v.device.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    // `.cfg` comes before `.info.txt`.
    let first = versions.iter().min_by_key(|version| &version.path);
    if let ([name], Some(version)) = (names.as_slice(), first) {
        return format!("{name} {}", version.lines);
    }
    let named: Vec<&str> = names.iter().take(NAMED).copied().collect();
    let named = named.join(", ");
    let rest = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{} devices: {named}{rest}", names.len())
}

/// What a commit tells of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) lines: Lines,
    pub(super) run: Option<SystemTime>,
}

/// What a commit's message tells of each file; others may have written it, so anything may be
/// missing.
pub(super) fn read(message: &str) -> BTreeMap<&str, Told> {
    let mut run = None;
    let mut told = BTreeMap::new();
    for line in message.lines().skip(1) {
        if let Some(at) = line.strip_prefix("Run: ") {
            run = moment(at);
        } else if let Some((path, lines)) = counts(line) {
            told.insert(path, Told { lines, run });
        }
    }
    told
}

fn counts(line: &str) -> Option<(&str, Lines)> {
    let (rest, removed) = line.rsplit_once(" -")?;
    let (path, added) = rest.rsplit_once(" +")?;
    let lines = Lines {
        added: added.parse().ok()?,
        removed: removed.parse().ok()?,
    };
    Some((path, lines))
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn stamp(at: SystemTime) -> String {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let millis = i64::try_from(since.as_millis()).unwrap_or_default();
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

fn moment(text: &str) -> Option<SystemTime> {
    let at: jiff::Timestamp = text.trim().parse().ok()?;
    let millis = u64::try_from(at.as_millisecond()).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::DeviceName;
    use crate::model::version::ObjectId;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn pending(name: &str, folder: &str, added: u64, run: u64) -> Pending {
        Pending {
            device: DeviceName::new(name).unwrap(),
            path: format!("{folder}{name}.cfg"),
            blob: ObjectId::from_bytes([0; 20]),
            author: None,
            lines: Lines { added, removed: 1 },
            at: at(run),
            run: at(run),
        }
    }

    #[test]
    fn a_message_names_devices_lines_and_runs_and_is_read_back() {
        let versions = [
            pending("csr2", "core/", 120, 1_795_428_000_123),
            pending("csr1", "", 3, 1_795_428_000_123),
            pending("csr9", "", 1, 1_795_428_300_000),
            pending("csr10", "", 0, 1_795_428_300_000),
        ];
        let refs: Vec<&Pending> = versions.iter().collect();
        let text = write(&refs);
        assert_eq!(
            text,
            "4 devices: csr1, csr10, csr2 and 1 more\n\n\
             Run: 2026-11-23T10:00:00.123Z\ncore/csr2.cfg +120 -1\ncsr1.cfg +3 -1\n\n\
             Run: 2026-11-23T10:05:00.000Z\ncsr10.cfg +0 -1\ncsr9.cfg +1 -1\n"
        );
        let told = read(&text);
        assert_eq!(told.len(), 4);
        for version in &versions {
            let told = told[version.path.as_str()];
            assert_eq!((told.lines, told.run), (version.lines, Some(version.run)));
        }
    }

    #[test]
    fn one_device_is_the_subject() {
        let version = pending("csr1", "core/", 3, 1_795_428_000_000);
        let text = write(&[&version]);
        assert!(text.starts_with("csr1 +3 -1\n\nRun: 2026-"), "{text}");
        assert_eq!(read(&text).len(), 1);
    }

    #[test]
    fn messages_of_others_tell_nothing() {
        for text in [
            "",
            "update",
            "update\n\nRun: noon\na b\n - x\n+1 -1\na +x -1\n",
        ] {
            assert!(read(text).is_empty(), "{text}");
        }
        let untimed = read("x\n\na.cfg +1 -2\n")["a.cfg"];
        assert_eq!(untimed.run, None);
    }
}
