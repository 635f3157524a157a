//! The times of the day at which devices may be begun.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::str::FromStr;

/// From one time of the day to another, over midnight where the second is the earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    from: Time,
    to: Time,
}

/// Why a text is no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Not two times with a dash.
    #[error("expected two times of the day, such as \"22:00-05:00\"")]
    Form,
    /// Opens when it closes.
    #[error("opens when it closes; leave it out where any time of the day will do")]
    Empty,
}

impl FromStr for Window {
    type Err = WindowError;

    /// Reads `22:00-05:00`; `24:00` is the end of the day.
    fn from_str(text: &str) -> Result<Self, WindowError> {
        let (from, to) = text.split_once('-').ok_or(WindowError::Form)?;
        let window = Self {
            from: time(from).ok_or(WindowError::Form)?,
            to: time(to).ok_or(WindowError::Form)?,
        };
        if window.from == window.to {
            return Err(WindowError::Empty);
        }
        Ok(window)
    }
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) || hour.len() > 2 || minute.len() != 2 {
        return None;
    }
    let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
    match (hour, minute) {
        (24, 0) => Some(Time::midnight()),
        _ => Time::new(hour, minute, 0, 0).ok(),
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from.hour(),
            from.minute(),
            to.hour(),
            to.minute()
        )
    }
}

impl Window {
    /// Whether a clock on the wall shows a time within the window.
    #[must_use]
    pub fn is_open(self, at: Timestamp, zone: &TimeZone) -> bool {
        let shown = zone.to_datetime(at).time();
        if self.from < self.to {
            (self.from..self.to).contains(&shown)
        } else {
            shown >= self.from || shown < self.to
        }
    }

    /// Every stretch of open time from `begin` up to `end`, in order, none empty.
    pub(super) fn open_within(
        self,
        begin: Timestamp,
        end: Timestamp,
        zone: &TimeZone,
    ) -> Vec<(Timestamp, Timestamp)> {
        let mut edges = self.edges(begin, end, zone);
        edges.retain(|edge| (begin..end).contains(edge));
        edges.push(begin);
        edges.sort_unstable();
        edges.dedup();
        let mut open: Vec<(Timestamp, Timestamp)> = Vec::new();
        let ends = edges.iter().skip(1).copied().chain([end]);
        for (from, to) in edges.iter().copied().zip(ends) {
            if from >= to || !self.is_open(from, zone) {
                continue;
            }
            match open.last_mut() {
                Some(last) if last.1 == from => last.1 = to,
                _ => open.push((from, to)),
            }
        }
        open
    }

    /// Every moment at which it may open or close: where the wall shows one of its times, and where
    /// the clock on the wall is set.
    fn edges(self, begin: Timestamp, end: Timestamp, zone: &TimeZone) -> Vec<Timestamp> {
        let mut edges: Vec<Timestamp> = zone
            .following(begin)
            .map(|transition| transition.timestamp())
            .take_while(|at| *at < end)
            .collect();
        let day = SignedDuration::from_hours(24);
        let local = |at: Timestamp| zone.to_datetime(at).date();
        let mut date = begin.checked_sub(day).map_or_else(|_| local(begin), local);
        let last = end.checked_add(day).map_or_else(|_| local(end), local);
        while date <= last {
            edges.extend(moments(date, self.from, zone));
            edges.extend(moments(date, self.to, zone));
            match date.tomorrow() {
                Ok(tomorrow) => date = tomorrow,
                Err(_) => break,
            }
        }
        edges
    }
}

/// The moments at which the wall shows this date and time: none, one or two.
fn moments(date: Date, time: Time, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
    let shown = DateTime::from_parts(date, time);
    let ambiguous = zone.to_ambiguous_timestamp(shown);
    let (first, second) = match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => (None, None),
        AmbiguousOffset::Unambiguous { .. } => (ambiguous.unambiguous().ok(), None),
        AmbiguousOffset::Fold { .. } => (ambiguous.earlier().ok(), ambiguous.later().ok()),
    };
    first.into_iter().chain(second)
}
