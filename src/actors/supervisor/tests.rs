//! The supervisor under a stopped clock, with devices that are stubs.

use super::*;
use crate::actors::device::AttemptSpec;
use crate::actors::messages::{
    Drain, Lane, NotRecorded, Product, Remember, RunStage, Served, SessionState, Settle, StageDone,
    StageFailed, Tell, Withdraw,
};
use crate::archive::{ArchiveError, NotStored, held::Held};
use crate::flow::Work;
use crate::flow::breaker::{Asked, BreakerPolicy, Breakers};
use crate::model::config::{Config, Proof};
use crate::model::credentials::Credentials;
use crate::model::device::{BrokenDevice, Device};
use crate::model::failure::{Failure, FailureKind};
use crate::model::forecast::Bound;
use crate::model::history::Trigger;
use crate::model::limit::LoginRate;
use crate::model::platform::{Platform, SaveDialogue};
use crate::model::report::{Mode, Outcome, Stored, StoredKind};
use crate::model::save::SaveNeed;
use crate::model::stage::{Stage, StepName, Trail};
use crate::model::version::ObjectId;
use crate::state::journal::Entry;
use actix::{Addr, ResponseFuture, System};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::SystemTime;

/// What a stub device does when asked for a stage.
#[derive(Clone, Copy)]
pub(in crate::actors) enum Act {
    Done,
    DoneAfter(Duration),
    Fail(FailureKind),
    Panic,
    /// The thread is gone: the request is never answered but closed.
    Vanish,
    /// Answers only when cancelled.
    Hang,
    /// Never answers at all.
    Stuck,
}

type Script = Arc<dyn Fn(&str, u32, Stage) -> Act + Send + Sync>;

/// How many stubs may be on their way to being called.
const CALLERS: usize = 3;

struct StubDevices {
    script: Script,
    attempts: Mutex<HashMap<DeviceName, u32>>,
}

impl StartDevice for StubDevices {
    fn start(&self, spec: AttemptSpec) -> Result<Recipient<RunStage>, String> {
        if spec.device.name.as_str().starts_with("no-thread") {
            return Err("no thread could be started".into());
        }
        let mut attempts = self.attempts.lock().unwrap();
        let attempt = attempts.entry(spec.device.name.clone()).or_default();
        *attempt += 1;
        let script = Arc::clone(&self.script);
        let attempt = *attempt;
        Ok(Stub {
            spec,
            script,
            attempt,
        }
        .start()
        .recipient())
    }

    fn callers(&self) -> usize {
        CALLERS
    }
}

struct Stub {
    spec: AttemptSpec,
    script: Script,
    attempt: u32,
}

fn saved_platform() -> Platform {
    Platform {
        save: Some(SaveDialogue::default()),
        ..Platform::default()
    }
}

impl Actor for Stub {
    type Context = Context<Self>;
}

fn failed(stage: Stage, kind: FailureKind, session: SessionState) -> Box<StageFailed> {
    Box::new(StageFailed {
        failure: Failure::new(stage, kind, "stub"),
        began: Supervisor::now(),
        took: Duration::ZERO,
        trail: Trail::default(),
        session,
    })
}

impl Handler<RunStage> for Stub {
    type Result = ResponseFuture<Served>;

    fn handle(&mut self, request: RunStage, _: &mut Self::Context) -> Self::Result {
        let stage = request.stage;
        let began = Supervisor::now();
        if stage == Stage::Connect && !self.spec.device.name.as_str().starts_with("uncalled") {
            (self.spec.called)();
        }
        let product = match stage {
            Stage::Backup => Product::Config {
                config: Config::proven(b"end\n".to_vec(), Proof::Marker),
                info: None,
                need: SaveNeed::Needed,
            },
            _ => Product::Nothing,
        };
        let act = (self.script)(self.spec.device.name.as_str(), self.attempt, stage);
        let cancel = self.spec.cancel.clone();
        assert!(
            !matches!(act, Act::Vanish),
            "the stub loses its thread, as asked"
        );
        Box::pin(async move {
            match act {
                Act::Done => {}
                Act::DoneAfter(time) => tokio::time::sleep(time).await,
                Act::Fail(kind) => return Err(failed(stage, kind, SessionState::Orderly)),
                Act::Panic => {
                    return Err(failed(stage, FailureKind::Crashed, SessionState::Gone));
                }
                Act::Vanish | Act::Stuck => std::future::pending().await,
                Act::Hang => {
                    while !cancel.is_cancelled() {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    return Err(failed(stage, FailureKind::Cancelled, SessionState::Orderly));
                }
            }
            let mut trail = Trail::default();
            if stage == Stage::Connect {
                trail.step(StepName::Auth, Duration::ZERO);
            }
            Ok(Box::new(StageDone {
                began,
                took: Supervisor::now() - began,
                trail,
                product,
            }))
        })
    }
}

/// Commits the first run and no other.
#[derive(Default)]
struct StubArchivist {
    runs_ended: usize,
}

fn no_space() -> ArchiveError {
    ArchiveError {
        path: "configs/nodisk.cfg".into(),
        action: "write",
        reason: "no space left on device".into(),
    }
}

impl Actor for StubArchivist {
    type Context = Context<Self>;
}

impl Handler<WriteConfig> for StubArchivist {
    type Result = Result<Stored, NotStored>;

