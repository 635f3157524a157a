//! SSH by ssh2: the only place that knows libssh2.
//!
//! Connecting ([`SshConnector`]: `tcp`, `kex`, `host_key`, `login`) is split from moving
//! bytes (`shell`). Round trips from nothing to a shell: TCP 1, identification and keys 3, login
//! 1 by password, channel 1, pty and shell together 1.

mod agent;
mod algorithms;
mod cpu_gate;
mod dialer;
mod entry;
mod exec;
mod host_key;
mod jump;
mod kex;
mod link;
mod login;
mod offers;
mod peer;
mod questions;
mod shell;
mod socket;
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
use crate::model::limit::LimitSet;
use crate::model::platform::Channel;
use crate::model::stage::{StepName, Trail};
use dialer::{Dialer, Reach, Through};
use jump::{Asker, Carried, Jumps, Took};
use link::Link;
use std::sync::Arc;
use std::time::Instant;

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
    dialer: Arc<Dialer>,
    jumps: Jumps,
}

impl SshConnector {
    /// A connector for one run.
    ///
    /// # Errors
    /// When libssh2 does not start or lacks what is to be offered.
    pub fn new(options: SshOptions) -> Result<Self, SessionError> {
        let dialer = Arc::new(Dialer::new(options)?);
        let jumps = Jumps::new(Arc::clone(&dialer));
        Ok(Self { dialer, jumps })
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
            called: &|| {},
        };
        let gate: Arc<dyn LoginGate> = Arc::new(Anyone);
        let link = self.open(&reach, &[], &gate, &mut Trail::default())?;
        host_key::shown(&link)
    }

    /// From nothing to exchanged keys, through a jump host where there is one.
    fn open(
        &self,
        reach: &Reach<'_>,
        known: &[String],
        gate: &Arc<dyn LoginGate>,
        trail: &mut Trail,
    ) -> Result<Link, SessionError> {
        let Some(jump) = &reach.device.jump else {
            return self.dialer.open(reach, known, None, trail);
        };
        let dig = |asker: &Asker<'_>, took: &mut Took| self.jumps.tunnel(jump, asker, took);
        let through = Through {
            jump: jump.name(),
            gate,
            dig: &dig,
        };
        self.dialer.open(reach, known, Some(&through), trail)
    }

    /// From exchanged keys to a transport.
    fn enter(
        &self,
        link: Link,
        context: &ConnectContext<'_>,
        trail: &mut Trail,
    ) -> Result<Box<dyn Transport>, SessionError> {
        let (dialer, device) = (&self.dialer, context.device);
        let trust = (dialer.host_keys, dialer.known_hosts.as_ref());
        host_key::check(&link, device, trust, trail)?;
        dialer.log_in(&link, context, trail)?;
        if device.platform.channel == Channel::Exec {
            return Ok(Box::new(exec::ExecTransport::new(link)));
        }
        let began = dialer.clock.now();
        let deadline = dialer.limit(device.deadlines.prompt, context.deadline);
        let shell = shell::open(link, device.platform.shell_requests, deadline);
        trail.step(StepName::Shell, dialer.since(began));
        Ok(Box::new(shell?))
    }
}

/// Lets everybody log in, for what an operator asks for by hand.
struct Anyone;

impl LoginGate for Anyone {
    fn admit(
        &self,
        _: &Credentials,
        _: &[Arc<LimitSet>],
        cancel: &CancelHandle,
        _: Instant,
    ) -> Result<(), SessionError> {
        cancel.check()
    }

    fn settle(&self, _: &Credentials, _: LoginOutcome) {}

    fn wake(&self) {}
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
            called: context.called,
        };
        let known = self.dialer.known_types(device);
        let link = self.open(&reach, &known, context.gate, trail)?;
        let Some(fate) = link.fate.clone() else {
            return self.enter(link, context, trail);
        };
        match self.enter(link, context, trail) {
            Ok(inner) => Ok(Box::new(Carried { inner, fate })),
            Err(error) => Err(fate.explain(error)),
        }
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.dialer.clock)
    }
}

#[cfg(test)]
mod tests;
