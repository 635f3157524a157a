//! Schedules over simulated years, held against the clock on the wall.

use super::*;
use crate::model::device::DeviceName;
use jiff::civil::DateTime;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Clocks set by an hour, by half an hour, at midnight, in the other half of the year, never; and
/// one that is an hour back in winter by a rule of its own.
const ZONES: [&str; 7] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
    "Europe/Dublin",
    "Africa/Casablanca",
];

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(cadence: &str, between: &str, zone_name: &str) -> Schedule {
    Schedule {
        cadence: match cadence.parse::<CronTimes>() {
            Ok(times) => Cadence::Cron(times),
            Err(_) => Cadence::Every(Duration::from_secs(cadence.parse().unwrap())),
        },
        window: (!between.is_empty()).then(|| between.parse().unwrap()),
        finish_within: None,
        zone: zone(zone_name),
    }
}

/// Every due time of a seat in these years, each checked to be later than the one before.
fn dues(schedule: &Schedule, seat: Seat, from: &str, to: &str) -> Vec<Timestamp> {
    let (mut now, to) = (at(from), at(to));
    let mut dues = Vec::new();
    while let Some(due) = schedule.next_after(seat, now) {
        assert!(due > now, "{schedule}: {due} is not after {now}");
        now = due;
        if due >= to {
            break;
        }
        dues.push(due);
    }
    dues
}

fn middle() -> Seat {
    Seat::new(1 << 63)
}

fn wall(at: Timestamp, zone: &TimeZone) -> DateTime {
    zone.to_datetime(at)
}

#[test]
fn every_is_the_same_length_of_time_from_turn_to_turn() {
    let schedule = Schedule::every(Duration::from_secs(3600));
    let found = dues(
        &schedule,
        middle(),
        "2026-10-24T12:00:00Z",
        "2026-10-26T12:00:00Z",
    );
    assert_eq!(found.len(), 48);
    assert_eq!(found[0], at("2026-10-24T12:30:00Z"));
    for pair in found.windows(2) {
        assert_eq!(pair[1].duration_since(pair[0]).as_secs(), 3600);
    }
}

#[test]
fn ten_thousand_devices_are_spread_over_the_hour() {
    let schedule = Schedule::every(Duration::from_secs(3600));
    let start = at("2026-01-01T00:00:00Z");
    let mut minutes = [0_u32; 60];
    for number in 0..10_000 {
        let name = DeviceName::new(&format!("csr{number}")).unwrap();
        let due = schedule.next_after(Seat::of(&name), start).unwrap();
        let minute = due.duration_since(start).as_secs() / 60;
        minutes[usize::try_from(minute).unwrap()] += 1;
    }
    // 167 on average; five standard deviations to either side.
    assert!(
        minutes.iter().all(|count| (102..232).contains(count)),
        "{minutes:?}"
    );
}

#[test]
fn a_seat_is_the_same_on_every_machine_and_in_every_version() {
    let seat = Seat::of(&DeviceName::new("csr1").unwrap());
    let hour = SignedDuration::from_hours(1);
    assert_eq!(seat.within(hour).as_secs(), SEAT_OF_CSR1_IN_AN_HOUR);
    assert_eq!(Seat::new(0).within(hour), SignedDuration::ZERO);
    let last = Seat::new(u64::MAX).within(hour);
    assert!(last < hour && last > SignedDuration::from_secs(3599));
}

/// sha256("csr1") begins with these eight bytes.
const SEAT_OF_CSR1_IN_AN_HOUR: i64 = ((0xf3b4_11f9_5fa5_039b_u128 * 3600) >> 64) as i64;

#[test]
fn once_a_night_within_the_window_over_years_and_in_every_zone() {
    for name in ZONES {
        for between in ["22:00-05:00", "01:30-03:30", "12:00-24:00"] {
            let schedule = schedule("86400", between, name);
            let found = dues(
                &schedule,
                middle(),
                "2024-01-01T00:00:00Z",
                "2029-01-01T00:00:00Z",
            );
            let mut per_day: BTreeMap<i128, u32> = BTreeMap::new();
            for due in &found {
                assert!(schedule.is_open(*due), "{name} {between}: {due}");
                *per_day
                    .entry(due.as_nanosecond() / 86_400_000_000_000)
                    .or_default() += 1;
            }
            assert!(per_day.values().all(|count| *count == 1), "{name}");
            // Each UTC day has some of the window's time in it, and 2024 to 2028 have two leap days.
            assert_eq!(per_day.len(), 5 * 365 + 2, "{name} {between}");
        }
    }
}

