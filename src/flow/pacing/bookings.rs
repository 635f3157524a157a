//! The moments at which logins may be made: in no set two closer than its rate allows.
//!
//! [`super::Pacer`] lets devices begin at that pace; how long each takes to get from there to its
//! login differs. Bookings are the line behind it, which is never crossed.

use crate::model::limit::LimitSet;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound::Excluded;
use std::time::{Duration, Instant};

/// The logins that are booked, by the names of their sets.
#[derive(Debug, Default)]
pub struct Bookings(HashMap<String, BTreeSet<Instant>>);

impl Bookings {
    /// Books a login of a device that is in these sets: at the earliest moment from `now` on that
    /// keeps the rate of each.
    pub fn book<'a, S>(&mut self, sets: S, now: Instant) -> Instant
    where
        S: Iterator<Item = &'a LimitSet> + Clone,
    {
        let lanes = || sets.clone().filter_map(lane);
        for (name, interval) in lanes() {
            self.forget_past(name, interval, now);
        }
        let mut at = now;
        loop {
            let later = lanes().fold(at, |at, (name, interval)| self.gap(name, interval, at));
            if later == at {
                break;
            }
            at = later;
        }
        for (name, _) in lanes() {
            if let Some(booked) = self.0.get_mut(name) {
                booked.insert(at);
            }
        }
        at
    }

    /// Gives a booking back whose login is not made.
    pub fn cancel<'a>(&mut self, sets: impl Iterator<Item = &'a LimitSet>, at: Instant) {
        for (name, _) in sets.filter_map(lane) {
            if let Some(booked) = self.0.get_mut(name) {
                booked.remove(&at);
            }
        }
    }

    fn forget_past(&mut self, name: &str, interval: Duration, now: Instant) {
        match self.0.get_mut(name) {
            Some(booked) => {
                while booked.first().is_some_and(|at| *at + interval <= now) {
                    booked.pop_first();
                }
            }
            None => {
                self.0.insert(name.to_owned(), BTreeSet::new());
            }
        }
    }

    /// The earliest moment from `from` on with no other login closer than `interval`.
    fn gap(&self, name: &str, interval: Duration, from: Instant) -> Instant {
        let mut at = from;
        let Some(booked) = self.0.get(name) else {
            return at;
        };
        loop {
            let earliest = at.checked_sub(interval).unwrap_or(at);
            let too_close = (Excluded(earliest), Excluded(at + interval));
            match booked.range(too_close).next_back() {
                Some(other) => at = *other + interval,
                None => return at,
            }
        }
    }
}

fn lane(set: &LimitSet) -> Option<(&str, Duration)> {
    Some((set.name.as_str(), set.logins?.interval()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limit::LoginRate;

    fn set(name: &str, per_second: f64) -> LimitSet {
        LimitSet {
            name: name.into(),
            in_flight: None,
            logins: LoginRate::per_second(per_second),
        }
    }

    #[test]
    fn logins_that_come_together_are_set_apart_in_the_order_of_asking() {
        let (mut bookings, now) = (Bookings::default(), Instant::now());
        let aaa = set("aaa1", 10.0);
        let booked: Vec<_> = (0..5)
            .map(|_| bookings.book([&aaa].into_iter(), now) - now)
            .collect();
        let expected: Vec<_> = (0..5).map(|n| Duration::from_millis(100 * n)).collect();
        assert_eq!(booked, expected);
    }

    #[test]
    fn what_waits_for_a_slow_set_does_not_hold_up_a_fast_one() {
        let (mut bookings, now) = (Bookings::default(), Instant::now());
        let (slow, fast) = (set("slow", 0.1), set("fast", 10.0));
        let both = || [&slow, &fast].into_iter();
        assert_eq!(bookings.book(both(), now), now);
        let late = bookings.book(both(), now);
        assert_eq!(late - now, Duration::from_secs(10));
        for n in 1..=98 {
            let at = bookings.book([&fast].into_iter(), now);
            assert_eq!(at - now, Duration::from_millis(100 * n));
        }
        // 9.9 s is free, 10 s is the late one's.
        let at = bookings.book([&fast].into_iter(), now);
        assert_eq!(at - now, Duration::from_millis(9900));
        let at = bookings.book([&fast].into_iter(), now);
        assert_eq!(at - now, Duration::from_millis(10_100));
    }

    #[test]
    fn a_booking_given_back_can_be_had_again() {
        let (mut bookings, now) = (Bookings::default(), Instant::now());
        let aaa = set("aaa1", 1.0);
        let first = bookings.book([&aaa].into_iter(), now);
        bookings.cancel([&aaa].into_iter(), first);
        assert_eq!(bookings.book([&aaa].into_iter(), now), first);
    }

    #[test]
    fn no_two_logins_of_a_set_are_ever_closer_than_its_rate_allows() {
        for seed in 0..100 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let sets = [set("a", 7.0), set("b", 3.0), set("c", 50.0)];
            let mut bookings = Bookings::default();
            let mut now = Instant::now();
            let mut made: Vec<Vec<Instant>> = vec![Vec::new(); 3];
            for _ in 0..200 {
                now += Duration::from_millis(rng.u64(0..200));
                let mine: Vec<usize> = (0..3).filter(|_| rng.bool()).collect();
                let of = || mine.iter().map(|n| &sets[*n]);
                let at = bookings.book(of(), now);
                assert!(at >= now);
                if rng.u8(0..10) == 0 {
                    bookings.cancel(of(), at);
                } else {
                    mine.iter().for_each(|n| made[*n].push(at));
                }
            }
            for (set, mut made) in sets.iter().zip(made) {
                made.sort_unstable();
                let interval = set.logins.unwrap().interval();
                for pair in made.windows(2) {
                    assert!(
                        pair[1] - pair[0] >= interval,
                        "seed {seed}, set {}",
                        set.name
                    );
                }
            }
        }
    }
}
