use super::*;
use crate::flow::schedule::{Cadence, CronTimes};
use jiff::tz::TimeZone;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn name(text: &str) -> DeviceName {
    DeviceName::new(text).unwrap()
}

fn hourly() -> Arc<Schedule> {
    Arc::new(Schedule::every(Duration::from_secs(3600)))
}

fn nightly() -> Arc<Schedule> {
    Arc::new(Schedule {
        cadence: Cadence::Cron("0 2 * * *".parse::<CronTimes>().unwrap()),
        window: None,
        finish_within: None,
        zone: TimeZone::UTC,
    })
}

fn fleet(
    count: usize,
    schedule: &Arc<Schedule>,
    done_until: Option<Timestamp>,
) -> Vec<Appointment> {
    (0..count)
        .map(|number| Appointment {
            name: name(&format!("sw{number}")),
            schedule: Arc::clone(schedule),
            done_until,
        })
        .collect()
}

/// Every turn up to `end`, looked for once a second.
fn turns(agenda: &mut Agenda, from: Timestamp, end: Timestamp) -> Vec<(Timestamp, DeviceName)> {
    let mut now = from;
    let mut all = Vec::new();
    while now <= end {
        all.extend(agenda.take_due(now).devices.into_iter().map(|it| (now, it)));
        now += SignedDuration::from_secs(1);
    }
    all
}

#[test]
fn a_small_fleet_that_was_never_tried_is_due_at_once_and_then_at_its_turn() {
    let now = at("2026-06-01T12:00:00Z");
    let mut agenda = Agenda::default();
    let missed = agenda.set(fleet(3, &hourly(), None), now);
    assert_eq!(missed.devices, 3);
    assert_eq!(missed.within, Duration::ZERO);
    let all = turns(&mut agenda, now, at("2026-06-01T14:00:00Z"));
    assert_eq!(all.len(), 3 + 2 * 3);
    assert!(
        all[..3]
            .iter()
            .all(|(when, _)| when.duration_since(now) <= SignedDuration::from_secs(1))
    );
}

#[test]
fn ten_thousand_devices_after_a_day_of_downtime_make_no_stampede() {
    let now = at("2026-06-02T12:00:00Z");
    let yesterday = Some(at("2026-06-01T12:00:00Z"));
    for (schedule, hours, expected) in [
        // The hour's own turns are as soon as catching up would be.
        (hourly(), 1, 10_000),
        (nightly(), 12, 10_000),
    ] {
        let mut agenda = Agenda::default();
        let missed = agenda.set(fleet(10_000, &schedule, yesterday), now);
        assert_eq!(missed.devices, 10_000);
        let all = turns(&mut agenda, now, now + SignedDuration::from_hours(hours));
        assert_eq!(all.len(), expected, "{schedule}: each is caught up once");
        let mut seconds = std::collections::HashMap::new();
        for (when, _) in &all {
            *seconds.entry(*when).or_insert(0) += 1;
        }
        let most = seconds.values().max().copied().unwrap();
        assert!(most < 20, "{schedule}: {most} devices in one second");
        let names: BTreeSet<_> = all.iter().map(|(_, name)| name).collect();
        assert_eq!(names.len(), 10_000);
    }
}

#[test]
fn a_restart_goes_on_where_it_stopped() {
    let start = at("2026-06-01T12:00:00Z");
    let mut agenda = Agenda::default();
    agenda.set(fleet(100, &hourly(), None), start);
    let first = turns(&mut agenda, start, at("2026-06-01T13:00:00Z"));
    let done: BTreeMap<_, _> = first.into_iter().map(|(when, name)| (name, when)).collect();
    // Down for ten minutes; whoever had a turn within them is caught up, nobody else.
    let again = at("2026-06-01T13:10:00Z");
    let mut agenda = Agenda::default();
    let mut fleet = fleet(100, &hourly(), None);
    for appointment in &mut fleet {
        appointment.done_until = done.get(&appointment.name).copied();
    }
    let within_those = |appointment: &&Appointment| {
        let seat = Seat::of(&appointment.name);
        let next = hourly().next_after(seat, at("2026-06-01T13:00:00Z"));
        next <= Some(again)
    };
    let expected = fleet.iter().filter(within_those).count();
    assert!(expected > 5, "{expected}");
    let missed = agenda.set(fleet, again);
    assert_eq!(missed.devices, expected);
    let all = turns(&mut agenda, again, again + SignedDuration::from_mins(2));
    assert!(all.len() >= expected, "{} of {expected}", all.len());
}