#[test]
fn the_seats_of_a_night_are_spread_over_the_whole_window() {
    let schedule = schedule("86400", "22:00-05:00", "Europe/Berlin");
    let mut hours = BTreeMap::new();
    for number in 0..7_000 {
        let name = DeviceName::new(&format!("sw{number}")).unwrap();
        let due = schedule
            .next_after(Seat::of(&name), at("2026-06-01T00:00:00Z"))
            .unwrap();
        *hours.entry(wall(due, &schedule.zone).hour()).or_insert(0) += 1;
    }
    let expected = [0, 1, 2, 3, 4, 22, 23];
    assert_eq!(hours.keys().copied().collect::<Vec<_>>(), expected);
    assert!(
        hours.values().all(|count| (850..1150).contains(count)),
        "{hours:?}"
    );
}

#[test]
fn a_period_shorter_than_the_window_comes_again_and_again_while_it_is_open() {
    let hourly = schedule("3600", "22:00-05:00", "Europe/Berlin");
    let found = dues(
        &hourly,
        middle(),
        "2026-06-01T12:00:00Z",
        "2026-06-02T12:00:00Z",
    );
    assert_eq!(found.len(), 7);
    // The night when the clocks go forward has an hour less, the one when they go back one more.
    for (from, to, count) in [
        ("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", 6),
        ("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z", 8),
    ] {
        assert_eq!(dues(&hourly, middle(), from, to).len(), count, "{from}");
    }
    let seconds = schedule("1", "22:00-05:00", "Europe/Berlin");
    let next = seconds.next_after(Seat::new(0), at("2026-06-01T03:00:00Z"));
    assert_eq!(next, Some(at("2026-06-01T20:00:00Z")));
}

#[test]
fn a_window_that_the_clock_leaves_out_is_not_open_that_night() {
    let schedule = schedule("86400", "02:10-02:20", "Europe/Berlin");
    let found = dues(
        &schedule,
        middle(),
        "2026-03-28T00:00:00Z",
        "2026-03-31T00:00:00Z",
    );
    let days: Vec<_> = found
        .iter()
        .map(|due| wall(*due, &schedule.zone).day())
        .collect();
    assert_eq!(days, [28, 30], "the clock goes from 2 to 3 on the 29th");
}

#[test]
fn an_hour_that_comes_twice_is_open_twice() {
    let window: Window = "01:00-02:30".parse().unwrap();
    let berlin = zone("Europe/Berlin");
    let open = window.open_within(
        at("2026-10-24T12:00:00Z"),
        at("2026-10-25T12:00:00Z"),
        &berlin,
    );
    // Summer time 01:00 to 02:30, then winter time 02:00 to 02:30.
    assert_eq!(
        open,
        [
            (at("2026-10-24T23:00:00Z"), at("2026-10-25T00:30:00Z")),
            (at("2026-10-25T01:00:00Z"), at("2026-10-25T01:30:00Z")),
        ]
    );
    let open = "02:15-02:45".parse::<Window>().unwrap().open_within(
        at("2026-04-04T12:00:00Z"),
        at("2026-04-05T12:00:00Z"),
        &zone("Australia/Lord_Howe"),
    );
    assert_eq!(open.len(), 1, "the clock there goes back from 2:00 to 1:30");
}

#[test]
fn open_times_are_those_that_the_wall_shows_minute_by_minute() {
    for name in ZONES {
        for between in ["22:00-05:00", "01:15-02:45", "23:30-00:15", "00:00-24:00"] {
            let Ok(window) = between.parse::<Window>() else {
                assert_eq!(
                    between, "00:00-24:00",
                    "which is no window but any time of the day"
                );
                continue;
            };
            let zone = zone(name);
            let (begin, end) = (at("2026-03-01T00:00:00Z"), at("2026-11-15T00:00:00Z"));
            let open = window.open_within(begin, end, &zone);
            let mut stretches = open.iter().peekable();
            let minutes = end.duration_since(begin).as_mins();
            for minute in 0..minutes {
                let now = begin + SignedDuration::from_mins(minute);
                while stretches.peek().is_some_and(|(_, to)| *to <= now) {
                    stretches.next();
                }
                let within = stretches.peek().is_some_and(|(from, _)| *from <= now);
                assert_eq!(
                    within,
                    window.is_open(now, &zone),
                    "{name} {between} at {now}"
                );
            }
        }
    }
}

