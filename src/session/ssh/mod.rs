//! SSH by ssh2: the only place that knows libssh2.
//!
//! Connecting ([`SshConnector`]: `tcp`, `kex`, `host_key`, `login`) is split from moving
//! bytes (`shell`). Round trips from nothing to a shell: TCP 1, identification and keys 3, login
//! 1 by password, channel 1, pty and shell together 1.

mod algorithms;
mod cpu_gate;
mod exec;
mod host_key;
mod kex;
mod link;
mod login;
mod offers;
mod peer;
mod questions;
mod shell;
mod tcp;
mod version;
mod wait;

pub use algorithms::Offer;
pub use version::identification;

use super::known_hosts::{HostKey, KnownHosts};
use super::{
    CancelHandle, Clock, ConnectContext, Connector, LoginGate, LoginOutcome, SessionError,
    Transport,
};
use crate::model::credentials::Credentials;
use crate::model::device::{Device, HostKeyPolicy};
use crate::model::failure::FailureKind;
use crate::model::platform::Channel;
use crate::model::stage::{StepName, StepTime, Trail};
use algorithms::Offers;
use cpu_gate::{CpuGate, NoTurn, Progress, Waiter};
use kex::{KexTrouble, Limits};
use link::Link;
use peer::Peer;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tcp::Watch;

/// The real monotonic clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// What all connections of a run share.
pub struct SshOptions {
    /// What is done about host keys.
    pub host_keys: HostKeyPolicy,
    /// The known keys; the caller flushes them before the run ends.
    pub known_hosts: Arc<KnownHosts>,
    /// How many key exchanges may compute at once.
    pub cpus: usize,
}

/// Makes connections by SSH.
pub struct SshConnector {
    host_keys: HostKeyPolicy,
    known_hosts: Arc<KnownHosts>,
    gate: CpuGate,
    offers: Offers,
    clock: Arc<dyn Clock>,
}

/// A device to reach for one thing, with what bounds it.
struct Reach<'a> {
    device: &'a Device,
    cancel: &'a CancelHandle,
    deadline: Instant,
}

impl SshConnector {
    /// A connector for one run.
    ///
    /// # Errors
    /// When libssh2 does not start or lacks what is to be offered.
    pub fn new(options: SshOptions) -> Result<Self, SessionError> {
        Ok(Self {
            host_keys: options.host_keys,
            known_hosts: options.known_hosts,
            gate: CpuGate::new(options.cpus),
            offers: Offers::load()?,
            clock: Arc::new(RealClock),
        })
    }

    /// The key that a device shows at present, without logging in and without judging it.
    ///
    /// # Errors
    /// When the device is not reached.
    pub fn host_key(
        &self,
        device: &Device,
        cancel: &CancelHandle,
        deadline: Instant,
    ) -> Result<HostKey, SessionError> {
        let reach = Reach {
            device,
            cancel,
            deadline,
        };
        let link = self.open(&reach, &[], &mut Trail::default())?;
        host_key::shown(&link)
    }

    /// From nothing to exchanged keys. `known` holds the host key types to ask for first.
    fn open(
        &self,
        reach: &Reach<'_>,
        known: &[String],
        trail: &mut Trail,
    ) -> Result<Link, SessionError> {
        let device = reach.device;
        let peer = Peer {
            host: device.host.clone(),
            port: device.port,
        };
        let watch = self.watch(reach);
        let addresses = tcp::look_up(&peer, &watch, trail)?;
        let session = self.session(reach, &peer, known, trail)?;
        // The wait for a CPU was not the device's.
        let tcp = tcp::dial(&peer, &addresses, &self.watch(reach), trail)?;
        let (cancel, clock) = (reach.cancel.clone(), Arc::clone(&self.clock));
        let mut link = Link::new(session, tcp, peer, cancel, clock);
        let began = self.clock.now();
        let limits = Limits {
            own: self.limit(device.deadlines.kex, reach.deadline),
            whole: reach.deadline,
        };
        let exchange = kex::exchange(&mut link, &self.gate, limits);
        let took = self.since(began).saturating_sub(exchange.queued);
        trail.step(StepName::Kex, took);
        add_gate_time(trail, exchange.queued);
        if let Err(trouble) = exchange.result {
            return Err(self.explain(trouble, link, reach));
        }
        let used = algorithms::negotiated(&link.session);
        if let Some(note) = algorithms::note_on_old(&used) {
            trail.note(note);
        }
        trail.algorithms = Some(used);
        Ok(link)
    }

    /// A session that has not met its device yet. It is made when a CPU is free and no key exchange
    /// under way wants it: a thousand devices at once are then no more connections, and no more
    /// memory, than can be served, and no device is kept waiting once it was called.
    fn session(
        &self,
        reach: &Reach<'_>,
        peer: &Peer,
        known: &[String],
        trail: &mut Trail,
    ) -> Result<ssh2::Session, SessionError> {
        let waiter = Arc::<Waiter>::default();
        let waking = Arc::clone(&waiter);
        reach.cancel.on_cancel(move || waking.wake());
        let began = self.clock.now();
        let until = (reach.deadline, self.clock.as_ref());
        let turn = reach.cancel.while_waiting(|| {
            self.gate
                .enter(&waiter, Progress::First, reach.cancel, until)
        });
        add_gate_time(trail, self.since(began));
        let _turn = turn.map_err(|no_turn| match no_turn {
            NoTurn::Cancelled => SessionError::Cancelled,
            NoTurn::TimedOut => SessionError::new(
                FailureKind::Timeout,
                format!("no CPU was free in time to call {peer}; lower run.in_flight"),
            ),
        })?;
        let preparing = |error: &ssh2::Error| peer::Trouble::of(error).to_error(peer, "preparing");
        let session = ssh2::Session::new().map_err(|error| preparing(&error))?;
        let offer = self.offers.under(reach.device.algorithms);
        let applied = offer.preferring(known).apply(&session);
        applied.map_err(|error| preparing(&error))?;
        Ok(session)
    }

