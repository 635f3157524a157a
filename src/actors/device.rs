//! The device actor: one device, one attempt, one thread. It owns the session.

mod record;

pub use record::told;

use super::crash::fenced;
use super::messages::{Product, RunStage, Served, SessionState, StageDone, StageFailed};
use crate::archive::LastGood;
use crate::model::device::Device;
use crate::model::failure::{Failure, FailureKind};
use crate::model::save::SaveReport;
use crate::model::stage::{Stage, Trail};
use crate::session::dialogue::Conversation;
use crate::session::trace::{FlightRecorder, Recording};
use crate::session::{CancelHandle, ConnectContext, Connector, LoginGate, SessionError, Transport};
use actix::{Actor, Handler, Recipient, SyncArbiter, SyncContext};
use std::sync::Arc;
use std::time::Instant;

/// Enough for name lookup, libssh2 and the dialogue; only touched pages cost memory.
const STACK_BYTES: usize = 512 << 10;

/// A caller gives way to whoever else wants the CPU, so more of them would give way to each other.
const CPUS_PER_CALLER: usize = 2;

/// What an attempt at a device needs.
#[derive(Clone)]
pub struct AttemptSpec {
    /// The device.
    pub device: Arc<Device>,
    /// Cancels the attempt.
    pub cancel: CancelHandle,
    /// The login gate of the run.
    pub gate: Arc<dyn LoginGate>,
    /// Told once the device is being called.
    pub called: Arc<dyn Fn() + Send + Sync>,
}

/// Makes the actor that serves one attempt. The supervisor knows nothing else about devices.
pub trait StartDevice {
    /// Starts an actor for the attempt.
    ///
    /// # Errors
    /// Says why none could be started.
    fn start(&self, spec: AttemptSpec) -> Result<Recipient<RunStage>, String>;

    /// How many may be on their way from here to the moment at which they tell that their device is
    /// being called. More would only be threads that wait for a CPU.
    fn callers(&self) -> usize {
        usize::MAX
    }
}

/// Starts each device actor on a sync arbiter of its own: one named thread with a small stack.
pub struct OnSyncArbiter {
    /// Makes the connections.
    pub connector: Arc<dyn Connector>,
    /// Knows what each device's config was.
    pub last_good: Arc<dyn LastGood>,
    /// Records sessions, where they are to be.
    pub recorder: Option<Arc<FlightRecorder>>,
    /// How many CPUs there are to call devices with.
    pub cpus: usize,
}

impl StartDevice for OnSyncArbiter {
    fn start(&self, spec: AttemptSpec) -> Result<Recipient<RunStage>, String> {
        let edges = Edges {
            connector: Arc::clone(&self.connector),
            last_good: Arc::clone(&self.last_good),
            recorder: self.recorder.clone(),
        };
        let name = spec.device.name.clone();
        // actix panics here when the system has no thread left.
        fenced(|| {
            SyncArbiter::start_with_thread_builder(
                1,
                || {
                    std::thread::Builder::new()
                        .name(name.to_string())
                        .stack_size(STACK_BYTES)
                },
                move || DeviceActor::new(spec.clone(), edges.clone()),
            )
            .recipient()
        })
        .map_err(|_| {
            "no thread could be started: this machine's limit of threads or maps is reached; \
             lower run.in_flight (`wrmem doctor` tells the limits)"
                .to_owned()
        })
    }

    fn callers(&self) -> usize {
        self.cpus.div_ceil(CPUS_PER_CALLER)
    }
}

/// What a device actor works on.
#[derive(Clone)]
pub struct Edges {
    /// Makes the connection.
    pub connector: Arc<dyn Connector>,
    /// Knows what the device's config was.
    pub last_good: Arc<dyn LastGood>,
    /// Records the session, where it is to be.
    pub recorder: Option<Arc<FlightRecorder>>,
}

/// Serves one attempt at one device.
pub struct DeviceActor {
    spec: AttemptSpec,
    edges: Edges,
    conversation: Option<Conversation>,
    recording: Option<Recording>,
}

impl DeviceActor {
    /// Serves the attempt at the device of `spec`.
    #[must_use]
    pub fn new(spec: AttemptSpec, edges: Edges) -> Self {
        Self {
            spec,
            edges,
            conversation: None,
            recording: None,
        }
    }

    fn run(&mut self, request: RunStage, trail: &mut Trail) -> Result<Product, SessionError> {
        match request.stage {
            Stage::Connect => self.connect(request.deadline, trail),
            Stage::Save => self.save(request.deadline, trail),
            Stage::Backup => self.backup(request.deadline, trail),
            Stage::Write => Err(SessionError::new(
                FailureKind::Protocol,
                "the write stage is the archivist's",
            )),
            Stage::Disconnect => {
                self.disconnect();
                Ok(Product::Nothing)
            }
        }
    }