    fn handle(&mut self, WriteConfig(put): WriteConfig, _: &mut Self::Context) -> Self::Result {
        if put.device.as_str() == "nodisk" {
            return Err(no_space().into());
        }
        if put.device.as_str() == "shrunk" {
            return Err(NotStored::Held(Held {
                device: put.device,
                path: "configs/.held/shrunk.cfg".into(),
                bytes: 4,
                last: 400,
            }));
        }
        Ok(Stored {
            kind: StoredKind::New,
            lines: None,
            bytes: 4,
            sha256: [0; 32],
            notes: vec!["a note of the archive".to_owned()],
        })
    }
}

impl Handler<EndRun> for StubArchivist {
    type Result = actix::MessageResult<EndRun>;

    fn handle(&mut self, _: EndRun, _: &mut Self::Context) -> Self::Result {
        self.runs_ended += 1;
        actix::MessageResult(match self.runs_ended {
            1 => Ok(vec![ObjectId::from_bytes([7; 20])]),
            _ => Err(no_space()),
        })
    }
}

/// Hands on what it is told, where anybody wants it.
struct StubCollector(Option<mpsc::Sender<Event>>);

impl Actor for StubCollector {
    type Context = Context<Self>;
}

impl Handler<Tell> for StubCollector {
    type Result = ();

    fn handle(&mut self, Tell { event, .. }: Tell, _: &mut Self::Context) {
        if let Some(events) = &self.0 {
            events.send(event).unwrap();
        }
    }
}

/// Takes all that is to be remembered, and is always well.
struct StubRecorder(mpsc::Sender<Entry>);

impl Actor for StubRecorder {
    type Context = Context<Self>;
}

impl Handler<Remember> for StubRecorder {
    type Result = ();

    fn handle(&mut self, Remember(entry): Remember, _: &mut Self::Context) {
        self.0.send(entry).unwrap();
    }
}

impl Handler<Settle> for StubRecorder {
    type Result = Result<(), NotRecorded>;

