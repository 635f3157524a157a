//! Jump hosts: devices are reached through connections that many of them share.
//!
//! A libssh2 session belongs to one thread, so each connection to a jump host has a thread of its own
//! ([`owner`]) that makes it, opens channels on it and moves their bytes ([`carrier`]). A device's thread
//! asks for a tunnel by a message and gets one end of a socket pair; on that it speaks SSH as on TCP.

mod carrier;
mod fate;
mod opening;
mod owner;
mod tunnel;

pub(super) use fate::{Carried, Fate};

use super::dialer::Dialer;
use super::peer::Peer;
use crate::model::device::DeviceName;
use crate::model::failure::FailureKind;
use crate::model::jump::JumpHost;
use crate::session::{CancelHandle, LoginGate, SessionError};
use owner::{Owner, Seat};
use socket2::Socket;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a device's thread asks a jump host for.
pub(super) struct Request {
    /// The device, as the jump host knows it.
    pub(super) to: Peer,
    pub(super) gate: Arc<dyn LoginGate>,
    pub(super) cancel: CancelHandle,
    /// After this nobody waits any more.
    pub(super) deadline: Instant,
    answer: mpsc::Sender<Answer>,
    // Given back when the device is done with the connection.
    seat: Seat,
}

/// What is answered, maybe more than once.
pub(super) enum Answer {
    /// The jump host was asked for the device: from now on the device's time counts.
    Asked,
    Granted(Tunnel),
    Failed(SessionError),
    /// The attempt was cancelled.
    Cancelled,
}

/// A device's way through a jump host.
pub(super) struct Tunnel {
    pub(super) socket: Arc<Socket>,
    pub(super) fate: Arc<Fate>,
    /// What the operator should know of the jump host's own connection.
    pub(super) notes: Vec<String>,
}

impl Request {
    /// Nobody may be there any more to hear it.
    pub(super) fn answer(&self, answer: Answer) -> bool {
        self.answer.send(answer).is_ok()
    }

    /// Its place on the connection.
    fn into_seat(self) -> Seat {
        self.seat
    }

    fn is_over(&self, now: Instant) -> bool {
        self.cancel.is_cancelled() || now >= self.deadline
    }
}

/// Who asks for a tunnel.
pub(super) struct Asker<'a> {
    pub(super) to: &'a Peer,
    pub(super) gate: &'a Arc<dyn LoginGate>,
    pub(super) cancel: &'a CancelHandle,
    /// How long the device itself may take to be connected.
    pub(super) budget: Duration,
    pub(super) deadline: Instant,
}

/// How long it took.
#[derive(Default)]
pub(super) struct Took {
    /// Until the jump host was asked: that was not the device's time.
    pub(super) waited: Duration,
    pub(super) connecting: Duration,
}

/// The jump hosts of a process and the connections to them.
pub(super) struct Jumps {
    dialer: Arc<Dialer>,
    // A lock for looking up and adding; nobody waits or does I/O under it.
    known: Mutex<HashMap<DeviceName, Host>>,
}

/// One jump host.
struct Host {
    definition: Arc<JumpHost>,
    /// Whether a connection has ever let us in; until then there is only one.
    proven: Arc<AtomicBool>,
    owners: Vec<Arc<Owner>>,
}

impl Jumps {
    pub(super) fn new(dialer: Arc<Dialer>) -> Self {
        Self {
            dialer,
            known: Mutex::default(),
        }
    }

    /// A tunnel through a jump host.
    pub(super) fn tunnel(
        &self,
        jump: &Arc<JumpHost>,
        asker: &Asker<'_>,
        took: &mut Took,
    ) -> Result<Tunnel, SessionError> {
        asker.cancel.check()?;
        let (owner, seat) = self.seat(jump)?;
        ask(&self.dialer, (&owner, seat), asker, took)
    }