#[test]
fn a_missed_turn_is_not_put_off_by_nearly_a_whole_period() {
    let minutely = Arc::new(Schedule::every(Duration::from_secs(60)));
    let now = at("2026-06-01T12:00:00Z");
    let mut agenda = Agenda::default();
    let before = now - SignedDuration::from_secs(75);
    agenda.set(fleet(300, &minutely, Some(before)), now);
    let all = turns(&mut agenda, now, now + SignedDuration::from_secs(15));
    let names: BTreeSet<_> = all.iter().map(|(_, name)| name).collect();
    assert_eq!(names.len(), 300, "each within a quarter of its period");
}

#[test]
fn a_missed_turn_waits_for_the_window() {
    let schedule = Arc::new(Schedule {
        window: Some("22:00-05:00".parse().unwrap()),
        ..Schedule::every(Duration::from_secs(86_400))
    });
    let now = at("2026-06-02T12:00:00Z");
    let mut agenda = Agenda::default();
    agenda.set(fleet(50, &schedule, None), now);
    let all = turns(&mut agenda, now, at("2026-06-03T12:00:00Z"));
    assert!(all.iter().all(|(when, _)| schedule.is_open(*when)));
    let names: BTreeSet<_> = all.iter().map(|(_, name)| name).collect();
    assert_eq!(names.len(), 50);
}

#[test]
fn a_clock_that_jumps_ahead_makes_no_stampede_and_one_set_back_stalls_nobody() {
    let now = at("2026-06-01T12:00:00Z");
    let mut agenda = Agenda::default();
    agenda.set(fleet(1_000, &hourly(), Some(now)), now);
    let jumped = at("2026-06-04T00:00:00Z");
    let found = agenda.take_due(jumped);
    assert_eq!(found.devices, [], "nobody is begun by the jump itself");
    assert_eq!(found.missed.devices, 1_000);
    let all = turns(&mut agenda, jumped, jumped + SignedDuration::from_mins(5));
    let names: BTreeSet<_> = all.iter().map(|(_, name)| name).collect();
    assert_eq!(names.len(), 1_000, "each is caught up, once or by its turn");

    let back = at("2026-06-01T00:00:00Z");
    agenda.clock_set_back(back);
    let all = turns(&mut agenda, back, back + SignedDuration::from_hours(1));
    assert_eq!(all.len(), 1_000, "each has its turn within the hour");
}

#[test]
fn a_slow_look_is_not_a_missed_turn_and_a_caught_up_turn_is_not_put_off_again() {
    let now = at("2026-06-01T12:00:00Z");
    let mut agenda = Agenda::default();
    agenda.set(fleet(60, &hourly(), Some(now)), now);
    let found = agenda.take_due(now + SignedDuration::from_secs(100));
    assert!(!found.devices.is_empty() && found.missed.devices == 0);
    let mut agenda = Agenda::default();
    agenda.set(fleet(5, &nightly(), None), now);
    let found = agenda.take_due(now + SignedDuration::from_hours(1));
    assert_eq!(found.devices.len(), 5);
}

#[test]
fn a_changed_inventory_keeps_the_turns_of_those_that_stay() {
    let now = at("2026-06-01T12:00:00Z");
    let mut agenda = Agenda::default();
    agenda.set(fleet(10, &nightly(), Some(now)), now);
    let turn = agenda.next_of(&name("sw3"));
    assert_eq!(agenda.moved().len(), 10);
    let later = at("2026-06-01T18:00:00Z");
    let mut changed = fleet(9, &nightly(), None);
    changed[1].schedule = hourly();
    changed.push(Appointment {
        name: name("new"),
        schedule: nightly(),
        done_until: None,
    });
    let missed = agenda.set(changed, later);
    assert_eq!(agenda.len(), 10);
    assert_eq!(agenda.next_of(&name("sw3")), turn);
    assert_eq!(agenda.next_of(&name("sw9")), None, "it is gone");
    assert_eq!(
        missed.devices, 2,
        "the new one, and sw1 by its new schedule"
    );
    let moved: Vec<_> = agenda.moved().into_iter().map(|(name, _)| name).collect();
    assert_eq!(moved, [name("new"), name("sw1")]);
}

#[test]
fn turns_are_gathered_by_the_shortest_period() {
    let now = at("2026-06-01T12:00:00Z");
    let mut agenda = Agenda::default();
    assert_eq!(agenda.slice(), Duration::from_secs(60));
    agenda.set(fleet(3, &hourly(), Some(now)), now);
    assert_eq!(agenda.slice(), Duration::from_secs(60));
    let minutely = Arc::new(Schedule::every(Duration::from_secs(120)));
    agenda.set(fleet(3, &minutely, Some(now)), now);
    assert_eq!(agenda.slice(), Duration::from_secs(2));
}
