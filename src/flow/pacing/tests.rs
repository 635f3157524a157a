//! The queue under a stopped clock.

use super::*;
use crate::model::limit::LoginRate;
use std::time::Duration;

fn limit(name: &str, in_flight: Option<usize>, per_second: Option<f64>) -> LimitSet {
    LimitSet {
        name: name.into(),
        in_flight,
        logins: per_second.and_then(LoginRate::per_second),
    }
}

/// Everything that may begin at `now`.
fn all_now<T>(pacer: &mut Pacer<T>, now: Instant) -> Vec<(T, Permit)> {
    std::iter::from_fn(|| pacer.next(now)).collect()
}

fn names<T: Copy>(begun: &[(T, Permit)]) -> Vec<T> {
    begun.iter().map(|(item, _)| *item).collect()
}

#[test]
fn a_device_whose_set_is_full_is_passed_over() {
    let (mut pacer, now) = (Pacer::default(), Instant::now());
    let all = pacer.named(&limit("", Some(3), None), now);
    let site = pacer.named(&limit("site", Some(1), None), now);
    for name in ["s1", "s2", "s3"] {
        pacer.push(name, Turn::First, &[all, site], now);
    }
    for name in ["a", "b", "c"] {
        pacer.push(name, Turn::First, &[all], now);
    }
    let mut begun = all_now(&mut pacer, now);
    assert_eq!(names(&begun), ["s1", "a", "b"]);
    pacer.release(begun.pop().unwrap().1, now);
    let mut again = all_now(&mut pacer, now);
    assert_eq!(names(&again), ["c"], "the site is still full");
    pacer.release(begun.remove(0).1, now);
    assert_eq!(names(&all_now(&mut pacer, now)), ["s2"]);
    pacer.release(again.pop().unwrap().1, now);
    assert_eq!(names(&all_now(&mut pacer, now)), Vec::<&str>::new());
    assert_eq!((pacer.len(), pacer.due()), (1, None));
}

#[test]
fn retries_go_behind_first_tries_of_any_set() {
    let (mut pacer, now) = (Pacer::default(), Instant::now());
    let all = pacer.named(&limit("", Some(1), None), now);
    let site = pacer.named(&limit("site", Some(5), None), now);
    pacer.push("again", Turn::Again, &[all], now);
    pacer.push("first", Turn::First, &[all, site], now);
    let begun = all_now(&mut pacer, now);
    assert_eq!(names(&begun), ["first"]);
    pacer.push("late first", Turn::First, &[all], now);
    for expected in ["late first", "again"] {
        let permit = begun_permit(&mut pacer, now, expected);
        pacer.release(permit, now);
    }
}

/// Gives back all room of the set of all devices, then expects one item to begin.
fn begun_permit(pacer: &mut Pacer<&'static str>, now: Instant, expected: &str) -> Permit {
    let all = pacer.named.get("").copied().unwrap();
    pacer.sets.get_mut(&all).unwrap().in_flight = 0;
    pacer.settle(all, now);
    let (item, permit) = pacer.next(now).unwrap();
    assert_eq!(item, expected);
    permit
}

#[test]
fn a_rate_spaces_starts_and_makes_up_for_a_late_timer_only_a_little() {
    let (mut pacer, start) = (Pacer::default(), Instant::now());
    let all = pacer.named(&limit("", None, Some(20.0)), start);
    (0..30).for_each(|n| pacer.push(n, Turn::First, &[all], start));
    let ms = |count| start + Duration::from_millis(count);
    assert_eq!(all_now(&mut pacer, start).len(), 1);
    assert_eq!(pacer.due(), Some(ms(50)));
    assert_eq!(all_now(&mut pacer, ms(49)).len(), 0);
    assert_eq!(all_now(&mut pacer, ms(60)).len(), 1);
    assert_eq!(pacer.due(), Some(ms(100)), "10 ms late changes nothing");
    assert_eq!(all_now(&mut pacer, ms(1000)).len(), 3, "not eighteen");
    assert_eq!(pacer.due(), Some(ms(1050)));
}

#[test]
fn a_device_that_was_not_reached_costs_no_login_and_two_logins_cost_two() {
    let (mut pacer, start) = (Pacer::default(), Instant::now());
    let all = pacer.named(&limit("", None, Some(1.0)), start);
    (0..9).for_each(|n| pacer.push(n, Turn::First, &[all], start));
    let secs = |count| start + Duration::from_secs(count);
    let (_, dead) = pacer.next(start).unwrap();
    assert!(pacer.next(start).is_none());
    pacer.logged_in(&dead, 0, start);
    let (_, twice) = pacer.next(start).unwrap();
    pacer.logged_in(&twice, 2, start);
    assert!(pacer.next(secs(1)).is_none());
    assert!(pacer.next(secs(2)).is_some());
}

