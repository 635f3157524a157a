//! The times that devices print, and what two of them tell of unsaved changes.

use crate::model::platform::UnsavedStamps;
use std::ops::Range;

/// How many lines of a config may hold the stamps: they stand at its beginning.
const HEAD_LINES: usize = 60;

/// A time as a device prints it: `21:00:00 UTC Sun Nov 22 2026`, in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Year, month, day, hour, minute, second.
    moment: [u16; 6],
    /// Words that are none of those: the zone, maybe more.
    zone: Vec<u8>,
    /// Where it stands in the text it was read from.
    place: Range<usize>,
}

impl Stamp {
    /// Reads the first time in `text`; the zone may stand within it.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let mut found: [Option<u16>; 4] = [None; 4];
        let [year, month, day, clock] = &mut found;
        let mut time = [0; 3];
        let mut zone: Vec<u8> = Vec::new();
        let mut place: Option<Range<usize>> = None;
        for word in words(text) {
            let bytes = text.get(word.clone()).unwrap_or_default();
            let trimmed = bytes.trim_ascii_start();
            let is_day = |n: u16| (1..=31).contains(&n);
            let known = if let Some(read) = read_clock(trimmed) {
                time = read;
                clock.replace(0).is_none()
            } else if let Some(number) = read_month(trimmed) {
                month.replace(number).is_none()
            } else if is_weekday(trimmed) {
                true
            } else if let Some(number) = read_number(trimmed, 1..=2).filter(|n| is_day(*n)) {
                day.replace(number).is_none()
            } else if let Some(number) = read_number(trimmed, 4..=4) {
                year.replace(number).is_none()
            } else if place.is_some() && trimmed.iter().all(u8::is_ascii_uppercase) {
                zone = trimmed.to_vec();
                continue;
            } else if place.is_some() {
                // What follows a time is something else.
                return None;
            } else {
                continue;
            };
            if !known {
                return None;
            }
            let start = place.map_or(word.start, |place| place.start);
            place = Some(start..word.end);
            if let [Some(year), Some(month), Some(day), Some(_)] = [*year, *month, *day, *clock] {
                let [hour, minute, second] = time;
                return Some(Self {
                    moment: [year, month, day, hour, minute, second],
                    zone,
                    place: start..word.end,
                });
            }
        }
        None
    }

    /// Where it stands in the text it was read from.
    #[must_use]
    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// Whether it is later than `other`; `None` where their zones differ.
    #[must_use]
    pub fn is_later_than(&self, other: &Self) -> Option<bool> {
        (self.zone == other.zone).then_some(self.moment > other.moment)
    }
}

fn words(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    text.split(|byte| byte.is_ascii_whitespace())
        .filter_map(move |word| {
            let place = from..from + word.len();
            from = place.end + 1;
            (!word.is_empty()).then_some(place)
        })
}

/// `21:00:00`, `*21:00:00.123`: a clock that is not in step is marked by `*` or `.`.
fn read_clock(word: &[u8]) -> Option<[u16; 3]> {
    let word = word
        .strip_prefix(b"*")
        .or(word.strip_prefix(b"."))
        .unwrap_or(word);
    let whole = word.split(|b| *b == b'.').next()?;
    let mut parts = whole.split(|b| *b == b':');
    let time = [
        read_number(parts.next()?, 1..=2)?,
        read_number(parts.next()?, 2..=2)?,
        read_number(parts.next()?, 2..=2)?,
    ];
    parts.next().is_none().then_some(time)
}

fn read_month(word: &[u8]) -> Option<u16> {
    let months = [
        &b"jan"[..],
        b"feb",
        b"mar",
        b"apr",
        b"may",
        b"jun",
        b"jul",
        b"aug",
        b"sep",
        b"oct",
        b"nov",
        b"dec",
    ];
    let lower = word.to_ascii_lowercase();
    let place = months.iter().position(|month| lower == *month)?;
    u16::try_from(place + 1).ok()
}

