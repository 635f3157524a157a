//! What a run will take, told before it begins: the run itself, played through by the same queue
//! with the times that are known or assumed.
//!
//! It counts on every device being backed up at its first try.

use super::Work;
use super::pacing::order::taking_turns;
use super::pacing::{OfSchedule, Pacer, Permit, RunPace, Turn};
use crate::model::device::Device;
use crate::model::forecast::{Bound, DeviceTimes, Forecast};
use crate::model::limit::LimitSet;
use crate::model::report::Mode;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a device is assumed to take where no device has been timed yet: `wr mem` and `show run` of
/// a router take some seconds each.
pub const ASSUMED: Duration = Duration::from_secs(10);

/// The same where it is only logged in to.
pub const ASSUMED_LOGIN: Duration = Duration::from_secs(2);

/// Of a window so much is left over for the last devices and for further attempts: a tenth, but
/// at least twice the time of the slowest device.
const RESERVE: u32 = 10;

/// What is to be done.
pub struct Plan<'a> {
    /// The devices in the order in which they are first tried.
    pub devices: &'a [Arc<Device>],
    /// How long they took when they were last backed up.
    pub times: &'a DeviceTimes,
    /// What is done with them.
    pub work: Work,
    /// One by one or all at once.
    pub mode: Mode,
    /// What bounds all devices together.
    pub all: &'a LimitSet,
    /// The time in which the run is asked to end.
    pub window: Option<Duration>,
}

/// What will come of it.
pub struct Outlook {
    /// For people.
    pub forecast: Forecast,
    /// Over how long the first tries are to be spread; `None` is at full speed, because no window
    /// was asked for or the limits leave no room in it.
    pub spread: Option<Duration>,
}

/// Looks ahead. `now` is any moment; the queue needs one to begin with.
#[must_use]
pub fn outlook(plan: &Plan<'_>, now: Instant) -> Outlook {
    let known: Vec<_> = plan
        .devices
        .iter()
        .map(|device| plan.times.get(&device.name).copied())
        .collect();
    let timed = known.iter().flatten().count();
    let assumed = assume(plan.work, known.iter().flatten().copied());
    let times: Vec<_> = known.iter().map(|time| time.unwrap_or(assumed)).collect();
    let at_best = play(plan, &times, None, now);
    let slowest = times.iter().max().copied().unwrap_or_default();
    let spread = plan
        .window
        .filter(|window| at_best < *window)
        .map(|window| over(plan, &times, window, now));
    let (expected, bound) = match spread {
        Some((_, expected)) => (expected, Bound::Window),
        None => (at_best, bound(plan, &times, slowest)),
    };
    Outlook {
        forecast: Forecast {
            expected,
            bound,
            known: timed,
            assumed: (timed < plan.devices.len()).then_some(assumed),
            window: plan.window,
        },
        spread: spread.map(|(spread, _)| spread),
    }
}

/// What a device without a known time takes: what the others take on average, if there are any.
fn assume(work: Work, known: impl Iterator<Item = Duration> + Clone) -> Duration {
    match (u32::try_from(known.clone().count()), work) {
        (Ok(0) | Err(_), Work::Backup) => ASSUMED,
        (Ok(0) | Err(_), Work::Login) => ASSUMED_LOGIN,
        (Ok(count), _) => known.sum::<Duration>() / count,
    }
}

/// Over how long to spread the first tries so that the run ends in `window`, and what it then
/// takes.
fn over(
    plan: &Plan<'_>,
    times: &[Duration],
    window: Duration,
    now: Instant,
) -> (Duration, Duration) {
    const TRIES: usize = 4;
    let slowest = times.iter().max().copied().unwrap_or_default();
    let reserve = (window / RESERVE).max(slowest * 2).min(window / 2);
    let mut spread = window.saturating_sub(reserve);
    for _ in 0..TRIES {
        let expected = play(plan, times, Some(spread), now);
        let late = expected.saturating_sub(window);
        if late.is_zero() {
            return (spread, expected);
        }
        // A set that is busy all the time must not wait for its turns as well.
        spread = spread.saturating_sub(late);
    }
    (Duration::ZERO, play(plan, times, Some(Duration::ZERO), now))
}

