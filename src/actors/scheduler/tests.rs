//! The scheduler under a stopped clock, with a supervisor that is a stub.

use super::*;
use crate::actors::messages::Scheduled;
use crate::flow::schedule::{Cadence, CronTimes, Schedule};
use crate::model::credentials::Credentials;
use crate::model::device::Device;
use crate::model::platform::Platform;
use actix::{Addr, ResponseFuture, System};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use std::sync::atomic::{AtomicI64, Ordering};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Goes as tokio's clock does, and jumps when told to.
struct TestClock {
    start: Timestamp,
    began: Instant,
    jumped_ms: Arc<AtomicI64>,
}

impl WallClock for TestClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(monotonic() - self.began).unwrap();
        let jumped = SignedDuration::from_millis(self.jumped_ms.load(Ordering::Relaxed));
        self.start + passed + jumped
    }
}

/// A run that a stub supervisor was asked for.
#[derive(Debug)]
struct Asked {
    after: Duration,
    names: Vec<String>,
}

/// Answers each run after a time that hangs on the first device's name, `slow` taking ten minutes.
struct StubSupervisor {
    began: Instant,
    asked: mpsc::UnboundedSender<Asked>,
}

impl Actor for StubSupervisor {
    type Context = Context<Self>;
}

impl Handler<StartRun> for StubSupervisor {
    type Result = ResponseFuture<Result<RunReport, RunRefused>>;

    fn handle(&mut self, start: StartRun, _: &mut Self::Context) -> Self::Result {
        let sound = start.devices.iter().map(|device| &device.name);
        let broken = start.broken.iter().map(|device| &device.name);
        let names: Vec<DeviceName> = sound.chain(broken).cloned().collect();
        assert!(
            names.iter().all(|name| name.as_str() != "kills"),
            "the stub dies, as asked"
        );
        let _ = self.asked.send(Asked {
            after: monotonic() - self.began,
            names: names.iter().map(ToString::to_string).collect(),
        });
        let busy = names
            .iter()
            .filter(|name| name.as_str() == "busy")
            .cloned()
            .collect();
        Box::pin(async move {
            Ok(RunReport {
                started_at: SystemTime::UNIX_EPOCH,
                mode: start.mode,
                in_flight_limit: start.in_flight,
                in_flight_max: 1,
                wall: Duration::ZERO,
                devices: Vec::new(),
                busy,
                abandoned_threads: 0,
                forecast: crate::model::forecast::Forecast {
                    expected: Duration::ZERO,
                    bound: crate::model::forecast::Bound::Device,
                    known: 0,
                    assumed: None,
                    window: None,
                },
                commits: Vec::new(),
                archive_trouble: None,
            })
        })
    }
}

struct StubRecorder(mpsc::UnboundedSender<(DeviceName, Due)>);

impl Actor for StubRecorder {
    type Context = Context<Self>;
}

impl Handler<Remember> for StubRecorder {
    type Result = ();

    fn handle(&mut self, Remember(entry): Remember, _: &mut Self::Context) {
        let Entry::Due(dues) = entry else {
            panic!("{entry:?}");
        };
        for due in dues {
            self.0.send(due).unwrap();
        }
    }
}

struct World {
    scheduler: Addr<Scheduler>,
    asked: mpsc::UnboundedReceiver<Asked>,
    over: mpsc::UnboundedReceiver<RunOver>,
    dues: mpsc::UnboundedReceiver<(DeviceName, Due)>,
    jumped_ms: Arc<AtomicI64>,
}

impl World {
    async fn set(&self, devices: Vec<Scheduled>) -> Missed {
        let set = SetInventory {
            devices,
            in_flight: 7,
            logins: None,
            credentials_changed: None,
        };
        self.scheduler.send(set).await.unwrap()
    }

    /// The runs asked for within the next `time`.
    async fn runs_within(&mut self, time: Duration) -> Vec<Asked> {
        tokio::time::sleep(time).await;
        let mut runs = Vec::new();
        while let Ok(asked) = self.asked.try_recv() {
            runs.push(asked);
        }
        runs
    }
}

