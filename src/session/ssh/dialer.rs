//! From nothing to exchanged keys.

use super::algorithms::{self, Offers};
use super::cpu_gate::{CpuGate, NoTurn, Progress, Waiter};
use super::jump::{Asker, Fate, Took, Tunnel};
use super::kex::{self, KexTrouble, Limits};
use super::link::Link;
use super::peer::{self, Peer};
use super::tcp::{self, Watch};
use super::{SshOptions, offers};
use crate::model::device::{Device, HostKeyPolicy};
use crate::model::failure::FailureKind;
use crate::model::stage::{StepName, StepTime, Trail};
use crate::session::known_hosts::KnownHosts;
use crate::session::ssh::RealClock;
use crate::session::{CancelHandle, Clock, LoginGate, SessionError};
use socket2::Socket;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What all connections of a process share, whatever they are for.
pub(super) struct Dialer {
    pub(super) host_keys: HostKeyPolicy,
    pub(super) known_hosts: Arc<KnownHosts>,
    pub(super) gate: CpuGate,
    offers: Offers,
    pub(super) clock: Arc<dyn Clock>,
}

/// A device to reach for one thing, with what bounds it.
pub(super) struct Reach<'a> {
    pub(super) device: &'a Device,
    pub(super) cancel: &'a CancelHandle,
    pub(super) deadline: Instant,
    /// Told once it is being called.
    pub(super) called: &'a dyn Fn(),
}

/// The way through a jump host.
pub(super) struct Through<'a> {
    /// Its name.
    pub(super) jump: &'a str,
    pub(super) gate: &'a Arc<dyn LoginGate>,
    /// Asks it for a tunnel.
    pub(super) dig: &'a dyn Fn(&Asker<'_>, &mut Took) -> Result<Tunnel, SessionError>,
}

impl Dialer {
    pub(super) fn new(options: SshOptions) -> Result<Self, SessionError> {
        Ok(Self {
            host_keys: options.host_keys,
            known_hosts: options.known_hosts,
            gate: CpuGate::new(options.cpus),
            offers: Offers::load()?,
            clock: Arc::new(RealClock),
        })
    }

    /// From nothing to exchanged keys. `known` holds the host key types to ask for first.
    pub(super) fn open(
        &self,
        reach: &Reach<'_>,
        known: &[String],
        through: Option<&Through<'_>>,
        trail: &mut Trail,
    ) -> Result<Link, SessionError> {
        let device = reach.device;
        let peer = Peer {
            host: device.host.clone(),
            port: device.port,
            via: through.map(|through| through.jump.to_owned()),
        };
        let session = self.session(reach, &peer, known, trail)?;
        (reach.called)();
        // A jump host looks names up by itself.
        let addresses = match through {
            None => tcp::look_up(&peer, &self.watch(reach), trail)?,
            Some(_) => Vec::new(),
        };
        let (socket, fate) = match through {
            None => (
                tcp::dial(&peer, &addresses, &self.watch(reach), trail)?,
                None,
            ),
            Some(through) => self.dig(through, reach, &peer, trail)?,
        };
        let (cancel, clock) = (reach.cancel.clone(), Arc::clone(&self.clock));
        let mut link = Link::new(session, socket, peer, cancel, clock);
        link.fate = fate;
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
            return Err(self.explain(trouble, link, (reach, through)));
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
    // Not inlined: its room on the stack would be held during the key exchange.
    #[inline(never)]
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
        self.gate.give_way(self.clock.as_ref());
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
            egress: &reach.device.egress,
        }
    }

    /// Why there are no keys. Where algorithms may be the reason, the device's own offer is read
    /// to tell it from a connection that broke at the same point.
    // Not inlined: its room on the stack would be held during the key exchange.
    #[inline(never)]
    fn explain(
        &self,
        trouble: KexTrouble,
        link: Link,
        (reach, through): (&Reach<'_>, Option<&Through<'_>>),
    ) -> SessionError {
        let error = link.explain(kex::to_error(&trouble, &link));
        let address = link.socket.peer_addr();
        let peer = link.peer.clone();
        drop(link);
        if !kex::may_be_algorithms(&trouble) || error.kind() == FailureKind::JumpLost {
            return error;
        }
        let again = match through {
            None => {
                let address = address.ok().and_then(|address| address.as_socket());
                address.and_then(|address| tcp::connect(&address, &self.watch(reach)).ok())
            }
            Some(through) => {
                let dug = self.dig(through, reach, &peer, &mut Trail::default());
                dug.ok().map(|(socket, _)| socket)
            }
        };
        let watch = self.watch(reach);
        let offer = again.and_then(|socket| {
            let offer = offers::read(&socket, watch.deadline, watch.clock);
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

    /// A tunnel to the device, closed when the attempt is cancelled.
    // Not inlined: its room on the stack would be held during the key exchange.
    #[inline(never)]
    fn dig(
        &self,
        through: &Through<'_>,
        reach: &Reach<'_>,
        peer: &Peer,
        trail: &mut Trail,
    ) -> Result<(Arc<Socket>, Option<Arc<Fate>>), SessionError> {
        let mut took = Took::default();
        let asker = Asker {
            to: peer,
            gate: through.gate,
            cancel: reach.cancel,
            budget: reach.device.deadlines.tcp,
            deadline: reach.deadline,
        };
        let dug = (through.dig)(&asker, &mut took);
        add_gate_time(trail, took.waited);
        trail.step(StepName::Tcp, took.connecting);
        let tunnel = dug?;
        let closer = Arc::clone(&tunnel.socket);
        reach.cancel.on_cancel(move || {
            let _ = closer.shutdown(Shutdown::Both);
        });
        for note in tunnel.notes {
            trail.note(note);
        }
        Ok((tunnel.socket, Some(tunnel.fate)))
    }

    pub(super) fn known_types(&self, device: &Device) -> Vec<String> {
        let known = self.known_hosts.known(&device.host, device.port);
        known.iter().map(|key| key.kind().to_owned()).collect()
    }

    pub(super) fn limit(&self, budget: Duration, whole: Instant) -> Instant {
        whole.min(self.clock.now() + budget)
    }

    pub(super) fn since(&self, began: Instant) -> Duration {
        self.clock.now().saturating_duration_since(began)
    }
}

/// The gate is waited at twice, for a CPU and for a login; the report has one figure for both.
pub(super) fn add_gate_time(trail: &mut Trail, waited: Duration) {
    let gate = |step: &&mut StepTime| step.step == StepName::Gate;
    match trail.steps.iter_mut().find(gate) {
        Some(step) => step.took += waited,
        None => trail.step(StepName::Gate, waited),
    }
}