/// The time from the first start to the last end.
fn play(plan: &Plan<'_>, times: &[Duration], spread: Option<Duration>, begin: Instant) -> Duration {
    let mut pacer = Pacer::default();
    let pace = RunPace {
        mode: plan.mode,
        at_most: None,
        spread: spread.map(|spread| begin + spread),
        of_schedule: OfSchedule::No,
    };
    let run = pacer.open_run(plan.all, pace, begin);
    let queue: Vec<_> = plan.devices.iter().zip(times).collect();
    for (device, time) in first_tries(queue, plan.mode, |(device, _)| device) {
        pacer.enqueue(*time, device, (run, Turn::First), begin);
    }
    let mut now = begin;
    let mut permits: BTreeMap<u64, Permit> = BTreeMap::new();
    let mut ends = BinaryHeap::new();
    for number in 0_u64.. {
        while let Some((time, permit)) = pacer.next(now) {
            let id = number << 32 | u64::try_from(permits.len()).unwrap_or_default();
            permits.insert(id, permit);
            ends.push(Reverse((now + time, id)));
        }
        let end = ends.peek().map(|Reverse((end, _))| *end);
        now = match (end, pacer.due()) {
            (Some(end), Some(due)) => end.min(due),
            (Some(moment), None) | (None, Some(moment)) => moment,
            (None, None) => break,
        };
        while let Some(Reverse((end, id))) = ends.peek().copied() {
            if end > now {
                break;
            }
            ends.pop();
            if let Some(permit) = permits.remove(&id) {
                pacer.release(permit, now);
            }
        }
    }
    now.saturating_duration_since(begin)
}

/// The order in which devices are first tried: those of different limit sets take turns, unless
/// they go one by one.
pub fn first_tries<T>(devices: Vec<T>, mode: Mode, device: impl Fn(&T) -> &Device) -> Vec<T> {
    match mode {
        Mode::Sequential => devices,
        Mode::Concurrent => taking_turns(devices, |item| {
            let limits = &device(item).limits;
            limits
                .iter()
                .map(|set| set.name.clone())
                .collect::<Vec<_>>()
        }),
    }
}

