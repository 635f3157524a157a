//! What the supervisor itself costs per device: whole runs of devices that answer at once, so that
//! nothing is measured but the queue, the flow of stages, the messages and the report.
//!
//! `cargo bench --bench supervisor`, or with `-- 3000` for that many devices, prints a line per fleet: CPU of the supervisor's thread and wall
//! time per device. The last lines are for comparison: actix's part, which is the same messages to
//! the same devices from an actor that does nothing with the answers; and the forecast.

use actix::{Actor, Addr, Arbiter, Context, Handler, Message, SyncArbiter, SyncContext, System};
use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::oneshot;
use wrmem::actors::collector::Collector;
use wrmem::actors::device::{AttemptSpec, StartDevice};
use wrmem::actors::messages::{
    EndRun, Lane, NotRecorded, Product, Remember, RunStage, Served, Settle, StageDone, StartRun,
    WriteConfig,
};
use wrmem::actors::supervisor::{Memory, Parts, Supervisor};
use wrmem::archive::NotStored;
use wrmem::flow::Work;
use wrmem::flow::breaker::{Asked, BreakerPolicy, Breakers};
use wrmem::flow::forecast::{Plan, outlook};
use wrmem::model::config::{Config, Proof};
use wrmem::model::credentials::Credentials;
use wrmem::model::device::{Device, DeviceName};
use wrmem::model::history::Trigger;
use wrmem::model::limit::{LimitSet, LoginRate};
use wrmem::model::platform::Platform;
use wrmem::model::report::{Mode, Stored, StoredKind};
use wrmem::model::save::SaveNeed;
use wrmem::model::stage::{Stage, StepName, Trail};
use wrmem::session::ssh::RealClock;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How many stages a device's own actor goes through.
const STAGES: usize = 4;

const RUNS: usize = 5;

/// Opens when so many devices have begun: until then nobody gets an answer, as if all were slow.
struct Door {
    begun: Mutex<usize>,
    changed: Condvar,
    most: usize,
}

impl Door {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            begun: Mutex::new(0),
            changed: Condvar::new(),
            most,
        })
    }

    fn begin(&self) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        while *begun < self.most {
            begun = self
                .changed
                .wait(begun)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// All devices, on one thread that is not the supervisor's.
struct Stub(Arc<Door>);

impl Actor for Stub {
    type Context = SyncContext<Self>;
}

impl Handler<RunStage> for Stub {
    type Result = Served;

    fn handle(&mut self, request: RunStage, _: &mut Self::Context) -> Self::Result {
        self.0.wait();
        let mut trail = Trail::default();
        let mut product = Product::Nothing;
        if request.stage == Stage::Connect {
            for step in [StepName::Tcp, StepName::Kex, StepName::Gate, StepName::Auth] {
                trail.step(step, Duration::from_millis(1));
            }
        }
        if request.stage == Stage::Backup {
            product = Product::Config {
                config: Config::proven(b"end\n".to_vec(), Proof::Marker),
                info: None,
                need: SaveNeed::Needed,
            };
        }
        Ok(Box::new(StageDone {
            began: Instant::now(),
            took: Duration::from_millis(1),
            trail,
            product,
        }))
    }
}

struct Stubs(Addr<Stub>, Arc<Door>);

impl StartDevice for Stubs {
    fn start(&self, _: AttemptSpec) -> Result<actix::Recipient<RunStage>, String> {
        self.1.begin();
        Ok(self.0.clone().recipient())
    }
}

struct Archive;

impl Actor for Archive {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(0);
    }
}

impl Handler<WriteConfig> for Archive {
    type Result = Result<Stored, NotStored>;

    fn handle(&mut self, _: WriteConfig, _: &mut Self::Context) -> Self::Result {
        Ok(Stored {
            kind: StoredKind::Unchanged,
            lines: None,
            bytes: 4,
            sha256: [0; 32],
            notes: Vec::new(),
        })
    }
}

impl Handler<EndRun> for Archive {
    type Result = actix::MessageResult<EndRun>;

    fn handle(&mut self, _: EndRun, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(Ok(Vec::new()))
    }
}

/// Remembers nothing.
struct Recorder;

impl Actor for Recorder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(0);
    }
}