#[test]
fn a_spread_run_begins_one_device_in_each_share_of_its_window() {
    let (mut pacer, start) = (Pacer::default(), Instant::now());
    let window = pacer.open(None, Pace::spread(start + Duration::from_secs(100)));
    (0..5).for_each(|n| pacer.push(n, Turn::First, &[window], start));
    let mut now = start;
    let mut begun = Vec::new();
    loop {
        while pacer.next(now).is_some() {
            begun.push((now - start).as_secs());
        }
        match pacer.due() {
            Some(due) => now = due,
            None => break,
        }
    }
    assert_eq!(begun, [0, 20, 40, 60, 80]);
}

#[test]
fn a_spread_run_that_was_held_up_shares_out_what_is_left() {
    let (mut pacer, start) = (Pacer::default(), Instant::now());
    let secs = |count| start + Duration::from_secs(count);
    let window = pacer.open(None, Pace::spread(secs(100)));
    (0..5).for_each(|n| pacer.push(n, Turn::First, &[window], start));
    assert_eq!(all_now(&mut pacer, start).len(), 1);
    // Nothing is asked for until 60 s: three are left after this one.
    assert_eq!(all_now(&mut pacer, secs(60)).len(), 1);
    assert_eq!(pacer.due(), Some(secs(70)));
    // Past the end everything goes at once.
    assert_eq!(all_now(&mut pacer, secs(101)).len(), 3);
}

#[test]
fn bounds_can_change_and_sets_be_closed() {
    let (mut pacer, now) = (Pacer::default(), Instant::now());
    let all = pacer.named(&limit("", Some(1), None), now);
    let one_by_one = pacer.open(Some(1), Pace::Free);
    (0..4).for_each(|n| pacer.push(n, Turn::First, &[all, one_by_one], now));
    assert_eq!(all_now(&mut pacer, now).len(), 1);
    assert_eq!(
        pacer.named(&limit("", Some(9), None), now),
        all,
        "the same set"
    );
    assert_eq!(all_now(&mut pacer, now).len(), 0, "one by one still holds");
    assert_eq!(pacer.take_all(), [1, 2, 3]);
    assert!(pacer.is_empty());
    pacer.close(one_by_one);
    assert!(all_now(&mut pacer, now).is_empty());
}

/// What is looked up from the front of a plain list each time: right, and slow.
struct Naive {
    waiting: Vec<(Turn, u32, Vec<usize>)>,
    in_flight: Vec<usize>,
    due: Vec<Option<Instant>>,
}

const MOST: [Option<usize>; 4] = [Some(6), Some(2), None, Some(1)];
const RATES: [Option<f64>; 4] = [None, None, Some(10.0), Some(2.0)];

impl Naive {
    fn next(&mut self, now: Instant) -> Option<u32> {
        let room = |set: &usize| {
            MOST[*set].is_none_or(|most| self.in_flight[*set] < most)
                && self.due[*set].is_none_or(|due| due <= now)
        };
        let best = (0..self.waiting.len())
            .filter(|at| self.waiting[*at].2.iter().all(room))
            .min_by_key(|at| (self.waiting[*at].0, self.waiting[*at].1))?;
        let (_, item, sets) = self.waiting.remove(best);
        for set in sets {
            self.in_flight[set] += 1;
            if let Some(rate) = RATES[set] {
                let earliest = now - Duration::from_millis(100);
                let from = self.due[set].map_or(now, |due| due.max(earliest));
                self.due[set] = Some(from + Duration::from_secs_f64(1.0 / rate));
            }
        }
        Some(item)
    }
}