    /// A seat on the connection with the most room.
    fn seat(&self, jump: &Arc<JumpHost>) -> Result<(Arc<Owner>, Seat), SessionError> {
        // Outside of the lock, because it takes the same one.
        let front = match &jump.endpoint.jump {
            Some(front) => Some(self.seat_owner(front)?),
            None => None,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &jump.endpoint.name;
        let host = known.entry(name.clone()).or_insert_with(|| Host::new(jump));
        if !Arc::ptr_eq(&host.definition, jump) && host.definition != *jump {
            // Changed settings; what is under way on the old ones ends as it began.
            *host = Host::new(jump);
        }
        host.seat(&self.dialer, front)
    }

    fn seat_owner(&self, jump: &Arc<JumpHost>) -> Result<Arc<Owner>, SessionError> {
        self.seat(jump).map(|(owner, _)| owner)
    }
}

impl Host {
    fn new(jump: &Arc<JumpHost>) -> Self {
        Self {
            definition: Arc::clone(jump),
            proven: Arc::default(),
            owners: Vec::new(),
        }
    }

    fn seat(
        &mut self,
        dialer: &Arc<Dialer>,
        front: Option<Arc<Owner>>,
    ) -> Result<(Arc<Owner>, Seat), SessionError> {
        self.owners.retain(|owner| !owner.has_ended());
        let jump = &self.definition;
        let best = self.owners.iter().min_by_key(|owner| owner.burden());
        let has_room = best.is_some_and(|best| best.has_room(jump.channels));
        let may_grow = self.owners.len() < jump.sessions.max(1)
            && (self.owners.is_empty() || self.proven.load(Ordering::SeqCst));
        if let Some(best) = best.filter(|_| has_room || !may_grow) {
            return Ok((Arc::clone(best), best.take_seat()));
        }
        let owner = Owner::start(Arc::clone(dialer), jump, front, Arc::clone(&self.proven))?;
        let owner = Arc::new(owner);
        self.owners.push(Arc::clone(&owner));
        let seat = owner.take_seat();
        Ok((owner, seat))
    }
}

/// Asks a connection's owner for a tunnel and waits for it.
fn ask(
    dialer: &Dialer,
    (owner, seat): (&Owner, Seat),
    asker: &Asker<'_>,
    took: &mut Took,
) -> Result<Tunnel, SessionError> {
    let (answer, answers) = mpsc::channel();
    let cancelled = answer.clone();
    asker.cancel.on_cancel(move || {
        let _ = cancelled.send(Answer::Cancelled);
    });
    owner.ask(Request {
        to: asker.to.clone(),
        gate: Arc::clone(asker.gate),
        cancel: asker.cancel.clone(),
        deadline: asker.deadline,
        answer,
        seat,
    });
    let clock = &dialer.clock;
    let began = clock.now();
    let wait = |deadline: Instant| {
        let left = deadline.saturating_duration_since(clock.now());
        answers.recv_timeout(left)
    };
    let first = asker.cancel.while_waiting(|| wait(asker.deadline));
    took.waited += dialer.since(began);
    let answer = match first {
        Ok(Answer::Asked) => {
            let began = clock.now();
            let answer = wait(dialer.limit(asker.budget, asker.deadline));
            took.connecting += dialer.since(began);
            answer
        }
        other => other,
    };
    asker.cancel.release();
    match answer {
        Ok(Answer::Granted(tunnel)) => Ok(tunnel),
        Ok(Answer::Failed(error)) => Err(error),
        Ok(Answer::Cancelled) => Err(SessionError::Cancelled),
        Ok(Answer::Asked) | Err(RecvTimeoutError::Timeout) => Err(late(asker, took)),
        Err(RecvTimeoutError::Disconnected) => Err(Fate::new(owner.name()).failure()),
    }
}

fn late(asker: &Asker<'_>, took: &Took) -> SessionError {
    let to = asker.to;
    if took.connecting.is_zero() {
        return SessionError::new(
            FailureKind::Timeout,
            format!(
                "no room in time to reach {to}: as many devices as it may carry go through it; raise \
                 its `channels` or `sessions`, or put fewer devices behind it at once"
            ),
        );
    }
    SessionError::new(
        FailureKind::Connect,
        format!(
            "no connection to {to}: the device did not answer the jump host in time; check that it \
             is up and that the jump host has a route to it"
        ),
    )
}
