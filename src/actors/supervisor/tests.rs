//! The supervisor under a stopped clock, with devices that are stubs.

use super::*;
use crate::actors::device::AttemptSpec;
use crate::actors::messages::{
    Drain, Product, RunStage, SessionState, StageDone, StageFailed, Tell,
};
use crate::archive::{ArchiveError, NotStored, held::Held};
use crate::flow::Work;
use crate::model::config::{Config, Proof};
use crate::model::credentials::Credentials;
use crate::model::device::{BrokenDevice, Device};
use crate::model::platform::Platform;
use crate::model::report::{Mode, Stored, StoredKind};
use crate::model::stage::Trail;
use actix::{Addr, ResponseFuture, System};
use std::sync::Mutex;
use std::sync::mpsc;

/// What a stub device does when asked for a stage.
#[derive(Clone, Copy)]
enum Act {
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

struct StubDevices {
    script: Script,
    attempts: Mutex<HashMap<DeviceName, u32>>,
}

impl StartDevice for StubDevices {
    fn start(&self, spec: AttemptSpec) -> Result<Recipient<RunStage>, String> {
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
}

struct Stub {
    spec: AttemptSpec,
    script: Script,
    attempt: u32,
}

impl Actor for Stub {
    type Context = Context<Self>;
}

fn failed(stage: Stage, kind: FailureKind, session: SessionState) -> StageFailed {
    StageFailed {
        failure: Failure::new(stage, kind, "stub"),
        began: Supervisor::now(),
        took: Duration::ZERO,
        trail: Trail::default(),
        session,
    }
}

impl Handler<RunStage> for Stub {
    type Result = ResponseFuture<Result<StageDone, StageFailed>>;

    fn handle(&mut self, request: RunStage, _: &mut Self::Context) -> Self::Result {
        let stage = request.stage;
        let began = Supervisor::now();
        let product = match stage {
            Stage::Backup => {
                Product::Config(Config::proven(b"end\n".to_vec(), Proof::Marker), None)
            }
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
            Ok(StageDone {
                began,
                took: Supervisor::now() - began,
                trail: Trail::default(),
                product,
            })
        })
    }
}

struct StubArchivist;

impl Actor for StubArchivist {
    type Context = Context<Self>;
}

impl Handler<WriteConfig> for StubArchivist {
    type Result = Result<Stored, NotStored>;

    fn handle(&mut self, WriteConfig(put): WriteConfig, _: &mut Self::Context) -> Self::Result {
        if put.device.as_str() == "nodisk" {
            return Err(NotStored::Archive(ArchiveError {
                path: "configs/nodisk.cfg".into(),
                action: "write",
                reason: "no space left on device".into(),
            }));
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

struct StubCollector(mpsc::Sender<Event>);

impl Actor for StubCollector {
    type Context = Context<Self>;
}

impl Handler<Tell> for StubCollector {
    type Result = ();

    fn handle(&mut self, Tell(event): Tell, _: &mut Self::Context) {
        self.0.send(event).unwrap();
    }
}

struct TestClock;

impl Clock for TestClock {
    fn now(&self) -> Instant {
        Supervisor::now()
    }
}

fn device(name: &str) -> Arc<Device> {
    Arc::new(Device::new(
        DeviceName::new(name).unwrap(),
        name,
        Arc::new(Platform::default()),
        Arc::new(Credentials::new("lab", "ntc")),
    ))
}

fn start(names: &[&str], in_flight: usize) -> StartRun {
    StartRun {
        devices: names.iter().map(|name| device(name)).collect(),
        broken: Vec::new(),
        work: Work::Backup,
        mode: Mode::Concurrent,
        in_flight,
    }
}

struct World {
    supervisor: Addr<Supervisor>,
    events: mpsc::Receiver<Event>,
}

/// Runs `test` in a system whose clock jumps ahead whenever nobody has anything to do.
fn in_world<F, Fut>(script: impl Fn(&str, u32, Stage) -> Act + Send + Sync + 'static, test: F)
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
    system.block_on(async {
        let (sender, events) = mpsc::channel();
        let supervisor = Supervisor::new(Parts {
            devices: Box::new(StubDevices {
                script: Arc::new(script),
                attempts: Mutex::default(),
            }),
            archivist: StubArchivist.start().recipient(),
            collector: StubCollector(sender).start().recipient(),
            clock: Arc::new(TestClock),
            backoff_base: Duration::from_secs(2),
            backoff_cap: Duration::from_secs(60),
            seed: 1,
        })
        .start();
        test(World { supervisor, events }).await;
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
            let first = world.supervisor.send(start(&["slow", "fast"], 10));
            let second = async {
                tokio::time::sleep(Duration::from_secs(10)).await;
                world
                    .supervisor
                    .send(start(&["slow", "fast"], 10))
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
                    .contains("restart wrmem")
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