#[test]
fn cron_at_a_time_of_the_day_comes_once_a_day_whatever_the_clock_does() {
    for name in ZONES {
        for line in ["30 2 * * *", "15 2 * * *", "0 0 * * *", "45 1 * * *"] {
            let schedule = schedule(line, "", name);
            let found = dues(
                &schedule,
                middle(),
                "2024-01-01T12:00:00Z",
                "2029-01-01T12:00:00Z",
            );
            let days: BTreeMap<_, usize> = found.iter().fold(BTreeMap::new(), |mut days, due| {
                *days.entry(wall(*due, &schedule.zone).date()).or_default() += 1;
                days
            });
            assert!(days.values().all(|count| *count == 1), "{name} {line}");
            assert_eq!(days.len(), 5 * 365 + 2, "{name} {line}");
        }
    }
}

#[test]
fn cron_at_a_time_that_is_left_out_comes_right_after_the_gap() {
    for (name, line, before, due) in [
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-03-28T12:00:00Z",
            "2026-03-29T01:00:00Z",
        ),
        (
            "Australia/Lord_Howe",
            "15 2 * * *",
            "2026-10-03T12:00:00Z",
            "2026-10-03T15:30:00Z",
        ),
        // Twice that night; the first one counts.
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-10-24T12:00:00Z",
            "2026-10-25T00:30:00Z",
        ),
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:30:00Z",
        ),
    ] {
        let next = schedule(line, "", name).next_after(middle(), at(before));
        assert_eq!(next, Some(at(due)), "{name} {line} after {before}");
    }
    let hourly = schedule("0 * * * *", "", "Europe/Berlin");
    let found = dues(
        &hourly,
        middle(),
        "2026-10-24T12:00:00Z",
        "2026-10-25T12:00:00Z",
    );
    assert_eq!(
        found.len(),
        23,
        "every hour that passes, the last one is next"
    );
}

#[test]
fn leap_days_come_when_they_come() {
    let schedule = schedule("0 3 29 2 *", "", "UTC");
    let found = dues(
        &schedule,
        middle(),
        "2095-01-01T00:00:00Z",
        "2109-01-01T00:00:00Z",
    );
    assert_eq!(
        found,
        [
            at("2096-02-29T03:00:00Z"),
            at("2104-02-29T03:00:00Z"),
            at("2108-02-29T03:00:00Z")
        ]
    );
}

#[test]
fn the_devices_of_a_cron_moment_are_spread_over_finish_within() {
    let nightly = Schedule {
        finish_within: Some(Duration::from_secs(10 * 3600)),
        ..schedule("0 22 * * *", "", "UTC")
    };
    let after = at("2026-06-01T12:00:00Z");
    let due = |seat| nightly.next_after(Seat::new(seat), after).unwrap();
    assert_eq!(due(0), at("2026-06-01T22:00:00Z"));
    assert_eq!(
        due(1 << 63),
        at("2026-06-02T02:30:00Z"),
        "half of nine hours"
    );
    // It has its turn of last night ahead of it, and then that of tonight.
    let early = nightly.next_after(Seat::new(1 << 63), at("2026-06-01T23:00:00Z"));
    assert_eq!(early, Some(at("2026-06-02T02:30:00Z")));
    let windowed = Schedule {
        window: Some("20:00-02:00".parse().unwrap()),
        ..nightly.clone()
    };
    let last = windowed.next_after(Seat::new(u64::MAX), after).unwrap();
    assert!(last < at("2026-06-02T02:00:00Z"), "{last}");
    let close = Schedule {
        cadence: Cadence::Cron("0 * * * *".parse().unwrap()),
        ..nightly
    };
    let found = dues(
        &close,
        Seat::new(u64::MAX),
        "2026-06-01T00:00:00Z",
        "2026-06-02T00:00:00Z",
    );
    assert_eq!(found.len(), 24, "the next moment ends the turn of this one");
}

#[test]
fn cron_moments_outside_the_window_do_not_count() {
    let schedule = schedule("0 */2 * * *", "22:00-05:00", "Europe/Berlin");
    let found = dues(
        &schedule,
        middle(),
        "2026-06-01T12:00:00Z",
        "2026-06-02T12:00:00Z",
    );
    let hours: Vec<_> = found
        .iter()
        .map(|due| wall(*due, &schedule.zone).hour())
        .collect();
    assert_eq!(hours, [22, 0, 2, 4]);
    let noon = self::schedule("0 12 * * *", "22:00-05:00", "Europe/Berlin");
    assert_eq!(noon.next_after(middle(), at("2026-06-01T12:00:00Z")), None);
}