/// What alone would make the run take the longest.
fn bound(plan: &Plan<'_>, times: &[Duration], slowest: Duration) -> Bound {
    let mut sets: BTreeMap<&str, (&LimitSet, Duration, u32)> = BTreeMap::new();
    for (device, time) in plan.devices.iter().zip(times) {
        let members = device.limits.iter().map(Arc::as_ref).chain([plan.all]);
        for set in members {
            let (_, sum, count) = sets.entry(&set.name).or_insert((set, Duration::ZERO, 0));
            *sum += *time;
            *count += 1;
        }
    }
    let mut most = (slowest, Bound::Device);
    let mut consider = |time: Duration, bound: Bound| {
        if time > most.0 {
            most = (time, bound);
        }
    };
    for (set, sum, count) in sets.values() {
        let in_flight = match plan.mode {
            Mode::Sequential if set.name.is_empty() => Some(1),
            _ => set.in_flight,
        };
        if let Some(most) = in_flight {
            let share = u32::try_from(most).unwrap_or(u32::MAX).max(1);
            let name = set.name.clone();
            consider(*sum / share, Bound::InFlight { set: name, most });
        }
        if let Some(rate) = set.logins {
            let name = set.name.clone();
            let between = rate.interval() * count.saturating_sub(1);
            consider(between, Bound::Logins { set: name, rate });
        }
    }
    most.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::credentials::Credentials;
    use crate::model::device::DeviceName;
    use crate::model::limit::LoginRate;
    use crate::model::platform::Platform;

    fn device(name: &str, limits: &[&Arc<LimitSet>]) -> Arc<Device> {
        let credentials = Arc::new(Credentials::new("lab", "ntc"));
        let platform = Arc::new(Platform::default());
        let name = DeviceName::new(name).unwrap();
        Arc::new(Device {
            limits: limits.iter().map(|set| Arc::clone(set)).collect(),
            ..Device::new(name, "host", platform, credentials)
        })
    }

    fn fleet(count: usize, limits: &[&Arc<LimitSet>]) -> Vec<Arc<Device>> {
        (0..count)
            .map(|n| device(&format!("d{n}"), limits))
            .collect()
    }

    fn set(name: &str, in_flight: Option<usize>, rate: Option<f64>) -> Arc<LimitSet> {
        Arc::new(LimitSet {
            name: name.into(),
            in_flight,
            logins: rate.and_then(LoginRate::per_second),
        })
    }

    struct Asked {
        all: LimitSet,
        mode: Mode,
        window: Option<u64>,
        times: DeviceTimes,
    }

    impl Asked {
        fn at_once(most: usize) -> Self {
            Self {
                all: LimitSet::of_all(Some(most), None),
                mode: Mode::Concurrent,
                window: None,
                times: DeviceTimes::new(),
            }
        }

        fn of(&self, devices: &[Arc<Device>]) -> Outlook {
            let plan = Plan {
                devices,
                times: &self.times,
                work: Work::Backup,
                mode: self.mode,
                all: &self.all,
                window: self.window.map(Duration::from_secs),
            };
            outlook(&plan, Instant::now())
        }
    }

    #[test]
    fn without_known_times_the_assumption_is_said() {
        let told = Asked::at_once(100).of(&fleet(250, &[])).forecast;
        assert_eq!(told.expected, ASSUMED * 3, "three rounds");
        assert_eq!((told.known, told.assumed), (0, Some(ASSUMED)));
        let most = 100;
        assert_eq!(
            told.bound,
            Bound::InFlight {
                set: String::new(),
                most
            }
        );
        let few = Asked::at_once(100).of(&fleet(3, &[])).forecast;
        assert_eq!((few.expected, few.bound), (ASSUMED, Bound::Device));
        let none = Asked::at_once(100).of(&[]).forecast;
        assert_eq!((none.expected, none.assumed), (Duration::ZERO, None));
    }

    #[test]
    fn known_times_are_used_and_stand_in_for_the_others() {
        let mut asked = Asked::at_once(100);
        let time = |n: u64| {
            (
                DeviceName::new(&format!("d{n}")).unwrap(),
                Duration::from_secs(n),
            )
        };
        asked.times.extend([time(2), time(4)]);
        asked.mode = Mode::Sequential;
        let told = asked.of(&fleet(6, &[])).forecast;
        assert_eq!(
            (told.known, told.assumed),
            (2, Some(Duration::from_secs(3)))
        );
        assert_eq!(told.expected, Duration::from_secs(2 + 4 + 4 * 3));
        let set = String::new();
        assert_eq!(told.bound, Bound::InFlight { set, most: 1 });
    }

    #[test]
    fn the_tightest_set_is_named() {
        let (aaa, site) = (set("aaa1", None, Some(2.0)), set("site", Some(1), None));
        let mut devices = fleet(400, &[&aaa]);
        devices.extend((0..10).map(|n| device(&format!("s{n}"), &[&aaa, &site])));
        let told = Asked::at_once(100).of(&devices).forecast;
        let rate = LoginRate::per_second(2.0).unwrap();
        let name = "aaa1".to_owned();
        assert_eq!(told.bound, Bound::Logins { set: name, rate });
        let seconds = told.expected.as_secs_f64();
        assert!((seconds - (409.0 / 2.0 + 10.0)).abs() < 1.0, "{seconds}");
    }

    #[test]
    fn a_window_is_filled_and_kept() {
        let mut asked = Asked::at_once(100);
        asked.window = Some(7200);
        let spread = asked.of(&fleet(1000, &[]));
        assert_eq!(spread.spread, Some(Duration::from_secs(6480)));
        assert_eq!(spread.forecast.bound, Bound::Window);
        let seconds = spread.forecast.expected.as_secs();
        assert!((6400..=6500).contains(&seconds), "{seconds}");
        assert!(spread.forecast.fits());
    }

    #[test]
    fn a_slow_set_at_the_end_of_the_inventory_still_ends_in_the_window() {
        let site = set("site", Some(1), None);
        let mut devices = fleet(900, &[]);
        devices.extend((0..100).map(|n| device(&format!("s{n}"), &[&site])));
        let mut asked = Asked::at_once(100);
        // The site alone takes 1000 s.
        asked.window = Some(1100);
        let told = asked.of(&devices);
        assert!(told.forecast.fits(), "{:?}", told.forecast);
        assert!(
            told.spread
                .is_some_and(|spread| spread > Duration::from_secs(900))
        );
    }

    #[test]
    fn a_window_that_the_limits_do_not_allow_is_told_and_the_run_goes_at_full_speed() {
        let aaa = set("aaa1", None, Some(0.1));
        let mut asked = Asked::at_once(100);
        asked.window = Some(3600);
        let told = asked.of(&fleet(1000, &[&aaa]));
        assert_eq!(told.spread, None);
        assert!(!told.forecast.fits());
        assert_eq!(told.forecast.expected.as_secs(), 9990 + 10);
        assert!(matches!(told.forecast.bound, Bound::Logins { .. }));
    }
}