impl Handler<Remember> for Recorder {
    type Result = ();

    fn handle(&mut self, _: Remember, _: &mut Self::Context) {}
}

impl Handler<Settle> for Recorder {
    type Result = Result<(), NotRecorded>;

    fn handle(&mut self, _: Settle, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

const POLICY: BreakerPolicy = BreakerPolicy {
    unreachable_runs: 2,
    rest: Duration::from_secs(300),
    rest_max: Duration::from_secs(3600),
    refused_rest: Duration::from_secs(1800),
    crashes: 3,
    crash_window: Duration::from_secs(86_400),
    quarantine: Duration::from_secs(86_400),
};

/// Takes answers and does nothing with them.
struct Sink(usize, Option<oneshot::Sender<()>>);

impl Actor for Sink {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(0);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Answer(#[expect(dead_code, reason = "as large as a real one")] Option<Box<StageDone>>);

impl Handler<Answer> for Sink {
    type Result = ();

    fn handle(&mut self, _: Answer, _: &mut Self::Context) {
        self.0 -= 1;
        if self.0 == 0 {
            // Whoever waits for it is still there.
            let _ = self.1.take().map(|done| done.send(()));
        }
    }
}

fn fleet(count: usize, sets: &[Arc<LimitSet>]) -> Outcome<Vec<Arc<Device>>> {
    let platform = Arc::new(Platform::default());
    let credentials = Arc::new(Credentials::new("lab", "ntc"));
    (0..count)
        .map(|n| {
            let name = DeviceName::new(&format!("device-{n}"))?;
            let mut device = Device::new(name, "192.0.2.1", platform.clone(), credentials.clone());
            // Each is in the first set, and in one of the others.
            let (first, others) = sets.split_at(sets.len().min(1));
            device.limits.extend(first.iter().cloned());
            device.limits.extend(
                others
                    .iter()
                    .cycle()
                    .skip(n)
                    .take(others.len().min(1))
                    .cloned(),
            );
            Ok(Arc::new(device))
        })
        .collect()
}

/// An AAA server for all, and sites of twenty devices.
fn sets(devices: usize) -> Vec<Arc<LimitSet>> {
    let set = |name: String, in_flight, logins| {
        Arc::new(LimitSet {
            name,
            in_flight,
            logins,
        })
    };
    let aaa = set("aaa1".into(), None, LoginRate::per_second(10_000.0));
    let sites = (0..devices / 20).map(|n| set(format!("site-{n}"), Some(3), None));
    std::iter::once(aaa).chain(sites).collect()
}

/// The CPU time of this thread.
fn cpu() -> Outcome<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split_whitespace().next().ok_or("no schedstat")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

/// CPU and wall time of one run.
async fn run(devices: Vec<Arc<Device>>, in_flight: usize) -> Outcome<(Duration, Duration)> {
    let door = Door::new(in_flight.min(devices.len()).min(reachable(&devices)));
    let for_stub = Arc::clone(&door);
    let stub = SyncArbiter::start(1, move || Stub(Arc::clone(&for_stub)));
    let collector_arbiter = Arbiter::new();
    let recorder = Recorder.start();
    let archive = Archive.start();
    let supervisor = Supervisor::new(Parts {
        devices: Box::new(Stubs(stub, door)),
        archivist: archive.clone().recipient(),
        run_ends: archive.recipient(),
        collector: Collector::start_on(&collector_arbiter, Vec::new()).recipient(),
        clock: Arc::new(RealClock),
        backoff_base: Duration::from_secs(2),
        backoff_cap: Duration::from_secs(60),
        seed: 1,
        memory: Memory {
            remember: recorder.clone().recipient(),
            settle: recorder.recipient(),
            breakers: Breakers::new(POLICY, [], []),
            wall: SystemTime::now,
        },
    })
    .start();
    let count = devices.len();
    let (cpu_before, began) = (cpu()?, Instant::now());
    let report = supervisor
        .send(StartRun {
            devices,
            broken: Vec::new(),
            work: Work::Backup,
            mode: Mode::Concurrent,
            in_flight,
            logins: None,
            finish_within: None,
            times: Default::default(),
            asked: Asked::by(Trigger::Command),
            lane: Lane::alone(),
        })
        .await??;
    let took = (cpu()? - cpu_before, began.elapsed());
    collector_arbiter.stop();
    if report.counts().succeeded != count {
        return Err(format!("{} of {count} devices", report.counts().succeeded).into());
    }
    Ok(took)
}

/// How many can be in flight at once under the sites' limits.
fn reachable(devices: &[Arc<Device>]) -> usize {
    let sites = devices.iter().filter_map(|device| device.limits.get(1));
    let mut names: Vec<_> = sites.map(|site| &site.name).collect();
    names.sort_unstable();
    names.dedup();
    match names.len() {
        0 => usize::MAX,
        sites => sites * 3,
    }
}

/// The same messages without a supervisor.
async fn messages(count: usize) -> Outcome<(Duration, Duration)> {
    let door = Door::new(0);
    let stub = SyncArbiter::start(1, move || Stub(Arc::clone(&door)));
    let (done, over) = oneshot::channel();
    let sink = Sink(count * STAGES, Some(done)).start();
    let deadline = Instant::now() + Duration::from_secs(60);
    let (cpu_before, began) = (cpu()?, Instant::now());
    let stages = [
        Stage::Connect,
        Stage::Save,
        Stage::Backup,
        Stage::Disconnect,
    ];
    for stage in stages.into_iter().cycle().take(count * STAGES) {
        let (reply, sink) = (stub.send(RunStage { stage, deadline }), sink.clone());
        actix_rt::spawn(async move {
            let answer = reply.await;
            sink.do_send(Answer(answer.ok().and_then(Result::ok)));
        });
    }
    over.await?;
    Ok((cpu()? - cpu_before, began.elapsed()))
}

fn tell(what: &str, count: usize, mut runs: Vec<(Duration, Duration)>) -> Outcome<()> {
    runs.sort_unstable();
    let (cpu, wall) = runs.get(runs.len() / 2).ok_or("no runs")?;
    let each = |time: &Duration| time.as_secs_f64() * 1e6 / count as f64;
    writeln!(
        stdout(),
        "{what:<52} {:6.1} us CPU  {:6.1} us wall, each",
        each(cpu),
        each(wall)
    )?;
    Ok(())
}

fn main() -> Outcome<()> {
    // `cargo test --benches` asks for a trial only; a number is a size of one's own.
    let mut sizes: Vec<usize> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    if sizes.is_empty() {
        let bench = std::env::args().any(|arg| arg == "--bench");
        sizes = if bench {
            vec![100, 1_000, 10_000]
        } else {
            vec![10]
        };
    }
    System::new().block_on(async {
        for count in sizes {
            let cases = [
                ("all in flight", Vec::new(), count),
                ("100 in flight", Vec::new(), 100),
                ("all in flight, 3 at each site of 20", sets(count), count),
                ("100 in flight, 3 at each site of 20", sets(count), 100),
            ];
            for (what, sets, in_flight) in cases {
                let devices = fleet(count, &sets)?;
                let mut runs = Vec::new();
                for _ in 0..RUNS {
                    runs.push(run(devices.clone(), in_flight).await?);
                }
                tell(&format!("{count} devices, {what}"), count, runs)?;
            }
            let mut runs = Vec::new();
            for _ in 0..RUNS {
                runs.push(messages(count).await?);
            }
            tell(&format!("{count} devices, actix's part"), count, runs)?;
            forecast(count)?;
        }
        Ok(())
    })
}

fn forecast(count: usize) -> Outcome<()> {
    for (what, sets) in [("", Vec::new()), (", 3 at each site of 20", sets(count))] {
        let devices = fleet(count, &sets)?;
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            let (cpu_before, began) = (cpu()?, Instant::now());
            let plan = Plan {
                devices: &devices,
                times: &Default::default(),
                work: Work::Backup,
                mode: Mode::Concurrent,
                all: &LimitSet::of_all(Some(100), None),
                window: None,
            };
            let told = outlook(&plan, Instant::now());
            runs.push((cpu()? - cpu_before, began.elapsed()));
            if told.forecast.expected.is_zero() {
                return Err("nothing to expect".into());
            }
        }
        tell(&format!("{count} devices, the forecast{what}"), count, runs)?;
    }
    Ok(())
}