#[test]
fn a_window_says_when_it_closes() {
    let schedule = schedule("3600", "22:00-05:00", "Europe/Berlin");
    let closes = |text: &str| schedule.closes_after(at(text));
    assert_eq!(
        closes("2026-06-01T21:00:00Z"),
        Some(at("2026-06-02T03:00:00Z"))
    );
    assert_eq!(
        closes("2026-06-01T12:00:00Z"),
        Some(at("2026-06-01T12:00:00Z"))
    );
    let any_time = Schedule::every(Duration::from_secs(60));
    assert_eq!(any_time.closes_after(at("2026-06-01T12:00:00Z")), None);
}

#[test]
fn wrong_texts_are_refused_with_what_would_be_right() {
    for text in [
        "",
        "22:00",
        "22-05",
        "25:00-01:00",
        "22:00-05:60",
        "a:00-b:00",
        "22:0-5:00",
    ] {
        assert_eq!(text.parse::<Window>(), Err(WindowError::Form), "{text}");
    }
    assert_eq!("22:00-22:00".parse::<Window>(), Err(WindowError::Empty));
    assert_eq!("0:00 - 24:00".parse::<Window>(), Err(WindowError::Empty));
    for text in ["", "* * *", "61 * * * *", "0 2 * * MOX", "every hour"] {
        let told = text.parse::<CronTimes>().unwrap_err().to_string();
        assert!(told.contains("such as \"0 2 * * *\""), "{text}: {told}");
    }
    assert_eq!("0 0 30 2 *".parse::<CronTimes>(), Err(CronError::Never));
}

#[test]
fn it_shows_itself_in_the_words_of_the_settings() {
    let text = |schedule: &Schedule| schedule.to_string();
    assert_eq!(
        text(&Schedule::every(Duration::from_secs(5400))),
        "every 1h30m"
    );
    let nightly = Schedule {
        finish_within: Some(Duration::from_secs(3600)),
        ..schedule("0  2 * * *", "1:00-05:00", "Europe/Berlin")
    };
    assert_eq!(
        text(&nightly),
        "cron 0 2 * * * between 01:00-05:00 finish within 1h (Europe/Berlin)"
    );
}

fn some_schedule() -> impl Strategy<Value = Schedule> {
    let cadence = prop_oneof![
        (1_u64..200_000).prop_map(|seconds| Cadence::Every(Duration::from_secs(seconds))),
        (0..60, 0..24).prop_map(|(minute, hour)| {
            Cadence::Cron(format!("{minute} {hour} * * *").parse().unwrap())
        }),
        (1..30).prop_map(|step| Cadence::Cron(format!("*/{step} * * * *").parse().unwrap())),
    ];
    let window = proptest::option::of((0..24, 0..60, 1..24, 0..60).prop_filter_map(
        "opens when it closes",
        |(hour, minute, later, to)| {
            let text = format!("{hour}:{minute:02}-{}:{to:02}", (hour + later) % 24);
            text.parse::<Window>().ok()
        },
    ));
    let within = proptest::option::of((60_u64..90_000).prop_map(Duration::from_secs));
    let zone = proptest::sample::select(ZONES.to_vec()).prop_map(zone);
    (cadence, window, within, zone).prop_map(|(cadence, window, finish_within, zone)| Schedule {
        cadence,
        window,
        finish_within,
        zone,
    })
}

proptest! {
    #[test]
    fn a_turn_is_open_comes_later_and_none_lies_before_it(
        schedule in some_schedule(),
        seat in any::<u64>(),
        second in 1_700_000_000_i64..1_900_000_000,
        share in 0.0..1.0_f64,
    ) {
        let seat = Seat::new(seat);
        let now = Timestamp::from_second(second).unwrap();
        // A cron line that never falls into its window is never due.
        if let Some(due) = schedule.next_after(seat, now) {
            prop_assert!(due > now);
            prop_assert!(schedule.is_open(due));
            let between = now + SignedDuration::from_secs_f64(
                due.duration_since(now).as_secs_f64() * share * 0.999,
            );
            prop_assert_eq!(schedule.next_after(seat, between), Some(due));
        } else {
            prop_assert!(matches!(schedule.cadence, Cadence::Cron(_)));
        }
    }
}