    fn watch<'a>(&'a self, reach: &Reach<'a>) -> Watch<'a> {
        Watch {
            cancel: reach.cancel,
            clock: self.clock.as_ref(),
            deadline: self.limit(reach.device.deadlines.tcp, reach.deadline),
        }
    }

    fn log_in(
        &self,
        link: &Link,
        context: &ConnectContext<'_>,
        trail: &mut Trail,
    ) -> Result<(), SessionError> {
        let credentials = &context.device.credentials;
        let began = self.clock.now();
        let limits = &context.device.limits;
        let admitted = context
            .gate
            .admit(credentials, limits, context.cancel, context.deadline);
        add_gate_time(trail, self.since(began));
        admitted?;
        let mut turn = LoginTurn {
            gate: context.gate,
            credentials,
            outcome: LoginOutcome::Unknown,
        };
        let began = self.clock.now();
        let deadline = self.limit(context.device.deadlines.login, context.deadline);
        let result = login::log_in(link, credentials, deadline);
        trail.step(StepName::Auth, self.since(began));
        match result {
            Ok(()) => {
                turn.outcome = LoginOutcome::Accepted;
                Ok(())
            }
            Err(failure) => {
                turn.outcome = failure.outcome;
                Err(failure.error)
            }
        }
    }

    /// Why there are no keys. Where algorithms may be the reason, the device's own offer is read
    /// to tell it from a connection that broke at the same point.
    fn explain(&self, trouble: KexTrouble, link: Link, reach: &Reach<'_>) -> SessionError {
        let error = kex::to_error(&trouble, &link);
        let address = link.tcp.peer_addr();
        let peer = link.peer.clone();
        drop(link);
        let Some(address) = address.ok().filter(|_| kex::may_be_algorithms(&trouble)) else {
            return error;
        };
        let watch = self.watch(reach);
        let offer = tcp::connect(&address, &watch).ok().and_then(|tcp| {
            let offer = offers::read(&tcp, watch.deadline, watch.clock);
            reach.cancel.release();
            offer
        });
        let told =
            offer.and_then(|offer| offers::explain(&offer, reach.device.algorithms, &self.offers));
        match told {
            _ if reach.cancel.is_cancelled() => SessionError::Cancelled,
            Some(told) => SessionError::new(FailureKind::Algorithms, format!("{peer}: {told}")),
            None => error,
        }
    }

    fn known_types(&self, device: &Device) -> Vec<String> {
        let known = self.known_hosts.known(&device.host, device.port);
        known.iter().map(|key| key.kind().to_owned()).collect()
    }

    fn limit(&self, budget: Duration, whole: Instant) -> Instant {
        whole.min(self.clock.now() + budget)
    }

    fn since(&self, began: Instant) -> Duration {
        self.clock.now().saturating_duration_since(began)
    }
}

/// The gate is waited at twice, for a CPU and for a login; the report has one figure for both.
fn add_gate_time(trail: &mut Trail, waited: Duration) {
    let gate = |step: &&mut StepTime| step.step == StepName::Gate;
    match trail.steps.iter_mut().find(gate) {
        Some(step) => step.took += waited,
        None => trail.step(StepName::Gate, waited),
    }
}

/// A turn at the login gate, given back whatever happens.
struct LoginTurn<'a> {
    gate: &'a dyn LoginGate,
    credentials: &'a Credentials,
    outcome: LoginOutcome,
}

impl Drop for LoginTurn<'_> {
    fn drop(&mut self) {
        self.gate.settle(self.credentials, self.outcome);
    }
}

impl Connector for SshConnector {
    fn connect(
        &self,
        context: &ConnectContext<'_>,
        trail: &mut Trail,
    ) -> Result<Box<dyn Transport>, SessionError> {
        let device = context.device;
        let reach = Reach {
            device,
            cancel: context.cancel,
            deadline: context.deadline,
        };
        let link = self.open(&reach, &self.known_types(device), trail)?;
        let trust = (self.host_keys, self.known_hosts.as_ref());
        host_key::check(&link, device, trust, trail)?;
        self.log_in(&link, context, trail)?;
        if device.platform.channel == Channel::Exec {
            return Ok(Box::new(exec::ExecTransport::new(link)));
        }
        let began = self.clock.now();
        let deadline = self.limit(device.deadlines.prompt, context.deadline);
        let shell = shell::open(link, device.platform.shell_requests, deadline);
        trail.step(StepName::Shell, self.since(began));
        Ok(Box::new(shell?))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }
}

#[cfg(test)]
mod tests;