fn in_world<F, Fut>(start: &str, test: F)
where
    F: FnOnce(World) -> Fut,
    Fut: Future<Output = ()>,
{
    let system = System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    });
    let start = at(start);
    system.block_on(async {
        let (asked_sender, asked) = mpsc::unbounded_channel();
        let (over_sender, over) = mpsc::unbounded_channel();
        let (dues_sender, dues) = mpsc::unbounded_channel();
        let began = monotonic();
        let supervisor = StubSupervisor {
            began,
            asked: asked_sender,
        };
        let jumped_ms = Arc::new(AtomicI64::new(0));
        let scheduler = Scheduler::new(SchedulerParts {
            supervisor: supervisor.start().recipient(),
            over: over_sender,
            remember: StubRecorder(dues_sender).start().recipient(),
            clock: Box::new(TestClock {
                start,
                began,
                jumped_ms: Arc::clone(&jumped_ms),
            }),
        })
        .start();
        test(World {
            scheduler,
            asked,
            over,
            dues,
            jumped_ms,
        })
        .await;
    });
}

fn device(name: &str) -> Who {
    Who::Sound(Arc::new(Device::new(
        DeviceName::new(name).unwrap(),
        name,
        Arc::new(Platform::default()),
        Arc::new(Credentials::new("lab", "ntc")),
    )))
}

fn every(names: &[&str], period: Duration, last_tried: Option<Timestamp>) -> Vec<Scheduled> {
    let schedule = Arc::new(Schedule::every(period));
    names
        .iter()
        .map(|name| Scheduled {
            who: device(name),
            schedule: Arc::clone(&schedule),
            last_tried,
        })
        .collect()
}

const SLICE: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn new_devices_are_begun_at_once_and_then_once_in_each_period() {
    in_world("2026-06-01T12:00:00Z", |mut world| async move {
        let missed = world.set(every(&["a", "b", "c"], HOUR, None)).await;
        assert_eq!(missed.devices, 3);
        let runs = world.runs_within(Duration::from_secs(120)).await;
        let names: usize = runs.iter().map(|run| run.names.len()).sum();
        assert_eq!(names, 3, "{runs:?}");
        let runs = world.runs_within(24 * HOUR).await;
        let names: usize = runs.iter().map(|run| run.names.len()).sum();
        assert_eq!(names, 24 * 3, "{runs:?}");
    });
}