#[test]
fn it_chooses_what_a_look_through_the_whole_queue_would_choose() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut now = Instant::now();
        let mut pacer = Pacer::default();
        let sets: Vec<_> = (0..4)
            .map(|n| pacer.named(&limit(&format!("s{n}"), MOST[n], RATES[n]), now))
            .collect();
        let mut naive = Naive {
            waiting: Vec::new(),
            in_flight: vec![0; 4],
            due: vec![None; 4],
        };
        let mut flying: Vec<(Vec<usize>, Permit)> = Vec::new();
        let mut members_of: Vec<Vec<usize>> = Vec::new();
        for _ in 0..400 {
            match rng.u8(0..4) {
                0 | 1 => {
                    let item = u32::try_from(members_of.len()).unwrap();
                    let mine: Vec<usize> = (0..4).filter(|_| rng.u8(0..3) == 0).collect();
                    let turn = if rng.u8(0..4) == 0 {
                        Turn::Again
                    } else {
                        Turn::First
                    };
                    let ids: Vec<_> = mine.iter().map(|n| sets[*n]).collect();
                    pacer.push(item, turn, &ids, now);
                    naive.waiting.push((turn, item, mine.clone()));
                    members_of.push(mine);
                }
                2 if !flying.is_empty() => {
                    let (mine, permit) = flying.swap_remove(rng.usize(0..flying.len()));
                    mine.iter().for_each(|set| naive.in_flight[*set] -= 1);
                    pacer.release(permit, now);
                }
                _ => now += Duration::from_millis(rng.u64(0..120)),
            }
            loop {
                let (got, wanted) = (pacer.next(now), naive.next(now));
                assert_eq!(got.as_ref().map(|(item, _)| *item), wanted, "seed {seed}");
                let Some((item, permit)) = got else { break };
                flying.push((members_of[item as usize].clone(), permit));
            }
            assert_eq!(pacer.len(), naive.waiting.len());
            let later = naive.waiting.iter().any(|(_, _, sets)| {
                sets.iter()
                    .all(|set| MOST[*set].is_none_or(|most| naive.in_flight[*set] < most))
            });
            assert!(
                !later || pacer.due().is_some_and(|due| due > now),
                "seed {seed}"
            );
        }
    }
}

#[test]
fn a_full_set_costs_nothing_however_many_wait_for_it() {
    // Counted in looks at sets, not in time: a thousand classes behind a full set, and another set
    // that goes on.
    let (mut pacer, now) = (Pacer::default(), Instant::now());
    let all = pacer.named(&limit("", Some(50), None), now);
    let full = pacer.named(&limit("full", Some(1), None), now);
    for n in 0..1000 {
        let site = pacer.named(&limit(&format!("site-{n}"), Some(1), None), now);
        (0..5).for_each(|_| pacer.push(n, Turn::First, &[all, full, site], now));
    }
    (0..5000).for_each(|n| pacer.push(n, Turn::First, &[all], now));
    let mut flying = all_now(&mut pacer, now);
    assert_eq!(flying.len(), 50);
    let parked = pacer.sets[&full].parked.len();
    assert_eq!(
        parked, 999,
        "all but the class of the one in flight, which its site holds"
    );
    let the_slow_one = flying.remove(0);
    for _ in 0..4900 {
        let (_, permit) = flying.pop().unwrap();
        pacer.release(permit, now);
        assert!(
            pacer.ready.len() <= 2,
            "nothing parked elsewhere was touched"
        );
        flying.push(pacer.next(now).unwrap());
        assert_eq!(pacer.sets[&full].parked.len(), parked);
    }
    drop(the_slow_one);
}

#[test]
fn what_is_taken_out_leaves_the_others_their_place_and_their_room() {
    let now = Instant::now();
    let mut pacer = Pacer::default();
    let all = pacer.open(Some(2), Pace::Free);
    let site = pacer.open(Some(1), Pace::Free);
    for n in 0..6 {
        let sets = if n % 2 == 0 {
            vec![all, site]
        } else {
            vec![all]
        };
        pacer.push(n, Turn::First, &sets, now);
    }
    pacer.push(9, Turn::Asked, &[all, site], now);
    let (first, permit) = pacer.next(now).unwrap();
    assert_eq!(first, 9, "somebody waits for it");
    assert_eq!(pacer.next(now).unwrap().0, 1, "the site is full");
    // The first of a class that is parked at the full site, and one out of the middle.
    assert_eq!(pacer.take_where(|n| [0, 3].contains(n), now), [0, 3]);
    assert_eq!(pacer.len(), 3);
    pacer.release(permit, now);
    assert_eq!(pacer.next(now).unwrap().0, 2, "and not 0");
    assert!(pacer.next(now).is_none());
    assert_eq!(pacer.take_where(|_| true, now), [4, 5]);
    assert!(pacer.is_empty());
}

#[test]
fn one_slot_in_ten_is_not_for_the_schedule() {
    for (slots, kept) in [(0, 0), (1, 0), (2, 1), (10, 1), (100, 10), (5_000, 16)] {
        assert_eq!(reserved(slots), kept, "{slots}");
    }
}