    // Save, backup and the first words of a connection are not inlined: their room on the stack would
    // be held during the key exchange, the deepest place that a device thread comes to, and a page
    // more is 4 KB for each device in flight.
    #[inline(never)]
    fn save(&mut self, deadline: Instant, trail: &mut Trail) -> Result<Product, SessionError> {
        let saved = self.conversation()?.save(deadline, trail);
        if let Some(SaveReport { result, said }) = &trail.save {
            let name = &self.spec.device.name;
            log::info!("{name}: save: {}: {said}", result.name());
        }
        saved.map(|_| Product::Nothing)
    }

    #[inline(never)]
    fn backup(&mut self, deadline: Instant, trail: &mut Trail) -> Result<Product, SessionError> {
        let conversation = self.conversation()?;
        let config = conversation.fetch(deadline, trail)?;
        let need = conversation.need_to_save(&config, trail);
        let info = conversation.info(deadline, trail);
        Ok(Product::Config { config, info, need })
    }

    fn connect(&mut self, deadline: Instant, trail: &mut Trail) -> Result<Product, SessionError> {
        let transport = self.reach(deadline, trail)?;
        self.converse(transport, deadline, trail)
    }

    fn reach(
        &self,
        deadline: Instant,
        trail: &mut Trail,
    ) -> Result<Box<dyn Transport>, SessionError> {
        let context = ConnectContext {
            device: &self.spec.device,
            cancel: &self.spec.cancel,
            gate: &self.spec.gate,
            deadline,
            called: self.spec.called.as_ref(),
        };
        self.edges.connector.connect(&context, trail)
    }

    #[inline(never)]
    fn converse(
        &mut self,
        transport: Box<dyn Transport>,
        deadline: Instant,
        trail: &mut Trail,
    ) -> Result<Product, SessionError> {
        let transport = match &self.recording {
            Some(recording) => recording.tape().on(transport),
            None => transport,
        };
        let clock = self.edges.connector.clock();
        self.keep_what_let_us_in(trail);
        let device = &self.spec.device;
        let opened = Conversation::open(transport, device, clock, deadline, trail)?;
        self.conversation = Some(opened);
        let present = self.check_presence();
        if present.is_err() {
            self.disconnect();
        }
        present.map(|()| Product::Nothing)
    }

    /// From here on only the credentials count that let us in: their enable secret, and what is
    /// kept out of messages.
    fn keep_what_let_us_in(&mut self, trail: &Trail) {
        let Some(name) = &trail.credentials else {
            return;
        };
        if *name != self.spec.device.credentials.name
            && let Some(device) = self.spec.device.with_credentials(|it| it.name == *name)
        {
            self.spec.device = Arc::new(device);
        }
    }

    /// A dead part of a device shortens its config without a word: what the last good config needs
    /// must be alive before anything is saved or stored.
    fn check_presence(&mut self) -> Result<(), SessionError> {
        let device = Arc::clone(&self.spec.device);
        if device.platform.presence.is_none() {
            return Ok(());
        }
        let last_good = self
            .edges
            .last_good
            .last_good(&device.name, device.group.as_ref())
            .map_err(|error| SessionError::new(FailureKind::Archive, error.to_string()))?;
        if let (Some(recording), Some(config)) = (&self.recording, &last_good) {
            recording.tape().last_good(&device, config);
        }
        match last_good {
            Some(config) => self.conversation()?.check_presence(&config),
            None => Ok(()),
        }
    }

    fn conversation(&mut self) -> Result<&mut Conversation, SessionError> {
        self.conversation
            .as_mut()
            .ok_or_else(|| SessionError::new(FailureKind::Protocol, "there is no session"))
    }

    fn disconnect(&mut self) {
        if let Some(mut conversation) = self.conversation.take() {
            conversation.close();
        }
        self.spec.cancel.release();
    }

    fn failed(&self, stage: Stage, error: &SessionError) -> Failure {
        // Whatever the closed socket looked like from inside, the cause is the cancelling.
        if self.spec.cancel.is_cancelled() {
            return Failure::new(stage, FailureKind::Cancelled, "cancelled");
        }
        Failure::new(stage, error.kind(), error.to_string())
    }
}

impl Actor for DeviceActor {
    type Context = SyncContext<Self>;
}

impl Handler<RunStage> for DeviceActor {
    type Result = Served;

    fn handle(&mut self, request: RunStage, _: &mut Self::Context) -> Self::Result {
        self.serve(request)
    }
}

impl DeviceActor {
    /// Runs one stage and waits for its end.
    ///
    /// # Errors
    /// How it failed.
    pub fn serve(&mut self, request: RunStage) -> Served {
        self.begin_recording(request);
        let mut result = self.run_fenced(request);
        let ends = match &result {
            Ok(_) => request.stage == Stage::Disconnect,
            Err(failed) => request.stage == Stage::Connect || failed.session == SessionState::Gone,
        };
        self.record_end(request.stage, &result);
        if ends && let Some(note) = self.end_recording() {
            match &mut result {
                Ok(done) => done.trail.note(note),
                Err(failed) => failed.trail.note(note),
            }
        }
        result
    }