fn is_weekday(word: &[u8]) -> bool {
    let days = [&b"mon"[..], b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];
    let lower = word.to_ascii_lowercase();
    days.iter().any(|day| lower == *day)
}

fn read_number(word: &[u8], digits: std::ops::RangeInclusive<usize>) -> Option<u16> {
    let plain = digits.contains(&word.len()) && word.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(word)
        .ok()
        .filter(|_| plain)?
        .parse()
        .ok()
}

/// What the first lines of a config tell of unsaved changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsaved {
    /// The last change was saved.
    No,
    /// The last change was not saved; these are the lines that say so.
    Yes(Vec<u8>),
}

/// Whether `config` was changed after it was last saved, by `stamps`; `None` where it does not tell.
#[must_use]
pub fn unsaved(config: &[u8], stamps: &UnsavedStamps) -> Option<Unsaved> {
    let mut changed = None;
    let mut saved = None;
    for line in super::phrase::lines(config).take(HEAD_LINES) {
        for (text, found) in [(&stamps.changed, &mut changed), (&stamps.saved, &mut saved)] {
            if let Some(rest) = line.strip_prefix(text.as_slice()) {
                *found = Some((line, Stamp::read(rest)?));
            }
        }
    }
    // Without a save there is no telling: IOS counts reading the startup-config as a change.
    let ((line, changed), (_, saved)) = (changed?, saved?);
    Some(if changed.is_later_than(&saved)? {
        Unsaved::Yes(line.to_vec())
    } else {
        Unsaved::No
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(text: &str) -> Option<Stamp> {
        Stamp::read(text.as_bytes())
    }

    #[test]
    fn a15_times_are_read_as_devices_print_them() {
        let ios = stamp(" 21:00:00 UTC Sun Nov 22 2026 by ntc").unwrap();
        assert_eq!(ios.moment, [2026, 11, 22, 21, 0, 0]);
        assert_eq!(ios.zone, b"UTC");
        assert_eq!(ios.place(), 1..29);
        let nxos = stamp(": Sun Nov 22 21:00:00 2026").unwrap();
        assert_eq!(nxos.moment, ios.moment);
        assert_eq!(
            stamp("*1:02:03.456 CET Mon Jan 1 2024").unwrap().moment[3],
            1
        );
        for bad in [
            "",
            "at noon",
            "21:00:00",
            "21:00:00 UTC Sun Nov 2026",
            "25 25 Nov 2026 1:00:00",
        ] {
            assert_eq!(stamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_later_change_is_unsaved() {
        let stamps = UnsavedStamps {
            changed: b"! Last configuration change at".to_vec(),
            saved: b"! NVRAM config last updated at".to_vec(),
        };
        let told = |changed: &str, saved: &str| {
            let text = format!("!\n{changed}\n{saved}\n!\nversion 16.6\nend\n");
            unsaved(text.as_bytes(), &stamps)
        };
        let changed = "! Last configuration change at 21:00:01 UTC Sun Nov 22 2026 by ntc";
        let saved =
            |time: &str| format!("! NVRAM config last updated at {time} UTC Sun Nov 22 2026");
        let yes = Some(Unsaved::Yes(changed.as_bytes().to_vec()));
        assert_eq!(told(changed, &saved("21:00:00")), yes);
        assert_eq!(told(changed, "!"), None, "the change may be the boot");
        assert_eq!(told(changed, &saved("21:00:01")), Some(Unsaved::No));
        assert_eq!(told(changed, &saved("21:05:00")), Some(Unsaved::No));
        assert_eq!(told("!", &saved("21:05:00")), None);
        assert_eq!(
            told(changed, &saved("21:05:00").replace("UTC", "CET")),
            None
        );
        assert_eq!(
            told("! Last configuration change at dusk", &saved("1:00:00")),
            None
        );
    }
}