    fn handle(&mut self, _: Settle, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

struct TestClock;

impl Clock for TestClock {
    fn now(&self) -> Instant {
        Supervisor::now()
    }
}

pub(in crate::actors) fn device(name: &str) -> Arc<Device> {
    Arc::new(Device::new(
        DeviceName::new(name).unwrap(),
        name,
        Arc::new(saved_platform()),
        Arc::new(Credentials::new("lab", "ntc")),
    ))
}

pub(super) fn start(names: &[&str], in_flight: usize) -> StartRun {
    StartRun {
        devices: names.iter().map(|name| device(name)).collect(),
        broken: Vec::new(),
        work: Work::Backup,
        mode: Mode::Concurrent,
        in_flight,
        logins: None,
        finish_within: None,
        times: HashMap::new(),
        asked: Asked::by(Trigger::Schedule),
        lane: Lane::alone(),
    }
}

fn scheduled(names: &[&str], in_flight: usize) -> StartRun {
    StartRun {
        lane: Lane::Scheduled {
            not_after: HashMap::new(),
        },
        ..start(names, in_flight)
    }
}

pub(super) struct World {
    pub(super) supervisor: Addr<Supervisor>,
    events: mpsc::Receiver<Event>,
    pub(super) remembered: mpsc::Receiver<Entry>,
}

pub(in crate::actors) const POLICY: BreakerPolicy = BreakerPolicy {
    unreachable_runs: 2,
    rest: Duration::from_secs(300),
    rest_max: Duration::from_secs(3600),
    refused_rest: Duration::from_secs(1800),
    crashes: 3,
    crash_window: Duration::from_secs(86_400),
    quarantine: Duration::from_secs(86_400),
};

thread_local! {
    // A clock on the wall that goes on with the stopped one.
    static BEGAN: Instant = Supervisor::now();
}

fn wall() -> SystemTime {
    let passed = BEGAN.with(|began| Supervisor::now().saturating_duration_since(*began));
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + passed
}

fn supervisor(
    script: impl Fn(&str, u32, Stage) -> Act + Send + Sync + 'static,
    memory: Memory,
    collector: StubCollector,
) -> Addr<Supervisor> {
    let archivist = StubArchivist::default().start();
    Supervisor::new(Parts {
        devices: Box::new(StubDevices {
            script: Arc::new(script),
            attempts: Mutex::default(),
        }),
        archivist: archivist.clone().recipient(),
        run_ends: archivist.recipient(),
        collector: collector.start().recipient(),
        clock: Arc::new(TestClock),
        backoff_base: Duration::from_secs(2),
        backoff_cap: Duration::from_secs(60),
        seed: 1,
        memory,
    })
    .start()
}

/// A supervisor of stub devices whose events nobody hears.
pub(in crate::actors) fn unheard(
    script: impl Fn(&str, u32, Stage) -> Act + Send + Sync + 'static,
    memory: Memory,
) -> Addr<Supervisor> {
    supervisor(script, memory, StubCollector(None))
}

/// Runs `test` in a system whose clock jumps ahead whenever nobody has anything to do.
pub(super) fn in_world<F, Fut>(
    script: impl Fn(&str, u32, Stage) -> Act + Send + Sync + 'static,
    test: F,
) where
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
    system.block_on(async {
        let (sender, events) = mpsc::channel();
        let (remember, remembered) = mpsc::channel();
        let recorder = StubRecorder(remember).start();
        let memory = Memory {
            remember: recorder.clone().recipient(),
            settle: recorder.recipient(),
            breakers: Breakers::new(POLICY, [], []),
            wall,
        };
        let supervisor = supervisor(script, memory, StubCollector(Some(sender)));
        test(World {
            supervisor,
            events,
            remembered,
        })
        .await;
    });
}

fn outcomes(report: &RunReport) -> Vec<(&str, &'static str)> {
    let mut outcomes: Vec<_> = report
        .devices
        .iter()
        .map(|device| (device.name.as_str(), device.outcome.name()))
        .collect();
    outcomes.sort_unstable();
    outcomes
}

#[test]
fn a_run_passes_every_device_through_all_stages_and_replies_with_the_report() {
    in_world(
        |_, _, _| Act::DoneAfter(Duration::from_secs(1)),
        |world| async move {
            let report = world
                .supervisor
                .send(start(&["a", "b", "c"], 10))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(outcomes(&report), [("a", "ok"), ("b", "ok"), ("c", "ok")]);
            assert_eq!(report.in_flight_max, 3);
            assert_eq!(
                report.wall.as_secs(),
                4,
                "four timed stages, all devices at once"
            );
            for device in &report.devices {
                let stages: Vec<_> = device.last_stages().iter().map(|s| s.stage).collect();
                assert_eq!(stages, Stage::ALL);
            }
            let finished = world
                .events
                .try_iter()
                .filter(|event| matches!(event, Event::DeviceFinished(_)))
                .count();
            assert_eq!(finished, 3);
        },
    );
}

#[test]
fn a_run_ends_with_its_commits_or_with_why_there_are_none() {
    in_world(
        |_, _, _| Act::Done,
        |world| async move {
            let run = || async {
                let report = world.supervisor.send(start(&["a"], 10)).await;
                report.unwrap().unwrap()
            };
            let first = run().await;
            assert_eq!(first.commits, [ObjectId::from_bytes([7; 20])]);
            assert_eq!(first.archive_trouble, None);
            let second = run().await;
            assert!(second.commits.is_empty());
            assert_eq!(outcomes(&second), [("a", "ok")], "its config is stored");
            let trouble = second.archive_trouble.unwrap();
            assert!(trouble.contains("no space left"), "{trouble}");
            let login = StartRun {
                work: Work::Login,
                ..start(&["a"], 10)
            };
            let login = world.supervisor.send(login).await.unwrap().unwrap();
            assert_eq!(login.archive_trouble, None, "nothing was written");
        },
    );
}

#[test]
fn devices_are_begun_as_they_are_called_and_not_all_together() {
    let script = |name: &str, _, stage| match (name, stage) {
        ("uncalled1", Stage::Connect) => Act::Fail(FailureKind::AuthRefused),
        ("uncalled2", Stage::Connect) => Act::Vanish,
        _ => Act::DoneAfter(Duration::from_secs(1)),
    };
    in_world(script, |world| async move {
        let run = |prefix: &'static str, count: usize| {
            let names: Vec<String> = (0..count).map(|n| format!("{prefix}{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            world.supervisor.send(start(&names, 100))
        };
        let report = run("d", 4 * CALLERS).await.unwrap().unwrap();
        assert_eq!(report.in_flight_max, 4 * CALLERS);
        assert_eq!(report.wall.as_secs(), 4, "they are called at once");
        let report = run("uncalled", CALLERS + 3).await.unwrap().unwrap();
        let ok = outcomes(&report)
            .iter()
            .filter(|(_, how)| *how == "ok")
            .count();
        assert_eq!(ok, CALLERS + 1);
        assert_eq!(
            report.wall.as_secs(),
            5,
            "the last begins when the first has connected; those that end let others in at once"
        );
    });
}

#[test]
fn no_more_devices_are_in_flight_than_the_limit_and_sequential_means_one() {
    in_world(
        |_, _, _| Act::DoneAfter(Duration::from_secs(1)),
        |world| async move {
            let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let report = world
                .supervisor
                .send(start(&names, 4))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(report.in_flight_max, 4);
            assert_eq!(report.wall.as_secs(), 12, "three rounds of four seconds");
            let one_by_one = StartRun {
                mode: Mode::Sequential,
                ..start(&names, 4)
            };
            let report = world.supervisor.send(one_by_one).await.unwrap().unwrap();
            assert_eq!((report.in_flight_max, report.in_flight_limit), (1, 1));
            assert_eq!(report.wall.as_secs(), 40);
        },
    );
}

#[test]
fn one_devices_trouble_is_its_own() {
    in_world(
        |name, attempt, stage| match (name, stage) {
            ("panics", Stage::Backup) => Act::Panic,
            ("vanishes", Stage::Save) if attempt == 1 => Act::Vanish,
            ("refused", Stage::Connect) => Act::Fail(FailureKind::AuthRefused),
            ("unsaved", Stage::Save) => Act::Fail(FailureKind::SaveFailed),
            ("hangs", Stage::Backup) => Act::Hang,
            ("stuck", Stage::Backup) => Act::Stuck,
            _ => Act::Done,
        },
        |world| async move {
            let names = [
                "fine", "panics", "vanishes", "refused", "unsaved", "hangs", "stuck", "nodisk",
                "shrunk",
            ];
            let report = world
                .supervisor
                .send(start(&names, 10))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(
                outcomes(&report),
                [
                    ("fine", "ok"),
                    ("hangs", "failed"),
                    ("nodisk", "failed"),
                    ("panics", "failed"),
                    ("refused", "failed"),
                    ("shrunk", "failed"),
                    ("stuck", "failed"),
                    ("unsaved", "not_saved"),
                    ("vanishes", "ok"),
                ]
            );
            let of = |name: &str| {
                report
                    .devices
                    .iter()
                    .find(|device| device.name.as_str() == name)
                    .unwrap()
            };
            let kind = |name: &str| of(name).outcome.failure().unwrap().kind;
            assert_eq!(of("vanishes").attempts.len(), 2);
            assert_eq!(kind("panics"), FailureKind::Crashed);
            assert_eq!(of("panics").attempts.len(), 3);
            assert_eq!(
                of("refused").attempts.len(),
                1,
                "a refused login is not repeated"
            );
            assert_eq!(kind("hangs"), FailureKind::Timeout);
            assert_eq!(kind("stuck"), FailureKind::Timeout);
            assert_eq!(kind("nodisk"), FailureKind::Archive);
            assert_eq!(kind("shrunk"), FailureKind::Unproven);
            assert_eq!(of("fine").proof, Some(Proof::Marker));
            assert_eq!(of("fine").notes, ["a note of the archive"]);
            assert!(
                of("nodisk")
                    .outcome
                    .failure()
                    .unwrap()
                    .message
                    .contains("no space left")
            );
            assert_eq!(report.abandoned_threads, 3, "the stuck device, three times");
            let status = world.supervisor.send(RunStatus).await.unwrap();
            assert_eq!(
                (status.in_flight, status.queued, status.abandoned),
                (0, 0, 3)
            );
        },
    );
}

#[test]
fn retries_wait_and_do_not_go_ahead_of_first_tries() {
    in_world(
        |name, attempt, stage| match (name, stage) {
            ("a", Stage::Connect) if attempt == 1 => Act::Fail(FailureKind::Reset),
            _ => Act::DoneAfter(Duration::from_secs(1)),
        },
        |world| async move {
            let report = world
                .supervisor
                .send(start(&["a", "b", "c"], 1))
                .await
                .unwrap()
                .unwrap();
            let order: Vec<_> = report.devices.iter().map(|d| d.name.as_str()).collect();
            assert_eq!(order, ["b", "c", "a"]);
            let last = report.devices.last().unwrap();
            assert_eq!(last.attempts.len(), 2);
            assert!(last.waited >= Duration::from_secs(1), "{:?}", last.waited);
        },
    );
}

#[test]
fn draining_cancels_the_queue_lets_the_rest_end_and_cuts_what_hangs() {
    in_world(
        |name, _, stage| match (name, stage) {
            ("slow", Stage::Backup) => Act::DoneAfter(Duration::from_secs(10)),
            ("hangs", Stage::Backup) => Act::Hang,
            ("flaky", Stage::Backup) => Act::Fail(FailureKind::Truncated),
            _ => Act::DoneAfter(Duration::from_secs(1)),
        },
        |world| async move {
            let run = world
                .supervisor
                .send(start(&["slow", "hangs", "flaky", "queued"], 3));
            let interrupt = async {
                tokio::time::sleep(Duration::from_millis(1500)).await;
                let grace = Duration::from_secs(30);
                world.supervisor.send(Drain { grace }).await.unwrap();
            };
            let (report, ()) = tokio::join!(run, interrupt);
            let report = report.unwrap().unwrap();
            assert_eq!(
                outcomes(&report),
                [
                    ("flaky", "failed"),
                    ("hangs", "cancelled"),
                    ("queued", "cancelled"),
                    ("slow", "ok"),
                ]
            );
            assert!(report.wall < Duration::from_secs(33), "{:?}", report.wall);
            let refused = world.supervisor.send(start(&["a"], 1)).await.unwrap();
            assert_eq!(refused, Err(RunRefused::Draining));
        },
    );
}

#[test]
fn a_device_still_busy_is_skipped_by_the_next_run() {
    in_world(
        |name, _, _| match name {
            "slow" => Act::DoneAfter(Duration::from_secs(60)),
            _ => Act::Done,
        },
        |world| async move {
            let first = world.supervisor.send(scheduled(&["slow", "fast"], 10));
            let second = async {
                tokio::time::sleep(Duration::from_secs(10)).await;
                world
                    .supervisor
                    .send(scheduled(&["slow", "fast"], 10))
                    .await
                    .unwrap()
                    .unwrap()
            };
            let (first, second) = tokio::join!(first, second);
            assert_eq!(outcomes(&first.unwrap().unwrap()).len(), 2);
            assert_eq!(outcomes(&second), [("fast", "ok")]);
            assert_eq!(second.busy, [DeviceName::new("slow").unwrap()]);
        },
    );
}

#[test]
fn a_device_that_crashes_three_times_is_in_quarantine() {
    in_world(
        |name, _, _| if name == "bad" { Act::Panic } else { Act::Done },
        |world| async move {
            let first = world
                .supervisor
                .send(start(&["bad", "good"], 10))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(outcomes(&first), [("bad", "failed"), ("good", "ok")]);
            let second = world
                .supervisor
                .send(start(&["bad", "good"], 10))
                .await
                .unwrap()
                .unwrap();
            let bad = second
                .devices
                .iter()
                .find(|d| d.name.as_str() == "bad")
                .unwrap();
            assert!(bad.attempts.is_empty(), "not tried again");
            assert!(
                bad.outcome
                    .failure()
                    .unwrap()
                    .message
                    .contains("wrmem release bad")
            );
        },
    );
}

#[test]
fn broken_devices_fail_and_an_empty_run_ends() {
    in_world(
        |_, _, _| Act::Done,
        |world| async move {
            let run = StartRun {
                broken: vec![BrokenDevice {
                    name: DeviceName::new("odd").unwrap(),
                    host: "odd".into(),
                    platform: String::new(),
                    message: "devices.toml:3: unknown platform".into(),
                }],
                ..start(&["a"], 10)
            };
            let report = world.supervisor.send(run).await.unwrap().unwrap();
            assert_eq!(outcomes(&report), [("a", "ok"), ("odd", "failed")]);
            let empty = world
                .supervisor
                .send(start(&[], 10))
                .await
                .unwrap()
                .unwrap();
            assert!(empty.devices.is_empty());
        },
    );
}

fn limit(name: &str, in_flight: Option<usize>, per_second: Option<f64>) -> Arc<LimitSet> {
    Arc::new(LimitSet {
        name: name.into(),
        in_flight,
        logins: per_second.and_then(LoginRate::per_second),
    })
}

fn limited(name: &str, limits: &[&Arc<LimitSet>]) -> Arc<Device> {
    let mut limited = Device::clone(&device(name));
    limited.limits = limits.iter().map(|set| Arc::clone(set)).collect();
    Arc::new(limited)
}

/// When each attempt began, in the order in which they did.
fn starts(report: &RunReport) -> Vec<(Duration, &str)> {
    let mut starts: Vec<_> = report
        .devices
        .iter()
        .flat_map(|device| {
            let began = device.attempts.iter().map(|attempt| attempt.began);
            began.map(|began| (began, device.name.as_str()))
        })
        .collect();
    starts.sort_unstable();
    starts
}

/// The most attempts of these devices that went on at the same time.
fn most_at_once(report: &RunReport, prefix: &str) -> usize {
    let mut changes: Vec<(Duration, i32)> = Vec::new();
    let devices = report.devices.iter();
    for device in devices.filter(|device| device.name.as_str().starts_with(prefix)) {
        for attempt in &device.attempts {
            changes.extend([(attempt.began, 1), (attempt.ended, -1)]);
        }
    }
    changes.sort_unstable();
    let mut open = 0;
    let at_once = changes.into_iter().map(|(_, change)| {
        open += change;
        open
    });
    usize::try_from(at_once.max().unwrap_or(0)).unwrap()
}

#[test]
fn a_full_site_holds_up_nobody_else_and_is_never_overfull() {
    in_world(
        |name, attempt, stage| match stage {
            Stage::Backup if name.starts_with("site") && attempt == 1 => {
                Act::Fail(FailureKind::Truncated)
            }
            _ => Act::DoneAfter(Duration::from_secs(1)),
        },
        |world| async move {
            let site = limit("site", Some(2), None);
            let mut run = start(&[], 6);
            run.devices = (0..12)
                .map(|n| limited(&format!("site{n:02}"), &[&site]))
                .collect();
            run.devices
                .extend((0..12).map(|n| device(&format!("free{n:02}"))));
            let report = world.supervisor.send(run).await.unwrap().unwrap();
            assert_eq!(most_at_once(&report, "site"), 2);
            assert_eq!(report.in_flight_max, 6);
            // Four slots for twelve devices of four seconds, while the site takes two at a time.
            let free = report
                .devices
                .iter()
                .filter(|d| d.name.as_str().starts_with("free"));
            let last = free.map(|device| device.finished).max().unwrap();
            assert!(last <= Duration::from_secs(13), "{last:?}");
            assert!(report.devices.iter().all(|d| d.outcome == Outcome::Ok));
        },
    );
}

#[test]
fn attempts_follow_each_other_at_the_rate_of_their_set_and_of_all() {
    in_world(
        |name, attempt, stage| match (name, stage) {
            ("flaky", Stage::Backup) if attempt < 3 => Act::Fail(FailureKind::Reset),
            _ => Act::DoneAfter(Duration::from_secs(1)),
        },
        |world| async move {
            let aaa = limit("aaa1", None, Some(0.5));
            let mut run = start(&[], 100);
            run.logins = LoginRate::per_second(4.0);
            run.devices = vec![limited("flaky", &[&aaa])];
            run.devices
                .extend((0..9).map(|n| limited(&format!("a{n}"), &[&aaa])));
            run.devices
                .extend((0..30).map(|n| device(&format!("f{n:02}"))));
            let report = world.supervisor.send(run).await.unwrap().unwrap();
            let apart = |starts: &[Duration]| starts.windows(2).map(|w| w[1] - w[0]).min().unwrap();
            let all: Vec<_> = starts(&report).iter().map(|(at, _)| *at).collect();
            assert!(
                apart(&all) >= Duration::from_millis(245),
                "{:?}",
                apart(&all)
            );
            let aaa: Vec<_> = starts(&report)
                .iter()
                .filter(|(_, name)| !name.starts_with('f') || *name == "flaky")
                .map(|(at, _)| *at)
                .collect();
            assert_eq!(aaa.len(), 12, "the further attempts too");
            assert!(
                apart(&aaa) >= Duration::from_millis(1995),
                "{:?}",
                apart(&aaa)
            );
            let free_last = starts(&report)
                .iter()
                .rfind(|(_, n)| n.starts_with("f2"))
                .unwrap()
                .0;
            assert!(
                free_last < Duration::from_secs(11),
                "not held up: {free_last:?}"
            );
        },
    );
}

#[test]
fn a_device_that_is_not_reached_uses_up_no_login() {
    in_world(
        |name, _, stage| match stage {
            Stage::Connect if name.starts_with("dead") => Act::Fail(FailureKind::HostKey),
            _ => Act::DoneAfter(Duration::from_secs(1)),
        },
        |world| async move {
            let mut run = start(&["dead1", "dead2", "dead3", "a", "b"], 100);
            run.logins = LoginRate::per_second(0.1);
            let report = world.supervisor.send(run).await.unwrap().unwrap();
            let begun = starts(&report);
            let at = |name| begun.iter().find(|(_, n)| *n == name).unwrap().0;
            assert!(at("a") < Duration::from_millis(100), "{begun:?}");
            assert!(at("b") >= Duration::from_secs(10), "{begun:?}");
        },
    );
}

#[test]
fn a_run_that_is_spread_fills_its_window_and_ends_within_it() {
    in_world(
        |name, attempt, stage| match (name, stage) {
            ("d05", Stage::Connect) if attempt == 1 => Act::Fail(FailureKind::Busy),
            _ => Act::DoneAfter(Duration::from_secs(1)),
        },
        |world| async move {
            let names: Vec<String> = (0..20).map(|n| format!("d{n:02}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut run = start(&names, 100);
            run.finish_within = Some(Duration::from_secs(1000));
            let report = world.supervisor.send(run).await.unwrap().unwrap();
            assert!(
                report.wall <= Duration::from_secs(1000),
                "{:?}",
                report.wall
            );
            assert_eq!(report.forecast.bound, Bound::Window);
            let begun = starts(&report);
            let first_tries: Vec<_> = begun.iter().filter(|(_, name)| *name != "d05").collect();
            for pair in first_tries.windows(2) {
                let apart = (pair[1].0 - pair[0].0).as_secs();
                assert!((45..=91).contains(&apart), "{begun:?}");
            }
            let retried = report
                .devices
                .iter()
                .find(|d| d.name.as_str() == "d05")
                .unwrap();
            let again = retried.attempts[1].began - retried.attempts[0].ended;
            assert!(
                again <= Duration::from_secs(3),
                "a further attempt is not spread: {again:?}"
            );
        },
    );
}

#[test]
fn a_window_that_cannot_be_kept_does_not_slow_the_run() {
    in_world(
        |_, _, _| Act::DoneAfter(Duration::from_secs(1)),
        |world| async move {
            let mut run = start(&["a", "b", "c", "d"], 1);
            run.finish_within = Some(Duration::from_secs(30));
            let report = world.supervisor.send(run).await.unwrap().unwrap();
            assert!(!report.forecast.fits());
            let told = Bound::InFlight {
                set: String::new(),
                most: 1,
            };
            assert_eq!(report.forecast.bound, told);
            assert_eq!(report.wall.as_secs(), 16);
        },
    );
}

#[test]
fn a_machine_without_threads_fails_every_device_and_nothing_else_happens() {
    in_world(
        |_, _, _| Act::Done,
        |world| async move {
            let names: Vec<String> = (0..5000).map(|n| format!("no-thread{n}")).collect();
            let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.push("fine");
            let report = world
                .supervisor
                .send(start(&names, 5001))
                .await
                .unwrap()
                .unwrap();
            let of = |outcome| {
                report
                    .devices
                    .iter()
                    .filter(|d| d.outcome.name() == outcome)
                    .count()
            };
            assert_eq!((of("failed"), of("ok")), (5000, 1));
        },
    );
}

#[test]
fn the_schedule_leaves_slots_for_those_who_ask_and_goes_behind_them() {
    in_world(
        |_, _, _| Act::DoneAfter(Duration::from_secs(10)),
        |world| async move {
            let names: Vec<String> = (0..40).map(|n| format!("d{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let scheduled = world.supervisor.send(scheduled(&names, 10));
            let by_hand = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let status = world.supervisor.send(RunStatus).await.unwrap();
                assert_eq!(
                    status.in_flight, 9,
                    "one of ten slots is not for the schedule"
                );
                let report = world.supervisor.send(start(&["x", "y"], 10)).await;
                report.unwrap().unwrap()
            };
            let (scheduled, by_hand) = tokio::join!(scheduled, by_hand);
            // 4 stages of 10 s. The first has the slot at once, the second is next in line.
            assert!(
                by_hand.wall <= Duration::from_secs(79),
                "{:?}",
                by_hand.wall
            );
            assert_eq!(outcomes(&by_hand).len(), 2);
            assert_eq!(scheduled.unwrap().unwrap().in_flight_max, 9);
        },
    );
}

#[test]
fn a_run_of_its_own_limit_does_not_hold_others_back() {
    in_world(
        |_, _, _| Act::DoneAfter(Duration::from_secs(1)),
        |world| async move {
            let narrow = StartRun {
                lane: Lane::Asked {
                    at_most: Some(2),
                    told: None,
                    break_off: None,
                },
                ..start(&["a", "b", "c", "d"], 10)
            };
            let narrow = world.supervisor.send(narrow);
            let wide = world.supervisor.send(start(&["e", "f", "g", "h"], 10));
            let (narrow, wide) = tokio::join!(narrow, wide);
            assert_eq!(narrow.unwrap().unwrap().in_flight_max, 2);
            assert_eq!(wide.unwrap().unwrap().wall.as_secs(), 4);
        },
    );
}

#[test]
fn who_asks_for_a_busy_device_waits_for_it_and_has_it_afresh() {
    in_world(
        |name, _, _| match name {
            "busy" => Act::DoneAfter(Duration::from_secs(10)),
            _ => Act::Done,
        },
        |world| async move {
            let scheduled = world.supervisor.send(scheduled(&["busy", "other"], 10));
            let by_hand = async {
                tokio::time::sleep(Duration::from_secs(15)).await;
                let report = world.supervisor.send(start(&["busy", "free"], 10)).await;
                report.unwrap().unwrap()
            };
            let (scheduled, by_hand) = tokio::join!(scheduled, by_hand);
            assert_eq!(outcomes(&scheduled.unwrap().unwrap()).len(), 2);
            assert_eq!(outcomes(&by_hand), [("busy", "ok"), ("free", "ok")]);
            assert_eq!(by_hand.busy, []);
            assert_eq!(
                by_hand.wall.as_secs(),
                25 + 40,
                "25 s of the first, then its own"
            );
        },
    );
}

#[test]
fn the_schedule_lets_go_of_a_device_that_it_only_has_queued() {
    in_world(
        |_, _, _| Act::DoneAfter(Duration::from_secs(10)),
        |world| async move {
            let scheduled = world.supervisor.send(scheduled(&["a", "b", "c"], 2));
            let by_hand = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let report = world.supervisor.send(start(&["c"], 2)).await;
                report.unwrap().unwrap()
            };
            let (scheduled, by_hand) = tokio::join!(scheduled, by_hand);
            let scheduled = scheduled.unwrap().unwrap();
            assert_eq!(outcomes(&scheduled), [("a", "ok"), ("b", "ok")]);
            assert_eq!(scheduled.busy, [DeviceName::new("c").unwrap()]);
            assert_eq!(by_hand.wall.as_secs(), 40, "the slot that is reserved");
        },
    );
}

#[test]
fn a_run_that_is_broken_off_ends_alone() {
    in_world(
        |name, _, stage| match (name, stage) {
            ("hangs", Stage::Backup) => Act::Hang,
            _ => Act::DoneAfter(Duration::from_secs(5)),
        },
        |world| async move {
            let scheduled = world.supervisor.send(scheduled(&["late", "other"], 4));
            let (break_off, broken_off) = oneshot::channel();
            let by_hand = StartRun {
                lane: Lane::Asked {
                    at_most: Some(2),
                    told: None,
                    break_off: Some(broken_off),
                },
                ..start(&["fine", "hangs", "queued", "late"], 4)
            };
            let by_hand = world.supervisor.send(by_hand);
            let interrupt = async {
                tokio::time::sleep(Duration::from_secs(12)).await;
                break_off.send(Duration::from_secs(30)).unwrap();
            };
            let (scheduled, by_hand, ()) = tokio::join!(scheduled, by_hand, interrupt);
            let by_hand = by_hand.unwrap().unwrap();
            assert_eq!(
                outcomes(&by_hand),
                [
                    ("fine", "ok"),
                    ("hangs", "cancelled"),
                    ("late", "cancelled"),
                    ("queued", "cancelled"),
                ]
            );
            assert!(by_hand.wall < Duration::from_secs(50), "{:?}", by_hand.wall);
            let scheduled = scheduled.unwrap().unwrap();
            assert_eq!(outcomes(&scheduled), [("late", "ok"), ("other", "ok")]);
            let again = world.supervisor.send(start(&["late"], 4)).await;
            assert_eq!(outcomes(&again.unwrap().unwrap()), [("late", "ok")]);
        },
    );
}

#[test]
fn devices_that_are_withdrawn_while_they_wait_are_not_begun() {
    in_world(
        |name, attempt, _| match (name, attempt) {
            ("flaky", 1) => Act::Fail(FailureKind::Reset),
            _ => Act::DoneAfter(Duration::from_secs(10)),
        },
        |world| async move {
            let run = world
                .supervisor
                .send(scheduled(&["flaky", "a", "b", "gone", "c"], 3));
            let withdraw = async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let names = ["gone", "a", "flaky", "unknown"];
                let names = names.map(|name| DeviceName::new(name).unwrap()).to_vec();
                world.supervisor.send(Withdraw(names)).await.unwrap();
            };
            let (report, ()) = tokio::join!(run, withdraw);
            assert_eq!(
                outcomes(&report.unwrap().unwrap()),
                [
                    ("a", "ok"),
                    ("b", "ok"),
                    ("c", "ok"),
                    ("flaky", "failed"),
                    ("gone", "cancelled"),
                ]
            );
            let status = world.supervisor.send(RunStatus).await.unwrap();
            assert_eq!((status.queued, status.in_backoff, status.runs), (0, 0, 0));
        },
    );
}

#[test]
fn a_device_is_not_begun_after_its_window_has_closed() {
    in_world(
        |_, _, _| Act::DoneAfter(Duration::from_secs(10)),
        |world| async move {
            let end = Supervisor::now() + Duration::from_secs(30);
            let name = |name: &str| DeviceName::new(name).unwrap();
            let not_after = ["first", "second"].map(|it| (name(it), end)).into();
            let run = StartRun {
                lane: Lane::Scheduled { not_after },
                ..start(&["first", "second", "third"], 1)
            };
            let report = world.supervisor.send(run).await.unwrap().unwrap();
            assert_eq!(
                outcomes(&report),
                [("first", "ok"), ("second", "cancelled"), ("third", "ok")]
            );
            let mut devices = report.devices.iter();
            let second = devices
                .find(|device| device.name == name("second"))
                .unwrap();
            let why = &second.outcome.failure().unwrap().message;
            assert!(why.contains("window"), "{why}");
        },
    );
}

#[test]
fn draining_cancels_those_who_wait_for_a_busy_device_too() {
    in_world(
        |_, _, _| Act::DoneAfter(Duration::from_secs(10)),
        |world| async move {
            let scheduled = world.supervisor.send(scheduled(&["a"], 4));
            let by_hand = world.supervisor.send(start(&["a"], 4));
            let drain = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let grace = Duration::from_secs(60);
                world.supervisor.send(Drain { grace }).await.unwrap();
            };
            let (scheduled, by_hand, ()) = tokio::join!(scheduled, by_hand, drain);
            assert_eq!(outcomes(&scheduled.unwrap().unwrap()), [("a", "ok")]);
            assert_eq!(outcomes(&by_hand.unwrap().unwrap()), [("a", "cancelled")]);
        },
    );
}

#[test]
fn who_asks_is_told_of_that_run_alone() {
    in_world(
        |_, _, _| Act::DoneAfter(Duration::from_secs(1)),
        |world| async move {
            let (sender, told) = mpsc::channel();
            let listener = StubCollector(Some(sender)).start().recipient();
            let by_hand = StartRun {
                lane: Lane::Asked {
                    at_most: None,
                    told: Some(listener),
                    break_off: None,
                },
                ..start(&["mine"], 4)
            };
            let others = world.supervisor.send(scheduled(&["other"], 4));
            let by_hand = world.supervisor.send(by_hand);
            let _ = tokio::join!(others, by_hand);
            world.supervisor.send(RunStatus).await.unwrap();
            let told: Vec<_> = told.try_iter().map(|event| format!("{event:?}")).collect();
            assert!(
                told.iter().all(|event| !event.contains("other")),
                "{told:?}"
            );
            assert!(told[0].starts_with("RunStarted"), "{told:?}");
            assert!(told.last().unwrap().starts_with("RunFinished"), "{told:?}");
            assert_eq!(told.len(), 2 + 5 + 5 + 1, "{told:?}");
        },
    );
}