    fn run_fenced(&mut self, request: RunStage) -> Served {
        let began = Instant::now();
        let mut trail = Box::default();
        let result = fenced(|| self.run(request, &mut trail));
        self.ended(request.stage, result, (began, trail))
    }

    #[inline(never)]
    fn ended(
        &mut self,
        stage: Stage,
        result: Result<Result<Product, SessionError>, String>,
        (began, trail): (Instant, Box<Trail>),
    ) -> Served {
        let (failure, session) = match result {
            Ok(Ok(product)) => {
                return Ok(Box::new(StageDone {
                    began,
                    took: began.elapsed(),
                    trail: *trail,
                    product,
                }));
            }
            Ok(Err(error)) => (self.failed(stage, &error), SessionState::Orderly),
            Err(place) => {
                // The session may be in any state: closed like any other, but never used again.
                if fenced(|| self.disconnect()).is_err() {
                    log::error!("{}: closing after a panic panicked", self.spec.device.name);
                }
                (crash(stage, &place), SessionState::Gone)
            }
        };
        Err(Box::new(StageFailed {
            failure,
            began,
            took: began.elapsed(),
            trail: *trail,
            session,
        }))
    }
}

fn crash(stage: Stage, place: &str) -> Failure {
    Failure::new(
        stage,
        FailureKind::Crashed,
        format!(
            "wrmem itself crashed at {place} while serving the device; please report this as a bug"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::ArchiveError;
    use crate::model::credentials::Credentials;
    use crate::model::device::{DeviceName, GroupName};
    use crate::model::platform::Platform;
    use crate::session::gate::RunGate;
    use crate::session::{Clock, Transport};

    struct RealClock;

    impl Clock for RealClock {
        fn now(&self) -> Instant {
            Instant::now()
        }
    }

    /// Fails or panics by the host's name.
    struct Troubled;

    impl Connector for Troubled {
        fn connect(
            &self,
            context: &ConnectContext<'_>,
            _: &mut Trail,
        ) -> Result<Box<dyn Transport>, SessionError> {
            assert_ne!(context.device.host, "panics", "planted-secret");
            Err(SessionError::new(FailureKind::Reset, "reset"))
        }

        fn clock(&self) -> Arc<dyn Clock> {
            Arc::new(RealClock)
        }
    }

    struct NothingYet;

    impl LastGood for NothingYet {
        fn last_good(
            &self,
            _: &DeviceName,
            _: Option<&GroupName>,
        ) -> Result<Option<Vec<u8>>, ArchiveError> {
            Ok(None)
        }
    }

    fn start(host: &str, cancel: &CancelHandle) -> Recipient<RunStage> {
        let devices = OnSyncArbiter {
            connector: Arc::new(Troubled),
            last_good: Arc::new(NothingYet),
            recorder: None,
            cpus: 1,
        };
        let device = Device::new(
            DeviceName::new("csr1").unwrap(),
            host,
            Arc::new(Platform::default()),
            Arc::new(Credentials::new("lab", "ntc")),
        );
        let spec = AttemptSpec {
            device: Arc::new(device),
            cancel: cancel.clone(),
            gate: Arc::new(RunGate::new(Arc::new(RealClock), Arc::default())),
            called: Arc::new(|| {}),
        };
        devices.start(spec).unwrap()
    }

    fn failure_of(host: &str, cancel: &CancelHandle, stage: Stage) -> Box<StageFailed> {
        actix::System::new().block_on(async {
            let deadline = Instant::now() + std::time::Duration::from_secs(60);
            let actor = start(host, cancel);
            actor
                .send(RunStage { stage, deadline })
                .await
                .unwrap()
                .unwrap_err()
        })
    }

    #[test]
    fn a_panic_ends_the_attempt_and_its_text_is_not_told() {
        let failed = failure_of("panics", &CancelHandle::new(), Stage::Connect);
        assert_eq!(failed.failure.kind, FailureKind::Crashed);
        assert_eq!(failed.session, SessionState::Gone);
        assert!(
            !failed.failure.message.contains("planted"),
            "{}",
            failed.failure
        );
    }

    #[test]
    fn an_error_keeps_its_kind_unless_the_attempt_was_cancelled() {
        let failed = failure_of("resets", &CancelHandle::new(), Stage::Connect);
        assert_eq!(failed.failure.kind, FailureKind::Reset);
        assert_eq!(failed.session, SessionState::Orderly);
        let cancel = CancelHandle::new();
        cancel.cancel();
        let failed = failure_of("resets", &cancel, Stage::Connect);
        assert_eq!(failed.failure.kind, FailureKind::Cancelled);
    }

    #[test]
    fn a_stage_without_a_session_fails_and_does_not_panic() {
        for stage in [Stage::Save, Stage::Backup, Stage::Write] {
            let failed = failure_of("resets", &CancelHandle::new(), stage);
            assert_eq!(failed.failure.kind, FailureKind::Protocol, "{stage}");
        }
    }
}