#[test]
fn devices_that_become_due_within_a_minute_form_one_run() {
    in_world("2026-06-01T12:00:00Z", |mut world| async move {
        let now = at("2026-06-01T12:00:00Z");
        let names: Vec<String> = (0..6_000).map(|number| format!("sw{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        world.set(every(&names, HOUR, Some(now))).await;
        let runs = world.runs_within(HOUR).await;
        assert!((59..=61).contains(&runs.len()), "{} runs", runs.len());
        let late = runs.windows(2).all(|pair| {
            let apart = pair[1].after.checked_sub(pair[0].after).unwrap();
            apart < Duration::from_secs(61)
        });
        assert!(late, "none waits longer than a minute");
        let largest = runs.iter().map(|run| run.names.len()).max().unwrap();
        assert!(largest < 150, "{largest} devices in one run");
    });
}

#[test]
fn a_cron_moment_is_kept_to_the_second_and_makes_one_run() {
    in_world("2026-06-01T12:00:00Z", |mut world| async move {
        let schedule = Arc::new(Schedule {
            cadence: Cadence::Cron("0 2 * * *".parse::<CronTimes>().unwrap()),
            window: None,
            finish_within: None,
            zone: TimeZone::UTC,
        });
        let devices = ["a", "b", "c"]
            .map(|name| Scheduled {
                who: device(name),
                schedule: Arc::clone(&schedule),
                last_tried: Some(at("2026-06-01T11:00:00Z")),
            })
            .to_vec();
        world.set(devices).await;
        let runs = world.runs_within(24 * HOUR).await;
        assert_eq!(runs.len(), 1, "{runs:?}");
        assert_eq!(runs[0].names.len(), 3);
        let late = runs[0].after.checked_sub(14 * HOUR).unwrap();
        assert!(late < Duration::from_millis(10), "{late:?}");
    });
}

#[test]
fn busy_devices_are_counted_and_reports_handed_on() {
    in_world("2026-06-01T12:00:00Z", |mut world| async move {
        world.set(every(&["busy", "free"], HOUR, None)).await;
        world.runs_within(3 * HOUR).await;
        let status = world.scheduler.send(AskSchedule).await.unwrap();
        assert_eq!((status.devices, status.overruns), (2, 4));
        let mut handed_on = 0;
        while let Ok(over) = world.over.try_recv() {
            assert!(matches!(over, RunOver::Report(_)));
            handed_on += 1;
        }
        assert_eq!(handed_on, status.runs);
    });
}

#[test]
fn a_removed_device_is_not_begun_and_a_stopped_scheduler_begins_nothing() {
    in_world("2026-06-01T12:00:00Z", |mut world| async move {
        world.set(every(&["a", "b"], HOUR, None)).await;
        world.runs_within(HOUR).await;
        world.set(every(&["b"], HOUR, None)).await;
        let runs = world.runs_within(2 * HOUR).await;
        let names: Vec<_> = runs.into_iter().flat_map(|run| run.names).collect();
        assert_eq!(names, ["b", "b"]);
        world.scheduler.send(StopScheduling).await.unwrap();
        assert_eq!(world.runs_within(2 * HOUR).await.len(), 0);
    });
}

#[test]
fn a_clock_that_jumps_neither_stalls_it_nor_makes_a_stampede() {
    in_world("2026-06-01T12:00:00Z", |mut world| async move {
        let now = at("2026-06-01T12:00:00Z");
        let names: Vec<String> = (0..600).map(|number| format!("sw{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        world.set(every(&names, HOUR, Some(now))).await;
        world.runs_within(HOUR).await;
        for jump in ["48h", "-72h", "-30m", "59m"] {
            let jump: SignedDuration = jump.parse().unwrap();
            let ms = i64::try_from(jump.as_millis()).unwrap();
            world.jumped_ms.fetch_add(ms, Ordering::Relaxed);
            // A jump is noticed within half a minute, and a run may be a slice late.
            let runs = world.runs_within(HOUR + NAP + SLICE).await;
            let mut tried: Vec<_> = runs.iter().flat_map(|run| &run.names).collect();
            let largest = runs.iter().map(|run| run.names.len()).max().unwrap();
            // 10 on average when it goes well; catching up goes at 5 a second, in runs of a minute.
            assert!(largest <= 330, "{jump}: {largest} in one run");
            tried.sort_unstable();
            tried.dedup();
            assert_eq!(tried.len(), 600, "{jump}: every device within the hour");
        }
    });
}

#[test]
fn the_loss_of_the_supervisor_is_told() {
    in_world("2026-06-01T12:00:00Z", |mut world| async move {
        world.set(every(&["kills"], HOUR, None)).await;
        let over = world.over.recv().await.unwrap();
        assert!(matches!(over, RunOver::SupervisorLost), "{over:?}");
    });
}

#[test]
fn when_devices_are_due_is_remembered() {
    in_world("2026-06-01T12:00:00Z", |mut world| async move {
        let now = at("2026-06-01T12:00:00Z");
        world.set(every(&["a", "b"], HOUR, Some(now))).await;
        world.runs_within(2 * HOUR).await;
        let mut dues = Vec::new();
        while let Ok((name, due)) = world.dues.try_recv() {
            if name.as_str() == "a" {
                dues.push(due);
            }
        }
        assert_eq!(dues.len(), 3, "{dues:?}");
        let seat = crate::flow::schedule::Seat::of(&DeviceName::new("a").unwrap());
        let first = Schedule::every(HOUR).next_after(seat, now).unwrap();
        assert_eq!(dues[0].at, SystemTime::from(first));
        assert_eq!(dues[0].decided, SystemTime::from(now));
        assert_eq!(dues[1].at, dues[0].at + HOUR);
    });
}
