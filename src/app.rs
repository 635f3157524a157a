//! The composition root: the only place where settings, actors, sessions, archive and sinks meet.

pub mod archive;
pub mod history;
pub mod lock;
pub mod mask_key;
pub mod memory;
pub mod replay;
mod ssh;

pub use ssh::{connector, known_hosts};

use crate::actors::alive::{Silence, Watched};
use crate::actors::archivist::{Archivist, CommitPace};
use crate::actors::collector::Collector;
use crate::actors::device::{OnSyncArbiter, StartDevice};
use crate::actors::messages::{
    CommitWritten, Drain, Finish, Lane, Remember, RunRefused, StartRun, Withdraw,
};
use crate::actors::recorder::{Close, Recorder, TellReleases};
use crate::actors::supervisor::{Memory, Parts, Supervisor};
use crate::archive::ArchiveError;
use crate::flow::Work;
use crate::flow::breaker::{Asked, Breakers};
use crate::limits::{self, InFlightWish, MachineLimits};
use crate::model::device::{BrokenDevice, Device, DeviceName};
use crate::model::durable::{Unwatched, Watch};
use crate::model::event::EventSink;
use crate::model::forecast::DeviceTimes;
use crate::model::history::Trigger;
use crate::model::limit::LoginRate;
use crate::model::report::{Mode, RunReport};
use crate::session::known_hosts::{HostKey, KnownHosts, KnownHostsError};
use crate::session::trace::{FlightRecorder, KeptSessions};
use crate::session::{Clock, Connector, SessionError};
use crate::settings::{InFlight, Record, Sessions, Settings};
use crate::state::journal::Remembered;
use actix::{Actor, Addr, Arbiter, Recipient};
use lock::{LockError, StateLock};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Why a run could not be made, or not be ended properly.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Another wrmem works with the same state folder, or the folder is not usable.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The archive cannot be written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The known host keys cannot be read, or new ones not be kept.
    #[error(transparent)]
    KnownHosts(#[from] KnownHostsError),
    /// There is no key to mask secrets with.
    #[error(transparent)]
    MaskKey(#[from] mask_key::KeyError),
    /// This build cannot speak SSH as it should.
    #[error(transparent)]
    Ssh(#[from] SessionError),
    /// The run was refused.
    #[error(transparent)]
    Refused(#[from] RunRefused),
    /// An actor is gone that must always be there; it is named.
    #[error("wrmem's {0} is gone; please report this as a bug with the log")]
    ActorLost(&'static str),
    /// Much of the fleet crashes wrmem: something that all share is broken.
    #[error(
        "{crashed} of {devices} devices crashed wrmem within an hour: it ends, to be started again; \
         please report this as a bug with the log"
    )]
    FleetCrashed {
        /// How many devices.
        crashed: usize,
        /// Of how many.
        devices: usize,
    },
    /// Nothing watches over the actors.
    #[error("the watchdog has no thread: {0}")]
    Watchdog(std::io::Error),
}

/// What a run is to do.
#[derive(Debug)]
pub struct RunRequest {
    /// The devices.
    pub devices: Vec<Arc<Device>>,
    /// Devices with faulty settings.
    pub broken: Vec<BrokenDevice>,
    /// What is done with them.
    pub work: Work,
    /// One by one or all at once.
    pub mode: Mode,
    /// The time over which it is spread; at full speed where there is none.
    pub finish_within: Option<Duration>,
    /// How long devices took when they were last backed up, where that is better known than from the
    /// state.
    pub times: DeviceTimes,
    /// Who asked for it.
    pub asked: Asked,
    /// Who wants it.
    pub lane: Lane,
}

impl RunRequest {
    /// All of these devices at once, at full speed, by command.
    #[must_use]
    pub fn of(devices: Vec<Arc<Device>>, work: Work) -> Self {
        Self {
            devices,
            broken: Vec::new(),
            work,
            mode: Mode::Concurrent,
            finish_within: None,
            times: DeviceTimes::new(),
            asked: Asked::by(Trigger::Command),
            lane: Lane::alone(),
        }
    }
}

/// Where wrmem ends: devices begin, and what it keeps is on the disk.
pub struct Edge {
    /// Starts device actors.
    pub devices: Box<dyn StartDevice>,
    /// The clock that their deadlines count on.
    pub clock: Arc<dyn Clock>,
    /// The host keys that they are known by.
    pub known_hosts: Arc<KnownHosts>,
    /// Is told of each step by which something becomes durable.
    pub watch: Arc<dyn Watch>,
}

/// All parts, put together and running. Lives within an actix system.
pub struct Orchestrator {
    supervisor: Addr<Supervisor>,
    archivist: Addr<Archivist>,
    collector: Addr<Collector>,
    collector_arbiter: Arbiter,
    recorder: Addr<Recorder>,
    remembered: Remembered,
    times: RefCell<DeviceTimes>,
    known_hosts: Arc<KnownHosts>,
    in_flight: Cell<InFlight>,
    logins: Cell<Option<LoginRate>>,
    // Held as long as this lives.
    _lock: StateLock,
}

impl Orchestrator {
    /// Takes the state folder's lock, reads the known host keys, opens the archive and starts the
    /// actors.
    ///
    /// # Errors
    /// Whatever of this is not possible.
    pub fn start(
        settings: &Settings,
        lock: StateLock,
        sinks: Vec<Box<dyn EventSink>>,
        pace: CommitPace,
    ) -> Result<Self, AppError> {
        let known_hosts = Arc::new(known_hosts(settings)?);
        let connector = Arc::new(connector(settings, &known_hosts)?);
        let edge = Edge {
            clock: connector.clock(),
            devices: Box::new(OnSyncArbiter {
                connector,
                last_good: archive::last_good(&settings.archive),
                recorder: flight_recorder(&settings.record),
                cpus: MachineLimits::read().cpus,
            }),
            known_hosts,
            watch: Arc::new(Unwatched),
        };
        Self::start_at(edge, settings, lock, sinks, pace)
    }

    /// The same at another edge: the devices need not be reached by SSH.
    ///
    /// # Errors
    /// When the archive cannot be opened.
    pub fn start_at(
        edge: Edge,
        settings: &Settings,
        lock: StateLock,
        sinks: Vec<Box<dyn EventSink>>,
        pace: CommitPace,
    ) -> Result<Self, AppError> {
        let archive = archive::open_watched(settings, &edge.watch)?;
        let collector_arbiter = Arbiter::new();
        let collector = Collector::start_on(&collector_arbiter, sinks);
        let archivist = Archivist::start_with(archive, pace);
        let (recorder, remembered) = memory::begin(&settings.state, edge.watch);
        let supervisor = Supervisor::new(Parts {
            clock: edge.clock,
            devices: edge.devices,
            archivist: archivist.clone().recipient(),
            run_ends: archivist.clone().recipient(),
            collector: collector.clone().recipient(),
            backoff_base: settings.run.backoff_base,
            backoff_cap: settings.run.backoff_cap,
            seed: fastrand::u64(..),
            memory: Memory {
                remember: recorder.clone().recipient(),
                settle: recorder.clone().recipient(),
                breakers: Breakers::new(
                    settings.breaker,
                    remembered.devices.iter().cloned(),
                    remembered.credentials.iter().cloned(),
                ),
                wall: SystemTime::now,
            },
        })
        .start();
        recorder.do_send(TellReleases(supervisor.clone().recipient()));
        Ok(Self {
            supervisor,
            archivist,
            collector,
            collector_arbiter,
            known_hosts: edge.known_hosts,
            in_flight: Cell::new(settings.run.in_flight),
            logins: Cell::new(settings.run.logins),
            recorder,
            times: RefCell::new(remembered.took.iter().cloned().collect()),
            remembered,
            _lock: lock,
        })
    }

    /// Makes a run and waits for its end. New host keys are kept before it answers.
    ///
    /// # Errors
    /// When the run was refused, the supervisor is gone, or new host keys could not be kept; the
    /// report comes along where there is one.
    pub async fn run(&self, request: RunRequest) -> (Option<RunReport>, Result<(), AppError>) {
        let in_flight = self.in_flight_for(request.devices.len());
        let times = self.times(request.times);
        let reply = self
            .supervisor
            .send(StartRun {
                devices: request.devices,
                broken: request.broken,
                work: request.work,
                mode: request.mode,
                in_flight,
                logins: self.logins.get(),
                finish_within: request.finish_within,
                times,
                asked: request.asked,
                lane: request.lane,
            })
            .await;
        match reply {
            Ok(Ok(report)) => (Some(report), self.keep_host_keys()),
            Ok(Err(refused)) => (None, Err(refused.into())),
            Err(_) => (None, Err(AppError::ActorLost("supervisor"))),
        }
    }

    /// How long devices took, from what is remembered where nobody knows better.
    fn times(&self, known: DeviceTimes) -> DeviceTimes {
        if known.is_empty() {
            self.times.borrow().clone()
        } else {
            known
        }
    }

    /// Takes note of how long devices took.
    pub(crate) fn learn_times(&self, report: &RunReport) {
        let mut times = self.times.borrow_mut();
        for device in &report.devices {
            if device.stored.is_some() {
                times.insert(device.name.clone(), device.busy());
            }
        }
    }

    /// The supervisor, for whoever asks for runs.
    pub(crate) const fn supervisor(&self) -> &Addr<Supervisor> {
        &self.supervisor
    }

    /// Whoever remembers things.
    pub(crate) fn recorder(&self) -> Recipient<Remember> {
        self.recorder.clone().recipient()
    }

    /// Sets how many devices may be in flight, and how often logged in to, in runs to come.
    pub(crate) fn set_pace(&self, settings: &Settings) {
        self.in_flight.set(settings.run.in_flight);
        self.logins.set(settings.run.logins);
    }

    /// Listens to one run, beside the sinks of all.
    pub(crate) fn listener(&self, sinks: Vec<Box<dyn EventSink>>) -> Addr<Collector> {
        Collector::start_on(&self.collector_arbiter, sinks)
    }

    /// Forgets the host keys of a device, and returns them.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub(crate) fn forget_host_keys(&self, host: &str, port: u16) -> Result<Vec<HostKey>, AppError> {
        Ok(self.known_hosts.forget(host, port)?)
    }

    /// Takes devices that wait out of their runs.
    pub(crate) fn withdraw(&self, devices: Vec<DeviceName>) {
        self.supervisor.do_send(Withdraw(devices));
    }

    /// The actors that must always be there.
    pub(crate) fn watched(&self) -> Vec<Watched> {
        vec![
            Watched {
                name: "supervisor",
                actor: self.supervisor.clone().recipient(),
                silence: Silence::IsLoss,
            },
            Watched {
                name: "archivist",
                actor: self.archivist.clone().recipient(),
                silence: Silence::IsLoss,
            },
            Watched {
                name: "recorder",
                actor: self.recorder.clone().recipient(),
                silence: Silence::IsLoss,
            },
            Watched {
                name: "collector",
                actor: self.collector.clone().recipient(),
                // It may wait for a terminal that shows nothing.
                silence: Silence::IsBorne,
            },
        ]
    }

    /// Makes the host keys durable that devices have shown for the first time.
    ///
    /// # Errors
    /// When they cannot be kept.
    pub fn keep_host_keys(&self) -> Result<(), AppError> {
        Ok(self.known_hosts.flush()?)
    }

    /// Takes on no more devices; those in flight may go on for `grace`, then they are cut off.
    pub fn drain(&self, grace: Duration) {
        self.supervisor.do_send(Drain { grace });
    }

    /// What was known of devices and credentials when this began.
    #[must_use]
    pub const fn remembered(&self) -> &Remembered {
        &self.remembered
    }

    /// Commits what was stored, lets every sink finish, and closes the state.
    pub async fn close(self) {
        if let Ok(Err(error)) = self.archivist.send(CommitWritten).await {
            log::error!("{error}");
        }
        // A recorder that is gone has nothing left to close.
        let _ = self.recorder.send(Close).await;
        // A collector that is gone has nothing left to let out.
        let _ = self.collector.send(Finish).await;
        self.collector_arbiter.stop();
    }

    /// How many of so many devices may be in flight, by the settings and by what this machine allows.
    pub(crate) fn in_flight_for(&self, devices: usize) -> usize {
        let wish = match self.in_flight.get() {
            InFlight::Auto => InFlightWish::Auto,
            InFlight::Limit(limit) => InFlightWish::Limit(limit.get()),
        };
        let clamped = limits::in_flight(wish, devices, &MachineLimits::read());
        if let Some(warning) = clamped.warning {
            log::warn!("{warning}");
        }
        clamped.limit
    }
}

/// What records sessions, where the settings say so.
fn flight_recorder(record: &Record) -> Option<Arc<FlightRecorder>> {
    let keep = match record.sessions {
        Sessions::None => return None,
        Sessions::Failed => KeptSessions::Failed,
        Sessions::All => KeptSessions::All,
    };
    Some(Arc::new(FlightRecorder {
        dir: record.dir.clone(),
        keep,
        newest: record.newest,
        limit: record.max_bytes,
    }))
}
